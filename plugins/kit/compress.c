/*
 * kit/compress: blocks of fixed size through ISA-L, libzstd or nothing. Task thread only.
 */
#include "kit/compress.h"

#include <assert.h>
#include <string.h>

#include <isa-l.h>
#include <zstd.h>

#include "base/mem.h"

/*
 * Keeps a zstd stream at about 1.5 MiB: with many files open the library's own choice of up to 8 MiB each is
 * too much, and log lines gain little from it.
 */
#define ZSTD_WINDOW_LOG 19
#define ZSTD_LEVEL 3
#define GZIP_LEVEL 1

struct compressor {
    enum compress_codec codec;
    compress_write_fn *write;
    void *arg;
    uint64_t in, out;
    size_t block_n; /* bytes in block */
    uint8_t *block; /* COMPRESS_BLOCK of input */
    size_t done_n;
    uint8_t *done; /* COMPRESS_BLOCK of output; NULL with codec none */
    struct isal_zstream *gzip;
    uint8_t *gzip_level_buf;
    ZSTD_CCtx *zstd;
};

const char *compress_extension(enum compress_codec codec)
{
    static const char *const names[] = {
        [COMPRESS_NONE] = "", [COMPRESS_GZIP] = ".gz", [COMPRESS_ZSTD] = ".zst"};
    return names[codec];
}

static uint32_t gzip_level_size(uint32_t level)
{
    static const uint32_t size[] = {ISAL_DEF_LVL0_DEFAULT, ISAL_DEF_LVL1_DEFAULT, ISAL_DEF_LVL2_DEFAULT,
                                    ISAL_DEF_LVL3_DEFAULT};
    return size[level];
}

static int gzip_new(struct compressor *c, int level, struct err *e)
{
    static const uint8_t map[] = {0, 0, 1, 1, 2, 2, 2, 3, 3, 3};
    if (level < COMPRESS_LEVEL_DEFAULT || level > 9)
        return err_set(e, ERR_INVALID_CONFIG, "gzip has the levels 0 to 9, not %d", level);
    uint32_t isal_level = level == COMPRESS_LEVEL_DEFAULT ? GZIP_LEVEL : map[level];
    c->gzip = mem_aligned(64, sizeof(*c->gzip));
    uint32_t size = gzip_level_size(isal_level);
    c->gzip_level_buf = size ? mem_alloc(size) : NULL;
    if (!c->gzip || (size && !c->gzip_level_buf))
        return err_nomem(e);
    isal_deflate_init(c->gzip);
    c->gzip->level = isal_level;
    c->gzip->level_buf = c->gzip_level_buf;
    c->gzip->level_buf_size = size;
    return ERR_OK;
}

static int zstd_new(struct compressor *c, int level, struct err *e)
{
    if (level == COMPRESS_LEVEL_DEFAULT)
        level = ZSTD_LEVEL;
    if (level < 1 || level > 19)
        return err_set(e, ERR_INVALID_CONFIG, "zstd has the levels 1 to 19, not %d", level);
    c->zstd = ZSTD_createCCtx();
    if (!c->zstd)
        return err_nomem(e);
    size_t a = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, level);
    size_t b = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_windowLog, ZSTD_WINDOW_LOG);
    size_t d = ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1);
    if (ZSTD_isError(a) || ZSTD_isError(b) || ZSTD_isError(d))
        return err_set(e, ERR_INTERNAL, "zstd refuses level %d", level);
    return ERR_OK;
}

int compressor_new(enum compress_codec codec, int level, compress_write_fn *write, void *arg,
                   struct compressor **out, struct err *e)
{
    *out = NULL;
    struct compressor *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return err_nomem(e);
    c->codec = codec;
    c->block = mem_alloc(COMPRESS_BLOCK);
    c->done = codec == COMPRESS_NONE ? NULL : mem_alloc(COMPRESS_BLOCK);
    int rc = ERR_OK;
    if (!c->block || (codec != COMPRESS_NONE && !c->done))
        rc = err_nomem(e);
    else if (codec == COMPRESS_GZIP)
        rc = gzip_new(c, level, e);
    else if (codec == COMPRESS_ZSTD)
        rc = zstd_new(c, level, e);
    if (rc != ERR_OK) {
        compressor_free(c);
        return rc;
    }
    compressor_reset(c, write, arg);
    *out = c;
    return ERR_OK;
}

