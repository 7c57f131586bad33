/*
 * json_write: values to JSON as JsonConverter writes them with schemas off, and the sorting of names that
 * makes two spellings of one object comparable. Any thread; bounded by the buffer's cap and VALUE_MAX_DEPTH.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "connect/value_json.h"

static int write_base64(struct buf *out, const uint8_t *p, size_t n, struct err *e)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (n > SIZE_MAX / 2)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes are too many", n);
    if (buf_reserve(out, (n + 2) / 3 * 4 + 2, e) != ERR_OK)
        return e->code;
    uint8_t *to = out->data + out->len;
    *to++ = '"';
    for (; n >= 3; p += 3, n -= 3) {
        *to++ = (uint8_t)digits[p[0] >> 2];
        *to++ = (uint8_t)digits[(p[0] & 3) << 4 | p[1] >> 4];
        *to++ = (uint8_t)digits[(p[1] & 15) << 2 | p[2] >> 6];
        *to++ = (uint8_t)digits[p[2] & 63];
    }
    if (n > 0) {
        uint8_t second = n == 2 ? p[1] : 0;
        *to++ = (uint8_t)digits[p[0] >> 2];
        *to++ = (uint8_t)digits[(p[0] & 3) << 4 | second >> 4];
        *to++ = n == 2 ? (uint8_t)digits[(second & 15) << 2] : '=';
        *to++ = '=';
    }
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

static int write_float(struct buf *out, const struct leat_value *v, struct err *e)
{
    if (isfinite(v->d))
        return text_double(out, v->d, v->type == LEAT_TYPE_FLOAT32, e);
    return buf_str(out, isnan(v->d) ? "\"NaN\"" : v->d > 0 ? "\"Infinity\"" : "\"-Infinity\"", e);
}

static int write_value(struct buf *out, const struct leat_value *v, int depth, struct err *e);

static int write_many(struct buf *out, const struct leat_value *v, int depth, struct err *e)
{
    bool named = v->type != LEAT_TYPE_ARRAY;
    int rc = buf_u8(out, named ? '{' : '[', e);
    for (size_t i = 0; rc == ERR_OK && i < v->many.count; i++) {
        const char *name;
        size_t n;
        const struct leat_value *item = value_at(v, i, &name, &n);
        if (item == &value_unset && !v->schema->fields[i].schema->optional)
            return err_set(e, ERR_INVALID, "field %s of %s is required and not set", name,
                           v->schema->name == NULL ? "the struct" : v->schema->name);
        if (i > 0)
            rc = buf_u8(out, ',', e);
        if (rc == ERR_OK && named && (rc = buf_json_str(out, name, n, e)) == ERR_OK)
            rc = buf_u8(out, ':', e);
        if (rc == ERR_OK)
            rc = write_value(out, item, depth + 1, e);
    }
    return rc == ERR_OK ? buf_u8(out, named ? '}' : ']', e) : rc;
}

static int write_value(struct buf *out, const struct leat_value *v, int depth, struct err *e)
{
    if (depth > VALUE_MAX_DEPTH)
        return err_set(e, ERR_INVALID, "the value is nested deeper than %d", VALUE_MAX_DEPTH);
    switch (v->type) {
    case LEAT_TYPE_NULL:
        return buf_append(out, "null", 4, e);
    case LEAT_TYPE_BOOLEAN:
        return v->i ? buf_append(out, "true", 4, e) : buf_append(out, "false", 5, e);
    case LEAT_TYPE_FLOAT32:
    case LEAT_TYPE_FLOAT64:
        return write_float(out, v, e);
    case LEAT_TYPE_STRING:
        return buf_json_str(out, (const char *)v->bytes.p, v->bytes.n, e);
    case LEAT_TYPE_BYTES:
    case LEAT_TYPE_DECIMAL:
        return write_base64(out, v->bytes.p, v->bytes.n, e);
    case LEAT_TYPE_ARRAY:
    case LEAT_TYPE_MAP:
    case LEAT_TYPE_STRUCT:
        return write_many(out, v, depth, e);
    default:
        return text_int(out, v->i, e);
    }
}

int value_to_json(const struct leat_value *v, struct buf *out, struct err *e)
{
    return write_value(out, v, 0, e);
}

static int compare_names(const void *a, const void *b)
{
    const struct value_entry *x = a, *y = b;
    uint32_t n = x->name_len < y->name_len ? x->name_len : y->name_len;
    int order = memcmp(x->name, y->name, n);
    return order != 0 ? order : (x->name_len > y->name_len) - (x->name_len < y->name_len);
}

void value_sort_names(struct leat_value *map)
{
    if (map->type != LEAT_TYPE_MAP || map->many.count < 2)
        return;
    qsort(map->many.entries, map->many.count, sizeof(*map->many.entries), compare_names);
    if (map->many.index == NULL)
        return;
    memset(map->many.index, 0, map->many.index_size * sizeof(*map->many.index));
    for (uint32_t i = 0; i < map->many.count; i++)
        value_index_entry(map, i);
}
