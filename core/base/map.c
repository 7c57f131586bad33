/*
 * map: open addressing with linear probing and backward-shift deletion, load at most 3/4. One thread at a
 * time.
 *
 * Names that strangers choose become keys, so where a key goes is decided by a hash with a secret: nobody can choose keys
 * that meet in one place, which would make each put and get a walk over all of them. The secret differs from process to process, and
 * a walk over the map must not (a schedule of tests/power is replayed in another process): the entries are in a list, in
 * the order in which they were put.
 */
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct entry {
    struct entry *before, *next; /* in the order of being put */
    void *value;
    size_t n;
    uint8_t key[];
};

struct slot {
    uint64_t hash;
    struct entry *entry; /* NULL: free */
};

struct map {
    struct slot *slots;
    size_t size; /* power of two */
    size_t count;
    struct entry *first, *last;
    const uint8_t *secret;
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
    m->secret = hash_secret();
    return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
    if (!m)
        return;
    for (struct entry *en = m->first, *next; en; en = next) {
        next = en->next;
        if (free_value)
            free_value(en->value);
        mem_free(en);
    }
    mem_free(m->slots);
    mem_free(m);
}

/* The slot with the key, or the free one where it would go. */
static size_t find(const struct map *m, uint64_t hash, const void *key, size_t n)
{
    size_t i = hash & (m->size - 1);
    while (m->slots[i].entry && !(m->slots[i].hash == hash && m->slots[i].entry->n == n &&
                                  memcmp(m->slots[i].entry->key, key, n) == 0))
        i = (i + 1) & (m->size - 1);
    return i;
}

/* How many slots lie between that of the entry at `i` and the one where its key belongs. */
static size_t distance(const struct map *m, size_t i)
{
    return (i - m->slots[i].hash) & (m->size - 1);
}

void *map_get(const struct map *m, const void *key, size_t n)
{
    const struct entry *en = m->slots[find(m, siphash13(m->secret, key, n), key, n)].entry;
    return en ? en->value : NULL;
}

static int grow(struct map *m, struct err *e)
{
    size_t size = m->size * 2;
    struct slot *slots = mem_calloc(size, sizeof *slots);
    if (!slots)
        return err_nomem(e);
    for (size_t i = 0; i < m->size; i++) {
        if (!m->slots[i].entry)
            continue;
        size_t j = m->slots[i].hash & (size - 1);
        while (slots[j].entry)
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
    uint64_t hash = siphash13(m->secret, key, n);
    if (m->slots[find(m, hash, key, n)].entry)
        return err_set(e, ERR_EXISTS, "the key is already in the map");
    if ((m->count + 1) * 4 > m->size * 3) {
        int rc = grow(m, e);
        if (rc)
            return rc;
    }
    struct entry *en = mem_alloc(sizeof *en + n);
    if (!en)
        return err_nomem(e);
    *en = (struct entry){.before = m->last, .value = value, .n = n};
    if (n > 0)
        memcpy(en->key, key, n);
    *(m->last ? &m->last->next : &m->first) = en;
    m->last = en;
    m->slots[find(m, hash, key, n)] = (struct slot){hash, en};
    m->count++;
    return ERR_OK;
}

void *map_remove(struct map *m, const void *key, size_t n)
{
    size_t i = find(m, siphash13(m->secret, key, n), key, n);
    struct entry *en = m->slots[i].entry;
    if (!en)
        return NULL;
    void *value = en->value;
    *(en->before ? &en->before->next : &m->first) = en->next;
    *(en->next ? &en->next->before : &m->last) = en->before;
    mem_free(en);
    m->count--;
    /* Close the gap, so that probing never meets a hole that was not there when a key was put. */
    for (size_t j = (i + 1) & (m->size - 1); m->slots[j].entry; j = (j + 1) & (m->size - 1)) {
        if (distance(m, j) >= ((j - i) & (m->size - 1))) {
            m->slots[i] = m->slots[j];
            i = j;
        }
    }
    m->slots[i].entry = NULL;
    return value;
}

size_t map_count(const struct map *m)
{
    return m->count;
}

/* The position is the entry that was shown last, so that at the end it stays the end. */
bool map_next(const struct map *m, size_t *pos, const void **key, size_t *n, void **value)
{
    struct entry *en = *pos ? ((struct entry *)*pos)->next : m->first;
    if (!en)
        return false;
    *pos = (size_t)en;
    *key = en->key;
    *n = en->n;
    *value = en->value;
    return true;
}

size_t map_detours(const struct map *m)
{
    size_t sum = 0;
    for (size_t i = 0; i < m->size; i++)
        if (m->slots[i].entry)
            sum += distance(m, i);
    return sum;
}
