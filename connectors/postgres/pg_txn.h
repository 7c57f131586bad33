/*
 * pg_txn: the transaction whose changes are at hand, whether they come off the wire or out of a spool: makes events of them,
 * counts them, and knows what of it the store has already. Changes t->stored, which the poll then stores. Task's thread.
 *
 * A partial position counts the changes of a transaction as the server sends them, captured or not, and is therefore the same
 * for streamed and unstreamed transactions and for whatever filters.
 */
#ifndef LEAT_PG_TXN_H
#define LEAT_PG_TXN_H

#include "pg_task.h"
#include "pgoutput.h"

struct pg_txn;

/* NULL: out of memory. `room`: that changes are decoded into; cells of it are changed. */
struct pg_txn *pg_txn_new(struct pg_task *t, const struct pgoutput_room *room);
void pg_txn_free(struct pg_txn *x);

bool pg_txn_open(const struct pg_txn *x); /* between begin and end */

/* Each: LEAT_OK or what host->fail returned. */
/* `lsn`: where it begins, of the first change; `commit_lsn`, `ts_us`: of its commit. */
int pg_txn_begin(struct pg_txn *x, uint32_t xid, uint64_t lsn, uint64_t commit_lsn, int64_t ts_us);
/* Insert, update, delete, truncate, message, relation, type, origin. A non-transactional message needs no transaction. */
int pg_txn_take(struct pg_txn *x, const struct pgoutput *m, uint64_t lsn);
int pg_txn_end(struct pg_txn *x, uint64_t end_lsn);
/* Before the poll's position is stored: how much of an open transaction the store has then. */
void pg_txn_mark(struct pg_txn *x);

#endif
