/*
 * pg_modes: how values are written, and what a type is to us. Internal to pg_types and pg_decode.
 */
#ifndef LEAT_PG_MODES_H
#define LEAT_PG_MODES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

/* Each in the order of its choices in pg_options_types.h. */
enum pg_decimal_mode { PG_DECIMAL_PRECISE, PG_DECIMAL_DOUBLE, PG_DECIMAL_STRING };
enum pg_time_mode {
    PG_TIME_ADAPTIVE,
    PG_TIME_ADAPTIVE_US,
    PG_TIME_CONNECT,
    PG_TIME_ISO,
    PG_TIME_US,
    PG_TIME_NS
};
enum pg_interval_mode { PG_INTERVAL_NUMERIC, PG_INTERVAL_STRING };
enum pg_binary_mode { PG_BINARY_BYTES, PG_BINARY_BASE64, PG_BINARY_URL, PG_BINARY_HEX };
enum pg_hstore_mode { PG_HSTORE_JSON, PG_HSTORE_MAP };

#define PG_MONEY_SCALE_MAX 10 /* cash.c takes more for none, which are two */

struct pg_modes {
    enum pg_decimal_mode decimal;
    enum pg_time_mode time;
    enum pg_interval_mode interval;
    enum pg_binary_mode binary;
    enum pg_hstore_mode hstore;
    int32_t money_digits; /* that are written behind the point */
    int32_t
        money_scale; /* of the whole numbers that the server stores, by its lc_monetary; at most PG_MONEY_SCALE_MAX */
    bool include_unknown;
};

/* What a value of a type is made into. */
enum pg_kind {
    PG_KIND_UNKNOWN,   /* bytes of its text, or left out */
    PG_KIND_GEOMETRIC, /* likewise, numbers as Java spells them: box, lseg, path, polygon, circle, line */
    PG_KIND_BOOL,
    PG_KIND_INT2,
    PG_KIND_INT4,
    PG_KIND_INT8,
    PG_KIND_OID,
    PG_KIND_FLOAT4,
    PG_KIND_FLOAT8,
    PG_KIND_NUMERIC,
    PG_KIND_MONEY,
    PG_KIND_STRING,
    PG_KIND_BYTEA,
    PG_KIND_BIT,
    PG_KIND_VARBIT,
    PG_KIND_DATE,
    PG_KIND_TIME,
    PG_KIND_TIMETZ,
    PG_KIND_TIMESTAMP,
    PG_KIND_TIMESTAMPTZ,
    PG_KIND_INTERVAL,
    PG_KIND_JSON,
    PG_KIND_XML,
    PG_KIND_UUID,
    PG_KIND_LTREE,
    PG_KIND_TSVECTOR,
    PG_KIND_ENUM,
    PG_KIND_HSTORE,
    PG_KIND_POINT,
    PG_KIND_GEOMETRY,
    PG_KIND_GEOGRAPHY,
    PG_KIND_VECTOR,
    PG_KIND_HALFVEC,
    PG_KIND_SPARSEVEC,
    PG_KIND_COUNT,
};

/* Memory that encoders reuse, of each thread its own. */
struct pg_scratch {
    struct buf item;  /* an array's element without its escapes */
    struct buf text;  /* a value on its way into another form */
    struct buf map;   /* an hstore's map on its way into a string */
    struct buf pairs; /* struct pg_pair of an hstore */
    struct buf json;  /* a value encoded, to be made text again */
};

struct pg_types {
    struct pg_modes modes;
    char *placeholder; /* of unchanged large values */
    size_t placeholder_len;
};

/* The calling thread's. */
struct pg_scratch *pg_scratch(void);

/* A type as the catalog has it, domains already followed to what they are made of. Texts are borrowed. */
struct pg_type {
    uint32_t oid;          /* of the base type */
    const char *name;      /* of the column's own type: typname */
    const char *base;      /* typname of the base type */
    char typtype;          /* of the base type: b c d e r m p */
    bool domain;           /* the column's type is one */
    int32_t domain_typmod; /* -1: none */
    uint32_t element;      /* of an array: its element type; 0: no array */
    const char *element_name;
    char element_typtype;
    char delimiter;     /* of the array's elements; a space: no array, but a list of numbers */
    const char *labels; /* of an enum or an array of one, joined by commas */
};

/* As pg_types_new, by the modes themselves. ERR_INVALID_CONFIG: the placeholder's. */
int pg_types_make(const struct pg_modes *modes, const char *placeholder, struct pg_types **out,
                  struct err *e);

/* The kind of a type that is no array. */
enum pg_kind pg_kind_of(uint32_t oid, const char *name, char typtype);

#endif
