/*
 * value_json: typed values to and from JSON as Kafka Connect's JsonConverter has it with schemas off, and the
 * text that its StringConverter writes. The reader is our own because every record of a JSON pipeline passes
 * it: it allocates from the arena only, borrows strings without escapes, and keeps 64-bit integers exact.
 */
#ifndef LEAT_CONNECT_VALUE_JSON_H
#define LEAT_CONNECT_VALUE_JSON_H

#include "base/buf.h"
#include "base/number_text.h"
#include "connect/value.h"

#define JSON_BORROW 1u /* the text outlives the value: strings may point into it */
#define JSON_TRAILING                                                                                        \
    2u /* what follows the first value is ignored, as JsonConverter does; else it is an error */

/*
 * Integers are INT64, other numbers and integers beyond 64 bits FLOAT64; objects are maps, of equal names the
 * last one wins. Empty text is null. ERR_INVALID with the byte where it went wrong: bad syntax, bad UTF-8,
 * nested deeper than VALUE_MAX_DEPTH; ERR_NO_MEMORY.
 */
struct leat_value *value_from_json(struct arena *a, const void *json, size_t n, unsigned flags,
                                   struct err *e);

/* Appends JSON: bytes and decimals as base64, dates as numbers, floats as Java prints them. */
int value_to_json(const struct leat_value *v, struct buf *out, struct err *e);

/* Appends Java's toString of the value; ERR_INVALID for bytes inside, whose text in Java has no meaning. */
int value_to_text(const struct leat_value *v, struct buf *out, struct err *e);

/* The same object with its names in byte order, for comparing; values keep their order. In place. */
void value_sort_names(struct leat_value *map);

#endif
