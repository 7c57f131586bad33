/*
 * The classic protocol, step by step: who waits, who is answered, with what. Time-outs are short and waited for; nothing depends on
 * their being exact.
 */
#include "tests/unit/group/helper.h"

#define STRANGERS 4000
#define STATIC 500

static void test_two_members(void **state)
{
    (void)state;
    struct told a, b, sa, sb;
    make_two(&a, &b);
    sync_as(&sb, b.member, 2, NULL, 0);
    assert_true(is_waiting(&sb));
    assert_int_equal(beat(b.member, 2), 0); /* fine, while the leader assigns */
    struct group_assignment list[] = {{text(a.member), {(const uint8_t *)"for a", 5}},
                                      {text(b.member), {(const uint8_t *)"for b", 5}}};
    sync_as(&sa, a.member, 2, list, 2);
    wait_for(&sa);
    wait_for(&sb);
    assert_string_equal(sa.assignment, "for a");
    assert_string_equal(sb.assignment, "for b");
    sync_as(&sb, b.member, 2, NULL, 0); /* again: the same */
    wait_for(&sb);
    assert_string_equal(sb.assignment, "for b");
    assert_int_equal(beat(a.member, 2), 0);
    assert_int_equal(beat(a.member, 1), GROUP_ILLEGAL_GENERATION);
    assert_int_equal(beat("nobody", 2), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_heartbeat(all, text("nowhere"), text("x"), MSG_NULL_STRING, 1),
                     GROUP_UNKNOWN_MEMBER);
    struct arena arena;
    struct group_view v;
    arena_init(&arena, 1 << 20, NULL);
    assert_int_equal(groups_view(all, text("g"), &arena, &v), 0);
    assert_int_equal(v.member_count, 2);
    assert_memory_equal(v.state.p, "Stable", 6);
    assert_memory_equal(v.members[1].assignment.p, "for b", 5);
    assert_memory_equal(v.members[1].host.p, "/here", 5);
    arena_free(&arena);
    assert_int_equal(groups_forget(all, text("g")), GROUP_NOT_EMPTY);
}

static void test_who_leaves(void **state)
{
    (void)state;
    struct told a, b, s, again;
    make_two(&a, &b);
    sync_as(&s, b.member, 2, NULL, 0);
    assert_int_equal(groups_leave(all, text("g"), text(a.member), MSG_NULL_STRING),
                     0); /* the leader, which has assigned nothing */
    wait_for(&s);
    assert_int_equal(s.error, GROUP_REBALANCING);
    join_as(&again, b.member);
    wait_for(&again);
    assert_int_equal(again.generation, 3);
    assert_string_equal(again.leader, b.member);
    assert_int_equal(groups_leave(all, text("g"), text(b.member), MSG_NULL_STRING), 0);
    assert_int_equal(groups_leave(all, text("g"), text(b.member), MSG_NULL_STRING), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(beat(b.member, 3), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_forget(all, text("g")), 0);
    assert_int_equal(groups_forget(all, text("g")), GROUP_NOT_FOUND);
}

static void test_a_member_that_is_silent_is_gone(void **state)
{
    (void)state;
    struct told a, b, s;
    struct group_join j = join_of("", NULL, range, 1);
    j.session_ms = j.rebalance_ms = 20;
    join(&a, &j);
    wait_for(&a);
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    while (beat("nobody", 1) != GROUP_UNKNOWN_MEMBER || groups_forget(all, text("g")) == GROUP_NOT_EMPTY) {
    } /* a says no more */
    join_as(&b, "");
    wait_for(&b);
    assert_int_equal(b.error, 0);
    assert_string_equal(b.leader, b.member);
}

static void test_a_round_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct told a, b, s;
    struct group_join j = join_of("", NULL, range, 1);
    j.rebalance_ms = 20; /* its session goes on, but it does not join again */
    join(&a, &j);
    wait_for(&a);
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    join(&b, &j);
    wait_for(&b);
    assert_true(b.generation >= 2); /* more, where the first was too slow for its own round */
    assert_string_equal(b.leader, b.member);
    assert_int_equal(b.member_count, 1);
    assert_int_equal(beat(a.member, b.generation), GROUP_UNKNOWN_MEMBER);
}

static struct group_join quick_join(const char *member, const char *instance)
{
    struct group_join j = join_of(member, instance, range, 1);
    j.rebalance_ms = 20;
    return j;
}

