/*
 * segment: life of a segment's files. See segment.h; indexes are in segment_index.c.
 */
#include "storage/segment.h"

#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"

#define FORGET_STEP (1 << 20)
#define WRITE_OUT_PIECE                                                                                      \
    ((int64_t)1                                                                                              \
     << 19) /* of smaller ones the call is what takes the time, and behind larger ones others wait */

static const char *const suffixes[FILE_KINDS] = {LOG_SUFFIX, INDEX_SUFFIX, TIME_SUFFIX, TXN_SUFFIX};
static const char *const stages[] = {
    [SEGMENT_LIVE] = "",
    [SEGMENT_CLEANED] = CLEANED_SUFFIX,
    [SEGMENT_SWAP] = SWAP_SUFFIX,
    [SEGMENT_DELETED] = DELETED_SUFFIX,
    [SEGMENT_NAMELESS] = DELETED_SUFFIX,
};

struct log_dir *log_dir_new(const char *path, atomic_int *total, struct err *e)
{
    size_t n = strlen(path);
    if (n > STORAGE_DIR_MAX) {
        err_set(e, ERR_INVALID, "directory name of %zu bytes is longer than %d", n, STORAGE_DIR_MAX);
        return NULL;
    }
    struct log_dir *d = mem_alloc(sizeof *d + n + 1);
    if (!d) {
        err_nomem(e);
        return NULL;
    }
    atomic_init(&d->refs, 1);
    atomic_init(&d->open, 0);
    d->total = total;
    memcpy(d->path, path, n + 1);
    return d;
}

void log_dir_release(struct log_dir *d)
{
    if (d && atomic_fetch_sub(&d->refs, 1) == 1)
        mem_free(d);
}

struct segment *segment_new(struct log_dir *dir, int64_t base, int32_t interval, struct err *e)
{
    struct segment *s = mem_calloc(1, sizeof *s);
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    s->dir = dir;
    atomic_fetch_add(&dir->refs, 1);
    s->base = base;
    s->interval = interval;
    atomic_init(&s->stage, SEGMENT_LIVE);
    atomic_init(&s->refs, 1);
    atomic_init(&s->warm, false);
    s->max_ts = s->max_ts_offset = s->first_ts = -1;
    mutex_init(&s->lock);
    for (int i = 0; i < FILE_KINDS; i++)
        s->fd[i] = -1;
    index_init(&s->offsets, INDEX_OFFSET, base);
    index_init(&s->times, INDEX_TIME, base);
    return s;
}

struct segment *segment_ref(struct segment *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

static void count_open(struct segment *s, int change)
{
    atomic_fetch_add(&s->dir->open, change);
    if (s->dir->total)
        atomic_fetch_add(s->dir->total, change);
}

static void close_file(struct segment *s, int kind)
{
    if (s->fd[kind] < 0)
        return;
    io_close(s->fd[kind]);
    s->fd[kind] = -1;
    count_open(s, -1);
}

static void close_files(struct segment *s)
{
    for (int i = 0; i < FILE_KINDS; i++)
        close_file(s, i);
}

void segment_leave_open(struct segment *s)
{
    pthread_mutex_lock(&s->lock);
    s->pinned = true;
    pthread_mutex_unlock(&s->lock);
}

void segment_unpin(struct segment *s)
{
    pthread_mutex_lock(&s->lock);
    s->pinned = false;
    pthread_mutex_unlock(&s->lock);
}

int segment_remove(struct segment *s, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct err why;
    int rc = ERR_OK;
    for (int i = 0; i < FILE_KINDS; i++) {
        int one = io_unlink(segment_path(s, (enum segment_file)i, path), &why);
        if (one != ERR_OK && one != ERR_NOT_FOUND && rc == ERR_OK) {
            rc = one;
            *e = why;
        }
    }
    return rc;
}

void segment_unref(struct segment *s)
{
    struct err e;
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1)
        return;
    close_files(s);
    if (atomic_load(&s->stage) == SEGMENT_DELETED && segment_remove(s, &e) != ERR_OK)
        diag_warn("storage", "%s; the next start tries again", e.text);
    index_free(&s->offsets);
    index_free(&s->times);
    pthread_mutex_destroy(&s->lock);
    log_dir_release(s->dir);
    mem_free(s);
}

void segment_release(struct segment *s)
{
    if (!s)
        return;
    pthread_mutex_lock(&s->lock);
    /* Whoever comes in from here on waits for the lock, and opens what it needs anew. */
    if (atomic_load(&s->refs) == 2 && !atomic_load(&s->warm) && !atomic_load(&s->data_dirty) &&
        (s->waits || (atomic_load(&s->stage) < SEGMENT_DELETED && !s->pinned)))
        close_files(s);
    pthread_mutex_unlock(&s->lock);
    segment_unref(s);
}

const char *segment_path(struct segment *s, enum segment_file kind, char *out)
{
    return storage_path(out, s->dir->path, s->base, suffixes[kind], stages[atomic_load(&s->stage)]);
}

