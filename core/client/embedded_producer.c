/*
 * embedded_producer: records into batches, a builder for each topic-partition. A full batch stays in its builder, which waits in
 * the pending list while another builder takes its place: the bytes are not copied again before the broker has them.
 * One thread.
 */
#include "client/embedded_producer.h"

#include <string.h>

#include "base/mem.h"
#include "base/thread.h"

enum { TXN_TIMEOUT_MS = 60000, BATCH_BYTES = (1 << 20) - 12 };

/* ---- opening and closing ------------------------------------------------------------------------------------------ */

static size_t cap_of(struct broker *b)
{
    size_t group = broker_atomic_max(b);
    return group < PRODUCER_CAP ? group : PRODUCER_CAP;
}

static int open_fields(struct embedded_producer *p, const struct producer_options *o, struct err *e)
{
    p->topics = map_new();
    p->targets = map_new();
    if (!p->topics || !p->targets)
        return err_nomem(e);
    if (!o->transactional_id)
        return ERR_OK;
    if (!(p->transactional_id = mem_strdup(o->transactional_id)))
        return err_nomem(e);
    int rc = broker_init_producer(p->broker, o->transactional_id,
                                  o->transaction_timeout_ms ? o->transaction_timeout_ms : TXN_TIMEOUT_MS,
                                  &p->producer_id, &p->epoch, e);
    if (!rc)
        rc = broker_txn_hold(p->broker, o->transactional_id, e);
    p->held = !rc;
    return rc;
}

static void target_free(void *v)
{
    struct producer_target *t = v;
    batch_builder_free(t->builder);
    mem_free(t->topic);
    mem_free(t);
}

static void topic_free(void *v)
{
    struct producer_topic *t = v;
    mem_free(t->name);
    mem_free(t);
}

static void producer_free(struct embedded_producer *p)
{
    if (p->held)
        broker_txn_release(p->broker, p->transactional_id);
    for (size_t i = 0; i < p->pending_count; i++)
        batch_builder_free(p->pending[i].builder);
    for (size_t i = 0; i < p->pool_count; i++)
        batch_builder_free(p->pool[i]);
    if (p->targets)
        map_free(p->targets, target_free);
    if (p->topics)
        map_free(p->topics, topic_free);
    for (size_t i = 0; i < PRODUCER_IN_FLIGHT; i++) {
        pthread_cond_destroy(&p->flights[i].changed);
        pthread_mutex_destroy(&p->flights[i].lock);
        mem_free(p->flights[i].stored);
    }
    mem_free(p->early);
    mem_free(p->requests);
    mem_free(p->pending);
    mem_free(p->transactional_id);
    mem_free(p);
}

static void embedded_close(struct producer *base)
{
    struct embedded_producer *p = embedded_of(base);
    struct err ignored;         /* an open transaction that cannot be aborted now is aborted by its timeout */
    while (p->flight_count > 0) /* its end writes here */
        embedded_commit_wait(base, &ignored);
    if (p->txn_open)
        embedded_abort(base, &ignored);
    producer_free(p);
}

static size_t embedded_pending_bytes(const struct producer *base)
{
    const struct embedded_producer *p = (const struct embedded_producer *)base;
    return p->pending_bytes + p->open_bytes;
}

static size_t embedded_pending_records(const struct producer *base)
{
    const struct embedded_producer *p = (const struct embedded_producer *)base;
    return p->pending_records + p->open_records;
}

/* ---- where to ------------------------------------------------------------------------------------------------------ */

static int target_new(struct embedded_producer *p, const char *topic, int32_t partition, const uint8_t *key,
                      size_t key_len, struct producer_target **out, struct err *e)
{
    int32_t count;
    int64_t max;
    int rc = broker_topic_limits(p->broker, topic, &count, &max, e);
    if (rc)
        return rc;
    if (partition >= count)
        return err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", topic, partition);
    struct producer_target *t = mem_calloc(1, sizeof *t);
    if (!t || !(t->topic = mem_strdup(topic))) {
        mem_free(t);
        return err_nomem(e);
    }
    t->partition = partition;
    t->max_bytes = (size_t)max < p->batch.max_bytes ? (size_t)max : p->batch.max_bytes;
    if ((rc = map_put(p->targets, key, key_len, t, e))) {
        target_free(t);
        return rc;
    }
    t->next = p->first_target;
    p->first_target = t;
    p->target_count++;
    *out = t;
    return ERR_OK;
}

static int embedded_target(struct producer *base, const char *topic, int32_t partition,
                           struct producer_target **t, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    uint8_t key[256 + 4];
    size_t n = strlen(topic);
    if (n > 255 || partition < 0)
        return err_set(e, ERR_UNKNOWN_TOPIC, "there is no partition %d of topic \"%.255s\"", partition,
                       topic);
    put_be32(key, (uint32_t)partition);
    memcpy(key + 4, topic, n);
    *t = map_get(p->targets, key, n + 4);
    return *t ? ERR_OK : target_new(p, topic, partition, key, n + 4, t, e);
}

