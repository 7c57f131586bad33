/*
 * fetch: finding what is stored, for readers. Any thread; takes no partition's lock once its log is open.
 */
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/open_files.h"
#include "broker/store.h"
#include "broker/upkeep.h"

/* A partition that was never written to reads as an empty log. */
static int hold_log(struct broker *b, const char *topic, int32_t partition, struct partition **p,
                    struct log **log, struct err *e)
{
    int rc = topic_acquire(b, topic, partition, p, e);
    if (!rc && (rc = partition_open(b, *p, false, log, e)))
        partition_release(&b->topics, *p);
    if (!rc) {
        open_files_used(b, *p);
        open_files_make_room(b);
    }
    return rc;
}

int broker_locate(struct broker *b, const char *topic, int32_t partition, int64_t offset, size_t max_bytes,
                  enum isolation isolation, struct log_range *out, struct err *e)
{
    struct partition *p;
    struct log *log;
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log)
        rc = log_locate(log, offset, max_bytes, isolation, out, e);
    else if (offset != 0)
        rc = err_set(e, ERR_OFFSET_OUT_OF_RANGE, "%s-%d is empty, there is no offset %lld", topic, partition,
                     (long long)offset);
    else
        *out = (struct log_range){.fd = -1};
    if (!rc)
        atomic_fetch_add_explicit(&b->fetch_bytes, out->bytes, memory_order_relaxed);
    partition_release(&b->topics, p);
    return rc;
}

int broker_aborted(struct broker *b, const char *topic, int32_t partition, int64_t from, int64_t to,
                   struct aborted_txn **list, size_t *n, struct err *e)
{
    struct partition *p;
    struct log *log;
    *list = NULL;
    *n = 0;
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log)
        rc = log_aborted(log, from, to, list, n, e);
    partition_release(&b->topics, p);
    return rc;
}

static int list_offset(struct log *log, int64_t timestamp, enum isolation isolation, int64_t *offset,
                       int64_t *found_ts, struct err *e)
{
    *found_ts = -1;
    switch (timestamp) {
    case -1:
        *offset = isolation == READ_COMMITTED ? log_last_stable_offset(log) : log_high_watermark(log);
        return ERR_OK;
    case -2:
        *offset = log_start_offset(log);
        return ERR_OK;
    case -3:
        return log_max_timestamp(log, offset, found_ts, e);
    default:
        if (timestamp < 0)
            return err_set(e, ERR_UNSUPPORTED, "there is no special timestamp %lld", (long long)timestamp);
        int rc = log_offset_for_time(log, timestamp, offset, found_ts, e);
        if (!rc && isolation == READ_COMMITTED && *offset >= log_last_stable_offset(log))
            *offset = *found_ts = -1;
        return rc;
    }
}

int broker_list_offset(struct broker *b, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    struct partition *p;
    struct log *log;
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log) {
        rc = list_offset(log, timestamp, isolation, offset, found_ts, e);
    } else {
        *offset = timestamp == -1 || timestamp == -2 ? 0 : -1;
        *found_ts = -1;
    }
    partition_release(&b->topics, p);
    return rc;
}

/*
 * The recovery point goes to disk first: entries of the removed segments may still be in the journal, and recovery
 * passes over those below it.
 */
static int delete_before(struct partition *p, struct log *log, int64_t offset, struct err *e)
{
    int rc = partition_flush(p, e);
    if (!rc)
        rc = checkpoint_recovery(p->disk, e);
    if (!rc)
        rc = log_set_start_offset(log, offset, e);
    if (rc)
        return rc;
    upkeep_poke(p->disk->b, log_next_removal(log));
    return checkpoint_starts(p->disk, e);
}

int broker_delete_records(struct broker *b, const char *topic, int32_t partition, int64_t offset,
                          int64_t *low, struct err *e)
{
    struct partition *p;
    struct log *log;
    if (topic_is_internal(topic))
        return err_set(e, ERR_INVALID_TOPIC, "records of \"%s\" cannot be deleted", topic);
    int rc = hold_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    int64_t watermark = log ? log_high_watermark(log) : 0;
    offset = offset == -1 ? watermark : offset;
    if (offset < 0 || offset > watermark)
        rc = err_set(e, ERR_OFFSET_OUT_OF_RANGE, "%s-%d ends at %lld, records before %lld cannot be deleted",
                     topic, partition, (long long)watermark, (long long)offset);
    /* Also where retention was there before: its deletions are not durable yet, these are to be. */
    if (!rc && log && offset > 0)
        rc = delete_before(p, log, offset, e);
    *low = rc || !log ? 0 : log_start_offset(log);
    partition_release(&b->topics, p);
    return rc;
}
