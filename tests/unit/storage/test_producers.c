/*
 * test_producers: sequences, duplicates and epochs of idempotent producers; transactions, last stable offset, aborted
 * ranges; and that all of it survives a clean stop, a crash and a truncation.
 */
#include "kit.h"

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

static struct batch_spec from(int64_t id, int16_t epoch, int32_t sequence, int records, bool transactional)
{
    return (struct batch_spec){
        .records = records,
        .producer = {.id = id, .epoch = epoch, .base_sequence = sequence, .transactional = transactional},
        .has_producer = true,
    };
}

static int send(struct log *log, struct batch_spec spec, struct log_appended *out, struct err *e)
{
    return try_append(log, &spec, out, e);
}

#define assert_sent(log, spec, offset)                                                                       \
    do {                                                                                                     \
        struct err sent_e = {0};                                                                             \
        struct log_appended sent;                                                                            \
        assert_ok(send(log, spec, &sent, &sent_e), &sent_e);                                                 \
        assert_int_equal(sent.base_offset, offset);                                                          \
    } while (0)

#define assert_refused(log, spec, code)                                                                      \
    do {                                                                                                     \
        struct err refused_e = {0};                                                                          \
        struct log_appended refused;                                                                         \
        int64_t end_before = log_end_offset(log);                                                            \
        assert_code(send(log, spec, &refused, &refused_e), code, &refused_e);                                \
        assert_int_equal(log_end_offset(log), end_before);                                                   \
    } while (0)

static void mark(struct log *log, int64_t id, int16_t epoch, bool commit)
{
    struct err e = {0};
    struct log_appended out;
    assert_ok(try_marker(log, id, epoch, commit, &out, &e), &e);
}

static void sequences_must_follow(void **state)
{
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_sent(log, from(1, 0, 17, 1, false), 0); /* nothing known: any sequence */
    assert_sent(log, from(1, 0, 18, 3, false), 1);
    assert_refused(log, from(1, 0, 22, 1, false), ERR_OUT_OF_ORDER_SEQUENCE);
    assert_refused(log, from(1, 0, 20, 2, false), ERR_OUT_OF_ORDER_SEQUENCE); /* overlaps */
    assert_sent(log, from(1, 0, 21, 1, false), 4);
    assert_refused(log, from(1, 1, 5, 1, false), ERR_OUT_OF_ORDER_SEQUENCE); /* a new epoch starts at 0 */
    assert_sent(log, from(1, 1, 0, 2, false), 5);
    assert_refused(log, from(1, 0, 22, 1, false), ERR_INVALID_PRODUCER_EPOCH);
    assert_refused(log, from(2, 0, -1, 1, false), ERR_INVALID_RECORD);
    close_log(log, true);
}

static void the_last_five_batches_are_known_again(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 7; i++)
        assert_sent(log, from(1, 0, i * 2, 2, false), i * 2);
    int64_t size = log_size(log);
    for (int i = 2; i < 7; i++) {
        assert_ok(send(log, from(1, 0, i * 2, 2, false), &out, &e), &e);
        assert_true(out.duplicate);
        assert_int_equal(out.base_offset, i * 2);
        assert_int_equal(out.last_offset, i * 2 + 1);
        assert_int_equal(out.bytes, 0);
        assert_int_equal(out.append_time, EPOCH_MS + 1); /* the largest timestamp of what is there */
    }
    assert_int_equal(log_size(log), size);
    assert_refused(log, from(1, 0, 2, 2, false), ERR_OUT_OF_ORDER_SEQUENCE); /* the sixth last */
    assert_refused(log, from(1, 0, 12, 1, false), ERR_OUT_OF_ORDER_SEQUENCE);
    close_log(log, true);
    a.clean = true; /* a snapshot holds one batch of each */
    a.recovery_point = 14;
    log = open_log(&a, NULL);
    assert_ok(send(log, from(1, 0, 12, 2, false), &out, &e), &e);
    assert_true(out.duplicate);
    assert_sent(log, from(1, 0, 14, 1, false), 14);
    close_log(log, false);
    log = open_log(&a, NULL); /* crashed: read again from the batches */
    assert_ok(send(log, from(1, 0, 14, 1, false), &out, &e), &e);
    assert_true(out.duplicate);
    close_log(log, true);
}

