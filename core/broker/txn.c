/*
 * txn: the coordinator's operations: what each checks and plans. See txn.h and txn_work.c.
 */
#include "broker/txn.h"
#include "broker/transactions.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/upkeep.h"

/* ---- checks -------------------------------------------------------------------------------------------------------- */

static int check_producer(const struct txn *t, int64_t producer_id, int16_t epoch, struct err *e)
{
    int rc = txn_check_ended(t, e); /* first: its end may bring another producer id */
    if (rc)
        return rc;
    if (t->producer_id < 0 || t->producer_id != producer_id)
        return err_set(e, ERR_INVALID_PRODUCER_MAPPING,
                       "transactional id %s does not belong to producer %lld", t->id, (long long)producer_id);
    if (epoch < t->epoch)
        return err_set(e, ERR_PRODUCER_FENCED,
                       "transactional id %s: a newer producer (epoch %d) took over from epoch %d", t->id,
                       t->epoch, epoch);
    if (epoch > t->epoch)
        return err_set(e, ERR_INVALID_PRODUCER_EPOCH, "transactional id %s: epoch %d is not known", t->id,
                       epoch);
    return ERR_OK;
}

void txn_plan_state(struct txn_work *w, enum txn_state state)
{
    const struct txn *t = w->t;
    w->next = (struct txn_value){
        .producer_id = t->producer_id,
        .epoch = t->epoch,
        .timeout_ms = t->timeout_ms,
        .state = state,
        .update_ms = clock_wall_ms(),
        .start_ms = t->start_ms,
        .previous_id = t->previous_id,
        .next_id = -1,
        .client_version = w->client_version,
    };
    w->last_epoch = t->last_epoch;
    w->write_state = true;
}

int txn_plan_fresh_id(struct txn_work *w, struct err *e)
{
    if (w->fresh_id < 0)
        return err_set(e, ERR_CONCURRENT_TRANSACTIONS,
                       "transactional id %s: its producer's epochs are used up just now", w->t->id);
    w->next.previous_id = w->t->producer_id;
    w->next.producer_id = w->fresh_id;
    w->next.epoch = 0;
    return ERR_OK;
}

int txn_plan_bump(struct txn_work *w, struct err *e)
{
    w->last_epoch = w->t->epoch;
    if (w->t->epoch >= TXN_EPOCH_LAST)
        return txn_plan_fresh_id(w, e);
    w->next.epoch = (int16_t)(w->t->epoch + 1);
    return ERR_OK;
}

int txn_plan_markers(struct txn_work *w, bool commit, int16_t epoch, struct err *e)
{
    w->markers = true;
    w->marker_commit = commit;
    w->marker_epoch = epoch;
    return txn_parts_copy(&w->t->parts, &w->parts, e);
}

static int check_partitions_known(struct txn_work *w, struct err *e)
{
    for (size_t i = 0; i < w->add_count; i++) {
        struct partition *p;
        int rc = topic_acquire(w->b, w->add[i].topic, w->add[i].partition, &p, e);
        if (rc)
            return rc;
        partition_release(&w->b->topics, p);
    }
    return ERR_OK;
}

static int check_add(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    int rc = check_producer(t, w->producer_id, w->epoch, e);
    if (!rc && w->joined &&
        (t->state != TXN_ONGOING || !txn_parts_have(&t->parts, w->add->topic, w->add->partition)))
        rc = err_set(e, ERR_INVALID_TXN_STATE, "%s-%d is not part of a transaction of %s", w->add->topic,
                     w->add->partition, t->id);
    if (!rc)
        rc = check_partitions_known(w, e);
    if (!rc)
        rc = txn_parts_copy(&t->parts, &w->parts, e);
    for (size_t i = 0; !rc && i < w->add_count; i++)
        rc = txn_parts_add(&w->parts, text_of(w->add[i].topic), w->add[i].partition, e);
    if (rc)
        return rc;
    txn_plan_state(w, TXN_ONGOING);
    if (t->state != TXN_ONGOING)
        w->next.start_ms = w->next.update_ms;
    w->write_state = t->state != TXN_ONGOING || w->parts.n > t->parts.n;
    w->nothing = !w->write_state && !w->batch;
    return ERR_OK;
}

