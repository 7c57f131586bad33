/*
 * clean_map: for each key the last offset at which it was put, in memory of a fixed size. A key is known by 128 bits of
 * a hash with a secret (siphash128), so that neither chance nor anybody can make one key pass for another. One thread.
 */
#ifndef LEAT_STORAGE_CLEAN_MAP_H
#define LEAT_STORAGE_CLEAN_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct clean_map;

struct clean_map *clean_map_new(struct err *e); /* NULL on error; no room yet */
void clean_map_free(struct clean_map *m);       /* NULL is fine */

/* Empties it and makes room for `keys`, or for as many as `max_bytes` hold (at least one). */
int clean_map_reset(struct clean_map *m, int64_t keys, size_t max_bytes, struct err *e);
void clean_map_release(struct clean_map *m); /* empty, and without memory */
size_t clean_map_bytes(const struct clean_map *m);

/* False: a new key and no room. `offset` is larger than any before. */
bool clean_map_put(struct clean_map *m, const void *key, size_t n, int64_t offset);
int64_t clean_map_get(const struct clean_map *m, const void *key, size_t n); /* -1: not there */

#endif
