/*
 * connector: a `source:` mapping or an item of `sinks:`, checked against the common options and those of its connector,
 * which its `type` finds in the catalog. One thread.
 */
#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "config/docs.h"
#include "config/internal.h"

static const char *const no_others[] = {NULL};

const char *name_problem(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    if (!*name)
        return "is empty";
    if (strspn(name, allowed) != strlen(name))
        return "has other characters than letters, digits, dot, dash and underscore";
    if (strlen(name) > CONFIG_NAME_MAX)
        return "is longer than 100 characters";
    if (strchr("._-", name[0]))
        return "does not begin with a letter or digit";
    return NULL;
}

void connector_config_free(struct connector_config *c)
{
    if (!c)
        return;
    options_free(c->options);
    options_free(c->common);
    creation_free(c->creation);
    mem_free(c->name);
    mem_free(c->file);
    mem_free(c);
}

bool connector_exact_by_options(const struct leat_connector *c)
{
    return c->exact && c->struct_size >= offsetof(struct leat_connector, not_exact) + sizeof(c->not_exact) &&
           c->not_exact;
}

static bool has_flags(const struct leat_connector *c)
{
    return c->struct_size >= offsetof(struct leat_connector, flags) + sizeof(c->flags);
}

uint32_t connector_flags(const struct leat_connector *c)
{
    return has_flags(c) ? c->flags : 0;
}

int (*connector_durable(const struct leat_connector *c))(void *, uint64_t)
{
    return c->kind == LEAT_SOURCE && has_flags(c) ? c->source->durable : NULL;
}

/* ---- the type ------------------------------------------------------------------------------------------------------ */

static const char *kind_name(enum leat_kind kind)
{
    return kind == LEAT_SOURCE ? "source" : "sink";
}

/* The types of a kind and, with `aliases`, their other names. */
static int known_types(struct walk *w, enum leat_kind kind, bool aliases, const char ***names, size_t *n,
                       struct err *e)
{
    const struct leat_connector *c;
    size_t room = 1;
    for (size_t i = 0; (c = w->catalog->at(w->catalog->arg, i)); i++) {
        room++;
        for (size_t k = 0; c->aliases && c->aliases[k]; k++)
            room++;
    }
    *names = walk_alloc(w, room * sizeof(**names), e);
    if (!*names)
        return ERR_NO_MEMORY;
    *n = 0;
    for (size_t i = 0; (c = w->catalog->at(w->catalog->arg, i)); i++) {
        if (c->kind != kind)
            continue;
        (*names)[(*n)++] = c->type;
        for (size_t k = 0; aliases && c->aliases && c->aliases[k]; k++)
            (*names)[(*n)++] = c->aliases[k];
    }
    return ERR_OK;
}

static int report_type(struct walk *w, struct mapping *m, const struct entry *en, enum leat_kind kind,
                       const char *type, bool hidden, struct err *e)
{
    const char *kn = kind_name(kind), *other = kind_name(kind == LEAT_SOURCE ? LEAT_SINK : LEAT_SOURCE);
    if (hidden)
        return origin_report(&m->origin, en->at, e, "\"type\": what was filled in is not a known %s", kn);
    if (w->catalog->find(w->catalog->arg, kind == LEAT_SOURCE ? LEAT_SINK : LEAT_SOURCE, type))
        return origin_report(&m->origin, en->at, e, "\"%s\" is a %s, not a %s", type, other, kn);
    const char **names;
    size_t n;
    int rc = known_types(w, kind, true, &names, &n, e);
    if (rc)
        return rc;
    const char *near = config_nearest(type, names, n);
    if (near)
        return origin_report(&m->origin, en->at, e, "unknown %s type \"%s\"; did you mean \"%s\"?", kn, type,
                             near);
    rc = known_types(w, kind, false, &names, &n, e);
    struct buf list;
    buf_init(&list, CONFIG_FILE_MAX);
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = buf_printf(&list, e, "%s%s", i ? ", " : "", names[i]);
    rc = rc ? rc : buf_append(&list, "", 1, e);
    if (rc == ERR_OK)
        rc = origin_report(&m->origin, en->at, e, "unknown %s type \"%s\"; there %s%s", kn, type,
                           n ? "are: " : "is none", (const char *)list.data);
    buf_free(&list);
    return rc;
}

