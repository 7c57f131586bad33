/*
 * log_flush: makes a log's bytes durable and moves its recovery point. Appends go on while the syncs run: what is to be
 * synced is taken down under the append lock, which is then given back.
 */
#include <fcntl.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

enum { WRITE_OUT_PASSES = 4, WRITE_OUT_REST = 2 << 20, FORGET_AT_ONCE = 8 << 20 };

/* So many are let go of at once, and so many of which nothing is left are passed for more of them. */
enum { OLD_SEGMENTS = 4, LOOK_BACK = 64 };

/* A segment whose bytes are on disk, of which the page cache need not have all. */
struct old {
    struct segment *segment; /* referenced */
    int64_t size, keep;
};

struct flush {
    bool final;
    bool appends; /* of log_sync_appends */
    bool synced;  /* what is taken is on disk with the file system `device`, unless that failed for it */
    uint64_t device;
    int64_t lag; /* a snapshot is due once so much was appended since the last one */
    int64_t end;
    uint64_t cuts;
    struct segment **dirty; /* referenced */
    bool *with_indexes;
    int64_t *sizes; /* as they were then */
    int64_t fresh;  /* bytes of them that no sync was through with before */
    size_t n;
    const struct segment *active;
    struct old old[OLD_SEGMENTS];
    size_t old_count;
    struct buf snapshot; /* len 0: none is due */
    struct epoch_entry *epochs;
    size_t epoch_count;
    bool epochs_dirty, epochs_written, names_dirty, parent_dirty, metadata_dirty;
};

static bool is_dirty(const struct segment *s)
{
    return s->data_dirty || s->index_dirty || s->txn_dirty;
}

/* Of what is derived from the batches: it fails a flush, which is tried again, but no append. */
static bool can_wait(const struct flush *f, const struct err *e)
{
    return f->appends && (e->code == ERR_NO_SPACE || e->code == ERR_FILES || e->code == ERR_NO_MEMORY);
}

/* The first one of `n` segments that begins at `from` or behind it, of the log's bytes; n: none does. */
static size_t first_kept(const struct log *log, size_t n, int64_t from)
{
    size_t low = 0, high = n;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (log->segments[mid]->before < from)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Of the segments before the dirty ones, those that reach further back than what is kept. */
static void take_old(struct log *log, struct flush *f, size_t first)
{
    int64_t keep = page_cache_keep(log->page_cache, &log->page_share);
    if (keep == INT64_MAX)
        return;
    int64_t end = log_active(log)->before + log_active(log)->size;
    size_t i = first_kept(log, first, end - keep);
    for (size_t last = i; i > 0 && f->old_count < OLD_SEGMENTS && last - i < LOOK_BACK; i--) {
        struct segment *s = log->segments[i - 1];
        int64_t behind = end - s->before - s->size;
        if (atomic_load(&s->forgotten) < s->size)
            f->old[f->old_count++] = (struct old){segment_ref(s), s->size, keep > behind ? keep - behind : 0};
    }
}

/* Dirty segments are the newest ones. */
static int take_segments(struct log *log, struct flush *f, struct err *e)
{
    size_t first = log->count;
    while (first > 0 && (first == log->count || is_dirty(log->segments[first - 1])))
        first--;
    f->dirty = mem_calloc(log->count - first, sizeof(struct segment *));
    f->with_indexes = mem_calloc(log->count - first, sizeof *f->with_indexes);
    f->sizes = mem_calloc(log->count - first, sizeof *f->sizes);
    if (!f->dirty || !f->with_indexes || !f->sizes)
        return err_nomem(e);
    f->active = log_active(log);
    for (size_t i = first; i < log->count; i++) {
        struct segment *s = log->segments[i];
        bool active = s == f->active;
        if (!is_dirty(s) && !(active && f->final))
            continue;
        int rc = segment_flush_indexes(s, active && f->final, e);
        if (rc && !(active && can_wait(f, e)))
            return rc; /* else the entries stay in memory, and a start makes what it does not find */
        f->with_indexes[f->n] = !active || f->final;
        f->sizes[f->n] = s->size;
        f->dirty[f->n++] = segment_ref(s);
    }
    take_old(log, f, first);
    return ERR_OK;
}

static int take_epochs(struct log *log, struct flush *f, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&log->state);
    if (log->epochs.dirty) {
        f->epoch_count = log->epochs.count;
        f->epochs = mem_dup(log->epochs.list, f->epoch_count * sizeof *f->epochs);
        rc = f->epochs ? ERR_OK : err_nomem(e);
        f->epochs_dirty = rc == ERR_OK;
        log->epochs.dirty = rc != ERR_OK;
    }
    f->end = log->end;
    f->cuts = log->cuts;
    pthread_mutex_unlock(&log->state);
    return rc;
}

