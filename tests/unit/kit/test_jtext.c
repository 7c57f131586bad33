/*
 * JSON text: what is valid and what is not, compaction, search, escapes.
 */
#include "kit/jtext.h"

#include "tests/lib/testkit.h"

static void assert_compacts(const char *text, size_t n, const char *expected)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_ok(buf_str(&b, "<", &e), &e);
    assert_ok(jtext_compact(&b, text, n, &e), &e);
    assert_int_equal(b.len, strlen(expected) + 1);
    assert_memory_equal(b.data + 1, expected, b.len - 1);
    buf_free(&b);
}

static void assert_refused(const char *text, size_t n, const char *why)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    /* A copy of exact size, so that a read beyond the end is seen by the sanitizer. */
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    assert_code(jtext_compact(&b, copy, n, &e), ERR_INVALID_RECORD, &e);
    assert_string_equal(e.text, why);
    assert_int_equal(b.len, 0);
    free(copy);
    buf_free(&b);
}

static void test_white_space_goes_and_nothing_else(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{}", "{}"},
        {" \t\r\n{ } \n", "{}"},
        {"[ ]", "[]"},
        {"{ \"a\" : [ 1 , 2.50 , -0e+3 ] , \"a\" : \"b  c\" }", "{\"a\":[1,2.50,-0e+3],\"a\":\"b  c\"}"},
        {"\"\\u00e4\\n\\/ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\"",
         "\"\\u00e4\\n\\/ \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80\""},
        {"[true,\nfalse,\nnull]", "[true,false,null]"},
        {" 0 ", "0"},
        {"[[[[{\"x\":[{}]}]]], {\"y\":{}}]", "[[[[{\"x\":[{}]}]]],{\"y\":{}}]"},
        {"\"a string of more than eight bytes, with a \\\"quote\\\"\"",
         "\"a string of more than eight bytes, with a \\\"quote\\\"\""},
        {"\"\x7f\"", "\"\x7f\""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_compacts(cases[i][0], strlen(cases[i][0]), cases[i][1]);
}

static void test_what_is_no_json_is_refused(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "not valid JSON: the text ends early at byte 0"},
        {"  ", "not valid JSON: the text ends early at byte 2"},
        {"{", "not valid JSON: name of a member expected at byte 1"},
        {"{\"a\"", "not valid JSON: ':' expected at byte 4"},
        {"{\"a\":", "not valid JSON: the text ends early at byte 5"},
        {"{\"a\":1", "not valid JSON: the text ends early at byte 6"},
        {"{\"a\":1,}", "not valid JSON: name of a member expected at byte 7"},
        {"{\"a\":1]", "not valid JSON: ',' or '}' expected at byte 6"},
        {"[1,]", "not valid JSON: value expected at byte 3"},
        {"[1 2]", "not valid JSON: ',' or ']' expected at byte 3"},
        {"[1}", "not valid JSON: ',' or ']' expected at byte 2"},
        {"1 2", "not valid JSON: more text after the value at byte 2"},
        {"{}{}", "not valid JSON: more text after the value at byte 2"},
        {"01", "not valid JSON: more text after the value at byte 1"},
        {"-", "not valid JSON: digit expected at byte 1"},
        {"1.", "not valid JSON: digit expected at byte 2"},
        {"1e", "not valid JSON: digit expected at byte 2"},
        {"+1", "not valid JSON: value expected at byte 0"},
        {"NaN", "not valid JSON: value expected at byte 0"},
        {"tru", "not valid JSON: value expected at byte 0"},
        {"'a'", "not valid JSON: value expected at byte 0"},
        {"\"a", "not valid JSON: the text ends in a string at byte 2"},
        {"\"a\\", "not valid JSON: the text ends in a string at byte 2"},
        {"\"\\x\"", "not valid JSON: unknown escape in a string at byte 1"},
        {"\"\\u12g4\"", "not valid JSON: \\u without four hexadecimal digits at byte 1"},
        {"\"\\u12", "not valid JSON: \\u without four hexadecimal digits at byte 1"},
        {"\"a\nb\"", "not valid JSON: control character in a string at byte 2"},
        {"\"\xc3\"", "not valid JSON: invalid UTF-8 at byte 1"},
        {"\"\xc0\x80\"", "not valid JSON: invalid UTF-8 at byte 1"},
        {"\"\xed\xa0\x80\"", "not valid JSON: invalid UTF-8 at byte 1"},
        {"\"\xf4\x90\x80\x80\"", "not valid JSON: invalid UTF-8 at byte 1"},
        {"\"\xe2\x82", "not valid JSON: invalid UTF-8 at byte 1"},
        {"{1:2}", "not valid JSON: name of a member expected at byte 1"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_refused(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    assert_refused("\"\\\0\"", 4, "not valid JSON: unknown escape in a string at byte 1");
    assert_refused("1\0", 2, "not valid JSON: more text after the value at byte 1");
}

static void test_nesting_has_an_end(void **state)
{
    (void)state;
    char text[2 * (JTEXT_DEPTH_MAX + 1) + 1];
    memset(text, '[', sizeof(text));
    memset(text + JTEXT_DEPTH_MAX, ']', JTEXT_DEPTH_MAX);
    text[2 * JTEXT_DEPTH_MAX] = '\0';
    assert_compacts(text, 2 * JTEXT_DEPTH_MAX, text);
    text[JTEXT_DEPTH_MAX] = '[';
    assert_refused(text, 2 * JTEXT_DEPTH_MAX, "not valid JSON: nested too deeply at byte 1000");
}

static void assert_found(const char *text, const char *path, enum jtext_type type, const char *expected)
{
    struct jtext_token t;
    bool found = jtext_find(text, strlen(text), path, &t);
    if (!expected) {
        assert_false(found);
        return;
    }
    assert_true(found);
    assert_int_equal(t.type, type);
    assert_int_equal(t.n, strlen(expected));
    assert_memory_equal(t.p, expected, t.n);
}

static void test_fields_are_found(void **state)
{
    (void)state;
    const char *text =
        " { \"a\" : 1, \"b\" : { \"c\" : \"x\\ny\", \"\\u0064\" : [ 1, 2 ] }, \"a\" : true , \"n\":null}";
    assert_found(text, "a", JTEXT_TRUE, "true");
    assert_found(text, "b.c", JTEXT_STRING, "x\\ny");
    assert_found(text, "b.d", JTEXT_ARRAY, "[ 1, 2 ]");
    assert_found(text, "b", JTEXT_OBJECT, "{ \"c\" : \"x\\ny\", \"\\u0064\" : [ 1, 2 ] }");
    assert_found(text, "n", JTEXT_NULL, "null");
    assert_found(text, "b.e", JTEXT_NONE, NULL);
    assert_found(text, "a.b", JTEXT_NONE, NULL);
    assert_found(text, "c", JTEXT_NONE, NULL);
    assert_found("[1]", "a", JTEXT_NONE, NULL);
    assert_found("{\"a\"", "a", JTEXT_NONE, NULL);
    assert_found("{\"\\u00e4\":-1.5e3}", "\xc3\xa4", JTEXT_NUMBER, "-1.5e3");
}

static void test_escapes(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    const char *in = "a\\b\\f\\n\\r\\t\\\"\\\\\\/\\u0041\\u00e4\\u20ac\\ud83d\\ude00\\ud800x\\udc00";
    assert_ok(jtext_unescape(&b, in, strlen(in), &e), &e);
    const char *out = "a\b\f\n\r\t\"\\/A\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xef\xbf\xbdx\xef\xbf\xbd";
    assert_int_equal(b.len, strlen(out));
    assert_memory_equal(b.data, out, b.len);
    buf_reset(&b);
    const char raw[] = "plain \"q\" \\ \n\r\t\b\f\x01\x1f \x7f \xc3\xa4 \xff\xc3(";
    assert_ok(jtext_string(&b, raw, sizeof(raw) - 1, &e), &e);
    out = "\"plain \\\"q\\\" \\\\ \\n\\r\\t\\b\\f\\u0001\\u001f \x7f \xc3\xa4 \xef\xbf\xbd\xef\xbf\xbd(\"";
    assert_int_equal(b.len, strlen(out));
    assert_memory_equal(b.data, out, b.len);
    buf_reset(&b);
    assert_ok(jtext_string(&b, "", 0, &e), &e);
    assert_memory_equal(b.data, "\"\"", 2);
    buf_free(&b);
}

/* Every single byte at every place among harmless ones, so that the skimming by eight is seen from all sides. */
static void test_each_byte_in_each_place(void **state)
{
    (void)state;
    struct err e;
    for (int c = 0; c < 256; c++) {
        for (int at = 0; at < 17; at++) {
            char text[19];
            memset(text, 'a', sizeof(text));
            text[0] = text[18] = '"';
            text[1 + at] = (char)c;
            struct buf b;
            buf_init(&b, 64);
            bool ok = jtext_compact(&b, text, sizeof(text), &e) == ERR_OK;
            /* A lone backslash makes an escape of what follows: \a is none, \" leaves the string open. */
            assert_int_equal(ok, c >= 0x20 && c < 0x80 && c != '"' && c != '\\');
            buf_free(&b);
        }
    }
}

static void test_base64(void **state)
{
    (void)state;
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    static const char *const cases[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < 5; i++) {
        buf_reset(&b);
        assert_ok(jtext_base64(&b, cases[i][0], strlen(cases[i][0]), false, &e), &e);
        assert_int_equal(b.len, strlen(cases[i][1]));
        assert_memory_equal(b.data, cases[i][1], b.len);
    }
    buf_reset(&b);
    assert_ok(jtext_base64(&b, "\xff\xfe", 2, true, &e), &e);
    assert_int_equal(b.len, 6);
    assert_memory_equal(b.data, "\"//4=\"", 6);
    buf_free(&b);
}

static void test_items_one_after_another(void **state)
{
    (void)state;
    static const char text[] = " [ 1 , \"a,]\" ,[2,3], {\"x\":[4]} ,null] ";
    static const char *const items[] = {"1", "a,]", "[2,3]", "{\"x\":[4]}", "null"};
    struct jtext_token t;
    size_t at = 0, n = 0;
    for (; jtext_next_item(text, strlen(text), &at, &t); n++) {
        assert_int_equal(t.n, strlen(items[n]));
        assert_memory_equal(t.p, items[n], t.n);
    }
    assert_int_equal(n, 5);
    static const char *const none[] = {"[]", "[ ]", "{\"a\":1}", "", "1", "[,1]", "[}"};
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        at = 0;
        assert_false(jtext_next_item(none[i], strlen(none[i]), &at, &t));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_items_one_after_another),
        cmocka_unit_test(test_white_space_goes_and_nothing_else),
        cmocka_unit_test(test_what_is_no_json_is_refused),
        cmocka_unit_test(test_nesting_has_an_end),
        cmocka_unit_test(test_fields_are_found),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_each_byte_in_each_place),
        cmocka_unit_test(test_base64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
