/*
 * Records over the api: bytes in and out, all-or-none writes, exact reads, offsets by time; every allocation failing.
 */
#include "tests/unit/http/fixture.h"

#include "http/json_bytes.h"

static void put(const void *data, int64_t n, const char *expected)
{
    struct err e;
    struct buf b;
    buf_init(&b, 1 << 20);
    assert_ok(json_put_bytes(&b, data, n, &e), &e);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(b.data, expected, b.len);
    buf_free(&b);
}

static void bytes_out(void **state)
{
    (void)state;
    put(NULL, -1, "null");
    put("", 0, "\"\"");
    put("a\"\\\n\x01", 5, "\"a\\\"\\\\\\n\\u0001\"");
    put("a\0b", 3, "\"a\\u0000b\"");
    put("\xc3\xa9", 2, "\"\xc3\xa9\"");
    put("\xff", 1, "{\"base64\":\"/w==\"}");
    put("\x00\xff\xfe\x80", 4, "{\"base64\":\"AP/+gA==\"}");
    put("\xed\xa0\x80", 3, "{\"base64\":\"7aCA\"}"); /* a surrogate is not UTF-8 */
    put("\xc3", 1, "{\"base64\":\"ww==\"}");
}

static void get(const char *json, int code, const void *expected, size_t n)
{
    struct err e;
    uint8_t *data;
    size_t len;
    json_t *v = json_loads(json, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    assert_non_null(v);
    assert_code(json_get_bytes(v, "value", &data, &len, &e), code, &e);
    if (code == ERR_OK) {
        assert_int_equal(len, n);
        assert_true((data == NULL) == (expected == NULL));
        if (n)
            assert_memory_equal(data, expected, n);
        mem_free(data);
    }
    json_decref(v);
}

static void bytes_in(void **state)
{
    (void)state;
    get("null", ERR_OK, NULL, 0);
    get("\"\"", ERR_OK, "", 0);
    get("\"a\\u0000b\"", ERR_OK, "a\0b", 3);
    get("{\"base64\":\"\"}", ERR_OK, "", 0);
    get("{\"base64\":\"/w==\"}", ERR_OK, "\xff", 1);
    get("{\"base64\":\"AP/+gA==\"}", ERR_OK, "\x00\xff\xfe\x80", 4);
    get("{\"base64\":\"AP/+\"}", ERR_OK, "\x00\xff\xfe", 3);
    get("{\"base64\":\"AP8=\"}", ERR_OK, "\x00\xff", 2);
    static const char *const wrong[] = {"\"=\"",        "\"A\"",    "\"AA=\"",       "\"AAA\"",
                                        "\"A===\"",     "\"====\"", "\" AAA\"",      "\"AAAA\\n\"",
                                        "\"AA==AAAA\"", "\"AA-_\"", "\"AA\\u0000A\""};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"base64\":%s}", wrong[i]);
        get(text, ERR_INVALID, NULL, 0);
    }
    /* Anything else is a document: its compact text, its numbers as they were. */
    get("{\"base64\": \"/w==\", \"x\": 0.1}", ERR_OK, "{\"base64\":\"/w==\",\"x\":0.1}", 25);
    get("[1, -2.5, 1e300, true]", ERR_OK, "[1,-2.5,1e300,true]", 19);
    get("0.30000000000000004", ERR_OK, "0.30000000000000004", 19);
    get("12", ERR_OK, "12", 2);
}

static void a_topic(struct fixture *f, int partitions)
{
    char body[64];
    snprintf(body, sizeof body, "{\"name\":\"t\",\"partitions\":%d}", partitions);
    ask_only(f, "POST", "/hub/topics", body, 201);
}

