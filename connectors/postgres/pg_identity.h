/*
 * pg_identity: replica.identity.autoset.values, Debezium's: what REPLICA IDENTITY captured tables are to have, set before the
 * stream begins. Task's thread.
 */
#ifndef LEAT_PG_IDENTITY_H
#define LEAT_PG_IDENTITY_H

#include "pg_task.h"

/* What the option alone can say. */
int pg_identity_validate(const struct leat_host *host, const struct leat_config *config, struct err *e);

/*
 * Changes the captured tables that have another one; uses t->sql. A table that cannot be changed is told, with the statement, and
 * the others go on. ERR_INVALID_CONFIG: two expressions match one table.
 */
int pg_identity_set(struct pg_task *t, struct err *e);

#endif
