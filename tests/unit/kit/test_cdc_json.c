/* cdc_json: strings as Kafka Connect's JsonConverter (Jackson) writes them; spellings as in tests/data/debezium. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kit/cdc/cdc_json.h"

static struct buf out;
static struct err e;

static void expect(const char *text, size_t n, const char *json)
{
    buf_reset(&out);
    assert_int_equal(cdc_json_string(&out, text, n, &e), ERR_OK);
    assert_int_equal(out.len, strlen(json));
    assert_memory_equal(out.data, json, out.len);
}

static void spelling(void **state)
{
    (void)state;
    expect("", 0, "\"\"");
    expect(NULL, 0, "\"\"");
    expect("plain ASCII of more than sixteen bytes", 38, "\"plain ASCII of more than sixteen bytes\"");
    expect("gr\xc3\xbc\xc3\x9f"
           "e \xe6\xbc\xa2\xe5\xad\x97 \xf0\x9f\x98\x80",
           19,
           "\"gr\xc3\xbc\xc3\x9f"
           "e \xe6\xbc\xa2\xe5\xad\x97 \\uD83D\\uDE00\"");
    expect("{\"a\": 1}", 8, "\"{\\\"a\\\": 1}\"");
    expect("a\\b/c", 5, "\"a\\\\b/c\"");
    expect("\b\t\n\f\r\v\0\x1f\x7f", 9, "\"\\b\\t\\n\\f\\r\\u000B\\u0000\\u001F\x7f\"");
    expect("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, "\"\\uD800\\uDC00\\uDBFF\\uDFFF\"");
}

/* An escape at each place of a run, beside each of the others. */
static void places(void **state)
{
    (void)state;
    for (size_t at = 0; at < 40; at++) {
        char text[40], json[48] = "\"";
        memset(text, 'x', sizeof(text));
        text[at] = '\n';
        memset(json + 1, 'x', 41);
        memcpy(json + 1 + at, "\\n", 2);
        strcpy(json + 42, "\"");
        expect(text, sizeof(text), json);
    }
}

static void no_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {"abc\xff",          "\xc3",     "\xed\xa0\x80", "\xc0\x80",
                                      "\xf4\x90\x80\x80", "a\xe6\xbc"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        buf_reset(&out);
        assert_int_equal(buf_str(&out, "before", &e), ERR_OK);
        assert_int_equal(cdc_json_string(&out, bad[i], strlen(bad[i]), &e), ERR_INVALID_RECORD);
        assert_int_equal(out.len, 6);
    }
}

static void cap(void **state)
{
    (void)state;
    struct buf small;
    buf_init(&small, 64);
    char text[60];
    memset(text, '\n', sizeof(text));
    assert_int_equal(cdc_json_string(&small, text, sizeof(text), &e), ERR_TOO_LARGE);
    assert_int_equal(small.len, 0);
    buf_free(&small);
}

int main(void)
{
    buf_init(&out, 1 << 20);
    const struct CMUnitTest tests[] = {cmocka_unit_test(spelling), cmocka_unit_test(places),
                                       cmocka_unit_test(no_utf8), cmocka_unit_test(cap)};
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    buf_free(&out);
    return rc;
}
