/*
 * epochs: see epochs.h.
 */
#include "storage/epochs.h"

#include <string.h>

#include "base/mem.h"

void epochs_free(struct epochs *c)
{
    mem_free(c->list);
    *c = (struct epochs){0};
}

int epochs_reserve(struct epochs *c, size_t extra, struct err *e)
{
    if (c->count + extra <= c->cap)
        return ERR_OK;
    size_t cap = c->count + extra;
    struct epoch_entry *list = mem_realloc_array(c->list, cap, sizeof *list);
    if (!list)
        return err_nomem(e);
    c->list = list;
    c->cap = cap;
    return ERR_OK;
}

int32_t epochs_latest(const struct epochs *c)
{
    return c->count ? c->list[c->count - 1].epoch : -1;
}

int32_t epochs_at(const struct epochs *c, int64_t offset)
{
    size_t after = 0;
    while (after < c->count && c->list[after].start <= offset)
        after++;
    return after ? c->list[after - 1].epoch : -1;
}

void epochs_assign(struct epochs *c, int32_t epoch, int64_t offset)
{
    if (epoch <= epochs_latest(c))
        return;
    /* An epoch that wrote nothing gives way to the one that does. */
    while (c->count && c->list[c->count - 1].start >= offset)
        c->count--;
    c->list[c->count++] = (struct epoch_entry){epoch, offset};
    c->dirty = true;
}

void epochs_truncate_from_end(struct epochs *c, int64_t end)
{
    while (c->count && c->list[c->count - 1].start >= end) {
        c->count--;
        c->dirty = true;
    }
}

void epochs_truncate_from_start(struct epochs *c, int64_t start)
{
    size_t drop = 0;
    while (drop + 1 < c->count && c->list[drop + 1].start <= start)
        drop++;
    if (drop) {
        memmove(c->list, c->list + drop, (c->count - drop) * sizeof *c->list);
        c->count -= drop;
        c->dirty = true;
    }
    if (c->count && c->list[0].start < start) {
        c->list[0].start = start;
        c->dirty = true;
    }
}

void epochs_end_of(const struct epochs *c, int32_t epoch, int64_t log_end, int32_t *found, int64_t *end)
{
    *found = -1;
    *end = -1;
    if (epoch == -1 || c->count == 0 || epoch > epochs_latest(c))
        return;
    size_t after = 0; /* the first larger epoch */
    while (after < c->count && c->list[after].epoch <= epoch)
        after++;
    *end = after < c->count ? c->list[after].start : log_end;
    /* Asked for one before the first: it ended where the first began. */
    *found = after ? c->list[after - 1].epoch : epoch;
}
