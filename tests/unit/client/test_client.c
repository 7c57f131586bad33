/*
 * The embedded client over a real broker: what is produced is consumed, also after a restart; transactions.
 */
#include "tests/lib/testkit.h"

#include <time.h>

#include "client/client.h"

struct fixture {
    char *dir;
    struct broker *b;
    struct client *c;
    struct err e;
};

static void fixture_open(struct fixture *f)
{
    struct broker_options o = {.data_dir = f->dir};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    f->c = client_embedded(f->b, &f->e);
    assert_non_null(f->c);
}

static void fixture_close(struct fixture *f)
{
    client_close(f->c);
    assert_ok(broker_close(f->b, &f->e), &f->e);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->dir = testkit_dir();
    fixture_open(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    fixture_close(f);
    testkit_remove_dir(f->dir);
    free(f);
    return 0;
}

static struct producer *open_producer(struct fixture *f, const char *txn_id)
{
    struct producer_options o = {.transactional_id = txn_id, .codec_level = CODEC_LEVEL_DEFAULT};
    struct producer *p = producer_open(f->c, &o, &f->e);
    if (!p)
        fail_msg("%s", f->e.text);
    return p;
}

static struct consumer *open_consumer(struct fixture *f, const char *group, enum isolation isolation,
                                      size_t fetch_bytes)
{
    struct consumer_options o = {.group = group, .isolation = isolation, .fetch_bytes = fetch_bytes};
    struct consumer *c = consumer_open(f->c, &o, &f->e);
    if (!c)
        fail_msg("%s", f->e.text);
    return c;
}

static void add(struct fixture *f, struct producer *p, const char *topic, int32_t partition, int i)
{
    char value[32];
    int n = snprintf(value, sizeof value, "value-%06d", i);
    assert_ok(producer_add(p, topic, partition, 1700000000000 + i, NULL, 0, value, (size_t)n, NULL, 0, &f->e),
              &f->e);
}

/* Reads to the end; the records must be value-<first>, value-<first+1>, ... Returns how many there were. */
static int expect_sequence(struct fixture *f, struct consumer *c, int first)
{
    int seen = 0;
    for (;;) {
        struct consumed got;
        assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e);
        if (got.n == 0)
            break;
        for (size_t i = 0; i < got.n; i++) {
            char want[32];
            int n = snprintf(want, sizeof want, "value-%06d", first + seen++);
            assert_int_equal(got.records[i].value_len, n);
            assert_memory_equal(got.records[i].value, want, (size_t)n);
        }
    }
    return seen;
}

static void test_flush_and_consume(void **state)
{
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    for (int i = 0; i < 50000; i++)
        add(f, p, "t", 0, i);
    assert_int_equal(producer_pending_records(p), 50000);
    assert_ok(producer_flush(p, &f->e), &f->e);
    assert_int_equal(producer_pending_records(p), 0);
    assert_int_equal(producer_pending_bytes(p), 0);
    producer_close(p);
    for (int round = 0; round < 2; round++) {
        struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 100000);
        assert_ok(consumer_assign(c, "t", 0, CONSUMER_EARLIEST, &f->e), &f->e);
        assert_false(consumer_at_end(c));
        assert_int_equal(expect_sequence(f, c, 0), 50000);
        assert_true(consumer_at_end(c));
        assert_int_equal(consumer_position(c, "t", 0), 50000);
        consumer_close(c);
        fixture_close(f);
        fixture_open(f);
    }
}

static void test_commit_all(void **state)
{
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "a", 2, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, "x");
    for (int round = 0; round < 3; round++) {
        add(f, p, "a", 0, 2 * round);
        add(f, p, "a", 0, 2 * round + 1);
        add(f, p, "a", 1, round);
        assert_ok(producer_commit(p, &f->e), &f->e);
        add(f, p, "a", 0, 999);
        assert_ok(producer_abort(p, &f->e), &f->e);
    }
    producer_close(p);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 0, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 0), 6);
    consumer_close(c);
    c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 1, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 0), 3);
    consumer_close(c);
}

static void test_stored_offset(void **state)
{
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "s", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    for (int i = 0; i < 10; i++)
        add(f, p, "s", 0, i);
    assert_ok(producer_flush(p, &f->e), &f->e);
    producer_close(p);
    struct consumer *c = open_consumer(f, "g", READ_COMMITTED, 0);
    struct group_offset o = {.topic = "s", .partition = 0, .offset = 4, .leader_epoch = -1};
    assert_ok(consumer_commit(c, &o, 1, &f->e), &f->e);
    consumer_close(c);
    fixture_close(f);
    fixture_open(f);
    c = open_consumer(f, "g", READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "s", 0, CONSUMER_STORED, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 4), 6);
    consumer_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_flush_and_consume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stored_offset, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
