/*
 * segment_index: how a segment uses its offset and time index. See segment.h. The segment's lock is taken here.
 */
#include "storage/segment.h"

#include <fcntl.h>
#include <inttypes.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"

#define REBUILD_WINDOW (64u << 10)

static struct index *index_of(struct segment *s, enum segment_file kind)
{
    return kind == FILE_INDEX ? &s->offsets : &s->times;
}

static int flush_one(struct segment *s, enum segment_file kind, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    struct index *ix = index_of(s, kind);
    if (ix->tail_count == 0)
        return ERR_OK;
    int rc = segment_fd_locked(s, kind, O_CREAT, &fd, e);
    return rc ? rc : index_flush(ix, fd, segment_path(s, kind, path), e);
}

/*
 * Of the active segment: thousands of partitions that are written to need no more than their logs open. Its indexes are not
 * synced, so no error of a sync is missed.
 */
static int flush_active(struct segment *s, enum segment_file kind, struct err *e)
{
    int rc = flush_one(s, kind, e);
    if (!s->sealed)
        segment_close_file_locked(s, kind);
    return rc;
}

static int reserve_one(struct segment *s, enum segment_file kind, uint32_t n, struct err *e)
{
    int rc = ERR_OK;
    if (index_must_flush(index_of(s, kind), n))
        rc = flush_active(s, kind, e);
    return rc ? rc : index_reserve(index_of(s, kind), n, e);
}

static int reserve_locked(struct segment *s, uint32_t n, struct err *e)
{
    int rc = reserve_one(s, FILE_INDEX, n, e);
    return rc ? rc : reserve_one(s, FILE_TIME, n, e);
}

