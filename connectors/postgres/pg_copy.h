/*
 * pg_copy: rows out of the text that COPY ... TO STDOUT sends.
 * https://www.postgresql.org/docs/current/sql-copy.html, "Text Format". Any thread; holds no state.
 */
#ifndef LEAT_PG_COPY_H
#define LEAT_PG_COPY_H

#include <stddef.h>

#include "base/err.h"
#include "kit/cdc/cdc.h"

/*
 * Splits the row at `row`, which ends with the first line feed before `end`, into exactly `n` cells, which point into it:
 * escapes are resolved in place. *next: behind the line feed. ERR_CORRUPT: it does not end, or has not `n` columns.
 */
int pg_copy_split(char *row, char *end, struct cdc_cell *cells, size_t n, char **next, struct err *e);

/* A ctid, "(17,4)". ERR_CORRUPT: it is none. */
int pg_copy_ctid(const struct cdc_cell *c, uint32_t *block, uint32_t *tuple, struct err *e);

#endif
