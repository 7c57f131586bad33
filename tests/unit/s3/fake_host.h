/*
 * A host for one sink task, as small as the sink's code allows: options as text, waits that return at once unless they are for
 * a descriptor, diagnostics kept for the test to look at. What the sink's own thread may call is thread-safe.
 */
#ifndef LEAT_TESTS_S3_FAKE_HOST_H
#define LEAT_TESTS_S3_FAKE_HOST_H

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "leat/plugin.h"
#include "tests/lib/testkit.h"

extern const struct leat_plugin leat_plugin;

#define FAKE_OPTIONS_MAX 40

struct leat_config {
    const char *names[FAKE_OPTIONS_MAX];
    char *values[FAKE_OPTIONS_MAX];
    size_t n;
};

struct leat_task {
    _Atomic bool stopping;
    const char *topic_id; /* of every topic; NULL: not told */
    char failure[2048];   /* of the last fail */
    int failures;
    char log[8192]; /* the last of "WARN text\n" ...; no memory of ours, as tests make that fail */
};

static inline const struct leat_connector *fake_connector(void)
{
    return leat_plugin.connectors[0];
}

static inline void config_set(struct leat_config *c, const char *name, const char *value)
{
    for (size_t i = 0; i < c->n; i++) {
        if (strcmp(c->names[i], name) == 0) {
            free(c->values[i]);
            c->values[i] = strdup(value);
            return;
        }
    }
    assert_true(c->n < FAKE_OPTIONS_MAX);
    c->names[c->n] = name;
    c->values[c->n++] = strdup(value);
}

static inline void config_free(struct leat_config *c)
{
    for (size_t i = 0; i < c->n; i++)
        free(c->values[i]);
    c->n = 0;
}

static inline const struct leat_option *option_row(const char *name)
{
    const struct leat_connector *x = fake_connector();

    for (size_t i = 0; i < x->option_count; i++)
        if (strcmp(x->options[i].name, name) == 0)
            return &x->options[i];
    fail_msg("the sink asks for an option that it does not declare: %s", name);
    return NULL;
}

static inline const char *fake_get_str(const struct leat_config *c, const char *name)
{
    const struct leat_option *row = option_row(name);

    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0)
            return c->values[i];
    return row->default_value;
}

static inline int64_t choice_index(const char *choices, const char *value)
{
    int64_t i = 0;

    for (const char *p = choices; *p; i++) {
        size_t n = strcspn(p, "|");

        if (n == strlen(value) && strncmp(p, value, n) == 0)
            return i;
        p += n + (p[n] == '|');
    }
    fail_msg("%s is none of %s", value, choices);
    return -1;
}

static inline int64_t fake_get_int(const struct leat_config *c, const char *name)
{
    static const struct {
        const char *unit;
        int64_t factor;
    } units[] = {{"", 1},        {"ms", 1},     {"s", 1000},      {"m", 60000},
                 {"h", 3600000}, {"KiB", 1024}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
    const struct leat_option *row = option_row(name);
    const char *value = fake_get_str(c, name);
    char *end;
    int64_t v;

    if (!value)
        return 0;
    if (row->type == LEAT_CHOICE)
        return choice_index(row->choices, value);
    v = strtoll(value, &end, 10);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0)
            return v * units[i].factor;
    fail_msg("%s: %s", name, value);
    return 0;
}

static inline double fake_get_double(const struct leat_config *c, const char *name)
{
    return strtod(fake_get_str(c, name), NULL);
}

static inline bool fake_get_bool(const struct leat_config *c, const char *name)
{
    const char *value = fake_get_str(c, name);

    return value && strcmp(value, "true") == 0;
}

/* One item at most: enough for these tests. */
static inline size_t fake_get_list(const struct leat_config *c, const char *name, const char *const **items)
{
    static const char *item;

    item = fake_get_str(c, name);
    *items = &item;
    return item && *item ? 1 : 0;
}

static inline bool fake_is_set(const struct leat_config *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->names[i], name) == 0)
            return true;
    return false;
}

static inline void __attribute__((format(printf, 3, 4)))
fake_log(struct leat_task *t, enum leat_log_level level, const char *fmt, ...)
{
    static const char *const names[] = {"DEBUG", "INFO", "WARN", "ERROR"};
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    char text[1024];
    size_t used;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&lock);
    used = strlen(t->log);
    if (used > sizeof t->log - sizeof text - 16)
        used = 0;
    snprintf(t->log + used, sizeof t->log - used, "%s %s\n", names[level], text);
    pthread_mutex_unlock(&lock);
}

static inline int __attribute__((format(printf, 3, 4)))
fake_fail(struct leat_task *t, int result, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(t->failure, sizeof t->failure, fmt, ap);
    va_end(ap);
    t->failures++;
    return result;
}

static inline const char *fake_name(struct leat_task *t)
{
    (void)t;
    return "test-sink";
}

static inline int fake_index(struct leat_task *t)
{
    (void)t;
    return 0;
}

static inline int fake_count(struct leat_task *t)
{
    (void)t;
    return 1;
}

static inline bool fake_stopping(struct leat_task *t)
{
    return t->stopping;
}

static inline int fake_wait(struct leat_task *t, int fd, int64_t ms)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return fd >= 0 && !t->stopping && poll(&p, 1, (int)ms) == 1;
}

static inline void fake_gauge(struct leat_task *t, const char *name, double value)
{
    (void)t, (void)name, (void)value;
}

static inline enum leat_converter fake_converter(struct leat_task *t, bool key)
{
    (void)t, (void)key;
    return LEAT_CONVERTER_JSON;
}

static inline const char *fake_topic_id(struct leat_task *t, const char *topic)
{
    (void)topic;
    return t->topic_id;
}

static const struct leat_host fake_host = {
    .abi_version = LEAT_ABI_VERSION,
    .struct_size = sizeof(struct leat_host),
    .version = "test",
    .log = fake_log,
    .fail = fake_fail,
    .get_str = fake_get_str,
    .get_int = fake_get_int,
    .get_double = fake_get_double,
    .get_bool = fake_get_bool,
    .get_list = fake_get_list,
    .is_set = fake_is_set,
    .task_pipeline = fake_name,
    .task_name = fake_name,
    .task_index = fake_index,
    .task_count = fake_count,
    .stopping = fake_stopping,
    .wait = fake_wait,
    .gauge = fake_gauge,
    .converter = fake_converter,
    .topic_id = fake_topic_id,
};

static inline void task_init(struct leat_task *t)
{
    memset(t, 0, sizeof *t);
}

#endif
