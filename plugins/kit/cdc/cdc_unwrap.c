/*
 * cdc_unwrap: see cdc_unwrap.h. Source and transaction block are written once for an event, and the fields that are asked for
 * found in that text: so this works for whatever members a database's source has.
 */
#include "kit/cdc/cdc_unwrap.h"

#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_schema.h"
#include "kit/cdc/cdc_unwrap_impl.h"
#include "kit/jtext.h"

#define TEXT_MAX ((size_t)64 << 20)

#define OP_SCHEMA "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"}"
#define TIME_SCHEMA "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"}"

/* An add of the options that this table has. */
struct unwrapped_add {
    const struct cdc_add *add;
    struct cdc_str name;           /* of fields: `,"__op":` */
    const struct cdc_field *field; /* of before and after */
};

struct unwrapped_adds {
    struct unwrapped_add *items;
    size_t count;
};

struct cdc_unwrapped {
    struct unwrapped_adds fields, headers;
    struct cdc_str head;              /* `{"schema":...,"payload":` or nothing */
    const struct cdc_field *route_by; /* NULL: the table's topic */
};

/* ---- compiling -------------------------------------------------------------------------------------------------------------- */

/* The schema of a field of the struct in `schema`; false: it has none of that name. */
static bool schema_of_member(const struct cdc_str *schema, const char *field, struct jtext_token *out)
{
    struct jtext_token fields, name;
    if (!jtext_find(schema->p, schema->n, "fields", &fields))
        return false;
    for (size_t at = 0; jtext_next_item(fields.p, fields.n, &at, out);)
        if (jtext_find(out->p, out->n, "field", &name) && jtext_equals(&name, field, strlen(field)))
            return true;
    return false;
}

static const char *find_last(const char *p, size_t n, const char *text, size_t size)
{
    const char *last = NULL;
    for (const char *f = p; (f = memmem(f, n - (size_t)(f - p), text, size)); f++)
        last = f;
    return last;
}

/* Appends a member's schema under another name, and optional, as it may be missing. Those of a struct's own members come before its own. */
static int put_schema(const char *p, size_t n, const char *name, struct buf *out, struct err *e)
{
    static const char optional[] = "\"optional\":", no[] = "false", field[] = ",\"field\":";
    const char *last = find_last(p, n, field, sizeof(field) - 1);
    size_t end = (size_t)(last - p);
    const char *at = find_last(p, end, optional, sizeof(optional) - 1);
    int rc = CDC_PUT(out, ",", e);
    if (at && memcmp(at + sizeof(optional) - 1, no, sizeof(no) - 1) == 0) {
        rc = rc ? rc : cdc_put(out, p, (size_t)(at - p), e);
        rc = rc ? rc : CDC_PUT(out, "\"optional\":true", e);
        at += sizeof(optional) - 1 + sizeof(no) - 1;
        rc = rc ? rc : cdc_put(out, at, end - (size_t)(at - p), e);
    } else {
        rc = rc ? rc : cdc_put(out, p, end, e);
    }
    rc = rc ? rc : CDC_PUT(out, ",\"field\":", e);
    rc = rc ? rc : cdc_json_string(out, name, strlen(name), e);
    return rc ? rc : CDC_PUT(out, "}", e);
}

static int put_column_schema(const struct cdc_field *f, const char *name, struct buf *out, struct err *e)
{
    struct buf one;
    buf_init(&one, TEXT_MAX);
    int rc = cdc_schema_write(f->column, &(struct cdc_extra){f->mask, name}, &one, e);
    rc = rc ? rc : put_schema((char *)one.data, one.len, name, out, e);
    buf_free(&one);
    return rc;
}

/* Whether the table's events have it; appends its schema to `schema`, if that is not NULL. */
static int resolve(struct cdc_table *t, const struct cdc_add *a, struct unwrapped_add *out, bool *there,
                   struct buf *schema, struct err *e)
{
    *out = (struct unwrapped_add){.add = a};
    *there = true;
    struct jtext_token found;
    switch (a->of) {
    case CDC_ADD_TOP:
        if (!schema)
            return ERR_OK;
        if (strcmp(a->field, "op") == 0)
            return put_schema(OP_SCHEMA, sizeof(OP_SCHEMA) - 1, a->name, schema, e);
        return put_schema(TIME_SCHEMA, sizeof(TIME_SCHEMA) - 1, a->name, schema, e);
    case CDC_ADD_SOURCE:
    case CDC_ADD_TRANSACTION:
        *there = schema_of_member(a->of == CDC_ADD_SOURCE ? &t->cdc->source_schema : &t->cdc->block_schema,
                                  a->field, &found);
        return *there && schema ? put_schema(found.p, found.n, a->name, schema, e) : ERR_OK;
    default:
        out->field = cdc_field_of(t, a->field);
        *there = out->field != NULL;
        return *there && schema ? put_column_schema(out->field, a->name, schema, e) : ERR_OK;
    }
}

