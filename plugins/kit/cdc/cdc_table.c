/*
 * cdc_table: a table compiled: which columns make key and value, the text that comes before each value, what stands for NULL and
 * for values that are not there, the schemas, the topic. Rows are then written by cdc_fields_write.
 */
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"
#include "kit/cdc/cdc_mask.h"
#include "kit/cdc/cdc_schema.h"
#include "kit/cdc/cdc_transforms.h"
#include "kit/cdc/cdc_json.h"

#define TEXT_MAX ((size_t)64 << 20) /* of a table's schema */

/* ---- texts ---------------------------------------------------------------------------------------------------------------- */

int cdc_str_take(struct buf *b, struct cdc_str *out, struct err *e)
{
    *out = (struct cdc_str){.n = b->len};
    if (!(out->p = mem_dup(b->len ? b->data : (const uint8_t *)"", b->len)))
        return err_nomem(e);
    buf_reset(b);
    return ERR_OK;
}

void cdc_str_free(struct cdc_str *s)
{
    mem_free(s->p);
    *s = (struct cdc_str){0};
}

static int str_copy(const char *text, struct cdc_str *out, struct err *e)
{
    out->n = strlen(text);
    out->p = mem_dup(text, out->n);
    return out->p ? ERR_OK : err_nomem(e);
}

/* The name as a JSON string, NUL-terminated. */
static int json_name(const char *name, char **out, struct err *e)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    int rc = cdc_json_string(&b, name, strlen(name), e);
    rc = rc ? rc : buf_u8(&b, '\0', e);
    *out = rc ? NULL : (char *)b.data;
    if (rc)
        buf_free(&b);
    return rc;
}

static void fields_free(struct cdc_fields *f)
{
    for (size_t i = 0; i < f->count; i++) {
        cdc_str_free(&f->items[i].name);
        cdc_str_free(&f->items[i].null);
        cdc_str_free(&f->items[i].unchanged);
        cdc_str_free(&f->items[i].absent);
    }
    mem_free(f->items);
    *f = (struct cdc_fields){0};
}

/* What a table is being compiled with. */
struct making {
    struct cdc *c;
    struct cdc_table *t;
    struct buf text;
    struct err *e;
};

static const char *first_of(const struct making *m)
{
    return m->t->spec.schema ? m->t->spec.schema : m->t->spec.db;
}

/* The field's name as the value has it. */
static int adjusted(struct making *m, const char *name, char **out)
{
    return cdc_adjust_name(m->c->config.field_names, true, name, out, m->e);
}

static int fixed_mask(struct making *m, const struct cdc_mask_rule *r, struct cdc_field *f)
{
    int rc = buf_reserve(&m->text, (size_t)r->length + 2, m->e);
    if (rc)
        return rc;
    memset(m->text.data, '*', (size_t)r->length + 2);
    m->text.data[0] = m->text.data[r->length + 1] = '"';
    m->text.len = (size_t)r->length + 2;
    /* Also a NULL is masked: one must not see that it is one. */
    struct cdc_str *all[] = {&f->null, &f->unchanged, &f->absent};
    for (size_t i = 0; i < 3; i++) {
        all[i]->n = m->text.len;
        if (!(all[i]->p = mem_dup(m->text.data, m->text.len)))
            return err_nomem(m->e);
    }
    buf_reset(&m->text);
    return ERR_OK;
}

static int add_field(struct making *m, struct cdc_fields *to, uint32_t index,
                     const struct cdc_mask_rule *mask)
{
    const struct cdc_column *column = &m->t->spec.columns[index];
    struct cdc_field *f = &to->items[to->count];
    *f = (struct cdc_field){.column = column, .index = index, .mask = mask};
    char *name = NULL;
    int rc = adjusted(m, column->name, &name);
    rc = rc ? rc : buf_u8(&m->text, to->count ? ',' : '{', m->e);
    to->count++; /* from here on fields_free frees it */
    rc = rc ? rc : cdc_json_string(&m->text, name, strlen(name), m->e);
    rc = rc ? rc : buf_u8(&m->text, ':', m->e);
    rc = rc ? rc : cdc_str_take(&m->text, &f->name, m->e);
    mem_free(name);
    if (rc == ERR_OK && mask && mask->kind == CDC_MASK_FIXED)
        return fixed_mask(m, mask, f);
    const char *null = column->schema.def ? column->schema.def : "null";
    rc = rc ? rc : str_copy(null, &f->null, m->e);
    rc = rc ? rc : str_copy(column->unchanged ? column->unchanged : null, &f->unchanged, m->e);
    return rc ? rc : str_copy(column->absent ? column->absent : null, &f->absent, m->e);
}

