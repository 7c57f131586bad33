/*
 * Signals out of their JSON, and the stored state of incremental snapshots.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "connectors/postgres/pg_incremental.h"

/* ---- signals ------------------------------------------------------------------------------------------------------ */

static void test_execute(void **state)
{
    struct pg_signal s;
    struct err e;
    (void)state;
    assert_int_equal(
        pg_signal_parse("execute-snapshot",
                        "{\"type\":\"INCREMENTAL\",\"data-collections\":[\"public.a\",\"b.*\"],"
                        "\"additional-conditions\":[{\"data-collection\":\"public.a\",\"filter\":"
                        "\"x > 1\"}],\"surrogate-key\":\"s\"}",
                        &s, &e),
        ERR_OK);
    assert_int_equal(s.kind, PG_SIGNAL_EXECUTE);
    assert_false(s.blocking);
    assert_int_equal(s.collection_count, 2);
    assert_string_equal(s.collections[1], "b.*");
    assert_int_equal(s.condition_count, 1);
    assert_string_equal(s.conditions[0].collection, "public.a");
    assert_string_equal(s.conditions[0].filter, "x > 1");
    assert_string_equal(s.surrogate_key, "s");
    pg_signal_clear(&s);
}

static void test_shorter_forms(void **state)
{
    struct pg_signal s;
    struct err e;
    (void)state;
    assert_int_equal(
        pg_signal_parse("execute-snapshot", "{\"type\":\"blocking\",\"data-collections\":[\"a.b\"]}", &s, &e),
        ERR_OK);
    assert_true(s.blocking);
    assert_null(s.surrogate_key);
    pg_signal_clear(&s);
    /* The type's default, and a condition of the older form, for all. */
    assert_int_equal(pg_signal_parse("execute-snapshot",
                                     "{\"data-collections\":[\"a.b\"],\"additional-condition\":\"x=1\"}", &s,
                                     &e),
                     ERR_OK);
    assert_false(s.blocking);
    assert_string_equal(s.conditions[0].collection, ".*");
    assert_string_equal(s.conditions[0].filter, "x=1");
    pg_signal_clear(&s);
    assert_int_equal(pg_signal_parse("stop-snapshot", NULL, &s, &e), ERR_OK);
    assert_int_equal(s.collection_count, 0);
    assert_int_equal(pg_signal_parse("stop-snapshot", "{\"type\":\"INCREMENTAL\"}", &s, &e), ERR_OK);
    assert_int_equal(s.collection_count, 0);
    pg_signal_clear(&s);
    assert_int_equal(pg_signal_parse("pause-snapshot", "", &s, &e), ERR_OK);
    assert_int_equal(s.kind, PG_SIGNAL_PAUSE);
    assert_int_equal(pg_signal_parse("log", "{\"message\":\"at {}\"}", &s, &e), ERR_OK);
    assert_string_equal(s.message, "at {}");
    pg_signal_clear(&s);
    assert_int_equal(pg_signal_parse("snapshot-window-close", "whatever", &s, &e), ERR_OK);
    assert_int_equal(s.kind, PG_SIGNAL_WINDOW_CLOSE);
}

static void test_refused(void **state)
{
    static const struct {
        const char *type, *data, *says;
        int code;
    } cases[] = {
        {"execute", "{}", "execute", ERR_UNSUPPORTED},
        {"execute-snapshot", NULL, "JSON", ERR_INVALID},
        {"execute-snapshot", "{", "byte", ERR_INVALID},
        {"execute-snapshot", "[]", "object", ERR_INVALID},
        {"execute-snapshot", "{}", "data-collections", ERR_INVALID},
        {"execute-snapshot", "{\"data-collections\":\"a.b\"}", "list", ERR_INVALID},
        {"execute-snapshot", "{\"data-collections\":[\"a.b\",7]}", "item 2", ERR_INVALID},
        {"execute-snapshot", "{\"type\":\"FULL\",\"data-collections\":[\"a.b\"]}", "FULL", ERR_INVALID},
        {"execute-snapshot", "{\"data-collections\":[\"a\"],\"additional-conditions\":[{\"filter\":\"x\"}]}",
         "data-collection", ERR_INVALID},
        {"execute-snapshot", "{\"data-collections\":[\"a\"],\"additional-conditions\":{}}",
         "additional-conditions", ERR_INVALID},
        {"log", "{\"message\":1}", "message", ERR_INVALID},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pg_signal s;
        struct err e;
        assert_int_equal(pg_signal_parse(cases[i].type, cases[i].data, &s, &e), cases[i].code);
        assert_non_null(strstr(e.text, cases[i].says));
    }
}

/* ---- what is stored ------------------------------------------------------------------------------------------------ */

