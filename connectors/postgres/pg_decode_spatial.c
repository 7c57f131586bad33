/*
 * pg_decode_spatial: point, PostGIS' geometry and geography, pgvector's types, and the other geometric types as text with
 * Java's numbers. Structs as in io.debezium.data.geometry and io.debezium.data.vector.
 */
#include <stdlib.h>
#include <string.h>

#include "kit/cdc/cdc_put.h"
#include "pg_decode.h"

#define NUMBER_MAX 63

static bool of_number(uint8_t c)
{
    return pg_is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e';
}

/* Length of the number that the text begins with, or of NaN, Infinity, -Infinity. */
static size_t number_length(const uint8_t *p, const uint8_t *end)
{
    size_t n = 0, most = (size_t)(end - p);
    if (most >= 3 && memcmp(p, "NaN", 3) == 0)
        return 3;
    if (most >= 8 && memcmp(p, "Infinity", 8) == 0)
        return 8;
    if (most >= 9 && memcmp(p, "-Infinity", 9) == 0)
        return 9;
    while (n < most && n <= NUMBER_MAX && of_number(p[n]))
        n++;
    return n;
}

static bool to_double(const uint8_t *p, size_t n, double *v)
{
    char text[NUMBER_MAX + 1], *rest;
    if (n == 0 || n > NUMBER_MAX)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    *v = strtod(text, &rest);
    return *rest == '\0';
}

static uint8_t *put_le(uint8_t *to, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    put_be64(to, __builtin_bswap64(bits));
    return to + 8;
}

/* Well-known binary of a point: little-endian, type 1. */
static void point_wkb(uint8_t wkb[21], double x, double y)
{
    memcpy(wkb, "\1\1\0\0", 5);
    put_le(put_le(wkb + 5, x), y);
}

static int put_point(struct buf *out, const uint8_t *p, size_t x_n, size_t y_n, bool *good, struct err *e)
{
    double x, y;
    uint8_t wkb[21];
    *good = to_double(p + 1, x_n, &x) && to_double(p + 2 + x_n, y_n, &y);
    if (!*good)
        return ERR_OK;
    int rc = buf_str(out, "{\"x\":", e), put = ERR_OK;
    if (rc == ERR_OK && (*good = pg_put_number(out, p + 1, x_n, false, false, &put, e)))
        rc = put == ERR_OK ? buf_str(out, ",\"y\":", e) : put;
    if (*good && rc == ERR_OK && (*good = pg_put_number(out, p + 2 + x_n, y_n, false, false, &put, e)))
        rc = put == ERR_OK ? buf_str(out, ",\"wkb\":", e) : put;
    if (!*good || rc != ERR_OK)
        return rc;
    point_wkb(wkb, x, y);
    rc = pg_put_binary(out, wkb, sizeof(wkb), PG_BINARY_BYTES, e);
    return rc == ERR_OK ? buf_str(out, ",\"srid\":null}", e) : rc;
}

/* (1.5,-2) */
int pg_encode_point(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    size_t x_n = n > 4 && p[0] == '(' ? number_length(p + 1, p + n) : 0;
    bool good = x_n && x_n + 3 < n && p[1 + x_n] == ',' && p[n - 1] == ')';
    int rc = good ? put_point(out, p, x_n, n - x_n - 3, &good, e) : ERR_OK;
    return good ? rc : pg_bad(c, e, "no point");
}

/* Extended well-known binary in hex digits: order, type, SRID if the type says so (PostGIS, ZMSgeoms.txt). */
int pg_encode_geometry(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct buf *raw = &pg_scratch()->text;
    const uint8_t *p = data;
    if (n % 2 || n < 18)
        return pg_bad(c, e, "no geometry");
    pg_scratch_reset(raw);
    uint8_t *to = pg_room(raw, n / 2, e);
    if (!to)
        return e->code;
    for (size_t i = 0; i < n; i += 2) {
        if (pg_hex_value[p[i]] > 15 || pg_hex_value[p[i + 1]] > 15)
            return pg_bad(c, e, "geometry with something else than hexadecimal digits");
        *to++ = (uint8_t)(pg_hex_value[p[i]] << 4 | pg_hex_value[p[i + 1]]);
    }
    bool little = raw->data[0] != 0;
    uint32_t type = be32(raw->data + 1), srid = be32(raw->data + 5);
    type = little ? __builtin_bswap32(type) : type;
    srid = little ? __builtin_bswap32(srid) : srid;
    int rc = buf_str(out, "{\"wkb\":", e);
    if (rc == ERR_OK)
        rc = pg_put_binary(out, raw->data, n / 2, PG_BINARY_BYTES, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",\"srid\":", e);
    if (rc == ERR_OK)
        rc = type & 0x20000000 ? cdc_put_int(out, (int32_t)srid, e) : buf_str(out, "null", e);
    return rc == ERR_OK ? buf_u8(out, '}', e) : rc;
}

