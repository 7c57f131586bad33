/*
 * fibers: the store's threads as coroutines of one thread, so that a seed decides how they take turns. The linker puts
 * these in the place of pthread_create and of what may block (tests/power/wrap). They change places where a thread would
 * wait, and at any call that the disk gets.
 *
 * A wait with a deadline ends when the simulated clock has passed it. When all wait, the clock jumps to the first deadline.
 */
#ifndef LEAT_TESTS_POWER_FIBERS_H
#define LEAT_TESTS_POWER_FIBERS_H

#include <stdint.h>

void fibers_start(uint64_t seed);

/* Here another one may go on. */
void fiber_point(void);

/* The schedule goes on by a little; one that takes very many of these does not end, and that ends the test. */
void fiber_step(void);

#endif
