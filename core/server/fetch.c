/*
 * fetch: Fetch, from its beginning to its end. Runs in the loop. Where there is too little, a bell is hung into the partitions, and the
 * request waits for it or for its deadline. What is not in memory is read by a thread of the pool.
 */
#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "server/fetch_work.h"

#define WAITS_MAX                                                                                            \
    (1 << 20)        /* bytes of a request: who asks for more partitions than fit is answered at once */
#define EPOCH_FULL 0 /* of a request that makes a session, or */
#define EPOCH_NONE (-1)

/* Everything that the work has but the answer. */
static void end(struct request *c, struct fetch_work *w)
{
    timers_remove(c->loop, c);
    waiter_free(c->waiter);
    c->waiter = NULL;
    c->parked = false;
    for (struct fetch_part *p = w->own.first; p != NULL; p = p->next) {
        broker_partition_let_go(p->p);
        p->p = NULL;
    }
    fetch_parts_drop_table(&w->own);
    if (w->session != NULL)
        fetch_session_release(c->server->fetch_sessions, w->session);
    w->session = NULL;
}

static void answer(struct request *c, struct fetch_work *w)
{
    fetch_answer(c, w);
    end(c, w);
}

static void settle(struct request *c, struct fetch_work *w, int rc, struct err *e);

static void give_up(struct request *c, struct fetch_work *w, const struct err *e)
{
    fetch_let_files_go(w);
    request_close(c, e);
    end(c, w);
}

/* In the thread that has something new. */
static void bell_rings(void *arg)
{
    struct request *c = arg;
    if (!atomic_exchange(&c->rung, true))
        loop_post(c->loop, &c->bell);
}

static int watch(struct request *c, struct fetch_work *w, struct err *e)
{
    if (c->waiter != NULL)
        return ERR_OK; /* they hang since an earlier look */
    c->waiter = waiter_new(c->server->broker, e);
    if (c->waiter == NULL)
        return e->code;
    waiter_on_wake(c->waiter, bell_rings, c);
    if (!fetch_lock(w))
        return ERR_OK;
    int rc = waiter_reserve(c->waiter, fetch_parts_of(w)->n, e);
    for (struct fetch_part *p = fetch_parts_of(w)->first; rc == ERR_OK && p != NULL; p = p->next)
        if (p->p != NULL)
            waiter_watch_found(c->waiter, p->p);
    fetch_unlock(w);
    return rc;
}

/* Nothing of what is asked for is there: nothing will come, either. Who sends no more, which may show while the pool looks, does not wait. */
static bool is_enough(const struct request *c, const struct fetch_work *w)
{
    const struct msg_fetch_request *q = c->asked;
    bool is_full = w->bytes > 0 && w->size_left == 0;
    return w->hurry || is_full || w->superseded || w->there == 0 || (int64_t)w->bytes >= q->min_bytes ||
           c->size > WAITS_MAX || clock_mono_ms() >= c->deadline || c->conn->closing ||
           atomic_load(&c->server->stopping);
}

/* A look of the loop's, which does not wait for a disk. */
static int look_quickly(struct request *c, struct fetch_work *w, struct err *e)
{
    io_set_patient(false);
    int rc = fetch_look(c, w, e);
    io_set_patient(true);
    return rc;
}

/* Waits; but first it looks again, as something may have come before the bells hung, or while the pool looked, when nobody heard them. */
static void park(struct request *c, struct fetch_work *w)
{
    struct err e;
    int rc = watch(c, w, &e);
    if (rc == ERR_OK)
        waiter_wait(c->waiter, 0); /* one that rang meanwhile is to ring again */
    request_let_go(c);             /* what is needed of it is in the arena */
    if (rc == ERR_OK)
        rc = timers_add(c->loop, c, &e);
    c->parked = rc == ERR_OK;
    if (rc == ERR_OK)
        rc = look_quickly(c, w, &e);
    if (rc != ERR_OK || is_enough(c, w))
        settle(c, w, rc, &e);
    else
        fetch_let_files_go(w);
}

/* ---- a disk that has to be waited for ---- */

/* In a thread of the pool. What is found is read once, so that the loop finds it in memory. */
static void look_patiently(struct request *c)
{
    struct fetch_work *w = c->work;
    struct err e;
    int rc = fetch_look(c, w, &e);
    if (rc == ERR_OK)
        rc = fetch_find_aborted(c, w, &e);
    if (rc == ERR_OK)
        fetch_read_ahead(w);
    w->failed = rc != ERR_OK;
    w->failure = w->failed ? arena_dup(&c->arena, &e, sizeof e) : NULL;
    loop_post(c->loop, &c->done);
}

