/*
 * docs: Markdown from the option tables: references of connectors and of the configuration. Any thread.
 */
#include "config/docs.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/internal.h"

static const char *type_name(const struct leat_option *o)
{
    switch (o->type) {
    case LEAT_STRING:
        return "text";
    case LEAT_INT:
        return "integer";
    case LEAT_DOUBLE:
        return "number";
    case LEAT_BOOL:
        return "boolean";
    case LEAT_LIST:
        return "list";
    case LEAT_DURATION:
        return "duration";
    case LEAT_SIZE:
        return "size";
    case LEAT_CHOICE:
        return "choice";
    }
    return "";
}

static const char *importance_name(enum leat_importance i)
{
    return i == LEAT_HIGH ? "high" : i == LEAT_MEDIUM ? "medium" : "low";
}

/* ---- tables -------------------------------------------------------------------------------------------------------- */

/* Text of a table's cell: on one line, without the table's own sign. */
static int cell(struct buf *out, const char *text, struct err *e)
{
    int rc = ERR_OK;
    for (const char *p = text; *p && rc == ERR_OK; p++) {
        if (*p == '\n')
            rc = buf_u8(out, ' ', e);
        else
            rc = *p == '|' ? buf_str(out, "\\|", e) : buf_u8(out, (uint8_t)*p, e);
    }
    return rc;
}

static int code(struct buf *out, const char *text, struct err *e)
{
    int rc = buf_u8(out, '`', e);
    rc = rc ? rc : cell(out, *text ? text : "\"\"", e);
    return rc ? rc : buf_u8(out, '`', e);
}

static int range_choices(const struct leat_option *o, struct buf *out, struct err *e)
{
    const char *start;
    size_t len;
    int rc = ERR_OK;
    for (size_t i = 0; rc == ERR_OK && choice_at(o->choices, i, &start, &len); i++)
        rc = buf_printf(out, e, "%s`%.*s`", i ? ", " : "", (int)len, start);
    return rc;
}

static int range_numbers(const struct leat_option *o, struct buf *out, struct err *e)
{
    char low[32], high[32];
    if (o->min == 0 && o->max == 0)
        return buf_str(out, o->type == LEAT_DURATION || o->type == LEAT_SIZE ? "0 or more" : "", e);
    bool duration = o->type == LEAT_DURATION, size = o->type == LEAT_SIZE;
    snprintf(low, sizeof(low), "%" PRId64, o->min);
    snprintf(high, sizeof(high), "%" PRId64, o->max);
    if (duration || size) {
        (duration ? duration_format : size_format)(o->min, low, sizeof(low));
        (duration ? duration_format : size_format)(o->max, high, sizeof(high));
    }
    if (o->max == INT64_MAX)
        return buf_printf(out, e, "%s or more", low);
    return buf_printf(out, e, "%s to %s", low, high);
}

static int row(const struct leat_option *o, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "| `%s` | %s | ", o->name, type_name(o));
    if (rc == ERR_OK && o->flags & LEAT_REQUIRED)
        rc = buf_str(out, "required", e);
    else if (rc == ERR_OK && o->default_value)
        rc = code(out, o->default_value, e);
    rc = rc ? rc : buf_str(out, " | ", e);
    if (rc == ERR_OK && o->type == LEAT_CHOICE)
        rc = range_choices(o, out, e);
    else if (rc == ERR_OK && o->type != LEAT_STRING && o->type != LEAT_LIST && o->type != LEAT_BOOL)
        rc = range_numbers(o, out, e);
    rc = rc ? rc : buf_printf(out, e, " | %s | ", importance_name(o->importance));
    if (rc == ERR_OK && o->flags & LEAT_SECRET)
        rc = buf_str(out, "Secret: never shown. ", e);
    if (rc == ERR_OK && o->flags & LEAT_ACCEPTED)
        rc = buf_str(out, "Without effect. ", e);
    rc = rc ? rc : cell(out, o->doc ? o->doc : "", e);
    if (rc == ERR_OK && o->example) {
        rc = buf_str(out, " Example: ", e);
        rc = rc ? rc : code(out, o->example, e);
    }
    return rc ? rc : buf_str(out, " |\n", e);
}

