/*
 * txn_table: the transactional ids and their producers; loading them from __transaction_state at start.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/txn.h"
#include "broker/walk.h"

int txns_open(struct broker *b, struct err *e)
{
    struct txns *ts = mem_calloc(1, sizeof *ts);
    if (!ts)
        return err_nomem(e);
    mutex_init(&ts->lock);
    ts->next_check = clock_mono_ms() + b->o.txn_id_check_ms;
    ts->by_id = map_new();
    ts->by_producer = map_new();
    b->txns = ts;
    return ts->by_id && ts->by_producer ? ERR_OK : err_nomem(e);
}

void txn_free(struct txn *t)
{
    pthread_mutex_destroy(&t->lock);
    txn_parts_free(&t->parts);
    mem_free(t->id);
    mem_free(t);
}

static void value_free(void *p)
{
    txn_free(p);
}

void txns_close(struct broker *b)
{
    struct txns *ts = b->txns;
    size_t pos = 0, len;
    const void *key;
    void *value;
    if (!ts)
        return;
    while (ts->by_id && map_next(ts->by_id, &pos, &key, &len, &value)) {
        offsets_drop(b, ((struct txn *)value)->offsets);
        ((struct txn *)value)->offsets = NULL;
    }
    if (ts->by_producer)
        map_free(ts->by_producer, NULL);
    if (ts->by_id)
        map_free(ts->by_id, value_free);
    pthread_mutex_destroy(&ts->lock);
    mem_free(ts);
    b->txns = NULL;
}

struct txn *txn_find(struct broker *b, const char *id)
{
    pthread_mutex_lock(&b->txns->lock);
    struct txn *t = map_get(b->txns->by_id, id, strlen(id));
    if (t)
        txn_ref(t);
    pthread_mutex_unlock(&b->txns->lock);
    return t;
}

struct txn *txn_find_producer(struct broker *b, int64_t producer_id)
{
    pthread_mutex_lock(&b->txns->lock);
    struct txn *t = map_get(b->txns->by_producer, &producer_id, sizeof producer_id);
    if (t)
        txn_ref(t);
    pthread_mutex_unlock(&b->txns->lock);
    return t;
}

struct txn *txn_ref(struct txn *t)
{
    atomic_fetch_add(&t->users, 1);
    return t;
}

void txn_put(struct txn *t)
{
    atomic_fetch_sub(&t->users, 1);
}

static struct txn *txn_new(struct text id)
{
    struct txn *t = mem_calloc(1, sizeof *t);
    if (!t || !(t->id = mem_strndup(id.p, id.n))) {
        mem_free(t);
        return NULL;
    }
    mutex_init(&t->lock);
    t->producer_id = t->previous_id = t->next_id = -1;
    t->epoch = t->last_epoch = -1;
    t->start_ms = -1;
    t->state = TXN_EMPTY;
    atomic_init(&t->deadline, INT64_MAX);
    return t;
}

int txn_get(struct broker *b, struct text id, struct txn **t, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&b->txns->lock);
    *t = map_get(b->txns->by_id, id.p, id.n);
    if (!*t) {
        *t = txn_new(id);
        rc = *t ? map_put(b->txns->by_id, id.p, id.n, *t, e) : err_nomem(e);
        if (rc && *t)
            txn_free(*t);
    }
    if (!rc)
        txn_ref(*t);
    pthread_mutex_unlock(&b->txns->lock);
    return rc;
}

int txn_map_producer(struct broker *b, struct txn *t, int64_t producer_id, struct err *e)
{
    pthread_mutex_lock(&b->txns->lock);
    map_remove(b->txns->by_producer, &producer_id, sizeof producer_id);
    int rc = map_put(b->txns->by_producer, &producer_id, sizeof producer_id, t, e);
    pthread_mutex_unlock(&b->txns->lock);
    return rc;
}

int txn_hold(struct broker *b, const char *id, int64_t producer_id, int16_t epoch, const char *topic,
             int32_t partition, struct txn **out, struct err *e)
{
    struct txn *t = id ? txn_find(b, id) : txn_find_producer(b, producer_id);
    if (!t && id)
        return err_set(e, ERR_INVALID_PRODUCER_MAPPING, "there is no transactional id \"%s\"", id);
    if (!t)
        return err_set(e, ERR_INVALID_TXN_STATE, "producer %lld has no transaction", (long long)producer_id);
    pthread_mutex_lock(&t->lock);
    int rc = txn_check_ended(t, e); /* first: its end may bring another producer id */
    if (rc)
        ; /* later */
    else if (id && t->producer_id != producer_id)
        rc = err_set(e, ERR_INVALID_PRODUCER_MAPPING, "transactional id %s does not belong to producer %lld",
                     id, (long long)producer_id);
    else if (t->producer_id != producer_id || t->epoch != epoch)
        rc = err_set(e, ERR_INVALID_PRODUCER_EPOCH,
                     "producer %lld of transactional id %s has epoch %d, not %d", (long long)producer_id,
                     t->id, t->epoch, epoch);
    else if (t->state != TXN_ONGOING || !txn_parts_have(&t->parts, topic, partition))
        rc = err_set(e, ERR_INVALID_TXN_STATE, "%s-%d is not part of a transaction of %s", topic, partition,
                     t->id);
    if (rc)
        txn_let_go(t);
    else
        *out = t;
    return rc;
}

