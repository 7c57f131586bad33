/*
 * Names of files and objects.
 */
#include "kit/template.h"

#include "tests/lib/testkit.h"

static const struct template_values values = {.topic = "orders",
                                              .partition = 7,
                                              .start_offset = 42,
                                              .encoded_partition = "year=2025",
                                              .time_ms = 1763665263004, /* 2025-11-20T19:01:03.004Z */
                                              .connector = "web-out",
                                              .extension = ".json.gz"};

static void assert_formats(const char *text, const char *expected)
{
    struct err e;
    struct template *t;
    struct buf b;
    buf_init(&b, 4096);
    assert_ok(template_parse(text, NULL, &t, &e), &e);
    assert_ok(template_format(t, &values, &b, &e), &e);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
    template_free(t);
    buf_free(&b);
}

static void test_variables(void **state)
{
    (void)state;
    assert_formats("${topic}/${encoded_partition}/${topic}+${partition}+${start_offset:10}${extension}",
                   "orders/year=2025/orders+7+0000000042.json.gz");
    assert_formats("a$b$$c{d}$", "a$b$c{d}$");
    assert_formats("${yyyy}-${MM}-${dd}T${HH}.${mm}.${ss}", "2025-11-20T19.01.03");
    assert_formats("${timestamp:yyyy/DDD}|${timestamp}", "2025/324|20251120T190103");
    assert_formats("${connector}${partition:3}", "web-out007");
    assert_formats("{{topic}}-{{partition}}-{{start_offset}}", "orders-7-42");
    assert_formats("{{ topic }}-{{partition:padding=true}}-{{start_offset:padding=true}}",
                   "orders-0000000007-00000000000000000042");
    assert_formats("{{timestamp:unit=yyyy}}{{timestamp:unit=MM}}{{partition:padding=false}}", "2025117");
    assert_formats("plain", "plain");
}

static void assert_bad(const char *text, const char *why)
{
    struct err e;
    struct template *t;
    assert_code(template_parse(text, NULL, &t, &e), ERR_INVALID_CONFIG, &e);
    assert_string_equal(e.text, why);
    assert_null(t);
}

static void test_mistakes(void **state)
{
    (void)state;
    assert_bad("${topic", "no closing brace in \"${topic\"");
    assert_bad("x{{topic}", "no closing brace in \"x{{topic}\"");
    assert_bad("${}", "a name has no variable ''");
    assert_bad("${Topic}", "a name has no variable 'Topic'");
    assert_bad("${topic:3}", "'topic:3' in a name is not understood");
    assert_bad("${partition:}", "'partition:' in a name is not understood");
    assert_bad("${partition:x}", "'partition:x' in a name is not understood");
    assert_bad("${start_offset:21}", "'start_offset:21' in a name is not understood");
    assert_bad("{{partition:padding=maybe}}", "'partition:padding=maybe' in a name is not understood");
    assert_bad("${timestamp:zzz}", "pattern \"zzz\": letter 'z' is not supported");
    char many[65 * 6 + 1] = "";
    for (int i = 0; i < 65; i++)
        strcat(many, "${dd}x");
    assert_bad(many, "more than 64 parts in a name");
}

static void test_what_is_in_it(void **state)
{
    (void)state;
    struct err e;
    struct template *t;
    assert_ok(template_parse("${topic}{{timestamp:unit=dd}}", NULL, &t, &e), &e);
    assert_true(template_has(t, TEMPLATE_TOPIC));
    assert_true(template_has(t, TEMPLATE_TIME));
    assert_false(template_has(t, TEMPLATE_PARTITION));
    template_free(t);
}

static void test_zone(void **state)
{
    (void)state;
    struct err e;
    struct template *t;
    struct zone *zone;
    struct buf b;
    buf_init(&b, 4096);
    assert_ok(zone_load("Asia/Tokyo", &zone, &e), &e);
    assert_ok(template_parse("${dd}${HH}", zone, &t, &e), &e);
    assert_ok(template_format(t, &values, &b, &e), &e);
    assert_memory_equal(b.data, "2104", 4);
    template_free(t);
    zone_free(zone);
    buf_free(&b);
}

static void assert_layout(struct layout l, int64_t offset, const char *expected)
{
    struct err e;
    struct buf b;
    struct template_values v = values;
    v.start_offset = offset;
    buf_init(&b, 4096);
    assert_ok(layout_format(&l, &v, &b, &e), &e);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
    buf_free(&b);
}

static void test_confluent_layout(void **state)
{
    (void)state;
    assert_layout((struct layout){"topics", NULL, NULL, -1}, 42,
                  "topics/orders/year=2025/orders+7+0000000042");
    assert_layout((struct layout){"", NULL, NULL, -1}, 0, "orders/year=2025/orders+7+0000000000");
    assert_layout((struct layout){NULL, "-", "_", 3}, 123456789012, "orders-year=2025-orders_7_123456789012");
    assert_layout((struct layout){"t", NULL, NULL, 0}, 5, "t/orders/year=2025/orders+7+5");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_variables),        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_what_is_in_it),    cmocka_unit_test(test_zone),
        cmocka_unit_test(test_confluent_layout),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
