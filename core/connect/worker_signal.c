/*
 * worker_signal: a signal from outside to a pipeline's source. Any thread; waits without locks.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "connect/signals.h"
#include "connect/worker.h"

/* The task that a signal is for, as seen under the worker's lock. */
struct addressee {
    struct signals *signals; /* a reference */
    enum task_state state;
    char error[ERR_TEXT_MAX];
};

static bool runs(enum task_state s)
{
    return s == TASK_RUNNING || s == TASK_RESTARTING || s == TASK_UNASSIGNED;
}

static void look_at(struct leat_task *t, struct addressee *a)
{
    pthread_mutex_lock(&t->lock);
    a->state = t->state;
    const char *error = task_error(t);
    snprintf(a->error, sizeof(a->error), "%s", error == NULL ? "" : error);
    pthread_mutex_unlock(&t->lock);
}

/* The source of the pipeline in force; *there tells whether there is such a pipeline. */
static struct task_set *find(struct worker *w, const char *pipeline, bool *there)
{
    struct task_set *source = NULL;
    *there = false;
    for (size_t i = 0; i < w->set_count; i++) {
        struct task_set *set = w->sets[i];
        if (strcmp(set->pipeline->name, pipeline) != 0)
            continue;
        *there = true;
        if (set->config->connector->kind == LEAT_SOURCE)
            source = set;
    }
    return source;
}

static int address(struct worker *w, const char *pipeline, struct addressee *a, struct err *e)
{
    bool there;
    int rc = ERR_OK;
    pthread_mutex_lock(&w->lock);
    struct task_set *set = find(w, pipeline, &there);
    if (w->deaf)
        rc = err_set(e, ERR_CLOSED, "the hub is stopping");
    else if (!there)
        rc = err_set(e, ERR_NOT_FOUND, "there is no pipeline %s", pipeline);
    else if (set == NULL)
        rc = err_set(e, ERR_UNSUPPORTED, "pipeline %s has no source", pipeline);
    else if (set->tasks[0]->signals == NULL)
        rc = err_set(e, ERR_UNSUPPORTED, "the source %s of pipeline %s takes no signals",
                     set->config->connector->type, pipeline);
    else
        look_at(set->tasks[0], a);
    if (rc == ERR_OK && !runs(a->state))
        rc = err_set(e, ERR_BUSY, "the source of pipeline %s does not run, it is %s%s%s", pipeline,
                     task_state_name(a->state), *a->error ? ": " : "", a->error);
    if (rc == ERR_OK)
        a->signals = signals_ref(set->tasks[0]->signals);
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static int check(const char *id, const char *type, const char *data, struct err *e)
{
    if (*type == 0 || strlen(type) > SIGNAL_NAME_MAX)
        return err_set(e, ERR_INVALID, "the type of a signal has 1 to %d bytes", SIGNAL_NAME_MAX);
    if (*id == 0 || strlen(id) > SIGNAL_NAME_MAX)
        return err_set(e, ERR_INVALID, "the id of a signal has 1 to %d bytes", SIGNAL_NAME_MAX);
    if (data != NULL && strlen(data) > SIGNAL_DATA_MAX)
        return err_set(e, ERR_TOO_LARGE, "the data of a signal has at most %zu bytes", SIGNAL_DATA_MAX);
    return ERR_OK;
}

/* Nobody took it: what has become of the task is the better reason. */
static int not_taken(struct worker *w, const char *pipeline, struct err *e)
{
    struct addressee now = {0};
    struct err why;
    if (e->code != ERR_CLOSED && address(w, pipeline, &now, &why) != ERR_OK)
        *e = why;
    else if (e->code == ERR_TIMEOUT && *now.error)
        err_wrap(e, "the source of pipeline %s is %s (%s)", pipeline, task_state_name(now.state), now.error);
    else
        err_wrap(e, "pipeline %s", pipeline);
    signals_unref(now.signals);
    return e->code;
}

int worker_signal(struct worker *w, const char *pipeline, const char *id, const char *type, const char *data,
                  int64_t ms, char used[WORKER_SIGNAL_ID_MAX], struct err *e)
{
    struct addressee a = {0};
    char made[UUID_TEXT_SIZE];
    struct uuid random = uuid_random();
    if (id == NULL)
        id = uuid_text(&random, made);
    if (check(id, type, data, e) != ERR_OK || address(w, pipeline, &a, e) != ERR_OK)
        return e->code;
    snprintf(used, WORKER_SIGNAL_ID_MAX, "%s", id);
    int rc = signals_post(a.signals, id, type, data, ms, e);
    signals_unref(a.signals);
    return rc == ERR_OK ? rc : not_taken(w, pipeline, e);
}

void worker_close_signals(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->deaf = true;
    for (size_t i = 0; i < w->set_count; i++) {
        for (int k = 0; k < w->sets[i]->count; k++) {
            if (w->sets[i]->tasks[k]->signals != NULL)
                signals_close(w->sets[i]->tasks[k]->signals);
        }
    }
    pthread_mutex_unlock(&w->lock);
}
