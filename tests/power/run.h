/*
 * run: schedules and what is done with them.
 */
#ifndef LEAT_TESTS_POWER_RUN_H
#define LEAT_TESTS_POWER_RUN_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/power/mixes.h"

/* Bugs other than a sync that is left out. */
enum plant_bug {
    PLANT_NONE,
    PLANT_EARLY_WATERMARK,
    PLANT_NO_FLUSH,
    PLANT_LATE_MARK,
    PLANT_NO_CRC,
    PLANT_NO_CUT,
    PLANT_ALWAYS_CLEAN,
    PLANT_NO_RESTORE,
    PLANT_NO_DIRECT_SYNC,
    PLANT_TORN_STAYS,
    PLANT_LAST_VALUE_GOES,
    PLANT_ABORTED_COUNTS,
    PLANT_TOMBSTONES_AT_ONCE,
    PLANT_SUPERSEDED_STAYS,
    PLANT_ABORTED_STAYS,
    PLANT_TOMBSTONES_STAY,
    PLANT_MARKERS_STAY,
    PLANT_CLEANED_ONCE,
    PLANT_BUGS
};

struct run_options {
    bool trace;
    bool two; /* data directories */
    enum mix_kind mix;
    int leave_out; /* sync that is left out, by its number; -1: none */
    enum plant_bug bug;
};

/* Returns if all is well. */
void run_seed(uint64_t seed, const struct run_options *o);

/* The same for a store that is damaged while it is closed. */
void run_damage(uint64_t seed, const struct run_options *o);

/* Tells of a schedule that went wrong and ends the process. */
_Noreturn void run_failed(uint64_t seed, const char *text);

#endif
