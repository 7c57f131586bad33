/*
 * test_upkeep: looking up by time, retention, the start offset, leader epochs, rolling by index, idle logs, deletion.
 */
#include "kit.h"

#include "base/clock.h"
#include "storage/checkpoint.h"

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

static void append_at(struct log *log, int64_t timestamp, int records)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_append(log, &(struct batch_spec){.timestamp = timestamp, .records = records}, &out, &e),
              &e);
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

static void timestamps_out_of_order_are_found(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 3000;
    a.config.index_interval_bytes = 300;
    struct log *log = open_log(&a, NULL);
    int64_t stamps[300], offset, ts;
    uint32_t random = 12345;
    for (int i = 0; i < 300; i++) {
        random = random * 1664525 + 1013904223;
        stamps[i] = EPOCH_MS + (random >> 16) % 500;
    }
    for (int i = 0; i < 300; i++)
        append_at(log, stamps[i], 1);
    for (int how = 0; how < 3; how++) {
        int64_t limit = how == 0 ? 211 : 300;
        log_set_high_watermark(log, limit);
        for (int64_t t = EPOCH_MS - 1; t < EPOCH_MS + 502; t += 3) {
            int64_t want = -1;
            for (int64_t i = 0; i < limit && want < 0; i++)
                if (stamps[i] >= t)
                    want = i;
            assert_ok(log_offset_for_time(log, t, &offset, &ts, &e), &e);
            assert_int_equal(offset, want);
            assert_int_equal(ts, want < 0 ? -1 : stamps[want]);
        }
        int64_t newest = 0;
        for (int64_t i = 1; i < limit; i++)
            if (stamps[i] > stamps[newest])
                newest = i;
        assert_ok(log_max_timestamp(log, &offset, &ts, &e), &e);
        assert_int_equal(offset, newest);
        assert_int_equal(ts, stamps[newest]);
        close_log(log, how == 1);
        a.clean = how == 1;
        a.recovery_point = how == 1 ? 300 : 0;
        log = open_log(&a, NULL);
    }
    close_log(log, true);
}

static void a_record_inside_a_batch_is_found_by_time(void **state)
{
    struct err e = {0};
    int64_t offset, ts;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_ok(log_max_timestamp(log, &offset, &ts, &e), &e);
    assert_int_equal(offset, -1);
    append_at(log, EPOCH_MS, 10);
    append_at(log, EPOCH_MS + 10, 10);
    log_set_high_watermark(log, 20);
    assert_ok(log_offset_for_time(log, EPOCH_MS + 13, &offset, &ts, &e), &e);
    assert_int_equal(offset, 13);
    assert_ok(log_set_start_offset(log, 15, &e), &e);
    assert_ok(log_offset_for_time(log, EPOCH_MS, &offset, &ts, &e), &e);
    assert_int_equal(offset, 15);
    close_log(log, true);
}

