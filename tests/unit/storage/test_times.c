/*
 * test_times: timestamps in any order, from the far past and future, or missing: looking up by time finds what reading
 * everything finds, and the time index ascends, also after a crash and after its files are lost.
 */
#include "kit.h"

#include "base/diag.h"

enum { BATCHES = 400 };

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

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static int64_t odd_time(uint64_t *x)
{
    static const int64_t odd[] = {-1, 0, 1, EPOCH_MS * 1000, INT64_MAX - 5, EPOCH_MS - 86400000};
    uint64_t r = next_random(x);
    return r % 8 == 0 ? odd[(r >> 8) % 6] : EPOCH_MS + (int64_t)((r >> 8) % 1000);
}

/* What a look-up has to find in `times` (one record a batch). */
static int64_t first_from(const int64_t *times, int n, int64_t timestamp)
{
    for (int i = 0; i < n; i++)
        if (times[i] >= timestamp)
            return i;
    return -1;
}

static void expect_lookups(struct log *log, const int64_t *times, int n)
{
    struct err e = {0};
    int64_t offset, ts, newest = -1;
    for (int i = 0; i < n; i++)
        for (int64_t t = times[i] < 0 ? 0 : times[i]; t <= times[i] + 1; t++) {
            assert_ok(log_offset_for_time(log, t, &offset, &ts, &e), &e);
            if (offset != first_from(times, n, t) || (offset >= 0 && ts != times[offset]))
                fail_msg("timestamp %" PRId64 ": offset %" PRId64 " instead of %" PRId64, t, offset,
                         first_from(times, n, t));
        }
    for (int i = 0; i < n; i++)
        newest = times[i] > newest ? times[i] : newest;
    assert_ok(log_max_timestamp(log, &offset, &ts, &e), &e);
    assert_int_equal(ts, newest);
    assert_int_equal(offset, first_from(times, n, newest));
}

/* Calls for every file whose name ends so. */
static int each_file(const char *dir, const char *suffix, void (*fn)(const char *path))
{
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (const struct dirent *en; (en = readdir(d));) {
        size_t len = strlen(en->d_name), end = strlen(suffix);
        if (len < end || strcmp(en->d_name + len - end, suffix) != 0)
            continue;
        char *path = join(dir, en->d_name);
        fn(path);
        free(path);
        n++;
    }
    closedir(d);
    return n;
}

static void expect_ascending(const char *path)
{
    struct err e = {0};
    char *data;
    size_t n;
    int64_t last = -1;
    assert_ok(io_read_file(path, 1 << 20, &data, &n, &e), &e);
    assert_int_equal(n % 12, 0);
    for (size_t at = 0; at < n; at += 12) {
        int64_t t = (int64_t)be64((uint8_t *)data + at);
        assert_true(t > last);
        last = t;
    }
    mem_free(data);
}

static void lose(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

static void any_order(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 20000;
    a.config.index_interval_bytes = 300;
    a.config.segment_ms = INT64_MAX;
    static int64_t times[BATCHES];
    uint64_t x = 4711;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < BATCHES; i++) {
        struct err e = {0};
        struct log_appended out;
        times[i] = odd_time(&x);
        if (times[i] == 0)
            times[i] = 2; /* 0 is the kit's word for a default */
        assert_ok(try_append(log, &(struct batch_spec){.timestamp = times[i]}, &out, &e), &e);
    }
    log_set_high_watermark(log, BATCHES);
    expect_lookups(log, times, BATCHES);
    close_log(log, true);
    assert_true(each_file(*state, ".timeindex", expect_ascending) > 2);
    for (int how = 0; how < 3; how++) {
        a.clean = how == 0;
        a.recovery_point = how == 0 ? BATCHES : how == 1 ? 0 : BATCHES / 2;
        if (how == 2)
            each_file(*state, ".timeindex", lose);
        log = open_log(&a, NULL);
        log_set_high_watermark(log, BATCHES);
        expect_lookups(log, times, BATCHES);
        close_log(log, true);
        each_file(*state, ".timeindex", expect_ascending);
    }
}

/* Limits of what may be appended, at the ends of what numbers can say. */
static void limits(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    static const struct {
        int64_t timestamp, before, after;
        bool good;
    } cases[] = {
        {EPOCH_MS - 1000, 1000, 1000, true},
        {EPOCH_MS - 1001, 1000, 1000, false},
        {EPOCH_MS + 1000, 1000, 1000, true},
        {EPOCH_MS + 1001, 1000, 1000, false},
        {INT64_MAX - 1, INT64_MAX, 0, false},
        {INT64_MAX - 1, INT64_MAX, INT64_MAX, true},
        {INT64_MIN + 1, 1000, 1000, false},
        {INT64_MIN + 1, INT64_MAX, 1000, true},
        {-1, 0, 0, true}, /* without a time: Kafka's NO_TIMESTAMP */
        {-2, 0, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n;
        struct log_appended out;
        uint8_t *batch = make_batch(&(struct batch_spec){.timestamp = cases[i].timestamp}, &n);
        struct log_append_args args = append_args();
        args.timestamp_before_max_ms = cases[i].before;
        args.timestamp_after_max_ms = cases[i].after;
        int rc = log_append(log, batch, n, &args, &out, &e);
        if (rc != (cases[i].good ? ERR_OK : ERR_INVALID_TIMESTAMP))
            fail_msg("case %zu: %s", i, rc ? e.text : "accepted");
        mem_free(batch);
    }
    int deleted;
    log_set_high_watermark(log, log_end_offset(log));
    assert_ok(log_apply_retention(log, EPOCH_MS, INT64_MAX, &deleted, &e), &e);
    close_log(log, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_order, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
