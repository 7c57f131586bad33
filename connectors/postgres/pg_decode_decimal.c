/*
 * pg_decode_decimal: decimal digits to base64 of a big-endian two's complement number, as short as it can be
 * (java.math.BigInteger.toByteArray), which is how Connect's Decimal travels. Up to 18 digits in a register; more in limbs of
 * 32 bits behind the end of the record, nine digits at a time: numeric has up to 147455 digits.
 */
#include <string.h>

#include "pg_decode.h"

/* Digit i of the number. */
static unsigned digit_at(const struct pg_digits *d, size_t i)
{
    if (i < d->first_n)
        return d->first[i] - '0';
    i -= d->first_n;
    return i < d->second_n ? d->second[i] - '0' : 0;
}

static int put_small(struct buf *out, int64_t v, struct err *e)
{
    uint8_t *to = pg_room(out, 14, e), bytes[8];
    if (!to)
        return e->code;
    uint64_t folded = (uint64_t)(v ^ (v >> 63));
    size_t n = folded ? (64 - (size_t)__builtin_clzll(folded)) / 8 + 1 : 1;
    put_be64(bytes, (uint64_t)v);
    *to++ = '"';
    to = pg_base64(to, bytes + 8 - n, n, false);
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

/* Adds nine more digits: limbs * scale + add. Returns the new number of limbs. */
static size_t push(uint32_t *limbs, size_t n, uint32_t scale, uint32_t add)
{
    uint64_t carry = add;
    for (size_t i = 0; i < n; i++) {
        carry += (uint64_t)limbs[i] * scale;
        limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry)
        limbs[n++] = (uint32_t)carry;
    return n;
}

static size_t fill(uint32_t *limbs, const struct pg_digits *d, size_t skip, size_t digits)
{
    size_t n = 0;
    for (size_t i = skip; i < skip + digits;) {
        uint32_t scale = 1, add = 0;
        for (int k = 0; k < 9 && i < skip + digits; k++, i++) {
            scale *= 10;
            add = add * 10 + digit_at(d, i);
        }
        n = push(limbs, n, scale, add);
    }
    return n;
}

/* Limbs of a magnitude to bytes in front of `end`; returns how many. */
static size_t to_bytes(uint8_t *end, uint32_t *limbs, size_t n, bool negative)
{
    /* -m is the complement of m - 1. */
    for (size_t i = 0; negative && limbs[i]-- == 0; i++)
        ;
    while (n > 1 && limbs[n - 1] == 0)
        n--;
    size_t bits = (n - 1) * 32 + (limbs[n - 1] ? 32 - (size_t)__builtin_clz(limbs[n - 1]) : 0);
    size_t bytes = bits / 8 + 1;
    for (size_t i = 0; i < bytes; i++) {
        uint32_t limb = i / 4 < n ? limbs[i / 4] : 0;
        end[-1 - (ptrdiff_t)i] = (uint8_t)((limb >> (i % 4 * 8)) ^ (negative ? 0xff : 0));
    }
    return bytes;
}

static int put_large(struct buf *out, const struct pg_digits *d, size_t skip, size_t digits, struct err *e)
{
    size_t limbs = digits / 9 + 2, bytes = limbs * 4 + 1, encoded = pg_base64_size(bytes) + 2;
    uint8_t *to = pg_room(out, encoded + bytes + 4 + limbs * 4, e);
    if (!to)
        return e->code;
    uint8_t *end = to + encoded + bytes;
    uint32_t *limb = (uint32_t *)(void *)(end + (-(uintptr_t)end & 3));
    size_t n = fill(limb, d, skip, digits);
    n = to_bytes(end, limb, n, d->negative);
    *to++ = '"';
    to = pg_base64(to, end - n, n, false);
    *to++ = '"';
    out->len = (size_t)(to - out->data);
    return ERR_OK;
}

int pg_put_unscaled(struct buf *out, const struct pg_digits *d, struct err *e)
{
    size_t all = d->first_n + d->second_n + d->zeros, skip = 0;
    while (skip < all && digit_at(d, skip) == 0)
        skip++;
    size_t digits = all - skip;
    if (digits > 18)
        return put_large(out, d, skip, digits, e);
    int64_t v = 0;
    for (size_t i = skip; i < all; i++)
        v = v * 10 + digit_at(d, i);
    return put_small(out, d->negative ? -v : v, e);
}
