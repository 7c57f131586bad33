/*
 * cdc_json: strings in the JSON of change events, spelled as Kafka Connect's JsonConverter does: characters beyond the
 * basic plane as two escaped surrogates, capital hex digits, everything else of UTF-8 as it is. Any thread; holds no state.
 */
#ifndef LEAT_KIT_CDC_JSON_H
#define LEAT_KIT_CDC_JSON_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/* Appends the text as a JSON string with its quotes. ERR_INVALID_RECORD: no UTF-8; `out` is then as before. */
int cdc_json_string(struct buf *out, const void *text, size_t n, struct err *e);

/* The same without quotes: a part of a string. */
int cdc_json_part(struct buf *out, const void *text, size_t n, struct err *e);

#endif
