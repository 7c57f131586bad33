/*
 * pg_snapshot_table: a table made ready to be read: its columns, what is selected of them, how large its pieces are, and the
 * statements that read them. Task's thread.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "pg_copy.h"
#include "pg_snapshot.h"
#include "pg_unchanged.h"

#define ROWS_A_BLOCK 64 /* where the table was never analyzed */

/* ---- what is selected --------------------------------------------------------------------------------------------- */

static bool in_key(const struct cdc_table_spec *spec, size_t column)
{
    for (size_t i = 0; i < spec->key_count; i++)
        if (spec->key[i] == column)
            return true;
    return false;
}

/* Columns that no event has need not be read; message.key.columns may name some of them as keys. */
static bool is_needed(struct pg_task *task, const struct snap_table *t, const struct cdc_table_spec *spec,
                      size_t i)
{
    const struct cdc_column *c = &spec->columns[i];
    if (c->generated)
        return false;
    return t->all_columns || cdc_captures_column(task->cdc, spec->schema, spec->table, c->name) ||
           in_key(spec, i) || task->host->is_set(task->config, "message.key.columns");
}

static int select_columns(struct pg_task *task, struct snap_table *t, const struct cdc_table_spec *spec,
                          struct err *e)
{
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    int rc = buf_reserve(&b, 1, e);
    for (size_t i = 0; i < spec->column_count && rc == ERR_OK; i++) {
        if (!is_needed(task, t, spec, i))
            continue;
        t->map[t->selected++] = (uint16_t)i;
        rc = buf_str(&b, ", ", e);
        if (rc == ERR_OK)
            rc = pg_quote_name(&b, spec->columns[i].name, e);
    }
    if (rc == ERR_OK && !(t->columns = mem_strndup((const char *)b.data, b.len)))
        rc = err_nomem(e);
    buf_free(&b);
    return rc;
}

static uint16_t find_column(const struct cdc_table_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->column_count; i++)
        if (strcmp(spec->columns[i].name, name) == 0 && !spec->columns[i].generated)
            return (uint16_t)i;
    return UINT16_MAX;
}

/* The columns of a SELECT of the user's go by their names. */
static int describe_select(struct pg_task *task, PGconn *c, struct snap_table *t,
                           const struct cdc_table_spec *spec, struct err *e)
{
    char *sql = mem_printf("SELECT * FROM (%s\n) leat_rows LIMIT 0" /* it may end in a comment */, t->select);
    if (!sql)
        return err_nomem(e);
    PGresult *r = pg_query(c, e, "describing the table's SELECT", sql, 0, NULL);
    mem_free(sql);
    if (!r)
        return err_wrap(e, "table %s", t->id);
    int n = PQnfields(r);
    for (int i = 0; i < n && i < PG_COLUMNS_MAX; i++) {
        uint16_t column = find_column(spec, PQfname(r, i));
        t->map[t->selected++] = column;
        if (column == UINT16_MAX)
            task->host->log(
                task->task, LEAT_WARN,
                "snapshot: the SELECT for %s has a column \"%s\", which the table has not: left out", t->id,
                PQfname(r, i));
    }
    PQclear(r);
    return ERR_OK;
}

char *snap_select_dup(const char *select)
{
    size_t n = strlen(select);
    while (n > 0 && strchr("; \t\r\n", select[n - 1]))
        n--;
    return mem_strndup(select, n);
}

int snap_override(struct pg_task *t, const char *id, char **out, struct err *e)
{
    const char *const *items;
    size_t n = t->host->get_list(t->config, "snapshot.select.statement.overrides", &items);
    *out = NULL;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(items[i], id) != 0)
            continue;
        char *name = mem_printf("snapshot.select.statement.overrides.%s", id);
        if (!name)
            return err_nomem(e);
        const char *select = t->host->get_str(t->config, name);
        int rc = ERR_OK;
        if (!select)
            rc = err_set(e, ERR_INVALID_CONFIG,
                         "snapshot.select.statement.overrides names %s, and there is no option \"%s\"", id,
                         name);
        else if (!(*out = snap_select_dup(select)))
            rc = err_nomem(e);
        mem_free(name);
        return rc;
    }
    return ERR_OK;
}

/* ---- sizes -------------------------------------------------------------------------------------------------------- */

/* The file that the snapshot saw, the one there is now, and their sizes. */
static const char size_sql[] =
    "SELECT relfilenode, pg_relation_filenode(oid), pg_relation_size(oid), pg_table_size(oid), reltuples, "
    "relpages, has_table_privilege(oid, 'SELECT'), row_security_active(oid) FROM pg_class WHERE oid = $1";

static double number(const PGresult *r, int column)
{
    return PQgetisnull(r, 0, column) ? 0 : strtod(PQgetvalue(r, 0, column), NULL);
}

