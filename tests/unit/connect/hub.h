/*
 * hub: a broker, a client, the test plugins and a worker in a private directory, and what tests ask of them. Texts of
 * configurations may say @ for the directory.
 */
#ifndef LEAT_TESTS_CONNECT_HUB_H
#define LEAT_TESTS_CONNECT_HUB_H

#include <errno.h>
#include <time.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "connect/connect.h"
#include "tests/unit/connect/plugin_dir.h"

#define WAIT_MS TESTKIT_LIMIT_MS

struct hub {
    char *dir;
    struct broker *broker;
    struct client *client;
    struct plugins *plugins;
    struct worker *worker;
    int64_t offsets_retention_ms; /* 0: for ever; else it is looked for all the time */
};

static inline void hub_start(struct hub *h)
{
    struct err e;
    char data[PATH_MAX];
    const char *dirs[] = {plugin_dir()};
    snprintf(data, sizeof(data), "%s/data", h->dir);
    struct broker_options o = {.data_dir = data,
                               .journal_file_bytes = 4 << 20,
                               .offsets_partitions = 2,
                               .txn_partitions = 2,
                               .offsets_retention_ms = h->offsets_retention_ms,
                               .offsets_check_ms = 1};
    assert_ok(broker_open(&h->broker, &o, &e), &e);
    h->client = client_embedded(h->broker, &e);
    assert_non_null(h->client);
    assert_ok(plugins_open(dirs, 1, &h->plugins, &e), &e);
    assert_ok(worker_new(h->client, h->plugins, &h->worker, &e), &e);
}

static inline void hub_stop(struct hub *h)
{
    struct err e;
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    worker_free(h->worker);
    client_close(h->client);
    assert_ok(broker_close(h->broker, &e), &e);
    plugins_close(h->plugins);
}

static inline int hub_setup(void **state)
{
    struct hub *h = calloc(1, sizeof(*h));
    diag_setup(getenv("LEAT_TEST_LOG") != NULL ? DIAG_DEBUG : DIAG_OFF, DIAG_TEXT);
    h->dir = testkit_dir();
    hub_start(h);
    *state = h;
    return 0;
}

static inline int hub_teardown(void **state)
{
    struct hub *h = *state;
    hub_stop(h);
    testkit_remove_dir(h->dir);
    free(h);
    return 0;
}

static inline struct config *hub_config(struct hub *h, const char *text)
{
    struct buf yaml;
    struct err e;
    struct problems problems;
    struct config *c;
    buf_init(&yaml, 1 << 20);
    for (const char *p = text; *p != 0; p++)
        assert_ok(*p == '@' ? buf_str(&yaml, h->dir, &e) : buf_u8(&yaml, (uint8_t)*p, &e), &e);
    problems_init(&problems);
    struct connector_catalog catalog = plugins_catalog(h->plugins);
    int rc = config_parse((const char *)yaml.data, yaml.len, "test.yaml", &catalog, &c, &problems, &e);
    for (size_t i = 0; i < problems.count; i++)
        print_message("%s:%d: %s\n", problems.items[i].file, problems.items[i].line, problems.items[i].text);
    assert_ok(rc, &e);
    problems_free(&problems);
    buf_free(&yaml);
    return c;
}

static inline void hub_apply(struct hub *h, const char *text)
{
    struct err e;
    assert_ok(worker_apply(h->worker, hub_config(h, text), NULL, &e), &e);
}

static inline void pause_a_little(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
}

/* Waits until `done(h, arg)`; fails the test after WAIT_MS. */
static inline void hub_await(struct hub *h, bool (*done)(struct hub *h, const void *arg), const void *arg)
{
    int64_t end = clock_mono_ms() + WAIT_MS;
    while (!done(h, arg)) {
        if (clock_mono_ms() > end)
            fail_msg("waited in vain");
        pause_a_little();
    }
}

/* The status of a connector's task; free with task_status_free(.., 1). */
static inline struct task_status *hub_status(struct hub *h, const char *connector, int index)
{
    struct task_status *list, *found = NULL;
    size_t n;
    struct err e;
    assert_ok(worker_status(h->worker, &list, &n, &e), &e);
    for (size_t i = 0; i < n; i++) {
        if (found != NULL || strcmp(list[i].connector, connector) != 0 || list[i].index != index)
            continue;
        found = mem_dup(&list[i], sizeof(list[i]));
        list[i].pipeline = list[i].connector = list[i].type = list[i].error = NULL;
        list[i].rows = NULL;
    }
    task_status_free(list, n);
    if (found == NULL)
        fail_msg("no task %d of %s", index, connector);
    return found;
}

struct wanted_state {
    const char *connector;
    enum task_state state;
};

static inline bool has_state(struct hub *h, const void *arg)
{
    const struct wanted_state *w = arg;
    struct task_status *s = hub_status(h, w->connector, 0);
    bool has = s->state == w->state;
    task_status_free(s, 1);
    return has;
}

