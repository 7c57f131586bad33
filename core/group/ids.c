/*
 * ids: whom a group knows, by id: a table of chains, whose links are their owners'. Under the lock of the group's shard.
 */
#include <assert.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "group/internal.h"

#define FEW 8

static struct id_link **slot_of(struct ids *ids, uint64_t hash)
{
    return ids->size > 0 ? &ids->slots[hash & (ids->size - 1)] : &ids->only;
}

static void put(struct ids *ids, struct id_link *l)
{
    struct id_link **slot = slot_of(ids, l->hash);
    l->next = *slot;
    *slot = l;
}

/* Without memory the chains become longer. */
static void grow(struct ids *ids)
{
    struct ids old = *ids;
    size_t size = old.size > 0 ? old.size * 2 : 2 * FEW;
    struct id_link **slots = mem_calloc(size, sizeof *slots);
    if (slots == NULL)
        return;
    ids->slots = slots;
    ids->size = size;
    ids->only = NULL;
    for (size_t i = 0; i < (old.size > 0 ? old.size : 1); i++)
        for (struct id_link *l = old.size > 0 ? old.slots[i] : old.only, *next; l != NULL; l = next) {
            next = l->next;
            put(ids, l);
        }
    mem_free(old.slots);
}

void ids_add(struct ids *ids, struct id_link *l, enum id_kind kind, const char *id)
{
    size_t n = strlen(id);
    *l = (struct id_link){.id = id, .n = n, .hash = siphash13(ids->secret, id, n), .kind = kind};
    if (++ids->count > (ids->size > 0 ? ids->size : FEW))
        grow(ids);
    put(ids, l);
}

void ids_remove(struct ids *ids, struct id_link *l)
{
    struct id_link **at = slot_of(ids, l->hash);
    while (*at != l) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = l->next;
    if (--ids->count == 0)
        ids_clear(ids);
}

struct id_link *ids_find(const struct ids *ids, enum id_kind kind, struct msg_string id)
{
    if (id.n < 0 || ids->count == 0)
        return NULL;
    size_t n = (size_t)id.n;
    const char *p = n > 0 ? id.p : "";
    uint64_t hash = siphash13(ids->secret, p, n);
    struct id_link *l = ids->size > 0 ? ids->slots[hash & (ids->size - 1)] : ids->only;
    while (l != NULL && !(l->hash == hash && l->kind == kind && l->n == n && memcmp(l->id, p, n) == 0))
        l = l->next;
    return l;
}

void ids_clear(struct ids *ids)
{
    mem_free(ids->slots);
    ids->slots = NULL;
    ids->only = NULL;
    ids->size = ids->count = 0;
}
