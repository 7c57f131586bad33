/*
 * heap: see heap.h.
 */
#include "base/heap.h"

#include "base/mem.h"

#define FIRST_ROOM 16

static void put(struct heap *h, size_t i, struct heap_node *node)
{
    h->list[i] = node;
    node->index = i;
}

/* Moves the node at `i` to where its time belongs. */
static void settle(struct heap *h, size_t i)
{
    struct heap_node *node = h->list[i];
    for (size_t up; i > 0 && h->list[up = (i - 1) / 2]->at > node->at; i = up)
        put(h, i, h->list[up]);
    for (size_t down; (down = 2 * i + 1) < h->count; i = down) {
        if (down + 1 < h->count && h->list[down + 1]->at < h->list[down]->at)
            down++;
        if (h->list[down]->at >= node->at)
            break;
        put(h, i, h->list[down]);
    }
    put(h, i, node);
}

int heap_reserve(struct heap *h, size_t n, struct err *e)
{
    size_t room = h->room > 0 ? h->room : FIRST_ROOM;
    while (room < n)
        room *= 2;
    if (room == h->room)
        return ERR_OK;
    struct heap_node **more = mem_realloc_array(h->list, room, sizeof *more);
    if (more == NULL)
        return err_nomem(e);
    h->list = more;
    h->room = room;
    return ERR_OK;
}

void heap_free(struct heap *h)
{
    mem_free(h->list);
    *h = (struct heap){0};
}

void heap_set(struct heap *h, struct heap_node *node, int64_t at)
{
    node->at = at;
    if (node->index == HEAP_OUT)
        put(h, h->count++, node);
    settle(h, node->index);
}

void heap_take(struct heap *h, struct heap_node *node)
{
    size_t i = node->index;
    if (i == HEAP_OUT)
        return;
    node->index = HEAP_OUT;
    struct heap_node *last = h->list[--h->count];
    if (last == node)
        return;
    put(h, i, last);
    settle(h, i);
}
