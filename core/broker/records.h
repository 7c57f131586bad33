/*
 * records: keys and values of __consumer_offsets and __transaction_state, in Kafka's formats
 * (contract sheet ../shared/contracts/kafka-protocol.md section 4). Pure functions.
 */
#ifndef LEAT_BROKER_RECORDS_H
#define LEAT_BROKER_RECORDS_H

#include "base/buf.h"
#include "base/err.h"

struct text {
    const char *p; /* not NUL-terminated; NULL: null */
    size_t n;
};
struct text text_of(const char *s); /* NULL is null */

/* Classic strings (i16 length, -1 null) and flexible ones (uvarint length + 1, 0 null), as Kafka's messages have. */
int text_put(struct buf *out, struct text t, struct err *e);
int text_get(struct slice *s, bool nullable, struct text *t, struct err *e);
int text_put_compact(struct buf *out, struct text t, struct err *e);
int text_get_compact(struct slice *s, bool nullable, struct text *t, struct err *e);
int skip_tags(struct slice *s, struct err *e); /* tagged fields at the end of a flexible struct */

/* ---- __consumer_offsets ---------------------------------------------------------------------------------------- */

enum group_key_kind { GROUP_KEY_OFFSET, GROUP_KEY_GROUP, GROUP_KEY_OTHER };
struct group_key {
    enum group_key_kind kind;
    struct text group, topic;
    int32_t partition;
};
struct offset_value {
    int64_t offset;
    int32_t leader_epoch;
    struct text metadata;
    int64_t commit_ms;
    int64_t expire_ms; /* as older clients may ask; -1: none */
};
/* Of GroupMetadataValue what says whether a group is in use. */
struct group_value {
    struct text protocol_type; /* empty: offsets only, no members ever */
    int64_t state_ms;          /* when it came into its state; -1: not known */
    int32_t generation;
    int32_t members; /* decoding only */
};
int group_key_offset(struct buf *out, struct text group, struct text topic, int32_t partition, struct err *e);
int group_key_group(struct buf *out, struct text group, struct err *e);
int group_key_decode(const void *data, size_t n, struct group_key *k, struct err *e);
int offset_value_encode(struct buf *out, const struct offset_value *v,
                        struct err *e); /* version 3, or 1 if it expires by itself */
int offset_value_decode(const void *data, size_t n, struct offset_value *v, struct err *e); /* 0 to 4 */
/* Version 3: a group without members. */
int group_value_encode(struct buf *out, const struct group_value *v, struct err *e);
int group_value_decode(const void *data, size_t n, struct group_value *v, struct err *e); /* 0 to 4 */

/* ---- __transaction_state --------------------------------------------------------------------------------------- */

enum txn_state {
    TXN_EMPTY,
    TXN_ONGOING,
    TXN_PREPARE_COMMIT,
    TXN_PREPARE_ABORT,
    TXN_COMPLETE_COMMIT,
    TXN_COMPLETE_ABORT,
    TXN_DEAD,
    TXN_PREPARE_EPOCH_FENCE,
    TXN_STATES
};
const char *txn_state_name(enum txn_state s); /* Kafka's words */

struct txn_value {
    int64_t producer_id;
    int16_t epoch;
    int32_t timeout_ms;
    enum txn_state state;
    int64_t update_ms, start_ms;
    int64_t previous_id,
        next_id;            /* of the producer before its epochs were used up, and after the end; -1: none */
    int16_t client_version; /* transaction version of who changed it last: 2 is KIP-890's */
    /* Decoding: the encoded topics, for txn_value_next; version tells how. */
    struct slice topics;
    int64_t topics_left; /* -1: null */
    int32_t partitions_left;
    struct text topic;
    bool flexible;
};
int txn_key_encode(struct buf *out, struct text id, struct err *e);
int txn_key_decode(const void *data, size_t n, struct text *id, struct err *e);
/*
 * Version 1. `each(arg, i, ...)` names the i-th topic-partition of `n`; partitions of one topic that follow each other
 * share its entry. A state without partitions writes null for TXN_EMPTY, else an empty list.
 */
int txn_value_encode(struct buf *out, const struct txn_value *v,
                     void (*each)(void *arg, size_t i, struct text *topic, int32_t *partition), void *arg,
                     size_t n, struct err *e);
int txn_value_decode(const void *data, size_t n, struct txn_value *v, struct err *e); /* 0 and 1 */
/* Next topic-partition of a decoded value. ERR_END after the last. */
int txn_value_next(struct txn_value *v, struct text *topic, int32_t *partition, struct err *e);

#endif
