/*
 * cdc_transforms: see cdc_transforms.h. RegexRouter is here; ExtractNewRecordState in cdc_unwrap.c, EventRouter in
 * cdc_outbox.c.
 */
#include "kit/cdc/cdc_transforms.h"

#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "kit/cdc/cdc_outbox.h"
#include "kit/cdc/cdc_unwrap.h"

/* The part of `name` behind "<prefix><alias>.", or NULL. */
static const char *option_of(const char *name, const char *prefix, const char *alias)
{
    size_t n = strlen(alias), before = strlen(prefix);
    if (strncmp(name, prefix, before) != 0 || strncmp(name + before, alias, n) != 0 ||
        name[before + n] != '.')
        return NULL;
    return name + before + n + 1;
}

/* All that was given, while it is read. */
struct given {
    struct cdc_aliases transforms, predicates;
    const struct cdc_named *named;
    size_t n;
};

static const char *value_of(const struct given *g, const char *prefix, const char *alias, const char *option)
{
    for (size_t i = 0; i < g->n; i++) {
        const char *of = option_of(g->named[i].name, prefix, alias);
        if (of && strcmp(of, option) == 0)
            return g->named[i].value;
    }
    return NULL;
}

/* ---- predicates ------------------------------------------------------------------------------------------------------------- */

#define TOPIC_NAME_MATCHES "org.apache.kafka.connect.transforms.predicates.TopicNameMatches"

static bool holds(const struct cdc_when *w, const char *topic)
{
    return !w->pattern || cdc_regex_matches(w->pattern, topic) != w->negate;
}

static bool lists(struct cdc_aliases of, const char *alias)
{
    for (size_t i = 0; i < of.count; i++)
        if (strcmp(of.items[i], alias) == 0)
            return true;
    return false;
}

/* transforms.<alias>.predicate and negate. */
static int read_when(const struct given *g, const char *alias, struct cdc_when *out, struct err *e)
{
    const char *predicate = value_of(g, "transforms.", alias, "predicate");
    const char *negate = value_of(g, "transforms.", alias, "negate");
    *out = (struct cdc_when){0};
    if (negate && strcasecmp(negate, "true") != 0 && strcasecmp(negate, "false") != 0)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.negate: \"%s\" is neither true nor false", alias,
                       negate);
    if (!predicate && negate)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.negate: there is no predicate", alias);
    if (!predicate)
        return ERR_OK;
    if (!lists(g->predicates, predicate))
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.predicate: predicates does not list %s", alias,
                       predicate);
    const char *type = value_of(g, "predicates.", predicate, "type");
    const char *pattern = value_of(g, "predicates.", predicate, "pattern");
    if (!type || strcmp(type, TOPIC_NAME_MATCHES) != 0)
        return err_set(e, ERR_INVALID_CONFIG, "predicates.%s.type: the predicate %s is not there, only %s",
                       predicate, type ? type : "without type", TOPIC_NAME_MATCHES);
    if (!pattern)
        return err_set(e, ERR_INVALID_CONFIG, "predicates.%s.pattern: TopicNameMatches needs it", predicate);
    char *name = mem_printf("predicates.%s.pattern", predicate);
    int rc = name ? cdc_regex_new(name, pattern, strlen(pattern), false, &out->pattern, e) : err_nomem(e);
    mem_free(name);
    out->negate = negate && strcasecmp(negate, "true") == 0;
    return rc;
}

static struct cdc_when take_when(const struct cdc_transform *t)
{
    struct cdc_when when = *t->when;
    *t->when = (struct cdc_when){0};
    return when;
}

struct cdc_stage cdc_transform_stage(const struct cdc_transform *t, const struct cdc_config *c)
{
    return (struct cdc_stage){.order = t->order, .routes = c->route_count, .when = take_when(t)};
}

/* ---- RegexRouter ---------------------------------------------------------------------------------------------------------- */

