/*
 * What one log keeps when the power goes (tests/lib/power.h): only what was synced, names of files included.
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

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_aborted_transactions_survive)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