/* ---- columns of value and key --------------------------------------------------------------------------------------------- */

static const struct cdc_mask_rule *rule_for(struct making *m, const struct cdc_column *column)
{
    char name[CDC_NAME_SIZE], type[CDC_NAME_SIZE];
    const struct cdc_table_spec *s = &m->t->spec;
    const struct cdc_mask_rule *hash,
        *r = cdc_mask_find(
            &m->c->config, cdc_name_of(name, NULL, first_of(m), s->table, column->name),
            cdc_name_of(type, NULL, first_of(m), s->table, column->source_type ? column->source_type : ""),
            &hash);
    if (hash)
        m->c->host->log(m->c->task, LEAT_WARN, "%s: the column %s is not hashed, as %s names it, too",
                        hash->option, name, r->option);
    if (r && r->kind != CDC_MASK_PROPAGATE && strcmp(column->schema.type, "\"string\"") != 0)
        m->c->host->log(m->c->task, LEAT_WARN,
                        "%s: the column %s has no text, so its values stay as they are", r->option, name);
    return r;
}

/* Values that are text and are to be changed; parameters of the schema tell of the rule in any case. */
static const struct cdc_mask_rule *value_rule(const struct cdc_column *column, const struct cdc_mask_rule *r)
{
    return r && r->kind != CDC_MASK_PROPAGATE && strcmp(column->schema.type, "\"string\"") == 0 ? r : NULL;
}

static int fields_room(struct making *m, struct cdc_fields *f, size_t n)
{
    f->items = mem_calloc(n ? n : 1, sizeof(*f->items));
    return f->items ? ERR_OK : err_nomem(m->e);
}

/* Two columns of which the adjusted names are the same. */
static int clash(struct making *m)
{
    const struct cdc_fields *f = &m->t->value;
    for (size_t i = 0; m->c->config.field_names != CDC_ADJUST_NONE && i < f->count; i++)
        for (size_t k = i + 1; k < f->count; k++)
            if (f->items[i].name.n == f->items[k].name.n &&
                memcmp(f->items[i].name.p + 1, f->items[k].name.p + 1, f->items[i].name.n - 1) == 0)
                return err_set(m->e, ERR_INVALID_CONFIG,
                               "field.name.adjustment.mode: the columns %s and %s of %s.%s get one name",
                               f->items[i].column->name, f->items[k].column->name, first_of(m),
                               m->t->spec.table);
    return ERR_OK;
}

static int value_fields(struct making *m)
{
    struct cdc_table_spec *s = &m->t->spec;
    struct buf schema;
    buf_init(&schema, TEXT_MAX);
    int rc = fields_room(m, &m->t->value, s->column_count);
    for (size_t i = 0; rc == ERR_OK && i < s->column_count; i++) {
        const struct cdc_column *column = &s->columns[i];
        if (column->generated || !cdc_captures_column(m->c, s->schema, s->table, column->name))
            continue;
        const struct cdc_mask_rule *rule = rule_for(m, column);
        rc = add_field(m, &m->t->value, (uint32_t)i, value_rule(column, rule));
        char *name = NULL;
        rc = rc ? rc : adjusted(m, column->name, &name);
        if (rc == ERR_OK && schema.len)
            rc = buf_u8(&schema, ',', m->e);
        rc = rc ? rc : cdc_schema_write(column, &(struct cdc_extra){rule, name}, &schema, m->e);
        mem_free(name);
    }
    rc = rc ? rc : cdc_str_take(&schema, &m->t->row_schema, m->e);
    buf_free(&schema);
    return rc ? rc : clash(m);
}

