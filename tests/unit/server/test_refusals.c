/*
 * Bad requests and what Kafka answers to them, each as tests/conformance/answers found it with Apache Kafka 4.3.1: topics asked for by id too
 * early, limits and isolation levels that there are not, batches that are none, names with a NUL, groups without a name.
 */
#include "tests/unit/server/client.h"

static struct msg_string text(const char *s)
{
    return msg_text(s, strlen(s));
}

/* ---- Metadata ---- */

static const struct msg_metadata_response *tell(struct rig *r, int16_t version,
                                                struct msg_metadata_request_topic *topics, int32_t n)
{
    struct msg_metadata_request q;
    msg_init(&msg_schema_metadata_request, &q);
    q.topics.items = topics;
    q.topics.count = n;
    return ask(r, r->fd, MSG_KEY_metadata, version, &q);
}

static void expect_refused_whole(const struct msg_metadata_response *a, int32_t topics, int16_t code)
{
    assert_int_equal(a->brokers.count, 0);
    assert_int_equal(a->controller_id, -1);
    assert_int_equal(a->topics.count, topics);
    for (int32_t i = 0; i < topics; i++) {
        assert_int_equal(a->topics.items[i].error_code, code);
        assert_true(a->topics.items[i].name.n >= 0); /* never null */
    }
}

static void test_topics_by_id(void **state)
{
    struct rig *r = *state;
    struct err e = {0};
    struct topic_brief t;
    make_topic(r, "t", 1);
    make_topic(r, "u", 1);
    assert_ok(broker_topic_brief(r->broker, "t", &t, &e), &e);
    struct msg_metadata_request_topic q[3] = {
        {.topic_id = t.id, .name = MSG_NULL_STRING},
        {.topic_id = uuid_random(), .name = text("u")},
        {.topic_id = t.id, .name = MSG_NULL_STRING},
    };
    expect_refused_whole(tell(r, 10, q, 3), 3, 42);
    expect_refused_whole(tell(r, 11, q, 1), 1, 42);
    const struct msg_metadata_response *a = tell(r, 12, q, 3);
    assert_int_equal(a->topics.count, 2); /* each once */
    assert_int_equal(a->topics.items[0].error_code, 0);
    assert_int_equal(a->topics.items[1].error_code, 100);
    assert_int_equal(a->topics.items[1].name.n, -1); /* the name that came with an id is not looked at */
    struct msg_metadata_request_topic mixed[2] = {q[0], {.name = text("u")}};
    a = tell(r, 12, mixed, 2);
    assert_int_equal(a->topics.count, 1); /* nor is who has none, beside one that has */
    struct msg_metadata_request_topic nothing = {.name = MSG_NULL_STRING};
    expect_refused_whole(tell(r, 10, &nothing, 1), 1, 42);
    a = tell(r, 13, &nothing, 1);
    expect_refused_whole(a, 1, -1);
    assert_int_equal(a->error_code, -1);
}

static void test_names_with_a_nul(void **state)
{
    struct rig *r = *state;
    make_topic(r, "g", 1);
    struct msg_metadata_request_topic q = {.name = msg_text("g\0x", 3)};
    const struct msg_metadata_response *a = tell(r, 4, &q, 1);
    assert_int_equal(a->topics.items[0].error_code, 17);
    assert_int_equal(a->topics.items[0].name.n, 4); /* as it is in memory; on the wire it was three bytes */
    void *p = ask(r, r->fd, MSG_KEY_produce, 8, make_produce(r, "g", 0, 1, make_batch(r, "v", 1)));
    assert_int_equal(PRODUCED(p)->error_code, 0);
    struct msg_produce_request *w = make_produce(r, "g", 0, 1, make_batch(r, "v", 1));
    w->topic_data.items[0].name = msg_text("g\0", 2);
    assert_int_equal(PRODUCED(ask(r, r->fd, MSG_KEY_produce, 8, w))->error_code, 3);
}

/* ---- Fetch, ListOffsets, OffsetForLeaderEpoch ---- */

