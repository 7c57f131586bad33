/*
 * clean_names: what cleaning leaves in a partition's directory besides segments: the offset below which it has been, and,
 * after a stop in its middle, *.cleaned and *.swap files. Those are treated as Kafka treats them, whoever left them:
 *
 *   - a .swap at or behind the lowest .cleaned is not complete: it goes, and then every .cleaned;
 *   - of what is left, each .log.swap takes the place of all segments whose base is within its offsets;
 *   - then the names of all .swap files become the plain ones, the log's first.
 *
 * But a .swap that is damaged goes if its original is still there. Stopping in here is the same as stopping before.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "storage/log_internal.h"

#define WINDOW (64u << 10)

/* ---- how far ------------------------------------------------------------------------------------------------------- */

/* A broken file is only reported: the owner's recovery points say the same, unless they are lost too. */
int log_compacted_end(const char *dir, int64_t *end, struct err *e)
{
    char *path = mem_printf("%s/" COMPACTED_FILE, dir);
    if (!path)
        return err_nomem(e);
    int rc = compacted_file_read(path, end, e);
    if (rc == ERR_CORRUPT) {
        diag_warn("storage", "%s; the recovery point tells what was synced", e->text);
        rc = ERR_OK;
    }
    mem_free(path);
    return rc;
}

int log_set_compacted_end(struct log *log, int64_t offset, struct err *e)
{
    char *path = mem_printf("%s/" COMPACTED_FILE, log->dir->path);
    int rc = path ? compacted_file_write(path, offset, e) : err_nomem(e);
    if (rc == ERR_OK) {
        pthread_mutex_lock(&log->state); /* readers ask for it */
        log->compacted_end = offset;
        pthread_mutex_unlock(&log->state);
    }
    mem_free(path);
    return rc;
}

/* ---- what was left ------------------------------------------------------------------------------------------------- */

static const char *const kinds[] = {LOG_SUFFIX, INDEX_SUFFIX, TIME_SUFFIX, TXN_SUFFIX};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

struct leftover {
    int64_t base;
    bool is_log;
};

struct leftovers {
    struct log *log;
    struct buf swaps;   /* struct leftover, one a .swap file */
    struct buf lives;   /* int64_t, base of each plain .log */
    struct buf cleaned; /* int64_t, base of each .cleaned file */
    int64_t min_cleaned;
};

static int found_name(void *arg, const char *name, struct err *e)
{
    struct leftovers *l = arg;
    struct leftover f;
    const char *suffix;
    if (!storage_name_parse(name, &f.base, &suffix))
        return ERR_OK;
    f.is_log = strncmp(suffix, LOG_SUFFIX, sizeof LOG_SUFFIX - 1) == 0;
    if (storage_name_ends(suffix, SWAP_SUFFIX))
        return buf_append(&l->swaps, &f, sizeof f, e);
    if (storage_name_ends(suffix, CLEANED_SUFFIX)) {
        if (f.base < l->min_cleaned)
            l->min_cleaned = f.base;
        return buf_append(&l->cleaned, &f.base, sizeof f.base, e);
    }
    return strcmp(suffix, LOG_SUFFIX) == 0 ? buf_append(&l->lives, &f.base, sizeof f.base, e) : ERR_OK;
}

