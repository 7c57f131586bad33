/*
 * pg_catalog: tables as the catalog or a relation message has them, made into struct cdc_table_spec. Task's thread.
 *
 * A relation message tells names and types as of the change; nullability, defaults, the key's order and the types' particulars
 * come from the catalog as it is now, for columns that are still there under their name and with their type. Where the
 * message says which columns are the primary key (replica identity default), it is believed over a catalog that has moved on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg_column.h"
#include "pg_conn.h"
#include "pg_types.h"

static const char table_sql[] =
    "select n.nspname, c.relname, c.relreplident from pg_catalog.pg_class c "
    "join pg_catalog.pg_namespace n on n.oid = c.relnamespace where c.oid = $1::oid";

/*
 * A default has no columns in it, so pg_get_expr needs no table: with one it makes a list of unique names of all columns for each default.
 * The join would be of each column with each default where the catalog was not analyzed of late.
 */
static const char columns_sql[] =
    "select a.attname, a.atttypid, a.atttypmod, a.attnotnull, a.attgenerated <> '', "
    "case when a.attidentity = '' and a.attgenerated = '' then (select pg_catalog.pg_get_expr(d.adbin, 0) "
    "from pg_catalog.pg_attrdef d where d.adrelid = a.attrelid and d.adnum = a.attnum) end "
    "from pg_catalog.pg_attribute a "
    "where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped order by a.attnum";
enum { COL_NAME, COL_TYPE, COL_TYPMOD, COL_NOT_NULL, COL_GENERATED, COL_DEFAULT };

/* Follows domains to what they are made of; the outermost modifier counts. */
static const char types_sql[] =
    "with recursive d (root, oid, typmod) as ("
    "select t.oid, t.oid, -1 from pg_catalog.pg_type t where t.oid = any ($1::oid[]) "
    "union all select d.root, t.typbasetype, case when d.typmod >= 0 then d.typmod else t.typtypmod end "
    "from d join pg_catalog.pg_type t on t.oid = d.oid where t.typtype = 'd') "
    "select d.root, r.typname, t.oid, t.typname, t.typtype, r.typtype = 'd', d.typmod, e.oid, e.typname, "
    "e.typtype, "
    "e.typdelim, (select string_agg(l.enumlabel, ',' order by l.enumsortorder) from pg_catalog.pg_enum l "
    "where l.enumtypid = coalesce(e.oid, t.oid)) "
    "from d join pg_catalog.pg_type t on t.oid = d.oid and t.typtype <> 'd' join pg_catalog.pg_type r on "
    "r.oid = d.root "
    "left join pg_catalog.pg_type e on e.typarray = t.oid";
enum {
    TYPE_ROOT,
    TYPE_NAME,
    TYPE_OID,
    TYPE_BASE,
    TYPE_TYPTYPE,
    TYPE_DOMAIN,
    TYPE_TYPMOD,
    TYPE_ELEMENT,
    TYPE_ELEMENT_NAME,
    TYPE_ELEMENT_TYPTYPE,
    TYPE_DELIMITER,
    TYPE_LABELS,
};

/* The primary key, or the first unique index (as the JDBC driver lists them) over whole columns and all rows. */
static const char key_sql[] =
    "select a.attname, x.indisprimary from ("
    "select i.indrelid, i.indkey, i.indnkeyatts, i.indisprimary from pg_catalog.pg_index i "
    "join pg_catalog.pg_class c on c.oid = i.indexrelid where i.indrelid = $1::oid and i.indisunique and "
    "i.indisvalid "
    "and i.indpred is null and i.indexprs is null order by i.indisprimary desc, i.indisclustered desc, "
    "c.relname "
    "limit 1) x cross join lateral unnest(x.indkey::pg_catalog.int2[]) with ordinality k (attnum, place) "
    "join pg_catalog.pg_attribute a on a.attrelid = x.indrelid and a.attnum = k.attnum "
    "where k.place <= x.indnkeyatts order by k.place";
enum { KEY_NAME, KEY_PRIMARY };

/* What the catalog says of one table. */
struct found {
    PGresult *columns, *types, *key;
};

static void found_clear(struct found *f)
{
    PQclear(f->columns);
    PQclear(f->types);
    PQclear(f->key);
}

