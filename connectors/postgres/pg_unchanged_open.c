/*
 * pg_unchanged_open: the store of last known values opened, marked at the end of each poll, and given up where the disk fails: the
 * source goes on, with placeholders, and a minute later values begin anew. What `leat status` shows of it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kit/options.h"
#include "pg_unchanged_impl.h"

#define OPTION "unavailable.value.fill"
#define AGAIN_MS 60000 /* after the disk failed */
#define TELL_MS 1000

int pg_unchanged_validate(const struct leat_host *h, const struct leat_config *c, struct err *e)
{
    const char *params = h->get_str(c, "slot.stream.params");
    if (strcmp(h->get_str(c, OPTION), "none") == 0)
        return ERR_OK;
    if (strcmp(h->get_str(c, "stream.origin"), "none") == 0 || (params && strstr(params, "origin")))
        return err_set(e, ERR_INVALID_CONFIG,
                       OPTION ": values that changes from elsewhere set are not known where those are left "
                              "out: give up %s or this option",
                       params && strstr(params, "origin") ? "origin in slot.stream.params"
                                                          : "stream.origin: none");
    return ERR_OK;
}

/* ---- open ----------------------------------------------------------------------------------------------------------- */

/* Of all that decides which changes come, and how values look. */
static int make_tag(const struct pg_task *t, uint8_t tag[KEPT_TAG_BYTES], struct err *e)
{
    static const char *const names[] = {"database.dbname", "slot.name", "publication.name",
                                        "slot.stream.params"};
    static const uint8_t key[16] = "last known value";
    struct buf b;
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_printf(&b, e, "%s|%s", t->server.system_id, pg_types_session_options);
    for (size_t i = 0; i < sizeof names / sizeof names[0] && rc == ERR_OK; i++) {
        const char *value = t->host->get_str(t->config, names[i]);
        rc = buf_printf(&b, e, "|%s", value ? value : "");
    }
    if (rc == ERR_OK)
        siphash128(key, b.data, b.len, tag);
    buf_free(&b);
    return rc;
}

static struct kept_place place(const struct pg_task *t)
{
    const struct pg_stored *s = &t->stored;
    return (struct kept_place){{s->lsn_commit, s->partial_lsn, s->partial, s->skip_lsn}};
}

static int open_store(struct pg_unchanged *u, struct err *e)
{
    struct pg_task *t = u->task;
    struct kept_place at = place(t);
    u->options =
        (struct kept_options){.dir = u->dir,
                              .disk_bytes = (uint64_t)t->host->get_int(t->config, OPTION ".disk.bytes"),
                              .memory_bytes = (uint64_t)t->host->get_int(t->config, OPTION ".memory.bytes")};
    if (make_tag(t, u->options.tag, e) != ERR_OK || kept_open(&u->options, &at, &u->store, e) != ERR_OK)
        return e->code;
    if (kept_why(u->store))
        t->host->log(t->task, LEAT_INFO, "last known values begin anew: %s", kept_why(u->store));
    return ERR_OK;
}

static int fail_open(struct pg_task *t, struct err *e)
{
    pg_unchanged_close(t->unchanged);
    t->unchanged = NULL;
    return kit_fail(t->host, t->task, e);
}

int pg_unchanged_open(struct pg_task *t)
{
    struct err e;
    if (strcmp(t->host->get_str(t->config, OPTION), "none") == 0)
        return LEAT_OK;
    struct pg_unchanged *u = t->unchanged = mem_calloc(1, sizeof *u);
    if (!u) {
        err_nomem(&e);
        return kit_fail(t->host, t->task, &e);
    }
    u->task = t;
    buf_init(&u->key, SIZE_MAX / 2);
    buf_init(&u->old_key, SIZE_MAX / 2);
    buf_init(&u->values, SIZE_MAX / 2);
    const char *dir = t->host->keep_dir(t->task);
    if (!dir) {
        pg_unchanged_close(u);
        t->unchanged = NULL;
        return LEAT_RETRY;
    }
    u->tables = map_new();
    u->dir = mem_strdup(dir);
    if (!u->tables || !u->dir) {
        err_nomem(&e);
        return fail_open(t, &e);
    }
    if (open_store(u, &e) != ERR_OK)
        unchanged_give_up(u, &e);
    return LEAT_OK;
}

void pg_unchanged_close(struct pg_unchanged *u)
{
    if (!u)
        return;
    kept_close(u->store);
    if (u->tables)
        map_free(u->tables, unchanged_table_free);
    buf_free(&u->key);
    buf_free(&u->old_key);
    buf_free(&u->values);
    mem_free(u->dir);
    mem_free(u);
}

/* ---- trouble ----------------------------------------------------------------------------------------------------------- */

void unchanged_give_up(struct pg_unchanged *u, const struct err *e)
{
    struct pg_task *t = u->task;
    struct err ignored; /* what stays is of no position that will be asked for */
    size_t pos = 0, n;
    const void *oid;
    void *value;
    t->host->log(t->task, LEAT_WARN,
                 OPTION ": %s: unchanged values are placeholders, and in a minute values begin anew",
                 e->text);
    if (u->store)
        kept_abandon(u->store, &ignored);
    u->store = NULL;
    u->again_ms = clock_mono_ms() + AGAIN_MS;
    while (map_next(u->tables, &pos, &oid, &n, &value)) {
        struct unchanged_table *table = value;
        table->floor = table->segment = 0;
        table->used = table->refused = false;
    }
}

static void try_again(struct pg_unchanged *u)
{
    struct err e;
    static const struct kept_place none = {{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX}};
    if (clock_mono_ms() >= u->again_ms && kept_open(&u->options, &none, &u->store, &e) != ERR_OK)
        unchanged_give_up(u, &e);
}

/* ---- polls ------------------------------------------------------------------------------------------------------------- */

static int tell(struct pg_unchanged *u)
{
    const struct pg_task *t = u->task;
    char key[160], json[256];
    int64_t now = clock_mono_ms();
    if (now - u->told_ms < TELL_MS || (u->told_ms && memcmp(&u->counts, &u->told, sizeof u->told) == 0))
        return LEAT_OK;
    struct kept_stats s = u->store ? kept_stats(u->store) : (struct kept_stats){0};
    u->told_ms = now;
    u->told = u->counts;
    snprintf(key, sizeof key, "unchanged %.128s", t->host->get_str(t->config, "topic.prefix"));
    snprintf(json, sizeof json,
             "{\"filled\": %" PRIu64 ", \"placeholders\": %" PRIu64 ", \"values\": %" PRIu64
             ", \"log_bytes\": %" PRIu64 ", \"dropped\": %" PRIu64 ", \"too_large\": %" PRIu64
             ", \"damaged\": %" PRIu64 "}",
             u->counts.filled, u->counts.left, s.values, s.bytes, s.dropped, u->counts.too_large, s.damaged);
    return t->host->status(t->task, key, json);
}

int pg_unchanged_polled(struct pg_unchanged *u, uint64_t poll)
{
    struct err e;
    struct kept_place at = place(u->task);
    if (!u->store)
        try_again(u);
    if (u->store && kept_mark(u->store, &at, poll, &e) != ERR_OK)
        unchanged_give_up(u, &e);
    return tell(u);
}

void pg_unchanged_durable(struct pg_unchanged *u, uint64_t polls)
{
    struct err e;
    if (u->store && kept_durable(u->store, polls, &e) != ERR_OK)
        unchanged_give_up(u, &e);
}