void compressor_free(struct compressor *c)
{
    if (!c)
        return;
    mem_free(c->gzip);
    mem_free(c->gzip_level_buf);
    ZSTD_freeCCtx(c->zstd);
    mem_free(c->block);
    mem_free(c->done);
    mem_free(c);
}

void compressor_reset(struct compressor *c, compress_write_fn *write, void *arg)
{
    c->write = write;
    c->arg = arg;
    c->in = c->out = 0;
    c->block_n = c->done_n = 0;
    if (c->gzip) {
        isal_deflate_reset(c->gzip);
        c->gzip->gzip_flag = IGZIP_GZIP;
        c->gzip->end_of_stream = 0;
        c->gzip->flush = NO_FLUSH;
    }
    if (c->zstd)
        ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
}

static int hand_over(struct compressor *c, const void *data, size_t n, struct err *e)
{
    c->out += n;
    return c->write(c->arg, data, n, e);
}

static int hand_over_done(struct compressor *c, struct err *e)
{
    size_t n = c->done_n;
    c->done_n = 0;
    return n ? hand_over(c, c->done, n, e) : ERR_OK;
}

static int gzip_block(struct compressor *c, bool last, struct err *e)
{
    struct isal_zstream *z = c->gzip;
    z->next_in = c->block;
    z->avail_in = (uint32_t)c->block_n;
    z->end_of_stream = last;
    do {
        z->next_out = c->done + c->done_n;
        z->avail_out = (uint32_t)(COMPRESS_BLOCK - c->done_n);
        int bad = isal_deflate(z);
        if (bad != COMP_OK)
            return err_set(e, ERR_INTERNAL, "gzip compression failed with code %d", bad);
        c->done_n = COMPRESS_BLOCK - z->avail_out;
        if (z->avail_out == 0) {
            int rc = hand_over_done(c, e);
            if (rc != ERR_OK)
                return rc;
        }
    } while (z->avail_in || (last && z->internal_state.state != ZSTATE_END));
    return ERR_OK;
}

static int zstd_block(struct compressor *c, bool last, struct err *e)
{
    ZSTD_inBuffer in = {c->block, c->block_n, 0};
    size_t left;
    do {
        ZSTD_outBuffer out = {c->done, COMPRESS_BLOCK, c->done_n};
        left = ZSTD_compressStream2(c->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return err_set(e, ERR_INTERNAL, "zstd compression failed: %s", ZSTD_getErrorName(left));
        c->done_n = out.pos;
        if (out.pos == out.size) {
            int rc = hand_over_done(c, e);
            if (rc != ERR_OK)
                return rc;
        }
    } while (in.pos < in.size || (last && left));
    return ERR_OK;
}

/* Takes the gathered block away. */
static int take_block(struct compressor *c, bool last, struct err *e)
{
    int rc = ERR_OK;
    if (c->codec == COMPRESS_GZIP)
        rc = gzip_block(c, last, e);
    else if (c->codec == COMPRESS_ZSTD)
        rc = zstd_block(c, last, e);
    else if (c->block_n)
        rc = hand_over(c, c->block, c->block_n, e);
    c->block_n = 0;
    return rc;
}

int compressor_write(struct compressor *c, const void *data, size_t n, struct err *e)
{
    const uint8_t *p = data;
    c->in += n;
    while (n) {
        size_t room = COMPRESS_BLOCK - c->block_n;
        size_t part = n < room ? n : room;
        memcpy(c->block + c->block_n, p, part);
        c->block_n += part;
        p += part;
        n -= part;
        if (c->block_n == COMPRESS_BLOCK) {
            int rc = take_block(c, false, e);
            if (rc != ERR_OK)
                return rc;
        }
    }
    return ERR_OK;
}

int compressor_finish(struct compressor *c, struct err *e)
{
    int rc = take_block(c, true, e);
    return rc == ERR_OK ? hand_over_done(c, e) : rc;
}

uint64_t compressor_bytes_in(const struct compressor *c)
{
    return c->in;
}

uint64_t compressor_bytes_out(const struct compressor *c)
{
    return c->out;
}
