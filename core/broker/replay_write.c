/*
 * replay_write: see replay_write.h. The caller fills a bundle for each thread while the threads write others; there are so many that each
 * thread has one to write and one to come, which bounds the memory. One lock, never held over a write.
 *
 * Each thread keeps the files open that it writes to, as the journal comes back to thousands of them in turns, one for each place
 * of a table: of more files than that those that meet in a place take turns.
 */
#include "broker/replay_write.h"

#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/store.h"

enum { BUNDLE_BYTES = 1 << 20, BUNDLE_RUNS = 1024, THREADS = 3 };
#define BUNDLES (3 * THREADS)
#define FILES_MAX 8192u

/* Bytes that follow one another in a segment. */
struct run {
    struct partition *p;
    int64_t segment_base, position, base_offset;
    const uint8_t *data;
    size_t n;
};

struct bundle {
    struct bundle *next;
    size_t count, used;
    struct run runs[BUNDLE_RUNS];
    uint8_t data[BUNDLE_BYTES]; /* memory that was never written to costs nothing */
};

/* Open for a segment; p is NULL where there is none. */
struct file {
    const struct partition *p;
    int64_t segment_base;
    int fd;
};

struct worker {
    struct replay_writer *all;
    pthread_t thread;
    pthread_cond_t more;
    struct bundle *first, **end;
    struct bundle *open; /* the caller's, being filled; NULL: none */
    struct file *files;  /* of whoever writes */
};

struct replay_writer {
    pthread_mutex_t lock;
    pthread_cond_t spare_came;
    struct bundle *bundles; /* BUNDLES */
    struct bundle *spare;
    struct worker workers[THREADS];
    size_t count;      /* of threads; 0: the caller writes, as the first worker */
    size_t file_count; /* each worker's */
    bool last;         /* no more is to come */
    int rc;            /* the first error, after which nothing is written */
    struct err first;
};

/* ---- writing ------------------------------------------------------------------------------------------------------- */

static size_t workers(const struct replay_writer *w)
{
    return w->count ? w->count : 1;
}

static struct file *file_of(struct worker *w, const struct run *r)
{
    size_t at = (be32(r->p->topic->id.b) + (size_t)r->p->index / workers(w->all)) % w->all->file_count;
    struct file *f = &w->files[at];
    if (f->p != r->p || f->segment_base != r->segment_base) {
        io_close(f->fd);
        *f = (struct file){.p = r->p, .segment_base = r->segment_base, .fd = -1};
    }
    return f;
}

static int write_run(struct worker *w, const struct run *r, struct err *e)
{
    char *dir = partition_dir(r->p);
    int rc = dir ? log_restore(&file_of(w, r)->fd, dir, r->segment_base, r->position, r->data, r->n, e)
                 : err_nomem(e);
    mem_free(dir);
    return rc ? err_wrap(e, "putting back offset %lld of %s-%d", (long long)r->base_offset, r->p->topic->name,
                         r->p->index)
              : ERR_OK;
}

static int write_bundle(struct worker *w, const struct bundle *b, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < b->count && !rc; i++)
        rc = write_run(w, &b->runs[i], e);
    return rc;
}

