/*
 * kit/encode_csv: RFC 4180: comma, CRLF, quotes only where needed. A null is an empty cell. Task thread only.
 */
#include "kit/encode_impl.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kit/jtext.h"

enum csv_kind { CSV_KEY, CSV_VALUE, CSV_TOPIC, CSV_PARTITION, CSV_OFFSET, CSV_TIMESTAMP, CSV_FIELD };

struct csv_column {
    enum csv_kind kind;
    char *name;       /* as given, for the header */
    const char *path; /* CSV_FIELD: into name */
};

static bool column_parse(struct csv_column *c)
{
    static const char *const names[] = {[CSV_KEY] = "key",       [CSV_VALUE] = "value",
                                        [CSV_TOPIC] = "topic",   [CSV_PARTITION] = "partition",
                                        [CSV_OFFSET] = "offset", [CSV_TIMESTAMP] = "timestamp"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(c->name, names[i]) == 0) {
            c->kind = (enum csv_kind)i;
            return true;
        }
    }
    c->kind = CSV_FIELD;
    c->path = c->name + strlen("value.");
    return strncmp(c->name, "value.", strlen("value.")) == 0 && *c->path;
}

int csv_set_columns(struct encoder *x, const char *const *names, size_t n, struct err *e)
{
    if (n == 0)
        return err_set(e, ERR_INVALID_CONFIG, "csv.columns: at least one is needed");
    x->columns = mem_calloc(n, sizeof(*x->columns));
    if (!x->columns)
        return err_nomem(e);
    for (; x->column_count < n; x->column_count++) {
        struct csv_column *c = &x->columns[x->column_count];
        c->name = mem_strdup(names[x->column_count]);
        if (!c->name)
            return err_nomem(e);
        if (!column_parse(c)) {
            x->column_count++;
            return err_set(
                e, ERR_INVALID_CONFIG,
                "csv.columns: '%s' is none of key, value, topic, partition, offset, timestamp, value.FIELD",
                c->name);
        }
    }
    return ERR_OK;
}

void csv_free_columns(struct encoder *x)
{
    for (size_t i = 0; i < x->column_count; i++)
        mem_free(x->columns[i].name);
    mem_free(x->columns);
}

static bool needs_quotes(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == ',' || p[i] == '"' || p[i] == '\r' || p[i] == '\n')
            return true;
    }
    return false;
}

static int append_cell(struct buf *out, const char *p, size_t n, struct err *e)
{
    if (!needs_quotes(p, n))
        return buf_append(out, p, n, e);
    int rc = buf_u8(out, '"', e);
    while (n && rc == ERR_OK) {
        const char *quote = memchr(p, '"', n);
        size_t part = quote ? (size_t)(quote - p) + 1 : n;
        rc = buf_append(out, p, part, e);
        if (rc == ERR_OK && quote)
            rc = buf_u8(out, '"', e);
        p += part;
        n -= part;
    }
    return rc == ERR_OK ? buf_u8(out, '"', e) : rc;
}

/* Key or value as one cell: text and bytes as they are, JSON on one line, typed values as `raw` writes them.
 */
static int append_part(struct encoder *x, const struct part *p, struct buf *out, struct err *e)
{
    if (!p->typed && !p->bytes)
        return ERR_OK;
    buf_reset(&x->scratch);
    bool compact = !p->typed && p->converter == LEAT_CONVERTER_JSON;
    int rc = compact ? encode_json(x, p, &x->scratch, e) : encode_raw(x, p, &x->scratch, e);
    if (rc != ERR_OK)
        return rc;
    if (x->csv_base64)
        return jtext_base64(out, x->scratch.data, x->scratch.len, false, e);
    return append_cell(out, (const char *)x->scratch.data, x->scratch.len, e);
}

static int append_column(struct encoder *x, const struct csv_column *c, const struct leat_record *r,
                         struct buf *out, struct err *e)
{
    struct part part;
    struct field f;
    char time[32];
    int rc;
    switch (c->kind) {
    case CSV_KEY:
        part = encode_key_of(x, r);
        return append_part(x, &part, out, e);
    case CSV_VALUE:
        part = encode_value_of(x, r);
        return append_part(x, &part, out, e);
    case CSV_TOPIC:
        return append_cell(out, r->topic, strlen(r->topic), e);
    case CSV_PARTITION:
        return buf_printf(out, e, "%" PRId32, r->partition);
    case CSV_OFFSET:
        return buf_printf(out, e, "%" PRId64, r->offset);
    case CSV_TIMESTAMP:
        return r->timestamp < 0 ? ERR_OK
                                : buf_str(out, clock_format_utc(r->timestamp, time, sizeof(time)), e);
    case CSV_FIELD:
        rc = record_field(x->view, r, c->path, &x->scratch, &f, e);
        if (rc != ERR_OK || f.kind == FIELD_ABSENT || f.kind == FIELD_NULL)
            return rc;
        return append_cell(out, f.text, f.n, e);
    }
    return err_set(e, ERR_INTERNAL, "csv column %d", (int)c->kind);
}

int csv_append_header(struct encoder *x, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < x->column_count && rc == ERR_OK; i++) {
        const struct csv_column *c = &x->columns[i];
        const char *name = c->kind == CSV_FIELD ? c->path : c->name;
        if (i)
            rc = buf_u8(out, ',', e);
        if (rc == ERR_OK)
            rc = append_cell(out, name, strlen(name), e);
    }
    return rc == ERR_OK ? buf_append(out, "\r\n", 2, e) : rc;
}

int csv_append_record(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < x->column_count && rc == ERR_OK; i++) {
        if (i)
            rc = buf_u8(out, ',', e);
        if (rc == ERR_OK)
            rc = append_column(x, &x->columns[i], r, out, e);
    }
    return rc == ERR_OK ? buf_append(out, "\r\n", 2, e) : rc;
}
