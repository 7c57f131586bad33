/*
 * creation: topic.creation.* of a source: how topics are made that its records name, as Kafka Connect has it (KIP-158). The first
 * of topic.creation.groups that takes a topic decides, else the group default. Immutable once read.
 */
#include <string.h>

#include "base/mem.h"
#include "config/internal.h"
#include "config/regex.h"
#include "config/settings.h"

#define PREFIX "topic.creation."
#define DEFAULT "default"

struct topic_creation {
    struct creation_group *groups; /* the last is the default */
    struct regexes {
        struct regex **items;
        size_t n;
    } * include, *exclude; /* of each group */
    size_t count;
};

/* ---- finding ---------------------------------------------------------------------------------------------------------- */

static bool any_matches(const struct regexes *r, const char *topic)
{
    bool matches = false;
    for (size_t i = 0; i < r->n && !matches; i++)
        matches = regex_matches(r->items[i], topic);
    return matches;
}

const struct creation_group *creation_find(const struct topic_creation *c, const char *topic)
{
    size_t i = 0;
    while (i + 1 < c->count && (!any_matches(&c->include[i], topic) || any_matches(&c->exclude[i], topic)))
        i++;
    return &c->groups[i];
}

bool creation_equal(const struct topic_creation *a, const struct topic_creation *b,
                    const struct leat_config *x, const struct leat_config *y)
{
    if (!a || !b)
        return a == b;
    size_t i = 0, k = 0;
    const char *n1, *v1, *n2, *v2, *const *g1, *const *g2;
    bool more, other, same = options_list(x, PREFIX "groups", &g1) == options_list(y, PREFIX "groups", &g2);
    for (size_t g = 0; same && g + 1 < a->count; g++)
        same = strcmp(g1[g], g2[g]) == 0;
    do {
        more = options_next(x, &i, &n1, &v1);
        other = options_next(y, &k, &n2, &v2);
        same = same && more == other && (!more || (strcmp(n1, n2) == 0 && strcmp(v1, v2) == 0));
    } while (same && more);
    return same;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------- */

void creation_free(struct topic_creation *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->count; i++) {
        struct creation_group *g = &c->groups[i];
        for (size_t k = 0; k < g->config_count; k++) {
            mem_free((char *)(uintptr_t)g->config[k].name);
            mem_free((char *)(uintptr_t)g->config[k].value);
        }
        mem_free(g->config);
        mem_free(g->name);
        for (size_t k = 0; k < c->include[i].n; k++)
            regex_free(c->include[i].items[k]);
        for (size_t k = 0; k < c->exclude[i].n; k++)
            regex_free(c->exclude[i].items[k]);
        mem_free(c->include[i].items);
        mem_free(c->exclude[i].items);
    }
    mem_free(c->groups);
    mem_free(c->include);
    mem_free(c->exclude);
    mem_free(c);
}

static struct topic_creation *alloc(const char *const *names, size_t n, struct err *e)
{
    struct topic_creation *c = mem_calloc(1, sizeof(*c));
    if (c) {
        c->groups = mem_calloc(n + 1, sizeof(*c->groups));
        c->include = mem_calloc(n + 1, sizeof(*c->include));
        c->exclude = mem_calloc(n + 1, sizeof(*c->exclude));
    }
    bool good = c && c->groups && c->include && c->exclude;
    for (size_t i = 0; good && i <= n; i++) {
        c->count = i + 1;
        c->groups[i].partitions = -2;
        c->groups[i].name = mem_strdup(i < n ? names[i] : DEFAULT);
        good = c->groups[i].name != NULL;
    }
    if (good)
        return c;
    if (c && (!c->groups || !c->include || !c->exclude))
        c->count = 0;
    creation_free(c);
    err_nomem(e);
    return NULL;
}

/* The group that a key is for, and what comes behind it: "topic.creation.<group>.<rest>". */
static struct creation_group *group_of(struct topic_creation *c, const char *key, const char **rest)
{
    const char *name = key + strlen(PREFIX);
    size_t n = strcspn(name, ".");
    *rest = name + n + 1;
    for (size_t i = 0; i < c->count; i++)
        if (strlen(c->groups[i].name) == n && memcmp(c->groups[i].name, name, n) == 0)
            return &c->groups[i];
    return NULL;
}

/* One regular expression a list's item. */
static int add_regexes(struct mapping *m, const struct leat_config *o, const char *key, struct regexes *out,
                       struct err *e)
{
    const char *const *items;
    size_t n = options_list(o, key, &items);
    int rc = ERR_OK;
    out->items = mem_calloc(n + 1, sizeof(struct regex *));
    if (!out->items)
        return err_nomem(e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        struct err why;
        struct regex *r = regex_new(items[i], &why);
        if (r)
            out->items[out->n++] = r;
        else if (why.code == ERR_NO_MEMORY)
            rc = err_nomem(e);
        else
            rc = origin_report(&m->origin, options_mark(o, key), e, "\"%s\": \"%s\" %s", key, items[i],
                               why.text);
    }
    return rc;
}

