/*
 * Appending and reading: groups that are made or not as one, the group commit of many threads, waiters, offsets by time,
 * weaker durability.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>
#include <stdatomic.h>

static void test_produce_fetch_restart(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 2);
    assert_int_equal(produce(f, "t", 0, "a", 0, 3), 0);
    assert_int_equal(produce(f, "t", 0, "a", 3, 2), 3);
    assert_int_equal(produce(f, "t", 1, "b", 0, 1), 0);
    for (int round = 0; round < 2; round++) {
        struct buf out;
        expect_all(f, "t", 0, READ_UNCOMMITTED, "a0,a1,a2,a3,a4");
        expect_all(f, "t", 1, READ_COMMITTED, "b0");
        read_all(f, "t", 0, 4, READ_COMMITTED, &out);
        assert_string_equal((char *)out.data, "a4");
        buf_free(&out);
        fixture_restart(f);
    }
}

static void test_errors_by_request(void **state)
{
    struct fixture *f = *state;
    struct produce_request r[3];
    create(f, "t", 1);
    buf_reset(&f->batch);
    size_t n = add_batch(f, "v", 0, 1, BATCH_NO_PRODUCER);
    r[0] = (struct produce_request){.topic = "t", .partition = 0, .data = f->batch.data, .bytes = n};
    r[1] = (struct produce_request){.topic = "t", .partition = 1, .data = f->batch.data, .bytes = n};
    r[2] = (struct produce_request){.topic = "t", .partition = 0, .data = f->batch.data, .bytes = n - 1};
    assert_code(broker_produce(f->b, r, 3, false, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_int_equal(r[0].error.code, ERR_OK);
    assert_int_equal(r[1].error.code, ERR_UNKNOWN_TOPIC);
    assert_int_equal(r[2].error.code, ERR_TRUNCATED);
    f->batch.data[n - 1] ^= 1;
    assert_code(broker_produce(f->b, r, 1, false, &f->e), ERR_CORRUPT, &f->e);
    struct produce_request internal = make_request(f, "__consumer_offsets", 0, "v", 0, 1, BATCH_NO_PRODUCER);
    assert_code(broker_produce(f->b, &internal, 1, false, &f->e), ERR_INVALID_TOPIC, &f->e);
    struct produce_request stray =
        make_request(f, "t", 0, "v", 0, 1, (struct batch_producer){77, 0, 0, true});
    assert_code(broker_produce(f->b, &stray, 1, false, &f->e), ERR_INVALID_TXN_STATE, &f->e);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "v0");
}

/* The second of three appends is refused by its topic's limit after the first was written. */
static void test_group_is_rolled_back(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"max.message.bytes", "100"};
    struct produce_request r[3];
    create(f, "a", 1);
    create(f, "c", 1);
    assert_ok(broker_create_topic(f->b, "b", 1, &config, 1, NULL, &f->e), &f->e);
    produce(f, "a", 0, "a", 0, 1);
    for (int round = 0; round < 2; round++) {
        buf_reset(&f->batch);
        size_t n = add_batch(f, "some-longer-value", 0, 20, BATCH_NO_PRODUCER);
        assert_true(add_batch(f, "some-longer-value", 0, 20, BATCH_NO_PRODUCER) == n);
        assert_true(add_batch(f, "some-longer-value", 0, 20, BATCH_NO_PRODUCER) == n);
        const char *topics[] = {"a", round ? "b" : "c", round ? "c" : "b"};
        for (size_t i = 0; i < 3; i++)
            r[i] = (struct produce_request){
                .topic = topics[i], .data = f->batch.data + i * n, .bytes = n, .built_here = true};
        assert_code(broker_produce(f->b, r, 3, true, &f->e), ERR_TOO_LARGE, &f->e);
        for (size_t i = 0; i < 3; i++)
            assert_int_equal(r[i].error.code, ERR_TOO_LARGE);
    }
    assert_int_equal(produce(f, "a", 0, "a", 1, 1), 1);
    assert_int_equal(produce(f, "c", 0, "c", 0, 1), 0);
    fixture_restart(f);
    expect_all(f, "a", 0, READ_UNCOMMITTED, "a0,a1");
    expect_all(f, "b", 0, READ_UNCOMMITTED, "");
    expect_all(f, "c", 0, READ_UNCOMMITTED, "c0");
}

