/*
 * What outlasts a restart: generations, members and their assignments; what waits for the store, and what a write that fails means.
 */
#include "tests/unit/group/helper.h"

#include <errno.h>

#include "base/fault.h"

/* As if the hub had been killed: what was written is there. */
static void restart(void)
{
    groups_stop(all);
    start(0, 10);
}

static void stabilize(struct told *a, struct told *b)
{
    struct told sa, sb;
    make_two(a, b);
    struct group_assignment list[] = {{text(a->member), {(const uint8_t *)"for a", 5}},
                                      {text(b->member), {(const uint8_t *)"for b", 5}}};
    sync_as(&sb, b->member, 2, NULL, 0);
    sync_as(&sa, a->member, 2, list, 2);
    wait_for(&sa);
    wait_for(&sb);
    assert_int_equal(sa.error, 0);
    assert_int_equal(sb.error, 0);
}

static struct group_view view(struct arena *a)
{
    struct group_view v = {.generation = -1};
    arena_init(a, 1 << 20, NULL);
    assert_int_equal(groups_view(all, text("g"), a, &v), 0);
    return v;
}

static void test_a_generation_goes_on(void **state)
{
    (void)state;
    struct told a, b, s, c, again;
    struct arena arena;
    stabilize(&a, &b);
    restart();
    struct group_view v = view(&arena);
    assert_int_equal(v.member_count, 2);
    assert_int_equal(v.generation, 2);
    assert_memory_equal(v.state.p, "Stable", 6);
    assert_memory_equal(v.protocol.p, "range", 5);
    assert_memory_equal(v.type.p, "consumer", 8);
    assert_memory_equal(v.members[0].client_id.p, "client", 6);
    assert_memory_equal(v.members[0].host.p, "/here", 5);
    assert_memory_equal(v.members[0].metadata.p, "r", 1);
    assert_int_equal(v.members[0].instance.n, -1);
    arena_free(&arena);
    assert_int_equal(beat(a.member, 2), 0);
    assert_int_equal(beat(b.member, 2), 0);
    assert_int_equal(beat(b.member, 1), GROUP_ILLEGAL_GENERATION);
    assert_int_equal(groups_may_commit(all, text("g"), text(a.member), MSG_NULL_STRING, 2, NULL), 0);
    sync_as(&s, b.member, 2, NULL, 0);
    wait_for(&s);
    assert_string_equal(s.assignment, "for b");
    join_as(&c, ""); /* the next one is the third */
    join_as(&again, a.member);
    join_as(&s, b.member);
    wait_for(&c);
    wait_for(&again);
    assert_int_equal(c.generation, 3);
    assert_string_equal(again.leader, a.member); /* who led still does */
    assert_int_equal(again.member_count, 3);
}

static void test_members_that_do_not_come_back(void **state)
{
    (void)state;
    struct told a, s;
    struct arena arena;
    struct group_join j = join_of("", NULL, range, 1);
    j.session_ms = j.rebalance_ms = 20;
    join(&a, &j);
    wait_for(&a);
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    restart();
    struct group_view v;
    do { /* its session ends some time after the start */
        v = view(&arena);
        arena_free(&arena);
    } while (v.member_count > 0);
    assert_int_equal(beat(a.member, 1), GROUP_UNKNOWN_MEMBER);
    restart();
    v = view(&arena); /* empty, with its generation */
    assert_int_equal(v.member_count, 0);
    assert_int_equal(v.generation, 2);
    assert_memory_equal(v.state.p, "Empty", 5);
    arena_free(&arena);
    join_as(&a, "");
    wait_for(&a);
    assert_int_equal(a.generation, 3);
}

