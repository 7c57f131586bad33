/*
 * The builder: exact bytes, limits, reuse, and that whatever it builds a broker accepts and a reader reads
 * back.
 */
#include "tests/unit/record/craft.h"

#include <errno.h>

static const struct batch_producer no_producer = BATCH_NO_PRODUCER;

static struct batch_builder *new_builder(enum codec codec, size_t max_bytes)
{
    struct err e = {0};
    struct batch_builder *b = batch_builder_new(
        &(struct batch_options){.codec = codec, .level = CODEC_LEVEL_DEFAULT, .max_bytes = max_bytes}, &e);
    if (!b)
        fail_msg("%s", e.text);
    return b;
}

static void add(struct batch_builder *b, int64_t timestamp, const char *key, const char *value)
{
    struct err e = {0};
    assert_ok(batch_builder_add(b, timestamp, key, key ? strlen(key) : 0, value, value ? strlen(value) : 0,
                                NULL, 0, &e),
              &e);
}

static void test_bytes(void **state)
{
    (void)state;
    struct err e = {0};
    struct batch_builder *b = new_builder(CODEC_NONE, 0);
    const struct record_header headers[] = {
        {"h", 1, (const uint8_t *)"x", 1}, {NULL, 0, NULL, -1}, {"e", 1, (const uint8_t *)"", 0}};
    uint8_t *data;
    size_t n;
    assert_int_equal(batch_builder_bytes(b), BATCH_HEADER_SIZE);
    add(b, 1500, "ke", "v");
    assert_ok(batch_builder_add(b, 1000, NULL, 99, "", 0, headers, 3, &e), &e);
    add(b, 1000, "", NULL);
    assert_int_equal(batch_builder_count(b), 3);
    size_t announced = batch_builder_bytes(b);
    assert_ok(batch_builder_finish(b, &(struct batch_producer){0x1122334455667788, 0x0102, 0x0a0b0c0d, true},
                                   &data, &n, &e),
              &e);
    assert_int_equal(n, announced);
    assert_int_equal(batch_builder_count(b), 0);
    struct craft c = {0};
    craft_hex(&c, "0000000000000000 00000000 00000000 02 00000000 0010 00000002 00000000000005dc"
                  "00000000000005dc 1122334455667788 0102 0a0b0c0d 00000003"
                  "12 00 00 00 04 6b65 02 76 00"
                  "20 00 e707 02 01 00 06 02 68 02 78 00 01 02 65 00"
                  "0e 00 e707 04 00 01 00");
    craft_seal(&c);
    assert_int_equal(n, c.n);
    assert_memory_equal(data, c.bytes, n);
    batch_builder_free(b);
}

