/*
 * build: encodes records straight into one reused buffer behind room for the header; finishing fills the
 * header in, or compresses into a second reused buffer. No allocation for a record, but when the buffer
 * grows. One thread at a time.
 */
#include "record/codec.h"
#include "record/header.h"
#include "record/varint.h"

#include <string.h>

#include "base/mem.h"

#define DEFAULT_MAX_BYTES ((1u << 20) - BATCH_LENGTH_PREFIX)
#define FIRST_BYTES 16384 /* of buffer; it grows from there to max_bytes */

struct batch_builder {
    struct buf raw;    /* header room, records */
    struct buf packed; /* header room, compressed records */
    struct codec_encoder encoder;
    enum codec codec;
    int32_t count;
    int64_t base_timestamp;
    int64_t max_timestamp;
};

struct batch_builder *batch_builder_new(const struct batch_options *o, struct err *e)
{
    size_t max = o->max_bytes ? o->max_bytes : DEFAULT_MAX_BYTES;
    if (max <= BATCH_HEADER_SIZE || max > BATCH_MAX_BYTES) {
        err_set(e, ERR_INVALID, "batches of at most %zu bytes: not within %d and %u", max,
                BATCH_HEADER_SIZE + 1, BATCH_MAX_BYTES);
        return NULL;
    }
    struct batch_builder *b = mem_calloc(1, sizeof *b);
    if (!b) {
        err_nomem(e);
        return NULL;
    }
    b->codec = o->codec;
    buf_init(&b->raw, max);
    buf_init(&b->packed, 2 * (size_t)BATCH_MAX_BYTES); /* no codec's bound for a whole batch is above */
    if (buf_reserve(&b->raw, max < FIRST_BYTES ? max : FIRST_BYTES, e) != ERR_OK)
        goto err_after_alloc;
    if (codec_encoder_open(&b->encoder, o->codec, o->level, e) != ERR_OK)
        goto err_after_buffer;
    batch_builder_reset(b);
    return b;

err_after_buffer:
    buf_free(&b->raw);
err_after_alloc:
    mem_free(b);
    return NULL;
}

void batch_builder_free(struct batch_builder *b)
{
    if (!b)
        return;
    codec_encoder_close(&b->encoder);
    buf_free(&b->raw);
    buf_free(&b->packed);
    mem_free(b);
}

void batch_builder_reset(struct batch_builder *b)
{
    b->raw.len = BATCH_HEADER_SIZE;
    b->count = 0;
}

int32_t batch_builder_count(const struct batch_builder *b)
{
    return b->count;
}

size_t batch_builder_bytes(const struct batch_builder *b)
{
    return b->raw.len;
}

/* Encoded size of the record headers; -1 on headers that can't be encoded, or not in `max` bytes. */
static int64_t headers_size(const struct record_header *headers, int32_t count, size_t max)
{
    size_t size = 0;
    for (int32_t i = 0; i < count; i++) {
        const struct record_header *h = &headers[i];
        if (h->key_len < 0 || (h->value && h->value_len < 0))
            return -1;
        int64_t value_len = h->value ? h->value_len : -1;
        size += varint_length(varint_zigzag(h->key_len)) + (size_t)h->key_len +
                varint_length(varint_zigzag(value_len)) + (h->value ? (size_t)h->value_len : 0);
        if (size > max)
            return (int64_t)size;
    }
    return (int64_t)size;
}

static uint8_t *store_headers(uint8_t *p, const struct record_header *headers, int32_t count)
{
    for (int32_t i = 0; i < count; i++) {
        p = varint_store_bytes(p, headers[i].key_len ? headers[i].key : "", (size_t)headers[i].key_len);
        p = varint_store_bytes(p, headers[i].value, headers[i].value ? (size_t)headers[i].value_len : 0);
    }
    return p;
}

static int __attribute__((noinline, cold)) no_room(const struct batch_builder *b, struct err *e)
{
    if (b->count == 0)
        return err_set(e, ERR_TOO_LARGE, "the record can never fit into a batch of at most %zu bytes",
                       b->raw.max);
    return err_set(e, ERR_TOO_LARGE, "the batch is full: %d records, %zu bytes", b->count, b->raw.len);
}

