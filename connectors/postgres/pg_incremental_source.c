/*
 * pg_incremental_source: the table that an incremental snapshot reads: found by its name, compiled, the columns that it is read by
 * and those that tell its rows apart; made anew when its description changes. Task's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg_incremental.h"
#include "pg_query.h"

/* The table of a name, and a digest of all that its description depends on. */
static const char table_sql[] =
    "SELECT c.oid, c.relkind = 'p', n.nspname, c.relname, md5(concat("
    "(SELECT string_agg(concat_ws(',', a.attnum, a.attname, a.atttypid, a.atttypmod, a.attnotnull, "
    "a.attisdropped), "
    "';' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0), "
    "(SELECT string_agg(concat_ws(',', i.indexrelid, i.indisprimary, i.indisunique, i.indkey), ';' ORDER BY "
    "i.indexrelid) FROM pg_index i WHERE i.indrelid = c.oid))) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname || '.' || c.relname = $1 AND c.relkind IN ('r', 'p')";

void inc_source_close(struct inc_source *s)
{
    snap_table_free(s->table);
    *s = (struct inc_source){0};
}

/* Where the table's column is in the rows that are read; UINT16_MAX: nowhere. */
static uint16_t selected_at(const struct snap_table *t, size_t column)
{
    for (size_t i = 0; i < t->selected; i++)
        if (t->map[i] == column)
            return (uint16_t)i;
    return UINT16_MAX;
}

/* A key with columns that may be null is none: comparisons would pass by rows without value. */
static void use_key(struct inc_source *s)
{
    struct snap_table *t = s->table;
    if (t->key_count > INC_KEY_MAX)
        return;
    for (size_t i = 0; i < t->key_count; i++) {
        s->identity[i] = selected_at(t, t->key[i]);
        if (s->identity[i] == UINT16_MAX || cdc_table_column(t->table, t->key[i])->schema.optional)
            return;
    }
    s->identity_count = t->key_count;
}

static int use_surrogate(struct inc_source *s, const char *name, struct err *e)
{
    struct snap_table *t = s->table;
    for (size_t i = 0; i < t->selected; i++)
        if (strcmp(cdc_table_column(t->table, t->map[i])->name, name) == 0) {
            s->key[0] = (uint16_t)i;
            s->key_count = 1;
            s->ties = true;
            if (!s->identity_count)
                s->identity[s->identity_count++] = (uint16_t)i;
            return ERR_OK;
        }
    return err_set(e, ERR_INVALID, "table %s has no column \"%s\" to be read by (surrogate-key)", t->id,
                   name);
}

static int compile(struct pg_task *t, PGconn *sql, const PGresult *r, const char *id, const char *surrogate,
                   struct inc_source *s, struct err *e)
{
    s->table = mem_calloc(1, sizeof *s->table);
    if (!s->table)
        return err_nomem(e);
    s->oid = s->table->oid = (uint32_t)strtoul(PQgetvalue(r, 0, 0), NULL, 10);
    s->partitioned = PQgetvalue(r, 0, 1)[0] == 't';
    s->table->schema = mem_strdup(PQgetvalue(r, 0, 2));
    s->table->name = mem_strdup(PQgetvalue(r, 0, 3));
    s->table->id = mem_strdup(id);
    s->table->all_columns = surrogate != NULL; /* the column may be one that events do not have */
    if (!s->table->schema || !s->table->name || !s->table->id)
        return err_nomem(e);
    snprintf(s->version, sizeof s->version, "%s", PQgetvalue(r, 0, 4));
    int rc = snap_table_describe(t, sql, s->table, e);
    if (rc != ERR_OK)
        return rc;
    rc = snap_table_learn(t, sql, s->table, 0, e);
    if (rc != ERR_OK)
        return rc;
    use_key(s);
    if (surrogate)
        return use_surrogate(s, surrogate, e);
    s->key_count = s->identity_count;
    memcpy(s->key, s->identity, sizeof s->key);
    return ERR_OK;
}

int inc_source_open(struct pg_task *t, PGconn *sql, const char *id, const char *surrogate,
                    struct inc_source *s, struct err *e)
{
    PGresult *r = pg_query(sql, e, "looking at a table", table_sql, 1, &id);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    if (PQntuples(r) != 1 || !cdc_captures(t->cdc, PQgetvalue(r, 0, 2), PQgetvalue(r, 0, 3)))
        rc = err_set(e, ERR_NOT_FOUND, "there is no captured table %s", id);
    else if (!s->table || strcmp(s->table->id, id) != 0 || strcmp(s->version, PQgetvalue(r, 0, 4)) != 0) {
        inc_source_close(s);
        rc = compile(t, sql, r, id, surrogate, s, e);
    }
    PQclear(r);
    if (rc != ERR_OK)
        inc_source_close(s);
    return rc;
}
