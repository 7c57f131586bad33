/*
 * buf: a growable byte buffer with a mandatory cap; slice: a bounded reader over bytes from outside.
 * All integers are big-endian, varints are zigzag as in Kafka's records (uvarint: unsigned, as in flexible
 * messages). Not thread-safe.
 */
#ifndef LEAT_BASE_BUF_H
#define LEAT_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    size_t max; /* growing past it is ERR_TOO_LARGE */
};

void buf_init(struct buf *b, size_t max); /* allocates nothing */
void buf_free(struct buf *b);             /* may be used again after buf_init */
void buf_reset(struct buf *b);            /* len = 0, memory kept */

int buf_reserve(struct buf *b, size_t extra, struct err *e); /* room for `extra` more bytes at data + len */
int buf_append(struct buf *b, const void *data, size_t n, struct err *e);
int buf_printf(struct buf *b, struct err *e, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int buf_str(struct buf *b, const char *s, struct err *e); /* without the NUL */
int buf_u8(struct buf *b, uint8_t v, struct err *e);
int buf_i16(struct buf *b, int16_t v, struct err *e);
int buf_i32(struct buf *b, int32_t v, struct err *e);
int buf_i64(struct buf *b, int64_t v, struct err *e);
int buf_varint(struct buf *b, int64_t v, struct err *e);   /* zigzag */
int buf_uvarint(struct buf *b, uint64_t v, struct err *e); /* unsigned */
/* JSON string literal with quotes; invalid UTF-8 becomes U+FFFD. */
int buf_json_str(struct buf *b, const char *s, size_t n, struct err *e);

/* Length of the well-formed UTF-8 sequence at the start of n > 0 bytes (RFC 3629), or 0. */
size_t utf8_length(const uint8_t *s, size_t n);

struct slice {
    const uint8_t *p;
    const uint8_t *end;
};

struct slice slice_of(const void *data, size_t n);
size_t slice_left(const struct slice *s);

/* Each reads and advances, or is ERR_TRUNCATED and leaves the slice where it was. */
int slice_u8(struct slice *s, uint8_t *v, struct err *e);
int slice_i16(struct slice *s, int16_t *v, struct err *e);
int slice_i32(struct slice *s, int32_t *v, struct err *e);
int slice_i64(struct slice *s, int64_t *v, struct err *e);
int slice_varint(struct slice *s, int64_t *v, struct err *e); /* ERR_CORRUPT over ten bytes */
int slice_uvarint(struct slice *s, uint64_t *v, struct err *e);
int slice_bytes(struct slice *s, size_t n, const uint8_t **p, struct err *e);

/* Unchecked big-endian loads and stores, for places whose bounds are already known. */
static inline uint16_t be16(const void *p)
{
    const uint8_t *b = p;
    return (uint16_t)(b[0] << 8 | b[1]);
}
static inline uint32_t be32(const void *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t be64(const void *p)
{
    uint64_t v;
    __builtin_memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}
static inline void put_be16(void *p, uint16_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)(v >> 8);
    b[1] = (uint8_t)v;
}
static inline void put_be32(void *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    __builtin_memcpy(p, &v, 4);
}
static inline void put_be64(void *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    __builtin_memcpy(p, &v, 8);
}

/* Encoded sizes, and stores into memory that has room for 10 bytes; put_* return the number of bytes. */
size_t varint_size(int64_t v);
size_t put_varint(uint8_t *p, int64_t v);
size_t put_uvarint(uint8_t *p, uint64_t v);

#endif
