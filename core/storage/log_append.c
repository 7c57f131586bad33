/*
 * log_append: how batches get into a log. All or nothing: whatever can fail happens before anything is changed that
 * cannot be undone; then the bytes are published under the state lock.
 */
#include "storage/log_internal.h"

#include <string.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"

#define INLINE_BATCHES 4
#define NO_TIMESTAMP (-1)       /* Kafka's: such records may be appended whatever the limits are */
#define ALLOCATE_FROM (1 << 20) /* small segments reserve nothing */
#define ALLOCATE_MIN (1 << 20)
#define ALLOCATE_MAX (64 << 20)
#define ALLOCATE_LOGS                                                                                        \
    1024 /* where more are flushed together each gets so little that reservations cost more than they spare */

/* One batch of the append. */
struct item {
    struct batch_header h;
    size_t at; /* in the caller's data */
    bool applied;
    bool control;
    int16_t marker_type;
    int32_t coordinator_epoch;
    struct txn_end end;
    struct producer_undo undo;
};

struct append {
    struct log *log;
    const struct log_append_args *args;
    uint8_t *data;
    size_t n;
    struct item few[INLINE_BATCHES];
    struct item *items;
    size_t count, cap;
    struct buf scratch;  /* for inflating while a batch is validated */
    struct buf snapshot; /* producers as they were before, if the segment is rolled */
    int64_t max_timestamp;
    bool keyed; /* every record must have a key */
};

/* ---- what the batches are ---- */

static int add_item(struct append *a, struct item **out, struct err *e)
{
    if (a->count == a->cap) {
        struct item *items = mem_calloc(a->cap * 2, sizeof *items);
        if (!items)
            return err_nomem(e);
        memcpy(items, a->items, a->count * sizeof *items);
        if (a->items != a->few)
            mem_free(a->items);
        a->items = items;
        a->cap *= 2;
    }
    *out = &a->items[a->count++];
    memset(*out, 0, sizeof **out);
    return ERR_OK;
}

/* A record that the batch is refused for. The first one gives the reason; without memory the client is told of none. */
static void refuse(struct append *a, const struct batch_iter *iter, const struct record *r)
{
    struct log_refused *f = a->args->refused;
    if (!f || f->n == LOG_REFUSED_MAX)
        return;
    if (f->n == f->room) {
        size_t room = f->room ? f->room * 2 : 4;
        int32_t *list = mem_realloc_array(f->list, room, sizeof *list);
        if (!list)
            return;
        f->list = list;
        f->room = room;
    }
    f->list[f->n++] = (int32_t)(r->offset - iter->header.base_offset);
}

/* Looks at every record; `check` refuses those that may not be there. */
static int each_record(struct append *a, const struct item *it,
                       int (*check)(struct append *a, const struct batch_iter *iter, const struct record *r,
                                    struct err *e),
                       struct err *e)
{
    struct batch_iter iter;
    struct record r;
    struct err more;
    int refused = ERR_OK;
    int rc = batch_iter_init(&iter, a->data + it->at, batch_size(&it->h), &a->scratch, e);
    while (rc == ERR_OK && (rc = batch_iter_next(&iter, &r, refused ? &more : e)) == ERR_OK) {
        int bad = check(a, &iter, &r, refused ? &more : e);
        refused = refused ? refused : bad;
        if (refused && !a->args->refused)
            break;
    }
    return refused ? refused : rc == ERR_END ? ERR_OK : rc;
}

static int check_timestamp(struct append *a, const struct batch_iter *iter, const struct record *r,
                           struct err *e)
{
    const struct log_append_args *args = a->args;
    int64_t now = args->now_ms;
    if (r->timestamp > now && r->timestamp - now > args->timestamp_after_max_ms) {
        refuse(a, iter, r);
        return err_set(e, ERR_INVALID_TIMESTAMP,
                       "timestamp %" PRId64 " is more than %" PRId64 " ms after now", r->timestamp,
                       args->timestamp_after_max_ms);
    }
    if (args->timestamp_before_max_ms != INT64_MAX && r->timestamp != NO_TIMESTAMP &&
        r->timestamp < now - args->timestamp_before_max_ms) {
        refuse(a, iter, r);
        return err_set(e, ERR_INVALID_TIMESTAMP,
                       "timestamp %" PRId64 " is more than %" PRId64 " ms before now", r->timestamp,
                       args->timestamp_before_max_ms);
    }
    return ERR_OK;
}

