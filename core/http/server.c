/*
 * server: see server.h. A thread a connection: requests may wait for records or for the disk, and there are
 * few clients. Idle, it is one thread in poll and no memory to speak of.
 */
#include "http/server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "http/internal.h"
#include "base/listen.h"

#define CONNECTIONS_MAX 128
#define IDLE_TIMEOUT_S 60
#define THREAD_STACK (2 << 20)                /* JSON may nest 2048 deep; only what is used costs memory */
#define CONNECTION_MEMORY ((size_t)256 << 10) /* request and answer headers: positions of many partitions */
#define READ_ONLY_BODY_MAX ((size_t)64 << 10) /* nothing there needs a body */

struct listener {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    int fd; /* until the daemon has it; -1: none */
    bool read_only;
};

struct http_server {
    struct api *api;
    char *socket_path;
    bool bound; /* the socket's file is ours */
    struct listener local, tcp;
    int port;
};

/* One request while its body arrives. */
struct incoming {
    struct listener *listener;
    char *target;
    struct buf body;
    size_t seen; /* bytes of the body, kept or not */
    bool started;
    struct err refused; /* code ERR_OK: not refused */
};

/* First call of a connection's request: before libmicrohttpd parses (and would unescape) the target. */
static void *on_uri(void *arg, const char *uri, struct MHD_Connection *connection)
{
    (void)connection;
    struct incoming *in = mem_calloc(1, sizeof *in);
    if (!in)
        return NULL;
    in->listener = arg;
    in->target = mem_strdup(uri);
    buf_init(&in->body, in->listener->read_only ? READ_ONLY_BODY_MAX : API_BODY_MAX);
    return in;
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **con_cls,
                         enum MHD_RequestTerminationCode why)
{
    (void)arg, (void)connection, (void)why;
    struct incoming *in = *con_cls;
    if (!in)
        return;
    buf_free(&in->body);
    mem_free(in->target);
    mem_free(in);
    *con_cls = NULL;
}

/* The body moves to libmicrohttpd: an answer may be large. */
static struct MHD_Response *take_body(struct api_response *r)
{
    if (r->body.len == 0)
        return MHD_create_response_from_buffer(0, (void *)(uintptr_t) "", MHD_RESPMEM_PERSISTENT);
    struct MHD_Response *m =
        MHD_create_response_from_buffer_with_free_callback(r->body.len, r->body.data, mem_free);
    if (m)
        buf_init(&r->body, 0);
    return m;
}

static bool add_headers(struct MHD_Response *m, const struct api_response *r, bool has_body)
{
    bool ok =
        !has_body || MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type) == MHD_YES;
    if (r->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        ok = ok && MHD_add_response_header(m, MHD_HTTP_HEADER_ALLOW, r->allow) == MHD_YES;
    if (r->next.len)
        ok = ok && MHD_add_response_header(m, "X-Leat-Next", (const char *)r->next.data) == MHD_YES &&
             MHD_add_response_header(m, "X-Leat-At-End", r->at_end ? "1" : "0") == MHD_YES;
    return ok;
}

/* Sends and frees the answer. */
static enum MHD_Result queue(struct MHD_Connection *connection, struct api_response *r)
{
    struct err e;
    enum MHD_Result rc = MHD_NO; /* closes the connection */
    bool has_body = r->body.len != 0;
    struct MHD_Response *m = buf_u8(&r->next, 0, &e) == ERR_OK ? take_body(r) : NULL;
    if (r->next.len)
        r->next.len--; /* the NUL is for the header's text only */
    if (m && add_headers(m, r, has_body))
        rc = MHD_queue_response(connection, (unsigned)r->status, m);
    if (m)
        MHD_destroy_response(m);
    api_response_free(r);
    return rc;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, const struct err *why)
{
    struct api_response r = {0};
    buf_init(&r.body, 4096);
    buf_init(&r.next, 1);
    api_answer_error(&r, why, NULL);
    return queue(connection, &r);
}

static void refuse_body(struct incoming *in)
{
    err_set(&in->refused, ERR_TOO_LARGE, "the body is larger than %zu bytes", in->body.max);
}

