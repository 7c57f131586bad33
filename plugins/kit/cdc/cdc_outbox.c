/*
 * cdc_outbox: see cdc_outbox.h. Where the converters are not JSON, key and payload are the columns' text, as with Connect's
 * StringConverter; with JSON they are JSON values, with schema if asked.
 *
 * Schemas of values are kept by the payload's schema, with the name of the first record that had it: Debezium does so, and
 * so `outbox.order.Value` may stand at a customer's event.
 */
#include "kit/cdc/cdc_outbox_impl.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_expand.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_schema.h"

#define TEXT_MAX ((size_t)1 << 30)
#define HEADS_MAX 256 /* schemas that are kept; then they are made anew */

/* ---- texts of cells ------------------------------------------------------------------------------------------------------------- */

static const struct cdc_cell *cell_of(const struct cdc_event *ev, const struct cdc_field *f)
{
    return cdc_cell_of(ev->after, ev->old, f->index);
}

/* A value as text: a string itself, others as JSON has them. A mask counts as in values. */
static int put_text(struct cdc *c, const struct cdc_event *ev, const struct cdc_field *f, struct buf *out,
                    struct err *e)
{
    const struct cdc_cell *cell = cell_of(ev, f);
    if (f->mask || cell->state != CDC_VALUE || strcmp(f->column->schema.type, "\"string\"") != 0)
        return cdc_field_write(c, f, cell, out, e);
    return f->column->text ? f->column->text(f->column, cell->data, cell->len, out, e)
                           : buf_append(out, cell->data, cell->len, e);
}

static int add_header(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, const char *name,
                      const struct cdc_field *f, struct err *e)
{
    struct cdc_part part = {CDC_NOTHING, 0};
    if (cell_of(ev, f)->state != CDC_NULL) {
        size_t at = c->batch.bytes.len;
        if (put_text(c, ev, f, &c->batch.bytes, e) != ERR_OK)
            return e->code;
        part = cdc_part_from(c, at);
    }
    return cdc_header(c, r, name, strlen(name), part, e);
}

/* The whole number in a column: a partition, a time, a version. */
static int number_of(struct cdc *c, const struct cdc_event *ev, const struct cdc_field *f, int64_t *out,
                     struct err *e)
{
    buf_reset(&c->aside);
    int rc = cdc_field_write(c, f, cell_of(ev, f), &c->aside, e);
    rc = rc ? rc : buf_u8(&c->aside, '\0', e);
    if (rc)
        return rc;
    char *end;
    *out = strtoll((char *)c->aside.data, &end, 10);
    if (end == (char *)c->aside.data || *end)
        return err_set(e, ERR_INVALID_RECORD, "EventRouter: the column %s has no whole number: %.64s",
                       f->column->name, (char *)c->aside.data);
    return ERR_OK;
}

/* ---- key, topic, headers -------------------------------------------------------------------------------------------------------- */

static int write_key(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct routed_column *key = &ev->table->routed->key;
    struct buf *b = &c->batch.bytes;
    r->key.at = CDC_NOTHING;
    if (cell_of(ev, key->field)->state == CDC_NULL)
        return ERR_OK;
    size_t at = b->len;
    int rc = ERR_OK;
    if (c->host->converter(c->task, true) != LEAT_CONVERTER_JSON) {
        rc = put_text(c, ev, key->field, b, e);
    } else {
        bool schemas = c->config.key_schemas;
        rc = schemas ? CDC_PUT(b, "{\"schema\":", e) : ERR_OK;
        rc = rc ? rc : schemas ? cdc_put_str(b, &key->schema, e) : ERR_OK;
        rc = rc ? rc : schemas ? CDC_PUT(b, ",\"payload\":", e) : ERR_OK;
        rc = rc ? rc : cdc_field_write(c, key->field, cell_of(ev, key->field), b, e);
        rc = rc ? rc : schemas ? CDC_PUT(b, "}", e) : ERR_OK;
    }
    r->key = cdc_part_from(c, at);
    return rc;
}

