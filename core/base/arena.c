/*
 * arena: chunks of doubling size behind the bump pointer. See arena.h.
 */
#include "base/arena.h"

#include <string.h>

#include "base/mem.h"

struct arena_chunk {
    struct arena_chunk *older;
    size_t size;
    _Alignas(16) uint8_t data[];
};

void arena_init(struct arena *a, size_t max, void *owner)
{
    *a = (struct arena){.max = max, .owner = owner};
}

static void use_chunk(struct arena *a, struct arena_chunk *c)
{
    a->next = c->data;
    a->end = c->data + c->size;
}

void arena_reset(struct arena *a)
{
    if (a->held != NULL)
        a->release(a->held);
    a->held = NULL;
    struct arena_chunk *c = a->chunks;
    if (c == NULL)
        return;
    while (c->older != NULL) {
        struct arena_chunk *older = c->older;
        a->bytes -= c->size;
        mem_free(c);
        c = older;
    }
    a->chunks = c;
    use_chunk(a, c);
}

void arena_free(struct arena *a)
{
    arena_reset(a);
    mem_free(a->chunks);
    size_t first = a->first;
    arena_init(a, a->max, a->owner);
    a->first = first;
}

void *arena_slow(struct arena *a, size_t n)
{
    if (n > a->max)
        return NULL;
    n = (n + 15) & ~(size_t)15;
    size_t first = a->first > 0 ? a->first : ARENA_CHUNK_BYTES;
    size_t size = a->chunks == NULL ? first : a->chunks->size * 2;
    if (size > (size_t)4 << 20)
        size = (size_t)4 << 20;
    /* The chunk that stays must be small, so a large first need does not become it. */
    if (a->chunks == NULL && n > first) {
        if (arena_slow(a, 16) == NULL)
            return NULL;
        return arena_slow(a, n);
    }
    if (size < n)
        size = n;
    if (size > a->max - a->bytes)
        size = a->max - a->bytes;
    if (size < n)
        return NULL;
    struct arena_chunk *c = mem_alloc(sizeof(*c) + size);
    if (c == NULL)
        return NULL;
    c->size = size;
    c->older = a->chunks;
    a->chunks = c;
    a->bytes += size;
    use_chunk(a, c);
    a->next += n;
    return c->data;
}

void *arena_dup(struct arena *a, const void *data, size_t n)
{
    char *p = arena_alloc(a, n + 1);
    if (p == NULL)
        return NULL;
    mem_copy(p, data, n);
    p[n] = 0;
    return p;
}
