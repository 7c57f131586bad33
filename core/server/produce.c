/*
 * produce: Produce. The batches are looked at and staged by the loop, or, where that would wait or take long, by a thread of the pool;
 * the answer is built by the loop when the commit stage says that they are as durable as their topics ask.
 */
#include <string.h>

#include "base/mem.h"
#include "broker/transactions.h"
#include "server/apis.h"

#define ZSTD_SINCE 7 /* Produce 7: KIP-110 */
#define ABORTABLE_SINCE 11
#define LEAST_LENGTH 14 /* of what follows the length, in the oldest format */
#define MAGIC_AT 16
#define CODEC_AT 22
#define JOINS_SINCE 12 /* transaction version 2 (KIP-890): partitions join by their first data */

typedef struct msg_produce_request_partition_produce_data partition_data;
typedef struct msg_produce_response_partition_produce_response partition_response;

struct work {
    struct msg_produce_response response;
    struct produce_request *requests; /* what the broker gets, and */
    partition_response **answers;     /* where the outcome goes */
    struct log_refused *refused;      /* records of each that are why it was refused */
    size_t n;
    bool failed; /* some partition has an error */
};

static void refuse(struct request *c, struct work *w, partition_response *out, int16_t code, const char *why)
{
    out->error_code = code;
    out->base_offset = -1;
    out->error_message = why != NULL ? api_text(c, why) : MSG_NULL_STRING;
    w->failed = true;
}

/* Transactions have codes of their own here, by version. */
static int16_t code_of(const struct request *c, const struct err *e, bool by_coordinator)
{
    switch (e->code) {
    case ERR_PRODUCER_FENCED:
        return err_kafka(ERR_INVALID_PRODUCER_EPOCH);
    case ERR_CONCURRENT_TRANSACTIONS: /* older clients would give up */
        return err_kafka(c->header.version >= JOINS_SINCE ? e->code : ERR_NOT_ENOUGH_REPLICAS);
    case ERR_INVALID_TXN_STATE:
        return c->header.version >= ABORTABLE_SINCE && by_coordinator ? KAFKA_TRANSACTION_ABORTABLE
                                                                      : err_kafka(e->code);
    case ERR_TRUNCATED:
        return err_kafka(ERR_INVALID_RECORD);
    case ERR_UNSUPPORTED_COMPRESSION: /* what its codec cannot read, or a codec that nobody knows */
        return err_kafka(ERR_INTERNAL);
    default:
        return err_kafka(e->code);
    }
}

/* The size of the whole batch that begins in `n` bytes; 0: there is none; < 0: what begins there is no batch. As Kafka finds them. */
static int64_t whole_batch(const uint8_t *p, size_t n)
{
    if (n < BATCH_LENGTH_PREFIX)
        return 0;
    int32_t length = (int32_t)be32(p + BATCH_LENGTH_PREFIX - 4);
    if (length < LEAST_LENGTH || (n > MAGIC_AT && p[MAGIC_AT] > 2))
        return -1;
    return n > MAGIC_AT && (size_t)length <= n - BATCH_LENGTH_PREFIX ? (int64_t)length + BATCH_LENGTH_PREFIX
                                                                     : 0;
}

/*
 * One batch of a producer and nothing else that is whole: bytes behind it that are no batch are cut off, as Kafka never looks at them.
 * What is inside of it the broker checks. NULL: it is one; else why not, and the code.
 */
static const char *shape_of(const struct request *c, struct msg_bytes *records, int16_t *code)
{
    size_t n = records->n > 0 ? (size_t)records->n : 0;
    int64_t size = whole_batch(records->p, n);
    *code = err_kafka(size < 0 || (size > 0 && size < BATCH_HEADER_SIZE) ? ERR_CORRUPT : ERR_INVALID_RECORD);
    if (size < 0)
        return "a length or format that record batches do not have";
    if (size == 0)
        return "there is no whole record batch";
    if (records->p[MAGIC_AT] < 2) {
        *code = err_kafka(ERR_INVALID_RECORD);
        return "message sets of format 0 and 1 are not taken";
    }
    if ((records->p[CODEC_AT] & BATCH_CODEC_MASK) == CODEC_ZSTD && c->header.version < ZSTD_SINCE) {
        *code = err_kafka(ERR_UNSUPPORTED_COMPRESSION);
        return "zstd needs Produce version 7";
    }
    int64_t more = whole_batch(records->p + size, n - (size_t)size);
    if (more != 0) {
        *code = err_kafka(more < 0 ? ERR_CORRUPT : ERR_INVALID_RECORD);
        return "a request has exactly one record batch for a partition";
    }
    if (size < BATCH_HEADER_SIZE)
        return "the header of the record batch is not whole";
    records->n = (int32_t)size;
    *code = 0;
    return NULL;
}

static bool is_transactional(const struct msg_bytes *records)
{
    return records->n >= BATCH_HEADER_SIZE && (records->p[22] & BATCH_TRANSACTIONAL) != 0;
}

