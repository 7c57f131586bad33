/*
 * How much of a log stays in the page cache: when that is limited, what a flush and a reader let go of, and that nothing but memory goes.
 * What the system keeps in memory it decides itself in the end, so the tests ask for pages that are far from what is meant to stay.
 */
#include "kit.h"

#include <sys/mman.h>

#include "base/diag.h"
#include "storage/page_cache.h"

enum { MIB = 1 << 20, PAGE = 4096, VALUE = 900 << 10, LIMIT = 2 * MIB };

static const struct page_share none; /* of a log that has nothing beyond its share */

/* How many of the pages of [from, to) the page cache has. */
static size_t cached_pages(const char *path, int64_t from, int64_t to)
{
    struct err e = {0};
    int fd;
    size_t n = (size_t)(to - from), found = 0;
    assert_ok(io_open(&fd, path, O_RDONLY, 0, &e), &e);
    void *map = mmap(NULL, n, PROT_READ, MAP_SHARED, fd, from);
    unsigned char *pages = calloc(n / PAGE + 1, 1);
    assert_true(map != MAP_FAILED && pages);
    assert_int_equal(mincore(map, n, pages), 0);
    for (size_t i = 0; i < n / PAGE; i++)
        found += pages[i] & 1;
    munmap(map, n);
    io_close(fd);
    free(pages);
    return found;
}

/* The system may have its reasons to keep a page. */
static void expect_gone(const char *path, int64_t from, int64_t to)
{
    size_t n = cached_pages(path, from, to), all = (size_t)(to - from) / PAGE;
    if (n > all / 8)
        fail_msg("%zu of %zu pages are still in memory", n, all);
}

/* On a file system in memory, for one, nothing ever goes. */
static bool goes(const char *dir)
{
    struct err e = {0};
    char *path = join(dir, "probe"), *data = calloc(1, 8 * MIB);
    int fd;
    assert_non_null(data);
    assert_ok(io_open(&fd, path, O_RDWR | O_CREAT, 0600, &e), &e);
    assert_ok(io_pwrite(fd, data, 8 * MIB, 0, path, &e), &e);
    assert_ok(io_sync_data(fd, path, &e), &e);
    io_forget(fd);
    io_close(fd);
    bool gone = cached_pages(path, 0, 8 * MIB) < 4 * MIB / PAGE;
    if (!gone)
        print_message("SKIPPED: %s keeps all in memory\n", dir);
    free(data);
    free(path);
    return gone;
}

static struct log_open_args limited_args(const char *dir, struct page_cache *c, int64_t limit)
{
    struct log_open_args args = open_args(dir);
    page_cache_init(c, limit);
    args.page_cache = c;
    return args;
}

static void append_mib(struct log *log, int n)
{
    struct err e = {0};
    struct log_appended out;
    for (int i = 0; i < n; i++)
        assert_ok(try_append(log, &(struct batch_spec){.value = VALUE}, &out, &e), &e);
}

static void flush(struct log *log)
{
    struct err e = {0};
    assert_ok(log_flush(log, &e), &e);
}

static void test_limited_once_pages_are_slow(void **state)
{
    (void)state;
    struct page_cache c;
    page_cache_init(&c, PAGE_CACHE_BY_COST);
    for (int i = 0; i < 100; i++)
        page_cache_note(&c, 16 * PAGE, 16 * 1000);
    assert_int_equal(page_cache_keep(&c, &none), INT64_MAX);
    page_cache_note(&c, 16 * PAGE, 16 * 500000); /* one that was in the way of something else */
    for (int i = 0; i < 200; i++)
        page_cache_note(&c, 1024 * PAGE, 1024 * 1000);
    assert_int_equal(page_cache_keep(&c, &none), INT64_MAX);
    for (int i = 0; i < 200; i++)
        page_cache_note(&c, 16 * PAGE, 16 * 20000);
    assert_int_equal(page_cache_keep(&c, &none), 256 * MIB);
    page_cache_share(&c, 64);
    assert_int_equal(page_cache_keep(&c, &none), 4 * MIB);
    page_cache_share(&c, 0);
    assert_int_equal(page_cache_keep(&c, &none), 256 * MIB);
}

