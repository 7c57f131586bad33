/*
 * Single rules of cleaning: markers, batches without records, bounds, damage, what Kafka wrote.
 */
#include "clean_small.h"

#include <errno.h>

/* A committed transaction whose record is overwritten: the marker outlives it by a pass and the horizon. */
static void markers(bool commit)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct err e = {0};
    int64_t checkpoint = 0;
    put(log, "k", "1", &p);
    end_txn(log, 7, commit);
    put(log, "k", "2", NULL);
    put(log, "other", "2", NULL);
    roll(log);
    log_expire_producers(log, INT64_MAX, 0); /* or its last batch would stay */
    clean(log, &checkpoint, 1000);
    expect_shape(log, "mdd"); /* data of it was seen in this pass */
    put(log, "a", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 2000);
    expect_shape(log, "mHddd");
    put(log, "b", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 3999); /* delete.retention.ms is 2000 */
    expect_shape(log, "mHdddd");
    put(log, "c", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 4000);
    expect_shape(log, "ddddd");
    /* A tombstone likewise, but that the first pass counts. */
    put(log, "a", NULL, NULL);
    put(log, "last", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 5000);
    expect_shape(log, "dddddHd");
    put(log, "last", "2", NULL);
    roll(log);
    clean(log, &checkpoint, 6999);
    expect_shape(log, "dddddHd");
    put(log, "last", "3", NULL);
    roll(log);
    clean(log, &checkpoint, 7000);
    expect_shape(log, "ddddd");
    struct aborted_txn *list;
    size_t n;
    assert_ok(log_aborted(log, 0, log_end_offset(log), &list, &n, &e), &e);
    assert_int_equal(n, 0);
    close_log(log, true);
    testkit_remove_dir(dir);
}

static void test_markers(void **state)
{
    (void)state;
    markers(true);
    markers(false);
}

/* What a producer sent last stays without its record, and so does the marker that tells an epoch. */
static void test_producers_are_remembered(void **state)
{
    char *dir = testkit_dir(), command[600];
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 8, .epoch = 0, .base_sequence = 41, .transactional = false};
    struct producer_info *list;
    struct err e = {0};
    struct log_appended out;
    size_t n;
    int64_t checkpoint = 0;
    (void)state;
    put(log, "k", "1", &p);
    assert_ok(try_marker(log, 9, 3, false, &out, &e), &e); /* of a producer without data */
    log_set_high_watermark(log, out.last_offset + 1);
    put(log, "k", "2", NULL);
    roll(log);
    for (int i = 0; i < 3; i++) {
        clean(log, &checkpoint, 1000 + 5000 * i);
        put(log, "k", "3", NULL);
        roll(log);
    }
    clean(log, &checkpoint, 100000);
    expect_shape(log, "exd");
    args.recovery_point = log_end_offset(log);
    close_log(log, false);
    snprintf(command, sizeof command, "rm -f %s/*.snapshot", dir);
    assert_int_equal(system(command), 0);
    log = open_log(&args, NULL); /* from the batches alone */
    assert_ok(log_producers(log, &list, &n, &e), &e);
    assert_int_equal(n, 2);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(list[i].last_sequence, list[i].id == 8 ? 41 : -1);
        assert_int_equal(list[i].epoch, list[i].id == 8 ? 0 : 3);
    }
    mem_free(list);
    p.base_sequence = 42;
    put(log, "k", "4", &p);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Nothing behind the first open transaction, `below`, or the active segment. */
