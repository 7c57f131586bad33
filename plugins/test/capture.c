/*
 * capture: a sink for the tests of the worker: appends what it gets to a file, and what is called to another.
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "leat/plugin.h"

enum fail_kind { FAIL_NONE, FAIL_RETRY, FAIL_GOOD, FAIL_NONSENSE };
enum report { REPORT_ALL, REPORT_NOTHING, REPORT_BEYOND, REPORT_BACK };

struct capture {
    struct leat_task *task;
    const struct leat_host *host;
    FILE *file, *events;
    int64_t fail_at, fail_times, delay_ms;
    enum fail_kind fail, fail_final;
    enum report report;
    const char *fail_marker;
    bool typed;
    size_t stored_count;
    struct stored {
        char topic[64];
        int32_t partition;
        int64_t next; /* offset after what was put */
    } stored[64];
};

static const struct leat_option options[] = {
    {.name = "path",
     .type = LEAT_STRING,
     .flags = LEAT_REQUIRED,
     .importance = LEAT_HIGH,
     .doc = "Where to append.",
     .example = "/tmp/out"},
    {.name = "events", .type = LEAT_STRING, .doc = "Where calls are written."},
    {.name = "delay", .type = LEAT_DURATION, .default_value = "0", .doc = "Wait before each put."},
    {.name = "open.delay", .type = LEAT_DURATION, .default_value = "0", .doc = "Wait at the end of open."},
    {.name = "typed",
     .type = LEAT_BOOL,
     .default_value = "false",
     .doc = "Write values through record_value."},
    {.name = "report",
     .type = LEAT_CHOICE,
     .default_value = "all",
     .choices = "all|nothing|beyond|back",
     .doc = "What flush says."},
    {.name = "fail.at",
     .type = LEAT_INT,
     .default_value = "-1",
     .min = -1,
     .max = 1000000000,
     .doc = "Offset at which put fails."},
    {.name = "fail.kind",
     .type = LEAT_CHOICE,
     .default_value = "none",
     .choices = "none|retry|fail|nonsense",
     .doc = "How it fails."},
    {.name = "fail.final",
     .type = LEAT_CHOICE,
     .default_value = "none",
     .choices = "none|retry|fail",
     .doc = "How the final flush fails."},
    {.name = "fail.marker", .type = LEAT_STRING, .doc = "A file that gets a byte a failure."},
    {.name = "fail.times",
     .type = LEAT_INT,
     .default_value = "1",
     .min = 0,
     .max = 1000000,
     .doc = "How often."},
};

