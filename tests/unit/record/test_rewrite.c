/*
 * The rewriter: what is left of a batch keeps its place and its producer, reads back, and is what Kafka's cleaner writes.
 */
#include "tests/unit/record/craft.h"

#include <errno.h>

#define FIXTURE "tests/data/segments/compacted/compacted-0/00000000000000000000.log"

enum { RECORDS = 100 };

static uint8_t *build(enum codec codec, size_t *n)
{
    struct err e = {0};
    struct batch_builder *b =
        batch_builder_new(&(struct batch_options){.codec = codec, .level = CODEC_LEVEL_DEFAULT}, &e);
    assert_non_null(b);
    const struct record_header header = {"name", 4, (const uint8_t *)"header", 6};
    for (int i = 0; i < RECORDS; i++) {
        char key[32], value[64];
        snprintf(key, sizeof key, "key-%d", i);
        snprintf(value, sizeof value, "value value value %d", i);
        assert_ok(batch_builder_add(b, 1000 + (i * 37) % 500, key, strlen(key), i % 5 ? value : NULL,
                                    strlen(value), &header, i % 3 == 0, &e),
                  &e);
    }
    uint8_t *data;
    struct batch_producer p = {.id = 42, .epoch = 3, .base_sequence = 700, .transactional = true};
    assert_ok(batch_builder_finish(b, &p, &data, n, &e), &e);
    batch_assign(data, 5000, 9);
    uint8_t *copy = malloc(*n);
    memcpy(copy, data, *n);
    batch_builder_free(b);
    return copy;
}

static bool kept(int64_t offset)
{
    return offset % 7 == 3;
}

/* Every seventh record, by the rewriter; which is the caller's. */
static void rewrite(struct batch_rewriter *w, const uint8_t *batch, size_t n, int64_t horizon, uint8_t **out,
                    size_t *out_n)
{
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    int rc;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    assert_ok(batch_iter_init(&it, batch, n, &scratch, &e), &e);
    batch_rewriter_begin(w, &it.header, horizon);
    while ((rc = batch_iter_next(&it, &r, &e)) == ERR_OK)
        if (kept(r.offset))
            assert_ok(batch_rewriter_add(w, &r, &e), &e);
    assert_int_equal(rc, ERR_END);
    assert_ok(batch_rewriter_finish(w, out, out_n, &e), &e);
    buf_free(&scratch);
}

/* The records of `out` are those of `batch` that were kept. */
static void compare(const uint8_t *batch, size_t n, const uint8_t *out, size_t out_n)
{
    struct err e = {0};
    struct batch_iter a, b;
    struct record x, y;
    struct buf scratch_a, scratch_b;
    struct batch_header h;
    int rc;
    buf_init(&scratch_a, BATCH_MAX_INFLATED);
    buf_init(&scratch_b, BATCH_MAX_INFLATED);
    assert_ok(batch_validate(out, out_n, false, &scratch_b, &h, &e), &e);
    assert_ok(batch_iter_init(&a, batch, n, &scratch_a, &e), &e);
    assert_ok(batch_iter_init(&b, out, out_n, &scratch_b, &e), &e);
    while ((rc = batch_iter_next(&a, &x, &e)) == ERR_OK) {
        if (!kept(x.offset))
            continue;
        assert_ok(batch_iter_next(&b, &y, &e), &e);
        assert_int_equal(x.offset, y.offset);
        assert_int_equal(x.timestamp, y.timestamp);
        assert_int_equal(x.key_len, y.key_len);
        assert_memory_equal(x.key, y.key, (size_t)x.key_len);
        assert_int_equal(x.value_len, y.value_len);
        if (x.value_len > 0)
            assert_memory_equal(x.value, y.value, (size_t)x.value_len);
        assert_int_equal(x.header_count, y.header_count);
        assert_int_equal(slice_left(&x.headers), slice_left(&y.headers));
        assert_memory_equal(x.headers.p, y.headers.p, slice_left(&x.headers));
    }
    assert_int_equal(rc, ERR_END);
    assert_int_equal(batch_iter_next(&b, &y, &e), ERR_END);
    buf_free(&scratch_a);
    buf_free(&scratch_b);
}

