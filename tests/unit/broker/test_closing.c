/*
 * Stops, starts and releases of the journal with more partitions than are worked on by one thread: clean, after a kill, and
 * with a sync that fails while stopping.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/io_watch.h"
#include "broker/store.h"
#include "broker/upkeep.h"

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

/* ---- new logs, of which the file system's sync takes everything along ---- */

struct small_files {
    int made, replaced, synced;
};

static void count_small(void *arg, struct io_event *ev)
{
    struct small_files *s = arg;
    char link[64], path[512];
    if (!ev->done)
        return;
    if (ev->op == IO_OP_OPEN && strstr(ev->path, "/new-") && strstr(ev->path, "/leader-epoch-checkpoint"))
        s->made += (ev->flags & O_EXCL) != 0;
    if (ev->op == IO_OP_RENAME && strstr(ev->to, "/new-"))
        s->replaced++;
    if (ev->op != IO_OP_SYNC)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    s->synced += strstr(path, "/new-") && strstr(path, "/leader-epoch-checkpoint");
}

static void test_many_new_logs(void **state)
{
    enum { NEW = 300 };
    struct fixture *f = *state;
    struct small_files s = {0};
    struct broker_options o = {.data_dir = f->dir, .no_threads = true};
    fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    create(f, "new", NEW);
    for (int i = 0; i < NEW; i++)
        produce(f, "new", i, "v", i, 1);
    io_watch(count_small, &s);
    assert_ok(upkeep_release_journal(f->b->disks[0], &f->e), &f->e);
    assert_int_equal(s.made, NEW);
    int once = syncs_together(f) ? 0 : NEW;
    assert_int_equal(s.synced, once);
    assert_int_equal(s.replaced, 0);
    for (int i = 0; i < NEW; i++)
        produce(f, "new", i, "v", i, 1);
    assert_ok(upkeep_release_journal(f->b->disks[0], &f->e), &f->e);
    io_watch(NULL, NULL);
    assert_int_equal(s.made + s.synced, NEW + once); /* written once */
    fixture_restart(f);
    for (int i = 0; i < NEW; i++) {
        char want[64];
        snprintf(want, sizeof want, "v%d,v%d", i, i);
        expect_all(f, "new", i, READ_COMMITTED, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clean, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_sync_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_release, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_new_logs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
