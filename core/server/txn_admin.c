/*
 * txn_admin: transactions as administrators see and end them (KIP-664): DescribeTransactions, ListTransactions, DescribeProducers,
 * WriteTxnMarkers. In the pool: a log may have to be opened, a marker is durable before it is answered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/transactions.h"
#include "group/consumer_regex.h"
#include "server/apis.h"

/* ---- DescribeTransactions ---- */

typedef struct msg_describe_transactions_response_transaction_state described;

/* The partitions come sorted by topic. */
static bool fill_topics(struct request *c, const struct txn_info *t, described *out)
{
    size_t n = t->partition_count;
    int32_t *indexes = request_alloc(c, n, sizeof *indexes);
    if (indexes == NULL || (out->topics.items = request_alloc(c, n, sizeof *out->topics.items)) == NULL)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || strcmp(t->partitions[i].topic, t->partitions[i - 1].topic) != 0) {
            out->topics.items[out->topics.count].topic = api_text(c, t->partitions[i].topic);
            out->topics.items[out->topics.count++].partitions.items = &indexes[i];
        }
        indexes[i] = t->partitions[i].partition;
        out->topics.items[out->topics.count - 1].partitions.count++;
    }
    return true;
}

static bool describe(struct request *c, struct msg_string asked, described *out)
{
    const char *id = request_string(c, asked);
    struct txn_info *t = NULL;
    struct err e;
    out->transactional_id = asked;
    int rc = id == NULL      ? err_nomem(&e)
             : id[0] == '\0' ? err_set(&e, ERR_INVALID, "the transactional id is empty")
                             : broker_txn(c->server->broker, id, &t, &e);
    if (rc != ERR_OK) {
        out->error_code = err_kafka(rc);
        return true;
    }
    out->transaction_state = msg_text(t->state, strlen(t->state));
    out->transaction_timeout_ms = t->timeout_ms;
    out->transaction_start_time_ms = t->began_ms;
    out->producer_id = t->producer_id;
    out->producer_epoch = t->epoch;
    bool ok = fill_topics(c, t, out);
    txn_infos_free(t, 1);
    return ok;
}

void api_describe_transactions(struct request *c)
{
    const struct msg_describe_transactions_request *q = c->asked;
    struct msg_describe_transactions_response r;
    msg_init(&msg_schema_describe_transactions_response, &r);
    r.transaction_states.items =
        request_alloc(c, (size_t)q->transactional_ids.count, sizeof *r.transaction_states.items);
    if (r.transaction_states.items == NULL)
        return;
    for (int32_t i = 0; i < q->transactional_ids.count; i++)
        if (!describe(c, q->transactional_ids.items[i],
                      &r.transaction_states.items[r.transaction_states.count++]))
            return;
    request_reply(c, &r);
}

/* ---- ListTransactions ---- */

static const char *const states[] = {"Empty",          "Ongoing",       "PrepareCommit", "PrepareAbort",
                                     "CompleteCommit", "CompleteAbort", "Dead",          "PrepareEpochFence"};

static bool same(struct msg_string s, const char *text)
{
    return s.n == (int32_t)strlen(text) && memcmp(s.p, text, (size_t)s.n) == 0;
}

#define STATES (sizeof states / sizeof *states)

/* The number of a state, STATES: there is none of the name. */
static size_t state_number(struct msg_string s)
{
    size_t i = 0;
    while (i < STATES && !same(s, states[i]))
        i++;
    return i;
}

/* What a request asks for, in a form in which a transaction is not compared with all of its filters. */
struct txn_filter {
    bool states[STATES];
    int64_t *producers; /* sorted; NULL: all */
    size_t producer_count;
    struct topic_regex *pattern; /* NULL: any id */
    int64_t now, duration_ms;    /* < 0: any */
};

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool is_asked_for(const struct txn_filter *f, const struct txn_info *t)
{
    size_t state = state_number(msg_text(t->state, strlen(t->state)));
    return state < STATES && f->states[state] &&
           (f->producers == NULL || bsearch(&t->producer_id, f->producers, f->producer_count,
                                            sizeof *f->producers, by_value) != NULL) &&
           (f->pattern == NULL || topic_regex_matches(f->pattern, t->transactional_id)) &&
           (f->duration_ms < 0 || f->now - t->began_ms > f->duration_ms);
}

