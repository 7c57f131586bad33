/*
 * heap: things that are due at some time, the earliest first: a binary heap of nodes that are part of what they are about. Not
 * thread-safe.
 */
#ifndef LEAT_BASE_HEAP_H
#define LEAT_BASE_HEAP_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define HEAP_OUT SIZE_MAX /* the index of a node that is in no heap; to be set before its first use */

struct heap_node {
    int64_t at;
    size_t index;
};

struct heap {
    struct heap_node **list;
    size_t count, room;
};

/* Room for `n` nodes altogether, so that heap_set cannot fail. */
int heap_reserve(struct heap *h, size_t n, struct err *e);
void heap_free(struct heap *h); /* the nodes are their owners' */
/* Puts the node in, or moves it if it is in. There must be room. */
void heap_set(struct heap *h, struct heap_node *node, int64_t at);
void heap_take(struct heap *h, struct heap_node *node); /* out; fine if it is not in */

static inline struct heap_node *heap_first(const struct heap *h) /* NULL: it is empty */
{
    return h->count > 0 ? h->list[0] : NULL;
}

#endif