void txn_let_go(struct txn *t)
{
    pthread_mutex_unlock(&t->lock);
    txn_put(t);
}

/* ---- loading ------------------------------------------------------------------------------------------------------- */

static int restore(struct broker *b, struct txn *t, struct txn_value *v, struct err *e)
{
    struct text topic;
    int32_t partition;
    int rc;
    txn_parts_free(&t->parts);
    t->producer_id = v->producer_id;
    t->epoch = v->epoch;
    t->timeout_ms = v->timeout_ms;
    t->state = v->state;
    /* Of commits that changed nothing else not each was written: it may have been used until then. */
    t->update_ms = v->update_ms + (v->state == TXN_COMPLETE_COMMIT ? TXN_STATE_REFRESH_MS : 0);
    t->start_ms = v->start_ms;
    t->written_ms = v->update_ms;
    t->previous_id = v->previous_id;
    t->next_id = v->next_id;
    t->client_version = v->client_version;
    while (!(rc = txn_value_next(v, &topic, &partition, e)))
        if ((rc = txn_parts_add(&t->parts, topic, partition, e)))
            break;
    if (rc != ERR_END)
        return rc;
    if (t->next_id >= 0 && (rc = txn_map_producer(b, t, t->next_id, e)))
        return rc;
    return t->producer_id < 0 ? ERR_OK : txn_map_producer(b, t, t->producer_id, e);
}

struct load {
    struct broker *b;
    struct buf scratch;
};

static int load_record(void *arg, const struct batch_header *h, const struct record *r, struct err *e)
{
    struct load *l = arg;
    struct text id;
    struct txn_value v;
    struct txn *t;
    (void)h;
    if (!r->key)
        return ERR_OK;
    int rc = txn_key_decode(r->key, (size_t)r->key_len, &id, e);
    if (rc)
        return rc;
    if (!r->value) /* forgotten; txns_sweep takes it out, unless it comes again */
        v = (struct txn_value){.producer_id = -1,
                               .epoch = -1,
                               .state = TXN_EMPTY,
                               .topics_left = -1,
                               .start_ms = -1,
                               .previous_id = -1,
                               .next_id = -1};
    else if ((rc = txn_value_decode(r->value, (size_t)r->value_len, &v, e)))
        return rc;
    if ((rc = txn_get(l->b, id, &t, e)))
        return rc;
    rc = restore(l->b, t, &v, e);
    txn_put(t);
    return rc;
}

static int load_batch(void *arg, const uint8_t *data, const struct batch_header *h, struct err *e)
{
    struct load *l = arg;
    return h->attributes & BATCH_CONTROL ? ERR_OK : walk_records(data, h, &l->scratch, load_record, l, e);
}

