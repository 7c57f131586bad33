/*
 * embedded_send: pending batches into the broker: flush, commit, abort, and early appends of large transactions.
 *
 * After a failed flush or start of a commit what was not stored stays pending, so that the same call may be made again;
 * abort drops it. What was started is in the log and belongs to the commit stage: its bytes are not needed any more.
 */
#include <string.h>

#include "base/mem.h"
#include "client/embedded_producer.h"

static int finish_all(struct embedded_producer *p, struct err *e)
{
    int rc = ERR_OK;
    for (struct producer_target *t = p->first_target; !rc && t; t = t->next)
        rc = producer_finish_batch(p, t, e);
    return rc;
}

static void fill_requests(struct embedded_producer *p)
{
    for (size_t i = 0; i < p->pending_count; i++) {
        const struct pending *b = &p->pending[i];
        p->requests[i] = (struct produce_request){.topic = b->target->topic,
                                                  .partition = b->target->partition,
                                                  .data = b->data,
                                                  .bytes = b->bytes,
                                                  .built_here = true};
    }
}

static void report(const struct embedded_producer *p, const struct producer_target *t, int64_t base_offset,
                   int32_t records)
{
    if (p->base.delivered)
        p->base.delivered(p->base.delivered_arg, t->topic, t->partition, base_offset, records);
}

static bool of_usual_size(const struct embedded_producer *p, const struct pending *b)
{
    return !b->large && b->target->max_bytes == p->batch.max_bytes;
}

/* Stored batches leave the list; the others keep their order. `early`: to be reported with the transaction's end. */
static void settle(struct embedded_producer *p, bool early)
{
    size_t kept = 0;
    p->pending_bytes = p->pending_records = 0;
    for (size_t i = 0; i < p->pending_count; i++) {
        struct pending *b = &p->pending[i];
        const struct produce_request *r = &p->requests[i];
        if (r->error.code) {
            p->pending_bytes += b->bytes;
            p->pending_records += (size_t)b->records;
            p->pending[kept++] = *b;
            continue;
        }
        b->target->stored_sequence = (int32_t)(((int64_t)b->target->stored_sequence + b->records) &
                                               INT32_MAX); /* wraps after INT32_MAX */
        if (early)
            p->early[p->early_count++] = (struct early){b->target, r->appended.base_offset, b->records};
        else
            report(p, b->target, r->appended.base_offset, b->records);
        producer_recycle(p, b->builder, of_usual_size(p, b));
    }
    p->pending_count = kept;
}

/* Batches were filled for a limit (max.message.bytes) that has been lowered since: a new producer fills smaller ones. */
static void check_limits(const struct embedded_producer *p, struct err *e)
{
    int32_t partitions;
    int64_t max;
    struct err unused;
    for (size_t i = 0; i < p->pending_count && e->code == ERR_TOO_LARGE && !e->retriable; i++)
        e->retriable = broker_topic_limits(p->broker, p->pending[i].target->topic, &partitions, &max,
                                           &unused) == ERR_OK &&
                       (int64_t)p->pending[i].bytes > max;
}

int embedded_flush(struct producer *base, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    if (p->transactional_id)
        return err_set(e, ERR_INVALID_TXN_STATE, "a transactional producer commits instead of flushing");
    int rc = finish_all(p, e);
    if (rc || p->pending_count == 0)
        return rc;
    fill_requests(p);
    /* As one group, so that after an error all of it can be flushed again in its order. */
    rc = broker_produce(p->broker, p->requests, p->pending_count, true, e);
    settle(p, false);
    p->generation++;
    return rc;
}

/* ---- transactions ---------------------------------------------------------------------------------------------------- */

static int join_partitions(struct embedded_producer *p, struct err *e)
{
    struct txn_partition *join = mem_calloc(p->pending_count + 1, sizeof *join);
    size_t n = 0;
    if (!join)
        return err_nomem(e);
    for (size_t i = 0; i < p->pending_count; i++)
        if (!p->pending[i].target->in_txn)
            join[n++] = (struct txn_partition){p->pending[i].target->topic, p->pending[i].target->partition};
    int rc =
        n ? broker_txn_add_partitions(p->broker, p->transactional_id, p->producer_id, p->epoch, join, n, e)
          : ERR_OK;
    mem_free(join);
    if (rc)
        return rc;
    p->txn_open = true;
    for (size_t i = 0; i < p->pending_count; i++)
        p->pending[i].target->in_txn = true;
    return ERR_OK;
}

static int must_abort(struct err *e)
{
    return err_set(e, ERR_INVALID_TXN_STATE,
                   "a part of this transaction could not be stored; it can only be aborted");
}

/* Room to remember all that is pending. */
static int grow_early(struct embedded_producer *p, struct err *e)
{
    size_t need = p->early_count + p->pending_count;
    if (need <= p->early_room)
        return ERR_OK;
    struct early *more = mem_realloc_array(p->early, 2 * need, sizeof *more);
    if (!more)
        return err_nomem(e);
    p->early = more;
    p->early_room = 2 * need;
    return ERR_OK;
}

