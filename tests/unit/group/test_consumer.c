/*
 * Consumer groups (KIP-848): answers and errors one by one.
 */
#include <time.h>

#include "tests/unit/group/client.h"

static void test_two_members(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL);
    set_topic(0, 4);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.epoch, 2);
    assert_int_equal(a.interval_ms, 777);
    assert_int_equal(a.wanted.n, 4);
    take(&a);
    assert_string_equal(state_now(), "Stable");
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.epoch, 3); /* at once, but with nothing yet */
    assert_int_equal(b.wanted.n, 0);
    assert_string_equal(state_now(), "Reconciling");
    assert_int_equal(beat(&a), 0); /* it still owns all four */
    assert_int_equal(a.epoch, 2);
    assert_int_equal(a.wanted.n, 2);
    assert_int_equal(beat(&b), 0);
    assert_int_equal(b.wanted.n, 0);
    revoke(&a);
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(beat(&b), 0);
    assert_true(b.told);
    assert_int_equal(b.wanted.n, 2);
    take(&b);
    assert_string_equal(state_now(), "Stable");
    assert_int_equal(view.epoch, 3);
    assert_int_equal(view.assignment_epoch, 3);
    assert_int_equal(view.member_count, 2);
    assert_memory_equal(view.assignor.p, "uniform", 7);
    assert_int_equal(beat(&a), 0); /* nothing new: nothing is told */
    assert_false(a.told);
    assert_int_equal(beat_full(&a), 0); /* but to who asks in full */
    assert_true(a.told);
    assert_int_equal(leave(&a, CONSUMER_LEAVE), 0);
    assert_int_equal(a.epoch, CONSUMER_LEAVE);
    turn(&b);
    assert_int_equal(b.owned.n, 4);
    assert_int_equal(b.epoch, 4);
    assert_int_equal(groups_forget(all, text("g")), GROUP_NOT_EMPTY);
    assert_int_equal(leave(&b, CONSUMER_LEAVE), 0);
    assert_string_equal(state_now(), "Empty");
    assert_int_equal(groups_forget(all, text("g")), 0);
    assert_string_equal(state_now(), "none");
    no_view();
    forget(&a);
    forget(&b);
}

static void refuse(struct consumer_heartbeat q, int16_t error)
{
    struct client m = {.epoch = 0};
    send(&m, &q, false);
    assert_int_equal(m.error, error);
    assert_int_not_equal(m.why[0], 0);
    forget(&m);
}

static void test_bad_requests(void **state)
{
    (void)state;
    set_topic(0, 1);
    struct client m = client_of("a", "t0", NULL);
    struct consumer_heartbeat good = question_of(&m, true), q;
    refuse((q = good, q.group = text(""), q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.member = text(""), q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.instance = text(""), q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.rack = text(" "), q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.rebalance_ms = -1, q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.topic_count = -1, q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.owned_count = -1, q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.epoch = -3, q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.epoch = CONSUMER_LEAVE_STATIC, q), GROUP_INVALID_REQUEST);
    refuse((q = good, q.assignor = text("sticky"), q), GROUP_UNSUPPORTED_ASSIGNOR);
    static const char name[1000];
    struct msg_string *names = calloc(GROUP_MEMBER_BYTES_MAX / sizeof name + 1, sizeof *names);
    assert_non_null(names);
    for (size_t i = 0; i <= GROUP_MEMBER_BYTES_MAX / sizeof name; i++)
        names[i] = msg_text(name, sizeof name);
    refuse((q = good, q.topics = names, q.topic_count = GROUP_MEMBER_BYTES_MAX / sizeof name + 1, q),
           GROUP_INVALID_REQUEST);
    free(names);
    refuse((q = good, q.regex = text("(?=a)"), q), GROUP_INVALID_REGEX);
    refuse((q = good, q.epoch = 1, q), GROUP_NOT_FOUND);
    refuse((q = good, q.epoch = CONSUMER_LEAVE, q), GROUP_NOT_FOUND);
    assert_string_equal(state_now(), "none"); /* who was refused has made no group */
    good.own_id = false;
    good.member = text("");
    send(&m, &good, false); /* version 0: the id is made here */
    assert_int_equal(m.error, 0);
    assert_true(strlen(m.id) > 10);
    m.epoch = 7;
    assert_int_equal(beat(&m), GROUP_FENCED_EPOCH);
    snprintf(m.id, sizeof m.id, "nobody");
    assert_int_equal(beat(&m), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leave(&m, CONSUMER_LEAVE), GROUP_UNKNOWN_MEMBER);
    no_view();
    forget(&m);
}

