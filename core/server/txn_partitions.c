/*
 * txn_partitions: AddPartitionsToTxn: partitions that clients add to their transaction, and from version 4 on brokers to several, or
 * ask whether they were added (KIP-890). In the pool.
 */
#include "broker/transactions.h"
#include "server/apis.h"

#define BATCHED_SINCE 4

typedef struct msg_add_partitions_to_txn_request_topic added_topic;
typedef struct msg_add_partitions_to_txn_request_transaction added;
typedef struct msg_add_partitions_to_txn_response_topic_result topic_result;

/* One transaction's part of the request, and where its outcome goes. */
struct work {
    const added *asked;
    topic_result *results;
    int32_t topics;
    struct txn_partition *known; /* the partitions that are there */
    int16_t **codes;             /* and their codes in the results */
    size_t n;
    bool unknown; /* there was one that is not */
};

static bool take_topic(struct request *c, struct work *w, const added_topic *t, topic_result *out)
{
    int16_t code;
    const struct topic_brief *there = api_topic(c, t->name, NULL, &code);
    out->name = t->name;
    out->results_by_partition.items =
        request_alloc(c, (size_t)t->partitions.count, sizeof *out->results_by_partition.items);
    if (out->results_by_partition.items == NULL)
        return false;
    out->results_by_partition.count = t->partitions.count;
    for (int32_t i = 0; i < t->partitions.count; i++) {
        int32_t p = t->partitions.items[i];
        int16_t *result = &out->results_by_partition.items[i].partition_error_code;
        out->results_by_partition.items[i].partition_index = p;
        if (there == NULL || p < 0 || p >= there->partitions) {
            *result = err_kafka(ERR_UNKNOWN_TOPIC);
            w->unknown = true;
        } else {
            w->known[w->n] = (struct txn_partition){there->name, p};
            w->codes[w->n++] = result;
        }
    }
    return true;
}

static bool take(struct request *c, struct work *w)
{
    const added *q = w->asked;
    size_t most = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        most += (size_t)q->topics.items[i].partitions.count;
    w->topics = q->topics.count;
    if ((w->known = request_alloc(c, most, sizeof *w->known)) == NULL ||
        (w->codes = request_alloc(c, most, sizeof(int16_t *))) == NULL ||
        (w->results = request_alloc(c, (size_t)w->topics, sizeof *w->results)) == NULL)
        return false;
    for (int32_t i = 0; i < w->topics; i++)
        if (!take_topic(c, w, &q->topics.items[i], &w->results[i]))
            return false;
    return true;
}

/* Are they part of it? Each has an answer of its own. */
static void verify(struct request *c, struct work *w, const char *id)
{
    for (size_t i = 0; i < w->n; i++) {
        struct err e;
        int rc = broker_txn_has_joined(c->server->broker, id, w->asked->producer_id, w->asked->producer_epoch,
                                       &w->known[i], &e);
        *w->codes[i] = rc == ERR_INVALID_TXN_STATE ? KAFKA_TRANSACTION_ABORTABLE : txn_code_of(c, rc);
    }
}

static void set_all(const struct work *w, int16_t code)
{
    for (size_t i = 0; i < w->n; i++)
        *w->codes[i] = code;
}

static void add(struct request *c, struct work *w)
{
    const added *q = w->asked;
    struct broker *b = c->server->broker;
    struct err e;
    const char *id = request_string(c, q->transactional_id);
    int rc;
    if (w->unknown) { /* then none is added */
        set_all(w, KAFKA_NOT_ATTEMPTED);
        return;
    }
    if (id == NULL)
        rc = err_nomem(&e);
    else if (*id == '\0')
        rc = err_set(&e, ERR_INVALID, "the transactional id is empty");
    else if (q->verify_only) {
        verify(c, w, id);
        return;
    } else if (c->header.version >= BATCHED_SINCE)
        rc = broker_txn_join(b, id, q->producer_id, q->producer_epoch, w->known, w->n, &e);
    else
        rc = broker_txn_add_partitions(b, id, q->producer_id, q->producer_epoch, w->known, w->n, &e);
    set_all(w, txn_code_of(c, rc));
}

static void answer_one(struct request *c, const struct msg_add_partitions_to_txn_request *q,
                       struct msg_add_partitions_to_txn_response *r)
{
    added only = {.transactional_id = q->v3_and_below_transactional_id,
                  .producer_id = q->v3_and_below_producer_id,
                  .producer_epoch = q->v3_and_below_producer_epoch};
    struct work w = {.asked = &only};
    only.topics.items = q->v3_and_below_topics.items;
    only.topics.count = q->v3_and_below_topics.count;
    if (!take(c, &w))
        return;
    add(c, &w);
    r->results_by_topic_v3_and_below.items = w.results;
    r->results_by_topic_v3_and_below.count = w.topics;
    request_reply(c, r);
}

static void answer_each(struct request *c, const struct msg_add_partitions_to_txn_request *q,
                        struct msg_add_partitions_to_txn_response *r)
{
    int32_t n = q->transactions.count;
    r->results_by_transaction.items = request_alloc(c, (size_t)n, sizeof *r->results_by_transaction.items);
    if (r->results_by_transaction.items == NULL)
        return;
    r->results_by_transaction.count = n;
    for (int32_t i = 0; i < n; i++) {
        struct work w = {.asked = &q->transactions.items[i]};
        if (!take(c, &w))
            return;
        add(c, &w);
        r->results_by_transaction.items[i].transactional_id = w.asked->transactional_id;
        r->results_by_transaction.items[i].topic_results.items = w.results;
        r->results_by_transaction.items[i].topic_results.count = w.topics;
    }
    request_reply(c, r);
}

void api_add_partitions_to_txn(struct request *c)
{
    struct msg_add_partitions_to_txn_response r;
    msg_init(&msg_schema_add_partitions_to_txn_response, &r);
    if (c->header.version >= BATCHED_SINCE)
        answer_each(c, c->asked, &r);
    else
        answer_one(c, c->asked, &r);
}
