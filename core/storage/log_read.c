/*
 * log_read: finding and reading batches. A reader takes a reference on the segment and what the log's state says under
 * the state lock, and then works on the files without any lock; appends beyond the watermark do not concern it.
 */
#include "storage/log_internal.h"

#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"

#define WINDOW (16u << 10)
#define FORGET_STEP (512 << 10) /* worth a call */

struct view {
    struct segment *segment; /* referenced */
    int64_t size;
    int64_t start;         /* log start offset */
    int64_t limit;         /* nothing at or beyond this offset is given out */
    int64_t next_base;     /* of the following segment; INT64_MAX: this is the active one */
    int64_t to_end;        /* bytes from the segment's start to the log's end */
    int64_t compacted_end; /* only below it are gaps as they should be */
    int64_t end;           /* of the segment\'s offsets */
    int64_t position;      /* where to start, -1: ask the index */
    uint64_t cuts;
};

int log_enter(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->state);
    int rc = log->closing ? err_set(e, ERR_CLOSED, "%s is closed", log->name) : ERR_OK;
    if (rc == ERR_OK)
        log->busy++;
    pthread_mutex_unlock(&log->state);
    return rc;
}

void log_leave(struct log *log)
{
    pthread_mutex_lock(&log->state);
    if (--log->busy == 0 && log->closing)
        pthread_cond_broadcast(&log->idle);
    pthread_mutex_unlock(&log->state);
}

size_t log_segment_index(const struct log *log, int64_t offset)
{
    size_t low = 0, high = log->count; /* the first one with base > offset */
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (log->segments[mid]->base <= offset)
            low = mid + 1;
        else
            high = mid;
    }
    return low ? low - 1 : 0;
}

static int64_t stable_locked(const struct log *log)
{
    return log->first_unstable >= 0 && log->first_unstable < log->watermark ? log->first_unstable
                                                                            : log->watermark;
}

int64_t log_last_stable_offset(struct log *log)
{
    pthread_mutex_lock(&log->state);
    int64_t v = stable_locked(log);
    pthread_mutex_unlock(&log->state);
    return v;
}

/* The sealed segment that was read last keeps its files open; the one before it no longer does. */
static struct segment *make_warm(struct log *log, struct segment *s)
{
    struct segment *before = log->warm;
    if (s == before || s == log_active(log))
        return NULL;
    log->warm = segment_ref(s);
    atomic_store(&s->warm, true);
    if (before && before != log_active(log))
        atomic_store(&before->warm, false);
    return before;
}

/* Fills the view for `offset`; view->segment is NULL when there is nothing to give out. */
static int look(struct log *log, int64_t offset, enum isolation isolation, struct view *v, struct err *e)
{
    struct segment *cooled = NULL;
    int rc = ERR_OK;
    *v = (struct view){.position = -1};
    pthread_mutex_lock(&log->state);
    v->limit = isolation == READ_COMMITTED ? stable_locked(log) : log->watermark;
    v->cuts = log->cuts;
    v->start = log->start;
    v->compacted_end = log->compacted_end;
    if (offset < log->start || offset > log->end) {
        rc = err_set(e, ERR_OFFSET_OUT_OF_RANGE,
                     "%s: offset %" PRId64 " is outside [%" PRId64 ", %" PRId64 "]", log->name, offset,
                     log->start, log->end);
    } else if (offset < v->limit) {
        size_t i = log_segment_index(log, offset);
        v->segment = segment_ref(log->segments[i]);
        v->size = v->segment->size;
        v->next_base = i + 1 < log->count ? log->segments[i + 1]->base : INT64_MAX;
        v->to_end = log_active(log)->before + log_active(log)->size - v->segment->before;
        v->end = i + 1 < log->count ? v->next_base : log->end;
        for (unsigned k = 0; k < LOG_HINTS && v->position < 0; k++)
            if (log->hints[k].offset == offset && log->hints[k].segment_base == v->segment->base)
                v->position = log->hints[k].position;
        cooled = make_warm(log, v->segment);
    }
    pthread_mutex_unlock(&log->state);
    segment_release(cooled);
    return rc;
}

/* Whether the page cache should keep what is read there. */
static bool is_kept(struct log *log, const struct view *v, const struct log_range *r)
{
    int64_t keep = page_cache_keep(log->page_cache, &log->page_share), n = (int64_t)r->bytes;
    int64_t behind = v->to_end - r->position;
    if (keep == INT64_MAX)
        return true;
    bool again = behind > keep && atomic_fetch_add(&v->segment->read_far, n) >= v->size;
    page_cache_was_read(log->page_cache, &log->page_share, behind, n, again);
    if (behind > keep)
        return false;
    segment_was_read(v->segment, r->position);
    return true;
}

/*
 * Who reads on in what is far behind the log's end makes the page cache let go of what it has read before: the memory serves what it
 * reads next. From where on the cache may have what was read.
 */
