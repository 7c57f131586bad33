/*
 * Records inside a batch: hand-made ones, and each way in which one can be malformed behind a CRC that is
 * right.
 */
#include "tests/unit/record/craft.h"

/* Walks the batch to its end or error; the count of records before that in *seen. */
static int walk(const struct craft *c, int *seen, struct err *e)
{
    struct batch_iter it;
    struct record r;
    /* An exact heap copy lets the address sanitizer see reads past the end. */
    uint8_t *copy = malloc(c->n);
    memcpy(copy, c->bytes, c->n);
    *seen = 0;
    int rc = batch_iter_init(&it, copy, c->n, NULL, e);
    while (rc == ERR_OK && (rc = batch_iter_next(&it, &r, e)) == ERR_OK)
        ++*seen;
    free(copy);
    return rc;
}

static int validate(const struct craft *c, bool strict, struct err *e)
{
    struct batch_header h;
    return batch_validate(c->bytes, c->n, strict, NULL, &h, e);
}

static void test_fields(void **state)
{
    (void)state;
    /* Length 16 | attributes | timestamp +500 | offset +0 | key "ke" | value "v" | 2 headers: "h"="x",
     * ""=null */
    struct craft c = craft_batch(0, 4, 2,
                                 "20 00 e807 00 04 6b65 02 76 04 02 68 02 78 00 01"
                                 /* all null, timestamp -1000, offset +4 */
                                 "0e 00 cf0f 08 01 01 00");
    struct batch_iter it;
    struct record r;
    struct record_header h;
    struct err e = {0};
    assert_ok(batch_iter_init(&it, c.bytes, c.n, NULL, &e), &e);
    assert_ok(batch_iter_next(&it, &r, &e), &e);
    assert_int_equal(r.offset, 100);
    assert_int_equal(r.timestamp, 1500);
    assert_int_equal(r.key_len, 2);
    assert_memory_equal(r.key, "ke", 2);
    assert_int_equal(r.value_len, 1);
    assert_memory_equal(r.value, "v", 1);
    assert_int_equal(r.header_count, 2);
    assert_ok(record_next_header(&r.headers, &h, &e), &e);
    assert_int_equal(h.key_len, 1);
    assert_memory_equal(h.key, "h", 1);
    assert_int_equal(h.value_len, 1);
    assert_memory_equal(h.value, "x", 1);
    assert_ok(record_next_header(&r.headers, &h, &e), &e);
    assert_int_equal(h.key_len, 0);
    assert_non_null(h.key);
    assert_int_equal(h.value_len, -1);
    assert_null(h.value);
    assert_code(record_next_header(&r.headers, &h, &e), ERR_END, &e);
    assert_ok(batch_iter_next(&it, &r, &e), &e);
    assert_int_equal(r.offset, 104);
    assert_int_equal(it.last_offset, 104);
    assert_int_equal(r.timestamp, 0);
    assert_null(r.key);
    assert_int_equal(r.key_len, -1);
    assert_null(r.value);
    assert_int_equal(r.value_len, -1);
    assert_int_equal(r.header_count, 0);
    assert_code(batch_iter_next(&it, &r, &e), ERR_END, &e);
    assert_code(batch_iter_next(&it, &r, &e), ERR_END, &e);
}

static void test_empty_is_not_null(void **state)
{
    (void)state;
    struct craft c = craft_batch(0, 0, 1, "0c 00 00 00 00 00 00");
    struct batch_iter it;
    struct record r;
    struct err e = {0};
    assert_ok(batch_iter_init(&it, c.bytes, c.n, NULL, &e), &e);
    assert_ok(batch_iter_next(&it, &r, &e), &e);
    assert_non_null(r.key);
    assert_int_equal(r.key_len, 0);
    assert_non_null(r.value);
    assert_int_equal(r.value_len, 0);
}

