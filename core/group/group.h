/*
 * group: consumer groups of Kafka's clients, the classic protocol: who is a member, which generation, who has which assignment.
 * Committed offsets are the broker's; here is only decided who may commit them.
 *
 * All functions may be called from any thread. Joins and syncs are answered by their callback, sooner or later, from any thread,
 * also before they return; it must not block, nor call this again. What its result points to is good during the call only.
 *
 * Errors are Kafka's codes, as clients act on exactly these. Source: KIP-62, KIP-134, KIP-345, KIP-394, KIP-559, KIP-814, and the contract sheet.
 */
#ifndef LEAT_GROUP_GROUP_H
#define LEAT_GROUP_GROUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/uuid.h"
#include "group/store.h"
#include "protocol/message.h"

enum group_error {
    GROUP_OK = 0,
    GROUP_NOT_AVAILABLE = 15, /* stopping */
    GROUP_ILLEGAL_GENERATION = 22,
    GROUP_INCONSISTENT_PROTOCOL = 23,
    GROUP_INVALID_ID = 24,
    GROUP_UNKNOWN_MEMBER = 25,
    GROUP_INVALID_SESSION_TIMEOUT = 26,
    GROUP_REBALANCING = 27,
    GROUP_UNSUPPORTED_VERSION = 35,
    GROUP_INVALID_REQUEST = 42,
    GROUP_NO_MEMORY = -1, /* or something else that a client can do nothing about */
    GROUP_NOT_EMPTY = 68,
    GROUP_NOT_FOUND = 69,
    GROUP_MEMBER_ID_REQUIRED = 79,
    GROUP_FULL = 81,
    GROUP_FENCED_INSTANCE = 82,
    GROUP_SUBSCRIBED = 86,
    GROUP_UNSTABLE = 88,
    GROUP_FENCED_EPOCH = 110,
    GROUP_UNRELEASED_INSTANCE = 111,
    GROUP_UNSUPPORTED_ASSIGNOR = 112,
    GROUP_STALE_EPOCH = 113,
    GROUP_INVALID_REGEX = 128,
};

/*
 * What one member may say of itself, and how many may be given an id that they have not come with: memory, and time under the group's lock.
 * No client comes near. GROUP_INVALID_REQUEST is the answer beyond; of ids the oldest is forgotten, and who comes with it gets another.
 */
#define GROUP_PROTOCOLS_MAX 100
#define GROUP_MEMBER_BYTES_MAX ((size_t)8 << 20)
#define GROUP_PENDING_MAX 1000

struct groups;

/* Who gets along with consumers of the other protocol: Kafka's group.consumer.migration.policy. */
enum group_migration { GROUP_MIGRATE_BOTH, GROUP_MIGRATE_UP, GROUP_MIGRATE_DOWN, GROUP_MIGRATE_NOT };

#define GROUP_TOPIC_NAME_MAX 249
struct group_topic {
    char name[GROUP_TOPIC_NAME_MAX + 1];
    struct uuid id;
    int32_t partitions;
};
/* The hub's topics, for groups whose assignments are made here. Asked with a group's lock held: they may not call back. */
struct group_topics {
    uint64_t (*version)(
        void *arg); /* another one, and never 0, once any topic or partition has come or gone */
    bool (*by_name)(void *arg, const char *name, struct group_topic *out);
    bool (*by_id)(void *arg, const struct uuid *id, struct group_topic *out);
    void (*each)(void *arg, void (*fn)(void *to, const char *name), void *to);
    void *arg;
};

struct group_options {
    int32_t initial_delay_ms; /* Kafka's group.initial.rebalance.delay.ms, 3000 there */
    int32_t session_min_ms, session_max_ms;
    int32_t max_size; /* 0: no limit */
    struct group_store store;
    /* of consumer groups (KIP-848): */
    struct group_topics topics;
    int32_t consumer_session_ms, consumer_heartbeat_ms;
    /* Changes the two where the group has settings of its own; asked with the group's lock held, as `topics` is. NULL: none has. */
    void (*consumer_timing)(void *arg, const char *group, int32_t *session_ms, int32_t *heartbeat_ms);
    void *consumer_timing_arg;
    int32_t consumer_max_size; /* 0: no limit */
    enum group_migration migration;
    int32_t
        forget_check_ms; /* empty groups without offsets are forgotten; how often that is looked at; 0: never */
};

