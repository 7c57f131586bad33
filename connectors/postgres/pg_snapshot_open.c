/*
 * pg_snapshot_open: how a snapshot begins and ends: connections that all see one moment of the database, as they import the
 * slot's exported snapshot or export one of their own; readers, plan; what is given back. Task's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg_snapshot.h"

int snap_fail(struct pg_task *t, const struct err *e)
{
    return t->host->fail(t->task, e->retriable || e->code == ERR_INTERRUPTED ? LEAT_RETRY : LEAT_FAIL, "%s",
                         e->text);
}

/* ---- one snapshot for all connections ----------------------------------------------------------------------------- */

static int run(PGconn *c, const char *what, const char *sql, struct err *e)
{
    PGresult *r = pg_query(c, e, what, sql, 0, NULL);
    PQclear(r);
    return r ? ERR_OK : e->code;
}

/*
 * snapshot.isolation.mode: what Debezium offers below repeatable read shows tables at different times; nothing is weaker here.
 * A large table takes longer than what is right for others' statements, and the connections wait for one another.
 */
static const char begin_sql[] = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
static const char timeouts_sql[] = "SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN "
                                   "('statement_timeout', 'transaction_timeout')"; /* the second: 17 on */

/*
 * Somebody who holds a table that one connection is to look at may wait for another one, which has read a table of his: the server
 * does not see that the two are one, and finds no deadlock. So none of them waits for long. A limit of the session's own that is
 * shorter stays.
 */
static const char lock_sql[] =
    "SELECT set_config(name, $1::text, false) FROM pg_settings WHERE name = 'lock_timeout' AND "
    "(setting::bigint = 0 OR setting::bigint > ($1::text)::bigint)";

static int limit_locks(const struct pg_snapshot *s, PGconn *c, struct err *e)
{
    char ms[24];
    const char *param = ms;
    int64_t limit = s->t->host->get_int(s->t->config, "snapshot.lock.timeout.ms");
    if (limit == 0)
        return ERR_OK;
    snprintf(ms, sizeof ms, "%" PRId64, limit);
    PGresult *r = pg_query(c, e, "limiting how long locks are waited for", lock_sql, 1, &param);
    PQclear(r);
    return r ? ERR_OK : e->code;
}

static int import(const struct pg_snapshot *s, PGconn *c, const char *snapshot, struct err *e)
{
    int rc = limit_locks(s, c, e);
    if (rc == ERR_OK)
        rc = run(c, "taking time-outs off", timeouts_sql, e);
    if (rc == ERR_OK)
        rc = run(c, "beginning the snapshot", begin_sql, e);
    if (rc != ERR_OK || !snapshot)
        return rc;
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    rc = buf_str(&b, "SET TRANSACTION SNAPSHOT ", e);
    if (rc == ERR_OK)
        rc = pg_quote_text(&b, snapshot, e);
    if (rc == ERR_OK)
        rc = buf_u8(&b, '\0', e);
    if (rc == ERR_OK)
        rc = run(c, "taking part in the exported snapshot", (const char *)b.data, e);
    buf_free(&b);
    return rc;
}

static const char snapshot_sql[] =
    "SELECT pg_snapshot_xmin(pg_current_snapshot()), pg_snapshot_xmax(pg_current_snapshot()), "
    "(extract(epoch FROM now()) * 1000000)::bigint, current_setting('block_size'), "
    "CASE WHEN $1 THEN pg_export_snapshot() END, CASE WHEN pg_is_in_recovery() THEN "
    "pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END";

/* Connects `n` readers into the snapshot of s->sql. */
static int connect_readers(struct pg_snapshot *s, const char *snapshot, PGconn **readers, size_t n,
                           struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        rc = pg_connect(s->t->task, s->t->host, s->t->settings, PG_SQL, &readers[i], e);
        if (rc == ERR_OK)
            rc = import(s, readers[i], snapshot, e);
    }
    return rc;
}

