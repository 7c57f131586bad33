/*
 * EventRouter, and payloads expanded. Keys, values and headers as recorded in tests/data/debezium/postgres/outbox.
 */
#include "kit/cdc/cdc_expand.h"
#include "tests/unit/kit/cdc_rig.h"

static struct cdc_table *table;

static int setup(void **state)
{
    rig_setup(state);
    rig_set("topic.prefix", "outbox");
    rig_set("transforms", "o");
    rig_set("transforms.o.type", "io.debezium.transforms.outbox.EventRouter");
    return 0;
}

static int teardown(void **state)
{
    cdc_table_free(table);
    table = NULL;
    return rig_teardown(state);
}

static void open_table(void)
{
    rig_open();
    table = rig_table("outbox", 1, "id:string!/io.debezium.data.Uuid", "aggregatetype:string!",
                      "aggregateid:string!", "type:string!", "payload:string/io.debezium.data.Json",
                      "tenant:string", "kind:string", "at:int64/io.debezium.time.MicroTimestamp", "n:int32");
}

static void row(char op, const char *id, const char *type, const char *key, const char *payload,
                const char *tenant, const char *kind)
{
    rig_do(table, op, op == 'd' ? ROW(id, type, key, "created", payload, tenant, kind, NULL, "2") : NULL,
           op == 'd' ? NULL : ROW(id, type, key, "created", payload, tenant, kind, "1700000000123456", "2"),
           NULL);
}

#define HEADERS                                                                                              \
    "__debezium.context.connectorLogicalName=outbox;__debezium.context.taskId=0;"                            \
    "__debezium.context.connectorName=postgresql;__debezium.context.runId=@;"