static void test_bounds(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct clean_look look;
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        put(log, "k", "1", i == 2 ? &p : NULL);
        roll(log);
    }
    put(log, "k", "2", NULL); /* segments 0, 1, 2 (open transaction), 3, 4 (active) */
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 2);
    assert_true(look.waiting_bytes > 0 && look.waiting_bytes == look.cleanable_bytes);
    assert_ok(log_clean_look(log, 0, 0, 1, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 1);
    assert_ok(log_clean_look(log, 100, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_dirty, 0); /* a checkpoint beyond the end says nothing */
    assert_ok(log_set_start_offset(log, 1, &e), &e);
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_dirty, 1);
    end_txn(log, 7, true);
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.first_uncleanable, 4);
    struct log_config kept = args.config;
    kept.cleanup_compact = false; /* between two looks of a pass */
    log_set_config(log, &kept);
    assert_ok(log_clean_look(log, 0, 0, INT64_MAX, &look, &e), &e);
    assert_int_equal(look.cleanable_bytes, 0);
    assert_int_equal(look.first_uncleanable, 1);
    log_set_config(log, &args.config);
    /* Not flushed: what the journal has of it would be put back. */
    roll(log);
    put(log, "k", "3", NULL);
    assert_ok(log_roll(log, true, &e), &e);
    struct clean_args beyond = {1, log_end_offset(log), 0};
    struct clean_result out;
    struct cleaner *c = cleaner_new(&(struct cleaner_options){.map_bytes = 1 << 20}, &e);
    assert_code(log_clean(log, c, &beyond, &out, &e), ERR_INVALID, &e);
    cleaner_free(c);
    assert_ok(log_flush(log, &e), &e);
    clean(log, &checkpoint, 0);
    assert_int_equal(checkpoint, log_end_offset(log));
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Damage is told by file and byte, and nothing is touched. */
static void test_damage(void **state)
{
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000001.log");
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    for (int i = 0; i < 4; i++) {
        put(log, "k", "1", NULL);
        roll(log);
    }
    damage_file(path, 65);
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "00000000000000000001.log: batch at byte 0"));
    assert_int_equal(checkpoint, 0);
    damage_file(path, 65);
    expect_shape(log, "dddd");
    clean(log, &checkpoint, 0);
    expect_shape(log, "d");
    close_log(log, true);
    free(path);
    testkit_remove_dir(dir);
}

/* A map of few keys takes several passes, each of which gets on. */
static void test_many_keys_in_little_memory(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0, end;
    int passes = 0;
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 100; i++) {
            char key[20];
            snprintf(key, sizeof key, "%d", i);
            put(log, key, "v", NULL);
        }
    roll(log);
    end = log_end_offset(log);
    for (; checkpoint < end; passes++) {
        int64_t before = checkpoint;
        assert_ok(try_clean(log, &checkpoint, 0, 300, &e), &e);
        assert_true(checkpoint > before);
    }
    assert_true(passes > 10);
    struct shape s = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    model_walk(log, READ_UNCOMMITTED, note_shape, &r);
    assert_int_equal(s.n, 100);
    close_log(log, true);
    testkit_remove_dir(dir);
}

/* Readers that stopped in the middle of a segment go on in the one that took its place, and one that holds bytes keeps them. */
static void test_readers_in_the_middle(void **state)
{
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct log_range held, r;
    struct err e = {0};
    int64_t checkpoint = 0;
    uint8_t before[400], after[400];
    (void)state;
    for (int i = 0; i < 20; i++)
        put(log, i % 3 ? "often" : i % 2 ? "a" : "b", "a value that is not short", NULL);
    roll(log);
    for (int64_t at = 0; at < 18; at++) { /* where each of these ended is remembered */
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        log_range_release(&r);
    }
    assert_ok(log_locate(log, 5, 400, READ_UNCOMMITTED, &held, &e), &e);
    assert_ok(log_range_read(&held, 0, before, held.bytes, &e), &e);
    clean(log, &checkpoint, 0);
    put(log, "c", "1", NULL);
    roll(log);
    clean(log, &checkpoint, 0); /* the name of the first one is used twice */
    assert_ok(log_range_read(&held, 0, after, held.bytes, &e), &e);
    assert_memory_equal(before, after, held.bytes);
    log_range_release(&held);
    static const int64_t left[] = {15, 18, 19, 20};
    for (int64_t at = 20; at >= 0; at--) { /* the remembered one first */
        int i = 0;
        while (left[i] < at)
            i++;
        assert_ok(log_locate(log, at, 1, READ_UNCOMMITTED, &r, &e), &e);
        assert_true(r.bytes > 0);
        assert_int_equal(r.base_offset, left[i]);
        log_range_release(&r);
    }
    close_log(log, true);
    testkit_remove_dir(dir);
}

