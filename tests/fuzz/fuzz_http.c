/*
 * fuzz_http: requests from outside against the api over a tiny real broker: "METHOD TARGET\nBODY". Whatever
 * comes, there is an answer: a status, and of an error JSON of the promised shape. The directory is made anew
 * when the requests have filled it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "http/api.h"
#include "tests/fuzz/fuzz.h"

#define RESET_AFTER 2000
#define PARTITIONS_LIMIT 64

static struct broker *broker;
static struct client *client;
static struct api *api;
static char dir[64];

static void close_store(void)
{
    struct err e;
    if (!api)
        return;
    api_free(api);
    client_close(client);
    require(broker_close(broker, &e) == ERR_OK);
    require(io_remove_tree(dir, &e) == ERR_OK);
    api = NULL;
}

static void handle(const char *method, const char *target, const void *body, size_t n, struct api_response *r)
{
    struct api_request request = {.method = method, .target = target, .body = body, .body_bytes = n};
    api_handle(api, &request, r);
}

static void open_store(void)
{
    struct err e;
    static const char topic[] = "{\"name\":\"t\"}",
                      record[] = "{\"key\":\"k\",\"value\":{\"base64\":\"/w==\"}}\n";
    static bool registered;
    struct api_response r;
    if (!registered)
        atexit(close_store);
    registered = true;
    diag_setup(DIAG_OFF, DIAG_TEXT);
    snprintf(dir, sizeof dir, "/tmp/leat-fuzz-XXXXXX");
    require(mkdtemp(dir) != NULL);
    struct broker_options bo = {
        .data_dir = dir, .journal_file_bytes = 1 << 20, .offsets_partitions = 1, .txn_partitions = 1};
    require(broker_open(&broker, &bo, &e) == ERR_OK);
    client = client_embedded(broker, &e);
    require(client != NULL);
    struct api_options ao = {.broker = broker, .client = client};
    api = api_new(&ao, &e);
    require(api != NULL);
    handle("POST", "/hub/topics", topic, strlen(topic), &r);
    require(r.status == 201);
    api_response_free(&r);
    handle("POST", "/hub/topics/t/records", record, strlen(record), &r);
    require(r.status == 200);
    api_response_free(&r);
}

/* Partitions are files: a request for a million of them is right, but not here. Waiting readers would only wait. */
static bool too_dear(const char *target, const char *body)
{
    const char *partitions = strstr(body, "partitions");
    return strstr(target, "wait_ms") || strchr(target, '\\') ||
           (partitions && strcspn(partitions, "0123456789") < strlen(partitions) &&
            atol(partitions + strcspn(partitions, "0123456789")) > PARTITIONS_LIMIT) ||
           (partitions && strchr(partitions, 'e')) || strchr(body, '\\');
}

static void check(const struct api_response *r)
{
    require(r->status >= 200 && r->status < 600 && r->content_type);
    if (r->status < 400)
        return;
    json_t *j = json_loadb((const char *)r->body.data, r->body.len, 0, NULL);
    require(json_integer_value(json_object_get(j, "error_code")) == r->status);
    require(json_is_string(json_object_get(j, "message")) && json_is_string(json_object_get(j, "code")));
    require(r->status != 500 && r->status != 503);
    json_decref(j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static unsigned requests;
    struct api_response r;
    if (requests++ % RESET_AFTER == 0)
        close_store();
    if (!api)
        open_store();
    char *text = mem_strndup((const char *)data, n), *line_end, *space;
    require(text != NULL);
    size_t text_len = strlen(text);
    line_end = strchr(text, '\n');
    space = strchr(text, ' ');
    if (line_end && space && space < line_end) {
        *line_end = *space = '\0';
        if (!too_dear(space + 1, line_end + 1)) {
            size_t body = (size_t)(line_end + 1 - text);
            handle(text, space + 1, data + body, n > text_len ? n - body : text_len - body, &r);
            check(&r);
            api_response_free(&r);
        }
    }
    mem_free(text);
    return 0;
}
