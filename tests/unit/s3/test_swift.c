/*
 * The sink against a real S3 server that checks signatures: OpenStack Swift with s3api, started by tests/lib/s3/swift in a
 * private directory. What is in the bucket is looked at by Swift's own interface.
 */
#include "tests/unit/s3/s3_test.h"

#define MIB (1 << 20)
#define P0 "topics/t/partition=0/"

static struct {
    char *dir;
    char endpoint[128], access[64], secret[64], region[64];
    struct buf out;
} swift;

static void read_setting(const char *name, char *value, size_t size)
{
    const char *found = strstr((const char *)swift.out.data, name);
    size_t n;

    if (!found)
        fail_msg("tests/lib/s3/swift says no %s", name);
    found += strlen(name);
    n = strcspn(found, "\n");
    assert_true(n < size);
    memcpy(value, found, n);
    value[n] = '\0';
}

static int start(void **state)
{
    (void)state;
    setenv("no_proxy", "*", 1);
    swift.dir = testkit_dir();
    buf_init(&swift.out, 256 << 20);
    shell(&swift.out, "tests/lib/s3/swift start %s", swift.dir);
    read_setting("ENDPOINT=", swift.endpoint, sizeof swift.endpoint);
    read_setting("ACCESS_KEY=", swift.access, sizeof swift.access);
    read_setting("SECRET_KEY=", swift.secret, sizeof swift.secret);
    read_setting("REGION=", swift.region, sizeof swift.region);
    shell(&swift.out, "tests/lib/s3/swift bucket %s leat-tests", swift.dir);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    shell(&swift.out, "tests/lib/s3/swift stop %s", swift.dir);
    buf_free(&swift.out);
    testkit_remove_dir(swift.dir);
    return 0;
}

/* Each test has a topics.dir of its own in the one bucket. */
static void swift_run(struct run *r, const char *topics_dir)
{
    run_init(r, NULL);
    fake_config_set(&r->config, "store.url", swift.endpoint);
    fake_config_set(&r->config, "s3.bucket.name", "leat-tests");
    fake_config_set(&r->config, "aws.access.key.id", swift.access);
    fake_config_set(&r->config, "aws.secret.access.key", swift.secret);
    fake_config_set(&r->config, "s3.region", swift.region);
    fake_config_set(&r->config, "topics.dir", topics_dir);
    fake_config_set(&r->config, "s3.stall.timeout.ms", "10m");
}

static void assert_swift_object(struct run *r, const char *key, int64_t from, int64_t to)
{
    struct buf want;

    buf_init(&want, 256 << 20);
    expected_lines(r, from, to, &want);
    shell(&swift.out, "tests/lib/s3/swift get %s leat-tests '%s'", swift.dir, key);
    assert_int_equal(swift.out.len, want.len);
    assert_memory_equal(swift.out.data, want.data, want.len);
    buf_free(&want);
}

static int objects_below(const char *prefix)
{
    shell(&swift.out, "tests/lib/s3/swift list %s leat-tests", swift.dir);
    return count_lines((const char *)swift.out.data, prefix);
}

static void test_put(void **state)
{
    struct run r;

    (void)state;
    swift_run(&r, "put");
    assert_int_equal(run_all(&r, 25, 7), 1);
    assert_int_equal(r.assigned[0].offset, 20);
    assert_int_equal(objects_below("put/t/partition=0/"), 2);
    assert_swift_object(&r, "put/t/partition=0/t+0+0000000000.json", 0, 10);
    assert_swift_object(&r, "put/t/partition=0/t+0+0000000010.json", 10, 20);
    run_free(&r);
}

/* Names that need every kind of encoding in path and signature. */
static void test_strange_names(void **state)
{
    struct run r;

    (void)state;
    swift_run(&r, "str \xc3\xa4nge/a+b&c=d;e,f?g#h%41~'(!)*[x]@:$");
    assert_int_equal(run_all(&r, 10, 7), 1);
    assert_int_equal(
        objects_below("str \xc3\xa4nge/a+b&c=d;e,f?g#h%41~'(!)*[x]@:$/t/partition=0/t+0+0000000000.json\t"),
        1);
    run_free(&r);
}

