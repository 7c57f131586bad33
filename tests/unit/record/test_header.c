/*
 * The batch header: every field right and wrong, and what may be rewritten in place.
 */
#include "tests/unit/record/craft.h"

/* One record: key "k", value "v", no headers. */
#define RECORD_KV "10 00 00 00 02 6b 02 76 00"

static int decode(const struct craft *c, struct err *e)
{
    struct batch_header h;
    return batch_header_decode(c->bytes, c->n, &h, e);
}

static int validate(const struct craft *c, bool strict, struct err *e)
{
    struct batch_header h;
    struct buf scratch;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    int rc = batch_validate(c->bytes, c->n, strict, &scratch, &h, e);
    buf_free(&scratch);
    return rc;
}

static void test_fields_are_decoded(void **state)
{
    (void)state;
    struct craft c = {0};
    craft_hex(&c, "0102030405060708 00000031 0000000a 02 00000000 0058 00000004 0000018bcfe56800"
                  "0000018bcfe57ca0 1122334455667788 0102 0a0b0c0d 00000000");
    struct batch_header h;
    struct err e = {0};
    assert_ok(batch_header_decode(c.bytes, c.n, &h, &e), &e);
    assert_int_equal(h.base_offset, 0x0102030405060708);
    assert_int_equal(h.batch_length, 49);
    assert_int_equal(batch_size(&h), 61);
    assert_int_equal(h.leader_epoch, 10);
    assert_int_equal(h.attributes, BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_DELETE_HORIZON);
    assert_int_equal(batch_codec(&h), CODEC_NONE);
    assert_int_equal(h.last_offset_delta, 4);
    assert_int_equal(batch_last_offset(&h), 0x010203040506070c);
    assert_int_equal(h.base_timestamp, 1700000000000);
    assert_int_equal(h.max_timestamp, 1700000005280);
    assert_int_equal(h.producer_id, 0x1122334455667788);
    assert_int_equal(h.producer_epoch, 0x0102);
    assert_int_equal(h.base_sequence, 0x0a0b0c0d);
    assert_int_equal(h.record_count, 0);
    assert_code(batch_check(c.bytes, c.n, &h, &e), ERR_CORRUPT, &e);
}

/* All bytes and the CRC written out, so that nothing of ours has a part in what is expected. */
static void test_a_written_out_batch_is_valid(void **state)
{
    (void)state;
    struct craft c = {0};
    craft_hex(&c, "0000000000000000 0000003a 00000000 02 716a6189 0000 00000000 00000000000003e8"
                  "00000000000003e8 ffffffffffffffff ffff ffffffff 00000001" RECORD_KV);
    struct err e = {0};
    assert_ok(validate(&c, true, &e), &e);
}

