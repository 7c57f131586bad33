/*
 * txn_expire: what time does to transactions: those open for longer than their timeout are aborted, and transactional ids that
 * nobody uses are forgotten, as in Kafka. Upkeep's thread, or who steps the broker.
 */
#include "broker/txn.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/upkeep.h"

#define RETRY_MS 60000

/* ---- open for too long --------------------------------------------------------------------------------------------- */

/* A producer that let its time pass is fenced by the epoch. */
static int check_expired(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    if (t->state != TXN_ONGOING || t->ending || atomic_load(&t->deadline) > w->now_ms) {
        w->nothing = true;
        return ERR_OK;
    }
    w->client_version = TXN_VERSION_2;
    txn_plan_state(w, TXN_COMPLETE_ABORT);
    w->last_epoch = t->epoch;
    w->next.epoch = txn_epoch_after(t);
    return txn_plan_markers(w, false, w->next.epoch, e);
}

/* *aborted: it was open, and is aborted; else its end was decided before, or somebody else was faster. */
static int expire_one(struct broker *b, struct txn *t, int64_t now, bool *aborted, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    bool prepared = txn_is_prepared(t->state);
    *aborted = t->state == TXN_ONGOING && !t->ending && atomic_load(&t->deadline) <= now;
    pthread_mutex_unlock(&t->lock);
    if (prepared)
        return txn_finish(b, t, e);
    if (txn_spreads(b, t, NULL, 0))
        return txn_fence_spread(b, t, -1, now, e);
    struct txn_work *w = txn_work_new(b, t, check_expired, e);
    if (!w)
        return e->code;
    w->now_ms = now;
    return txn_work_run(w, e);
}

int txn_abort_open(struct broker *b, struct txn *t, struct err *e)
{
    bool aborted;
    return expire_one(b, t, INT64_MAX, &aborted, e);
}

/* The caller's to put. The overdue ones first leave the table's lock, then are aborted one by one. */
static struct txn *next_overdue(struct broker *b, int64_t now, int64_t *next)
{
    struct txns *ts = b->txns;
    struct txn *found = NULL;
    size_t pos = 0, len;
    const void *key;
    void *value;
    *next = INT64_MAX;
    pthread_mutex_lock(&ts->lock);
    while (map_next(ts->by_id, &pos, &key, &len, &value)) {
        struct txn *t = value;
        int64_t deadline = atomic_load(&t->deadline);
        if (deadline <= now)
            found = t;
        else if (deadline < *next)
            *next = deadline;
    }
    if (found)
        txn_ref(found);
    pthread_mutex_unlock(&ts->lock);
    return found;
}

/*
 * One that is overdue still, as it could not be aborted, or as somebody else is ending it just now, is looked at again later:
 * it must keep neither the others nor upkeep.
 */
static void put_off(struct txn *t, int64_t now, bool failed)
{
    pthread_mutex_lock(&t->lock);
    int64_t deadline = atomic_load(&t->deadline);
    if (deadline <= now)
        atomic_store(&t->deadline, now + (failed && !txn_is_prepared(t->state) ? RETRY_MS : TXN_RETRY_MS));
    pthread_mutex_unlock(&t->lock);
}

int64_t txns_expire(struct broker *b, int64_t now)
{
    int64_t next;
    for (struct txn *t; (t = next_overdue(b, now, &next));) {
        struct err e;
        bool aborted = false;
        int rc = expire_one(b, t, now, &aborted, &e);
        if (rc) /* the journal failed, or memory is short */
            diag_warn("broker", "ending the overdue transaction of %s: %s", t->id, e.text);
        else if (aborted)
            diag_info("broker", "transaction of %s was open for longer than its timeout and is aborted",
                      t->id);
        put_off(t, now, rc != ERR_OK);
        txn_put(t);
    }
    return next;
}

/* ---- not used for long --------------------------------------------------------------------------------------------- */

int broker_txn_hold(struct broker *b, const char *transactional_id, struct err *e)
{
    struct txns *ts = b->txns;
    pthread_mutex_lock(&ts->lock);
    struct txn *t = map_get(ts->by_id, transactional_id, strlen(transactional_id));
    if (t)
        t->holders++;
    pthread_mutex_unlock(&ts->lock);
    return t ? ERR_OK
             : err_set(e, ERR_INVALID_PRODUCER_MAPPING, "there is no transactional id \"%s\"",
                       transactional_id);
}

void broker_txn_release(struct broker *b, const char *transactional_id)
{
    struct txns *ts = b->txns;
    struct txn *t = txn_find(b, transactional_id);
    pthread_mutex_lock(&t->lock);
    t->update_ms = clock_wall_ms();
    pthread_mutex_unlock(&t->lock);
    pthread_mutex_lock(&ts->lock);
    t->holders--;
    pthread_mutex_unlock(&ts->lock);
    txn_put(t);
}