static struct bundle *next_bundle(struct worker *w)
{
    while (!w->first && !w->all->last)
        pthread_cond_wait(&w->more, &w->all->lock);
    struct bundle *b = w->first;
    if (b && !(w->first = b->next))
        w->end = &w->first;
    return b;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct replay_writer *all = w->all;
    pthread_mutex_lock(&all->lock);
    for (struct bundle *b; (b = next_bundle(w));) {
        bool wanted = !all->rc;
        struct err e;
        pthread_mutex_unlock(&all->lock);
        int rc = wanted ? write_bundle(w, b, &e) : ERR_OK;
        pthread_mutex_lock(&all->lock);
        if (rc && !all->rc) {
            all->rc = rc;
            all->first = e;
        }
        b->next = all->spare;
        all->spare = b;
        pthread_cond_signal(&all->spare_came);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

/* ---- beginning and end --------------------------------------------------------------------------------------------- */

static void start_threads(struct replay_writer *w)
{
    struct err ignored;
    while (w->count < THREADS) {
        struct worker *k = &w->workers[w->count];
        cond_init(&k->more);
        if (thread_start(&k->thread, "leat-replay", work, k, &ignored)) {
            pthread_cond_destroy(&k->more);
            return;
        }
        w->count++;
    }
}

static void free_all(struct replay_writer *w)
{
    for (size_t i = 0; i < THREADS; i++) {
        struct worker *k = &w->workers[i];
        for (size_t j = 0; k->files && j < w->file_count; j++)
            io_close(k->files[j].fd);
        mem_free(k->files);
    }
    mem_free(w->bundles);
    mem_free(w);
}

static int make_worker(struct replay_writer *w, struct worker *k, struct err *e)
{
    k->all = w;
    k->end = &k->first;
    k->files = mem_calloc(w->file_count, sizeof *k->files);
    if (!k->files)
        return err_nomem(e);
    for (size_t i = 0; i < w->file_count; i++)
        k->files[i].fd = -1;
    return ERR_OK;
}

int replay_writer_start(struct replay_writer **out, size_t files, bool threads, struct err *e)
{
    struct replay_writer *w = mem_calloc(1, sizeof *w);
    if (!w)
        return err_nomem(e);
    w->file_count = files / THREADS < 1 ? 1 : files / THREADS > FILES_MAX ? FILES_MAX : files / THREADS;
    w->bundles = mem_alloc(BUNDLES * sizeof *w->bundles);
    int rc = w->bundles ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < THREADS && !rc; i++)
        rc = make_worker(w, &w->workers[i], e);
    if (rc) {
        free_all(w);
        return rc;
    }
    for (size_t i = BUNDLES; i-- > 0;) {
        w->bundles[i].next = w->spare;
        w->spare = &w->bundles[i];
    }
    mutex_init(&w->lock);
    cond_init(&w->spare_came);
    if (threads)
        start_threads(w);
    *out = w;
    return ERR_OK;
}

/* ---- the caller's --------------------------------------------------------------------------------------------------- */

/* The worker's open bundle, to be written. */
static int hand_over(struct replay_writer *w, struct worker *k, struct err *e)
{
    struct bundle *b = k->open;
    int rc;
    if (!b)
        return ERR_OK;
    k->open = NULL;
    if (!w->count) {
        rc = write_bundle(k, b, e);
        b->next = w->spare;
        w->spare = b;
        return rc;
    }
    b->next = NULL;
    pthread_mutex_lock(&w->lock);
    *k->end = b;
    k->end = &b->next;
    pthread_cond_signal(&k->more);
    pthread_mutex_unlock(&w->lock);
    return ERR_OK;
}

static int take_bundle(struct replay_writer *w, struct worker *k, struct err *e)
{
    pthread_mutex_lock(&w->lock);
    while (!w->spare)
        pthread_cond_wait(&w->spare_came, &w->lock);
    int rc = w->rc;
    if (rc) {
        *e = w->first;
    } else {
        k->open = w->spare;
        w->spare = k->open->next;
        k->open->count = k->open->used = 0;
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* Where bytes for `position` go: the last run, if they follow it, or a new one. NULL: the bundle is full. */
static struct run *run_for(struct bundle *b, struct partition *p, const struct journal_entry *en,
                           int64_t position)
{
    struct run *last = b && b->count ? &b->runs[b->count - 1] : NULL;
    if (!b || b->used == BUNDLE_BYTES)
        return NULL;
    if (last && last->p == p && last->segment_base == en->segment_base &&
        last->position + (int64_t)last->n == position)
        return last;
    if (b->count == BUNDLE_RUNS)
        return NULL;
    last = &b->runs[b->count++];
    *last = (struct run){p, en->segment_base, position, en->base_offset, b->data + b->used, 0};
    return last;
}

int replay_writer_add(struct replay_writer *w, struct partition *p, const struct journal_entry *en,
                      struct err *e)
{
    /* By what does not differ from run to run, so that tests/power can repeat one. */
    struct worker *k = &w->workers[(p->topic->id.b[0] + (unsigned)p->index) % workers(w)];
    const uint8_t *data = en->data;
    int rc = ERR_OK;
    for (size_t at = 0; at < en->bytes && !rc;) {
        struct run *r = run_for(k->open, p, en, en->position + (int64_t)at);
        if (!r) {
            rc = hand_over(w, k, e);
            rc = rc ? rc : take_bundle(w, k, e);
            continue;
        }
        size_t room = BUNDLE_BYTES - k->open->used, n = room < en->bytes - at ? room : en->bytes - at;
        mem_copy(k->open->data + k->open->used, data + at, n);
        k->open->used += n;
        r->n += n;
        at += n;
    }
    return rc;
}

int replay_writer_finish(struct replay_writer *w, int rc, struct err *e)
{
    for (size_t i = 0; i < THREADS && !rc; i++)
        rc = hand_over(w, &w->workers[i], e);
    pthread_mutex_lock(&w->lock);
    w->last = true;
    for (size_t i = 0; i < w->count; i++)
        pthread_cond_signal(&w->workers[i].more);
    pthread_mutex_unlock(&w->lock);
    for (size_t i = 0; i < w->count; i++) {
        pthread_join(w->workers[i].thread, NULL);
        pthread_cond_destroy(&w->workers[i].more);
    }
    if (!rc && w->rc) {
        rc = w->rc;
        *e = w->first;
    }
    pthread_cond_destroy(&w->spare_came);
    pthread_mutex_destroy(&w->lock);
    free_all(w);
    return rc;
}
