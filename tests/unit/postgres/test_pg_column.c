/*
 * Schemas, placeholders, fallbacks, defaults and source types of columns. What is taken from recorded events names the case of
 * tests/data/debezium.
 */
#include "connectors/postgres/pg_decode.h"
#include "kit/cdc/cdc_schema.h"
#include "pg_values.h"

static const struct typed text = {25, "text", false, -1}, varchar = {1043, "varchar", false, 24},
                          int4 = {23, "int4", false, -1}, numeric = {1700, "numeric", false, -1},
                          n82 = {1700, "numeric", false, NUMERIC(8, 2)}, bytea = {17, "bytea", false, -1},
                          hstore = {70002, "hstore", false, -1}, tstz = {1184, "timestamptz", false, -1},
                          mood = {70000, "mood", false, -1};

#define P "__debezium_unavailable_value"
#define P64 "\"X19kZWJleml1bV91bmF2YWlsYWJsZV92YWx1ZQ==\""
#define CODES                                                                                                \
    "[95,95,100,101,98,101,122,105,117,109,95,117,110,97,118,97,105,108,97,98,108,101,95,118,97,108,117,"    \
    "101]"

static void assert_member(const char *what, const struct typed *t, const char *got, const char *expected)
{
    if (!got || strcmp(got, expected) != 0)
        fail_msg("%s of %s%s: %s instead of %s", what, t->name, t->array ? "[]" : "", got ? got : "nothing",
                 expected);
}

static void assert_unchanged(const struct typed *t, const char *json)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    column_of(types, t, true, &c);
    assert_member("placeholder", t, c.unchanged, json);
    cdc_column_clear(&c);
    pg_types_free(types);
}

static void assert_absent(const struct typed *t, const char *json)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    column_of(types, t, false, &c);
    assert_member("fallback", t, c.absent, json);
    cdc_column_clear(&c);
    column_of(types, t, true, &c);
    assert_member("fallback", t, c.absent, "null");
    cdc_column_clear(&c);
    pg_types_free(types);
}

/* toast: every type there; then the rule carried on. */
static void test_placeholders(void **state)
{
    (void)state;
    static const struct typed json = {114, "json", false, -1}, xml = {142, "xml", false, -1},
                              texts = {25, "text", true, -1}, ints = {23, "int4", true, -1},
                              bigs = {20, "int8", true, -1}, uuids = {2950, "uuid", true, -1},
                              byteas = {17, "bytea", true, -1}, dates = {1082, "date", true, -1};
    assert_unchanged(&text, "\"" P "\"");
    assert_unchanged(&varchar, "\"" P "\"");
    assert_unchanged(&json, "\"" P "\"");
    assert_unchanged(&xml, "\"" P "\"");
    assert_unchanged(&bytea, P64);
    assert_unchanged(&texts, "[\"" P "\"]");
    assert_unchanged(&ints, CODES);
    assert_unchanged(&bigs, CODES);
    assert_unchanged(&dates, CODES);
    assert_unchanged(&uuids, "[\"b68a35a7-17ad-35b3-af2a-ae46edb4545a\"]");
    assert_unchanged(&byteas, "[" P64 "]");
    assert_unchanged(&hstore, "\"{\\\"" P "\\\":\\\"" P "\\\"}\"");
}

