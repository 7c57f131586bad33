/*
 * fuzz_snapshot: bytes from outside as a producer snapshot; the checksum is made right, so that the fuzzer gets past it.
 * What is accepted must be written again and mean the same.
 */
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "storage/producers.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct buf first, second;
    struct producers *p = producers_new(), *q = producers_new();
    uint8_t *copy = mem_dup(data, n);
    require(p && q && copy);
    buf_init(&first, 64u << 20);
    buf_init(&second, 64u << 20);
    if (n >= 10)
        put_be32(copy + 2, crc32c(0, copy + 6, n - 6));
    if (producers_decode(p, copy, n, "snapshot", &e) == ERR_OK) {
        require(producers_count(p) == be32(copy + 6));
        require(producers_encode(p, &first, &e) == ERR_OK && first.len == n);
        require(producers_decode(q, first.data, first.len, "snapshot", &e) == ERR_OK);
        require(producers_encode(q, &second, &e) == ERR_OK);
        require(first.len == second.len && memcmp(first.data, second.data, first.len) == 0);
        require(producers_first_unstable(p) == producers_first_unstable(q));
    } else {
        require(e.code == ERR_CORRUPT && producers_count(p) == 0);
    }
    buf_free(&first);
    buf_free(&second);
    producers_free(p);
    producers_free(q);
    mem_free(copy);
    return 0;
}
