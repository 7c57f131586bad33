/*
 * ExtractNewRecordState and RegexRouter. Shapes and headers as recorded in tests/data/debezium/postgres/unwrap.
 */
#include "tests/unit/kit/cdc_rig.h"

static struct cdc_table *table;

static void open_table(void)
{
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_open();
    table = rig_table("t", 1, "id:int32!", "v:string");
}

static int teardown(void **state)
{
    cdc_table_free(table);
    table = NULL;
    return rig_teardown(state);
}

/* An insert, an update, a delete, a changed key, a truncate. */
static void feed(void)
{
    rig_do(table, 'c', NULL, ROW("1", "a"), NULL);
    rig_do(table, 'u', NULL, ROW("1", "b"), NULL);
    rig_do(table, 'd', ROW("1", RIG_ABSENT), NULL, NULL);
    rig_do(table, 'u', ROW("2", "x"), ROW("3", "y"), NULL);
    rig_do(table, 't', NULL, NULL, NULL);
}

#define NEW "__debezium.newkey={\"id\":3};" CONTEXT
#define OLD "__debezium.oldkey={\"id\":2};" CONTEXT
#define TOPIC "px.public.t"

static void test_deletes_become_tombstones_by_default(void **state)
{
    (void)state;
    rig_set("skipped.operations", "none");
    open_table();
    feed();
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"a\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"b\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":1}", NULL, CONTEXT);
    rig_expect(TOPIC, "{\"id\":2}", NULL, NEW);
    rig_expect(TOPIC, "{\"id\":3}", "{\"id\":3,\"v\":\"y\"}", OLD);
    rig_expect_no_more();
}

static void test_deletes_are_dropped(void **state)
{
    (void)state;
    rig_set("transforms.u.delete.tombstone.handling.mode", "drop");
    open_table();
    feed();
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"a\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"b\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":3}", "{\"id\":3,\"v\":\"y\"}", OLD);
    rig_expect_no_more();
}

static void expect_rewritten(bool tombstones)
{
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"a\",\"__deleted\":\"false\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":\"b\",\"__deleted\":\"false\"}", CONTEXT);
    rig_expect(TOPIC, "{\"id\":1}", "{\"id\":1,\"v\":null,\"__deleted\":\"true\"}", CONTEXT);
    if (tombstones)
        rig_expect(TOPIC, "{\"id\":1}", NULL, CONTEXT);
    rig_expect(TOPIC, "{\"id\":2}", "{\"id\":2,\"v\":\"x\",\"__deleted\":\"true\"}", NEW);
    if (tombstones)
        rig_expect(TOPIC, "{\"id\":2}", NULL, NEW);
    rig_expect(TOPIC, "{\"id\":3}", "{\"id\":3,\"v\":\"y\",\"__deleted\":\"false\"}", OLD);
    rig_expect_no_more();
}

static void test_deletes_are_rewritten(void **state)
{
    (void)state;
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite");
    open_table();
    feed();
    expect_rewritten(false);
}

static void test_deletes_are_rewritten_and_tombstones_kept(void **state)
{
    (void)state;
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite-with-tombstone");
    open_table();
    feed();
    expect_rewritten(true);
}

/* Options of before 2.5: what the two say together. */
static void test_old_options(void **state)
{
    (void)state;
    rig_set("transforms.u.drop.tombstones", "false");
    rig_set("transforms.u.delete.handling.mode", "rewrite");
    open_table();
    feed();
    expect_rewritten(true);
}

static void test_old_options_by_default_drop_both(void **state)
{
    (void)state;
    rig_set("transforms.u.drop.tombstones", "true");
    open_table();
    rig_do(table, 'd', ROW("1", RIG_ABSENT), NULL, NULL);
    rig_expect_no_more();
}

static void test_the_new_option_counts_beside_old_ones(void **state)
{
    (void)state;
    rig_set("transforms.u.drop.tombstones", "true");
    rig_set("transforms.u.delete.handling.mode", "drop");
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite-with-tombstone");
    open_table();
    feed();
    expect_rewritten(true);
}

