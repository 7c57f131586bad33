/*
 * Converters against what Kafka Connect 4.3.1 did with the same values and bytes (tests/data/connect).
 */
#include "tests/lib/testkit.h"

#include <jansson.h>

#include "base/io.h"
#include "base/mem.h"
#include "connect/converter.h"
#include "connect/value_json.h"

struct fixture {
    struct arena arena;
    struct buf out;
    struct err e;
};

static enum converter converter_of(const char *name)
{
    return strstr(name, "Json") != NULL     ? CONVERTER_JSON
           : strstr(name, "String") != NULL ? CONVERTER_STRING
                                            : CONVERTER_BYTES;
}

/* ---- the recorded notation ---------------------------------------------------------------------------------- */

static size_t base64_decode(const char *text, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = 0, bits = 0;
    uint32_t v = 0;
    for (; *text != 0 && *text != '='; text++) {
        v = v << 6 | (uint32_t)(strchr(digits, *text) - digits);
        if ((bits += 6) >= 8)
            out[n++] = (uint8_t)(v >> (bits -= 8));
    }
    return n;
}

static struct leat_schema *schema_from(const json_t *j)
{
    static const struct {
        const char *name;
        enum leat_type type;
    } types[] = {{"int8", LEAT_TYPE_INT8},     {"int16", LEAT_TYPE_INT16},     {"int32", LEAT_TYPE_INT32},
                 {"int64", LEAT_TYPE_INT64},   {"float32", LEAT_TYPE_FLOAT32}, {"float64", LEAT_TYPE_FLOAT64},
                 {"string", LEAT_TYPE_STRING}, {"bytes", LEAT_TYPE_BYTES},     {"boolean", LEAT_TYPE_BOOLEAN},
                 {"struct", LEAT_TYPE_STRUCT}};
    const char *type =
        json_is_string(j) ? json_string_value(j) : json_string_value(json_object_get(j, "type"));
    const char *name = json_string_value(json_object_get(j, "name"));
    bool optional = json_is_true(json_object_get(j, "optional")) || strchr(type, '?') != NULL;
    struct leat_schema *s = NULL;
    if (strcmp(type, "array") == 0) {
        struct leat_schema *items = schema_from(json_object_get(j, "items"));
        s = schema_array(items, optional);
        schema_unref(items);
        return s;
    }
    if (strcmp(type, "map") == 0) {
        struct leat_schema *keys = schema_from(json_object_get(j, "keys"));
        struct leat_schema *values = schema_from(json_object_get(j, "values"));
        s = schema_map(keys, values, optional);
        schema_unref(keys);
        schema_unref(values);
        return s;
    }
    enum leat_type t = LEAT_TYPE_NULL;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (strncmp(types[i].name, type, strcspn(type, "?")) == 0 &&
            strlen(types[i].name) == strcspn(type, "?"))
            t = types[i].type;
    }
    const char *logical = name == NULL ? NULL : strrchr(name, '.');
    if (logical != NULL)
        t = strcmp(logical, ".Decimal") == 0     ? LEAT_TYPE_DECIMAL
            : strcmp(logical, ".Date") == 0      ? LEAT_TYPE_DATE
            : strcmp(logical, ".Time") == 0      ? LEAT_TYPE_TIME
            : strcmp(logical, ".Timestamp") == 0 ? LEAT_TYPE_TIMESTAMP
                                                 : t;
    s = schema_new(t, optional, name, 1);
    const char *key;
    json_t *value;
    struct err e;
    json_object_foreach(json_object_get(j, "parameters"), key, value)
        assert_ok(schema_set_parameter(s, key, json_string_value(value), &e), &e);
    size_t i;
    json_array_foreach(json_object_get(j, "fields"), i, value)
    {
        struct leat_schema *field = schema_from(value);
        assert_ok(schema_add_field(s, json_string_value(json_object_get(value, "field")), field, &e), &e);
        schema_unref(field);
    }
    return s;
}

static struct leat_value *decimal_from(struct arena *a, const char *text, struct err *e)
{
    int64_t v = 0;
    int scale = 0;
    bool point = false;
    for (const char *p = text; *p != 0; p++) {
        point = point || *p == '.';
        if (*p >= '0' && *p <= '9') {
            v = v * 10 + (*p - '0');
            scale += point;
        }
    }
    v = *text == '-' ? -v : v;
    uint8_t raw[8];
    put_be64(raw, (uint64_t)v);
    size_t skip = 0; /* as few bytes as keep the sign, as BigInteger.toByteArray */
    while (skip < 7 &&
           ((raw[skip] == 0 && !(raw[skip + 1] & 0x80)) || (raw[skip] == 0xff && raw[skip + 1] & 0x80)))
        skip++;
    return value_decimal(a, raw + skip, 8 - skip, scale, e);
}