/* The header tells whether one is too late; what is too early only the records do. */
static int check_timestamps(struct append *a, const struct item *it, struct err *e)
{
    const struct log_append_args *args = a->args;
    if (args->log_append_time)
        return ERR_OK;
    bool late = it->h.max_timestamp > args->now_ms &&
                it->h.max_timestamp - args->now_ms > args->timestamp_after_max_ms;
    return late || args->timestamp_before_max_ms != INT64_MAX ? each_record(a, it, check_timestamp, e)
                                                              : ERR_OK;
}

/* The cleaner knows records by their keys, so Kafka takes none without into a log that is compacted. */
static int check_key(struct append *a, const struct batch_iter *iter, const struct record *r, struct err *e)
{
    if (r->key)
        return ERR_OK;
    refuse(a, iter, r);
    return err_set(e, ERR_INVALID_RECORD,
                   "%s is compacted, so that every record needs a key; record %" PRId64
                   " of the batch has none",
                   a->log->name, r->offset - iter->header.base_offset);
}

static int check_client_batch(struct append *a, struct item *it, struct err *e)
{
    uint8_t *batch = a->data + it->at;
    int rc = batch_validate(batch, a->n - it->at, true, &a->scratch, &it->h, e);
    if (rc)
        return rc;
    batch_set_max_timestamp(batch, it->h.max_timestamp); /* Kafka counts itself, too */
    if ((int64_t)batch_size(&it->h) > a->args->max_message_bytes)
        return err_set(e, ERR_TOO_LARGE, "a batch of %zu bytes is larger than max.message.bytes %" PRId64,
                       batch_size(&it->h), a->args->max_message_bytes);
    if (it->h.attributes & BATCH_CONTROL)
        return err_set(e, ERR_INVALID_RECORD, "a client may not write control batches");
    if (it->h.producer_id >= 0 && (it->h.base_sequence < 0 || it->h.producer_epoch < 0))
        return err_set(e, ERR_INVALID_RECORD, "batch of producer %" PRId64 " has sequence %d and epoch %d",
                       it->h.producer_id, it->h.base_sequence, it->h.producer_epoch);
    if ((it->h.attributes & BATCH_TRANSACTIONAL) && it->h.producer_id < 0)
        return err_set(e, ERR_INVALID_RECORD, "transactional batch without a producer id");
    return check_timestamps(a, it, e);
}

static int read_item(struct append *a, struct item *it, struct err *e)
{
    int rc;
    switch (a->args->origin) {
    case LOG_FROM_CLIENT:
        rc = check_client_batch(a, it, e);
        break;
    case LOG_FROM_LEADER:
        rc = batch_check(a->data + it->at, a->n - it->at, &it->h, e);
        break;
    default:
        rc = batch_header_decode(a->data + it->at, a->n - it->at, &it->h, e);
        break;
    }
    if (rc)
        return rc;
    if (batch_size(&it->h) > a->n - it->at)
        return err_set(e, ERR_TRUNCATED, "a batch of %zu bytes ends beyond the append", batch_size(&it->h));
    it->control = (it->h.attributes & BATCH_CONTROL) && it->h.producer_id >= 0;
    if (it->control && it->h.record_count == 0) { /* a leader's that was emptied by compaction */
        it->marker_type = MARKER_COMMIT;
        it->coordinator_epoch = -1;
    } else if (it->control) {
        rc = marker_decode(a->data + it->at, batch_size(&it->h), &it->marker_type, &it->coordinator_epoch, e);
    } else if (a->keyed && a->args->origin != LOG_FROM_LEADER) {
        rc = each_record(a, it, check_key, e);
    }
    return rc;
}

static int read_items(struct append *a, struct err *e)
{
    size_t at = 0;
    int rc = a->n ? ERR_OK : err_set(e, ERR_INVALID, "nothing to append");
    while (at < a->n && rc == ERR_OK) {
        struct item *it;
        rc = add_item(a, &it, e);
        if (rc)
            break;
        it->at = at;
        rc = read_item(a, it, e);
        if (rc == ERR_OK)
            at += batch_size(&it->h);
    }
    return rc;
}

