/*
 * record: record batch format v2, the one format in memory, on disk and on the wire.
 * Format: KIP-98, the contract sheet ../shared/contracts/kafka-protocol.md section 3, docs/disk-format.md.
 * Nothing here keeps global state; objects belong to one thread at a time.
 */
#ifndef LEAT_RECORD_RECORD_H
#define LEAT_RECORD_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define BATCH_HEADER_SIZE 61
#define BATCH_LENGTH_PREFIX 12       /* baseOffset and batchLength, not counted by batchLength */
#define BATCH_MAX_BYTES (128u << 20) /* no batch is ever trusted to be larger */
#define BATCH_MAX_INFLATED (256u << 20)

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODEC_COUNT };
const char *codec_name(enum codec c);              /* "none", "gzip", ... */
bool codec_parse(const char *name, enum codec *c); /* also "uncompressed" as none */

/*
 * Levels are Kafka's: gzip -1 and 1 to 9, lz4 1 to 17, zstd what the library has; snappy has none, and none
 * takes any. The default is what Kafka's compression.*.level defaults mean: zstd 3; lz4 9, which there is the
 * fast compressor; for gzip (-1) ISA-L's at about the density of zlib's 4 and ten times the speed of its 6.
 */
#define CODEC_LEVEL_DEFAULT INT32_MIN

enum batch_attributes {
    BATCH_CODEC_MASK = 0x07,
    BATCH_LOG_APPEND_TIME = 0x08,
    BATCH_TRANSACTIONAL = 0x10,
    BATCH_CONTROL = 0x20,
    BATCH_DELETE_HORIZON = 0x40,
};

struct batch_header {
    int64_t base_offset;
    int32_t batch_length; /* bytes after the length field; whole batch = + BATCH_LENGTH_PREFIX */
    int32_t leader_epoch;
    uint32_t crc;
    int16_t attributes;
    int32_t last_offset_delta;
    int64_t base_timestamp;
    int64_t max_timestamp;
    int64_t producer_id;
    int16_t producer_epoch;
    int32_t base_sequence;
    int32_t record_count;
};

static inline size_t batch_size(const struct batch_header *h)
{
    return (size_t)h->batch_length + BATCH_LENGTH_PREFIX;
}
static inline int64_t batch_last_offset(const struct batch_header *h)
{
    return h->base_offset + h->last_offset_delta;
}
static inline enum codec batch_codec(const struct batch_header *h)
{
    return (enum codec)(h->attributes & BATCH_CODEC_MASK);
}

/*
 * Decodes the header and checks what can be checked from it alone: magic, bounds of the lengths and counts, a
 * known codec. Needs BATCH_HEADER_SIZE bytes (else ERR_TRUNCATED); the rest of the batch need not be present.
 * Whatever is wrong is ERR_CORRUPT.
 */
int batch_header_decode(const void *data, size_t n, struct batch_header *h, struct err *e);

/* As above, plus: the whole batch is present in `n` bytes (else ERR_TRUNCATED) and its CRC-32C is right. */
int batch_check(const void *data, size_t n, struct batch_header *h, struct err *e);

/*
 * As batch_check, plus every record is walked (inflating if compressed): lengths, headers, rising offsets,
 * count, max timestamp; with `strict_offsets` also what a producer's batch must keep and a compacted one need
 * not: records, no gaps in the offsets, a sequence where there is a producer id; and the header's max timestamp is not believed:
 * h->max_timestamp is that of the records (batch_set_max_timestamp).
 *
 * What a broker does with a batch from a client, and hence with the codes a client is to get: ERR_CORRUPT for
 * a wrong CRC or length, which may come out right the next time; ERR_INVALID_RECORD for everything that the
 * sender made so (records behind a right CRC, counts, magic 0 or 1, a batch that ends early);
 * ERR_UNSUPPORTED_COMPRESSION; ERR_TOO_LARGE for what inflates beyond scratch->max. There may be more after
 * the batch in `n` bytes: compare with batch_size().
 *
 * `scratch` is used for inflating (buf_init(scratch, BATCH_MAX_INFLATED) or less), may be reused between
 * calls.
 */
int batch_validate(const void *data, size_t n, bool strict_offsets, struct buf *scratch,
                   struct batch_header *h, struct err *e);

/* Rewrites what lies outside the CRC. `batch` is at least BATCH_HEADER_SIZE bytes. */
void batch_assign(void *batch, int64_t base_offset, int32_t leader_epoch);

/* Sets LogAppendTime and max timestamp, and computes the CRC anew. `batch` is whole and valid. */
void batch_set_log_append_time(void *batch, int64_t now_ms);

/* Likewise the max timestamp alone; nothing is done where it is the same. */
void batch_set_max_timestamp(void *batch, int64_t max_timestamp);

struct record_header {
    const char *key; /* not NUL-terminated, UTF-8 */
    int32_t key_len;
    const uint8_t *value; /* NULL: null */
    int32_t value_len;    /* -1: null */
};

struct record {
    int64_t offset;
    int64_t timestamp;  /* ms; already the append time where the batch says so */
    const uint8_t *key; /* NULL: null */
    int32_t key_len;    /* -1: null */
    const uint8_t *value;
    int32_t value_len;
    int32_t header_count;
    struct slice headers; /* encoded; read with record_next_header */
};

/* Steps through r->headers. ERR_END after the last one. */
int record_next_header(struct slice *headers, struct record_header *h, struct err *e);