static void sequences_wrap(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_sent(log, from(1, 0, INT32_MAX - 1, 4, false), 0); /* ...-1, MAX, 0, 1 */
    assert_ok(send(log, from(1, 0, INT32_MAX - 1, 4, false), &out, &e), &e);
    assert_true(out.duplicate);
    assert_sent(log, from(1, 0, 2, 1, false), 4);
    assert_sent(log, from(2, 0, INT32_MAX, 1, false), 5);
    assert_sent(log, from(2, 0, 0, 1, false), 6);
    close_log(log, true);
}

static void assert_aborted(struct log *log, int64_t f, int64_t to, size_t n)
{
    struct err e = {0};
    struct aborted_txn *list;
    size_t count;
    assert_ok(log_aborted(log, f, to, &list, &count, &e), &e);
    assert_int_equal(count, n);
    mem_free(list);
}

static void transactions_hold_the_stable_offset(void **state)
{
    struct err e = {0};
    struct walked w;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    append(log, 1); /* 0 */
    assert_sent(log, from(1, 0, 0, 1, true), 1);
    assert_sent(log, from(2, 0, 0, 2, true), 2);
    append(log, 1); /* 4 */
    log_set_high_watermark(log, 5);
    assert_int_equal(log_last_stable_offset(log), 1);
    assert_refused(log, from(1, 0, 1, 1, false), ERR_INVALID_TXN_STATE);
    mark(log, 1, 0, true); /* 5, but nobody may rely on it below the watermark */
    assert_int_equal(log_last_stable_offset(log), 1);
    log_set_high_watermark(log, 6);
    assert_int_equal(log_last_stable_offset(log), 2);
    assert_ok(try_walk(log, 0, 4096, READ_COMMITTED, &w, &e), &e);
    assert_int_equal(w.next, 2);
    mark(log, 2, 0, false); /* 6 */
    log_set_high_watermark(log, 7);
    assert_int_equal(log_last_stable_offset(log), 7);
    assert_aborted(log, 0, 7, 1);
    assert_aborted(log, 0, 2, 0);
    assert_aborted(log, 7, 9, 0);
    assert_aborted(log, 6, 7, 1);
    mark(log, 1, 0, false); /* ends nothing: no aborted range */
    log_set_high_watermark(log, 8);
    assert_aborted(log, 0, 8, 1);
    assert_sent(log, from(2, 0, 2, 1, true), 8); /* open at the stop */
    close_log(log, true);
    a.clean = true;
    a.recovery_point = 9;
    for (int how = 0; how < 3; how++) { /* clean, crashed after, crashed from the start */
        log = open_log(&a, NULL);
        log_set_high_watermark(log, 9);
        assert_int_equal(log_last_stable_offset(log), 8);
        assert_aborted(log, 0, 9, 1);
        close_log(log, how == 2);
        a.clean = false;
        if (how)
            a.recovery_point = 0;
    }
}

static void many_aborted_over_many_segments(void **state)
{
    struct err e = {0};
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 2000;
    struct log *log = open_log(&a, NULL);
    int32_t sequence = 0;
    for (int i = 0; i < 100; i++) {
        assert_sent(log, from(1, 0, sequence++, 1, true), i * 2);
        mark(log, 1, 0, i % 2);
    }
    for (int how = 0; how < 3; how++) {
        log_set_high_watermark(log, 200);
        struct aborted_txn *list;
        size_t n;
        assert_ok(log_aborted(log, 0, 200, &list, &n, &e), &e);
        assert_int_equal(n, 50);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(list[i].first_offset, 4 * i);
            assert_int_equal(list[i].last_offset, 4 * i + 1);
        }
        mem_free(list);
        assert_aborted(log, 100, 104, 1);
        close_log(log, how == 1);
        a.recovery_point = how == 0 ? 77 : 0;
        log = open_log(&a, NULL);
    }
    close_log(log, true);
}