static void take_names(struct log *log, struct flush *f)
{
    f->names_dirty = log->names_dirty || f->snapshot.len;
    f->metadata_dirty = log->metadata_dirty;
    f->epochs_written = log->epochs_written;
    f->parent_dirty = log->parent_dirty;
    log->names_dirty = log->metadata_dirty = log->parent_dirty = log->epochs_written = false;
}

static bool is_on(struct log *log, uint64_t device)
{
    struct segment *s = segment_ref(log_active(log));
    struct err e;
    int fd;
    bool on = segment_fd(s, FILE_LOG, false, &fd, &e) == ERR_OK && io_is_on(fd, device);
    segment_release(s);
    return on;
}

/*
 * Was all there is to do synced with the file system: the active segment's bytes up to the mark, and names, of which none is newer? What else
 * there may be comes up once in many flushes. Append lock held.
 */
static bool is_synced(struct log *log, const struct flush *f, const struct sync_mark *m)
{
    const struct segment *s = log_active(log);
    pthread_mutex_lock(&log->state);
    bool same = m->set && m->cuts == log->cuts && m->base == s->base && !log->epochs.dirty;
    pthread_mutex_unlock(&log->state);
    return same && !s->txn_dirty && !s->indexes_cut && log->snapshot_lag < f->lag &&
           (log->count == 1 || !is_dirty(log->segments[log->count - 2])) && m->names == log->names &&
           is_on(log, f->device);
}

/* Instead of `take`. Entries of indexes stay in memory: they are written with the next snapshot, or when there are many. */
static int take_synced(struct log *log, struct flush *f, const struct sync_mark *m, struct err *e)
{
    struct segment *s = log_active(log);
    f->dirty = mem_calloc(1, sizeof *f->dirty);
    f->sizes = mem_calloc(1, sizeof *f->sizes);
    if (!f->dirty || !f->sizes)
        return err_nomem(e);
    f->active = s;
    f->end = m->end;
    f->cuts = m->cuts;
    f->sizes[0] = m->size;
    f->dirty[0] = segment_ref(s);
    f->n = 1;
    take_old(log, f, log->count - 1);
    if (s->size == m->size)
        atomic_store(&s->data_dirty, false);
    take_names(log, f);
    return ERR_OK;
}

/* Append lock held. Nothing is marked clean before everything is taken. */
static int take(struct log *log, struct flush *f, struct err *e)
{
    int rc = log_check_usable(log, e);
    struct sync_mark mark = log->mark;
    log->mark.set = false;
    f->synced = f->synced && rc == ERR_OK && is_synced(log, f, &mark);
    if (f->synced)
        return take_synced(log, f, &mark, e);
    if (rc == ERR_OK)
        rc = take_segments(log, f, e);
    if (rc == ERR_OK && (f->final || log->snapshot_lag >= f->lag))
        rc = log_encode_snapshot(log, &f->snapshot, e);
    if (rc == ERR_OK)
        rc = take_epochs(log, f, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < f->n; i++)
        f->dirty[i]->data_dirty = f->dirty[i]->index_dirty = false; /* txn_dirty: by the sync itself */
    take_names(log, f);
    if (f->snapshot.len)
        log->snapshot_lag = 0;
    return ERR_OK;
}

