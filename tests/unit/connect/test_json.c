/*
 * The JSON reader and writer: what is accepted and refused and where, numbers to the last bit, bounds, and that every
 * failed allocation is an error and nothing worse.
 */
#include "tests/lib/testkit.h"

#include <errno.h>
#include <float.h>

#include "connect/value_json.h"

static struct arena arena;
static struct buf out;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_MAX_BYTES, NULL);
    buf_init(&out, 1 << 26);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    buf_free(&out);
    return 0;
}

static struct leat_value *read_text(const char *text)
{
    struct err e;
    struct leat_value *v = value_from_json(&arena, text, strlen(text), 0, &e);
    if (v == NULL)
        fail_msg("%s: %s", text, e.text);
    return v;
}

static const char *write_text(const struct leat_value *v)
{
    struct err e;
    buf_reset(&out);
    assert_ok(value_to_json(v, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    return (const char *)out.data;
}

static void test_round_trips(void **state)
{
    (void)state;
    static const char *const texts[] = {"null",
                                        "true",
                                        "false",
                                        "0",
                                        "-1",
                                        "9223372036854775807",
                                        "-9223372036854775808",
                                        "\"\"",
                                        "[]",
                                        "{}",
                                        "[[],{},[{}]]",
                                        "{\"a\":{\"b\":[1,2.5,\"x\"]},\"c\":null}",
                                        "\"\\\"\\\\\\b\\f\\n\\r\\t\\u0001/\"",
                                        "\"\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\"",
                                        "0.1",
                                        "-2.5E-10",
                                        "1.0E7",
                                        "9999999.0",
                                        "0.001",
                                        "9.99E-4"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        assert_string_equal(write_text(read_text(texts[i])), texts[i]);
}

static void test_spellings(void **state)
{
    (void)state;
    static const struct {
        const char *in, *expected;
    } cases[] = {{" [ 1 , 2 ] \n", "[1,2]"},
                 {"\"\\u00e9\\u20AC\\/\"", "\"\xc3\xa9\xe2\x82\xac/\""},
                 {"\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""},
                 {"\"\\ud83d\"", "\"\xef\xbf\xbd\""},
                 {"\"\\ud83d\\u0041\"", "\"\xef\xbf\xbd"
                                        "A\""},
                 {"\"\\ude00x\"", "\"\xef\xbf\xbdx\""},
                 {"\"\\u0000\"", "\"\\u0000\""},
                 {"-0", "0"},
                 {"-0.0", "-0.0"},
                 {"1e0", "1.0"},
                 {"1E+2", "100.0"},
                 {"123456789012345678901234567890", "1.2345678901234568E29"},
                 {"0.00000000000000000000000000000000000001", "1.0E-38"},
                 {"1e-400", "0.0"},
                 {"{\"a\":1,\"b\":2,\"a\":3}", "{\"a\":3,\"b\":2}"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_string_equal(write_text(read_text(cases[i].in)), cases[i].expected);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *in, *why;
    } cases[] = {{"{", "byte 1: a string is expected"},
                 {"[1", "byte 2: ',' or ']' is expected"},
                 {"[1,]", "byte 3: a value is expected"},
                 {"{\"a\":1,}", "byte 7: a string is expected"},
                 {"{\"a\" 1}", "byte 5: ':' is expected"},
                 {"{\"a\":}", "byte 5: a value is expected"},
                 {"{\"a\":1]", "byte 6: ',' or '}' is expected"},
                 {"tru", "byte 0: unknown word"},
                 {"nul", "byte 0: unknown word"},
                 {"NaN", "byte 0: a value is expected"},
                 {"'a'", "byte 0: a value is expected"},
                 {"01", "byte 2: a number must not start with 0"},
                 {"-", "byte 1: a digit is expected"},
                 {"1.", "byte 2: a digit is expected after the point"},
                 {"1e", "byte 2: a digit is expected in the exponent"},
                 {"1e+", "byte 3: a digit is expected in the exponent"},
                 {"1e999", "byte 0: the number is out of range"},
                 {"+1", "byte 0: a value is expected"},
                 {"\"abc", "byte 4: the string does not end"},
                 {"\"a\nb\"", "byte 2: a control character must be escaped"},
                 {"\"\\x\"", "byte 1: unknown escape"},
                 {"\"\\u12g4\"", "byte 1: unknown escape"},
                 {"\"\\u12", "byte 1: unknown escape"},
                 {"\"\xff\"", "byte 1: not UTF-8"},
                 {"\"\xc0\xaf\"", "byte 1: not UTF-8"},
                 {"\"\xed\xa0\x80\"", "byte 1: not UTF-8"},
                 {"\"12345678\xe2\x82\"", "byte 9: not UTF-8"},
                 {"1 2", "byte 2: something follows the value"},
                 {" ", "byte 1: the text ends early"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err e;
        assert_null(value_from_json(&arena, cases[i].in, strlen(cases[i].in), 0, &e));
        assert_int_equal(e.code, ERR_INVALID);
        if (strstr(e.text, cases[i].why) == NULL)
            fail_msg("%s: '%s' does not say '%s'", cases[i].in, e.text, cases[i].why);
    }
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    char text[2 * VALUE_MAX_DEPTH + 3];
    struct err e;
    memset(text, '[', VALUE_MAX_DEPTH);
    memset(text + VALUE_MAX_DEPTH, ']', VALUE_MAX_DEPTH);
    assert_non_null(value_from_json(&arena, text, 2 * VALUE_MAX_DEPTH, 0, &e));
    memset(text, '[', VALUE_MAX_DEPTH + 1);
    assert_null(value_from_json(&arena, text, sizeof(text), 0, &e));
    assert_non_null(strstr(e.text, "nested too deep"));
    /* A value that contains itself is an error and no endless loop. */
    struct leat_value *v = value_array(&arena);
    assert_ok(value_push(v, v, &e), &e);
    buf_reset(&out);
    assert_code(value_to_json(v, &out, &e), ERR_INVALID, &e);
    assert_code(value_to_text(v, &out, &e), ERR_INVALID, &e);
}

static void test_memory_is_bounded(void **state)
{
    (void)state;
    struct arena small;
    struct err e;
    arena_init(&small, 200000, NULL);
    char *text = malloc(400001);
    memset(text, ',', 400000);
    for (size_t i = 1; i < 400000; i += 2)
        text[i] = '1';
    text[0] = '[';
    text[400000 - 1] = ']';
    text[400000 - 2] = '1';
    text[400000 - 3] = '1';
    assert_null(value_from_json(&small, text, 400000, 0, &e));
    assert_int_equal(e.code, ERR_NO_MEMORY);
    arena_free(&small);
    free(text);
}

static void test_doubles_survive(void **state)
{
    (void)state;
    static const double values[] = {0.1,
                                    1.0 / 3,
                                    DBL_MAX,
                                    DBL_MIN,
                                    DBL_TRUE_MIN,
                                    1e21,
                                    123456.789e-5,
                                    1e22,
                                    9007199254740993.0,
                                    5e-324,
                                    2.2250738585072011e-308,
                                    1e7,
                                    1e-3};
    struct err e;
    uint64_t seed = 88172645463325252u;
    for (size_t i = 0; i < 20000; i++) {
        double d = i < sizeof(values) / sizeof(values[0]) ? values[i] : 0;
        if (d == 0) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            memcpy(&d, &seed, 8);
            if (!(d - d == 0)) /* not finite */
                continue;
        }
        const char *text = write_text(value_float(&arena, LEAT_TYPE_FLOAT64, d, &e));
        struct leat_value *v = read_text(text);
        if (v->type != LEAT_TYPE_FLOAT64 || memcmp(&v->d, &d, 8) != 0)
            fail_msg("%a became %s and then %a", d, text, v->d);
        float f = (float)(i + 1) / 7.0f;
        text = write_text(value_float(&arena, LEAT_TYPE_FLOAT32, (double)f, &e));
        assert_true(strtof(text, NULL) == f);
        arena_reset(&arena);
    }
}

/* Decimals short enough for the fast way must be what the C library makes of them. */
static void test_fast_numbers_are_exact(void **state)
{
    (void)state;
    uint64_t seed = 42;
    for (int i = 0; i < 20000; i++) {
        char text[64];
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        snprintf(text, sizeof(text), "%llu.%lluE%d", (unsigned long long)(seed >> 40),
                 (unsigned long long)(seed % 100000), (int)(seed >> 20 & 63) - 32);
        struct leat_value *v = read_text(text);
        double expected = strtod(text, NULL);
        if (memcmp(&v->d, &expected, 8) != 0)
            fail_msg("%s: %a instead of %a", text, v->d, expected);
        arena_reset(&arena);
    }
}

static void test_borrowed_strings_point_into_the_text(void **state)
{
    (void)state;
    static const char text[] = "{\"plain\":\"value\",\"esc\\u0061ped\":\"\\n\"}";
    struct err e;
    struct leat_value *v = value_from_json(&arena, text, strlen(text), JSON_BORROW, &e);
    const struct leat_value *plain = value_find(v, "plain", 5), *escaped = value_find(v, "escaped", 7);
    assert_ptr_equal(plain->bytes.p, text + 10);
    assert_true((const char *)escaped->bytes.p < text ||
                (const char *)escaped->bytes.p >= text + sizeof(text));
    assert_int_equal(escaped->bytes.p[0], '\n');
    v = value_from_json(&arena, text, strlen(text), 0, &e);
    plain = value_find(v, "plain", 5);
    assert_true((const char *)plain->bytes.p != text + 10);
}

static void test_sorting_names(void **state)
{
    (void)state;
    struct leat_value *v = read_text("{\"b\":1,\"a\":2,\"ab\":{\"z\":1,\"y\":2},\"\":0}");
    value_sort_names(v);
    assert_string_equal(write_text(v), "{\"\":0,\"a\":2,\"ab\":{\"z\":1,\"y\":2},\"b\":1}");
    char text[4096] = "{";
    for (int i = 99; i >= 0; i--)
        snprintf(text + strlen(text), sizeof(text) - strlen(text), "\"k%02d\":%d%s", i, i, i > 0 ? "," : "}");
    v = read_text(text);
    value_sort_names(v);
    for (int i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "k%02d", i);
        assert_int_equal(value_find(v, name, 3)->i, i);
        assert_ptr_equal(value_at(v, (size_t)i, NULL, NULL), value_find(v, name, 3));
    }
}

static void every_allocation(void *arg)
{
    (void)arg;
    static char text[200000];
    struct err e;
    struct arena a;
    struct buf b;
    if (text[0] == 0) {
        strcpy(
            text,
            "{\"decimal\":1.23456789012345678901234567890123456789012345678901234567890123456789,\"list\":[");
        for (size_t n = strlen(text); n < sizeof(text) - 100; n += strlen(text + n))
            snprintf(text + n, sizeof(text) - n, "{\"a\\n%zu\":\"b\\u0041\",\"c\":%zu},", n, n);
        memcpy(text + strlen(text), "null]}", sizeof("null]}"));
    }
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    buf_init(&b, 1 << 24);
    err_clear(&e);
    struct leat_value *v = value_from_json(&a, text, strlen(text), 0, &e);
    if (v == NULL)
        assert_int_equal(e.code, ERR_NO_MEMORY);
    else if (value_to_json(v, &b, &e) != ERR_OK || value_to_text(v, &b, &e) != ERR_OK)
        assert_int_equal(e.code, ERR_NO_MEMORY);
    arena_free(&a);
    buf_free(&b);
}

static void test_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, every_allocation, NULL) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_memory_is_bounded),
        cmocka_unit_test(test_doubles_survive),
        cmocka_unit_test(test_fast_numbers_are_exact),
        cmocka_unit_test(test_borrowed_strings_point_into_the_text),
        cmocka_unit_test(test_sorting_names),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
