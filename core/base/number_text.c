/*
 * number_text: digits of integers, floats and decimals. The shortest digits of a float are found by trying.
 */
#include "base/number_text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int text_int(struct buf *out, int64_t v, struct err *e)
{
    char digits[20];
    size_t n = 0;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do {
        digits[n++] = (char)('0' + u % 10);
    } while ((u /= 10) > 0);
    if (buf_reserve(out, n + 1, e) != ERR_OK)
        return e->code;
    if (v < 0)
        out->data[out->len++] = '-';
    while (n > 0)
        out->data[out->len++] = (uint8_t)digits[--n];
    return ERR_OK;
}

/*
 * The shortest decimal digits that give the number back, without point; *exponent of the first digit. Every
 * decimal of 15 digits (6 for a float) survives the way through a double, so shorter ones show as trailing
 * zeros there; not so below the least normal number, where Java takes the best of two digits at least.
 */
static size_t shortest(double v, bool single, char digits[24], int *exponent)
{
    char text[40];
    int most = single ? 9 : 17;
    bool denormal = v < (single ? (double)FLT_MIN : DBL_MIN);
    for (int n = denormal ? 2 : single ? 6 : 15; n <= most; n++) {
        snprintf(text, sizeof(text), "%.*e", n - 1, v);
        if (n == most || (single ? strtof(text, NULL) == (float)v : strtod(text, NULL) == v))
            break;
    }
    size_t count = 0;
    const char *p = text;
    for (; *p != 'e'; p++) {
        if (*p != '.')
            digits[count++] = *p;
    }
    *exponent = (int)strtol(p + 1, NULL, 10);
    while (count > 1 && digits[count - 1] == '0')
        count--;
    return count;
}

int text_double(struct buf *out, double v, bool single, struct err *e)
{
    if (!isfinite(v))
        return buf_str(out, isnan(v) ? "NaN" : v > 0 ? "Infinity" : "-Infinity", e);
    if (signbit(v)) {
        if (buf_u8(out, '-', e) != ERR_OK)
            return e->code;
        v = -v;
    }
    if (v == 0)
        return buf_append(out, "0.0", 3, e);
    char digits[24];
    int exponent;
    int n = (int)shortest(v, single, digits, &exponent);
    if (v < 1e-3 || v >= 1e7)
        return buf_printf(out, e, "%c.%.*sE%d", digits[0], n > 1 ? n - 1 : 1, n > 1 ? digits + 1 : "0",
                          exponent);
    if (exponent < 0)
        return buf_printf(out, e, "0.%.*s%.*s", -exponent - 1, "00", n, digits);
    int whole = exponent + 1;
    if (n <= whole)
        return buf_printf(out, e, "%.*s%.*s.0", n, digits, whole - n, "0000000");
    return buf_printf(out, e, "%.*s.%.*s", whole, digits, n - whole, digits + whole);
}

/* Magnitude of a two's complement number as decimal digits, most significant first, without leading zeros. */
static char *magnitude(const uint8_t *p, size_t n, size_t *count)
{
    size_t words = (n + 3) / 4, limbs = 0;
    bool minus = p[0] & 0x80;
    uint32_t *w = mem_calloc(words, sizeof(*w)); /* little-endian words */
    /* A word of 32 bits is 9.64 digits; groups of nine are one more. */
    size_t cap = words * 10 + 10;
    char *digits = mem_alloc(cap);
    if (w == NULL || digits == NULL) {
        mem_free(w);
        mem_free(digits);
        return NULL;
    }
    uint32_t carry = minus;
    for (size_t i = 0; i < words * 4; i++) {
        uint32_t byte = i < n ? p[n - 1 - i] : minus ? 0xff : 0;
        uint32_t b = (minus ? (byte ^ 0xff) : byte) + carry;
        carry = b >> 8;
        w[i / 4] |= (b & 0xff) << (i % 4 * 8);
    }
    for (limbs = words; limbs > 0 && w[limbs - 1] == 0;)
        limbs--;
    size_t at = cap;
    while (limbs > 0) {
        uint64_t rest = 0;
        for (size_t i = limbs; i-- > 0;) {
            rest = rest << 32 | w[i];
            w[i] = (uint32_t)(rest / 1000000000);
            rest %= 1000000000;
        }
        for (int i = 0; i < 9; i++, rest /= 10)
            digits[--at] = (char)('0' + rest % 10);
        while (limbs > 0 && w[limbs - 1] == 0)
            limbs--;
    }
    while (at < cap && digits[at] == '0')
        at++;
    if (at == cap)
        digits[--at] = '0';
    *count = cap - at;
    memmove(digits, digits + at, *count);
    mem_free(w);
    return digits;
}

static int pad_zeros(struct buf *out, int64_t n, struct err *e)
{
    if (n <= 0)
        return ERR_OK;
    if (buf_reserve(out, (size_t)n, e) != ERR_OK)
        return e->code;
    memset(out->data + out->len, '0', (size_t)n);
    out->len += (size_t)n;
    return ERR_OK;
}

/* BigDecimal.toString: plain while scale >= 0 and the first digit is not further than six behind the point.
 */
static int write_decimal(struct buf *out, const char *digits, int64_t n, int32_t scale, struct err *e)
{
    int64_t adjusted = n - 1 - scale;
    if (scale == 0)
        return buf_append(out, digits, (size_t)n, e);
    if (scale > 0 && adjusted >= -6) {
        int64_t whole = n - scale;
        int rc = whole > 0 ? buf_append(out, digits, (size_t)whole, e) : buf_u8(out, '0', e);
        if (rc == ERR_OK && (rc = buf_u8(out, '.', e)) == ERR_OK)
            rc = pad_zeros(out, -whole, e);
        whole = whole > 0 ? whole : 0;
        return rc == ERR_OK ? buf_append(out, digits + whole, (size_t)(n - whole), e) : rc;
    }
    if (n == 1)
        return buf_printf(out, e, "%cE%+lld", digits[0], (long long)adjusted);
    return buf_printf(out, e, "%c.%.*sE%+lld", digits[0], (int)(n - 1), digits + 1, (long long)adjusted);
}

int text_decimal(struct buf *out, const uint8_t *unscaled, size_t n, int32_t scale, struct err *e)
{
    if (n == 0)
        return err_set(e, ERR_INVALID, "a decimal has at least one byte");
    size_t count;
    char *digits = magnitude(unscaled, n, &count);
    if (digits == NULL)
        return err_nomem(e);
    int rc = unscaled[0] & 0x80 ? buf_u8(out, '-', e) : ERR_OK;
    if (rc == ERR_OK)
        rc = write_decimal(out, digits, (int64_t)count, scale, e);
    mem_free(digits);
    return rc;
}
