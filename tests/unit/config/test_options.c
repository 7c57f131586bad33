/*
 * Options from text: units, bounds, lists, what is printed, what is equal.
 */
#include <float.h>
#include "base/mem.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"

static const struct leat_option rows[] = {
    {.name = "text", .type = LEAT_STRING},
    {.name = "int", .type = LEAT_INT},
    {.name = "real", .type = LEAT_DOUBLE},
    {.name = "flag", .type = LEAT_BOOL},
    {.name = "list", .type = LEAT_LIST},
    {.name = "time", .type = LEAT_DURATION},
    {.name = "size", .type = LEAT_SIZE},
    {.name = "choice", .type = LEAT_CHOICE, .choices = "one|two|three", .default_value = "two"},
    {.name = "secret", .type = LEAT_STRING, .flags = LEAT_SECRET},
};

static struct leat_config *make(const char *name, const char *value, char *problem, size_t size)
{
    struct problems p;
    struct err e;
    const struct option_text item = {name, value};
    problems_init(&p);
    struct leat_config *c = options_new(rows, COUNT_OF(rows), &item, 1, &p, &e);
    snprintf(problem, size, "%s", p.count ? p.items[0].text : "");
    assert_true(c ? p.count == 0 : p.count > 0 && e.code == ERR_INVALID_CONFIG);
    problems_free(&p);
    return c;
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        int64_t value;
        const char *problem;
    } cases[] = {
        {"int", "0", 0, ""},
        {"int", "-7", -7, ""},
        {"int", "+7", 7, ""},
        {"int", "9223372036854775807", INT64_MAX, ""},
        {"int", "-9223372036854775808", INT64_MIN, ""},
        {"int", "9223372036854775808", 0, "\"int\": \"9223372036854775808\" is not a whole number"},
        {"int", "", 0, "\"int\": \"\" is not a whole number"},
        {"int", " 1", 0, "\"int\": \" 1\" is not a whole number"},
        {"int", "0x10", 0, "\"int\": \"0x10\" is not a whole number"},
        {"int", "1e3", 0, "\"int\": \"1e3\" is not a whole number"},
        {"time", "250", 250, ""},
        {"time", "250ms", 250, ""},
        {"time", "10s", 10000, ""},
        {"time", "5 m", 300000, ""},
        {"time", "1h", 3600000, ""},
        {"time", "7d", 604800000, ""},
        {"time", "-1", 0, "\"time\": \"-1\" is negative"},
        {"time", "1.5s", 0, "\"time\": \"1.5s\" is not a duration such as 500ms, 10s, 5m, 1h, 7d"},
        {"time", "106751991168d", 0,
         "\"time\": \"106751991168d\" is not a duration such as 500ms, 10s, 5m, 1h, 7d"},
        {"time", "s", 0, "\"time\": \"s\" is not a duration such as 500ms, 10s, 5m, 1h, 7d"},
        {"size", "4096", 4096, ""},
        {"size", "64KiB", 65536, ""},
        {"size", "5MiB", 5 << 20, ""},
        {"size", "1GiB", 1 << 30, ""},
        {"size", "2TiB", (int64_t)2 << 40, ""},
        {"size", "12B", 12, ""},
        {"size", "5MB", 0, "\"size\": \"5MB\" is not a size such as 4096, 64KiB, 5MiB, 1GiB"},
        {"size", "8388608TiB", 0, "\"size\": \"8388608TiB\" is not a size such as 4096, 64KiB, 5MiB, 1GiB"},
        {"choice", "one", 0, ""},
        {"choice", "three", 2, ""},
        {"choice", "Three", 2, ""},
        {"choice", "ONE", 0, ""},
        {"choice", "thre", 0, "\"choice\": \"thre\" is not known; did you mean \"three\"?"},
        {"choice", "", 0, "\"choice\": \"\" is none of one, two, three"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char problem[256];
        struct leat_config *c = make(cases[i].name, cases[i].text, problem, sizeof(problem));
        assert_string_equal(problem, cases[i].problem);
        if (c)
            assert_true(options_int(c, cases[i].name) == cases[i].value);
        options_free(c);
    }
}

