/*
 * txn_work: carrying out one change of a transaction: {data, offsets, markers, state} as one atomic group. Runs in the
 * caller's thread; the last part, after the sync, in the thread that ran the round (commit.h).
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "broker/admit.h"
#include "broker/open_files.h"
#include "broker/txn.h"

/* A marker's batch is 78 bytes; kept apart by this. */
enum { MARKER_SLOT = 128, STATE_BATCH_MAX = 4 << 20, STATE_FIXED = 256 };

struct txn_work *txn_work_new(struct broker *b, struct txn *t, txn_check *check, struct err *e)
{
    struct txn_work *w = mem_calloc(1, sizeof *w);
    if (!w) {
        err_nomem(e);
        return NULL;
    }
    w->b = b;
    w->t = txn_ref(t);
    w->check = check;
    w->fresh_id = -1;
    return w;
}

/* What a topic's settings ask of a request. A topic that is not there is told of later, if the producer may write at all. */
static int admit_one(struct broker *b, struct produce_request *r, const struct produce_request *before,
                     struct admitted *a, struct err *e)
{
    struct partition *p;
    struct err unknown;
    if (topic_acquire(b, r->topic, r->partition, &p, &unknown))
        return ERR_OK;
    int rc = admit_begin(b, p, r, before, a, e);
    partition_release(&b->topics, p);
    return rc;
}

static int admit_all(struct txn_work *w, struct err *e)
{
    w->admitted = w->request_count ? mem_calloc(w->request_count, sizeof *w->admitted) : NULL;
    if (w->request_count && !w->admitted)
        return err_nomem(e);
    int rc = ERR_OK;
    while (!rc && w->admitted_count < w->request_count) {
        size_t i = w->admitted_count;
        rc = admit_one(w->b, &w->requests[i], i ? &w->requests[i - 1] : NULL, &w->admitted[i], e);
        w->admitted_count += rc == ERR_OK;
    }
    return rc;
}

/* Once they are staged, and before anybody is told: the requests are then no longer ours. */
static void end_admission(struct txn_work *w)
{
    while (w->admitted_count > 0) {
        w->admitted_count--;
        admit_end(&w->requests[w->admitted_count], &w->admitted[w->admitted_count]);
    }
}

void txn_work_free(struct txn_work *w)
{
    mem_free(w->admitted);
    if (w->batch_partition)
        partition_release(&w->b->topics, w->batch_partition);
    if (w->changes)
        offsets_drop(w->b, w->changes);
    if (w->state_batch)
        batch_builder_free(w->state_batch);
    txn_parts_free(&w->parts);
    mem_free(w->marker_bytes);
    mem_free(w->appends);
    txn_put(w->t);
    mem_free(w);
}

/* After the sync: offsets of a committed transaction are shown. */
static void work_durable(struct commit_wait *wait)
{
    struct txn_work *w = (struct txn_work *)wait;
    if (w->apply && !wait->op.error.code)
        offsets_apply(w->b, w->apply);
    else if (w->apply)
        offsets_drop(w->b, w->apply);
    w->apply = NULL;
}

static void work_done_alone(struct commit_op *op)
{
    struct txn_work *w = (struct txn_work *)op;
    work_durable(&w->wait);
    if (w->done)
        w->done(w->done_arg, &op->error);
    txn_work_free(w);
}

/* ---- building ---------------------------------------------------------------------------------------------------- */

static size_t parts_bytes(const struct txn_parts *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n; i++)
        n += strlen(p->list[i].topic) + 16;
    return n;
}

static size_t room_for(const struct txn_work *w)
{
    size_t n =
        w->write_state ? STATE_FIXED + strlen(w->t->id) + parts_bytes(&w->parts) + COMMIT_ENTRY_OVERHEAD : 0;
    for (size_t i = 0; i < w->request_count; i++)
        n += w->requests[i].bytes + COMMIT_ENTRY_OVERHEAD;
    if (w->batch)
        n += w->batch_bytes + COMMIT_ENTRY_OVERHEAD;
    return n + (w->markers ? w->parts.n * (MARKER_SLOT + COMMIT_ENTRY_OVERHEAD) : 0);
}

static void each_part(void *arg, size_t i, struct text *topic, int32_t *partition)
{
    const struct txn_parts *p = arg;
    *topic = text_of(p->list[i].topic);
    *partition = p->list[i].partition;
}

