/*
 * kafka_consumer: reading partitions of a cluster. Each reader has a handle of librdkafka's own, as one handle reads a
 * partition once only; its partitions share one queue. Messages are given out in runs of one partition each and live until
 * the next poll. A reader without group that is closed is kept by the client: who opens the next at the same places goes on
 * with what was fetched ahead. One thread, but for consumer_wake.
 */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/diag.h"
#include "base/hash.h"
#include "base/mem.h"
#include "client/kafka.h"

enum { BATCH = 2000, STEP_MS = 1000, FIRST_MS = 50, PROBE_MS = 2000 };
#define HEADERS_BYTES ((size_t)64 << 20)

struct place {
    char *topic;
    rd_kafka_topic_t *rkt;
    int32_t partition;
    int64_t position; /* next to be given out */
    bool at_end;      /* librdkafka said so at this position */
    bool gone;        /* the topic was deleted; said once */
    bool left;        /* of the reader that was closed before; nobody asked for it again yet */
};

struct kafka_consumer {
    struct kafka_trouble trouble; /* first: librdkafka's callbacks get it */
    struct consumer base;
    struct kafka_client *k;
    char *group;
    enum isolation isolation;
    size_t fetch_bytes;
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    atomic_bool woken;
    struct place **list;
    size_t count, room;
    struct map *places; /* by partition and topic */
    bool some_left;     /* places of the reader before */
    bool passed;        /* a position moved without a record, past markers */

    rd_kafka_message_t *got[BATCH]; /* NULL: nobody's any more */
    size_t got_count, at, given;    /* [given, at) was given out */
    struct record records[BATCH];
    size_t header_bytes[BATCH];
    struct buf headers;
};

static struct kafka_consumer *of(struct consumer *base)
{
    return (struct kafka_consumer *)((char *)base - offsetof(struct kafka_consumer, base));
}

/* ---- opening and closing ---------------------------------------------------------------------------------------------- */

static void forget(struct kafka_consumer *c, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        if (c->got[i])
            rdk.message_destroy(c->got[i]);
}

static void place_free(struct place *p)
{
    if (p->rkt)
        rdk.topic_destroy(p->rkt);
    mem_free(p->topic);
    mem_free(p);
}

static void stop(struct place *p)
{
    if (!p->gone)
        rdk.consume_stop(p->rkt, p->partition);
}

void kafka_consumer_free(struct consumer *base)
{
    struct kafka_consumer *c = of(base);
    forget(c, c->given, c->got_count);
    for (size_t i = 0; i < c->count; i++) {
        stop(c->list[i]);
        place_free(c->list[i]);
    }
    if (c->queue)
        rdk.queue_destroy(c->queue);
    if (c->rk)
        rdk.destroy(c->rk);
    if (c->places)
        map_free(c->places, NULL);
    mem_free(c->list);
    buf_free(&c->headers);
    mem_free(c->group);
    kafka_trouble_free(&c->trouble);
    mem_free(c);
}

static void kafka_close(struct consumer *base)
{
    struct kafka_consumer *c = of(base);
    pthread_mutex_lock(&c->k->lock);
    bool keep = !c->group && !c->k->spare_in;
    if (keep)
        c->k->spare_in = base;
    pthread_mutex_unlock(&c->k->lock);
    if (!keep)
        kafka_consumer_free(base);
}

static const struct consumer_ops kafka_ops;

static int open_handle(struct kafka_consumer *c, const struct consumer_options *o, struct err *e)
{
    char bytes[32];
    snprintf(bytes, sizeof bytes, "%zu", c->fetch_bytes);
    const struct kafka_need needs[] = {
        {"isolation.level", o->isolation == READ_COMMITTED ? "read_committed" : "read_uncommitted"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "error"},
        {"?check.crcs", "true"},
        {"?queued.max.messages.kbytes", "16384"},
        {"?max.partition.fetch.bytes", bytes},
        {"?fetch.wait.max.ms", o->group ? "500" : "100"}, /* who has none wants to know the end */
        {"?fetch.error.backoff.ms", "100"}};
    c->places = map_new();
    if (!c->places || (o->group && !(c->group = mem_strdup(o->group))))
        return err_nomem(e);
    c->rk =
        kafka_handle(c->k, RD_KAFKA_CONSUMER, needs, sizeof needs / sizeof needs[0], NULL, &c->trouble, e);
    if (!c->rk)
        return e->code;
    c->queue = rdk.queue_new(c->rk);
    return ERR_OK;
}