/* Whether batches of a transaction come without its id. */
static bool lacks_id(const struct msg_produce_request *q)
{
    if (q->transactional_id.n >= 0)
        return false;
    for (int32_t i = 0; i < q->topic_data.count; i++)
        for (int32_t k = 0; k < q->topic_data.items[i].partition_data.count; k++)
            if (is_transactional(&q->topic_data.items[i].partition_data.items[k].records))
                return true;
    return false;
}

static void take_partition(struct request *c, struct work *w, const struct topic_brief *t, int16_t code,
                           const partition_data *data, partition_response *out)
{
    msg_init(&msg_schema_produce_response_partition_produce_response, out);
    out->index = data->index;
    const char *why = NULL;
    struct msg_bytes records = data->records;
    const struct msg_produce_request *q = c->asked;
    if (code == 0 && (data->index < 0 || data->index >= t->partitions))
        code = err_kafka(ERR_UNKNOWN_TOPIC);
    if (code == 0)
        why = shape_of(c, &records, &code);
    if (code == 0 && (q->acks < -1 || q->acks > 1))
        code = KAFKA_REQUIRED_ACKS;
    if (code != 0) {
        refuse(c, w, out, code, why);
        return;
    }
    w->answers[w->n] = out;
    struct log_refused *refused = &w->refused[w->n];
    w->requests[w->n++] = (struct produce_request){.topic = t->name,
                                                   .partition = data->index,
                                                   .data = c->bytes + (records.p - c->bytes),
                                                   .bytes = (size_t)records.n,
                                                   .refused = refused};
}

static bool take_topic(struct request *c, struct work *w,
                       const struct msg_produce_request_topic_produce_data *data, int16_t code,
                       struct msg_produce_response_topic_produce_response *out)
{
    const struct topic_brief *t = NULL;
    bool by_id = c->header.version >= 13;
    if (code == 0)
        t = api_topic(c, by_id ? (struct msg_string){NULL, 0} : data->name, by_id ? &data->topic_id : NULL,
                      &code);
    out->name = data->name;
    out->topic_id = data->topic_id;
    out->partition_responses.items =
        request_alloc(c, (size_t)data->partition_data.count, sizeof *out->partition_responses.items);
    if (out->partition_responses.items == NULL)
        return false;
    out->partition_responses.count = data->partition_data.count;
    for (int32_t i = 0; i < data->partition_data.count; i++)
        take_partition(c, w, t, code, &data->partition_data.items[i], &out->partition_responses.items[i]);
    return true;
}

/* ---- transactions ---- */

/* The producer of all transactional batches; false: there are none, or of several producers, which *mixed says. */
static bool producer_of(const struct work *w, struct batch_header *h, bool *mixed)
{
    bool any = false;
    for (size_t i = 0; i < w->n; i++) {
        struct batch_header other;
        struct err e;
        if (batch_header_decode(w->requests[i].data, w->requests[i].bytes, &other, &e) != ERR_OK ||
            !(other.attributes & BATCH_TRANSACTIONAL))
            continue;
        *mixed = any && (other.producer_id != h->producer_id || other.producer_epoch != h->producer_epoch);
        if (*mixed)
            return false;
        *h = other;
        any = true;
    }
    return any;
}

/* The transactional ones are refused; the others stay. */
static void refuse_transactional(struct request *c, struct work *w, const struct err *e)
{
    size_t kept = 0;
    for (size_t i = 0; i < w->n; i++) {
        struct msg_bytes records = {w->requests[i].data, (int32_t)w->requests[i].bytes};
        if (is_transactional(&records)) {
            refuse(c, w, w->answers[i], code_of(c, e, true), e->text);
            continue;
        }
        w->requests[kept] = w->requests[i];
        w->answers[kept++] = w->answers[i];
    }
    w->n = kept;
}

static int join(struct request *c, struct work *w, const char *id, const struct batch_header *h,
                struct err *e)
{
    size_t n = 0;
    struct txn_partition *parts = arena_alloc(&c->arena, (w->n + 1) * sizeof *parts);
    if (parts == NULL || id == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < w->n; i++) {
        struct msg_bytes records = {w->requests[i].data, (int32_t)w->requests[i].bytes};
        if (!is_transactional(&records))
            continue;
        w->requests[i].txn_joined = true;
        parts[n++] = (struct txn_partition){w->requests[i].topic, w->requests[i].partition};
    }
    return broker_txn_join(c->server->broker, id, h->producer_id, h->producer_epoch, parts, n, e);
}

/* Says which transaction the batches are of, and from version 12 on has their partitions join it. */
static void take_txn(struct request *c, struct work *w, const struct msg_produce_request *q)
{
    struct batch_header h;
    struct err e;
    bool mixed = false;
    const char *id = request_string(c, q->transactional_id);
    for (size_t i = 0; i < w->n; i++)
        w->requests[i].transactional_id = id;
    bool any = producer_of(w, &h, &mixed);
    if (mixed) {
        err_set(&e, ERR_INVALID_PRODUCER_MAPPING,
                "transactional batches of several producers in one request");
        refuse_transactional(c, w, &e);
    } else if (any && c->header.version >= JOINS_SINCE && join(c, w, id, &h, &e) != ERR_OK) {
        refuse_transactional(c, w, &e);
    }
}

