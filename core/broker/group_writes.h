/*
 * group_writes: groups' own records on their way to __consumer_offsets, and those that a start found there. See broker.h.
 */
#ifndef LEAT_BROKER_GROUP_WRITES_H
#define LEAT_BROKER_GROUP_WRITES_H

#include "broker/store.h"

struct record;

int group_writes_open(struct broker *b, struct err *e);
void group_writes_stop(
    struct broker *b); /* what was taken is appended, and the thread ends; before the stages stop */
void group_writes_close(struct broker *b);

/* While loading: a record of partition `partition` whose key is no committed offset's. */
int group_writes_found(struct broker *b, int32_t partition, const struct record *r, struct err *e);

#endif
