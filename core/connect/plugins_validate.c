/*
 * plugins_validate: runs connectors' own checks of their options outside a worker, on the caller's thread.
 */
#include "connect/connect.h"
#include "connect/task.h"

static int run_check(struct task_set *set, bool connect, struct problems *problems, struct err *e)
{
    const struct leat_connector *c = set->config->connector;
    struct leat_task t;
    if (task_init(&t, set, 0, false, e) != ERR_OK)
        return e->code;
    int rc = ERR_OK;
    if (task_check(&t, connect) != LEAT_OK)
        rc = problems_add(problems, set->config->file, set->config->line, 0, "%s %s (%s): %s",
                          c->kind == LEAT_SOURCE ? "source" : "sink", set->config->name, c->type,
                          t.failure.text);
    task_destroy(&t);
    return rc == ERR_OK ? ERR_OK : err_nomem(e);
}

static int validate_one(const struct pipeline_config *p, const struct connector_config *c, bool connect,
                        struct problems *problems, struct err *e)
{
    struct task_set set = {.pipeline = p, .config = c, .count = c->tasks_max < 1 ? 1 : c->tasks_max};
    return run_check(&set, connect, problems, e);
}

int plugins_validate(struct plugins *p, const struct config *c, bool connect, struct problems *problems,
                     struct err *e)
{
    (void)p; /* the configuration holds the descriptors; the parameter says that they must still be loaded */
    for (size_t i = 0; i < c->pipeline_count; i++) {
        const struct pipeline_config *one = c->pipelines[i];
        if (one->source != NULL && validate_one(one, one->source, connect, problems, e) != ERR_OK)
            return e->code;
        for (size_t k = 0; k < one->sink_count; k++) {
            if (validate_one(one, one->sinks[k], connect, problems, e) != ERR_OK)
                return e->code;
        }
    }
    return ERR_OK;
}
