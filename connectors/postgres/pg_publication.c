/*
 * pg_publication: which tables' changes the server sends: made if the mode says so, else looked at.
 */
#include <stdio.h>
#include <string.h>

#include "pg_setup.h"

#define STATEMENT_BYTES (16 << 20)
#define TRIES 10 /* each meets what somebody else did in between */

enum autocreate { ALL_TABLES, DISABLED, FILTERED, NO_TABLES }; /* as the choices of the option */

static const char *publication(const struct pg_task *t)
{
    return t->host->get_str(t->config, "publication.name");
}

static bool via_root(const struct pg_task *t)
{
    return t->host->get_bool(t->config, "publish.via.partition.root");
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

/* Partitions are published by their root, or each by itself. $1: the publication, $2: whether by the root. */
static const char tables_sql[] = "SELECT n.nspname, c.relname, p.tablename IS NOT NULL FROM pg_class c JOIN "
                                 "pg_namespace n ON n.oid = c.relnamespace "
                                 "LEFT JOIN pg_publication_tables p ON p.pubname = $1 AND p.schemaname = "
                                 "n.nspname AND p.tablename = c.relname "
                                 "WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT "
                                 "IN ('pg_catalog', 'information_schema') "
                                 "AND n.nspname !~ '^pg_toast' AND CASE WHEN $2 THEN NOT c.relispartition "
                                 "ELSE c.relkind = 'r' END ORDER BY 1, 2";

static PGresult *list_tables(struct pg_task *t, bool by_root, struct err *e)
{
    const char *params[] = {publication(t), by_root ? "true" : "false"};
    return pg_query(t->sql, e, "cannot list the tables", tables_sql, 2, params);
}

static int add_table(struct buf *b, bool first, const char *schema, const char *table, struct err *e)
{
    int rc = buf_str(b, first ? " " : ", ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, schema, e);
    if (rc == ERR_OK)
        rc = buf_u8(b, '.', e);
    return rc == ERR_OK ? pg_quote_name(b, table, e) : rc;
}

/* Appends the captured tables, of them only those that are not published yet if `missing`. */
static int add_captured(struct pg_task *t, const PGresult *r, bool missing, struct buf *b, size_t *count,
                        struct err *e)
{
    int rc = ERR_OK;
    *count = 0;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++) {
        const char *schema = PQgetvalue(r, i, 0), *table = PQgetvalue(r, i, 1);
        if (!cdc_captures(t->cdc, schema, table) || (missing && PQgetvalue(r, i, 2)[0] == 't'))
            continue;
        rc = add_table(b, (*count)++ == 0, schema, table, e);
    }
    return rc;
}

/*
 * Runs it; what is lacking is mostly a right, and then somebody else has to run it. ERR_EXISTS: somebody else made it, or added one of
 * the tables, just now; nothing of it was done.
 */
static int run(struct pg_task *t, struct buf *b, struct err *e)
{
    if (buf_u8(b, '\0', e) != ERR_OK)
        return e->code;
    const char *sql = (const char *)b->data;
    PGresult *r = pg_query(t->sql, e, "cannot set up the publication", sql, 0, NULL);
    PQclear(r);
    if (r)
        return ERR_OK;
    if (e->code == ERR_PERMISSION)
        return err_set(e, ERR_PERMISSION, "%.400s; let somebody who may do it run: %.300s", e->text, sql);
    return e->code;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

static int create(struct pg_task *t, enum autocreate mode, struct err *e)
{
    struct buf b;
    size_t count = 1;
    buf_init(&b, STATEMENT_BYTES);
    int rc = buf_str(&b, "CREATE PUBLICATION ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(&b, publication(t), e);
    if (rc == ERR_OK && mode != NO_TABLES)
        rc = buf_str(&b, mode == ALL_TABLES ? " FOR ALL TABLES" : " FOR TABLE", e);
    if (rc == ERR_OK && mode == FILTERED) {
        PGresult *r = list_tables(t, via_root(t), e);
        rc = r ? add_captured(t, r, false, &b, &count, e) : e->code;
        PQclear(r);
    }
    if (rc == ERR_OK && count == 0)
        rc = err_set(e, ERR_INVALID_CONFIG,
                     "publication.autocreate.mode is filtered, but no table of the database is captured by "
                     "the include and "
                     "exclude lists");
    if (rc == ERR_OK && via_root(t))
        rc = buf_str(&b, " WITH (publish_via_partition_root = true)", e);
    if (rc == ERR_OK)
        rc = run(t, &b, e);
    buf_free(&b);
    return rc;
}

/* ---- an existing one -------------------------------------------------------------------------------------------- */

static int complete(struct pg_task *t, enum autocreate mode, bool by_root, struct err *e)
{
    struct buf b;
    size_t count = 0;
    buf_init(&b, STATEMENT_BYTES);
    int rc = buf_str(&b, "ALTER PUBLICATION ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(&b, publication(t), e);
    if (rc == ERR_OK)
        rc = buf_str(&b, " ADD TABLE", e);
    PGresult *r = rc == ERR_OK ? list_tables(t, by_root, e) : NULL;
    rc = r ? add_captured(t, r, true, &b, &count, e) : e->code;
    PQclear(r);
    if (rc == ERR_OK && count > 0) {
        if (mode == FILTERED)
            rc = run(t, &b, e);
        else
            t->host->log(t->task, LEAT_WARN,
                         "%zu captured tables are not in the publication, their changes do not come: %.*s",
                         count, (int)(b.len < 400 ? b.len : 400), (const char *)b.data);
    }
    buf_free(&b);
    return rc;
}

enum { ALL, INSERTS, UPDATES, DELETES, TRUNCATES, ROOT };

static int check(struct pg_task *t, const PGresult *r, enum autocreate mode, struct err *e)
{
    static const char *const kinds[] = {
        [INSERTS] = "inserts", [UPDATES] = "updates", [DELETES] = "deletes", [TRUNCATES] = "truncates"};
    for (int i = INSERTS; i <= TRUNCATES; i++)
        if (PQgetvalue(r, 0, i)[0] != 't')
            t->host->log(t->task, LEAT_WARN,
                         "the publication %s leaves out %s: ALTER PUBLICATION %s SET (publish = 'insert, "
                         "update, delete, truncate')",
                         publication(t), kinds[i], publication(t));
    bool by_root = PQgetvalue(r, 0, ROOT)[0] == 't';
    if (by_root != via_root(t))
        t->host->log(t->task, LEAT_WARN,
                     "the publication %s says publish_via_partition_root = %s, which counts, not "
                     "publish.via.partition.root",
                     publication(t), by_root ? "true" : "false");
    return PQgetvalue(r, 0, ALL)[0] == 't' ? ERR_OK : complete(t, mode, by_root, e);
}

static int ensure(struct pg_task *t, struct err *e)
{
    enum autocreate mode = (enum autocreate)t->host->get_int(t->config, "publication.autocreate.mode");
    const char *name = publication(t);
    PGresult *r = pg_query(t->sql, e, "cannot look at the publication",
                           "SELECT puballtables, pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot "
                           "FROM pg_publication WHERE pubname = $1",
                           1, &name);
    if (!r)
        return e->code;
    int rc;
    if (PQntuples(r))
        rc = check(t, r, mode, e);
    else if (mode == DISABLED)
        rc = err_set(e, ERR_INVALID_CONFIG,
                     "there is no publication %s, and publication.autocreate.mode is disabled: CREATE "
                     "PUBLICATION %s FOR ALL TABLES",
                     name, name);
    else
        rc = create(t, mode, e);
    PQclear(r);
    return rc;
}

int pg_publication_ensure(struct pg_task *t, struct err *e)
{
    int rc = ERR_EXISTS;
    for (int i = 0; rc == ERR_EXISTS && i < TRIES; i++)
        rc = ensure(t, e);
    if (rc != ERR_EXISTS)
        return rc;
    t->host->log(t->task, LEAT_WARN, "the publication %s may lack tables: %s", publication(t), e->text);
    return ERR_OK;
}
