/*
 * cleaner: the threads that compact logs (Kafka's log.cleaner.threads), the log with the largest dirty part first, each log by one of
 * them at a time. Threads of their own and not upkeep's: a pass over a large log takes minutes, and the journal has to be released
 * in time. They sleep until a segment of a compacted log is closed, or until what had to wait may be cleaned; where nothing is
 * compacted none ever wakes. Memory for keys and bytes a second are bounded for all together.
 */
#ifndef LEAT_BROKER_CLEANER_H
#define LEAT_BROKER_CLEANER_H

#include "broker/store.h"

/* Without threads if the broker has none: then log_cleaner_round does all. After an error log_cleaner_stop and _free are due. */
int log_cleaner_start(struct broker *b, struct err *e);
/* Ends passes in their middle; what they have not swapped in is dropped. */
void log_cleaner_stop(struct broker *b);
void log_cleaner_free(struct broker *b); /* after log_cleaner_stop */

/*
 * Cleans what there is to clean at `now` (clock_mono_ms); answers when there may be more, INT64_MAX: not by time alone.
 * Only of a broker without threads.
 */
int64_t log_cleaner_round(struct broker *b, int64_t now);

/* There may be something to clean at `at_ms` (clock_mono_ms). Any thread; takes only a leaf lock. */
void log_cleaner_poke(struct broker *b, int64_t at_ms);
/* A segment of a compacted log was closed: the cleaner looks after its back-off. */
void log_cleaner_segment_closed(struct broker *b);
/* Its topic is deleted, or has other settings: a pass over it ends, and what was said of it no longer holds. */
void log_cleaner_topic_changed(struct broker *b, struct topic *t);

void log_cleaner_figures(struct broker *b, struct broker_stats *s);

#endif
