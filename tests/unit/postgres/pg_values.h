/*
 * pg_values: for tests of encoders: a column of a type by its oid, and what texts become in it.
 */
#ifndef LEAT_TESTS_PG_VALUES_H
#define LEAT_TESTS_PG_VALUES_H

#include "base/mem.h"
#include "connectors/postgres/pg_column.h"
#include "connectors/postgres/pg_types.h"
#include "tests/lib/testkit.h"

#define NUMERIC(p, s) (((p) << 16 | ((s)&0x7ff)) + 4)

/* A type of the test: the base type's own, or an array of it (typarray does not matter to us). */
struct typed {
    uint32_t oid;
    const char *name;
    bool array;
    int32_t typmod;
};

static struct err e;
static struct pg_modes modes; /* of the next column */

static inline struct pg_types *types_of_modes(void)
{
    struct pg_types *types;
    assert_ok(pg_types_make(&modes, "__debezium_unavailable_value", &types, &e), &e);
    return types;
}

static inline void column_of(const struct pg_types *types, const struct typed *t, bool optional,
                             struct cdc_column *c)
{
    struct pg_type type = {.oid = t->array ? 70000 : t->oid,
                           .name = t->name,
                           .base = t->name,
                           .typtype = 'b',
                           .domain_typmod = -1,
                           .delimiter = ',',
                           .labels = "sad,ok"};
    if (t->array) {
        type.element = t->oid;
        type.element_name = t->name;
        type.element_typtype = strcmp(t->name, "mood") == 0 ? 'e' : 'b';
    } else if (strcmp(t->name, "mood") == 0) {
        type.typtype = 'e';
    }
    *c = (struct cdc_column){.name = mem_strdup("col")};
    assert_ok(pg_column_init(types, &type, t->typmod, optional, c, &e), &e);
    assert_ok(pg_column_default(&type, NULL, c, &e), &e);
}

/* The text is in memory of exactly its size, so that a read beyond it is seen. */
static inline int encode_text(const struct cdc_column *c, const char *text, size_t n, struct buf *out)
{
    char *copy = malloc(n ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    int rc = c->encode(c, copy, n, out, &e);
    free(copy);
    return rc;
}

static inline void assert_writes(const struct typed *t, const char *text, const char *json)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    struct buf out;
    buf_init(&out, 1 << 20);
    column_of(types, t, true, &c);
    int rc = encode_text(&c, text, strlen(text), &out);
    if (rc != ERR_OK)
        fail_msg("%s '%s': %s", t->name, text, e.text);
    if (out.len != strlen(json) || memcmp(out.data, json, out.len) != 0)
        fail_msg("%s '%s': wrote %.*s instead of %s", t->name, text, (int)out.len, out.data, json);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
}

/* ERR_INVALID_RECORD that names the column. */
static inline void assert_refuses(const struct typed *t, const char *text, size_t n)
{
    struct pg_types *types = types_of_modes();
    struct cdc_column c;
    struct buf out;
    buf_init(&out, 1 << 20);
    column_of(types, t, true, &c);
    int rc = encode_text(&c, text, n, &out);
    if (rc != ERR_INVALID_RECORD)
        fail_msg("%s '%.*s': %s instead of a refusal, wrote %.*s", t->name, (int)n, text, err_name(rc),
                 (int)out.len, out.data);
    assert_true(strncmp(e.text, "column col", 10) == 0);
    cdc_column_clear(&c);
    pg_types_free(types);
    buf_free(&out);
}

struct pair {
    const char *text, *json;
};

static inline void assert_all(const struct typed *t, const struct pair *pairs, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_writes(t, pairs[i].text, pairs[i].json);
}
#define ASSERT_ALL(t, pairs) assert_all(&(t), pairs, sizeof(pairs) / sizeof((pairs)[0]))

static inline void assert_none(const struct typed *t, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_refuses(t, texts[i], strlen(texts[i]));
}
#define ASSERT_NONE(t, ...)                                                                                  \
    do {                                                                                                     \
        static const char *const texts_[] = {__VA_ARGS__};                                                   \
        assert_none(&(t), texts_, sizeof(texts_) / sizeof(texts_[0]));                                       \
    } while (0)

#endif
