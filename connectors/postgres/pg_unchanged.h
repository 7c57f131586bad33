/*
 * pg_unchanged: values that the server did not send as they did not change, filled in from the last known ones
 * (unavailable.value.fill: last_known). docs/design/0005-last-known-values.md says when one is right. Task's thread.
 *
 * pg_unchanged.c looks at each change and each row of a snapshot; pg_unchanged_table.c knows what the catalog said of tables;
 * pg_unchanged_open.c opens, marks and gives up the store (kit/kept).
 */
#ifndef LEAT_PG_UNCHANGED_H
#define LEAT_PG_UNCHANGED_H

#include "pg_task.h"
#include "pgoutput.h"

struct pg_unchanged; /* of a task; NULL: the option is off, and then nothing here is to be called but close */
struct
    pg_unchanged_view; /* a table with its cells in one order: of a relation message, or of a snapshot's rows */

/* What the options have that cannot be together. */
int pg_unchanged_validate(const struct leat_host *h, const struct leat_config *c, struct err *e);
/* Sets t->unchanged. When t->stored says where the task begins. LEAT_OK or what host->fail returned. */
int pg_unchanged_open(struct pg_task *t);
void pg_unchanged_close(struct pg_unchanged *u);
/* A poll, the `poll`-th, ended well, and t->stored is what the store has with it. LEAT_OK or what host->fail returned. */
int pg_unchanged_polled(struct pg_unchanged *u, uint64_t poll);
void pg_unchanged_durable(struct pg_unchanged *u, uint64_t polls);

/*
 * The server described a table (relation message), `table` being what was made of it; NULL: it is not captured. `seen`: the catalog
 * shows what the transaction that it came in did. Takes t->sql. The view is freed before `table`.
 */
int pg_unchanged_relation(struct pg_unchanged *u, const struct pgoutput *m, const struct cdc_table *table,
                          bool seen, struct pg_unchanged_view **out, struct err *e);
/*
 * A table is going to be read over `sql`. `as_of`: where the log was when the snapshot was taken that `sql` is in; 0: it is in none,
 * rows are read from now on.
 */
int pg_unchanged_table(struct pg_unchanged *u, PGconn *sql, uint32_t oid, const struct cdc_table *table,
                       uint64_t as_of, struct pg_unchanged_view **out, struct err *e);
void pg_unchanged_view_free(struct pg_unchanged_view *v); /* NULL: nothing */
/* Whether there is anything to be learnt of the table's rows. */
bool pg_unchanged_learns(const struct pg_unchanged_view *v);

/*
 * A change of the transaction that commits at `commit_lsn`: cells of `new_` that are CDC_UNCHANGED become values where they are known,
 * until the next call. `new_` NULL: a delete; `old` NULL: the key is as it was.
 */
void pg_unchanged_change(struct pg_unchanged *u, struct pg_unchanged_view *v, char op, struct cdc_cell *new_,
                         const struct cdc_cell *old, uint64_t commit_lsn);
void pg_unchanged_truncate(struct pg_unchanged *u, const struct pg_unchanged_view *v);
/* A row as it was read, right for changes that commit at `as_of` or later. */
void pg_unchanged_learn(struct pg_unchanged *u, const struct pg_unchanged_view *v,
                        const struct cdc_cell *cells, uint64_t as_of);

#endif
