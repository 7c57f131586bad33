/*
 * schema: a JSON Schema (draft 2020-12) of the whole configuration from the option tables, so that editors complete and
 * check. It takes what the reader takes: every value may also be text with a ${...} placeholder. Any thread.
 */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/docs.h"
#include "config/internal.h"
#include "config/settings.h"

/*
 * jansson takes NULL for an error and gives it on, and its *_new functions free what they could not use; so a tree can be
 * built without a check at each step. That something failed is remembered in `failed`.
 */
static void put(json_t *object, const char *key, json_t *value, bool *failed)
{
    if (json_object_set_new(object, key, value) != 0)
        *failed = true;
}

static void push(json_t *array, json_t *value, bool *failed)
{
    if (json_array_append_new(array, value) != 0)
        *failed = true;
}

static json_t *reference(const char *name)
{
    char text[160];
    snprintf(text, sizeof(text), "#/$defs/%s", name);
    return json_pack("{s:s}", "$ref", text);
}

/* ---- one option -------------------------------------------------------------------------------------------------------- */

/* Text of a pattern, or with a placeholder. */
static json_t *text_like(const char *pattern)
{
    return json_pack("{s:s, s:s}", "type", "string", "pattern", pattern);
}

static json_t *one_of_two(json_t *a, json_t *b, bool *failed)
{
    json_t *any = json_array();
    push(any, a, failed);
    push(any, b, failed);
    push(any, reference("placeholder"), failed);
    json_t *schema = json_object();
    put(schema, "anyOf", any, failed);
    return schema;
}

static json_t *number_schema(const struct leat_option *o, bool *failed)
{
    static const char *const patterns[] = {
        [LEAT_INT] = "^[-+]?[0-9]+$",
        [LEAT_DOUBLE] = "^[-+]?[0-9.]+([eE][-+]?[0-9]+)?$",
        [LEAT_DURATION] = "^([-+]?[0-9]+|[0-9]+ *(ms|s|m|h|d))$",
        [LEAT_SIZE] = "^([-+]?[0-9]+|[0-9]+ *(B|KiB|MiB|GiB|TiB))$",
    };
    json_t *number = json_pack("{s:s}", "type", o->type == LEAT_DOUBLE ? "number" : "integer");
    bool bounded = o->min != 0 || o->max != 0;
    if (bounded || o->type == LEAT_DURATION || o->type == LEAT_SIZE)
        put(number, "minimum", json_integer(o->min), failed);
    if (bounded && o->max != INT64_MAX)
        put(number, "maximum", json_integer(o->max), failed);
    return one_of_two(number, text_like(patterns[o->type]), failed);
}

/* Choices such as false and 1 are other things than text to a YAML editor: both are taken. */
static void push_choice(json_t *values, const char *start, size_t len, bool *failed)
{
    int64_t number;
    char text[128];
    push(values, json_stringn(start, len), failed);
    if (len >= sizeof(text))
        return;
    memcpy(text, start, len);
    text[len] = '\0';
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        push(values, json_boolean(strcmp(text, "true") == 0), failed);
    else if (integer_parse(text, &number))
        push(values, json_integer(number), failed);
}

static json_t *choice_schema(const char *choices, bool *failed)
{
    json_t *values = json_array(), *any = json_array(), *schema = json_object(), *named = json_object();
    const char *start;
    size_t len;
    for (size_t i = 0; choice_at(choices, i, &start, &len); i++)
        push_choice(values, start, len, failed);
    put(named, "enum", values, failed);
    push(any, named, failed);
    push(any, reference("placeholder"), failed);
    put(schema, "anyOf", any, failed);
    return schema;
}

static json_t *list_schema(bool *failed)
{
    json_t *list = json_pack("{s:s}", "type", "array");
    put(list, "items", reference("text"), failed);
    json_t *any = json_array(), *schema = json_object();
    push(any, reference("text"), failed);
    push(any, list, failed);
    put(schema, "anyOf", any, failed);
    return schema;
}

static json_t *type_schema(const struct leat_option *o, bool *failed)
{
    switch (o->type) {
    case LEAT_INT:
    case LEAT_DOUBLE:
    case LEAT_DURATION:
    case LEAT_SIZE:
        return number_schema(o, failed);
    case LEAT_BOOL:
        return one_of_two(json_pack("{s:s}", "type", "boolean"), text_like("^([Tt]rue|TRUE|[Ff]alse|FALSE)$"),
                          failed);
    case LEAT_CHOICE:
        return choice_schema(o->choices, failed);
    case LEAT_LIST:
        return list_schema(failed);
    case LEAT_STRING:
        break;
    }
    return reference("text");
}

/* Numbers and truth as such; everything else as the text that one would write. */
static json_t *default_json(const struct leat_option *o)
{
    int64_t v;
    if (o->type == LEAT_BOOL)
        return json_boolean(strcasecmp(o->default_value, "true") == 0);
    if (o->type == LEAT_DOUBLE)
        return json_real(strtod(o->default_value, NULL));
    if (o->type != LEAT_STRING && o->type != LEAT_CHOICE && integer_parse(o->default_value, &v))
        return json_integer(v);
    return json_string(o->default_value);
}

