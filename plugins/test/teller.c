/*
 * teller: a source for the tests of what the host does for change data capture: counts records up as generator does, without
 * end, and writes down what it is told (the file of the option log, one line a call).
 */
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "leat/plugin.h"

#define POLLS_MAX 100000

struct teller {
    struct leat_task *task;
    const struct leat_host *host;
    const struct leat_config *config;
    FILE *log;
    int64_t total, per_poll, next, fail_at;
    const char *fail_signal;
    bool takes;
    uint64_t polls, told;
    int64_t next_after[POLLS_MAX]; /* by polls */
};

static const struct leat_option options[] = {
    {.name = "log",
     .type = LEAT_STRING,
     .flags = LEAT_REQUIRED,
     .doc = "Where calls are written.",
     .example = "/tmp/log"},
    {.name = "total",
     .type = LEAT_INT,
     .default_value = "10",
     .min = 0,
     .max = 1000000000,
     .doc = "Then it waits."},
    {.name = "per.poll",
     .type = LEAT_INT,
     .default_value = "3",
     .min = 1,
     .max = 1000,
     .doc = "Records a poll."},
    {.name = "waits",
     .type = LEAT_BOOL,
     .default_value = "true",
     .doc = "Waits when there is nothing, or returns."},
    {.name = "fail.at",
     .type = LEAT_INT,
     .default_value = "-1",
     .min = -1,
     .max = 1000000000,
     .doc = "Record before which it fails, once an open."},
    {.name = "signal.topic", .type = LEAT_STRING, .doc = "Signals also come from here, with the key me."},
    {.name = "takes", .type = LEAT_BOOL, .default_value = "true", .doc = "Whether it asks for signals."},
    {.name = "fail.signal",
     .type = LEAT_STRING,
     .doc = "After taking a signal of this type it fails, once an open."},
    {.name = "fail.opens",
     .type = LEAT_INT,
     .default_value = "1000000",
     .min = 0,
     .max = 1000000,
     .doc = "That fail so, counted by the log."},
    {.name = "work",
     .type = LEAT_BOOL,
     .default_value = "false",
     .doc = "Puts a file into its work directory."},
    {.name = "keep",
     .type = LEAT_BOOL,
     .default_value = "false",
     .doc = "Puts a file into the directory of what it keeps."},
};

static void say(struct teller *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct teller *s, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(s->log, fmt, ap);
    va_end(ap);
    fflush(s->log);
}

