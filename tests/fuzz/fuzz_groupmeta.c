/*
 * Keys and values of __consumer_offsets and __transaction_state. The first byte chooses the decoder; what decodes must
 * survive encoding in the version that we write.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offset_key(const uint8_t *data, size_t size, struct buf *out)
{
    struct group_key k, again;
    struct err e;
    if (group_key_decode(data, size, &k, &e) || k.kind == GROUP_KEY_OTHER)
        return;
    int rc = k.kind == GROUP_KEY_OFFSET ? group_key_offset(out, k.group, k.topic, k.partition, &e)
                                        : group_key_group(out, k.group, &e);
    assert(rc == ERR_OK && group_key_decode(out->data, out->len, &again, &e) == ERR_OK);
    assert(again.kind == k.kind && again.group.n == k.group.n && again.topic.n == k.topic.n &&
           again.partition == k.partition);
}

static void offset_value(const uint8_t *data, size_t size, struct buf *out)
{
    struct offset_value v, again;
    struct err e;
    if (offset_value_decode(data, size, &v, &e) || offset_value_encode(out, &v, &e))
        return; /* a flexible value's metadata may be longer than the version that we write allows */
    assert(offset_value_decode(out->data, out->len, &again, &e) == ERR_OK);
    assert(again.offset == v.offset && again.leader_epoch == v.leader_epoch &&
           again.metadata.n == v.metadata.n && again.commit_ms == v.commit_ms);
}

static void group_value(const uint8_t *data, size_t size, struct buf *out)
{
    struct group_value v, again;
    struct err e;
    if (group_value_decode(data, size, &v, &e))
        return;
    assert(v.members >= 0 && (size_t)v.members <= size);
    if (group_value_encode(out, &v, &e))
        return; /* a flexible value's text may be longer than the version that we write allows */
    assert(group_value_decode(out->data, out->len, &again, &e) == ERR_OK);
    assert(again.members == 0 && again.state_ms == v.state_ms && again.protocol_type.n == v.protocol_type.n);
}

struct part {
    struct text topic;
    int32_t partition;
};

static void each_part(void *arg, size_t i, struct text *topic, int32_t *partition)
{
    const struct part *parts = arg;
    *topic = parts[i].topic;
    *partition = parts[i].partition;
}

static void txn_value(const uint8_t *data, size_t size, struct buf *out)
{
    struct txn_value v, again;
    struct part parts[64], p;
    struct err e;
    size_t n = 0;
    if (txn_value_decode(data, size, &v, &e))
        return;
    struct txn_value walk = v;
    int rc;
    while ((rc = txn_value_next(&walk, &p.topic, &p.partition, &e)) == ERR_OK)
        if (n < 64)
            parts[n++] = p;
    assert(rc == ERR_END); /* decoding has walked them already */
    if (txn_value_encode(out, &v, each_part, parts, n, &e))
        return;
    assert(txn_value_decode(out->data, out->len, &again, &e) == ERR_OK);
    assert(again.producer_id == v.producer_id && again.epoch == v.epoch && again.state == v.state &&
           again.start_ms == v.start_ms);
    for (size_t i = 0; i < n; i++) {
        assert(txn_value_next(&again, &p.topic, &p.partition, &e) == ERR_OK);
        assert(p.partition == parts[i].partition && p.topic.n == parts[i].topic.n);
    }
    assert(txn_value_next(&again, &p.topic, &p.partition, &e) == ERR_END);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf out;
    struct text id;
    struct err e;
    if (size == 0)
        return 0;
    buf_init(&out, 1 << 20);
    switch (data[0] % 5) {
    case 0:
        offset_key(data + 1, size - 1, &out);
        break;
    case 1:
        offset_value(data + 1, size - 1, &out);
        break;
    case 2:
        txn_key_decode(data + 1, size - 1, &id, &e);
        break;
    case 4:
        group_value(data + 1, size - 1, &out);
        break;
    default:
        txn_value(data + 1, size - 1, &out);
    }
    buf_free(&out);
    return 0;
}
