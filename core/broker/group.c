/*
 * group: appending to one or several logs, all or none, and staging what was appended in the same order. Runs in the
 * caller's thread. Locks: the partitions' (in the order of their topics' ids and numbers), in them the logs' own and the commit
 * queue's. Nothing here waits for a sync, except flush.messages of a page-cache topic, which holds no lock.
 */
#include "broker/group.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "broker/cleaner.h"
#include "broker/open_files.h"
#include "broker/store.h"
#include "broker/upkeep.h"

/* Appends of one group, with room for the many small ones without allocation. */
enum { FEW = 8 };

struct ordered {
    struct partition **partitions; /* distinct, by topic and number */
    size_t n;
    struct commit_item **items;
    struct partition *few_partitions[FEW];
    struct commit_item *few_items[FEW];
};

/* One order for all, so that no two of them wait for each other; the same in each run, so that tests/power can repeat one. */
static int by_identity(const void *a, const void *b)
{
    const struct partition *x = *(struct partition *const *)a, *y = *(struct partition *const *)b;
    int by_topic = memcmp(&x->topic->id, &y->topic->id, sizeof x->topic->id);
    return by_topic ? by_topic : (x->index > y->index) - (x->index < y->index);
}

static int ordered_init(struct ordered *o, struct append *appends, size_t n, struct err *e)
{
    o->partitions = n <= FEW ? o->few_partitions : mem_calloc(n, sizeof(struct partition *));
    o->items = n <= FEW ? o->few_items : mem_calloc(n, sizeof(struct commit_item *));
    if (!o->partitions || !o->items) {
        mem_free(n <= FEW ? NULL : o->partitions);
        mem_free(n <= FEW ? NULL : o->items);
        return err_nomem(e);
    }
    for (size_t i = 0; i < n; i++)
        o->partitions[i] = appends[i].item.p;
    qsort(o->partitions, n, sizeof *o->partitions, by_identity);
    o->n = 0;
    for (size_t i = 0; i < n; i++)
        if (o->n == 0 || o->partitions[o->n - 1] != o->partitions[i])
            o->partitions[o->n++] = o->partitions[i];
    return ERR_OK;
}

static void ordered_free(struct ordered *o)
{
    if (o->partitions != o->few_partitions)
        mem_free(o->partitions);
    if (o->items != o->few_items)
        mem_free(o->items);
}

static void ordered_lock(struct ordered *o)
{
    for (size_t i = 0; i < o->n; i++)
        pthread_mutex_lock(&o->partitions[i]->lock);
}

static void ordered_unlock(struct ordered *o)
{
    for (size_t i = o->n; i-- > 0;)
        pthread_mutex_unlock(&o->partitions[i]->lock);
}

static void fill_entry(struct append *a)
{
    const struct partition *p = a->item.p;
    a->item.entry = (struct journal_entry){
        .topic_id = p->topic->id,
        .partition = p->index,
        .segment_base = a->appended.segment_base,
        .position = a->appended.position,
        .base_offset = a->appended.base_offset,
        .next_offset = a->appended.last_offset + 1,
        .data = a->data,
        .bytes = a->appended.bytes,
    };
}

size_t append_prepare(struct append *a, struct partition *p, void *data, size_t bytes, enum log_origin origin)
{
    a->item.p = p;
    a->data = data;
    a->bytes = bytes;
    a->origin = origin;
    a->refused = NULL;
    a->journal = topic_settings(p->topic)->synced;
    a->flush = false;
    return a->journal ? bytes + COMMIT_ENTRY_OVERHEAD : 0;
}

enum log_origin append_origin_built_here(const struct partition *p)
{
    return topic_settings(p->topic)->timestamp_before_max_ms == INT64_MAX ? LOG_FROM_COORDINATOR
                                                                          : LOG_FROM_CLIENT;
}

