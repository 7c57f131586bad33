/*
 * kit/field: reads a record's value by the converter that applies. Task thread only.
 */
#include "kit/field.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kit/jtext.h"

void record_view_init(struct record_view *v, const struct leat_host *host, struct leat_task *task)
{
    *v = (struct record_view){host, task, LEAT_CONVERTER_BYTES, LEAT_CONVERTER_BYTES};
    size_t known = offsetof(struct leat_host, converter) + sizeof(host->converter);
    if (host->struct_size >= known && host->converter) {
        v->key = host->converter(task, true);
        v->value = host->converter(task, false);
    }
}

char *record_name(const struct leat_record *r, char *out, size_t size)
{
    snprintf(out, size, "%s-%" PRId32 "@%" PRId64, r->topic, r->partition, r->offset);
    return out;
}

bool record_value_is_null(const struct record_view *v, const struct leat_record *r)
{
    if (r->value_value)
        return v->host->value_type(r->value_value) == LEAT_TYPE_NULL;
    if (!r->value)
        return true;
    return v->value == LEAT_CONVERTER_JSON && r->value_len == 4 && memcmp(r->value, "null", 4) == 0;
}

static void json_number(const struct jtext_token *t, struct field *out)
{
    char text[32];
    out->kind = FIELD_FLOAT;
    if (t->n >= sizeof(text) || memchr(t->p, '.', t->n) || memchr(t->p, 'e', t->n) || memchr(t->p, 'E', t->n))
        return;
    memcpy(text, t->p, t->n);
    text[t->n] = '\0';
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno)
        return;
    out->kind = FIELD_INT;
    out->i = v;
}

static int from_json(const struct jtext_token *t, struct buf *scratch, struct field *out, struct err *e)
{
    *out = (struct field){.kind = FIELD_OTHER, .text = t->p, .n = t->n};
    switch (t->type) {
    case JTEXT_NULL:
        out->kind = FIELD_NULL;
        return ERR_OK;
    case JTEXT_TRUE:
    case JTEXT_FALSE:
        out->kind = FIELD_BOOL;
        out->i = t->type == JTEXT_TRUE;
        return ERR_OK;
    case JTEXT_NUMBER:
        json_number(t, out);
        return ERR_OK;
    case JTEXT_STRING:
        out->kind = FIELD_STRING;
        if (!memchr(t->p, '\\', t->n))
            return ERR_OK;
        if (jtext_unescape(scratch, t->p, t->n, e) != ERR_OK)
            return e->code;
        break;
    default:
        if (jtext_compact(scratch, t->p, t->n, e) != ERR_OK)
            return e->code;
        break;
    }
    out->text = (const char *)scratch->data;
    out->n = scratch->len;
    return ERR_OK;
}

static enum field_kind typed_kind(enum leat_type type)
{
    switch (type) {
    case LEAT_TYPE_NULL:
        return FIELD_NULL;
    case LEAT_TYPE_BOOLEAN:
        return FIELD_BOOL;
    case LEAT_TYPE_INT8:
    case LEAT_TYPE_INT16:
    case LEAT_TYPE_INT32:
    case LEAT_TYPE_INT64:
        return FIELD_INT;
    case LEAT_TYPE_FLOAT32:
    case LEAT_TYPE_FLOAT64:
        return FIELD_FLOAT;
    case LEAT_TYPE_STRING:
        return FIELD_STRING;
    case LEAT_TYPE_TIMESTAMP:
        return FIELD_TIMESTAMP;
    default:
        return FIELD_OTHER;
    }
}

static int from_typed(const struct record_view *v, const struct leat_value *value, struct buf *scratch,
                      struct field *out, struct err *e)
{
    *out = (struct field){.kind = typed_kind(v->host->value_type(value))};
    if (out->kind == FIELD_STRING) {
        out->text = v->host->value_get_bytes(value, &out->n);
        return ERR_OK;
    }
    if (out->kind == FIELD_BOOL || out->kind == FIELD_INT || out->kind == FIELD_TIMESTAMP) {
        out->i = v->host->value_get_int(value);
        const char *fmt = out->kind == FIELD_BOOL ? (out->i ? "true" : "false") : NULL;
        int rc = fmt ? buf_str(scratch, fmt, e) : buf_printf(scratch, e, "%" PRId64, out->i);
        out->text = (const char *)scratch->data;
        out->n = scratch->len;
        return rc;
    }
    out->text = v->host->value_to_json(v->task, value, &out->n);
    return out->text ? ERR_OK : err_set(e, ERR_INVALID_RECORD, "a value cannot be written as JSON");
}

static const struct leat_value *find_typed(const struct record_view *v, const struct leat_value *value,
                                           const char *path)
{
    while (value) {
        enum leat_type type = v->host->value_type(value);
        if (type != LEAT_TYPE_MAP && type != LEAT_TYPE_STRUCT)
            return NULL;
        size_t n = strcspn(path, ".");
        value = v->host->value_find(value, path, n);
        if (path[n] == '\0')
            return value;
        path += n + 1;
    }
    return NULL;
}

int record_field(const struct record_view *v, const struct leat_record *r, const char *path,
                 struct buf *scratch, struct field *out, struct err *e)
{
    buf_reset(scratch);
    *out = (struct field){.kind = FIELD_ABSENT};
    if (r->value_value) {
        const struct leat_value *found = find_typed(v, r->value_value, path);
        return found ? from_typed(v, found, scratch, out, e) : ERR_OK;
    }
    struct jtext_token t;
    if (v->value != LEAT_CONVERTER_JSON || !r->value || !jtext_find(r->value, r->value_len, path, &t))
        return ERR_OK;
    return from_json(&t, scratch, out, e);
}
