/*
 * plants: bugs that are planted to see whether the schedules notice them.
 */
#ifndef LEAT_TESTS_POWER_PLANTS_H
#define LEAT_TESTS_POWER_PLANTS_H

#include "tests/power/run.h"

/* Tries each, or those whose names contain `only`, with up to so many schedules and prints the table. False: one was not noticed. */
bool plants_run(uint64_t seed, uint64_t seeds, unsigned jobs, const struct run_options *o, const char *only);

/* A schedule found something wrong. Does not return where a plant is being tried. */
bool plants_caught(uint64_t seed, const char *text);

void bugs_plant(enum plant_bug bug); /* bugs.c: from now on, in this process */

#endif
