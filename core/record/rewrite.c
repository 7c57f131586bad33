/*
 * rewrite: the batch that is left when a cleaner takes records out of another. Rules: what Kafka 4.3.1 writes
 * (tests/data/segments/compacted; the records' bytes come out the same). One thread at a time.
 */
#include "record/codec.h"
#include "record/header.h"
#include "record/varint.h"

#include "base/mem.h"

struct batch_rewriter {
    struct buf raw;    /* header room, records */
    struct buf packed; /* header room, compressed records */
    struct codec_encoder encoders[CODEC_COUNT];
    bool open[CODEC_COUNT];
    struct batch_header of;
    int64_t horizon; /* -1: none */
    int64_t base_timestamp, max_timestamp;
    int32_t count;
};

struct batch_rewriter *batch_rewriter_new(struct err *e)
{
    struct batch_rewriter *w = mem_calloc(1, sizeof *w);
    if (!w) {
        err_nomem(e);
        return NULL;
    }
    buf_init(&w->raw, BATCH_MAX_INFLATED + BATCH_HEADER_SIZE);
    buf_init(&w->packed, 2 * (size_t)BATCH_MAX_INFLATED); /* no codec's bound for a whole batch is above */
    return w;
}

void batch_rewriter_free(struct batch_rewriter *w)
{
    if (!w)
        return;
    for (int i = 0; i < CODEC_COUNT; i++)
        codec_encoder_close(&w->encoders[i]);
    buf_free(&w->raw);
    buf_free(&w->packed);
    mem_free(w);
}

void batch_rewriter_begin(struct batch_rewriter *w, const struct batch_header *of, int64_t delete_horizon_ms)
{
    w->of = *of;
    w->horizon = delete_horizon_ms;
    w->base_timestamp = delete_horizon_ms;
    w->max_timestamp = -1;
    w->count = 0;
    buf_reset(&w->raw);
}

/* Room for the header, or for a record of `n` bytes. */
static int make_room(struct buf *b, size_t n, struct err *e)
{
    int rc = buf_reserve(b, n + (b->len ? 0 : BATCH_HEADER_SIZE), e);
    if (rc == ERR_OK && b->len == 0)
        b->len = BATCH_HEADER_SIZE;
    return rc;
}

int batch_rewriter_add(struct batch_rewriter *w, const struct record *r, struct err *e)
{
    int64_t delta;
    if (w->count == 0 && w->horizon < 0)
        w->base_timestamp = r->timestamp;
    if (__builtin_sub_overflow(r->timestamp, w->base_timestamp, &delta))
        return err_set(e, ERR_INVALID_TIMESTAMP, "timestamp %lld is too far from its batch's, %lld",
                       (long long)r->timestamp, (long long)w->base_timestamp);
    const size_t headers = slice_left(&r->headers), key_len = r->key ? (size_t)r->key_len : 0,
                 value_len = r->value ? (size_t)r->value_len : 0;
    const uint64_t z_delta = varint_zigzag(delta), z_offset = varint_zigzag(r->offset - w->of.base_offset),
                   z_headers = varint_zigzag(r->header_count);
    const size_t body = 1 + varint_length(z_delta) + varint_length(z_offset) +
                        varint_length(varint_zigzag(r->key ? (int64_t)key_len : -1)) + key_len +
                        varint_length(varint_zigzag(r->value ? (int64_t)value_len : -1)) + value_len +
                        varint_length(z_headers) + headers;
    const uint64_t z_body = varint_zigzag((int64_t)body);
    int rc = make_room(&w->raw, varint_length(z_body) + body, e);
    if (rc != ERR_OK)
        return rc;
    uint8_t *p = varint_store(w->raw.data + w->raw.len, z_body);
    *p++ = 0; /* attributes: none is defined */
    p = varint_store(varint_store(p, z_delta), z_offset);
    p = varint_store_bytes(p, r->key, key_len);
    p = varint_store_bytes(p, r->value, value_len);
    p = varint_store(p, z_headers);
    memcpy(p, r->headers.p, headers);
    w->raw.len = (size_t)(p - w->raw.data) + headers;
    w->count++;
    if (r->timestamp > w->max_timestamp)
        w->max_timestamp = r->timestamp;
    return ERR_OK;
}

static int pack(struct batch_rewriter *w, struct buf **batch, struct err *e)
{
    enum codec c = batch_codec(&w->of);
    int rc = ERR_OK;
    *batch = &w->raw;
    if (w->count == 0)
        return make_room(&w->raw, 0, e);
    if (c == CODEC_NONE)
        return ERR_OK;
    if (!w->open[c])
        rc = codec_encoder_open(&w->encoders[c], c, CODEC_LEVEL_DEFAULT, e);
    w->open[c] = rc == ERR_OK;
    *batch = &w->packed;
    buf_reset(&w->packed);
    if (rc == ERR_OK)
        rc = make_room(&w->packed, 0, e);
    if (rc == ERR_OK)
        rc = codec_encoder_run(&w->encoders[c], w->raw.data + BATCH_HEADER_SIZE,
                               w->raw.len - BATCH_HEADER_SIZE, &w->packed, e);
    return rc;
}

int batch_rewriter_finish(struct batch_rewriter *w, uint8_t **data, size_t *n, struct err *e)
{
    struct buf *batch;
    int rc = pack(w, &batch, e);
    if (rc != ERR_OK)
        return rc;
    if (batch->len > BATCH_MAX_BYTES)
        return err_set(e, ERR_TOO_LARGE, "the batch at offset %lld would have %zu bytes, at most %u",
                       (long long)w->of.base_offset, batch->len, BATCH_MAX_BYTES);
    struct batch_header h = w->of;
    h.batch_length = (int32_t)(batch->len - BATCH_LENGTH_PREFIX);
    h.record_count = w->count;
    h.attributes &= (int16_t)~BATCH_DELETE_HORIZON;
    if (w->count == 0) {
        h.attributes &= (int16_t)~BATCH_CODEC_MASK;
        h.base_timestamp = -1;
    } else {
        h.attributes |= w->horizon >= 0 ? BATCH_DELETE_HORIZON : 0;
        h.base_timestamp = w->base_timestamp;
        if (!(h.attributes & BATCH_LOG_APPEND_TIME))
            h.max_timestamp = w->max_timestamp;
    }
    header_seal(batch->data, &h);
    *data = batch->data;
    *n = batch->len;
    return ERR_OK;
}
