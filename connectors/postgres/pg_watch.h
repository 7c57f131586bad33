/*
 * pg_watch: how much write-ahead log the slot holds back on the server, and when that reaches max_slot_wal_keep_size: in
 * `leat status` and as gauges. Task's thread.
 */
#ifndef LEAT_PG_WATCH_H
#define LEAT_PG_WATCH_H

#include "pg_task.h"

struct pg_watch {
    PGconn *sql;              /* of its own, as nothing may wait for its answers; NULL: not connected */
    bool asked;               /* and not answered yet */
    int64_t next_ms, last_ms; /* of clock_mono_ms; 0: not looked yet */
    double held;              /* bytes, when we looked last */
    double growth;            /* bytes a second, smoothed over about a minute */
};

/*
 * Asks if it is time, and takes in an answer if it is there. A server that does not answer is the stream's trouble, and only
 * logged here. LEAT_OK or after host->fail.
 */
int pg_watch_look(struct pg_task *t, struct pg_watch *w);
void pg_watch_close(struct pg_watch *w);
int64_t pg_watch_due_ms(const struct pg_watch *w);

#endif