static void test_a_static_member_comes_back(void **state)
{
    (void)state;
    struct told a, s, back;
    struct group_join j = join_of("", "one", range, 1);
    join(&a, &j);
    wait_for(&a);
    struct group_assignment list[] = {{text(a.member), {(const uint8_t *)"mine", 4}}};
    sync_as(&s, a.member, 1, list, 1);
    wait_for(&s);
    restart();
    const struct group_protocol more[] = {range[0], other[0]};
    j = join_of("", "one", more, 2); /* they would choose the same again: no rebalance */
    fake_store_set(&store, &store.held, true);
    join(&back, &j);
    assert_true(is_waiting(&back)); /* until its new id is durable */
    fake_store_set(&store, &store.held, false);
    wait_for(&back);
    assert_int_equal(back.error, 0);
    assert_int_equal(back.generation, 1);
    assert_string_equal(back.leader, a.member);
    restart();
    assert_int_equal(groups_heartbeat(all, text("g"), text(a.member), text("one"), 1), GROUP_FENCED_INSTANCE);
    assert_int_equal(groups_heartbeat(all, text("g"), text(back.member), text("one"), 1), 0);
    sync_as(&s, back.member, 1, NULL, 0);
    wait_for(&s);
    assert_string_equal(s.assignment, "mine");
    fake_store_set(&store, &store.failing, true);
    join(&back, &j);
    wait_for(&back);
    assert_int_equal(back.error, GROUP_NOT_AVAILABLE);
    fake_store_set(&store, &store.failing, false);
    const struct group_protocol preferred[] = {other[0], range[0]};
    j = join_of("", "one", preferred, 2); /* they would choose another one: a rebalance */
    join(&back, &j);
    wait_for(&back);
    assert_int_equal(back.generation, 2);
    assert_string_equal(back.protocol, "other");
    j = join_of("", "one", both, 1); /* it has none of what the member had, though that was it */
    join(&back, &j);
    wait_for(&back);
    assert_int_equal(back.error, GROUP_INCONSISTENT_PROTOCOL);
}

static void test_syncs_wait_for_the_record(void **state)
{
    (void)state;
    struct told a, b, sa, sb, again;
    make_two(&a, &b);
    fake_store_set(&store, &store.held, true);
    sync_as(&sa, a.member, 2, NULL, 0);
    sync_as(&sb, b.member, 2, NULL, 0);
    assert_true(is_waiting(&sa) && is_waiting(&sb));
    assert_int_equal(beat(a.member, 2), 0);
    assert_int_equal(groups_leave(all, text("g"), text(b.member), MSG_NULL_STRING), 0);
    wait_for(&sa); /* a new round, whatever becomes of the record */
    wait_for(&sb);
    assert_int_equal(sa.error, GROUP_REBALANCING);
    assert_int_equal(sb.error, GROUP_UNKNOWN_MEMBER);
    join_as(&again, a.member);
    wait_for(&again);
    assert_int_equal(again.generation, 3);
    sync_as(&sa, a.member, 3, NULL, 0);
    fake_store_set(&store, &store.held, false);
    wait_for(&sa);
    assert_int_equal(sa.error, 0);
    restart();
    assert_int_equal(beat(a.member, 3), 0);
    assert_int_equal(beat(b.member, 3), GROUP_UNKNOWN_MEMBER);
}

/* A write of the generation before that ends late says nothing of this one's. */
static void test_an_older_record_answers_no_sync(void **state)
{
    (void)state;
    struct told a, b, s, again;
    make_two(&a, &b);
    fake_store_set(&store, &store.held, true);
    sync_as(&s, a.member, 2, NULL, 0);
    assert_int_equal(groups_leave(all, text("g"), text(b.member), MSG_NULL_STRING), 0);
    wait_for(&s);
    assert_int_equal(s.error, GROUP_REBALANCING);
    join_as(&again, a.member);
    wait_for(&again);
    assert_int_equal(again.generation, 3);
    sync_as(&s, a.member, 3, NULL, 0);
    fake_store_let_one(&store);
    assert_true(is_waiting(&s));
    fake_store_set(&store, &store.held, false);
    wait_for(&s);
    assert_int_equal(s.error, 0);
}

