/*
 * api_signals: signals to a running source, and what tasks say of things by their names. Handlers; any thread.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/internal.h"

#define SIGNAL_WAIT_MS 10000 /* for the task to take it, unless the caller says otherwise */
#define SIGNAL_WAIT_MAX_MS 600000

/* Text, or an object as its text; NULL: none. `*text` is the caller's (mem_free). */
static int data_text(const json_t *data, char **text, struct err *e)
{
    *text = NULL;
    if (data == NULL || json_is_null(data))
        return ERR_OK;
    if (!json_is_string(data) && !json_is_object(data))
        return err_set(e, ERR_INVALID, "data: is neither an object nor text");
    char *dumped = json_is_string(data) ? NULL : json_dumps(data, JSON_COMPACT);
    const char *plain = json_is_string(data) ? json_string_value(data) : dumped;
    *text = plain == NULL ? NULL : mem_strdup(plain);
    free(dumped);
    return *text == NULL ? err_nomem(e) : ERR_OK;
}

static int post(struct call *c, const json_t *body, char used[WORKER_SIGNAL_ID_MAX], struct err *e)
{
    const json_t *id = json_object_get(body, "id"), *ms = json_object_get(body, "timeout_ms");
    const char *type = json_string_value(json_object_get(body, "type"));
    char *data;
    if (type == NULL)
        return err_set(e, ERR_INVALID, "type: is missing or no text");
    if (id != NULL && !json_is_string(id))
        return err_set(e, ERR_INVALID, "id: is no text");
    if (ms != NULL &&
        (!json_is_integer(ms) || json_integer_value(ms) < 1 || json_integer_value(ms) > SIGNAL_WAIT_MAX_MS))
        return err_set(e, ERR_INVALID, "timeout_ms: is no whole number from 1 to %d", SIGNAL_WAIT_MAX_MS);
    int rc = data_text(json_object_get(body, "data"), &data, e);
    if (rc == ERR_OK)
        rc = worker_signal(c->api->o.worker, c->args[0], json_string_value(id), type, data,
                           ms == NULL ? SIGNAL_WAIT_MS : json_integer_value(ms), used, e);
    mem_free(data);
    return rc;
}

int api_signal(struct call *c, struct err *e)
{
    json_t *body;
    char used[WORKER_SIGNAL_ID_MAX];
    int rc = call_need_worker(c, e);
    if (rc == ERR_OK)
        rc = call_body(c, &body, e);
    if (rc)
        return rc;
    rc = post(c, body, used, e);
    json_decref(body);
    return rc ? rc : call_reply(c, json_pack("{s:s}", "id", used), e);
}

/* The member of that name, made as an empty object if missing; NULL: out of memory. */
static json_t *object_in(json_t *o, const char *name, size_t n)
{
    char *key = mem_strndup(name, n);
    json_t *found = key == NULL ? NULL : json_object_get(o, key);
    if (key != NULL && found == NULL && json_put(o, key, json_object()))
        found = json_object_get(o, key);
    mem_free(key);
    return found;
}

json_t *task_rows_json(const struct task_status *t)
{
    json_t *kinds = json_object();
    for (size_t i = 0; i < t->row_count && kinds != NULL; i++) {
        const char *key = t->rows[i].key;
        size_t n = strcspn(key, " ");
        json_t *kind = object_in(kinds, key, n);
        if (kind == NULL || !json_put(kind, key + n + 1, json_loads(t->rows[i].json, 0, NULL))) {
            json_decref(kinds);
            kinds = NULL;
        }
    }
    return kinds;
}