static json_t *option_schema(const struct leat_option *o, bool *failed)
{
    json_t *schema = type_schema(o, failed);
    put(schema, "description", json_string(o->doc ? o->doc : ""), failed);
    if (o->default_value)
        put(schema, "default", default_json(o), failed);
    if (o->example) {
        json_t *examples = json_array();
        push(examples, json_string(o->example), failed);
        put(schema, "examples", examples, failed);
    }
    return schema;
}

/* ---- mappings ---------------------------------------------------------------------------------------------------------- */

/* Every pattern of a schema that matches a key has its say: what a better row knows is kept from this one. */
static int except_others(const struct leat_option *rows, size_t n, const char *pattern, struct buf *out,
                         struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        if (strcmp(rows[i].name, pattern) == 0 || !pattern_matches(pattern, rows[i].name))
            continue;
        rc = buf_str(out, "(?!", e);
        rc = rc ? rc : pattern_regex(rows[i].name, out, e);
        rc = rc ? rc : buf_str(out, ")", e);
    }
    return rc;
}

static void put_pattern(json_t *patterns, const struct leat_option *rows, size_t n, size_t i, bool *failed)
{
    struct buf regex;
    struct err e;
    buf_init(&regex, CONFIG_SECTION_MAX);
    int rc = except_others(rows, n, rows[i].name, &regex, &e);
    rc = rc ? rc : pattern_regex(rows[i].name, &regex, &e);
    rc = rc ? rc : buf_append(&regex, "", 1, &e);
    if (rc)
        *failed = true;
    else
        put(patterns, (const char *)regex.data, option_schema(&rows[i], failed), failed);
    buf_free(&regex);
}

/* What is there already of a mapping. */
struct known {
    json_t *properties, *patterns;
};

static struct known known_nothing(void)
{
    return (struct known){json_object(), json_object()};
}

/* A mapping of a table; takes over what is known. */
static json_t *table_schema(const struct leat_option *rows, size_t n, struct known known, bool *failed)
{
    json_t *required = json_array();
    for (size_t i = 0; i < n; i++) {
        if (pattern_is(rows[i].name))
            put_pattern(known.patterns, rows, n, i, failed);
        else if (!json_object_get(known.properties, rows[i].name))
            put(known.properties, rows[i].name, option_schema(&rows[i], failed), failed);
        if (rows[i].flags & LEAT_REQUIRED)
            push(required, json_string(rows[i].name), failed);
    }
    json_t *schema = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    put(schema, "properties", known.properties, failed);
    put(schema, "required", required, failed);
    if (json_object_size(known.patterns))
        put(schema, "patternProperties", json_incref(known.patterns), failed);
    json_decref(known.patterns);
    return schema;
}

static json_t *described(json_t *schema, const char *text, bool *failed)
{
    put(schema, "description", json_string(text), failed);
    return schema;
}

static json_t *topic_setting(const struct topic_config_def *d, bool *failed)
{
    char choices[SETTING_CHOICES_MAX];
    struct leat_option o = setting_option(d, choices);
    return option_schema(&o, failed);
}

static json_t *topic_schema(bool *failed)
{
    size_t n, count;
    const struct leat_option *rows = topic_options(&n);
    const struct topic_config_def *defs = topic_config_defs(&count);
    json_t *settings = json_object();
    for (size_t i = 0; i < count; i++)
        put(settings, defs[i].name, topic_setting(&defs[i], failed), failed);
    json_t *config = json_pack("{s:s, s:b}", "type", "object", "additionalProperties", 0);
    put(config, "properties", settings, failed);
    struct known known = known_nothing();
    put(known.properties, "config", described(config, "Kafka's topic settings.", failed), failed);
    json_t *any = json_array(), *schema = json_object();
    push(any, reference("text"), failed);
    push(any, table_schema(rows, n, known, failed), failed);
    put(schema, "anyOf", any, failed);
    return schema;
}

/* ---- connectors -------------------------------------------------------------------------------------------------------- */

static json_t *type_names(const struct leat_connector *c, bool *failed)
{
    json_t *names = json_array();
    push(names, json_string(c->type), failed);
    for (size_t i = 0; c->aliases && c->aliases[i]; i++)
        push(names, json_string(c->aliases[i]), failed);
    return names;
}

/* Schemas beside the values are for those that can write them. */
static json_t *common_schema(const struct leat_connector *c, struct leat_option o, bool *failed)
{
    if (strstr(o.name, ".schemas.enable") && !(connector_flags(c) & LEAT_WRITES_SCHEMAS)) {
        o.type = LEAT_CHOICE;
        o.choices = "false";
    }
    return option_schema(&o, failed);
}