/* A round that memory is missing for is the same one when they have come again. */
static void test_a_round_without_memory(void **state)
{
    bool met = true;
    for (uint64_t nth = 1; met; nth++) {
        struct told a, again;
        fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
        join_as(&a, "");
        met = fault_passes(FAULT_ALLOC) >= nth;
        fault_disarm();
        wait_for(&a);
        if (a.error != 0) {
            join_as(&again, a.member);
            wait_for(&again);
            assert_int_equal(again.error, 0);
            assert_int_equal(again.generation, 1);
        }
        tear_down(state);
        set_up(state);
    }
}

static void test_a_record_that_cannot_be_written(void **state)
{
    (void)state;
    struct told a, b, sa, sb, again;
    make_two(&a, &b);
    fake_store_set(&store, &store.failing, true);
    sync_as(&sb, b.member, 2, NULL, 0);
    sync_as(&sa, a.member, 2, NULL, 0);
    wait_for(&sa);
    wait_for(&sb);
    assert_int_equal(sa.error, GROUP_NOT_AVAILABLE);
    assert_int_equal(sb.error, GROUP_NOT_AVAILABLE);
    assert_int_equal(beat(a.member, 2), GROUP_REBALANCING); /* they are to join again */
    fake_store_set(&store, &store.failing, false);
    fake_store_set(&store, &store.refusing, true);
    join_as(&again, a.member);
    join_as(&sb, b.member);
    wait_for(&again);
    wait_for(&sb);
    assert_int_equal(again.generation, 3);
    sync_as(&sb, b.member, 3, NULL, 0);
    sync_as(&sa, a.member, 3, NULL, 0);
    wait_for(&sa);
    wait_for(&sb); /* it is told, too, and does not wait for a leader that may have given up */
    assert_int_not_equal(sa.error, 0);
    assert_int_equal(sb.error, sa.error);
    assert_int_equal(beat(b.member, 3), GROUP_REBALANCING);
    fake_store_set(&store, &store.refusing, false);
    join_as(&again, a.member);
    join_as(&sb, b.member);
    wait_for(&again);
    wait_for(&sb);
    sync_as(&sa, a.member, 4, NULL, 0);
    wait_for(&sa);
    assert_int_equal(sa.error, 0);
}

static void test_a_group_that_is_deleted(void **state)
{
    (void)state;
    struct told a, s;
    join_as(&a, "");
    wait_for(&a);
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    assert_int_equal(groups_leave(all, text("g"), text(a.member), MSG_NULL_STRING), 0);
    fake_store_set(&store, &store.held, true);
    assert_int_equal(groups_forget(all, text("g")),
                     0); /* while the record of its being empty is on its way */
    assert_int_equal(groups_forget(all, text("g")), GROUP_NOT_FOUND);
    fake_store_set(&store, &store.held, false);
    restart();
    assert_int_equal(map_count(store.records), 0);
    assert_int_equal(groups_forget(all, text("g")), GROUP_NOT_FOUND);
}

/* Groups of which nothing is left are forgotten by themselves, others are not. */
static void test_forgetting(void **state)
{
    (void)state;
    struct told a, s;
    struct arena arena;
    struct err e;
    struct group_view v;
    struct group_options o = {.session_min_ms = 10,
                              .session_max_ms = SESSION_MS,
                              .forget_check_ms = 1,
                              .store = fake_store_of(&store)};
    groups_stop(all);
    store.offsets = true;
    all = groups_start(&o, &e);
    join_as(&a, "");
    wait_for(&a);
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    assert_int_equal(groups_leave(all, text("g"), text(a.member), MSG_NULL_STRING), 0);
    for (int i = 0; i < 10; i++) { /* it has offsets */
        view(&arena);
        arena_free(&arena);
    }
    fake_store_set(&store, &store.offsets, false);
    arena_init(&arena, 1 << 20, NULL);
    while (groups_view(all, text("g"), &arena, &v) == GROUP_OK)
        arena_reset(&arena);
    struct group_join j = join_of("", NULL, range, 1);
    j.id_first = true; /* given an id, it never comes: not even an empty group is left of it */
    j.session_ms = 10;
    join(&a, &j);
    wait_for(&a);
    while (groups_view(all, text("g"), &arena, &v) == GROUP_OK)
        arena_reset(&arena);
    arena_free(&arena);
    restart();
    assert_int_equal(map_count(store.records), 0);
}

