/*
 * txn: the coordinator's operations: what each checks and plans. See txn.h and txn_work.c.
 */
#include "broker/txn.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/meta.h"
#include "broker/upkeep.h"

/* A state record that says nothing new is written once in a while, so that its age tells of use. */
#define STATE_REFRESH_MS 3600000
#define EXPIRE_RETRY_MS 60000

/* ---- checks -------------------------------------------------------------------------------------------------------- */

static int check_producer(const struct txn *t, int64_t producer_id, int16_t epoch, struct err *e)
{
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
    return txn_check_ended(t, e);
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
    };
    w->write_state = true;
}

static int plan_markers(struct txn_work *w, bool commit, int16_t epoch, struct err *e)
{
    w->markers = true;
    w->marker_commit = commit;
    w->marker_epoch = epoch;
    return txn_parts_copy(&w->t->parts, &w->parts, e);
}

/* The producer that comes gets an epoch of its own; what its predecessor left open is aborted by one in between. */
static int check_init(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    bool open = t->state == TXN_ONGOING;
    int rc = txn_check_ended(t, e);
    if (rc)
        return rc;
    txn_plan_state(w, TXN_EMPTY);
    w->next.timeout_ms = w->timeout_ms;
    w->next.start_ms = -1;
    if (open)
        rc = plan_markers(w, false, (int16_t)(t->epoch + 1), e);
    if (w->fresh_id >= 0 && (t->producer_id < 0 || t->epoch >= INT16_MAX - 4)) {
        w->next.producer_id = w->fresh_id;
        w->next.epoch = 0;
    } else {
        w->next.epoch = (int16_t)(t->epoch + (open ? 2 : 1));
    }
    return rc;
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
    return plan_markers(w, w->commit, t->epoch, e);
}

static int check_commit_all(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    int rc = check_producer(t, w->producer_id, w->epoch, e);
    if (rc || (rc = plan_markers(w, true, t->epoch, e)))
        return rc;
    for (size_t i = 0; !rc && i < w->request_count; i++)
        rc = txn_parts_add(&w->parts, text_of(w->requests[i].topic), w->requests[i].partition, e);
    txn_plan_state(w, TXN_COMPLETE_COMMIT);
    if (t->state != TXN_ONGOING)
        w->next.start_ms = w->next.update_ms;
    w->write_state = t->state != TXN_COMPLETE_COMMIT || t->written_ms == 0 ||
                     w->next.update_ms - t->written_ms > STATE_REFRESH_MS;
    return rc;
}

/* A producer that let its time pass is fenced by the epoch. */
static int check_expired(struct txn_work *w, struct err *e)
{
    const struct txn *t = w->t;
    if (t->state != TXN_ONGOING || t->ending || atomic_load(&t->deadline) > w->now_ms) {
        w->nothing = true;
        return ERR_OK;
    }
    txn_plan_state(w, TXN_COMPLETE_ABORT);
    if (w->next.epoch < INT16_MAX)
        w->next.epoch++;
    return plan_markers(w, false, w->next.epoch, e);
}

/* ---- operations ---------------------------------------------------------------------------------------------------- */

static int find_for(struct broker *b, const char *id, txn_check *check, int64_t producer_id, int16_t epoch,
                    struct txn_work **w, struct err *e)
{
    struct txn *t = id ? txn_find(b, id) : NULL;
    if (!t)
        return err_set(e, ERR_INVALID_PRODUCER_MAPPING, "there is no transactional id \"%s\"", id ? id : "");
    if (!(*w = txn_work_new(b, t, check, e)))
        return e->code;
    (*w)->producer_id = producer_id;
    (*w)->epoch = epoch;
    return ERR_OK;
}

static int init_transactional(struct broker *b, const char *id, int32_t timeout_ms, int64_t *producer_id,
                              int16_t *epoch, struct err *e)
{
    struct txn *t;
    int64_t fresh = -1;
    int32_t n;
    int rc = internal_topic(b, TXN_TOPIC, &n, e);
    if (!rc)
        rc = txn_get(b, text_of(id), &t, e);
    if (rc)
        return rc;
    if (txn_spreads(b, t, NULL, 0) && (rc = txn_fence_spread(b, t, e)))
        return rc;
    pthread_mutex_lock(&t->lock);
    bool need_id = t->producer_id < 0 || t->epoch >= INT16_MAX - 4;
    pthread_mutex_unlock(&t->lock);
    if (need_id && ((rc = meta_producer_id(b, &fresh, e)) || (rc = txn_map_producer(b, t, fresh, e))))
        return rc;
    struct txn_work *w = txn_work_new(b, t, check_init, e);
    if (!w)
        return e->code;
    w->timeout_ms = timeout_ms;
    w->fresh_id = fresh;
    w->out_producer_id = producer_id;
    w->out_epoch = epoch;
    if ((rc = txn_work_run(w, e)))
        *producer_id = *epoch = -1;
    return rc;
}