static int build_state(struct txn_work *w, uint8_t **data, size_t *bytes, struct err *e)
{
    struct batch_options o = {
        .codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = STATE_BATCH_MAX};
    struct buf key, value;
    size_t n = w->next.state == TXN_ONGOING || txn_is_prepared(w->next.state) ? w->parts.n : 0;
    buf_init(&key, 64 << 10);
    buf_init(&value, STATE_BATCH_MAX);
    w->state_batch = batch_builder_new(&o, e);
    int rc = w->state_batch ? txn_key_encode(&key, text_of(w->t->id), e) : e->code;
    if (!rc)
        rc = txn_value_encode(&value, &w->next, each_part, &w->parts, n, e);
    if (!rc)
        rc = batch_builder_add(w->state_batch, w->next.update_ms, key.data, key.len,
                               w->forget ? NULL : value.data, value.len, NULL, 0, e);
    if (!rc)
        rc = batch_builder_finish(w->state_batch, &BATCH_NO_PRODUCER, data, bytes, e);
    buf_free(&value);
    buf_free(&key);
    return rc;
}

static void push(struct txn_work *w, struct partition *p, void *data, size_t bytes, enum log_origin origin)
{
    append_prepare(&w->appends[w->append_count++], p, data, bytes, origin);
}

static int push_requests(struct txn_work *w, struct err *e)
{
    for (size_t i = 0; i < w->request_count; i++) {
        struct produce_request *r = &w->requests[i];
        struct partition *p;
        int rc = topic_is_internal(r->topic)
                     ? err_set(e, ERR_INVALID_TOPIC, "\"%s\" is written by the coordinators only", r->topic)
                     : topic_acquire(w->b, r->topic, r->partition, &p, e);
        if (rc)
            return rc;
        push(w, p, r->data, r->bytes, append_origin_built_here(p));
    }
    return ERR_OK;
}

/* A topic that was deleted meanwhile needs no marker. */
static int push_markers(struct txn_work *w, struct err *e)
{
    struct buf marker;
    buf_init(&marker, MARKER_SLOT);
    w->marker_bytes = mem_calloc(w->parts.n + 1, MARKER_SLOT);
    int rc = w->marker_bytes ? marker_build(&marker, w->t->producer_id, w->marker_epoch, w->marker_commit, 0,
                                            w->next.update_ms, e)
                             : err_nomem(e);
    for (size_t i = 0; !rc && i < w->parts.n; i++) {
        struct partition *p;
        struct err gone;
        uint8_t *at = w->marker_bytes + i * MARKER_SLOT;
        if (topic_acquire(w->b, w->parts.list[i].topic, w->parts.list[i].partition, &p, &gone))
            continue;
        memcpy(at, marker.data, marker.len);
        push(w, p, at, marker.len, LOG_FROM_COORDINATOR);
    }
    buf_free(&marker);
    return rc;
}

static int push_state(struct txn_work *w, struct err *e)
{
    struct partition *p;
    uint8_t *data;
    size_t bytes;
    int32_t n;
    int rc = build_state(w, &data, &bytes, e);
    if (!rc)
        rc = internal_topic(w->b, TXN_TOPIC, &n, e); /* made before, so that this takes no admin lock */
    if (!rc)
        rc = topic_acquire(w->b, TXN_TOPIC, kafka_coordinator_partition(w->t->id, n), &p, e);
    if (!rc)
        push(w, p, data, bytes, LOG_FROM_COORDINATOR);
    return rc;
}

/* Who called found it so; a partition that joined since, from another thread, is met here. */
static int check_one_disk(const struct txn_work *w, struct err *e)
{
    for (size_t i = 0; i < w->append_count; i++) {
        const struct partition *p = w->appends[i].item.p;
        if (p->disk->index != 0)
            return err_set(e, ERR_CONCURRENT_TRANSACTIONS,
                           "transactional id %s: %s-%d joined while it was being ended", w->t->id,
                           p->topic->name, p->index);
    }
    return ERR_OK;
}

static int build(struct txn_work *w, struct err *e)
{
    w->appends = mem_calloc(w->request_count + w->parts.n + 3, sizeof *w->appends);
    int rc = w->appends ? push_requests(w, e) : err_nomem(e);
    if (!rc && w->batch) {
        push(w, w->batch_partition, w->batch, w->batch_bytes, LOG_FROM_COORDINATOR);
        w->batch_partition = NULL;
    }
    if (!rc && w->markers)
        rc = push_markers(w, e);
    if (!rc && w->write_state)
        rc = push_state(w, e);
    return rc ? rc : check_one_disk(w, e);
}

/* ---- running ------------------------------------------------------------------------------------------------------- */

static void tell_producer(const struct txn_work *w)
{
    if (!w->out_producer_id)
        return;
    *w->out_producer_id = w->t->producer_id;
    *w->out_epoch = w->t->epoch;
}

