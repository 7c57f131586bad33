/*
 * kept_index: open addressing with linear probing; what is removed is filled up from behind, so that no marks of removal stay.
 * It grows by doubling up to what memory allows.
 */
#include "base/mem.h"
#include "kit/kept/kept_impl.h"

#define ROOM_FIRST 1024

void kept_index_init(struct kept_index *x, uint64_t memory_bytes)
{
    *x = (struct kept_index){.room_max = ROOM_FIRST};
    while (x->room_max * 2 * sizeof *x->slots <= memory_bytes)
        x->room_max *= 2;
}

void kept_index_free(struct kept_index *x)
{
    mem_free(x->slots);
    x->slots = NULL;
    x->room = x->count = 0;
}

struct kept_slot *kept_index_find(const struct kept_index *x, uint64_t hash)
{
    if (x->count == 0)
        return NULL;
    for (size_t i = hash & (x->room - 1);; i = (i + 1) & (x->room - 1)) {
        if (x->slots[i].hash == hash)
            return &x->slots[i];
        if (!x->slots[i].hash)
            return NULL;
    }
}

static bool over(size_t count, size_t room)
{
    return count > room - room / 8;
}

bool kept_index_full(const struct kept_index *x)
{
    return over(x->count + 1, x->room_max);
}

static void place(struct kept_slot *slots, size_t room, struct kept_slot s)
{
    size_t i = s.hash & (room - 1);
    while (slots[i].hash)
        i = (i + 1) & (room - 1);
    slots[i] = s;
}

static int grow(struct kept_index *x, struct err *e)
{
    size_t room = x->room ? x->room * 2 : ROOM_FIRST;
    struct kept_slot *slots = mem_calloc(room, sizeof *slots);
    if (!slots)
        return err_nomem(e);
    for (size_t i = 0; i < x->room; i++)
        if (x->slots[i].hash)
            place(slots, room, x->slots[i]);
    mem_free(x->slots);
    x->slots = slots;
    x->room = room;
    return ERR_OK;
}

int kept_index_add(struct kept_index *x, uint64_t hash, uint64_t at, struct err *e)
{
    if ((!x->room || over(x->count + 1, x->room)) && grow(x, e) != ERR_OK)
        return e->code;
    place(x->slots, x->room, (struct kept_slot){hash, at});
    x->count++;
    return ERR_OK;
}

void kept_index_remove(struct kept_index *x, struct kept_slot *s)
{
    size_t mask = x->room - 1, hole = (size_t)(s - x->slots);
    for (size_t i = (hole + 1) & mask; x->slots[i].hash; i = (i + 1) & mask) {
        size_t home = x->slots[i].hash & mask;
        /* It may not go before its home. */
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        x->slots[hole] = x->slots[i];
        hole = i;
    }
    x->slots[hole] = (struct kept_slot){0, 0};
    x->count--;
}