/* The one that was closed last, if it reads in the same way. */
static struct kafka_consumer *take_spare(struct kafka_client *k, const struct consumer_options *o,
                                         size_t fetch_bytes)
{
    struct kafka_consumer *c = NULL;
    if (o->group)
        return NULL;
    pthread_mutex_lock(&k->lock);
    if (k->spare_in && of(k->spare_in)->isolation == o->isolation &&
        of(k->spare_in)->fetch_bytes == fetch_bytes) {
        c = of(k->spare_in);
        k->spare_in = NULL;
    }
    pthread_mutex_unlock(&k->lock);
    for (size_t i = 0; c && i < c->count; i++)
        c->list[i]->left = true;
    if (c)
        c->some_left = c->count > 0;
    return c;
}

struct consumer *kafka_consumer_open(struct client *cl, const struct consumer_options *o, struct err *e)
{
    struct kafka_client *k = kafka_of(cl);
    size_t fetch_bytes = o->fetch_bytes ? o->fetch_bytes : 1u << 20;
    struct kafka_consumer *c = take_spare(k, o, fetch_bytes);
    if (c)
        return &c->base;
    if (!(c = mem_calloc(1, sizeof *c))) {
        err_nomem(e);
        return NULL;
    }
    c->base.ops = &kafka_ops;
    c->k = k;
    c->isolation = o->isolation;
    c->fetch_bytes = fetch_bytes;
    buf_init(&c->headers, HEADERS_BYTES);
    kafka_trouble_init(&c->trouble, k->quiet);
    if (open_handle(c, o, e) == ERR_OK)
        return &c->base;
    kafka_consumer_free(&c->base);
    return NULL;
}

/* ---- places --------------------------------------------------------------------------------------------------------------- */

#define KEY_BYTES (BROKER_TOPIC_NAME_MAX + 5)

static size_t key_of(const char *topic, int32_t partition, uint8_t key[KEY_BYTES])
{
    size_t n = strnlen(topic, BROKER_TOPIC_NAME_MAX);
    put_be32(key, (uint32_t)partition);
    memcpy(key + 4, topic, n);
    return n + 4;
}

static struct place *find(const struct kafka_consumer *c, const char *topic, int32_t partition)
{
    uint8_t key[KEY_BYTES];
    return map_get(c->places, key, key_of(topic, partition, key));
}

static int resolve(struct kafka_consumer *c, const char *topic, int32_t partition, int64_t *offset,
                   struct err *e)
{
    int64_t stored = -1, ts;
    if (*offset == CONSUMER_STORED) {
        int rc = c->group ? kafka_stored_offset(c->k, c->group, topic, partition, &stored, e) : ERR_OK;
        if (rc)
            return rc;
        *offset = stored >= 0 ? stored : CONSUMER_EARLIEST;
    }
    if (*offset >= 0)
        return ERR_OK;
    if (*offset != CONSUMER_EARLIEST && *offset != CONSUMER_LATEST)
        return err_set(e, ERR_INVALID, "%lld is not a place to read from", (long long)*offset);
    return kafka_list_offset(&c->k->base, topic, partition, *offset, c->isolation, offset, &ts, e);
}

static int start(struct kafka_consumer *c, struct place *p, int64_t offset, struct err *e)
{
    p->position = offset;
    p->at_end = p->gone = false;
    if (rdk.consume_start_queue(p->rkt, p->partition, offset, c->queue) == 0)
        return ERR_OK;
    return kafka_err(e, rdk.last_error(), NULL, "%s-%d", p->topic, p->partition);
}

static int move(struct kafka_consumer *c, struct place *p, int64_t offset, struct err *e)
{
    stop(p);
    for (size_t i = c->at; i < c->got_count; i++) {
        rd_kafka_message_t *m = c->got[i];
        if (!m || m->partition != p->partition || strcmp(rdk.topic_name(m->rkt), p->topic) != 0)
            continue;
        rdk.message_destroy(m);
        c->got[i] = NULL;
    }
    return start(c, p, offset, e);
}

