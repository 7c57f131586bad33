/*
 * cleaner: the thread that compacts logs, the one with the largest dirty part first. A thread of its own and not upkeep's:
 * a pass over a large log takes minutes, and the journal has to be released in time. It sleeps until a segment of a
 * compacted log is closed, or until what had to wait may be cleaned; where nothing is compacted it never wakes.
 */
#ifndef LEAT_BROKER_CLEANER_H
#define LEAT_BROKER_CLEANER_H

#include "broker/store.h"

/* Without a thread if the broker has none: then log_cleaner_round does all. */
int log_cleaner_start(struct broker *b, struct err *e);
/* Ends a pass in its middle; what it has not swapped in is dropped. */
void log_cleaner_stop(struct broker *b);
void log_cleaner_free(struct broker *b); /* after log_cleaner_stop */

/*
 * Cleans what there is to clean at `now` (clock_mono_ms); answers when there may be more, INT64_MAX: not by time alone.
 * The thread's, or who steps the broker.
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
