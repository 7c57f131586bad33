/*
 * wire: what decode.c and api.c share of the flexible versions' forms. Private to core/protocol.
 */
#ifndef LEAT_PROTOCOL_WIRE_H
#define LEAT_PROTOCOL_WIRE_H

#include "base/buf.h"

/* An unsigned varint of at most 32 bits. ERR_TRUNCATED, ERR_CORRUPT. */
static inline int wire_uvarint32(struct slice *in, uint32_t *v, struct err *e)
{
    if (in->p < in->end && *in->p < 0x80) {
        *v = *in->p++;
        return ERR_OK;
    }
    uint64_t wide = 0;
    int rc = slice_uvarint(in, &wide, e);
    if (rc == ERR_OK && wide > UINT32_MAX)
        rc = err_set(e, ERR_CORRUPT, "a length of more than 32 bits");
    *v = (uint32_t)wide;
    return rc;
}

/* A tagged field's number and its bytes, which are taken out of `in`. */
static inline int wire_tagged(struct slice *in, uint32_t *tag, struct slice *field, struct err *e)
{
    uint32_t size = 0;
    const uint8_t *p;
    int rc = wire_uvarint32(in, tag, e);
    if (rc == ERR_OK)
        rc = wire_uvarint32(in, &size, e);
    if (rc == ERR_OK)
        rc = slice_bytes(in, size, &p, e);
    if (rc == ERR_OK)
        *field = slice_of(p, size);
    return rc;
}

#endif
