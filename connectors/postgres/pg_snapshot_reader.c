/*
 * pg_snapshot_reader: threads that read pieces of tables by COPY and make events of their rows.
 *
 * Whether a row is the first or the last of its table only the task's thread knows, and the event tells it: so the first and
 * the last row of each piece are handed on as COPY sent them, and so are all rows of tables whose events a writer cannot
 * write. A row waits until the one behind it is there.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/mem.h"
#include "pg_copy.h"
#include "pg_snapshot_pool.h"

#define WAIT_SLICE_MS 50 /* how soon a reader sees that the task is asked to stop */

/* ---- rows --------------------------------------------------------------------------------------------------------- */

/* False: the end. */
static int hand_over(struct snap_reader *r, struct snap_block *b, struct err *e)
{
    return snap_pool_hand_over(r, b) ? ERR_OK : err_set(e, ERR_INTERRUPTED, "stopped");
}

/* A block of whole rows that is handed on. */
static int hand_rows(struct snap_reader *r, struct err *e)
{
    struct snap_block *b = r->block;
    r->block = NULL;
    return b ? hand_over(r, b, e) : ERR_OK;
}

/* The row into the block, in a new one of `cap` bytes (at least of its own) if there is none with room for it. */
static int add_row(struct snap_reader *r, const char *row, size_t n, size_t cap, struct err *e)
{
    if (r->block && r->block->cap - r->block->len < n && hand_rows(r, e) != ERR_OK)
        return e->code;
    if (!r->block && !(r->block = snap_block_rows(r->pool, n > cap ? n : cap)))
        return err_nomem(e);
    memcpy(r->block->data + r->block->len, row, n);
    r->block->len += n;
    return ERR_OK;
}

/* Hands on what the writer has. */
static int hand_events(struct snap_reader *r, struct err *e)
{
    if (r->written.rows == 0)
        return ERR_OK;
    struct snap_block *b = snap_block_events(r->pool, e);
    if (!b)
        return e->code;
    const struct cdc_cell ctid = {r->written.ctid, r->written.ctid_len, CDC_VALUE};
    cdc_writer_exchange(r->writer, b->events);
    b->rows = r->written.rows;
    r->written.rows = 0;
    if (snap_chunk_moves(r->chunk) && pg_copy_ctid(&ctid, &b->at_block, &b->at_tuple, e) != ERR_OK) {
        snap_block_free(b);
        return err_wrap(e, "snapshot of %s", r->chunk->table->id);
    }
    return hand_over(r, b, e);
}

/* The text of the row's ctid: it is read for the last row that is handed on alone. */
static void keep_ctid(struct snap_reader *r)
{
    size_t n = r->raw[0].state == CDC_VALUE ? r->raw[0].len : 0;
    r->written.ctid_len = n < sizeof r->written.ctid ? n : 0;
    memcpy(r->written.ctid, r->raw[0].data, r->written.ctid_len);
}

/* The event of the row that waits. */
static int write_event(struct snap_reader *r, struct err *e)
{
    const struct snap_chunk *c = r->chunk;
    char *end = r->waiting.row + r->waiting.n, *next;
    if (snap_table_cells(c->table, r->waiting.row, end, r->raw, r->cells, &next, e) != ERR_OK)
        return err_wrap(e, "snapshot of %s", c->table->id);
    int rc = cdc_writer_add(r->writer, r->cells, e);
    if (rc == ERR_OK) {
        r->written.rows++;
        keep_ctid(r);
        rc = cdc_writer_full(r->writer) ? hand_events(r, e) : ERR_OK;
    }
    PQfreemem(r->waiting.row);
    r->waiting.row = NULL;
    return rc;
}

/* A row as it came, in a block of its own. */
static int hand_row(struct snap_reader *r, char *row, size_t n, struct err *e)
{
    int rc = add_row(r, row, n, n, e);
    PQfreemem(row);
    return rc == ERR_OK ? hand_rows(r, e) : rc;
}

