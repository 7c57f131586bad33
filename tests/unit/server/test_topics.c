/*
 * CreateTopics, CreatePartitions, DeleteTopics, DeleteRecords: their errors, and what is named twice.
 */
#include "tests/unit/server/client.h"

static struct msg_string text(const char *s)
{
    return s != NULL ? msg_text(s, strlen(s)) : MSG_NULL_STRING;
}

/* ---- CreateTopics ---- */

typedef struct msg_create_topics_request_creatable_topic creatable;

static struct msg_create_topics_response *create(struct rig *r, creatable *topics, int32_t n, bool try_only,
                                                 int32_t timeout_ms)
{
    struct msg_create_topics_request q;
    msg_init(&msg_schema_create_topics_request, &q);
    q.topics.items = topics;
    q.topics.count = n;
    q.timeout_ms = timeout_ms;
    q.validate_only = try_only;
    return ask(r, r->fd, MSG_KEY_create_topics, 7, &q);
}

static creatable plain(const char *name, int32_t partitions, int16_t factor)
{
    return (creatable){.name = text(name), .num_partitions = partitions, .replication_factor = factor};
}

static void expect_created(struct rig *r, creatable t, int16_t code)
{
    const struct msg_create_topics_response *a = create(r, &t, 1, false, 5000);
    assert_int_equal(a->topics.count, 1);
    if (a->topics.items[0].error_code != code)
        fail_msg("%.*s: %d", t.name.n, t.name.p, a->topics.items[0].error_code);
    assert_int_equal(a->topics.items[0].num_partitions == -1, code != 0);
    assert_int_equal(a->topics.items[0].configs.count == 0, code != 0);
}

static void test_creations(void **state)
{
    struct rig *r = *state;
    int32_t one[] = {1}, two[] = {2};
    struct msg_create_topics_request_creatable_replica_assignment good[] = {{1, {one, 1}}, {0, {one, 1}}},
                                                                  gap[] = {{0, {one, 1}}, {2, {one, 1}}},
                                                                  twice[] = {{0, {one, 1}}, {0, {one, 1}}},
                                                                  other[] = {{0, {two, 1}}};
    struct msg_create_topics_request_creatable_topic_config config[] = {
        {text("retention.ms"), text(" 5 ")}, {text("nope"), text("1")}, {text("retention.ms"), text(NULL)}};
    expect_created(r, plain("a.b", 1, 1), 0);
    expect_created(r, plain("a.b", 1, 1), 36);
    expect_created(r, plain("a_b", 1, 1), 17);
    expect_created(r, plain("not good", 1, 1), 17);
    expect_created(r, plain("__cluster_metadata", 1, 1), 42);
    expect_created(r, plain("__consumer_offsets", 1, 1), 36);
    expect_created(r, plain("z", 0, 1), 37);
    expect_created(r, plain("z", -2, 1), 37);
    expect_created(r, plain("z", 1, 0), 38);
    expect_created(r, plain("z", 1, 2), 38);
    expect_created(r, plain("z", 10001, 1), 44);
    creatable t = plain("assigned", -1, -1);
    t.assignments.items = good;
    t.assignments.count = 2;
    expect_created(r, t, 0);
    t.name = text("z");
    t.num_partitions = 2;
    expect_created(r, t, 42);
    t.num_partitions = -1;
    t.assignments.items = gap;
    expect_created(r, t, 39);
    t.assignments.items = twice;
    expect_created(r, t, 39);
    t.assignments.items = other;
    t.assignments.count = 1;
    expect_created(r, t, 39);
    t = plain("configured", 1, 1);
    t.configs.items = config;
    t.configs.count = 1;
    expect_created(r, t, 0);
    t.name = text("z");
    t.configs.count = 2;
    expect_created(r, t, 40);
    t.configs.items = config + 2;
    t.configs.count = 1;
    expect_created(r, t, 40);
    expect_created(r, plain("z", -1, -1), 0);
}

/* Answered once, refused; the others are made. Without time nothing is. A try makes nothing, and tells what would be. */
static void test_creations_together(void **state)
{
    struct rig *r = *state;
    struct topic_brief t;
    struct err e;
    creatable three[] = {plain("x", 1, 1), plain("y", -1, -1), plain("x", 2, 1)};
    const struct msg_create_topics_response *a = create(r, three, 3, false, 0);
    assert_int_equal(a->topics.count, 2);
    assert_int_equal(a->topics.items[0].error_code, 42);
    assert_int_equal(a->topics.items[1].error_code, 7);
    a = create(r, three, 3, true, 5000);
    assert_int_equal(a->topics.items[1].error_code, 0);
    assert_int_equal(a->topics.items[1].num_partitions, 1);
    assert_true(a->topics.items[1].configs.count > 30);
    assert_code(broker_topic_brief(r->broker, "y", &t, &e), ERR_UNKNOWN_TOPIC, &e);
    a = create(r, three, 3, false, 5000);
    assert_int_equal(a->topics.count, 2);
    assert_int_equal(a->topics.items[1].error_code, 0);
    assert_code(broker_topic_brief(r->broker, "x", &t, &e), ERR_UNKNOWN_TOPIC, &e);
    assert_ok(broker_topic_brief(r->broker, "y", &t, &e), &e);
}

/* What a topic may not have together is found by a try, too. */
static void test_a_try_finds_what_does_not_go_together(void **state)
{
    struct rig *r = *state;
    struct msg_create_topics_request_creatable_topic_config config[] = {
        {text("min.compaction.lag.ms"), text("1000")}, {text("max.compaction.lag.ms"), text("10")}};
    creatable t = plain("x", 1, 1);
    t.configs.items = config;
    t.configs.count = 2;
    assert_int_equal(create(r, &t, 1, true, 5000)->topics.items[0].error_code, 40);
    assert_int_equal(create(r, &t, 1, false, 5000)->topics.items[0].error_code, 40);
}

