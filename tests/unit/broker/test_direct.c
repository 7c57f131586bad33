/*
 * Large appends, which are synced where they stand and leave a reference in the journal: that they are there after a loss of power
 * between small ones, and what becomes of a log, of those who share the round and of the rest where such a sync fails.
 */
#include "tests/unit/broker/helper.h"
#include "tests/lib/power.h"

#include <unistd.h>

#include "base/fault.h"
#include "broker/store.h"
#include "broker/upkeep.h"

enum { LARGE_KEY = 40000, LARGE_FROM = 32 << 10 };

/* Single-threaded, so that a round has what the test puts into it. */
static void open_in(struct fixture *f, const char *dir, size_t direct_bytes)
{
    struct broker_options o = {
        .data_dir = dir, .journal_file_bytes = 1 << 20, .no_threads = true, .direct_bytes = direct_bytes};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static int setup_direct(void **state)
{
    setup(state);
    struct fixture *f = *state;
    create(f, "t", 1);
    create(f, "u", 1);
    fixture_close(f);
    open_in(f, f->dir, LARGE_FROM);
    return 0;
}

static uint64_t direct_bytes(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s.direct_bytes;
}

static void produce_large(struct fixture *f, const char *topic, int i)
{
    uint64_t before = direct_bytes(f);
    f->key_bytes = LARGE_KEY;
    produce(f, topic, 0, "L", i, 1);
    f->key_bytes = 0;
    assert_true(direct_bytes(f) >= before + LARGE_KEY);
}

/* What would be left if the power failed now is opened and must have this, and then takes appends. */
static void expect_after_loss(struct power *m, unsigned luck, const char *t, const char *u)
{
    struct fixture after = {.dir = testkit_dir()};
    char path[512];
    buf_init(&after.batch, 64 << 20);
    snprintf(path, sizeof path, "%s/image", after.dir);
    power_image(m, m->root, path, luck);
    io_watch(NULL, NULL);
    open_in(&after, path, LARGE_FROM);
    expect_all(&after, "t", 0, READ_UNCOMMITTED, t);
    expect_all(&after, "u", 0, READ_UNCOMMITTED, u);
    produce(&after, "u", 0, "more", 0, 1);
    fixture_close(&after);
    open_in(&after, path, LARGE_FROM);
    expect_all(&after, "t", 0, READ_UNCOMMITTED, t);
    fixture_close(&after);
    io_watch(power_event, m);
    buf_free(&after.batch);
    testkit_remove_dir(after.dir);
}

static void expect_after_any_loss(struct power *m, const char *t, const char *u)
{
    for (unsigned luck = 0; luck <= 8; luck += 2)
        expect_after_loss(m, luck, t, u);
}

static void test_large_ones_between_small_ones(void **state)
{
    struct fixture *f = *state;
    struct power m;
    power_start(&m, f->dir, 1, NULL, NULL);
    produce(f, "t", 0, "s", 0, 1);
    produce_large(f, "t", 1);
    expect_after_any_loss(&m, "s0,L1", "");
    produce(f, "t", 0, "s", 2, 1); /* direct, too: the round before had much of this log */
    produce(f, "t", 0, "s", 3, 1);
    produce(f, "u", 0, "s", 0, 1);
    produce_large(f, "u", 1);
    produce_large(f, "t", 4);
    produce_large(f, "t", 5);
    expect_after_any_loss(&m, "s0,L1,s2,s3,L4,L5", "s0,L1");
    produce(f, "t", 0, "s", 6, 1);
    produce(f, "t", 0, "s", 7, 1);
    expect_after_any_loss(&m, "s0,L1,s2,s3,L4,L5,s6,s7", "s0,L1");
    power_stop(&m);
}

/* The journal's files are used up and given back meanwhile; what they said of references is in the recovery points then. */
static void test_references_are_given_back(void **state)
{
    struct fixture *f = *state;
    struct power m;
    power_start(&m, f->dir, 2, NULL, NULL);
    produce_large(f, "t", 0);
    produce(f, "u", 0, "s", 0, 1);
    uint64_t first = commit_sealed(f->b->disks[0]->commit);
    f->key_bytes = LARGE_FROM / 2;
    int n = 0;
    while (commit_sealed(f->b->disks[0]->commit) == first)
        produce(f, "u", 0, "s", ++n, 1);
    f->key_bytes = 0;
    assert_ok(upkeep_release_journal(f->b->disks[0], &f->e), &f->e);
    assert_int_equal(journal_sealed_bytes(f->b->disks[0]->journal), 0);
    produce_large(f, "t", 1);
    struct buf u;
    read_all(f, "u", 0, 0, READ_UNCOMMITTED, &u);
    expect_after_any_loss(&m, "L0,L1", (char *)u.data);
    buf_free(&u);
    power_stop(&m);
}

/* A start takes what a reference says for synced: it reads none of it again. */
static void test_a_start_reads_none_of_it(void **state)
{
    struct fixture *f = *state;
    struct fixture after = {.dir = testkit_dir()};
    struct broker_stats s;
    struct power m;
    char path[512];
    power_start(&m, f->dir, 3, NULL, NULL);
    for (int i = 0; i < 3; i++)
        produce_large(f, "t", i);
    snprintf(path, sizeof path, "%s/image", after.dir);
    power_image(&m, m.root, path, 0);
    power_stop(&m);
    open_in(&after, path, 0);
    broker_stats(after.b, &s);
    assert_int_equal(s.recovered_bytes, 0);
    expect_all(&after, "t", 0, READ_UNCOMMITTED, "L0,L1,L2");
    fixture_close(&after);
    testkit_remove_dir(after.dir);
}

/* ---- syncs that fail ------------------------------------------------------------------------------------------------ */

struct outcome {
    bool done;
    int code;
    struct produce_request request[2];
    struct buf data;
};

static void note(void *arg, const struct err *e)
{
    struct outcome *o = arg;
    o->done = true;
    o->code = e->code;
}

/* Appended, and staged for a round that nobody runs yet. With `u`: together with one to that topic. */
static void begin(struct fixture *f, struct outcome *o, const char *topic, const char *prefix, bool large,
                  bool u)
{
    f->key_bytes = large ? LARGE_KEY : 0;
    o->done = false;
    o->request[0] = make_request(f, topic, 0, prefix, 0, 1, BATCH_NO_PRODUCER);
    buf_init(&o->data, 1 << 20);
    assert_ok(buf_append(&o->data, f->batch.data, f->batch.len, &f->e), &f->e);
    o->request[0].data = o->data.data;
    o->request[1] = o->request[0];
    o->request[1].topic = "u";
    o->request[1].data = f->batch.data;
    f->key_bytes = 0;
    broker_produce_async(f->b, o->request, u ? 2 : 1, u, note, o);
    assert_false(o->done);
}

static void run_round(struct fixture *f)
{
    fault_arm_at(FAULT_SYNC, "/t-0/", 1, EIO, false);
    broker_step(f->b, clock_mono_ms());
    fault_disarm();
}

static void expect_outcome(struct outcome *o, int code)
{
    assert_true(o->done);
    assert_int_equal(o->code, code);
    buf_free(&o->data);
}

/* Unclean, as a log is out of service; with faults that met nothing the close would be clean. */
static void close_unclean(struct fixture *f)
{
    broker_close(f->b, &f->e);
    f->b = NULL;
    assert_false(logs_named(f->dir, ".kafka_cleanshutdown", ""));
}

static bool is_out_of_service(struct fixture *f, const char *topic)
{
    struct topic_info t;
    assert_ok(broker_topic(f->b, topic, &t, &f->e), &f->e);
    bool failed = t.partitions[0].failed;
    topic_info_free(&t);
    return failed;
}

static void test_a_failed_sync_is_the_logs_own(void **state)
{
    struct fixture *f = *state;
    struct outcome small, large, behind, other;
    struct power m;
    power_start(&m, f->dir, 4, NULL, NULL);
    produce(f, "t", 0, "s", 0, 1);
    begin(f, &small, "t", "a", false, false);
    begin(f, &large, "t", "b", true, false);
    begin(f, &behind, "t", "c", false, false);
    begin(f, &other, "u", "d", false, false);
    run_round(f);
    expect_outcome(&small, ERR_LOG_FAILED);
    expect_outcome(&large, ERR_LOG_FAILED);
    expect_outcome(&behind, ERR_LOG_FAILED);
    expect_outcome(&other, ERR_OK);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "s0");
    struct produce_request again = make_request(f, "t", 0, "e", 0, 1, BATCH_NO_PRODUCER);
    assert_code(broker_produce(f->b, &again, 1, false, &f->e), ERR_LOG_FAILED, &f->e);
    produce(f, "u", 0, "f", 0, 1);
    assert_true(is_out_of_service(f, "t"));
    assert_false(is_out_of_service(f, "u"));
    expect_after_any_loss(&m, "s0", "d0,f0");
    close_unclean(f);
    expect_after_any_loss(&m, "s0", "d0,f0");
    power_stop(&m);
}

