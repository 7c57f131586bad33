/*
 * What the sink finds before it writes anything: settings, addresses, credentials, the check of what it may do, clocks.
 */
#include "tests/unit/s3/one_server.h"

static int check(struct run *r)
{
    return fake_connector()->check(&r->task, &fake_host, &r->config);
}

static void test_check_leaves_nothing(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    server_ask(&server, "POST", "", 0, "upload?key=topics/.leat-check"); /* of a check that was killed */
    assert_int_equal(check(&r), LEAT_OK);
    assert_int_equal(object_count(&server) + upload_count(&server), 0);
    server_ask(&server, "POST", "", 0, "set?deny=list");
    assert_int_equal(check(&r), LEAT_OK);
    assert_int_equal(run_open(&r), LEAT_OK);
    run_close(&r);
    server_ask(&server, "POST", "", 0, "set?deny=create");
    assert_int_equal(check(&r), LEAT_FAIL);
    assert_non_null(strstr(r.task.failure, "access key AKFAKE is not allowed"));
    run_free(&r);
}

static void test_virtual_host_and_token(void **state)
{
    char url[64];
    struct run r;

    (void)state;
    run_init(&r, &server);
    snprintf(url, sizeof url, "http://localhost:%d", server.port);
    fake_config_set(&r.config, "store.url", url);
    fake_config_set(&r.config, "s3.path.style.access.enabled", "false");
    fake_config_set(&r.config, "aws.session.token", "to/ken+=");
    server_ask(&server, "POST", "", 0, "set?token=to/ken%%2B%%3D");
    assert_int_equal(check(&r), LEAT_OK);
    assert_int_equal(run_all(&r, 10, 10), 1);
    assert_object(&r, P0 "t+0+0000000000.json", 0, 10, 1);
    run_free(&r);
}

/* What is wrong for good fails at open and in check, and says what to do. */
static void test_wrong_settings(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        {"aws.access.key.id", "AKOTHER", "access key AKOTHER is not known"},
        {"aws.secret.access.key", "wrong", "check aws.secret.access.key"},
        {"s3.region", "eu-west-1", "bucket bucket is in region us-east-1, not eu-west-1"},
        {"s3.bucket.name", "missing", "bucket missing does not exist"},
        {"s3.bucket.name", "a/b", "/ is not allowed"},
        {"aws.secret.access.key", "fakesecret\n", "secret key: has a blank"},
        {"store.url", "ftp://x", "store.url: http or https"},
        {"s3.path.style.access.enabled", "false", "s3.path.style.access.enabled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run r;

        run_init(&r, &server);
        fake_config_set(&r.config, cases[i].name, cases[i].value);
        for (int how = 0; how < 2; how++) {
            r.task.failure[0] = '\0';
            assert_int_equal(how ? check(&r) : run_open(&r), LEAT_FAIL);
            if (!strstr(r.task.failure, cases[i].text))
                fail_msg("%s: %s\nsays: %s", cases[i].name, cases[i].value, r.task.failure);
            assert_null(strstr(r.task.failure, "fakesecret"));
        }
        run_free(&r);
    }
}

static void test_clock_skew(void **state)
{
    struct run r;

    (void)state;
    run_init(&r, &server);
    server_ask(&server, "POST", "", 0, "set?skew=4000");
    assert_int_equal(run_open(&r), LEAT_FAIL);
    assert_non_null(strstr(r.task.failure, "this machine's clock is"));
    run_free(&r);
}

static void test_validate(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        {"aws.secret.access.key", NULL, NULL},
        {"format.class", "io.confluent.connect.s3.format.avro.AvroFormat", "format.class"},
        {"format.class", "io.confluent.connect.s3.format.parquet.ParquetFormat", "format.class"},
        {"rotate.interval.ms", "1000", "rotate.interval.ms"},
        {"store.kafka.keys", "true", "store.kafka.keys"},
        {"s3.bucket.name", "a", "s3.bucket.name"},
        {"s3.region", "us-east-1\n", "s3.region: has a blank"},
        {"store.url", "http://h/?a=b", "store.url"},
        {"timezone", "Mars/Phobos", "Mars/Phobos"},
        {"s3.ssea.name", "x", "s3.ssea.name"},
        {"s3.sse.kms.key.id", "x", "s3.sse.kms.key.id"},
        {"directory.delim", "", "directory.delim"},
        {"s3.compression.level", "12", "s3.compression.level"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run r;

        run_init(&r, &server);
        fake_config_set(&r.config, "s3.compression.type", "gzip");
        if (cases[i].value)
            fake_config_set(&r.config, cases[i].name, cases[i].value);
        r.task.failure[0] = '\0';
        if (fake_connector()->validate(&r.task, &fake_host, &r.config) !=
            (cases[i].text ? LEAT_FAIL : LEAT_OK))
            fail_msg("%s: %s", cases[i].name, r.task.failure);
        if (cases[i].text && !strstr(r.task.failure, cases[i].text))
            fail_msg("%s says: %s", cases[i].name, r.task.failure);
        run_free(&r);
    }
    assert_int_equal(count_lines(server_ask(&server, "GET", NULL, 0, "log"), ""), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_check_leaves_nothing),
        TEST(test_virtual_host_and_token),
        TEST(test_wrong_settings),
        TEST(test_clock_skew),
        TEST(test_validate),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
