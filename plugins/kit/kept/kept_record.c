/*
 * kept_record: bytes of records and of segments' heads. Pure.
 */
#include <string.h>

#include "kit/kept/kept_impl.h"

#define SEGMENT_MAGIC "LEATKEPT"
#define SEGMENT_VERSION 1

uint32_t kept_seed(const uint8_t id[KEPT_ID_BYTES], uint32_t segment, uint32_t offset)
{
    return be32(id) ^ segment * 2654435761u ^ offset;
}

/* Behind the checksum: type, 0, column, table, lengths, the value's checksum, lsn, seq, hash. */
void kept_record_encode(const struct kept_record *r, uint32_t seed, uint8_t head[KEPT_RECORD_HEAD])
{
    head[4] = (uint8_t)r->type;
    head[5] = 0;
    put_be16(head + 6, r->column);
    put_be32(head + 8, r->table);
    put_be32(head + 12, r->key_len);
    put_be32(head + 16, r->value_len);
    put_be32(head + 20, r->value_crc);
    put_be64(head + 24, r->lsn);
    put_be64(head + 32, r->seq);
    put_be64(head + 40, r->hash);
    put_be32(head, crc32c(crc32c(seed, head + 4, KEPT_RECORD_HEAD - 4), r->key, r->key_len));
}

int kept_record_decode(const uint8_t *p, size_t n, uint32_t seed, struct kept_record *out, size_t *need,
                       struct err *e)
{
    *need = KEPT_RECORD_HEAD;
    if (n < *need)
        return err_set(e, ERR_TRUNCATED, "a record's head ends early");
    uint32_t key_len = be32(p + 12);
    if (key_len > KEPT_KEY_MAX)
        return err_set(e, ERR_CORRUPT, "a key of %u bytes", key_len);
    *need += key_len;
    if (n < *need)
        return err_set(e, ERR_TRUNCATED, "a record's key ends early");
    if (be32(p) != crc32c(seed, p + 4, *need - 4))
        return err_set(e, ERR_CORRUPT, "a record's checksum is wrong");
    *out = (struct kept_record){.type = (enum kept_type)p[4],
                                .column = be16(p + 6),
                                .table = be32(p + 8),
                                .key_len = key_len,
                                .value_len = be32(p + 16),
                                .value_crc = be32(p + 20),
                                .lsn = be64(p + 24),
                                .seq = be64(p + 32),
                                .hash = be64(p + 40),
                                .key = p + KEPT_RECORD_HEAD};
    if (out->type < KEPT_PUT || out->type > KEPT_NOTE || p[5])
        return err_set(e, ERR_CORRUPT, "a record of an unknown kind (%u)", p[4]);
    if (out->type != KEPT_NOTE && !out->hash)
        return err_set(e, ERR_CORRUPT, "a record without hash");
    return ERR_OK;
}

void kept_segment_encode(const uint8_t id[KEPT_ID_BYTES], uint32_t no, uint32_t previous,
                         uint8_t head[KEPT_SEGMENT_HEAD])
{
    memcpy(head, SEGMENT_MAGIC, 8);
    put_be32(head + 8, SEGMENT_VERSION);
    put_be32(head + 12, no);
    memcpy(head + 16, id, KEPT_ID_BYTES);
    put_be32(head + 32, previous);
    put_be32(head + 36, 0);
    put_be32(head + 40, crc32c(0, head, 40));
}

bool kept_segment_decode(const uint8_t head[KEPT_SEGMENT_HEAD], const uint8_t id[KEPT_ID_BYTES], uint32_t no,
                         uint32_t *previous)
{
    *previous = be32(head + 32);
    return memcmp(head, SEGMENT_MAGIC, 8) == 0 && be32(head + 8) == SEGMENT_VERSION &&
           be32(head + 12) == no && memcmp(head + 16, id, KEPT_ID_BYTES) == 0 &&
           be32(head + 40) == crc32c(0, head, 40);
}
