/*
 * Directories: every partitioner and extractor, daylight saving, patterns, hostile field values.
 */
#include "kit/partitioner.h"

#include "tests/lib/testkit.h"
#include "tests/unit/file/fake_sink_host.h"

static struct leat_task task;
static struct record_view view;

static int set_up(void **state)
{
    (void)state;
    task = (struct leat_task){.value = LEAT_CONVERTER_JSON};
    record_view_init(&view, &fake_host, &task);
    return 0;
}

static struct partitioner *make(const struct partitioner_config *c)
{
    struct err e;
    struct partitioner *p;
    assert_ok(partitioner_new(c, &view, &p, &e), &e);
    return p;
}

static void assert_encodes(struct partitioner *p, const struct leat_record *r, int64_t now_ms,
                           const char *expected)
{
    struct err e;
    const char *text;
    size_t n;
    assert_ok(partitioner_encode(p, r, now_ms, &text, &n, &e), &e);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(text, expected, n);
}

static void assert_fails(struct partitioner *p, const struct leat_record *r, const char *expected)
{
    struct err e;
    const char *text;
    size_t n;
    assert_code(partitioner_encode(p, r, 0, &text, &n, &e), ERR_INVALID_RECORD, &e);
    assert_string_equal(e.text, expected);
}

static void test_default(void **state)
{
    (void)state;
    struct partitioner *p = make(&(struct partitioner_config){.kind = PARTITION_DEFAULT});
    struct leat_record a = fake_record(0, 1, "1"), b = fake_record(12, 1, "1");
    assert_encodes(p, &a, 0, "partition=0");
    assert_encodes(p, &a, 0, "partition=0");
    assert_encodes(p, &b, 0, "partition=12");
    assert_encodes(p, &a, 0, "partition=0");
    assert_false(partitioner_is_time_based(p));
    assert_true(partitioner_is_deterministic(p));
    partitioner_free(p);
}

static struct leat_record at(int64_t timestamp)
{
    struct leat_record r = fake_record(0, 0, "{}");
    r.timestamp = timestamp;
    return r;
}

static void test_hours_over_a_change_of_the_clock(void **state)
{
    (void)state;
    struct partitioner *p = make(&(struct partitioner_config){
        .kind = PARTITION_HOURLY, .clock = CLOCK_RECORD, .timezone = "Europe/Berlin"});
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {1774745999999, "year=2026/month=03/day=29/hour=01"}, /* the last ms of winter */
        {1774746000000, "year=2026/month=03/day=29/hour=03"},
        {1792886400000, "year=2026/month=10/day=25/hour=02"}, /* summer's 02:00 */
        {1792890000000, "year=2026/month=10/day=25/hour=02"}, /* winter's 02:00 */
        {1792893600000, "year=2026/month=10/day=25/hour=03"},
        {1767221999000, "year=2025/month=12/day=31/hour=23"},
        {1767222000000, "year=2026/month=01/day=01/hour=00"},
        {0, "year=1970/month=01/day=01/hour=01"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct leat_record r = at(cases[i].ms);
        assert_encodes(p, &r, 1, cases[i].text);
    }
    assert_true(partitioner_is_time_based(p));
    assert_true(partitioner_is_deterministic(p));
    partitioner_free(p);
}

static void test_days_that_begin_at_one(void **state)
{
    (void)state;
    /* Sao Paulo put its clocks forward at midnight: 2018-11-04 began at 01:00. */
    struct partitioner *p = make(&(struct partitioner_config){
        .kind = PARTITION_DAILY, .clock = CLOCK_RECORD, .timezone = "America/Sao_Paulo"});
    struct leat_record before = at(1541300399000), after = at(1541300400000), later = at(1541343600000);
    assert_encodes(p, &before, 0, "year=2018/month=11/day=03");
    assert_encodes(p, &after, 0, "year=2018/month=11/day=04");
    assert_encodes(p, &later, 0, "year=2018/month=11/day=04");
    partitioner_free(p);
}

