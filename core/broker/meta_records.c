/*
 * meta_records: KRaft's metadata records that we keep: TopicRecord, PartitionRecord, ConfigRecord, RemoveTopicRecord,
 * ProducerIdsRecord; frame version 1 (KIP-631, KIP-746). Pure functions.
 */
#include <string.h>

#include "broker/meta.h"

enum { FRAME_VERSION = 1, PARTITION_VERSION = 1 };

static int put_uuid(struct buf *out, const struct uuid *u, struct err *e)
{
    return buf_append(out, u->b, sizeof u->b, e);
}

static int get_uuid(struct slice *s, struct uuid *u, struct err *e)
{
    const uint8_t *p;
    int rc = slice_bytes(s, sizeof u->b, &p, e);
    if (!rc)
        memcpy(u->b, p, sizeof u->b);
    return rc;
}

static int put_frame(struct buf *out, int kind, int version, struct err *e)
{
    int rc;
    if ((rc = buf_uvarint(out, FRAME_VERSION, e)) || (rc = buf_uvarint(out, (uint64_t)kind, e)))
        return rc;
    return buf_uvarint(out, (uint64_t)version, e);
}

static int put_node(struct buf *out, const struct meta_record *r,
                    struct err *e) /* an array of the one node */
{
    int rc = buf_uvarint(out, 2, e);
    return rc ? rc : buf_i32(out, r->node, e);
}

static int put_partition(struct buf *out, const struct meta_record *r, struct err *e)
{
    int rc;
    if ((rc = buf_i32(out, r->partition, e)) || (rc = put_uuid(out, &r->topic_id, e)) ||
        (rc = put_node(out, r, e)) || (rc = put_node(out, r, e)) || (rc = buf_uvarint(out, 1, e)) ||
        (rc = buf_uvarint(out, 1, e)) || /* removing, adding */
        (rc = buf_i32(out, r->node, e)) || (rc = buf_i32(out, r->leader_epoch, e)) ||
        (rc = buf_i32(out, 0, e)) || /* the partition's epoch */
        (rc = buf_uvarint(out, 2, e)))
        return rc;
    return put_uuid(out, &r->directory, e);
}

static int put_config(struct buf *out, const struct meta_record *r, struct err *e)
{
    int rc;
    if ((rc = buf_u8(out, (uint8_t)r->resource, e)) || (rc = text_put_compact(out, r->name, e)) ||
        (rc = text_put_compact(out, r->key, e)))
        return rc;
    return text_put_compact(out, r->value, e);
}

struct meta_record meta_config_record(int8_t resource, const char *name, const struct topic_config_entry *c)
{
    return (struct meta_record){.kind = META_CONFIG,
                                .resource = resource,
                                .name = text_of(name),
                                .key = text_of(c->name),
                                .value = text_of(c->value)};
}

int meta_encode(struct buf *out, const struct meta_record *r, struct err *e)
{
    int rc = put_frame(out, r->kind, r->kind == META_PARTITION ? PARTITION_VERSION : 0, e);
    if (rc)
        return rc;
    switch (r->kind) {
    case META_TOPIC:
        rc = text_put_compact(out, r->name, e);
        rc = rc ? rc : put_uuid(out, &r->topic_id, e);
        break;
    case META_PARTITION:
        rc = put_partition(out, r, e);
        break;
    case META_CONFIG:
        rc = put_config(out, r, e);
        break;
    case META_REMOVE_TOPIC:
        rc = put_uuid(out, &r->topic_id, e);
        break;
    case META_PRODUCER_IDS:
        rc = buf_i32(out, r->node, e);
        rc = rc ? rc : buf_i64(out, 0, e);
        rc = rc ? rc : buf_i64(out, r->next_producer_id, e);
        break;
    default:
        rc = err_set(e, ERR_INTERNAL, "metadata record kind %d cannot be written", r->kind);
    }
    return rc ? rc : buf_uvarint(out, 0, e); /* no tagged fields */
}

static int get_config(struct slice *s, struct meta_record *r, struct err *e)
{
    uint8_t resource;
    int rc;
    if ((rc = slice_u8(s, &resource, e)) || (rc = text_get_compact(s, false, &r->name, e)) ||
        (rc = text_get_compact(s, false, &r->key, e)))
        return rc;
    r->resource = (int8_t)resource;
    return text_get_compact(s, true, &r->value, e);
}

