/*
 * pipeline: an item of `pipelines:`. Its topics, its settings, its source and sinks. One thread.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "config/docs.h"
#include "config/internal.h"
#include "config/settings.h"

void pipeline_config_free(struct pipeline_config *p)
{
    if (!p)
        return;
    connector_config_free(p->source);
    for (size_t i = 0; i < p->sink_count; i++)
        connector_config_free(p->sinks[i]);
    for (size_t i = 0; i < p->topic_count; i++)
        mem_free(p->topics[i]);
    for (size_t i = 0; i < p->topic_config_count; i++) {
        mem_free((char *)(uintptr_t)p->topic_config[i].name);
        mem_free((char *)(uintptr_t)p->topic_config[i].value);
    }
    regex_free(p->regex);
    mem_free(p->sinks);
    mem_free(p->topics);
    mem_free(p->topic_config);
    mem_free(p->name);
    mem_free(p->file);
    mem_free(p);
}

/* ---- topics --------------------------------------------------------------------------------------------------------- */

/* `raw` is what may be shown. The store's reason is shown only where it quotes what stands in the file. */
static int check_topic(struct mapping *m, const char *topic, bool hidden, bool written, struct mark at,
                       struct err *e)
{
    struct err reason;
    if (topic_name_check(topic, &reason))
        return hidden ? origin_report(&m->origin, at, e, "what was filled in is no topic name")
                      : origin_report(&m->origin, at, e, "%s", reason.text);
    if (written && (strncmp(topic, "__", 2) == 0 || strcmp(topic, "connect-offsets") == 0 ||
                    strcmp(topic, "connect-configs") == 0))
        return origin_report(&m->origin, at, e, "the topic \"%s\" is Leat's own; a source cannot write it",
                             hidden ? "***" : topic);
    return ERR_OK;
}

static int add_topic(struct mapping *m, struct pipeline_config *p, const char *topic, bool hidden,
                     struct mark at, struct err *e)
{
    for (size_t i = 0; i < p->topic_count; i++)
        if (strcmp(p->topics[i], topic) == 0) {
            const char *shown = hidden ? "***" : topic;
            return i == 0 && p->source
                       ? origin_report(&m->origin, at, e,
                                       "the sinks would read topic \"%s\" twice: it is the source's", shown)
                       : origin_report(&m->origin, at, e, "the sinks would read topic \"%s\" twice", shown);
        }
    int rc = check_topic(m, topic, hidden, p->topic_count == 0 && p->source, at, e);
    char **topics = rc ? NULL : mem_realloc_array(p->topics, p->topic_count + 1, sizeof(*topics));
    if (!topics)
        return rc ? rc : err_nomem(e);
    p->topics = topics;
    topics[p->topic_count] = mem_strdup(topic);
    if (!topics[p->topic_count])
        return err_nomem(e);
    p->topic_count++;
    return ERR_OK;
}

/* One setting below `config:`. */
static int add_setting(struct walk *w, struct mapping *m, struct entry *en, struct pipeline_config *p,
                       struct err *e)
{
    const char *value;
    bool hidden;
    int rc = entry_text(w, m, en, &value, &hidden, e);
    if (rc || !value)
        return rc;
    size_t count;
    const struct topic_config_def *defs = topic_config_defs(&count), *known = NULL;
    for (size_t i = 0; i < count && !known; i++)
        known = strcmp(defs[i].name, en->key) == 0 ? &defs[i] : NULL;
    char number[24];
    value = known ? setting_in_units(known, value, number) : value;
    struct err reason;
    if (topic_config_check(en->key, value, &reason))
        return hidden
                   ? origin_report(&m->origin, en->at, e, "\"%s\": what was filled in is not valid", en->key)
                   : origin_report(&m->origin, known ? en->at : en->key_at, e, "%s", reason.text);
    struct topic_config_entry *all =
        mem_realloc_array(p->topic_config, p->topic_config_count + 1, sizeof(*all));
    if (!all)
        return err_nomem(e);
    p->topic_config = all;
    struct topic_config_entry made = {mem_strdup(en->key), mem_strdup(value)};
    if (!made.name || !made.value) {
        mem_free((char *)(uintptr_t)made.name);
        mem_free((char *)(uintptr_t)made.value);
        return err_nomem(e);
    }
    all[p->topic_config_count++] = made;
    return ERR_OK;
}