static int find_type(struct walk *w, struct mapping *m, enum leat_kind kind, const struct leat_connector **c,
                     struct err *e)
{
    const char *type;
    bool hidden;
    struct entry *en = mapping_find(m, "type");
    *c = NULL;
    if (!en)
        return ERR_OK;
    int rc = entry_text(w, m, en, &type, &hidden, e);
    if (rc || !type)
        return rc;
    *c = w->catalog->find(w->catalog->arg, kind, type);
    return *c ? ERR_OK : report_type(w, m, en, kind, type, hidden, e);
}

/* ---- names ---------------------------------------------------------------------------------------------------------- */

/* Notes a connector's name; a problem if another has it. `whose` says who this one is. */
static int claim(struct walk *w, struct mapping *m, const char *name, const char *whose, struct mark at,
                 struct err *e)
{
    if (!w->connectors && !(w->connectors = map_new()))
        return err_nomem(e);
    const struct place *first = map_get(w->connectors, name, strlen(name));
    if (first && strcmp(first->whose, whose) == 0)
        return origin_report(&m->origin, at, e, "a second sink of this name; the first is at %s:%d",
                             first->file, first->line);
    if (first)
        return origin_report(&m->origin, at, e, "is called \"%s\" in the hub, and so is %s at %s:%d", name,
                             first->whose, first->file, first->line);
    struct place *place = walk_alloc(w, sizeof(*place), e);
    if (!place)
        return ERR_NO_MEMORY;
    *place = (struct place){.file = w->file, .line = at.line, .whose = whose};
    return map_put(w->connectors, name, strlen(name), place, e);
}

/* What the messages call it and what it is called in the hub; `*name` NULL if that is not known or not allowed. */
static int name_it(struct walk *w, struct mapping *m, enum leat_kind kind,
                   const struct connector_place *where, const struct leat_connector *c, const char **name,
                   struct err *e)
{
    const char *own = c ? c->type : NULL;
    struct mark at = m->origin.at;
    struct entry *en = kind == LEAT_SINK ? mapping_find(m, "name") : NULL;
    *name = NULL;
    if (en && en->value->type == YAML_SCALAR_NODE && !node_is_null(en->value)) {
        at = en->at;
        m->origin.what = walk_printf(w, e, "%s: sink \"%s\"", where->what, en->value->data.scalar.value);
        int rc = m->origin.what ? entry_text(w, m, en, &own, NULL, e) : ERR_NO_MEMORY;
        if (rc || !own)
            return rc;
        const char *why = name_problem(own);
        if (why)
            return origin_report(&m->origin, at, e, "its name %s", why);
    } else if (kind == LEAT_SINK && own) {
        m->origin.what = walk_printf(w, e, "%s: sink \"%s\"", where->what, own);
    }
    if (!own || !where->pipeline)
        return m->origin.what ? ERR_OK : ERR_NO_MEMORY;
    *name = kind == LEAT_SOURCE ? where->pipeline : walk_printf(w, e, "%s-%s", where->pipeline, own);
    if (!*name || !m->origin.what)
        return ERR_NO_MEMORY;
    return claim(w, m, *name, m->origin.what, at, e);
}

/* ---- the whole ------------------------------------------------------------------------------------------------------ */

/* JsonConverter's own default is true, so whoever names it by its class expects that. */
static bool schemas_enabled(const struct connector_config *c, const char *converter, const char *option)
{
    if (!c->connector || !(connector_flags(c->connector) & LEAT_WRITES_SCHEMAS))
        return false;
    if (options_is_set(c->common, option))
        return options_bool(c->common, option);
    return options_is_set(c->common, converter) &&
           strcmp(options_str(c->common, converter), "org.apache.kafka.connect.json.JsonConverter") == 0;
}

static void fill_common(struct connector_config *c, enum leat_kind kind)
{
    const struct leat_config *o = c->common;
    c->tasks_max = (int)options_int(o, "tasks.max");
    c->key_converter = (enum converter)(options_int(o, "key.converter") % 3);
    c->value_converter = (enum converter)(options_int(o, "value.converter") % 3);
    c->key_schemas = schemas_enabled(c, "key.converter", "key.converter.schemas.enable");
    c->value_schemas = schemas_enabled(c, "value.converter", "value.converter.schemas.enable");
    c->paused = options_bool(o, "paused");
    c->retry_backoff_ms = options_int(o, "retry.backoff.ms");
    c->retry_backoff_max_ms = options_int(o, "retry.backoff.max.ms");
    c->retry_max = (int)options_int(o, "retries");
    if (kind == LEAT_SOURCE && options_int(o, "transaction.boundary") == 1) {
        c->gather_ms = options_int(o, "transaction.boundary.interval.ms");
        c->gather_bytes = (uint64_t)options_int(o, "transaction.boundary.bytes");
    }
}

