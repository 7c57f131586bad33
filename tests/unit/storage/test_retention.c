/*
 * test_retention: Kafka's rules for deleting old segments, the active one too; segment.ms with its jitter; timestamps that are
 * missing, out of order or from the future; when the files of deleted segments go.
 */
#include "kit.h"

#include <sys/time.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"

#define DAY INT64_C(86400000)

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

static void append_at(struct log *log, int64_t timestamp)
{
    struct err e = {0};
    size_t n;
    struct log_appended out;
    uint8_t *batch = make_batch(&(struct batch_spec){.timestamp = timestamp}, &n);
    struct log_append_args args = append_args();
    args.now_ms = clock_wall_ms();
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    mem_free(batch);
    log_set_high_watermark(log, out.last_offset + 1);
}

static size_t segment_count(struct log *log)
{
    struct err e = {0};
    struct segment_info *list;
    size_t n;
    assert_ok(log_segments(log, &list, &n, &e), &e);
    mem_free(list);
    return n;
}

static int retain(struct log *log, int64_t now)
{
    struct err e = {0};
    int deleted;
    assert_ok(log_apply_retention(log, now, INT64_MAX, &deleted, &e), &e);
    return deleted;
}

static void the_active_segment_goes_by_time(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.retention_ms = 10000;
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        append_at(log, EPOCH_MS + i);
    assert_int_equal(segment_count(log), 2);
    assert_int_equal(retain(log, EPOCH_MS + 10006), 1); /* the newest record is no older than that */
    assert_int_equal(log_start_offset(log), 5);
    assert_int_equal(retain(log, EPOCH_MS + 10007), 1);
    assert_int_equal(log_start_offset(log), 7);
    assert_int_equal(log_end_offset(log), 7);
    assert_int_equal(segment_count(log), 1);
    assert_int_equal(log_size(log), 0);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 0); /* an empty one stays */
    append_at(log, EPOCH_MS + DAY);
    assert_int_equal(walk_log(log, 7).batches, 1);
    close_log(log, true);
}

static void the_active_segment_goes_by_size(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        append_at(log, EPOCH_MS);
    int64_t two = 2 * log_size(log) / 7;
    a.config.retention_bytes = two; /* what the second segment has */
    log_set_config(log, &a.config);
    assert_int_equal(retain(log, EPOCH_MS), 1);
    assert_int_equal(log_size(log), two);
    a.config.retention_bytes = 1;
    log_set_config(log, &a.config);
    assert_int_equal(retain(log, EPOCH_MS), 0); /* without it there would be less */
    a.config.retention_bytes = 0;
    log_set_config(log, &a.config);
    assert_int_equal(retain(log, EPOCH_MS), 1);
    assert_int_equal(log_start_offset(log), 7);
    close_log(log, true);
}

/* Below what the owner says and below the watermark only, and the active segment stays where it says so. */
static void nothing_beyond_the_bound_goes(void **state)
{
    struct err e = {0};
    int deleted;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    a.config.retention_ms = 1;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        append_at(log, EPOCH_MS);
    assert_ok(log_apply_retention(log, EPOCH_MS + DAY, 4, &deleted, &e), &e);
    assert_int_equal(deleted, 0);
    assert_ok(log_apply_retention(log, EPOCH_MS + DAY, 6, &deleted, &e), &e);
    assert_int_equal(deleted, 1);
    assert_int_equal(log_start_offset(log), 5);
    close_log(log, true);
}

/* After deleting everything the log goes on where it was, also after a crash. */
static void what_is_left_is_opened_again(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.retention_ms = 1;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        append_at(log, EPOCH_MS);
    assert_ok(log_flush(log, &e), &e);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 1);
    close_log(log, false);
    a.recovery_point = a.durable_end = 7;
    log = open_log(&a, NULL);
    assert_int_equal(log_start_offset(log), 7);
    assert_int_equal(log_end_offset(log), 7);
    close_log(log, true);
}

