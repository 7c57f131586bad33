/*
 * fake_sink_host: a host made of static functions, for unit tests of sinks and of the kit. One task, options from pairs of
 * texts over an option table, typed values as small trees. One thread.
 */
#ifndef LEAT_TESTS_FAKE_SINK_HOST_H
#define LEAT_TESTS_FAKE_SINK_HOST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/plugin.h"

struct leat_task {
    enum leat_converter key, value;
    const char *name, *topic_id; /* NULL: "web-out", none */
    int task_count, task_index;
    int64_t committed[4]; /* by partition: what the hub has, plus one (0: nothing) */
    char failure[1024];   /* the last host->fail */
    char logged[1024];    /* the last line */
};

struct fake_pair {
    const char *name, *value;
};

struct leat_config {
    const struct leat_option *options;
    size_t option_count;
    struct fake_pair pairs[32]; /* ended by a NULL name */
    struct fake_list {
        const char *name;
        char text[256];
        const char *items[16];
        size_t n;
    } lists[4];
};

/* ---- typed values ---------------------------------------------------------------------------------------------- */

struct leat_value {
    enum leat_type type;
    int64_t i;
    const char *text; /* strings and bytes; JSON text of what is no scalar */
    const char *names[8];
    const struct leat_value *fields[8];
    size_t count;
};

static enum leat_type fake_value_type(const struct leat_value *v)
{
    return v->type;
}

static int64_t fake_value_get_int(const struct leat_value *v)
{
    return v->i;
}

static const void *fake_value_get_bytes(const struct leat_value *v, size_t *n)
{
    *n = strlen(v->text);
    return v->text;
}

static const struct leat_value *fake_value_find(const struct leat_value *v, const char *name, size_t n)
{
    for (size_t i = 0; i < v->count; i++) {
        if (strlen(v->names[i]) == n && memcmp(v->names[i], name, n) == 0)
            return v->fields[i];
    }
    return NULL;
}

static const char *fake_value_to_json(struct leat_task *t, const struct leat_value *v, size_t *n)
{
    (void)t;
    *n = v->text ? strlen(v->text) : 0;
    return v->text;
}

/* ---- options --------------------------------------------------------------------------------------------------- */

static const struct leat_option *fake_option(const struct leat_config *c, const char *name)
{
    for (size_t i = 0; i < c->option_count; i++) {
        if (strcmp(c->options[i].name, name) == 0)
            return &c->options[i];
    }
    fprintf(stderr, "no option '%s' in the table\n", name);
    abort();
}

static const char *fake_pair_value(const struct leat_config *c, const char *name)
{
    for (const struct fake_pair *p = c->pairs; p->name; p++) {
        if (strcmp(p->name, name) == 0)
            return p->value;
    }
    return NULL;
}

static const char *fake_get_str(const struct leat_config *c, const char *name)
{
    const struct leat_option *o = fake_option(c, name);
    const char *given = fake_pair_value(c, name);
    return given ? given : o->default_value;
}

static int64_t fake_choice(const char *choices, const char *value)
{
    int64_t i = 0;
    for (const char *p = choices; p; i++) {
        size_t n = strcspn(p, "|");
        if (strlen(value) == n && memcmp(p, value, n) == 0)
            return i;
        p = p[n] ? p + n + 1 : NULL;
    }
    fprintf(stderr, "'%s' is none of %s\n", value, choices);
    abort();
}

static int64_t fake_get_int(const struct leat_config *c, const char *name)
{
    const struct leat_option *o = fake_option(c, name);
    const char *text = fake_get_str(c, name);
    if (!text)
        return 0;
    if (o->type == LEAT_CHOICE)
        return fake_choice(o->choices, text);
    char *unit;
    int64_t v = strtoll(text, &unit, 10);
    static const struct {
        const char *name;
        int64_t factor;
    } units[] = {{"", 1},        {"ms", 1},        {"s", 1000},      {"m", 60000},
                 {"h", 3600000}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(units[i].name, unit) == 0)
            return v * units[i].factor;
    }
    fprintf(stderr, "'%s' has an unknown unit\n", text);
    abort();
}

static bool fake_get_bool(const struct leat_config *c, const char *name)
{
    return strcmp(fake_get_str(c, name), "true") == 0;
}

static size_t fake_get_list(const struct leat_config *c, const char *name, const char *const **items)
{
    struct fake_list *l = ((struct leat_config *)(uintptr_t)c)->lists;
    while (l->name && strcmp(l->name, name) != 0)
        l++; /* there are fewer lists than room for them */
    const char *text = fake_get_str(c, name);
    if (!l->name && text) {
        l->name = name;
        snprintf(l->text, sizeof(l->text), "%s", text);
        for (char *save, *p = strtok_r(l->text, ",", &save); p; p = strtok_r(NULL, ",", &save))
            l->items[l->n++] = p;
    }
    *items = l->items;
    return l->n;
}

static bool fake_is_set(const struct leat_config *c, const char *name)
{
    fake_option(c, name);
    return fake_pair_value(c, name) != NULL;
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static int fake_fail(struct leat_task *t, int result, const char *fmt,
                                                           ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->failure, sizeof(t->failure), fmt, ap);
    va_end(ap);
    return result;
}

__attribute__((format(printf, 3, 4))) static void fake_log(struct leat_task *t, enum leat_log_level level,
                                                           const char *fmt, ...)
{
    (void)level;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->logged, sizeof(t->logged), fmt, ap);
    va_end(ap);
}

static const char *fake_task_name(struct leat_task *t)
{
    return t->name ? t->name : "web-out";
}

static int fake_task_index(struct leat_task *t)
{
    return t->task_index;
}

static const char *fake_topic_id(struct leat_task *t, const char *topic)
{
    (void)topic;
    return t->topic_id;
}

static int fake_task_count(struct leat_task *t)
{
    return t->task_count ? t->task_count : 1;
}

static void fake_gauge(struct leat_task *t, const char *name, double value)
{
    (void)t;
    (void)name;
    (void)value;
}

static enum leat_converter fake_converter(struct leat_task *t, bool key)
{
    return key ? t->key : t->value;
}

static int fake_committed(struct leat_task *t, const char *topic, int32_t partition, int64_t *offset)
{
    (void)topic;
    *offset = t->committed[partition] - 1;
    return LEAT_OK;
}

static const struct leat_host fake_host = {
    .abi_version = LEAT_ABI_VERSION,
    .struct_size = sizeof(struct leat_host),
    .version = "test",
    .log = fake_log,
    .fail = fake_fail,
    .get_str = fake_get_str,
    .get_int = fake_get_int,
    .get_bool = fake_get_bool,
    .get_list = fake_get_list,
    .is_set = fake_is_set,
    .task_name = fake_task_name,
    .task_count = fake_task_count,
    .task_index = fake_task_index,
    .gauge = fake_gauge,
    .value_type = fake_value_type,
    .value_get_int = fake_value_get_int,
    .value_get_bytes = fake_value_get_bytes,
    .value_find = fake_value_find,
    .value_to_json = fake_value_to_json,
    .converter = fake_converter,
    .committed = fake_committed,
    .topic_id = fake_topic_id,
};

/* A record of topic "t" with text as its value. */
static inline struct leat_record fake_record(int32_t partition, int64_t offset, const char *value)
{
    return (struct leat_record){.struct_size = sizeof(struct leat_record),
                                .partition = partition,
                                .topic = "t",
                                .offset = offset,
                                .timestamp = 1763665200000 + offset, /* 2025-11-20T19:00:00Z */
                                .value = value,
                                .value_len = value ? strlen(value) : 0};
}

#endif
