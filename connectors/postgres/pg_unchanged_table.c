/*
 * pg_unchanged_table: what the catalog says of a table, and since when it is known to have said so: whether values that were put
 * before the table was described anew still count (docs/design/0005-last-known-values.md). Never on the hot path.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "pg_unchanged_impl.h"

/*
 * A row for each column. The digest is of all whose change may change values, or whose they are, without a change in the stream:
 * where the table is in the trees of partitions, files and identities below it, schema, identity, publication. Each row that may
 * be made anew alike goes in by its xmin or oid. Catalog functions that do not go by the statement's snapshot are not used. The log's
 * position is looked at behind the snapshot: what the snapshot shows was committed before it.
 */
#define OBSERVE_BEGIN                                                                                        \
    "WITH RECURSIVE up (oid, edge) AS (SELECT $1::oid, ''::text UNION ALL "                                  \
    "SELECT i.inhparent, i.xmin::text FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid AND "             \
    "c.relispartition "                                                                                      \
    "JOIN pg_catalog.pg_inherits i ON i.inhrelid = up.oid), "                                                \
    "down (oid, edge) AS (SELECT $1::oid, ''::text UNION ALL "                                               \
    "SELECT i.inhrelid, i.xmin::text FROM down JOIN pg_catalog.pg_class c ON c.oid = down.oid AND "          \
    "c.relkind = "                                                                                           \
    "'p' JOIN pg_catalog.pg_inherits i ON i.inhparent = down.oid), "                                         \
    "pub AS (SELECT p.oid, p.xmin::text AS version, p.pubinsert AND p.pubupdate AND p.pubdelete AS whole "   \
    "FROM "                                                                                                  \
    "pg_catalog.pg_publication p WHERE p.pubname = $2), "                                                    \
    "key AS (SELECT x.indkey FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class c ON c.oid = x.indrelid "   \
    "WHERE "                                                                                                 \
    "x.indrelid = $1::oid AND CASE c.relreplident WHEN 'd' THEN x.indisprimary WHEN 'i' THEN "               \
    "x.indisreplident END) "                                                                                 \
    "SELECT a.attnum, a.attname, a.atttypid, "                                                               \
    "md5(concat_ws('|', "                                                                                    \
    "(SELECT string_agg(concat_ws(',', oid, edge), ';' ORDER BY oid) FROM up), "                             \
    "(SELECT string_agg(concat_ws(',', d.oid, d.edge, c.relfilenode, c.relreplident, c.relpersistence), "    \
    "';' "                                                                                                   \
    "ORDER BY d.oid) FROM down d JOIN pg_catalog.pg_class c ON c.oid = d.oid), "                             \
    "t.relnamespace, (SELECT indkey::text FROM key), (SELECT concat_ws(',', oid, version) FROM pub), "       \
    "(SELECT string_agg(r.oid::text, ',' ORDER BY r.oid) FROM pg_catalog.pg_publication_rel r WHERE "        \
    "r.prpubid "                                                                                             \
    "= (SELECT oid FROM pub) AND r.prrelid IN (SELECT oid FROM up)), "

/* A schema's tables come and go with it, which is nowhere to be seen but in the table's row. */
#define OBSERVE_SCHEMAS                                                                                      \
    "(SELECT string_agg(concat_ws(',', n.oid, t.xmin::text), ';' ORDER BY n.oid) FROM "                      \
    "pg_catalog.pg_publication_namespace n WHERE n.pnpubid = (SELECT oid FROM pub) AND n.pnnspid IN "        \
    "(SELECT "                                                                                               \
    "c.relnamespace FROM up JOIN pg_catalog.pg_class c ON c.oid = up.oid)), "

/*
 * Types whose text follows from the value alone: no enums, composites, ranges of users' types, no names of tables, roles or the
 * like. The factor is an upper bound of bytes by characters: S text, A arrays (an element of 8 bytes and 2 characters).
 */