static void old_segments_are_deleted_by_time_and_size(void **state)
{
    struct err e = {0};
    int deleted;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 30; i++)
        append_at(log, EPOCH_MS + i * 1000, 1);
    assert_int_equal(segment_count(log), 6);
    a.config.retention_ms = 10000;
    log_set_config(log, &a.config);
    assert_ok(log_apply_retention(log, EPOCH_MS + 30000, INT64_MAX, &deleted, &e), &e);
    assert_int_equal(deleted, 0); /* nothing above the watermark goes */
    log_set_high_watermark(log, 30);
    struct log_range held;
    assert_ok(log_locate(log, 2, 500, READ_UNCOMMITTED, &held, &e), &e);
    assert_ok(log_apply_retention(log, EPOCH_MS + 30000, INT64_MAX, &deleted, &e), &e);
    assert_int_equal(deleted, 4); /* the newest record of the fifth segment is 6 s old */
    assert_int_equal(log_start_offset(log), 20);
    uint8_t *bytes = malloc(held.bytes);
    assert_ok(log_range_read(&held, 0, bytes, held.bytes, &e), &e);
    struct batch_header h;
    assert_ok(batch_check(bytes, held.bytes, &h, &e), &e);
    assert_int_equal(h.base_offset, 2);
    free(bytes);
    char *gone = join(*state, "00000000000000000000.log.deleted");
    assert_true(file_size(gone) > 0); /* while somebody reads */
    log_remove_deleted(log, clock_mono_ms() + 60000);
    assert_true(file_size(gone) > 0);
    log_range_release(&held);
    assert_int_equal(file_size(gone), -1);
    free(gone);
    struct walked w;
    assert_code(try_walk(log, 5, 100, READ_UNCOMMITTED, &w, &e), ERR_OFFSET_OUT_OF_RANGE, &e);
    a.config.retention_ms = -1;
    a.config.retention_bytes = 100;
    log_set_config(log, &a.config);
    assert_ok(log_apply_retention(log, EPOCH_MS, INT64_MAX, &deleted, &e), &e);
    assert_int_equal(deleted, 1);
    assert_int_equal(segment_count(log), 1);
    close_log(log, true);
    a.clean = true;
    a.recovery_point = 30;
    log = open_log(&a, NULL);
    assert_int_equal(log_start_offset(log), 25);
    assert_int_equal(log_end_offset(log), 30);
    close_log(log, true);
}

static void compacted_only_topics_keep_everything(void **state)
{
    struct err e = {0};
    int deleted;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    a.config.retention_ms = 1;
    a.config.retention_bytes = 1;
    a.config.cleanup_delete = false;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 30; i++)
        append(log, 1);
    log_set_high_watermark(log, 30);
    assert_ok(log_apply_retention(log, EPOCH_MS * 2, INT64_MAX, &deleted, &e), &e);
    assert_int_equal(deleted, 0);
    assert_code(log_set_start_offset(log, 31, &e), ERR_OFFSET_OUT_OF_RANGE, &e);
    assert_ok(log_set_start_offset(log, 12, &e), &e);
    assert_int_equal(segment_count(log), 4);
    assert_int_equal(log_start_offset(log), 12);
    close_log(log, true);
}

static void rolls_when_an_index_is_full(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_index_bytes = 80; /* ten entries, six of the time index */
    a.config.index_interval_bytes = 100;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 100; i++)
        append_at(log, EPOCH_MS + i, 1);
    assert_true(segment_count(log) >= 9);
    log_set_high_watermark(log, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(walk_log(log, i).first, i);
    DIR *d = opendir(*state);
    for (const struct dirent *en; (en = readdir(d));) {
        char *path = join(*state, en->d_name);
        if (strstr(en->d_name, "index"))
            assert_true(file_size(path) <= 80);
        free(path);
    }
    closedir(d);
    close_log(log, true);
}

static void append_epoch(struct log *log, int32_t epoch)
{
    struct err e = {0};
    size_t n;
    struct log_appended out;
    uint8_t *batch = make_batch(&(struct batch_spec){0}, &n);
    struct log_append_args args = append_args();
    args.leader_epoch = epoch;
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    mem_free(batch);
}

static void leader_epochs_are_kept(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    int32_t found;
    int64_t end;
    assert_int_equal(log_latest_epoch(log), -1);
    for (int i = 0; i < 4; i++)
        append_epoch(log, 1);
    for (int i = 0; i < 3; i++)
        append_epoch(log, 5);
    append_epoch(log, 6);
    static const struct {
        int32_t asked, found;
        int64_t end;
    } cases[] = {{0, 0, 0}, {1, 1, 4}, {3, 1, 4}, {5, 5, 7}, {6, 6, 8}, {7, -1, -1}};
    for (int how = 0; how < 3; how++) {
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            log_epoch_end(log, cases[i].asked, &found, &end);
            assert_int_equal(found, cases[i].found);
            assert_int_equal(end, cases[i].end);
        }
        close_log(log, how == 0); /* the file, then the batches */
        a.clean = how == 0;
        a.recovery_point = how == 0 ? 8 : 0;
        log = open_log(&a, NULL);
    }
    assert_ok(log_truncate_to(log, 7, &e), &e);
    assert_int_equal(log_latest_epoch(log), 5);
    log_set_high_watermark(log, 7);
    assert_ok(log_set_start_offset(log, 5, &e), &e);
    close_log(log, true);
    char *path = join(*state, "leader-epoch-checkpoint");
    struct epoch_entry *list;
    size_t n;
    assert_ok(epoch_file_read(path, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].epoch, 5);
    assert_int_equal(list[0].start, 5);
    mem_free(list);
    free(path);
}

