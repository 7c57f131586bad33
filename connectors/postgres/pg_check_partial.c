/*
 * pg_check_partial: tables of which the publication sends a part: some rows (a row filter) or some columns (a column list;
 * both PostgreSQL 15 on). The server leaves them out of the stream; snapshots read the table itself, and so does Debezium. Warnings,
 * as events are to be Debezium's unless somebody says otherwise. Task's thread.
 */
#include <string.h>

#include "base/mem.h"
#include "pg_check.h"
#include "pg_snapshot.h"

#define WARN(k, ...) (k)->t.host->log((k)->t.task, LEAT_WARN, __VA_ARGS__)
#define VERSION_MIN 150000
#define NAMES_BYTES 400 /* of the columns that are told */

/* What the stream goes by: of partitions the root's, where they are published by it; none where the schema is published, too. */
static const char rows_sql[] =
    "SELECT schemaname, tablename, format('%I.%I', schemaname, tablename), quote_ident(pubname), rowfilter "
    "FROM pg_publication_tables WHERE pubname = $1 AND rowfilter IS NOT NULL ORDER BY 1, 2";

/*
 * Generated columns are in neither. Not by the view's attnames, which of thousands of tables take seconds, but of tables that it has: a
 * partition that goes by its root does not go by its own list.
 */
static const char columns_sql[] =
    "SELECT n.nspname, c.relname, format('%I.%I', n.nspname, c.relname), quote_ident(b.pubname), a.attname "
    "FROM pg_publication b JOIN pg_publication_rel r ON r.prpubid = b.oid JOIN pg_class c ON c.oid = "
    "r.prrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE b.pubname = $1 AND r.prattrs IS NOT NULL AND a.attnum > 0 AND NOT a.attisdropped AND "
    "a.attgenerated = '' AND NOT a.attnum = ANY(r.prattrs) AND EXISTS (SELECT 1 FROM pg_publication_tables p "
    "WHERE p.pubname = b.pubname AND p.schemaname = n.nspname AND p.tablename = c.relname) "
    "ORDER BY 1, 2, a.attnum";

enum { SCHEMA, NAME, QUOTED, PUBLICATION, PART };

static bool is_event_table(const struct pg_check *k, const PGresult *r, int row)
{
    const char *schema = PQgetvalue(r, row, SCHEMA), *name = PQgetvalue(r, row, NAME);
    return cdc_captures(k->t.cdc, schema, name) && !cdc_is_signal_table(k->t.cdc, schema, name);
}

/* ---- rows -------------------------------------------------------------------------------------------------------- */

static int check_rows(struct pg_check *k, const PGresult *r, int row, struct err *e)
{
    const char *table = PQgetvalue(r, row, QUOTED), *filter = PQgetvalue(r, row, PART);
    char *select = NULL;
    char *id = mem_printf("%s.%s", PQgetvalue(r, row, SCHEMA), PQgetvalue(r, row, NAME));
    if (!id)
        return err_nomem(e);
    int rc = snap_override(&k->t, id, &select, e);
    if (rc == ERR_INVALID_CONFIG) { /* it is named, and its SELECT is missing */
        k->t.host->problem(k->t.task, "%s", e->text);
        rc = ERR_OK;
    } else if (rc == ERR_OK && !select)
        WARN(k,
             "the publication %s has a row filter for %s: snapshots read all of its rows, changes come of "
             "those alone "
             "where %.300s. For the same rows in both set snapshot.select.statement.overrides: %s and "
             "snapshot.select.statement.overrides.%s: SELECT * FROM %s WHERE %.300s; a signal for an "
             "incremental "
             "snapshot has the filter in additional-conditions",
             PQgetvalue(r, row, PUBLICATION), table, filter, id, id, table, filter);
    mem_free(select);
    mem_free(id);
    return rc;
}

static int check_row_filters(struct pg_check *k, struct err *e)
{
    const char *publication = k->t.host->get_str(k->t.config, "publication.name");
    PGresult *r =
        pg_query(k->t.sql, e, "cannot look at the publication's row filters", rows_sql, 1, &publication);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    for (int i = 0; i < PQntuples(r) && rc == ERR_OK; i++)
        if (is_event_table(k, r, i))
            rc = check_rows(k, r, i, e);
    PQclear(r);
    return rc;
}

/* ---- columns ----------------------------------------------------------------------------------------------------- */

static bool same_table(const PGresult *r, int a, int b)
{
    return strcmp(PQgetvalue(r, a, SCHEMA), PQgetvalue(r, b, SCHEMA)) == 0 &&
           strcmp(PQgetvalue(r, a, NAME), PQgetvalue(r, b, NAME)) == 0;
}

/* The columns of rows `from` to `end`, as the lists of columns name them. */
static int check_columns(struct pg_check *k, const PGresult *r, int from, int end, struct err *e)
{
    const char *const *items;
    bool included = k->t.host->get_list(k->t.config, "column.include.list", &items) > 0;
    struct buf b;
    buf_init(&b, 1 << 20);
    int rc = ERR_OK;
    for (int i = from; i < end && rc == ERR_OK; i++) {
        const char *schema = PQgetvalue(r, i, SCHEMA), *name = PQgetvalue(r, i, NAME),
                   *column = PQgetvalue(r, i, PART);
        if (cdc_captures_column(k->t.cdc, schema, name, column))
            rc = buf_printf(&b, e, "%s%s.%s.%s", b.len ? "," : "", schema, name, column);
    }
    if (rc == ERR_OK && b.len > 0)
        WARN(k,
             "the publication %s has a column list for %s: snapshots read columns that its changes come "
             "without. For the "
             "same columns in both %s: %.*s%s",
             PQgetvalue(r, from, PUBLICATION), PQgetvalue(r, from, QUOTED),
             included ? "take out of column.include.list" : "set column.exclude.list",
             (int)(b.len < NAMES_BYTES ? b.len : NAMES_BYTES), (const char *)b.data,
             b.len > NAMES_BYTES ? " and more" : "");
    buf_free(&b);
    return rc;
}

static int check_column_lists(struct pg_check *k, struct err *e)
{
    const char *publication = k->t.host->get_str(k->t.config, "publication.name");
    PGresult *r =
        pg_query(k->t.sql, e, "cannot look at the publication's column lists", columns_sql, 1, &publication);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    for (int i = 0, end; i < PQntuples(r) && rc == ERR_OK; i = end) {
        for (end = i + 1; end < PQntuples(r) && same_table(r, i, end);)
            end++;
        if (is_event_table(k, r, i))
            rc = check_columns(k, r, i, end, e);
    }
    PQclear(r);
    return rc;
}

int pg_check_partial(struct pg_check *k, struct err *e)
{
    if (!k->published || k->all || k->t.server.version < VERSION_MIN)
        return ERR_OK;
    int rc = check_row_filters(k, e);
    return rc ? rc : check_column_lists(k, e);
}
