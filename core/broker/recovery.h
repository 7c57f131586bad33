/*
 * recovery: what is done between the metadata and the first service: which directories are there, what the journal
 * has to give back, logs opened and cut after an unclean stop.
 */
#ifndef LEAT_BROKER_RECOVERY_H
#define LEAT_BROKER_RECOVERY_H

#include "broker/store.h"

/*
 * Marks the partitions that exist on the disk; removes the remains of deleted topics, sets strangers aside with a warning.
 * A partition that another disk has, too, is ERR_CORRUPT.
 */
int recovery_scan(struct disk *d, struct err *e);
/* Replays the disk's journal. All disks are scanned. */
int recovery_run(struct disk *d, struct err *e);
/* Opens every log of the disks whose last stop was not clean. All journals are replayed. */
int recovery_open(struct broker *b, struct err *e);

#endif