#define OBSERVE_END                                                                                          \
    "a.attnum, a.attname, a.atttypid, a.attstorage)), "                                                      \
    "a.attlen = -1 AND a.attstorage <> 'p' AND a.attgenerated = '' AND (b.typtype = 'b' OR b.typtype IN "    \
    "('r', "                                                                                                 \
    "'m') AND b.oid < 16384) AND (b.typelem = 0 OR e.typtype = 'b') AND coalesce(e.oid, 0) NOT IN (24, "     \
    "2202, "                                                                                                 \
    "2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 1033), "                                          \
    "CASE WHEN b.typcategory = 'S' OR b.oid = 17 THEN 1 WHEN b.typcategory = 'A' THEN 8 ELSE 4 END, "        \
    "coalesce(a.attnum = ANY ((SELECT indkey FROM key)::pg_catalog.int2[]), false), "                        \
    "coalesce((SELECT whole FROM pub), false) AND (t.relkind <> 'p' OR NOT EXISTS (SELECT FROM down d JOIN " \
    "pg_catalog.pg_class c ON c.oid = d.oid WHERE c.relreplident <> 'd')), t.relreplident, "                 \
    "coalesce((SELECT option_value::bigint FROM pg_options_to_table(t.reloptions) WHERE option_name = "      \
    "'toast_tuple_target'), current_setting('block_size')::bigint / 4 - 32), "                               \
    "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END "      \
    "FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND "  \
    "NOT "                                                                                                   \
    "a.attisdropped JOIN pg_catalog.pg_type y ON y.oid = a.atttypid JOIN pg_catalog.pg_type b ON b.oid = "   \
    "CASE "                                                                                                  \
    "WHEN y.typtype = 'd' THEN y.typbasetype ELSE y.oid END LEFT JOIN pg_catalog.pg_type e ON e.oid = "      \
    "b.typelem "                                                                                             \
    "WHERE t.oid = $1::oid ORDER BY a.attnum"

static const char observe_sql[] = OBSERVE_BEGIN OBSERVE_END,
                  observe_15_sql[] = OBSERVE_BEGIN OBSERVE_SCHEMAS OBSERVE_END;

enum { NUMBER, NAME, TYPE, DIGEST, ELIGIBLE, WEIGHT, IN_KEY, WHOLE, IDENTITY, TARGET, LSN };

/* ---- tables ----------------------------------------------------------------------------------------------------------- */

#define NOTE_HEAD 8
#define NOTE_COLUMN 18

void unchanged_table_free(void *table)
{
    struct unchanged_table *t = table;
    mem_free(t->columns);
    mem_free(t);
}

/* What the store has noted: floor, then number, digest and since of each column. */
static int read_note(struct pg_unchanged *u, struct unchanged_table *t, struct err *e)
{
    size_t n;
    const uint8_t *b = u->store ? kept_noted(u->store, t->oid, &n) : NULL;
    if (!b || n < NOTE_HEAD || (n - NOTE_HEAD) % NOTE_COLUMN)
        return ERR_OK;
    size_t count = (n - NOTE_HEAD) / NOTE_COLUMN;
    t->columns = mem_calloc(count + 1, sizeof *t->columns);
    if (!t->columns)
        return err_nomem(e);
    t->floor = be64(b);
    t->count = count;
    t->used = true;
    b += NOTE_HEAD;
    for (size_t i = 0; i < count; i++, b += NOTE_COLUMN)
        t->columns[i] =
            (struct unchanged_column){.number = be16(b), .digest = be64(b + 2), .since = be64(b + 10)};
    return ERR_OK;
}

struct unchanged_table *unchanged_table_get(struct pg_unchanged *u, uint32_t oid, struct err *e)
{
    struct unchanged_table *t = map_get(u->tables, &oid, sizeof oid);
    if (t)
        return t;
    t = mem_calloc(1, sizeof *t);
    if (!t) {
        err_nomem(e);
        return NULL;
    }
    t->oid = oid;
    t->segment = u->store ? kept_seq(u->store) : 0;
    if (read_note(u, t, e) != ERR_OK || map_put(u->tables, &oid, sizeof oid, t, e) != ERR_OK) {
        unchanged_table_free(t);
        return NULL;
    }
    return t;
}

static int write_note(struct pg_unchanged *u, const struct unchanged_table *t, struct err *e)
{
    size_t n = NOTE_HEAD + t->count * NOTE_COLUMN;
    uint8_t *b = mem_alloc(n), *p = b + NOTE_HEAD;
    if (!b)
        return err_nomem(e);
    put_be64(b, t->floor);
    for (size_t i = 0; i < t->count; i++, p += NOTE_COLUMN) {
        put_be16(p, t->columns[i].number);
        put_be64(p + 2, t->columns[i].digest);
        put_be64(p + 10, t->columns[i].since);
    }
    int rc = kept_note(u->store, t->oid, b, n, e);
    mem_free(b);
    return rc;
}

/* Where the store has the note of before and maybe values, it must have the new one, or none of them. */
static void changed(struct pg_unchanged *u, const struct unchanged_table *t)
{
    struct err e;
    if (u->store && t->used && write_note(u, t, &e) != ERR_OK)
        unchanged_give_up(u, &e);
}

