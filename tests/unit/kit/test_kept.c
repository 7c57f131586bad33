/*
 * Last known values: found as they were put, over crashes at any mark, with segments that come and go, with bytes damaged one by
 * one, files cut, foreign ones, a disk that fails. What may never be: a value that is not the one of its key at the mark.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "kit/kept/kept.h"
#include "tests/lib/testkit.h"

#define PLACE(n) ((struct kept_place){{(n), 1, 2, 3}})

static struct kept *open_at(const char *dir, const struct kept_options *more, struct kept_place at)
{
    struct kept_options o = {.disk_bytes = KEPT_DISK_MIN, .memory_bytes = KEPT_MEMORY_MIN};
    struct kept *k;
    struct err e;
    if (more)
        o = *more;
    o.dir = dir;
    assert_ok(kept_open(&o, &at, &k, &e), &e);
    return k;
}

static struct kept_key key_of(const char *text)
{
    return (struct kept_key){.table = 7, .column = 2, .data = text, .n = strlen(text)};
}

static void put(struct kept *k, const char *key, uint64_t lsn, const char *value)
{
    struct kept_key id = key_of(key);
    struct err e;
    assert_ok(kept_put(k, &id, lsn, value, strlen(value), &e), &e);
}

static void remove_key(struct kept *k, const char *key)
{
    struct kept_key id = key_of(key);
    struct err e;
    assert_ok(kept_remove(k, &id, &e), &e);
}

static void mark(struct kept *k, uint64_t n)
{
    struct err e;
    assert_ok(kept_mark(k, &PLACE(n), n, &e), &e);
}

/* The value's text, to be freed; NULL: there is none. */
static char *get(struct kept *k, const char *key, uint64_t *lsn)
{
    struct kept_key id = key_of(key);
    struct kept_value v;
    struct err e;
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    int rc = kept_find(k, &id, &v, &e);
    if (rc == ERR_OK)
        rc = kept_read(k, &id, &v, &b, &e);
    if (rc != ERR_OK)
        assert_code(rc, ERR_NOT_FOUND, &e);
    char *text = rc == ERR_OK ? mem_strndup((char *)b.data, b.len) : NULL;
    if (rc == ERR_OK && lsn)
        *lsn = v.lsn;
    buf_free(&b);
    return text;
}

static void expect(struct kept *k, const char *key, const char *value)
{
    char *text = get(k, key, NULL);
    if (value && !text)
        fail_msg("%s: nothing, not %.40s", key, value);
    if (value)
        assert_string_equal(text, value);
    else
        assert_null(text);
    mem_free(text);
}

static size_t files_in(const char *dir);

/* ---- values ------------------------------------------------------------------------------------------------------- */

static void test_values(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    uint64_t lsn = 0, seq = kept_seq(k);
    struct err e;
    assert_null(kept_why(k));
    expect(k, "a", NULL);
    remove_key(k, "a");
    mark(k, 1);
    assert_ok(kept_durable(k, 1, &e), &e);
    assert_int_equal(files_in(*state), 0); /* nothing was kept: no files */
    put(k, "a", 10, "one");
    put(k, "b", 11, "two");
    put(k, "", 12, "");
    assert_int_equal(kept_seq(k), seq + 3);
    expect(k, "a", "one");
    expect(k, "", "");
    mem_free(get(k, "b", &lsn));
    assert_int_equal(lsn, 11);
    put(k, "a", 13, "three");
    remove_key(k, "b");
    expect(k, "a", "three");
    expect(k, "b", NULL);
    struct kept_key other = key_of("a");
    struct kept_value v;
    other.column = 3;
    assert_code(kept_find(k, &other, &v, &e), ERR_NOT_FOUND, &e);
    other = key_of("a");
    other.table = 8;
    assert_code(kept_find(k, &other, &v, &e), ERR_NOT_FOUND, &e);
    assert_int_equal(kept_stats(k).values, 2);
    kept_close(k);
}

