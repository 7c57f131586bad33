/*
 * Records to bytes: every format with every kind of record, nulls, CSV quoting, nothing appended on an error.
 */
#include <errno.h>

#include "kit/encode.h"

#include "tests/lib/testkit.h"
#include "tests/unit/file/fake_sink_host.h"

static struct leat_task task;
static struct record_view view;

static struct encoder *make(const struct encode_config *c, enum leat_converter converter)
{
    struct err e;
    struct encoder *x;
    task = (struct leat_task){.key = LEAT_CONVERTER_STRING, .value = converter};
    record_view_init(&view, &fake_host, &task);
    assert_ok(encoder_new(c, &view, &x, &e), &e);
    return x;
}

static void assert_writes_n(struct encoder *x, const struct leat_record *r, const char *expected, size_t n)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_ok(buf_str(&b, "<", &e), &e);
    assert_ok(encoder_record(x, r, &b, &e), &e);
    assert_int_equal(b.len, n + 1);
    assert_memory_equal(b.data + 1, expected, n);
    buf_free(&b);
}

static void assert_writes(struct encoder *x, const struct leat_record *r, const char *expected)
{
    assert_writes_n(x, r, expected, strlen(expected));
}

static void assert_refuses(struct encoder *x, const struct leat_record *r, int code, const char *why)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_ok(buf_str(&b, "<", &e), &e);
    assert_code(encoder_record(x, r, &b, &e), code, &e);
    assert_int_equal(b.len, 1);
    if (why)
        assert_string_equal(e.text, why);
    buf_free(&b);
}

static void test_json(void **state)
{
    (void)state;
    struct encode_config c = {.format = ENCODE_JSON};
    struct leat_record r = fake_record(0, 1, "{ \"a\" :\n 1 }");
    struct encoder *x = make(&c, LEAT_CONVERTER_JSON);
    assert_writes(x, &r, "{\"a\":1}\n");
    struct leat_record bad = fake_record(2, 8, "{");
    assert_refuses(x, &bad, ERR_INVALID_RECORD, "t-2@8: not valid JSON: name of a member expected at byte 1");
    encoder_free(x);
    x = make(&c, LEAT_CONVERTER_STRING);
    assert_writes(x, &r, "\"{ \\\"a\\\" :\\n 1 }\"\n");
    encoder_free(x);
    x = make(&c, LEAT_CONVERTER_BYTES);
    assert_writes(x, &r, "\"eyAiYSIgOgogMSB9\"\n");
    struct leat_value typed = {.type = LEAT_TYPE_STRUCT, .text = "{\"t\":2}"};
    r.value_value = &typed; /* wins over the bytes */
    assert_writes(x, &r, "{\"t\":2}\n");
    struct leat_value odd = {.type = LEAT_TYPE_STRUCT};
    r.value_value = &odd;
    assert_refuses(x, &r, ERR_INVALID_RECORD, "t-0@1: cannot be written as JSON");
    encoder_free(x);
}

static void test_raw(void **state)
{
    (void)state;
    struct encode_config c = {.format = ENCODE_RAW};
    struct leat_record r = fake_record(0, 1, "a\xff");
    struct encoder *x = make(&c, LEAT_CONVERTER_JSON);
    assert_writes(x, &r, "a\xff\n");
    struct leat_value text = {.type = LEAT_TYPE_STRING, .text = "text"},
                      other = {.type = LEAT_TYPE_INT8, .text = "5"};
    r.value_value = &text;
    assert_writes(x, &r, "text\n");
    r.value_value = &other;
    assert_writes(x, &r, "5\n");
    encoder_free(x);
    c.separator = "\\r\\n\\0\\x7c\\\\\\t|";
    x = make(&c, LEAT_CONVERTER_BYTES);
    r.value_value = NULL;
    assert_writes_n(x, &r, "a\xff\r\n\0|\\\t|", 9);
    encoder_free(x);
    c.separator = "";
    x = make(&c, LEAT_CONVERTER_BYTES);
    assert_writes(x, &r, "a\xff");
    encoder_free(x);
    struct err e;
    c.separator = "\\q";
    assert_code(encoder_new(&c, &view, &x, &e), ERR_INVALID_CONFIG, &e);
    assert_string_equal(e.text, "format.bytearray.separator: unknown escape in \"\\q\"");
}

