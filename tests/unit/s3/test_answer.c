/*
 * XML answers: what S3, Swift and others send, and what must be refused.
 */
#include "tests/lib/testkit.h"

#include "base/buf.h"
#include "connectors/s3/s3_answer.h"
#include "connectors/s3/s3_xml.h"

/* The text in memory of just its size, so that a sanitizer sees a read beyond. */
static void *exact(const char *text, size_t *n)
{
    void *p;

    *n = strlen(text);
    p = malloc(*n ? *n : 1);
    assert_non_null(p);
    memcpy(p, text, *n);
    return p;
}

static struct s3_error error_of(const char *text)
{
    struct s3_error x;
    size_t n;
    void *p = exact(text, &n);

    answer_error(p, n, &x);
    free(p);
    return x;
}

static int scan(const char *text, struct err *e)
{
    enum xml_event event = XML_OPEN;
    struct xml x;
    size_t n;
    void *p = exact(text, &n);
    int rc = ERR_OK;

    xml_init(&x, p, n);
    while (rc == ERR_OK && event != XML_END)
        rc = xml_next(&x, &event, e);
    free(p);
    return rc;
}

static void test_error_document(void **state)
{
    struct s3_error x =
        error_of("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed"
                 "</Code><Message>the region 'us-east-1' is wrong; expecting &apos;eu-west-1&apos;"
                 "</Message><Region>eu-west-1</Region><RequestId>1</RequestId></Error>");

    (void)state;
    assert_string_equal(x.code, "AuthorizationHeaderMalformed");
    assert_string_equal(x.message, "the region 'us-east-1' is wrong; expecting 'eu-west-1'");
    assert_string_equal(x.region, "eu-west-1");
    assert_string_equal(error_of("  \n \n<Error><Code>SlowDown</Code></Error>").code, "SlowDown");
    assert_string_equal(error_of("").code, "");
    assert_string_equal(error_of("<html><Code>x</Code></html>").code, "");
    assert_string_equal(error_of("<Error><Code>Slow").code, "");
    assert_string_equal(error_of("<Error><Code>A</Code><Mess").code, "A");
    assert_string_equal(error_of("<Error><Detail><Code>B</Code></Detail></Error>").code, "");
}

static void test_upload_id(void **state)
{
    static const char good[] =
        "<a:InitiateMultipartUploadResult xmlns:a='x'><a:Bucket>b</a:Bucket><a:Key>k</a:Key>"
        "<a:UploadId>VXBsb2FkIElE&#45;&#x2D;<![CDATA[<&]]></a:UploadId>"
        "</a:InitiateMultipartUploadResult>";
    char id[S3_UPLOAD_ID_SIZE];
    struct err e;

    (void)state;
    assert_int_equal(answer_upload_id(good, sizeof good - 1, id, &e), ERR_OK);
    assert_string_equal(id, "VXBsb2FkIElE--<&");
    for (size_t cut = 0; cut < sizeof good - 1; cut++)
        assert_int_equal(answer_upload_id(good, cut, id, &e), ERR_CORRUPT);
    assert_int_equal(answer_upload_id("<X><UploadId>1</UploadId></X>", 29, id, &e), ERR_CORRUPT);
}

static void test_complete(void **state)
{
    static const char good[] =
        "<?xml version='1.0'?>\n\n\n   \n<CompleteMultipartUploadResult><Location/><ETag>\"x\"</ETag>"
        "</CompleteMultipartUploadResult>\n";
    static const char bad[] = "<Error><Code>InternalError</Code></Error>";
    struct err e;

    (void)state;
    assert_int_equal(answer_whole(good, sizeof good - 1, "CompleteMultipartUploadResult", &e), ERR_OK);
    assert_int_equal(answer_whole(good, sizeof good - 8, "CompleteMultipartUploadResult", &e), ERR_CORRUPT);
    assert_int_equal(answer_whole("", 0, "CompleteMultipartUploadResult", &e), ERR_CORRUPT);
    assert_int_equal(answer_whole(bad, sizeof bad - 1, "CompleteMultipartUploadResult", &e), ERR_CORRUPT);
}

static int note_upload(void *arg, const char *key, const char *upload_id, struct err *e)
{
    return buf_printf(arg, e, "%s=%s;", key, upload_id);
}

static void check_uploads(const char *text, const char *want, const char *next_key, bool truncated)
{
    struct s3_uploads_page page;
    struct buf got;
    struct err e;
    size_t n;
    void *p = exact(text, &n);

    buf_init(&got, 4096);
    assert_int_equal(answer_uploads(p, n, &page, note_upload, &got, &e), ERR_OK);
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.data, want, got.len);
    assert_string_equal(page.next_key, next_key);
    assert_int_equal(page.truncated, truncated);
    buf_free(&got);
    free(p);
}

static void test_uploads(void **state)
{
    (void)state;
    check_uploads(
        "<ListMultipartUploadsResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Bucket>b</Bucket>"
        "<NextKeyMarker>t/a%2B1</NextKeyMarker><NextUploadIdMarker>u2</NextUploadIdMarker>"
        "<IsTruncated>true</IsTruncated>"
        "<Upload><Key>t/x+y%2Bz</Key><UploadId>u1</UploadId><Owner><ID>1</ID></Owner></Upload>"
        "<Upload><UploadId>u2</UploadId><Key>%C3%BC</Key></Upload><Upload><Key>k</Key></Upload>"
        "<EncodingType>url</EncodingType></ListMultipartUploadsResult>",
        "t/x y+z=u1;\xc3\xbc=u2;", "t/a+1", true);
    check_uploads("<ListMultipartUploadsResult><Upload><Key>a+b%41</Key><UploadId>u</UploadId></Upload>"
                  "<IsTruncated>false</IsTruncated></ListMultipartUploadsResult>",
                  "a+b%41=u;", "", false);
    check_uploads("<ListMultipartUploadsResult/>", "", "", false);
}

