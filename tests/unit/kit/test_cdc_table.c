/*
 * Options, and what a table becomes by them: which tables and columns are captured, keys, masks, names, schemas.
 */
#include "kit/cdc/cdc_filter.h"
#include "kit/cdc/cdc_names.h"
#include "kit/cdc/cdc_schema.h"
#include "tests/unit/kit/cdc_rig.h"

/* The next record's value is that of a create in public.t with this row. */
static void expect_row(const char *key, const char *row)
{
    char value[4096];
    snprintf(value, sizeof(value),
             "{\"before\":null,\"after\":%s,\"source\":" SOURCE("t") ",\"transaction\":null,\"op\":\"c\"@}",
             row);
    rig_expect("px.public.t", key, value, CONTEXT);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------- */

static void test_all_tables_without_lists(void **state)
{
    (void)state;
    rig_open();
    assert_true(cdc_captures(rig.cdc, "public", "t"));
    assert_true(cdc_captures(rig.cdc, NULL, "t"));
    assert_true(cdc_captures_column(rig.cdc, "public", "t", "c"));
}

static void test_listed_tables(void **state)
{
    (void)state;
    rig_set("table.include.list", "public.a, public\\.b[12],shop.m");
    rig_set("signal.data.collection", "other.signals");
    rig_open();
    assert_true(cdc_captures(rig.cdc, "public", "a"));
    assert_true(cdc_captures(rig.cdc, "PUBLIC", "A"));
    assert_true(cdc_captures(rig.cdc, "public", "b1"));
    assert_false(cdc_captures(rig.cdc, "public", "b3"));
    assert_false(cdc_captures(rig.cdc, "public", "aa"));
    assert_false(cdc_captures(rig.cdc, "xpublic", "a"));
    /* Without schema the database stands before the dot. */
    assert_true(cdc_captures(rig.cdc, NULL, "m"));
    assert_false(cdc_captures(rig.cdc, NULL, "a"));
    assert_true(cdc_captures(rig.cdc, "other", "signals"));
    assert_true(cdc_is_signal_table(rig.cdc, "other", "signals"));
    assert_false(cdc_is_signal_table(rig.cdc, "public", "signals"));
}

static void test_excluded_tables_schemas_databases(void **state)
{
    (void)state;
    rig_set("table.exclude.list", "public.skip");
    rig_set("schema.include.list", "public,p.*");
    rig_open();
    assert_true(cdc_captures(rig.cdc, "public", "keep"));
    assert_true(cdc_captures(rig.cdc, "private", "skip"));
    assert_false(cdc_captures(rig.cdc, "public", "skip"));
    assert_false(cdc_captures(rig.cdc, "other", "keep"));
    cdc_free(rig.cdc);
    rig_set("schema.include.list", "");
    rig_set("schema.exclude.list", "other");
    rig_open();
    assert_false(cdc_captures(rig.cdc, "other", "keep"));
    assert_true(cdc_captures(rig.cdc, "public", "keep"));
    cdc_free(rig.cdc);
    rig_set("database.exclude.list", "sh.p");
    rig_open();
    assert_false(cdc_captures(rig.cdc, "public", "keep"));
}

/* The signal table may be named with its database. */
static void test_a_signal_table_by_its_full_name(void **state)
{
    (void)state;
    rig_set("signal.data.collection", "shop.public.signals");
    rig_open();
    assert_true(cdc_is_signal_table(rig.cdc, "public", "signals"));
}

static void refuses(const char *option, const char *value, const char *other, const char *other_value,
                    const char *why)
{
    rig_set(option, value);
    if (other)
        rig_set(other, other_value);
    rig_refuses(why);
}

static void test_refused_options(void **state)
{
    (void)state;
    refuses("table.include.list", "a.b,(c", NULL, NULL,
            "table.include.list: the regular expression \"(c\": missing closing parenthesis at character 3");
    refuses("table.include.list", "a.b", "table.exclude.list", "c.d",
            "table.include.list and table.exclude.list exclude each other");
    refuses("table.exclude.list", "", "skipped.operations", "c,x",
            "skipped.operations: \"x\" is none of c, u, d, t, or none alone");
    refuses("skipped.operations", "none,c", NULL, NULL,
            "skipped.operations: \"none\" is none of c, u, d, t, or none alone");
    refuses("skipped.operations", "none", "notification.enabled.channels", "sink",
            "notification.sink.topic.name: the notification channel sink needs it");
    refuses("notification.enabled.channels", "jmx,post", NULL, NULL,
            "notification.enabled.channels: \"post\" is none of sink, log, jmx");
    refuses("notification.enabled.channels", "jmx", "topic.prefix", "a b",
            "topic.prefix: \"a b\" has a character that a topic's name cannot have (letters, digits, . _ -)");
    refuses("topic.prefix", "", NULL, NULL, "topic.prefix: must not be empty");
    refuses("topic.prefix", "px", "message.key.columns", "public.t",
            "message.key.columns: \"public.t\" has no colon between table and columns");
    refuses("message.key.columns", "public.t:a,", NULL, NULL,
            "message.key.columns: an empty name of a column");
    refuses("message.key.columns", ":a", NULL, NULL, "message.key.columns: an empty name of a table");
}

/* ---- keys ------------------------------------------------------------------------------------------------------------------- */

static void test_other_keys(void **state)
{
    (void)state;
    rig_set("message.key.columns", " public.(?:t|u):b, A ;shop.public.v:x ; other.t:a");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "b:int32");
    rig_do(t, 'c', NULL, ROW("1", "x", NULL), NULL);
    /* In the table's order; where a column may be null, so may the key's field. */
    expect_row("{\"a\":\"x\",\"b\":null}", "{\"id\":1,\"a\":\"x\",\"b\":null}");
    cdc_table_free(t);
    t = rig_table("v", 0, "x:int32", "y:int32");
    assert_true(cdc_table_has_key(t));
    cdc_table_free(t);
    /* None of its columns is named: the primary key stays. */
    t = rig_table("u", 1, "id:int32!");
    struct err e;
    struct buf key;
    buf_init(&key, 1024);
    struct cdc_cell cells[16];
    assert_ok(cdc_table_key(t, rig_row(cells, ROW("7")), &key, &e), &e);
    assert_int_equal(key.len, 8);
    assert_memory_equal(key.data, "{\"id\":7}", 8);
    buf_free(&key);
    cdc_table_free(t);
}