static int table_head(struct buf *out, struct err *e)
{
    return buf_str(
        out, "| option | type | default | values | importance | what it does |\n|---|---|---|---|---|---|\n",
        e);
}

int config_docs_table(const struct leat_option *rows, size_t n, struct buf *out, struct err *e)
{
    int rc = table_head(out, e);
    for (int importance = LEAT_HIGH; importance <= LEAT_LOW; importance++)
        for (size_t i = 0; i < n && rc == ERR_OK; i++)
            if ((int)rows[i].importance == importance)
                rc = row(&rows[i], out, e);
    return rc;
}

/* ---- samples ------------------------------------------------------------------------------------------------------- */

/* Indented by `indent`; with `item` the first line is that of a list's item. */
static int lines(const char *text, const char *indent, bool item, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    bool first = true;
    for (const char *p = text; *p && rc == ERR_OK;) {
        size_t n = strcspn(p, "\n");
        if (n > 0)
            rc = buf_printf(out, e, "%s%s%.*s\n", indent, !item ? "" : first ? "- " : "  ", (int)n, p);
        first = false;
        p += n + (p[n] == '\n');
    }
    return rc;
}

static int sample_open(enum leat_kind kind, struct buf *out, struct err *e)
{
    return buf_str(out, kind == LEAT_SOURCE ? "```yaml\nsource:\n" : "```yaml\nsinks:\n", e);
}

static int minimal_sample(const struct leat_connector *c, struct buf *out, struct err *e)
{
    int rc = sample_open(c->kind, out, e);
    rc = rc ? rc : lines(c->example, "  ", c->kind == LEAT_SINK, out, e);
    return rc ? rc : buf_str(out, "```\n", e);
}

/* A default as YAML: plain where that means the same. */
static int sample_default(const struct leat_option *o, struct buf *out, struct err *e)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/+${}-";
    const char *v = o->default_value;
    if (o->type == LEAT_LIST)
        return buf_printf(out, e, "[%s]", v);
    bool simple = *v && strspn(v, plain) == strlen(v) && strcmp(v, "null") != 0 && !strchr("{}-", *v);
    return simple || (o->type != LEAT_STRING && o->type != LEAT_CHOICE) ? buf_str(out, v, e)
                                                                        : value_quote(v, out, e);
}

/* Whether text can stand behind `key: ` as it is. */
static bool is_yaml_value(const char *text)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "k: %s\n", text);
    yaml_parser_t parser;
    yaml_document_t doc;
    if (n < 0 || (size_t)n >= sizeof(line) || !yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, (const unsigned char *)line, (size_t)n);
    bool good = yaml_parser_load(&parser, &doc);
    if (good) {
        yaml_node_t *root = yaml_document_get_root_node(&doc);
        good = root && root->type == YAML_MAPPING_NODE &&
               root->data.mapping.pairs.top - root->data.mapping.pairs.start == 1;
        yaml_document_delete(&doc);
    }
    yaml_parser_delete(&parser);
    return good;
}

static int sample_value(const struct leat_option *o, struct buf *out, struct err *e)
{
    if (o->default_value)
        return sample_default(o, out, e);
    return is_yaml_value(o->example) ? buf_str(out, o->example, e) : value_quote(o->example, out, e);
}

