/*
 * codec_gzip: RFC 1952. ISA-L inflates, and deflates up to level 4 and by default; zlib does the denser
 * levels. On log lines ISA-L's level 2 is ten times as fast as zlib's 6 and within 7 % of its size, so
 * "default" means it here. An encoder's state belongs to one thread at a time.
 */
#include "record/codec.h"

#include <isa-l/igzip_lib.h>
#include <zlib.h>

#include "base/mem.h"

#define KAFKA_DEFAULT_LEVEL (-1)
#define LEVEL_MAX 9
#define ISAL_LEVEL 2     /* for what is asked for as 2 to 4 */
#define ISAL_LEVEL_MAX 4 /* zlib's level of about the same density */
#define ISAL_BUFFER ISAL_DEF_LVL2_DEFAULT
#define ZLIB_MEM_LEVEL 8
#define GZIP_WRAPPER 16 /* added to zlib's window bits */

/* Header, trailer, and a block's code table where it is not worth its size; later blocks: a sixteenth is
 * ample. */
#define FRAME_BYTES 512
#define TRAILER_BYTES 8 /* CRC-32, size modulo 2^32 */
#define RATIO_MAX 1032  /* of deflate */
#define MAGIC_1 0x1f    /* first byte of a member */

struct gzip_encoder {
    struct isal_zstream *fast; /* NULL: zlib */
    uint8_t *fast_buffer;
    z_stream dense;
};

static void *zlib_alloc(void *opaque, unsigned count, unsigned size)
{
    return codec_hook_alloc(opaque, (size_t)count * size);
}

static int open_fast(struct gzip_encoder *enc, int32_t level, struct err *e)
{
    enc->fast = mem_alloc(sizeof *enc->fast);
    if (!enc->fast)
        return err_nomem(e);
    enc->fast_buffer = mem_alloc(ISAL_BUFFER);
    if (!enc->fast_buffer) {
        mem_free(enc->fast);
        return err_nomem(e);
    }
    isal_deflate_init(enc->fast);
    enc->fast->level = level == 1 ? 1 : ISAL_LEVEL;
    enc->fast->level_buf = enc->fast_buffer;
    enc->fast->level_buf_size = ISAL_BUFFER;
    enc->fast->end_of_stream = 1;
    return ERR_OK;
}

static int open_dense(struct gzip_encoder *enc, int32_t level, struct err *e)
{
    enc->dense.zalloc = zlib_alloc;
    enc->dense.zfree = codec_hook_free;
    int rc = deflateInit2(&enc->dense, level, Z_DEFLATED, MAX_WBITS + GZIP_WRAPPER, ZLIB_MEM_LEVEL,
                          Z_DEFAULT_STRATEGY);
    if (rc == Z_MEM_ERROR)
        return err_nomem(e);
    return rc == Z_OK ? ERR_OK : err_set(e, ERR_INTERNAL, "zlib: level %d: error %d", level, rc);
}

static int gzip_open(void **state, int32_t level, struct err *e)
{
    if (level == CODEC_LEVEL_DEFAULT || level == KAFKA_DEFAULT_LEVEL)
        level = ISAL_LEVEL;
    if (level < 1 || level > LEVEL_MAX)
        return err_set(e, ERR_INVALID, "gzip has levels 1 to %d, not %d", LEVEL_MAX, level);
    struct gzip_encoder *enc = mem_calloc(1, sizeof *enc);
    if (!enc)
        return err_nomem(e);
    int rc = level <= ISAL_LEVEL_MAX ? open_fast(enc, level, e) : open_dense(enc, level, e);
    if (rc != ERR_OK) {
        mem_free(enc);
        return rc;
    }
    *state = enc;
    return ERR_OK;
}

static void gzip_close(void *state)
{
    struct gzip_encoder *enc = state;
    if (enc->fast) {
        mem_free(enc->fast_buffer);
        mem_free(enc->fast);
    } else {
        deflateEnd(&enc->dense);
    }
    mem_free(enc);
}

/* deflateBound() wants its stream writable and computes no more than this at our settings; ISA-L stores
 * blocks too. */
static size_t gzip_bound(const void *state, size_t n)
{
    (void)state;
    return n + n / 16 + FRAME_BYTES;
}

