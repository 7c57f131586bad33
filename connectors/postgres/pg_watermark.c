/*
 * pg_watermark: the two ends of a window. With a signal table they are rows in it, which come back by the stream; without
 * (or where it cannot be written) they are what the server says of running transactions before the chunk is read, and how far
 * its log is after it.
 *
 * A transaction can come by the stream, and its commit lie before that of the low watermark, while others do not see it yet:
 * it waits for its log to be synced or for a standby. The chunk would have rows from before it, and emit them behind its
 * changes. So a window does not begin while the last transactions of the stream are not visible, and changes of those that
 * were not visible when it began take their rows out of it also before the low watermark comes. Task's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "pg_incremental.h"
#include "pg_query.h"
#include "pg_relation.h"

#define WAL_PAGE 8192
#define WAL_PAGE_HEADER 40

/* ---- rows of the signal table ------------------------------------------------------------------------------------- */

/* 8-4-4-4-12 */
static void make_id(char out[40])
{
    struct uuid u = uuid_random();
    char *p = out;
    for (size_t i = 0; i < sizeof u.b; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        p += snprintf(p, 3, "%02x", u.b[i]);
    }
}

/* 2026-11-20T18:35:13.735485993Z */
static void time_text(char out[48])
{
    struct timespec now;
    struct tm tm;
    char day[24];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    strftime(day, sizeof day, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, 48, "%s.%09ldZ", day, now.tv_nsec);
}

/* The name of the signal table, quoted, behind `before`. */
static int put_table(struct pg_task *t, struct buf *b, const char *before, struct err *e)
{
    const char *name = t->host->get_str(t->config, "signal.data.collection"), *dot = strchr(name, '.');
    if (!dot)
        return err_set(e, ERR_INVALID_CONFIG, "signal.data.collection: \"%s\" is not schema.table", name);
    char *schema = mem_strndup(name, (size_t)(dot - name));
    int rc = schema ? buf_str(b, before, e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, schema, e);
    if (rc == ERR_OK)
        rc = buf_u8(b, '.', e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, dot + 1, e);
    mem_free(schema);
    return rc;
}

static int find_signals(struct pg_task *t, PGconn *sql, struct inc_window *w, struct err *e)
{
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    int rc = put_table(t, &b, "", e);
    if (rc == ERR_OK)
        rc = buf_u8(&b, '\0', e);
    const char *name = (const char *)b.data;
    PGresult *r = rc == ERR_OK
                      ? pg_query(sql, e, "looking for the signal table", "SELECT $1::regclass::oid", 1, &name)
                      : NULL;
    if (r)
        w->signals = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    buf_free(&b);
    return r ? ERR_OK : e->code;
}

static int insert(struct pg_task *t, PGconn *sql, const struct inc_window *w, const char *which,
                  const char *data, struct err *e)
{
    struct buf b;
    char id[64], type[32];
    buf_init(&b, SNAP_SQL_MAX);
    snprintf(id, sizeof id, "%s-%s", w->id, which);
    snprintf(type, sizeof type, "snapshot-window-%s", which);
    const char *const values[] = {id, type, data};
    int rc = put_table(t, &b, "INSERT INTO ", e);
    if (rc == ERR_OK)
        rc = buf_append(&b, " VALUES ($1, $2, $3)", 21, e);
    PGresult *r =
        rc == ERR_OK ? pg_query(sql, e, "writing a watermark", (const char *)b.data, 3, values) : NULL;
    PQclear(r);
    buf_free(&b);
    return r ? ERR_OK : e->code;
}

static int delete_open(struct pg_task *t, PGconn *sql, const struct inc_window *w, struct err *e)
{
    struct buf b;
    char id[64];
    const char *value = id;
    buf_init(&b, SNAP_SQL_MAX);
    snprintf(id, sizeof id, "%s-open", w->id);
    int rc = put_table(t, &b, "DELETE FROM ", e);
    if (rc == ERR_OK)
        rc = buf_append(&b, " WHERE id = $1", 15, e);
    PGresult *r =
        rc == ERR_OK ? pg_query(sql, e, "deleting a watermark", (const char *)b.data, 1, &value) : NULL;
    PQclear(r);
    buf_free(&b);
    return r ? ERR_OK : e->code;
}

/* ---- without one -------------------------------------------------------------------------------------------------- */