static void test_each_header_field_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        size_t at, size;
        uint64_t value;
        int decoded, validated;
    } cases[] = {
        {"magic 0", 16, 1, 0, ERR_CORRUPT, ERR_INVALID_RECORD},
        {"magic 1", 16, 1, 1, ERR_CORRUPT, ERR_INVALID_RECORD},
        {"magic 3", 16, 1, 3, ERR_CORRUPT, ERR_CORRUPT},
        {"magic 255", 16, 1, 255, ERR_CORRUPT, ERR_CORRUPT},
        {"negative base offset", 0, 8, UINT64_MAX, ERR_CORRUPT, ERR_CORRUPT},
        {"offset overflow", 0, 8, INT64_MAX, ERR_OK, ERR_OK},
        {"length negative", 8, 4, 0xffffffff, ERR_CORRUPT, ERR_CORRUPT},
        {"length most negative", 8, 4, 0x80000000, ERR_CORRUPT, ERR_CORRUPT},
        {"length 0", 8, 4, 0, ERR_CORRUPT, ERR_CORRUPT},
        {"length 48", 8, 4, 48, ERR_CORRUPT, ERR_CORRUPT},
        {"length over the cap", 8, 4, BATCH_MAX_BYTES - BATCH_LENGTH_PREFIX + 1, ERR_CORRUPT, ERR_CORRUPT},
        {"length INT32_MAX", 8, 4, INT32_MAX, ERR_CORRUPT, ERR_CORRUPT},
        {"length at the cap", 8, 4, BATCH_MAX_BYTES - BATCH_LENGTH_PREFIX, ERR_OK, ERR_INVALID_RECORD},
        {"length one more than there", 8, 4, 59, ERR_OK, ERR_INVALID_RECORD},
        {"length one less", 8, 4, 57, ERR_OK, ERR_CORRUPT},
        {"crc", 17, 4, 0, ERR_OK, ERR_CORRUPT},
        {"codec 5", 21, 2, 5, ERR_CORRUPT, ERR_UNSUPPORTED_COMPRESSION},
        {"codec 6", 21, 2, 6, ERR_CORRUPT, ERR_UNSUPPORTED_COMPRESSION},
        {"codec 7", 21, 2, 7, ERR_CORRUPT, ERR_UNSUPPORTED_COMPRESSION},
        {"last offset delta -1", 23, 4, 0xffffffff, ERR_CORRUPT, ERR_CORRUPT},
        {"count -1", 57, 4, 0xffffffff, ERR_CORRUPT, ERR_INVALID_RECORD},
        {"count most negative", 57, 4, 0x80000000, ERR_CORRUPT, ERR_INVALID_RECORD},
        {"count above the offsets", 57, 4, 2, ERR_CORRUPT, ERR_INVALID_RECORD},
        {"count INT32_MAX", 57, 4, INT32_MAX, ERR_CORRUPT, ERR_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct craft c = craft_batch(0, 0, 1, RECORD_KV);
        struct err e = {0};
        for (size_t b = 0; b < cases[i].size; b++)
            c.bytes[cases[i].at + b] = (uint8_t)(cases[i].value >> 8 * (cases[i].size - 1 - b));
        int decoded = decode(&c, &e), validated = validate(&c, true, &e);
        if (decoded != cases[i].decoded || validated != cases[i].validated)
            fail_msg("%s: decoded %s, validated %s", cases[i].what, err_name(decoded), err_name(validated));
    }
}

static void test_offsets_past_the_end_of_numbers(void **state)
{
    (void)state;
    struct craft c = craft_batch(0, 1, 1, RECORD_KV);
    struct err e = {0};
    put_be64(c.bytes, INT64_MAX - 1);
    assert_ok(decode(&c, &e), &e);
    put_be64(c.bytes, INT64_MAX);
    assert_code(decode(&c, &e), ERR_CORRUPT, &e);
}

static void test_more_records_than_bytes(void **state)
{
    (void)state;
    struct err e = {0};
    struct craft c = craft_batch(0, 999, 2, RECORD_KV);
    assert_code(decode(&c, &e), ERR_CORRUPT, &e);
    assert_code(validate(&c, false, &e), ERR_INVALID_RECORD, &e);
}

/* Exact-size heap copies, so that the address sanitizer sees a byte read too far. */
static void test_truncated_at_every_length(void **state)
{
    (void)state;
    struct craft c = craft_batch(0, 0, 1, RECORD_KV);
    for (size_t n = 0; n < c.n; n++) {
        struct batch_header h;
        struct batch_iter it;
        struct err e = {0};
        uint8_t *part = malloc(n ? n : 1);
        memcpy(part, c.bytes, n);
        assert_code(batch_header_decode(part, n, &h, &e), n < BATCH_HEADER_SIZE ? ERR_TRUNCATED : ERR_OK, &e);
        assert_code(batch_check(part, n, &h, &e), ERR_TRUNCATED, &e);
        assert_code(batch_validate(part, n, true, NULL, &h, &e), ERR_INVALID_RECORD, &e);
        assert_code(batch_iter_init(&it, part, n, NULL, &e), ERR_TRUNCATED, &e);
        free(part);
    }
}

