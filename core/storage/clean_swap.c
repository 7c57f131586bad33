/*
 * clean_swap: a cleaned segment takes the place of those it was made from. Kafka's protocol, so that a stop at any point
 * leaves what the next opening, ours or Kafka's, completes or drops:
 *
 *   1. the files are complete and synced as *.cleaned;
 *   2. they are renamed to *.swap, the log first, and the names are synced: from here on the new segment counts;
 *   3. the old ones are renamed to *.deleted, and that is synced;
 *   4. *.swap becomes the plain name.
 *
 * In memory the new one takes over after step 2. Readers that hold an old one keep it: its files go after
 * file.delete.delay.ms, as in Kafka, or later with the last of them.
 */
#include "storage/clean_internal.h"

#include <assert.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"

/* Where the sources are in the log's list; ERR_BUSY where they are not what was copied. State lock held. */
static int find_sources(const struct clean_pass *p, size_t first, size_t n, size_t *at, struct err *e)
{
    const struct log *log = p->log;
    const struct clean_source *list = &p->sources.list[first];
    *at = log_segment_index(log, list[0].segment->base);
    bool same = *at + n < log->count;
    for (size_t i = 0; same && i < n; i++)
        same = log->segments[*at + i] == list[i].segment && log->segments[*at + i]->size == list[i].size;
    return same ? ERR_OK : err_set(e, ERR_BUSY, "%s: segments went while they were cleaned", log->name);
}

static int check_sources(const struct clean_pass *p, size_t first, size_t n, struct err *e)
{
    size_t at;
    pthread_mutex_lock(&p->log->state);
    int rc = find_sources(p, first, n, &at, e);
    pthread_mutex_unlock(&p->log->state);
    return rc;
}

int clean_unless_gone(const struct clean_pass *p, size_t first, size_t n, int rc, struct err *e)
{
    struct err gone;
    if (rc != ERR_CORRUPT || check_sources(p, first, n, &gone) == ERR_OK)
        return rc;
    *e = gone;
    return gone.code;
}

/* Readers find the new one from here on. Only the shape lock's holder takes segments away: they are still there. */
static void publish(const struct clean_pass *p, size_t first, size_t n, struct segment *fresh)
{
    struct log *log = p->log;
    const struct clean_source *list = &p->sources.list[first];
    struct segment *warm = NULL;
    struct err unused;
    size_t at;
    pthread_mutex_lock(&log->append);
    pthread_mutex_lock(&log->state);
    int there = find_sources(p, first, n, &at, &unused);
    assert(there == ERR_OK);
    (void)there;
    for (size_t i = 0; i < n; i++) {
        if (log->warm == list[i].segment) {
            warm = log->warm;
            log->warm = NULL;
        }
        atomic_store(&list[i].segment->warm, false);
        log->bytes -= list[i].size;
    }
    fresh->before = list[0].segment->before;
    log->segments[at] = fresh;
    log->count -= n - 1;
    memmove(&log->segments[at + 1], &log->segments[at + n], (log->count - at - 1) * sizeof(struct segment *));
    log->bytes += fresh->size;
    log->cuts++; /* who stands in an old one must not note down where */
    for (unsigned k = 0; k < LOG_HINTS; k++)
        if (log->hints[k].segment_base >= fresh->base && log->hints[k].segment_base < list[n - 1].next_base)
            log->hints[k].offset = -1;
    log_names_changed(log);
    pthread_mutex_unlock(&log->state);
    pthread_mutex_unlock(&log->append);
    segment_unref(warm);
}

/* Steps 3 and 4. */
static int settle_names(const struct clean_pass *p, size_t first, size_t n, struct segment *fresh,
                        struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct segment *old = p->sources.list[first + i].segment;
        struct err ignored;
        /* The next pass may use its name again: its readers, if there are any, go by the open files, if they can. */
        if (atomic_load(&old->refs) > 2)
            segment_pin(old, &ignored);
        rc = segment_set_stage(old, SEGMENT_DELETED, e);
    }
    if (rc == ERR_OK)
        rc = io_sync_dir(p->log->dir->path, e);
    if (rc == ERR_OK) /* whatever becomes of the names, it can be read */
        rc = segment_pin(fresh, e);
    if (rc == ERR_OK)
        rc = segment_set_stage(fresh, SEGMENT_LIVE, e);
    if (rc == ERR_OK)
        segment_unpin(fresh);
    return rc;
}

/* Step 2, and what has to be on disk before. On error nothing has changed, or the error is fatal. */
static int make_swap(const struct clean_pass *p, size_t first, size_t n, struct segment *fresh, struct err *e)
{
    int64_t end = p->sources.list[first + n - 1].next_base;
    int rc = check_sources(p, first, n, e);
    if (rc == ERR_OK && p->log->compacted_end < end) {
        rc = log_set_compacted_end(p->log, end, e);
        e->fatal = false; /* an old value or the new one: both are right as yet */
    }
    if (rc == ERR_OK)
        rc = segment_set_stage(fresh, SEGMENT_SWAP, e);
    return rc ? rc : io_sync_dir(p->log->dir->path, e);
}

static int swap_locked(const struct clean_pass *p, size_t first, size_t n, struct segment *fresh,
                       struct err *e)
{
    struct log *log = p->log;
    struct err why;
    int rc = make_swap(p, first, n, fresh, e);
    if (rc) {
        if (!e->fatal) {
            clean_discard(log, fresh, &why); /* why the swap failed counts */
            return rc;
        }
        log_fail(log, e); /* nobody knows which names are on disk, and later ones would build on them */
        segment_unref(fresh);
        return rc;
    }
    publish(p, first, n, fresh);
    rc = settle_names(p, first, n, fresh, e);
    if (rc) {
        atomic_store(&log->cleaning_left, true);
        if (e->fatal)
            log_fail(log, e);
    } else {
        segment_release(segment_ref(fresh)); /* closes what was opened for the renaming */
    }
    pthread_mutex_lock(&log->append);
    for (size_t i = 0; i < n; i++) /* the list's reference; what did not get its name is the next opening's */
        log_let_go(log, p->sources.list[first + i].segment, rc != ERR_OK);
    pthread_mutex_unlock(&log->append);
    return rc;
}

int clean_swap(struct clean_pass *p, size_t first, size_t n, struct segment *fresh, struct err *e)
{
    pthread_mutex_lock(&p->log->shape);
    int rc = swap_locked(p, first, n, fresh, e);
    pthread_mutex_unlock(&p->log->shape);
    return rc;
}