static void test_what_is_added(void **state)
{
    (void)state;
    rig_set("provide.transaction.metadata", "true");
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite-with-tombstone");
    rig_set("transforms.u.add.fields",
            "op,table,source.lsn:pos, transaction.total_order ,id,nothing,before.v:was");
    rig_set("transforms.u.add.headers", "op,db,sequence,source.txId,transaction.id");
    open_table();
    rig_do(table, 'd', ROW("1", "x"), NULL, NULL);
    const char *value =
        "{\"id\":1,\"v\":\"x\",\"__deleted\":\"true\",\"__op\":\"d\",\"__table\":\"t\",\"__pos\":100,"
        "\"__transaction_total_order\":1,\"__id\":\"7:100\",\"__was\":\"x\"}";
#define ADDED "__op=d;__db=shop;__sequence=[null,\"100\"];__source_txId=7;__transaction_id=7:100;"
    rig_expect(TOPIC, "{\"id\":1}", value, CONTEXT ADDED);
    rig_expect(TOPIC, "{\"id\":1}", NULL, CONTEXT ADDED "__op=d;");
    rig_expect_no_more();
}

static void test_prefixes_and_what_is_null(void **state)
{
    (void)state;
    rig_set("transforms.u.add.fields", "op:o,transaction.id,after.v");
    rig_set("transforms.u.add.fields.prefix", "f_");
    rig_set("transforms.u.add.headers", "transaction.id,after.v");
    rig_set("transforms.u.add.headers.prefix", "");
    open_table();
    rig_do(table, 'c', NULL, ROW("1", NULL), NULL);
    rig_expect(TOPIC, "{\"id\":1}",
               "{\"id\":1,\"v\":null,\"f_o\":\"c\",\"f_transaction_id\":null,\"f_after_v\":null}",
               CONTEXT "transaction_id=~;after_v=~;");
}

static void test_processing_times(void **state)
{
    (void)state;
    rig_set("transforms.u.add.fields", "ts_ms,ts_us,ts_ns");
    open_table();
    rig_do(table, 'c', NULL, ROW("1", NULL), NULL);
    rig_flush();
    long long ms, us, ns;
    assert_int_equal(sscanf(rig.records[0].value,
                            "{\"id\":1,\"v\":null,\"__ts_ms\":%lld,\"__ts_us\":%lld,\"__ts_ns\":%lld}", &ms,
                            &us, &ns),
                     3);
    assert_int_equal(us / 1000, ms);
    assert_int_equal(ns / 1000, us);
    rig_assert_now(ms);
}

static void test_schemas(void **state)
{
    (void)state;
    rig.value_schemas = true;
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite");
    rig_set("transforms.u.add.fields", "op,table,lsn,snapshot,before.id");
    open_table();
    rig_do(table, 'r', NULL, ROW("1", "a"), NULL);
    rig_expect(TOPIC, "{\"id\":1}",
               "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,"
               "\"field\":\"id\"},"
               "{\"type\":\"string\",\"optional\":true,\"field\":\"v\"},"
               "{\"type\":\"string\",\"optional\":true,\"field\":\"__deleted\"},"
               "{\"type\":\"string\",\"optional\":true,\"field\":\"__op\"},"
               "{\"type\":\"string\",\"optional\":true,\"field\":\"__table\"},"
               "{\"type\":\"int64\",\"optional\":true,\"field\":\"__lsn\"},"
               "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,"
               "\"parameters\":"
               "{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection,last,false,"
               "incremental\"},"
               "\"default\":\"false\",\"field\":\"__snapshot\"},"
               "{\"type\":\"int32\",\"optional\":true,\"field\":\"__before_id\"}],"
               "\"optional\":false,\"name\":\"px.public.t.Value\"},\"payload\":"
               "{\"id\":1,\"v\":\"a\",\"__deleted\":\"false\",\"__op\":\"r\",\"__table\":\"t\",\"__lsn\":100,"
               "\"__snapshot\":\"false\",\"__before_id\":null}}",
               CONTEXT);
}

/* That an added column may be missing is said of the column, not of what is in it. */
static void test_schema_of_a_struct(void **state)
{
    (void)state;
    rig.value_schemas = true;
    rig_set("transforms.u.add.fields", "before.s");
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_open();
    table = rig_table("t", 1, "id:int32!", "s:struct!");
    rig_do(table, 'c', NULL, ROW("1", "{\"scale\":2}"), NULL);
    rig_flush();
    const char *value = rig.records[0].value;
    assert_non_null(
        strstr(value, "{\"type\":\"struct\"," RIG_MEMBERS ",\"optional\":false,\"field\":\"s\"}"));
    assert_non_null(
        strstr(value, "{\"type\":\"struct\"," RIG_MEMBERS ",\"optional\":true,\"field\":\"__before_s\"}"));
    assert_non_null(strstr(value, "\"__before_s\":null"));
}

