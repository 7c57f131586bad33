/*
 * The JSON Schema: that it is a schema (by its form), and that it takes and refuses what the reader does. The validator
 * here knows the keywords that we write; another one in the schema is a failure.
 */
#include <jansson.h>
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/mem.h"
#include "config/internal.h"
#include "tests/lib/testkit.h"
#include "tests/unit/config/catalog.h"

static json_t *schema;

static int set_up(void **state)
{
    (void)state;
    struct buf out;
    struct err e;
    json_error_t je;
    buf_init(&out, 1 << 20);
    assert_ok(config_json_schema(&catalog, &out, &e), &e);
    schema = json_loadb((char *)out.data, out.len, JSON_REJECT_DUPLICATES, &je);
    buf_free(&out);
    return schema ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    json_decref(schema);
    return 0;
}

static const json_t *resolve(const json_t *ref)
{
    const char *text = json_string_value(ref), *prefix = "#/$defs/";
    assert_non_null(text);
    assert_memory_equal(text, prefix, strlen(prefix));
    const json_t *def = json_object_get(json_object_get(schema, "$defs"), text + strlen(prefix));
    if (!def)
        fail_msg("%s leads nowhere", text);
    return def;
}

static bool text_matches(const char *pattern, const char *text)
{
    int number;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, 0, &number, &at, NULL);
    assert_non_null(code); /* ours use nothing that PCRE and ECMA 262 see differently */
    pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
    bool matches = pcre2_match(code, (PCRE2_SPTR)text, strlen(text), 0, 0, data, NULL) >= 0;
    pcre2_match_data_free(data);
    pcre2_code_free(code);
    return matches;
}

/* ---- form --------------------------------------------------------------------------------------------------------- */

static void check_form(const json_t *s);

static void check_types(const json_t *types)
{
    static const char *const known[] = {"object", "array", "string", "number", "integer", "boolean", "null"};
    size_t n = json_is_array(types) ? json_array_size(types) : 1;
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const char *name = json_string_value(json_is_array(types) ? json_array_get(types, i) : types);
        bool found = false;
        for (size_t k = 0; name && k < COUNT_OF(known); k++)
            found = found || strcmp(name, known[k]) == 0;
        assert_true(found);
    }
}

static void check_each(const json_t *collection)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_array(collection)) {
        assert_true(json_array_size(collection) > 0);
        json_array_foreach(collection, i, value) check_form(value);
        return;
    }
    assert_true(json_is_object(collection));
    void *it = json_object_iter((json_t *)(uintptr_t)collection);
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)collection, it)) {
        key = json_object_iter_key(it);
        assert_true(*key != '\0');
        check_form(json_object_iter_value(it));
    }
}

static void check_patterns(const json_t *patterns)
{
    check_each(patterns);
    void *it = json_object_iter((json_t *)(uintptr_t)patterns);
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)patterns, it))
        text_matches(json_object_iter_key(it), "");
}

static void check_form(const json_t *s)
{
    assert_true(json_is_object(s));
    void *it = json_object_iter((json_t *)(uintptr_t)s);
    for (; it; it = json_object_iter_next((json_t *)(uintptr_t)s, it)) {
        const char *k = json_object_iter_key(it);
        const json_t *v = json_object_iter_value(it);
        if (strcmp(k, "type") == 0)
            check_types(v);
        else if (strcmp(k, "properties") == 0 || strcmp(k, "$defs") == 0 || strcmp(k, "anyOf") == 0 ||
                 strcmp(k, "allOf") == 0)
            check_each(v);
        else if (strcmp(k, "patternProperties") == 0)
            check_patterns(v);
        else if (strcmp(k, "items") == 0 || strcmp(k, "if") == 0 || strcmp(k, "then") == 0)
            check_form(v);
        else if (strcmp(k, "$ref") == 0)
            resolve(v);
        else if (strcmp(k, "pattern") == 0)
            text_matches(json_string_value(v), "");
        else if (strcmp(k, "enum") == 0)
            assert_true(json_array_size(v) > 0);
        else if (strcmp(k, "required") == 0 || strcmp(k, "examples") == 0)
            assert_true(json_is_array(v));
        else if (strcmp(k, "minimum") == 0 || strcmp(k, "maximum") == 0)
            assert_true(json_is_number(v));
        else if (strcmp(k, "additionalProperties") == 0)
            assert_true(json_is_false(v));
        else if (strcmp(k, "description") == 0 || strcmp(k, "title") == 0 || strcmp(k, "$schema") == 0)
            assert_true(json_is_string(v));
        else if (strcmp(k, "default") != 0)
            fail_msg("unexpected keyword %s", k);
    }
}

