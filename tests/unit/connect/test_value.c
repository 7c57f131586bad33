/*
 * Typed values and schemas: what fits into what, order and lookup, references, the arena, Java's texts, and that every
 * failed allocation is an error.
 */
#include "tests/lib/testkit.h"

#include <errno.h>

#include "base/hash.h"
#include "connect/value_json.h"

static struct arena arena;
static struct err e;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, ARENA_MAX_BYTES, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static struct leat_value *string(const char *s)
{
    return value_string(&arena, s, strlen(s));
}

static void test_integer_ranges(void **state)
{
    (void)state;
    static const struct {
        enum leat_type type;
        int64_t low, high;
    } cases[] = {{LEAT_TYPE_INT8, -128, 127},
                 {LEAT_TYPE_INT16, -32768, 32767},
                 {LEAT_TYPE_INT32, INT32_MIN, INT32_MAX},
                 {LEAT_TYPE_DATE, INT32_MIN, INT32_MAX},
                 {LEAT_TYPE_TIME, 0, 86399999}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(value_int(&arena, cases[i].type, cases[i].low, &e)->i, cases[i].low);
        assert_int_equal(value_int(&arena, cases[i].type, cases[i].high, &e)->i, cases[i].high);
        assert_null(value_int(&arena, cases[i].type, cases[i].low - 1, &e));
        assert_null(value_int(&arena, cases[i].type, cases[i].high + 1, &e));
        assert_int_equal(e.code, ERR_INVALID);
    }
    assert_int_equal(value_int(&arena, LEAT_TYPE_INT64, INT64_MIN, &e)->i, INT64_MIN);
    assert_null(value_int(&arena, LEAT_TYPE_STRING, 1, &e));
    assert_null(value_float(&arena, LEAT_TYPE_INT8, 1, &e));
    assert_null(value_decimal(&arena, "", 0, 0, &e));
}

static void test_maps_keep_their_order(void **state)
{
    (void)state;
    struct leat_value *map = value_map(&arena);
    char name[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 1000; i++) {
            snprintf(name, sizeof(name), "n%d", i * 7919 % 1000);
            struct leat_value *v = value_int(&arena, LEAT_TYPE_INT64, i + round, &e);
            assert_ok(value_set(map, name, strlen(name), v, &e), &e);
        }
    }
    assert_int_equal(value_count(map), 1000);
    for (int i = 0; i < 1000; i++) {
        const char *at;
        size_t n;
        snprintf(name, sizeof(name), "n%d", i * 7919 % 1000);
        assert_int_equal(value_at(map, (size_t)i, &at, &n)->i, i + 1);
        assert_int_equal(n, strlen(name));
        assert_memory_equal(at, name, n);
        assert_int_equal(value_find(map, name, n)->i, i + 1);
    }
    assert_null(value_find(map, "n1000", 5));
    assert_null(value_at(map, 1000, NULL, NULL));
    assert_int_equal(value_set(map, "x", 1, NULL, &e), ERR_NO_MEMORY); /* what a failed constructor gives */
    assert_code(value_push(map, map, &e), ERR_INVALID, &e);
    assert_code(value_set(string("s"), "x", 1, map, &e), ERR_INVALID, &e);
    assert_null(value_find(string("s"), "x", 1));
    assert_int_equal(value_count(string("s")), 0);
}

/* struct Row { id: INT64, name: STRING (optional), f0..f19: INT32 (optional) } */
static struct leat_schema *row_schema(void)
{
    struct leat_schema *s = schema_new(LEAT_TYPE_STRUCT, false, "Row", 1);
    struct leat_schema *id = schema_new(LEAT_TYPE_INT64, false, NULL, 0);
    struct leat_schema *name = schema_new(LEAT_TYPE_STRING, true, NULL, 0);
    struct leat_schema *more = schema_new(LEAT_TYPE_INT32, true, NULL, 0);
    assert_ok(schema_add_field(s, "id", id, &e), &e);
    assert_ok(schema_add_field(s, "name", name, &e), &e);
    for (int i = 0; i < 20; i++) {
        char field[16];
        snprintf(field, sizeof(field), "f%d", i);
        assert_ok(schema_add_field(s, field, more, &e), &e);
    }
    schema_unref(id);
    schema_unref(name);
    schema_unref(more);
    return s;
}