static void test_route_by_field(void **state)
{
    (void)state;
    rig_set("transforms", "u,r");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.route.by.field", "v");
    rig_set("transforms.r.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.r.regex", "to-(.*)");
    rig_set("transforms.r.replacement", "routed.$1");
    rig_open();
    table = rig_table("t", 1, "id:int32!", "v:string");
    rig_do(table, 'c', NULL, ROW("1", "to-here"), NULL);
    rig_do(table, 'd', ROW("2", "as.it.is"), NULL, NULL);
    rig_expect("routed.here", "{\"id\":1}", "{\"id\":1,\"v\":\"to-here\"}", CONTEXT);
    rig_expect("as.it.is", "{\"id\":2}", NULL, CONTEXT);
    struct cdc_change ch = rig_change(table, 'c', NULL, ROW("1", "a b"), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_non_null(strstr(rig.fail_text, "\"a b\" cannot be a topic's name"));
    ch = rig_change(table, 'c', NULL, ROW("1", NULL), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_non_null(strstr(rig.fail_text, "route.by.field: the column v has no value"));
}

static void test_a_table_without_columns(void **state)
{
    (void)state;
    rig_set("column.include.list", "nothing");
    rig_set("transforms.u.add.fields", "op,table");
    rig_set("transforms.u.delete.tombstone.handling.mode", "rewrite");
    open_table();
    rig_do(table, 'c', NULL, ROW("1", "a"), NULL);
    rig_expect(TOPIC, "{\"id\":1}", "{\"__deleted\":\"false\",\"__op\":\"c\",\"__table\":\"t\"}", CONTEXT);
}

/* ---- RegexRouter, options ------------------------------------------------------------------------------------------------- */

static void test_routers_in_their_order(void **state)
{
    (void)state;
    rig_set("transforms", "a,b");
    rig_set("heartbeat.interval.ms", "1");
    rig_set("transforms.a.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.a.regex", "px\\.(?<schema>[^.]*)\\.(.*)");
    rig_set("transforms.a.replacement", "${schema}-$2");
    rig_set("transforms.b.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.b.regex", "public-(.*)|__debezium-heartbeat.px");
    rig_set("transforms.b.replacement", "x$1");
    rig_open();
    table = rig_table("t", 1, "id:int32!");
    assert_string_equal(cdc_table_topic(table), "xt");
    rig_do(table, 'c', NULL, ROW("1"), NULL);
    rig_expect("xt", "{\"id\":1}", EVENT("t", "null", "{\"id\":1}", "c"), CONTEXT);
    assert_int_equal(cdc_heartbeat(rig.cdc), LEAT_OK);
    rig_flush();
    assert_string_equal(rig.records[1].topic, "x");
}

/* The outbox for its table, the rows themselves of all others: how several tables are captured beside an outbox. */
static void test_predicates(void **state)
{
    (void)state;
    rig_set("transforms", "u,o,r");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.predicate", "isOutbox");
    rig_set("transforms.u.negate", "true");
    rig_set("transforms.o.type", "io.debezium.transforms.outbox.EventRouter");
    rig_set("transforms.o.predicate", "isOutbox");
    rig_set("transforms.r.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.r.predicate", "isT");
    rig_set("transforms.r.regex", "(.*)");
    rig_set("transforms.r.replacement", "to.$1");
    rig_set("predicates", "isOutbox,isT");
    rig_set("predicates.isOutbox.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_set("predicates.isOutbox.pattern", ".*outbox");
    rig_set("predicates.isT.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_set("predicates.isT.pattern", "px.public.t");
    rig.text = true;
    rig_open();
    table = rig_table("t", 1, "id:int32!");
    struct cdc_table *outbox =
        rig_table("outbox", 1, "id:int32!", "aggregatetype:string", "aggregateid:string", "payload:string");
    rig_do(table, 'c', NULL, ROW("1"), NULL);
    rig_do(outbox, 'c', NULL, ROW("2", "order", "17", "x"), NULL);
    rig_expect("to.px.public.t", "{\"id\":1}", "{\"id\":1}", CONTEXT);
    rig_expect("outbox.event.order", "17", "x", CONTEXT "id=2;");
    cdc_table_free(outbox);
}

/* Where both are for a table the first counts: the other passes on what is no envelope. */
static void test_of_two_transforms_the_first_counts(void **state)
{
    (void)state;
    static const char *const orders[] = {"u,o", "o,u"}, *const topics[] = {"px.public.outbox",
                                                                           "outbox.event.order"};
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.o.type", "io.debezium.transforms.outbox.EventRouter");
    for (size_t i = 0; i < 2; i++) {
        rig_set("transforms", orders[i]);
        rig_open();
        struct cdc_table *t = rig_table("outbox", 1, "id:int32!", "aggregatetype:string",
                                        "aggregateid:string", "payload:string");
        rig_do(t, 'c', NULL, ROW("2", "order", "17", "x"), NULL);
        rig_flush();
        assert_string_equal(rig.records[0].topic, topics[i]);
        cdc_table_free(t);
        cdc_free(rig.cdc);
        rig.cdc = NULL;
        rig_forget();
    }
}

static void test_refused_predicates(void **state)
{
    (void)state;
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set("transforms.u.negate", "true");
    rig_refuses("transforms.u.negate: there is no predicate");
    rig_set("transforms.u.predicate", "p");
    rig_refuses("transforms.u.predicate: predicates does not list p");
    rig_set("predicates", "p");
    rig_set("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone");
    rig_refuses("predicates.p.type: the predicate "
                "org.apache.kafka.connect.transforms.predicates.RecordIsTombstone is not "
                "there, only org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_set("predicates.p.type", "org.apache.kafka.connect.transforms.predicates.TopicNameMatches");
    rig_refuses("predicates.p.pattern: TopicNameMatches needs it");
    rig_set("predicates.p.pattern", "(");
    rig_refuses(
        "predicates.p.pattern: the regular expression \"(\": missing closing parenthesis at character 2");
    rig_set("predicates.p.pattern", "a");
    rig_set("predicates.q.pattern", "a");
    rig_refuses("predicates.q.pattern: predicates does not list its name");
}

static void refuses(const char *option, const char *value, const char *why)
{
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_set(option, value);
    rig_refuses(why);
}

static void test_an_unknown_mode(void **state)
{
    (void)state;
    refuses("transforms.u.delete.tombstone.handling.mode", "keep",
            "transforms.u.delete.tombstone.handling.mode: \"keep\" is none of tombstone, drop, rewrite, "
            "rewrite-with-tombstone, delete-to-tombstone");
}

static void test_an_unknown_option(void **state)
{
    (void)state;
    refuses("transforms.u.add.field", "op",
            "transforms.u.add.field: io.debezium.transforms.ExtractNewRecordState has no such option");
}

static void test_an_unknown_struct(void **state)
{
    (void)state;
    refuses("transforms.u.add.fields", "op,sauce.lsn",
            "transforms.u.add.fields: \"sauce.lsn\": the part before the dot is none of source, transaction, "
            "before, "
            "after");
}

static void test_an_unknown_transform(void **state)
{
    (void)state;
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "com.example.Mine");
    rig_refuses("transforms.u.type: the transform com.example.Mine is not there");
}

static void test_options_of_nothing(void **state)
{
    (void)state;
    rig_set("transforms.u.type", "io.debezium.transforms.ExtractNewRecordState");
    rig_refuses("transforms.u.type: transforms does not list its name");
}

static void test_a_name_without_type(void **state)
{
    (void)state;
    rig_set("transforms", "u");
    rig_refuses("transforms.u.type: must be given, as transforms names u");
}

static void test_a_bad_expression(void **state)
{
    (void)state;
    rig_set("transforms", "u");
    rig_set("transforms.u.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.u.regex", "a(");
    rig_set("transforms.u.replacement", "b");
    rig_refuses(
        "transforms.u.regex: the regular expression \"a(\": missing closing parenthesis at character 3");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_deletes_become_tombstones_by_default),
        CASE(test_deletes_are_dropped),
        CASE(test_deletes_are_rewritten),
        CASE(test_deletes_are_rewritten_and_tombstones_kept),
        CASE(test_old_options),
        CASE(test_old_options_by_default_drop_both),
        CASE(test_the_new_option_counts_beside_old_ones),
        CASE(test_what_is_added),
        CASE(test_prefixes_and_what_is_null),
        CASE(test_processing_times),
        CASE(test_schemas),
        CASE(test_schema_of_a_struct),
        CASE(test_route_by_field),
        CASE(test_a_table_without_columns),
        CASE(test_routers_in_their_order),
        CASE(test_predicates),
        CASE(test_of_two_transforms_the_first_counts),
        CASE(test_refused_predicates),
        CASE(test_an_unknown_mode),
        CASE(test_an_unknown_option),
        CASE(test_an_unknown_struct),
        CASE(test_an_unknown_transform),
        CASE(test_options_of_nothing),
        CASE(test_a_name_without_type),
        CASE(test_a_bad_expression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