static void test_placeholders_of_other_types(void **state)
{
    (void)state;
    static const struct typed varbit = {1562, "varbit", false, -1}, numerics = {1700, "numeric", true, -1},
                              bools = {16, "bool", true, -1}, moods = {70000, "mood", true, -1},
                              geometry = {70003, "geometry", false, -1},
                              hstores = {70002, "hstore", true, -1};
    assert_unchanged(&numeric, "{\"scale\":0,\"value\":" P64 "}");
    assert_unchanged(&n82, P64);
    assert_unchanged(&varbit, P64);
    assert_unchanged(&numerics, "[{\"scale\":0,\"value\":" P64 "}]");
    assert_unchanged(&bools, "null");
    assert_unchanged(&moods, "[\"" P "\"]");
    assert_unchanged(&hstores, "[\"{\\\"" P "\\\":\\\"" P "\\\"}\"]");
    assert_unchanged(&geometry, "{\"wkb\":" P64 ",\"srid\":null}");
    assert_unchanged(&int4, "null");
    modes = (struct pg_modes){.decimal = PG_DECIMAL_DOUBLE, .binary = PG_BINARY_HEX, .hstore = PG_HSTORE_MAP};
    assert_unchanged(&numeric, "\"NaN\"");
    assert_unchanged(&bytea, "\"" P "\"");
    assert_unchanged(&hstore, "{\"" P "\":\"" P "\"}");
    modes = (struct pg_modes){.decimal = PG_DECIMAL_STRING, .binary = PG_BINARY_BASE64};
    assert_unchanged(&n82, "\"" P "\"");
    assert_unchanged(&bytea, P64);
    modes = (struct pg_modes){0};
}

/* dml: the old row of k_default's deletes; the rest by the same rule. */
static void test_fallbacks(void **state)
{
    (void)state;
    static const struct typed boolean = {16, "bool", false, -1}, dbl = {701, "float8", false, -1},
                              jsonb = {3802, "jsonb", false, -1}, uuid = {2950, "uuid", false, -1},
                              date = {1082, "date", false, -1}, ints = {23, "int4", true, -1},
                              ts = {1114, "timestamp", false, 3}, money = {790, "money", false, -1},
                              point = {600, "point", false, -1}, varbit = {1562, "varbit", false, -1},
                              timetz = {1266, "timetz", false, -1}, interval = {1186, "interval", false, -1},
                              vector = {70004, "vector", false, -1}, sparse = {70004, "sparsevec", false, -1},
                              geometry = {70003, "geometry", false, -1};
    assert_absent(&text, "\"\"");
    assert_absent(&boolean, "false");
    assert_absent(&dbl, "0.0");
    assert_absent(&bytea, "\"\"");
    assert_absent(&jsonb, "\"\"");
    assert_absent(&uuid, "\"\"");
    assert_absent(&date, "0");
    assert_absent(&n82, "\"AA==\"");
    assert_absent(&tstz, "\"1970-01-01T00:00:00Z\"");
    assert_absent(&ints, "[]");
    assert_absent(&int4, "0");
    assert_absent(&ts, "0");
    assert_absent(&numeric, "{\"scale\":0,\"value\":\"AA==\"}");
    assert_absent(&money, "\"AA==\"");
    assert_absent(&mood, "\"\"");
    assert_absent(&varbit, "\"\"");
    assert_absent(&timetz, "\"00:00:00Z\"");
    assert_absent(&interval, "0");
    assert_absent(&hstore, "\"{}\"");
    assert_absent(&point, "{\"x\":0.0,\"y\":0.0,\"wkb\":\"AQEAAAAAAAAAAAAAAAAAAAAAAAAA\",\"srid\":null}");
    assert_absent(&geometry, "{\"wkb\":\"AQcAAAAAAAAA\",\"srid\":null}");
    assert_absent(&vector, "[]");
    assert_absent(&sparse, "{\"dimensions\":0,\"vector\":[]}");
    modes = (struct pg_modes){.decimal = PG_DECIMAL_STRING,
                              .time = PG_TIME_ISO,
                              .interval = PG_INTERVAL_STRING,
                              .hstore = PG_HSTORE_MAP};
    assert_absent(&n82, "\"0.00\"");
    assert_absent(&date, "\"1970-01-01Z\"");
    assert_absent(&ts, "\"1970-01-01T00:00:00Z\"");
    assert_absent(&interval, "\"P0Y0M0DT0H0M0S\"");
    assert_absent(&hstore, "{}");
    modes = (struct pg_modes){0};
}

