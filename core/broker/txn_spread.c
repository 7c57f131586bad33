/*
 * txn_spread: the end of a transaction whose partitions lie in several data directories, each with a journal of its own. No
 * sync covers them all, so this is Kafka's own protocol:
 *
 *   1. what the transaction has appended is durable, in every directory;
 *   2. the state PrepareCommit or PrepareAbort, with the partitions, is durable in the main one: this decides;
 *   3. the markers are durable, those of each directory as one group;
 *   4. the state CompleteCommit or CompleteAbort is durable.
 *
 * A start that reads a Prepare state goes on with 3. From 1 to the end of 4 the transaction is `ending`: everybody else gets
 * CONCURRENT_TRANSACTIONS, as the next transaction's data must not be in a log when a marker of this one is written anew. A
 * marker that cannot be written leaves the Prepare state, and no other is kept back by it: upkeep tries again, or the next start
 * if its directory or its log is out of service. Where everything lies in the main directory none of this is used: one group, one sync.
 *
 * Runs in the caller's thread, which waits without any lock.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/txn.h"
#include "broker/upkeep.h"

enum { MARKER_BYTES = 128 }; /* a marker's batch has 78 */

/* ---- which ones ---------------------------------------------------------------------------------------------------- */

static bool is_elsewhere(struct broker *b, const char *topic, int32_t partition)
{
    struct partition *p;
    struct err gone;
    if (topic_acquire(b, topic, partition, &p, &gone))
        return false;
    bool elsewhere = p->disk->index != 0;
    partition_release(&b->topics, p);
    return elsewhere;
}

bool txn_spreads(struct broker *b, struct txn *t, const struct produce_request *requests, size_t n)
{
    bool spreads = false;
    if (b->disk_count == 1)
        return false;
    for (size_t i = 0; !spreads && i < n; i++)
        spreads = is_elsewhere(b, requests[i].topic, requests[i].partition);
    pthread_mutex_lock(&t->lock);
    for (size_t i = 0; !spreads && i < t->parts.n; i++)
        spreads = is_elsewhere(b, t->parts.list[i].topic, t->parts.list[i].partition);
    pthread_mutex_unlock(&t->lock);
    return spreads;
}

bool txn_is_prepared(enum txn_state s)
{
    return s == TXN_PREPARE_COMMIT || s == TXN_PREPARE_ABORT || s == TXN_PREPARE_EPOCH_FENCE;
}

int txn_check_ended(const struct txn *t, struct err *e)
{
    if (t->ending || txn_is_prepared(t->state))
        return err_set(e, ERR_CONCURRENT_TRANSACTIONS,
                       "transactional id %s: its last transaction is still being ended (%s)", t->id,
                       txn_state_name(t->state));
    return ERR_OK;
}

static void set_ending(struct txn *t, bool ending)
{
    pthread_mutex_lock(&t->lock);
    t->ending = ending;
    pthread_mutex_unlock(&t->lock);
}

/* ---- 1: the data ---------------------------------------------------------------------------------------------------- */

/* One place in the order of each disk's stage is enough: all that was staged before it is durable when it is. */
static int stage_barriers(struct broker *b, const struct txn_parts *parts, struct commit_item *items,
                          bool *has, struct commit_op *op, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < parts->n; i++) {
        struct partition *p;
        struct err gone;
        if (topic_acquire(b, parts->list[i].topic, parts->list[i].partition, &p, &gone))
            continue;
        if (!disk_in_service(p->disk))
            rc = disk_refusal(p->disk, e);
        else if (!has[p->disk->index] && !(rc = group_barrier(p, &items[p->disk->index], op, e)))
            has[p->disk->index] = true;
        partition_release(&b->topics, p);
    }
    return rc;
}

static int await_data(struct broker *b, const struct txn_parts *parts, struct err *e)
{
    struct commit_item *items = mem_calloc(b->disk_count, sizeof *items);
    bool *has = mem_calloc(b->disk_count, sizeof *has);
    struct commit_wait wait;
    struct err why;
    commit_wait_init(&wait);
    int rc = items && has ? stage_barriers(b, parts, items, has, &wait.op, e) : err_nomem(e);
    int waited = commit_wait_for(&wait, &why);
    if (!rc && waited)
        *e = why;
    mem_free(has);
    mem_free(items);
    return rc ? rc : waited;
}