static void test_epochs(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL);
    set_topic(0, 2);
    turn(&a);
    set_topic(1, 1);
    subscribe(&a, "t0", "t1");
    struct consumer_heartbeat q = question_of(&a, true);
    send(&a, &q, true); /* the answer, with epoch 3, is lost */
    q = question_of(&a, false);
    q.owned_count = -1;
    send(&a, &q, false);
    assert_int_equal(a.error, GROUP_FENCED_EPOCH); /* it does not say what it owns */
    assert_int_equal(beat_full(&a), 0);
    assert_int_equal(a.epoch, 3);
    a.epoch = 2;
    subscribe(&a, "t0", NULL);
    assert_int_equal(beat_full(&a), 0); /* once more */
    assert_int_equal(a.epoch, 4);
    a.epoch = 2;
    assert_int_equal(beat_full(&a), GROUP_FENCED_EPOCH); /* but not the one before that */
    forget(&a);
    a.epoch = 0;
    assert_int_equal(beat(&a), 0); /* anew */
    assert_int_equal(a.epoch, 4);
    assert_int_equal(a.wanted.n, 2);
    forget(&a);
}

static void test_static_members(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL),
                  c = client_of("c", "t0", NULL);
    set_topic(0, 4);
    a.instance = b.instance = "one";
    turn(&a);
    turn(&c);
    turn(&a);
    turn(&a);
    turn(&c);
    assert_int_equal(a.owned.n, 2);
    int32_t epoch = a.epoch;
    assert_int_equal(beat(&b), GROUP_UNRELEASED_INSTANCE);
    b.epoch = epoch;
    assert_int_equal(beat(&b), GROUP_FENCED_INSTANCE);
    assert_int_equal(leave(&b, CONSUMER_LEAVE), GROUP_FENCED_INSTANCE);
    assert_int_equal(leave(&a, CONSUMER_LEAVE_STATIC), 0);
    assert_int_equal(a.epoch, CONSUMER_LEAVE_STATIC);
    turn(&c); /* its partitions wait for it */
    assert_int_equal(c.owned.n, 2);
    b.epoch = 0;
    turn(&b);
    assert_int_equal(b.epoch, epoch); /* without a new assignment */
    assert_true(tp_set_equal(&b.owned, &a.owned));
    a.epoch = epoch;
    assert_int_equal(beat(&a), GROUP_FENCED_INSTANCE);
    a.instance = "other";
    assert_int_equal(beat(&a), GROUP_UNKNOWN_MEMBER);
    forget(&a);
    forget(&b);
    forget(&c);
}

static void test_topics_come_and_go(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", "t1");
    set_topic(0, 2);
    turn(&a);
    assert_int_equal(a.owned.n, 2);
    set_topic(5, 3); /* nobody's */
    turn(&a);
    assert_int_equal(a.epoch, 2);
    set_topic(1, 3);
    turn(&a);
    assert_int_equal(a.epoch, 3);
    assert_int_equal(a.owned.n, 5);
    set_topic(0, 4);
    turn(&a);
    assert_int_equal(a.owned.n, 7);
    set_topic(1, 0);
    turn(&a);
    assert_int_equal(a.owned.n, 4);
    turn(&a);
    assert_string_equal(state_now(), "Stable");
    no_view();
    forget(&a);
}

static void test_regular_expressions(void **state)
{
    (void)state;
    struct client a = client_of("a", NULL, NULL), b = client_of("b", "t0", NULL);
    set_topic(0, 1);
    set_topic(1, 1);
    a.regex = "t[02]";
    turn(&a);
    assert_int_equal(a.owned.n, 1);
    set_topic(2, 2); /* matches, too */
    turn(&a);
    assert_int_equal(a.owned.n, 3);
    turn(&b);
    turn(&a);
    turn(&a);
    turn(&b);
    assert_int_equal(a.owned.n, 2);
    assert_int_equal(b.owned.n, 1);
    a.regex = "(";
    assert_int_equal(beat_full(&a), GROUP_INVALID_REGEX);
    a.regex = ""; /* none any more */
    subscribe(&a, "t1", NULL);
    assert_int_equal(beat_full(&a), 0);
    take(&a);
    turn(&a);
    assert_int_equal(a.owned.n, 1);
    turn(&b);
    assert_int_equal(b.owned.n, 1);
    forget(&a);
    forget(&b);
}

static void test_the_assignor_that_most_want(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL);
    set_topic(0, 4);
    a.assignor = b.assignor = "range";
    turn(&a);
    turn(&b);
    assert_string_equal(state_now(), "Reconciling");
    assert_memory_equal(view.assignor.p, "range", 5);
    b.assignor = NULL;
    no_view();
    forget(&a);
    forget(&b);
}