static void test_too_large(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    size_t max = kept_value_max(k);
    char *value = calloc(1, max + 2), *key = calloc(1, KEPT_KEY_MAX + 2);
    struct err e;
    memset(value, 'v', max + 1);
    memset(key, 'k', KEPT_KEY_MAX + 1);
    struct kept_key id = key_of("a"), long_id = key_of(key);
    assert_code(kept_put(k, &id, 1, value, max + 1, &e), ERR_TOO_LARGE, &e);
    assert_code(kept_put(k, &long_id, 1, "v", 1, &e), ERR_TOO_LARGE, &e);
    assert_ok(kept_remove(k, &long_id, &e), &e);
    assert_int_equal(kept_stats(k).bytes, 0);
    value[max] = 0;
    key[KEPT_KEY_MAX] = 0;
    put(k, key, 1, value);
    expect(k, key, value);
    mark(k, 1);
    kept_close(k);
    k = open_at(*state, NULL, PLACE(1));
    expect(k, key, value);
    kept_close(k);
    free(value);
    free(key);
}

static void test_notes(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    struct err e;
    size_t n;
    assert_null(kept_noted(k, 5, &n));
    assert_ok(kept_note(k, 5, "first", 5, &e), &e);
    assert_ok(kept_note(k, 6, "other", 5, &e), &e);
    assert_ok(kept_note(k, 5, "then", 4, &e), &e);
    mark(k, 1);
    assert_ok(kept_note(k, 5, "later", 5, &e), &e);
    kept_close(k);
    k = open_at(*state, NULL, PLACE(1));
    assert_memory_equal(kept_noted(k, 5, &n), "then", 4);
    assert_int_equal(n, 4);
    assert_memory_equal(kept_noted(k, 6, &n), "other", 5);
    char *large = calloc(1, KEPT_DISK_MIN);
    assert_code(kept_note(k, 9, large, KEPT_DISK_MIN / 64, &e), ERR_TOO_LARGE, &e);
    free(large);
    kept_close(k);
}

/* ---- marks -------------------------------------------------------------------------------------------------------- */

static void test_goes_back_to_the_mark(void **state)
{
    for (uint64_t stored = 1; stored <= 3; stored++) {
        struct kept *k = open_at(*state, NULL, PLACE(100));
        put(k, "a", 1, "one");
        put(k, "b", 1, "b");
        mark(k, 1);
        put(k, "a", 2, "two");
        remove_key(k, "b");
        mark(k, 2);
        put(k, "c", 3, "c");
        mark(k, 3);
        put(k, "a", 4, "not marked");
        kept_close(k);
        k = open_at(*state, NULL, PLACE(stored));
        assert_null(kept_why(k));
        expect(k, "a", stored == 1 ? "one" : "two");
        expect(k, "b", stored == 1 ? "b" : NULL);
        expect(k, "c", stored == 3 ? "c" : NULL);
        put(k, "d", 5, "goes on");
        mark(k, 4);
        kept_close(k);
        k = open_at(*state, NULL, PLACE(4));
        expect(k, "d", "goes on");
        expect(k, "a", stored == 1 ? "one" : "two");
        kept_close(k);
    }
}

/* Of two marks of one position the newer one counts: snapshots store none of the stream's for a long time. */
static void test_one_position_twice(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    put(k, "a", 1, "one");
    mark(k, 1);
    put(k, "b", 1, "two");
    mark(k, 1);
    kept_close(k);
    k = open_at(*state, NULL, PLACE(1));
    expect(k, "a", "one");
    expect(k, "b", "two");
    kept_close(k);
}

static void expect_anew(const char *dir, const struct kept_options *o, struct kept_place at, const char *why)
{
    struct kept *k = open_at(dir, o, at);
    assert_non_null(kept_why(k));
    assert_non_null(strstr(kept_why(k), why));
    expect(k, "a", NULL);
    assert_int_equal(kept_stats(k).values, 0);
    assert_int_equal(files_in(dir), 0);
    put(k, "a", 1, "anew");
    mark(k, 50);
    kept_close(k);
    k = open_at(dir, o, PLACE(50));
    expect(k, "a", "anew");
    kept_close(k);
}

