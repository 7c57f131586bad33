/*
 * Tables of a real PostgreSQL: keys, nullability, generated and unknown columns; and relation messages that are older than the
 * catalog.
 */
#include "connectors/postgres/pg_types.h"
#include "kit/cdc/cdc_schema.h"
#include "tests/unit/postgres/pg_connected.h"

static struct leat_config config;
static struct pg_settings *settings;
static struct pg_types *types;
static PGconn *sql;

static void run(const char *text)
{
    postgres_run(server, "postgres", text);
}

static uint32_t oid_of(const char *text)
{
    char *out = postgres_sql(server, "postgres", text);
    uint32_t oid = (uint32_t)strtoul(out, NULL, 10);
    assert_true(oid > 0);
    free(out);
    return oid;
}

static uint32_t table_oid(const char *name)
{
    char text[128];
    snprintf(text, sizeof(text), "select '%s'::regclass::oid", name);
    return oid_of(text);
}

static void read_table(const char *name, struct cdc_table_spec *spec, char *identity)
{
    assert_ok(pg_table_from_catalog(types, sql, table_oid(name), spec, identity, &e), &e);
}

/* The key's columns, separated by commas. */
static void assert_key(const struct cdc_table_spec *spec, const char *expected)
{
    char text[256] = "";
    for (size_t i = 0; i < spec->key_count; i++) {
        assert_true(spec->key[i] < spec->column_count);
        strcat(text, i ? "," : "");
        strcat(text, spec->columns[spec->key[i]].name);
    }
    if (strcmp(text, expected) != 0)
        fail_msg("key of %s: %s instead of %s", spec->table, text, expected);
}

static void assert_table_key(const char *name, const char *key)
{
    struct cdc_table_spec spec;
    char identity;
    read_table(name, &spec, &identity);
    assert_key(&spec, key);
    cdc_table_spec_clear(&spec);
}

static void assert_column(const struct cdc_table_spec *spec, size_t i, const char *schema)
{
    struct buf b;
    buf_init(&b, 1 << 16);
    assert_true(i < spec->column_count);
    assert_ok(
        cdc_schema_write(&spec->columns[i], &(struct cdc_extra){.field = spec->columns[i].name}, &b, &e), &e);
    assert_ok(buf_u8(&b, 0, &e), &e);
    assert_string_equal((char *)b.data, schema);
    buf_free(&b);
}

/* ---- the catalog ------------------------------------------------------------------------------------------------ */

static void test_keys(void **state)
{
    (void)state;
    run("create table pk (a int, b text, c text, primary key (b, a));"
        "create table none (a int);"
        "create table uq (a int not null, b text, unique (a)); create table uq_null (a int, unique (a));"
        "create table incl (a int, b text, primary key (a) include (b));"
        "create table two (x int not null, a int not null, b int not null);"
        "create unique index zz on two (a); create unique index aa on two (b, x);"
        "create table part (a int not null, b text); create unique index part_u on part (a) where b is null;"
        "create table expr (a int not null, b text); create unique index expr_u on expr (lower(b), a);"
        "create table pk_uq (a int primary key, b int not null unique);"
        "create table parted (a int, b int, primary key (a)) partition by range (a)");
    assert_table_key("pk", "b,a");
    assert_table_key("none", "");
    assert_table_key("uq", "a");
    assert_table_key("uq_null", "a");
    assert_table_key("incl", "a");
    assert_table_key("two", "b,x"); /* the first by name, as Debezium takes it */
    assert_table_key("part", "");
    assert_table_key("expr", "");
    assert_table_key("pk_uq", "a");
    assert_table_key("parted", "a");
}

#define MOOD "\"name\":\"io.debezium.data.Enum\",\"version\":1,\"parameters\":{\"allowed\":\"sad,a,b,it's\"}"
#define DECIMAL(scale, precision)                                                                            \
    "{\"type\":\"bytes\",\"optional\":true,\"name\":\"org.apache.kafka.connect.data.Decimal\",\"version\":"  \
    "1,"                                                                                                     \
    "\"parameters\":{\"scale\":\"" scale "\",\"connect.decimal.precision\":\"" precision "\"},"

