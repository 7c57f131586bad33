/*
 * txn: the transaction coordinator (KIP-98). As all partitions of the main data directory share one journal, whatever ends a
 * transaction (markers and state) is one atomic group there, without Prepare states. One with partitions in other
 * directories ends as Kafka's do: txn_spread.c.
 *
 * A transaction's lock ("coordinator shard" of the lock order) is taken before partitions' locks and never held over a
 * wait. State in memory changes when the group is staged; what is staged later comes later in the journal, so nobody
 * can build on a change that would be lost alone.
 */
#ifndef LEAT_BROKER_TXN_H
#define LEAT_BROKER_TXN_H

#include "broker/group.h"
#include "broker/offsets.h"
#include "broker/records.h"
#include "broker/store.h"

/* Epochs of a producer id from here on are used up: the next one is that of a new id (Kafka's rule). */
#define TXN_EPOCH_LAST (INT16_MAX - 1)
#define TXN_TIMEOUT_MAX_MS 900000 /* of the process's own producers */
#define TXN_VERSION_2 2           /* KIP-890 */

struct txn_part {
    char *topic;
    int32_t partition;
};

struct txn_parts { /* sorted by topic, then partition */
    struct txn_part *list;
    size_t n;
};

struct txn {
    char *id;
    pthread_mutex_t lock;
    int64_t producer_id; /* -1: never initialised */
    int64_t previous_id; /* before its epochs were used up; -1: there was none */
    int64_t next_id;     /* in a Prepare state: the producer after the end, with epoch 0; -1: the same */
    int16_t epoch;
    int16_t
        last_epoch; /* what the producer had before: it may ask for the next once more. -1: none; not on disk, as in Kafka */
    int16_t client_version; /* of transactions, of who changed it last */
    int32_t timeout_ms;
    enum txn_state state;
    bool ending; /* txn_spread.c is at it: nobody else changes it */
    struct txn_parts parts;
    struct offset_change *offsets; /* pending until the end */
    int64_t start_ms, update_ms;
    int64_t written_ms;        /* when the state on disk was last brought up to date; 0: it differs */
    _Atomic(int64_t) deadline; /* clock_mono_ms; INT64_MAX: none open */
    atomic_int users;          /* who has a pointer to it: taken under the table's lock, or by a user */
    int holders;               /* broker_txn_hold; under the table's lock */
};

/* A state record that says nothing new is written once in a while, so that its age tells of use. */
#define TXN_STATE_REFRESH_MS 3600000

/* The epoch of markers that leave the producer's behind. */
static inline int16_t txn_epoch_after(const struct txn *t)
{
    return t->epoch < INT16_MAX ? (int16_t)(t->epoch + 1) : INT16_MAX;
}

struct txns {
    pthread_mutex_t lock; /* leaf: the two maps */
    int64_t next_check;   /* clock_mono_ms, for idle ids; upkeep's */
    struct map *by_id;
    struct map *by_producer;
};

int txns_open(struct broker *b, struct err *e);
/* Reads __transaction_state; finishes what Kafka left in a Prepare state. After offsets_load. */
int txns_load(struct broker *b, struct err *e);
/* After an unclean stop: aborts what is open in a log without the coordinator knowing. All logs are open. */
int txns_abort_unknown(struct broker *b, struct err *e);
void txns_close(struct broker *b);

/* txn_expire.c, upkeep's: */

/*
 * Forgets transactional ids that were not used for transactional.id.expiration.ms, with a tombstone in the topic, as Kafka does;
 * not those that are held, or open. When to look again (clock_mono_ms).
 */
int64_t txns_forget_idle(struct broker *b, int64_t now);
/* Takes out of the table what has no producer and no user. */
int txns_sweep(struct broker *b, struct err *e);
/* Aborts it, if it is open, and leaves the producer's epoch behind; goes on with one whose end is decided. Waits for syncs. */
int txn_abort_open(struct broker *b, struct txn *t, struct err *e);
/* Aborts what is overdue at `now`; the next deadline (clock_mono_ms; INT64_MAX: none). */
int64_t txns_expire(struct broker *b, int64_t now);

/*
 * Locks the producer's transaction if it is open, has this epoch and holds the partition; else INVALID_PRODUCER_MAPPING,
 * INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, CONCURRENT_TRANSACTIONS. `id`: that of the transaction, NULL: by the producer alone.
 * txn_let_go unlocks.
 */
int txn_hold(struct broker *b, const char *id, int64_t producer_id, int16_t epoch, const char *topic,
             int32_t partition, struct txn **t, struct err *e);
void txn_let_go(struct txn *t);

/* ---- txn_spread.c ---- */

struct txn_work;

/* Does the transaction, with these requests, need more than the main directory's journal? */
bool txn_spreads(struct broker *b, struct txn *t, const struct produce_request *requests, size_t n);
bool txn_is_prepared(enum txn_state s);
/* Under the transaction's lock: ERR_CONCURRENT_TRANSACTIONS while the last transaction is being ended. */
int txn_check_ended(const struct txn *t, struct err *e);
/* Ends it as `w`, which it frees and which was not run, would: ERR_OK once the decision is durable. */
int txn_end_spread(struct txn_work *w, struct err *e);
/*
 * Aborts it, if it is open, and leaves the producer's epoch behind. Whoever found that it should be may be late, and another one
 * open by now: only one of the producer with `epoch`, -1: whosever; only if its time has passed at `now`, INT64_MAX: in any case.
 */
