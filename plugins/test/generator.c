/*
 * generator: a source for the tests of the worker: counts, and fails where it is told to. One option of every type.
 * counter: the same without asking when its records are durable, so that it is polled while they are written.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "leat/plugin.h"

enum fail_kind {
    FAIL_NONE,
    FAIL_RETRY,
    FAIL_GOOD,
    FAIL_NONSENSE,
    FAIL_SILENT,
    FAIL_BAD_RECORD,
    FAIL_BAD_TOPIC,
    FAIL_OPEN
};

struct generator {
    struct leat_task *task;
    const struct leat_host *host;
    int64_t total, per_poll, fail_at, fail_times, interval_ms, next;
    enum fail_kind fail;
    const char *fail_marker, *prefix, *topic, *stuck;
    int32_t to_partition;
    bool keys, typed, ends;
    char partition[64];
};

static const struct leat_option options[] = {
    {.name = "total",
     .type = LEAT_INT,
     .default_value = "10",
     .min = 0,
     .max = 1000000000,
     .importance = LEAT_HIGH,
     .doc = "How many records."},
    {.name = "per.poll",
     .type = LEAT_INT,
     .default_value = "3",
     .min = 1,
     .max = 1000000,
     .doc = "Records a poll."},
    {.name = "prefix", .type = LEAT_STRING, .default_value = "record ", .doc = "Before the number."},
    {.name = "keys", .type = LEAT_BOOL, .default_value = "true", .doc = "Whether records have keys."},
    {.name = "form",
     .type = LEAT_CHOICE,
     .default_value = "bytes",
     .choices = "bytes|typed",
     .doc = "Of the values."},
    {.name = "ends",
     .type = LEAT_BOOL,
     .default_value = "true",
     .doc = "Ends after the last record, or waits."},
    {.name = "interval", .type = LEAT_DURATION, .default_value = "0", .doc = "Between polls."},
    {.name = "fail.at",
     .type = LEAT_INT,
     .default_value = "-1",
     .min = -1,
     .max = 1000000000,
     .doc = "Record before which it fails."},
    {.name = "fail.kind",
     .type = LEAT_CHOICE,
     .default_value = "none",
     .choices = "none|retry|fail|nonsense|silent|bad-record|bad-topic|open",
     .doc = "How it fails."},
    {.name = "fail.marker",
     .type = LEAT_STRING,
     .doc = "A file that gets a byte a failure.",
     .example = "/tmp/m"},
    {.name = "fail.times",
     .type = LEAT_INT,
     .default_value = "1",
     .min = 0,
     .max = 1000000,
     .doc = "How often."},
    {.name = "to.topic", .type = LEAT_STRING, .doc = "Another topic than the pipeline's."},
    {.name = "to.partition",
     .type = LEAT_INT,
     .default_value = "-1",
     .min = -1,
     .max = 1000000,
     .doc = "Of the topic."},
    {.name = "stuck",
     .type = LEAT_STRING,
     .doc = "Polls hang until there is such a file, whatever is asked."},
    {.name = "ratio", .type = LEAT_DOUBLE, .default_value = "0.5", .doc = "Without effect."},
    {.name = "names", .type = LEAT_LIST, .default_value = "a,b", .doc = "Without effect."},
    {.name = "size",
     .type = LEAT_SIZE,
     .default_value = "4KiB",
     .min = 1,
     .max = 1 << 30,
     .doc = "Without effect."},
    {.name = "password", .type = LEAT_STRING, .flags = LEAT_SECRET, .doc = "Without effect."},
    {.name = "forbidden", .type = LEAT_STRING, .doc = "validate refuses it."},
    {.name = "suspects", .type = LEAT_LIST, .default_value = "", .doc = "check tells of each."},
    {.name = "doubts", .type = LEAT_LIST, .default_value = "", .doc = "check warns of each."},
    {.name = "unreachable", .type = LEAT_STRING, .doc = "check refuses it."},
};

static int validate(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    if (h->get_str(c, "forbidden") != NULL)
        return h->fail(t, LEAT_FAIL, "forbidden is '%s'", h->get_str(c, "forbidden"));
    return LEAT_OK;
}

static int check(struct leat_task *t, const struct leat_host *h, const struct leat_config *c)
{
    const char *const *suspects, *const *doubts;
    size_t n = h->get_list(c, "suspects", &suspects), doubt_count = h->get_list(c, "doubts", &doubts);
    for (size_t i = 0; i < doubt_count; i++)
        h->log(t, LEAT_WARN, "%s is\ndoubtful", doubts[i]);
    for (size_t i = 0; i < n; i++)
        h->problem(t, "%s is\nsuspect", suspects[i]);
    if (h->get_str(c, "unreachable") != NULL)
        return h->fail(t, LEAT_FAIL, "cannot reach '%s'", h->get_str(c, "unreachable"));
    return LEAT_OK;
}

/* Whether to fail now: the marker counts the failures, so that later attempts pass. */
static bool fails(struct generator *g)
{
    if (g->fail == FAIL_NONE || g->fail_marker == NULL)
        return g->fail != FAIL_NONE;
    int fd = open(g->fail_marker, O_WRONLY | O_CREAT | O_APPEND, 0600);
    off_t size = lseek(fd, 0, SEEK_END);
    bool now = size < g->fail_times;
    if (now && write(fd, "x", 1) != 1)
        abort();
    close(fd);
    return now;
}

