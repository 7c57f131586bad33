/*
 * api: routing, arguments and answers. See api.h.
 */
#include "http/api.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/internal.h"

static const struct route {
    const char *method;
    const char *pattern; /* {} stands for one segment */
    bool changes;
    api_handler *handler;
} routes[] = {
    {"GET", "/health", false, api_health},
    {"GET", "/metrics", false, api_metrics},
    {"GET", "/hub/status", false, api_status},
    {"POST", "/hub/reload", true, api_reload},
    {"POST", "/hub/plan", true, api_plan},
    {"POST", "/hub/connectors/{}/restart", true, api_restart},
    {"PUT", "/hub/connectors/{}/pause", true, api_pause},
    {"PUT", "/hub/connectors/{}/resume", true, api_resume},
    {"GET", "/hub/topics", false, api_topics_list},
    {"POST", "/hub/topics", true, api_topic_create},
    {"GET", "/hub/topics/{}", false, api_topic_get},
    {"DELETE", "/hub/topics/{}", true, api_topic_delete},
    {"PATCH", "/hub/topics/{}", true, api_topic_alter},
    {"GET", "/hub/topics/{}/records", false, api_records_read},
    {"POST", "/hub/topics/{}/records", true, api_records_write},
    {"DELETE", "/hub/topics/{}/records", true, api_records_delete},
    {"GET", "/hub/topics/{}/offset", false, api_offset_for},
    {"GET", "/hub/groups", false, api_groups_list},
    {"GET", "/hub/groups/{}", false, api_group_get},
    {"PUT", "/hub/groups/{}/offsets", true, api_group_reset},
    {"DELETE", "/hub/groups/{}", true, api_group_delete},
    {"GET", "/hub/transactions", false, api_txns_list},
};

struct api *api_new(const struct api_options *o, struct err *e)
{
    struct api *a = mem_calloc(1, sizeof *a);
    if (!a) {
        err_nomem(e);
        return NULL;
    }
    a->o = *o;
    return a;
}

void api_free(struct api *a)
{
    mem_free(a);
}

void api_interrupt(struct api *a)
{
    atomic_store(&a->interrupted, true);
}

void api_response_free(struct api_response *r)
{
    buf_free(&r->body);
}

/* ---- percent encoding
 * --------------------------------------------------------------------------------------- */

int api_escape(struct buf *out, const char *s, struct err *e)
{
    int rc = ERR_OK;
    for (; *s && rc == ERR_OK; s++) {
        unsigned char c = (unsigned char)*s;
        rc = isalnum(c) || strchr("-._~", c) ? buf_u8(out, c, e) : buf_printf(out, e, "%%%02X", c);
    }
    return rc;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decoded copy of [s, s + n). NUL bytes are refused: names are C strings from here on. */
static int decode(const char *s, size_t n, char **out, struct err *e)
{
    char *d = mem_alloc(n + 1);
    if (!d)
        return err_nomem(e);
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_digit(s[i + 1]) : -1, low = n - i > 2 ? hex_digit(s[i + 2]) : -1;
            c = high < 0 || low < 0 ? '\0' : (char)(high << 4 | low);
            i += 2;
        }
        if (c == '\0') {
            mem_free(d);
            return err_set(e, ERR_INVALID, "'%.*s' is not well percent-encoded", (int)(n > 200 ? 200 : n), s);
        }
        d[o++] = c;
    }
    d[o] = '\0';
    *out = d;
    return ERR_OK;
}

/* ---- routing
 * ------------------------------------------------------------------------------------------------ */

/* Does the path fit the pattern? Segments that stood for {} come out raw as (start, length) pairs. */
static bool match(const char *pattern, const char *path, const char *path_end, const char *starts[],
                  size_t lengths[])
{
    size_t args = 0;
    while (*pattern) {
        if (pattern[0] == '{') {
            const char *end = memchr(path, '/', (size_t)(path_end - path));
            if (!end)
                end = path_end;
            if (end == path || args == API_ARGS_MAX)
                return false;
            starts[args] = path;
            lengths[args++] = (size_t)(end - path);
            path = end;
            pattern += 2;
        } else if (path == path_end || *path++ != *pattern++) {
            return false;
        }
    }
    return path == path_end || (path + 1 == path_end && *path == '/');
}

static int parse_query(struct call *c, const char *q, struct err *e)
{
    int rc = ERR_OK;
    while (*q && rc == ERR_OK) {
        size_t n = strcspn(q, "&");
        const char *eq = memchr(q, '=', n);
        size_t name = eq ? (size_t)(eq - q) : n;
        if (n && c->query_count == API_QUERY_MAX)
            return err_set(e, ERR_INVALID, "more than %d query parameters", API_QUERY_MAX);
        if (n) {
            struct api_query *item = &c->query[c->query_count++];
            *item = (struct api_query){0};
            rc = decode(q, name, &item->name, e);
            if (rc == ERR_OK)
                rc = eq ? decode(eq + 1, n - name - 1, &item->value, e) : decode("", 0, &item->value, e);
        }
        q += n + (q[n] == '&');
    }
    return rc;
}

