/*
 * Transaction metadata, muted replays, logical messages, heartbeats, notifications. Forms as recorded in
 * tests/data/debezium/postgres (transactions, incremental).
 */
#include "tests/unit/kit/cdc_rig.h"

static struct cdc_table *a, *b;

static int teardown(void **state)
{
    cdc_table_free(a);
    cdc_table_free(b);
    a = b = NULL;
    return rig_teardown(state);
}

static void open_tables(void)
{
    rig_open();
    a = rig_table("a", 1, "id:int32!");
    b = rig_table("b", 1, "id:int32!");
}

static struct cdc_origin at(int xid, int lsn)
{
    static struct rig_at where;
    where = rig_where = (struct rig_at){xid, lsn};
    return (struct cdc_origin){.ts_us = 1700000000123456, .own = &where};
}

static void begin(int xid, int lsn)
{
    struct cdc_origin o = at(xid, lsn);
    assert_int_equal(cdc_begin(rig.cdc, &o), LEAT_OK);
}

static void end(int xid, int lsn)
{
    struct cdc_origin o = at(xid, lsn);
    assert_int_equal(cdc_end(rig.cdc, &o), LEAT_OK);
}

static void insert(struct cdc_table *t, int lsn)
{
    rig_where.lsn = lsn;
    rig_do(t, 'c', NULL, ROW("1"), NULL);
}

/* The next record's transaction block. */
static void expect_block(const char *topic, const char *block)
{
    rig_flush();
    assert_true(rig.read < rig.count);
    struct rig_record *r = &rig.records[rig.read++];
    assert_string_equal(r->topic, topic);
    char part[256];
    snprintf(part, sizeof(part), ",\"transaction\":%s,", block);
    if (!strstr(r->value, part))
        fail_msg("%s has no %s", r->value, part);
}

static void expect_boundary(const char *id, const char *value)
{
    char key[64];
    snprintf(key, sizeof(key), "{\"id\":\"%s\"}", id);
    rig_expect("px.transaction", key, value, "");
}

static void test_boundaries_and_orders(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    rig_set("skipped.operations", "none");
    open_tables();
    begin(7, 100);
    insert(a, 100);
    insert(b, 101);
    rig_where.lsn = 102;
    rig_do(a, 'u', NULL, ROW("2"), ROW("1"));
    rig_do(a, 't', NULL, NULL, NULL);
    end(7, 110);
    begin(8, 120);
    insert(b, 120);
    end(8, 130);
    expect_boundary("7:100",
                    "{\"status\":\"BEGIN\",\"id\":\"7:100\",\"event_count\":null,\"data_collections\":null,"
                    "\"ts_ms\":1700000000123}");
    expect_block("px.public.a", "{\"id\":\"7:100\",\"total_order\":1,\"data_collection_order\":1}");
    expect_block("px.public.b", "{\"id\":\"7:101\",\"total_order\":2,\"data_collection_order\":1}");
    expect_block("px.public.a", "{\"id\":\"7:102\",\"total_order\":3,\"data_collection_order\":2}");
    rig.read++; /* the tombstone, which is not counted */
    expect_block("px.public.a", "{\"id\":\"7:102\",\"total_order\":4,\"data_collection_order\":3}");
    expect_block("px.public.a", "{\"id\":\"7:102\",\"total_order\":5,\"data_collection_order\":4}");
    expect_boundary("7:110",
                    "{\"status\":\"END\",\"id\":\"7:110\",\"event_count\":5,\"data_collections\":["
                    "{\"data_collection\":\"public.a\",\"event_count\":4},"
                    "{\"data_collection\":\"public.b\",\"event_count\":1}],\"ts_ms\":1700000000123}");
    rig.read++;
    expect_block("px.public.b", "{\"id\":\"8:120\",\"total_order\":1,\"data_collection_order\":1}");
    expect_boundary("8:130",
                    "{\"status\":\"END\",\"id\":\"8:130\",\"event_count\":1,\"data_collections\":["
                    "{\"data_collection\":\"public.b\",\"event_count\":1}],\"ts_ms\":1700000000123}");
    rig_expect_no_more();
}

static void test_no_metadata_without_the_option(void **state)
{
    (void)state;
    open_tables();
    begin(7, 100);
    insert(a, 100);
    struct cdc_origin o = at(7, 101);
    assert_int_equal(cdc_message(rig.cdc, &o, true, "p", 1, RIG_CONTENT), LEAT_OK);
    end(7, 110);
    expect_block("px.public.a", "null");
    expect_block("px.message", "null");
    rig_expect_no_more();
}