static int open_source(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                       void **self)
{
    struct generator *g = calloc(1, sizeof(*g));
    if (g == NULL)
        return h->fail(t, LEAT_RETRY, "out of memory");
    *g = (struct generator){.task = t,
                            .host = h,
                            .total = h->get_int(c, "total"),
                            .per_poll = h->get_int(c, "per.poll"),
                            .fail_at = h->get_int(c, "fail.at"),
                            .fail = (enum fail_kind)h->get_int(c, "fail.kind"),
                            .fail_times = h->get_int(c, "fail.times"),
                            .fail_marker = h->get_str(c, "fail.marker"),
                            .interval_ms = h->get_int(c, "interval"),
                            .prefix = h->get_str(c, "prefix"),
                            .topic = h->get_str(c, "to.topic"),
                            .stuck = h->get_str(c, "stuck"),
                            .to_partition = (int32_t)h->get_int(c, "to.partition"),
                            .keys = h->get_bool(c, "keys"),
                            .typed = h->get_int(c, "form") == 1,
                            .ends = h->get_bool(c, "ends")};
    snprintf(g->partition, sizeof(g->partition), "{\"task\": %d, \"kind\": \"generator\"}", h->task_index(t));
    const char *position = h->get_position(t, g->partition);
    if (position != NULL)
        sscanf(position, "{\"next\":%lld}", (long long *)&g->next);
    h->gauge(t, "started_at", (double)g->next);
    if (g->fail == FAIL_OPEN && fails(g)) {
        free(g);
        return h->fail(t, LEAT_RETRY, "open fails as asked");
    }
    *self = g;
    return LEAT_OK;
}

static int fail(struct generator *g)
{
    struct leat_record r = {
        .struct_size = sizeof(r), .partition = -1, .timestamp = -1, .value = "x", .value_len = 1};
    switch (g->fail) {
    case FAIL_NONSENSE:
        return 77;
    case FAIL_SILENT:
        return LEAT_FAIL;
    case FAIL_BAD_RECORD: /* and passes over the answer */
        r.struct_size = 3;
        g->host->emit(g->task, &r, 1);
        return LEAT_OK;
    case FAIL_BAD_TOPIC:
        r.topic = "connect-offsets";
        return g->host->emit(g->task, &r, 1);
    default:
        return g->host->fail(g->task, g->fail == FAIL_RETRY ? LEAT_RETRY : LEAT_FAIL,
                             "fails at %lld as asked", (long long)g->next);
    }
}

static int emit(struct generator *g)
{
    char key[32], value[128];
    int n = snprintf(key, sizeof(key), "%lld", (long long)g->next);
    int m = snprintf(value, sizeof(value), "%s%lld", g->prefix, (long long)g->next);
    struct leat_header header = {"number", 6, key, (size_t)n};
    struct leat_record r = {.struct_size = sizeof(r),
                            .partition = g->to_partition,
                            .topic = g->topic,
                            .timestamp = -1,
                            .headers = &header,
                            .header_count = 1};
    if (g->keys) {
        r.key = key;
        r.key_len = (size_t)n;
    }
    if (g->typed) {
        struct leat_value *map = g->host->value_map(g->task);
        if (g->host->value_set(map, "number", 6, g->host->value_int(g->task, LEAT_TYPE_INT64, g->next)) !=
            LEAT_OK)
            return LEAT_FAIL;
        r.value_value = map;
    } else {
        r.value = value;
        r.value_len = (size_t)m;
    }
    return g->host->emit(g->task, &r, 1);
}

static int poll_source(void *self)
{
    struct generator *g = self;
    char offset[64];
    if (g->stuck != NULL) {
        g->host->gauge(g->task, "stuck", 1);
        while (access(g->stuck, F_OK) != 0)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
    if (g->next >= g->total) {
        if (g->ends)
            return LEAT_END;
        g->host->wait(g->task, -1, -1);
        return LEAT_OK;
    }
    if (g->interval_ms > 0)
        g->host->wait(g->task, -1, g->interval_ms);
    int64_t end = g->next + g->per_poll < g->total ? g->next + g->per_poll : g->total;
    for (; g->next < end; g->next++) {
        if (g->next == g->fail_at && g->fail != FAIL_OPEN && fails(g))
            return fail(g);
        int rc = emit(g);
        if (rc != LEAT_OK)
            return rc;
    }
    snprintf(offset, sizeof(offset), "{\"next\": %lld}", (long long)g->next);
    return g->host->set_position(g->task, g->partition, offset);
}

static int committed(void *self)
{
    struct generator *g = self;
    g->host->gauge(g->task, "committed", (double)g->next);
    return LEAT_OK;
}

static void close_source(void *self)
{
    free(self);
}

static const struct leat_source_ops ops = {
    .open = open_source, .poll = poll_source, .committed = committed, .close = close_source};

static const struct leat_source_ops counter_ops = {
    .open = open_source, .poll = poll_source, .close = close_source};

static const struct leat_connector counter = {.struct_size = sizeof(counter),
                                              .kind = LEAT_SOURCE,
                                              .type = "counter",
                                              .summary = "Counts, for tests.",
                                              .doc = "For the tests of the worker.",
                                              .example = "type: counter",
                                              .options = options,
                                              .option_count = sizeof(options) / sizeof(options[0]),
                                              .exact = true,
                                              .source = &counter_ops};

static const char *const aliases[] = {"org.example.GeneratorConnector", NULL};

static const struct leat_connector generator = {.struct_size = sizeof(generator),
                                                .kind = LEAT_SOURCE,
                                                .type = "generator",
                                                .aliases = aliases,
                                                .summary = "Counts, for tests.",
                                                .doc = "For the tests of the worker.",
                                                .example = "type: generator",
                                                .options = options,
                                                .option_count = sizeof(options) / sizeof(options[0]),
                                                .exact = true,
                                                .validate = validate,
                                                .check = check,
                                                .source = &ops};

static const struct leat_connector *const connectors[] = {&generator, &counter};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {LEAT_PLUGIN_HEADER,  .name = "generator",      .version = "1.2.3",
                                        .built_for = "test", .connectors = connectors, .connector_count = 2};
