/*
 * Codecs: round trips, the framings of other writers, bombs, damage, allocation failures.
 */
/* For frames without a content size, and an lz4 context with linked blocks. */
#include <lz4frame.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>

#include "tests/lib/testkit.h"

#include <errno.h>

#include "record/record.h"

#define MIB ((size_t)1 << 20)

enum shape { ZEROS, TEXT, NOISE, SHAPES };

/* `n` bytes (at least one is allocated) that compress very well, well, not at all. free(). */
static uint8_t *make(enum shape shape, size_t n)
{
    uint8_t *data = malloc(n + 1);
    uint64_t x = 88172645463325252u + n;
    for (size_t i = 0; i < n; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        data[i] = shape == ZEROS   ? 0
                  : shape == NOISE ? (uint8_t)x
                                   : (uint8_t)("leat log line "[(x >> 20) % 14]);
    }
    return data;
}

static void round_trip(enum codec c, int32_t level, enum shape shape, size_t n)
{
    struct err e = {0};
    struct buf packed, back;
    uint8_t *data = make(shape, n);
    buf_init(&packed, 2 * n + MIB);
    buf_init(&back, n + 3);
    assert_ok(buf_append(&packed, "abc", 3, &e), &e);
    assert_ok(codec_compress(c, level, data, n, &packed, &e), &e);
    assert_memory_equal(packed.data, "abc", 3);
    assert_ok(buf_append(&back, "xyz", 3, &e), &e);
    int rc = codec_decompress(c, packed.data + 3, packed.len - 3, &back, &e);
    if (rc != ERR_OK)
        fail_msg("%s level %d, shape %d, %zu bytes: %s", codec_name(c), level, shape, n, e.text);
    assert_int_equal(back.len, n + 3);
    assert_memory_equal(back.data, "xyz", 3);
    assert_memory_equal(back.data + 3, data, n);
    buf_free(&packed);
    buf_free(&back);
    free(data);
}

static void test_round_trips_of_every_size(void **state)
{
    (void)state;
    static const size_t large[] = {4095,  4096,   4097,   32767,  32768,     32769,   65535,  65536,
                                   65537, 131071, 131072, 131073, 3 * 65536, 1000003, 5000000};
    for (int c = 0; c < CODEC_COUNT; c++)
        for (int shape = 0; shape < SHAPES; shape++) {
            for (size_t n = 0; n < 600; n++)
                round_trip((enum codec)c, CODEC_LEVEL_DEFAULT, (enum shape)shape, n);
            for (size_t i = 0; i < sizeof large / sizeof large[0]; i++)
                round_trip((enum codec)c, CODEC_LEVEL_DEFAULT, (enum shape)shape, large[i]);
        }
}