/* They are sorted where the request has them. */
static void take_producers(const struct msg_list_transactions_request *q, struct txn_filter *f)
{
    if (q->producer_id_filters.count <= 0)
        return;
    f->producer_count = (size_t)q->producer_id_filters.count;
    f->producers = q->producer_id_filters.items;
    qsort(f->producers, f->producer_count, sizeof *f->producers, by_value);
}

/* What there is no state of is told; with nothing but such nothing is listed. */
static bool take_states(struct request *c, const struct msg_list_transactions_request *q,
                        struct msg_list_transactions_response *r, struct txn_filter *f)
{
    int32_t n = q->state_filters.count > 0 ? q->state_filters.count : 0;
    r->unknown_state_filters.items = request_alloc(c, (size_t)n, sizeof *r->unknown_state_filters.items);
    if (r->unknown_state_filters.items == NULL)
        return false;
    for (size_t i = 0; i < STATES; i++)
        f->states[i] = n == 0;
    for (int32_t i = 0; i < n; i++) {
        size_t state = state_number(q->state_filters.items[i]);
        if (state < STATES)
            f->states[state] = true;
        else
            r->unknown_state_filters.items[r->unknown_state_filters.count++] = q->state_filters.items[i];
    }
    return true;
}

static bool fill_list(struct request *c, const struct txn_filter *f, const struct txn_info *list, size_t n,
                      struct msg_list_transactions_response *r)
{
    r->transaction_states.items = request_alloc(c, n, sizeof *r->transaction_states.items);
    if (r->transaction_states.items == NULL)
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_asked_for(f, &list[i]))
            r->transaction_states.items[r->transaction_states.count++] =
                (struct msg_list_transactions_response_transaction_state){
                    .transactional_id = api_text(c, list[i].transactional_id),
                    .producer_id = list[i].producer_id,
                    .transaction_state = msg_text(list[i].state, strlen(list[i].state))};
    return true;
}

/* *pattern NULL: there is none. The code for the answer. */
static int16_t read_pattern(struct request *c, struct msg_string text, struct topic_regex **pattern)
{
    struct err e;
    const char *copy = request_string(c, text);
    *pattern = NULL;
    if (text.n <= 0)
        return 0;
    int rc = copy == NULL ? err_nomem(&e) : ERR_OK;
    if (rc == ERR_OK && (*pattern = topic_regex_new(copy, &e)) == NULL)
        rc = e.code;
    return rc == ERR_INVALID ? GROUP_INVALID_REGEX : err_kafka(rc);
}

void api_list_transactions(struct request *c)
{
    const struct msg_list_transactions_request *q = c->asked;
    struct msg_list_transactions_response r;
    struct txn_filter f = {.duration_ms = q->duration_filter};
    struct txn_info *list = NULL;
    struct err e;
    size_t n = 0;
    msg_init(&msg_schema_list_transactions_response, &r);
    r.error_code = read_pattern(c, q->transactional_id_pattern, &f.pattern);
    if (r.error_code == 0)
        r.error_code = err_kafka(broker_txns(c->server->broker, &list, &n, &e));
    f.now = clock_wall_ms();
    take_producers(q, &f);
    bool ok = r.error_code != 0 || (take_states(c, q, &r, &f) && fill_list(c, &f, list, n, &r));
    txn_infos_free(list, n);
    topic_regex_free(f.pattern);
    if (ok)
        request_reply(c, &r);
}

/* ---- DescribeProducers ---- */

typedef struct msg_describe_producers_response_partition_response partition_producers;

static bool fill_producers(struct request *c, const struct producer_info *list, size_t n,
                           partition_producers *out)
{
    out->active_producers.items = request_alloc(c, n, sizeof *out->active_producers.items);
    if (out->active_producers.items == NULL)
        return false;
    out->active_producers.count = (int32_t)n;
    for (size_t i = 0; i < n; i++)
        out->active_producers.items[i] = (struct msg_describe_producers_response_producer_state){
            .producer_id = list[i].id,
            .producer_epoch = list[i].epoch,
            .last_sequence = list[i].last_sequence,
            .last_timestamp = list[i].last_timestamp,
            .coordinator_epoch = list[i].coordinator_epoch,
            .current_txn_start_offset = list[i].txn_first_offset};
    return true;
}

static bool one_partition(struct request *c, const char *topic, partition_producers *out)
{
    struct producer_info *list = NULL;
    struct err e;
    size_t n = 0;
    int rc = topic == NULL ? err_nomem(&e) : topic_name_check(topic, &e);
    if (rc == ERR_OK)
        rc = broker_producers(c->server->broker, topic, out->partition_index, &list, &n, &e);
    out->error_code = err_kafka(rc);
    bool ok = fill_producers(c, list, n, out);
    mem_free(list);
    return ok;
}

