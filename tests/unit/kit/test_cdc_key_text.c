/* Keys as headers have them: the expected texts are those of Kafka Connect 4.3 (recorded by tests/compare). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kit/cdc/cdc_key_text.h"

#define DATA "org.apache.kafka.connect.data."

/* A key of one field, as text. */
static void expect(const char *type, const char *name, const char *parameters, const char *json,
                   const char *text)
{
    struct err e;
    struct buf out;
    struct cdc_column column = {.schema = {.type = mem_strdup(type),
                                           .name = name ? mem_strdup(name) : NULL,
                                           .parameters = parameters ? mem_strdup(parameters) : NULL}};
    struct cdc_field field = {.column = &column};
    struct cdc_table table = {.key = {&field, 1}};
    buf_init(&out, 65536);
    assert_int_equal(cdc_key_text(&table, json, strlen(json), &out, &e), ERR_OK);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
    buf_free(&out);
    cdc_column_clear(&column);
}

static void test_what_is_as_in_json(void **state)
{
    (void)state;
    expect("\"int32\"", NULL, NULL, "{\"a\":-5}", "{\"a\":-5}");
    expect("\"boolean\"", NULL, NULL, "{\"a\":true}", "{\"a\":true}");
    expect("\"string\"", NULL, NULL, "{\"a\":null}", "{\"a\":null}");
    expect("\"bytes\"", NULL, NULL, "{\"a\":\"AP8=\"}", "{\"a\":\"AP8=\"}");
    expect("\"double\"", NULL, NULL, "{\"a\":1.0E10}", "{\"a\":1.0E10}");
    expect("\"int32\"", "io.debezium.time.Date", NULL, "{\"a\":10956}", "{\"a\":10956}");
    expect("\"struct\"", "io.debezium.data.VariableScaleDecimal", NULL,
           "{\"a\":{\"scale\":1,\"value\":\"Dw==\"}}", "{\"a\":{\"scale\":1,\"value\":\"Dw==\"}}");
}

static void test_strings_have_two_escapes(void **state)
{
    (void)state;
    expect("\"string\"", NULL, NULL, "{\"a\":\"two\\nlines \\u00fc\\t\\\"q\\\" \\\\\"}",
           "{\"a\":\"two\nlines \xc3\xbc\t\\\"q\\\" \\\\\"}");
    expect("\"string\"", NULL, NULL, "{\"a \\\"b\\\"\":\"\"}", "{\"a \\\"b\\\"\":\"\"}");
    expect("\"array\"", NULL, NULL, "{\"a\":[\"x\\ny\",null,\"\\\"]\"]}",
           "{\"a\":[\"x\ny\",null,\"\\\"]\"]}");
}

static void test_numbers_that_json_has_not(void **state)
{
    (void)state;
    expect("\"double\"", NULL, NULL, "{\"a\":\"NaN\"}", "{\"a\":NaN}");
    expect("\"float\"", NULL, NULL, "{\"a\":\"-Infinity\"}", "{\"a\":-Infinity}");
}

static void test_times_of_connect(void **state)
{
    (void)state;
    expect("\"int32\"", DATA "Date", NULL, "{\"a\":19419}", "{\"a\":2023-03-03}");
    expect("\"int32\"", DATA "Time", NULL, "{\"a\":3723500}", "{\"a\":01:02:03.500Z}");
    expect("\"int64\"", DATA "Timestamp", NULL, "{\"a\":1577840523500}", "{\"a\":2020-01-01T01:02:03.500Z}");
    expect("\"int64\"", DATA "Timestamp", NULL, "{\"a\":1577836800000}", "{\"a\":2020-01-01}");
    /* Not as Kafka, which shows 23:59:59.999Z alone. */
    expect("\"int64\"", DATA "Timestamp", NULL, "{\"a\":-1}", "{\"a\":1969-12-31T23:59:59.999Z}");
    expect("\"int32\"", DATA "Date", NULL, "{\"a\":-1}", "{\"a\":1969-12-31}");
    expect("\"int32\"", DATA "Date", NULL, "{\"a\":0}", "{\"a\":1970-01-01}");
    expect("\"int64\"", DATA "Timestamp", NULL, "{\"a\":-86400001}", "{\"a\":1969-12-30T23:59:59.999Z}");
}

static void test_decimals_are_told(void **state)
{
    (void)state;
    const char *p = "\"scale\":\"2\",\"connect.decimal.precision\":\"8\"";
    expect("\"bytes\"", DATA "Decimal", p, "{\"a\":\"/x8=\"}", "{\"a\":-2.25}");
    expect("\"bytes\"", DATA "Decimal", p, "{\"a\":\"AJY=\"}", "{\"a\":1.50}");
    expect("\"bytes\"", DATA "Decimal", p, "{\"a\":\"AA==\"}", "{\"a\":0.00}");
    expect("\"bytes\"", DATA "Decimal", p, "{\"a\":\"/w==\"}", "{\"a\":-0.01}");
    expect("\"bytes\"", DATA "Decimal", "\"scale\":\"0\"", "{\"a\":\"fw==\"}", "{\"a\":127}");
}

static void expect_decimal(const void *data, size_t n, int32_t scale, const char *text)
{
    struct err e;
    struct buf out;
    buf_init(&out, 1024);
    assert_int_equal(cdc_decimal_text(data, n, scale, &out, &e), ERR_OK);
    assert_int_equal(out.len, strlen(text));
    assert_memory_equal(out.data, text, out.len);
    buf_free(&out);
}

/* As java.math.BigDecimal documents its toString. */
static void test_decimals_as_java_prints_them(void **state)
{
    (void)state;
    expect_decimal("\x7b", 1, 0, "123");
    expect_decimal("\x85", 1, 0, "-123");
    expect_decimal("\x7b", 1, -1, "1.23E+3");
    expect_decimal("\x7b", 1, -3, "1.23E+5");
    expect_decimal("\x7b", 1, 1, "12.3");
    expect_decimal("\x7b", 1, 5, "0.00123");
    expect_decimal("\x7b", 1, 10, "1.23E-8");
    expect_decimal("\x85", 1, 12, "-1.23E-10");
    expect_decimal("\x00", 1, 6, "0.000000");
    expect_decimal("\x00", 1, 7, "0E-7");
    expect_decimal("\x00", 1, -2, "0E+2");
    expect_decimal("\x05", 1, -1, "5E+1");
    expect_decimal("\x80", 1, 0, "-128");
    /* 2^64 and -2^63 */
    expect_decimal("\x01\x00\x00\x00\x00\x00\x00\x00\x00", 9, 4, "1844674407370955.1616");
    expect_decimal("\x80\x00\x00\x00\x00\x00\x00\x00", 8, 0, "-9223372036854775808");
}

static void test_what_is_no_decimal(void **state)
{
    (void)state;
    struct err e;
    struct buf out;
    buf_init(&out, 1024);
    assert_int_equal(cdc_decimal_text("", 0, 2, &out, &e), ERR_INVALID_RECORD);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_as_in_json),        cmocka_unit_test(test_strings_have_two_escapes),
        cmocka_unit_test(test_numbers_that_json_has_not), cmocka_unit_test(test_times_of_connect),
        cmocka_unit_test(test_decimals_are_told),         cmocka_unit_test(test_decimals_as_java_prints_them),
        cmocka_unit_test(test_what_is_no_decimal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