static void test_table_of_the_catalog(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    char identity = 0;
    run("create type mood as enum ('sad', 'a,b', 'it''s'); create domain posint as int check (value > 0) not "
        "null;"
        "create domain small as numeric(5,1); create domain smaller as small; create domain moody as mood;"
        "create domain ints as int[]; create schema \"odd \"\"s\"; create table \"odd \"\"s\".\"T x\" (gone "
        "int, "
        "\"Id\" posint primary key, m mood default 'sad', g int generated always as (1) stored, lsn pg_lsn, "
        "n smaller, "
        "md moody, l ints, ma mood[], iv int2vector, idn int generated always as identity);"
        "alter table \"odd \"\"s\".\"T x\" drop column gone, replica identity full");
    uint32_t oid = oid_of("select oid from pg_class where relname = 'T x'");
    assert_ok(pg_table_from_catalog(types, sql, oid, &spec, &identity, &e), &e);
    assert_int_equal(identity, 'f');
    assert_string_equal(spec.db, "postgres");
    assert_string_equal(spec.schema, "odd \"s");
    assert_string_equal(spec.table, "T x");
    assert_int_equal(spec.column_count, 10);
    assert_key(&spec, "Id");
    assert_column(&spec, 0, "{\"type\":\"int32\",\"optional\":false,\"field\":\"Id\"}");
    assert_column(&spec, 1,
                  "{\"type\":\"string\",\"optional\":true," MOOD ",\"default\":\"sad\",\"field\":\"m\"}");
    assert_true(spec.columns[2].generated); /* what the server computes */
    assert_true(spec.columns[3].generated); /* and what has no mapping */
    assert_column(&spec, 4, DECIMAL("1", "5") "\"field\":\"n\"}");
    assert_string_equal(spec.columns[4].source_type, "SMALLER");
    assert_int_equal(spec.columns[4].source_length, 5);
    assert_column(&spec, 5, "{\"type\":\"string\",\"optional\":true," MOOD ",\"field\":\"md\"}");
    assert_column(&spec, 6,
                  "{\"type\":\"array\",\"items\":{\"type\":\"int32\",\"optional\":true},\"optional\":true,"
                  "\"field\":\"l\"}");
    assert_column(&spec, 7,
                  "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"optional\":true," MOOD
                  "},\"optional\":true,\"field\":\"ma\"}");
    assert_column(&spec, 8,
                  "{\"type\":\"array\",\"items\":{\"type\":\"int16\",\"optional\":false},\"optional\":true,"
                  "\"field\":\"iv\"}");
    assert_column(&spec, 9, "{\"type\":\"int32\",\"optional\":false,\"field\":\"idn\"}");
    cdc_table_spec_clear(&spec);
}

/* As the JDBC driver calls them, by whom Debezium's snapshots read. */
static void test_serial_columns_of_the_catalog(void **state)
{
    (void)state;
    static const char *const expected[] = {"SERIAL", "BIGSERIAL", "SMALLSERIAL", "INT4", "INT8", "SERIAL"};
    struct cdc_table_spec spec;
    char identity;
    run("create sequence numbers; create table serials (a serial, b bigserial, c smallserial, d int default "
        "5, "
        "e bigint generated by default as identity, f int default 1 + nextval('numbers'))");
    read_table("serials", &spec, &identity);
    assert_int_equal(spec.column_count, 6);
    for (size_t i = 0; i < 6; i++)
        assert_string_equal(spec.columns[i].source_type, expected[i]);
    cdc_table_spec_clear(&spec);
}

static void test_table_without_columns(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    char identity;
    run("create table bare ()");
    read_table("bare", &spec, &identity);
    assert_int_equal(spec.column_count, 0);
    assert_int_equal(spec.key_count, 0);
    cdc_table_spec_clear(&spec);
}

static void test_table_that_is_not_there(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    char identity;
    assert_code(pg_table_from_catalog(types, sql, 4000000000u, &spec, &identity, &e), ERR_NOT_FOUND, &e);
    assert_non_null(strstr(e.text, "4000000000"));
    assert_null(spec.table);
}

/* ---- relation messages ------------------------------------------------------------------------------------------ */

