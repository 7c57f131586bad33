/*
 * What changes become: envelopes, keys, tombstones, changed keys, values that are not there, failures.
 */
#include "tests/unit/kit/cdc_rig.h"

static void test_insert_update_delete(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    assert_string_equal(cdc_table_topic(t), "px.public.t");
    rig_do(t, 'c', NULL, ROW("1", "x\"y"), NULL);
    rig_do(t, 'u', ROW("1", "x\"y"), ROW("1", NULL), NULL);
    rig_do(t, 'd', ROW("1", RIG_ABSENT), NULL, NULL);
    rig_do(t, 'r', NULL, ROW("2", "z"), NULL);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "null", "{\"id\":1,\"a\":\"x\\\"y\"}", "c"), CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "{\"id\":1,\"a\":\"x\\\"y\"}", "{\"id\":1,\"a\":null}", "u"), CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "{\"id\":1,\"a\":null}", "null", "d"), CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}", NULL, CONTEXT);
    rig_expect("px.public.t", "{\"id\":2}", EVENT("t", "null", "{\"id\":2,\"a\":\"z\"}", "r"), CONTEXT);
    rig_expect_no_more();
    assert_int_equal(rig.records[0].partition, -1);
    assert_int_equal(rig.records[0].timestamp, -1);
    cdc_table_free(t);
}

static void test_a_changed_key_is_a_delete_and_a_create(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string!");
    rig_do(t, 'u', NULL, ROW("2", "x"), ROW("1", RIG_ABSENT));
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "{\"id\":1,\"a\":\"\"}", "null", "d"),
               "__debezium.newkey={\"id\":2};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}", NULL, "__debezium.newkey={\"id\":2};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":2}", EVENT("t", "null", "{\"id\":2,\"a\":\"x\"}", "c"),
               "__debezium.oldkey={\"id\":1};" CONTEXT);
    /* The whole row as it was (REPLICA IDENTITY FULL) does as well, and is the delete's image. */
    rig_do(t, 'u', ROW("2", "x"), ROW("3", "y"), NULL);
    rig_expect("px.public.t", "{\"id\":2}", EVENT("t", "{\"id\":2,\"a\":\"x\"}", "null", "d"),
               "__debezium.newkey={\"id\":3};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":2}", NULL, "__debezium.newkey={\"id\":3};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":3}", EVENT("t", "null", "{\"id\":3,\"a\":\"y\"}", "c"),
               "__debezium.oldkey={\"id\":2};" CONTEXT);
    /* Where the old key comes beside the row as it was, the row is the image. */
    rig_do(t, 'u', ROW("3", "y"), ROW("4", "y"), ROW("3", RIG_ABSENT));
    rig_expect("px.public.t", "{\"id\":3}", EVENT("t", "{\"id\":3,\"a\":\"y\"}", "null", "d"),
               "__debezium.newkey={\"id\":4};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":3}", NULL, "__debezium.newkey={\"id\":4};" CONTEXT);
    rig_expect("px.public.t", "{\"id\":4}", EVENT("t", "null", "{\"id\":4,\"a\":\"y\"}", "c"),
               "__debezium.oldkey={\"id\":3};" CONTEXT);
    /* A key that was written and is the same is an update. */
    rig_do(t, 'u', NULL, ROW("3", "z"), ROW("3", RIG_ABSENT));
    rig_expect("px.public.t", "{\"id\":3}", EVENT("t", "null", "{\"id\":3,\"a\":\"z\"}", "u"), CONTEXT);
    rig_expect_no_more();
    cdc_table_free(t);
}

static void test_an_identity_without_the_key(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "code:string!");
    rig_do(t, 'u', NULL, ROW("1", "bb"), ROW(RIG_ABSENT, "aa"));
    rig_do(t, 'd', ROW(RIG_ABSENT, "bb"), NULL, NULL);
    rig_do(t, 'd', ROW(RIG_ABSENT, "cc"), NULL, NULL);
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "{\"id\":0,\"code\":\"aa\"}", "{\"id\":1,\"code\":\"bb\"}", "u"), CONTEXT);
    rig_expect("px.public.t", NULL, EVENT("t", "{\"id\":0,\"code\":\"bb\"}", "null", "d"), CONTEXT);
    rig_expect("px.public.t", NULL, EVENT("t", "{\"id\":0,\"code\":\"cc\"}", "null", "d"), CONTEXT);
    rig_expect_no_more();
    assert_int_equal(rig.warnings, 1);
    assert_non_null(strstr(rig.log_text, "ALTER TABLE public.t REPLICA IDENTITY FULL"));
    cdc_table_free(t);
}