static void test_what_is_left(void **state)
{
    (void)state;
    struct err e = {0};
    struct batch_rewriter *w = batch_rewriter_new(&e);
    assert_non_null(w);
    for (int round = 0; round < 3 * CODEC_COUNT; round++) {
        enum codec codec = (enum codec)(round % CODEC_COUNT);
        int64_t horizon = round < CODEC_COUNT ? -1 : 123456789;
        size_t n, out_n;
        uint8_t *batch = build(codec, &n), *out;
        struct batch_header before, h;
        if (round >= 2 * CODEC_COUNT)
            batch_set_log_append_time(batch, 2000);
        assert_ok(batch_check(batch, n, &before, &e), &e);
        rewrite(w, batch, n, horizon, &out, &out_n);
        assert_ok(batch_check(out, out_n, &h, &e), &e);
        assert_int_equal(h.base_offset, 5000);
        assert_int_equal(h.last_offset_delta, RECORDS - 1);
        assert_int_equal(h.leader_epoch, 9);
        assert_int_equal(h.producer_id, 42);
        assert_int_equal(h.producer_epoch, 3);
        assert_int_equal(h.base_sequence, 700);
        assert_int_equal(batch_codec(&h), codec);
        assert_int_equal(h.attributes, before.attributes | (horizon >= 0 ? BATCH_DELETE_HORIZON : 0));
        if (horizon >= 0)
            assert_int_equal(h.base_timestamp, horizon);
        compare(batch, n, out, out_n);
        free(batch);
    }
    batch_rewriter_free(w);
}

static void test_nothing_is_left(void **state)
{
    (void)state;
    struct err e = {0};
    size_t n, out_n;
    uint8_t *batch = build(CODEC_ZSTD, &n), *out;
    struct batch_header before, h;
    struct batch_rewriter *w = batch_rewriter_new(&e);
    assert_ok(batch_check(batch, n, &before, &e), &e);
    batch_rewriter_begin(w, &before, 77);
    assert_ok(batch_rewriter_finish(w, &out, &out_n, &e), &e);
    assert_int_equal(out_n, BATCH_HEADER_SIZE);
    assert_ok(batch_check(out, out_n, &h, &e), &e);
    assert_int_equal(h.record_count, 0);
    assert_int_equal(batch_last_offset(&h), 5000 + RECORDS - 1);
    assert_int_equal(h.base_sequence, 700);
    assert_int_equal(h.max_timestamp, before.max_timestamp);
    assert_int_equal(h.base_timestamp, -1);
    assert_int_equal(h.attributes, BATCH_TRANSACTIONAL);
    batch_rewriter_free(w);
    free(batch);
}

/* Kafka's own cleaned batches come out byte for byte, those with a delete horizon too. */
static void test_kafkas_bytes(void **state)
{
    (void)state;
    struct err e = {0};
    FILE *f = fopen(FIXTURE, "rb");
    if (!f)
        fail_msg("no %s: run from the top of the repository", FIXTURE);
    uint8_t data[1024];
    size_t n = fread(data, 1, sizeof data, f);
    int horizons = 0, batches = 0;
    fclose(f);
    struct batch_rewriter *w = batch_rewriter_new(&e);
    for (size_t at = 0; at < n; batches++) {
        struct batch_iter it;
        struct record r;
        uint8_t *out;
        size_t out_n;
        assert_ok(batch_iter_init(&it, data + at, n - at, NULL, &e), &e);
        bool horizon = it.header.attributes & BATCH_DELETE_HORIZON;
        batch_rewriter_begin(w, &it.header, horizon ? it.header.base_timestamp : -1);
        while (batch_iter_next(&it, &r, &e) == ERR_OK)
            assert_ok(batch_rewriter_add(w, &r, &e), &e);
        assert_ok(batch_rewriter_finish(w, &out, &out_n, &e), &e);
        assert_int_equal(out_n, batch_size(&it.header));
        assert_memory_equal(out, data + at, out_n);
        at += out_n;
        horizons += horizon;
    }
    assert_int_equal(batches, 2);
    assert_int_equal(horizons, 1);
    batch_rewriter_free(w);
}

struct fault_case {
    const uint8_t *batch;
    size_t n;
};

/* Either the whole batch comes out or an error; what failed may be tried again. */
static void one_fault(void *arg)
{
    const struct fault_case *f = arg;
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    uint8_t *out;
    size_t out_n;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    struct batch_rewriter *w = batch_rewriter_new(&e);
    int rc = w ? batch_iter_init(&it, f->batch, f->n, &scratch, &e) : e.code;
    if (rc == ERR_OK)
        batch_rewriter_begin(w, &it.header, -1);
    while (rc == ERR_OK && (rc = batch_iter_next(&it, &r, &e)) == ERR_OK)
        if (kept(r.offset))
            rc = batch_rewriter_add(w, &r, &e);
    if (rc == ERR_END && (rc = batch_rewriter_finish(w, &out, &out_n, &e)) == ERR_NO_MEMORY)
        rc = batch_rewriter_finish(w, &out, &out_n, &e);
    fault_disarm();
    if (rc == ERR_OK)
        compare(f->batch, f->n, out, out_n);
    else
        assert_int_equal(rc, ERR_NO_MEMORY);
    batch_rewriter_free(w);
    buf_free(&scratch);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (int c = 0; c < CODEC_COUNT; c++) {
        struct fault_case f;
        uint8_t *batch = build((enum codec)c, &f.n);
        f.batch = batch;
        assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, one_fault, &f) > 1);
        free(batch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_left),
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_kafkas_bytes),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
