/*
 * task: one thread of a connector, and what its parts share: the set of tasks of one connector, the control
 * that starts and stops a task, its status, and how failures are told. Life cycle: README.md.
 */
#ifndef LEAT_CONNECT_TASK_H
#define LEAT_CONNECT_TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/uuid.h"
#include "client/client.h"
#include "config/config.h"
#include "connect/connect.h"
#include "connect/meter.h"
#include "connect/retry.h"
#include "connect/signals.h"
#include "connect/status_rows.h"
#include "leat/plugin.h"

#define TASK_POLL_BYTES ((size_t)4 << 20)   /* what a source should emit at most before a commit */
#define TASK_TEXT_BYTES ((size_t)128 << 20) /* cap of the JSON of one value */
#define TASK_MAX_GAUGES 16

struct assignment;
struct source_run;
struct shared_config; /* a struct config with a count of its users (worker.h) */

/* All tasks of one connector. Made and freed by the worker; fixed while tasks run. */
struct task_set {
    const struct pipeline_config *pipeline;
    const struct connector_config *config;
    struct shared_config *shared; /* keeps both alive */
    struct client *client;
    struct assignment *assignment; /* of a sink: who reads what */
    char *group;                   /* of a sink: held while the set is there, whatever its tasks do */
    bool exact;                    /* as it is configured */
    const char *not_exact;         /* why it is not, although it could be; the plugin's text */
    struct leat_task **tasks;
    int count;
    void (*changed)(void *arg); /* a task's state changed; called without locks */
    void *changed_arg;
};

enum task_wish { WISH_WAIT, WISH_RUN, WISH_PAUSE, WISH_STOP };

/* How an attempt to run ended. */
enum task_outcome {
    OUTCOME_ASKED,     /* as asked for, or to begin anew at once */
    OUTCOME_COMPLETED, /* the source has ended */
    OUTCOME_RETRY,     /* failed, see failure */
    OUTCOME_FAILED,
};

/* Where a sink's task reads, for the lag. */
struct task_reads {
    char *topic;
    int32_t partition;
    int64_t next;
};

struct leat_task {
    struct task_set *set;
    int index;
    char *label; /* "<connector>-<index>" */
    pthread_t thread;
    struct signals *signals; /* NULL: takes none. Fixed */
    int wake_fd; /* eventfd, readable while stopping; -1: a task without thread (validate, check) */
    atomic_bool stopping;

    pthread_mutex_t lock; /* a leaf: nothing else is locked under it, but consumer_wake */
    pthread_cond_t asked;
    enum task_wish wish;       /* the rest of this part: under lock */
    bool restart;              /* asked to begin anew */
    bool parked;               /* failed or completed: runs again only when asked to restart */
    bool finished;             /* the thread has returned, or is about to */
    struct consumer *consumer; /* to be woken when asked to stop */
    enum task_state state;
    int64_t running_ms; /* since when it is RUNNING, of clock_mono_ms */
    struct meter meter;
    uint64_t records, bytes;
    int64_t last_activity_ms, error_ms;
    uint32_t restarts;
    char *error;
    bool error_stays; /* for the rest of the attempt, whatever goes well */
    struct gauge gauges[TASK_MAX_GAUGES];
    size_t gauge_count;
    struct status_rows rows;
    struct task_reads *reads;
    size_t read_count;
    uint64_t division; /* of a sink: the generation (assignment.h) that its reads are of; 0: none yet */
    bool nudged;       /* its sleep is over */

    /* Of the task's thread alone: */
    struct arena arena;            /* values of the current poll, put or call */
    struct buf text;               /* scratch */
    char topic_id[UUID_TEXT_SIZE]; /* as told last */
    struct err failure;            /* why the current call fails */
    struct retry retry;
    bool checked;    /* the connector's own validate and check were passed */
    bool waited;     /* host->wait was called in this poll */
    bool attempting; /* within an attempt to run */
    /* Of host->problem (`wrong`), and what is logged as a warning while options are checked; NULL: both are logged. */
    void (*tell)(void *arg, bool wrong, const char *text);
    void *tell_arg;
    char *work_dir;            /* NULL: not asked for in this attempt */
    char *keep_dir;            /* likewise */
    struct source_run *source; /* while a source is open */
};

