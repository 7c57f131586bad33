/*
 * test_log: appending, reading, rolling, closing and reopening one partition's log.
 */
#include "kit.h"

static int setup(void **state)
{
    *state = testkit_dir();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    testkit_remove_dir(*state);
    return 0;
}

static void appends_are_read_below_the_watermark(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_int_equal(append(log, 1), 0);
    assert_int_equal(append(log, 3), 1);
    assert_int_equal(append(log, 2), 4);
    assert_int_equal(log_end_offset(log), 6);
    assert_int_equal(log_high_watermark(log), 0);
    assert_int_equal(walk_log(log, 0).batches, 0);
    log_set_high_watermark(log, 4);
    assert_int_equal(walk_log(log, 0).batches, 2);
    log_set_high_watermark(log, 100); /* never past the end */
    assert_int_equal(log_high_watermark(log), 6);
    struct walked w = walk_log(log, 2); /* inside a batch: the whole batch comes */
    assert_int_equal(w.first, 1);
    assert_int_equal(w.next, 6);
    struct log_range r;
    assert_code(log_locate(log, 7, 1, READ_UNCOMMITTED, &r, &e), ERR_OFFSET_OUT_OF_RANGE, &e);
    assert_ok(log_locate(log, 6, 1, READ_UNCOMMITTED, &r, &e), &e);
    assert_int_equal(r.bytes, 0);
    close_log(log, true);
}

static void reopened_clean_without_a_scan(void **state)
{
    struct log_recovery report;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 200; i++)
        append(log, 2);
    close_log(log, true);
    a.clean = true;
    a.recovery_point = 400;
    log = open_log(&a, &report);
    assert_int_equal(report.scanned_bytes, 0);
    assert_int_equal(report.indexes_rebuilt, 0);
    assert_int_equal(log_end_offset(log), 400);
    assert_int_equal(log_recovery_point(log), 400);
    assert_int_equal(append(log, 1), 400);
    log_set_high_watermark(log, 401);
    assert_int_equal(walk_log(log, 0).batches, 201);
    close_log(log, true);
}

static void killed_and_recovered(void **state)
{
    struct err e = {0};
    struct log_recovery report;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 100; i++)
        append(log, 1);
    assert_ok(log_flush(log, &e), &e);
    assert_int_equal(log_recovery_point(log), 100);
    int64_t synced = log_size(log);
    for (int i = 0; i < 50; i++)
        append(log, 1);
    int64_t all = log_size(log);
    close_log(log, false);
    a.recovery_point = 100;
    log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 150);
    assert_int_equal(report.scanned_bytes, all - synced);
    assert_int_equal(report.cut_bytes, 0);
    assert_int_equal(report.cut_from_offset, -1);
    log_set_high_watermark(log, 150);
    assert_int_equal(walk_log(log, 0).batches, 150);
    close_log(log, false);
    /* The same, but nothing at or beyond 120 was ever acknowledged. */
    a.durable_end = 120;
    log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 120);
    assert_int_equal(report.cut_from_offset, 120);
    assert_true(report.cut_bytes > 0);
    assert_int_equal(append(log, 1), 120);
    close_log(log, true);
}

static void rolls_by_size_and_record_time(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    a.config.segment_ms = 60000;
    struct log *log = open_log(&a, NULL);
    struct log_appended out;
    for (int i = 0; i < 12; i++) /* 172 bytes each: five to a segment */
        append(log, 1);
    struct segment_info *list;
    size_t n;
    assert_ok(log_segments(log, &list, &n, &e), &e);
    assert_int_equal(n, 3);
    assert_int_equal(list[1].base_offset, 5);
    assert_int_equal(list[2].base_offset, 10);
    assert_true(list[2].active);
    assert_int_equal(list[0].first_timestamp, EPOCH_MS);
    mem_free(list);
    assert_ok(try_append(log, &(struct batch_spec){.timestamp = EPOCH_MS + 60000}, &out, &e), &e);
    assert_int_equal(out.segment_base, 10);
    assert_ok(try_append(log, &(struct batch_spec){.timestamp = EPOCH_MS + 60001}, &out, &e), &e);
    assert_int_equal(out.segment_base, 13);
    assert_int_equal(out.position, 0);
    log_set_high_watermark(log, 14);
    assert_int_equal(walk_log(log, 0).batches, 14);
    assert_int_equal(walk_log(log, 9).batches, 5);
    close_log(log, false);
    log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(log), 14);
    log_set_high_watermark(log, 14);
    assert_int_equal(walk_log(log, 0).batches, 14);
    close_log(log, true);
    struct log_recovery report;
    a.clean = true;
    a.recovery_point = 14;
    log = open_log(&a, &report);
    assert_int_equal(report.scanned_bytes, 0);
    log_set_high_watermark(log, 14);
    assert_int_equal(walk_log(log, 0).batches, 14);
    close_log(log, true);
}

/* Many partitions are opened and closed with the hub; most of them are never touched. */
static void an_untouched_log_closes_without_a_sync(void **state)
{
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    append(log, 1);
    close_log(log, true);
    a.clean = true;
    a.recovery_point = 1;
    fault_arm(FAULT_SYNC, UINT64_MAX, EIO, false);
    log = open_log(&a, NULL);
    log_set_high_watermark(log, 1);
    assert_int_equal(walk_log(log, 0).batches, 1);
    close_log(log, true);
    assert_int_equal(fault_passes(FAULT_SYNC), 0);
    log = open_log(&a, NULL);
    append(log, 1);
    close_log(log, true);
    assert_true(fault_passes(FAULT_SYNC) > 0);
    fault_disarm();
    a.recovery_point = 2;
    log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(log), 2);
    close_log(log, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(appends_are_read_below_the_watermark, setup, teardown),
        cmocka_unit_test_setup_teardown(reopened_clean_without_a_scan, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_and_recovered, setup, teardown),
        cmocka_unit_test_setup_teardown(rolls_by_size_and_record_time, setup, teardown),
        cmocka_unit_test_setup_teardown(an_untouched_log_closes_without_a_sync, setup, teardown),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