/* pg_snapshot's text: xmin:xmax:running,running */
static int parse_snapshot(const char *text, struct inc_window *w, struct err *e)
{
    char *p;
    w->low_xmin = strtoull(text, &p, 10);
    if (*p == ':')
        w->low_xmax = strtoull(p + 1, &p, 10);
    if (*p != ':')
        return err_set(e, ERR_CORRUPT, "the server's snapshot %.64s is not one", text);
    size_t n = 1;
    for (const char *c = p; *c; c++)
        n += *c == ',';
    if (!(w->low_running = mem_calloc(n, sizeof *w->low_running)))
        return err_nomem(e);
    while (*p && p[1])
        w->low_running[w->low_count++] = (uint32_t)strtoull(p + 1, &p, 10);
    return ERR_OK;
}

static int read_low(PGconn *sql, struct inc_window *w, struct err *e)
{
    PGresult *r =
        pg_query(sql, e, "looking at running transactions", "SELECT pg_current_snapshot()::text", 0, NULL);
    int rc = r ? parse_snapshot(PQgetvalue(r, 0, 0), w, e) : e->code;
    PQclear(r);
    return rc;
}

/* At the begin of a page the position is told as behind its header, which the stream never reaches before the next record. */
static int read_high(PGconn *sql, struct inc_window *w, struct err *e)
{
    PGresult *r = pg_query(sql, e, "looking at the log's end",
                           "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
                           "pg_current_wal_insert_lsn() END",
                           0, NULL);
    if (!r)
        return e->code;
    int rc = pg_lsn_parse(PQgetvalue(r, 0, 0), &w->high_lsn)
                 ? ERR_OK
                 : err_set(e, ERR_CORRUPT, "the log's end %.64s is no LSN", PQgetvalue(r, 0, 0));
    if (w->high_lsn % WAL_PAGE <= WAL_PAGE_HEADER)
        w->high_lsn -= w->high_lsn % WAL_PAGE;
    PQclear(r);
    return rc;
}

/* ---- both --------------------------------------------------------------------------------------------------------- */

/* Not visible to who looked when the window began. xid has the lower half of 64 bits; the difference tells which is older. */
static bool is_invisible(const struct inc_window *w, uint32_t xid)
{
    if ((int32_t)(xid - (uint32_t)w->low_xmin) < 0)
        return false;
    if ((int32_t)(xid - (uint32_t)w->low_xmax) >= 0)
        return true;
    for (size_t i = 0; i < w->low_count; i++)
        if (w->low_running[i] == xid)
            return true;
    return false;
}

/*
 * ERR_BUSY: one is not visible yet. One that came 2^31 transactions ago looks as if it were to come: it does not run, so it is
 * visible, and is forgotten; the next look, by a snapshot behind that, does not ask for it any more.
 */
static int all_visible(PGconn *sql, const struct inc_window *w, uint32_t *recent, size_t n, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n; i++) {
        bool runs;
        if (!recent[i] || !is_invisible(w, recent[i]))
            continue;
        if (pg_transaction_runs(sql, recent[i], &runs, e) != ERR_OK)
            return e->code;
        rc = err_set(e, ERR_BUSY, "transaction %" PRIu32 " came by the stream and is not visible yet",
                     recent[i]);
        if (!runs)
            recent[i] = 0;
    }
    return rc;
}

int inc_window_low(struct pg_task *t, PGconn *sql, uint32_t *recent, size_t n, struct inc_window *w,
                   struct err *e)
{
    char data[128];
    inc_window_clear(w);
    make_id(w->id);
    int rc = read_low(sql, w, e);
    if (rc == ERR_OK)
        rc = all_visible(sql, w, recent, n, e);
    if (rc != ERR_OK || w->strategy == INC_READ_ONLY)
        return rc;
    time_text(w->opened);
    snprintf(data, sizeof data, "{\"openWindowTimestamp\": \"%s\"}", w->opened);
    rc = find_signals(t, sql, w, e);
    return rc == ERR_OK ? insert(t, sql, w, "open", data, e) : rc;
}

int inc_window_high(struct pg_task *t, PGconn *sql, struct inc_window *w, struct err *e)
{
    char high[48], data[192];
    int rc = ERR_OK;
    if (w->strategy == INC_INSERT_DELETE) {
        rc = delete_open(t, sql, w, e);
    } else if (w->strategy == INC_INSERT_INSERT) {
        time_text(high);
        snprintf(data, sizeof data, "{\"openWindowTimestamp\": \"%s\", \"closeWindowTimestamp\": \"%s\"}",
                 w->opened, high);
        rc = insert(t, sql, w, "close", data, e);
    }
    return rc == ERR_OK ? read_high(sql, w, e) : rc;
}

bool inc_window_concerns(const struct inc_window *w, uint32_t xid)
{
    return w->open || is_invisible(w, xid);
}

void inc_window_clear(struct inc_window *w)
{
    mem_free(w->low_running);
    *w = (struct inc_window){.strategy = w->strategy};
}