static void test_levels(void **state)
{
    (void)state;
    static const struct {
        enum codec codec;
        int32_t level;
        bool valid;
    } cases[] = {
        {CODEC_NONE, CODEC_LEVEL_DEFAULT, true},
        {CODEC_NONE, 3, true},
        {CODEC_GZIP, -1, true},
        {CODEC_GZIP, 0, false},
        {CODEC_GZIP, 1, true},
        {CODEC_GZIP, 4, true},
        {CODEC_GZIP, 5, true},
        {CODEC_GZIP, 9, true},
        {CODEC_GZIP, 10, false},
        {CODEC_GZIP, -2, false},
        {CODEC_SNAPPY, 1, false},
        {CODEC_LZ4, 0, false},
        {CODEC_LZ4, 1, true},
        {CODEC_LZ4, 9, true},
        {CODEC_LZ4, 17, true},
        {CODEC_LZ4, 18, false},
        {CODEC_ZSTD, -131072, true},
        {CODEC_ZSTD, -131073, false},
        {CODEC_ZSTD, 1, true},
        {CODEC_ZSTD, 22, true},
        {CODEC_ZSTD, 23, false},
        {(enum codec)5, 1, false},
        {(enum codec) - 1, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = {0};
        struct buf out;
        buf_init(&out, MIB);
        int rc = codec_compress(cases[i].codec, cases[i].level, "x", 1, &out, &e);
        if ((rc == ERR_OK) != cases[i].valid)
            fail_msg("%s level %d: %s", codec_name(cases[i].codec), cases[i].level, e.text);
        buf_free(&out);
        if (cases[i].valid)
            for (int shape = 0; shape < SHAPES; shape++) {
                round_trip(cases[i].codec, cases[i].level, (enum shape)shape, 777);
                round_trip(cases[i].codec, cases[i].level, (enum shape)shape, 300000);
            }
    }
}

static void test_names(void **state)
{
    (void)state;
    static const char *const names[] = {"none", "gzip", "snappy", "lz4", "zstd"};
    enum codec c;
    for (int i = 0; i < CODEC_COUNT; i++) {
        assert_string_equal(codec_name((enum codec)i), names[i]);
        assert_true(codec_parse(names[i], &c));
        assert_int_equal(c, i);
    }
    assert_true(codec_parse("uncompressed", &c));
    assert_int_equal(c, CODEC_NONE);
    assert_false(codec_parse("", &c));
    assert_false(codec_parse("GZIP", &c));
    assert_false(codec_parse("producer", &c));
    assert_string_equal(codec_name((enum codec)99), "unknown");
}

/* The cap is exact in both directions, and a bomb takes no more memory than the cap. */
static void test_caps(void **state)
{
    (void)state;
    const size_t n = 20 * MIB;
    struct err e = {0};
    uint8_t *data = make(ZEROS, n);
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct buf packed, out;
        buf_init(&packed, 2 * n);
        assert_ok(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, data, n, &packed, &e), &e);
        static const size_t caps[] = {0, 1, 1000, MIB, 20 * MIB - 1, 20 * MIB};
        for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
            buf_init(&out, caps[i]);
            int rc = codec_decompress((enum codec)c, packed.data, packed.len, &out, &e);
            assert_code(rc, caps[i] < n ? ERR_TOO_LARGE : ERR_OK, &e);
            assert_true(out.cap <= caps[i]);
            buf_free(&out);
        }
        buf_init(&out, packed.len);
        assert_ok(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, data, n, &out, &e), &e);
        assert_int_equal(out.len, packed.len);
        buf_free(&out);
        buf_init(&out, packed.len - 1);
        assert_code(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, data, n, &out, &e), ERR_TOO_LARGE, &e);
        buf_free(&out);
        buf_free(&packed);
    }
    free(data);
}

/* A part of a frame is never taken for the whole, however it is cut; heap copies let the sanitizer watch. */
static void test_cut_at_every_length(void **state)
{
    (void)state;
    uint8_t *data = make(TEXT, 700);
    for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
        struct err e = {0};
        struct buf packed, out;
        buf_init(&packed, MIB);
        buf_init(&out, MIB);
        assert_ok(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, data, 700, &packed, &e), &e);
        for (size_t n = 0; n < packed.len; n++) {
            uint8_t *part = malloc(n ? n : 1);
            memcpy(part, packed.data, n);
            buf_reset(&out);
            int rc = codec_decompress((enum codec)c, part, n, &out, &e);
            /* xerial: the blocks just end; then only less than everything may come out */
            if (rc == ERR_OK && c == CODEC_SNAPPY)
                assert_true(out.len < 700);
            else
                assert_code(rc, ERR_CORRUPT, &e);
            free(part);
        }
        assert_ok(buf_append(&packed, "\0", 1, &e), &e);
        buf_reset(&out);
        assert_code(codec_decompress((enum codec)c, packed.data, packed.len, &out, &e), ERR_CORRUPT, &e);
        buf_free(&packed);
        buf_free(&out);
    }
    free(data);
}