static int add_setting(struct mapping *m, const struct leat_config *o, const char *key, const char *name,
                       const char *value, struct creation_group *g, struct err *e)
{
    size_t count;
    const struct topic_config_def *defs = topic_config_defs(&count), *known = NULL;
    char number[24];
    struct err why;
    for (size_t i = 0; i < count && !known; i++)
        known = strcmp(defs[i].name, name) == 0 ? &defs[i] : NULL;
    value = known ? setting_in_units(known, value, number) : value;
    if (topic_config_check(name, value, &why) != ERR_OK)
        return origin_report(&m->origin, options_mark(o, key), e, "\"%s\": %s", key, why.text);
    struct topic_config_entry *all = mem_realloc_array(g->config, g->config_count + 1, sizeof(*all));
    if (!all)
        return err_nomem(e);
    g->config = all;
    all[g->config_count] = (struct topic_config_entry){mem_strdup(name), mem_strdup(value)};
    bool good = all[g->config_count].name && all[g->config_count].value;
    g->config_count++;
    return good ? ERR_OK : err_nomem(e);
}

static int read_key(struct mapping *m, const struct leat_config *o, struct topic_creation *c, const char *key,
                    const char *value, struct err *e)
{
    const char *rest;
    struct creation_group *g = group_of(c, key, &rest);
    if (!g)
        return origin_report(&m->origin, options_mark(o, key), e,
                             "\"%s\": its group is not among \"" PREFIX "groups\"", key);
    size_t i = (size_t)(g - c->groups);
    bool include = strcmp(rest, "include") == 0, exclude = strcmp(rest, "exclude") == 0;
    if ((include || exclude) && i + 1 == c->count)
        return origin_report(&m->origin, options_mark(o, key), e,
                             "\"%s\": the group default takes whatever no other takes", key);
    if (include || exclude)
        return add_regexes(m, o, key, include ? &c->include[i] : &c->exclude[i], e);
    if (strcmp(rest, "replication.factor") == 0)
        return ERR_OK;
    if (strcmp(rest, "partitions") != 0)
        return add_setting(m, o, key, rest, value, g, e);
    g->partitions = (int32_t)options_int(o, key);
    return g->partitions != 0 ? ERR_OK
                              : origin_report(&m->origin, options_mark(o, key), e,
                                              "\"%s\": is neither -1 nor 1 or more", key);
}

/* Groups other than the default must say what they take; partitions come from the default where they say none. */
static int complete(struct mapping *m, const struct leat_config *o, struct topic_creation *c, struct err *e)
{
    int rc = ERR_OK;
    struct creation_group *last = &c->groups[c->count - 1];
    last->partitions = last->partitions == -2 ? -1 : last->partitions;
    for (size_t i = 0; i + 1 < c->count && rc == ERR_OK; i++) {
        if (c->groups[i].partitions == -2)
            c->groups[i].partitions = last->partitions;
        const char *why = strcmp(c->groups[i].name, DEFAULT) == 0 ? "the group default is always there"
                          : strchr(c->groups[i].name, '.')        ? "a group's name has no dot"
                                                                  : NULL;
        if (why)
            rc = origin_report(&m->origin, options_mark(o, PREFIX "groups"), e, "\"" PREFIX "groups\": %s",
                               why);
        else if (!c->include[i].items)
            rc = origin_report(&m->origin, options_mark(o, PREFIX "groups"), e,
                               "\"" PREFIX "%s.include\" is missing", c->groups[i].name);
    }
    return rc;
}

int creation_read(struct mapping *m, const struct leat_config *o, struct topic_creation **out, struct err *e)
{
    const char *const *names, *key, *value;
    size_t n = options_list(o, PREFIX "groups", &names), cursor = 0, given = n;
    *out = NULL;
    while (options_next(o, &cursor, &key, &value))
        given += strncmp(key, PREFIX, strlen(PREFIX)) == 0;
    if (given == 0)
        return ERR_OK;
    struct topic_creation *c = alloc(names, n, e);
    if (!c)
        return ERR_NO_MEMORY;
    int rc = ERR_OK;
    for (cursor = 0; rc == ERR_OK && options_next(o, &cursor, &key, &value);)
        if (strncmp(key, PREFIX, strlen(PREFIX)) == 0)
            rc = read_key(m, o, c, key, value, e);
    rc = rc ? rc : complete(m, o, c, e);
    if (rc) {
        creation_free(c);
        return rc;
    }
    *out = c;
    return ERR_OK;
}
