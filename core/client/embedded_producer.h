/*
 * embedded_producer: what embedded_producer.c (records into batches) and embedded_send.c (batches into the broker) share.
 */
#ifndef LEAT_CLIENT_EMBEDDED_PRODUCER_H
#define LEAT_CLIENT_EMBEDDED_PRODUCER_H

#include <pthread.h>

#include "base/hash.h"
#include "client/internal.h"

#define PRODUCER_CAP (32u << 20) /* of pending batches */
#define PRODUCER_POOL_MAX 8      /* idle builders kept */
#define REQUEST_MARGIN 512       /* of a group's room: entry, marker and its entry */

struct producer_topic {
    char *name;
    int32_t partitions;
    int32_t sticky;      /* where records without key go until that batch is full */
    uint64_t generation; /* when the count was looked up */
};

/* Holds its builder and its place in the topic-partition's sequence. Lives as long as the producer. */
struct producer_target {
    struct producer_target *next;
    char *topic;
    int32_t partition;
    size_t max_bytes;              /* of a batch here, unless it is a single large record */
    struct batch_builder *builder; /* of the batch being filled; NULL: none */
    bool large;                    /* the builder is of that kind */
    int32_t sequence;              /* of the next record put into a batch */
    int32_t stored_sequence;       /* of the next record after those in the log */
    bool in_txn;                   /* its partition was added to the open transaction */
};

/* A finished batch: the builder keeps its bytes. */
struct pending {
    struct producer_target *target;
    struct batch_builder *builder;
    uint8_t *data;
    size_t bytes;
    int32_t records;
    bool large;
};

/* A batch of a transaction that is in the log already; told of when the transaction is durable. */
struct early {
    struct producer_target *target;
    int64_t base_offset;
    int32_t records;
};

/* A commit that was started. `lock` guards what the thread sets that completes it. */
struct flight {
    struct early *stored;
    size_t count, room;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool over; /* durable, or failed */
    struct err error;
};

struct embedded_producer {
    struct producer base;
    struct broker *broker;
    char *transactional_id;
    bool held; /* the id, so that it does not expire */
    struct batch_options batch;
    int64_t producer_id;
    int16_t epoch;
    bool txn_open; /* batches of this transaction are in the log */
    size_t cap;
    struct map *topics, *targets;
    struct producer_target *first_target;
    size_t target_count;
    bool must_abort; /* an early append failed: what follows must not be stored without it */
    struct pending *pending;
    size_t pending_count, pending_room;
    size_t pending_bytes, pending_records; /* of finished batches */
    size_t open_bytes, open_records;       /* of batches being filled */
    struct produce_request *requests;      /* as many as pending_room */
    struct batch_builder *pool[PRODUCER_POOL_MAX];
    size_t pool_count;
    struct early *early;
    size_t early_count, early_room;
    struct flight flights[PRODUCER_IN_FLIGHT]; /* a ring */
    size_t flight_first, flight_count;
    struct err broken;   /* a commit failed to become durable: nothing after it can */
    uint64_t generation; /* counts flushes and commits */
};

/* Completes the batch being filled. */
int producer_finish_batch(struct embedded_producer *p, struct producer_target *t, struct err *e);
/* Appends everything added before the end of the transaction, or flushes it, to get below the cap. */
int producer_relieve(struct embedded_producer *p, struct err *e);
/* Keeps the builder for other batches, unless it is not of the usual size. */
void producer_recycle(struct embedded_producer *p, struct batch_builder *b, bool usual);
void producer_drop_pending(struct embedded_producer *p);

static inline struct embedded_producer *embedded_of(struct producer *base)
{
    return (struct embedded_producer *)base;
}

/* As producer_*, of struct producer_ops. */
int embedded_flush(struct producer *base, struct err *e);
int embedded_commit_start(struct producer *base, struct err *e);
int embedded_commit_wait(struct producer *base, struct err *e);
size_t embedded_in_flight(const struct producer *base);
int embedded_abort(struct producer *base, struct err *e);

#endif
