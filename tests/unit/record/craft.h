/*
 * craft: batches written byte by byte for tests, without the code under test but for the CRC, so that any
 * field can be wrong.
 */
#ifndef LEAT_TESTS_RECORD_CRAFT_H
#define LEAT_TESTS_RECORD_CRAFT_H

#include "tests/lib/testkit.h"

#include "base/hash.h"
#include "record/record.h"

#define CRAFT_MAX 4096

struct craft {
    uint8_t bytes[CRAFT_MAX];
    size_t n;
};

/* Appends what a hex string says; blanks are skipped. */
static inline void craft_hex(struct craft *c, const char *hex)
{
    unsigned byte;
    for (int used; sscanf(hex, " %2x%n", &byte, &used) == 1; hex += used) {
        assert_true(c->n < CRAFT_MAX);
        c->bytes[c->n++] = (uint8_t)byte;
    }
}

/* Length and CRC as they should be for what is there. */
static inline void craft_seal(struct craft *c)
{
    put_be32(c->bytes + 8, (uint32_t)(c->n - BATCH_LENGTH_PREFIX));
    put_be32(c->bytes + 17, crc32c(0, c->bytes + 21, c->n - 21));
}

/* A whole batch: base offset 100, base timestamp 1000, max 1000, no producer; `payload` is hex. */
static inline struct craft craft_batch(int16_t attributes, int32_t last_offset_delta, int32_t count,
                                       const char *payload)
{
    struct craft c = {.n = BATCH_HEADER_SIZE};
    put_be64(c.bytes, 100);
    c.bytes[16] = 2;
    put_be16(c.bytes + 21, (uint16_t)attributes);
    put_be32(c.bytes + 23, (uint32_t)last_offset_delta);
    put_be64(c.bytes + 27, 1000);
    put_be64(c.bytes + 35, 1000);
    memset(c.bytes + 43, 0xff, 14);
    put_be32(c.bytes + 57, (uint32_t)count);
    craft_hex(&c, payload);
    craft_seal(&c);
    return c;
}

#endif