int segment_fd_locked(struct segment *s, enum segment_file kind, int flags, int *fd, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int rc = ERR_OK;
    if (s->fd[kind] < 0 || (flags & O_TRUNC)) {
        close_file(s, kind);
        rc = io_open(&s->fd[kind], segment_path(s, kind, path), O_RDWR | flags, 0600, e);
        if (rc == ERR_OK)
            count_open(s, 1);
    }
    *fd = s->fd[kind];
    return rc;
}

int segment_fd(struct segment *s, enum segment_file kind, bool create, int *fd, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    int rc = segment_fd_locked(s, kind, create ? O_CREAT : 0, fd, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void segment_close_file_locked(struct segment *s, enum segment_file kind)
{
    if (atomic_load(&s->refs) == 1 && atomic_load(&s->stage) != SEGMENT_DELETED && !s->pinned)
        close_file(s, kind);
}

void segment_close_indexes(struct segment *s)
{
    pthread_mutex_lock(&s->lock);
    segment_close_file_locked(s, FILE_INDEX);
    segment_close_file_locked(s, FILE_TIME);
    pthread_mutex_unlock(&s->lock);
}

void segment_cool(struct segment *s)
{
    atomic_store(&s->warm, false);
    if (s->data_dirty || s->index_dirty || s->txn_dirty)
        return; /* a sync must go through the descriptor that was written through, to learn of its errors */
    pthread_mutex_lock(&s->lock);
    if (atomic_load(&s->refs) == 1 && atomic_load(&s->stage) != SEGMENT_DELETED && !s->pinned) {
        close_files(s);
        index_release_tail(&s->offsets);
        index_release_tail(&s->times);
    }
    pthread_mutex_unlock(&s->lock);
}

void segment_set_waiting(struct segment *s, bool waits)
{
    pthread_mutex_lock(&s->lock);
    s->waits = waits;
    if (waits && atomic_load(&s->refs) == 1)
        close_files(s);
    pthread_mutex_unlock(&s->lock);
}

int segment_create(struct segment *s, struct err *e)
{
    int fd;
    int rc = segment_fd_locked(s, FILE_INDEX, O_CREAT | O_TRUNC, &fd, e);
    if (rc == ERR_OK)
        rc = segment_fd_locked(s, FILE_TIME, O_CREAT | O_TRUNC, &fd, e);
    if (rc == ERR_OK) {
        char path[STORAGE_PATH_MAX];
        rc = io_unlink(segment_path(s, FILE_TXN, path), e);
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    if (rc == ERR_OK) /* last: a segment exists with its .log */
        rc = segment_fd_locked(s, FILE_LOG, O_CREAT | O_TRUNC, &fd, e);
    for (int i = FILE_INDEX; i <= FILE_TIME; i++) /* opened again when a page of entries is full */
        close_file(s, i);
    s->loaded = true;
    atomic_store(&s->data_dirty, true);
    s->index_dirty = true;
    s->created_ms = clock_wall_ms();
    atomic_store(&s->warm, true);
    return rc;
}

/* Not every segment has every file. */
static int rename_file(struct segment *s, int kind, enum segment_stage from, enum segment_stage to,
                       struct err *e)
{
    char before[STORAGE_PATH_MAX], after[STORAGE_PATH_MAX];
    storage_path(before, s->dir->path, s->base, suffixes[kind], stages[from]);
    storage_path(after, s->dir->path, s->base, suffixes[kind], stages[to]);
    int rc = io_rename(before, after, e);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

int segment_mark_deleted(struct segment *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    const enum segment_stage from = atomic_load(&s->stage);
    /* The log first: without it the rest is nothing, and is removed by the next start. */
    int rc = rename_file(s, FILE_LOG, from, SEGMENT_DELETED, e);
    if (rc == ERR_OK) {
        atomic_store(&s->stage, SEGMENT_DELETED);
        for (int i = FILE_LOG + 1; i < FILE_KINDS; i++)
            if (rename_file(s, i, from, SEGMENT_DELETED, e) != ERR_OK)
                diag_warn("storage", "%s; the next start removes it", e->text);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int segment_set_stage(struct segment *s, enum segment_stage stage, struct err *e)
{
    int rc = ERR_OK, done = 0, undone = ERR_OK;
    struct err undo;
    pthread_mutex_lock(&s->lock);
    const enum segment_stage from = atomic_load(&s->stage);
    while (rc == ERR_OK && done < FILE_KINDS) {
        rc = rename_file(s, done, from, stage, e);
        done += rc == ERR_OK;
    }
    while (rc != ERR_OK && done-- > 0) {
        undone = rename_file(s, done, stage, from, &undo);
        e->fatal |= undone != ERR_OK;
    }
    if (rc == ERR_OK ||
        undone != ERR_OK) /* the log is the first to be renamed, and the last to be renamed back */
        atomic_store(&s->stage, stage);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int segment_pin(struct segment *s, struct err *e)
{
    int rc = ERR_OK, fd;
    pthread_mutex_lock(&s->lock);
    s->pinned = true;
    for (int i = 0; i < FILE_KINDS && rc == ERR_OK; i++)
        if (i != FILE_TXN || s->txn_entries)
            rc = segment_fd_locked(s, (enum segment_file)i, 0, &fd, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int segment_truncate(struct segment *s, int64_t size, int64_t offset, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK)
        rc = io_truncate(fd, size, segment_path(s, FILE_LOG, path), e);
    if (rc)
        return rc;
    s->allocated = size;
    atomic_store(&s->data_dirty, true);
    s->index_dirty = true;
    atomic_store(&s->indexes_cut, true);
    pthread_mutex_lock(&s->lock);
    rc = segment_fd_locked(s, FILE_INDEX, O_CREAT, &fd, e);
    if (rc == ERR_OK)
        rc = index_truncate(&s->offsets, fd, offset, segment_path(s, FILE_INDEX, path), e);
    if (rc == ERR_OK)
        rc = segment_fd_locked(s, FILE_TIME, O_CREAT, &fd, e);
    if (rc == ERR_OK)
        rc = index_truncate(&s->times, fd, offset, segment_path(s, FILE_TIME, path), e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static int sync_one(struct segment *s, enum segment_file kind, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = segment_fd(s, kind, false, &fd, e);
    return rc ? rc : io_sync_data(fd, segment_path(s, kind, path), e);
}

/* Also one that was cut to nothing; most segments have none. */
static int sync_txn(struct segment *s, struct err *e)
{
    pthread_mutex_lock(&s->lock);
    bool needed = s->txn_entries > 0;
    pthread_mutex_unlock(&s->lock);
    int rc = sync_one(s, FILE_TXN, e);
    return rc == ERR_NOT_FOUND && !needed ? ERR_OK : rc;
}

int segment_sync(struct segment *s, bool with_indexes, struct err *e)
{
    int rc = sync_one(s, FILE_LOG, e);
    with_indexes |= atomic_exchange(&s->indexes_cut, false);
    if (rc == ERR_OK && atomic_exchange(&s->txn_dirty, false))
        rc = sync_txn(s, e);
    if (rc == ERR_OK && with_indexes)
        rc = sync_one(s, FILE_INDEX, e);
    if (rc == ERR_OK && with_indexes)
        rc = sync_one(s, FILE_TIME, e);
    return rc;
}

int segment_check_written(struct segment *s, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    return rc ? rc : io_check_written(fd, segment_path(s, FILE_LOG, path), e);
}

/* Writes out and waits, piece by piece, while more than `rest` bytes are left. *at: how far that came. */
static int write_pieces(struct segment *s, int64_t *at, int64_t size, int64_t rest, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int rc = ERR_OK, fd;
    *at = s->written_out < size ? s->written_out : size; /* it may have been cut */
    if (size - *at > rest)
        rc = segment_fd(s, FILE_LOG, false, &fd, e);
    while (rc == ERR_OK && size - *at > rest) {
        int64_t n = size - *at < WRITE_OUT_PIECE ? size - *at : WRITE_OUT_PIECE;
        rc = io_write_out(fd, *at, n, segment_path(s, FILE_LOG, path), e);
        *at += rc ? 0 : n;
    }
    return rc;
}

int segment_write_out(struct segment *s, int64_t size, struct err *e)
{
    int64_t at;
    int rc = write_pieces(s, &at, size, WRITE_OUT_PIECE, e);
    s->written_out = at;
    return rc;
}

int segment_write_out_whole(struct segment *s, int64_t size, struct err *e)
{
    int64_t at; /* forgotten: only the sync that follows makes it count */
    return write_pieces(s, &at, size, 0, e);
}

void segment_forget(struct segment *s, int64_t size, int64_t keep, int64_t most)
{
    /* By steps that are worth a call, and no larger than what is kept. */
    int64_t step = keep < FORGET_STEP ? keep : FORGET_STEP, to = keep < size ? size - keep : 0;
    struct err e;
    int fd;
    int64_t before = atomic_load(&s->forgotten), from = before < size ? before : size; /* it was cut? */
    if (to <= from || to - from < step || segment_fd(s, FILE_LOG, false, &fd, &e))
        return; /* a file that cannot be opened is in the way of others, who tell */
    if (to - from > most)
        to = from + most;
    /* Before it is, so that a reader's word that it reads there stays. */
    atomic_compare_exchange_strong(&s->forgotten, &before, to);
    io_forget_part(fd, from, to - from);
}

void segment_was_read(struct segment *s, int64_t from)
{
    int64_t now = atomic_load_explicit(&s->forgotten, memory_order_relaxed);
    while (from < now && !atomic_compare_exchange_weak(&s->forgotten, &now, from))
        ;
}