void api_describe_producers(struct request *c)
{
    const struct msg_describe_producers_request *q = c->asked;
    struct msg_describe_producers_response r;
    msg_init(&msg_schema_describe_producers_response, &r);
    r.topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r.topics.items);
    if (r.topics.items == NULL)
        return;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_describe_producers_request_topic_request *t = &q->topics.items[i];
        const char *topic = request_string(c, t->name);
        r.topics.items[r.topics.count].name = t->name;
        partition_producers *out = request_alloc(c, (size_t)t->partition_indexes.count, sizeof *out);
        if (out == NULL)
            return;
        r.topics.items[r.topics.count].partitions.items = out;
        r.topics.items[r.topics.count++].partitions.count = t->partition_indexes.count;
        for (int32_t k = 0; k < t->partition_indexes.count; k++) {
            msg_init(&msg_schema_describe_producers_response_partition_response, &out[k]);
            out[k].partition_index = t->partition_indexes.items[k];
            if (!one_partition(c, topic, &out[k]))
                return;
        }
    }
    request_reply(c, &r);
}

/* ---- WriteTxnMarkers ---- */

typedef struct msg_write_txn_markers_request_writable_txn_marker asked_marker;
typedef struct msg_write_txn_markers_response_writable_txn_marker_result marker_result;

static bool take_targets(struct request *c, const asked_marker *m, struct marker_request *w)
{
    size_t most = 0;
    for (int32_t i = 0; i < m->topics.count; i++)
        most += (size_t)m->topics.items[i].partition_indexes.count;
    w->targets = request_alloc(c, most, sizeof *w->targets);
    if (w->targets == NULL)
        return false;
    for (int32_t i = 0; i < m->topics.count; i++) {
        const char *topic = request_string(c, m->topics.items[i].name);
        for (int32_t k = 0; k < m->topics.items[i].partition_indexes.count; k++)
            w->targets[w->n++] = (struct marker_target){
                topic != NULL ? topic : "", m->topics.items[i].partition_indexes.items[k], {.code = ERR_OK}};
    }
    return true;
}

static bool fill_result(struct request *c, const asked_marker *m, const struct marker_target *targets,
                        marker_result *out)
{
    out->producer_id = m->producer_id;
    out->topics.items = request_alloc(c, (size_t)m->topics.count, sizeof *out->topics.items);
    if (out->topics.items == NULL)
        return false;
    for (int32_t i = 0; i < m->topics.count; i++) {
        if (m->topics.items[i].partition_indexes.count == 0)
            continue;
        struct msg_write_txn_markers_response_writable_txn_marker_topic_result *t =
            &out->topics.items[out->topics.count++];
        t->name = m->topics.items[i].name;
        t->partitions.count = m->topics.items[i].partition_indexes.count;
        t->partitions.items = request_alloc(c, (size_t)t->partitions.count, sizeof *t->partitions.items);
        if (t->partitions.items == NULL)
            return false;
        for (int32_t k = 0; k < t->partitions.count; k++, targets++)
            t->partitions.items[k] =
                (struct msg_write_txn_markers_response_writable_txn_marker_partition_result){
                    targets->partition, err_kafka(targets->error.code)};
    }
    return true;
}

void api_write_txn_markers(struct request *c)
{
    const struct msg_write_txn_markers_request *q = c->asked;
    struct msg_write_txn_markers_response r;
    msg_init(&msg_schema_write_txn_markers_response, &r);
    r.markers.items = request_alloc(c, (size_t)q->markers.count, sizeof *r.markers.items);
    if (r.markers.items == NULL)
        return;
    for (int32_t i = 0; i < q->markers.count; i++) {
        const asked_marker *m = &q->markers.items[i];
        struct marker_request w = {.producer_id = m->producer_id,
                                   .epoch = m->producer_epoch,
                                   .coordinator_epoch = m->coordinator_epoch,
                                   .commit = m->transaction_result,
                                   .bumped = m->transaction_version >= 2};
        if (!take_targets(c, m, &w))
            return;
        if (w.n == 0)
            continue; /* nothing to tell of it */
        broker_write_markers(c->server->broker, &w);
        if (!fill_result(c, m, w.targets, &r.markers.items[r.markers.count++]))
            return;
    }
    request_reply(c, &r);
}
