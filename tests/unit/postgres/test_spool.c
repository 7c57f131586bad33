/*
 * Spooled transactions: several at once, subtransactions that were aborted, messages larger than the buffer, a disk that fails.
 */
#include <errno.h>

#include "base/io.h"
#include "connectors/postgres/pg_spool.h"
#include "tests/lib/testkit.h"

static struct pg_spool *get(struct pg_spools *s, uint32_t xid, bool first)
{
    struct pg_spool *spool;
    struct err e;
    if (pg_spools_get(s, xid, first, &spool, &e) != ERR_OK)
        fail_msg("%s", e.text);
    return spool;
}

/* A message of type `type` with `n` bytes, of which the last is `mark`. */
static void add(struct pg_spool *s, uint32_t xid, char type, size_t n, uint8_t mark)
{
    struct err e;
    uint8_t *message = calloc(1, n);
    message[0] = (uint8_t)type;
    message[n - 1] = mark;
    assert_int_equal(pg_spool_add(s, xid, mark, message, n, &e), ERR_OK);
    free(message);
}

static void expect(struct pg_spool *s, size_t n, uint8_t mark)
{
    struct pg_spooled m;
    struct err e;
    if (pg_spool_next(s, &m, &e) != ERR_OK)
        fail_msg("%s", e.text);
    assert_int_equal(m.n, n);
    assert_int_equal(m.message[n - 1], mark);
    assert_int_equal(m.lsn, mark);
}

static void expect_end(struct pg_spool *s)
{
    struct pg_spooled m;
    struct err e;
    assert_int_equal(pg_spool_next(s, &m, &e), ERR_END);
    assert_int_equal(pg_spool_next(s, &m, &e), ERR_END);
}

static struct pg_spool *take(struct pg_spools *set, uint32_t xid)
{
    struct pg_spool *s;
    struct err e;
    assert_int_equal(pg_spools_take(set, xid, &s, &e), ERR_OK);
    assert_int_equal(pg_spool_rewind(s, &e), ERR_OK);
    return s;
}

/* From anywhere, also where the rest is not in the buffer. */
static void test_read_again(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct pg_spool *s = get(set, 1, true);
    struct err e;
    for (uint8_t i = 1; i <= 200; i++)
        add(s, 1, 'I', 5000, i);
    s = take(set, 1);
    static const uint8_t reads[] = {1, 0, 150, 200};
    for (size_t r = 0; r < sizeof reads; r++) {
        for (uint8_t i = 1; i <= reads[r]; i++)
            expect(s, 5000, i);
        if (reads[r] == 200)
            expect_end(s);
        assert_int_equal(pg_spool_rewind(s, &e), ERR_OK);
    }
    pg_spool_free(s);
    assert_int_equal(pg_spools_bytes(set), 0);
    pg_spools_free(set);
}

static void test_interleaved(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct err e;
    for (uint8_t round = 1; round <= 20; round++)
        for (uint32_t xid = 10; xid < 14; xid++) {
            struct pg_spool *s = get(set, xid, round == 1);
            add(s, xid, 'I', 100 + xid, round);
            assert_int_equal(pg_spool_pause(s, &e), ERR_OK);
        }
    assert_int_equal(pg_spools_count(set), 4);
    for (uint32_t xid = 13; xid >= 10; xid--) {
        struct pg_spool *s = take(set, xid);
        for (uint8_t round = 1; round <= 20; round++)
            expect(s, 100 + xid, round);
        expect_end(s);
        pg_spool_free(s);
    }
    assert_int_equal(pg_spools_bytes(set), 0);
    pg_spools_free(set);
}

/* The rows of 11 and of 13 go, what was written between and after stays, and so does what describes tables. */
static void test_subtransactions(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct pg_spool *s = get(set, 10, true);
    struct err e;
    add(s, 10, 'I', 9, 1);
    add(s, 13, 'I', 9, 2);
    add(s, 12, 'I', 9, 3);
    add(s, 11, 'R', 9, 4);
    add(s, 11, 'Y', 9, 5);
    add(s, 11, 'D', 9, 6);
    add(s, 0, 'O', 9, 7);
    add(s, 10, 'U', 9, 8);
    assert_int_equal(pg_spool_abort(s, 13, &e), ERR_OK);
    assert_int_equal(pg_spool_abort(s, 11, &e), ERR_OK);
    s = take(set, 10);
    static const uint8_t left[] = {1, 3, 4, 5, 7, 8};
    for (size_t i = 0; i < sizeof left; i++)
        expect(s, 9, left[i]);
    expect_end(s);
    pg_spool_free(s);
    pg_spools_free(set);
}