static bool is_idle(const struct broker *b, const struct txn *t, int64_t wall)
{
    bool over = t->state == TXN_EMPTY || t->state == TXN_COMPLETE_COMMIT || t->state == TXN_COMPLETE_ABORT;
    return over && !t->ending && t->producer_id >= 0 && wall > t->update_ms &&
           wall - t->update_ms >= b->o.txn_id_expiration_ms;
}

/* Who came since it was found idle has a pointer to it, besides the list and this work, and may build on what it is now. */
static int check_idle(struct txn_work *w, struct err *e)
{
    (void)e;
    if (atomic_load(&w->t->users) > 2 || !is_idle(w->b, w->t, w->now_ms)) {
        w->nothing = true;
        return ERR_OK;
    }
    txn_plan_state(w, TXN_EMPTY);
    w->next.producer_id = -1;
    w->next.epoch = -1;
    w->next.previous_id = -1;
    w->next.start_ms = -1;
    w->forget = true;
    return ERR_OK;
}

/* The caller's to put. Of those that somebody uses just now it says nothing: they are not idle. */
static int take_idle(struct broker *b, int64_t wall, struct txn ***list, size_t *n, struct err *e)
{
    struct txns *ts = b->txns;
    size_t pos = 0, len;
    const void *key;
    void *value;
    *n = 0;
    pthread_mutex_lock(&ts->lock);
    *list = mem_calloc(map_count(ts->by_id) + 1, sizeof(struct txn *));
    while (*list && map_next(ts->by_id, &pos, &key, &len, &value)) {
        struct txn *t = value;
        if (atomic_load(&t->users) == 0 && t->holders == 0 && is_idle(b, t, wall))
            (*list)[(*n)++] = txn_ref(t);
    }
    pthread_mutex_unlock(&ts->lock);
    return *list ? ERR_OK : err_nomem(e);
}

static int forget(struct broker *b, struct txn *t, int64_t wall, struct err *e)
{
    struct txn_work *w = txn_work_new(b, t, check_idle, e);
    if (!w)
        return e->code;
    w->now_ms = wall;
    int rc = txn_work_run(w, e);
    return rc ? err_wrap(e, "transactional id %s", t->id) : ERR_OK;
}

static bool is_gone(const struct txn *t)
{
    return atomic_load(&t->users) == 0 && t->holders == 0 && t->producer_id < 0;
}

/* With the table's lock. The producers that lead to what is gone; their keys are copied, as the map may not change under a walk. */
static int unmap_producers(struct txns *ts, struct err *e)
{
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    int64_t *gone = mem_calloc(map_count(ts->by_producer) + 1, sizeof *gone);
    if (!gone)
        return err_nomem(e);
    while (map_next(ts->by_producer, &pos, &key, &len, &value))
        if (is_gone(value))
            memcpy(&gone[n++], key, sizeof *gone);
    for (size_t i = 0; i < n; i++)
        map_remove(ts->by_producer, &gone[i], sizeof gone[i]);
    mem_free(gone);
    return ERR_OK;
}

int txns_sweep(struct broker *b, struct err *e)
{
    struct txns *ts = b->txns;
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    pthread_mutex_lock(&ts->lock);
    struct txn **gone = mem_calloc(map_count(ts->by_id) + 1, sizeof *gone);
    int rc = gone ? unmap_producers(ts, e) : err_nomem(e);
    while (!rc && map_next(ts->by_id, &pos, &key, &len, &value))
        if (is_gone(value))
            gone[n++] = value;
    for (size_t i = 0; i < n; i++) {
        map_remove(ts->by_id, gone[i]->id, strlen(gone[i]->id));
        txn_free(gone[i]);
    }
    pthread_mutex_unlock(&ts->lock);
    mem_free(gone);
    return rc;
}

static int forget_all(struct broker *b, int64_t wall, struct err *e)
{
    struct txn **list;
    size_t n;
    int rc = take_idle(b, wall, &list, &n, e);
    for (size_t i = 0; i < n; i++) {
        rc = rc ? rc : forget(b, list[i], wall, e);
        txn_put(list[i]);
    }
    mem_free(list);
    if (n && !rc)
        diag_info("broker", "%zu transactional ids were not used for long and are forgotten", n);
    return rc ? rc : txns_sweep(b, e);
}

int64_t txns_forget_idle(struct broker *b, int64_t now)
{
    struct txns *ts = b->txns;
    struct err e;
    if (b->o.txn_id_expiration_ms == 0)
        return INT64_MAX;
    if (now < ts->next_check)
        return ts->next_check;
    int rc = forget_all(b, upkeep_wall(b), &e);
    if (rc)
        diag_warn("broker", "expiry of transactional ids is put off: %s", e.text);
    return ts->next_check = now + (rc ? RETRY_MS : b->o.txn_id_check_ms);
}
