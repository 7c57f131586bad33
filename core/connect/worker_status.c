/*
 * worker_status: what tasks show, and asking single connectors: restart, pause, waiting. Any thread.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "connect/assignment.h"
#include "connect/worker.h"

const char *task_state_name(enum task_state s)
{
    static const char *const names[] = {"UNASSIGNED", "RUNNING", "PAUSED",   "RESTARTING",
                                        "FAILED",     "STOPPED", "COMPLETED"};
    return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "?";
}

void task_status_free(struct task_status *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(list[i].pipeline);
        mem_free(list[i].connector);
        mem_free(list[i].type);
        mem_free(list[i].error);
        status_copies_free(list[i].rows, list[i].row_count);
    }
    mem_free(list);
}

/* How many records are behind this task's reading, of what is readable; -1: not known. What is out of service is told as its error. */
static int64_t lag(struct worker *w, const struct task_reads *reads, size_t n)
{
    int64_t sum = 0;
    struct err e;
    for (size_t i = 0; i < n; i++) {
        int64_t end, found;
        int rc = client_list_offset(w->client, reads[i].topic, reads[i].partition, -1, READ_COMMITTED, &end,
                                    &found, &e);
        if (rc == ERR_DISK_FAILED || rc == ERR_LOG_FAILED)
            continue;
        if (rc != ERR_OK)
            return -1;
        sum += end > reads[i].next ? end - reads[i].next : 0;
    }
    return sum;
}

static void free_reads(struct task_reads *reads, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(reads[i].topic);
    mem_free(reads);
}

/* Under the task's lock. */
static int copy_reads(const struct leat_task *t, struct task_reads **out, size_t *n, struct err *e)
{
    *n = 0;
    *out = mem_calloc(t->read_count + 1, sizeof(**out));
    if (*out == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < t->read_count; i++) {
        (*out)[i] = t->reads[i];
        (*out)[i].topic = mem_strdup(t->reads[i].topic);
        if ((*out)[i].topic == NULL) {
            free_reads(*out, *n);
            *out = NULL;
            *n = 0;
            return err_nomem(e);
        }
        (*n)++;
    }
    return ERR_OK;
}

/* What a task read, until the lag is asked for. */
struct readings {
    struct task_reads *list;
    size_t count;
};

static int fill(struct worker *w, struct leat_task *t, struct task_status *s, struct readings *r,
                struct err *e)
{
    const struct connector_config *c = t->set->config;
    s->kind = c->connector->kind;
    s->index = t->index;
    s->exact = t->set->exact;
    s->not_exact = t->set->not_exact;
    s->lag_records = -1;
    s->pipeline = mem_strdup(t->set->pipeline->name);
    s->connector = mem_strdup(c->name);
    s->type = mem_strdup(c->connector->type);
    if (s->pipeline == NULL || s->connector == NULL || s->type == NULL)
        return err_nomem(e);
    pthread_mutex_lock(&t->lock);
    s->state = t->state;
    s->records = t->records;
    s->bytes = t->bytes;
    s->last_activity_ms = t->last_activity_ms;
    s->restarts = t->restarts;
    const char *error = task_error(t);
    s->error_ms = error == NULL ? 0 : t->error_ms;
    s->error = error == NULL ? NULL : mem_strdup(error);
    bool lost = error != NULL && s->error == NULL;
    meter_rates(&t->meter, clock_mono_ms(), &s->records_per_s, &s->bytes_per_s);
    _Static_assert(sizeof(s->gauges) == sizeof(t->gauges), "as many gauges in the status as in the task");
    memcpy(s->gauges, t->gauges, sizeof(s->gauges));
    s->gauge_count = t->gauge_count;
    int rc = status_rows_copy(&t->rows, &s->rows, &s->row_count, e);
    s->held = targets_paused(w->targets, c->name);
    s->current = t->set->assignment != NULL && !assignment_old(t->set->assignment, t->division);
    rc = rc == ERR_OK ? copy_reads(t, &r->list, &r->count, e) : rc;
    pthread_mutex_unlock(&t->lock);
    return rc == ERR_OK && lost ? err_nomem(e) : rc;
}

/* Asking a cluster for its ends may take long: nothing is locked meanwhile. */
static void fill_lags(struct worker *w, struct task_status *list, const struct readings *reads, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        /* One that has not begun knows of no partitions yet: that is no lag of 0. */
        if (list[i].kind == LEAT_SINK && (reads[i].count > 0 || list[i].state == TASK_RUNNING))
            list[i].lag_records = lag(w, reads[i].list, reads[i].count);
    }
}

static void free_readings(struct readings *r, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free_reads(r[i].list, r[i].count);
    mem_free(r);
}

int worker_status(struct worker *w, struct task_status **list, size_t *n, struct err *e)
{
    size_t total = 0, done = 0;
    *n = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->set_count; i++)
        total += (size_t)w->sets[i]->count;
    struct task_status *out = mem_calloc(total + 1, sizeof(*out));
    struct readings *reads = mem_calloc(total + 1, sizeof(*reads));
    int rc = out == NULL || reads == NULL ? err_nomem(e) : ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < w->set_count; i++) {
        for (int k = 0; rc == ERR_OK && k < w->sets[i]->count; k++, done++)
            rc = fill(w, w->sets[i]->tasks[k], &out[done], &reads[done], e);
    }
    pthread_mutex_unlock(&w->lock);
    if (rc == ERR_OK)
        fill_lags(w, out, reads, total);
    if (reads != NULL)
        free_readings(reads, done);
    if (rc != ERR_OK && out != NULL)
        task_status_free(out, done);
    *list = rc == ERR_OK ? out : NULL;
    *n = rc == ERR_OK ? total : 0;
    return rc;
}

