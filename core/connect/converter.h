/*
 * converter: between typed values and the bytes of a record's key or value: key.converter and
 * value.converter.
 */
#ifndef LEAT_CONNECT_CONVERTER_H
#define LEAT_CONNECT_CONVERTER_H

#include "base/buf.h"
#include "config/config.h"
#include "connect/value.h"

const char *converter_name(enum converter c); /* "bytes", "string", "json" */

/*
 * Appends the value's bytes to `out`; *null: there are none (a null value; as JsonConverter, a null with a
 * schema is the text null). ERR_INVALID: the converter cannot write such a value.
 */
int converter_write(enum converter c, const struct leat_value *v, struct buf *out, bool *null, struct err *e);

/* The value of bytes that outlive it; NULL bytes are a null value. NULL on error. */
struct leat_value *converter_read(enum converter c, struct arena *a, const void *bytes, size_t n,
                                  struct err *e);

#endif
