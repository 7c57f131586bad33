/*
 * A real broker in a private directory with the api over it, and requests as one-liners.
 */
#ifndef LEAT_TESTS_HTTP_FIXTURE_H
#define LEAT_TESTS_HTTP_FIXTURE_H

#include "tests/lib/testkit.h"

#include <errno.h>
#include <jansson.h>

#include "base/mem.h"
#include "http/api.h"

struct fixture {
    char *dir;
    struct broker *broker;
    struct client *client;
    struct api *api;
    bool read_only;
};

static inline int fixture_setup(void **state)
{
    struct err e;
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    f->dir = testkit_dir();
    struct broker_options bo = {
        .data_dir = f->dir, .journal_file_bytes = 1 << 20, .offsets_partitions = 1, .txn_partitions = 1};
    assert_ok(broker_open(&f->broker, &bo, &e), &e);
    f->client = client_embedded(f->broker, &e);
    assert_non_null(f->client);
    struct api_options ao = {.broker = f->broker, .client = f->client, .started_ms = 1};
    f->api = api_new(&ao, &e);
    assert_non_null(f->api);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct err e;
    struct fixture *f = *state;
    fault_disarm();
    api_free(f->api);
    client_close(f->client);
    assert_ok(broker_close(f->broker, &e), &e);
    testkit_remove_dir(f->dir);
    free(f);
    return 0;
}

/* The answer; api_response_free. */
static inline struct api_response ask_raw(struct fixture *f, const char *method, const char *target,
                                          const void *body, size_t n)
{
    struct api_request request = {
        .method = method, .target = target, .body = body, .body_bytes = n, .read_only = f->read_only};
    struct api_response r;
    api_handle(f->api, &request, &r);
    return r;
}

/* The body as text (free), after checking the status. */
static inline char *ask(struct fixture *f, const char *method, const char *target, const char *body,
                        int status)
{
    struct api_response r = ask_raw(f, method, target, body, body ? strlen(body) : 0);
    char *text = strndup(r.body.data ? (const char *)r.body.data : "", r.body.len);
    if (r.status != status)
        fail_msg("%s %s: %d instead of %d: %s", method, target, r.status, status, text);
    api_response_free(&r);
    return text;
}

static inline void ask_only(struct fixture *f, const char *method, const char *target, const char *body,
                            int status)
{
    free(ask(f, method, target, body, status));
}

/* The body as JSON (json_decref). */
static inline json_t *ask_json(struct fixture *f, const char *method, const char *target, const char *body,
                               int status)
{
    char *text = ask(f, method, target, body, status);
    json_t *j = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!j)
        fail_msg("%s %s: not JSON: %s", method, target, text);
    free(text);
    return j;
}

/* An error answer: its status, code and a part of its text. */
static inline void ask_error(struct fixture *f, const char *method, const char *target, const char *body,
                             int status, const char *code, const char *part)
{
    json_t *j = ask_json(f, method, target, body, status);
    const char *message = json_string_value(json_object_get(j, "message"));
    assert_int_equal(json_integer_value(json_object_get(j, "error_code")), status);
    assert_string_equal(json_string_value(json_object_get(j, "code")), code);
    if (!message || !strstr(message, part))
        fail_msg("%s %s: '%s' is not in '%s'", method, target, part, message ? message : "");
    json_decref(j);
}

#endif