static int full_sample(const struct leat_connector *c, struct buf *out, struct err *e)
{
    const char *indent = c->kind == LEAT_SOURCE ? "  " : "    ";
    int rc = sample_open(c->kind, out, e);
    rc = rc ? rc
            : buf_printf(out, e, "%stype: %s%s%s\n", c->kind == LEAT_SOURCE ? indent : "  - ",
                         strcmp(c->type, "null") == 0 ? "\"" : "", c->type,
                         strcmp(c->type, "null") == 0 ? "\"" : "");
    for (size_t i = 0; i < c->option_count && rc == ERR_OK; i++) {
        const struct leat_option *o = &c->options[i];
        if (o->flags & LEAT_ACCEPTED)
            continue;
        if (pattern_is(o->name) || (!o->default_value && !o->example)) {
            rc = buf_printf(out, e, "%s# %s: ", indent, o->name);
            rc = rc           ? rc
                 : o->example ? buf_printf(out, e, "%s\n", o->example)
                              : buf_printf(out, e, "(%s)\n", type_name(o));
            continue;
        }
        rc = buf_printf(out, e, "%s%s: ", indent, o->name);
        rc = rc ? rc : sample_value(o, out, e);
        rc = rc ? rc : buf_u8(out, '\n', e);
    }
    return rc ? rc : buf_str(out, "```\n", e);
}

/* ---- references ---------------------------------------------------------------------------------------------------- */

static int aliases(const struct leat_connector *c, struct buf *out, struct err *e)
{
    if (!c->aliases || !c->aliases[0])
        return ERR_OK;
    int rc = buf_str(out, "\nIts `type` may also be the Kafka Connect class that it stands in for: ", e);
    for (size_t i = 0; c->aliases[i] && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s`%s`", i ? ", " : "", c->aliases[i]);
    return rc ? rc : buf_str(out, ".\n", e);
}

int config_docs_connector(const struct leat_connector *c, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "# The `%s` %s\n\n%s\n", c->type, c->kind == LEAT_SOURCE ? "source" : "sink",
                        c->summary ? c->summary : "");
    if (rc == ERR_OK && c->doc) {
        size_t len = strlen(c->doc);
        while (len && c->doc[len - 1] == '\n')
            len--;
        rc = buf_printf(out, e, "\n%.*s\n", (int)len, c->doc);
    }
    if (rc == ERR_OK)
        rc = buf_str(
            out,
            connector_exact_by_options(c)
                ? "\nExact: a crash neither loses nor repeats a record, unless options say otherwise; "
                  "`leat status` tells.\n"
            : c->exact ? "\nExact: a crash neither loses nor repeats a record.\n"
                       : "\nAt least once: after a crash records may come again.\n",
            e);
    rc = rc ? rc : aliases(c, out, e);
    if (rc == ERR_OK && c->example) {
        rc = buf_str(out, "\nThe least that is needed:\n\n", e);
        rc = rc ? rc : minimal_sample(c, out, e);
    }
    if (c->option_count == 0)
        return rc;
    rc =
        rc ? rc
           : buf_str(out, "\nEvery option, with its default or an example (some exclude each other):\n\n", e);
    rc = rc ? rc : full_sample(c, out, e);
    rc = rc ? rc : buf_str(out, "\n", e);
    return rc ? rc : config_docs_table(c->options, c->option_count, out, e);
}

static const char *setting_type(const struct topic_config_def *d)
{
    static const char *const names[] = {
        [TOPIC_CONFIG_INT] = "integer",   [TOPIC_CONFIG_LONG] = "integer", [TOPIC_CONFIG_BOOL] = "boolean",
        [TOPIC_CONFIG_CHOICE] = "choice", [TOPIC_CONFIG_LIST] = "list",    [TOPIC_CONFIG_DOUBLE] = "number",
        [TOPIC_CONFIG_REFUSED] = "fixed"};
    return names[d->type];
}

static int setting_values(const struct topic_config_def *d, struct buf *out, struct err *e)
{
    if (d->type == TOPIC_CONFIG_LIST) {
        int rc = buf_str(out, "one or more of ", e);
        return rc ? rc : code(out, d->choices, e);
    }
    if (d->type == TOPIC_CONFIG_CHOICE)
        return code(out, d->choices, e);
    if (d->type == TOPIC_CONFIG_REFUSED)
        return buf_str(out, "the default only", e);
    if (d->type == TOPIC_CONFIG_BOOL || d->min == INT64_MIN)
        return ERR_OK;
    return d->max == INT64_MAX ? buf_printf(out, e, "%" PRId64 " or more", d->min)
                               : buf_printf(out, e, "%" PRId64 " to %" PRId64, d->min, d->max);
}

