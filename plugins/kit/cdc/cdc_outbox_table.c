/*
 * cdc_outbox_table: the columns that EventRouter needs, found when a table is compiled.
 */
#include "kit/cdc/cdc_outbox_impl.h"

#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_schema.h"

#define TEXT_MAX ((size_t)1 << 30)

static int miss(struct cdc_table *t, const char *column, struct err *e)
{
    if (!t->routed->missing)
        t->routed->missing =
            mem_printf("EventRouter: the table %s has no column %s", t->collection->name, column);
    return t->routed->missing ? ERR_OK : err_nomem(e);
}

static int find(struct cdc_table *t, const char *column, struct routed_column *out, struct err *e)
{
    if (!column)
        return ERR_OK;
    out->field = cdc_field_of(t, column);
    if (!out->field)
        return miss(t, column, e);
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = cdc_schema_write(out->field->column, &(struct cdc_extra){out->field->mask, NULL}, &b, e);
    rc = rc ? rc : cdc_str_take(&b, &out->schema, e);
    buf_free(&b);
    return rc;
}

static int find_placed(struct cdc_table *t, const struct cdc_placed *as, bool missing_fails, struct err *e)
{
    struct cdc_routed *r = t->routed;
    const struct cdc_field *field = cdc_field_of(t, as->column);
    if (!field)
        return missing_fails ? miss(t, as->column, e) : ERR_OK;
    struct routed_placed *p = &r->placed[r->placed_count++];
    *p = (struct routed_placed){.as = as, .field = field};
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = CDC_PUT(&b, ",", e);
    rc = rc ? rc : cdc_json_string(&b, as->alias, strlen(as->alias), e);
    rc = rc ? rc : CDC_PUT(&b, ":", e);
    rc = rc ? rc : cdc_str_take(&b, &p->name, e);
    rc = rc ? rc : CDC_PUT(&b, ",", e);
    rc = rc ? rc : cdc_schema_write(field->column, &(struct cdc_extra){field->mask, as->alias}, &b, e);
    rc = rc ? rc : cdc_str_take(&b, &p->schema, e);
    buf_free(&b);
    return rc;
}

/* How many of the timestamp's units are a millisecond. */
static int find_unit(struct cdc_table *t, struct err *e)
{
    static const struct {
        const char *name;
        int64_t per_ms;
    } units[] = {
        {"io.debezium.time.Timestamp", 1},
        {"org.apache.kafka.connect.data.Timestamp", 1},
        {"io.debezium.time.MicroTimestamp", 1000},
        {"io.debezium.time.NanoTimestamp", 1000000},
    };
    const struct cdc_field *f = t->routed->timestamp.field;
    const char *name = f ? f->column->schema.name : NULL;
    for (size_t i = 0; f && i < sizeof(units) / sizeof(*units); i++)
        if (name && strcmp(units[i].name, name) == 0)
            t->routed->per_ms = units[i].per_ms;
    if (f && t->routed->per_ms == 0 && !t->routed->missing)
        t->routed->missing = mem_printf("EventRouter: the column %s of %s is no timestamp without zone",
                                        f->column->name, t->collection->name);
    return f && t->routed->per_ms == 0 && !t->routed->missing ? err_nomem(e) : ERR_OK;
}

int cdc_outbox_compile(struct cdc_table *t, struct err *e)
{
    const struct cdc_outbox *o = t->cdc->config.outbox;
    struct cdc_routed *r = t->routed = mem_calloc(1, sizeof(*r));
    if (!r)
        return err_nomem(e);
    buf_init(&r->schema, TEXT_MAX);
    buf_init(&r->payload, TEXT_MAX);
    r->heads = map_new();
    r->placed = mem_calloc(o->placed_count ? o->placed_count : 1, sizeof(*r->placed));
    if (!r->heads || !r->placed)
        return err_nomem(e);
    int rc = find(t, o->id, &r->id, e);
    rc = rc ? rc : find(t, o->key, &r->key, e);
    rc = rc ? rc : find(t, o->payload, &r->payload_column, e);
    rc = rc ? rc : find(t, o->timestamp, &r->timestamp, e);
    rc = rc ? rc : find(t, o->version, &r->version, e);
    rc = rc ? rc : find(t, o->route_by, &r->route_by, e);
    for (size_t i = 0; rc == ERR_OK && i < o->placed_count; i++)
        rc = find_placed(t, &o->placed[i], o->missing_fails, e);
    return rc ? rc : find_unit(t, e);
}

void cdc_routed_head_free(void *p)
{
    cdc_str_free(p);
    mem_free(p);
}

void cdc_routed_free(struct cdc_routed *r)
{
    if (!r)
        return;
    struct routed_column *columns[] = {&r->id,        &r->key,     &r->payload_column,
                                       &r->timestamp, &r->version, &r->route_by};
    for (size_t i = 0; i < sizeof(columns) / sizeof(*columns); i++)
        cdc_str_free(&columns[i]->schema);
    for (size_t i = 0; i < r->placed_count; i++) {
        cdc_str_free(&r->placed[i].name);
        cdc_str_free(&r->placed[i].schema);
    }
    mem_free(r->placed);
    if (r->heads)
        map_free(r->heads, cdc_routed_head_free);
    buf_free(&r->schema);
    buf_free(&r->payload);
    mem_free(r->missing);
    mem_free(r);
}
