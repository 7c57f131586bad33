/*
 * config_change: what Kafka's operations on settings come to: set, delete, append, subtract (KIP-339), or all of them anew. Pure but for
 * the copies that it makes.
 */
#include <string.h>

#include "base/mem.h"
#include "broker/store.h"

void config_list_free(struct config_list *l)
{
    topic_config_free(l->list, l->n);
    *l = (struct config_list){0};
}

static const struct topic_config_def *def_of(const char *name, bool of_hub)
{
    struct err unused;
    return of_hub ? topic_config_of_hub(name) : topic_config_find(name, &unused);
}

static int push(struct config_list *out, const char *name, char *value, struct err *e)
{
    char *copy = mem_strdup(name);
    if (!copy) {
        mem_free(value);
        return err_nomem(e);
    }
    out->list[out->n++] = (struct topic_config_entry){copy, value};
    return ERR_OK;
}

/* The next item of a list, without blanks around it; false: there is none. */
static bool next_item(const char **at, const char **item, size_t *n)
{
    while (**at == ' ' || **at == ',')
        (*at)++;
    *item = *at;
    *n = strcspn(*at, ",");
    *at += *n;
    while (*n && (*item)[*n - 1] == ' ')
        (*n)--;
    return *n > 0;
}

static bool has_item(const char *list, const char *item, size_t n)
{
    const char *other;
    size_t m;
    while (next_item(&list, &other, &m))
        if (m == n && memcmp(item, other, n) == 0)
            return true;
    return false;
}

static void add_items(char *to, const char *list, const char *unless)
{
    const char *item;
    size_t n, len = strlen(to);
    while (next_item(&list, &item, &n)) {
        if (has_item(unless, item, n))
            continue;
        if (len)
            to[len++] = ',';
        memcpy(to + len, item, n);
        len += n;
        to[len] = '\0';
    }
}

/* A list with more items, or fewer; the caller's. */
static char *list_of(const char *now, const struct config_change *c, struct err *e)
{
    char *out = mem_calloc(1, strlen(now) + strlen(c->value) + 2);
    if (!out) {
        err_nomem(e);
        return NULL;
    }
    add_items(out, now, c->op == CONFIG_SUBTRACT ? c->value : "");
    if (c->op == CONFIG_APPEND)
        add_items(out, c->value, now);
    return out;
}

static char *value_of(const struct config_change *c, const struct topic_config_def *d,
                      const struct config_list *own, const struct topic_defaults *defaults, struct err *e)
{
    if (c->op == CONFIG_SET) {
        char *copy = mem_strdup(c->value);
        if (!copy)
            err_nomem(e);
        return copy;
    }
    if (!d || d->type != TOPIC_CONFIG_LIST) {
        err_set(e, ERR_INVALID_CONFIG, "Can't %s key %.100s because its type is not LIST.",
                c->op == CONFIG_APPEND ? "APPEND to" : "SUBTRACT from", c->name);
        return NULL;
    }
    const struct topic_config_entry *now = topic_config_entry_find(own->list, own->n, c->name);
    if (!now)
        now = topic_config_entry_find(defaults->list, defaults->n, d->name);
    return list_of(now ? now->value : d->default_value, c, e);
}

static int resolve_one(const struct config_change *c, bool of_hub, const struct config_list *own,
                       const struct topic_defaults *defaults, struct config_list *out, struct err *e)
{
    const struct topic_config_def *d = def_of(c->name, of_hub);
    if (c->op == CONFIG_DELETE)
        return topic_config_entry_find(own->list, own->n, c->name) ? push(out, c->name, NULL, e) : ERR_OK;
    if (!d && !of_hub)
        return topic_config_check(c->name, c->value, e);
    char *value = value_of(c, d, own, defaults, e);
    if (!value)
        return e->code;
    if (d && topic_config_check(d->name, value, e) != ERR_OK) {
        mem_free(value);
        e->code = of_hub ? ERR_INVALID : e->code; /* as a broker tells it of its own settings */
        return e->code;
    }
    return push(out, c->name, value, e);
}

static bool named(const struct config_change *changes, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(changes[i].name, name) == 0)
            return true;
    return false;
}

int config_changes_resolve(const struct config_change *changes, size_t n, bool replace, bool of_hub,
                           const struct config_list *own, const struct topic_defaults *defaults,
                           struct config_list *out, struct err *e)
{
    *out = (struct config_list){.list = mem_calloc(own->n + n + 1, sizeof *out->list)};
    int rc = out->list ? ERR_OK : err_nomem(e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = resolve_one(&changes[i], of_hub, own, defaults, out, e);
    for (size_t i = 0; !rc && replace && i < own->n; i++)
        if (!named(changes, n, own->list[i].name))
            rc = push(out, own->list[i].name, NULL, e);
    if (rc)
        config_list_free(out);
    return rc;
}
