/*
 * counter: the smallest useful source of Leat. Counts from where it stopped, a number every `interval`.
 *
 *   pipelines:
 *     - name: numbers
 *       source: {type: counter, interval: 100ms}
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <leat/plugin.h>

struct counter {
    struct leat_task *task;
    const struct leat_host *host;
    int64_t interval_ms;
    long long next;
};

static const struct leat_option options[] = {
    {.name = "interval",
     .type = LEAT_DURATION,
     .default_value = "1s",
     .min = 1,
     .max = 3600000,
     .importance = LEAT_HIGH,
     .doc = "Time between two numbers.",
     .example = "100ms"},
};

/* A source partition is what has a position of its own: here there is one. */
#define PARTITION "{\"counter\":0}"

static int counter_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                        void **self)
{
    struct counter *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return h->fail(t, LEAT_RETRY, "out of memory");
    s->task = t;
    s->host = h;
    s->interval_ms = h->get_int(c, "interval");
    const char *position = h->get_position(t, PARTITION);
    if (position != NULL && sscanf(position, "{\"next\":%lld}", &s->next) != 1) {
        free(s);
        return h->fail(t, LEAT_FAIL, "the stored position '%s' is not ours", position);
    }
    *self = s;
    return LEAT_OK;
}

/* One poll is one transaction: the record and the position behind it become visible together, or not at all. */
static int counter_poll(void *self)
{
    struct counter *s = self;
    char value[32], position[64];
    s->host->wait(s->task, -1, s->interval_ms);
    if (s->host->stopping(s->task))
        return LEAT_OK;
    snprintf(value, sizeof(value), "%lld", s->next);
    snprintf(position, sizeof(position), "{\"next\":%lld}", s->next + 1);
    struct leat_record r = {.struct_size = sizeof(r),
                            .partition = -1,
                            .timestamp = -1,
                            .value = value,
                            .value_len = strlen(value)};
    int rc = s->host->emit(s->task, &r, 1);
    if (rc != LEAT_OK)
        return rc;
    s->next++;
    return s->host->set_position(s->task, PARTITION, position);
}

static void counter_close(void *self)
{
    free(self);
}

static const struct leat_source_ops ops = {
    .open = counter_open, .poll = counter_poll, .close = counter_close};

static const struct leat_connector counter = {
    .struct_size = sizeof(counter),
    .kind = LEAT_SOURCE,
    .type = "counter",
    .summary = "Counts.",
    .doc = "Emits 0, 1, 2, ... and goes on where it stopped. An example of a source.",
    .example = "type: counter\ninterval: 100ms",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .exact = true,
    .source = &ops,
};

static const struct leat_connector *const connectors[] = {&counter};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER, .name = "counter",        .version = "1.0",
    .built_for = "0.1", .connectors = connectors, .connector_count = 1,
};
