/*
 * log_retention: removing old segments: by time, by size, and by the log's start offset; and when the files go that are
 * no longer part of the log. The rules are Kafka's (UnifiedLog.deleteOldSegments): a segment is as old as its largest
 * timestamp, or where no record has one, as the last change of its file.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

/* One that waits and has the same base, if there is one: its names are those of another one's files from here on. */
static void forget_namesake(struct log *log, int64_t base)
{
    for (struct segment **at = &log->deleted; *at; at = &(*at)->next_deleted) {
        struct segment *s = *at;
        if (s->base != base)
            continue;
        *at = s->next_deleted;
        atomic_store(&s->stage, SEGMENT_NAMELESS);
        segment_set_waiting(s, false);
        segment_unref(s);
        return;
    }
}

/* The files go after file.delete.delay.ms, or later with the last reader. */
void log_let_go(struct log *log, struct segment *s, bool at_once)
{
    int64_t delay = log->config.file_delete_delay_ms, now = clock_mono_ms();
    forget_namesake(log, s->base);
    if (at_once || delay == 0) {
        segment_leave_open(s);
        segment_unref(s);
        return;
    }
    segment_set_waiting(s, true);
    s->remove_at = delay > INT64_MAX - now ? INT64_MAX : now + delay;
    s->next_deleted = log->deleted;
    log->deleted = s;
    if (s->remove_at < atomic_load(&log->next_removal))
        atomic_store(&log->next_removal, s->remove_at);
}

void log_drop_waiting(struct segment *list)
{
    while (list) { /* removing a large file takes its time */
        struct segment *s = list;
        list = s->next_deleted;
        segment_set_waiting(s, false);
        segment_unref(s);
    }
}

int64_t log_next_removal(struct log *log)
{
    return atomic_load(&log->next_removal);
}

void log_remove_deleted(struct log *log, int64_t now_ms)
{
    struct segment *due = NULL;
    int64_t next = INT64_MAX;
    pthread_mutex_lock(&log->append);
    for (struct segment **at = &log->deleted; *at;) {
        struct segment *s = *at;
        if (s->remove_at <= now_ms) {
            *at = s->next_deleted;
            s->next_deleted = due;
            due = s;
            continue;
        }
        next = s->remove_at < next ? s->remove_at : next;
        at = &s->next_deleted;
    }
    atomic_store(&log->next_removal, next);
    pthread_mutex_unlock(&log->append);
    log_drop_waiting(due);
}

static void forget_segment(struct log *log, struct segment *s, bool at_once)
{
    pthread_mutex_lock(&log->state);
    struct segment *warm = log->warm == s ? s : NULL;
    if (warm)
        log->warm = NULL;
    log->bytes -= s->size;
    pthread_mutex_unlock(&log->state);
    atomic_store(&s->warm, false);
    segment_unref(warm);
    log_let_go(log, s, at_once);
}

int log_drop_first(struct log *log, struct err *e)
{
    struct segment *s = log->segments[0];
    int rc = segment_mark_deleted(s, e);
    if (rc)
        return rc;
    log_names_changed(log);
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    log->count--;
    memmove(log->segments, log->segments + 1, log->count * sizeof(struct segment *));
    if (log->start < log->segments[0]->base)
        log->start = log->segments[0]->base;
    epochs_truncate_from_start(&log->epochs, log->start);
    pthread_mutex_unlock(&log->state);
    forget_segment(log, s, false);
    return ERR_OK;
}

int log_drop_last(struct log *log, struct err *e)
{
    struct segment *s = log_active(log);
    int rc = segment_mark_deleted(s, e);
    if (rc)
        return rc;
    log_names_changed(log);
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    log->count--;
    if (log->end > s->base)
        log->end = s->base;
    pthread_mutex_unlock(&log->state);
    forget_segment(log, s, true); /* its name may be wanted again */
    return ERR_OK;
}

/* When the newest record of a segment was made. */
static int segment_newest(struct segment *s, int64_t *newest, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int64_t offset;
    int rc = segment_load(s, s->size, e);
    if (rc)
        return rc;
    segment_max_timestamp(s, newest, &offset);
    return *newest >= 0 ? ERR_OK : io_modified(segment_path(s, FILE_LOG, path), newest, e);
}

