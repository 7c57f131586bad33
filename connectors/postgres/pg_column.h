/*
 * pg_column: a type with its modifier made into a column of change events. Internal to pg_types. Task's thread.
 */
#ifndef LEAT_PG_COLUMN_H
#define LEAT_PG_COLUMN_H

#include "kit/cdc/cdc.h"
#include "pg_modes.h"

/* The parts of a schema that are constant text, and who writes the values. */
struct pg_form {
    const char *type, *nested, *name, *doc;
    int version;
    cdc_encode encode;
};

struct pg_form pg_form_of(const struct pg_modes *m, enum pg_kind kind, int32_t typmod);
int32_t pg_time_digits(int32_t typmod); /* of the fraction, of a time type */

/*
 * Fills schema, encoder, placeholder and source type of `c`, whose name is set; `generated` if its type is left out of
 * events. On failure what was filled in is freed by cdc_column_clear.
 */
int pg_column_init(const struct pg_types *types, const struct pg_type *type, int32_t typmod, bool optional,
                   struct cdc_column *c, struct err *e);

/*
 * The default by its expression (as pg_get_expr writes it; NULL: none), and with it the fallback `absent`. After init.
 */
int pg_column_default(const struct pg_type *type, const char *expression, struct cdc_column *c,
                      struct err *e);

/* JSON of the placeholder in the column's type, or NULL where the type cannot hold one. ERR_NO_MEMORY by `e`. */
int pg_column_placeholder(const struct pg_types *types, const struct cdc_column *c, enum pg_kind kind,
                          char **json, struct err *e);

/* What stands for a value that is not there in a column that must have one. */
int pg_column_fallback(const struct cdc_column *c, enum pg_kind kind, bool array, struct buf *out,
                       struct err *e);

bool pg_kind_in_arrays(enum pg_kind kind, const char *name);
int32_t pg_source_length(uint32_t oid, int32_t typmod);
int32_t pg_source_scale(uint32_t oid, int32_t typmod);
int32_t pg_numeric_scale(int32_t typmod);

#endif