static void test_a_table_without_key(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "a:int32");
    assert_false(cdc_table_has_key(t));
    rig_do(t, 'c', NULL, ROW("1"), NULL);
    rig_do(t, 'd', ROW("1"), NULL, NULL);
    rig_expect("px.public.t", NULL, EVENT("t", "null", "{\"a\":1}", "c"), CONTEXT);
    rig_expect("px.public.t", NULL, EVENT("t", "{\"a\":1}", "null", "d"), CONTEXT);
    rig_expect_no_more();
    assert_int_equal(rig.warnings, 0);
    cdc_table_free(t);
}

static void test_values_that_are_not_there(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "n:int32=5", "m:int32!");
    /* NULL shows the default; what did not change shows its placeholder, or the old value where there is one. */
    rig_do(t, 'u', NULL, ROW("1", RIG_UNCHANGED, NULL, RIG_UNCHANGED), NULL);
    rig_do(t, 'u', ROW("1", "old", NULL, "9"), ROW("1", RIG_UNCHANGED, "6", RIG_UNCHANGED), NULL);
    rig_do(t, 'd', ROW("1", RIG_ABSENT, RIG_ABSENT, RIG_ABSENT), NULL, NULL);
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "null", "{\"id\":1,\"a\":\"__debezium_unavailable_value\",\"n\":5,\"m\":-1}", "u"),
               CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "{\"id\":1,\"a\":\"old\",\"n\":5,\"m\":9}",
                     "{\"id\":1,\"a\":\"old\",\"n\":6,\"m\":9}", "u"),
               CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "{\"id\":1,\"a\":null,\"n\":5,\"m\":0}", "null", "d"),
               CONTEXT);
    cdc_table_free(t);
}

/* A key that is stored out of line and did not change comes with the old key, and is no change of it. */
static void test_an_unchanged_key_is_taken_from_the_old_one(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "k:string!", "a:int32");
    rig_do(t, 'u', NULL, ROW(RIG_UNCHANGED, "2"), ROW("long", RIG_ABSENT));
    rig_expect("px.public.t", "{\"k\":\"long\"}", EVENT("t", "null", "{\"k\":\"long\",\"a\":2}", "u"),
               CONTEXT);
    rig_expect_no_more();
    cdc_table_free(t);
}

static void test_truncates_and_skipped_operations(void **state)
{
    (void)state;
    rig_set("skipped.operations", "u,d");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    rig_do(t, 't', NULL, NULL, NULL);
    rig_do(t, 'u', NULL, ROW("2"), ROW("1"));
    rig_do(t, 'd', ROW("1"), NULL, NULL);
    rig_do(t, 'c', NULL, ROW("1"), NULL);
    rig_expect("px.public.t", NULL, EVENT("t", "null", "null", "t"), CONTEXT);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "null", "{\"id\":1}", "c"), CONTEXT);
    rig_expect_no_more();
    cdc_table_free(t);
}

/* The delete that a changed key becomes is not what skipped.operations means. */
static void test_a_changed_key_passes_where_deletes_are_skipped(void **state)
{
    (void)state;
    rig_set("skipped.operations", "d");
    rig_set("tombstones.on.delete", "false");
    rig_set("extended.headers.enabled", "false");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    rig_do(t, 'u', NULL, ROW("2"), ROW("1"));
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "{\"id\":1}", "null", "d"),
               "__debezium.newkey={\"id\":2};");
    rig_expect("px.public.t", "{\"id\":2}", EVENT("t", "null", "{\"id\":2}", "c"),
               "__debezium.oldkey={\"id\":1};");
    rig_expect_no_more();
    cdc_table_free(t);
}

