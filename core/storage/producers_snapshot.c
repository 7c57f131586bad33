/*
 * producers_snapshot: Kafka's producer snapshot, version 1. Bytes: docs/disk-format.md. See producers.h.
 */
#include "storage/producers_internal.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEADER 10
#define SNAPSHOT_ENTRY 46

static int by_id(const void *a, const void *b)
{
    const struct producer_info *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

int producers_encode(const struct producers *p, struct buf *out, struct err *e)
{
    struct producer_info *list;
    size_t n;
    int rc = producers_list(p, &list, &n, e);
    if (rc)
        return rc;
    if (n)
        qsort(list, n, sizeof *list, by_id); /* the same state gives the same bytes */
    rc = buf_reserve(out, SNAPSHOT_HEADER + n * SNAPSHOT_ENTRY, e);
    if (rc == ERR_OK) {
        uint8_t *start = out->data + out->len, *d = start + SNAPSHOT_HEADER;
        put_be16(start, SNAPSHOT_VERSION);
        put_be32(start + 6, (uint32_t)n);
        for (size_t i = 0; i < n; i++, d += SNAPSHOT_ENTRY) {
            const struct producer *pr = producers_find(p, list[i].id);
            put_be64(d, (uint64_t)list[i].id);
            put_be16(d + 8, (uint16_t)list[i].epoch);
            put_be32(d + 10, (uint32_t)list[i].last_sequence);
            put_be64(d + 14, (uint64_t)list[i].last_offset);
            put_be32(d + 22, pr->count ? (uint32_t)pr->batches[pr->count - 1].offset_delta : 0);
            put_be64(d + 26, (uint64_t)list[i].last_timestamp);
            put_be32(d + 34, (uint32_t)list[i].coordinator_epoch);
            put_be64(d + 38, (uint64_t)list[i].txn_first_offset);
        }
        put_be32(start + 2, crc32c(0, start + 6, (size_t)(d - start) - 6));
        out->len += (size_t)(d - start);
    }
    mem_free(list);
    return rc;
}

static int by_first_offset(const void *a, const void *b)
{
    const struct producer_info *x = a, *y = b;
    return x->txn_first_offset < y->txn_first_offset ? -1 : x->txn_first_offset > y->txn_first_offset;
}

static void decode_entry(const uint8_t *d, struct producer_info *info, struct producer_batch *b)
{
    *info = (struct producer_info){
        .id = (int64_t)be64(d),
        .epoch = (int16_t)be16(d + 8),
        .last_sequence = (int32_t)be32(d + 10),
        .last_offset = (int64_t)be64(d + 14),
        .last_timestamp = (int64_t)be64(d + 26),
        .coordinator_epoch = (int32_t)be32(d + 34),
        .txn_first_offset = (int64_t)be64(d + 38),
    };
    *b = (struct producer_batch){info->last_sequence, (int32_t)be32(d + 22), info->last_offset,
                                 info->last_timestamp};
}

static int add_entries(struct producers *p, const uint8_t *d, size_t n, const char *path, struct err *e)
{
    struct producer_info *open = n ? mem_calloc(n, sizeof *open) : NULL;
    size_t open_count = 0;
    int rc = n && !open ? err_nomem(e) : ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++, d += SNAPSHOT_ENTRY) {
        struct producer_info info;
        struct producer_batch batch;
        decode_entry(d, &info, &batch);
        if (info.id < 0 || info.epoch < 0 || batch.offset_delta < 0 || producers_find(p, info.id))
            rc = err_set(e, ERR_CORRUPT, "%s: entry %zu is no producer", path, i);
        else
            rc = producers_add(p, &info, info.last_sequence >= 0 ? &batch : NULL, e);
        if (info.txn_first_offset >= 0)
            open[open_count++] = info;
    }
    if (open_count)
        qsort(open, open_count, sizeof *open, by_first_offset);
    for (size_t i = 0; i < open_count && rc == ERR_OK; i++)
        rc = producers_reopen_txn(p, open[i].id, open[i].txn_first_offset, e);
    mem_free(open);
    return rc;
}

int producers_decode(struct producers *p, const void *data, size_t n, const char *path, struct err *e)
{
    const uint8_t *d = data;
    if (n < SNAPSHOT_HEADER)
        return err_set(e, ERR_CORRUPT, "%s: %zu bytes are no snapshot", path, n);
    if (be16(d) != SNAPSHOT_VERSION)
        return err_set(e, ERR_CORRUPT, "%s: version %u is unknown", path, be16(d));
    if (be32(d + 2) != crc32c(0, d + 6, n - 6))
        return err_set(e, ERR_CORRUPT, "%s: checksum does not match", path);
    uint32_t count = be32(d + 6);
    if ((n - SNAPSHOT_HEADER) / SNAPSHOT_ENTRY != count || (n - SNAPSHOT_HEADER) % SNAPSHOT_ENTRY)
        return err_set(e, ERR_CORRUPT, "%s: %u entries do not fit %zu bytes", path, count, n);
    int rc = add_entries(p, d + SNAPSHOT_HEADER, count, path, e);
    if (rc)
        producers_clear(p);
    return rc;
}