static int embedded_partitions(struct producer *base, const char *topic, int32_t *count, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    int64_t max;
    return broker_topic_limits(p->broker, topic, count, &max, e);
}

static int topic_lookup(struct embedded_producer *p, const char *name, struct producer_topic **out,
                        struct err *e)
{
    struct producer_topic *t = map_get(p->topics, name, strlen(name));
    int64_t max;
    int rc = ERR_OK;
    if (!t) {
        t = mem_calloc(1, sizeof *t);
        if (!t || !(t->name = mem_strdup(name))) {
            mem_free(t);
            return err_nomem(e);
        }
        if ((rc = map_put(p->topics, name, strlen(name), t, e))) {
            topic_free(t);
            return rc;
        }
    }
    if (t->generation != p->generation) { /* partitions may have been added; the next flush goes elsewhere */
        rc = broker_topic_limits(p->broker, name, &t->partitions, &max, e);
        t->sticky = rc || t->sticky + 1 >= t->partitions ? 0 : t->sticky + (t->generation > 0);
        t->generation = rc ? 0 : p->generation;
    }
    *out = t;
    return rc;
}

/* ---- batches --------------------------------------------------------------------------------------------------------- */

static int take_builder(struct embedded_producer *p, struct producer_target *t, struct err *e)
{
    struct batch_options o = p->batch;
    o.max_bytes = t->max_bytes;
    if (t->max_bytes == p->batch.max_bytes && p->pool_count > 0)
        t->builder = p->pool[--p->pool_count];
    else
        t->builder = batch_builder_new(&o, e);
    return t->builder ? ERR_OK : e->code;
}

void producer_recycle(struct embedded_producer *p, struct batch_builder *b, bool usual)
{
    if (!usual || p->pool_count == PRODUCER_POOL_MAX) {
        batch_builder_free(b);
        return;
    }
    batch_builder_reset(b);
    p->pool[p->pool_count++] = b;
}

static int grow_pending(struct embedded_producer *p, struct err *e)
{
    size_t room = p->pending_room ? 2 * p->pending_room : 16;
    if (p->pending_count < p->pending_room)
        return ERR_OK;
    struct pending *pending = mem_realloc_array(p->pending, room, sizeof *pending);
    if (pending)
        p->pending = pending;
    struct produce_request *requests =
        pending ? mem_realloc_array(p->requests, room, sizeof *requests) : NULL;
    if (!requests)
        return err_nomem(e);
    p->requests = requests;
    p->pending_room = room;
    return ERR_OK;
}

static int32_t sequence_after(int32_t sequence, int32_t records)
{
    int64_t next = (int64_t)sequence + records;
    return (int32_t)(next > INT32_MAX ? next - INT32_MAX - 1 : next);
}

int producer_finish_batch(struct embedded_producer *p, struct producer_target *t, struct err *e)
{
    if (!t->builder || batch_builder_count(t->builder) == 0)
        return ERR_OK;
    bool txn = p->transactional_id != NULL;
    struct batch_producer producer = {p->producer_id, p->epoch, txn ? t->sequence : -1, txn};
    struct pending b = {
        .target = t, .builder = t->builder, .records = batch_builder_count(t->builder), .large = t->large};
    size_t open = batch_builder_bytes(t->builder);
    int rc = grow_pending(p, e);
    if (!rc)
        rc = batch_builder_finish(t->builder, &producer, &b.data, &b.bytes, e);
    if (rc)
        return rc;
    t->builder = NULL;
    t->large = false;
    t->sequence = sequence_after(t->sequence, b.records);
    p->pending[p->pending_count++] = b;
    p->pending_bytes += b.bytes;
    p->pending_records += (size_t)b.records;
    p->open_bytes -= open;
    p->open_records -= (size_t)b.records;
    return ERR_OK;
}

static int add_once(struct embedded_producer *p, struct producer_target *t, int64_t timestamp,
                    const void *key, size_t key_len, const void *value, size_t value_len,
                    const struct record_header *headers, int32_t header_count, struct err *e)
{
    if (!t->builder && take_builder(p, t, e))
        return e->code;
    size_t before = batch_builder_count(t->builder) ? batch_builder_bytes(t->builder) : 0;
    int rc =
        batch_builder_add(t->builder, timestamp, key, key_len, value, value_len, headers, header_count, e);
    if (rc)
        return rc;
    p->open_bytes += batch_builder_bytes(t->builder) - before;
    p->open_records++;
    return ERR_OK;
}

