/*
 * replay_write: see replay_write.h. The caller fills a run while the threads write others; there are so many runs that each thread has one to
 * write and one to come, which bounds the memory. One lock, never held over a write.
 */
#include "broker/replay_write.h"

#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "broker/store.h"

enum { RUN_BYTES = 256 << 10, THREADS = 3, RUNS = 4 * THREADS };

struct run {
    struct run *next;
    struct partition *p;
    int64_t segment_base, position, base_offset;
    size_t n;
    uint8_t *data; /* RUN_BYTES; memory that was never written to costs nothing */
};

struct worker {
    struct replay_writer *all;
    pthread_t thread;
    pthread_cond_t more;
    struct run *first, **end;
};

struct replay_writer {
    pthread_mutex_t lock;
    pthread_cond_t spare_came;
    struct run runs[RUNS];
    struct run *spare;
    struct run *open; /* the caller's, being filled; NULL: none */
    struct worker workers[THREADS];
    size_t count; /* of them; 0: the caller writes */
    bool last;    /* no more is to come */
    int rc;       /* the first error, after which nothing is written */
    struct err first;
};

static int write_run(const struct run *r, struct err *e)
{
    char *dir = partition_dir(r->p);
    int rc = dir ? log_restore(dir, r->segment_base, r->position, r->data, r->n, e) : err_nomem(e);
    mem_free(dir);
    return rc ? err_wrap(e, "putting back offset %lld of %s-%d", (long long)r->base_offset, r->p->topic->name,
                         r->p->index)
              : ERR_OK;
}

static struct run *next_run(struct worker *w)
{
    while (!w->first && !w->all->last)
        pthread_cond_wait(&w->more, &w->all->lock);
    struct run *r = w->first;
    if (r && !(w->first = r->next))
        w->end = &w->first;
    return r;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct replay_writer *all = w->all;
    pthread_mutex_lock(&all->lock);
    for (struct run *r; (r = next_run(w));) {
        bool wanted = !all->rc;
        struct err e;
        pthread_mutex_unlock(&all->lock);
        int rc = wanted ? write_run(r, &e) : ERR_OK;
        pthread_mutex_lock(&all->lock);
        if (rc && !all->rc) {
            all->rc = rc;
            all->first = e;
        }
        r->next = all->spare;
        all->spare = r;
        pthread_cond_signal(&all->spare_came);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

static void start_threads(struct replay_writer *w)
{
    struct err ignored;
    while (w->count < THREADS) {
        struct worker *k = &w->workers[w->count];
        k->all = w;
        k->end = &k->first;
        cond_init(&k->more);
        if (thread_start(&k->thread, "leat-replay", work, k, &ignored)) {
            pthread_cond_destroy(&k->more);
            return;
        }
        w->count++;
    }
}

int replay_writer_start(struct replay_writer **out, bool threads, struct err *e)
{
    struct replay_writer *w = mem_calloc(1, sizeof *w);
    uint8_t *data = mem_alloc((size_t)RUNS * RUN_BYTES);
    if (!w || !data) {
        mem_free(w);
        mem_free(data);
        return err_nomem(e);
    }
    for (size_t i = RUNS; i-- > 0;) {
        w->runs[i].data = data + i * RUN_BYTES;
        w->runs[i].next = w->spare;
        w->spare = &w->runs[i];
    }
    mutex_init(&w->lock);
    cond_init(&w->spare_came);
    if (threads)
        start_threads(w);
    *out = w;
    return ERR_OK;
}

/* Gives the open run to whom its partition belongs. */
static int hand_over(struct replay_writer *w, struct err *e)
{
    struct run *r = w->open;
    int rc;
    if (!r)
        return ERR_OK;
    w->open = NULL;
    if (!w->count) {
        rc = write_run(r, e);
        r->next = w->spare;
        w->spare = r;
        return rc;
    }
    /* By what does not differ from run to run, so that tests/power can repeat one. */
    struct worker *k = &w->workers[(r->p->topic->id.b[0] + (unsigned)r->p->index) % w->count];
    r->next = NULL;
    pthread_mutex_lock(&w->lock);
    *k->end = r;
    k->end = &r->next;
    pthread_cond_signal(&k->more);
    pthread_mutex_unlock(&w->lock);
    return ERR_OK;
}

static int take_run(struct replay_writer *w, struct err *e)
{
    pthread_mutex_lock(&w->lock);
    while (!w->spare)
        pthread_cond_wait(&w->spare_came, &w->lock);
    int rc = w->rc;
    if (rc) {
        *e = w->first;
    } else {
        w->open = w->spare;
        w->spare = w->open->next;
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static bool goes_on(const struct run *r, const struct partition *p, int64_t segment_base, int64_t position)
{
    return r && r->p == p && r->segment_base == segment_base && r->position + (int64_t)r->n == position &&
           r->n < RUN_BYTES;
}

int replay_writer_add(struct replay_writer *w, struct partition *p, const struct journal_entry *en,
                      struct err *e)
{
    const uint8_t *data = en->data;
    int rc = ERR_OK;
    for (size_t at = 0; at < en->bytes && !rc;) {
        int64_t position = en->position + (int64_t)at;
        if (!goes_on(w->open, p, en->segment_base, position)) {
            rc = hand_over(w, e);
            rc = rc ? rc : take_run(w, e);
            if (rc)
                break;
            *w->open = (struct run){.p = p,
                                    .segment_base = en->segment_base,
                                    .position = position,
                                    .base_offset = en->base_offset,
                                    .data = w->open->data};
        }
        size_t n = RUN_BYTES - w->open->n < en->bytes - at ? RUN_BYTES - w->open->n : en->bytes - at;
        memcpy(w->open->data + w->open->n, data + at, n);
        w->open->n += n;
        at += n;
    }
    return rc;
}

int replay_writer_finish(struct replay_writer *w, int rc, struct err *e)
{
    if (!rc)
        rc = hand_over(w, e);
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
    mem_free(w->runs[0].data);
    mem_free(w);
    return rc;
}
