/*
 * dump_decode: fields of the records of __cluster_metadata, __consumer_offsets and __transaction_state. What cannot be decoded
 * is shown as bytes, with the reason. See dump_internal.h.
 */
#include "broker/dump_internal.h"

#include <stdio.h>

#include "base/uuid.h"
#include "broker/meta.h"
#include "broker/records.h"

static void text_field(struct dump *d, const char *name, struct text t)
{
    dump_bytes(d, name, t.p, t.n);
}

static void raw(struct dump *d, const struct record *r, const struct err *why)
{
    dump_bytes(d, "key", r->key, r->key ? (size_t)r->key_len : 0);
    dump_bytes(d, "payload", r->value, r->value ? (size_t)r->value_len : 0);
    if (why) {
        d->r->problems++;
        dump_text(d, "problem", why->text);
    }
}

/* ---- __cluster_metadata: KIP-631 and later; the names are those of Kafka's message definitions ---- */

static const char *kind_name(int kind)
{
    static const char *const names[] = {
        [0] = "REGISTER_BROKER_RECORD",
        [1] = "UNREGISTER_BROKER_RECORD",
        [2] = "TOPIC_RECORD",
        [3] = "PARTITION_RECORD",
        [4] = "CONFIG_RECORD",
        [5] = "PARTITION_CHANGE_RECORD",
        [6] = "ACCESS_CONTROL_RECORD",
        [7] = "FENCE_BROKER_RECORD",
        [8] = "UNFENCE_BROKER_RECORD",
        [9] = "REMOVE_TOPIC_RECORD",
        [10] = "DELEGATION_TOKEN_RECORD",
        [11] = "USER_SCRAM_CREDENTIAL_RECORD",
        [12] = "FEATURE_LEVEL_RECORD",
        [14] = "CLIENT_QUOTA_RECORD",
        [15] = "PRODUCER_IDS_RECORD",
        [16] = "REMOVE_ACCESS_CONTROL_ENTRY_RECORD",
        [17] = "BROKER_REGISTRATION_CHANGE_RECORD",
        [20] = "NO_OP_RECORD",
        [21] = "ZK_MIGRATION_STATE_RECORD",
        [22] = "REMOVE_USER_SCRAM_CREDENTIAL_RECORD",
        [23] = "BEGIN_TRANSACTION_RECORD",
        [24] = "END_TRANSACTION_RECORD",
        [25] = "ABORT_TRANSACTION_RECORD",
        [26] = "REMOVE_DELEGATION_TOKEN_RECORD",
        [27] = "REGISTER_CONTROLLER_RECORD",
        [28] = "CLEAR_ELR_RECORD",
    };
    size_t n = sizeof names / sizeof names[0];
    return kind >= 0 && (size_t)kind < n && names[kind] ? names[kind] : "UNKNOWN_RECORD";
}

static void uuid_field(struct dump *d, const char *name, const struct uuid *u)
{
    char text[UUID_TEXT_SIZE];
    dump_text(d, name, uuid_text(u, text));
}

static void metadata(struct dump *d, const struct record *r)
{
    struct meta_record m;
    struct err why;
    int rc = meta_decode(r->value, r->value ? (size_t)r->value_len : 0, &m, &why);
    if (rc) {
        raw(d, r, &why);
        return;
    }
    dump_text(d, "metadataType", kind_name(m.kind));
    switch (m.kind) {
    case META_TOPIC:
        text_field(d, "name", m.name);
        uuid_field(d, "topicId", &m.topic_id);
        break;
    case META_PARTITION:
        dump_int(d, "partitionId", m.partition);
        uuid_field(d, "topicId", &m.topic_id);
        break;
    case META_CONFIG:
        dump_int(d, "resourceType", m.resource);
        text_field(d, "resourceName", m.name);
        text_field(d, "name", m.key);
        text_field(d, "value", m.value);
        break;
    case META_REMOVE_TOPIC:
        uuid_field(d, "topicId", &m.topic_id);
        break;
    case META_PRODUCER_IDS:
        dump_int(d, "nextProducerId", m.next_producer_id);
        break;
    default:
        dump_bytes(d, "payload", r->value, r->value ? (size_t)r->value_len : 0);
    }
}

/* ---- __consumer_offsets ---- */

static void offsets(struct dump *d, const struct record *r)
{
    struct group_key k;
    struct offset_value v;
    struct err why;
    int rc = group_key_decode(r->key, r->key ? (size_t)r->key_len : 0, &k, &why);
    if (!rc && k.kind == GROUP_KEY_OFFSET && r->value)
        rc = offset_value_decode(r->value, (size_t)r->value_len, &v, &why);
    if (rc || k.kind == GROUP_KEY_OTHER) {
        raw(d, r, rc ? &why : NULL);
        return;
    }
    text_field(d, "group", k.group);
    if (k.kind == GROUP_KEY_GROUP) { /* members and assignments of Kafka's clients */
        dump_bytes(d, "groupMetadata", r->value, r->value ? (size_t)r->value_len : 0);
        return;
    }
    text_field(d, "topic", k.topic);
    dump_int(d, "partition", k.partition);
    if (!r->value) {
        dump_bool(d, "deleted", true);
        return;
    }
    dump_int(d, "committedOffset", v.offset);
    dump_int(d, "leaderEpoch", v.leader_epoch);
    text_field(d, "metadata", v.metadata);
    dump_int(d, "commitTimestamp", v.commit_ms);
}

/* ---- __transaction_state ---- */

static void partitions_of(struct dump *d, struct txn_value *v)
{
    struct text topic;
    int32_t partition;
    struct err why;
    dump_list(d, "partitions");
    while (txn_value_next(v, &topic, &partition, &why) == ERR_OK) {
        char name[300];
        int n =
            snprintf(name, sizeof name, "%.*s-%d", (int)(topic.n < 260 ? topic.n : 260), topic.p, partition);
        dump_item(d, name, (size_t)n);
    }
    dump_list_end(d);
}

static void transactions(struct dump *d, const struct record *r)
{
    struct text id;
    struct txn_value v;
    struct err why;
    int rc = txn_key_decode(r->key, r->key ? (size_t)r->key_len : 0, &id, &why);
    if (!rc && r->value)
        rc = txn_value_decode(r->value, (size_t)r->value_len, &v, &why);
    if (rc) {
        raw(d, r, &why);
        return;
    }
    text_field(d, "transactionalId", id);
    if (!r->value) {
        dump_bool(d, "deleted", true);
        return;
    }
    dump_int(d, "producerId", v.producer_id);
    dump_int(d, "producerEpoch", v.epoch);
    if (v.previous_id >= 0)
        dump_int(d, "previousProducerId", v.previous_id);
    if (v.next_id >= 0)
        dump_int(d, "nextProducerId", v.next_id);
    if (v.client_version != 0)
        dump_int(d, "clientTransactionVersion", v.client_version);
    dump_int(d, "timeoutMs", v.timeout_ms);
    dump_text(d, "state", txn_state_name(v.state));
    partitions_of(d, &v);
    dump_int(d, "lastUpdateTimestamp", v.update_ms);
    dump_int(d, "startTimestamp", v.start_ms);
}

void dump_decoded(struct dump *d, enum dump_decoder decoder, const struct record *r)
{
    if (decoder == DUMP_METADATA)
        metadata(d, r);
    else if (decoder == DUMP_OFFSETS)
        offsets(d, r);
    else
        transactions(d, r);
}
