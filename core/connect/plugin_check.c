/*
 * plugin_check: magic, versions and sizes first, as what follows them may only be read once they are right;
 * then every connector and every row of its option table. Any thread.
 */
#include "connect/plugin_check.h"

#include <string.h>

#include "config/config.h"

#define MAX_CONNECTORS 1024
#define MAX_OPTIONS 4096

static bool blank(const char *s)
{
    return s == NULL || *s == 0;
}

static bool has_control(const char *s)
{
    for (; *s != 0; s++) {
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    }
    return false;
}

static int check_frame(const struct leat_plugin *p, struct err *e)
{
    if (p->magic != LEAT_PLUGIN_MAGIC)
        return err_set(e, ERR_PLUGIN, "its symbol %s is no plugin descriptor: magic is 0x%08x, not 0x%08x",
                       LEAT_PLUGIN_SYMBOL, p->magic, LEAT_PLUGIN_MAGIC);
    if (p->abi_version != LEAT_ABI_VERSION)
        return err_set(e, ERR_PLUGIN,
                       "it was built for plugin ABI version %u, this is Leat %s with version %u",
                       p->abi_version, LEAT_VERSION, LEAT_ABI_VERSION);
    if (p->struct_size < sizeof(struct leat_plugin))
        return err_set(e, ERR_PLUGIN, "its descriptor has %u bytes, fewer than the %zu of ABI version %u",
                       p->struct_size, sizeof(struct leat_plugin), LEAT_ABI_VERSION);
    if (p->host_size > sizeof(struct leat_host))
        return err_set(
            e, ERR_PLUGIN,
            "it was built for a newer Leat (%s): its host table has %u bytes, the one of Leat %s %zu",
            blank(p->built_for) ? "unnamed" : p->built_for, p->host_size, LEAT_VERSION,
            sizeof(struct leat_host));
    if (blank(p->name) || blank(p->version) || blank(p->built_for))
        return err_set(e, ERR_PLUGIN, "its descriptor lacks name, version or built_for");
    if (has_control(p->name) || has_control(p->version) || has_control(p->built_for))
        return err_set(e, ERR_PLUGIN, "its name, version or built_for contains control characters");
    if (p->connectors == NULL || p->connector_count == 0)
        return err_set(e, ERR_PLUGIN, "it offers no connector");
    if (p->connector_count > MAX_CONNECTORS)
        return err_set(e, ERR_PLUGIN, "it claims to offer %zu connectors", p->connector_count);
    return ERR_OK;
}

/* Parses a text as the option's value, in a table with this one row. */
static int check_text(const struct leat_option *o, const char *what, const char *text, struct err *e)
{
    struct leat_option row = *o;
    row.flags &= ~LEAT_REQUIRED;
    row.default_value = NULL;
    struct option_text item = {o->name, text};
    struct problems problems;
    problems_init(&problems);
    err_clear(e);
    struct leat_config *c = options_new(&row, 1, &item, 1, &problems, e);
    bool parsed = c != NULL;
    options_free(c);
    if (!parsed && problems.count > 0)
        err_set(e, ERR_PLUGIN, "option %s: its %s '%s' does not fit: %s", o->name, what, text,
                problems.items[0].text);
    problems_free(&problems);
    if (!parsed && e->code == ERR_OK)
        return err_set(e, ERR_PLUGIN, "option %s: its %s '%s' does not fit", o->name, what, text);
    return parsed ? ERR_OK : e->code;
}

/* "a|b|c": no empty and no double choice. */
static bool choices_valid(const char *choices)
{
    for (const char *p = choices;;) {
        size_t n = strcspn(p, "|");
        if (n == 0)
            return false;
        for (const char *q = choices; q < p; q += strcspn(q, "|") + 1) {
            if (strcspn(q, "|") == n && memcmp(p, q, n) == 0)
                return false;
        }
        if (p[n] == 0)
            return true;
        p += n + 1;
    }
}

