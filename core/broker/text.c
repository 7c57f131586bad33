/*
 * text: strings and tagged fields as Kafka's messages encode them, classic and flexible (KIP-482). Pure functions.
 */
#include <string.h>

#include "broker/records.h"

struct text text_of(const char *s)
{
    return (struct text){s, s ? strlen(s) : 0};
}

int text_put(struct buf *out, struct text t, struct err *e)
{
    if (!t.p)
        return buf_i16(out, -1, e);
    if (t.n > INT16_MAX)
        return err_set(e, ERR_TOO_LARGE, "a string of %zu bytes does not fit its 16-bit length", t.n);
    int rc = buf_i16(out, (int16_t)t.n, e);
    return rc ? rc : buf_append(out, t.p, t.n, e);
}

int text_get(struct slice *s, bool nullable, struct text *t, struct err *e)
{
    int16_t n;
    int rc = slice_i16(s, &n, e);
    if (rc)
        return rc;
    *t = (struct text){NULL, 0};
    if (n == -1 && nullable)
        return ERR_OK;
    if (n < 0)
        return err_set(e, ERR_CORRUPT, "a string has length %d", n);
    const uint8_t *p;
    rc = slice_bytes(s, (size_t)n, &p, e);
    if (!rc)
        *t = (struct text){(const char *)p, (size_t)n};
    return rc;
}

int text_put_compact(struct buf *out, struct text t, struct err *e)
{
    if (!t.p)
        return buf_uvarint(out, 0, e);
    int rc = buf_uvarint(out, t.n + 1, e);
    return rc ? rc : buf_append(out, t.p, t.n, e);
}

int text_get_compact(struct slice *s, bool nullable, struct text *t, struct err *e)
{
    uint64_t n;
    int rc = slice_uvarint(s, &n, e);
    if (rc)
        return rc;
    *t = (struct text){NULL, 0};
    if (n == 0)
        return nullable ? ERR_OK : err_set(e, ERR_CORRUPT, "a string is null where it must not be");
    const uint8_t *p;
    if (n - 1 > slice_left(s))
        return err_set(e, ERR_TRUNCATED, "a string of %llu bytes in %zu bytes", (unsigned long long)(n - 1),
                       slice_left(s));
    rc = slice_bytes(s, (size_t)(n - 1), &p, e);
    if (!rc)
        *t = (struct text){(const char *)p, (size_t)(n - 1)};
    return rc;
}

int skip_tags(struct slice *s, struct err *e)
{
    uint64_t count, tag, size;
    const uint8_t *p;
    int rc = slice_uvarint(s, &count, e);
    for (; !rc && count > 0; count--) {
        if ((rc = slice_uvarint(s, &tag, e)) || (rc = slice_uvarint(s, &size, e)))
            break;
        if (size > slice_left(s))
            return err_set(e, ERR_TRUNCATED, "tagged field %llu ends early", (unsigned long long)tag);
        rc = slice_bytes(s, (size_t)size, &p, e);
    }
    return rc;
}
