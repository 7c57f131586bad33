/*
 * fetch: what else of the broker finds a partition's log for reading. See fetch.c.
 */
#ifndef LEAT_BROKER_FETCH_H
#define LEAT_BROKER_FETCH_H

#include "broker/topic.h"

/* Holds the partition and opens its log if need be; *log is NULL for one that was never written to. After an error nothing is held. */
int hold_log(struct broker *b, const char *topic, int32_t partition, struct partition **p, struct log **log,
             struct err *e);
/* The same of one that is held already, and stays so. */
int open_held(struct broker *b, struct partition *p, struct log **log, struct err *e);

/* Whose outcome `rc` is: one that the disk is to blame for takes it out of service. */
int read_ended(struct partition *p, struct log *log, int rc, const struct err *e);

#endif
