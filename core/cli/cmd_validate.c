/*
 * leat validate and leat schema.
 */
#include <stdio.h>

#include "cli/load.h"

static const char *plural(size_t n)
{
    return n == 1 ? "" : "s";
}

/* Nothing is wrong. */
static int report(struct cli *c, const struct config *config, bool connected, struct problems *warnings)
{
    size_t sinks = 0, sources = 0;
    for (size_t i = 0; i < config->pipeline_count; i++) {
        sinks += config->pipelines[i]->sink_count;
        sources += config->pipelines[i]->source != NULL;
    }
    if (cli_json(c))
        return print_json(json_pack("{s:[], s:o, s:I, s:I, s:I, s:b}", "problems", "warnings",
                                    load_problems_json(warnings), "pipelines",
                                    (json_int_t)config->pipeline_count, "sources", (json_int_t)sources,
                                    "sinks", (json_int_t)sinks, "connected", connected));
    printf("%s: fine, %zu pipeline%s, %zu source%s, %zu sink%s%s", c->args[0], config->pipeline_count,
           plural(config->pipeline_count), sources, plural(sources), sinks, plural(sinks),
           connected ? "; sources and targets answered" : "");
    if (warnings->count)
        printf("; %zu warning%s", warnings->count, plural(warnings->count));
    printf("\n");
    return EXIT_FINE;
}

int cmd_validate(struct cli *c)
{
    struct err e;
    struct problems problems, warnings;
    struct plugins *plugins = NULL;
    struct config *config = NULL;
    struct hub_config hub = {0};
    bool connect = cli_flag(c, "connect");
    problems_init(&problems);
    problems_init(&warnings);
    /* Problems of the hub section come again, with all others, from config_load. */
    int rc = config_load_hub(c->args[0], &hub, &problems, &e);
    problems_free(&problems);
    problems_init(&problems);
    if (rc == ERR_OK || rc == ERR_INVALID_CONFIG)
        rc = load_plugins(c, rc == ERR_OK ? &hub : NULL, &plugins, &e);
    if (rc == ERR_OK) {
        struct connector_catalog catalog = plugins_catalog(plugins);
        rc = config_load(c->args[0], &catalog, &config, &problems, &e);
    }
    if (rc == ERR_OK)
        rc = plugins_validate(plugins, config, connect, &problems, &warnings, &e);
    bool fine = rc == ERR_OK && problems.count == 0;
    int code = fine ? report(c, config, connect, &warnings) : problems.count ? EXIT_CONFIG : cli_fail(&e);
    if (problems.count || !cli_json(c)) /* else they were in the one JSON value that is printed */
        load_show_problems(c, &problems, &warnings);
    problems_free(&warnings);
    config_free(config);
    if (plugins)
        plugins_close(plugins);
    hub_config_free(&hub);
    return code;
}

int cmd_schema(struct cli *c)
{
    struct err e;
    struct buf out;
    struct plugins *plugins;
    buf_init(&out, 16 << 20);
    int rc = load_plugins(c, NULL, &plugins, &e);
    if (rc)
        return cli_fail(&e);
    struct connector_catalog catalog = plugins_catalog(plugins);
    rc = config_json_schema(&catalog, &out, &e);
    plugins_close(plugins);
    if (rc == ERR_OK)
        fwrite(out.data, 1, out.len, stdout);
    buf_free(&out);
    return rc ? cli_fail(&e) : EXIT_FINE;
}
