/*
 * commit_wait: operations and those who wait for them. Who waits and finds nobody writing runs the round itself, in its own
 * thread: a lone synced append is its write, its sync and nothing more. When it is done it hands over to one of those who
 * came meanwhile, and goes.
 */
#include "broker/commit_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"

/* Of a waiting operation. Whoever changes ASLEEP to another state rings the bell, once. */
enum { AWAKE, ASLEEP, CALLED, FINISHED };

/* Looked at for one who sleeps, at most: many items may belong to one operation. */
enum { LOOK_AT = 64 };

/*
 * A round waits for those who are coming until it has so much, but not longer than some writes take: one of them may be held
 * up by a slow disk.
 */
enum { GATHER_ITEMS = 24, GATHER_BYTES = 24 << 20, GATHER_WRITES = 2, GATHER_NS_MAX = 40000000 };

void commit_op_init(struct commit_op *op, void (*done)(struct commit_op *op))
{
    atomic_init(&op->left, 1);
    atomic_init(&op->failed, false);
    op->error.code = ERR_OK;
    op->error.text[0] = '\0';
    op->stage = NULL;
    op->waits = op->lingers = op->pushed = false;
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

/* Half of those who append: the others' part of the work is done while the round is written. */
static bool is_enough(const struct commit *c)
{
    return c->items >= GATHER_ITEMS || c->staged >= GATHER_BYTES || c->items >= c->last_items + c->coming;
}

bool commit_gathers(struct commit *c)
{
    if (!c->threaded || c->coming == 0 || is_enough(c) || c->failed || c->stop)
        return false;
    int64_t now = clock_mono_ns();
    if (!c->gather_until) {
        int64_t most = GATHER_WRITES * atomic_load_explicit(&c->last_ns, memory_order_relaxed);
        most = most > GATHER_NS_MAX ? GATHER_NS_MAX : most;
        c->gather_until = now + (most > c->gather_least_ns ? most : c->gather_least_ns);
    }
    return now < c->gather_until;
}

void commit_came(struct commit *c, bool waits)
{
    c->coming--;
    if (!waits && c->gather_until && commit_can_round(c) && !commit_gathers(c) && !commit_wake_waiter(c))
        commit_wake_thread(c);
}

/* `until`: of clock_mono_ns; 0: until it rings. */
static void await_bell(struct commit_wait *w, int64_t until)
{
    struct timespec deadline = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    int called = CALLED;
    while ((until ? sem_clockwait(&w->bell, CLOCK_MONOTONIC, &deadline) : sem_wait(&w->bell)) != 0) {
        int asleep = ASLEEP;
        if (errno == EINTR)
            continue;
        if (atomic_compare_exchange_strong(&w->state, &asleep, AWAKE))
            return;
        until = 0; /* it rings just now */
    }
    atomic_compare_exchange_strong(&w->state, &called, AWAKE); /* else it is finished */
}

/* Under the lock: whoever ends a round looks for sleepers under it. *until: 0, or when to look again. */
static bool fall_asleep(struct commit *c, struct commit_wait *w, int64_t *until)
{
    int awake = AWAKE;
    *until = commit_can_round(c) && !c->guard ? c->gather_until : 0;
    bool asleep = atomic_compare_exchange_strong(&w->state, &awake, ASLEEP);
    if (asleep && *until)
        c->guard = w;
    return asleep;
}

static void sleep_on(struct commit *c, struct commit_wait *w, int64_t until)
{
    await_bell(w, until);
    if (!until)
        return;
    pthread_mutex_lock(&c->lock);
    if (c->guard == w && atomic_load(&w->state) == FINISHED)
        commit_pass_guard(c);
    else if (c->guard == w)
        c->guard = NULL;
    if (commit_can_round(c) &&
        !commit_gathers(c)) /* here, as it may be finished by another stage before it looks again */
        commit_round(c);
    pthread_mutex_unlock(&c->lock);
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
        int64_t until;
        bool asleep = false;
        pthread_mutex_lock(&c->lock);
        if (commit_can_round(c) && !commit_gathers(c))
            commit_round(c);
        else if (c->threaded || c->peer_count < 2)
            asleep = fall_asleep(c, w, &until);
        pthread_mutex_unlock(&c->lock);
        if (asleep)
            sleep_on(c, w, until);
        else
            run_peers(c);
    }
    sem_destroy(&w->bell);
    if (w->op.error.code)
        *e = w->op.error;
    return w->op.error.code;
}
