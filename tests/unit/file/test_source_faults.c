/*
 * Every allocation and every read fails once: an error or a retry each time, and after it every line once, in order.
 */
#include <errno.h>

#include "tests/unit/file/files.h"

static char *dir;

/* Polls to the end; a failed open or poll is followed by a restart, as the host does. */
static void read_all(struct leat_task *t, size_t n)
{
    int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (t->records.count < n) {
        if (!t->self && fake_open(t) != LEAT_OK) {
            assert_true(strlen(t->fail_text) > 0);
            t->self = NULL;
        } else if (t->self && fake_poll(t) != LEAT_OK) {
            assert_true(strlen(t->fail_text) > 0);
            fake_close(t);
        }
        if (clock_mono_ms() > end)
            fail_msg("%zu of %zu: %s", t->records.count, n, t->fail_text);
    }
    assert_int_equal(t->records.count, n);
}

static void prepare(void)
{
    append_lines(dir, "x.log", "older ", 0, 300);
    compress_beside(dir, "x.log");
    move(dir, "x.log.gz", "x.log.2.gz");
    overwrite(dir, "x.log", "");
    append_lines(dir, "x.log", "old ", 0, 300);
    move(dir, "x.log", "x.log.1");
    append_lines(dir, "x.log", "new ", 0, 300);
}

/* The lines of one file, in order; a file that cannot be read for a while does not hold up the others. */
static void check(struct leat_task *t, const char *prefix, int count)
{
    int next = 0;
    char line[64];
    for (size_t i = 0; i < t->records.count; i++) {
        snprintf(line, sizeof(line), "%s%d", prefix, next);
        next += strcmp(t->records.items[i].value, line) == 0;
    }
    assert_int_equal(next, count);
}

/* Rotates by copying while the position is within the file, then reads the rest. */
static void once(void *arg)
{
    (void)arg;
    char paths[512];
    dir = testkit_dir();
    snprintf(paths, sizeof(paths), "%s/x.log*", dir);
    prepare();
    struct leat_task *t = fake_new(paths);
    fake_set(t, "gzip", "read");
    fake_set(t, "headers", "true");
    fake_set(t, "poll.interval", "1ms");
    t->poll_bytes = 1000;
    read_all(t, 900);
    append_lines(dir, "x.log", "new ", 300, 320);
    copy(dir, "x.log", "x.log.0");
    overwrite(dir, "x.log", "");
    append_lines(dir, "x.log", "next ", 0, 300);
    fake_close(t);
    read_all(t, 1220);
    fault_disarm();
    fake_restart(t);
    for (int i = 0; i < 8; i++)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->records.count, 1220);
    check(t, "older ", 300);
    check(t, "old ", 300);
    check(t, "new ", 320);
    check(t, "next ", 300);
    fake_free(t);
    testkit_remove_dir(dir);
}

static void each_point(enum fault_point point, int errnum)
{
    fault_arm(point, UINT64_MAX, errnum, false);
    once(NULL);
    /* The number of passes depends on timing; a spread of them and all of the first ones are tried. */
    for (uint64_t n = 1; n <= 400; n += n < 40 ? 1 : 9) {
        fault_arm(point, n, errnum, false);
        once(NULL);
    }
}

static void allocations(void **state)
{
    (void)state;
    each_point(FAULT_ALLOC, ENOMEM);
}

static void reads(void **state)
{
    (void)state;
    each_point(FAULT_READ, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(allocations),
        cmocka_unit_test(reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
