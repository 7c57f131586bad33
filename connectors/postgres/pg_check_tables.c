/*
 * pg_check_tables: what is wrong with single tables: not readable, without key, of types that are not rendered, not published;
 * lists that match none; the signal table. Names come quoted from the server, so that statements can be run as they are told.
 * Task's thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg_check.h"
#include "pg_start.h"

#define TELL(k, ...) (k)->t.host->problem((k)->t.task, __VA_ARGS__)
#define NEAR_MAX 5       /* names that are offered for a list that matches none */
#define DISTANCE_MAX 127 /* characters of a name that are compared */

/* As pg_publication has it: partitions go by their root or each by itself. */
static const char tables_sql[] =
    "SELECT c.oid, n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), c.relreplident, "
    "EXISTS (SELECT 1 FROM pg_index i WHERE i.indrelid = c.oid AND i.indisprimary), "
    "has_table_privilege(c.oid, 'SELECT') OR has_any_column_privilege(c.oid, 'SELECT'), "
    "has_schema_privilege(n.oid, 'USAGE'), pg_has_role(c.relowner, 'USAGE'), "
    "EXISTS (SELECT 1 FROM pg_publication_tables p WHERE p.pubname = $1 AND p.schemaname = n.nspname AND "
    "p.tablename = "
    "c.relname), quote_ident(current_user), quote_ident($1), "
    "coalesce((SELECT string_agg(a.attname, ',') FROM pg_attribute a WHERE a.attrelid = c.oid AND "
    "a.attgenerated <> ''), ''), row_security_active(c.oid) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND "
    "c.relpersistence = 'p' "
    "AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' AND CASE WHEN $2 "
    "THEN NOT "
    "c.relispartition ELSE c.relkind = 'r' END ORDER BY 2, 3";

enum {
    OID,
    SCHEMA,
    NAME,
    QUOTED,
    IDENTITY,
    KEY,
    READABLE,
    USABLE,
    OWNED,
    PUBLISHED,
    ROLE,
    PUBLICATION,
    GENERATED,
    HIDDEN
};

static bool yes(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

/* ---- one table --------------------------------------------------------------------------------------------------- */

static void check_rights(struct pg_check *k, const PGresult *r, int row)
{
    const char *table = PQgetvalue(r, row, QUOTED), *role = PQgetvalue(r, row, ROLE);
    if (!pg_start_reads_first(&k->t))
        return;
    if (!yes(r, row, USABLE))
        TELL(k, "the role %s may not use the schema of %s: GRANT USAGE ON SCHEMA \"%s\" TO %s", role, table,
             PQgetvalue(r, row, SCHEMA), role);
    if (!yes(r, row, READABLE))
        TELL(k, "the role %s may not read %s, which the snapshot does: GRANT SELECT ON %s TO %s", role, table,
             table, role);
    if (yes(r, row, HIDDEN))
        k->t.host->log(k->t.task, LEAT_WARN,
                       "the row-level security of %s hides rows from the role %s: the snapshot has only "
                       "those that it may see, and the changes of all come: ALTER ROLE %s BYPASSRLS",
                       table, role, role);
}

/* Warnings: a run goes on, and it may be as it is meant. */
static void check_key(struct pg_check *k, const PGresult *r, int row)
{
    const char *table = PQgetvalue(r, row, QUOTED);
    char identity = PQgetvalue(r, row, IDENTITY)[0];
    if (identity == 'n' || (identity == 'd' && !yes(r, row, KEY)))
        k->t.host->log(k->t.task, LEAT_WARN,
                       "%s has %s: while it is published, UPDATE and DELETE fail there, also for other "
                       "users. ALTER TABLE %s %s",
                       table,
                       identity == 'n' ? "REPLICA IDENTITY NOTHING"
                                       : "no primary key, and its REPLICA IDENTITY is the default",
                       table,
                       identity == 'n' && yes(r, row, KEY)
                           ? "REPLICA IDENTITY DEFAULT"
                           : "ADD PRIMARY KEY (...), or ALTER TABLE ... REPLICA IDENTITY FULL");
    else if (!yes(r, row, KEY))
        k->t.host->log(k->t.task, LEAT_INFO,
                       "%s has no primary key: its events have none either, and an update is not told from "
                       "another row's",
                       table);
}

static void check_published(struct pg_check *k, const PGresult *r, int row, bool filtered)
{
    const char *table = PQgetvalue(r, row, QUOTED), *publication = PQgetvalue(r, row, PUBLICATION);
    bool made_by_us = filtered && !k->standby && (yes(r, row, OWNED) || k->owner);
    if (k->all || (k->published && yes(r, row, PUBLISHED)) || made_by_us)
        return;
    if (k->published)
        TELL(k,
             "%s is not in the publication %s, so its changes do not come: ALTER PUBLICATION %s ADD TABLE %s",
             table, publication, publication, table);
    else if (filtered)
        TELL(k, "only its owner can put %s into a publication: CREATE PUBLICATION %s FOR TABLE %s, ...",
             table, publication, table);
}

/* Of "a,b,c". */
static bool is_among(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *p = list; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        if (strcspn(p, ",") == n && memcmp(p, name, n) == 0)
            return true;
    return false;
}

static int check_types(struct pg_check *k, const PGresult *r, int row, struct err *e)
{
    struct cdc_table_spec spec = {0};
    char identity;
    uint32_t oid = (uint32_t)strtoul(PQgetvalue(r, row, OID), NULL, 10);
    const char *schema = PQgetvalue(r, row, SCHEMA), *name = PQgetvalue(r, row, NAME);
    int rc = pg_table_from_catalog(k->t.types, k->t.sql, oid, &spec, &identity, e);
    if (rc == ERR_NOT_FOUND) /* dropped meanwhile */
        return ERR_OK;
    if (rc == ERR_UNSUPPORTED || rc == ERR_INVALID_CONFIG) {
        TELL(k, "%s: %s", PQgetvalue(r, row, QUOTED), e->text);
        return ERR_OK;
    }
    for (size_t i = 0; rc == ERR_OK && i < spec.column_count; i++) {
        const struct cdc_column *c = &spec.columns[i];
        if (!c->generated || is_among(PQgetvalue(r, row, GENERATED), c->name) ||
            !cdc_captures_column(k->t.cdc, schema, name, c->name))
            continue;
        TELL(k,
             "the column %s of %s has the type %s, which is not rendered, and is left out of the events: set "
             "include.unknown.datatypes: true, name it in column.exclude.list, or ALTER TABLE %s ALTER "
             "COLUMN \"%s\" TYPE text",
             c->name, PQgetvalue(r, row, QUOTED), c->source_type ? c->source_type : "?",
             PQgetvalue(r, row, QUOTED), c->name);
    }
    cdc_table_spec_clear(&spec);
    return rc;
}

/* ---- lists that match nothing ------------------------------------------------------------------------------------ */

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Edits between two names (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
    size_t row[DISTANCE_MAX + 1], n = strlen(a), m = strlen(b);
    n = n < DISTANCE_MAX ? n : DISTANCE_MAX;
    m = m < DISTANCE_MAX ? m : DISTANCE_MAX;
    for (size_t j = 0; j <= m; j++)
        row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            size_t above = row[j];
            row[j] = min3(row[j] + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
            corner = above;
        }
    }
    return row[m];
}

