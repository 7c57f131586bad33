/*
 * txn_init: a producer comes: InitProducerId in both forms, for the process's own producers and for Kafka's clients. See txn.h.
 * Runs in the caller's thread, which waits for syncs.
 */
#include <string.h>

#include "broker/meta.h"
#include "broker/transactions.h"
#include "broker/txn.h"

#define SPARE_EPOCHS 4 /* a fresh id is at hand so long before it is needed */

int txn_fresh_id(struct broker *b, struct txn *t, int64_t *fresh, struct err *e)
{
    *fresh = -1;
    pthread_mutex_lock(&t->lock);
    bool needed = t->producer_id < 0 || t->epoch >= INT16_MAX - SPARE_EPOCHS;
    pthread_mutex_unlock(&t->lock);
    if (!needed)
        return ERR_OK;
    int rc = meta_producer_id(b, fresh, e);
    return rc ? rc : txn_map_producer(b, t, *fresh, e);
}

static int check_id(const char *id, struct err *e)
{
    if (!*id || strlen(id) > INT16_MAX)
        return err_set(e, ERR_INVALID, "a transactional id is not empty and at most %d bytes", INT16_MAX);
    return ERR_OK;
}

static int check_timeout(int32_t ms, int32_t most, struct err *e)
{
    if (ms <= 0 || ms > most)
        return err_set(e, ERR_INVALID_TXN_TIMEOUT, "a transaction's timeout is 1 to %d ms, not %d", most, ms);
    return ERR_OK;
}

static int find_or_make(struct broker *b, const char *id, struct txn **t, struct err *e)
{
    int32_t n;
    int rc = internal_topic(b, TXN_TOPIC, &n, e);
    return rc ? rc : txn_get(b, text_of(id), t, e);
}

/* Takes the caller's reference of `t` over. */
static int run(struct broker *b, struct txn *t, txn_check *check, const struct producer_claim *claim,
               int64_t *producer_id, int16_t *epoch, struct err *e)
{
    int64_t fresh;
    int rc = txn_fresh_id(b, t, &fresh, e);
    struct txn_work *w = rc ? NULL : txn_work_new(b, t, check, e);
    txn_put(t); /* the work has its own */
    if (!w)
        return e->code;
    w->timeout_ms = claim->timeout_ms;
    w->producer_id = claim->producer_id;
    w->epoch = claim->epoch;
    w->fresh_id = fresh;
    w->out_producer_id = producer_id;
    w->out_epoch = epoch;
    if ((rc = txn_work_run(w, e)))
        *producer_id = *epoch = -1;
    return rc;
}

static void plan_empty(struct txn_work *w)
{
    txn_plan_state(w, TXN_EMPTY);
    w->next.timeout_ms = w->timeout_ms;
    w->next.start_ms = -1;
    w->last_epoch = -1;
}

/* ---- the process's own -------------------------------------------------------------------------------------------- */

/* The producer that comes gets an epoch of its own; what its predecessor left open is aborted by one in between. */
static int check_init(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    int open = t->state == TXN_ONGOING;
    int rc = txn_check_ended(t, e);
    if (rc)
        return rc;
    plan_empty(w);
    if (open)
        rc = txn_plan_markers(w, false, txn_epoch_after(t), e);
    if (rc)
        return rc;
    if (t->producer_id < 0 || t->epoch + open >= TXN_EPOCH_LAST)
        return txn_plan_fresh_id(w, e);
    w->next.epoch = (int16_t)(t->epoch + 1 + open);
    return ERR_OK;
}

