/*
 * pg_txn: what a change becomes. The hot path: a relation looked up, cells handed on as they lie in the message.
 */
#include "pg_txn.h"

#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "kit/options.h"
#include "pg_decode.h"
#include "pg_messages.h"
#include "pg_origin.h"
#include "pg_relation.h"
#include "pg_unchanged.h"

#define CONTENT_KEEP (1 << 20)
#define CONTENT_MAX (UINT32_C(1) << 31) /* twice what PostgreSQL can send, in hex */

struct pg_txn {
    struct pg_task *task;
    struct pgoutput_room room;
    struct pg_relations *relations;
    struct pg_messages *messages;
    struct pg_origin *origin;
    enum pg_binary_mode binary; /* how contents of messages are written */
    struct buf content;
    bool foreign_origin_out; /* changes that came by replication from elsewhere are left out */
    /* of the transaction: */
    bool open, begun, left_out, muted; /* begun: cdc_begin was called */
    uint64_t commit_lsn;
    uint64_t seen, known; /* changes so far; of them in the store already: the first `known` */
    uint64_t skip_lsn;    /* ... or those up to here, by a position of Debezium's */
    struct pg_position at;
    int64_t ts_us;
};

struct pg_txn *pg_txn_new(struct pg_task *t, const struct pgoutput_room *room)
{
    struct err e;
    struct pg_txn *x = mem_calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->task = t;
    x->room = *room;
    x->ts_us = t->stored.ts_us;
    x->relations = pg_relations_new(t);
    x->origin = pg_origin_new(t);
    x->messages = pg_messages_new(t->host, t->config, &e);
    x->binary = (enum pg_binary_mode)t->host->get_int(t->config, "binary.handling.mode");
    buf_init(&x->content, CONTENT_MAX);
    x->foreign_origin_out = strcmp(t->host->get_str(t->config, "stream.origin"), "none") == 0;
    if (!x->relations || !x->messages || !x->origin) {
        pg_txn_free(x);
        return NULL;
    }
    return x;
}

void pg_txn_free(struct pg_txn *x)
{
    if (!x)
        return;
    pg_relations_free(x->relations);
    pg_messages_free(x->messages);
    pg_origin_free(x->origin);
    buf_free(&x->content);
    mem_free(x);
}

bool pg_txn_open(const struct pg_txn *x)
{
    return x->open;
}

static void mute(struct pg_txn *x, bool muted)
{
    if (x->muted != muted)
        cdc_mute(x->task->cdc, muted);
    x->muted = muted;
}

static int fail(struct pg_txn *x, struct err *e)
{
    return kit_fail(x->task->host, x->task->task, e);
}

static struct cdc_origin origin(const struct pg_txn *x)
{
    return (struct cdc_origin){.ts_us = x->ts_us, .snapshot = CDC_STREAMED, .own = &x->at};
}

/* ---- begin and end ---------------------------------------------------------------------------------------------- */

/* Of a transaction that is partly stored what comes first is only counted. */
static void recognise(struct pg_txn *x)
{
    struct pg_stored *s = &x->task->stored;
    x->known = 0;
    x->skip_lsn = 0;
    if (s->partial_lsn == x->commit_lsn) {
        x->known = s->partial;
    } else if (s->partial_lsn && x->commit_lsn > s->partial_lsn) {
        x->task->host->log(x->task->task, LEAT_WARN,
                           "the transaction that was stored in part (%" PRIu64
                           " changes) did not come again: nothing more of it is published",
                           s->partial);
        s->partial_lsn = s->partial = 0;
    }
    x->skip_lsn = s->skip_lsn;
}

/* The one that Debezium was in, unless it ended before: its position counts until something behind it is stored. */
static void leave_skip(struct pg_txn *x)
{
    if (x->commit_lsn > x->task->stored.skip_lsn)
        x->task->stored.skip_lsn = 0;
}

int pg_txn_begin(struct pg_txn *x, uint32_t xid, uint64_t lsn, uint64_t commit_lsn, int64_t ts_us)
{
    x->open = true;
    x->begun = x->left_out = false;
    x->seen = 0;
    x->commit_lsn = commit_lsn;
    x->ts_us = ts_us;
    x->at = (struct pg_position){.lsn = lsn, .last_commit = x->task->stored.last_commit, .xid = xid};
    pg_origin_begin(x->origin, &x->at);
    recognise(x);
    /* Of one that is partly stored the begin is, too, also where that was all of it. */
    mute(x, x->task->stored.partial_lsn == commit_lsn || (x->skip_lsn && x->skip_lsn >= lsn));
    return LEAT_OK;
}

