/*
 * pg_snapshot_offer: pieces of tables offered to the readers, in the order in which they will be emitted, some way ahead of
 * that. Task's thread.
 */
#include "base/mem.h"
#include "pg_snapshot.h"

#define EVENT_GROWTH 6 /* an event's bytes by its row's, until some are known */

static int offer(struct pg_snapshot *s, struct snap_part *p, char *sql, bool changed_only, bool last,
                 struct err *e)
{
    struct snap_chunk *c = sql ? mem_calloc(1, sizeof *c) : NULL;
    if (!c) {
        mem_free(sql);
        return sql ? err_nomem(e) : e->code;
    }
    c->table = s->offer_table;
    c->part = p;
    c->sql = sql;
    c->changed_only = changed_only;
    c->last = last;
    c->at = s->at;
    c->at.snapshot = CDC_SNAPSHOT;
    /* Rows to be learnt are the task's thread's. */
    c->events = cdc_writer_takes(s->offer_table->table) && !s->offer_table->unchanged;
    snap_pool_offer(s->pool, c);
    return ERR_OK;
}

static void next_part(struct pg_snapshot *s)
{
    s->offer_begun = false;
    if (++s->offer_part < s->offer_table->part_count)
        return;
    s->offer_part = 0;
    s->offer_table = s->offer_table->next;
}

/*
 * Pieces no larger than what their reader may hold of their events, so that readers side by side do not wait for each other;
 * one alone waits for the task's thread only.
 */
static uint64_t piece_blocks(const struct pg_snapshot *s, const struct snap_table *t,
                             const struct snap_part *p)
{
    size_t readers = snap_pool_readers(s->pool);
    if (readers == 1 || !p->chunk_blocks)
        return p->chunk_blocks;
    double a_block = t->event_rows ? p->block_rows * (double)t->event_bytes / (double)t->event_rows
                                   : p->block_bytes * EVENT_GROWTH;
    double blocks = (double)s->budget / (double)readers / a_block;
    return blocks < 1 ? 1 : blocks < (double)p->chunk_blocks ? (uint64_t)blocks : p->chunk_blocks;
}

/*
 * The next piece of the part. The last one has no upper end. What changed in the part of it that an earlier snapshot read
 * goes before the rest.
 */
static int offer_piece(struct pg_snapshot *s, struct snap_part *p, struct err *e)
{
    struct snap_table *t = s->offer_table;
    if (!s->offer_begun) {
        s->offer_begun = true;
        s->offer_block = p->tuple ? p->block : 0;
        if (p->tuple && p->xmin != s->xmin)
            return offer(s, p, snap_table_changed_sql(s, t, p, e), true, false, e);
    }
    uint64_t blocks = piece_blocks(s, t, p), to = blocks ? s->offer_block + blocks : 0;
    if (to >= p->blocks)
        to = 0;
    int rc = offer(s, p, snap_table_sql(t, p, s->offer_block, to, e), false, !to, e);
    s->offer_block = to;
    if (!to)
        next_part(s);
    return rc;
}

/* Of tables that have nothing left to read nothing is offered; the consumer passes them by. */
static int offer_next(struct pg_snapshot *s, struct err *e)
{
    struct snap_table *t = s->offer_table;
    if (!t->table) {
        int rc = snap_table_compile(s, t, e);
        if (rc != ERR_OK)
            return rc;
    }
    if (s->offer_part < t->part_count && !t->parts[s->offer_part].done)
        return offer_piece(s, &t->parts[s->offer_part], e);
    next_part(s);
    return ERR_OK;
}

int snap_offer_ahead(struct pg_snapshot *s, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK && s->offer_table && snap_pool_offered(s->pool) <= 2 * snap_pool_readers(s->pool))
        rc = offer_next(s, e);
    return rc;
}
