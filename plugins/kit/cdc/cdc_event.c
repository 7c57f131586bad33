/*
 * cdc_event: a change made into events: which there are (a changed key makes two, a delete is followed by a tombstone), and
 * the envelope of each. What fails is taken back whole, so that a change never comes in part.
 */
#include <string.h>

#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_key_text.h"
#include "kit/cdc/cdc_transforms.h"

/* ---- keys ----------------------------------------------------------------------------------------------------------------- */

struct keyed {
    struct cdc_part whole, payload;
    bool known; /* false: the table has no key, or the row came without it */
};

static bool has_key(const struct cdc_table *t, const struct cdc_cell *row)
{
    for (size_t i = 0; i < t->key.count; i++)
        if (row[t->key.items[i].index].state == CDC_ABSENT)
            return false;
    return t->key.count > 0;
}

static int write_key(struct cdc *c, const struct cdc_table *t, const struct cdc_cell *row,
                     const struct cdc_cell *old, struct keyed *out, struct err *e)
{
    *out = (struct keyed){.whole.at = CDC_NOTHING};
    if (!has_key(t, row))
        return ERR_OK;
    struct buf *b = &c->batch.bytes;
    size_t begin = b->len;
    int rc = cdc_put_str(b, &t->key_head, e);
    size_t payload = b->len;
    rc = rc ? rc : cdc_fields_write(c, &t->key, row, old, b, e);
    out->payload = cdc_part_from(c, payload);
    if (rc == ERR_OK && t->key_head.n)
        rc = CDC_PUT(b, "}", e);
    out->whole = cdc_part_from(c, begin);
    out->known = rc == ERR_OK;
    return rc;
}

static bool same_key(const struct cdc *c, const struct keyed *a, const struct keyed *b)
{
    const uint8_t *bytes = c->batch.bytes.data;
    return a->payload.n == b->payload.n &&
           memcmp(bytes + a->payload.at, bytes + b->payload.at, a->payload.n) == 0;
}

/* ---- the envelope ----------------------------------------------------------------------------------------------------------- */

int cdc_event_headers(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, bool more,
                      struct err *e)
{
    if (ev->moved && cdc_header(c, r, ev->moved, strlen(ev->moved), ev->moved_key, e) != ERR_OK)
        return e->code;
    return cdc_context(c, r, more, e);
}

int cdc_event_block(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e)
{
    if (!c->config.transaction_metadata || !ev->in_txn)
        return CDC_PUT(out, "null", e);
    return cdc_block_write(c, ev->at, ev->table->collection, out, e);
}

static int image(struct cdc *c, const struct cdc_event *ev, const struct cdc_cell *row, struct buf *out,
                 struct err *e)
{
    return row ? cdc_fields_write(c, &ev->table->value, row, ev->old, out, e) : CDC_PUT(out, "null", e);
}

int cdc_envelope_end(struct cdc *c, const struct cdc_event *ev, struct buf *out, struct err *e)
{
    const struct cdc_table *t = ev->table;
    int rc = CDC_PUT(out, ",\"source\":", e);
    rc = rc ? rc : cdc_source_write(c, ev->at, t->schema_json, t->table_json, out, e);
    rc = rc ? rc : CDC_PUT(out, ",\"transaction\":", e);
    rc = rc ? rc : cdc_event_block(c, ev, out, e);
    rc = rc ? rc : cdc_times_write(ev->op, out, e);
    return rc ? rc : c->config.value_schemas ? CDC_PUT(out, "}}", e) : CDC_PUT(out, "}", e);
}

static int write_envelope(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    struct buf *b = &c->batch.bytes;
    int rc = cdc_put_str(b, &ev->table->before, e);
    rc = rc ? rc : image(c, ev, ev->before, b, e);
    rc = rc ? rc : CDC_PUT(b, ",\"after\":", e);
    rc = rc ? rc : image(c, ev, ev->after, b, e);
    if (rc)
        return rc;
    return c->ending.kept ? cdc_ending_write(c, ev, b, e) : cdc_envelope_end(c, ev, b, e);
}

