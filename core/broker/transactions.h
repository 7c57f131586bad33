/*
 * transactions: what Kafka's clients and administrators ask of transactions beyond what the process's own producers use
 * (broker.h): transaction version 2 (KIP-890), producers that resume (KIP-360), descriptions and markers by hand (KIP-664).
 * Any thread. What waits for the disk says so.
 */
#ifndef LEAT_BROKER_TRANSACTIONS_H
#define LEAT_BROKER_TRANSACTIONS_H

#include "broker/broker.h"

/* Who comes with a transactional id, and what it was before. */
struct producer_claim {
    int32_t timeout_ms;  /* of its transactions */
    int64_t producer_id; /* -1: it does not say */
    int16_t epoch;
};

/*
 * InitProducerId: the id's next epoch, and perhaps another producer id. An open transaction is aborted, and ERR_CONCURRENT_TRANSACTIONS
 * says to come again. ERR_PRODUCER_FENCED: it is not what it says. ERR_INVALID, ERR_INVALID_TXN_TIMEOUT. Waits for syncs.
 */
int broker_claim_producer(struct broker *b, const char *transactional_id, const struct producer_claim *claim,
                          int64_t *producer_id, int16_t *epoch, struct err *e);

/*
 * The end of a transaction of version 2: the producer goes on with another epoch, or id, which are told; also when it asks again.
 * Nothing may be aborted. ERR_PRODUCER_FENCED for any other epoch. Waits for a sync.
 */
int broker_txn_end_bumped(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          bool commit, int64_t *next_id, int16_t *next_epoch, struct err *e);

/* Partitions join with their first data, before it is produced. Cheap where they are part of it. Waits only for several disks. */
int broker_txn_join(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                    const struct txn_partition *partitions, size_t n, struct err *e);

/* Whether the partition is part of the producer's open transaction: ERR_OK, ERR_INVALID_TXN_STATE or who it is not. */
int broker_txn_has_joined(struct broker *b, const char *transactional_id, int64_t producer_id, int16_t epoch,
                          const struct txn_partition *partition, struct err *e);

/* As broker_txn_commit_offsets, but the group's partition must have been added: ERR_INVALID_TXN_STATE. */
int broker_txn_commit_added_offsets(struct broker *b, const char *transactional_id, int64_t producer_id,
                                    int16_t epoch, const char *group, const struct group_offset *offsets,
                                    size_t n, struct err *e);

/* A marker past the coordinator, into partitions one by one. */
struct marker_target {
    const char *topic;
    int32_t partition;
    struct err
        error; /* out: ERR_OK: it is durable. ERR_UNKNOWN_TOPIC, ERR_INVALID_PRODUCER_EPOCH, ERR_COORDINATOR_FENCED */
};
struct marker_request {
    int64_t producer_id;
    int16_t epoch;
    int32_t coordinator_epoch;
    bool commit;
    bool bumped; /* of transaction version 2: its epoch must be beyond that of what it ends (KIP-1228) */
    struct marker_target *targets;
    size_t n;
};
/* What the coordinator knows of the transaction stays as it was. Waits for a sync. */
void broker_write_markers(struct broker *b, const struct marker_request *q);

/* The producers that a partition remembers (mem_free), in no order. May open its log. ERR_UNKNOWN_TOPIC */
int broker_producers(struct broker *b, const char *topic, int32_t partition, struct producer_info **list,
                     size_t *n, struct err *e);

#endif
