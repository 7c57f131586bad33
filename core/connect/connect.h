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

/*
 * Runs a connector's own validate (and, with `connect`, check) outside a worker. Problems and warnings name file and line;
 * `warnings` NULL: they are logged.
 */
int plugins_validate(struct plugins *p, const struct config *c, bool connect, struct problems *problems,
                     struct problems *warnings, struct err *e);

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
/*
 * The configuration in force (worker's own; valid until the next apply; one thread applies): its hub section is that of the first. NULL at
 * first.
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
/* What a plugin says of something by its name (leat_host.status): "snapshot public.orders" and a JSON object of scalars. */
struct status_row {
    char *key, *json;
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
    int64_t lag_records; /* sinks: behind the end of their partitions; -1: not known yet, or a source */
    bool current;        /* sinks: these are the partitions of their topics, as of the last look at them */
    int64_t last_activity_ms; /* wall clock; 0: never */
    uint32_t restarts;
    char *error; /* last one; NULL: none */
    int64_t error_ms;
    struct gauge gauges[16];
    size_t gauge_count;
    struct status_row *rows; /* by key */
    size_t row_count;
};
int worker_status(struct worker *w, struct task_status **list, size_t *n, struct err *e);
void task_status_free(struct task_status *list, size_t n);

/* ERR_BUSY while a task at work writes or reads the topic; paused, failed and ended ones do not count. */
int worker_topic_idle(struct worker *w, const char *topic, struct err *e);
/* ERR_BUSY while a task of the sink `connector` is at work, and so owns its group's offsets. */
int worker_sink_idle(struct worker *w, const char *connector, struct err *e);

/*
 * Gives a signal to the pipeline's source (its first task) and waits until it is taken, for at most `ms`. `id` NULL: one is made
 * up; `used` gets it. ERR_NOT_FOUND: no such pipeline; ERR_UNSUPPORTED: it has no source that takes signals; ERR_BUSY: it does not
 * run; ERR_TIMEOUT, ERR_CLOSED: it was not taken and will not be.
 */
#define WORKER_SIGNAL_ID_MAX 256
int worker_signal(struct worker *w, const char *pipeline, const char *id, const char *type, const char *data,
                  int64_t ms, char used[WORKER_SIGNAL_ID_MAX], struct err *e);

/* Nobody waits for a signal to be taken from now on, whatever the sources do: ERR_CLOSED. Before a stop that waits for callers. */
void worker_close_signals(struct worker *w);

/* connector: name; task -1: all of it. ERR_NOT_FOUND. */
int worker_restart(struct worker *w, const char *connector, int task, struct err *e);
/*
 * Durable when it returns: the connector stays paused over reloads and restarts of the hub, until it is resumed (then its
 * configuration's `paused` counts again from the next start on) or a configuration does not have it any more.
 */
int worker_pause(struct worker *w, const char *connector, bool pause, struct err *e);
/* Sinks look now which topics and partitions there are. Waits for the client, and for an apply that is on its way. */
void worker_look(struct worker *w);
int worker_wait_idle(struct worker *w, int64_t ms,
                     struct err *e); /* every task completed, failed or stopped */

#endif
