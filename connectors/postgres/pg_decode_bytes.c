/*
 * pg_decode_bytes: bytea and types that are not known: base64 and hexadecimal digits, straight into the record.
 */
#include <string.h>

#include "pg_decode.h"

/* clang-format off: a row for each sixteen characters */
const uint8_t pg_hex_value[256] = {
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 0,  1,  2,  3,
    4,  5,  6,  7,  8,  9,  16, 16, 16, 16, 16, 16, 16, 10, 11, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 10, 11, 12, 13, 14, 15, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
};
/* clang-format on */

uint8_t *pg_base64(uint8_t *to, const uint8_t *from, size_t n, bool url)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char for_url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *letters = url ? for_url : plain;
    for (; n >= 3; n -= 3, from += 3) {
        uint32_t v = (uint32_t)from[0] << 16 | (uint32_t)from[1] << 8 | from[2];
        *to++ = (uint8_t)letters[v >> 18];
        *to++ = (uint8_t)letters[v >> 12 & 63];
        *to++ = (uint8_t)letters[v >> 6 & 63];
        *to++ = (uint8_t)letters[v & 63];
    }
    if (n == 0)
        return to;
    uint32_t v = (uint32_t)from[0] << 16 | (n == 2 ? (uint32_t)from[1] << 8 : 0);
    *to++ = (uint8_t)letters[v >> 18];
    *to++ = (uint8_t)letters[v >> 12 & 63];
    *to++ = n == 2 ? (uint8_t)letters[v >> 6 & 63] : '=';
    *to++ = '=';
    return to;
}

int pg_put_binary(struct buf *out, const void *data, size_t n, enum pg_binary_mode mode, struct err *e)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *from = data;
    uint8_t *to = pg_room(out, (mode == PG_BINARY_HEX ? n * 2 : pg_base64_size(n)) + 2, e);
    if (!to)
        return e->code;
    *to++ = '"';
    if (mode != PG_BINARY_HEX) {
        to = pg_base64(to, from, n, mode == PG_BINARY_URL);
    } else {
        for (size_t i = 0; i < n; i++) {
            *to++ = (uint8_t)digits[from[i] >> 4];
            *to++ = (uint8_t)digits[from[i] & 15];
        }
    }
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

/* Bytes of pairs of hex digits. False: a character is none. */
static bool unhex(uint8_t *to, const uint8_t *from, size_t bytes)
{
    unsigned bad = 0;
    for (size_t i = 0; i < bytes; i++) {
        unsigned high = pg_hex_value[from[2 * i]], low = pg_hex_value[from[2 * i + 1]];
        bad |= high | low;
        to[i] = (uint8_t)(high << 4 | low);
    }
    return bad < 16;
}

/* The digits stay what they are. */
static int put_hex(const struct cdc_column *c, const uint8_t *p, size_t n, struct buf *out, struct err *e)
{
    unsigned bad = 0;
    for (size_t i = 0; i < n; i++)
        bad |= pg_hex_value[p[i]];
    if (bad > 15)
        return pg_bad(c, e, "bytea with something else than hexadecimal digits");
    uint8_t *to = pg_room(out, n + 2, e);
    if (!to)
        return e->code;
    to[0] = '"';
    memcpy(to + 1, p, n);
    to[n + 1] = '"';
    out->len += n + 2;
    return ERR_OK;
}

int pg_encode_bytea(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    if (n < 2 || n % 2 || p[0] != '\\' || p[1] != 'x')
        return pg_bad(c, e, "bytea that is not in hexadecimal form");
    p += 2;
    n -= 2;
    if (c->a == PG_BINARY_HEX)
        return put_hex(c, p, n, out, e);
    size_t bytes = n / 2, encoded = pg_base64_size(bytes);
    uint8_t *to = pg_room(out, encoded + 2 + bytes, e);
    if (!to)
        return e->code;
    uint8_t *raw = to + encoded + 2;
    if (!unhex(raw, p, bytes))
        return pg_bad(c, e, "bytea with something else than hexadecimal digits");
    *to++ = '"';
    to = pg_base64(to, raw, bytes, c->a == PG_BINARY_URL);
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_encode_unknown(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    return pg_put_binary(out, data, n, (enum pg_binary_mode)c->a, e);
}