static char *stored; /* as a host would keep it */

static const char *get_str(const struct leat_config *c, const char *name)
{
    (void)c;
    return strcmp(name, "topic.prefix") == 0 ? "pre\"fix" : NULL;
}

static int set_position(struct leat_task *t, const char *partition, const char *offset)
{
    (void)t;
    assert_string_equal(partition, "{\"server\":\"pre\\\"fix\",\"incremental\":\"queue\"}");
    free(stored);
    stored = strdup(offset);
    return LEAT_OK;
}

static const char *get_position(struct leat_task *t, const char *partition)
{
    (void)t;
    (void)partition;
    return stored;
}

static const struct leat_host host = {
    .get_str = get_str, .set_position = set_position, .get_position = get_position};

static void test_state_is_kept(void **state)
{
    struct pg_task t = {.host = &host};
    struct inc_table second = {.id = (char *)(uintptr_t) "public.b"},
                     first = {&second, (char *)(uintptr_t) "public.a", (char *)(uintptr_t) "x = '\"'"};
    struct inc_request blocking = {.id = (char *)(uintptr_t) "two", .blocking = true},
                       request = {&blocking, (char *)(uintptr_t) "one", false,
                                  true,      (char *)(uintptr_t) "k",   &first};
    struct inc_state s = {.requests = &request, .paused = true}, back;
    struct err e;
    (void)state;
    s.progress = (struct inc_progress){.n = 2, .rows = 17};
    s.progress.last[0] = (char *)(uintptr_t) "1";
    s.progress.last[1] = (char *)(uintptr_t) "x,\xc3\xa9";
    s.progress.max[0] = (char *)(uintptr_t) "9";
    s.progress.max[1] = (char *)(uintptr_t) "";
    assert_int_equal(inc_state_store(&t, &s), LEAT_OK);
    assert_int_equal(inc_state_load(&t, &back, &e), ERR_OK);
    assert_string_equal(back.requests->id, "one");
    assert_true(back.requests->started);
    assert_string_equal(back.requests->surrogate, "k");
    assert_string_equal(back.requests->tables->condition, "x = '\"'");
    assert_string_equal(back.requests->tables->next->id, "public.b");
    assert_null(back.requests->tables->next->next);
    assert_true(back.requests->next->blocking);
    assert_null(back.requests->next->next);
    assert_int_equal(back.progress.n, 2);
    assert_int_equal(back.progress.rows, 17);
    assert_string_equal(back.progress.last[1], "x,\xc3\xa9");
    assert_string_equal(back.progress.max[1], "");
    assert_true(back.paused);
    inc_state_clear(&back);
    free(stored);
    stored = NULL;
}

static void test_foreign_state_is_refused(void **state)
{
    static const char *const texts[] = {
        "{\"state\":7}",
        "{\"state\":\"x\"}",
        "{\"state\":\"{\\\"requests\\\":[{}]}\"}",
        "{\"state\":\"{\\\"requests\\\":[{\\\"id\\\":\\\"a\\\",\\\"tables\\\":[{}]}]}\"}",
        "{\"state\":\"{\\\"last\\\":[\\\"1\\\"],\\\"max\\\":[]}\"}",
        "{\"state\":\"{\\\"max\\\":[1]}\"}",
    };
    struct pg_task t = {.host = &host};
    struct inc_state back;
    struct err e;
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        stored = strdup(texts[i]);
        assert_int_equal(inc_state_load(&t, &back, &e), ERR_CORRUPT);
        assert_null(back.requests);
        free(stored);
        stored = NULL;
    }
}

/* ---- windows ------------------------------------------------------------------------------------------------------ */

static void test_whom_a_window_concerns(void **state)
{
    uint32_t running[] = {UINT32_MAX - 1, 2};
    struct inc_window w = {.low_xmin = (UINT64_C(7) << 32) - 2, /* across the end of 32 bits */
                           .low_xmax = (UINT64_C(7) << 32) + 4,
                           .low_running = running,
                           .low_count = 2};
    (void)state;
    assert_false(inc_window_concerns(&w, UINT32_MAX - 2)); /* older than all that ran */
    assert_true(inc_window_concerns(&w, UINT32_MAX - 1));
    assert_false(inc_window_concerns(&w, UINT32_MAX));
    assert_true(inc_window_concerns(&w, 2));
    assert_false(inc_window_concerns(&w, 3));
    assert_true(inc_window_concerns(&w, 4)); /* began later */
    w.open = true;
    assert_true(inc_window_concerns(&w, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_execute),
        cmocka_unit_test(test_shorter_forms),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_state_is_kept),
        cmocka_unit_test(test_foreign_state_is_refused),
        cmocka_unit_test(test_whom_a_window_concerns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
