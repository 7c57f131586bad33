/*
 * pg_query: between pg_conn's files: whose a connection is, and waiting on it. Any thread.
 */
#ifndef LEAT_PG_QUERY_H
#define LEAT_PG_QUERY_H

#include "pg_conn.h"

/* Kept with each connection that pg_connect made. */
struct pg_owner {
    struct leat_task *task;
    const struct leat_host *host;
    int64_t query_ms; /* how long a statement may take; 0: no limit */
    bool goes_on;     /* a stop does not end it */
};

const struct pg_owner *pg_owner(const PGconn *c);

/*
 * Until the socket can be read or written. `deadline_ms` of clock_mono_ms, -1: none. ERR_INTERRUPTED when the task is asked
 * to stop, ERR_TIMEOUT.
 */
int pg_wait(const PGconn *c, bool to_write, int64_t deadline_ms, struct err *e);

/* Of a connection that could not be made. */
int pg_connect_error(const PGconn *c, struct err *e);

#endif