static void test_fetch(void **state)
{
    struct rig *r = *state;
    make_topic(r, "t", 1);
    ask(r, r->fd, MSG_KEY_produce, 9, make_produce(r, "t", 0, -1, make_batch(r, "value", 5)));
    struct msg_fetch_request *q = make_fetch(r, "t", 0, 0, 0, 1000);
    q->isolation_level = 2;
    struct msg_fetch_response *a = ask(r, r->fd, MSG_KEY_fetch, 12, q);
    assert_int_equal(a->error_code, -1);
    assert_int_equal(FETCHED(a)->error_code, -1);
    assert_int_equal(FETCHED(a)->high_watermark, -1);
    a = ask(r, r->fd, MSG_KEY_fetch, 13, q);
    assert_int_equal(a->error_code, -1);
    assert_int_equal(a->responses.count, 0);

    q = make_fetch(r, "t", 0, 0, 0, 1000);
    q->topics.items[0].partitions.items[0].partition_max_bytes = -1;
    assert_int_equal(FETCHED(ask(r, r->fd, MSG_KEY_fetch, 13, q))->error_code, -1);
    q->topics.items[0].partitions.items[0].fetch_offset = 1; /* where nothing is read */
    assert_int_equal(FETCHED(ask(r, r->fd, MSG_KEY_fetch, 13, q))->error_code, 0);
    q = make_fetch(r, "t", 0, 0, 0, 1000);
    q->max_bytes = -1;
    assert_int_equal(FETCHED(ask(r, r->fd, MSG_KEY_fetch, 4, q))->error_code, -1);
    q = make_fetch(r, "t", 0, 0, 0, 1000);
    q->replica_id = 7;
    assert_int_equal(FETCHED(ask(r, r->fd, MSG_KEY_fetch, 11, q))->error_code, 6);
    q = make_fetch(r, "t", 0, 0, 0, 1000);
    q->topics.items[0].topic = text("");
    a = ask(r, r->fd, MSG_KEY_fetch, 11, q);
    assert_int_equal(FETCHED(a)->error_code, 3);
    assert_int_equal(FETCHED(a)->aborted_transactions.count, 0);
}

static const struct msg_list_offsets_response_partition_response *list(struct rig *r, int8_t isolation,
                                                                       int32_t epoch)
{
    struct msg_list_offsets_request q;
    struct msg_list_offsets_request_partition p;
    struct msg_list_offsets_request_topic t = {.name = text("t"), .partitions = {.items = &p, .count = 1}};
    msg_init(&msg_schema_list_offsets_request, &q);
    msg_init(&msg_schema_list_offsets_request_partition, &p);
    p.timestamp = -1;
    p.current_leader_epoch = epoch;
    q.isolation_level = isolation;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_list_offsets_response *a = ask(r, r->fd, MSG_KEY_list_offsets, 4, &q);
    return &a->topics.items[0].partitions.items[0];
}

static const struct msg_offset_for_leader_epoch_response_epoch_end_offset *
end_of(struct rig *r, int32_t epoch, int32_t current)
{
    struct msg_offset_for_leader_epoch_request q;
    struct msg_offset_for_leader_epoch_request_offset_for_leader_partition p;
    struct msg_offset_for_leader_epoch_request_offset_for_leader_topic t = {
        .topic = text("t"), .partitions = {.items = &p, .count = 1}};
    msg_init(&msg_schema_offset_for_leader_epoch_request, &q);
    msg_init(&msg_schema_offset_for_leader_epoch_request_offset_for_leader_partition, &p);
    p.leader_epoch = epoch;
    p.current_leader_epoch = current;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_for_leader_epoch_response *a =
        ask(r, r->fd, MSG_KEY_offset_for_leader_epoch, 4, &q);
    return &a->topics.items[0].partitions.items[0];
}

static void test_isolation_and_epochs(void **state)
{
    struct rig *r = *state;
    make_topic(r, "t", 1);
    ask(r, r->fd, MSG_KEY_produce, 9, make_produce(r, "t", 0, -1, make_batch(r, "value", 5)));
    assert_int_equal(list(r, 1, -1)->offset, 1);
    assert_int_equal(list(r, 2, -1)->error_code, -1);
    assert_int_equal(list(r, 2, -1)->offset, -1);
    assert_int_equal(list(r, 0, -2)->error_code, 74);
    assert_int_equal(end_of(r, 0, -2)->error_code, 74);
    assert_int_equal(end_of(r, -2, -1)->error_code, 0);
    assert_int_equal(end_of(r, -2, -1)->leader_epoch, -2); /* before the first, it ended where that began */
    assert_int_equal(end_of(r, -2, -1)->end_offset, 0);
    assert_int_equal(end_of(r, -1, -1)->end_offset, -1);
}

