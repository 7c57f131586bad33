/*
 * crew: see the header. Threads: whoever asks and those that it starts; all fields under `lock`, but what the jobs of a list read of it stays as it is until the last one has ended.
 */
#include "base/crew.h"

#include <pthread.h>
#include <stdbool.h>

#include "base/mem.h"
#include "base/thread.h"

struct crew {
    const char *name;
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    void (*job)(void *arg, size_t i);
    void *arg;
    size_t n, next, left; /* jobs of the list, the next one to begin, those that have not ended */
    bool stop;
    size_t started, most;
    pthread_t threads[];
};

int crew_new(struct crew **out, const char *name, size_t threads, struct err *e)
{
    struct crew *c = mem_calloc(1, sizeof *c + threads * sizeof *c->threads);
    if (!c)
        return err_nomem(e);
    c->name = name;
    c->most = threads;
    mutex_init(&c->lock);
    cond_init(&c->work);
    cond_init(&c->done);
    *out = c;
    return ERR_OK;
}

/* As many as are left. Lock held, but not during a job. */
static void do_jobs(struct crew *c)
{
    while (c->next < c->n) {
        size_t i = c->next++;
        pthread_mutex_unlock(&c->lock);
        c->job(c->arg, i);
        pthread_mutex_lock(&c->lock);
        if (--c->left == 0)
            pthread_cond_signal(&c->done);
    }
}

static void *run(void *arg)
{
    struct crew *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (c->next < c->n)
            do_jobs(c);
        else
            pthread_cond_wait(&c->work, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

void crew_do(struct crew *c, void (*job)(void *arg, size_t i), void *arg, size_t n)
{
    struct err ignored; /* the others do it all, and the next list tries again */
    pthread_mutex_lock(&c->lock);
    while (c->started < c->most && c->started + 1 < n &&
           thread_start(&c->threads[c->started], c->name, run, c, &ignored) == ERR_OK)
        c->started++;
    c->job = job;
    c->arg = arg;
    c->next = 0;
    c->n = c->left = n;
    for (size_t i = 0; i < c->started && i + 1 < n; i++)
        pthread_cond_signal(&c->work);
    do_jobs(c);
    while (c->left)
        pthread_cond_wait(&c->done, &c->lock);
    pthread_mutex_unlock(&c->lock);
}

void crew_free(struct crew *c)
{
    if (!c)
        return;
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_broadcast(&c->work);
    pthread_mutex_unlock(&c->lock);
    while (c->started)
        pthread_join(c->threads[--c->started], NULL);
    pthread_cond_destroy(&c->done);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}