#define READ_ON_MAX                                                                                          \
    (2 * API_BODY_MAX) /* so much of a body that is too large is read, for its sender to hear why */

/*
 * Headers are here. An answer now, with the body still coming, is lost when the connection is reset under a sender in the
 * middle of it; so only a hopeless body is not even begun.
 */
static enum MHD_Result on_headers(struct incoming *in, struct MHD_Connection *connection)
{
    const char *text =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
    in->started = true;
    unsigned long long announced = text ? strtoull(text, NULL, 10) : 0;
    if (announced > in->body.max)
        refuse_body(in);
    return announced > READ_ON_MAX ? refuse(connection, &in->refused) : MHD_YES;
}

/* A part of the body. One that turns out too large is read on for a while, so that its sender hears why. */
static enum MHD_Result on_part(struct incoming *in, const char *data, size_t *n)
{
    in->seen += *n;
    if (in->seen > in->body.max)
        refuse_body(in);
    else if (in->refused.code == ERR_OK)
        buf_append(&in->body, data, *n, &in->refused);
    *n = 0;
    return in->seen > READ_ON_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **con_cls)
{
    (void)arg, (void)url, (void)version;
    struct incoming *in = *con_cls;
    if (!in || !in->target)
        return MHD_NO;
    if (!in->started) /* further calls bring the body, the last one its end */
        return on_headers(in, connection);
    if (*data_size)
        return on_part(in, data, data_size);
    if (in->refused.code)
        return refuse(connection, &in->refused);
    struct api_request request = {.method = method,
                                  .target = in->target,
                                  .body = in->body.data,
                                  .body_bytes = in->body.len,
                                  .read_only = in->listener->read_only};
    struct api_response response;
    api_handle(in->listener->server->api, &request, &response);
    return queue(connection, &response);
}

/* Leaves escapes in place: the api decodes segment by segment. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg, (void)connection;
    return strlen(s);
}

__attribute__((format(printf, 2, 0))) static void on_log(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    diag_debug("http", "%s", line);
}

/*
 * Gives the listener's socket away in any case: when libmicrohttpd cannot start its thread it has closed it
 * already, and closing it once more could hit somebody else's descriptor.
 */
static int start_daemon(struct listener *l, struct err *e)
{
    int fd = l->fd;
    l->fd = -1;
    l->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                     MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC,
                                 0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, l,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, MHD_OPTION_END);
    return l->daemon ? ERR_OK : err_set(e, ERR_INTERNAL, "cannot start the HTTP server");
}

int http_server_listen(struct http_server **out, const char *socket_path, const char *listen, struct err *e)
{
    struct http_server *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->local = (struct listener){.server = s, .fd = -1};
    s->tcp = (struct listener){.server = s, .fd = -1, .read_only = true};
    s->socket_path = mem_strdup(socket_path);
    int rc = s->socket_path ? listen_local(s->socket_path, &s->local.fd, e) : err_nomem(e);
    s->bound = rc == ERR_OK;
    if (rc == ERR_OK && listen)
        rc = listen_tcp("http.listen", listen, &s->tcp.fd, &s->port, e);
    if (rc) {
        http_server_stop(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

int http_server_serve(struct http_server *s, struct api *api, struct err *e)
{
    s->api = api;
    int rc = start_daemon(&s->local, e);
    if (rc == ERR_OK && s->tcp.fd >= 0)
        rc = start_daemon(&s->tcp, e);
    return rc;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

static void stop_listener(struct listener *l)
{
    if (l->daemon)
        MHD_stop_daemon(l->daemon);
    io_close(l->fd);
}

void http_server_stop(struct http_server *s)
{
    struct err e;
    if (!s)
        return;
    if (s->bound && io_unlink(s->socket_path, &e) != ERR_OK && e.code != ERR_NOT_FOUND)
        diag_warn("http", "%s", e.text);
    stop_listener(&s->tcp);
    stop_listener(&s->local);
    mem_free(s->socket_path);
    mem_free(s);
}
