/*
 * txn_bump: transactions of version 2 (KIP-890): each end gives the producer another epoch, so that nothing that was sent for the
 * transaction before can meet the next one; and partitions join with their first data. Runs in the caller's thread.
 */
#include "broker/transactions.h"
#include "broker/txn.h"

/* Asked again, as the answer was lost: the producer has its next epoch already. */
static bool is_repeated(const struct txn_work *w)
{
    const struct txn *t = w->t;
    bool other_id = t->previous_id == w->producer_id && w->epoch == TXN_EPOCH_LAST && t->epoch == 0;
    return other_id || (t->producer_id == w->producer_id && t->epoch == w->epoch + 1);
}

static int check_ender(const struct txn_work *w, bool repeated, struct err *e)
{
    const struct txn *t = w->t;
    int rc = txn_check_ended(t, e); /* first: the end may bring another producer id */
    if (rc)
        return rc;
    if (t->producer_id != w->producer_id && !repeated)
        return err_set(e, ERR_INVALID_PRODUCER_MAPPING,
                       "transactional id %s does not belong to producer %lld", t->id,
                       (long long)w->producer_id);
    bool over = t->state == TXN_COMPLETE_COMMIT || t->state == TXN_COMPLETE_ABORT;
    if (w->epoch != t->epoch && !(over && repeated))
        return err_set(e, ERR_PRODUCER_FENCED, "transactional id %s: epoch %d is not the current one (%d)",
                       t->id, w->epoch, t->epoch);
    return ERR_OK;
}

static int not_possible(const struct txn_work *w, struct err *e)
{
    return err_set(e, ERR_INVALID_TXN_STATE, "transactional id %s: %s is not possible in state %s", w->t->id,
                   w->commit ? "commit" : "abort", txn_state_name(w->t->state));
}

/* Nothing may be aborted, too: whoever does not know whether anything began gets the next epoch. */
static int check_end_bumped(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    bool repeated = is_repeated(w);
    int rc = check_ender(w, repeated, e);
    if (rc)
        return rc;
    if (t->state != TXN_ONGOING && repeated) {
        w->nothing = t->state == (w->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
        return w->nothing ? ERR_OK : not_possible(w, e);
    }
    if (t->state != TXN_ONGOING && w->commit)
        return not_possible(w, e);
    txn_plan_state(w, w->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    if (t->state != TXN_ONGOING)
        w->next.start_ms = w->next.update_ms;
    rc = txn_plan_bump(w, e);
    return rc ? rc : txn_plan_markers(w, w->commit, txn_epoch_after(t), e);
}

int broker_txn_end_bumped(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          bool commit, int64_t *next_id, int16_t *next_epoch, struct err *e)
{
    struct txn_work *w;
    *next_id = -1;
    *next_epoch = -1;
    int rc = txn_work_for(b, transactional_id, check_end_bumped, producer_id, epoch, &w, e);
    if (rc)
        return rc;
    if ((rc = txn_fresh_id(b, w->t, &w->fresh_id, e))) {
        txn_work_free(w);
        return rc;
    }
    w->commit = commit;
    w->bump = true;
    w->client_version = TXN_VERSION_2;
    w->out_producer_id = next_id;
    w->out_epoch = next_epoch;
    rc = txn_spreads(b, w->t, NULL, 0) ? txn_end_spread(w, e) : txn_work_run(w, e);
    if (rc)
        *next_id = *next_epoch = -1;
    return rc;
}

/* Most batches are of partitions that joined already. */
static bool has_joined(struct broker *b, const char *id, int64_t producer_id, int16_t epoch,
                       const struct txn_partition *partitions, size_t n)
{
    struct txn *t = txn_find(b, id);
    if (!t)
        return false;
    pthread_mutex_lock(&t->lock);
    bool all = !t->ending && t->state == TXN_ONGOING && t->producer_id == producer_id && t->epoch == epoch;
    for (size_t i = 0; all && i < n; i++)
        all = txn_parts_have(&t->parts, partitions[i].topic, partitions[i].partition);
    txn_let_go(t);
    return all;
}

int broker_txn_has_joined(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          const struct txn_partition *partition, struct err *e)
{
    struct txn *t;
    int rc = txn_hold(b, transactional_id, producer_id, epoch, partition->topic, partition->partition, &t, e);
    if (!rc)
        txn_let_go(t);
    return rc;
}

int broker_txn_join(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                    const struct txn_partition *partitions, size_t n, struct err *e)
{
    if (has_joined(b, transactional_id, producer_id, epoch, partitions, n))
        return ERR_OK;
    return txn_add_partitions(b, transactional_id, producer_id, epoch, partitions, n, TXN_VERSION_2, e);
}