static int read_router(const struct cdc_transform *t, struct cdc_config *out, struct err *e)
{
    struct cdc_route *routes = mem_realloc_array(out->routes, out->route_count + 1, sizeof(*routes));
    if (!routes)
        return err_nomem(e);
    out->routes = routes;
    struct cdc_route *r = &routes[out->route_count++];
    *r = (struct cdc_route){.when = take_when(t)};
    const char *regex = NULL, *replacement = NULL;
    for (size_t i = 0; i < t->count; i++) {
        if (strcmp(t->options[i].name, "regex") == 0)
            regex = t->options[i].value;
        else if (strcmp(t->options[i].name, "replacement") == 0)
            replacement = t->options[i].value;
        else
            return cdc_transform_unknown(t, t->options[i].name, e);
    }
    if (!regex || !replacement)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.%s: RegexRouter needs it", t->alias,
                       regex ? "replacement" : "regex");
    char *name = mem_printf("transforms.%s.regex", t->alias);
    r->replacement = mem_strdup(replacement);
    int rc = name && r->replacement ? cdc_regex_new(name, regex, strlen(regex), false, &r->regex, e)
                                    : err_nomem(e);
    mem_free(name);
    return rc;
}

int cdc_route(const struct cdc_config *c, size_t first, size_t last, const char *topic, char **out,
              struct err *e)
{
    char *name = mem_strdup(topic);
    if (!name)
        return err_nomem(e);
    for (size_t i = first; i < last; i++) {
        char *routed;
        if (!holds(&c->routes[i].when, name))
            continue;
        int rc = cdc_regex_replace(c->routes[i].regex, name, c->routes[i].replacement, &routed, e);
        if (rc) {
            mem_free(name);
            return rc;
        }
        if (routed) {
            mem_free(name);
            name = routed;
        }
    }
    *out = name;
    return ERR_OK;
}

/* As Kafka has it: 1 to 249 of [A-Za-z0-9._-], not all dots of one or two. */
static bool topic_fits(const char *name)
{
    size_t n = strlen(name);
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
    return n > 0 && n <= 249 && strspn(name, allowed) == n && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

int cdc_route_record(struct cdc *c, const char *topic, size_t first, struct cdc_pending *r, struct err *e)
{
    char *name;
    if (cdc_route(&c->config, first, c->config.route_count, topic, &name, e) != ERR_OK)
        return e->code;
    r->topic = NULL;
    r->topic_at = c->batch.bytes.len;
    int rc = topic_fits(name) ? cdc_put(&c->batch.bytes, name, strlen(name) + 1, e)
                              : err_set(e, ERR_INVALID_RECORD, "\"%s\" cannot be a topic's name", name);
    mem_free(name);
    return rc;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------- */

int cdc_transform_items(const char *text, int (*each)(void *arg, char *item, struct err *e), void *arg,
                        struct err *e)
{
    char *copy = mem_strdup(text), *rest = copy;
    int rc = copy ? ERR_OK : err_nomem(e);
    while (rc == ERR_OK && rest) {
        char *item = strsep(&rest, ",");
        item += strspn(item, " \t");
        item[strcspn(item, " \t")] = '\0';
        if (*item)
            rc = each(arg, item, e);
    }
    mem_free(copy);
    return rc;
}

int cdc_transform_unknown(const struct cdc_transform *t, const char *option, struct err *e)
{
    return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.%s: %s has no such option", t->alias, option,
                   t->type);
}

static const struct {
    const char *type;
    int (*read)(const struct cdc_transform *t, struct cdc_config *out, struct err *e);
} kinds[] = {
    {"org.apache.kafka.connect.transforms.RegexRouter", read_router},
    {"io.debezium.transforms.ExtractNewRecordState", cdc_unwrap_read},
    {"io.debezium.transforms.outbox.EventRouter", cdc_outbox_read},
};

static int read_one(const struct cdc_transform *t, struct cdc_config *out, struct err *e)
{
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
        if (strcmp(kinds[i].type, t->type) == 0)
            return kinds[i].read(t, out, e);
    return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.type: the transform %s is not there", t->alias,
                   t->type);
}

/* Options that every transform has. */
static bool common(const char *option)
{
    return strcmp(option, "type") == 0 || strcmp(option, "predicate") == 0 || strcmp(option, "negate") == 0;
}

