/*
 * The file source when files are renamed, copied, truncated, removed, and made anew.
 */
#include "tests/unit/file/source_rig.h"

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

/* Lines come between the copy and the truncation and are read: the copy is shorter than the position then. */
static void copytruncate_with_lines_between(int lines, bool down)
{
    struct leat_task *t = start("x.log*");
    fake_set(t, "gzip", "read");
    append_lines(dir, "x.log", "a ", 0, lines);
    fake_start(t);
    fake_until(t, (size_t)lines);
    copy(dir, "x.log", "x.log.1");
    fake_settle(t);
    append_lines(dir, "x.log", "a ", lines, lines + 10);
    size_t n = (size_t)lines + 10;
    fake_until(t, n);
    if (down)
        fake_close(t);
    overwrite(dir, "x.log", "");
    if (down)
        fake_start(t);
    fake_settle(t);
    append_lines(dir, "x.log", "b ", 0, 10);
    fake_until(t, n + 10);
    assert_lines(t, n, n + 10, "b ", 0);
    fake_settle(t);
    move(dir, "x.log.1", "x.log.2");
    fake_settle(t);
    compress_beside(dir, "x.log.2");
    drop(dir, "x.log.2");
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, n + 10);
    fake_free(t);
    drop(dir, "x.log");
    drop(dir, "x.log.2.gz");
}

static void copytruncate_after_more_was_read(void **state)
{
    (void)state;
    for (int down = 0; down < 2; down++) {
        copytruncate_with_lines_between(1000, down);
        copytruncate_with_lines_between(5, down);
    }
}

static void copytruncate_compressed_after_more_was_read(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log*");
    fake_set(t, "gzip", "read");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    compress_beside(dir, "x.log");
    fake_settle(t);
    append_lines(dir, "x.log", "a ", 1000, 1010);
    fake_until(t, 1010);
    overwrite(dir, "x.log", "");
    fake_settle(t);
    fake_restart(t);
    append_lines(dir, "x.log", "b ", 0, 10);
    fake_until(t, 1020);
    assert_lines(t, 1010, 1020, "b ", 0);
    fake_settle(t);
    assert_int_equal(t->records.count, 1020);
    fake_free(t);
}

/* The copy is an old one: the stream's own file has another name by now, and goes on where it was. */
static void copied_and_renamed_while_down(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log*");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    copy(dir, "x.log", "x.log.bak");
    fake_settle(t);
    append_lines(dir, "x.log", "a ", 1000, 2000);
    fake_until(t, 2000);
    fake_close(t);
    move(dir, "x.log", "x.log.1");
    append_lines(dir, "x.log", "b ", 0, 10);
    fake_start(t);
    fake_until(t, 2010);
    assert_lines(t, 2000, 2010, "b ", 0);
    fake_settle(t);
    assert_int_equal(t->records.count, 2010);
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

/* As rsync does it. */
static void replaced_by_a_longer_one(void **state)
{
    (void)state;
    struct leat_task *t = start("x.log");
    append_lines(dir, "x.log", "a ", 0, 1000);
    fake_start(t);
    fake_until(t, 1000);
    copy(dir, "x.log", "incoming");
    append_lines(dir, "incoming", "a ", 1000, 1010);
    move(dir, "incoming", "x.log");
    fake_until(t, 1010);
    append_lines(dir, "x.log", "a ", 1010, 1020);
    fake_until(t, 1020);
    fake_settle(t);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 1020);
    assert_lines(t, 0, 1020, "a ", 0);
    fake_free(t);
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

/* Into a directory that no path leads to: read on there, also after a restart; what was not begun is left alone. */
static void rotated_aside(void **state)
{
    (void)state;
    char aside[512];
    assert_int_equal(mkdir(at(dir, "old"), 0755), 0);
    assert_int_equal(mkdir(at(dir, "old/2026"), 0755), 0);
    append(dir, "old/2026/foreign.1", "never read\n");
    snprintf(aside, sizeof(aside), "%s/old/**/*", dir);
    struct leat_task *t = start("x.log");
    fake_set(t, "rotated.paths", aside);
    append(dir, "x.log", "one\n");
    fake_start(t);
    fake_until(t, 1);
    fake_close(t);
    append(dir, "x.log", "two\n");
    move(dir, "x.log", "old/2026/x.log-1");
    append(dir, "x.log", "three\n");
    fake_start(t);
    fake_until(t, 3);
    expect(t, "one", "two", "three");
    append(dir, "old/2026/x.log-1", "late\n"); /* and it is followed there */
    fake_until(t, 4);
    fake_restart(t);
    append(dir, "old/2026/x.log-1", "later\n");
    fake_until(t, 5);
    move(dir, "old/2026/x.log-1", "old/x.log-2");
    append(dir, "old/x.log-2", "latest\n");
    fake_until(t, 6);
    fake_settle(t);
    expect(t, "one", "two", "three", "late", "later", "latest");
    assert_int_equal(t->warnings, 0);
    fake_free(t);
}

/* By copying, or compressed: known by its content, and read before what came after it. */
static void rotated_aside_by_content(void **state)
{
    (void)state;
    char aside[512];
    assert_int_equal(mkdir(at(dir, "old"), 0755), 0);
    snprintf(aside, sizeof(aside), "%s/old/*", dir);
    struct leat_task *t = start("x.log");
    fake_set(t, "rotated.paths", aside);
    fake_set(t, "gzip", "read");
    append_lines(dir, "x.log", "a line of some length, as there are many ", 0, 100);
    fake_start(t);
    fake_until(t, 100);
    fake_close(t);
    append_lines(dir, "x.log", "a line of some length, as there are many ", 100, 110);
    copy(dir, "x.log", "old/x.log.1");
    compress_beside(dir, "old/x.log.1");
    drop(dir, "old/x.log.1");
    overwrite(dir, "x.log", "");
    append_lines(dir, "x.log", "a line of some length, as there are many ", 110, 120);
    fake_start(t);
    fake_until(t, 120);
    fake_settle(t);
    assert_int_equal(t->records.count, 120);
    assert_lines(t, 0, 120, "a line of some length, as there are many ", 0);
    fake_restart(t);
    fake_settle(t);
    assert_int_equal(t->records.count, 120);
    fake_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(rotated_by_rename),
        T(rotated_while_down),
        T(rotated_to_another_directory),
        T(rotated_by_copytruncate),
        T(copytruncate_after_more_was_read),
        T(copytruncate_compressed_after_more_was_read),
        T(copied_and_renamed_while_down),
        T(copytruncate_keeps_what_was_not_read),
        T(replaced_by_a_longer_one),
        T(truncated),
        T(deleted_is_read_to_its_end),
        T(inode_used_again),
        T(positions_of_files_gone_are_removed),
        T(rotated_aside),
        T(rotated_aside_by_content),
    };
    return run_watching(tests);
}
