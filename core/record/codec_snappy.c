/*
 * codec_snappy: raw blocks (librdkafka, franz-go) and the framing of snappy-java, "xerial" (Java, sarama,
 * Python) are read, the framing is written, as Kafka's broker and Java producer do. No level. No state; any
 * thread.
 */
#include "record/codec.h"

#include <snappy-c.h>
#include <string.h>

#define BLOCK_BYTES 32768 /* snappy-java's default; each block stands alone */
#define HEADER_BYTES 16
#define LENGTH_BYTES 4
#define RATIO_MAX 22 /* a copy element: three bytes for at most 64 */

/* Magic, version 1, oldest compatible version 1. A raw block can't begin so: its first element would be a
 * copy. */
static const uint8_t xerial_header[HEADER_BYTES] = {0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0,
                                                    0,    0,   0,   1,   0,   0,   0,   1};
#define MAGIC_BYTES 8

static int snappy_open(void **state, int32_t level, struct err *e)
{
    *state = NULL;
    if (level != CODEC_LEVEL_DEFAULT)
        return err_set(e, ERR_INVALID, "snappy has no levels, not %d", level);
    return ERR_OK;
}

static void snappy_close(void *state)
{
    (void)state;
}

static size_t snappy_bound(const void *state, size_t n)
{
    (void)state;
    size_t blocks = n / BLOCK_BYTES + 1;
    return HEADER_BYTES + blocks * (LENGTH_BYTES + snappy_max_compressed_length(BLOCK_BYTES));
}

static int xerial_compress(void *state, const void *data, size_t n, struct buf *out, struct err *e)
{
    (void)state;
    const char *p = data;
    memcpy(out->data + out->len, xerial_header, HEADER_BYTES);
    out->len += HEADER_BYTES;
    while (n) {
        size_t part = n < BLOCK_BYTES ? n : BLOCK_BYTES;
        uint8_t *at = out->data + out->len;
        size_t packed = out->cap - out->len - LENGTH_BYTES;
        if (snappy_compress(p, part, (char *)at + LENGTH_BYTES, &packed) != SNAPPY_OK)
            return err_set(e, ERR_INTERNAL, "snappy: block of %zu bytes not compressed", part);
        put_be32(at, (uint32_t)packed);
        out->len += LENGTH_BYTES + packed;
        p += part;
        n -= part;
    }
    return ERR_OK;
}

static int raw_decompress(const void *block, size_t n, struct buf *out, struct err *e)
{
    size_t size;
    if (snappy_uncompressed_length(block, n, &size) != SNAPPY_OK || size / RATIO_MAX > n)
        return codec_corrupt(&codec_snappy, "impossible length of a block", e);
    if (size > out->max - out->len)
        return err_set(e, ERR_TOO_LARGE, "inflates to more than %zu bytes", out->max);
    /* One byte at least: an empty block must not be handed a null pointer. */
    int rc = buf_reserve(out, size, e);
    if (rc != ERR_OK)
        return rc;
    uint8_t none;
    uint8_t *to = out->data ? out->data + out->len : &none;
    if (snappy_uncompress(block, n, (char *)to, &size) != SNAPPY_OK)
        return codec_corrupt(&codec_snappy, "bad block", e);
    out->len += size;
    return ERR_OK;
}

static int xerial_decompress(const uint8_t *p, const uint8_t *end, struct buf *out, struct err *e)
{
    while (p < end) {
        if (end - p < LENGTH_BYTES)
            return codec_corrupt(&codec_snappy, "ends inside a block length", e);
        uint32_t length = be32(p);
        p += LENGTH_BYTES;
        if (length > (size_t)(end - p))
            return codec_corrupt(&codec_snappy, "block length beyond the end", e);
        int rc = raw_decompress(p, length, out, e);
        if (rc != ERR_OK)
            return rc;
        p += length;
    }
    return ERR_OK;
}

static int snappy_decompress(const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data;
    if (n < MAGIC_BYTES || memcmp(p, xerial_header, MAGIC_BYTES) != 0)
        return raw_decompress(data, n, out, e);
    if (n < HEADER_BYTES)
        return codec_corrupt(&codec_snappy, "ends inside the header", e);
    if (be32(p + 12) > 1)
        return codec_corrupt(&codec_snappy, "framing is newer than version 1", e);
    return xerial_decompress(p + HEADER_BYTES, p + n, out, e);
}

const struct codec_ops codec_snappy = {
    .name = "snappy",
    .open = snappy_open,
    .close = snappy_close,
    .bound = snappy_bound,
    .compress = xerial_compress,
    .decompress = snappy_decompress,
};
