/*
 * cleaner_internal: what cleaner.c and cleaner_pick.c share. See cleaner.h.
 */
#ifndef LEAT_BROKER_CLEANER_INTERNAL_H
#define LEAT_BROKER_CLEANER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/cleaner.h"
#include "storage/clean.h"

#define CLEANER_RETRY_MS 60000 /* after an error that may pass */

/* One that cleans: a thread of its own, or whoever steps the broker. */
struct cleaning {
    struct broker *b;
    pthread_t thread;
    bool started;
    struct cleaner *work;
    struct topic *topic;  /* of the pass under way */
    atomic_size_t memory; /* of `work` */
};

struct log_cleaner {
    pthread_mutex_t lock; /* leaf */
    pthread_cond_t cond;  /* work, a stop, or a topic that is deleted */
    bool stop;
    int64_t wake_at; /* clock_mono_ms; the first who wakes by it looks for work, the others sleep on */
    int64_t paid_ns; /* clock_mono_ns: from then on the rate allows more; of all together */

    /* Which log is whose: outside of the partitions' locks, and held while all logs are looked at. */
    pthread_mutex_t picking;
    struct cleaning *list;
    size_t count;

    atomic_size_t at_work;
    atomic_uint_fast64_t passes, bytes_read, bytes_written, bytes_freed;
};

/* A log that is to be cleaned, and what was seen of it. */
struct clean_pick {
    struct partition *p; /* NULL: nothing is to be cleaned */
    struct clean_look look;
    double ratio;
    bool more; /* others want it, too */
};

/*
 * cleaner_pick.c: the dirtiest log that nobody cleans. It is the caller's, and held, until cleaner_give_back. Lowers *next to when
 * time alone makes another look worth while (clock_mono_ms).
 */
void cleaner_pick(struct broker *b, int64_t now, struct clean_pick *out, int64_t *next);
/* `after`: the log is left alone until then (clock_mono_ms). */
void cleaner_give_back(struct broker *b, struct partition *p, int64_t after);

bool cleaner_stopping(struct log_cleaner *c);

static inline int64_t cleaner_later(int64_t ms, int64_t by)
{
    return by > INT64_MAX - ms ? INT64_MAX : ms + by;
}

#endif