static void test_updates_that_change_nothing(void **state)
{
    (void)state;
    rig_set("skip.messages.without.change", "true");
    rig_set("column.exclude.list", "public.t.secret,public.u.id");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "secret:string");
    rig_do(t, 'u', ROW("1", "x", "s"), ROW("1", "x", "other"), NULL);
    rig_do(t, 'u', ROW("1", "x", "s"), ROW("1", RIG_UNCHANGED, "other"), NULL);
    rig_expect_no_more();
    rig_do(t, 'u', ROW("1", "x", "s"), ROW("1", "xx", "s"), NULL);
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "{\"id\":1,\"a\":\"x\"}", "{\"id\":1,\"a\":\"xx\"}", "u"), CONTEXT);
    rig_do(t, 'u', ROW("1", NULL, "s"), ROW("1", "", "s"), NULL);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "{\"id\":1,\"a\":null}", "{\"id\":1,\"a\":\"\"}", "u"),
               CONTEXT);
    /* A key that changed is a change, though it is not among the columns. */
    struct cdc_table *other = rig_table("u", 1, "id:int32!", "a:string");
    rig_do(other, 'u', ROW("1", "x"), ROW("2", "x"), NULL);
    rig_expect("px.public.u", "{\"id\":1}", EVENT("u", "{\"a\":\"x\"}", "null", "d"),
               "__debezium.newkey={\"id\":2};" CONTEXT);
    rig_expect("px.public.u", "{\"id\":1}", NULL, "__debezium.newkey={\"id\":2};" CONTEXT);
    rig_expect("px.public.u", "{\"id\":2}", EVENT("u", "null", "{\"a\":\"x\"}", "c"),
               "__debezium.oldkey={\"id\":1};" CONTEXT);
    cdc_table_free(other);
    /* Without the row as it was nothing can be said. */
    rig_do(t, 'u', NULL, ROW("1", "xx", "s"), NULL);
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "null", "{\"id\":1,\"a\":\"xx\"}", "u"), CONTEXT);
    rig_expect_no_more();
    cdc_table_free(t);
}

/* ---- failures --------------------------------------------------------------------------------------------------------------- */

static void test_a_bad_value_fails_the_task(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "n:int32");
    rig_do(t, 'c', NULL, ROW("1", "1"), NULL);
    struct cdc_change ch = rig_change(t, 'u', NULL, ROW("2", "bad"), ROW("1", RIG_ABSENT));
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_string_equal(rig.fail_text,
                        "public.t, op u at \"[null,\\\"100\\\"]\": column n: \"bad\" is no number");
    /* The delete that was written before the value was seen is gone, too. */
    rig_expect("px.public.t", "{\"id\":1}", EVENT("t", "null", "{\"id\":1,\"n\":1}", "c"), CONTEXT);
    rig_expect_no_more();
    cdc_table_free(t);
}

static void test_a_bad_value_is_left_out_if_told_so(void **state)
{
    (void)state;
    rig_set("event.processing.failure.handling.mode", "warn");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    rig_do(t, 'c', NULL, ROW("bad"), NULL);
    rig_do(t, 'c', NULL, ROW("2"), NULL);
    assert_string_equal(rig.log_text,
                        "a change is left out: public.t, op c at \"[null,\\\"100\\\"]\": column id: "
                        "\"bad\" is no number");
    rig_expect("px.public.t", "{\"id\":2}", EVENT("t", "null", "{\"id\":2}", "c"), CONTEXT);
    rig_expect_no_more();
    assert_int_equal(rig.failed, 0);
    cdc_table_free(t);
}

static void test_a_bad_value_is_skipped_silently_if_told_so(void **state)
{
    (void)state;
    rig_set("event.processing.failure.handling.mode", "ignore");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    rig_do(t, 'c', NULL, ROW("bad"), NULL);
    rig_expect_no_more();
    assert_int_equal(rig.warnings + rig.failed, 0);
    cdc_table_free(t);
}

static void test_what_emit_answers_is_passed_on(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    rig_do(t, 'c', NULL, ROW("1"), NULL);
    rig.fail_emit = LEAT_RETRY;
    assert_int_equal(cdc_flush(rig.cdc), LEAT_RETRY);
    rig.fail_emit = LEAT_OK;
    assert_int_equal(cdc_flush(rig.cdc), LEAT_OK);
    cdc_table_free(t);
}

/* ---- batches ------------------------------------------------------------------------------------------------------------------ */

static void test_records_are_handed_over_many_at_a_time(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    for (int i = 0; i < 3000; i++) {
        char id[12];
        snprintf(id, sizeof(id), "%d", i);
        rig_do(t, 'u', NULL, ROW(id, "x"), ROW("-1", RIG_ABSENT));
    }
    /* A table may go before its records have been handed over. */
    cdc_table_free(t);
    rig_flush();
    assert_int_equal(rig.count, 9000);
    assert_in_range(rig.emits, 9, 20);
    for (int i = 0; i < 3000; i++) {
        char key[32], headers[64];
        snprintf(key, sizeof(key), "{\"id\":%d}", i);
        snprintf(headers, sizeof(headers), "__debezium.newkey=%s;", key);
        assert_string_equal(rig.records[i * 3].key, "{\"id\":-1}");
        assert_memory_equal(rig.records[i * 3].headers, headers, strlen(headers));
        assert_null(rig.records[i * 3 + 1].value);
        assert_string_equal(rig.records[i * 3 + 2].key, key);
    }
}