static int read_settings(struct walk *w, struct mapping *topic, struct pipeline_config *p, struct err *e)
{
    struct entry *en = mapping_find(topic, "config");
    if (!en)
        return ERR_OK;
    en->skip = true;
    struct mapping m;
    const char *what = walk_printf(w, e, "%s: config", topic->origin.what);
    int rc = what ? mapping_read(w, topic->doc, en->value, en->at, what, &m, e) : ERR_NO_MEMORY;
    for (size_t i = 0; i < m.count && rc == ERR_OK; i++)
        rc = add_setting(w, &m, &m.items[i], p, e);
    return rc;
}

/* `topic:` as a mapping. */
static int read_topic(struct walk *w, struct mapping *pipeline, struct entry *en, struct pipeline_config *p,
                      struct err *e)
{
    static const char *const others[] = {"config", NULL};
    struct mapping m;
    struct table table;
    table.rows = topic_options(&table.n);
    struct input *inputs;
    size_t n;
    struct leat_config *options = NULL;
    const char *what = walk_printf(w, e, "%s: topic", pipeline->origin.what);
    int rc = what ? mapping_read(w, pipeline->doc, en->value, en->at, what, &m, e) : ERR_NO_MEMORY;
    rc = rc ? rc : read_settings(w, &m, p, e);
    rc = rc ? rc : section_inputs(w, &m, &table, 1, others, false, &inputs, &n, e);
    rc = rc ? rc : options_build(table.rows, table.n, inputs, n, &m.origin, &options, e);
    if (rc || !options)
        return rc;
    const char *name = options_str(options, "name");
    if (options_is_set(options, "partitions"))
        p->partitions = (int32_t)options_int(options, "partitions");
    if (name)
        rc = add_topic(&m, p, name, options_hidden(options, "name"), options_mark(options, "name"), e);
    else if (p->name)
        rc = add_topic(&m, p, p->name, false, m.origin.at, e);
    options_free(options);
    return rc;
}

/* The topic that the source writes first, then `topics:`. `own`: the pipeline's options; NULL if something was wrong. */
static int read_topics(struct walk *w, struct mapping *m, struct pipeline_config *p,
                       const struct leat_config *own, bool has_source, struct err *e)
{
    struct entry *topic = mapping_find(m, "topic"), *more = mapping_find(m, "topics");
    int rc = ERR_OK;
    if (topic && topic->value->type == YAML_MAPPING_NODE)
        rc = read_topic(w, m, topic, p, e);
    else if (own && topic)
        rc = add_topic(m, p, options_str(own, "topic"), options_hidden(own, "topic"), topic->at, e);
    else if (!topic && has_source && p->name)
        rc = add_topic(m, p, p->name, false, m->origin.at, e);
    if (rc || !own)
        return rc;
    const char *const *names;
    size_t n = options_list(own, "topics", &names);
    bool hidden = options_hidden(own, "topics");
    if (n > CONFIG_TOPICS_MAX)
        return origin_report(&m->origin, more->at, e, "\"topics\": more than %d", CONFIG_TOPICS_MAX);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct mark at = more->at;
        if (more->value->type == YAML_SEQUENCE_NODE)
            at = node_mark(yaml_document_get_node(m->doc, more->value->data.sequence.items.start[i]));
        rc = add_topic(m, p, names[i], hidden, at, e);
    }
    return rc;
}

static int read_regex(struct mapping *m, struct pipeline_config *p, const struct leat_config *own,
                      struct err *e)
{
    const char *text = options_str(own, "topics.regex");
    struct err why;
    if (!text)
        return ERR_OK;
    p->regex = regex_new(text, &why);
    if (p->regex)
        return ERR_OK;
    return why.code == ERR_NO_MEMORY ? err_nomem(e)
                                     : origin_report(&m->origin, options_mark(own, "topics.regex"), e,
                                                     "\"topics.regex\": %s", why.text);
}

/* ---- source and sinks ------------------------------------------------------------------------------------------------ */