/* ---- 2 and 4: the states ---------------------------------------------------------------------------------------------- */

static int check_prepare(struct txn_work *w, struct err *e)
{
    txn_plan_state(w, w->commit ? TXN_PREPARE_COMMIT : TXN_PREPARE_ABORT);
    if (w->bump) {
        w->last_epoch = w->t->epoch;
        w->next.epoch = txn_epoch_after(w->t);
        w->next.next_id = w->t->epoch >= TXN_EPOCH_LAST ? w->fresh_id : -1;
    }
    return txn_parts_copy(&w->t->parts, &w->parts, e);
}

static int check_complete(struct txn_work *w, struct err *e)
{
    (void)e;
    const struct txn *t = w->t;
    bool commit = t->state == TXN_PREPARE_COMMIT;
    w->client_version = t->client_version;
    txn_plan_state(w, commit ? TXN_COMPLETE_COMMIT : TXN_COMPLETE_ABORT);
    if (t->next_id >= 0) {
        w->next.previous_id = t->producer_id;
        w->next.producer_id = t->next_id;
        w->next.epoch = 0;
    }
    w->finish = true;
    w->marker_commit = commit;
    return ERR_OK;
}

/* How it ends. */
struct ending {
    bool commit;
    bool bump;        /* the producer's epoch is left behind, */
    int64_t fresh_id; /* and if none is left, so is its id, for this one; -1: not */
    int16_t version;  /* of transactions, of who ends it */
};

static int write_state(struct broker *b, struct txn *t, txn_check *check, const struct ending *how,
                       struct err *e)
{
    struct txn_work *w = txn_work_new(b, t, check, e);
    if (!w)
        return e->code;
    w->commit = how->commit;
    w->bump = how->bump;
    w->fresh_id = how->fresh_id;
    w->client_version = how->version;
    return txn_work_run(w, e);
}

/* ---- 3: the markers ---------------------------------------------------------------------------------------------------- */

struct markers {
    struct broker *b;
    struct txn *t;
    struct buf marker;
    struct append *appends;
    uint8_t *bytes; /* MARKER_BYTES for each */
    size_t n;
    struct commit_wait wait;
    struct txn_parts left; /* of those that could not be written */
    struct err why;
    bool out_of_service; /* all that is left is of disks or logs that wait for a restart */
};

static int leave(struct markers *m, const char *topic, int32_t partition, bool out_of_service)
{
    struct err e;
    m->out_of_service = out_of_service && (m->left.n == 0 || m->out_of_service);
    return txn_parts_add(&m->left, text_of(topic), partition, &e);
}

/* Appends [from, to) as one group. Their partitions are of the disk `d`, and held. */
static int append_on(struct markers *m, struct disk *d, size_t from, size_t to, struct err *e)
{
    size_t room = 0;
    for (size_t i = from; i < to; i++)
        room += m->appends[i].journal ? MARKER_BYTES + COMMIT_ENTRY_OVERHEAD : 0;
    int rc = from < to ? disk_reserve(d, room, COMMIT_COORDINATOR, e) : ERR_OK;
    if (!rc && from < to)
        rc = group_append(m->b, &m->appends[from], to - from, room, &m->wait.op, e);
    return rc;
}

static void prepare(struct markers *m, size_t i, struct partition *p)
{
    uint8_t *at = m->bytes + i * MARKER_BYTES;
    memcpy(at, m->marker.data, m->marker.len);
    append_prepare(&m->appends[i], p, at, m->marker.len, LOG_FROM_COORDINATOR);
}

/* The appends of what lies on this disk, whose partitions they hold. */
static void gather(struct markers *m, const struct disk *d)
{
    for (size_t i = 0; i < m->t->parts.n; i++) {
        const struct txn_part *part = &m->t->parts.list[i];
        struct partition *p;
        struct err gone;
        if (topic_acquire(m->b, part->topic, part->partition, &p, &gone))
            continue; /* a topic that was deleted meanwhile needs no marker */
        if (p->disk == d)
            prepare(m, m->n++, p);
        else
            partition_release(&m->b->topics, p);
    }
}

