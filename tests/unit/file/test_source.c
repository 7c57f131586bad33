/*
 * The file source through its public functions: what is read, once, in which order. Every test runs with inotify and with
 * polling.
 */
#include "tests/unit/file/files.h"

static char *dir;

static int setup(void **state)
{
    (void)state;
    dir = testkit_dir();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    testkit_remove_dir(dir);
    return 0;
}

static struct leat_task *start(const char *names)
{
    char paths[1024];
    if (strchr(names, '/'))
        snprintf(paths, sizeof(paths), "%s", names);
    else
        snprintf(paths, sizeof(paths), "%s/%s", dir, names);
    struct leat_task *t = fake_new(paths);
    return t;
}

static void lines_growing_and_new_files(void **state)
{
    (void)state;
    append(dir, "a.log", "one\ntwo\r\n\nfour");
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_settle(t);
    expect(t, "one", "two", ""); /* the last line is not ended */
    append(dir, "a.log", "teen\nfive\n");
    fake_until(t, 5);
    assert_record(t, 3, "fourteen");
    append(dir, "b.log", "new\n");
    append(dir, "c.txt", "not ours\n");
    fake_until(t, 6);
    fake_settle(t);
    expect(t, "one", "two", "", "fourteen", "five", "new");
    fake_free(t);
}

static void restart_goes_on_at_the_position(void **state)
{
    (void)state;
    append_lines(dir, "a.log", "line ", 0, 1000);
    struct leat_task *t = start("a.log");
    t->poll_bytes = 3000;
    fake_start(t);
    while (t->records.count < 1000) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        assert_true(t->most_bytes <= 3000);
        fake_restart(t);
    }
    fake_settle(t);
    assert_int_equal(t->records.count, 1000);
    assert_lines(t, 0, 1000, "line ", 0);
    fake_free(t);
}

static void failed_poll_is_read_again(void **state)
{
    (void)state;
    append_lines(dir, "a.log", "line ", 0, 5000);
    struct leat_task *t = start("a.log");
    t->poll_bytes = 10000;
    fake_start(t);
    for (size_t n = 1; t->records.count < 5000; n = n % 3 + 1) {
        t->fail_emit = n;
        int result = LEAT_OK;
        for (int i = 0; i < 4 && result == LEAT_OK; i++)
            result = fake_poll(t);
        t->fail_emit = 0;
        fake_restart(t);
        assert_int_equal(fake_poll(t), LEAT_OK);
    }
    fake_settle(t);
    assert_int_equal(t->records.count, 5000);
    assert_lines(t, 0, 5000, "line ", 0);
    fake_free(t);
}

static void start_at_end(void **state)
{
    (void)state;
    append(dir, "a.log", "old\nolder\nhal");
    struct leat_task *t = start("*.log");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    append(dir, "a.log", "f\nnew\n");
    append(dir, "b.log", "from its beginning\n");
    fake_until(t, 3);
    assert_record(t, 0, "half");
    fake_close(t);
    append(dir, "c.log", "came while down\n");
    append(dir, "a.log", "last\n");
    fake_start(t);
    fake_until(t, 5);
    fake_settle(t);
    assert_int_equal(t->records.count, 5);
    fake_free(t);
}

static void start_at_end_of_nothing(void **state)
{
    (void)state;
    struct leat_task *t = start("sub.log");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    fake_close(t);
    append(dir, "sub.log", "first\n"); /* came after the first look */
    fake_start(t);
    fake_until(t, 1);
    fake_free(t);
}

static void rotated_by_rename(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    append_lines(dir, "x.log", "a ", 0, 100);
    fake_start(t);
    fake_until(t, 100);
    append_lines(dir, "x.log", "a ", 100, 110);
    move(dir, "x.log", "x.log.1");
    append_lines(dir, "x.log.1", "a ", 110, 120);
    append_lines(dir, "x.log", "b ", 0, 50);
    fake_until(t, 170);
    assert_lines(t, 0, 120, "a ", 0);
    assert_lines(t, 120, 170, "b ", 0);
    append(dir, "x.log.1", "late\n"); /* a writer that has not reopened yet */
    fake_until(t, 171);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 171);
    fake_free(t);
}

