/*
 * pg_signal: Debezium's signals. execute-snapshot {"type":"INCREMENTAL|BLOCKING","data-collections":[..],
 * "additional-conditions":[{"data-collection","filter"}],"surrogate-key"}; stop-snapshot {"type","data-collections"?};
 * pause-snapshot; resume-snapshot; log {"message"}; and the watermarks snapshot-window-open and -close. Any thread.
 */
#include "pg_signal.h"

#include <jansson.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

#define COLLECTIONS_MAX 10000

static const struct {
    const char *type;
    enum pg_signal_kind kind;
} kinds[] = {
    {"execute-snapshot", PG_SIGNAL_EXECUTE},
    {"stop-snapshot", PG_SIGNAL_STOP},
    {"pause-snapshot", PG_SIGNAL_PAUSE},
    {"resume-snapshot", PG_SIGNAL_RESUME},
    {"log", PG_SIGNAL_LOG},
    {"snapshot-window-open", PG_SIGNAL_WINDOW_OPEN},
    {"snapshot-window-close", PG_SIGNAL_WINDOW_CLOSE},
};

static int find_kind(const char *type, enum pg_signal_kind *out, struct err *e)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].type, type) == 0) {
            *out = kinds[i].kind;
            return ERR_OK;
        }
    return err_set(e, ERR_UNSUPPORTED, "signal type \"%.64s\" is not known", type);
}

/* A member that is a text; *out stays NULL where there is none (or null). */
static int text_member(const json_t *data, const char *name, bool required, char **out, struct err *e)
{
    const json_t *j = json_object_get(data, name);
    if (!j || json_is_null(j))
        return required ? err_set(e, ERR_INVALID, "the signal's data has no \"%s\"", name) : ERR_OK;
    if (!json_is_string(j))
        return err_set(e, ERR_INVALID, "\"%s\" of the signal's data is not a text", name);
    *out = mem_strdup(json_string_value(j));
    return *out ? ERR_OK : err_nomem(e);
}

static int read_type(const json_t *data, struct pg_signal *s, struct err *e)
{
    char *type = NULL;
    int rc = text_member(data, "type", false, &type, e);
    if (rc == ERR_OK && type) {
        s->blocking = strcasecmp(type, "BLOCKING") == 0;
        if (!s->blocking && strcasecmp(type, "INCREMENTAL") != 0)
            rc = err_set(e, ERR_INVALID, "\"type\" is neither INCREMENTAL nor BLOCKING: %.64s", type);
    }
    mem_free(type);
    return rc;
}

static int read_collections(const json_t *data, struct pg_signal *s, struct err *e)
{
    const json_t *list = json_object_get(data, "data-collections");
    size_t n = json_array_size(list);
    if (list && !json_is_null(list) && !json_is_array(list))
        return err_set(e, ERR_INVALID, "\"data-collections\" of the signal's data is not a list");
    if (n > COLLECTIONS_MAX)
        return err_set(e, ERR_INVALID, "\"data-collections\" has %zu items; at most %d", n, COLLECTIONS_MAX);
    if (!n)
        return s->kind == PG_SIGNAL_EXECUTE
                   ? err_set(e, ERR_INVALID, "the signal's data has no \"data-collections\"")
                   : ERR_OK;
    s->collections = mem_calloc(n, sizeof *s->collections);
    if (!s->collections)
        return err_nomem(e);
    for (; s->collection_count < n; s->collection_count++) {
        const char *item = json_string_value(json_array_get(list, s->collection_count));
        if (!item)
            return err_set(e, ERR_INVALID, "item %zu of \"data-collections\" is not a text",
                           s->collection_count + 1);
        if (!(s->collections[s->collection_count] = mem_strdup(item)))
            return err_nomem(e);
    }
    return ERR_OK;
}

static int add_condition(struct pg_signal *s, const json_t *j, struct err *e)
{
    struct pg_signal_condition *c = &s->conditions[s->condition_count++];
    int rc = text_member(j, "data-collection", true, &c->collection, e);
    return rc == ERR_OK ? text_member(j, "filter", true, &c->filter, e) : rc;
}

/* The older form: one condition for all. */
static int read_condition(const json_t *data, struct pg_signal *s, struct err *e)
{
    char *filter = NULL;
    int rc = text_member(data, "additional-condition", false, &filter, e);
    if (rc != ERR_OK || !filter || !filter[0]) {
        mem_free(filter);
        return rc;
    }
    s->conditions = mem_calloc(1, sizeof *s->conditions);
    char *every = mem_strdup(".*");
    if (!s->conditions || !every) {
        mem_free(filter);
        mem_free(every);
        return err_nomem(e);
    }
    s->conditions[s->condition_count++] = (struct pg_signal_condition){every, filter};
    return ERR_OK;
}

static int read_conditions(const json_t *data, struct pg_signal *s, struct err *e)
{
    const json_t *list = json_object_get(data, "additional-conditions");
    size_t n = json_array_size(list);
    if (!list || json_is_null(list))
        return read_condition(data, s, e);
    if (!json_is_array(list) || n > COLLECTIONS_MAX)
        return err_set(e, ERR_INVALID, "\"additional-conditions\" is not a list of at most %d",
                       COLLECTIONS_MAX);
    s->conditions = mem_calloc(n + 1, sizeof *s->conditions);
    if (!s->conditions)
        return err_nomem(e);
    int rc = ERR_OK;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        rc = add_condition(s, json_array_get(list, i), e);
    return rc;
}

static int read_data(const json_t *data, struct pg_signal *s, struct err *e)
{
    if (s->kind == PG_SIGNAL_LOG)
        return text_member(data, "message", true, &s->message, e);
    int rc = read_type(data, s, e);
    if (rc == ERR_OK)
        rc = read_collections(data, s, e);
    if (rc == ERR_OK)
        rc = read_conditions(data, s, e);
    return rc == ERR_OK ? text_member(data, "surrogate-key", false, &s->surrogate_key, e) : rc;
}

int pg_signal_parse(const char *type, const char *data, struct pg_signal *out, struct err *e)
{
    *out = (struct pg_signal){0};
    if (find_kind(type, &out->kind, e) != ERR_OK)
        return e->code;
    if (out->kind != PG_SIGNAL_EXECUTE && out->kind != PG_SIGNAL_STOP && out->kind != PG_SIGNAL_LOG)
        return ERR_OK;
    if (out->kind == PG_SIGNAL_STOP && (!data || !data[0]))
        return ERR_OK;
    json_error_t where;
    json_t *j = json_loads(data ? data : "", 0, &where);
    int rc = ERR_OK;
    if (!j)
        rc = err_set(e, ERR_INVALID, "the signal's data is not JSON: %s (byte %d)", where.text,
                     where.position);
    else if (!json_is_object(j))
        rc = err_set(e, ERR_INVALID, "the signal's data is not a JSON object");
    if (rc == ERR_OK)
        rc = read_data(j, out, e);
    json_decref(j);
    if (rc != ERR_OK)
        pg_signal_clear(out);
    return rc;
}

void pg_signal_clear(struct pg_signal *s)
{
    for (size_t i = 0; i < s->collection_count; i++)
        mem_free(s->collections[i]);
    mem_free(s->collections);
    for (size_t i = 0; i < s->condition_count; i++) {
        mem_free(s->conditions[i].collection);
        mem_free(s->conditions[i].filter);
    }
    mem_free(s->conditions);
    mem_free(s->surrogate_key);
    mem_free(s->message);
    *s = (struct pg_signal){0};
}
