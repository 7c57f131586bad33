/*
 * meta: the metadata log, __cluster_metadata-0, with KRaft's records. One batch a change, synced before the change is
 * answered, never journaled: so it can be read before the journal is replayed, which needs the topics' names.
 */
#ifndef LEAT_BROKER_META_H
#define LEAT_BROKER_META_H

#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"
#include "broker/broker.h"
#include "broker/records.h"

enum meta_kind {
    META_TOPIC = 2,
    META_PARTITION = 3,
    META_CONFIG = 4,
    META_REMOVE_TOPIC = 9,
    META_PRODUCER_IDS = 15
};
#define META_RESOURCE_TOPIC 2
#define META_RESOURCE_BROKER 4
#define META_RESOURCE_GROUP 32
#define META_NODE 1 /* our node's id in our own records */

/* One record, of which only the kind's own fields mean something. Text points into what was decoded. */
struct meta_record {
    int kind;                 /* enum meta_kind, or another of KRaft's, which is passed over */
    struct uuid topic_id;     /* TOPIC, PARTITION, REMOVE_TOPIC */
    struct text name;         /* TOPIC; CONFIG: the resource's */
    int32_t partition;        /* PARTITION */
    int32_t node;             /* PARTITION: its leader; PRODUCER_IDS: written only */
    int32_t leader_epoch;     /* PARTITION */
    struct uuid directory;    /* PARTITION: of its first replica; all zeros: none named */
    int8_t resource;          /* CONFIG */
    struct text key, value;   /* CONFIG; null value: removed */
    int64_t next_producer_id; /* PRODUCER_IDS */
};

/* What the setting of a resource is from now on; points into what is given. */
struct meta_record meta_config_record(int8_t resource, const char *name, const struct topic_config_entry *c);
/* Frame (version 1) and message in flexible encoding. Appends to `out`. */
int meta_encode(struct buf *out, const struct meta_record *r, struct err *e);
/* ERR_CORRUPT, ERR_TRUNCATED; unknown kinds are fine, of known ones versions that we cannot read are ERR_UNSUPPORTED. */
int meta_decode(const void *data, size_t n, struct meta_record *r, struct err *e);

/* Opens the log and fills the topic table from it. */
int meta_open(struct broker *b, struct err *e);
/*
 * Appends the records as one batch and syncs. After an error the log is as it was before, or, if the disk was the reason,
 * takes no more.
 */
int meta_append(struct broker *b, const struct meta_record *records, size_t n, struct err *e);

/* Next producer id, from a durable block of 1000. Waits for the disk when a block begins. */
int meta_producer_id(struct broker *b, int64_t *id, struct err *e);

#endif