/* One of the small files, which was written before. */
static int sync_small_file(struct log *log, const char *name, struct err *e)
{
    char *path = mem_printf("%s/%s", log->dir->path, name);
    int fd;
    int rc = path ? io_open(&fd, path, O_RDONLY, 0, e) : err_nomem(e);
    if (rc == ERR_OK) {
        rc = io_sync_data(fd, path, e);
        io_close(fd);
    }
    mem_free(path);
    return rc;
}

static int write_epochs(struct log *log, const struct flush *f, struct err *e)
{
    char *path = mem_printf("%s/" EPOCH_FILE, log->dir->path);
    int rc = path ? epoch_file_write(path, f->epochs, f->epoch_count, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

/* What was taken is to be done another time. */
static void put_back_names(struct log *log, const struct flush *f)
{
    pthread_mutex_lock(&log->append);
    log->metadata_dirty |= f->metadata_dirty;
    log->epochs_written |= f->epochs_written;
    log->names_dirty |= f->names_dirty;
    log->parent_dirty |= f->parent_dirty;
    pthread_mutex_lock(&log->state);
    log->epochs.dirty |= f->epochs_dirty;
    pthread_mutex_unlock(&log->state);
    pthread_mutex_unlock(&log->append);
}

static void put_back(struct log *log, const struct flush *f)
{
    put_back_names(log, f);
    pthread_mutex_lock(&log->append);
    for (size_t i = 0; i < f->n; i++) {
        struct segment *s = f->dirty[i];
        atomic_store(&s->data_dirty, true);
        if (f->synced) /* nothing else was taken */
            continue;
        atomic_store(&s->txn_dirty, true);
        atomic_store(&s->indexes_cut, true);
        s->index_dirty = true;
    }
    if (f->snapshot.len)
        log->snapshot_lag += f->lag;
    pthread_mutex_unlock(&log->append);
}

/* It only makes the next opening faster. One that is not whole must not count as one of the two that are kept. */
static int write_snapshot(struct log *log, const struct flush *f, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct err ignored;
    int rc = log_write_snapshot(log, f->end, &f->snapshot, true, e);
    if (rc == ERR_OK || e->fatal || !can_wait(f, e))
        return rc;
    io_unlink(storage_path(path, log->dir->path, f->end, SNAPSHOT_SUFFIX, ""), &ignored);
    pthread_mutex_lock(&log->append);
    log->snapshot_lag += f->lag;
    pthread_mutex_unlock(&log->append);
    return ERR_OK;
}

/* The small files. What is not done is marked to be done again. */
static int sync_names(struct log *log, struct flush *f, struct err *e)
{
    int rc = ERR_OK;
    if (f->metadata_dirty)
        rc = sync_small_file(log, METADATA_FILE, e);
    if (rc == ERR_OK && f->epochs_dirty)
        rc = write_epochs(log, f, e);
    else if (rc == ERR_OK && f->epochs_written)
        rc = sync_small_file(log, EPOCH_FILE, e);
    if (rc == ERR_OK && f->snapshot.len)
        rc = write_snapshot(log, f, e);
    if (rc == ERR_OK && f->names_dirty)
        rc = io_sync_dir(log->dir->path, e);
    if (rc == ERR_OK && f->parent_dirty)
        rc = log->parent ? log_parent_sync(log->parent, log->parent_made, e)
                         : io_sync_parent(log->dir->path, e);
    if (rc)
        put_back_names(log, f);
    return rc;
}

/* The recovery point moves; synced segments that are not active need no files open any more. */
static int settle(struct log *log, struct flush *f, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&log->append);
    pthread_mutex_lock(&log->state);
    int64_t point = f->cuts == log->cuts || f->end < log->end ? f->end : log->end;
    if (point > log->recovery_point)
        log->recovery_point = point;
    pthread_mutex_unlock(&log->state);
    for (size_t i = 0; i < f->n; i++) {
        struct segment *s = f->dirty[i];
        pthread_mutex_lock(&log->state);
        if (s != log_active(log) && s != log->warm)
            atomic_store(&s->warm, false);
        pthread_mutex_unlock(&log->state);
        bool active = s == log_active(log);
        segment_release(s);
        if (active)
            segment_close_indexes(s); /* the first sync after a kill opens them */
        f->dirty[i] = NULL;
    }
    if (f->snapshot.len)
        rc = log_trim_snapshots(log, log->segments[0]->base, INT64_MAX, e);
    pthread_mutex_unlock(&log->append);
    return rc;
}

/* What the page cache need not have any more. */
static void forget(struct log *log, const struct flush *f)
{
    page_cache_flushed(log->page_cache, &log->page_share, f->fresh);
    int64_t keep = page_cache_keep(log->page_cache, &log->page_share);
    if (keep == INT64_MAX)
        return;
    int64_t most = f->appends ? FORGET_AT_ONCE : INT64_MAX; /* who appends waits meanwhile */
    for (size_t i = 0; i < f->old_count; i++)
        segment_forget(f->old[i].segment, f->old[i].size, f->old[i].keep, most);
    for (size_t i = f->n; i-- > 0;) {
        segment_forget(f->dirty[i], f->sizes[i], keep, most);
        keep -= keep < f->sizes[i] ? keep : f->sizes[i];
    }
}

static int64_t size_of(struct log *log, const struct segment *s)
{
    pthread_mutex_lock(&log->state);
    int64_t size = s->size;
    pthread_mutex_unlock(&log->state);
    return size;
}

/* Also what comes meanwhile, as the sync writes that, too. */
static int write_out(struct log *log, struct segment *s, struct err *e)
{
    int rc = ERR_OK;
    int64_t more = INT64_MAX;
    for (int pass = 0; pass < WRITE_OUT_PASSES && more > WRITE_OUT_REST && rc == ERR_OK; pass++) {
        rc = segment_write_out(s, size_of(log, s), e);
        more = size_of(log, s) - s->written_out;
    }
    return rc;
}

/* One of the dirty segments. */
static int flush_segment(struct log *log, struct flush *f, size_t i, struct err *e)
{
    struct segment *s = f->dirty[i];
    int64_t before = s->written_out;
    int rc = ERR_OK;
    if (!f->appends && !f->synced) /* for the former the caller waits */
        rc = write_out(log, s, e);
    if (rc == ERR_OK)
        rc = f->synced ? segment_check_written(s, e) : segment_sync(s, f->with_indexes[i], e);
    if (rc)
        return rc;
    if (before < f->sizes[i])
        f->fresh += f->sizes[i] - before;
    if (s->written_out < f->sizes[i])
        s->written_out = f->sizes[i];
    return ERR_OK;
}

static int flush_with(struct log *log, struct flush *f, struct err *e)
{
    buf_init(&f->snapshot, SNAPSHOT_MAX);
    pthread_mutex_lock(&log->append);
    int rc = take(log, f, e);
    pthread_mutex_unlock(&log->append);
    if (rc)
        goto taken;
    for (size_t i = 0; i < f->n && rc == ERR_OK; i++)
        rc = flush_segment(log, f, i, e);
    if ((rc == ERR_FILES || rc == ERR_NO_MEMORY || rc == ERR_UNSUPPORTED) && !e->fatal) {
        put_back(log, f); /* no sync was tried where a file could not be opened: nothing is lost */
        goto taken;
    }
    if (rc) {
        e->fatal = true; /* whatever kept the sync from happening: the data may not be there */
        log_fail(log, e);
        goto taken;
    }
    rc = f->synced ? ERR_OK : sync_names(log, f, e);
    if (rc && e->fatal)
        log_fail(log, e);
    if (rc == ERR_OK)
        forget(log, f);
    if (rc == ERR_OK)
        rc = settle(log, f, e);
taken:
    for (size_t i = 0; i < f->old_count; i++)
        segment_release(f->old[i].segment);
    for (size_t i = 0; i < f->n; i++)
        segment_unref(f->dirty[i]);
    mem_free(f->dirty);
    mem_free(f->with_indexes);
    mem_free(f->sizes);
    mem_free(f->epochs);
    buf_free(&f->snapshot);
    return rc;
}

int log_flush_all(struct log *log, bool final, struct err *e)
{
    struct flush f = {.final = final, .lag = SNAPSHOT_LAG};
    return flush_with(log, &f, e);
}

int log_flush(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->flush);
    int rc = log_flush_all(log, false, e);
    pthread_mutex_unlock(&log->flush);
    return rc;
}

