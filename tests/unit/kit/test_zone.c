/*
 * Time zones: against glibc over many zones and times, local time in gaps and overlaps, calendar, damaged files.
 */
#include "kit/zone.h"

#include <time.h>

#include "base/io.h"
#include "base/mem.h"
#include "tests/lib/testkit.h"

static int32_t libc_offset(int64_t t)
{
    struct tm tm;
    time_t when = (time_t)t;
    localtime_r(&when, &tm);
    return (int32_t)tm.tm_gmtoff;
}

static void compare_zone(const char *name)
{
    struct err e;
    struct zone *z;
    assert_ok(zone_load(name, &z, &e), &e);
    setenv("TZ", name, 1);
    tzset();
    /* 1902 to 2500 in steps that meet every hour of a day and every day of a year. */
    for (int64_t t = -2145916800; t < INT64_C(16725225600); t += 86400 * 3 + 3607) {
        if (zone_offset(z, t) != libc_offset(t))
            fail_msg("%s at %lld: %d instead of %d", name, (long long)t, (int)zone_offset(z, t),
                     (int)libc_offset(t));
    }
    zone_free(z);
}

static void test_offsets_are_those_of_libc(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Berlin",       "America/New_York", "America/Sao_Paulo", "Asia/Kolkata",
        "Australia/Lord_Howe", "Pacific/Apia",     "Africa/Casablanca", "Asia/Tehran",
        "America/St_Johns",    "Antarctica/Troll", "Europe/Dublin",     "UTC",
        "Asia/Shanghai",       "America/Santiago", "Pacific/Chatham",   "Africa/Cairo",
        "Asia/Jerusalem",      "America/Nuuk",     "Asia/Gaza",         "Europe/London"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        compare_zone(names[i]);
    unsetenv("TZ");
    tzset();
}

static void test_each_change_is_on_the_second(void **state)
{
    (void)state;
    struct err e;
    struct zone *z;
    assert_ok(zone_load("Europe/Berlin", &z, &e), &e);
    /* 2026-03-29 01:00 UTC and 2026-10-25 01:00 UTC; and by rule far beyond the table: 2099-03-29, 2099-10-25. */
    static const int64_t begin[] = {1774746000, 4078429200}, end[] = {1792890000, 4096573200};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(zone_offset(z, begin[i] - 1), 3600);
        assert_int_equal(zone_offset(z, begin[i]), 7200);
        assert_int_equal(zone_offset(z, end[i] - 1), 7200);
        assert_int_equal(zone_offset(z, end[i]), 3600);
    }
    /* 02:30 does not exist in March: read with the offset before, 01:30 UTC. */
    assert_int_equal(zone_to_utc_ms(z, (begin[0] + 3600 + 1800) * 1000), (begin[0] + 1800) * 1000);
    /* 02:30 comes twice in October: the earlier, 00:30 UTC. */
    assert_int_equal(zone_to_utc_ms(z, (end[0] + 3600 + 1800) * 1000), (end[0] - 1800) * 1000);
    assert_int_equal(zone_to_utc_ms(z, (end[0] + 3 * 3600) * 1000 + 7), (end[0] + 2 * 3600) * 1000 + 7);
    zone_free(z);
}

static void test_names(void **state)
{
    (void)state;
    struct err e;
    struct zone *z;
    static const struct {
        const char *name;
        int32_t offset;
    } fixed[] = {{"UTC", 0}, {"Z", 0}, {"GMT", 0}, {"+02:00", 7200}, {"-05:30", -19800}, {"UTC+1", 3600}};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
        assert_ok(zone_load(fixed[i].name, &z, &e), &e);
        assert_int_equal(zone_offset(z, 1763665200), fixed[i].offset);
        assert_int_equal(zone_to_utc_ms(z, 0), -fixed[i].offset * 1000);
        zone_free(z);
    }
    static const char *const bad[] = {
        "", "Europe/Atlantis", "../../etc/passwd", "/etc/localtime", "Europe/../UTC", "+99:00"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_code(zone_load(bad[i], &z, &e), ERR_INVALID_CONFIG, &e);
        assert_null(z);
    }
}

static void test_calendar(void **state)
{
    (void)state;
    struct civil c;
    for (int64_t day = -800000; day < 800000; day += 13) {
        civil_from_ms(day * 86400000 + 86399999, &c);
        assert_int_equal(civil_days(c.year, c.month, c.day), day);
        assert_int_equal(c.hour * 10000 + c.minute * 100 + c.second, 235959);
        assert_int_equal(c.ms, 999);
        assert_int_equal(civil_days(c.year, 1, 1) + c.day_of_year - 1, day);
    }
    civil_from_ms(1709164800000, &c); /* 2024-02-29, a Thursday */
    assert_int_equal(c.year * 10000 + c.month * 100 + c.day, 20240229);
    assert_int_equal(c.weekday, 4);
    assert_int_equal(c.day_of_year, 60);
}

/* No damage may lead outside of the bytes (the sanitizer watches) or into an endless search. */
static void test_damaged_files(void **state)
{
    (void)state;
    struct err e;
    char *data;
    size_t n;
    struct zone *z;
    assert_ok(io_read_file("/usr/share/zoneinfo/Europe/Berlin", 1 << 20, &data, &n, &e), &e);
    for (size_t cut = 0; cut < n; cut++) {
        char *copy = mem_dup(data, cut);
        assert_code(zone_parse(copy, cut, &z, &e), ERR_CORRUPT, &e);
        mem_free(copy);
    }
    for (size_t i = 0; i < n; i++) {
        char *copy = mem_dup(data, n);
        copy[i] = (char)~copy[i];
        if (zone_parse(copy, n, &z, &e) == ERR_OK) {
            for (int64_t t = -4000000000; t < 8000000000; t += 400000000)
                zone_offset(z, t);
            zone_free(z);
        }
        mem_free(copy);
    }
    mem_free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offsets_are_those_of_libc),
        cmocka_unit_test(test_each_change_is_on_the_second),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_calendar),
        cmocka_unit_test(test_damaged_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
