/*
 * hash: see hash.h. No state; any thread.
 */
#include "base/hash.h"

#include <isa-l/crc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

uint32_t crc32c(uint32_t crc, const void *data, size_t n)
{
    /* crc32_iscsi is CRC-32C without the inversions; its length is an int and its pointer not const. */
    unsigned char *p = (unsigned char *)(uintptr_t)data;
    crc = ~crc;
    while (n) {
        int part = n > 1 << 30 ? 1 << 30 : (int)n;
        crc = crc32_iscsi(p, part, crc);
        p += part;
        n -= (size_t)part;
    }
    return ~crc;
}

static uint32_t le32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

uint32_t murmur2(const void *data, size_t n)
{
    const uint8_t *p = data;
    const uint32_t m = 0x5bd1e995;
    uint32_t h = 0x9747b28c ^ (uint32_t)n;
    for (; n >= 4; p += 4, n -= 4) {
        uint32_t k = le32(p);
        k *= m;
        k ^= k >> 24;
        k *= m;
        h = h * m ^ k;
    }
    switch (n) {
    case 3:
        h ^= (uint32_t)p[2] << 16;
        __attribute__((fallthrough));
    case 2:
        h ^= (uint32_t)p[1] << 8;
        __attribute__((fallthrough));
    case 1:
        h = (h ^ p[0]) * m;
        break;
    default:
        break;
    }
    h ^= h >> 13;
    h *= m;
    return h ^ h >> 15;
}

/* One code point of UTF-8; a byte that does not belong counts as U+FFFD, as Java's decoder has it. */
static uint32_t next_code_point(const uint8_t **p, const uint8_t *end)
{
    uint32_t c = *(*p)++;
    int more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 : (c & 0xf0) == 0xe0 ? 2 : (c & 0xf8) == 0xf0 ? 3 : -1;
    if (more <= 0)
        return more == 0 ? c : 0xfffd;
    c &= 0x3fu >> more;
    for (; more && *p < end && (**p & 0xc0) == 0x80; more--)
        c = c << 6 | (*(*p)++ & 0x3fu);
    return more ? 0xfffd : c;
}

int32_t java_string_hash(const char *utf8, size_t n)
{
    const uint8_t *p = (const uint8_t *)utf8, *end = p + n;
    uint32_t h = 0;
    while (p < end) {
        uint32_t c = next_code_point(&p, end);
        if (c > 0xffff) { /* a surrogate pair in UTF-16 */
            h = 31 * h + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = 31 * h + c;
    }
    return (int32_t)h;
}

int32_t kafka_partition_for_key(const void *key, size_t n, int32_t partitions)
{
    return (int32_t)(murmur2(key, n) & 0x7fffffff) % partitions;
}

int32_t kafka_coordinator_partition(const char *id, int32_t partitions)
{
    int32_t h = java_string_hash(id, strlen(id));
    return h == INT32_MIN ? 0 : (h < 0 ? -h : h) % partitions;
}

uint64_t hash64(const void *data, size_t n)
{
    const uint8_t *p = data;
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    h ^= h >> 32;
    h *= 0xd6e8feb86659fd93u;
    return h ^ h >> 32;
}

static uint64_t le64(const uint8_t *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}

static uint64_t rotate(uint64_t v, int bits)
{
    return v << bits | v >> (64 - bits);
}

static inline void sip_rounds(uint64_t v[4], int n)
{
    while (n-- > 0) {
        v[0] += v[1];
        v[1] = rotate(v[1], 13) ^ v[0];
        v[0] = rotate(v[0], 32);
        v[2] += v[3];
        v[3] = rotate(v[3], 16) ^ v[2];
        v[0] += v[3];
        v[3] = rotate(v[3], 21) ^ v[0];
        v[2] += v[1];
        v[1] = rotate(v[1], 17) ^ v[2];
        v[2] = rotate(v[2], 32);
    }
}

static inline void sip_block(uint64_t v[4], uint64_t block, int rounds)
{
    v[3] ^= block;
    sip_rounds(v, rounds);
    v[0] ^= block;
}

/* All but the end: `rounds` a block of eight bytes; `tweak` tells the two lengths of output apart. */
static inline void sip_start(uint64_t v[4], const uint8_t key[16], uint64_t tweak, const void *data, size_t n,
                             int rounds)
{
    const uint8_t *p = data, *end = p + n - n % 8;
    uint64_t k0 = le64(key), k1 = le64(key + 8), last = (uint64_t)n << 56;
    v[0] = k0 ^ 0x736f6d6570736575u;
    v[1] = k1 ^ 0x646f72616e646f6du ^ tweak;
    v[2] = k0 ^ 0x6c7967656e657261u;
    v[3] = k1 ^ 0x7465646279746573u;
    for (; p < end; p += 8)
        sip_block(v, le64(p), rounds);
    for (size_t i = 0; i < n % 8; i++)
        last |= (uint64_t)p[i] << (8 * i);
    sip_block(v, last, rounds);
}

void siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16])
{
    uint64_t v[4];
    sip_start(v, key, 0xee, data, n, 2);
    v[2] ^= 0xee;
    sip_rounds(v, 4);
    uint64_t first = v[0] ^ v[1] ^ v[2] ^ v[3];
    v[1] ^= 0xdd;
    sip_rounds(v, 4);
    uint64_t second = v[0] ^ v[1] ^ v[2] ^ v[3];
    memcpy(out, &first, 8);
    memcpy(out + 8, &second, 8);
}

/*
 * Of the kernel's, for each process: no call that could fail or wait, no state of ours, and the same for the copies of this file in
 * plugins. The C library makes the stack's guard of them, so they stay where they are: no copy comes into the heap.
 */
const uint8_t *hash_secret(void)
{
    const uint8_t *random = (const uint8_t *)getauxval(AT_RANDOM);
    if (!random)
        abort(); /* cannot happen: Linux has given them since 2.6.29 */
    return random;
}

uint64_t siphash13(const uint8_t secret[16], const void *data, size_t n)
{
    uint64_t v[4];
    sip_start(v, secret, 0, data, n, 1);
    v[2] ^= 0xff;
    sip_rounds(v, 3);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