static void test_a_change_of_another_key_moves_the_row(void **state)
{
    (void)state;
    rig_set("message.key.columns", "public.t:a");
    rig_set("tombstones.on.delete", "false");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string");
    rig_do(t, 'u', ROW("1", "x"), ROW("1", "y"), NULL);
    rig_expect("px.public.t", "{\"a\":\"x\"}", EVENT("t", "{\"id\":1,\"a\":\"x\"}", "null", "d"),
               "__debezium.newkey={\"a\":\"y\"};" CONTEXT);
    rig_expect("px.public.t", "{\"a\":\"y\"}", EVENT("t", "null", "{\"id\":1,\"a\":\"y\"}", "c"),
               "__debezium.oldkey={\"a\":\"x\"};" CONTEXT);
    cdc_table_free(t);
}

static void test_keys_keep_excluded_and_masked_columns(void **state)
{
    (void)state;
    rig_set("column.exclude.list", "public.t.id");
    rig_set("column.mask.with.3.chars", "public.t.a");
    rig_open();
    struct cdc_table *t = rig_table("t", 2, "id:int32!", "a:string!", "b:string");
    rig_do(t, 'c', NULL, ROW("1", "secret", "x"), NULL);
    expect_row("{\"id\":1,\"a\":\"secret\"}", "{\"a\":\"***\",\"b\":\"x\"}");
    assert_int_equal(cdc_table_columns(t), 3);
    assert_string_equal(cdc_table_column(t, 0)->name, "id");
    cdc_table_free(t);
}

