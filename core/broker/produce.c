/*
 * produce: appends by clients and by the process itself. Each request of a non-atomic call stands alone and is split
 * at batch boundaries where it is larger than a journal record should be; an atomic one is a single group.
 */
#include <string.h>

#include "base/mem.h"
#include "broker/admit.h"
#include "broker/group.h"
#include "broker/open_files.h"
#include "broker/quota.h"
#include "broker/store.h"
#include "broker/txn.h"

/* A request is cut into appends of about this much. */
enum { PIECE_BYTES = 4 << 20 };
/* Larger ones keep who appends for so long that an event loop should not be it; packed ones are inflated to be looked at. */
enum { SHORT_BYTES = 2 << 20, SHORT_PACKED_BYTES = 256 << 10 };

struct produce_op {
    struct commit_wait wait; /* first; of an asynchronous one only its op is used */
    void (*done)(void *arg, const struct err *e);
    void *arg;
    struct produce_request *requests;
    size_t n;
    struct append *appends;
    size_t used;   /* appends made */
    size_t *rooms; /* broker_produce_try: reserved already, for each request; 0: nothing, or it is used */
};

/* What became of the appends, in their requests; answers the first error. */
static const struct err *settle(struct produce_op *op)
{
    for (size_t i = 0; i < op->used; i++) {
        struct produce_request *r = op->appends[i].owner;
        if (op->appends[i].item.failed && !r->error.code)
            r->error = op->wait.op.error;
    }
    for (size_t i = 0; i < op->n; i++)
        if (op->requests[i].error.code)
            return &op->requests[i].error;
    return NULL;
}

static void op_free(struct produce_op *op)
{
    mem_free(op->rooms);
    mem_free(op->appends);
    mem_free(op);
}

static void async_done(struct commit_op *done)
{
    static const struct err none;
    struct produce_op *op = (struct produce_op *)done;
    const struct err *first = settle(op);
    op->done(op->arg, first ? first : &none);
    op_free(op);
}

/* ---- what a request holds ---------------------------------------------------------------------------------------- */

struct content {
    struct partition *p; /* held until the end of the call */
    struct admitted admitted;
    size_t batches;
    bool transactional;
    int64_t producer_id;
    int16_t epoch;
};

/* What its sender wrote wrong is an invalid record: sending it again, as "corrupt" tells a client to, does not help. */
static int decode_header(const uint8_t *batch, size_t n, struct batch_header *h, struct err *e)
{
    int rc = batch_header_decode(batch, n, h, e);
    if (rc != ERR_CORRUPT)
        return rc;
    return e->code = (batch[22] & BATCH_CODEC_MASK) >= CODEC_COUNT ? ERR_UNSUPPORTED_COMPRESSION
                                                                   : ERR_INVALID_RECORD;
}

static int check_content(const struct produce_request *r, struct content *c, struct err *e)
{
    c->producer_id = -1;
    if (r->bytes == 0)
        return err_set(e, ERR_INVALID_RECORD, "nothing to append");
    for (size_t at = 0; at < r->bytes; c->batches++) {
        struct batch_header h;
        int rc = decode_header((uint8_t *)r->data + at, r->bytes - at, &h, e);
        if (rc)
            return rc;
        if (batch_size(&h) > r->bytes - at)
            return err_set(e, ERR_TRUNCATED, "a batch of %zu bytes in %zu", batch_size(&h), r->bytes - at);
        if (h.base_offset != 0 && !r->built_here)
            return err_set(e, ERR_INVALID_RECORD, "a producer's batch begins with offset 0, not %lld",
                           (long long)h.base_offset);
        if (h.attributes & BATCH_CONTROL)
            return err_set(e, ERR_INVALID_RECORD, "control batches are the coordinator's to write");
        if (h.attributes & BATCH_TRANSACTIONAL) {
            if (c->transactional && (c->producer_id != h.producer_id || c->epoch != h.producer_epoch))
                return err_set(e, ERR_INVALID_RECORD, "batches of two transactions in one request");
            c->transactional = true;
            c->producer_id = h.producer_id;
            c->epoch = h.producer_epoch;
        }
        at += batch_size(&h);
    }
    return ERR_OK;
}