static void test_form(void **state)
{
    (void)state;
    check_form(schema);
    assert_string_equal(json_string_value(json_object_get(schema, "$schema")),
                        "https://json-schema.org/draft/2020-12/schema");
    /* each option of each table is there with its description */
    size_t n;
    const struct leat_option *rows = hub_options(&n);
    const json_t *block = json_object_get(json_object_get(schema, "properties"), "hub");
    const json_t *hub = json_object_get(block, "properties");
    const json_t *patterns = json_object_get(block, "patternProperties");
    assert_int_equal(json_object_size(hub) + json_object_size(patterns), n);
    for (size_t i = 0; i < n; i++) {
        const json_t *said = strchr(rows[i].name, '*')
                                 ? json_object_get(patterns, "^kafka\\..+$") /* kafka.*, the only one */
                                 : json_object_get(hub, rows[i].name);
        assert_non_null(said);
        assert_string_equal(json_string_value(json_object_get(said, "description")), rows[i].doc);
    }
}

/* ---- meaning ------------------------------------------------------------------------------------------------------ */

static bool valid(const json_t *s, const json_t *v);

static bool type_is(const char *type, const json_t *v)
{
    return strcmp(type, "object") == 0    ? json_is_object(v)
           : strcmp(type, "array") == 0   ? json_is_array(v)
           : strcmp(type, "string") == 0  ? json_is_string(v)
           : strcmp(type, "number") == 0  ? json_is_number(v)
           : strcmp(type, "integer") == 0 ? json_is_integer(v)
           : strcmp(type, "boolean") == 0 ? json_is_boolean(v)
                                          : json_is_null(v);
}

static bool types_fit(const json_t *types, const json_t *v)
{
    if (json_is_string(types))
        return type_is(json_string_value(types), v);
    bool any = !types;
    for (size_t i = 0; i < json_array_size(types); i++)
        any = any || type_is(json_string_value(json_array_get(types, i)), v);
    return any;
}

static bool object_fits(const json_t *s, const json_t *v)
{
    const json_t *properties = json_object_get(s, "properties"), *required = json_object_get(s, "required");
    const json_t *patterns = json_object_get(s, "patternProperties");
    bool good = true;
    void *it = json_object_iter((json_t *)(uintptr_t)v);
    for (; it && good; it = json_object_iter_next((json_t *)(uintptr_t)v, it)) {
        const json_t *p = json_object_get(properties, json_object_iter_key(it));
        bool known = p != NULL;
        good = !p || valid(p, json_object_iter_value(it));
        void *at = json_object_iter((json_t *)(uintptr_t)patterns);
        for (; at; at = json_object_iter_next((json_t *)(uintptr_t)patterns, at)) {
            if (!text_matches(json_object_iter_key(at), json_object_iter_key(it)))
                continue;
            known = true;
            good = good && valid(json_object_iter_value(at), json_object_iter_value(it));
        }
        good = good && (known || !json_object_get(s, "additionalProperties"));
    }
    for (size_t i = 0; i < json_array_size(required) && good; i++)
        good = json_object_get(v, json_string_value(json_array_get(required, i))) != NULL;
    return good;
}

static bool combinations_fit(const json_t *s, const json_t *v)
{
    const json_t *any = json_object_get(s, "anyOf"), *all = json_object_get(s, "allOf"),
                 *when = json_object_get(s, "if");
    bool good = !any;
    for (size_t i = 0; i < json_array_size(any); i++)
        good = good || valid(json_array_get(any, i), v);
    for (size_t i = 0; i < json_array_size(all); i++)
        good = good && valid(json_array_get(all, i), v);
    if (when && valid(when, v))
        good = good && valid(json_object_get(s, "then"), v);
    return good;
}