static void rotated_while_down(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    append_lines(dir, "x.log", "a ", 0, 100);
    fake_start(t);
    fake_until(t, 100);
    fake_close(t);
    append_lines(dir, "x.log", "a ", 100, 200);
    move(dir, "x.log", "x.log.1");
    append_lines(dir, "x.log", "b ", 0, 100);
    move(dir, "x.log.1", "x.log.2");
    move(dir, "x.log", "x.log.1");
    append_lines(dir, "x.log", "c ", 0, 100);
    fake_start(t);
    fake_until(t, 300); /* x.log.1 of now was never begun under paths */
    assert_lines(t, 0, 200, "a ", 0);
    assert_lines(t, 200, 300, "c ", 0);
    fake_settle(t);
    assert_int_equal(t->records.count, 300);
    fake_free(t);
}

static void rotated_to_another_directory(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at(dir, "old"), 0755), 0);
    struct leat_task *t = start("x.log");
    append(dir, "x.log", "one\n");
    fake_start(t);
    fake_until(t, 1);
    append(dir, "x.log", "two\nend without line feed");
    move(dir, "x.log", "old/whatever");
    append(dir, "x.log", "three\n");
    fake_until(t, 4);
    expect(t, "one", "two", "end without line feed", "three");
    fake_settle(t);
    assert_int_equal(t->records.count, 4);
    fake_free(t);
}

static void rotated_by_copytruncate(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log*");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    copy(dir, "x.log", "x.log.1");
    fake_settle(t);
    assert_int_equal(t->records.count, 1000); /* the copy is recognised */
    overwrite(dir, "x.log", "");
    append_lines(dir, "x.log", "b ", 0, 10);
    fake_until(t, 1010);
    assert_lines(t, 1000, 1010, "b ", 0);
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 1010);
    fake_free(t);
}

static void copytruncate_keeps_what_was_not_read(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        char live[16], old[16];
        snprintf(live, sizeof(live), "x%d.log", down);
        snprintf(old, sizeof(old), "x%d.log.1", down);
        struct leat_task *t = start(live); /* the copy does not match */
        append_lines(dir, live, "a ", 0, 1000);
        fake_start(t);
        fake_until(t, 1000);
        if (down)
            fake_close(t);
        append_lines(dir, live, "a ", 1000, 1500);
        copy(dir, live, old);
        overwrite(dir, live, "");
        append_lines(dir, live, "b ", 0, 2000); /* grown beyond the position again */
        if (down)
            fake_start(t);
        fake_until(t, 3500);
        assert_lines(t, 0, 1500, "a ", 0);
        assert_lines(t, 1500, 3500, "b ", 0);
        fake_free(t);
    }
}

static void truncated(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    append_lines(dir, "x.log", "a ", 0, 10);
    fake_start(t);
    fake_until(t, 10);
    overwrite(dir, "x.log", "new 1\nnew 2\n");
    fake_until(t, 12);
    assert_record(t, 10, "new 1");
    overwrite(dir, "x.log",
              "a line much longer than everything that has been in this file so far, by some bytes\n");
    fake_until(t, 13);
    fake_close(t);
    overwrite(dir, "x.log", "while down\n");
    fake_start(t);
    fake_until(t, 14);
    fake_settle(t);
    assert_int_equal(t->records.count, 14);
    fake_free(t);
}

static void deleted_is_read_to_its_end(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    append(dir, "x.log", "one\n");
    fake_start(t);
    fake_until(t, 1);
    append(dir, "x.log", "two\nthree");
    drop(dir, "x.log");
    fake_until(t, 3);
    expect(t, "one", "two", "three");
    append(dir, "x.log", "another\n"); /* probably with the same inode */
    fake_until(t, 4);
    assert_record(t, 3, "another");
    fake_free(t);
}

static void inode_used_again(void **state)
{
    (void)state;
    struct leat_task *t = start("*.log");
    append(dir, "x.log", "one of the old\n");
    fake_start(t);
    fake_until(t, 1);
    fake_close(t);
    drop(dir, "x.log");
    append(dir, "y.log", "one of the new\nand more\n");
    fake_start(t);
    fake_until(t, 3);
    expect(t, "one of the old", "one of the new", "and more");
    fake_free(t);
}

static void positions_of_files_gone_are_removed(void **state)
{
    (void)state;
    struct leat_task *t = start("*.log");
    fake_set(t, "forget.after", "60ms");
    char name[32];
    for (int i = 0; i < 20; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        append(dir, name, "some text\n");
    }
    fake_start(t);
    fake_until(t, 20);
    assert_int_equal(t->positions.count, 21); /* and one for the pattern */
    for (int i = 0; i < 19; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        drop(dir, name);
    }
    for (int i = 0; i < 2000 && t->positions.count > 2; i++)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->positions.count, 2);
    assert_int_equal(t->records.count, 20);
    fake_free(t);
}

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