static bool numeric(enum leat_option_type type)
{
    return type == LEAT_INT || type == LEAT_DOUBLE || type == LEAT_DURATION || type == LEAT_SIZE;
}

/* Each * of a name stands for something, and so has no default; what comes before the first tells whose keys these are. */
static int check_pattern(const struct leat_option *o, struct err *e)
{
    if (o->name[0] == '*' || strstr(o->name, "**") != NULL)
        return err_set(e, ERR_PLUGIN, "option %s: a * may not come first, nor right behind another", o->name);
    if ((o->flags & LEAT_REQUIRED) || o->default_value != NULL)
        return err_set(e, ERR_PLUGIN, "option %s has a * in its name and is required or has a default",
                       o->name);
    return ERR_OK;
}

static int check_option(const struct leat_option *o, struct err *e)
{
    if (pattern_is(o->name) && check_pattern(o, e) != ERR_OK)
        return e->code;
    if ((unsigned)o->type > LEAT_CHOICE)
        return err_set(e, ERR_PLUGIN, "option %s has the unknown type %d", o->name, (int)o->type);
    if ((unsigned)o->importance > LEAT_LOW)
        return err_set(e, ERR_PLUGIN, "option %s has the unknown importance %d", o->name, (int)o->importance);
    const uint32_t paths = LEAT_READS_PATH | LEAT_WRITES_PATH | LEAT_WRITES_FILE;
    if (o->flags & ~(LEAT_REQUIRED | LEAT_SECRET | LEAT_ACCEPTED | paths))
        return err_set(e, ERR_PLUGIN, "option %s has unknown flags 0x%x", o->name, o->flags);
    if ((o->flags & LEAT_REQUIRED) && o->default_value != NULL)
        return err_set(e, ERR_PLUGIN, "option %s is required and has a default", o->name);
    if ((o->flags & LEAT_REQUIRED) && (o->flags & LEAT_ACCEPTED))
        return err_set(e, ERR_PLUGIN, "option %s is required and without effect", o->name);
    if ((o->flags & paths) && o->type != LEAT_STRING && o->type != LEAT_LIST)
        return err_set(e, ERR_PLUGIN, "option %s is marked as a path and is neither text nor a list",
                       o->name);
    if (blank(o->doc))
        return err_set(e, ERR_PLUGIN, "option %s has no doc", o->name);
    if (o->min > o->max)
        return err_set(e, ERR_PLUGIN, "option %s has a range of %lld to %lld", o->name, (long long)o->min,
                       (long long)o->max);
    if ((o->min != 0 || o->max != 0) && !numeric(o->type))
        return err_set(e, ERR_PLUGIN, "option %s has a range and is not a number", o->name);
    if (o->type == LEAT_CHOICE && (blank(o->choices) || !choices_valid(o->choices)))
        return err_set(e, ERR_PLUGIN, "option %s is a choice without proper choices ('%s')", o->name,
                       o->choices == NULL ? "" : o->choices);
    if (o->type != LEAT_CHOICE && o->choices != NULL)
        return err_set(e, ERR_PLUGIN, "option %s has choices and is not a choice", o->name);
    if (o->default_value != NULL && check_text(o, "default", o->default_value, e) != ERR_OK)
        return e->code;
    /* An example with a placeholder depends on the reader's environment. */
    bool checkable = o->example != NULL && strstr(o->example, "${") == NULL;
    return checkable ? check_text(o, "example", o->example, e) : ERR_OK;
}

