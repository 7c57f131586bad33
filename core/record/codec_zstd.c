/*
 * codec_zstd: standard frames; the content size may be absent on reading and is there when written. Data is
 * inflated in one call into memory bounded beforehand, so a frame's window size never makes us allocate
 * anything. An encoder's state belongs to one thread at a time.
 */
/* For the memory hooks and ZSTD_decompressBound, in the library's ABI since 1.3 and 1.4. */
#define ZSTD_STATIC_LINKING_ONLY
#include "record/codec.h"

#include <zstd.h>
#include <zstd_errors.h>

#define BLOCK_HEADER_BYTES 3 /* RFC 8878, 3.1.1.2 */

static const ZSTD_customMem hooks = {codec_hook_alloc, codec_hook_free, NULL};

static int zstd_error(size_t code, struct err *e)
{
    if (ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation)
        return err_nomem(e);
    return codec_corrupt(&codec_zstd, ZSTD_getErrorName(code), e);
}

static int zstd_open(void **state, int32_t level, struct err *e)
{
    if (level == CODEC_LEVEL_DEFAULT)
        level = ZSTD_CLEVEL_DEFAULT;
    if (level < ZSTD_minCLevel() || level > ZSTD_maxCLevel())
        return err_set(e, ERR_INVALID, "zstd has levels %d to %d, not %d", ZSTD_minCLevel(), ZSTD_maxCLevel(),
                       level);
    ZSTD_CCtx *context = ZSTD_createCCtx_advanced(hooks);
    if (!context)
        return err_nomem(e);
    size_t rc = ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
    if (ZSTD_isError(rc)) {
        ZSTD_freeCCtx(context);
        return err_set(e, ERR_INTERNAL, "zstd: level %d: %s", level, ZSTD_getErrorName(rc));
    }
    *state = context;
    return ERR_OK;
}

static void zstd_close(void *state)
{
    ZSTD_freeCCtx(state);
}

static size_t zstd_bound(const void *state, size_t n)
{
    (void)state;
    return ZSTD_compressBound(n);
}

static int zstd_compress(void *state, const void *data, size_t n, struct buf *out, struct err *e)
{
    size_t packed = ZSTD_compress2(state, out->data + out->len, out->cap - out->len, data, n);
    if (!ZSTD_isError(packed)) {
        out->len += packed;
        return ERR_OK;
    }
    if (ZSTD_getErrorCode(packed) == ZSTD_error_memory_allocation)
        return err_nomem(e);
    return err_set(e, ERR_INTERNAL, "zstd: %s", ZSTD_getErrorName(packed));
}

/*
 * The most that `n` bytes can inflate to: what the frames say or their blocks allow, but never more than
 * blocks of three bytes each would; a frame's own word alone is not to make us allocate.
 */
static int inflated_bound(const void *data, size_t n, size_t *bound, struct err *e)
{
    unsigned long long said = ZSTD_decompressBound(data, n);
    if (said == ZSTD_CONTENTSIZE_ERROR)
        return codec_corrupt(&codec_zstd, "not a whole frame", e);
    unsigned long long possible = (unsigned long long)n / BLOCK_HEADER_BYTES * ZSTD_BLOCKSIZE_MAX;
    *bound = (size_t)(said < possible ? said : possible);
    return ERR_OK;
}

static int zstd_decompress(const void *data, size_t n, struct buf *out, struct err *e)
{
    size_t bound, most = out->max - out->len;
    if (n == 0)
        return codec_corrupt(&codec_zstd, "no frame", e);
    int rc = inflated_bound(data, n, &bound, e);
    if (rc == ERR_OK)
        rc = buf_reserve(out, bound < most ? bound : most, e);
    if (rc != ERR_OK)
        return rc;
    ZSTD_DCtx *context = ZSTD_createDCtx_advanced(hooks);
    if (!context)
        return err_nomem(e);
    uint8_t none; /* where nothing fits the library still wants a place */
    uint8_t *to = out->data ? out->data + out->len : &none;
    size_t made = ZSTD_decompressDCtx(context, to, out->cap - out->len, data, n);
    ZSTD_freeDCtx(context);
    if (!ZSTD_isError(made)) {
        out->len += made;
        return ERR_OK;
    }
    if (ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall && bound > most)
        return err_set(e, ERR_TOO_LARGE, "inflates to more than %zu bytes", out->max);
    return zstd_error(made, e);
}

const struct codec_ops codec_zstd = {
    .name = "zstd",
    .open = zstd_open,
    .close = zstd_close,
    .bound = zstd_bound,
    .compress = zstd_compress,
    .decompress = zstd_decompress,
};