static int64_t forget_behind(struct log *log, const struct view *v, int64_t asked, const struct log_range *r)
{
    int64_t behind = -1;
    if (is_kept(log, v, r))
        return r->position;
    pthread_mutex_lock(&log->state);
    for (unsigned k = 0; k < LOG_HINTS && behind < 0; k++)
        if (log->hints[k].offset == asked && log->hints[k].position == r->position)
            behind = log->hints[k].from;
    pthread_mutex_unlock(&log->state);
    if (behind < 0 || behind > r->position)
        return r->position;
    if (r->position - behind < FORGET_STEP)
        return behind;
    io_forget_part(r->fd, behind, r->position - behind);
    return r->position;
}

static void remember(struct log *log, const struct view *v, int64_t asked, const struct log_range *r)
{
    struct read_hint hint = {r->next_offset, v->segment->base, r->position + (int64_t)r->bytes,
                             forget_behind(log, v, asked, r)};
    pthread_mutex_lock(&log->state);
    if (log->cuts == v->cuts) {
        unsigned k = 0;
        while (k < LOG_HINTS &&
               !(log->hints[k].offset == asked && log->hints[k].segment_base == v->segment->base))
            k++;
        log->hints[k < LOG_HINTS ? k : log->next_hint++ % LOG_HINTS] = hint;
    }
    pthread_mutex_unlock(&log->state);
}

static bool was_cut(struct log *log, uint64_t cuts)
{
    pthread_mutex_lock(&log->state);
    bool cut = log->cuts != cuts;
    pthread_mutex_unlock(&log->state);
    return cut;
}

/*
 * The walk met damage, told by `e`. Whoever asks for an offset behind it reads on at the next whole batch; who asks for one
 * that may be lost is told so, and where reading can go on.
 */
