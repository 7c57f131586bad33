/*
 * pg_recorded: columns of a real PostgreSQL beside events that Debezium recorded: a case's SQL is run, a table read from the
 * catalog, every row selected as text and encoded; schema and values must be the recorded bytes, but for what the test lists as
 * different with what is right instead (docs/debezium-differences.md has the reasons).
 */
#ifndef LEAT_TESTS_PG_RECORDED_H
#define LEAT_TESTS_PG_RECORDED_H

#include <libpq-fe.h>

#include "base/buf.h"
#include "connectors/postgres/pg_column.h"
#include "connectors/postgres/pg_types.h"
#include "kit/cdc/cdc_schema.h"
#include "kit/jtext.h"
#include "tests/unit/postgres/pg_connected.h"

/* ---- differences ------------------------------------------------------------------------------------------------ */

struct difference {
    const char *test;   /* the case, or the begin of the names of several */
    const char *column; /* or table.column */
    const char *
        id; /* of the row; NULL: in the schema; "absent": in an old row's fallback; "unchanged": the placeholder */
    const char *json;
};

/* The test's list, ended by an entry without a test; set before cases are compared. */
static const struct difference *differences;
static size_t met[256]; /* how often each was */

/* ---- files ------------------------------------------------------------------------------------------------------ */

static char *read_all(const char *dir, const char *name, const char *suffix)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s%s", dir, name, suffix);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    char *text = calloc(1, 1 << 20);
    assert_non_null(text);
    size_t n = fread(text, 1, (1 << 20) - 1, f);
    assert_true(n > 0 && feof(f));
    fclose(f);
    return text;
}

/* Runs a section of the case's SQL, without its -- @ lines. */
static void run_section(const char *db, const char *sql, const char *mark)
{
    const char *start = strstr(sql, mark);
    assert_non_null(start);
    start = strchr(start, '\n') + 1;
    const char *end = strstr(start, "-- @");
    char *part = end ? strndup(start, (size_t)(end - start)) : strdup(start);
    postgres_run(server, db, part);
    free(part);
}

/* ---- one case --------------------------------------------------------------------------------------------------- */

struct recorded {
    const char *dir, *name; /* of the case's .config.json and .events.jsonl, of its differences */
    const char *sql_name;   /* of its .sql, and of the database */
    const char *prefix;     /* topic.prefix */
    const char *table;
    struct leat_config config;
    struct pg_settings *settings;
    struct pg_types *types;
    PGconn *sql;
    struct cdc_table_spec spec;
    PGresult *rows;
    char *events;
    size_t compared, schemas, wrong;
};

/* Takes the settings of the case's own configuration file over that are ours to read. */
static void take_modes(struct recorded *r)
{
    fake_options(&r->config);
    char *text = read_all(r->dir, r->name, ".config.json");
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct jtext_token name, value;
        size_t pos = 0;
        if (strncmp(options[i].name, "database.", 9) == 0)
            continue;
        while (jtext_next(text, strlen(text), &pos, &name, &value)) {
            if (name.n == strlen(options[i].name) && memcmp(name.p, options[i].name, name.n) == 0) {
                char *copy = strndup(value.p, value.n);
                fake_config_set(&r->config, options[i].name, copy);
                free(copy);
            }
        }
    }
    free(text);
}

static void connect_case(struct recorded *r)
{
    connect_as_connector(&r->config, r->sql_name, &r->settings, &r->sql);
    r->types = pg_types_new(&host, &r->config, &e);
    assert_non_null(r->types);
}

static PGresult *select_text(PGconn *sql, const char *text)
{
    PGresult *rows = PQexec(sql, text);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", text, PQerrorMessage(sql));
    return rows;
}

static void read_table(struct recorded *r)
{
    char text[256], identity = 0;
    snprintf(text, sizeof(text), "select '%s'::regclass::oid", r->table);
    PGresult *oid = select_text(r->sql, text);
    assert_ok(pg_table_from_catalog(r->types, r->sql, (uint32_t)strtoul(PQgetvalue(oid, 0, 0), NULL, 10),
                                    &r->spec, &identity, &e),
              &e);
    PQclear(oid);
    assert_int_equal(identity, 'd');
    assert_string_equal(r->spec.db, r->sql_name);
    assert_string_equal(r->spec.schema, "public");
    assert_string_equal(r->spec.table, r->table);
    snprintf(text, sizeof(text), "select * from \"%s\" order by 1", r->table);
    r->rows = select_text(r->sql, text);
    assert_int_equal(PQnfields(r->rows), r->spec.column_count);
}