/* Pieces of about chunk_rows. What is stored out of line (TOAST) counts for the blocks whose rows it belongs to. */
static void set_chunks(struct pg_snapshot *s, struct snap_part *p, const PGresult *r)
{
    double file = number(r, 2), all = number(r, 3), rows = number(r, 4), pages = number(r, 5);
    p->blocks = (uint64_t)file / s->block_bytes;
    /* A right to read some columns does not cover ctid. */
    p->heap = p->heap && PQgetvalue(r, 0, 6)[0] == 't';
    if (!p->heap || !p->blocks)
        return;
    p->block_rows = rows > 0 && pages > 0 ? rows / pages : ROWS_A_BLOCK;
    p->block_bytes = all / (double)p->blocks;
    double blocks = (double)s->chunk_rows / p->block_rows;
    p->chunk_blocks = blocks < 1 ? 1 : (uint64_t)blocks;
}

/* Rows that a policy hides are not in what the server answers, and nothing else tells of them. */
static void warn_of_policies(struct pg_snapshot *s, const struct snap_part *p, const PGresult *r)
{
    if (PQgetvalue(r, 0, 7)[0] == 't')
        s->t->host->log(s->t->task, LEAT_WARN,
                        "snapshot of %s.%s: row-level security hides rows from the role %s, though their "
                        "changes come: ALTER ROLE %s BYPASSRLS",
                        p->schema, p->name, PQuser(s->sql), PQuser(s->sql));
}

static int measure(struct pg_snapshot *s, struct snap_table *t, struct snap_part *p, struct err *e)
{
    char oid[16];
    const char *param = oid;
    snprintf(oid, sizeof oid, "%u", p->oid);
    PGresult *r = pg_query(s->sql, e, "reading a table's size", size_sql, 1, &param);
    if (!r)
        return err_wrap(e, "table %s.%s", p->schema, p->name);
    int rc = ERR_OK;
    if (PQntuples(r) != 1 || PQgetisnull(r, 0, 1)) {
        rc = err_set(e, ERR_NOT_FOUND, "table %s.%s was dropped while the snapshot was taken", p->schema,
                     p->name);
        e->retriable = true;
    } else {
        p->filenode = (uint32_t)number(r, 0);
        set_chunks(s, p, r);
        if (!t->select)
            warn_of_policies(s, p, r);
    }
    PQclear(r);
    if (rc == ERR_OK && t->select)
        p->heap = false;
    return rc == ERR_OK ? snap_state_load(s, p, e) : rc;
}

/* ---- compiling ---------------------------------------------------------------------------------------------------- */

void snap_table_release(struct snap_table *t)
{
    pg_unchanged_view_free(t->unchanged);
    t->unchanged = NULL;
    if (t->table)
        cdc_table_free(t->table);
    t->table = NULL;
    mem_free(t->map);
    t->map = NULL;
    t->selected = 0;
    mem_free(t->key);
    t->key = NULL;
    t->key_count = 0;
    mem_free(t->columns);
    t->columns = NULL;
    mem_free(t->raw);
    t->raw = NULL;
    mem_free(t->rows_cells[0]);
    t->rows_cells[0] = t->rows_cells[1] = NULL;
}

static int make_cells(struct snap_table *t, size_t columns, struct err *e)
{
    t->raw = mem_calloc(t->selected + 1, sizeof *t->raw);
    t->rows_cells[0] = mem_calloc(2 * columns + 1, sizeof *t->raw);
    if (!t->raw || !t->rows_cells[0])
        return err_nomem(e);
    t->rows_cells[1] = t->rows_cells[0] + columns;
    for (size_t i = 0; i < 2 * columns; i++) /* what is not selected stays so */
        t->rows_cells[0][i].state = CDC_ABSENT;
    return ERR_OK;
}

/* The key's columns, which are the table's own: those that message.key.columns names are of events only. */
static int copy_key(struct snap_table *t, const struct cdc_table_spec *spec, struct err *e)
{
    t->key = mem_calloc(spec->key_count + 1, sizeof *t->key);
    if (!t->key)
        return err_nomem(e);
    t->key_count = spec->key_count;
    for (size_t i = 0; i < spec->key_count; i++)
        t->key[i] = (uint16_t)spec->key[i];
    return ERR_OK;
}

int snap_table_describe(struct pg_task *task, PGconn *c, struct snap_table *t, struct err *e)
{
    struct cdc_table_spec spec = {0};
    char identity;
    int rc = pg_table_from_catalog(task->types, c, t->oid, &spec, &identity, e);
    if (rc != ERR_OK)
        return err_wrap(e, "table %s", t->id);
    size_t columns = spec.column_count;
    t->map = mem_calloc(PG_COLUMNS_MAX, sizeof *t->map);
    if (!t->map)
        rc = err_nomem(e);
    if (rc == ERR_OK)
        rc = t->select ? describe_select(task, c, t, &spec, e) : select_columns(task, t, &spec, e);
    if (rc == ERR_OK)
        rc = copy_key(t, &spec, e);
    if (rc == ERR_OK)
        rc = make_cells(t, columns, e);
    if (rc == ERR_OK && !(t->table = cdc_table_new(task->cdc, &spec, e)))
        rc = e->code;
    cdc_table_spec_clear(&spec);
    return rc;
}

