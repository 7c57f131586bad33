/*
 * pg_default: column defaults in schemas. Constants ('dflt'::character varying, 7, B'101'::"bit", '2020-01-01'::date) are read as
 * values of the column's type. A function's value (now(), nextval(...), CURRENT_DATE) shows as zero or epoch, as in Debezium, where a
 * NULL then is written so too. Other expressions are not told. None is run.
 */
#include <string.h>

#include "base/mem.h"
#include "pg_column.h"
#include "pg_decode.h"

struct text {
    const char *p, *end;
};

static void skip_spaces(struct text *t)
{
    while (t->p < t->end && *t->p == ' ')
        t->p++;
}

/* '...' with '' for a quote; after E also \\ for a backslash. Appends what it stands for. */
static bool take_literal(struct text *t, bool escapes, struct buf *out, int *rc, struct err *e)
{
    if (t->p == t->end || *t->p++ != '\'')
        return false;
    while (t->p < t->end) {
        char c = *t->p++;
        bool pair = t->p < t->end && *t->p == c;
        if (c == '\'' && !pair)
            return true;
        if (c == '\'' || (c == '\\' && escapes && pair))
            t->p++;
        if ((*rc = buf_u8(out, (uint8_t)c, e)) != ERR_OK)
            return true;
    }
    return false;
}

/* 12, -1.5, true: without quotes. */
static bool take_word(struct text *t, struct buf *out, int *rc, struct err *e)
{
    const char *start = t->p;
    while (t->p < t->end && (pg_is_digit((uint8_t)*t->p) || memchr("+-.eE", *t->p, 5)))
        t->p++;
    if (t->p > start) {
        *rc = buf_append(out, start, (size_t)(t->p - start), e);
        return true;
    }
    size_t left = (size_t)(t->end - t->p);
    bool yes = left >= 4 && memcmp(t->p, "true", 4) == 0, no = left >= 5 && memcmp(t->p, "false", 5) == 0;
    if (!yes && !no)
        return false;
    t->p += yes ? 4 : 5;
    *rc = buf_u8(out, yes ? 't' : 'f', e);
    return true;
}

/* ::character varying(10), ::"Odd".mood[]: any number of them. Casts of constants that the server keeps do not change the text. */
static bool only_casts(struct text *t)
{
    while (t->end - t->p >= 2 && memcmp(t->p, "::", 2) == 0) {
        t->p += 2;
        for (bool quoted = false; t->p < t->end && (quoted || *t->p != ':'); t->p++) {
            if (*t->p == '"')
                quoted = !quoted;
            else if (!quoted && memchr("'|+*/<>=~", *t->p, 9))
                return false;
        }
    }
    return t->p == t->end;
}

/* Whether the expression is a constant; its text is then in `out`. */
static bool constant(const char *expression, struct buf *out, int *rc, struct err *e)
{
    struct text t = {expression, expression + strlen(expression)};
    skip_spaces(&t);
    bool paren = t.p < t.end && *t.p == '(';
    t.p += paren;
    bool escapes = t.p < t.end && *t.p == 'E', bits = t.p < t.end && *t.p == 'B';
    t.p += escapes || bits;
    bool literal = t.p < t.end && *t.p == '\'';
    if (!literal && (escapes || bits))
        return false;
    bool good = literal ? take_literal(&t, escapes, out, rc, e) : take_word(&t, out, rc, e);
    if (good && paren) {
        good = t.p < t.end && *t.p == ')';
        t.p += good;
    }
    return good && only_casts(&t);
}

static bool is_null(const char *expression)
{
    return strncmp(expression, "NULL", 4) == 0 && (expression[4] == '\0' || expression[4] == ':');
}

static int set(char **to, struct buf *b, struct err *e)
{
    *to = mem_strndup((char *)b->data, b->len);
    return *to ? ERR_OK : err_nomem(e);
}

/* Types whose defaults Debezium shows: not bytea, arrays, structs, text of extensions, networks and ranges. */
static bool shown(const struct pg_type *type, enum pg_kind kind)
{
    switch (kind) {
    case PG_KIND_STRING:
        return type->oid == 25 || type->oid == 1042 || type->oid == 1043;
    case PG_KIND_BOOL:
    case PG_KIND_INT2:
    case PG_KIND_INT4:
    case PG_KIND_INT8:
    case PG_KIND_FLOAT4:
    case PG_KIND_FLOAT8:
    case PG_KIND_BIT:
    case PG_KIND_VARBIT:
    case PG_KIND_DATE:
    case PG_KIND_TIME:
    case PG_KIND_TIMESTAMP:
    case PG_KIND_TIMESTAMPTZ:
    case PG_KIND_INTERVAL:
    case PG_KIND_JSON:
    case PG_KIND_XML:
    case PG_KIND_UUID:
    case PG_KIND_ENUM:
        return true;
    default:
        return kind == PG_KIND_NUMERIC;
    }
}

