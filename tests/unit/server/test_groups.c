/*
 * Groups over the wire: what describes, lists, deletes them, committed offsets in their corners, and all of it after a restart.
 */
#include <errno.h>

#include "base/fault.h"
#include "group/group.h"
#include "tests/unit/server/client.h"

#define LEAVERS 700

static const uint8_t reads_t[] = {0, 0, 0, 0, 0, 1, 0, 1, 't', 0xff, 0xff, 0xff, 0xff};

static struct msg_string text(const char *s)
{
    return msg_text(s, strlen(s));
}

static void start(struct rig *r)
{
    rig_start(r, (struct server_options){0});
    r->fd = rig_connect(r);
    make_topic(r, "t", 2);
    make_topic(r, "u", 1);
}

static void restart(struct rig *r)
{
    rig_close(r);
    rig_open(r, (struct server_options){0});
    r->fd = rig_connect(r);
}

/* ---- a member --------------------------------------------------------------------------------------------------- */

struct membership {
    char id[80];
    int32_t generation;
};

static void join(struct rig *r, const char *type, struct membership *m)
{
    struct msg_join_group_request q;
    struct msg_join_group_request_protocol p = {text("range"), {reads_t, sizeof reads_t}};
    msg_init(&msg_schema_join_group_request, &q);
    q.group_id = text("g");
    q.session_timeout_ms = q.rebalance_timeout_ms = 60000;
    q.member_id = text(m->id);
    q.protocol_type = text(type);
    q.protocols.items = &p;
    q.protocols.count = 1;
    const struct msg_join_group_response *a = ask(r, r->fd, MSG_KEY_join_group, 3, &q);
    assert_int_equal(a->error_code, 0);
    m->generation = a->generation_id;
    snprintf(m->id, sizeof m->id, "%.*s", a->member_id.n, a->member_id.p);
}

static void sync_with(struct rig *r, const struct membership *m)
{
    struct msg_sync_group_request q;
    struct msg_sync_group_request_assignment own = {text(m->id), {(const uint8_t *)"mine", 4}};
    msg_init(&msg_schema_sync_group_request, &q);
    q.group_id = text("g");
    q.member_id = text(m->id);
    q.generation_id = m->generation;
    q.assignments.items = &own;
    q.assignments.count = 1;
    const struct msg_sync_group_response *a = ask(r, r->fd, MSG_KEY_sync_group, 3, &q);
    assert_int_equal(a->error_code, 0);
    assert_memory_equal(a->assignment.p, "mine", 4);
}

static int16_t beat(struct rig *r, const struct membership *m)
{
    struct msg_heartbeat_request q;
    msg_init(&msg_schema_heartbeat_request, &q);
    q.group_id = text("g");
    q.member_id = text(m->id);
    q.generation_id = m->generation;
    return ((const struct msg_heartbeat_response *)ask(r, r->fd, MSG_KEY_heartbeat, 3, &q))->error_code;
}

static void leave(struct rig *r, const struct membership *m)
{
    struct msg_leave_group_request q;
    msg_init(&msg_schema_leave_group_request, &q);
    q.group_id = text("g");
    q.member_id = text(m->id);
    assert_int_equal(
        ((struct msg_leave_group_response *)ask(r, r->fd, MSG_KEY_leave_group, 1, &q))->error_code, 0);
}

/* ---- tools ------------------------------------------------------------------------------------------------------ */

static const struct msg_describe_groups_response_described_group *describe(struct rig *r, const char *group,
                                                                           int16_t version)
{
    struct msg_describe_groups_request q;
    struct msg_string name = text(group);
    msg_init(&msg_schema_describe_groups_request, &q);
    q.groups.items = &name;
    q.groups.count = 1;
    const struct msg_describe_groups_response *a = ask(r, r->fd, MSG_KEY_describe_groups, version, &q);
    assert_int_equal(a->groups.count, 1);
    return &a->groups.items[0];
}