static void test_every_flipped_bit_is_found(void **state)
{
    (void)state;
    struct craft good = craft_batch(0, 0, 1, RECORD_KV);
    for (size_t bit = 8 * 8; bit < good.n * 8; bit++) {
        if (bit >= 12 * 8 && bit < 16 * 8)
            continue; /* base offset and leader epoch are outside the CRC */
        struct craft c = good;
        struct batch_header h;
        struct err e = {0};
        c.bytes[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
        assert_int_not_equal(batch_check(c.bytes, c.n, &h, &e), ERR_OK);
    }
}

static void test_assign_leaves_the_crc_right(void **state)
{
    (void)state;
    struct craft c = craft_batch(0, 0, 1, RECORD_KV);
    struct batch_header h;
    struct err e = {0};
    batch_assign(c.bytes, 0x1234567890, 7);
    assert_ok(batch_check(c.bytes, c.n, &h, &e), &e);
    assert_int_equal(h.base_offset, 0x1234567890);
    assert_int_equal(h.leader_epoch, 7);
}

static void test_log_append_time(void **state)
{
    (void)state;
    struct craft c = craft_batch(0, 0, 1, RECORD_KV);
    struct batch_iter it;
    struct record r;
    struct err e = {0};
    batch_set_log_append_time(c.bytes, 424242);
    assert_ok(batch_check(c.bytes, c.n, &it.header, &e), &e);
    assert_int_equal(it.header.attributes, BATCH_LOG_APPEND_TIME);
    assert_int_equal(it.header.base_timestamp, 1000);
    assert_ok(batch_iter_init(&it, c.bytes, c.n, NULL, &e), &e);
    assert_ok(batch_iter_next(&it, &r, &e), &e);
    assert_int_equal(r.timestamp, 424242);
    assert_ok(validate(&c, true, &e), &e);
}

static void test_what_only_a_new_batch_must_keep(void **state)
{
    (void)state;
    struct err e = {0};
    struct craft gap_at_end = craft_batch(0, 5, 1, RECORD_KV);
    assert_ok(validate(&gap_at_end, false, &e), &e);
    assert_code(validate(&gap_at_end, true, &e), ERR_INVALID_RECORD, &e);
    struct craft emptied = craft_batch(0, 5, 0, "");
    assert_ok(validate(&emptied, false, &e), &e);
    assert_code(validate(&emptied, true, &e), ERR_INVALID_RECORD, &e);
    struct craft no_sequence = craft_batch(0, 0, 1, RECORD_KV);
    put_be64(no_sequence.bytes + 43, 9);
    craft_seal(&no_sequence);
    assert_ok(validate(&no_sequence, false, &e), &e);
    assert_code(validate(&no_sequence, true, &e), ERR_INVALID_RECORD, &e);
    put_be32(no_sequence.bytes + 53, 0);
    craft_seal(&no_sequence);
    assert_ok(validate(&no_sequence, true, &e), &e);
    struct craft wrong_max = craft_batch(0, 0, 1, RECORD_KV);
    put_be64(wrong_max.bytes + 35, 1001);
    craft_seal(&wrong_max);
    assert_code(validate(&wrong_max, false, &e), ERR_INVALID_RECORD, &e);
    struct batch_header h;
    assert_ok(batch_validate(wrong_max.bytes, wrong_max.n, true, NULL, &h, &e),
              &e); /* a producer's is counted anew */
    assert_int_equal(h.max_timestamp, 1000);
    batch_set_max_timestamp(wrong_max.bytes, h.max_timestamp);
    assert_ok(validate(&wrong_max, false, &e), &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields_are_decoded),
        cmocka_unit_test(test_a_written_out_batch_is_valid),
        cmocka_unit_test(test_each_header_field_wrong),
        cmocka_unit_test(test_offsets_past_the_end_of_numbers),
        cmocka_unit_test(test_more_records_than_bytes),
        cmocka_unit_test(test_truncated_at_every_length),
        cmocka_unit_test(test_every_flipped_bit_is_found),
        cmocka_unit_test(test_assign_leaves_the_crc_right),
        cmocka_unit_test(test_log_append_time),
        cmocka_unit_test(test_what_only_a_new_batch_must_keep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