/* Takes a row of libpq's over. */
static int take_row(struct snap_reader *r, char *row, size_t n, struct err *e)
{
    int rc;
    if (!r->chunk->events) {
        rc = add_row(r, row, n, SNAP_BLOCK_BYTES, e);
        PQfreemem(row);
        return rc;
    }
    if (!r->any) {
        r->any = true;
        return hand_row(r, row, n, e);
    }
    rc = r->waiting.row ? write_event(r, e) : ERR_OK;
    if (rc != ERR_OK) {
        PQfreemem(row);
        return rc;
    }
    r->waiting.row = row;
    r->waiting.n = n;
    return ERR_OK;
}

/* What is not handed on when the piece ends. */
static int hand_rest(struct snap_reader *r, struct err *e)
{
    int rc = hand_events(r, e);
    char *row = r->waiting.row;
    if (rc == ERR_OK && row) {
        r->waiting.row = NULL;
        rc = hand_row(r, row, r->waiting.n, e);
    }
    return rc == ERR_OK ? hand_rows(r, e) : rc;
}

static int begin_rows(struct snap_reader *r, struct err *e)
{
    const struct snap_chunk *c = r->chunk;
    size_t columns = cdc_table_columns(c->table->table);
    r->any = false;
    mem_free(r->raw);
    mem_free(r->cells);
    r->raw = mem_calloc(c->table->selected + 1, sizeof *r->raw);
    r->cells = mem_calloc(columns + 1, sizeof *r->cells);
    if (!r->raw || !r->cells)
        return err_nomem(e);
    for (size_t i = 0; i < columns; i++) /* what is not selected stays so */
        r->cells[i].state = CDC_ABSENT;
    cdc_writer_begin(r->writer, c->table->table, &c->at);
    return ERR_OK;
}

/* ---- a piece ------------------------------------------------------------------------------------------------------ */

static bool is_quitting(struct snap_pool *p)
{
    pthread_mutex_lock(&p->lock);
    bool quit = p->quit;
    pthread_mutex_unlock(&p->lock);
    return quit || p->t->host->stopping(p->t->task);
}

static int failed(struct snap_reader *r, PGresult *result, struct err *e)
{
    pg_error(r->conn, result, "reading a table", e);
    return err_wrap(e, "table %s", r->chunk->table->id);
}

static int await_data(struct snap_reader *r, struct err *e)
{
    cdc_writer_waited(r->writer);
    for (;;) {
        struct pollfd f = {.fd = PQsocket(r->conn), .events = POLLIN};
        if (is_quitting(r->pool))
            return err_set(e, ERR_INTERRUPTED, "stopped");
        int n = poll(&f, 1, WAIT_SLICE_MS);
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "poll");
        if (n > 0 || PQsslInUse(r->conn)) /* its layer may have read what is missing */
            return PQconsumeInput(r->conn) ? ERR_OK : failed(r, NULL, e);
    }
}

/* The command's end, or why there is none. */
static int end_copy(struct snap_reader *r, struct err *e)
{
    int rc = ERR_OK;
    PGresult *result;
    while ((result = PQgetResult(r->conn))) {
        if (rc == ERR_OK && PQresultStatus(result) != PGRES_COMMAND_OK)
            rc = failed(r, result, e);
        else
            PQclear(result);
    }
    return rc;
}

static int copy_rows(struct snap_reader *r, struct err *e)
{
    for (;;) {
        char *row;
        int n = PQgetCopyData(r->conn, &row, 1), rc;
        if (n > 0) {
            rc = take_row(r, row, (size_t)n, e);
        } else if (n == 0) {
            rc = await_data(r, e);
        } else {
            return n == -1 ? end_copy(r, e) : failed(r, NULL, e);
        }
        if (rc != ERR_OK)
            return rc;
    }
}