static void test_a_pattern_and_a_duration_of_ones_own(void **state)
{
    (void)state;
    struct partitioner *p =
        make(&(struct partitioner_config){.kind = PARTITION_TIME,
                                          .path_format = "yyyy-MM-dd'T'HH:mm:ss.SSS/D/''e/yy/M/d/'o''clock'",
                                          .duration_ms = 600000,
                                          .clock = CLOCK_RECORD,
                                          .timezone = "Asia/Kolkata"});
    struct leat_record r = at(1763665259123); /* 2025-11-20T19:00:59.123Z, a Friday there, day 325 */
    assert_encodes(p, &r, 0, "2025-11-21T00:30:00.000/325/'5/25/11/21/o'clock");
    partitioner_free(p);
}

static void test_the_wall_clock(void **state)
{
    (void)state;
    struct partitioner *p = make(&(struct partitioner_config){.kind = PARTITION_DAILY, .clock = CLOCK_WALL});
    struct leat_record r = at(0);
    assert_encodes(p, &r, 1763665200000, "year=2025/month=11/day=20");
    assert_false(partitioner_is_deterministic(p));
    partitioner_free(p);
}

static void test_time_from_a_field(void **state)
{
    (void)state;
    struct partitioner *p = make(&(struct partitioner_config){
        .kind = PARTITION_HOURLY, .clock = CLOCK_FIELD, .timestamp_field = "meta.at"});
    static const char *const values[] = {
        "{\"meta\":{\"at\":1763665200000}}",
        "{\"meta\":{\"at\":\"1763665200000\"}}",
        "{\"meta\":{\"at\":\"2025-11-20T19:00:00Z\"}}",
        "{\"meta\":{\"at\":\"2025-11-20T20:59:59.999+01:00\"}}",
        "{\"meta\":{\"at\":\"2025-11-20 19:30\"}}",
        "{\"meta\":{\"at\":\"2025-11-20T18:30:00,5-0100\"}}",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        struct leat_record r = fake_record(0, 3, values[i]);
        assert_encodes(p, &r, 0, "year=2025/month=11/day=20/hour=19");
    }
    struct leat_record r = fake_record(0, 3, "{\"meta\":{\"at\":\"soon\"}}");
    assert_fails(p, &r, "t-0@3: field 'meta.at' is no time: soon");
    r = fake_record(0, 3, "{\"meta\":{\"at\":true}}");
    assert_fails(p, &r, "t-0@3: field 'meta.at' is no time: true");
    r = fake_record(0, 3, "{\"at\":1}");
    assert_fails(p, &r, "t-0@3: the value has no field 'meta.at' with a time");
    r = fake_record(0, 3, "{\"meta\":{\"at\":9223372036854775807}}");
    assert_fails(p, &r, "t-0@3: time 9223372036854775807 is out of range");
    partitioner_free(p);
    struct leat_value typed_at = {.type = LEAT_TYPE_TIMESTAMP, .i = 1763665200000};
    struct leat_value typed = {
        .type = LEAT_TYPE_STRUCT, .names = {"timestamp"}, .fields = {&typed_at}, .count = 1};
    p = make(&(struct partitioner_config){.kind = PARTITION_DAILY, .clock = CLOCK_FIELD});
    r = fake_record(0, 3, NULL);
    r.value_value = &typed;
    assert_encodes(p, &r, 0, "year=2025/month=11/day=20");
    partitioner_free(p);
}

static void test_a_record_without_time(void **state)
{
    (void)state;
    struct partitioner *p =
        make(&(struct partitioner_config){.kind = PARTITION_DAILY, .clock = CLOCK_RECORD});
    struct leat_record r = at(-1);
    assert_fails(p, &r, "t-0@0: the record has no timestamp");
    partitioner_free(p);
}