/* The routed value, NUL-terminated in `aside`. */
static int routed_value(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    const struct cdc_field *f = ev->table->routed->route_by.field;
    if (cell_of(ev, f)->state != CDC_VALUE)
        return err_set(e, ERR_INVALID_RECORD,
                       "EventRouter: the column %s, which names the topic, has no value", f->column->name);
    buf_reset(&c->aside);
    int rc = put_text(c, ev, f, &c->aside, e);
    return rc ? rc : buf_u8(&c->aside, '\0', e);
}

static int choose_topic(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct cdc_outbox *o = c->config.outbox;
    int rc = routed_value(c, ev, e);
    char *topic = NULL;
    rc = rc ? rc : cdc_regex_replace(o->regex, (char *)c->aside.data, o->replacement, &topic, e);
    rc = rc ? rc
            : cdc_route_record(c, topic ? topic : (char *)c->aside.data, c->config.outbox_stage.routes, r, e);
    mem_free(topic);
    return rc;
}

static int place(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct cdc_routed *t = ev->table->routed;
    int rc = cdc_event_headers(c, ev, r, true, e);
    rc = rc ? rc : add_header(c, ev, r, "id", t->id.field, e);
    for (size_t i = 0; rc == ERR_OK && i < t->placed_count; i++) {
        const struct routed_placed *p = &t->placed[i];
        int64_t partition = -1;
        if (p->as->place == CDC_PLACE_HEADER)
            rc = add_header(c, ev, r, p->as->alias, p->field, e);
        if (p->as->place == CDC_PLACE_PARTITION && cell_of(ev, p->field)->state == CDC_VALUE)
            rc = number_of(c, ev, p->field, &partition, e);
        if (rc == ERR_OK && partition >= 0)
            r->partition = partition > INT32_MAX ? INT32_MAX : (int32_t)partition;
    }
    return rc;
}

static int set_time(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct cdc_routed *t = ev->table->routed;
    int64_t v;
    if (!t->timestamp.field || cell_of(ev, t->timestamp.field)->state != CDC_VALUE)
        return ERR_OK; /* the time of writing, which is the event's ts_ms */
    int rc = number_of(c, ev, t->timestamp.field, &v, e);
    r->timestamp = v / t->per_ms;
    return rc;
}

/* ---- the value ------------------------------------------------------------------------------------------------------------------ */

/* A payload as it goes into the record: JSON, with its schema. */
struct loaded {
    const void *json;
    size_t n;
    const void *schema;
    size_t schema_n;
};

/* {"type":"struct","fields":[{payload},{kind}...],..,"name":"<topic>.<routed>.Value"} */
static int envelope_schema(struct cdc *c, const struct cdc_event *ev, const struct loaded *p, int64_t version,
                           struct buf *out, struct err *e)
{
    const struct cdc_routed *t = ev->table->routed;
    struct buf fields, name;
    buf_init(&fields, TEXT_MAX);
    buf_init(&name, TEXT_MAX);
    /* The payload's schema gets its field's name in front of the closing brace. */
    int rc = buf_append(&fields, p->schema, p->schema_n - 1, e);
    rc = rc ? rc : CDC_PUT(&fields, ",\"field\":\"payload\"}", e);
    for (size_t i = 0; rc == ERR_OK && i < t->placed_count; i++)
        if (t->placed[i].as->place == CDC_PLACE_ENVELOPE)
            rc = cdc_put_str(&fields, &t->placed[i].schema, e);
    /* <topic>.Value" is what the table's own are called. */
    const struct cdc_str *own = &ev->table->value_name;
    size_t stem = own->n - strlen(".Value\"");
    rc = rc ? rc : buf_append(&name, own->p, stem + 1, e);
    rc = rc ? rc : routed_value(c, ev, e);
    rc = rc ? rc : cdc_json_part(&name, c->aside.data, c->aside.len - 1, e);
    rc = rc ? rc : buf_append(&name, ".Value\"", 8, e);
    rc = rc ? rc
            : cdc_schema_struct(out, (char *)fields.data, fields.len, false, (char *)name.data, (int)version,
                                NULL, e);
    buf_free(&fields);
    buf_free(&name);
    return rc;
}