/* ---- Produce ---- */

static const struct msg_produce_response_partition_produce_response *produce(struct rig *r, int16_t version,
                                                                             struct msg_bytes batch)
{
    return PRODUCED(ask(r, r->fd, MSG_KEY_produce, version, make_produce(r, "t", 0, -1, batch)));
}

static uint8_t *changed(struct rig *r, struct msg_bytes *batch, size_t at, uint32_t value)
{
    uint8_t *p = arena_dup(&r->arena, batch->p, (size_t)batch->n);
    assert_non_null(p);
    put_be32(p + at, value);
    put_be32(p + 17, crc32c(0, p + 21, (size_t)batch->n - 21));
    batch->p = p;
    return p;
}

static void test_batches(void **state)
{
    struct rig *r = *state;
    make_topic(r, "t", 1);
    struct msg_bytes good = make_batch(r, "value", 5), b = good;
    uint8_t *longer = arena_alloc(&r->arena, (size_t)good.n * 2);
    assert_non_null(longer);
    memset(longer, 0, (size_t)good.n * 2);
    memcpy(longer, good.p, (size_t)good.n);
    assert_int_equal(produce(r, 8, (struct msg_bytes){longer, good.n + 1})->error_code,
                     0); /* no batch behind it */
    assert_int_equal(produce(r, 8, (struct msg_bytes){longer, good.n + 12})->error_code,
                     2); /* one of length 0 */
    memcpy(longer + good.n, good.p, (size_t)good.n);
    assert_int_equal(produce(r, 8, (struct msg_bytes){longer, good.n * 2})->error_code, 87);
    assert_int_equal(produce(r, 8, (struct msg_bytes){longer, 11})->error_code, 87);
    changed(r, &b, 8, 0); /* its length */
    assert_int_equal(produce(r, 8, b)->error_code, 2);
    assert_int_equal(produce(r, 8, b)->log_start_offset, -1);
    b = good;
    changed(r, &b, 4, 5); /* base offset 5: the log begins at 0 */
    assert_int_equal(produce(r, 8, b)->error_code, 87);
    assert_int_equal(produce(r, 8, b)->log_start_offset, 0);
    b = good;
    changed(r, &b, 57, 2); /* records */
    assert_int_equal(produce(r, 8, b)->error_code, 87);
    assert_int_equal(produce(r, 8, b)->log_start_offset, 0);
    for (int codec = CODEC_GZIP; codec < CODEC_COUNT + 2;
         codec++) { /* what is no such data, and no such codec */
        b = good;
        uint8_t *p = changed(r, &b, 57, 1);
        p[22] = (uint8_t)codec;
        put_be32(p + 17, crc32c(0, p + 21, (size_t)b.n - 21));
        assert_int_equal(produce(r, 8, b)->error_code, -1);
        assert_int_equal(produce(r, 8, b)->log_start_offset, 0);
    }
}

static void test_what_is_checked_first(void **state)
{
    struct rig *r = *state;
    make_topic(r, "t", 1);
    struct msg_produce_request *q = make_produce(r, "t", 7, 5, (struct msg_bytes){NULL, 0});
    assert_int_equal(PRODUCED(ask(r, r->fd, MSG_KEY_produce, 8, q))->error_code, 3);
    q = make_produce(r, "t", 0, 5, (struct msg_bytes){NULL, 0});
    assert_int_equal(PRODUCED(ask(r, r->fd, MSG_KEY_produce, 8, q))->error_code, 87);
    q = make_produce(r, "t", 0, 5, make_batch(r, "v", 1));
    assert_int_equal(PRODUCED(ask(r, r->fd, MSG_KEY_produce, 8, q))->error_code, 21);
    q->topic_data.items[0].partition_data.count = 0;
    const struct msg_produce_response *a = ask(r, r->fd, MSG_KEY_produce, 8, q);
    assert_int_equal(a->responses.count, 0);
}