static bool scalar_fits(const json_t *s, const json_t *v)
{
    const json_t *values = json_object_get(s, "enum"), *min = json_object_get(s, "minimum");
    const json_t *max = json_object_get(s, "maximum"), *pattern = json_object_get(s, "pattern");
    bool good = !values;
    for (size_t i = 0; i < json_array_size(values); i++)
        good = good || json_equal(json_array_get(values, i), (json_t *)(uintptr_t)v);
    if (json_is_number(v))
        good = good && (!min || json_number_value(v) >= json_number_value(min)) &&
               (!max || json_number_value(v) <= json_number_value(max));
    if (json_is_string(v) && pattern)
        good = good && text_matches(json_string_value(pattern), json_string_value(v));
    return good;
}

static bool valid(const json_t *s, const json_t *v)
{
    const json_t *ref = json_object_get(s, "$ref"), *items = json_object_get(s, "items");
    bool good = (!ref || valid(resolve(ref), v)) && types_fit(json_object_get(s, "type"), v) &&
                scalar_fits(s, v) && (!json_is_object(v) || object_fits(s, v)) && combinations_fit(s, v);
    for (size_t i = 0; items && json_is_array(v) && i < json_array_size(v) && good; i++)
        good = valid(items, json_array_get(v, i));
    return good;
}

/* JSON is YAML, so the reader takes the same text. */
static bool reader_takes(const char *text)
{
    struct config *c;
    struct problems p;
    struct err e;
    problems_init(&p);
    int rc = config_parse(text, strlen(text), "f", &catalog, &c, &p, &e);
    problems_free(&p);
    config_free(c);
    return rc == ERR_OK;
}

#define TAIL(options) "{\"pipelines\":[{\"name\":\"a\",\"source\":{\"type\":\"tail\"," options "}}]}"
#define DIR(options)                                                                                         \
    "{\"pipelines\":[{\"name\":\"a\",\"topics\":\"x\",\"sinks\":[{\"type\":\"dir\",\"directory\":\"/"        \
    "o\"" options "}]}]}"
#define TOPIC(topic)                                                                                         \
    "{\"pipelines\":[{\"name\":\"a\",\"topic\":" topic ",\"source\":{\"type\":\"tail\",\"paths\":\"x\"}}]}"

