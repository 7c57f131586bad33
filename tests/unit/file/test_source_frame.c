/*
 * Where records begin and end: every way of cutting, fed whole and in pieces of every size, which must not change
 * the result.
 */
#include "connectors/file/source.h"
#include "kit/jtext.h"
#include "tests/lib/testkit.h"

struct result {
    char *items[64];
    size_t count;
};

static struct framing base(void)
{
    return (struct framing){
        .mode = FRAME_LINE, .line_max = 16, .chunk_max = 4, .group_lines = 100, .group_bytes = 100};
}

static void take(struct result *r, const struct frames *f, const char *data)
{
    for (size_t i = 0; i < f->count; i++) {
        assert_true(r->count < 64);
        r->items[r->count++] = strndup((const char *)f->spans[i].data, f->spans[i].len);
        if (f->scratch.len == 0)
            assert_ptr_equal(f->spans[i].data, data + f->spans[i].at);
    }
}

/* Gives `step` more bytes at a time, the rest again and again, as the source does. */
static struct result cut(const struct framing *f, const char *text, size_t step, enum frame_flush flush,
                         int expected)
{
    struct result r = {.count = 0};
    struct frames frames = {.mid = false};
    struct err e;
    buf_init(&frames.scratch, 1 << 20);
    size_t n = strlen(text), from = 0, upto = 0;
    int rc = ERR_OK;
    while (rc == ERR_OK) {
        bool end = upto == n;
        rc = frame_split(f, (const uint8_t *)text + from, upto - from, end ? flush : FRAME_KEEP, &frames, &e);
        if (rc != ERR_OK)
            break;
        take(&r, &frames, text + from);
        from += frames.consumed;
        assert_true(from <= upto);
        if (frames.consumed == 0 && end)
            break;
        if (frames.consumed == 0)
            assert_true(upto - from < frame_need(f));
        if (frames.consumed == 0)
            upto = n - upto < step ? n : upto + step;
    }
    assert_int_equal(rc, expected);
    buf_free(&frames.scratch);
    return r;
}

