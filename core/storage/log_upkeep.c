/*
 * log_upkeep: rolling, flushing, retention and truncation.
 */
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

int log_reserve_segment(struct log *log, struct err *e)
{
    if (log->count < log->cap)
        return ERR_OK;
    size_t cap = log->cap ? log->cap * 2 : 1;
    pthread_mutex_lock(&log->state);
    struct segment **segments = mem_realloc_array(log->segments, cap, sizeof(struct segment *));
    if (segments) {
        log->segments = segments;
        log->cap = cap;
    }
    pthread_mutex_unlock(&log->state);
    return segments ? ERR_OK : err_nomem(e);
}

/* Gives back what was reserved behind the last batch. */
static int trim_segment(struct segment *s, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    if (s->allocated <= s->size)
        return ERR_OK;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK)
        rc = io_truncate(fd, s->size, segment_path(s, FILE_LOG, path), e);
    if (rc == ERR_OK)
        s->allocated = s->size;
    return rc;
}

int log_trim_active(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK)
        rc = trim_segment(log_active(log), e);
    pthread_mutex_unlock(&log->append);
    return rc;
}

int log_add_segment(struct log *log, int64_t base, struct err *e)
{
    int rc = log_reserve_segment(log, e);
    if (rc)
        return rc;
    struct segment *s = segment_new(log->dir, base, log->config.index_interval_bytes, e);
    if (!s)
        return e->code;
    rc = segment_create(s, e);
    if (rc) {
        struct err ignored; /* files without a place in the list: the next attempt or start replaces them */
        segment_mark_deleted(s, &ignored);
        segment_unref(s);
        return rc;
    }
    log->names_dirty = true;
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    if (log->count)
        segment_set_sealed(log_active(log), true);
    log->segments[log->count++] = s;
    log->end = base;
    pthread_mutex_unlock(&log->state);
    return ERR_OK;
}

int log_roll_locked(struct log *log, const struct buf *snapshot, struct err *e)
{
    struct segment *s = log_active(log);
    if (s->base == log->end)
        return ERR_OK; /* the new one would have the same name */
    int rc = segment_flush_indexes(s, true, e);
    s->index_dirty = true; /* while it was active they were not synced */
    if (rc == ERR_OK)
        rc = trim_segment(s, e);
    if (rc == ERR_OK)
        rc = log_write_snapshot(log, log->end, snapshot, false, e);
    if (rc == ERR_OK)
        rc = log_add_segment(log, log->end, e);
    if (rc == ERR_OK)
        log->snapshot_lag = 0;
    return rc;
}

int log_roll(struct log *log, bool force, struct err *e)
{
    struct buf snapshot;
    buf_init(&snapshot, SNAPSHOT_MAX);
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    struct segment *s = log_active(log);
    if (rc == ERR_OK)
        rc = segment_first_timestamp(s, e);
    int64_t newest, offset;
    segment_max_timestamp(s, &newest, &offset);
    bool due = force || (s->first_ts >= 0 && newest - s->first_ts > log->config.segment_ms);
    if (rc == ERR_OK && due && s->size)
        rc = log_encode_snapshot(log, &snapshot, e);
    if (rc == ERR_OK && due && s->size)
        rc = log_roll_locked(log, &snapshot, e);
    pthread_mutex_unlock(&log->append);
    buf_free(&snapshot);
    return rc;
}

/* ---- deleting ---- */

static void forget_segment(struct log *log, struct segment *s)
{
    pthread_mutex_lock(&log->state);
    struct segment *warm = log->warm == s ? s : NULL;
    if (warm)
        log->warm = NULL;
    log->bytes -= s->size;
    pthread_mutex_unlock(&log->state);
    atomic_store(&s->warm, false);
    segment_unref(warm);
    segment_unref(s);
}

int log_drop_first(struct log *log, struct err *e)
{
    struct segment *s = log->segments[0];
    int rc = segment_mark_deleted(s, e);
    if (rc)
        return rc;
    log->names_dirty = true;
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    log->count--;
    memmove(log->segments, log->segments + 1, log->count * sizeof(struct segment *));
    if (log->start < log->segments[0]->base)
        log->start = log->segments[0]->base;
    epochs_truncate_from_start(&log->epochs, log->start);
    pthread_mutex_unlock(&log->state);
    forget_segment(log, s);
    return ERR_OK;
}

int log_drop_last(struct log *log, struct err *e)
{
    struct segment *s = log_active(log);
    int rc = segment_mark_deleted(s, e);
    if (rc)
        return rc;
    log->names_dirty = true;
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    log->count--;
    if (log->end > s->base)
        log->end = s->base;
    pthread_mutex_unlock(&log->state);
    forget_segment(log, s);
    return ERR_OK;
}

static int is_expired(struct log *log, struct segment *s, int64_t now_ms, bool *expired, struct err *e)
{
    const struct log_config *c = &log->config;
    *expired = log->segments[1]->base <= log->start;
    if (*expired || !c->cleanup_delete)
        return ERR_OK;
    if (c->retention_bytes >= 0 && log->bytes - s->size >= c->retention_bytes) {
        *expired = true;
        return ERR_OK;
    }
    if (c->retention_ms < 0)
        return ERR_OK;
    int64_t newest, offset;
    int rc = segment_load(s, s->size, e);
    segment_max_timestamp(s, &newest, &offset);
    if (!s->warm)
        segment_cool(s);
    *expired = rc == ERR_OK && newest >= 0 && now_ms - newest > c->retention_ms;
    return rc;
}

static int drop_expired(struct log *log, int64_t now_ms, int64_t below, int *deleted, struct err *e)
{
    int rc = ERR_OK;
    bool expired = true;
    int64_t watermark = log_high_watermark(log);
    if (below > watermark)
        below = watermark;
    while (rc == ERR_OK && expired && log->count > 1 && log->segments[1]->base <= below) {
        rc = is_expired(log, log->segments[0], now_ms, &expired, e);
        if (rc == ERR_OK && expired) {
            rc = log_drop_first(log, e);
            *deleted += rc == ERR_OK;
        }
    }
    if (rc == ERR_OK && *deleted)
        rc = log_trim_snapshots(log, log->segments[0]->base, INT64_MAX, e);
    return rc;
}

int log_apply_retention(struct log *log, int64_t now_ms, int64_t below, int *deleted, struct err *e)
{
    *deleted = 0;
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK)
        rc = drop_expired(log, now_ms, below, deleted, e);
    pthread_mutex_unlock(&log->append);
    return rc;
}

int log_set_start_offset(struct log *log, int64_t offset, struct err *e)
{
    int deleted = 0;
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
    return rc;
}
