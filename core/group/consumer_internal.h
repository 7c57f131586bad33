/*
 * consumer_internal: the state of consumer groups (KIP-848), shared by the files consumer_*.c. Under the lock of the group's shard.
 *
 * Three epochs: the group's, which grows with whatever changes who should have what; the assignment's, for which the members' targets
 * were computed; and each member's, that of the assignment that it has reached. Between them is the reconciliation: a
 * member first gives back what it is not to have, then reaches the epoch, then gets what others have given back.
 */
#ifndef LEAT_GROUP_CONSUMER_INTERNAL_H
#define LEAT_GROUP_CONSUMER_INTERNAL_H

#include "group/consumer.h"
#include "group/consumer_assign.h"
#include "group/consumer_regex.h"
#include "group/internal.h"

#define NEVER INT64_MAX

enum cmember_state { /* the numbers are those of Kafka's records */
                     CMEMBER_STABLE,
                     CMEMBER_UNREVOKED,  /* it has yet to give back `revoking` */
                     CMEMBER_UNRELEASED, /* it waits for what others have not given back */
};

struct cmember {
    struct cmember *next_removed;                  /* of those that are gone, but not yet in the log */
    uint8_t dirty;                                 /* CDIRTY_*: what is not as it was written */
    char *id, *instance, *rack, *client_id, *host; /* instance, rack NULL: none */
    char *assignor, *regex;                        /* NULL: none */
    char **topics;                                 /* sorted; one block with their texts */
    int32_t topic_count;
    int32_t rebalance_ms;
    int32_t epoch, before; /* the last but one, as an answer may be lost */
    enum cmember_state state;
    struct tp_set assigned, revoking, target;
    /* clock_mono_ms; NEVER: */
    int64_t session_end;
    int64_t revoke_end; /* what it has to give back it has given back by then, or it is fenced */
    int64_t join_end;   /* a classic one has joined again by then, */
    int64_t sync_end;   /* and asked for its assignment */
    /* of one that uses the classic protocol: */
    bool classic;
    struct group_protocol *protocols; /* with texts of its own, in one block */
    int32_t protocol_count;
    int32_t session_ms;
};

struct ctopic {
    char *name;
    struct uuid id;
    int32_t partitions;
};

struct ctopics {
    struct ctopic *list; /* by name */
    int32_t n;
};

/* A regular expression of a member or several, and what it matches. */
struct cregex {
    struct cregex *next;
    char *text;
    struct topic_regex *compiled;
    char **topics; /* sorted */
    int32_t topic_count;
    uint64_t seen; /* the version of the hub's topics of which these are */
    bool used, dirty;
};

/* Of which the log is yet to be told that they are gone. */
struct cremoved {
    struct cmember *members;
    struct cregex *regexes;
};

struct cgroup {
    struct group *group;
    struct map *members, *instances; /* by id, by instance id */
    int32_t epoch, assignment_epoch;
    struct ctopics topics; /* that are subscribed to and exist */
    struct cregex *regexes;
    int64_t hash;  /* of them; it outlasts a restart, they do not */
    uint64_t seen; /* version of the hub's topics that all this is of; 0: none yet */
    /* What is not as it was written: anything; the group's epoch; the targets'. */
    bool dirty, dirty_epoch, dirty_target;
    struct cremoved removed;
};

enum { CDIRTY_MEMBER = 1, CDIRTY_TARGET = 2, CDIRTY_CURRENT = 4 };
/* The versions of records' keys, which say what a record is. */
enum { KEY_EPOCH = 3, KEY_MEMBER = 5, KEY_TARGET_EPOCH = 6, KEY_TARGET = 7, KEY_CURRENT = 8, KEY_REGEX = 16 };

/* ---- consumer_members.c ---- */

struct cmember *cmember_new(struct msg_string id, struct msg_string instance);
void cmember_free(struct cmember *m);
struct cmember *cgroup_member(const struct cgroup *c, struct msg_string id);
struct cmember *cgroup_instance(const struct cgroup *c, struct msg_string instance);
int32_t cgroup_count(const struct cgroup *c);
struct cmember *cgroup_next(const struct cgroup *c, size_t *pos); /* NULL: that was the last */
bool cgroup_put(struct cgroup *c, struct cmember *m);             /* false: no memory */
void cgroup_take(struct cgroup *c, struct cmember *m);            /* out of the tables; it is still there */
void cgroup_retire(struct cgroup *c, struct cmember *m); /* one that was taken: freed when that is written */
bool cgroup_name(struct cgroup *c, struct cmember *m, struct msg_string instance); /* false: no memory */
void cmember_mark(struct cgroup *c, struct cmember *m, uint8_t what);
struct cgroup *cgroup_new(struct group *g);
void cgroup_free(struct cgroup *c); /* NULL is fine */
void cremoved_free(struct cremoved *r);
void cremoved_join(struct cremoved *to, struct cremoved *from); /* `from` is empty then */
/* The group is a classic one without members; also in the log. */
int16_t cgroup_drop(struct groups *all, struct group *g);

/* What a member says of itself; what is not said is as before. */
struct csaid {
    struct msg_string rack, client_id, regex, assignor;
    const char *host;
    int32_t rebalance_ms;
    const struct msg_string *topics;
    int32_t topic_count;
    bool classic;
    const struct group_protocol *protocols;
    int32_t protocol_count;
    int32_t session_ms;
};
/* Whether the topics or the regular expression are others than before. false: no memory, and nothing is changed. */
bool cmember_update(struct cmember *m, const struct csaid *said, bool *topics_changed, bool *regex_changed);

