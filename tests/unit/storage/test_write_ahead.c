/*
 * What log_write_ahead writes before the file system is synced: the flush then only syncs it, and a crash that tears it loses
 * no leader epoch.
 */
#include "kit.h"

#include "../../lib/power.h"
#include "base/diag.h"
#include "base/fault.h"

enum { EPOCH = 12 };

static void append_in(struct log *log, int32_t epoch)
{
    struct err e = {0};
    struct log_appended out;
    struct log_append_args args = append_args();
    size_t n;
    uint8_t *batch = make_batch(&(struct batch_spec){0}, &n);
    args.leader_epoch = epoch;
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    mem_free(batch);
}

static void expect_epoch(struct log *log, int32_t epoch, int64_t end)
{
    int32_t found;
    int64_t at;
    log_epoch_end(log, epoch, &found, &at);
    assert_int_equal(found, epoch);
    assert_int_equal(at, end);
}

static void expect_file(const char *dir, const char *text)
{
    struct err e = {0};
    char *path = join(dir, "leader-epoch-checkpoint"), *found;
    size_t n;
    assert_ok(io_read_file(path, 4096, &found, &n, &e), &e);
    assert_string_equal(found, text);
    mem_free(found);
    free(path);
}

/* How often this file was made, or another one renamed to it. */
struct made {
    int opened, renamed, synced;
};

static void count(void *arg, struct io_event *ev)
{
    struct made *m = arg;
    char link[64], path[512];
    if (!ev->done)
        return;
    if (ev->op == IO_OP_OPEN && (ev->flags & O_CREAT) && strstr(ev->path, "/leader-epoch-checkpoint"))
        m->opened++;
    if (ev->op == IO_OP_RENAME && strstr(ev->to, "/leader-epoch-checkpoint"))
        m->renamed++;
    if (ev->op != IO_OP_SYNC)
        return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", ev->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = '\0';
    m->synced += strstr(path, "/leader-epoch-checkpoint") != NULL;
}

