/*
 * cdc_shape: see cdc_shape.h. Fields are found by an index where there are many, so that it takes time by the text's length alone.
 */
#include "kit/cdc/cdc_shape.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#define DEPTH_MAX 128
#define INDEX_FROM 16 /* fields of a struct */
#define TEXT_MAX ((size_t)1 << 30)

const char *const cdc_shape_types[] = {
    [CDC_SHAPE_NOTHING] = "bytes", [CDC_SHAPE_BOOLEAN] = "boolean", [CDC_SHAPE_INT32] = "int32",
    [CDC_SHAPE_INT64] = "int64",   [CDC_SHAPE_DOUBLE] = "double",   [CDC_SHAPE_STRING] = "string",
    [CDC_SHAPE_ARRAY] = "array",   [CDC_SHAPE_STRUCT] = "struct",
};

void cdc_shape_clear(struct cdc_shape *s)
{
    for (size_t i = 0; i < s->count; i++)
        cdc_shape_clear(&s->items[i]);
    map_free(s->index, NULL);
    mem_free(s->items);
    mem_free(s->name);
    *s = (struct cdc_shape){0};
}

/* ---- the shape -------------------------------------------------------------------------------------------------------------- */

static int number_kind(const struct jtext_token *t, enum cdc_shape_kind *out, struct err *e)
{
    char text[64];
    *out = CDC_SHAPE_DOUBLE;
    if (memchr(t->p, '.', t->n) || memchr(t->p, 'e', t->n) || memchr(t->p, 'E', t->n))
        return ERR_OK;
    if (t->n >= sizeof(text))
        return err_set(e, ERR_INVALID_RECORD, "a number of %zu digits", t->n);
    memcpy(text, t->p, t->n);
    text[t->n] = '\0';
    errno = 0;
    long long v = strtoll(text, NULL, 10);
    if (errno == ERANGE)
        return err_set(e, ERR_INVALID_RECORD, "the number %s is beyond 64 bits", text);
    *out = v >= INT32_MIN && v <= INT32_MAX ? CDC_SHAPE_INT32 : CDC_SHAPE_INT64;
    return ERR_OK;
}

static int learn(struct cdc_shape *s, const struct jtext_token *t, int depth, struct err *e);

static int unescape(const struct jtext_token *t, struct buf *out, struct err *e)
{
    int rc = jtext_unescape(out, t->p, t->n, e);
    return rc ? rc : buf_u8(out, '\0', e);
}

static int add_item(struct cdc_shape *s, char *name, struct err *e)
{
    if (s->count == s->room) {
        size_t room = s->room ? s->room * 2 : 1;
        struct cdc_shape *items = mem_realloc_array(s->items, room, sizeof(*items));
        if (!items) {
            mem_free(name);
            return err_nomem(e);
        }
        s->items = items;
        s->room = room;
    }
    s->items[s->count++] = (struct cdc_shape){.name = name};
    return ERR_OK;
}

static int index_field(struct cdc_shape *s, size_t i, struct err *e)
{
    const char *name = s->items[i].name;
    return map_put(s->index, name, strlen(name), (void *)(uintptr_t)(i + 1), e);
}

/* The newest field can be found; of few the names are compared one by one. */
static int index_newest(struct cdc_shape *s, struct err *e)
{
    if (s->index)
        return index_field(s, s->count - 1, e);
    if (s->count < INDEX_FROM)
        return ERR_OK;
    s->index = map_new();
    int rc = s->index ? ERR_OK : err_nomem(e);
    for (size_t i = 0; rc == ERR_OK && i < s->count; i++)
        rc = index_field(s, i, e);
    return rc;
}

static bool has_name(const struct cdc_shape *field, const void *name, size_t n)
{
    return strlen(field->name) == n && memcmp(field->name, name, n) == 0;
}

bool cdc_shape_find(const struct cdc_shape *s, const void *name, size_t n, size_t next, size_t *at)
{
    *at = next;
    if (next < s->count && has_name(&s->items[next], name, n))
        return true;
    if (s->index) {
        uintptr_t place = (uintptr_t)map_get(s->index, name, n);
        *at = place - 1;
        return place != 0;
    }
    for (*at = 0; *at < s->count; ++*at)
        if (has_name(&s->items[*at], name, n))
            return true;
    return false;
}

