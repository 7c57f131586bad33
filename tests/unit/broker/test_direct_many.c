/*
 * Appends to many logs in one round: synced where they stand, side by side, where the disk would take longer to write them twice; that they
 * are there after a loss of power, and that a sync that fails is its log's own affair.
 */
#include "tests/unit/broker/helper.h"
#include "tests/lib/power.h"

#include "base/fault.h"
#include "broker/commit_internal.h"
#include "broker/store.h"
#include "broker/upkeep.h"

enum { MANY = 20, FEW = 5, KEY = 40000, SLOW_MS = 10000, FAST_MS = 700 };

/* Without threads syncs are one after the other, and a round has what the test puts into it. */
static void open_many(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 4 << 20, .no_threads = true};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    f->b->disks[0]->commit->rated = false; /* by what the tests say, and not by the disk that they run on */
}

/* Side by side; whatever the rounds are, all that is appended goes direct. */
static void open_with_threads(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir, .journal_file_bytes = 4 << 20, .direct_bytes = KEY};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

/* A record with `copied` bytes, and references to `direct`, took so long. */
static void tell(struct fixture *f, size_t copied, size_t direct, int64_t us)
{
    struct commit *c = f->b->disks[0]->commit;
    c->rated = true;
    commit_rate_disk(c, copied, direct, us * 1000);
    c->rated = false;
}

static uint64_t direct_bytes(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s.direct_bytes;
}

struct round {
    struct produce_request q[MANY];
    struct buf data[MANY];
};

/* A round of an append to each of `n` logs; how many bytes of it were synced where they stand. */
static uint64_t append_round(struct fixture *f, const char *topic, int n, struct round *r)
{
    uint64_t before = direct_bytes(f);
    f->key_bytes = KEY;
    for (int i = 0; i < n; i++) {
        r->q[i] = make_request(f, topic, i, "k", 0, 1, BATCH_NO_PRODUCER);
        buf_init(&r->data[i], 1 << 20);
        assert_ok(buf_append(&r->data[i], f->batch.data, f->batch.len, &f->e), &f->e);
        r->q[i].data = r->data[i].data;
    }
    f->key_bytes = 0;
    broker_produce(f->b, r->q, (size_t)n, false, &f->e);
    for (int i = 0; i < n; i++)
        buf_free(&r->data[i]);
    return direct_bytes(f) - before;
}

static uint64_t round_to(struct fixture *f, const char *topic, int n)
{
    struct round r;
    uint64_t direct = append_round(f, topic, n, &r);
    for (int i = 0; i < n; i++)
        assert_ok(r.q[i].error.code, &r.q[i].error);
    return direct;
}

static uint64_t round_of(struct fixture *f, int n)
{
    return round_to(f, "many", n);
}

/* A new log's first sync has more to take along than bytes. */
static void settle(struct fixture *f, const char *topic)
{
    round_to(f, topic, MANY);
    assert_ok(upkeep_release_journal(f->b->disks[0], &f->e), &f->e);
}

static int setup_new(void **state)
{
    setup(state);
    struct fixture *f = *state;
    create(f, "many", MANY);
    fixture_close(f);
    open_many(f);
    return 0;
}

static int setup_many(void **state)
{
    setup_new(state);
    settle(*state, "many");
    return 0;
}

/* A GiB took so long. From the second round on it is known what the one before was like. */
static void on_a_disk(struct fixture *f, int64_t ms)
{
    tell(f, (size_t)1 << 30, 0, ms * 1000);
    for (int i = 0; i < 2; i++)
        round_of(f, MANY);
}

static void expect_rounds(struct fixture *f, int n)
{
    char want[256] = "k0";
    for (int i = 1; i < n; i++)
        strcat(want, ",k0");
    for (int i = 0; i < MANY; i++)
        expect_all(f, "many", i, READ_UNCOMMITTED, want);
}

static void expect_after_any_loss(struct power *m, int n)
{
    for (unsigned luck = 0; luck <= 8; luck += 4) {
        struct fixture after = {.dir = testkit_dir()};
        char *dir = after.dir, path[512];
        snprintf(path, sizeof path, "%s/image", dir);
        power_image(m, m->root, path, luck);
        io_watch(NULL, NULL);
        after.dir = path;
        open_many(&after);
        expect_rounds(&after, n);
        fixture_close(&after);
        io_watch(power_event, m);
        testkit_remove_dir(dir);
    }
}

static void test_new_logs(void **state)
{
    struct fixture *f = *state;
    create(f, "more", MANY);
    on_a_disk(f, SLOW_MS);
    assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
    for (int i = 0; i < 3; i++)
        assert_int_equal(round_to(f, "more", MANY), 0);
    settle(f, "more");
    round_to(f, "more", MANY);
    assert_true(round_to(f, "more", MANY) >= (uint64_t)MANY * KEY);
}

