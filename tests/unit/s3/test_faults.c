/*
 * The sink when the store misbehaves: whatever goes wrong at whatever request, every record is in exactly one object, and
 * no unfinished upload stays. TLS too: a certificate that nobody vouches for is refused.
 */
#include <errno.h>

#include "tests/unit/s3/one_server.h"

#define LONG (20 << 10) /* a value, of which six make three parts */

/* Two plain objects and one of three parts, so that every operation is used. Parts are small, as the store allows it. */
static void small_run(struct run *r)
{
    run_init(r, &server);
    fake_config_set(&r->config, "s3.part.size", "48KiB");
    server_ask(&server, "POST", "", 0, "set?min_part=1");
}

static int write_all(struct run *r)
{
    int starts;

    starts = run_all(r, 20, 10);
    if (starts < 0)
        return starts;
    r->value_size = LONG;
    fake_config_set(&r->config, "flush.size", "6");
    return run_all(r, 26, 6);
}

/* A `create` whose answer got lost leaves an upload that nobody knows of; the next start finds it. */
static void assert_all_there(struct run *r, const char *faulty_op)
{
    if (strcmp(faulty_op, "create") == 0) {
        assert_int_equal(run_open(r), LEAT_OK);
        run_close(r);
    }
    r->value_size = 20;
    assert_object(r, P0 "t+0+0000000000.json", 0, 10, 0);
    assert_object(r, P0 "t+0+0000000010.json", 10, 20, 0);
    r->value_size = LONG;
    assert_object(r, P0 "t+0+0000000020.json", 20, 26, 0);
    assert_int_equal(object_count(&server), 3);
    assert_int_equal(upload_count(&server), 0);
    assert_int_equal(r->assigned[0].offset, 26);
}

static const struct {
    const char *op;
    int nth;
} places[] = {{"list", 1}, {"uploads", 1}, {"put", 1},      {"put", 2},    {"create", 1},
              {"part", 1}, {"part", 3},    {"complete", 1}, {"uploads", 2}};

/* One fault of each kind at each operation: retried within the task, nothing lost, nothing twice. */
static void test_each_fault_once(void **state)
{
    static const char *const faults[] = {"500",   "503",  "slowdown", "429", "early-503",
                                         "reset", "lost", "half",     "slow"};

    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
            struct run r;
            int starts;

            server_reset(&server);
            small_run(&r);
            server_fault(&server, places[p].op, places[p].nth, faults[f], 1);
            starts = write_all(&r);
            if (starts != 1)
                fail_msg("%s %d %s: %d starts: %s", places[p].op, places[p].nth, faults[f], starts,
                         r.task.failure);
            assert_all_there(&r, places[p].op);
            run_free(&r);
        }
    }
}

/* A fault that outlasts the retries: the task ends with LEAT_RETRY, aborts what it began, and does it all at the next start. */
static void test_each_fault_outlasting(void **state)
{
    static const char *const faults[] = {"503", "reset", "lost"};

    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        for (size_t f = 0; f < sizeof faults / sizeof *faults; f++) {
            struct run r;

            server_reset(&server);
            small_run(&r);
            fake_config_set(&r.config, "s3.part.retries", "2");
            server_fault(&server, places[p].op, places[p].nth, faults[f], 3);
            if (write_all(&r) < 1)
                fail_msg("%s %d %s: %s", places[p].op, places[p].nth, faults[f], r.task.failure);
            assert_all_there(&r, places[p].op);
            run_free(&r);
        }
    }
}

static void test_stall(void **state)
{
    struct run r;

    (void)state;
    for (size_t p = 0; p < sizeof places / sizeof *places; p += 3) {
        server_reset(&server);
        small_run(&r);
        fake_config_set(&r.config, "s3.stall.timeout.ms", "2s");
        server_fault(&server, places[p].op, places[p].nth, "stall", 1);
        assert_int_equal(write_all(&r), 1);
        assert_all_there(&r, places[p].op);
        run_free(&r);
    }
}

