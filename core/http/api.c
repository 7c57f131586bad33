/*
 * api: routing, arguments and answers. See api.h.
 */
#include "http/api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>

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
    {"POST", "/hub/records/delete", true, api_records_delete_many},
    {"POST", "/hub/pipelines/{}/signals", true, api_signal},
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
    buf_free(&r->next);
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

/* Decodes into `d`, which has room for n bytes; how many came out, or -1. */
static ssize_t decode_bytes(const char *s, size_t n, char *d)
{
    size_t o = 0;
    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        if (c == '%') {
            int high = n - i > 2 ? hex_digit(s[i + 1]) : -1, low = n - i > 2 ? hex_digit(s[i + 2]) : -1;
            if (high < 0 || low < 0)
                return -1;
            c = (char)(high << 4 | low);
            i += 2;
        }
        d[o++] = c;
    }
    return (ssize_t)o;
}

/*
 * Decoded copy of [s, s + n). NUL bytes are refused, as names are C strings from here on, and what is not
 * UTF-8, as no answer could show it.
 */
static int decode(const char *s, size_t n, char **out, struct err *e)
{
    char *d = mem_alloc(n + 1);
    if (!d)
        return err_nomem(e);
    ssize_t len = decode_bytes(s, n, d);
    if (len < 0 || memchr(d, '\0', (size_t)len) || !bytes_are_text(d, (size_t)len)) {
        mem_free(d);
        return err_set(e, ERR_INVALID, "'%.*s' is not well percent-encoded UTF-8", (int)(n > 200 ? 200 : n),
                       s);
    }
    d[len] = '\0';
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
    if (route->changes && c->request->read_only) {
        c->response->status = 403;
        return err_set(e, ERR_PERMISSION,
                       "this listener only reads; changes go through the Unix socket in the data "
                       "directory");
    }
    for (int i = 0; i < API_ARGS_MAX && starts[i]; i++) {
        int rc = decode(starts[i], lengths[i], &c->args[i], e);
        if (rc)
            return rc;
    }
    int rc = parse_query(c, query, e);
    return rc ? rc : route->handler(c, e);
}

/* HEAD is GET whose body the server does not send. */
static bool method_fits(const char *route, const char *method)
{
    return strcmp(route, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

static int dispatch(struct call *c, struct err *e)
{
    const char *target = c->request->target, *path_end = target + strcspn(target, "?");
    const char *query = *path_end ? path_end + 1 : path_end;
    struct api_response *r = c->response;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const char *starts[API_ARGS_MAX] = {0};
        size_t lengths[API_ARGS_MAX] = {0};
        if (!match(routes[i].pattern, target, path_end, starts, lengths))
            continue;
        if (method_fits(routes[i].method, c->request->method)) {
            r->allow[0] = '\0';
            return run_route(c, &routes[i], starts, lengths, query, e);
        }
        size_t used = strlen(r->allow);
        snprintf(r->allow + used, sizeof r->allow - used, "%s%s", used ? ", " : "", routes[i].method);
    }
    if (r->allow[0]) {
        r->status = 405;
        return err_set(e, ERR_UNSUPPORTED, "HTTP 405 Method Not Allowed: %.50s %.200s", c->request->method,
                       target);
    }
    r->status = 404;
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
    case ERR_OFFSET_METADATA_TOO_LARGE:
    case ERR_UNSUPPORTED:
    case ERR_UNSUPPORTED_COMPRESSION:
        return 400;
    case ERR_CLOSED:
    case ERR_INTERRUPTED:
    case ERR_NO_MEMORY:
    case ERR_DISK_FAILED:
        return 503;
    case ERR_TIMEOUT:
        return 504;
    case ERR_NO_SPACE:
        return 507;
    default:
        return 500;
    }
}

/* The error's text and, on lines of their own, the details, as one JSON string. */
static int message_json(struct buf *out, const struct err *e, const struct buf *details, struct err *again)
{
    struct buf text;
    if (!details || details->len == 0)
        return buf_json_str(out, e->text, strlen(e->text), again);
    buf_init(&text, API_RESPONSE_MAX);
    int rc = buf_printf(&text, again, "%s\n", e->text);
    if (rc == ERR_OK)
        rc =
            buf_append(&text, details->data, details->len - (details->data[details->len - 1] == '\n'), again);
    if (rc == ERR_OK)
        rc = buf_json_str(out, (const char *)text.data, text.len, again);
    buf_free(&text);
    return rc;
}

void api_answer_error(struct api_response *r, const struct err *e, const struct buf *details)
{
    struct err again;
    if (r->status == 0)
        r->status = status_for(e->code);
    r->content_type = "application/json";
    r->at_end = false;
    buf_reset(&r->next);
    buf_reset(&r->body);
    if (buf_printf(&r->body, &again, "{\"error_code\":%d,\"message\":", r->status) ||
        message_json(&r->body, e, details, &again) ||
        buf_printf(&r->body, &again, ",\"code\":\"%s\"}\n", err_name(e->code)))
        buf_reset(&r->body); /* no memory even for that: the status must do */
}

void api_handle(struct api *a, const struct api_request *request, struct api_response *response)
{
    struct err e;
    struct call c = {.api = a, .request = request, .response = response};
    *response = (struct api_response){.content_type = "application/json"};
    buf_init(&response->body, API_RESPONSE_MAX);
    buf_init(&response->next, API_NEXT_MAX);
    buf_init(&c.details, API_RESPONSE_MAX);
    if (dispatch(&c, &e) != ERR_OK)
        api_answer_error(response, &e, &c.details);
    else if (response->status == 0)
        response->status = 200;
    for (int i = 0; i < API_ARGS_MAX; i++)
        mem_free(c.args[i]);
    for (size_t i = 0; i < c.query_count; i++) {
        mem_free(c.query[i].name);
        mem_free(c.query[i].value);
    }
    buf_free(&c.details);
}