/* ---- consumer_records.c ---- */

/* Writes what is marked, and calls `done` as group_store_records does. What is given up is marked again, and written with what comes next. */
int16_t cgroup_save(struct groups *all, struct cgroup *c, group_stored_fn *done, void *arg);
void cgroup_save_later(struct groups *all, struct cgroup *c); /* nobody waits for it */
void cgroup_mark_all(struct cgroup *c);
/* Tombstones for all that was written of it. */
int16_t cgroup_bury(struct groups *all, const struct cgroup *c);

/* ---- consumer_load.c ---- */

bool group_is_consumer_key(int16_t version);
int group_load_consumer(struct groups *all, const struct group_record *r, struct err *e);
void groups_loaded(struct groups *all); /* all records are read */

/* ---- consumer_topics.c ---- */

/* Looks at the hub's topics again if `changed` or if they have. Anything that the group would notice: its epoch grows. */
int16_t cgroup_look(struct groups *all, struct cgroup *c, bool changed);
/* Adds the names of its topics to the set. false: they cannot all be told. */
bool cgroup_topics(const struct cgroup *c, struct map *topics);
const struct ctopic *cgroup_topic(const struct cgroup *c, const char *name);
/* Compiles one that the group does not know yet. GROUP_INVALID_REGEX: `e` says why. */
int16_t cgroup_regex(struct cgroup *c, struct msg_string text, struct err *e);
void cregex_free(struct cregex *r);
void cregexes_free(struct cgroup *c);
void ctopics_free(struct ctopics *t);
/* Computes the targets, if they are of an older epoch. */
int16_t cgroup_assign(struct cgroup *c);
const char *cgroup_assignor(const struct cgroup *c);

/* ---- consumer_reconcile.c ---- */

/* Brings a member as near to its target as can be. `owned` NULL: it has not told. `told` is set if its assignment is another one now. */
bool cmember_reconcile(struct groups *all, struct cgroup *c, struct cmember *m, const struct tp_set *owned,
                       bool *told);
bool cmember_waits(const struct cgroup *c,
                   const struct cmember *m); /* for a partition that another one has */
bool cgroup_held(const struct cgroup *c, const struct cmember *but,
                 const struct tp *p); /* by another member */
bool cmember_reconciled(const struct cgroup *c, const struct cmember *m);

/* ---- consumer_views.c ---- */

const char *cgroup_state(const struct cgroup *c); /* Kafka's word */

/* ---- consumer_groups.c ---- */

void cmember_alive(struct groups *all, struct cgroup *c, struct cmember *m);
/* The member is gone, for whatever reason; the group's epoch grows, or it becomes a classic one, and then `c` is no more. */
void cgroup_remove(struct groups *all, struct cgroup *c, struct cmember *m);
/* Time-outs; *due is when the next is. Likewise. */
void cgroup_look_at(struct groups *all, struct cgroup *c, int64_t now, int64_t *due);
/* `of`: see consumer_may_commit. */
int16_t cgroup_may_commit(const struct cgroup *c, struct msg_string member, int32_t epoch, int16_t version,
                          const struct tp_set *of);
/* A member that is replaced by one with the same instance: it has what the old one had. */
int16_t cgroup_replace(struct cgroup *c, struct cmember *old, struct cmember *m);
/* A change of a member's subscriptions, from what it said to its reconciliation. */
int16_t cgroup_apply(struct groups *all, struct cgroup *c, struct cmember *m, const struct csaid *said,
                     const struct tp_set *owned, bool *told);

/* ---- consumer_classic.c: members of a consumer group that speak the classic protocol ---- */

/* `id` is the member's, or the one that it gets. */
int16_t cclassic_join(struct groups *all, struct group *g, const struct group_join *j, const char *id,
                      group_joined_fn *done, void *arg);
int16_t cclassic_sync(struct groups *all, struct group *g, const struct group_sync *s, group_synced_fn *done,
                      void *arg);
int16_t cclassic_heartbeat(struct groups *all, struct group *g, struct msg_string member,
                           struct msg_string instance, int32_t generation);
int16_t cclassic_leave(struct groups *all, struct group *g, struct msg_string member,
                       struct msg_string instance);

/* ---- consumer_convert.c ---- */

/* A group of classic members becomes a consumer group. GROUP_NOT_FOUND: it cannot. */
int16_t convert_to_consumer(struct groups *all, struct group *g);
/* Whether only classic members are left and it may be a classic group again; and makes it so: stable, and to be rebalanced. */
bool convert_is_due(const struct groups *all, const struct cgroup *c);
int16_t convert_to_classic(struct groups *all, struct group *g);

/* ---- consumer_protocol.c: what classic members tell their leader, and it them ---- */

struct csubscription {
    struct msg_string *topics;
    int32_t topic_count;
    struct msg_string rack;
    struct tp_set owned;
};
/* In the arena. false: it cannot be read, or there is no memory. */
bool subscription_read(const struct groups *all, struct msg_bytes bytes, struct arena *a,
                       struct csubscription *out);
bool assignment_read(const struct groups *all, struct msg_bytes bytes, struct arena *a, struct tp_set *out);
/* What it is assigned, in its own version of the protocol. mem_alloc's; NULL: no memory. */
uint8_t *assignment_write(const struct groups *all, const struct cmember *m, int32_t *n);

#endif