/* The default of an expression; NULL: none. */
static void assert_default(const struct typed *t, bool optional, const char *expression, const char *json)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c = {.name = mem_strdup("col")};
    struct pg_type type = {.oid = t->oid,
                           .name = t->name,
                           .base = t->name,
                           .domain_typmod = -1,
                           .delimiter = ',',
                           .labels = "sad,ok"};
    type.typtype = strcmp(t->name, "mood") == 0 ? 'e' : 'b';
    assert_ok(pg_column_init(types, &type, t->typmod, optional, &c, &e), &e);
    assert_ok(pg_column_default(&type, expression, &c, &e), &e);
    if (json && c.schema.def)
        assert_member(expression, t, c.schema.def, json);
    else if (json || c.schema.def)
        fail_msg("default %s of %s: %s", expression, t->name, c.schema.def ? c.schema.def : "none");
    assert_member("fallback by default", t, c.absent, json ? json : optional ? "null" : c.absent);
    cdc_column_clear(&c);
    pg_types_free(types);
}

/* types_scalar, types_temporal, schema_change; and other spellings of pg_get_expr. */
static void test_constant_defaults(void **state)
{
    (void)state;
    static const struct typed int8 = {20, "int8", false, -1}, boolean = {16, "bool", false, -1},
                              date = {1082, "date", false, -1}, ts = {1114, "timestamp", false, -1},
                              interval = {1186, "interval", false, 2}, json = {114, "json", false, -1},
                              bit3 = {1560, "bit", false, 3}, dbl = {701, "float8", false, -1},
                              uuid = {2950, "uuid", false, -1}, bpchar = {1042, "bpchar", false, 9};
    assert_default(&int4, false, "7", "7");
    assert_default(&int8, true, "'9000000000'::bigint", "9000000000");
    assert_default(&int4, true, "'-1'::integer", "-1");
    assert_default(&int4, true, "(-1)", "-1");
    assert_default(&n82, true, "1.50", "\"AJY=\"");
    assert_default(&n82, true, "5", "\"AfQ=\"");
    assert_default(&n82, true, "'-1.5'::numeric", "\"/2o=\"");
    assert_default(&varchar, false, "'dflt'::character varying", "\"dflt\"");
    assert_default(&bpchar, true, "'ab'::bpchar", "\"ab\"");
    assert_default(&mood, true, "'ok'::mood", "\"ok\"");
    assert_default(&mood, true, "'ok'::\"Odd schema\".\"mo::od\"", "\"ok\"");
    assert_default(&boolean, true, "true", "true");
    assert_default(&boolean, false, "false", "false");
    assert_default(&date, true, "'2020-02-03'::date", "18295");
    assert_default(&ts, false, "'2021-02-03 04:05:06.789'::timestamp without time zone", "1612325106789000");
    assert_default(&ts, true, "'2021-02-03'::date", "1612310400000000");
    assert_default(&tstz, false, "'2020-01-01 00:00:00+00'::timestamp with time zone",
                   "\"2020-01-01T00:00:00.000000Z\"");
    assert_default(&tstz, true, "'2020-01-01'::date", "\"2020-01-01T00:00:00.000000Z\"");
    assert_default(&tstz, true, "'2020-01-01 00:00:00'::timestamp without time zone",
                   "\"2020-01-01T00:00:00.000000Z\"");
    assert_default(&interval, false, "'1 day'::interval(2)", "86400000000");
    assert_default(&json, true, "'{\"a\": \"it''s\"}'::json", "\"{\\\"a\\\": \\\"it's\\\"}\"");
    assert_default(&text, true, "'it''s'::text", "\"it's\"");
    assert_default(&text, true, "E'back\\\\slash''s'::text", "\"back\\\\slash's\"");
    assert_default(&text, true, "'a::b || c'::text", "\"a::b || c\"");
    assert_default(&text, true, "''::text", "\"\"");
    assert_default(&bit3, true, "B'101'::\"bit\"", "\"BQ==\"");
    assert_default(&dbl, true, "'1e+10'::double precision", "1.0E10");
    assert_default(&dbl, true, "5", "5.0");
    assert_default(&uuid, true, "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid",
                   "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
}

static void test_defaults_that_are_not_told(void **state)
{
    (void)state;
    static const struct typed citext = {70007, "citext", false, -1}, inet = {869, "inet", false, -1},
                              money = {790, "money", false, -1}, name = {19, "name", false, -1};
    assert_default(&int4, true, NULL, NULL);
    assert_default(&int4, true, "NULL::integer", NULL);
    assert_default(&int4, true, "5.4", NULL); /* no integer */
    assert_default(&int4, true, "(5 + 3)", NULL);
    assert_default(&int4, false, "(5 + 3)", NULL);
    assert_default(&int4, false, "((5) + 3)", NULL);
    assert_default(&text, true, "('a'::text || 'b'::text)", NULL);
    assert_default(&text, true, "'a'::text || 'b'::text", NULL);
    assert_default(&n82, true, "'NaN'::numeric", NULL);
    assert_default(&numeric, true, "5", NULL);
    assert_default(&numeric, true, "random()", NULL); /* a struct has no default in Connect */
    assert_default(&bytea, true, "'\\x01'::bytea", NULL);
    assert_default(&citext, true, "'x'::citext", NULL);
    assert_default(&inet, true, "'10.0.0.1'::inet", NULL);
    assert_default(&money, true, "1.5", NULL);
    assert_default(&name, true, "'n'::name", NULL);
    assert_default(&mood, false, "lower('OK'::text)::mood", NULL);
    assert_default(&text, true, "'open", NULL);
    assert_default(&text, true, "E", NULL);
    assert_default(&text, true, "", NULL);
}

static void test_functions_as_defaults(void **state)
{
    (void)state;
    static const struct typed date = {1082, "date", false, -1}, ts = {1114, "timestamp", false, -1},
                              json = {114, "json", false, -1}, uuid = {2950, "uuid", false, -1},
                              tstz3 = {1184, "timestamptz", false, 3};
    assert_default(&int4, false, "nextval('s'::regclass)", "0");
    assert_default(&date, false, "CURRENT_DATE", "0");
    assert_default(&ts, false, "now()", "0");
    assert_default(&tstz, false, "now()", "\"1970-01-01T00:00:00.000000Z\"");
    assert_default(&tstz3, false, "CURRENT_TIMESTAMP", "\"1970-01-01T00:00:00.000Z\"");
    assert_default(&json, false, "jsonb_build_object()", "\"{}\"");
    assert_default(&uuid, false, "gen_random_uuid()", "\"00000000-0000-0000-0000-000000000000\"");
    assert_default(&text, false, "upper('x'::text)", "\"\"");
    assert_default(&n82, false, "random()", "\"AA==\"");
    assert_default(&n82, true, "(public.rate(1) + 1.5)", "\"AA==\"");
    assert_default(&int4, true, "nextval('s'::regclass)", "0");
    assert_default(&tstz, true, "now()", "\"1970-01-01T00:00:00.000000Z\"");
    assert_default(&tstz, true, "CURRENT_TIMESTAMP", "\"1970-01-01T00:00:00.000000Z\"");
}

static void assert_source(const struct typed *t, const char *type, int32_t length, int32_t scale)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    column_of(types, t, true, &c);
    assert_string_equal(c.source_type, type);
    assert_int_equal(c.source_length, length);
    assert_int_equal(c.source_scale, scale);
    cdc_column_clear(&c);
    pg_types_free(types);
}