static void test_doubles_and_flags(void **state)
{
    (void)state;
    char problem[256];
    static const char *const good[] = {
        "0", "-1.5", "1e300", "2.2250738585072014e-308", "0.1", "1.7976931348623157e308"};
    for (size_t i = 0; i < COUNT_OF(good); i++) {
        struct leat_config *c = make("real", good[i], problem, sizeof(problem));
        assert_non_null(c);
        assert_true(options_double(c, "real") == strtod(good[i], NULL));
        options_free(c);
    }
    static const char *const bad[] = {"", "x", "nan", "inf", "1e999", "0x1p3", "1,5"};
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_null(make("real", bad[i], problem, sizeof(problem)));
    assert_string_equal(problem, "\"real\": \"1,5\" is not a number");
    struct leat_config *c = make("flag", "TRUE", problem, sizeof(problem));
    assert_true(options_bool(c, "flag"));
    options_free(c);
    c = make("flag", "false", problem, sizeof(problem));
    assert_false(options_bool(c, "flag"));
    options_free(c);
    assert_null(make("flag", "on", problem, sizeof(problem)));
    assert_string_equal(problem, "\"flag\": \"on\" is neither true nor false");
}

/* Everything that YAML could trip over comes out as it went in. */
static void test_text(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        " ",
        "null",
        "~",
        "a: b # c",
        "\"quoted\" 'too' \\ back",
        "- x\n- y\n",
        "tab\there\r\n\x01\x7f",
        "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\x9f",
        "\xc2\x85\xe2\x80\xa8\xef\xbb\xbf\xef\xbf\xbe",
        "%TAG",
        "&a *b !c",
        "{[",
    };
    char problem[256];
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct leat_config *c = make("text", texts[i], problem, sizeof(problem));
        assert_non_null(c);
        assert_string_equal(options_str(c, "text"), texts[i]);
        options_free(c);
    }
    char *large = mem_alloc(1 << 20);
    memset(large, 'x', (1 << 20) - 1);
    large[(1 << 20) - 1] = '\0';
    struct leat_config *c = make("text", large, problem, sizeof(problem));
    assert_string_equal(options_str(c, "text"), large);
    options_free(c);
    assert_null(make("int", large, problem, sizeof(problem)));
    assert_int_equal(strlen(problem), strlen("\"int\": \"\" is not a whole number") + 90 + 3);
    mem_free(large);
    static const char *const invalid[] = {"\xff",     "\xc3",    "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                          "\xc0\x80", "\xe2\x82"};
    for (size_t i = 0; i < COUNT_OF(invalid); i++)
        assert_null(make("secret", invalid[i], problem, sizeof(problem)));
    assert_string_equal(problem, "\"secret\": *** is not UTF-8");
}

static void test_lists(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t n;
        const char *items[3];
    } cases[] = {
        {"", 0, {0}},  {"a", 1, {"a"}}, {"a,b", 2, {"a", "b"}}, {" a , b c ,,\n", 2, {"a", "b c"}},
        {",", 0, {0}},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char problem[256];
        const char *const *items;
        struct leat_config *c = make("list", cases[i].text, problem, sizeof(problem));
        assert_non_null(c);
        assert_int_equal(options_list(c, "list", &items), cases[i].n);
        for (size_t k = 0; k < cases[i].n; k++)
            assert_string_equal(items[k], cases[i].items[k]);
        options_free(c);
    }
}

static void test_several(void **state)
{
    (void)state;
    const struct option_text items[] = {
        {"int", "x"}, {"inz", "1"}, {"int", "2"}, {"zzzzzz", "1"}, {"flag", "?"}};
    struct problems p;
    struct err e;
    problems_init(&p);
    assert_null(options_new(rows, COUNT_OF(rows), items, COUNT_OF(items), &p, &e));
    assert_int_equal(p.count, 5);
    assert_string_equal(p.items[0].text, "unknown key \"inz\"; did you mean \"int\"?");
    assert_string_equal(p.items[1].text, "\"int\" is given twice");
    assert_string_equal(p.items[2].text, "unknown key \"zzzzzz\"");
    assert_string_equal(p.items[3].text, "\"int\": \"x\" is not a whole number");
    assert_string_equal(p.items[4].text, "\"flag\": \"?\" is neither true nor false");
    assert_string_equal(p.items[0].file, "");
    problems_free(&p);
}

