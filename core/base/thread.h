/*
 * thread: pthreads with names, and condition variables on the monotonic clock. Lock order is documented in
 * docs/architecture.md; where a function must be called with a lock held, its comment says so.
 */
#ifndef LEAT_BASE_THREAD_H
#define LEAT_BASE_THREAD_H

#include <pthread.h>
#include <stdbool.h>
#include <time.h>

#include "base/err.h"

/* Starts `run(arg)` in a joinable thread named `name` (15 bytes are shown) with all signals blocked. */
int thread_start(pthread_t *t, const char *name, void *(*run)(void *), void *arg, struct err *e);

/* The calling thread gives way to all others, for the processor and, where the scheduler knows it, for the disk. */
void thread_be_nice(void);

void mutex_init(pthread_mutex_t *m);
void cond_init(pthread_cond_t *c); /* waits by CLOCK_MONOTONIC */

/* False when the deadline (clock_deadline_ms) passed. */
bool cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *deadline);

#endif
