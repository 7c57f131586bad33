/*
 * log_time: looking up records by timestamp, and the list of segments. Readers' side, like log_read.c.
 */
#include "base/mem.h"
#include "storage/log_internal.h"

#define WINDOW (16u << 10)

/* What a search through the segments needs of one. */
struct look {
    struct segment *segment; /* referenced */
    int64_t size, next_base, start, watermark;
    uint64_t cuts;
};

/*
 * The segment with `offset`, or the first one behind it that is left. By offset and not by number: segments come and go
 * between two looks. False behind the last one.
 */
static bool look_at(struct log *log, int64_t offset, struct look *v)
{
    if (offset == INT64_MAX)
        return false;
    pthread_mutex_lock(&log->state);
    size_t i = log_segment_index(log, offset > log->start ? offset : log->start);
    *v = (struct look){
        .segment = segment_ref(log->segments[i]),
        .size = log->segments[i]->size,
        .next_base = i + 1 < log->count ? log->segments[i + 1]->base : INT64_MAX,
        .start = log->start,
        .watermark = log->watermark,
        .cuts = log->cuts,
    };
    pthread_mutex_unlock(&log->state);
    return true;
}

/* First record of the batch with timestamp >= `timestamp` and offset in [start, watermark). *offset stays -1 if none. */
static int find_record(const void *batch, size_t n, int64_t timestamp, const struct look *v, int64_t *offset,
                       int64_t *found_ts, struct err *e)
{
    struct batch_header h;
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    int rc = batch_check(batch, n, &h, e);
    if (rc)
        return err_set(e, ERR_CORRUPT, "%s", e->text);
    buf_init(&scratch, BATCH_MAX_INFLATED);
    rc = batch_iter_init(&it, batch, n, &scratch, e);
    while (rc == ERR_OK && *offset < 0 && (rc = batch_iter_next(&it, &r, e)) == ERR_OK)
        if (r.timestamp >= timestamp && r.offset >= v->start && r.offset < v->watermark) {
            *offset = r.offset;
            *found_ts = r.timestamp;
        }
    buf_free(&scratch);
    return rc == ERR_END ? ERR_OK : rc;
}

