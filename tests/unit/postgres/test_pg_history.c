/* Histories of timelines, as pg_wal's .history files have them. */
#include <string.h>

#include "connectors/postgres/pg_history.h"
#include "tests/lib/testkit.h"

static const char history[] = "1\t0/3000158\tno recovery target specified\n\n"
                              "# a comment with 3\t0/1\n"
                              "  2\tA/B374D848\tbefore 2020-01-01 00:00:00+00\n"
                              "4\t16/0\n"
                              "5\t17/0";

static void expect(uint32_t timeline, uint64_t left)
{
    uint64_t found = 0;
    assert_true(pg_history_find(history, sizeof history - 1, timeline, &found));
    assert_int_equal(found, left);
}

static void test_where_timelines_were_left(void **state)
{
    (void)state;
    expect(1, 0x3000158);
    expect(2, UINT64_C(0xAB374D848));
    expect(4, UINT64_C(0x1600000000));
    expect(5, UINT64_C(0x1700000000));
}

static void test_what_is_not_there(void **state)
{
    (void)state;
    uint64_t left;
    assert_false(pg_history_find(history, sizeof history - 1, 3, &left));
    assert_false(pg_history_find(history, sizeof history - 1, 6, &left));
    assert_false(pg_history_find("", 0, 1, &left));
    assert_false(pg_history_find("1\t0/1\n", 1, 1, &left)); /* of it only the first byte is there */
}

static void test_what_is_no_history(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "1",
        "1\t",
        "1\t0",
        "1\t/",
        "1\t0/3x\tz",
        "x\t0/1",
        "\t0/1",
        "4294967297\t0/1",
        "1 0/123456789\t",
        "1\t\n0/1",
        "99999999999999999999\t0/1",
        "1\t0000000000000000000000000/1",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        uint64_t left;
        assert_false(pg_history_find(lines[i], strlen(lines[i]), 1, &left));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_timelines_were_left),
        cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_what_is_no_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