static void symbolic_links(void **state)
{
    (void)state;
    assert_int_equal(mkdir(at(dir, "real"), 0755), 0);
    append(dir, "real/a", "one\n");
    assert_int_equal(symlink("real/a", at(dir, "x.log")), 0);
    assert_int_equal(symlink("real/a", at(dir, "y.log")), 0);
    assert_int_equal(symlink("nowhere", at(dir, "z.log")), 0);
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_until(t, 1); /* one file, read once */
    append(dir, "real/a", "two\n");
    fake_until(t, 2);
    drop(dir, "y.log");
    drop(dir, "x.log");
    append(dir, "real/a", "three\n");
    append(dir, "real/b", "of b\n");
    assert_int_equal(symlink("real/b", at(dir, "x.log")), 0);
    fake_until(t, 4);
    fake_settle(t);
    expect(t, "one", "two", "three", "of b");
    fake_free(t);
}

static void gzip_of_what_was_read(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log*");
    fake_set(t, "gzip", "read");
    append_lines(dir, "x.log", "a ", 0, 20000);
    fake_start(t);
    fake_until(t, 20000);
    move(dir, "x.log", "x.log.1");
    append(dir, "x.log", "next\n");
    fake_until(t, 20001);
    compress_beside(dir, "x.log.1");
    fake_settle(t);
    drop(dir, "x.log.1");
    fake_settle(t);
    move(dir, "x.log.1.gz", "x.log.2.gz");
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 20001);
    fake_free(t);
}

static void gzip_goes_on_where_reading_was(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log"); /* the compressed one is found by its name */
    fake_set(t, "gzip", "read");
    fake_set(t, "headers", "true");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    fake_close(t);
    append_lines(dir, "x.log", "a ", 1000, 100000);
    append(dir, "x.log", "end");
    move(dir, "x.log", "x.log.1");
    compress_beside(dir, "x.log.1");
    drop(dir, "x.log.1");
    append(dir, "x.log", "next\n");
    t->poll_bytes = 100000;
    fake_start(t);
    while (t->records.count < 50000) {
        assert_int_equal(fake_poll(t), LEAT_OK);
        fake_restart(t); /* in the midst of it */
    }
    fake_until(t, 100002);
    assert_lines(t, 0, 100000, "a ", 0);
    assert_record(t, 100000, "end");
    assert_record(t, 100001, "next");
    assert_string_equal(t->records.items[100000].path, at(dir, "x.log"));
    assert_string_equal(t->records.items[100000].offset, "788890");
    fake_free(t);
}

static void gzip_modes(void **state)
{
    (void)state;
    append_lines(dir, "x", "a ", 0, 10);
    compress_beside(dir, "x");
    struct leat_task *t = start("*.gz");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "read");
    fake_start(t);
    fake_until(t, 10);
    assert_lines(t, 0, 10, "a ", 0);
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 10);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "plain");
    fake_set(t, "mode", "raw");
    fake_start(t);
    fake_until(t, 1);
    assert_memory_equal(t->records.items[0].value, "\x1f\x8b", 2);
    fake_free(t);
    t = start("*.gz");
    fake_set(t, "gzip", "read");
    fake_set(t, "start", "end");
    fake_start(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
}

static void damaged_gzip_does_not_stop_others(void **state)
{
    (void)state;
    append_lines(dir, "x", "a ", 0, 5000);
    compress_beside(dir, "x");
    int fd = open(at(dir, "x.gz"), O_RDWR);
    assert_int_equal(pwrite(fd, "damage!!damage!!", 16, 5000), 16);
    close(fd);
    append(dir, "y.log", "fine\n");
    struct leat_task *t = start("*.*");
    fake_set(t, "gzip", "read");
    fake_start(t);
    fake_settle(t);
    assert_record(t, t->records.count - 1, "fine");
    assert_true(t->warnings > 0);
    int warnings = t->warnings;
    fake_settle(t);
    assert_int_equal(t->warnings, warnings); /* said once */
    fake_free(t);
}

