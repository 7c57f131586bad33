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

struct flush {
    bool final;
    int64_t end;
    uint64_t cuts;
    struct segment **dirty; /* referenced */
    bool *with_indexes;
    size_t n;
    struct buf snapshot; /* len 0: none is due */
    struct epoch_entry *epochs;
    size_t epoch_count;
    bool epochs_dirty, names_dirty, parent_dirty, metadata_dirty;
};

static bool is_dirty(const struct segment *s)
{
    return s->data_dirty || s->index_dirty || s->txn_dirty;
}

/* Dirty segments are the newest ones. */
static int take_segments(struct log *log, struct flush *f, struct err *e)
{
    size_t first = log->count;
    while (first > 0 && (first == log->count || is_dirty(log->segments[first - 1])))
        first--;
    f->dirty = mem_calloc(log->count - first, sizeof(struct segment *));
    f->with_indexes = mem_calloc(log->count - first, sizeof *f->with_indexes);
    if (!f->dirty || !f->with_indexes)
        return err_nomem(e);
    for (size_t i = first; i < log->count; i++) {
        struct segment *s = log->segments[i];
        bool active = s == log_active(log);
        if (!is_dirty(s) && !(active && f->final))
            continue;
        int rc = segment_flush_indexes(s, active && f->final, e);
        if (rc)
            return rc;
        f->with_indexes[f->n] = !active || f->final;
        f->dirty[f->n++] = segment_ref(s);
    }
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

/* Append lock held. Nothing is marked clean before everything is taken. */
static int take(struct log *log, struct flush *f, struct err *e)
{
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK)
        rc = take_segments(log, f, e);
    if (rc == ERR_OK && (f->final || log->snapshot_lag >= SNAPSHOT_LAG))
        rc = log_encode_snapshot(log, &f->snapshot, e);
    if (rc == ERR_OK)
        rc = take_epochs(log, f, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < f->n; i++)
        f->dirty[i]->data_dirty = f->dirty[i]->index_dirty = false; /* txn_dirty: by the sync itself */
    f->names_dirty = log->names_dirty || f->snapshot.len;
    f->metadata_dirty = log->metadata_dirty;
    f->parent_dirty = log->parent_dirty;
    if (f->snapshot.len)
        log->snapshot_lag = 0;
    log->names_dirty = log->metadata_dirty = log->parent_dirty = false;
    return ERR_OK;
}

static int sync_metadata(struct log *log, struct err *e)
{
    char *path = mem_printf("%s/" METADATA_FILE, log->dir->path);
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
        atomic_store(&s->txn_dirty, true);
        s->index_dirty = true;
    }
    if (f->snapshot.len)
        log->snapshot_lag += SNAPSHOT_LAG;
    pthread_mutex_unlock(&log->append);
}

/* The small files. What is not done is marked to be done again. */
static int sync_names(struct log *log, struct flush *f, struct err *e)
{
    int rc = ERR_OK;
    if (f->metadata_dirty)
        rc = sync_metadata(log, e);
    if (rc == ERR_OK && f->epochs_dirty)
        rc = write_epochs(log, f, e);
    if (rc == ERR_OK && f->snapshot.len)
        rc = log_write_snapshot(log, f->end, &f->snapshot, true, e);
    if (rc == ERR_OK && f->names_dirty)
        rc = io_sync_dir(log->dir->path, e);
    if (rc == ERR_OK && f->parent_dirty)
        rc = io_sync_parent(log->dir->path, e);
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
        segment_release(s);
        f->dirty[i] = NULL;
    }
    if (f->snapshot.len)
        rc = log_trim_snapshots(log, log->segments[0]->base, INT64_MAX, e);
    pthread_mutex_unlock(&log->append);
    return rc;
}

int log_flush_all(struct log *log, bool final, struct err *e)
{
    struct flush f = {.final = final};
    buf_init(&f.snapshot, SNAPSHOT_MAX);
    pthread_mutex_lock(&log->append);
    int rc = take(log, &f, e);
    pthread_mutex_unlock(&log->append);
    if (rc)
        goto taken;
    for (size_t i = 0; i < f.n && rc == ERR_OK; i++)
        rc = segment_sync(f.dirty[i], f.with_indexes[i], e);
    if (rc == ERR_FILES || rc == ERR_NO_MEMORY) {
        put_back(log, &f); /* no sync was tried where a file could not be opened: nothing is lost */
        goto taken;
    }
    if (rc) {
        e->fatal = true; /* whatever kept the sync from happening: the data may not be there */
        log_fail(log, e);
        goto taken;
    }
    rc = sync_names(log, &f, e);
    if (rc && e->fatal)
        log_fail(log, e);
    if (rc == ERR_OK)
        rc = settle(log, &f, e);
taken:
    for (size_t i = 0; i < f.n; i++)
        segment_unref(f.dirty[i]);
    mem_free(f.dirty);
    mem_free(f.with_indexes);
    mem_free(f.epochs);
    buf_free(&f.snapshot);
    return rc;
}

int log_flush(struct log *log, struct err *e)
{
    pthread_mutex_lock(&log->flush);
    int rc = log_flush_all(log, false, e);
    pthread_mutex_unlock(&log->flush);
    return rc;
}