#define KEY true
static const struct pgoutput_column three[] = {
    {.name = "a", .type = 23, .typmod = -1, .key = KEY},
    {.name = "b", .type = 25, .typmod = -1},
    {.name = "c", .type = 1700, .typmod = ((6 << 16) | 2) + 4},
};

static struct pgoutput relation_of(uint32_t oid, const struct pgoutput_column *columns, uint16_t n,
                                   char identity)
{
    return (struct pgoutput){.type = PGOUTPUT_RELATION,
                             .relation = oid,
                             .schema = "public",
                             .name = "then",
                             .identity = identity,
                             .columns = columns,
                             .column_count = n};
}

static void read_relation(uint32_t oid, const struct pgoutput_column *columns, uint16_t n, char identity,
                          struct cdc_table_spec *spec)
{
    const struct pgoutput m = relation_of(oid, columns, n, identity);
    assert_ok(pg_table_from_relation(types, sql, &m, spec, &e), &e);
    assert_int_equal(spec->column_count, n);
    assert_string_equal(spec->schema, "public");
    assert_string_equal(spec->table, "then");
    assert_string_equal(spec->db, "postgres");
}

static void assert_relation_key(uint32_t oid, const struct pgoutput_column *columns, uint16_t n,
                                char identity, const char *key)
{
    struct cdc_table_spec spec;
    read_relation(oid, columns, n, identity, &spec);
    assert_key(&spec, key);
    cdc_table_spec_clear(&spec);
}

static void test_relation_as_the_catalog_has_it(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    run("create table rel (a int primary key, b text not null default 'bee', c numeric(6,2) default 1.25)");
    read_relation(table_oid("rel"), three, 3, 'd', &spec);
    assert_key(&spec, "a");
    assert_column(&spec, 0, "{\"type\":\"int32\",\"optional\":false,\"field\":\"a\"}");
    assert_column(&spec, 1, "{\"type\":\"string\",\"optional\":false,\"default\":\"bee\",\"field\":\"b\"}");
    assert_column(&spec, 2, DECIMAL("2", "6") "\"default\":\"fQ==\",\"field\":\"c\"}");
    cdc_table_spec_clear(&spec);
}

/* Columns that were renamed, dropped, given another type since: names and types of the message, nothing of what is now. */
static void test_relation_older_than_the_catalog(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    run("create table old (a bigint primary key, b2 text not null default 'bee', c text not null default "
        "'x')");
    read_relation(table_oid("old"), three, 3, 'd', &spec);
    assert_key(&spec, "a");
    assert_column(&spec, 0, "{\"type\":\"int32\",\"optional\":false,\"field\":\"a\"}");
    assert_column(&spec, 1, "{\"type\":\"string\",\"optional\":true,\"field\":\"b\"}");
    assert_column(&spec, 2, DECIMAL("2", "6") "\"field\":\"c\"}");
    cdc_table_spec_clear(&spec);
    /* Dropped, and there again as a generated one: what was sent is no less a column. */
    run("create table again (a int primary key, b text not null generated always as ('x') stored, c "
        "numeric(6,2))");
    read_relation(table_oid("again"), three, 3, 'd', &spec);
    assert_false(spec.columns[1].generated);
    assert_column(&spec, 1, "{\"type\":\"string\",\"optional\":true,\"field\":\"b\"}");
    cdc_table_spec_clear(&spec);
}

static void test_relation_of_a_table_that_is_gone(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    static const struct pgoutput_column columns[] = {
        {.name = "b", .type = 25, .typmod = -1, .key = KEY},
        {.name = "m", .type = 4000000000u, .typmod = -1}, /* of a type that is gone, too */
        {.name = "a", .type = 23, .typmod = -1, .key = KEY},
    };
    for (const char *identity = "di"; *identity; identity++) {
        read_relation(4000000000u, columns, 3, *identity, &spec);
        assert_key(&spec, "b,a");
        assert_true(spec.columns[1].generated);
        assert_int_equal(spec.columns[0].schema.optional, *identity == 'i');
        cdc_table_spec_clear(&spec);
    }
    assert_relation_key(4000000000u, columns, 3, 'f', "");
    assert_relation_key(4000000000u, columns, 3, 'n', "");
}