static void write_and_read(void **state)
{
    struct fixture *f = *state;
    static const char lines[] =
        "{\"timestamp\":1700000000000,\"key\":{\"base64\":\"/"
        "w==\"},\"value\":null,\"headers\":[{\"key\":\"n\",\"value\":null}]}\n"
        "\n"
        "{\"topic\":\"elsewhere\",\"offset\":99,\"partition\":0,\"timestamp\":1700000000001,\"key\":null,"
        "\"value\":\"a\\u0000b\",\"headers\":[]}\n"
        "{\"timestamp\":1700000000002,\"value\":{\"x\":[0.1]}}"; /* no newline at the end */
    static const char expected[] =
        "{\"topic\":\"t\",\"partition\":0,\"offset\":0,\"timestamp\":1700000000000,\"key\":{\"base64\":\"/"
        "w==\"},"
        "\"value\":null,\"headers\":[{\"key\":\"n\",\"value\":null}]}\n"
        "{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"timestamp\":1700000000001,\"key\":null,\"value\":"
        "\"a\\u0000b\","
        "\"headers\":[]}\n"
        "{\"topic\":\"t\",\"partition\":0,\"offset\":2,\"timestamp\":1700000000002,\"key\":null,"
        "\"value\":\"{\\\"x\\\":[0.1]}\",\"headers\":[]}\n";
    a_topic(f, 1);
    char *text = ask(f, "POST", "/hub/topics/t/records?compression=zstd", lines, 200);
    assert_string_equal(text, "{\"records\":3}\n");
    free(text);
    struct api_response r = ask_raw(f, "GET", "/hub/topics/t/records?from=0:-2", NULL, 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "application/x-ndjson");
    assert_int_equal(r.body.len, strlen(expected));
    assert_memory_equal(r.body.data, expected, r.body.len);
    assert_int_equal(r.next.len, 3);
    assert_memory_equal(r.next.data, "0:3", 3);
    assert_true(r.at_end);
    api_response_free(&r);
    text = ask(f, "POST", "/hub/topics/t/records", "", 200);
    assert_string_equal(text, "{\"records\":0}\n");
    free(text);
}

/* What comes is what was asked for, and where it says to go on nothing is lost and nothing comes twice. */
static void reads_are_exact(void **state)
{
    struct fixture *f = *state;
    a_topic(f, 2);
    ask_only(f, "POST", "/hub/topics/t/records",
             "{\"partition\":0,\"value\":\"0\"}\n{\"partition\":0,\"value\":\"1\"}\n{\"partition\":0,"
             "\"value\":\"2\"}\n"
             "{\"partition\":1,\"value\":\"3\"}\n{\"partition\":1,\"value\":\"4\"}\n",
             200);
    char from[64] = "0:0,1:0";
    bool seen[5] = {false}, at_end = false;
    for (int reads = 0; !at_end; reads++) {
        char target[128];
        snprintf(target, sizeof target, "/hub/topics/t/records?from=%s&max_records=2", from);
        struct api_response r = ask_raw(f, "GET", target, NULL, 0);
        assert_int_equal(r.status, 200);
        int lines = 0;
        for (size_t i = 0; i < r.body.len; i++)
            if (memcmp(r.body.data + i, "\"value\":\"", i + 9 < r.body.len ? 9 : 0) == 0 &&
                i + 9 < r.body.len) {
                int v = r.body.data[i + 9] - '0';
                assert_in_range(v, 0, 4);
                assert_false(seen[v]);
                seen[v] = true;
                lines++;
            }
        assert_in_range(lines, 0, 2);
        at_end = r.at_end;
        snprintf(from, sizeof from, "%.*s", (int)r.next.len, (const char *)r.next.data);
        api_response_free(&r);
        assert_true(reads < 10);
    }
    assert_string_equal(from, "0:3,1:2");
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    /* max_bytes ends a read inside a batch, too */
    struct api_response r = ask_raw(f, "GET", "/hub/topics/t/records?from=0:0&max_bytes=1", NULL, 0);
    assert_int_equal(r.status, 200);
    assert_memory_equal(r.next.data, "0:1", 3);
    assert_false(r.at_end);
    api_response_free(&r);
}