/* End of the piece that begins at `from`: as many whole batches as fit, at least one. */
static size_t piece_end(const struct produce_request *r, size_t from)
{
    size_t end = from;
    while (end < r->bytes) {
        size_t size = be32((uint8_t *)r->data + end + 8) + BATCH_LENGTH_PREFIX;
        if (end > from && end - from + size > PIECE_BYTES)
            break;
        end += size;
    }
    return end;
}

static size_t piece_count(const struct produce_request *r)
{
    size_t n = 0;
    for (size_t at = 0; at < r->bytes; n++)
        at = piece_end(r, at);
    return n;
}

static enum log_origin origin_of(const struct produce_request *r, const struct partition *p)
{
    return r->built_here ? append_origin_built_here(p) : LOG_FROM_CLIENT;
}

/* ---- one request ------------------------------------------------------------------------------------------------- */

/*
 * A producer sends several batches ahead. When one was refused for want of room those behind it have a gap before them: they are refused for
 * the same reason, as by Kafka, whose directory is offline then. librdkafka would take the gap for a broker that lost records, and give up.
 */
static int gap_of_full_disk(struct disk *d, struct err *e)
{
    return atomic_load(&d->full)
               ? err_set(e, ERR_NO_SPACE, "%s is full: a batch before this one was refused", d->dir)
               : e->code;
}

/* The transaction, if there is one, is held while its batch goes into the log, so that it cannot end meanwhile. */
static int append_piece(struct broker *b, struct append *a, const struct content *c,
                        struct produce_request *r, size_t reserved, struct commit_op *op, struct err *e)
{
    struct txn *t = NULL;
    int rc = c->transactional
                 ? txn_hold(b, r->transactional_id, c->producer_id, c->epoch, r->topic, r->partition, &t, e)
                 : ERR_OK;
    if (rc) {
        commit_unreserve(a->item.p->disk->commit, reserved);
        r->by_coordinator = true;
        return rc;
    }
    rc = group_append(b, a, 1, reserved, op, e);
    if (t)
        txn_let_go(t);
    return rc == ERR_OUT_OF_ORDER_SEQUENCE ? gap_of_full_disk(a->item.p->disk, e) : rc;
}

static void merge_result(struct produce_request *r, const struct append *a, bool first)
{
    if (first)
        r->appended = a->appended;
    r->appended.last_offset = a->appended.last_offset;
    if (!first)
        r->appended.bytes += a->appended.bytes;
}

/* Room for the append; what was reserved ahead is it, unless the topic's durability has changed since. */
static int reserve_room(struct produce_op *op, const struct produce_request *r, struct disk *d, size_t room,
                        struct err *e)
{
    size_t *ahead = op->rooms ? &op->rooms[r - op->requests] : NULL;
    size_t have = ahead ? *ahead : 0;
    if (ahead)
        *ahead = 0;
    if (ahead && have == room)
        return ERR_OK;
    commit_unreserve(d->commit, have);
    return disk_reserve(d, room, COMMIT_DATA, e);
}

static int produce_one(struct broker *b, struct produce_op *op, struct produce_request *r,
                       const struct content *c, struct err *e)
{
    struct partition *p = c->p;
    int rc = ERR_OK;
    for (size_t at = 0, end; !rc && at < r->bytes; at = end) {
        struct append *a = &op->appends[op->used];
        end = piece_end(r, at);
        partition_hold(p);
        size_t room = append_prepare(a, p, (uint8_t *)r->data + at, end - at, origin_of(r, p));
        a->owner = r;
        a->from_zero = r->txn_joined && c->transactional;
        a->refused = r->refused;
        rc = reserve_room(op, r, p->disk, room, e);
        if (!rc)
            rc = append_piece(b, a, c, r, room, &op->wait.op, e);
        if (rc) {
            partition_release(&b->topics, p);
        } else {
            merge_result(r, a, at == 0);
            op->used++;
        }
    }
    return rc;
}

static void produce_each(struct broker *b, struct produce_op *op, const struct content *contents)
{
    for (size_t i = 0; i < op->n; i++) {
        struct produce_request *r = &op->requests[i];
        struct err e;
        if (!r->error.code && produce_one(b, op, r, &contents[i], &e))
            r->error = e;
    }
}

/* ---- a group ------------------------------------------------------------------------------------------------------ */

