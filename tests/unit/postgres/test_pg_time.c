/* date, time, timestamp, with and without zone, and interval, in each mode. */
#include "connectors/postgres/pg_calendar.h"
#include "pg_values.h"

static const struct typed date = {1082, "date", false, -1}, time6 = {1083, "time", false, -1},
                          time3 = {1083, "time", false, 3}, timetz = {1266, "timetz", false, -1},
                          ts = {1114, "timestamp", false, -1}, ts3 = {1114, "timestamp", false, 3},
                          tstz = {1184, "timestamptz", false, -1}, tstz0 = {1184, "timestamptz", false, 0},
                          tstz3 = {1184, "timestamptz", false, 3}, interval = {1186, "interval", false, -1};

static void test_dates(void **state)
{
    (void)state;
    ASSERT_ALL(date, ((const struct pair[]){{"1970-01-01", "0"},
                                            {"1969-12-31", "-1"},
                                            {"2024-02-29", "19782"},
                                            {"2000-02-29", "11016"},
                                            {"5874897-12-31", "2145042905"},
                                            {"4714-11-24 BC", "-2440588"},
                                            {"0001-12-31 BC", "-719163"},
                                            {"0001-01-01", "-719162"},
                                            {"0044-03-15 BC", "-735160"},
                                            {"infinity", "2147483647"},
                                            {"-infinity", "-2147483648"}}));
    ASSERT_NONE(date, "", "2024-13-01", "2024-00-01", "2024-01-00", "2024-01-32", "2023-02-29", "1900-02-29",
                "0000-01-01", "24-01-01", "2024-1-1", "2024-01-01 ", "2024-01-01 AD", " BC", "2024-01-01x",
                "2024-01-01 00:00:00", "+2024-01-01", "12345678-01-01", "9999999-01-01", "-infinit",
                "infinityx");
    modes.time = PG_TIME_ISO;
    ASSERT_ALL(date, ((const struct pair[]){{"2024-05-06", "\"2024-05-06Z\""},
                                            {"0044-03-15 BC", "\"-0043-03-15Z\""},
                                            {"0001-03-15 BC", "\"0000-03-15Z\""},
                                            {"12024-01-02", "\"+12024-01-02Z\""},
                                            {"5874897-12-31", "\"+5874897-12-31Z\""},
                                            {"infinity", "\"infinity\""},
                                            {"-infinity", "\"-infinity\""}}));
    modes.time = PG_TIME_ADAPTIVE;
}

static void assert_day(const char *text, size_t n, bool zoned, int64_t days, const char *iso)
{
    char out[PG_DATE_SIZE];
    struct pg_moment m;
    assert_true(zoned ? pg_parse_timestamp((const uint8_t *)text, n, true, &m)
                      : pg_parse_date((const uint8_t *)text, n, &m));
    assert_int_equal(m.days, days);
    assert_ptr_equal(pg_put_date((uint8_t *)out, &m), out + 10);
    assert_memory_equal(out, iso, 10);
}

/* Each day of six centuries has the number that comes after the one before; a second before midnight, minus a second, too. */
static void test_every_day(void **state)
{
    (void)state;
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t days = -171832; /* 1499-07-17 by Python's date.toordinal */
    int year = 1499, month = 7, day = 17;
    char before[40] = "";
    while (year < 2101) {
        char text[40];
        snprintf(text, sizeof(text), "%04d-%02d-%02d", year, month, day);
        assert_day(text, 10, false, days, text);
        if (before[0])
            assert_day(before, strlen(before), true, days, text);
        snprintf(before, sizeof(before), "%.10s 23:59:59-00:00:01", text);
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        days++;
        if (++day > lengths[month - 1] + (month == 2 && leap)) {
            day = 1;
            if (++month > 12) {
                month = 1;
                year++;
            }
        }
    }
}

