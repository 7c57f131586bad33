/*
 * Rows out of COPY's text: escapes, nulls, and what no server would send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/postgres/pg_copy.h"

/* Of the very size, so that the address sanitizer sees a read behind it. */
static char *exactly(const char *text)
{
    char *copy = malloc(strlen(text));
    assert_non_null(copy);
    memcpy(copy, text, strlen(text));
    return copy;
}

static void assert_cell(const struct cdc_cell *c, const char *text)
{
    assert_int_equal(c->state, text ? CDC_VALUE : CDC_NULL);
    if (text) {
        assert_int_equal(c->len, strlen(text));
        assert_memory_equal(c->data, text, c->len);
    }
}

static void test_values(void **state)
{
    static const struct {
        const char *row;
        size_t n;
        const char *cells[4];
    } cases[] = {
        {"1\tabc\n", 2, {"1", "abc"}},
        {"\n", 1, {""}},
        {"\t\t\n", 3, {"", "", ""}},
        {"\\N\t\\N\n", 2, {NULL, NULL}},
        {"\\\\N\tN\t\\\\\n", 3, {"\\N", "N", "\\"}},
        {"a\\tb\\nc\\rd\t\\b\\f\\v\\\\\n", 2, {"a\tb\nc\rd", "\b\f\v\\"}},
        {"x\\N\t\\Ny\n", 2, {"xN", "Ny"}}, /* a null is the whole value */
        {"\\.\t\\q\n", 2, {".", "q"}},
        {"caf\xc3\xa9\t\\\\x6869\n", 2, {"caf\xc3\xa9", "\\x6869"}},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cdc_cell cells[4];
        struct err e;
        size_t len = strlen(cases[i].row);
        char *row = exactly(cases[i].row), *next;
        assert_int_equal(pg_copy_split(row, row + len, cells, cases[i].n, &next, &e), ERR_OK);
        assert_ptr_equal(next, row + len);
        for (size_t c = 0; c < cases[i].n; c++)
            assert_cell(&cells[c], cases[i].cells[c]);
        free(row);
    }
}

/* What ends a value, or stands for something in it, is found wherever it is. */
static void test_values_of_any_length(void **state)
{
    char text[80], row[128];
    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t n = 0; n < 70; n++) {
        struct cdc_cell cells[3];
        struct err e;
        char *next, *copy;
        snprintf(row, sizeof row, "%.*s\t%.*s\\t\t\\N\n", (int)n, text, (int)(n / 2), text);
        copy = exactly(row);
        assert_int_equal(pg_copy_split(copy, copy + strlen(row), cells, 3, &next, &e), ERR_OK);
        assert_ptr_equal(next, copy + strlen(row));
        assert_int_equal(cells[0].len, n);
        assert_int_equal(cells[1].len, n / 2 + 1);
        assert_int_equal(((const char *)cells[1].data)[n / 2], '\t');
        assert_int_equal(cells[2].state, CDC_NULL);
        free(copy);
    }
}

static void test_rows_follow_one_another(void **state)
{
    struct cdc_cell cells[2];
    struct err e;
    const char *text = "1\ta\\nb\n2\tc\n";
    size_t len = strlen(text);
    char *rows = exactly(text), *next;
    (void)state;
    assert_int_equal(pg_copy_split(rows, rows + len, cells, 2, &next, &e), ERR_OK);
    assert_cell(&cells[1], "a\nb");
    assert_int_equal(pg_copy_split(next, rows + len, cells, 2, &next, &e), ERR_OK);
    assert_cell(&cells[0], "2");
    assert_cell(&cells[1], "c");
    assert_ptr_equal(next, rows + len);
    free(rows);
}

static void test_refused(void **state)
{
    static const struct {
        const char *row;
        size_t n;
    } cases[] = {
        {"1\tabc", 2},    {"", 1},    {"1\n", 2}, {"1\t2\n", 1},
        {"1\t2\t3\n", 2}, {"a\\", 1}, {"\\N", 1}, {"a\\\n", 2},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct cdc_cell cells[4];
        struct err e;
        size_t len = strlen(cases[i].row);
        char *row = exactly(cases[i].row), *next;
        assert_int_equal(pg_copy_split(row, row + len, cells, cases[i].n, &next, &e), ERR_CORRUPT);
        free(row);
    }
}

static void test_ctids(void **state)
{
    static const char *const bad[] = {"",      "()",      "(1)",    "(1,)2",          "(1,2",
                                      "(,,1)", "(1,2,3)", "(-1,2)", "(4294967296,1)", "(1,65536)",
                                      "(a,1)", "1,2,3"};
    struct err e;
    uint32_t block, tuple;
    (void)state;
    struct cdc_cell c = {"(4294967295,65535)", 18, CDC_VALUE};
    assert_int_equal(pg_copy_ctid(&c, &block, &tuple, &e), ERR_OK);
    assert_int_equal(block, UINT32_MAX);
    assert_int_equal(tuple, UINT16_MAX);
    c = (struct cdc_cell){"(0,1)", 5, CDC_VALUE};
    assert_int_equal(pg_copy_ctid(&c, &block, &tuple, &e), ERR_OK);
    assert_int_equal(block, 0);
    assert_int_equal(tuple, 1);
    c.state = CDC_NULL;
    assert_int_equal(pg_copy_ctid(&c, &block, &tuple, &e), ERR_CORRUPT);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t n = strlen(bad[i]);
        char *text = exactly(bad[i]);
        c = (struct cdc_cell){text, n, CDC_VALUE};
        assert_int_equal(pg_copy_ctid(&c, &block, &tuple, &e), ERR_CORRUPT);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_values_of_any_length),
        cmocka_unit_test(test_rows_follow_one_another),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ctids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
