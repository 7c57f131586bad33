/*
 * producers_internal: what snapshots need of producers.c.
 */
#ifndef LEAT_STORAGE_PRODUCERS_INTERNAL_H
#define LEAT_STORAGE_PRODUCERS_INTERNAL_H

#include "storage/producers.h"

struct producer *producers_find(const struct producers *p, int64_t id);
/* Adds one as a snapshot tells it. `batch` may be NULL. */
int producers_add(struct producers *p, const struct producer_info *info, const struct producer_batch *batch,
                  struct err *e);
/* To be called in the order of first offsets. */
int producers_reopen_txn(struct producers *p, int64_t id, int64_t first_offset, struct err *e);

#endif
