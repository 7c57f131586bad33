/*
 * pg_decode: the plain types: booleans, integers, text, uuid, bits; and what all encoders share. See pg_decode.h.
 */
#include "pg_decode.h"

#include <string.h>

#include "kit/cdc/cdc_json.h"
#include "kit/jtext.h"

int pg_bad(const struct cdc_column *c, struct err *e, const char *what)
{
    return err_set(e, ERR_INVALID_RECORD, "column %s: %s", c->name, what);
}

int pg_encode_bool(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const char *p = data;
    if (n != 1 || (*p != 't' && *p != 'f'))
        return pg_bad(c, e, "no boolean (t or f)");
    return *p == 't' ? buf_append(out, "true", 4, e) : buf_append(out, "false", 5, e);
}

/* Whether the text is an integer in its one spelling, within the column's range. */
static bool is_integer(const uint8_t *p, size_t n, int32_t bits)
{
    bool minus = n > 1 && *p == '-';
    p += minus;
    n -= minus;
    if (n == 0 || n > 19 || (*p == '0' && (n > 1 || minus)))
        return false;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++) {
        if (!pg_is_digit(p[i]))
            return false;
        v = v * 10 + (uint64_t)(p[i] - '0');
    }
    if (bits == 0)
        return !minus && v <= UINT32_MAX;
    return v <= ((uint64_t)1 << (bits - 1)) - !minus;
}

int pg_encode_int(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    if (!is_integer(data, n, c->a))
        return pg_bad(c, e, "no integer, or one out of range");
    uint8_t *to = pg_room(out, n, e);
    if (!to)
        return e->code;
    memcpy(to, data, n);
    out->len += n;
    return ERR_OK;
}

int pg_encode_string(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    int rc = cdc_json_string(out, data, n, e);
    return rc == ERR_OK ? rc : err_wrap(e, "column %s", c->name);
}

int pg_encode_uuid(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    if (n != 36)
        return pg_bad(c, e, "no uuid");
    for (size_t i = 0; i < n; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? p[i] != '-' : pg_hex_value[p[i]] > 15)
            return pg_bad(c, e, "no uuid");
    }
    uint8_t *to = pg_room(out, 38, e);
    if (!to)
        return e->code;
    to[0] = '"';
    memcpy(to + 1, p, 36);
    to[37] = '"';
    out->len += 38;
    return ERR_OK;
}

static bool is_bits(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] != '0' && p[i] != '1')
            return false;
    }
    return true;
}

int pg_encode_bit(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    if (n > 1 || !is_bits(p, n))
        return pg_bad(c, e, "no bit");
    return n && *p == '1' ? buf_append(out, "true", 4, e) : buf_append(out, "false", 5, e);
}

/* io.debezium.data.Bits: the last bit is the lowest of the first byte; zero bytes at the end are cut. */
int pg_encode_bits(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    if (n > (size_t)c->a || !is_bits(p, n))
        return pg_bad(c, e, "no bits, or too many");
    const uint8_t *one = n ? memchr(p, '1', n) : NULL;
    size_t bits = one ? n - (size_t)(one - p) : 0, bytes = (bits + 7) / 8;
    uint8_t *to = pg_room(out, pg_base64_size(bytes) + 2 + bytes, e);
    if (!to)
        return e->code;
    uint8_t *raw = to + pg_base64_size(bytes) + 2;
    if (bytes)
        memset(raw, 0, bytes);
    for (size_t i = 0; i < bits; i++)
        raw[i / 8] |= (uint8_t)((p[n - 1 - i] & 1) << (i % 8));
    *to++ = '"';
    to = pg_base64(to, raw, bytes, false);
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_text_of_json(const struct cdc_column *c, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct buf *text = &pg_scratch()->json;
    pg_scratch_reset(text);
    int rc = c->encode(c, data, n, text, e);
    if (rc != ERR_OK)
        return rc;
    if (text->len >= 2 && text->data[0] == '"')
        return jtext_unescape(out, (const char *)text->data + 1, text->len - 2, e);
    return buf_append(out, text->data, text->len, e);
}
