/*
 * Consumer groups that outlast a restart, and a log that does not take everything.
 */
#include "tests/unit/group/client.h"

static int16_t may(const struct client *m, int32_t epoch, const struct tp_set *of)
{
    return consumer_may_commit(all, text("g"), text(m->id), MSG_NULL_STRING, epoch, 9, of);
}

/* KIP-1251: with an older epoch, of what it has had since then; the log keeps since when. */
static void test_commits_of_an_older_epoch(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL);
    struct tp_set had, gone;
    set_topic(0, 4);
    turn(&a);
    assert_true(tp_set_copy(&a.owned, &had));
    turn(&b);
    turn(&a);
    assert_int_equal(a.epoch, 2); /* it is to give two back, and may still commit for them */
    assert_int_equal(may(&a, 2, &had), 0);
    turn(&a);
    turn(&b);
    assert_int_equal(a.epoch, 3);
    assert_true(tp_set_pick(&had, &a.owned, false, &gone));
    assert_int_equal(gone.n, 2);
    for (int again = 0; again < 2; again++) {
        assert_int_equal(may(&a, 3, NULL), 0);
        assert_int_equal(may(&a, 2, &a.owned), 0);
        assert_int_equal(may(&a, 2, NULL), GROUP_STALE_EPOCH);
        assert_int_equal(may(&a, 2, &gone), GROUP_STALE_EPOCH);
        assert_int_equal(may(&a, 1, &a.owned), GROUP_STALE_EPOCH);
        assert_int_equal(may(&a, 4, &a.owned), GROUP_STALE_EPOCH);
        assert_int_equal(may(&b, 2, &b.owned), GROUP_STALE_EPOCH);
        assert_int_equal(may(&b, 3, &b.owned), 0);
        restart();
    }
    tp_set_free(&had);
    tp_set_free(&gone);
    forget(&a);
    forget(&b);
}

static void test_a_restart(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), b = client_of("b", NULL, NULL),
                  c = client_of("c", "t0", NULL);
    set_topic(0, 4);
    b.regex = "t.*";
    b.assignor = "range";
    c.instance = "fixed";
    turn(&a);
    turn(&b);
    assert_int_equal(beat(&a), 0); /* it has two to give back */
    restart();
    assert_string_equal(state_now(), "Reconciling");
    assert_int_equal(view.epoch, 3);
    assert_int_equal(view.member_count, 2);
    take(&a);
    turn(&a);
    turn(&b);
    for (int i = 0; i < 4; i++) {
        turn(&c);
        turn(&a);
        turn(&b);
    }
    assert_string_equal(state_now(), "Stable");
    assert_int_equal(leave(&c, CONSUMER_LEAVE_STATIC), 0);
    restart();
    changes++; /* the hub's topics are counted anew, and are the same */
    int32_t epoch = b.epoch;
    turn(&b);
    assert_int_equal(b.epoch, epoch);
    forget(&c); /* as a new process */
    c.epoch = 0;
    snprintf(c.id, sizeof c.id, "c2");
    turn(&c);
    assert_int_equal(c.epoch, epoch);
    assert_int_equal(a.owned.n + b.owned.n + c.owned.n, 4);
    restart();
    assert_string_equal(state_now(), "Stable");
    assert_int_equal(view.member_count, 3); /* and not the one that it replaced */
    assert_int_equal(leave(&a, CONSUMER_LEAVE), 0);
    assert_int_equal(leave(&b, CONSUMER_LEAVE), 0);
    assert_int_equal(leave(&c, CONSUMER_LEAVE), 0);
    restart();
    assert_string_equal(state_now(), "Empty");
    assert_int_equal(groups_forget(all, text("g")), 0);
    restart();
    assert_string_equal(state_now(), "none");
    groups_stop(all);
    assert_int_equal(map_count(store.records), 0); /* nothing is left behind */
    open_groups();
    no_view();
    forget(&a);
    forget(&b);
    forget(&c);
}

/* A log that takes nothing for a while: members are told to come again, and what was not written is written later. */
static void test_a_log_that_fails(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL);
    set_topic(0, 2);
    fake_store_set(&store, &store.failing, true);
    assert_int_equal(beat(&a), GROUP_NOT_AVAILABLE);
    fake_store_set(&store, &store.failing, false);
    turn(&a);
    restart();
    assert_int_equal(beat(&a), 0);
    assert_int_equal(a.owned.n, 2);
    subscribe(&a, "t1", NULL);
    fake_store_set(&store, &store.refusing, true);
    assert_int_not_equal(beat_full(&a), 0);
    fake_store_set(&store, &store.refusing, false);
    assert_int_equal(beat_full(&a), 0);
    forget(&a);
}

/* Who went or was replaced while nothing could be written is gone from the log all the same, as soon as it takes something again. */
static void test_members_that_go_while_the_log_fails(void **state)
{
    (void)state;
    bool *const ways[] = {&store.failing, &store.refusing};
    for (size_t i = 0; i < 2; i++) {
        struct client a = client_of("a", "t0", NULL), b = client_of("b", "t0", NULL),
                      c = client_of("c", "t0", NULL);
        set_topic(0, 2);
        a.instance = b.instance = "one";
        turn(&a);
        turn(&c);
        assert_int_equal(leave(&a, CONSUMER_LEAVE_STATIC), 0);
        fake_store_set(&store, ways[i], true);
        assert_int_not_equal(beat(&b), 0);
        leave(&c, CONSUMER_LEAVE);
        fake_store_set(&store, ways[i], false);
        assert_int_equal(leave(&b, CONSUMER_LEAVE_STATIC), 0);
        restart();
        assert_string_not_equal(state_now(), "none");
        assert_int_equal(view.member_count, 1);
        tear_down(state);
        set_up(state);
        forget(&a);
        forget(&b);
        forget(&c);
    }
}

/* Two records of one instance, as earlier versions could leave them, do not keep the hub from starting: one member is left, and nothing of the other. */
static void test_two_records_of_one_instance(void **state)
{
    (void)state;
    struct client a = client_of("a", "t0", NULL), c = client_of("c", "t0", NULL);
    struct err e;
    set_topic(0, 2);
    a.instance = "one";
    turn(&a);
    groups_stop(all);
    const struct group_record *own = map_get(store.records, "\0\5\0\1g\0\1a", 8);
    assert_non_null(own);
    struct group_record more = {"\0\5\0\1g\0\1z", 8, own->value, own->value_len};
    assert_int_equal(map_put(store.records, more.key, more.key_len, fake_copy(&more), &e), 0);
    open_groups();
    state_now();
    assert_int_equal(view.member_count, 1);
    snprintf(a.id, sizeof a.id, "%.*s", view.members[0].member.n, view.members[0].member.p);
    turn(&c);
    assert_int_equal(leave(&a, CONSUMER_LEAVE), 0);
    assert_int_equal(leave(&c, CONSUMER_LEAVE), 0);
    assert_int_equal(groups_forget(all, text("g")), 0);
    groups_stop(all);
    assert_int_equal(map_count(store.records), 0);
    open_groups();
    no_view();
    forget(&a);
    forget(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_a_restart),
        TEST(test_commits_of_an_older_epoch),
        TEST(test_a_log_that_fails),
        TEST(test_members_that_go_while_the_log_fails),
        TEST(test_two_records_of_one_instance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
