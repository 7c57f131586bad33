/*
 * store: how groups outlast a restart. What is to last of a group are records, Kafka's own in __consumer_offsets, each by its key; who has the
 * log (core/broker) appends them and gives the newest of each key back at the next start. This folder decides when, and knows their bytes
 * (records.c the classic groups').
 *
 * When: before an answer that depends on it. A generation is written when its leader has told the assignments, and every SyncGroup of it is
 * answered once that is durable; a static member that comes back without a rebalance likewise; a group that has become empty is written
 * without anybody waiting. What a write that failed means is the caller's to say (group_store_records in internal.h).
 */
#ifndef LEAT_GROUP_STORE_H
#define LEAT_GROUP_STORE_H

#include <stdbool.h>

#include "base/err.h"
#include "broker/broker.h"

struct group_store {
    /*
     * Appends the records, whose bytes are copied, as one batch behind all that this group wrote before, and calls
     * `done(done_arg, e)` once, when they are durable or were given up: from a thread of its own, never before it has returned. Called under a lock: it must
     * not wait. On an error `done` is not called. NULL: nothing lasts.
     */
    int (*write)(void *arg, const char *group, const struct group_record *records, size_t n,
                 void (*done)(void *done_arg, const struct err *e), void *done_arg, struct err *e);
    /* Calls `each` for the newest record of every key that is neither a committed offset's nor deleted, in the order of the log. Once. */
    int (*load)(void *arg, int (*each)(void *to, const struct group_record *r, struct err *e), void *to,
                struct err *e);
    /* Whether the group has committed offsets, or has them on their way. Takes leaf locks at most. */
    bool (*has_offsets)(void *arg, const char *group);
    void *arg;
};

#endif