static int count_fds(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void an_idle_log_keeps_no_file_open(void **state)
{
    struct err e = {0};
    int before = count_fds();
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 2000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 100; i++)
        append(log, 1);
    log_set_high_watermark(log, 100);
    assert_int_equal(walk_log(log, 0).batches, 100);
    log_close_idle(log);
    assert_true(count_fds() > before); /* what is not synced stays open */
    assert_ok(log_flush(log, &e), &e);
    log_close_idle(log);
    assert_int_equal(count_fds(), before);
    assert_int_equal(walk_log(log, 0).batches, 100);
    assert_true(count_fds() <= before + 4);
    assert_int_equal(append(log, 1), 100);
    close_log(log, true);
    assert_int_equal(count_fds(), before);
}

/* Flushing thousands of logs must not open thousands of files; their indexes are still found. */
static void a_log_that_is_written_to_keeps_one_file_open(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    int64_t offset, ts;
    a.config.index_interval_bytes = 300;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 2000; i++) { /* the entries pass what waits in memory */
        append_at(log, EPOCH_MS + i, 1);
        if (i % 300 == 0)
            assert_ok(log_flush(log, &e), &e);
        assert_int_equal(log_open_files(log), 1);
    }
    log_set_high_watermark(log, log_end_offset(log));
    for (int i = 0; i < 2000; i += 99) {
        assert_ok(log_offset_for_time(log, EPOCH_MS + i, &offset, &ts, &e), &e);
        assert_int_equal(offset, i);
    }
    close_log(log, true);
}

static void sizes_and_limits_are_checked(void **state)
{
    struct err e = {0};
    struct log_appended out;
    size_t n;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 5000;
    struct log *log = open_log(&a, NULL);
    assert_code(try_append(log, &(struct batch_spec){.value = 6000}, &out, &e), ERR_OVER_SEGMENT, &e);
    uint8_t *batch = make_batch(&(struct batch_spec){.value = 3000}, &n);
    struct log_append_args args = append_args();
    args.max_message_bytes = 2000;
    assert_code(log_append(log, batch, n, &args, &out, &e), ERR_TOO_LARGE, &e);
    args = append_args();
    assert_code(log_append(log, batch, n - 1, &args, &out, &e), ERR_INVALID_RECORD, &e);
    args.timestamp_after_max_ms = 1000;
    args.now_ms = EPOCH_MS - 1001;
    assert_code(log_append(log, batch, n, &args, &out, &e), ERR_INVALID_TIMESTAMP, &e);
    args = append_args();
    args.timestamp_before_max_ms = 1000;
    args.now_ms = EPOCH_MS + 1001;
    assert_code(log_append(log, batch, n, &args, &out, &e), ERR_INVALID_TIMESTAMP, &e);
    args.log_append_time = true;
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    assert_int_equal(out.append_time, EPOCH_MS + 1001);
    log_set_high_watermark(log, 1);
    int64_t offset, ts;
    assert_ok(log_max_timestamp(log, &offset, &ts, &e), &e);
    assert_int_equal(ts, EPOCH_MS + 1001);
    batch[n - 1] ^= 1;
    assert_int_not_equal(log_append(log, batch, n, &args, &out, &e), ERR_OK);
    assert_int_equal(log_end_offset(log), 1);
    mem_free(batch);
    close_log(log, true);
}

