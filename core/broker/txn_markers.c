/*
 * txn_markers: markers that somebody asks for, partition by partition (Kafka's WriteTxnMarkers, KIP-664), past the coordinator: how an
 * administrator ends a transaction that hangs. The coordinator's own state stays as it is. Runs in the caller's thread, which waits for a sync.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/open_files.h"
#include "broker/transactions.h"
#include "broker/txn.h"

enum { MARKER_BYTES = 128 }; /* a marker's batch has 78 */

struct writing {
    struct commit_wait wait;
    struct broker *b;
    const struct marker_request *q;
    struct txn *t; /* of the producer; NULL: the coordinator knows none */
    struct buf marker;
    struct append *appends; /* one a target */
    uint8_t *bytes;
    struct offset_change *offsets; /* that it settles */
};

/*
 * Of the transaction's pending offsets those in this partition: their fate is the marker's. (Those that a start found and no coordinator
 * knows are shown at the next start, if it commits.)
 */
static void take_offsets(struct writing *w, const struct partition *p)
{
    struct offset_change **at = &w->t->offsets, **last = &w->offsets;
    while (*last)
        last = &(*last)->next;
    while (*at) {
        struct offset_change *c = *at;
        if (kafka_coordinator_partition(offsets_group_name(c), p->topic->count) != p->index) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        c->next = NULL;
        *last = c;
        last = &c->next;
    }
}

static int append_one(struct writing *w, size_t i, struct err *e)
{
    const struct marker_target *target = &w->q->targets[i];
    struct append *a = &w->appends[i];
    uint8_t *at = w->bytes + i * MARKER_BYTES;
    struct partition *p;
    int rc = topic_acquire(w->b, target->topic, target->partition, &p, e);
    if (rc)
        return rc;
    memcpy(at, w->marker.data, w->marker.len);
    size_t room = append_prepare(a, p, at, w->marker.len, w->q->bumped ? LOG_FROM_ADMIN_V2 : LOG_FROM_ADMIN);
    if (room)
        rc = disk_reserve(p->disk, room, COMMIT_COORDINATOR, e);
    if (w->t) /* its data and its end wait until the marker has its place */
        pthread_mutex_lock(&w->t->lock);
    if (!rc)
        rc = group_append(w->b, a, 1, room, &w->wait.op, e);
    if (!rc && w->t && strcmp(target->topic, OFFSETS_TOPIC) == 0)
        take_offsets(w, p);
    if (w->t)
        pthread_mutex_unlock(&w->t->lock);
    if (rc)
        partition_release(&w->b->topics, p);
    return rc;
}

/* Offsets are shown once the marker is durable; after an error a start will tell. */
static void settle_offsets(struct writing *w, int failed)
{
    if (w->q->commit && !failed)
        offsets_apply(w->b, w->offsets);
    else
        offsets_drop(w->b, w->offsets);
}

static int begin(struct writing *w, struct err *e)
{
    const struct marker_request *q = w->q;
    int rc = q->producer_id < 0 || q->epoch < 0
                 ? err_set(e, ERR_INTERNAL, "a marker of producer %lld and epoch %d",
                           (long long)q->producer_id, q->epoch)
                 : marker_build(&w->marker, q->producer_id, q->epoch, q->commit, q->coordinator_epoch,
                                clock_wall_ms(), e);
    if (rc)
        return rc;
    w->appends = mem_calloc(q->n + 1, sizeof *w->appends);
    w->bytes = mem_calloc(q->n + 1, MARKER_BYTES);
    return w->appends && w->bytes ? ERR_OK : err_nomem(e);
}

static void write_all(struct writing *w)
{
    struct marker_target *targets = w->q->targets;
    struct err failed;
    open_files_make_room(w->b);
    w->t = txn_find_producer(w->b, w->q->producer_id);
    commit_wait_init(&w->wait);
    for (size_t i = 0; i < w->q->n; i++) {
        struct err e;
        err_clear(&targets[i].error);
        if (append_one(w, i, &e))
            targets[i].error = e;
    }
    for (size_t i = 0; i < w->q->n; i++) {
        struct err e;
        if (!targets[i].error.code && group_flush(w->b, &w->appends[i], 1, &e))
            targets[i].error = e;
    }
    int rc = commit_wait_for(&w->wait, &failed);
    for (size_t i = 0; i < w->q->n; i++)
        if (!targets[i].error.code && w->appends[i].item.failed)
            targets[i].error = failed;
    settle_offsets(w, rc);
    if (w->t)
        txn_put(w->t);
}

void broker_write_markers(struct broker *b, const struct marker_request *q)
{
    struct writing w = {.b = b, .q = q};
    struct err e;
    buf_init(&w.marker, MARKER_BYTES);
    if (begin(&w, &e) == ERR_OK)
        write_all(&w);
    else
        for (size_t i = 0; i < q->n; i++)
            q->targets[i].error = e;
    buf_free(&w.marker);
    mem_free(w.bytes);
    mem_free(w.appends);
}
