/*
 * connect: the plugin host and the worker that runs pipelines. Public face for core/http and core/cli.
 */
#ifndef LEAT_CONNECT_CONNECT_H
#define LEAT_CONNECT_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "client/client.h"
#include "config/config.h"

/* ---- plugin host
 * --------------------------------------------------------------------------------------------- */

/* Loads every *.so of the directories. One that does not fit is refused with the reason, the others load. */
struct plugins;
int plugins_open(const char *const *dirs, size_t n, struct plugins **out, struct err *e);
void plugins_close(struct plugins *p); /* after every worker is gone */
struct connector_catalog plugins_catalog(struct plugins *p);

struct plugin_info {
    const char *file;
    const char *name, *version, *built_for;
    const char *refused; /* NULL: loaded */
    const struct leat_connector *const *connectors;
    size_t connector_count;
};
size_t plugins_count(const struct plugins *p);
struct plugin_info plugins_at(const struct plugins *p, size_t i);

/* Runs a connector's own validate (and, with `connect`, check) outside a worker. Problems name file and line.
 */
int plugins_validate(struct plugins *p, const struct config *c, bool connect, struct problems *problems,
                     struct err *e);

/* ---- worker
 * -------------------------------------------------------------------------------------------------- */

struct worker;
int worker_new(struct client *client, struct plugins *plugins, struct worker **out, struct err *e);

/*
 * Makes the running pipelines be those of `c`: stops what is gone, starts what is new, replaces what changed
 * and leaves the rest running. Takes over `c` on success; on error (a topic that cannot be made, ...) what
 * ran goes on and `c` stays the caller's. `*plan`, if not NULL, gets config_plan's text.
 */
int worker_apply(struct worker *w, struct config *c, struct buf *plan, struct err *e);
/* The configuration in force (worker's own; valid until the next apply; one thread applies). NULL at first.
 */
const struct config *worker_config(struct worker *w);

/* Asks all tasks to stop, waits up to `ms` for them to commit. ERR_TIMEOUT names those that did not. */
int worker_stop(struct worker *w, int64_t ms, struct err *e);
void worker_free(struct worker *w);

/* Connect's states, in Connect's words. */
enum task_state {
    TASK_UNASSIGNED,
    TASK_RUNNING,
    TASK_PAUSED,
    TASK_RESTARTING,
    TASK_FAILED,
    TASK_STOPPED,
    TASK_COMPLETED
};
const char *task_state_name(enum task_state s);

struct gauge {
    const char *name;
    double value;
};
struct task_status {
    char *pipeline, *connector; /* connector: connector_config.name */
    enum leat_kind kind;
    char *type;
    int index;
    enum task_state state;
    bool exact; /* a crash neither loses nor repeats a record */
    const char
        *not_exact; /* why not, where the connector's options are the reason; stays until plugins_close */
    bool held;      /* was paused by worker_pause, and stays so over restarts */
    uint64_t records, bytes;
    double records_per_s, bytes_per_s; /* over the last seconds */
    int64_t lag_records;               /* sinks: behind the end of their partitions; -1 for sources */
    int64_t last_activity_ms;          /* wall clock; 0: never */
    uint32_t restarts;
    char *error; /* last one; NULL: none */
    int64_t error_ms;
    struct gauge gauges[16];
    size_t gauge_count;
};
int worker_status(struct worker *w, struct task_status **list, size_t *n, struct err *e);
void task_status_free(struct task_status *list, size_t n);

/* ERR_BUSY while a task at work writes or reads the topic; paused, failed and ended ones do not count. */
int worker_topic_idle(struct worker *w, const char *topic, struct err *e);

/* connector: name; task -1: all of it. ERR_NOT_FOUND. */
int worker_restart(struct worker *w, const char *connector, int task, struct err *e);
/*
 * Durable when it returns: the connector stays paused over reloads and restarts of the hub, until it is resumed (then its
 * configuration's `paused` counts again from the next start on) or a configuration does not have it any more.
 */
int worker_pause(struct worker *w, const char *connector, bool pause, struct err *e);
int worker_wait_idle(struct worker *w, int64_t ms,
                     struct err *e); /* every task completed, failed or stopped */

#endif