/* Loads what the store has, and starts the thread for time-outs. NULL on an error. */
struct groups *groups_start(const struct group_options *o, struct err *e);
/* Whoever waits is answered GROUP_NOT_AVAILABLE, and so is everybody who comes later. */
void groups_interrupt(struct groups *g);
void groups_stop(
    struct groups *
        g); /* waits for what is on its way to the store, and frees; nobody may call any more. NULL is fine */

struct group_protocol {
    struct msg_string name;
    struct msg_bytes metadata;
};

struct group_join {
    struct msg_string group, member, instance; /* instance null: a dynamic member */
    struct msg_string client_id;
    const char *host;
    struct msg_string type;
    const struct group_protocol *protocols; /* the most wanted one first */
    int32_t protocol_count;
    int32_t session_ms, rebalance_ms;
    bool id_first; /* a member without id is given one and must come again (KIP-394, from version 4 on) */
    bool skip_assignment; /* a static leader that comes back may be told so (KIP-814, from version 9 on) */
};

struct group_joined {
    int16_t error;
    int32_t generation;
    struct msg_string type, protocol, leader, member; /* null where there is none */
    bool skip_assignment;
    const struct group_peer { /* for the leader only */
        struct msg_string member, instance;
        struct msg_bytes metadata;
    } * members;
    int32_t member_count;
};
typedef void group_joined_fn(void *arg, const struct group_joined *result);
void groups_join(struct groups *g, const struct group_join *join, group_joined_fn *done, void *arg);

struct group_sync {
    struct msg_string group, member, instance;
    int32_t generation;
    struct msg_string type, protocol; /* null: not told */
    const struct group_assignment {   /* from the leader */
        struct msg_string member;
        struct msg_bytes bytes;
    } * assignments;
    int32_t assignment_count;
};

struct group_synced {
    int16_t error;
    struct msg_string type, protocol;
    struct msg_bytes assignment;
};
typedef void group_synced_fn(void *arg, const struct group_synced *result);
void groups_sync(struct groups *g, const struct group_sync *sync, group_synced_fn *done, void *arg);

int16_t groups_heartbeat(struct groups *g, struct msg_string group, struct msg_string member,
                         struct msg_string instance, int32_t generation);

/* By its id, or, where that is empty, by the instance. */
int16_t groups_leave(struct groups *g, struct msg_string group, struct msg_string member,
                     struct msg_string instance);
/* Several, one after another: `error` is each one's outcome. The group is locked meanwhile. */
struct group_leaving {
    struct msg_string member, instance;
    int16_t error;
};
void groups_leave_all(struct groups *g, struct msg_string group, struct group_leaving *list, int32_t n);

/*
 * Whether a member may commit offsets now; as a sign of life it counts. Generation -1: somebody who is no member, which is fine
 * while there are none.
 */
struct tp_set;
int16_t groups_may_commit(struct groups *g, struct msg_string group, struct msg_string member,
                          struct msg_string instance, int32_t generation,
                          const struct tp_set *of /* as of consumer_may_commit */);

/* What of its committed offsets is in use: broker_watch_groups's. `arg` is the groups. */
void groups_usage(void *arg, const char *group, struct group_usage *out);

/*
 * Adds the topics that its members read to the set; *unknown: they cannot all be told. GROUP_NOT_EMPTY: its members are no consumers;
 * GROUP_NOT_FOUND.
 */
int16_t groups_read(struct groups *g, struct msg_string group, struct map *topics, bool *unknown);

/* A group as a tool wants to see it, copied into the arena. */
struct group_view {
    struct msg_string id, state, type, protocol;
    bool consumer; /* whose members, and more, consumer_view (consumer.h) tells */
    int32_t generation;
    struct group_view_member {
        struct msg_string member, instance, client_id, host;
        struct msg_bytes metadata, assignment;
    } * members;
    int32_t member_count;
};
/* GROUP_NOT_FOUND: nobody joined a group of this name, or it is forgotten. */
int16_t groups_view(struct groups *g, struct msg_string group, struct arena *a, struct group_view *out);
/* All of them, without their members. GROUP_NO_MEMORY. */
int16_t groups_list(struct groups *g, struct arena *a, struct group_view **list, int32_t *n);
/* Forgets one without members: GROUP_NOT_EMPTY. One that is not there is GROUP_NOT_FOUND. */
int16_t groups_forget(struct groups *g, struct msg_string group);

#endif
