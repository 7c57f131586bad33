/*
 * Names of files that cleaning leaves: every state in which an interrupted swap, ours or Kafka's, can leave a directory, how far
 * cleaning went, and when the files of replaced segments go.
 */
#include "clean_small.h"

#include "base/clock.h"

/* ---- states of a directory ----------------------------------------------------------------------------------------- */

/* Segments 0, 2, 4 with the records k=1 .. k=6; the cleaned one of 0 and 2 in `made`. */
static void build_two(const char *dir, const char *made)
{
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    int64_t checkpoint = 0;
    char text[16];
    for (int i = 1; i <= 6; i++) {
        snprintf(text, sizeof text, "%d", i);
        put(log, "k", text, NULL);
        if (i % 2 == 0 && i < 6)
            roll(log);
    }
    struct err e = {0};
    assert_ok(log_flush(log, &e), &e);
    copy_dir(dir, made);
    args.dir = made;
    close_log(log, true);
    args.recovery_point = 6;
    args.clean = true;
    log = open_log(&args, NULL);
    log_set_high_watermark(log, 6);
    clean(log, &checkpoint, 0);
    close_log(log, true);
}

struct names {
    const char *name; /* of the state */
    /* What is there: of segment 0 and 2 the old ones, and the stages of the new one's log and index. NULL: not. */
    const char *old_0, *old_2, *new_log, *new_index;
    bool damaged; /* the new log */
    bool is_new;  /* what is read then */
};

static void place(const char *from, const char *dir, const char *base, const char *kind, const char *stage)
{
    char a[700], b[700];
    if (!stage)
        return;
    snprintf(a, sizeof a, "%s/%s.%s", from, base, kind);
    snprintf(b, sizeof b, "%s/%s.%s%s", dir, base, kind, stage);
    copy_file(a, b);
}

static void check_state(const struct names *s, const char *old, const char *made, const char *dir)
{
    static const char base_0[] = "00000000000000000000", base_2[] = "00000000000000000002";
    char path[700], command[1500];
    struct err e = {0};
    print_message("%s\n", s->name);
    assert_ok(io_remove_tree(dir, &e), &e);
    copy_dir(old, dir);
    snprintf(command, sizeof command, "rm -f %s/%s.[lit]* %s/%s.[lit]*", dir, base_0, dir, base_2);
    assert_int_equal(system(command), 0);
    static const char *const indexes[] = {"index", "timeindex"};
    place(old, dir, base_0, "log", s->old_0);
    place(old, dir, base_2, "log", s->old_2);
    place(made, dir, base_0, "log", s->new_log);
    for (int i = 0; i < 2; i++) {
        place(old, dir, base_0, indexes[i], s->old_0);
        place(old, dir, base_2, indexes[i], s->old_2);
        place(made, dir, base_0, indexes[i], s->new_index);
    }
    snprintf(path, sizeof path, "%s/%s.log%s", dir, base_0, s->new_log ? s->new_log : "");
    if (s->damaged)
        damage_file(path, 65);
    struct log_open_args args = model_args(dir);
    args.recovery_point = 6;
    for (int i = 0; i < 2; i++) {
        struct log *log = open_log(&args, NULL);
        log_set_high_watermark(log, log_end_offset(log));
        assert_int_equal(log_end_offset(log), 6);
        expect_shape(log, s->is_new ? "ddd" : "dddddd");
        close_log(log, true);
        args.clean = true;
    }
    snprintf(command, sizeof command, "ls %s | grep -q 'swap\\|cleaned\\|deleted'", dir);
    assert_int_not_equal(system(command), 0);
}

static void test_every_state(void **state)
{
    static const struct names states[] = {
        {"made half", "", "", NULL, ".cleaned", false, false},
        {"made", "", "", ".cleaned", ".cleaned", false, false},
        {"log is swap, index not yet", "", "", ".swap", ".cleaned", false, false},
        {"index is swap, log not yet (no order kept)", "", "", ".cleaned", ".swap", false, false},
        {"all is swap", "", "", ".swap", ".swap", false, true},
        {"all is swap, indexes lost", "", "", ".swap", NULL, false, true},
        {"the first old one is deleted", ".deleted", "", ".swap", ".swap", false, true},
        {"and gone", NULL, "", ".swap", ".swap", false, true},
        {"both are deleted", ".deleted", ".deleted", ".swap", ".swap", false, true},
        {"both are gone", NULL, NULL, ".swap", ".swap", false, true},
        {"log in place, index not yet", NULL, ".deleted", "", ".swap", false, true},
        {"all in place", NULL, ".deleted", "", "", false, true},
        {"a damaged swap whose originals are there", "", "", ".swap", ".swap", true, false},
    };
    char *base = testkit_dir(), old[300], made[300], dir[300];
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    snprintf(dir, sizeof dir, "%s/t-0", base);
    build_two(old, made);
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        check_state(&states[i], old, made, dir);
    testkit_remove_dir(base);
}

