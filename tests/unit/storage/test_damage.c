/*
 * test_damage: reading goes on behind damage, and damage in the middle of a log is told from a torn tail.
 */
#include "kit.h"

#include "storage/repair.h"
#include "storage/scan.h"

#define LOG0 "00000000000000000000.log"
#define BATCHES 10

struct fixture {
    char *dir, *path;
    int64_t batch; /* bytes of each */
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = testkit_dir();
    f->path = join(f->dir, LOG0);
    struct log_open_args a = open_args(f->dir);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < BATCHES; i++)
        append(log, 1);
    f->batch = log_size(log) / BATCHES;
    close_log(log, true);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free(f->path);
    testkit_remove_dir(f->dir);
    free(f);
    return 0;
}

/* Opens what is damaged below its recovery point, which is the end. */
static struct log *open_damaged(const struct fixture *f, bool clean)
{
    struct log_open_args a = open_args(f->dir);
    a.recovery_point = BATCHES;
    a.clean = clean;
    struct log *log = open_log(&a, NULL);
    log_set_high_watermark(log, BATCHES);
    return log;
}

/* Offsets that were acknowledged are never given to other records, even if nothing of the log is left. */
static void a_log_that_lost_its_bytes_goes_on_behind_them(void **state)
{
    struct fixture *f = *state;
    struct log_range r;
    struct err e = {0};
    assert_int_equal(truncate(f->path, 0), 0);
    for (int clean = 0; clean < 2; clean++) {
        struct log *log = open_damaged(f, clean);
        assert_int_equal(log_end_offset(log), BATCHES);
        assert_int_equal(log_locate(log, 3, 1 << 20, READ_UNCOMMITTED, &r, &e), ERR_OK);
        assert_int_equal(r.bytes, 0);
        assert_int_equal(r.next_offset, BATCHES);
        assert_int_equal(append(log, 1), BATCHES);
        log_set_high_watermark(log, BATCHES + 1);
        assert_int_equal(log_locate(log, 3, 1 << 20, READ_UNCOMMITTED, &r, &e), ERR_OK);
        assert_int_equal(r.base_offset, BATCHES);
        log_range_release(&r);
        assert_int_equal(log_truncate_to(log, BATCHES, &e), ERR_OK);
        close_log(log, true);
    }
}

static void who_asks_behind_damage_reads_on(void **state)
{
    struct fixture *f = *state;
    struct walked w;
    struct err e = {0};
    damage_file(f->path, 3 * f->batch + 16); /* magic of the fourth: its length is of no use either then */
    damage_file(f->path, 3 * f->batch + 9);
    for (int clean = 0; clean < 2; clean++) {
        struct log *log = open_damaged(f, clean);
        assert_code(try_walk(log, 0, 4096, READ_UNCOMMITTED, &w, &e), ERR_CORRUPT, &e);
        assert_int_equal(w.next, 3);
        assert_non_null(strstr(e.text, LOG0));
        assert_non_null(strstr(e.text, "offsets 3 to 3 cannot be read, reading can go on at offset 4"));
        for (int64_t from = 4; from < BATCHES; from++) {
            w = walk_log(log, from);
            assert_int_equal(w.first, from);
            assert_int_equal(w.next, BATCHES);
        }
        close_log(log, clean);
    }
}

static void damage_up_to_the_end_of_a_segment(void **state)
{
    struct fixture *f = *state;
    struct walked w;
    struct err e = {0};
    for (int i = 7; i < BATCHES; i++)
        damage_file(f->path, i * f->batch + 16);
    struct log *log = open_damaged(f, false); /* appends go on in a new segment at 10 */
    assert_code(try_walk(log, 5, 4096, READ_UNCOMMITTED, &w, &e), ERR_CORRUPT, &e);
    assert_int_equal(w.next, 7);
    assert_non_null(strstr(e.text, "offsets 7 to 9 cannot be read, reading can go on at offset 10"));
    assert_code(try_walk(log, 8, 4096, READ_UNCOMMITTED, &w, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "offsets 8 to 9"));
    assert_int_equal(append(log, 1), 10);
    log_set_high_watermark(log, 11);
    assert_int_equal(walk_log(log, 10).batches, 1);
    close_log(log, true);
}