static void test_group_twice_in_one_partition(void **state)
{
    struct fixture *f = *state;
    struct produce_request r[2];
    create(f, "t", 1);
    buf_reset(&f->batch);
    size_t n = add_batch(f, "x", 0, 1, BATCH_NO_PRODUCER);
    add_batch(f, "y", 0, 1, BATCH_NO_PRODUCER);
    r[0] = (struct produce_request){.topic = "t", .data = f->batch.data, .bytes = n};
    r[1] = (struct produce_request){.topic = "t", .data = f->batch.data + n, .bytes = f->batch.len - n};
    assert_ok(broker_produce(f->b, r, 2, true, &f->e), &f->e);
    assert_int_equal(r[1].appended.base_offset, 1);
    expect_all(f, "t", 0, READ_UNCOMMITTED, "x0,y0");
}

/* Larger than an append should be: cut into pieces, all of it stored. */
static void test_large_append(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"max.message.bytes", "15728640"};
    assert_ok(broker_create_topic(f->b, "big", 1, &config, 1, NULL, &f->e), &f->e);
    buf_reset(&f->batch);
    int batches = 0;
    while (f->batch.len < (24u << 20)) {
        add_batch(f, "a-rather-long-value-that-fills-the-batch-quickly-", batches * 20000, 20000,
                  BATCH_NO_PRODUCER);
        batches++;
    }
    struct produce_request r = {.topic = "big", .data = f->batch.data, .bytes = f->batch.len};
    struct produce_request group[3] = {r, r, r}; /* as one: more than a journal record takes */
    assert_code(broker_produce(f->b, group, 3, true, &f->e), ERR_TOO_LARGE, &f->e);
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_int_equal(r.appended.base_offset, 0);
    assert_int_equal(r.appended.last_offset, batches * 20000 - 1);
    assert_int_equal(r.appended.bytes, f->batch.len);
}

struct many {
    struct fixture *f;
    int32_t partition;
    int appends;
};

static void *append_many(void *arg)
{
    struct many *m = arg;
    struct fixture own = {.b = m->f->b};
    buf_init(&own.batch, 1 << 20);
    for (int i = 0; i < m->appends; i++)
        produce(&own, "t", m->partition, "v", i, 1);
    buf_free(&own.batch);
    return NULL;
}