int batch_builder_add(struct batch_builder *b, int64_t timestamp, const void *key, size_t key_len,
                      const void *value, size_t value_len, const struct record_header *headers,
                      int32_t header_count, struct err *e)
{
    const size_t max = b->raw.max;
    key_len = key ? key_len : 0;
    value_len = value ? value_len : 0;
    if (key_len > max || value_len > max)
        return no_room(b, e);
    int64_t delta = 0;
    if (b->count && __builtin_sub_overflow(timestamp, b->base_timestamp, &delta))
        return err_set(e, ERR_INVALID_TIMESTAMP, "timestamp %lld is too far from the batch's first, %lld",
                       (long long)timestamp, (long long)b->base_timestamp);
    int64_t header_bytes = header_count ? headers_size(headers, header_count, max) : 0;
    if (header_count < 0 || header_bytes < 0)
        return err_set(e, ERR_INVALID, "record header with a negative length or count");

    const uint64_t z_delta = varint_zigzag(delta), z_offset = varint_zigzag(b->count),
                   z_key = varint_zigzag(key ? (int64_t)key_len : -1),
                   z_value = varint_zigzag(value ? (int64_t)value_len : -1),
                   z_headers = varint_zigzag(header_count);
    const size_t body = 1 + varint_length(z_delta) + varint_length(z_offset) + varint_length(z_key) +
                        key_len + varint_length(z_value) + value_len + varint_length(z_headers) +
                        (size_t)header_bytes;
    const uint64_t z_body = varint_zigzag((int64_t)body);
    const size_t size = varint_length(z_body) + body;
    if (size > b->raw.cap - b->raw.len) {
        if (size > max - b->raw.len)
            return no_room(b, e);
        int rc = buf_reserve(&b->raw, size, e);
        if (rc != ERR_OK)
            return rc;
    }

    uint8_t *p = varint_store(b->raw.data + b->raw.len, z_body);
    *p++ = 0; /* attributes: none is defined */
    p = varint_store(p, z_delta);
    p = varint_store(p, z_offset);
    p = varint_store_bytes(p, key, key_len);
    p = varint_store_bytes(p, value, value_len);
    p = varint_store(p, z_headers);
    store_headers(p, headers, header_count);
    b->raw.len += size;
    if (b->count++ == 0)
        b->base_timestamp = b->max_timestamp = timestamp;
    else if (timestamp > b->max_timestamp)
        b->max_timestamp = timestamp;
    return ERR_OK;
}

/* The batch's bytes: compressed where that is asked for and pays, or else as they are. */
static int pack(struct batch_builder *b, struct buf **batch, enum codec *codec, struct err *e)
{
    *batch = &b->raw;
    *codec = CODEC_NONE;
    if (b->codec == CODEC_NONE)
        return ERR_OK;
    buf_reset(&b->packed);
    int rc = buf_reserve(&b->packed, BATCH_HEADER_SIZE, e);
    if (rc != ERR_OK)
        return rc;
    b->packed.len = BATCH_HEADER_SIZE;
    rc = codec_encoder_run(&b->encoder, b->raw.data + BATCH_HEADER_SIZE, b->raw.len - BATCH_HEADER_SIZE,
                           &b->packed, e);
    if (rc == ERR_OK && b->packed.len < b->raw.len) {
        *batch = &b->packed;
        *codec = b->codec;
    }
    return rc;
}

int batch_builder_finish(struct batch_builder *b, const struct batch_producer *p, uint8_t **data, size_t *n,
                         struct err *e)
{
    if (b->count == 0)
        return err_set(e, ERR_INVALID, "a batch without records");
    struct buf *batch;
    enum codec codec;
    int rc = pack(b, &batch, &codec, e);
    if (rc != ERR_OK)
        return rc;
    const struct batch_header h = {
        .batch_length = (int32_t)(batch->len - BATCH_LENGTH_PREFIX),
        .attributes = (int16_t)((int)codec | (p->transactional ? BATCH_TRANSACTIONAL : 0)),
        .last_offset_delta = b->count - 1,
        .base_timestamp = b->base_timestamp,
        .max_timestamp = b->max_timestamp,
        .producer_id = p->id,
        .producer_epoch = p->epoch,
        .base_sequence = p->base_sequence,
        .record_count = b->count,
    };
    header_seal(batch->data, &h);
    *data = batch->data;
    *n = batch->len;
    batch_builder_reset(b); /* the bytes stay until the next add writes over them */
    return ERR_OK;
}