/* filters: INT4 and NUMERIC; sizes as pgjdbc's TypeInfoCache tells them. */
static void test_source_types(void **state)
{
    (void)state;
    static const struct typed n51 = {1700, "numeric", false, NUMERIC(5, 1)},
                              ts3 = {1114, "timestamp", false, 3}, bit = {1560, "bit", false, 20},
                              real = {700, "float4", false, -1};
    assert_source(&int4, "INT4", 10, 0);
    assert_source(&n51, "NUMERIC", 5, 1);
    assert_source(&varchar, "VARCHAR", 20, 0);
    assert_source(&text, "TEXT", INT32_MAX, 0);
    assert_source(&numeric, "NUMERIC", 131089, 0);
    assert_source(&ts3, "TIMESTAMP", 26, 3);
    assert_source(&bit, "BIT", 20, 0);
    assert_source(&real, "FLOAT4", 8, 8);
}

static void assert_schema(const struct typed *t, const char *json)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    struct buf out;
    buf_init(&out, 1 << 16);
    column_of(types, t, true, &c);
    assert_false(c.generated);
    assert_ok(cdc_schema_write(&c, &(struct cdc_extra){0}, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_member("schema", t, (char *)out.data, json);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
}

/* Types that the recorded cases do not have: as in Debezium's source, v3.5.0.Final. */
static void test_schemas_of_extensions(void **state)
{
    (void)state;
    static const struct typed geometry = {70003, "geometry", false, -1},
                              geography = {70003, "geography", false, -1},
                              vector = {70004, "vector", false, 3}, half = {70005, "halfvec", true, 3},
                              sparse = {70006, "sparsevec", false, 5}, isbn = {70007, "isbn", false, -1};
#define GEO(n, doc)                                                                                          \
    "{\"type\":\"struct\",\"fields\":[{\"type\":\"bytes\",\"optional\":false,\"field\":\"wkb\"},"            \
    "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}],\"optional\":true,"                          \
    "\"name\":\"io.debezium.data.geometry." n "\",\"version\":1,\"doc\":\"" doc "\"}"
    assert_schema(&geometry, GEO("Geometry", "Geometry"));
    assert_schema(&geography, GEO("Geography", "Geography"));
    assert_schema(&vector,
                  "{\"type\":\"array\",\"items\":{\"type\":\"double\",\"optional\":false},\"optional\":true,"
                  "\"name\":\"io.debezium.data.DoubleVector\",\"version\":1}");
    assert_schema(
        &half,
        "{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"float\",\"optional\":false},"
        "\"optional\":true,\"name\":\"io.debezium.data.FloatVector\",\"version\":1},\"optional\":true}");
    assert_schema(&sparse, "{\"type\":\"struct\",\"fields\":[{\"type\":\"int16\",\"optional\":false,"
                           "\"field\":\"dimensions\"},{\"type\":\"map\","
                           "\"keys\":{\"type\":\"int16\",\"optional\":false},\"values\":{\"type\":\"double\","
                           "\"optional\":false},"
                           "\"optional\":false,\"field\":\"vector\"}],\"optional\":true,\"name\":\"io."
                           "debezium.data.SparseDoubleVector\","
                           "\"version\":1,\"doc\":\"Sparse double vector\"}");
    assert_schema(&isbn, "{\"type\":\"string\",\"optional\":true}");
}

static bool left_out(const struct typed *t)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    column_of(types, t, true, &c);
    bool out = c.generated;
    assert_non_null(c.schema.type);
    assert_non_null(c.encode);
    cdc_column_clear(&c);
    pg_types_free(types);
    return out;
}