/* ---- groups ---- */

static void test_groups_named_twice(void **state)
{
    struct rig *r = *state;
    struct msg_string names[3] = {text("g"), text("h"), text("g")};
    struct msg_delete_groups_request q = {.groups_names = {.items = names, .count = 3}};
    const struct msg_delete_groups_response *a = ask(r, r->fd, MSG_KEY_delete_groups, 0, &q);
    assert_int_equal(a->results.count, 2);
    assert_int_equal(a->results.items[1].error_code, 69);
}

static void test_syncs_without_a_protocol(void **state)
{
    struct rig *r = *state;
    struct msg_sync_group_request q;
    msg_init(&msg_schema_sync_group_request, &q);
    q.group_id = text("nowhere");
    const struct msg_sync_group_response *a = ask(r, r->fd, MSG_KEY_sync_group, 5, &q);
    assert_int_equal(a->error_code, 23);
    a = ask(r, r->fd, MSG_KEY_sync_group, 4, &q);
    assert_int_equal(a->error_code, 25);
}

static int16_t commit(struct rig *r, struct msg_string group, int32_t generation, struct msg_string metadata)
{
    struct msg_offset_commit_request q;
    struct msg_offset_commit_request_partition p;
    struct msg_offset_commit_request_topic t = {.name = text("t"), .partitions = {.items = &p, .count = 1}};
    msg_init(&msg_schema_offset_commit_request, &q);
    msg_init(&msg_schema_offset_commit_request_partition, &p);
    p.committed_offset = 5;
    p.committed_metadata = metadata;
    q.group_id = group;
    q.generation_id_or_member_epoch = generation;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_commit_response *a = ask(r, r->fd, MSG_KEY_offset_commit, 8, &q);
    return a->topics.items[0].partitions.items[0].error_code;
}

static const struct msg_offset_fetch_response_partition *fetched(struct rig *r, struct msg_string group)
{
    static int32_t first[] = {0};
    struct msg_offset_fetch_request q;
    struct msg_offset_fetch_request_topic t = {.name = text("t"),
                                               .partition_indexes = {.items = first, .count = 1}};
    msg_init(&msg_schema_offset_fetch_request, &q);
    q.group_id = group;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_fetch_response *a = ask(r, r->fd, MSG_KEY_offset_fetch, 5, &q);
    assert_int_equal(a->error_code, 0);
    return &a->topics.items[0].partitions.items[0];
}

static void test_groups_of_offsets_only(void **state)
{
    struct rig *r = *state;
    make_topic(r, "t", 1);
    assert_int_equal(commit(r, text("g"), 1, text("")), 22);
    assert_int_equal(commit(r, text("g"), -1, text("")), 0);
    assert_int_equal(commit(r, text("g"), 1, text("")), 25); /* it is there now, without members */
    assert_int_equal(commit(r, text(""), -1, msg_text("said\0", 5)), 0);
    assert_int_equal(fetched(r, text(""))->committed_offset, 5);
    assert_int_equal(fetched(r, text(""))->metadata.n, 6); /* with the NUL, as it is in memory */
    assert_memory_equal(fetched(r, text(""))->metadata.p, "said\xc0\x80", 6);
    assert_int_equal(commit(r, msg_text("n\0g", 3), -1, text("")), 0);
    assert_int_equal(fetched(r, msg_text("n\0g", 3))->committed_offset, 5);
    assert_int_equal(fetched(r, text("n"))->committed_offset, -1);
}

#define WITH_RIG(test) cmocka_unit_test_setup_teardown(test, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_RIG(test_topics_by_id),
        WITH_RIG(test_names_with_a_nul),
        WITH_RIG(test_fetch),
        WITH_RIG(test_isolation_and_epochs),
        WITH_RIG(test_batches),
        WITH_RIG(test_what_is_checked_first),
        WITH_RIG(test_groups_named_twice),
        WITH_RIG(test_syncs_without_a_protocol),
        WITH_RIG(test_groups_of_offsets_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
