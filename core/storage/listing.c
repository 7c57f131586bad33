/*
 * listing: see listing.h. No state.
 */
#include "storage/listing.h"

#include <stdlib.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "storage/paths.h"

/* In the order of their bits. */
static const char *const suffixes[] = {LOG_SUFFIX, INDEX_SUFFIX, TIME_SUFFIX, TXN_SUFFIX, SNAPSHOT_SUFFIX};
enum { SUFFIXES = sizeof suffixes / sizeof suffixes[0] };

struct reading {
    struct listing *l;
    listing_other *other;
    void *arg;
};

const char *listing_index_suffix(unsigned k)
{
    return suffixes[1 + k];
}

static int add(struct listing *l, int64_t base, unsigned has, struct err *e)
{
    if ((l->n & (l->n - 1)) == 0) { /* full at powers of two */
        struct listed *list = mem_realloc_array(l->list, l->n ? l->n * 2 : 1, sizeof *list);
        if (!list)
            return err_nomem(e);
        l->list = list;
    }
    l->list[l->n++] = (struct listed){base, has};
    return ERR_OK;
}

static int see_name(void *arg, const char *name, struct err *e)
{
    struct reading *r = arg;
    int64_t base;
    const char *suffix;
    if (!storage_name_parse(name, &base, &suffix))
        return r->other(r->arg, name, NULL, e);
    for (unsigned k = 0; k < SUFFIXES; k++)
        if (strcmp(suffix, suffixes[k]) == 0)
            return add(r->l, base, 1u << k, e);
    return r->other(r->arg, name, suffix, e);
}

static int by_base(const void *a, const void *b)
{
    const struct listed *x = a, *y = b;
    return x->base < y->base ? -1 : x->base > y->base;
}

/* One entry an offset. */
static void merge(struct listing *l)
{
    size_t n = 0;
    if (l->n)
        qsort(l->list, l->n, sizeof *l->list, by_base);
    for (size_t i = 0; i < l->n; i++) {
        if (n && l->list[n - 1].base == l->list[i].base)
            l->list[n - 1].has |= l->list[i].has;
        else
            l->list[n++] = l->list[i];
    }
    l->n = n;
}

int listing_read(struct listing *l, const char *dir, listing_other *other, void *arg, struct err *e)
{
    struct reading r = {l, other, arg};
    *l = (struct listing){0};
    int rc = io_list(dir, see_name, &r, e);
    if (rc)
        listing_free(l);
    merge(l);
    return rc;
}

void listing_free(struct listing *l)
{
    mem_free(l->list);
    *l = (struct listing){0};
}
