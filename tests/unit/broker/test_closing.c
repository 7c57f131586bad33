/*
 * Stops, starts and releases of the journal with more partitions than are worked on by one thread: clean, after a kill, and
 * with a sync that fails while stopping.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PARTITIONS = 150 };

static void write_all(struct fixture *f, const char *prefix)
{
    for (int i = 0; i < PARTITIONS; i++)
        produce(f, "t", i, prefix, i, 1);
}

static void expect_each(struct fixture *f, bool second)
{
    for (int i = 0; i < PARTITIONS; i++) {
        char want[64];
        int n = snprintf(want, sizeof want, "a%d", i);
        if (second)
            snprintf(want + n, sizeof want - (size_t)n, ",b%d", i);
        expect_all(f, "t", i, READ_COMMITTED, want);
    }
}

static uint64_t recovered(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s.recovered_bytes;
}

static void test_clean(void **state)
{
    struct fixture *f = *state;
    create(f, "t", PARTITIONS);
    write_all(f, "a");
    fixture_restart(f);
    assert_int_equal(recovered(f), 0);
    expect_each(f, false);
    write_all(f, "b");
    fixture_restart(f);
    assert_int_equal(recovered(f), 0);
    expect_each(f, true);
}

static void test_killed(void **state)
{
    struct fixture *f = *state;
    create(f, "t", PARTITIONS);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f);
        write_all(f, "a");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_open(f);
    assert_true(recovered(f) > 0);
    expect_each(f, false);
}

/* Whichever thread met it: the stop tells, and nothing is lost by the next start. */
static void test_a_sync_fails(void **state)
{
    struct fixture *f = *state;
    create(f, "t", PARTITIONS);
    write_all(f, "a");
    fault_arm(FAULT_SYNC, PARTITIONS, EIO, false);
    assert_code(broker_close(f->b, &f->e), ERR_IO, &f->e);
    fault_disarm();
    fixture_open(f);
    assert_true(recovered(f) > 0); /* the stop was not clean */
    expect_each(f, false);
}

/* More logs hold the journal than one thread flushes; all must be flushed before a file of it is written over. */
static void test_release(void **state)
{
    struct fixture *f = *state;
    create(f, "t", PARTITIONS);
    fixture_close(f);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f);
        f->key_bytes = 60000;
        for (int i = 0; i < 3; i++) /* the journal's files have 1 MiB */
            write_all(f, "a");
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fixture_open(f);
    for (int i = 0; i < PARTITIONS; i++) {
        char want[64];
        snprintf(want, sizeof want, "a%d,a%d,a%d", i, i, i);
        expect_all(f, "t", i, READ_COMMITTED, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