static void described(struct rig *r, const char *group, int16_t version, int16_t error, const char *state,
                      int32_t members)
{
    const struct msg_describe_groups_response_described_group *g = describe(r, group, version);
    assert_int_equal(g->error_code, error);
    assert_int_equal(g->group_state.n, strlen(state));
    assert_memory_equal(g->group_state.p, state, strlen(state));
    assert_int_equal(g->members.count, members);
}

/* How many groups are listed, in one state and of one type; NULL: of all. */
static int32_t listed(struct rig *r, const char *state, const char *type)
{
    struct msg_list_groups_request q;
    struct msg_string states = state != NULL ? text(state) : text(""),
                      types = type != NULL ? text(type) : text("");
    msg_init(&msg_schema_list_groups_request, &q);
    q.states_filter.items = &states;
    q.states_filter.count = state != NULL;
    q.types_filter.items = &types;
    q.types_filter.count = type != NULL;
    const struct msg_list_groups_response *a = ask(r, r->fd, MSG_KEY_list_groups, 5, &q);
    assert_int_equal(a->error_code, 0);
    return a->groups.count;
}

static int16_t delete (struct rig *r, const char *group)
{
    struct msg_delete_groups_request q;
    struct msg_string name = text(group);
    msg_init(&msg_schema_delete_groups_request, &q);
    q.groups_names.items = &name;
    q.groups_names.count = 1;
    const struct msg_delete_groups_response *a = ask(r, r->fd, MSG_KEY_delete_groups, 2, &q);
    assert_int_equal(a->results.count, 1);
    return a->results.items[0].error_code;
}

/* ---- offsets ---------------------------------------------------------------------------------------------------- */

static int16_t commit_at(struct rig *r, int16_t version, const struct membership *m, const char *topic,
                         int32_t partition, int64_t offset, const char *metadata, int64_t retention_ms)
{
    struct msg_offset_commit_request q;
    struct msg_offset_commit_request_topic t = {.name = text(topic)};
    struct msg_offset_commit_request_partition p = {.partition_index = partition,
                                                    .committed_offset = offset,
                                                    .committed_leader_epoch = -1,
                                                    .committed_metadata = text(metadata)};
    msg_init(&msg_schema_offset_commit_request, &q);
    q.group_id = text("g");
    q.member_id = m != NULL ? text(m->id) : text("");
    q.generation_id_or_member_epoch = m != NULL ? m->generation : -1;
    q.retention_time_ms = retention_ms;
    t.partitions.items = &p;
    t.partitions.count = 1;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_commit_response *a = ask(r, r->fd, MSG_KEY_offset_commit, version, &q);
    assert_int_equal(a->topics.count, 1);
    return a->topics.items[0].partitions.items[0].error_code;
}

static int16_t commit(struct rig *r, const struct membership *m, const char *topic, int32_t partition,
                      int64_t offset)
{
    return commit_at(r, 8, m, topic, partition, offset, "said", -1);
}

/* What is committed of a partition; `stable` as OffsetFetch 7 asks for it. *error: the partition's. */
static int64_t fetch_one(struct rig *r, const char *topic, int32_t partition, bool stable, int16_t *error)
{
    struct msg_offset_fetch_request q;
    struct msg_offset_fetch_request_topic t = {.name = text(topic)};
    msg_init(&msg_schema_offset_fetch_request, &q);
    q.group_id = text("g");
    q.require_stable = stable;
    t.partition_indexes.items = &partition;
    t.partition_indexes.count = 1;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_fetch_response *a = ask(r, r->fd, MSG_KEY_offset_fetch, 7, &q);
    assert_int_equal(a->error_code, 0);
    const struct msg_offset_fetch_response_partition *p = &a->topics.items[0].partitions.items[0];
    *error = p->error_code;
    return p->committed_offset;
}

static int64_t committed(struct rig *r, const char *topic, int32_t partition)
{
    int16_t error;
    int64_t offset = fetch_one(r, topic, partition, false, &error);
    assert_int_equal(error, 0);
    return offset;
}

