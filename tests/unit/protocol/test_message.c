/*
 * The codec's rules, one by one, on bytes written out by hand: what versions have, null and empty, tagged
 * fields, defaults, and what of outside bytes is refused before anything is allocated for it.
 */
#include "protocol/api.h"
#include "protocol/messages.h"
#include "tests/lib/testkit.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static size_t unhex(const char *text, uint8_t *out)
{
    size_t n = 0;
    unsigned byte;
    for (; *text != '\0'; text += *text == ' ' ? 1 : 2)
        if (*text != ' ' && sscanf(text, "%2x", &byte) == 1)
            out[n++] = (uint8_t)byte;
    return n;
}

static int decode(const struct msg_schema *s, int16_t version, const char *hex, void *m, struct err *e)
{
    static uint8_t bytes[4096];
    struct slice in = slice_of(bytes, unhex(hex, bytes));
    int rc = msg_decode(s, version, &in, &arena, m, e);
    if (rc == ERR_OK)
        assert_int_equal(slice_left(&in), 0);
    return rc;
}

/* Fails unless the bytes are refused with the code and a text that has `what`. */
static void refused(const struct msg_schema *s, int16_t version, const char *hex, int code, const char *what)
{
    struct err e = {0};
    void *m = malloc(s->size);
    assert_non_null(m);
    assert_code(decode(s, version, hex, m, &e), code, &e);
    if (strstr(e.text, what) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", e.text, what);
    free(m);
}

static void encodes_as(const struct msg_schema *s, int16_t version, const void *m, const char *hex)
{
    uint8_t expected[4096];
    size_t n = unhex(hex, expected);
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1 << 20);
    assert_ok(msg_encode(s, version, m, &out, &e), &e);
    assert_int_equal(out.len, n);
    assert_memory_equal(out.data, expected, n);
    buf_free(&out);
}

static void test_null_and_empty_are_told_apart(void **state)
{
    (void)state;
    struct msg_metadata_request m;
    struct err e = {0};
    assert_ok(decode(&msg_schema_metadata_request, 1, "ffffffff", &m, &e), &e);
    assert_int_equal(m.topics.count, -1);
    assert_true(m.allow_auto_topic_creation); /* the default, where the version cannot say */
    assert_ok(decode(&msg_schema_metadata_request, 1, "00000000", &m, &e), &e);
    assert_int_equal(m.topics.count, 0);
    assert_ok(decode(&msg_schema_metadata_request, 9, "00 00 00 01 00", &m, &e), &e);
    assert_int_equal(m.topics.count, -1);
    assert_false(m.allow_auto_topic_creation);
    assert_true(m.include_topic_authorized_operations);
    assert_ok(decode(&msg_schema_metadata_request, 9, "01 01 00 00 00", &m, &e), &e);
    assert_int_equal(m.topics.count, 0);
    refused(&msg_schema_metadata_request, 0, "ffffffff", ERR_INVALID,
            "MetadataRequest version 0: Topics: may not be null");
    refused(&msg_schema_metadata_request, 9, "02 00 00 00 00 00", ERR_INVALID,
            "Topics: element 0: Name: may not be null");
}

static void test_strings(void **state)
{
    (void)state;
    struct msg_find_coordinator_request m;
    struct err e = {0};
    assert_ok(decode(&msg_schema_find_coordinator_request, 0, "0003 61c3bc", &m, &e), &e);
    assert_int_equal(m.key.n, 3);
    assert_memory_equal(m.key.p, "a\xc3\xbc", 3);
    encodes_as(&msg_schema_find_coordinator_request, 0, &m, "0003 61c3bc");
    encodes_as(&msg_schema_find_coordinator_request, 3, &m, "04 61c3bc 00 00");
    assert_ok(decode(&msg_schema_find_coordinator_request, 0, "0000", &m, &e), &e);
    assert_int_equal(m.key.n, 0);
    refused(&msg_schema_find_coordinator_request, 0, "ffff", ERR_INVALID, "Key: may not be null");
    refused(&msg_schema_find_coordinator_request, 0, "fffe", ERR_INVALID, "Key: may not be null");
    refused(&msg_schema_find_coordinator_request, 0, "0004 616263", ERR_TRUNCATED, "Key");
    refused(&msg_schema_find_coordinator_request, 0, "00", ERR_TRUNCATED, "Key");
    refused(&msg_schema_find_coordinator_request, 3, "818002", ERR_CORRUPT, "a string of 32768 bytes");
    refused(&msg_schema_find_coordinator_request, 3, "ffffffff0f", ERR_CORRUPT, "a length of");
    refused(&msg_schema_find_coordinator_request, 3, "ffffffffff01", ERR_CORRUPT, "more than 32 bits");
    refused(&msg_schema_find_coordinator_request, 3, "ffffffffffffffffffffff", ERR_CORRUPT, "Key");
}

