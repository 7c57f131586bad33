/*
 * fuzz_batch: bytes from outside as a batch. The first byte tells what is done with the rest: bit 0 makes
 * length and CRC right, so that the fuzzer gets past them; bit 1 validates as a producer's batch. What
 * validates must iterate, to the same end.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "record/record.h"
#include "tests/fuzz/fuzz.h"

#define INFLATED_MAX (1u << 20) /* small, so that a bomb costs the fuzzer little */

/* Touches every byte of what a record points to, for the address sanitizer. */
static uint32_t walk_record(const struct record *r)
{
    struct err e = {0};
    struct slice left = r->headers;
    struct record_header h;
    uint32_t sum = crc32c(0, r->key, r->key ? (size_t)r->key_len : 0);
    sum = crc32c(sum, r->value, r->value ? (size_t)r->value_len : 0);
    while (record_next_header(&left, &h, &e) == ERR_OK) {
        sum = crc32c(sum, h.key, (size_t)h.key_len);
        sum = crc32c(sum, h.value, h.value ? (size_t)h.value_len : 0);
    }
    return sum;
}

/* ERR_END when all records are there. */
static int walk(const uint8_t *batch, size_t n, struct buf *scratch, struct batch_iter *it, int32_t *seen)
{
    struct err e = {0};
    struct record r;
    volatile uint32_t sum = 0;
    int rc = batch_iter_init(it, batch, n, scratch, &e);
    for (*seen = 0; rc == ERR_OK; ++*seen) {
        rc = batch_iter_next(it, &r, &e);
        if (rc != ERR_OK)
            break;
        require(r.offset >= it->header.base_offset && r.offset <= batch_last_offset(&it->header));
        sum = sum ^ walk_record(&r);
    }
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct batch_header h;
    struct batch_iter it;
    struct buf scratch;
    struct err e = {0};
    int16_t type;
    int32_t seen, epoch;
    if (n < 1)
        return 0;
    bool fix = data[0] & 1, strict = data[0] & 2;
    uint8_t *batch = malloc(n); /* n - 1 would do, but malloc(0) may be NULL */
    require(batch != NULL);
    memcpy(batch, data + 1, --n);
    if (fix && n >= BATCH_HEADER_SIZE) {
        put_be32(batch + 8, (uint32_t)(n - BATCH_LENGTH_PREFIX));
        batch[16] = 2;
        put_be32(batch + 17, crc32c(0, batch + 21, n - 21));
    }
    buf_init(&scratch, INFLATED_MAX);
    int valid = batch_validate(batch, n, strict, &scratch, &h, &e);
    int walked = walk(batch, n, &scratch, &it, &seen);
    if (valid == ERR_OK) {
        require(walked == ERR_END && seen == h.record_count);
        require(!strict || it.last_offset == batch_last_offset(&h));
        require(batch_check(batch, n, &h, &e) == ERR_OK);
    }
    marker_decode(batch, n, &type, &epoch, &e);
    buf_free(&scratch);
    free(batch);
    return 0;
}
