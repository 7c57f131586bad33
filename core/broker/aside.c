/*
 * aside: see aside.h. Nearly always there is no file, and then nothing is looked at.
 */
#include "broker/aside.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/store.h"

enum { KEY_SIZE = 20 };

struct aside {
    struct aside *next;
    uint64_t number;
    struct map *ends; /* topic id and partition -> end of what is there of it, an int64_t of its own */
    bool needed;
};

static void make_key(uint8_t key[KEY_SIZE], const struct uuid *topic_id, int32_t partition)
{
    memcpy(key, topic_id->b, sizeof topic_id->b);
    put_be32(key + sizeof topic_id->b, (uint32_t)partition);
}

static int64_t *end_of(const struct map *m, const struct uuid *topic_id, int32_t partition)
{
    uint8_t key[KEY_SIZE];
    make_key(key, topic_id, partition);
    return map_get(m, key, sizeof key);
}

/* Of several the largest stays. */
static int put_end(struct map *m, const struct uuid *topic_id, int32_t partition, int64_t end, struct err *e)
{
    uint8_t key[KEY_SIZE];
    int64_t *known = end_of(m, topic_id, partition);
    if (known) {
        *known = end > *known ? end : *known;
        return ERR_OK;
    }
    if (!(known = mem_dup(&end, sizeof end)))
        return err_nomem(e);
    make_key(key, topic_id, partition);
    int rc = map_put(m, key, sizeof key, known, e);
    if (rc)
        mem_free(known);
    return rc;
}

static void free_ends(struct map *m)
{
    map_free(m, mem_free);
}

static void free_aside(struct aside *a)
{
    free_ends(a->ends);
    mem_free(a);
}

static struct aside *make_aside(uint64_t number, struct err *e)
{
    struct aside *a = mem_calloc(1, sizeof *a);
    if (!a || !(a->ends = map_new())) {
        mem_free(a);
        err_nomem(e);
        return NULL;
    }
    a->number = number;
    a->needed = true;
    return a;
}

static void link_aside(struct disk *d, struct aside *a)
{
    a->next = d->asides;
    d->asides = a;
}

/* A start reads one file after the other. */
int asides_note(struct disk *d, uint64_t number, const struct journal_entry *en, struct err *e)
{
    if (!d->asides || d->asides->number != number) {
        struct aside *a = make_aside(number, e);
        if (!a)
            return e->code;
        link_aside(d, a);
    }
    return put_end(d->asides->ends, &en->topic_id, en->partition, en->next_offset, e);
}

void asides_free(struct disk *d)
{
    for (struct aside *a; (a = d->asides);) {
        d->asides = a->next;
        free_aside(a);
    }
}

/* ---- setting aside ------------------------------------------------------------------------------------------------- */

/* Have the files up to `seal` nothing of it that is not there? A log out of service is appended to no more. */
static bool is_all_there(const struct disk *d, struct partition *p, uint64_t seal)
{
    struct log *log = partition_log(p);
    int64_t end = log ? log_end_offset(log) : p->journaled_end;
    if (p->aside_seal >= seal)
        return true;
    for (const struct aside *a = d->asides; a; a = a->next) {
        const int64_t *there = end_of(a->ends, &p->topic->id, p->index);
        if (there && *there >= end)
            return true;
    }
    return false;
}

/* Never that of one that is there: on disk the journal may have less by now than that was made of. */
static uint64_t next_number(const struct disk *d, uint64_t seal)
{
    uint64_t number = seal;
    for (const struct aside *a = d->asides; a; a = a->next)
        number = a->number >= number ? a->number + 1 : number;
    return number;
}

struct choice {
    struct map *points; /* of those that are set aside: as the ends, the recovery points */
    struct aside *made;
};

static int choose(void *arg, const struct journal_entry *en, bool *copy, struct err *e)
{
    const struct choice *c = arg;
    const int64_t *point = end_of(c->points, &en->topic_id, en->partition);
    *copy = point && en->next_offset > *point;
    return *copy ? put_end(c->made->ends, &en->topic_id, en->partition, en->next_offset, e) : ERR_OK;
}

static void say(const struct disk *d, const struct partition *first, size_t n, uint64_t number)
{
    char others[64] = "";
    if (n > 1)
        snprintf(others, sizeof others, " and %zu other partitions", n - 1);
    diag_warn("broker",
              "%s-%d%s cannot be flushed: what the journal has of that is set aside in %s/journal/%020" PRIu64
              ".aside, for the next start",
              first->topic->name, first->index, others, d->dir, number);
}

/* Those that have something to be copied come first in the list; how many. */
static size_t choose_partitions(const struct disk *d, struct partition **list, size_t n, uint64_t seal)
{
    size_t chosen = 0;
    for (size_t i = 0; i < n; i++) {
        struct partition *p = list[i];
        if (!p->unflushable || is_all_there(d, p, seal))
            continue;
        list[i] = list[chosen];
        list[chosen++] = p;
    }
    return chosen;
}

static int copy_entries(struct disk *d, struct partition **list, size_t n, uint64_t seal, struct choice *c,
                        struct err *e)
{
    bool any = false;
    int rc = ERR_OK;
    for (size_t i = 0; i < n && !rc; i++)
        rc = put_end(c->points, &list[i]->topic->id, list[i]->index, checkpoint_point(list[i]), e);
    if (!rc)
        rc = journal_set_aside(d->journal, seal, c->made->number, choose, c, &any, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++)
        list[i]->aside_seal = seal;
    if (any) {
        say(d, list[0], n, c->made->number);
        link_aside(d, c->made);
        c->made = NULL;
    }
    return ERR_OK;
}

int asides_add(struct disk *d, struct partition **list, size_t n, uint64_t seal, struct err *e)
{
    size_t chosen = choose_partitions(d, list, n, seal);
    if (chosen == 0)
        return ERR_OK;
    struct choice c = {map_new(), make_aside(next_number(d, seal), e)};
    int rc = c.points && c.made ? copy_entries(d, list, chosen, seal, &c, e) : err_nomem(e);
    if (c.points)
        free_ends(c.points);
    if (c.made)
        free_aside(c.made);
    return rc;
}

/* ---- removing ---------------------------------------------------------------------------------------------------------- */

static bool needs(const struct disk *d, struct partition *p, const struct aside *a)
{
    const int64_t *end = p->disk == d ? end_of(a->ends, &p->topic->id, p->index) : NULL;
    return end && checkpoint_point(p) < *end;
}

void asides_judge(struct disk *d, struct partition **list, size_t n)
{
    for (struct aside *a = d->asides; a; a = a->next) {
        a->needed = false;
        for (size_t i = 0; i < n && !a->needed; i++)
            a->needed = needs(d, list[i], a);
    }
}

int asides_drop(struct disk *d, struct err *e)
{
    for (struct aside **at = &d->asides, *a; (a = *at);) {
        if (a->needed) {
            at = &a->next;
            continue;
        }
        int rc = journal_drop_aside(d->journal, a->number, e);
        if (rc)
            return rc;
        *at = a->next;
        free_aside(a);
    }
    return ERR_OK;
}

int asides_drop_all(struct disk *d, struct err *e)
{
    for (struct aside *a = d->asides; a; a = a->next)
        a->needed = false;
    return asides_drop(d, e);
}
