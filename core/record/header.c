/*
 * header: the 61 bytes before the records: decoding with checks, encoding, and what may be rewritten in
 * place. No state; any thread.
 */
#include "record/header.h"

#include "base/hash.h"

/* Byte positions of the fields, KIP-98. */
enum {
    AT_BASE_OFFSET = 0,
    AT_LENGTH = 8,
    AT_LEADER_EPOCH = 12,
    AT_MAGIC = 16,
    AT_CRC = 17,
    AT_ATTRIBUTES = 21, /* from here on the CRC covers */
    AT_LAST_OFFSET_DELTA = 23,
    AT_BASE_TIMESTAMP = 27,
    AT_MAX_TIMESTAMP = 35,
    AT_PRODUCER_ID = 43,
    AT_PRODUCER_EPOCH = 51,
    AT_BASE_SEQUENCE = 53,
    AT_COUNT = 57,
};

#define MAGIC_V2 2
/* length, attributes, timestamp delta, offset delta, key length, value length, header count: a byte each */
#define RECORD_MIN_SIZE 7

static void fields_load(const uint8_t *p, struct batch_header *h)
{
    h->base_offset = (int64_t)be64(p + AT_BASE_OFFSET);
    h->batch_length = (int32_t)be32(p + AT_LENGTH);
    h->leader_epoch = (int32_t)be32(p + AT_LEADER_EPOCH);
    h->crc = be32(p + AT_CRC);
    h->attributes = (int16_t)be16(p + AT_ATTRIBUTES);
    h->last_offset_delta = (int32_t)be32(p + AT_LAST_OFFSET_DELTA);
    h->base_timestamp = (int64_t)be64(p + AT_BASE_TIMESTAMP);
    h->max_timestamp = (int64_t)be64(p + AT_MAX_TIMESTAMP);
    h->producer_id = (int64_t)be64(p + AT_PRODUCER_ID);
    h->producer_epoch = (int16_t)be16(p + AT_PRODUCER_EPOCH);
    h->base_sequence = (int32_t)be32(p + AT_BASE_SEQUENCE);
    h->record_count = (int32_t)be32(p + AT_COUNT);
}

static int check_counts(const struct batch_header *h, struct err *e)
{
    if (h->record_count < 0 || h->record_count - 1 > h->last_offset_delta)
        return err_set(e, ERR_INVALID_RECORD, "batch at offset %lld: %d records in %lld offsets",
                       (long long)h->base_offset, h->record_count, (long long)h->last_offset_delta + 1);
    size_t payload = batch_size(h) - BATCH_HEADER_SIZE;
    if (batch_codec(h) == CODEC_NONE && (size_t)h->record_count > payload / RECORD_MIN_SIZE)
        return err_set(e, ERR_INVALID_RECORD, "batch at offset %lld: %d records in %zu bytes",
                       (long long)h->base_offset, h->record_count, payload);
    return ERR_OK;
}

int header_parse(const void *data, size_t n, struct batch_header *h, struct err *e)
{
    const uint8_t *p = data;
    if (n < BATCH_HEADER_SIZE)
        return err_set(e, ERR_TRUNCATED, "batch header of %d bytes, %zu present", BATCH_HEADER_SIZE, n);
    uint8_t magic = p[AT_MAGIC];
    if (magic != MAGIC_V2)
        return err_set(e, magic < MAGIC_V2 ? ERR_INVALID_RECORD : ERR_CORRUPT,
                       "batch format %u, only %u is known", magic, MAGIC_V2);
    fields_load(p, h);
    if (h->batch_length < BATCH_HEADER_SIZE - BATCH_LENGTH_PREFIX ||
        (uint32_t)h->batch_length > BATCH_MAX_BYTES - BATCH_LENGTH_PREFIX)
        return err_set(e, ERR_CORRUPT, "batch length %d is not within %d and %u", h->batch_length,
                       BATCH_HEADER_SIZE - BATCH_LENGTH_PREFIX, BATCH_MAX_BYTES - BATCH_LENGTH_PREFIX);
    if (h->base_offset < 0 || h->last_offset_delta < 0 || h->base_offset > INT64_MAX - h->last_offset_delta)
        return err_set(e, ERR_CORRUPT, "batch offsets %lld + %d are out of range", (long long)h->base_offset,
                       h->last_offset_delta);
    if (batch_codec(h) >= CODEC_COUNT)
        return err_set(e, ERR_UNSUPPORTED_COMPRESSION, "batch at offset %lld: unknown codec %d",
                       (long long)h->base_offset, (int)batch_codec(h));
    return check_counts(h, e);
}

