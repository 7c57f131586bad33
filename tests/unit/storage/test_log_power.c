/*
 * What one log keeps when the power goes (tests/lib/power.h): only what was synced, names of files included. And what it
 * keeps from readers and takes from the disk meanwhile.
 */
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
    bool changed;
    (void)state;
    assert_ok(log_restore(dir, 0, 0, "bytes", 5, &changed, &e), &e);
    assert_true(changed);
    power_start(&power, dir, 1, never, NULL);
    assert_ok(log_restore(dir, 0, 0, "bytes", 5, &changed, &e), &e);
    assert_false(changed);
    assert_int_equal(power.root->durable.n, 1);
    assert_int_equal(power.root->durable.list[0].node->op_count, 1);
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

static int64_t blocks_of(const char *dir)
{
    char path[600];
    struct stat st;
    snprintf(path, sizeof path, "%s/00000000000000000000.log", dir);
    assert_int_equal(stat(path, &st), 0);
    return (int64_t)st.st_blocks * 512;
}

static void test_preallocate(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = open_args(dir);
    struct err e = {0};
    char path[600];
    int fd;
    (void)state;
    snprintf(path, sizeof path, "%s/probe", dir);
    assert_ok(io_open(&fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    if (io_allocate(fd, 0, 4096, path, &e) == ERR_UNSUPPORTED) {
        print_message("this file system reserves no space\n");
        skip();
    }
    io_close(fd);
    args.config.preallocate = true;
    args.config.segment_bytes = 8 << 20;
    struct log *log = open_log(&args, NULL);
    append(log, 1);
    assert_true(blocks_of(dir) >= 8 << 20);
    close_log(log, true);
    assert_true(blocks_of(dir) < 1 << 20); /* given back */
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aborted_transactions_survive),
        cmocka_unit_test(test_restoring_writes_the_same_bytes_again),
        cmocka_unit_test(test_metadata_of_zeros),
        cmocka_unit_test(test_truncation_above_the_watermark),
        cmocka_unit_test(test_preallocate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
