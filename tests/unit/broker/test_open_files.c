/*
 * Open files: a bound that many partitions keep to, logs at rest that give theirs back, and a process that can have no more.
 */
#include "tests/unit/broker/helper.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/io.h"

enum { MANY = 120, BOUND = 24 };

/* Files of partitions that this process has open. */
static int count_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));) {
        char to[600] = "";
        if (readlinkat(dirfd(d), en->d_name, to, sizeof to - 1) > 0)
            n += strstr(to, "/logs/many-") != NULL;
    }
    closedir(d);
    return n;
}

/* Without threads of its own: upkeep runs when it is asked to, at the time that it is told. */
static void reopen(struct fixture *f, int32_t max)
{
    struct broker_options o = {
        .data_dir = f->dir, .journal_file_bytes = 8 << 20, .open_files_max = max, .no_threads = true};
    if (f->b)
        fixture_close(f);
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

static void append_to_all(struct fixture *f, int round)
{
    for (int i = 0; i < MANY; i++)
        assert_int_equal(produce(f, "many", i, "v", round, 1), round);
}

static void expect_in_all(struct fixture *f, const char *want)
{
    for (int i = 0; i < MANY; i++)
        expect_all(f, "many", i, READ_COMMITTED, want);
}

static void test_bound(void **state)
{
    struct fixture *f = *state;
    create(f, "many", MANY);
    reopen(f, BOUND);
    for (int round = 0; round < 3; round++) {
        append_to_all(f, round);
        assert_true(count_files() <= BOUND + 4); /* one append may open what it needs beyond */
    }
    expect_in_all(f, "v0,v1,v2");
    assert_true(count_files() <= BOUND + 4);
    reopen(f, BOUND);
    expect_in_all(f, "v0,v1,v2");
    assert_true(count_files() <= BOUND + 4);
}

/* The process's own limit, low: what is there by default keeps below it, also when everything is recovered. */
static void test_low_limit(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, low;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 60;
    create(f, "many", MANY);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    reopen(f, 0);
    append_to_all(f, 0);
    append_to_all(f, 1);
    /* As after a kill: another broker finds the directory in the middle of its use. */
    struct fixture copy = {0};
    char path[600];
    snprintf(path, sizeof path, "%s-copy", f->dir);
    testkit_copy_running(f->dir, path);
    copy.dir = path;
    buf_init(&copy.batch, 64 << 20);
    reopen(&copy, 0);
    expect_in_all(&copy, "v0,v1");
    append_to_all(&copy, 2);
    fixture_close(&copy);
    buf_free(&copy.batch);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_ok(io_remove_tree(path, &f->e), &f->e);
}

static void test_idle_logs_close_their_files(void **state)
{
    struct fixture *f = *state;
    create(f, "many", MANY);
    reopen(f, 10000);
    append_to_all(f, 0);
    assert_true(count_files() >= MANY);
    int64_t now = clock_mono_ms(), next = broker_step(f->b, now);
    for (int i = 0; i < 20; i++) {
        assert_true(next > now && next < now + 600000);
        produce(f, "many", 7, "more", i, 1); /* one that goes on is left alone */
        now = next;
        next = broker_step(f->b, now);
    }
    assert_true(count_files() > 0 && count_files() < 4);
    while (count_files() > 0)
        next = broker_step(f->b, now = next);
    next = broker_step(f->b, now);
    if (next <= now + 60000) /* room on the disk is looked at once more after the last append */
        next = broker_step(f->b, now = next);
    assert_true(next > now + 60000); /* retention: nothing else is to be done for them any more */
    expect_all(f, "many", 8, READ_COMMITTED, "v0");
}

static size_t take_all_fds(int *fds, size_t max)
{
    size_t n = 0;
    while (n < max && (fds[n] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0)
        n++;
    return n;
}

/* No descriptor to be had: who needs one is told, who has one goes on, and nothing is broken after. */
static void test_none_left(void **state)
{
    struct fixture *f = *state;
    struct rlimit old, low;
    static int fds[200];
    create(f, "t", 12);
    reopen(f, 1000);
    produce(f, "t", 0, "v", 0, 1);
    for (int i = 3; i < 12; i++)
        produce(f, "t", i, "v", 0, 1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 100;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    size_t n = take_all_fds(fds, 200);
    struct produce_request r = make_request(f, "t", 1, "w", 0, 1, BATCH_NO_PRODUCER);
    for (int i = 0; i < 2; i++) {
        assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_FILES, &f->e);
        assert_true(f->e.retriable && !f->e.fatal);
        assert_non_null(strstr(f->e.text, "t-1"));
    }
    assert_int_equal(produce(f, "t", 0, "v", 1, 1), 1);
    /* Upkeep makes room at the expense of logs that are open: then there is one for it. */
    broker_step(f->b, clock_mono_ms());
    assert_int_equal(produce(f, "t", 1, "w", 0, 1), 0);
    while (n > 0)
        close(fds[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1");
    expect_all(f, "t", 1, READ_COMMITTED, "w0");
    produce(f, "t", 2, "x", 0, 1);
    reopen(f, 0);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_low_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idle_logs_close_their_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_left, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