static void test_many_aborted(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct pg_spool *s = get(set, 1, true);
    struct err e;
    for (uint32_t xid = 5000; xid > 1; xid--) {
        add(s, xid, 'I', 9, (uint8_t)xid);
        if (xid % 2)
            assert_int_equal(pg_spool_abort(s, xid, &e), ERR_OK);
    }
    s = take(set, 1);
    for (uint32_t xid = 5000; xid > 1; xid -= 2)
        expect(s, 9, (uint8_t)xid);
    expect_end(s);
    pg_spool_free(s);
    pg_spools_free(set);
}

static void test_large_messages(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct pg_spool *s = get(set, 1, true);
    static const size_t sizes[] = {1, 3 << 20, 2, (256 << 10) - 16, (256 << 10) - 15, 256 << 10,
                                   5, 1 << 20, 1};
    size_t n = sizeof sizes / sizeof *sizes;
    for (size_t i = 0; i < n; i++)
        add(s, 1, 'I', sizes[i], (uint8_t)(i + 'a'));
    s = take(set, 1);
    for (size_t i = 0; i < n; i++)
        expect(s, sizes[i], (uint8_t)(i + 'a'));
    expect_end(s);
    pg_spool_free(s);
    pg_spools_free(set);
}

/* Nothing of it is to be seen in the directory, so nothing is left when the process dies. */
static int count(void *arg, const char *name, struct err *e)
{
    (void)name;
    (void)e;
    ++*(int *)arg;
    return ERR_OK;
}

static void test_no_names(void **state)
{
    const char *dir = *state;
    struct pg_spools *set = pg_spools_new(dir);
    struct err e;
    int names = 0;
    get(set, 1, true);
    get(set, 2, true);
    assert_int_equal(io_list(dir, count, &names, &e), ERR_OK);
    assert_int_equal(names, 0);
    pg_spools_free(set);
}

static void test_wrong_order(void **state)
{
    struct pg_spools *set = pg_spools_new(*state);
    struct pg_spool *s;
    struct err e;
    assert_int_equal(pg_spools_get(set, 7, false, &s, &e), ERR_CORRUPT);
    assert_non_null(strstr(e.text, "7"));
    get(set, 7, true);
    assert_int_equal(pg_spools_get(set, 7, true, &s, &e), ERR_CORRUPT);
    assert_int_equal(pg_spools_take(set, 8, &s, &e), ERR_CORRUPT);
    pg_spools_free(set);
}

/* What fails is told, and nothing leaks (address sanitizer); what does not fail is whole. */
static void once(void *dir)
{
    struct pg_spools *set = pg_spools_new(dir);
    struct pg_spool *s = NULL;
    struct pg_spooled m;
    struct err e;
    uint8_t message[300] = "I";
    if (!set)
        return;
    int n = 0, rc = pg_spools_get(set, 1, true, &s, &e);
    for (int i = 0; rc == ERR_OK && i < 2000; i++)
        rc = pg_spool_add(s, 1, 1, message, sizeof message, &e);
    if (rc == ERR_OK)
        rc = pg_spool_abort(s, 2, &e);
    if (rc == ERR_OK && (rc = pg_spools_take(set, 1, &s, &e)) == ERR_OK) {
        rc = pg_spool_rewind(s, &e);
        while (rc == ERR_OK && (rc = pg_spool_next(s, &m, &e)) == ERR_OK)
            n++;
        pg_spool_free(s);
    }
    if (rc == ERR_END)
        assert_int_equal(n, 2000);
    else
        assert_true(e.text[0] != 0);
    pg_spools_free(set);
}

static void test_faults(void **state)
{
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, *state) >= 5);
    assert_true(testkit_each_fault(FAULT_WRITE, ENOSPC, once, *state) >= 2);
    assert_true(testkit_each_fault(FAULT_READ, EIO, once, *state) >= 2);
    assert_true(testkit_each_fault(FAULT_META, EACCES, once, *state) >= 2);
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

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_read_again),     T(test_interleaved), T(test_subtransactions), T(test_many_aborted),
        T(test_large_messages), T(test_no_names),    T(test_wrong_order),     T(test_faults),
    };
    return cmocka_run_group_tests_name("pg_spool", tests, NULL, NULL);
}