int snap_table_learn(struct pg_task *task, PGconn *c, struct snap_table *t, uint64_t as_of, struct err *e)
{
    struct pg_unchanged_view *v = NULL;
    if (!task->unchanged || t->select)
        return ERR_OK;
    int rc = pg_unchanged_table(task->unchanged, c, t->oid, t->table, as_of, &v, e);
    if (rc == ERR_OK && pg_unchanged_learns(v))
        t->unchanged = v;
    else
        pg_unchanged_view_free(v);
    return rc;
}

int snap_table_compile(struct pg_snapshot *s, struct snap_table *t, struct err *e)
{
    int rc = snap_table_describe(s->t, s->sql, t, e);
    if (rc == ERR_OK)
        rc = snap_table_learn(s->t, s->sql, t, s->as_of, e);
    t->rows = 0;
    for (size_t i = 0; i < t->part_count && rc == ERR_OK; i++) {
        rc = measure(s, t, &t->parts[i], e);
        t->rows += t->parts[i].rows;
    }
    return rc;
}

/* ---- rows --------------------------------------------------------------------------------------------------------- */

int snap_table_cells(const struct snap_table *t, char *row, char *end, struct cdc_cell *raw,
                     struct cdc_cell *cells, char **next, struct err *e)
{
    int rc = pg_copy_split(row, end, raw, t->selected + 1, next, e);
    for (size_t i = 0; i < t->selected && rc == ERR_OK; i++)
        if (t->map[i] != UINT16_MAX)
            cells[t->map[i]] = raw[i + 1];
    return rc;
}

/* ---- statements --------------------------------------------------------------------------------------------------- */

/* A statement up to its WHERE. */
static int select_from(struct buf *b, const struct snap_table *t, const struct snap_part *p, struct err *e)
{
    if (t->select)
        return buf_printf(b, e, "COPY (SELECT NULL, leat_rows.* FROM (%s\n) leat_rows", t->select);
    int rc = buf_printf(b, e, "COPY (SELECT %s%s FROM ONLY ", p->heap ? "ctid" : "NULL", t->columns);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, p->schema, e);
    if (rc == ERR_OK)
        rc = buf_u8(b, '.', e);
    return rc == ERR_OK ? pg_quote_name(b, p->name, e) : rc;
}

static char *finish(struct buf *b, int rc, struct err *e)
{
    char *sql = NULL;
    if (rc == ERR_OK)
        rc = buf_str(b, ") TO STDOUT", e);
    if (rc == ERR_OK && !(sql = mem_strndup((const char *)b->data, b->len)))
        err_nomem(e);
    buf_free(b);
    return sql;
}

char *snap_table_sql(const struct snap_table *t, const struct snap_part *p, uint64_t from, uint64_t to,
                     struct err *e)
{
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    int rc = select_from(&b, t, p, e);
    if (rc == ERR_OK && p->heap) {
        if (p->tuple && from <= p->block)
            rc = buf_printf(&b, e, " WHERE ctid > '(%" PRIu32 ",%" PRIu32 ")'", p->block, p->tuple);
        else
            rc = buf_printf(&b, e, " WHERE ctid >= '(%" PRIu64 ",0)'", from);
        if (rc == ERR_OK && to)
            rc = buf_printf(&b, e, " AND ctid < '(%" PRIu64 ",0)'", to);
    }
    return finish(&b, rc, e);
}

/*
 * xmin has 32 bits; those above are the ones of the newest transaction, or one less where it would lie in the future. Of rows
 * frozen long ago that may make them look changed: they come again, which does no harm.
 */
char *snap_table_changed_sql(const struct pg_snapshot *s, const struct snap_table *t,
                             const struct snap_part *p, struct err *e)
{
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    uint64_t epoch = s->xmax & ~(uint64_t)UINT32_MAX;
    int rc = select_from(&b, t, p, e);
    if (rc == ERR_OK)
        rc = buf_printf(&b, e,
                        " WHERE ctid <= '(%" PRIu32 ",%" PRIu32 ")' AND xmin::text::bigint + %" PRIu64
                        " - CASE WHEN xmin::text::bigint + %" PRIu64 " >= %" PRIu64
                        " THEN 4294967296 ELSE 0 END >= %" PRIu64,
                        p->block, p->tuple, epoch, epoch, s->xmax, p->xmin);
    return finish(&b, rc, e);
}