static void test_damage_stays_within_bounds(void **state)
{
    (void)state;
    uint8_t *data = make(TEXT, 5000);
    for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
        struct err e = {0};
        struct buf packed, out;
        buf_init(&packed, MIB);
        buf_init(&out, MIB);
        assert_ok(codec_compress((enum codec)c, CODEC_LEVEL_DEFAULT, data, 5000, &packed, &e), &e);
        for (size_t bit = 0; bit < packed.len * 8; bit++) {
            uint8_t *bad = malloc(packed.len);
            memcpy(bad, packed.data, packed.len);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            buf_reset(&out);
            int rc = codec_decompress((enum codec)c, bad, packed.len, &out, &e);
            assert_true(rc == ERR_OK || rc == ERR_CORRUPT || rc == ERR_TOO_LARGE);
            assert_true(out.len <= out.max);
            free(bad);
        }
        buf_free(&packed);
        buf_free(&out);
    }
    free(data);
}

static void expect(enum codec c, const void *packed, size_t n, const uint8_t *data, size_t size)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, size);
    assert_ok(codec_decompress(c, packed, n, &out, &e), &e);
    assert_int_equal(out.len, size);
    if (size)
        assert_memory_equal(out.data, data, size);
    buf_free(&out);
}

static void expect_corrupt(enum codec c, const void *packed, size_t n)
{
    struct err e = {0};
    struct buf out;
    buf_init(&out, MIB);
    assert_code(codec_decompress(c, packed, n, &out, &e), ERR_CORRUPT, &e);
    buf_free(&out);
}

static void test_snappy_framings(void **state)
{
    (void)state;
    const size_t n = 100000;
    struct err e = {0};
    struct buf xerial;
    uint8_t *data = make(TEXT, n);
    size_t raw_size = snappy_max_compressed_length(n);
    char *raw = malloc(raw_size);
    assert_int_equal(snappy_compress((char *)data, n, raw, &raw_size), SNAPPY_OK);
    expect(CODEC_SNAPPY, raw, raw_size, data, n);
    free(raw);
    /* What we write: header, then blocks of 32 KiB */
    buf_init(&xerial, MIB);
    assert_ok(codec_compress(CODEC_SNAPPY, CODEC_LEVEL_DEFAULT, data, n, &xerial, &e), &e);
    assert_memory_equal(xerial.data, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16);
    size_t at = 16, blocks = 0;
    while (at < xerial.len) {
        size_t size, length = be32(xerial.data + at);
        assert_int_equal(snappy_uncompressed_length((char *)xerial.data + at + 4, length, &size), SNAPPY_OK);
        assert_int_equal(size, blocks < 3 ? 32768 : n - 3 * 32768);
        at += 4 + length;
        blocks++;
    }
    assert_int_equal(at, xerial.len);
    assert_int_equal(blocks, 4);
    buf_free(&xerial);
    free(data);
    expect(CODEC_SNAPPY, "\x82SNAPPY\0\0\0\0\1\0\0\0\1", 16, NULL, 0);
    expect(CODEC_SNAPPY, "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\3\1\0x\0\0\0\3\1\0y", 30, (const uint8_t *)"xy",
           2);
    expect(CODEC_SNAPPY, "\0", 1, NULL, 0);
    expect_corrupt(CODEC_SNAPPY, "", 0);
    expect_corrupt(CODEC_SNAPPY, "\x82SNAPPY\0\0\0\0\2\0\0\0\2", 16);
    expect_corrupt(CODEC_SNAPPY, "\x82SNAPPY\0\0\0\0\1\0\0\0\1\xff\xff\xff\xff", 20);
    expect_corrupt(CODEC_SNAPPY, "\x82SNAPPY\0\0\0\0\1\0\0\0\1\0\0\0\0", 20);
    expect_corrupt(CODEC_SNAPPY, "\xff\xff\xff\xff\x0f\0x", 7); /* says 4 GiB */
}