/* Of those who do not come in time a static one stays, whoever joined before it: the round waits for it, or for its session to end. */
static void test_only_a_static_member_is_left_in_a_round(void **state)
{
    (void)state;
    struct told a, b, c, again[2];
    join_as(&c, ""); /* as long as it is there, rounds have time */
    wait_for(&c);
    struct group_join j = quick_join("", NULL);
    join(&a, &j);
    join_as(&again[0], c.member);
    wait_for(&a);
    j = quick_join("", "one");
    join(&b, &j);
    join_as(&again[0], c.member);
    j = quick_join(a.member, NULL);
    join(&again[1], &j);
    wait_for(&b);
    assert_int_equal(b.generation, 3);
    assert_int_equal(groups_leave(all, text("g"), text(c.member), MSG_NULL_STRING), 0);
    while (beat(a.member, 3) == GROUP_REBALANCING) {
    } /* its time is over soon */
    assert_int_equal(beat(a.member, 3), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_heartbeat(all, text("g"), text(b.member), text("one"), 3), GROUP_REBALANCING);
    j = quick_join(b.member, "one");
    join(&again[1], &j);
    wait_for(&again[1]);
    assert_int_equal(again[1].error, 0);
    assert_int_equal(again[1].generation, 4);
    assert_string_equal(again[1].leader, b.member);
}

static void test_an_id_first(void **state)
{
    (void)state;
    struct told a, b;
    struct group_join j = join_of("", NULL, range, 1);
    j.id_first = true;
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_MEMBER_ID_REQUIRED);
    assert_int_equal(strncmp(a.member, "client-", 7), 0);
    assert_int_equal(strlen(a.member), 7 + 36);
    join_as(&b, "somebody-else");
    wait_for(&b);
    assert_int_equal(b.error, GROUP_UNKNOWN_MEMBER);
    join_as(&b, a.member);
    wait_for(&b);
    assert_int_equal(b.error, 0);
    assert_string_equal(b.member, a.member);
}

static void test_static_members(void **state)
{
    (void)state;
    struct told a, s, back;
    struct group_join j = join_of("", "one", range, 1);
    struct group_assignment list[1];
    j.id_first = true; /* not asked of static ones */
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, 0);
    list[0] = (struct group_assignment){text(a.member), {(const uint8_t *)"mine", 4}};
    sync_as(&s, a.member, 1, list, 1);
    wait_for(&s);
    join(&back, &j); /* restarted: a new id, the same generation and assignment, and the old leader's name */
    wait_for(&back);
    assert_int_equal(back.error, 0);
    assert_int_equal(back.generation, 1);
    assert_string_not_equal(back.member, a.member);
    assert_string_equal(back.leader, a.member);
    assert_int_equal(back.member_count, 0);
    assert_int_equal(groups_heartbeat(all, text("g"), text(a.member), text("one"), 1), GROUP_FENCED_INSTANCE);
    sync_as(&s, back.member, 1, NULL, 0);
    wait_for(&s);
    assert_string_equal(s.assignment, "mine");
    j.skip_assignment = true; /* version 9: it leads, but is told not to assign */
    join(&back, &j);
    wait_for(&back);
    assert_true(back.skip);
    assert_string_equal(back.leader, back.member);
    assert_int_equal(back.member_count, 1);
    j = join_of(a.member, "one", range, 1); /* the one from before */
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_FENCED_INSTANCE);
    assert_int_equal(groups_leave(all, text("g"), text(""), text("one")), 0);
    assert_int_equal(groups_leave(all, text("g"), text(""), text("one")), GROUP_UNKNOWN_MEMBER);
}

static void test_protocols(void **state)
{
    (void)state;
    struct told a, b, s, again;
    struct group_join j = join_of("", NULL, both, 2);
    join(&a, &j);
    wait_for(&a);
    assert_string_equal(a.protocol, "sticky");
    sync_as(&s, a.member, 1, NULL, 0);
    wait_for(&s);
    j = join_of("", NULL, other, 1);
    join(&b, &j);
    wait_for(&b);
    assert_int_equal(b.error, GROUP_INCONSISTENT_PROTOCOL);
    j = join_of("", NULL, range, 1);
    j.type = text("connect");
    join(&b, &j);
    wait_for(&b);
    assert_int_equal(b.error, GROUP_INCONSISTENT_PROTOCOL);
    join_as(&b, "");
    j = join_of(a.member, NULL, both, 2);
    join(&again, &j);
    wait_for(&b);
    wait_for(&again);
    assert_string_equal(b.protocol, "range"); /* what both have */
    assert_string_equal(again.metadata[0], "r");
    sync_as(&s, a.member, 2, NULL, 0);
    wait_for(&s);
    j = join_of(b.member, NULL, range, 1); /* a follower that says nothing new is told what is */
    join(&again, &j);
    wait_for(&again);
    assert_int_equal(again.generation, 2);
    assert_int_equal(beat(a.member, 2), 0);
    j = join_of("", NULL, NULL, 0);
    join(&b, &j);
    wait_for(&b);
    assert_int_equal(b.error, GROUP_INCONSISTENT_PROTOCOL);
}

