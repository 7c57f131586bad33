/*
 * slice: bounded reading of bytes from outside. One thread at a time.
 */
#include "base/buf.h"

struct slice slice_of(const void *data, size_t n)
{
    return (struct slice){data, n > 0 ? (const uint8_t *)data + n : data}; /* nothing may be at NULL */
}

size_t slice_left(const struct slice *s)
{
    return (size_t)(s->end - s->p);
}

int slice_bytes(struct slice *s, size_t n, const uint8_t **p, struct err *e)
{
    if (n > slice_left(s))
        return err_set(e, ERR_TRUNCATED, "%zu bytes wanted, %zu left", n, slice_left(s));
    *p = s->p;
    s->p += n;
    return ERR_OK;
}

int slice_u8(struct slice *s, uint8_t *v, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, 1, &p, e);
    if (rc == ERR_OK)
        *v = *p;
    return rc;
}

int slice_i16(struct slice *s, int16_t *v, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, 2, &p, e);
    if (rc == ERR_OK)
        *v = (int16_t)be16(p);
    return rc;
}

int slice_i32(struct slice *s, int32_t *v, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, 4, &p, e);
    if (rc == ERR_OK)
        *v = (int32_t)be32(p);
    return rc;
}

int slice_i64(struct slice *s, int64_t *v, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, 8, &p, e);
    if (rc == ERR_OK)
        *v = (int64_t)be64(p);
    return rc;
}

int slice_uvarint(struct slice *s, uint64_t *v, struct err *e)
{
    uint64_t u = 0;
    const uint8_t *p = s->p;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p == s->end)
            return err_set(e, ERR_TRUNCATED, "data ends inside a varint");
        uint8_t c = *p++;
        if (shift == 63 && c > 1)
            break;
        u |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80)) {
            *v = u;
            s->p = p;
            return ERR_OK;
        }
    }
    return err_set(e, ERR_CORRUPT, "varint is longer than 64 bits");
}

int slice_varint(struct slice *s, int64_t *v, struct err *e)
{
    uint64_t u;
    int rc = slice_uvarint(s, &u, e);
    if (rc == ERR_OK)
        *v = (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
    return rc;
}
