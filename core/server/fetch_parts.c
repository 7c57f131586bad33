/*
 * fetch_parts: see fetch_parts.h. A list, and beside it a table with linear probing and backward-shift deletion, at most half full.
 */
#include "server/fetch_parts.h"

#include <string.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"

#define FEW 8

uint64_t fetch_hash_topic(const uint8_t secret[16], const char *name, const struct uuid *id)
{
    return name[0] != '\0' ? siphash13(secret, name, strlen(name)) : siphash13(secret, id->b, sizeof id->b);
}

uint64_t fetch_hash_part(const uint8_t secret[16], const struct fetch_topic *topic, int32_t partition)
{
    uint8_t key[12];
    memcpy(key, &topic->hash, sizeof topic->hash);
    put_be32(key + 8, (uint32_t)partition);
    return siphash13(secret, key, sizeof key);
}

static bool is_same(const struct fetch_part *a, const struct fetch_part *b)
{
    return a->hash == b->hash && a->partition == b->partition &&
           (a->topic == b->topic || (memcmp(&a->topic->id, &b->topic->id, sizeof a->topic->id) == 0 &&
                                     strcmp(a->topic->name, b->topic->name) == 0));
}

/* The slot of `key`, or the free one where it would go. */
static size_t slot_of(const struct fetch_parts *s, const struct fetch_part *key)
{
    size_t i = key->hash & (s->size - 1);
    while (s->slots[i] != NULL && !is_same(s->slots[i], key))
        i = (i + 1) & (s->size - 1);
    return i;
}

int fetch_parts_reserve(struct fetch_parts *s, size_t n, struct err *e)
{
    size_t size = s->size > 0 ? s->size : 2 * FEW;
    if (n <= FEW && s->slots == NULL)
        return ERR_OK;
    while (size < 2 * n)
        size *= 2;
    if (size == s->size)
        return ERR_OK;
    struct fetch_part **slots = mem_calloc(size, sizeof *slots);
    if (slots == NULL)
        return err_nomem(e);
    mem_free(s->slots);
    s->slots = slots;
    s->size = size;
    for (struct fetch_part *p = s->first; p != NULL; p = p->next)
        slots[slot_of(s, p)] = p;
    return ERR_OK;
}

void fetch_parts_drop_table(struct fetch_parts *s)
{
    mem_free(s->slots);
    s->slots = NULL;
    s->size = 0;
}

struct fetch_part *fetch_parts_find(const struct fetch_parts *s, const struct fetch_part *key)
{
    if (s->slots != NULL)
        return s->slots[slot_of(s, key)];
    struct fetch_part *p = s->first;
    while (p != NULL && !is_same(p, key))
        p = p->next;
    return p;
}

static void link_last(struct fetch_parts *s, struct fetch_part *p)
{
    p->next = NULL;
    p->before = s->last;
    *(s->last != NULL ? &s->last->next : &s->first) = p;
    s->last = p;
}

static void unlink_part(struct fetch_parts *s, struct fetch_part *p)
{
    *(p->before != NULL ? &p->before->next : &s->first) = p->next;
    *(p->next != NULL ? &p->next->before : &s->last) = p->before;
}

void fetch_parts_add(struct fetch_parts *s, struct fetch_part *p)
{
    if (s->slots != NULL)
        s->slots[slot_of(s, p)] = p;
    link_last(s, p);
    s->n++;
}

void fetch_parts_remove(struct fetch_parts *s, struct fetch_part *p)
{
    unlink_part(s, p);
    s->n--;
    if (s->slots == NULL)
        return;
    size_t mask = s->size - 1, hole = slot_of(s, p);
    s->slots[hole] = NULL;
    for (size_t i = (hole + 1) & mask; s->slots[i] != NULL; i = (i + 1) & mask) {
        size_t home = s->slots[i]->hash & mask;
        if (((i - home) & mask) < ((i - hole) & mask)) /* its home lies behind the hole */
            continue;
        s->slots[hole] = s->slots[i];
        s->slots[i] = NULL;
        hole = i;
    }
}

void fetch_parts_to_end(struct fetch_parts *s, struct fetch_part *p)
{
    unlink_part(s, p);
    link_last(s, p);
}
