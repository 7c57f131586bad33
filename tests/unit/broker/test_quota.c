/*
 * Quotas of topics: stored bytes and rate.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>

#include "base/diag.h"
#include "broker/quota.h"
#include "broker/store.h"

static void set(struct fixture *f, const char *topic, const char *name, const char *value)
{
    struct topic_config_entry c = {name, value};
    assert_ok(broker_alter_topic(f->b, topic, &c, 1, &f->e), &f->e);
}

static int try_produce(struct fixture *f, const char *topic, int32_t partition, int first)
{
    struct produce_request r = make_request(f, topic, partition, "v", first, 1, BATCH_NO_PRODUCER);
    return broker_produce(f->b, &r, 1, false, &f->e);
}

/* All partitions of a topic count; what is refused leaves no trace; reading and deleting go on, and make room. */
static void test_stored(void **state)
{
    struct fixture *f = *state;
    struct topic_config_entry config[] = {{"segment.bytes", "1048576"}, {"quota.stored.bytes", "3000000"}};
    int accepted = 0, rc;
    int64_t low;
    assert_ok(broker_create_topic(f->b, "t", 2, config, 2, NULL, &f->e), &f->e);
    create(f, "free", 1);
    f->key_bytes = 60000;
    while ((rc = try_produce(f, "t", accepted % 2, accepted)) == ERR_OK)
        accepted++;
    assert_code(rc, ERR_QUOTA, &f->e);
    assert_true(f->e.retriable && !f->e.fatal);
    assert_int_equal(accepted, 49); /* 60,0xx bytes each */
    assert_non_null(strstr(f->e.text, "topic t"));
    assert_non_null(strstr(f->e.text, "3000000"));
    for (int p = 0; p < 2; p++)
        assert_code(try_produce(f, "t", p, 100), ERR_QUOTA, &f->e);
    assert_ok(try_produce(f, "free", 0, 0), &f->e);
    struct topic_info info;
    assert_ok(broker_topic(f->b, "t", &info, &f->e), &f->e);
    assert_int_equal(info.partitions[0].end_offset + info.partitions[1].end_offset, 49);
    topic_info_free(&info);
    fixture_restart(f); /* logs that nobody has opened count, too */
    assert_code(try_produce(f, "t", 0, 100), ERR_QUOTA, &f->e);
    assert_ok(broker_delete_records(f->b, "t", 1, 20, &low, &f->e), &f->e);
    set(f, "t", "quota.stored.bytes", "3000000"); /* looked at anew at once, else within a second */
    while ((rc = try_produce(f, "t", 1, accepted)) == ERR_OK)
        accepted++;
    assert_code(rc, ERR_QUOTA, &f->e);
    assert_int_equal(accepted, 49 + 17); /* a segment */
    set(f, "t", "quota.stored.bytes", "0");
    assert_code(try_produce(f, "t", 0, 100), ERR_QUOTA, &f->e);
    set(f, "t", "quota.stored.bytes", "-1");
    assert_ok(try_produce(f, "t", 0, 100), &f->e);
}

/* A transaction over its quota is refused as a whole and can still be ended; another topic's part is not there either. */
static void test_stored_in_transactions(void **state)
{
    struct fixture *f = *state;
    int64_t id;
    int16_t epoch;
    create(f, "a", 1);
    create(f, "b", 1);
    assert_ok(broker_init_producer(f->b, "x", 60000, &id, &epoch, &f->e), &f->e);
    struct txn_partition part = {"b", 0};
    assert_ok(broker_txn_add_partitions(f->b, "x", id, epoch, &part, 1, &f->e), &f->e);
    struct produce_request r =
        make_request(f, "b", 0, "open", 0, 1, (struct batch_producer){id, epoch, 0, true});
    assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
    set(f, "b", "quota.stored.bytes", "10");
    assert_ok(broker_txn_end(f->b, "x", id, epoch, true, &f->e), &f->e);
    buf_reset(&f->batch);
    size_t a = add_batch(f, "a", 0, 1, (struct batch_producer){id, epoch, 0, true});
    size_t b = add_batch(f, "b", 0, 1, (struct batch_producer){id, epoch, 1, true});
    struct produce_request both[] = {{.topic = "a", .data = f->batch.data, .bytes = a},
                                     {.topic = "b", .data = f->batch.data + a, .bytes = b}};
    assert_code(broker_txn_commit_all(f->b, "x", id, epoch, both, 2, &f->e), ERR_QUOTA, &f->e);
    expect_all(f, "a", 0, READ_UNCOMMITTED, "");
    expect_all(f, "b", 0, READ_COMMITTED, "open0,<C>");
    set(f, "b", "quota.stored.bytes", "-1");
    assert_ok(broker_txn_commit_all(f->b, "x", id, epoch, both, 2, &f->e), &f->e);
    expect_all(f, "b", 0, READ_COMMITTED, "open0,<C>,b0,<C>");
}