static void test_meaning(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
    } cases[] = {
        {"{}", true},
        {"null", true},
        {"{\"hub\":null,\"pipelines\":null}", true},
        {"[]", false},
        {"{\"hubs\":{}}", false},
        {"{\"hub\":{\"log.level\":\"debug\",\"shutdown.timeout\":\"5s\",\"plugin.path\":[\"a\",\"b\"]}}",
         true},
        {"{\"hub\":{\"log.level\":\"loud\"}}", false},
        {"{\"hub\":{\"shutdown.timeout\":-1}}", false},
        {"{\"hub\":{\"shutdown.timeout\":\"5 weeks\"}}", false},
        {"{\"hub\":{\"shutdown.timeout\":\"${file:/etc/hostname:x}\"}}",
         false}, /* no such key: the reader only */
        {"{\"hub\":{\"journal.file.bytes\":1}}", false},
        {"{\"hub\":{\"journal.file.bytes\":\"8MiB\"}}", true},
        {"{\"hub\":{\"nothing\":1}}", false},
        {"{\"pipelines\":{}}", false},
        {"{\"pipelines\":[{}]}", false},
        {TAIL("\"paths\":\"/x\""), true},
        {TAIL("\"paths\":[\"/x\",\"/y\"]"), true},
        {TAIL("\"paths\":{\"a\":1}"), false},
        {TAIL("\"start\":\"end\""), false}, /* without paths */
        {TAIL("\"paths\":\"/x\",\"start\":\"end\",\"tasks.max\":\"3\""), true},
        {TAIL("\"paths\":\"/x\",\"tasks.max\":0"), false},
        {TAIL("\"paths\":\"/x\",\"name\":\"n\""), false},
        {TAIL("\"paths\":\"/x\",\"path\":\"n\""), false},
        {TAIL("\"paths\":\"/x\",\"mask.with.5.chars\":\"a\",\"mask.with.a.b.chars\":[\"a\",\"b\"]"), true},
        {TAIL("\"paths\":\"/x\",\"mask.with..chars\":\"a\""), false},
        {TAIL("\"paths\":\"/x\",\"mask.with.5.charsx\":\"a\""), false},
        {TAIL("\"paths\":\"/x\",\"limit.x.y\":9,\"limit.z\":\"3\""), true},
        {TAIL("\"paths\":\"/x\",\"limit.x\":10"), false},
        {TAIL("\"paths\":\"/x\",\"limit.\":1"), false},
        {TAIL("\"paths\":\"/x\",\"xlimit.x\":1"), false},
        {TAIL("\"paths\":\"/x\",\"topic.creation.groups\":\"g\",\"topic.creation.g.include\":[\"a\",\"b\"],"
              "\"topic.creation.g.partitions\":2,\"topic.creation.default.cleanup.policy\":\"compact\""),
         true},
        {TAIL("\"paths\":\"/x\",\"topic.creation.default.partitions\":[1]"), false},
        {TAIL("\"paths\":\"/x\",\"topic.creation.default.partitions\":\"many\""), false},
        {TAIL("\"paths\":\"/x\",\"value.converter\":\"org.apache.kafka.connect.json.JsonConverter\""), true},
        {TAIL("\"paths\":\"/x\",\"value.converter.schemas.enable\":false"), true},
        {TAIL("\"paths\":\"/x\",\"value.converter.schemas.enable\":true"), false},
        {"{\"pipelines\":[{\"name\":\"a\",\"source\":{\"type\":\"dir\",\"directory\":\"x\"}}]}", false},
        {"{\"pipelines\":[{\"name\":\"a\",\"source\":{\"type\":\"org.apache.kafka.connect.file."
         "FileStreamSourceConnector\","
         "\"paths\":\"x\"}}]}",
         true},
        {"{\"pipelines\":[{\"name\":\"a\",\"source\":{\"paths\":\"x\"}}]}", false},
        {DIR(""), true},
        {DIR(",\"name\":\"b\",\"ratio\":0.5,\"sync\":false,\"password\":\"x\",\"fields\":\"a,b\""), true},
        {DIR(",\"ratio\":2"), false},
        {DIR(",\"ratio\":\"0.25\""), true},
        {DIR(",\"ratio\":\"x\""), false},
        {DIR(",\"sync\":\"yes\""), false},
        {DIR(",\"sync\":\"true\""), true},
        {DIR(",\"flush.size\":9223372036854775807"), true},
        {DIR(",\"password\":null"), false},
        {DIR(",\"password\":123"), true},
        {DIR(",\"password\":[]"), false},
        {TOPIC("\"t\""), true},
        {TOPIC("{\"partitions\":3,\"config\":{\"retention.ms\":\"7d\",\"segment.bytes\":2097152,"
               "\"preallocate\":true}}"),
         true},
        {TOPIC("{\"partitions\":0}"), false},
        {TOPIC("{\"config\":{\"retention\":1}}"), false},
        {TOPIC("{\"config\":{\"durability\":\"never\"}}"), false},
        {TOPIC("{\"config\":{\"durability\":\"page-cache\"}}"), true},
        {TOPIC("[\"t\"]"), false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        json_error_t je;
        json_t *v = json_loads(cases[i].text, JSON_DECODE_ANY, &je);
        assert_non_null(v);
        bool reader_only = strstr(cases[i].text, "${") != NULL;
        if (valid(schema, v) != (cases[i].good || reader_only))
            fail_msg("the schema and %s", cases[i].text);
        if (reader_takes(cases[i].text) != cases[i].good)
            fail_msg("the reader and %s", cases[i].text);
        json_decref(v);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_form, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_meaning, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