static int plain_event(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    struct cdc_pending *r = cdc_record(c, ev->table->routed_topic, e);
    if (!r)
        return e->code;
    r->key = ev->key;
    size_t at = c->batch.bytes.len;
    int rc = write_envelope(c, ev, e);
    r->value = cdc_part_from(c, at);
    rc = rc ? rc : cdc_event_headers(c, ev, r, false, e);
    if (rc || !ev->tombstone)
        return rc;
    if (!(r = cdc_record(c, ev->table->routed_topic, e)))
        return e->code;
    r->key = ev->key;
    return cdc_event_headers(c, ev, r, false, e);
}

static int write_event(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    if (c->config.transaction_metadata && ev->in_txn && cdc_count(c, ev->table->collection, e) != ERR_OK)
        return e->code;
    if (__builtin_expect(ev->table->unwrapped || ev->table->routed, 0))
        return cdc_transforms_event(c, ev, e);
    return plain_event(c, ev, e);
}

/* ---- changes ---------------------------------------------------------------------------------------------------------------- */

/* The rows' cells of these fields are the same bytes; where `after` did not change a value, it is that of `before`. */
static bool same_cells(const struct cdc_fields *f, const struct cdc_cell *before,
                       const struct cdc_cell *after)
{
    for (size_t i = 0; i < f->count; i++) {
        uint32_t k = f->items[i].index;
        const struct cdc_cell *a = &before[k], *b = cdc_cell_of(after, before, k);
        if (a->state != b->state ||
            (a->state == CDC_VALUE && (a->len != b->len || memcmp(a->data, b->data, a->len) != 0)))
            return false;
    }
    return true;
}

static void warn_of_key(struct cdc *c, const struct cdc_table *t)
{
    if (t->collection->warned_key || t->key.count == 0)
        return;
    t->collection->warned_key = true;
    c->host->log(
        c->task, LEAT_WARN,
        "%s: its replica identity does not have the key's columns, so deletes come with a null key; to mend "
        "it: ALTER TABLE %s REPLICA IDENTITY FULL, or message.key.columns",
        t->collection->name, t->collection->name);
}

static int write_delete(struct cdc *c, struct cdc_event *ev, struct err *e)
{
    struct keyed key;
    if (write_key(c, ev->table, ev->before, NULL, &key, e) != ERR_OK)
        return e->code;
    if (!key.known)
        warn_of_key(c, ev->table);
    ev->key = key.whole;
    /* A tombstone is of a key: where there is none it says nothing. */
    ev->tombstone = c->config.tombstones && key.known;
    return write_event(c, ev, e);
}

/* A key as the header of the other event has it. */
static int header_text(struct cdc *c, const struct cdc_table *t, struct cdc_part payload,
                       struct cdc_part *out, struct err *e)
{
    buf_reset(&c->scratch);
    int rc = cdc_key_text(t, c->batch.bytes.data + payload.at, payload.n, &c->scratch, e);
    size_t at = c->batch.bytes.len;
    rc = rc ? rc : cdc_put(&c->batch.bytes, c->scratch.data, c->scratch.len, e);
    *out = cdc_part_from(c, at);
    return rc;
}

/* The row goes from one key to another: a delete and a create, each with the other's key. */
static int write_move(struct cdc *c, struct cdc_event *ev, const struct keyed *from, const struct keyed *to,
                      const struct cdc_cell *before, struct err *e)
{
    struct cdc_event gone = *ev, come = *ev;
    gone.op = 'd';
    gone.before = before;
    gone.after = NULL;
    gone.key = from->whole;
    gone.moved = "__debezium.newkey";
    gone.tombstone = c->config.tombstones;
    come.op = 'c';
    come.before = NULL;
    come.key = to->whole;
    come.moved = "__debezium.oldkey";
    int rc = header_text(c, ev->table, to->payload, &gone.moved_key, e);
    rc = rc ? rc : header_text(c, ev->table, from->payload, &come.moved_key, e);
    rc = rc ? rc : write_event(c, &gone, e);
    return rc ? rc : write_event(c, &come, e);
}

