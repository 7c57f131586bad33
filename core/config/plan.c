/*
 * plan: what changes between two configurations, as text for people: one line each, secrets as ***. Any thread.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "config/internal.h"

#define PREFIX_MAX 512 /* of a line: two names of at most 100 and words */

static const char *connector_label(const struct pipeline_config *p, const struct connector_config *c)
{
    return c->connector->kind == LEAT_SOURCE ? p->name : c->name + strlen(p->name) + 1;
}

/* "+ pipeline web: source file -> topic app-logs -> sinks archive (s3), local (file)" */
static int print_new(const struct pipeline_config *p, struct buf *out, struct err *e)
{
    int rc = buf_printf(out, e, "+ pipeline %s:", p->name);
    if (rc == ERR_OK && p->source)
        rc = buf_printf(out, e, " source %s ->", p->source->connector->type);
    rc = rc ? rc : buf_str(out, p->topic_count == 1 ? " topic " : " topics ", e);
    for (size_t i = 0; i < p->topic_count && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s%s", i ? ", " : "", p->topics[i]);
    if (rc == ERR_OK && p->regex)
        rc = buf_printf(out, e, "%s%s", p->topic_count ? ", " : "", regex_text(p->regex));
    if (rc == ERR_OK && p->sink_count)
        rc = buf_str(out, p->sink_count == 1 ? " -> sink " : " -> sinks ", e);
    for (size_t i = 0; i < p->sink_count && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s%s (%s)", i ? ", " : "", connector_label(p, p->sinks[i]),
                        p->sinks[i]->connector->type);
    return rc ? rc : buf_u8(out, '\n', e);
}

struct two {
    const struct connector_config *a, *b;
};

/* Rows whose texts may differ and still mean the same: the type and the converters by a class name. */
static bool spelling_only(const void *arg, const char *row)
{
    const struct two *c = arg;
    return strcmp(row, "type") == 0 || strcmp(row, "name") == 0 ||
           (strcmp(row, "key.converter") == 0 && c->a->key_converter == c->b->key_converter &&
            c->a->key_schemas == c->b->key_schemas) ||
           (strcmp(row, "value.converter") == 0 && c->a->value_converter == c->b->value_converter &&
            c->a->value_schemas == c->b->value_schemas);
}

/* `label`: "source" or "sink archive". */
static int diff_connector(const char *pipeline, const char *label, const struct connector_config *a,
                          const struct connector_config *b, struct buf *out, struct err *e)
{
    char prefix[PREFIX_MAX];
    const struct two both = {a, b};
    snprintf(prefix, sizeof(prefix), "~ pipeline %s: %s: ", pipeline, label);
    bool same = strcmp(a->connector->type, b->connector->type) == 0;
    int rc = same ? ERR_OK
                  : buf_printf(out, e, "%stype: %s -> %s\n", prefix, a->connector->type, b->connector->type);
    rc = rc ? rc : options_diff(a->common, b->common, prefix, spelling_only, &both, out, e);
    /* options of another type have other meanings: the type alone is said */
    return rc || !same ? rc : options_diff(a->options, b->options, prefix, NULL, NULL, out, e);
}

static int diff_source(const struct pipeline_config *a, const struct pipeline_config *b, struct buf *out,
                       struct err *e)
{
    if (a->source && b->source)
        return diff_connector(a->name, "source", a->source, b->source, out, e);
    if (b->source)
        return buf_printf(out, e, "+ pipeline %s: source (%s)\n", a->name, b->source->connector->type);
    return a->source ? buf_printf(out, e, "- pipeline %s: source (%s)\n", a->name, a->source->connector->type)
                     : ERR_OK;
}

static const struct connector_config *find_sink(const struct pipeline_config *p, const char *name)
{
    for (size_t i = 0; i < p->sink_count; i++)
        if (strcmp(p->sinks[i]->name, name) == 0)
            return p->sinks[i];
    return NULL;
}

static int diff_sinks(const struct pipeline_config *a, const struct pipeline_config *b, struct buf *out,
                      struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < a->sink_count && rc == ERR_OK; i++) {
        const struct connector_config *old = a->sinks[i], *new = find_sink(b, old->name);
        char label[PREFIX_MAX / 2];
        snprintf(label, sizeof(label), "sink %s", connector_label(a, old));
        rc = new ? diff_connector(a->name, label, old, new, out, e)
                 : buf_printf(out, e, "- pipeline %s: %s (%s)\n", a->name, label, old->connector->type);
    }
    for (size_t i = 0; i < b->sink_count && rc == ERR_OK; i++)
        if (!find_sink(a, b->sinks[i]->name))
            rc = buf_printf(out, e, "+ pipeline %s: sink %s (%s)\n", b->name, connector_label(b, b->sinks[i]),
                            b->sinks[i]->connector->type);
    return rc;
}

static const char *setting(const struct pipeline_config *p, const char *name)
{
    for (size_t i = 0; i < p->topic_config_count; i++)
        if (strcmp(p->topic_config[i].name, name) == 0)
            return p->topic_config[i].value;
    return NULL;
}