static void test_nulls(void **state)
{
    (void)state;
    struct leat_record none = fake_record(0, 4, NULL), empty = fake_record(0, 4, ""),
                       json = fake_record(0, 4, "null");
    struct leat_value typed_null = {.type = LEAT_TYPE_NULL, .text = "null"};
    struct leat_record typed = fake_record(0, 4, "x");
    typed.value_value = &typed_null;
    struct encode_config c = {.format = ENCODE_JSON, .nulls = ENCODE_NULLS_FAIL};
    struct encoder *x = make(&c, LEAT_CONVERTER_JSON);
    const char *why = "t-0@4: the record has no value (behavior.on.null.values is fail)";
    assert_refuses(x, &none, ERR_INVALID_RECORD, why);
    assert_refuses(x, &json, ERR_INVALID_RECORD, why);
    assert_refuses(x, &typed, ERR_INVALID_RECORD, why);
    encoder_free(x);
    c.nulls = ENCODE_NULLS_IGNORE;
    x = make(&c, LEAT_CONVERTER_STRING);
    assert_refuses(x, &none, ERR_END, NULL);
    assert_writes(x, &empty, "\"\"\n"); /* empty is not null */
    assert_writes(x, &json, "\"null\"\n");
    encoder_free(x);
    c.nulls = ENCODE_NULLS_WRITE;
    x = make(&c, LEAT_CONVERTER_JSON);
    assert_writes(x, &none, "null\n");
    assert_writes(x, &json, "null\n");
    assert_writes(x, &typed, "null\n");
    encoder_free(x);
    c.format = ENCODE_RAW;
    x = make(&c, LEAT_CONVERTER_BYTES);
    assert_writes(x, &none, "\n");
    assert_writes(x, &typed, "\n");
    encoder_free(x);
}

static void test_csv_of_the_record(void **state)
{
    (void)state;
    static const char *const columns[] = {"key", "value", "topic", "partition", "offset", "timestamp"};
    struct encode_config c = {
        .format = ENCODE_CSV, .csv_columns = columns, .csv_column_count = 6, .nulls = ENCODE_NULLS_WRITE};
    struct encoder *x = make(&c, LEAT_CONVERTER_STRING);
    struct leat_record r = fake_record(3, 0, "plain");
    assert_writes(x, &r, ",plain,t,3,0,2025-11-20T19:00:00.000Z\r\n");
    r.key = "k,1";
    r.key_len = 3;
    r.value = "say \"hi\"\nthere";
    r.value_len = 14;
    r.timestamp = -1;
    assert_writes(x, &r, "\"k,1\",\"say \"\"hi\"\"\nthere\",t,3,0,\r\n");
    r.value = "\r";
    r.value_len = 1;
    assert_writes(x, &r, "\"k,1\",\"\r\",t,3,0,\r\n");
    r.value = NULL;
    assert_writes(x, &r, "\"k,1\",,t,3,0,\r\n");
    encoder_free(x);
    c.csv_base64 = true;
    x = make(&c, LEAT_CONVERTER_STRING);
    r.value = "";
    r.value_len = 0;
    assert_writes(x, &r, "aywx,,t,3,0,\r\n");
    r.value = "\xff";
    r.value_len = 1;
    assert_writes(x, &r, "aywx,/w==,t,3,0,\r\n");
    encoder_free(x);
}

