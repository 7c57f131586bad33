/*
 * cdc_source: the source block. Rows of a transaction share all but sequence and position, so its text is kept in two pieces
 * and made anew when the time or the snapshot's state changes.
 */
#include <time.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_schema.h"
#include "kit/cdc/cdc_json.h"

static const char *const snapshot_names[] = {
    [CDC_STREAMED] = "false",
    [CDC_SNAPSHOT] = "true",
    [CDC_FIRST] = "first",
    [CDC_FIRST_IN_TABLE] = "first_in_data_collection",
    [CDC_LAST_IN_TABLE] = "last_in_data_collection",
    [CDC_LAST] = "last",
    [CDC_INCREMENTAL] = "incremental",
};

#define SOURCE_FIELDS                                                                                        \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},"                                        \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"},"                                      \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"name\"},"                                           \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"},"                                           \
    "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,"               \
    "\"parameters\":{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection,last,false,"  \
    "incremental\"},\"default\":\"false\",\"field\":\"snapshot\"},"                                          \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"db\"},"                                             \
    "{\"type\":\"string\",\"optional\":true,\"field\":\"sequence\"},"                                        \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"},"                                            \
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}"

#define BLOCK_FIELDS                                                                                         \
    "{\"type\":\"string\",\"optional\":false,\"field\":\"id\"},"                                             \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"total_order\"},"                                     \
    "{\"type\":\"int64\",\"optional\":false,\"field\":\"data_collection_order\"}"

static int make_heads(struct cdc *c, struct buf *b, struct err *e)
{
    int rc = buf_printf(b, e, "{\"version\":\"%s\",\"connector\":\"%s\",\"name\":\"%s\",\"ts_ms\":",
                        CDC_FORMAT_VERSION, c->dialect->connector, c->config.prefix);
    rc = rc ? rc : cdc_str_take(b, &c->source_head, e);
    rc = rc ? rc : buf_printf(b, e, ",\"db\":%s,\"sequence\":", c->db_json);
    return rc ? rc : cdc_str_take(b, &c->source_db, e);
}

static int make_schemas(struct cdc *c, struct buf *b, struct err *e)
{
    struct buf fields;
    buf_init(&fields, 1 << 20);
    int rc = buf_printf(&fields, e, "%s%s", SOURCE_FIELDS, c->dialect->source_fields);
    rc = rc ? rc : cdc_json_string(b, c->dialect->source_schema, strlen(c->dialect->source_schema), e);
    struct cdc_str name = {0};
    rc = rc ? rc : buf_u8(b, '\0', e);
    rc = rc ? rc : cdc_str_take(b, &name, e);
    rc = rc ? rc : cdc_schema_struct(b, (char *)fields.data, fields.len, false, name.p, 1, "source", e);
    rc = rc ? rc : cdc_str_take(b, &c->source_schema, e);
    rc = rc ? rc
            : cdc_schema_struct(b, BLOCK_FIELDS, sizeof(BLOCK_FIELDS) - 1, true, "\"event.block\"", 1,
                                "transaction", e);
    rc = rc ? rc : cdc_str_take(b, &c->block_schema, e);
    cdc_str_free(&name);
    buf_free(&fields);
    return rc;
}

int cdc_source_init(struct cdc *c, struct err *e)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    int rc = make_heads(c, &b, e);
    rc = rc ? rc : make_schemas(c, &b, e);
    buf_free(&b);
    return rc;
}

/* Digits of a time in ns, cut to ms and us: the one number gives all three. */
static int put_times(struct buf *out, const char *digits, size_t n, struct err *e)
{
    int rc = CDC_PUT(out, ",\"ts_us\":", e);
    rc = rc ? rc : cdc_put(out, digits, n - 3, e);
    rc = rc ? rc : CDC_PUT(out, ",\"ts_ns\":", e);
    return rc ? rc : cdc_put(out, digits, n, e);
}

static int make_common(struct cdc *c, const struct cdc_origin *at, struct err *e)
{
    struct buf *b = &c->source_before, *t = &c->source_times;
    c->source_made = false;
    buf_reset(b);
    buf_reset(t);
    const char *name = snapshot_names[at->snapshot];
    int rc = cdc_put_str(b, &c->source_head, e);
    int64_t us = at->ts_us;
    rc = rc ? rc : cdc_put_int(b, us >= 0 ? us / 1000 : (us - 999) / 1000, e);
    rc = rc ? rc : CDC_PUT(b, ",\"snapshot\":\"", e);
    rc = rc ? rc : cdc_put(b, name, strlen(name), e);
    rc = rc ? rc : CDC_PUT(b, "\"", e);
    rc = rc ? rc : cdc_put_str(b, &c->source_db, e);
    rc = rc ? rc : CDC_PUT(t, ",\"ts_us\":", e);
    rc = rc ? rc : cdc_put_int(t, us, e);
    rc = rc ? rc : CDC_PUT(t, ",\"ts_ns\":", e);
    rc = rc ? rc : cdc_put_int(t, us, e);
    if (rc == ERR_OK && us != 0)
        rc = CDC_PUT(t, "000", e);
    if (rc)
        return rc;
    c->source_ts_us = at->ts_us;
    c->source_snapshot = at->snapshot;
    c->source_made = true;
    return ERR_OK;
}

int cdc_source_write(struct cdc *c, const struct cdc_origin *at, const char *schema, const char *table,
                     struct buf *out, struct err *e)
{
    if ((!c->source_made || at->ts_us != c->source_ts_us || at->snapshot != c->source_snapshot) &&
        make_common(c, at, e) != ERR_OK)
        return e->code;
    int rc = cdc_put(out, c->source_before.data, c->source_before.len, e);
    rc = rc ? rc : c->dialect->write_sequence(at, out, e);
    rc = rc ? rc : cdc_put(out, c->source_times.data, c->source_times.len, e);
    rc = rc ? rc : c->dialect->write_source(at, schema, table, out, e);
    return rc ? rc : CDC_PUT(out, "}", e);
}

size_t cdc_now(char out[CDC_DIGITS])
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return cdc_digits((int64_t)t.tv_sec * 1000000000 + t.tv_nsec, out);
}

int cdc_times_write(char op, struct buf *out, struct err *e)
{
    char digits[CDC_DIGITS], text[] = ",\"op\":\"c\",\"ts_ms\":";
    text[7] = op;
    size_t n = cdc_now(digits);
    int rc = cdc_put(out, text, sizeof(text) - 1, e);
    rc = rc ? rc : cdc_put(out, digits, n - 6, e);
    return rc ? rc : put_times(out, digits, n, e);
}
