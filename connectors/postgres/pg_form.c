/*
 * pg_form: which schema and encoder a type has in which mode. Names and versions are those of Debezium's and Connect's classes;
 * the recorded events in tests/data/debezium show them.
 */
#include "pg_column.h"
#include "pg_decode.h"

#define PLAIN(t, enc) ((struct pg_form){.type = "\"" t "\"", .encode = enc})
#define NAMED(t, n, enc) ((struct pg_form){.type = "\"" t "\"", .name = n, .version = 1, .encode = enc})

#define DECIMAL "org.apache.kafka.connect.data.Decimal"
#define VARIABLE                                                                                             \
    "\"fields\":[{\"type\":\"int32\",\"optional\":false,\"field\":\"scale\"},"                               \
    "{\"type\":\"bytes\",\"optional\":false,\"field\":\"value\"}]"
#define POINT                                                                                                \
    "\"fields\":[{\"type\":\"double\",\"optional\":false,\"field\":\"x\"},"                                  \
    "{\"type\":\"double\",\"optional\":false,\"field\":\"y\"},"                                              \
    "{\"type\":\"bytes\",\"optional\":true,\"field\":\"wkb\"},"                                              \
    "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]"
#define GEOMETRY                                                                                             \
    "\"fields\":[{\"type\":\"bytes\",\"optional\":false,\"field\":\"wkb\"},"                                 \
    "{\"type\":\"int32\",\"optional\":true,\"field\":\"srid\"}]"
#define SPARSE                                                                                               \
    "\"fields\":[{\"type\":\"int16\",\"optional\":false,\"field\":\"dimensions\"},"                          \
    "{\"type\":\"map\",\"keys\":{\"type\":\"int16\",\"optional\":false},"                                    \
    "\"values\":{\"type\":\"double\",\"optional\":false},\"optional\":false,\"field\":\"vector\"}]"
