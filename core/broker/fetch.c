/*
 * fetch: finding what is stored, for readers. Any thread; takes no partition's lock once its log is open.
 */
#include "broker/fetch.h"

#include "base/mem.h"
#include "broker/open_files.h"
#include "broker/store.h"

int open_held(struct broker *b, struct partition *p, struct log **log, struct err *e)
{
    int rc = partition_open(b, p, false, log, e);
    if (!rc) {
        open_files_used(b, p);
        open_files_make_room(b);
    }
    return rc;
}

/* A partition that was never written to reads as an empty log. */
int hold_log(struct broker *b, const char *topic, int32_t partition, struct partition **p, struct log **log,
             struct err *e)
{
    int rc = topic_acquire(b, topic, partition, p, e);
    if (!rc && (rc = open_held(b, *p, log, e)))
        partition_release(&b->topics, *p);
    return rc;
}

int read_ended(struct partition *p, struct log *log, int rc, const struct err *e)
{
    if (rc == ERR_IO)
        disk_suspect_read(p->disk, log, e);
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
        rc = read_ended(p, log, log_locate(log, offset, max_bytes, isolation, out, e), e);
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
        rc = read_ended(p, log, log_aborted(log, from, to, list, n, e), e);
    partition_release(&b->topics, p);
    return rc;
}

int broker_read(struct broker *b, const char *topic, int32_t partition, const struct log_range *range,
                size_t from, void *dst, size_t n, struct err *e)
{
    struct partition *p;
    struct err gone;
    int rc = log_range_read(range, from, dst, n, e);
    if (rc != ERR_IO || topic_acquire(b, topic, partition, &p, &gone))
        return rc;
    struct log *log = partition_log(p);
    if (log && log_holds(log, range)) /* else the topic was made anew meanwhile */
        read_ended(p, log, rc, e);
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
        rc = read_ended(p, log, list_offset(log, timestamp, isolation, offset, found_ts, e), e);
    } else {
        *offset = timestamp == -1 || timestamp == -2 ? 0 : -1;
        *found_ts = -1;
    }
    partition_release(&b->topics, p);
    return rc;
}