/*
 * A command that rewrites a table (VACUUM FULL, ALTER TABLE, TRUNCATE) after the snapshot was taken leaves it empty in the
 * snapshot. From the first read on our lock keeps such commands out, so that it is enough to look once.
 */
static int check_file(struct snap_reader *r, const struct snap_part *part, struct err *e)
{
    char oid[16];
    const char *param = oid;
    if (r->checked == part->oid)
        return ERR_OK;
    snprintf(oid, sizeof oid, "%u", part->oid);
    PGresult *result =
        pg_query(r->conn, e, "looking at a table's file",
                 "SELECT pg_relation_filenode(oid) = relfilenode FROM pg_class WHERE oid = $1", 1, &param);
    if (!result)
        return e->code;
    int rc = ERR_OK;
    if (PQntuples(result) != 1 || PQgetvalue(result, 0, 0)[0] != 't') {
        rc = err_set(
            e, ERR_REMOTE,
            "table %s.%s was rewritten or dropped while the snapshot was taken: it is read anew from another "
            "snapshot",
            part->schema, part->name);
        e->retriable = true;
    }
    PQclear(result);
    r->checked = part->oid;
    return rc;
}

/* A table or column that the snapshot's catalog has, and the statement does not find, was dropped or renamed since. */
static int not_begun(struct snap_reader *r, struct err *e)
{
    const struct snap_part *p = r->chunk->part;
    if (e->code == ERR_NOT_FOUND || e->code == ERR_INVALID)
        e->retriable = true;
    err_wrap(e, "table %s", r->chunk->table->id);
    if (e->code == ERR_PERMISSION)
        err_set(e, ERR_PERMISSION,
                "%.400s: GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT ON \"%s\".\"%s\" TO \"%s\"",
                e->text, p->schema, PQuser(r->conn), p->schema, p->name, PQuser(r->conn));
    return e->code;
}

static int read_chunk(struct snap_reader *r, struct err *e)
{
    struct snap_chunk *c = r->chunk;
    if (begin_rows(r, e) != ERR_OK)
        return e->code;
    PGresult *result = pg_query(r->conn, e, "reading a table", c->sql, 0, NULL);
    PQclear(result);
    if (!result)
        return not_begun(r, e);
    int rc = copy_rows(r, e);
    if (rc == ERR_OK)
        rc = hand_rest(r, e);
    return rc == ERR_OK ? check_file(r, c->part, e) : rc;
}

/* ---- the thread --------------------------------------------------------------------------------------------------- */

/* False: the end. */
static bool take_chunk(struct snap_reader *r)
{
    struct snap_pool *p = r->pool;
    pthread_mutex_lock(&p->lock);
    while (!p->untaken && !p->quit)
        pthread_cond_wait(&p->work, &p->lock);
    r->chunk = p->quit ? NULL : p->untaken;
    if (r->chunk)
        p->untaken = r->chunk->next;
    pthread_mutex_unlock(&p->lock);
    return r->chunk != NULL;
}

static void end_chunk(struct snap_reader *r, int rc, const struct err *e)
{
    struct snap_pool *p = r->pool;
    pthread_mutex_lock(&p->lock);
    if (rc == ERR_OK) {
        r->chunk->finished = true;
    } else if (!p->failed && rc != ERR_INTERRUPTED) {
        p->failed = true;
        p->error = *e;
    }
    if (rc != ERR_INTERRUPTED) /* else its statement may go on: snap_pool_stop has it cancelled */
        r->chunk = NULL;
    snap_pool_tell(p);
    pthread_mutex_unlock(&p->lock);
}

void *snap_reader_run(void *arg)
{
    struct snap_reader *r = arg;
    struct err e;
    int rc = ERR_OK;
    while (rc == ERR_OK && take_chunk(r)) {
        rc = read_chunk(r, &e);
        end_chunk(r, rc, &e);
    }
    pg_types_end_thread();
    return NULL;
}
