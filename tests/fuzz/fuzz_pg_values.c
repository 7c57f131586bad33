/*
 * Fuzzes the encoders of values and the reader of defaults. The first byte picks the type, the second the modes and whether it is an
 * array, the rest is a value's text and a default's expression. Whatever comes: an error names the column, or what was
 * written is one JSON value.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "connectors/postgres/pg_column.h"
#include "connectors/postgres/pg_types.h"
#include "kit/jtext.h"

#define NUMERIC(p, s) (((p) << 16 | ((s)&0x7ff)) + 4)

static const struct {
    uint32_t oid;
    const char *name;
    int32_t typmod;
} all[] = {
    {16, "bool", -1},
    {21, "int2", -1},
    {23, "int4", -1},
    {20, "int8", -1},
    {26, "oid", -1},
    {700, "float4", -1},
    {701, "float8", -1},
    {1700, "numeric", -1},
    {1700, "numeric", NUMERIC(30, 10)},
    {1700, "numeric", NUMERIC(4, -2)},
    {790, "money", -1},
    {25, "text", -1},
    {17, "bytea", -1},
    {1560, "bit", 1},
    {1560, "bit", 100},
    {1562, "varbit", -1},
    {1082, "date", -1},
    {1083, "time", -1},
    {1083, "time", 3},
    {1266, "timetz", -1},
    {1114, "timestamp", -1},
    {1114, "timestamp", 3},
    {1184, "timestamptz", -1},
    {1184, "timestamptz", 3},
    {1186, "interval", -1},
    {2950, "uuid", -1},
    {3802, "jsonb", -1},
    {142, "xml", -1},
    {70000, "mood", -1},
    {70001, "pair", -1},
    {70002, "hstore", -1},
    {600, "point", -1},
    {718, "circle", -1},
    {70003, "geometry", -1},
    {70004, "vector", 3},
    {70005, "halfvec", 3},
    {70006, "sparsevec", 5},
    {3904, "int4range", -1},
};

/* A column of the picked type with this default, in the picked modes. */
static void make_column(const struct pg_types *types, size_t pick, bool array, const char *expression,
                        struct cdc_column *c)
{
    struct err e;
    bool is_enum = strcmp(all[pick].name, "mood") == 0;
    struct pg_type type = {.oid = array ? 70100 : all[pick].oid,
                           .name = all[pick].name,
                           .base = all[pick].name,
                           .typtype = is_enum && !array ? 'e' : 'b',
                           .domain_typmod = -1,
                           .delimiter = ',',
                           .labels = "sad,ok",
                           .element = array ? all[pick].oid : 0,
                           .element_name = all[pick].name,
                           .element_typtype = is_enum ? 'e' : 'b'};
    *c = (struct cdc_column){.name = mem_strdup("col")};
    if (!c->name || pg_column_init(types, &type, all[pick].typmod, true, c, &e) != ERR_OK ||
        pg_column_default(&type, expression, c, &e) != ERR_OK)
        abort();
    if (!jtext_valid(c->absent, strlen(c->absent)) || !jtext_valid(c->unchanged, strlen(c->unchanged)))
        abort();
}

static void check_column(const struct cdc_column *c, cdc_text encode, bool json, const uint8_t *text,
                         size_t n)
{
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 24);
    int rc = encode(c, text, n, &out, &e);
    if (rc != ERR_OK && (rc != ERR_INVALID_RECORD || strncmp(e.text, "column col", 10) != 0))
        abort();
    if (rc == ERR_OK && json && !jtext_valid(out.data, out.len))
        abort();
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct pg_types *types;
    struct cdc_column c;
    struct err e;
    if (n < 2)
        return 0;
    unsigned m = data[1] >> 1;
    const struct pg_modes modes = {.decimal = (enum pg_decimal_mode)(m % 3),
                                   .time = (enum pg_time_mode)(m % 6),
                                   .interval = (enum pg_interval_mode)(m % 2),
                                   .binary = (enum pg_binary_mode)(m % 4),
                                   .hstore = (enum pg_hstore_mode)(m % 2),
                                   .money_digits = (int32_t)(m % 19),
                                   .money_scale = (int32_t)(m % (PG_MONEY_SCALE_MAX + 1)),
                                   .include_unknown = true};
    if (pg_types_make(&modes, "placeholder", &types, &e) != ERR_OK)
        abort();
    char *expression = mem_strndup((const char *)data + 2, n - 2);
    if (!expression)
        abort();
    make_column(types, data[0] % (sizeof(all) / sizeof(all[0])), data[1] & 1, expression, &c);
    check_column(&c, c.encode, true, data + 2, n - 2);
    if (c.text)
        check_column(&c, c.text, false, data + 2, n - 2);
    cdc_column_clear(&c);
    pg_types_free(types);
    mem_free(expression);
    return 0;
}