/* The part of a group that lies on one disk: all of it, where there is one. */
struct part {
    struct append *appends; /* their partitions are held */
    size_t n, room;
};

/*
 * Batches of a transaction are part of it in every partition, and it is held while they go into the logs, as it must not
 * end meanwhile. A group has at most one.
 */
static int hold_group_txn(struct broker *b, const struct produce_op *op, const struct part *part,
                          const struct content *contents, struct txn **t, struct err *e)
{
    const struct content *first = NULL;
    int rc = ERR_OK;
    *t = NULL;
    for (size_t i = 0; !rc && i < part->n; i++) {
        const struct produce_request *r = part->appends[i].owner;
        const struct content *c = &contents[r - op->requests];
        if (!c->transactional)
            continue;
        if (!first)
            rc = txn_hold(b, r->transactional_id, c->producer_id, c->epoch, r->topic, r->partition, t, e);
        else if (first->producer_id != c->producer_id || first->epoch != c->epoch)
            rc = err_set(e, ERR_INVALID_RECORD, "batches of two transactions in one group");
        else if (!txn_parts_have(&(*t)->parts, r->topic, r->partition))
            rc = err_set(e, ERR_INVALID_TXN_STATE, "%s-%d is not part of the transaction of %s", r->topic,
                         r->partition, (*t)->id);
        first = first ? first : c;
    }
    if (rc && *t) {
        txn_let_go(*t);
        *t = NULL;
    }
    return rc;
}

static int append_part(struct broker *b, struct produce_op *op, const struct part *part,
                       const struct content *contents, struct err *e)
{
    struct disk *d = part->appends[0].item.p->disk;
    struct txn *t;
    int rc = disk_reserve(d, part->room, COMMIT_DATA, e);
    if (rc)
        return rc;
    if ((rc = hold_group_txn(b, op, part, contents, &t, e))) {
        commit_unreserve(d->commit, part->room);
        return rc;
    }
    rc = group_append(b, part->appends, part->n, part->room, &op->wait.op, e);
    if (t)
        txn_let_go(t);
    return rc;
}

/* What lies on the disk becomes appends. */
static struct part gather_part(struct produce_op *op, const struct content *contents, const struct disk *d)
{
    struct part part = {.appends = &op->appends[op->used]};
    for (size_t i = 0; i < op->n; i++) {
        struct produce_request *r = &op->requests[i];
        struct partition *p = contents[i].p;
        if (p->disk != d)
            continue;
        struct append *a = &part.appends[part.n++];
        partition_hold(p);
        part.room += append_prepare(a, p, r->data, r->bytes, origin_of(r, p));
        a->owner = r;
        a->refused = r->refused;
    }
    return part;
}

/* Disk by disk; after a part that fails the others are not begun. */
static int append_parts(struct broker *b, struct produce_op *op, const struct content *contents,
                        struct err *e)
{
    int rc = ERR_OK;
    for (size_t d = 0; !rc && d < b->disk_count; d++) {
        struct part part = gather_part(op, contents, b->disks[d]);
        if (part.n == 0)
            continue;
        if ((rc = append_part(b, op, &part, contents, e))) {
            for (size_t i = 0; i < part.n; i++)
                partition_release(&b->topics, part.appends[i].item.p);
            break;
        }
        op->used += part.n;
        for (size_t i = 0; i < part.n; i++)
            ((struct produce_request *)part.appends[i].owner)->appended = part.appends[i].appended;
    }
    return rc;
}

static void produce_group(struct broker *b, struct produce_op *op, const struct content *contents)
{
    struct err e;
    if (append_parts(b, op, contents, &e) == ERR_OK)
        return;
    for (size_t i = 0; i < op->n; i++) /* what was not made says why; on one disk that is all */
        if (op->requests[i].appended.base_offset < 0)
            op->requests[i].error = e;
}

/* ---- entry points -------------------------------------------------------------------------------------------------- */

static int take_in(struct broker *b, struct produce_request *r, const struct produce_request *before,
                   struct content *c, struct err *e)
{
    int rc = topic_is_internal(r->topic)
                 ? err_set(e, ERR_INVALID_TOPIC, "\"%s\" is written by the coordinators only", r->topic)
                 : topic_acquire(b, r->topic, r->partition, &c->p, e);
    if (!rc)
        rc = check_content(r, c, e);
    return rc ? rc : admit_begin(b, c->p, r, before, &c->admitted, e);
}