/* Appends all that was added to the transaction so far. A failure leaves it open, for abort only. */
static int append_early(struct embedded_producer *p, struct err *e)
{
    int rc = p->must_abort ? must_abort(e) : finish_all(p, e);
    if (!rc)
        rc = grow_early(p, e);
    if (rc || p->pending_count == 0 || (rc = join_partitions(p, e)))
        return rc;
    fill_requests(p);
    rc = broker_produce(p->broker, p->requests, p->pending_count, true, e);
    if (rc)
        check_limits(p, e);
    p->must_abort = rc != ERR_OK;
    settle(p, true);
    return rc;
}

int producer_relieve(struct embedded_producer *p, struct err *e)
{
    return p->transactional_id ? append_early(p, e) : embedded_flush(&p->base, e);
}

static void txn_over(struct embedded_producer *p)
{
    p->txn_open = false;
    p->early_count = 0;
    p->generation++;
    for (struct producer_target *t = p->first_target; t; t = t->next)
        t->in_txn = false;
}

/* ---- commits that are on their way ------------------------------------------------------------------------------- */

/* In the thread that ran the round, whosever it is. */
static void landed(void *arg, const struct err *e)
{
    struct flight *f = arg;
    pthread_mutex_lock(&f->lock);
    f->error = *e;
    f->over = true;
    pthread_cond_signal(&f->changed);
    pthread_mutex_unlock(&f->lock);
}

int embedded_commit_wait(struct producer *base, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    struct flight *f = &p->flights[p->flight_first];
    if (p->flight_count == 0)
        return ERR_OK;
    pthread_mutex_lock(&f->lock);
    while (!f->over)
        pthread_cond_wait(&f->changed, &f->lock);
    pthread_mutex_unlock(&f->lock);
    p->flight_first = (p->flight_first + 1) % PRODUCER_IN_FLIGHT;
    p->flight_count--;
    if (f->error.code) {
        *e = p->broken = f->error;
        return e->code;
    }
    for (size_t i = 0; i < f->count; i++)
        report(p, f->stored[i].target, f->stored[i].base_offset, f->stored[i].records);
    return ERR_OK;
}

size_t embedded_in_flight(const struct producer *base)
{
    const struct embedded_producer *p = (const struct embedded_producer *)base;
    return p->flight_count;
}

/* What the transaction holds goes along with its flight, to be told of at its end. */
static void take_off(struct embedded_producer *p, struct flight *f)
{
    settle(p, true);
    struct early *spare = f->stored;
    size_t spare_room = f->room;
    f->stored = p->early;
    f->room = p->early_room;
    f->count = p->early_count;
    p->early = spare;
    p->early_room = spare_room;
    p->flight_count++;
    txn_over(p);
}

int embedded_commit_start(struct producer *base, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    if (!p->transactional_id)
        return err_set(e, ERR_INVALID_TXN_STATE, "this producer has no transactional id to commit with");
    if (p->broken.code) {
        *e = p->broken;
        return e->code;
    }
    int rc = p->must_abort ? must_abort(e) : finish_all(p, e);
    if (rc || (p->pending_count == 0 && !p->txn_open))
        return rc;
    if (p->pending_bytes + REQUEST_MARGIN * p->pending_count > p->cap && (rc = append_early(p, e)))
        return rc;
    if ((rc = grow_early(p, e)))
        return rc;
    if (p->flight_count == PRODUCER_IN_FLIGHT && (rc = embedded_commit_wait(base, e)))
        return rc;
    struct flight *f = &p->flights[(p->flight_first + p->flight_count) % PRODUCER_IN_FLIGHT];
    f->over = false;
    fill_requests(p);
    rc = broker_txn_commit_all_async(p->broker, p->transactional_id, p->producer_id, p->epoch, p->requests,
                                     p->pending_count, landed, f, e);
    if (!rc)
        take_off(p, f);
    else
        check_limits(p, e);
    return rc;
}

void producer_drop_pending(struct embedded_producer *p)
{
    for (size_t i = 0; i < p->pending_count; i++)
        producer_recycle(p, p->pending[i].builder, of_usual_size(p, &p->pending[i]));
    for (struct producer_target *t = p->first_target; t; t = t->next) {
        if (t->large) {
            batch_builder_free(t->builder);
            t->builder = NULL;
            t->large = false;
        } else if (t->builder) {
            batch_builder_reset(t->builder);
        }
        t->sequence = t->stored_sequence;
    }
    p->pending_count = 0;
    p->pending_bytes = p->pending_records = 0;
    p->open_bytes = p->open_records = 0;
}

int embedded_abort(struct producer *base, struct err *e)
{
    struct embedded_producer *p = embedded_of(base);
    producer_drop_pending(p);
    p->must_abort = false;
    if (!p->txn_open)
        return ERR_OK;
    int rc = broker_txn_end(p->broker, p->transactional_id, p->producer_id, p->epoch, false, e);
    if (!rc)
        txn_over(p);
    return rc;
}