static void test_begins_anew(void **state)
{
    struct kept_options other = {.disk_bytes = KEPT_DISK_MIN, .memory_bytes = KEPT_MEMORY_MIN, .tag = {1}};
    struct kept_options larger = {.disk_bytes = KEPT_DISK_MIN * 2, .memory_bytes = KEPT_MEMORY_MIN};
    struct kept *k = open_at(*state, NULL, PLACE(1));
    put(k, "a", 1, "one");
    mark(k, 1);
    mark(k, 2); /* another position without a change of what is kept */
    kept_close(k);
    k = open_at(*state, NULL, PLACE(2));
    expect(k, "a", "one");
    kept_close(k);
    expect_anew(*state, NULL, PLACE(3), "position");
    expect_anew(*state, &other, PLACE(50), "settings");
    expect_anew(*state, &larger, PLACE(50), "settings");
}

/* ---- a model ------------------------------------------------------------------------------------------------------ */

#define KEYS 300
#define MARKS 40

struct model {
    uint32_t version[KEYS]; /* of the key's value; 0: none */
};

static size_t size_of(unsigned key, uint32_t version)
{
    return version * 2654435761u % (key % 10 == 0 ? 120000 : 9000) + 12;
}

/* Of the key and version alone. */
static char *value_of(unsigned key, uint32_t version)
{
    size_t n = size_of(key, version);
    char *text = calloc(1, n + 1);
    int head = snprintf(text, n + 1, "%u %u ", key, version);
    memset(text + head, 'a' + (int)(version % 26), n - (size_t)head);
    return text;
}

static size_t check_model(struct kept *k, const struct model *m)
{
    size_t missed = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %u", i);
        char *got = get(k, key, NULL), *want = m->version[i] ? value_of(i, m->version[i]) : NULL;
        if (got && (!want || strcmp(got, want) != 0))
            fail_msg("%s: %.20s instead of %.20s", key, got, want ? want : "none");
        missed += want && !got;
        mem_free(got);
        free(want);
    }
    return missed;
}

/*
 * A round: polls that put and remove, some of them made durable; a crash, and one of the last polls is what the store has. The disk's
 * limit is passed again and again, most values are written over, so that some are copied, and none need be dropped.
 */
static void run_model(const char *dir, unsigned keys, size_t *missed)
{
    struct model now = {0}, marked[MARKS] = {0};
    uint32_t seed = 7, version = 0;
    uint64_t polls = 0, place = 1;
    struct kept *k = open_at(dir, NULL, PLACE(place));
    for (int round = 0; round < 60; round++) {
        struct err e;
        for (unsigned poll = 0; poll < 12; poll++) {
            for (int i = 0; i < 40; i++) {
                seed = seed * 1664525 + 1013904223;
                unsigned key = seed >> 8;
                key = key % 4 ? key / 4 % (keys / 6) : key / 4 % keys; /* some are written all the time */
                char name[16];
                snprintf(name, sizeof name, "key %u", key);
                if (seed >> 28 == 0) {
                    remove_key(k, name);
                    now.version[key] = 0;
                } else {
                    char *value = value_of(key, ++version);
                    put(k, name, version, value);
                    free(value);
                    now.version[key] = version;
                }
            }
            assert_ok(kept_mark(k, &PLACE(++place), ++polls, &e), &e);
            marked[place % MARKS] = now;
            if (poll % 4 == 3)
                assert_ok(kept_durable(k, polls - 2, &e), &e);
        }
        *missed = check_model(k, &now);
        assert_true(kept_stats(k).bytes <= KEPT_DISK_MIN);
        uint64_t dropped = kept_stats(k).dropped;
        assert_int_equal(kept_stats(k).damaged, 0);
        kept_close(k);
        place -= seed >> 16 & 1;
        polls = 0;
        now = marked[place % MARKS];
        k = open_at(dir, NULL, PLACE(place));
        assert_null(kept_why(k));
        size_t missing = check_model(k, &now);
        assert_true(missing == 0 || dropped > 0 || *missed > 0);
    }
    kept_close(k);
}