/* {"if": the type is this one, "then": its and the common options and nothing else} */
static json_t *connector_case(const struct leat_connector *c, bool *failed)
{
    size_t n;
    const struct leat_option *common = connector_options_of(c->kind, &n);
    struct known known = known_nothing();
    json_t *type = json_object();
    put(type, "enum", type_names(c, failed), failed);
    put(known.properties, "type", described(type, c->summary ? c->summary : "", failed), failed);
    for (size_t i = 0; i < n; i++) {
        if (pattern_is(common[i].name))
            put_pattern(known.patterns, common, n, i, failed);
        else if (!json_object_get(known.properties, common[i].name))
            put(known.properties, common[i].name, common_schema(c, common[i], failed), failed);
    }
    json_t *condition = json_pack("{s:{s:{s:o}}, s:[s]}", "properties", "type", "enum", type_names(c, failed),
                                  "required", "type");
    json_t *one = json_object();
    put(one, "if", condition, failed);
    put(one, "then", table_schema(c->options, c->option_count, known, failed), failed);
    return one;
}

static json_t *kind_schema(const struct connector_catalog *catalog, enum leat_kind kind, bool *failed)
{
    json_t *names = json_array(), *cases = json_array();
    const struct leat_connector *c;
    for (size_t i = 0; (c = catalog->at(catalog->arg, i)); i++) {
        if (c->kind != kind)
            continue;
        push(names, json_string(c->type), failed);
        for (size_t k = 0; c->aliases && c->aliases[k]; k++)
            push(names, json_string(c->aliases[k]), failed);
        push(cases, connector_case(c, failed), failed);
    }
    json_t *type = json_object(), *properties = json_object();
    put(type, "description", json_string("Which connector."), failed);
    if (json_array_size(names)) /* an enum must not be empty */
        put(type, "enum", json_incref(names), failed);
    json_decref(names);
    put(properties, "type", type, failed);
    json_t *schema = json_pack("{s:s, s:[s]}", "type", "object", "required", "type");
    put(schema, "properties", properties, failed);
    if (json_array_size(cases))
        put(schema, "allOf", json_incref(cases), failed);
    json_decref(cases);
    return schema;
}

/* ---- the whole --------------------------------------------------------------------------------------------------------- */

static json_t *array_of(const char *name, const char *text, bool *failed)
{
    /* a key without anything below it is an empty list to us */
    json_t *list = json_pack("{s:[s,s]}", "type", "array", "null");
    put(list, "items", reference(name), failed);
    return described(list, text, failed);
}

static json_t *pipeline_schema(bool *failed)
{
    size_t n;
    const struct leat_option *rows = pipeline_options(&n);
    struct known known = known_nothing();
    put(known.properties, "source",
        described(reference("source"),
                  "What fills the topic. Without it the sinks read topics "
                  "that exist.",
                  failed),
        failed);
    put(known.properties, "sinks", array_of("sink", "What reads the topics; each at its own pace.", failed),
        failed);
    put(known.properties, "topic", described(reference("topic"), option_find(rows, n, "topic")->doc, failed),
        failed);
    return table_schema(rows, n, known, failed);
}

static json_t *definitions(const struct connector_catalog *catalog, bool *failed)
{
    json_t *defs = json_object();
    put(defs, "placeholder", text_like("\\$\\{[A-Za-z0-9_-]+:.*\\}"), failed);
    put(defs, "text", json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean"), failed);
    put(defs, "topic", topic_schema(failed), failed);
    put(defs, "source", kind_schema(catalog, LEAT_SOURCE, failed), failed);
    put(defs, "sink", kind_schema(catalog, LEAT_SINK, failed), failed);
    put(defs, "pipeline", pipeline_schema(failed), failed);
    return defs;
}

int config_json_schema(const struct connector_catalog *catalog, struct buf *out, struct err *e)
{
    bool failed = false;
    size_t n;
    const struct leat_option *rows = hub_options(&n);
    json_t *hub = table_schema(rows, n, known_nothing(), &failed);
    put(hub, "type", json_pack("[s,s]", "object", "null"), &failed);
    json_t *properties = json_object();
    put(properties, "hub", described(hub, "Settings of the process.", &failed), &failed);
    put(properties, "pipelines", array_of("pipeline", "What runs.", &failed), &failed);
    json_t *root =
        json_pack("{s:s, s:s, s:[s,s], s:b}", "$schema", "https://json-schema.org/draft/2020-12/schema",
                  "title", "Leat configuration", "type", "object", "null", "additionalProperties", 0);
    put(root, "properties", properties, &failed);
    put(root, "$defs", definitions(catalog, &failed), &failed);
    char *text = failed ? NULL : json_dumps(root, JSON_INDENT(2));
    json_decref(root);
    if (!text)
        return err_nomem(e);
    int rc = buf_str(out, text, e);
    rc = rc ? rc : buf_u8(out, '\n', e);
    free(text);
    return rc;
}
