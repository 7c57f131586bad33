/*
 * converter: see converter.h. Behaviour of Connect's ByteArrayConverter, StringConverter (UTF-8) and
 * JsonConverter with schemas off. Any thread.
 */
#include "connect/converter.h"

#include <string.h>

#include "connect/value_json.h"

const char *converter_name(enum converter c)
{
    return c == CONVERTER_BYTES ? "bytes" : c == CONVERTER_STRING ? "string" : "json";
}

int converter_write(enum converter c, const struct leat_value *v, struct buf *out, bool *null, struct err *e)
{
    *null = v->type == LEAT_TYPE_NULL && (c != CONVERTER_JSON || v->schema == NULL);
    if (*null)
        return ERR_OK;
    if (c == CONVERTER_JSON)
        return value_to_json(v, out, e);
    if (c == CONVERTER_STRING)
        return value_to_text(v, out, e);
    if (v->type != LEAT_TYPE_BYTES)
        return err_set(e, ERR_INVALID,
                       "the bytes converter writes BYTES, not %s; use the string or json converter",
                       leat_type_name(v->type));
    return buf_append(out, v->bytes.p, v->bytes.n, e);
}

/* Valid UTF-8 is borrowed; else each bad byte becomes U+FFFD in a copy. */
static struct leat_value *read_string(struct arena *a, const uint8_t *p, size_t n)
{
    size_t good = 0, bad = 0, step;
    for (size_t i = 0; i < n; i += step) {
        step = utf8_length(p + i, n - i);
        good += step;
        bad += step == 0;
        step += step == 0;
    }
    if (bad == 0)
        return value_borrow(a, LEAT_TYPE_STRING, p, n);
    uint8_t *copy = bad > (SIZE_MAX - good) / 3 ? NULL : arena_alloc(a, good + bad * 3), *to = copy;
    if (copy == NULL)
        return NULL;
    for (size_t i = 0; i < n; i += step) {
        step = utf8_length(p + i, n - i);
        memcpy(to, step == 0 ? (const uint8_t *)"\xef\xbf\xbd" : p + i, step == 0 ? 3 : step);
        to += step == 0 ? 3 : step;
        step += step == 0;
    }
    return value_borrow(a, LEAT_TYPE_STRING, copy, (size_t)(to - copy));
}

struct leat_value *converter_read(enum converter c, struct arena *a, const void *bytes, size_t n,
                                  struct err *e)
{
    if (bytes != NULL && c == CONVERTER_JSON)
        return value_from_json(a, bytes, n, JSON_BORROW | JSON_TRAILING, e);
    struct leat_value *v = bytes == NULL           ? value_null(a)
                           : c == CONVERTER_STRING ? read_string(a, bytes, n)
                                                   : value_borrow(a, LEAT_TYPE_BYTES, bytes, n);
    if (v == NULL)
        err_nomem(e);
    return v;
}
