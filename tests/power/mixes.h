/*
 * mixes: what a schedule does how often. One mix has everything; the others look for what that one meets too rarely: they do
 * little else than what leads there.
 */
#ifndef LEAT_TESTS_POWER_MIXES_H
#define LEAT_TESTS_POWER_MIXES_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/power/rng.h"

enum mix_kind {
    MIX_ALL,
    MIX_TORN, /* records of the journal with batches that belong together, and the power fails soon */
    MIX_TAILS, /* the end of a page-cache log is lost and written again, with a new segment every few batches */
    MIX_RECUT,     /* the same, and starts end soon, while they take such an end back */
    MIX_REMADE,    /* page-cache topics go, files and all, and come again */
    MIX_COMPACTED, /* compacted topics and aborted transactions */
    MIX_RECOVERED, /* the same, and the power fails soon, at starts as well */
    MIX_DIRECT,    /* large appends, which the journal only refers to, between small ones */
    MIX_VARIED,    /* each schedule has a mix of its own */
    MIX_KINDS
};

enum op {
    OP_PRODUCE,
    OP_PRODUCE_ASYNC,
    OP_RETRY,
    OP_REFUSED,
    OP_TXN,
    OP_COMMIT_OFFSET,
    OP_CREATE_TOPIC,
    OP_DELETE_TOPIC,
    OP_ALTER_TOPIC,
    OP_ADD_PARTITIONS,
    OP_DELETE_RECORDS,
    OP_PASS_TIME,
    OP_CHECK,
    OP_RESTART,
    OP_REPLACE_TOPIC,
    OPS
};

struct mix {
    const char *name;
    uint8_t weight[OPS];
    unsigned lives, ops; /* of a store, at most; and operations in a life */
    unsigned cut; /* the power fails within so many changes of the disk after the start; 0: by chance only */
    unsigned start_cut; /* the same, of those of every second start itself */
    int topics;
    bool page_cache, journaled, compacted; /* every topic is; none: some are */
    bool short_segments;                   /* of a few batches, every one */
    bool killed;                           /* every second life ends by a kill, not every fourth */
    bool direct;                           /* appends are taken for large ones, in some lives or all are */
};

extern const struct mix mixes[MIX_KINDS];

/* The mix of one schedule: that of `kind`, or one that the numbers make up. */
struct mix mix_of(enum mix_kind kind, struct rng *rng);

/* False: there is none of this name. */
bool mix_by_name(const char *name, enum mix_kind *kind);

#endif