static int read_sinks(struct walk *w, struct mapping *m, struct entry *en,
                      const struct connector_place *where, struct pipeline_config *p, struct err *e)
{
    yaml_node_t **nodes;
    size_t n;
    int rc = sequence_read(w, m, en, &nodes, &n, e);
    if (rc || n == 0)
        return rc;
    p->sinks = mem_calloc(n, sizeof(*p->sinks));
    if (!p->sinks)
        return err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK && w->visits <= CONFIG_VISITS_MAX; i++) {
        const struct connector_place place = {where->what, where->pipeline, i};
        rc = connector_read(w, m->doc, nodes[i], LEAT_SINK, &place, &p->sinks[p->sink_count], e);
        p->sink_count += rc == ERR_OK && p->sinks[p->sink_count];
    }
    return rc;
}

static int read_connectors(struct walk *w, struct mapping *m, struct pipeline_config *p, const char *claimed,
                           struct err *e)
{
    struct entry *source = mapping_find(m, "source"), *sinks = mapping_find(m, "sinks");
    const struct connector_place where = {m->origin.what, claimed, 0};
    int rc = source ? connector_read(w, m->doc, source->value, LEAT_SOURCE, &where, &p->source, e) : ERR_OK;
    if (rc == ERR_OK && sinks)
        rc = read_sinks(w, m, sinks, &where, p, e);
    return rc;
}

static bool has_items(struct mapping *m, const char *key)
{
    struct entry *en = mapping_find(m, key);
    return en && !node_is_null(en->value) &&
           !(en->value->type == YAML_SEQUENCE_NODE &&
             en->value->data.sequence.items.start == en->value->data.sequence.items.top);
}

static int check_purpose(struct mapping *m, struct err *e)
{
    if (mapping_find(m, "source"))
        return ERR_OK;
    if (!has_items(m, "sinks"))
        return origin_report(&m->origin, m->origin.at, e, "has neither \"source\" nor \"sinks\"");
    if (!mapping_find(m, "topic") && !has_items(m, "topics") && !has_items(m, "topics.regex"))
        return origin_report(&m->origin, m->origin.at, e,
                             "its sinks have nothing to read: neither \"source\" nor \"topics\"");
    return ERR_OK;
}

/* Which topics there will be is the source's business: the sinks must be told. */
static int check_own_topics(struct mapping *m, struct err *e)
{
    if (!has_items(m, "sinks") || has_items(m, "topics") || has_items(m, "topics.regex"))
        return ERR_OK;
    return origin_report(
        &m->origin, m->origin.at, e,
        "its source names its topics itself: \"topics.regex\" or \"topics\" must say which ones the "
        "sinks read");
}

/* ---- the pipeline ---------------------------------------------------------------------------------------------------- */

/* Notes the pipeline's name; `*unique` false if another has it. */
static int claim(struct walk *w, struct mapping *m, const char *name, struct mark at, bool *unique,
                 struct err *e)
{
    if (!w->pipelines && !(w->pipelines = map_new()))
        return err_nomem(e);
    const struct place *first = map_get(w->pipelines, name, strlen(name));
    *unique = !first;
    if (first)
        return origin_report(&m->origin, at, e, "a second pipeline of this name; the first is at %s:%d",
                             first->file, first->line);
    struct place *place = walk_alloc(w, sizeof(*place), e);
    if (!place)
        return ERR_NO_MEMORY;
    *place = (struct place){.file = w->file, .line = at.line};
    return map_put(w->pipelines, name, strlen(name), place, e);
}

/* `*claimed` is the name if connectors may be called after it. */
static int read_name(struct walk *w, struct mapping *m, struct pipeline_config *p, const char **claimed,
                     struct err *e)
{
    struct entry *en = mapping_find(m, "name");
    const char *name;
    *claimed = NULL;
    if (!en)
        return ERR_OK;
    if (en->value->type == YAML_SCALAR_NODE && !node_is_null(en->value)) {
        m->origin.what = walk_printf(w, e, "pipeline \"%s\"", en->value->data.scalar.value);
        if (!m->origin.what)
            return ERR_NO_MEMORY;
    }
    int rc = entry_text(w, m, en, &name, NULL, e);
    if (rc || !name)
        return rc;
    const char *why = name_problem(name);
    if (why)
        return origin_report(&m->origin, en->at, e, "its name %s", why);
    bool unique;
    rc = claim(w, m, name, en->at, &unique, e);
    p->name = rc ? NULL : mem_strdup(name);
    if (rc || !p->name)
        return rc ? rc : err_nomem(e);
    if (unique)
        *claimed = name;
    return ERR_OK;
}