#define TEXT_MAP                                                                                             \
    "\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":{\"type\":\"string\",\"optional\":true}"

static struct pg_form date_form(enum pg_time_mode mode)
{
    if (mode == PG_TIME_CONNECT)
        return NAMED("int32", "org.apache.kafka.connect.data.Date", pg_encode_date);
    if (mode == PG_TIME_ISO)
        return NAMED("string", "io.debezium.time.IsoDate", pg_encode_date_iso);
    return NAMED("int32", "io.debezium.time.Date", pg_encode_date);
}

static struct pg_form time_form(enum pg_time_mode mode, int32_t digits)
{
    switch (mode) {
    case PG_TIME_CONNECT:
        return NAMED("int32", "org.apache.kafka.connect.data.Time", pg_encode_time_ms);
    case PG_TIME_ISO:
        return NAMED("string", "io.debezium.time.IsoTime", pg_encode_time_iso);
    case PG_TIME_NS:
        return NAMED("int64", "io.debezium.time.NanoTime", pg_encode_time_ns);
    case PG_TIME_ADAPTIVE:
        if (digits <= 3)
            return NAMED("int32", "io.debezium.time.Time", pg_encode_time_ms);
        break;
    default:
        break;
    }
    return NAMED("int64", "io.debezium.time.MicroTime", pg_encode_time_us);
}

static struct pg_form timestamp_form(enum pg_time_mode mode, int32_t digits)
{
    switch (mode) {
    case PG_TIME_CONNECT:
        return NAMED("int64", "org.apache.kafka.connect.data.Timestamp", pg_encode_timestamp_ms);
    case PG_TIME_ISO:
        return NAMED("string", "io.debezium.time.IsoTimestamp", pg_encode_timestamp_iso);
    case PG_TIME_NS:
        return NAMED("int64", "io.debezium.time.NanoTimestamp", pg_encode_timestamp_ns);
    case PG_TIME_ADAPTIVE:
    case PG_TIME_ADAPTIVE_US:
        if (digits <= 3)
            return NAMED("int64", "io.debezium.time.Timestamp", pg_encode_timestamp_ms);
        break;
    default:
        break;
    }
    return NAMED("int64", "io.debezium.time.MicroTimestamp", pg_encode_timestamp_us);
}

static struct pg_form numeric_form(enum pg_decimal_mode mode, bool variable)
{
    if (mode == PG_DECIMAL_DOUBLE)
        return PLAIN("double", pg_encode_numeric_double);
    if (mode == PG_DECIMAL_STRING)
        return PLAIN("string", pg_encode_numeric_text);
    if (!variable)
        return NAMED("bytes", DECIMAL, pg_encode_decimal);
    struct pg_form f = NAMED("struct", "io.debezium.data.VariableScaleDecimal", pg_encode_variable);
    f.nested = VARIABLE;
    f.doc = "Variable scaled decimal";
    return f;
}

static struct pg_form money_form(enum pg_decimal_mode mode)
{
    if (mode == PG_DECIMAL_DOUBLE)
        return PLAIN("double", pg_encode_money_double);
    if (mode == PG_DECIMAL_STRING)
        return PLAIN("string", pg_encode_money_text);
    return NAMED("bytes", DECIMAL, pg_encode_money);
}

static struct pg_form spatial_form(enum pg_kind kind)
{
    struct pg_form f;
    switch (kind) {
    case PG_KIND_POINT:
        f = NAMED("struct", "io.debezium.data.geometry.Point", pg_encode_point);
        f.nested = POINT;
        f.doc = "Geometry (POINT)";
        return f;
    case PG_KIND_VECTOR:
        f = NAMED("array", "io.debezium.data.DoubleVector", pg_encode_vector);
        f.nested = "\"items\":{\"type\":\"double\",\"optional\":false}";
        return f;
    case PG_KIND_HALFVEC:
        f = NAMED("array", "io.debezium.data.FloatVector", pg_encode_vector);
        f.nested = "\"items\":{\"type\":\"float\",\"optional\":false}";
        return f;
    case PG_KIND_SPARSEVEC:
        f = NAMED("struct", "io.debezium.data.SparseDoubleVector", pg_encode_sparsevec);
        f.nested = SPARSE;
        f.doc = "Sparse double vector";
        return f;
    default:
        f = NAMED("struct",
                  kind == PG_KIND_GEOMETRY ? "io.debezium.data.geometry.Geometry"
                                           : "io.debezium.data.geometry.Geography",
                  pg_encode_geometry);
        f.nested = GEOMETRY;
        f.doc = kind == PG_KIND_GEOMETRY ? "Geometry" : "Geography";
        return f;
    }
}

static struct pg_form hstore_form(enum pg_hstore_mode mode)
{
    if (mode == PG_HSTORE_JSON)
        return NAMED("string", "io.debezium.data.Json", pg_encode_hstore_json);
    struct pg_form f = PLAIN("map", pg_encode_hstore_map);
    f.nested = TEXT_MAP;
    return f;
}

static struct pg_form bits_form(bool one)
{
    return one ? PLAIN("boolean", pg_encode_bit) : NAMED("bytes", "io.debezium.data.Bits", pg_encode_bits);
}

static struct pg_form interval_form(enum pg_interval_mode mode)
{
    return mode == PG_INTERVAL_STRING ? NAMED("string", "io.debezium.time.Interval", pg_encode_interval_iso)
                                      : NAMED("int64", "io.debezium.time.MicroDuration", pg_encode_interval);
}

static struct pg_form binary_form(enum pg_binary_mode mode, cdc_encode encode)
{
    return mode == PG_BINARY_BYTES ? PLAIN("bytes", encode) : PLAIN("string", encode);
}

int32_t pg_time_digits(int32_t typmod)
{
    return typmod < 0 || typmod > 6 ? 6 : typmod;
}

/* Types that are text with a name. */
static struct pg_form text_form(enum pg_kind kind)
{
    switch (kind) {
    case PG_KIND_JSON:
        return NAMED("string", "io.debezium.data.Json", pg_encode_string);
    case PG_KIND_XML:
        return NAMED("string", "io.debezium.data.Xml", pg_encode_string);
    case PG_KIND_UUID:
        return NAMED("string", "io.debezium.data.Uuid", pg_encode_uuid);
    case PG_KIND_LTREE:
        return NAMED("string", "io.debezium.data.Ltree", pg_encode_string);
    case PG_KIND_TSVECTOR:
        return NAMED("string", "io.debezium.data.Tsvector", pg_encode_string);
    case PG_KIND_ENUM:
        return NAMED("string", "io.debezium.data.Enum", pg_encode_string);
    default:
        return PLAIN("string", pg_encode_string);
    }
}

struct pg_form pg_form_of(const struct pg_modes *m, enum pg_kind kind, int32_t typmod)
{
    switch (kind) {
    case PG_KIND_BOOL:
        return PLAIN("boolean", pg_encode_bool);
    case PG_KIND_INT2:
        return PLAIN("int16", pg_encode_int);
    case PG_KIND_INT4:
        return PLAIN("int32", pg_encode_int);
    case PG_KIND_INT8:
    case PG_KIND_OID:
        return PLAIN("int64", pg_encode_int);
    case PG_KIND_FLOAT4:
        return PLAIN("float", pg_encode_float);
    case PG_KIND_FLOAT8:
        return PLAIN("double", pg_encode_float);
    case PG_KIND_NUMERIC:
        return numeric_form(m->decimal, typmod < 4);
    case PG_KIND_MONEY:
        return money_form(m->decimal);
    case PG_KIND_BYTEA:
        return binary_form(m->binary, pg_encode_bytea);
    case PG_KIND_UNKNOWN:
        return binary_form(m->binary, pg_encode_unknown);
    case PG_KIND_GEOMETRIC:
        return binary_form(m->binary, pg_encode_geometric);
    case PG_KIND_BIT:
        return bits_form(typmod <= 1);
    case PG_KIND_VARBIT:
        return bits_form(typmod == 1);
    case PG_KIND_DATE:
        return date_form(m->time);
    case PG_KIND_TIME:
        return time_form(m->time, pg_time_digits(typmod));
    case PG_KIND_TIMETZ:
        return NAMED("string", "io.debezium.time.ZonedTime", pg_encode_timetz);
    case PG_KIND_TIMESTAMP:
        return timestamp_form(m->time, pg_time_digits(typmod));
    case PG_KIND_TIMESTAMPTZ:
        return NAMED("string", "io.debezium.time.ZonedTimestamp", pg_encode_timestamptz);
    case PG_KIND_INTERVAL:
        return interval_form(m->interval);
    case PG_KIND_HSTORE:
        return hstore_form(m->hstore);
    case PG_KIND_POINT:
    case PG_KIND_GEOMETRY:
    case PG_KIND_GEOGRAPHY:
    case PG_KIND_VECTOR:
    case PG_KIND_HALFVEC:
    case PG_KIND_SPARSEVEC:
        return spatial_form(kind);
    default:
        return text_form(kind);
    }
}