/* ---- columns and masks ------------------------------------------------------------------------------------------------------- */

static void test_listed_columns(void **state)
{
    (void)state;
    rig_set("column.include.list", "public.t.(a|c|a~)");
    rig_open();
    /* Generated columns are not in the stream. */
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "b:string", "c:int32", "a~:int32");
    rig_do(t, 'c', NULL, ROW("1", "x", "y", "2", "3"), NULL);
    expect_row("{\"id\":1}", "{\"a\":\"x\",\"c\":2}");
    cdc_table_free(t);
}

/* Values as recorded in the case "filters": Java-serialized text for v1, UTF-8 bytes for v2. */
static void test_hashes_as_recorded(void **state)
{
    (void)state;
    rig_set("column.mask.hash.SHA-256.with.salt.xyz", "public.t.h1");
    rig_set("column.mask.hash.v2.SHA-256.with.salt.xyz", "public.t.h2");
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "h1:string", "h2:string");
    rig_do(t, 'c', NULL, ROW("hashme", "hashme"), NULL);
    rig_do(t, 'c', NULL, ROW("hash", "hash"), NULL);
    rig_do(t, 'c', NULL, ROW(NULL, RIG_UNCHANGED), NULL);
    expect_row(NULL, "{\"h1\":\"bf55fdd9cece34b6ff459be7add6efa6f83547f59a5be8ac199d455fafe7bb4d\","
                     "\"h2\":\"bf9acfea11e32864de349d0010452c2d456814bc8a7aae4d0c9dc33b37f847c4\"}");
    expect_row(NULL, "{\"h1\":\"7913a96a644025af960f97d78e5712e7e67ff7a66e11c744d51850d768a8c89e\","
                     "\"h2\":\"625a5da56219ed728175f9cde0824705129edbb6e5db226d6eda113c033f0328\"}");
    expect_row(NULL, "{\"h1\":null,\"h2\":\"__debezium_unavailable_value\"}");
    cdc_table_free(t);
}

/* Long texts have another tag and length in Java's form; characters beyond the basic plane are two of three bytes there. */
static void test_hashes_of_long_and_odd_texts(void **state)
{
    (void)state;
    rig_set("column.mask.hash.MD5.with.salt.", "public.t.h");
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "h:string");
    char *text = malloc(70001);
    memset(text, 'a', 70000);
    text[70000] = '\0';
    rig_do(t, 'c', NULL, ROW(text), NULL);
    rig_do(t, 'c', NULL, ROW("\xf0\x9f\x98\x80\xc3\xbc"), NULL);
    rig_do(t, 'c', NULL, ROW(""), NULL);
    /* MD5 of aced0005 7c 0000000000011170 and 70000 times 61; of aced0005 74 0008 eda0bd edb880 c3bc; of aced0005 74 0000. */
    expect_row(NULL, "{\"h\":\"734cf37a13206a4ab5f7f6424445a996\"}");
    expect_row(NULL, "{\"h\":\"7a803059c17013d6801eb80cf2e45ae8\"}");
    expect_row(NULL, "{\"h\":\"c4a70a8ea6ba44b8efd1bba8b6d6c8aa\"}");
    free(text);
    cdc_table_free(t);
}

/* A NUL is two bytes in Java's form. */
static void test_hashes_of_a_nul(void **state)
{
    (void)state;
    rig_set("column.mask.hash.MD5.with.salt.", "public.t.h");
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "h:string");
    struct cdc_change ch = rig_change(t, 'c', NULL, ROW("a\0b"), NULL);
    rig_cells[1][0].len = 3;
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
    /* MD5 of aced0005 74 0004 61c08062 */
    expect_row(NULL, "{\"h\":\"0dd6b652ffe85d4a89847f4370dd25d4\"}");
    cdc_table_free(t);
}