int segment_reserve_index(struct segment *s, uint32_t batches, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = reserve_locked(s, batches, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Kafka's order: an entry stands for the batch that comes after more than `interval` bytes without one. */
static void note_locked(struct segment *s, const struct batch_header *h, int64_t position)
{
    if (h->max_timestamp > s->max_ts) {
        s->max_ts = h->max_timestamp;
        s->max_ts_offset = batch_last_offset(h);
    }
    if (s->since_index > s->interval) {
        index_push(&s->offsets, batch_last_offset(h), position);
        if (s->max_ts >= 0)
            index_push(&s->times, s->max_ts, s->max_ts_offset);
        s->since_index = 0;
    }
    s->since_index += (int64_t)batch_size(h);
}

void segment_note_batch(struct segment *s, const struct batch_header *h, int64_t position)
{
    pthread_mutex_lock(&s->lock);
    note_locked(s, h, position);
    pthread_mutex_unlock(&s->lock);
}

int segment_flush_indexes(struct segment *s, bool final, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&s->lock);
    if (final && s->max_ts >= 0) {
        rc = reserve_one(s, FILE_TIME, 1, e);
        if (rc == ERR_OK)
            index_push(&s->times, s->max_ts, s->max_ts_offset);
    }
    if (rc == ERR_OK)
        rc = final ? flush_one(s, FILE_INDEX, e) : flush_active(s, FILE_INDEX, e);
    if (rc == ERR_OK)
        rc = final ? flush_one(s, FILE_TIME, e) : flush_active(s, FILE_TIME, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* ---- loading and rebuilding ---- */

static int empty_index(struct segment *s, enum segment_file kind, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    struct index *ix = index_of(s, kind);
    int rc = segment_fd_locked(s, kind, O_CREAT, &fd, e);
    if (rc == ERR_OK)
        rc = io_truncate(fd, 0, segment_path(s, kind, path), e);
    if (rc == ERR_OK) {
        ix->on_disk = 0;
        ix->tail_count = 0;
    }
    return rc;
}

static int rebuild_locked(struct segment *s, int64_t size, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    uint8_t *window = mem_alloc(REBUILD_WINDOW);
    if (!window)
        return err_nomem(e);
    int rc = segment_fd_locked(s, FILE_LOG, 0, &fd, e);
    if (rc == ERR_OK)
        rc = empty_index(s, FILE_INDEX, e);
    if (rc == ERR_OK)
        rc = empty_index(s, FILE_TIME, e);
    s->max_ts = s->max_ts_offset = -1;
    s->since_index = 0;
    struct scan scan;
    struct buf big;
    buf_init(&big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), 0, size, s->base, window, REBUILD_WINDOW);
    while (rc == ERR_OK) {
        struct batch_header h;
        rc = scan_header(&scan, &h, e);
        if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) {
            diag_error("storage", "%s; indexing what stands behind it", e->text);
            rc = scan_resync(&scan, INT64_MAX, &h, &big, e);
        }
        if (rc == ERR_OK)
            rc = reserve_locked(s, 1, e);
        if (rc == ERR_OK) {
            note_locked(s, &h, scan.position);
            scan_skip(&scan, &h);
        }
    }
    buf_free(&big);
    mem_free(window);
    return rc == ERR_END ? ERR_OK : rc;
}

int segment_rebuild_indexes(struct segment *s, int64_t size, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = rebuild_locked(s, size, e);
    if (rc == ERR_OK && s->max_ts >= 0)
        rc = reserve_one(s, FILE_TIME, 1, e);
    if (rc == ERR_OK) {
        if (s->sealed && s->max_ts >= 0)
            index_push(&s->times, s->max_ts, s->max_ts_offset);
        rc = flush_one(s, FILE_INDEX, e);
    }
    if (rc == ERR_OK)
        rc = flush_one(s, FILE_TIME, e);
    s->loaded = rc == ERR_OK;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int load_one(struct segment *s, enum segment_file kind, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = segment_fd_locked(s, kind, 0, &fd, e);
    return rc ? rc : index_load(index_of(s, kind), fd, segment_path(s, kind, path), e);
}

/* Could these be the indexes of a segment with so many bytes? */
static bool plausible(const struct segment *s, int64_t size)
{
    const struct index *o = &s->offsets, *t = &s->times;
    if (index_count(o) && (o->last.value <= 0 || o->last.value >= size || o->last.key < s->base))
        return false;
    if (index_count(t) && (t->last.key < 0 || t->last.value < s->base))
        return false;
    return size == 0 || index_count(t) > 0;
}

int segment_load(struct segment *s, int64_t size, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = ERR_OK;
    bool rebuild = false;
    if (!s->loaded && !io_is_patient()) {
        rc = err_set(e, ERR_WOULD_WAIT, "%s: the indexes of segment %" PRId64 " are not loaded", s->dir->path,
                     s->base);
    } else if (!s->loaded) {
        rc = load_one(s, FILE_INDEX, e);
        if (rc == ERR_OK)
            rc = load_one(s, FILE_TIME, e);
        rebuild = rc == ERR_NOT_FOUND || rc == ERR_CORRUPT || (rc == ERR_OK && !plausible(s, size));
        if (rc == ERR_OK && !rebuild) {
            s->max_ts = index_count(&s->times) ? s->times.last.key : -1;
            s->max_ts_offset = index_count(&s->times) ? s->times.last.value : -1;
            s->loaded = true;
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (!rebuild)
        return rc;
    diag_warn("storage", "%s: indexes of segment %" PRId64 " are missing or broken, building them anew",
              s->dir->path, s->base);
    return segment_rebuild_indexes(s, size, e);
}

/* ---- finding ---- */

static int find_entry(struct segment *s, enum segment_file kind, int64_t key, struct index_entry *out,
                      bool *found, bool *from_disk, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct index *ix = index_of(s, kind);
    int fd = -1, rc = ERR_OK;
    pthread_mutex_lock(&s->lock);
    *found = index_find_tail(ix, key, out);
    *from_disk = !*found && ix->on_disk > 0;
    int64_t count = ix->on_disk;
    if (*from_disk)
        rc = segment_fd_locked(s, kind, 0, &fd, e);
    segment_path(s, kind, path);
    pthread_mutex_unlock(&s->lock);
    if (rc == ERR_OK && *from_disk)
        rc = index_find_disk(ix->kind, s->base, count, fd, key, out, found, path, e);
    return rc;
}

/* Does the entry point at a batch that it describes? */
static int entry_right(struct segment *s, const struct index_entry *en, int64_t size, bool *right,
                       struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[BATCH_HEADER_SIZE];
    int fd;
    struct batch_header h;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc)
        return rc;
    struct scan scan;
    scan_init(&scan, fd, segment_path(s, FILE_LOG, path), en->value, size, s->base, window, sizeof window);
    rc = scan_header(&scan, &h, e);
    *right = rc == ERR_OK && batch_last_offset(&h) == en->key;
    return rc == ERR_CORRUPT || rc == ERR_TRUNCATED || rc == ERR_END ? ERR_OK : rc;
}

int segment_find_position(struct segment *s, int64_t offset, int64_t size, int64_t *position, struct err *e)
{
    struct index_entry en;
    bool found, from_disk, right = true;
    *position = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        int rc = find_entry(s, FILE_INDEX, offset, &en, &found, &from_disk, e);
        if (rc == ERR_OK && found && from_disk)
            rc = entry_right(s, &en, size, &right, e);
        if (rc)
            return rc;
        if (!found)
            return ERR_OK;
        if (right) {
            *position = en.value;
            return ERR_OK;
        }
        diag_warn("storage", "%s: the index of segment %" PRId64 " is wrong at offset %" PRId64 "%s",
                  s->dir->path, s->base, en.key, s->sealed ? ", building it anew" : "");
        if (!s->sealed)
            return ERR_OK;
        rc = segment_rebuild_indexes(s, size, e);
        if (rc)
            return rc;
    }
    return ERR_OK; /* an entry points at a damaged batch: walk from the start */
}

int segment_find_time(struct segment *s, int64_t timestamp, int64_t *offset, struct err *e)
{
    struct index_entry en;
    bool found, from_disk;
    int rc = find_entry(s, FILE_TIME, timestamp, &en, &found, &from_disk, e);
    *offset = rc == ERR_OK && found ? en.value : s->base;
    return rc;
}

/* ---- for appends and recovery ---- */

int64_t segment_index_entries(struct segment *s)
{
    pthread_mutex_lock(&s->lock);
    int64_t n = index_count(&s->offsets);
    pthread_mutex_unlock(&s->lock);
    return n;
}

bool segment_index_full(struct segment *s, int64_t max_bytes)
{
    pthread_mutex_lock(&s->lock);
    /* One entry of the time index is kept for the roll. An append may be larger than an empty index: let it pass. */
    bool full = index_count(&s->offsets) > 0 &&
                (index_full(&s->offsets, max_bytes, 1) || index_full(&s->times, max_bytes, 2));
    pthread_mutex_unlock(&s->lock);
    return full;
}

int segment_read_first_timestamp(struct segment *s, int64_t size, int64_t *timestamp, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    uint8_t window[BATCH_HEADER_SIZE];
    struct batch_header h;
    struct scan scan;
    int fd;
    *timestamp = -1;
    if (size == 0)
        return ERR_OK;
    segment_ref(s); /* keeps a reader that leaves from closing the file meanwhile */
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK) {
        scan_init(&scan, fd, segment_path(s, FILE_LOG, path), 0, size, s->base, window, sizeof window);
        rc = scan_header(&scan, &h, e);
        if (rc == ERR_OK)
            *timestamp = h.max_timestamp;
        else if (rc == ERR_CORRUPT)
            rc = ERR_OK; /* a damaged first batch tells no time: no roll by time then */
    }
    segment_unref(s);
    return rc;
}

int64_t segment_waited(const struct segment *s, int64_t timestamp, int64_t now_ms)
{
    return s->first_ts >= 0 && timestamp >= 0 ? timestamp - s->first_ts : now_ms - s->created_ms;
}

int segment_first_timestamp(struct segment *s, struct err *e)
{
    return s->first_ts >= 0 ? ERR_OK : segment_read_first_timestamp(s, s->size, &s->first_ts, e);
}

void segment_max_timestamp(struct segment *s, int64_t *timestamp, int64_t *offset)
{
    pthread_mutex_lock(&s->lock);
    *timestamp = s->max_ts;
    *offset = s->max_ts_offset;
    pthread_mutex_unlock(&s->lock);
}

void segment_set_sealed(struct segment *s, bool sealed)
{
    pthread_mutex_lock(&s->lock);
    s->sealed = sealed;
    pthread_mutex_unlock(&s->lock);
}

void segment_set_interval(struct segment *s, int32_t interval)
{
    pthread_mutex_lock(&s->lock);
    s->interval = interval;
    pthread_mutex_unlock(&s->lock);
}

static int check_one(struct segment *s, enum segment_file kind, int64_t offset_end, int64_t size,
                     struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = segment_fd_locked(s, kind, O_CREAT, &fd, e);
    return rc ? rc : index_check(index_of(s, kind), fd, offset_end, size, segment_path(s, kind, path), e);
}

int segment_open_indexes(struct segment *s, int64_t offset_end, int64_t size, int64_t *position,
                         bool *rebuilt, struct err *e)
{
    bool right = true;
    *position = 0;
    *rebuilt = false;
    pthread_mutex_lock(&s->lock);
    int rc = check_one(s, FILE_INDEX, offset_end, size, e);
    if (rc == ERR_OK)
        rc = check_one(s, FILE_TIME, offset_end, size, e);
    pthread_mutex_unlock(&s->lock);
    if (rc == ERR_OK && s->offsets.on_disk)
        rc = entry_right(s, &s->offsets.last, size, &right, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&s->lock);
    /* Every entry of the offset index has one of the time index before it, where there are timestamps at all. */
    if (!right || (s->offsets.on_disk && !s->times.on_disk)) {
        *rebuilt = true;
        rc = empty_index(s, FILE_INDEX, e);
        if (rc == ERR_OK)
            rc = empty_index(s, FILE_TIME, e);
    }
    s->max_ts = s->times.on_disk ? s->times.last.key : -1;
    s->max_ts_offset = s->times.on_disk ? s->times.last.value : -1;
    s->since_index = 0;
    s->loaded = true;
    if (s->offsets.on_disk)
        *position = s->offsets.last.value;
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int segment_even_indexes(struct segment *s, int64_t *position, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd, rc = ERR_OK;
    pthread_mutex_lock(&s->lock);
    if (s->offsets.on_disk && s->times.on_disk && s->offsets.last.key > s->times.last.value) {
        rc = segment_fd_locked(s, FILE_INDEX, 0, &fd, e);
        if (rc == ERR_OK)
            rc = index_truncate(&s->offsets, fd, s->times.last.value + 1, segment_path(s, FILE_INDEX, path),
                                e);
        *position = s->offsets.on_disk ? s->offsets.last.value : 0;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}
