/*
 * run: what leat run is made of beside cmd_run.c.
 */
#ifndef LEAT_CLI_RUN_H
#define LEAT_CLI_RUN_H

#include "base/buf.h"
#include "cli/cli.h"
#include "client/client.h"
#include "config/config.h"

/* Where the pipelines' topics are: `b`, or the cluster that the configuration names. NULL on error. */
struct client *run_client(const struct hub_config *hub, struct broker *b, struct err *e);

/* Where the configuration comes from. */
struct run_config {
    char *path;      /* absolute; NULL: none was given */
    struct buf text; /* then: YAML with the listeners of the command line */
};

/* Of the arguments. An exit code, after saying why, or -1; *out is the caller's in either case (run_config_free). */
int run_config_find(const struct cli *c, struct run_config *out);
void run_config_free(struct run_config *r);
/* As config_load and config_load_hub. Any thread. */
int run_config_load(const struct run_config *r, const struct connector_catalog *catalog, struct config **out,
                    struct problems *problems, struct err *e);
int run_config_hub(const struct run_config *r, struct hub_config *out, struct problems *problems,
                   struct err *e);

#endif
