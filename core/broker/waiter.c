/*
 * waiter: a reader hangs its bell into the partitions it reads, looks at them, and waits for the bell. A signal that
 * comes between the look and the wait is kept, so none is lost. Bells are rung by the commit stage, by appends that
 * need no sync, and by deletion; ringing one that rings already costs one atomic exchange.
 */
#include "broker/waiter.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/store.h"

struct waiter {
    struct broker *broker;
    pthread_mutex_t lock; /* leaf */
    pthread_cond_t cond;
    atomic_bool signalled;
    struct watch *watches;
    struct watch *room; /* waiter_reserve */
    size_t used;
    void (*fn)(void *arg); /* instead of the condition */
    void *arg;
};

struct waiter *waiter_new(struct broker *b, struct err *e)
{
    struct waiter *w = mem_calloc(1, sizeof *w);
    if (!w) {
        err_nomem(e);
        return NULL;
    }
    w->broker = b;
    mutex_init(&w->lock);
    cond_init(&w->cond);
    return w;
}

static void hang(struct waiter *w, struct watch *watch, struct partition *p)
{
    watch->waiter = w;
    watch->p = p;
    watch->next_of_waiter = w->watches;
    topic_ref(p->topic);
    w->watches = watch;
    pthread_mutex_lock(&p->watch_lock);
    watch->before_here = NULL;
    watch->next_here = atomic_load(&p->watches);
    if (watch->next_here)
        watch->next_here->before_here = watch;
    atomic_store(&p->watches, watch);
    pthread_mutex_unlock(&p->watch_lock);
}

static void unhang(struct watch *w)
{
    struct partition *p = w->p;
    pthread_mutex_lock(&p->watch_lock);
    if (w->next_here)
        w->next_here->before_here = w->before_here;
    if (w->before_here)
        w->before_here->next_here = w->next_here;
    else
        atomic_store(&p->watches, w->next_here);
    pthread_mutex_unlock(&p->watch_lock);
}

void waiter_free(struct waiter *w)
{
    if (!w)
        return;
    for (struct watch *watch = w->watches, *next; watch; watch = next) {
        next = watch->next_of_waiter;
        unhang(watch);
        topic_unref(watch->p->topic);
        if (!watch->reserved)
            mem_free(watch);
    }
    mem_free(w->room);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->lock);
    mem_free(w);
}

int waiter_watch(struct waiter *w, const char *topic, int32_t partition, struct err *e)
{
    struct partition *p;
    int rc = topic_acquire(w->broker, topic, partition, &p, e);
    if (rc)
        return rc;
    struct watch *watch = mem_calloc(1, sizeof *watch);
    if (watch)
        hang(w, watch, p);
    partition_release(&w->broker->topics, p);
    return watch ? ERR_OK : err_nomem(e);
}

int waiter_reserve(struct waiter *w, size_t n, struct err *e)
{
    w->room = mem_calloc(n, sizeof *w->room);
    return w->room ? ERR_OK : err_nomem(e);
}

void waiter_watch_found(struct waiter *w, struct partition *p)
{
    if (!partition_try_hold(&w->broker->topics, p))
        return;
    struct watch *watch = &w->room[w->used++];
    watch->reserved = true;
    hang(w, watch, p);
    partition_release(&w->broker->topics, p);
}

void waiter_wake(struct waiter *w)
{
    if (atomic_exchange(&w->signalled, true))
        return;
    if (w->fn) {
        w->fn(w->arg);
        return;
    }
    pthread_mutex_lock(&w->lock);
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

void waiter_on_wake(struct waiter *w, void (*fn)(void *arg), void *arg)
{
    w->fn = fn;
    w->arg = arg;
}

bool waiter_wait(struct waiter *w, int64_t ms)
{
    if (atomic_exchange(&w->signalled, false))
        return true;
    if (ms == 0)
        return false;
    struct timespec deadline = clock_deadline_ms(ms < 0 ? 0 : ms);
    bool in_time = true;
    pthread_mutex_lock(&w->lock);
    while (!atomic_load(&w->signalled) && in_time) {
        if (ms < 0)
            pthread_cond_wait(&w->cond, &w->lock);
        else
            in_time = cond_wait_until(&w->cond, &w->lock, &deadline);
    }
    pthread_mutex_unlock(&w->lock);
    return atomic_exchange(&w->signalled, false);
}
