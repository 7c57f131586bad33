/*
 * run: schedules and what is done with them.
 */
#ifndef LEAT_TESTS_POWER_RUN_H
#define LEAT_TESTS_POWER_RUN_H

#include <stdbool.h>
#include <stdint.h>

struct run_options {
    bool trace;
    int leave_out; /* sync that is left out, by its number; -1: none */
};

/* Returns if all is well. */
void run_seed(uint64_t seed, const struct run_options *o);

/* Tells of a schedule that went wrong and ends the process. */
_Noreturn void run_failed(uint64_t seed, const char *text);

#endif
