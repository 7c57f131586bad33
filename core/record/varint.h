/*
 * varint: the zigzag varints of records, inline. base/buf.h has the general ones; here every record costs six
 * of them, most of one byte, so that a call each would be half of the time of encoding or decoding it.
 * Private to core/record.
 */
#ifndef LEAT_RECORD_VARINT_H
#define LEAT_RECORD_VARINT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t varint_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

/* Encoded size of a zigzagged value. */
static inline size_t varint_length(uint64_t z)
{
    return (size_t)(63 - __builtin_clzll(z | 1)) / 7 + 1;
}

/* Stores a zigzagged value, for which there is room; returns the byte after it. */
static inline uint8_t *varint_store(uint8_t *p, uint64_t z)
{
    while (z >= 0x80) {
        *p++ = (uint8_t)(z | 0x80);
        z >>= 7;
    }
    *p++ = (uint8_t)z;
    return p;
}

/* A length and the bytes; NULL is null. */
static inline uint8_t *varint_store_bytes(uint8_t *p, const void *data, size_t n)
{
    if (!data)
        return varint_store(p, varint_zigzag(-1));
    p = varint_store(p, varint_zigzag((int64_t)n));
    memcpy(p, data, n);
    return p + n;
}

/* Reads one of [p, end); returns the byte after it, or NULL when it ends early or is wider than 64 bits. */
static inline const uint8_t *varint_load(const uint8_t *p, const uint8_t *end, int64_t *v)
{
    uint64_t z = 0;
    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t c = *p++;
        z |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80) {
            if (shift == 63 && c > 1)
                return NULL;
            *v = (int64_t)(z >> 1) ^ -(int64_t)(z & 1);
            return p;
        }
    }
    return NULL;
}

#endif
