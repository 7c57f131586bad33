/*
 * Transactions over the wire: what each version of a request is answered, and that nothing which comes late meets the next transaction.
 * The whole table of answers is compared with Kafka's in tests/integration/kafka/test_txn_answers.py.
 */
#include "tests/unit/server/client.h"

#define ID "x"

struct producer {
    int64_t id;
    int16_t epoch;
};

static struct msg_string text(const char *s)
{
    return msg_text(s, strlen(s));
}

/* A transactional batch of one record. In the arena. */
static struct msg_bytes txn_batch(struct rig *r, struct producer p, int32_t sequence)
{
    struct err e = {0};
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT};
    struct batch_producer by = {p.id, p.epoch, sequence, true};
    struct batch_builder *b = batch_builder_new(&o, &e);
    uint8_t *data;
    size_t size;
    assert_ok(batch_builder_add(b, 1700000000000, NULL, 0, "v", 1, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(b, &by, &data, &size, &e), &e);
    uint8_t *copy = arena_dup(&r->arena, data, size);
    batch_builder_free(b);
    return (struct msg_bytes){copy, (int32_t)size};
}

static int16_t produce(struct rig *r, int16_t version, const char *id, struct producer p, int32_t sequence)
{
    struct msg_produce_request *q = make_produce(r, "t", 0, -1, txn_batch(r, p, sequence));
    q->transactional_id = id ? text(id) : MSG_NULL_STRING;
    return PRODUCED(ask(r, r->fd, MSG_KEY_produce, version, q))->error_code;
}

static int16_t init(struct rig *r, struct producer claim, struct producer *p)
{
    struct msg_init_producer_id_request q;
    msg_init(&msg_schema_init_producer_id_request, &q);
    q.transactional_id = text(ID);
    q.transaction_timeout_ms = 60000;
    q.producer_id = claim.id;
    q.producer_epoch = claim.epoch;
    struct msg_init_producer_id_response *a = ask(r, r->fd, MSG_KEY_init_producer_id, 5, &q);
    *p = (struct producer){a->producer_id, a->producer_epoch};
    return a->error_code;
}

static int16_t end(struct rig *r, int16_t version, struct producer p, bool commit, struct producer *next)
{
    struct msg_end_txn_request q = {text(ID), p.id, p.epoch, commit};
    struct msg_end_txn_response *a = ask(r, r->fd, MSG_KEY_end_txn, version, &q);
    if (next)
        *next = (struct producer){a->producer_id, a->producer_epoch};
    return a->error_code;
}

static void start(struct rig *r)
{
    rig_start(r, (struct server_options){0});
    r->fd = rig_connect(r);
    make_topic(r, "t", 1);
}

static const struct producer nobody = {-1, -1};

static void nothing_late_meets_the_next_transaction(void **state)
{
    struct rig r;
    struct producer p, next, other;
    (void)state;
    start(&r);
    assert_int_equal(init(&r, nobody, &p), 0);
    assert_int_equal(produce(&r, 10, ID, p, 0), 48); /* not added, each in the words of its version */
    assert_int_equal(produce(&r, 11, ID, p, 0), 120);
    assert_int_equal(produce(&r, 12, NULL, p, 0), 53);
    assert_int_equal(produce(&r, 12, "other", p, 0), 49);
    assert_int_equal(produce(&r, 12, ID, p, 0), 0); /* joins by itself */
    assert_int_equal(produce(&r, 11, ID, p, 1), 0);
    assert_int_equal(end(&r, 5, p, true, &next), 0);
    assert_int_equal(next.id, p.id);
    assert_int_equal(next.epoch, p.epoch + 1);
    assert_int_equal(end(&r, 5, p, true, &other), 0); /* asked again */
    assert_int_equal(other.epoch, next.epoch);
    assert_int_equal(produce(&r, 13, ID, next, 0), 0);
    assert_int_equal(produce(&r, 12, ID, p, 2), 47);
    for (int16_t version = 0; version <= 5; version++) {
        assert_int_equal(end(&r, version, p, true, NULL), version < 2 ? 47 : 90);
        assert_int_equal(end(&r, version, p, false, NULL), version < 2 ? 47 : 90);
    }
    struct txn_info *t;
    struct err e;
    assert_ok(broker_txn(r.broker, ID, &t, &e), &e);
    assert_string_equal(t->state, "Ongoing");
    assert_int_equal(t->partition_count, 1);
    txn_infos_free(t, 1);
    assert_int_equal(end(&r, 4, next, false, NULL), 0); /* the first version, which bumps nothing */
    assert_int_equal(end(&r, 4, next, false, NULL), 0);
    rig_stop(&r);
}

