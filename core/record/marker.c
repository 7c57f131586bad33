/*
 * marker: control batches that end a transaction. KIP-98. No state; any thread.
 */
#include "record/header.h"
#include "record/varint.h"

#include <string.h>

#define VERSION 0
#define KEY_BYTES 4   /* version, type */
#define VALUE_BYTES 6 /* version, coordinator epoch */
/* Length, attributes, deltas, header count and the two lengths are a byte each. */
#define MARKER_BYTES (BATCH_HEADER_SIZE + 7 + KEY_BYTES + VALUE_BYTES)

int marker_build(struct buf *out, int64_t producer_id, int16_t producer_epoch, bool commit,
                 int32_t coordinator_epoch, int64_t now_ms, struct err *e)
{
    int rc = buf_reserve(out, MARKER_BYTES, e);
    if (rc != ERR_OK)
        return rc;
    uint8_t *batch = out->data + out->len, *p = batch + BATCH_HEADER_SIZE;
    p = varint_store(p, varint_zigzag(MARKER_BYTES - BATCH_HEADER_SIZE - 1));
    memset(p, 0, 3); /* attributes and the two deltas */
    p = varint_store(p + 3, varint_zigzag(KEY_BYTES));
    put_be16(p, VERSION);
    put_be16(p + 2, commit ? MARKER_COMMIT : MARKER_ABORT);
    p = varint_store(p + KEY_BYTES, varint_zigzag(VALUE_BYTES));
    put_be16(p, VERSION);
    put_be32(p + 2, (uint32_t)coordinator_epoch);
    p[VALUE_BYTES] = 0; /* no headers */
    const struct batch_header h = {
        .batch_length = MARKER_BYTES - BATCH_LENGTH_PREFIX,
        .attributes = BATCH_TRANSACTIONAL | BATCH_CONTROL,
        .base_timestamp = now_ms,
        .max_timestamp = now_ms,
        .producer_id = producer_id,
        .producer_epoch = producer_epoch,
        .base_sequence = -1,
        .record_count = 1,
    };
    header_seal(batch, &h);
    out->len += MARKER_BYTES;
    return ERR_OK;
}

int marker_decode(const void *batch, size_t n, int16_t *type, int32_t *coordinator_epoch, struct err *e)
{
    struct batch_iter it;
    struct record r;
    struct batch_header h;
    int rc = batch_header_decode(batch, n, &h, e);
    if (rc != ERR_OK)
        return rc;
    if (!(h.attributes & BATCH_CONTROL) || batch_codec(&h) != CODEC_NONE || h.record_count == 0)
        return err_set(e, ERR_CORRUPT, "batch at offset %lld is no control batch", (long long)h.base_offset);
    rc = batch_iter_init(&it, batch, n, NULL, e);
    if (rc == ERR_OK)
        rc = batch_iter_next(&it, &r, e);
    if (rc != ERR_OK)
        return rc;
    /* Versions only add fields, so later ones are read as the first. */
    if (r.key_len < KEY_BYTES || (int16_t)be16(r.key) < VERSION)
        return err_set(e, ERR_CORRUPT, "control record at offset %lld: bad key", (long long)r.offset);
    *type = (int16_t)be16(r.key + 2);
    *coordinator_epoch = -1;
    if (*type != MARKER_ABORT && *type != MARKER_COMMIT)
        return ERR_OK; /* KRaft's, with values of their own */
    if (r.value_len < VALUE_BYTES || (int16_t)be16(r.value) < VERSION)
        return err_set(e, ERR_CORRUPT, "transaction marker at offset %lld: bad value", (long long)r.offset);
    *coordinator_epoch = (int32_t)be32(r.value + 2);
    return ERR_OK;
}
