/*
 * A capture over a host that keeps what is emitted, tables from a short description, and a dialect as Postgres'. Static, as it
 * is the business of the tests of kit/cdc alone.
 *
 * A record is compared as text: topic, key, value and headers, one after another. The processing time at a value's end
 * varies: it is checked for what must hold of it and shows as `@`; so does the run's id. A header that is null shows as `~`.
 */
#ifndef LEAT_TESTS_CDC_RIG_H
#define LEAT_TESTS_CDC_RIG_H

#include <stdarg.h>
#include <time.h>

#include "base/mem.h"
#include "kit/cdc/cdc.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_options.h"
#include "tests/lib/fake_config.h"
#include "tests/lib/testkit.h"

#define RIG __attribute__((unused)) static

struct rig_record {
    char *topic, *key, *value; /* NULL: null */
    char *headers;             /* `name=value;` each */
    int32_t partition;
    int64_t timestamp;
};

struct leat_task {
    struct leat_config config;
    struct cdc *cdc;
    struct rig_record *records;
    size_t count, read, emits;
    bool key_schemas, value_schemas;
    bool text;     /* converters of strings instead of JSON */
    int fail_emit; /* what emit answers */
    char fail_text[2048], log_text[4096];
    int failed, warnings;
};

static struct leat_task rig;

/* ---- the host --------------------------------------------------------------------------------------------------------- */

RIG __attribute__((format(printf, 3, 4))) void rig_log(struct leat_task *t, enum leat_log_level level,
                                                       const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->log_text, sizeof(t->log_text), fmt, ap);
    va_end(ap);
    t->warnings += level >= LEAT_WARN;
}

RIG __attribute__((format(printf, 3, 4))) int rig_fail(struct leat_task *t, int result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->fail_text, sizeof(t->fail_text), fmt, ap);
    va_end(ap);
    t->failed++;
    return result;
}

static char *rig_copy(const void *data, size_t n)
{
    char *p = data ? malloc(n + 1) : NULL;
    if (!data)
        return NULL;
    assert_non_null(p);
    memcpy(p, data, n);
    p[n] = '\0';
    return p;
}

static char *rig_headers(const struct leat_record *r)
{
    char text[8192] = "";
    for (size_t i = 0; i < r->header_count; i++) {
        const struct leat_header *h = &r->headers[i];
        bool run = h->key_len == 24 && memcmp(h->key, "__debezium.context.runId", 24) == 0;
        if (run) /* a UUID that begins with the time */
            assert_true(h->value_len == 36 && ((const char *)h->value)[14] == '7');
        size_t n = strlen(text);
        snprintf(text + n, sizeof(text) - n, "%.*s=%.*s;", (int)h->key_len, h->key,
                 run        ? 1
                 : h->value ? (int)h->value_len
                            : 4,
                 run        ? "@"
                 : h->value ? (const char *)h->value
                            : "~");
    }
    return rig_copy(text, strlen(text));
}

RIG int rig_emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    t->emits++;
    if (t->fail_emit)
        return t->fail_emit;
    t->records = realloc(t->records, (t->count + n) * sizeof(*t->records));
    assert_non_null(t->records);
    for (size_t i = 0; i < n; i++) {
        const struct leat_record *r = &records[i];
        assert_int_equal(r->struct_size, sizeof(*r));
        t->records[t->count++] = (struct rig_record){
            .topic = rig_copy(r->topic, strlen(r->topic)),
            .key = rig_copy(r->key, r->key_len),
            .value = rig_copy(r->value, r->value_len),
            .headers = rig_headers(r),
            .partition = r->partition,
            .timestamp = r->timestamp,
        };
    }
    return LEAT_OK;
}

RIG int rig_index(struct leat_task *t)
{
    (void)t;
    return 0;
}

RIG bool rig_schemas(struct leat_task *t, bool key)
{
    return key ? t->key_schemas : t->value_schemas;
}

RIG enum leat_converter rig_converter(struct leat_task *t, bool key)
{
    (void)key;
    return t->text ? LEAT_CONVERTER_STRING : LEAT_CONVERTER_JSON;
}

