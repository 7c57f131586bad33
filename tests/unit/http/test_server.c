/*
 * The server over its Unix socket and TCP, with libcurl and with bytes of our own: keep-alive, pipelining, bodies
 * that are slow or too large, a stop while a reader waits, paths too long for a socket, deep JSON.
 */
#include "tests/unit/http/fixture.h"

#include <curl/curl.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/listen.h"
#include "base/clock.h"
#include "base/io.h"
#include "http/server.h"
#include "base/socket_path.h"

struct served {
    struct fixture *f;
    char *path;
    struct http_server *server;
};

static int serve(void **state)
{
    struct err e;
    struct served *s = calloc(1, sizeof *s);
    assert_non_null(s);
    fixture_setup((void **)&s->f);
    assert_true(asprintf(&s->path, "%s/leat.sock", s->f->dir) > 0);
    assert_ok(http_server_listen(&s->server, s->path, "127.0.0.1:0", &e), &e);
    assert_ok(http_server_serve(s->server, s->f->api, &e), &e);
    *state = s;
    return 0;
}

static int unserve(void **state)
{
    struct served *s = *state;
    http_server_stop(s->server);
    assert_false(io_exists(s->path));
    fixture_teardown((void **)&s->f);
    free(s->path);
    free(s);
    return 0;
}

/* ---- with libcurl ------------------------------------------------------------------------------------------- */

struct got {
    long status;
    size_t n;
    char text[4096]; /* the beginning of the body */
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct got *g = arg;
    for (size_t i = 0; i < size * n; i++, g->n++)
        if (g->n < sizeof g->text - 1)
            g->text[g->n] = data[i];
    return size * n;
}

/* Over the Unix socket, or over TCP if `port`. */
static struct got call(CURL *curl, const char *path, int port, const char *method, const char *target,
                       const char *body, size_t n)
{
    struct got g = {0};
    char url[512];
    snprintf(url, sizeof url, "http://127.0.0.1:%d%s", port ? port : 80, target);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    if (!port)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (body) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &g);
    CURLcode rc = curl_easy_perform(curl);
    if (rc != CURLE_OK)
        fail_msg("%s %s: %s", method, target, curl_easy_strerror(rc));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &g.status);
    return g;
}

static void over_both(void **state)
{
    struct served *s = *state;
    struct stat st;
    int port = http_server_port(s->server);
    CURL *curl = curl_easy_init();
    assert_true(port > 0);
    assert_int_equal(stat(s->path, &st), 0);
    assert_int_equal(st.st_mode, S_IFSOCK | 0600);
    struct got g = call(curl, s->path, 0, "POST", "/hub/topics", "{\"name\":\"t\"}", 12);
    assert_int_equal(g.status, 201);
    g = call(curl, s->path, 0, "POST", "/hub/topics/t/records", "{\"value\":\"x\"}", 13);
    assert_int_equal(g.status, 200);
    g = call(curl, s->path, port, "GET", "/hub/topics/%74/records?from=0:0", NULL, 0);
    assert_int_equal(g.status, 200);
    assert_non_null(strstr(g.text, "\"value\":\"x\""));
    g = call(curl, s->path, port, "DELETE", "/hub/topics/t", NULL, 0);
    assert_int_equal(g.status, 403);
    assert_non_null(strstr(g.text, "\"PERMISSION\""));
    g = call(curl, s->path, port, "HEAD", "/health", NULL, 0);
    assert_int_equal(g.status, 200);
    assert_int_equal(g.n, 0);
    g = call(curl, s->path, 0, "PUT", "/health", NULL, 0);
    assert_int_equal(g.status, 405);
    g = call(curl, s->path, 0, "DELETE", "/hub/topics/t", NULL, 0);
    assert_int_equal(g.status, 204);
    assert_int_equal(g.n, 0);
    curl_easy_cleanup(curl);
}