static int resolve_all(struct cdc_table *t, const struct cdc_adds *from, struct unwrapped_adds *to,
                       struct buf *schema, struct err *e)
{
    to->items = mem_calloc(from->count ? from->count : 1, sizeof(*to->items));
    int rc = to->items ? ERR_OK : err_nomem(e);
    for (size_t i = 0; rc == ERR_OK && i < from->count; i++) {
        bool there;
        struct unwrapped_add *a = &to->items[to->count];
        rc = resolve(t, &from->items[i], a, &there, schema, e);
        if (rc || !there)
            continue;
        to->count++;
        struct buf name;
        buf_init(&name, TEXT_MAX);
        rc = CDC_PUT(&name, ",", e);
        rc = rc ? rc : cdc_json_string(&name, a->add->name, strlen(a->add->name), e);
        rc = rc ? rc : CDC_PUT(&name, ":", e);
        rc = rc ? rc : cdc_str_take(&name, &a->name, e);
        buf_free(&name);
    }
    return rc;
}

static int make_head(struct cdc_table *t, struct buf *fields, struct err *e)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = CDC_PUT(&b, "{\"schema\":", e);
    /* Without columns the first field begins with a comma too many. */
    size_t skip = fields->len && fields->data[0] == ',' ? 1 : 0;
    rc = rc ? rc
            : cdc_schema_struct(&b, (char *)fields->data + skip, fields->len - skip, false, t->value_name.p,
                                0, NULL, e);
    rc = rc ? rc : CDC_PUT(&b, ",\"payload\":", e);
    rc = rc ? rc : cdc_str_take(&b, &t->unwrapped->head, e);
    buf_free(&b);
    return rc;
}

int cdc_unwrap_compile(struct cdc_table *t, struct err *e)
{
    const struct cdc_unwrap *u = t->cdc->config.unwrap;
    if (!(t->unwrapped = mem_calloc(1, sizeof(*t->unwrapped))))
        return err_nomem(e);
    struct buf schema;
    buf_init(&schema, TEXT_MAX);
    int rc = cdc_put_str(&schema, &t->row_schema, e);
    if (rc == ERR_OK && u->deletes == CDC_UNWRAP_REWRITE)
        rc = CDC_PUT(&schema, ",{\"type\":\"string\",\"optional\":true,\"field\":\"__deleted\"}", e);
    rc = rc ? rc : resolve_all(t, &u->fields, &t->unwrapped->fields, &schema, e);
    rc = rc ? rc : resolve_all(t, &u->headers, &t->unwrapped->headers, NULL, e);
    if (rc == ERR_OK && t->cdc->config.value_schemas)
        rc = make_head(t, &schema, e);
    if (rc == ERR_OK && u->route_by && !(t->unwrapped->route_by = cdc_field_of(t, u->route_by)))
        rc = err_set(e, ERR_INVALID_CONFIG, "route.by.field: %s has no column %s", t->collection->name,
                     u->route_by);
    buf_free(&schema);
    return rc;
}

static void adds_free(struct unwrapped_adds *a)
{
    for (size_t i = 0; i < a->count; i++)
        cdc_str_free(&a->items[i].name);
    mem_free(a->items);
}

void cdc_unwrapped_free(struct cdc_unwrapped *u)
{
    if (!u)
        return;
    adds_free(&u->fields);
    adds_free(&u->headers);
    cdc_str_free(&u->head);
    mem_free(u);
}

bool cdc_unwrap_routes(const struct cdc_table *t)
{
    return t->unwrapped && t->unwrapped->route_by;
}

/* ---- values ----------------------------------------------------------------------------------------------------------------- */

/* An event's source and transaction block as text, in the capture's buffer `aside`. */
struct seen {
    struct cdc_part source, block;
    char now[CDC_DIGITS];
    size_t now_n;
};