static const struct leat_host rig_host = {
    .struct_size = sizeof(struct leat_host),
    .log = rig_log,
    .fail = rig_fail,
    .emit = rig_emit,
    .task_index = rig_index,
    .schemas_enabled = rig_schemas,
    .converter = rig_converter,
    FAKE_CONFIG_GETTERS,
};

/* ---- the dialect -------------------------------------------------------------------------------------------------------- */

struct rig_at {
    int xid, lsn;
};

RIG int rig_sequence(const struct cdc_origin *o, struct buf *out, struct err *e)
{
    const struct rig_at *at = o->own;
    return buf_printf(out, e, "\"[null,\\\"%d\\\"]\"", at->lsn);
}

RIG int rig_source(const struct cdc_origin *o, const char *schema, const char *table, struct buf *out,
                   struct err *e)
{
    const struct rig_at *at = o->own;
    return buf_printf(out, e, ",\"schema\":%s,\"table\":%s,\"txId\":%d,\"lsn\":%d", schema, table, at->xid,
                      at->lsn);
}

RIG int rig_txn_id(const struct cdc_origin *o, struct buf *out, struct err *e)
{
    const struct rig_at *at = o->own;
    return buf_printf(out, e, "%d:%d", at->xid, at->lsn);
}

static const struct cdc_dialect rig_dialect = {
    .connector = "postgresql",
    .source_schema = "io.debezium.connector.postgresql.Source",
    .source_fields = ",{\"type\":\"string\",\"optional\":false,\"field\":\"schema\"},"
                     "{\"type\":\"string\",\"optional\":false,\"field\":\"table\"},"
                     "{\"type\":\"int64\",\"optional\":true,\"field\":\"txId\"},"
                     "{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"}",
    .message_key_schema = "io.debezium.connector.postgresql.MessageKey",
    .message_value_schema = "io.debezium.connector.postgresql.MessageValue",
    .write_sequence = rig_sequence,
    .write_source = rig_source,
    .write_txn_id = rig_txn_id,
};

/* What a logical message says. */
#define RIG_CONTENT (&(const struct cdc_content){"bytes", "\"eA==\"", 6})

/* ---- life ----------------------------------------------------------------------------------------------------------------- */

static const struct leat_option rig_options[] = {CDC_OPTIONS};

RIG int rig_setup(void **state)
{
    (void)state;
    static const struct leat_connector connector = {
        .options = rig_options, .option_count = sizeof(rig_options) / sizeof(*rig_options)};
    memset(&rig, 0, sizeof(rig));
    fake_config_init(&rig.config, &connector);
    fake_config_set(&rig.config, "topic.prefix", "px");
    return 0;
}

RIG void rig_forget(void)
{
    for (size_t i = 0; i < rig.count; i++) {
        free(rig.records[i].topic);
        free(rig.records[i].key);
        free(rig.records[i].value);
        free(rig.records[i].headers);
    }
    free(rig.records);
    rig.records = NULL;
    rig.count = rig.read = 0;
}

RIG int rig_teardown(void **state)
{
    (void)state;
    cdc_free(rig.cdc);
    rig_forget();
    fake_config_free(&rig.config);
    return 0;
}

RIG void rig_set(const char *name, const char *value)
{
    fake_config_set(&rig.config, name, value);
}

RIG void rig_open(void)
{
    rig.cdc = cdc_new(&rig, &rig_host, &rig.config, &rig_dialect, "shop");
    if (!rig.cdc)
        fail_msg("%s", rig.fail_text);
}