static void bodies_too_large(void **state)
{
    struct served *s = *state;
    size_t n = (size_t)17 << 20;
    char *body = malloc(n);
    CURL *curl = curl_easy_init();
    assert_non_null(body);
    memset(body, 'x', n);
    struct got g = call(curl, s->path, 0, "POST", "/hub/topics", body, n);
    assert_int_equal(g.status, 413);
    assert_non_null(strstr(g.text, "16777216"));
    g = call(curl, s->path, 0, "POST", "/hub/topics", body, API_BODY_MAX); /* as much as may be: it is read */
    assert_int_equal(g.status, 400);
    g = call(curl, s->path, http_server_port(s->server), "POST", "/hub/topics", body, 1 << 20);
    assert_int_equal(g.status, 413);
    g = call(curl, s->path, 0, "GET", "/health", NULL, 0);
    assert_int_equal(g.status, 200);
    curl_easy_cleanup(curl);
    free(body);
}

/* As deep as jansson goes, on the thread of a connection. */
static void deep_json(void **state)
{
    struct served *s = *state;
    char body[8192] = "{\"value\":";
    CURL *curl = curl_easy_init();
    call(curl, s->path, 0, "POST", "/hub/topics", "{\"name\":\"t\"}", 12);
    size_t n = strlen(body);
    memset(body + n, '[', 2000);
    memset(body + n + 2000, ']', 2000);
    body[n + 4000] = '}';
    struct got g = call(curl, s->path, 0, "POST", "/hub/topics/t/records", body, n + 4001);
    assert_int_equal(g.status, 200);
    memset(body + n, '[', 4000);
    g = call(curl, s->path, 0, "POST", "/hub/topics/t/records", body, n + 4000);
    assert_int_equal(g.status, 400);
    curl_easy_cleanup(curl);
}

/* ---- with bytes of our own ---------------------------------------------------------------------------------- */

static int dial(const char *path)
{
    struct err e;
    struct socket_path p;
    assert_ok(socket_path_open(&p, path, &e), &e);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&p.address, sizeof p.address), 0);
    socket_path_close(&p);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads until `times` answers have come or the peer closes; how many status lines came. */
static int hear(int fd, int times, char *text, size_t size)
{
    size_t n = 0;
    int seen = 0;
    while (seen < times && n < size - 1) {
        ssize_t got = recv(fd, text + n, size - 1 - n, 0);
        if (got <= 0)
            break;
        n += (size_t)got;
        text[n] = '\0';
        seen = 0;
        for (char *p = text; (p = strstr(p, "ready to handle requests.\"}\n")) != NULL; p++)
            seen++;
    }
    return seen;
}

static void pipelined(void **state)
{
    struct served *s = *state;
    char text[8192];
    int fd = dial(s->path);
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\nGET /health HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(hear(fd, 3, text, sizeof text), 3);
    assert_int_equal(recv(fd, text, sizeof text, 0), 0);
    close(fd);
}

/* A body that comes in bytes; meanwhile others are served. */
static void slow_body(void **state)
{
    struct served *s = *state;
    static const char body[] = "{\"name\":\"slow\"}";
    char text[4096], head[128];
    int fd = dial(s->path);
    snprintf(head, sizeof head, "POST /hub/topics HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
             strlen(body));
    say(fd, head);
    for (size_t i = 0; i + 1 < sizeof body; i++) {
        char one[2] = {body[i], 0};
        say(fd, one);
        if (i == 3)
            ask_only(s->f, "GET", "/hub/topics/slow", NULL, 404);
    }
    assert_true(recv(fd, text, sizeof text, 0) > 0);
    assert_memory_equal(text, "HTTP/1.1 201", 12);
    close(fd);
}

/* Requests that end early or are none: nothing stays behind (address sanitizer), others are served. */
static void broken_requests(void **state)
{
    struct served *s = *state;
    static const char *const texts[] = {
        "",
        "GET",
        "\r\n\r\n",
        "GET /health HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nHost: x\r\n broken\r\n\r\n",
        "POST /hub/topics HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{",
        "POST /hub/topics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n{",
        "POST /hub/topics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /\x01\xff HTTP/9.9\r\nHost: x\r\n\r\n"};
    char text[4096];
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        int fd = dial(s->path);
        say(fd, texts[i]);
        shutdown(fd, SHUT_WR);
        while (recv(fd, text, sizeof text, 0) > 0)
            continue;
        close(fd);
    }
    int fd = dial(s->path);
    say(fd, "GET /health HTTP/1.0\r\n\r\n");
    assert_int_equal(hear(fd, 1, text, sizeof text), 1);
    close(fd);
}

/* ---- stopping ------------------------------------------------------------------------------------------------ */

