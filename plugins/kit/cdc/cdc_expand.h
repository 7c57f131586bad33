/*
 * cdc_expand: JSON text made a typed value, as Debezium's outbox does with table.expand.json.payload: the schema is inferred
 * from what is there. The task's thread; allocates, as only outboxes that ask for it come here.
 */
#ifndef LEAT_KIT_CDC_EXPAND_H
#define LEAT_KIT_CDC_EXPAND_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

/*
 * Appends the schema (without a field's name) and the value. Members that are null vanish, or with `keep_nulls` are optional
 * bytes. Of arrays the items have one schema: of objects all members that any has. ERR_INVALID_RECORD: no JSON object or array,
 * an array of different types, a number that no type takes, nested too deep.
 */
int cdc_expand(const void *text, size_t n, bool keep_nulls, struct buf *schema, struct buf *value,
               struct err *e);

#endif