/* Three parts; a replay gives the same object; a gzip object likewise. */
static void test_multipart_and_replay(void **state)
{
    struct run r;

    (void)state;
    swift_run(&r, "multi");
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "13");
    assert_int_equal(run_all(&r, 13, 5), 1);
    assert_int_equal(r.assigned[0].offset, 13);
    assert_swift_object(&r, "multi/t/partition=0/t+0+0000000000.json", 0, 13);
    r.assigned[0].offset = 0;
    assert_int_equal(run_all(&r, 13, 4), 1);
    assert_swift_object(&r, "multi/t/partition=0/t+0+0000000000.json", 0, 13);
    assert_int_equal(objects_below("multi/"), 1);
    run_free(&r);
}

/* A crash in the middle of an upload (here: the sink is simply forgotten) is cleaned up by the next start. */
static void test_unfinished_uploads(void **state)
{
    struct run r;
    void *crashed;

    (void)state;
    swift_run(&r, "crash/a b");
    r.value_size = 1 * MIB;
    fake_config_set(&r.config, "s3.part.size", "5MiB");
    fake_config_set(&r.config, "flush.size", "100");
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_int_equal(run_write(&r, 0, 0, 7, 1), LEAT_OK); /* waits for the part that goes up */
    crashed = r.sink;
    r.sink = NULL;
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_non_null(strstr(r.task.log, "aborted 1 unfinished uploads"));
    run_close(&r);
    r.task.log[0] = '\0';
    assert_int_equal(run_open(&r), LEAT_OK);
    assert_null(strstr(r.task.log, "aborted"));
    run_close(&r);
    assert_int_equal(objects_below("crash/"), 0);
    r.sink = crashed; /* its memory; the abort of an upload that is gone is no error */
    run_free(&r);
    assert_null(strstr(r.task.log, "WARN"));
}

/* By the wall clock, on a store that refuses conditional writes (Swift: 501): said once, then objects are replaced. */
static void test_conditional(void **state)
{
    struct run r;

    (void)state;
    swift_run(&r, "cond");
    fake_config_set(&r.config, "partitioner.class", "time");
    fake_config_set(&r.config, "path.format", "'w'");
    fake_config_set(&r.config, "partition.duration.ms", "1h");
    assert_int_equal(run_all(&r, 20, 10), 1);
    assert_int_equal(count_lines(r.task.log, "WARN the store does not know conditional writes"), 1);
    r.assigned[0].offset = 0;
    fake_config_set(&r.config, "flush.size", "12");
    assert_int_equal(run_all(&r, 12, 12), 1);
    assert_swift_object(&r, "cond/t/w/t+0+0000000000.json", 0, 12);
    run_free(&r);
}

static void test_check(void **state)
{
    struct run r;

    (void)state;
    swift_run(&r, "check");
    assert_int_equal(fake_connector()->check(&r.task, &fake_host, &r.config), LEAT_OK);
    assert_int_equal(objects_below("check/"), 0);
    run_free(&r);
}

static void test_wrong_settings(void **state)
{
    static const struct {
        const char *name, *value, *text;
    } cases[] = {
        {"s3.bucket.name", "not-there", "bucket not-there does not exist"},
        {"aws.secret.access.key", "wrong", "check aws.secret.access.key"},
        {"aws.access.key.id", "test:nobody", "access key test:nobody"},
        {"s3.region", "eu-west-1", "bucket leat-tests is in region us-east-1, not eu-west-1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct run r;

        swift_run(&r, "wrong");
        fake_config_set(&r.config, cases[i].name, cases[i].value);
        assert_int_equal(run_open(&r), LEAT_FAIL);
        if (!strstr(r.task.failure, cases[i].text))
            fail_msg("%s: %s\nsays: %s", cases[i].name, cases[i].value, r.task.failure);
        run_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_strange_names),
        cmocka_unit_test(test_multipart_and_replay),
        cmocka_unit_test(test_unfinished_uploads),
        cmocka_unit_test(test_conditional),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_wrong_settings),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, start, stop);
}
