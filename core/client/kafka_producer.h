/*
 * kafka_producer: what kafka_producer.c (records into parcels) and kafka_send.c (parcels into the cluster) share.
 */
#ifndef LEAT_CLIENT_KAFKA_PRODUCER_H
#define LEAT_CLIENT_KAFKA_PRODUCER_H

#include "base/buf.h"
#include "base/hash.h"
#include "client/kafka.h"

#define PARCEL_BYTES (32u << 20) /* of records that are kept until a flush or commit */

struct kafka_topic_ref {
    char *name;
    rd_kafka_topic_t *rkt;
    int32_t partitions, sticky;
    int64_t asked_ms;    /* when the cluster was asked for the partitions */
    uint64_t generation; /* of the producer when `sticky` went on */
};

/* Given out as struct producer_target. */
struct kafka_target {
    struct kafka_topic_ref *topic;
    int32_t partition;
};

/* A record of a parcel: key, value and headers lie one behind the other in its bytes. */
struct entry {
    const struct kafka_target *target;
    int64_t timestamp, offset; /* offset -1: not stored yet */
    size_t at;
    int32_t key_len, value_len, header_count; /* -1: null */
    uint32_t header_bytes;
};

struct parcel {
    struct buf bytes;
    struct entry *entries;
    size_t count, room;
    size_t left;      /* given to librdkafka, and not yet told of */
    struct err error; /* the first one */
    bool over;        /* of one that was given to the sender */
};

struct kafka_producer {
    struct kafka_trouble trouble; /* first: librdkafka's callbacks get it */
    struct producer base;
    struct kafka_client *k;
    char *transactional_id;
    enum codec codec;
    int32_t codec_level;
    int32_t timeout_ms; /* of transactions */
    rd_kafka_t *rk;
    struct map *topics, *targets;
    struct parcel *filling;
    struct parcel *sending; /* of which librdkafka reports now; whose turn it is to use the handle */
    int64_t began_ms;       /* when the transaction was begun */
    bool txn_open;          /* records of this transaction are in the cluster */
    bool must_abort;        /* a part of it could not be stored */
    struct err broken;      /* nothing can be stored any more */
    uint64_t generation;    /* counts flushes and commits */

    /* Commits on their way, oldest first; the sender's thread works at them. */
    struct parcel *flights[PRODUCER_IN_FLIGHT];
    size_t flight_count;
    struct parcel *spare; /* an empty one */
    pthread_mutex_t lock; /* guards flights' `over` and errors, `flight_count`, `ending` */
    pthread_cond_t changed;
    pthread_t sender;
    bool started, ending;
};

static inline struct kafka_producer *kafka_producer_of(const struct producer *base)
{
    return (struct kafka_producer *)((char *)(uintptr_t)base - offsetof(struct kafka_producer, base));
}

struct parcel *parcel_new(struct err *e);
void parcel_free(struct parcel *x);
void parcel_empty(struct parcel *x);

/* Opens the handle; with a transactional id its predecessor is fenced, which waits for the cluster. */
int kafka_send_open(struct kafka_producer *p, struct err *e);
/* Ends the sender, after what it has; aborts an open transaction. */
void kafka_send_close(struct kafka_producer *p);
/* Stores what was added as a part of the open transaction, or for good without transactions. */
int kafka_relieve(struct kafka_producer *p, struct err *e);

int kafka_flush(struct producer *base, struct err *e);
int kafka_commit_start(struct producer *base, struct err *e);
int kafka_commit_wait(struct producer *base, struct err *e);
size_t kafka_in_flight(const struct producer *base);
int kafka_abort(struct producer *base, struct err *e);

#endif
