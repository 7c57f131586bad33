/*
 * Consumer groups (KIP-848) over the wire: joining, an assignment by topic ids, what ConsumerGroupDescribe and ListGroups tell, commits by epoch, topics that
 * come, deleting; and all of it after a restart of broker and server.
 */
#include "tests/unit/server/client.h"

typedef struct msg_consumer_group_heartbeat_request question;
typedef struct msg_consumer_group_heartbeat_response answer;

static answer *beat(struct rig *r, int16_t version, const char *member, int32_t epoch, bool full)
{
    static struct msg_string topics[2];
    question q;
    msg_init(&msg_schema_consumer_group_heartbeat_request, &q);
    topics[0] = msg_text("t", 1);
    topics[1] = msg_text("later", 5);
    q.group_id = msg_text("g", 1);
    q.member_id = msg_text(member, strlen(member));
    q.member_epoch = epoch;
    if (full) {
        q.rebalance_timeout_ms = 60000;
        q.subscribed_topic_names.items = topics;
        q.subscribed_topic_names.count = 2;
        q.topic_partitions.count = 0; /* empty, not null */
    }
    return ask(r, r->fd, MSG_KEY_consumer_group_heartbeat, version, &q);
}

static int32_t assigned(const answer *a)
{
    int32_t n = 0;
    assert_non_null(a->assignment);
    for (int32_t i = 0; i < a->assignment->topic_partitions.count; i++)
        n += a->assignment->topic_partitions.items[i].partitions.count;
    return n;
}

static struct msg_consumer_group_describe_response_described_group *describe(struct rig *r, const char *group)
{
    struct msg_consumer_group_describe_request q;
    struct msg_string id = msg_text(group, strlen(group));
    msg_init(&msg_schema_consumer_group_describe_request, &q);
    q.group_ids.items = &id;
    q.group_ids.count = 1;
    struct msg_consumer_group_describe_response *a = ask(r, r->fd, MSG_KEY_consumer_group_describe, 1, &q);
    assert_int_equal(a->groups.count, 1);
    return &a->groups.items[0];
}

static bool is_text(struct msg_string s, const char *expected)
{
    return s.n == (int32_t)strlen(expected) && memcmp(s.p, expected, (size_t)s.n) == 0;
}

static int16_t commit(struct rig *r, const char *member, int32_t epoch)
{
    struct msg_offset_commit_request q;
    struct msg_offset_commit_request_partition p = {.committed_offset = 1, .committed_leader_epoch = -1};
    struct msg_offset_commit_request_topic t = {.name = msg_text("t", 1),
                                                .partitions = {.items = &p, .count = 1}};
    msg_init(&msg_schema_offset_commit_request, &q);
    q.group_id = msg_text("g", 1);
    q.member_id = msg_text(member, strlen(member));
    q.generation_id_or_member_epoch = epoch;
    q.topics.items = &t;
    q.topics.count = 1;
    struct msg_offset_commit_response *a = ask(r, r->fd, MSG_KEY_offset_commit, 9, &q);
    return a->topics.items[0].partitions.items[0].error_code;
}

static int16_t delete_group(struct rig *r)
{
    struct msg_delete_groups_request q;
    struct msg_string id = msg_text("g", 1);
    msg_init(&msg_schema_delete_groups_request, &q);
    q.groups_names.items = &id;
    q.groups_names.count = 1;
    struct msg_delete_groups_response *a = ask(r, r->fd, MSG_KEY_delete_groups, 2, &q);
    return a->results.items[0].error_code;
}

static void test_a_group(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 3);
    assert_int_equal(beat(&r, 1, "m", 1, true)->error_code, 69);
    answer *a = beat(&r, 1, "m", 0, true);
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->member_epoch, 2); /* as in Kafka: one for the member, one for its topics */
    assert_int_equal(a->heartbeat_interval_ms, 5000);
    assert_true(is_text(a->member_id, "m"));
    assert_int_equal(assigned(a), 3);
    a = beat(&r, 0, "", 0, true); /* version 0: an id is made for it */
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->member_id.n, 22);
    assert_int_equal(commit(&r, "m", 2), 0);
    assert_int_equal(commit(&r, "m", 3), 113);
    assert_int_equal(commit(&r, "n", 2), 25);
    rig_close(&r);

    rig_open(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    struct msg_consumer_group_describe_response_described_group *d = describe(&r, "g");
    assert_int_equal(d->error_code, 0);
    assert_true(is_text(d->group_state, "Reconciling"));
    assert_int_equal(d->group_epoch, 3);
    assert_int_equal(d->members.count, 2);
    a = beat(&r, 1, "m", 2, true); /* it names nothing that it owns: the epoch is reached at once */
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->member_epoch, 3);
    make_topic(&r, "later", 2); /* seen by the next heartbeat, without a word of the member */
    a = beat(&r, 1, "m", 3, false);
    assert_int_equal(a->member_epoch, 4);
    assert_int_equal(delete_group(&r), 68);
    assert_int_equal(beat(&r, 1, "m", -1, false)->member_epoch, -1);
    assert_int_equal(describe(&r, "nowhere")->error_code, 69);
    rig_stop(&r);
}

static int16_t set(struct rig *r, const char *name, const char *value)
{
    struct msg_incremental_alter_configs_request_alterable_config one = {
        .name = msg_text(name, strlen(name)), .value = msg_text(value, strlen(value))};
    struct msg_incremental_alter_configs_request_alter_configs_resource a = {
        .resource_type = 32, .resource_name = msg_text("g", 1), .configs = {.items = &one, .count = 1}};
    struct msg_incremental_alter_configs_request q;
    msg_init(&msg_schema_incremental_alter_configs_request, &q);
    q.resources.items = &a;
    q.resources.count = 1;
    const struct msg_incremental_alter_configs_response *out =
        ask(r, r->fd, MSG_KEY_incremental_alter_configs, 1, &q);
    return out->responses.items[0].error_code;
}

/* A group's own settings: in force with the next heartbeat, also after a restart, and within the hub's bounds of then. */
static void test_settings_of_a_group(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.group_consumer_session_min_ms = 100});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    assert_int_equal(beat(&r, 1, "m", 0, true)->heartbeat_interval_ms, 5000);
    assert_int_equal(set(&r, "consumer.heartbeat.interval.ms", "8000"), 0);
    assert_int_equal(beat(&r, 1, "m", 2, false)->heartbeat_interval_ms, 8000);
    rig_close(&r);

    rig_open(&r, (struct server_options){.group_consumer_session_min_ms = 100,
                                         .group_consumer_heartbeat_min_ms = 1,
                                         .group_consumer_heartbeat_max_ms = 7000});
    r.fd = rig_connect(&r);
    assert_int_equal(beat(&r, 1, "m", 2, false)->heartbeat_interval_ms, 7000);
    assert_int_equal(set(&r, "consumer.session.timeout.ms", "100"),
                     40); /* the interval is not what it may be now */
    assert_int_equal(set(&r, "consumer.heartbeat.interval.ms", "50"), 0);
    assert_int_equal(set(&r, "consumer.session.timeout.ms", "100"), 0);
    assert_int_equal(beat(&r, 1, "m", 2, false)->heartbeat_interval_ms, 50);
    while (!is_text(describe(&r, "g")->group_state,
                    "Empty")) /* it says no more, and is not waited for for 45 s */
        usleep(10000);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_group),
        cmocka_unit_test(test_settings_of_a_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