static void markers_fence_older_epochs(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct producer_info *list;
    size_t n;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_sent(log, from(1, 3, 0, 1, true), 0);
    assert_code(try_marker_from(log, LOG_FROM_ADMIN, 1, 2, 0, true, &out, &e), ERR_INVALID_PRODUCER_EPOCH,
                &e);
    mark(log, 1, 4, false);
    assert_refused(log, from(1, 3, 1, 1, true), ERR_INVALID_PRODUCER_EPOCH);
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    assert_int_equal(list[0].epoch, 4);
    assert_int_equal(list[0].last_sequence, -1);
    assert_int_equal(list[0].txn_first_offset, -1);
    mem_free(list);
    assert_sent(log, from(1, 4, 0, 1, true), 2);
    log_expire_producers(log, EPOCH_MS + 1000, 10); /* one with an open transaction stays */
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    mem_free(list);
    mark(log, 1, 4, true);
    log_expire_producers(log, EPOCH_MS + 1000, 10);
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 0);
    close_log(log, true);
}

static struct producer_info only_producer(struct log *log)
{
    struct producer_info *list, info;
    struct err e = {0};
    size_t n;
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    info = list[0];
    mem_free(list);
    return info;
}

/* KIP-664, KIP-1228: what an administrator may write; and whatever that was, the coordinator's own markers hold. */
static void markers_that_are_asked_for(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    assert_sent(log, from(1, 3, 0, 1, true), 0);
    assert_code(try_marker_from(log, LOG_FROM_ADMIN_V2, 1, 3, 0, true, &out, &e), ERR_INVALID_PRODUCER_EPOCH,
                &e);
    assert_int_equal(only_producer(log).txn_first_offset, 0);
    assert_ok(try_marker_from(log, LOG_FROM_ADMIN_V2, 1, 4, 0, true, &out, &e), &e);
    assert_ok(try_marker_from(log, LOG_FROM_ADMIN_V2, 1, 4, 0, true, &out, &e), &e); /* nothing is open */
    assert_ok(try_marker_from(log, LOG_FROM_ADMIN, 1, 4, 9, false, &out, &e), &e);
    assert_code(try_marker_from(log, LOG_FROM_ADMIN, 1, 5, 8, false, &out, &e), ERR_COORDINATOR_FENCED, &e);
    assert_sent(log, from(1, 4, 0, 1, true), 4);
    mark(log, 1, 3, true); /* its coordinator, of whose epochs the administrator was ahead */
    struct producer_info info = only_producer(log);
    assert_int_equal(info.epoch, 4);
    assert_int_equal(info.coordinator_epoch, 9);
    assert_int_equal(info.txn_first_offset, -1);
    assert_int_equal(info.last_sequence, 0);
    close_log(log, false);
    log = open_log(&a, NULL);
    assert_int_equal(only_producer(log).epoch, 4);
    assert_int_equal(only_producer(log).coordinator_epoch, 9);
    close_log(log, true);
}

/* KIP-890: with transaction version 2 a batch in the middle of nothing has lost what came before it. */
static void a_transaction_begins_with_sequence_0(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    struct log_append_args args = append_args();
    args.from_zero = true;
    for (int32_t sequence = 1; sequence >= 0; sequence--) {
        size_t n;
        struct batch_spec spec = from(1, 3, sequence, 1, true);
        uint8_t *batch = make_batch(&spec, &n);
        assert_code(log_append(log, batch, n, &args, &out, &e), sequence ? ERR_OUT_OF_ORDER_SEQUENCE : ERR_OK,
                    &e);
        mem_free(batch);
    }
    close_log(log, true);
}