static void test_uploads_refused(void **state)
{
    static const char *const bad[] = {
        "<ListMultipartUploadsResult><Upload><Key>%4</Key></Upload><EncodingType>url</EncodingType>"
        "</ListMultipartUploadsResult>",
        "<ListMultipartUploadsResult><Upload><Key>%00</Key></Upload><EncodingType>url</EncodingType>"
        "</ListMultipartUploadsResult>",
        "<ListBucketResult></ListBucketResult>",
        "<ListMultipartUploadsResult><Upload><Key>k</Key>",
    };
    struct s3_uploads_page page;
    struct buf got;
    struct err e;

    (void)state;
    buf_init(&got, 4096);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(answer_uploads(bad[i], strlen(bad[i]), &page, note_upload, &got, &e), ERR_CORRUPT);
    buf_free(&got);
}

static void test_scanner_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "<a>",
        "<a></b>",
        "<a></a><b></b>",
        "</a>",
        "<a/>x",
        "<a><!DOCTYPE x></a>",
        "<!DOCTYPE x [<!ENTITY y 'z'>]><a>&y;</a>",
        "<a>&y;</a>",
        "<a>&#0;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#;</a>",
        "<a>&#12</a>",
        "<a>&#1x;</a>",
        "<a>&",
        "<a b='>",
        "<a <b/>",
        "<>",
        "<a:>",
        "<a><![CDATA[x</a>",
        "<a><!-- x</a>",
        "<?xml",
        "<a><b><c><d><e><f><g><h><i><j><k><l><m><n><o><p><q></q>",
        "<aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/>",
    };
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (scan(bad[i], &e) != ERR_CORRUPT)
            fail_msg("accepted: %s", bad[i]);
    }
    assert_int_equal(scan("<a b='/' c=\">\"><!-- - --><?pi?><b/>t<c >&lt;</c >u</a> <!-- x -->", &e), ERR_OK);
}

static void test_long_text(void **state)
{
    char text[XML_TEXT_MAX + 64];
    struct err e;

    (void)state;
    snprintf(text, sizeof text, "<a>%*s</a>", XML_TEXT_MAX - 1, "x");
    assert_int_equal(scan(text, &e), ERR_OK);
    snprintf(text, sizeof text, "<a>%*s</a>", XML_TEXT_MAX, "x");
    assert_int_equal(scan(text, &e), ERR_CORRUPT);
}

struct keys {
    char first[S3_KEY_SIZE], last[S3_KEY_SIZE];
    int n;
};

static int take_listed(void *arg, const char *key, struct err *e)
{
    struct keys *k = arg;

    (void)e;
    if (k->n++ == 0)
        snprintf(k->first, sizeof k->first, "%s", key);
    snprintf(k->last, sizeof k->last, "%s", key);
    return ERR_OK;
}

static int list_keys(const char *text, struct keys *k)
{
    struct err e;
    size_t n;
    void *p = exact(text, &n);
    *k = (struct keys){.n = 0};
    int rc = answer_keys(p, n, take_listed, k, &e);

    free(p);
    return rc;
}

static void test_keys(void **state)
{
    struct keys k;
    char *large = malloc(4096);

    (void)state;
    assert_int_equal(
        list_keys(
            "<ListBucketResult><Name>b</Name><Contents><Key>a%2Fb%2Bc+d</Key></Contents><Contents><Key>z"
            "</Key></Contents><EncodingType>url</EncodingType></ListBucketResult>",
            &k),
        ERR_OK);
    assert_int_equal(k.n, 2);
    assert_string_equal(k.first, "a/b+c d");
    assert_string_equal(k.last, "z");
    assert_int_equal(
        list_keys("<ListBucketResult><Contents><Key>a%2F+</Key></Contents></ListBucketResult>", &k), ERR_OK);
    assert_string_equal(k.first, "a%2F+");
    assert_int_equal(list_keys("<ListBucketResult><KeyCount>0</KeyCount></ListBucketResult>", &k), ERR_OK);
    assert_int_equal(k.n, 0);
    static const char *const bad[] = {"", "<html/>", "<ListBucketResult><Contents><Key>a</Key></Contents>",
                                      "<ListBucketResult><Contents><Key>%zz</Key></"
                                      "Contents><EncodingType>url</EncodingType></ListBucketResult>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(list_keys(bad[i], &k), ERR_CORRUPT);
        assert_int_equal(k.n, 0); /* of half an answer nothing is given */
    }
    size_t n = (size_t)sprintf(large, "<ListBucketResult><Contents><Key>");
    memset(large + n, 'k', S3_KEY_SIZE);
    strcpy(large + n + S3_KEY_SIZE, "</Key></Contents></ListBucketResult>");
    assert_int_equal(list_keys(large, &k), ERR_CORRUPT);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_document),  cmocka_unit_test(test_upload_id),
        cmocka_unit_test(test_complete),        cmocka_unit_test(test_uploads),
        cmocka_unit_test(test_uploads_refused), cmocka_unit_test(test_scanner_refuses),
        cmocka_unit_test(test_long_text),       cmocka_unit_test(test_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
