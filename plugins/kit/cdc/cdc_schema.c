/*
 * cdc_schema: the order of members is JsonConverter's: type, what is nested, optional, name, version, doc, parameters, default,
 * field.
 */
#include "kit/cdc/cdc_schema.h"

#include <string.h>

#include "kit/cdc/cdc_json.h"

static int str(struct buf *out, const char *s, struct err *e)
{
    return buf_append(out, s, strlen(s), e);
}

static int quoted(struct buf *out, const char *s, struct err *e)
{
    return cdc_json_string(out, s, strlen(s), e);
}

/* ,"name":"value" */
static int member(struct buf *out, const char *name, const char *value, struct err *e)
{
    int rc = buf_printf(out, e, ",\"%s\":", name);
    return rc ? rc : quoted(out, value, e);
}

static int propagated(const struct cdc_column *c, struct buf *out, struct err *e)
{
    int rc = str(out, "\"__debezium.source.column.type\":", e);
    rc = rc ? rc : quoted(out, c->source_type ? c->source_type : "", e);
    if (rc == ERR_OK && c->source_length >= 0)
        rc = buf_printf(out, e, ",\"__debezium.source.column.length\":\"%d\"", c->source_length);
    if (rc == ERR_OK && c->source_scale >= 0)
        rc = buf_printf(out, e, ",\"__debezium.source.column.scale\":\"%d\"", c->source_scale);
    return rc ? rc : member(out, "__debezium.source.column.name", c->name, e);
}

static int parameters(const struct cdc_column *c, const struct cdc_mask_rule *mask, struct buf *out,
                      struct err *e)
{
    const char *own = c->schema.parameters;
    if (!own && !mask)
        return ERR_OK;
    int rc = str(out, ",\"parameters\":{", e);
    if (rc == ERR_OK && own)
        rc = str(out, own, e);
    if (rc == ERR_OK && own && mask)
        rc = str(out, ",", e);
    if (rc == ERR_OK && mask && mask->kind == CDC_MASK_PROPAGATE)
        rc = propagated(c, out, e);
    else if (rc == ERR_OK && mask && mask->kind == CDC_MASK_TRUNCATE)
        rc = buf_printf(out, e, "\"truncateLength\":\"%lld\"", (long long)mask->length);
    else if (rc == ERR_OK && mask)
        rc = str(out, "\"masked\":\"true\"", e);
    return rc ? rc : str(out, "}", e);
}

int cdc_schema_write(const struct cdc_column *c, const struct cdc_extra *extra, struct buf *out,
                     struct err *e)
{
    const struct cdc_schema *s = &c->schema;
    int rc = str(out, "{\"type\":", e);
    rc = rc ? rc : str(out, s->type, e);
    if (rc == ERR_OK && s->nested)
        rc = str(out, ",", e) || str(out, s->nested, e) ? e->code : ERR_OK;
    rc = rc ? rc : str(out, s->optional ? ",\"optional\":true" : ",\"optional\":false", e);
    if (rc == ERR_OK && s->name)
        rc = member(out, "name", s->name, e);
    if (rc == ERR_OK && s->version)
        rc = buf_printf(out, e, ",\"version\":%d", s->version);
    if (rc == ERR_OK && s->doc)
        rc = member(out, "doc", s->doc, e);
    rc = rc ? rc : parameters(c, extra->mask, out, e);
    if (rc == ERR_OK && s->def)
        rc = str(out, ",\"default\":", e) || str(out, s->def, e) ? e->code : ERR_OK;
    if (rc == ERR_OK && extra->field)
        rc = member(out, "field", extra->field, e);
    return rc ? rc : str(out, "}", e);
}

int cdc_schema_struct(struct buf *out, const char *fields, size_t n, bool optional, const char *name,
                      int version, const char *field, struct err *e)
{
    int rc = str(out, "{\"type\":\"struct\",\"fields\":[", e);
    rc = rc ? rc : buf_append(out, fields, n, e);
    rc = rc ? rc : str(out, optional ? "],\"optional\":true" : "],\"optional\":false", e);
    if (rc == ERR_OK && name)
        rc = str(out, ",\"name\":", e) || str(out, name, e) ? e->code : ERR_OK;
    if (rc == ERR_OK && version)
        rc = buf_printf(out, e, ",\"version\":%d", version);
    if (rc == ERR_OK && field)
        rc = member(out, "field", field, e);
    return rc ? rc : str(out, "}", e);
}