static void test_index_of_another_transaction(void **state)
{
    char *dir = testkit_dir(), *path = join(dir, "00000000000000000000.txnindex");
    struct log_open_args args = model_args(dir);
    struct log *log = open_log(&args, NULL);
    struct batch_producer p = {.id = 7, .epoch = 0, .base_sequence = 0, .transactional = true};
    struct err e = {0};
    int64_t checkpoint = 0;
    (void)state;
    put(log, "k", "right", NULL);
    put(log, "k", "aborted", &p);
    end_txn(log, 7, false);
    roll(log);
    args.recovery_point = log_end_offset(log);
    args.clean = true;
    close_log(log, true);
    cut_file(path, 0); /* it would make the aborted record the last one of its key */
    log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    assert_code(try_clean(log, &checkpoint, 0, 1 << 20, &e), ERR_CORRUPT, &e);
    assert_non_null(strstr(e.text, "transaction index"));
    expect_shape(log, "ddm");
    close_log(log, true);
    free(path);
    testkit_remove_dir(dir);
}

/* ---- what Kafka wrote ---------------------------------------------------------------------------------------------- */

enum { SEEN_MAX = 400 };
struct seen {
    struct {
        uint8_t *key, *value; /* value NULL: deleted */
        size_t key_len, value_len;
    } list[SEEN_MAX];
    size_t n;
    struct aborted_txn *aborted;
    size_t aborted_count;
};

static void see_record(struct seen *s, const struct record *r)
{
    size_t i = 0;
    while (i < s->n && (s->list[i].key_len != (size_t)r->key_len ||
                        memcmp(s->list[i].key, r->key, (size_t)r->key_len) != 0))
        i++;
    assert_true(i < SEEN_MAX);
    if (i == s->n) {
        s->n++;
        s->list[i].key = memcpy(malloc((size_t)r->key_len + 1), r->key, (size_t)r->key_len);
        s->list[i].key_len = (size_t)r->key_len;
        s->list[i].value = NULL;
    }
    free(s->list[i].value);
    s->list[i].value =
        r->value ? memcpy(malloc((size_t)r->value_len + 1), r->value, (size_t)r->value_len) : NULL;
    s->list[i].value_len = r->value ? (size_t)r->value_len : 0;
}

static void see_batch(struct model_reader *reader, const uint8_t *data, const struct batch_header *h)
{
    struct seen *s = (struct seen *)(void *)reader->aborted;
    struct err e = {0};
    struct batch_iter it;
    struct record r;
    struct buf scratch;
    if ((h->attributes & BATCH_CONTROL) || !model_visible(s->aborted, s->aborted_count, h))
        return;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    assert_ok(batch_iter_init(&it, data, batch_size(h), &scratch, &e), &e);
    while (batch_iter_next(&it, &r, &e) == ERR_OK)
        see_record(s, &r);
    buf_free(&scratch);
}

static struct seen see(struct log *log)
{
    struct seen s = {0};
    struct err e = {0};
    struct model_reader r = {.aborted = (struct aborted_txn *)(void *)&s};
    assert_ok(log_aborted(log, 0, log_last_stable_offset(log), &s.aborted, &s.aborted_count, &e), &e);
    model_walk(log, READ_COMMITTED, see_batch, &r);
    mem_free(s.aborted);
    return s;
}

static void seen_free(struct seen *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].key);
        free(s->list[i].value);
    }
}

/* Every key has its value; what is deleted may be gone altogether. */
static void compare_seen(const struct seen *before, const struct seen *after)
{
    for (size_t i = 0; i < before->n; i++) {
        size_t k = 0;
        while (k < after->n &&
               (before->list[i].key_len != after->list[k].key_len ||
                memcmp(before->list[i].key, after->list[k].key, before->list[i].key_len) != 0))
            k++;
        assert_true(k < after->n || !before->list[i].value);
        if (k == after->n)
            continue;
        assert_int_equal(before->list[i].value_len, after->list[k].value_len);
        assert_int_equal(before->list[i].value == NULL, after->list[k].value == NULL);
        if (before->list[i].value)
            assert_memory_equal(before->list[i].value, after->list[k].value, before->list[i].value_len);
    }
    assert_true(after->n <= before->n);
}

