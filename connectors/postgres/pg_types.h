/*
 * pg_types: what PostgreSQL's catalog says of types and tables, made into columns of change events: schema, encoder,
 * defaults and fallbacks, by the handling modes. Task's thread; queries go over the connection that is given.
 */
#ifndef LEAT_PG_TYPES_H
#define LEAT_PG_TYPES_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "kit/cdc/cdc.h"
#include "leat/plugin.h"
#include "pgoutput.h"

struct pg_types;

#define PG_TYPE_GONE "UNKNOWN" /* source type of a column whose type is not in the catalog any more */

/* Reads the handling modes (decimal, time, interval, binary, hstore, money, unknown types, placeholder) from the options. */
struct pg_types *pg_types_new(const struct leat_host *host, const struct leat_config *config, struct err *e);
void pg_types_free(struct pg_types *t);
/* A thread other than the task's that made values JSON calls this before it ends: gives back what its encoders held. */
void pg_types_end_thread(void);

/*
 * Asks the server, over a connection of PG_AS_SET, how many digits of the whole numbers that it stores as money are behind
 * the point (lc_monetary). Before tables are made; else they are two.
 */
int pg_types_ask_money(struct pg_types *t, PGconn *as_set, struct err *e);

/*
 * Settings that the text of values depends on; run on every connection whose values are decoded (also given as options of
 * the replication connection): ISO dates, UTC, hex bytea, shortest exact floats, IntervalStyle, UTF-8.
 */
extern const char *const pg_types_session_options; /* "-c DateStyle=ISO -c TimeZone=UTC ..." */

/* A table as the catalog has it now. ERR_NOT_FOUND: there is none of this oid. */
int pg_table_from_catalog(struct pg_types *t, PGconn *sql, uint32_t oid, struct cdc_table_spec *out,
                          char *identity, struct err *e);
/*
 * A table as a relation message describes it (column names and types as of the change), completed from the catalog: key,
 * nullability, defaults, where the column still is there under its name and type. The table may be gone: then by what the
 * message says alone.
 */
int pg_table_from_relation(struct pg_types *t, PGconn *sql, const struct pgoutput *relation,
                           struct cdc_table_spec *out, struct err *e);

#endif
