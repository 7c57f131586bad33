/*
 * Verdicts and backoff; credentials files; which unfinished uploads are ours.
 */
#include "tests/lib/testkit.h"

#include "connectors/s3/s3_creds.h"
#include "connectors/s3/s3_recover.h"
#include "connectors/s3/s3_retry.h"

static void test_verdicts(void **state)
{
    static const struct {
        int status;
        const char *code;
        enum s3_verdict verdict;
    } cases[] = {
        {200, "", S3_DONE},
        {204, "", S3_DONE},
        {200, "InternalError", S3_AGAIN},
        {200, "SomethingNew", S3_AGAIN},
        {500, "", S3_AGAIN},
        {502, "", S3_AGAIN},
        {503, "SlowDown", S3_AGAIN},
        {504, "", S3_AGAIN},
        {429, "", S3_AGAIN},
        {408, "", S3_AGAIN},
        {400, "RequestTimeout", S3_AGAIN},
        {400, "Throttling", S3_AGAIN},
        {400, "BadDigest", S3_AGAIN},
        {409, "OperationAborted", S3_AGAIN},
        {404, "NoSuchUpload", S3_REPLAY},
        {400, "InvalidPart", S3_REPLAY},
        {412, "PreconditionFailed", S3_EXISTS},
        {412, "", S3_EXISTS},
        {400, "AuthorizationHeaderMalformed", S3_PERMANENT},
        {301, "PermanentRedirect", S3_PERMANENT},
        {403, "RequestTimeTooSkewed", S3_PERMANENT},
        {403, "AccessDenied", S3_PERMANENT},
        {404, "NoSuchBucket", S3_PERMANENT},
        {501, "NotImplemented", S3_PERMANENT},
        {501, "", S3_PERMANENT},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (retry_verdict(cases[i].status, cases[i].code) != cases[i].verdict)
            fail_msg("%d %s", cases[i].status, cases[i].code);
}

static void test_delays(void **state)
{
    const struct retry_policy p = {.retries = 3, .backoff_ms = 200};
    const struct retry_policy huge = {.retries = 3, .backoff_ms = INT64_C(86400000)};

    (void)state;
    assert_int_equal(retry_delay_ms(&p, 1, -1, 0), 0);
    assert_int_equal(retry_delay_ms(&p, 1, -1, 200), 200);
    assert_int_equal(retry_delay_ms(&p, 1, -1, 201), 0);
    assert_int_equal(retry_delay_ms(&p, 3, -1, 800), 800);
    assert_int_equal(retry_delay_ms(&p, 64, -1, RETRY_DELAY_MAX_MS), RETRY_DELAY_MAX_MS);
    assert_int_equal(retry_delay_ms(&huge, 64, -1, RETRY_DELAY_MAX_MS), RETRY_DELAY_MAX_MS);
    assert_int_equal(retry_delay_ms(&p, 1, 2, 17), 2000);
    assert_int_equal(retry_delay_ms(&p, 1, 1000000, 17), RETRY_DELAY_MAX_MS);
    assert_int_equal(retry_delay_ms(&(struct retry_policy){3, 0}, 5, -1, 12345), 0);
}

static void test_credentials_file(void **state)
{
    static const char text[] =
        "# keys\n[default]\naws_access_key_id = AK1\r\naws_secret_access_key=se=cret\nregion = x\n"
        "\n[ other ]\naws_access_key_id=AK2\naws_secret_access_key=S2\naws_session_token = T2\n"
        "[half]\naws_access_key_id=AK3";
    struct s3_creds c;
    struct err e;

    (void)state;
    assert_int_equal(creds_parse(text, "default", &c, &e), ERR_OK);
    assert_string_equal(c.access_key, "AK1");
    assert_string_equal(c.secret_key, "se=cret");
    assert_null(c.session_token);
    creds_free(&c);
    assert_int_equal(creds_parse(text, "other", &c, &e), ERR_OK);
    assert_string_equal(c.access_key, "AK2");
    assert_string_equal(c.session_token, "T2");
    creds_free(&c);
    assert_int_equal(creds_parse(text, "half", &c, &e), ERR_NOT_FOUND);
    assert_int_equal(creds_parse(text, "none", &c, &e), ERR_NOT_FOUND);
    assert_int_equal(creds_parse("", "default", &c, &e), ERR_NOT_FOUND);
}

static void test_credentials_order(void **state)
{
    const struct s3_creds_options given = {.access_key = "A", .secret_key = "S"};
    const struct s3_creds_options none = {0};
    struct s3_creds c;
    struct err e;

    (void)state;
    setenv("AWS_ACCESS_KEY_ID", "EA", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "ES", 1);
    setenv("AWS_SESSION_TOKEN", "ET", 1);
    assert_int_equal(creds_find(&given, &c, &e), ERR_OK);
    assert_string_equal(c.access_key, "A");
    assert_null(c.session_token);
    creds_free(&c);
    assert_int_equal(creds_find(&none, &c, &e), ERR_OK);
    assert_string_equal(c.access_key, "EA");
    assert_string_equal(c.session_token, "ET");
    creds_free(&c);
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(creds_find(&none, &c, &e), ERR_INVALID_CONFIG);
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SESSION_TOKEN");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    assert_int_equal(creds_find(&none, &c, &e), ERR_INVALID_CONFIG);
    assert_non_null(strstr(e.text, "aws.access.key.id"));
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
}

static void test_ours(void **state)
{
    const struct layout l = {.prefix = "topics", .directory_delim = "/", .file_delim = "+", .zero_pad = 10};

    (void)state;
    assert_true(recover_is_ours(&l, "topics/t/partition=1/t+1+0000000042.json.gz", "t", 1));
    assert_true(recover_is_ours(&l, "topics/t/a=b+c/d=e/t+1+42", "t", 1));
    assert_false(recover_is_ours(&l, "topics/t/partition=1/t+1+0000000042.json", "t", 11));
    assert_false(recover_is_ours(&l, "topics/t/partition=11/t+11+0000000042.json", "t", 1));
    assert_false(recover_is_ours(&l, "topics/t2/partition=1/t2+1+0000000042.json", "t", 1));
    assert_false(recover_is_ours(&l, "topics/t/partition=1/t+1+.json", "t", 1));
    assert_false(recover_is_ours(&l, "topics/t/partition=1/t+1+42x", "t", 1));
    assert_false(recover_is_ours(&l, "topics/t/partition=1/other", "t", 1));
    assert_false(recover_is_ours(&l, "", "t", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_delays),
        cmocka_unit_test(test_credentials_file),
        cmocka_unit_test(test_credentials_order),
        cmocka_unit_test(test_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
