/*
 * server: see server.h. A thread a connection: requests may wait for records or for the disk, and there are
 * few clients. Idle, it is one thread in epoll and no memory to speak of.
 */
#include "http/server.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/mem.h"

#define CONNECTIONS_MAX 128
#define IDLE_TIMEOUT_S 60
#define THREAD_STACK (512 << 10)

struct listener {
    struct http_server *server;
    struct MHD_Daemon *daemon;
    bool read_only;
};

struct http_server {
    struct api *api;
    char *socket_path;
    struct listener local, tcp;
    int port;
};

/* One request while its body arrives. */
struct incoming {
    struct listener *listener;
    char *target;
    struct buf body;
    bool started;
    bool too_large;
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
    buf_init(&in->body, API_BODY_MAX);
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

static enum MHD_Result queue(struct MHD_Connection *connection, struct api_response *r)
{
    struct MHD_Response *m =
        MHD_create_response_from_buffer(r->body.len, r->body.data, MHD_RESPMEM_MUST_COPY);
    if (!m)
        return MHD_NO;
    MHD_add_response_header(m, MHD_HTTP_HEADER_CONTENT_TYPE, r->content_type);
    if (r->next[0]) {
        MHD_add_response_header(m, "X-Leat-Next", r->next);
        MHD_add_response_header(m, "X-Leat-At-End", r->at_end ? "1" : "0");
    }
    enum MHD_Result rc = MHD_queue_response(connection, (unsigned)r->status, m);
    MHD_destroy_response(m);
    return rc;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, int status, const char *why)
{
    struct err e;
    struct api_response r = {.status = status, .content_type = "application/json"};
    buf_init(&r.body, 4096);
    if (buf_printf(&r.body, &e, "{\"error_code\":%d,\"message\":\"%s\"}\n", status, why) != ERR_OK)
        buf_reset(&r.body);
    enum MHD_Result rc = queue(connection, &r);
    api_response_free(&r);
    return rc;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **con_cls)
{
    (void)arg, (void)url, (void)version;
    struct incoming *in = *con_cls;
    struct err e;
    if (!in || !in->target)
        return MHD_NO;
    if (!in->started) { /* headers only; further calls bring the body, the last one its end */
        in->started = true;
        return MHD_YES;
    }
    if (*data_size) {
        if (!in->too_large && buf_append(&in->body, data, *data_size, &e) != ERR_OK)
            in->too_large = true;
        *data_size = 0;
        return MHD_YES;
    }
    if (in->too_large)
        return refuse(connection, 413, "the body is larger than 16 MiB");
    struct api_request request = {.method = method,
                                  .target = in->target,
                                  .body = in->body.data,
                                  .body_bytes = in->body.len,
                                  .read_only = in->listener->read_only};
    struct api_response response;
    api_handle(in->listener->server->api, &request, &response);
    enum MHD_Result rc = queue(connection, &response);
    api_response_free(&response);
    return rc;
}

/* Leaves escapes in place: the api decodes segment by segment. */
static size_t keep_escapes(void *arg, struct MHD_Connection *connection, char *s)
{
    (void)arg, (void)connection;
    return strlen(s);
}

static void on_log(void *arg, const char *fmt, va_list ap)
{
    (void)arg;
    char line[512];
    vsnprintf(line, sizeof line, fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    diag_debug("http", "%s", line);
}

static int start_daemon(struct listener *l, int fd, struct err *e)
{
    l->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
                                     MHD_USE_POLL | MHD_USE_ERROR_LOG | MHD_USE_ITC,
                                 0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                                 MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_URI_LOG_CALLBACK, on_uri, l,
                                 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
                                 MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_CONNECTION_LIMIT,
                                 (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
                                 (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_THREAD_STACK_SIZE, (size_t)THREAD_STACK,
                                 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)64 << 10, MHD_OPTION_END);
    if (l->daemon)
        return ERR_OK;
    close(fd);
    return err_set(e, ERR_INTERNAL, "cannot start the HTTP server");
}

static int listen_local(struct http_server *s, struct err *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(s->socket_path) >= sizeof a.sun_path)
        return err_set(e, ERR_INVALID,
                       "%s: a Unix socket's path has at most %zu bytes; choose a shorter data.dir",
                       s->socket_path, sizeof a.sun_path - 1);
    strcpy(a.sun_path, s->socket_path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_sys(e, errno, "cannot make a Unix socket");
    unlink(s->socket_path); /* left by a process that was killed: the directory's lock is ours */
    mode_t old = umask(0177);
    int failed = bind(fd, (struct sockaddr *)&a, sizeof a) != 0 || listen(fd, 64) != 0;
    int errnum = errno;
    umask(old);
    if (failed) {
        close(fd);
        return err_sys(e, errnum, "cannot listen on %s", s->socket_path);
    }
    return start_daemon(&s->local, fd, e);
}

/* "127.0.0.1:8083", "[::1]:8083", ":8083" (loopback). */
static int split_address(const char *text, char *host, size_t host_size, char *port, size_t port_size,
                         struct err *e)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    const char *start = text;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        start++;
        n -= 2;
    }
    if (!colon || !colon[1] || strlen(colon + 1) >= port_size || n >= host_size)
        return err_set(e, ERR_INVALID_CONFIG, "http.listen: '%.100s' is not HOST:PORT", text);
    snprintf(host, host_size, "%.*s", (int)n, n ? start : "");
    if (!n)
        snprintf(host, host_size, "127.0.0.1");
    snprintf(port, port_size, "%s", colon + 1);
    return ERR_OK;
}

