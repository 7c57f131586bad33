/*
 * producers: checks and effects of batches with a producer id. See producers.h. Rules: KIP-98, KIP-360, and what Kafka
 * 4.3.1 was seen to do (contract sheet, section 3).
 */
#include "storage/producers_internal.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"

struct txn {
    int64_t producer_id;
    int64_t first_offset;
    int64_t last_offset;        /* of the marker, -1: open */
    struct txn *before, *after; /* by first offset */
    struct txn *next_done;      /* by marker */
};

struct producers {
    struct map *map; /* id (8 bytes in host order) -> struct producer; made with the first producer */
    struct txn *first, *last;
    struct txn *done_first, *done_last;
    struct txn *spare; /* made by a check, taken by apply */
};

struct producers *producers_new(void)
{
    return mem_calloc(1, sizeof(struct producers));
}

void producers_clear(struct producers *p)
{
    map_free(p->map, mem_free);
    while (p->first) {
        struct txn *t = p->first;
        p->first = t->after;
        mem_free(t);
    }
    mem_free(p->spare);
    *p = (struct producers){0};
}

void producers_free(struct producers *p)
{
    if (!p)
        return;
    producers_clear(p);
    mem_free(p);
}

size_t producers_count(const struct producers *p)
{
    return p->map ? map_count(p->map) : 0;
}

struct producer *producers_find(const struct producers *p, int64_t id)
{
    return p->map ? map_get(p->map, &id, sizeof id) : NULL;
}

/* Finds or makes the producer, so that apply need not allocate. */
static int ensure(struct producers *p, int64_t id, struct producer **out, struct err *e)
{
    *out = producers_find(p, id);
    if (*out)
        return ERR_OK;
    if (!p->map && !(p->map = map_new()))
        return err_nomem(e);
    struct producer *made = mem_calloc(1, sizeof *made);
    if (!made)
        return err_nomem(e);
    *made = (struct producer){
        .id = id, .epoch = -1, .coordinator_epoch = -1, .last_timestamp = -1, .fresh = true};
    int rc = map_put(p->map, &id, sizeof id, made, e);
    if (rc) {
        mem_free(made);
        return rc;
    }
    *out = made;
    return ERR_OK;
}

/* After a check that failed: as if the producer had never been asked for. */
static void forget_fresh(struct producers *p, const struct producer *pr)
{
    int64_t id = pr->id;
    if (pr->fresh)
        mem_free(map_remove(p->map, &id, sizeof id));
}

/* ---- data ---- */

static int32_t sequence_after(int32_t sequence)
{
    return sequence == INT32_MAX ? 0 : sequence + 1;
}

/* Sequence of the batch's last record; numbers go from INT32_MAX to 0. */
static int32_t last_sequence(const struct batch_header *h)
{
    int64_t last = (int64_t)h->base_sequence + h->last_offset_delta;
    return (int32_t)(last > INT32_MAX ? last - INT32_MAX - 1 : last);
}

static int32_t first_sequence(const struct producer_batch *b)
{
    int64_t first = (int64_t)b->last_sequence - b->offset_delta;
    return (int32_t)(first < 0 ? first + INT32_MAX + 1 : first);
}

static const struct producer_batch *find_duplicate(const struct producer *pr, const struct batch_header *h)
{
    if (pr->epoch != h->producer_epoch)
        return NULL;
    for (int i = 0; i < pr->count; i++)
        if (pr->batches[i].last_sequence == last_sequence(h) &&
            first_sequence(&pr->batches[i]) == h->base_sequence)
            return &pr->batches[i];
    return NULL;
}

static int check_sequence(const struct producer *pr, const struct batch_header *h, enum producer_check check,
                          struct err *e)
{
    if (pr->epoch == -1 && check != PRODUCER_FROM_ZERO)
        return ERR_OK; /* nothing known, perhaps expired: any sequence is accepted */
    int32_t expected = 0;
    if (pr->epoch == h->producer_epoch && pr->count)
        expected = sequence_after(pr->batches[pr->count - 1].last_sequence);
    if (h->base_sequence == expected)
        return ERR_OK;
    return err_set(e, ERR_OUT_OF_ORDER_SEQUENCE, "producer %lld epoch %d sent sequence %d, %d is next",
                   (long long)pr->id, h->producer_epoch, h->base_sequence, expected);
}

static int check_epoch(const struct producer *pr, int16_t epoch, struct err *e)
{
    if (epoch >= pr->epoch)
        return ERR_OK;
    return err_set(e, ERR_INVALID_PRODUCER_EPOCH, "producer %lld sent with epoch %d, the current one is %d",
                   (long long)pr->id, epoch, pr->epoch);
}

static int ensure_txn(struct producers *p, struct err *e)
{
    if (!p->spare && !(p->spare = mem_calloc(1, sizeof *p->spare)))
        return err_nomem(e);
    return ERR_OK;
}