static void test_structs_follow_their_schema(void **state)
{
    (void)state;
    struct leat_schema *s = row_schema();
    struct leat_value *row = value_struct(&arena, s, &e);
    struct buf out;
    buf_init(&out, 4096);
    assert_int_equal(s->refs, 2);
    assert_int_equal(value_count(row), 22);
    assert_code(value_set(row, "nope", 4, string("x"), &e), ERR_INVALID, &e);
    assert_string_equal(e.text, "Row has no field nope");
    assert_code(value_set(row, "id", 2, string("x"), &e), ERR_INVALID, &e);
    assert_string_equal(e.text, "field id of Row is INT64, not STRING");
    assert_code(value_set(row, "id", 2, value_null(&arena), &e), ERR_INVALID, &e);
    assert_ok(value_set(row, "name", 4, value_null(&arena), &e), &e);
    assert_code(value_to_json(row, &out, &e), ERR_INVALID, &e);
    assert_string_equal(e.text, "field id of Row is required and not set");
    assert_ok(value_set(row, "id", 2, value_int(&arena, LEAT_TYPE_INT64, 7, &e), &e), &e);
    assert_ok(value_set(row, "f19", 3, value_int(&arena, LEAT_TYPE_INT32, 9, &e), &e), &e);
    assert_int_equal(value_find(row, "f19", 3)->i, 9);
    assert_int_equal(value_find(row, "f3", 2)->type, LEAT_TYPE_NULL);
    assert_null(value_find(row, "f20", 3));
    buf_reset(&out);
    assert_ok(value_to_text(row, &out, &e), &e);
    assert_int_equal(out.len, strlen("Struct{id=7,f19=9}"));
    assert_memory_equal(out.data, "Struct{id=7,f19=9}", out.len);
    assert_null(value_struct(&arena, s->fields[0].schema, &e));
    arena_reset(&arena);
    assert_int_equal(s->refs, 1);
    schema_unref(s);
    buf_free(&out);
}

static void test_schemas_of_values(void **state)
{
    (void)state;
    struct leat_schema *a = schema_new(LEAT_TYPE_STRING, false, "a", 0),
                       *b = schema_new(LEAT_TYPE_STRING, true, "b", 0);
    struct leat_value *v = string("x"), *w = string("y");
    assert_ok(value_with_schema(v, a, &e), &e);
    assert_ok(value_with_schema(v, a, &e), &e);
    assert_ok(value_with_schema(w, a, &e), &e);
    assert_int_equal(a->refs, 3);
    assert_ok(value_with_schema(v, b, &e), &e);
    assert_int_equal(a->refs, 2);
    assert_ok(value_with_schema(w, NULL, &e), &e);
    assert_int_equal(a->refs, 1);
    assert_code(value_with_schema(value_bool(&arena, true), a, &e), ERR_INVALID, &e);
    assert_code(value_with_schema(value_null(&arena), a, &e), ERR_INVALID, &e);
    assert_ok(value_with_schema(value_null(&arena), b, &e), &e);
    assert_int_equal(b->refs, 3);
    arena_reset(&arena);
    assert_int_equal(b->refs, 1);
    assert_code(schema_add_field(a, "f", b, &e), ERR_INVALID, &e);
    assert_ok(schema_set_parameter(a, "scale", "2", &e), &e);
    assert_ok(schema_set_parameter(a, "scale", "3", &e), &e);
    assert_string_equal(schema_parameter(a, "scale"), "3");
    assert_null(schema_parameter(a, "other"));
    struct leat_schema *s = row_schema();
    assert_code(schema_add_field(s, "id", b, &e), ERR_INVALID, &e);
    assert_code(schema_add_field(s, "f7", b, &e), ERR_INVALID, &e);
    assert_code(schema_add_field(s, "", b, &e), ERR_INVALID, &e);
    assert_null(schema_array(NULL, true));
    schema_unref(s);
    schema_unref(a);
    schema_unref(b);
}

