/*
 * log_truncate: takes the end of a log back, for a follower whose leader has another history. Kept apart from recovery:
 * here readers may be on the way, and find out by `cuts` that what they met is no damage.
 */
#include "base/io.h"
#include "storage/log_internal.h"

/* First batch that reaches to or beyond `offset`; a batch is never divided. */
static int find_cut(struct segment *s, int64_t offset, int64_t *position, int64_t *end, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[4096];
    struct scan scan;
    struct batch_header h;
    int fd;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc)
        return rc;
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), 0, s->size, s->base, window, sizeof window);
    while ((rc = scan_header(&scan, &h, e)) == ERR_OK && batch_last_offset(&h) < offset)
        scan_skip(&scan, &h);
    *position = scan.position;
    *end = rc == ERR_OK && h.base_offset < offset ? h.base_offset : offset;
    return rc == ERR_END ? ERR_OK : rc;
}

/* Indexes and timestamps of the segment that is active again. */
static int reopen_segment(struct segment *s, int64_t end, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[4096];
    struct scan scan;
    struct batch_header h;
    int64_t position;
    bool rebuilt;
    int fd;
    int rc = segment_flush_indexes(s, false, e);
    if (rc == ERR_OK)
        rc = segment_open_indexes(s, end, s->size, &position, &rebuilt, e);
    if (rc == ERR_OK)
        rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc)
        return rc;
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), position, s->size, s->base, window, sizeof window);
    while ((rc = scan_header(&scan, &h, e)) == ERR_OK) {
        rc = segment_reserve_index(s, 1, e);
        if (rc)
            return rc;
        segment_note_batch(s, &h, scan.position);
        scan_skip(&scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

static int rebuild_producers(struct log *log, struct err *e)
{
    struct producers *p = producers_new();
    int64_t from, watermark = log_high_watermark(log);
    if (!p)
        return err_nomem(e);
    /* A transaction whose marker is not below the watermark still holds readers back; no snapshot tells of it. */
    int rc = log_load_snapshot(log, watermark, p, &from, e);
    if (rc == ERR_OK)
        rc = log_replay(log, p, from < 0 ? 0 : from, log->end, watermark, NULL, e);
    if (rc) {
        producers_free(p);
        return rc;
    }
    pthread_mutex_lock(&log->state);
    struct producers *before = log->producers;
    log->producers = p;
    log->first_unstable = producers_first_unstable(p);
    pthread_mutex_unlock(&log->state);
    producers_free(before);
    return ERR_OK;
}

static void forget_hints(struct log *log)
{
    for (unsigned k = 0; k < LOG_HINTS; k++)
        log->hints[k].offset = -1;
}

/* Takes the end of the last segment back. */
static int cut_segment(struct log *log, struct segment *s, int64_t offset, bool dropped, struct err *e)
{
    int64_t position, end;
    int rc = find_cut(s, offset, &position, &end, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&log->state);
    log->cuts++;
    forget_hints(log);
    log->bytes -= s->size - position;
    s->size = position;
    log->end = end;
    if (log->watermark > end)
        log->watermark = end;
    if (log->recovery_point > end)
        log->recovery_point = end;
    epochs_truncate_from_end(&log->epochs, end);
    pthread_mutex_unlock(&log->state);
    atomic_store(&s->warm, true);
    segment_set_sealed(s, false);
    rc = segment_truncate(s, position, end, e);
    if (rc == ERR_OK)
        rc = txnindex_truncate(s, end, e);
    /* What goes here nobody was promised, so it must not come back, as it would where no journal says how far the log goes. */
    if (rc == ERR_OK)
        rc = segment_sync(s, false, e);
    if (rc == ERR_OK && dropped)
        rc = io_sync_dir(log->dir->path, e);
    if (rc == ERR_OK)
        rc = log_cut_end(log, e);
    if (rc == ERR_OK)
        rc = reopen_segment(s, end, e);
    if (rc == ERR_OK)
        rc = log_trim_snapshots(log, 0, end, e);
    if (position == 0)
        s->first_ts = -1;
    return rc;
}

/* From here on an error leaves the log out of service: memory and files may disagree. */
static int truncate_locked(struct log *log, int64_t offset, struct err *e)
{
    int rc = ERR_OK;
    bool dropped = false;
    log->pristine = false;
    log_cut_begin(log);
    for (; rc == ERR_OK && log->count > 1 && log_active(log)->base >= offset; dropped = true)
        rc = log_drop_last(log, e);
    if (rc)
        return rc;
    /* Referenced, as a reader that leaves a segment which was sealed until now closes its files. */
    struct segment *s = segment_ref(log_active(log));
    rc = cut_segment(log, s, offset, dropped, e);
    segment_unref(s);
    return rc ? rc : rebuild_producers(log, e);
}

int log_truncate_to(struct log *log, int64_t offset, struct err *e)
{
    pthread_mutex_lock(&log->shape);
    pthread_mutex_lock(&log->flush);
    pthread_mutex_lock(&log->append);
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK && offset < log->start)
        rc = err_set(e, ERR_OFFSET_OUT_OF_RANGE,
                     "%s: cannot truncate to %" PRId64 ", the log starts at %" PRId64, log->name, offset,
                     log->start);
    /* What is appended in place of what goes is not synced any more than other appends. */
    if (rc == ERR_OK && offset < log->compacted_end)
        rc = log_set_compacted_end(log, offset, e);
    if (rc == ERR_OK && offset < log->end) {
        rc = truncate_locked(log, offset, e);
        if (rc)
            log_fail(log, e);
    }
    pthread_mutex_unlock(&log->append);
    pthread_mutex_unlock(&log->flush);
    pthread_mutex_unlock(&log->shape);
    return rc;
}