static void test_csv_of_fields(void **state)
{
    (void)state;
    struct err e;
    static const char *const columns[] = {"value.a", "value.b.c", "value", "offset"};
    struct encode_config c = {
        .format = ENCODE_CSV, .csv_columns = columns, .csv_column_count = 4, .csv_header = true};
    struct encoder *x = make(&c, LEAT_CONVERTER_JSON);
    struct buf b;
    buf_init(&b, 4096);
    assert_ok(encoder_begin(x, &b, &e), &e);
    assert_int_equal(b.len, 20);
    assert_memory_equal(b.data, "a,b.c,value,offset\r\n", 20);
    buf_free(&b);
    struct leat_record r = fake_record(0, 1, "{\"a\":\"x\\u002cy\", \"b\":{\"c\":[1, 2]}}");
    assert_writes(x, &r,
                  "\"x,y\",\"[1,2]\",\"{\"\"a\"\":\"\"x\\u002cy\"\",\"\"b\"\":{\"\"c\"\":[1,2]}}\",1\r\n");
    r = fake_record(0, 1, "{\"a\":null,\"b\":{\"c\":1.50}}");
    assert_writes(x, &r, ",1.50,\"{\"\"a\"\":null,\"\"b\"\":{\"\"c\"\":1.50}}\",1\r\n");
    r = fake_record(0, 1, "7");
    assert_writes(x, &r, ",,7,1\r\n");
    r = fake_record(0, 1, "{\"a\":true");
    assert_refuses(x, &r, ERR_INVALID_RECORD, "t-0@1: not valid JSON: the text ends early at byte 9");
    struct leat_value inner = {.type = LEAT_TYPE_INT64, .i = 5, .text = "5"};
    struct leat_value typed = {
        .type = LEAT_TYPE_STRUCT, .text = "{\"a\":5}", .names = {"a"}, .fields = {&inner}, .count = 1};
    r.value_value = &typed;
    assert_writes(x, &r, "5,,\"{\"\"a\"\":5}\",1\r\n");
    encoder_free(x);
}

static void test_keys(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 4096);
    struct encode_config c = {.format = ENCODE_JSON};
    struct encoder *x = make(&c, LEAT_CONVERTER_JSON);
    struct leat_record r = fake_record(0, 1, NULL);
    assert_code(encoder_key(x, &r, &b, &e), ERR_INVALID_RECORD, &e);
    assert_string_equal(e.text, "t-0@1: the record has no key");
    r.key = "k";
    r.key_len = 1;
    assert_ok(encoder_key(x, &r, &b, &e), &e);
    assert_memory_equal(b.data, "\"k\"\n", 4);
    encoder_free(x);
    buf_free(&b);
}

/* A host of before `converter` was added to the interface: bytes are bytes. */
static void test_an_older_host(void **state)
{
    (void)state;
    struct leat_host old = fake_host;
    old.struct_size = offsetof(struct leat_host, converter);
    task.value = LEAT_CONVERTER_JSON;
    record_view_init(&view, &old, &task);
    assert_int_equal(view.value, LEAT_CONVERTER_BYTES);
}

static void make_and_write(void *arg)
{
    (void)arg;
    static const char *const columns[] = {"value", "key"};
    struct encode_config c = {.format = ENCODE_CSV, .csv_columns = columns, .csv_column_count = 2};
    struct err e;
    struct encoder *x;
    struct buf b;
    buf_init(&b, 4096);
    struct leat_record r = fake_record(0, 1, "v");
    int rc = encoder_new(&c, &view, &x, &e);
    if (rc == ERR_OK)
        rc = encoder_record(x, &r, &b, &e);
    assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
    assert_true(b.len == 0 || rc == ERR_OK);
    encoder_free(x);
    buf_free(&b);
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, make_and_write, NULL) >= 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),          cmocka_unit_test(test_raw),
        cmocka_unit_test(test_nulls),         cmocka_unit_test(test_csv_of_the_record),
        cmocka_unit_test(test_csv_of_fields), cmocka_unit_test(test_keys),
        cmocka_unit_test(test_an_older_host), cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