static void test_bad_joins(void **state)
{
    (void)state;
    struct told a;
    struct group_join j = join_of("", NULL, range, 1);
    j.group = text("");
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_INVALID_ID);
    j = join_of("", NULL, range, 1);
    j.session_ms = SESSION_MS + 1;
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_INVALID_SESSION_TIMEOUT);
    j.session_ms = 9;
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_INVALID_SESSION_TIMEOUT);
    join_as(&a, "unknown");
    wait_for(&a);
    assert_int_equal(a.error, GROUP_UNKNOWN_MEMBER);
}

/* What a member may say of itself has a limit, as others of its group wait while it is looked at, and have to be written with it. */
static void test_members_that_say_too_much(void **state)
{
    (void)state;
    struct told a;
    struct group_protocol many[GROUP_PROTOCOLS_MAX + 1];
    uint8_t *large = calloc(1, GROUP_MEMBER_BYTES_MAX);
    assert_non_null(large);
    for (int i = 0; i <= GROUP_PROTOCOLS_MAX; i++)
        many[i] = range[0];
    struct group_join j = join_of("", NULL, many, GROUP_PROTOCOLS_MAX + 1);
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_INVALID_REQUEST);
    many[0].metadata = (struct msg_bytes){large, GROUP_MEMBER_BYTES_MAX};
    j.protocol_count = 1;
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_INVALID_REQUEST);
    many[0].metadata.n -= (int32_t)strlen("range");
    join(&a, &j);
    wait_for(&a);
    assert_int_equal(a.error, 0);
    free(large);
}

/* Of many who ask for an id and do not come with it the first are forgotten, and are told to ask again. */
static void test_ids_that_nobody_comes_with(void **state)
{
    (void)state;
    struct told first, second, last = {0};
    struct group_join j = join_of("", NULL, range, 1);
    j.id_first = true;
    join(&first, &j);
    wait_for(&first);
    join(&second, &j);
    wait_for(&second);
    for (int i = 1; i < GROUP_PENDING_MAX; i++) {
        join(&last, &j);
        wait_for(&last);
        assert_int_equal(last.error, GROUP_MEMBER_ID_REQUIRED);
    }
    struct told a, b, c;
    join_as(&a, first.member);
    wait_for(&a);
    assert_int_equal(a.error, GROUP_UNKNOWN_MEMBER);
    join_as(&b, second.member);
    join_as(&c, last.member);
    assert_true(is_waiting(&b)); /* for the others */
    assert_true(is_waiting(&c));
    groups_interrupt(all);
    wait_for(&b);
    wait_for(&c);
}