static int look(struct cdc *c, const struct cdc_event *ev, struct seen *s, struct err *e)
{
    struct buf *b = &c->aside;
    buf_reset(b);
    s->now_n = cdc_now(s->now);
    int rc = cdc_source_write(c, ev->at, ev->table->schema_json, ev->table->table_json, b, e);
    s->source = (struct cdc_part){0, b->len};
    rc = rc ? rc : cdc_event_block(c, ev, b, e);
    s->block = (struct cdc_part){s->source.n, b->len - s->source.n};
    return rc;
}

/* The member's JSON, strings with their quotes. */
static int put_found(struct cdc *c, struct cdc_part in, const char *field, struct buf *out, struct err *e)
{
    struct jtext_token t;
    if (!jtext_find(c->aside.data + in.at, in.n, field, &t))
        return CDC_PUT(out, "null", e);
    size_t quote = t.type == JTEXT_STRING ? 1 : 0;
    return cdc_put(out, t.p - quote, t.n + 2 * quote, e);
}

static int put_time(const struct seen *s, const char *unit, struct buf *out, struct err *e)
{
    size_t less = strcmp(unit, "ts_ms") == 0 ? 6 : strcmp(unit, "ts_us") == 0 ? 3 : 0;
    return cdc_put(out, s->now, s->now_n - less, e);
}

/* One cell as the value would have it. */
static int put_cell(struct cdc *c, const struct cdc_field *f, const struct cdc_event *ev, bool before,
                    struct buf *out, struct err *e)
{
    const struct cdc_cell *row = before ? ev->before : ev->after;
    return row ? cdc_field_write(c, f, cdc_cell_of(row, ev->old, f->index), out, e) : CDC_PUT(out, "null", e);
}

static int put_add(struct cdc *c, const struct cdc_event *ev, const struct seen *s,
                   const struct unwrapped_add *a, struct buf *out, struct err *e)
{
    const char op[3] = {'"', ev->op, '"'};
    switch (a->add->of) {
    case CDC_ADD_TOP:
        return strcmp(a->add->field, "op") == 0 ? cdc_put(out, op, sizeof(op), e)
                                                : put_time(s, a->add->field, out, e);
    case CDC_ADD_SOURCE:
        return put_found(c, s->source, a->add->field, out, e);
    case CDC_ADD_TRANSACTION:
        return put_found(c, s->block, a->add->field, out, e);
    default:
        return put_cell(c, a->field, ev, a->add->of == CDC_ADD_BEFORE, out, e);
    }
}

/* Headers are text: strings without quotes and escapes, a null is none. */
static int add_header(struct cdc *c, struct cdc_pending *r, const char *name, const char *json, size_t n,
                      struct err *e)
{
    struct buf *b = &c->batch.bytes;
    struct cdc_part part = {CDC_NOTHING, 0};
    int rc = ERR_OK;
    if (n != 4 || memcmp(json, "null", 4) != 0) {
        size_t at = b->len;
        rc = *json == '"' ? jtext_unescape(b, json + 1, n - 2, e) : cdc_put(b, json, n, e);
        part = cdc_part_from(c, at);
    }
    return rc ? rc : cdc_header(c, r, name, strlen(name), part, e);
}

static int add_headers(struct cdc *c, const struct cdc_event *ev, const struct seen *s, struct cdc_pending *r,
                       struct err *e)
{
    const struct unwrapped_adds *adds = &ev->table->unwrapped->headers;
    int rc = cdc_event_headers(c, ev, r, adds->count > 0, e);
    struct buf *b = &c->batch.bytes;
    for (size_t i = 0; rc == ERR_OK && i < adds->count; i++) {
        /* Its JSON is written behind the record's bytes and taken from there. */
        size_t at = b->len;
        rc = put_add(c, ev, s, &adds->items[i], b, e);
        buf_reset(&c->scratch2);
        rc = rc ? rc : buf_append(&c->scratch2, b->data + at, b->len - at, e);
        b->len = at;
        rc = rc ? rc
                : add_header(c, r, adds->items[i].add->name, (char *)c->scratch2.data, c->scratch2.len, e);
    }
    return rc;
}