static void test_table_mistake(void **state)
{
    (void)state;
    static const struct leat_option bad[] = {{.name = "n", .type = LEAT_INT, .default_value = "ten"}};
    struct problems p;
    struct err e;
    problems_init(&p);
    assert_null(options_new(bad, 1, NULL, 0, &p, &e));
    assert_int_equal(e.code, ERR_PLUGIN);
    assert_string_equal(e.text, "the default of option n, \"ten\", is not a whole number");
    assert_int_equal(p.count, 0);
    struct leat_config *c = options_new(NULL, 0, NULL, 0, &p, &e);
    assert_non_null(c);
    options_free(c);
    problems_free(&p);
}

static void test_print_and_equal(void **state)
{
    (void)state;
    setenv("LEAT_TEST_SECRET", "hunter2", 1);
    const struct option_text items[] = {
        {"time", "90s"},
        {"size", "1024"},
        {"text", " lead\n"},
        {"list", "a, b"},
        {"secret", "pw"},
        {"real", "0.250"},
        {"int", "${env:LEAT_TEST_SECRET}"},
        {"flag", "true"},
        {"choice", "one"},
    };
    struct option_text other[COUNT_OF(items)];
    struct problems p;
    struct err e;
    struct buf out;
    memcpy(other, items, sizeof(items));
    setenv("LEAT_TEST_SECRET", "42", 1);
    problems_init(&p);
    buf_init(&out, 4096);
    struct leat_config *a = options_new(rows, COUNT_OF(rows), items, COUNT_OF(items), &p, &e);
    assert_non_null(a);
    assert_int_equal(options_print(a, &out, &e), ERR_OK);
    assert_int_equal(buf_u8(&out, 0, &e), ERR_OK);
    assert_string_equal((char *)out.data,
                        "choice: one\nflag: true\nint: ***\nlist: [a, b]\nreal: 0.25\nsecret: ***\n"
                        "size: 1KiB\ntext: \" lead\\n\"\ntime: 90s\n");
    static const struct option_text same[] = {
        {"time", "90000"}, {"size", "1KiB"}, {"text", " lead\n"}, {"list", "a,b"},   {"secret", "pw"},
        {"real", "0.25"},  {"int", "42"},    {"flag", "true"},    {"choice", "one"},
    };
    struct leat_config *b = options_new(rows, COUNT_OF(rows), same, COUNT_OF(same), &p, &e);
    assert_true(options_equal(a, b));
    options_free(b);
    static const char *const changed[COUNT_OF(items)] = {"91s", "1025", "",      "a, c", "pW",
                                                         "0.5", "43",   "false", "two"};
    for (size_t i = 0; i < COUNT_OF(items); i++) {
        other[i].value = changed[i];
        b = options_new(rows, COUNT_OF(rows), other, COUNT_OF(other), &p, &e);
        assert_non_null(b);
        assert_false(options_equal(a, b));
        options_free(b);
        b = options_new(rows, COUNT_OF(rows), other, i, &p, &e);
        assert_false(options_equal(a, b));
        options_free(b);
        other[i].value = items[i].value;
    }
    options_free(a);
    buf_free(&out);
    problems_free(&p);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = {"flush.size", "rotate.interval.ms", "topic", "topics", "env", "file"};
    static const struct {
        const char *name, *near;
    } cases[] = {
        {"flsh.size", "flush.size"},
        {"FLUSH_SIZE", "flush.size"},
        {"flush-szie", "flush.size"},
        {"size", NULL},
        {"rotate.intervall", "rotate.interval.ms"},
        {"topc", "topic"},
        {"topis", "topic"},
        {"evn", "env"},
        {"", NULL},
        {"e", NULL},
        {"timestamp", NULL},
        {"field", NULL},
        {"start_offset", NULL},
        {"partition", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        const char *near = config_nearest(cases[i].name, names, COUNT_OF(names));
        if (!cases[i].near)
            assert_null(near);
        else
            assert_string_equal(near ? near : "(none)", cases[i].near);
    }
    char large[200];
    memset(large, 'a', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    assert_null(config_nearest(large, names, COUNT_OF(names)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_doubles_and_flags),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_table_mistake),
        cmocka_unit_test(test_print_and_equal),
        cmocka_unit_test(test_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
