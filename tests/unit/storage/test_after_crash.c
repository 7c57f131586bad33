/*
 * What opening makes of files as a loss of power, or damage, leaves them: each case is made by hand. The simulation in
 * tests/power found them.
 */
#include "kit.h"

#include "base/io_watch.h"
#include "storage/journal.h"

/* A log with an index entry for every batch but the first, rising timestamps, and segments that roll when told. */
static struct log *make_log(struct log_open_args *args, const char *dir, int batches)
{
    struct err e = {0};
    struct log_appended out;
    *args = open_args(dir);
    args->config.index_interval_bytes = 0;
    struct log *log = open_log(args, NULL);
    for (int i = 0; i < batches; i++)
        assert_ok(try_append(log, &(struct batch_spec){.timestamp = EPOCH_MS + i * 10}, &out, &e), &e);
    log_set_high_watermark(log, batches);
    return log;
}

static void expect_times(struct log *log, int batches)
{
    struct err e = {0};
    int64_t offset, ts;
    log_set_high_watermark(log, batches);
    for (int i = 0; i < batches; i++) {
        assert_ok(log_offset_for_time(log, EPOCH_MS + i * 10, &offset, &ts, &e), &e);
        assert_int_equal(offset, i);
    }
}

/* The time index of the active segment lost entries that came with those of the offset index. */
static void test_time_index_behind_the_offset_index(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    struct log *log = make_log(&args, dir, 6);
    assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    close_log(log, false);
    char *path = join(dir, "00000000000000000000.timeindex");
    assert_true(file_size(path) > 12);
    cut_file(path, 12);
    log = open_log(&args, NULL);
    expect_times(log, 6);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* Flushed while it was active, then sealed: its data is below the recovery point, its indexes are not synced. */
static void test_indexes_of_a_segment_sealed_at_the_recovery_point(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    struct log *log = make_log(&args, dir, 4);
    assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    assert_ok(log_roll(log, true, &e), &e);
    close_log(log, false);
    char *path = join(dir, "00000000000000000000.timeindex");
    cut_file(path, 12);
    log = open_log(&args, NULL);
    expect_times(log, 4);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* ---- what is cut stays cut ---------------------------------------------------------------------------------------------- */

struct seen {
    bool cut, file_synced, dir_synced;
    int dir_fd;
};

static void watch(void *arg, struct io_event *ev)
{
    struct seen *s = arg;
    if (!ev->done)
        return;
    if (ev->op == IO_OP_OPEN && (ev->flags & O_DIRECTORY))
        s->dir_fd = ev->fd;
    s->cut |= ev->op == IO_OP_TRUNCATE;
    if (ev->op == IO_OP_SYNC && s->cut && ev->fd == s->dir_fd)
        s->dir_synced = true;
    else if (ev->op == IO_OP_SYNC && s->cut)
        s->file_synced = true;
}

static void test_a_cut_is_synced_before_the_log_is_used(void **state)
{
    struct log_open_args args;
    struct seen seen = {.dir_fd = -1};
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    close_log(make_log(&args, dir, 3), false);
    char *path = join(dir, "00000000000000000000.log");
    cut_file(path, file_size(path) - 10);
    io_watch(watch, &seen);
    struct log *log = open_log(&args, NULL);
    io_watch(NULL, NULL);
    assert_int_equal(log_end_offset(log), 2);
    assert_true(seen.cut && seen.file_synced && seen.dir_synced);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* ---- small files -------------------------------------------------------------------------------------------------------- */

static void test_torn_partition_metadata(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    struct log *log;
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    close_log(make_log(&args, dir, 2), false);
    char *path = join(dir, "partition.metadata");
    int64_t whole = file_size(path);
    cut_file(path, 20);
    args.clean = true;
    assert_code(log_open(&log, &args, NULL, &e), ERR_CORRUPT, &e);
    args.clean = false;
    log = open_log(&args, NULL);
    assert_int_equal(log_end_offset(log), 2);
    assert_int_equal(file_size(path), whole);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* The snapshot knows of a transaction whose marker stood in a segment that retention has deleted. */
static void test_snapshot_from_before_the_first_segment(void **state)
{
    static const char *const gone[] = {"00000000000000000000.log", "00000000000000000001.log"};
    struct err e = {0};
    struct log_open_args args;
    struct log_appended out;
    struct batch_spec spec = {.has_producer = true, .producer = {5, 0, 0, true}};
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    assert_ok(try_append(log, &spec, &out, &e), &e);
    assert_ok(log_roll(log, true, &e), &e);
    assert_ok(try_marker(log, 5, 0, true, &out, &e), &e);
    assert_ok(log_roll(log, true, &e), &e);
    append(log, 1);
    assert_ok(log_flush(log, &e), &e);
    args.recovery_point = log_recovery_point(log);
    close_log(log, false);
    for (int i = 0; i < 2; i++) {
        char *path = join(dir, gone[i]);
        assert_ok(io_unlink(path, &e), &e);
        free(path);
    }
    char *newest = join(dir, "00000000000000000002.snapshot");
    cut_file(newest, 0);
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 3);
    assert_int_equal(log_last_stable_offset(log), 3);
    close_log(log, false);
    free(newest);
    free(dir);
    testkit_remove_dir(base);
}

/* Its length became durable, its bytes did not. */
static void test_transaction_index_of_zeros(void **state)
{
    static const uint8_t zeros[34];
    struct err e = {0};
    struct log_open_args args;
    struct log_appended out;
    struct aborted_txn *list;
    struct batch_spec spec = {.has_producer = true, .producer = {5, 0, 0, true}};
    char *base = testkit_dir(), *dir = join(base, "t-0");
    size_t n;
    int fd;
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    for (int i = 0; i < 2; i++) {
        spec.producer.base_sequence = i;
        assert_ok(try_append(log, &spec, &out, &e), &e);
        assert_ok(try_marker(log, 5, 0, false, &out, &e), &e);
        if (i == 0)
            assert_ok(log_flush(log, &e), &e);
        if (i == 0)
            args.recovery_point = log_recovery_point(log);
    }
    close_log(log, false);
    char *path = join(dir, "00000000000000000000.txnindex");
    assert_int_equal(file_size(path), 68);
    assert_ok(io_open(&fd, path, O_RDWR, 0, &e), &e);
    assert_ok(io_pwrite(fd, zeros, sizeof zeros, 34, path, &e), &e);
    io_close(fd);
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 4);
    assert_int_equal(file_size(path), 68);
    assert_ok(log_aborted(log, 2, 4, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].first_offset, 2);
    mem_free(list);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* ---- damage --------------------------------------------------------------------------------------------------------------- */

/* A cut that never became durable: what it removed stands again behind a segment's last batch, and later segments are whole. */
static void test_old_bytes_behind_a_full_segment_cost_nothing_else(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    struct log_recovery report;
    char *base = testkit_dir(), *dir = join(base, "t-0"), *path = join(dir, "00000000000000000000.log");
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    for (int i = 0; i < 3; i++) {
        append(log, 2);
        assert_ok(log_roll(log, true, &e), &e);
    }
    close_log(log, false);
    int64_t size = file_size(path);
    FILE *f = fopen(path, "a");
    assert_non_null(f);
    for (int i = 0; i < 500; i++)
        fputc(0x9f, f);
    assert_int_equal(fclose(f), 0);
    args.durable_end = 6;
    log = open_log(&args, &report);
    assert_int_equal(log_end_offset(log), 6);
    assert_int_equal(report.cut_bytes, 500);
    assert_int_equal(report.cut_from_offset, -1); /* no record is gone */
    assert_int_equal(file_size(path), size);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

static void test_a_gap_between_segments_is_told_of(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    struct log_range r;
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    for (int i = 0; i < 3; i++) {
        append(log, 2);
        assert_ok(log_roll(log, true, &e), &e);
    }
    close_log(log, true);
    char *path = join(dir, "00000000000000000002.log");
    assert_ok(io_unlink(path, &e), &e);
    args.clean = true;
    args.recovery_point = 6;
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 6);
    for (int i = 0; i < 2; i++) {
        testkit_hear();
        int rc = log_locate(log, 2, 1, READ_UNCOMMITTED, &r, &e);
        char *text = testkit_heard();
        assert_ok(rc, &e);
        assert_int_equal(r.base_offset, 4);
        log_range_release(&r);
        assert_true((strstr(text, "t-0: offsets 2 to 3 are missing") != NULL) == (i == 0));
        free(text);
    }
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/*
 * A batch that was never synced is torn behind the recovery point: nothing of that is damage, also where producers are replayed
 * up to there.
 */
static void test_a_torn_end_is_no_damage(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args args;
    char *base = testkit_dir(), *dir = join(base, "t-0"), *path = join(dir, "00000000000000000000.log");
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    int64_t synced = 0;
    for (int i = 0; i < 3; i++) {
        const struct batch_spec two = {.records = 2, .timestamp = EPOCH_MS + i * 10};
        synced = file_size(path);
        assert_ok(i == 2 ? log_flush(log, &e) : ERR_OK, &e);
        assert_ok(try_append(log, &two, &out, &e), &e);
    }
    args.recovery_point = log_recovery_point(log);
    assert_int_equal(args.recovery_point, 4);
    int64_t all = file_size(path);
    assert_ok(log_roll(log, true, &e), &e); /* which writes the indexes */
    close_log(log, false);
    cut_file(path, synced);
    cut_file(path, all); /* its length without its bytes */
    testkit_hear();
    log = open_log(&args, NULL);
    char *text = testkit_heard();
    assert_null(strstr(text, "ERROR"));
    assert_non_null(strstr(text, "WARN"));
    assert_int_equal(log_end_offset(log), 4);
    close_log(log, false);
    free(text);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* No checksum covers a batch's offset. */
static void test_an_offset_beyond_the_log_is_told_of(void **state)
{
    struct err e = {0};
    struct log_open_args args;
    struct log_range r;
    char *base = testkit_dir(), *dir = join(base, "t-0");
    (void)state;
    struct log *log = make_log(&args, dir, 0);
    append(log, 1);
    assert_ok(log_roll(log, true, &e), &e);
    append(log, 1);
    close_log(log, true);
    char *path = join(dir, "00000000000000000000.log");
    damage_file(path, 3);
    args.clean = true;
    args.recovery_point = 2;
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 2);
    assert_code(log_locate(log, 0, 1, READ_UNCOMMITTED, &r, &e), ERR_CORRUPT, &e);
    close_log(log, false);
    free(path);
    free(dir);
    testkit_remove_dir(base);
}

/* ---- the journal ---------------------------------------------------------------------------------------------------------- */

static int count_entry(void *arg, const struct journal_entry *en, struct err *e)
{
    (void)en;
    (void)e;
    ++*(int *)arg;
    return ERR_OK;
}

/* More files than a burst needs again are removed, but none that a start would look for. */
static void test_surplus_journal_files_stay_until_their_release_is_on_disk(void **state)
{
    struct err e = {0};
    struct journal *j;
    char *dir = testkit_dir();
    static uint8_t data[30000];
    struct journal_options o = {.dir = dir, .file_bytes = 64 << 10};
    int entries = 0;
    (void)state;
    assert_ok(journal_open(&j, &o, &e), &e);
    assert_ok(journal_replay(j, count_entry, &entries, &e), &e);
    for (int i = 0; i < 16; i++) {
        struct journal_entry en = {
            .base_offset = i, .next_offset = i + 1, .data = data, .bytes = sizeof data};
        assert_ok(journal_stage(j, &en, &e), &e);
        assert_ok(journal_commit(j, &e), &e);
    }
    assert_ok(journal_release(j, journal_sealed(j), &e), &e);
    assert_ok(journal_shrink(j, true, &e), &e);
    journal_close(j); /* as if the process had been killed here */
    assert_ok(journal_open(&j, &o, &e), &e);
    assert_ok(journal_replay(j, count_entry, &entries, &e), &e);
    assert_true(entries > 0);
    journal_close(j);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_index_behind_the_offset_index),
        cmocka_unit_test(test_indexes_of_a_segment_sealed_at_the_recovery_point),
        cmocka_unit_test(test_a_cut_is_synced_before_the_log_is_used),
        cmocka_unit_test(test_torn_partition_metadata),
        cmocka_unit_test(test_snapshot_from_before_the_first_segment),
        cmocka_unit_test(test_transaction_index_of_zeros),
        cmocka_unit_test(test_old_bytes_behind_a_full_segment_cost_nothing_else),
        cmocka_unit_test(test_a_gap_between_segments_is_told_of),
        cmocka_unit_test(test_a_torn_end_is_no_damage),
        cmocka_unit_test(test_an_offset_beyond_the_log_is_told_of),
        cmocka_unit_test(test_surplus_journal_files_stay_until_their_release_is_on_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
