/*
 * cdc_expand: first a shape is made of all that is in the text (cdc_shape), then schema and value are written by it.
 */
#include "kit/cdc/cdc_expand.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/number_text.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_shape.h"

#define TEXT_MAX ((size_t)1 << 30)

/* ---- schema ------------------------------------------------------------------------------------------------------------------- */

struct writing {
    bool keep_nulls;
    struct buf path; /* of the struct: payload.lines */
    struct err *e;
};

/* Nothing but nulls was seen: it has no type. */
static bool absent(const struct writing *w, const struct cdc_shape *s)
{
    if (s->kind == CDC_SHAPE_ARRAY)
        return !w->keep_nulls && (s->count == 0 || absent(w, &s->items[0]));
    return s->kind == CDC_SHAPE_NOTHING && !w->keep_nulls;
}

static int put(struct writing *w, struct buf *out, const char *text)
{
    return buf_str(out, text, w->e);
}

static int write_schema(struct writing *w, const struct cdc_shape *s, bool field, struct buf *out);

static int write_fields(struct writing *w, const struct cdc_shape *s, struct buf *out)
{
    bool first = true;
    for (size_t i = 0; i < s->count; i++) {
        const struct cdc_shape *f = &s->items[i];
        if (absent(w, f))
            continue;
        size_t before = w->path.len;
        int rc = first ? ERR_OK : put(w, out, ",");
        rc = rc ? rc : put(w, &w->path, ".");
        rc = rc ? rc : put(w, &w->path, f->name);
        rc = rc ? rc : write_schema(w, f, true, out);
        w->path.len = before;
        if (rc)
            return rc;
        first = false;
    }
    return ERR_OK;
}

static int write_schema(struct writing *w, const struct cdc_shape *s, bool field, struct buf *out)
{
    int rc = put(w, out, "{\"type\":\"");
    rc = rc ? rc : put(w, out, cdc_shape_types[s->kind]);
    rc = rc ? rc : put(w, out, "\"");
    if (rc == ERR_OK && s->kind == CDC_SHAPE_STRUCT) {
        rc = put(w, out, ",\"fields\":[");
        rc = rc ? rc : write_fields(w, s, out);
        rc = rc ? rc : put(w, out, "]");
    } else if (rc == ERR_OK && s->kind == CDC_SHAPE_ARRAY) {
        rc = put(w, out, ",\"items\":");
        rc = rc ? rc : write_schema(w, &s->items[0], false, out);
    }
    rc = rc ? rc : put(w, out, ",\"optional\":true");
    if (rc == ERR_OK && s->kind == CDC_SHAPE_STRUCT) {
        rc = put(w, out, ",\"name\":");
        rc = rc ? rc : cdc_json_string(out, w->path.data, w->path.len, w->e);
    }
    if (rc == ERR_OK && field) {
        rc = put(w, out, ",\"field\":");
        rc = rc ? rc : cdc_json_string(out, s->name, strlen(s->name), w->e);
    }
    return rc ? rc : put(w, out, "}");
}

/* ---- value -------------------------------------------------------------------------------------------------------------------- */

static int write_value(struct writing *w, const struct cdc_shape *s, const struct jtext_token *t,
                       struct buf *out);

/* The object's members by the struct's fields; of several of a name the last. JTEXT_NONE: it has none of that name. */
static int find_members(const struct writing *w, const struct cdc_shape *s, const struct jtext_token *object,
                        struct jtext_token *found)
{
    struct jtext_token key, value;
    struct buf name;
    size_t field, next = 0;
    int rc = ERR_OK;
    buf_init(&name, TEXT_MAX);
    for (size_t at = 0; rc == ERR_OK && jtext_next(object->p, object->n, &at, &key, &value);) {
        buf_reset(&name);
        rc = jtext_unescape(&name, key.p, key.n, w->e);
        if (rc == ERR_OK &&
            cdc_shape_find(s, name.data ? (const void *)name.data : "", name.len, next, &field)) {
            found[field] = value;
            next = field + 1;
        }
    }
    buf_free(&name);
    return rc;
}

