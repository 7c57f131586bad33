/*
 * consumer: consumer groups whose assignments the hub makes itself (KIP-848), and how classic members and such groups get along. They
 * live in the same table as the classic ones (group.h), and the same threads may call.
 *
 * Errors are Kafka's codes. Source: KIP-848, KIP-1082 (members' own ids), KIP-1099, and the contract sheet.
 */
#ifndef LEAT_GROUP_CONSUMER_H
#define LEAT_GROUP_CONSUMER_H

#include "group/consumer_sets.h"
#include "group/group.h"

struct consumer_heartbeat {
    struct msg_string group, member, instance, rack,
        client_id; /* null instance: a dynamic member; null rack: as before */
    const char *host;
    int32_t epoch;        /* the member's; 0 to join, CONSUMER_LEAVE, CONSUMER_LEAVE_STATIC */
    int32_t rebalance_ms; /* -1: as before */
    const struct msg_string *topics;
    int32_t topic_count;        /* -1: as before */
    struct msg_string regex;    /* null: as before; empty: none */
    struct msg_string assignor; /* null: as before, or the group's */
    const struct tp *owned;     /* what it has at the moment, in any order */
    int32_t owned_count;        /* -1: not told */
    bool own_id;                /* the member makes its own id: from version 1 on */
};
#define CONSUMER_LEAVE (-1)
#define CONSUMER_LEAVE_STATIC (-2)

struct consumer_beat {
    int16_t error;
    struct msg_string why, member; /* null: none */
    int32_t epoch, interval_ms;
    bool told; /* `assigned` is to be told */
    struct tp_set assigned;
};
/*
 * `done(arg)` is called once, when the answer is in `out`, sooner or later, from any thread, also before this returns; it must not block, nor call
 * groups. Until then question, arena and `out` must stay; what `out` points to is in the arena or the question.
 */
void consumer_heartbeat(struct groups *g, const struct consumer_heartbeat *q, struct arena *a,
                        struct consumer_beat *out, void (*done)(void *arg), void *arg);

/*
 * Whether a member may commit offsets (`version` is OffsetCommit's) or read them: for groups of either kind. With an older epoch than
 * its own a member of a consumer group may commit those of partitions that it has since then: `of` are the ones in question; NULL: none may
 * be (KIP-1251).
 */
int16_t consumer_may_commit(struct groups *g, struct msg_string group, struct msg_string member,
                            struct msg_string instance, int32_t epoch, int16_t version,
                            const struct tp_set *of);
int16_t consumer_may_fetch(struct groups *g, struct msg_string group, struct msg_string member,
                           int32_t epoch);

/* A group as a tool sees it, in the arena. Topics that are no more are left out of the assignments. */
struct consumer_view {
    struct msg_string state, assignor;
    int32_t epoch, assignment_epoch;
    struct consumer_view_member {
        struct msg_string member, instance, rack, client_id, host, regex;
        const struct msg_string *topics;
        int32_t topic_count, epoch;
        struct consumer_view_set {
            const struct consumer_view_topic {
                struct uuid id;
                struct msg_string name;
                const int32_t *partitions;
                int32_t partition_count;
            } * topics;
            int32_t topic_count;
        } assigned, target;
        bool classic;
    } * members;
    int32_t member_count;
};
/* GROUP_NOT_FOUND: there is none, or it is a classic one. */
int16_t consumer_view(struct groups *g, struct msg_string group, struct arena *a, struct consumer_view *out);

#endif