static void test_keys_of_relations(void **state)
{
    (void)state;
    struct pgoutput_column columns[3];
    run("create table ordered (a int, b text, c numeric(6,2), primary key (b, a));"
        "create table now_pk (a int primary key, b text, c numeric(6,2));"
        "create table by_index (a int not null, b text primary key, c numeric(6,2));"
        "create unique index by_index_a on by_index (a);"
        "create table uniq (a int not null unique, b text, c numeric(6,2))");
    memcpy(columns, three, sizeof(columns));
    columns[1].key = KEY;
    assert_relation_key(table_oid("ordered"), columns, 3, 'd',
                        "b,a"); /* the same columns: the definition's order */
    assert_relation_key(table_oid("now_pk"), columns, 3, 'd', "a,b"); /* others than now: the message's */
    columns[0].key = columns[1].key = false;
    assert_relation_key(table_oid("now_pk"), columns, 3, 'd', ""); /* none then */
    assert_relation_key(table_oid("uniq"), columns, 3, 'd', "a");  /* no primary key, but a unique index */
    columns[0].key = KEY;
    assert_relation_key(table_oid("by_index"), columns, 3, 'i',
                        "b"); /* flags of an index: still the primary key */
    columns[1].key = columns[2].key = KEY;
    assert_relation_key(table_oid("now_pk"), columns, 3, 'f', "a"); /* FULL flags all columns */
    assert_relation_key(table_oid("ordered"), columns, 1, 'f', ""); /* half of it is not published */
}

/* ---- trouble ---------------------------------------------------------------------------------------------------- */

static uint32_t faulty_table;

/* Only what is ours can fail so; libpq has memory of its own. */
static void read_once(void *arg)
{
    (void)arg;
    struct cdc_table_spec spec;
    char identity;
    int rc = pg_table_from_catalog(types, sql, faulty_table, &spec, &identity, &e);
    assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
    assert_int_equal(spec.columns != NULL, rc == ERR_OK);
    cdc_table_spec_clear(&spec);
    const struct pgoutput m = relation_of(faulty_table, three, 3, 'd');
    rc = pg_table_from_relation(types, sql, &m, &spec, &e);
    assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
    assert_int_equal(spec.columns != NULL, rc == ERR_OK);
    cdc_table_spec_clear(&spec);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    run("create table faulty (a int primary key, b text default 'x', c numeric(6,2), d int[], e mood not "
        "null)");
    faulty_table = table_oid("faulty");
    assert_true(testkit_each_fault(FAULT_ALLOC, 0, read_once, NULL) > 40);
}

static void test_lost_connection(void **state)
{
    (void)state;
    struct cdc_table_spec spec;
    char identity;
    uint32_t oid = table_oid("rel");
    postgres_stop(server);
    assert_code(pg_table_from_catalog(types, sql, oid, &spec, &identity, &e), ERR_CONNECTION, &e);
    assert_true(e.retriable);
    assert_null(spec.columns);
    const struct pgoutput m = relation_of(oid, three, 3, 'd');
    assert_code(pg_table_from_relation(types, sql, &m, &spec, &e), ERR_CONNECTION, &e);
    assert_non_null(strstr(e.text, "table public.then"));
    assert_null(spec.columns);
}

int main(void)
{
    server = postgres_new(NULL);
    connect_as_connector(&config, "postgres", &settings, &sql);
    types = pg_types_new(&host, &config, &e);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_table_of_the_catalog),
        cmocka_unit_test(test_serial_columns_of_the_catalog),
        cmocka_unit_test(test_table_without_columns),
        cmocka_unit_test(test_table_that_is_not_there),
        cmocka_unit_test(test_relation_as_the_catalog_has_it),
        cmocka_unit_test(test_relation_older_than_the_catalog),
        cmocka_unit_test(test_relation_of_a_table_that_is_gone),
        cmocka_unit_test(test_keys_of_relations),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_lost_connection),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    pg_disconnect(&sql);
    pg_settings_free(settings);
    pg_types_free(types);
    fake_config_free(&config);
    postgres_free(server);
    return rc;
}
