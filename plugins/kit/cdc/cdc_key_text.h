/*
 * kit/cdc/cdc_key_text: a key as the headers __debezium.oldkey and newkey have it. Kafka Connect's SimpleHeaderConverter prints
 * the struct (org.apache.kafka.connect.data.Values): nearly JSON, but decimals and Connect's times are told as text, and in
 * strings only quotes and backslashes are escaped. Task's thread.
 */
#ifndef LEAT_KIT_CDC_KEY_TEXT_H
#define LEAT_KIT_CDC_KEY_TEXT_H

#include "kit/cdc/cdc_impl.h"

/* Appends the text of a key from its JSON, which is an object of the table's key fields. `json` must not lie in `out`. */
int cdc_key_text(const struct cdc_table *t, const void *json, size_t n, struct buf *out, struct err *e);

/* Appends a decimal as Java's BigDecimal prints it: `data` is its unscaled value, big-endian two's complement. */
int cdc_decimal_text(const void *data, size_t n, int32_t scale, struct buf *out, struct err *e);

#endif