/* The options are refused with this text, both when they are validated and when a capture is made. */
RIG void rig_refuses(const char *why)
{
    assert_int_equal(cdc_validate(&rig, &rig_host, &rig.config), LEAT_FAIL);
    assert_string_equal(rig.fail_text, why);
    assert_null(cdc_new(&rig, &rig_host, &rig.config, &rig_dialect, "shop"));
    assert_string_equal(rig.fail_text, why);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------- */

RIG int rig_number(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    (void)c;
    if (n == 3 && memcmp(data, "bad", 3) == 0)
        return err_set(e, ERR_INVALID_RECORD, "\"bad\" is no number");
    return buf_append(out, data, n, e);
}

RIG int rig_text(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    (void)c;
    return cdc_json_string(out, data, n, e);
}

/* What a table takes over; not by mem_*, so that tests may let that fail. */
static char *rig_dup(const char *text)
{
    char *p = strdup(text);
    assert_non_null(p);
    return p;
}

static char *rig_quoted(const char *text)
{
    char quoted[128];
    snprintf(quoted, sizeof(quoted), "\"%s\"", text);
    return rig_dup(quoted);
}

/* Of a column of the type struct. */
#define RIG_MEMBERS "\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"}]"

/*
 * A column: `name:type`, then any of: `!` required, `=json` its default, `/logical` name; type int32, string or the like. A name
 * that ends in ~ is generated.
 */
static void rig_column(struct cdc_column *c, const char *text)
{
    char name[64], type[64], def[64] = "";
    bool number;
    assert_true(sscanf(text, "%63[^:]:%63[^!=/]", name, type) == 2);
    const char *logical = strchr(text, '/');
    const char *equals = strchr(text, '=');
    if (equals)
        snprintf(def, sizeof(def), "%s", equals + 1);
    number = strcmp(type, "string") != 0;
    bool generated = name[strlen(name) - 1] == '~';
    *c = (struct cdc_column){
        .name = rig_dup(name),
        .generated = generated,
        .encode = number ? rig_number : rig_text,
        .source_type = rig_dup(number ? "INT4" : "VARCHAR"),
        .source_length = number ? 10 : 80,
        .source_scale = number ? 0 : -1,
        .schema = {.type = rig_quoted(type),
                   .optional = !strchr(text, '!'),
                   .name = logical ? rig_dup(logical + 1) : NULL,
                   .version = logical ? 1 : 0,
                   .nested = strcmp(type, "struct") == 0 ? rig_dup(RIG_MEMBERS) : NULL,
                   .def = *def ? rig_dup(def) : NULL},
        .unchanged = rig_dup(number ? "-1" : "\"__debezium_unavailable_value\""),
        .absent = strchr(text, '!') ? rig_dup(number ? "0" : "\"\"") : NULL,
    };
}

static struct err rig_err;

/* `columns`: as of rig_column, ended by NULL; the first `keys` make the key. NULL: out of memory. */
RIG struct cdc_table *rig_table_in(const char *schema, const char *table, size_t keys,
                                   const char *const *columns)
{
    struct cdc_table_spec s = {.db = rig_dup("shop"),
                               .schema = schema ? rig_dup(schema) : NULL,
                               .table = rig_dup(table),
                               .key_count = keys};
    while (columns[s.column_count])
        s.column_count++;
    s.columns = calloc(s.column_count, sizeof(*s.columns));
    s.key = calloc(keys ? keys : 1, sizeof(*s.key));
    for (size_t i = 0; i < s.column_count; i++)
        rig_column(&s.columns[i], columns[i]);
    for (size_t i = 0; i < keys; i++)
        s.key[i] = (uint32_t)i;
    struct cdc_table *t = cdc_table_new(rig.cdc, &s, &rig_err);
    assert_null(s.columns);
    if (!t && rig_err.code != ERR_NO_MEMORY)
        fail_msg("%s", rig_err.text);
    return t;
}
#define rig_table(table, keys, ...)                                                                          \
    rig_table_in("public", table, keys, (const char *const[]){__VA_ARGS__, NULL})

/* ---- rows and changes --------------------------------------------------------------------------------------------------------- */

#define RIG_UNCHANGED "\1unchanged"
#define RIG_ABSENT "\1absent"

static struct cdc_cell rig_cells[3][16]; /* before, after, key */

RIG const struct cdc_cell *rig_row(struct cdc_cell *to, const char *const *texts)
{
    for (size_t i = 0; texts && i < 16; i++) {
        const char *text = texts[i];
        to[i] = !text                              ? (struct cdc_cell){.state = CDC_NULL}
                : strcmp(text, RIG_UNCHANGED) == 0 ? (struct cdc_cell){.state = CDC_UNCHANGED}
                : strcmp(text, RIG_ABSENT) == 0    ? (struct cdc_cell){.state = CDC_ABSENT}
                                                   : (struct cdc_cell){text, strlen(text), CDC_VALUE};
    }
    return texts ? to : NULL;
}
#define ROW(...) ((const char *const[16]){__VA_ARGS__})

static struct rig_at rig_where = {7, 100};

RIG struct cdc_change rig_change(struct cdc_table *t, char op, const char *const *before,
                                 const char *const *after, const char *const *key)
{
    return (struct cdc_change){
        .table = t,
        .op = op,
        .before = rig_row(rig_cells[0], before),
        .after = rig_row(rig_cells[1], after),
        .key_before = rig_row(rig_cells[2], key),
        .at = {.ts_us = 1700000000123456, .own = &rig_where},
    };
}

RIG void rig_do(struct cdc_table *t, char op, const char *const *before, const char *const *after,
                const char *const *key)
{
    struct cdc_change ch = rig_change(t, op, before, after, key);
    ch.in_txn = true;
    assert_int_equal(cdc_change(rig.cdc, &ch), LEAT_OK);
}

/* ---- what came ------------------------------------------------------------------------------------------------------------------ */

/* The source block of rig_change's events. */
#define SOURCE(table)                                                                                        \
    "{\"version\":\"3.5.0.Final\",\"connector\":\"postgresql\",\"name\":\"px\",\"ts_ms\":1700000000123,"     \
    "\"snapshot\":\"false\",\"db\":\"shop\",\"sequence\":\"[null,\\\"100\\\"]\","                            \
    "\"ts_us\":1700000000123456,\"ts_ns\":1700000000123456000,\"schema\":\"public\",\"table\":\"" table      \
    "\",\"txId\":7,\"lsn\":100}"

#define CONTEXT                                                                                              \
    "__debezium.context.connectorLogicalName=px;__debezium.context.taskId=0;"                                \
    "__debezium.context.connectorName=postgresql;__debezium.context.runId=@;"

/* Digits of a member at `p`; the pointer behind them. */
static const char *rig_digits(const char *p, const char *member, int64_t *out)
{
    size_t n = strlen(member);
    assert_memory_equal(p, member, n);
    char *end;
    *out = strtoll(p + n, &end, 10);
    return end;
}

/* The time is about that of the moment, in ms. */
RIG void rig_assert_now(int64_t ms)
{
    assert_true(llabs(ms / 1000 - (long long)time(NULL)) < 600);
}

/* Puts @ for the processing time, which must be that of this moment in three units. */
RIG void rig_hide_time(char *value)
{
    char *at = value ? strstr(value, ",\"op\":\"") : NULL;
    if (!at || strncmp(at + 9, ",\"ts_ms\":", 9) != 0)
        return;
    int64_t ms, us, ns;
    const char *end = rig_digits(at + 9, ",\"ts_ms\":", &ms);
    end = rig_digits(end, ",\"ts_us\":", &us);
    end = rig_digits(end, ",\"ts_ns\":", &ns);
    assert_int_equal(us / 1000, ms);
    assert_int_equal(ns / 1000, us);
    rig_assert_now(ms);
    memmove(at + 10, end, strlen(end) + 1);
    at[9] = '@';
}

RIG void rig_flush(void)
{
    assert_int_equal(cdc_flush(rig.cdc), LEAT_OK);
}

/* The next record; NULL: null. */
RIG void rig_expect(const char *topic, const char *key, const char *value, const char *headers)
{
    rig_flush();
    if (rig.read == rig.count)
        fail_msg("no more records; wanted one of %s with the value %s", topic, value ? value : "null");
    struct rig_record *r = &rig.records[rig.read++];
    rig_hide_time(r->value);
    assert_string_equal(r->topic, topic);
    assert_string_equal(r->key ? r->key : "null", key ? key : "null");
    assert_string_equal(r->value ? r->value : "null", value ? value : "null");
    assert_string_equal(r->headers, headers);
}

RIG void rig_expect_no_more(void)
{
    rig_flush();
    if (rig.read < rig.count)
        fail_msg("a record too many: %s", rig.records[rig.read].value);
}

/* Both images and the op of an event of `table` that is in no transaction. */
#define EVENT(table, before, after, op)                                                                      \
    "{\"before\":" before ",\"after\":" after                                                                \
    ",\"source\":" SOURCE(table) ",\"transaction\":null,\"op\":\"" op "\"@}"

#endif
