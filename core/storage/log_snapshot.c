/*
 * log_snapshot: producer snapshots on disk, and rebuilding producer state from what stands in the segments.
 */
#include <fcntl.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#define WINDOW (16u << 10)

int log_encode_snapshot(struct log *log, struct buf *out, struct err *e)
{
    pthread_mutex_lock(&log->state);
    int rc = producers_encode(log->producers, out, e);
    pthread_mutex_unlock(&log->state);
    return rc;
}

int log_write_snapshot(struct log *log, int64_t offset, const struct buf *bytes, bool sync, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    storage_path(path, log->dir->path, offset, SNAPSHOT_SUFFIX, "");
    int rc = io_open(&fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, e);
    if (rc)
        return rc;
    rc = io_pwrite(fd, bytes->data, bytes->len, 0, path, e);
    if (rc == ERR_OK && sync)
        rc = io_sync_data(fd, path, e);
    io_close(fd);
    return rc;
}

static int read_snapshot(struct log *log, int64_t offset, struct producers *p, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    char *data;
    size_t n;
    int rc = io_read_file(storage_path(path, log->dir->path, offset, SNAPSHOT_SUFFIX, ""), SNAPSHOT_MAX,
                          &data, &n, e);
    if (rc)
        return rc;
    rc = producers_decode(p, data, n, path, e);
    mem_free(data);
    return rc;
}

int log_load_snapshot(struct log *log, int64_t limit, struct producers *p, int64_t *offset, struct err *e)
{
    int64_t *list;
    size_t n;
    *offset = -1;
    int rc = storage_list(log->dir->path, SNAPSHOT_SUFFIX, &list, &n, e);
    int64_t first = log->segments[0]->base;
    for (size_t i = n; i-- > 0 && rc == ERR_OK && *offset < 0;) {
        if (list[i] > limit || list[i] < first)
            continue;
        rc = read_snapshot(log, list[i], p, e);
        if (rc == ERR_OK) {
            *offset = list[i];
        } else if (rc == ERR_CORRUPT || rc == ERR_TOO_LARGE) {
            diag_warn("storage", "%s; an older one is used", e->text);
            rc = ERR_OK;
        }
    }
    mem_free(list);
    return rc;
}

int log_trim_snapshots(struct log *log, int64_t from, int64_t to, struct err *e)
{
    int64_t *list;
    size_t n;
    char path[STORAGE_PATH_MAX];
    int rc = storage_list(log->dir->path, SNAPSHOT_SUFFIX, &list, &n, e);
    int loose = 0;
    for (size_t i = n; i-- > 0 && rc == ERR_OK;) {
        bool drop = list[i] < from || list[i] > to;
        if (!drop && log->segments[log_segment_index(log, list[i])]->base != list[i])
            drop = ++loose > 2;
        if (drop)
            rc = io_unlink(storage_path(path, log->dir->path, list[i], SNAPSHOT_SUFFIX, ""), e);
    }
    mem_free(list);
    return rc;
}

/* ---- replay ---- */

int log_replay_batch(struct producers *p, const struct batch_header *h, const void *data, int64_t watermark,
                     struct txn_end *end, struct err *e)
{
    const struct producer_batch *duplicate;
    *end = (struct txn_end){.first_offset = -1};
    if (h->producer_id < 0)
        return ERR_OK;
    if (!(h->attributes & BATCH_CONTROL)) {
        int rc = producers_check_data(p, h, PRODUCER_TRUST, &duplicate, e);
        if (rc == ERR_OK)
            producers_apply_data(p, h, NULL);
        return rc;
    }
    int16_t type = MARKER_COMMIT;
    int32_t coordinator_epoch = -1;
    /* One that was emptied by compaction ended something that is gone; it tells the producer's epoch. */
    int rc = h->record_count == 0 ? ERR_OK : marker_decode(data, batch_size(h), &type, &coordinator_epoch, e);
    if (rc)
        return err_set(e, ERR_CORRUPT, "control batch at offset %" PRId64 ": %s", h->base_offset, e->text);
    rc = producers_check_marker(p, h, type, coordinator_epoch, PRODUCER_TRUST, end, e);
    if (rc == ERR_OK)
        producers_apply_marker(p, h, coordinator_epoch, NULL);
    if (batch_last_offset(h) < watermark)
        producers_settle(p, batch_last_offset(h) + 1);
    return rc;
}

static int replay_segment(struct producers *p, struct segment *s, int64_t from, int64_t to, int64_t watermark,
                          struct segment *index, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[WINDOW];
    struct scan scan;
    struct batch_header h;
    struct buf big;
    int fd;
    int64_t position = 0;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK && s->loaded && from > s->base)
        rc = segment_find_position(s, from, s->size, &position, e);
    if (rc)
        return rc;
    buf_init(&big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), position, s->size, s->base, window, sizeof window);
    while (rc == ERR_OK) {
        rc = scan_header(&scan, &h, e);
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            diag_error("storage", "%s; producers are known from what stands around it", e->text);
            rc = scan_resync(&scan, INT64_MAX, &h, &big, e);
        }
        if (rc || h.base_offset >= to)
            break;
        const uint8_t *data = NULL;
        struct txn_end end;
        if (h.base_offset >= from) {
            if (h.attributes & BATCH_CONTROL)
                rc = scan_batch(&scan, &h, &big, &data, e);
            if (rc == ERR_OK)
                rc = log_replay_batch(p, &h, data, watermark, &end, e);
            if (rc == ERR_OK && index && end.aborted && end.first_offset >= 0) {
                rc = txnindex_write(index, 0, &end, e);
                if (rc == ERR_OK)
                    txnindex_publish(index, index->txn_entries + 1);
            }
            if (rc == ERR_CORRUPT) { /* a marker that cannot be read */
                diag_error("storage", "%s: byte %" PRId64 ": %s", path, scan.position, e->text);
                rc = ERR_OK;
            }
        }
        scan_skip(&scan, &h);
        if (batch_last_offset(&h) + 1 >= to)
            break; /* what follows is not ours to read: it may be torn */
    }
    buf_free(&big);
    return rc == ERR_END ? ERR_OK : rc;
}

int log_replay(struct log *log, struct producers *p, int64_t from, int64_t to, int64_t watermark,
               struct segment *index, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = log_segment_index(log, from); i < log->count && rc == ERR_OK; i++) {
        if (log->segments[i]->base >= to)
            break;
        /* Referenced, as a reader that leaves a segment closes its files. */
        struct segment *s = segment_ref(log->segments[i]);
        rc = replay_segment(p, s, from, to, watermark, s == index ? index : NULL, e);
        segment_unref(s);
    }
    return rc;
}