/* The files of `base` with this ending, the log first. */
static int remove_files(struct leftovers *l, int64_t base, const char *more, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int rc = ERR_OK;
    for (int k = 0; k < KINDS && rc == ERR_OK; k++) {
        rc = io_unlink(storage_path(path, l->log->dir->path, base, kinds[k], more), e);
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    return rc;
}

static int rename_files(struct leftovers *l, int64_t base, struct err *e)
{
    char from[STORAGE_PATH_MAX], to[STORAGE_PATH_MAX];
    int rc = ERR_OK;
    for (int k = 0; k < KINDS && rc == ERR_OK; k++) {
        rc = io_rename(storage_path(from, l->log->dir->path, base, kinds[k], SWAP_SUFFIX),
                       storage_path(to, l->log->dir->path, base, kinds[k], ""), e);
        rc = rc == ERR_NOT_FOUND ? ERR_OK : rc;
    }
    return rc;
}

static bool is_live(const struct leftovers *l, int64_t base)
{
    const int64_t *lives = (const int64_t *)(const void *)l->lives.data;
    for (size_t i = 0; i < l->lives.len / sizeof *lives; i++)
        if (lives[i] == base)
            return true;
    return false;
}

/* Walks the batches of a .log.swap. *next is the offset behind the last one; ERR_CORRUPT: not all of it is whole. */
static int check_swap(struct leftovers *l, int64_t base, int64_t *next, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    struct scan s;
    struct batch_header h, checked;
    struct buf big;
    const uint8_t *data;
    int64_t size = 0;
    int fd;
    *next = base;
    int rc =
        io_open(&fd, storage_path(path, l->log->dir->path, base, LOG_SUFFIX, SWAP_SUFFIX), O_RDONLY, 0, e);
    if (rc)
        return rc;
    uint8_t *window = mem_alloc(WINDOW);
    buf_init(&big, BATCH_MAX_BYTES + BATCH_LENGTH_PREFIX);
    rc = window ? io_size(fd, &size, path, e) : err_nomem(e);
    scan_init(&s, fd, path, 0, size, base, window, WINDOW);
    while (rc == ERR_OK && (rc = scan_header(&s, &h, e)) == ERR_OK) {
        rc = scan_batch(&s, &h, &big, &data, e);
        if (rc == ERR_OK && batch_check(data, batch_size(&h), &checked, e) != ERR_OK)
            rc = err_set(e, ERR_CORRUPT, "%s: batch at byte %" PRId64 ": %s", path, s.position, e->text);
        *next = batch_last_offset(&h) + 1;
        scan_skip(&s, &h);
    }
    buf_free(&big);
    mem_free(window);
    io_close(fd);
    return rc == ERR_END ? ERR_OK : rc == ERR_TRUNCATED ? e->code = ERR_CORRUPT : rc;
}

/* ---- what becomes of it -------------------------------------------------------------------------------------------- */

/* Removes the segments that the .swap was made from; of its own name also what is left without a log. */
static int remove_replaced(struct leftovers *l, int64_t base, int64_t next, struct err *e)
{
    const int64_t *lives = (const int64_t *)(const void *)l->lives.data;
    int rc = remove_files(l, base, "", e);
    for (size_t i = 0; i < l->lives.len / sizeof *lives && rc == ERR_OK; i++)
        if (lives[i] > base && lives[i] < next)
            rc = remove_files(l, lives[i], "", e);
    return rc ? rc : io_sync_dir(l->log->dir->path, e);
}

static int finish_swap(struct leftovers *l, int64_t base, struct err *e)
{
    int64_t next;
    int rc = check_swap(l, base, &next, e);
    if (rc == ERR_CORRUPT && is_live(l, base)) {
        diag_error("storage", "%s; what it was made from is still there and stays", e->text);
        return remove_files(l, base, SWAP_SUFFIX, e);
    }
    if (rc == ERR_CORRUPT) {
        diag_error("storage", "%s; what it was made from is gone", e->text);
        rc = ERR_OK;
    }
    if (rc == ERR_OK)
        rc = remove_replaced(l, base, next, e);
    if (rc == ERR_OK)
        rc = rename_files(l, base, e);
    if (rc == ERR_OK)
        diag_info("storage", "%s: finished the compaction of offsets %" PRId64 " to %" PRId64, l->log->name,
                  base, next - 1);
    return rc;
}

static int by_base(const void *a, const void *b)
{
    const struct leftover *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

static int finish_all(struct leftovers *l, struct err *e)
{
    struct leftover *swaps = (struct leftover *)(void *)l->swaps.data;
    const int64_t *cleaned = (const int64_t *)(const void *)l->cleaned.data;
    size_t n = l->swaps.len / sizeof *swaps;
    int rc = ERR_OK;
    if (n)
        qsort(swaps, n, sizeof *swaps, by_base);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if (swaps[i].base >= l->min_cleaned)
            rc = remove_files(l, swaps[i].base, SWAP_SUFFIX, e);
    for (size_t i = 0; i < l->cleaned.len / sizeof *cleaned && rc == ERR_OK; i++)
        rc = remove_files(l, cleaned[i], CLEANED_SUFFIX, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if (swaps[i].is_log && swaps[i].base < l->min_cleaned)
            rc = finish_swap(l, swaps[i].base, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) /* their log has its name already */
        if (!swaps[i].is_log && swaps[i].base < l->min_cleaned)
            rc = rename_files(l, swaps[i].base, e);
    return rc;
}

int log_finish_swaps(struct log *log, struct err *e)
{
    struct leftovers l = {.log = log, .min_cleaned = INT64_MAX};
    buf_init(&l.swaps, 64u << 20);
    buf_init(&l.lives, 64u << 20);
    buf_init(&l.cleaned, 64u << 20);
    int rc = io_list(log->dir->path, found_name, &l, e);
    if (rc == ERR_OK)
        rc = finish_all(&l, e);
    log_names_changed(log);
    buf_free(&l.swaps);
    buf_free(&l.lives);
    buf_free(&l.cleaned);
    return rc;
}
