/*
 * settings: the store's topic settings as options: in a topic's `config:`, and under Kafka's broker names as defaults of all
 * topics in `hub:`. Both come from the broker's table (topic_config_defs). Constant once made; any thread.
 */
#include "config/settings.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "broker/broker_config.h"
#include "config/internal.h"

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n > m && strcmp(name + n - m, end) == 0;
}

static enum leat_option_type type_of(const struct topic_config_def *d)
{
    switch (d->type) {
    case TOPIC_CONFIG_BOOL:
        return LEAT_BOOL;
    case TOPIC_CONFIG_CHOICE:
        return LEAT_CHOICE;
    case TOPIC_CONFIG_LIST:
        return LEAT_STRING;
    case TOPIC_CONFIG_DOUBLE:
        return LEAT_DOUBLE;
    case TOPIC_CONFIG_REFUSED:
        return *d->default_value == 'f' ? LEAT_BOOL : *d->default_value ? LEAT_INT : LEAT_STRING;
    default:
        return ends_with(d->name, ".ms")                                                 ? LEAT_DURATION
               : ends_with(d->name, ".bytes") || ends_with(d->name, ".bytes.per.second") ? LEAT_SIZE
                                                                                         : LEAT_INT;
    }
}

struct leat_option setting_option(const struct topic_config_def *d, char choices[SETTING_CHOICES_MAX])
{
    struct leat_option o = {.name = d->name,
                            .type = type_of(d),
                            .default_value = d->default_value,
                            .min = d->min,
                            .max = d->max,
                            .importance = LEAT_LOW,
                            .choices = choices,
                            .doc = d->doc};
    if (d->type == TOPIC_CONFIG_REFUSED && o.type == LEAT_INT && integer_parse(d->default_value, &o.min))
        o.max = o.min;
    snprintf(choices, SETTING_CHOICES_MAX, "%s", d->choices && o.type == LEAT_CHOICE ? d->choices : "");
    for (char *c = choices; *c; c++)
        if (*c == ',')
            *c = '|';
    return o;
}

const char *setting_in_units(const struct topic_config_def *d, const char *value, char number[24])
{
    int64_t v;
    enum leat_option_type type = type_of(d);
    if (!(type == LEAT_DURATION && duration_parse(value, &v)) &&
        !(type == LEAT_SIZE && size_parse(value, &v)))
        return value;
    snprintf(number, 24, "%" PRId64, v);
    return number;
}

/* ---- defaults in `hub:` ------------------------------------------------------------------------------------------ */

enum { HUB_ROWS_MAX = 128 };

static struct {
    struct leat_option rows[HUB_ROWS_MAX];
    char choices[HUB_ROWS_MAX][SETTING_CHOICES_MAX];
    char docs[HUB_ROWS_MAX][160];
    size_t n;
} hub;

static bool can_be_default(const struct topic_config_def *d)
{
    return d->hub && d->type != TOPIC_CONFIG_REFUSED;
}

static void make_hub_rows(void)
{
    size_t n;
    const struct leat_option *own = hub_own_options(&n);
    assert(n <= HUB_ROWS_MAX);
    memcpy(hub.rows, own, n * sizeof *own);
    hub.n = n;
    own = hub_client_options(&n);
    assert(hub.n + n <= HUB_ROWS_MAX);
    memcpy(hub.rows + hub.n, own, n * sizeof *own);
    hub.n += n;
    const struct topic_config_def *defs = topic_config_defs(&n);
    for (size_t i = 0; i < n; i++) {
        if (!can_be_default(&defs[i]))
            continue;
        assert(hub.n < HUB_ROWS_MAX);
        struct leat_option *o = &hub.rows[hub.n];
        *o = setting_option(&defs[i], hub.choices[hub.n]);
        snprintf(hub.docs[hub.n], sizeof hub.docs[0],
                 "Default of the topic setting `%s` for topics that do not have it. Without this: `%s`.",
                 defs[i].name, defs[i].default_value);
        o->name = defs[i].hub;
        o->default_value = NULL; /* so that what was given can be told */
        o->doc = hub.docs[hub.n++];
    }
}

const struct leat_option *hub_options(size_t *n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_hub_rows);
    *n = hub.n;
    return hub.rows;
}