/* A loss of power kept the names of what was deleted, and not that of the new segment: no offset is given twice. */
static void a_lost_active_segment_keeps_its_offsets(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.retention_ms = 1;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        append_at(log, EPOCH_MS);
    assert_ok(log_flush(log, &e), &e);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 1);
    close_log(log, false);
    char *path = join(*state, "00000000000000000007.log");
    assert_ok(io_unlink(path, &e), &e);
    free(path);
    a.recovery_point = a.durable_end = 7;
    log = open_log(&a, NULL);
    assert_int_equal(log_start_offset(log), 7);
    assert_int_equal(log_end_offset(log), 7);
    append_at(log, EPOCH_MS);
    close_log(log, true);
}

/* Kafka takes the time of the file's last change for a segment in which no record has a timestamp. */
static void without_timestamps_the_file_tells(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.retention_ms = 10000;
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 6; i++)
        append_at(log, -1);
    int64_t now = clock_wall_ms();
    assert_int_equal(retain(log, now), 0);
    char *path = join(*state, "00000000000000000000.log");
    const struct timeval times[2] = {{.tv_sec = now / 1000 - 11}, {.tv_sec = now / 1000 - 11}};
    assert_int_equal(utimes(path, times), 0);
    free(path);
    assert_int_equal(retain(log, now), 1);
    assert_int_equal(log_start_offset(log), 5);
    assert_int_equal(retain(log, now + 20000), 1); /* the active one */
    close_log(log, true);
}

/* A timestamp from the future holds a segment until then, and what follows it; an operator has other means. */
static void future_timestamps(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.retention_ms = 10000;
    a.config.segment_bytes = 1000;
    a.config.segment_ms = INT64_MAX; /* a jump in time would start a new one */
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 20; i++)
        append_at(log, i == 7 ? EPOCH_MS + 1000 * DAY : EPOCH_MS);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 1);
    assert_int_equal(log_start_offset(log), 5);
    assert_int_equal(retain(log, EPOCH_MS + 999 * DAY), 0);
    int64_t offset, ts;
    assert_ok(log_offset_for_time(log, EPOCH_MS + DAY, &offset, &ts, &e), &e);
    assert_int_equal(offset, 7);
    assert_ok(log_offset_for_time(log, EPOCH_MS, &offset, &ts, &e), &e);
    assert_int_equal(offset, 5);
    a.config.retention_bytes = 1000;
    log_set_config(log, &a.config);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 3); /* the first by size; then nothing is in the way */
    assert_int_equal(log_start_offset(log), 20);
    a.config.retention_bytes = -1;
    log_set_config(log, &a.config);
    for (int i = 20; i < 26; i++)
        append_at(log, i == 21 ? EPOCH_MS + 1000 * DAY : EPOCH_MS);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 0);
    assert_ok(log_set_start_offset(log, 25, &e), &e);
    assert_int_equal(log_start_offset(log), 25);
    assert_int_equal(retain(log, EPOCH_MS + DAY), 1); /* the rest is not held */
    close_log(log, true);
}

