/*
 * topic_settings: from the text of settings to what the store works by: a topic's own, else the hub's default of it, else
 * Kafka's. Pure functions but for the copies that they make.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "broker/store.h"

/* Index in "a,b" of the `n` bytes at `value`; -1: not one of them. */
static int choice_index(const char *choices, const char *value, size_t n)
{
    int i = 0;
    for (const char *c = choices;; i++) {
        size_t len = strcspn(c, ",");
        if (len == n && memcmp(c, value, n) == 0)
            return i;
        if (!c[len])
            return -1;
        c += len + 1;
    }
}

static int parse_number(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    char *end;
    errno = 0;
    long long v = strtoll(value, &end, 10);
    if (errno || end == value || *end || (*value != '-' && (*value < '0' || *value > '9')))
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not a number in range", d->name, value);
    if (v < d->min || v > d->max)
        return err_set(e, ERR_INVALID_CONFIG, "%s: %lld is not between %lld and %lld", d->name, v,
                       (long long)d->min, (long long)d->max);
    if (d->into == TOPIC_CONFIG_INTO_I32_NOT_0 && v == 0)
        return err_set(e, ERR_INVALID_CONFIG, "%s: 0 is not possible", d->name);
    if (d->into == TOPIC_CONFIG_INTO_RATE && v != -1 && v < QUOTA_RATE_MIN)
        return err_set(e, ERR_INVALID_CONFIG, "%s: %lld is neither -1 nor at least %d", d->name, v,
                       QUOTA_RATE_MIN);
    *out = v;
    return ERR_OK;
}

static int parse_choice(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    *out = choice_index(d->choices, value, strlen(value));
    if (*out >= 0)
        return ERR_OK;
    return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not one of %s", d->name, value, d->choices);
}

/* A bit for each choice that is in the list, which may be empty. */
static int parse_list(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    *out = 0;
    if (!*value)
        return ERR_OK;
    for (const char *c = value;; c++) {
        c += strspn(c, " ");
        size_t n = strcspn(c, ","), trimmed = n;
        while (trimmed && c[trimmed - 1] == ' ')
            trimmed--;
        int i = choice_index(d->choices, c, trimmed);
        if (i < 0 || *out & 1 << i)
            return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is no list of %s, each at most once", d->name,
                           value, d->choices);
        *out |= 1 << i;
        c += n;
        if (!*c)
            return ERR_OK;
    }
}

/* *out has the bits of the double. */
static int parse_double(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    char *end;
    errno = 0;
    double v = strtod(value, &end);
    if (errno || end == value || *end || *value == ' ')
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not a number", d->name, value);
    if (!(v >= (double)d->min && v <= (double)d->max))
        return err_set(e, ERR_INVALID_CONFIG, "%s: %s is not between %lld and %lld", d->name, value,
                       (long long)d->min, (long long)d->max);
    memcpy(out, &v, sizeof v);
    return ERR_OK;
}

static int parse_value(const struct topic_config_def *d, const char *value, int64_t *out, struct err *e)
{
    switch (d->type) {
    case TOPIC_CONFIG_BOOL:
        *out = strcasecmp(value, "true") == 0;
        if (!*out && strcasecmp(value, "false") != 0)
            return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is neither true nor false", d->name, value);
        return ERR_OK;
    case TOPIC_CONFIG_CHOICE:
        return parse_choice(d, value, out, e);
    case TOPIC_CONFIG_LIST:
        return parse_list(d, value, out, e);
    case TOPIC_CONFIG_DOUBLE:
        return parse_double(d, value, out, e);
    case TOPIC_CONFIG_REFUSED:
        if (strcmp(value, d->default_value) == 0)
            return ERR_OK;
        return err_set(e, ERR_INVALID_CONFIG, "%s: \"%s\" is not possible: %s", d->name, value, d->refused);
    default:
        return parse_number(d, value, out, e);
    }
}

static void store_value(struct topic_settings *s, const struct topic_config_def *d, int64_t v)
{
    void *at = (char *)s + d->offset;
    switch ((enum topic_config_into)d->into) {
    case TOPIC_CONFIG_INTO_NOTHING:
        break;
    case TOPIC_CONFIG_INTO_I64:
    case TOPIC_CONFIG_INTO_RATE:
        *(int64_t *)at = v;
        break;
    case TOPIC_CONFIG_INTO_I32:
    case TOPIC_CONFIG_INTO_I32_NOT_0:
        *(int32_t *)at = (int32_t)v;
        break;
    case TOPIC_CONFIG_INTO_BOOL:
        *(bool *)at = v != 0;
        break;
    case TOPIC_CONFIG_INTO_IS_SECOND_CHOICE:
        *(bool *)at = v == 1;
        break;
    case TOPIC_CONFIG_INTO_IS_FIRST_CHOICE:
        *(bool *)at = v == 0;
        break;
    case TOPIC_CONFIG_INTO_DOUBLE:
        memcpy(at, &v, sizeof(double));
        break;
    case TOPIC_CONFIG_INTO_CLEANUP:
        ((struct log_config *)at)->cleanup_delete = v & 1;
        ((struct log_config *)at)->cleanup_compact = v & 2;
        break;
    case TOPIC_CONFIG_INTO_CODEC:
        *(enum codec *)at = (enum codec)v;
        break;
    }
}