static int check_schemas(struct mapping *m, const struct connector_config *c, struct err *e)
{
    static const char *const names[] = {"key.converter.schemas.enable", "value.converter.schemas.enable"};
    int rc = ERR_OK;
    if (!c->connector || (connector_flags(c->connector) & LEAT_WRITES_SCHEMAS))
        return ERR_OK;
    for (size_t i = 0; i < COUNT_OF(names) && rc == ERR_OK; i++)
        if (options_bool(c->common, names[i]))
            rc = origin_report(&m->origin, options_mark(c->common, names[i]), e,
                               "\"%s\" can only be false: JSON is without schemas here", names[i]);
    return rc;
}

static int check_common(struct mapping *m, const struct connector_config *c, struct err *e)
{
    int rc = check_schemas(m, c, e);
    if (rc)
        return rc;
    if (c->retry_backoff_ms <= c->retry_backoff_max_ms)
        return ERR_OK;
    const char *name =
        options_is_set(c->common, "retry.backoff.max.ms") ? "retry.backoff.max.ms" : "retry.backoff.ms";
    return origin_report(&m->origin, options_mark(c->common, name), e,
                         "\"retry.backoff.ms\" is more than \"retry.backoff.max.ms\"");
}

static int build(struct walk *w, struct mapping *m, enum leat_kind kind, struct connector_config *c,
                 struct err *e)
{
    static const struct leat_connector unknown = {0};
    struct table tables[2];
    const struct leat_connector *known = c->connector ? c->connector : &unknown;
    tables[0].rows = connector_options_of(kind, &tables[0].n);
    tables[1] = (struct table){known->options, known->option_count};
    struct input *inputs;
    size_t n;
    int rc = section_inputs(w, m, tables, 2, no_others, !c->connector, &inputs, &n, e);
    if (rc == ERR_OK)
        rc = options_build(tables[0].rows, tables[0].n, inputs, n, &m->origin, &c->common, e);
    if (rc == ERR_OK && c->connector)
        rc = options_build(tables[1].rows, tables[1].n, inputs, n, &m->origin, &c->options, e);
    if (rc || !c->common)
        return rc;
    fill_common(c, kind);
    if (kind == LEAT_SOURCE)
        rc = creation_read(m, c->common, &c->creation, e);
    return rc ? rc : check_common(m, c, e);
}

int connector_read(struct walk *w, yaml_document_t *doc, yaml_node_t *n, enum leat_kind kind,
                   const struct connector_place *where, struct connector_config **out, struct err *e)
{
    *out = NULL;
    size_t before = w->problems->count;
    struct mapping m;
    const char *what = kind == LEAT_SOURCE
                           ? walk_printf(w, e, "%s: source", where->what)
                           : walk_printf(w, e, "%s: sink #%zu", where->what, where->index + 1);
    int rc = what ? mapping_read(w, doc, n, node_mark(n), what, &m, e) : ERR_NO_MEMORY;
    if (rc || (n->type != YAML_MAPPING_NODE && w->problems->count > before))
        return rc;
    struct connector_config *c = mem_calloc(1, sizeof(*c));
    if (!c)
        return err_nomem(e);
    const char *name;
    rc = find_type(w, &m, kind, &c->connector, e);
    rc = rc ? rc : name_it(w, &m, kind, where, c->connector, &name, e);
    rc = rc ? rc : build(w, &m, kind, c, e);
    if (rc || w->problems->count > before) {
        connector_config_free(c);
        return rc;
    }
    c->line = m.origin.at.line;
    c->file = mem_strdup(w->file);
    c->name = mem_strdup(name ? name : "");
    if (!c->file || !c->name) {
        connector_config_free(c);
        return err_nomem(e);
    }
    *out = c;
    return ERR_OK;
}