/* Each of the round's large appends is its own log's affair. */
static void test_several_logs_of_a_round(void **state)
{
    struct fixture *f = *state;
    struct outcome t, u;
    struct power m;
    power_start(&m, f->dir, 7, NULL, NULL);
    produce(f, "t", 0, "s", 0, 1);
    uint64_t before = direct_bytes(f);
    begin(f, &t, "t", "a", true, false);
    begin(f, &u, "u", "b", true, false);
    fault_arm_at(FAULT_SYNC, "/t-0/00000000000000000000.log", UINT64_MAX, EIO, false);
    broker_step(f->b, clock_mono_ms());
    assert_int_equal(fault_passes(FAULT_SYNC), 1);
    fault_disarm();
    expect_outcome(&t, ERR_OK);
    expect_outcome(&u, ERR_OK);
    assert_true(direct_bytes(f) >= before + 2 * LARGE_KEY);
    expect_after_any_loss(&m, "s0,a0", "b0");
    begin(f, &t, "t", "c", true, false);
    begin(f, &u, "u", "d", true, false);
    run_round(f);
    expect_outcome(&t, ERR_LOG_FAILED);
    expect_outcome(&u, ERR_OK);
    expect_after_any_loss(&m, "s0,a0", "b0,d0");
    close_unclean(f);
    expect_after_any_loss(&m, "s0,a0", "b0,d0");
    power_stop(&m);
}