/* Parameters of the column and those of a rule together, and either alone. */
static void test_parameters(void **state)
{
    (void)state;
    static const struct cdc_mask_rule mask = {.kind = CDC_MASK_FIXED};
    static const char *const wanted[] = {
        "{\"type\":\"bytes\",\"optional\":true,\"doc\":\"d\",\"parameters\":{\"scale\":\"1\"}}",
        "{\"type\":\"bytes\",\"optional\":true,\"doc\":\"d\",\"parameters\":{\"scale\":\"1\",\"masked\":"
        "\"true\"}}",
        "{\"type\":\"bytes\",\"optional\":true,\"doc\":\"d\",\"parameters\":{\"masked\":\"true\"}}",
        "{\"type\":\"bytes\",\"optional\":true,\"doc\":\"d\"}",
    };
    char type[] = "\"bytes\"", own[] = "\"scale\":\"1\"", doc[] = "d";
    for (int i = 0; i < 4; i++) {
        struct cdc_column c = {
            .schema = {.type = type, .optional = true, .doc = doc, .parameters = i < 2 ? own : NULL}};
        struct err e;
        struct buf b;
        buf_init(&b, 4096);
        assert_ok(cdc_schema_write(&c, &(struct cdc_extra){i == 1 || i == 2 ? &mask : NULL, NULL}, &b, &e),
                  &e);
        assert_int_equal(b.len, strlen(wanted[i]));
        assert_memory_equal(b.data, wanted[i], b.len);
        buf_free(&b);
    }
}

static void test_truncated_texts(void **state)
{
    (void)state;
    rig_set("column.truncate.to.3.chars", "public.t.a,public.t.b");
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "a:string", "b:string");
    rig_do(t, 'c', NULL, ROW("abcdef", "ab"), NULL);
    rig_do(t, 'c', NULL, ROW("\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc", "\xf0\x9f\x98\x80\xf0\x9f\x98\x80"), NULL);
    rig_do(t, 'c', NULL, ROW(NULL, RIG_UNCHANGED), NULL);
    expect_row(NULL, "{\"a\":\"abc\",\"b\":\"ab\"}");
    /* Three of four; one of two, as it is two units and half of the next one is no character. */
    expect_row(NULL, "{\"a\":\"\xc3\xbc\xc3\xbc\xc3\xbc\",\"b\":\"\\uD83D\\uDE00\"}");
    expect_row(NULL, "{\"a\":null,\"b\":\"__debezium_unavailable_value\"}");
    cdc_table_free(t);
}

static void test_fixed_masks_hide_everything(void **state)
{
    (void)state;
    rig_set("column.mask.with.2.chars", "public.t.a");
    rig_set("column.mask.with.0.chars", "public.t.b");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "id:int32!", "a:string", "b:string");
    rig_do(t, 'c', NULL, ROW("1", NULL, "x"), NULL);
    rig_do(t, 'u', ROW("1", RIG_ABSENT, RIG_ABSENT), ROW("1", RIG_UNCHANGED, NULL), NULL);
    expect_row("{\"id\":1}", "{\"id\":1,\"a\":\"**\",\"b\":\"\"}");
    rig_expect("px.public.t", "{\"id\":1}",
               EVENT("t", "{\"id\":1,\"a\":\"**\",\"b\":\"\"}", "{\"id\":1,\"a\":\"**\",\"b\":\"\"}", "u"),
               CONTEXT);
    cdc_table_free(t);
}

