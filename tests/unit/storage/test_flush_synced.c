/*
 * What a sync of the whole file system spares a log's flush: bytes and names up to the mark need no sync of their own, and nothing
 * behind it counts as synced.
 */
#include "kit.h"

#include <sys/syscall.h>

#include "base/diag.h"
#include "base/io_watch.h"

/* What the next sync_file_range that waits answers, in place of the system's; 0: the system answers. */
static int answer;

int sync_file_range(int fd, off_t at, off_t n, unsigned int flags)
{
    if (answer == 0 || !(flags & SYNC_FILE_RANGE_WAIT_BEFORE))
        return (int)syscall(SYS_sync_file_range, fd, at, n, flags);
    errno = answer;
    answer = 0;
    return -1;
}

struct fixture {
    char *dir;
    int fd;          /* of the file system */
    uint64_t device; /* likewise */
    struct log *log;
    int syncs; /* of files, since io_watch */
};

static void count_syncs(void *arg, struct io_event *ev)
{
    struct fixture *f = arg;
    f->syncs += ev->op == IO_OP_SYNC && ev->done;
}

/* Skips the test where the file system does not tell of errors. */
static void start(struct fixture *f)
{
    struct err e = {0};
    f->dir = testkit_dir();
    f->syncs = 0;
    char *path = join(f->dir, "lock");
    assert_ok(io_open(&f->fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    free(path);
    if (io_sync_fs_of(f->fd, &f->device, f->dir, &e) == ERR_UNSUPPORTED) {
        io_close(f->fd);
        testkit_remove_dir(f->dir);
        skip();
    }
    struct log_open_args args = open_args(f->dir);
    f->log = open_log(&args, NULL);
}

static void end(struct fixture *f, bool clean)
{
    io_watch(NULL, NULL);
    close_log(f->log, clean);
    io_close(f->fd);
    testkit_remove_dir(f->dir);
}

/* As upkeep does. */
static void sync_all(struct fixture *f)
{
    struct err e = {0};
    assert_ok(log_write_ahead(f->log, &e), &e);
    assert_ok(log_mark_for_sync(f->log, &e), &e);
    assert_ok(io_sync_fs_of(f->fd, &f->device, f->dir, &e), &e);
    io_watch(count_syncs, f);
}

static void flush_synced(struct fixture *f)
{
    struct err e = {0};
    assert_ok(log_flush_synced(f->log, f->device, &e), &e);
    io_watch(NULL, NULL);
}

/* Also its first flush, with the names of a new log. */
static void test_nothing_is_synced_again(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    start(&f);
    append(f.log, 3);
    sync_all(&f);
    append(f.log, 2);
    flush_synced(&f);
    assert_int_equal(f.syncs, 0);
    assert_int_equal(log_recovery_point(f.log), 3);
    sync_all(&f);
    flush_synced(&f);
    assert_int_equal(f.syncs, 0);
    assert_int_equal(log_recovery_point(f.log), 5);
    append(f.log, 1);
    assert_ok(log_flush(f.log, &e), &e);
    assert_int_equal(log_recovery_point(f.log), 6);
    end(&f, true);
}

/* Larger than a piece, too. What was waited for is not waited for again, and does not count before the sync. */
static void test_what_is_waited_for(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    start(&f);
    for (int i = 0; i < 2; i++) {
        struct log_appended out;
        assert_ok(try_append(f.log, &(struct batch_spec){.value = i ? 100 : 700 << 10}, &out, &e), &e);
        assert_ok(log_mark_for_sync(f.log, &e), &e);
        assert_int_equal(log_recovery_point(f.log), i);
        sync_all(&f);
        flush_synced(&f);
        assert_int_equal(f.syncs, 0);
        assert_int_equal(log_recovery_point(f.log), i + 1);
    }
    end(&f, true);
}

/* What is behind the mark is synced by the next flush, though nothing was appended since. */
static void test_what_came_later_is_left(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    start(&f);
    append(f.log, 1);
    sync_all(&f);
    append(f.log, 1);
    flush_synced(&f);
    io_watch(count_syncs, &f);
    assert_ok(log_flush(f.log, &e), &e);
    assert_true(f.syncs > 0);
    assert_int_equal(log_recovery_point(f.log), 2);
    end(&f, true);
}

static void roll(struct log *log)
{
    struct err e = {0};
    assert_ok(log_roll(log, true, &e), &e);
}

static void cut(struct log *log)
{
    struct err e = {0};
    assert_ok(log_truncate_to(log, 2, &e), &e);
}

static void begin_epoch(struct log *log)
{
    struct err e = {0};
    struct log_appended out;
    struct log_append_args args = append_args();
    size_t n;
    uint8_t *batch = make_batch(&(struct batch_spec){0}, &n);
    args.leader_epoch = 7;
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    mem_free(batch);
}

/* Whatever else happened to it meanwhile, the log is flushed as without the sync of the file system. */
static void test_what_the_mark_does_not_know(void **state)
{
    (void)state;
    static void (*const happen[])(struct log *) = {roll, cut, begin_epoch};
    for (size_t i = 0; i < sizeof happen / sizeof *happen; i++) {
        struct fixture f;
        start(&f);
        for (int k = 0; k < 3; k++)
            append(f.log, 1);
        sync_all(&f);
        happen[i](f.log);
        f.syncs = 0;
        append(f.log, 4);
        flush_synced(&f);
        assert_true(f.syncs > 0);
        assert_int_equal(log_recovery_point(f.log), log_end_offset(f.log));
        end(&f, true);
    }
}

/* Without a mark, and where the file system that was synced is another one. */
static void test_another_file_system(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture f;
        start(&f);
        append(f.log, 1);
        sync_all(&f);
        if (i == 0)
            f.device++;
        else
            flush_synced(&f); /* takes the mark */
        append(f.log, 1);
        io_watch(count_syncs, &f);
        flush_synced(&f);
        assert_true(f.syncs > 0);
        assert_int_equal(log_recovery_point(f.log), 2);
        end(&f, true);
    }
}

/* Then nothing says that the bytes are there: whatever number it has, a sync after it would find nothing wrong. */
static void test_an_error_is_final(void **state)
{
    (void)state;
    static const int errors[] = {EIO, ENOSPC, ENOMEM, EINVAL, EAGAIN, EOPNOTSUPP};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct fixture f;
        struct err e = {0};
        start(&f);
        append(f.log, 1);
        sync_all(&f);
        answer = errors[i];
        assert_int_not_equal(log_flush_synced(f.log, f.device, &e), ERR_OK);
        assert_int_equal(answer, 0);
        assert_true(e.fatal);
        assert_true(log_failed(f.log));
        assert_int_equal(log_recovery_point(f.log), 0);
        end(&f, false);
    }
}

