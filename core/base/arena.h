/*
 * arena: memory with the lifetime of one poll, put, call or request. Allocation is a pointer bump; everything goes at
 * once by arena_reset, which keeps one chunk, so that a steady task allocates nothing from the heap. One
 * thread.
 */
#ifndef LEAT_BASE_ARENA_H
#define LEAT_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_CHUNK_BYTES ((size_t)64 << 10)
#define ARENA_MAX_BYTES ((size_t)256 << 20) /* past it an allocation is refused as if memory were out */

struct arena_chunk;
struct arena {
    uint8_t *next, *end;        /* what is left of the current chunk */
    struct arena_chunk *chunks; /* newest first; the oldest is the one that stays */
    size_t bytes, max;          /* of all chunks */
    size_t
        first; /* bytes of the chunk that stays; 0: ARENA_CHUNK_BYTES. May be set before anything is allocated */
    void *held; /* what `release` is to give back at the next reset; NULL: nothing */
    void (*release)(void *held);
    void *owner; /* whoever made it, for those who get the arena and need to know */
};

void arena_init(struct arena *a, size_t max, void *owner); /* allocates nothing */
void arena_free(struct arena *a);
void arena_reset(struct arena *a);

/* Aligned to 16 bytes, not cleared. NULL: out of memory or past the cap. */
void *arena_slow(struct arena *a, size_t n);
static inline void *arena_alloc(struct arena *a, size_t n)
{
    if (n <= ARENA_MAX_BYTES) {
        n = (n + 15 + (n == 0)) & ~(size_t)15;
        if (n <= (size_t)(a->end - a->next)) {
            void *p = a->next;
            a->next += n;
            return p;
        }
    }
    return arena_slow(a, n);
}
void *arena_dup(struct arena *a, const void *data, size_t n); /* with a NUL after it */

#endif
