/*
 * pg_snapshot: a snapshot from begin to end. Its connections import the slot's exported snapshot, or export one of their own;
 * pieces of tables are offered to the readers some way ahead of what is consumed, and each row that comes is made into an
 * event once the row behind it is known, as the last row of a table and of all is marked.
 *
 * Positions: at the end of each poll the ctid of the last row emitted, for each part that had rows emitted. So after a crash
 * no row comes twice, but those that changed meanwhile in what was read before: they are read again, as the stream may have
 * only parts of them (unchanged TOAST). Task's thread.
 */
#include "pg_snapshot.h"

#include "base/clock.h"
#include "base/mem.h"
#include "pg_copy.h"
#include "pg_unchanged.h"

#define WAIT_MS 200 /* for more rows, when the poll has some */

/* ---- emitting ----------------------------------------------------------------------------------------------------- */

static void drop_block(struct pg_snapshot *s, struct snap_block **b)
{
    snap_pool_give_back(s->pool, *b);
    *b = NULL;
}

static void mark_changed(struct pg_snapshot *s, struct snap_part *p)
{
    if (p->changed)
        return;
    p->changed = true;
    p->next_changed = s->changed;
    s->changed = p;
}

/* So many rows of the part were emitted, the last one from there. */
static void emitted_rows(struct pg_snapshot *s, struct snap_part *p, uint64_t rows, bool moves,
                         uint32_t at_block, uint32_t at_tuple)
{
    s->rows += rows;
    p->rows += rows;
    if (moves) {
        p->block = at_block;
        p->tuple = at_tuple;
        p->xmin = s->xmin;
    }
    mark_changed(s, p);
}

/* Of a row that is several of these it is the first in this order that Debezium tells. */
static enum cdc_snapshot marker(const struct pg_snapshot *s, bool last_in_table, bool last)
{
    if (last || s->waiting.first)
        return last ? CDC_LAST : CDC_FIRST;
    if (last_in_table)
        return CDC_LAST_IN_TABLE;
    return s->waiting.first_in_table ? CDC_FIRST_IN_TABLE : CDC_SNAPSHOT;
}

/* Emits the row that waits, now that it is known what comes behind it. */
static int emit_waiting(struct pg_snapshot *s, bool last_in_table, bool last)
{
    struct snap_table *t = s->waiting.table;
    struct snap_part *p = s->waiting.part;
    s->at.snapshot = marker(s, last_in_table, last);
    struct cdc_change change = {
        .table = t->table, .op = 'r', .after = t->rows_cells[s->waiting.cells], .at = s->at};
    if (t->unchanged)
        pg_unchanged_learn(s->t->unchanged, t->unchanged, change.after, s->as_of);
    int rc = cdc_change(s->t->cdc, &change);
    if (rc != LEAT_OK)
        return rc;
    emitted_rows(s, p, 1, s->waiting.moves, s->waiting.at_block, s->waiting.at_tuple);
    p->done = p->read;
    s->waiting.any = false;
    drop_block(s, &s->waiting.block);
    if (t != s->emit_table)
        snap_table_release(t);
    return LEAT_OK;
}

/* Makes the next row of the block the one that waits. */
static int take_row(struct pg_snapshot *s, const struct snap_chunk *c, struct err *e)
{
    struct snap_table *t = c->table;
    int rc = snap_table_cells(t, s->row, s->block->data + s->block->len, t->raw, t->rows_cells[s->free_cells],
                              &s->row, e);
    s->waiting.moves = snap_chunk_moves(c);
    if (rc == ERR_OK && s->waiting.moves)
        rc = pg_copy_ctid(&t->raw[0], &s->waiting.at_block, &s->waiting.at_tuple, e);
    if (rc != ERR_OK)
        return rc;
    s->waiting.any = true;
    s->waiting.table = t;
    s->waiting.part = c->part;
    s->waiting.cells = s->free_cells;
    s->waiting.first_in_table = t->rows == 0;
    s->waiting.first = t->rows == 0 && t == s->plan.tables;
    s->free_cells ^= 1;
    t->rows++;
    return ERR_OK;
}

/* The events of the block, all of them. */
static int emit_events(struct pg_snapshot *s, const struct snap_chunk *c, size_t *emitted)
{
    struct snap_block *b = s->block;
    int rc = s->waiting.any ? emit_waiting(s, s->waiting.table != c->table, false) : LEAT_OK;
    if (rc == LEAT_OK)
        rc = cdc_events_emit(s->t->cdc, b->events);
    if (rc != LEAT_OK)
        return rc;
    size_t bytes = cdc_take_emitted(s->t->cdc);
    c->table->rows += b->rows;
    c->table->event_rows += b->rows;
    c->table->event_bytes += bytes;
    emitted_rows(s, c->part, b->rows, snap_chunk_moves(c), b->at_block, b->at_tuple);
    drop_block(s, &s->block);
    *emitted += bytes;
    return LEAT_OK;
}

