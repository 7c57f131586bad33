/*
 * What is staged for the journal: one record, or two at the end of a file; that whatever fits needs no new file when it is written;
 * and that memory is given back.
 */
#include "kit.h"

#include <sys/mman.h>

#include "base/fault.h"
#include "base/io_watch.h"
#include "storage/journal_internal.h"

#define MIB ((size_t)1 << 20)
#define AROUND (JOURNAL_ENTRY_HEADER + JOURNAL_RECORD_HEADER)

struct seen {
    int64_t offsets[4096];
    size_t bytes[4096];
    size_t n;
};

static int note(void *arg, const struct journal_entry *en, struct err *e)
{
    struct seen *s = arg;
    (void)e;
    assert_true(s->n < 4096);
    const uint8_t *data = en->data;
    assert_int_equal(data[0], (uint8_t)en->base_offset);
    assert_int_equal(data[en->bytes - 1], (uint8_t)en->base_offset);
    s->offsets[s->n] = en->base_offset;
    s->bytes[s->n++] = en->bytes;
    return ERR_OK;
}

static struct journal *open_journal(const char *dir, struct seen *s)
{
    struct journal_options o = {.dir = dir, .file_bytes = 8 * MIB, .record_bytes = 32 * MIB};
    struct journal *j;
    struct err e = {0};
    memset(s, 0, sizeof *s);
    assert_ok(journal_open(&j, &o, &e), &e);
    assert_ok(journal_replay(j, note, s, &e), &e);
    return j;
}

static void stage_of(struct journal *j, int32_t partition, int64_t offset, size_t bytes)
{
    struct err e = {0};
    uint8_t *data = malloc(bytes);
    memset(data, (int)(offset & 255), bytes);
    struct journal_entry en = {.partition = partition,
                               .base_offset = offset,
                               .next_offset = offset + 1,
                               .data = data,
                               .bytes = bytes};
    journal_group(j, bytes + JOURNAL_ENTRY_HEADER);
    assert_ok(journal_stage(j, &en, &e), &e);
    free(data);
}

static void stage(struct journal *j, int64_t offset, size_t bytes)
{
    stage_of(j, 0, offset, bytes);
}

static void commit(struct journal *j)
{
    struct err e = {0};
    assert_ok(journal_commit(j, &e), &e);
}

static uint64_t records(struct journal *j)
{
    struct journal_stats s;
    journal_stats(j, &s);
    return s.commits;
}

static void expect_offsets(const struct seen *s, size_t n)
{
    assert_int_equal(s->n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(s->offsets[i], i);
}

/* The first file has 4 MiB. */
static struct journal *begin(const char *dir, struct seen *s)
{
    struct journal *j = open_journal(dir, s);
    stage(j, 0, 100);
    commit(j);
    assert_int_equal(records(j), 1);
    return j;
}

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

static void test_the_rest_of_a_file_is_used(void **state)
{
    struct seen s;
    struct journal *j = begin(*state, &s);
    stage(j, 1, MIB);
    stage(j, 2, 3 * MIB / 2);
    stage(j, 3, 3 * MIB); /* no room for this one behind those */
    stage(j, 4, 3 * MIB);
    commit(j);
    assert_int_equal(records(j), 3);
    assert_int_equal(journal_sealed(j), 1);
    stage(j, 5, 100);
    commit(j);
    assert_int_equal(records(j), 4);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 6);
    journal_close(j);
}

/* What is small enough to leave the rest unused, or has no room there itself, stays one record. */
static void test_one_record(void **state)
{
    struct seen s;
    struct journal *j = begin(*state, &s);
    stage(j, 1, MIB);
    stage(j, 2, 3 * MIB);
    commit(j);
    assert_int_equal(records(j), 2);
    assert_int_equal(journal_sealed(j), 1);
    stage(j, 3, 100);
    stage(j, 4, 9 * MIB); /* larger than a file has to be */
    stage(j, 5, 9 * MIB);
    commit(j);
    assert_int_equal(records(j), 3);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 6);
    journal_close(j);
}

/* The part that is closed fills the buffer to its last byte, so that it grows before anything of the next one is in it. */
static void test_a_closed_part_as_large_as_the_buffer(void **state)
{
    struct seen s;
    struct journal *j = begin(*state, &s);
    stage(j, 1, 2 * MIB - AROUND);
    assert_int_equal(journal_held(&j->stage[j->filling]), j->stage[j->filling].cap);
    stage(j, 2, 3 * MIB);
    assert_int_equal(j->stage[j->filling].open.at, 2 * MIB);
    commit(j);
    assert_int_equal(records(j), 3);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 3);
    journal_close(j);
}

static void test_what_is_taken_back(void **state)
{
    struct seen s;
    struct journal *j = begin(*state, &s);
    stage(j, 1, 5 * MIB / 2);
    struct journal_mark mark = journal_mark(j);
    stage(j, 2, 3 * MIB);
    journal_unstage(j, mark);
    stage(j, 2, 100);
    mark = journal_mark(j);
    stage(j, 3, 3 * MIB);
    journal_unstage(j, mark);
    commit(j);
    assert_int_equal(records(j), 2);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 3);
    assert_int_equal(s.bytes[2], 100);
    journal_close(j);
}

