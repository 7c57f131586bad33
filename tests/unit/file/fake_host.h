/*
 * A host for one file source task: keeps what was emitted and the positions, both only once a poll has returned LEAT_OK, as
 * the real one's transaction does. Static functions, as the tests of a connector link no common objects.
 */
#ifndef LEAT_TESTS_FAKE_HOST_H
#define LEAT_TESTS_FAKE_HOST_H

#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "connectors/file/file.h"
#include "leat/plugin.h"
#include "tests/lib/fake_config.h"
#include "tests/lib/testkit.h"

#define FAKE __attribute__((unused)) static

struct fake_record {
    char *value, *key, *path, *offset; /* NUL-terminated copies; key, path, offset NULL if absent */
    size_t len;
};

struct fake_position {
    char *partition, *offset; /* offset NULL: removed */
};

struct fake_list {
    struct fake_record *items;
    size_t count, room;
};

struct fake_positions {
    struct fake_position *items;
    size_t count, room;
};

struct leat_task {
    const struct leat_host *host;
    struct leat_config config;
    void *self;
    struct fake_list records, pending;
    struct fake_positions positions, pending_positions;
    bool stopping;
    size_t poll_bytes, most_bytes; /* most_bytes: of one poll, seen */
    size_t fail_emit;              /* emits until one fails; 0: none */
    int index, count;
    int warnings;
    char fail_text[1024];
    char log_text[1024]; /* the last line */
    double files, bytes_behind, partial_bytes, unreadable_files, dropped_lines;
};

/* ---- what the source calls -------------------------------------------------------------------------------------- */

FAKE __attribute__((format(printf, 3, 4))) void fake_log(struct leat_task *t, enum leat_log_level level,
                                                         const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->log_text, sizeof(t->log_text), fmt, ap);
    va_end(ap);
    if (level >= LEAT_WARN)
        t->warnings++;
    if (getenv("FAKE_LOG"))
        fprintf(stderr, "log %d: %s\n", (int)level, t->log_text);
}

FAKE __attribute__((format(printf, 3, 4))) int fake_fail(struct leat_task *t, int result, const char *fmt,
                                                         ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->fail_text, sizeof(t->fail_text), fmt, ap);
    va_end(ap);
    return result;
}

FAKE const char *fake_name(struct leat_task *t)
{
    (void)t;
    return "test";
}

FAKE int fake_index(struct leat_task *t)
{
    return t->index;
}

FAKE int fake_count(struct leat_task *t)
{
    return t->count;
}

FAKE bool fake_stopping(struct leat_task *t)
{
    return t->stopping;
}

FAKE int fake_wait(struct leat_task *t, int fd, int64_t ms)
{
    (void)t;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms < 0 || ms > 20 ? 20 : (int)ms) > 0;
}

FAKE char *fake_copy(const void *data, size_t n)
{
    if (!data)
        return NULL;
    char *p = malloc(n + 1);
    assert_non_null(p);
    memcpy(p, data, n);
    p[n] = '\0';
    return p;
}

FAKE void fake_add(struct fake_list *l, struct fake_record r)
{
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 1024;
        l->items = realloc(l->items, l->room * sizeof(r));
        assert_non_null(l->items);
    }
    l->items[l->count++] = r;
}

FAKE int fake_emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    if (t->fail_emit && --t->fail_emit == 0)
        return fake_fail(t, LEAT_RETRY, "emit failed as asked");
    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const struct leat_record *r = &records[i];
        assert_int_equal(r->struct_size, sizeof(*r));
        assert_int_equal(r->partition, -1);
        struct fake_record copy = {.value = fake_copy(r->value, r->value_len),
                                   .key = fake_copy(r->key, r->key_len),
                                   .len = r->value_len};
        assert_non_null(copy.value);
        for (size_t h = 0; h < r->header_count; h++) {
            char **to = h == 0 ? &copy.path : &copy.offset;
            assert_memory_equal(r->headers[h].key, h == 0 ? "file.path" : "file.offset",
                                r->headers[h].key_len);
            *to = fake_copy(r->headers[h].value, r->headers[h].value_len);
        }
        fake_add(&t->pending, copy);
    }
    return LEAT_OK;
}

FAKE void fake_put(struct fake_positions *p, const char *partition, const char *offset)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].partition, partition) == 0) {
            free(p->items[i].offset);
            p->items[i].offset = offset ? strdup(offset) : NULL;
            return;
        }
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->items = realloc(p->items, p->room * sizeof(*p->items));
        assert_non_null(p->items);
    }
    p->items[p->count++] = (struct fake_position){strdup(partition), offset ? strdup(offset) : NULL};
}

FAKE void fake_take_at(struct fake_positions *p, size_t i)
{
    free(p->items[i].partition);
    free(p->items[i].offset);
    p->items[i] = p->items[--p->count];
}

FAKE void fake_take(struct fake_positions *p, const char *partition)
{
    for (size_t i = 0; i < p->count; i++)
        if (strcmp(p->items[i].partition, partition) == 0) {
            fake_take_at(p, i);
            return;
        }
}

FAKE int fake_set_position(struct leat_task *t, const char *partition, const char *offset)
{
    assert_true(partition[0] == '{' && partition[strlen(partition) - 1] == '}');
    assert_true(!offset || (offset[0] == '{' && offset[strlen(offset) - 1] == '}'));
    fake_put(&t->pending_positions, partition, offset);
    return LEAT_OK;
}

FAKE const char *fake_get_position(struct leat_task *t, const char *partition)
{
    for (size_t i = 0; i < t->positions.count; i++)
        if (strcmp(t->positions.items[i].partition, partition) == 0)
            return t->positions.items[i].offset;
    return NULL;
}