static int check_end(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    int rc = check_producer(t, w->producer_id, w->epoch, e);
    if (rc)
        return rc;
    if (t->state == (w->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT)) {
        w->nothing = true; /* asked again */
        return ERR_OK;
    }
    if (t->state != TXN_ONGOING)
        return err_set(e, ERR_INVALID_TXN_STATE, "transactional id %s: %s is not possible in state %s", t->id,
                       w->commit ? "commit" : "abort", txn_state_name(t->state));
    txn_plan_state(w, w->commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    return txn_plan_markers(w, w->commit, t->epoch, e);
}

static int check_commit_all(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    int rc = check_producer(t, w->producer_id, w->epoch, e);
    if (rc || (rc = txn_plan_markers(w, true, t->epoch, e)))
        return rc;
    for (size_t i = 0; !rc && i < w->request_count; i++)
        rc = txn_parts_add(&w->parts, text_of(w->requests[i].topic), w->requests[i].partition, e);
    txn_plan_state(w, TXN_COMPLETE_COMMIT);
    if (t->state != TXN_ONGOING)
        w->next.start_ms = w->next.update_ms;
    w->write_state = t->state != TXN_COMPLETE_COMMIT || t->written_ms == 0 ||
                     w->next.update_ms - t->written_ms > TXN_STATE_REFRESH_MS;
    return rc;
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

int txn_work_for(struct broker *b, const char *id, txn_check *check, int64_t producer_id, int16_t epoch,
                 struct txn_work **w, struct err *e)
{
    struct txn *t = id ? txn_find(b, id) : NULL;
    if (!t)
        return err_set(e, ERR_INVALID_PRODUCER_MAPPING, "there is no transactional id \"%s\"", id ? id : "");
    *w = txn_work_new(b, t, check, e);
    txn_put(t); /* the work has its own */
    if (!*w)
        return e->code;
    (*w)->producer_id = producer_id;
    (*w)->epoch = epoch;
    return ERR_OK;
}

void txn_watch_deadline(struct broker *b, const char *id)
{
    struct txn *t = txn_find(b, id);
    if (!t)
        return;
    upkeep_poke(b, atomic_load(&t->deadline));
    txn_put(t);
}

int txn_add_partitions(struct broker *b, const char *id, int64_t producer_id, int16_t epoch,
                       const struct txn_partition *partitions, size_t n, int16_t version, struct err *e)
{
    struct txn_work *w;
    int rc = txn_work_for(b, id, check_add, producer_id, epoch, &w, e);
    if (rc)
        return rc;
    w->add = partitions;
    w->add_count = n;
    w->client_version = version;
    /* In another directory its data could become durable before this: it would be aborted by a recovery. */
    w->no_wait = b->disk_count == 1;
    rc = txn_work_run(w, e);
    txn_watch_deadline(b, id);
    return rc;
}

int broker_txn_add_partitions(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const struct txn_partition *partitions, size_t n, struct err *e)
{
    return txn_add_partitions(b, transactional_id, producer_id, epoch, partitions, n, 0, e);
}

int broker_txn_add_offsets(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                           const char *group, struct err *e)
{
    struct partition *p;
    int rc = offsets_partition(b, group, &p, e);
    if (rc)
        return rc;
    struct txn_partition joins = {OFFSETS_TOPIC, p->index};
    rc = broker_txn_add_partitions(b, transactional_id, producer_id, epoch, &joins, 1, e);
    partition_release(&b->topics, p);
    return rc;
}

int broker_txn_end(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                   bool commit, struct err *e)
{
    struct txn_work *w;
    int rc = txn_work_for(b, transactional_id, check_end, producer_id, epoch, &w, e);
    if (rc)
        return rc;
    w->commit = commit;
    return txn_spreads(b, w->t, NULL, 0) ? txn_end_spread(w, e) : txn_work_run(w, e);
}

static int commit_all_work(struct broker *b, const char *id, int64_t producer_id, int16_t epoch,
                           struct produce_request *requests, size_t n, struct txn_work **w, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        err_clear(&requests[i].error);
    int rc = txn_work_for(b, id, check_commit_all, producer_id, epoch, w, e);
    if (rc)
        return rc;
    (*w)->requests = requests;
    (*w)->request_count = n;
    return ERR_OK;
}

/* Frees the work, which was not run. */
static int commit_all_spread(struct txn_work *w, struct produce_request *requests, size_t n, struct err *e)
{
    int rc = txn_commit_all_spread(w->b, w->t, w->producer_id, w->epoch, requests, n, e);
    txn_work_free(w);
    return rc;
}

int broker_txn_commit_all(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e)
{
    struct txn_work *w;
    int rc = commit_all_work(b, transactional_id, producer_id, epoch, requests, n, &w, e);
    if (rc)
        return rc;
    if (!txn_spreads(b, w->t, requests, n))
        return txn_work_run(w, e);
    return commit_all_spread(w, requests, n, e);
}

int broker_txn_commit_all_async(struct broker *b, const char *transactional_id, int64_t producer_id,
                                int16_t epoch, struct produce_request *requests, size_t n,
                                void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct txn_work *w;
    int rc = commit_all_work(b, transactional_id, producer_id, epoch, requests, n, &w, e);
    if (rc)
        return rc;
    if (txn_spreads(b, w->t, requests, n)) {
        static const struct err none;
        rc = commit_all_spread(w, requests, n, e);
        if (!rc)
            done(arg, &none);
        return rc;
    }
    w->no_wait = true;
    w->done = done;
    w->done_arg = arg;
    return txn_work_run(w, e);
}

static int build_offsets(struct txn_work *w, struct batch_builder *builder, struct err *e)
{
    struct batch_producer p = {
        .id = w->producer_id, .epoch = w->epoch, .base_sequence = 0, .transactional = true};
    int rc = offsets_build(builder, w->changes, e);
    return rc ? rc : batch_builder_finish(builder, &p, &w->batch, &w->batch_bytes, e);
}

static int commit_offsets(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          const char *group, const struct group_offset *offsets, size_t n, bool joined,
                          struct err *e)
{
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = 8 << 20};
    struct partition *p;
    struct txn_work *w;
    int rc = n ? txn_work_for(b, transactional_id, check_add, producer_id, epoch, &w, e) : ERR_OK;
    if (rc || n == 0)
        return rc;
    struct batch_builder *builder = batch_builder_new(&o, e);
    rc = builder ? offsets_prepare(b, group, offsets, n, &w->changes, e) : e->code;
    if (!rc)
        rc = build_offsets(w, builder, e);
    if (!rc)
        rc = offsets_partition(b, group, &p, e);
    if (rc) {
        txn_work_free(w);
        batch_builder_free(builder);
        return rc;
    }
    struct txn_partition joins = {OFFSETS_TOPIC, p->index};
    w->batch_partition = p;
    w->add = &joins;
    w->add_count = 1;
    w->joined = joined;
    w->client_version = joined ? 0 : 2;
    rc = txn_work_run(w, e); /* waits, as the batch is the builder's */
    batch_builder_free(builder);
    txn_watch_deadline(b, transactional_id);
    return rc;
}

int broker_txn_commit_offsets(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const char *group, const struct group_offset *offsets, size_t n,
                              struct err *e)
{
    return commit_offsets(b, transactional_id, producer_id, epoch, group, offsets, n, false, e);
}

int broker_txn_commit_added_offsets(struct broker *b, const char *transactional_id, int64_t producer_id,
                                    int16_t epoch, const char *group, const struct group_offset *offsets,
                                    size_t n, struct err *e)
{
    return commit_offsets(b, transactional_id, producer_id, epoch, group, offsets, n, true, e);
}
