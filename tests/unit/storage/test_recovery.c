/*
 * test_recovery: what opening makes of torn tails, damage, missing indexes, and journaled bytes.
 */
#include "kit.h"

#define LOG0 "00000000000000000000.log"

static int setup(void **state)
{
    *state = testkit_dir();
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    testkit_remove_dir(*state);
    return 0;
}

static void a_tail_torn_at_any_byte_is_cut(void **state)
{
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    append(log, 1);
    append(log, 2);
    int64_t good = log_size(log);
    append(log, 1);
    int64_t all = log_size(log);
    close_log(log, false);
    char *path = join(*state, LOG0), *copy = join(*state, "copy");
    copy_file(path, copy);
    for (int64_t cut = good; cut <= all; cut++) {
        struct log_recovery report;
        copy_file(copy, path);
        cut_file(path, cut);
        log = open_log(&a, &report);
        assert_int_equal(log_end_offset(log), cut == all ? 4 : 3);
        assert_int_equal(report.cut_bytes, cut == all ? 0 : cut - good);
        assert_int_equal(report.cut_from_offset, cut == all || cut == good ? -1 : 3);
        close_log(log, false);
        assert_int_equal(file_size(path), cut == all ? all : good);
    }
    for (int64_t at = good; at < all; at++) { /* and a bit that is wrong anywhere */
        if (at >= good + 12 && at < good + 16)
            continue; /* the leader epoch is outside of the CRC */
        copy_file(copy, path);
        damage_file(path, at);
        log = open_log(&a, NULL);
        /* The base offset is not in the CRC either: a larger one is a gap as compaction leaves it. */
        if (at >= good + 8)
            assert_int_equal(log_end_offset(log), 3);
        close_log(log, false);
    }
    free(path);
    free(copy);
}

static void damage_below_the_recovery_point_is_never_served(void **state)
{
    struct err e = {0};
    struct walked w;
    struct log_recovery report;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 10; i++)
        append(log, 1);
    int64_t batch = log_size(log) / 10;
    close_log(log, true);
    char *path = join(*state, LOG0);
    damage_file(path, 4 * batch + 16); /* magic of the fifth batch */
    a.recovery_point = 10;
    for (int clean = 0; clean < 2; clean++) {
        a.clean = clean;
        log = open_log(&a, &report);
        assert_int_equal(report.cut_bytes, 0);
        assert_int_equal(file_size(path), 10 * batch);
        assert_int_equal(log_end_offset(log), 10 + clean);
        log_set_high_watermark(log, 10 + clean);
        assert_code(try_walk(log, 0, 4096, READ_UNCOMMITTED, &w, &e), ERR_CORRUPT, &e);
        assert_int_equal(w.next, 4);
        assert_non_null(strstr(e.text, LOG0));
        char where[32];
        snprintf(where, sizeof where, "byte %d", (int)(4 * batch));
        assert_non_null(strstr(e.text, where));
        /* What comes later is written behind it, and read. */
        assert_int_equal(append(log, 1), 10 + clean);
        log_set_high_watermark(log, 11 + clean);
        assert_int_equal(walk_log(log, 10).batches, 1 + clean);
        close_log(log, true);
        a.recovery_point = 11;
    }
    free(path);
}

static void segments_beyond_a_torn_one_go_too(void **state)
{
    struct log_recovery report;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 20; i++)
        append(log, 1);
    int64_t all = log_size(log);
    close_log(log, false);
    char *path = join(*state, "00000000000000000005.log");
    int64_t batch = file_size(path) / 5;
    damage_file(path, 2 * batch + 100);
    a.recovery_point = 3;
    log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 7);
    assert_int_equal(report.cut_from_offset, 7);
    assert_int_equal(report.cut_bytes, all - 7 * batch);
    assert_int_equal(append(log, 1), 7);
    log_set_high_watermark(log, 8);
    assert_int_equal(walk_log(log, 0).batches, 8);
    close_log(log, false);
    free(path);
}

static void remove_matching(const char *dir, const char *part)
{
    DIR *d = opendir(dir);
    for (const struct dirent *en; (en = readdir(d));)
        if (strstr(en->d_name, part)) {
            char *path = join(dir, en->d_name);
            unlink(path);
            free(path);
        }
    closedir(d);
}

