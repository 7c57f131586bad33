/*
 * pg_relation: tables as the replication stream last described them, by oid. Task's thread.
 */
#ifndef LEAT_PG_RELATION_H
#define LEAT_PG_RELATION_H

#include "pg_task.h"
#include "pgoutput.h"

struct pg_relation {
    uint32_t oid;
    struct cdc_table *table;             /* NULL: not captured, its rows are passed over */
    bool signal;                         /* the signal table */
    struct pg_unchanged_view *unchanged; /* NULL: not captured, or the option is off */
    uint16_t column_count;
    bool *key; /* by column: part of the replica identity */
    char *name;
};

struct pg_relations;
struct pg_relations *pg_relations_new(struct pg_task *t); /* NULL: out of memory */
void pg_relations_free(struct pg_relations *r);

/* NULL: it was not described. */
const struct pg_relation *pg_relations_get(struct pg_relations *r, uint32_t oid);
/*
 * Takes a relation message of the transaction `xid` (0: of none); asks the catalog if the table is captured, once others can see
 * what the transaction did.
 */
int pg_relations_put(struct pg_relations *r, const struct pgoutput *m, uint32_t xid, struct err *e);

/* Whether a transaction runs, for other sessions: it gives its own lock back after they see what it did. */
int pg_transaction_runs(PGconn *sql, uint32_t xid, bool *runs, struct err *e);

#endif
