/*
 * A Postgres source over a host that commits when it is told, against a server of its own. What a poll emits and sets is pending
 * until rig_commit; rig_crash forgets it, as kill -9 would. Static, as the tests of a connector link no common objects.
 */
#ifndef LEAT_TESTS_PG_SOURCE_RIG_H
#define LEAT_TESTS_PG_SOURCE_RIG_H

#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>

#include "base/io.h"
#include "connectors/postgres/pg_source.h"
#include "tests/lib/fake_config.h"
#include "tests/lib/postgres.h"
#include "tests/lib/testkit.h"

#define RIG __attribute__((unused)) static
#define PATIENCE 100000 /* polls, of which each that finds nothing waits 20 ms: only a hang takes so many */

struct rig_list {
    char **items; /* "topic key value" */
    size_t count;
};

/* Where a snapshot's table or a signal's work is. */
struct rig_place {
    char *partition, *offset, *next; /* offset NULL: none; next: pending */
    bool set;                        /* next is to become offset, and may be none */
};
#define RIG_PLACES_MAX 32

struct leat_task {
    struct leat_config config;
    struct postgres *server;
    void *self;
    struct rig_list records, pending;
    char *position, *next; /* of the one partition; next: pending */
    char partition[128];
    struct rig_place places[RIG_PLACES_MAX]; /* of other partitions */
    size_t place_count;
    struct leat_signal signal; /* that comes next */
    uint64_t polls;
    size_t poll_bytes;
    atomic_bool stopping;                /* also asked for by threads of the source, and set by a signal */
    unsigned stop_in;                    /* looks until it is asked to stop; 0: it is not */
    void (*looked)(struct leat_task *t); /* called when it looks whether it is; NULL: nothing */
    char *dir, *kept;
    char fail_text[1024], log_text[4096];
    char unchanged[512]; /* the row of `leat status` of that name */
};

/* ---- the host --------------------------------------------------------------------------------------------------- */

RIG __attribute__((format(printf, 3, 4))) void rig_log(struct leat_task *t, enum leat_log_level level,
                                                       const char *fmt, ...)
{
    va_list ap;
    (void)level;
    va_start(ap, fmt);
    vsnprintf(t->log_text, sizeof t->log_text, fmt, ap);
    va_end(ap);
}

RIG __attribute__((format(printf, 3, 4))) int rig_fail(struct leat_task *t, int result, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(t->fail_text, sizeof t->fail_text, fmt, ap);
    va_end(ap);
    return result;
}

RIG const char *rig_name(struct leat_task *t)
{
    (void)t;
    return "test";
}

RIG int rig_zero(struct leat_task *t)
{
    (void)t;
    return 0;
}

RIG bool rig_stopping(struct leat_task *t)
{
    if (t->stop_in && --t->stop_in == 0)
        t->stopping = true;
    if (t->looked)
        t->looked(t);
    return t->stopping;
}

RIG int rig_wait(struct leat_task *t, int fd, int64_t ms)
{
    (void)t;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, fd >= 0, ms < 0 || ms > 20 ? 20 : (int)ms) > 0;
}

RIG void rig_add(struct rig_list *l, char *item)
{
    l->items = realloc(l->items, (l->count + 1) * sizeof *l->items);
    assert_non_null(l->items);
    l->items[l->count++] = item;
}

RIG int rig_emit(struct leat_task *t, const struct leat_record *records, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct leat_record *r = &records[i];
        char *text = NULL;
        assert_true(asprintf(&text, "%s %.*s %.*s", r->topic, (int)r->key_len,
                             r->key ? (const char *)r->key : "", (int)r->value_len,
                             r->value ? (const char *)r->value : "") > 0);
        rig_add(&t->pending, text);
    }
    return LEAT_OK;
}

#define RIG_PARTITION "{\"server\":\"t\"}"

