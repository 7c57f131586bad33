/*
 * codec_lz4: LZ4 frames of independent 64 KiB blocks, the only kind that Kafka's Java clients read; frames of
 * linked blocks are refused here too, so that nothing is stored that they stumble over. No checksums but the
 * header's, as Kafka writes. An encoder's state belongs to one thread at a time.
 */
/* For the memory hooks and the one-shot frame with a kept context, in the library's ABI since 1.8.3
 * and 1.9.4. */
#define LZ4F_STATIC_LINKING_ONLY
#include "record/codec.h"

#include <lz4frame.h>
#include <string.h>

#include "base/mem.h"

/* Kafka's default, 9, means the fast compressor there, not level 9 of the slow one; so it does here. */
#define KAFKA_DEFAULT_LEVEL 9
#define LEVEL_MIN 1
#define LEVEL_MAX 17
#define FIRST_SLOW_LEVEL 3 /* below it liblz4 takes the fast compressor */

#define RATIO_GUESS 4

struct lz4_encoder {
    LZ4F_cctx *context;
    LZ4F_preferences_t prefs;
};

static const LZ4F_CustomMem hooks = {codec_hook_alloc, codec_hook_calloc, codec_hook_free, NULL};

static int lz4_open(void **state, int32_t level, struct err *e)
{
    if (level == CODEC_LEVEL_DEFAULT)
        level = KAFKA_DEFAULT_LEVEL;
    if (level < LEVEL_MIN || level > LEVEL_MAX)
        return err_set(e, ERR_INVALID, "lz4 has levels %d to %d, not %d", LEVEL_MIN, LEVEL_MAX, level);
    struct lz4_encoder *enc = mem_calloc(1, sizeof *enc);
    if (!enc)
        return err_nomem(e);
    enc->context = LZ4F_createCompressionContext_advanced(hooks, LZ4F_VERSION);
    if (!enc->context) {
        mem_free(enc);
        return err_nomem(e);
    }
    enc->prefs.frameInfo.blockMode = LZ4F_blockIndependent;
    enc->prefs.frameInfo.blockSizeID = LZ4F_max64KB;
    if (level != KAFKA_DEFAULT_LEVEL)
        enc->prefs.compressionLevel = level < FIRST_SLOW_LEVEL ? FIRST_SLOW_LEVEL : level;
    *state = enc;
    return ERR_OK;
}

static void lz4_close(void *state)
{
    struct lz4_encoder *enc = state;
    LZ4F_freeCompressionContext(enc->context);
    mem_free(enc);
}

static size_t lz4_bound(const void *state, size_t n)
{
    const struct lz4_encoder *enc = state;
    return LZ4F_compressFrameBound(n, &enc->prefs);
}

static int lz4_compress(void *state, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct lz4_encoder *enc = state;
    size_t packed = LZ4F_compressFrame_usingCDict(enc->context, out->data + out->len, out->cap - out->len,
                                                  data, n, NULL, &enc->prefs);
    if (!LZ4F_isError(packed)) {
        out->len += packed;
        return ERR_OK;
    }
    if (LZ4F_getErrorCode(packed) == LZ4F_ERROR_allocation_failed)
        return err_nomem(e);
    return err_set(e, ERR_INTERNAL, "lz4: %s", LZ4F_getErrorName(packed));
}

static int lz4_error(size_t code, struct err *e)
{
    if (LZ4F_getErrorCode(code) == LZ4F_ERROR_allocation_failed)
        return err_nomem(e);
    return codec_corrupt(&codec_lz4, LZ4F_getErrorName(code), e);
}

/* Reads the header into the context and refuses what Kafka's clients would. Advances *p. */
static int frame_begin(LZ4F_dctx *context, const uint8_t **p, const uint8_t *end, struct err *e)
{
    LZ4F_frameInfo_t info;
    size_t used = (size_t)(end - *p);
    size_t rc = LZ4F_getFrameInfo(context, &info, *p, &used);
    if (LZ4F_isError(rc))
        return lz4_error(rc, e);
    if (info.frameType != LZ4F_frame)
        return codec_corrupt(&codec_lz4, "no data in the frame", e);
    if (info.blockMode != LZ4F_blockIndependent)
        return codec_corrupt(&codec_lz4, "blocks depend on each other, which Kafka's clients do not read", e);
    *p += used;
    return ERR_OK;
}

static int frame_body(LZ4F_dctx *context, const uint8_t *p, const uint8_t *end, struct buf *out,
                      struct err *e)
{
    const LZ4F_decompressOptions_t options = {0};
    size_t hint = (size_t)(end - p) * RATIO_GUESS;
    for (;;) {
        struct codec_room room;
        int rc = codec_room_next(&room, out, hint, e);
        if (rc != ERR_OK)
            return rc;
        size_t used = (size_t)(end - p), made = room.n;
        size_t left = LZ4F_decompress(context, room.p, &made, p, &used, &options);
        if (LZ4F_isError(left))
            return lz4_error(left, e);
        rc = codec_room_take(&room, out, made, e);
        if (rc != ERR_OK)
            return rc;
        p += used;
        if (left == 0)
            break;
        if (p == end && made < room.n)
            return codec_corrupt(&codec_lz4, "ends inside the frame", e);
    }
    return p == end ? ERR_OK : codec_corrupt(&codec_lz4, "bytes after the frame", e);
}

static int lz4_decompress(const void *data, size_t n, struct buf *out, struct err *e)
{
    const uint8_t *p = data, *end = p + n;
    LZ4F_dctx *context = LZ4F_createDecompressionContext_advanced(hooks, LZ4F_VERSION);
    if (!context)
        return err_nomem(e);
    int rc = frame_begin(context, &p, end, e);
    if (rc == ERR_OK)
        rc = frame_body(context, p, end, out, e);
    LZ4F_freeDecompressionContext(context);
    return rc;
}

const struct codec_ops codec_lz4 = {
    .name = "lz4",
    .open = lz4_open,
    .close = lz4_close,
    .bound = lz4_bound,
    .compress = lz4_compress,
    .decompress = lz4_decompress,
};
