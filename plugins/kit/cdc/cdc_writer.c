/*
 * cdc_writer: events of a snapshot's rows, written by the threads that read them.
 *
 * A writer is a copy of the capture with buffers of its own. All that a row's event needs beside them is made before and
 * only read: options, the table, texts. What does not fit that (the router of an outbox, topics by a column's value, whose
 * expressions have memory of their own) is left to the task's thread (cdc_writer_takes).
 *
 * Rows of one snapshot and table differ in key and value only, so that what follows the row is one text for all of them but
 * for the processing time. It is kept for some rows: a wait for more, or CLOCK_ROWS of them, make it anew.
 */
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_unwrap.h"

#define CLOCK_ROWS 64 /* some 20 us */
#define TEXT_MAX ((size_t)64 << 20)

struct cdc_writer {
    struct cdc c;
    struct cdc_change change;
};

struct cdc_events {
    struct cdc_batch batch;
};

/* ---- events ----------------------------------------------------------------------------------------------------------- */

static int make_batch(struct cdc_batch *b, struct err *e)
{
    int rc = cdc_batch_init(b, e);
    mem_free(b->records); /* of the capture that emits them */
    b->records = NULL;
    return rc ? rc : buf_reserve(&b->bytes, CDC_BATCH_BYTES + CDC_BATCH_BYTES / 8, e);
}

struct cdc_events *cdc_events_new(struct err *e)
{
    struct cdc_events *ev = mem_calloc(1, sizeof *ev);
    if (!ev) {
        err_nomem(e);
        return NULL;
    }
    if (make_batch(&ev->batch, e) == ERR_OK)
        return ev;
    cdc_events_free(ev);
    return NULL;
}

void cdc_events_free(struct cdc_events *ev)
{
    if (!ev)
        return;
    cdc_batch_free(&ev->batch);
    mem_free(ev);
}

size_t cdc_events_memory(const struct cdc_events *ev)
{
    return ev->batch.bytes.cap + CDC_BATCH_RECORDS * sizeof(struct cdc_pending) +
           ev->batch.header_room * (sizeof(struct cdc_header) + sizeof(struct leat_header));
}

int cdc_events_emit(struct cdc *c, struct cdc_events *ev)
{
    int rc = cdc_flush(c);
    if (rc)
        return rc;
    struct cdc_batch own = c->batch;
    c->batch = ev->batch;
    c->batch.records = own.records;
    rc = cdc_flush(c);
    ev->batch = c->batch;
    ev->batch.records = NULL;
    c->batch = own;
    return rc;
}

/* ---- writing ---------------------------------------------------------------------------------------------------------- */

struct cdc_writer *cdc_writer_new(const struct cdc *c, struct err *e)
{
    struct cdc_writer *w = mem_calloc(1, sizeof *w);
    if (!w) {
        err_nomem(e);
        return NULL;
    }
    w->c = *c;
    w->c.batch = (struct cdc_batch){0};
    w->c.muted = w->c.source_made = false;
    w->c.ending.kept = true;
    struct buf *bufs[] = {&w->c.scratch,       &w->c.scratch2,     &w->c.aside,
                          &w->c.source_before, &w->c.source_times, &w->c.ending.text};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        buf_init(bufs[i], TEXT_MAX);
    if (make_batch(&w->c.batch, e) == ERR_OK)
        return w;
    cdc_writer_free(w);
    return NULL;
}

void cdc_writer_free(struct cdc_writer *w)
{
    if (!w)
        return;
    struct buf *bufs[] = {&w->c.scratch,       &w->c.scratch2,     &w->c.aside,
                          &w->c.source_before, &w->c.source_times, &w->c.ending.text};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        buf_free(bufs[i]);
    cdc_batch_free(&w->c.batch);
    mem_free(w);
}

bool cdc_writer_takes(const struct cdc_table *t)
{
    return !t->routed && !cdc_unwrap_routes(t);
}

void cdc_writer_begin(struct cdc_writer *w, struct cdc_table *t, const struct cdc_origin *at)
{
    w->change = (struct cdc_change){.table = t, .op = 'r', .at = *at};
    w->c.ending.left = 0;
}

int cdc_writer_add(struct cdc_writer *w, const struct cdc_cell *row, struct err *e)
{
    w->change.after = row;
    return cdc_write(&w->c, &w->change, e);
}

void cdc_writer_waited(struct cdc_writer *w)
{
    w->c.ending.left = 0;
}

bool cdc_writer_full(const struct cdc_writer *w)
{
    return cdc_batch_full(&w->c.batch);
}

void cdc_writer_exchange(struct cdc_writer *w, struct cdc_events *ev)
{
    struct cdc_batch written = w->c.batch;
    w->c.batch = ev->batch;
    ev->batch = written;
}

int cdc_ending_write(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e)
{
    if (c->ending.left == 0) {
        buf_reset(&c->ending.text);
        if (cdc_envelope_end(c, ev, &c->ending.text, e) != ERR_OK)
            return e->code;
        c->ending.left = CLOCK_ROWS;
    }
    c->ending.left--;
    return cdc_put(out, c->ending.text.data, c->ending.text.len, e);
}