bool unchanged_table_use(struct pg_unchanged *u, struct unchanged_table *t)
{
    struct err e;
    if (t->used || t->refused)
        return t->used;
    int rc = write_note(u, t, &e);
    t->used = rc == ERR_OK;
    t->refused = rc == ERR_TOO_LARGE;
    if (t->refused)
        u->task->host->log(u->task->task, LEAT_WARN, "unavailable.value.fill: table %u: %s", t->oid, e.text);
    else if (rc != ERR_OK)
        unchanged_give_up(u, &e);
    return t->used;
}

void unchanged_table_forget(struct pg_unchanged *u, struct unchanged_table *t)
{
    if (!u->store)
        return;
    t->floor = kept_seq(u->store);
    changed(u, t);
}

/* ---- what the catalog says ---------------------------------------------------------------------------------------------- */

static uint64_t number(const PGresult *r, int row, int column)
{
    return strtoull(PQgetvalue(r, row, column), NULL, 10);
}

static bool is_true(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

static PGresult *observe(struct pg_unchanged *u, PGconn *sql, uint32_t oid, struct err *e)
{
    char text[16];
    const struct pg_task *t = u->task;
    snprintf(text, sizeof text, "%u", oid);
    const char *params[] = {text, t->host->get_str(t->config, "publication.name")};
    return pg_query(sql, e, "what last known values of a table depend on",
                    t->server.version >= 150000 ? observe_15_sql : observe_sql, 2, params);
}

/* Of a column as it was found; 0 is none. */
static uint64_t digest_of(const PGresult *r, int row)
{
    const char *text = PQgetvalue(r, row, DIGEST);
    uint64_t h = hash64(text, strlen(text));
    return h ? h : 1;
}

const struct unchanged_column *unchanged_column_find(const struct unchanged_table *t, uint16_t number)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->columns[i].number == number)
            return &t->columns[i];
    return NULL;
}

static int find_row(const PGresult *r, const char *name)
{
    for (int i = 0; i < PQntuples(r); i++)
        if (strcmp(PQgetvalue(r, i, NAME), name) == 0)
            return i;
    return -1;
}

static struct pg_unchanged_view *new_view(size_t cells, struct err *e)
{
    struct pg_unchanged_view *v = mem_calloc(1, sizeof *v);
    if (v)
        v->items = mem_calloc(cells + 1, sizeof *v->items);
    if (v)
        v->key = mem_calloc(cells + 1, sizeof *v->key);
    if (!v || !v->items || !v->key) {
        pg_unchanged_view_free(v);
        err_nomem(e);
        return NULL;
    }
    v->cell_count = cells;
    return v;
}

void pg_unchanged_view_free(struct pg_unchanged_view *v)
{
    if (!v)
        return;
    mem_free(v->items);
    mem_free(v->key);
    mem_free(v);
}

/* Values of the cell are kept, if the catalog has the column in this form and events show it. */
static void add_item(struct pg_unchanged_view *v, const struct cdc_table *table, const PGresult *r,
                     const char *name, uint32_t type, size_t at)
{
    int row = find_row(r, name);
    if (row < 0 || !is_true(r, row, ELIGIBLE) || (type && number(r, row, TYPE) != type) ||
        !cdc_table_shows(table, at))
        return;
    v->items[v->item_count++] = (struct unchanged_item){.at = (uint16_t)at,
                                                        .number = (uint16_t)number(r, row, NUMBER),
                                                        .row = row,
                                                        .weight = (uint8_t)number(r, row, WEIGHT)};
}

/*
 * Joins the view's columns with what is known of the table. `only`: columns that the view has not are not looked after any more.
 * *anew: something is other than before.
 */