/* Without its original a damaged one is put in place, and the damage told where it is read. */
static void test_a_damaged_swap_alone(void **state)
{
    char *base = testkit_dir(), old[300], made[300], command[1500], *path;
    struct err e = {0};
    struct log_range r;
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    build_two(old, made);
    snprintf(command, sizeof command, "cd %s && for f in 00000000000000000000.[lit]*; do mv $f $f.swap; done",
             made);
    assert_int_equal(system(command), 0);
    path = join(made, "00000000000000000000.log.swap");
    damage_file(path, 8);
    struct log_open_args args = model_args(made);
    args.recovery_point = 6;
    struct log *log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    assert_int_equal(log_end_offset(log), 6);
    assert_code(log_locate(log, 0, 1000, READ_UNCOMMITTED, &r, &e), ERR_CORRUPT, &e);
    assert_ok(log_locate(log, 4, 1000, READ_UNCOMMITTED, &r, &e), &e);
    log_range_release(&r);
    close_log(log, true);
    free(path);
    testkit_remove_dir(base);
}

/* The note of how far cleaning went stands for a lost recovery point; a broken one is only reported. */
static void test_compacted_end(void **state)
{
    char *base = testkit_dir(), old[300], made[300], *path;
    struct err e = {0};
    int64_t end;
    int fd;
    (void)state;
    snprintf(old, sizeof old, "%s/old", base);
    snprintf(made, sizeof made, "%s/made", base);
    build_two(old, made);
    assert_ok(log_compacted_end(old, &end, &e), &e);
    assert_int_equal(end, 0);
    assert_ok(log_compacted_end(made, &end, &e), &e);
    assert_int_equal(end, 4);
    struct log_open_args args = model_args(made); /* recovery point 0 */
    args.durable_end = 0;
    struct log *log = open_log(&args, NULL);
    assert_int_equal(log_end_offset(log), 4); /* what was never cleaned was not acknowledged */
    assert_ok(log_truncate_to(log, 2, &e), &e);
    assert_ok(log_compacted_end(made, &end, &e), &e);
    assert_true(end <= 2);
    close_log(log, true);
    path = join(made, "compacted-offset-checkpoint");
    static const char *const broken[] = {"",          "0\n",      "0\n1\n", "0\n1\n-5\n", "0\n1\n5\n6\n",
                                         "1\n1\n5\n", "0\n2\n5\n"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        assert_ok(io_open(&fd, path, O_WRONLY | O_TRUNC, 0, &e), &e);
        assert_ok(io_pwrite(fd, broken[i], strlen(broken[i]), 0, path, &e), &e);
        io_close(fd);
        assert_ok(log_compacted_end(made, &end, &e), &e);
        assert_int_equal(end, 0);
    }
    free(path);
    testkit_remove_dir(base);
}

/* ---- files of what was replaced ------------------------------------------------------------------------------------- */

#define LOG0 "00000000000000000000.log"

struct replaced {
    char *dir, *deleted; /* segment 0's */
    struct log *log;
    int64_t checkpoint;
};

/* One segment whose key is overwritten in the active one, and compacted once: its file waits. */
static void replace_first(struct replaced *r, int64_t delay_ms)
{
    *r = (struct replaced){.dir = testkit_dir()};
    struct log_open_args args = model_args(r->dir);
    args.config.file_delete_delay_ms = delay_ms;
    r->deleted = join(r->dir, LOG0 ".deleted");
    r->log = open_log(&args, NULL);
    for (int i = 0; i < 4; i++)
        put(r->log, i % 2 ? "odd" : "even", "1", NULL);
    roll(r->log);
    clean(r->log, &r->checkpoint, 0);
}

static void again(struct replaced *r)
{
    for (int i = 0; i < 4; i++)
        put(r->log, i % 2 ? "odd" : "even", "2", NULL);
    roll(r->log);
    clean(r->log, &r->checkpoint, 0);
}

static void replaced_end(struct replaced *r)
{
    close_log(r->log, true);
    assert_int_equal(file_size(r->deleted), -1); /* a stop leaves none */
    free(r->deleted);
    testkit_remove_dir(r->dir);
}

static void test_replaced_files_wait(void **state)
{
    struct replaced r;
    (void)state;
    int64_t before = clock_mono_ms();
    replace_first(&r, 5000);
    int64_t due = log_next_removal(r.log), size = file_size(r.deleted);
    assert_true(due >= before + 5000 && due <= clock_mono_ms() + 5000);
    assert_true(size > 0);
    assert_int_equal(log_open_files(r.log), 1); /* the active one's: what only waits has none open */
    log_remove_deleted(r.log, due - 1);
    assert_int_equal(file_size(r.deleted), size);
    log_remove_deleted(r.log, due);
    assert_int_equal(file_size(r.deleted), -1);
    assert_true(log_next_removal(r.log) == INT64_MAX);
    replaced_end(&r);
}

