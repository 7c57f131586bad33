/*
 * worker: makes the running tasks be those of a configuration. Whoever calls apply, restart or stop does the work on its
 * own thread; tasks have theirs. Everything of a new configuration that can fail is done before anything that runs is
 * touched.
 */
#include "connect/worker.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "connect/positions.h"
#include "connect/topics.h"

int worker_new(struct client *client, struct plugins *plugins, struct worker **out, struct err *e)
{
    struct worker *w = mem_calloc(1, sizeof(*w));
    *out = NULL;
    if (w == NULL)
        return err_nomem(e);
    w->client = client;
    w->plugins = plugins;
    mutex_init(&w->apply_lock);
    mutex_init(&w->pause_lock);
    mutex_init(&w->lock);
    mutex_init(&w->change_lock);
    cond_init(&w->change);
    *out = w;
    return ERR_OK;
}

static void release(struct shared_config *shared)
{
    if (shared != NULL && --shared->users == 0) {
        config_free(shared->config);
        mem_free(shared);
    }
}

bool worker_await(struct worker *w, int64_t ms, bool (*done)(void *arg), void *arg)
{
    struct timespec deadline = clock_deadline_ms(ms < 0 ? 0 : ms);
    bool in_time = true;
    for (;;) {
        pthread_mutex_lock(&w->change_lock);
        uint64_t seen = w->changes;
        pthread_mutex_unlock(&w->change_lock);
        if (done(arg))
            return true;
        if (!in_time)
            return false;
        pthread_mutex_lock(&w->change_lock);
        while (w->changes == seen && in_time) {
            if (ms < 0)
                pthread_cond_wait(&w->change, &w->change_lock);
            else
                in_time = cond_wait_until(&w->change, &w->change_lock, &deadline);
        }
        pthread_mutex_unlock(&w->change_lock);
    }
}

/* ---- apply -------------------------------------------------------------------------------------------------- */

struct set_list {
    struct task_set **items;
    size_t count;
};

/* Whether a running set does exactly what the new configuration wants. */
static bool same_work(const struct task_set *set, const struct pipeline_config *p,
                      const struct connector_config *c)
{
    const struct pipeline_config *q = set->pipeline;
    if (set->config->connector->kind != c->connector->kind || strcmp(q->name, p->name) != 0 ||
        !connector_config_equal(set->config, c))
        return false;
    if (c->connector->kind == LEAT_SOURCE)
        return strcmp(q->topics[0], p->topics[0]) == 0 && q->codec == p->codec &&
               q->partitions == p->partitions &&
               topic_configs_equal(q, p); /* of topics that it makes from now on */
    if (!regexes_equal(q->regex, p->regex) || q->own_topics != p->own_topics)
        return false;
    if (q->topic_count != p->topic_count)
        return false;
    for (size_t i = 0; i < p->topic_count; i++) {
        if (strcmp(q->topics[i], p->topics[i]) != 0)
            return false;
    }
    return true;
}

static struct task_set *find_same(struct worker *w, const struct pipeline_config *p,
                                  const struct connector_config *c)
{
    for (size_t i = 0; i < w->set_count; i++) {
        if (same_work(w->sets[i], p, c))
            return w->sets[i];
    }
    return NULL;
}

/* Keeps the running set for this connector, or makes a new one that waits. */
static int choose_set(struct worker *w, struct shared_config *shared, const struct pipeline_config *p,
                      const struct connector_config *c, struct set_list *next, struct err *e)
{
    struct task_set *set = find_same(w, p, c);
    if (set == NULL && set_new(w, shared, p, c, &set, e) != ERR_OK)
        return e->code;
    next->items[next->count++] = set;
    return ERR_OK;
}

static bool contains(const struct set_list *list, const struct task_set *set)
{
    for (size_t i = 0; i < list->count; i++) {
        if (list->items[i] == set)
            return true;
    }
    return false;
}