/* A log that is out of service keeps the markers from no other of its disk: each is tried alone. */
static int mark_alone(struct markers *m, struct disk *d, size_t first)
{
    int rc = ERR_OK;
    bool several = m->n - first > 1;
    for (size_t i = first; i < m->n; i++) {
        struct partition *p = m->appends[i].item.p;
        if (several && disk_in_service(d)) {
            prepare(m, i, p);
            if (append_on(m, d, i, i + 1, &m->why) == ERR_OK)
                continue;
        }
        if (leave(m, p->topic->name, p->index, !disk_in_service(d) || m->why.code == ERR_LOG_FAILED))
            rc = ERR_NO_MEMORY;
        m->appends[i].item.p = NULL; /* nothing was staged of it */
        partition_release(&m->b->topics, p);
    }
    return rc;
}

static int mark_disk(struct markers *m, struct disk *d)
{
    size_t first = m->n;
    gather(m, d);
    return append_on(m, d, first, m->n, &m->why) ? mark_alone(m, d, first) : ERR_OK;
}

/* flush.messages of page-cache topics. One that cannot be flushed is out of service, and its marker perhaps lost. */
static int flush_markers(struct markers *m)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < m->n; i++) {
        struct partition *p = m->appends[i].item.p;
        struct err why;
        if (!m->appends[i].flush)
            continue;
        partition_hold(p);
        if (group_flush(m->b, &m->appends[i], 1, &why)) {
            m->why = why;
            if (leave(m, p->topic->name, p->index, true))
                rc = ERR_NO_MEMORY;
        }
        partition_release(&m->b->topics, p);
    }
    return rc;
}

/* Those that were staged and did not become durable. Their topics may be gone: the parts tell the names. */
static int collect_failed(struct markers *m)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < m->t->parts.n; i++) {
        const struct txn_part *part = &m->t->parts.list[i];
        struct partition *p;
        struct err gone;
        if (topic_acquire(m->b, part->topic, part->partition, &p, &gone))
            continue;
        for (size_t k = 0; !rc && k < m->n; k++)
            if (m->appends[k].item.p == p && m->appends[k].item.failed)
                rc = leave(m, part->topic, part->partition, true);
        partition_release(&m->b->topics, p);
    }
    return rc;
}

static int write_markers(struct markers *m, struct err *e)
{
    int rc = m->appends && m->bytes ? marker_build(&m->marker, m->t->producer_id, m->t->epoch,
                                                   m->t->state == TXN_PREPARE_COMMIT, 0, clock_wall_ms(), e)
                                    : err_nomem(e);
    if (rc)
        return rc;
    commit_wait_init(&m->wait);
    for (size_t i = 0; !rc && i < m->b->disk_count; i++)
        rc = mark_disk(m, m->b->disks[i]);
    if (flush_markers(m))
        rc = ERR_NO_MEMORY;
    struct err failed;
    if (commit_wait_for(&m->wait, &failed)) {
        m->why = failed;
        if (!rc)
            rc = collect_failed(m);
    }
    return rc ? err_nomem(e) : ERR_OK;
}

/* What is left becomes the transaction's partitions; the others are done with. */
static int keep_left(struct markers *m, struct err *e)
{
    pthread_mutex_lock(&m->t->lock);
    txn_parts_free(&m->t->parts);
    m->t->parts = m->left;
    m->left = (struct txn_parts){0};
    pthread_mutex_unlock(&m->t->lock);
    *e = m->why;
    return err_wrap(e, "transactional id %s: its end is decided (%s), but not yet written to %zu partitions",
                    m->t->id, txn_state_name(m->t->state), m->t->parts.n);
}

/* 3 and 4, of a transaction that is `ending` and in a Prepare state. */
static int finish(struct broker *b, struct txn *t, struct err *e)
{
    struct markers m = {.b = b, .t = t};
    buf_init(&m.marker, MARKER_BYTES);
    m.appends = mem_calloc(t->parts.n + 1, sizeof *m.appends);
    m.bytes = mem_calloc(t->parts.n + 1, MARKER_BYTES);
    int rc = write_markers(&m, e);
    if (!rc && m.left.n)
        rc = keep_left(&m, e);
    else if (!rc)
        rc = write_state(b, t, check_complete, &(struct ending){.fresh_id = -1}, e);
    if (rc) { /* what waits for a restart is not tried before */
        bool hopeless = m.out_of_service || !disk_in_service(b->disks[0]);
        int64_t again = hopeless ? INT64_MAX : clock_mono_ms() + TXN_RETRY_MS;
        atomic_store(&t->deadline, again);
        upkeep_poke(b, again);
    }
    txn_parts_free(&m.left);
    buf_free(&m.marker);
    mem_free(m.bytes);
    mem_free(m.appends);
    return rc;
}

