/*
 * reader: partitions that are looked at again and again (a fetch session's), and leader epochs as readers ask for them. Any
 * thread.
 */
#include "base/io.h"
#include "broker/fetch.h"
#include "broker/open_files.h"
#include "broker/store.h"

int broker_partition_find(struct broker *b, const char *topic, const struct uuid *id, int32_t partition,
                          struct partition **out, struct err *e)
{
    struct topic_brief t;
    int rc = ERR_OK;
    *out = NULL;
    if (topic[0] == '\0') {
        rc = broker_topic_by_id(b, id, &t, e);
        topic = t.name;
    }
    if (rc || (rc = topic_acquire(b, topic, partition, out, e)))
        return rc;
    topic_ref((*out)->topic);
    partition_release(&b->topics, *out);
    return ERR_OK;
}

void broker_partition_let_go(struct partition *p)
{
    if (p)
        topic_unref(p->topic);
}

const char *broker_partition_topic(const struct partition *p)
{
    return p->topic->name;
}

/* ---- leader epochs ------------------------------------------------------------------------------------------------ */

int broker_check_epoch(int32_t current, int32_t asked, struct err *e)
{
    if (asked < 0 || asked == current)
        return ERR_OK;
    return err_set(e, asked < current ? ERR_FENCED_EPOCH : ERR_UNKNOWN_EPOCH, "leader epoch %d, not %d",
                   current, asked);
}

/* Of a log, NULL where there is none yet. The current epoch ends where the log does, also when it wrote nothing. */
static void epoch_end(struct log *log, int32_t current, int32_t epoch, int32_t *found, int64_t *end)
{
    *found = *end = -1;
    if (epoch == current) {
        *found = current;
        *end = log ? log_end_offset(log) : 0;
    } else if (log && epoch < current) {
        log_epoch_end(log, epoch, found, end);
    }
}

int broker_leader_epoch(struct broker *b, const char *topic, int32_t partition, int32_t *epoch, struct err *e)
{
    struct partition *p;
    int rc = topic_acquire(b, topic, partition, &p, e);
    if (rc)
        return rc;
    rc = partition_epoch(p, epoch, e);
    partition_release(&b->topics, p);
    return rc;
}

int broker_epoch_at(struct broker *b, const char *topic, int32_t partition, int64_t offset, int32_t *epoch,
                    struct err *e)
{
    struct partition *p;
    struct log *log;
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log && offset < log_end_offset(log))
        *epoch = log_epoch_at(log, offset);
    else
        rc = partition_epoch(p, epoch, e);
    partition_release(&b->topics, p);
    return rc;
}

int broker_epoch_end(struct broker *b, const char *topic, int32_t partition, int32_t epoch, int32_t *found,
                     int64_t *end, struct err *e)
{
    struct partition *p;
    struct log *log;
    int32_t current;
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (!(rc = partition_epoch(p, &current, e)))
        epoch_end(log, current, epoch, found, end);
    partition_release(&b->topics, p);
    return rc;
}

/* ---- a look ------------------------------------------------------------------------------------------------------- */

/*
 * Whether what the reader read last is what is here. Where it is not it learns from where on, with no error: it goes back
 * by itself (KIP-320, Fetch 12).
 */
static int check_last_epoch(struct log *log, int32_t current, const struct partition_ask *ask,
                            struct partition_look *out, struct err *e)
{
    int32_t found;
    int64_t end;
    if (ask->last_epoch < 0)
        return ERR_OK;
    epoch_end(log, current, ask->last_epoch, &found, &end);
    if (found < 0 || end < 0)
        return err_set(e, ERR_OFFSET_OUT_OF_RANGE, "where leader epoch %d ended is not known",
                       ask->last_epoch);
    if (ask->offset < out->at.start)
        return err_set(e, ERR_OFFSET_OUT_OF_RANGE, "offset %lld is before the log's start %lld",
                       (long long)ask->offset, (long long)out->at.start);
    if (found < ask->last_epoch || end < ask->offset) {
        out->diverging_epoch = found;
        out->diverging_end = end;
    }
    return ERR_OK;
}

static int look(struct partition *p, struct log *log, const struct partition_ask *ask,
                struct partition_look *out, struct err *e)
{
    int32_t current;
    out->codec = topic_settings(p->topic)->codec;
    int rc = partition_epoch(p, &current, e);
    if (rc || (rc = broker_check_epoch(current, ask->current_epoch, e)))
        return rc;
    if (log)
        out->at = (struct partition_offsets){log_start_offset(log), log_high_watermark(log),
                                             log_last_stable_offset(log)};
    if ((rc = check_last_epoch(log, current, ask, out, e)) || out->diverging_epoch >= 0)
        return rc;
    int64_t limit = ask->isolation == READ_COMMITTED ? out->at.last_stable : out->at.high_watermark;
    bool outside = ask->offset < out->at.start || ask->offset > limit; /* it may be an error, that is */
    if (log && (outside || (ask->offset < limit && ask->max_bytes > 0)))
        return read_ended(p, log,
                          log_locate(log, ask->offset, ask->max_bytes, ask->isolation, &out->range, e), e);
    if (!log && ask->offset != 0)
        return err_set(e, ERR_OFFSET_OUT_OF_RANGE, "%s-%d is empty, there is no offset %lld", p->topic->name,
                       p->index, (long long)ask->offset);
    return ERR_OK;
}

/* Who does not wait for the disk opens nothing. */
static int open_or_refuse(struct broker *b, struct partition *p, struct log **log, struct err *e)
{
    bool opens = (p->exists && !partition_log(p)) || open_files_short(b);
    return opens && !io_is_patient()
               ? err_set(e, ERR_WOULD_WAIT, "%s-%d is not open", p->topic->name, p->index)
               : open_held(b, p, log, e);
}

int broker_partition_look(struct broker *b, struct partition *p, const struct partition_ask *ask,
                          struct partition_look *out, struct err *e)
{
    struct log *log;
    *out = (struct partition_look){.range = {.fd = -1}, .diverging_epoch = -1, .diverging_end = -1};
    if (!partition_try_hold(&b->topics, p))
        return err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" was deleted", p->topic->name);
    int rc = open_or_refuse(b, p, &log, e);
    if (!rc)
        rc = look(p, log, ask, out, e);
    if (!rc)
        atomic_fetch_add_explicit(&b->fetch_bytes, out->range.bytes, memory_order_relaxed);
    partition_release(&b->topics, p);
    return rc;
}

int broker_partition_aborted(struct broker *b, struct partition *p, int64_t from, int64_t to,
                             struct aborted_txn **list, size_t *n, struct err *e)
{
    struct log *log;
    *list = NULL;
    *n = 0;
    if (!partition_try_hold(&b->topics, p))
        return err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" was deleted", p->topic->name);
    int rc = open_or_refuse(b, p, &log, e);
    if (!rc && log)
        rc = read_ended(p, log, log_aborted(log, from, to, list, n, e), e);
    partition_release(&b->topics, p);
    return rc;
}
