/*
 * each: the same work on every partition, by several threads: opening, flushing and closing thousands of logs waits for the disk
 * one file at a time otherwise, where a file system makes what several threads sync durable in one go.
 */
#ifndef LEAT_BROKER_EACH_H
#define LEAT_BROKER_EACH_H

#include "broker/store.h"

/*
 * Calls `work` once for every partition of every topic, in no order and from several threads at once (one with no_threads).
 * Goes on after errors and answers the first one. While starting and stopping only: topics must not change meanwhile.
 */
int partitions_each(struct broker *b, int (*work)(struct broker *b, struct partition *p, struct err *e),
                    struct err *e);

/* The same on `n` partitions of the caller's, who holds them: at any time. */
int partitions_each_of(struct broker *b, struct partition **list, size_t n,
                       int (*work)(struct broker *b, struct partition *p, struct err *e), struct err *e);

#endif