static int add_place(struct kafka_consumer *c, struct place *p, struct err *e)
{
    uint8_t key[KEY_BYTES];
    if (c->count == c->room) {
        size_t room = c->room ? 2 * c->room : 8;
        struct place **more = mem_realloc_array(c->list, room, sizeof(struct place *));
        if (!more)
            return err_nomem(e);
        c->list = more;
        c->room = room;
    }
    int rc = map_put(c->places, key, key_of(p->topic, p->partition, key), p, e);
    if (rc == ERR_OK)
        c->list[c->count++] = p;
    return rc;
}

static int kafka_assign(struct consumer *base, const char *topic, int32_t partition, int64_t offset,
                        struct err *e)
{
    struct kafka_consumer *c = of(base);
    struct place *p = find(c, topic, partition);
    int32_t count;
    if (p && !p->left)
        return err_set(e, ERR_EXISTS, "%s-%d is assigned already", topic, partition);
    if (p && offset == p->position && !p->gone) {
        p->left = false;
        return ERR_OK;
    }
    int rc = kafka_partition_count(c->k, topic, &count, e);
    if (rc == ERR_OK && (partition < 0 || partition >= count))
        rc = err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", topic, partition);
    if (rc == ERR_OK)
        rc = resolve(c, topic, partition, &offset, e);
    if (rc)
        return rc;
    if (p) {
        p->left = false;
        return offset == p->position && !p->gone ? ERR_OK : move(c, p, offset, e);
    }
    if (!(p = mem_calloc(1, sizeof *p)))
        return err_nomem(e);
    *p = (struct place){
        .topic = mem_strdup(topic), .rkt = rdk.topic_new(c->rk, topic, NULL), .partition = partition};
    rc = p->topic && p->rkt ? start(c, p, offset, e) : err_nomem(e);
    if (rc == ERR_OK && (rc = add_place(c, p, e)) != ERR_OK)
        stop(p);
    if (rc)
        place_free(p);
    return rc;
}

/* What the reader before had and this one has not. */
static void drop_left(struct kafka_consumer *c)
{
    size_t kept = 0;
    uint8_t key[KEY_BYTES];
    for (size_t i = 0; i < c->count; i++) {
        struct place *p = c->list[i];
        if (!p->left) {
            c->list[kept++] = p;
            continue;
        }
        stop(p);
        map_remove(c->places, key, key_of(p->topic, p->partition, key));
        place_free(p);
    }
    c->count = kept;
    c->some_left = false;
}

static int kafka_seek(struct consumer *base, const char *topic, int32_t partition, int64_t offset,
                      struct err *e)
{
    struct kafka_consumer *c = of(base);
    struct place *p = find(c, topic, partition);
    if (!p || p->left)
        return err_set(e, ERR_NOT_FOUND, "%s-%d is not assigned", topic, partition);
    int rc = resolve(c, topic, partition, &offset, e);
    return rc ? rc : move(c, p, offset, e);
}

static int64_t kafka_position(struct consumer *base, const char *topic, int32_t partition)
{
    const struct place *p = find(of(base), topic, partition);
    return p ? p->position : -1;
}

static bool kafka_at_end(struct consumer *base)
{
    struct kafka_consumer *c = of(base);
    if (c->some_left)
        drop_left(c);
    rd_kafka_topic_partition_list_t *list = rdk.topic_partition_list_new((int)c->count);
    for (size_t i = 0; i < c->count; i++)
        if (!c->list[i]->gone)
            rdk.topic_partition_list_add(list, c->list[i]->topic, c->list[i]->partition)->offset =
                RD_KAFKA_OFFSET_END;
    bool end = list->cnt == 0 || !rdk.offsets_for_times(c->rk, list, KAFKA_LIMIT_MS);
    for (int i = 0; end && i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *one = &list->elems[i];
        end = !one->err && find(c, one->topic, one->partition)->position >= one->offset;
    }
    rdk.topic_partition_list_destroy(list);
    return end;
}

