/*
 * cdc_schema: Connect schemas as JsonConverter renders them: texts, made when a table is compiled. The task's thread.
 */
#ifndef LEAT_KIT_CDC_SCHEMA_H
#define LEAT_KIT_CDC_SCHEMA_H

#include "base/buf.h"
#include "kit/cdc/cdc.h"
#include "kit/cdc/cdc_config.h"

/* What a field's schema has beyond the column's own. */
struct cdc_extra {
    const struct cdc_mask_rule *mask; /* its parameters; NULL: none */
    const char *field;                /* the field's name; NULL: the schema alone */
};

/* Appends {"type":..,"optional":..,..,"field":".."} of a column. */
int cdc_schema_write(const struct cdc_column *c, const struct cdc_extra *extra, struct buf *out,
                     struct err *e);

/*
 * Appends a struct's schema: `fields` without brackets; `name` a JSON string, NULL: none; version 0: none; `field` a name, NULL:
 * the schema alone.
 */
int cdc_schema_struct(struct buf *out, const char *fields, size_t n, bool optional, const char *name,
                      int version, const char *field, struct err *e);

#endif