static void excluded(void **state)
{
    (void)state;
    append(dir, "a.log", "a\n");
    append(dir, "debug.log", "d\n");
    append(dir, "b.log", "b\n");
    struct leat_task *t = start("*.log");
    char exclude[512];
    snprintf(exclude, sizeof(exclude), "debug*,%s/b.*", dir);
    fake_set(t, "exclude", exclude);
    fake_start(t);
    fake_settle(t);
    expect(t, "a");
    fake_free(t);
}

static void directory_comes_later(void **state)
{
    (void)state;
    char paths[512];
    snprintf(paths, sizeof(paths), "%s/later/x.log,%s/s*/deep/*.log", dir, dir);
    struct leat_task *t = start(paths);
    fake_start(t);
    fake_settle(t);
    assert_int_equal(mkdir(at(dir, "later"), 0755), 0);
    append(dir, "later/x.log", "one\n");
    fake_until(t, 1);
    assert_int_equal(mkdir(at(dir, "sub"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "sub/deep"), 0755), 0);
    append(dir, "sub/deep/y.log", "two\n");
    fake_until(t, 2);
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

static void json_lines(void **state)
{
    (void)state;
    append(dir, "x.log", "{\"a\": 1}\n\n[1,2]\nnot json \"\n7\n");
    struct leat_task *t = start("x.log");
    fake_set(t, "mode", "json");
    fake_start(t);
    int result = LEAT_OK;
    for (int i = 0; i < 3 && result == LEAT_OK; i++)
        result = fake_poll(t);
    assert_int_equal(result, LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "byte 16"));
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
    int result = LEAT_OK;
    for (int i = 0; i < 3 && result == LEAT_OK; i++)
        result = fake_poll(t);
    assert_int_equal(result, LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "byte 6"));
    fake_free(t);
}

static void unreadable_file(void **state)
{
    (void)state;
    if (geteuid() == 0 && seteuid(65534) != 0)
        skip();
    bool root = getuid() == 0;
    if (root)
        assert_int_equal(seteuid(0), 0);
    append(dir, "x.log", "secret\n");
    append(dir, "y.log", "open\n");
    assert_int_equal(chmod(at(dir, "x.log"), 0), 0);
    assert_int_equal(chmod(dir, 0777), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_settle(t);
    if (root)
        assert_int_equal(seteuid(0), 0);
    expect(t, "open");
    assert_int_equal(t->warnings, 1);
    assert_int_equal(chmod(at(dir, "x.log"), 0644), 0);
    if (root)
        assert_int_equal(seteuid(65534), 0);
    fake_until(t, 2);
    if (root)
        assert_int_equal(seteuid(0), 0);
    assert_record(t, 1, "secret");
    fake_free(t);
}

static void few_open_files(void **state)
{
    (void)state;
    char name[32], text[64];
    struct leat_task *t = start("*.log");
    fake_set(t, "open.files.max", "3");
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        append_lines(dir, name, name, 0, 100);
    }
    t->poll_bytes = 2000;
    fake_start(t);
    fake_until(t, 5000);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof(name), "f%d.log", i);
        append_lines(dir, name, name, 100, 102);
    }
    fake_until(t, 5100);
    for (int i = 0; i < 50; i++) { /* in order for each file */
        int next = 0;
        for (size_t k = 0; k < t->records.count; k++) {
            snprintf(text, sizeof(text), "f%d.log%d", i, next);
            next += strcmp(t->records.items[k].value, text) == 0;
        }
        assert_int_equal(next, 102);
    }
    fake_free(t);
}

static void files_take_turns(void **state)
{
    (void)state;
    append_lines(dir, "big.log", "a longer line of the big file ", 0, 100000);
    append_lines(dir, "z.log", "small ", 0, 10);
    struct leat_task *t = start("*.log");
    t->poll_bytes = 1 << 20;
    fake_start(t);
    assert_int_equal(fake_poll(t), LEAT_OK);
    bool small = false;
    for (size_t i = 0; i < t->records.count; i++)
        small |= strncmp(t->records.items[i].value, "small", 5) == 0;
    assert_true(small);
    assert_true(t->records.count < 100000);
    fake_free(t);
}

