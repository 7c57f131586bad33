/*
 * upkeep: the thread that does what nobody waits for: releases the journal by flushing logs, flush.ms, retention,
 * producers' expiry, transactions' timeouts. Sleeps until the next of these is due; idle it sleeps minutes.
 */
#ifndef LEAT_BROKER_UPKEEP_H
#define LEAT_BROKER_UPKEEP_H

#include "broker/store.h"

/* Without a thread if the broker has none: then upkeep_round does all. */
int upkeep_start(struct broker *b, struct err *e);
void upkeep_stop(struct broker *b);

/* Does what is due at `now` (clock_mono_ms); answers when the next is. The thread's, or who steps the broker. */
int64_t upkeep_round(struct broker *b, int64_t now);

/* The wall clock by which old things are deleted (retention_clock.h). Only within a round. */
int64_t upkeep_wall(struct broker *b);

/* Something is due at `at_ms` (clock_mono_ms). Any thread; takes only a leaf lock, and none if it is awake by then. */
void upkeep_poke(struct broker *b, int64_t at_ms);

/* Something was appended at `now` after a rest: room on the disks is looked at in a while. */
void upkeep_wake_for_room(struct broker *b, int64_t now);

/* The disk's journal files up to the newest sealed one are released: their logs flushed, recovery points on disk. */
int upkeep_release_journal(struct disk *d, struct err *e);

#endif