/* message.key.columns if it names some of the table's, else what the connector said. */
static int choose_key(struct making *m)
{
    struct cdc_table_spec *s = &m->t->spec;
    char name[CDC_NAME_SIZE];
    uint32_t *key = mem_calloc(s->column_count ? s->column_count : 1, sizeof(*key));
    if (!key)
        return err_nomem(m->e);
    size_t n = 0;
    for (size_t i = 0; i < s->column_count; i++)
        if (cdc_filter_matches(&m->c->config.keys,
                               cdc_name_of(name, NULL, first_of(m), s->table, s->columns[i].name)) ||
            cdc_filter_matches(&m->c->config.keys, cdc_name_of(name, s->schema ? s->db : NULL, first_of(m),
                                                               s->table, s->columns[i].name)))
            key[n++] = (uint32_t)i;
    if (n == 0) {
        mem_free(key);
        return ERR_OK;
    }
    mem_free(s->key);
    s->key = key;
    s->key_count = n;
    return ERR_OK;
}

static int key_fields(struct making *m)
{
    int rc = choose_key(m);
    rc = rc ? rc : fields_room(m, &m->t->key, m->t->spec.key_count);
    for (size_t i = 0; rc == ERR_OK && i < m->t->spec.key_count; i++)
        rc = add_field(m, &m->t->key, m->t->spec.key[i], NULL);
    return rc;
}

/* ---- schemas and names ---------------------------------------------------------------------------------------------------- */

/* <topic><suffix>, adjusted, as a JSON string in m->text. */
static int schema_name(struct making *m, const char *suffix, char **out)
{
    char *plain = mem_printf("%s%s", m->t->topic, suffix), *name = NULL;
    int rc = plain ? cdc_adjust_name(m->c->config.schema_names, false, plain, &name, m->e) : err_nomem(m->e);
    rc = rc ? rc : json_name(name, out, m->e);
    mem_free(plain);
    mem_free(name);
    return rc;
}

static int key_head(struct making *m)
{
    if (!m->c->config.key_schemas)
        return str_copy("", &m->t->key_head, m->e);
    struct buf fields;
    buf_init(&fields, TEXT_MAX);
    char *name = NULL;
    int rc = schema_name(m, ".Key", &name);
    for (size_t i = 0; rc == ERR_OK && i < m->t->key.count; i++) {
        const struct cdc_column *column = m->t->key.items[i].column;
        char *field = NULL;
        rc = adjusted(m, column->name, &field);
        if (rc == ERR_OK && i)
            rc = buf_u8(&fields, ',', m->e);
        rc = rc ? rc : cdc_schema_write(column, &(struct cdc_extra){NULL, field}, &fields, m->e);
        mem_free(field);
    }
    rc = rc ? rc : buf_str(&m->text, "{\"schema\":", m->e);
    rc = rc ? rc : cdc_schema_struct(&m->text, (char *)fields.data, fields.len, false, name, 0, NULL, m->e);
    rc = rc ? rc : buf_str(&m->text, ",\"payload\":", m->e);
    rc = rc ? rc : cdc_str_take(&m->text, &m->t->key_head, m->e);
    buf_free(&fields);
    mem_free(name);
    return rc;
}

static int envelope_fields(struct making *m, struct buf *fields)
{
    const struct cdc_str *row = &m->t->row_schema;
    int rc = ERR_OK;
    for (int i = 0; rc == ERR_OK && i < 2; i++) {
        rc = cdc_schema_struct(fields, row->p, row->n, true, m->t->value_name.p, 0, i ? "after" : "before",
                               m->e);
        rc = rc ? rc : buf_u8(fields, ',', m->e);
    }
    rc = rc ? rc : cdc_put_str(fields, &m->c->source_schema, m->e);
    rc = rc ? rc : buf_u8(fields, ',', m->e);
    rc = rc ? rc : cdc_put_str(fields, &m->c->block_schema, m->e);
    return rc ? rc
              : CDC_PUT(fields,
                        ",{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},"
                        "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},"
                        "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"},"
                        "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"}",
                        m->e);
}

static int value_head(struct making *m)
{
    char *value = NULL, *envelope = NULL;
    struct buf fields;
    buf_init(&fields, TEXT_MAX);
    int rc = schema_name(m, ".Value", &value);
    if (rc == ERR_OK) {
        m->t->value_name = (struct cdc_str){value, strlen(value)};
        rc = schema_name(m, ".Envelope", &envelope);
    }
    if (rc == ERR_OK && m->c->config.value_schemas) {
        rc = envelope_fields(m, &fields);
        rc = rc ? rc : buf_str(&m->text, "{\"schema\":", m->e);
        rc =
            rc ? rc
               : cdc_schema_struct(&m->text, (char *)fields.data, fields.len, false, envelope, 2, NULL, m->e);
        rc = rc ? rc : buf_str(&m->text, ",\"payload\":", m->e);
    }
    rc = rc ? rc : buf_str(&m->text, "{\"before\":", m->e);
    rc = rc ? rc : cdc_str_take(&m->text, &m->t->before, m->e);
    buf_free(&fields);
    mem_free(envelope);
    return rc;
}