/* Rows of the block until it is used up or the poll has enough. */
static int emit_rows(struct pg_snapshot *s, const struct snap_chunk *c, size_t limit, size_t *emitted)
{
    struct err e;
    const char *end = s->block->data + s->block->len;
    for (unsigned n = 1; s->row < end; n++) {
        int rc = s->waiting.any ? emit_waiting(s, s->waiting.table != c->table, false) : LEAT_OK;
        if (rc != LEAT_OK)
            return rc;
        if (take_row(s, c, &e) != ERR_OK) {
            err_wrap(&e, "snapshot of %s", c->table->id);
            return snap_fail(s->t, &e);
        }
        if (n % 16 == 0 && (*emitted += cdc_take_emitted(s->t->cdc)) >= limit)
            return LEAT_OK;
    }
    /* The row that waits keeps its block. */
    if (s->waiting.any && !s->waiting.block) {
        snap_pool_keep(s->pool, s->block);
        s->waiting.block = s->block;
        s->block = NULL;
    }
    drop_block(s, &s->block);
    *emitted += cdc_take_emitted(s->t->cdc);
    return LEAT_OK;
}

/* ---- going on ----------------------------------------------------------------------------------------------------- */

static void end_part(struct pg_snapshot *s, struct snap_part *p)
{
    p->read = true;
    if (s->waiting.any && s->waiting.part == p)
        return;
    p->done = true;
    mark_changed(s, p);
}

/* The tables up to `t` (NULL: all) are read. */
static int pass_tables(struct pg_snapshot *s, const struct snap_table *t)
{
    int rc = LEAT_OK;
    while (rc == LEAT_OK && s->emit_table != t) {
        struct snap_table *ended = s->emit_table;
        s->emit_table = ended->next;
        if (ended->announced)
            rc = snap_tell_table_done(s, ended);
        if (!s->waiting.any || s->waiting.table != ended)
            snap_table_release(ended);
    }
    return rc;
}

static int finish(struct pg_snapshot *s)
{
    int rc = pass_tables(s, NULL);
    if (rc == LEAT_OK && s->waiting.any)
        rc = emit_waiting(s, true, true);
    if (rc == LEAT_OK)
        rc = snap_tell_done(s);
    if (rc == LEAT_OK)
        rc = cdc_flush(s->t->cdc);
    return rc == LEAT_OK ? snap_state_forget(s->t, s->space) : rc;
}

/* The next block of the oldest piece, or the end of it. *wait: none came in time, or the task is asked to stop. */
static int advance(struct pg_snapshot *s, bool patient, bool *wait)
{
    struct err e;
    struct snap_chunk *c = snap_pool_oldest(s->pool);
    int next = snap_pool_next(s->pool, patient ? -1 : WAIT_MS, &s->block, &e);
    if (next < 0)
        return snap_fail(s->t, &e);
    *wait = next == SNAP_NOTHING || next == SNAP_STOPPED;
    if (next == SNAP_BLOCK) {
        s->row = s->block->data;
    } else if (next == SNAP_FINISHED) {
        if (c->last)
            end_part(s, c->part);
        snap_pool_pop(s->pool);
    }
    return LEAT_OK;
}

/* Until about `limit` bytes are emitted, nothing comes, or all is read. */
static int emit_some(struct pg_snapshot *s, size_t limit, bool *complete)
{
    size_t emitted = 0;
    bool wait = false;
    int rc = LEAT_OK;
    while (rc == LEAT_OK && emitted < limit && !wait) {
        struct err e;
        if (snap_offer_ahead(s, &e) != ERR_OK)
            return snap_fail(s->t, &e);
        struct snap_chunk *c = snap_pool_oldest(s->pool);
        *complete = !c;
        if (!c)
            return LEAT_OK;
        rc = pass_tables(s, c->table);
        if (rc == LEAT_OK && !c->table->announced)
            rc = snap_tell_table(s, c->table);
        if (rc == LEAT_OK)
            rc = !s->block          ? advance(s, emitted == 0, &wait)
                 : s->block->events ? emit_events(s, c, &emitted)
                                    : emit_rows(s, c, limit, &emitted);
    }
    return rc;
}

static int set_positions(struct pg_snapshot *s)
{
    int rc = cdc_flush(s->t->cdc);
    while (s->changed && rc == LEAT_OK) {
        struct snap_part *p = s->changed;
        s->changed = p->next_changed;
        p->changed = false;
        rc = snap_state_set(s, p);
    }
    return rc;
}

int pg_snapshot_poll(struct pg_snapshot *s, bool *done)
{
    bool complete = false;
    int rc = LEAT_OK;
    *done = false;
    if (s->fresh)
        rc = snap_state_forget(s->t, s->space);
    s->fresh = false;
    if (rc == LEAT_OK && !s->announced)
        rc = snap_tell_started(s);
    if (rc == LEAT_OK)
        rc = emit_some(s, s->t->host->poll_bytes(s->t->task), &complete);
    if (rc == LEAT_OK)
        rc = complete ? finish(s) : set_positions(s);
    if (rc == LEAT_OK)
        rc = snap_tell_progress(s);
    *done = rc == LEAT_OK && complete;
    return rc;
}
