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

/*
 * Partitions are published by their root, or each by itself. $1: the publication, $2: whether by the root. It sends changes of a table
 * that it names, and of those in a schema that it names.
 */
static const char tables_sql[] =
    "SELECT n.nspname, c.relname, p.tablename IS NOT NULL, EXISTS (SELECT 1 FROM pg_publication_rel r JOIN "
    "pg_publication pub ON pub.oid = r.prpubid WHERE pub.pubname = $1 AND r.prrelid = c.oid) FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_publication_tables p ON p.pubname = $1 AND p.schemaname = n.nspname AND p.tablename = "
    "c.relname "
    "WHERE c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND n.nspname NOT IN ('pg_catalog', "
    "'information_schema') AND n.nspname !~ '^pg_toast' AND CASE WHEN $2 THEN NOT c.relispartition "
    "ELSE c.relkind = 'r' END ORDER BY 1, 2";

enum { SCHEMA, NAME, PUBLISHED, NAMED };

/* Of the tables: what is captured; of that, what is not published; what the publication names and is not captured. */
enum which { CAPTURED, MISSING, SURPLUS };

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

static bool is_one(struct pg_task *t, const PGresult *r, int row, enum which which)
{
    bool captured = cdc_captures(t->cdc, PQgetvalue(r, row, SCHEMA), PQgetvalue(r, row, NAME));
    if (which == SURPLUS)
        return !captured && PQgetvalue(r, row, NAMED)[0] == 't';
    return captured && (which == CAPTURED || PQgetvalue(r, row, PUBLISHED)[0] != 't');
}

/* Appends them. */
static int add_tables(struct pg_task *t, bool by_root, enum which which, struct buf *b, size_t *count,
                      struct err *e)
{
    PGresult *r = list_tables(t, by_root, e);
    int rc = r ? ERR_OK : e->code;
    *count = 0;
    for (int i = 0; rc == ERR_OK && i < PQntuples(r); i++)
        if (is_one(t, r, i, which))
            rc = add_table(b, (*count)++ == 0, PQgetvalue(r, i, SCHEMA), PQgetvalue(r, i, NAME), e);
    PQclear(r);
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
    bool standby = t->server.timeline == 0, retriable = e->retriable;
    if (e->code == ERR_PERMISSION || standby)
        err_set(e, e->code, "%.400s; let somebody who may do it run%s: %.300s", e->text,
                standby ? " on the primary of this standby" : "", sql);
    e->retriable = retriable;
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
    if (rc == ERR_OK && mode == FILTERED)
        rc = add_tables(t, via_root(t), CAPTURED, &b, &count, e);
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

static int write_alter(struct pg_task *t, bool by_root, enum which which, struct buf *b, size_t *count,
                       struct err *e)
{
    int rc = buf_str(b, "ALTER PUBLICATION ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, publication(t), e);
    if (rc == ERR_OK)
        rc = buf_str(b, which == SURPLUS ? " DROP TABLE" : " ADD TABLE", e);
    return rc == ERR_OK ? add_tables(t, by_root, which, b, count, e) : rc;
}

/* Somebody else may want them: another reader of the publication, for one. */
static int tell_surplus(struct pg_task *t, bool by_root, struct err *e)
{
    struct buf b;
    size_t count = 0;
    buf_init(&b, STATEMENT_BYTES);
    int rc = write_alter(t, by_root, SURPLUS, &b, &count, e);
    if (rc == ERR_OK && count > 0)
        t->host->log(
            t->task, LEAT_INFO,
            "%zu tables of the publication are not captured, their changes are sent and left out. If "
            "nobody else wants them: %.*s",
            count, (int)(b.len < 400 ? b.len : 400), (const char *)b.data);
    buf_free(&b);
    return rc;
}

static int complete(struct pg_task *t, enum autocreate mode, bool by_root, struct err *e)
{
    struct buf b;
    size_t count = 0;
    buf_init(&b, STATEMENT_BYTES);
    int rc = write_alter(t, by_root, MISSING, &b, &count, e);
    if (rc == ERR_OK && count > 0) {
        if (mode == FILTERED)
            rc = run(t, &b, e);
        else
            t->host->log(t->task, LEAT_WARN,
                         "%zu captured tables are not in the publication, their changes do not come: %.*s",
                         count, (int)(b.len < 400 ? b.len : 400), (const char *)b.data);
    }
    buf_free(&b);
    return rc == ERR_OK && mode == FILTERED ? tell_surplus(t, by_root, e) : rc;
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
