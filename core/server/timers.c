/*
 * timers: the requests of a loop that wait for a deadline, as a binary heap. The loop's thread.
 */
#include "base/mem.h"
#include "server/internal.h"

#define FIRST_ROOM 16

static void put(struct loop *l, size_t i, struct request *c)
{
    l->timers[i] = c;
    c->heap_index = i;
}

/* Moves the request at `i` to where its deadline belongs. */
static void settle(struct loop *l, size_t i)
{
    struct request *c = l->timers[i];
    for (size_t up; i > 0 && l->timers[up = (i - 1) / 2]->deadline > c->deadline; i = up)
        put(l, i, l->timers[up]);
    for (size_t down; (down = 2 * i + 1) < l->timer_count; i = down) {
        if (down + 1 < l->timer_count && l->timers[down + 1]->deadline < l->timers[down]->deadline)
            down++;
        if (l->timers[down]->deadline >= c->deadline)
            break;
        put(l, i, l->timers[down]);
    }
    put(l, i, c);
}

int timers_add(struct loop *l, struct request *c, struct err *e)
{
    if (l->timer_count == l->timer_room) {
        size_t room = l->timer_room ? l->timer_room * 2 : FIRST_ROOM;
        struct request **more = mem_realloc_array(l->timers, room, sizeof *more);
        if (more == NULL)
            return err_nomem(e);
        l->timers = more;
        l->timer_room = room;
    }
    put(l, l->timer_count, c);
    settle(l, l->timer_count++);
    return ERR_OK;
}

void timers_remove(struct loop *l, struct request *c)
{
    size_t i = c->heap_index;
    if (i == SIZE_MAX)
        return;
    c->heap_index = SIZE_MAX;
    struct request *last = l->timers[--l->timer_count];
    if (last == c)
        return;
    put(l, i, last);
    settle(l, i);
}

struct request *timers_first(const struct loop *l)
{
    return l->timer_count > 0 ? l->timers[0] : NULL;
}
