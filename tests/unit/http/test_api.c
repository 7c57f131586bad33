/*
 * The api without sockets: routing, arguments, answers and errors; topics, groups and metrics.
 */
#include "tests/unit/http/fixture.h"

#include <errno.h>

static void routes(void **state)
{
    struct fixture *f = *state;
    ask_error(f, "GET", "/nothing", NULL, 404, "NOT_FOUND", "/nothing");
    ask_error(f, "GET", "", NULL, 404, "NOT_FOUND", "404");
    ask_error(f, "GET", "/hub/topics//records", NULL, 404, "NOT_FOUND", "404");
    ask_error(f, "GET", "/hub/topics/t/records/x", NULL, 404, "NOT_FOUND", "404");
    ask_error(f, "POST", "/health", NULL, 405, "UNSUPPORTED", "POST /health");
    ask_only(f, "GET", "/health", NULL, 200);
    ask_only(f, "HEAD", "/health", NULL, 200);
    ask_only(f, "GET", "/health/", NULL, 200);
    ask_only(f, "GET", "/health?x=1&&y", NULL, 200);
    struct api_response r = ask_raw(f, "PUT", "/hub/topics/t", NULL, 0);
    assert_int_equal(r.status, 405);
    assert_string_equal(r.allow, "GET, DELETE, PATCH");
    api_response_free(&r);
}

static void percent_decoding(void **state)
{
    struct fixture *f = *state;
    ask_only(f, "POST", "/hub/topics", "{\"name\":\"a.b\"}", 201);
    ask_only(f, "GET", "/hub/topics/a%2eb", NULL, 200);
    ask_only(f, "GET", "/hub/topics/%61.%62", NULL, 200);
    ask_error(f, "GET", "/hub/topics/a%2Fb", NULL, 404, "UNKNOWN_TOPIC", "a/b");
    static const char *const wrong[] = {"%", "%4", "%zz", "%0", "%00", "a%00b", "%ff", "%c3%28", "%ed%a0%80"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char target[64];
        snprintf(target, sizeof target, "/hub/topics/%s", wrong[i]);
        ask_error(f, "GET", target, NULL, 400, "INVALID", "percent");
        snprintf(target, sizeof target, "/health?a=%s", wrong[i]);
        ask_error(f, "GET", target, NULL, 400, "INVALID", "percent");
    }
    ask_error(f, "GET", "/health?a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a&a", NULL, 400, "INVALID",
              "query parameters");
}

static void read_only_listener(void **state)
{
    struct fixture *f = *state;
    f->read_only = true;
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\"}", 403, "PERMISSION", "only reads");
    ask_error(f, "DELETE", "/hub/groups/g", NULL, 403, "PERMISSION", "only reads");
    ask_only(f, "GET", "/hub/topics", NULL, 200);
    ask_only(f, "GET", "/metrics", NULL, 200);
    f->read_only = false;
}

static void without_a_hub(void **state)
{
    struct fixture *f = *state;
    ask_error(f, "POST", "/hub/reload", NULL, 409, "BUSY", "leat run");
    ask_error(f, "POST", "/hub/plan", "{\"path\":\"/x\"}", 409, "BUSY", "leat run");
    ask_error(f, "POST", "/hub/connectors/c/restart", NULL, 409, "BUSY", "leat run");
    ask_error(f, "PUT", "/hub/connectors/c/pause", NULL, 409, "BUSY", "leat run");
    json_t *s = ask_json(f, "GET", "/hub/status", NULL, 200);
    assert_true(json_is_false(json_object_get(s, "running")));
    assert_int_equal(json_array_size(json_object_get(s, "tasks")), 0);
    assert_string_equal(json_string_value(json_object_get(s, "data_dir")), f->dir);
    json_decref(s);
}