/* Who waits is told of it then, and nobody after. */
static void test_an_error_while_waiting(void **state)
{
    (void)state;
    struct fixture f;
    struct err e = {0};
    start(&f);
    append(f.log, 1);
    answer = ENOSPC;
    assert_int_not_equal(log_mark_for_sync(f.log, &e), ERR_OK);
    assert_int_equal(answer, 0);
    assert_true(e.fatal);
    assert_true(log_failed(f.log)); /* before anybody else can sync it */
    end(&f, false);
}

/* Where the system has no such call, or forbids it, the log is flushed. */
static void test_nothing_can_be_asked(void **state)
{
    (void)state;
    static const int errors[] = {ENOSYS, EPERM};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
        struct fixture f;
        struct err e = {0};
        start(&f);
        append(f.log, 1);
        sync_all(&f);
        append(f.log, 1);
        answer = errors[i];
        flush_synced(&f);
        assert_true(f.syncs > 0);
        assert_int_equal(log_recovery_point(f.log), 2);
        answer = errors[i];
        assert_code(io_sync_fs_of(f.fd, &f.device, f.dir, &e), ERR_UNSUPPORTED, &e);
        end(&f, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_synced_again),     cmocka_unit_test(test_what_came_later_is_left),
        cmocka_unit_test(test_what_the_mark_does_not_know), cmocka_unit_test(test_another_file_system),
        cmocka_unit_test(test_an_error_is_final),           cmocka_unit_test(test_nothing_can_be_asked),
        cmocka_unit_test(test_what_is_waited_for),          cmocka_unit_test(test_an_error_while_waiting),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
