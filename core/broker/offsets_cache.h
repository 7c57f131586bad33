/*
 * offsets_cache: the structures behind offsets.h, for its few files.
 */
#ifndef LEAT_BROKER_OFFSETS_CACHE_H
#define LEAT_BROKER_OFFSETS_CACHE_H

#include "broker/offsets.h"
#include "broker/records.h"

struct offset_entry {
    char *topic;
    int32_t partition;
    int64_t offset; /* -1: none */
    int32_t leader_epoch;
    int64_t commit_ms;
    char *metadata;
    int64_t at; /* of the record that says so; -1: unknown */
};

struct group {
    char *name;
    struct map *entries; /* by topic, NUL, partition */
    size_t live;         /* entries with an offset */
    size_t pins;         /* changes on their way */
};

struct offsets {
    pthread_mutex_t lock; /* leaf */
    struct map *groups;
    struct map *pending; /* by producer id; only between loading and the coordinator's start */
};

/* One change with its group and entry found or made, pinned. `metadata` is taken over, also on an error. */
int offsets_change_new(struct offsets *o, struct text group, struct text topic, int32_t partition,
                       int64_t offset, int32_t leader_epoch, int64_t commit_ms, char *metadata,
                       struct offset_change **out, struct err *e);

#endif