int producers_check_data(struct producers *p, const struct batch_header *h, enum producer_check check,
                         const struct producer_batch **duplicate, struct err *e)
{
    struct producer *pr;
    *duplicate = NULL;
    int rc = ensure(p, h->producer_id, &pr, e);
    if (rc)
        return rc;
    if (check >= PRODUCER_STRICT) {
        *duplicate = find_duplicate(pr, h);
        if (*duplicate)
            return ERR_OK;
    }
    if (check != PRODUCER_TRUST)
        rc = check_epoch(pr, h->producer_epoch, e);
    if (rc == ERR_OK && check >= PRODUCER_STRICT)
        rc = check_sequence(pr, h, check, e);
    if (rc == ERR_OK && check >= PRODUCER_STRICT && pr->txn && !(h->attributes & BATCH_TRANSACTIONAL))
        rc = err_set(e, ERR_INVALID_TXN_STATE,
                     "producer %lld has an open transaction and sent a batch outside of it",
                     (long long)pr->id);
    if (rc == ERR_OK && (h->attributes & BATCH_TRANSACTIONAL))
        rc = ensure_txn(p, e);
    if (rc)
        forget_fresh(p, pr);
    return rc;
}

static void start_txn(struct producers *p, struct producer *pr, int64_t first_offset)
{
    struct txn *t = p->spare;
    p->spare = NULL;
    *t = (struct txn){
        .producer_id = pr->id, .first_offset = first_offset, .last_offset = -1, .before = p->last};
    if (p->last)
        p->last->after = t;
    else
        p->first = t;
    p->last = t;
    pr->txn = t;
}

void producers_apply_data(struct producers *p, const struct batch_header *h, struct producer_undo *undo)
{
    struct producer *pr = producers_find(p, h->producer_id);
    if (undo)
        undo->before = *pr;
    pr->fresh = false;
    if (pr->epoch != h->producer_epoch) {
        pr->epoch = h->producer_epoch;
        pr->count = 0;
    }
    if (pr->count == PRODUCER_BATCHES)
        memmove(pr->batches, pr->batches + 1, --pr->count * sizeof *pr->batches);
    pr->batches[pr->count++] = (struct producer_batch){
        .last_sequence = last_sequence(h),
        .offset_delta = h->last_offset_delta,
        .last_offset = batch_last_offset(h),
        .timestamp = h->max_timestamp,
    };
    pr->last_timestamp = h->max_timestamp;
    if ((h->attributes & BATCH_TRANSACTIONAL) && !pr->txn)
        start_txn(p, pr, h->base_offset);
}

/* ---- markers ---- */

static int check_marker_epochs(const struct producer *pr, int16_t epoch, int32_t coordinator_epoch,
                               enum producer_check check, struct err *e)
{
    if (check < PRODUCER_ASKED)
        return ERR_OK;
    if (check == PRODUCER_BUMPED && pr->txn && epoch == pr->epoch)
        return err_set(e, ERR_INVALID_PRODUCER_EPOCH,
                       "a marker for producer %lld has epoch %d, which is that of its open transaction",
                       (long long)pr->id, epoch);
    int rc = check_epoch(pr, epoch, e);
    if (rc == ERR_OK && coordinator_epoch < pr->coordinator_epoch)
        rc = err_set(e, ERR_COORDINATOR_FENCED,
                     "the marker for producer %lld comes from coordinator epoch %d, %d was seen",
                     (long long)pr->id, coordinator_epoch, pr->coordinator_epoch);
    return rc;
}

int producers_check_marker(struct producers *p, const struct batch_header *h, int16_t type,
                           int32_t coordinator_epoch, enum producer_check check, struct txn_end *end,
                           struct err *e)
{
    struct producer *pr;
    int rc = ensure(p, h->producer_id, &pr, e);
    if (rc)
        return rc;
    rc = check_marker_epochs(pr, h->producer_epoch, coordinator_epoch, check, e);
    if (rc) {
        forget_fresh(p, pr);
        return rc;
    }
    *end = (struct txn_end){
        .producer_id = pr->id,
        .first_offset = pr->txn ? pr->txn->first_offset : -1,
        .last_offset = batch_last_offset(h),
        .aborted = type == MARKER_ABORT,
    };
    /* Kafka stores the last stable offset as it is once this transaction is complete. */
    const struct txn *oldest = p->first;
    while (oldest && (oldest == pr->txn || oldest->last_offset >= 0))
        oldest = oldest->after;
    end->last_stable_offset = oldest ? oldest->first_offset : end->last_offset + 1;
    return ERR_OK;
}

