/*
 * admit: what a topic's settings ask of data before it is appended, while nothing but its topic is held.
 */
#ifndef LEAT_BROKER_ADMIT_H
#define LEAT_BROKER_ADMIT_H

#include "base/buf.h"
#include "broker/store.h"

/* What was put in the place of a request's data until admit_end. All zeros: nothing. */
struct admitted {
    void *data; /* the caller's */
    size_t bytes;
    struct buf packed;
    bool swapped;
};

/*
 * Refuses (ERR_NOT_ENOUGH_REPLICAS, ERR_QUOTA) or, with compression.type, puts batches in the topic's codec in the place of
 * r->data; waits where the topic has a rate, unless `before`, the same call's previous request or NULL, is for the same topic
 * and has waited. `p` is held. After an error nothing is left to end.
 */
int admit_begin(struct broker *b, const struct partition *p, struct produce_request *r,
                const struct produce_request *before, struct admitted *a, struct err *e);
/* Gives the request its own data back. */
void admit_end(struct produce_request *r, struct admitted *a);

#endif