static void test_what_is_left_out(void **state)
{
    (void)state;
    static const struct typed unknown[] = {{70001, "pair", false, -1},   {718, "circle", false, -1},
                                           {3615, "tsquery", false, -1}, {3220, "pg_lsn", false, -1},
                                           {70001, "pair", true, -1},    {4451, "int4multirange", false, -1}};
    static const struct typed never[] = {{790, "money", true, -1},   {1186, "interval", true, -1},
                                         {142, "xml", true, -1},     {600, "point", true, -1},
                                         {1562, "varbit", true, -1}, {19, "name", true, -1}};
    for (int told = 0; told < 2; told++) {
        modes.include_unknown = told;
        for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
            assert_int_equal(left_out(&unknown[i]), !told);
        for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
            assert_true(left_out(&never[i]));
        assert_false(left_out(&text));
    }
    modes = (struct pg_modes){0};
}

static void assert_text(const struct typed *t, const char *value, const char *expected)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    struct buf out;
    buf_init(&out, 1 << 16);
    column_of(types, t, true, &c);
    if (c.text)
        assert_ok(c.text(&c, value, strlen(value), &out, &e), &e);
    else
        assert_ok(buf_str(&out, value, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_member("text", t, (char *)out.data, expected);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
}

static void test_text_for_masks_and_keys(void **state)
{
    (void)state;
    static const struct typed boolean = {16, "bool", false, -1}, ts = {1114, "timestamp", false, -1};
    assert_text(&text, "a\"b", "a\"b");
    assert_text(&int4, "5", "5");
    assert_text(&numeric, "1.50", "1.50");
    assert_text(&n82, "1.50", "1.50");
    assert_text(&boolean, "t", "true");
    assert_text(&ts, "1970-01-01 00:00:01", "1000000");
    assert_text(&tstz, "1970-01-01 00:00:01+00", "1970-01-01T00:00:01.000000Z");
    assert_text(&hstore, "\"a\"=>\"\xf0\x9f\x98\x80\"", "{\"a\":\"\xf0\x9f\x98\x80\"}");
}

static void test_placeholder_of_bytes(void **state)
{
    (void)state;
    struct pg_types *types;
    assert_ok(pg_types_make(&modes, "hex:c3bc21", &types, &e), &e);
    assert_int_equal(types->placeholder_len, 3);
    assert_memory_equal(types->placeholder, "\xc3\xbc!", 3);
    pg_types_free(types);
    assert_code(pg_types_make(&modes, "hex:414", &types, &e), ERR_INVALID_CONFIG, &e);
    assert_code(pg_types_make(&modes, "hex:zz", &types, &e), ERR_INVALID_CONFIG, &e);
    assert_code(pg_types_make(&modes, "hex:ff", &types, &e), ERR_INVALID_CONFIG, &e);
    assert_null(types);
}

/* Every allocation of a column fails in turn; what was made is given back. */
static void make_all_columns(void *arg)
{
    (void)arg;
    static const struct typed all[] = {{25, "text", false, -1},      {1700, "numeric", false, NUMERIC(8, 2)},
                                       {70000, "mood", true, -1},    {2950, "uuid", true, -1},
                                       {70002, "hstore", false, -1}, {1560, "bit", false, 3}};
    struct pg_types *types;
    if (pg_types_make(&modes, P, &types, &e) != ERR_OK) {
        assert_int_equal(e.code, ERR_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct pg_type type = {.oid = all[i].oid,
                               .name = all[i].name,
                               .base = all[i].name,
                               .typtype = 'b',
                               .domain_typmod = -1,
                               .delimiter = ',',
                               .labels = "a,b",
                               .element = all[i].array ? all[i].oid : 0,
                               .element_name = all[i].name,
                               .element_typtype = i == 2 ? 'e' : 'b'};
        struct cdc_column c = {.name = mem_strdup("col")};
        int rc = c.name ? pg_column_init(types, &type, all[i].typmod, false, &c, &e) : ERR_NO_MEMORY;
        if (rc == ERR_OK)
            rc = pg_column_default(&type, "'x'::text", &c, &e);
        assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
        cdc_column_clear(&c);
    }
    pg_types_free(types);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, make_all_columns, NULL) > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_placeholders),
        cmocka_unit_test(test_placeholders_of_other_types),
        cmocka_unit_test(test_fallbacks),
        cmocka_unit_test(test_constant_defaults),
        cmocka_unit_test(test_defaults_that_are_not_told),
        cmocka_unit_test(test_functions_as_defaults),
        cmocka_unit_test(test_source_types),
        cmocka_unit_test(test_schemas_of_extensions),
        cmocka_unit_test(test_what_is_left_out),
        cmocka_unit_test(test_text_for_masks_and_keys),
        cmocka_unit_test(test_placeholder_of_bytes),
        cmocka_unit_test(test_each_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