/* The code for the whole, or that of the one partition. */
static int16_t delete_offset(struct rig *r, const char *group, const char *topic, int32_t partition)
{
    struct msg_offset_delete_request q;
    struct msg_offset_delete_request_topic t = {.name = text(topic)};
    struct msg_offset_delete_request_partition p = {partition};
    msg_init(&msg_schema_offset_delete_request, &q);
    q.group_id = text(group);
    t.partitions.items = &p;
    t.partitions.count = 1;
    q.topics.items = &t;
    q.topics.count = 1;
    const struct msg_offset_delete_response *a = ask(r, r->fd, MSG_KEY_offset_delete, 0, &q);
    if (a->error_code != 0) {
        assert_int_equal(a->topics.count, 0);
        return a->error_code;
    }
    return a->topics.items[0].partitions.items[0].error_code;
}

/* ---- tests ------------------------------------------------------------------------------------------------------ */

static void test_states(void **state)
{
    (void)state;
    struct rig r;
    struct membership m = {.generation = 0};
    start(&r);
    described(&r, "g", 5, 0, "Dead", 0);
    described(&r, "g", 6, GROUP_NOT_FOUND, "Dead", 0);
    assert_int_equal(delete (&r, "g"), GROUP_NOT_FOUND);
    join(&r, "consumer", &m);
    described(&r, "g", 5, 0, "CompletingRebalance", 1);
    const struct msg_describe_groups_response_described_group *g = describe(&r, "g", 5);
    assert_int_equal(g->protocol_data.n, 0); /* told of a stable group only, as its members' metadata */
    assert_int_equal(g->members.items[0].member_metadata.n, 0);
    sync_with(&r, &m);
    for (int round = 0; round < 2; round++) {
        described(&r, "g", 6, 0, "Stable", 1);
        g = describe(&r, "g", 6);
        assert_memory_equal(g->protocol_data.p, "range", 5);
        assert_memory_equal(g->members.items[0].client_id.p, "test", 4);
        assert_int_equal(g->members.items[0].member_metadata.n, sizeof reads_t);
        assert_memory_equal(g->members.items[0].member_assignment.p, "mine", 4);
        assert_int_equal(delete (&r, "g"), GROUP_NOT_EMPTY);
        assert_int_equal(beat(&r, &m), 0);
        restart(&r);
    }
    assert_int_equal(listed(&r, NULL, NULL), 1);
    assert_int_equal(listed(&r, "stable", "Classic"), 1);
    assert_int_equal(listed(&r, "Empty", NULL), 0);
    assert_int_equal(listed(&r, NULL, "consumer"), 0);
    assert_int_equal(listed(&r, "nonsense", NULL), 0);
    struct err e = {0};
    struct group_offset offset = {.topic = "t", .leader_epoch = -1};
    assert_ok(broker_commit_offsets(r.broker, "h", &offset, 1, &e), &e); /* groups without members */
    assert_ok(broker_commit_offsets(r.broker, "i", &offset, 1, &e), &e);
    assert_int_equal(listed(&r, NULL, NULL), 3);
    assert_int_equal(listed(&r, "empty", "classic"), 2);
    assert_int_equal(listed(&r, "stable", NULL), 1);
    leave(&r, &m);
    described(&r, "g", 6, 0, "Empty", 0);
    restart(&r);
    described(&r, "g", 6, 0, "Empty", 0);
    assert_int_equal(delete (&r, "g"), 0);
    restart(&r);
    described(&r, "g", 6, GROUP_NOT_FOUND, "Dead", 0);
    rig_stop(&r);
}

static void put_large_join(struct rig *r, const char *group, const uint8_t *bytes, int32_t n)
{
    struct msg_join_group_request q;
    struct msg_join_group_request_protocol p = {text("range"), {bytes, n}};
    msg_init(&msg_schema_join_group_request, &q);
    q.group_id = text(group);
    q.session_timeout_ms = q.rebalance_timeout_ms = 60000;
    q.member_id = text("");
    q.protocol_type = text("consumer");
    q.protocols.items = &p;
    q.protocols.count = 1;
    put_request(r, MSG_KEY_join_group, 3, &q);
}