static int write_update(struct cdc *c, const struct cdc_change *ch, struct cdc_event *ev, struct err *e)
{
    const struct cdc_table *t = ch->table;
    const struct cdc_cell *old = ch->key_before ? ch->key_before : ch->before;
    struct keyed to, from = {0};
    bool known = old && has_key(t, old), moved = false;
    ev->old = ch->before ? ch->before : ch->key_before;
    int rc = write_key(c, t, ch->after, ev->old, &to, e);
    if (rc == ERR_OK && known && !same_cells(&t->key, old, ch->after)) {
        rc = write_key(c, t, old, NULL, &from, e);
        moved = to.known && from.known && !same_key(c, &from, &to);
    }
    if (rc)
        return rc;
    if (moved)
        return write_move(c, ev, &from, &to, ch->before ? ch->before : old, e);
    if (c->config.only_changes && ch->before && same_cells(&t->value, ch->before, ch->after))
        return ERR_OK;
    ev->key = to.whole;
    /* An identity that is another index: what it was is all that is known of the row before. */
    if (!ev->before && ch->key_before && !known)
        ev->before = ch->key_before;
    return write_event(c, ev, e);
}

static int write_change(struct cdc *c, const struct cdc_change *ch, struct err *e)
{
    struct cdc_event ev = {.table = ch->table,
                           .op = ch->op,
                           .at = &ch->at,
                           .before = ch->before,
                           .after = ch->after,
                           .in_txn = ch->in_txn,
                           .key.at = CDC_NOTHING};
    if (ch->op == 'u')
        return write_update(c, ch, &ev, e);
    if (ch->op == 'd')
        return write_delete(c, &ev, e);
    struct keyed key;
    if (ch->op != 't' && write_key(c, ch->table, ch->after, NULL, &key, e) != ERR_OK)
        return e->code;
    if (ch->op != 't')
        ev.key = key.whole;
    return write_event(c, &ev, e);
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------------------- */

/* The value is at fault, not the machine: event.processing.failure.handling.mode decides. */
static bool of_the_value(int code)
{
    return code == ERR_INVALID_RECORD || code == ERR_INVALID || code == ERR_CORRUPT ||
           code == ERR_TRUNCATED || code == ERR_UNSUPPORTED || code == ERR_TOO_LARGE;
}

/* The error's code, or ERR_OK where the change is left out. */
static int failed(struct cdc *c, const struct cdc_change *ch, struct err *e)
{
    if (!of_the_value(e->code))
        return e->code;
    struct err ignored;
    buf_reset(&c->scratch);
    if (c->dialect->write_sequence(&ch->at, &c->scratch, &ignored) != ERR_OK)
        buf_reset(&c->scratch);
    err_wrap(e, "%s, op %c at %.*s", ch->table->collection->name, ch->op, (int)c->scratch.len,
             c->scratch.len ? (const char *)c->scratch.data : "");
    if (c->config.failure == CDC_FAILURE_FAIL)
        return e->code;
    if (c->config.failure == CDC_FAILURE_WARN)
        c->host->log(c->task, LEAT_WARN, "a change is left out: %s", e->text);
    return ERR_OK;
}

int cdc_write(struct cdc *c, const struct cdc_change *ch, struct err *e)
{
    struct cdc_mark before = cdc_mark(c);
    uint64_t counted = c->total;
    int rc = write_change(c, ch, e);
    if (rc == ERR_OK) {
        if (c->muted)
            cdc_take_back(c, before);
        return ERR_OK;
    }
    cdc_take_back(c, before);
    while (c->total > counted)
        cdc_uncount(c, ch->table->collection);
    return failed(c, ch, e);
}

int cdc_change(struct cdc *c, const struct cdc_change *ch)
{
    struct err e;
    if (c->config.skipped && c->config.skipped & 1u << (ch->op - 'a'))
        return LEAT_OK;
    int rc = cdc_flush_full(c);
    if (rc)
        return rc;
    return cdc_write(c, ch, &e) == ERR_OK ? LEAT_OK : cdc_fail(c, &e);
}