RIG struct rig_place *rig_place(struct leat_task *t, const char *partition)
{
    size_t i = 0;
    while (i < t->place_count && strcmp(t->places[i].partition, partition) != 0)
        i++;
    if (i == t->place_count) {
        assert_true(i < RIG_PLACES_MAX);
        t->places[t->place_count++] = (struct rig_place){.partition = strdup(partition)};
    }
    return &t->places[i];
}

RIG int rig_set_position(struct leat_task *t, const char *partition, const char *offset)
{
    if (strcmp(partition, RIG_PARTITION) != 0) {
        struct rig_place *p = rig_place(t, partition);
        free(p->next);
        p->next = offset ? strdup(offset) : NULL;
        p->set = true;
        return LEAT_OK;
    }
    free(t->next);
    t->next = strdup(offset);
    return LEAT_OK;
}

RIG const char *rig_get_position(struct leat_task *t, const char *partition)
{
    if (strcmp(partition, RIG_PARTITION) == 0)
        return t->position;
    const struct rig_place *p = rig_place(t, partition);
    return p->set ? p->next : p->offset;
}

RIG bool rig_next_position(struct leat_task *t, size_t *cursor, const char **partition, const char **offset)
{
    for (; *cursor <= t->place_count; ++*cursor) {
        *partition = *cursor == 0 ? RIG_PARTITION : t->places[*cursor - 1].partition;
        *offset = rig_get_position(t, *partition);
        if (*offset) {
            ++*cursor;
            return true;
        }
    }
    return false;
}

RIG size_t rig_poll_bytes(struct leat_task *t)
{
    return t->poll_bytes;
}

RIG void rig_gauge(struct leat_task *t, const char *name, double value)
{
    (void)t;
    (void)name;
    (void)value;
}

RIG const char *rig_work_dir(struct leat_task *t)
{
    return t->dir;
}

RIG const char *rig_keep_dir(struct leat_task *t)
{
    return t->kept;
}

RIG bool rig_schemas(struct leat_task *t, bool key)
{
    (void)t;
    (void)key;
    return false;
}

RIG enum leat_converter rig_converter(struct leat_task *t, bool key)
{
    (void)t;
    (void)key;
    return LEAT_CONVERTER_JSON;
}

RIG int rig_next_signal(struct leat_task *t, struct leat_signal *out)
{
    *out = t->signal;
    t->signal = (struct leat_signal){.type = NULL};
    return LEAT_OK;
}

RIG int rig_signal_topic(struct leat_task *t, const char *topic, const char *key)
{
    return rig_fail(t, LEAT_FAIL, "no signals from %s by %s here", topic, key);
}

RIG int rig_status(struct leat_task *t, const char *key, const char *json)
{
    if (strncmp(key, "unchanged ", 10) == 0)
        snprintf(t->unchanged, sizeof t->unchanged, "%s", json);
    return LEAT_OK;
}

static const struct leat_host rig_host = {
    .abi_version = LEAT_ABI_VERSION,
    .struct_size = sizeof(struct leat_host),
    .version = "test",
    .log = rig_log,
    .fail = rig_fail,
    FAKE_CONFIG_GETTERS,
    .task_pipeline = rig_name,
    .task_name = rig_name,
    .task_index = rig_zero,
    .task_count = rig_zero,
    .stopping = rig_stopping,
    .wait = rig_wait,
    .emit = rig_emit,
    .set_position = rig_set_position,
    .get_position = rig_get_position,
    .next_position = rig_next_position,
    .poll_bytes = rig_poll_bytes,
    .gauge = rig_gauge,
    .converter = rig_converter,
    .work_dir = rig_work_dir,
    .keep_dir = rig_keep_dir,
    .schemas_enabled = rig_schemas,
    .next_signal = rig_next_signal,
    .signal_topic = rig_signal_topic,
    .status = rig_status,
};

/* ---- what tests call -------------------------------------------------------------------------------------------- */

RIG void rig_set(struct leat_task *t, const char *name, const char *value)
{
    fake_config_set(&t->config, name, value);
}

