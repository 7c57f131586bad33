/*
 * pg_incremental_window: one window of an incremental snapshot: a chunk is read between two watermarks, or the tables that
 * have nothing left are passed by; where the stream comes past the second, what it has left of the chunk is emitted. Task's
 * thread.
 */
#include "pg_incremental.h"

#include <string.h>
#include <time.h>

#include "pg_stream.h"
#include "pg_unchanged.h"

/* ---- a chunk's end ------------------------------------------------------------------------------------------------ */

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int emit_rows(struct pg_incremental *i)
{
    const struct snap_table *t = i->source.table;
    struct pg_position at = i->last;
    if (!at.lsn)
        at = (struct pg_position){.lsn = i->t->stored.lsn_commit, .last_commit = i->t->stored.last_commit};
    at.xid = 0;
    at.no_lsn = true;
    struct cdc_cell *cells = t->rows_cells[0];
    struct cdc_change c = {.table = t->table, .op = 'r', .after = cells};
    c.at = (struct cdc_origin){.snapshot = CDC_INCREMENTAL, .own = &at};
    int rc = LEAT_OK;
    for (size_t row = 0; row < i->chunk.rows && rc == LEAT_OK; row++) {
        const struct cdc_cell *raw = i->chunk.cells + row * i->chunk.columns + 1;
        if (i->chunk.gone[row])
            continue;
        for (size_t k = 0; k < t->selected; k++)
            cells[t->map[k]] = raw[k];
        c.at.ts_us = now_us();
        if (t->unchanged)
            pg_unchanged_learn(i->t->unchanged, t->unchanged, cells, pg_stream_seen(i->t->stream));
        rc = cdc_change(i->t->cdc, &c);
    }
    return rc;
}

int inc_close_window(struct pg_incremental *i)
{
    struct err e;
    bool stale = i->window.stale;
    inc_window_clear(&i->window);
    if (stale) {
        inc_chunk_clear(&i->chunk);
        inc_source_close(&i->source);
        return LEAT_OK;
    }
    int rc = emit_rows(i);
    if (rc != LEAT_OK)
        return rc;
    if (inc_chunk_end(&i->source, &i->chunk, &i->state.progress, &e) != ERR_OK)
        return snap_fail(i->t, &e);
    i->state.progress.rows += i->chunk.rows;
    inc_chunk_clear(&i->chunk);
    return inc_state_store(i->t, &i->state);
}

/* ---- a chunk ------------------------------------------------------------------------------------------------------ */

/* The first table of the request is done. */
static int end_table(struct pg_incremental *i, const char *status)
{
    struct inc_request *r = i->state.requests;
    struct inc_table *t = r->tables;
    int rc = inc_tell_table_done(i, status);
    r->tables = t->next;
    t->next = NULL;
    inc_table_free(t);
    inc_progress_clear(&i->state.progress);
    i->limit = i->chunk_rows;
    return rc == LEAT_OK ? inc_state_store(i->t, &i->state) : rc;
}

/* After the chunk is read: says so, and asks for fewer rows next time where they did not fit. */
static int tell_chunk(struct pg_incremental *i)
{
    struct err e;
    struct inc_progress at = {0};
    if (i->chunk.text.len > i->chunk_bytes / 2 && i->chunk.rows < i->limit)
        i->limit = i->chunk.rows;
    at.n = i->state.progress.n;
    int rc = inc_chunk_end(&i->source, &i->chunk, &at, &e) == ERR_OK ? inc_tell_progress(i, at.last)
                                                                     : snap_fail(i->t, &e);
    inc_progress_clear(&at);
    return rc;
}

/* Rows that cannot be compared are not read, and nobody would know. */
static void warn_of_nulls(struct pg_incremental *i)
{
    const struct snap_table *t = i->source.table;
    const struct cdc_column *c = cdc_table_column(t->table, t->map[i->source.key[0]]);
    if (i->state.requests->surrogate && c->schema.optional)
        i->t->host->log(i->t->task, LEAT_WARN,
                        "incremental snapshot of %s: rows whose surrogate key \"%s\" is NULL are not read",
                        t->id, c->name);
}

/* It is the connection, the server or a stop, not the table. */
static bool may_pass(const struct pg_incremental *i, const struct err *e)
{
    return e->retriable || e->code == ERR_INTERRUPTED || PQstatus(i->t->sql) != CONNECTION_OK;
}

/*
 * The table cannot be read. Where a column was dropped, renamed or changed after it was looked at, that is why: it is read as it is
 * now. Else it ends, with a word in the log.
 */