/* Of the active segment, as far as it has bytes now. Others are flushed as ever. */
static int write_active(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->flush);
    pthread_mutex_lock(&log->append);
    struct segment *s = segment_ref(log_active(log));
    int64_t size = size_of(log, s);
    pthread_mutex_unlock(&log->append);
    int rc = segment_write_out_whole(s, size, e);
    if (rc && e->fatal) /* before anybody else can sync, whom the system would not tell of it again */
        log_fail(log, e);
    pthread_mutex_lock(&log->append);
    segment_release(s);
    pthread_mutex_unlock(&log->append);
    pthread_mutex_unlock(&log->flush);
    return rc && e->fatal ? rc : ERR_OK; /* what else it may be, the sync meets it, too */
}

int log_mark_for_sync(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->append);
    pthread_mutex_lock(&log->state);
    const struct segment *s = log_active(log);
    log->mark = (struct sync_mark){true, s->base, s->size, log->end, log->cuts, log->names};
    pthread_mutex_unlock(&log->state);
    pthread_mutex_unlock(&log->append);
    return write_active(log, e);
}

int log_flush_synced(struct log *log, uint64_t device, struct err *e)
{
    struct flush f = {.synced = true, .device = device, .lag = SNAPSHOT_LAG};
    pthread_mutex_lock(&log->flush);
    int rc = flush_with(log, &f, e);
    if (rc == ERR_UNSUPPORTED && !e->fatal)
        rc = log_flush_all(log, false, e);
    pthread_mutex_unlock(&log->flush);
    return rc;
}

