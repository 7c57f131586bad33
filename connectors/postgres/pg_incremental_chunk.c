/*
 * pg_incremental_chunk: a table read by key, a chunk at a time, into memory; what the stream brings meanwhile is taken out of
 * it. Keys are compared by the bytes of their text, which is the same from COPY and from the stream, as their sessions have
 * the same settings. Task's thread.
 */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "pg_copy.h"
#include "pg_incremental.h"
#include "pg_query.h"

#define CHUNK_MAX (SIZE_MAX / 2) /* of the buffer; inc_read_chunk's `bytes` bounds it, and a single row */

/* ---- statements --------------------------------------------------------------------------------------------------- */

static int put(struct buf *b, int rc, const char *text, struct err *e)
{
    return rc == ERR_OK ? buf_str(b, text, e) : rc;
}

/* The key's columns with commas, each followed by `behind`. */
static int put_key(struct buf *b, int rc, const struct inc_source *s, const char *behind, struct err *e)
{
    const struct snap_table *t = s->table;
    for (size_t i = 0; i < s->key_count && rc == ERR_OK; i++) {
        rc = put(b, rc, i ? ", " : "", e);
        if (rc == ERR_OK)
            rc = pg_quote_name(b, cdc_table_column(t->table, t->map[s->key[i]])->name, e);
        rc = put(b, rc, behind, e);
    }
    return rc;
}

/* (a, b) > ('1', 'x'): literals take the types of the columns. */
static int put_comparison(struct buf *b, int rc, const struct inc_source *s, const char *operator,
                          char * const * values, struct err *e)
{
    rc = put_key(b, put(b, rc, "(", e), s, "", e);
    rc = put(b, rc, ") ", e);
    rc = put(b, rc, operator, e);
    for (size_t i = 0; i < s->key_count && rc == ERR_OK; i++) {
        rc = put(b, rc, i ? ", " : " (", e);
        if (rc == ERR_OK)
            rc = pg_quote_text(b, values[i], e);
    }
    return put(b, rc, ")", e);
}

