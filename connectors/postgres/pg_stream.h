/*
 * pg_stream: the replication stream of a task: from the stored position on, piece by piece. Task's thread.
 */
#ifndef LEAT_PG_STREAM_H
#define LEAT_PG_STREAM_H

#include "pg_task.h"

/*
 * Begins on `repl`, a replication connection that it takes over (also if it fails), at t->stored. Failing as host->fail.
 */
int pg_stream_open(struct pg_task *t, PGconn *repl, struct pg_stream **out);
/*
 * Emits about host->poll_bytes, or what is there, and stores the position; waits at most `wait_ms` if nothing is there.
 * *idle: it is between transactions and nothing more was there. If the stream ended behind something that it emits, the next call
 * fails.
 */
int pg_stream_poll(struct pg_stream *s, int64_t wait_ms, bool *idle);
/* Up to where the server's log was read: all transactions that were committed before have come. */
uint64_t pg_stream_seen(const struct pg_stream *s);
/* Between two transactions, of which more may come. */
bool pg_stream_between(const struct pg_stream *s);
/* Instead of poll while the stream is to rest: keeps the connection alive. */
int pg_stream_rest(struct pg_stream *s);
/* The poll of this number ended well: with it the store holds all up to t->stored. */
void pg_stream_polled(struct pg_stream *s, uint64_t poll);
/* So many polls are durable. */
void pg_stream_durable(struct pg_stream *s, uint64_t polls);
void pg_stream_close(struct pg_stream *s); /* NULL: nothing */

#endif
