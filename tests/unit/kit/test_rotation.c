/*
 * When files are complete: each rule alone, as the object layout contract says it.
 */
#include "kit/rotation.h"

#include "tests/lib/testkit.h"

#define DAY INT64_C(86400000)
#define NOON (INT64_C(1763596800000) + DAY / 2) /* 2025-11-20 12:00 UTC */

static void test_count(void **state)
{
    (void)state;
    struct rotation_config c = {.records = 3};
    struct rotation r;
    rotation_init(&r, &c);
    assert_false(rotation_add(&r, 0, 10, NOON));
    assert_false(rotation_before(&r, DAY, true, NOON + DAY));
    assert_false(rotation_add(&r, DAY, 20, NOON));
    assert_true(rotation_add(&r, DAY, 30, NOON));
    rotation_reset(&r);
    assert_false(rotation_add(&r, 0, 10, NOON));
    assert_int_equal(rotation_wait_ms(&r, NOON), -1);
}

static void test_size_of_the_largest_file(void **state)
{
    (void)state;
    struct rotation_config c = {.bytes = 100};
    struct rotation r;
    rotation_init(&r, &c);
    assert_false(rotation_add(&r, 0, 99, NOON));
    assert_false(rotation_add(&r, 0, 50, NOON)); /* another file */
    assert_true(rotation_add(&r, 0, 100, NOON));
}

static void test_record_time(void **state)
{
    (void)state;
    struct rotation_config c = {.interval_ms = 1000};
    struct rotation r;
    rotation_init(&r, &c);
    assert_false(rotation_before(&r, 0, false, NOON)); /* nothing is open */
    assert_false(rotation_add(&r, 5000, 1, NOON));
    assert_false(rotation_before(&r, 5999, true, NOON)); /* the change does not count here */
    assert_false(rotation_before(&r, 1, false, NOON));
    assert_true(rotation_before(&r, 6000, false, NOON));
    assert_false(rotation_before(&r, INT64_MIN, false, NOON));
    assert_false(rotation_add(&r, 5999, 1, NOON));
    assert_false(rotation_due(&r, NOON + DAY)); /* only another record can tell */
    rotation_reset(&r);
    assert_false(rotation_before(&r, 9000, false, NOON));
    assert_false(rotation_add(&r, -9000, 1, NOON));
    assert_true(rotation_before(&r, INT64_MAX, false, NOON));
}

static void test_change_of_directory(void **state)
{
    (void)state;
    struct rotation_config c = {.interval_ms = 1000, .on_partition_change = true};
    struct rotation r;
    rotation_init(&r, &c);
    assert_false(rotation_add(&r, 0, 1, NOON));
    assert_false(rotation_before(&r, 1, false, NOON));
    assert_true(rotation_before(&r, 1, true, NOON));
    c.interval_ms = -1; /* the flag belongs to the interval */
    assert_false(rotation_before(&r, 1, true, NOON));
}

static void test_schedule(void **state)
{
    (void)state;
    struct err e;
    struct zone *zone;
    assert_ok(zone_load("Asia/Kolkata", &zone, &e), &e); /* +05:30: 12:00 UTC is 17:30 */
    struct rotation_config c = {.schedule_ms = 3600000, .zone = zone};
    struct rotation r;
    rotation_init(&r, &c);
    assert_false(rotation_due(&r, NOON));
    assert_int_equal(rotation_wait_ms(&r, NOON), -1);
    assert_false(rotation_add(&r, 0, 1, NOON));
    assert_int_equal(rotation_wait_ms(&r, NOON), 1800000);
    assert_false(rotation_due(&r, NOON + 1799999));
    assert_false(rotation_before(&r, 0, true, NOON + 1799999));
    assert_true(rotation_due(&r, NOON + 1800000));
    assert_true(rotation_before(&r, 0, false, NOON + 1800000));
    assert_int_equal(rotation_wait_ms(&r, NOON + 1900000), 0);
    rotation_reset(&r);
    assert_false(rotation_due(&r, NOON + 1800000));
    zone_free(zone);
}

static void assert_boundary(const char *name, int64_t now, int64_t interval, int64_t expected)
{
    struct err e;
    struct zone *zone = NULL;
    if (name)
        assert_ok(zone_load(name, &zone, &e), &e);
    assert_int_equal(rotation_next_boundary(now, interval, zone), expected);
    zone_free(zone);
}

static void test_boundaries(void **state)
{
    (void)state;
    assert_boundary(NULL, NOON, 3600000, NOON + 3600000);
    assert_boundary(NULL, NOON + 1, 3600000, NOON + 3600000);
    assert_boundary(NULL, NOON - 1, 3600000, NOON);
    /* Seven hours do not divide the day: 00, 07, 14, 21, and then midnight. */
    assert_boundary(NULL, NOON, 7 * 3600000, NOON + 2 * 3600000);
    assert_boundary(NULL, NOON + 10 * 3600000, 7 * 3600000, NOON + 12 * 3600000);
    assert_boundary(NULL, NOON, 5 * DAY, NOON + DAY / 2);
    assert_boundary(NULL, -1, 1000, 0);
    /* Berlin's midnight is 23:00 UTC. */
    assert_boundary("Europe/Berlin", NOON, DAY, NOON + 11 * 3600000);
    /* 2026-10-25, when 02:00 to 03:00 comes twice: every boundary lies ahead, none further than an hour and the repeated one. */
    for (int64_t now = 1792879200000; now < 1792900800000; now += 600000) {
        struct err e;
        struct zone *zone;
        assert_ok(zone_load("Europe/Berlin", &zone, &e), &e);
        int64_t next = rotation_next_boundary(now, 3600000, zone);
        assert_true(next > now && next <= now + 2 * 3600000);
        zone_free(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count),       cmocka_unit_test(test_size_of_the_largest_file),
        cmocka_unit_test(test_record_time), cmocka_unit_test(test_change_of_directory),
        cmocka_unit_test(test_schedule),    cmocka_unit_test(test_boundaries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