static size_t lz4_frame(LZ4F_blockMode_t mode, LZ4F_blockSizeID_t size, bool checksums, const void *data,
                        size_t n, uint8_t *to, size_t cap)
{
    LZ4F_preferences_t prefs = {0};
    prefs.frameInfo.blockMode = mode;
    prefs.frameInfo.blockSizeID = size;
    prefs.frameInfo.contentChecksumFlag = checksums ? LZ4F_contentChecksumEnabled : LZ4F_noContentChecksum;
    prefs.frameInfo.blockChecksumFlag = checksums ? LZ4F_blockChecksumEnabled : LZ4F_noBlockChecksum;
    prefs.frameInfo.contentSize = checksums ? n : 0;
    size_t packed = LZ4F_compressFrame(to, cap, data, n, &prefs);
    assert_false(LZ4F_isError(packed));
    return packed;
}

static void test_lz4_frames(void **state)
{
    (void)state;
    const size_t n = 300000, cap = 400000;
    struct err e = {0};
    struct buf ours;
    uint8_t *data = make(TEXT, n), *packed = malloc(cap);
    for (int size = LZ4F_max64KB; size <= LZ4F_max4MB; size++)
        for (int checksums = 0; checksums <= 1; checksums++) {
            size_t m =
                lz4_frame(LZ4F_blockIndependent, (LZ4F_blockSizeID_t)size, checksums, data, n, packed, cap);
            expect(CODEC_LZ4, packed, m, data, n);
        }
    size_t linked = lz4_frame(LZ4F_blockLinked, LZ4F_max64KB, false, data, n, packed, cap);
    expect_corrupt(CODEC_LZ4, packed, linked);
    buf_init(&ours, cap);
    assert_ok(codec_compress(CODEC_LZ4, CODEC_LEVEL_DEFAULT, data, n, &ours, &e), &e);
    /* Magic; version 1, independent blocks, nothing else; 64 KiB blocks */
    assert_memory_equal(ours.data, "\x04\x22\x4d\x18\x60\x40", 6);
    ours.data[6] ^= 1;
    expect_corrupt(CODEC_LZ4, ours.data, ours.len); /* header checksum */
    buf_free(&ours);
    free(packed);
    free(data);
    expect_corrupt(CODEC_LZ4, "\x50\x2a\x4d\x18\4\0\0\0abcd", 12); /* a skippable frame */
}

static void test_gzip_members(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf two;
    buf_init(&two, MIB);
    uint8_t *data = make(TEXT, 200000);
    assert_ok(codec_compress(CODEC_GZIP, 1, data, 70000, &two, &e), &e);
    assert_ok(codec_compress(CODEC_GZIP, 9, data + 70000, 130000, &two, &e), &e);
    expect(CODEC_GZIP, two.data, two.len, data, 200000);
    two.data[two.len - 1] ^= 0x40; /* size in the trailer */
    expect_corrupt(CODEC_GZIP, two.data, two.len);
    two.data[two.len - 1] ^= 0x40;
    two.data[two.len - 5] ^= 1; /* CRC-32 */
    expect_corrupt(CODEC_GZIP, two.data, two.len);
    /* With name, comment, extra field and header CRC, as gzip(1) and others write */
    struct {
        gz_header head;
        z_stream z;
    } w = {.head = {.name = (Bytef *)(uintptr_t) "n",
                    .comment = (Bytef *)(uintptr_t) "c",
                    .hcrc = 1,
                    .extra = (Bytef *)(uintptr_t) "xx\1\0e",
                    .extra_len = 5}};
    assert_int_equal(deflateInit2(&w.z, 6, Z_DEFLATED, 15 + 16, 8, 0), Z_OK);
    assert_int_equal(deflateSetHeader(&w.z, &w.head), Z_OK);
    w.z.next_in = data;
    w.z.avail_in = 200000;
    w.z.next_out = two.data;
    w.z.avail_out = (uInt)two.cap;
    assert_int_equal(deflate(&w.z, Z_FINISH), Z_STREAM_END);
    expect(CODEC_GZIP, two.data, w.z.total_out, data, 200000);
    deflateEnd(&w.z);
    buf_free(&two);
    free(data);
}

