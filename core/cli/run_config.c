/*
 * What leat run runs: the file or directory that it was given or, without one, no pipelines, and Kafka's clients on `--listeners`.
 * Main's; reloads read a path again from other threads.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/load.h"
#include "cli/run.h"

#define DEFAULT_LISTENER "PLAINTEXT://127.0.0.1:9092"
#define TEXT_NAME "--listeners"
#define TEXT_MAX ((size_t)1 << 16)

/* Kafka's form of the list, "ADDRESS,ADDRESS", as the YAML file would have it; JSON's strings are YAML's. */
static int text_of_listeners(const char *listeners, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "hub: {listeners: ");
    if (rc == ERR_OK)
        rc = buf_json_str(out, listeners, strlen(listeners), e);
    return rc == ERR_OK ? buf_append(out, "}", 1, e) : rc;
}

int run_config_find(const struct cli *c, struct run_config *out)
{
    const char *listeners = cli_value(c, "listeners");
    struct err e;
    int code = -1;
    *out = (struct run_config){.path = NULL};
    buf_init(&out->text, TEXT_MAX);
    if (c->arg_count == 0)
        return text_of_listeners(listeners ? listeners : DEFAULT_LISTENER, &out->text, &e) ? cli_fail(&e)
                                                                                           : -1;
    if (listeners)
        return cli_error(EXIT_USAGE,
                         "--listeners is for a hub without configuration; %s has them as hub: listeners",
                         c->args[0]);
    out->path = load_path(c->args[0], &code);
    return code;
}

void run_config_free(struct run_config *r)
{
    free(r->path);
    buf_free(&r->text);
}

int run_config_load(const struct run_config *r, const struct connector_catalog *catalog, struct config **out,
                    struct problems *problems, struct err *e)
{
    return r->path
               ? config_load(r->path, catalog, out, problems, e)
               : config_parse((const char *)r->text.data, r->text.len, TEXT_NAME, catalog, out, problems, e);
}

int run_config_hub(const struct run_config *r, struct hub_config *out, struct problems *problems,
                   struct err *e)
{
    struct config *whole;
    if (r->path)
        return config_load_hub(r->path, out, problems, e);
    *out = (struct hub_config){0};
    int rc = run_config_load(r, NULL, &whole, problems, e);
    if (rc)
        return rc;
    *out = whole->hub;
    whole->hub = (struct hub_config){0};
    config_free(whole);
    return ERR_OK;
}