static void test_model(void **state)
{
    size_t missed;
    run_model(*state, 240, &missed); /* about 4 MiB of values */
    assert_int_equal(missed, 0);
}

static void test_model_without_room(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    struct err e;
    char *value = calloc(1, 100001);
    memset(value, 'v', 100000);
    for (uint64_t i = 1; i <= 400; i++) { /* 40 MB, all of other keys */
        char key[16];
        snprintf(key, sizeof key, "%u", (unsigned)i);
        memcpy(value, key, strlen(key));
        put(k, key, i, value);
        mark(k, i);
        assert_ok(kept_durable(k, i, &e), &e);
        assert_true(kept_stats(k).bytes <= KEPT_DISK_MIN);
    }
    struct kept_stats s = kept_stats(k);
    assert_int_equal(s.values + s.dropped, 400);
    assert_true(s.values > 100);
    kept_close(k);
    k = open_at(*state, NULL, PLACE(400));
    assert_int_equal(kept_stats(k).values, s.values);
    for (unsigned i = 1; i <= 400; i++) {
        char key[16];
        snprintf(key, sizeof key, "%u", i);
        char *got = get(k, key, NULL);
        assert_int_equal(got != NULL, i > 400 - s.values); /* the oldest went */
        mem_free(got);
    }
    kept_close(k);
    free(value);
}

/* The index of 1 MiB is full before the disk is. */
static void test_index_full(void **state)
{
    struct kept *k = open_at(*state, NULL, PLACE(1));
    char key[16];
    struct err e;
    for (unsigned i = 0; i < 70000; i++) {
        snprintf(key, sizeof key, "%u", i);
        put(k, key, i, key);
        if (i % 1000 == 999) {
            mark(k, i);
            assert_ok(kept_durable(k, i, &e), &e);
        }
    }
    struct kept_stats s = kept_stats(k);
    assert_int_equal(s.values + s.dropped, 70000);
    assert_true(s.values > 30000 && s.values <= 57344);
    for (unsigned i = 70000 - (unsigned)s.values; i < 70000; i++) {
        snprintf(key, sizeof key, "%u", i);
        expect(k, key, key);
    }
    for (unsigned i = 69000; i < 70000; i++) { /* what is filled up from behind is still found */
        snprintf(key, sizeof key, "%u", i);
        if (i % 2)
            remove_key(k, key);
    }
    for (unsigned i = 69000; i < 70000; i++) {
        snprintf(key, sizeof key, "%u", i);
        expect(k, key, i % 2 ? NULL : key);
    }
    kept_close(k);
}

/* ---- damage ------------------------------------------------------------------------------------------------------- */

static int count_name(void *arg, const char *name, struct err *e)
{
    (void)name;
    (void)e;
    ++*(size_t *)arg;
    return ERR_OK;
}

static size_t files_in(const char *dir)
{
    size_t n = 0;
    struct err e;
    assert_ok(io_list(dir, count_name, &n, &e), &e);
    return n;
}

struct files {
    char *marks, *log;
    size_t marks_n, log_n;
};

static void write_file(const char *dir, const char *name, const char *data, size_t n)
{
    struct err e;
    char *path = mem_printf("%s/%s", dir, name);
    int fd;
    assert_ok(io_open(&fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0600, &e), &e);
    assert_ok(io_pwrite(fd, data, n, 0, path, &e), &e);
    io_close(fd);
    mem_free(path);
}

static char *read_file(const char *dir, const char *name, size_t *n)
{
    struct err e;
    char *path = mem_printf("%s/%s", dir, name), *data;
    assert_ok(io_read_file(path, 1 << 20, &data, n, &e), &e);
    mem_free(path);
    return data;
}