static int make_head(struct cdc *c, const struct cdc_event *ev, const struct loaded *p, int64_t version,
                     struct cdc_str **out, struct err *e)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    struct cdc_str *head = mem_calloc(1, sizeof(*head));
    int rc = head ? CDC_PUT(&b, "{\"schema\":", e) : err_nomem(e);
    if (rc == ERR_OK)
        rc = c->config.outbox->envelope ? envelope_schema(c, ev, p, version, &b, e)
                                        : buf_append(&b, p->schema, p->schema_n, e);
    rc = rc ? rc : CDC_PUT(&b, ",\"payload\":", e);
    rc = rc ? rc : cdc_str_take(&b, head, e);
    buf_free(&b);
    if (rc && head)
        cdc_routed_head_free(head);
    *out = rc ? NULL : head;
    return rc;
}

static int put_head(struct cdc *c, const struct cdc_event *ev, const struct loaded *p, struct err *e)
{
    struct cdc_routed *t = ev->table->routed;
    int64_t version = 0;
    if (t->version.field && number_of(c, ev, t->version.field, &version, e) != ERR_OK)
        return e->code;
    if (version < 0 || version > INT32_MAX)
        return err_set(e, ERR_INVALID_RECORD, "EventRouter: %lld is no version of a schema",
                       (long long)version);
    buf_reset(&c->scratch);
    int rc = cdc_put_int(&c->scratch, version, e);
    rc = rc ? rc : buf_append(&c->scratch, p->schema, p->schema_n, e);
    if (rc)
        return rc;
    struct cdc_str *head = map_get(t->heads, c->scratch.data, c->scratch.len);
    if (!head) {
        if (map_count(t->heads) == HEADS_MAX) {
            struct map *fresh = map_new();
            if (!fresh)
                return err_nomem(e);
            map_free(t->heads, cdc_routed_head_free);
            t->heads = fresh;
        }
        if (make_head(c, ev, p, version, &head, e) != ERR_OK)
            return e->code;
        if (map_put(t->heads, c->scratch.data, c->scratch.len, head, e) != ERR_OK) {
            cdc_routed_head_free(head);
            return e->code;
        }
    }
    return cdc_put_str(&c->batch.bytes, head, e);
}

/* The payload's JSON and schema: expanded if that is asked for and possible, else the column's. */
static int load(struct cdc *c, const struct cdc_event *ev, struct loaded *out, struct err *e)
{
    struct cdc_routed *t = ev->table->routed;
    const struct cdc_field *f = t->payload_column.field;
    const struct cdc_cell *cell = cell_of(ev, f);
    struct err why;
    buf_reset(&t->payload);
    buf_reset(&t->schema);
    bool text = cell->state == CDC_VALUE && !f->mask && strcmp(f->column->schema.type, "\"string\"") == 0;
    if (c->config.outbox->expand && text) {
        buf_reset(&c->aside);
        if (put_text(c, ev, f, &c->aside, e) != ERR_OK)
            return e->code;
        if (cdc_expand(c->aside.data, c->aside.len, c->config.outbox->keep_nulls, &t->schema, &t->payload,
                       &why) == ERR_OK) {
            *out = (struct loaded){t->payload.data, t->payload.len, t->schema.data, t->schema.len};
            return ERR_OK;
        }
        if (why.code == ERR_NO_MEMORY)
            return err_set(e, why.code, "%s", why.text);
        c->host->log(c->task, LEAT_WARN, "EventRouter: a payload of %s stays text: %s",
                     ev->table->collection->name, why.text);
        buf_reset(&t->payload);
    }
    int rc = cdc_field_write(c, f, cell, &t->payload, e);
    *out = (struct loaded){t->payload.data, t->payload.len, t->payload_column.schema.p,
                           t->payload_column.schema.n};
    return rc;
}