static void topics(void **state)
{
    struct fixture *f = *state;
    ask_error(f, "POST", "/hub/topics", NULL, 400, "INVALID", "not JSON");
    ask_error(f, "POST", "/hub/topics", "{", 400, "INVALID", "line 1");
    ask_error(f, "POST", "/hub/topics", "[]", 400, "INVALID", "not a JSON object");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\",\"name\":\"u\"}", 400, "INVALID", "duplicate");
    ask_error(f, "POST", "/hub/topics", "{}", 400, "INVALID", "name");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"a/b\"}", 400, "INVALID_TOPIC", "a/b");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\",\"partitions\":\"1\"}", 400, "INVALID",
              "partitions");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\",\"partitions\":0}", 400, "INVALID_PARTITIONS", "");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\",\"config\":{\"retention.ms\":1}}", 400, "INVALID",
              "retention.ms");
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\",\"config\":{\"retenton.ms\":\"1\"}}", 400,
              "INVALID_CONFIG", "retention.ms");
    json_t *t = ask_json(
        f, "POST", "/hub/topics",
        "{\"name\":\"t\",\"partitions\":2,\"config\":{\"retention.ms\":\"60000\",\"segment.ms\":null}}", 201);
    assert_int_equal(json_integer_value(json_object_get(t, "partition_count")), 2);
    assert_int_equal(json_object_size(json_object_get(t, "config")), 1);
    assert_int_equal(json_array_size(json_object_get(t, "partitions")), 2);
    json_decref(t);
    ask_error(f, "POST", "/hub/topics", "{\"name\":\"t\"}", 409, "TOPIC_EXISTS", "t");
    /* Nothing of a change is made when a part of it is wrong. */
    ask_error(f, "PATCH", "/hub/topics/t", "{\"partitions\":5,\"config\":{\"nope\":\"1\"}}", 400,
              "INVALID_CONFIG", "nope");
    t = ask_json(f, "GET", "/hub/topics/t", NULL, 200);
    assert_int_equal(json_integer_value(json_object_get(t, "partition_count")), 2);
    json_decref(t);
    t = ask_json(f, "PATCH", "/hub/topics/t", "{\"partitions\":3,\"config\":{\"retention.ms\":null}}", 200);
    assert_int_equal(json_integer_value(json_object_get(t, "partition_count")), 3);
    assert_int_equal(json_object_size(json_object_get(t, "config")), 0);
    json_decref(t);
    ask_error(f, "GET", "/hub/topics?internal=1", NULL, 400, "INVALID", "internal");
    t = ask_json(f, "GET", "/hub/topics", NULL, 200);
    assert_int_equal(json_array_size(t), 1);
    json_decref(t);
    ask_only(f, "DELETE", "/hub/topics/t", NULL, 204);
    ask_error(f, "DELETE", "/hub/topics/t", NULL, 404, "UNKNOWN_TOPIC", "t");
}

static void deletions(void **state)
{
    struct fixture *f = *state;
    ask_only(f, "POST", "/hub/topics", "{\"name\":\"t\",\"partitions\":2}", 201);
    ask_only(f, "POST", "/hub/topics/t/records",
             "{\"partition\":1,\"value\":\"a\"}\n{\"partition\":1,\"value\":\"b\"}\n", 200);
    static const struct {
        const char *body, *part;
    } refused[] = {
        {"{}", "partitions"},
        {"{\"partitions\":[]}", "partitions"},
        {"{\"partitions\":[{\"partition\":1,\"offset\":1}]}", "partitions[0]: topic"},
        {"{\"partitions\":[{\"topic\":\"t\",\"partition\":-1,\"offset\":1}]}", "partition:"},
        {"{\"partitions\":[{\"topic\":\"t\",\"partition\":2147483648,\"offset\":1}]}", "partition:"},
        {"{\"partitions\":[{\"topic\":\"t\",\"partition\":1,\"offset\":-2}]}", "offset"},
        {"{\"partitions\":[{\"topic\":\"t\",\"partition\":1,\"offset\":1},7]}", "partitions[1]"},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        ask_error(f, "POST", "/hub/records/delete", refused[i].body, 400, "INVALID", refused[i].part);
    json_t *answer = ask_json(f, "POST", "/hub/records/delete",
                              "{\"partitions\":[{\"topic\":\"no\",\"partition\":0,\"offset\":1},"
                              "{\"topic\":\"t\",\"partition\":1,\"offset\":-1},"
                              "{\"topic\":\"t\",\"partition\":1,\"offset\":3}]}",
                              200);
    const json_t *list = json_object_get(answer, "partitions");
    assert_int_equal(json_array_size(list), 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 0), "code")), "UNKNOWN_TOPIC");
    assert_non_null(json_object_get(json_array_get(list, 0), "message"));
    assert_int_equal(json_integer_value(json_object_get(json_array_get(list, 1), "log_start_offset")), 2);
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "code")),
                        "OFFSET_OUT_OF_RANGE");
    json_decref(answer);
    f->read_only = true;
    ask_error(f, "POST", "/hub/records/delete", "{}", 403, "PERMISSION", "");
    f->read_only = false;
}