static void test_times(void **state)
{
    (void)state;
    static const char *const of6[] = {"25689123456",          "25689123456", "25689123",
                                      "\"07:08:09.123456Z\"", "25689123456", "25689123456000"};
    static const char *const of3[] = {"25689120",         "25689120000", "25689120",
                                      "\"07:08:09.12Z\"", "25689120000", "25689120000000"};
    static const char *const midnight[] = {"86400000",      "86400000000", "86400000",
                                           "\"00:00:00Z\"", "86400000000", "86400000000000"};
    for (int mode = PG_TIME_ADAPTIVE; mode <= PG_TIME_NS; mode++) {
        modes.time = (enum pg_time_mode)mode;
        assert_writes(&time6, "07:08:09.123456", of6[mode]);
        assert_writes(&time3, "07:08:09.12", of3[mode]);
        assert_writes(&time3, "24:00:00", midnight[mode]);
    }
    modes.time = PG_TIME_ADAPTIVE;
    ASSERT_ALL(time6, ((const struct pair[]){
                          {"00:00:00", "0"}, {"23:59:59.999999", "86399999999"}, {"00:00:00.000001", "1"}}));
    ASSERT_NONE(time6, "", "24:00:01", "24:00:00.000001", "25:00:00", "7:08:09", "07:60:00", "07:00:60",
                "07:08", "07:08:09.", "07:08:09.1234567", "07:08:09Z", "07:08:09+00", "-07:08:09");
    ASSERT_ALL(timetz, ((const struct pair[]){{"07:08:09.12+02", "\"05:08:09.12Z\""},
                                              {"23:59:59.999-05:30", "\"05:29:59.999Z\""},
                                              {"24:00:00+00", "\"00:00:00Z\""},
                                              {"24:00:00+02", "\"22:00:00Z\""},
                                              {"00:00:00+15:59", "\"08:01:00Z\""},
                                              {"00:00:00-15:59:59", "\"15:59:59Z\""},
                                              {"12:00:00+05:30:15", "\"06:29:45Z\""},
                                              {"00:00:00.000001+00", "\"00:00:00.000001Z\""}}));
    ASSERT_NONE(timetz, "", "07:08:09", "07:08:09+", "07:08:09+2", "07:08:09+16", "07:08:09+02:60",
                "07:08:09+02:00:60", "07:08:09+02:", "07:08:09+02:00:00:00", "07:08:09 +02");
}

static void test_timestamps(void **state)
{
    (void)state;
    static const char *const of6[] = {"1714979289123456", "1714979289123456",
                                      "1714979289123",    "\"2024-05-06T07:08:09.123456Z\"",
                                      "1714979289123456", "1714979289123456000"};
    static const char *const of3[] = {"1714979289120",    "1714979289120",
                                      "1714979289120",    "\"2024-05-06T07:08:09.12Z\"",
                                      "1714979289120000", "1714979289120000000"};
    static const char *const before[] = {"-1", "-1", "-1", "\"1969-12-31T23:59:59.999999Z\"", "-1", "-1000"};
    static const char *const late[] = {"9223372036825200000", "9223372036825200000", "9223372036825200",
                                       "\"infinity\"",        "9223372036825200000", "9223372036854775807"};
    static const char *const early[] = {"-9223372036832400000", "-9223372036832400000",
                                        "-9223372036832400",    "\"-infinity\"",
                                        "-9223372036832400000", "-9223372036854775808"};
    for (int mode = PG_TIME_ADAPTIVE; mode <= PG_TIME_NS; mode++) {
        modes.time = (enum pg_time_mode)mode;
        assert_writes(&ts, "2024-05-06 07:08:09.123456", of6[mode]);
        assert_writes(&ts3, "2024-05-06 07:08:09.12", of3[mode]);
        assert_writes(&ts, "1969-12-31 23:59:59.999999", before[mode]);
        assert_writes(&ts, "infinity", late[mode]);
        assert_writes(&ts, "-infinity", early[mode]);
    }
    assert_writes(&ts, "2262-04-11 23:47:16.854775", "9223372036854775000");
    assert_writes(&ts, "2262-04-11 23:47:16.854776", "9223372036854775807");
    assert_writes(&ts, "1677-09-21 00:12:43.145225", "-9223372036854775000");
    assert_writes(&ts, "1677-09-21 00:12:43.145224", "-9223372036854775808");
    assert_writes(&ts, "9999-12-31 00:00:00", "9223372036854775807");
    modes.time = PG_TIME_ADAPTIVE;
    ASSERT_ALL(ts, ((const struct pair[]){{"2021-02-03", "1612310400000000"}, /* a default */
                                          {"294247-01-10 04:00:54.775807", "9223372036854775807"},
                                          {"294276-12-31 23:59:59.999999", "9223372036854775807"},
                                          {"4713-01-01 00:00:00 BC", "-210863520000000000"}}));
    ASSERT_ALL(ts3, ((const struct pair[]){{"294276-12-31 23:59:59.999", "9224318015999999"},
                                           {"infinity", "9223372036825200"}}));
    ASSERT_NONE(ts, "", "2024-05-06 24:00:00", "2024-05-06T07:08:09", "2024-05-06 07:08:09+00",
                "2024-05-06 07:08", "2024-05-06 ", "2024-02-30 00:00:00", "2024-05-06 07:08:09 AD");
}