/* Kafka says it of each record; without memory for that the partition's own text is all. */
static void tell_records(struct request *c, const struct log_refused *refused, partition_response *out)
{
    struct msg_produce_response_batch_index_and_error_message *list =
        arena_alloc(&c->arena, refused->n * sizeof *list);
    if (list == NULL)
        return;
    for (size_t i = 0; i < refused->n; i++)
        list[i] = (struct msg_produce_response_batch_index_and_error_message){
            .batch_index = refused->list[i], .batch_index_error_message = out->error_message};
    out->record_errors.items = list;
    out->record_errors.count = (int32_t)refused->n;
}

/* Kafka tells where the log begins with errors that come of what a producer sent and its log has. */
static bool tells_start(int code)
{
    switch (code) {
    case ERR_INVALID_RECORD:
    case ERR_INVALID_TIMESTAMP:
    case ERR_UNSUPPORTED_COMPRESSION:
    case ERR_OUT_OF_ORDER_SEQUENCE:
    case ERR_INVALID_PRODUCER_EPOCH:
    case ERR_PRODUCER_FENCED:
    case ERR_INVALID_TXN_STATE:
        return true;
    default:
        return false;
    }
}

/* In the loop's thread. */
static void answer(struct request *c)
{
    struct work *w = c->work;
    const struct msg_produce_request *q = c->asked;
    for (size_t i = 0; i < w->n; i++) {
        const struct produce_request *r = &w->requests[i];
        partition_response *out = w->answers[i];
        if (r->error.code != ERR_OK) {
            refuse(c, w, out, code_of(c, &r->error, r->by_coordinator), r->error.text);
            if (tells_start(r->error.code))
                out->log_start_offset = r->appended.log_start_offset;
            tell_records(c, r->refused, out);
            mem_free(r->refused->list);
            continue;
        }
        out->base_offset = r->appended.base_offset;
        out->log_append_time_ms = r->appended.append_time;
        out->log_start_offset = r->appended.log_start_offset;
    }
    struct err e;
    if (q->acks != 0)
        request_reply(c, &w->response);
    else if (!w->failed)
        request_silent(c);
    else /* the only way to tell */
        request_close(
            c,
            (err_set(&e, ERR_INVALID, "a Produce with acks=0 has an error: the connection is closed"), &e));
}

static void committed(void *arg, const struct err *e)
{
    struct request *c = arg;
    (void)e; /* each request has its own */
    request_answer_later(c, answer);
}

static size_t count_partitions(const struct msg_produce_request *q)
{
    size_t n = 0;
    for (int32_t i = 0; i < q->topic_data.count; i++)
        n += (size_t)q->topic_data.items[i].partition_data.count;
    return n;
}

/* False: no memory, and it is answered. */
static bool prepare(struct request *c)
{
    const struct msg_produce_request *q = c->asked;
    size_t n = count_partitions(q), topics = (size_t)q->topic_data.count;
    struct work *w = request_alloc(c, 1, sizeof *w);
    if (w == NULL || (w->requests = request_alloc(c, n, sizeof *w->requests)) == NULL ||
        (w->answers = request_alloc(c, n, sizeof *w->answers)) == NULL ||
        (w->refused = request_alloc(c, n, sizeof *w->refused)) == NULL ||
        (w->response.responses.items = request_alloc(c, topics, sizeof *w->response.responses.items)) == NULL)
        return false;
    int16_t code = lacks_id(q) ? KAFKA_TXN_ID_AUTHORIZATION : 0;
    for (size_t i = 0; i < topics; i++) {
        if (q->topic_data.items[i].partition_data.count == 0)
            continue; /* nothing to tell of it */
        if (!take_topic(c, w, &q->topic_data.items[i], code,
                        &w->response.responses.items[w->response.responses.count++]))
            return false;
    }
    if (q->transactional_id.n >= 0)
        take_txn(c, w, q);
    c->work = w;
    return true;
}

/* Of a transaction the coordinator has to be asked. */
bool api_produce_try(struct request *c)
{
    const struct msg_produce_request *q = c->asked;
    if (q->transactional_id.n >= 0)
        return false;
    if (!prepare(c))
        return true;
    struct work *w = c->work;
    c->loop->staged = true; /* it pushes */
    return broker_produce_try(c->server->broker, w->requests, w->n, committed, c);
}

/* After the loop tried. */
void api_produce(struct request *c)
{
    struct work *w = c->work;
    if (w != NULL || prepare(c)) {
        w = c->work;
        broker_produce_async(c->server->broker, w->requests, w->n, false, committed, c);
    }
}
