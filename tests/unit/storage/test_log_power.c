/*
 * What one log keeps when the power goes (tests/lib/power.h): only what was synced, names of files included. And what it
 * keeps from readers and takes from the disk meanwhile.
 */
#include "storage/log_internal.h"
#include "storage/page_cache.h"

#include "kit.h"

#include "../../lib/power.h"

struct cut {
    struct power power;
    char path[512];
};

static void never(void *arg)
{
    (void)arg;
}

static void cut_now(struct cut *c, unsigned luck)
{
    pthread_mutex_lock(&c->power.lock);
    power_image(&c->power, c->power.root, c->path, luck);
    pthread_mutex_unlock(&c->power.lock);
}

/* A transaction that is aborted after the log's first flush: its index is a new file then. */
static void test_aborted_transactions_survive(void **state)
{
    struct err e = {0};
    struct cut c;
    char *base = testkit_dir(), dir[512], image[600];
    struct log_appended out;
    struct aborted_txn *list;
    size_t n;
    (void)state;
    snprintf(dir, sizeof dir, "%s/logs", base);
    snprintf(c.path, sizeof c.path, "%s/image", base);
    mkdir(dir, 0700);
    power_start(&c.power, dir, 1, never, NULL);
    snprintf(dir, sizeof dir, "%s/logs/t-0", base);
    snprintf(image, sizeof image, "%s/image/t-0", base);
    struct log_open_args args = open_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_spec spec = {.has_producer = true, .producer = {5, 0, 0, true}};
    assert_ok(try_append(log, &spec, &out, &e), &e);
    assert_ok(log_flush(log, &e), &e);
    assert_ok(try_marker(log, 5, 0, false, &out, &e), &e);
    assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    assert_int_equal(args.recovery_point, 2);
    cut_now(&c, 0);
    close_log(log, false);
    power_stop(&c.power);
    args.dir = image;
    log = open_log(&args, NULL);
    assert_int_equal(log_end_offset(log), 2);
    assert_ok(log_aborted(log, 0, 2, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    mem_free(list);
    close_log(log, true);
    testkit_remove_dir(base);
}

/* After a failed sync the kernel may show bytes that it never wrote: what the journal has is written once more. */
static void test_restoring_writes_the_same_bytes_again(void **state)
{
    struct err e = {0};
    struct power power;
    char *dir = testkit_dir();
    (void)state;
    int fd = -1;
    assert_ok(log_restore(&fd, dir, 0, 0, "bytes", 5, &e), &e);
    io_close(fd);
    fd = -1;
    power_start(&power, dir, 1, never, NULL);
    assert_ok(log_restore(&fd, dir, 0, 0, "bytes", 5, &e), &e);
    assert_int_equal(power.root->durable.n, 1);
    assert_int_equal(power.root->durable.list[0].node->op_count, 1);
    io_close(fd);
    power_stop(&power);
    testkit_remove_dir(dir);
}

/* A file's length may reach the disk before its bytes. */
static void test_metadata_of_zeros(void **state)
{
    char *dir = testkit_dir(), command[512];
    struct log_open_args args = open_args(dir);
    (void)state;
    snprintf(command, sizeof command, "head -c 43 /dev/zero > %s/partition.metadata", dir);
    assert_int_equal(system(command), 0);
    close_log(open_log(&args, NULL), true);
    close_log(open_log(&args, NULL), true);
    testkit_remove_dir(dir);
}

/* What is taken back behind a marker that is not committed yet leaves its transaction unstable. */
static void test_truncation_above_the_watermark(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    struct log_appended out;
    (void)state;
    struct log *log = open_log(&args, NULL);
    struct batch_spec spec = {.has_producer = true, .producer = {5, 0, 0, true}};
    assert_ok(try_append(log, &spec, &out, &e), &e);
    log_set_high_watermark(log, 1);
    assert_ok(try_marker(log, 5, 0, true, &out, &e), &e);
    assert_ok(log_roll(log, true, &e), &e); /* writes a snapshot behind the marker */
    append(log, 1);
    append(log, 1);
    assert_ok(log_truncate_to(log, 3, &e), &e);
    assert_int_equal(log_last_stable_offset(log), 0);
    log_set_high_watermark(log, 3);
    assert_int_equal(log_last_stable_offset(log), 3);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Without a journal nobody else knows where the log ends: that it was cut is on disk when the call comes back. */
static void test_truncation_is_durable(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    (void)state;
    for (uint64_t sync = 1; sync <= 4;
         sync++) { /* the segment that is active again and its indexes, the names of those that go */
        struct log *log = open_log(&args, NULL);
        append(log, 1);
        assert_ok(log_roll(log, true, &e), &e);
        append(log, 1);
        assert_ok(log_flush(log, &e), &e);
        fault_arm(FAULT_SYNC, sync, EIO, false);
        assert_code(log_truncate_to(log, log_end_offset(log) - 1, &e), ERR_IO, &e);
        fault_disarm();
        assert_code(log_truncate_to(log, 0, &e), ERR_LOG_FAILED, &e);
        close_log(log, false);
    }
    testkit_remove_dir(dir);
}

/*
 * A process ends while opening takes the end back, before that is synced. The next one sees a log that is whole, and what it
 * appends must not find on disk what was taken back: it syncs that first, or the log is not opened.
 */
static void test_a_cut_that_was_interrupted(void **state)
{
    struct err e = {0};
    struct log *log;
    uint64_t sync = 0;
    int rc = ERR_IO;
    (void)state;
    for (; rc; sync++) {
        char *dir = testkit_dir(), path[512], mark[512];
        struct log_open_args args = open_args(dir);
        log = open_log(&args, NULL);
        append(log, 1);
        assert_ok(log_roll(log, true, &e), &e);
        append(log, 1);
        assert_ok(log_flush(log, &e), &e);
        close_log(log, false);
        snprintf(path, sizeof path, "%s/00000000000000000000.log", dir);
        snprintf(mark, sizeof mark, "%s/cut.deleted", dir);
        cut_file(path, file_size(path) - 1);
        fault_arm(FAULT_SYNC, sync + 1, EIO, false);
        rc = log_open(&log, &args, NULL, &e);
        fault_disarm();
        if (rc) {
            assert_true(io_exists(mark));
            fault_arm(FAULT_SYNC, 1, EIO, false);
            assert_code(log_open(&log, &args, NULL, &e), ERR_IO, &e);
            fault_disarm();
            log = open_log(&args, NULL);
        }
        assert_int_equal(log_end_offset(log), 0);
        assert_false(io_exists(mark));
        close_log(log, false);
        testkit_remove_dir(dir);
    }
    assert_true(sync > 2); /* the segment's and the directory's failed */
}

static void append_at(struct log *log, int64_t timestamp)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_append(log, &(struct batch_spec){.timestamp = timestamp}, &out, &e), &e);
    log_set_high_watermark(log, out.last_offset + 1);
}

/*
 * The end of a page-cache log is lost, and other batches come to stand there. The index entries of the old ones, which opening
 * took away, must not come back beside the new ones, whose offsets and places they have. `killed`: the process that took them away
 * ends before it syncs anything.
 */
static void lost_and_written_anew(bool killed)
{
    enum { TIME = 1700000000 };
    struct err e = {0};
    struct cut c;
    char *base = testkit_dir(), root[512], dir[600], image[600];
    int64_t offset, found;
    snprintf(root, sizeof root, "%s/logs", base);
    snprintf(dir, sizeof dir, "%s/logs/t-0", base);
    snprintf(c.path, sizeof c.path, "%s/image", base);
    snprintf(image, sizeof image, "%s/image/t-0", base);
    assert_ok(io_mkdirs(dir, 0700, &e), &e);
    struct log_open_args args = open_args(dir);
    args.config.index_interval_bytes = 0;
    struct log *log = open_log(&args, NULL);
    for (int i = 0; i < 4; i++)
        append_at(log, TIME + i);
    assert_ok(log_flush(log, &e), &e);
    close_log(log, false);
    char *path = join(dir, "00000000000000000000.log");
    assert_int_equal(truncate(path, 0), 0);
    free(path);
    power_start(&c.power, root, 1, never, NULL);
    for (int i = 0; i <= killed; i++) {
        log = open_log(&args, NULL);
        assert_int_equal(log_end_offset(log), 0);
        if (i < killed)
            close_log(log, false);
    }
    append_at(log, TIME);
    append_at(log, TIME + 900); /* the largest */
    append_at(log, TIME);
    append_at(log, TIME);
    assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    assert_int_equal(args.recovery_point, 4);
    cut_now(&c, 0);
    close_log(log, false);
    power_stop(&c.power);
    args.dir = image;
    log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    assert_ok(log_offset_for_time(log, TIME + 800, &offset, &found, &e), &e);
    assert_int_equal(offset, 1);
    assert_int_equal(found, TIME + 900);
    close_log(log, true);
    testkit_remove_dir(base);
}

static void test_lost_and_written_anew(void **state)
{
    (void)state;
    lost_and_written_anew(false);
    lost_and_written_anew(true);
}

static int64_t blocks_of(const char *dir)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/00000000000000000000.log", dir);
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_blocks * 512;
}