static void a_leaders_offsets_are_kept(void **state)
{
    struct err e = {0};
    struct log_appended out;
    size_t n;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    uint8_t *batch = make_batch(&(struct batch_spec){.records = 2}, &n);
    struct log_append_args args = append_args();
    args.origin = LOG_FROM_LEADER;
    batch_assign(batch, 10, 3);
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    assert_int_equal(out.base_offset, 10);
    assert_int_equal(log_latest_epoch(log), 3);
    assert_code(log_append(log, batch, n, &args, &out, &e), ERR_INVALID, &e);
    batch_assign(batch, 12, 3);
    assert_ok(log_append(log, batch, n, &args, &out, &e), &e);
    log_set_high_watermark(log, 14);
    assert_int_equal(walk_log(log, 0).first, 10);
    mem_free(batch);
    close_log(log, true);
}

static void a_deleted_log_is_gone_but_for_its_readers(void **state)
{
    struct err e = {0};
    char *dir = join(*state, "t-0");
    struct log_open_args a = open_args(dir);
    struct log *log = open_log(&a, NULL);
    append(log, 1);
    log_set_high_watermark(log, 1);
    struct log_range r;
    assert_ok(log_locate(log, 0, 100, READ_UNCOMMITTED, &r, &e), &e);
    char *renamed;
    assert_ok(log_delete(log, &renamed, &e), &e);
    assert_false(io_exists(dir));
    assert_true(io_exists(renamed));
    assert_ok(io_remove_tree(renamed, &e), &e);
    mem_free(renamed);
    uint8_t byte;
    assert_ok(log_range_read(&r, 16, &byte, 1, &e), &e);
    assert_int_equal(byte, 2);
    log_range_release(&r);
    DIR *d = opendir(*state);
    int left = 0;
    for (const struct dirent *en; (en = readdir(d));)
        left += en->d_name[0] != '.';
    closedir(d);
    assert_int_equal(left, 0);
    free(dir);
}

static void offset_files_are_kafkas(void **state)
{
    struct err e = {0};
    struct offset_entry *list;
    size_t n;
    char *path = join(*state, "recovery-point-offset-checkpoint");
    assert_ok(offset_file_read(path, &list, &n, &e), &e);
    assert_int_equal(n, 0);
    copy_file("tests/data/segments/log-dir-files/recovery-point-offset-checkpoint", path);
    assert_ok(offset_file_read(path, &list, &n, &e), &e);
    assert_true(n > 10);
    char *again = join(*state, "again");
    assert_ok(offset_file_write(again, list, n, &e), &e);
    char *x, *y;
    size_t xn, yn;
    assert_ok(io_read_file(path, 1 << 20, &x, &xn, &e), &e);
    assert_ok(io_read_file(again, 1 << 20, &y, &yn, &e), &e);
    assert_int_equal(xn, yn);
    assert_memory_equal(x, y, xn);
    mem_free(x);
    mem_free(y);
    offset_file_free(list, n);
    static const char *const bad[] = {
        "1\n0\n", "0\n2\na 0 1\n", "0\n1\na 0\n", "0\n1\na 0 x\n", "0\n0\nmore\n", "0\n-1\n", "0"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_ok(io_replace_file(path, bad[i], strlen(bad[i]), 0600, &e), &e);
        assert_code(offset_file_read(path, &list, &n, &e), ERR_CORRUPT, &e);
        assert_non_null(strstr(e.text, "line"));
    }
    free(path);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timestamps_out_of_order_are_found, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_inside_a_batch_is_found_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(old_segments_are_deleted_by_time_and_size, setup, teardown),
        cmocka_unit_test_setup_teardown(compacted_only_topics_keep_everything, setup, teardown),
        cmocka_unit_test_setup_teardown(rolls_when_an_index_is_full, setup, teardown),
        cmocka_unit_test_setup_teardown(leader_epochs_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(an_idle_log_keeps_no_file_open, setup, teardown),
        cmocka_unit_test_setup_teardown(a_log_that_is_written_to_keeps_one_file_open, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_and_limits_are_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_leaders_offsets_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(a_deleted_log_is_gone_but_for_its_readers, setup, teardown),
        cmocka_unit_test_setup_teardown(offset_files_are_kafkas, setup, teardown),
    };
    return cmocka_run_group_tests_name("upkeep", tests, NULL, NULL);
}
