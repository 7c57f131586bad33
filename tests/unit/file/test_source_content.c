/*
 * The file source: from bytes to records, with keys and headers.
 */
#include "tests/unit/file/source_rig.h"

static void last_line_after_a_timeout(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    fake_set(t, "partial.timeout", "60ms");
    append(dir, "x.log", "one\npart");
    fake_start(t);
    fake_until(t, 2);
    expect(t, "one", "part");
    append(dir, "x.log", "ial\n");
    fake_until(t, 3);
    assert_record(t, 2, "ial");
    fake_free(t);
}

static void headers_and_keys(void **state)
{
    (void)state;
    append(dir, "x.log", "one\ntwo\n");
    struct leat_task *t = start("x.log");
    fake_set(t, "headers", "true");
    fake_set(t, "key", "filename");
    fake_start(t);
    fake_until(t, 2);
    move(dir, "x.log", "x.log.1");
    append(dir, "x.log.1", "three\n");
    fake_until(t, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(t->records.items[i].key, "x.log"); /* also under its new name */
        assert_string_equal(t->records.items[i].path, at(dir, "x.log"));
    }
    assert_string_equal(t->records.items[0].offset, "0");
    assert_string_equal(t->records.items[1].offset, "4");
    assert_string_equal(t->records.items[2].offset, "8");
    fake_set(t, "key", "path");
    fake_restart(t);
    append(dir, "x.log.1", "four\n");
    fake_until(t, 4);
    assert_string_equal(t->records.items[3].key, at(dir, "x.log"));
    fake_free(t);
}

static void multiline_groups(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    fake_set(t, "multiline.pattern", "^[[:space:]]");
    fake_set(t, "multiline.timeout", "60ms");
    append(dir, "x.log", "error\n  at a\n  at b\nfine\n  with");
    fake_start(t);
    fake_until(t, 1);
    assert_record(t, 0, "error\n  at a\n  at b");
    fake_restart(t); /* the position is where the group begins */
    append(dir, "x.log", " more\n");
    fake_until(t, 2);
    assert_record(t, 1, "fine\n  with more");
    fake_free(t);
}

static int poll_to_failure(struct leat_task *t)
{
    int result = LEAT_OK;
    for (int i = 0; i < 10 && result == LEAT_OK; i++)
        result = fake_poll(t);
    return result;
}

static void json_lines(void **state)
{
    (void)state;
    append(dir, "x.log", "{\"a\": 1}\n\n[1,2]\nnot json \"\n7\n");
    struct leat_task *t = start("x.log");
    fake_set(t, "mode", "json");
    fake_start(t);
    assert_int_equal(poll_to_failure(t), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "byte 16"));
    expect(t, "{\"a\": 1}", "[1,2]"); /* what comes before is delivered */
    fake_restart(t);
    assert_int_equal(poll_to_failure(t), LEAT_FAIL);
    assert_int_equal(t->records.count, 2);
    fake_clear(&t->records);
    fake_clear_positions(&t->positions);
    fake_set(t, "json.on.error", "string");
    fake_restart(t);
    fake_until(t, 4);
    expect(t, "{\"a\": 1}", "[1,2]", "\"not json \\\"\"", "7");
    fake_clear(&t->records);
    fake_clear_positions(&t->positions);
    fake_set(t, "json.on.error", "skip");
    fake_restart(t);
    fake_until(t, 3);
    expect(t, "{\"a\": 1}", "[1,2]", "7");
    fake_free(t);
}

static void raw_bytes(void **state)
{
    (void)state;
    FILE *f = fopen(at(dir, "x.bin"), "wb");
    for (int i = 0; i < 300000; i++)
        fputc(i % 251, f);
    fclose(f);
    struct leat_task *t = start("x.bin");
    fake_set(t, "mode", "raw");
    fake_set(t, "raw.chunk.bytes", "1000");
    fake_start(t);
    fake_settle(t);
    int at_byte = 0;
    for (size_t i = 0; i < t->records.count; i++)
        for (size_t k = 0; k < t->records.items[i].len; k++, at_byte++)
            assert_int_equal((unsigned char)t->records.items[i].value[k], at_byte % 251);
    assert_int_equal(at_byte, 300000);
    fake_free(t);
}

static void long_lines(void **state)
{
    (void)state;
    FILE *f = fopen(at(dir, "x.log"), "wb");
    fputs("first\n", f);
    for (int i = 0; i < 3000000; i++)
        fputc('a' + i % 26, f);
    fputs("\nlast\n", f);
    fclose(f);
    struct leat_task *t = start("x.log");
    fake_set(t, "line.max.bytes", "4MiB");
    t->poll_bytes = 100000; /* a record over it comes alone */
    fake_start(t);
    fake_until(t, 3);
    assert_int_equal(t->records.items[1].len, 3000000);
    assert_record(t, 2, "last");
    fake_free(t);

    t = start("x.log");
    fake_set(t, "line.max.bytes", "1000000");
    t->poll_bytes = 300000;
    fake_start(t);
    while (t->records.count < 5) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        fake_restart(t); /* within the line */
    }
    assert_int_equal(t->records.count, 5);
    assert_int_equal(t->records.items[1].len, 1000000);
    assert_int_equal(t->records.items[3].len, 1000000);
    assert_record(t, 4, "last");
    fake_free(t);

    t = start("x.log");
    fake_set(t, "line.max.bytes", "10");
    fake_set(t, "line.over", "truncate");
    fake_start(t);
    while (t->records.count < 3) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        fake_restart(t);
    }
    expect(t, "first", "abcdefghij", "last");
    fake_free(t);

    t = start("x.log");
    fake_set(t, "line.max.bytes", "10");
    fake_set(t, "line.over", "fail");
    fake_start(t);
    assert_int_equal(poll_to_failure(t), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "byte 6"));
    expect(t, "first");
    fake_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(last_line_after_a_timeout),
        T(headers_and_keys),
        T(multiline_groups),
        T(json_lines),
        T(raw_bytes),
        T(long_lines),
    };
    return run_watching(tests);
}