static int check_options(const struct leat_connector *c, struct err *e)
{
    if (c->option_count > MAX_OPTIONS || (c->option_count > 0 && c->options == NULL))
        return err_set(e, ERR_PLUGIN, "it claims to have %zu options", c->option_count);
    size_t common_count;
    const struct leat_option *common = connector_common_options(&common_count);
    for (size_t i = 0; i < c->option_count; i++) {
        const struct leat_option *o = &c->options[i];
        if (blank(o->name) || has_control(o->name))
            return err_set(e, ERR_PLUGIN, "option %zu has no proper name", i + 1);
        for (size_t k = 0; k < i; k++) {
            if (strcmp(c->options[k].name, o->name) == 0)
                return err_set(e, ERR_PLUGIN, "two options have the name %s", o->name);
        }
        for (size_t k = 0; k < common_count; k++) {
            if (strcmp(common[k].name, o->name) == 0 || pattern_matches(common[k].name, o->name) ||
                pattern_matches(o->name, common[k].name))
                return err_set(e, ERR_PLUGIN, "option %s has a name that every connector has already",
                               o->name);
        }
        if (check_option(o, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

static int check_ops(const struct leat_connector *c, struct err *e)
{
    if (c->kind == LEAT_SOURCE) {
        if (c->source == NULL || c->sink != NULL)
            return err_set(e, ERR_PLUGIN, "a source needs source operations and no sink operations");
        if (c->source->open == NULL || c->source->poll == NULL || c->source->close == NULL)
            return err_set(e, ERR_PLUGIN, "its source operations lack open, poll or close");
        return ERR_OK;
    }
    if (c->sink == NULL || c->source != NULL)
        return err_set(e, ERR_PLUGIN, "a sink needs sink operations and no source operations");
    if (c->sink->open == NULL || c->sink->put == NULL || c->sink->flush == NULL || c->sink->close == NULL)
        return err_set(e, ERR_PLUGIN, "its sink operations lack open, put, flush or close");
    return ERR_OK;
}

static int check_connector(const struct leat_connector *c, struct err *e)
{
    size_t least = offsetof(struct leat_connector, not_exact); /* what came later may be missing */
    if (c->struct_size < least)
        return err_set(e, ERR_PLUGIN, "its descriptor has %u bytes, fewer than the %zu of ABI version %u",
                       c->struct_size, least, LEAT_ABI_VERSION);
    if (c->kind != LEAT_SOURCE && c->kind != LEAT_SINK)
        return err_set(e, ERR_PLUGIN, "it is neither a source nor a sink but %d", (int)c->kind);
    if (blank(c->type) || has_control(c->type) || strpbrk(c->type, " /:#") != NULL)
        return err_set(e, ERR_PLUGIN, "it has no proper type");
    if (blank(c->summary) || has_control(c->summary))
        return err_set(e, ERR_PLUGIN, "it has no summary of one line");
    for (size_t i = 0; c->aliases != NULL && c->aliases[i] != NULL; i++) {
        if (blank(c->aliases[i]) || i >= MAX_CONNECTORS)
            return err_set(e, ERR_PLUGIN, "its list of aliases is not proper");
    }
    if (connector_flags(c) &
        ~(LEAT_WRITES_SCHEMAS | LEAT_TAKES_SIGNALS | LEAT_NAMES_TOPICS | LEAT_RECORDS_ALIKE))
        return err_set(e, ERR_PLUGIN, "it has unknown flags 0x%x", connector_flags(c));
    if (check_ops(c, e) != ERR_OK)
        return e->code;
    return check_options(c, e);
}

int plugin_check(const struct leat_plugin *p, struct err *e)
{
    if (check_frame(p, e) != ERR_OK)
        return e->code;
    for (size_t i = 0; i < p->connector_count; i++) {
        const struct leat_connector *c = p->connectors[i];
        if (c == NULL)
            return err_set(e, ERR_PLUGIN, "connector %zu is NULL", i + 1);
        if (check_connector(c, e) != ERR_OK) {
            bool named =
                e->code == ERR_PLUGIN && !blank(c->type) && !has_control(c->type) && strlen(c->type) < 64;
            return named ? err_wrap(e, "connector %s", c->type) : err_wrap(e, "connector %zu", i + 1);
        }
    }
    return ERR_OK;
}
