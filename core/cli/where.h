/*
 * where: "beginning", "end", an offset or a time, turned into an offset of one partition.
 */
#ifndef LEAT_CLI_WHERE_H
#define LEAT_CLI_WHERE_H

#include "cli/cli.h"

/*
 * False after saying what is wrong on stderr; *exit_code then tells. A time after the last record is the end; an
 * offset before the first or beyond the end is the nearest that exists.
 */
bool where_resolve(struct hub *h, const char *topic, int partition, const char *where, int64_t *offset,
                   int *exit_code);

/* The partitions of --partition, or all of the topic's. Returns how many, -1 after an error. mem_free(*list).
 */
int where_partitions(struct cli *c, struct hub *h, const char *topic, int **list, int *exit_code);

#endif