static int choose_all(struct worker *w, struct shared_config *shared, struct set_list *next, struct err *e)
{
    const struct config *c = shared->config;
    size_t most = 0;
    for (size_t i = 0; i < c->pipeline_count; i++)
        most += 1 + c->pipelines[i]->sink_count;
    next->items = mem_calloc(most + 1, sizeof(struct task_set *));
    if (next->items == NULL)
        return err_nomem(e);
    for (size_t i = 0; i < c->pipeline_count; i++) {
        const struct pipeline_config *p = c->pipelines[i];
        if (p->source != NULL && choose_set(w, shared, p, p->source, next, e) != ERR_OK)
            return e->code;
        for (size_t k = 0; k < p->sink_count; k++) {
            if (choose_set(w, shared, p, p->sinks[k], next, e) != ERR_OK)
                return e->code;
        }
    }
    return ERR_OK;
}

/* Stops and frees the sets of `from` that are not in `keep`: first all are asked, then each is waited for. */
static void stop_others(const struct set_list *from, const struct set_list *keep)
{
    for (size_t i = 0; i < from->count; i++) {
        if (!contains(keep, from->items[i]))
            set_ask(from->items[i], WISH_STOP);
    }
    for (size_t i = 0; i < from->count; i++) {
        if (contains(keep, from->items[i]))
            continue;
        struct shared_config *shared = from->items[i]->shared;
        set_free(from->items[i]);
        release(shared);
    }
}

/* The new list is in force: old sets go first, as a replacement may not run beside what it replaces. */
static void switch_to(struct worker *w, struct set_list *next, struct shared_config *shared)
{
    struct set_list old = {w->sets, w->set_count};
    struct shared_config *old_shared = w->shared;
    pthread_mutex_lock(&w->lock);
    w->sets = next->items;
    w->set_count = next->count;
    w->shared = shared;
    pthread_mutex_unlock(&w->lock);
    stop_others(&old, next);
    pthread_mutex_lock(&w->lock); /* a pause that comes now is seen here, or finds the set and asks it */
    for (size_t i = 0; i < next->count; i++) {
        const struct connector_config *c = next->items[i]->config;
        bool pause = c->paused || targets_paused(w->targets, c->name);
        if (!contains(&old, next->items[i]))
            set_ask(next->items[i], pause ? WISH_PAUSE : WISH_RUN);
    }
    pthread_mutex_unlock(&w->lock);
    mem_free(old.items);
    release(old_shared);
}

static int load_targets(struct worker *w, struct err *e)
{
    struct targets *targets;
    if (w->targets != NULL)
        return ERR_OK;
    if (targets_load(w->client, &targets, e) != ERR_OK)
        return e->code;
    pthread_mutex_lock(&w->lock);
    w->targets = targets;
    pthread_mutex_unlock(&w->lock);
    return ERR_OK;
}

static const struct connector_config *find_connector(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->pipeline_count; i++) {
        const struct pipeline_config *p = c->pipelines[i];
        if (p->source != NULL && strcmp(p->source->name, name) == 0)
            return p->source;
        for (size_t k = 0; k < p->sink_count; k++) {
            if (strcmp(p->sinks[k]->name, name) == 0)
                return p->sinks[k];
        }
    }
    return NULL;
}

static bool has_connector(void *arg, const char *name)
{
    return find_connector(arg, name) != NULL;
}

static bool has_task(void *arg, const char *connector, int task)
{
    const struct connector_config *c = find_connector(arg, connector);
    return c != NULL && task >= 0 && task < set_tasks(c);
}

/* Connectors that are not there any more lose their pause and what they kept, as tasks do; those of their names that may come later begin anew. */
static void forget_gone(struct worker *w, struct config *c)
{
    struct err e = {0};
    pthread_mutex_lock(&w->pause_lock);
    for (char *name; e.code == ERR_OK && (name = targets_unwanted(w->targets, has_connector, c)) != NULL;) {
        if (targets_store(w->client, name, false, &e) != ERR_OK) {
            diag_warn("connect", "%s", e.text);
        } else {
            pthread_mutex_lock(&w->lock);
            targets_set(w->targets, name, false);
            pthread_mutex_unlock(&w->lock);
        }
        mem_free(name);
    }
    pthread_mutex_unlock(&w->pause_lock);
    struct err kept;
    if (keep_dirs_forget(w->client, has_task, c, &kept) != ERR_OK)
        diag_warn("connect", "what removed connectors and tasks kept stays: %s", kept.text);
}

