/*
 * worker_status: what tasks show, and asking single connectors: restart, pause, waiting. Any thread.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
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
    }
    mem_free(list);
}

/* How many records are behind this task's reading, of what is readable; -1: not known. */
static int64_t lag(struct worker *w, const struct task_reads *reads, size_t n)
{
    int64_t sum = 0;
    struct err e;
    for (size_t i = 0; i < n; i++) {
        int64_t end, found;
        if (client_list_offset(w->client, reads[i].topic, reads[i].partition, -1, READ_COMMITTED, &end,
                               &found, &e) != ERR_OK)
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
            return err_nomem(e);
        }
        (*n)++;
    }
    return ERR_OK;
}

static int fill(struct worker *w, struct leat_task *t, struct task_status *s, struct err *e)
{
    const struct connector_config *c = t->set->config;
    struct task_reads *reads;
    size_t read_count;
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
    s->error_ms = t->error_ms;
    s->error = t->error == NULL ? NULL : mem_strdup(t->error);
    bool lost = t->error != NULL && s->error == NULL;
    meter_rates(&t->meter, clock_mono_ms(), &s->records_per_s, &s->bytes_per_s);
    _Static_assert(sizeof(s->gauges) == sizeof(t->gauges), "as many gauges in the status as in the task");
    memcpy(s->gauges, t->gauges, sizeof(s->gauges));
    s->gauge_count = t->gauge_count;
    s->held = targets_paused(w->targets, c->name);
    int rc = copy_reads(t, &reads, &read_count, e);
    pthread_mutex_unlock(&t->lock);
    if (rc != ERR_OK)
        return rc;
    if (s->kind == LEAT_SINK)
        s->lag_records = lag(w, reads, read_count);
    free_reads(reads, read_count);
    return lost ? err_nomem(e) : ERR_OK;
}

int worker_status(struct worker *w, struct task_status **list, size_t *n, struct err *e)
{
    size_t total = 0, done = 0;
    int rc = ERR_OK;
    *n = 0;
    pthread_mutex_lock(&w->lock);
    for (size_t i = 0; i < w->set_count; i++)
        total += (size_t)w->sets[i]->count;
    *list = mem_calloc(total + 1, sizeof(**list));
    if (*list == NULL)
        rc = err_nomem(e);
    for (size_t i = 0; rc == ERR_OK && i < w->set_count; i++) {
        for (int k = 0; rc == ERR_OK && k < w->sets[i]->count; k++)
            rc = fill(w, w->sets[i]->tasks[k], &(*list)[done++], e);
    }
    pthread_mutex_unlock(&w->lock);
    if (rc != ERR_OK) {
        if (*list != NULL)
            task_status_free(*list, done);
        *list = NULL;
        return rc;
    }
    *n = total;
    return ERR_OK;
}

static bool set_uses(const struct task_set *set, const char *topic)
{
    const struct pipeline_config *p = set->pipeline;
    size_t n = set->config->connector->kind == LEAT_SOURCE && p->topic_count > 1 ? 1 : p->topic_count;
    for (size_t i = 0; i < n; i++)
        if (strcmp(p->topics[i], topic) == 0)
            return true;
    return false;
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
