/*
 * cdc_columns: tables as connectors describe them: which are captured, with which columns; giving them back.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"

/* ---- what the connector filled in ------------------------------------------------------------------------------------- */

static void schema_clear(struct cdc_schema *s)
{
    char *texts[] = {s->type, s->nested, s->name, s->doc, s->parameters, s->def};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        mem_free(texts[i]);
    *s = (struct cdc_schema){0};
}

void cdc_column_clear(struct cdc_column *c)
{
    schema_clear(&c->schema);
    if (c->item) {
        cdc_column_clear(c->item);
        mem_free(c->item);
    }
    mem_free(c->name);
    mem_free(c->unchanged);
    mem_free(c->absent);
    mem_free(c->source_type);
    *c = (struct cdc_column){0};
}

void cdc_table_spec_clear(struct cdc_table_spec *s)
{
    for (size_t i = 0; i < s->column_count; i++)
        cdc_column_clear(&s->columns[i]);
    mem_free(s->columns);
    mem_free(s->key);
    mem_free(s->db);
    mem_free(s->schema);
    mem_free(s->table);
    *s = (struct cdc_table_spec){0};
}

/* ---- filters ------------------------------------------------------------------------------------------------------------ */

const char *cdc_name_of(char out[CDC_NAME_SIZE], const char *a, const char *b, const char *c, const char *d)
{
    snprintf(out, CDC_NAME_SIZE, "%s%s%s%s%s%s%s", a ? a : "", a ? "." : "", b, c ? "." : "", c ? c : "",
             d ? "." : "", d ? d : "");
    return out;
}

static bool passes(const struct cdc_filter *in, const struct cdc_filter *out, const char *name)
{
    return in->count ? cdc_filter_matches(in, name) : !cdc_filter_matches(out, name);
}

bool cdc_is_signal_table(const struct cdc *c, const char *schema, const char *table)
{
    char name[CDC_NAME_SIZE];
    return c->config.signal_table &&
           (strcmp(c->config.signal_table, cdc_name_of(name, NULL, schema ? schema : c->db, table, NULL)) ==
                0 ||
            (schema && strcmp(c->config.signal_table, cdc_name_of(name, c->db, schema, table, NULL)) == 0));
}

bool cdc_captures(const struct cdc *c, const char *schema, const char *table)
{
    char name[CDC_NAME_SIZE];
    const struct cdc_config *f = &c->config;
    if (cdc_is_signal_table(c, schema, table))
        return true;
    return passes(&f->databases, &f->databases_not, c->db) &&
           (!schema || passes(&f->schemas, &f->schemas_not, schema)) &&
           passes(&f->tables, &f->tables_not, cdc_name_of(name, NULL, schema ? schema : c->db, table, NULL));
}

bool cdc_captures_column(const struct cdc *c, const char *schema, const char *table, const char *column)
{
    char name[CDC_NAME_SIZE];
    return passes(&c->config.columns, &c->config.columns_not,
                  cdc_name_of(name, NULL, schema ? schema : c->db, table, column));
}
