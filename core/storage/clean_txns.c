/*
 * clean_txns: see clean_txns.h.
 */
#include "storage/clean_txns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "storage/producers.h"

/* An open transaction at the place where the walk is. */
struct open_txn {
    struct aborted_txn aborted; /* first_offset -1: this one will be committed */
    bool observed;              /* data of it came by */
};

struct clean_txns {
    struct aborted_txn *expected; /* by first offset; those from `next` on have not begun */
    size_t count, next;
    struct map *open; /* producer id -> struct open_txn */
};

struct clean_txns *clean_txns_new(struct err *e)
{
    struct clean_txns *t = mem_calloc(1, sizeof *t);
    if (t && (t->open = map_new()))
        return t;
    mem_free(t);
    err_nomem(e);
    return NULL;
}

void clean_txns_free(struct clean_txns *t)
{
    if (!t)
        return;
    map_free(t->open, mem_free);
    mem_free(t->expected);
    mem_free(t);
}

static int by_first_offset(const void *a, const void *b)
{
    const struct aborted_txn *x = a, *y = b;
    return x->first_offset < y->first_offset ? -1 : x->first_offset > y->first_offset;
}

int clean_txns_expect(struct clean_txns *t, const struct aborted_txn *list, size_t n, struct err *e)
{
    size_t left = t->count - t->next;
    if (n == 0)
        return ERR_OK;
    struct aborted_txn *all = mem_alloc((left + n) * sizeof *all);
    if (!all)
        return err_nomem(e);
    if (left)
        memcpy(all, t->expected + t->next, left * sizeof *all);
    memcpy(all + left, list, n * sizeof *all);
    qsort(all, left + n, sizeof *all, by_first_offset);
    mem_free(t->expected);
    t->expected = all;
    t->count = left + n;
    t->next = 0;
    return ERR_OK;
}

static struct open_txn *find(const struct clean_txns *t, int64_t producer_id)
{
    return map_get(t->open, &producer_id, sizeof producer_id);
}

static int begin(struct clean_txns *t, int64_t producer_id, const struct aborted_txn *aborted,
                 struct open_txn **out, struct err *e)
{
    struct open_txn *o = mem_calloc(1, sizeof *o);
    if (!o)
        return err_nomem(e);
    o->aborted = aborted ? *aborted : (struct aborted_txn){.producer_id = producer_id, .first_offset = -1};
    int rc = map_put(t->open, &producer_id, sizeof producer_id, o, e);
    if (rc)
        mem_free(o);
    else if (out)
        *out = o;
    return rc;
}

/* Aborted transactions that begin at or before `offset`. */
static int begin_up_to(struct clean_txns *t, int64_t offset, struct err *e)
{
    int rc = ERR_OK;
    for (; rc == ERR_OK && t->next < t->count && t->expected[t->next].first_offset <= offset; t->next++) {
        const struct aborted_txn *a = &t->expected[t->next];
        if (!find(t, a->producer_id))
            rc = begin(t, a->producer_id, a, NULL, e);
    }
    return rc;
}

int clean_txns_data(struct clean_txns *t, const struct batch_header *h, bool *aborted, struct err *e)
{
    *aborted = false;
    int rc = begin_up_to(t, batch_last_offset(h), e);
    if (rc || !(h->attributes & BATCH_TRANSACTIONAL))
        return rc;
    struct open_txn *o = find(t, h->producer_id);
    if (!o)
        rc = begin(t, h->producer_id, NULL, &o, e);
    if (rc)
        return rc;
    o->observed = true;
    *aborted = o->aborted.first_offset >= 0;
    return ERR_OK;
}

static int keep_aborted(struct segment *index, const struct aborted_txn *a, struct err *e)
{
    const struct txn_end end = {.producer_id = a->producer_id,
                                .first_offset = a->first_offset,
                                .last_offset = a->last_offset,
                                .aborted = true,
                                .last_stable_offset = a->last_stable_offset};
    int rc = txnindex_write(index, 0, &end, e);
    if (rc == ERR_OK)
        txnindex_publish(index, index->txn_entries + 1);
    return rc;
}

int clean_txns_marker(struct clean_txns *t, const struct batch_header *h, const void *data,
                      struct segment *index, bool *unneeded, struct err *e)
{
    int16_t type = MARKER_COMMIT;
    int32_t epoch;
    *unneeded = true;
    int rc = begin_up_to(t, batch_last_offset(h), e);
    if (rc == ERR_OK && h->record_count > 0)
        rc = marker_decode(data, batch_size(h), &type, &epoch, e);
    if (rc || h->record_count == 0)
        return rc; /* one without a record was emptied before: its data is long gone */
    if (type != MARKER_ABORT && type != MARKER_COMMIT) {
        *unneeded = false; /* none of a transaction */
        return ERR_OK;
    }
    struct open_txn *o = find(t, h->producer_id);
    bool aborted = o && o->aborted.first_offset >= 0, observed = o && o->observed;
    if (observed && aborted != (type == MARKER_ABORT))
        return err_set(e, ERR_CORRUPT,
                       "the marker at offset %" PRId64
                       " does not end its transaction as the transaction index says",
                       h->base_offset);
    *unneeded = !observed;
    if (observed && aborted && index)
        rc = keep_aborted(index, &o->aborted, e);
    if (rc == ERR_OK)
        mem_free(map_remove(t->open, &h->producer_id, sizeof h->producer_id));
    return rc;
}
