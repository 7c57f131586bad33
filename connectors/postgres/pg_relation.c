/*
 * pg_relation: the server describes a table before its first change, and again whenever its catalog entry may have changed.
 * What was compiled is made anew each time, as defaults and nullability, which the message does not have, may be new.
 */
#include "pg_relation.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "pg_unchanged.h"

#define SEEN_WITHIN_MS 10000 /* a commit may wait for a standby that is away */
#define SEEN_AGAIN_MS 2

struct pg_relations {
    struct pg_task *task;
    struct map *by_oid;
    const struct pg_relation *last; /* runs of changes are mostly of one table */
};

struct pg_relations *pg_relations_new(struct pg_task *t)
{
    struct pg_relations *r = mem_calloc(1, sizeof *r);
    if (!r)
        return NULL;
    r->task = t;
    r->by_oid = map_new();
    if (!r->by_oid) {
        mem_free(r);
        return NULL;
    }
    return r;
}

static void free_relation(void *p)
{
    struct pg_relation *r = p;
    if (!r)
        return;
    pg_unchanged_view_free(r->unchanged);
    if (r->table)
        cdc_table_free(r->table);
    mem_free(r->key);
    mem_free(r->name);
    mem_free(r);
}

void pg_relations_free(struct pg_relations *r)
{
    if (!r)
        return;
    map_free(r->by_oid, free_relation);
    mem_free(r);
}

const struct pg_relation *pg_relations_get(struct pg_relations *r, uint32_t oid)
{
    if (r->last && r->last->oid == oid)
        return r->last;
    const struct pg_relation *found = map_get(r->by_oid, &oid, sizeof oid);
    if (found)
        r->last = found;
    return found;
}

int pg_transaction_runs(PGconn *sql, uint32_t xid, bool *runs, struct err *e)
{
    char text[12];
    const char *param = text;
    snprintf(text, sizeof text, "%" PRIu32, xid);
    PGresult *r =
        pg_query(sql, e, "looking whether a transaction is visible",
                 "SELECT 1 FROM pg_locks WHERE locktype = 'transactionid' AND transactionid = $1::xid AND "
                 "mode = 'ExclusiveLock' AND granted",
                 1, &param);
    if (!r)
        return e->code;
    *runs = PQntuples(r) > 0;
    PQclear(r);
    return ERR_OK;
}

/*
 * A transaction is in the log, and so in the stream, before other sessions see it: the catalog must not be asked what columns
 * it added until then. *seen: they do see it.
 */
static int await_visible(struct pg_task *t, const struct pgoutput *m, uint32_t xid, bool *seen, struct err *e)
{
    int64_t until = clock_mono_ms() + SEEN_WITHIN_MS;
    for (bool running = true;;) {
        if (pg_transaction_runs(t->sql, xid, &running, e) != ERR_OK)
            return e->code;
        *seen = !running;
        if (!running)
            return ERR_OK;
        if (t->host->stopping(t->task))
            return err_set(e, ERR_INTERRUPTED, "stopped while transaction %" PRIu32 " was not visible yet",
                           xid);
        if (clock_mono_ms() > until)
            break;
        t->host->wait(t->task, -1, SEEN_AGAIN_MS);
    }
    t->host->log(t->task, LEAT_WARN,
                 "table %s.%s: transaction %" PRIu32
                 ", which may have changed it, is not visible after %d s (does it wait for a "
                 "standby?): defaults and nullability are taken as they were before it",
                 m->schema, m->name, xid, SEEN_WITHIN_MS / 1000);
    return ERR_OK;
}

/* Its changes were made before: the catalog no longer tells what their text means. */
static void warn_of_dropped_types(struct pg_task *t, const struct pgoutput *m,
                                  const struct cdc_table_spec *spec)
{
    for (size_t i = 0; i < spec->column_count; i++) {
        const struct cdc_column *c = &spec->columns[i];
        if (c->generated && strcmp(c->source_type, PG_TYPE_GONE) == 0 &&
            cdc_captures_column(t->cdc, m->schema, m->name, c->name))
            t->host->log(t->task, LEAT_WARN,
                         "table %s.%s: the type of the column %s (oid %" PRIu32
                         ") was dropped: the values that "
                         "it had are left out of the events",
                         m->schema, m->name, c->name, m->columns[i].type);
    }
}

static int compile(struct pg_task *t, const struct pgoutput *m, uint32_t xid, struct pg_relation *r,
                   struct err *e)
{
    struct cdc_table_spec spec = {0};
    bool seen = true;
    if (pg_sql(t, e) != ERR_OK || (xid && await_visible(t, m, xid, &seen, e) != ERR_OK) ||
        pg_table_from_relation(t->types, t->sql, m, &spec, e) != ERR_OK)
        return e->code;
    warn_of_dropped_types(t, m, &spec);
    r->table = cdc_table_new(t->cdc, &spec, e);
    if (!r->table)
        return e->code;
    if (cdc_table_columns(r->table) != m->column_count)
        return err_set(e, ERR_INTERNAL, "%zu columns became of %u", cdc_table_columns(r->table),
                       m->column_count);
    return t->unchanged ? pg_unchanged_relation(t->unchanged, m, r->table, seen, &r->unchanged, e) : ERR_OK;
}

int pg_relations_put(struct pg_relations *rs, const struct pgoutput *m, uint32_t xid, struct err *e)
{
    struct pg_task *t = rs->task;
    struct pg_relation *r = mem_calloc(1, sizeof *r);
    if (!r)
        return err_nomem(e);
    r->oid = m->relation;
    r->column_count = m->column_count;
    r->key = mem_calloc((size_t)m->column_count + 1, sizeof *r->key);
    r->name = mem_printf("%s.%s", m->schema, m->name);
    int rc = r->key && r->name ? ERR_OK : err_nomem(e);
    for (uint16_t i = 0; rc == ERR_OK && i < m->column_count; i++)
        r->key[i] = m->columns[i].key;
    r->signal = cdc_is_signal_table(t->cdc, m->schema, m->name);
    if (rc == ERR_OK && cdc_captures(t->cdc, m->schema, m->name))
        rc = compile(t, m, xid, r, e);
    else if (rc == ERR_OK && t->unchanged)
        rc = pg_unchanged_relation(t->unchanged, m, NULL, true, &r->unchanged, e);
    if (rc == ERR_OK) {
        rs->last = NULL;
        free_relation(map_remove(rs->by_oid, &m->relation, sizeof m->relation));
        rc = map_put(rs->by_oid, &m->relation, sizeof m->relation, r, e);
    }
    if (rc != ERR_OK) {
        free_relation(r);
        return err_wrap(e, "table %s.%s", m->schema, m->name);
    }
    return ERR_OK;
}