static void expect_cut(const struct framing *f, const char *text, enum frame_flush flush, int expected,
                       const char *const *values, size_t count)
{
    for (size_t step = 1; step <= strlen(text) + 1; step++) {
        struct result r = cut(f, text, step, flush, expected);
        for (size_t i = 0; i < r.count && i < count; i++)
            assert_string_equal(r.items[i], values[i]);
        assert_int_equal(r.count, count);
        for (size_t i = 0; i < r.count; i++)
            free(r.items[i]);
    }
}
#define CUT(f, text, flush, rc, ...)                                                                         \
    expect_cut(f, text, flush, rc, (const char *const[]){__VA_ARGS__},                                       \
               sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static void lines(void **state)
{
    (void)state;
    struct framing f = base();
    CUT(&f, "a\nbc\r\n\n\r\nd\re\nrest", FRAME_KEEP, ERR_OK, "a", "bc", "", "", "d\re");
    CUT(&f, "a\nrest", FRAME_GROUP, ERR_OK, "a");
    CUT(&f, "a\nrest", FRAME_ALL, ERR_OK, "a", "rest");
    CUT(&f, "1234567890123456\n1234567890123456\r\nx\n", FRAME_KEEP, ERR_OK, "1234567890123456",
        "1234567890123456", "x");
}

static void lines_over_the_cap(void **state)
{
    (void)state;
    struct framing f = base();
    const char *text = "a\n12345678901234567890123456789012345\nb\n";
    CUT(&f, text, FRAME_KEEP, ERR_OK, "a", "1234567890123456", "7890123456789012", "345", "b");
    CUT(&f, "12345678901234567890123456789012\nb\n", FRAME_KEEP, ERR_OK, "1234567890123456",
        "7890123456789012", "b");
    CUT(&f, "12345678901234567", FRAME_ALL, ERR_OK, "1234567890123456", "7");
    f.over = FRAME_TRUNCATE;
    CUT(&f, text, FRAME_KEEP, ERR_OK, "a", "1234567890123456", "b");
    f.over = FRAME_SKIP;
    CUT(&f, text, FRAME_KEEP, ERR_OK, "a", "b");
    f.over = FRAME_FAIL;
    CUT(&f, text, FRAME_KEEP, ERR_TOO_LARGE, "a");
}

static void groups(void **state)
{
    (void)state;
    struct framing f = base();
    f.multiline = true;
    assert_int_equal(regcomp(&f.pattern, "^[ +]", REG_EXTENDED), 0);
    const char *text = "a\n b\n c\r\nd\ne\n f";
    CUT(&f, text, FRAME_KEEP, ERR_OK, "a\n b\n c", "d");
    CUT(&f, text, FRAME_GROUP, ERR_OK, "a\n b\n c", "d", "e");
    CUT(&f, text, FRAME_ALL, ERR_OK, "a\n b\n c", "d", "e\n f");
    CUT(&f, " first\n b\nd\n", FRAME_KEEP, ERR_OK, " first\n b");
    CUT(&f, "a\n 345678901234567890\n b\nd\ne\n", FRAME_KEEP, ERR_OK, "a", " 345678901234567", "890", " b",
        "d");
    f.group_lines = 2;
    CUT(&f, "a\n b\n c\n d\ne\nf\n", FRAME_KEEP, ERR_OK, "a\n b", " c\n d", "e");
    f.group_lines = 100;
    f.group_bytes = 6;
    CUT(&f, "a\n b\n c\n d\ne\nf\n", FRAME_KEEP, ERR_OK, "a\n b", " c\n d", "e");
    f.group_bytes = 100;
    f.negate = true;
    CUT(&f, "+a\nb\nc\n+d\n+e\nf", FRAME_ALL, ERR_OK, "+a\nb\nc", "+d", "+e\nf");
    regfree(&f.pattern);
}

static void groups_before(void **state)
{
    (void)state;
    struct framing f = base();
    f.multiline = f.before = true;
    assert_int_equal(regcomp(&f.pattern, "\\\\$", REG_EXTENDED), 0);
    CUT(&f, "a\\\nb\\\nc\nd\ne\\\n", FRAME_KEEP, ERR_OK, "a\\\nb\\\nc", "d");
    CUT(&f, "a\\\nb\\\nc\nd\ne\\\n", FRAME_GROUP, ERR_OK, "a\\\nb\\\nc", "d", "e\\");
    f.negate = true;
    CUT(&f, "a\nb\\\nc\\\n", FRAME_KEEP, ERR_OK, "a\nb\\", "c\\");
    regfree(&f.pattern);
}

static void json(void **state)
{
    (void)state;
    struct framing f = base();
    f.mode = FRAME_JSON;
    f.line_max = 100;
    CUT(&f, "{}\n \n[1]\n", FRAME_KEEP, ERR_OK, "{}", "[1]");
    CUT(&f, "{}\n{\n[1]\n", FRAME_KEEP, ERR_INVALID_RECORD, "{}");
    f.bad_json = FRAME_BAD_SKIP;
    CUT(&f, "{}\n{\n[1]\n", FRAME_KEEP, ERR_OK, "{}", "[1]");
    f.bad_json = FRAME_BAD_STRING;
    CUT(&f, "{}\n{\"\n[\n[1]\n", FRAME_KEEP, ERR_OK, "{}", "\"{\\\"\"", "\"[\"", "[1]");
}

static void chunks(void **state)
{
    (void)state;
    struct framing f = base();
    f.mode = FRAME_RAW;
    struct result r = cut(&f, "123456789", 100, FRAME_KEEP, ERR_OK);
    assert_int_equal(r.count, 3);
    assert_string_equal(r.items[0], "1234");
    assert_string_equal(r.items[2], "9");
    for (size_t i = 0; i < r.count; i++)
        free(r.items[i]);
}

static void json_values(void **state)
{
    (void)state;
    static const char *const good[] = {
        "{}",
        "[]",
        " {\"a\":[1,2,{\"b\":null}],\"c\":\"\\u00e9\\n\"} ",
        "0",
        "-1.5e+10",
        "true",
        "false",
        "null",
        "\"\"",
        "[[[]]]",
        "{\"a\":{}}",
        "1E5",
        "[1 , 2]",
        "{ \"a\" : 1 }",
    };
    static const char *const bad[] = {
        "",     " ",       "{",         "[",          "}",     "]",       "{]",          "[}",
        "[1,]", "{\"a\"}", "{\"a\":}",  "{\"a\":1,}", "{a:1}", "01",      "1.",          ".5",
        "1e",   "-",       "tru",       "nul",        "\"",    "\"\\x\"", "\"\\u12g4\"", "\"\x01\"",
        "1 2",  "[1 2]",   "{\"a\" 1}", "\"\\",       "+1",    "'a'",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        if (!jtext_valid(good[i], strlen(good[i])))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (jtext_valid(bad[i], strlen(bad[i])))
            fail_msg("accepted: %s", bad[i]);
    uint8_t deep[2 * JTEXT_DEPTH_MAX + 2];
    memset(deep, '[', sizeof deep / 2);
    memset(deep + sizeof deep / 2, ']', sizeof deep / 2);
    assert_false(jtext_valid(deep, sizeof deep)); /* bounded */
    assert_true(jtext_valid(deep + 1, sizeof deep - 2));
}

static void names(void **state)
{
    (void)state;
    static const char *const rotated[][2] = {
        {"x.log.1", "x.log"},
        {"x.log.12.gz", "x.log"},
        {"x.log-20260101", "x.log"},
        {"x.log-2026-01-01", "x.log"},
        {"x.log.2026-01-01T10:00", "x.log"},
        {"x-20260101.log", "x.log"},
        {"x-20260101.log.gz", "x.log"},
        {"x.log.old", "x.log"},
        {"x.log.1.bak", "x.log"},
        {"x.log.gz", "x.log"},
        {"x.log-20260101-1700000000", "x.log"},
    };
    static const char *const live[] = {"x.log", "worker-1.log", "pod-0",    "app-12",
                                       "log4j", ".1",           "2026.log", "a.7z"};
    char out[256];
    for (size_t i = 0; i < sizeof(rotated) / sizeof(rotated[0]); i++) {
        assert_true(name_live(rotated[i][0], out));
        assert_string_equal(out, rotated[i][1]);
    }
    for (size_t i = 0; i < sizeof(live) / sizeof(live[0]); i++) {
        if (name_live(live[i], out))
            fail_msg("%s taken for a rotated %s", live[i], out);
        assert_string_equal(out, live[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),       cmocka_unit_test(lines_over_the_cap),
        cmocka_unit_test(groups),      cmocka_unit_test(groups_before),
        cmocka_unit_test(json),        cmocka_unit_test(chunks),
        cmocka_unit_test(json_values), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