int txn_fence_spread(struct broker *b, struct txn *t, int32_t epoch, int64_t now, struct err *e);
int txn_commit_all_spread(struct broker *b, struct txn *t, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e);
/* Goes on with one in a Prepare state; ERR_OK also if somebody else does. */
int txn_finish(struct broker *b, struct txn *t, struct err *e);

/* What these three give stays until txn_put. NULL: there is none. */
struct txn *txn_find(struct broker *b, const char *id);
struct txn *txn_find_producer(struct broker *b, int64_t producer_id);
int txn_get(struct broker *b, struct text id, struct txn **t, struct err *e); /* found or made */
struct txn *txn_ref(struct txn *t);                                           /* once more */
void txn_put(struct txn *t);
void txn_free(struct txn *t); /* of one that is in no table */
int txn_map_producer(struct broker *b, struct txn *t, int64_t producer_id, struct err *e);
/* A fresh producer id, mapped to it, where its epochs are about to be used up; else *fresh is -1. Waits for a sync. */
int txn_fresh_id(struct broker *b, struct txn *t, int64_t *fresh, struct err *e);

void txn_parts_free(struct txn_parts *p);
bool txn_parts_have(const struct txn_parts *p, const char *topic, int32_t partition);
/* Adds if it is not there. */
int txn_parts_add(struct txn_parts *p, struct text topic, int32_t partition, struct err *e);
int txn_parts_copy(const struct txn_parts *from, struct txn_parts *to, struct err *e);

/* ---- work: one change of a transaction ------------------------------------------------------------------------- */

struct txn_work;
#define TXN_RETRY_MS 1000 /* until an end that was decided and could not be written is tried again */

/*
 * Decides under the transaction's lock: an error, or what to do by filling in the work's plan. May be called again.
 */
typedef int txn_check(struct txn_work *w, struct err *e);

struct txn_work {
    struct commit_wait wait; /* first */
    struct broker *b;
    struct txn *t;
    txn_check *check;
    /* the caller's: */
    int64_t producer_id;
    int16_t epoch;
    bool commit;
    bool bump;   /* the producer's epoch is left behind */
    bool joined; /* the offsets' partition must be part of the transaction already */
    int16_t client_version;
    int32_t timeout_ms;
    int64_t fresh_id;                 /* a new producer id, where one may be needed; else -1 */
    struct produce_request *requests; /* data of the group */
    size_t request_count;
    const struct txn_partition *add; /* partitions that join */
    size_t add_count;
    struct partition *batch_partition; /* offsets' batch: held, taken over */
    uint8_t *batch;
    size_t batch_bytes;
    struct offset_change *changes; /* become the transaction's, or are dropped */
    bool no_wait;
    void (*done)(void *arg, const struct err *e); /* with no_wait: told of the sync; may be NULL */
    void *done_arg;
    int64_t now_ms;           /* clock_mono_ms, for what expires */
    int64_t *out_producer_id; /* what the change made of them, or NULL */
    int16_t *out_epoch;
    struct admitted *admitted; /* one a request, until they are staged */
    size_t admitted_count;
    /* the plan: */
    bool nothing; /* well already */
    bool finish;  /* its markers are written already */
    bool markers, marker_commit;
    int16_t marker_epoch;
    bool write_state;
    bool forget;           /* the state is a tombstone */
    struct txn_value next; /* state after */
    int16_t last_epoch;
    struct txn_parts parts; /* partitions after, while open; also those that get markers */
    /* built: */
    struct append *appends;
    size_t append_count;
    uint8_t *marker_bytes;
    struct batch_builder *state_batch;
    struct offset_change *apply;
    bool staged;
};

struct txn_work *txn_work_new(struct broker *b, struct txn *t, txn_check *check,
                              struct err *e); /* refers to `t` */
void txn_work_free(struct txn_work *w);       /* of one that is not run */
void txn_plan_state(struct txn_work *w, enum txn_state state);
/* The planned state has the producer's next epoch, or the fresh id's first: KIP-890. ERR_CONCURRENT_TRANSACTIONS: it needs one and has none. */
int txn_plan_fresh_id(struct txn_work *w, struct err *e);
int txn_plan_bump(struct txn_work *w, struct err *e);
int txn_plan_markers(struct txn_work *w, bool commit, int16_t epoch, struct err *e);
/* Work for an existing id on behalf of its producer; ERR_INVALID_PRODUCER_MAPPING. */
int txn_work_for(struct broker *b, const char *id, txn_check *check, int64_t producer_id, int16_t epoch,
                 struct txn_work **w, struct err *e);
int txn_add_partitions(struct broker *b, const char *id, int64_t producer_id, int16_t epoch,
                       const struct txn_partition *partitions, size_t n, int16_t version, struct err *e);
/* Makes sure that upkeep looks at the id's transaction when its time is over. */
void txn_watch_deadline(struct broker *b, const char *id);
/* Does it: reserves, checks, builds, appends as one group, waits unless no_wait. Frees the work. */
int txn_work_run(struct txn_work *w, struct err *e);

#endif
