/*
 * Rows whose names have variable parts: what they match, what is read of them, which name is near.
 */
#include <errno.h>

#include "base/mem.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"

static const struct leat_option rows[] = {
    {.name = "plain", .type = LEAT_STRING, .default_value = "p"},
    {.name = "hash.*.salt.*", .type = LEAT_LIST},
    {.name = "hash.v2.*.salt.*", .type = LEAT_LIST},
    {.name = "driver.*", .type = LEAT_STRING, .flags = LEAT_SECRET},
    {.name = "wait.*", .type = LEAT_DURATION},
    {.name = "kind.*", .type = LEAT_CHOICE, .choices = "one|two"},
    {.name = "driver.known", .type = LEAT_STRING},
};

static struct leat_config *make(const struct option_text *items, size_t n)
{
    struct problems p;
    struct err e;
    problems_init(&p);
    struct leat_config *c = options_new(rows, COUNT_OF(rows), items, n, &p, &e);
    if (c == NULL)
        fail_msg("%s", p.count ? p.items[0].text : e.text);
    problems_free(&p);
    return c;
}

static void test_matches(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"a.*", "a.b", true},
        {"a.*", "a.b.c", true},
        {"a.*", "a.", false},
        {"a.*", "a", false},
        {"a.*", "ba.c", false},
        {"a.*.b", "a.x.b", true},
        {"a.*.b", "a.b.b.b", true},
        {"a.*.b", "a..b", false},
        {"a.*.b", "a.x.bc", false},
        {"a.*.b.*", "a.x.b.b.y", true},
        {"a.*.b.*", "a.b.b.b", true},
        {"a.*.b.*", "a.x.b.", false},
        {"a.*.b.*", "a..b.b.b.", true},
        {"*", "", false},
        {"a", "a", true},
        {"a", "*", false},
        {"a.*", "a.*", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (pattern_matches(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("%s and %s", cases[i].pattern, cases[i].name);
}

static void test_the_row_that_knows_most(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"hash.md5.salt.x", "hash.*.salt.*"}, {"hash.v2.md5.salt.x", "hash.v2.*.salt.*"},
        {"hash.v2.salt.x", "hash.*.salt.*"},  {"driver.known", "driver.known"},
        {"driver.knowns", "driver.*"},        {"plain", "plain"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        assert_string_equal(option_find(rows, COUNT_OF(rows), cases[i][0])->name, cases[i][1]);
    assert_null(option_find(rows, COUNT_OF(rows), "hash.md5.salt"));
}

static void test_like(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"mask.with.*.chars", "msak.with.5.chars", "mask.with.5.chars"},
        {"mask.*", "mask.a.b.c", "mask.a.b.c"},
        {"hash.*.salt.*", "hsah.md5.salt.x.y", "hash.md5.salt.x.y"},
        {"mask.with.*.chars", "mask", "mask.with.*.chars"},
        {"plain", "a.b.c", "plain"},
        {"a.*", "", "a.*"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        char *like = pattern_like(cases[i][0], cases[i][1]);
        assert_string_equal(like, cases[i][2]);
        mem_free(like);
    }
}

static void test_regex(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    buf_init(&out, 256);
    assert_ok(pattern_regex("hash.*.salt.*", &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_string_equal((const char *)out.data, "^hash\\..+\\.salt\\..+$");
    buf_free(&out);
}

static const struct option_text given[] = {
    {"wait.long", "2m"}, {"hash.v2.md5.salt.x", " a , b"}, {"plain", "q"}, {"driver.key", "top"},
    {"kind.of", "two"},  {"driver.known", "said"},
};

static void test_read(void **state)
{
    (void)state;
    struct leat_config *c = make(given, COUNT_OF(given));
    static const char *const expected[][2] = {
        {"driver.key", "top"}, {"hash.v2.md5.salt.x", " a , b"}, {"kind.of", "two"}, {"wait.long", "2m"}};
    size_t cursor = 0;
    const char *name, *value;
    for (size_t i = 0; i < COUNT_OF(expected); i++) {
        assert_true(options_next(c, &cursor, &name, &value));
        assert_string_equal(name, expected[i][0]);
        assert_string_equal(value, expected[i][1]);
    }
    assert_false(options_next(c, &cursor, &name, &value));
    const char *const *items;
    assert_int_equal(options_list(c, "hash.v2.md5.salt.x", &items), 2);
    assert_string_equal(items[0], "a");
    assert_string_equal(items[1], "b");
    assert_int_equal(options_int(c, "wait.long"), 120000);
    assert_string_equal(options_str(c, "kind.of"), "two");
    assert_string_equal(options_str(c, "plain"), "q");
    assert_string_equal(options_str(c, "driver.known"), "said");
    assert_true(options_is_set(c, "driver.key"));
    assert_false(options_is_set(c, "driver.other")); /* of a pattern, not given */
    assert_null(options_str(c, "driver.other"));
    struct buf out;
    struct err e;
    buf_init(&out, 4096);
    assert_ok(options_print(c, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_string_equal((const char *)out.data,
                        "driver.key: ***\ndriver.known: said\nhash.v2.md5.salt.x: [a, b]\nkind.of: two\n"
                        "plain: q\nwait.long: 2m\n");
    buf_free(&out);
    options_free(c);
}

static void test_equal_whatever_the_order(void **state)
{
    (void)state;
    struct option_text turned[COUNT_OF(given)];
    for (size_t i = 0; i < COUNT_OF(given); i++)
        turned[i] = given[COUNT_OF(given) - 1 - i];
    struct leat_config *a = make(given, COUNT_OF(given)), *b = make(turned, COUNT_OF(turned)),
                       *less = make(given, COUNT_OF(given) - 2);
    assert_true(options_equal(a, b));
    assert_false(options_equal(a, less));
    options_free(a);
    options_free(b);
    options_free(less);
    turned[2].value = "other";
    b = make(turned, COUNT_OF(turned));
    a = make(given, COUNT_OF(given));
    assert_false(options_equal(a, b));
    options_free(a);
    options_free(b);
}

static void test_problems(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"wait.long", "soon", "\"wait.long\": \"soon\" is not a duration such as 500ms, 10s, 5m, 1h, 7d"},
        {"wiat.long", "1s", "unknown key \"wiat.long\"; did you mean \"wait.long\"?"},
        {"hash.md5.slat.x", "a", "unknown key \"hash.md5.slat.x\"; did you mean \"hash.md5.salt.x\"?"},
        {"kind.of", "tow", "\"kind.of\": \"tow\" is not known; did you mean \"two\"?"},
        {"nothing.like", "a", "unknown key \"nothing.like\""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct problems p;
        struct err e;
        const struct option_text item = {cases[i][0], cases[i][1]};
        problems_init(&p);
        assert_null(options_new(rows, COUNT_OF(rows), &item, 1, &p, &e));
        assert_int_equal(p.count, 1);
        assert_string_equal(p.items[0].text, cases[i][2]);
        problems_free(&p);
    }
}

static void once_with_fault(void *arg)
{
    struct problems p;
    struct err e;
    (void)arg;
    problems_init(&p);
    struct leat_config *c = options_new(rows, COUNT_OF(rows), given, COUNT_OF(given), &p, &e);
    assert_true(c != NULL || e.code == ERR_NO_MEMORY);
    options_free(c);
    const struct option_text wrong = {"hash.md5.slat.x", "a"};
    c = options_new(rows, COUNT_OF(rows), &wrong, 1, &p, &e);
    assert_null(c);
    problems_free(&p);
}

static void test_failed_allocations(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once_with_fault, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_matches),  cmocka_unit_test(test_the_row_that_knows_most),
        cmocka_unit_test(test_like),     cmocka_unit_test(test_regex),
        cmocka_unit_test(test_read),     cmocka_unit_test(test_equal_whatever_the_order),
        cmocka_unit_test(test_problems), cmocka_unit_test(test_failed_allocations),
    };
    return cmocka_run_group_tests_name("patterns", tests, NULL, NULL);
}