static void put_record(const char *key, size_t key_len, const void *value, size_t n)
{
    struct err e;
    struct group_record r = {key, key_len, value, n};
    assert_int_equal(map_put(store.records, key, key_len, fake_copy(&r), &e), 0);
}

/* Records of other kinds, and broken ones, do not keep the hub from starting. */
static void test_records_that_are_not_understood(void **state)
{
    (void)state;
    static const char value[] = "\0\3\0\10consumer\0\0\0\7\xff\xff\xff\xff\0\0\0\0\0\0\0\1\0\0\0\0";
    struct arena arena;
    groups_stop(all);
    for (size_t cut = 0; cut < sizeof value - 1; cut++) {
        char key[] = "\0\2\0\1a";
        key[4] = (char)('A' + cut);
        put_record(key, 5, value, cut);
    }
    put_record("\0\2\0\1g", 5, value, sizeof value - 1);
    put_record("\0\2\0\5g", 5, value, sizeof value - 1);
    put_record("\0\2", 2, value, sizeof value - 1);
    put_record("\0", 1, value, sizeof value - 1);
    put_record("\0\77rest", 6, "", 0);
    put_record("\0\2\0\1v", 5, "\0\5", 2);
    start(0, 10);
    struct group_view v = view(&arena);
    assert_int_equal(v.generation, 7);
    assert_int_equal(v.member_count, 0);
    arena_free(&arena);
    struct group_view *list;
    int32_t n;
    arena_init(&arena, 1 << 20, NULL);
    assert_int_equal(groups_list(all, &arena, &list, &n), 0);
    assert_int_equal(n, 1);
    arena_free(&arena);
}

/* What upkeep is told of the group's use. */
static void test_usage(void **state)
{
    (void)state;
    static const uint8_t reads[] = {0, 1,   0,    0,    0,    2,    0, 1, 'x', 0,
                                    1, 'y', 0xff, 0xff, 0xff, 0xff, 0, 0, 0,   0};
    struct group_protocol p[] = {{{"range", 5}, {reads, sizeof reads}}};
    struct group_usage u = {.topics = map_new()};
    struct told a, s;
    groups_usage(all, "g", &u);
    assert_int_equal(u.use, GROUP_USE_UNKNOWN);
    struct group_join j = join_of("", NULL, p, 1);
    join(&a, &j);
    wait_for(&a);
    groups_usage(all, "g", &u);
    assert_int_equal(u.use, GROUP_USE_ALL); /* its members are on their way */
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    for (int round = 0; round < 2; round++) {
        groups_usage(all, "g", &u);
        assert_int_equal(u.use, GROUP_USE_TOPICS);
        assert_int_equal(map_count(u.topics), 2);
        assert_non_null(map_get(u.topics, "y", 1));
        restart();
    }
    assert_int_equal(groups_leave(all, text("g"), text(a.member), MSG_NULL_STRING), 0);
    groups_usage(all, "g", &u);
    assert_int_equal(u.use, GROUP_USE_EMPTY);
    assert_true(u.since_ms > 0);
    j = join_of("", NULL, range, 1); /* which says no topics */
    join(&a, &j);
    wait_for(&a);
    sync_as(&s, a.member, a.generation, NULL, 0);
    wait_for(&s);
    groups_usage(all, "g", &u);
    assert_int_equal(u.use, GROUP_USE_ALL);
    map_free(u.topics, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_a_generation_goes_on),
        TEST(test_members_that_do_not_come_back),
        TEST(test_a_static_member_comes_back),
        TEST(test_syncs_wait_for_the_record),
        TEST(test_an_older_record_answers_no_sync),
        TEST(test_a_round_without_memory),
        TEST(test_a_record_that_cannot_be_written),
        TEST(test_a_group_that_is_deleted),
        TEST(test_forgetting),
        TEST(test_records_that_are_not_understood),
        TEST(test_usage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
