/*
 * pg_action: heartbeat.action.query, over a connection of its own, and not waited for: it may wait for a lock while changes go on.
 * Task's thread.
 */
#ifndef LEAT_PG_ACTION_H
#define LEAT_PG_ACTION_H

#include "pg_task.h"

struct pg_action {
    PGconn *sql; /* NULL: none */
    bool asked;  /* the statement is under way */
    int64_t since_ms;
};

/*
 * Sends it, unless it still is under way from before. What is wrong is logged. One that takes longer than
 * database.query.timeout.ms is given up with its connection.
 */
void pg_action_send(struct pg_task *t, struct pg_action *a, const char *sql);
/* In each poll: takes in what came of it. */
void pg_action_look(struct pg_task *t, struct pg_action *a);
void pg_action_close(struct pg_action *a);

#endif
