/*
 * cleaned: what compaction must have taken, by what is promised of a pass that ended (core/storage/clean.h): below its end only
 * the last committed record of each key is left, nothing that was aborted, and no tombstone and no marker without data whose
 * delete.retention.ms is over since a pass met it. Of the store it takes that a pass began or ended, when, and up to where.
 */
#ifndef LEAT_TESTS_POWER_CLEANED_H
#define LEAT_TESTS_POWER_CLEANED_H

#include "tests/power/world.h"

/* The passes over this world's logs are observed from now on; NULL: no more. */
void cleaned_watch(struct world *w);

/* A reading of the partition begins: what had to be gone by now is not to be in it. */
void cleaned_read(struct model_partition *p);

/*
 * Nothing is under way and no call fails: gives the cleaner all the time that it needs, and ends the test if it does not take it. Only
 * where it is known how far it must come: of topics that want to be cleaned whatever is dirty, whose segments hold few batches.
 */
void cleaned_expect_all(struct world *w);

/* The topic's settings are about to be `next`. */
void cleaned_alter(struct model_topic *t, int64_t now_ms);

#endif