static int kafka_commit(struct consumer *base, const struct group_offset *offsets, size_t n, struct err *e)
{
    struct kafka_consumer *c = of(base);
    if (!c->group)
        return err_set(e, ERR_INVALID_GROUP, "a consumer without group cannot commit");
    return kafka_commit_offsets(&c->k->base, c->group, offsets, n, e);
}

/* ---- polling ---------------------------------------------------------------------------------------------------------------- */

static void kafka_wake(struct consumer *base)
{
    struct kafka_consumer *c = of(base);
    atomic_store(&c->woken, true);
    rdk.queue_yield(c->queue);
}

/* Retention was faster than the reader, or the topic is another one. */
static int move_to_start(struct kafka_consumer *c, struct place *p, struct err *e)
{
    int64_t first, end, ts;
    struct client *cl = &c->k->base;
    int rc =
        kafka_list_offset(cl, p->topic, p->partition, CONSUMER_EARLIEST, READ_UNCOMMITTED, &first, &ts, e);
    if (rc == ERR_OK)
        rc = kafka_list_offset(cl, p->topic, p->partition, CONSUMER_LATEST, READ_UNCOMMITTED, &end, &ts, e);
    if (rc)
        return rc;
    int64_t to = p->position > end ? end : first;
    diag_warn("kafka", "%s-%d: offset %lld is not there any more, reading goes on at %lld", p->topic,
              p->partition, (long long)p->position, (long long)to);
    return move(c, p, to, e);
}

/* What came instead of a record. */
static int take_event(struct kafka_consumer *c, struct place *p, const rd_kafka_message_t *m, struct err *e)
{
    switch ((int)m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        kafka_trouble_over(&c->trouble);
        c->passed = c->passed || m->offset > p->position;
        p->position = m->offset;
        p->at_end = true;
        return ERR_OK;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return move_to_start(c, p, e);
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        if (!p->gone)
            diag_warn("kafka", "%s-%d was deleted while being read", p->topic, p->partition);
        stop(p);
        p->gone = true;
        return ERR_OK;
    default:
        kafka_err(e, m->err, rdk.message_errstr(m), "%s-%d", p->topic, p->partition);
        if (!e->retriable)
            return e->code;
        diag_warn("kafka", "%s", e->text); /* librdkafka tries again */
        return ERR_OK;
    }
}

/* Encodes headers as in a record batch; their slice is set when the buffer moves no more. */
static int take_headers(struct kafka_consumer *c, const rd_kafka_message_t *m, struct record *r,
                        size_t *bytes, struct err *e)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size, at = c->headers.len;
    int rc = ERR_OK;
    *bytes = 0;
    if (rdk.message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return ERR_OK;
    while (rc == ERR_OK && rdk.header_get_all(headers, (size_t)r->header_count, &name, &value, &size) ==
                               RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t n = strlen(name);
        rc = buf_varint(&c->headers, (int64_t)n, e);
        if (rc == ERR_OK)
            rc = buf_append(&c->headers, name, n, e);
        if (rc == ERR_OK)
            rc = buf_varint(&c->headers, value ? (int64_t)size : -1, e);
        if (rc == ERR_OK && value)
            rc = buf_append(&c->headers, value, size, e);
        r->header_count++;
    }
    *bytes = c->headers.len - at;
    return rc;
}

static int take_record(struct kafka_consumer *c, const rd_kafka_message_t *m, size_t n, struct err *e)
{
    rd_kafka_timestamp_type_t type;
    struct record *r = &c->records[n];
    *r = (struct record){.offset = m->offset,
                         .timestamp = rdk.message_timestamp(m, &type),
                         .key = m->key,
                         .key_len = m->key ? (int32_t)m->key_len : -1,
                         .value = m->payload,
                         .value_len = m->payload ? (int32_t)m->len : -1};
    return take_headers(c, m, r, &c->header_bytes[n], e);
}

