/*
 * cluster: the properties of --command-config and --command-property, for librdkafka.
 */
#ifndef LEAT_CLI_CLUSTER_H
#define LEAT_CLI_CLUSTER_H

#include "cli/cli.h"
#include "client/client.h"

struct cluster_properties {
    struct client_property *list; /* of the file first, so that the command line's win */
    size_t count;
    char *text; /* where the names and values lie */
};
/* -1, or an exit code after saying what is wrong. To be freed in either case. */
int cluster_properties(const struct cli *c, struct cluster_properties *out);
void cluster_properties_free(struct cluster_properties *p);

#endif