/* The topic's limits, where the log trusts the batches: it checks them only for clients. */
static int check_limits(const struct append *a, const struct topic_settings *s, int64_t now, struct err *e)
{
    for (size_t at = 0; a->origin == LOG_FROM_COORDINATOR && !a->item.p->topic->internal && at < a->bytes;) {
        struct batch_header h;
        int rc = batch_header_decode((uint8_t *)a->data + at, a->bytes - at, &h, e);
        if (rc)
            return rc;
        at += batch_size(&h);
        if (h.attributes & BATCH_CONTROL)
            continue;
        if ((int64_t)batch_size(&h) > s->max_message_bytes)
            return err_set(e, ERR_TOO_LARGE,
                           "topic %s: a batch of %zu bytes is larger than max.message.bytes %lld",
                           a->item.p->topic->name, batch_size(&h), (long long)s->max_message_bytes);
        if (!s->log_append_time && h.max_timestamp > now && h.max_timestamp - now > s->timestamp_after_max_ms)
            return err_set(
                e, ERR_INVALID_TIMESTAMP,
                "topic %s: timestamp %lld is more than message.timestamp.after.max.ms %lld after now",
                a->item.p->topic->name, (long long)h.max_timestamp, (long long)s->timestamp_after_max_ms);
    }
    return ERR_OK;
}

static int append_one(struct broker *b, struct append *a, struct err *e)
{
    struct partition *p = a->item.p;
    const struct topic_settings *s = topic_settings(p->topic);
    struct log *log;
    struct log_append_args args = {
        .origin = a->origin,
        .now_ms = clock_wall_ms(),
        .max_message_bytes = p->topic->internal ? BATCH_MAX_BYTES : s->max_message_bytes,
        .log_append_time = s->log_append_time,
        .from_zero = a->from_zero,
        .timestamp_before_max_ms = s->timestamp_before_max_ms,
        .timestamp_after_max_ms = s->timestamp_after_max_ms,
        .refused = a->refused,
    };
    if (!disk_in_service(p->disk) && (p->disk->index > 0 || s->synced))
        return disk_refusal(p->disk, e);
    if (s->synced && !a->journal)
        return err_set(e, ERR_BUSY, "the durability of topic %s is being changed; try again", p->topic->name);
    int rc = check_limits(a, s, args.now_ms, e);
    if (!rc)
        rc = partition_open_locked(b, p, true, &log, e);
    if (rc)
        return rc;
    args.leader_epoch = atomic_load(&p->epoch);
    open_files_used(b, p);
    a->old_end = log_end_offset(log);
    if ((rc = log_append(log, a->data, a->bytes, &args, &a->appended, e))) {
        disk_suspect(p->disk, e);
        return rc;
    }
    if (a->appended.position == 0 && s->log.cleanup_compact && !a->appended.duplicate)
        log_cleaner_segment_closed(b);
    a->item.journaled = a->journal && !a->appended.duplicate;
    a->item.settled = a->item.journaled && log_recovery_point(log) > 0;
    a->item.end_offset = a->appended.last_offset + 1;
    fill_entry(a);
    if (!atomic_exchange(&p->dirty, true)) {
        int64_t now = clock_mono_ms();
        atomic_store(&p->dirty_since, now);
        upkeep_wake_for_room(b, now);
        if (!s->synced && s->flush_ms < INT64_MAX - now)
            upkeep_poke(b, now + s->flush_ms);
    }
    if (a->item.journaled)
        atomic_store(&p->journaled, true);
    return ERR_OK;
}

/* Takes the first `n` appends back. A log where that fails is out of service, so that nobody reads its tail. */
static void roll_back(struct append *appends, size_t n)
{
    struct err e;
    while (n-- > 0) {
        struct log *log = partition_log(appends[n].item.p);
        if (appends[n].appended.duplicate)
            continue;
        if (log_truncate_to(log, appends[n].old_end, &e)) {
            diag_error("broker", "%s: taking back a part of a failed group: %s", log_name(log), e.text);
            log_fail(log, &e);
        }
    }
}

/* A group goes through the commit stage as one if any of it needs the journal or must queue behind what does. */
static bool must_stage(const struct append *appends, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (appends[i].item.journaled || atomic_load(&appends[i].item.p->pending) > 0)
            return true;
    return false;
}