static int connect_all(struct pg_snapshot *s, const char *exported, PGconn **readers, size_t n, struct err *e)
{
    const char *export = exported ? "f" : "t";
    int rc = pg_connect(s->t->task, s->t->host, s->t->settings, PG_SQL, &s->sql, e);
    if (rc == ERR_OK)
        rc = import(s, s->sql, exported, e);
    if (rc != ERR_OK)
        return rc;
    PGresult *r = pg_query(s->sql, e, "looking at the snapshot", snapshot_sql, 1, &export);
    if (!r)
        return e->code;
    s->xmin = strtoull(PQgetvalue(r, 0, 0), NULL, 10);
    s->xmax = strtoull(PQgetvalue(r, 0, 1), NULL, 10);
    s->at.ts_us = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
    s->block_bytes = strtoull(PQgetvalue(r, 0, 3), NULL, 10);
    if (!pg_lsn_parse(PQgetvalue(r, 0, 5), &s->as_of))
        rc = err_set(e, ERR_REMOTE, "the server is at '%s'", PQgetvalue(r, 0, 5));
    else
        rc = connect_readers(s, exported ? exported : PQgetvalue(r, 0, 4), readers, n, e);
    PQclear(r);
    return rc;
}

/* ---- open and close ----------------------------------------------------------------------------------------------- */

static int start_pool(struct pg_snapshot *s, const char *exported, struct err *e)
{
    PGconn *readers[SNAP_READERS_MAX] = {0};
    size_t n = (size_t)s->t->host->get_int(s->t->config, "snapshot.max.threads");
    int rc = connect_all(s, exported, readers, n, e);
    if (rc == ERR_OK)
        rc = snap_pool_start(s->t, readers, n, s->budget, &s->pool, e);
    for (size_t i = 0; i < n; i++)
        pg_disconnect(&readers[i]);
    return rc;
}

int pg_snapshot_begin(struct pg_task *t, const struct snap_request *r, struct pg_snapshot **out)
{
    struct err e;
    struct pg_snapshot *s = mem_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return t->host->fail(t->task, LEAT_RETRY, "out of memory");
    s->t = t;
    s->space = r->space;
    s->blocking = r->blocking;
    s->fresh = r->fresh;
    s->chunk_rows = (uint64_t)t->host->get_int(t->config, "snapshot.chunk.rows");
    s->budget = (size_t)t->host->get_int(t->config, "snapshot.buffer.bytes");
    int rc = start_pool(s, r->exported, &e);
    if (rc == ERR_OK)
        rc = snap_plan_make(s, r, &e);
    if (rc != ERR_OK) {
        pg_snapshot_close(s);
        return snap_fail(t, &e);
    }
    /* The newest transaction that the snapshot can know of: Debezium's would be one that it makes for this. */
    s->position =
        (struct pg_position){.lsn = r->lsn, .last_commit = r->last_commit, .xid = (uint32_t)s->xmax};
    s->at.own = &s->position;
    if (r->exported)
        s->as_of = r->lsn;
    s->offer_table = s->emit_table = s->plan.tables;
    *out = s;
    return LEAT_OK;
}

int pg_snapshot_open(struct pg_task *t, const char *exported, uint64_t lsn, struct pg_snapshot **out)
{
    const char *const *items;
    struct cdc_filter list = {0};
    struct err e;
    size_t n = t->host->get_list(t->config, "snapshot.include.collection.list", &items);
    if (cdc_filter_read("snapshot.include.collection.list", items, n, &list, &e) != ERR_OK)
        return snap_fail(t, &e);
    struct snap_request r = {.exported = exported,
                             .lsn = lsn,
                             .space = "snapshot",
                             .fresh = exported || !t->stored.any,
                             .collections = n ? &list : NULL};
    int rc = pg_snapshot_begin(t, &r, out);
    cdc_filter_free(&list);
    return rc;
}

void pg_snapshot_close(struct pg_snapshot *s)
{
    if (!s)
        return;
    if (s->pool) {
        snap_pool_give_back(s->pool, s->waiting.block);
        snap_pool_give_back(s->pool, s->block);
    }
    snap_pool_stop(s->pool);
    pg_disconnect(&s->sql);
    snap_plan_free(&s->plan);
    mem_free(s);
}