int broker_init_producer(struct broker *b, const char *transactional_id, int32_t timeout_ms,
                         int64_t *producer_id, int16_t *epoch, struct err *e)
{
    struct producer_claim claim = {timeout_ms, -1, -1};
    struct txn *t;
    *producer_id = -1;
    *epoch = -1;
    if (!transactional_id) {
        int rc = meta_producer_id(b, producer_id, e);
        *epoch = rc ? -1 : 0;
        return rc;
    }
    int rc = check_id(transactional_id, e);
    if (!rc)
        rc = check_timeout(timeout_ms, TXN_TIMEOUT_MAX_MS, e);
    if (rc || (rc = find_or_make(b, transactional_id, &t, e)))
        return rc;
    if (txn_spreads(b, t, NULL, 0) && (rc = txn_fence_spread(b, t, -1, INT64_MAX, e))) {
        txn_put(t);
        return rc;
    }
    return run(b, t, check_init, &claim, producer_id, epoch, e);
}

/* ---- a client's --------------------------------------------------------------------------------------------------- */

static int fenced(const struct txn *t, int64_t producer_id, int16_t epoch, struct err *e)
{
    return err_set(e, ERR_PRODUCER_FENCED,
                   "transactional id %s: producer %lld of epoch %d is not the current one (%lld of epoch %d)",
                   t->id, (long long)producer_id, epoch, (long long)t->producer_id, t->epoch);
}

/* Who says what it was may go on only as its own successor (KIP-360). Of an open transaction only the id counts. */
static int check_claim(const struct txn *t, int64_t producer_id, int16_t epoch, struct err *e)
{
    bool retries = producer_id == t->previous_id && epoch >= TXN_EPOCH_LAST;
    if (producer_id == -1 || t->producer_id < 0 || producer_id == t->producer_id || retries)
        return ERR_OK;
    return fenced(t, producer_id, epoch, e);
}

static int check_resume(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    bool claims = w->producer_id != -1 && t->producer_id >= 0;
    int rc = txn_check_ended(t, e);
    if (!rc)
        rc = check_claim(t, w->producer_id, w->epoch, e);
    if (!rc && t->state == TXN_ONGOING) /* began meanwhile */
        rc = err_set(e, ERR_CONCURRENT_TRANSACTIONS, "transactional id %s has an open transaction", t->id);
    if (rc)
        return rc;
    plan_empty(w);
    if (claims && w->epoch != t->epoch) {
        if (w->epoch != t->last_epoch)
            return fenced(t, w->producer_id, w->epoch, e);
        w->last_epoch = t->last_epoch; /* asked again: it has its next epoch already */
        return ERR_OK;
    }
    if (claims)
        w->last_epoch = t->epoch;
    if (t->producer_id < 0 || t->epoch >= TXN_EPOCH_LAST)
        return txn_plan_fresh_id(w, e);
    w->next.epoch = (int16_t)(t->epoch + 1);
    return ERR_OK;
}

/* What its predecessor, or itself, left open is aborted; the client comes again. */
static int clear_way(struct broker *b, struct txn *t, const struct producer_claim *claim, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    int rc = txn_check_ended(t, e);
    if (!rc)
        rc = check_claim(t, claim->producer_id, claim->epoch, e);
    bool open = t->state == TXN_ONGOING;
    pthread_mutex_unlock(&t->lock);
    if (rc || !open)
        return rc;
    rc = txn_abort_open(b, t, e);
    return rc ? rc
              : err_set(e, ERR_CONCURRENT_TRANSACTIONS,
                        "transactional id %s: its open transaction was aborted", t->id);
}

int broker_claim_producer(struct broker *b, const char *transactional_id, const struct producer_claim *claim,
                          int64_t *producer_id, int16_t *epoch, struct err *e)
{
    struct txn *t;
    *producer_id = -1;
    *epoch = -1;
    int rc = check_id(transactional_id, e);
    if (!rc)
        rc = check_timeout(claim->timeout_ms, b->o.txn_timeout_max_ms, e);
    if (rc || (rc = find_or_make(b, transactional_id, &t, e)))
        return rc;
    if ((rc = clear_way(b, t, claim, e))) {
        txn_put(t);
        return rc;
    }
    return run(b, t, check_resume, claim, producer_id, epoch, e);
}