void producers_apply_marker(struct producers *p, const struct batch_header *h, int32_t coordinator_epoch,
                            struct producer_undo *undo)
{
    struct producer *pr = producers_find(p, h->producer_id);
    if (undo)
        undo->before = *pr;
    pr->fresh = false;
    if (pr->epoch < h->producer_epoch) {
        pr->epoch = h->producer_epoch;
        pr->count = 0;
    }
    if (pr->coordinator_epoch < coordinator_epoch)
        pr->coordinator_epoch = coordinator_epoch;
    pr->last_timestamp = h->max_timestamp;
    struct txn *t = pr->txn;
    if (!t)
        return;
    pr->txn = NULL;
    t->last_offset = batch_last_offset(h);
    if (p->done_last)
        p->done_last->next_done = t;
    else
        p->done_first = t;
    p->done_last = t;
}

static void unlink_txn(struct producers *p, struct txn *t)
{
    *(t->before ? &t->before->after : &p->first) = t->after;
    *(t->after ? &t->after->before : &p->last) = t->before;
    mem_free(t);
}

/* Takes the newest completed transaction out of the queue; it is open again. */
static void reopen_newest_done(struct producers *p)
{
    struct txn *before = NULL;
    for (struct txn *t = p->done_first; t != p->done_last; t = t->next_done)
        before = t;
    p->done_last->last_offset = -1;
    *(before ? &before->next_done : &p->done_first) = NULL;
    p->done_last = before;
}

void producers_undo(struct producers *p, const struct producer_undo *undo)
{
    struct producer *pr = producers_find(p, undo->before.id);
    if (pr->txn && !undo->before.txn)
        unlink_txn(p, pr->txn);
    else if (!pr->txn && undo->before.txn)
        reopen_newest_done(p);
    *pr = undo->before;
    forget_fresh(p, pr);
}

int64_t producers_first_unstable(const struct producers *p)
{
    return p->first ? p->first->first_offset : -1;
}

void producers_settle(struct producers *p, int64_t high_watermark)
{
    while (p->done_first && p->done_first->last_offset < high_watermark) {
        struct txn *t = p->done_first;
        p->done_first = t->next_done;
        if (!p->done_first)
            p->done_last = NULL;
        unlink_txn(p, t);
    }
}

/* ---- upkeep ---- */

void producers_expire(struct producers *p, int64_t now_ms, int64_t expiration_ms)
{
    size_t count = producers_count(p), expired = 0;
    int64_t *ids = count ? mem_alloc(count * sizeof *ids) : NULL;
    if (!ids)
        return; /* none, or no memory now: the next round does it */
    size_t pos = 0, n;
    const void *key;
    void *value;
    while (map_next(p->map, &pos, &key, &n, &value)) {
        const struct producer *pr = value;
        if (!pr->txn && pr->last_timestamp <= now_ms - expiration_ms)
            ids[expired++] = pr->id;
    }
    for (size_t i = 0; i < expired; i++)
        mem_free(map_remove(p->map, &ids[i], sizeof ids[i]));
    mem_free(ids);
}

int producers_list(const struct producers *p, struct producer_info **list, size_t *n, struct err *e)
{
    *list = NULL;
    *n = 0;
    size_t count = producers_count(p);
    if (count == 0)
        return ERR_OK;
    *list = mem_calloc(count, sizeof **list);
    if (!*list)
        return err_nomem(e);
    size_t pos = 0, key_size;
    const void *key;
    void *value;
    while (map_next(p->map, &pos, &key, &key_size, &value)) {
        const struct producer *pr = value;
        const struct producer_batch *b = pr->count ? &pr->batches[pr->count - 1] : NULL;
        (*list)[(*n)++] = (struct producer_info){
            .id = pr->id,
            .epoch = pr->epoch,
            .last_sequence = b ? b->last_sequence : -1,
            .last_offset = b ? b->last_offset : -1,
            .last_timestamp = pr->last_timestamp,
            .coordinator_epoch = pr->coordinator_epoch,
            .txn_first_offset = pr->txn ? pr->txn->first_offset : -1,
        };
    }
    return ERR_OK;
}

/* ---- for snapshots ---- */

int producers_add(struct producers *p, const struct producer_info *info, const struct producer_batch *batch,
                  struct err *e)
{
    struct producer *pr;
    int rc = ensure(p, info->id, &pr, e);
    if (rc)
        return rc;
    pr->fresh = false;
    pr->epoch = info->epoch;
    pr->coordinator_epoch = info->coordinator_epoch;
    pr->last_timestamp = info->last_timestamp;
    if (batch)
        pr->batches[pr->count++] = *batch;
    return ERR_OK;
}

int producers_reopen_txn(struct producers *p, int64_t id, int64_t first_offset, struct err *e)
{
    int rc = ensure_txn(p, e);
    if (rc == ERR_OK)
        start_txn(p, producers_find(p, id), first_offset);
    return rc;
}