int broker_init_producer(struct broker *b, const char *transactional_id, int32_t timeout_ms,
                         int64_t *producer_id, int16_t *epoch, struct err *e)
{
    *producer_id = -1;
    *epoch = -1;
    if (!transactional_id) {
        int rc = meta_producer_id(b, producer_id, e);
        *epoch = rc ? -1 : 0;
        return rc;
    }
    if (!*transactional_id || strlen(transactional_id) > INT16_MAX)
        return err_set(e, ERR_INVALID, "a transactional id is not empty and at most %d bytes", INT16_MAX);
    if (timeout_ms <= 0 || timeout_ms > TXN_TIMEOUT_MAX_MS)
        return err_set(e, ERR_INVALID_TXN_TIMEOUT, "a transaction's timeout is 1 to %d ms, not %d",
                       TXN_TIMEOUT_MAX_MS, timeout_ms);
    return init_transactional(b, transactional_id, timeout_ms, producer_id, epoch, e);
}

int broker_txn_add_partitions(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const struct txn_partition *partitions, size_t n, struct err *e)
{
    struct txn_work *w;
    int rc = find_for(b, transactional_id, check_add, producer_id, epoch, &w, e);
    if (rc)
        return rc;
    w->add = partitions;
    w->add_count = n;
    /* In another directory its data could become durable before this: it would be aborted by a recovery. */
    w->no_wait = b->disk_count == 1;
    rc = txn_work_run(w, e);
    upkeep_poke(b, atomic_load(&txn_find(b, transactional_id)->deadline));
    return rc;
}

int broker_txn_end(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                   bool commit, struct err *e)
{
    struct txn_work *w;
    int rc = find_for(b, transactional_id, check_end, producer_id, epoch, &w, e);
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
    int rc = find_for(b, id, check_commit_all, producer_id, epoch, w, e);
    if (rc)
        return rc;
    (*w)->requests = requests;
    (*w)->request_count = n;
    return ERR_OK;
}

int broker_txn_commit_all(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e)
{
    struct txn_work *w;
    int rc = commit_all_work(b, transactional_id, producer_id, epoch, requests, n, &w, e);
    if (rc)
        return rc;
    struct txn *t = w->t;
    if (!txn_spreads(b, t, requests, n))
        return txn_work_run(w, e);
    txn_work_free(w);
    return txn_commit_all_spread(b, t, producer_id, epoch, requests, n, e);
}

int broker_txn_commit_all_async(struct broker *b, const char *transactional_id, int64_t producer_id,
                                int16_t epoch, struct produce_request *requests, size_t n,
                                void (*done)(void *arg, const struct err *e), void *arg, struct err *e)
{
    struct txn_work *w;
    int rc = commit_all_work(b, transactional_id, producer_id, epoch, requests, n, &w, e);
    if (rc)
        return rc;
    struct txn *t = w->t;
    if (txn_spreads(b, t, requests, n)) {
        static const struct err none;
        txn_work_free(w);
        rc = txn_commit_all_spread(b, t, producer_id, epoch, requests, n, e);
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

int broker_txn_commit_offsets(struct broker *b, const char *transactional_id, int64_t producer_id,
                              int16_t epoch, const char *group, const struct group_offset *offsets, size_t n,
                              struct err *e)
{
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = 8 << 20};
    struct partition *p;
    struct txn_work *w;
    int rc = n ? find_for(b, transactional_id, check_add, producer_id, epoch, &w, e) : ERR_OK;
    if (rc || n == 0)
        return rc;
    struct batch_builder *builder = batch_builder_new(&o, e);
    rc = builder ? offsets_prepare(b, group, offsets, n, &w->changes, e) : e->code;
    if (!rc)
        rc = build_offsets(w, builder, e);
    if (!rc)
        rc = offsets_partition(b, group, &p, e);
    if (rc) {
        if (w->changes)
            offsets_drop(b, w->changes);
        mem_free(w);
        batch_builder_free(builder);
        return rc;
    }
    struct txn_partition joins = {OFFSETS_TOPIC, p->index};
    w->batch_partition = p;
    w->add = &joins;
    w->add_count = 1;
    rc = txn_work_run(w, e); /* waits, as the batch is the builder's */
    batch_builder_free(builder);
    upkeep_poke(b, atomic_load(&txn_find(b, transactional_id)->deadline));
    return rc;
}

/* *aborted: it was open, and is aborted; else its end was decided before, or somebody else was faster. */
static int expire_one(struct broker *b, struct txn *t, int64_t now, bool *aborted, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    bool prepared = txn_is_prepared(t->state);
    *aborted = t->state == TXN_ONGOING && !t->ending;
    pthread_mutex_unlock(&t->lock);
    if (prepared)
        return txn_finish(b, t, e);
    if (txn_spreads(b, t, NULL, 0))
        return txn_fence_spread(b, t, e);
    struct txn_work *w = txn_work_new(b, t, check_expired, e);
    if (!w)
        return e->code;
    w->now_ms = now;
    return txn_work_run(w, e);
}

/* The overdue ones first leave the table's lock, then are aborted one by one. */
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
        atomic_store(&t->deadline,
                     now + (failed && !txn_is_prepared(t->state) ? EXPIRE_RETRY_MS : TXN_RETRY_MS));
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
    }
    return next;
}
