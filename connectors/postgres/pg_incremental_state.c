/*
 * pg_incremental_state: the requests and how far the first of them is, in the store beside the rows:
 *
 *   {"server":"<prefix>","incremental":"queue"} -> {"state":"<JSON>"}
 *   {"requests":[{"id","blocking","started","surrogate","tables":[{"id","condition"}]}],"last":[..],"max":[..],"rows",
 *    "paused"}
 *
 * A text within the offset, as offsets have scalars only. Task's thread.
 */
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "base/mem.h"
#include "pg_incremental.h"

#define STATE_MAX 60000 /* the host takes offsets of 64 KiB */
#define KEYS_ROOM                                                                                            \
    12000 /* of it for a table's keys: two rows of an index, which have at most 2704 bytes, escaped */

/* ---- life --------------------------------------------------------------------------------------------------------- */

void inc_table_free(struct inc_table *t)
{
    while (t) {
        struct inc_table *next = t->next;
        mem_free(t->id);
        mem_free(t->condition);
        mem_free(t);
        t = next;
    }
}

void inc_request_free(struct inc_request *r)
{
    if (!r)
        return;
    inc_table_free(r->tables);
    mem_free(r->id);
    mem_free(r->surrogate);
    mem_free(r);
}

void inc_progress_clear(struct inc_progress *p)
{
    for (size_t i = 0; i < INC_KEY_MAX; i++) {
        mem_free(p->last[i]);
        mem_free(p->max[i]);
    }
    *p = (struct inc_progress){0};
}

void inc_state_clear(struct inc_state *s)
{
    while (s->requests) {
        struct inc_request *r = s->requests;
        s->requests = r->next;
        inc_request_free(r);
    }
    inc_progress_clear(&s->progress);
    *s = (struct inc_state){0};
}

char *inc_table_ids(const struct inc_table *tables)
{
    struct buf b;
    struct err e;
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_reserve(&b, 1, &e);
    for (const struct inc_table *t = tables; t && rc == ERR_OK; t = t->next)
        if ((rc = buf_str(&b, t->id, &e)) == ERR_OK && t->next)
            rc = buf_u8(&b, ',', &e);
    char *ids = rc == ERR_OK ? mem_strndup((const char *)b.data, b.len) : NULL;
    buf_free(&b);
    return ids;
}

/* ---- writing ------------------------------------------------------------------------------------------------------ */

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* Adds the item to the list; NULL for either: the list is given up (what holds it becomes NULL too). */
static json_t *with(json_t *list, json_t *item)
{
    if (list && json_array_append_new(list, item) == 0)
        return list;
    json_decref(list);
    return NULL;
}

static json_t *tables_json(const struct inc_table *t)
{
    json_t *list = json_array();
    for (; t; t = t->next)
        list = with(list, json_pack("{s:s,s:o}", "id", t->id, "condition", text_or_null(t->condition)));
    return list;
}

static json_t *requests_json(const struct inc_request *r)
{
    json_t *list = json_array();
    for (; r; r = r->next)
        list = with(list, json_pack("{s:s,s:b,s:b,s:o,s:o}", "id", r->id, "blocking", r->blocking, "started",
                                    r->started, "surrogate", text_or_null(r->surrogate), "tables",
                                    tables_json(r->tables)));
    return list;
}

static json_t *values_json(char *const *values, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n && values[i]; i++)
        list = with(list, json_string(values[i]));
    return list;
}

/* {"state":"..."}, to be given to free(). NULL: out of memory, or a text that is not UTF-8. */
static char *offset_text(const struct inc_state *s)
{
    const struct inc_progress *p = &s->progress;
    json_t *j = json_pack("{s:o,s:o,s:o,s:I,s:b}", "requests", requests_json(s->requests), "last",
                          values_json(p->last, p->n), "max", values_json(p->max, p->n), "rows",
                          (json_int_t)p->rows, "paused", s->paused);
    char *inner = j ? json_dumps(j, JSON_COMPACT) : NULL;
    json_t *outer = inner ? json_pack("{s:s}", "state", inner) : NULL;
    char *text = outer ? json_dumps(outer, JSON_COMPACT) : NULL;
    json_decref(outer);
    free(inner);
    json_decref(j);
    return text;
}

/* {"server":"..","incremental":"queue"} with a NUL. */
static int partition(struct pg_task *t, struct buf *b, struct err *e)
{
    const char *server = t->host->get_str(t->config, "topic.prefix");
    int rc = buf_str(b, "{\"server\":", e);
    if (rc == ERR_OK)
        rc = buf_json_str(b, server, strlen(server), e);
    return rc == ERR_OK ? buf_append(b, ",\"incremental\":\"queue\"}", 24, e) : rc;
}

/* The text, to be given to free(), if it has at most `max` bytes. */
static int bounded_text(const struct inc_state *s, size_t max, char **out, struct err *e)
{
    *out = offset_text(s);
    if (!*out)
        return err_set(
            e, ERR_INVALID_RECORD,
            "the state of incremental snapshots cannot be written: a key's value or a signal is not "
            "UTF-8");
    if (strlen(*out) > max)
        return err_set(
            e, ERR_TOO_LARGE,
            "the incremental snapshots that are asked for have too many tables to be remembered: ask "
            "for fewer at a time");
    return ERR_OK;
}