/* Offsets and epochs; a leader's are kept and must follow ours. */
static int assign_offsets(struct append *a, struct err *e)
{
    struct log *log = a->log;
    int64_t next = log->end;
    a->max_timestamp = -1;
    for (size_t i = 0; i < a->count; i++) {
        struct item *it = &a->items[i];
        if (a->args->origin == LOG_FROM_LEADER) {
            if (it->h.base_offset < next || it->h.base_offset > STORAGE_OFFSET_MAX)
                return err_set(e, ERR_INVALID,
                               "%s: batch at offset %" PRId64 ", at least %" PRId64 " is next", log->name,
                               it->h.base_offset, next);
        } else {
            it->h.base_offset = next;
            it->h.leader_epoch = a->args->leader_epoch;
            batch_assign(a->data + it->at, next, a->args->leader_epoch);
            if (a->args->log_append_time && !(it->h.attributes & BATCH_CONTROL)) {
                batch_set_log_append_time(a->data + it->at, a->args->now_ms);
                it->h.attributes |= BATCH_LOG_APPEND_TIME;
                it->h.max_timestamp = a->args->now_ms;
            }
        }
        next = batch_last_offset(&it->h) + 1;
        if (next > STORAGE_OFFSET_MAX)
            return err_set(e, ERR_INVALID, "%s: no offsets are left", log->name);
        if (it->h.max_timestamp > a->max_timestamp)
            a->max_timestamp = it->h.max_timestamp;
    }
    return ERR_OK;
}

/* ---- producers ---- */

static void undo_producers(struct append *a)
{
    pthread_mutex_lock(&a->log->state);
    for (size_t i = a->count; i-- > 0;)
        if (a->items[i].applied)
            producers_undo(a->log->producers, &a->items[i].undo);
    pthread_mutex_unlock(&a->log->state);
}

static int apply_item(struct append *a, struct item *it, const struct producer_batch **duplicate,
                      struct err *e)
{
    static const enum producer_check checks[] = {
        [LOG_FROM_CLIENT] = PRODUCER_STRICT, [LOG_FROM_COORDINATOR] = PRODUCER_EPOCH,
        [LOG_FROM_ADMIN] = PRODUCER_ASKED,   [LOG_FROM_ADMIN_V2] = PRODUCER_BUMPED,
        [LOG_FROM_LEADER] = PRODUCER_TRUST,
    };
    struct producers *p = a->log->producers;
    enum producer_check check = a->args->from_zero ? PRODUCER_FROM_ZERO : checks[a->args->origin];
    int rc;
    *duplicate = NULL;
    if (it->h.producer_id < 0)
        return ERR_OK;
    if (it->control) {
        rc = producers_check_marker(p, &it->h, it->marker_type, it->coordinator_epoch, check, &it->end, e);
        if (rc == ERR_OK)
            producers_apply_marker(p, &it->h, it->coordinator_epoch, &it->undo);
    } else {
        rc = producers_check_data(p, &it->h, check, duplicate, e);
        if (rc == ERR_OK && !*duplicate)
            producers_apply_data(p, &it->h, &it->undo);
    }
    it->applied = rc == ERR_OK && !*duplicate;
    return rc;
}

/* Applies all batches in memory. A duplicate is answered with the offsets of the first time. */
static int apply_producers(struct append *a, struct log_appended *out, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&a->log->state);
    for (size_t i = 0; i < a->count && rc == ERR_OK && !out->duplicate; i++) {
        const struct producer_batch *duplicate;
        rc = apply_item(a, &a->items[i], &duplicate, e);
        if (rc == ERR_OK && duplicate && a->count > 1) {
            rc = err_set(e, ERR_OUT_OF_ORDER_SEQUENCE, "batch %zu of an append was sent before", i + 1);
        } else if (rc == ERR_OK && duplicate) {
            out->duplicate = true;
            out->base_offset = duplicate->last_offset - duplicate->offset_delta;
            out->last_offset = duplicate->last_offset;
            out->append_time = duplicate->timestamp;
        }
    }
    pthread_mutex_unlock(&a->log->state);
    return rc;
}

/* ---- room ---- */