/* The most slots of an index in a row that are not free: a walk that somebody has to do. */
static size_t longest_run(const uint32_t *index, size_t size)
{
    size_t longest = 0;
    for (size_t i = 0, run = 0; i < size; i++) {
        run = index[i] != 0 ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

/* Without a secret all these names would go to the first slot, and be one run. An index is half full at most: others have short ones. */
static void test_names_that_met_in_one_slot(void **state)
{
    (void)state;
    enum { NAMES = 1000, SLOTS = 4096 };
    struct leat_value *map = value_map(&arena);
    struct leat_schema *s = schema_new(LEAT_TYPE_STRUCT, false, NULL, 0),
                       *field = schema_new(LEAT_TYPE_INT64, false, NULL, 0);
    char name[32];
    for (int i = 0; map->many.count < NAMES; i++) {
        size_t n = (size_t)snprintf(name, sizeof name, "field%d", i);
        if (hash64(name, n) % SLOTS != 0)
            continue;
        assert_int_equal(value_set(map, name, n, string(name), &e), 0);
        assert_int_equal(schema_add_field(s, name, field, &e), 0);
        assert_int_equal(schema_field_index(s, name, n), s->field_count - 1);
        assert_non_null(value_find(map, name, n));
    }
    assert_true(longest_run(map->many.index, map->many.index_size) < NAMES / 3);
    assert_true(longest_run(s->index, s->index_size) < NAMES / 3);
    schema_unref(field);
    schema_unref(s);
}

static void check_decimal(const char *hex, int32_t scale, const char *expected)
{
    uint8_t raw[64];
    struct buf out;
    size_t n = strlen(hex) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        raw[i] = (uint8_t)byte;
    }
    buf_init(&out, 4096);
    assert_ok(text_decimal(&out, raw, n, scale, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_string_equal(out.data, expected);
    buf_free(&out);
}

/* What java.math.BigDecimal.toString gives for the same. */
static void test_decimals_as_text(void **state)
{
    (void)state;
    check_decimal("00", 0, "0");
    check_decimal("00", 3, "0.000");
    check_decimal("3039", 2, "123.45");
    check_decimal("ff", 2, "-0.01");
    check_decimal("80", 0, "-128");
    check_decimal("0080", 0, "128");
    check_decimal("01", 7, "1E-7");
    check_decimal("01", 6, "0.000001");
    check_decimal("0c", 8, "1.2E-7");
    check_decimal("7b", -3, "1.23E+5");
    check_decimal("7fffffffffffffff", 0, "9223372036854775807");
    check_decimal("8000000000000000", 0, "-9223372036854775808");
    check_decimal("0100000000000000000000000000000000", 0, "340282366920938463463374607431768211456");
    check_decimal("ff00000000000000000000000000000000", 10, "-34028236692093846346337460743.1768211456");
    check_decimal("3b9aca00", 0, "1000000000");
    check_decimal("0de0b6b3a7640000", 0, "1000000000000000000");
}

static void build_everything(void *arg)
{
    (void)arg;
    struct arena a;
    struct buf out;
    struct err f;
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    buf_init(&out, 1 << 20);
    err_clear(&f);
    struct leat_schema *text = schema_new(LEAT_TYPE_STRING, true, "text", 1);
    struct leat_schema *list = schema_array(text, true), *map = schema_map(text, text, true);
    struct leat_schema *s = schema_new(LEAT_TYPE_STRUCT, false, "S", 1);
    bool ok = text != NULL && list != NULL && map != NULL && s != NULL;
    ok = ok && schema_set_parameter(s, "p", "q", &f) == ERR_OK &&
         schema_add_field(s, "list", list, &f) == ERR_OK;
    for (int i = 0; ok && i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%d", i);
        ok = schema_add_field(s, name, text, &f) == ERR_OK;
    }
    struct leat_value *v = ok ? value_struct(&a, s, &f) : NULL, *items = value_array(&a);
    for (int i = 0; v != NULL && ok && i < 10000; i++)
        ok = items != NULL && value_push(items, value_string(&a, "some text in a list", 19), &f) == ERR_OK;
    ok = ok && v != NULL && value_set(v, "list", 4, items, &f) == ERR_OK;
    ok = ok && value_to_json(v, &out, &f) == ERR_OK && value_to_text(v, &out, &f) == ERR_OK;
    ok = ok && text_decimal(&out, (const uint8_t *)"\1\2\3\4\5", 5, 2, &f) == ERR_OK;
    if (!ok && f.code != ERR_OK)
        assert_int_equal(f.code, ERR_NO_MEMORY);
    arena_free(&a);
    buf_free(&out);
    schema_unref(s);
    schema_unref(map);
    schema_unref(list);
    schema_unref(text);
}

static void test_every_failed_allocation(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, build_everything, NULL) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer_ranges),
        cmocka_unit_test(test_maps_keep_their_order),
        cmocka_unit_test(test_structs_follow_their_schema),
        cmocka_unit_test(test_names_that_met_in_one_slot),
        cmocka_unit_test(test_schemas_of_values),
        cmocka_unit_test(test_decimals_as_text),
        cmocka_unit_test(test_every_failed_allocation),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
