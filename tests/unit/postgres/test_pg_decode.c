/* Booleans, integers, text, uuid, bits, bytes, arrays, hstore, spatial types and vectors: what is written, what is refused. */
#include "pg_values.h"

static const struct typed boolean = {16, "bool", false, -1}, int2 = {21, "int2", false, -1},
                          int4 = {23, "int4", false, -1}, int8 = {20, "int8", false, -1},
                          oid = {26, "oid", false, -1}, text = {25, "text", false, -1},
                          uuid = {2950, "uuid", false, -1}, bytea = {17, "bytea", false, -1};

static void test_booleans_and_integers(void **state)
{
    (void)state;
    ASSERT_ALL(boolean, ((const struct pair[]){{"t", "true"}, {"f", "false"}}));
    ASSERT_NONE(boolean, "", "true", "T", "1");
    ASSERT_ALL(int2, ((const struct pair[]){{"32767", "32767"}, {"-32768", "-32768"}, {"0", "0"}}));
    ASSERT_NONE(int2, "32768", "-32769", "", "-", "-0", "00", "1 ", "+1", "1.0", "0x1",
                "99999999999999999999");
    ASSERT_ALL(int4, ((const struct pair[]){{"2147483647", "2147483647"}, {"-2147483648", "-2147483648"}}));
    ASSERT_NONE(int4, "2147483648", "-2147483649");
    ASSERT_ALL(int8, ((const struct pair[]){{"9223372036854775807", "9223372036854775807"},
                                            {"-9223372036854775808", "-9223372036854775808"}}));
    ASSERT_NONE(int8, "9223372036854775808", "-9223372036854775809", "18446744073709551616");
    ASSERT_ALL(oid, ((const struct pair[]){{"4294967295", "4294967295"}, {"0", "0"}}));
    ASSERT_NONE(oid, "4294967296", "-1");
}

