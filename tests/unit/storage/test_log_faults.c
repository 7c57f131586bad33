/*
 * test_log_faults: every allocation, write, sync, read and change of a name fails once. Each time: an error where the
 * fault hit (or none, where it could be done without), nothing acknowledged lost, the log usable or plainly out of
 * service, and the directory opens again.
 */
#include "kit.h"

#include "storage/log_internal.h"

struct run {
    const char *root;
};

/* What the caller knows to be in the log. */
struct known {
    int64_t end;     /* appended without an error */
    int64_t flushed; /* below this a flush said OK */
    int errors;
};

static struct log_open_args small_log(const char *dir)
{
    struct log_open_args a = open_args(dir);
    a.config.segment_bytes = 200000;
    a.config.index_interval_bytes = 2000;
    return a;
}

/* Batches are made before the faults are armed, so that every fault is the log's. */
#define STEPS 14
static uint8_t *batches[STEPS];
static size_t sizes[STEPS];

static void make_batches(void)
{
    for (int i = 0; i < STEPS; i++) {
        struct batch_spec spec = {.value = 25000, .timestamp = EPOCH_MS + i};
        if (i % 3 == 1) {
            spec.has_producer = true;
            spec.producer =
                (struct batch_producer){.id = 5, .epoch = 0, .base_sequence = i / 3, .transactional = true};
        }
        batches[i] = make_batch(&spec, &sizes[i]);
    }
}

static int append_step(struct log *log, int i, struct known *k, struct err *e)
{
    struct log_appended out;
    struct log_append_args args = append_args();
    int64_t end = log_end_offset(log);
    int rc = log_append(log, batches[i], sizes[i], &args, &out, e);
    if (rc) {
        k->errors++;
        assert_int_equal(log_end_offset(log), end); /* as before */
        return rc;
    }
    assert_int_equal(out.base_offset, end);
    k->end = log_end_offset(log);
    return ERR_OK;
}

static int flush_step(struct log *log, struct known *k, struct err *e)
{
    int rc = log_flush(log, e);
    if (rc == ERR_OK)
        k->flushed = log_end_offset(log);
    else
        k->errors++;
    return rc;
}

/* After an error: the same once more works, unless the log says that it is out of service. */
static void again_or_failed(struct log *log, int i, struct known *k, int rc, struct err *e)
{
    if (rc == ERR_OK)
        return;
    rc = append_step(log, i, k, e);
    if (rc != ERR_OK)
        assert_int_equal(rc, ERR_LOG_FAILED);
}

static void work(struct log *log, struct known *k)
{
    struct err e = {0};
    struct log_appended out;
    for (int i = 0; i < STEPS; i++) {
        again_or_failed(log, i, k, append_step(log, i, k, &e), &e);
        if (i == 4 || i == 9)
            flush_step(log, k, &e);
        if (i == 6 || i == 12) {
            int rc = try_marker(log, 5, 0, i == 12, &out, &e);
            k->errors += rc != ERR_OK;
            if (rc && try_marker(log, 5, 0, i == 12, &out, &e) != ERR_OK)
                assert_int_equal(e.code, ERR_LOG_FAILED);
            k->end = log_end_offset(log);
        }
        log_set_high_watermark(log, k->end);
    }
}

static void read_everything(struct log *log, const struct known *k, int *errors)
{
    struct err e = {0};
    struct walked w;
    int64_t offset, ts;
    struct aborted_txn *aborted;
    size_t n;
    int rc = try_walk(log, 0, 10000, READ_UNCOMMITTED, &w, &e);
    if (rc == ERR_OK)
        assert_int_equal(w.next, k->end);
    *errors += rc != ERR_OK;
    rc = log_offset_for_time(log, EPOCH_MS + 3, &offset, &ts, &e);
    if (rc == ERR_OK && k->end > 4)
        assert_true(offset >= 3);
    *errors += rc != ERR_OK;
    rc = log_aborted(log, 0, k->end, &aborted, &n, &e);
    *errors += rc != ERR_OK;
    mem_free(aborted);
}