/* The change in memory, at the moment of staging. Cannot fail. */
static void take_effect(struct txn_work *w)
{
    struct txn *t = w->t;
    bool open = w->next.state == TXN_ONGOING;
    bool was_open = t->state == TXN_ONGOING;
    t->producer_id = w->next.producer_id;
    t->previous_id = w->next.previous_id;
    t->next_id = w->next.next_id;
    t->epoch = w->next.epoch;
    t->last_epoch = w->last_epoch;
    t->client_version = w->next.client_version;
    tell_producer(w); /* now: while this one waits for its sync, another may go on from here */
    t->timeout_ms = w->next.timeout_ms;
    t->state = w->next.state;
    t->update_ms = w->next.update_ms;
    t->start_ms = w->next.start_ms;
    if (w->write_state)
        t->written_ms = w->next.update_ms;
    txn_parts_free(&t->parts);
    if (w->changes) /* their batch was pushed behind the requests */
        offsets_set_place(w->changes, w->appends[w->request_count].appended.base_offset);
    if (open || txn_is_prepared(t->state)) {
        t->parts = w->parts;
        w->parts = (struct txn_parts){0};
        struct offset_change **last = &t->offsets;
        while (*last)
            last = &(*last)->next;
        *last = w->changes;
        offsets_pend(w->b, w->changes);
        w->changes = NULL;
    } else if ((w->markers || w->finish) && w->marker_commit) {
        w->apply = t->offsets;
        t->offsets = NULL;
    } else {
        offsets_drop(w->b, t->offsets);
        t->offsets = NULL;
    }
    if (open && !was_open)
        atomic_store(&t->deadline, clock_mono_ms() + t->timeout_ms);
    else if (!open)
        atomic_store(&t->deadline, INT64_MAX);
}

static void report(struct txn_work *w, const struct err *e)
{
    for (size_t i = 0; i < w->request_count; i++) {
        if (e)
            w->requests[i].error = *e;
        else
            w->requests[i].appended = w->appends[i].appended;
    }
}

/* Under the transaction's lock. */
static int append(struct txn_work *w, size_t reserved, struct err *e)
{
    struct err before;
    int rc = build(w, e);
    if (rc) {
        commit_unreserve(w->b->disks[0]->commit, reserved);
    } else if (w->append_count == 0) {
        commit_unreserve(w->b->disks[0]->commit, reserved);
        take_effect(w);
        return ERR_OK;
    } else {
        rc = group_append(w->b, w->appends, w->append_count, reserved, &w->wait.op, &before);
        if (rc)
            *e = before;
    }
    if (rc) {
        for (size_t i = 0; i < w->append_count; i++)
            partition_release(&w->b->topics, w->appends[i].item.p);
        report(w, e);
        return rc;
    }
    w->staged = w->appends[0].staged;
    report(w, NULL);
    take_effect(w);
    return ERR_OK;
}

/* Comes back with the transaction locked and room for the plan, or with an error and neither. */
static int lock_with_room(struct txn_work *w, size_t *reserved, struct err *e)
{
    *reserved = 0;
    for (;;) {
        pthread_mutex_lock(&w->t->lock);
        txn_parts_free(&w->parts);
        w->nothing = w->markers = w->write_state = w->finish = w->forget = false;
        int rc = w->check(w, e);
        size_t need = rc || w->nothing ? 0 : room_for(w);
        if (!rc && need <= *reserved)
            return ERR_OK;
        pthread_mutex_unlock(&w->t->lock);
        commit_unreserve(w->b->disks[0]->commit, *reserved);
        *reserved = 0;
        if (rc ||
            (rc = disk_reserve(w->b->disks[0], need, w->request_count ? COMMIT_DATA : COMMIT_COORDINATOR, e)))
            return rc;
        *reserved = need;
    }
}

int txn_work_run(struct txn_work *w, struct err *e)
{
    size_t reserved;
    open_files_make_room(w->b);
    int rc = admit_all(w, e);
    if (!rc)
        rc = lock_with_room(w, &reserved, e);
    if (rc) {
        end_admission(w);
        report(w, e);
        txn_work_free(w);
        return rc;
    }
    bool no_wait = w->no_wait && !w->nothing;
    if (no_wait)
        commit_op_init(&w->wait.op, work_done_alone);
    else
        commit_wait_init(&w->wait);
    w->wait.before = work_durable;
    if (w->nothing) {
        commit_unreserve(w->b->disks[0]->commit, reserved);
        tell_producer(w);
    } else {
        rc = append(w, reserved, e);
    }
    pthread_mutex_unlock(&w->t->lock);
    end_admission(w);
    struct err sync, flush;
    int flushed = group_flush(w->b, w->appends, w->append_count, &flush);
    if (no_wait) {
        if (rc)
            w->done = NULL; /* nothing is staged: the caller is told by the return */
        commit_op_finish(&w->wait.op, flushed ? &flush : NULL);
        return rc;
    }
    int waited = commit_wait_for(&w->wait, &sync);
    if (!waited && flushed) {
        sync = flush;
        waited = flushed;
    }
    if (!rc && waited) {
        *e = sync;
        rc = waited;
        report(w, e);
    }
    txn_work_free(w);
    return rc;
}