static void test_a_large_value(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    size_t n = 20 << 20;
    char *text = malloc(n + 1);
    memset(text, 'x', n);
    text[n] = '\0';
    rig_do(t, 'c', NULL, ROW("1", text), NULL);
    rig_do(t, 'c', NULL, ROW("2", "small"), NULL);
    assert_int_equal(rig.emits, 1); /* the large one does not wait for others */
    rig_flush();
    assert_int_equal(rig.count, 2);
    assert_true(strlen(rig.records[0].value) > n);
    free(text);
    cdc_table_free(t);
}

static void test_emitted_bytes_are_counted_once(void **state)
{
    (void)state;
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!");
    assert_int_equal(cdc_take_emitted(rig.cdc), 0);
    rig_do(t, 'c', NULL, ROW("1"), NULL);
    size_t one = cdc_take_emitted(rig.cdc);
    assert_true(one > 100);
    assert_int_equal(cdc_take_emitted(rig.cdc), 0);
    rig_flush();
    assert_int_equal(cdc_take_emitted(rig.cdc), 0);
    rig_do(t, 'c', NULL, ROW("2"), NULL);
    rig_flush();
    rig_do(t, 'c', NULL, ROW("3"), NULL);
    assert_int_equal(cdc_take_emitted(rig.cdc), 2 * one);
    cdc_table_free(t);
}

static void test_the_source_tells_where_a_row_comes_from(void **state)
{
    (void)state;
    static const char *const names[] = {
        "false", "true",       "first", "first_in_data_collection", "last_in_data_collection",
        "last",  "incremental"};
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "a:int32");
    for (int i = CDC_STREAMED; i <= CDC_INCREMENTAL; i++) {
        struct cdc_change ch = rig_change(t, 'r', NULL, ROW("1"), NULL);
        ch.at.snapshot = (enum cdc_snapshot)i;
        ch.at.ts_us = 1600000000000000 + i;
        assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
        rig_flush();
        char part[256];
        snprintf(part, sizeof(part), "\"ts_ms\":1600000000000,\"snapshot\":\"%s\",\"db\":\"shop\",",
                 names[i]);
        assert_non_null(strstr(rig.records[i].value, part));
        snprintf(part, sizeof(part), ",\"ts_us\":160000000000000%d,\"ts_ns\":160000000000000%d000,", i, i);
        assert_non_null(strstr(rig.records[i].value, part));
    }
    /* What rows have in common is made anew when one of the two changes alone. */
    static const struct {
        int64_t ts_us;
        enum cdc_snapshot snapshot;
        const char *part;
    } rows[] = {
        {1500000000000000, CDC_FIRST, "\"ts_ms\":1500000000000,\"snapshot\":\"first\","},
        {1500000000000000, CDC_LAST, "\"ts_ms\":1500000000000,\"snapshot\":\"last\","},
        {1500000000001000, CDC_LAST, "\"ts_ms\":1500000000001,\"snapshot\":\"last\","},
        {-1, CDC_LAST, ",\"ts_us\":-1,\"ts_ns\":-1000,"},
        {-1001, CDC_LAST, "\"ts_ms\":-2,\"snapshot\":\"last\","},
        {0, CDC_LAST, ",\"ts_us\":0,\"ts_ns\":0,"},
    };
    rig_forget();
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        struct cdc_change ch = rig_change(t, 'r', NULL, ROW("1"), NULL);
        ch.at.snapshot = rows[i].snapshot;
        ch.at.ts_us = rows[i].ts_us;
        assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
        rig_flush();
        assert_non_null(strstr(rig.records[i].value, rows[i].part));
    }
    cdc_table_free(t);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_insert_update_delete),
        CASE(test_a_changed_key_is_a_delete_and_a_create),
        CASE(test_an_identity_without_the_key),
        CASE(test_a_table_without_key),
        CASE(test_values_that_are_not_there),
        CASE(test_an_unchanged_key_is_taken_from_the_old_one),
        CASE(test_truncates_and_skipped_operations),
        CASE(test_a_changed_key_passes_where_deletes_are_skipped),
        CASE(test_updates_that_change_nothing),
        CASE(test_a_bad_value_fails_the_task),
        CASE(test_a_bad_value_is_left_out_if_told_so),
        CASE(test_a_bad_value_is_skipped_silently_if_told_so),
        CASE(test_what_emit_answers_is_passed_on),
        CASE(test_records_are_handed_over_many_at_a_time),
        CASE(test_a_large_value),
        CASE(test_emitted_bytes_are_counted_once),
        CASE(test_the_source_tells_where_a_row_comes_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
