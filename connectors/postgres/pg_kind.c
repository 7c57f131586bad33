/*
 * pg_kind: which types we know. Those of the server by oid (pg_type.dat, fixed for ever), those of extensions by name, as
 * their oids differ from database to database.
 */
#include "pg_column.h"

#include <string.h>

struct known {
    uint32_t oid;
    enum pg_kind kind;
};

static const struct known builtin[] = {
    {16, PG_KIND_BOOL},          {17, PG_KIND_BYTEA},      {18, PG_KIND_STRING}, /* "char" */
    {19, PG_KIND_STRING},                                                        /* name */
    {20, PG_KIND_INT8},          {21, PG_KIND_INT2},       {23, PG_KIND_INT4},
    {25, PG_KIND_STRING}, /* text */
    {26, PG_KIND_OID},           {114, PG_KIND_JSON},      {142, PG_KIND_XML},
    {600, PG_KIND_POINT},        {601, PG_KIND_GEOMETRIC},                           /* lseg */
    {602, PG_KIND_GEOMETRIC},                                                        /* path */
    {603, PG_KIND_GEOMETRIC},                                                        /* box */
    {604, PG_KIND_GEOMETRIC},                                                        /* polygon */
    {628, PG_KIND_GEOMETRIC},                                                        /* line */
    {650, PG_KIND_STRING},                                                           /* cidr */
    {700, PG_KIND_FLOAT4},       {701, PG_KIND_FLOAT8},    {718, PG_KIND_GEOMETRIC}, /* circle */
    {774, PG_KIND_STRING},                                                           /* macaddr8 */
    {790, PG_KIND_MONEY},        {829, PG_KIND_STRING},                              /* macaddr */
    {869, PG_KIND_STRING},                                                           /* inet */
    {1042, PG_KIND_STRING},                                                          /* bpchar */
    {1043, PG_KIND_STRING},                                                          /* varchar */
    {1082, PG_KIND_DATE},        {1083, PG_KIND_TIME},     {1114, PG_KIND_TIMESTAMP},
    {1184, PG_KIND_TIMESTAMPTZ}, {1186, PG_KIND_INTERVAL}, {1266, PG_KIND_TIMETZ},
    {1560, PG_KIND_BIT},         {1562, PG_KIND_VARBIT},   {1700, PG_KIND_NUMERIC},
    {2950, PG_KIND_UUID},        {3614, PG_KIND_TSVECTOR}, {3802, PG_KIND_JSON}, /* jsonb */
    {3904, PG_KIND_STRING},                                                      /* int4range */
    {3906, PG_KIND_STRING},                                                      /* numrange */
    {3908, PG_KIND_STRING},                                                      /* tsrange */
    {3910, PG_KIND_STRING},                                                      /* tstzrange */
    {3912, PG_KIND_STRING},                                                      /* daterange */
    {3926, PG_KIND_STRING},                                                      /* int8range */
};

static const struct {
    const char *name;
    enum pg_kind kind;
} extensions[] = {
    {"citext", PG_KIND_STRING}, {"isbn", PG_KIND_STRING},       {"hstore", PG_KIND_HSTORE},
    {"ltree", PG_KIND_LTREE},   {"geometry", PG_KIND_GEOMETRY}, {"geography", PG_KIND_GEOGRAPHY},
    {"vector", PG_KIND_VECTOR}, {"halfvec", PG_KIND_HALFVEC},   {"sparsevec", PG_KIND_SPARSEVEC},
};

enum pg_kind pg_kind_of(uint32_t oid, const char *name, char typtype)
{
    for (size_t i = 0; i < sizeof(builtin) / sizeof(builtin[0]); i++) {
        if (builtin[i].oid == oid)
            return builtin[i].kind;
    }
    if (typtype == 'e')
        return PG_KIND_ENUM;
    /* A table's row type may be called vector too. */
    for (size_t i = 0; typtype == 'b' && i < sizeof(extensions) / sizeof(extensions[0]); i++) {
        if (strcmp(extensions[i].name, name) == 0)
            return extensions[i].kind;
    }
    return PG_KIND_UNKNOWN;
}

bool pg_kind_in_arrays(enum pg_kind kind, const char *name)
{
    switch (kind) {
    case PG_KIND_MONEY:
    case PG_KIND_INTERVAL:
    case PG_KIND_XML:
    case PG_KIND_POINT:
    case PG_KIND_VARBIT:
        return false;
    default:
        return strcmp(name, "name") != 0;
    }
}

/* ---- what the JDBC driver tells of a column's size, for propagated types ------------------------------------------ */

static int32_t seconds_size(int32_t typmod)
{
    return typmod < 0 ? 7 : typmod == 0 ? 0 : typmod == 1 ? 3 : typmod + 1;
}

int32_t pg_source_length(uint32_t oid, int32_t typmod)
{
    switch (oid) {
    case 16: /* bool */
    case 18: /* "char" */
        return 1;
    case 19: /* name */
    case 25: /* text */
        return INT32_MAX;
    case 21: /* int2 */
        return 5;
    case 23: /* int4 */
    case 26: /* oid */
        return 10;
    case 20: /* int8 */
        return 19;
    case 700: /* float4 */
        return 8;
    case 701: /* float8 */
        return 17;
    case 1700: /* numeric */
        return typmod < 4 ? 131089 : (typmod - 4) >> 16 & 0xffff;
    case 1042: /* bpchar */
    case 1043: /* varchar */
        return typmod < 4 ? INT32_MAX : typmod - 4;
    case 1082: /* date */
        return 13;
    case 1083: /* time */
        return 8 + seconds_size(typmod);
    case 1266: /* timetz */
        return 14 + seconds_size(typmod);
    case 1114: /* timestamp */
        return 22 + seconds_size(typmod);
    case 1184: /* timestamptz */
        return 28 + seconds_size(typmod);
    case 1186: /* interval */
        return 49;
    case 1560: /* bit */
        return typmod < 1 ? 1 : typmod;
    case 1562: /* varbit */
        return typmod < 1 ? INT32_MAX : typmod;
    default:
        return INT32_MAX;
    }
}

int32_t pg_source_scale(uint32_t oid, int32_t typmod)
{
    switch (oid) {
    case 700: /* float4 */
        return 8;
    case 701: /* float8 */
        return 17;
    case 1700: /* numeric */
        return typmod < 4 ? 0 : pg_numeric_scale(typmod);
    case 1083: /* time */
    case 1266: /* timetz */
    case 1114: /* timestamp */
    case 1184: /* timestamptz */
        return typmod < 0 ? 6 : typmod;
    case 1186: /* interval */
        return typmod < 0 || (typmod & 0xffff) > 6 ? 6 : typmod & 0xffff;
    default:
        return 0;
    }
}

int32_t pg_numeric_scale(int32_t typmod)
{
    /* Eleven bits with a sign, from version 15 on; before, no scale was so large that it looks negative. */
    return (((typmod - 4) & 0x7ff) ^ 1024) - 1024;
}