int log_sync_appends(struct log *log, struct err *e)
{
    struct flush f = {.appends = true, .lag = SNAPSHOT_LAG_APPENDS};
    pthread_mutex_lock(&log->flush);
    int rc = flush_with(log, &f, e);
    pthread_mutex_unlock(&log->flush);
    return rc;
}

/* Nothing of the log was flushed yet, so that all its batches are read again if a crash tears the file. */
static bool take_first_epoch(struct log *log, int32_t *epoch)
{
    const struct epochs *c = &log->epochs;
    pthread_mutex_lock(&log->state);
    bool first =
        !log->failed && c->dirty && c->count == 1 && c->list[0].start == 0 && log->recovery_point == 0;
    if (first) {
        *epoch = c->list[0].epoch;
        log->epochs.dirty = false;
    }
    pthread_mutex_unlock(&log->state);
    return first;
}

static int make_epochs(struct log *log, int32_t epoch, struct err *e)
{
    char *path = mem_printf("%s/" EPOCH_FILE, log->dir->path);
    int rc = path ? epoch_file_make(path, epoch, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

int log_write_ahead(struct log *log, struct err *e)
{
    int32_t epoch;
    int rc = ERR_OK;
    pthread_mutex_lock(&log->flush);
    if (take_first_epoch(log, &epoch)) {
        rc = make_epochs(log, epoch, e);
        pthread_mutex_lock(&log->append);
        pthread_mutex_lock(&log->state);
        log->epochs.dirty |= rc != ERR_OK;
        log->epochs_written |= rc == ERR_OK;
        log_names_changed(log);
        pthread_mutex_unlock(&log->state);
        pthread_mutex_unlock(&log->append);
    }
    pthread_mutex_unlock(&log->flush);
    return rc == ERR_EXISTS ? ERR_OK : rc; /* then the flush replaces it */
}
