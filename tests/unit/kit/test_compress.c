/*
 * Compression: what comes out can be read by zlib and libzstd, does not depend on how it went in, and goes on after an
 * error of the receiver as promised.
 */
#include <errno.h>

#include "kit/compress.h"

#include <zlib.h>
#include <zstd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "tests/lib/testkit.h"

struct receiver {
    struct buf got;
    size_t largest;
    int fail_after; /* pieces; -1: never */
};

static int receive(void *arg, const void *data, size_t n, struct err *e)
{
    struct receiver *r = arg;
    if (r->fail_after == 0)
        return err_set(e, ERR_NO_SPACE, "no");
    r->fail_after -= r->fail_after > 0;
    r->largest = n > r->largest ? n : r->largest;
    return buf_append(&r->got, data, n, e);
}

/* Text that compresses like log lines do, with pieces that do not. */
static uint8_t *make_input(size_t n)
{
    uint8_t *p = malloc(n + 64);
    uint32_t seed = 1;
    for (size_t i = 0; i < n;) {
        seed = seed * 1664525 + 1013904223;
        i += (size_t)sprintf((char *)p + i, "line %u of /some/path status=%u\n", seed >> 8, seed % 7);
    }
    for (size_t i = n / 2; i < n / 2 + n / 8; i++) {
        seed = seed * 1664525 + 1013904223;
        p[i] = (uint8_t)(seed >> 24);
    }
    return p;
}

static void inflate_all(enum compress_codec codec, const struct buf *in, uint8_t *out, size_t n)
{
    if (codec == COMPRESS_NONE) {
        assert_int_equal(in->len, n);
        if (n)
            memcpy(out, in->data, n);
    } else if (codec == COMPRESS_ZSTD) {
        assert_int_equal(ZSTD_decompress(out, n, in->data, in->len), n);
    } else {
        z_stream z = {.next_in = in->data, .avail_in = (uInt)in->len, .next_out = out, .avail_out = (uInt)n};
        assert_int_equal(inflateInit2(&z, 16 + 15), Z_OK);
        assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END); /* one member, checksum and length right */
        assert_int_equal(z.total_out, n);
        assert_int_equal(z.avail_in, 0);
        inflateEnd(&z);
    }
}

static void feed(struct compressor *c, const uint8_t *in, size_t n, size_t piece)
{
    struct err e;
    for (size_t i = 0; i < n; i += piece) {
        size_t part = n - i < piece ? n - i : piece;
        /* A copy elsewhere each time: where the caller's bytes are must not matter either. */
        uint8_t *copy = malloc(part);
        memcpy(copy, in + i, part);
        assert_ok(compressor_write(c, copy, part, &e), &e);
        free(copy);
    }
    assert_ok(compressor_finish(c, &e), &e);
}

static void check_codec(enum compress_codec codec, int level, size_t n)
{
    struct err e;
    uint8_t *in = make_input(n), *out = malloc(n + 1);
    struct receiver first = {.fail_after = -1}, again = {.fail_after = -1};
    buf_init(&first.got, SIZE_MAX);
    buf_init(&again.got, SIZE_MAX);
    struct compressor *c;
    assert_ok(compressor_new(codec, level, receive, &first, &c, &e), &e);
    feed(c, in, n, n ? n : 1);
    inflate_all(codec, &first.got, out, n);
    assert_memory_equal(in, out, n);
    assert_int_equal(compressor_bytes_in(c), n);
    assert_int_equal(compressor_bytes_out(c), first.got.len);
    assert_true(first.largest <= COMPRESS_BLOCK);
    static const size_t pieces[] = {7, 1000, 65537, COMPRESS_BLOCK, COMPRESS_BLOCK + 1, 999999};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        buf_reset(&again.got);
        compressor_reset(c, receive, &again);
        feed(c, in, n, pieces[i]);
        assert_int_equal(again.got.len, first.got.len);
        assert_memory_equal(again.got.data, first.got.data, first.got.len);
    }
    compressor_free(c);
    buf_free(&first.got);
    buf_free(&again.got);
    free(in);
    free(out);
}

