/*
 * pg_snapshot_tell: what a snapshot says of itself: notifications as Debezium sends them, log lines, gauges. Task's thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg_snapshot.h"

#define AGGREGATE "Initial Snapshot"
#define LOG_EVERY_MS 10000
#define STATUS_EVERY_MS 250
#define STATUS_TABLES_MAX 1000 /* the host has room for 4096 rows */

/* Rows a second since the table's (the snapshot's) reading began in this attempt. */
static double rate(uint64_t rows, int64_t started_ms)
{
    int64_t ms = clock_mono_ms() - started_ms;
    return ms > 0 ? (double)rows * 1000 / (double)ms : 0;
}

/* ---- rows of `leat status` ---------------------------------------------------------------------------------------- */

/* By the planner's estimate; < 0: unknown. */
static double seconds_left(const struct snap_table *t, double a_second)
{
    if (t->estimate < 0 || a_second <= 0)
        return -1;
    double left = t->estimate - (double)t->rows;
    return left > 0 ? left / a_second : 0;
}

/* Of very many tables only the one that is being read has a row. */
static int set_status(struct pg_snapshot *s, const struct snap_table *t, const char *state)
{
    const struct leat_host *h = s->t->host;
    bool is_done = strcmp(state, "done") == 0;
    char *key = mem_printf("snapshot %s", t->id), json[256], left[48] = "";
    if (!key)
        return h->fail(s->t->task, LEAT_RETRY, "out of memory");
    double a_second = rate(t->rows - t->started_rows, t->started_ms), seconds = seconds_left(t, a_second);
    if (!is_done && seconds >= 0)
        snprintf(left, sizeof left, ",\"left_ms\":%.0f", seconds * 1000);
    snprintf(json, sizeof json, "{\"state\":\"%s\",\"rows\":%" PRIu64 ",\"rows_per_s\":%.0f%s}", state,
             t->rows, a_second, left);
    int rc = h->status(s->t->task, key, is_done && s->plan.count > STATUS_TABLES_MAX ? NULL : json);
    mem_free(key);
    return rc;
}

/* ---- begin and end ------------------------------------------------------------------------------------------------ */

int snap_tell_started(struct pg_snapshot *s)
{
    s->announced = true;
    s->started_ms = s->told_ms = clock_mono_ms();
    s->t->host->log(s->t->task, LEAT_INFO, "snapshot%s: %zu tables, %zu readers",
                    s->blocking ? " by signal" : "", s->plan.count, snap_pool_readers(s->pool));
    return cdc_notify(s->t->cdc, NULL, "STARTED", AGGREGATE, NULL);
}

int snap_tell_table(struct pg_snapshot *s, struct snap_table *t)
{
    const char *const data[] = {"current_collection_in_progress", t->id, "data_collections", s->plan.read_ids,
                                NULL};
    t->announced = true;
    t->started_ms = clock_mono_ms();
    t->started_rows = t->rows;
    if (t->rows)
        s->t->host->log(s->t->task, LEAT_INFO, "snapshot of %s: goes on behind %" PRIu64 " rows", t->id,
                        t->rows);
    int rc = set_status(s, t, "reading");
    return rc == LEAT_OK ? cdc_notify(s->t->cdc, NULL, "IN_PROGRESS", AGGREGATE, data) : rc;
}

int snap_tell_table_done(struct pg_snapshot *s, struct snap_table *t)
{
    char rows[24];
    const char *ids = s->blocking ? s->plan.read_ids : s->plan.captured_ids;
    const char *const data[] = {"scanned_collection",
                                t->id,
                                "total_rows_scanned",
                                rows,
                                "status",
                                "SUCCEEDED",
                                "data_collections",
                                ids,
                                NULL};
    snprintf(rows, sizeof rows, "%" PRIu64, t->rows);
    s->t->host->log(s->t->task, LEAT_INFO, "snapshot of %s: done, %" PRIu64 " rows, %.0f a second", t->id,
                    t->rows, rate(t->rows - t->started_rows, t->started_ms));
    int rc = set_status(s, t, "done");
    return rc == LEAT_OK ? cdc_notify(s->t->cdc, NULL, "TABLE_SCAN_COMPLETED", AGGREGATE, data) : rc;
}

int snap_tell_done(struct pg_snapshot *s)
{
    s->t->host->log(s->t->task, LEAT_INFO, "snapshot: done, %" PRIu64 " rows, %.0f a second", s->rows,
                    rate(s->rows, s->started_ms));
    s->t->host->gauge(s->t->task, "snapshot_rows", (double)s->rows);
    return cdc_notify(s->t->cdc, NULL, "COMPLETED", AGGREGATE, NULL);
}

static void log_progress(struct pg_snapshot *s, const struct snap_table *t, double a_second, double left)
{
    char time[48] = "";
    if (left >= 0)
        snprintf(time, sizeof time, ", about %.0f s left", left);
    s->t->host->log(s->t->task, LEAT_INFO, "snapshot of %s: %" PRIu64 " rows, %.0f a second%s", t->id,
                    t->rows, a_second, time);
}

int snap_tell_progress(struct pg_snapshot *s)
{
    const struct leat_host *h = s->t->host;
    const struct snap_table *t = s->emit_table;
    int64_t now = clock_mono_ms();
    if (now - s->status_ms < STATUS_EVERY_MS)
        return LEAT_OK;
    s->status_ms = now;
    h->gauge(s->t->task, "snapshot_rows", (double)s->rows);
    h->gauge(s->t->task, "snapshot_rows_per_second", rate(s->rows, s->started_ms));
    if (!t || !t->announced)
        return LEAT_OK;
    if (now - s->told_ms >= LOG_EVERY_MS) {
        double a_second = rate(t->rows - t->started_rows, t->started_ms);
        s->told_ms = now;
        log_progress(s, t, a_second, seconds_left(t, a_second));
    }
    return set_status(s, t, "reading");
}