/* Where the log begins that refused something: a producer that lost track looks at it (KIP-360). */
static void tell_start(struct broker *b, struct produce_request *r, struct partition *p)
{
    struct err e;
    struct log *log;
    if (r->error.code == ERR_OK || p == NULL || r->by_coordinator ||
        partition_open(b, p, false, &log, &e) != ERR_OK)
        return;
    r->appended.log_start_offset = log != NULL ? log_start_offset(log) : 0;
}

static void let_go(struct broker *b, struct produce_request *requests, size_t n, struct content *contents)
{
    for (size_t i = 0; i < n; i++) {
        admit_end(&requests[i], &contents[i].admitted);
        if (contents[i].p)
            partition_release(&b->topics, contents[i].p);
    }
    mem_free(contents);
}

/*
 * Whether the append of what is taken in waits for nothing but short locks: its log is open, and nothing that takes long has to be
 * done to its batches. Of a transaction the coordinator may have to be asked.
 */
static bool is_short(const struct produce_request *r, const struct content *c)
{
    const struct topic_settings *s = topic_settings(c->p->topic);
    enum codec codec = r->bytes >= BATCH_HEADER_SIZE ? ((const uint8_t *)r->data)[22] & BATCH_CODEC_MASK : 0;
    return partition_log(c->p) && !quota_is_set(s) && (s->synced || s->flush_messages == INT64_MAX) &&
           (s->codec == CODEC_COUNT || s->codec == codec) && !c->transactional &&
           r->bytes <= (codec == CODEC_NONE ? SHORT_BYTES : SHORT_PACKED_BYTES);
}

/* What a short append holds before it is made. */
static int take_in_short(struct broker *b, struct produce_request *r, struct content *c, bool *is_long,
                         struct err *e)
{
    int rc =
        topic_is_internal(r->topic) ? ERR_INVALID_TOPIC : topic_acquire(b, r->topic, r->partition, &c->p, e);
    if (!rc)
        rc = check_content(r, c, e);
    *is_long |= rc || !is_short(r, c); /* errors are found by the other way, too */
    return rc;
}

/* One piece each, all on one disk, so that room is reserved at once. */
static bool reserve_ahead(struct produce_op *op, const struct content *contents)
{
    struct disk *d = op->n > 0 ? contents[0].p->disk : NULL;
    for (size_t i = 0; i < op->n; i++) {
        struct append unused;
        const struct produce_request *r = &op->requests[i];
        if (contents[i].p->disk != d)
            return false;
        op->rooms[i] = append_prepare(&unused, contents[i].p, r->data, r->bytes, LOG_FROM_CLIENT);
    }
    return d == NULL || (disk_in_service(d) && commit_try_reserve(d->commit, op->rooms, op->n));
}

static void begin_request(struct produce_request *r)
{
    err_clear(&r->error);
    r->by_coordinator = false;
    r->appended = (struct log_appended){.base_offset = -1, .last_offset = -1, .log_start_offset = -1};
}

static struct produce_op *op_new(struct broker *b, struct produce_request *requests, size_t n, bool atomic,
                                 struct content *contents)
{
    struct produce_op *op = mem_calloc(1, sizeof *op);
    size_t pieces = 0;
    for (size_t i = 0; i < n; i++) {
        struct err e;
        begin_request(&requests[i]);
        if (take_in(b, &requests[i], i ? &requests[i - 1] : NULL, &contents[i], &e))
            requests[i].error = e;
        else
            pieces += atomic ? 1 : piece_count(&requests[i]);
    }
    if (op && !(op->appends = mem_calloc(pieces + 1, sizeof *op->appends))) {
        mem_free(op);
        return NULL;
    }
    if (op) {
        op->requests = requests;
        op->n = n;
    }
    return op;
}

/* What flush.messages asks for, before any of it is acknowledged. */
static void flush_staged(struct broker *b, struct produce_op *op)
{
    for (size_t i = 0; i < op->used; i++) {
        struct produce_request *r = op->appends[i].owner;
        struct err e;
        if (group_flush(b, &op->appends[i], 1, &e) && !r->error.code)
            r->error = e;
    }
}

static bool all_well(const struct produce_request *requests, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if (requests[i].error.code) {
            *e = requests[i].error;
            return false;
        }
    return true;
}