/* Two positions: after the second "a" has another value and "b" none. */
static struct files small_log(const char *dir)
{
    struct kept *k = open_at(dir, NULL, PLACE(99));
    struct files f;
    struct err e;
    put(k, "a", 1, "the first");
    put(k, "b", 1, "the other");
    assert_ok(kept_note(k, 7, "note", 4, &e), &e);
    mark(k, 1);
    put(k, "a", 2, "the second");
    remove_key(k, "b");
    mark(k, 2);
    kept_close(k);
    f.marks = read_file(dir, "marks", &f.marks_n);
    f.log = read_file(dir, "log-0000000001", &f.log_n);
    return f;
}

static void restore(const char *dir, const struct files *f)
{
    write_file(dir, "marks", f->marks, f->marks_n);
    write_file(dir, "log-0000000001", f->log, f->log_n);
}

/* Whatever was done to the files: what is found is right. */
static void check_small(const char *dir)
{
    struct kept *k = open_at(dir, NULL, PLACE(2));
    struct err e;
    char *a = get(k, "a", NULL), *b = get(k, "b", NULL);
    assert_true(!a || strcmp(a, "the second") == 0);
    assert_null(b);
    mem_free(a);
    put(k, "a", 3, "and on");
    expect(k, "a", "and on");
    mark(k, 3);
    kept_close(k);
    k = open_at(dir, NULL, PLACE(3));
    expect(k, "a", "and on");
    assert_ok(kept_abandon(k, &e), &e);
    assert_int_equal(files_in(dir), 0);
}

static void test_each_bit_damaged(void **state)
{
    struct files f = small_log(*state);
    for (size_t i = 0; i < f.log_n * 8; i++) {
        f.log[i / 8] ^= (char)(1 << i % 8);
        restore(*state, &f);
        check_small(*state);
        f.log[i / 8] ^= (char)(1 << i % 8);
    }
    for (size_t i = 0; i < f.marks_n; i++) {
        f.marks[i] ^= 0x40;
        restore(*state, &f);
        check_small(*state);
        f.marks[i] ^= 0x40;
    }
    mem_free(f.marks);
    mem_free(f.log);
}

static void test_cut_anywhere(void **state)
{
    struct files f = small_log(*state);
    size_t whole = f.log_n, marks = f.marks_n;
    for (f.log_n = 0; f.log_n < whole; f.log_n++) {
        restore(*state, &f);
        check_small(*state);
    }
    for (f.marks_n = 0; f.marks_n < marks; f.marks_n += f.marks_n < 300 ? 1 : 4000) {
        restore(*state, &f);
        check_small(*state);
    }
    mem_free(f.marks);
    mem_free(f.log);
}

/* Zeros in the middle, as a power failure leaves them; what another log left behind the end; a segment that is not there. */
static void test_what_a_power_failure_leaves(void **state)
{
    struct files f = small_log(*state);
    for (size_t at = 0; at < f.log_n; at += 8) {
        char *log = mem_dup(f.log, f.log_n);
        memset(log + at, 0, f.log_n - at < 64 ? f.log_n - at : 64);
        restore(*state, &f);
        write_file(*state, "log-0000000001", log, f.log_n);
        check_small(*state);
        mem_free(log);
    }
    char *twice = mem_alloc(2 * f.log_n);
    memcpy(twice, f.log, f.log_n);
    memcpy(twice + f.log_n, f.log, f.log_n);
    restore(*state, &f);
    write_file(*state, "log-0000000001", twice, 2 * f.log_n);
    struct kept *k = open_at(*state, NULL, PLACE(2));
    assert_null(kept_why(k));
    expect(k, "a", "the second");
    kept_close(k);
    mem_free(twice);
    write_file(*state, "marks", f.marks, f.marks_n);
    char *path = mem_printf("%s/log-0000000001", (char *)*state);
    assert_int_equal(unlink(path), 0);
    mem_free(path);
    check_small(*state);
    mem_free(f.marks);
    mem_free(f.log);
}

