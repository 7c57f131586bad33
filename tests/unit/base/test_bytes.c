/* buf, slice, varints, JSON strings. */
#include "tests/lib/testkit.h"

#include "base/buf.h"

static void buffers_stop_at_their_cap(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 100);
    for (int i = 0; i < 100; i++)
        assert_ok(buf_u8(&b, (uint8_t)i, &e), &e);
    assert_code(buf_u8(&b, 0, &e), ERR_TOO_LARGE, &e);
    assert_int_equal(b.len, 100);
    assert_true(b.cap <= 100);
    assert_code(buf_reserve(&b, SIZE_MAX, &e), ERR_TOO_LARGE, &e);
    buf_free(&b);
}

static void integers_are_big_endian(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 100);
    assert_ok(buf_i16(&b, -2, &e), &e);
    assert_ok(buf_i32(&b, 0x01020304, &e), &e);
    assert_ok(buf_i64(&b, INT64_MIN, &e), &e);
    assert_memory_equal(b.data, "\xff\xfe\x01\x02\x03\x04\x80\0\0\0\0\0\0\0", 14);
    struct slice s = slice_of(b.data, b.len);
    int16_t i16;
    int32_t i32;
    int64_t i64;
    assert_ok(slice_i16(&s, &i16, &e), &e);
    assert_ok(slice_i32(&s, &i32, &e), &e);
    assert_ok(slice_i64(&s, &i64, &e), &e);
    assert_int_equal(i16, -2);
    assert_int_equal(i32, 0x01020304);
    assert_true(i64 == INT64_MIN);
    assert_code(slice_i16(&s, &i16, &e), ERR_TRUNCATED, &e);
    buf_free(&b);
}

static void varints_round_trip_and_are_bounded(void **state)
{
    (void)state;
    static const int64_t values[] = {0,   -1,  1,         63,        64,        -64,
                                     -65, 300, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    struct err e;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        uint8_t raw[10];
        size_t n = put_varint(raw, values[i]);
        assert_int_equal(n, varint_size(values[i]));
        for (size_t cut = 0; cut < n; cut++) {
            struct slice part = slice_of(raw, cut);
            int64_t v;
            assert_code(slice_varint(&part, &v, &e), ERR_TRUNCATED, &e);
            assert_ptr_equal(part.p, raw);
        }
        struct slice s = slice_of(raw, n);
        int64_t back;
        assert_ok(slice_varint(&s, &back, &e), &e);
        assert_true(back == values[i]);
        assert_int_equal(slice_left(&s), 0);
    }
    struct slice endless = slice_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", 11);
    uint64_t v;
    assert_code(slice_uvarint(&endless, &v, &e), ERR_CORRUPT, &e);
    struct slice over = slice_of("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10); /* 65 bits */
    assert_code(slice_uvarint(&over, &v, &e), ERR_CORRUPT, &e);
}

static void json(const char *in, size_t n, const char *expected)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1000);
    assert_ok(buf_json_str(&b, in, n, &e), &e);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
    buf_free(&b);
}

static void json_strings_are_valid_whatever_comes(void **state)
{
    (void)state;
    json("", 0, "\"\"");
    json("a\"b\\c\n\t\x01", 8, "\"a\\\"b\\\\c\\n\\t\\u0001\"");
    json("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80", 11, "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80\"");
    json("\xff", 1, "\"\xef\xbf\xbd\"");
    json("\xc3", 1, "\"\xef\xbf\xbd\"");
    json("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\""); /* a surrogate */
    json("\xc0\xaf", 2, "\"\xef\xbf\xbd\xef\xbf\xbd\"");                 /* overlong */
}

static void append_all(void *arg)
{
    (void)arg;
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    size_t done = 0;
    while (done < 1000 && buf_append(&b, "0123456789", 10, &e) == ERR_OK)
        done++;
    assert_true(done == 1000 || e.code == ERR_NO_MEMORY);
    assert_int_equal(b.len, done * 10);
    buf_free(&b);
}

static void a_failed_allocation_keeps_what_was_there(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 12, append_all, NULL) > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffers_stop_at_their_cap),
        cmocka_unit_test(integers_are_big_endian),
        cmocka_unit_test(varints_round_trip_and_are_bounded),
        cmocka_unit_test(json_strings_are_valid_whatever_comes),
        cmocka_unit_test(a_failed_allocation_keeps_what_was_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
