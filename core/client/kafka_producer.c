/*
 * kafka_producer: records into parcels. They stay in our memory until a flush or a commit, so that what is dropped was never
 * sent, and what could not be stored can be tried again. One thread.
 */
#include "client/kafka_producer.h"

#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

enum { TXN_TIMEOUT_MS = 60000, PARTITIONS_MS = 5000, RECORD_OVERHEAD = 64 };

/* ---- parcels ------------------------------------------------------------------------------------------------------------- */

struct parcel *parcel_new(struct err *e)
{
    struct parcel *x = mem_calloc(1, sizeof *x);
    if (x)
        buf_init(&x->bytes, PARCEL_BYTES + BATCH_MAX_BYTES);
    else
        err_nomem(e);
    return x;
}

void parcel_free(struct parcel *x)
{
    if (!x)
        return;
    buf_free(&x->bytes);
    mem_free(x->entries);
    mem_free(x);
}

void parcel_empty(struct parcel *x)
{
    buf_reset(&x->bytes);
    x->count = 0;
    x->over = false;
    err_clear(&x->error);
}

static struct entry *next_entry(struct parcel *x, struct err *e)
{
    if (x->count == x->room) {
        size_t room = x->room ? 2 * x->room : 256;
        struct entry *more = mem_realloc_array(x->entries, room, sizeof *more);
        if (!more) {
            err_nomem(e);
            return NULL;
        }
        x->entries = more;
        x->room = room;
    }
    return &x->entries[x->count];
}

static int put_headers(struct buf *b, const struct record_header *headers, int32_t n, struct err *e)
{
    int rc = ERR_OK;
    for (int32_t i = 0; rc == ERR_OK && i < n; i++) {
        rc = buf_varint(b, headers[i].key_len, e);
        if (rc == ERR_OK)
            rc = buf_append(b, headers[i].key, (size_t)headers[i].key_len, e);
        if (rc == ERR_OK)
            rc = buf_varint(b, headers[i].value_len, e);
        if (rc == ERR_OK && headers[i].value_len > 0)
            rc = buf_append(b, headers[i].value, (size_t)headers[i].value_len, e);
    }
    return rc;
}

static int put(struct parcel *x, const struct kafka_target *t, int64_t timestamp, const void *key,
               size_t key_len, const void *value, size_t value_len, const struct record_header *headers,
               int32_t header_count, struct err *e)
{
    struct entry *en = next_entry(x, e);
    size_t at = x->bytes.len;
    int rc = en ? ERR_OK : e->code;
    if (rc == ERR_OK && key)
        rc = buf_append(&x->bytes, key, key_len, e);
    if (rc == ERR_OK && value)
        rc = buf_append(&x->bytes, value, value_len, e);
    size_t headers_at = x->bytes.len;
    if (rc == ERR_OK)
        rc = put_headers(&x->bytes, headers, header_count, e);
    if (rc) {
        x->bytes.len = at;
        return rc;
    }
    *en = (struct entry){.target = t,
                         .timestamp = timestamp,
                         .offset = -1,
                         .at = at,
                         .key_len = key ? (int32_t)key_len : -1,
                         .value_len = value ? (int32_t)value_len : -1,
                         .header_count = header_count,
                         .header_bytes = (uint32_t)(x->bytes.len - headers_at)};
    x->count++;
    return ERR_OK;
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------------- */

static void topic_free(void *v)
{
    struct kafka_topic_ref *t = v;
    if (t->rkt)
        rdk.topic_destroy(t->rkt);
    mem_free(t->name);
    mem_free(t);
}

void kafka_producer_free(struct producer *base)
{
    struct kafka_producer *p = kafka_producer_of(base);
    kafka_send_close(p);
    if (p->targets)
        map_free(p->targets, mem_free);
    if (p->topics)
        map_free(p->topics, topic_free);
    if (p->rk)
        rdk.destroy(p->rk);
    parcel_free(p->filling);
    parcel_free(p->spare);
    mem_free(p->transactional_id);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->lock);
    kafka_trouble_free(&p->trouble);
    mem_free(p);
}

static void kafka_close(struct producer *base)
{
    struct kafka_producer *p = kafka_producer_of(base);
    pthread_mutex_lock(&p->k->lock);
    bool keep = !p->transactional_id && !p->broken.code && !p->k->spare_out;
    if (keep) {
        parcel_empty(p->filling);
        producer_on_delivery(base, NULL, NULL);
        p->k->spare_out = base;
    }
    pthread_mutex_unlock(&p->k->lock);
    if (!keep)
        kafka_producer_free(base);
}

/* The one that was closed last, if it writes in the same way. */
static struct producer *take_spare(struct kafka_client *k, const struct producer_options *o)
{
    struct producer *base = NULL;
    if (o->transactional_id)
        return NULL;
    pthread_mutex_lock(&k->lock);
    if (k->spare_out && kafka_producer_of(k->spare_out)->codec == o->codec &&
        kafka_producer_of(k->spare_out)->codec_level == o->codec_level) {
        base = k->spare_out;
        k->spare_out = NULL;
    }
    pthread_mutex_unlock(&k->lock);
    return base;
}

/* ---- where to ----------------------------------------------------------------------------------------------------------------- */

/* The topic with its number of partitions, as it was at most PARTITIONS_MS ago. */
static int topic_of(struct kafka_producer *p, const char *name, struct kafka_topic_ref **out, struct err *e)
{
    struct kafka_topic_ref *t = map_get(p->topics, name, strlen(name));
    int64_t now = clock_mono_ms();
    int32_t count;
    *out = t;
    if (t && now - t->asked_ms < PARTITIONS_MS)
        return ERR_OK;
    int rc = kafka_partition_count(p->k, name, &count, e);
    if (rc == ERR_OK && !t) {
        t = mem_calloc(1, sizeof *t);
        if (!t || !(t->name = mem_strdup(name)) || !(t->rkt = rdk.topic_new(p->rk, name, NULL)))
            rc = err_nomem(e);
        else
            rc = map_put(p->topics, name, strlen(name), t, e);
        if (rc && t)
            topic_free(t);
    }
    if (rc)
        return rc;
    t->partitions = count;
    t->asked_ms = now;
    *out = t;
    return ERR_OK;
}