static int64_t kafkas(const char *name)
{
    char *dir = testkit_dir(), from[300];
    snprintf(from, sizeof from, "tests/data/segments/%s", name);
    copy_dir(from, dir);
    struct log_open_args args = model_args(dir);
    memset(&args.topic_id, 0, sizeof args.topic_id);
    struct log *log = open_log(&args, NULL);
    struct err e = {0};
    int64_t checkpoint = 0, start = log_start_offset(log);
    log_set_high_watermark(log, log_end_offset(log));
    int64_t size = log_size(log);
    struct seen before = see(log);
    roll(log);
    for (int i = 0; i < 4; i++) { /* the later passes find tombstones and markers past their horizon */
        checkpoint = i == 0 ? 0 : start;
        clean(log, &checkpoint, EPOCH_MS * 2 + i * 100000);
        struct seen after = see(log);
        compare_seen(&before, &after);
        seen_free(&after);
    }
    int64_t saved = size - log_size(log);
    args.recovery_point = log_recovery_point(log);
    close_log(log, false);
    log = open_log(&args, NULL);
    log_set_high_watermark(log, log_end_offset(log));
    struct seen after = see(log);
    compare_seen(&before, &after);
    seen_free(&after);
    seen_free(&before);
    assert_ok(log_close(log, true, &e), &e);
    testkit_remove_dir(dir);
    return saved;
}

static void test_what_kafka_wrote(void **state)
{
    static const char *const logs[] = {"consumer-offsets-18/__consumer_offsets-18",
                                       "consumer-offsets-22/__consumer_offsets-22",
                                       "consumer-offsets-34/__consumer_offsets-34",
                                       "consumer-offsets-47/__consumer_offsets-47",
                                       "transaction-state-18/__transaction_state-18",
                                       "transaction-state-19/__transaction_state-19",
                                       "transaction-state-25/__transaction_state-25",
                                       "transaction-state-30/__transaction_state-30",
                                       "compacted/compacted-0",
                                       "idempotent/idempotent-0"};
    int64_t saved = 0;
    (void)state;
    for (size_t i = 0; i < sizeof logs / sizeof logs[0]; i++)
        saved += kafkas(logs[i]);
    assert_true(saved > 5000);
}

/* A tombstone whose timestamp is too far from any horizon: it stays, and does not keep the rest from being cleaned. */
static void test_a_timestamp_beyond_reason(void **state)
{
    struct err e = {0};
    int64_t checkpoint = 0;
    char *dir = testkit_dir();
    struct log_open_args args = model_args(dir);
    (void)state;
    struct log *log = open_log(&args, NULL);
    put(log, "a", "1", NULL);
    put_at(log, INT64_MIN + 10, "gone", NULL, NULL);
    put(log, "a", "2", NULL);
    roll(log);
    for (int i = 0; i < 2; i++) {
        int64_t size = log_size(log);
        assert_ok(try_clean(log, &checkpoint, EPOCH_MS + i, 1 << 20, &e), &e);
        assert_int_equal(checkpoint, 3 * (i + 1));
        assert_true(i || log_size(log) < size);
        put(log, "a", "3", NULL);
        put(log, "b", "3", NULL);
        put(log, "b", "4", NULL);
        roll(log);
    }
    close_log(log, true);
    testkit_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_markers),
        cmocka_unit_test(test_producers_are_remembered),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_a_timestamp_beyond_reason),
        cmocka_unit_test(test_many_keys_in_little_memory),
        cmocka_unit_test(test_readers_in_the_middle),
        cmocka_unit_test(test_index_of_another_transaction),
        cmocka_unit_test(test_what_kafka_wrote),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