static void test_foreign_files(void **state)
{
    struct files f = small_log(*state);
    write_file(*state, "log-0000000002", f.log, f.log_n);
    write_file(*state, "log-2", "x", 1);
    write_file(*state, "foreign", "x", 1);
    struct kept *k = open_at(*state, NULL, PLACE(2));
    assert_null(kept_why(k));
    expect(k, "a", "the second");
    kept_close(k);
    assert_int_equal(files_in(*state), 2);
    write_file(*state, "marks", "not a file of marks", 19);
    k = open_at(*state, NULL, PLACE(2));
    assert_non_null(kept_why(k));
    kept_close(k);
    assert_int_equal(files_in(*state), 0);
    mem_free(f.marks);
    mem_free(f.log);
}

/* ---- faults ------------------------------------------------------------------------------------------------------- */

/* Whatever fails is told, and what is opened after is right as of the last mark that succeeded, or empty. */
static void once(void *arg)
{
    const char *dir = arg;
    struct kept_options o = {.dir = dir, .disk_bytes = KEPT_DISK_MIN, .memory_bytes = KEPT_MEMORY_MIN};
    struct kept *k = NULL;
    struct err e;
    struct kept_key id = key_of("a"), rolling = key_of("r");
    struct kept_value v;
    uint64_t marked = 0;
    static char large[100000];
    int rc = kept_open(&o, &PLACE(1), &k, &e);
    for (uint64_t i = 1; i <= 40 && rc == ERR_OK; i++) {
        char text[32];
        snprintf(text, sizeof text, "version %d", (int)i);
        if (i == 20) {
            kept_close(k);
            k = NULL;
            rc = kept_open(&o, &PLACE(19), &k, &e);
        }
        if (rc == ERR_OK && i > 1 && kept_find(k, &rolling, &v, &e) != ERR_OK)
            rc = e.code;
        if (rc == ERR_OK)
            rc = kept_put(k, &id, i, text, strlen(text), &e);
        if (rc == ERR_OK)
            rc = kept_put(k, &rolling, i, large, sizeof large, &e);
        if (rc == ERR_OK && i % 5 == 0)
            rc = kept_note(k, 7, text, strlen(text), &e);
        if (rc == ERR_OK)
            rc = kept_mark(k, &PLACE(i), i, &e);
        if (rc == ERR_OK)
            marked = i;
        if (rc == ERR_OK)
            rc = kept_durable(k, i, &e);
    }
    if (rc != ERR_OK)
        assert_true(e.text[0] != 0);
    kept_close(k);
    fault_disarm();
    k = open_at(dir, NULL, PLACE(marked ? marked : 1));
    char want[32], *got = get(k, "a", NULL);
    snprintf(want, sizeof want, "version %d", (int)marked);
    assert_true(!got || strcmp(got, want) == 0);
    assert_true(got || rc != ERR_OK);
    mem_free(got);
    assert_ok(kept_abandon(k, &e), &e);
}

static void test_faults(void **state)
{
    assert_true(testkit_each_fault(FAULT_WRITE, ENOSPC, once, *state) > 40);
    assert_true(testkit_each_fault(FAULT_READ, EIO, once, *state) > 10);
    assert_true(testkit_each_fault(FAULT_META, EIO, once, *state) > 3);
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, *state) > 5);
}

static int setup(void **state)
{
    *state = testkit_dir();
    return 0;
}

static int teardown(void **state)
{
    testkit_remove_dir(*state);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values),
        TEST(test_too_large),
        TEST(test_notes),
        TEST(test_goes_back_to_the_mark),
        TEST(test_one_position_twice),
        TEST(test_begins_anew),
        TEST(test_model),
        TEST(test_model_without_room),
        TEST(test_index_full),
        TEST(test_each_bit_damaged),
        TEST(test_cut_anywhere),
        TEST(test_what_a_power_failure_leaves),
        TEST(test_foreign_files),
        TEST(test_faults),
    };
    return cmocka_run_group_tests_name("kept", tests, NULL, NULL);
}