/* The records from got[at] on that are of one partition. */
static int take_run(struct kafka_consumer *c, struct place *p, struct consumed *out, struct err *e)
{
    const rd_kafka_message_t *first = c->got[c->at];
    size_t n = 0;
    buf_reset(&c->headers);
    for (; c->at < c->got_count; c->at++, n++) {
        const rd_kafka_message_t *m = c->got[c->at];
        if (!m || m->err || m->rkt != first->rkt || m->partition != first->partition)
            break;
        int rc = take_record(c, m, n, e);
        if (rc)
            return rc;
    }
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        if (c->header_bytes[i])
            c->records[i].headers = slice_of(c->headers.data + at, c->header_bytes[i]);
        at += c->header_bytes[i];
    }
    p->position = c->records[n - 1].offset + 1;
    p->at_end = false;
    kafka_trouble_over(&c->trouble);
    *out = (struct consumed){p->topic, p->partition, c->records, n, p->position};
    return ERR_OK;
}

/* Gives out the next run of what came; nothing if there is none. */
static int take(struct kafka_consumer *c, struct consumed *out, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK && out->n == 0 && c->at < c->got_count) {
        rd_kafka_message_t *m = c->got[c->at];
        struct place *p = m ? find(c, rdk.topic_name(m->rkt), m->partition) : NULL;
        if (p && !p->left && !m->err) {
            c->given = c->at;
            rc = take_run(c, p, out, e);
            continue;
        }
        c->got[c->at++] = NULL;
        if (p && !p->left)
            rc = take_event(c, p, m, e);
        if (m)
            rdk.message_destroy(m);
    }
    if (out->n == 0)
        c->given = c->at;
    return rc;
}

static void fetch(struct kafka_consumer *c, int64_t ms)
{
    ssize_t n = rdk.consume_batch_queue(c->queue, (int)ms, c->got, 1);
    if (n == 1)
        n += rdk.consume_batch_queue(c->queue, 0, c->got + 1, BATCH - 1);
    c->got_count = n > 0 ? (size_t)n : 0;
    c->at = c->given = 0;
    while (rdk.poll(c->rk, 0) > 0)
        ;
}

/* Nothing came for long, and connections failed: asks whether there is anybody. */
static int check_cluster(struct kafka_consumer *c, struct err *e)
{
    const struct rd_kafka_metadata *md;
    if (!kafka_is_down(&c->trouble, KAFKA_DOWN_MS, e))
        return ERR_OK;
    if (rdk.metadata(c->rk, 0, NULL, &md, PROBE_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return err_wrap(e, "cannot reach %s", c->k->servers);
    rdk.metadata_destroy(md);
    kafka_trouble_over(&c->trouble);
    return ERR_OK;
}

static bool all_at_end(const struct kafka_consumer *c)
{
    size_t i = 0;
    while (i < c->count && (c->list[i]->at_end || c->list[i]->gone))
        i++;
    return i == c->count;
}

static int kafka_poll(struct consumer *base, int64_t ms, struct consumed *out, struct err *e)
{
    struct kafka_consumer *c = of(base);
    if (c->some_left)
        drop_left(c);
    /* Records travel: who does not wait at all would see none, and take that for the end. */
    int64_t deadline =
        ms < 0 ? INT64_MAX : clock_mono_ms() + (ms < FIRST_MS && !all_at_end(c) ? FIRST_MS : ms);
    memset(out, 0, sizeof *out);
    forget(c, c->given, c->at);
    c->given = c->at;
    for (bool looked = false;; looked = true) {
        int rc = take(c, out, e);
        if (rc || out->n || c->passed) {
            c->passed = c->passed && out->n;
            return rc;
        }
        int64_t left = ms < 0 ? STEP_MS : deadline - clock_mono_ms();
        if (left <= 0 && looked)
            return check_cluster(c, e);
        fetch(c, left < 0 ? 0 : left < STEP_MS ? left : STEP_MS);
        if (c->got_count == 0 && (rc = check_cluster(c, e)) != ERR_OK)
            return rc;
        if (c->got_count == 0 && atomic_exchange(&c->woken, false))
            return ERR_OK;
    }
}

static const struct consumer_ops kafka_ops = {
    .close = kafka_close,
    .assign = kafka_assign,
    .seek = kafka_seek,
    .position = kafka_position,
    .poll = kafka_poll,
    .wake = kafka_wake,
    .at_end = kafka_at_end,
    .commit = kafka_commit,
};
