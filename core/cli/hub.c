/*
 * hub: the way to the data: the running hub's Unix socket or, when none runs, the directory opened by this
 * very process and served by the same api without a socket in between; or a Kafka cluster, by the same api, too.
 */
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/cluster.h"
#include "base/socket_path.h"

struct hub {
    /* of a cluster there is a client and an api, else: */
    bool cluster;
    /* through the socket: */
    CURL *curl;
    struct socket_path socket;
    const char *dir; /* of the data, for messages */
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

/* Does somebody answer on the socket? 0, or the errno why not. A killed hub leaves its file behind. */
static int dial(const struct socket_path *p)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int errnum =
        fd >= 0 && connect(fd, (const struct sockaddr *)&p->address, sizeof p->address) == 0 ? 0 : errno;
    io_close(fd);
    return errnum;
}

/* A directory that is not ours must not become one because somebody lists topics there. */
int cli_check_directory(const char *dir)
{
    char *mark = mem_printf("%s/meta.properties", dir);
    if (!mark)
        cli_out_of_memory();
    int rc = -1;
    if (access(dir, F_OK) != 0 && errno == ENOENT)
        rc = cli_error(EXIT_MISSING,
                       "there is no data directory %s (leat run makes one; --data-dir names another)", dir);
    else if (access(mark, F_OK) != 0 && errno == EACCES)
        rc = cli_error(EXIT_FAILED, "no permission to enter the data directory %s", dir);
    else if (access(mark, F_OK) != 0)
        rc = cli_error(EXIT_MISSING, "%s is not a data directory: there is no meta.properties in it", dir);
    mem_free(mark);
    return rc;
}