static void test_zoned_timestamps(void **state)
{
    (void)state;
    ASSERT_ALL(tstz, ((const struct pair[]){
                         {"2024-05-06 05:08:09.12+00", "\"2024-05-06T05:08:09.120000Z\""},
                         {"2024-05-06 05:08:09+00", "\"2024-05-06T05:08:09.000000Z\""},
                         {"2024-01-01 00:30:00+05:45", "\"2023-12-31T18:45:00.000000Z\""},
                         {"2023-12-31 23:30:00-00:30:30", "\"2024-01-01T00:00:30.000000Z\""},
                         {"0001-01-01 00:00:00+01", "\"0000-12-31T23:00:00.000000Z\""},
                         {"0044-03-15 01:02:03.5+00 BC", "\"-0043-03-15T01:02:03.500000Z\""},
                         {"294276-12-31 23:59:59.999999+00", "\"+294276-12-31T23:59:59.999999Z\""},
                         {"infinity", "\"infinity\""},
                         {"-infinity", "\"-infinity\""}}));
    assert_writes(&tstz0, "2024-05-06 05:08:09+00", "\"2024-05-06T05:08:09Z\"");
    assert_writes(&tstz3, "2024-05-06 05:08:09.1+00", "\"2024-05-06T05:08:09.100Z\"");
    ASSERT_NONE(tstz, "2024-05-06 05:08:09", "2024-05-06 05:08:09+", "2024-05-06 05:08:09+16",
                "2024-05-06 05:08:09+00x");
}

static void test_intervals(void **state)
{
    (void)state;
    ASSERT_ALL(interval, ((const struct pair[]){{"1 year 2 mons 3 days 04:05:06.789", "37091106789000"},
                                                {"-1 years -2 mons +3 days -04:05:06.5", "-36572706500000"},
                                                {"1 mon", "2629800000000"},
                                                {"3 years 4 mons", "105192000000000"},
                                                {"-00:00:00.000001", "-1"},
                                                {"00:00:00", "0"},
                                                {"infinity", "9223372036854775807"},
                                                {"-infinity", "-9223372036854775808"},
                                                {"15 days 12:00:00", "1339200000000"},
                                                {"178000000 years", "9223372036854775807"},
                                                {"-178000000 years", "-9223372036854775808"},
                                                {"2562047788:00:54.775807", "9223372036854775807"}}));
    ASSERT_NONE(interval, "", " ", "1", "1 year ", "1 week", "1 year2 mons", "year", "04:05", "04:05:06.",
                "04:60:06", "04:05:60", "04:05:06.1234567", "99999999999 years", "9999999999:00:00",
                "1 day 04:05:06 x", "--1 day", "1  day");
    modes.interval = PG_INTERVAL_STRING;
    ASSERT_ALL(interval,
               ((const struct pair[]){{"1 year 2 mons 3 days 04:05:06.789", "\"P1Y2M3DT4H5M6.789S\""},
                                      {"-1 mons -1 days -00:00:01.5", "\"P0Y-1M-1DT0H0M-1.5S\""},
                                      {"-1 mons +01:00:00", "\"P0Y-1M0DT1H0M0S\""},
                                      {"-04:05:06", "\"P0Y0M0DT-4H-5M-6S\""},
                                      {"00:00:10.000001", "\"P0Y0M0DT0H0M10.000001S\""},
                                      {"-00:00:00.1", "\"P0Y0M0DT0H0M-0.1S\""},
                                      {"00:00:00", "\"P0Y0M0DT0H0M0S\""},
                                      {"infinity", "\"infinity\""},
                                      {"-infinity", "\"-infinity\""},
                                      {"100:00:00", "\"P0Y0M0DT100H0M0S\""}}));
    modes.interval = PG_INTERVAL_NUMERIC;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),
        cmocka_unit_test(test_every_day),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_timestamps),
        cmocka_unit_test(test_zoned_timestamps),
        cmocka_unit_test(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
