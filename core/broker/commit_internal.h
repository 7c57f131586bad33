/*
 * commit_internal: what commit.c (staging, rounds), commit_wait.c (who waits for a round) and commit_room.c (who waits for
 * room) share.
 *
 * Locks: `completing` outside `lock`; both are leaves of everything else. `lock` is never held over I/O or a callback;
 * `completing` is held over the callbacks of one round, so that rounds complete in the order in which they were written.
 */
#ifndef LEAT_BROKER_COMMIT_INTERNAL_H
#define LEAT_BROKER_COMMIT_INTERNAL_H

#include "broker/commit.h"

#define COMMIT_DIRECT_LOGS 64 /* so many at most are synced in a round */

struct crew;

/* What copying takes on this disk, and a sync. */
struct disk_rate {
    uint64_t bytes, ns;       /* of rounds that copy all */
    uint64_t direct;          /* bytes since copies were last believed to be better than that */
    uint64_t small, least_ns; /* small records, and the least time of one; of late */
    unsigned halves;          /* of `bytes`, that were let go of */
};

/* What a round synced. */
struct direct_done {
    size_t bytes;
    bool whole; /* nothing was taken out of its record */
};

/* Who waits for room: served in order of arrival, coordinators first, each by its own bell. */
struct room_wait {
    struct room_wait *next;
    size_t bytes;
    enum commit_urgency urgency;
    bool granted, refused; /* refused: the journal failed */
    pthread_cond_t cond;   /* with the stage's lock */
};

struct commit {
    struct journal *journal;
    struct topics *topics;
    pthread_t thread, maker; /* of rounds, of journal files */
    bool threaded;

    pthread_mutex_t lock; /* down to the empty line */
    pthread_cond_t work;  /* the thread's bell */
    pthread_cond_t files; /* the maker's */
    struct commit_item *head, **tail;
    size_t staged, reserved;
    size_t copied;        /* of what is staged: bytes for the journal */
    size_t items;         /* staged */
    size_t last_items;    /* of the round before */
    unsigned coming;      /* those who have room and have neither staged nor given it back */
    int64_t gather_until; /* clock_mono_ns: how long the round waits for those; 0: it was not asked to yet */
    const void *guard;    /* who sleeps until then; NULL: nobody does. Only compared */
    struct room_wait *room_first;
    uint64_t journal_limit; /* 0: none */
    bool busy;              /* a round is being written; by a waiter or by the thread */
    bool sleeping;          /* the thread */
    bool stop;
    bool make_file; /* an append was refused for want of a journal file, or the next one is due */
    bool failed;
    struct err failure;
    uint64_t round;       /* the number of the one that is staged for, from 1 on */
    unsigned direct_logs; /* that are going to be synced in it */
    size_t direct_from;   /* with so many bytes for it a log is one of those */
    unsigned many_logs;   /* with `many_from` bytes for each, in that round */
    size_t many_from;

    pthread_mutex_t completing;
    size_t soft, capacity; /* constant */
    size_t direct_bytes;   /* constant, as `rated` is: is it less for many logs, by the disk's rate? */
    bool rated;
    _Atomic(size_t) many_bytes; /* 0: not known yet */
    struct disk_rate rate;      /* of whoever runs a round, like the next ones */
    struct crew *crew;
    struct partition *direct[COMMIT_DIRECT_LOGS];
    int64_t
        gather_least_ns; /* so long a round waits at least, if somebody is coming; constant but for tests */
    atomic_bool said;    /* that no journal file can be made */
    _Atomic(int64_t) last_ns; /* how long the last write took */
    atomic_uint_fast64_t sealed;
    atomic_uint_fast64_t sync_ns, grouped, bytes, direct_total;
    void (*_Atomic on_sealed)(void *arg);
    void *on_sealed_arg;         /* set before */
    struct commit *const *peers; /* constant */
    size_t peer_count;
    void (*on_failed)(void *arg, const struct err *why);
    void *on_failed_arg;
};

/* All with the lock held. */

/*
 * Runs one round in the calling thread: takes what is staged, writes and syncs it and completes it. Only if something is
 * staged and nobody is busy. Gives the lock back meanwhile.
 */
void commit_round(struct commit *c);
static inline bool commit_can_round(const struct commit *c)
{
    return c->head && !c->busy;
}
void commit_wake_thread(struct commit *c);
void commit_try_file(struct commit *c); /* gives the lock back meanwhile */
/*
 * What is staged has its place in a journal file that is there, so that a full disk is met where the append can still be
 * refused, and not when the record is written: makes a file if need be, giving the lock back meanwhile. Called when room is
 * reserved, before any log is touched, and once more when it is staged, as others may have used the file up.
 */
int commit_need_file(struct commit *c, size_t bytes, struct err *e);
int commit_failure(const struct commit *c, struct err *e);

/* ---- commit_wait.c ---- */

/*
 * Somebody who was coming has staged or gone. If the round waits no longer now, one of those who sleep for it is called;
 * not if the caller goes on to commit_wait_for at once.
 */
void commit_came(struct commit *c, bool waits);
/* Is it worth to wait for those who are about to stage? The round could be written; until c->gather_until at most. */
bool commit_gathers(struct commit *c);
/* Wakes one of those who sleep for what is staged, so that it runs the next round. False: none of them sleeps. */
bool commit_wake_waiter(struct commit *c);
/* The guard needs no round any more, before the time was over: somebody else is to look then. */
void commit_pass_guard(struct commit *c);

/* ---- commit_direct.c ---- */

/* Is the append that is being staged, alone, to be synced where it stands? Lock held. */
bool commit_goes_direct(struct commit *c, const struct commit_item *i);
/* A round is taken: from which size on that is for the next one. Lock held. */
void commit_next_direct(struct commit *c);
/*
 * Without the lock, by whoever runs the round, before its record is written: syncs what goes direct. What that fails for is marked as
 * failed, and taken out of the record. An error: the whole round fails.
 */
int commit_sync_direct(struct commit *c, struct commit_item *list, uint64_t round, struct direct_done *done,
                       struct err *e);
/* The same caller: a record with `copied` bytes, and references to `direct`, was written in `ns`. */
void commit_rate_disk(struct commit *c, size_t copied, size_t direct, int64_t ns);

/* ---- commit_room.c ---- */

/* Gives room to those who wait for it, as far as there is some. */
void commit_grant(struct commit *c);
/* The journal failed: who waits for room learns of it. */
void commit_refuse(struct commit *c);

#endif