/* ---- set up and control (worker's thread)
 * ------------------------------------------------------------------- */

/* A task without thread, in wish WAIT; `threaded` makes what it needs to be woken. */
int task_init(struct leat_task *t, struct task_set *set, int index, bool threaded, struct err *e);
void task_destroy(struct leat_task *t);
int task_start(struct leat_task *t, struct err *e); /* starts the thread; it waits for the wish RUN */
void task_ask(struct leat_task *t, enum task_wish wish);
void task_ask_restart(struct leat_task *t);
/* A sink's task looks around at once, and not only when its wait is over. */
void task_nudge(struct leat_task *t);
bool task_finished(struct leat_task *t);
bool task_idle(struct leat_task *t); /* completed, failed or stopped */

/* ---- for the runs (task's thread)
 * --------------------------------------------------------------------------- */

enum task_outcome source_attempt(struct leat_task *t);
enum task_outcome sink_attempt(struct leat_task *t);

/* Waits until asked to stop (true) or `ms` passed or it was nudged (false). */
bool task_sleep(struct leat_task *t, int64_t ms);
void task_set_state(struct leat_task *t, enum task_state state);
/* Shows `error` with the state; NULL: none to show. Out of memory loses the text, not the state. */
void task_set_error(struct leat_task *t, const char *error);
/* The same for what lasts as long as the attempt, though the task goes on without it. */
void task_set_trouble(struct leat_task *t, const char *error);
/* leat_host.status; and without any, as a new attempt begins. */
int task_set_row(struct leat_task *t, const char *key, const char *json);
void task_clear_rows(struct leat_task *t);
void task_set_consumer(struct leat_task *t, struct consumer *c);
/* leat_host.work_dir, and its end with the attempt. */
const char *task_work_dir(struct leat_task *t);
void task_clear_work_dir(struct leat_task *t);
/* Removes all of them; before any task runs. */
int work_dirs_clear(struct client *c, struct err *e);
/* leat_host.keep_dir. */
const char *task_keep_dir(struct leat_task *t);
/* Open succeeded: what an earlier attempt kept goes, unless this one asked for it. */
void task_drop_kept(struct leat_task *t);
/* Removes what tasks kept that `there` does not know. */
int keep_dirs_forget(struct client *c, bool (*there)(void *arg, const char *connector, int task), void *arg,
                     struct err *e);
/* Something was committed: counts it; the next failure is a first one, and the last one's text goes. */
void task_progress(struct leat_task *t, uint64_t records, uint64_t bytes);
/*
 * With the lock: the text of a failure that is not over; NULL: there is none. A task that runs for as long as the longest backoff is
 * well, even if nothing comes; what its attempt has to do without is told all the same.
 */
const char *task_error(const struct leat_task *t);

/* Runs the connector's validate and, with `connect`, its check, unless they were passed before. */
int task_check(struct leat_task *t, bool connect);
/* Before a call into the plugin: no failure, no values. */
void task_call(struct leat_task *t);
/*
 * After it: what the plugin returned, made sure of. LEAT_OK, LEAT_END if `may_end`, LEAT_RETRY or LEAT_FAIL,
 * the latter with a text in t->failure in any case.
 */
int task_returned(struct leat_task *t, int result, const char *function, bool may_end);
int task_fail(struct leat_task *t, int result, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same from an error of core: retriable ones are LEAT_RETRY. */
int task_fail_err(struct leat_task *t, const struct err *e);
enum task_outcome task_outcome_of(int result); /* of LEAT_OK, END, RETRY, FAIL */

/* ---- the host table
 * ----------------------------------------------------------------------------------------- */

extern const struct leat_host task_host;

#endif