/* Tables whose name is nearest to what the list says, the best first; *n of them. */
static void nearest(const PGresult *r, const char *wanted, int *best, size_t *n)
{
    size_t far[NEAR_MAX];
    *n = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        size_t d = distance(wanted, PQgetvalue(r, i, QUOTED)), at = *n;
        while (at > 0 && far[at - 1] > d)
            at--;
        if (at == NEAR_MAX)
            continue;
        size_t last = *n < NEAR_MAX ? *n : NEAR_MAX - 1;
        memmove(&far[at + 1], &far[at], (last - at) * sizeof far[0]);
        memmove(&best[at + 1], &best[at], (last - at) * sizeof best[0]);
        far[at] = d;
        best[at] = i;
        *n = last + 1;
    }
}

static int tell_none(struct pg_check *k, const PGresult *r, struct err *e)
{
    const struct leat_host *h = k->t.host;
    static const char *const lists[] = {"table.include.list", "schema.include.list", "table.exclude.list",
                                        "schema.exclude.list"};
    const char *const *items, *wanted = "", *list = NULL;
    int best[NEAR_MAX + 1];
    size_t n;
    for (size_t i = 0; i < sizeof lists / sizeof *lists && !list; i++)
        if (h->get_list(k->t.config, lists[i], &items) > 0) {
            list = lists[i];
            wanted = items[0];
        }
    nearest(r, wanted, best, &n);
    struct buf b;
    buf_init(&b, 64 << 10);
    int rc = buf_str(&b, n ? "; there are " : "; the database has no tables", e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = buf_printf(&b, e, "%s%s", i ? ", " : "", PQgetvalue(r, best[i], QUOTED));
    if (rc == ERR_OK && (size_t)PQntuples(r) > n)
        rc = buf_printf(&b, e, " and %d more", PQntuples(r) - (int)n);
    rc = rc ? rc : buf_u8(&b, 0, e);
    if (rc == ERR_OK)
        TELL(k, "no table of the database %s is captured%s%s%s%s%s%s", PQdb(k->t.sql), list ? " (" : "",
             list ? list : "", list ? ": " : "", list ? wanted : "", list ? ")" : "", (const char *)b.data);
    buf_free(&b);
    return rc;
}

/* ---- the signal table --------------------------------------------------------------------------------------------- */

/* Its three columns by their places; rights to write it, which watermarks need. */
static const char signal_sql[] =
    "SELECT c.oid IS NOT NULL, (SELECT count(*) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > "
    "0 AND NOT "
    "a.attisdropped), (SELECT count(*) FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid WHERE "
    "a.attrelid = c.oid AND "
    "a.attnum > 0 AND NOT a.attisdropped AND t.typname IN ('varchar', 'text', 'bpchar')), "
    "has_table_privilege(c.oid, 'INSERT') AND ($4 = '' OR has_table_privilege(c.oid, 'DELETE')), (SELECT "
    "puballtables OR EXISTS (SELECT 1 FROM "
    "pg_publication_tables t WHERE "
    "t.pubname = p.pubname AND t.schemaname = $1 AND t.tablename = $2) FROM pg_publication p WHERE pubname = "
    "$3), "
    "format('%I.%I', $1::text, $2::text), quote_ident($3), quote_ident(current_user) "
    "FROM (SELECT) one LEFT JOIN pg_namespace n ON n.nspname = $1 LEFT JOIN pg_class c ON c.relnamespace = "
    "n.oid AND "
    "c.relname = $2 AND c.relkind IN ('r', 'p')";

static bool deletes(const struct pg_check *k)
{
    const char *strategy = k->t.host->get_str(k->t.config, "incremental.snapshot.watermarking.strategy");
    return strcmp(strategy, "insert_delete") == 0;
}

static void judge_signals(struct pg_check *k, const PGresult *r)
{
    const char *table = PQgetvalue(r, 0, 5), *publication = PQgetvalue(r, 0, 6), *role = PQgetvalue(r, 0, 7);
    if (!yes(r, 0, 0)) {
        TELL(k,
             "there is no signal table %s: CREATE TABLE %s (id varchar(42) PRIMARY KEY, type varchar(32) NOT "
             "NULL, data "
             "varchar(2048))",
             table, table);
        return;
    }
    if (strcmp(PQgetvalue(r, 0, 1), "3") != 0 || strcmp(PQgetvalue(r, 0, 2), "3") != 0)
        TELL(k,
             "the signal table %s has not the three columns of text that it must have: DROP TABLE %s; CREATE "
             "TABLE %s (id "
             "varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048))",
             table, table, table);
    if (!k->t.host->get_bool(k->t.config, "read.only") && !k->standby && !yes(r, 0, 3))
        TELL(k,
             "the role %s may not write the signal table %s, as incremental snapshots do: GRANT INSERT%s ON "
             "%s "
             "TO %s",
             role, table, deletes(k) ? ", DELETE" : "", table, role);
    if (k->published && !yes(r, 0, 4) && k->t.host->get_int(k->t.config, "publication.autocreate.mode") != 2)
        TELL(k, "the signal table %s is not in the publication %s: ALTER PUBLICATION %s ADD TABLE %s", table,
             publication, publication, table);
}

static int check_signals(struct pg_check *k, struct err *e)
{
    const char *name = k->t.host->get_str(k->t.config, "signal.data.collection");
    const char *dot = name ? strchr(name, '.') : NULL;
    if (!name || !*name)
        return ERR_OK;
    if (!dot) {
        TELL(k, "signal.data.collection: '%s' is not schema.table", name);
        return ERR_OK;
    }
    char *schema = mem_strndup(name, (size_t)(dot - name));
    if (!schema)
        return err_nomem(e);
    const char *params[] = {schema, dot + 1, k->t.host->get_str(k->t.config, "publication.name"),
                            deletes(k) ? "deletes" : ""};
    PGresult *r = pg_query(k->t.sql, e, "cannot look at the signal table", signal_sql, 4, params);
    mem_free(schema);
    if (!r)
        return e->code;
    judge_signals(k, r);
    PQclear(r);
    return ERR_OK;
}

/* ---- all --------------------------------------------------------------------------------------------------------- */

int pg_check_tables(struct pg_check *k, struct err *e)
{
    const struct leat_host *h = k->t.host;
    const char *params[] = {h->get_str(k->t.config, "publication.name"), k->by_root ? "true" : "false"};
    bool filtered = h->get_int(k->t.config, "publication.autocreate.mode") == 2;
    PGresult *r = pg_query(k->t.sql, e, "cannot list the tables", tables_sql, 2, params);
    if (!r)
        return e->code;
    int rc = ERR_OK, captured = 0;
    for (int i = 0; i < PQntuples(r) && rc == ERR_OK; i++) {
        const char *schema = PQgetvalue(r, i, SCHEMA), *name = PQgetvalue(r, i, NAME);
        if (!cdc_captures(k->t.cdc, schema, name) || cdc_is_signal_table(k->t.cdc, schema, name))
            continue;
        captured++;
        check_rights(k, r, i);
        check_key(k, r, i);
        check_published(k, r, i, filtered);
        rc = check_types(k, r, i, e);
    }
    if (rc == ERR_OK && captured == 0)
        rc = tell_none(k, r, e);
    PQclear(r);
    return rc ? rc : check_signals(k, e);
}