/* How often the log has the word at a line's beginning. */
static int64_t logged(const struct teller *s, const char *word)
{
    char line[4096];
    int64_t n = 0;
    FILE *f = fopen(s->host->get_str(s->config, "log"), "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        n += strncmp(line, word, strlen(word)) == 0;
    if (f != NULL)
        fclose(f);
    return n;
}

/* Tells how many files were there. */
static int use_dir(struct teller *s, const char *kind, const char *(*get)(struct leat_task *t))
{
    const char *dir = get(s->task);
    char path[4096];
    int files = 0;
    if (dir == NULL)
        return LEAT_FAIL;
    DIR *d = opendir(dir);
    if (d == NULL)
        return s->host->fail(s->task, LEAT_FAIL, "cannot open %s", dir);
    while (readdir(d) != NULL)
        files++;
    closedir(d);
    snprintf(path, sizeof(path), "%s/spool", dir);
    FILE *f = fopen(path, "w");
    if (f == NULL || get(s->task) == NULL)
        return s->host->fail(s->task, LEAT_FAIL, "cannot write %s", path);
    fclose(f);
    say(s, "%s %d %s\n", kind, files - 2, dir);
    return LEAT_OK;
}

static int open_source(struct leat_task *t, const struct leat_host *h, const struct leat_config *c,
                       void **self)
{
    struct teller *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return h->fail(t, LEAT_RETRY, "out of memory");
    s->task = t;
    s->host = h;
    s->config = c;
    s->total = h->get_int(c, "total");
    s->per_poll = h->get_int(c, "per.poll");
    s->fail_at = h->get_int(c, "fail.at");
    s->takes = h->get_bool(c, "takes");
    s->fail_signal = logged(s, "open ") < h->get_int(c, "fail.opens") ? h->get_str(c, "fail.signal") : NULL;
    s->log = fopen(h->get_str(c, "log"), "a");
    const char *position = h->get_position(t, "{}");
    int rc = s->log == NULL ? h->fail(t, LEAT_FAIL, "cannot open its log") : LEAT_OK;
    if (rc == LEAT_OK && position != NULL && sscanf(position, "{\"next\":%lld}", (long long *)&s->next) != 1)
        rc = h->fail(t, LEAT_FAIL, "no position: %s", position);
    if (rc == LEAT_OK)
        say(s, "open %lld schemas %d %d\n", (long long)s->next, h->schemas_enabled(t, true),
            h->schemas_enabled(t, false));
    if (rc == LEAT_OK && h->get_bool(c, "work"))
        rc = use_dir(s, "work", s->host->work_dir);
    if (rc == LEAT_OK && h->get_bool(c, "keep"))
        rc = use_dir(s, "keep", h->keep_dir);
    if (rc == LEAT_OK && h->get_str(c, "signal.topic") != NULL)
        rc = h->signal_topic(t, h->get_str(c, "signal.topic"), "me");
    size_t cursor = 0;
    const char *partition, *offset;
    while (rc == LEAT_OK && h->next_position(t, &cursor, &partition, &offset))
        if (strcmp(partition, "{}") != 0)
            rc = h->fail(t, LEAT_FAIL, "a position that is not ours: %s", partition);
    if (rc == LEAT_OK) {
        *self = s;
        return LEAT_OK;
    }
    if (s->log != NULL)
        fclose(s->log);
    free(s);
    return rc;
}

static int emit(struct teller *s)
{
    char key[32], value[64], offset[64];
    int64_t end = s->next + s->per_poll < s->total ? s->next + s->per_poll : s->total;
    for (; s->next < end; s->next++) {
        struct leat_record r = {
            .struct_size = sizeof(r), .partition = -1, .timestamp = -1, .key = key, .value = value};
        if (s->next == s->fail_at) {
            s->fail_at = -1;
            return s->host->fail(s->task, LEAT_RETRY, "fails at %lld as asked", (long long)s->next);
        }
        r.key_len = (size_t)snprintf(key, sizeof(key), "%lld", (long long)s->next);
        r.value_len = (size_t)snprintf(value, sizeof(value), "record %lld", (long long)s->next);
        int rc = s->host->emit(s->task, &r, 1);
        if (rc != LEAT_OK)
            return rc;
    }
    snprintf(offset, sizeof(offset), "{\"next\": %lld}", (long long)s->next);
    return s->host->set_position(s->task, "{}", offset);
}

/*
 * "row KEY": sets a row of status to the data; "say": emits a record with the data, "to TOPIC" too; every signal is written down.
 * What is emitted tells the tests that a signal's place is stored together with it.
 */
static int take_signals(struct teller *s, bool *any)
{
    struct leat_signal got;
    int rc = s->takes ? s->host->next_signal(s->task, &got) : LEAT_OK;
    for (; rc == LEAT_OK && s->takes && got.type != NULL; rc = s->host->next_signal(s->task, &got)) {
        struct leat_record r = {.struct_size = sizeof(r), .partition = -1, .timestamp = -1};
        *any = true;
        say(s, "signal %s %s %s\n", got.id, got.type, got.data == NULL ? "-" : got.data);
        if (s->fail_signal != NULL && strcmp(got.type, s->fail_signal) == 0) {
            s->fail_signal = NULL;
            return s->host->fail(s->task, LEAT_RETRY, "fails at the signal as asked");
        }
        if (strncmp(got.type, "row ", 4) == 0) {
            rc = s->host->status(s->task, got.type + 4, got.data);
        } else if (strcmp(got.type, "say") == 0 || strncmp(got.type, "to ", 3) == 0) {
            r.topic = got.type[0] == 't' ? got.type + 3 : NULL;
            r.key = got.data;
            r.key_len = strlen(got.data);
            r.value = got.data;
            r.value_len = strlen(got.data);
            rc = s->host->emit(s->task, &r, 1);
        }
        if (rc != LEAT_OK)
            return rc;
    }
    return rc;
}

static int poll_source(void *self)
{
    struct teller *s = self;
    bool any = false;
    int rc = take_signals(s, &any);
    if (rc != LEAT_OK)
        return rc;
    if (s->polls > s->told)
        s->host->gauge(s->task, "overlapped", 1);
    if (s->next < s->total)
        rc = emit(s);
    else if (!any &&
             s->host->get_bool(s->config, "waits")) /* what was emitted is committed when poll returns */
        s->host->wait(s->task, -1, -1);
    s->polls++;
    if (s->polls < POLLS_MAX)
        s->next_after[s->polls] = s->next;
    return rc;
}

static int durable(void *self, uint64_t polls)
{
    struct teller *s = self;
    if (polls > s->polls || polls <= s->told)
        return s->host->fail(s->task, LEAT_FAIL, "durable: %llu after %llu, of %llu polls",
                             (unsigned long long)polls, (unsigned long long)s->told,
                             (unsigned long long)s->polls);
    s->told = polls;
    if (polls < POLLS_MAX)
        say(s, "durable %lld\n", (long long)s->next_after[polls]);
    return LEAT_OK;
}

static void close_source(void *self)
{
    struct teller *s = self;
    say(s, "close %lld of %lld\n", (long long)s->told, (long long)s->polls);
    fclose(s->log);
    free(s);
}

static const struct leat_source_ops ops = {
    .open = open_source, .poll = poll_source, .close = close_source, .durable = durable};

static const struct leat_connector teller = {.struct_size = sizeof(teller),
                                             .kind = LEAT_SOURCE,
                                             .type = "teller",
                                             .summary = "Counts and writes down what it is told, for tests.",
                                             .doc = "For the tests of the worker.",
                                             .example = "type: teller\nlog: /tmp/log",
                                             .options = options,
                                             .option_count = sizeof(options) / sizeof(options[0]),
                                             .exact = true,
                                             .source = &ops,
                                             .flags = LEAT_WRITES_SCHEMAS | LEAT_TAKES_SIGNALS};

/* The same, whose records name their topics. */
static const struct leat_connector namer = {.struct_size = sizeof(namer),
                                            .kind = LEAT_SOURCE,
                                            .type = "namer",
                                            .summary = "Names its topics as it is told, for tests.",
                                            .doc = "For the tests of the worker.",
                                            .example = "type: namer\nlog: /tmp/log",
                                            .options = options,
                                            .option_count = sizeof(options) / sizeof(options[0]),
                                            .exact = true,
                                            .source = &ops,
                                            .flags = LEAT_TAKES_SIGNALS | LEAT_NAMES_TOPICS};

static const struct leat_connector *const connectors[] = {&teller, &namer};

LEAT_EXPORT extern const struct leat_plugin leat_plugin;
const struct leat_plugin leat_plugin = {LEAT_PLUGIN_HEADER,  .name = "teller",         .version = "1.0",
                                        .built_for = "test", .connectors = connectors, .connector_count = 2};