/* Where the pipeline does not say it, it is the source's business. */
static int read_codec(struct pipeline_config *p, const struct leat_config *own, struct err *e)
{
    const char *name = options_str(own, "compression");
    bool alike = p->source && (connector_flags(p->source->connector) & LEAT_RECORDS_ALIKE);
    p->codec = alike ? CODEC_GZIP : CODEC_NONE;
    return !name || codec_parse(name, &p->codec)
               ? ERR_OK
               : err_set(e, ERR_INTERNAL, "compression %s is in the table only", name);
}

static int read_into(struct walk *w, struct mapping *m, struct pipeline_config *p, struct err *e)
{
    static const char *const others[] = {"source", "sinks", NULL};
    static const char *const apart[] = {"source", "sinks", "topic"};
    struct table table;
    table.rows = pipeline_options(&table.n);
    const char *claimed;
    int rc = read_name(w, m, p, &claimed, e);
    for (size_t i = 0; i < COUNT_OF(apart); i++) {
        struct entry *en = mapping_find(m, apart[i]);
        if (en)
            en->skip = i < 2 || en->value->type == YAML_MAPPING_NODE;
    }
    struct input *inputs;
    size_t n, before = w->problems->count;
    struct leat_config *own = NULL;
    rc = rc ? rc : section_inputs(w, m, &table, 1, others, false, &inputs, &n, e);
    bool keys_good = w->problems->count == before; /* else a misspelt key may be what is not there */
    rc = rc ? rc : options_build(table.rows, table.n, inputs, n, &m->origin, &own, e);
    if (rc == ERR_OK && keys_good)
        rc = check_purpose(m, e);
    rc = rc ? rc : read_connectors(w, m, p, claimed, e);
    rc = rc ? rc : read_topics(w, m, p, own, mapping_find(m, "source") != NULL, e);
    rc = rc || !own ? rc : read_regex(m, p, own, e);
    p->own_topics = p->source && (connector_flags(p->source->connector) & LEAT_NAMES_TOPICS);
    if (rc == ERR_OK && keys_good && p->own_topics)
        rc = check_own_topics(m, e);
    rc = rc || !own ? rc : read_codec(p, own, e);
    options_free(own);
    return rc;
}

static int append(struct config *c, struct pipeline_config *p, struct err *e)
{
    struct pipeline_config **all =
        mem_realloc_array(c->pipelines, c->pipeline_count + 1, sizeof(struct pipeline_config *));
    if (!all)
        return err_nomem(e);
    c->pipelines = all;
    all[c->pipeline_count++] = p;
    return ERR_OK;
}

static int read_pipeline(struct walk *w, yaml_document_t *doc, yaml_node_t *n, size_t index, struct err *e)
{
    size_t before = w->problems->count;
    struct mapping m;
    const char *what = walk_printf(w, e, "pipeline #%zu", index + 1);
    int rc = what ? mapping_read(w, doc, n, node_mark(n), what, &m, e) : ERR_NO_MEMORY;
    if (rc || (w->problems->count > before && n->type != YAML_MAPPING_NODE))
        return rc;
    struct pipeline_config *p = mem_calloc(1, sizeof(*p));
    if (!p)
        return err_nomem(e);
    p->partitions = -1;
    p->line = m.origin.at.line;
    p->file = mem_strdup(w->file);
    rc = p->file ? read_into(w, &m, p, e) : err_nomem(e);
    if (rc == ERR_OK && w->problems->count == before)
        rc = append(w->config, p, e);
    if (rc || w->problems->count > before)
        pipeline_config_free(p);
    return rc;
}

int pipelines_read(struct walk *w, yaml_document_t *doc, struct mapping *root, struct entry *en,
                   struct err *e)
{
    yaml_node_t **nodes;
    size_t n;
    int rc = sequence_read(w, root, en, &nodes, &n, e);
    for (size_t i = 0; i < n && rc == ERR_OK && w->visits <= CONFIG_VISITS_MAX; i++)
        rc = read_pipeline(w, doc, nodes[i], i, e);
    return rc;
}