static void test_changes_outside_have_no_block(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    open_tables();
    struct cdc_change ch = rig_change(a, 'r', NULL, ROW("1"), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
    expect_block("px.public.a", "null");
}

static void test_a_table_described_anew_goes_on_counting(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    open_tables();
    begin(7, 100);
    insert(a, 100);
    cdc_table_free(a);
    a = rig_table("a", 1, "id:int32!", "more:string");
    rig_do(a, 'c', NULL, ROW("1", NULL), NULL);
    rig.read++;
    expect_block("px.public.a", "{\"id\":\"7:100\",\"total_order\":1,\"data_collection_order\":1}");
    expect_block("px.public.a", "{\"id\":\"7:100\",\"total_order\":2,\"data_collection_order\":2}");
}

static void test_what_is_muted_counts_and_does_not_come(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    open_tables();
    cdc_mute(rig.cdc, true);
    begin(7, 100);
    insert(a, 100);
    rig_do(a, 'u', NULL, ROW("2"), ROW("1"));
    struct cdc_origin o = at(7, 101);
    assert_int_equal(cdc_message(rig.cdc, &o, true, "p", 1, RIG_CONTENT), LEAT_OK);
    cdc_mute(rig.cdc, false);
    insert(a, 104);
    end(7, 110);
    expect_block("px.public.a", "{\"id\":\"7:104\",\"total_order\":5,\"data_collection_order\":4}");
    expect_boundary("7:110", "{\"status\":\"END\",\"id\":\"7:110\",\"event_count\":5,\"data_collections\":["
                             "{\"data_collection\":\"public.a\",\"event_count\":4},"
                             "{\"data_collection\":\"message\",\"event_count\":1}],\"ts_ms\":1700000000123}");
    rig_expect_no_more();
    /* A transaction that is muted to its end leaves nothing. */
    cdc_mute(rig.cdc, true);
    begin(8, 120);
    insert(a, 120);
    end(8, 130);
    rig_expect_no_more();
}

/* A change that is left out is not counted; the order has no gap. */
static void test_failed_changes_are_not_counted(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    rig_set("event.processing.failure.handling.mode", "skip");
    open_tables();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "n:int32");
    begin(7, 100);
    rig_do(t, 'c', NULL, ROW("1", "bad"), NULL);
    insert(b, 101);
    rig_do(t, 'u', NULL, ROW("2", "bad"), ROW("1", RIG_ABSENT));
    rig_do(t, 'c', NULL, ROW("3", "3"), NULL);
    rig_do(t, 'c', NULL, ROW("4", "bad"), NULL);
    end(7, 110);
    cdc_table_free(t);
    rig.read++;
    expect_block("px.public.b", "{\"id\":\"7:101\",\"total_order\":1,\"data_collection_order\":1}");
    expect_block("px.public.t", "{\"id\":\"7:101\",\"total_order\":2,\"data_collection_order\":1}");
    expect_boundary("7:110",
                    "{\"status\":\"END\",\"id\":\"7:110\",\"event_count\":2,\"data_collections\":["
                    "{\"data_collection\":\"public.b\",\"event_count\":1},"
                    "{\"data_collection\":\"public.t\",\"event_count\":1}],\"ts_ms\":1700000000123}");
    rig_expect_no_more();
}

#define BOUNDARY_KEY                                                                                         \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"id\"}" \
    "],"                                                                                                     \
    "\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataKey\",\"version\":1},"    \
    "\"payload\":{\"id\":\"7:100\"}}"

#define BOUNDARY_VALUE                                                                                       \
    "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":"        \
    "\"status\"},"                                                                                           \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"                                             \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"event_count\"},{\"type\":\"array\",\"items\":"        \
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"data_"             \
    "collection\"},"                                                                                         \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"event_count\"}],\"optional\":true,"                  \
    "\"name\":\"event.collection\",\"version\":1},\"optional\":true,\"field\":\"data_collections\"},"        \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"}],\"optional\":false,"                       \
    "\"name\":\"io.debezium.connector.common.TransactionMetadataValue\",\"version\":1},\"payload\":"         \
    "{\"status\":\"BEGIN\",\"id\":\"7:100\",\"event_count\":null,\"data_collections\":null,"                 \
    "\"ts_ms\":1700000000123}}"

static void test_boundaries_with_schemas(void **state)
{
    (void)state;
    rig.key_schemas = rig.value_schemas = true;
    rig_set("provide.transaction.metadata", "true");
    rig_set("topic.transaction", "tx");
    open_tables();
    begin(7, 100);
    rig_expect("px.tx", BOUNDARY_KEY, BOUNDARY_VALUE, "");
}