static int open_directly(struct hub *h, const char *dir, bool create)
{
    struct err e;
    int rc = create ? -1 : cli_check_directory(dir);
    if (rc != -1)
        return rc;
    diag_setup(DIAG_WARN, DIAG_TEXT); /* a command says what was asked for; that a store was opened was not */
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

/* Connects to the running hub; the result has no curl when none answers, and *errnum tells why. */
static struct hub *find_running(const char *dir, int *errnum)
{
    struct err e;
    struct hub *h = mem_calloc(1, sizeof *h);
    char *path = mem_printf("%s/leat.sock", dir);
    if (!h || !path)
        cli_out_of_memory();
    h->dir = dir;
    *errnum = ENOENT;
    if (socket_path_open(&h->socket, path, &e) == ERR_OK && (*errnum = dial(&h->socket)) == 0) {
        h->curl = curl_easy_init();
        if (!h->curl)
            cli_out_of_memory();
    }
    mem_free(path);
    return h;
}

/* With --bootstrap-server. */
static struct hub *open_cluster(const struct cli *c, const char *servers, int *exit_code)
{
    struct err e;
    struct cluster_properties p;
    struct hub *h = mem_calloc(1, sizeof *h);
    if (!h)
        cli_out_of_memory();
    h->cluster = true;
    diag_setup(DIAG_WARN, DIAG_TEXT);
    int rc = cluster_properties(c, &p);
    if (rc == -1) {
        struct client_kafka_options o = {
            .bootstrap_servers = servers, .properties = p.list, .property_count = p.count};
        h->client = client_kafka(&o, &e);
        struct api_options ao = {.client = h->client, .started_ms = clock_wall_ms()};
        h->api = h->client ? api_new(&ao, &e) : NULL;
        rc = h->api ? -1 : cli_fail(&e);
    }
    cluster_properties_free(&p);
    if (rc == -1)
        return h;
    *exit_code = rc;
    hub_close(h);
    return NULL;
}

struct hub *hub_open(const struct cli *c, enum hub_need need, int *exit_code)
{
    const char *servers = cli_value(c, "bootstrap-server");
    if (servers)
        return open_cluster(c, servers, exit_code);
    if (cli_value(c, "command-config") || cli_value(c, "command-property")) {
        *exit_code = cli_error(EXIT_USAGE, "properties are for a cluster: --bootstrap-server is missing");
        return NULL;
    }
    const char *dir = cli_data_dir(c);
    int rc = -1, errnum;
    struct hub *h = find_running(dir, &errnum);
    if (!h->curl && errnum == EACCES)
        rc = cli_error(EXIT_FAILED, "no permission to use the hub's socket in %s", dir);
    else if (!h->curl && need == HUB_RUNNING)
        rc = cli_error(EXIT_BUSY,
                       "no hub runs on %s (leat run starts one; --data-dir names another directory)", dir);
    else if (!h->curl)
        rc = open_directly(h, dir, need == HUB_CREATED);
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
        cli_fail(&e); /* what was acknowledged is synced all the same */
    socket_path_close(&h->socket);
    mem_free(h);
}

bool hub_is_running(const struct hub *h)
{
    return h->curl != NULL || h->cluster;
}

/* ---- requests
 * ----------------------------------------------------------------------------------------------- */

void hub_answer_free(struct hub_answer *a)
{
    mem_free(a->body);
    mem_free(a->next);
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
    if (len >= sizeof next - 1 && strncasecmp(data, next, sizeof next - 1) == 0) {
        mem_free(t->answer->next);
        t->answer->next = mem_strndup(data + sizeof next - 1, len - (sizeof next - 1));
        if (!t->answer->next)
            return 0;
    }
    if (len == sizeof end - 1 && strncasecmp(data, end, len) == 0)
        t->answer->at_end = true;
    return size * n;
}

/* Moves the body into the answer, with a NUL behind it. */
static bool finish_body(struct buf *b, struct hub_answer *answer)
{
    struct err e;
    if (buf_u8(b, 0, &e) != ERR_OK)
        return false;
    answer->body = (char *)b->data;
    answer->bytes = b->len - 1;
    buf_init(b, 0);
    return true;
}

static void set_up_request(struct hub *h, const char *url, const char *method, const char *body, size_t n,
                           struct transfer *t)
{
    curl_easy_reset(h->curl);
    curl_easy_setopt(h->curl, CURLOPT_UNIX_SOCKET_PATH, h->socket.address.sun_path);
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
    curl_easy_setopt(h->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(h->curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(h->curl, CURLOPT_HEADERDATA, t);
}

static bool call_socket(struct hub *h, const char *method, const char *target, const char *body, size_t n,
                        struct hub_answer *answer)
{
    struct transfer t = {.answer = answer};
    long status = 0;
    char *url = mem_printf("http://hub%s", target);
    if (!url)
        cli_out_of_memory();
    buf_init(&t.body, API_RESPONSE_MAX + 1);
    set_up_request(h, url, method, body, n, &t);
    CURLcode rc = curl_easy_perform(h->curl);
    mem_free(url);
    if (rc == CURLE_OK && !finish_body(&t.body, answer))
        rc = CURLE_OUT_OF_MEMORY;
    buf_free(&t.body);
    if (rc != CURLE_OK) {
        cli_error(EXIT_BUSY, "the hub on %s does not answer: %s", h->dir, curl_easy_strerror(rc));
        return false;
    }
    curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
    answer->status = (int)status;
    return true;
}

static bool call_here(struct hub *h, const char *method, const char *target, const char *body, size_t n,
                      struct hub_answer *answer)
{
    struct err e;
    struct api_request request = {.method = method, .target = target, .body = body, .body_bytes = n};
    struct api_response r;
    api_handle(h->api, &request, &r);
    answer->status = r.status;
    answer->at_end = r.at_end;
    bool ok = finish_body(&r.body, answer);
    if (ok && r.next.len) {
        ok = buf_u8(&r.next, 0, &e) == ERR_OK;
        answer->next = ok ? (char *)r.next.data : NULL;
        if (ok)
            buf_init(&r.next, 0);
    }
    api_response_free(&r);
    if (!ok)
        cli_error(EXIT_FAILED, "out of memory");
    return ok;
}

bool hub_call(struct hub *h, const char *method, const char *target, const char *body, size_t n,
              struct hub_answer *answer)
{
    *answer = (struct hub_answer){0};
    bool ok = h->curl ? call_socket(h, method, target, body, n, answer)
                      : call_here(h, method, target, body, n, answer);
    if (!ok) {
        hub_answer_free(answer);
        *answer = (struct hub_answer){0};
    }
    return ok;
}

/* The same exit code as if the error had happened here. */
static int exit_for_name(const char *name)
{
    for (int code = 0; name && code < ERR_COUNT; code++)
        if (strcmp(err_name(code), name) == 0)
            return cli_exit_for(code);
    return EXIT_FAILED;
}

int hub_refusal(const json_t *error)
{
    const char *message = json_string_value(json_object_get(error, "message"));
    int code = exit_for_name(json_string_value(json_object_get(error, "code")));
    return message ? cli_error(code, "%s", message) : code;
}

int hub_refused(const struct hub_answer *a)
{
    json_t *j = json_loadb(a->body, a->bytes, 0, NULL);
    int code = hub_refusal(j);
    if (!json_object_get(j, "message"))
        cli_error(code, "the hub answered with HTTP status %d", a->status);
    json_decref(j);
    return code;
}

json_t *hub_json(struct hub *h, const char *method, const char *target, json_t *body, int *exit_code)
{
    struct hub_answer a;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    if (body && !text)
        cli_out_of_memory();
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