static int pass_damage(const struct view *v, struct scan *scan, int64_t offset, struct err *e)
{
    struct batch_header h;
    struct buf big;
    struct err why = *e;
    int64_t lost = scan->floor < offset ? offset : scan->floor;
    buf_init(&big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    int rc = scan_resync(scan, v->next_base, &h, &big, e);
    buf_free(&big);
    if (rc == ERR_OK && h.base_offset <= offset)
        return ERR_OK;
    if (rc != ERR_OK && rc != ERR_END)
        return rc;
    int64_t next = rc == ERR_OK ? h.base_offset : v->next_base;
    why.code = ERR_CORRUPT; /* also where the file ends early: the log ends at whole batches */
    if (next != INT64_MAX)
        err_set(e, ERR_CORRUPT,
                "%.500s; offsets %" PRId64 " to %" PRId64
                " cannot be read, reading can go on at offset %" PRId64,
                why.text, lost, next - 1, next);
    else
        *e = why;
    return ERR_CORRUPT;
}

/* Walks from view->position; r->bytes is 0 when the segment holds nothing at or behind `offset` below the limit. */
static int walk(const struct view *v, int64_t offset, size_t max_bytes, struct log_range *r, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[WINDOW];
    struct segment *s = v->segment;
    struct scan scan;
    struct batch_header h;
    int rc = segment_fd(s, FILE_LOG, false, &r->fd, e);
    if (rc)
        return rc;
    scan_init(&scan, r->fd, segment_path(s, FILE_LOG, path), v->position, v->size, s->base, window,
              sizeof window);
    r->bytes = 0;
    for (;;) {
        rc = scan_header(&scan, &h, e);
        if ((rc == ERR_CORRUPT || rc == ERR_TRUNCATED) && r->bytes == 0) {
            rc = pass_damage(v, &scan, offset, e);
            if (rc == ERR_OK)
                continue;
        }
        if (rc)
            break;
        int64_t last = batch_last_offset(&h);
        if (last >= v->limit || h.base_offset >= v->next_base) {
            /* The offset asked for is below the limit: without compaction it stands before this. */
            bool damaged = h.base_offset >= v->limit || last >= v->end;
            if (damaged && r->bytes == 0 && offset >= v->compacted_end)
                rc = err_set(e, ERR_CORRUPT,
                             "%s: the batch at byte %" PRId64 " says it has offsets %" PRId64 " to %" PRId64
                             ", where offset %" PRId64 " is expected",
                             path, scan.position, h.base_offset, last, offset);
            break;
        }
        if (last >= offset) {
            if (r->bytes && r->bytes + batch_size(&h) > max_bytes)
                break;
            if (r->bytes == 0) {
                r->position = scan.position;
                r->base_offset = h.base_offset;
            }
            r->bytes += batch_size(&h);
            r->next_offset = last + 1;
            if (r->bytes >= max_bytes)
                break;
        }
        scan_skip(&scan, &h);
    }
    if (rc != ERR_OK && r->bytes)
        rc = ERR_OK; /* give out what is good; the next read meets the damage */
    if (rc)
        e->code = rc;
    return rc;
}

/* The positions that reads start from, and a segment's end, are found before anything is given out. */
static int locate_in(const struct view *v, int64_t offset, size_t max_bytes, struct log_range *r,
                     struct err *e)
{
    struct view from = *v;
    int rc = ERR_OK;
    if (offset <= v->segment->base)
        from.position = 0;
    if (from.position < 0 && v->next_base != INT64_MAX)
        rc = segment_load(v->segment, v->size, e);
    if (rc == ERR_OK && from.position < 0)
        rc = segment_find_position(v->segment, offset, v->size, &from.position, e);
    return rc ? rc : walk(&from, offset, max_bytes, r, e);
}

/* Without compaction a segment ends where the next one begins. Said once for each; readers go on behind it. */
static void tell_gap(struct log *log, int64_t from, int64_t to)
{
    pthread_mutex_lock(&log->state);
    bool told = log->told_gap == to;
    log->told_gap = to;
    pthread_mutex_unlock(&log->state);
    if (!told)
        diag_error("storage", "%s: offsets %" PRId64 " to %" PRId64 " are missing", log->name, from, to - 1);
}

static int locate(struct log *log, int64_t offset, size_t max_bytes, enum isolation isolation,
                  struct log_range *r, struct err *e)
{
    for (;;) {
        struct view v;
        int rc = look(log, offset, isolation, &v, e);
        if (rc || !v.segment)
            return rc;
        rc = locate_in(&v, offset, max_bytes, r, e);
        if (rc == ERR_OK && r->bytes) {
            remember(log, &v, offset, r);
            r->hold = v.segment;
            return ERR_OK;
        }
        segment_release(v.segment);
        if (rc != ERR_OK && rc != ERR_END) {
            if (was_cut(log, v.cuts))
                continue;
            return rc;
        }
        if (rc == ERR_END && v.next_base != INT64_MAX && offset >= v.compacted_end)
            tell_gap(log, offset, v.next_base);
        if (v.next_base >= v.limit) {
            if (v.next_base != INT64_MAX)
                r->next_offset = v.limit;
            return ERR_OK;
        }
        offset = v.next_base; /* nothing more in this one: compaction */
    }
}

int log_locate(struct log *log, int64_t offset, size_t max_bytes, enum isolation isolation,
               struct log_range *out, struct err *e)
{
    *out = (struct log_range){.fd = -1, .base_offset = offset, .next_offset = offset};
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    rc = locate(log, offset, max_bytes, isolation, out, e);
    if (!out->hold)
        *out = (struct log_range){
            .fd = -1, .base_offset = offset, .next_offset = rc == ERR_OK ? out->next_offset : offset};
    log_leave(log);
    return rc;
}

int log_range_read(const struct log_range *r, size_t from, void *dst, size_t n, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    if (from > r->bytes || n > r->bytes - from)
        return err_set(e, ERR_INVALID, "bytes [%zu, %zu) of a range of %zu", from, from + n, r->bytes);
    if (n == 0)
        return ERR_OK;
    struct segment *s = r->hold;
    return io_pread(r->fd, dst, n, r->position + (int64_t)from,
                    storage_path(path, s->dir->path, s->base, LOG_SUFFIX, ""), e);
}

bool log_holds(const struct log *log, const struct log_range *r)
{
    const struct segment *s = r->hold;
    return s->dir == log->dir;
}

void log_range_place(const struct log_range *r, char *out, size_t size)
{
    char path[STORAGE_PATH_MAX];
    struct segment *s = r->hold;
    snprintf(out, size, "%s: byte %" PRId64, storage_path(path, s->dir->path, s->base, LOG_SUFFIX, ""),
             r->position);
}

void log_range_release(struct log_range *r)
{
    segment_release(r->hold);
    *r = (struct log_range){.fd = -1};
}

int log_aborted(struct log *log, int64_t from, int64_t to, struct aborted_txn **list, size_t *n,
                struct err *e)
{
    *list = NULL;
    *n = 0;
    int rc = log_enter(log, e);
    if (rc)
        return rc;
    /* A marker is at or behind its transaction's data: segments before `from` have none that matter. */
    int64_t base = from;
    bool complete = false;
    for (bool more = true; more && !complete && rc == ERR_OK;) {
        pthread_mutex_lock(&log->state);
        size_t i = log_segment_index(log, base);
        struct segment *s = segment_ref(log->segments[i]);
        more = i + 1 < log->count;
        if (more)
            base = log->segments[i + 1]->base;
        pthread_mutex_unlock(&log->state);
        rc = txnindex_collect(s, from, to, list, n, &complete, e);
        segment_release(s);
    }
    log_leave(log);
    if (rc) {
        mem_free(*list);
        *list = NULL;
        *n = 0;
    }
    return rc;
}