static void tasks_share_files(void **state)
{
    (void)state;
    char name[32];
    for (int i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "f%c%c.log", 'a' + i % 26, 'a' + i / 26);
        append(dir, name, "line\n");
        snprintf(name, sizeof(name), "f%c%c.log.1", 'a' + i % 26, 'a' + i / 26);
        append(dir, name, "earlier\n");
    }
    struct leat_task *t[3];
    size_t sum = 0;
    for (int i = 0; i < 3; i++) {
        t[i] = start("f*");
        t[i]->index = i;
        t[i]->count = 3;
        fake_start(t[i]);
        fake_settle(t[i]);
        assert_true(t[i]->records.count > 0);
        assert_int_equal(t[i]->records.count % 2, 0); /* a file and its predecessor: one task */
        sum += t[i]->records.count;
    }
    assert_int_equal(sum, 80);
    /* Positions of all are handed to each after a change of their number. */
    for (int i = 1; i < 3; i++)
        for (size_t k = 0; k < t[i]->positions.count; k++)
            fake_put(&t[0]->positions, t[i]->positions.items[k].partition, t[i]->positions.items[k].offset);
    fake_close(t[0]);
    fake_clear(&t[0]->records);
    t[0]->count = 1;
    fake_start(t[0]);
    fake_settle(t[0]);
    assert_int_equal(t[0]->records.count, 0);
    for (int i = 0; i < 3; i++)
        fake_free(t[i]);
}

static void gauges_are_set(void **state)
{
    (void)state;
    append(dir, "x.log", "one\npartial");
    struct leat_task *t = start("*.log");
    fake_start(t);
    fake_until(t, 1);
    for (int64_t end = clock_mono_ms() + 5000; t->partial_bytes == 0 && clock_mono_ms() < end;)
        assert_int_equal(fake_poll(t), LEAT_OK);
    assert_true(t->files == 1);
    assert_true(t->partial_bytes == 7);
    assert_true(t->bytes_behind == 7);
    fake_free(t);
}

static void stop_is_heeded(void **state)
{
    (void)state;
    append_lines(dir, "x.log", "line ", 0, 1000);
    struct leat_task *t = start("*.log");
    fake_start(t);
    t->stopping = true;
    assert_int_equal(fake_poll(t), LEAT_OK);
    assert_int_equal(t->records.count, 0);
    fake_free(t);
}

static void wrong_settings(void **state)
{
    (void)state;
    static const struct {
        const char *name, *value, *text;
    } wrong[] = {
        {"paths", "/var/log/", "does not name a file"},
        {"multiline.pattern", "([", "not a regular expression"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct leat_task *t = start("x.log");
        fake_set(t, wrong[i].name, wrong[i].value);
        assert_int_equal(fake_open(t), LEAT_FAIL);
        assert_non_null(strstr(t->fail_text, wrong[i].text));
        assert_int_equal(file_source_connector.validate(t, &fake_host, &t->config), LEAT_FAIL);
        fake_free(t);
    }
    struct leat_task *t = start("x.log");
    t->config.lists[0][0][0] = '\0';
    assert_int_equal(fake_open(t), LEAT_FAIL);
    fake_set(t, "paths", at(dir, "x.log"));
    assert_int_equal(file_source_connector.check(t, &fake_host, &t->config), LEAT_OK);
    fake_put(&t->positions, "{\"file\":\"1-2-3\"}", "{\"offset\":7,\"path\":\"/x\"}");
    assert_int_equal(fake_open(t), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "stored position"));
    fake_free(t);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(lines_growing_and_new_files),
        T(restart_goes_on_at_the_position),
        T(failed_poll_is_read_again),
        T(start_at_end),
        T(start_at_end_of_nothing),
        T(rotated_by_rename),
        T(rotated_while_down),
        T(rotated_to_another_directory),
        T(rotated_by_copytruncate),
        T(copytruncate_keeps_what_was_not_read),
        T(truncated),
        T(deleted_is_read_to_its_end),
        T(inode_used_again),
        T(positions_of_files_gone_are_removed),
        T(last_line_after_a_timeout),
        T(symbolic_links),
        T(gzip_of_what_was_read),
        T(gzip_goes_on_where_reading_was),
        T(gzip_modes),
        T(damaged_gzip_does_not_stop_others),
        T(excluded),
        T(directory_comes_later),
        T(headers_and_keys),
        T(multiline_groups),
        T(json_lines),
        T(raw_bytes),
        T(long_lines),
        T(unreadable_file),
        T(few_open_files),
        T(files_take_turns),
        T(tasks_share_files),
        T(gauges_are_set),
        T(stop_is_heeded),
        T(wrong_settings),
    };
    int failed = cmocka_run_group_tests_name("inotify", tests, NULL, NULL);
    fake_watch = "poll";
    return failed + cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