static void test_on_a_slow_disk(void **state)
{
    struct fixture *f = *state;
    struct power m;
    power_start(&m, f->dir, 1, NULL, NULL); /* before any file is open */
    settle(f, "many");
    assert_int_equal(round_of(f, MANY), 0);
    on_a_disk(f, SLOW_MS);
    for (int i = 0; i < 2; i++)
        assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
    expect_after_any_loss(&m, 6);
    power_stop(&m);
}

/* A round of few waits for its two syncs longer than for the bytes. */
static void test_few_logs(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, SLOW_MS);
    round_of(f, FEW);
    assert_int_equal(round_of(f, FEW), 0);
}

static void test_on_a_fast_disk(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, FAST_MS);
    assert_int_equal(round_of(f, MANY), 0);
}

/* Small rounds wait, and say nothing of how much the disk writes. */
static void test_small_rounds_do_not_count(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, FAST_MS);
    for (int i = 0; i < 100000; i++)
        tell(f, 500 << 10, 0, 250 * 1000);
    for (int i = 0; i < 2; i++)
        round_of(f, MANY);
    assert_int_equal(round_of(f, MANY), 0);
}

static void expect_copied(struct fixture *f)
{
    for (int i = 0; i < 2; i++)
        round_of(f, MANY); /* begun before */
    assert_int_equal(round_of(f, MANY), 0);
}

static void seek(struct fixture *f)
{
    for (int i = 0; i < 8; i++)
        tell(f, 1000, (size_t)MANY * KEY, 8000);
}

/* A disk that has to seek for each log: copies are faster on it, slow as it is. After some GiB that is tried again, each time for some rounds. */
static void test_where_syncs_take_long(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, SLOW_MS);
    assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
    seek(f);
    expect_copied(f);
    tell(f, 200 << 10, 0, 100); /* not a small one */
    expect_copied(f);
    for (int trial = 0; trial < 10; trial++) {
        int n = 0;
        for (uint64_t direct = 0; !direct; n++) {
            on_a_disk(f, SLOW_MS);
            direct = round_of(f, MANY);
        }
        assert_in_range(n, 2, 9);
        seek(f);
        expect_copied(f);
    }
}

/* Rounds that copy less than they have direct tell of small records no more than of copies. */
static void test_large_records_beside_them(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, SLOW_MS);
    for (int i = 0; i < 100; i++)
        tell(f, 600 << 10, (size_t)64 << 20, 6000);
    for (int i = 0; i < 2; i++)
        assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
}

/* Nor is one that has large logs in each round without a rate. */
static void test_a_large_log_beside_them(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 1000; i++)
        tell(f, 1 << 20, 800 << 10, 10000);
    round_of(f, MANY);
    round_of(f, MANY);
    assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
}

/* A disk that was slow for a time need not be. */
static void test_copies_are_tried_again(void **state)
{
    struct fixture *f = *state;
    on_a_disk(f, SLOW_MS);
    assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
    for (int i = 0; i < 500; i++)
        tell(f, 1000, (size_t)128 << 20, 200);
    for (int i = 0; i < 2; i++)
        round_of(f, MANY);
    assert_int_equal(round_of(f, MANY), 0);
}

static void test_a_failed_sync_is_the_logs_own(void **state)
{
    struct fixture *f = *state;
    struct round r;
    fixture_close(f);
    open_with_threads(f);
    assert_true(round_of(f, MANY) >= (uint64_t)MANY * KEY);
    fault_arm_at(FAULT_SYNC, "/many-7/00000000000000000000.log", 1, EIO, false);
    assert_true(append_round(f, "many", MANY, &r) >= (uint64_t)MANY * KEY);
    assert_true(fault_passes(FAULT_SYNC) > 0);
    fault_disarm();
    for (int i = 0; i < MANY; i++)
        assert_int_equal(r.q[i].error.code, i == 7 ? ERR_LOG_FAILED : ERR_OK);
    append_round(f, "many", MANY, &r);
    for (int i = 0; i < MANY; i++)
        assert_int_equal(r.q[i].error.code, i == 7 ? ERR_LOG_FAILED : ERR_OK);
    broker_close(f->b, &f->e); /* unclean, as a log is out of service */
    open_many(f);
    expect_all(f, "many", 6, READ_UNCOMMITTED, "k0,k0,k0,k0");
    expect_all(f, "many", 7, READ_UNCOMMITTED, "k0,k0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_new_logs, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_on_a_slow_disk, setup_new, teardown),
        cmocka_unit_test_setup_teardown(test_few_logs, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_on_a_fast_disk, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_small_rounds_do_not_count, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_where_syncs_take_long, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_large_records_beside_them, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_a_large_log_beside_them, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_copies_are_tried_again, setup_many, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_sync_is_the_logs_own, setup_many, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
