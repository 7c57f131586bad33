/*
 * source_emit: records of a poll straight into the producer's batches: the fast path of a source, without allocation.
 * Partitions are looked up once, and looked at again in each transaction, as a topic may gain some. Task's thread.
 */
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "broker/topic.h"
#include "connect/converter.h"
#include "connect/positions.h"
#include "connect/source.h"
#include "connect/topics.h"

#define KEYLESS_RUN_BYTES ((size_t)1 << 20) /* records without key go to one partition for so long */

/* A topic that is written to. */
struct topic_targets {
    char *name;
    int32_t count, next;  /* next: where records without key go */
    size_t run;           /* bytes that went there */
    uint64_t transaction; /* in which the partitions were counted */
    struct producer_target **targets;
};

void source_free_topic(void *p)
{
    struct topic_targets *tt = p;
    mem_free(tt->targets);
    mem_free(tt->name);
    mem_free(tt);
}

/* Takes in how many partitions the topic has now. */
static int look_up(struct source_run *s, struct topic_targets *tt, int32_t count, struct err *e)
{
    if (count > tt->count) {
        struct producer_target **more = mem_realloc_array(tt->targets, (size_t)count, sizeof(tt->targets[0]));
        if (more == NULL)
            return err_nomem(e);
        tt->targets = more;
        for (int32_t i = tt->count; i < count; i++) {
            if (producer_target(s->producer, tt->name, i, &tt->targets[i], e) != ERR_OK)
                return e->code;
        }
    }
    tt->count = count;
    tt->next = tt->next < count ? tt->next : 0;
    tt->transaction = s->transaction;
    return ERR_OK;
}

struct topic_targets *source_open_topic(struct leat_task *t, struct source_run *s, const char *name,
                                        struct err *e)
{
    struct topic_targets *tt = map_get(s->topics, name, strlen(name));
    if (tt != NULL)
        return tt;
    int32_t count;
    if (topics_ensure(t->set->client, t->set->pipeline, name, &count, e) != ERR_OK)
        return NULL;
    tt = mem_calloc(1, sizeof(*tt));
    if (tt == NULL || (tt->name = mem_strdup(name)) == NULL) {
        mem_free(tt);
        err_nomem(e);
        return NULL;
    }
    tt->next = t->index % count;
    if (look_up(s, tt, count, e) == ERR_OK && map_put(s->topics, name, strlen(name), tt, e) == ERR_OK)
        return tt;
    source_free_topic(tt);
    return NULL;
}

static struct topic_targets *find_topic(struct leat_task *t, struct source_run *s, const char *name,
                                        struct err *e)
{
    if (s->other != NULL && strcmp(s->other->name, name) == 0)
        return s->other;
    if (topics_internal(t->set->client, name)) {
        err_set(e, ERR_INVALID_TOPIC, "a source must not write to the internal topic %s", name);
        return NULL;
    }
    s->other = source_open_topic(t, s, name, e);
    return s->other;
}

/* In a new transaction: the topic may have gained partitions, or be another one of its name. */
static int look_again(struct source_run *s, struct topic_targets *tt, struct err *e)
{
    int32_t count;
    int rc = producer_partitions(s->producer, tt->name, &count, e);
    return rc != ERR_OK ? rc : look_up(s, tt, count, e);
}

static struct producer_target *choose(struct topic_targets *tt, const struct leat_record *r, const void *key,
                                      size_t key_len, struct err *e)
{
    if (r->partition >= 0) {
        if (r->partition < tt->count)
            return tt->targets[r->partition];
        err_set(e, ERR_INVALID, "partition %d of %s, which has %d", r->partition, tt->name, tt->count);
        return NULL;
    }
    if (tt->count == 1)
        return tt->targets[0];
    if (key != NULL)
        return tt->targets[kafka_partition_for_key(key, key_len, tt->count)];
    tt->run += r->value_len + 1;
    if (tt->run > KEYLESS_RUN_BYTES) {
        tt->run = 0;
        tt->next = (tt->next + 1) % tt->count;
    }
    return tt->targets[tt->next];
}