static bool needs_roll(struct append *a, struct segment *s)
{
    const struct log_config *c = &a->log->config;
    const struct item *last = &a->items[a->count - 1];
    if (s->size == 0)
        return batch_last_offset(&last->h) - s->base > INT32_MAX;
    if (s->size + (int64_t)a->n > c->segment_bytes || batch_last_offset(&last->h) - s->base > INT32_MAX)
        return true;
    if (segment_waited(s, a->max_timestamp, a->args->now_ms) > c->segment_ms - s->jitter_ms)
        return true;
    return segment_index_full(s, c->segment_index_bytes);
}

/* Is the place behind a log's end to be its own before it is written? */
static bool reserves(const struct log *log, int64_t need)
{
    return log->config.preallocate ||
           (need > ALLOCATE_FROM && page_cache_sharers(log->page_cache) <= ALLOCATE_LOGS);
}

/*
 * Reserves disk space in growing chunks or all at once: a log that is synced by itself then need not look for some each time. A full disk is met
 * here or by the write, which takes or promises the blocks; in both cases before anything is staged.
 */
static int reserve_space(struct append *a, struct segment *s, int fd, const char *path, struct err *e)
{
    int64_t need = s->size + (int64_t)a->n;
    bool whole = a->log->config.preallocate;
    if (s->allocated < s->size)
        s->allocated = s->size;
    if (need <= s->allocated || !reserves(a->log, need))
        return ERR_OK;
    int64_t chunk = s->size < ALLOCATE_MIN ? ALLOCATE_MIN : s->size < ALLOCATE_MAX ? s->size : ALLOCATE_MAX;
    int64_t to = s->allocated + chunk;
    if (whole || to > a->log->config.segment_bytes)
        to = a->log->config.segment_bytes;
    if (to < need)
        to = need;
    int rc = io_allocate(fd, s->allocated, to - s->allocated, path, e);
    if (rc == ERR_NO_SPACE && to > need) { /* no room to spare; is there enough for this append? */
        to = need;
        rc = io_allocate(fd, s->allocated, to - s->allocated, path, e);
    }
    if (rc == ERR_OK || rc == ERR_UNSUPPORTED)
        s->allocated = to;
    return rc == ERR_UNSUPPORTED ? ERR_OK : rc;
}

/* ---- writing ---- */

static int write_aborted(struct append *a, struct segment *s, int64_t *count, struct err *e)
{
    int rc = ERR_OK;
    *count = 0;
    for (size_t i = 0; i < a->count && rc == ERR_OK; i++) {
        const struct item *it = &a->items[i];
        if (!it->control || !it->end.aborted || it->end.first_offset < 0)
            continue;
        if (s->txn_entries == 0) /* the file may be made now */
            log_names_changed(a->log);
        rc = txnindex_write(s, (*count)++, &it->end, e);
    }
    return rc;
}

static int write_bytes(struct append *a, struct segment *s, struct err *e)
{
    char path[STORAGE_PATH_MAX];
    int fd;
    atomic_store(&s->warm, true);
    int rc = segment_fd(s, FILE_LOG, false, &fd, e);
    if (rc == ERR_OK)
        rc = reserve_space(a, s, fd, segment_path(s, FILE_LOG, path), e);
    if (rc)
        return rc;
    s->data_dirty = true;
    int64_t before = page_cache_before(a->log->page_cache, a->n);
    rc = io_pwrite(fd, a->data, a->n, s->size, path, e);
    page_cache_after(a->log->page_cache, before, a->n);
    if (rc == ERR_OK)
        return ERR_OK;
    /* What was written must not be found by recovery as if it had been acknowledged. */
    struct err cut;
    if (io_truncate(fd, s->size, path, &cut) != ERR_OK) {
        struct err why = *e;
        err_wrap(&why, "%s: a failed append cannot be undone (%s)", a->log->name, cut.text);
        log_fail(a->log, &why);
    }
    s->allocated = s->size;
    return rc;
}