/* The topic's name, and where transforms send its records. */
static int name_topic(struct making *m)
{
    const struct cdc_config *f = &m->c->config;
    char *plain =
        mem_printf("%s%s%s%s%s", f->prefix, f->delimiter, first_of(m), f->delimiter, m->t->spec.table);
    char *name = NULL;
    int rc = plain ? cdc_topic_name(plain, &name, m->e) : err_nomem(m->e);
    mem_free(plain);
    rc = rc ? rc : cdc_topic(m->c, name, &m->t->topic, m->e);
    char *routed = NULL;
    rc = rc ? rc : cdc_route(f, 0, f->route_count, name, &routed, m->e);
    rc = rc ? rc : cdc_topic(m->c, routed, &m->t->routed_topic, m->e);
    mem_free(routed);
    mem_free(name);
    return rc;
}

static int make(struct making *m)
{
    struct cdc_table_spec *s = &m->t->spec;
    char name[CDC_NAME_SIZE];
    int rc = name_topic(m);
    rc = rc ? rc : json_name(s->schema ? s->schema : "", &m->t->schema_json, m->e);
    rc = rc ? rc : json_name(s->table, &m->t->table_json, m->e);
    if (rc == ERR_OK) {
        m->t->collection = cdc_collection(m->c, cdc_name_of(name, NULL, first_of(m), s->table, NULL), m->e);
        rc = m->t->collection ? ERR_OK : m->e->code;
    }
    rc = rc ? rc : value_fields(m);
    rc = rc ? rc : key_fields(m);
    rc = rc ? rc : key_head(m);
    rc = rc ? rc : value_head(m);
    return rc ? rc : cdc_transforms_compile(m->t, m->e);
}

struct cdc_table *cdc_table_new(struct cdc *c, struct cdc_table_spec *spec, struct err *e)
{
    struct cdc_table *t = mem_calloc(1, sizeof(*t));
    if (!t) {
        cdc_table_spec_clear(spec);
        err_nomem(e);
        return NULL;
    }
    t->cdc = c;
    t->spec = *spec;
    *spec = (struct cdc_table_spec){0};
    struct making m = {.c = c, .t = t, .e = e};
    buf_init(&m.text, TEXT_MAX);
    int rc = make(&m);
    buf_free(&m.text);
    if (rc == ERR_OK)
        return t;
    cdc_table_free(t);
    return NULL;
}

void cdc_table_free(struct cdc_table *t)
{
    if (!t)
        return;
    cdc_transforms_table_free(t);
    fields_free(&t->value);
    fields_free(&t->key);
    cdc_str_free(&t->row_schema);
    cdc_str_free(&t->value_name);
    cdc_str_free(&t->before);
    cdc_str_free(&t->key_head);
    mem_free(t->schema_json);
    mem_free(t->table_json);
    cdc_table_spec_clear(&t->spec);
    mem_free(t);
}

const char *cdc_table_topic(const struct cdc_table *t)
{
    return t->routed_topic;
}

size_t cdc_table_columns(const struct cdc_table *t)
{
    return t->spec.column_count;
}

const struct cdc_column *cdc_table_column(const struct cdc_table *t, size_t i)
{
    return &t->spec.columns[i];
}

const struct cdc_field *cdc_field_of(const struct cdc_table *t, const char *column)
{
    for (size_t i = 0; i < t->value.count; i++)
        if (strcmp(t->value.items[i].column->name, column) == 0)
            return &t->value.items[i];
    return NULL;
}

bool cdc_table_has_key(const struct cdc_table *t)
{
    return t->key.count > 0;
}

static bool shows(const struct cdc_fields *f, size_t i)
{
    for (size_t k = 0; k < f->count; k++)
        if (f->items[k].index == i)
            return !f->items[k].mask || f->items[k].mask->kind != CDC_MASK_FIXED;
    return false;
}

bool cdc_table_shows(const struct cdc_table *t, size_t i)
{
    return shows(&t->value, i) || shows(&t->key, i);
}
