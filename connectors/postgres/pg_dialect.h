/*
 * pg_dialect: what is Postgres' own in change events: source.schema to source.origin_lsn, sequence, transaction ids.
 */
#ifndef LEAT_PG_DIALECT_H
#define LEAT_PG_DIALECT_H

#include "kit/cdc/cdc.h"

extern const struct cdc_dialect pg_dialect; /* cdc_origin.own is a struct pg_position */

#endif
