/*
 * pg_start: how a task begins: connections, what is made on the server, and by snapshot.mode and what is stored whether
 * tables are read first and from where changes are followed. Task's thread.
 */
#ifndef LEAT_PG_START_H
#define LEAT_PG_START_H

#include "pg_setup.h"

struct pg_plan {
    bool snapshot; /* tables are to be read, or their reading goes on */
    bool stream;
    bool done;                            /* nothing is left to do */
    char exported[PG_SNAPSHOT_NAME_SIZE]; /* the new slot's snapshot; empty: none */
    PGconn *repl;                         /* for the stream; NULL without one */
};

/*
 * Sets t->sql, t->server, and t->stored to where the stream begins. An error that will not pass by itself names what mends it.
 */
int pg_start(struct pg_task *t, struct pg_plan *plan, struct err *e);

/* Whether a task without position reads tables, by snapshot.mode. */
bool pg_start_reads_first(const struct pg_task *t);
/* Whether one that lost changes may read them again. */
bool pg_start_reads_after_loss(const struct pg_task *t);

/* What the options alone can say. */
int pg_start_validate(const struct leat_host *host, const struct leat_config *config, struct err *e);

#endif
