/*
 * pg_origin: of a transaction what the source block tells beside its own place: the replication origin it came by
 * (pg_replication_origin_session_setup, or a subscription), and now and then the slot's catalog_xmin. Task's thread.
 */
#ifndef LEAT_PG_ORIGIN_H
#define LEAT_PG_ORIGIN_H

#include "pg_task.h"
#include "pgoutput.h"

struct pg_origin;

/* NULL: out of memory. */
struct pg_origin *pg_origin_new(struct pg_task *t);
void pg_origin_free(struct pg_origin *o); /* NULL: nothing */

/* A transaction begins, of which nothing is known yet. */
void pg_origin_begin(struct pg_origin *o, struct pg_position *at);
/* Its origin message: sets what `at` tells, until the next begin. */
int pg_origin_take(struct pg_origin *o, const struct pgoutput *m, struct pg_position *at, struct err *e);

/* xmin.fetch.interval.ms is set, and over since it was asked: the server has to be asked. */
bool pg_origin_due(const struct pg_origin *o);
/* Asks it, and sets what `at` tells; without an answer the former one stays, with a warning. */
void pg_origin_fetch_xmin(struct pg_origin *o, struct pg_position *at);

#endif