static int put_from(struct buf *b, int rc, const struct inc_source *s, const struct inc_table *t,
                    struct err *e)
{
    rc = put(b, rc, s->partitioned ? " FROM " : " FROM ONLY ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, s->table->schema, e);
    rc = put(b, rc, ".", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, s->table->name, e);
    rc = put(b, rc, " WHERE ", e);
    if (rc == ERR_OK && t->condition)
        rc = buf_printf(b, e, "(%s) AND ", t->condition);
    return rc;
}

int inc_read_max(PGconn *sql, const struct inc_source *s, const struct inc_table *t, struct inc_progress *p,
                 struct err *e)
{
    struct buf b;
    buf_init(&b, SNAP_SQL_MAX);
    int rc = put_key(&b, put(&b, ERR_OK, "SELECT ", e), s, "", e);
    rc = put_from(&b, rc, s, t, e);
    /* Of columns that can be null, as a surrogate key's, nulls would be the largest. */
    rc = put(&b, put_key(&b, put(&b, rc, "(", e), s, "", e), ") IS NOT NULL ORDER BY ", e);
    rc = put(&b, put_key(&b, rc, s, " DESC", e), " LIMIT 1", e);
    if (rc == ERR_OK)
        rc = buf_u8(&b, '\0', e);
    PGresult *r =
        rc == ERR_OK ? pg_query(sql, e, "reading the largest key", (const char *)b.data, 0, NULL) : NULL;
    buf_free(&b);
    if (!r)
        return e->code;
    inc_progress_clear(p);
    rc = ERR_OK;
    for (size_t i = 0; PQntuples(r) == 1 && i < s->key_count && rc == ERR_OK; i++) {
        if (!(p->max[i] = mem_strdup(PQgetvalue(r, 0, (int)i))))
            rc = err_nomem(e);
        p->n = i + 1;
    }
    PQclear(r);
    return rc;
}

static int chunk_sql(struct buf *b, const struct inc_source *s, const struct inc_table *t,
                     const struct inc_progress *p, uint64_t limit, struct err *e)
{
    int rc = buf_printf(b, e, "COPY (SELECT NULL%s", s->table->columns);
    rc = put_from(b, rc, s, t, e);
    if (p->last[0]) {
        rc = put_comparison(b, rc, s, ">", p->last, e);
        rc = put(b, rc, " AND ", e);
    }
    rc = put_comparison(b, rc, s, "<=", p->max, e);
    rc = put_key(b, put(b, rc, " ORDER BY ", e), s, "", e);
    /* Rows with the same key, which a surrogate key may have, are not torn apart. */
    if (rc == ERR_OK)
        rc = buf_printf(b, e, " FETCH FIRST %" PRIu64 " ROWS WITH TIES) TO STDOUT", limit);
    return rc == ERR_OK ? buf_u8(b, '\0', e) : rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int await_input(PGconn *sql, struct err *e)
{
    int rc = pg_wait(sql, false, -1, e);
    if (rc == ERR_OK && !PQconsumeInput(sql))
        rc = pg_error(sql, NULL, "reading a chunk", e);
    return rc;
}

static int end_copy(PGconn *sql, struct err *e)
{
    int rc = ERR_OK;
    PGresult *r;
    while ((r = PQgetResult(sql))) {
        if (rc == ERR_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
            rc = pg_error(sql, r, "reading a chunk", e);
        else
            PQclear(r);
    }
    return rc;
}

/* Rows up to `bytes`, the first in any case; what is beyond is read and left out (*full). */
static int copy_rows(PGconn *sql, size_t bytes, struct inc_chunk *c, bool *full, struct err *e)
{
    *full = false;
    for (;;) {
        char *row;
        int n = PQgetCopyData(sql, &row, 1), rc = ERR_OK;
        if (n == 0)
            rc = await_input(sql, e);
        else if (n < 0)
            return n == -1 ? end_copy(sql, e) : pg_error(sql, NULL, "reading a chunk", e);
        *full = *full || (n > 0 && c->rows > 0 && c->text.len + (size_t)n > bytes);
        if (n > 0 && !*full) {
            rc = buf_append(&c->text, row, (size_t)n, e);
            c->rows++;
        }
        if (n > 0)
            PQfreemem(row);
        if (rc != ERR_OK)
            return rc;
    }
}

/* ---- identities --------------------------------------------------------------------------------------------------- */

static int put_identity(struct buf *b, const struct cdc_cell *c, struct err *e)
{
    int rc = buf_i32(b, (int32_t)c->len, e);
    return rc == ERR_OK ? buf_append(b, c->data, c->len, e) : rc;
}

/* Of rows with the same identity (a surrogate key's) only the first is known; all go with it. */
static int add_identity(struct inc_chunk *c, const struct inc_source *s, size_t row, struct buf *b,
                        struct err *e)
{
    const struct cdc_cell *cells = c->cells + row * c->columns + 1;
    int rc = ERR_OK;
    buf_reset(b);
    for (size_t i = 0; i < s->identity_count && rc == ERR_OK; i++)
        rc = put_identity(b, &cells[s->identity[i]], e);
    if (rc == ERR_OK && !map_get(c->keys, b->data, b->len))
        rc = map_put(c->keys, b->data, b->len, c->gone + row, e);
    return rc;
}

static int index_rows(struct inc_chunk *c, const struct inc_source *s, struct err *e)
{
    struct buf b;
    c->columns = s->table->selected + 1;
    c->cells = mem_calloc(c->rows * c->columns + 1, sizeof *c->cells);
    c->gone = mem_calloc(c->rows + 1, sizeof *c->gone);
    c->keys = map_new();
    if (!c->cells || !c->gone || !c->keys)
        return err_nomem(e);
    buf_init(&b, CHUNK_MAX);
    char *p = (char *)c->text.data, *end = p + c->text.len;
    int rc = ERR_OK;
    for (size_t i = 0; i < c->rows && rc == ERR_OK; i++) {
        rc = pg_copy_split(p, end, c->cells + i * c->columns, c->columns, &p, e);
        if (rc == ERR_OK)
            rc = add_identity(c, s, i, &b, e);
    }
    buf_free(&b);
    return rc;
}

static bool same_key(const struct inc_chunk *c, const struct inc_source *s, size_t a, size_t b)
{
    const struct cdc_cell *x = c->cells + a * c->columns + 1, *y = c->cells + b * c->columns + 1;
    for (size_t i = 0; i < s->key_count; i++) {
        const struct cdc_cell *p = &x[s->key[i]], *q = &y[s->key[i]];
        if (p->len != q->len || memcmp(p->data, q->data, p->len) != 0)
            return false;
    }
    return true;
}

/* Of the last key there may be more rows than were kept: they are left for the next chunk. False: there is no other key. */
static bool leave_last_key(struct inc_chunk *c, const struct inc_source *s)
{
    size_t n = c->rows - 1;
    while (n > 0 && same_key(c, s, n - 1, c->rows - 1))
        n--;
    if (n > 0)
        c->rows = n;
    return n > 0;
}

static int read_rows(PGconn *sql, const char *statement, const struct inc_source *s, size_t bytes,
                     struct inc_chunk *out, bool *full, struct err *e)
{
    inc_chunk_clear(out);
    buf_init(&out->text, CHUNK_MAX);
    PGresult *r = pg_query(sql, e, "reading a chunk", statement, 0, NULL);
    PQclear(r);
    int rc = r ? copy_rows(sql, bytes, out, full, e) : e->code;
    return rc == ERR_OK ? index_rows(out, s, e) : rc;
}

int inc_read_chunk(PGconn *sql, const struct inc_source *s, const struct inc_table *t,
                   const struct inc_progress *p, uint64_t limit, size_t bytes, struct inc_chunk *out,
                   struct err *e)
{
    struct buf b;
    bool full = false;
    buf_init(&b, SNAP_SQL_MAX);
    inc_chunk_clear(out);
    int rc = chunk_sql(&b, s, t, p, limit, e);
    if (rc == ERR_OK)
        rc = read_rows(sql, (const char *)b.data, s, bytes, out, &full, e);
    if (rc == ERR_OK && full && s->ties &&
        !leave_last_key(out, s)) /* all of one key, however large that is */
        rc = read_rows(sql, (const char *)b.data, s, CHUNK_MAX, out, &full, e);
    buf_free(&b);
    return rc;
}

/* ---- what becomes of it ------------------------------------------------------------------------------------------- */

int inc_chunk_end(const struct inc_source *s, const struct inc_chunk *c, struct inc_progress *p,
                  struct err *e)
{
    const struct cdc_cell *row = c->cells + (c->rows - 1) * c->columns + 1;
    for (size_t i = 0; i < s->key_count; i++) {
        const struct cdc_cell *cell = &row[s->key[i]];
        char *value = mem_strndup(cell->data, cell->len);
        if (!value)
            return err_nomem(e);
        mem_free(p->last[i]);
        p->last[i] = value;
    }
    return ERR_OK;
}

static const struct cdc_cell *find_cell(const struct cdc_table *table, const struct cdc_cell *cells,
                                        const char *name)
{
    size_t n = cdc_table_columns(table);
    for (size_t i = 0; i < n; i++)
        if (strcmp(cdc_table_column(table, i)->name, name) == 0)
            return cells[i].state == CDC_VALUE ? &cells[i] : NULL;
    return NULL;
}

bool inc_chunk_remove(struct inc_chunk *c, const struct inc_source *s, const struct cdc_table *table,
                      const struct cdc_cell *cells)
{
    struct buf b;
    struct err e;
    const struct snap_table *t = s->table;
    bool known = true;
    buf_init(&b, CHUNK_MAX);
    for (size_t i = 0; i < s->identity_count && known; i++) {
        const char *name = cdc_table_column(t->table, t->map[s->identity[i]])->name;
        const struct cdc_cell *cell = find_cell(table, cells, name);
        known = cell && put_identity(&b, cell, &e) == ERR_OK;
    }
    bool *gone = known ? map_get(c->keys, b.data, b.len) : NULL;
    if (gone)
        *gone = true;
    buf_free(&b);
    return known;
}

void inc_chunk_remove_all(struct inc_chunk *c)
{
    for (size_t i = 0; i < c->rows; i++)
        c->gone[i] = true;
}

void inc_chunk_clear(struct inc_chunk *c)
{
    buf_free(&c->text);
    mem_free(c->cells);
    mem_free(c->gone);
    if (c->keys)
        map_free(c->keys, NULL);
    *c = (struct inc_chunk){0};
}
