/*
 * hash: checksums and hashes that formats prescribe, one for tables, and a map from bytes to pointers.
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
uint64_t hash64(const void *data, size_t n); /* FNV-1a with a final mix; not for hostile input order */

/*
 * SipHash-2-4 with 128 bits of output (Aumasson, Bernstein): with a key that nobody knows, nobody can make two inputs
 * collide, so that the hash can stand for the input. `out` is written little-endian, as the reference does.
 */
void siphash128(const uint8_t key[16], const void *data, size_t n, uint8_t out[16]);

/* map: open addressing, keys are copied, values are the caller's pointers (never NULL). Not thread-safe. */
struct map;
struct map *map_new(void);                                     /* NULL: out of memory */
void map_free(struct map *m, void (*free_value)(void *));      /* free_value may be NULL */
void *map_get(const struct map *m, const void *key, size_t n); /* NULL: not there */
int map_put(struct map *m, const void *key, size_t n, void *value, struct err *e); /* ERR_EXISTS if there */
void *map_remove(struct map *m, const void *key, size_t n);                        /* the value, or NULL */
size_t map_count(const struct map *m);
/* Walks in unspecified order: start with *pos = 0; false at the end. The map must not change meanwhile. */
bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, void **value);

#endif