/* Kafka's other names of two defaults, in the order in which they count after the one in ms. */
static const struct longer_unit {
    const char *name, *of;
    int64_t ms;
} longer_units[] = {
    {"log.retention.minutes", "log.retention.ms", 60000},
    {"log.retention.hours", "log.retention.ms", 3600000},
    {"log.roll.hours", "log.roll.ms", 3600000},
    {"log.roll.jitter.hours", "log.roll.jitter.ms", 3600000},
};

/* The value that was given under another name; false: none. Negative ones mean without end. */
static bool in_longer_unit(const struct leat_config *options, const char *name, int64_t *v)
{
    for (size_t i = 0; i < COUNT_OF(longer_units); i++) {
        const struct longer_unit *u = &longer_units[i];
        if (strcmp(u->of, name) != 0 || !options_is_set(options, u->name))
            continue;
        int64_t number = options_int(options, u->name);
        *v = number < 0 ? -1 : number * u->ms;
        return true;
    }
    return false;
}

/* The text of a default as the store takes it; NULL: out of memory or not given (`*given`). */
static char *default_text(const struct leat_config *options, const struct topic_config_def *d, bool *given)
{
    int64_t v = 0;
    bool set = options_is_set(options, d->hub), other = !set && in_longer_unit(options, d->hub, &v);
    enum leat_option_type type = type_of(d);
    *given = set || other;
    if (!*given)
        return NULL;
    if (set && type == LEAT_DOUBLE)
        return mem_printf("%.17g", options_double(options, d->hub));
    if (set && (type == LEAT_CHOICE || type == LEAT_STRING))
        return mem_strdup(options_str(options, d->hub));
    if (set && type == LEAT_BOOL)
        return mem_strdup(options_bool(options, d->hub) ? "true" : "false");
    return mem_printf("%" PRId64, set ? options_int(options, d->hub) : v);
}

int hub_defaults(const struct leat_config *options, struct topic_config_entry **list, size_t *n,
                 struct err *e)
{
    size_t count;
    const struct topic_config_def *defs = topic_config_defs(&count);
    *n = 0;
    *list = mem_calloc(count, sizeof **list);
    if (!*list)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++) {
        bool given;
        if (!can_be_default(&defs[i]))
            continue;
        char *value = default_text(options, &defs[i], &given);
        if (given && !value)
            return err_nomem(e);
        if (given)
            (*list)[(*n)++] = (struct topic_config_entry){defs[i].name, value};
    }
    return ERR_OK;
}

void hub_defaults_free(struct topic_config_entry *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free((char *)(uintptr_t)list[i].value);
    mem_free(list);
}

/* The text of an option as Kafka writes it: durations in ms, sizes in bytes. NULL: no value, or out of memory. */
static char *described_text(const struct leat_config *options, const struct leat_option *o)
{
    const char *const *items;
    switch (o->type) {
    case LEAT_BOOL:
        return mem_strdup(options_bool(options, o->name) ? "true" : "false");
    case LEAT_INT:
    case LEAT_SIZE:
    case LEAT_DURATION:
        return mem_printf("%" PRId64, options_int(options, o->name));
    case LEAT_LIST: {
        struct buf text;
        struct err e;
        size_t n = options_list(options, o->name, &items);
        int rc = ERR_OK;
        buf_init(&text, 1 << 20);
        for (size_t i = 0; i < n && rc == ERR_OK; i++)
            rc = buf_printf(&text, &e, "%s%s", i ? "," : "", items[i]);
        char *out = rc == ERR_OK ? mem_strndup((const char *)text.data, text.len) : NULL;
        buf_free(&text);
        return out;
    }
    default:
        return mem_strdup(options_str(options, o->name));
    }
}

int hub_described(const struct leat_config *options, struct broker_config_value **list, size_t *n,
                  struct err *e)
{
    size_t count;
    const struct leat_option *rows = hub_options(&count);
    *n = 0;
    *list = mem_calloc(count, sizeof **list);
    if (!*list)
        return err_nomem(e);
    for (size_t i = 0; i < count; i++) {
        bool given = options_is_set(options, rows[i].name);
        if (!broker_config_find(rows[i].name) || (!given && !rows[i].default_value))
            continue;
        char *value = described_text(options, &rows[i]);
        if (!value)
            return err_nomem(e);
        (*list)[(*n)++] = (struct broker_config_value){rows[i].name, value, given, rows[i].doc};
    }
    return ERR_OK;
}

void hub_described_free(struct broker_config_value *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(list[i].value);
    mem_free(list);
}
