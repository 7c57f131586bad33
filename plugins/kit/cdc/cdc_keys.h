/*
 * cdc_keys: message.key.columns: `table:column,column;table:column`, each name a regular expression. What it names of a table's
 * columns is its key, in the table's order. The task's thread.
 */
#ifndef LEAT_KIT_CDC_KEYS_H
#define LEAT_KIT_CDC_KEYS_H

#include "kit/cdc/cdc_filter.h"

/* Expressions on schema.table.column. `text` may be NULL. ERR_INVALID_CONFIG: an item without colon or column, an expression. */
int cdc_keys_parse(const char *text, struct cdc_filter *out, struct err *e);

#endif