static void publish(struct append *a, struct segment *s, int64_t aborted, struct log_appended *out)
{
    struct log *log = a->log;
    const struct batch_header *last = &a->items[a->count - 1].h;
    if (s->first_ts < 0)
        s->first_ts = a->items[0].h.max_timestamp;
    for (size_t i = 0; i < a->count; i++)
        segment_note_batch(s, &a->items[i].h, s->size + (int64_t)a->items[i].at);
    if (aborted)
        txnindex_publish(s, s->txn_entries + aborted);
    out->base_offset = a->items[0].h.base_offset;
    out->last_offset = batch_last_offset(last);
    out->segment_base = s->base;
    out->position = s->size;
    out->bytes = a->n;
    pthread_mutex_lock(&log->state);
    for (size_t i = 0; i < a->count; i++)
        epochs_assign(&log->epochs, a->items[i].h.leader_epoch, a->items[i].h.base_offset);
    s->size += (int64_t)a->n;
    log->bytes += (int64_t)a->n;
    log->end = batch_last_offset(last) + 1;
    log->first_unstable = producers_first_unstable(log->producers);
    pthread_mutex_unlock(&log->state);
    log->snapshot_lag += (int64_t)a->n;
    log->pristine = false;
}

/* Producers are applied already; on error the caller undoes that. */
static int write_append(struct append *a, bool roll, struct log_appended *out, struct err *e)
{
    struct log *log = a->log;
    int rc = roll ? log_roll_locked(log, &a->snapshot, e) : ERR_OK;
    if (rc)
        return rc;
    struct segment *s = log_active(log);
    int64_t aborted = 0;
    pthread_mutex_lock(&log->state);
    rc = epochs_reserve(&log->epochs, a->count, e);
    pthread_mutex_unlock(&log->state);
    if (rc == ERR_OK)
        rc = segment_reserve_index(s, (uint32_t)a->count, e);
    if (rc == ERR_OK)
        rc = write_aborted(a, s, &aborted, e);
    if (rc == ERR_OK)
        rc = write_bytes(a, s, e);
    if (rc == ERR_OK)
        publish(a, s, aborted, out);
    return rc;
}

static int append_locked(struct append *a, struct log_appended *out, struct err *e)
{
    struct log *log = a->log;
    int rc = log_check_usable(log, e);
    if (rc == ERR_OK && (int64_t)a->n > log->config.segment_bytes)
        rc = err_set(e, ERR_OVER_SEGMENT, "an append of %zu bytes is larger than segment.bytes %" PRId64,
                     a->n, log->config.segment_bytes);
    if (rc == ERR_OK)
        rc = assign_offsets(a, e);
    /* From here on no reader that leaves closes the files: descriptors are used after the segment's lock was let go. */
    atomic_store(&log_active(log)->warm, true);
    if (rc == ERR_OK)
        rc = segment_first_timestamp(log_active(log), e);
    if (rc)
        return rc;
    bool roll = needs_roll(a, log_active(log));
    if (roll)
        rc = log_encode_snapshot(log, &a->snapshot, e);
    if (rc == ERR_OK)
        rc = apply_producers(a, out, e);
    if (rc == ERR_OK && !out->duplicate)
        rc = write_append(a, roll, out, e);
    if (rc)
        undo_producers(a);
    return rc;
}

int log_append(struct log *log, void *data, size_t n, const struct log_append_args *args,
               struct log_appended *out, struct err *e)
{
    struct append a = {.log = log, .args = args, .data = data, .n = n, .cap = INLINE_BATCHES};
    a.items = a.few;
    buf_init(&a.scratch, BATCH_MAX_INFLATED);
    buf_init(&a.snapshot, SNAPSHOT_MAX);
    *out = (struct log_appended){.base_offset = -1, .last_offset = -1, .append_time = -1};
    pthread_mutex_lock(&log->state);
    a.keyed = log->config.cleanup_compact;
    pthread_mutex_unlock(&log->state);
    int rc = read_items(&a, e);
    if (rc == ERR_OK) {
        pthread_mutex_lock(&log->append);
        rc = append_locked(&a, out, e);
        pthread_mutex_unlock(&log->append);
    }
    if (rc == ERR_OK) {
        if (args->log_append_time && !out->duplicate && args->origin != LOG_FROM_LEADER)
            out->append_time = args->now_ms;
        out->log_start_offset = log_start_offset(log);
    }
    if (a.items != a.few)
        mem_free(a.items);
    buf_free(&a.scratch);
    buf_free(&a.snapshot);
    return rc;
}
