/*
 * waiter: a reader's bell, hung into the partitions that it watches.
 */
#ifndef LEAT_BROKER_WAITER_H
#define LEAT_BROKER_WAITER_H

#include "broker/broker.h"

struct partition;

/* One bell in one partition. In the partition's list under its watch lock; in the waiter's by its own thread. */
struct watch {
    struct waiter *waiter;
    struct partition *p; /* its topic's memory is kept */
    struct watch *next_here, *before_here;
    struct watch *next_of_waiter;
    bool reserved; /* in the waiter's own room */
};

#endif
