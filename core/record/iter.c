/*
 * iter: walks the records of a batch, inflated into the caller's scratch if need be. Nothing is copied or
 * allocated for a record; every length is checked against the record, every record against the batch. One
 * thread at a time.
 */
#include "record/record.h"

#include "record/varint.h"

/* attributes, timestamp delta, offset delta, key length, value length, header count: a byte each */
#define RECORD_BODY_MIN 6

int batch_iter_init(struct batch_iter *it, const void *batch, size_t n, struct buf *scratch, struct err *e)
{
    int rc = batch_header_decode(batch, n, &it->header, e);
    if (rc != ERR_OK)
        return rc;
    size_t size = batch_size(&it->header);
    if (n < size)
        return err_set(e, ERR_TRUNCATED, "batch at offset %lld has %zu bytes, %zu present",
                       (long long)it->header.base_offset, size, n);
    const uint8_t *payload = (const uint8_t *)batch + BATCH_HEADER_SIZE;
    size_t payload_size = size - BATCH_HEADER_SIZE;
    it->remaining = it->header.record_count;
    it->last_offset = it->header.base_offset - 1;
    /* A batch that compaction emptied has no payload at all, whatever its codec was. */
    if (batch_codec(&it->header) == CODEC_NONE || payload_size == 0) {
        it->left = slice_of(payload, payload_size);
        return ERR_OK;
    }
    buf_reset(scratch);
    rc = codec_decompress(batch_codec(&it->header), payload, payload_size, scratch, e);
    if (rc != ERR_OK)
        return err_wrap(e, "batch at offset %lld", (long long)it->header.base_offset);
    it->left = slice_of(scratch->len ? scratch->data : payload, scratch->len); /* an unused buf has no data */
    return ERR_OK;
}

/* Out of line: keeps the formatting away from the loop over records. */
static int __attribute__((noinline, cold))
bad_record(const struct batch_iter *it, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "batch at offset %lld, record %d: %s", (long long)it->header.base_offset,
                   it->header.record_count - it->remaining, what);
}

static int __attribute__((noinline, cold)) at_end(const struct batch_iter *it, struct err *e)
{
    if (it->left.p != it->left.end)
        return err_set(e, ERR_CORRUPT, "batch at offset %lld: %zu bytes after the last record",
                       (long long)it->header.base_offset, slice_left(&it->left));
    return err_set(e, ERR_END, "end of the batch");
}

/* A length and as many bytes, or -1 and none (then *data is NULL). The byte after them; NULL when they don't
 * fit. */
static inline const uint8_t *nullable_bytes(const uint8_t *p, const uint8_t *end, const uint8_t **data,
                                            int32_t *n)
{
    int64_t length;
    p = varint_load(p, end, &length);
    if (!p || length < -1 || length > end - p)
        return NULL;
    *n = (int32_t)length;
    if (length < 0) {
        *data = NULL;
        return p;
    }
    *data = p;
    return p + length;
}

int batch_iter_next(struct batch_iter *it, struct record *r, struct err *e)
{
    if (it->remaining == 0)
        return at_end(it, e);
    int64_t length, timestamp_delta, offset_delta, headers;
    const uint8_t *p = varint_load(it->left.p, it->left.end, &length);
    if (!p || length < RECORD_BODY_MIN || length > it->left.end - p)
        return bad_record(it, "length", e);
    const uint8_t *end = p + length;
    p = varint_load(p + 1, end, &timestamp_delta); /* after the attributes, of which none is in use */
    if (!p || __builtin_add_overflow(it->header.base_timestamp, timestamp_delta, &r->timestamp))
        return bad_record(it, "timestamp", e);
    if (it->header.attributes & BATCH_LOG_APPEND_TIME)
        r->timestamp = it->header.max_timestamp;
    p = varint_load(p, end, &offset_delta);
    if (!p || offset_delta < 0 || offset_delta > it->header.last_offset_delta)
        return bad_record(it, "offset delta", e);
    r->offset = it->header.base_offset + offset_delta;
    if (r->offset <= it->last_offset)
        return bad_record(it, "offset is not above the one before", e);
    p = nullable_bytes(p, end, &r->key, &r->key_len);
    if (!p)
        return bad_record(it, "key length", e);
    p = nullable_bytes(p, end, &r->value, &r->value_len);
    if (!p)
        return bad_record(it, "value length", e);
    p = varint_load(p, end, &headers);
    if (!p || headers < 0 || headers > (end - p) / 2 || (headers == 0 && p != end))
        return bad_record(it, "header count", e);
    r->header_count = (int32_t)headers;
    r->headers = (struct slice){p, end};
    it->left.p = end;
    it->last_offset = r->offset;
    it->remaining--;
    return ERR_OK;
}

int record_next_header(struct slice *headers, struct record_header *h, struct err *e)
{
    if (headers->p == headers->end)
        return err_set(e, ERR_END, "end of the headers");
    const uint8_t *key;
    const uint8_t *p = nullable_bytes(headers->p, headers->end, &key, &h->key_len);
    if (!p || !key)
        return err_set(e, ERR_CORRUPT, "record header: key length");
    h->key = (const char *)key;
    p = nullable_bytes(p, headers->end, &h->value, &h->value_len);
    if (!p)
        return err_set(e, ERR_CORRUPT, "record header: value length");
    headers->p = p;
    return ERR_OK;
}