/* Payload that inflates to nothing: fine without records, an error with some. */
static void test_nothing_compressed(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf scratch;
    struct batch_header h;
    struct batch_iter it;
    struct record r;
    buf_init(&scratch, 1000);
    for (int32_t count = 0; count <= 1; count++) {
        struct craft c = craft_batch(CODEC_SNAPPY, 0, count, "00");
        assert_ok(batch_iter_init(&it, c.bytes, c.n, &scratch, &e), &e);
        assert_code(batch_iter_next(&it, &r, &e), count ? ERR_CORRUPT : ERR_END, &e);
        assert_code(batch_validate(c.bytes, c.n, false, &scratch, &h, &e),
                    count ? ERR_INVALID_RECORD : ERR_OK, &e);
    }
    struct craft emptied = craft_batch(CODEC_ZSTD, 7, 0, "");
    assert_ok(batch_validate(emptied.bytes, emptied.n, false, NULL, &h, &e), &e);
    buf_free(&scratch);
}

static void test_malformed_records(void **state)
{
    (void)state;
    static const struct {
        const char *what, *payload, *why;
    } cases[] = {
        {"length 0", "00 00 00 00 01 01 00", "length"},
        {"length -1", "01 00 00 00 01 01 00", "length"},
        {"length 5", "0a 00 00 00 01 01 00", "length"},
        {"length beyond the batch", "0e 00 00 00 01 01 00", "length"},
        {"length INT64_MAX", "feffffffffffffffff01 00 00 00 01 01 00", "length"},
        {"length INT64_MIN", "ffffffffffffffffff01 00 00 00 01 01 00", "length"},
        {"length varint of 65 bits", "ffffffffffffffffff02 00 00 00 01 01 00", "length"},
        {"length varint of eleven bytes", "8080808080808080808000 00 00 00 01 01 00", "length"},
        {"length varint without end", "80808080808080", "length"},
        {"timestamp varint without end", "0c 00 80 80 80 80 80", "timestamp"},
        {"timestamp overflow", "1e 00 feffffffffffffffff01 00 01 01 00", "timestamp"},
        {"offset delta -1", "0c 00 00 01 01 01 00", "offset delta"},
        {"offset delta past the last", "0c 00 00 02 01 01 00", "offset delta"},
        {"offset varint without end", "0c 00 00 80 80 80 80", "offset delta"},
        {"offset delta of 33 bits", "14 00 00 8080808020 01 01 00", "offset delta"},
        {"key length -2", "0c 00 00 00 03 01 00", "key length"},
        {"key length beyond the record", "0c 00 00 00 06 01 00", "key length"},
        {"key length INT32_MAX", "14 00 00 00 feffffff0f 01 00", "key length"},
        {"key length INT64_MAX", "1e 00 00 00 feffffffffffffffff01 01 00", "key length"},
        {"key varint without end", "0c 00 00 00 80 80 80", "key length"},
        {"value length -2", "0c 00 00 00 01 03 00", "value length"},
        {"value length beyond the record", "0c 00 00 00 01 04 00", "value length"},
        {"value takes the header count", "0c 00 00 00 01 02 00", "header count"},
        {"value varint without end", "0c 00 00 00 01 80 80", "value length"},
        {"header count -1", "0c 00 00 00 01 01 01", "header count"},
        {"header count without headers", "0c 00 00 00 01 01 02", "header count"},
        {"header count above what fits", "10 00 00 00 01 01 04 00 01", "header count"},
        {"header count INT32_MAX", "18 00 00 00 01 01 feffffff0f 00 01", "header count"},
        {"header varint without end", "0c 00 00 00 01 01 80", "header count"},
        {"bytes after no headers", "0e 00 00 00 01 01 00 00", "header count"},
        {"a record too many", "0c 00 00 00 01 01 00 0c 00 00 00 01 01 00", "after the last record"},
        {"a byte too many", "0c 00 00 00 01 01 00 00", "after the last record"},
        {"no record", "", "1 records in 0 bytes"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct craft c = craft_batch(0, 0, 1, cases[i].payload);
        struct err e = {0};
        int seen, rc = walk(&c, &seen, &e);
        if (rc != ERR_CORRUPT || !strstr(e.text, cases[i].why))
            fail_msg("%s: %s after %d records: %s", cases[i].what, err_name(rc), seen, e.text);
        rc = validate(&c, false, &e);
        if (rc != ERR_INVALID_RECORD)
            fail_msg("%s: validated as %s", cases[i].what, err_name(rc));
    }
}

static void test_offsets_must_rise(void **state)
{
    (void)state;
    struct err e = {0};
    int seen;
    struct craft same = craft_batch(0, 3, 2, "0c 00 00 02 01 01 00 0c 00 00 02 01 01 00");
    assert_code(walk(&same, &seen, &e), ERR_CORRUPT, &e);
    assert_int_equal(seen, 1);
    struct craft falling = craft_batch(0, 3, 2, "0c 00 00 04 01 01 00 0c 00 00 02 01 01 00");
    assert_code(walk(&falling, &seen, &e), ERR_CORRUPT, &e);
    struct craft gaps = craft_batch(0, 3, 2, "0c 00 00 02 01 01 00 0c 00 00 06 01 01 00");
    assert_code(walk(&gaps, &seen, &e), ERR_END, &e);
    assert_ok(validate(&gaps, false, &e), &e);
    assert_code(validate(&gaps, true, &e), ERR_INVALID_RECORD, &e);
    struct craft dense = craft_batch(0, 1, 2, "0c 00 00 00 01 01 00 0c 00 00 02 01 01 00");
    assert_ok(validate(&dense, true, &e), &e);
}

/* What the iterator leaves to the reader of the headers, a validating broker has to find. */
static void test_malformed_headers(void **state)
{
    (void)state;
    static const struct {
        const char *what, *payload;
        int rc;
    } cases[] = {
        {"one good header", "10 00 00 00 01 01 02 00 01", ERR_OK},
        {"null key", "10 00 00 00 01 01 02 01 01", ERR_INVALID_RECORD},
        {"key length -2", "10 00 00 00 01 01 02 03 01", ERR_INVALID_RECORD},
        {"key beyond the end", "10 00 00 00 01 01 02 04 01", ERR_INVALID_RECORD},
        {"no value", "10 00 00 00 01 01 02 02 61", ERR_INVALID_RECORD},
        {"value length -2", "10 00 00 00 01 01 02 00 03", ERR_INVALID_RECORD},
        {"value beyond the end", "10 00 00 00 01 01 02 00 02", ERR_INVALID_RECORD},
        {"one more than announced", "14 00 00 00 01 01 02 00 01 00 01", ERR_INVALID_RECORD},
        {"one fewer than announced", "14 00 00 00 01 01 04 02 61 02 62", ERR_INVALID_RECORD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct craft c = craft_batch(0, 0, 1, cases[i].payload);
        struct err e = {0};
        int rc = validate(&c, true, &e);
        if (rc != cases[i].rc)
            fail_msg("%s: %s: %s", cases[i].what, err_name(rc), e.text);
    }
}

/* Every byte of a batch replaced by every value, with the CRC made right: an error or not, but within bounds.
 */
static void test_every_byte_wrong_behind_a_right_crc(void **state)
{
    (void)state;
    struct craft good = craft_batch(0, 1, 2,
                                    "20 00 e807 00 04 6b65 02 76 04 02 68 02 78 00 01"
                                    "0e 00 cf0f 02 01 01 00");
    for (size_t at = BATCH_HEADER_SIZE; at < good.n; at++)
        for (int value = 0; value < 256; value++) {
            struct craft c = good;
            struct err e = {0};
            int seen;
            c.bytes[at] = (uint8_t)value;
            craft_seal(&c);
            int rc = walk(&c, &seen, &e);
            assert_true(rc == ERR_END || rc == ERR_CORRUPT);
            rc = validate(&c, true, &e);
            assert_true(rc == ERR_OK || rc == ERR_INVALID_RECORD);
        }
}

static void test_markers(void **state)
{
    (void)state;
    struct err e = {0};
    struct buf out;
    int16_t type;
    int32_t epoch;
    buf_init(&out, 1024);
    for (int commit = 0; commit <= 1; commit++) {
        struct batch_header h;
        buf_reset(&out);
        assert_ok(marker_build(&out, 77, 3, commit, 12, 5000, &e), &e);
        assert_ok(batch_validate(out.data, out.len, true, NULL, &h, &e), &e);
        assert_int_equal(h.producer_id, 77);
        assert_int_equal(h.producer_epoch, 3);
        assert_int_equal(h.base_sequence, -1);
        assert_int_equal(h.max_timestamp, 5000);
        assert_int_equal(h.attributes, BATCH_TRANSACTIONAL | BATCH_CONTROL);
        assert_ok(marker_decode(out.data, out.len, &type, &epoch, &e), &e);
        assert_int_equal(type, commit ? MARKER_COMMIT : MARKER_ABORT);
        assert_int_equal(epoch, 12);
    }
    /* Appended behind what is there, and not at all without room. */
    size_t one = out.len;
    assert_ok(marker_build(&out, 78, 0, true, 0, 1, &e), &e);
    assert_int_equal(out.len, 2 * one);
    assert_ok(marker_decode(out.data + one, one, &type, &epoch, &e), &e);
    out.max = out.len + 10;
    out.cap = out.len;
    assert_code(marker_build(&out, 78, 0, true, 0, 1, &e), ERR_TOO_LARGE, &e);
    assert_int_equal(out.len, 2 * one);
    buf_free(&out);
}

static void test_control_batches_of_others(void **state)
{
    (void)state;
    struct err e = {0};
    int16_t type;
    int32_t epoch;
    static const struct {
        const char *what, *payload;
        int rc;
    } cases[] = {
        {"KRaft's leader change", "14 00 00 00 08 0000 0002 01 00", ERR_OK},
        {"a later version", "22 00 00 00 08 0001 0001 0e 0002 00000005 ff 00", ERR_OK},
        {"short key", "12 00 00 00 06 000000 01 00", ERR_CORRUPT},
        {"null key", "0c 00 00 00 01 01 00", ERR_CORRUPT},
        {"negative key version", "20 00 00 00 08 ffff 0001 0c 0000 00000005 00", ERR_CORRUPT},
        {"short value", "1e 00 00 00 08 0000 0001 0a 0000 000000 00", ERR_CORRUPT},
        {"null value", "14 00 00 00 08 0000 0001 01 00", ERR_CORRUPT},
        {"negative value version", "20 00 00 00 08 0000 0001 0c ffff 00000005 00", ERR_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct craft c = craft_batch(BATCH_CONTROL, 0, 1, cases[i].payload);
        int rc = marker_decode(c.bytes, c.n, &type, &epoch, &e);
        if (rc != cases[i].rc)
            fail_msg("%s: %s: %s", cases[i].what, err_name(rc), e.text);
    }
    struct craft kraft = craft_batch(BATCH_CONTROL, 0, 1, cases[0].payload);
    assert_ok(marker_decode(kraft.bytes, kraft.n, &type, &epoch, &e), &e);
    assert_int_equal(type, 2);
    assert_int_equal(epoch, -1);
    struct craft data = craft_batch(0, 0, 1, cases[0].payload);
    assert_code(marker_decode(data.bytes, data.n, &type, &epoch, &e), ERR_CORRUPT, &e);
    struct craft packed = craft_batch(BATCH_CONTROL | CODEC_GZIP, 0, 1, cases[0].payload);
    assert_code(marker_decode(packed.bytes, packed.n, &type, &epoch, &e), ERR_CORRUPT, &e);
    struct craft emptied = craft_batch(BATCH_CONTROL, 0, 0, "");
    assert_code(marker_decode(emptied.bytes, emptied.n, &type, &epoch, &e), ERR_CORRUPT, &e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_empty_is_not_null),
        cmocka_unit_test(test_nothing_compressed),
        cmocka_unit_test(test_malformed_records),
        cmocka_unit_test(test_offsets_must_rise),
        cmocka_unit_test(test_malformed_headers),
        cmocka_unit_test(test_every_byte_wrong_behind_a_right_crc),
        cmocka_unit_test(test_markers),
        cmocka_unit_test(test_control_batches_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