int inc_state_fits(const struct inc_state *s, struct err *e)
{
    char *text;
    int rc = bounded_text(s, STATE_MAX - KEYS_ROOM, &text, e);
    free(text);
    return rc;
}

int inc_state_store(struct pg_task *t, const struct inc_state *s)
{
    struct buf b;
    struct err e;
    char *text;
    buf_init(&b, STATE_MAX);
    int rc = bounded_text(s, STATE_MAX, &text, &e);
    if (rc == ERR_OK)
        rc = partition(t, &b, &e);
    rc = rc == ERR_OK ? t->host->set_position(t->task, (const char *)b.data, text) : snap_fail(t, &e);
    free(text);
    buf_free(&b);
    return rc;
}

/* ---- reading ------------------------------------------------------------------------------------------------------ */

static int copy_text(const json_t *j, char **out, struct err *e)
{
    *out = json_is_string(j) ? mem_strdup(json_string_value(j)) : NULL;
    return json_is_string(j) && !*out ? err_nomem(e) : ERR_OK;
}

static int read_tables(const json_t *list, struct inc_table **tail, struct err *e)
{
    size_t i;
    const json_t *j;
    json_array_foreach(list, i, j)
    {
        struct inc_table *t = mem_calloc(1, sizeof *t);
        if (!t)
            return err_nomem(e);
        *tail = t;
        tail = &t->next;
        if (copy_text(json_object_get(j, "id"), &t->id, e) != ERR_OK ||
            copy_text(json_object_get(j, "condition"), &t->condition, e) != ERR_OK)
            return e->code;
        if (!t->id)
            return err_set(e, ERR_CORRUPT, "a table without id");
    }
    return ERR_OK;
}

static int read_requests(const json_t *list, struct inc_request **tail, struct err *e)
{
    size_t i;
    const json_t *j;
    json_array_foreach(list, i, j)
    {
        struct inc_request *r = mem_calloc(1, sizeof *r);
        if (!r)
            return err_nomem(e);
        *tail = r;
        tail = &r->next;
        r->blocking = json_is_true(json_object_get(j, "blocking"));
        r->started = json_is_true(json_object_get(j, "started"));
        if (copy_text(json_object_get(j, "id"), &r->id, e) != ERR_OK ||
            copy_text(json_object_get(j, "surrogate"), &r->surrogate, e) != ERR_OK ||
            read_tables(json_object_get(j, "tables"), &r->tables, e) != ERR_OK)
            return e->code;
        if (!r->id)
            return err_set(e, ERR_CORRUPT, "a request without id");
    }
    return ERR_OK;
}

static int read_values(const json_t *list, char **out, struct err *e)
{
    size_t i;
    const json_t *j;
    if (json_array_size(list) > INC_KEY_MAX)
        return err_set(e, ERR_CORRUPT, "a key of too many columns");
    json_array_foreach(list, i, j)
    {
        if (copy_text(j, &out[i], e) != ERR_OK)
            return e->code;
        if (!out[i])
            return err_set(e, ERR_CORRUPT, "a key's value that is no text");
    }
    return ERR_OK;
}

static int read_state(const json_t *j, struct inc_state *s, struct err *e)
{
    struct inc_progress *p = &s->progress;
    int rc = read_requests(json_object_get(j, "requests"), &s->requests, e);
    if (rc == ERR_OK)
        rc = read_values(json_object_get(j, "last"), p->last, e);
    if (rc == ERR_OK)
        rc = read_values(json_object_get(j, "max"), p->max, e);
    p->n = json_array_size(json_object_get(j, "max"));
    p->rows = (uint64_t)json_integer_value(json_object_get(j, "rows"));
    s->paused = json_is_true(json_object_get(j, "paused"));
    size_t last = json_array_size(json_object_get(j, "last"));
    if (rc == ERR_OK && last && last != p->n)
        rc = err_set(e, ERR_CORRUPT, "keys of different lengths");
    return rc;
}

int inc_state_load(struct pg_task *t, struct inc_state *s, struct err *e)
{
    struct buf b;
    buf_init(&b, STATE_MAX);
    *s = (struct inc_state){0};
    int rc = partition(t, &b, e);
    const char *offset = rc == ERR_OK ? t->host->get_position(t->task, (const char *)b.data) : NULL;
    if (offset) {
        json_t *outer = json_loads(offset, 0, NULL);
        const char *inner = json_string_value(json_object_get(outer, "state"));
        json_t *j = inner ? json_loads(inner, 0, NULL) : NULL;
        rc = json_is_object(j) ? read_state(j, s, e)
                               : err_set(e, ERR_CORRUPT, "it is not one of this connector");
        if (rc == ERR_CORRUPT)
            err_wrap(e, "the stored state of incremental snapshots");
        json_decref(j);
        json_decref(outer);
    }
    if (rc != ERR_OK)
        inc_state_clear(s);
    buf_free(&b);
    return rc;
}