static void test_rate(void **state)
{
    struct fixture *f = *state;
    struct broker_stats s;
    create(f, "t", 2);
    set(f, "t", "quota.produce.bytes.per.second", "65536");
    f->key_bytes = 32768;
    int64_t start = clock_mono_ms();
    for (int i = 0; i < 5; i++) /* a second's worth is saved up, each takes half a second */
        assert_ok(try_produce(f, "t", i % 2, i), &f->e);
    int64_t took = clock_mono_ms() - start;
    assert_true(took >= 950);
    broker_stats(f->b, &s);
    assert_true(s.throttled_ns > 0 || took >= 1000); /* on a slow machine all of the time may go by itself */
    expect_all(f, "t", 0, READ_COMMITTED, "v0,v2,v4");
    expect_all(f, "t", 1, READ_COMMITTED, "v1,v3");
    struct err e;
    assert_code(topic_config_check("quota.produce.bytes.per.second", "65535", &e), ERR_INVALID_CONFIG, &e);
    assert_ok(topic_config_check("quota.produce.bytes.per.second", "-1", &e), &e);
}

static void *produce_late(void *arg)
{
    struct fixture *f = arg;
    struct err e;
    void *data = malloc(f->batch.len); /* offsets are written into it */
    memcpy(data, f->batch.data, f->batch.len);
    struct produce_request r = {.topic = "t", .data = data, .bytes = f->batch.len};
    intptr_t rc = broker_produce(f->b, &r, 1, false, &e);
    free(data);
    return (void *)rc;
}

/* What waits for hours goes on when the rate is lifted, the topic deleted, or the hub about to stop. */
static void test_waiting_ends(void **state)
{
    struct fixture *f = *state;
    f->key_bytes = 60000;
    for (int how = 0; how < 3; how++) {
        pthread_t thread;
        void *result;
        struct topic_config_entry large = {"max.message.bytes", "8000000"};
        assert_ok(broker_create_topic(f->b, "t", 1, &large, 1, NULL, &f->e), &f->e);
        set(f, "t", "quota.produce.bytes.per.second", "65536");
        buf_reset(&f->batch);
        add_batch(f, "v", 0, 100, BATCH_NO_PRODUCER); /* 6 MB: a minute and a half */
        assert_int_equal(pthread_create(&thread, NULL, produce_late, f), 0);
        pthread_join(thread, &result); /* takes its turn at once: the next ones wait */
        assert_int_equal((intptr_t)result, ERR_OK);
        pthread_t waiting[3];
        for (int i = 0; i < 3; i++)
            assert_int_equal(pthread_create(&waiting[i], NULL, produce_late, f), 0);
        if (how == 0)
            set(f, "t", "quota.produce.bytes.per.second", "-1");
        else if (how == 2)
            broker_lift_delays(f->b);
        if (how != 1)
            for (int i = 0; i < 3; i++) {
                pthread_join(waiting[i], &result);
                assert_int_equal((intptr_t)result, ERR_OK);
            }
        assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
        if (how == 1)
            for (int i = 0; i < 3; i++) /* appended, or too late for the topic */
                pthread_join(waiting[i], &result);
    }
}

/* The deletion that waits for those who hold the topic has rung before one of them came to wait for its turn. */
static void test_late_for_a_deletion(void **state)
{
    struct fixture *f = *state;
    struct partition *p;
    create(f, "t", 1);
    set(f, "t", "quota.produce.bytes.per.second", "65536");
    assert_ok(topic_acquire(f->b, "t", 0, &p, &f->e), &f->e);
    atomic_store(&p->topic->deleted, true);
    quota_wake(f->b, p->topic);
    for (int i = 0; i < 2; i++) /* the second one's turn is in half an hour */
        assert_ok(quota_admit(f->b, p, topic_settings(p->topic), 100 << 20, true, &f->e), &f->e);
    atomic_store(&p->topic->deleted, false);
    partition_release(&f->b->topics, p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stored_in_transactions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_for_a_deletion, setup, teardown),
    };
    diag_setup(DIAG_OFF, DIAG_TEXT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