static void reads_refused(void **state)
{
    struct fixture *f = *state;
    a_topic(f, 1);
    static const char *const wrong[] = {"",
                                        "from=",
                                        "from=0",
                                        "from=0:",
                                        "from=x:0",
                                        "from=0:x",
                                        "from=0:-3",
                                        "from=-1:0",
                                        "from=4294967296:0",
                                        "from=0:0,0:1",
                                        "from=0:0;",
                                        "from=0:99999999999999999999",
                                        "from=0:0&wait_ms=99999",
                                        "from=0:0&max_bytes=0",
                                        "from=0:0&max_records=0",
                                        "from=0:0&isolation=x"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char target[128];
        snprintf(target, sizeof target, "/hub/topics/t/records?%s", wrong[i]);
        ask_error(f, "GET", target, NULL, 400, "INVALID", "");
    }
    ask_error(f, "GET", "/hub/topics/no/records?from=0:0", NULL, 404, "UNKNOWN_TOPIC", "");
    ask_error(f, "GET", "/hub/topics/t/records?from=9:0", NULL, 404, "UNKNOWN_TOPIC", "");
}

/* One wrong record, and nothing of the request is there. */
static void all_or_none(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *line, *part;
        int status;
        const char *code;
    } wrong[] = {
        {"[]", "not a JSON object", 400, "INVALID"},
        {"{", "record 2", 400, "INVALID"},
        {"{\"valu\":1}", "'valu'", 400, "INVALID"},
        {"{\"value\":{\"base64\":\"!\"}}", "base64", 400, "INVALID"},
        {"{\"partition\":7}", "record 2", 404, "UNKNOWN_TOPIC"},
        {"{\"partition\":-2}", "partition", 400, "INVALID"},
        {"{\"partition\":\"0\"}", "partition", 400, "INVALID"},
        {"{\"timestamp\":\"now\"}", "timestamp", 400, "INVALID"},
        {"{\"headers\":{}}", "headers", 400, "INVALID"},
        {"{\"headers\":[{\"value\":\"x\"}]}", "headers[0].key", 400, "INVALID"},
        {"{\"headers\":[{\"key\":\"a\",\"value\":\"x\"},{\"key\":\"b\",\"value\":{\"base64\":\"?\"}}]}",
         "base64", 400, "INVALID"},
    };
    a_topic(f, 2);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"partition\":0,\"value\":\"x\"}\n%s\n", wrong[i].line);
        ask_error(f, "POST", "/hub/topics/t/records", body, wrong[i].status, wrong[i].code, wrong[i].part);
    }
    ask_error(f, "POST", "/hub/topics/t/records?compression=rar", "{}", 400, "UNSUPPORTED_COMPRESSION",
              "rar");
    ask_error(f, "POST", "/hub/topics/no/records", "{}", 404, "UNKNOWN_TOPIC", "no");
    char *text = ask(f, "GET", "/hub/topics/t/records?from=0:0,1:0", NULL, 200);
    assert_string_equal(text, "");
    free(text);
}

static void offsets_by_time(void **state)
{
    struct fixture *f = *state;
    a_topic(f, 1);
    for (int i = 0; i < 3; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"timestamp\":%d}\n", 1000 * (i + 1));
        ask_only(f, "POST", "/hub/topics/t/records", body, 200);
    }
    static const struct {
        int64_t timestamp, offset;
    } rows[] = {{-2, 0}, {-1, 3}, {-3, 2}, {0, 0}, {1000, 0}, {1001, 1}, {3000, 2}, {3001, -1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char target[96];
        snprintf(target, sizeof target, "/hub/topics/t/offset?partition=0&timestamp=%lld",
                 (long long)rows[i].timestamp);
        json_t *j = ask_json(f, "GET", target, NULL, 200);
        assert_int_equal(json_integer_value(json_object_get(j, "offset")), rows[i].offset);
        json_decref(j);
    }
    ask_error(f, "GET", "/hub/topics/t/offset?partition=0", NULL, 400, "INVALID", "timestamp");
    ask_error(f, "GET", "/hub/topics/t/offset?timestamp=1", NULL, 400, "INVALID", "partition");
    ask_error(f, "GET", "/hub/topics/t/offset?partition=0&timestamp=-4", NULL, 400, "INVALID", "timestamp");
    ask_error(f, "DELETE", "/hub/topics/t/records", NULL, 400, "INVALID", "partition");
    ask_error(f, "DELETE", "/hub/topics/t/records?partition=0", NULL, 400, "INVALID", "before");
    json_t *j = ask_json(f, "DELETE", "/hub/topics/t/records?partition=0&before=2", NULL, 200);
    assert_int_equal(json_integer_value(json_object_get(j, "log_start_offset")), 2);
    json_decref(j);
}