/* What is answered wrongly rather than not at all. */
static void test_wrong_answers(void **state)
{
    static const struct {
        const char *op;
        int nth, times, starts;
        const char *fault;
    } cases[] =
        {
            {"complete", 1, 1, 1, "200-error"}, /* an error behind a 200 is an error, and retried */
            {"complete", 1, 4, 2, "200-error"},
            {"complete", 1, 1, 1, "garbage"}, /* done, but the answer says nothing: the object itself tells */
            {"create", 1, 1, 1, "garbage"},
            {"list", 1, 1, 1, "garbage"},
            {"uploads", 1, 1, 1, "garbage"},
            {"put", 1, 1, 1, "no-etag"}, /* whoever answered, it was no store */
            {"part", 2, 1, 1, "no-etag"},
            {"part", 2, 1, 2, "wrong-etag"}, /* found out by complete: the file is written anew */
            {"part", 2, 1, 2, "gone"},       /* somebody aborted our upload */
            {"complete", 1, 1, 2, "gone"},
        };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run r;
        int starts;

        server_reset(&server);
        small_run(&r);
        server_fault(&server, cases[i].op, cases[i].nth, cases[i].fault, cases[i].times);
        starts = write_all(&r);
        if (starts != cases[i].starts)
            fail_msg("%s at %s: %d starts: %s", cases[i].fault, cases[i].op, starts, r.task.failure);
        assert_int_equal(r.task.failures, cases[i].starts - 1);
        assert_all_there(&r, cases[i].op);
        run_free(&r);
    }
}

/* Retries are counted and wait longer and longer; what is said names the object and the store's words. */
static void test_retry_limits(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "s3.part.retries", "4");
    fake_config_set(&r.config, "s3.retry.backoff.ms", "20");
    assert_int_equal(run_open(&r), LEAT_OK);
    server_fault(&server, "put", 1, "slowdown", 100);
    assert_int_equal(run_write(&r, 0, 0, 10, 10), LEAT_RETRY);
    assert_int_equal(count_lines(server_ask(&server, "GET", NULL, 0, "log"), "put\t503"), 5);
    assert_non_null(strstr(r.task.failure, "/bucket/" P0 "t+0+0000000000.json: HTTP 503 SlowDown"));
    for (int try = 2, limit = 20; try <= 5; try++, limit *= 2) {
        char text[32];
        snprintf(text, sizeof text, "try %d of 5 in ", try);
        const char *said = strstr(r.task.log, text);
        assert_non_null(said);
        assert_true(atoi(said + strlen(text)) <= limit);
    }
    assert_int_equal(object_count(&server), 0);
    run_free(&r);
}

/* No tries beyond the one under way once the task is to stop. */
static void test_no_retry_when_stopping(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    assert_int_equal(run_open(&r), LEAT_OK);
    server_fault(&server, "put", 1, "503", 100);
    r.task.stopping = true;
    assert_int_equal(run_write(&r, 0, 0, 10, 10), LEAT_RETRY);
    assert_int_equal(count_lines(server_ask(&server, "GET", NULL, 0, "log"), "put\t503"), 1);
    run_free(&r);
}

/* A request that hangs is broken off some seconds after the wish to stop, long before it would time out. */
static void test_stop_while_stalled(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "s3.stall.timeout.ms", "1h");
    assert_int_equal(run_open(&r), LEAT_OK);
    server_fault(&server, "put", 1, "stall", 1);
    r.task.stopping = true;
    assert_int_equal(run_write(&r, 0, 0, 10, 10), LEAT_RETRY);
    assert_non_null(strstr(r.task.failure, "broken off because the task stops"));
    run_free(&r);
}