/* A source of a new database with this in it. */
RIG struct leat_task *rig_new(struct postgres *server, const char *database, const char *sql)
{
    struct leat_task *t = calloc(1, sizeof *t);
    char create[128];
    assert_non_null(t);
    snprintf(create, sizeof create, "CREATE DATABASE %s", database);
    postgres_run(server, "postgres", create);
    postgres_run(server, database, sql);
    t->server = server;
    t->poll_bytes = 1 << 20;
    t->dir = testkit_dir();
    t->kept = testkit_dir();
    fake_config_init(&t->config, &pg_source_connector);
    rig_set(t, "database.hostname", postgres_host(server));
    rig_set(t, "database.port", postgres_port(server));
    rig_set(t, "database.user", "postgres");
    rig_set(t, "database.dbname", database);
    rig_set(t, "topic.prefix", "t");
    rig_set(t, "slot.name", database);
    rig_set(t, "publication.name", database);
    rig_set(t, "snapshot.mode", "no_data");
    rig_set(t, "status.update.interval.ms", "10ms");
    return t;
}

RIG void rig_open(struct leat_task *t)
{
    t->polls = 0;
    /* The server takes a moment to see that the last connection is gone. */
    for (int i = 0; i < PATIENCE; i++) {
        int rc = pg_source_ops.open(t, &rig_host, &t->config, &t->self);
        if (rc == LEAT_OK)
            return;
        if (rc != LEAT_RETRY)
            fail_msg("open: %s", t->fail_text);
        poll(NULL, 0, 10);
    }
    fail_msg("open, again and again: %s", t->fail_text);
}

RIG int rig_poll(struct leat_task *t)
{
    int rc = pg_source_ops.poll(t->self);
    if (rc == LEAT_OK)
        t->polls++;
    return rc;
}

RIG void rig_commit(struct leat_task *t)
{
    for (size_t i = 0; i < t->pending.count; i++)
        rig_add(&t->records, t->pending.items[i]);
    t->pending.count = 0;
    if (t->next) {
        free(t->position);
        t->position = t->next;
        t->next = NULL;
    }
    for (size_t i = 0; i < t->place_count; i++) {
        struct rig_place *p = &t->places[i];
        if (!p->set)
            continue;
        free(p->offset);
        p->offset = p->next;
        p->next = NULL;
        p->set = false;
    }
}

RIG void rig_durable(struct leat_task *t)
{
    assert_int_equal(pg_source_ops.durable(t->self, t->polls), LEAT_OK);
}

RIG void rig_crash(struct leat_task *t)
{
    if (t->self)
        pg_source_ops.close(t->self);
    t->self = NULL;
    for (size_t i = 0; i < t->pending.count; i++)
        free(t->pending.items[i]);
    t->pending.count = 0;
    free(t->next);
    t->next = NULL;
    for (size_t i = 0; i < t->place_count; i++) {
        free(t->places[i].next);
        t->places[i].next = NULL;
        t->places[i].set = false;
    }
}

/* Polls and commits until there are `n` records. */
RIG void rig_until(struct leat_task *t, size_t n)
{
    for (int i = 0; t->records.count < n && i < PATIENCE; i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
        rig_commit(t);
    }
    assert_int_equal(t->records.count, n);
}

RIG void rig_free(struct leat_task *t)
{
    rig_crash(t);
    for (size_t i = 0; i < t->records.count; i++)
        free(t->records.items[i]);
    free(t->records.items);
    free(t->pending.items);
    free(t->position);
    for (size_t i = 0; i < t->place_count; i++) {
        free(t->places[i].partition);
        free(t->places[i].offset);
    }
    testkit_remove_dir(t->dir);
    testkit_remove_dir(t->kept);
    fake_config_free(&t->config);
    free(t);
}

/* A number that the record has behind `"name":`. */
RIG uint64_t rig_number(const char *record, const char *name)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *p = strstr(record, wanted);
    assert_non_null(p);
    return strtoull(p + strlen(wanted), NULL, 10);
}

#endif
