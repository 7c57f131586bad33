/*
 * match: comparing one partition; between check.c and what it asks.
 */
#ifndef LEAT_TESTS_POWER_MATCH_H
#define LEAT_TESTS_POWER_MATCH_H

#include "tests/power/world.h"

struct units {
    bool *found, *missing; /* by unit */
};

/* Ends the test where it is not as the model says; else the model is as the log is, and `u` has what it says of units. */
void match_partition(struct world *w, int topic, int32_t partition, const struct found_list *l,
                     struct units *u);

/* ---- floats.c */

/*
 * The transaction that a marker may end that stands where the model has none: at place `k` of the partition's list. What it says
 * counts for the transaction from now on. -1: none of which that would be right.
 */
int32_t floats_whose(struct world *w, int topic, int32_t partition, const struct found *f, size_t k);

#endif