/* ---- messages, heartbeats --------------------------------------------------------------------------------------------------- */

/* The value with its processing time, which stands behind op alone, as @. */
static void hide_ms(char *value)
{
    char *digits = strstr(value, "\"ts_ms\":"), *end_at;
    assert_non_null(digits);
    long long ms = strtoll(digits + 8, &end_at, 10);
    rig_assert_now(ms);
    digits[8] = '@';
    memmove(digits + 9, end_at, strlen(end_at) + 1);
}

static void expect_hiding(const char *topic, const char *key, const char *value)
{
    rig_flush();
    assert_true(rig.read < rig.count);
    hide_ms(rig.records[rig.read].value);
    rig_expect(topic, key, value, "");
}

#define MESSAGE_SOURCE                                                                                       \
    "{\"version\":\"3.5.0.Final\",\"connector\":\"postgresql\",\"name\":\"px\",\"ts_ms\":1700000000123,"     \
    "\"snapshot\":\"false\",\"db\":\"shop\",\"sequence\":\"[null,\\\"105\\\"]\","                            \
    "\"ts_us\":1700000000123456,\"ts_ns\":1700000000123456000,\"schema\":\"\",\"table\":\"\",\"txId\":7,"    \
    "\"lsn\":105}"

static void test_messages(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    open_tables();
    struct cdc_origin o = at(7, 105);
    assert_int_equal(
        cdc_message(rig.cdc, &o, false, "pre\"", 4, &(struct cdc_content){"bytes", "\"AP8=\"", 6}), LEAT_OK);
    assert_int_equal(cdc_message(rig.cdc, &o, true, "p", 1, &(struct cdc_content){"string", "\"\"", 2}),
                     LEAT_OK);
    expect_hiding("px.message", "{\"prefix\":\"pre\\\"\"}",
                  "{\"op\":\"m\",\"ts_ms\":@,\"source\":" MESSAGE_SOURCE ",\"transaction\":null,"
                  "\"message\":{\"prefix\":\"pre\\\"\",\"content\":\"AP8=\"}}");
    expect_hiding("px.message", "{\"prefix\":\"p\"}",
                  "{\"op\":\"m\",\"ts_ms\":@,\"source\":" MESSAGE_SOURCE
                  ",\"transaction\":{\"id\":\"7:105\",\"total_order\":1,\"data_collection_order\":1},"
                  "\"message\":{\"prefix\":\"p\",\"content\":\"\"}}");
    rig_expect_no_more();
}

static void test_heartbeats(void **state)
{
    (void)state;
    rig_set("heartbeat.interval.ms", "5s");
    rig_set("topic.delimiter", "-");
    rig_open();
    assert_int_equal(cdc_heartbeat_interval_ms(rig.cdc), 5000);
    assert_int_equal(cdc_heartbeat(rig.cdc), LEAT_OK);
    expect_hiding("__debezium-heartbeat-px", "{\"serverName\":\"px\"}", "{\"ts_ms\":@}");
    assert_int_equal(rig.records[0].partition, 0);
}

static void test_heartbeats_with_schemas(void **state)
{
    (void)state;
    rig.key_schemas = rig.value_schemas = true;
    rig_open();
    assert_int_equal(cdc_heartbeat_interval_ms(rig.cdc), 0);
    assert_int_equal(cdc_heartbeat(rig.cdc), LEAT_OK);
    expect_hiding(
        "__debezium-heartbeat.px",
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":"
        "\"serverName\"}],\"optional\":false,\"name\":\"io.debezium.connector.common.ServerNameKey\","
        "\"version\":1},\"payload\":{\"serverName\":\"px\"}}",
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int64\",\"optional\":false,\"field\":"
        "\"ts_ms\"}],\"optional\":false,\"name\":\"io.debezium.connector.common.Heartbeat\",\"version\":1},"
        "\"payload\":{\"ts_ms\":@}}");
}

/* ---- notifications ------------------------------------------------------------------------------------------------------------ */

static void expect_notice(const char *value)
{
    char *stamp = strstr(rig.records[rig.read].value, "\"timestamp\":"), *end_at;
    assert_non_null(stamp);
    long long ms = strtoll(stamp + 12, &end_at, 10);
    rig_assert_now(ms);
    stamp[12] = '@';
    memmove(stamp + 13, end_at, strlen(end_at) + 1);
    assert_string_equal(rig.records[rig.read].topic, "notes");
    assert_string_equal(rig.records[rig.read].headers, "");
    assert_string_equal(rig.records[rig.read++].value, value);
}

