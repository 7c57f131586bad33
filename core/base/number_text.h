/*
 * number_text: numbers as Java prints them, appended to a buffer: what JSON from Kafka Connect and Debezium has. Relies on
 * the C numeric locale, which the program never changes. Any thread.
 */
#ifndef LEAT_BASE_NUMBER_TEXT_H
#define LEAT_BASE_NUMBER_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Long.toString. */
int text_int(struct buf *out, int64_t v, struct err *e);
/* Double.toString, Float.toString if `single`: the shortest digits that read back the same; NaN, Infinity, -Infinity. */
int text_double(struct buf *out, double v, bool single, struct err *e);
/* BigDecimal.toString of an unscaled big-endian two's complement number. ERR_INVALID: no byte at all. */
int text_decimal(struct buf *out, const uint8_t *unscaled, size_t n, int32_t scale, struct err *e);

#endif