/* A database of the case's own, in which its SQL has run. */
static void run_case_sql(const char *dir, const char *name)
{
    char create[128];
    char *sql = read_all(dir, name, ".sql");
    snprintf(create, sizeof(create), "create database %s", name);
    postgres_run(server, "postgres", create);
    run_section(name, sql, "-- @setup");
    run_section(name, sql, "-- @stream");
    free(sql);
}

static void open_case(struct recorded *r)
{
    take_modes(r);
    connect_case(r);
    read_table(r);
    r->events = read_all(r->dir, r->name, ".events.jsonl");
}

static void close_case(struct recorded *r)
{
    PQclear(r->rows);
    cdc_table_spec_clear(&r->spec);
    pg_disconnect(&r->sql);
    pg_settings_free(r->settings);
    pg_types_free(r->types);
    fake_config_free(&r->config);
    free(r->events);
}

/* ---- comparing -------------------------------------------------------------------------------------------------- */

/* What is right instead of the recorded, NULL: nothing else is. */
static const char *excused(const struct recorded *r, const char *column, const char *id)
{
    char full[128];
    snprintf(full, sizeof(full), "%s.%s", r->table, column);
    for (const struct difference *d = differences; d->test; d++) {
        if (strncmp(d->test, r->name, strlen(d->test)) == 0 &&
            (strcmp(d->column, column) == 0 || strcmp(d->column, full) == 0) &&
            (id ? d->id && strcmp(d->id, id) == 0 : !d->id)) {
            met[d - differences]++;
            return d->json;
        }
    }
    return NULL;
}

/* Tells of a difference that is not listed; the case fails at its end, so that all are seen. */
static void compare_json(struct recorded *r, const char *column, const char *id, const void *json, size_t n,
                         const char *recorded, size_t recorded_n)
{
    const char *instead = excused(r, column, id), *row = id ? id : "(schema)";
    const char *expected = instead ? instead : recorded;
    size_t expected_n = instead ? strlen(instead) : recorded_n;
    if (n != expected_n || memcmp(json, expected, n) != 0) {
        print_error("%s.%s of row %s:\n  wrote    %.*s\n  expected %.*s\n", r->name, column, row, (int)n,
                    (const char *)json, (int)expected_n, expected);
        r->wrong++;
    }
    if (instead && n == recorded_n && memcmp(json, recorded, n) == 0) {
        print_error("%s.%s of row %s is excused, though it is as recorded\n", r->name, column, row);
        r->wrong++;
    }
}

/* The fields of `after` in an event's schema, in order, beside those of the spec. */
static void compare_schema(struct recorded *r, const char *fields, size_t fields_n)
{
    struct buf b;
    const char *p = fields + 1, *end = fields + fields_n;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < r->spec.column_count; i++) {
        const struct cdc_column *c = &r->spec.columns[i];
        if (c->generated)
            continue;
        buf_reset(&b);
        assert_ok(cdc_schema_write(c, &(struct cdc_extra){.field = c->name}, &b, &e), &e);
        /* The recorded field: an object of the list. */
        size_t depth = 0, n = 0;
        do {
            depth += (p[n] == '{') - (size_t)(p[n] == '}');
            n++;
        } while (depth > 0 && p + n < end);
        compare_json(r, c->name, NULL, b.data, b.len, p, n);
        p += n + 1;
    }
    assert_ptr_equal(p, end);
    buf_free(&b);
}

static int find_row(const struct recorded *r, const char *id)
{
    for (int i = 0; i < PQntuples(r->rows); i++) {
        if (strcmp(PQgetvalue(r->rows, i, 0), id) == 0)
            return i;
    }
    return -1;
}

/* NULL of a column with a default is written as the default, by Connect's converter; the kit does it. */
static void encode_cell(const struct cdc_column *c, const PGresult *rows, int row, int column, struct buf *b)
{
    buf_reset(b);
    if (PQgetisnull(rows, row, column))
        assert_ok(buf_str(b, c->schema.def ? c->schema.def : "null", &e), &e);
    else
        assert_ok(c->encode(c, PQgetvalue(rows, row, column), (size_t)PQgetlength(rows, row, column), b, &e),
                  &e);
}

static void compare_row(struct recorded *r, const char *id, int row, const char *after, size_t after_n)
{
    struct jtext_token name, value;
    struct buf b;
    size_t pos = 0;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < r->spec.column_count; i++) {
        const struct cdc_column *c = &r->spec.columns[i];
        if (c->generated)
            continue;
        assert_true(jtext_next(after, after_n, &pos, &name, &value));
        assert_int_equal(name.n, strlen(c->name));
        assert_memory_equal(name.p, c->name, name.n);
        encode_cell(c, r->rows, row, (int)i, &b);
        bool text = value.type == JTEXT_STRING;
        compare_json(r, c->name, id, b.data, b.len, value.p - text, value.n + 2 * (size_t)text);
        r->compared++;
    }
    assert_false(jtext_next(after, after_n, &pos, &name, &value));
    buf_free(&b);
}