/* What it takes this thread to tell so many that they are no members of the group. */
static int64_t cost_of_strangers(const char *group)
{
    static char names[STRANGERS][48];
    static struct group_leaving list[STRANGERS];
    struct timespec from, to;
    for (int i = 0; i < STRANGERS; i++) {
        snprintf(names[i], sizeof names[i], "client-%036d", i); /* as long as those that are given */
        list[i] = (struct group_leaving){.member = text(i % 2 == 0 ? names[i] : ""),
                                         .instance = text(i % 2 == 0 ? NULL : names[i])};
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
    groups_leave_all(all, text(group), list, STRANGERS);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
    for (int i = 0; i < STRANGERS; i++)
        assert_int_equal(list[i].error, GROUP_UNKNOWN_MEMBER);
    return (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

/*
 * Who is no member is told so at a price that does not grow with the members and the ids that were given: a request can name very many. Processor
 * time is compared with that of a group that has next to nothing, of which it was hundreds of times as much.
 */
static void test_strangers_who_leave(void **state)
{
    (void)state;
    static struct told fixed[STATIC];
    struct told t;
    struct group_join j = join_of("", NULL, range, 1);
    j.id_first = true;
    for (int i = 0; i <= GROUP_PENDING_MAX; i++) {
        join(&t, &j);
        wait_for(&t);
        assert_int_equal(t.error, GROUP_MEMBER_ID_REQUIRED);
        j.group = text("many");
    }
    for (int i = 0; i < STATIC; i++) {
        char name[48];
        snprintf(name, sizeof name, "instance-%034d", i);
        j.instance = text(name);
        join(&fixed[i], &j);
        assert_true(is_waiting(&fixed[i])); /* for those who have an id */
    }
    cost_of_strangers("g"); /* memory that is touched for the first time does not count */
    int64_t few = cost_of_strangers("g"), many = cost_of_strangers("many");
    if (many > 20 * few)
        fail_msg("%lld ns, and %lld ns where there are none", (long long)many, (long long)few);
    groups_interrupt(all);
    for (int i = 0; i < STATIC; i++)
        wait_for(&fixed[i]);
}

static void test_a_group_that_is_full(void **state)
{
    (void)state;
    struct told a, b, c, s, again;
    struct err e;
    struct group_options o = {
        .session_min_ms = 10, .session_max_ms = SESSION_MS, .max_size = 2, .store = fake_store_of(&store)};
    groups_stop(all);
    all = groups_start(&o, &e);
    make_two(&a, &b);
    struct group_join j = join_of("", NULL, range, 1);
    j.id_first = true; /* not even an id is given */
    join(&c, &j);
    wait_for(&c);
    assert_int_equal(c.error, GROUP_FULL);
    sync_as(&s, a.member, 2, NULL, 0);
    wait_for(&s);
    join_as(&again, a.member); /* who is in may come again, */
    join_as(&c, "");           /* and who comes in the place of one that has not come yet is let in */
    assert_true(is_waiting(&c));
    join_as(&s, b.member);
    wait_for(&again);
    wait_for(&c);
    wait_for(&s);
    assert_int_equal(again.member_count, 3);
}

static void test_who_may_commit(void **state)
{
    (void)state;
    struct told a, b, s;
#define MAY(member, generation)                                                                              \
    groups_may_commit(all, text("g"), text(member), MSG_NULL_STRING, generation, NULL)
    assert_int_equal(MAY("", -1), 0); /* there is no group: somebody who assigns partitions itself */
    assert_int_equal(MAY("x", 1), GROUP_NOT_FOUND);
    make_two(&a, &b);
    assert_int_equal(MAY(a.member, 2), GROUP_REBALANCING); /* its assignments are not told yet */
    sync_as(&s, a.member, 2, NULL, 0);
    wait_for(&s);
    assert_int_equal(MAY(a.member, 2), 0);
    assert_int_equal(MAY(a.member, 1), GROUP_ILLEGAL_GENERATION);
    assert_int_equal(MAY("", -1), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(groups_leave(all, text("g"), text(b.member), MSG_NULL_STRING), 0);
    assert_int_equal(MAY(a.member, 2), 0); /* a rebalance has begun: what was read before may be committed */
    assert_int_equal(groups_leave(all, text("g"), text(a.member), MSG_NULL_STRING), 0);
    assert_int_equal(MAY("", -1), 0);
    assert_int_equal(MAY(a.member, 2), GROUP_UNKNOWN_MEMBER);
}

static void test_the_first_round_waits_for_others(void **state)
{
    (void)state;
    struct told a, b;
    groups_stop(all);
    start(SESSION_MS, 10); /* longer than this test */
    join_as(&a, "");
    join_as(&b, "");
    assert_true(is_waiting(&a) && is_waiting(&b));
    groups_interrupt(all);
    wait_for(&a);
    wait_for(&b);
    groups_stop(all);
    start(20, 10);
    join_as(&a, "");
    wait_for(&a);
    assert_int_equal(a.error, 0);
    assert_int_equal(a.generation, 1);
}

static void test_a_stop_answers_everybody(void **state)
{
    (void)state;
    struct told a, b, s, late;
    make_two(&a, &b);
    sync_as(&s, b.member, 2, NULL, 0);
    groups_interrupt(all);
    wait_for(&s);
    assert_int_equal(s.error, GROUP_NOT_AVAILABLE);
    join_as(&late, "");
    wait_for(&late);
    assert_int_equal(late.error, GROUP_NOT_AVAILABLE);
    assert_int_equal(beat(a.member, 2), GROUP_NOT_AVAILABLE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_two_members),
        TEST(test_who_leaves),
        TEST(test_a_member_that_is_silent_is_gone),
        TEST(test_a_round_does_not_wait_for_ever),
        TEST(test_only_a_static_member_is_left_in_a_round),
        TEST(test_an_id_first),
        TEST(test_static_members),
        TEST(test_protocols),
        TEST(test_bad_joins),
        TEST(test_members_that_say_too_much),
        TEST(test_ids_that_nobody_comes_with),
        TEST(test_strangers_who_leave),
        TEST(test_a_group_that_is_full),
        TEST(test_who_may_commit),
        TEST(test_the_first_round_waits_for_others),
        TEST(test_a_stop_answers_everybody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
