/*
 * pg_source: the task's operations for the descriptor (pg_plugin.c).
 */
#ifndef LEAT_PG_SOURCE_H
#define LEAT_PG_SOURCE_H

#include "leat/plugin.h"

extern const struct leat_source_ops pg_source_ops;
int pg_source_validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c);

extern const struct leat_connector pg_source_connector;

#endif
