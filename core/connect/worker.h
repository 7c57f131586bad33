/*
 * worker: internals of the worker that its parts share. Public face: connect.h; locks: README.md.
 */
#ifndef LEAT_CONNECT_WORKER_H
#define LEAT_CONNECT_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "connect/connect.h"
#include "connect/targets.h"
#include "connect/task.h"

/* A configuration lives as long as the worker or a task uses it: unchanged tasks keep the one they began with. */
struct shared_config {
    struct config *config;
    int users; /* under the worker's lock */
};

struct worker {
    struct client *client;
    struct plugins *plugins;
    pthread_mutex_t apply_lock; /* one apply, stop or look at the topics at a time; outermost */
    bool stopped;               /* under apply_lock */
    pthread_mutex_t
        pause_lock;       /* one pause or resume at a time, so that their order is that of what is stored */
    pthread_mutex_t lock; /* the list of sets, the configuration, and who was paused from outside */
    struct targets *targets; /* NULL before the first apply */
    struct task_set **sets;
    size_t set_count;
    bool deaf;                    /* worker_close_signals was called */
    struct shared_config *shared; /* in force; NULL at first */
    pthread_mutex_t change_lock;  /* a leaf */
    pthread_cond_t change;        /* a task changed its state */
    uint64_t changes;
};

/* A set with its threads started, waiting. `shared` gets one user more on success. */
int set_new(struct worker *w, struct shared_config *shared, const struct pipeline_config *p,
            const struct connector_config *c, struct task_set **out, struct err *e);
int set_tasks(const struct connector_config *c); /* how many it has */
/* Asks all tasks of the set. */
void set_ask(struct task_set *set, enum task_wish wish);
/* After WISH_STOP: waits for the threads, without limit, and frees. The user of `shared` is the caller's to give back. */
void set_free(struct task_set *set);

/* Waits until `done(arg)`, looking at every change of a task, or `ms` passed (-1: no limit): false. */
bool worker_await(struct worker *w, int64_t ms, bool (*done)(void *arg), void *arg);

#endif