int header_verify(const void *data, size_t n, const struct batch_header *h, struct err *e)
{
    size_t size = batch_size(h);
    if (n < size)
        return err_set(e, ERR_TRUNCATED, "batch at offset %lld has %zu bytes, %zu present",
                       (long long)h->base_offset, size, n);
    uint32_t crc = crc32c(0, (const uint8_t *)data + AT_ATTRIBUTES, size - AT_ATTRIBUTES);
    if (crc != h->crc)
        return err_set(e, ERR_CORRUPT, "batch at offset %lld: CRC is %08x, header says %08x",
                       (long long)h->base_offset, crc, h->crc);
    return ERR_OK;
}

int batch_header_decode(const void *data, size_t n, struct batch_header *h, struct err *e)
{
    int rc = header_parse(data, n, h, e);
    /* Readers of a log tell "more bytes are needed" from "these bytes are wrong", and nothing finer. */
    if (rc != ERR_OK && rc != ERR_TRUNCATED)
        rc = e->code = ERR_CORRUPT;
    return rc;
}

int batch_check(const void *data, size_t n, struct batch_header *h, struct err *e)
{
    int rc = batch_header_decode(data, n, h, e);
    return rc == ERR_OK ? header_verify(data, n, h, e) : rc;
}

static void seal_crc(uint8_t *batch, size_t size)
{
    put_be32(batch + AT_CRC, crc32c(0, batch + AT_ATTRIBUTES, size - AT_ATTRIBUTES));
}

void header_seal(uint8_t *batch, const struct batch_header *h)
{
    put_be64(batch + AT_BASE_OFFSET, (uint64_t)h->base_offset);
    put_be32(batch + AT_LENGTH, (uint32_t)h->batch_length);
    put_be32(batch + AT_LEADER_EPOCH, (uint32_t)h->leader_epoch);
    batch[AT_MAGIC] = MAGIC_V2;
    put_be16(batch + AT_ATTRIBUTES, (uint16_t)h->attributes);
    put_be32(batch + AT_LAST_OFFSET_DELTA, (uint32_t)h->last_offset_delta);
    put_be64(batch + AT_BASE_TIMESTAMP, (uint64_t)h->base_timestamp);
    put_be64(batch + AT_MAX_TIMESTAMP, (uint64_t)h->max_timestamp);
    put_be64(batch + AT_PRODUCER_ID, (uint64_t)h->producer_id);
    put_be16(batch + AT_PRODUCER_EPOCH, (uint16_t)h->producer_epoch);
    put_be32(batch + AT_BASE_SEQUENCE, (uint32_t)h->base_sequence);
    put_be32(batch + AT_COUNT, (uint32_t)h->record_count);
    seal_crc(batch, batch_size(h));
}

void batch_assign(void *batch, int64_t base_offset, int32_t leader_epoch)
{
    uint8_t *p = batch;
    put_be64(p + AT_BASE_OFFSET, (uint64_t)base_offset);
    put_be32(p + AT_LEADER_EPOCH, (uint32_t)leader_epoch);
}

void batch_set_max_timestamp(void *batch, int64_t max_timestamp)
{
    uint8_t *p = batch;
    if ((int64_t)be64(p + AT_MAX_TIMESTAMP) == max_timestamp)
        return;
    put_be64(p + AT_MAX_TIMESTAMP, (uint64_t)max_timestamp);
    seal_crc(p, (size_t)be32(p + AT_LENGTH) + BATCH_LENGTH_PREFIX);
}

void batch_set_log_append_time(void *batch, int64_t now_ms)
{
    uint8_t *p = batch;
    put_be16(p + AT_ATTRIBUTES, be16(p + AT_ATTRIBUTES) | BATCH_LOG_APPEND_TIME);
    put_be64(p + AT_MAX_TIMESTAMP, (uint64_t)now_ms);
    seal_crc(p, (size_t)be32(p + AT_LENGTH) + BATCH_LENGTH_PREFIX);
}
