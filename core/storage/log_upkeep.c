/*
 * log_upkeep: starting new segments. What removes old ones is in log_retention.c.
 */
#include "base/clock.h"
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
    segment_ref(s); /* keeps a reader that leaves from closing the file meanwhile */
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK)
        rc = io_truncate(fd, s->size, segment_path(s, FILE_LOG, path), e);
    if (rc == ERR_OK)
        s->allocated = s->size;
    segment_unref(s);
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

/* Kafka's: each segment's own random part of segment.ms by which it is rolled earlier. */
int64_t log_roll_jitter(const struct log_config *c)
{
    int64_t most = c->segment_jitter_ms < c->segment_ms ? c->segment_jitter_ms : c->segment_ms;
    if (most <= 0)
        return 0;
    struct uuid random = uuid_random();
    return (int64_t)(be64(random.b + 8) & INT64_MAX) % most;
}

int log_add_segment(struct log *log, int64_t base, struct err *e)
{
    int rc = log_reserve_segment(log, e);
    if (rc)
        return rc;
    struct segment *s = segment_new(log->dir, base, log->config.index_interval_bytes, e);
    if (!s)
        return e->code;
    s->jitter_ms = log_roll_jitter(&log->config);
    rc = segment_create(s, e);
    if (rc) {
        struct err ignored; /* files without a place in the list: the next attempt or start replaces them */
        segment_mark_deleted(s, &ignored);
        segment_unref(s);
        return rc;
    }
    log_names_changed(log);
    log->pristine = false;
    pthread_mutex_lock(&log->state);
    if (log->count) {
        segment_set_sealed(log_active(log), true);
        s->before = log_active(log)->before + log_active(log)->size;
    }
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
    bool due = force || segment_waited(s, newest, clock_wall_ms()) > log->config.segment_ms - s->jitter_ms;
    if (rc == ERR_OK && due && s->size)
        rc = log_encode_snapshot(log, &snapshot, e);
    if (rc == ERR_OK && due && s->size)
        rc = log_roll_locked(log, &snapshot, e);
    pthread_mutex_unlock(&log->append);
    buf_free(&snapshot);
    return rc;
}