static void indexes_reach_behind_damage(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    damage_file(f->path, 2 * f->batch + 16);
    char *index = join(f->dir, "00000000000000000000.index");
    assert_int_equal(unlink(index), 0);
    struct log *log = open_damaged(f, true);
    assert_int_equal(walk_log(log, 9).first, 9);
    int64_t offset, ts;
    assert_ok(log_max_timestamp(log, &offset, &ts, &e), &e);
    close_log(log, true);
    free(index);
}

/* ---- the search itself ---- */

static int resync(const char *path, int64_t position, int64_t floor, int64_t *found)
{
    struct err e = {0};
    struct batch_header h;
    struct scan s;
    struct buf big;
    static uint8_t window[SCAN_RESYNC_WINDOW];
    int fd;
    assert_ok(io_open(&fd, path, O_RDONLY, 0, &e), &e);
    buf_init(&big, 1 << 20);
    scan_init(&s, fd, path, position, file_size(path), floor, window, sizeof window);
    int rc = scan_resync(&s, INT64_MAX, &h, &big, &e);
    *found = rc == ERR_OK ? h.base_offset : -1;
    buf_free(&big);
    io_close(fd);
    return rc;
}

static void the_next_batch_is_found_from_every_byte(void **state)
{
    struct fixture *f = *state;
    int64_t found;
    for (int64_t at = 0; at < 3 * f->batch; at++) {
        assert_int_equal(resync(f->path, at, 0, &found), ERR_OK);
        assert_int_equal(found, at / f->batch + 1);
    }
    assert_int_equal(resync(f->path, 0, 7, &found), ERR_OK);
    assert_int_equal(found, 7); /* older ones do not count */
    assert_int_equal(resync(f->path, (BATCHES - 1) * f->batch, 0, &found), ERR_END);
}

