/*
 * hub: the way to the data: the running hub's Unix socket or, when none runs, the directory opened by this
 * very process and served by the same api without a socket in between.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"

struct hub {
    /* through the socket: */
    CURL *curl;
    char *socket_path;
    /* or in this process: */
    struct broker *broker;
    struct client *client;
    struct api *api;
};

const char *cli_data_dir(const struct cli *c)
{
    const char *dir = cli_value(c, "data-dir"), *env = getenv("LEAT_DATA_DIR");
    return dir ? dir : env && *env ? env : "leat-data";
}

/* Does somebody answer on the socket? A killed hub leaves its file behind. */
static bool answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof a.sun_path)
        return false;
    strcpy(a.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok = fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0;
    io_close(fd);
    return ok;
}

static int open_directly(struct hub *h, const char *dir, bool create)
{
    struct err e;
    if (!create && !io_exists(dir))
        return cli_error(EXIT_MISSING,
                         "there is no data directory %s (leat run makes one; --data-dir names another)", dir);
    struct broker_options bo = {.data_dir = dir};
    if (broker_open(&h->broker, &bo, &e) != ERR_OK)
        return cli_fail(&e);
    h->client = client_embedded(h->broker, &e);
    if (!h->client)
        return cli_fail(&e);
    struct api_options ao = {.broker = h->broker, .client = h->client, .started_ms = clock_wall_ms()};
    h->api = api_new(&ao, &e);
    return h->api ? -1 : cli_fail(&e);
}

struct hub *hub_open(const struct cli *c, enum hub_need need, int *exit_code)
{
    const char *dir = cli_data_dir(c);
    struct hub *h = mem_calloc(1, sizeof *h);
    char *path = mem_printf("%s/leat.sock", dir);
    if (!h || !path) {
        mem_free(h);
        mem_free(path);
        *exit_code = cli_error(EXIT_FAILED, "out of memory");
        return NULL;
    }
    h->socket_path = path;
    int rc = -1;
    if (answers(path)) {
        h->curl = curl_easy_init();
        if (!h->curl)
            rc = cli_error(EXIT_FAILED, "cannot set up libcurl");
    } else if (need == HUB_RUNNING) {
        rc = cli_error(EXIT_BUSY, "no hub runs on %s (leat run starts one; --data-dir names another directory)", dir);
    } else {
        rc = open_directly(h, dir, need == HUB_CREATED);
    }
    if (rc == -1)
        return h;
    *exit_code = rc;
    hub_close(h);
    return NULL;
}

void hub_close(struct hub *h)
{
    struct err e;
    if (!h)
        return;
    if (h->curl)
        curl_easy_cleanup(h->curl);
    api_free(h->api);
    if (h->client)
        client_close(h->client);
    if (h->broker && broker_close(h->broker, &e) != ERR_OK)
        cli_fail(&e);
    mem_free(h->socket_path);
    mem_free(h);
}

/* ---- requests
 * ----------------------------------------------------------------------------------------------- */

void hub_answer_free(struct hub_answer *a)
{
    mem_free(a->body);
}

struct transfer {
    struct buf body;
    struct hub_answer *answer;
};

static size_t on_body(char *data, size_t size, size_t n, void *arg)
{
    struct err e;
    struct transfer *t = arg;
    return buf_append(&t->body, data, size * n, &e) == ERR_OK ? size * n : 0;
}

static size_t on_header(char *data, size_t size, size_t n, void *arg)
{
    static const char next[] = "X-Leat-Next: ", end[] = "X-Leat-At-End: 1";
    struct transfer *t = arg;
    size_t len = size * n;
    while (len && (data[len - 1] == '\r' || data[len - 1] == '\n'))
        len--;
    if (len >= sizeof next - 1 && strncasecmp(data, next, sizeof next - 1) == 0)
        snprintf(t->answer->next, sizeof t->answer->next, "%.*s", (int)(len - sizeof next + 1),
                 data + sizeof next - 1);
    if (len == sizeof end - 1 && strncasecmp(data, end, len) == 0)
        t->answer->at_end = true;
    return size * n;
}

