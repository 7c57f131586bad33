/*
 * log_parent: the directory that logs lie in, whose syncs make their own names durable: one for all that were made since the last.
 * Shared by the logs of a data directory; outlives them. Any thread.
 */
#ifndef LEAT_STORAGE_LOG_PARENT_H
#define LEAT_STORAGE_LOG_PARENT_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct log_parent {
    const char *path; /* the owner's */
    atomic_uint_fast64_t made;
    pthread_mutex_t
        lock; /* innermost; held over the sync, so that whoever needs the same one waits for it: the rest */
    uint64_t synced; /* what was made up to here is durable */
    bool failed;     /* for good, for `why`: nobody can say which names are on disk */
    struct err why;
};

void log_parent_init(struct log_parent *p, const char *path);
void log_parent_free(struct log_parent *p);

/* A name was made in it; what log_parent_sync wants to know. Does not wait for a sync. */
uint64_t log_parent_made(struct log_parent *p);
/* When it returns well, the name is durable. Waits for at most two syncs; after one that failed all later ones do. */
int log_parent_sync(struct log_parent *p, uint64_t made, struct err *e);

#endif
