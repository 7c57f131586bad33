/* Files, errors, faults, clock text. */
#include "tests/lib/testkit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"

static void errors_keep_their_text_on_the_way_up(void **state)
{
    (void)state;
    struct err e;
    assert_int_equal(err_sys(&e, ENOSPC, "cannot write %s", "x"), ERR_NO_SPACE);
    assert_true(e.retriable);
    assert_int_equal(err_wrap(&e, "topic %s", "t"), ERR_NO_SPACE);
    assert_string_equal(e.text, "topic t: cannot write x: No space left on device");
    err_set(&e, ERR_CORRUPT, "again: %s", e.text); /* its own text as argument */
    assert_string_equal(e.text, "again: topic t: cannot write x: No space left on device");
    assert_false(e.retriable);
    assert_string_equal(err_name(-5), "INTERNAL");
    assert_int_equal(err_kafka(ERR_OFFSET_OUT_OF_RANGE), 1);
    for (int i = 0; i < 2000; i++)
        err_wrap(&e, "longer and longer");
    assert_true(strlen(e.text) < sizeof e.text);
}

static void reading_past_the_end_says_so(void **state)
{
    struct err e;
    char *path = mem_printf("%s/f", (char *)*state);
    int fd;
    assert_code(io_open(&fd, path, O_RDONLY, 0, &e), ERR_NOT_FOUND, &e);
    assert_ok(io_open(&fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    assert_ok(io_pwrite(fd, "hello", 5, 2, path, &e), &e);
    char got[8];
    assert_ok(io_pread(fd, got, 7, 0, path, &e), &e);
    assert_memory_equal(got, "\0\0hello", 7);
    assert_code(io_pread(fd, got, 8, 0, path, &e), ERR_TRUNCATED, &e);
    size_t n;
    assert_ok(io_pread_some(fd, got, 8, 4, &n, path, &e), &e);
    assert_int_equal(n, 3);
    struct iovec iov[3] = {{(char[]){"ab"}, 2}, {NULL, 0}, {(char[]){"cd"}, 2}};
    assert_ok(io_pwritev(fd, iov, 3, 0, path, &e), &e);
    assert_ok(io_pread(fd, got, 5, 0, path, &e), &e);
    assert_memory_equal(got, "abcdl", 5);
    io_close(fd);
    mem_free(path);
}

static void who_does_not_wait_is_told_so(void **state)
{
    struct err e;
    int fd;
    char byte, *path = mem_printf("%s/w", (char *)*state);
    assert_ok(io_open(&fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    assert_ok(io_pwrite(fd, "x", 1, 0, path, &e), &e);
    fault_arm(FAULT_READ, 1, EAGAIN, true);
    assert_code(io_pread(fd, &byte, 1, 0, path, &e), ERR_IO, &e); /* a patient one never meets it */
    io_set_patient(false);
    assert_code(io_pread(fd, &byte, 1, 0, path, &e), ERR_WOULD_WAIT, &e);
    io_set_patient(true);
    fault_disarm();
    assert_ok(io_pread(fd, &byte, 1, 0, path, &e), &e);
    io_close(fd);
    mem_free(path);
}

static void replace_once(void *arg)
{
    const char *dir = arg;
    struct err e;
    char *path = mem_printf("%s/r", dir);
    if (!path)
        return;
    char *data;
    size_t n;
    if (io_replace_file(path, "new", 3, 0600, &e) == ERR_OK) {
        fault_disarm();
        assert_ok(io_read_file(path, 100, &data, &n, &e), &e);
        assert_string_equal(data, "new");
        mem_free(data);
    }
    mem_free(path);
}

static void replacing_a_file_leaves_the_old_or_the_new(void **state)
{
    struct err e;
    char *path = mem_printf("%s/r", (char *)*state);
    static const enum fault_point points[] = {FAULT_META, FAULT_WRITE, FAULT_SYNC};
    for (size_t p = 0; p < 3; p++)
        for (uint64_t nth = 1; nth < 10; nth++) {
            assert_ok(io_replace_file(path, "old", 3, 0600, &e), &e);
            fault_arm(points[p], nth, EIO, false);
            int rc = io_replace_file(path, "new", 3, 0600, &e);
            fault_disarm();
            char *data;
            size_t n;
            struct err e2;
            assert_ok(io_read_file(path, 100, &data, &n, &e2), &e2);
            if (rc == ERR_OK)
                assert_string_equal(data, "new");
            else
                assert_true(strcmp(data, "old") == 0 || strcmp(data, "new") == 0);
            mem_free(data);
        }
    assert_int_equal(testkit_each_fault(FAULT_META, EIO, replace_once, *state), 2);
    assert_code(io_read_file(path, 2, &(char *){NULL}, &(size_t){0}, &e), ERR_TOO_LARGE, &e);
    mem_free(path);
}

static void trees_are_made_and_removed(void **state)
{
    struct err e;
    char *deep = mem_printf("%s/a/b/c", (char *)*state), *top = mem_printf("%s/a", (char *)*state);
    assert_ok(io_mkdirs(deep, 0700, &e), &e);
    assert_ok(io_mkdirs(deep, 0700, &e), &e);
    assert_true(io_exists(deep));
    assert_ok(io_remove_tree(top, &e), &e);
    assert_false(io_exists(top));
    assert_ok(io_remove_tree(top, &e), &e);
    mem_free(deep);
    mem_free(top);
}

static void failed_syncs_are_fatal(void **state)
{
    struct err e;
    fault_arm(FAULT_SYNC, 1, EIO, false);
    assert_code(io_sync_dir(*state, &e), ERR_IO, &e);
    assert_true(e.fatal);
    assert_ok(io_sync_dir(*state, &e), &e);
    fault_disarm();
}

static void faults_come_from_the_environment(void **state)
{
    (void)state;
    setenv("LEAT_FAULT", "alloc:2,write:1:ENOSPC:sticky", 1);
    assert_true(fault_from_env());
    void *first = mem_alloc(1), *second = mem_alloc(1), *third = mem_alloc(1);
    assert_non_null(first);
    assert_null(second);
    assert_non_null(third);
    mem_free(first);
    mem_free(third);
    assert_int_equal(fault_check(FAULT_WRITE, "x"), ENOSPC);
    assert_int_equal(fault_check(FAULT_WRITE, "x"), ENOSPC);
    fault_disarm();
    setenv("LEAT_FAULT", "sync:2:EIO:@/disk2/", 1);
    assert_true(fault_from_env());
    assert_int_equal(fault_check(FAULT_SYNC, "/disk1/a"), 0); /* neither hit nor counted */
    assert_int_equal(fault_check(FAULT_SYNC, "/disk2/a"), 0);
    assert_int_equal(fault_check(FAULT_SYNC, "/disk1/a"), 0);
    assert_int_equal(fault_check(FAULT_SYNC, "/disk2/b"), EIO);
    assert_int_equal(fault_check(FAULT_SYNC, NULL), 0);
    fault_disarm();
    setenv("LEAT_FAULT", "disk:1", 1);
    assert_false(fault_from_env());
    unsetenv("LEAT_FAULT");
}

static void times_print_as_utc(void **state)
{
    (void)state;
    char out[32];
    assert_string_equal(clock_format_utc(1700000000123, out, sizeof out), "2023-11-14T22:13:20.123Z");
    assert_string_equal(clock_format_utc(-1, out, sizeof out), "1969-12-31T23:59:59.999Z");
}

static int setup(void **state)
{
    *state = testkit_dir();
    return 0;
}

static int teardown(void **state)
{
    testkit_remove_dir(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_keep_their_text_on_the_way_up),
        cmocka_unit_test_setup_teardown(reading_past_the_end_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_wait_is_told_so, setup, teardown),
        cmocka_unit_test_setup_teardown(replacing_a_file_leaves_the_old_or_the_new, setup, teardown),
        cmocka_unit_test_setup_teardown(trees_are_made_and_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(failed_syncs_are_fatal, setup, teardown),
        cmocka_unit_test(faults_come_from_the_environment),
        cmocka_unit_test(times_print_as_utc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