static int write_fields_of(struct writing *w, const struct cdc_shape *s, const struct jtext_token *members,
                           struct buf *out)
{
    int rc = put(w, out, "{");
    bool first = true;
    for (size_t i = 0; rc == ERR_OK && i < s->count; i++) {
        const struct cdc_shape *f = &s->items[i];
        if (absent(w, f))
            continue;
        rc = first ? ERR_OK : put(w, out, ",");
        rc = rc ? rc : cdc_json_string(out, f->name, strlen(f->name), w->e);
        rc = rc ? rc : put(w, out, ":");
        rc = rc ? rc : write_value(w, f, &members[i], out);
        first = false;
    }
    return rc ? rc : put(w, out, "}");
}

static int write_members(struct writing *w, const struct cdc_shape *s, const struct jtext_token *t,
                         struct buf *out)
{
    struct jtext_token *members = mem_calloc(s->count + 1, sizeof(*members));
    if (!members)
        return err_nomem(w->e);
    int rc = find_members(w, s, t, members);
    rc = rc ? rc : write_fields_of(w, s, members, out);
    mem_free(members);
    return rc;
}

static int write_items(struct writing *w, const struct cdc_shape *s, const struct jtext_token *t,
                       struct buf *out)
{
    int rc = put(w, out, "[");
    struct jtext_token item;
    bool first = true;
    for (size_t at = 0; rc == ERR_OK && jtext_next_item(t->p, t->n, &at, &item); first = false) {
        rc = first ? ERR_OK : put(w, out, ",");
        rc = rc ? rc : write_value(w, &s->items[0], &item, out);
    }
    return rc ? rc : put(w, out, "]");
}

static int write_number(struct writing *w, const struct cdc_shape *s, const struct jtext_token *t,
                        struct buf *out)
{
    char text[400];
    if (s->kind != CDC_SHAPE_DOUBLE)
        return buf_append(out, t->p, t->n, w->e);
    if (t->n >= sizeof(text))
        return err_set(w->e, ERR_INVALID_RECORD, "a number of %zu characters", t->n);
    memcpy(text, t->p, t->n);
    text[t->n] = '\0';
    double v = strtod(text, NULL);
    if (!isfinite(v))
        return err_set(w->e, ERR_INVALID_RECORD, "the number %s is beyond a double", text);
    return text_double(out, v, false, w->e);
}

static int write_value(struct writing *w, const struct cdc_shape *s, const struct jtext_token *t,
                       struct buf *out)
{
    struct buf plain;
    int rc;
    switch (t->type) {
    case JTEXT_OBJECT:
        return write_members(w, s, t, out);
    case JTEXT_ARRAY:
        return write_items(w, s, t, out);
    case JTEXT_NUMBER:
        return write_number(w, s, t, out);
    case JTEXT_STRING:
        buf_init(&plain, TEXT_MAX);
        rc = jtext_unescape(&plain, t->p, t->n, w->e);
        rc = rc ? rc : cdc_json_string(out, plain.data, plain.len, w->e);
        buf_free(&plain);
        return rc;
    case JTEXT_TRUE:
    case JTEXT_FALSE:
        return put(w, out, t->type == JTEXT_TRUE ? "true" : "false");
    default:
        return put(w, out, "null");
    }
}

int cdc_expand(const void *text, size_t n, bool keep_nulls, struct buf *schema, struct buf *value,
               struct err *e)
{
    const char *p = text;
    while (n && strchr(" \t\r\n", *p))
        p++, n--;
    if (n == 0 || (*p != '{' && *p != '['))
        return err_set(e, ERR_INVALID_RECORD, "no JSON object or array");
    struct buf compact;
    buf_init(&compact, TEXT_MAX);
    struct cdc_shape root = {0};
    struct writing w = {.keep_nulls = keep_nulls, .e = e};
    buf_init(&w.path, TEXT_MAX);
    int rc = jtext_compact(&compact, p, n, e);
    struct jtext_token t = {*p == '{' ? JTEXT_OBJECT : JTEXT_ARRAY, (char *)compact.data, compact.len};
    rc = rc ? rc : cdc_shape_learn(&root, &t, e);
    if (rc == ERR_OK && root.kind == CDC_SHAPE_ARRAY && absent(&w, &root))
        rc = err_set(e, ERR_INVALID_RECORD, "an array of nothing has no schema");
    rc = rc ? rc : put(&w, &w.path, "payload");
    rc = rc ? rc : write_schema(&w, &root, false, schema);
    rc = rc ? rc : write_value(&w, &root, &t, value);
    cdc_shape_clear(&root);
    buf_free(&w.path);
    buf_free(&compact);
    return rc;
}
