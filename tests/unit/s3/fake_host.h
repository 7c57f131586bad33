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
#include "tests/lib/fake_config.h"
#include "tests/lib/testkit.h"

extern const struct leat_plugin leat_plugin;

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
    FAKE_CONFIG_GETTERS,
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
