/*
 * The file source and compressed files.
 */
#include "tests/unit/file/source_rig.h"

static void gzip_of_what_was_read(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log*");
    fake_set(t, "gzip", "read");
    append_lines(dir, "x.log", "a ", 0, 20000);
    fake_start(t);
    fake_until(t, 20000);
    move(dir, "x.log", "x.log.1");
    append(dir, "x.log", "next\n");
    fake_until(t, 20001);
    compress_beside(dir, "x.log.1");
    fake_settle(t);
    drop(dir, "x.log.1");
    fake_settle(t);
    move(dir, "x.log.1.gz", "x.log.2.gz");
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 20001);
    fake_free(t);
}

static void gzip_goes_on_where_reading_was(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log"); /* the compressed one is found by its name */
    fake_set(t, "gzip", "read");
    fake_set(t, "headers", "true");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    fake_close(t);
    append_lines(dir, "x.log", "a ", 1000, 100000);
    append(dir, "x.log", "end");
    move(dir, "x.log", "x.log.1");
    compress_beside(dir, "x.log.1");
    drop(dir, "x.log.1");
    append(dir, "x.log", "next\n");
    t->poll_bytes = 100000;
    fake_start(t);
    while (t->records.count < 50000) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        fake_restart(t); /* in the midst of it */
    }
    fake_until(t, 100002);
    assert_lines(t, 0, 100000, "a ", 0);
    assert_record(t, 100000, "end");
    assert_record(t, 100001, "next");
    assert_string_equal(t->records.items[100000].path, at(dir, "x.log"));
    assert_string_equal(t->records.items[100000].offset, "788890");
    fake_free(t);
}

static void gzip_modes(void **state)
{
    (void)state;
    append_lines(dir, "x", "a ", 0, 10);
    compress_beside(dir, "x");
    struct leat_task *t = start("*.gz");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "read");
    fake_start(t);
    fake_until(t, 10);
    assert_lines(t, 0, 10, "a ", 0);
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 10);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "plain");
    fake_set(t, "mode", "raw");
    fake_start(t);
    fake_until(t, 1);
    assert_memory_equal(t->records.items[0].value, "\x1f\x8b", 2);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "read");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
}

static void damaged_gzip_does_not_stop_others(void **state)
{
    (void)state;
    append_lines(dir, "x", "a ", 0, 5000);
    compress_beside(dir, "x");
    int fd = open(at(dir, "x.gz"), O_RDWR);
    assert_int_equal(pwrite(fd, "damage!!damage!!", 16, 5000), 16);
    close(fd);
    append(dir, "y.log", "fine\n");
    struct leat_task *t = start("*.*");
    fake_set(t, "gzip", "read");
    fake_start(t);
    fake_settle(t);
    assert_record(t, t->records.count - 1, "fine");
    assert_true(t->warnings > 0);
    int warnings = t->warnings;
    fake_settle(t);
    assert_int_equal(t->warnings, warnings); /* said once */
    fake_free(t);
}

/* RFC 1952 allows several in one file, as `cat a.gz b.gz` makes; an empty one and zeros behind the last among them. */
static void several_members(void **state)
{
    (void)state;
    append_lines(dir, "a", "first ", 0, 300);
    append(dir, "b", "");
    append_lines(dir, "c", "first ", 300, 400);
    compress_beside(dir, "a");
    compress_beside(dir, "b");
    compress_beside(dir, "c");
    const char *names[] = {"a.gz", "b.gz", "c.gz"};
    FILE *all = fopen(at(dir, "all.log.gz"), "wb");
    assert_non_null(all);
    for (int i = 0; i < 3; i++) {
        size_t n;
        char *data = slurp(at(dir, names[i]), &n);
        assert_int_equal(fwrite(data, 1, n, all), n);
        free(data);
    }
    char zeros[512] = {0};
    assert_int_equal(fwrite(zeros, 1, sizeof(zeros), all), sizeof(zeros));
    fclose(all);
    struct leat_task *t = start("all*");
    fake_set(t, "gzip", "read");
    t->poll_bytes = 1000;
    fake_start(t);
    while (t->records.count < 400) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        fake_restart(t);
    }
    fake_settle(t);
    assert_int_equal(t->records.count, 400);
    assert_lines(t, 0, 400, "first ", 0);
    assert_int_equal(t->warnings, 0);
    fake_free(t);
}

/* gzip itself passes over what stands behind the last member. */
static void something_behind_the_last_member(void **state)
{
    (void)state;
    append_lines(dir, "x.log", "a ", 0, 300);
    compress_beside(dir, "x.log");
    drop(dir, "x.log");
    append(dir, "x.log.gz", "something else");
    struct leat_task *t = start("x.log.gz");
    fake_set(t, "gzip", "read");
    fake_start(t);
    fake_until(t, 300);
    assert_lines(t, 0, 300, "a ", 0);
    fake_settle(t);
    assert_true(t->warnings > 0);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 300);
    fake_free(t);
}

/* A file that ends too early is still being written: what is there is read, and the rest when it comes. */
static void cut_short(void **state)
{
    (void)state;
    append_lines(dir, "x", "a line that takes its room ", 0, 20000);
    compress_beside(dir, "x");
    size_t n;
    char *data = slurp(at(dir, "x.gz"), &n);
    drop(dir, "x");
    drop(dir, "x.gz");
    struct leat_task *t = start("y.gz");
    fake_set(t, "gzip", "read");
    fake_start(t);
    size_t steps[] = {5, n / 3, n - 4, n};
    for (size_t i = 0, done = 0; i < sizeof(steps) / sizeof(steps[0]); done = steps[i++]) {
        int fd = open(at(dir, "y.gz"), O_WRONLY | O_CREAT | O_APPEND, 0644);
        assert_int_equal(write(fd, data + done, steps[i] - done), (ssize_t)(steps[i] - done));
        close(fd);
        fake_settle(t);
        fake_restart(t);
    }
    fake_until(t, 20000);
    assert_lines(t, 0, 20000, "a line that takes its room ", 0);
    fake_settle(t);
    assert_int_equal(t->records.count, 20000);
    free(data);
    fake_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(gzip_of_what_was_read),
        T(gzip_goes_on_where_reading_was),
        T(gzip_modes),
        T(damaged_gzip_does_not_stop_others),
        T(several_members),
        T(something_behind_the_last_member),
        T(cut_short),
    };
    return run_watching(tests);
}
