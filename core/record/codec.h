/*
 * codec: what each codec implements, and an encoder that keeps its working memory from batch to batch.
 * Private to core/record. An encoder belongs to one thread at a time; decoding keeps no state.
 */
#ifndef LEAT_RECORD_CODEC_H
#define LEAT_RECORD_CODEC_H

#include "record/record.h"

struct codec_ops {
    const char *name;
    /* Checks the level (or CODEC_LEVEL_DEFAULT) and makes the working memory. */
    int (*open)(void **state, int32_t level, struct err *e);
    void (*close)(void *state);
    /* The most that compress() appends for n bytes. */
    size_t (*bound)(const void *state, size_t n);
    /* Appends; room for bound(n) bytes is reserved. */
    int (*compress)(void *state, const void *data, size_t n, struct buf *out, struct err *e);
    /* Appends; `out` may be left with a part of the data on error. */
    int (*decompress)(const void *data, size_t n, struct buf *out, struct err *e);
};

extern const struct codec_ops codec_gzip, codec_snappy, codec_lz4, codec_zstd;

struct codec_encoder {
    const struct codec_ops *ops; /* NULL: CODEC_NONE */
    void *state;
};

int codec_encoder_open(struct codec_encoder *enc, enum codec c, int32_t level, struct err *e);
int codec_encoder_run(struct codec_encoder *enc, const void *data, size_t n, struct buf *out, struct err *e);
void codec_encoder_close(struct codec_encoder *enc);

/* Out of line for all codecs: "lz4: <what>" as ERR_CORRUPT. */
int codec_corrupt(const struct codec_ops *ops, const char *what, struct err *e);

/*
 * Where a streaming decoder may write next, growing `out` by about as much as is there (`hint` at first). At
 * out->max it is the spare byte, so that a decoder with nothing more to write can end, and one with more is
 * found out.
 */
struct codec_room {
    uint8_t *p;
    size_t n;
    uint8_t spare;
};
int codec_room_next(struct codec_room *room, struct buf *out, size_t hint, struct err *e);
/* Takes the first `used` bytes of the room as output. ERR_TOO_LARGE when that was the spare byte. */
int codec_room_take(const struct codec_room *room, struct buf *out, size_t used, struct err *e);

/* Allocators in the shape of lz4's and zstd's hooks; `opaque` is not used. */
void *codec_hook_alloc(void *opaque, size_t size);
void *codec_hook_calloc(void *opaque, size_t size);
void codec_hook_free(void *opaque, void *p);

#endif