/* A refusal in the middle is for good and says why. */
static void test_denied_later(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    assert_int_equal(run_open(&r), LEAT_OK);
    server_ask(&server, "POST", "", 0, "set?deny=put");
    assert_int_equal(run_write(&r, 0, 0, 10, 10), LEAT_FAIL);
    assert_non_null(strstr(r.task.failure, "access key AKFAKE is not allowed"));
    assert_non_null(strstr(r.task.failure, P0 "t+0+0000000000.json"));
    run_free(&r);
}

static void test_nobody_there(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    fake_config_set(&r.config, "store.url", "http://127.0.0.1:1");
    assert_int_equal(run_open(&r), LEAT_RETRY);
    assert_non_null(strstr(r.task.failure, "127.0.0.1"));
    run_free(&r);
}

/* A whole run with the nth allocation failing; true if it got that far. */
static bool run_with_fault(uint64_t nth)
{
    uint64_t passes;
    struct run r;
    int rc;

    server_reset(&server);
    run_init(&r, &server);
    r.value_size = 600 << 10;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "s3.compression.type", "gzip");
    server_ask(&server, "POST", "", 0, "upload?key=topics/t/partition%%3D0/t%%2B0%%2B0000000000.json");
    fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
    rc = run_open(&r);
    if (rc == LEAT_OK)
        rc = run_put(&r, 0, 0, 10, 10);
    if (rc == LEAT_OK)
        rc = run_flush(&r, false);
    run_close(&r);
    passes = fault_passes(FAULT_ALLOC);
    fault_disarm();
    if (rc != LEAT_OK && rc != LEAT_RETRY)
        fail_msg("allocation %llu: %s", (unsigned long long)nth, r.task.failure);
    assert_int_equal(r.assigned[0].offset, rc == LEAT_OK ? 10 : 0);
    if (rc == LEAT_OK)
        assert_int_equal(object_count(&server), 1);
    run_free(&r);
    return passes >= nth;
}

/* An error each time, or all is there; never a stored offset without its object. */
static void test_each_allocation(void **state)
{
    uint64_t nth = 1;

    (void)state;
    while (run_with_fault(nth))
        nth++;
    assert_true(nth > 50);
}

/* ---- TLS ------------------------------------------------------------------------------------------------------ */

/* A key and a certificate for `host` in one file. */
static void make_certificate(const char *path, const char *host)
{
    struct buf out;

    buf_init(&out, 1 << 20);
    shell(&out,
          "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout '%s' -out "
          "'%s.crt' "
          "-days 2 -subj '/CN=%s' -addext 'subjectAltName=DNS:%s' 2>/dev/null && cat '%s.crt' >> '%s'",
          path, path, host, host, path, path);
    buf_free(&out);
}

static void test_tls(void **state)
{
    char *dir = testkit_dir(), pem[256], ca[260], url[64];
    struct server secure;
    struct run r;

    (void)state;
    snprintf(pem, sizeof pem, "%s/server.pem", dir);
    snprintf(ca, sizeof ca, "%s.crt", pem);
    make_certificate(pem, "localhost");
    server_start_tls(&secure, pem, ca);
    run_init(&r, &secure);
    snprintf(url, sizeof url, "https://localhost:%d", secure.port);
    fake_config_set(&r.config, "store.url", url);
    assert_int_equal(run_open(&r), LEAT_FAIL);
    assert_non_null(strstr(r.task.failure, "certificate"));
    fake_config_set(&r.config, "ssl.ca.location", ca);
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    snprintf(url, sizeof url, "https://127.0.0.1:%d", secure.port); /* not the certificate's name */
    fake_config_set(&r.config, "store.url", url);
    assert_int_equal(run_open(&r), LEAT_FAIL);
    run_free(&r);
    server_stop(&secure);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_each_fault_once),
        TEST(test_each_fault_outlasting),
        TEST(test_stall),
        TEST(test_wrong_answers),
        TEST(test_retry_limits),
        TEST(test_no_retry_when_stopping),
        TEST(test_stop_while_stalled),
        TEST(test_denied_later),
        TEST(test_nobody_there),
        TEST(test_each_allocation),
        TEST(test_tls),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
