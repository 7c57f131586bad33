/*
 * pg_task: a running Postgres source: what its parts share. Task's thread.
 *
 * Life: open reads the stored position, looks at the server (pg_setup), makes or finds publication and slot, and decides by
 * snapshot.mode whether to read tables first. poll does a piece of the snapshot (pg_snapshot), then of the stream
 * (pg_stream), and between them what signals ask for (pg_signal, pg_incremental).
 */
#ifndef LEAT_PG_TASK_H
#define LEAT_PG_TASK_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/hash.h"
#include "kit/cdc/cdc.h"
#include "leat/plugin.h"
#include "pg_conn.h"
#include "pg_types.h"

/* cdc_origin.own of this connector: what becomes txId, lsn and sequence. */
struct pg_position {
    uint64_t lsn;         /* of the row or message itself */
    uint64_t last_commit; /* end of the last transaction before it; 0: none since the snapshot */
    uint32_t xid;         /* 0: null */
    bool no_lsn;          /* incremental reads: txId and lsn null */
    const char *origin;   /* name of the replication origin, as JSON; NULL: null. Borrowed (pg_origin) */
    uint64_t origin_lsn;  /* where the transaction was committed there; 0: not told */
    uint32_t xmin;        /* of the slot; 0: null */
};

/* What is stored as the source position of {"server":"<topic.prefix>"}; see docs/design/0004-postgres-cdc.md. */
struct pg_stored {
    bool any;
    uint64_t
        lsn_commit; /* end of the last transaction that is wholly in the store, or up to where nothing was for us */
    uint64_t last_commit; /* sequence[0] for what comes next; 0: null */
    uint64_t
        partial_lsn; /* commit lsn of a transaction of which the first `partial` changes are in the store; 0: none */
    uint64_t partial;
    uint64_t
        skip_lsn; /* Debezium stored this position within a transaction: rows up to here are in the store; 0: none */
    bool snapshot; /* a snapshot is under way: the slot is there, its tables are not all read */
    int64_t ts_us;
    uint32_t xid;
    char system_id[24]; /* of the cluster that the LSNs are of; empty: not known */
    uint32_t timeline;  /* of its history; 0: not known */
};

struct pg_server {
    int version; /* 150018 */
    char system_id[24];
    uint32_t timeline;         /* 0: may change while we are connected (a standby) */
    uint64_t end;              /* of its log, as far as that is synced (a standby: replayed) */
    uint64_t slot_confirmed;   /* confirmed_flush_lsn; 0: no slot */
    int64_t sender_timeout_ms; /* wal_sender_timeout; 0: none */
};

struct pg_snapshot;
struct pg_stream;
struct pg_incremental;
struct pg_unchanged;

struct pg_task {
    struct leat_task *task;
    const struct leat_host *host;
    const struct leat_config *config;
    struct pg_settings *settings;
    struct cdc *cdc;
    struct pg_types *types;
    PGconn *sql; /* for catalog queries; reopened after it was lost */
    struct pg_server server;
    struct pg_stored stored;
    uint64_t polls; /* since open: numbers what pg_durable is told of */
    struct pg_snapshot *snapshot;
    struct pg_stream *stream;
    struct pg_incremental *incremental;
    struct pg_unchanged *unchanged; /* NULL: unavailable.value.fill is off */
};

/* Reads t->stored; also what Debezium stored. LEAT_OK or what host->fail returned. */
int pg_load_position(struct pg_task *t);
/* Stores where the source is, in this poll's transaction. LEAT_OK or what host->fail returned. */
int pg_store_position(struct pg_task *t);
/* t->sql, connected (again). */
int pg_sql(struct pg_task *t, struct err *e);

/* ---- snapshot (pg_snapshot*.c) ---------------------------------------------------------------------------------- */

/*
 * Begins or resumes one. `exported`: name of the slot's exported snapshot, valid while the replication connection that made
 * the slot is idle; NULL: reads see the present. `lsn`: the slot's consistent point, of the rows' source.
 */
int pg_snapshot_open(struct pg_task *t, const char *exported, uint64_t lsn, struct pg_snapshot **out);
/* Emits about host->poll_bytes of rows and sets positions; *done: all tables are read, and that is in this poll. */
int pg_snapshot_poll(struct pg_snapshot *s, bool *done);
void pg_snapshot_close(struct pg_snapshot *s);

/* ---- incremental snapshots and signals (pg_signal.c, pg_incremental.c) -------------------------------------------- */

int pg_incremental_open(struct pg_task *t, struct pg_incremental **out); /* goes on from stored progress */
void pg_incremental_close(struct pg_incremental *i);
/* A row was inserted into the signal table and came by the stream: columns id, type, data. */
int pg_incremental_signal(struct pg_incremental *i, const char *id, const char *type, const char *data);
/*
 * A change of the relation `oid` came by the stream and was emitted (those of the signal table too, before
 * pg_incremental_signal): its key leaves the window.
 */
int pg_incremental_saw(struct pg_incremental *i, uint32_t oid, const struct cdc_change *c);
/* The table was described anew by a relation message: an open window over it is read again. */
int pg_incremental_relation(struct pg_incremental *i, uint32_t oid);
/* Called between transactions: looks for signals, reads the next chunk, emits what a closed window left. */
int pg_incremental_step(struct pg_incremental *i);
void pg_incremental_durable(struct pg_incremental *i, uint64_t polls); /* so many polls are durable */
/*
 * A blocking snapshot is under way: the stream is not read, step is called in each poll instead (it emits about
 * host->poll_bytes and sets its positions) until this is false again.
 */
bool pg_incremental_blocks(const struct pg_incremental *i);
/* In how many ms it wants to be called again, though nothing comes; -1: no wish. */
int64_t pg_incremental_due_ms(const struct pg_incremental *i);

#endif