static int bind_any(const struct addrinfo *list, int *fd)
{
    int errnum = EADDRNOTAVAIL;
    for (; list; list = list->ai_next) {
        *fd = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);
        if (*fd < 0) {
            errnum = errno;
            continue;
        }
        int on = 1;
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(*fd, list->ai_addr, list->ai_addrlen) == 0 && listen(*fd, 64) == 0)
            return 0;
        errnum = errno;
        close(*fd);
    }
    return errnum;
}

static int listen_tcp(struct http_server *s, const char *text, struct err *e)
{
    char host[256], port[16];
    int rc = split_address(text, host, sizeof host, port, sizeof port, e);
    if (rc)
        return rc;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE}, *list;
    int gai = getaddrinfo(host, port, &hints, &list);
    if (gai)
        return err_set(e, ERR_INVALID_CONFIG, "http.listen: %s: %s", text, gai_strerror(gai));
    int fd, errnum = bind_any(list, &fd);
    freeaddrinfo(list);
    if (errnum)
        return err_sys(e, errnum, "http.listen: cannot listen on %s", text);
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) == 0)
        s->port = ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                                : ((struct sockaddr_in *)&a)->sin_port);
    return start_daemon(&s->tcp, fd, e);
}

int http_server_start(struct http_server **out, struct api *api, const char *socket_path,
                      const char *listen_text, struct err *e)
{
    struct http_server *s = mem_calloc(1, sizeof *s);
    if (!s)
        return err_nomem(e);
    s->api = api;
    s->local.server = s->tcp.server = s;
    s->tcp.read_only = true;
    s->socket_path = mem_strdup(socket_path);
    int rc = s->socket_path ? listen_local(s, e) : err_nomem(e);
    if (rc == ERR_OK && listen_text)
        rc = listen_tcp(s, listen_text, e);
    if (rc) {
        http_server_stop(s);
        return rc;
    }
    *out = s;
    return ERR_OK;
}

int http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    if (s->tcp.daemon)
        MHD_stop_daemon(s->tcp.daemon);
    if (s->local.daemon) {
        unlink(s->socket_path);
        MHD_stop_daemon(s->local.daemon);
    }
    mem_free(s->socket_path);
    mem_free(s);
}