/*
 * Walks the records of one checked batch (the CRC is not looked at again, but every length is). Pointers in
 * records stay valid as long as the batch and what is in `scratch`, which is needed for compressed batches
 * only. A malformed record is ERR_CORRUPT; its headers are checked as they are read.
 */
struct batch_iter {
    struct batch_header header;
    struct slice left;
    int32_t remaining;
    int64_t last_offset; /* of the last record given out */
};
int batch_iter_init(struct batch_iter *it, const void *batch, size_t n, struct buf *scratch, struct err *e);
int batch_iter_next(struct batch_iter *it, struct record *r, struct err *e); /* ERR_END after the last */

/* ---- building -------------------------------------------------------------------------------------------- */

struct batch_options {
    enum codec codec;
    int32_t level;    /* or CODEC_LEVEL_DEFAULT */
    size_t max_bytes; /* cap of the uncompressed batch; 0: 1 MiB - 12, Kafka's max.message.bytes default */
};

/* What idempotent and transactional producers stamp on a batch; {-1, -1, -1, false} for plain ones. */
struct batch_producer {
    int64_t id;
    int16_t epoch;
    int32_t base_sequence;
    bool transactional;
};
#define BATCH_NO_PRODUCER ((struct batch_producer){-1, -1, -1, false})

/* Builds one batch at a time in one reused buffer. One thread. */
struct batch_builder;
struct batch_builder *batch_builder_new(const struct batch_options *o, struct err *e); /* NULL on error */
void batch_builder_free(struct batch_builder *b);

/*
 * Appends one record; key or value NULL is null. `headers` are `header_count` items. ERR_TOO_LARGE when the
 * record does not fit into what is left (finish and try again) or, in an empty builder, can never fit
 * (err.text says so).
 */
int batch_builder_add(struct batch_builder *b, int64_t timestamp, const void *key, size_t key_len,
                      const void *value, size_t value_len, const struct record_header *headers,
                      int32_t header_count, struct err *e);
int32_t batch_builder_count(const struct batch_builder *b);
size_t batch_builder_bytes(const struct batch_builder *b); /* uncompressed, with header */

/*
 * Completes the batch: compression (unless the batch would not get smaller), header, CRC. base_offset and
 * leader_epoch are 0. The bytes are the builder's and valid, and may be written to (batch_assign), until the
 * next call on it; the next add starts a new batch. On error (ERR_INVALID for a batch without records,
 * ERR_NO_MEMORY) the records stay in.
 */
int batch_builder_finish(struct batch_builder *b, const struct batch_producer *p, uint8_t **data, size_t *n,
                         struct err *e);

/*
 * Appends the batch with its records in another codec to `out`: the same records, offsets, producer and timestamps under
 * a new length and CRC. The old one is checked first (as batch_check), so that damage is not sealed anew. `level` as in
 * batch_options. `scratch` holds the inflated records meanwhile. ERR_TOO_LARGE past out->max, or if the result could not be a
 * batch.
 */
int batch_recompress(const void *batch, size_t n, enum codec codec, int32_t level, struct buf *scratch,
                     struct buf *out, struct err *e);

/* Drops what was added. */
void batch_builder_reset(struct batch_builder *b);

/*
 * What is left of a batch when records are taken out of it, as Kafka's cleaner writes it: base and last offset, leader
 * epoch, producer, sequence, codec and kind of timestamp stay; base and maximum timestamp are those of the records left.
 * With a delete horizon (-1: none) that is the base timestamp, and says so. Without records it is a header alone, which
 * keeps the largest timestamp. One thread; buffers and encoders are kept from batch to batch.
 */
struct batch_rewriter;
struct batch_rewriter *batch_rewriter_new(struct err *e); /* NULL on error */
void batch_rewriter_free(struct batch_rewriter *w);
void batch_rewriter_begin(struct batch_rewriter *w, const struct batch_header *of, int64_t delete_horizon_ms);
/* A record of that batch, offsets ascending. */
int batch_rewriter_add(struct batch_rewriter *w, const struct record *r, struct err *e);
/* The bytes are the rewriter's, until the next batch. ERR_TOO_LARGE past BATCH_MAX_BYTES. */
int batch_rewriter_finish(struct batch_rewriter *w, uint8_t **data, size_t *n, struct err *e);

/* Transaction markers (control batches with one record). */
#define MARKER_ABORT 0
#define MARKER_COMMIT 1
int marker_build(struct buf *out, int64_t producer_id, int16_t producer_epoch, bool commit,
                 int32_t coordinator_epoch, int64_t now_ms, struct err *e);
/* Of a checked control batch: type (MARKER_*, or others of KRaft), coordinator epoch (-1 for KRaft's). */
int marker_decode(const void *batch, size_t n, int16_t *type, int32_t *coordinator_epoch, struct err *e);

/* ---- codecs, for use outside batches too ------------------------------------------------------------- */

/*
 * Appends to `out`. ERR_TOO_LARGE past out->max, which bounds a decompression bomb (`out` may then hold a
 * part), and for more than 1 GiB at once; ERR_CORRUPT on bad input; ERR_INVALID for a level that the codec
 * does not have. Framings: gzip with any number of members; snappy raw or as snappy-java's (which is
 * written); one lz4 frame of independent blocks; zstd frames.
 */
int codec_compress(enum codec c, int32_t level, const void *data, size_t n, struct buf *out, struct err *e);
int codec_decompress(enum codec c, const void *data, size_t n, struct buf *out, struct err *e);

#endif
