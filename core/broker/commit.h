/*
 * commit: the group-commit stage of a data directory. A round takes everything staged since the last one, writes it as
 * one journal record, syncs, moves the high watermarks and completes the waiting operations, in the order of staging. One
 * round is written at a time. While it syncs, the next group gathers; who could write it then waits for those who are on their way,
 * up to a number: they hold a reservation and have not staged yet. A lone appender waits for nobody.
 *
 * Who runs a round: whoever waits for its outcome or for room and finds nobody writing (one round; then one of those who
 * sleep for the next group is called). The stage's own thread runs those for which nobody waits; a second one makes journal
 * files meanwhile. Without threads everything that waits works the same, and commit_run does their part.
 *
 * Large appends are not copied into the record: their segments are synced before it is written (commit_direct.c).
 *
 * Room: staging is bounded. Who wants to append reserves first, without any lock, and so waits for room before it
 * touches a log; then staging cannot fail for want of room.
 */
#ifndef LEAT_BROKER_COMMIT_H
#define LEAT_BROKER_COMMIT_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "broker/broker.h"
#include "storage/journal.h"

#define COMMIT_ENTRY_OVERHEAD 128 /* what the journal adds to an entry, with margin */

struct commit;
struct commit_op;
struct partition;
struct topics;

/* One partition's part of an operation. Lives until the operation is done. */
struct commit_item {
    struct commit_item *next;
    struct commit_op *op;
    struct partition *p; /* held; released on completion */
    int64_t end_offset;  /* the watermark to reach */
    bool failed;         /* out: not committed; op->error says why */
    bool journaled;      /* else it only keeps its place in the order */
    bool grouped;        /* staged together with others, and durable only with them */
    bool
        settled; /* its log was flushed before: a sync has only bytes to take along, none of a new log's names and small files */
    bool direct; /* its bytes are synced in the segment; the journal has but a reference */
    struct journal_entry entry;
};

/* Completed when `left` reaches zero: `done(op)` is called once and may free the operation and its items. */
struct commit_op {
    atomic_int left;
    atomic_bool failed; /* somebody has set, or is setting, the error */
    struct err error;   /* of the commit stage; ERR_OK if all is durable */
    struct commit *
        stage; /* the first one that it was staged on, which its owner drives; others are driven by their threads */
    bool waits;   /* it is a commit_wait, and its owner calls commit_wait_for soon after the staging */
    bool lingers; /* but has other things to do before */
    bool
        pushed; /* nobody waits, but its owner calls commit_push soon after the staging: the thread need not be woken before */
    void (*done)(struct commit_op *op);
};

int commit_start(struct commit **out, struct journal *j, struct topics *topics, bool threaded, struct err *e);
/* From how many bytes of a log in a round on they are large (commit_direct.c); 0: the default. Before anything is staged. */
void commit_set_direct(struct commit *c, size_t bytes);
void commit_on_sealed(struct commit *c, void (*fn)(void *arg),
                      void *arg); /* called after a journal file was sealed */
/* Called when the stage fails for good, once, with no lock held. To be set before anything is staged. */
void commit_on_failed(struct commit *c, void (*fn)(void *arg, const struct err *why), void *arg);
/* Without threads: all stages of the broker, run by who waits for several. The array stays the caller's. */
void commit_set_peers(struct commit *c, struct commit *const *peers, size_t n);
/* Takes it out of service from outside: what is staged fails, nothing more is accepted. The first reason stays. */
void commit_fail(struct commit *c, const struct err *why);
/* Without a thread: completes what is staged, also what nobody waits for. With one: does nothing. */
void commit_run(struct commit *c);
/* Completes what is staged and ends the thread. */
void commit_stop(struct commit *c);
void commit_free(struct commit *c);

/*
 * Data waits while the journal's sealed files hold at least this, 0: it does not. What the coordinators write never waits for
 * that, and gets room before data: a transaction can always end, also by the thread that gives the journal's files back.
 * To be called again, whatever the limit, once files were given back.
 */
enum commit_urgency { COMMIT_DATA, COMMIT_COORDINATOR };
void commit_limit_journal(struct commit *c, uint64_t bytes);

size_t commit_capacity(const struct commit *c); /* largest reservation */
bool commit_failed(struct commit *c, struct err *e);

/* Waits for room, in order of arrival. Nothing may be held that a completion needs; until it is staged or given back no
 * sync may be waited for, as rounds wait for who has room. ERR_TOO_LARGE past the capacity; the journal's error once it failed. */
int commit_reserve(struct commit *c, size_t bytes, enum commit_urgency urgency, struct err *e);
/* Room for each of `n`, to be staged or given back one by one, if all of it is there now: nothing is waited for. */
bool commit_try_reserve(struct commit *c, const size_t *bytes, size_t n);
void commit_unreserve(struct commit *c, size_t bytes);

/*
 * Stages all items as part of one record, using up `reserved`. The partitions' locks are held by the caller, so that
 * the order here is the order in the logs. On an error nothing was staged, and the reservation is still the caller's.
 */
int commit_stage(struct commit *c, struct commit_item **items, size_t n, size_t reserved, struct err *e);

/* What was staged and is `pushed` is written now, if it is not already. */
void commit_push(struct commit *c);

void commit_op_init(struct commit_op *op,
                    void (*done)(struct commit_op *op));          /* left = 1: the caller's own */
void commit_op_finish(struct commit_op *op, const struct err *e); /* one part; `e` NULL: well */

/* Newest sealed journal file all of whose entries are completed. */
uint64_t commit_sealed(struct commit *c);
void commit_figures(struct commit *c, struct broker_stats *s); /* adds */

/* An operation whose caller waits. */
struct commit_wait {
    struct commit_op op; /* first */
    sem_t bell;
    atomic_int state;
    void (*before)(struct commit_wait *w); /* runs in the round's thread ahead of the waking; may be NULL */
    void *arg;
};
void commit_wait_init(struct commit_wait *w);
/* Gives up the caller's own part and waits for the others. Frees what init made. Returns the op's code. */
int commit_wait_for(struct commit_wait *w, struct err *e);

#endif
