/*
 * map: open addressing with linear probing and backward-shift deletion, load at most 3/4. One thread at a
 * time.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct slot {
    uint64_t hash;
    void *key; /* NULL: free */
    size_t n;
    void *value;
};

struct map {
    struct slot *slots;
    size_t size; /* power of two */
    size_t count;
};

struct map *map_new(void)
{
    struct map *m = mem_calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->size = 8;
    m->slots = mem_calloc(m->size, sizeof *m->slots);
    if (!m->slots) {
        mem_free(m);
        return NULL;
    }
    return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
    if (!m)
        return;
    for (size_t i = 0; i < m->size; i++)
        if (m->slots[i].key) {
            if (free_value)
                free_value(m->slots[i].value);
            mem_free(m->slots[i].key);
        }
    mem_free(m->slots);
    mem_free(m);
}

/* The slot with the key, or the free one where it would go. */
static size_t find(const struct map *m, uint64_t hash, const void *key, size_t n)
{
    size_t i = hash & (m->size - 1);
    while (m->slots[i].key &&
           !(m->slots[i].hash == hash && m->slots[i].n == n && memcmp(m->slots[i].key, key, n) == 0))
        i = (i + 1) & (m->size - 1);
    return i;
}

void *map_get(const struct map *m, const void *key, size_t n)
{
    const struct slot *s = &m->slots[find(m, hash64(key, n), key, n)];
    return s->key ? s->value : NULL;
}

static int grow(struct map *m, struct err *e)
{
    size_t size = m->size * 2;
    struct slot *slots = mem_calloc(size, sizeof *slots);
    if (!slots)
        return err_nomem(e);
    for (size_t i = 0; i < m->size; i++) {
        if (!m->slots[i].key)
            continue;
        size_t j = m->slots[i].hash & (size - 1);
        while (slots[j].key)
            j = (j + 1) & (size - 1);
        slots[j] = m->slots[i];
    }
    mem_free(m->slots);
    m->slots = slots;
    m->size = size;
    return ERR_OK;
}

int map_put(struct map *m, const void *key, size_t n, void *value, struct err *e)
{
    uint64_t hash = hash64(key, n);
    if (m->slots[find(m, hash, key, n)].key)
        return err_set(e, ERR_EXISTS, "the key is already in the map");
    if ((m->count + 1) * 4 > m->size * 3) {
        int rc = grow(m, e);
        if (rc)
            return rc;
    }
    void *copy = mem_dup(key, n);
    if (!copy)
        return err_nomem(e);
    m->slots[find(m, hash, key, n)] = (struct slot){hash, copy, n, value};
    m->count++;
    return ERR_OK;
}

void *map_remove(struct map *m, const void *key, size_t n)
{
    size_t i = find(m, hash64(key, n), key, n);
    if (!m->slots[i].key)
        return NULL;
    void *value = m->slots[i].value;
    mem_free(m->slots[i].key);
    m->count--;
    /* Close the gap, so that probing never meets a hole that was not there when a key was put. */
    for (size_t j = (i + 1) & (m->size - 1); m->slots[j].key; j = (j + 1) & (m->size - 1)) {
        size_t home = m->slots[j].hash & (m->size - 1);
        if (((j - home) & (m->size - 1)) >= ((j - i) & (m->size - 1))) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i].key = NULL;
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, void **value)
{
    while (*pos < m->size) {
        const struct slot *s = &m->slots[(*pos)++];
        if (s->key) {
            *key = s->key;
            *n = s->n;
            *value = s->value;
            return true;
        }
    }
    return false;
}
