/*
 * pg_incremental: incremental and blocking snapshots while the stream goes on. Requests are worked off one after the other; a
 * step is a window of an incremental one (pg_incremental_window.c) or a poll of a blocking one (pg_incremental_blocking.c).
 * What the stream brings meanwhile is looked at here. Task's thread.
 */
#include "pg_incremental.h"

#include <string.h>

#include "base/mem.h"
#include "pg_stream.h"

#define BUSY_MS 10        /* until a window that could not begin is tried again */
#define READ_ONLY_MS 20   /* between looks whether the stream is past a chunk */
#define WATERMARK_MS 1000 /* likewise whether it passed a watermark that did not come */

static enum inc_strategy choose_strategy(struct pg_task *t)
{
    const char *signals = t->host->get_str(t->config, "signal.data.collection");
    bool standby = t->server.timeline == 0; /* nothing can be written there */
    if (t->host->get_bool(t->config, "read.only") || !signals || !signals[0] || standby)
        return INC_READ_ONLY;
    return (enum inc_strategy)t->host->get_int(t->config, "incremental.snapshot.watermarking.strategy");
}

int pg_incremental_open(struct pg_task *t, struct pg_incremental **out)
{
    struct err e;
    struct pg_incremental *i = mem_calloc(1, sizeof *i);
    if (!i)
        return t->host->fail(t->task, LEAT_RETRY, "out of memory");
    i->t = t;
    i->chunk_rows = i->limit = (uint64_t)t->host->get_int(t->config, "incremental.snapshot.chunk.size");
    i->chunk_bytes = (size_t)t->host->get_int(t->config, "snapshot.buffer.bytes");
    i->window.strategy = choose_strategy(t);
    i->recent[0] = t->stored.xid; /* of those before the restart only the last is known */
    int rc =
        inc_state_load(t, &i->state, &e) == ERR_OK ? pg_channels_open(t, &i->channels) : snap_fail(t, &e);
    if (rc != LEAT_OK) {
        pg_incremental_close(i);
        return rc;
    }
    if (i->state.requests)
        t->host->log(t->task, LEAT_INFO, "incremental snapshot %s: goes on%s", i->state.requests->id,
                     i->state.paused ? " when it is resumed" : "");
    *out = i;
    return LEAT_OK;
}

void pg_incremental_close(struct pg_incremental *i)
{
    if (!i)
        return;
    pg_snapshot_close(i->blocking);
    pg_channels_close(i->channels);
    inc_chunk_clear(&i->chunk);
    inc_source_close(&i->source);
    inc_window_clear(&i->window);
    inc_state_clear(&i->state);
    mem_free(i);
}

void pg_incremental_durable(struct pg_incremental *i, uint64_t polls)
{
    pg_channels_durable(i->channels, polls);
}

bool pg_incremental_blocks(const struct pg_incremental *i)
{
    return i->state.requests && i->state.requests->blocking;
}

/* An incremental request is there, and its next chunk can be read. */
static bool can_read(const struct pg_incremental *i)
{
    return i->state.requests && !i->state.requests->blocking && !i->state.paused && !i->window.waiting;
}

static int begin_request(struct pg_incremental *i)
{
    struct inc_request *r = i->state.requests;
    if (r->started)
        return LEAT_OK;
    r->started = true;
    int rc = inc_tell_started(i, r);
    return rc == LEAT_OK ? inc_state_store(i->t, &i->state) : rc;
}

/* The stream is past the high watermark, and the row that tells of it did not come: the window ends all the same. */
static void watermark_missing(struct pg_incremental *i)
{
    const char *table = i->t->host->get_str(i->t->config, "signal.data.collection");
    i->window.strategy = INC_READ_ONLY;
    i->t->host->log(
        i->t->task, LEAT_WARN,
        "incremental snapshot: the watermarks in %s do not come by the stream, from now on windows are "
        "read-only: the publication has not this table (ALTER PUBLICATION %s ADD TABLE %s), or rows were "
        "deleted from it",
        table, i->t->host->get_str(i->t->config, "publication.name"), table);
}

