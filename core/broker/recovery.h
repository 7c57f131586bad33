/*
 * recovery: what is done between the metadata and the first service: which directories are there, what the journal
 * has to give back, logs opened and cut after an unclean stop.
 */
#ifndef LEAT_BROKER_RECOVERY_H
#define LEAT_BROKER_RECOVERY_H

#include "broker/store.h"

/* Marks the partitions that exist; removes the remains of deleted topics, sets strangers aside with a warning. */
int recovery_scan(struct broker *b, struct err *e);
/* Replays the journal; after an unclean stop also opens every log. */
int recovery_run(struct broker *b, struct err *e);

#endif
