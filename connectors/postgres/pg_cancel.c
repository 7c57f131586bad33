/*
 * pg_cancel: asking the server to give up statements. libpq's PQcancel blocks until the server has closed a connection of its
 * own, for ever where the server is stopped or the network swallows packets (libpq 17 has one that does not, Debian 12 has
 * 15). So it runs in a thread for at most CANCEL_MS; where it still waits then, in connect, send or recv, it is cancelled there:
 * libpq holds nothing at these points but its socket, which stays open. Any thread.
 */
#include <pthread.h>

#include "base/clock.h"
#include "base/thread.h"
#include "pg_query.h"

#define CANCEL_MS 8000

struct request {
    PGcancel *const *statements;
    size_t n;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool done, failed;
    char text[256]; /* why it failed, when it is done */
};

static void *run(void *arg)
{
    struct request *q = arg;
    bool failed = false;
    for (size_t i = 0; i < q->n; i++)
        failed |= !PQcancel(q->statements[i], q->text, sizeof q->text);
    pthread_mutex_lock(&q->lock);
    q->failed = failed;
    q->done = true;
    pthread_cond_signal(&q->changed);
    pthread_mutex_unlock(&q->lock);
    return NULL;
}

static bool await(struct request *q)
{
    struct timespec deadline = clock_deadline_ms(CANCEL_MS);
    pthread_mutex_lock(&q->lock);
    while (!q->done && cond_wait_until(&q->changed, &q->lock, &deadline))
        ;
    bool done = q->done;
    pthread_mutex_unlock(&q->lock);
    return done;
}

void pg_cancel_statements(struct leat_task *t, const struct leat_host *host, PGcancel *const *statements,
                          size_t n)
{
    struct request q = {.statements = statements, .n = n};
    struct err e = {.code = ERR_OK};
    pthread_t thread;
    if (n == 0)
        return;
    mutex_init(&q.lock);
    cond_init(&q.changed);
    if (thread_start(&thread, "pg-cancel", run, &q, &e) == ERR_OK) {
        if (!await(&q))
            pthread_cancel(thread);
        pthread_join(thread, NULL);
        if (!q.done)
            err_set(&e, ERR_TIMEOUT, "no answer in time");
        else if (q.failed)
            err_set(&e, ERR_CONNECTION, "%s", q.text);
    }
    if (e.code != ERR_OK)
        host->log(t, LEAT_WARN, "a statement could not be cancelled: %s", e.text);
    pthread_cond_destroy(&q.changed);
    pthread_mutex_destroy(&q.lock);
}

void pg_cancel(PGconn *c)
{
    const struct pg_owner *o = pg_owner(c);
    PGcancel *cancel = PQgetCancel(c);
    pg_cancel_statements(o->task, o->host, &cancel, cancel ? 1 : 0);
    PQfreeCancel(cancel);
}
