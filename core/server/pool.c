/*
 * pool: the threads that run handlers which wait for a disk. What is queued are connections: of one at most one request
 * is run at a time, in the order of arrival, and after each the next connection has its turn. Produces may be held up for long, by a
 * topic's quota or a disk without room: they leave some threads to all else.
 */
#include "base/mem.h"
#include "base/thread.h"
#include "server/internal.h"

#define SPARED 4 /* of so many threads one is not for Produces */

/* All that a connection has in the pool is of one kind: what may overlap does so with its like. */
static bool is_slow(const struct conn *c)
{
    return c->todo->handler->overlaps;
}

static void enqueue(struct pool *p, struct conn *c)
{
    struct pool_queue *q = is_slow(c) ? &p->slow : &p->others;
    c->next_pooled = NULL;
    c->turn = p->turns++;
    if (q->last != NULL)
        q->last->next_pooled = c;
    else
        q->first = c;
    q->last = c;
}

/* Who waits longest of those that may be run now; NULL: there is nobody. */
static struct pool_queue *next_queue(struct pool *p)
{
    const struct conn *slow = p->slow_running < p->slow_max ? p->slow.first : NULL, *other = p->others.first;
    if (slow != NULL && (other == NULL || slow->turn < other->turn))
        return &p->slow;
    return other != NULL ? &p->others : NULL;
}

static struct request *take(struct pool_queue *q)
{
    struct conn *c = q->first;
    q->first = c->next_pooled;
    if (q->first == NULL)
        q->last = NULL;
    struct request *call = c->todo;
    c->todo = call->next_todo;
    if (c->todo == NULL)
        c->todo_last = NULL;
    return call;
}

/* The connection's request has been run. */
static void ran(struct pool *p, struct conn *c, bool slow)
{
    p->slow_running -= slow;
    if (c->todo != NULL) {
        enqueue(p, c);
    } else {
        c->pooled = false;
        if (c->orphan)
            loop_post(c->loop, &c->release);
    }
    if (next_queue(p) != NULL) /* this thread takes one, and another may be free */
        pthread_cond_signal(&p->some);
}

static void *run(void *arg)
{
    struct pool *p = arg;
    struct pool_queue *q;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while ((q = next_queue(p)) == NULL && !p->stop)
            pthread_cond_wait(&p->some, &p->lock);
        if (q == NULL)
            break;
        bool slow = q == &p->slow;
        struct request *call = take(q);
        struct conn *c = call->conn;
        p->slow_running += slow;
        pthread_mutex_unlock(&p->lock);
        (call->pooled != NULL ? call->pooled : call->handler->run)(call); /* answered, it may be gone */
        pthread_mutex_lock(&p->lock);
        ran(p, c, slow);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

int pool_start(struct pool *p, int32_t threads, struct err *e)
{
    mutex_init(&p->lock);
    cond_init(&p->some);
    p->slow_max = threads > 1 ? threads - (threads + SPARED - 1) / SPARED : 1;
    p->threads = mem_calloc((size_t)threads, sizeof *p->threads);
    int rc = p->threads == NULL ? err_nomem(e) : ERR_OK;
    for (; rc == ERR_OK && p->count < threads; p->count += rc == ERR_OK)
        rc = thread_start(&p->threads[p->count], "kafka-io", run, p, e);
    return rc;
}

void pool_stop(struct pool *p)
{
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->some);
    pthread_mutex_unlock(&p->lock);
    for (int32_t i = 0; i < p->count; i++)
        pthread_join(p->threads[i], NULL);
    mem_free(p->threads);
    pthread_cond_destroy(&p->some);
    pthread_mutex_destroy(&p->lock);
}

bool pool_idle(struct pool *p, const struct conn *c)
{
    pthread_mutex_lock(&p->lock);
    bool idle = !c->pooled;
    pthread_mutex_unlock(&p->lock);
    return idle;
}

bool pool_keeps(struct pool *p, struct conn *c)
{
    pthread_mutex_lock(&p->lock);
    c->orphan = c->pooled;
    bool keeps = c->pooled;
    pthread_mutex_unlock(&p->lock);
    return keeps;
}

void pool_run(struct pool *p, struct request *call)
{
    struct conn *c = call->conn;
    call->next_todo = NULL;
    pthread_mutex_lock(&p->lock);
    if (c->todo_last != NULL)
        c->todo_last->next_todo = call;
    else
        c->todo = call;
    c->todo_last = call;
    if (!c->pooled) {
        c->pooled = true;
        enqueue(p, c);
        pthread_cond_signal(&p->some);
    }
    pthread_mutex_unlock(&p->lock);
}
