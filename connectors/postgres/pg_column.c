/*
 * pg_column: a column put together from its type's form (pg_form), limits, parameters, element and source type.
 */
#include "pg_column.h"

#include <ctype.h>
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_json.h"
#include "kit/cdc/cdc_schema.h"
#include "pg_decode.h"

/* What the encoder needs (pg_decode.h). */
static void set_limits(const struct pg_modes *m, enum pg_kind kind, int32_t typmod, struct cdc_column *c)
{
    static const int32_t bits[] = {[PG_KIND_INT2] = 16, [PG_KIND_INT4] = 32, [PG_KIND_INT8] = 64};
    switch (kind) {
    case PG_KIND_INT2:
    case PG_KIND_INT4:
    case PG_KIND_INT8:
        c->a = bits[kind];
        break;
    case PG_KIND_FLOAT4:
    case PG_KIND_HALFVEC:
        c->a = 1;
        break;
    case PG_KIND_NUMERIC:
        c->a = typmod < 4 ? 0 : (typmod - 4) >> 16 & 0xffff;
        c->b = typmod < 4 ? 0 : pg_numeric_scale(typmod);
        break;
    case PG_KIND_MONEY:
        c->a = m->money_scale;
        c->b = m->money_digits;
        break;
    case PG_KIND_BYTEA:
    case PG_KIND_UNKNOWN:
    case PG_KIND_GEOMETRIC:
        c->a = (int32_t)m->binary;
        break;
    case PG_KIND_BIT:
        c->a = typmod < 1 ? 1 : typmod;
        break;
    case PG_KIND_VARBIT:
        c->a = typmod < 1 ? INT32_MAX : typmod;
        break;
    case PG_KIND_TIMESTAMPTZ:
        c->a = pg_time_digits(typmod);
        break;
    default:
        break;
    }
}

/* "\"allowed\":\"sad,ok,happy\"" and the like; *text NULL: the type has none. */
static int parameters(const struct cdc_column *c, enum pg_kind kind, const char *labels, char **text,
                      struct err *e)
{
    struct buf b;
    *text = NULL;
    if (c->encode == pg_encode_decimal)
        *text = mem_printf("\"scale\":\"%d\",\"connect.decimal.precision\":\"%d\"", c->b, c->a);
    else if (c->encode == pg_encode_money)
        *text = mem_printf("\"scale\":\"%d\"", c->b);
    else if (c->encode == pg_encode_bits)
        *text = mem_printf("\"length\":\"%d\"", c->a);
    else if (kind != PG_KIND_ENUM)
        return ERR_OK;
    if (kind != PG_KIND_ENUM)
        return *text ? ERR_OK : err_nomem(e);
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_str(&b, "\"allowed\":", e);
    if (rc == ERR_OK)
        rc = cdc_json_string(&b, labels, strlen(labels), e);
    if (rc == ERR_OK && !(*text = mem_strndup((char *)b.data, b.len)))
        rc = err_nomem(e);
    buf_free(&b);
    return rc;
}

static int copy(char **to, const char *from, struct err *e)
{
    if (!from)
        return ERR_OK;
    *to = mem_strdup(from);
    return *to ? ERR_OK : err_nomem(e);
}

/* Whether masks and keys take the value's text as it came. */
static bool text_as_sent(cdc_encode encode)
{
    return encode == pg_encode_string || encode == pg_encode_uuid || encode == pg_encode_int ||
           encode == pg_encode_numeric_text || encode == pg_encode_decimal || encode == pg_encode_variable ||
           encode == pg_encode_numeric_double;
}

