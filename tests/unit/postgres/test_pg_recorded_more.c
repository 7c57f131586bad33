/*
 * Types, defaults, fallbacks and placeholders that the recorded cases do not have: tests/data/debezium-more, one database under five
 * sets of modes; see pg_recorded.h.
 */
#include "pg_recorded.h"
#include "pg_recorded_more.h"

#define DATA "tests/data/debezium-more"

static const char *unchanged_of(const struct cdc_column *c)
{
    /* These came, or are not TOASTed. */
    static const char *const sent[] = {"n", "num", "num82", NULL};
    for (size_t i = 0; sent[i]; i++) {
        if (strcmp(c->name, sent[i]) == 0)
            return NULL;
    }
    return c->unchanged;
}

/* The update of a row whose large values stay. */
static void compare_unchanged(struct recorded *r, const char *line, size_t n, const char *line_end,
                              bool values)
{
    struct jtext_token after;
    compare_event(r, line, n, line_end, values);
    assert_true(jtext_find(line, n, "value.payload.after", &after));
    compare_texts(r, after.p, after.n, "unchanged", unchanged_of);
}

static void compare_table(const char *modes, const char *prefix, const char *table, bool values)
{
    char name[64];
    snprintf(name, sizeof(name), "types_more_%s", modes);
    struct recorded r = {
        .dir = DATA, .name = name, .sql_name = "types_more", .prefix = prefix, .table = table};
    open_case(&r);
    compare_events(&r, strcmp(table, "toasty") == 0 ? compare_unchanged : compare_event, values);
    close_case(&r);
}

static void compare_modes(const char *modes, const char *prefix)
{
    compare_table(modes, prefix, "more", true);
    compare_table(modes, prefix, "defs", false);   /* its values are of the moment */
    compare_table(modes, prefix, "absent", false); /* its row is deleted */
    compare_table(modes, prefix, "toasty", false);
}

static void test_default(void **state)
{
    (void)state;
    run_case_sql(DATA, "types_more");
    compare_modes("default", "d0");
}

static void test_string(void **state)
{
    (void)state;
    compare_modes("string", "m1");
}

static void test_double(void **state)
{
    (void)state;
    compare_modes("double", "m2");
}

static void test_connect(void **state)
{
    (void)state;
    compare_modes("connect", "m3");
}

static void test_microseconds(void **state)
{
    (void)state;
    compare_modes("microseconds", "m4");
}

int main(void)
{
    differences = listed;
    server = postgres_new(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_default),      cmocka_unit_test(test_string),
        cmocka_unit_test(test_double),       cmocka_unit_test(test_connect),
        cmocka_unit_test(test_microseconds), cmocka_unit_test(test_every_difference_was_met),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_free(server);
    return rc;
}