static int get_producer_ids(struct slice *s, struct meta_record *r, struct err *e)
{
    int32_t broker;
    int64_t epoch;
    int rc;
    if ((rc = slice_i32(s, &broker, e)) || (rc = slice_i64(s, &epoch, e)) ||
        (rc = slice_i64(s, &r->next_producer_id, e)))
        return rc;
    return r->next_producer_id < 0 ? err_set(e, ERR_CORRUPT, "producer ids start at a negative number")
                                   : ERR_OK;
}

/* A compact array of items of `size` bytes, passed over; *first, if not NULL, points to the first of them. */
static int skip_array(struct slice *s, size_t size, const uint8_t **first, struct err *e)
{
    uint64_t n;
    const uint8_t *items;
    int rc = slice_uvarint(s, &n, e);
    if (rc || n <= 1)
        return rc;
    if (n - 1 > INT32_MAX / size)
        return err_set(e, ERR_CORRUPT, "a partition record has %llu replicas", (unsigned long long)n - 1);
    rc = slice_bytes(s, (size_t)(n - 1) * size, &items, e);
    if (!rc && first)
        *first = items;
    return rc;
}

/* The nodes of a partition's replicas are passed over: there is one. */
static int get_partition(struct slice *s, uint64_t version, struct meta_record *r, struct err *e)
{
    const uint8_t *directory = NULL;
    int32_t ignored;
    int rc;
    if ((rc = slice_i32(s, &r->partition, e)) || (rc = get_uuid(s, &r->topic_id, e)))
        return rc;
    if (r->partition < 0)
        return err_set(e, ERR_CORRUPT, "a partition record has number %d", r->partition);
    for (int i = 0; i < 4; i++) /* replicas, in sync, removing, adding */
        if ((rc = skip_array(s, sizeof(int32_t), NULL, e)))
            return rc;
    if ((rc = slice_i32(s, &r->node, e)) || (rc = slice_i32(s, &r->leader_epoch, e)) ||
        (rc = slice_i32(s, &ignored, e))) /* the partition's epoch */
        return rc;
    if (version > 0)
        rc = skip_array(s, sizeof r->directory.b, &directory, e);
    if (!rc && directory)
        memcpy(r->directory.b, directory, sizeof r->directory.b);
    return rc;
}

static int get_body(struct slice *s, uint64_t version, struct meta_record *r, struct err *e)
{
    int rc;
    if (r->kind == META_PARTITION)
        return version <= 2 ? get_partition(s, version, r, e)
                            : err_set(e, ERR_UNSUPPORTED, "partition record of version %llu",
                                      (unsigned long long)version);
    if (version != 0)
        return err_set(e, ERR_UNSUPPORTED, "metadata record %d of version %llu", r->kind,
                       (unsigned long long)version);
    switch (r->kind) {
    case META_TOPIC:
        rc = text_get_compact(s, false, &r->name, e);
        return rc ? rc : get_uuid(s, &r->topic_id, e);
    case META_CONFIG:
        return get_config(s, r, e);
    case META_REMOVE_TOPIC:
        return get_uuid(s, &r->topic_id, e);
    default:
        return get_producer_ids(s, r, e);
    }
}

int meta_decode(const void *data, size_t n, struct meta_record *r, struct err *e)
{
    struct slice s = slice_of(data, n);
    uint64_t frame, kind, version;
    int rc;
    memset(r, 0, sizeof *r);
    if ((rc = slice_uvarint(&s, &frame, e)) || (rc = slice_uvarint(&s, &kind, e)) ||
        (rc = slice_uvarint(&s, &version, e)))
        return rc;
    if (frame != FRAME_VERSION)
        return err_set(e, ERR_UNSUPPORTED, "metadata frame of version %llu", (unsigned long long)frame);
    r->kind = kind > INT16_MAX ? INT16_MAX : (int)kind;
    switch (r->kind) {
    case META_TOPIC:
    case META_PARTITION:
    case META_CONFIG:
    case META_REMOVE_TOPIC:
    case META_PRODUCER_IDS:
        return get_body(&s, version, r, e);
    default:
        return ERR_OK;
    }
}