static int run_route(struct call *c, const struct route *route, const char *starts[], const size_t lengths[],
                     const char *query, struct err *e)
{
    if (route->changes && c->request->read_only)
        return err_set(e, ERR_PERMISSION,
                       "this listener only reads; changes go through the Unix socket in the data "
                       "directory");
    for (int i = 0; i < API_ARGS_MAX && starts[i]; i++) {
        int rc = decode(starts[i], lengths[i], &c->args[i], e);
        if (rc)
            return rc;
    }
    int rc = parse_query(c, query, e);
    return rc ? rc : route->handler(c, e);
}

static int dispatch(struct call *c, struct err *e)
{
    const char *target = c->request->target, *path_end = target + strcspn(target, "?");
    const char *query = *path_end ? path_end + 1 : path_end;
    bool path_known = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const char *starts[API_ARGS_MAX] = {0};
        size_t lengths[API_ARGS_MAX] = {0};
        if (!match(routes[i].pattern, target, path_end, starts, lengths))
            continue;
        path_known = true;
        if (strcmp(routes[i].method, c->request->method) == 0)
            return run_route(c, &routes[i], starts, lengths, query, e);
    }
    if (path_known) {
        c->response->status = 405;
        return err_set(e, ERR_UNSUPPORTED, "HTTP 405 Method Not Allowed: %s %.200s", c->request->method,
                       target);
    }
    c->response->status = 404;
    return err_set(e, ERR_NOT_FOUND, "HTTP 404 Not Found: %.200s", target);
}

static int status_for(int code)
{
    switch (code) {
    case ERR_NOT_FOUND:
    case ERR_UNKNOWN_TOPIC:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_UNKNOWN_GROUP:
        return 404;
    case ERR_EXISTS:
    case ERR_TOPIC_EXISTS:
    case ERR_BUSY:
    case ERR_GROUP_NOT_EMPTY:
        return 409;
    case ERR_PERMISSION:
        return 403;
    case ERR_TOO_LARGE:
        return 413;
    case ERR_INVALID:
    case ERR_INVALID_CONFIG:
    case ERR_INVALID_RECORD:
    case ERR_INVALID_TIMESTAMP:
    case ERR_INVALID_TOPIC:
    case ERR_INVALID_PARTITIONS:
    case ERR_INVALID_GROUP:
    case ERR_OFFSET_OUT_OF_RANGE:
    case ERR_UNSUPPORTED:
        return 400;
    case ERR_NO_SPACE:
        return 507;
    default:
        return 500;
    }
}

static void reply_error(struct api_response *r, const struct err *e)
{
    struct err again;
    if (r->status == 0)
        r->status = status_for(e->code);
    r->content_type = "application/json";
    buf_reset(&r->body);
    if (buf_printf(&r->body, &again, "{\"error_code\":%d,\"message\":", r->status) ||
        buf_json_str(&r->body, e->text, strlen(e->text), &again) ||
        buf_printf(&r->body, &again, ",\"code\":\"%s\"}\n", err_name(e->code)))
        buf_reset(&r->body); /* no memory even for that: the status must do */
}

void api_handle(struct api *a, const struct api_request *request, struct api_response *response)
{
    struct err e;
    struct call c = {.api = a, .request = request, .response = response};
    *response = (struct api_response){.content_type = "application/json"};
    buf_init(&response->body, API_RESPONSE_MAX);
    if (dispatch(&c, &e) != ERR_OK)
        reply_error(response, &e);
    else if (response->status == 0)
        response->status = 200;
    for (int i = 0; i < API_ARGS_MAX; i++)
        mem_free(c.args[i]);
    for (size_t i = 0; i < c.query_count; i++) {
        mem_free(c.query[i].name);
        mem_free(c.query[i].value);
    }
}

/* ---- what handlers share
 * ------------------------------------------------------------------------------------ */

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

int call_body(const struct call *c, json_t **object, struct err *e)
{
    json_error_t je;
    *object = json_loadb(c->request->body ? c->request->body : "", c->request->body_bytes,
                         JSON_REJECT_DUPLICATES, &je);
    if (!*object)
        return err_set(e, ERR_INVALID, "the body is not JSON: %s at line %d, column %d", je.text, je.line,
                       je.column);
    if (json_is_object(*object))
        return ERR_OK;
    json_decref(*object);
    return err_set(e, ERR_INVALID, "the body is not a JSON object");
}

static int append(const char *data, size_t n, void *arg)
{
    struct err e;
    return buf_append(arg, data, n, &e) == ERR_OK ? 0 : -1;
}

int call_reply(struct call *c, json_t *json, struct err *e)
{
    if (!json)
        return err_nomem(e);
    int failed = json_dump_callback(json, append, &c->response->body, JSON_COMPACT | JSON_REAL_PRECISION(6));
    json_decref(json);
    if (failed)
        return err_set(e, ERR_TOO_LARGE, "the answer does not fit into %zu bytes", API_RESPONSE_MAX);
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