static void *wait_for_records(void *arg)
{
    struct served *s = arg;
    static struct got g;
    CURL *curl = curl_easy_init();
    g = call(curl, s->path, 0, "GET", "/hub/topics/t/records?from=0:0&wait_ms=30000", NULL, 0);
    curl_easy_cleanup(curl);
    return &g;
}

/* api_interrupt ends the wait long before its 30 s: without it the stop would take as long. */
static void a_waiting_reader_is_interrupted(void **state)
{
    struct served *s = *state;
    pthread_t reader;
    void *result;
    ask_only(s->f, "POST", "/hub/topics", "{\"name\":\"t\"}", 201);
    int64_t start = clock_mono_ms();
    assert_int_equal(pthread_create(&reader, NULL, wait_for_records, s), 0);
    api_interrupt(s->f->api);
    pthread_join(reader, &result);
    struct got *g = result;
    assert_int_equal(g->status, 200);
    assert_int_equal(g->n, 0);
    assert_true(clock_mono_ms() - start < 30000);
}

static void what_stands_in_the_way(void **state)
{
    struct served *s = *state;
    struct err e;
    struct http_server *second;
    char text[64];
    /* a stale socket, and a port that is taken */
    snprintf(text, sizeof text, "127.0.0.1:%d", http_server_port(s->server));
    char *other;
    assert_true(asprintf(&other, "%s/other.sock", s->f->dir) > 0);
    int left;
    assert_ok(listen_local(other, &left, &e), &e);
    close(left);
    assert_true(http_server_listen(&second, other, text, &e) != ERR_OK);
    assert_non_null(strstr(e.text, text));
    assert_false(io_exists(other));
    static const char *const wrong[] = {"127.0.0.1", "127.0.0.1:",     ":x", ":-1", ":65536",
                                        "[::1",      "no such host:1", ""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_code(http_server_listen(&second, other, wrong[i], &e), ERR_INVALID_CONFIG, &e);
        assert_non_null(strstr(e.text, "http.listen"));
    }
    assert_ok(http_server_listen(&second, other, ":0", &e), &e);
    assert_true(http_server_port(second) > 0);
    http_server_stop(second); /* never served */
    assert_true(http_server_listen(&second, "/nowhere/at/all.sock", NULL, &e) != ERR_OK);
    free(other);
}

/* A path that does not fit into a socket's address works all the same. */
static void long_paths(void **state)
{
    struct served *s = *state;
    struct err e;
    struct http_server *second;
    char path[400], text[4096];
    snprintf(path, sizeof path, "%s/%0150d", s->f->dir, 1);
    assert_ok(io_mkdir(path, 0700, &e), &e);
    size_t end = strlen(path);
    snprintf(path + end, sizeof path - end, "/leat.sock");
    assert_ok(http_server_listen(&second, path, NULL, &e), &e);
    assert_ok(http_server_serve(second, s->f->api, &e), &e);
    int fd = dial(path);
    say(fd, "GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert_int_equal(hear(fd, 1, text, sizeof text), 1);
    close(fd);
    http_server_stop(second);
    assert_false(io_exists(path));
    struct socket_path p;
    snprintf(path, sizeof path, "%0200d", 1);
    assert_code(socket_path_open(&p, path, &e), ERR_INVALID, &e);
    snprintf(path, sizeof path, "/tmp/%0200d", 1);
    assert_code(socket_path_open(&p, path, &e), ERR_INVALID, &e);
    snprintf(path, sizeof path, "/nowhere/%0100d/%0100d/x", 1, 1);
    assert_code(socket_path_open(&p, path, &e), ERR_NOT_FOUND, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(over_both, serve, unserve),
        cmocka_unit_test_setup_teardown(bodies_too_large, serve, unserve),
        cmocka_unit_test_setup_teardown(deep_json, serve, unserve),
        cmocka_unit_test_setup_teardown(pipelined, serve, unserve),
        cmocka_unit_test_setup_teardown(slow_body, serve, unserve),
        cmocka_unit_test_setup_teardown(broken_requests, serve, unserve),
        cmocka_unit_test_setup_teardown(a_waiting_reader_is_interrupted, serve, unserve),
        cmocka_unit_test_setup_teardown(what_stands_in_the_way, serve, unserve),
        cmocka_unit_test_setup_teardown(long_paths, serve, unserve),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