/* Without memory at any one place a leader is told of all its members, or of an error, or its connection ends; of half of them never. */
/* More than go at once, one of whom is a member: each is answered, in the order of the request. */
static void test_many_leave_at_once(void **state)
{
    (void)state;
    struct rig r;
    struct membership m = {.id = ""};
    static struct msg_leave_group_request_member_identity who[LEAVERS];
    static char names[LEAVERS][24];
    struct msg_leave_group_request q;
    start(&r);
    join(&r, "consumer", &m);
    msg_init(&msg_schema_leave_group_request, &q);
    q.group_id = text("g");
    q.members.items = who;
    q.members.count = LEAVERS;
    for (int i = 0; i < LEAVERS; i++) {
        snprintf(names[i], sizeof names[i], "stranger-%d", i);
        msg_init(&msg_schema_leave_group_request_member_identity, &who[i]);
        who[i].member_id = text(i == LEAVERS / 2 || i == LEAVERS - 1 ? m.id : names[i]);
    }
    const struct msg_leave_group_response *a = ask(&r, r.fd, MSG_KEY_leave_group, 5, &q);
    assert_int_equal(a->error_code, 0);
    assert_int_equal(a->members.count, LEAVERS);
    for (int i = 0; i < LEAVERS; i++) {
        const struct msg_leave_group_response_member_response *one = &a->members.items[i];
        assert_int_equal(one->error_code, i == LEAVERS / 2 ? 0 : GROUP_UNKNOWN_MEMBER);
        assert_int_equal(one->member_id.n, who[i].member_id.n);
        assert_memory_equal(one->member_id.p, who[i].member_id.p, (size_t)who[i].member_id.n);
    }
    rig_stop(&r);
}

static void test_a_leader_without_memory(void **state)
{
    (void)state;
    struct rig r;
    static const uint8_t large[1 << 20];
    uint64_t answers = 0, nth = 0;
    bool met = true;
    start(&r);
    for (; met; nth++) {
        char group[16];
        int32_t n = 50000 + (int32_t)nth * 5000; /* more than what is there from the last time */
        int fd = rig_connect(&r);
        struct pollfd readable = {.fd = fd, .events = POLLIN};
        uint8_t first;
        snprintf(group, sizeof group, "g%d", (int)nth);
        put_large_join(&r, group, large, n);
        fault_arm(FAULT_ALLOC, nth + 1, ENOMEM, false);
        send_requests(&r, fd);
        assert_int_equal(poll(&readable, 1, LIMIT_MS), 1);
        met = fault_passes(FAULT_ALLOC) > nth;
        fault_disarm();
        if (recv(fd, &first, 1, MSG_PEEK) == 1) {
            const struct msg_join_group_response *a =
                get_answer(&r, fd, MSG_KEY_join_group, 3, r.correlation);
            answers += a->error_code == 0;
            assert_int_equal(a->members.count, a->error_code == 0);
            assert_true(a->error_code != 0 || a->members.items[0].metadata.n == n);
        }
        arena_reset(&r.arena);
        close(fd);
    }
    assert_true(nth > 10);
    assert_true(answers > 0);
    rig_stop(&r);
}