static int kafka_partitions(struct producer *base, const char *topic, int32_t *count, struct err *e)
{
    struct kafka_topic_ref *t;
    int rc = topic_of(kafka_producer_of(base), topic, &t, e);
    if (rc == ERR_OK)
        *count = t->partitions;
    return rc;
}

static int kafka_target(struct producer *base, const char *topic, int32_t partition,
                        struct producer_target **out, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    uint8_t key[256 + 4];
    size_t n = strlen(topic);
    struct kafka_topic_ref *ref;
    if (n > 255 || partition < 0)
        return err_set(e, ERR_UNKNOWN_TOPIC, "there is no partition %d of topic \"%.255s\"", partition,
                       topic);
    put_be32(key, (uint32_t)partition);
    memcpy(key + 4, topic, n);
    struct kafka_target *t = map_get(p->targets, key, n + 4);
    *out = (struct producer_target *)t;
    if (t)
        return ERR_OK;
    int rc = topic_of(p, topic, &ref, e);
    if (rc == ERR_OK && partition >= ref->partitions)
        rc = err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", topic, partition);
    if (rc == ERR_OK && !(t = mem_calloc(1, sizeof *t)))
        rc = err_nomem(e);
    if (rc)
        return rc;
    *t = (struct kafka_target){ref, partition};
    if ((rc = map_put(p->targets, key, n + 4, t, e)) != ERR_OK)
        mem_free(t);
    *out = (struct producer_target *)t;
    return rc;
}

/* ---- adding ------------------------------------------------------------------------------------------------------------------- */

static int kafka_add_to(struct producer *base, struct producer_target *t, int64_t timestamp, const void *key,
                        size_t key_len, const void *value, size_t value_len,
                        const struct record_header *headers, int32_t header_count, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    if (key_len > BATCH_MAX_BYTES || value_len > BATCH_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "a record of %zu bytes is too large", key_len + value_len);
    if (p->filling->count && p->filling->bytes.len + key_len + value_len + RECORD_OVERHEAD > PARCEL_BYTES) {
        int rc = kafka_relieve(p, e);
        if (rc)
            return rc;
    }
    return put(p->filling, (const struct kafka_target *)t, timestamp, key, key_len, value, value_len, headers,
               header_count, e);
}

static int kafka_add(struct producer *base, const char *topic, int32_t partition, int64_t timestamp,
                     const void *key, size_t key_len, const void *value, size_t value_len,
                     const struct record_header *headers, int32_t header_count, struct err *e)
{
    struct kafka_producer *p = kafka_producer_of(base);
    struct producer_target *t;
    int rc = ERR_OK;
    if (partition < 0) {
        struct kafka_topic_ref *ref;
        if ((rc = topic_of(p, topic, &ref, e)) != ERR_OK)
            return rc;
        if (ref->generation != p->generation) { /* those without key go elsewhere with each flush */
            ref->sticky = ref->sticky + 1 < ref->partitions && ref->generation ? ref->sticky + 1 : 0;
            ref->generation = p->generation;
        }
        partition = key ? kafka_partition_for_key(key, key_len, ref->partitions) : ref->sticky;
    }
    rc = kafka_target(base, topic, partition, &t, e);
    return rc ? rc
              : kafka_add_to(base, t, timestamp, key, key_len, value, value_len, headers, header_count, e);
}

static size_t kafka_pending_bytes(const struct producer *base)
{
    return kafka_producer_of(base)->filling->bytes.len;
}

static size_t kafka_pending_records(const struct producer *base)
{
    return kafka_producer_of(base)->filling->count;
}

static const struct producer_ops kafka_ops = {
    .close = kafka_close,
    .add = kafka_add,
    .target = kafka_target,
    .add_to = kafka_add_to,
    .partitions = kafka_partitions,
    .pending_bytes = kafka_pending_bytes,
    .pending_records = kafka_pending_records,
    .flush = kafka_flush,
    .commit_start = kafka_commit_start,
    .commit_wait = kafka_commit_wait,
    .in_flight = kafka_in_flight,
    .abort = kafka_abort,
};

struct producer *kafka_producer_open(struct client *c, const struct producer_options *o, struct err *e)
{
    struct kafka_client *k = kafka_of(c);
    struct producer *spare = take_spare(k, o);
    if (spare)
        return spare;
    struct kafka_producer *p = mem_calloc(1, sizeof *p);
    if (!p) {
        err_nomem(e);
        return NULL;
    }
    mutex_init(&p->lock);
    cond_init(&p->changed);
    kafka_trouble_init(&p->trouble, k->quiet);
    p->base.ops = &kafka_ops;
    p->k = k;
    p->codec = o->codec;
    p->codec_level = o->codec_level;
    p->timeout_ms = o->transaction_timeout_ms ? o->transaction_timeout_ms : TXN_TIMEOUT_MS;
    p->generation = 1;
    bool ok = (p->topics = map_new()) && (p->targets = map_new());
    if (ok && o->transactional_id)
        ok = (p->transactional_id = mem_strdup(o->transactional_id)) != NULL;
    if (!ok)
        err_nomem(e);
    else if ((p->filling = parcel_new(e)) && kafka_send_open(p, e) == ERR_OK)
        return &p->base;
    kafka_producer_free(&p->base);
    return NULL;
}
