/*
 * internal: the state of groups, shared by the files of core/group. Groups are spread over shards by their name; all that is of a group is
 * under its shard's lock. Nothing that waits is done under it, and nothing that grows with the number of groups. Only the store's leaf locks are
 * taken under it, and `clock`.
 */
#ifndef LEAT_GROUP_INTERNAL_H
#define LEAT_GROUP_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/hash.h"
#include "base/heap.h"
#include "group/group.h"

/*
 * Whom a group knows, found by an id: its members, the static ones among them by their instance too, and those who were given an id and have not
 * come with it. Part of what is found.
 */
enum id_kind { ID_MEMBER, ID_INSTANCE, ID_PENDING };
struct id_link {
    struct id_link *next; /* of its slot */
    const char *id;       /* its owner's */
    size_t n;
    uint64_t hash;
    enum id_kind kind;
};

/* All zeros at first, but for the secret. */
struct ids {
    const uint8_t *secret; /* 16 bytes: clients choose ids, and are not to choose such that collide */
    struct id_link **slots;
    size_t size;          /* of slots, a power of two; 0: there are none */
    struct id_link *only; /* what there is then: they are few, or there was no memory for slots */
    size_t count;
};

enum group_state { GROUP_EMPTY, GROUP_PREPARING, GROUP_COMPLETING, GROUP_STABLE };

struct member {
    struct member *next; /* of the group, in the order of joining */
    struct id_link by_id, by_instance;
    char *id, *instance, *client_id, *host; /* instance NULL: dynamic */
    struct group_protocol *protocols;       /* with texts of its own, in one block */
    int32_t protocol_count;
    int32_t session_ms, rebalance_ms;
    int64_t session_end; /* clock_mono_ms: gone then, unless it waits for an answer */
    uint8_t *assignment;
    int32_t assignment_len;
    group_joined_fn *join_done; /* it waits for the group to be complete; NULL: it does not */
    void *join_arg;
    group_synced_fn *sync_done; /* it waits for the leader's assignments */
    void *sync_arg;
    bool came;   /* joined this round */
    bool synced; /* asked for its assignment of this generation */
};

/* Somebody who was given an id and has not come with it yet (KIP-394). */
struct pending {
    struct pending *before, *next; /* of the group, the newest first */
    struct id_link by_id;
    char *id;
    int64_t end;
};

struct cgroup; /* see consumer_internal.h */

struct group {
    struct heap_node due; /* when time-outs are looked at next, at the latest */
    char *id;
    enum group_state state;
    int64_t state_ms; /* wall clock: since when; -1: not known */
    int32_t generation;
    char *type, *protocol; /* NULL: none yet */
    struct member *members;
    int32_t count;
    struct member *leader;
    struct pending *pending;
    struct ids ids;
    struct cgroup *consumer; /* one of KIP-848; NULL: a classic one, and the rest is its state */
    bool initial;            /* the first round after being empty: waits a little for others */
    int64_t
        round_end; /* PREPARING: completed then without who has not come; later: until then all have asked for their assignment */
    int64_t round_limit;     /* initial: not later than this */
    int32_t writing;         /* the generation whose assignments are on their way to the store; -1: none */
    bool recorded;           /* the store has something of it, or will have */
    int32_t writes;          /* on their way */
    bool gone;               /* forgotten while they were: freed with the last */
    struct group *next_left; /* of those that are to be forgotten */
};

#define SHARDS 16

struct shard {
    pthread_mutex_t lock;
    struct map *by_id;
    struct heap due; /* of its groups */
};

struct groups {
    struct group_options o;
    struct uuid secret; /* of all groups' ids */
    struct shard shards[SHARDS];
    atomic_bool interrupted;
    atomic_int writes; /* of all groups */
    pthread_mutex_t clock;
    pthread_cond_t sooner;  /* something is due before `due`, or it is to stop */
    pthread_cond_t written; /* a write is over */
    atomic_int_fast64_t
        due; /* clock_mono_ms: when the thread looks next; INT64_MAX: never. Changed under `clock` */
    int64_t next_forget; /* the thread's: when groups of which nothing is left are looked for */
    bool stop;           /* under `clock` */
    pthread_t thread;
};

/* ---- groups.c ---- */

/* Locks the shard of the group with this name. */
struct shard *shard_lock(struct groups *all, struct msg_string id);
void shard_unlock(struct shard *s);
struct group *shard_find(const struct shard *s, struct msg_string id); /* NULL: there is none */
struct group *shard_make(struct groups *all, struct shard *s,
                         struct msg_string id);    /* found or made. NULL: no memory */
