/*
 * offsets: groups' committed offsets: a cache in memory over __consumer_offsets. An offset is shown once it is durable.
 */
#ifndef LEAT_BROKER_OFFSETS_H
#define LEAT_BROKER_OFFSETS_H

#include "broker/store.h"

/* A change on its way: prepared before the append, so that taking effect afterwards cannot fail. */
struct offset_change {
    struct offset_change *next;
    struct group *group; /* pinned */
    struct offset_entry *entry;
    int64_t offset; /* -1: deleted */
    int32_t leader_epoch;
    int64_t commit_ms;
    char *metadata; /* may be NULL */
    int64_t at;     /* offset of its record in __consumer_offsets; -1: not known yet */
};

int offsets_open(struct broker *b, struct err *e);
int offsets_load(struct broker *b, struct err *e);
void offsets_close(struct broker *b);

/* Checks and prepares. Topics must exist, except of deletions. */
int offsets_prepare(struct broker *b, const char *group, const struct group_offset *offsets, size_t n,
                    struct offset_change **list, struct err *e);
/* The changes as records of one batch in `builder`. */
int offsets_build(struct batch_builder *builder, const struct offset_change *list, struct err *e);
/* The partition of __consumer_offsets that the group belongs to, held; made on first use. Takes the admin lock. */
int offsets_partition(struct broker *b, const char *group, struct partition **p, struct err *e);
/* The changes are records of the batch at `base_offset`, in their order. */
void offsets_set_place(struct offset_change *list, int64_t base_offset);
/*
 * Both free the list. Take only the cache's lock, a leaf. A change takes no effect where one whose record was written later
 * has: that is what compaction keeps, and Kafka's rule.
 */
void offsets_apply(struct broker *b, struct offset_change *list);
void offsets_drop(struct broker *b, struct offset_change *list);

/* After loading: what the producer's open transaction has pending. Once. */
struct offset_change *offsets_take_pending(struct broker *b, int64_t producer_id);

/* Deletes every group's offsets for a deleted topic. Waits for the disk; may be called with the admin lock. */
int offsets_forget_topic(struct broker *b, const char *topic, struct err *e);
/* At start: the same for all deleted topics, as a stop or an error amid a deletion may have left some. */
int offsets_forget_removed(struct broker *b, struct err *e);

#define OFFSET_METADATA_MAX 4096 /* Kafka's offset.metadata.max.bytes */

#endif