/* Some of a group would be behind the gap, and the rest would not: then nothing of the round counts. */
static void test_a_group_behind_it(void **state)
{
    struct fixture *f = *state;
    struct outcome large, group;
    struct power m;
    power_start(&m, f->dir, 5, NULL, NULL);
    produce(f, "t", 0, "s", 0, 1);
    produce(f, "u", 0, "s", 0, 1);
    begin(f, &large, "t", "b", true, false);
    begin(f, &group, "t", "c", false, true);
    run_round(f);
    expect_outcome(&large, ERR_LOG_FAILED);
    expect_outcome(&group, ERR_LOG_FAILED);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "s0");
    expect_all(f, "u", 0, READ_UNCOMMITTED, "s0");
    close_unclean(f);
    expect_after_any_loss(&m, "s0", "s0");
    power_stop(&m);
}

/* ---- a full disk ------------------------------------------------------------------------------------------------------ */

/* What was appended has its place. That there is none for what can wait takes no log out of service. */
static void test_no_room_for_indexes(void **state)
{
    struct fixture *f = *state;
    struct power m;
    power_start(&m, f->dir, 6, NULL, NULL);
    fault_arm_at(FAULT_WRITE, "index", 1, ENOSPC, true);
    for (int i = 0; i < 4; i++)
        produce_large(f, "t", i);
    fault_disarm();
    expect_after_any_loss(&m, "L0,L1,L2,L3", "");
    produce_large(f, "t", 4);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "L0,L1,L2,L3,L4");
    power_stop(&m);
    fixture_close(f);
    open_in(f, f->dir, LARGE_FROM);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "L0,L1,L2,L3,L4");
}

