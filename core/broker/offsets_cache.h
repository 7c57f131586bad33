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
    int64_t commit_ms, expire_ms;
    char *metadata;
    int64_t at;     /* of the record that says so; -1: unknown */
    size_t pins;    /* changes on their way */
    size_t pending; /* of them those of open transactions */
};

struct group {
    char *name;
    struct map *entries; /* by topic, NUL, partition */
    size_t live;         /* entries with an offset */
    size_t pins;         /* changes on their way */

    /* Who uses it, for expiry: */
    size_t holders;
    int64_t left_ms;    /* wall clock when the last one left; -1: nobody is known to have used it */
    int64_t record_at;  /* of the group's own record; -1: none known */
    bool recorded;      /* it says something: */
    bool recorded_use;  /* that the group is in use */
    int32_t generation; /* as it says, */
    char *type;         /* and the protocol type; NULL: it says nothing */
    bool expiring;      /* offsets_expire.c is at it: who wants to change or hold it waits */
};

struct offsets {
    pthread_mutex_t lock;   /* leaf */
    pthread_cond_t settled; /* a group is no longer expiring */
    int64_t next_check;     /* clock_mono_ms; upkeep's */
    atomic_bool unrecorded; /* a group is in use, and its record does not say so */
    pthread_mutex_t asking; /* outside of `lock`: held while the watcher is asked */
    void (*watcher)(void *arg, const char *group, struct group_usage *out);
    void *watcher_arg;
    struct map *groups;
    struct map *pending; /* by producer id; only between loading and the coordinator's start */
};

/*
 * The entry's group as it was found, with the lock held; NULL on error. Not while it is expiring: then it is waited for, which
 * nobody may do who holds what a commit to the topic needs.
 */
struct group *offsets_group_get(struct offsets *o, struct text name, struct err *e);
/* Kafka takes the empty name, too: of whoever commits without being a member. */
int offsets_check_group(const char *group, struct err *e);
struct group *offsets_group_find(struct offsets *o,
                                 const char *name); /* NULL: nothing is known of it. With the lock */
/* Frees the group if nothing needs it any more. With the lock. */
void offsets_group_settle(struct offsets *o, struct group *g);
/* Likewise with the lock: pins the entry, or NULL the group's own record. NULL: out of memory. */
struct offset_change *offsets_change_of(struct group *g, struct offset_entry *en, struct err *e);

/* One change with its group and entry found or made, pinned. `metadata` is taken over, also on an error. */
int offsets_change_new(struct offsets *o, struct text group, struct text topic, int32_t partition,
                       const struct offset_value *v, char *metadata, struct offset_change **out,
                       struct err *e);

/* Copies, in no order, of all groups or of those with offsets only; group_names_free. */
int offsets_group_names(struct offsets *o, bool live_only, char ***out, size_t *n, struct err *e);

#endif
