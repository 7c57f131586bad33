/*
 * pg_decode_array: arrays ({a,NULL,"b,c"}, [2:4]={1,2,3}), and the vectors of numbers in the catalog. An array of more dimensions is written row by row as one: the
 * schema knows one dimension, as the type in the catalog does.
 */
#include <string.h>

#include "pg_decode.h"

#define DEPTH_MAX 6 /* MAXDIM of the server */

struct walk {
    const struct cdc_column *c;
    const uint8_t *p, *end;
    struct buf *out;
    struct err *e;
    bool any; /* an element was written */
};

/* [2:4][-1:0]= : bounds that are not the usual ones. */
static bool skip_bounds(struct walk *w)
{
    if (w->p == w->end || *w->p != '[')
        return true;
    while (w->p < w->end && (pg_is_digit(*w->p) || memchr("[]:-+", *w->p, 5)))
        w->p++;
    return w->p < w->end && w->p[-1] == ']' && *w->p++ == '=';
}

static int put_element(struct walk *w, const uint8_t *p, size_t n)
{
    return w->c->item->encode(w->c->item, p, n, w->out, w->e);
}

/* "b\"c": behind the opening quote. */
static int put_quoted(struct walk *w)
{
    struct buf *plain = &pg_scratch()->item;
    const uint8_t *start = w->p;
    bool escapes = false;
    for (; w->p < w->end && *w->p != '"'; w->p++) {
        if (*w->p == '\\') {
            escapes = true;
            if (++w->p == w->end)
                return pg_bad(w->c, w->e, "array that ends within an element");
        }
    }
    if (w->p == w->end)
        return pg_bad(w->c, w->e, "array that ends within an element");
    size_t n = (size_t)(w->p++ - start);
    if (!escapes)
        return put_element(w, start, n);
    pg_scratch_reset(plain);
    if (buf_reserve(plain, n, w->e) != ERR_OK)
        return w->e->code;
    for (const uint8_t *p = start, *end = start + n; p < end; p++) {
        p += *p == '\\';
        plain->data[plain->len++] = *p;
    }
    return put_element(w, plain->data, plain->len);
}

static int put_bare(struct walk *w)
{
    const uint8_t *start = w->p;
    while (w->p < w->end && *w->p != (uint8_t)w->c->b && *w->p != '}' && *w->p != '{' && *w->p != '"' &&
           *w->p != '\\')
        w->p++;
    size_t n = (size_t)(w->p - start);
    if (n == 0)
        return pg_bad(w->c, w->e, "array with an element without text");
    if (n == 4 && memcmp(start, "NULL", 4) == 0)
        return buf_append(w->out, "null", 4, w->e);
    return put_element(w, start, n);
}

static int put_value(struct walk *w)
{
    int rc = w->any ? buf_u8(w->out, ',', w->e) : ERR_OK;
    w->any = true;
    if (rc != ERR_OK)
        return rc;
    if (*w->p != '"')
        return put_bare(w);
    w->p++;
    return put_quoted(w);
}

enum place { BEHIND_BRACE, BEHIND_DELIMITER, BEHIND_VALUE };

/* All between the outermost braces. */
static int walk(struct walk *w)
{
    int depth = 1;
    enum place place = BEHIND_BRACE;
    while (depth > 0) {
        int rc = ERR_OK;
        if (w->p == w->end)
            return pg_bad(w->c, w->e, "array without its end");
        bool value = place != BEHIND_VALUE, delimiter = *w->p == (uint8_t)w->c->b;
        if (*w->p == '}' && place != BEHIND_DELIMITER) {
            w->p++;
            depth--;
            place = BEHIND_VALUE;
        } else if (delimiter && !value) {
            w->p++;
            place = BEHIND_DELIMITER;
        } else if (*w->p == '{' && value && depth < DEPTH_MAX) {
            w->p++;
            depth++;
            place = BEHIND_BRACE;
        } else if (value && !delimiter && *w->p != '{' && *w->p != '}') {
            rc = put_value(w);
            place = BEHIND_VALUE;
        } else {
            return pg_bad(w->c, w->e, "array whose braces and delimiters do not fit");
        }
        if (rc != ERR_OK)
            return rc;
    }
    return w->p == w->end ? ERR_OK : pg_bad(w->c, w->e, "array with text behind its end");
}

int pg_encode_array(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct walk w = {.c = c, .p = data, .end = (const uint8_t *)data + n, .out = out, .e = e};
    if (n < 2 || !skip_bounds(&w) || w.p == w.end || *w.p++ != '{')
        return pg_bad(c, e, "no array");
    int rc = buf_u8(out, '[', e);
    if (rc == ERR_OK)
        rc = walk(&w);
    return rc == ERR_OK ? buf_u8(out, ']', e) : rc;
}

/* int2vector and oidvector: "1 2 3". */
int pg_encode_int_vector(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                         struct err *e)
{
    const uint8_t *p = data, *end = p + n;
    int rc = buf_u8(out, '[', e);
    for (bool first = true; rc == ERR_OK && p < end; first = false) {
        const uint8_t *space = memchr(p, ' ', (size_t)(end - p)), *stop = space ? space : end;
        rc = first ? ERR_OK : buf_u8(out, ',', e);
        if (rc == ERR_OK)
            rc = c->item->encode(c->item, p, (size_t)(stop - p), out, e);
        p = space ? space + 1 : end;
        if (rc == ERR_OK && space && p == end)
            rc = pg_bad(c, e, "list of numbers that ends in a space");
    }
    return rc == ERR_OK ? buf_u8(out, ']', e) : rc;
}
