/*
 * clean_map: open addressing with linear probing, nothing is ever taken out. See clean_map.h.
 */
#include "storage/clean_map.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/uuid.h"

/* At most so full: more saves memory and costs many probes. */
#define LOAD_NUM 4
#define LOAD_DEN 5

struct slot {
    uint64_t hash[2];
    int64_t after; /* the offset plus one; 0: free */
};

struct clean_map {
    struct slot *slots;
    size_t size, used, most;
    struct uuid secret;
};

struct clean_map *clean_map_new(struct err *e)
{
    struct clean_map *m = mem_calloc(1, sizeof *m);
    if (m)
        m->secret = uuid_random();
    else
        err_nomem(e);
    return m;
}

void clean_map_release(struct clean_map *m)
{
    mem_free(m->slots);
    m->slots = NULL;
    m->size = m->used = m->most = 0;
}

void clean_map_free(struct clean_map *m)
{
    if (!m)
        return;
    clean_map_release(m);
    mem_free(m);
}

size_t clean_map_bytes(const struct clean_map *m)
{
    return m->size * sizeof *m->slots;
}

int clean_map_reset(struct clean_map *m, int64_t keys, size_t max_bytes, struct err *e)
{
    size_t most = max_bytes / sizeof *m->slots;
    size_t size =
        keys / LOAD_NUM < (int64_t)(most / LOAD_DEN) ? (size_t)keys * LOAD_DEN / LOAD_NUM + 2 : most;
    if (size > most)
        size = most;
    if (size < 2)
        size = 2;
    if (m->size != size) {
        clean_map_release(m);
        m->slots = mem_calloc(size, sizeof *m->slots);
        if (!m->slots)
            return err_nomem(e);
        m->size = size;
    } else {
        memset(m->slots, 0, size * sizeof *m->slots);
    }
    m->used = 0;
    m->most = size * LOAD_NUM / LOAD_DEN;
    return ERR_OK;
}

/* The slot of the key, or the free one where it would go. */
static size_t find(const struct clean_map *m, const void *key, size_t n, uint64_t hash[2])
{
    uint8_t bytes[16];
    siphash128(m->secret.b, key, n, bytes);
    memcpy(hash, bytes, sizeof bytes);
    size_t i = (size_t)((unsigned __int128)hash[0] * m->size >> 64);
    while (m->slots[i].after && (m->slots[i].hash[0] != hash[0] || m->slots[i].hash[1] != hash[1]))
        i = i + 1 < m->size ? i + 1 : 0;
    return i;
}

bool clean_map_put(struct clean_map *m, const void *key, size_t n, int64_t offset)
{
    uint64_t hash[2];
    struct slot *s = &m->slots[find(m, key, n, hash)];
    if (s->after == 0) {
        if (m->used == m->most)
            return false;
        m->used++;
        s->hash[0] = hash[0];
        s->hash[1] = hash[1];
    }
    s->after = offset + 1;
    return true;
}

int64_t clean_map_get(const struct clean_map *m, const void *key, size_t n)
{
    uint64_t hash[2];
    return m->used ? m->slots[find(m, key, n, hash)].after - 1 : -1;
}
