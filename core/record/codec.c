/*
 * codec: names, dispatch and what the codecs share. No state; any thread.
 */
#include "record/codec.h"

#include <string.h>

#include "base/mem.h"

/* The libraries count in 32 bits here and there, and nothing of ours comes near. */
#define INPUT_MAX ((size_t)1 << 30)
#define ROOM_MIN 4096

static const struct codec_ops *const all[CODEC_COUNT] = {
    [CODEC_GZIP] = &codec_gzip,
    [CODEC_SNAPPY] = &codec_snappy,
    [CODEC_LZ4] = &codec_lz4,
    [CODEC_ZSTD] = &codec_zstd,
};

const char *codec_name(enum codec c)
{
    if ((unsigned)c >= CODEC_COUNT)
        return "unknown";
    return all[c] ? all[c]->name : "none";
}

bool codec_parse(const char *name, enum codec *c)
{
    for (int i = 0; i < CODEC_COUNT; i++)
        if (strcmp(name, codec_name((enum codec)i)) == 0) {
            *c = (enum codec)i;
            return true;
        }
    if (strcmp(name, "uncompressed") != 0)
        return false;
    *c = CODEC_NONE;
    return true;
}

static int check_arguments(enum codec c, size_t n, struct err *e)
{
    if ((unsigned)c >= CODEC_COUNT)
        return err_set(e, ERR_UNSUPPORTED_COMPRESSION, "unknown codec %d", (int)c);
    if (n > INPUT_MAX)
        return err_set(e, ERR_TOO_LARGE, "%s: %zu bytes at once, at most %zu", codec_name(c), n, INPUT_MAX);
    return ERR_OK;
}

int codec_encoder_open(struct codec_encoder *enc, enum codec c, int32_t level, struct err *e)
{
    *enc = (struct codec_encoder){0};
    int rc = check_arguments(c, 0, e);
    if (rc != ERR_OK || !all[c])
        return rc;
    rc = all[c]->open(&enc->state, level, e);
    if (rc == ERR_OK)
        enc->ops = all[c];
    return rc;
}

void codec_encoder_close(struct codec_encoder *enc)
{
    if (enc->ops)
        enc->ops->close(enc->state);
    *enc = (struct codec_encoder){0};
}

/* For an `out` whose cap lies below the codec's bound, though the result may well fit. */
static int run_aside(struct codec_encoder *enc, const void *data, size_t n, size_t bound, struct buf *out,
                     struct err *e)
{
    struct buf aside;
    buf_init(&aside, bound);
    int rc = buf_reserve(&aside, bound, e);
    if (rc == ERR_OK)
        rc = enc->ops->compress(enc->state, data, n, &aside, e);
    if (rc == ERR_OK)
        rc = buf_append(out, aside.data, aside.len, e);
    buf_free(&aside);
    return rc;
}

int codec_encoder_run(struct codec_encoder *enc, const void *data, size_t n, struct buf *out, struct err *e)
{
    if (!enc->ops)
        return buf_append(out, data, n, e);
    size_t bound = enc->ops->bound(enc->state, n);
    if (bound > out->max - out->len)
        return run_aside(enc, data, n, bound, out, e);
    int rc = buf_reserve(out, bound, e);
    return rc == ERR_OK ? enc->ops->compress(enc->state, data, n, out, e) : rc;
}

int codec_compress(enum codec c, int32_t level, const void *data, size_t n, struct buf *out, struct err *e)
{
    struct codec_encoder enc;
    int rc = check_arguments(c, n, e);
    if (rc == ERR_OK)
        rc = codec_encoder_open(&enc, c, level, e);
    if (rc != ERR_OK)
        return rc;
    rc = codec_encoder_run(&enc, data, n, out, e);
    codec_encoder_close(&enc);
    return rc;
}

int codec_decompress(enum codec c, const void *data, size_t n, struct buf *out, struct err *e)
{
    int rc = check_arguments(c, n, e);
    if (rc != ERR_OK)
        return rc;
    return all[c] ? all[c]->decompress(data, n, out, e) : buf_append(out, data, n, e);
}

int codec_corrupt(const struct codec_ops *ops, const char *what, struct err *e)
{
    return err_set(e, ERR_CORRUPT, "%s: %s", ops->name, what);
}

int codec_room_next(struct codec_room *room, struct buf *out, size_t hint, struct err *e)
{
    size_t most = out->max - out->len;
    if (out->len == out->cap && most) {
        size_t want = hint > out->len ? hint : out->len;
        want = want < ROOM_MIN ? ROOM_MIN : want;
        int rc = buf_reserve(out, want < most ? want : most, e);
        if (rc != ERR_OK)
            return rc;
    }
    room->p = most ? out->data + out->len : &room->spare;
    room->n = most ? out->cap - out->len : 1;
    return ERR_OK;
}

int codec_room_take(const struct codec_room *room, struct buf *out, size_t used, struct err *e)
{
    if (used && room->p == &room->spare)
        return err_set(e, ERR_TOO_LARGE, "inflates to more than %zu bytes", out->max);
    out->len += used;
    return ERR_OK;
}

void *codec_hook_alloc(void *opaque, size_t size)
{
    (void)opaque;
    return mem_alloc(size);
}

void *codec_hook_calloc(void *opaque, size_t size)
{
    (void)opaque;
    return mem_calloc(1, size);
}

void codec_hook_free(void *opaque, void *p)
{
    (void)opaque;
    mem_free(p);
}
