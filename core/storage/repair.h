/*
 * repair: mends one segment of a log that nobody has open. What is taken out is copied to a directory of the caller's
 * first. Every step is durable before the next, so that a crash leaves the old segment or the new one. One thread.
 */
#ifndef LEAT_STORAGE_REPAIR_H
#define LEAT_STORAGE_REPAIR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct repair_result {
    uint64_t kept, dropped; /* batches, and bytes that were none */
    uint64_t dropped_bytes;
};

/* Removes .index, .timeindex and .txnindex of a segment: they are made anew when the log is opened. */
int repair_drop_indexes(const char *dir, int64_t base, struct err *e);

/*
 * Writes the segment anew with its whole batches alone, in ascending order of offsets below `next_base`; a batch whose
 * offset does not fit those around it gets the one that does, or goes. The segment as it was is copied into `aside`.
 * `end`: as for repair_set_aside; `ended`: the log had nothing at or behind it.
 */
int repair_keep_good(const char *dir, int64_t base, int64_t next_base, int64_t end, bool ended,
                     const char *aside, struct repair_result *r, struct err *e);

/*
 * Takes the segment out of the log, into `aside`. `end`: no offset below it may be given again; where no later segment
 * stands, an empty one is left at it.
 */
int repair_set_aside(const char *dir, int64_t base, int64_t end, const char *aside, struct err *e);

/* Cuts the last segment at `size` bytes, `end` as above; what is cut is kept in `aside` with the rest of the segment. */
int repair_cut(const char *dir, int64_t base, int64_t size, int64_t end, const char *aside, struct err *e);

#endif
