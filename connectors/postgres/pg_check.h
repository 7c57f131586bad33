/*
 * pg_check: everything on the server that keeps, or may keep, the source from its work, all in one go, each with the statement
 * that mends it. For `leat validate --connect`, and as warnings before a run.
 */
#ifndef LEAT_PG_CHECK_H
#define LEAT_PG_CHECK_H

#include "pg_task.h"

/* The connector's check. Problems go to host->problem; fails only when the server cannot be reached or asked. */
int pg_check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);

/* What its parts share. `t` has what a query and the filters need; nothing runs. */
struct pg_check {
    struct pg_task t;
    bool standby;   /* nothing can be made or written there */
    bool owner;     /* of everything: a superuser */
    bool may_make;  /* things in the database: CREATE */
    bool published; /* the publication is there */
    bool all;       /* and is of all tables */
    bool by_root;   /* changes of partitions are those of their root, or will be */
};

/* The tables: rights, keys, types, publication, the signal table (pg_check_tables.c). ERR_OK, or why they cannot be asked for. */
int pg_check_tables(struct pg_check *k, struct err *e);
/* Tables of which the publication sends some rows or columns, and snapshots all (pg_check_partial.c). As above. */
int pg_check_partial(struct pg_check *k, struct err *e);

#endif