/* One append of several batches: each sees the ones before it, and all of them go when one is refused. */
static void an_append_of_several_batches_is_one(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    struct log *log = open_log(&a, NULL);
    for (int last = 2; last >= 1; last--) { /* the third batch jumps, or follows */
        struct buf b;
        buf_init(&b, 1 << 20);
        for (int i = 0; i < 3; i++) {
            size_t n;
            struct batch_spec spec = from(1, 0, i == 2 ? last + 1 : i, 1, true);
            uint8_t *batch = make_batch(&spec, &n);
            assert_ok(buf_append(&b, batch, n, &e), &e);
            mem_free(batch);
        }
        struct log_append_args args = append_args();
        int rc = log_append(log, b.data, b.len, &args, &out, &e);
        buf_free(&b);
        struct producer_info *list;
        size_t count;
        if (last == 2) {
            assert_code(rc, ERR_OUT_OF_ORDER_SEQUENCE, &e);
            assert_int_equal(log_end_offset(log), 0);
            assert_int_equal(log_size(log), 0);
        } else {
            assert_ok(rc, &e);
            assert_int_equal(out.base_offset, 0);
            assert_int_equal(out.last_offset, 2);
        }
        assert_ok(log_producers(log, &list, &count, &e), &e);
        assert_int_equal(count, last == 2 ? 0 : 1);
        mem_free(list);
    }
    log_set_high_watermark(log, 3);
    assert_int_equal(log_last_stable_offset(log), 0);
    assert_int_equal(walk_log(log, 0).batches, 3);
    close_log(log, true);
}

static void truncation_rebuilds_producers(void **state)
{
    struct err e = {0};
    struct log_appended out;
    struct log_open_args a = open_args(*state);
    a.config.segment_bytes = 1000;
    struct log *log = open_log(&a, NULL);
    for (int i = 0; i < 20; i++)
        assert_sent(log, from(1, 0, i, 1, i >= 3), i);
    mark(log, 1, 0, false); /* 20 */
    assert_ok(log_truncate_to(log, 12, &e), &e);
    assert_int_equal(log_end_offset(log), 12);
    log_set_high_watermark(log, 12);
    assert_int_equal(log_last_stable_offset(log), 3);
    assert_aborted(log, 0, 12, 0);
    assert_ok(send(log, from(1, 0, 11, 1, true), &out, &e), &e);
    assert_true(out.duplicate);
    assert_sent(log, from(1, 0, 12, 1, true), 12);
    mark(log, 1, 0, false);
    log_set_high_watermark(log, 14);
    assert_aborted(log, 0, 14, 1);
    assert_int_equal(walk_log(log, 0).batches, 14);
    close_log(log, true);
    a.clean = true;
    a.recovery_point = 14;
    log = open_log(&a, NULL);
    log_set_high_watermark(log, 14);
    assert_int_equal(walk_log(log, 0).batches, 14);
    assert_code(log_truncate_to(log, -1, &e), ERR_OFFSET_OUT_OF_RANGE, &e);
    assert_ok(log_truncate_to(log, 0, &e), &e);
    assert_int_equal(log_end_offset(log), 0);
    assert_int_equal(append(log, 1), 0);
    close_log(log, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(sequences_must_follow, setup, teardown),
        cmocka_unit_test_setup_teardown(the_last_five_batches_are_known_again, setup, teardown),
        cmocka_unit_test_setup_teardown(sequences_wrap, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions_hold_the_stable_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(many_aborted_over_many_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(markers_fence_older_epochs, setup, teardown),
        cmocka_unit_test_setup_teardown(markers_that_are_asked_for, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_begins_with_sequence_0, setup, teardown),
        cmocka_unit_test_setup_teardown(an_append_of_several_batches_is_one, setup, teardown),
        cmocka_unit_test_setup_teardown(truncation_rebuilds_producers, setup, teardown),
    };
    return cmocka_run_group_tests_name("producers", tests, NULL, NULL);
}
