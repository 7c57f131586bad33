/*
 * What cleaning leaves: random schedules against a naive model, then single rules: tombstones, markers, producers, lags,
 * bounds, indexes.
 */
#include "clean_kit.h"

/* ---- random schedules ---------------------------------------------------------------------------------------------- */

/* Every offset finds its batch, by index or hint, and times find the record that a walk over the model finds. */
static void check_lookups(struct model *m, struct log *log)
{
    struct err e = {0};
    for (int64_t at = log_start_offset(log); at < log_high_watermark(log); at += 1 + model_random(m, 9)) {
        struct log_range r;
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        assert_true(r.bytes > 0);
        assert_true(r.next_offset > at);
        log_range_release(&r);
    }
    for (int i = 0; i < 20; i++) {
        int64_t ts = EPOCH_MS + 1 + model_random(m, (unsigned)(m->now - EPOCH_MS)), offset,
                found; /* markers are older */
        size_t k = 0;
        while (k < m->record_count && (m->records[k].gone || m->records[k].timestamp < ts))
            k++;
        assert_ok(log_offset_for_time(log, ts, &offset, &found, &e), &e);
        /* A batch that was emptied keeps its time, so a walk may pass it; records are what is found. */
        assert_int_equal(offset, k < m->record_count ? m->records[k].offset : -1);
    }
}

/* Sealed segments go on where the one before ends; that is how recovery tells a torn one. */
static void check_seams(struct log *log, int64_t below)
{
    struct err e = {0};
    struct segment_info *list;
    size_t n;
    assert_ok(log_segments(log, &list, &n, &e), &e);
    for (size_t i = 0; i + 1 < n && list[i + 1].base_offset <= below; i++) {
        struct log_range r;
        int64_t at = list[i + 1].base_offset - 1;
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        assert_int_equal(r.next_offset, list[i + 1].base_offset);
        log_range_release(&r);
    }
    mem_free(list);
}

struct producers_seen {
    struct producer_info *list;
    size_t n;
};

static int by_id(const void *a, const void *b)
{
    const struct producer_info *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static struct producers_seen producers_of(struct log *log)
{
    struct err e = {0};
    struct producers_seen p;
    assert_ok(log_producers(log, &p.list, &p.n, &e), &e);
    qsort(p.list, p.n, sizeof *p.list, by_id);
    return p;
}

/* Closes and opens again: kinds are a clean stop, a kill, a kill that also lost the snapshots and indexes. */
static void reopen(struct model *m, struct log_open_args *args, int kind)
{
    struct err e = {0};
    char command[600];
    assert_ok(log_flush(m->log, &e), &e);
    struct producers_seen before = producers_of(m->log);
    int64_t stable = log_last_stable_offset(m->log), end = log_end_offset(m->log);
    args->recovery_point = log_recovery_point(m->log);
    close_log(m->log, kind == 0);
    args->clean = kind == 0;
    snprintf(command, sizeof command, "rm -f %s/*.snapshot %s/*index", args->dir, args->dir);
    if (kind == 2)
        assert_int_equal(system(command), 0);
    m->log = open_log(args, NULL);
    log_set_high_watermark(m->log, end);
    assert_int_equal(log_end_offset(m->log), end);
    assert_int_equal(log_last_stable_offset(m->log), stable);
    struct producers_seen after = producers_of(m->log);
    assert_int_equal(before.n, after.n);
    for (size_t i = 0; i < before.n; i++) {
        assert_int_equal(before.list[i].id, after.list[i].id);
        assert_int_equal(before.list[i].epoch, after.list[i].epoch);
        assert_int_equal(before.list[i].last_sequence, after.list[i].last_sequence);
        assert_int_equal(before.list[i].last_offset, after.list[i].last_offset);
        assert_int_equal(before.list[i].txn_first_offset, after.list[i].txn_first_offset);
    }
    mem_free(before.list);
    mem_free(after.list);
}

static void one_schedule(unsigned seed)
{
    char *dir = testkit_dir();
    struct err e = {0};
    struct log_open_args args = model_args(dir);
    struct model m = {.log = open_log(&args, NULL), .seed = seed, .now = EPOCH_MS};
    size_t map = seed % 3 ? 1 << 20 : 300; /* of a few keys only */
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = map}, &e);
    assert_non_null(c);
    print_message("seed %u\n", seed);
    for (int i = 0; i < 300; i++) {
        model_step(&m);
        if (model_random(&m, 40) == 0)
            assert_ok(log_roll(m.log, true, &e), &e);
        if (model_random(&m, 20) == 0 && model_pass(&m, c, &args.config)) {
            model_verify(&m, m.log);
            check_lookups(&m, m.log);
            check_seams(m.log, m.checkpoint);
        }
        if (model_random(&m, 60) == 0) {
            reopen(&m, &args, (int)model_random(&m, 3));
            model_verify(&m, m.log);
        }
    }
    assert_true(m.cleaned > 2);
    close_log(m.log, true);
    cleaner_free(c);
    model_free(&m);
    testkit_remove_dir(dir);
}

static void test_random_schedules(void **state)
{
    (void)state;
    const char *only = getenv("SEED");
    for (unsigned seed = 1; seed <= 40; seed++)
        one_schedule(only ? (unsigned)strtoul(only, NULL, 10) : seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_schedules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