static int collect(const struct given *g, size_t order, struct cdc_config *out, struct err *e)
{
    struct cdc_when when;
    struct cdc_transform t = {.alias = g->transforms.items[order], .order = order, .when = &when};
    t.type = value_of(g, "transforms.", t.alias, "type");
    if (!t.type)
        return err_set(e, ERR_INVALID_CONFIG, "transforms.%s.type: must be given, as transforms names %s",
                       t.alias, t.alias);
    struct cdc_named *options = mem_calloc(g->n ? g->n : 1, sizeof(*options));
    if (!options)
        return err_nomem(e);
    for (size_t i = 0; i < g->n; i++) {
        const char *of = option_of(g->named[i].name, "transforms.", t.alias);
        if (of && !common(of))
            options[t.count++] = (struct cdc_named){of, g->named[i].value};
    }
    t.options = options;
    int rc = read_when(g, t.alias, &when, e);
    rc = rc ? rc : read_one(&t, out, e);
    cdc_regex_free(when.pattern); /* what nobody took over */
    mem_free(options);
    return rc;
}

/* Every option is of a name that is listed; of predicates it is one that they have. */
static int check_aliases(const struct given *g, struct err *e)
{
    for (size_t i = 0; i < g->n; i++) {
        const char *name = g->named[i].name;
        bool transform = strncmp(name, "transforms.", strlen("transforms.")) == 0;
        struct cdc_aliases of = transform ? g->transforms : g->predicates;
        const char *prefix = transform ? "transforms." : "predicates.", *option = NULL;
        for (size_t k = 0; !option && k < of.count; k++)
            option = option_of(name, prefix, of.items[k]);
        if (!option)
            return err_set(e, ERR_INVALID_CONFIG, "%s: %.10s does not list its name", name, prefix);
        if (!transform && strcmp(option, "type") != 0 && strcmp(option, "pattern") != 0)
            return err_set(e, ERR_INVALID_CONFIG, "%s: predicates have no such option", name);
    }
    return ERR_OK;
}

int cdc_transforms_read(struct cdc_aliases transforms, struct cdc_aliases predicates,
                        const struct cdc_named *named, size_t n, struct cdc_config *out, struct err *e)
{
    struct given g = {transforms, predicates, named, n};
    int rc = check_aliases(&g, e);
    for (size_t i = 0; rc == ERR_OK && i < transforms.count; i++)
        rc = collect(&g, i, out, e);
    return rc;
}

void cdc_transforms_free(struct cdc_config *c)
{
    for (size_t i = 0; i < c->route_count; i++) {
        cdc_regex_free(c->routes[i].regex);
        cdc_regex_free(c->routes[i].when.pattern);
        mem_free(c->routes[i].replacement);
    }
    mem_free(c->routes);
    cdc_unwrap_free(c->unwrap);
    cdc_outbox_free(c->outbox);
    cdc_regex_free(c->unwrap_stage.when.pattern);
    cdc_regex_free(c->outbox_stage.when.pattern);
}

/* ---- tables ----------------------------------------------------------------------------------------------------------------- */

/* Whether the stage takes the table's events, by the name that their topic has there. */
static int applies(const struct cdc_table *t, bool there, const struct cdc_stage *s, bool *out, struct err *e)
{
    char *name;
    *out = false;
    if (!there)
        return ERR_OK;
    int rc = cdc_route(&t->cdc->config, 0, s->routes, t->topic, &name, e);
    if (rc == ERR_OK) {
        *out = holds(&s->when, name);
        mem_free(name);
    }
    return rc;
}

int cdc_transforms_compile(struct cdc_table *t, struct err *e)
{
    const struct cdc_config *f = &t->cdc->config;
    bool unwrap, outbox;
    int rc = applies(t, f->unwrap, &f->unwrap_stage, &unwrap, e);
    rc = rc ? rc : applies(t, f->outbox, &f->outbox_stage, &outbox, e);
    if (rc)
        return rc;
    /* What one of them has made is no envelope any more, which the other would pass on. Signals are no outbox. */
    outbox = outbox && !cdc_is_signal_table(t->cdc, t->spec.schema, t->spec.table) &&
             (!unwrap || f->outbox_stage.order < f->unwrap_stage.order);
    if (outbox)
        return cdc_outbox_compile(t, e);
    return unwrap ? cdc_unwrap_compile(t, e) : ERR_OK;
}

void cdc_transforms_table_free(struct cdc_table *t)
{
    cdc_unwrapped_free(t->unwrapped);
    cdc_routed_free(t->routed);
}

int cdc_transforms_event(struct cdc *c, const struct cdc_event *ev, struct err *e)
{
    return ev->table->unwrapped ? cdc_unwrap_event(c, ev, e) : cdc_outbox_event(c, ev, e);
}