/* The first part is durable before the second is written. */
static void test_the_second_part_fails(void **state)
{
    struct err e = {0};
    struct seen s;
    struct journal *j = begin(*state, &s);
    stage(j, 1, 5 * MIB / 2);
    stage(j, 2, 3 * MIB);
    assert_ok(journal_prepare(j, 1, &e), &e); /* its file is there, so that it is the write which fails */
    fault_arm_at(FAULT_WRITE, "00000001.journal", 2, EIO, false); /* behind the first block */
    assert_code(journal_commit(j, &e), ERR_IO, &e);
    fault_disarm();
    assert_true(e.fatal);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 2);
    journal_close(j);
}

/* ---- room --------------------------------------------------------------------------------------------------------- */

struct making {
    bool forbidden;
    int made;
};

static void see_open(void *arg, struct io_event *ev)
{
    struct making *m = arg;
    if (ev->op != IO_OP_OPEN || !(ev->flags & O_CREAT))
        return;
    assert_false(m->forbidden);
    m->made++;
}

/* No commit makes a file, however the entries lie. */
static void test_what_fits_needs_no_file(void **state)
{
    struct err e = {0};
    struct seen s;
    struct making m = {0};
    struct journal *j = open_journal(*state, &s);
    uint64_t x = 7;
    int64_t next = 0, released = 0;
    io_watch(see_open, &m);
    for (int step = 0; step < 300; step++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        size_t bytes = 1 + (size_t)(x >> 40) % (x >> 33 & 1 ? 5 * MIB : MIB / 8);
        for (int i = 0; i < 4 && !journal_fits(j, bytes + AROUND); i++)
            assert_ok(journal_prepare(j, bytes + AROUND, &e), &e);
        assert_true(journal_fits(j, bytes + AROUND));
        stage(j, next++, bytes);
        m.forbidden = true;
        if (step % 3 == 0) {
            assert_ok(journal_write(j, &e), &e); /* what was taken before */
            assert_true(journal_take(j));
        } else if (step % 7 == 0) {
            assert_ok(journal_write(j, &e), &e);
        }
        m.forbidden = false;
        if (step % 40 == 39) {
            assert_ok(journal_release(j, journal_sealed(j), &e), &e);
            released = next;
        }
    }
    io_watch(NULL, NULL);
    assert_ok(journal_write(j, &e), &e);
    commit(j);
    journal_close(j);
    assert_true(m.made > 3);
    j = open_journal(*state, &s);
    assert_true(s.n > 0 && s.n <= (size_t)next);
    assert_int_equal(s.offsets[s.n - 1], next - 1);
    for (size_t i = 1; i < s.n; i++)
        assert_int_equal(s.offsets[i], s.offsets[i - 1] + 1);
    assert_true(s.offsets[0] <= released);
    journal_close(j);
}

/* ---- memory ------------------------------------------------------------------------------------------------------- */

static size_t resident(const struct journal *j)
{
    size_t n = 0;
    for (int i = 0; i < 2; i++) {
        const struct journal_stage_buffer *b = &j->stage[i];
        size_t pages = b->cap / JOURNAL_BLOCK;
        unsigned char *there = malloc(pages);
        assert_int_equal(mincore(b->data, pages * JOURNAL_BLOCK, there), 0);
        for (size_t k = 0; k < pages; k++)
            n += there[k] & 1;
        free(there);
    }
    return n * JOURNAL_BLOCK;
}

/* A partition's entries are taken out of both parts of what was taken, and not of what is staged since. */
static void test_what_is_dropped(void **state)
{
    struct seen s;
    struct uuid id = {{0}}, other = {{1}};
    struct err e = {0};
    struct journal *j = begin(*state, &s);
    stage_of(j, 1, 50, 2 * MIB);
    stage_of(j, 0, 1, 1000);
    stage_of(j, 1, 51, 3 * MIB); /* a record of its own, in the next file */
    stage_of(j, 0, 2, 1000);
    stage_of(j, 1, 52, 10);
    assert_true(journal_take(j));
    assert_true(j->stage[j->filling ^ 1].closed.entries > 0);
    stage_of(j, 1, 3, 10);
    journal_drop(j, &other, 1);
    journal_drop(j, &id, 1);
    assert_ok(journal_write(j, &e), &e);
    commit(j);
    stage_of(j, 1, 53, 100);
    assert_true(journal_take(j));
    journal_drop(j, &id, 1); /* nothing is left to be written */
    uint64_t before = records(j);
    assert_ok(journal_write(j, &e), &e);
    assert_int_equal(records(j), before);
    stage_of(j, 1, 4, 100);
    commit(j);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 5);
    journal_close(j);
}

static void test_memory_is_given_back(void **state)
{
    struct seen s;
    struct journal *j = open_journal(*state, &s);
    for (int i = 0; i < 2; i++) {
        stage(j, i, 20 * MIB);
        commit(j);
    }
    assert_true(resident(j) >= 40 * MIB);
    journal_trim(j);
    assert_true(resident(j) >= 40 * MIB); /* it was needed since the last time */
    stage(j, 2, 3 * MIB);
    commit(j);
    journal_trim(j);
    assert_in_range(resident(j), 3 * MIB, 4 * MIB);
    journal_trim(j);
    assert_in_range(resident(j), 0, MIB);
    stage(j, 3, 20 * MIB);
    journal_trim(j);
    journal_trim(j); /* what is staged stays */
    commit(j);
    journal_close(j);
    j = open_journal(*state, &s);
    expect_offsets(&s, 4);
    journal_close(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_rest_of_a_file_is_used, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_closed_part_as_large_as_the_buffer, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_second_part_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_fits_needs_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_is_given_back, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