static void test_zstd_frames(void **state)
{
    (void)state;
    const size_t n = 500000, cap = 600000;
    uint8_t *data = make(TEXT, n), *packed = malloc(cap);
    /* Streamed, as Java does: without the content size */
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_outBuffer out = {packed, cap, 0};
    for (size_t at = 0; at < n; at += 50000) {
        ZSTD_inBuffer in = {data + at, 50000, 0};
        ZSTD_compressStream2(context, &out, &in, at + 50000 == n ? ZSTD_e_end : ZSTD_e_flush);
    }
    assert_int_equal(ZSTD_getFrameContentSize(packed, out.pos), ZSTD_CONTENTSIZE_UNKNOWN);
    expect(CODEC_ZSTD, packed, out.pos, data, n);
    ZSTD_freeCCtx(context);
    /* Two frames; a skippable one before */
    size_t first = 12, m;
    memcpy(packed, "\x50\x2a\x4d\x18\4\0\0\0abcd", first);
    m = first + ZSTD_compress(packed + first, cap - first, data, 1000, 1);
    m += ZSTD_compress(packed + m, cap - m, data + 1000, 2000, 1);
    expect(CODEC_ZSTD, packed, m, data, 3000);
    free(packed);
    free(data);
    /* Says 2^60 bytes in one empty block: nothing of the kind is allocated */
    expect_corrupt(CODEC_ZSTD, "\x28\xb5\x2f\xfd\xe0\0\0\0\0\0\0\0\x10\1\0\0", 16);
}

struct fault_case {
    enum codec codec;
    int32_t level;
    bool inflate;
    struct buf packed;
    uint8_t *data;
    size_t n;
};

static void one_fault(void *arg)
{
    struct fault_case *f = arg;
    struct err e = {0};
    struct buf out;
    buf_init(&out, 4 * MIB);
    int rc = f->inflate ? codec_decompress(f->codec, f->packed.data, f->packed.len, &out, &e)
                        : codec_compress(f->codec, f->level, f->data, f->n, &out, &e);
    if (rc == ERR_OK) {
        assert_int_equal(out.len, f->inflate ? f->n : f->packed.len);
        assert_memory_equal(out.data, f->inflate ? f->data : f->packed.data, out.len);
    } else {
        assert_code(rc, ERR_NO_MEMORY, &e);
    }
    buf_free(&out);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    static const struct {
        enum codec codec;
        int32_t level;
    } cases[] = {{CODEC_NONE, 1}, {CODEC_GZIP, 1}, {CODEC_GZIP, 9}, {CODEC_SNAPPY, CODEC_LEVEL_DEFAULT},
                 {CODEC_LZ4, 9},  {CODEC_LZ4, 12}, {CODEC_ZSTD, 3}, {CODEC_ZSTD, 15}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = {0};
        struct fault_case f = {.codec = cases[i].codec, .level = cases[i].level, .n = 200000};
        f.data = make(TEXT, f.n);
        buf_init(&f.packed, 4 * MIB);
        assert_ok(codec_compress(f.codec, f.level, f.data, f.n, &f.packed, &e), &e);
        assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, one_fault, &f) > 0);
        f.inflate = true;
        assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, one_fault, &f) > 0);
        buf_free(&f.packed);
        free(f.data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips_of_every_size),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_cut_at_every_length),
        cmocka_unit_test(test_damage_stays_within_bounds),
        cmocka_unit_test(test_snappy_framings),
        cmocka_unit_test(test_lz4_frames),
        cmocka_unit_test(test_gzip_members),
        cmocka_unit_test(test_zstd_frames),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