static int join(struct pg_unchanged_view *v, struct unchanged_table *t, const PGresult *r, bool only,
                bool seen, uint64_t at, bool *anew, struct err *e)
{
    size_t others = only ? 0 : t->count;
    struct unchanged_column *list = mem_calloc(v->item_count + others + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    if (others)
        memcpy(list, t->columns, others * sizeof *list);
    size_t n = others;
    *anew = only && t->count != v->item_count;
    for (size_t i = 0; i < v->item_count; i++) {
        const struct unchanged_item *item = &v->items[i];
        const struct unchanged_column *old = unchanged_column_find(t, item->number);
        struct unchanged_column now = {
            .number = item->number, .digest = seen ? digest_of(r, item->row) : 0, .since = at};
        bool same = old && old->digest && old->digest == now.digest;
        *anew |= !same;
        if (same)
            now.since = old->since;
        list[!only && old ? (size_t)(old - t->columns) : n++] = now;
    }
    mem_free(t->columns);
    t->columns = list;
    t->count = n;
    return ERR_OK;
}

static int lsn_of(const PGresult *r, uint64_t *lsn, struct err *e)
{
    return pg_lsn_parse(PQgetvalue(r, 0, LSN), lsn)
               ? ERR_OK
               : err_set(e, ERR_REMOTE, "the server is at '%s'", PQgetvalue(r, 0, LSN));
}

/* ---- relation messages ---------------------------------------------------------------------------------------------------- */

/* Nothing is looked after any more: should it be again, what is there now must not count. */
static int leave_out(struct pg_unchanged *u, uint32_t oid, struct err *e)
{
    size_t n;
    if (!map_get(u->tables, &oid, sizeof oid) && (!u->store || !kept_noted(u->store, oid, &n)))
        return ERR_OK;
    struct unchanged_table *t = unchanged_table_get(u, oid, e);
    if (t)
        unchanged_table_forget(u, t);
    return t ? ERR_OK : e->code;
}

static int describe(struct pg_unchanged *u, const struct pgoutput *m, const struct cdc_table *table,
                    bool seen, const PGresult *r, struct pg_unchanged_view *v, struct err *e)
{
    uint64_t at;
    bool anew, there = PQntuples(r) > 0;
    for (uint16_t i = 0; i < m->column_count; i++) {
        if (m->columns[i].key)
            v->key[v->key_count++] = i;
        else if (there)
            add_item(v, table, r, m->columns[i].name, m->columns[i].type, i);
    }
    if (!there || !is_true(r, 0, WHOLE) || !v->key_count || (m->identity != 'd' && m->identity != 'i'))
        return leave_out(u, m->relation, e);
    struct unchanged_table *t = unchanged_table_get(u, m->relation, e);
    v->wide = (size_t)number(r, 0, TARGET);
    if (!t || lsn_of(r, &at, e) != ERR_OK || join(v, t, r, true, seen, at, &anew, e) != ERR_OK)
        return e->code;
    t->segment = u->store ? kept_seq(u->store) : 0;
    if (anew)
        changed(u, t);
    v->table = t;
    return ERR_OK;
}

int pg_unchanged_relation(struct pg_unchanged *u, const struct pgoutput *m, const struct cdc_table *table,
                          bool seen, struct pg_unchanged_view **out, struct err *e)
{
    if (!table)
        return leave_out(u, m->relation, e);
    struct pg_unchanged_view *v = new_view(m->column_count, e);
    PGresult *r = v ? observe(u, u->task->sql, m->relation, e) : NULL;
    int rc = r ? describe(u, m, table, seen, r, v, e) : e->code;
    PQclear(r);
    if (rc == ERR_OK)
        *out = v;
    else
        pg_unchanged_view_free(v);
    return rc;
}

/* ---- tables that are read --------------------------------------------------------------------------------------------------- */

static int read_table(struct pg_unchanged *u, uint32_t oid, const struct cdc_table *table, uint64_t as_of,
                      const PGresult *r, struct pg_unchanged_view *v, struct err *e)
{
    bool anew;
    char identity = PQntuples(r) ? PQgetvalue(r, 0, IDENTITY)[0] : 'n';
    if ((identity != 'd' && identity != 'i') || !is_true(r, 0, WHOLE))
        return ERR_OK;
    for (size_t i = 0; i < v->cell_count; i++) {
        const char *name = cdc_table_column(table, i)->name;
        int row = find_row(r, name);
        if (row >= 0 && is_true(r, row, IN_KEY))
            v->key[v->key_count++] = (uint16_t)i;
        else
            add_item(v, table, r, name, 0, i);
    }
    if (!v->key_count)
        return ERR_OK;
    struct unchanged_table *t = unchanged_table_get(u, oid, e);
    v->wide = (size_t)number(r, 0, TARGET);
    if (!t || (!as_of && lsn_of(r, &as_of, e) != ERR_OK) ||
        join(v, t, r, false, true, as_of, &anew, e) != ERR_OK)
        return e->code;
    if (anew)
        changed(u, t);
    v->table = t;
    return ERR_OK;
}

int pg_unchanged_table(struct pg_unchanged *u, PGconn *sql, uint32_t oid, const struct cdc_table *table,
                       uint64_t as_of, struct pg_unchanged_view **out, struct err *e)
{
    struct pg_unchanged_view *v = new_view(cdc_table_columns(table), e);
    PGresult *r = v ? observe(u, sql, oid, e) : NULL;
    int rc = r ? read_table(u, oid, table, as_of, r, v, e) : e->code;
    PQclear(r);
    if (rc == ERR_OK)
        *out = v;
    else
        pg_unchanged_view_free(v);
    return rc;
}
