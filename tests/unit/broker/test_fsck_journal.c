/*
 * fsck, and the journal of a hub that was killed: what it refers to must be in the logs, and what it has for a segment keeps a
 * repair from moving the places there.
 */
#include "tests/unit/broker/fsck.h"

#include <unistd.h>

#include "base/diag.h"
#include "broker/dump.h"

enum { LARGE_KEY = 40000, LARGE_FROM = 32 << 10 };

#define T0 "logs/t-0/00000000000000000000.log"

static void open_broker(struct fixture *f)
{
    struct broker_options o = {
        .data_dir = f->dir, .journal_file_bytes = 1 << 20, .no_threads = true, .direct_bytes = LARGE_FROM};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
}

/* What is on disk now, as a kill leaves it: a directory of its own, which nobody has open. */
struct killed {
    struct fixture f; /* not opened */
    struct seen seen;
};

static void kill_copy(const struct fixture *f, struct killed *k)
{
    memset(k, 0, sizeof *k);
    k->f.dir = mem_printf("%s.killed", f->dir);
    copy_tree(f->dir, k->f.dir);
}

static void end_copy(struct killed *k)
{
    assert_ok(io_remove_tree(k->f.dir, &k->f.e), &k->f.e);
    mem_free(k->f.dir);
    buf_free(&k->f.batch);
}

static int setup_small(void **state)
{
    setup(state);
    struct fixture *f = *state;
    diag_setup(DIAG_OFF, DIAG_TEXT);
    create(f, "t", 1);
    fixture_close(f);
    open_broker(f);
    return 0;
}

static int teardown_small(void **state)
{
    diag_setup(DIAG_INFO, DIAG_TEXT);
    return teardown(state);
}

static void produce_large(struct fixture *f, int i)
{
    f->key_bytes = LARGE_KEY;
    produce(f, "t", 0, "L", i, 1);
    f->key_bytes = 0;
}

static void what_is_referred_to_must_be_there(void **state)
{
    struct fixture *f = *state;
    struct killed k;
    produce_large(f, 0);
    long first = size_of(f, T0);
    produce_large(f, 1);
    kill_copy(f, &k);
    EXPECT(&k.f, &k.seen, CHECK_KIND_COUNT);
    assert_false(k.seen.report.clean);
    flip(&k.f, T0, 100, 1); /* no end that was not synced */
    EXPECT(&k.f, &k.seen, CHECK_DAMAGED_BATCH);
    assert_int_equal(k.seen.last[CHECK_DAMAGED_BATCH].next_offset, 1);
    flip(&k.f, T0, 100, 1);
    assert_int_equal(truncate(path_of(&k.f, T0), size_of(&k.f, T0) - 1), 0);
    EXPECT(&k.f, &k.seen, CHECK_DAMAGED_BATCH);
    assert_int_equal(k.seen.last[CHECK_DAMAGED_BATCH].next_offset, 2);
    assert_int_equal(truncate(path_of(&k.f, T0), first), 0);
    EXPECT(&k.f, &k.seen, CHECK_REFERENCE_BEYOND_END);
    assert_int_equal(k.seen.last[CHECK_REFERENCE_BEYOND_END].offset, 1);
    assert_int_equal(k.seen.last[CHECK_REFERENCE_BEYOND_END].next_offset, 2);
    assert_non_null(strstr(k.seen.text[CHECK_REFERENCE_BEYOND_END], ".journal"));
    remove_name(&k.f, "logs/t-0");
    EXPECT(&k.f, &k.seen, CHECK_MISSING_PARTITION);
    end_copy(&k);
}

/* The journal's file is released by a clean stop, and what it said counts no more. */
static void what_was_released_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    static struct seen s;
    int64_t low;
    produce_large(f, 0);
    fixture_close(f);
    open_broker(f);
    assert_ok(broker_delete_records(f->b, "t", 0, 1, &low, &f->e), &f->e);
    produce(f, "t", 0, "small", 0, 1);
    fixture_close(f);
    EXPECT(f, &s, CHECK_KIND_COUNT);
    remove_name(f, "logs/.kafka_cleanshutdown");
    EXPECT(f, &s, CHECK_KIND_COUNT);
}