FAKE bool fake_next_position(struct leat_task *t, size_t *cursor, const char **partition, const char **offset)
{
    if (*cursor >= t->positions.count)
        return false;
    *partition = t->positions.items[*cursor].partition;
    *offset = t->positions.items[*cursor].offset;
    ++*cursor;
    return true;
}

FAKE size_t fake_poll_bytes(struct leat_task *t)
{
    return t->poll_bytes;
}

FAKE void fake_gauge(struct leat_task *t, const char *name, double value)
{
    struct {
        const char *name;
        double *to;
    } all[] = {{"files", &t->files},
               {"bytes_behind", &t->bytes_behind},
               {"partial_bytes", &t->partial_bytes},
               {"unreadable_files", &t->unreadable_files},
               {"dropped_lines", &t->dropped_lines}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (strcmp(all[i].name, name) == 0) {
            *all[i].to = value;
            return;
        }
    fail_msg("unknown gauge %s", name);
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
    .emit = fake_emit,
    .set_position = fake_set_position,
    .get_position = fake_get_position,
    .next_position = fake_next_position,
    .poll_bytes = fake_poll_bytes,
    .gauge = fake_gauge,
};

/* ---- what tests call -------------------------------------------------------------------------------------------- */

FAKE void fake_set(struct leat_task *t, const char *name, const char *value)
{
    fake_config_set(&t->config, name, value);
}

/* How tasks learn of changes; a test program runs its tests both ways. */
static const char *fake_watch = "auto";

/* A task that reads `paths` (comma-separated), waiting little. */
FAKE struct leat_task *fake_new(const char *paths)
{
    struct leat_task *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->host = &fake_host;
    fake_config_init(&t->config, &file_source_connector);
    t->count = 1;
    t->poll_bytes = 4 << 20;
    fake_set(t, "paths", paths);
    fake_set(t, "watch", fake_watch);
    fake_set(t, "poll.interval", "5ms");
    fake_set(t, "rescan.interval", "50ms");
    fake_set(t, "rotate.wait", "40ms");
    return t;
}

FAKE void fake_clear(struct fake_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        free(l->items[i].value);
        free(l->items[i].key);
        free(l->items[i].path);
        free(l->items[i].offset);
    }
    l->count = 0;
}

FAKE void fake_clear_positions(struct fake_positions *p)
{
    while (p->count > 0)
        fake_take_at(p, p->count - 1);
}

FAKE int fake_open(struct leat_task *t)
{
    t->fail_text[0] = '\0';
    return file_source_connector.source->open(t, &fake_host, &t->config, &t->self);
}

/* As kill -9 of the host: what was not committed is forgotten. */
FAKE void fake_close(struct leat_task *t)
{
    if (t->self)
        file_source_connector.source->close(t->self);
    t->self = NULL;
    fake_clear(&t->pending);
    fake_clear_positions(&t->pending_positions);
}

FAKE void fake_commit(struct leat_task *t)
{
    size_t bytes = 0;
    for (size_t i = 0; i < t->pending.count; i++) {
        bytes += t->pending.items[i].len;
        fake_add(&t->records, t->pending.items[i]);
    }
    if (bytes > t->most_bytes)
        t->most_bytes = bytes;
    t->pending.count = 0;
    for (size_t i = 0; i < t->pending_positions.count; i++) {
        struct fake_position *p = &t->pending_positions.items[i];
        if (p->offset)
            fake_put(&t->positions, p->partition, p->offset);
        else
            fake_take(&t->positions, p->partition);
    }
    fake_clear_positions(&t->pending_positions);
}

FAKE int fake_poll(struct leat_task *t)
{
    int result = file_source_connector.source->poll(t->self);
    if (result == LEAT_OK)
        fake_commit(t);
    return result;
}

FAKE void fake_start(struct leat_task *t)
{
    if (fake_open(t) != LEAT_OK)
        fail_msg("open: %s", t->fail_text);
}

FAKE void fake_restart(struct leat_task *t)
{
    fake_close(t);
    fake_start(t);
}

/* Polls until there are `n` records, or fails after a long time. */
FAKE void fake_until(struct leat_task *t, size_t n)
{
    int64_t end = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (t->records.count < n) {
        if (fake_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
        if (clock_mono_ms() > end)
            fail_msg("%zu records instead of %zu", t->records.count, n);
    }
    assert_int_equal(t->records.count, n);
}

/* Polls long enough that whatever the source would do it has done: past several scans and waits. */
FAKE void fake_settle(struct leat_task *t)
{
    int64_t end = clock_mono_ms() + 150;
    for (int i = 0; i < 12 || clock_mono_ms() < end; i++)
        if (fake_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
}

FAKE void fake_free(struct leat_task *t)
{
    fake_close(t);
    fake_clear(&t->records);
    free(t->records.items);
    free(t->pending.items);
    fake_clear_positions(&t->positions);
    free(t->positions.items);
    free(t->pending_positions.items);
    fake_config_free(&t->config);
    free(t);
}

#define assert_record(t, i, text)                                                                            \
    do {                                                                                                     \
        assert_true((i) < (t)->records.count);                                                               \
        assert_string_equal((t)->records.items[i].value, text);                                              \
    } while (0)

/* Exactly these records, in this order. */
FAKE void assert_records(struct leat_task *t, const char *const *values, size_t n)
{
    for (size_t i = 0; i < n && i < t->records.count; i++)
        assert_string_equal(t->records.items[i].value, values[i]);
    assert_int_equal(t->records.count, n);
}
#define expect(t, ...)                                                                                       \
    assert_records(t, (const char *const[]){__VA_ARGS__},                                                    \
                   sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

#endif