static int table_failed(struct pg_incremental *i, const struct err *why)
{
    struct err e;
    struct inc_source *s = &i->source;
    const struct inc_request *r = i->state.requests;
    char before[sizeof s->version] = "";
    if (may_pass(i, why))
        return snap_fail(i->t, why);
    if (s->table) {
        memcpy(before, s->version, sizeof before);
        int rc = inc_source_open(i->t, i->t->sql, r->tables->id, r->surrogate, s, &e);
        if (rc == ERR_OK && strcmp(before, s->version) != 0)
            return LEAT_OK;
        if (rc != ERR_OK && may_pass(i, &e))
            return snap_fail(i->t, &e);
    }
    i->t->host->log(i->t->task, LEAT_ERROR, "incremental snapshot of %s: %s", r->tables->id, why->text);
    return end_table(i, why->code == ERR_NOT_FOUND ? "UNKNOWN_SCHEMA" : "SQL_EXCEPTION");
}

/*
 * Reads the next chunk of the request's first table into i->chunk, or ends the table. A failure of the table's own (it is
 * gone, its condition is wrong) ends it, with a word in the log.
 */
static int read_table(struct pg_incremental *i, bool *got)
{
    struct err e;
    const struct inc_request *r = i->state.requests;
    struct inc_progress *p = &i->state.progress;
    *got = false;
    int rc = inc_source_open(i->t, i->t->sql, r->tables->id, r->surrogate, &i->source, &e);
    if (rc == ERR_OK && !i->source.key_count)
        return end_table(i, "NO_PRIMARY_KEY");
    if (rc == ERR_OK && p->n != i->source.key_count) {
        inc_progress_clear(p); /* not begun, or by another key */
        rc = inc_read_max(i->t->sql, &i->source, r->tables, p, &e);
        if (rc == ERR_OK)
            warn_of_nulls(i);
        if (rc == ERR_OK && !p->n)
            return end_table(i, "EMPTY");
    }
    if (rc == ERR_OK)
        rc = inc_read_chunk(i->t->sql, &i->source, r->tables, p, i->limit, i->chunk_bytes, &i->chunk, &e);
    if (rc == ERR_OK && i->chunk.rows == 0)
        return end_table(i, "SUCCEEDED");
    *got = rc == ERR_OK;
    return rc == ERR_OK ? tell_chunk(i) : table_failed(i, &e);
}

static int end_request(struct pg_incremental *i)
{
    struct inc_request *r = i->state.requests;
    int rc = inc_tell_completed(i, r);
    i->state.requests = r->next;
    inc_request_free(r);
    inc_source_close(&i->source);
    return rc == LEAT_OK ? inc_state_store(i->t, &i->state) : rc;
}

/* Tables without anything to read are passed by within one window, as Debezium does. */
static int read_some(struct pg_incremental *i, bool *got)
{
    int rc = LEAT_OK;
    *got = false;
    while (rc == LEAT_OK && !*got && i->state.requests->tables)
        rc = read_table(i, got);
    return rc == LEAT_OK && !*got ? end_request(i) : rc;
}

/* The signal table cannot be written (no right, no such table, other columns): windows do without. False: something else failed. */
static bool do_without(struct pg_incremental *i, const struct err *e)
{
    if (may_pass(i, e) || i->window.strategy == INC_READ_ONLY)
        return false;
    i->t->host->log(i->t->task, LEAT_WARN,
                    "incremental snapshot: the signal table cannot be written, windows are read-only: %s",
                    e->text);
    i->window.strategy = INC_READ_ONLY;
    return true;
}

static int begin_failed(struct pg_incremental *i, struct err *e)
{
    if (e->code == ERR_BUSY) {
        i->busy = true;
        return LEAT_OK;
    }
    return do_without(i, e) ? LEAT_OK : snap_fail(i->t, e);
}

int inc_read_window(struct pg_incremental *i)
{
    struct err e;
    bool got;
    i->busy = false;
    if (pg_sql(i->t, &e) != ERR_OK)
        return snap_fail(i->t, &e);
    if (inc_window_low(i->t, i->t->sql, i->recent, INC_RECENT, &i->window, &e) != ERR_OK)
        return begin_failed(i, &e);
    int rc = read_some(i, &got);
    if (rc != LEAT_OK)
        return rc;
    rc = inc_window_high(i->t, i->t->sql, &i->window, &e);
    /* What ran when the window began is known, which is all that a read-only one has. */
    if (rc != ERR_OK && do_without(i, &e))
        rc = inc_window_high(i->t, i->t->sql, &i->window, &e);
    if (rc != ERR_OK)
        return snap_fail(i->t, &e);
    i->window.waiting = got;
    return LEAT_OK;
}
