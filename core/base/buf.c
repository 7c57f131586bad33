/*
 * buf: the growable byte buffer and its encoders. One thread at a time.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

void buf_init(struct buf *b, size_t max)
{
    *b = (struct buf){.max = max};
}

void buf_free(struct buf *b)
{
    mem_free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void buf_reset(struct buf *b)
{
    b->len = 0;
}

int buf_reserve(struct buf *b, size_t extra, struct err *e)
{
    if (extra <= b->cap - b->len)
        return ERR_OK;
    if (extra > b->max || b->len > b->max - extra)
        return err_set(e, ERR_TOO_LARGE, "buffer would grow to %zu bytes, its cap is %zu", b->len + extra,
                       b->max);
    size_t need = b->len + extra;
    size_t cap = b->cap < 64 ? 64 : b->cap + b->cap / 2;
    if (cap < need)
        cap = need;
    if (cap > b->max)
        cap = b->max;
    uint8_t *data = mem_realloc(b->data, cap);
    if (!data)
        return err_nomem(e);
    b->data = data;
    b->cap = cap;
    return ERR_OK;
}

int buf_append(struct buf *b, const void *data, size_t n, struct err *e)
{
    int rc = buf_reserve(b, n, e);
    if (rc == ERR_OK && n) {
        mem_copy(b->data + b->len, data, n);
        b->len += n;
    }
    return rc;
}

int buf_str(struct buf *b, const char *s, struct err *e)
{
    return buf_append(b, s, strlen(s), e);
}

int buf_printf(struct buf *b, struct err *e, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    int rc = n < 0 ? err_set(e, ERR_INTERNAL, "cannot format '%s'", fmt) : buf_reserve(b, (size_t)n + 1, e);
    if (rc == ERR_OK) {
        vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return rc;
}

int buf_u8(struct buf *b, uint8_t v, struct err *e)
{
    return buf_append(b, &v, 1, e);
}

int buf_i16(struct buf *b, int16_t v, struct err *e)
{
    uint8_t raw[2];
    put_be16(raw, (uint16_t)v);
    return buf_append(b, raw, sizeof raw, e);
}

int buf_i32(struct buf *b, int32_t v, struct err *e)
{
    uint8_t raw[4];
    put_be32(raw, (uint32_t)v);
    return buf_append(b, raw, sizeof raw, e);
}

int buf_i64(struct buf *b, int64_t v, struct err *e)
{
    uint8_t raw[8];
    put_be64(raw, (uint64_t)v);
    return buf_append(b, raw, sizeof raw, e);
}

size_t put_uvarint(uint8_t *p, uint64_t v)
{
    size_t n = 0;
    while (v >= 0x80) {
        p[n++] = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    p[n++] = (uint8_t)v;
    return n;
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

size_t put_varint(uint8_t *p, int64_t v)
{
    return put_uvarint(p, zigzag(v));
}

size_t varint_size(int64_t v)
{
    uint64_t u = zigzag(v) | 1;
    return (size_t)(63 - __builtin_clzll(u)) / 7 + 1;
}

int buf_uvarint(struct buf *b, uint64_t v, struct err *e)
{
    uint8_t raw[10];
    return buf_append(b, raw, put_uvarint(raw, v), e);
}

int buf_varint(struct buf *b, int64_t v, struct err *e)
{
    return buf_uvarint(b, zigzag(v), e);
}

size_t utf8_length(const uint8_t *s, size_t n)
{
    if (s[0] < 0x80)
        return 1;
    size_t len = s[0] >= 0xc2 && s[0] <= 0xdf   ? 2
                 : (s[0] & 0xf0) == 0xe0        ? 3
                 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0 || n < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return len;
}

static int json_escape(struct buf *b, uint8_t c, struct err *e)
{
    switch (c) {
    case '"':
        return buf_append(b, "\\\"", 2, e);
    case '\\':
        return buf_append(b, "\\\\", 2, e);
    case '\n':
        return buf_append(b, "\\n", 2, e);
    case '\r':
        return buf_append(b, "\\r", 2, e);
    case '\t':
        return buf_append(b, "\\t", 2, e);
    case '\b':
        return buf_append(b, "\\b", 2, e);
    case '\f':
        return buf_append(b, "\\f", 2, e);
    default:
        return buf_printf(b, e, "\\u%04x", c);
    }
}

int buf_json_str(struct buf *b, const char *str, size_t n, struct err *e)
{
    const uint8_t *s = (const uint8_t *)str;
    int rc = buf_append(b, "\"", 1, e);
    size_t plain = 0, i = 0; /* s[plain..i) needs no change */
    while (rc == ERR_OK && i < n) {
        size_t len = s[i] < 0x20 || s[i] == '"' || s[i] == '\\' ? 0 : utf8_length(s + i, n - i);
        if (len) {
            i += len;
            continue;
        }
        rc = buf_append(b, s + plain, i - plain, e);
        if (rc == ERR_OK)
            rc = s[i] < 0x80 ? json_escape(b, s[i], e) : buf_append(b, "\xef\xbf\xbd", 3, e);
        plain = ++i;
    }
    if (rc == ERR_OK)
        rc = buf_append(b, s + plain, n - plain, e);
    return rc == ERR_OK ? buf_append(b, "\"", 1, e) : rc;
}
