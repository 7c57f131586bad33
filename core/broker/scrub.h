/*
 * scrub: a thread of low priority that reads everything once in a while, as fsck does, and slowly, so that damage is found while
 * there is still another copy somewhere. One pass goes over the partitions in the order of their names; how far it came is
 * kept in <data_dir>/scrub, so that a restart goes on where it was.
 *
 * It reads files, not logs: an idle partition is not opened for it. What changes meanwhile (retention, compaction, deletion)
 * may look like damage, so a finding counts only if a second look right after shows it again.
 */
#ifndef LEAT_BROKER_SCRUB_H
#define LEAT_BROKER_SCRUB_H

#include "broker/store.h"

#define SCRUB_FILE "scrub"
#define SCRUB_FINDINGS_MAX 100 /* that are kept; all are counted and written to the diagnostics log */

/* Starts the thread, unless the options turn it off. */
int scrub_start(struct broker *b, struct err *e);
/* Ends it, at once also in the middle of a pass; NULL is fine. */
void scrub_stop(struct broker *b);
void scrub_free(struct broker *b);

#endif
