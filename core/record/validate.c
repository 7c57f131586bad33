/*
 * validate: what a broker checks in a batch that a client sent. Every record is walked. No state; any thread.
 */
#include "record/header.h"

static int check_headers(const struct record *r, struct err *e)
{
    struct slice left = r->headers;
    struct record_header h;
    int32_t count = 0;
    int rc;
    while ((rc = record_next_header(&left, &h, e)) == ERR_OK)
        count++;
    if (rc != ERR_END)
        return err_wrap(e, "offset %lld", (long long)r->offset);
    if (count != r->header_count)
        return err_set(e, ERR_CORRUPT, "offset %lld: %d headers, %d announced", (long long)r->offset, count,
                       r->header_count);
    return ERR_OK;
}

/* What makes a batch fit to get offsets: a compacted batch need not have it. */
static int check_as_new(const struct batch_header *h, struct err *e)
{
    if (h->record_count == 0)
        return err_set(e, ERR_INVALID_RECORD, "batch without records");
    if (h->record_count - 1 != h->last_offset_delta)
        return err_set(e, ERR_INVALID_RECORD, "%d records in %lld offsets", h->record_count,
                       (long long)h->last_offset_delta + 1);
    if (h->producer_id >= 0 && h->base_sequence < 0 && !(h->attributes & BATCH_CONTROL))
        return err_set(e, ERR_INVALID_RECORD, "producer %lld with sequence %d", (long long)h->producer_id,
                       h->base_sequence);
    return ERR_OK;
}

/* Offsets need no check beyond the iterator's: `count` rising ones in `count` offsets have no gap. */
static int walk(const void *data, size_t n, struct buf *scratch, int64_t *largest, struct err *e)
{
    struct batch_iter it;
    struct record r;
    int64_t max_timestamp = INT64_MIN;
    int rc = batch_iter_init(&it, data, n, scratch, e);
    if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED) /* nothing but unpacking is done so far */
        return e->code = ERR_UNSUPPORTED_COMPRESSION;
    if (rc != ERR_OK)
        return rc;
    while ((rc = batch_iter_next(&it, &r, e)) == ERR_OK) {
        if (r.timestamp > max_timestamp)
            max_timestamp = r.timestamp;
        if (r.header_count && (rc = check_headers(&r, e)) != ERR_OK)
            return rc;
    }
    if (rc != ERR_END)
        return rc;
    if (it.header.record_count)
        *largest = max_timestamp;
    err_clear(e);
    return ERR_OK;
}

int batch_validate(const void *data, size_t n, bool strict_offsets, struct buf *scratch,
                   struct batch_header *h, struct err *e)
{
    int rc = header_parse(data, n, h, e);
    if (rc == ERR_OK)
        rc = header_verify(data, n, h, e);
    if (rc == ERR_TRUNCATED)
        return e->code = ERR_INVALID_RECORD;
    if (rc == ERR_OK && strict_offsets)
        rc = check_as_new(h, e);
    if (rc != ERR_OK)
        return rc;
    int64_t largest = h->max_timestamp;
    rc = walk(data, n, scratch, &largest, e);
    if (rc == ERR_OK && largest != h->max_timestamp && !strict_offsets)
        return err_set(e, ERR_INVALID_RECORD, "max timestamp is %lld, header says %lld", (long long)largest,
                       (long long)h->max_timestamp);
    h->max_timestamp = largest;
    /* The CRC was right: the sender wrote it so, and sending it again won't help, as "corrupt" would tell it.
     */
    if (rc == ERR_CORRUPT || rc == ERR_TRUNCATED)
        rc = e->code = ERR_INVALID_RECORD;
    return rc;
}
