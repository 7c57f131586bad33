/*
 * bench_cdc: changes made into change events by kit/cdc alone: a row of five columns (int, bigint, two texts, a boolean),
 * without schemas, inserts and updates with both images, beside memcpy of the same bytes. Usage: bench_cdc DIR quick|full
 *
 * The host takes batches and does nothing; encoders are those that need no conversion, as most of Postgres' do.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "kit/cdc/cdc.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_options.h"
#include "kit/cdc/cdc_put.h"
#include "tests/bench/lib/bench.h"

struct leat_task {
    size_t records, bytes;
};

static const struct leat_option options[] = {CDC_OPTIONS};

/* ---- the host: options by their defaults, records counted -------------------------------------------------------------- */

static const char *get_str(const struct leat_config *c, const char *name)
{
    (void)c;
    if (strcmp(name, "topic.prefix") == 0)
        return "shop";
    for (size_t i = 0; i < sizeof(options) / sizeof(*options); i++)
        if (strcmp(options[i].name, name) == 0)
            return options[i].default_value;
    return NULL;
}

static int64_t get_int(const struct leat_config *c, const char *name)
{
    (void)c, (void)name;
    return 0; /* the first choice, or off */
}

static bool get_bool(const struct leat_config *c, const char *name)
{
    const char *text = get_str(c, name);
    return text && strcmp(text, "true") == 0;
}

static size_t get_list(const struct leat_config *c, const char *name, const char *const **items)
{
    static const char *one[1];
    *items = one;
    one[0] = get_str(c, name);
    return one[0] ? 1 : 0;
}

static bool next_option(const struct leat_config *c, size_t *cursor, const char **name, const char **value)
{
    (void)c, (void)cursor, (void)name, (void)value;
    return false;
}

static bool schemas_enabled(struct leat_task *t, bool key)
{
    (void)t, (void)key;
    return false;
}

static int task_index(struct leat_task *t)
{
    (void)t;
    return 0;
}

static __attribute__((format(printf, 3, 4))) int fail_task(struct leat_task *t, int result, const char *fmt,
                                                           ...)
{
    (void)t;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    exit(result);
}

static int emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    t->records += n;
    for (size_t i = 0; i < n; i++)
        t->bytes += records[i].key_len + records[i].value_len;
    return LEAT_OK;
}

static const struct leat_host host = {
    .struct_size = sizeof(struct leat_host),
    .fail = fail_task,
    .get_str = get_str,
    .get_int = get_int,
    .get_bool = get_bool,
    .get_list = get_list,
    .next_option = next_option,
    .schemas_enabled = schemas_enabled,
    .task_index = task_index,
    .emit = emit,
};

/* ---- the database --------------------------------------------------------------------------------------------------------- */

static int write_sequence(const struct cdc_origin *o, struct buf *out, struct err *e)
{
    int64_t lsn = *(const int64_t *)o->own;
    int rc = CDC_PUT(out, "\"[\\\"", e);
    rc = rc ? rc : cdc_put_int(out, lsn - 100, e);
    rc = rc ? rc : CDC_PUT(out, "\\\",\\\"", e);
    rc = rc ? rc : cdc_put_int(out, lsn, e);
    return rc ? rc : CDC_PUT(out, "\\\"]\"", e);
}

static int write_source(const struct cdc_origin *o, const char *schema, const char *table, struct buf *out,
                        struct err *e)
{
    int64_t lsn = *(const int64_t *)o->own;
    int rc = CDC_PUT(out, ",\"schema\":", e);
    rc = rc ? rc : cdc_put(out, schema, strlen(schema), e);
    rc = rc ? rc : CDC_PUT(out, ",\"table\":", e);
    rc = rc ? rc : cdc_put(out, table, strlen(table), e);
    rc = rc ? rc : CDC_PUT(out, ",\"txId\":", e);
    rc = rc ? rc : cdc_put_int(out, lsn >> 10, e);
    rc = rc ? rc : CDC_PUT(out, ",\"lsn\":", e);
    rc = rc ? rc : cdc_put_int(out, lsn, e);
    return rc ? rc : CDC_PUT(out, ",\"xmin\":null,\"origin\":null,\"origin_lsn\":null", e);
}

static const struct cdc_dialect dialect = {
    .connector = "postgresql",
    .source_schema = "io.debezium.connector.postgresql.Source",
    .source_fields = "",
    .write_sequence = write_sequence,
    .write_source = write_source,
    .write_txn_id = write_sequence,
};