/* ---- every allocation ------------------------------------------------------------------------------------- */

struct attempt {
    struct fixture *f;
    const char *method, *target, *body;
    char *wanted; /* what it says without faults */
    int status;
    bool changes;
};

static void once(void *arg)
{
    struct attempt *a = arg;
    struct api_response r = ask_raw(a->f, a->method, a->target, a->body, a->body ? strlen(a->body) : 0);
    if (r.status < 300) {
        assert_int_equal(r.status, a->status);
        if (a->wanted && (r.body.len != strlen(a->wanted) ||
                          (r.body.len && memcmp(r.body.data, a->wanted, r.body.len) != 0)))
            fail_msg("%s %s: %.*s instead of %s", a->method, a->target, (int)r.body.len, (char *)r.body.data,
                     a->wanted);
    } else if (r.status == 400 && a->body) {
        /* jansson's scanner does not tell a string that it has no memory for from one that is wrong */
        assert_non_null(memmem(r.body.data, r.body.len, " JSON", 5));
    } else if (r.status != 503) {
        fail_msg("%s %s: %d %.*s", a->method, a->target, r.status, (int)r.body.len, (char *)r.body.data);
    }
    api_response_free(&r);
}

/*
 * A request whose n-th allocation fails, jansson's included, answers 503 or as if nothing had happened. Topics' changes
 * are not among them: a sync of the metadata that fails, for whatever reason, ends the metadata log's service, which the
 * broker's own tests look at.
 */
static void every_allocation(void **state)
{
    struct fixture *f = *state;
    a_topic(f, 2);
    ask_only(f, "POST", "/hub/topics/t/records", "{\"key\":\"k\",\"value\":{\"base64\":\"/w==\"}}\n", 200);
    ask_only(f, "PUT", "/hub/groups/g/offsets",
             "{\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":0}]}", 204);
    struct attempt attempts[] = {
        {.method = "GET", .target = "/health"},
        {.method = "GET", .target = "/hub/topics"},
        {.method = "GET", .target = "/hub/topics/t"},
        {.method = "GET", .target = "/hub/topics/t/records?from=0:0,1:0"},
        {.method = "GET", .target = "/hub/topics/t/offset?partition=0&timestamp=-1"},
        {.method = "GET", .target = "/hub/groups"},
        {.method = "GET", .target = "/hub/groups/g"},
        {.method = "GET", .target = "/hub/transactions"},
        {.method = "GET", .target = "/metrics", .changes = true},
        {.method = "GET", .target = "/hub/status", .changes = true},
        {.method = "PUT",
         .target = "/hub/groups/g/offsets",
         .body = "{\"offsets\":[{\"topic\":\"t\",\"partition\":0,\"offset\":0}]}"},
        {.method = "POST",
         .target = "/hub/topics/t/records",
         .body = "{\"key\":\"k\",\"value\":[1.5],\"headers\":[{\"key\":\"a\",\"value\":\"b\"}]}\n"},
    };
    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++) {
        struct attempt *a = &attempts[i];
        a->f = f;
        struct api_response r = ask_raw(f, a->method, a->target, a->body, a->body ? strlen(a->body) : 0);
        a->status = r.status;
        assert_in_range(r.status, 200, 204);
        a->wanted = a->changes ? NULL : strndup(r.body.data ? (char *)r.body.data : "", r.body.len);
        api_response_free(&r);
        json_set_alloc_funcs(mem_alloc, mem_free);
        uint64_t met = testkit_each_fault(FAULT_ALLOC, ENOMEM, once, a);
        json_set_alloc_funcs(malloc, free);
        assert_true(met > 0);
        free(a->wanted);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_out),
        cmocka_unit_test(bytes_in),
        cmocka_unit_test_setup_teardown(write_and_read, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reads_are_exact, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(reads_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(all_or_none, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(offsets_by_time, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(every_allocation, fixture_setup, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