static struct leat_value *value_from(struct fixture *f, const json_t *j, struct leat_schema *s);

static struct leat_value *object_from(struct fixture *f, const json_t *j, struct leat_schema *s)
{
    const char *tag = json_object_iter_key(json_object_iter((json_t *)(uintptr_t)j));
    const json_t *in = tag == NULL ? NULL : json_object_get(j, tag);
    struct arena *a = &f->arena;
    if (tag != NULL && strncmp(tag, "$int", 4) == 0) {
        int bits = (int)strtol(tag + 4, NULL, 10);
        enum leat_type t = bits == 8    ? LEAT_TYPE_INT8
                           : bits == 16 ? LEAT_TYPE_INT16
                           : bits == 32 ? LEAT_TYPE_INT32
                                        : LEAT_TYPE_INT64;
        return value_int(a, t, json_integer_value(in), &f->e);
    }
    if (tag != NULL && strncmp(tag, "$float", 6) == 0) {
        double d = json_is_string(in) ? strtod(json_string_value(in), NULL) : json_number_value(in);
        return value_float(a, tag[6] == '3' ? LEAT_TYPE_FLOAT32 : LEAT_TYPE_FLOAT64, d, &f->e);
    }
    if (tag != NULL && (strcmp(tag, "$bytes") == 0 || strcmp(tag, "$bytebuffer") == 0)) {
        uint8_t raw[256];
        return value_bytes(a, raw, base64_decode(json_string_value(in), raw));
    }
    if (tag != NULL && strcmp(tag, "$decimal") == 0)
        return decimal_from(a, json_string_value(in), &f->e);
    if (tag != NULL && strcmp(tag, "$date") == 0) {
        int64_t ms = json_integer_value(in);
        return value_int(a, s->type, s->type == LEAT_TYPE_DATE ? ms / 86400000 : ms, &f->e);
    }
    bool structure = tag != NULL && strcmp(tag, "$struct") == 0;
    struct leat_value *v = structure ? value_struct(a, s, &f->e) : value_map(a);
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)(structure ? in : j), key, item)
    {
        struct leat_schema *of = structure   ? s->fields[schema_field_index(s, key, strlen(key))].schema
                                 : s != NULL ? s->values
                                             : NULL;
        assert_ok(value_set(v, key, strlen(key), value_from(f, item, of), &f->e), &f->e);
    }
    return v;
}

static struct leat_value *value_from(struct fixture *f, const json_t *j, struct leat_schema *s)
{
    struct leat_value *v;
    if (json_is_array(j)) {
        v = value_array(&f->arena);
        for (size_t i = 0; i < json_array_size(j); i++) {
            struct leat_value *item = value_from(f, json_array_get(j, i), s == NULL ? NULL : s->items);
            assert_ok(value_push(v, item, &f->e), &f->e);
        }
    } else if (json_is_object(j)) {
        v = object_from(f, j, s);
    } else if (json_is_string(j)) {
        v = value_string(&f->arena, json_string_value(j), json_string_length(j));
    } else if (json_is_boolean(j)) {
        v = value_bool(&f->arena, json_is_true(j));
    } else {
        v = value_null(&f->arena);
    }
    assert_non_null(v);
    if (s != NULL)
        assert_ok(value_with_schema(v, s, &f->e), &f->e);
    return v;
}

/* The value in the recorded notation. */
static json_t *tagged(const struct leat_value *v)
{
    char base64[512];
    struct buf b;
    struct err e;
    json_t *j;
    switch (v->type) {
    case LEAT_TYPE_NULL:
        return json_null();
    case LEAT_TYPE_BOOLEAN:
        return json_boolean(v->i);
    case LEAT_TYPE_INT64:
        return json_pack("{s:I}", "$int64", (json_int_t)v->i);
    case LEAT_TYPE_FLOAT64:
        return json_pack("{s:f}", "$float64", v->d);
    case LEAT_TYPE_STRING:
        return json_stringn((const char *)v->bytes.p, v->bytes.n);
    case LEAT_TYPE_BYTES:
        buf_init(&b, sizeof(base64) - 2);
        assert_ok(value_to_json(v, &b, &e), &e);
        memcpy(base64, b.data, b.len);
        base64[b.len - 1] = 0;
        buf_free(&b);
        return json_pack("{s:s}", "$bytes", base64 + 1);
    case LEAT_TYPE_ARRAY:
        j = json_array();
        for (size_t i = 0; i < value_count(v); i++)
            json_array_append_new(j, tagged(value_at(v, i, NULL, NULL)));
        return j;
    default:
        assert_int_equal(v->type, LEAT_TYPE_MAP);
        j = json_object();
        for (size_t i = 0; i < value_count(v); i++) {
            const char *name;
            size_t n;
            const struct leat_value *item = value_at(v, i, &name, &n);
            json_object_setn_new(j, name, n, tagged(item));
        }
        return j;
    }
}

