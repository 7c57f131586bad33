/*
 * consumer_assign: the assignors that the hub has for consumer groups, Kafka's `uniform` and `range` (KIP-848). Pure functions over
 * arrays; any thread.
 */
#ifndef LEAT_GROUP_CONSUMER_ASSIGN_H
#define LEAT_GROUP_CONSUMER_ASSIGN_H

#include "group/consumer_sets.h"

struct assign_topic {
    struct uuid id;
    int32_t partitions;
};

struct assign_member {
    const char *id, *instance; /* instance NULL: dynamic */
    const int32_t *topics;     /* what it subscribed to: rising numbers of topics */
    int32_t topic_count;
    const struct tp_set *before; /* its assignment so far */
    struct tp_set after;         /* out: the new one */
};

struct assign {
    const struct assign_topic *topics; /* by id */
    int32_t topic_count;
    struct assign_member *members; /* by id */
    int32_t member_count;
};

/*
 * Each gives every partition of every topic that somebody subscribed to to exactly one of its subscribers. false: no memory, and nothing is
 * assigned. `before` may name partitions and topics that are no more.
 *
 * uniform: of members with the same subscription none has over one partition more than another; of others as near to that as
 * moving one partition at a time gets. Nothing moves that need not for this.
 * range: of each topic each subscriber has a range of partitions, the first ones one more where it does not come out even, in the order of
 * the members: static ones by their instance, then the others by id. Topics of the same size are so assigned alike (co-partitioned).
 */
bool assign_uniform(struct assign *a);
bool assign_range(struct assign *a);

typedef bool assign_fn(struct assign *a);
assign_fn *assign_by_name(const char *name); /* NULL: there is no such assignor */
#define ASSIGN_DEFAULT "uniform"
#define ASSIGN_NAMES "uniform, range"

#endif
