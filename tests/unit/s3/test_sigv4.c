/*
 * Signatures against the worked examples of Amazon's documentation ("Authenticating Requests: Using the
 * Authorization Header", examples with examplebucket), and the rules of the canonical form.
 */
#include "tests/lib/testkit.h"

#include "connectors/s3/sigv4.h"

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_scope example_scope = {.access_key = "AKIAIOSFODNN7EXAMPLE",
                                                 .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                                 .region = "us-east-1",
                                                 .date = "20130524T000000Z"};

static void check_signature(const struct sigv4_request *r, const char *signed_headers, const char *signature)
{
    struct buf got, want;
    struct err e;

    buf_init(&got, 4096);
    buf_init(&want, 4096);
    assert_int_equal(sigv4_authorization(&got, r, &example_scope, &e), ERR_OK);
    assert_int_equal(
        buf_printf(&want, &e,
                   "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,"
                   "SignedHeaders=%s,Signature=%s",
                   signed_headers, signature),
        ERR_OK);
    assert_int_equal(got.len, want.len);
    assert_memory_equal(got.data, want.data, want.len);
    buf_free(&got);
    buf_free(&want);
}

static void test_get_object(void **state)
{
    const struct sigv4_pair headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                         {"range", "bytes=0-9"},
                                         {"x-amz-content-sha256", EMPTY_HASH},
                                         {"x-amz-date", "20130524T000000Z"}};
    const struct sigv4_request r = {.method = "GET",
                                    .path = "/test.txt",
                                    .headers = headers,
                                    .header_count = 4,
                                    .payload_hash = EMPTY_HASH};

    (void)state;
    check_signature(&r, "host;range;x-amz-content-sha256;x-amz-date",
                    "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void test_put_object(void **state)
{
    char hash[SIGV4_HASH_SIZE];
    const struct sigv4_pair headers[] = {{"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                                         {"host", "examplebucket.s3.amazonaws.com"},
                                         {"x-amz-date", "20130524T000000Z"},
                                         {"x-amz-content-sha256", hash},
                                         {"date", "Fri, 24 May 2013 00:00:00 GMT"}};
    const struct sigv4_request r = {.method = "PUT",
                                    .path = "/test$file.text",
                                    .headers = headers,
                                    .header_count = 5,
                                    .payload_hash = hash};

    (void)state;
    sigv4_hash("Welcome to Amazon S3.", 21, hash);
    assert_string_equal(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    check_signature(&r, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                    "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

static const struct sigv4_pair bucket_headers[] = {{"host", "examplebucket.s3.amazonaws.com"},
                                                   {"x-amz-content-sha256", EMPTY_HASH},
                                                   {"x-amz-date", "20130524T000000Z"}};

static void test_get_lifecycle(void **state)
{
    const struct sigv4_pair query[] = {{"lifecycle", NULL}};
    const struct sigv4_request r = {.method = "GET",
                                    .path = "/",
                                    .query = query,
                                    .query_count = 1,
                                    .headers = bucket_headers,
                                    .header_count = 3,
                                    .payload_hash = EMPTY_HASH};

    (void)state;
    check_signature(&r, "host;x-amz-content-sha256;x-amz-date",
                    "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void test_list_objects(void **state)
{
    const struct sigv4_pair query[] = {{"prefix", "J"}, {"max-keys", "2"}};
    const struct sigv4_request r = {.method = "GET",
                                    .path = "/",
                                    .query = query,
                                    .query_count = 2,
                                    .headers = bucket_headers,
                                    .header_count = 3,
                                    .payload_hash = EMPTY_HASH};

    (void)state;
    check_signature(&r, "host;x-amz-content-sha256;x-amz-date",
                    "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void check_text(struct buf *b, const char *want)
{
    assert_int_equal(b->len, strlen(want));
    assert_memory_equal(b->data, want, b->len);
    buf_reset(b);
}

static void test_encoding(void **state)
{
    struct buf b;
    struct err e;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(sigv4_encode(&b, "AZaz09-._~", false, &e), ERR_OK);
    check_text(&b, "AZaz09-._~");
    assert_int_equal(sigv4_encode(&b, "a/b c+d=\xc3\xbc%2F", true, &e), ERR_OK);
    check_text(&b, "a/b%20c%2Bd%3D%C3%BC%252F");
    assert_int_equal(sigv4_encode(&b, "a/b", false, &e), ERR_OK);
    check_text(&b, "a%2Fb");
    assert_int_equal(sigv4_encode(&b, "/a//../b", true, &e), ERR_OK);
    check_text(&b, "/a//../b");
    buf_free(&b);
}

static void test_canonical(void **state)
{
    const struct sigv4_pair query[] = {{"uploads", NULL}, {"prefix", "a b/"}, {"prefix", "A"}};
    const struct sigv4_pair headers[] = {{"x-amz-meta-a", "  one   two\t three "}, {"host", "h:9000"}};
    const struct sigv4_request r = {.method = "GET",
                                    .path = "/bucket/k+1",
                                    .query = query,
                                    .query_count = 3,
                                    .headers = headers,
                                    .header_count = 2,
                                    .payload_hash = "HASH"};
    struct buf b;
    struct err e;

    (void)state;
    buf_init(&b, 4096);
    assert_int_equal(sigv4_canonical(&b, &r, &e), ERR_OK);
    check_text(
        &b,
        "GET\n/bucket/k%2B1\nprefix=A&prefix=a%20b%2F&uploads=\nhost:h:9000\nx-amz-meta-a:one two three\n\n"
        "host;x-amz-meta-a\nHASH");
    buf_free(&b);
}

static void test_limits(void **state)
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX + 1];
    struct sigv4_request r = {.method = "GET", .path = "/", .headers = headers, .payload_hash = EMPTY_HASH};
    struct sigv4_scope scope = example_scope;
    struct buf b;
    struct err e;

    (void)state;
    for (size_t i = 0; i < SIGV4_PAIRS_MAX + 1; i++)
        headers[i] = (struct sigv4_pair){"host", "h"};
    buf_init(&b, 4096);
    r.header_count = SIGV4_PAIRS_MAX + 1;
    assert_int_equal(sigv4_authorization(&b, &r, &scope, &e), ERR_TOO_LARGE);
    r.header_count = 1;
    scope.date = "2013";
    assert_int_equal(sigv4_authorization(&b, &r, &scope, &e), ERR_INVALID);
    buf_free(&b);
}

static void test_date(void **state)
{
    char date[SIGV4_DATE_SIZE];

    (void)state;
    sigv4_date(1369353600, date);
    assert_string_equal(date, "20130524T000000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get_object),    cmocka_unit_test(test_put_object),
        cmocka_unit_test(test_get_lifecycle), cmocka_unit_test(test_list_objects),
        cmocka_unit_test(test_encoding),      cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_limits),        cmocka_unit_test(test_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