int topic_config_check(const char *name, const char *value, struct err *e)
{
    int64_t v;
    const struct topic_config_def *d = topic_config_find(name, e);
    return d ? parse_value(d, value, &v, e) : e->code;
}

static int apply(struct topic_settings *s, const struct topic_config_entry *entries, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        int64_t v = 0;
        const struct topic_config_def *d = topic_config_find(entries[i].name, e);
        int rc = d ? parse_value(d, entries[i].value, &v, e) : e->code;
        if (rc)
            return rc;
        store_value(s, d, v);
    }
    return ERR_OK;
}

static int check_together(const struct topic_settings *s, struct err *e)
{
    if (s->log.min_compaction_lag_ms <= s->log.max_compaction_lag_ms)
        return ERR_OK;
    return err_set(e, ERR_INVALID_CONFIG,
                   "min.compaction.lag.ms %lld is larger than max.compaction.lag.ms %lld",
                   (long long)s->log.min_compaction_lag_ms, (long long)s->log.max_compaction_lag_ms);
}

int topic_settings_make(const struct topic_defaults *defaults, const struct topic_config_entry *config,
                        size_t n, bool internal, struct topic_settings **out, struct err *e)
{
    struct topic_settings *s = mem_calloc(1, sizeof *s);
    size_t count;
    const struct topic_config_def *defs = topic_config_defs(&count);
    int rc = ERR_OK;
    if (!s)
        return err_nomem(e);
    s->log = log_config_default();
    for (size_t i = 0; !rc && i < count; i++) {
        const struct topic_config_entry entry = {defs[i].name, defs[i].default_value};
        rc = apply(s, &entry, 1, e);
    }
    if (!rc && defaults && !internal)
        rc = apply(s, defaults->list, defaults->n, e);
    if (!rc)
        rc = apply(s, config, n, e);
    if (!rc)
        rc = check_together(s, e);
    if (rc)
        mem_free(s);
    else
        *out = s;
    return rc;
}

/* ---- describing ------------------------------------------------------------------------------------------------- */

/* The last word counts. */
const struct topic_config_entry *topic_config_entry_find(const struct topic_config_entry *list, size_t n,
                                                         const char *name)
{
    while (n > 0)
        if (strcmp(list[--n].name, name) == 0)
            return &list[n];
    return NULL;
}

const char *topic_setting_of_hub(const struct topic_setting *s, enum hub_layer *layer)
{
    for (int i = 0; i < HUB_LAYERS; i++)
        if (s->hub_values[i]) {
            *layer = (enum hub_layer)i;
            return s->hub_values[i];
        }
    return NULL;
}

static int describe_setting(const struct topic_config_entry *own, bool internal,
                            const struct topic_defaults *defaults, const struct topic_config_def *d,
                            struct topic_setting *out, struct err *e)
{
    enum hub_layer unused;
    *out = (struct topic_setting){.def = d};
    for (int i = 0; i < HUB_LAYERS && d->hub && !internal; i++) {
        const struct config_list *l = &defaults->layers[i];
        const struct topic_config_entry *of_layer = topic_config_entry_find(l->list, l->n, d->hub);
        if (of_layer && !(out->hub_values[i] = mem_strdup(of_layer->value)))
            return err_nomem(e);
    }
    const char *hub = topic_setting_of_hub(out, &unused);
    out->source = own ? TOPIC_SETTING_OF_TOPIC : hub ? TOPIC_SETTING_OF_HUB : TOPIC_SETTING_DEFAULT;
    out->value = mem_strdup(own ? own->value : hub ? hub : d->default_value);
    return out->value ? ERR_OK : err_nomem(e);
}

int topic_settings_describe(const struct topic_config_entry *config, size_t config_n, bool internal,
                            const struct topic_defaults *defaults, struct topic_setting **list, size_t *n,
                            struct err *e)
{
    size_t count;
    const struct topic_config_def *defs = topic_config_defs(&count);
    struct topic_setting *all = mem_calloc(count, sizeof *all);
    int rc = all ? ERR_OK : err_nomem(e);
    for (size_t i = 0; !rc && i < count; i++)
        rc = describe_setting(topic_config_entry_find(config, config_n, defs[i].name), internal, defaults,
                              &defs[i], &all[i], e);
    if (rc) {
        topic_settings_list_free(all, count);
        return rc;
    }
    *list = all;
    *n = count;
    return ERR_OK;
}

int broker_topic_settings(struct broker *b, const char *name, struct topic_setting **list, size_t *n,
                          struct err *e)
{
    pthread_rwlock_rdlock(&b->topics.lock);
    const struct topic *t = topics_by_name(&b->topics, name);
    int rc = t && atomic_load(&t->visible)
                 ? topic_settings_describe(t->config, t->config_count, t->internal, &b->defaults, list, n, e)
                 : err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
    pthread_rwlock_unlock(&b->topics.lock);
    return rc;
}

void topic_settings_list_free(struct topic_setting *list, size_t n)
{
    for (size_t i = 0; i < n && list; i++) {
        mem_free(list[i].value);
        for (int k = 0; k < HUB_LAYERS; k++)
            mem_free(list[i].hub_values[k]);
    }
    mem_free(list);
}
