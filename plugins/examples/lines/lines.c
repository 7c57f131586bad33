/*
 * lines: the smallest useful sink of Leat. Appends every value as a line to a file.
 *
 *   sinks:
 *     - {type: lines, path: /tmp/out.txt}
 *
 * After a crash the last records may be there twice: what was written is reported only after it was synced.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <leat/plugin.h>

struct partition {
    int64_t next; /* offset after the last record written */
    char topic[256];
    int32_t number;
};

struct lines {
    struct leat_task *task;
    const struct leat_host *host;
    FILE *file;
    size_t count;
    struct partition partitions[];
};

static const struct leat_option options[] = {
    {.name = "path",
     .type = LEAT_STRING,
     .flags = LEAT_REQUIRED,
     .importance = LEAT_HIGH,
     .doc = "The file to append to. Every task writes the same one.",
     .example = "/tmp/out.txt"},
};

static int lines_open(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                      const struct leat_offset *assigned, size_t n, void **self)
{
    struct lines *s = calloc(1, sizeof(*s) + n * sizeof(s->partitions[0]));
    if (s == NULL)
        return h->fail(t, LEAT_RETRY, "out of memory");
    s->task = t;
    s->host = h;
    s->count = n;
    for (size_t i = 0; i < n; i++) {
        s->partitions[i] = (struct partition){.next = assigned[i].offset, .number = assigned[i].partition};
        snprintf(s->partitions[i].topic, sizeof(s->partitions[i].topic), "%s", assigned[i].topic);
    }
    s->file = fopen(h->get_str(c, "path"), "a");
    if (s->file == NULL) {
        free(s);
        return h->fail(t, LEAT_FAIL, "cannot open %s: %s", h->get_str(c, "path"), strerror(errno));
    }
    *self = s;
    return LEAT_OK;
}

/* All records of a call are of one topic-partition. */
static int lines_put(void *self, const struct leat_record *records, size_t n)
{
    struct lines *s = self;
    for (size_t i = 0; i < n; i++) {
        fwrite(records[i].value, 1, records[i].value_len, s->file);
        if (fputc('\n', s->file) == EOF)
            return s->host->fail(s->task, LEAT_RETRY, "cannot write: %s", strerror(errno));
    }
    for (size_t i = 0; i < s->count; i++) {
        struct partition *p = &s->partitions[i];
        if (p->number == records[0].partition && strcmp(p->topic, records[0].topic) == 0)
            p->next = records[n - 1].offset + 1;
    }
    return LEAT_OK;
}

/* `assigned` has the order of open. What is set there is never given again. */
static int lines_flush(void *self, bool final, struct leat_offset *assigned, size_t n, int64_t *next_ms)
{
    struct lines *s = self;
    bool moved = false;
    (void) final;
    (void)next_ms;
    for (size_t i = 0; i < n; i++)
        moved = moved || s->partitions[i].next != assigned[i].offset;
    if (!moved)
        return LEAT_OK;
    if (fflush(s->file) != 0 || fdatasync(fileno(s->file)) != 0)
        return s->host->fail(s->task, LEAT_RETRY, "cannot write: %s", strerror(errno));
    for (size_t i = 0; i < n; i++)
        assigned[i].offset = s->partitions[i].next;
    return LEAT_OK;
}

static void lines_close(void *self)
{
    struct lines *s = self;
    fclose(s->file);
    free(s);
}

static const struct leat_sink_ops ops = {
    .open = lines_open, .put = lines_put, .flush = lines_flush, .close = lines_close};

static const struct leat_connector lines = {
    .struct_size = sizeof(lines),
    .kind = LEAT_SINK,
    .type = "lines",
    .summary = "Appends values as lines to a file.",
    .doc = "An example of a sink: at least once, not exactly once.",
    .example = "type: lines\npath: /tmp/out.txt",
    .options = options,
    .option_count = sizeof(options) / sizeof(options[0]),
    .sink = &ops,
};

static const struct leat_connector *const connectors[] = {&lines};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {
    LEAT_PLUGIN_HEADER, .name = "lines",          .version = "1.0",
    .built_for = "0.1", .connectors = connectors, .connector_count = 1,
};
