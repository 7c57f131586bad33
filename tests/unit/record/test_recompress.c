/*
 * Batches in another codec: the same records under a new length and CRC; damage, bombs and allocation failures.
 */
#include "tests/lib/testkit.h"

#include <errno.h>

#include "base/mem.h"
#include "record/record.h"

static void build(struct buf *out, enum codec codec, int records)
{
    struct err e;
    struct batch_options o = {.codec = codec, .level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    struct record_header header = {.key = "h", .key_len = 1, .value = (const uint8_t *)"1", .value_len = 1};
    uint8_t *data;
    size_t n;
    assert_non_null(b);
    for (int i = 0; i < records; i++) {
        char value[64];
        int len = snprintf(value, sizeof value, "value %d value value value", i);
        assert_ok(batch_builder_add(b, 1000 + i, i % 3 ? "key" : NULL, 3, value, (size_t)len, &header, 1, &e),
                  &e);
    }
    struct batch_producer p = {7, 3, 40, true};
    assert_ok(batch_builder_finish(b, &p, &data, &n, &e), &e);
    batch_assign(data, 500, 9);
    assert_ok(buf_append(out, data, n, &e), &e);
    batch_builder_free(b);
}

static void expect_same_records(const struct buf *a, const uint8_t *b, size_t n)
{
    struct batch_iter x, y;
    struct record r, s;
    struct buf one, two;
    struct err e;
    buf_init(&one, 1 << 20);
    buf_init(&two, 1 << 20);
    assert_ok(batch_iter_init(&x, a->data, a->len, &one, &e), &e);
    assert_ok(batch_iter_init(&y, b, n, &two, &e), &e);
    int rc;
    while ((rc = batch_iter_next(&x, &r, &e)) == ERR_OK) {
        assert_ok(batch_iter_next(&y, &s, &e), &e);
        assert_int_equal(r.offset, s.offset);
        assert_int_equal(r.timestamp, s.timestamp);
        assert_int_equal(r.key_len, s.key_len);
        assert_int_equal(r.value_len, s.value_len);
        assert_memory_equal(r.value, s.value, (size_t)r.value_len);
        assert_int_equal(r.header_count, s.header_count);
    }
    assert_int_equal(rc, ERR_END);
    assert_int_equal(batch_iter_next(&y, &s, &e), ERR_END);
    buf_free(&one);
    buf_free(&two);
}

static void test_every_pair(void **state)
{
    (void)state;
    for (int from = 0; from < CODEC_COUNT; from++)
        for (int to = 0; to < CODEC_COUNT; to++) {
            struct buf in, out, scratch;
            struct batch_header h, was;
            struct err e;
            buf_init(&in, 1 << 20);
            buf_init(&out, 1 << 20);
            buf_init(&scratch, 1 << 20);
            build(&in, (enum codec)from, 300);
            assert_ok(buf_append(&out, "ab", 2, &e), &e);
            assert_ok(
                batch_recompress(in.data, in.len, (enum codec)to, CODEC_LEVEL_DEFAULT, &scratch, &out, &e),
                &e);
            assert_memory_equal(out.data, "ab", 2);
            assert_ok(batch_validate(out.data + 2, out.len - 2, true, &scratch, &h, &e), &e);
            assert_ok(batch_header_decode(in.data, in.len, &was, &e), &e);
            assert_int_equal(batch_codec(&h), to);
            assert_int_equal(batch_size(&h), out.len - 2);
            assert_int_equal(h.base_offset, 500);
            assert_int_equal(h.leader_epoch, 9);
            assert_int_equal(h.attributes & ~BATCH_CODEC_MASK, BATCH_TRANSACTIONAL);
            assert_int_equal(h.last_offset_delta, was.last_offset_delta);
            assert_int_equal(h.base_timestamp, was.base_timestamp);
            assert_int_equal(h.max_timestamp, was.max_timestamp);
            assert_int_equal(h.producer_id, 7);
            assert_int_equal(h.producer_epoch, 3);
            assert_int_equal(h.base_sequence, 40);
            assert_int_equal(h.record_count, 300);
            expect_same_records(&in, out.data + 2, out.len - 2);
            buf_free(&in);
            buf_free(&out);
            buf_free(&scratch);
        }
}

/* What is damaged must not come out with a right CRC, and nothing is left in `out`. */
static void test_damage(void **state)
{
    (void)state;
    for (int from = 0; from < CODEC_COUNT; from++) {
        struct buf in, out, scratch;
        struct err e;
        buf_init(&in, 1 << 20);
        buf_init(&out, 1 << 20);
        buf_init(&scratch, 1 << 20);
        build(&in, (enum codec)from, 20);
        for (size_t at = 21; at < in.len; at++) { /* all that the CRC covers */
            in.data[at] ^= 1;
            assert_int_not_equal(batch_recompress(in.data, in.len, CODEC_ZSTD, 3, &scratch, &out, &e),
                                 ERR_OK);
            in.data[at] ^= 1;
            assert_int_equal(out.len, 0);
        }
        assert_code(batch_recompress(in.data, in.len - 1, CODEC_ZSTD, 3, &scratch, &out, &e), ERR_TRUNCATED,
                    &e);
        assert_ok(batch_recompress(in.data, in.len, CODEC_ZSTD, 3, &scratch, &out, &e), &e);
        buf_free(&in);
        buf_free(&out);
        buf_free(&scratch);
    }
}

static void test_caps(void **state)
{
    (void)state;
    struct buf in, out, scratch;
    struct err e;
    buf_init(&in, 1 << 20);
    buf_init(&out, 500);
    buf_init(&scratch, 1000);
    build(&in, CODEC_ZSTD, 1000);
    assert_code(batch_recompress(in.data, in.len, CODEC_NONE, CODEC_LEVEL_DEFAULT, &scratch, &out, &e),
                ERR_TOO_LARGE, &e);
    scratch.max = 1 << 20;
    assert_code(batch_recompress(in.data, in.len, CODEC_NONE, CODEC_LEVEL_DEFAULT, &scratch, &out, &e),
                ERR_TOO_LARGE, &e);
    assert_int_equal(out.len, 0);
    assert_code(batch_recompress(in.data, in.len, CODEC_LZ4, 99, &scratch, &out, &e), ERR_INVALID, &e);
    buf_free(&in);
    buf_free(&out);
    buf_free(&scratch);
}

static void once(void *arg)
{
    struct buf *in = arg, out, scratch;
    struct err e;
    buf_init(&out, 1 << 20);
    buf_init(&scratch, 1 << 20);
    int rc = batch_recompress(in->data, in->len, CODEC_GZIP, 6, &scratch, &out, &e);
    assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
    assert_true((out.len > 0) == (rc == ERR_OK));
    buf_free(&out);
    buf_free(&scratch);
}

static void test_no_memory(void **state)
{
    (void)state;
    struct buf in;
    buf_init(&in, 1 << 20);
    build(&in, CODEC_ZSTD, 300);
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once, &in) > 2);
    buf_free(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_pair),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