/* In memory they are what no name has; on the wire, and in JSON, they are NULs. */
static void test_nuls(void **state)
{
    (void)state;
    struct msg_find_coordinator_request m;
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1 << 20);
    assert_ok(decode(&msg_schema_find_coordinator_request, 0, "0004 00670078", &m, &e), &e);
    assert_int_equal(m.key.n, 6);
    assert_memory_equal(m.key.p, "\xc0\x80g\xc0\x80x", 6);
    encodes_as(&msg_schema_find_coordinator_request, 0, &m, "0004 00670078");
    encodes_as(&msg_schema_find_coordinator_request, 3, &m, "05 00670078 00 00");
    assert_ok(msg_json(&msg_schema_find_coordinator_request, 0, &m, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_string_equal((const char *)out.data, "{\"key\":\"\\u0000g\\u0000x\"}");
    assert_ok(decode(&msg_schema_find_coordinator_request, 0, "0003 67c3c0", &m, &e),
              &e); /* ends as one begins */
    encodes_as(&msg_schema_find_coordinator_request, 0, &m, "0003 67c3c0");
    m.key = msg_text("\xc0\x80", 2);
    encodes_as(&msg_schema_find_coordinator_request, 0, &m, "0001 00");
    buf_free(&out);
}

static void test_what_is_too_long_is_not_written(void **state)
{
    (void)state;
    static char text[MSG_STRING_MAX + 1];
    struct msg_find_coordinator_request m;
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1 << 20);
    msg_init(&msg_schema_find_coordinator_request, &m);
    m.key = msg_text(text, sizeof text);
    assert_code(msg_encode(&msg_schema_find_coordinator_request, 3, &m, &out, &e), ERR_INVALID, &e);
    m.key = MSG_NULL_STRING;
    assert_code(msg_encode(&msg_schema_find_coordinator_request, 3, &m, &out, &e), ERR_INVALID, &e);
    assert_string_equal(e.text, "FindCoordinatorRequest version 3: Key: may not be null");
    buf_free(&out);
}

/* A count of two thousand million, in a few bytes; and many small elements, which are large in memory. */
static void test_counts_are_bounded(void **state)
{
    (void)state;
    refused(&msg_schema_metadata_request, 0, "7fffffff 0001 61", ERR_TRUNCATED,
            "Topics: 2147483647 elements in 3 bytes");
    refused(&msg_schema_metadata_request, 0, "80000000", ERR_INVALID, "Topics: may not be null");
    refused(&msg_schema_metadata_request, 9, "ffffffff07 0161", ERR_TRUNCATED, "elements in 2 bytes");
    uint8_t *zeros = calloc(1, 400000);
    assert_non_null(zeros);
    put_be32(zeros, 199998); /* topics of an empty name: two bytes each here, 32 there */
    struct slice in = slice_of(zeros, 400000);
    struct msg_metadata_request m;
    struct err e = {0};
    assert_code(msg_decode(&msg_schema_metadata_request, 0, &in, &arena, &m, &e), ERR_TOO_LARGE, &e);
    assert_ptr_equal(in.p, zeros);
    assert_true(arena.bytes <= 1 << 20);
    free(zeros);
}

static void test_tagged_fields(void **state)
{
    (void)state;
    /* max wait, min and max bytes, isolation, session, epoch, no topics, nothing forgotten, no rack */
#define FETCH "00000001 00000002 00000003 01 00000004 00000005 01 01 01 "
    struct msg_fetch_request m;
    struct err e = {0};
    assert_ok(decode(&msg_schema_fetch_request, 15, FETCH "00", &m, &e), &e);
    assert_int_equal(m.cluster_id.n, -1);
    assert_int_equal(m.replica_state.replica_id, -1);
    encodes_as(&msg_schema_fetch_request, 15, &m, FETCH "00");
    assert_ok(decode(&msg_schema_fetch_request, 15,
                     FETCH "02 00 03 036364 01 0d 00000007 0000000000000008 00", &m, &e),
              &e);
    assert_memory_equal(m.cluster_id.p, "cd", 2);
    assert_int_equal(m.replica_state.replica_id, 7);
    assert_int_equal(m.replica_state.replica_epoch, 8);
    /* unknown ones are skipped */
    assert_ok(decode(&msg_schema_fetch_request, 15, FETCH "02 00 02 0263 63 03 ffffff", &m, &e), &e);
    encodes_as(&msg_schema_fetch_request, 15, &m, FETCH "01 00 02 0263");
    refused(&msg_schema_fetch_request, 15, FETCH "01 00 03 0263 64", ERR_CORRUPT,
            "ClusterId: 1 bytes too many");
    refused(&msg_schema_fetch_request, 15, FETCH "01 00 01 0263", ERR_TRUNCATED, "ClusterId");
    refused(&msg_schema_fetch_request, 15, FETCH "01 63 7f 00", ERR_TRUNCATED, "tagged field");
    refused(&msg_schema_fetch_request, 15, FETCH "05", ERR_TRUNCATED, "tagged field");
    /* of version 12 the second is one that nobody knows */
    assert_ok(decode(&msg_schema_fetch_request, 12, "ffffffff " FETCH "01 01 0d 00000007 0000000000000008 00",
                     &m, &e),
              &e);
    assert_int_equal(m.replica_state.replica_id, -1);
    assert_int_equal(m.replica_id, -1);
}