/* Logs that are synced one by one share the limit, too: as many as there were in the last turn. */
static void test_logs_of_a_turn_share_it(void **state)
{
    (void)state;
    struct page_cache c;
    struct page_share logs[8] = {0};
    page_cache_init(&c, 16 * MIB);
    for (int i = 0; i < 63; i++)
        page_cache_flushed(&c, &logs[i % 8], MIB);
    assert_int_equal(page_cache_keep(&c, &none), 16 * MIB);
    page_cache_flushed(&c, &logs[7], MIB);
    assert_int_equal(page_cache_keep(&c, &none), 2 * MIB);
    page_cache_share(&c, 4); /* the larger number counts */
    assert_int_equal(page_cache_keep(&c, &none), 2 * MIB);
    page_cache_share(&c, 16);
    assert_int_equal(page_cache_keep(&c, &none), MIB);
    page_cache_share(&c, 1);
    for (int i = 0; i < 64; i++)
        page_cache_flushed(&c, &logs[0], MIB);
    assert_int_equal(page_cache_keep(&c, &none), 16 * MIB);
    page_cache_flushed(NULL, &logs[0], MIB);
}

/* Pages were found to be slow, so that there is a limit, though the operator set none. */
static void limit_slow(struct page_cache *c, int64_t limit)
{
    page_cache_init(c, PAGE_CACHE_BY_COST);
    for (int i = 0; i < 2; i++)
        page_cache_note(c, 1024 * PAGE, (int64_t)1024 * 100000);
    c->limit = limit;
}

/* What is read again from further back than that stays from then on, as long as readers come for it. */
static void test_what_is_read_again_stays(void **state)
{
    (void)state;
    struct page_cache c;
    struct page_share log = {0};
    limit_slow(&c, 4 * MIB);
    page_cache_was_read(&c, &log, 64 * MIB, 8 * MIB, false);
    assert_int_equal(page_cache_keep(&c, &log), 4 * MIB);
    page_cache_was_read(&c, &log, 3 * MIB, MIB, true); /* it is there */
    assert_int_equal(page_cache_keep(&c, &log), 4 * MIB);
    page_cache_was_read(&c, &log, 64 * MIB, 8 * MIB, true);
    assert_int_equal(page_cache_keep(&c, &log), 12 * MIB);
    assert_int_equal(page_cache_keep(&c, &none), 4 * MIB);
    for (int i = 0; i < 100; i++) {
        page_cache_was_read(&c, &log, 10 * MIB, 8 * MIB, false);
        page_cache_flushed(&c, &log, 24 * MIB);
    }
    assert_int_equal(page_cache_keep(&c, &log), 12 * MIB);
    page_cache_was_read(&c, &log, 10 * MIB, 7 * MIB, false);
    page_cache_flushed(&c, &log, 24 * MIB);
    assert_int_equal(page_cache_keep(&c, &log), 8 * MIB);
    for (int i = 0; i < 100; i++)
        page_cache_flushed(&c, &log, 24 * MIB);
    assert_int_equal(page_cache_keep(&c, &log), 4 * MIB);
    assert_int_equal(c.lent, 0);
    page_cache_was_read(NULL, &log, MIB, MIB, true);
}

/* There is half of the memory for all logs; one that is closed leaves its part. And what the operator says holds. */
static void test_how_much_stays_at_most(void **state)
{
    (void)state;
    struct page_cache c;
    struct page_share a = {0}, b = {0};
    limit_slow(&c, 4 * MIB);
    assert_true(c.spare > 16 * MIB);
    c.spare = 16 * MIB;
    page_cache_was_read(&c, &a, 64 * MIB, 10 * MIB, true); /* so far back it cannot reach */
    assert_int_equal(page_cache_keep(&c, &a), 4 * MIB);
    page_cache_was_read(&c, &a, 20 * MIB, 10 * MIB, true);
    page_cache_was_read(&c, &b, 20 * MIB, 10 * MIB, true);
    assert_int_equal(page_cache_keep(&c, &a), 14 * MIB);
    assert_int_equal(page_cache_keep(&c, &b), 4 * MIB);
    page_cache_leave(&c, &a);
    page_cache_was_read(&c, &b, 20 * MIB, 10 * MIB, true);
    assert_int_equal(page_cache_keep(&c, &b), 14 * MIB);
    page_cache_leave(NULL, &b);
    page_cache_init(&c, 4 * MIB);
    page_cache_was_read(&c, &a, 64 * MIB, 10 * MIB, true);
    assert_int_equal(page_cache_keep(&c, &a), 4 * MIB);
}