static void test_as_recorded(void **state)
{
    (void)state;
    rig.key_schemas = rig.value_schemas = true;
    rig_set("transforms.o.table.fields.additional.placement", "tenant:header:tenantId,kind:envelope");
    rig_set("transforms.o.table.expand.json.payload", "true");
    open_table();
    row('c', "u1", "order", "17", "{\"id\": 17, \"note\": null, \"lines\": [{\"qty\": 2, \"sku\": \"a\"}]}",
        "t1", "k1");
    row('c', "u2", "customer", "c-1", "\"plain\"", NULL, "k2");
    row('c', "u3", "order", "18", NULL, "t2", NULL);
    row('d', "u1", "order", "17", NULL, NULL, NULL);
    rig_expect(
        "outbox.event.order", "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":\"17\"}",
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\","
        "\"optional\":true,\"field\":\"id\"},{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":["
        "{\"type\":\"int32\",\"optional\":true,\"field\":\"qty\"},{\"type\":\"string\",\"optional\":true,"
        "\"field\":\"sku\"}],\"optional\":true,\"name\":\"payload.lines\"},\"optional\":true,\"field\":"
        "\"lines\"}],"
        "\"optional\":true,\"name\":\"payload\",\"field\":\"payload\"},{\"type\":\"string\",\"optional\":"
        "true,"
        "\"field\":\"kind\"}],\"optional\":false,\"name\":\"outbox.public.outbox.order.Value\"},\"payload\":"
        "{\"payload\":{\"id\":17,\"lines\":[{\"qty\":2,\"sku\":\"a\"}]},\"kind\":\"k1\"}}",
        HEADERS "id=u1;tenantId=t1;");
    rig_expect("outbox.event.customer",
               "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":\"c-1\"}",
               "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,\"name\":"
               "\"io.debezium.data.Json\",\"version\":1,\"field\":\"payload\"},{\"type\":\"string\","
               "\"optional\":true,"
               "\"field\":\"kind\"}],\"optional\":false,\"name\":\"outbox.public.outbox.customer.Value\"},"
               "\"payload\":"
               "{\"payload\":\"\\\"plain\\\"\",\"kind\":\"k2\"}}",
               HEADERS "id=u2;tenantId=~;");
    /* The schema that the customer's payload had is used again, with its name: so Debezium does. */
    rig_expect("outbox.event.order",
               "{\"schema\":{\"type\":\"string\",\"optional\":false},\"payload\":\"18\"}",
               "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,\"name\":"
               "\"io.debezium.data.Json\",\"version\":1,\"field\":\"payload\"},{\"type\":\"string\","
               "\"optional\":true,"
               "\"field\":\"kind\"}],\"optional\":false,\"name\":\"outbox.public.outbox.customer.Value\"},"
               "\"payload\":"
               "{\"payload\":null,\"kind\":null}}",
               HEADERS "id=u3;tenantId=t2;");
    rig_expect_no_more();
    assert_non_null(strstr(rig.log_text, "a payload of public.outbox stays text: no JSON object or array"));
}

static void test_payload_as_it_is(void **state)
{
    (void)state;
    open_table();
    row('c', "u1", "order", "17", "{\"id\": 17}", NULL, NULL);
    rig_expect("outbox.event.order", "\"17\"", "\"{\\\"id\\\": 17}\"", HEADERS "id=u1;");
    assert_int_equal(rig.records[0].timestamp, -1);
    assert_int_equal(rig.records[0].partition, -1);
}

static void test_text_with_a_converter_of_strings(void **state)
{
    (void)state;
    rig.text = true;
    open_table();
    row('c', "u1", "order", "17", "{\"id\": 17}", NULL, NULL);
    row('r', "u2", "order", "18", NULL, NULL, NULL);
    row('c', "u3", "order", "19", "", NULL, NULL);
    rig_expect("outbox.event.order", "17", "{\"id\": 17}", HEADERS "id=u1;");
    rig_expect("outbox.event.order", "18", NULL, HEADERS "id=u2;");
    rig_expect("outbox.event.order", "19", "", HEADERS "id=u3;");
}

static void test_value_with_schema(void **state)
{
    (void)state;
    rig.value_schemas = true;
    open_table();
    row('c', "u1", "order", "17", "x", NULL, NULL);
    rig_expect("outbox.event.order", "\"17\"",
               "{\"schema\":{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Json\","
               "\"version\":1},"
               "\"payload\":\"x\"}",
               HEADERS "id=u1;");
}

static void test_other_columns(void **state)
{
    (void)state;
    rig.text = true;
    rig_set("transforms.o.table.field.event.id", "tenant");
    rig_set("transforms.o.table.field.event.key", "id");
    rig_set("transforms.o.table.field.event.payload", "kind");
    rig_set("transforms.o.table.field.event.timestamp", "at");
    rig_set("transforms.o.route.by.field", "type");
    rig_set("transforms.o.route.topic.regex", "(?<x>cr)(.*)");
    rig_set("transforms.o.route.topic.replacement", "to.${x}.$2");
    rig_set("transforms.o.table.fields.additional.placement", "n:partition,n:header:count");
    open_table();
    row('c', "u1", "order", "17", "x", "t", "k");
    rig_expect("to.cr.eated", "u1", "k", HEADERS "id=t;count=2;");
    assert_int_equal(rig.records[0].timestamp, 1700000000123);
    assert_int_equal(rig.records[0].partition, 2);
}

static void test_a_value_that_the_regex_does_not_match_is_the_topic(void **state)
{
    (void)state;
    rig.text = true;
    rig_set("transforms", "o,r");
    rig_set("transforms.o.route.topic.regex", "orders");
    rig_set("transforms.r.type", "org.apache.kafka.connect.transforms.RegexRouter");
    rig_set("transforms.r.regex", "(order)");
    rig_set("transforms.r.replacement", "all-$1s");
    open_table();
    row('c', "u1", "order", "17", "x", NULL, NULL);
    rig_expect("all-orders", "17", "x", HEADERS "id=u1;");
}

static void test_schema_version(void **state)
{
    (void)state;
    rig.value_schemas = true;
    rig_set("transforms.o.table.field.event.schema.version", "n");
    rig_set("transforms.o.table.fields.additional.placement", "kind:envelope:sort");
    open_table();
    row('c', "u1", "order", "17", "x", NULL, "k");
    rig_expect("outbox.event.order", "\"17\"",
               "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":true,\"name\":"
               "\"io.debezium.data.Json\",\"version\":1,\"field\":\"payload\"},{\"type\":\"string\","
               "\"optional\":true,"
               "\"field\":\"sort\"}],\"optional\":false,\"name\":\"outbox.public.outbox.order.Value\","
               "\"version\":2},"
               "\"payload\":{\"payload\":\"x\",\"sort\":\"k\"}}",
               HEADERS "id=u1;");
}

static void test_tombstones_of_empty_payloads(void **state)
{
    (void)state;
    rig_set("transforms.o.route.tombstone.on.empty.payload", "true");
    open_table();
    row('c', "u1", "order", "17", NULL, NULL, NULL);
    row('c', "u2", "order", "18", " \n", NULL, NULL);
    row('c', "u3", "order", "19", " x", NULL, NULL);
    rig_expect("outbox.event.order", "\"17\"", NULL, HEADERS "id=u1;");
    rig_expect("outbox.event.order", "\"18\"", NULL, HEADERS "id=u2;");
    rig_expect("outbox.event.order", "\"19\"", "\" x\"", HEADERS "id=u3;");
}

static void test_updates_are_left_out_with_a_warning(void **state)
{
    (void)state;
    open_table();
    row('u', "u1", "order", "17", NULL, NULL, NULL);
    rig_expect_no_more();
    assert_int_equal(rig.warnings, 1);
    assert_string_equal(rig.log_text, "EventRouter: an update of public.outbox is left out");
}

static void test_updates_fail_if_told_so(void **state)
{
    (void)state;
    rig_set("transforms.o.table.op.invalid.behavior", "fatal");
    open_table();
    struct cdc_change ch =
        rig_change(table, 'u', NULL, ROW("u1", "order", "17", "t", "x", NULL, NULL, NULL, NULL), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_string_equal(
        rig.fail_text,
        "EventRouter: an update of public.outbox, which table.op.invalid.behavior does not allow");
}

static void test_a_table_that_is_no_outbox(void **state)
{
    (void)state;
    rig_set("signal.data.collection", "public.signals");
    rig_open();
    table = rig_table("other", 1, "id:int32!");
    struct cdc_change ch = rig_change(table, 'c', NULL, ROW("1"), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_string_equal(rig.fail_text, "EventRouter: the table public.other has no column aggregateid");
    /* The signal table's rows are what they are. */
    struct cdc_table *signals = rig_table("signals", 1, "id:int32!");
    rig_do(signals, 'c', NULL, ROW("1"), NULL);
    rig_flush();
    assert_string_equal(rig.records[0].topic, "outbox.public.signals");
    cdc_table_free(signals);
}

static void test_a_missing_additional_field(void **state)
{
    (void)state;
    rig_set("transforms.o.table.fields.additional.placement", "nothing:header");
    open_table();
    struct cdc_change ch =
        rig_change(table, 'c', NULL, ROW("u1", "order", "17", "t", "x", NULL, NULL, NULL, NULL), NULL);
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_FAIL);
    assert_string_equal(rig.fail_text, "EventRouter: the table public.outbox has no column nothing");
    cdc_table_free(table);
    cdc_free(rig.cdc);
    rig_set("transforms.o.table.field.additional.missing", "ignore");
    open_table();
    row('c', "u1", "order", "17", "x", NULL, NULL);
    rig_expect("outbox.event.order", "\"17\"", "\"x\"", HEADERS "id=u1;");
}

static void test_bad_options(void **state)
{
    (void)state;
    rig_set("transforms.o.table.fields.additional.placement", "a:nowhere");
    rig_refuses("transforms.o.table.fields.additional.placement: an item has to be column:place or "
                "column:place:alias, "
                "place one of header, envelope, partition");
    rig_set("transforms.o.table.fields.additional.placement", "a:header");
    rig_set("transforms.o.table.op.invalid.behavior", "shrug");
    rig_refuses("transforms.o.table.op.invalid.behavior: \"shrug\" is none of warn|error|fatal");
    rig_set("transforms.o.table.op.invalid.behavior", "error");
    rig_set("transforms.o.nothing", "x");
    rig_refuses("transforms.o.nothing: io.debezium.transforms.outbox.EventRouter has no such option");
}

/* ---- expanding -------------------------------------------------------------------------------------------------------------- */

static void expands(const char *text, bool keep_nulls, const char *schema, const char *value)
{
    struct err e;
    struct buf s, v;
    buf_init(&s, 1 << 20);
    buf_init(&v, 1 << 20);
    assert_ok(cdc_expand(text, strlen(text), keep_nulls, &s, &v, &e), &e);
    assert_int_equal(s.len, strlen(schema));
    assert_memory_equal(s.data, schema, s.len);
    assert_int_equal(v.len, strlen(value));
    assert_memory_equal(v.data, value, v.len);
    buf_free(&s);
    buf_free(&v);
}

static void does_not_expand(const char *text, const char *why)
{
    struct err e;
    struct buf s, v;
    buf_init(&s, 1 << 20);
    buf_init(&v, 1 << 20);
    assert_code(cdc_expand(text, strlen(text), false, &s, &v, &e), ERR_INVALID_RECORD, &e);
    assert_string_equal(e.text, why);
    buf_free(&s);
    buf_free(&v);
}

#define STRUCT(fields, name)                                                                                 \
    "{\"type\":\"struct\",\"fields\":[" fields "],\"optional\":true,\"name\":\"" name "\"}"
#define FIELD(type, name) "{\"type\":\"" type "\",\"optional\":true,\"field\":\"" name "\"}"

/* An object of `n` members "m<i>", from `from` on, as text; the value is i. */
static void put_members(struct buf *b, int from, int n)
{
    struct err e;
    for (int i = 0; i < n; i++)
        assert_int_equal(buf_printf(b, &e, "%s\"m%d\":%d", i ? "," : "{", (from + i) % n, (from + i) % n),
                         ERR_OK);
    assert_int_equal(buf_u8(b, '}', &e), ERR_OK);
}

/* Many fields, whose members come in another order the second time; a time that grew with their square would take minutes. */
static void test_expanded_with_many_members(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    struct err e;
    struct buf text, expected, s, v;
    buf_init(&text, 1 << 24);
    buf_init(&expected, 1 << 24);
    buf_init(&s, 1 << 26);
    buf_init(&v, 1 << 24);
    assert_int_equal(buf_u8(&text, '[', &e) || buf_u8(&expected, '[', &e), 0);
    put_members(&text, 0, MANY);
    put_members(&expected, 0, MANY);
    assert_int_equal(buf_u8(&text, ',', &e) || buf_u8(&expected, ',', &e), 0);
    put_members(&text, MANY / 2 + 1, MANY);
    put_members(&expected, 0, MANY);
    assert_int_equal(buf_u8(&text, ']', &e) || buf_u8(&expected, ']', &e), 0);
    assert_ok(cdc_expand(text.data, text.len, false, &s, &v, &e), &e);
    assert_int_equal(v.len, expected.len);
    assert_memory_equal(v.data, expected.data, v.len);
    buf_free(&text);
    buf_free(&expected);
    buf_free(&s);
    buf_free(&v);
}

static void test_expanded_members_of_a_name(void **state)
{
    (void)state;
    /* Of several the last counts, however it is spelt; what one object lacks is null. */
    expands("[{\"a\":1,\"b\":2,\"\\u0061\":3},{\"b\":4}]", false,
            "{\"type\":\"array\",\"items\":" STRUCT(FIELD("int32", "a") "," FIELD("int32", "b"),
                                                    "payload") ",\"optional\":true}",
            "[{\"a\":3,\"b\":2},{\"a\":null,\"b\":4}]");
}

static void test_expanded_types(void **state)
{
    (void)state;
    expands(
        " {\"i\":-1,\"l\":3000000000,\"d\":1.50,\"e\":1e3,\"t\":true,\"s\":\"\\u00e9\\ud83d\\ude00\\n\"} ",
        false,
        STRUCT(FIELD("int32", "i") "," FIELD("int64", "l") "," FIELD("double", "d") "," FIELD(
                   "double", "e") "," FIELD("boolean", "t") "," FIELD("string", "s"),
               "payload"),
        "{\"i\":-1,\"l\":3000000000,\"d\":1.5,\"e\":1000.0,\"t\":true,\"s\":\"\xc3\xa9\\uD83D\\uDE00\\n\"}");
    expands("[1,2.5,3000000000,null]", false,
            "{\"type\":\"array\",\"items\":{\"type\":\"double\",\"optional\":true},\"optional\":true}",
            "[1.0,2.5,3.0E9,null]");
}

static void test_expanded_nulls(void **state)
{
    (void)state;
    expands(
        "{\"a\":null,\"b\":[],\"c\":[null],\"o\":{\"x\":null}}", false,
        STRUCT("{\"type\":\"struct\",\"fields\":[],\"optional\":true,\"name\":\"payload.o\",\"field\":\"o\"}",
               "payload"),
        "{\"o\":{}}");
    expands(
        "{\"a\":null,\"c\":[null]}", true,
        STRUCT(FIELD("bytes", "a") ",{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true},"
                                   "\"optional\":true,\"field\":\"c\"}",
               "payload"),
        "{\"a\":null,\"c\":[null]}");
}

static void test_expanded_objects_of_an_array(void **state)
{
    (void)state;
    expands("[{\"a\":1},{\"b\":\"x\",\"a\":null},{}]", false,
            "{\"type\":\"array\",\"items\":" STRUCT(FIELD("int32", "a") "," FIELD("string", "b"),
                                                    "payload") ",\"optional\":true}",
            "[{\"a\":1,\"b\":null},{\"a\":null,\"b\":\"x\"},{\"a\":null,\"b\":null}]");
    /* Of a name that comes twice the last counts. */
    expands("{\"a\":1,\"a\":2}", false, STRUCT(FIELD("int32", "a"), "payload"), "{\"a\":2}");
}

static void test_what_does_not_expand(void **state)
{
    (void)state;
    does_not_expand("", "no JSON object or array");
    does_not_expand("\"text\"", "no JSON object or array");
    does_not_expand("[1,\"a\"]", "an array of int32 and string");
    does_not_expand("[[]]", "an array of nothing has no schema");
    does_not_expand("{\"a\":12345678901234567890}", "the number 12345678901234567890 is beyond 64 bits");
    does_not_expand("{\"a\":1e999}", "the number 1e999 is beyond a double");
    char deep[600];
    memset(deep, '[', 299);
    memset(deep + 299, ']', 299);
    deep[598] = '\0';
    does_not_expand(deep, "nested deeper than 128");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_as_recorded),
        CASE(test_payload_as_it_is),
        CASE(test_text_with_a_converter_of_strings),
        CASE(test_value_with_schema),
        CASE(test_other_columns),
        CASE(test_a_value_that_the_regex_does_not_match_is_the_topic),
        CASE(test_schema_version),
        CASE(test_tombstones_of_empty_payloads),
        CASE(test_updates_are_left_out_with_a_warning),
        CASE(test_updates_fail_if_told_so),
        CASE(test_a_table_that_is_no_outbox),
        CASE(test_a_missing_additional_field),
        CASE(test_bad_options),
        cmocka_unit_test(test_expanded_types),
        cmocka_unit_test(test_expanded_with_many_members),
        cmocka_unit_test(test_expanded_members_of_a_name),
        cmocka_unit_test(test_expanded_nulls),
        cmocka_unit_test(test_expanded_objects_of_an_array),
        cmocka_unit_test(test_what_does_not_expand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