/* Walks a segment from the batch at `from` on. */
static int find_in_segment(const struct look *v, int64_t timestamp, int64_t from, int64_t *offset,
                           int64_t *found_ts, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[WINDOW];
    struct scan scan;
    struct batch_header h;
    struct buf big;
    int64_t position = 0;
    int fd;
    int rc = segment_fd(v->segment, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK && from > v->segment->base)
        rc = segment_find_position(v->segment, from, v->size, &position, e);
    if (rc)
        return rc;
    buf_init(&big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    scan_init(&scan, fd, segment_path(v->segment, FILE_LOG, path), position, v->size, v->segment->base,
              window, sizeof window);
    while (*offset < 0 && (rc = scan_header(&scan, &h, e)) == ERR_OK && h.base_offset < v->watermark) {
        if (h.max_timestamp >= timestamp && batch_last_offset(&h) >= v->start) {
            const uint8_t *data;
            rc = scan_batch(&scan, &h, &big, &data, e);
            if (rc == ERR_OK)
                rc = find_record(data, batch_size(&h), timestamp, v, offset, found_ts, e);
            if (rc) {
                err_wrap(e, "%s: batch at byte %" PRId64, path, scan.position);
                break;
            }
        }
        scan_skip(&scan, &h);
    }
    buf_free(&big);
    return rc == ERR_END ? ERR_OK : rc;
}

static int search_segment(const struct look *v, int64_t timestamp, int64_t *offset, int64_t *found_ts,
                          struct err *e)
{
    int64_t newest, newest_offset, from;
    int rc = segment_load(v->segment, v->size, e);
    if (rc)
        return rc;
    segment_max_timestamp(v->segment, &newest, &newest_offset);
    if (newest < timestamp)
        return ERR_OK;
    rc = segment_find_time(v->segment, timestamp, &from, e);
    return rc ? rc : find_in_segment(v, timestamp, from, offset, found_ts, e);
}

static bool was_cut(struct log *log, uint64_t cuts)
{
    pthread_mutex_lock(&log->state);
    bool cut = log->cuts != cuts;
    pthread_mutex_unlock(&log->state);
    return cut;
}

int log_offset_for_time(struct log *log, int64_t timestamp, int64_t *offset, int64_t *found_ts, struct err *e)
{
    struct look v;
    *offset = *found_ts = -1;
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    for (int64_t at = 0; rc == ERR_OK && *offset < 0 && look_at(log, at, &v); at = v.next_base) {
        rc = search_segment(&v, timestamp, offset, found_ts, e);
        segment_release(v.segment);
        if (rc && was_cut(log, v.cuts)) {
            rc = ERR_OK; /* a truncation raced: once more */
            *offset = *found_ts = -1;
            v.next_base = 0;
        }
    }
    log_leave(log);
    return rc;
}

/* The largest timestamp below the watermark in one segment, by its index or, where that looks further, by its batches. */
static int newest_of(const struct look *v, int64_t *timestamp, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[WINDOW];
    struct scan scan;
    struct batch_header h;
    int64_t offset;
    int fd;
    int rc = segment_load(v->segment, v->size, e);
    segment_max_timestamp(v->segment, timestamp, &offset);
    if (rc || *timestamp < 0 || (offset < v->watermark && v->segment->base >= v->start))
        return rc;
    *timestamp = -1;
    rc = segment_fd(v->segment, FILE_LOG, false, &fd, e);
    if (rc)
        return rc;
    scan_init(&scan, fd, segment_path(v->segment, FILE_LOG, path), 0, v->size, v->segment->base, window,
              sizeof window);
    while ((rc = scan_header(&scan, &h, e)) == ERR_OK && h.base_offset < v->watermark) {
        if (batch_last_offset(&h) >= v->start && h.max_timestamp > *timestamp)
            *timestamp = h.max_timestamp;
        scan_skip(&scan, &h);
    }
    return rc == ERR_END ? ERR_OK : rc;
}

int log_max_timestamp(struct log *log, int64_t *offset, int64_t *timestamp, struct err *e)
{
    struct look v;
    int64_t newest = -1, ts;
    *offset = *timestamp = -1;
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    for (int64_t at = 0; rc == ERR_OK && look_at(log, at, &v); at = v.next_base) {
        rc = newest_of(&v, &ts, e);
        if (rc == ERR_OK && ts > newest)
            newest = ts;
        segment_release(v.segment);
    }
    log_leave(log);
    if (rc || newest < 0)
        return rc;
    return log_offset_for_time(log, newest, offset, timestamp, e);
}

int log_segments(struct log *log, struct segment_info **list, size_t *n, struct err *e)
{
    *list = NULL;
    *n = 0;
    pthread_mutex_lock(&log->append); /* first_ts is the writer's */
    struct segment_info *infos = mem_calloc(log->count, sizeof *infos);
    int rc = infos ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < log->count && rc == ERR_OK; i++) {
        struct segment *s = log->segments[i];
        int64_t offset;
        infos[i] =
            (struct segment_info){.base_offset = s->base, .size = s->size, .active = s == log_active(log)};
        rc = segment_load(s, s->size, e);
        if (rc == ERR_OK)
            rc = segment_first_timestamp(s, e);
        infos[i].first_timestamp = s->first_ts;
        segment_max_timestamp(s, &infos[i].max_timestamp, &offset);
        if (!s->warm)
            segment_cool(s);
    }
    if (rc == ERR_OK) {
        *list = infos;
        *n = log->count;
        infos = NULL;
    }
    pthread_mutex_unlock(&log->append);
    mem_free(infos);
    return rc;
}
