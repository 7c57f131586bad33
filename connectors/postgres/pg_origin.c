/*
 * pg_origin: the origin's name as JSON is made once a transaction. Of a transaction that is streamed before its commit the
 * server does not know the commit's LSN at the origin yet, and sends none.
 */
#include "pg_origin.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kit/cdc/cdc_json.h"
#include "pg_query.h"

#define NAME_MAX_BYTES 65536 /* of an origin's name as JSON: PostgreSQL's longest has 512 bytes */

struct pg_origin {
    struct pg_task *task;
    struct buf name; /* JSON, with a NUL */
    int64_t xmin_every_ms, xmin_at_ms;
    uint32_t xmin;
};

struct pg_origin *pg_origin_new(struct pg_task *t)
{
    struct pg_origin *o = mem_calloc(1, sizeof *o);
    if (!o)
        return NULL;
    o->task = t;
    o->xmin_every_ms = t->host->get_int(t->config, "xmin.fetch.interval.ms");
    o->xmin_at_ms = clock_mono_ms() - o->xmin_every_ms;
    buf_init(&o->name, NAME_MAX_BYTES);
    return o;
}

void pg_origin_free(struct pg_origin *o)
{
    if (!o)
        return;
    buf_free(&o->name);
    mem_free(o);
}

void pg_origin_begin(struct pg_origin *o, struct pg_position *at)
{
    at->origin = NULL;
    at->origin_lsn = 0;
    at->xmin = o->xmin;
}

int pg_origin_take(struct pg_origin *o, const struct pgoutput *m, struct pg_position *at, struct err *e)
{
    buf_reset(&o->name);
    int rc = cdc_json_string(&o->name, m->name, strlen(m->name), e);
    rc = rc ? rc : buf_u8(&o->name, '\0', e);
    if (rc)
        return rc;
    at->origin = (const char *)o->name.data;
    at->origin_lsn = m->lsn;
    return ERR_OK;
}

bool pg_origin_due(const struct pg_origin *o)
{
    return o->xmin_every_ms > 0 && clock_mono_ms() - o->xmin_at_ms >= o->xmin_every_ms;
}

void pg_origin_fetch_xmin(struct pg_origin *o, struct pg_position *at)
{
    struct pg_task *t = o->task;
    struct err e;
    const char *name = t->host->get_str(t->config, "slot.name");
    PGresult *r = NULL;
    o->xmin_at_ms = clock_mono_ms();
    if (pg_sql(t, &e) == ERR_OK)
        r = pg_query(t->sql, &e, "xmin.fetch.interval.ms",
                     "SELECT catalog_xmin FROM pg_replication_slots WHERE slot_name = $1", 1, &name);
    if (!r)
        t->host->log(t->task, LEAT_WARN, "%s", e.text);
    else if (PQntuples(r) == 1)
        o->xmin = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    PQclear(r);
    at->xmin = o->xmin;
}
