/*
 * json_bytes: keys, values and header values as JSON: text where the bytes are UTF-8, {"base64": ...} where
 * not, so that nothing is lost either way. Any thread.
 */
#ifndef LEAT_HTTP_JSON_BYTES_H
#define LEAT_HTTP_JSON_BYTES_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"

/* Whether the bytes are UTF-8 (RFC 3629), NUL bytes included: what jansson can hold as text. */
bool bytes_are_text(const void *data, size_t n);

/* JSON text of a string from outside, what is not UTF-8 replaced by U+FFFD. NULL: out of memory. */
json_t *json_text(const char *s);
/* Sets a member and gives up `value`. False: it was NULL or there is no memory. */
bool json_put(json_t *object, const char *name, json_t *value);

/* Appends; n -1 is null. */
int json_put_bytes(struct buf *out, const void *data, int64_t n, struct err *e);
/* The reverse; any other JSON value gives its compact text. `*data` is the caller's (mem_free), NULL for
 * null. */
int json_get_bytes(const json_t *v, const char *what, uint8_t **data, size_t *n, struct err *e);

#endif