static inline void hub_await_state(struct hub *h, const char *connector, enum task_state state)
{
    struct wanted_state w = {connector, state};
    hub_await(h, has_state, &w);
}

/* The error that a task shows must contain `text`. */
static inline void hub_assert_error(struct hub *h, const char *connector, const char *text)
{
    struct task_status *s = hub_status(h, connector, 0);
    if (s->error == NULL || strstr(s->error, text) == NULL)
        fail_msg("%s: '%s' does not say '%s'", connector, s->error == NULL ? "" : s->error, text);
    task_status_free(s, 1);
}

static inline bool has_no_error(struct hub *h, const void *connector)
{
    struct task_status *s = hub_status(h, connector, 0);
    bool none = s->error == NULL;
    task_status_free(s, 1);
    return none;
}

/* Everything committed in a topic-partition, as "key=value\n" lines; free(). */
static inline char *hub_read(struct hub *h, const char *topic, int32_t partition)
{
    struct err e;
    struct buf out;
    buf_init(&out, 64 << 20);
    struct consumer *c =
        consumer_open(h->client, &(struct consumer_options){.isolation = READ_COMMITTED}, &e);
    assert_non_null(c);
    assert_ok(consumer_assign(c, topic, partition, CONSUMER_EARLIEST, &e), &e);
    while (!consumer_at_end(c)) {
        struct consumed got;
        assert_ok(consumer_poll(c, 0, &got, &e), &e);
        for (size_t i = 0; i < got.n; i++) {
            const struct record *r = &got.records[i];
            assert_ok(buf_printf(&out, &e, "%.*s=%.*s\n", r->key_len < 0 ? 0 : r->key_len,
                                 (const char *)r->key, r->value_len < 0 ? 4 : r->value_len,
                                 r->value == NULL ? "null" : (const char *)r->value),
                      &e);
        }
    }
    consumer_close(c);
    assert_ok(buf_u8(&out, 0, &e), &e);
    char *text = strdup((const char *)out.data);
    buf_free(&out);
    return text;
}

/* The topic has "record 0" to "record n-1", each once, in order. */
static inline void hub_assert_counted(struct hub *h, const char *topic, int n)
{
    char *text = hub_read(h, topic, 0), *at = text;
    for (int i = 0; i < n; i++) {
        char line[64];
        int len = snprintf(line, sizeof(line), "%d=record %d\n", i, i);
        if (strncmp(at, line, (size_t)len) != 0)
            fail_msg("record %d of %s is '%.*s'", i, topic, (int)strcspn(at, "\n"), at);
        at += len;
    }
    if (*at != 0)
        fail_msg("%s goes on with '%.*s'", topic, (int)strcspn(at, "\n"), at);
    free(text);
}

/* A file's text, "" if there is none; free with mem_free. */
static inline char *hub_file(struct hub *h, const char *name)
{
    char path[PATH_MAX], *data;
    size_t n;
    struct err e;
    snprintf(path, sizeof(path), "%s/%s", h->dir, name);
    if (!io_exists(path))
        return mem_strdup("");
    assert_ok(io_read_file(path, 64 << 20, &data, &n, &e), &e);
    return data;
}

static inline int count_of(const char *text, const char *what)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p += strlen(what))
        n++;
    return n;
}

struct wanted_lines {
    const char *file;
    int count;
};

static inline bool has_lines(struct hub *h, const void *arg)
{
    const struct wanted_lines *w = arg;
    char *text = hub_file(h, w->file);
    bool has = count_of(text, "\n") >= w->count;
    mem_free(text);
    return has;
}

static inline void hub_await_lines(struct hub *h, const char *file, int count)
{
    struct wanted_lines w = {file, count};
    hub_await(h, has_lines, &w);
}

/* Committed offset of a sink for partition 0 of the topic, -1 if none. */
static inline int64_t hub_committed(struct hub *h, const char *group, const char *topic)
{
    struct group_info info;
    struct err e;
    int64_t offset = -1;
    if (client_group(h->client, group, &info, &e) != ERR_OK)
        return -1;
    for (size_t i = 0; i < info.count; i++) {
        if (strcmp(info.offsets[i].topic, topic) == 0 && info.offsets[i].partition == 0)
            offset = info.offsets[i].offset;
    }
    group_info_free(&info);
    return offset;
}

/*
 * Runs the paused source gen of `text`, into topic t, with its nth allocation failing, in the task or in the store below it:
 * it completes all the same, with `total` records, each once.
 */
static inline void hub_complete_with_fault(struct hub *h, const char *text, uint64_t nth, int total)
{
    struct err e;
    hub_apply(h, text);
    hub_await_state(h, "gen", TASK_PAUSED);
    fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
    if (worker_pause(h->worker, "gen", false, &e) != ERR_OK) /* it allocates, too */
        assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
    int rc = worker_wait_idle(h->worker, WAIT_MS, &e);
    fault_disarm();
    assert_ok(rc, &e);
    hub_await_state(h, "gen", TASK_COMPLETED);
    hub_assert_counted(h, "t", total);
}

#endif