static void run_once(void *arg)
{
    struct run *run = arg;
    struct err e = {0};
    struct known k = {0};
    struct log *log = NULL;
    char *dir = join(run->root, "t-0");
    struct log_open_args a = small_log(dir);
    int rc = log_open(&log, &a, NULL, &e);
    bool closed_clean = false;
    if (rc == ERR_OK) {
        work(log, &k);
        read_everything(log, &k, &k.errors);
        closed_clean = log_close(log, true, &e) == ERR_OK;
        k.errors += !closed_clean;
    } else {
        k.errors++;
    }
    fault_disarm();
    /* A crash of the process loses nothing of what is in the files. */
    a.recovery_point = closed_clean ? k.end : k.flushed;
    a.clean = closed_clean;
    log = open_log(&a, NULL);
    assert_true(log_end_offset(log) >= k.end || (rc != ERR_OK && log_end_offset(log) == 0));
    assert_int_equal(log_end_offset(log), k.end); /* and nothing that was refused came in */
    log_set_high_watermark(log, k.end);
    int none = 0;
    read_everything(log, &k, &none);
    assert_int_equal(none, 0);
    append(log, 1);
    close_log(log, true);
    assert_ok(io_remove_tree(dir, &e), &e);
    free(dir);
}

static int setup(void **state)
{
    *state = testkit_dir();
    make_batches();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    for (int i = 0; i < STEPS; i++)
        mem_free(batches[i]);
    testkit_remove_dir(*state);
    return 0;
}

static void each_fault(void **state, enum fault_point point, int errnum, uint64_t at_least)
{
    struct run run = {.root = *state};
    uint64_t met = testkit_each_fault(point, errnum, run_once, &run);
    if (met < at_least)
        fail_msg("only %llu passes, %llu expected", (unsigned long long)met, (unsigned long long)at_least);
}

static void every_allocation(void **state)
{
    each_fault(state, FAULT_ALLOC, ENOMEM, 30);
}

static void every_write(void **state)
{
    each_fault(state, FAULT_WRITE, EIO, 20);
}

static void every_write_for_want_of_space(void **state)
{
    each_fault(state, FAULT_WRITE, ENOSPC, 20);
}

static void every_sync(void **state)
{
    each_fault(state, FAULT_SYNC, EIO, 8);
}

static void every_read(void **state)
{
    each_fault(state, FAULT_READ, EIO, 5);
}

static void every_name(void **state)
{
    each_fault(state, FAULT_META, EACCES, 5);
}

/* Recovery itself is interrupted at every point, and then goes through. */
static void recover_once(void *arg)
{
    struct run *run = arg;
    struct err e = {0};
    char *from = join(run->root, "from"), *dir = join(run->root, "t-0");
    struct log *log;
    struct log_open_args a = small_log(dir);
    a.recovery_point = 3;
    int rc = log_open(&log, &a, NULL, &e);
    fault_disarm();
    if (rc == ERR_OK)
        assert_ok(log_close(log, false, &e), &e);
    log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(log), STEPS - 1);
    log_set_high_watermark(log, STEPS - 1);
    assert_int_equal(walk_log(log, 0).batches, STEPS - 1);
    close_log(log, false);
    assert_ok(io_remove_tree(dir, &e), &e);
    copy_dir(from, dir);
    free(from);
    free(dir);
}

static void recovery_can_be_interrupted(void **state)
{
    struct run run = {.root = *state};
    struct known k = {0};
    struct err e = {0};
    char *from = join(*state, "from"), *dir = join(*state, "t-0");
    struct log_open_args a = small_log(from);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < STEPS; i++)
        assert_ok(append_step(log, i, &k, &e), &e);
    close_log(log, false);
    char *last = join(from, "00000000000000000007.log");
    assert_true(file_size(last) > 0);
    cut_file(last, file_size(last) - 1);
    copy_dir(from, dir);
    static const enum fault_point points[] = {FAULT_ALLOC, FAULT_WRITE, FAULT_READ, FAULT_META};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++)
        assert_true(testkit_each_fault(points[i], EIO, recover_once, &run) > 0);
    free(from);
    free(dir);
    free(last);
}