/* Skips the test where the file system reserves no space. */
static void need_reservations(const char *dir)
{
    struct err e;
    char path[600];
    int fd;
    snprintf(path, sizeof path, "%s/probe", dir);
    assert_ok(io_open(&fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    if (io_allocate(fd, 0, 4096, path, &e) == ERR_UNSUPPORTED) {
        print_message("this file system reserves no space\n");
        skip();
    }
    io_close(fd);
}

static void test_preallocate(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    (void)state;
    need_reservations(dir);
    args.config.preallocate = true;
    args.config.segment_bytes = 8 << 20;
    struct log *log = open_log(&args, NULL);
    append(log, 1);
    assert_true(blocks_of(dir) >= 8 << 20);
    close_log(log, true);
    assert_true(blocks_of(dir) < 1 << 20); /* given back */
    testkit_remove_dir(dir);
}

/* A log reserves behind its end, but not one of thousands. */
static void test_reservations(void **state)
{
    static const struct {
        size_t logs;
        bool preallocate;
        int64_t least, most;
    } cases[] = {{1, false, 7 << 19, 8 << 20},
                 {1024, false, 7 << 19, 8 << 20},
                 {1025, false, 0, 0},
                 {1025, true, 8 << 20, 8 << 20}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page_cache cache;
        char *dir = testkit_dir();
        struct log_open_args args = open_args(dir);
        need_reservations(dir);
        page_cache_init(&cache, PAGE_CACHE_ALL);
        page_cache_share(&cache, cases[i].logs);
        args.page_cache = &cache;
        args.config.segment_bytes = 8 << 20;
        args.config.preallocate = cases[i].preallocate;
        struct log *log = open_log(&args, NULL);
        while (log_size(log) <= 5 << 19)
            append(log, 1000);
        int64_t reserved =
            log_active(log)->allocated; /* the file system may take some of its own accord, too */
        assert_true(blocks_of(dir) >= cases[i].least);
        assert_true(reserved >= cases[i].least);
        assert_true(reserved <= (cases[i].most ? cases[i].most : log_size(log)));
        close_log(log, true);
        testkit_remove_dir(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aborted_transactions_survive),
        cmocka_unit_test(test_restoring_writes_the_same_bytes_again),
        cmocka_unit_test(test_metadata_of_zeros),
        cmocka_unit_test(test_truncation_above_the_watermark),
        cmocka_unit_test(test_truncation_is_durable),
        cmocka_unit_test(test_a_cut_that_was_interrupted),
        cmocka_unit_test(test_lost_and_written_anew),
        cmocka_unit_test(test_preallocate),
        cmocka_unit_test(test_reservations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