static void batches_of_two_producers_are_refused(void **state)
{
    struct rig r;
    struct producer p;
    (void)state;
    start(&r);
    make_topic(&r, "u", 1);
    assert_int_equal(init(&r, nobody, &p), 0);
    struct msg_produce_request *a = make_produce(&r, "t", 0, -1, txn_batch(&r, p, 0));
    p.id++;
    struct msg_produce_request *b = make_produce(&r, "u", 0, -1, txn_batch(&r, p, 0));
    struct msg_produce_request_topic_produce_data both[] = {a->topic_data.items[0], b->topic_data.items[0]};
    a->topic_data.items = both;
    a->topic_data.count = 2;
    a->transactional_id = text(ID);
    struct msg_produce_response *got = ask(&r, r.fd, MSG_KEY_produce, 12, a);
    for (int i = 0; i < 2; i++)
        assert_int_equal(got->responses.items[i].partition_responses.items[0].error_code, 49);
    rig_stop(&r);
}

static void a_claim_is_whole_and_true(void **state)
{
    struct rig r;
    struct producer p, got;
    (void)state;
    start(&r);
    assert_int_equal(init(&r, (struct producer){5, -1}, &got), 42);
    assert_int_equal(init(&r, (struct producer){-1, 5}, &got), 42);
    assert_int_equal(got.id, -1);
    assert_int_equal(init(&r, nobody, &p), 0);
    assert_int_equal(init(&r, p, &got), 0);
    assert_int_equal(got.epoch, 1);
    assert_int_equal(init(&r, (struct producer){p.id, 7}, &got), 90);
    assert_int_equal(got.epoch, -1);
    rig_stop(&r);
}

static void the_feature_is_told(void **state)
{
    struct rig r;
    (void)state;
    start(&r);
    for (int16_t version = 3; version <= 4; version++) {
        struct msg_api_versions_request q = {text("test"), text("1")};
        struct msg_api_versions_response *a = ask(&r, r.fd, MSG_KEY_api_versions, version, &q);
        bool supported = false, finalized = false;
        for (int32_t i = 0; i < a->supported_features.count; i++)
            supported |= a->supported_features.items[i].name.n == 19;
        for (int32_t i = 0; i < a->finalized_features.count; i++)
            finalized |= a->finalized_features.items[i].name.n == 19 &&
                         a->finalized_features.items[i].max_version_level == 2;
        assert_int_equal(supported,
                         version >= 4); /* its lowest version is 0, which older clients do not take */
        assert_true(finalized);
    }
    rig_stop(&r);
}

/* How many transactions are listed that have one of the states and one of the producers; n = 0: any. */
static int32_t listed(struct rig *r, const char *const *states, int32_t n, const int64_t *producers,
                      int32_t producer_count, int32_t unknown)
{
    struct msg_list_transactions_request q;
    struct msg_string names[4];
    int64_t ids[4];
    msg_init(&msg_schema_list_transactions_request, &q);
    for (int32_t i = 0; i < n; i++)
        names[i] = text(states[i]);
    for (int32_t i = 0; i < producer_count; i++)
        ids[i] = producers[i];
    q.state_filters.items = names;
    q.state_filters.count = n;
    q.producer_id_filters.items = ids;
    q.producer_id_filters.count = producer_count;
    struct msg_list_transactions_response *a = ask(r, r->fd, MSG_KEY_list_transactions, 2, &q);
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->unknown_state_filters.count, unknown);
    return a->transaction_states.count;
}

static void transactions_are_listed_by_state_and_producer(void **state)
{
    static const char *const states[] = {"Lost", "Ongoing", "Empty", "Ongoing"};
    struct rig r;
    struct producer p;
    (void)state;
    start(&r);
    assert_int_equal(init(&r, nobody, &p), 0);
    const int64_t ids[] = {p.id + 7, p.id, INT64_MAX, p.id}; /* in no order, and twice */
    assert_int_equal(listed(&r, NULL, 0, NULL, 0, 0), 1);
    assert_int_equal(listed(&r, states, 4, ids, 4, 1), 1);
    assert_int_equal(listed(&r, states, 2, ids, 4, 1), 0); /* it is empty */
    assert_int_equal(listed(&r, states, 1, NULL, 0, 1), 0);
    assert_int_equal(listed(&r, NULL, 0, ids, 1, 0), 0);
    assert_int_equal(produce(&r, 12, ID, p, 0), 0);
    assert_int_equal(listed(&r, states, 2, ids, 3, 1), 1);
    assert_int_equal(listed(&r, states + 2, 1, ids, 3, 0), 0);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_late_meets_the_next_transaction),
        cmocka_unit_test(batches_of_two_producers_are_refused),
        cmocka_unit_test(a_claim_is_whole_and_true),
        cmocka_unit_test(the_feature_is_told),
        cmocka_unit_test(transactions_are_listed_by_state_and_producer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