static void test_text_and_uuid(void **state)
{
    (void)state;
    assert_writes(&text, "a \"b\" \n \xf0\x9f\x98\x80", "\"a \\\"b\\\" \\n \\uD83D\\uDE00\"");
    assert_writes(&text, "", "\"\"");
    assert_refuses(&text, "\xff", 1);
    assert_writes(&uuid, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\"");
    ASSERT_NONE(uuid, "", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a111",
                "a0eebc9949c0b-4ef8-bb6d-6bb9bd380a11", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1g");
}

static void test_bits(void **state)
{
    (void)state;
    static const struct typed one = {1560, "bit", false, 1}, many = {1560, "bit", false, 20},
                              varbit = {1562, "varbit", false, -1}, varbit1 = {1562, "varbit", false, 1};
    ASSERT_ALL(one, ((const struct pair[]){{"1", "true"}, {"0", "false"}}));
    ASSERT_NONE(one, "2", "11");
    ASSERT_ALL(varbit1, ((const struct pair[]){{"1", "true"}, {"", "false"}}));
    ASSERT_ALL(many, ((const struct pair[]){{"10000000000000000001", "\"AQAI\""},
                                            {"00000000000000000000", "\"\""},
                                            {"00000000001000000000", "\"AAI=\""}}));
    ASSERT_NONE(many, "100000000000000000011", "12");
    ASSERT_ALL(varbit,
               ((const struct pair[]){{"", "\"\""}, {"101", "\"BQ==\""}, {"110000000001", "\"AQw=\""}}));
}

static void test_bytes_in_each_mode(void **state)
{
    (void)state;
    const char *json[] = {"\"APv/Pj8=\"", "\"APv/Pj8=\"", "\"APv_Pj8=\"", "\"00fbff3e3f\""};
    for (int mode = PG_BINARY_BYTES; mode <= PG_BINARY_HEX; mode++) {
        modes = (struct pg_modes){.binary = (enum pg_binary_mode)mode};
        assert_writes(&bytea, "\\x00fbff3e3f", json[mode]);
        assert_writes(&bytea, "\\x", "\"\"");
        ASSERT_NONE(bytea, "", "\\", "\\x0", "00ff", "\\x0g", "\\xzz", "x\\00");
    }
    modes = (struct pg_modes){0};
    assert_writes(&bytea, "\\xaB", "\"qw==\"");
    assert_writes(&bytea, "\\xabcd", "\"q80=\"");
    assert_writes(&bytea, "\\xabcdef", "\"q83v\"");
}

static void test_unknown_types_are_their_text(void **state)
{
    (void)state;
    static const struct typed composite = {70001, "pair", false, -1}, circle = {718, "circle", false, -1},
                              path = {602, "path", false, -1}, tsquery = {3615, "tsquery", false, -1};
    modes = (struct pg_modes){.include_unknown = true, .binary = PG_BINARY_HEX};
    assert_writes(&composite, "(1,x)", "\"28312c7829\"");
    assert_writes(&circle, "<(1,2),3>", "\"3c28312e302c322e30292c332e303e\"");
    assert_writes(&path, "((0,0),(1,1))", "\"2828302e302c302e30292c28312e302c312e302929\"");
    ASSERT_NONE(circle, "<(1,2),x>", "<(1,2;3>", "<(1..2,3),4>", "<(1e,3),4>");
    modes.binary = PG_BINARY_BYTES;
    assert_writes(&tsquery, "'fat'", "\"J2ZhdCc=\"");
    modes = (struct pg_modes){0};
}

static void test_arrays(void **state)
{
    (void)state;
    static const struct typed ints = {23, "int4", true, -1}, texts = {25, "text", true, -1},
                              bools = {16, "bool", true, -1}, moods = {70000, "mood", true, -1},
                              times = {1083, "time", true, -1},
                              decimals = {1700, "numeric", true, NUMERIC(8, 2)};
    ASSERT_ALL(ints, ((const struct pair[]){{"{}", "[]"},
                                            {"{1,NULL,-3}", "[1,null,-3]"},
                                            {"[2:4]={1,2,3}", "[1,2,3]"},
                                            {"[-1:0][1:2]={{1,2},{3,4}}", "[1,2,3,4]"},
                                            {"{{{{{{1}}}}}}", "[1]"}}));
    ASSERT_NONE(ints, "", "{", "}", "{1", "1}", "{1,}", "{,1}", "{1,,2}", "{1}}", "{{1}", "{1}x",
                "{{{{{{{1}}}}}}}", "{null}", "[2:4]{1}", "[2:4", "{1{2}}", "{x}", "{1 2}", "[]={1}]",
                "=[1:2]{1}", "{1\\2}", "{1\"2\"}");
    ASSERT_ALL(texts, ((const struct pair[]){
                          {"{a,NULL,\"b,c\",\"d\\\"q\",\"\",\"NULL\",null}",
                           "[\"a\",null,\"b,c\",\"d\\\"q\",\"\",\"NULL\",\"null\"]"},
                          {"{\"two\nlines\",\"back\\\\slash\",\" sp \",\"{x}\"}",
                           "[\"two\\nlines\",\"back\\\\slash\",\" sp \",\"{x}\"]"},
                      }));
    ASSERT_NONE(texts, "{\"a}", "{\"a\\", "{\"a\\\"}", "{\"a\"b}", "{a\"b\"}");
    assert_writes(&bools, "{t,f,NULL}", "[true,false,null]");
    assert_writes(&moods, "{red,NULL}", "[\"red\",null]");
    assert_writes(&times, "{01:02:03.5,24:00:00}", "[3723500000,0]");
    assert_writes(&decimals, "{1.50,NULL,-2.25}", "[\"AJY=\",null,\"/x8=\"]");
}

static void test_other_delimiter(void **state)
{
    (void)state;
    struct pg_types *types;
    struct buf out;
    modes = (struct pg_modes){.include_unknown = true, .binary = PG_BINARY_HEX};
    types = types_of_modes();
    struct pg_type boxes = {.oid = 1020,
                            .name = "_box",
                            .base = "_box",
                            .typtype = 'b',
                            .domain_typmod = -1,
                            .element = 603,
                            .element_name = "box",
                            .element_typtype = 'b',
                            .delimiter = ';'};
    struct cdc_column c = {.name = mem_strdup("boxes")};
    assert_ok(pg_column_init(types, &boxes, -1, true, &c, &e), &e);
    buf_init(&out, 1 << 10);
    assert_ok(encode_text(&c, "{(1,1),(0,0);(2,2),(0,0)}", 25, &out), &e);
    assert_int_equal(out.len, 2 * (2 * 19 + 2) + 3);
    assert_memory_equal(out.data, "[\"28312e302c312e30292c28302e302c302e3029\",\"28322e30", 51);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
    modes = (struct pg_modes){0};
}

static void test_hstore(void **state)
{
    (void)state;
    static const struct typed hstore = {70002, "hstore", false, -1};
    modes.hstore = PG_HSTORE_MAP;
    ASSERT_ALL(hstore, ((const struct pair[]){{"", "{}"},
                                              {"\"a\"=>\"1\", \"b\"=>NULL", "{\"a\":\"1\",\"b\":null}"},
                                              {"\"c d\"=>\"x\\\"y\\\\\", \"\"=>\"NULL\"",
                                               "{\"\":\"NULL\",\"c d\":\"x\\\"y\\\\\"}"}}));
    ASSERT_NONE(hstore, "a=>1", "\"a\"", "\"a\"=>", "\"a\"=>1", "\"a\"=>\"1", "\"a\"=>\"1\",",
                "\"a\"=>\"1\", ", "\"a\"=>\"1\",\"b\"=>NULL", "\"a\"=>NULL x", "\"a\\");
    modes.hstore = PG_HSTORE_JSON;
    ASSERT_ALL(hstore, ((const struct pair[]){
                           {"", "\"{}\""},
                           {"\"a\"=>\"1\", \"b\"=>NULL, \"c d\"=>\"x\\\"y\"",
                            "\"{\\\"a\\\":\\\"1\\\",\\\"b\\\":null,\\\"c d\\\":\\\"x\\\\\\\"y\\\"}\""},
                           {"\"e\"=>\"\xf0\x9f\x98\x80\"", "\"{\\\"e\\\":\\\"\\uD83D\\uDE00\\\"}\""},
                           {"\"e\"=>\"\\\\uD83D\"", "\"{\\\"e\\\":\\\"\\\\\\\\uD83D\\\"}\""},
                       }));
    modes = (struct pg_modes){0};
}

static void test_points_and_geometries(void **state)
{
    (void)state;
    static const struct typed point = {600, "point", false, -1}, geometry = {70003, "geometry", false, -1};
    assert_writes(&point, "(1.5,-2)",
                  "{\"x\":1.5,\"y\":-2.0,\"wkb\":\"AQEAAAAAAAAAAAD4PwAAAAAAAADA\",\"srid\":null}");
    assert_writes(
        &point, "(Infinity,NaN)",
        "{\"x\":\"Infinity\",\"y\":\"NaN\",\"wkb\":\"AQEAAAAAAAAAAADwfwAAAAAAAPh/\",\"srid\":null}");
    ASSERT_NONE(point, "", "()", "(1)", "(1,)", "(,1)", "(1,2", "1,2)", "(1,2,3)", "(0x1,2)", "(1;2)",
                "(nan,1)", "(1, 2)");
    assert_writes(&geometry, "0101000000000000000000F03F0000000000000040",
                  "{\"wkb\":\"AQEAAAAAAAAAAADwPwAAAAAAAABA\",\"srid\":null}");
    assert_writes(&geometry, "0101000020E6100000000000000000F03F0000000000000040",
                  "{\"wkb\":\"AQEAACDmEAAAAAAAAAAA8D8AAAAAAAAAQA==\",\"srid\":4326}");
    assert_writes(&geometry, "0020000001000010E63FF00000000000004000000000000000",
                  "{\"wkb\":\"ACAAAAEAABDmP/AAAAAAAABAAAAAAAAAAA==\",\"srid\":4326}");
    ASSERT_NONE(geometry, "", "01", "0101000020E61000", "0101000000000000000000F03F000000000000004",
                "0101000000000000000x");
}

static void test_vectors(void **state)
{
    (void)state;
    static const struct typed vector = {70004, "vector", false, 3}, half = {70005, "halfvec", false, 3},
                              sparse = {70006, "sparsevec", false, 5};
    assert_writes(&vector, "[1,2.5,-3e-05]", "[1.0,2.5,-3.0E-5]");
    assert_writes(&half, "[1,0.333252,65504]", "[1.0,0.333252,65504.0]");
    ASSERT_NONE(vector, "", "[]", "[1", "1]", "[1,]", "[,1]", "[1;2]", "[x]", "[1,2]]");
    assert_writes(&sparse, "{1:1.5,3:2}/5", "{\"dimensions\":5,\"vector\":[[1,1.5],[3,2.0]]}");
    assert_writes(&sparse, "{}/5", "{\"dimensions\":5,\"vector\":[]}");
    ASSERT_NONE(sparse, "", "{}", "{}/", "/5", "{1:1.5/5", "1:1.5}/5", "{1}/5", "{1:}/5", "{:1}/5",
                "{1:1,}/5", "{1:1;2:2}/5", "{32768:1}/5", "{1:1}/32768", "{1:1}/5x");
}

/* Of those that have memory beside the record's. */
static void encode_once(void *arg)
{
    (void)arg;
    static const struct typed all[] = {{70002, "hstore", true, -1},
                                       {70003, "geometry", false, -1},
                                       {718, "circle", false, -1},
                                       {1700, "numeric", false, -1},
                                       {25, "text", false, -1}};
    static const char *const texts[] = {"{\"\\\"a\\\"=>\\\"x\\\\\\\"y\\\"\"}",
                                        "0101000020E6100000000000000000F03F0000000000000040", "<(1,2),3>",
                                        "123456789012345678901234567890.5", "a\nb"};
    struct pg_types *types;
    struct pg_modes unknown = {.include_unknown = true};
    if (pg_types_make(&unknown, "p", &types, &e) != ERR_OK)
        return;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct pg_type type = {.oid = all[i].array ? 70100 : all[i].oid,
                               .name = all[i].name,
                               .base = all[i].name,
                               .typtype = 'b',
                               .domain_typmod = -1,
                               .delimiter = ',',
                               .element = all[i].array ? all[i].oid : 0,
                               .element_name = all[i].name,
                               .element_typtype = 'b'};
        struct cdc_column c = {.name = mem_strdup("col")};
        struct buf out;
        buf_init(&out, 1 << 16);
        int rc = c.name ? pg_column_init(types, &type, all[i].typmod, true, &c, &e) : ERR_NO_MEMORY;
        if (rc == ERR_OK)
            rc = encode_text(&c, texts[i], strlen(texts[i]), &out);
        if (rc == ERR_OK && c.text)
            rc = c.text(&c, texts[i], strlen(texts[i]), &out, &e);
        if (rc != ERR_OK && rc != ERR_NO_MEMORY)
            fail_msg("%s: %s", all[i].name, e.text);
        cdc_column_clear(&c);
        buf_free(&out);
    }
    pg_types_free(types);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, encode_once, NULL) > 30);
}

/* A large element leaves no large scratch behind. */
static void test_memory_of_large_values(void **state)
{
    (void)state;
    static const struct typed texts = {25, "text", true, -1};
    size_t n = (size_t)4 << 20;
    char *value = malloc(n);
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    struct buf out;
    assert_non_null(value);
    buf_init(&out, (size_t)64 << 20);
    column_of(types, &texts, true, &c);
    memset(value, 'x', n);
    memcpy(value, "{\"\\\"", 4);
    memcpy(value + n - 2, "\"}", 2);
    assert_ok(c.encode(&c, value, n, &out, &e), &e);
    assert_int_equal(out.len, n);
    assert_true(pg_scratch()->item.cap >= n - 8);
    assert_ok(encode_text(&c, "{\"\\\"\"}", 6, &out), &e);
    assert_true(pg_scratch()->item.cap < 4096);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
    free(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_booleans_and_integers),
        cmocka_unit_test(test_text_and_uuid),
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_bytes_in_each_mode),
        cmocka_unit_test(test_unknown_types_are_their_text),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_other_delimiter),
        cmocka_unit_test(test_hstore),
        cmocka_unit_test(test_points_and_geometries),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_memory_of_large_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
