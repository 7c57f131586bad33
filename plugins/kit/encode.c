/*
 * kit/encode: what the formats share, JSON lines and raw bytes. Task thread only.
 */
#include "kit/encode.h"

#include <string.h>

#include "base/mem.h"
#include "kit/encode_impl.h"
#include "kit/jtext.h"

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Replaces escapes in place; bytes that come out, or -1. */
static int unescape(char *s)
{
    static const char from[] = "nrt0\\", to[] = "\n\r\t\0\\";
    char *out = s, *begin = s;
    while (*s) {
        if (*s != '\\') {
            *out++ = *s++;
            continue;
        }
        const char *known = s[1] ? strchr(from, s[1]) : NULL;
        if (known) {
            *out++ = to[known - from];
            s += 2;
        } else if (s[1] == 'x' && hex_digit(s[2]) >= 0 && hex_digit(s[3]) >= 0) {
            *out++ = (char)(hex_digit(s[2]) << 4 | hex_digit(s[3]));
            s += 4;
        } else {
            return -1;
        }
    }
    return (int)(out - begin);
}

static int set_separator(struct encoder *x, const char *text, struct err *e)
{
    x->separator = mem_strdup(text ? text : "\\n");
    if (!x->separator)
        return err_nomem(e);
    int n = unescape(x->separator);
    if (n < 0)
        return err_set(e, ERR_INVALID_CONFIG, "format.bytearray.separator: unknown escape in \"%s\"", text);
    x->separator_n = (size_t)n;
    return ERR_OK;
}

int encoder_new(const struct encode_config *c, const struct record_view *view, struct encoder **out,
                struct err *e)
{
    *out = NULL;
    struct encoder *x = mem_calloc(1, sizeof(*x));
    if (!x)
        return err_nomem(e);
    x->format = c->format;
    x->nulls = c->nulls;
    x->csv_header = c->csv_header;
    x->csv_base64 = c->csv_base64;
    x->view = view;
    buf_init(&x->scratch, ENCODE_RECORD_MAX);
    int rc = set_separator(x, c->separator, e);
    if (rc == ERR_OK && c->format == ENCODE_CSV)
        rc = csv_set_columns(x, c->csv_columns, c->csv_column_count, e);
    if (rc != ERR_OK) {
        encoder_free(x);
        return rc;
    }
    *out = x;
    return ERR_OK;
}

void encoder_free(struct encoder *x)
{
    if (!x)
        return;
    csv_free_columns(x);
    mem_free(x->separator);
    buf_free(&x->scratch);
    mem_free(x);
}

int encoder_begin(struct encoder *x, struct buf *out, struct err *e)
{
    return x->format == ENCODE_CSV && x->csv_header ? csv_append_header(x, out, e) : ERR_OK;
}

struct part encode_value_of(const struct encoder *x, const struct leat_record *r)
{
    return (struct part){r->value_value, r->value, r->value_len, x->view->value};
}

struct part encode_key_of(const struct encoder *x, const struct leat_record *r)
{
    return (struct part){r->key_value, r->key, r->key_len, x->view->key};
}

int encode_json(const struct encoder *x, const struct part *p, struct buf *out, struct err *e)
{
    if (p->typed) {
        size_t n;
        const char *text = x->view->host->value_to_json(x->view->task, p->typed, &n);
        if (!text)
            return err_set(e, ERR_INVALID_RECORD, "cannot be written as JSON");
        return buf_append(out, text, n, e);
    }
    if (!p->bytes)
        return buf_append(out, "null", 4, e);
    if (p->converter == LEAT_CONVERTER_JSON)
        return jtext_compact(out, p->bytes, p->n, e);
    if (p->converter == LEAT_CONVERTER_STRING)
        return jtext_string(out, p->bytes, p->n, e);
    return jtext_base64(out, p->bytes, p->n, true, e);
}

int encode_raw(const struct encoder *x, const struct part *p, struct buf *out, struct err *e)
{
    if (!p->typed)
        return buf_append(out, p->bytes, p->bytes ? p->n : 0, e);
    enum leat_type type = x->view->host->value_type(p->typed);
    if (type == LEAT_TYPE_NULL)
        return ERR_OK;
    if (type != LEAT_TYPE_STRING && type != LEAT_TYPE_BYTES)
        return encode_json(x, p, out, e);
    size_t n;
    const void *bytes = x->view->host->value_get_bytes(p->typed, &n);
    return buf_append(out, bytes, n, e);
}

static int append_line(const struct encoder *x, const struct part *p, struct buf *out, struct err *e)
{
    int rc;
    if (x->format == ENCODE_JSON) {
        rc = encode_json(x, p, out, e);
        return rc == ERR_OK ? buf_u8(out, '\n', e) : rc;
    }
    rc = encode_raw(x, p, out, e);
    return rc == ERR_OK ? buf_append(out, x->separator, x->separator_n, e) : rc;
}

/* Says which record it was, and takes back what was appended. */
static int failed(const struct leat_record *r, struct buf *out, size_t before, struct err *e)
{
    char name[300];
    out->len = before;
    return err_wrap(e, "%s", record_name(r, name, sizeof(name)));
}

int encoder_record(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e)
{
    size_t before = out->len;
    if (x->nulls != ENCODE_NULLS_WRITE && record_value_is_null(x->view, r)) {
        if (x->nulls == ENCODE_NULLS_IGNORE)
            return ERR_END;
        err_set(e, ERR_INVALID_RECORD, "the record has no value (behavior.on.null.values is fail)");
        return failed(r, out, before, e);
    }
    int rc;
    if (x->format == ENCODE_CSV) {
        rc = csv_append_record(x, r, out, e);
    } else {
        struct part value = encode_value_of(x, r);
        rc = append_line(x, &value, out, e);
    }
    return rc == ERR_OK ? rc : failed(r, out, before, e);
}

int encoder_key(struct encoder *x, const struct leat_record *r, struct buf *out, struct err *e)
{
    size_t before = out->len;
    struct part key = encode_key_of(x, r);
    if (!key.typed && !key.bytes) {
        err_set(e, ERR_INVALID_RECORD, "the record has no key");
        return failed(r, out, before, e);
    }
    int rc = append_line(x, &key, out, e);
    return rc == ERR_OK ? rc : failed(r, out, before, e);
}

const char *encode_extension(enum encode_format format)
{
    static const char *const names[] = {
        [ENCODE_JSON] = ".json", [ENCODE_RAW] = ".bin", [ENCODE_CSV] = ".csv"};
    return names[format];
}