/* A signal that did not come by the stream. */
static int take_message(void *arg, const char *id, const char *type, const char *data)
{
    struct pg_incremental *i = arg;
    struct err e;
    struct pg_signal s;
    if (pg_signal_parse(type, data, &s, &e) != ERR_OK) {
        i->t->host->log(i->t->task, LEAT_ERROR, "signal %s is left out: %s", id, e.text);
        return LEAT_OK;
    }
    int rc = inc_take_signal(i, id, &s);
    pg_signal_clear(&s);
    return rc;
}

int pg_incremental_step(struct pg_incremental *i)
{
    int rc = pg_channels_poll(i->channels, take_message, i);
    if (rc != LEAT_OK)
        return rc;
    if (pg_incremental_blocks(i))
        return inc_step_blocking(i);
    if (i->window.waiting && pg_stream_seen(i->t->stream) >= i->window.high_lsn) {
        if (i->window.strategy != INC_READ_ONLY)
            watermark_missing(i);
        rc = inc_close_window(i);
    }
    if (rc != LEAT_OK || !can_read(i))
        return rc;
    rc = begin_request(i);
    return rc == LEAT_OK ? inc_read_window(i) : rc;
}

int64_t pg_incremental_due_ms(const struct pg_incremental *i)
{
    if (i->window.waiting)
        return i->window.strategy == INC_READ_ONLY ? READ_ONLY_MS : WATERMARK_MS;
    if (pg_incremental_blocks(i) || can_read(i))
        return i->busy ? BUSY_MS : 0;
    return pg_channels_due_ms(i->channels);
}

int pg_incremental_signal(struct pg_incremental *i, const char *id, const char *type, const char *data)
{
    struct err e;
    struct pg_signal s;
    if (pg_signal_parse(type ? type : "", data, &s, &e) != ERR_OK) {
        i->t->host->log(i->t->task, LEAT_ERROR, "signal %s is left out: %s", id ? id : "without id", e.text);
        return LEAT_OK;
    }
    size_t n = strlen(i->window.id);
    bool ours = i->window.waiting && id && strncmp(id, i->window.id, n) == 0;
    int rc = LEAT_OK;
    if (s.kind == PG_SIGNAL_WINDOW_OPEN)
        i->window.open = i->window.open || (ours && strcmp(id + n, "-open") == 0);
    else if (s.kind == PG_SIGNAL_WINDOW_CLOSE)
        rc = ours && strcmp(id + n, "-close") == 0 ? inc_close_window(i) : LEAT_OK;
    else if (pg_channels_from_table(i->channels))
        rc = inc_take_signal(i, id ? id : "", &s);
    pg_signal_clear(&s);
    return rc;
}

/* The row of the low watermark is deleted: with insert_delete that is the high one. */
static bool is_close(const struct pg_incremental *i, uint32_t oid, const struct cdc_change *c)
{
    size_t n = strlen(i->window.id);
    const struct cdc_cell *id = c->before;
    return i->window.strategy == INC_INSERT_DELETE && oid == i->window.signals && c->op == 'd' && id &&
           id->state == CDC_VALUE && id->len == n + 5 && memcmp(id->data, i->window.id, n) == 0 &&
           memcmp((const char *)id->data + n, "-open", 5) == 0;
}

static void take_out(struct pg_incremental *i, const struct cdc_change *c)
{
    const struct cdc_cell *rows[] = {c->key_before, c->before, c->after};
    bool known = false;
    if (c->op == 't') {
        inc_chunk_remove_all(&i->chunk);
        return;
    }
    for (size_t k = 0; k < 3; k++)
        if (rows[k] && inc_chunk_remove(&i->chunk, &i->source, c->table, rows[k]))
            known = true;
    if (!known)
        i->window.stale = true;
}

int pg_incremental_saw(struct pg_incremental *i, uint32_t oid, const struct cdc_change *c)
{
    const struct pg_position *at = c->at.own;
    i->last = *at;
    if (at->xid != i->recent[i->recent_at]) {
        i->recent_at = (i->recent_at + 1) % INC_RECENT;
        i->recent[i->recent_at] = at->xid;
    }
    if (!i->window.waiting)
        return LEAT_OK;
    if (is_close(i, oid, c))
        return inc_close_window(i);
    if (oid == i->source.oid && inc_window_concerns(&i->window, at->xid))
        take_out(i, c);
    return LEAT_OK;
}

int pg_incremental_relation(struct pg_incremental *i, uint32_t oid)
{
    if (i->window.waiting && oid == i->source.oid)
        i->window.stale = true;
    return LEAT_OK;
}