/* What is in force of `hub:` is what the hub was started with: later plans still tell what the next start will change. */
static void keep_hub(struct worker *w, struct config *c)
{
    if (w->shared == NULL)
        return;
    struct hub_config not_yet = c->hub;
    c->hub = w->shared->config->hub;
    w->shared->config->hub = not_yet;
}

int worker_apply(struct worker *w, struct config *c, struct buf *plan, struct err *e)
{
    struct set_list next = {0};
    pthread_mutex_lock(&w->apply_lock);
    struct shared_config *shared = mem_calloc(1, sizeof(*shared));
    if (shared == NULL || w->stopped) {
        shared == NULL ? err_nomem(e) : err_set(e, ERR_CLOSED, "the worker was stopped");
        goto err_after_shared;
    }
    *shared = (struct shared_config){c, 1};
    if (plan != NULL && config_plan(w->shared == NULL ? NULL : w->shared->config, c, plan, e) != ERR_OK)
        goto err_after_shared;
    if (w->shared == NULL && work_dirs_clear(w->client, e) != ERR_OK)
        goto err_after_shared;
    if (load_targets(w, e) != ERR_OK || topics_prepare(w->client, c, e) != ERR_OK)
        goto err_after_shared;
    if (choose_all(w, shared, &next, e) != ERR_OK)
        goto err_after_sets;
    keep_hub(w, c);
    switch_to(w, &next, shared);
    forget_gone(w, c);
    pthread_mutex_unlock(&w->apply_lock);
    return ERR_OK;

err_after_sets : {
    /* The caller keeps `c`, so the last user of `shared` must not free it: users starts at one, for the worker. */
    struct set_list running = {w->sets, w->set_count};
    stop_others(&next, &running);
    mem_free(next.items);
}
err_after_shared:
    mem_free(shared);
    pthread_mutex_unlock(&w->apply_lock);
    return e->code;
}

const struct config *worker_config(struct worker *w)
{
    pthread_mutex_lock(&w->lock);
    const struct config *c = w->shared == NULL ? NULL : w->shared->config;
    pthread_mutex_unlock(&w->lock);
    return c;
}

/* ---- stop --------------------------------------------------------------------------------------------------- */

static bool all_finished(void *arg)
{
    struct worker *w = arg;
    bool all = true;
    for (size_t i = 0; all && i < w->set_count; i++) {
        for (int k = 0; all && k < w->sets[i]->count; k++)
            all = task_finished(w->sets[i]->tasks[k]);
    }
    return all;
}

static int name_unfinished(struct worker *w, int64_t ms, struct err *e)
{
    char names[512] = "";
    for (size_t i = 0; i < w->set_count; i++) {
        for (int k = 0; k < w->sets[i]->count; k++) {
            size_t n = strlen(names);
            if (!task_finished(w->sets[i]->tasks[k]))
                snprintf(names + n, sizeof(names) - n, "%s%s", n == 0 ? "" : ", ",
                         w->sets[i]->tasks[k]->label);
        }
    }
    return err_set(e, ERR_TIMEOUT, "not stopped within %lld ms: %s", (long long)ms, names);
}

int worker_stop(struct worker *w, int64_t ms, struct err *e)
{
    pthread_mutex_lock(&w->apply_lock);
    w->stopped = true;
    for (size_t i = 0; i < w->set_count; i++)
        set_ask(w->sets[i], WISH_STOP);
    int rc = worker_await(w, ms, all_finished, w) ? ERR_OK : name_unfinished(w, ms, e);
    pthread_mutex_unlock(&w->apply_lock);
    return rc;
}

void worker_free(struct worker *w)
{
    if (w == NULL)
        return;
    struct set_list all = {w->sets, w->set_count}, none = {0};
    stop_others(&all, &none);
    mem_free(w->sets);
    release(w->shared);
    pthread_cond_destroy(&w->change);
    pthread_mutex_destroy(&w->change_lock);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->pause_lock);
    pthread_mutex_destroy(&w->apply_lock);
    targets_free(w->targets);
    mem_free(w);
}