/* ---- CreatePartitions ---- */

static void test_growing(void **state)
{
    struct rig *r = *state;
    int32_t one[] = {1}, two[] = {2};
    struct msg_create_partitions_request_assignment here = {{one, 1}}, elsewhere = {{two, 1}};
    typedef struct msg_create_partitions_request_topic growth;
    growth cases[] = {
        {text("t"), 1, {NULL, -1}},      {text("t"), 2, {NULL, -1}}, {text("nope"), 3, {NULL, -1}},
        {text("t"), 3, {&elsewhere, 1}}, {text("t"), 4, {&here, 1}}, {text("t"), 10001, {NULL, -1}},
        {text("t"), 3, {&here, 1}},
    };
    static const int16_t codes[] = {37, 37, 3, 39, 39, 37, 0};
    struct msg_create_partitions_request q;
    make_topic(r, "t", 2);
    msg_init(&msg_schema_create_partitions_request, &q);
    q.topics.count = 1;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        q.topics.items = &cases[i];
        q.timeout_ms = 0;
        const struct msg_create_partitions_response *a = ask(r, r->fd, MSG_KEY_create_partitions, 3, &q);
        assert_int_equal(a->results.items[0].error_code, 7);
        q.timeout_ms = 5000;
        a = ask(r, r->fd, MSG_KEY_create_partitions, 3, &q);
        if (a->results.items[0].error_code != codes[i])
            fail_msg("case %zu: %d", i, a->results.items[0].error_code);
    }
    growth twice[] = {{text("t"), 5, {NULL, -1}}, {text("nope"), 5, {NULL, -1}}, {text("t"), 6, {NULL, -1}}};
    q.topics.items = twice;
    q.topics.count = 3;
    const struct msg_create_partitions_response *a = ask(r, r->fd, MSG_KEY_create_partitions, 2, &q);
    assert_int_equal(a->results.count, 2);
    assert_int_equal(a->results.items[0].error_code, 42);
    assert_int_equal(a->results.items[1].error_code, 3);
}

/* ---- DeleteTopics, DeleteRecords ---- */

static void test_deletions(void **state)
{
    struct rig *r = *state;
    struct topic_brief t;
    struct err e;
    make_topic(r, "t", 1);
    make_topic(r, "u", 1);
    assert_ok(broker_topic_brief(r->broker, "u", &t, &e), &e);
    struct msg_delete_topics_request_delete_topic_state topics[] = {
        {text("t"), {{0}}}, {text(NULL), t.id}, {text("nope"), {{0}}}, {text(NULL), {{0}}}, {text("t"), t.id},
        {text("w"), {{0}}}, {text("w"), {{0}}}, {text(NULL), {{7}}},   {text(NULL), {{7}}}};
    static const int16_t codes[] = {0, 0, 3, 42, 42, 42, 42};
    struct msg_delete_topics_request q;
    msg_init(&msg_schema_delete_topics_request, &q);
    q.topics.items = topics;
    q.topics.count = 9;
    for (int32_t timeout = 0; timeout <= 5000; timeout += 5000) {
        q.timeout_ms = timeout;
        const struct msg_delete_topics_response *a = ask(r, r->fd, MSG_KEY_delete_topics, 6, &q);
        assert_int_equal(a->responses.count, 7);
        for (int i = 0; i < 7; i++)
            assert_int_equal(a->responses.items[i].error_code, timeout == 0 && codes[i] != 42 ? 7 : codes[i]);
    }
    assert_code(broker_topic_by_id(r->broker, &t.id, &t, &e), ERR_UNKNOWN_TOPIC_ID, &e);
    /* The same topic by its name and by its id: it stays. */
    make_topic(r, "both", 1);
    assert_ok(broker_topic_brief(r->broker, "both", &t, &e), &e);
    struct msg_delete_topics_request_delete_topic_state same[] = {{text("both"), {{0}}}, {text(NULL), t.id}};
    q.topics.items = same;
    q.topics.count = 2;
    const struct msg_delete_topics_response *a = ask(r, r->fd, MSG_KEY_delete_topics, 6, &q);
    assert_int_equal(a->responses.count, 1);
    assert_int_equal(a->responses.items[0].error_code, 42);
    assert_ok(broker_topic_brief(r->broker, "both", &t, &e), &e);
}

static void test_records_of_compacted_topics_stay(void **state)
{
    struct rig *r = *state;
    const struct topic_config_entry config = {"cleanup.policy", "compact"};
    struct msg_delete_records_request_partition p = {0, 0};
    struct msg_delete_records_request_topic t = {text("compacted"), {&p, 1}};
    struct msg_delete_records_request q;
    struct err e;
    assert_ok(broker_create_topic(r->broker, "compacted", 1, &config, 1, NULL, &e), &e);
    msg_init(&msg_schema_delete_records_request, &q);
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_delete_records_response *a = ask(r, r->fd, MSG_KEY_delete_records, 2, &q);
    assert_int_equal(a->topics.items[0].partitions.items[0].error_code, 44);
    assert_int_equal(a->topics.items[0].partitions.items[0].low_watermark, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_creations, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_creations_together, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_a_try_finds_what_does_not_go_together, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_growing, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_deletions, rig_setup, rig_teardown),
        cmocka_unit_test_setup_teardown(test_records_of_compacted_topics_stay, rig_setup, rig_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