static void test_which_writes_are_timed(void **state)
{
    (void)state;
    static const struct {
        int64_t limit;
        size_t bytes;
        bool timed;
    } cases[] = {
        {PAGE_CACHE_BY_COST, 4096, true},
        {PAGE_CACHE_BY_COST, 100, false},
        {PAGE_CACHE_ALL, 4096, false},
        {MIB, 4096, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct page_cache c;
        int timed = 0;
        page_cache_init(&c, cases[i].limit);
        for (int k = 0; k < 80; k++)
            timed += page_cache_before(&c, cases[i].bytes) >= 0;
        assert_int_equal(timed, cases[i].timed ? 10 : 0);
    }
    assert_int_equal(page_cache_before(NULL, 4096), -1);
    page_cache_after(NULL, -1, 4096);
    assert_int_equal(page_cache_keep(NULL, &none), INT64_MAX);
}

/* 18 MiB in one segment, flushed in three parts; then all of it read. */
static void test_a_flush_keeps_the_end(void **state)
{
    (void)state;
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000000.log");
    struct page_cache c;
    struct log_open_args args = limited_args(dir, &c, LIMIT);
    if (goes(dir)) {
        struct log *log = open_log(&args, NULL);
        for (int i = 0; i < 3; i++) {
            append_mib(log, 6);
            flush(log);
        }
        int64_t size = file_size(path);
        assert_int_equal(c.turn, 2); /* of 8 MiB, so all that was flushed was counted */
        expect_gone(path, 0, 6 * MIB);
        expect_gone(path, 6 * MIB, (size - 8 * MIB) & -PAGE);
        assert_true(cached_pages(path, (size - LIMIT) & -PAGE, size) > LIMIT / PAGE / 2);
        log_set_high_watermark(log, log_end_offset(log));
        assert_int_equal(walk_log(log, 0).batches, 18);
        close_log(log, true);
    }
    free(path);
    testkit_remove_dir(dir);
}

/* What stays is counted over rolled segments, too, which go as the log goes on. */
static void test_rolled_segments_go(void **state)
{
    (void)state;
    char *dir = testkit_dir(), *first = join(dir, "00000000000000000000.log");
    char *second = join(dir, "00000000000000000009.log");
    struct page_cache c;
    struct log_open_args args = limited_args(dir, &c, 12 * MIB);
    args.config.segment_bytes = 8 * MIB;
    if (goes(dir)) {
        struct log *log = open_log(&args, NULL);
        append_mib(log, 12);
        flush(log);
        assert_true(cached_pages(first, 3 * MIB, 6 * MIB) > 2 * MIB / PAGE);
        append_mib(log, 12); /* the third one begins with the 18th */
        flush(log);
        expect_gone(first, 0, 6 * MIB);
        assert_true(cached_pages(second, 4 * MIB, 7 * MIB) > 2 * MIB / PAGE);
        append_mib(log, 9);
        flush(log);
        expect_gone(second, 0, 6 * MIB);
        close_log(log, true);
    }
    free(first);
    free(second);
    testkit_remove_dir(dir);
}

/* As a consumer that starts at the beginning again and again, of a log that is far larger than the limit. */
static void test_a_log_that_is_read_again_stays(void **state)
{
    (void)state;
    char *dir = testkit_dir(), *first = join(dir, "00000000000000000000.log");
    struct page_cache c;
    struct log_open_args args = open_args(dir);
    limit_slow(&c, LIMIT);
    args.page_cache = &c;
    args.config.segment_bytes = 8 * MIB;
    if (goes(dir)) {
        struct log *log = open_log(&args, NULL);
        append_mib(log, 24);
        flush(log);
        log_set_high_watermark(log, 24);
        assert_int_equal(walk_log(log, 0).next, 24);
        expect_gone(first, 0, 6 * MIB);
        for (int i = 0; i < 4; i++)
            assert_int_equal(walk_log(log, 0).next, 24);
        assert_true(c.lent > 14 * MIB);
        assert_true(cached_pages(first, 0, 6 * MIB) > 5 * MIB / PAGE);
        append_mib(log, 1);
        flush(log);
        assert_true(cached_pages(first, 3 * MIB, 6 * MIB) > 2 * MIB / PAGE);
        append_mib(log, 24); /* nobody reads any more: it goes as the log goes on */
        flush(log);
        expect_gone(first, 0, 6 * MIB);
        close_log(log, true);
        assert_int_equal(c.lent, 0);
    }
    free(first);
    testkit_remove_dir(dir);
}

/* Where each append waits for its sync, what one of them lets go of is bounded, and the next ones go on with it. */
static void test_synced_appends_let_go_in_parts(void **state)
{
    (void)state;
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000000.log");
    struct err e = {0};
    struct page_cache c;
    struct log_open_args args = limited_args(dir, &c, LIMIT);
    if (goes(dir)) {
        struct log *log = open_log(&args, NULL);
        append_mib(log, 28);
        assert_ok(log_sync_appends(log, &e), &e);
        expect_gone(path, 0, 6 * MIB);
        assert_true(cached_pages(path, 12 * MIB, 20 * MIB) > 4 * MIB / PAGE);
        for (int i = 0; i < 2; i++) {
            append_mib(log, 1);
            assert_ok(log_sync_appends(log, &e), &e);
        }
        expect_gone(path, 0, 20 * MIB);
        close_log(log, true);
    }
    free(path);
    testkit_remove_dir(dir);
}

/* Who reads all of a log that is far larger than the limit leaves little of it in memory, and has read it all. */
static void test_a_reader_lets_go_of_what_it_read(void **state)
{
    (void)state;
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000000.log");
    struct page_cache c;
    page_cache_init(&c, LIMIT);
    struct log_open_args args = open_args(dir);
    if (goes(dir)) {
        struct log *log = open_log(&args, NULL);
        append_mib(log, 24);
        flush(log);
        close_log(log, true);
        args.clean = true;
        args.recovery_point = 24;
        args.page_cache = &c;
        log = open_log(&args, NULL);
        log_set_high_watermark(log, 24);
        assert_int_equal(walk_log(log, 0).next, 24);
        expect_gone(path, 0, 12 * MIB);
        assert_int_equal(walk_log(log, 3).next, 24);
        close_log(log, true);
    }
    free(path);
    testkit_remove_dir(dir);
}

static void test_a_log_that_was_cut(void **state)
{
    (void)state;
    char *dir = testkit_dir();
    struct err e = {0};
    struct page_cache c;
    struct log_open_args args = limited_args(dir, &c, LIMIT);
    struct log *log = open_log(&args, NULL);
    append_mib(log, 12);
    flush(log);
    assert_ok(log_truncate_to(log, 2, &e), &e);
    append_mib(log, 8);
    flush(log);
    log_set_high_watermark(log, log_end_offset(log));
    struct walked w = walk_log(log, 0);
    assert_int_equal(w.batches, 10);
    assert_int_equal(w.next, 10);
    close_log(log, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limited_once_pages_are_slow),
        cmocka_unit_test(test_logs_of_a_turn_share_it),
        cmocka_unit_test(test_what_is_read_again_stays),
        cmocka_unit_test(test_how_much_stays_at_most),
        cmocka_unit_test(test_which_writes_are_timed),
        cmocka_unit_test(test_a_flush_keeps_the_end),
        cmocka_unit_test(test_rolled_segments_go),
        cmocka_unit_test(test_a_log_that_is_read_again_stays),
        cmocka_unit_test(test_synced_appends_let_go_in_parts),
        cmocka_unit_test(test_a_reader_lets_go_of_what_it_read),
        cmocka_unit_test(test_a_log_that_was_cut),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
