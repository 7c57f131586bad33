/*
 * crew: threads that do the jobs of a list side by side, for work that waits more than it computes and comes often. Whoever asks does
 * its share and waits for the rest. The threads start with the first list that has use of them, and sleep in between.
 */
#ifndef LEAT_BASE_CREW_H
#define LEAT_BASE_CREW_H

#include <stddef.h>

#include "base/err.h"

struct crew;

/* Up to `threads` of them beside the one that asks, named `name` (15 bytes; not copied). Starts none yet. ERR_NO_MEMORY. */
int crew_new(struct crew **out, const char *name, size_t threads, struct err *e);

/*
 * Calls `job(arg, i)` for each i below `n`, in no order, and returns when all have returned. Where threads cannot be started there are fewer, or
 * the caller does all. One caller at a time; not from within a job.
 */
void crew_do(struct crew *c, void (*job)(void *arg, size_t i), void *arg, size_t n);

/* Ends the threads. NULL is fine. Nobody may be in crew_do. */
void crew_free(struct crew *c);

#endif