/* Fixed before truncate before propagate before hash; what has no text stays, and is told of. */
static void test_one_rule_a_column(void **state)
{
    (void)state;
    rig_set("column.mask.with.1.chars", "public.t.a");
    rig_set("column.truncate.to.1.chars", "public.t.[ab]");
    rig_set("column.propagate.source.type", "public.t.[abc]");
    rig_set("column.mask.hash.v2.SHA-1.with.salt.x", "public.t.[abc]");
    rig_open();
    struct cdc_table *t = rig_table("t", 0, "a:string", "b:string", "c:string");
    assert_int_equal(rig.warnings, 1);
    assert_string_equal(rig.log_text,
                        "column.mask.hash.v2.SHA-1.with.salt.x: the column public.t.c is not hashed, as "
                        "column.propagate.source.type names it, too");
    rig_do(t, 'c', NULL, ROW("xyz", "xyz", "xyz"), NULL);
    expect_row(NULL, "{\"a\":\"*\",\"b\":\"x\",\"c\":\"xyz\"}");
    cdc_table_free(t);
    cdc_free(rig.cdc);
    rig_set("column.mask.with.9.chars", "public.n.n");
    rig_open();
    t = rig_table("n", 0, "n:int32");
    assert_string_equal(
        rig.log_text,
        "column.mask.with.9.chars: the column public.n.n has no text, so its values stay as they are");
    cdc_table_free(t);
}

static void test_refused_masks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"column.mask.with.x.chars",
         "column.mask.with.x.chars: \"x\" is no number of characters from 0 to 1000000"},
        {"column.mask.with.1000001.chars",
         "column.mask.with.1000001.chars: \"1000001\" is no number of characters from 0 to 1000000"},
        {"column.truncate.to.-1.chars",
         "column.truncate.to.-1.chars: \"-1\" is no number of characters from 0 to 1000000"},
        {"column.mask.hash.ROT-13.with.salt.x", "column.mask.hash.ROT-13.with.salt.x: \"ROT-13\" is no hash "
                                                "that there is (SHA-256, SHA-512, MD5 ...)"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        rig_set(cases[i][0], "public.t.a");
        rig_refuses(cases[i][1]);
        rig_teardown(state);
        rig_setup(state);
    }
}

/* ---- names ------------------------------------------------------------------------------------------------------------------- */

static void test_names_of_topics(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"a.b-c_D9", "a.b-c_D9"},
        {"p.s.Odd N\xc3\xa4me\xf0\x9f\x98\x80!", "p.s.Odd_N_me___"},
        {".", "_"},
        {"..", "__"},
        {"a\xff", "a_"},
    };
    struct err e;
    char *name, longer[300], *cut;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        assert_ok(cdc_topic_name(cases[i][0], &name, &e), &e);
        assert_string_equal(name, cases[i][1]);
        mem_free(name);
    }
    memset(longer, 'x', 299);
    longer[299] = '\0';
    assert_ok(cdc_topic_name(longer, &cut, &e), &e);
    assert_int_equal(strlen(cut), 249);
    mem_free(cut);
}

static void test_adjusted_names(void **state)
{
    (void)state;
    static const struct {
        enum cdc_adjust mode;
        bool field;
        const char *from, *to;
    } cases[] = {
        {CDC_ADJUST_NONE, false, "1a-b.\xc3\xa4", "1a-b.\xc3\xa4"},
        {CDC_ADJUST_AVRO, false, "1a-b._c\xc3\xa4", "_1a_b._c_"},
        {CDC_ADJUST_AVRO, true, "1a-b.c", "_1a_b_c"},
        {CDC_ADJUST_AVRO_UNICODE, false, "a-b_c", "a_u002db_u005fc"},
        {CDC_ADJUST_AVRO_UNICODE, true, "\xf0\x9f\x98\x80", "_ud83d_ude00"},
    };
    struct err e;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        char *name;
        assert_ok(cdc_adjust_name(cases[i].mode, cases[i].field, cases[i].from, &name, &e), &e);
        assert_string_equal(name, cases[i].to);
        mem_free(name);
    }
}

