/*
 * commit_wait: operations and those who wait for them. Who waits and finds nobody writing runs the round itself, in its own
 * thread: a lone synced append is its write, its sync and nothing more. When it is done it hands over to one of those who
 * came meanwhile, and goes.
 */
#include "broker/commit_internal.h"

#include <errno.h>
#include <stdlib.h>

/* Of a waiting operation. Whoever changes ASLEEP to another state rings the bell, once. */
enum { AWAKE, ASLEEP, CALLED, FINISHED };

/* Looked at for one who sleeps, at most: many items may belong to one operation. */
enum { LOOK_AT = 64 };

void commit_op_init(struct commit_op *op, void (*done)(struct commit_op *op))
{
    atomic_init(&op->left, 1);
    atomic_init(&op->failed, false);
    op->error.code = ERR_OK;
    op->error.text[0] = '\0';
    op->stage = NULL;
    op->waits = false;
    op->done = done;
}

void commit_op_finish(struct commit_op *op, const struct err *e)
{
    if (e && !atomic_exchange(&op->failed, true))
        op->error = *e;
    if (atomic_fetch_sub(&op->left, 1) == 1)
        op->done(op);
}

/* Once the state says FINISHED an owner that is awake may be gone, so only one that sleeps is touched after. */
static void wait_done(struct commit_op *op)
{
    struct commit_wait *w = (struct commit_wait *)op;
    if (w->before)
        w->before(w);
    if (atomic_exchange(&w->state, FINISHED) == ASLEEP)
        sem_post(&w->bell);
}

void commit_wait_init(struct commit_wait *w)
{
    commit_op_init(&w->op, wait_done);
    w->op.waits = true;
    if (sem_init(&w->bell, 0, 0) != 0)
        abort(); /* only on misuse */
    atomic_init(&w->state, AWAKE);
    w->before = NULL;
    w->arg = NULL;
}

/*
 * What is staged belongs to unfinished operations, so those among them that wait are still there; and they come here, so one
 * that is not asleep yet will run the round by itself.
 */
bool commit_wake_waiter(struct commit *c)
{
    int looked = 0;
    for (struct commit_item *i = c->head; i && looked < LOOK_AT; i = i->next, looked++) {
        struct commit_wait *w = (struct commit_wait *)i->op;
        int asleep = ASLEEP;
        if (i->op->waits && i->op->stage == c && atomic_compare_exchange_strong(&w->state, &asleep, CALLED)) {
            sem_post(&w->bell);
            return true;
        }
    }
    return false;
}

static void await_bell(struct commit_wait *w)
{
    int called = CALLED;
    while (sem_wait(&w->bell) != 0 && errno == EINTR)
        ;
    atomic_compare_exchange_strong(&w->state, &called, AWAKE); /* else it is finished */
}

/* Without threads nobody else drives the other stages that the operation is staged on. */
static void run_peers(struct commit *c)
{
    for (size_t i = 0; !c->threaded && i < c->peer_count; i++)
        commit_run(c->peers[i]);
}

int commit_wait_for(struct commit_wait *w, struct err *e)
{
    struct commit *c = w->op.stage;
    commit_op_finish(&w->op, NULL);
    while (atomic_load(&w->state) != FINISHED) {
        int awake = AWAKE;
        bool asleep = false;
        pthread_mutex_lock(&c->lock);
        if (commit_can_round(c))
            commit_round(c);
        else if (c->threaded ||
                 c->peer_count < 2) /* under the lock: whoever ends a round looks for sleepers under it */
            asleep = atomic_compare_exchange_strong(&w->state, &awake, ASLEEP);
        pthread_mutex_unlock(&c->lock);
        if (asleep)
            await_bell(w);
        else
            run_peers(c);
    }
    sem_destroy(&w->bell);
    if (w->op.error.code)
        *e = w->op.error;
    return w->op.error.code;
}