/* The one that `partitions` and settings are of. A pipeline that has only topics.regex now has none. */
static const char *topic_of(const struct pipeline_config *a, const struct pipeline_config *b)
{
    return b->topic_count ? b->topics[0] : a->topic_count ? a->topics[0] : b->name;
}

/* Settings of `b` against those of `a`; with `gone` only those that `b` no longer has. */
static int diff_settings(const struct pipeline_config *a, const struct pipeline_config *b, bool gone,
                         struct buf *out, struct err *e)
{
    const struct pipeline_config *over = gone ? a : b;
    int rc = ERR_OK;
    for (size_t i = 0; i < over->topic_config_count && rc == ERR_OK; i++) {
        const char *name = over->topic_config[i].name;
        const char *old = setting(a, name), *new = setting(b, name);
        if (gone ? new != NULL : old && strcmp(old, new) == 0)
            continue;
        rc = buf_printf(out, e, "~ pipeline %s: topic %s: %s: %s -> %s\n", b->name, topic_of(a, b), name,
                        old ? old : "(default)", new ? new : "(default)");
    }
    return rc;
}

static int print_topics(const struct pipeline_config *p, struct buf *out, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; i < p->topic_count && rc == ERR_OK; i++)
        rc = buf_printf(out, e, "%s%s", i ? ", " : "", p->topics[i]);
    return rc;
}

static const char *partitions_text(int32_t n, char out[16])
{
    snprintf(out, 16, n < 0 ? "(none)" : "%" PRId32, n);
    return out;
}

static int diff_topics(const struct pipeline_config *a, const struct pipeline_config *b, struct buf *out,
                       struct err *e)
{
    bool same = a->topic_count == b->topic_count;
    for (size_t i = 0; i < a->topic_count && same; i++)
        same = strcmp(a->topics[i], b->topics[i]) == 0;
    int rc = ERR_OK;
    if (!same) {
        rc = buf_printf(out, e, "~ pipeline %s: topics: ", a->name);
        rc = rc ? rc : print_topics(a, out, e);
        rc = rc ? rc : buf_str(out, " -> ", e);
        rc = rc ? rc : print_topics(b, out, e);
        rc = rc ? rc : buf_u8(out, '\n', e);
    }
    if (rc == ERR_OK && !regexes_equal(a->regex, b->regex))
        rc = buf_printf(out, e, "~ pipeline %s: topics.regex: %s -> %s\n", a->name,
                        a->regex ? regex_text(a->regex) : "(none)",
                        b->regex ? regex_text(b->regex) : "(none)");
    if (rc == ERR_OK && a->partitions != b->partitions) {
        char was[16], is[16];
        rc = buf_printf(out, e, "~ pipeline %s: topic %s: partitions: %s -> %s\n", a->name, topic_of(a, b),
                        partitions_text(a->partitions, was), partitions_text(b->partitions, is));
    }
    rc = rc ? rc : diff_settings(a, b, false, out, e);
    return rc ? rc : diff_settings(a, b, true, out, e);
}

static int diff_pipeline(const struct pipeline_config *a, const struct pipeline_config *b, struct buf *out,
                         struct err *e)
{
    int rc = diff_source(a, b, out, e);
    rc = rc ? rc : diff_topics(a, b, out, e);
    if (rc == ERR_OK && a->codec != b->codec)
        rc = buf_printf(out, e, "~ pipeline %s: compression: %s -> %s\n", a->name, codec_name(a->codec),
                        codec_name(b->codec));
    return rc ? rc : diff_sinks(a, b, out, e);
}

/* A running hub takes over nothing of it. */
static int diff_hub(const struct hub_config *a, const struct hub_config *b, struct buf *out, struct err *e)
{
    return a->options && b->options
               ? options_diff(a->options, b->options, "~ hub (from the next start on): ", NULL, NULL, out, e)
               : ERR_OK;
}

/* In place of what does not fit any more: whole lines, and a last one that says so. */
static int cut(struct buf *out, size_t from, struct err *e)
{
    static const char more[] = "...\n";
    while (out->len > from && (out->len + strlen(more) > out->max || out->data[out->len - 1] != '\n'))
        out->len--;
    return buf_str(out, more, e);
}

int config_plan(const struct config *from, const struct config *to, struct buf *out, struct err *e)
{
    static const struct config nothing = {0};
    const struct config *a = from ? from : &nothing;
    size_t before = out->len;
    int rc = diff_hub(&a->hub, &to->hub, out, e);
    /* both are sorted by name */
    for (size_t i = 0, k = 0; rc == ERR_OK && (i < a->pipeline_count || k < to->pipeline_count);) {
        const struct pipeline_config *old = i < a->pipeline_count ? a->pipelines[i] : NULL;
        const struct pipeline_config *new = k < to->pipeline_count ? to->pipelines[k] : NULL;
        int c = !old ? 1 : !new ? -1 : strcmp(old->name, new->name);
        if (c < 0)
            rc = buf_printf(out, e, "- pipeline %s\n", old->name);
        else if (c > 0)
            rc = print_new(new, out, e);
        else
            rc = diff_pipeline(old, new, out, e);
        i += c <= 0;
        k += c >= 0;
    }
    return rc == ERR_TOO_LARGE ? cut(out, before, e) : rc;
}