static void test_fields(void **state)
{
    (void)state;
    static const char *const fields[] = {"a", "b.c"};
    struct partitioner *p =
        make(&(struct partitioner_config){.kind = PARTITION_FIELD, .fields = fields, .field_count = 2});
    static const char *const cases[][2] = {
        {"{\"a\":\"x\",\"b\":{\"c\":7}}", "a=x/b.c=7"},
        {"{\"a\":true,\"b\":{\"c\":-1}}", "a=true/b.c=-1"},
        {"{\"a\":null,\"b\":{}}", "a=null/b.c=null"},
        {"{\"a\":\"\",\"b\":{\"c\":\"..\"}}", "a=/b.c=.."},
        {"{\"a\":\"../../etc\",\"b\":{\"c\":\"x\\u0000\\n\\u007fy\"}}", "a=..%2F..%2Fetc/b.c=x%00%0A%7Fy"},
        {"{\"a\":\"\\u00e4 50%\",\"b\":{\"c\":0}}", "a=\xc3\xa4 50%/b.c=0"},
        {"[]", "a=null/b.c=null"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct leat_record r = fake_record(0, 1, cases[i][0]);
        assert_encodes(p, &r, 0, cases[i][1]);
    }
    struct leat_record r = fake_record(0, 1, "{\"a\":1.5}");
    assert_fails(p, &r, "t-0@1: field 'a' is no integer, string or boolean, so it names no directory");
    r = fake_record(0, 1, "{\"a\":[1]}");
    assert_fails(p, &r, "t-0@1: field 'a' is no integer, string or boolean, so it names no directory");
    struct leat_value c = {.type = LEAT_TYPE_INT32, .i = -3}, a = {.type = LEAT_TYPE_STRING, .text = "t/u"};
    struct leat_value b = {.type = LEAT_TYPE_STRUCT, .names = {"c"}, .fields = {&c}, .count = 1};
    struct leat_value typed = {.type = LEAT_TYPE_MAP, .names = {"a", "b"}, .fields = {&a, &b}, .count = 2};
    r.value_value = &typed;
    assert_encodes(p, &r, 0, "a=t%2Fu/b.c=-3");
    partitioner_free(p);
}

static void test_names(void **state)
{
    (void)state;
    enum partitioner_kind kind;
    enum partitioner_clock clock;
    assert_true(partitioner_kind_parse("io.confluent.connect.storage.partitioner.HourlyPartitioner", &kind));
    assert_int_equal(kind, PARTITION_HOURLY);
    assert_true(partitioner_kind_parse("TimeBasedPartitioner", &kind));
    assert_int_equal(kind, PARTITION_TIME);
    assert_true(partitioner_kind_parse("daily", &kind));
    assert_int_equal(kind, PARTITION_DAILY);
    assert_false(partitioner_kind_parse("com.example.MinePartitioner", &kind));
    assert_true(partitioner_clock_parse(
        "io.confluent.connect.storage.partitioner.TimeBasedPartitioner$RecordFieldTimestampExtractor",
        &clock));
    assert_int_equal(clock, CLOCK_FIELD);
    assert_true(partitioner_clock_parse("record", &clock));
    assert_int_equal(clock, CLOCK_RECORD);
    assert_false(partitioner_clock_parse("Sundial", &clock));
}

static void assert_bad(const struct partitioner_config *c, const char *text)
{
    struct err e;
    struct partitioner *p;
    assert_code(partitioner_new(c, &view, &p, &e), ERR_INVALID_CONFIG, &e);
    assert_string_equal(e.text, text);
    assert_null(p);
}

static void test_wrong_configurations(void **state)
{
    (void)state;
    struct partitioner_config c = {.kind = PARTITION_TIME};
    assert_bad(&c, "path.format: the time partitioner needs it");
    c.path_format = "YYYY";
    assert_bad(&c, "partition.duration.ms: the time partitioner needs it, above 0");
    c.duration_ms = 1;
    c.path_format = "YYYY-MMM";
    assert_bad(&c, "path.format: pattern \"YYYY-MMM\": only digits, not \"MMM\"");
    c.path_format = "'year=YYYY";
    assert_bad(&c, "path.format: pattern \"'year=YYYY\": no closing quote");
    c.path_format = "YYYY z";
    assert_bad(&c, "path.format: pattern \"YYYY z\": letter 'z' is not supported");
    static const char *const fields[] = {"a/b"};
    c = (struct partitioner_config){.kind = PARTITION_FIELD, .fields = fields, .field_count = 1};
    assert_bad(&c, "partition.field.name: 'a/b' cannot name a directory");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, set_up)
    const struct CMUnitTest tests[] = {
        T(test_default),
        T(test_hours_over_a_change_of_the_clock),
        T(test_days_that_begin_at_one),
        T(test_a_pattern_and_a_duration_of_ones_own),
        T(test_the_wall_clock),
        T(test_time_from_a_field),
        T(test_a_record_without_time),
        T(test_fields),
        T(test_names),
        T(test_wrong_configurations),
    };
#undef T
    return cmocka_run_group_tests(tests, NULL, NULL);
}
