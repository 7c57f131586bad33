/*
 * offsets: groups' committed offsets: a cache in memory over __consumer_offsets. An offset is shown once it is durable.
 */
#ifndef LEAT_BROKER_OFFSETS_H
#define LEAT_BROKER_OFFSETS_H

#include "broker/records.h"
#include "broker/store.h"

#define OFFSET_DELETED (-1)

/* A change on its way: prepared before the append, so that taking effect afterwards cannot fail. */
struct offset_change {
    struct offset_change *next;
    struct group *group;        /* pinned */
    struct offset_entry *entry; /* NULL: it is the group's own record */
    int64_t
        offset; /* OFFSET_DELETED; or a mark of the client's own: kafkajs commits -2 and means the beginning */
    int32_t leader_epoch;
    int64_t commit_ms;  /* of the group's own record: when it was left; -1: it is in use */
    int64_t expire_ms;  /* -1: by the time of its commit */
    char *metadata;     /* may be NULL; of the group's own record its protocol type */
    int32_t generation; /* of the group's own record */
    int64_t at;         /* offset of its record in __consumer_offsets; -1: not known yet */
    bool pending;       /* of an open transaction */
};

int offsets_open(struct broker *b, struct err *e);
int offsets_load(struct broker *b, struct err *e);
void offsets_close(struct broker *b);

/* What a group's own record says, `value` NULL: that it is no more. Not while the group is expiring: that is waited for. */
int offsets_group_change(struct broker *b, struct text group, const void *value, size_t n, int64_t at,
                         struct offset_change **out, struct err *e);

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

const char *offsets_group_name(const struct offset_change *c); /* good as long as the change is there */

/* They are an open transaction's from now on. Takes the cache's lock. */
void offsets_pend(struct broker *b, struct offset_change *list);
/* After loading: what the producer's open transaction has pending. Once. */
struct offset_change *offsets_take_pending(struct broker *b, int64_t producer_id);

/*
 * offsets_expire.c: deletes what is past offsets.retention.minutes, and notes in the topic which groups are in use. Upkeep's, or who
 * steps the broker; waits for syncs. When to look again (clock_mono_ms).
 */
int64_t offsets_expire(struct broker *b, int64_t now);
/* Takes the changes over: their records in one batch, durable when it returns. */
int offsets_commit_changes(struct broker *b, const char *group, struct offset_change *changes, struct err *e);

/* Deletes every group's offsets for a deleted topic. Waits for the disk; may be called with the admin lock. */
int offsets_forget_topic(struct broker *b, const char *topic, struct err *e);
/* At start: the same for all deleted topics, as a stop or an error amid a deletion may have left some. */
int offsets_forget_removed(struct broker *b, struct err *e);

#define OFFSET_METADATA_MAX 4096 /* Kafka's offset.metadata.max.bytes */

#endif