/* Behind where the transaction's origin comes, which may be one that is left out: x->at is as pg_txn_begin made it. */
static int begin_events(struct pg_txn *x)
{
    if (x->begun || x->left_out)
        return LEAT_OK;
    x->begun = true;
    struct cdc_origin at = origin(x);
    return cdc_begin(x->task->cdc, &at);
}

int pg_txn_end(struct pg_txn *x, uint64_t end_lsn)
{
    struct pg_stored *s = &x->task->stored;
    int rc = begin_events(x);
    if (rc != LEAT_OK)
        return rc;
    x->at.lsn = end_lsn;
    struct cdc_origin at = origin(x);
    /* All of it may be known, but then its end is not: a position that covers the end is no partial one. */
    mute(x, x->skip_lsn && x->skip_lsn >= end_lsn);
    rc = x->left_out ? LEAT_OK : cdc_end(x->task->cdc, &at);
    mute(x, false);
    x->open = false;
    leave_skip(x);
    s->lsn_commit = end_lsn;
    s->last_commit = end_lsn;
    if (x->commit_lsn >= s->partial_lsn)
        s->partial_lsn = s->partial = 0;
    s->ts_us = x->ts_us;
    s->xid = x->at.xid;
    return rc;
}

void pg_txn_mark(struct pg_txn *x)
{
    struct pg_stored *s = &x->task->stored;
    if (!x->open || x->muted || !(x->begun || x->left_out))
        return;
    leave_skip(x);
    s->partial_lsn = x->commit_lsn;
    s->partial = x->seen;
    s->xid = x->at.xid;
    s->ts_us = x->ts_us;
}

/* ---- changes ---------------------------------------------------------------------------------------------------- */

/* Of an old row that is the key alone the rest was not logged. */
static void leave_key(const struct pg_relation *r, struct cdc_cell *old)
{
    for (uint16_t i = 0; i < r->column_count; i++)
        if (!r->key[i])
            old[i].state = CDC_ABSENT;
}

/* What was not sent as it did not change is in the old row, if that came whole. */
static void fill_unchanged(uint16_t n, struct cdc_cell *new_, const struct cdc_cell *old)
{
    for (uint16_t i = 0; i < n; i++)
        if (new_[i].state == CDC_UNCHANGED && old[i].state == CDC_VALUE)
            new_[i] = old[i];
}

/* Text of a cell of the signal table, of mem_*; NULL: null. */
static int cell_text(const struct cdc_cell *c, char **out, struct err *e)
{
    *out = c->state == CDC_VALUE ? mem_strndup(c->data, c->len) : NULL;
    return c->state == CDC_VALUE && !*out ? err_nomem(e) : ERR_OK;
}

/* Columns id, type, data, whatever they are called. */
static int take_signal(struct pg_txn *x, const struct cdc_cell *row)
{
    char *columns[3] = {NULL, NULL, NULL};
    struct err e;
    int rc = ERR_OK;
    for (int i = 0; i < 3 && rc == ERR_OK; i++)
        rc = cell_text(&row[i], &columns[i], &e);
    rc = rc == ERR_OK ? pg_incremental_signal(x->task->incremental, columns[0], columns[1], columns[2])
                      : fail(x, &e);
    for (int i = 0; i < 3; i++)
        mem_free(columns[i]);
    return rc;
}

/* The change was emitted: incremental snapshots go by what came. */
static int tell_incremental(struct pg_txn *x, const struct pg_relation *r, const struct cdc_change *c)
{
    int rc = pg_incremental_saw(x->task->incremental, r->oid, c);
    if (rc == LEAT_OK && r->signal && c->op == 'c' && r->column_count >= 3)
        rc = take_signal(x, c->after);
    return rc;
}

static int take_row(struct pg_txn *x, const struct pgoutput *m)
{
    static const char ops[] = {[PGOUTPUT_INSERT] = 'c', [PGOUTPUT_UPDATE] = 'u', [PGOUTPUT_DELETE] = 'd'};
    struct err e;
    const struct pg_relation *r = pg_relations_get(x->relations, m->relation);
    if (!r || m->column_count != r->column_count) {
        err_set(&e, ERR_CORRUPT, "a change of a table (oid %" PRIu32 ") with %u columns, which was %s%s",
                m->relation, m->column_count, r ? "described with others: " : "not described",
                r ? r->name : "");
        return fail(x, &e);
    }
    if (!r->table)
        return LEAT_OK;
    if (m->old_kind == 'K')
        leave_key(r, x->room.old);
    else if (m->old_kind == 'O' && m->new_)
        fill_unchanged(r->column_count, x->room.new_, m->old);
    if (r->unchanged && !x->muted)
        pg_unchanged_change(x->task->unchanged, r->unchanged, ops[m->type], m->new_ ? x->room.new_ : NULL,
                            m->old, x->commit_lsn);
    struct cdc_change c = {.table = r->table,
                           .op = ops[m->type],
                           .before = m->old,
                           .after = m->new_,
                           .key_before = m->type == PGOUTPUT_UPDATE ? m->old : NULL,
                           .at = origin(x),
                           .in_txn = true};
    int rc = cdc_change(x->task->cdc, &c);
    return rc == LEAT_OK && !x->muted ? tell_incremental(x, r, &c) : rc;
}