static void deleted_files_go_later(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.retention_bytes = 0;
    a.config.file_delete_delay_ms = 5000;
    struct log *log = open_log(&a, NULL);
    char *deleted = join(*state, "00000000000000000000.log.deleted");
    char *index = join(*state, "00000000000000000000.timeindex.deleted");
    append_at(log, EPOCH_MS);
    assert_true(log_next_removal(log) == INT64_MAX);
    int64_t before = clock_mono_ms();
    assert_int_equal(retain(log, EPOCH_MS), 1);
    int64_t due = log_next_removal(log);
    assert_true(due >= before + 5000 && due <= clock_mono_ms() + 5000);
    log_remove_deleted(log, due - 1);
    assert_true(file_size(deleted) > 0 && file_size(index) > 0);
    assert_true(log_next_removal(log) == due);
    log_remove_deleted(log, due);
    assert_int_equal(file_size(deleted), -1);
    assert_int_equal(file_size(index), -1);
    assert_true(log_next_removal(log) == INT64_MAX);
    free(deleted);
    free(index);
    /* A log that is closed, or opened after a crash, leaves none behind. */
    char *second = join(*state, "00000000000000000001.log.deleted");
    append_at(log, EPOCH_MS);
    assert_int_equal(retain(log, EPOCH_MS), 1);
    assert_true(file_size(second) > 0);
    close_log(log, true);
    assert_int_equal(file_size(second), -1);
    copy_file("/dev/null", second); /* as a killed process leaves it */
    a.clean = true;
    a.recovery_point = 2;
    log = open_log(&a, NULL);
    assert_int_equal(file_size(second), -1);
    free(second);
    a.config.file_delete_delay_ms = 0;
    log_set_config(log, &a.config);
    char *third = join(*state, "00000000000000000002.log.deleted");
    append_at(log, EPOCH_MS);
    assert_int_equal(retain(log, EPOCH_MS), 1);
    assert_int_equal(file_size(third), -1);
    assert_true(log_next_removal(log) == INT64_MAX);
    free(third);
    close_log(log, true);
}

static void rolls_by_the_records_time(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_ms = 1000;
    struct log *log = open_log(&a, NULL);
    append_at(log, EPOCH_MS);
    append_at(log, EPOCH_MS + 1000);
    append_at(log, EPOCH_MS - DAY); /* back in time: no reason for a new one */
    assert_int_equal(segment_count(log), 1);
    append_at(log, EPOCH_MS + 1001);
    assert_int_equal(segment_count(log), 2);
    append_at(log, EPOCH_MS + 2001);
    assert_int_equal(segment_count(log), 2);
    close_log(log, true);
}

static void rolls_by_age_without_timestamps(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_ms = DAY;
    struct log *log = open_log(&a, NULL);
    append_at(log, -1);
    append_at(log, -1);
    assert_int_equal(segment_count(log), 1);
    clock_shift_wall(-2 * DAY);
    append_at(log, -1);
    assert_int_equal(segment_count(log), 1);
    clock_shift_wall(DAY + 1000);
    append_at(log, -1);
    assert_int_equal(segment_count(log), 2);
    clock_shift_wall(0);
    close_log(log, true);
}

/* Shorter by less than the jitter, each segment by another time. */
static void jitter_shortens_segment_ms(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_ms = 1000000;
    a.config.segment_jitter_ms = 500000;
    struct log *log = open_log(&a, NULL);
    int64_t first = EPOCH_MS, spans[8], distinct = 0;
    append_at(log, first);
    for (size_t segments = 1; segments <= 8;) {
        int64_t low = 0, high = 1000001; /* of the waiting time that rolls, found by trying */
        append_at(log, first + (low = 499999));
        assert_int_equal(segment_count(log), segments);
        while (segment_count(log) == segments) {
            low += 1000;
            append_at(log, first + low);
        }
        assert_true(low <= high + 999);
        spans[segments - 1] = low;
        segments++;
        first += low;
    }
    for (int i = 1; i < 8; i++)
        distinct += spans[i] != spans[0];
    assert_true(distinct > 0);
    close_log(log, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_active_segment_goes_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(the_active_segment_goes_by_size, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_beyond_the_bound_goes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_left_is_opened_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_active_segment_keeps_its_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(without_timestamps_the_file_tells, setup, teardown),
        cmocka_unit_test_setup_teardown(future_timestamps, setup, teardown),
        cmocka_unit_test_setup_teardown(deleted_files_go_later, setup, teardown),
        cmocka_unit_test_setup_teardown(rolls_by_the_records_time, setup, teardown),
        cmocka_unit_test_setup_teardown(rolls_by_age_without_timestamps, setup, teardown),
        cmocka_unit_test_setup_teardown(jitter_shortens_segment_ms, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