static void looked_patiently(struct post *p)
{
    struct request *c = (struct request *)((char *)p - offsetof(struct request, done));
    struct fetch_work *w = c->work;
    struct conn *conn = c->conn;
    struct err e;
    c->done.run = w->usual_done;
    if (w->failed)
        give_up(c, w, w->failure != NULL ? w->failure : (err_nomem(&e), &e));
    else if (conn->closed || is_enough(c, w))
        answer(c, w);
    else
        park(c, w);
    if (conn_flush(conn))
        conn_go_on(conn);
}

static void hand_over(struct request *c, struct fetch_work *w)
{
    timers_remove(c->loop, c);
    c->parked = false;
    fetch_let_files_go(w);
    w->usual_done = c->done.run;
    c->done.run = looked_patiently;
    c->pooled = look_patiently;
    pool_run(&c->server->pool, c);
}

static int find_aborted_quickly(struct request *c, struct fetch_work *w, struct err *e)
{
    io_set_patient(false);
    int rc = fetch_find_aborted(c, w, e);
    io_set_patient(true);
    return rc;
}

/* After a look by the loop that is not to be waited upon further. */
static void settle(struct request *c, struct fetch_work *w, int rc, struct err *e)
{
    bool is_cold = rc == ERR_OK && !w->superseded && !fetch_is_cached(w);
    if (rc == ERR_OK && !is_cold)
        rc = find_aborted_quickly(c, w, e);
    if (rc != ERR_OK && rc != ERR_WOULD_WAIT)
        give_up(c, w, e);
    else if (rc == ERR_WOULD_WAIT || is_cold)
        hand_over(c, w);
    else
        answer(c, w);
}

void fetch_wake(struct request *c, bool last)
{
    struct fetch_work *w = c->work;
    struct conn *conn = c->conn;
    struct err e;
    waiter_wait(c->waiter, 0);
    int rc = look_quickly(c, w, &e);
    if (rc == ERR_OK && !last && !is_enough(c, w)) {
        fetch_let_files_go(w);
        return;
    }
    settle(c, w, rc, &e);
    if (conn_flush(conn))
        conn_go_on(conn);
}

void fetch_cancel(struct request *c)
{
    end(c, c->work);
    request_silent(c);
}

void fetch_failed(struct request *c, const struct reply_file *f)
{
    uint8_t byte;
    struct err e; /* the broker has said it, and acts */
    broker_read(c->server->broker, f->topic, f->partition, &f->range, 0, &byte, 1, &e);
}

/* An incremental request: what changed goes into its session. False: it is answered. */
static bool go_on(struct request *c, struct fetch_work *w)
{
    const struct msg_fetch_request *q = c->asked;
    struct fetch_part *forgotten;
    size_t n;
    if (!fetch_forgotten(c, &forgotten, &n))
        return false;
    int16_t code = fetch_session_begin(c->server->fetch_sessions, q->session_id, q->session_epoch,
                                       c->header.version >= FETCH_IDS_SINCE, &w->own, forgotten, n,
                                       clock_mono_ms(), &w->session, &w->session_epoch);
    if (code != 0)
        fetch_answer_code(c, code);
    return code == 0;
}

void api_fetch(struct request *c)
{
    const struct msg_fetch_request *q = c->asked;
    if (!api_is_isolation(q->isolation_level)) {
        fetch_refuse(c, err_kafka(ERR_INTERNAL));
        return;
    }
    struct fetch_work *w = request_alloc(c, 1, sizeof *w);
    struct err e;
    if (w == NULL)
        return;
    c->work = w;
    bool full = q->session_epoch == EPOCH_FULL || q->session_epoch == EPOCH_NONE;
    w->make_session = q->session_epoch == EPOCH_FULL;
    if (full && q->session_id != 0)
        fetch_session_close(c->server->fetch_sessions, q->session_id);
    if (!fetch_ask(c, &w->own) || (!full && !go_on(c, w))) {
        end(c, w);
        return;
    }
    c->deadline = clock_mono_ms() + (q->max_wait_ms > 0 ? q->max_wait_ms : 0);
    int rc = look_quickly(c, w, &e);
    if (rc != ERR_OK || is_enough(c, w))
        settle(c, w, rc, &e);
    else
        park(c, w);
}