static void test_commits(void **state)
{
    (void)state;
    struct rig r;
    struct membership m = {.generation = 0};
    static char long_text[4098];
    memset(long_text, 'x', sizeof long_text - 1);
    start(&r);
    assert_int_equal(committed(&r, "t", 0), -1);
    assert_int_equal(commit(&r, NULL, "t", 0, 5), 0); /* somebody who assigns partitions itself */
    assert_int_equal(committed(&r, "t", 0), 5);
    assert_int_equal(commit(&r, NULL, "t", 2, 5), 3);
    assert_int_equal(commit(&r, NULL, "nowhere", 0, 5), 3);
    assert_int_equal(commit_at(&r, 8, NULL, "t", 0, 6, long_text, -1), 12);
    assert_int_equal(commit_at(&r, 8, NULL, "t", 1, 6, long_text + 1, -1), 0);
    assert_int_equal(commit(&r, NULL, "t", 1, -7), 0); /* kept as it is */
    assert_int_equal(committed(&r, "t", 1), -7);
    assert_int_equal(commit(&r, NULL, "t", 1, -1), 0); /* none */
    assert_int_equal(committed(&r, "t", 1), -1);
    assert_int_equal(commit_at(&r, 2, NULL, "u", 0, 1, "", 3600000),
                     0); /* kept as long as an older client asks */
    restart(&r);
    assert_int_equal(committed(&r, "u", 0), 1);
    join(&r, "consumer", &m);
    assert_int_equal(commit(&r, &m, "t", 0, 6), 27);      /* its assignments are not told yet */
    assert_int_equal(commit(&r, &m, "nowhere", 0, 6), 3); /* what is wrong with a topic comes first, */
    assert_int_equal(commit(&r, &m, "t", 2, 6), 3);       /* or with a partition */
    sync_with(&r, &m);
    assert_int_equal(commit(&r, NULL, "t", 0, 6), 25);
    assert_int_equal(commit(&r, &m, "t", 0, 6), 0);
    m.generation++;
    assert_int_equal(commit(&r, &m, "t", 0, 7), 22);
    assert_int_equal(committed(&r, "t", 0), 6);
    rig_stop(&r);
}

static void test_deleting_offsets(void **state)
{
    (void)state;
    struct rig r;
    struct membership m = {.generation = 0};
    start(&r);
    assert_int_equal(delete_offset(&r, "g", "t", 0), GROUP_NOT_FOUND);
    assert_int_equal(commit(&r, NULL, "t", 0, 5), 0);
    assert_int_equal(commit(&r, NULL, "u", 0, 6), 0);
    assert_int_equal(delete_offset(&r, "g", "t", 1), 0); /* there is none */
    assert_int_equal(delete_offset(&r, "g", "nowhere", 0), 3);
    assert_int_equal(delete_offset(&r, "g", "t", 0), 0);
    assert_int_equal(committed(&r, "t", 0), -1);
    assert_int_equal(commit(&r, NULL, "t", 0, -2), 0); /* kafkajs's mark for the beginning */
    assert_int_equal(delete_offset(&r, "g", "t", 0), 0);
    assert_int_equal(committed(&r, "t", 0), -1);
    join(&r, "consumer", &m);
    sync_with(&r, &m);
    assert_int_equal(commit(&r, &m, "t", 0, 7), 0);
    assert_int_equal(delete_offset(&r, "g", "t", 0), GROUP_SUBSCRIBED);
    assert_int_equal(delete_offset(&r, "g", "u", 0), 0);
    restart(&r);
    assert_int_equal(committed(&r, "u", 0), -1);
    assert_int_equal(committed(&r, "t", 0), 7);
    assert_int_equal(delete_offset(&r, "g", "t", 0), GROUP_SUBSCRIBED);
    leave(&r, &m);
    assert_int_equal(delete_offset(&r, "g", "t", 0), 0);
    m.id[0] = 0;
    join(&r, "connect", &m); /* whose members say nothing of topics */
    sync_with(&r, &m);
    assert_int_equal(delete_offset(&r, "g", "t", 0), GROUP_NOT_EMPTY);
    rig_stop(&r);
}

static void test_offsets_of_open_transactions(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    int64_t id;
    int16_t epoch, error;
    start(&r);
    assert_int_equal(commit(&r, NULL, "t", 0, 5), 0);
    assert_ok(broker_init_producer(r.broker, "x", 60000, &id, &epoch, &e), &e);
    struct group_offset o[] = {{.topic = "t", .offset = 9, .leader_epoch = -1},
                               {.topic = "u", .offset = 8, .leader_epoch = -1}};
    assert_ok(broker_txn_commit_offsets(r.broker, "x", id, epoch, "g", o, 2, &e), &e);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(fetch_one(&r, "t", 0, false, &error), 5);
        assert_int_equal(error, 0);
        assert_int_equal(fetch_one(&r, "t", 0, true, &error), -1);
        assert_int_equal(error, GROUP_UNSTABLE);
        assert_int_equal(fetch_one(&r, "u", 0, true, &error), -1);
        assert_int_equal(error, GROUP_UNSTABLE);
        assert_int_equal(fetch_one(&r, "t", 1, true, &error), -1);
        assert_int_equal(error, 0);
        restart(&r);
    }
    assert_ok(broker_txn_end(r.broker, "x", id, epoch, true, &e), &e);
    assert_int_equal(fetch_one(&r, "t", 0, true, &error), 9);
    assert_int_equal(error, 0);
    assert_int_equal(fetch_one(&r, "u", 0, true, &error), 8);
    assert_ok(broker_txn_commit_offsets(r.broker, "x", id, epoch, "g", o, 1, &e), &e);
    assert_ok(broker_txn_end(r.broker, "x", id, epoch, false, &e), &e);
    assert_int_equal(fetch_one(&r, "t", 0, true, &error), 9);
    assert_int_equal(error, 0);
    rig_stop(&r);
}