/* Whatever its error is: another one would say that all is well. */
static void a_failed_sync_is_final(void **state)
{
    static const int errors[] = {EIO, ENOSPC, ENOMEM, EMFILE};
    struct err e = {0};
    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        char *dir = testkit_dir();
        struct log_open_args args = small_log(dir);
        struct log *log = open_log(&args, NULL);
        append(log, 1);
        fault_arm(FAULT_SYNC, 1, errors[i], false);
        assert_int_not_equal(log_flush(log, &e), ERR_OK);
        fault_disarm();
        assert_code(log_flush(log, &e), ERR_LOG_FAILED, &e);
        assert_int_equal(log_recovery_point(log), 0);
        close_log(log, false);
        testkit_remove_dir(dir);
    }
}

/* Flushes write out in pieces before they sync: an error that one of those is told of is the sync's own. */
static void a_failed_write_out_is_final(void **state)
{
    enum { BATCHES = 5 };
    struct err e = {0};
    struct log_appended out;
    uint64_t passes = 1;
    (void)state;
    for (uint64_t nth = 0; nth < passes; nth++) { /* the first time they are counted */
        char *dir = testkit_dir();
        struct log_open_args args = open_args(dir);
        struct log *log = open_log(&args, NULL);
        for (int i = 0; i < BATCHES; i++)
            assert_ok(try_append(log, &(struct batch_spec){.value = 900 << 10}, &out, &e), &e);
        fault_arm_at(FAULT_SYNC, "00000000000000000000.log", nth ? nth : UINT64_MAX, EIO, false);
        int rc = log_flush(log, &e);
        passes = nth ? passes : fault_passes(FAULT_SYNC) + 1;
        fault_disarm();
        assert_int_equal(rc != ERR_OK, nth > 0);
        assert_int_equal(log_flush(log, &e), nth ? ERR_LOG_FAILED : ERR_OK);
        assert_int_equal(log_recovery_point(log), nth ? 0 : BATCHES);
        close_log(log, false);
        testkit_remove_dir(dir);
    }
    assert_true(passes > 4);
}

/* ---- a full disk, where appends are acknowledged by their sync ---- */

static int snapshots(const char *dir)
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *x; (x = readdir(d));)
        n += strstr(x->d_name, ".snapshot") != NULL;
    closedir(d);
    return n;
}

/* What can be made later needs no room: neither indexes nor snapshots. */
static void appends_are_synced_without_room(void **state)
{
    static const char *const full[] = {"index", ".snapshot"};
    struct err e = {0};
    struct known k = {0};
    (void)state;
    for (int i = 0; i < 2; i++) {
        char *dir = testkit_dir();
        struct log_open_args args = small_log(dir);
        struct log *log = open_log(&args, NULL);
        assert_ok(append_step(log, 0, &k, &e), &e);
        assert_ok(log_sync_appends(log, &e), &e);
        assert_ok(append_step(log, 3, &k, &e), &e);
        log->snapshot_lag = SNAPSHOT_LAG_APPENDS;
        fault_arm_at(FAULT_WRITE, full[i], 1, ENOSPC, true);
        assert_ok(log_sync_appends(log, &e), &e);
        assert_int_equal(log_recovery_point(log), k.end);
        assert_int_equal(snapshots(dir), 1 - i);
        fault_disarm();
        assert_ok(append_step(log, 6, &k, &e), &e);
        assert_ok(log_sync_appends(log, &e), &e);
        assert_int_equal(snapshots(dir), 1);
        close_log(log, false);
        args.recovery_point = k.end;
        log = open_log(&args, NULL);
        assert_int_equal(log_end_offset(log), k.end);
        close_log(log, true);
        testkit_remove_dir(dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_allocation, setup, teardown),
        cmocka_unit_test_setup_teardown(every_write, setup, teardown),
        cmocka_unit_test_setup_teardown(every_write_for_want_of_space, setup, teardown),
        cmocka_unit_test_setup_teardown(every_sync, setup, teardown),
        cmocka_unit_test_setup_teardown(every_read, setup, teardown),
        cmocka_unit_test_setup_teardown(every_name, setup, teardown),
        cmocka_unit_test_setup_teardown(recovery_can_be_interrupted, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_sync_is_final, setup, teardown),
        cmocka_unit_test(a_failed_write_out_is_final),
        cmocka_unit_test_setup_teardown(appends_are_synced_without_room, setup, teardown),
    };
    return cmocka_run_group_tests_name("log faults", tests, NULL, NULL);
}
