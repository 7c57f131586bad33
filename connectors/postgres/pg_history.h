/*
 * pg_history: whether a server's history has what is stored. A promoted standby begins a new timeline, and its history tells at
 * which LSN it left each former one: what was read beyond that was lost. A server on an earlier timeline than the stored position
 * is a former primary that came back. Task's thread.
 */
#ifndef LEAT_PG_HISTORY_H
#define LEAT_PG_HISTORY_H

#include "pg_task.h"

enum pg_branch {
    PG_BRANCH_SAME,  /* what is stored is in this server's history, or that is not known */
    PG_BRANCH_LOST,  /* the server left our timeline before what is stored */
    PG_BRANCH_OTHER, /* it is on an earlier timeline, or its history does not have ours */
};

/* By t->stored and t->server, asking over `repl`. `left`: where the server left our timeline (PG_BRANCH_LOST). */
int pg_history_branch(struct pg_task *t, PGconn *repl, enum pg_branch *out, uint64_t *left, struct err *e);

/*
 * Where a history file (lines of timeline, LSN and a reason, separated by tabs; `n` bytes) says that `timeline` was left.
 * False: it does not have it. https://www.postgresql.org/docs/current/continuous-archiving.html
 */
bool pg_history_find(const char *text, size_t n, uint32_t timeline, uint64_t *left);

#endif