static void test_adjusted_fields(void **state)
{
    (void)state;
    rig_set("field.name.adjustment.mode", "avro");
    rig_open();
    struct cdc_table *t = rig_table("t", 1, "1 id:int32!", "a-b:string");
    rig_do(t, 'c', NULL, ROW("1", "x"), NULL);
    expect_row("{\"_1_id\":1}", "{\"_1_id\":1,\"a_b\":\"x\"}");
    cdc_table_free(t);
    struct cdc_table_spec s = {.db = mem_strdup("shop"),
                               .schema = mem_strdup("public"),
                               .table = mem_strdup("t"),
                               .column_count = 2,
                               .columns = mem_calloc(2, sizeof(*s.columns))};
    rig_column(&s.columns[0], "a-b:string");
    rig_column(&s.columns[1], "a+b:string");
    struct err e;
    assert_null(cdc_table_new(rig.cdc, &s, &e));
    assert_string_equal(e.text,
                        "field.name.adjustment.mode: the columns a-b and a+b of public.t get one name");
    assert_null(s.columns);
}

/* ---- schemas ----------------------------------------------------------------------------------------------------------------- */

#define ROW_SCHEMA                                                                                           \
    "{\"type\":\"int32\",\"optional\":false,\"parameters\":{\"__debezium.source.column.type\":\"INT4\","     \
    "\"__debezium.source.column.length\":\"10\",\"__debezium.source.column.scale\":\"0\","                   \
    "\"__debezium.source.column.name\":\"id\"},\"field\":\"id\"},"                                           \
    "{\"type\":\"string\",\"optional\":true,\"parameters\":{\"truncateLength\":\"4\"},\"field\":\"a\"},"     \
    "{\"type\":\"string\",\"optional\":true,\"parameters\":{\"masked\":\"true\"},\"field\":\"b\"},"          \
    "{\"type\":\"string\",\"optional\":true,\"name\":\"x.Json\",\"version\":1,\"parameters\":{"              \
    "\"__debezium.source.column.type\":\"VARCHAR\",\"__debezium.source.column.length\":\"80\","              \
    "\"__debezium.source.column.name\":\"j\"},\"field\":\"j\"},"                                             \
    "{\"type\":\"int64\",\"optional\":false,\"default\":5,\"field\":\"n\"}"

static void test_schemas(void **state)
{
    (void)state;
    rig.key_schemas = rig.value_schemas = true;
    rig_set("schema.name.adjustment.mode", "avro");
    rig_set("topic.prefix", "p-x");
    rig_set("column.truncate.to.4.chars", "public.t.a");
    rig_set("column.mask.with.1.chars", "public.t.b");
    rig_set("column.propagate.source.type", "public.t.id");
    rig_set("datatype.propagate.source.type", "public.t.varchar");
    rig_open();
    struct cdc_table *t =
        rig_table("t", 1, "id:int32!", "a:string", "b:string", "j:string/x.Json", "n:int64!=5");
    rig_do(t, 'c', NULL, ROW("1", "x", "y", "z", NULL), NULL);
    rig_flush();
    rig_hide_time(rig.records[0].value);
    assert_string_equal(rig.records[0].topic, "p-x.public.t");
    assert_string_equal(
        rig.records[0].key,
        "{\"schema\":{\"type\":\"struct\",\"fields\":[{\"type\":\"int32\",\"optional\":false,"
        "\"field\":\"id\"}],\"optional\":false,\"name\":\"p_x.public.t.Key\"},\"payload\":{\"id\":1}}");
    char want[8192];
    snprintf(
        want, sizeof(want),
        "{\"schema\":{\"type\":\"struct\",\"fields\":["
        "{\"type\":\"struct\",\"fields\":[%s],\"optional\":true,\"name\":\"p_x.public.t.Value\",\"field\":"
        "\"before\"},"
        "{\"type\":\"struct\",\"fields\":[%s],\"optional\":true,\"name\":\"p_x.public.t.Value\",\"field\":"
        "\"after\"},"
        "{\"type\":\"struct\",\"fields\":[{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},",
        ROW_SCHEMA, ROW_SCHEMA);
    assert_memory_equal(rig.records[0].value, want, strlen(want));
    assert_non_null(
        strstr(rig.records[0].value,
               "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
               "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},"
               "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"},"
               "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}],\"optional\":false,"
               "\"name\":\"p_x.public.t.Envelope\",\"version\":2},\"payload\":{\"before\":null,\"after\":"
               "{\"id\":1,\"a\":\"x\",\"b\":\"*\",\"j\":\"z\",\"n\":5},"));
    cdc_table_free(t);
}