/* Kafka keeps such a segment until its time has come, and so everything behind it; somebody should know. */
static void warn_of_future(struct log *log, const struct segment *s, int64_t newest)
{
    char when[32];
    if (log->warned_future == s->base + 1)
        return;
    log->warned_future = s->base + 1;
    diag_warn("storage",
              "%s: retention.ms cannot remove segment %" PRId64
              " before %s, since a record in it has that timestamp; delete-records or retention.bytes can",
              log->name, s->base, clock_format_utc(newest, when, sizeof when));
}

static int is_old(struct log *log, struct segment *s, int64_t now_ms, bool *old, struct err *e)
{
    int64_t newest = INT64_MAX;
    *old = false;
    if (log->config.retention_ms < 0)
        return ERR_OK;
    int rc = segment_newest(s, &newest, e);
    if (!s->warm)
        segment_cool(s);
    if (rc)
        return rc;
    if (newest > now_ms)
        warn_of_future(log, s, newest);
    else
        *old = now_ms - newest > log->config.retention_ms;
    return ERR_OK;
}

/* Is the oldest segment to go? The active one only by time or size: where the log starts it must go on. */
static int is_expired(struct log *log, int64_t now_ms, bool *expired, struct err *e)
{
    struct segment *s = log->segments[0];
    const struct log_config *c = &log->config;
    *expired = log->count > 1 && log->segments[1]->base <= log->start;
    if (*expired || !c->cleanup_delete)
        return ERR_OK;
    *expired = c->retention_bytes >= 0 && log->bytes - s->size >= c->retention_bytes;
    return *expired ? ERR_OK : is_old(log, s, now_ms, expired, e);
}

static int roll_active(struct log *log, struct err *e)
{
    struct buf snapshot;
    buf_init(&snapshot, SNAPSHOT_MAX);
    int rc = log_encode_snapshot(log, &snapshot, e);
    if (rc == ERR_OK)
        rc = log_roll_locked(log, &snapshot, e);
    buf_free(&snapshot);
    return rc;
}

static int drop_expired(struct log *log, int64_t now_ms, int64_t below, int *deleted, struct err *e)
{
    int rc = ERR_OK;
    bool expired = true;
    int64_t watermark = log_high_watermark(log);
    if (below > watermark)
        below = watermark;
    while (rc == ERR_OK) {
        bool last = log->count == 1;
        if ((last && log->segments[0]->size == 0) || (last ? log->end : log->segments[1]->base) > below)
            break;
        rc = is_expired(log, now_ms, &expired, e);
        if (rc || !expired)
            break;
        if (last)
            rc = roll_active(log, e);
        if (rc == ERR_OK)
            rc = log_drop_first(log, e);
        *deleted += rc == ERR_OK;
    }
    if (rc == ERR_OK && *deleted)
        rc = log_trim_snapshots(log, log->segments[0]->base, INT64_MAX, e);
    return rc;
}

int log_apply_retention(struct log *log, int64_t now_ms, int64_t below, int *deleted, struct err *e)
{
    *deleted = 0;
    pthread_mutex_lock(&log->shape);
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK)
        rc = drop_expired(log, now_ms, below, deleted, e);
    pthread_mutex_unlock(&log->append);
    pthread_mutex_unlock(&log->shape);
    return rc;
}

int log_set_start_offset(struct log *log, int64_t offset, struct err *e)
{
    int deleted = 0;
    pthread_mutex_lock(&log->shape);
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK) {
        pthread_mutex_lock(&log->state);
        if (offset > log->watermark)
            rc = err_set(e, ERR_OFFSET_OUT_OF_RANGE,
                         "%s: offset %" PRId64 " is beyond the high watermark %" PRId64, log->name, offset,
                         log->watermark);
        else if (offset > log->start)
            log->start = offset;
        if (rc == ERR_OK)
            epochs_truncate_from_start(&log->epochs, log->start);
        pthread_mutex_unlock(&log->state);
    }
    while (rc == ERR_OK && log->count > 1 && log->segments[1]->base <= log->start) {
        rc = log_drop_first(log, e);
        deleted++;
    }
    if (rc == ERR_OK && deleted)
        rc = log_trim_snapshots(log, log->segments[0]->base, INT64_MAX, e);
    pthread_mutex_unlock(&log->append);
    pthread_mutex_unlock(&log->shape);
    return rc;
}