static void fill(const char *dir, struct log_open_args *a)
{
    *a = open_args(dir);
    a->config.segment_bytes = 50000;
    a->config.index_interval_bytes = 1000;
    struct log *log = open_log(a, NULL);
    for (int i = 0; i < 600; i++)
        append(log, 1);
    close_log(log, true);
    a->recovery_point = 600;
}

static void indexes_that_are_missing_or_wrong_are_built_anew(void **state)
{
    struct log_recovery report;
    struct log_open_args a;
    fill(*state, &a);
    for (int how = 0; how < 8; how++) {
        a.clean = how & 1;
        if (how < 2) {
            remove_matching(*state, ".index");
        } else if (how < 4) {
            remove_matching(*state, ".timeindex");
        } else if (how < 6) { /* torn: no whole entry at the end */
            DIR *d = opendir(*state);
            for (const struct dirent *en; (en = readdir(d));)
                if (strstr(en->d_name, "index")) {
                    char *path = join(*state, en->d_name);
                    cut_file(path, file_size(path) - 3);
                    free(path);
                }
            closedir(d);
        } else { /* wrong entries in the middle of each */
            DIR *d = opendir(*state);
            for (const struct dirent *en; (en = readdir(d));)
                if (strstr(en->d_name, ".index")) {
                    char *path = join(*state, en->d_name);
                    for (int64_t at = 0; at + 8 < file_size(path); at += 8)
                        damage_file(path, at + 7);
                    free(path);
                }
            closedir(d);
        }
        struct log *log = open_log(&a, &report);
        assert_int_equal(log_end_offset(log), 600);
        if (how < 4)
            assert_true(report.indexes_rebuilt >= 3);
        log_set_high_watermark(log, 600);
        for (int64_t offset = 0; offset < 600; offset += 7) {
            struct walked w = walk_log(log, offset);
            assert_int_equal(w.first, offset);
            assert_int_equal(w.next, 600);
        }
        int64_t offset, ts;
        struct err e = {0};
        assert_ok(log_offset_for_time(log, EPOCH_MS, &offset, &ts, &e), &e);
        assert_int_equal(offset, 0);
        close_log(log, true);
    }
}

/* Kafka's active segment after kill -9 has indexes preallocated with zeros. */
static void preallocated_indexes_are_understood(void **state)
{
    struct log_recovery report;
    struct log_open_args a;
    fill(*state, &a);
    DIR *d = opendir(*state);
    for (const struct dirent *en; (en = readdir(d));)
        if (strstr(en->d_name, "index")) {
            char *path = join(*state, en->d_name);
            cut_file(path, 12 * 8192);
            free(path);
        }
    closedir(d);
    a.recovery_point = 0;
    struct log *log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 600);
    log_set_high_watermark(log, 600);
    for (int64_t offset = 0; offset < 600; offset += 11)
        assert_int_equal(walk_log(log, offset).first, offset);
    close_log(log, true);
}

static void journaled_bytes_are_put_back(void **state)
{
    struct err e = {0};
    struct log_appended out[6];
    uint8_t *bytes[6];
    size_t n[6];
    int fd = -1;
    struct log_recovery report;
    char *dir = join(*state, "t-0"), *path = join(dir, LOG0);
    struct log_open_args a = open_args(dir);
    struct log *log = open_log(&a, NULL);
    struct log_append_args args = append_args();
    for (int i = 0; i < 6; i++) {
        bytes[i] = make_batch(&(struct batch_spec){0}, &n[i]);
        assert_ok(log_append(log, bytes[i], n[i], &args, &out[i], &e), &e);
    }
    close_log(log, false);
    cut_file(path, out[2].position + 30); /* what the page cache had not written back */
    for (int i = 0; i < 5; i++)
        assert_ok(log_restore(&fd, dir, out[i].segment_base, out[i].position, bytes[i], n[i], &e), &e);
    io_close(fd);
    fd = -1;
    a.durable_end = 5;
    log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 5);
    assert_int_equal(report.cut_bytes, 0);
    close_log(log, false);
    /* All of it gone: made again from its start; but a segment whose start is not journaled was deleted. */
    assert_ok(io_remove_tree(dir, &e), &e);
    assert_ok(log_restore(&fd, dir, 0, out[1].position, bytes[1], n[1], &e), &e);
    assert_int_equal(fd, -1);
    assert_false(io_exists(path));
    for (int i = 0; i < 3; i++)
        assert_ok(log_restore(&fd, dir, 0, out[i].position, bytes[i], n[i], &e), &e);
    io_close(fd);
    a.durable_end = 3;
    log = open_log(&a, &report);
    assert_int_equal(log_end_offset(log), 3);
    close_log(log, true);
    for (int i = 0; i < 6; i++)
        mem_free(bytes[i]);
    free(dir);
    free(path);
}