static int take_truncate(struct pg_txn *x, const struct pgoutput *m)
{
    int rc = LEAT_OK;
    for (uint32_t i = 0; rc == LEAT_OK && i < m->relation_count; i++) {
        const struct pg_relation *r = pg_relations_get(x->relations, be32(m->relations + 4 * i));
        if (!r) {
            struct err e;
            err_set(&e, ERR_CORRUPT, "a truncate of a table (oid %" PRIu32 ") that was not described",
                    be32(m->relations + 4 * i));
            return fail(x, &e);
        }
        if (!r->table)
            continue;
        if (r->unchanged && !x->muted)
            pg_unchanged_truncate(x->task->unchanged, r->unchanged);
        struct cdc_change c = {.table = r->table, .op = 't', .at = origin(x), .in_txn = true};
        rc = cdc_change(x->task->cdc, &c);
        if (rc == LEAT_OK && !x->muted)
            rc = tell_incremental(x, r, &c);
    }
    return rc;
}

static int take_message(struct pg_txn *x, const struct pgoutput *m)
{
    struct cdc_origin o = origin(x);
    struct pg_position alone;
    if (!m->transactional) {
        /* A position of its own: all that was committed before it has come before it. */
        struct pg_stored *s = &x->task->stored;
        s->lsn_commit = s->last_commit = x->at.lsn;
        alone = (struct pg_position){.lsn = x->at.lsn, .last_commit = x->at.lsn, .xmin = x->at.xmin};
        o.own = &alone;
        /* It tells no time: that of the last transaction is taken, also over a restart. */
        if (o.ts_us == 0)
            o.ts_us = clock_wall_ms() * 1000;
    }
    if (!pg_messages_wants(x->messages, m->prefix))
        return LEAT_OK;
    struct err e;
    buf_reset(&x->content);
    if (pg_put_binary(&x->content, m->content, m->content_len, x->binary, &e) != ERR_OK)
        return fail(x, &e);
    struct cdc_content content = {x->binary == PG_BINARY_BYTES ? "bytes" : "string",
                                  (const char *)x->content.data, x->content.len};
    int rc = cdc_message(x->task->cdc, &o, m->transactional, m->prefix, strlen(m->prefix), &content);
    if (x->content.cap > CONTENT_KEEP)
        buf_free(&x->content);
    return rc;
}

/* Counts, and unmutes when the store has no more of the transaction. */
static void count(struct pg_txn *x)
{
    x->seen++;
    if (x->muted)
        mute(x, x->seen <= x->known || x->at.lsn <= x->skip_lsn);
}

int pg_txn_take(struct pg_txn *x, const struct pgoutput *m, uint64_t lsn)
{
    struct err e;
    switch (m->type) {
    case PGOUTPUT_RELATION:
        return pg_relations_put(x->relations, m, x->open ? x->at.xid : 0, &e) == ERR_OK
                   ? pg_incremental_relation(x->task->incremental, m->relation)
                   : fail(x, &e);
    case PGOUTPUT_TYPE:
        return LEAT_OK;
    case PGOUTPUT_ORIGIN:
        x->left_out = x->foreign_origin_out;
        return pg_origin_take(x->origin, m, &x->at, &e) == ERR_OK ? LEAT_OK : fail(x, &e);
    default:
        break;
    }
    if (__builtin_expect(x->open && !x->begun, 0)) {
        int rc = begin_events(x);
        if (rc != LEAT_OK)
            return rc;
    }
    x->at.lsn = lsn;
    if (__builtin_expect(pg_origin_due(x->origin), 0))
        pg_origin_fetch_xmin(x->origin, &x->at);
    if (m->type == PGOUTPUT_MESSAGE && !m->transactional)
        return take_message(x, m);
    if (!x->open) {
        err_set(&e, ERR_CORRUPT, "a %s message outside of a transaction", pgoutput_name(m->type));
        return fail(x, &e);
    }
    count(x);
    if (x->left_out)
        return LEAT_OK;
    if (m->type == PGOUTPUT_TRUNCATE)
        return take_truncate(x, m);
    return m->type == PGOUTPUT_MESSAGE ? take_message(x, m) : take_row(x, m);
}
