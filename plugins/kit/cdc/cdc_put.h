/*
 * cdc_put: appending constant text and numbers to a buffer without a call where there is room: what the kit does
 * some twenty times a record. Each returns an error code, as buf_append.
 */
#ifndef LEAT_KIT_CDC_PUT_H
#define LEAT_KIT_CDC_PUT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/buf.h"

/* Text made once, copied often. */
struct cdc_str {
    char *p;
    size_t n;
};

static inline int cdc_put(struct buf *out, const void *p, size_t n, struct err *e)
{
    if (__builtin_expect(n > out->cap - out->len, 0) && buf_reserve(out, n, e) != ERR_OK)
        return e->code;
    if (n)
        memcpy(out->data + out->len, p, n);
    out->len += n;
    return ERR_OK;
}

static inline int cdc_put_str(struct buf *out, const struct cdc_str *s, struct err *e)
{
    return cdc_put(out, s->p, s->n, e);
}

/* Of a string literal. */
#define CDC_PUT(out, literal, e) cdc_put(out, "" literal, sizeof(literal) - 1, e)

#define CDC_DIGITS 20 /* of a 64-bit integer with its sign */

/* Decimal digits, not ended by a NUL; returns how many. */
static inline size_t cdc_digits(int64_t v, char out[CDC_DIGITS])
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    char text[CDC_DIGITS];
    size_t at = sizeof(text);
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    while (u >= 100) {
        at -= 2;
        memcpy(text + at, pairs + u % 100 * 2, 2);
        u /= 100;
    }
    if (u >= 10) {
        at -= 2;
        memcpy(text + at, pairs + u * 2, 2);
    } else {
        text[--at] = (char)('0' + u);
    }
    if (v < 0)
        text[--at] = '-';
    memcpy(out, text + at, sizeof(text) - at);
    return sizeof(text) - at;
}

static inline int cdc_put_int(struct buf *out, int64_t v, struct err *e)
{
    if (__builtin_expect(out->cap - out->len < CDC_DIGITS, 0) && buf_reserve(out, CDC_DIGITS, e) != ERR_OK)
        return e->code;
    char digits[CDC_DIGITS];
    size_t n = cdc_digits(v, digits);
    memcpy(out->data + out->len, digits, n);
    out->len += n;
    return ERR_OK;
}

#endif