static int append_all(struct broker *b, struct append *appends, size_t n, size_t reserved,
                      struct commit_op *op, struct ordered *o, struct err *e)
{
    struct disk *d = appends[0].item.p->disk;
    int rc = ERR_OK;
    size_t done = 0;
    for (; done < n; done++) {
        appends[done].item.op = op;
        if ((rc = append_one(b, &appends[done], e)))
            break;
        o->items[done] = &appends[done].item;
    }
    bool stage = !rc && must_stage(appends, n);
    for (size_t i = 0; i < n; i++)
        appends[i].staged = stage;
    if (stage && (rc = commit_stage(d->commit, o->items, n, reserved, e)))
        disk_suspect(d, e);
    if (rc)
        roll_back(appends, done);
    return rc;
}

/* Told by the recovery point, which moves when a sync is done: others may be flushing at the same time. */
static int flush_if_due(struct partition *p, struct err *e)
{
    int64_t most = topic_settings(p->topic)->flush_messages;
    struct log *log = partition_log(p);
    if (most == INT64_MAX || log_end_offset(log) - log_recovery_point(log) < most)
        return ERR_OK;
    return partition_flush(p, e);
}

/* Appends of page-cache topics with nothing before them: visible and done at once. */
static int complete_now(struct broker *b, struct append *appends, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int rc = flush_if_due(appends[i].item.p, e);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < n; i++) {
        struct partition *p = appends[i].item.p;
        log_set_high_watermark(partition_log(p), appends[i].item.end_offset);
        partition_notify(p);
        partition_release(&b->topics, p);
    }
    return ERR_OK;
}

static void count(struct broker *b, const struct append *appends, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (appends[i].appended.duplicate)
            continue;
        atomic_fetch_add_explicit(&b->append_batches, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&b->append_bytes, appends[i].bytes, memory_order_relaxed);
        atomic_fetch_add_explicit(&b->append_records,
                                  (uint64_t)(appends[i].item.end_offset - appends[i].appended.base_offset),
                                  memory_order_relaxed);
    }
}

/* What may have to be flushed is held once more: a staged append's own hold goes with its completion. */
static bool hold_for_flush(struct append *appends, size_t n)
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        struct append *a = &appends[i];
        a->flush = !a->journal && topic_settings(a->item.p->topic)->flush_messages != INT64_MAX;
        if (a->flush)
            partition_hold(a->item.p);
        any = any || a->flush;
    }
    return any;
}

static void let_go(struct broker *b, struct append *appends, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (appends[i].flush)
            partition_release(&b->topics, appends[i].item.p);
        appends[i].flush = false;
    }
}

int group_flush(struct broker *b, struct append *appends, size_t n, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < n; i++)
        rc = appends[i].flush ? flush_if_due(appends[i].item.p, e) : ERR_OK;
    let_go(b, appends, n);
    return rc;
}

int group_append(struct broker *b, struct append *appends, size_t n, size_t reserved, struct commit_op *op,
                 struct err *e)
{
    struct ordered o;
    struct disk *d = appends[0].item.p->disk;
    int rc = ordered_init(&o, appends, n, e);
    if (rc) {
        commit_unreserve(d->commit, reserved);
        return rc;
    }
    op->lingers |= hold_for_flush(appends, n);
    ordered_lock(&o);
    rc = append_all(b, appends, n, reserved, op, &o, e);
    ordered_unlock(&o);
    ordered_free(&o);
    bool staged =
        !rc && appends[0].staged; /* the caller's own part of the op keeps them until it finishes that */
    if (!rc) {
        count(b, appends, n);
        disk_accepted(d);
    } else if (rc == ERR_NO_SPACE) {
        disk_refused(d, e);
    }
    if (!staged) {
        let_go(b, appends, n);
        commit_unreserve(d->commit, reserved);
    }
    if (rc == ERR_FILES)
        open_files_relieve(b);
    if (!rc && !staged)
        rc = complete_now(b, appends, n, e);
    return rc;
}

int group_barrier(struct partition *p, struct commit_item *item, struct commit_op *op, struct err *e)
{
    *item = (struct commit_item){.op = op, .p = p};
    pthread_mutex_lock(&p->lock);
    struct log *log = partition_log(p);
    int rc = ERR_OK;
    if (log) {
        item->end_offset = log_end_offset(log);
        partition_hold(p);
        if ((rc = commit_stage(p->disk->commit, &item, 1, 0, e)))
            partition_release(&p->disk->b->topics, p);
    }
    pthread_mutex_unlock(&p->lock);
    return rc;
}