/* Numbers with commas between them up to `close`, each written; *p stays behind it. False: they are none. */
static bool put_numbers(struct buf *out, const uint8_t **p, const uint8_t *end, bool single, int *rc,
                        struct err *e)
{
    for (bool first = true;; first = false) {
        if (!first && (*rc = buf_u8(out, ',', e)) != ERR_OK)
            return true;
        size_t n = number_length(*p, end);
        if (n == 0 || !pg_put_number(out, *p, n, single, false, rc, e))
            return false;
        *p += n;
        if (*rc != ERR_OK || *p == end || **p != ',')
            return true;
        ++*p;
    }
}

/* [1,2.5,3] */
int pg_encode_vector(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data, *end = p + n;
    if (n < 3 || *p++ != '[' || end[-1] != ']')
        return pg_bad(c, e, "no vector");
    int rc = buf_u8(out, '[', e);
    if (rc != ERR_OK)
        return rc;
    if (!put_numbers(out, &p, end - 1, c->a == 1, &rc, e) || (rc == ERR_OK && p != end - 1))
        return pg_bad(c, e, "no vector");
    return rc == ERR_OK ? buf_u8(out, ']', e) : rc;
}

/* Digits of at most five places: Connect's map has int16 keys. */
static bool take_index(const uint8_t **p, const uint8_t *end, char stop, int32_t *v)
{
    const uint8_t *start = *p;
    *v = 0;
    while (*p < end && pg_is_digit(**p) && *p - start < 5)
        *v = *v * 10 + (*(*p)++ - '0');
    if (*p == start || *v > INT16_MAX)
        return false;
    return stop ? *p < end && *(*p)++ == (uint8_t)stop : *p == end;
}

/* {1:1.5,3:2}/5: as pairs, for the keys are no strings. */
static int put_pairs(const struct cdc_column *c, const uint8_t *p, const uint8_t *end, struct buf *out,
                     struct err *e)
{
    bool first = true;
    while (p < end) {
        int32_t index;
        int rc = buf_str(out, first ? "[" : ",[", e);
        first = false;
        if (!take_index(&p, end, ':', &index))
            return pg_bad(c, e, "no sparse vector, or one with indexes beyond 32767");
        if (rc == ERR_OK)
            rc = cdc_put_int(out, index, e);
        if (rc == ERR_OK)
            rc = buf_u8(out, ',', e);
        size_t n = number_length(p, end);
        int put = ERR_OK;
        if (rc == ERR_OK && (n == 0 || !pg_put_number(out, p, n, false, false, &put, e)))
            return pg_bad(c, e, "no sparse vector");
        p += n;
        if (rc == ERR_OK)
            rc = put == ERR_OK ? buf_u8(out, ']', e) : put;
        if (rc != ERR_OK)
            return rc;
        if (p < end && (*p++ != ',' || p == end))
            return pg_bad(c, e, "no sparse vector");
    }
    return ERR_OK;
}

int pg_encode_sparsevec(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                        struct err *e)
{
    const uint8_t *p = data, *end = p + n, *slash = n ? memrchr(p, '/', n) : NULL;
    int32_t dimensions;
    if (!slash || slash - p < 2 || *p != '{' || slash[-1] != '}')
        return pg_bad(c, e, "no sparse vector");
    const uint8_t *digits = slash + 1;
    if (!take_index(&digits, end, '\0', &dimensions))
        return pg_bad(c, e, "no sparse vector, or one of more than 32767 dimensions");
    int rc = buf_str(out, "{\"dimensions\":", e);
    if (rc == ERR_OK)
        rc = cdc_put_int(out, dimensions, e);
    if (rc == ERR_OK)
        rc = buf_str(out, ",\"vector\":[", e);
    if (rc == ERR_OK)
        rc = put_pairs(c, p + 1, slash - 1, out, e);
    return rc == ERR_OK ? buf_str(out, "]}", e) : rc;
}

/* <(1,2),3> as the driver's classes print it: <(1.0,2.0),3.0>. */
int pg_encode_geometric(const struct cdc_column *c, const void *data, size_t n, struct buf *out,
                        struct err *e)
{
    struct buf *text = &pg_scratch()->text;
    const uint8_t *p = data, *end = p + n;
    pg_scratch_reset(text);
    while (p < end) {
        int rc;
        size_t k = number_length(p, end);
        if (k > 0) {
            if (!pg_put_number(text, p, k, false, true, &rc, e))
                return pg_bad(c, e, "no geometric value");
            p += k;
        } else if (memchr("()<>[]{},", *p, 9)) {
            rc = buf_u8(text, *p++, e);
        } else {
            return pg_bad(c, e, "no geometric value");
        }
        if (rc != ERR_OK)
            return rc;
    }
    return pg_put_binary(out, text->data, text->len, (enum pg_binary_mode)c->a, e);
}
