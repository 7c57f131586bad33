/*
 * status: what the commands about the running hub's tasks share.
 */
#ifndef LEAT_CLI_STATUS_H
#define LEAT_CLI_STATUS_H

#include "cli/cli.h"

/* Figures of these tasks, and a table for each kind of row that they have. */
void print_rows(const json_t *tasks);

#endif