/* The struct's field of this name, made if it is new; *next: where to look first, and then for the next one. */
static int field_of(struct cdc_shape *s, const struct jtext_token *name, size_t *next, struct cdc_shape **out,
                    struct err *e)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = unescape(name, &b, e);
    if (rc == ERR_OK && strlen((char *)b.data) + 1 < b.len)
        rc = err_set(e, ERR_INVALID_RECORD, "a name with a NUL in it");
    if (rc) {
        buf_free(&b);
        return rc;
    }
    size_t at;
    if (cdc_shape_find(s, b.data, b.len - 1, *next, &at)) {
        buf_free(&b);
    } else {
        at = s->count;
        rc = add_item(s, (char *)b.data, e);
        rc = rc ? rc : index_newest(s, e);
    }
    *out = rc ? NULL : &s->items[at];
    *next = at + 1;
    return rc;
}

static int learn_members(struct cdc_shape *s, const struct jtext_token *t, int depth, struct err *e)
{
    struct jtext_token name, value;
    struct cdc_shape *field;
    int rc = ERR_OK;
    size_t next = 0;
    for (size_t at = 0; rc == ERR_OK && jtext_next(t->p, t->n, &at, &name, &value);) {
        rc = field_of(s, &name, &next, &field, e);
        rc = rc ? rc : learn(field, &value, depth + 1, e);
    }
    return rc;
}

static int learn_items(struct cdc_shape *s, const struct jtext_token *t, int depth, struct err *e)
{
    int rc = s->count ? ERR_OK : add_item(s, NULL, e);
    struct jtext_token item;
    for (size_t at = 0; rc == ERR_OK && jtext_next_item(t->p, t->n, &at, &item);)
        rc = learn(&s->items[0], &item, depth + 1, e);
    return rc;
}

/* What was seen before and this one together. */
static int widen(struct cdc_shape *s, enum cdc_shape_kind kind, struct err *e)
{
    bool numbers = s->kind >= CDC_SHAPE_INT32 && s->kind <= CDC_SHAPE_DOUBLE && kind >= CDC_SHAPE_INT32 &&
                   kind <= CDC_SHAPE_DOUBLE;
    if (s->kind != CDC_SHAPE_NOTHING && kind != CDC_SHAPE_NOTHING && s->kind != kind && !numbers)
        return err_set(e, ERR_INVALID_RECORD, "an array of %s and %s", cdc_shape_types[s->kind],
                       cdc_shape_types[kind]);
    if (kind > s->kind)
        s->kind = kind;
    return ERR_OK;
}

static int learn(struct cdc_shape *s, const struct jtext_token *t, int depth, struct err *e)
{
    static const enum cdc_shape_kind kinds[] = {
        [JTEXT_NULL] = CDC_SHAPE_NOTHING,  [JTEXT_FALSE] = CDC_SHAPE_BOOLEAN,
        [JTEXT_TRUE] = CDC_SHAPE_BOOLEAN,  [JTEXT_NUMBER] = CDC_SHAPE_DOUBLE,
        [JTEXT_STRING] = CDC_SHAPE_STRING, [JTEXT_OBJECT] = CDC_SHAPE_STRUCT,
        [JTEXT_ARRAY] = CDC_SHAPE_ARRAY,
    };
    if (depth > DEPTH_MAX)
        return err_set(e, ERR_INVALID_RECORD, "nested deeper than %d", DEPTH_MAX);
    enum cdc_shape_kind kind = kinds[t->type];
    if (t->type == JTEXT_NUMBER && number_kind(t, &kind, e) != ERR_OK)
        return e->code;
    int rc = widen(s, kind, e);
    if (rc == ERR_OK && kind == CDC_SHAPE_STRUCT)
        rc = learn_members(s, t, depth, e);
    if (rc == ERR_OK && kind == CDC_SHAPE_ARRAY)
        rc = learn_items(s, t, depth, e);
    return rc;
}

int cdc_shape_learn(struct cdc_shape *s, const struct jtext_token *t, struct err *e)
{
    return learn(s, t, 0, e);
}
