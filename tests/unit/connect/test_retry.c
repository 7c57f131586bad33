/*
 * Delays between tries, and rates.
 */
#include "connect/meter.h"
#include "connect/retry.h"
#include "tests/lib/testkit.h"

static void test_delays_double_up_to_the_limit(void **state)
{
    (void)state;
    static const int64_t full[] = {300, 600, 1200, 2400, 4800, 5000, 5000, 5000};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct retry r;
        retry_init(&r, 300, 5000, -1, seed * 7919);
        for (size_t i = 0; i < sizeof(full) / sizeof(full[0]); i++) {
            int64_t ms;
            assert_true(retry_next(&r, &ms));
            assert_in_range(ms, full[i] - full[i] / 2, full[i]);
        }
        int64_t ms;
        retry_reset(&r);
        assert_true(retry_next(&r, &ms));
        assert_in_range(ms, 150, 300);
    }
}

static void test_delays_differ(void **state)
{
    (void)state;
    int64_t first = 0, ms;
    int different = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct retry r;
        retry_init(&r, 1000, 60000, -1, seed * 2654435761u);
        retry_next(&r, &ms);
        retry_next(&r, &ms);
        different += ms != first;
        first = ms;
    }
    assert_true(different > 90);
}

static void test_bounds(void **state)
{
    (void)state;
    struct retry r;
    int64_t ms;
    retry_init(&r, 10, 100, 2, 1);
    assert_true(retry_next(&r, &ms));
    assert_true(retry_next(&r, &ms));
    assert_false(retry_next(&r, &ms));
    retry_reset(&r);
    assert_true(retry_next(&r, &ms));
    retry_init(&r, 10, 100, 0, 1);
    assert_false(retry_next(&r, &ms));
    retry_init(&r, 0, 0, -1, 0);
    assert_true(retry_next(&r, &ms));
    assert_int_equal(ms, 1);
    retry_init(&r, INT64_MAX / 2 + 2, INT64_MAX, -1, 5);
    for (int i = 0; i < 5; i++) {
        assert_true(retry_next(&r, &ms));
        assert_true(ms > 0);
    }
}

static void test_rates(void **state)
{
    (void)state;
    struct meter m = {0};
    double records, bytes;
    meter_rates(&m, 1000, &records, &bytes);
    assert_true(records == 0 && bytes == 0);
    for (int64_t ms = 0; ms < 20000; ms += 100)
        meter_add(&m, ms, 10, 1000);
    meter_rates(&m, 20050, &records, &bytes);
    assert_true(records == 100 && bytes == 10000);
    meter_rates(&m, 22500, &records, &bytes); /* three of five seconds are left */
    assert_true(records == 60 && bytes == 6000);
    meter_rates(&m, 100000, &records, &bytes);
    assert_true(records == 0 && bytes == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_delays_double_up_to_the_limit),
        cmocka_unit_test(test_delays_differ),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_rates),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