static void groups(void **state)
{
    struct fixture *f = *state;
    ask_only(f, "POST", "/hub/topics", "{\"name\":\"t\"}", 201);
    ask_only(f, "POST", "/hub/topics/t/records", "{\"value\":\"a\"}\n{\"value\":\"b\"}\n", 200);
    ask_error(f, "GET", "/hub/groups/g", NULL, 404, "UNKNOWN_GROUP", "g");
    ask_error(f, "PUT", "/hub/groups/g/offsets", "{}", 400, "INVALID", "offsets");
    ask_error(f, "PUT", "/hub/groups/g/offsets", "{\"offsets\":{}}", 400, "INVALID", "offsets");
    ask_error(f, "PUT", "/hub/groups/g/offsets", "{\"offsets\":[1]}", 400, "INVALID", "offsets[0]");
    ask_error(f, "PUT", "/hub/groups/g/offsets",
              "{\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":-2}]}", 400, "INVALID",
              "offsets[0]");
    ask_only(f, "PUT", "/hub/groups/g/offsets",
             "{\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":1}]}", 204);
    json_t *g = ask_json(f, "GET", "/hub/groups/g", NULL, 200);
    json_t *o = json_array_get(json_object_get(g, "offsets"), 0);
    assert_int_equal(json_integer_value(json_object_get(o, "offset")), 1);
    assert_int_equal(json_integer_value(json_object_get(o, "end_offset")), 2);
    assert_int_equal(json_integer_value(json_object_get(o, "lag")), 1);
    json_decref(g);
    ask_error(f, "PUT", "/hub/groups/g/offsets",
              "{\"offsets\":[{\"topic\":\"t\",\"partition\":7,\"offset\":1}]}", 404, "UNKNOWN_TOPIC", "7");
    ask_only(f, "PUT", "/hub/groups/%C3%A9%20%22/offsets",
             "{\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":1}]}", 204);
    g = ask_json(f, "GET", "/hub/groups/%C3%A9%20%22", NULL, 200);
    assert_string_equal(json_string_value(json_object_get(g, "group")), "\xc3\xa9 \"");
    json_decref(g);
    g = ask_json(f, "GET", "/hub/groups", NULL, 200);
    assert_int_equal(json_array_size(g), 2);
    json_decref(g);
    ask_only(f, "DELETE", "/hub/groups/g", NULL, 204);
    ask_error(f, "DELETE", "/hub/groups/g", NULL, 404, "UNKNOWN_GROUP", "g");
    g = ask_json(f, "GET", "/hub/transactions", NULL, 200);
    assert_int_equal(json_array_size(g), 0);
    json_decref(g);
}

static void metrics(void **state)
{
    struct fixture *f = *state;
    ask_only(f, "POST", "/hub/topics", "{\"name\":\"a.b-c_d\",\"partitions\":2}", 201);
    ask_only(f, "POST", "/hub/topics/a.b-c_d/records", "{\"partition\":1}\n{\"partition\":1}\n", 200);
    struct api_response r = ask_raw(f, "GET", "/metrics", NULL, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "text/plain; version=0.0.4; charset=utf-8");
    char *text = strndup((char *)r.body.data, r.body.len), *save, *line;
    api_response_free(&r);
    assert_non_null(strstr(text, "# TYPE leat_append_records_total counter\n"));
    assert_non_null(strstr(text, "\nleat_append_records_total 2\n"));
    assert_non_null(strstr(text, "\nleat_partition_log_end_offset{topic=\"a.b-c_d\",partition=\"1\"} 2\n"));
    assert_non_null(strstr(text, "\nleat_partition_log_end_offset{topic=\"a.b-c_d\",partition=\"0\"} 0\n"));
    assert_null(strstr(text, "__"));
    int families = 0;
    for (line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
        families += strncmp(line, "# TYPE ", 7) == 0;
    assert_true(families >= 20);
    free(text);
}

/* Whichever write of the commit stage fails: from then on the store takes no appends, and /health says so. */
static void a_failed_store_is_unhealthy(void **state)
{
    struct fixture *f = *state;
    bool unhealthy = false;
    ask_only(f, "POST", "/hub/topics", "{\"name\":\"t\"}", 201);
    ask_only(f, "POST", "/hub/topics/t/records", "{\"value\":\"files are made\"}\n", 200);
    for (uint64_t nth = 1; nth < 10 && !unhealthy; nth++) {
        fault_arm(FAULT_WRITE, nth, EIO, false);
        struct api_response r = ask_raw(f, "POST", "/hub/topics/t/records", "{\"value\":\"x\"}\n", 14);
        fault_disarm();
        bool written = r.status == 200;
        api_response_free(&r);
        r = ask_raw(f, "GET", "/health", NULL, 0);
        unhealthy = r.status == 500;
        assert_true(unhealthy || r.status == 200);
        assert_false(unhealthy && written);
        if (unhealthy)
            assert_non_null(memmem(r.body.data, r.body.len, "journal", 7));
        api_response_free(&r);
    }
    assert_true(unhealthy);
    ask_only(f, "GET", "/hub/topics/t/records?from=0:0", NULL, 200); /* reads go on */
}

/* A store that failed does not close cleanly, and says so. */
static int teardown_failed(void **state)
{
    struct err e;
    struct fixture *f = *state;
    api_free(f->api);
    client_close(f->client);
    assert_int_not_equal(broker_close(f->broker, &e), ERR_OK);
    testkit_remove_dir(f->dir);
    free(f);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(routes, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(percent_decoding, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(read_only_listener, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(without_a_hub, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(topics, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(deletions, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(groups, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(metrics, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(a_failed_store_is_unhealthy, fixture_setup, teardown_failed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