static bool set_uses(const struct task_set *set, const char *topic)
{
    const struct pipeline_config *p = set->pipeline;
    size_t n = set->config->connector->kind == LEAT_SOURCE && p->topic_count > 1 ? 1 : p->topic_count;
    for (size_t i = 0; i < n; i++)
        if (strcmp(p->topics[i], topic) == 0)
            return true;
    return set->config->connector->kind == LEAT_SINK && p->regex != NULL && regex_matches(p->regex, topic);
}

static bool is_at_work(struct leat_task *t)
{
    pthread_mutex_lock(&t->lock);
    bool at_work = t->state == TASK_UNASSIGNED || t->state == TASK_RUNNING || t->state == TASK_RESTARTING;
    pthread_mutex_unlock(&t->lock);
    return at_work;
}

int worker_topic_idle(struct worker *w, const char *topic, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->set_count && rc == ERR_OK; i++) {
        struct task_set *set = w->sets[i];
        for (int k = 0; k < set->count && rc == ERR_OK && set_uses(set, topic); k++)
            if (is_at_work(set->tasks[k]))
                rc = err_set(e, ERR_BUSY, "connector %s is running and uses topic %s: pause it first",
                             set->config->name, topic);
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

int worker_sink_idle(struct worker *w, const char *connector, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->set_count && rc == ERR_OK; i++) {
        const struct task_set *set = w->sets[i];
        bool is_it = set->config->connector->kind == LEAT_SINK && strcmp(set->config->name, connector) == 0;
        for (int k = 0; k < set->count && rc == ERR_OK && is_it; k++)
            if (is_at_work(set->tasks[k]))
                rc = err_set(e, ERR_BUSY, "sink %s is running and owns the group's offsets: pause it first",
                             connector);
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

/* Calls `ask` for the connector's tasks, or one of them. */
static int for_tasks(struct worker *w, const char *connector, int task,
                     void (*ask)(struct leat_task *t, void *arg), void *arg, struct err *e)
{
    int rc = err_set(e, ERR_NOT_FOUND, "there is no connector %s", connector);
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->set_count; i++) {
        struct task_set *set = w->sets[i];
        if (strcmp(set->config->name, connector) != 0)
            continue;
        rc = task < set->count ? ERR_OK
                               : err_set(e, ERR_NOT_FOUND, "connector %s has no task %d, only %d", connector,
                                         task, set->count);
        for (int k = 0; rc == ERR_OK && k < set->count; k++) {
            if (task < 0 || task == k)
                ask(set->tasks[k], arg);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static void ask_restart(struct leat_task *t, void *arg)
{
    (void)arg;
    task_ask_restart(t);
}

int worker_restart(struct worker *w, const char *connector, int task, struct err *e)
{
    return for_tasks(w, connector, task, ask_restart, NULL, e);
}

struct asked {
    const char *connector;
    enum task_wish wish;
    struct worker *worker;
};

/* Under the worker's lock, like the choice of a new set's first wish. */
static void ask_wish(struct leat_task *t, void *arg)
{
    const struct asked *a = arg;
    targets_set(a->worker->targets, a->connector, a->wish == WISH_PAUSE);
    task_ask(t, a->wish);
}

static void ask_nothing(struct leat_task *t, void *arg)
{
    (void)t;
    (void)arg;
}

int worker_pause(struct worker *w, const char *connector, bool pause, struct err *e)
{
    struct asked asked = {connector, pause ? WISH_PAUSE : WISH_RUN, w};
    pthread_mutex_lock(&w->pause_lock);
    int rc = for_tasks(w, connector, -1, ask_nothing, NULL, e); /* is there such a connector? */
    if (rc == ERR_OK)
        rc = targets_store(w->client, connector, pause, e);
    if (rc == ERR_OK)
        rc = for_tasks(w, connector, -1, ask_wish, &asked, e);
    pthread_mutex_unlock(&w->pause_lock);
    return rc;
}

void worker_look(struct worker *w)
{
    pthread_mutex_lock(&w->apply_lock); /* the sets stay, and nobody else waits while a cluster is asked */
    for (size_t i = 0; i < w->set_count; i++) {
        struct task_set *set = w->sets[i];
        if (set->assignment == NULL)
            continue;
        assignment_refresh(set->assignment);
        for (int k = 0; k < set->count; k++)
            task_nudge(set->tasks[k]);
    }
    pthread_mutex_unlock(&w->apply_lock);
}

static bool all_idle(void *arg)
{
    struct worker *w = arg;
    bool all = true;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; all && i < w->set_count; i++) {
        for (int k = 0; all && k < w->sets[i]->count; k++)
            all = task_idle(w->sets[i]->tasks[k]);
    }
    pthread_mutex_unlock(&w->lock);
    return all;
}

int worker_wait_idle(struct worker *w, int64_t ms, struct err *e)
{
    if (worker_await(w, ms, all_idle, w))
        return ERR_OK;
    return err_set(e, ERR_TIMEOUT, "tasks are still running after %lld ms", (long long)ms);
}
