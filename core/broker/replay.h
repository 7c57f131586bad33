/*
 * replay: what a disk's journal has is put back into the segment files, by several threads. Between the scan of the directories and the
 * opening of the logs.
 */
#ifndef LEAT_BROKER_REPLAY_H
#define LEAT_BROKER_REPLAY_H

#include "base/err.h"

struct disk;

/* All disks are scanned. Entries of one partition are put back in the order of the journal. Goes no further after the first error. */
int replay_run(struct disk *d, struct err *e);

#endif