/* The row with what is added to it. */
static int write_value(struct cdc *c, const struct cdc_event *ev, const struct seen *s,
                       const struct cdc_cell *row, struct err *e)
{
    struct buf *b = &c->batch.bytes;
    const struct cdc_unwrapped *u = ev->table->unwrapped;
    int rc = cdc_put_str(b, &u->head, e);
    size_t begin = b->len;
    rc = rc ? rc : cdc_fields_write(c, &ev->table->value, row, ev->old, b, e);
    if (rc)
        return rc;
    b->len--;
    size_t row_end = b->len;
    if (c->config.unwrap->deletes == CDC_UNWRAP_REWRITE)
        rc = ev->op == 'd' ? CDC_PUT(b, ",\"__deleted\":\"true\"", e)
                           : CDC_PUT(b, ",\"__deleted\":\"false\"", e);
    for (size_t i = 0; rc == ERR_OK && i < u->fields.count; i++) {
        rc = cdc_put_str(b, &u->fields.items[i].name, e);
        rc = rc ? rc : put_add(c, ev, s, &u->fields.items[i], b, e);
    }
    if (rc == ERR_OK && ev->table->value.count == 0 && b->len > row_end) {
        /* Nothing stands before the first comma. */
        memmove(b->data + begin + 1, b->data + begin + 2, b->len - begin - 2);
        b->len--;
    }
    rc = rc ? rc : CDC_PUT(b, "}", e);
    return rc ? rc : u->head.n ? CDC_PUT(b, "}", e) : ERR_OK;
}

/* ---- records ------------------------------------------------------------------------------------------------------------------ */

/* The topic that route.by.field's column names. */
static int route(struct cdc *c, const struct cdc_event *ev, struct cdc_pending *r, struct err *e)
{
    const struct cdc_field *f = ev->table->unwrapped->route_by;
    const struct cdc_cell *row = ev->after ? ev->after : ev->before;
    const struct cdc_cell *cell = cdc_cell_of(row, ev->old, f->index);
    if (cell->state != CDC_VALUE)
        return err_set(e, ERR_INVALID_RECORD, "route.by.field: the column %s has no value%s", f->column->name,
                       cell->state == CDC_ABSENT
                           ? " in what the database logs of a delete (REPLICA IDENTITY FULL mends it)"
                           : "");
    buf_reset(&c->scratch2);
    int rc = f->column->text ? f->column->text(f->column, cell->data, cell->len, &c->scratch2, e)
                             : buf_append(&c->scratch2, cell->data, cell->len, e);
    rc = rc ? rc : buf_u8(&c->scratch2, '\0', e);
    return rc ? rc : cdc_route_record(c, (char *)c->scratch2.data, c->config.unwrap_stage.routes, r, e);
}

static int begin(struct cdc *c, const struct cdc_event *ev, struct cdc_pending **out, struct err *e)
{
    *out = cdc_record(c, ev->table->routed_topic, e);
    if (!*out)
        return e->code;
    (*out)->key = ev->key;
    return ev->table->unwrapped->route_by ? route(c, ev, *out, e) : ERR_OK;
}

/* A tombstone that is kept has the delete's headers, and the operation again. */
static int tombstone(struct cdc *c, const struct cdc_event *ev, const struct seen *s, struct err *e)
{
    struct cdc_pending *r;
    int rc = begin(c, ev, &r, e);
    rc = rc ? rc : add_headers(c, ev, s, r, e);
    const struct unwrapped_adds *adds = &ev->table->unwrapped->headers;
    for (size_t i = 0; rc == ERR_OK && i < adds->count; i++)
        if (adds->items[i].add->of == CDC_ADD_TOP && strcmp(adds->items[i].add->field, "op") == 0)
            rc = add_header(c, r, adds->items[i].add->name, "\"d\"", 3, e);
    return rc;
}

int cdc_unwrap_event(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    const struct cdc_unwrap *u = c->config.unwrap;
    bool gone = ev->op == 'd';
    if (ev->op == 't')
        return ERR_OK;
    struct seen s;
    int rc = look(c, ev, &s, e);
    struct cdc_pending *r;
    if (rc == ERR_OK && (!gone || u->deletes != CDC_UNWRAP_DROP)) {
        rc = begin(c, ev, &r, e);
        size_t at = c->batch.bytes.len;
        if (rc == ERR_OK && (!gone || u->deletes == CDC_UNWRAP_REWRITE)) {
            rc = write_value(c, ev, &s, gone ? ev->before : ev->after, e);
            r->value = cdc_part_from(c, at);
        }
        rc = rc ? rc : add_headers(c, ev, &s, r, e);
    }
    return rc == ERR_OK && ev->tombstone && u->tombstones ? tombstone(c, ev, &s, e) : rc;
}