static void test_each_codec_and_level(void **state)
{
    (void)state;
    static const size_t sizes[] = {0, 1, 100, COMPRESS_BLOCK, 3 * COMPRESS_BLOCK + 17};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        check_codec(COMPRESS_NONE, COMPRESS_LEVEL_DEFAULT, sizes[i]);
        for (int level = COMPRESS_LEVEL_DEFAULT; level <= 9; level++)
            check_codec(COMPRESS_GZIP, level, sizes[i]);
        check_codec(COMPRESS_ZSTD, COMPRESS_LEVEL_DEFAULT, sizes[i]);
        check_codec(COMPRESS_ZSTD, 1, sizes[i]);
    }
    check_codec(COMPRESS_ZSTD, 19, 100000);
}

static void test_a_stream_that_was_left_leaves_no_trace(void **state)
{
    (void)state;
    struct err e;
    size_t n = 2 * COMPRESS_BLOCK;
    uint8_t *in = make_input(n);
    for (int codec = COMPRESS_NONE; codec <= COMPRESS_ZSTD; codec++) {
        struct receiver fresh = {.fail_after = -1}, used = {.fail_after = -1};
        buf_init(&fresh.got, SIZE_MAX);
        buf_init(&used.got, SIZE_MAX);
        struct compressor *c;
        assert_ok(compressor_new((enum compress_codec)codec, -1, receive, &fresh, &c, &e), &e);
        feed(c, in, n, n);
        compressor_reset(c, receive, &used);
        assert_ok(compressor_write(c, in + 5, n - 5000, &e), &e);
        buf_reset(&used.got);
        compressor_reset(c, receive, &used);
        feed(c, in, n, n);
        assert_int_equal(used.got.len, fresh.got.len);
        assert_memory_equal(used.got.data, fresh.got.data, fresh.got.len);
        compressor_free(c);
        buf_free(&fresh.got);
        buf_free(&used.got);
    }
    free(in);
}

static void test_gzip_header_tells_no_time(void **state)
{
    (void)state;
    struct err e;
    struct receiver r = {.fail_after = -1};
    buf_init(&r.got, 1 << 20);
    struct compressor *c;
    assert_ok(compressor_new(COMPRESS_GZIP, -1, receive, &r, &c, &e), &e);
    feed(c, (const uint8_t *)"x\n", 2, 1);
    static const uint8_t head[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0};
    assert_memory_equal(r.got.data, head, sizeof(head));
    compressor_free(c);
    buf_free(&r.got);
}

static void test_errors_of_the_receiver_come_back(void **state)
{
    (void)state;
    struct err e;
    size_t n = 4 * COMPRESS_BLOCK;
    uint8_t *in = make_input(n);
    for (int codec = COMPRESS_NONE; codec <= COMPRESS_ZSTD; codec++) {
        struct receiver r = {.fail_after = 0};
        buf_init(&r.got, SIZE_MAX);
        struct compressor *c;
        assert_ok(compressor_new((enum compress_codec)codec, -1, receive, &r, &c, &e), &e);
        int rc = compressor_write(c, in, n, &e);
        if (rc == ERR_OK)
            rc = compressor_finish(c, &e);
        assert_code(rc, ERR_NO_SPACE, &e);
        compressor_free(c);
        buf_free(&r.got);
    }
    free(in);
}

static void make_one(void *arg)
{
    struct err e;
    enum compress_codec codec = *(enum compress_codec *)arg;
    struct compressor *c;
    if (compressor_new(codec, -1, receive, NULL, &c, &e) != ERR_OK)
        assert_int_equal(e.code, ERR_NO_MEMORY);
    compressor_free(c);
}

static void test_without_memory_and_with_wrong_levels(void **state)
{
    (void)state;
    struct err e;
    struct compressor *c;
    for (enum compress_codec codec = COMPRESS_NONE; codec <= COMPRESS_ZSTD; codec++)
        assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, make_one, &codec) >= 2);
    assert_code(compressor_new(COMPRESS_GZIP, 10, receive, NULL, &c, &e), ERR_INVALID_CONFIG, &e);
    assert_code(compressor_new(COMPRESS_ZSTD, 20, receive, NULL, &c, &e), ERR_INVALID_CONFIG, &e);
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_codec_and_level),
        cmocka_unit_test(test_a_stream_that_was_left_leaves_no_trace),
        cmocka_unit_test(test_gzip_header_tells_no_time),
        cmocka_unit_test(test_errors_of_the_receiver_come_back),
        cmocka_unit_test(test_without_memory_and_with_wrong_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