static void test_options(void **state)
{
    (void)state;
    struct err e = {0};
    assert_null(batch_builder_new(&(struct batch_options){.max_bytes = BATCH_HEADER_SIZE}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(batch_builder_new(&(struct batch_options){.max_bytes = (size_t)BATCH_MAX_BYTES + 1}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    assert_null(batch_builder_new(&(struct batch_options){.codec = (enum codec)5}, &e));
    assert_int_equal(e.code, ERR_UNSUPPORTED_COMPRESSION);
    assert_null(batch_builder_new(&(struct batch_options){.codec = CODEC_GZIP, .level = 77}, &e));
    assert_int_equal(e.code, ERR_INVALID);
    batch_builder_free(NULL);
}

/* A record of exactly what is left goes in, one byte more does not, and that leaves the batch as it was. */
static void test_limit_is_exact(void **state)
{
    (void)state;
    char value[1024];
    memset(value, 'x', sizeof value);
    for (size_t max = 70; max < 900; max++) {
        struct err e = {0};
        struct batch_builder *b = new_builder(CODEC_NONE, max);
        struct batch_header h;
        uint8_t *data;
        size_t n, most = 0;
        while (batch_builder_add(b, 0, NULL, 0, value, most, NULL, 0, &e) == ERR_OK) {
            assert_true(batch_builder_bytes(b) <= max);
            batch_builder_reset(b);
            most++;
        }
        assert_int_equal(e.code, ERR_TOO_LARGE);
        assert_non_null(strstr(e.text, "never"));
        assert_ok(batch_builder_add(b, 0, NULL, 0, value, most - 1, NULL, 0, &e), &e);
        assert_true(batch_builder_bytes(b) + 2 > max); /* a length may need one byte more */
        size_t before = batch_builder_bytes(b);
        assert_code(batch_builder_add(b, 0, NULL, 0, NULL, 0, NULL, 0, &e), ERR_TOO_LARGE, &e);
        assert_null(strstr(e.text, "never"));
        assert_int_equal(batch_builder_bytes(b), before);
        assert_int_equal(batch_builder_count(b), 1);
        assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
        assert_ok(batch_validate(data, n, true, NULL, &h, &e), &e);
        assert_int_equal(n, before);
        batch_builder_free(b);
    }
}

static void test_what_can_not_be_encoded(void **state)
{
    (void)state;
    struct err e = {0};
    struct batch_builder *b = new_builder(CODEC_NONE, 0);
    const uint8_t *x = (const uint8_t *)"x";
    const struct record_header bad_key = {"k", -1, NULL, -1}, bad_value = {"k", 1, x, -1},
                               huge = {"k", INT32_MAX, x, INT32_MAX};
    const struct record_header two_huge[] = {huge, huge};
    uint8_t *data;
    size_t n;
    assert_code(batch_builder_add(b, 0, "k", SIZE_MAX, "v", 1, NULL, 0, &e), ERR_TOO_LARGE, &e);
    assert_code(batch_builder_add(b, 0, "k", 1, "v", SIZE_MAX, NULL, 0, &e), ERR_TOO_LARGE, &e);
    assert_code(batch_builder_add(b, 0, "k", SIZE_MAX / 2, "v", SIZE_MAX / 2, NULL, 0, &e), ERR_TOO_LARGE,
                &e);
    assert_code(batch_builder_add(b, 0, "k", 1, "v", 1, &bad_key, 1, &e), ERR_INVALID, &e);
    assert_code(batch_builder_add(b, 0, "k", 1, "v", 1, &bad_value, 1, &e), ERR_INVALID, &e);
    assert_code(batch_builder_add(b, 0, "k", 1, "v", 1, NULL, -1, &e), ERR_INVALID, &e);
    assert_code(batch_builder_add(b, 0, "k", 1, "v", 1, two_huge, 2, &e), ERR_TOO_LARGE, &e);
    assert_code(batch_builder_finish(b, &no_producer, &data, &n, &e), ERR_INVALID, &e);
    add(b, -1, "k", "v");
    assert_code(batch_builder_add(b, INT64_MAX, "k", 1, "v", 1, NULL, 0, &e), ERR_INVALID_TIMESTAMP, &e);
    assert_int_equal(batch_builder_count(b), 1);
    add(b, INT64_MAX - 1, "k", "v");
    assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
    struct batch_header h;
    assert_ok(batch_validate(data, n, true, NULL, &h, &e), &e);
    assert_int_equal(h.max_timestamp, INT64_MAX - 1);
    batch_builder_free(b);
}

static void test_noise_is_stored_as_it_is(void **state)
{
    (void)state;
    struct err e = {0};
    uint8_t noise[3000];
    uint64_t x = 1;
    for (size_t i = 0; i < sizeof noise; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        noise[i] = (uint8_t)(x >> 56);
    }
    for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
        struct batch_builder *b = new_builder((enum codec)c, 0);
        struct batch_header h;
        uint8_t *data;
        size_t n;
        assert_ok(batch_builder_add(b, 0, NULL, 0, noise, sizeof noise, NULL, 0, &e), &e);
        size_t plain = batch_builder_bytes(b);
        assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
        assert_int_equal(n, plain);
        assert_ok(batch_validate(data, n, true, NULL, &h, &e), &e);
        assert_int_equal(batch_codec(&h), CODEC_NONE);
        batch_builder_free(b);
    }
}

/* A small generator, so that the same records can be made again for comparing. */
struct draw {
    uint64_t x;
};

static uint32_t draw_next(struct draw *d, uint32_t below)
{
    d->x = d->x * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(d->x >> 33) % below;
}

struct drawn {
    int64_t timestamp;
    uint8_t bytes[6][300]; /* key, value, then of two headers each key and value */
    int32_t length[6];     /* -1: null */
    int32_t header_count;
    struct record_header headers[2];
};

static void draw_record(struct draw *d, struct drawn *r)
{
    r->timestamp = 1700000000000 + draw_next(d, 3) * 1000000000LL - draw_next(d, 1000);
    r->header_count = (int32_t)draw_next(d, 3);
    for (int i = 0; i < 6; i++) {
        bool may_be_null = i != 2 && i != 4;
        r->length[i] = draw_next(d, 4) == 0 && may_be_null ? -1 : (int32_t)draw_next(d, i < 2 ? 300 : 20);
        for (int32_t at = 0; at < r->length[i]; at++)
            r->bytes[i][at] = (uint8_t)('a' + draw_next(d, 4));
    }
    for (int i = 0; i < 2; i++)
        r->headers[i] = (struct record_header){(char *)r->bytes[2 + 2 * i], r->length[2 + 2 * i],
                                               r->length[3 + 2 * i] < 0 ? NULL : r->bytes[3 + 2 * i],
                                               r->length[3 + 2 * i]};
}

static void assert_same(const uint8_t *a, int32_t an, const uint8_t *b, int32_t bn)
{
    assert_int_equal(an, bn);
    assert_int_equal(a == NULL, bn < 0);
    if (bn > 0)
        assert_memory_equal(a, b, (size_t)bn);
}

static void compare(const struct record *got, const struct drawn *want)
{
    struct err e = {0};
    struct slice left = got->headers;
    struct record_header h;
    assert_int_equal(got->timestamp, want->timestamp);
    assert_same(got->key, got->key_len, want->bytes[0], want->length[0]);
    assert_same(got->value, got->value_len, want->bytes[1], want->length[1]);
    assert_int_equal(got->header_count, want->header_count);
    for (int i = 0; i < want->header_count; i++) {
        assert_ok(record_next_header(&left, &h, &e), &e);
        assert_same((const uint8_t *)h.key, h.key_len, want->bytes[2 + 2 * i], want->length[2 + 2 * i]);
        assert_same(h.value, h.value_len, want->bytes[3 + 2 * i], want->length[3 + 2 * i]);
    }
}

/* Adds drawn records until the batch is full or has `count`; how many went in. */
static int32_t fill(struct batch_builder *b, struct draw d, int32_t count, struct err *e)
{
    struct drawn r;
    for (int32_t i = 0; i < count; i++) {
        draw_record(&d, &r);
        int rc = batch_builder_add(b, r.timestamp, r.length[0] < 0 ? NULL : r.bytes[0], (size_t)r.length[0],
                                   r.length[1] < 0 ? NULL : r.bytes[1], (size_t)r.length[1], r.headers,
                                   r.header_count, e);
        if (rc != ERR_OK)
            return i;
    }
    return count;
}

static void read_back(const uint8_t *data, size_t n, struct draw d, int32_t count, struct buf *scratch)
{
    struct err e = {0};
    struct batch_iter it;
    struct record got;
    struct drawn want;
    struct batch_header h;
    assert_ok(batch_validate(data, n, true, scratch, &h, &e), &e);
    assert_ok(batch_iter_init(&it, data, n, scratch, &e), &e);
    assert_int_equal(it.header.record_count, count);
    for (int32_t i = 0; i < count; i++) {
        draw_record(&d, &want);
        assert_ok(batch_iter_next(&it, &got, &e), &e);
        assert_int_equal(got.offset, i);
        compare(&got, &want);
    }
    assert_code(batch_iter_next(&it, &got, &e), ERR_END, &e);
}

static void test_round_trips_in_a_reused_builder(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct batch_builder *b = new_builder((enum codec)c, 300000);
        for (uint64_t round = 1; round <= 40; round++) {
            struct err e = {0};
            struct draw d = {round * 77};
            uint8_t *data;
            size_t n;
            int32_t count = fill(b, d, round % 8 == 0 ? INT32_MAX : (int32_t)(round * round), &e);
            size_t plain = batch_builder_bytes(b);
            assert_int_equal(batch_builder_count(b), count);
            assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
            assert_true(n <= plain && plain <= 300000);
            if (c != CODEC_NONE && count > 10)
                assert_true(n < plain * 3 / 4);
            uint8_t *copy = malloc(n); /* of exactly the size, for the address sanitizer */
            memcpy(copy, data, n);
            read_back(copy, n, d, count, &scratch);
            free(copy);
        }
        batch_builder_free(b);
    }
    buf_free(&scratch);
}

static void test_many_records(void **state)
{
    (void)state;
    struct err e = {0};
    struct batch_builder *b = new_builder(CODEC_NONE, 0);
    uint8_t *data;
    size_t n;
    struct batch_header h;
    while (batch_builder_add(b, 5, NULL, 0, NULL, 0, NULL, 0, &e) == ERR_OK)
        continue;
    assert_int_equal(e.code, ERR_TOO_LARGE);
    int32_t count = batch_builder_count(b);
    assert_true(count > 110000);
    assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
    assert_ok(batch_validate(data, n, true, NULL, &h, &e), &e);
    assert_int_equal(h.record_count, count);
    assert_int_equal(h.last_offset_delta, count - 1);
    batch_builder_free(b);
}

/* A compressed batch that inflates past the reader's cap is refused, not inflated. */
static void test_bomb_in_a_batch(void **state)
{
    (void)state;
    const size_t size = 10u << 20;
    char *zeros = calloc(1, size);
    for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
        struct err e = {0};
        struct batch_builder *b = new_builder((enum codec)c, 2 * size);
        struct buf scratch;
        struct batch_iter it;
        struct batch_header h;
        uint8_t *data;
        size_t n;
        assert_ok(batch_builder_add(b, 0, NULL, 0, zeros, size, NULL, 0, &e), &e);
        assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
        buf_init(&scratch, size);
        assert_code(batch_iter_init(&it, data, n, &scratch, &e), ERR_TOO_LARGE, &e);
        assert_code(batch_validate(data, n, true, &scratch, &h, &e), ERR_TOO_LARGE, &e);
        assert_true(scratch.cap <= size);
        buf_free(&scratch);
        batch_builder_free(b);
    }
    free(zeros);
}

/* Damage behind a right CRC: an error, or records within bounds. */
static void test_damaged_compressed_batches(void **state)
{
    (void)state;
    struct buf scratch;
    buf_init(&scratch, 1u << 20);
    for (int c = CODEC_GZIP; c < CODEC_COUNT; c++) {
        struct err e = {0};
        struct batch_builder *b = new_builder((enum codec)c, 0);
        uint8_t *data;
        size_t n;
        assert_int_equal(fill(b, (struct draw){5}, 12, &e), 12);
        assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
        for (size_t bit = BATCH_HEADER_SIZE * 8; bit < n * 8; bit++) {
            struct batch_header h;
            uint8_t *copy = malloc(n);
            memcpy(copy, data, n);
            copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
            put_be32(copy + 17, crc32c(0, copy + 21, n - 21));
            int rc = batch_validate(copy, n, true, &scratch, &h, &e);
            assert_true(rc == ERR_OK || rc == ERR_INVALID_RECORD || rc == ERR_UNSUPPORTED_COMPRESSION ||
                        rc == ERR_TOO_LARGE);
            free(copy);
        }
        batch_builder_free(b);
    }
    buf_free(&scratch);
}

struct fault_case {
    enum codec codec;
};

static void one_fault(void *arg)
{
    struct fault_case *f = arg;
    struct err e = {0};
    struct draw d = {99};
    struct batch_builder *b = batch_builder_new(
        &(struct batch_options){.codec = f->codec, .level = CODEC_LEVEL_DEFAULT, .max_bytes = 200000}, &e);
    if (!b) {
        assert_int_equal(e.code, ERR_NO_MEMORY);
        return;
    }
    struct buf scratch, marker;
    struct batch_iter it;
    uint8_t *data;
    size_t n;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    buf_init(&marker, 1000);
    int32_t count = fill(b, d, 500, &e);
    assert_true(count > 0); /* the first ones need no memory of their own */
    assert_int_equal(batch_builder_count(b), count);
    if (count < 500)
        assert_int_equal(e.code, ERR_NO_MEMORY);
    int rc = batch_builder_finish(b, &no_producer, &data, &n, &e);
    if (rc != ERR_OK) {
        assert_code(rc, ERR_NO_MEMORY, &e);
        assert_int_equal(batch_builder_count(b), count); /* nothing is lost: with memory back, it goes on */
        assert_ok(batch_builder_finish(b, &no_producer, &data, &n, &e), &e);
    }
    rc = batch_iter_init(&it, data, n, &scratch, &e);
    assert_true(rc == ERR_OK || rc == ERR_NO_MEMORY);
    rc = marker_build(&marker, 1, 1, true, 1, 1, &e);
    assert_true(rc == ERR_OK ? marker.len == 78 : rc == ERR_NO_MEMORY && marker.len == 0);
    fault_disarm();
    read_back(data, n, d, count, &scratch);
    buf_free(&marker);
    buf_free(&scratch);
    batch_builder_free(b);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct fault_case f = {.codec = (enum codec)c};
        assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, one_fault, &f) > 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_what_can_not_be_encoded),
        cmocka_unit_test(test_noise_is_stored_as_it_is),
        cmocka_unit_test(test_round_trips_in_a_reused_builder),
        cmocka_unit_test(test_many_records),
        cmocka_unit_test(test_bomb_in_a_batch),
        cmocka_unit_test(test_damaged_compressed_batches),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