static int setting_row(const struct topic_config_def *d, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "| `%s` | %s | ", d->name, setting_type(d));
    if (rc == ERR_OK && *d->default_value)
        rc = code(out, d->default_value, e);
    rc = rc ? rc : buf_str(out, " | ", e);
    rc = rc ? rc : setting_values(d, out, e);
    rc = rc ? rc : buf_str(out, " | ", e);
    if (rc == ERR_OK && d->hub && d->type != TOPIC_CONFIG_REFUSED)
        rc = code(out, d->hub, e);
    rc = rc ? rc : buf_str(out, " | ", e);
    rc = rc ? rc : cell(out, d->doc, e);
    return rc ? rc : buf_str(out, " |\n", e);
}

static int settings_table(struct buf *out, struct err *e)
{
    size_t n;
    const struct topic_config_def *defs = topic_config_defs(&n);
    int rc = buf_str(out,
                     "| setting | type | default | values | default for all topics, in `hub:` | what it does "
                     "|\n|---|---|---|---|---|---|\n",
                     e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = setting_row(&defs[i], out, e);
    return rc;
}

static int section(const char *title, const struct leat_option *(*table)(size_t *n), struct buf *out,
                   struct err *e)
{
    size_t n;
    const struct leat_option *rows = table(&n);
    int rc = buf_printf(out, e, "%s\n\n", title);
    rc = rc ? rc : config_docs_table(rows, n, out, e);
    return rc ? rc : buf_u8(out, '\n', e);
}

int config_docs_reference(struct buf *out, struct err *e)
{
    int rc = section("### `hub:`", hub_options, out, e);
    rc = rc ? rc
            : section("### A pipeline\n\nBesides these: `source:` and `sinks:`, see below.", pipeline_options,
                      out, e);
    rc = rc ? rc
            : section("### `topic:` as a mapping\n\nBesides these: `config:`, see below.", topic_options, out,
                      e);
    rc = rc ? rc
            : buf_str(
                  out,
                  "### `config:` of a topic\n\nKafka's topic settings. Those in ms and bytes may be written "
                  "with units (`7d`, `1GiB`).\n\n",
                  e);
    rc = rc ? rc : settings_table(out, e);
    rc = rc ? rc : buf_u8(out, '\n', e);
    return rc ? rc
              : section(
                    "### `source:` and the items of `sinks:`\n\nBesides these: the connector's own options, "
                    "see its page.",
                    connector_common_options, out, e);
}

/* ---- splicing ------------------------------------------------------------------------------------------------------ */

/* Where the line `<!-- <word>: <name> -->` begins and where the next one does. */
static bool find_line(const char *text, size_t n, const char *word, const char *name, size_t *start,
                      size_t *after)
{
    char line[160];
    snprintf(line, sizeof(line), "<!-- %s: %s -->\n", word, name);
    const char *at = memmem(text, n, line, strlen(line));
    bool found = at && (at == text || at[-1] == '\n');
    if (found) {
        *start = (size_t)(at - text);
        *after = *start + strlen(line);
    }
    return found;
}

int config_docs_splice(const char *text, size_t n, const char *name, const struct buf *generated,
                       struct buf *out, struct err *e)
{
    size_t open, after_open, close, after_close;
    if (!find_line(text, n, "generated", name, &open, &after_open) ||
        !find_line(text, n, "end", name, &close, &after_close) || close < after_open)
        return err_set(e, ERR_NOT_FOUND,
                       "the document has no lines <!-- generated: %s --> and <!-- end: %s -->", name, name);
    int rc = buf_append(out, text, after_open, e);
    rc = rc ? rc : buf_u8(out, '\n', e);
    rc = rc ? rc : buf_append(out, generated->data, generated->len, e);
    return rc ? rc : buf_append(out, text + close, n - close, e);
}