static void test_replaced_files_go_at_once(void **state)
{
    struct replaced r;
    (void)state;
    replace_first(&r, 0);
    assert_int_equal(file_size(r.deleted), -1);
    assert_true(log_next_removal(r.log) == INT64_MAX);
    replaced_end(&r);
}

/* The next pass replaces what the last one made, under the same name, before that time is over. */
static void test_replaced_twice(void **state)
{
    struct replaced r;
    struct err e = {0};
    struct log_range range;
    uint8_t byte;
    (void)state;
    replace_first(&r, 5000);
    int64_t first = log_next_removal(r.log);
    assert_ok(log_locate(r.log, 0, 100, READ_UNCOMMITTED, &range, &e), &e); /* in the first pass's copy */
    struct log_open_args args = model_args(r.dir);
    args.config.file_delete_delay_ms = 9000;
    log_set_config(r.log, &args.config);
    again(&r);
    assert_true(file_size(r.deleted) > 0);
    log_remove_deleted(r.log, first);
    assert_true(file_size(r.deleted) > 0);
    assert_ok(log_range_read(&range, 16, &byte, 1, &e), &e);
    assert_int_equal(byte, 2);
    log_remove_deleted(r.log, INT64_MAX);
    assert_ok(log_range_read(&range, 16, &byte, 1, &e), &e); /* who reads it keeps it */
    log_range_release(&range);
    assert_int_equal(file_size(r.deleted), -1);
    assert_true(log_next_removal(r.log) == INT64_MAX);
    replaced_end(&r);
}

/* ---- files of a copy that cannot be removed --------------------------------------------------------------------------- */

#define LOG1 "00000000000000000001.log"

/*
 * The first segment stays as it is, and its copy cannot be removed. The next start would drop every .swap behind it, though
 * what that was made from is gone: so nothing behind it is replaced, now or by another pass.
 */
static void test_a_copy_that_stays(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir();
    char *copy = join(dir, LOG0 ".cleaned"), *second = join(dir, LOG1), *old = join(dir, LOG1 ".deleted");
    struct log_open_args args = model_args(dir);
    int64_t checkpoint = 0;
    (void)state;
    args.config.segment_bytes = 100; /* a batch */
    struct log *log = open_log(&args, NULL);
    put(log, "other", "1", NULL);
    put(log, "same", "1", NULL);
    put(log, "same", "2", NULL);
    roll(log);
    int64_t size = file_size(second);
    fault_arm_at(FAULT_META, copy, 2, EIO, false); /* made, removed */
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_IO, &e);
    fault_disarm();
    for (int i = 0; i < 2; i++) {
        assert_true(file_size(copy) >= 0);
        assert_int_equal(file_size(second), size);
        assert_int_equal(file_size(old), -1);
        assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_IO, &e);
    }
    args.recovery_point = log_recovery_point(log);
    args.clean = true;
    close_log(log, true);
    log = open_log(&args, NULL);
    assert_int_equal(file_size(copy), -1);
    log_set_high_watermark(log, log_end_offset(log));
    clean(log, &checkpoint, 0);
    expect_shape(log, "ded");
    close_log(log, true);
    free(copy);
    free(second);
    free(old);
    testkit_remove_dir(dir);
}

/*
 * Two segments become one, and the first cannot be renamed: both are out of the log, and have their names. Who reads the second is the
 * last but the cleaner that has it, and goes on.
 */
static void test_a_reader_when_names_fail(void **state)
{
    struct err e = {0};
    char *dir = testkit_dir(), *first = join(dir, LOG0);
    struct log_open_args args = model_args(dir);
    struct log_range r;
    uint8_t bytes[1024];
    int64_t checkpoint = 0;
    (void)state;
    struct log *log = open_log(&args, NULL);
    put(log, "same", "1", NULL);
    roll(log);
    put(log, "same", "2", NULL);
    roll(log);
    put(log, "other", "1", NULL);
    assert_ok(log_locate(log, 1, sizeof bytes, READ_UNCOMMITTED, &r, &e), &e);
    assert_int_equal(r.base_offset, 1);
    fault_arm_at(FAULT_META, first, 3, EIO, false); /* .cleaned made, renamed to .swap; the old one renamed */
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_IO, &e);
    fault_disarm();
    assert_ok(log_range_read(&r, 0, bytes, r.bytes, &e), &e);
    assert_non_null(memmem(bytes, r.bytes, "same", 4));
    log_range_release(&r);
    close_log(log, false);
    free(first);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_state),
        cmocka_unit_test(test_a_damaged_swap_alone),
        cmocka_unit_test(test_compacted_end),
        cmocka_unit_test(test_replaced_files_wait),
        cmocka_unit_test(test_replaced_files_go_at_once),
        cmocka_unit_test(test_replaced_twice),
        cmocka_unit_test(test_a_copy_that_stays),
        cmocka_unit_test(test_a_reader_when_names_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