static void event(struct capture *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void event(struct capture *s, const char *fmt, ...)
{
    va_list ap;
    if (s->events == NULL)
        return;
    va_start(ap, fmt);
    vfprintf(s->events, fmt, ap);
    va_end(ap);
    fflush(s->events);
}

static void close_sink(void *self)
{
    struct capture *s = self;
    event(s, "close\n");
    fclose(s->file);
    if (s->events != NULL)
        fclose(s->events);
    free(s);
}

static int open_sink(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                     const struct leat_offset *assigned, size_t n, void **self)
{
    struct capture *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return h->fail(t, LEAT_RETRY, "out of memory");
    s->task = t;
    s->host = h;
    s->file = fopen(h->get_str(c, "path"), "ae");
    if (s->file == NULL) {
        free(s);
        return h->fail(t, LEAT_FAIL, "cannot open %s", h->get_str(c, "path"));
    }
    if (h->get_str(c, "events") != NULL)
        s->events = fopen(h->get_str(c, "events"), "ae");
    s->fail_at = h->get_int(c, "fail.at");
    s->fail = (enum fail_kind)h->get_int(c, "fail.kind");
    s->fail_final = (enum fail_kind)h->get_int(c, "fail.final");
    s->fail_times = h->get_int(c, "fail.times");
    s->delay_ms = h->get_int(c, "delay");
    s->fail_marker = h->get_str(c, "fail.marker");
    s->report = (enum report)h->get_int(c, "report");
    s->typed = h->get_bool(c, "typed");
    event(s, "open %d/%d %zu\n", h->task_index(t), h->task_count(t), n);
    for (size_t i = 0; i < n; i++)
        event(s, "assigned %s-%d %lld\n", assigned[i].topic, assigned[i].partition,
              (long long)assigned[i].offset);
    if (h->get_int(c, "open.delay") > 0)
        h->wait(t, -1, h->get_int(c, "open.delay"));
    *self = s;
    return LEAT_OK;
}

static bool fails(struct capture *s)
{
    if (s->fail == FAIL_NONE || s->fail_marker == NULL)
        return s->fail != FAIL_NONE;
    int fd = open(s->fail_marker, O_WRONLY | O_CREAT | O_APPEND, 0600);
    off_t size = lseek(fd, 0, SEEK_END);
    bool now = size < s->fail_times;
    if (now && write(fd, "x", 1) != 1)
        abort();
    close(fd);
    return now;
}

static void remember(struct capture *s, const struct leat_record *last)
{
    size_t i = 0;
    while (i < s->stored_count &&
           (s->stored[i].partition != last->partition || strcmp(s->stored[i].topic, last->topic) != 0))
        i++;
    if (i == s->stored_count && s->stored_count < 64)
        snprintf(s->stored[s->stored_count++].topic, sizeof(s->stored[0].topic), "%s", last->topic);
    s->stored[i].partition = last->partition;
    s->stored[i].next = last->offset + 1;
}

static int write_one(struct capture *s, const struct leat_record *r)
{
    const char *value = r->value;
    size_t n = r->value_len;
    if (s->typed) {
        const struct leat_value *v = s->host->record_value(s->task, r);
        if (v == NULL)
            return LEAT_FAIL;
        value = s->host->value_to_json(s->task, v, &n);
        if (value == NULL)
            return LEAT_FAIL;
    }
    fprintf(s->file, "%s %d %lld %.*s|%.*s|", r->topic, r->partition, (long long)r->offset, (int)r->key_len,
            r->key == NULL ? "" : (const char *)r->key, value == NULL ? 4 : (int)n,
            value == NULL ? "null" : value);
    for (size_t i = 0; i < r->header_count; i++)
        fprintf(s->file, "%.*s=%.*s", (int)r->headers[i].key_len, r->headers[i].key,
                (int)r->headers[i].value_len, (const char *)r->headers[i].value);
    fputc('\n', s->file);
    return LEAT_OK;
}

static int put(void *self, const struct leat_record *records, size_t n)
{
    struct capture *s = self;
    event(s, "put %lld\n", (long long)records[0].offset);
    if (s->delay_ms > 0)
        s->host->wait(s->task, -1, s->delay_ms);
    for (size_t i = 0; i < n; i++) {
        if (s->fail_at >= 0 && records[i].offset >= s->fail_at && fails(s)) {
            event(s, "fail %lld\n", (long long)records[i].offset);
            if (s->fail == FAIL_NONSENSE)
                return -5;
            return s->host->fail(s->task, s->fail == FAIL_RETRY ? LEAT_RETRY : LEAT_FAIL,
                                 "put fails as asked");
        }
        int rc = write_one(s, &records[i]);
        if (rc != LEAT_OK)
            return rc;
        remember(s, &records[i]);
    }
    return LEAT_OK;
}

static int flush(void *self, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms)
{
    struct capture *s = self;
    if (fflush(s->file) != 0)
        return s->host->fail(s->task, LEAT_RETRY, "cannot write");
    if (final)
        event(s, "final\n");
    if (final && s->fail_final != FAIL_NONE)
        return s->host->fail(s->task, s->fail_final == FAIL_RETRY ? LEAT_RETRY : LEAT_FAIL,
                             "the final flush fails as asked");
    *next_ms = 50;
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < s->stored_count; k++) {
            if (s->stored[k].partition != assigned[i].partition ||
                strcmp(s->stored[k].topic, assigned[i].topic) != 0)
                continue;
            if (s->report == REPORT_ALL)
                assigned[i].offset = s->stored[k].next;
            else if (s->report == REPORT_BEYOND)
                assigned[i].offset = s->stored[k].next + 1000000;
            else if (s->report == REPORT_BACK)
                assigned[i].offset = -3;
        }
    }
    return LEAT_OK;
}

static const char *not_exact(const struct leat_host *h, const struct leat_config *c)
{
    return h->get_bool(c, "typed") ? "typed: for the test" : NULL;
}

static const struct leat_sink_ops ops = {open_sink, put, flush, close_sink};

static const struct leat_connector capture = {.struct_size = sizeof(capture),
                                              .kind = LEAT_SINK,
                                              .type = "capture",
                                              .summary = "Appends to a file, for tests.",
                                              .doc = "For the tests of the worker.",
                                              .example = "type: capture\npath: /tmp/out",
                                              .options = options,
                                              .option_count = sizeof(options) / sizeof(options[0]),
                                              .exact = true,
                                              .sink = &ops,
                                              .not_exact = not_exact};

static const struct leat_connector *const connectors[] = {&capture};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {LEAT_PLUGIN_HEADER,  .name = "capture",        .version = "1",
                                        .built_for = "test", .connectors = connectors, .connector_count = 1};