/* A start after a kill opens every log that was written to: with three files each, 10,000 are more than a process may have. */
static void only_the_log_itself_stays_open(void **state)
{
    struct log_open_args a = open_args(*state);
    a.config.index_interval_bytes = 100;
    struct log *log = open_log(&a, NULL);
    append(log, 20);
    close_log(log, false);
    log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(log), 20);
    assert_int_equal(log_open_files(log), 1);
    append(log, 20);
    struct err e = {0};
    assert_ok(log_flush(log, &e), &e);
    assert_int_equal(log_open_files(log),
                     1); /* also after the sync of what a kill may have left of its indexes */
    log_set_high_watermark(log, 40);
    assert_int_equal(walk_log(log, 0).next, 40);
    close_log(log, true);
}

static void the_topic_id_must_match(void **state)
{
    struct err e = {0};
    struct log *log;
    struct log_open_args a = open_args(*state);
    close_log(open_log(&a, NULL), true);
    a.topic_id.b[3] = 99;
    assert_code(log_open(&log, &a, NULL, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "partition.metadata"));
    char *path = join(*state, "partition.metadata");
    cut_file(path, 0); /* never completely written: made again */
    close_log(open_log(&a, NULL), true);
    assert_true(file_size(path) > 20);
    free(path);
}

static void leftovers_are_removed(void **state)
{
    struct log_open_args a = open_args(*state);
    close_log(open_log(&a, NULL), true);
    char *log0 = join(*state, LOG0), *deleted = join(*state, "00000000000000000000.log.deleted"),
         *orphan = join(*state, "00000000000000000900.index"),
         *cleaned = join(*state, "00000000000000000000.log.cleaned");
    copy_file(log0, deleted);
    copy_file(log0, orphan);
    copy_file(log0, cleaned);
    close_log(open_log(&a, NULL), true);
    assert_int_equal(file_size(deleted), -1);
    assert_int_equal(file_size(orphan), -1);
    assert_int_equal(file_size(cleaned), -1);
    free(log0);
    free(deleted);
    free(orphan);
    free(cleaned);
}

static void starts_at_the_checkpointed_offset(void **state)
{
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 5; i++)
        append(log, 1);
    close_log(log, true);
    a.log_start_offset = 3;
    log = open_log(&a, NULL);
    assert_int_equal(log_start_offset(log), 3);
    log_set_high_watermark(log, 5);
    assert_int_equal(walk_log(log, 3).batches, 2);
    close_log(log, true);
    a.log_start_offset = 42; /* beyond the end: what is there is history */
    log = open_log(&a, NULL);
    assert_int_equal(log_start_offset(log), 42);
    assert_int_equal(append(log, 1), 42);
    close_log(log, true);
    log = open_log(&a, NULL);
    assert_int_equal(log_end_offset(log), 43);
    close_log(log, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tail_torn_at_any_byte_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_below_the_recovery_point_is_never_served, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_beyond_a_torn_one_go_too, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_that_are_missing_or_wrong_are_built_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(preallocated_indexes_are_understood, setup, teardown),
        cmocka_unit_test_setup_teardown(journaled_bytes_are_put_back, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_log_itself_stays_open, setup, teardown),
        cmocka_unit_test_setup_teardown(the_topic_id_must_match, setup, teardown),
        cmocka_unit_test_setup_teardown(leftovers_are_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(starts_at_the_checkpointed_offset, setup, teardown),
    };
    return cmocka_run_group_tests_name("recovery", tests, NULL, NULL);
}
