/*
 * plugins_validate: runs connectors' own checks of their options outside a worker, and finds sinks that would overwrite each
 * other. On the caller's thread.
 */
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"
#include "connect/connect.h"
#include "connect/task.h"

/* Where the problems and warnings of one connector go. */
struct told {
    const struct connector_config *config;
    struct problems *problems, *warnings;
    int rc;
};

static void tell(void *arg, bool wrong, const char *text)
{
    struct told *to = arg;
    const struct leat_connector *c = to->config->connector;
    if (!wrong && to->warnings == NULL) {
        diag_warn(to->config->name, "%s", text);
        return;
    }
    int rc =
        problems_add(wrong ? to->problems : to->warnings, to->config->file, to->config->line, 0,
                     "%s%s %s (%s): %s", wrong ? "" : "warning: ", c->kind == LEAT_SOURCE ? "source" : "sink",
                     to->config->name, c->type, text);
    to->rc = to->rc == ERR_OK ? rc : to->rc;
}

static int validate_one(const struct pipeline_config *p, const struct connector_config *c, bool connect,
                        struct problems *problems, struct problems *warnings, struct err *e)
{
    struct task_set set = {.pipeline = p, .config = c, .count = c->tasks_max < 1 ? 1 : c->tasks_max};
    struct told to = {c, problems, warnings, ERR_OK};
    struct leat_task t;
    if (task_init(&t, &set, 0, false, e) != ERR_OK)
        return e->code;
    t.tell = tell;
    t.tell_arg = &to;
    if (task_check(&t, connect) != LEAT_OK)
        tell(&to, true, t.failure.text);
    task_destroy(&t);
    return to.rc == ERR_OK ? ERR_OK : err_nomem(e);
}

/* ---- sinks that write to the same place ------------------------------------------------------------------------ */

/* A sink and what it says that it writes to. */
struct outlet {
    const struct pipeline_config *pipeline;
    const struct connector_config *sink;
    char *text;
    bool by_topic;
};

static bool has_outlet(const struct leat_connector *c)
{
    return c->kind == LEAT_SINK &&
           c->struct_size >= offsetof(struct leat_connector, outlet) + sizeof(c->outlet) && c->outlet != NULL;
}

/* *text stays NULL where the sink names nothing, or finds its options wrong: its validate has said so. */
static int ask_outlet(struct outlet *o, struct err *e)
{
    const struct leat_connector *c = o->sink->connector;
    struct task_set set = {.pipeline = o->pipeline, .config = o->sink, .count = 1};
    struct leat_task t;
    char *text = mem_calloc(1, LEAT_OUTLET_SIZE);
    if (text == NULL)
        return err_nomem(e);
    int rc = task_init(&t, &set, 0, false, e);
    if (rc == ERR_OK) {
        task_call(&t);
        int result = c->outlet(&t, &task_host, o->sink->options, &o->by_topic, text);
        text[LEAT_OUTLET_SIZE - 1] = 0;
        if (result == LEAT_OK && *text != 0 && (o->text = mem_strdup(text)) == NULL)
            rc = err_nomem(e);
        task_destroy(&t);
    }
    mem_free(text);
    return rc;
}

/* A topic that `a` names and `b` matches. */
static const char *matched(const struct pipeline_config *a, const struct pipeline_config *b)
{
    for (size_t i = 0; b->regex != NULL && i < a->topic_count; i++)
        if (regex_matches(b->regex, a->topics[i]))
            return a->topics[i];
    return NULL;
}

static const char *common_topic(const struct pipeline_config *a, const struct pipeline_config *b)
{
    for (size_t i = 0; i < a->topic_count; i++)
        for (size_t k = 0; k < b->topic_count; k++)
            if (strcmp(a->topics[i], b->topics[k]) == 0)
                return a->topics[i];
    /* of two expressions one cannot tell */
    return a->regex != NULL && b->regex != NULL ? regex_text(a->regex)
           : matched(a, b)                      ? matched(a, b)
                                                : matched(b, a);
}

static int compare_outlets(const struct outlet *a, const struct outlet *b, struct problems *problems,
                           struct err *e)
{
    if (a->text == NULL || b->text == NULL || a->sink->connector != b->sink->connector ||
        strcmp(a->text, b->text) != 0)
        return ERR_OK;
    const char *topic = common_topic(a->pipeline, b->pipeline);
    if (a->by_topic && topic == NULL)
        return ERR_OK;
    int rc = problems_add(problems, b->sink->file, b->sink->line, 0,
                          "sink %s would overwrite what sink %s (%s:%d) writes%s%s: both write to %s",
                          b->sink->name, a->sink->name, a->sink->file, a->sink->line,
                          a->by_topic ? " of topic " : "", a->by_topic ? topic : "", a->text);
    return rc == ERR_OK ? ERR_OK : err_nomem(e);
}

static int check_outlets(const struct config *c, struct problems *problems, struct err *e)
{
    size_t count = 0, n = 0;
    for (size_t i = 0; i < c->pipeline_count; i++)
        count += c->pipelines[i]->sink_count;
    struct outlet *all = mem_calloc(count + 1, sizeof(*all));
    if (all == NULL)
        return err_nomem(e);
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && i < c->pipeline_count; i++) {
        const struct pipeline_config *p = c->pipelines[i];
        for (size_t k = 0; rc == ERR_OK && k < p->sink_count; k++) {
            if (!has_outlet(p->sinks[k]->connector))
                continue;
            all[n] = (struct outlet){.pipeline = p, .sink = p->sinks[k]};
            rc = ask_outlet(&all[n++], e);
            for (size_t j = 0; rc == ERR_OK && j + 1 < n; j++)
                rc = compare_outlets(&all[j], &all[n - 1], problems, e);
        }
    }
    for (size_t i = 0; i < n; i++)
        mem_free(all[i].text);
    mem_free(all);
    return rc;
}

int plugins_validate(struct plugins *p, const struct config *c, bool connect, struct problems *problems,
                     struct problems *warnings, struct err *e)
{
    (void)p; /* the configuration holds the descriptors; the parameter says that they must still be loaded */
    for (size_t i = 0; i < c->pipeline_count; i++) {
        const struct pipeline_config *one = c->pipelines[i];
        if (one->source != NULL && validate_one(one, one->source, connect, problems, warnings, e) != ERR_OK)
            return e->code;
        for (size_t k = 0; k < one->sink_count; k++) {
            if (validate_one(one, one->sinks[k], connect, problems, warnings, e) != ERR_OK)
                return e->code;
        }
    }
    return check_outlets(c, problems, e);
}