static int write_envelope(struct cdc *c, const struct cdc_event *ev, const struct loaded *p, struct err *e)
{
    const struct cdc_routed *t = ev->table->routed;
    struct buf *b = &c->batch.bytes;
    int rc = CDC_PUT(b, "{\"payload\":", e);
    rc = rc ? rc : buf_append(b, p->json, p->n, e);
    for (size_t i = 0; rc == ERR_OK && i < t->placed_count; i++) {
        const struct routed_placed *one = &t->placed[i];
        if (one->as->place != CDC_PLACE_ENVELOPE)
            continue;
        rc = cdc_put_str(b, &one->name, e);
        rc = rc ? rc : cdc_field_write(c, one->field, cell_of(ev, one->field), b, e);
    }
    return rc ? rc : CDC_PUT(b, "}", e);
}

static int write_json(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    bool schemas = c->config.value_schemas;
    struct cdc_routed *t = ev->table->routed;
    struct loaded p;
    int rc = load(c, ev, &p, e);
    rc = rc ? rc : schemas ? put_head(c, ev, &p, e) : ERR_OK;
    if (rc == ERR_OK)
        rc = c->config.outbox->envelope ? write_envelope(c, ev, &p, e)
                                        : buf_append(&c->batch.bytes, p.json, p.n, e);
    if (t->payload.cap > CDC_BATCH_KEEP)
        buf_free(&t->payload);
    return rc ? rc : schemas ? CDC_PUT(&c->batch.bytes, "}", e) : ERR_OK;
}

/* No payload, or one of white space. */
static bool is_empty(const struct cdc_cell *cell)
{
    const unsigned char *p = cell->data;
    for (size_t i = 0; cell->state == CDC_VALUE && i < cell->len; i++)
        if (p[i] > ' ')
            return false;
    return cell->state == CDC_VALUE || cell->state == CDC_NULL;
}

static int write_value(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct cdc_outbox *o = c->config.outbox;
    const struct cdc_field *f = ev->table->routed->payload_column.field;
    const struct cdc_cell *cell = cell_of(ev, f);
    bool json = c->host->converter(c->task, false) == LEAT_CONVERTER_JSON;
    bool plain = !json && !o->envelope && !o->expand;
    if ((o->tombstones && is_empty(cell)) || (plain && cell->state == CDC_NULL))
        return ERR_OK;
    size_t at = c->batch.bytes.len;
    int rc = plain ? put_text(c, ev, f, &c->batch.bytes, e) : write_json(c, ev, e);
    r->value = cdc_part_from(c, at);
    return rc;
}

/* ---- events --------------------------------------------------------------------------------------------------------------------- */

/* An update, or a truncate: an outbox is only inserted into and deleted from. */
static int invalid(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    const struct cdc_outbox *o = c->config.outbox;
    if (o->invalid == CDC_INVALID_FATAL)
        return err_set(e, ERR_INVALID_CONFIG,
                       "EventRouter: an %s of %s, which table.op.invalid.behavior does not allow",
                       ev->op == 'u' ? "update" : "unexpected truncate", ev->table->collection->name);
    c->host->log(c->task, o->invalid == CDC_INVALID_ERROR ? LEAT_ERROR : LEAT_WARN,
                 "EventRouter: an %s of %s is left out", ev->op == 'u' ? "update" : "unexpected truncate",
                 ev->table->collection->name);
    return ERR_OK;
}

int cdc_outbox_event(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    if (ev->op == 'd')
        return ERR_OK;
    if (ev->op == 'u' || ev->op == 't')
        return invalid(c, ev, e);
    if (ev->table->routed->missing)
        return err_set(e, ERR_INVALID_CONFIG, "%s", ev->table->routed->missing);
    struct cdc_pending *r = cdc_record(c, NULL, e);
    if (!r)
        return e->code;
    int rc = choose_topic(c, ev, r, e);
    rc = rc ? rc : write_key(c, ev, r, e);
    rc = rc ? rc : write_value(c, ev, r, e);
    rc = rc ? rc : place(c, ev, r, e);
    return rc ? rc : set_time(c, ev, r, e);
}