void shard_drop(struct shard *s, struct group *g); /* out of the table, and freed as soon as may be */
void group_free(struct group *g);
void pendings_free(struct group *g); /* all, once they are found no more */
/* Something of the group is due then, at the latest. Takes `clock`. */
void groups_due(struct groups *all, struct group *g, int64_t at);

/* ---- ids.c ---- */

/* None of these can fail: without memory it becomes slower. */
void ids_add(struct ids *ids, struct id_link *l, enum id_kind kind, const char *id);
void ids_remove(struct ids *ids, struct id_link *l);
struct id_link *ids_find(const struct ids *ids, enum id_kind kind, struct msg_string id); /* NULL: none */
void ids_clear(struct ids *ids); /* nothing is found any more */

/* ---- members.c ---- */

struct member *member_new(const struct group_join *j, const char *id);
void member_free(struct member *m);
bool member_update(struct member *m, const struct group_join *j); /* false: no memory, as it was */
bool member_same_protocols(const struct member *m, const struct group_join *j);
const struct group_protocol *member_protocol(const struct member *m, struct msg_string name);
struct member *group_member(const struct group *g, struct msg_string id);
struct member *group_instance(const struct group *g, struct msg_string instance);
void member_append(struct group *g, struct member *m);     /* behind the others */
void member_add_ids(struct group *g, struct member *m);    /* it is found from now on, */
void member_remove_ids(struct group *g, struct member *m); /* and no longer */
bool string_same(struct msg_string a, struct msg_string b);
bool string_is(struct msg_string s, const char *text); /* NULL is null */
struct msg_string string_of(const char *s);            /* likewise */
char *string_copy(struct msg_string s);                /* NULL: no memory */
struct group_protocol *protocols_copy(const struct group_protocol *from,
                                      int32_t count); /* in one block with their texts; NULL: no memory */

/* ---- rounds.c ---- */

void group_enter(struct group *g, enum group_state state);
void round_begin(struct groups *all, struct group *g); /* a rebalance */
void round_try(struct groups *all, struct group *g);   /* completes it if everybody has come */
void round_complete(struct groups *all, struct group *g);
/* The protocol that the members would have now: the first of its own that all have is each one's vote. Null: they have none in common. */
struct msg_string round_choice(const struct group *g);
bool all_have(const struct group *g, struct msg_string name);             /* every member has this protocol */
void group_remove(struct groups *all, struct group *g, struct member *m); /* and goes on without it */
void join_answer(struct member *m, const struct group_joined *r);
void join_fail(group_joined_fn *done, void *arg, int16_t error, struct msg_string member);
void sync_fail(struct member *m, int16_t error);
/* What a member is told of the current generation. `peers` has room for g->count. */
void round_tell(const struct group *g, struct member *m, struct group_peer *peers, struct group_joined *r);
void member_alive(struct groups *all, struct group *g, struct member *m);

/* ---- joins.c ---- */

/* Somebody with this id has come, or gives it up. false: nobody was given it. */
bool pending_take(struct group *g, struct msg_string id);
void pending_drop(struct group *g, struct pending *p);
/* The member waits for the round to be over, which begins if there is none. */
void member_wait(struct groups *all, struct group *g, struct member *m, group_joined_fn *done, void *arg);

/* ---- store.c: what lasts. See store.h ---- */

/*
 * Gives the group's records to the store. `done(all, g, arg, error)` is called once they are durable or given up, with the shard's lock; until then
 * the group stays, though it may be `gone`. NULL: nobody waits. Other than GROUP_OK: not taken, and `done` is not called.
 * Where there is no store, `done` is called before the return.
 */
typedef void group_stored_fn(struct groups *all, struct group *g, void *arg, int16_t error);
int16_t group_store_records(struct groups *all, struct group *g, const struct group_record *records, size_t n,
                            group_stored_fn *done, void *arg);
void groups_wait_for_writes(struct groups *all);
/* Calls for every record that the store has, before the thread begins. */
int groups_load(struct groups *all, struct err *e);

/* ---- records.c: a classic group's record (GroupMetadataKey, GroupMetadataValue) ---- */

/* As it is now: its members with what they are assigned. */
int16_t group_store_classic(struct groups *all, struct group *g, group_stored_fn *done, void *arg);
int16_t group_store_tombstone(struct groups *all, struct group *g); /* if there is a record */
#define KEY_CLASSIC 2                                               /* version of the key */
int group_load_classic(struct groups *all, const struct group_record *r, struct err *e);

/* ---- usage.c ---- */

/* Adds the names of the topics that its members read to the set. false: they cannot all be told. */
bool group_topics(const struct group *g, struct map *topics);

#endif