static int init_scalar(const struct pg_types *types, enum pg_kind kind, int32_t typmod, const char *labels,
                       bool optional, struct cdc_column *c, struct err *e)
{
    struct pg_form f = pg_form_of(&types->modes, kind, typmod);
    c->encode = f.encode;
    c->text = text_as_sent(f.encode) ? NULL : pg_text_of_json;
    c->type = types;
    set_limits(&types->modes, kind, typmod, c);
    c->schema.optional = optional;
    c->schema.version = f.version;
    int rc = copy(&c->schema.type, f.type, e);
    if (rc == ERR_OK)
        rc = copy(&c->schema.nested, f.nested, e);
    if (rc == ERR_OK)
        rc = copy(&c->schema.name, f.name, e);
    if (rc == ERR_OK)
        rc = copy(&c->schema.doc, f.doc, e);
    return rc == ERR_OK ? parameters(c, kind, labels ? labels : "", &c->schema.parameters, e) : rc;
}

/* The element's schema into the array's. */
static int nest_item(struct cdc_column *c, struct err *e)
{
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_str(&b, "\"items\":", e);
    if (rc == ERR_OK)
        rc = cdc_schema_write(c->item, &(struct cdc_extra){0}, &b, e);
    if (rc == ERR_OK && !(c->schema.nested = mem_strndup((char *)b.data, b.len)))
        rc = err_nomem(e);
    buf_free(&b);
    return rc;
}

static int init_array(const struct pg_types *types, const struct pg_type *type, enum pg_kind kind,
                      int32_t typmod, bool optional, struct cdc_column *c, struct err *e)
{
    struct cdc_column *item = mem_calloc(1, sizeof(*item));
    if (!item)
        return err_nomem(e);
    c->item = item;
    item->name = mem_printf("%s (element)", c->name);
    item->source_length = item->source_scale = -1;
    if (!item->name)
        return err_nomem(e);
    int rc = init_scalar(types, kind, typmod, type->labels, type->delimiter != ' ', item, e);
    if (rc != ERR_OK)
        return rc;
    if (kind == PG_KIND_TIME)
        item->b = 1;
    c->encode = type->delimiter == ' ' ? pg_encode_int_vector : pg_encode_array;
    c->text = pg_text_of_json;
    c->type = types;
    c->b = (uint8_t)type->delimiter;
    c->schema.optional = optional;
    rc = copy(&c->schema.type, "\"array\"", e);
    return rc == ERR_OK ? nest_item(c, e) : rc;
}

static int set_source(const struct pg_type *type, int32_t typmod, struct cdc_column *c, struct err *e)
{
    int rc = copy(&c->source_type, type->name, e);
    if (rc != ERR_OK)
        return rc;
    for (char *p = c->source_type; *p; p++)
        *p = (char)toupper((unsigned char)*p);
    c->source_length = pg_source_length(type->element ? type->element : type->oid, typmod);
    c->source_scale = pg_source_scale(type->element ? type->element : type->oid, typmod);
    return ERR_OK;
}

int pg_column_init(const struct pg_types *types, const struct pg_type *type, int32_t typmod, bool optional,
                   struct cdc_column *c, struct err *e)
{
    bool array = type->element != 0;
    enum pg_kind kind = array ? pg_kind_of(type->element, type->element_name, type->element_typtype)
                              : pg_kind_of(type->oid, type->base, type->typtype);
    if (type->domain)
        typmod = type->domain_typmod;
    bool mapped = kind != PG_KIND_UNKNOWN && kind != PG_KIND_GEOMETRIC;
    c->generated =
        !(mapped || types->modes.include_unknown) || (array && !pg_kind_in_arrays(kind, type->element_name));
    if (c->generated) { /* nobody reads its values; still it has all that a column has */
        array = false;
        kind = PG_KIND_UNKNOWN;
    }
    int rc = array ? init_array(types, type, kind, typmod, optional, c, e)
                   : init_scalar(types, kind, typmod, type->labels, optional, c, e);
    if (rc == ERR_OK)
        rc = set_source(type, typmod, c, e);
    return rc == ERR_OK ? pg_column_placeholder(types, c, kind, &c->unchanged, e) : rc;
}