/* ---- expressions -------------------------------------------------------------------------------------------------------------- */

/* Texts for which the JIT's stack is too small. */
static void test_expressions_of_long_texts(void **state)
{
    (void)state;
    struct err e;
    struct cdc_filter f;
    struct cdc_regex *r;
    char *out, text[20001];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = "ab"[i % 2];
    text[sizeof text - 1] = '\0';
    assert_ok(cdc_filter_parse("o", "(?:a|b)+", &f, &e), &e);
    assert_true(cdc_filter_matches(&f, text));
    text[sizeof text - 2] = 'c';
    assert_false(cdc_filter_matches(&f, text));
    cdc_filter_free(&f);
    assert_ok(cdc_regex_new("o", "(a)(?:a|b)+(c)", 14, false, &r, &e), &e);
    assert_ok(cdc_regex_replace(r, text, "$2-$1", &out, &e), &e);
    assert_string_equal(out, "c-a");
    mem_free(out);
    cdc_regex_free(r);
}

static void test_lists_of_expressions(void **state)
{
    (void)state;
    struct err e;
    struct cdc_filter f;
    assert_ok(cdc_filter_parse("o", " a\\,+ ,, b|c,(?:d),", &f, &e), &e);
    assert_int_equal(f.count, 3);
    assert_true(cdc_filter_matches(&f, "a,,"));
    assert_false(cdc_filter_matches(&f, "a"));
    assert_true(cdc_filter_matches(&f, "C"));
    assert_false(cdc_filter_matches(&f, "bc"));
    assert_true(cdc_filter_matches(&f, "d"));
    assert_false(cdc_filter_matches(&f, "d\nx"));
    cdc_filter_free(&f);
    const char *const items[] = {"a\\", "x", "b{1,2}"};
    assert_ok(cdc_filter_read("o", items, 3, &f, &e), &e);
    assert_int_equal(f.count, 2);
    assert_true(cdc_filter_matches(&f, "a,x"));
    assert_true(cdc_filter_matches(&f, "bb"));
    cdc_filter_free(&f);
    assert_code(cdc_filter_parse("o", "a,*", &f, &e), ERR_INVALID_CONFIG, &e);
    assert_int_equal(f.count, 0);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_tables_without_lists),
        CASE(test_listed_tables),
        CASE(test_excluded_tables_schemas_databases),
        CASE(test_a_signal_table_by_its_full_name),
        CASE(test_refused_options),
        CASE(test_other_keys),
        CASE(test_a_change_of_another_key_moves_the_row),
        CASE(test_keys_keep_excluded_and_masked_columns),
        CASE(test_listed_columns),
        CASE(test_hashes_as_recorded),
        CASE(test_hashes_of_long_and_odd_texts),
        CASE(test_hashes_of_a_nul),
        CASE(test_parameters),
        CASE(test_truncated_texts),
        CASE(test_fixed_masks_hide_everything),
        CASE(test_one_rule_a_column),
        CASE(test_refused_masks),
        CASE(test_names_of_topics),
        CASE(test_adjusted_names),
        CASE(test_adjusted_fields),
        CASE(test_schemas),
        CASE(test_lists_of_expressions),
        CASE(test_expressions_of_long_texts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