static void test_structs_that_may_be_null(void **state)
{
    (void)state;
    struct msg_describe_topic_partitions_request m;
    struct err e = {0};
    assert_ok(decode(&msg_schema_describe_topic_partitions_request, 0, "01 00000007 ff 00", &m, &e), &e);
    assert_null(m.cursor);
    encodes_as(&msg_schema_describe_topic_partitions_request, 0, &m, "01 00000007 ff 00");
    assert_ok(decode(&msg_schema_describe_topic_partitions_request, 0, "01 00000007 01 0274 00000003 00 00",
                     &m, &e),
              &e);
    assert_non_null(m.cursor);
    assert_int_equal(m.cursor->partition_index, 3);
    encodes_as(&msg_schema_describe_topic_partitions_request, 0, &m, "01 00000007 01 0274 00000003 00 00");
    refused(&msg_schema_describe_topic_partitions_request, 0, "01 00000007 01 0274 000000", ERR_TRUNCATED,
            "Cursor: PartitionIndex");
}

static void test_headers(void **state)
{
    (void)state;
    static const uint8_t request[] = {0, 3, 0, 9, 0, 0, 0, 7, 0, 2, 'm', 'e', 1, 5, 1, 0xff, 0x55};
    struct slice in = slice_of(request, sizeof request);
    struct msg_request_header h;
    struct err e = {0};
    assert_ok(msg_request_header_decode(&in, &h, &e), &e);
    assert_int_equal(h.correlation, 7);
    assert_int_equal(h.client_id.n, 2);
    assert_string_equal(h.api->name, "Metadata");
    assert_int_equal(slice_left(&in), 1); /* behind a tagged field that nobody knows */
    for (size_t n = 0; n < sizeof request - 1; n++) {
        in = slice_of(request, n);
        assert_code(msg_request_header_decode(&in, &h, &e), ERR_TRUNCATED, &e);
    }
    static const uint8_t negative[] = {0, 3, 0, 1, 0, 0, 0, 7, 0xff, 0xfe};
    in = slice_of(negative, sizeof negative);
    assert_ok(msg_request_header_decode(&in, &h, &e), &e);
    assert_int_equal(h.client_id.n, -1);
    static const uint8_t next_version[] = {0, 18, 0, 5, 0, 0, 0, 7, 0, 1, 'x', 0};
    in = slice_of(next_version, sizeof next_version); /* is answered, so its header has to be one */
    assert_ok(msg_request_header_decode(&in, &h, &e), &e);
    assert_null(h.api);
    in = slice_of(next_version, sizeof next_version - 1);
    assert_code(msg_request_header_decode(&in, &h, &e), ERR_TRUNCATED, &e);
    static const uint8_t unknown[] = {0, 99, 0, 0, 0, 0, 0, 7}, newer[] = {0, 3, 0, 99, 0, 0, 0, 7};
    in = slice_of(unknown, sizeof unknown);
    assert_ok(msg_request_header_decode(&in, &h, &e), &e);
    assert_null(h.api);
    in = slice_of(newer, sizeof newer);
    assert_ok(msg_request_header_decode(&in, &h, &e), &e);
    assert_null(h.api);
    assert_int_equal(h.correlation, 7);
    assert_null(msg_api_find(-1));
    assert_null(msg_api_find(7));
}

static void test_json(void **state)
{
    (void)state;
    struct msg_produce_request m;
    struct msg_produce_request_partition_produce_data partition;
    struct msg_produce_request_topic_produce_data topic;
    struct buf out;
    struct err e = {0};
    buf_init(&out, 1 << 16);
    msg_init(&msg_schema_produce_request, &m);
    m.acks = -1;
    m.timeout_ms = 100;
    m.topic_data.items = memset(&topic, 0, sizeof topic);
    m.topic_data.count = 1;
    topic.name = msg_text("a\"b", 3);
    topic.partition_data.items = memset(&partition, 0, sizeof partition);
    topic.partition_data.count = 1;
    partition.records = (struct msg_bytes){(const uint8_t *)"xyz", 3};
    assert_ok(msg_json(&msg_schema_produce_request, 3, &m, &out, &e), &e);
    assert_ok(buf_u8(&out, 0, &e), &e);
    assert_string_equal((char *)out.data,
                        "{\"transactionalId\":null,\"acks\":-1,\"timeoutMs\":100,\"topicData\":[{\"name\":"
                        "\"a\\\"b\",\"partitionData\":[{\"index\":0,\"recordsSizeInBytes\":3}]}]}");
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
        TEST(test_null_and_empty_are_told_apart),
        TEST(test_strings),
        TEST(test_nuls),
        TEST(test_what_is_too_long_is_not_written),
        TEST(test_counts_are_bounded),
        TEST(test_tagged_fields),
        TEST(test_structs_that_may_be_null),
        TEST(test_headers),
        TEST(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