static void test_the_flush_only_syncs(void **state)
{
    struct err e = {0};
    struct made m = {0};
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    struct log *log = open_log(&args, NULL);
    (void)state;
    append_in(log, EPOCH);
    io_watch(count, &m);
    assert_ok(log_write_ahead(log, &e), &e);
    assert_int_equal(m.opened, 1);
    assert_int_equal(m.synced, 0);
    append_in(log, EPOCH);
    assert_ok(log_flush(log, &e), &e);
    io_watch(NULL, NULL);
    assert_int_equal(m.synced, 1);
    assert_int_equal(m.opened, 1);
    assert_int_equal(m.renamed, 0);
    expect_file(dir, "0\n1\n12 0\n");
    args.recovery_point = log_recovery_point(log);
    assert_int_equal(args.recovery_point, 2);
    close_log(log, false);
    log = open_log(&args, NULL);
    expect_epoch(log, EPOCH, 2);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* A later epoch, and whatever comes once something was flushed, is written as a whole by the flush. */
static void test_what_is_not_the_first(void **state)
{
    struct err e = {0};
    struct made m = {0};
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    struct log *log = open_log(&args, NULL);
    (void)state;
    append_in(log, EPOCH);
    assert_ok(log_write_ahead(log, &e), &e);
    append_in(log, EPOCH + 1);
    io_watch(count, &m);
    assert_ok(log_write_ahead(log, &e), &e);
    assert_int_equal(m.opened + m.renamed, 0);
    assert_ok(log_flush(log, &e), &e);
    assert_int_equal(m.renamed, 1);
    append_in(log, EPOCH + 2);
    assert_ok(log_write_ahead(log, &e), &e);
    assert_int_equal(m.renamed, 1);
    io_watch(NULL, NULL);
    expect_file(dir, "0\n2\n12 0\n13 1\n");
    close_log(log, true);
    expect_file(dir, "0\n3\n12 0\n13 1\n14 2\n");
    testkit_remove_dir(dir);
}

/* Left by a crash: torn perhaps, so the flush replaces it. */
static void test_a_file_that_is_there(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir(), *path = join(dir, "leader-epoch-checkpoint");
    struct log_open_args args = open_args(dir);
    (void)state;
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_int_equal(write(fd, "0\n1", 3), 3);
    close(fd);
    struct log *log = open_log(&args, NULL);
    append_in(log, EPOCH);
    assert_ok(log_write_ahead(log, &e), &e);
    assert_ok(log_flush(log, &e), &e);
    expect_file(dir, "0\n1\n12 0\n");
    close_log(log, true);
    free(path);
    testkit_remove_dir(dir);
}

/* Nothing of it is lost: the flush does it. */
static void test_a_write_that_fails(void **state)
{
    struct err e = {0};
    (void)state;
    for (uint64_t op = 1; op <= 2; op++) { /* making the file, writing it */
        char *dir = testkit_dir();
        struct log_open_args args = open_args(dir);
        struct log *log = open_log(&args, NULL);
        append_in(log, EPOCH);
        fault_arm_at(op == 1 ? FAULT_META : FAULT_WRITE, "leader-epoch", 1, ENOSPC, false);
        assert_code(log_write_ahead(log, &e), ERR_NO_SPACE, &e);
        fault_disarm();
        assert_ok(log_flush(log, &e), &e);
        expect_file(dir, "0\n1\n12 0\n");
        close_log(log, true);
        testkit_remove_dir(dir);
    }
}

/* A sync that fails puts the log out of service: nothing tells whether the file is there. */
static void test_a_sync_that_fails(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    struct log *log = open_log(&args, NULL);
    (void)state;
    append_in(log, EPOCH);
    assert_ok(log_write_ahead(log, &e), &e);
    fault_arm_at(FAULT_SYNC, "leader-epoch", 1, EIO, false);
    assert_code(log_flush(log, &e), ERR_IO, &e);
    fault_disarm();
    assert_true(log_failed(log));
    close_log(log, false);
    testkit_remove_dir(dir);
}

static void never(void *arg)
{
    (void)arg;
}

/* Whatever part of it is on disk when the power goes, before the flush or after it. */
static void cut_power(bool flushed, unsigned luck, unsigned seed)
{
    struct err e = {0};
    struct power power;
    char *base = testkit_dir(), logs[512], dir[600], image[600], copy[700];
    snprintf(logs, sizeof logs, "%s/logs", base);
    snprintf(dir, sizeof dir, "%s/t-0", logs);
    snprintf(image, sizeof image, "%s/image", base);
    snprintf(copy, sizeof copy, "%s/t-0", image);
    mkdir(logs, 0700);
    power_start(&power, logs, seed, never, NULL);
    struct log_open_args args = open_args(dir);
    struct log *log = open_log(&args, NULL);
    append_in(log, EPOCH);
    append_in(log, EPOCH);
    assert_ok(log_write_ahead(log, &e), &e);
    if (flushed)
        assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    pthread_mutex_lock(&power.lock);
    power_image(&power, power.root, image, luck);
    pthread_mutex_unlock(&power.lock);
    close_log(log, false);
    power_stop(&power);
    args.dir = copy;
    log = open_log(&args, NULL);
    int64_t end = log_end_offset(log);
    if (flushed)
        assert_int_equal(end, 2);
    if (end > 0)
        expect_epoch(log, EPOCH, end);
    else
        append_in(log, EPOCH + 1); /* what the file may say has written nothing, and gives way */
    assert_int_equal(log_latest_epoch(log), end > 0 ? EPOCH : EPOCH + 1);
    close_log(log, true);
    testkit_remove_dir(base);
}

static void test_torn_by_a_power_loss(void **state)
{
    (void)state;
    for (unsigned luck = 0; luck <= 8; luck++)
        for (unsigned seed = 1; seed <= 4; seed++) {
            cut_power(false, luck, seed);
            cut_power(true, luck, seed);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_flush_only_syncs), cmocka_unit_test(test_what_is_not_the_first),
        cmocka_unit_test(test_a_file_that_is_there), cmocka_unit_test(test_a_write_that_fails),
        cmocka_unit_test(test_a_sync_that_fails),    cmocka_unit_test(test_torn_by_a_power_loss),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