/* The order of additional_data as Java's HashMap had it in the recordings. */
static void test_notifications(void **state)
{
    (void)state;
    rig_set("notification.enabled.channels", "sink,jmx");
    rig_set("notification.sink.topic.name", "notes");
    rig_open();
    const char *const progress[] = {"data_collections",   "public.a",    "current_collection_in_progress",
                                    "public.a",           "maximum_key", "5",
                                    "last_processed_key", "2",           NULL};
    const char *const done[] = {"scanned_collection", "public.a",         "total_rows_scanned", "5", "status",
                                "SUCCEEDED",          "data_collections", "public.a",           NULL};
    const char *const begun[] = {"current_collection_in_progress", "a", "data_collections", "a,b", NULL};
    const char *const moved[] = {
        "last_processed_key", "2",        "maximum_key", "5", "current_collection_in_progress", "public.a",
        "data_collections",   "public.a", NULL};
    assert_int_equal(cdc_notify(rig.cdc, "sig-1", "IN_PROGRESS", "Incremental Snapshot", moved), LEAT_OK);
    assert_int_equal(cdc_notify(rig.cdc, "sig-1", "TABLE_SCAN_COMPLETED", "Incremental Snapshot", done),
                     LEAT_OK);
    assert_int_equal(cdc_notify(rig.cdc, "i", "IN_PROGRESS", "Initial Snapshot", begun), LEAT_OK);
    assert_int_equal(cdc_notify(rig.cdc, NULL, "STARTED", "Initial Snapshot", NULL), LEAT_OK);
    assert_int_equal(cdc_notify(rig.cdc, NULL, "X", "Y", progress), LEAT_OK);
    rig_flush();
    assert_string_equal(rig.records[0].key, "{\"id\":\"sig-1\"}");
    expect_notice(
        "{\"id\":\"sig-1\",\"type\":\"IN_PROGRESS\",\"aggregate_type\":\"Incremental Snapshot\","
        "\"additional_data\":{\"current_collection_in_progress\":\"public.a\",\"connector_name\":\"px\","
        "\"maximum_key\":\"5\",\"last_processed_key\":\"2\",\"data_collections\":\"public.a\"},\"timestamp\":"
        "@}");
    expect_notice(
        "{\"id\":\"sig-1\",\"type\":\"TABLE_SCAN_COMPLETED\",\"aggregate_type\":\"Incremental Snapshot\","
        "\"additional_data\":{\"scanned_collection\":\"public.a\",\"connector_name\":\"px\","
        "\"total_rows_scanned\":\"5\",\"status\":\"SUCCEEDED\",\"data_collections\":\"public.a\"},"
        "\"timestamp\":@}");
    expect_notice(
        "{\"id\":\"i\",\"type\":\"IN_PROGRESS\",\"aggregate_type\":\"Initial Snapshot\",\"additional_data\":{"
        "\"current_collection_in_progress\":\"a\",\"connector_name\":\"px\",\"data_collections\":\"a,b\"},"
        "\"timestamp\":@}");
    const char *value = rig.records[3].value;
    assert_memory_equal(value, "{\"id\":\"", 7);
    assert_true(value[7 + 14] == '4' && value[7 + 36] == '"'); /* a random UUID */
    assert_non_null(strstr(value, "\"additional_data\":{\"connector_name\":\"px\"}"));
    assert_string_not_equal(rig.records[3].key, rig.records[4].key);
}

static void test_notifications_in_the_log(void **state)
{
    (void)state;
    rig_set("notification.enabled.channels", "log");
    rig_open();
    assert_int_equal(cdc_notify(rig.cdc, "i", "STARTED", "Initial Snapshot", NULL), LEAT_OK);
    assert_non_null(strstr(rig.log_text, "notification: {\"id\":\"i\",\"type\":\"STARTED\","));
    rig_expect_no_more();
}

static void test_no_notifications_without_a_channel(void **state)
{
    (void)state;
    rig_open();
    assert_int_equal(cdc_notify(rig.cdc, "i", "STARTED", "Initial Snapshot", NULL), LEAT_OK);
    rig_expect_no_more();
    assert_string_equal(rig.log_text, "");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_boundaries_and_orders),
        CASE(test_no_metadata_without_the_option),
        CASE(test_changes_outside_have_no_block),
        CASE(test_a_table_described_anew_goes_on_counting),
        CASE(test_what_is_muted_counts_and_does_not_come),
        CASE(test_failed_changes_are_not_counted),
        CASE(test_boundaries_with_schemas),
        CASE(test_messages),
        CASE(test_heartbeats),
        CASE(test_heartbeats_with_schemas),
        CASE(test_notifications),
        CASE(test_notifications_in_the_log),
        CASE(test_no_notifications_without_a_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
