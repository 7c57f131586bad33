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
#include "tests/lib/fake_config.h"

struct leat_task {
    enum leat_converter key, value;
    const char *name, *topic_id; /* NULL: "web-out", none */
    int task_count, task_index;
    int64_t committed[4]; /* by partition: what the hub has, plus one (0: nothing) */
    char failure[1024];   /* the last host->fail */
    char logged[1024];    /* the last line */
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
    FAKE_CONFIG_GETTERS,
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