static const char *absent_of(const struct cdc_column *c)
{
    return c->absent;
}

/* A row of which nothing but the key came: the texts that stand for the other values. `id` names them among the differences. */
static void compare_texts(struct recorded *r, const char *row, size_t row_n, const char *id,
                          const char *(*text_of)(const struct cdc_column *c))
{
    struct jtext_token name, value;
    size_t pos = 0;
    for (size_t i = 0; i < r->spec.column_count; i++) {
        const struct cdc_column *c = &r->spec.columns[i];
        if (c->generated)
            continue;
        assert_true(jtext_next(row, row_n, &pos, &name, &value));
        assert_memory_equal(name.p, c->name, name.n);
        bool text = value.type == JTEXT_STRING;
        const char *json = i > 0 ? text_of(c) : NULL;
        if (json)
            compare_json(r, c->name, id, json, strlen(json), value.p - text, value.n + 2 * (size_t)text);
        r->compared++;
    }
}

/* Whether a later line is of the same row: it is the last one that the table shows. */
static bool is_last(const char *line_end, const char *id)
{
    char key[64];
    snprintf(key, sizeof(key), "\"payload\":{\"id\":%s}},\"value\":{", id);
    return strstr(line_end, key) == NULL;
}

/* Where the list of the row's fields is in an event's schema: the envelope's second field is `after`. NULL: not recorded. */
static const char *row_fields(const struct recorded *r, const struct jtext_token *fields, size_t *n)
{
    static const char close[] = "],\"optional\":true,\"name\":\"";
    const char *list = strstr(fields->p, "\"fields\":["), *stop = strstr(fields->p, close);
    if (fields->n <= 2)
        return NULL;
    while (stop && strncmp(stop + sizeof(close) - 1, r->prefix, strlen(r->prefix)) != 0)
        stop = strstr(stop + 1, close);
    assert_non_null(list);
    assert_non_null(stop);
    *n = (size_t)(stop - list - 9) + 1;
    return list + 9;
}

static bool of_table(const struct recorded *r, const char *line, size_t n)
{
    char topic[128];
    struct jtext_token t;
    snprintf(topic, sizeof(topic), "%s.public.%s", r->prefix, r->table);
    return jtext_find(line, n, "topic", &t) && t.n == strlen(topic) && memcmp(t.p, topic, t.n) == 0;
}

static void compare_event(struct recorded *r, const char *line, size_t n, const char *line_end, bool values)
{
    struct jtext_token id, value, fields;
    char number[32];
    size_t list_n;
    if (!jtext_find(line, n, "key.payload.id", &id) || !jtext_find(line, n, "value.schema.fields", &fields))
        return; /* a tombstone */
    snprintf(number, sizeof(number), "%.*s", (int)id.n, id.p);
    const char *list = row_fields(r, &fields, &list_n);
    if (list) {
        compare_schema(r, list, list_n);
        r->schemas++;
    }
    if (values && jtext_find(line, n, "value.payload.after", &value) && value.type == JTEXT_OBJECT &&
        is_last(line_end, number)) {
        int row = find_row(r, number);
        assert_true(row >= 0);
        compare_row(r, number, row, value.p, value.n);
    }
    if (jtext_find(line, n, "value.payload.before", &value) && value.type == JTEXT_OBJECT)
        compare_texts(r, value.p, value.n, "absent", absent_of);
}

/* Calls `each` with the events of the table. */
static void compare_events(struct recorded *r,
                           void (*each)(struct recorded *r, const char *line, size_t n, const char *line_end,
                                        bool values),
                           bool values)
{
    for (const char *line = r->events, *end; *line; line = end + 1) {
        end = strchr(line, '\n');
        assert_non_null(end);
        if (of_table(r, line, (size_t)(end - line)))
            each(r, line, (size_t)(end - line), end, values);
    }
    assert_true(r->schemas > 0);
    assert_int_equal(r->wrong, 0);
}

/* Runs last: an excuse that nobody needed is a mistake in the list. */
static void test_every_difference_was_met(void **state)
{
    (void)state;
    for (const struct difference *d = differences; d->test; d++) {
        if (met[d - differences] == 0)
            fail_msg("%s.%s of row %s is listed as different, but was not met", d->test, d->column,
                     d->id ? d->id : "(schema)");
    }
}

#endif