static int fast_compress(struct isal_zstream *z, const void *data, size_t n, struct buf *out, struct err *e)
{
    isal_deflate_reset(z);
    z->gzip_flag = IGZIP_GZIP;               /* writing a header has turned it off */
    z->next_in = (uint8_t *)(uintptr_t)data; /* only read */
    z->avail_in = (uint32_t)n;
    z->next_out = out->data + out->len;
    z->avail_out = (uint32_t)(out->cap - out->len);
    int rc = isal_deflate(z);
    if (rc != COMP_OK || z->internal_state.state != ZSTATE_END)
        return err_set(e, ERR_INTERNAL, "igzip: error %d after %u of %zu bytes", rc, z->total_in, n);
    out->len += z->total_out;
    return ERR_OK;
}

static int dense_compress(z_stream *z, const void *data, size_t n, struct buf *out, struct err *e)
{
    int rc = deflateReset(z);
    z->next_in = (Bytef *)(uintptr_t)data; /* only read */
    z->avail_in = (uInt)n;
    z->next_out = out->data + out->len;
    z->avail_out = (uInt)(out->cap - out->len);
    if (rc == Z_OK)
        rc = deflate(z, Z_FINISH);
    if (rc != Z_STREAM_END)
        return err_set(e, ERR_INTERNAL, "zlib: error %d after %lu of %zu bytes", rc, z->total_in, n);
    out->len += z->total_out;
    return ERR_OK;
}

static int gzip_compress(void *state, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct gzip_encoder *enc = state;
    return enc->fast ? fast_compress(enc->fast, data, n, out, e)
                     : dense_compress(&enc->dense, data, n, out, e);
}

/* The member's size by its trailer (little-endian), if this is the only member; never trusted beyond what is
 * possible. */
static size_t size_hint(const uint8_t *data, size_t n)
{
    if (n < TRAILER_BYTES)
        return 0;
    const uint8_t *p = data + n - 4;
    size_t said = (size_t)p[0] | (size_t)p[1] << 8 | (size_t)p[2] << 16 | (size_t)p[3] << 24;
    return said / RATIO_MAX <= n ? said : 0;
}

/* One member; on ERR_OK s->next_in is behind it. */
static int inflate_member(struct inflate_state *s, size_t hint, struct buf *out, struct err *e)
{
    isal_inflate_reset(s);
    s->crc_flag = ISAL_GZIP;
    while (s->block_state != ISAL_BLOCK_FINISH) {
        struct codec_room room;
        int rc = codec_room_next(&room, out, hint, e);
        if (rc != ERR_OK)
            return rc;
        size_t size = room.n < UINT32_MAX ? room.n : UINT32_MAX;
        s->next_out = room.p;
        s->avail_out = (uint32_t)size;
        int error = isal_inflate(s);
        if (error != ISAL_DECOMP_OK)
            return codec_corrupt(&codec_gzip,
                                 error == ISAL_INCORRECT_CHECKSUM ? "wrong checksum" : "bad data", e);
        rc = codec_room_take(&room, out, size - s->avail_out, e);
        if (rc != ERR_OK)
            return rc;
        if (s->block_state != ISAL_BLOCK_FINISH && s->avail_in == 0 && s->avail_out)
            return codec_corrupt(&codec_gzip, "ends early", e);
    }
    return ERR_OK;
}

static int gzip_decompress(const void *data, size_t n, struct buf *out, struct err *e)
{
    struct inflate_state *s = mem_alloc(sizeof *s);
    if (!s)
        return err_nomem(e);
    isal_inflate_init(s);
    s->next_in = (uint8_t *)(uintptr_t)data; /* only read */
    s->avail_in = (uint32_t)n;
    size_t hint = size_hint(data, n);
    int rc;
    do {
        if (s->avail_in && *s->next_in != MAGIC_1)
            rc = codec_corrupt(&codec_gzip, "no gzip member", e);
        else
            rc = inflate_member(s, hint, out, e);
    } while (rc == ERR_OK && s->avail_in);
    mem_free(s);
    return rc;
}

const struct codec_ops codec_gzip = {
    .name = "gzip",
    .open = gzip_open,
    .close = gzip_close,
    .bound = gzip_bound,
    .compress = gzip_compress,
    .decompress = gzip_decompress,
};