/* An open transaction goes on: it gets back its offsets and what is left of its time. */
static int resume(struct broker *b, struct txn *t, struct err *e)
{
    t->offsets = t->producer_id < 0 ? NULL : offsets_take_pending(b, t->producer_id);
    if (t->state == TXN_ONGOING) {
        int64_t since = clock_wall_ms() - (t->start_ms > 0 ? t->start_ms : 0);
        int64_t left = since <= 0 ? t->timeout_ms : since >= t->timeout_ms ? 0 : t->timeout_ms - since;
        atomic_store(&t->deadline, clock_mono_ms() + left);
    } else if (txn_is_prepared(t->state) && txn_finish(b, t, e)) {
        diag_error("broker", "%s", e->text); /* the others start; upkeep or the next start goes on with it */
    }
    return ERR_OK;
}

int txns_load(struct broker *b, struct err *e)
{
    struct topic *topic = topics_by_name(&b->topics, TXN_TOPIC);
    struct load l = {.b = b};
    int rc = ERR_OK;
    buf_init(&l.scratch, BATCH_MAX_INFLATED);
    for (int32_t i = 0; !rc && topic && i < topic->count; i++) {
        struct log *log;
        rc = partition_open(b, topic->partitions[i], false, &log, e);
        if (!rc && log)
            rc = walk_batches(log, load_batch, &l, e);
    }
    buf_free(&l.scratch);
    size_t pos = 0, len;
    const void *key;
    void *value;
    while (!rc && map_next(b->txns->by_id, &pos, &key, &len, &value))
        rc = resume(b, value, e);
    return rc ? rc : txns_sweep(b, e);
}

/* ---- after an unclean stop ------------------------------------------------------------------------------------------ */

/* An open transaction in the log that its coordinator does not know: possible only with durability=page-cache. */
static bool is_unknown(struct broker *b, const struct partition *p, const struct producer_info *info)
{
    if (info->txn_first_offset < 0)
        return false;
    struct txn *t = txn_find_producer(b, info->id);
    bool known = t && (t->state == TXN_ONGOING || txn_is_prepared(t->state)) && t->producer_id == info->id &&
                 txn_parts_have(&t->parts, p->topic->name, p->index);
    if (t)
        txn_put(t);
    return !known;
}

static int abort_in_log(struct broker *b, struct partition *p, const struct producer_info *info,
                        struct err *e)
{
    struct commit_wait wait;
    struct append a = {0};
    struct buf marker;
    buf_init(&marker, 256);
    int rc = marker_build(&marker, info->id, info->epoch, false, 0, clock_wall_ms(), e);
    commit_wait_init(&wait);
    partition_hold(p);
    size_t room = rc ? 0 : append_prepare(&a, p, marker.data, marker.len, LOG_FROM_COORDINATOR);
    if (!rc && room)
        rc = disk_reserve(p->disk, room, COMMIT_COORDINATOR, e);
    if (!rc)
        rc = group_append(b, &a, 1, room, &wait.op, e);
    if (rc)
        partition_release(&b->topics, p);
    struct err sync, flush;
    if (!rc && group_flush(b, &a, 1, &flush)) /* the log is out of service; the others start */
        diag_error("broker", "%s", flush.text);
    int waited = commit_wait_for(&wait, rc ? &sync : e);
    buf_free(&marker);
    if (!rc && !waited)
        diag_warn("broker",
                  "%s-%d: aborted a transaction of producer %lld that its coordinator does not know",
                  p->topic->name, p->index, (long long)info->id);
    return rc ? rc : waited;
}

int txns_abort_unknown(struct broker *b, struct err *e)
{
    struct partition **list;
    size_t n;
    int rc = topics_all(&b->topics, &list, &n, e);
    if (rc)
        return rc;
    for (size_t i = 0; !rc && i < n; i++) {
        struct producer_info *producers = NULL;
        size_t count = 0;
        if (!partition_log(list[i]) || log_failed(partition_log(list[i])))
            continue; /* another start does it */
        rc = log_producers(partition_log(list[i]), &producers, &count, e);
        for (size_t k = 0; !rc && k < count; k++)
            if (is_unknown(b, list[i], &producers[k]))
                rc = abort_in_log(b, list[i], &producers[k], e);
        mem_free(producers);
    }
    partitions_release(&b->topics, list, n);
    return rc;
}
