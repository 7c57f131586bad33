/*
 * cdc_json: escaping. Runs without anything to escape are copied many bytes at a time.
 */
#include "kit/cdc/cdc_json.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "kit/jtext_impl.h"

static const char hex[] = "0123456789ABCDEF";

static uint8_t *put_unit(uint8_t *to, unsigned unit)
{
    *to++ = '\\';
    *to++ = 'u';
    for (int shift = 12; shift >= 0; shift -= 4)
        *to++ = (uint8_t)hex[unit >> shift & 15];
    return to;
}

/* Of four bytes of UTF-8: two escaped surrogates. */
static uint8_t *put_surrogates(uint8_t *to, const uint8_t *p)
{
    unsigned c =
        (unsigned)(p[0] & 7) << 18 | (unsigned)(p[1] & 63) << 12 | (unsigned)(p[2] & 63) << 6 | (p[3] & 63);
    c -= 0x10000;
    to = put_unit(to, 0xd800 + (c >> 10));
    return put_unit(to, 0xdc00 + (c & 0x3ff));
}

static uint8_t *put_escape(uint8_t *to, uint8_t c)
{
    static const char names[128] = {
        ['"'] = '"', ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (!names[c])
        return put_unit(to, c);
    *to++ = '\\';
    *to++ = (uint8_t)names[c];
    return to;
}

/*
 * Copies what needs no escape and is ASCII; returns its length. May write up to sixteen bytes more, for which there is room;
 * so many are taken at a time where the machine can.
 */
static size_t copy_plain(uint8_t *to, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *start = p;
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), space = _mm_set1_epi8(' ');
    for (; end - p >= 16; p += 16, to += 16) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
        _mm_storeu_si128((__m128i *)(void *)to, x);
        /* Signed: what is not ASCII is below the space, too. */
        __m128i hit = _mm_or_si128(_mm_cmplt_epi8(x, space),
                                   _mm_or_si128(_mm_cmpeq_epi8(x, quote), _mm_cmpeq_epi8(x, slash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(hit);
        if (mask)
            return (size_t)(p - start) + (size_t)__builtin_ctz(mask);
    }
    while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
        *to++ = *p++;
#else
    p = jtext_skim(p, end);
    memcpy(to, start, (size_t)(p - start));
#endif
    return (size_t)(p - start);
}

#define SLACK 32 /* what copy_plain writes beyond, and one escape of twelve bytes */

/* Room for n bytes and some; *to stays where it is in the text. */
static int make_room(struct buf *out, uint8_t **to, size_t n, struct err *e)
{
    out->len = (size_t)(*to - out->data);
    if (buf_reserve(out, n + SLACK, e) != ERR_OK)
        return e->code;
    *to = out->data + out->len;
    return ERR_OK;
}

int cdc_json_part(struct buf *out, const void *text, size_t n, struct err *e)
{
    const uint8_t *p = jtext_start(text, n), *end = p + n;
    size_t before = out->len;
    uint8_t *to = out->data ? out->data + before : NULL;
    if (n + SLACK > out->cap - before) {
        if (buf_reserve(out, n + SLACK, e) != ERR_OK)
            return e->code;
        to = out->data + before;
    }
    while (p < end) {
        size_t plain = copy_plain(to, p, end);
        p += plain;
        to += plain;
        while (p < end && *p >= 0x80) {
            size_t k = jtext_utf8(p, end);
            if (k == 0) {
                out->len = before;
                return err_set(e, ERR_INVALID_RECORD, "it is not UTF-8");
            }
            if (k == 4)
                break;
            for (size_t i = 0; i < k; i++)
                *to++ = *p++;
        }
        if (p == end || (*p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\'))
            continue;
        bool wide = *p >= 0x80;
        to = wide ? put_surrogates(to, p) : put_escape(to, *p);
        p += wide ? 4 : 1;
        if ((size_t)(end - p) + SLACK > (size_t)(out->data + out->cap - to) &&
            make_room(out, &to, (size_t)(end - p), e) != ERR_OK) {
            out->len = before;
            return e->code;
        }
    }
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int cdc_json_string(struct buf *out, const void *text, size_t n, struct err *e)
{
    size_t before = out->len;
    if (n + SLACK + 1 > out->cap - before && buf_reserve(out, n + SLACK + 1, e) != ERR_OK)
        return e->code;
    out->data[out->len++] = '"';
    int rc = cdc_json_part(out, text, n, e);
    if (rc == ERR_OK && out->len < out->cap)
        out->data[out->len++] = '"';
    else if (rc == ERR_OK)
        rc = buf_u8(out, '"', e);
    if (rc != ERR_OK)
        out->len = before;
    return rc;
}
