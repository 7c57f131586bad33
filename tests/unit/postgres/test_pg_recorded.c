/* The types of the recorded cases (tests/data/debezium) beside a real server; see pg_recorded.h. */
#include "pg_recorded.h"

#define DATA "tests/data/debezium/postgres"

#define ENUM_ITEM                                                                                            \
    "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,"               \
    "\"parameters\":{\"allowed\":\"red,green\"}}"

static const struct difference listed[] = {
    /* A negative scale is one; the values have no zeros that nobody stored. */
    {"types_scalar", "nneg", NULL,
     "{\"type\":\"bytes\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":1,"
     "\"parameters\":{\"scale\":\"-2\",\"connect.decimal.precision\":\"4\"},\"field\":\"nneg\"}"},
    {"types_scalar", "nneg", "1", "\"DA==\""},
    {"types_scalar", "nneg", "11", "\"DA==\""},
    /* name is null in the stream. */
    {"types_scalar", "nm", "11", "\"a_name\""},
    {"types_scalar", "nm", "30", "\"a_name\""},
    /* Infinite dates. */
    {"types_temporal", "d", "21", "-2147483648"},
    {"types_temporal", "d", "50", "2147483647"},
    {"types_temporal", "d", "51", "-2147483648"},
    {"types_array", "d", "1", "[19724,2147483647]"},
    {"types_array", "d", "11", "[19724,2147483647]"},
    /* Beyond the numbers of microseconds. */
    {"types_temporal", "ts", "24", "9223372036854775807"},
    {"types_temporal", "ts", "54", "9223372036854775807"},
    /* Before 1582-10-15 a snapshot counts in the Julian calendar. */
    {"types_temporal", "d", "22", "-735160"},
    {"types_temporal", "ts", "22", "-63517820276500000"},
    {"types_temporal", "ts0", "22", "-63517820277000"},
    {"types_temporal", "ts3", "22", "-63517820276996"},
    {"types_temporal", "tstz", "22", "\"-0043-03-15T01:02:03.500000Z\""},
    {"types_temporal", "tstz0", "22", "\"-0043-03-15T01:02:03Z\""},
    {"types_temporal", "ts", "25", "-62135596800000000"},
    {"types_temporal", "ts0", "25", "-14826758400000"},
    {"types_temporal", "ts3", "25", "-12219724800000"},
    {"types_temporal", "tstz", "25", "\"0001-01-01T00:00:00.000000Z\""},
    {"types_temporal", "tstz0", "25", "\"1582-10-04T00:00:00Z\""},
    /* Elements that may be NULL; the value is there then. */
    {"types_array", "e", NULL,
     "{\"type\":\"array\",\"items\":" ENUM_ITEM ",\"optional\":true,\"field\":\"e\"}"},
    {"types_array", "e", "1", "[\"red\",null]"},
    {"types_array", "e", "11", "[\"red\",null]"},
    {"types_array", "tsv", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data."
     "Tsvector\","
     "\"version\":1},\"optional\":true,\"field\":\"tsv\"}"},
    /* bit(3)[] is an array; more dimensions are one, row by row. */
    {"types_array", "bi", NULL,
     "{\"type\":\"array\",\"items\":{\"type\":\"bytes\",\"optional\":true,\"name\":\"io.debezium.data.Bits\","
     "\"version\":1,\"parameters\":{\"length\":\"3\"}},\"optional\":true,\"field\":\"bi\"}"},
    {"types_array", "bi", "1", "[\"BQ==\"]"},
    {"types_array", "bi", "2", "[]"},
    {"types_array", "bi", "11", "[\"BQ==\"]"},
    {"types_array", "bi", "12", "[]"},
    {"types_array", "i4m", "1", "[1,2,3,4]"},
    {"types_array", "i4m", "11", "[1,2,3,4]"},
    /* Text of money has its two digits in a snapshot too. */
    {"modes_a", "mny", "1", "\"1234.50\""},
    {"modes_d", "mny", "1", "\"1234.50\""},
    {NULL, NULL, NULL, NULL},
};

static void compare_case(const char *name, const char *table)
{
    struct recorded r = {.dir = DATA, .name = name, .sql_name = name, .prefix = name, .table = table};
    run_case_sql(DATA, name);
    open_case(&r);
    assert_int_equal(r.spec.key_count, 1);
    assert_int_equal(r.spec.key[0], 0);
    compare_events(&r, compare_event, true);
    assert_true(r.compared > 40);
    close_case(&r);
}

static void test_scalars(void **state)
{
    (void)state;
    compare_case("types_scalar", "scalars");
}

static void test_temporals(void **state)
{
    (void)state;
    compare_case("types_temporal", "temporal");
}

static void test_arrays(void **state)
{
    (void)state;
    compare_case("types_array", "arrays");
}

static void test_modes(void **state)
{
    (void)state;
    compare_case("modes_a", "modes");
    compare_case("modes_b", "modes");
    compare_case("modes_c", "modes");
    compare_case("modes_d", "modes");
}

int main(void)
{
    differences = listed;
    server = postgres_new(NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),
        cmocka_unit_test(test_temporals),
        cmocka_unit_test(test_arrays),
        cmocka_unit_test(test_modes),
        cmocka_unit_test(test_every_difference_was_met),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    postgres_free(server);
    return rc;
}
