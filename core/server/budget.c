/*
 * budget: the memory that requests take between being read and being answered, all connections together. Any thread.
 *
 * A request's memory grows with what came of it, so an announced length costs nothing. Whoever comes while less than the limit is
 * taken gets what it asks for; who comes later is not read until others have given back. As that could keep requests of which only a
 * part came waiting for each other, one of them at a time may go beyond the limit; and whoever has some must go on sending while others
 * wait (loop.c).
 */
#include "server/internal.h"

bool budget_take(struct server *s, size_t bytes)
{
    if (atomic_load(&s->queued) >= s->o.queued_max_bytes)
        return false;
    atomic_fetch_add(&s->queued, (int64_t)bytes);
    return true;
}

bool budget_take_more(struct conn *c, size_t bytes)
{
    struct server *s = c->loop->server;
    const struct conn *nobody = NULL;
    if (budget_take(s, bytes))
        return true;
    if (atomic_load(&s->exceeding) != c && !atomic_compare_exchange_strong(&s->exceeding, &nobody, c))
        return false;
    atomic_fetch_add(&s->queued, (int64_t)bytes);
    return true;
}

void budget_within(struct conn *c)
{
    const struct conn *self = c;
    atomic_compare_exchange_strong(&c->loop->server->exceeding, &self, NULL);
}

void budget_give(struct server *s, size_t bytes)
{
    int64_t before = atomic_fetch_sub(&s->queued, (int64_t)bytes);
    bool opens = before >= s->o.queued_max_bytes && before - (int64_t)bytes < s->o.queued_max_bytes;
    if (opens && atomic_load(&s->stalled) > 0)
        for (int32_t i = 0; i < s->loop_count; i++)
            loop_wake(&s->loops[i]);
}