/* A new log's first sync makes small files, which the disk's reserve is there for. */
static void test_a_new_log_uses_the_reserve(void **state)
{
    struct fixture *f = *state;
    struct disk_info info;
    char reserve[512];
    snprintf(reserve, sizeof reserve, "%s/reserve", f->dir);
    broker_disk(f->b, 0, &info); /* looks at its room, and makes the reserve */
    assert_int_equal(access(reserve, F_OK), 0);
    fault_arm_at(FAULT_META, "leader-epoch-checkpoint", 1, ENOSPC, false);
    produce_large(f, "t", 0);
    fault_disarm();
    assert_int_not_equal(access(reserve, F_OK), 0);
    produce_large(f, "t", 1);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "L0,L1");
}

/* ---- any call that fails -------------------------------------------------------------------------------------------- */

enum { TRIED = 5 };

static bool try_produce(struct fixture *f, const char *topic, int i, bool large)
{
    f->key_bytes = large ? LARGE_KEY : 0;
    struct produce_request r = make_request(f, topic, 0, "v", i, 1, BATCH_NO_PRODUCER);
    return broker_produce(f->b, &r, 1, false, &f->e) == ERR_OK;
}

/* Each is there if it was acknowledged, and at most once. */
static void expect_tried(struct fixture *f, const char *topic, const bool *acked)
{
    struct buf all;
    char value[16];
    read_all(f, topic, 0, 0, READ_UNCOMMITTED, &all);
    for (int i = 0; i < TRIED; i++) {
        snprintf(value, sizeof value, "v%d", i);
        const char *at = strstr((char *)all.data, value);
        assert_true(at || !acked[i]);
        assert_null(at ? strstr(at + 1, value) : NULL);
    }
    buf_free(&all);
}

static void use_once(void *arg)
{
    struct fixture f = {.dir = testkit_dir()};
    struct broker_options o = {
        .data_dir = f.dir, .journal_file_bytes = 1 << 20, .no_threads = true, .direct_bytes = LARGE_FROM};
    bool t[TRIED] = {0}, u[TRIED] = {0};
    struct err ignored;
    (void)arg;
    buf_init(&f.batch, 64 << 20);
    if (broker_open(&f.b, &o, &f.e) == ERR_OK) {
        if (!broker_create_topic(f.b, "t", 1, NULL, 0, NULL, &f.e) &&
            !broker_create_topic(f.b, "u", 1, NULL, 0, NULL, &f.e))
            for (int i = 0; i < TRIED; i++) {
                t[i] = try_produce(&f, "t", i, i == 1 || i == 3);
                u[i] = try_produce(&f, "u", i, i == 4);
            }
        broker_close(f.b, &ignored); /* the fault may be met here, too */
    }
    fault_disarm();
    open_in(&f, f.dir, LARGE_FROM);
    struct topic_info info;
    for (int k = 0; k < 2; k++) {
        const char *topic = k ? "u" : "t";
        if (broker_topic(f.b, topic, &info, &f.e) != ERR_OK) {
            create(&f, topic, 1);
        } else {
            topic_info_free(&info);
            expect_tried(&f, topic, k ? u : t);
        }
        f.key_bytes = LARGE_KEY;
        produce(&f, topic, 0, "again", 0, 1);
    }
    fixture_close(&f);
    buf_free(&f.batch);
    testkit_remove_dir(f.dir);
}

static void test_each_fault(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_WRITE, EIO, use_once, NULL) > 0);
    assert_true(testkit_each_fault(FAULT_SYNC, EIO, use_once, NULL) > 0);
    assert_true(testkit_each_fault(FAULT_META, EIO, use_once, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_large_ones_between_small_ones, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_references_are_given_back, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_a_start_reads_none_of_it, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_a_failed_sync_is_the_logs_own, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_several_logs_of_a_round, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_a_group_behind_it, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_no_room_for_indexes, setup_direct, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_log_uses_the_reserve, setup_direct, teardown),
        cmocka_unit_test(test_each_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
