/*
 * pg_placeholder: JSON that stands for a value that is not there: the placeholder of an unchanged large value, and the
 * fallback for a column of which the old row was not logged. Made once a column.
 *
 * Debezium has placeholders for some types (docs/debezium-differences.md); for the others the same rule goes on here: text is the
 * placeholder, bytes are its bytes, an array of numbers is its bytes one by one.
 */
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "kit/cdc/cdc_json.h"
#include "pg_column.h"
#include "pg_decode.h"

static bool is_type(const struct cdc_column *c, const char *type)
{
    return strcmp(c->schema.type, type) == 0;
}

/* [95,95,100 ...], of floating-point types [95.0,95.0,100.0 ...] */
static int put_codes(const struct pg_types *t, const char *suffix, struct buf *out, struct err *e)
{
    int rc = buf_u8(out, '[', e);
    for (size_t i = 0; i < t->placeholder_len && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s%d%s", i ? "," : "", (signed char)t->placeholder[i], suffix);
    return rc == ERR_OK ? buf_u8(out, ']', e) : rc;
}

/* UUID.nameUUIDFromBytes: MD5 with version 3. */
static int put_named_uuid(const struct pg_types *t, struct buf *out, struct err *e)
{
    uint8_t h[EVP_MAX_MD_SIZE];
    if (!EVP_Digest(t->placeholder, t->placeholder_len, h, NULL, EVP_md5(), NULL))
        return err_set(e, ERR_INTERNAL, "MD5 is not to be had from the crypto library");
    h[6] = (uint8_t)((h[6] & 0x0f) | 0x30);
    h[8] = (uint8_t)((h[8] & 0x3f) | 0x80);
    int rc = buf_u8(out, '"', e);
    for (int i = 0; i < 16 && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", h[i]);
    return rc == ERR_OK ? buf_u8(out, '"', e) : rc;
}

static int put_map(const struct pg_types *t, struct buf *out, struct err *e)
{
    int rc = buf_u8(out, '{', e);
    if (rc == ERR_OK)
        rc = cdc_json_string(out, t->placeholder, t->placeholder_len, e);
    if (rc == ERR_OK)
        rc = buf_u8(out, ':', e);
    if (rc == ERR_OK)
        rc = cdc_json_string(out, t->placeholder, t->placeholder_len, e);
    return rc == ERR_OK ? buf_u8(out, '}', e) : rc;
}

static int put_map_text(const struct pg_types *t, struct buf *out, struct err *e)
{
    struct buf map;
    buf_init(&map, SIZE_MAX / 2);
    int rc = put_map(t, &map, e);
    if (rc == ERR_OK)
        rc = cdc_json_string(out, map.data, map.len, e);
    buf_free(&map);
    return rc;
}

static int put_wrapped(const struct pg_types *t, const char *before, const char *after, struct buf *out,
                       struct err *e)
{
    int rc = buf_str(out, before, e);
    if (rc == ERR_OK)
        rc = pg_put_binary(out, t->placeholder, t->placeholder_len, PG_BINARY_BYTES, e);
    return rc == ERR_OK ? buf_str(out, after, e) : rc;
}

/* Appends nothing where the type cannot hold one. */
static int put_scalar(const struct pg_types *t, const struct cdc_column *c, enum pg_kind kind,
                      struct buf *out, struct err *e)
{
    switch (kind) {
    case PG_KIND_HSTORE:
        return c->encode == pg_encode_hstore_map ? put_map(t, out, e) : put_map_text(t, out, e);
    case PG_KIND_BYTEA:
    case PG_KIND_UNKNOWN:
    case PG_KIND_GEOMETRIC:
        if (c->a != PG_BINARY_HEX)
            return pg_put_binary(out, t->placeholder, t->placeholder_len, (enum pg_binary_mode)c->a, e);
        break;
    case PG_KIND_GEOMETRY:
    case PG_KIND_GEOGRAPHY:
        return put_wrapped(t, "{\"wkb\":", ",\"srid\":null}", out, e);
    case PG_KIND_VECTOR:
    case PG_KIND_HALFVEC:
        return put_codes(t, ".0", out, e);
    case PG_KIND_SPARSEVEC:
        return buf_str(out, "{\"dimensions\":0,\"vector\":[]}", e);
    case PG_KIND_NUMERIC:
        if (is_type(c, "\"struct\""))
            return put_wrapped(t, "{\"scale\":0,\"value\":", "}", out, e);
        if (is_type(c, "\"double\""))
            return buf_str(out, "\"NaN\"", e);
        break;
    default:
        break;
    }
    if (is_type(c, "\"string\""))
        return cdc_json_string(out, t->placeholder, t->placeholder_len, e);
    return is_type(c, "\"bytes\"") ? put_wrapped(t, "", "", out, e) : ERR_OK;
}

static int put_array(const struct pg_types *t, const struct cdc_column *c, enum pg_kind kind, struct buf *out,
                     struct err *e)
{
    const struct cdc_column *item = c->item;
    if (is_type(item, "\"int16\"") || is_type(item, "\"int32\"") || is_type(item, "\"int64\""))
        return put_codes(t, "", out, e);
    if (is_type(item, "\"float\"") || is_type(item, "\"double\""))
        return put_codes(t, ".0", out, e);
    int rc = buf_u8(out, '[', e);
    if (rc == ERR_OK)
        rc = kind == PG_KIND_UUID ? put_named_uuid(t, out, e) : put_scalar(t, item, kind, out, e);
    if (rc == ERR_OK && out->len == 1)
        out->len = 0;
    return rc == ERR_OK && out->len ? buf_u8(out, ']', e) : rc;
}

int pg_column_placeholder(const struct pg_types *types, const struct cdc_column *c, enum pg_kind kind,
                          char **json, struct err *e)
{
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    *json = NULL;
    int rc = c->item ? put_array(types, c, kind, &b, e) : put_scalar(types, c, kind, &b, e);
    if (rc == ERR_OK && b.len == 0)
        rc =
            c->schema.optional ? buf_str(&b, "null", e) : pg_column_fallback(c, kind, c->item != NULL, &b, e);
    if (rc == ERR_OK && !(*json = mem_strndup((char *)b.data, b.len)))
        rc = err_nomem(e);
    buf_free(&b);
    return rc;
}

/* ---- fallbacks -------------------------------------------------------------------------------------------------- */

/* The text of what is nothing in a type; goes through the column's own encoder. */
static const char *zero_text(enum pg_kind kind)
{
    switch (kind) {
    case PG_KIND_BOOL:
        return "f";
    case PG_KIND_INT2:
    case PG_KIND_INT4:
    case PG_KIND_INT8:
    case PG_KIND_OID:
    case PG_KIND_FLOAT4:
    case PG_KIND_FLOAT8:
    case PG_KIND_NUMERIC:
        return "0";
    case PG_KIND_MONEY:
        return "$0.00";
    case PG_KIND_BYTEA:
        return "\\x";
    case PG_KIND_DATE:
        return "1970-01-01";
    case PG_KIND_TIME:
    case PG_KIND_INTERVAL:
        return "00:00:00";
    case PG_KIND_TIMETZ:
        return "00:00:00+00";
    case PG_KIND_TIMESTAMP:
        return "1970-01-01 00:00:00";
    case PG_KIND_POINT:
        return "(0,0)";
    case PG_KIND_GEOMETRY:
    case PG_KIND_GEOGRAPHY:
        return "010700000000000000"; /* an empty collection */
    case PG_KIND_SPARSEVEC:
        return "{}/0";
    default:
        return "";
    }
}

int pg_column_fallback(const struct cdc_column *c, enum pg_kind kind, bool array, struct buf *out,
                       struct err *e)
{
    if (array || kind == PG_KIND_VECTOR || kind == PG_KIND_HALFVEC)
        return buf_str(out, "[]", e);
    if (kind == PG_KIND_UUID)
        return buf_str(out, "\"\"", e);
    if (kind == PG_KIND_TIMESTAMPTZ) /* without digits of a fraction, other than values */
        return buf_str(out, "\"1970-01-01T00:00:00Z\"", e);
    const char *text = zero_text(kind);
    return c->encode(c, text, strlen(text), out, e);
}