/* fn(...), (schema.fn(...) + 1), CURRENT_TIMESTAMP: Debezium's idea of a function. */
static bool is_call(const char *expression)
{
    static const char *const words[] = {"CURRENT_TIMESTAMP", "CURRENT_TIME", "CURRENT_DATE", "LOCALTIME",
                                        "LOCALTIMESTAMP"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(expression, words[i]) == 0)
            return true;
    }
    const char *name = expression + (*expression == '(');
    size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.");
    return n > 0 && name[n] == '(';
}

/* What a function's value shows as; NULL: not at all. */
static const char *computed_text(enum pg_kind kind)
{
    switch (kind) {
    case PG_KIND_JSON:
        return "{}";
    case PG_KIND_UUID:
        return "00000000-0000-0000-0000-000000000000";
    case PG_KIND_TIMESTAMPTZ:
        return "1970-01-01 00:00:00+00";
    case PG_KIND_ENUM:
        return NULL;
    default:
        return "";
    }
}

static int set_computed(enum pg_kind kind, struct cdc_column *c, struct buf *b, struct err *e)
{
    const char *text = computed_text(kind);
    if (!text)
        return ERR_OK;
    int rc = *text ? c->encode(c, text, strlen(text), b, e) : pg_column_fallback(c, kind, false, b, e);
    return rc == ERR_OK ? set(&c->schema.def, b, e) : rc;
}

/* A timestamp where one with time zone is wanted: UTC. */
static int complete(enum pg_kind kind, struct buf *text, struct err *e)
{
    const uint8_t *space = memchr(text->data, ' ', text->len);
    if (kind != PG_KIND_TIMESTAMPTZ || !space)
        return ERR_OK;
    size_t left = (size_t)(text->data + text->len - space);
    if (memchr(space, '+', left) || memchr(space, '-', left))
        return ERR_OK;
    return buf_str(text, "+00", e);
}

static int set_constant(enum pg_kind kind, struct cdc_column *c, struct buf *text, struct err *e)
{
    struct buf json;
    struct err ignored;
    buf_init(&json, SIZE_MAX / 2);
    int rc = complete(kind, text, e);
    bool digits = kind != PG_KIND_NUMERIC || (text->len && pg_is_digit(text->data[text->len - 1]));
    /* A constant that is no value of this type (5.0 for an integer), or a numeric without digits (NaN), is not told, as in Debezium. */
    if (rc == ERR_OK && digits && c->encode(c, text->data, text->len, &json, &ignored) == ERR_OK)
        rc = set(&c->schema.def, &json, e);
    buf_free(&json);
    return rc;
}

static int set_default(const struct pg_type *type, enum pg_kind kind, const char *expression,
                       struct cdc_column *c, struct err *e)
{
    struct buf b;
    int rc = ERR_OK;
    if (!expression || is_null(expression) || type->domain || c->item || !shown(type, kind) ||
        strcmp(c->schema.type, "\"struct\"") == 0)
        return ERR_OK;
    buf_init(&b, SIZE_MAX / 2);
    if (buf_reserve(&b, 1, e) != ERR_OK) {
        rc = e->code;
    } else if (constant(expression, &b, &rc, e)) {
        if (rc == ERR_OK)
            rc = set_constant(kind, c, &b, e);
    } else if (rc == ERR_OK && is_call(expression)) {
        buf_reset(&b);
        rc = set_computed(kind, c, &b, e);
    }
    buf_free(&b);
    return rc;
}

int pg_column_default(const struct pg_type *type, const char *expression, struct cdc_column *c, struct err *e)
{
    struct buf b;
    enum pg_kind kind = c->item ? pg_kind_of(type->element, type->element_name, type->element_typtype)
                                : pg_kind_of(type->oid, type->base, type->typtype);
    int rc = set_default(type, kind, expression, c, e);
    if (rc != ERR_OK)
        return rc;
    buf_init(&b, SIZE_MAX / 2);
    if (c->schema.def)
        rc = buf_str(&b, c->schema.def, e);
    else if (c->schema.optional)
        rc = buf_str(&b, "null", e);
    else
        rc = pg_column_fallback(c, kind, c->item != NULL, &b, e);
    if (rc == ERR_OK)
        rc = set(&c->absent, &b, e);
    buf_free(&b);
    return rc;
}