static void test_who_may_commit(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL);
    struct msg_string g = text("g"), no = MSG_NULL_STRING;
    set_topic(0, 1);
    turn(&a);
    assert_int_equal(consumer_may_commit(all, g, text("a"), no, 2, 9, NULL), 0);
    assert_int_equal(consumer_may_commit(all, g, text("a"), no, 2, 8, NULL), GROUP_UNSUPPORTED_VERSION);
    assert_int_equal(consumer_may_commit(all, g, text("a"), no, 3, 9, NULL), GROUP_STALE_EPOCH);
    assert_int_equal(consumer_may_commit(all, g, text("b"), no, 2, 9, NULL), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(consumer_may_commit(all, g, text(""), no, -1, 9, NULL), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(consumer_may_fetch(all, g, no, -1), 0);
    assert_int_equal(consumer_may_fetch(all, g, text("a"), 2), 0);
    assert_int_equal(consumer_may_fetch(all, g, text("a"), 3), GROUP_STALE_EPOCH);
    assert_int_equal(consumer_may_fetch(all, g, text("b"), 2), GROUP_UNKNOWN_MEMBER);
    assert_int_equal(leave(&a, CONSUMER_LEAVE), 0);
    assert_int_equal(consumer_may_commit(all, g, text(""), no, -1, 9, NULL), 0); /* while there is nobody */
    assert_int_equal(consumer_may_commit(all, text("new"), text(""), no, -1, 9, NULL), 0);
    assert_int_equal(consumer_may_commit(all, text("new"), text("a"), no, 1, 9, NULL), GROUP_NOT_FOUND);
    assert_int_equal(consumer_may_commit(all, text("new"), text("a"), no, 1, 8, NULL), GROUP_NOT_FOUND);
    forget(&a);
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

static void test_time_outs(void **state)
{
    (void)state;
    tear_down(state);
    start(100, 0, GROUP_MIGRATE_BOTH);
    struct client a = client_of("a", "t0", NULL);
    set_topic(0, 2);
    assert_int_equal(beat(&a), 0);            /* it may be late for a second one */
    while (strcmp(state_now(), "Empty") != 0) /* it says no more */
        nap();
    assert_int_equal(view.epoch, 3);
    assert_int_equal(beat(&a), GROUP_UNKNOWN_MEMBER);
    tear_down(state);
    start(100000, 0, GROUP_MIGRATE_BOTH);
    set_topic(0, 2);
    struct client b = client_of("b", "t0", NULL), c = client_of("c", "t0", NULL);
    b.rebalance_ms = 50;
    turn(&b);
    turn(&c);
    assert_int_equal(beat(&b), 0);           /* it is to give one back, and does not */
    while (beat(&b) != GROUP_UNKNOWN_MEMBER) /* however often it says that it is there */
        nap();
    turn(&c);
    assert_int_equal(c.owned.n, 2);
    no_view();
    forget(&a);
    forget(&b);
    forget(&c);
}

/* What the group has of its own: 0 is nothing. */
static int32_t own_session_ms, own_heartbeat_ms;

static void own_timing(void *arg, const char *group, int32_t *session_ms, int32_t *heartbeat_ms)
{
    assert_ptr_equal(arg, &own_session_ms);
    assert_string_equal(group, "g");
    *session_ms = own_session_ms ? own_session_ms : *session_ms;
    *heartbeat_ms = own_heartbeat_ms ? own_heartbeat_ms : *heartbeat_ms;
}

/* A group with settings of its own, which change while it runs: each counts from the member's next heartbeat on. */
static void test_timing_of_its_own(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL);
    own_session_ms = own_heartbeat_ms = 0;
    groups_stop(all);
    options.consumer_timing = own_timing;
    options.consumer_timing_arg = &own_session_ms;
    open_groups();
    set_topic(0, 1);
    turn(&a);
    assert_int_equal(a.interval_ms, 777);
    own_heartbeat_ms = 333;
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.interval_ms, 333);
    own_session_ms = 100;
    assert_int_equal(beat(&a), 0);
    while (strcmp(state_now(), "Empty") != 0) /* and not after the 100 s of others */
        nap();
    assert_int_equal(beat(&a), GROUP_UNKNOWN_MEMBER);
    no_view();
    forget(&a);
}

static void test_a_full_group(void **state)
{
    (void)state;
    tear_down(state);
    start(100000, 1, GROUP_MIGRATE_BOTH);
    struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL);
    turn(&a);
    assert_int_equal(beat(&b), GROUP_FULL);
    turn(&a);
    forget(&a);
    forget(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_two_members),
        TEST(test_bad_requests),
        TEST(test_epochs),
        TEST(test_static_members),
        TEST(test_topics_come_and_go),
        TEST(test_regular_expressions),
        TEST(test_the_assignor_that_most_want),
        TEST(test_who_may_commit),
        TEST(test_time_outs),
        TEST(test_timing_of_its_own),
        TEST(test_a_full_group),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