/* ---- the cases ---------------------------------------------------------------------------------------------- */

static void check_from(struct fixture *f, const json_t *line, const char *text)
{
    const json_t *schema = json_object_get(line, "schema");
    const json_t *result = json_object_get(line, "result");
    struct leat_schema *s = json_is_null(schema) ? NULL : schema_from(schema);
    struct leat_value *v = value_from(f, json_object_get(line, "value"), s);
    bool null;
    buf_reset(&f->out);
    int rc = converter_write(converter_of(json_string_value(json_object_get(line, "converter"))), v, &f->out,
                             &null, &f->e);
    if (result == NULL) {
        assert_code(rc, ERR_INVALID, &f->e);
    } else {
        assert_ok(rc, &f->e);
        const json_t *bytes = json_object_get(result, "bytes");
        assert_int_equal(null, json_is_null(bytes));
        if (!null) {
            uint8_t raw[4096];
            size_t n = base64_decode(json_string_value(bytes), raw);
            if (n != f->out.len || memcmp(raw, f->out.data, n) != 0)
                fail_msg("%s: wrote %.*s", text, (int)f->out.len, f->out.data);
        }
    }
    schema_unref(s);
}

static void check_to(struct fixture *f, const json_t *line, const char *text)
{
    const json_t *in = json_object_get(line, "text"), *bytes = json_object_get(line, "bytes");
    uint8_t raw[4096];
    const void *p = json_string_value(in);
    size_t n = in == NULL ? 0 : json_string_length(in);
    if (in == NULL && json_is_string(bytes)) {
        n = base64_decode(json_string_value(bytes), raw);
        p = raw;
    }
    struct leat_value *v = converter_read(converter_of(json_string_value(json_object_get(line, "converter"))),
                                          &f->arena, p, n, &f->e);
    const json_t *result = json_object_get(line, "result");
    if (result == NULL) {
        if (v != NULL)
            fail_msg("%s: no error", text);
        assert_int_equal(f->e.code, ERR_INVALID);
        return;
    }
    if (v == NULL)
        fail_msg("%s: %s", text, f->e.text);
    json_t *got = tagged(v);
    if (!json_equal(got, json_object_get(result, "value")))
        fail_msg("%s: read %s", text, json_dumps(got, JSON_ENCODE_ANY));
    json_decref(got);
}

static void test_recorded_cases(void **state)
{
    (void)state;
    struct fixture f;
    char *data;
    size_t n, cases = 0;
    arena_init(&f.arena, ARENA_MAX_BYTES, NULL);
    buf_init(&f.out, 1 << 20);
    assert_ok(io_read_file("tests/data/connect/converters.jsonl", 1 << 20, &data, &n, &f.e), &f.e);
    for (char *at = data, *line; (line = strsep(&at, "\n")) != NULL;) {
        if (*line == 0)
            continue;
        json_t *j = json_loads(line, JSON_DECODE_ANY, NULL);
        assert_non_null(j);
        if (strcmp(json_string_value(json_object_get(j, "op")), "from") == 0)
            check_from(&f, j, line);
        else
            check_to(&f, j, line);
        json_decref(j);
        arena_reset(&f.arena);
        cases++;
    }
    assert_true(cases > 80);
    mem_free(data);
    arena_free(&f.arena);
    buf_free(&f.out);
}

static void test_what_differs_from_connect(void **state)
{
    (void)state;
    struct fixture f;
    bool null;
    arena_init(&f.arena, ARENA_MAX_BYTES, NULL);
    buf_init(&f.out, 1 << 20);
    struct leat_value *v = converter_read(CONVERTER_JSON, &f.arena, "12345678901234567890", 20, &f.e);
    assert_int_equal(v->type, LEAT_TYPE_FLOAT64);
    assert_true(v->d == 12345678901234567890.0);
    assert_code(converter_write(CONVERTER_STRING, value_bytes(&f.arena, "x", 1), &f.out, &null, &f.e),
                ERR_INVALID, &f.e);
    arena_free(&f.arena);
    buf_free(&f.out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_recorded_cases),
        cmocka_unit_test(test_what_differs_from_connect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
