/*
 * task_set: makes and frees the tasks of one connector. Worker's callers, one at a time (apply_lock).
 */
#include "base/mem.h"
#include "connect/assignment.h"
#include "connect/worker.h"

static void task_changed(void *arg)
{
    struct worker *w = arg;
    pthread_mutex_lock(&w->change_lock);
    w->changes++;
    pthread_cond_broadcast(&w->change);
    pthread_mutex_unlock(&w->change_lock);
}

void set_ask(struct task_set *set, enum task_wish wish)
{
    for (int i = 0; i < set->count; i++)
        task_ask(set->tasks[i], wish);
}

void set_free(struct task_set *set)
{
    for (int i = 0; i < set->count; i++) {
        pthread_join(set->tasks[i]->thread, NULL);
        task_destroy(set->tasks[i]);
        mem_free(set->tasks[i]);
    }
    assignment_free(set->assignment);
    if (set->group != NULL)
        client_group_release(set->client, set->group);
    mem_free(set->group);
    mem_free(set->tasks);
    mem_free(set);
}

/* Adds one task with its thread; set->count counts those that have one. */
static int add_task(struct task_set *set, struct err *e)
{
    struct leat_task *t = mem_calloc(1, sizeof(*t));
    if (t == NULL)
        return err_nomem(e);
    if (task_init(t, set, set->count, true, e) != ERR_OK)
        goto err_after_task;
    if (task_start(t, e) != ERR_OK)
        goto err_after_init;
    set->tasks[set->count++] = t;
    return ERR_OK;

err_after_init:
    task_destroy(t);
err_after_task:
    mem_free(t);
    return e->code;
}

/* A sink that is paused, or that failed, keeps its offsets: they would be missed when it goes on. */
static int hold_group(struct task_set *set, struct err *e)
{
    char *group = mem_printf("connect-%s", set->config->name);
    if (group == NULL)
        return err_nomem(e);
    if (client_group_hold(set->client, group, e) != ERR_OK) {
        mem_free(group);
        return e->code;
    }
    set->group = group;
    return ERR_OK;
}

int set_tasks(const struct connector_config *c)
{
    return c->tasks_max < 1 ? 1 : c->tasks_max;
}

int set_new(struct worker *w, struct shared_config *shared, const struct pipeline_config *p,
            const struct connector_config *c, struct task_set **out, struct err *e)
{
    int count = set_tasks(c);
    struct task_set *set = mem_calloc(1, sizeof(*set));
    if (set == NULL)
        return err_nomem(e);
    *set = (struct task_set){.pipeline = p,
                             .config = c,
                             .shared = shared,
                             .client = w->client,
                             .changed = task_changed,
                             .changed_arg = w};
    if (connector_exact_by_options(c->connector))
        set->not_exact = c->connector->not_exact(&task_host, c->options);
    set->exact = c->connector->exact && set->not_exact == NULL;
    set->tasks = mem_calloc((size_t)count, sizeof(struct leat_task *));
    if (set->tasks == NULL) {
        err_nomem(e);
        goto err_after_set;
    }
    if (c->connector->kind == LEAT_SINK) {
        set->assignment = assignment_new(w->client, p, count, e);
        if (set->assignment == NULL || hold_group(set, e) != ERR_OK)
            goto err_after_set;
    }
    while (set->count < count) {
        if (add_task(set, e) != ERR_OK) {
            err_wrap(e, "cannot start task %d of %s", set->count, c->name);
            goto err_after_set;
        }
    }
    shared->users++;
    *out = set;
    return ERR_OK;

err_after_set:
    set_ask(set, WISH_STOP);
    set_free(set);
    return e->code;
}