int txn_finish(struct broker *b, struct txn *t, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    bool mine = txn_is_prepared(t->state) && !t->ending;
    if (mine)
        t->ending = true;
    pthread_mutex_unlock(&t->lock);
    if (!mine)
        return ERR_OK; /* somebody is at it, or was */
    int rc = finish(b, t, e);
    set_ending(t, false);
    return rc;
}

/* ---- all of it ---------------------------------------------------------------------------------------------------------- */

/* `ending` is set. ERR_OK when it is decided; what then goes wrong is said and tried again. */
static int decide_and_finish(struct broker *b, struct txn *t, const struct ending *how, struct err *e)
{
    struct err why;
    int rc = how->commit ? await_data(b, &t->parts, e) : ERR_OK;
    if (!rc)
        rc = write_state(b, t, check_prepare, how, e);
    if (!rc && finish(b, t, &why))
        diag_error("broker", "%s", why.text);
    set_ending(t, false);
    return rc;
}

int txn_end_spread(struct txn_work *w, struct err *e)
{
    struct broker *b = w->b;
    struct txn *t = w->t;
    struct ending how = {w->commit, w->bump, w->fresh_id, w->client_version};
    pthread_mutex_lock(&t->lock);
    int rc = w->check(w, e);
    bool nothing = w->nothing;
    if (!rc && !nothing)
        t->ending = true;
    if (!rc && w->out_producer_id) {
        *w->out_producer_id = nothing ? t->producer_id : w->next.producer_id;
        *w->out_epoch = nothing ? t->epoch : w->next.epoch;
    }
    pthread_mutex_unlock(&t->lock);
    if (!rc && !nothing)
        rc = decide_and_finish(b, t, &how, e);
    txn_work_free(w); /* which keeps the transaction */
    return rc;
}

int txn_fence_spread(struct broker *b, struct txn *t, int32_t epoch, int64_t now, struct err *e)
{
    pthread_mutex_lock(&t->lock);
    bool open = t->state == TXN_ONGOING && !t->ending && (epoch < 0 || t->epoch == epoch) &&
                atomic_load(&t->deadline) <= now;
    if (open)
        t->ending = true;
    pthread_mutex_unlock(&t->lock);
    struct ending how = {.bump = true, .fresh_id = -1, .version = TXN_VERSION_2};
    return open ? decide_and_finish(b, t, &how, e) : ERR_OK;
}

/* Which parts of the group are in a log that will have to be marked. */
static bool any_appended(const struct produce_request *requests, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (requests[i].appended.base_offset >= 0)
            return true;
    return false;
}

int txn_commit_all_spread(struct broker *b, struct txn *t, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e)
{
    struct err ignored; /* what cannot be aborted now its timeout will abort */
    struct txn_partition *parts = mem_calloc(n + 1, sizeof *parts);
    if (!parts)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        parts[i] = (struct txn_partition){requests[i].topic, requests[i].partition};
        requests[i].built_here = true;
    }
    int rc = broker_txn_add_partitions(b, t->id, producer_id, epoch, parts, n, e);
    mem_free(parts);
    for (size_t i = 0; rc && i < n; i++)
        requests[i].error = *e;
    if (rc)
        return rc;
    if ((rc = broker_produce(b, requests, n, true, e))) {
        /* Sequences of what was appended are used up: the producer must come anew, with another epoch. */
        if (any_appended(requests, n))
            txn_fence_spread(b, t, epoch, INT64_MAX, &ignored);
        else
            broker_txn_end(b, t->id, producer_id, epoch, false, &ignored);
        return rc;
    }
    return broker_txn_end(b, t->id, producer_id, epoch, true, e);
}