static int as_it_is(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    (void)c;
    return cdc_put(out, data, n, e);
}

static int text(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    (void)c;
    return cdc_json_string(out, data, n, e);
}

static struct cdc_table *make_table(struct cdc *c)
{
    static const char *const names[] = {"id", "customer", "name", "note", "paid"};
    static const char *const types[] = {"\"int32\"", "\"int64\"", "\"string\"", "\"string\"", "\"boolean\""};
    struct cdc_table_spec s = {.db = mem_strdup("shop"),
                               .schema = mem_strdup("public"),
                               .table = mem_strdup("orders"),
                               .columns = mem_calloc(5, sizeof(*s.columns)),
                               .column_count = 5,
                               .key = mem_calloc(1, sizeof(*s.key)),
                               .key_count = 1};
    for (int i = 0; i < 5; i++)
        s.columns[i] = (struct cdc_column){.name = mem_strdup(names[i]),
                                           .encode = i == 2 || i == 3 ? text : as_it_is,
                                           .schema = {.type = mem_strdup(types[i])}};
    struct err e;
    struct cdc_table *t = cdc_table_new(c, &s, &e);
    bench_must(t ? ERR_OK : e.code, &e);
    return t;
}

/* ---- measuring ------------------------------------------------------------------------------------------------------------ */

struct shape {
    const char *name;
    char op;
    bool before;
};

static const struct cdc_cell *cells(const char *const texts[5], struct cdc_cell out[5])
{
    for (int i = 0; i < 5; i++)
        out[i] = (struct cdc_cell){texts[i], strlen(texts[i]), CDC_VALUE};
    return out;
}

/* The thread's processor time: nothing waits here, and others on the machine are no matter of ours. */
static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ns an event, and the bytes of one. */
static double measure(struct cdc *c, struct cdc_table *t, const struct shape *s, int64_t events,
                      struct leat_task *task, size_t *bytes)
{
    static const char *const row[] = {"1234567", "98765432101", "Erika Mustermann",
                                      "ring twice, leave at the door", "true"};
    struct cdc_cell before[5], after[5];
    int64_t lsn = 163536400;
    struct cdc_change ch = {.table = t,
                            .op = s->op,
                            .before = s->before ? cells(row, before) : NULL,
                            .after = cells(row, after),
                            .at = {.ts_us = 1795199641988353, .own = &lsn}};
    task->records = task->bytes = 0;
    double start = cpu_s();
    for (int64_t i = 0; i < events; i++) {
        lsn += 136;
        ch.at.ts_us += (i % 10) == 0; /* ten rows a transaction */
        if (cdc_change(c, &ch) != LEAT_OK)
            exit(1);
    }
    if (cdc_flush(c) != LEAT_OK || task->records != (size_t)events)
        exit(1);
    double ns = (cpu_s() - start) * 1e9 / (double)events;
    *bytes = task->bytes / task->records;
    return ns;
}

static double copying(size_t bytes, int64_t events)
{
    size_t room = 256 << 10, at = 0;
    uint8_t *from = bench_noise(bytes), *to = bench_noise(room);
    double start = cpu_s();
    for (int64_t i = 0; i < events; i++) {
        at = at + 2 * bytes > room ? 0 : at + bytes;
        memcpy(to + at, from, bytes);
        __asm__ volatile("" ::: "memory");
    }
    double ns = (cpu_s() - start) * 1e9 / (double)events;
    mem_free(from);
    mem_free(to);
    return ns;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: bench_cdc DIR quick|full\n");
        return 2;
    }
    bench_dir = argv[1];
    int64_t events = strcmp(argv[2], "quick") == 0 ? 2000000 : 20000000;
    static const struct shape shapes[] = {{"insert", 'c', false}, {"update with the row before", 'u', true}};
    struct leat_task task = {0};
    struct cdc *c = cdc_new(&task, &host, NULL, &dialect, "shop");
    struct cdc_table *t = make_table(c);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++) {
        size_t bytes;
        measure(c, t, &shapes[i], events / 10, &task, &bytes); /* buffers grow */
        double ns = measure(c, t, &shapes[i], events, &task, &bytes);
        char name[128];
        snprintf(name, sizeof(name), "change event of 5 columns: %s, %zu bytes", shapes[i].name, bytes);
        bench_row(name, ns, "ns", "memcpy of as many bytes", copying(bytes, events));
    }
    cdc_table_free(t);
    cdc_free(c);
    return 0;
}
