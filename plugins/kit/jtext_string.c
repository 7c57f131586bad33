/*
 * kit/jtext_string: inside of JSON strings: skimming eight bytes at a time, UTF-8, escapes both ways, base64. Any thread.
 */
#include "kit/jtext.h"

#include <string.h>

#include <openssl/evp.h>

#include "kit/jtext_impl.h"

size_t jtext_utf8(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];
    if (c >= 0xc2 && c <= 0xdf)
        return left >= 2 && (p[1] & 0xc0) == 0x80 ? 2 : 0;
    if (c >= 0xe0 && c <= 0xef) {
        uint8_t low = c == 0xe0 ? 0xa0 : 0x80, high = c == 0xed ? 0x9f : 0xbf;
        return left >= 3 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (c >= 0xf0 && c <= 0xf4) {
        uint8_t low = c == 0xf0 ? 0x90 : 0x80, high = c == 0xf4 ? 0x8f : 0xbf;
        return left >= 4 && p[1] >= low && p[1] <= high && (p[2] & 0xc0) == 0x80 && (p[3] & 0xc0) == 0x80 ? 4
                                                                                                          : 0;
    }
    return 0;
}

const uint8_t *jtext_skim(const uint8_t *p, const uint8_t *end)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    while (end - p >= 8) {
        uint64_t x;
        memcpy(&x, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        x = __builtin_bswap64(x);
#endif
        uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
        /* False alarms of these tests stand only above a true one, and the lowest is what counts. */
        uint64_t hit = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((x - ones * 0x20) & ~x) | x;
        hit &= tops;
        if (hit)
            return p + (__builtin_ctzll(hit) >> 3);
        p += 8;
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        p++;
    return p;
}

bool jtext_is_hex(uint8_t c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

const uint8_t *jtext_start(const void *text, size_t n)
{
    return n ? text : (const uint8_t *)"";
}

static unsigned hex4(const uint8_t *p)
{
    unsigned v = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = p[i];
        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return v;
}

static size_t utf8_put(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static bool has_hex4(const uint8_t *p, const uint8_t *end)
{
    return end - p >= 6 && p[0] == '\\' && p[1] == 'u' && jtext_is_hex(p[2]) && jtext_is_hex(p[3]) &&
           jtext_is_hex(p[4]) && jtext_is_hex(p[5]);
}

/* Decodes the escape at p (a backslash); returns behind it. What is no escape stands for itself. */
static const uint8_t *decode_escape(const uint8_t *p, const uint8_t *end, uint8_t out[4], size_t *n)
{
    static const char from[] = "bfnrt\"\\/", to[] = "\b\f\n\r\t\"\\/";
    if (has_hex4(p, end)) {
        uint32_t c = hex4(p + 2);
        p += 6;
        if (c >= 0xd800 && c <= 0xdbff && has_hex4(p, end)) {
            uint32_t low = hex4(p + 2);
            if (low >= 0xdc00 && low <= 0xdfff) {
                c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
                p += 6;
            }
        }
        *n = utf8_put(out, c >= 0xd800 && c <= 0xdfff ? 0xfffd : c);
        return p;
    }
    const char *known = end - p >= 2 && p[1] ? strchr(from, p[1]) : NULL;
    out[0] = known ? (uint8_t)to[known - from] : p[0];
    *n = 1;
    return p + (known ? 2 : 1);
}

bool jtext_equals(const struct jtext_token *t, const char *name, size_t name_n)
{
    if (!memchr(t->p, '\\', t->n))
        return t->n == name_n && memcmp(t->p, name, name_n) == 0;
    const uint8_t *p = (const uint8_t *)t->p, *end = p + t->n;
    size_t at = 0;
    while (p < end) {
        uint8_t c[4] = {*p};
        size_t n = 1;
        p = *p == '\\' ? decode_escape(p, end, c, &n) : p + 1;
        if (name_n - at < n || memcmp(name + at, c, n) != 0)
            return false;
        at += n;
    }
    return at == name_n;
}

int jtext_unescape(struct buf *out, const char *text, size_t n, struct err *e)
{
    int rc = buf_reserve(out, n + 1, e); /* an escape is never shorter than what it stands for */
    if (rc != ERR_OK)
        return rc;
    const uint8_t *p = jtext_start(text, n), *end = p + n;
    uint8_t *to = out->data + out->len;
    while (p < end) {
        const uint8_t *slash = memchr(p, '\\', (size_t)(end - p));
        size_t plain = (size_t)((slash ? slash : end) - p);
        memcpy(to, p, plain);
        to += plain;
        p += plain;
        if (slash) {
            size_t got;
            uint8_t c[4];
            p = decode_escape(p, end, c, &got);
            memcpy(to, c, got);
            to += got;
        }
    }
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

static int append_escaped(struct buf *out, uint8_t c, struct err *e)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    if (c >= 0x80)
        return buf_append(out, "\xef\xbf\xbd", 3, e);
    const char *known = c ? strchr(from, c) : NULL;
    if (!known)
        return buf_printf(out, e, "\\u%04x", c);
    const char pair[2] = {'\\', to[known - from]};
    return buf_append(out, pair, 2, e);
}

int jtext_string(struct buf *out, const void *text, size_t n, struct err *e)
{
    const uint8_t *p = jtext_start(text, n), *end = p + n, *run = p;
    size_t before = out->len;
    int rc = buf_reserve(out, n + 2, e);
    if (rc == ERR_OK)
        rc = buf_append(out, "\"", 1, e);
    while (rc == ERR_OK) {
        p = jtext_skim(p, end);
        size_t good = p < end && *p >= 0x80 ? jtext_utf8(p, end) : 0;
        if (good) {
            p += good;
            continue;
        }
        rc = buf_append(out, run, (size_t)(p - run), e);
        if (rc != ERR_OK || p == end)
            break;
        rc = append_escaped(out, *p, e);
        run = ++p;
    }
    if (rc == ERR_OK)
        rc = buf_append(out, "\"", 1, e);
    if (rc != ERR_OK)
        out->len = before;
    return rc;
}

int jtext_base64(struct buf *out, const void *data, size_t n, bool quoted, struct err *e)
{
    if (n > INT32_MAX / 2)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes are too many for base64", n);
    size_t quotes = quoted ? 2 : 0;
    int rc = buf_reserve(out, (n + 2) / 3 * 4 + 1 + quotes, e); /* the library adds a NUL */
    if (rc != ERR_OK)
        return rc;
    uint8_t *to = out->data + out->len;
    if (quoted)
        *to++ = '"';
    to += EVP_EncodeBlock(to, data, (int)n);
    if (quoted)
        *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}