/* Makes the operation; `contents` are freed by produce_append. NULL: no memory, said in every request and `e`. */
static struct produce_op *op_begin(struct broker *b, struct produce_request *requests, size_t n, bool atomic,
                                   struct content **contents, struct err *e)
{
    open_files_make_room(b);
    *contents = mem_calloc(n + 1, sizeof **contents);
    struct produce_op *op = *contents ? op_new(b, requests, n, atomic, *contents) : NULL;
    if (op)
        return op;
    err_nomem(e);
    for (size_t i = 0; i < n; i++)
        requests[i].error = *e;
    if (*contents)
        let_go(b, requests, n, *contents);
    return NULL;
}

static void produce_append(struct broker *b, struct produce_op *op, bool atomic, struct content *contents)
{
    struct err e;
    if (!atomic)
        produce_each(b, op, contents);
    else if (op->n > 0 && all_well(op->requests, op->n, &e))
        produce_group(b, op, contents);
    for (size_t i = 0; i < op->n; i++)
        tell_start(b, &op->requests[i], contents[i].p);
    let_go(b, op->requests, op->n, contents);
    flush_staged(b, op);
}

void broker_produce_async(struct broker *b, struct produce_request *requests, size_t n, bool atomic,
                          void (*done)(void *arg, const struct err *e), void *arg)
{
    struct err e;
    struct content *contents;
    struct produce_op *op = op_begin(b, requests, n, atomic, &contents, &e);
    if (!op) {
        done(arg, &e);
        return;
    }
    commit_op_init(&op->wait.op, async_done);
    op->done = done;
    op->arg = arg;
    produce_append(b, op, atomic, contents);
    commit_op_finish(&op->wait.op, NULL);
}

/* Everything is let go of again if it is not to be done here. */
static struct produce_op *try_begin(struct broker *b, struct produce_request *requests, size_t n,
                                    struct content *contents)
{
    struct produce_op *op = mem_calloc(1, sizeof *op);
    bool is_long = !op;
    for (size_t i = 0; i < n && !is_long; i++) {
        struct err e;
        begin_request(&requests[i]);
        take_in_short(b, &requests[i], &contents[i], &is_long, &e);
    }
    if (!is_long) {
        op->requests = requests;
        op->n = n;
        op->rooms = mem_calloc(n + 1, sizeof *op->rooms);
        op->appends = mem_calloc(n + 1, sizeof *op->appends);
        if (op->rooms && op->appends && reserve_ahead(op, contents))
            return op;
    }
    let_go(b, requests, n, contents);
    if (op)
        op_free(op);
    return NULL;
}

bool broker_produce_try(struct broker *b, struct produce_request *requests, size_t n,
                        void (*done)(void *arg, const struct err *e), void *arg)
{
    struct content *contents = open_files_short(b) ? NULL : mem_calloc(n + 1, sizeof *contents);
    struct produce_op *op = contents ? try_begin(b, requests, n, contents) : NULL;
    if (!op)
        return false;
    commit_op_init(&op->wait.op, async_done);
    op->wait.op.pushed = true;
    op->done = done;
    op->arg = arg;
    produce_append(b, op, false, contents);
    commit_op_finish(&op->wait.op, NULL);
    return true;
}

void broker_produce_push(struct broker *b)
{
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit) /* a missing directory has none */
            commit_push(b->disks[i]->commit);
}

int broker_produce(struct broker *b, struct produce_request *requests, size_t n, bool atomic, struct err *e)
{
    struct content *contents;
    struct produce_op *op = op_begin(b, requests, n, atomic, &contents, e);
    if (!op)
        return e->code;
    commit_wait_init(&op->wait);
    op->wait.op.lingers = n > 1 || (n == 1 && !atomic && requests->bytes > PIECE_BYTES);
    produce_append(b, op, atomic, contents);
    struct err unused; /* of the stage: it is in the requests that it concerns */
    commit_wait_for(&op->wait, &unused);
    const struct err *first = settle(op);
    int rc = first ? first->code : ERR_OK;
    if (first)
        *e = *first;
    op_free(op);
    return rc;
}

size_t broker_atomic_max(const struct broker *b)
{
    return commit_capacity(b->disks[0]->commit);
}
