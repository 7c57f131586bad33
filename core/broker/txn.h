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

#define TXN_TIMEOUT_MAX_MS 900000 /* Kafka's transaction.max.timeout.ms */

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
    int16_t epoch;
    int32_t timeout_ms;
    enum txn_state state;
    bool ending; /* txn_spread.c is at it: nobody else changes it */
    struct txn_parts parts;
    struct offset_change *offsets; /* pending until the end */
    int64_t start_ms, update_ms;
    int64_t written_ms;        /* when the state on disk was last brought up to date; 0: it differs */
    _Atomic(int64_t) deadline; /* clock_mono_ms; INT64_MAX: none open */
};

struct txns {
    pthread_mutex_t lock; /* leaf: the two maps; entries stay until the end */
    struct map *by_id;
    struct map *by_producer;
};

int txns_open(struct broker *b, struct err *e);
/* Reads __transaction_state; finishes what Kafka left in a Prepare state. After offsets_load. */
int txns_load(struct broker *b, struct err *e);
/* After an unclean stop: aborts what is open in a log without the coordinator knowing. All logs are open. */
int txns_abort_unknown(struct broker *b, struct err *e);
void txns_close(struct broker *b);

/* Aborts what is overdue at `now`; the next deadline (clock_mono_ms; INT64_MAX: none). */
int64_t txns_expire(struct broker *b, int64_t now);

/*
 * Locks the producer's transaction if it is open, has this epoch and holds the partition; else INVALID_PRODUCER_EPOCH,
 * INVALID_TXN_STATE. txn_let_go unlocks.
 */
int txn_hold(struct broker *b, int64_t producer_id, int16_t epoch, const char *topic, int32_t partition,
             struct txn **t, struct err *e);
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
/* Aborts it, if it is open, and leaves the producer's epoch behind. */
int txn_fence_spread(struct broker *b, struct txn *t, struct err *e);
int txn_commit_all_spread(struct broker *b, struct txn *t, int64_t producer_id, int16_t epoch,
                          struct produce_request *requests, size_t n, struct err *e);
/* Goes on with one in a Prepare state; ERR_OK also if somebody else does. */
int txn_finish(struct broker *b, struct txn *t, struct err *e);

struct txn *txn_find(struct broker *b, const char *id);
struct txn *txn_find_producer(struct broker *b, int64_t producer_id);
int txn_get(struct broker *b, struct text id, struct txn **t, struct err *e); /* found or made */
int txn_map_producer(struct broker *b, struct txn *t, int64_t producer_id, struct err *e);

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
    bool fence; /* the producer's epoch is left behind */
    int32_t timeout_ms;
    int64_t fresh_id;                 /* for init */
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
    struct txn_value next;  /* state after */
    struct txn_parts parts; /* partitions after, while open; also those that get markers */
    /* built: */
    struct append *appends;
    size_t append_count;
    uint8_t *marker_bytes;
    struct batch_builder *state_batch;
    struct offset_change *apply;
    bool staged;
};

struct txn_work *txn_work_new(struct broker *b, struct txn *t, txn_check *check, struct err *e);
void txn_work_free(struct txn_work *w); /* of one that is not run */
void txn_plan_state(struct txn_work *w, enum txn_state state);
/* Does it: reserves, checks, builds, appends as one group, waits unless no_wait. Frees the work. */
int txn_work_run(struct txn_work *w, struct err *e);

#endif