/* The offsets of what was damaged below a reference are not given to others. */
static void damage_below_a_reference_is_mended(void **state)
{
    struct fixture *f = *state;
    struct killed k;
    uint64_t left;
    produce_large(f, 0);
    produce_large(f, 1);
    kill_copy(f, &k);
    flip(&k.f, T0, -3, 1);
    assert_true(mend(&k.f, REPAIR_DAMAGE, false, false, &left) >= 1);
    assert_int_equal(left, 0);
    buf_init(&k.f.batch, 64 << 20);
    open_broker(&k.f);
    expect_all(&k.f, "t", 0, READ_UNCOMMITTED, "L0");
    assert_int_equal(produce(&k.f, "t", 0, "new", 0, 1), 2);
    fixture_close(&k.f);
    end_copy(&k);
}

/* Written anew, the segment would have its batches elsewhere than the journal puts them back to. */
static void a_segment_that_the_journal_knows_is_not_mended(void **state)
{
    struct fixture *f = *state;
    struct killed k;
    uint64_t left;
    for (int i = 0; i < 3; i++)
        produce(f, "t", 0, "v", i, 1);
    fixture_close(f);
    long synced = size_of(f, T0);
    open_broker(f);
    for (int i = 3; i < 6; i++)
        produce(f, "t", 0, "v", i, 1);
    kill_copy(f, &k);
    flip(&k.f, T0, synced / 3 * 2 - 1, 1); /* the end of the second one's record */
    EXPECT(&k.f, &k.seen, CHECK_DAMAGED_BATCH);
    for (int segments = 0; segments < 2; segments++) {
        assert_int_equal(mend(&k.f, REPAIR_DAMAGE, segments, false, &left), 1);
        assert_int_equal(left, 1);
        EXPECT(&k.f, &k.seen, CHECK_DAMAGED_BATCH);
    }
    buf_init(&k.f.batch, 64 << 20);
    open_broker(&k.f);
    fixture_close(&k.f);
    EXPECT(&k.f, &k.seen, CHECK_DAMAGED_BATCH);
    assert_int_equal(k.seen.report.journal_records, 0); /* as the first block of its newest file says */
    assert_true(mend(&k.f, REPAIR_DAMAGE, false, false, &left) >= 1);
    assert_int_equal(left, 0);
    open_broker(&k.f);
    expect_all(&k.f, "t", 0, READ_UNCOMMITTED, "v0,v2,v3,v4,v5");
    fixture_close(&k.f);
    end_copy(&k);
}

static int take_line(void *arg, const char *text, size_t n, struct err *e)
{
    int rc = buf_append(arg, text, n, e);
    return rc ? rc : buf_append(arg, "\n", 1, e);
}

static void references_are_dumped(void **state)
{
    struct fixture *f = *state;
    struct dump_report report = {0};
    struct buf out;
    struct dump_options o = {.to = INT64_MAX, .line = take_line, .arg = &out};
    buf_init(&out, 1 << 20);
    produce(f, "t", 0, "small", 0, 1);
    produce_large(f, 1);
    assert_ok(dump_path(&o, path_of(f, "journal"), &report, &f->e), &f->e);
    assert_ok(buf_u8(&out, 0, &f->e), &f->e);
    const char *text = (const char *)out.data;
    assert_non_null(strstr(text, "baseOffset: 0 lastOffset: 0 size: "));
    assert_non_null(strstr(text, "baseOffset: 1 lastOffset: 1 reference: true\n"));
    assert_int_equal(report.problems, 0);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_referred_to_must_be_there, setup_small, teardown_small),
        cmocka_unit_test_setup_teardown(what_was_released_is_not_asked_for, setup_small, teardown_small),
        cmocka_unit_test_setup_teardown(damage_below_a_reference_is_mended, setup_small, teardown_small),
        cmocka_unit_test_setup_teardown(a_segment_that_the_journal_knows_is_not_mended, setup_small,
                                        teardown_small),
        cmocka_unit_test_setup_teardown(references_are_dumped, setup_small, teardown_small),
    };
    return cmocka_run_group_tests_name("fsck_journal", tests, NULL, NULL);
}