static uint32_t get_oid(const PGresult *r, int row, int column)
{
    return (uint32_t)strtoul(PQgetvalue(r, row, column), NULL, 10);
}

static bool get_bool(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

static PGresult *query_by_oid(PGconn *sql, const char *what, const char *text, uint32_t oid, struct err *e)
{
    char number[16];
    snprintf(number, sizeof(number), "%u", oid);
    const char *params[] = {number};
    return pg_query(sql, e, what, text, 1, params);
}

static int copy(char **to, const char *from, struct err *e)
{
    *to = mem_strdup(from);
    return *to ? ERR_OK : err_nomem(e);
}

/* ---- types ------------------------------------------------------------------------------------------------------ */

static int query_types(PGconn *sql, struct buf *list, PGresult **out, struct err *e)
{
    int rc = buf_append(list, "}", 2, e);
    if (rc != ERR_OK)
        return rc;
    const char *params[] = {(const char *)list->data};
    *out = pg_query(sql, e, "the types of a table", types_sql, 1, params);
    return *out ? ERR_OK : e->code;
}

static int add_type(struct buf *list, uint32_t oid, struct err *e)
{
    return buf_printf(list, e, "%c%u", list->len ? ',' : '{', oid);
}

static const char *text_of(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

/* int2vector and oidvector are base types with an element type: lists without NULL, with spaces between. */
static void set_vector(struct pg_type *t)
{
    bool numbers = t->oid == 22;
    if (!numbers && t->oid != 30)
        return;
    t->element = numbers ? 21 : 26;
    t->element_name = numbers ? "int2" : "oid";
    t->element_typtype = 'b';
    t->delimiter = ' ';
}

/* A type that was dropped since is known by its oid at most. */
static void find_type(const PGresult *r, uint32_t oid, struct pg_type *out)
{
    *out = (struct pg_type){.oid = oid,
                            .name = "unknown",
                            .base = "unknown",
                            .typtype = 'b',
                            .domain_typmod = -1,
                            .delimiter = ','};
    for (int i = 0; i < PQntuples(r); i++) {
        if (get_oid(r, i, TYPE_ROOT) != oid)
            continue;
        out->oid = get_oid(r, i, TYPE_OID);
        out->name = PQgetvalue(r, i, TYPE_NAME);
        out->base = PQgetvalue(r, i, TYPE_BASE);
        out->typtype = PQgetvalue(r, i, TYPE_TYPTYPE)[0];
        out->domain = get_bool(r, i, TYPE_DOMAIN);
        out->domain_typmod = (int32_t)strtol(PQgetvalue(r, i, TYPE_TYPMOD), NULL, 10);
        out->labels = text_of(r, i, TYPE_LABELS);
        out->element_name = text_of(r, i, TYPE_ELEMENT_NAME);
        set_vector(out);
        if (!out->element_name || out->element)
            return;
        out->element = get_oid(r, i, TYPE_ELEMENT);
        out->element_typtype = PQgetvalue(r, i, TYPE_ELEMENT_TYPTYPE)[0];
        out->delimiter = PQgetvalue(r, i, TYPE_DELIMITER)[0];
        return;
    }
}

/* ---- columns ---------------------------------------------------------------------------------------------------- */

/* One column of the spec; `row` of the catalog's columns, -1: it is not there any more. */
static int fill_column(const struct pg_types *types, const struct found *f, int row, const char *name,
                       uint32_t oid, int32_t typmod, bool key, struct cdc_column *c, struct err *e)
{
    struct pg_type type;
    bool required = key || (row >= 0 && get_bool(f->columns, row, COL_NOT_NULL));
    const char *expression = row >= 0 ? text_of(f->columns, row, COL_DEFAULT) : NULL;
    find_type(f->types, oid, &type);
    int rc = copy(&c->name, name, e);
    if (rc == ERR_OK)
        rc = pg_column_init(types, &type, typmod, !required, c, e);
    if (rc == ERR_OK && row >= 0 && get_bool(f->columns, row, COL_GENERATED))
        c->generated = true;
    return rc == ERR_OK ? pg_column_default(&type, expression, c, e) : rc;
}

/* Snapshots see the types that the JDBC driver tells: it calls an integer with a sequence serial. The stream does not. */
static int name_serial(const char *expression, struct cdc_column *c, struct err *e)
{
    static const char *const names[][2] = {
        {"INT4", "SERIAL"}, {"INT8", "BIGSERIAL"}, {"INT2", "SMALLSERIAL"}};
    if (!expression || !strstr(expression, "nextval("))
        return ERR_OK;
    for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
        if (strcmp(c->source_type, names[i][0]) == 0) {
            mem_free(c->source_type);
            c->source_type = NULL;
            return copy(&c->source_type, names[i][1], e);
        }
    return ERR_OK;
}

static int new_columns(struct cdc_table_spec *out, size_t n, struct err *e)
{
    out->columns = mem_calloc(n ? n : 1, sizeof(*out->columns));
    out->key = mem_calloc(n ? n : 1, sizeof(*out->key));
    if (!out->columns || !out->key)
        return err_nomem(e);
    out->column_count = n;
    return ERR_OK;
}

/* The column of a message as it is now: one that is generated is another one, as it would not have been sent. */
static int find_row(const PGresult *columns, const char *name, uint32_t type)
{
    for (int i = 0; i < PQntuples(columns); i++) {
        if (strcmp(PQgetvalue(columns, i, COL_NAME), name) == 0)
            return get_oid(columns, i, COL_TYPE) == type && !get_bool(columns, i, COL_GENERATED) ? i : -1;
    }
    return -1;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* The key as the catalog has it; none if one of its columns is not in the table as it was. */
static void key_of_catalog(const PGresult *key, struct cdc_table_spec *out)
{
    out->key_count = 0;
    for (int i = 0; i < PQntuples(key); i++) {
        size_t at = 0;
        while (at < out->column_count && strcmp(out->columns[at].name, PQgetvalue(key, i, KEY_NAME)) != 0)
            at++;
        if (at == out->column_count || out->columns[at].generated) {
            out->key_count = 0;
            return;
        }
        out->key[out->key_count++] = (uint32_t)at;
    }
}

static void key_of_message(const struct pgoutput *m, struct cdc_table_spec *out)
{
    out->key_count = 0;
    for (size_t i = 0; i < m->column_count; i++) {
        if (m->columns[i].key)
            out->key[out->key_count++] = (uint32_t)i;
    }
}

static bool same_columns(const struct cdc_table_spec *s, const struct pgoutput *m)
{
    size_t flagged = 0;
    for (size_t i = 0; i < m->column_count; i++)
        flagged += m->columns[i].key;
    for (size_t i = 0; i < s->key_count; i++) {
        if (!m->columns[s->key[i]].key)
            return false;
    }
    return flagged == s->key_count;
}

/*
 * With replica identity default the message's flags are the primary key, without its order, or say that there was none. A table
 * that is gone has only them, also when they are of another index.
 */
static void set_key(const struct found *f, const struct pgoutput *m, struct cdc_table_spec *out)
{
    bool gone = PQntuples(f->columns) == 0, any = false;
    bool primary = PQntuples(f->key) > 0 && get_bool(f->key, 0, KEY_PRIMARY);
    for (size_t i = 0; i < m->column_count; i++)
        any |= m->columns[i].key;
    key_of_catalog(f->key, out);
    if (m->identity == 'd' && any && !same_columns(out, m))
        key_of_message(m, out);
    else if (m->identity == 'd' && !any && primary)
        out->key_count = 0;
    else if (gone && m->identity == 'i')
        key_of_message(m, out);
}

/* ---- tables ----------------------------------------------------------------------------------------------------- */

static int find(PGconn *sql, uint32_t oid, struct found *f, struct err *e)
{
    f->columns = query_by_oid(sql, "the columns of a table", columns_sql, oid, e);
    if (f->columns)
        f->key = query_by_oid(sql, "the key of a table", key_sql, oid, e);
    return f->columns && f->key ? ERR_OK : e->code;
}

static int fill_from_catalog(const struct pg_types *types, PGconn *sql, struct found *f,
                             struct cdc_table_spec *out, struct err *e)
{
    struct buf list;
    buf_init(&list, 1 << 20);
    int n = PQntuples(f->columns), rc = new_columns(out, (size_t)n, e);
    for (int i = 0; i < n && rc == ERR_OK; i++)
        rc = add_type(&list, get_oid(f->columns, i, COL_TYPE), e);
    if (rc == ERR_OK && n > 0)
        rc = query_types(sql, &list, &f->types, e);
    buf_free(&list);
    for (int i = 0; i < n && rc == ERR_OK; i++)
        rc = fill_column(types, f, i, PQgetvalue(f->columns, i, COL_NAME), get_oid(f->columns, i, COL_TYPE),
                         (int32_t)strtol(PQgetvalue(f->columns, i, COL_TYPMOD), NULL, 10), false,
                         &out->columns[i], e);
    for (int i = 0; i < n && rc == ERR_OK; i++)
        rc = name_serial(text_of(f->columns, i, COL_DEFAULT), &out->columns[i], e);
    if (rc == ERR_OK)
        key_of_catalog(f->key, out);
    return rc;
}

int pg_table_from_catalog(struct pg_types *t, PGconn *sql, uint32_t oid, struct cdc_table_spec *out,
                          char *identity, struct err *e)
{
    struct found f = {0};
    *out = (struct cdc_table_spec){0};
    PGresult *table = query_by_oid(sql, "a table", table_sql, oid, e);
    if (!table)
        return e->code;
    int rc;
    if (PQntuples(table) == 0) {
        rc = err_set(e, ERR_NOT_FOUND, "there is no table with oid %u", oid);
    } else {
        *identity = PQgetvalue(table, 0, 2)[0];
        rc = copy(&out->db, PQdb(sql), e);
        if (rc == ERR_OK)
            rc = copy(&out->schema, PQgetvalue(table, 0, 0), e);
        if (rc == ERR_OK)
            rc = copy(&out->table, PQgetvalue(table, 0, 1), e);
    }
    PQclear(table);
    if (rc == ERR_OK)
        rc = find(sql, oid, &f, e);
    if (rc == ERR_OK)
        rc = fill_from_catalog(t, sql, &f, out, e);
    if (rc != ERR_OK && out->table)
        err_wrap(e, "table %s.%s", out->schema, out->table);
    if (rc != ERR_OK)
        cdc_table_spec_clear(out);
    found_clear(&f);
    return rc;
}

static int fill_from_message(const struct pg_types *types, PGconn *sql, struct found *f,
                             const struct pgoutput *m, struct cdc_table_spec *out, struct err *e)
{
    struct buf list;
    buf_init(&list, 1 << 20);
    int rc = new_columns(out, m->column_count, e);
    for (size_t i = 0; i < m->column_count && rc == ERR_OK; i++)
        rc = add_type(&list, m->columns[i].type, e);
    if (rc == ERR_OK && m->column_count > 0)
        rc = query_types(sql, &list, &f->types, e);
    buf_free(&list);
    for (size_t i = 0; i < m->column_count && rc == ERR_OK; i++) {
        const struct pgoutput_column *c = &m->columns[i];
        bool primary = m->identity == 'd' && c->key;
        rc = fill_column(types, f, find_row(f->columns, c->name, c->type), c->name, c->type, c->typmod,
                         primary, &out->columns[i], e);
    }
    if (rc == ERR_OK)
        set_key(f, m, out);
    return rc;
}

int pg_table_from_relation(struct pg_types *t, PGconn *sql, const struct pgoutput *relation,
                           struct cdc_table_spec *out, struct err *e)
{
    struct found f = {0};
    *out = (struct cdc_table_spec){0};
    int rc = copy(&out->db, PQdb(sql), e);
    if (rc == ERR_OK)
        rc = copy(&out->schema, relation->schema, e);
    if (rc == ERR_OK)
        rc = copy(&out->table, relation->name, e);
    if (rc == ERR_OK)
        rc = find(sql, relation->relation, &f, e);
    if (rc == ERR_OK)
        rc = fill_from_message(t, sql, &f, relation, out, e);
    if (rc != ERR_OK) {
        err_wrap(e, "table %s.%s", relation->schema, relation->name);
        cdc_table_spec_clear(out);
    }
    found_clear(&f);
    return rc;
}