static bool finish_body(struct buf *b, struct hub_answer *answer)
{
    struct err e;
    if (buf_u8(b, 0, &e) != ERR_OK)
        return false;
    answer->body = (char *)b->data;
    answer->bytes = b->len - 1;
    return true;
}

static bool call_socket(struct hub *h, const char *method, const char *target, const char *body, size_t n,
                        struct hub_answer *answer)
{
    struct transfer t = {.answer = answer};
    long status = 0;
    char *url = mem_printf("http://hub%s", target);
    buf_init(&t.body, API_RESPONSE_MAX + 1);
    curl_easy_reset(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_UNIX_SOCKET_PATH, h->socket_path);
    curl_easy_setopt(h->curl, CURLOPT_URL, url);
    curl_easy_setopt(h->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(h->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->curl, CURLOPT_PATH_AS_IS, 1L);
    if (body) {
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDS, body);
        curl_easy_setopt(h->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)n);
    }
    curl_easy_setopt(h->curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(h->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, &t);
    curl_easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, &t);
    CURLcode rc = url ? curl_easy_perform(h->curl) : CURLE_OUT_OF_MEMORY;
    mem_free(url);
    if (rc != CURLE_OK || !finish_body(&t.body, answer)) {
        cli_error(EXIT_BUSY, "%s: %s", h->socket_path, curl_easy_strerror(rc));
        buf_free(&t.body);
        return false;
    }
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    return true;
}

static bool call_here(struct hub *h, const char *method, const char *target, const char *body, size_t n,
                      struct hub_answer *answer)
{
    struct api_request request = {.method = method, .target = target, .body = body, .body_bytes = n};
    struct api_response r;
    api_handle(h->api, &request, &r);
    answer->status = r.status;
    answer->at_end = r.at_end;
    memcpy(answer->next, r.next, sizeof answer->next);
    if (finish_body(&r.body, answer))
        return true;
    api_response_free(&r);
    cli_error(EXIT_FAILED, "out of memory");
    return false;
}

bool hub_call(struct hub *h, const char *method, const char *target, const char *body, size_t n,
              struct hub_answer *answer)
{
    *answer = (struct hub_answer){0};
    return h->curl ? call_socket(h, method, target, body, n, answer)
                   : call_here(h, method, target, body, n, answer);
}

int hub_refused(const struct hub_answer *a)
{
    json_t *j = json_loadb(a->body, a->bytes, 0, NULL);
    const char *message = json_string_value(json_object_get(j, "message"));
    int code = a->status == 404 ? EXIT_MISSING : a->status == 409 ? EXIT_BUSY : EXIT_FAILED;
    cli_error(code, "%s", message ? message : "the hub answered with an error");
    json_decref(j);
    return code;
}

json_t *hub_json(struct hub *h, const char *method, const char *target, json_t *body, int *exit_code)
{
    struct hub_answer a;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    *exit_code = EXIT_BUSY;
    bool ok = hub_call(h, method, target, text, text ? strlen(text) : 0, &a);
    free(text);
    if (!ok)
        return NULL;
    json_t *j = NULL;
    if (a.status > 399) {
        *exit_code = hub_refused(&a);
    } else {
        j = a.bytes ? json_loadb(a.body, a.bytes, JSON_DECODE_ANY, NULL) : json_null();
        *exit_code = j ? EXIT_FINE : cli_error(EXIT_FAILED, "the hub's answer is not JSON");
    }
    hub_answer_free(&a);
    return j;
}

char *hub_target(const char *prefix, const char *name, const char *rest)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    if (buf_str(&b, prefix, &e) || api_escape(&b, name, &e) || buf_str(&b, rest, &e) || buf_u8(&b, 0, &e))
        exit(cli_fail(&e));
    return (char *)b.data;
}
