/*
 * call: what handlers share: arguments in, answers out. See internal.h. Any thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "http/internal.h"

const char *call_query(const struct call *c, const char *name)
{
    for (size_t i = 0; i < c->query_count; i++)
        if (strcmp(c->query[i].name, name) == 0)
            return c->query[i].value;
    return NULL;
}

int call_query_int(const struct call *c, const char *name, int64_t fallback, int64_t min, int64_t max,
                   int64_t *out, struct err *e)
{
    const char *text = call_query(c, name);
    *out = fallback;
    if (!text)
        return ERR_OK;
    char *end;
    errno = 0;
    long long v = strtoll(text, &end, 10);
    if (errno || end == text || *end || v < min || v > max)
        return err_set(e, ERR_INVALID, "%s: '%.100s' is not a whole number from %lld to %lld", name, text,
                       (long long)min, (long long)max);
    *out = v;
    return ERR_OK;
}

int call_query_needed_int(const struct call *c, const char *name, int64_t min, int64_t max, int64_t *out,
                          struct err *e)
{
    if (!call_query(c, name))
        return err_set(e, ERR_INVALID, "%s=NUMBER is needed", name);
    return call_query_int(c, name, 0, min, max, out, e);
}

int call_json(const void *text, size_t n, size_t flags, json_t **out, struct err *e)
{
    json_error_t je = {.text = ""};
    *out = json_loadb(text ? text : "", n, flags, &je);
    if (*out)
        return ERR_OK;
    /* jansson has no text where an allocation failed. */
    if (!je.text[0] || json_error_code(&je) == json_error_out_of_memory)
        return err_nomem(e);
    return err_set(e, ERR_INVALID, "%s at line %d, column %d", je.text, je.line, je.column);
}

int call_body(const struct call *c, json_t **object, struct err *e)
{
    int rc = call_json(c->request->body, c->request->body_bytes, JSON_REJECT_DUPLICATES, object, e);
    if (rc)
        return rc == ERR_INVALID ? err_wrap(e, "the body is not JSON") : rc;
    if (json_is_object(*object))
        return ERR_OK;
    json_decref(*object);
    return err_set(e, ERR_INVALID, "the body is not a JSON object");
}

struct sink {
    struct buf *out;
    struct err *e;
    int rc;
};

static int append(const char *data, size_t n, void *arg)
{
    struct sink *s = arg;
    if (s->rc)
        return -1; /* jansson goes on after a key that could not be written */
    s->rc = buf_append(s->out, data, n, s->e);
    return s->rc ? -1 : 0;
}

int call_reply(struct call *c, json_t *json, struct err *e)
{
    if (!json)
        return err_nomem(e);
    struct sink s = {&c->response->body, e, ERR_OK};
    int failed = json_dump_callback(json, append, &s, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    if (failed)
        return s.rc ? s.rc : err_nomem(e);
    return buf_str(&c->response->body, "\n", e);
}

int call_reply_empty(struct call *c)
{
    c->response->status = 204;
    return ERR_OK;
}

int call_need_worker(const struct call *c, struct err *e)
{
    return c->api->o.worker
               ? ERR_OK
               : err_set(e, ERR_BUSY, "no hub runs on this data directory (leat run starts one)");
}