/* A value may hold batches; those inside of a damaged batch are not the log's. */
static void a_batch_in_a_value_is_not_taken(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    char *inner;
    size_t inner_n, n;
    uint8_t *data;
    struct log_appended out;
    assert_ok(io_read_file(f->path, 1 << 20, &inner, &inner_n, &e), &e);
    /* The fifth recorded batch alone, so that its offset goes on. */
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    batch_assign(inner, 10, 0);
    assert_ok(batch_builder_add(b, EPOCH_MS, NULL, 0, inner, (size_t)f->batch, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(b, &BATCH_NO_PRODUCER, &data, &n, &e), &e);
    struct log *log = open_damaged(f, true);
    struct log_append_args args = append_args();
    int64_t outer = log_size(log), found;
    assert_ok(log_append(log, data, n, &args, &out, &e), &e);
    assert_int_equal(append(log, 1), 11);
    close_log(log, true);
    damage_file(f->path, outer + 16);
    assert_int_equal(resync(f->path, outer, 10, &found), ERR_OK);
    assert_int_equal(found, 11);
    batch_builder_free(b);
    mem_free(inner);
}

/* ---- the middle ---- */

static int check_middle(struct fixture *f, struct err *e)
{
    return log_check_middle(f->dir, e);
}

static void only_damage_before_whole_batches_is_told(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    char *copy = join(f->dir, "copy"), *none = join(f->dir, "none");
    assert_ok(log_check_middle(none, &e), &e);
    assert_ok(check_middle(f, &e), &e);
    copy_file(f->path, copy);
    for (int64_t at = 0; at < BATCHES * f->batch; at += 7) {
        copy_file(copy, f->path);
        if (at % f->batch >= 12 && at % f->batch < 16)
            continue; /* the leader epoch is outside of the CRC */
        damage_file(f->path, at);
        bool last = at >= (BATCHES - 1) * f->batch;
        /* An offset that is too large in the last batch is a gap. */
        if (check_middle(f, &e) != (last ? ERR_OK : ERR_CORRUPT))
            fail_msg("byte %d: %s", (int)at, e.text);
        if (last)
            continue;
        assert_non_null(strstr(e.text, LOG0));
        assert_non_null(strstr(e.text, "byte "));
    }
    for (int64_t size = (BATCHES - 1) * f->batch; size < BATCHES * f->batch; size += 5) {
        copy_file(copy, f->path);
        cut_file(f->path, size);
        assert_ok(check_middle(f, &e), &e);
    }
    free(none);
    free(copy);
}

static void damage_before_another_segment_is_in_the_middle(void **state)
{
    struct fixture *f = *state;
    struct err e = {0};
    struct log_open_args a = open_args(f->dir);
    a.recovery_point = BATCHES;
    a.clean = true;
    struct log *log = open_log(&a, NULL);
    assert_ok(log_roll(log, true, &e), &e);
    append(log, 1);
    close_log(log, true);
    assert_ok(check_middle(f, &e), &e);
    cut_file(f->path, BATCHES * f->batch - 3);
    assert_code(check_middle(f, &e), ERR_CORRUPT, &e);
}

/* ---- repairs under faults ---- */

/* One try at writing the damaged segment anew, with a fault somewhere in it; what is left must still be whole or as it was. */
struct attempt {
    struct fixture *f;
    int nth;
    int done; /* tries that came to their end */
};

static void keep_good_once(void *arg)
{
    struct attempt *a = arg;
    struct fixture *f = a->f;
    struct repair_result r;
    struct err e = {0};
    struct walked w;
    char *aside = join(f->dir, "aside"), *copy = join(f->dir, "damaged"), name[64];
    snprintf(name, sizeof name, "%d", a->nth++);
    char *there = join(aside, name);
    int rc = repair_keep_good(f->dir, 0, INT64_MAX, BATCHES, false, there, &r, &e);
    fault_disarm();
    if (rc == ERR_OK) {
        a->done++;
        assert_int_equal(r.kept, BATCHES - 1);
    }
    /* Whatever happened: the log opens, with everything but the damaged batch. */
    struct log *log = open_damaged(f, false);
    assert_int_equal(walk_log(log, 4).batches, BATCHES - 4);
    int walked = try_walk(log, 0, 4096, READ_UNCOMMITTED, &w, &e);
    assert_true(walked == ERR_CORRUPT ? w.next == 3 : w.next == BATCHES && w.batches == BATCHES - 1);
    assert_true(rc != ERR_OK || walked == ERR_OK);
    close_log(log, false);
    copy_file(copy, f->path); /* damaged again, for the next try */
    free(there);
    free(copy);
    free(aside);
}

static void a_repair_that_fails_leaves_the_segment(void **state)
{
    static const enum fault_point points[] = {FAULT_ALLOC, FAULT_WRITE, FAULT_SYNC, FAULT_READ, FAULT_META};
    struct fixture *f = *state;
    struct attempt a = {.f = f};
    char *copy = join(f->dir, "damaged");
    damage_file(f->path, 3 * f->batch + 16);
    copy_file(f->path, copy);
    free(copy);
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        a.done = 0;
        assert_true(
            testkit_each_fault(points[i], points[i] == FAULT_ALLOC ? ENOMEM : EIO, keep_good_once, &a) > 0);
        assert_int_equal(a.done, 1); /* only the last try met no fault */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_log_that_lost_its_bytes_goes_on_behind_them, setup, teardown),
        cmocka_unit_test_setup_teardown(who_asks_behind_damage_reads_on, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_up_to_the_end_of_a_segment, setup, teardown),
        cmocka_unit_test_setup_teardown(indexes_reach_behind_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(the_next_batch_is_found_from_every_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(a_batch_in_a_value_is_not_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(only_damage_before_whole_batches_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_before_another_segment_is_in_the_middle, setup, teardown),
        cmocka_unit_test_setup_teardown(a_repair_that_fails_leaves_the_segment, setup, teardown),
    };
    return cmocka_run_group_tests_name("damage", tests, NULL, NULL);
}
