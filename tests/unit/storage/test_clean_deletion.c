/*
 * Records are deleted while a pass reads them.
 */
#include "clean_small.h"

enum { LARGE = 900 << 10 };

struct deletion {
    struct log *log;
    int64_t before;
};

static int delete_records(void *arg, size_t bytes, struct err *e)
{
    const struct deletion *d = arg;
    (void)bytes;
    return log_set_start_offset(d->log, d->before, e);
}

/* Their transaction indexes go as well; the aborted transaction in them is no damage for that. */
static void test_segments_go_meanwhile(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    args.config.segment_bytes = 4 << 20;
    args.config.index_interval_bytes = 4096;
    struct log *log = open_log(&args, NULL);
    char *large =
        calloc(1, LARGE + 1); /* the pace is asked after some work only: while the first segment is read */
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct err e = {0};
    struct clean_look look;
    struct clean_result out;
    (void)state;
    assert_non_null(large);
    memset(large, 'x', LARGE);
    put(log, "k", large, NULL);
    roll(log);
    put(log, "k", "aborted", &p);
    end_txn(log, 7, false);
    roll(log);
    struct deletion d = {log, log_end_offset(log)};
    struct cleaner *c =
        cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20, .pace = delete_records, .arg = &d}, &e);
    assert_non_null(c);
    assert_ok(log_clean_look(log, 0, EPOCH_MS, INT64_MAX, &look, &e), &e);
    int rc =
        log_clean(log, c, &(struct clean_args){look.first_dirty, look.first_uncleanable, EPOCH_MS}, &out, &e);
    assert_code(rc, ERR_BUSY, &e);
    assert_int_equal(log_start_offset(log), d.before);
    cleaner_free(c);
    free(large);
    close_log(log, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_segments_go_meanwhile),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