static int convert_headers(struct source_run *s, const struct leat_record *r, struct err *e)
{
    if (r->headers == NULL || r->header_count > INT32_MAX)
        return err_set(e, ERR_INVALID, "a record with %zu headers at no address", r->header_count);
    if (r->header_count > s->header_cap) {
        struct record_header *headers = mem_realloc_array(s->headers, r->header_count, sizeof(*headers));
        if (headers == NULL)
            return err_nomem(e);
        s->headers = headers;
        s->header_cap = r->header_count;
    }
    for (size_t i = 0; i < r->header_count; i++) {
        const struct leat_header *h = &r->headers[i];
        if (h->key == NULL || h->key_len > BATCH_MAX_BYTES || h->value_len > BATCH_MAX_BYTES)
            return err_set(e, ERR_INVALID, "a record with a header without key, or too large");
        s->headers[i] = (struct record_header){h->key, (int32_t)h->key_len, h->value,
                                               h->value == NULL ? -1 : (int32_t)h->value_len};
    }
    return ERR_OK;
}

/* The bytes of a typed key or value, in `out`. */
static int convert(enum converter c, const char *what, const struct leat_value *v, struct buf *out,
                   const void **p, size_t *n, struct err *e)
{
    bool null;
    buf_reset(out);
    /* An empty text has an address too, which tells it from null. */
    if (converter_write(c, v, out, &null, e) != ERR_OK || buf_reserve(out, 1, e) != ERR_OK)
        return err_wrap(e, "the %s, by the %s converter", what, converter_name(c));
    *p = null ? NULL : out->data;
    *n = null ? 0 : out->len;
    return ERR_OK;
}

static int emit_one(struct leat_task *t, struct source_run *s, const struct leat_record *r, int64_t *now,
                    struct err *e)
{
    const void *key = r->key, *value = r->value;
    size_t key_len = key == NULL ? 0 : r->key_len, value_len = value == NULL ? 0 : r->value_len;
    if (r->struct_size != sizeof(*r))
        return err_set(e, ERR_INVALID, "a record whose struct_size is %u, not %zu", r->struct_size,
                       sizeof(*r));
    if (r->key_value != NULL &&
        convert(t->set->config->key_converter, "key", r->key_value, &s->key, &key, &key_len, e) != ERR_OK)
        return e->code;
    if (r->value_value != NULL && convert(t->set->config->value_converter, "value", r->value_value, &s->value,
                                          &value, &value_len, e) != ERR_OK)
        return e->code;
    if (r->header_count > 0 && convert_headers(s, r, e) != ERR_OK)
        return e->code;
    int64_t timestamp = r->timestamp;
    if (timestamp < 0) {
        if (timestamp != -1)
            return err_set(e, ERR_INVALID, "a record with timestamp %lld", (long long)timestamp);
        if (*now < 0)
            *now = clock_wall_ms();
        timestamp = *now;
    }
    if (r->topic == NULL && s->main == NULL)
        s->main = source_open_topic(t, s, t->set->pipeline->topics[0], e);
    struct topic_targets *tt = r->topic == NULL ? s->main : find_topic(t, s, r->topic, e);
    if (tt == NULL || (tt->transaction != s->transaction && look_again(s, tt, e) != ERR_OK))
        return e->code;
    struct producer_target *target = choose(tt, r, key, key_len, e);
    if (target == NULL)
        return e->code;
    int rc = producer_add_to(s->producer, target, timestamp, key, key_len, value, value_len, s->headers,
                             (int32_t)r->header_count, e);
    s->records++;
    s->bytes += key_len + value_len;
    return rc;
}

int source_emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    struct source_run *s = t->source;
    if (s == NULL || !s->polling)
        return task_fail(t, LEAT_FAIL, "emit is for a source's poll");
    if (s->failed != LEAT_OK)
        return s->failed;
    struct err e;
    int64_t now = -1;
    s->touched = s->touched || n > 0;
    for (size_t i = 0; i < n; i++) {
        if (emit_one(t, s, &records[i], &now, &e) != ERR_OK) {
            err_wrap(&e, "cannot take record %zu of %zu", i + 1, n);
            return s->failed = task_fail_err(t, &e);
        }
    }
    return LEAT_OK;
}
