/*
 * hash: checksums and hashes that formats prescribe, those for tables, and a map from bytes to pointers.
 */
#ifndef LEAT_BASE_HASH_H
#define LEAT_BASE_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* CRC-32C (Castagnoli), as in record batches. `crc` is 0 to start, or what an earlier call returned. */
uint32_t crc32c(uint32_t crc, const void *data, size_t n);

uint32_t murmur2(const void *data, size_t n);         /* Kafka's default partitioner */
int32_t java_string_hash(const char *utf8, size_t n); /* String.hashCode over UTF-16 units */
int32_t kafka_partition_for_key(const void *key, size_t n, int32_t partitions);
int32_t kafka_coordinator_partition(const char *id,
                                    int32_t partitions); /* |hashCode| mod n, |INT32_MIN| = 0 */
/*
 * FNV-1a with a final mix, the same in every process and version. Whoever likes can make any number of keys that collide: not for
 * tables whose keys strangers choose.
 */
uint64_t hash64(const void *data, size_t n);

/*
 * SipHash-2-4 with 128 bits of output (Aumasson, Bernstein): with a key that nobody knows, nobody can make two inputs
 * collide, so that the hash can stand for the input. `out` is written little-endian, as the reference does.
 */
void siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16]);

/*
 * SipHash-1-3 with 64 bits of output, for tables in memory whose keys strangers choose: without the secret they cannot choose
 * such that meet in one place. Fewer rounds than above, as nobody sees a hash; other languages' tables have the same.
 */
uint64_t siphash13(const uint8_t secret[16], const void *data, size_t n);
const uint8_t *
hash_secret(void); /* 16 random bytes, others in each process; nothing that outlives it may come from them */

/*
 * map: open addressing, keys are copied, values are the caller's pointers (never NULL). Not thread-safe. Keys may be chosen by
 * anybody: the hash has a secret.
 */
struct map;
struct map *map_new(void);                                     /* NULL: out of memory */
void map_free(struct map *m, void (*free_value)(void *));      /* free_value may be NULL */
void *map_get(const struct map *m, const void *key, size_t n); /* NULL: not there */
int map_put(struct map *m, const void *key, size_t n, void *value, struct err *e); /* ERR_EXISTS if there */
void *map_remove(struct map *m, const void *key, size_t n);                        /* the value, or NULL */
size_t map_count(const struct map *m);
/*
 * Walks in the order in which the keys were put, whatever the secret is, so that the same run goes the same way again. It is
 * no order that anybody should rely on otherwise. Start with *pos = 0; false at the end. The map must not change meanwhile.
 */
bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, void **value);
/* For tests: how many slots too far all keys lie together; near the square of their number if they collide. */
size_t map_detours(const struct map *m);

#endif