/* All of two groups in one request; one of them has committed nothing. */
static void test_fetching_all(void **state)
{
    (void)state;
    struct rig r;
    start(&r);
    assert_int_equal(commit(&r, NULL, "t", 0, 5), 0);
    assert_int_equal(commit(&r, NULL, "u", 0, 6), 0);
    assert_int_equal(commit(&r, NULL, "t", 1, 7), 0);
    struct msg_offset_fetch_request q;
    struct msg_offset_fetch_request_group groups[3];
    msg_init(&msg_schema_offset_fetch_request, &q);
    for (int i = 0; i < 3; i++) {
        msg_init(&msg_schema_offset_fetch_request_group, &groups[i]);
        groups[i].group_id = text(i == 0 ? "g" : i == 1 ? "nobody" : "");
        groups[i].topics.items = NULL;
        groups[i].topics.count = -1;
    }
    q.groups.items = groups;
    q.groups.count = 3;
    const struct msg_offset_fetch_response *a = ask(&r, r.fd, MSG_KEY_offset_fetch, 9, &q);
    assert_int_equal(a->groups.count, 3);
    assert_int_equal(a->groups.items[0].topics.count, 2);
    assert_int_equal(a->groups.items[0].topics.items[0].partitions.count, 2);
    assert_int_equal(a->groups.items[0].topics.items[0].partitions.items[1].committed_offset, 7);
    assert_memory_equal(a->groups.items[0].topics.items[1].partitions.items[0].metadata.p, "said", 4);
    assert_int_equal(a->groups.items[1].error_code, 0);
    assert_int_equal(a->groups.items[1].topics.count, 0);
    assert_int_equal(a->groups.items[2].error_code, 0); /* the empty one */
    assert_int_equal(a->groups.items[2].topics.count, 0);
    rig_stop(&r);
}

/* What lists groups and asks whether one is there copies none of their offsets, which keep all others from committing. */
static void test_listing_does_not_copy_offsets(void **state)
{
    (void)state;
    enum { MANY = 500 };
    struct rig r;
    struct err e = {0};
    static struct group_offset offsets[MANY];
    start(&r);
    make_topic(&r, "many", MANY);
    for (int32_t i = 0; i < MANY; i++)
        offsets[i] = (struct group_offset){.topic = "many", .partition = i, .offset = 1, .leader_epoch = -1};
    assert_ok(broker_commit_offsets(r.broker, "g", offsets, MANY, &e), &e);
    fault_arm(FAULT_ALLOC, UINT64_MAX, ENOMEM, false);
    assert_int_equal(listed(&r, NULL, NULL), 1);
    described(&r, "g", 6, 0, "Empty", 0);
    assert_true(fault_passes(FAULT_ALLOC) < MANY);
    fault_disarm();
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states),
        cmocka_unit_test(test_many_leave_at_once),
        cmocka_unit_test(test_a_leader_without_memory),
        cmocka_unit_test(test_commits),
        cmocka_unit_test(test_deleting_offsets),
        cmocka_unit_test(test_offsets_of_open_transactions),
        cmocka_unit_test(test_fetching_all),
        cmocka_unit_test(test_listing_does_not_copy_offsets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