/* Everything pending must fit into one group, which is also what bounds memory. */
static int make_room(struct embedded_producer *p, size_t record, struct err *e)
{
    size_t requests = p->pending_count + p->target_count + 1;
    if (embedded_pending_bytes(&p->base) + record + requests * REQUEST_MARGIN <= p->cap ||
        embedded_pending_records(&p->base) == 0)
        return ERR_OK;
    return producer_relieve(p, e);
}

static int too_large(const struct producer_target *t, size_t bytes, int64_t max, struct err *e)
{
    return err_set(e, ERR_TOO_LARGE,
                   "a record of %zu bytes is too large: topic %s takes batches of at most %lld bytes "
                   "(max.message.bytes)",
                   bytes, t->topic, (long long)max);
}

/*
 * A record that is larger than a batch should be goes into one of its own, if the topic allows it: what it allows is asked
 * anew, as it may have been changed.
 */
static int add_large(struct embedded_producer *p, struct producer_target *t, int64_t timestamp,
                     const void *key, size_t key_len, const void *value, size_t value_len,
                     const struct record_header *headers, int32_t header_count, struct err *e)
{
    struct batch_options o = p->batch;
    int32_t partitions;
    int64_t max;
    int rc = broker_topic_limits(p->broker, t->topic, &partitions, &max, e);
    if (rc)
        return rc;
    if (max <= (int64_t)t->max_bytes)
        return too_large(t, key_len + value_len, max, e);
    if (t->builder)
        producer_recycle(p, t->builder, t->max_bytes == p->batch.max_bytes);
    o.max_bytes = (size_t)max;
    if (!(t->builder = batch_builder_new(&o, e)))
        return e->code;
    t->large = true;
    rc = add_once(p, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
    if (!rc)
        return producer_finish_batch(p, t, e);
    batch_builder_free(t->builder);
    t->builder = NULL;
    t->large = false;
    return rc == ERR_TOO_LARGE ? too_large(t, key_len + value_len, max, e) : rc;
}

static int embedded_add_to(struct producer *base, struct producer_target *t, int64_t timestamp,
                           const void *key, size_t key_len, const void *value, size_t value_len,
                           const struct record_header *headers, int32_t header_count, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    int rc = make_room(p, key_len + value_len + REQUEST_MARGIN, e);
    if (rc) /* of what was added before */
        return rc;
    rc = add_once(p, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
    if (rc == ERR_TOO_LARGE && t->builder && batch_builder_count(t->builder) > 0 &&
        !(rc = producer_finish_batch(p, t, e)))
        rc = add_once(p, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
    if (rc == ERR_TOO_LARGE)
        rc = add_large(p, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
    return rc;
}

static int embedded_add(struct producer *base, const char *topic, int32_t partition, int64_t timestamp,
                        const void *key, size_t key_len, const void *value, size_t value_len,
                        const struct record_header *headers, int32_t header_count, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    struct producer_target *t;
    struct producer_topic *pt = NULL;
    int rc = ERR_OK;
    if (partition < 0) {
        if ((rc = topic_lookup(p, topic, &pt, e)))
            return rc;
        partition = key ? kafka_partition_for_key(key, key_len, pt->partitions) : pt->sticky;
    }
    if ((rc = embedded_target(base, topic, partition, &t, e)))
        return rc;
    size_t batches = p->pending_count;
    rc = embedded_add_to(base, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
    if (pt && !key && p->pending_count != batches)
        pt->sticky = pt->sticky + 1 < pt->partitions ? pt->sticky + 1 : 0;
    return rc;
}

static const struct producer_ops embedded_ops = {
    .close = embedded_close,
    .add = embedded_add,
    .target = embedded_target,
    .add_to = embedded_add_to,
    .partitions = embedded_partitions,
    .pending_bytes = embedded_pending_bytes,
    .pending_records = embedded_pending_records,
    .flush = embedded_flush,
    .commit_start = embedded_commit_start,
    .commit_wait = embedded_commit_wait,
    .in_flight = embedded_in_flight,
    .abort = embedded_abort,
};

struct producer *embedded_producer_open(struct broker *b, const struct producer_options *o, struct err *e)
{
    struct embedded_producer *p = mem_calloc(1, sizeof *p);
    if (!p) {
        err_nomem(e);
        return NULL;
    }
    p->base.ops = &embedded_ops;
    p->broker = b;
    p->producer_id = -1;
    p->epoch = -1;
    p->batch = (struct batch_options){.codec = o->codec,
                                      .level = o->codec_level,
                                      .max_bytes = o->batch_bytes ? o->batch_bytes : BATCH_BYTES};
    p->cap = cap_of(p->broker);
    p->generation = 1;
    for (size_t i = 0; i < PRODUCER_IN_FLIGHT; i++) {
        mutex_init(&p->flights[i].lock);
        cond_init(&p->flights[i].changed);
    }
    if (open_fields(p, o, e)) {
        producer_free(p);
        return NULL;
    }
    return &p->base;
}
