/*
 * recompress: a batch in another codec, for topics whose compression.type says how they are stored. No state; any thread.
 */
#include "record/header.h"

/* The records' bytes as they are without compression. */
static int payload(const uint8_t *batch, const struct batch_header *h, struct buf *scratch,
                   const uint8_t **data, size_t *n, struct err *e)
{
    *data = batch + BATCH_HEADER_SIZE;
    *n = batch_size(h) - BATCH_HEADER_SIZE;
    if (batch_codec(h) == CODEC_NONE)
        return ERR_OK;
    buf_reset(scratch);
    int rc = codec_decompress(batch_codec(h), *data, *n, scratch, e);
    if (rc)
        return err_wrap(e, "batch at offset %lld", (long long)h->base_offset);
    *data = scratch->data;
    *n = scratch->len;
    return ERR_OK;
}

int batch_recompress(const void *batch, size_t n, enum codec codec, int32_t level, struct buf *scratch,
                     struct buf *out, struct err *e)
{
    struct batch_header h;
    const uint8_t *data;
    size_t bytes, start = out->len;
    int rc = batch_check(batch, n, &h, e);
    if (rc == ERR_OK)
        rc = payload(batch, &h, scratch, &data, &bytes, e);
    if (rc == ERR_OK)
        rc = buf_reserve(out, BATCH_HEADER_SIZE, e);
    if (rc)
        return rc;
    out->len += BATCH_HEADER_SIZE;
    rc = codec_compress(codec, level, data, bytes, out, e);
    if (rc == ERR_OK && out->len - start > BATCH_MAX_BYTES)
        rc = err_set(e, ERR_TOO_LARGE, "a batch of %zu bytes as %s", out->len - start, codec_name(codec));
    if (rc) {
        out->len = start;
        return rc;
    }
    h.batch_length = (int32_t)(out->len - start - BATCH_LENGTH_PREFIX);
    h.attributes = (int16_t)((h.attributes & ~BATCH_CODEC_MASK) | codec);
    header_seal(out->data + start, &h);
    return ERR_OK;
}