static void test_group_commit(void **state)
{
    enum { THREADS = 16, APPENDS = 60 };
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    struct many many[THREADS];
    struct broker_stats before, after;
    create(f, "t", THREADS / 2);
    broker_stats(f->b, &before);
    for (int i = 0; i < THREADS; i++) {
        many[i] = (struct many){f, i / 2, APPENDS};
        assert_int_equal(pthread_create(&threads[i], NULL, append_many, &many[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    broker_stats(f->b, &after);
    assert_int_equal(after.append_batches - before.append_batches, THREADS * APPENDS);
    assert_true(after.syncs - before.syncs <= THREADS * APPENDS); /* that they are shared: test_commit */
    for (int32_t i = 0; i < THREADS / 2; i++) {
        int64_t end, ts;
        assert_ok(broker_list_offset(f->b, "t", i, -1, READ_COMMITTED, &end, &ts, &f->e), &f->e);
        assert_int_equal(end, 2 * APPENDS);
    }
}

static void *produce_later(void *arg)
{
    struct fixture *f = arg;
    produce(f, "t", 0, "v", 0, 1);
    return NULL;
}

static void test_waiter(void **state)
{
    struct fixture *f = *state;
    pthread_t thread;
    create(f, "t", 2);
    create(f, "gone", 1);
    struct waiter *w = waiter_new(f->b, &f->e);
    assert_non_null(w);
    assert_code(waiter_watch(w, "t", 2, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_ok(waiter_watch(w, "t", 0, &f->e), &f->e);
    assert_ok(waiter_watch(w, "gone", 0, &f->e), &f->e);
    assert_false(waiter_wait(w, 0));
    assert_false(waiter_wait(w, 1));
    assert_int_equal(pthread_create(&thread, NULL, produce_later, f), 0);
    assert_true(waiter_wait(w, -1)); /* whether the append comes before or during the wait */
    pthread_join(thread, NULL);
    assert_false(waiter_wait(w, 0));
    waiter_wake(w);
    assert_true(waiter_wait(w, -1));
    produce(f, "t", 1, "v", 0, 1); /* nobody watches it */
    assert_false(waiter_wait(w, 0));
    assert_ok(broker_delete_topic(f->b, "gone", &f->e), &f->e);
    assert_true(waiter_wait(w, 0));
    waiter_free(w);
    produce(f, "t", 0, "v", 1, 1);
}

static void test_list_offsets(void **state)
{
    struct fixture *f = *state;
    int64_t offset, ts;
    create(f, "t", 1);
    assert_ok(broker_list_offset(f->b, "t", 0, -1, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_int_equal(offset, 0);
    assert_ok(broker_list_offset(f->b, "t", 0, 5, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_int_equal(offset, -1);
    int64_t before = clock_wall_ms();
    produce(f, "t", 0, "v", 0, 5);
    assert_ok(broker_list_offset(f->b, "t", 0, before, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_int_equal(offset, 0);
    assert_true(ts >= before);
    assert_ok(broker_list_offset(f->b, "t", 0, clock_wall_ms() + 100000, READ_COMMITTED, &offset, &ts, &f->e),
              &f->e);
    assert_int_equal(offset, -1);
    assert_ok(broker_list_offset(f->b, "t", 0, -1, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_int_equal(offset, 5);
    assert_ok(broker_list_offset(f->b, "t", 0, -3, READ_COMMITTED, &offset, &ts, &f->e), &f->e);
    assert_true(offset >= 0 && ts >= before);
}

static void test_page_cache(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {
        {"durability", "page-cache"}, {"flush.messages", "4"}, {"flush.ms", "1"}};
    struct broker_stats before, after;
    assert_ok(broker_create_topic(f->b, "weak", 1, config, 3, NULL, &f->e), &f->e);
    broker_stats(f->b, &before);
    for (int i = 0; i < 10; i++)
        produce(f, "weak", 0, "v", i, 1);
    broker_stats(f->b, &after);
    assert_int_equal(after.syncs, before.syncs);
    fixture_restart(f);
    expect_all(f, "weak", 0, READ_COMMITTED, "v0,v1,v2,v3,v4,v5,v6,v7,v8,v9");
}

/* A group over a synced and a page-cache topic becomes visible as one. */
static void test_mixed_group(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config = {"durability", "page-cache"};
    struct produce_request r[2];
    create(f, "strong", 1);
    assert_ok(broker_create_topic(f->b, "weak", 1, &config, 1, NULL, &f->e), &f->e);
    buf_reset(&f->batch);
    size_t n = add_batch(f, "s", 0, 1, BATCH_NO_PRODUCER);
    add_batch(f, "w", 0, 1, BATCH_NO_PRODUCER);
    r[0] = (struct produce_request){.topic = "strong", .data = f->batch.data, .bytes = n};
    r[1] = (struct produce_request){.topic = "weak", .data = f->batch.data + n, .bytes = f->batch.len - n};
    assert_ok(broker_produce(f->b, r, 2, true, &f->e), &f->e);
    produce(f, "weak", 0, "w", 1, 1);
    expect_all(f, "strong", 0, READ_COMMITTED, "s0");
    expect_all(f, "weak", 0, READ_COMMITTED, "w0,w1");
}

static void test_idempotent(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    int16_t epoch;
    create(f, "t", 1);
    assert_ok(broker_init_producer(f->b, NULL, 0, &id, &epoch, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "t", 0, "v", 0, 2, (struct batch_producer){id, epoch, 0, false});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    r = make_request(f, "t", 0, "v", 0, 2, (struct batch_producer){id, epoch, 0, false});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    assert_true(r.appended.duplicate);
    assert_int_equal(r.appended.base_offset, 0);
    r = make_request(f, "t", 0, "v", 0, 2, (struct batch_producer){id, epoch, 5, false});
    assert_code(broker_produce(f->b, &r, 1, false, &f->e), ERR_OUT_OF_ORDER_SEQUENCE, &f->e);
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v1");
    int64_t next;
    fixture_restart(f);
    assert_ok(broker_init_producer(f->b, NULL, 0, &next, &epoch, &f->e), &f->e);
    assert_true(next > id);
}

/* Enough appends to seal many journal files: upkeep releases them, and the journal does not grow without end. */
static void test_journal_is_released(void **state)
{
    struct fixture *f = *state;
    create(f, "t", 2);
    for (int i = 0; i < 40; i++) {
        struct produce_request r =
            make_request(f, "t", i % 2, "a-value-of-some-length-to-fill-files", 0, 5000, BATCH_NO_PRODUCER);
        assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    }
    fixture_restart(f);
    int64_t end, ts;
    assert_ok(broker_list_offset(f->b, "t", 1, -1, READ_COMMITTED, &end, &ts, &f->e), &f->e);
    assert_int_equal(end, 100000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_produce_fetch_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_by_request, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_is_rolled_back, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_twice_in_one_partition, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_append, setup, teardown),
        cmocka_unit_test_setup_teardown(test_group_commit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiter, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_page_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mixed_group, setup, teardown),
        cmocka_unit_test_setup_teardown(test_idempotent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_journal_is_released, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
