/*
 * The embedded client over a real broker: what is produced is consumed, also after a restart; transactions.
 */
#include "tests/lib/testkit.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
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
    struct producer_options o = {.transactional_id = txn_id,
                                 .codec_level = CODEC_LEVEL_DEFAULT,
                                 .transaction_timeout_ms =
                                     900000}; /* what a slow machine takes is no timeout */
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

struct told {
    int64_t next[2]; /* offset after the last that was told of, by partition */
    int calls;
};

static void tell(void *arg, const char *topic, int32_t partition, int64_t base_offset, int64_t records)
{
    struct told *told = arg;
    assert_string_equal(topic, "a");
    assert_true(base_offset >= told->next[partition]);
    told->next[partition] = base_offset + records;
    told->calls++;
}

/* Transactions that are begun one behind the other: in their order, told of when they are durable, and not before. */
static void test_commits_on_their_way(void **state)
{
    struct fixture *f = *state;
    struct told told = {{0}, 0};
    assert_ok(client_create_topic(f->c, "a", 2, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, "x");
    producer_on_delivery(p, tell, &told);
    assert_ok(producer_commit_start(p, &f->e), &f->e);
    assert_int_equal(producer_in_flight(p), 0); /* there was nothing to commit */
    for (int txn = 0; txn < 50; txn++) {
        add(f, p, "a", 0, 2 * txn);
        add(f, p, "a", 1, txn);
        add(f, p, "a", 0, 2 * txn + 1);
        assert_ok(producer_commit_start(p, &f->e), &f->e);
        assert_int_equal(producer_pending_records(p), 0);
        assert_int_equal(producer_in_flight(p), txn == 0 ? 1 : 2);
        assert_int_equal(
            told.calls,
            txn < 2 ? 0 : 2 * (txn - 1)); /* the oldest is waited for only when two are on their way */
    }
    add(f, p, "a", 0, 999);
    assert_ok(producer_abort(p, &f->e), &f->e); /* of what was not begun */
    while (producer_in_flight(p) > 0)
        assert_ok(producer_commit_wait(p, &f->e), &f->e);
    assert_int_equal(told.calls, 100);
    assert_int_equal(told.next[0], 49 * 3 + 2); /* a marker after every two records */
    add(f, p, "a", 1, 50);
    assert_ok(producer_commit_start(p, &f->e), &f->e);
    producer_close(p); /* sees it through */
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 0, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 0), 100);
    consumer_close(c);
    c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 1, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 0), 51);
    consumer_close(c);
}

/* A commit that cannot be made durable takes those behind it along, and nothing of them is seen. */
static void test_commit_that_fails_on_its_way(void **state)
{
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "a", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, "x");
    for (int i = 0; i < 2; i++) { /* the first writes the transaction's state, too */
        add(f, p, "a", 0, i);
        assert_ok(producer_commit(p, &f->e), &f->e);
    }
    fault_arm_at(FAULT_WRITE, "/journal/", 1, EIO, true);
    add(f, p, "a", 0, 1);
    assert_ok(producer_commit_start(p, &f->e), &f->e);
    add(f, p, "a", 0, 2);
    struct err first;
    int started = producer_commit_start(p, &f->e); /* unless the first has failed already */
    assert_int_not_equal(producer_commit_wait(p, &first), ERR_OK);
    assert_true(first.fatal);
    if (!started)
        assert_int_not_equal(producer_commit_wait(p, &f->e), ERR_OK);
    assert_int_equal(producer_in_flight(p), 0);
    add(f, p, "a", 0, 3);
    assert_code(producer_commit_start(p, &f->e), first.code, &f->e);
    assert_code(producer_commit(p, &f->e), first.code, &f->e);
    producer_close(p);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 0, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 0), 2);
    consumer_close(c);
    client_close(f->c);
    broker_close(f->b, &f->e); /* says that the journal failed */
    fault_disarm();
    fixture_open(f);
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

/* More than the producer's cap: batches go into the log early, invisible until the commit. */
static void add_large(struct fixture *f, struct producer *p, int count)
{
    static char value[100000];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < count; i++) {
        memcpy(value, &i, sizeof i);
        assert_ok(
            producer_add(p, "big", i % 2, clock_wall_ms(), NULL, 0, value, sizeof value, NULL, 0, &f->e),
            &f->e);
    }
}

static int count_to_end(struct fixture *f, const char *topic, int32_t partitions, enum isolation isolation)
{
    struct consumer *c = open_consumer(f, NULL, isolation, 0);
    struct consumed got;
    int n = 0;
    for (int32_t i = 0; i < partitions; i++)
        assert_ok(consumer_assign(c, topic, i, CONSUMER_EARLIEST, &f->e), &f->e);
    do {
        assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e);
        n += (int)got.n;
    } while (got.n);
    assert_true(consumer_at_end(c) || isolation == READ_UNCOMMITTED);
    consumer_close(c);
    return n;
}

static void count_delivery(void *arg, const char *topic, int32_t partition, int64_t base_offset,
                           int64_t records)
{
    (void)topic;
    (void)partition;
    (void)base_offset;
    *(int64_t *)arg += records;
}

static void test_large_transaction(void **state)
{
    enum { COUNT = 500 }; /* 50 MB */
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "big", 2, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, "x");
    int64_t delivered = 0;
    producer_on_delivery(p, count_delivery, &delivered);
    add_large(f, p, COUNT);
    assert_true(producer_pending_bytes(p) <= 32u << 20);
    assert_true(count_to_end(f, "big", 2, READ_UNCOMMITTED) > 0);
    assert_int_equal(count_to_end(f, "big", 2, READ_COMMITTED), 0);
    assert_int_equal(delivered, 0);
    assert_ok(producer_commit(p, &f->e), &f->e);
    assert_int_equal(delivered, COUNT);
    assert_int_equal(count_to_end(f, "big", 2, READ_COMMITTED), COUNT);
    add_large(f, p, COUNT);
    assert_ok(producer_abort(p, &f->e), &f->e);
    assert_int_equal(producer_pending_bytes(p), 0);
    add_large(f, p, 10);
    assert_ok(producer_commit(p, &f->e), &f->e);
    assert_int_equal(delivered, COUNT + 10);
    assert_int_equal(count_to_end(f, "big", 2, READ_COMMITTED), COUNT + 10);
    add_large(f, p, COUNT);
    producer_close(p); /* aborts */
    assert_int_equal(count_to_end(f, "big", 2, READ_COMMITTED), COUNT + 10);
}

static void test_fenced_by_successor(void **state)
{
    struct fixture *f = *state;
    assert_ok(client_create_topic(f->c, "a", 1, NULL, 0, &f->e), &f->e);
    struct producer *old = open_producer(f, "x");
    add(f, old, "a", 0, 7);
    struct producer *fresh = open_producer(f, "x");
    assert_code(producer_commit(old, &f->e), ERR_PRODUCER_FENCED, &f->e);
    add(f, fresh, "a", 0, 0);
    assert_ok(producer_commit(fresh, &f->e), &f->e);
    producer_close(old);
    producer_close(fresh);
    assert_int_equal(count_to_end(f, "a", 1, READ_COMMITTED), 1);
}

static void test_refused_record(void **state)
{
    struct fixture *f = *state;
    static char value[2 << 20];
    assert_ok(client_create_topic(f->c, "a", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    add(f, p, "a", 0, 0);
    assert_code(producer_add(p, "a", 0, 0, NULL, 0, value, sizeof value, NULL, 0, &f->e), ERR_TOO_LARGE,
                &f->e);
    assert_code(producer_add(p, "no", 0, 0, NULL, 0, value, 1, NULL, 0, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_code(producer_add(p, "no", -1, 0, NULL, 0, value, 1, NULL, 0, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_code(producer_add(p, "a", 1, 0, NULL, 0, value, 1, NULL, 0, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_code(producer_commit(p, &f->e), ERR_INVALID_TXN_STATE, &f->e);
    assert_ok(producer_flush(p, &f->e), &f->e);
    producer_close(p);
    assert_int_equal(count_to_end(f, "a", 1, READ_COMMITTED), 1);
}

struct deliveries {
    int64_t next[3];
    int64_t records;
};

static void on_delivery(void *arg, const char *topic, int32_t partition, int64_t base_offset, int64_t records)
{
    struct deliveries *d = arg;
    assert_string_equal(topic, "a");
    assert_int_equal(base_offset, d->next[partition]);
    d->next[partition] = base_offset + records;
    d->records += records;
}

/* A record larger than a batch should be has one of its own, as far as the topic allows, also when that is changed. */
static void test_large_records(void **state)
{
    struct fixture *f = *state;
    const size_t size = 3 << 20;
    char *value = malloc(size);
    struct topic_config_entry config = {"max.message.bytes", "4194304"};
    assert_non_null(value);
    memset(value, 'x', size);
    assert_ok(client_create_topic(f->c, "a", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, "x");
    assert_code(producer_add(p, "a", 0, 0, NULL, 0, value, size, NULL, 0, &f->e), ERR_TOO_LARGE, &f->e);
    assert_non_null(strstr(f->e.text, "topic a takes batches of at most 1048588 bytes (max.message.bytes)"));
    assert_ok(client_alter_topic(f->c, "a", &config, 1, &f->e), &f->e);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            add(f, p, "a", 0, 0);
            assert_ok(producer_add(p, "a", 0, 0, NULL, 0, value, size, NULL, 0, &f->e), &f->e);
            assert_ok(producer_add(p, "a", 0, 0, NULL, 0, value, size - 1, NULL, 0, &f->e), &f->e);
        }
        assert_code(producer_add(p, "a", 0, 0, NULL, 0, value, size + (1 << 20), NULL, 0, &f->e),
                    ERR_TOO_LARGE, &f->e);
        assert_ok(round == 0 ? producer_abort(p, &f->e) : producer_commit(p, &f->e), &f->e);
    }
    producer_close(p);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "a", 0, CONSUMER_EARLIEST, &f->e), &f->e);
    int32_t lengths[9] = {0};
    for (int n = 0; n < 9;) {
        struct consumed got;
        assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e);
        assert_true(got.n > 0);
        for (size_t i = 0; i < got.n; i++)
            lengths[n++] = got.records[i].value_len;
    }
    for (int i = 0; i < 9; i++)
        assert_int_equal(lengths[i], i % 3 == 0 ? 12 : (int)size - (i % 3 == 2));
    consumer_close(c);
    free(value);
}

static void test_partitioning_and_delivery(void **state)
{
    struct fixture *f = *state;
    struct deliveries d = {0};
    assert_ok(client_create_topic(f->c, "a", 3, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    producer_on_delivery(p, on_delivery, &d);
    for (int i = 0; i < 300; i++) {
        char key[8];
        int n = snprintf(key, sizeof key, "k%d", i);
        assert_ok(producer_add(p, "a", -1, 0, key, (size_t)n, "v", 1, NULL, 0, &f->e), &f->e);
    }
    assert_ok(producer_flush(p, &f->e), &f->e);
    assert_int_equal(d.records, 300);
    for (int i = 0; i < 3; i++)
        assert_true(d.next[i] > 50);
    int64_t before[3];
    memcpy(before, d.next, sizeof before);
    for (int round = 0; round < 3; round++) { /* without key: a partition a flush, in turns */
        assert_ok(producer_add(p, "a", -1, 0, NULL, 0, "v", 1, NULL, 0, &f->e), &f->e);
        assert_ok(producer_flush(p, &f->e), &f->e);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(d.next[i], before[i] + 1);
    producer_close(p);
}

static void test_compressed(void **state)
{
    struct fixture *f = *state;
    for (enum codec codec = CODEC_NONE; codec < CODEC_COUNT; codec++) {
        char topic[16];
        snprintf(topic, sizeof topic, "c%d", codec);
        assert_ok(client_create_topic(f->c, topic, 1, NULL, 0, &f->e), &f->e);
        struct producer_options o = {.codec = codec, .codec_level = CODEC_LEVEL_DEFAULT, .batch_bytes = 5000};
        struct producer *p = producer_open(f->c, &o, &f->e);
        assert_non_null(p);
        for (int i = 0; i < 20000; i++)
            add(f, p, topic, 0, i);
        assert_ok(producer_flush(p, &f->e), &f->e);
        producer_close(p);
        struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 20000);
        assert_ok(consumer_assign(c, topic, 0, 333, &f->e), &f->e);
        assert_int_equal(expect_sequence(f, c, 333), 20000 - 333);
        consumer_close(c);
    }
}

static void *add_later(void *arg)
{
    struct fixture *f = arg, own = {.c = f->c};
    struct producer *p = open_producer(&own, NULL);
    add(&own, p, "t", 0, 0);
    assert_ok(producer_flush(p, &own.e), &own.e);
    producer_close(p);
    return NULL;
}

static void *wake_later(void *arg)
{
    consumer_wake(arg);
    return NULL;
}

static void test_waiting(void **state)
{
    struct fixture *f = *state;
    struct consumed got;
    pthread_t thread;
    assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "t", 0, CONSUMER_LATEST, &f->e), &f->e);
    assert_ok(consumer_poll(c, 1, &got, &f->e), &f->e);
    assert_int_equal(got.n, 0);
    assert_int_equal(pthread_create(&thread, NULL, add_later, f), 0);
    assert_ok(consumer_poll(c, -1, &got, &f->e), &f->e);
    assert_int_equal(got.n, 1);
    assert_int_equal(got.next_offset, 1);
    pthread_join(thread, NULL);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, c), 0);
    do /* what the append rang may come first */
        assert_ok(consumer_poll(c, -1, &got, &f->e), &f->e);
    while (got.n);
    pthread_join(thread, NULL);
    consumer_close(c);
}

static void test_turns(void **state)
{
    struct fixture *f = *state;
    struct consumed got;
    int seen[3] = {0};
    assert_ok(client_create_topic(f->c, "a", 3, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    for (int i = 0; i < 30000; i++)
        add(f, p, "a", i % 3, i);
    assert_ok(producer_flush(p, &f->e), &f->e);
    for (int i = 0; i < 30000; i++)
        add(f, p, "a", i % 3, i);
    assert_ok(producer_flush(p, &f->e), &f->e);
    producer_close(p);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 1000); /* a batch a read */
    for (int32_t i = 0; i < 3; i++)
        assert_ok(consumer_assign(c, "a", i, CONSUMER_EARLIEST, &f->e), &f->e);
    assert_code(consumer_assign(c, "a", 2, CONSUMER_EARLIEST, &f->e), ERR_EXISTS, &f->e);
    for (int i = 0; i < 3; i++) {
        assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e);
        assert_true(got.n > 0);
        seen[got.partition]++;
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen[i], 1);
    assert_ok(consumer_seek(c, "a", 1, 5, &f->e), &f->e);
    assert_int_equal(consumer_position(c, "a", 1), 5);
    consumer_close(c);
}

static void test_records_gone(void **state)
{
    struct fixture *f = *state;
    int64_t low;
    assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    for (int i = 0; i < 10; i++) {
        add(f, p, "t", 0, i);
        assert_ok(producer_flush(p, &f->e), &f->e);
    }
    producer_close(p);
    struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
    assert_ok(consumer_assign(c, "t", 0, 2, &f->e), &f->e);
    assert_ok(broker_delete_records(f->b, "t", 0, 6, &low, &f->e), &f->e);
    assert_int_equal(expect_sequence(f, c, 6), 4);
    assert_ok(client_delete_topic(f->c, "t", &f->e), &f->e);
    struct consumed got;
    assert_code(consumer_poll(c, 0, &got, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e); /* told once */
    assert_int_equal(got.n, 0);
    assert_true(consumer_at_end(c));
    consumer_close(c);
}

/* A topic of the same name is another one: nothing of it is given out, whether the reader's place is in it or beyond its end. */
static void test_topic_made_anew(void **state)
{
    struct fixture *f = *state;
    static const int lengths[] = {20, 5};
    assert_ok(client_create_topic(f->c, "a", 1, NULL, 0, &f->e), &f->e);
    for (size_t k = 0; k < 2; k++) {
        struct consumed got;
        assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
        struct producer *p = open_producer(f, NULL);
        for (int i = 0; i < 10; i++)
            add(f, p, "t", 0, i);
        assert_ok(producer_flush(p, &f->e), &f->e);
        struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 0);
        assert_ok(consumer_assign(c, "t", 0, CONSUMER_EARLIEST, &f->e), &f->e);
        assert_ok(consumer_assign(c, "a", 0, CONSUMER_LATEST, &f->e), &f->e);
        assert_int_equal(expect_sequence(f, c, 0), 10);
        producer_close(p);
        assert_ok(client_delete_topic(f->c, "t", &f->e), &f->e);
        assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
        p = open_producer(f, NULL);
        for (int i = 0; i < lengths[k]; i++)
            add(f, p, "t", 0, i);
        add(f, p, "a", 0, 7);
        assert_ok(producer_flush(p, &f->e), &f->e);
        producer_close(p);
        bool told = false, other = false;
        for (int i = 0; i < 3; i++) {
            if (consumer_poll(c, 0, &got, &f->e) != ERR_OK) {
                assert_int_equal(f->e.code, ERR_UNKNOWN_TOPIC);
                assert_non_null(strstr(f->e.text, "t-0 was deleted"));
                assert_false(told);
                told = true;
            } else if (got.n > 0) {
                assert_string_equal(got.topic, "a");
                other = true;
            }
        }
        assert_true(told && other);
        assert_int_equal(consumer_position(c, "t", 0), 10);
        assert_true(consumer_at_end(c));
        consumer_close(c);
        assert_ok(client_delete_topic(f->c, "t", &f->e), &f->e);
    }
}

/* Flips a bit in the file, of which nobody but this test changes anything. */
static void damage(const char *dir, const char *name, int64_t at)
{
    char path[512];
    uint8_t b;
    snprintf(path, sizeof path, "%s/logs/%s", dir, name);
    FILE *file = fopen(path, "r+");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fread(&b, 1, 1, file), 1);
    b ^= 4;
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_equal(fwrite(&b, 1, 1, file), 1);
    assert_int_equal(fclose(file), 0);
}

/* What is good before the damage comes out, then an error that says where; behind it everything can be read. */
static void test_damaged_bytes_are_not_given_out(void **state)
{
    struct fixture *f = *state;
    struct consumed got;
    assert_ok(client_create_topic(f->c, "t", 1, NULL, 0, &f->e), &f->e);
    struct producer *p = open_producer(f, NULL);
    for (int i = 0; i < 6; i++) {
        add(f, p, "t", 0, i);
        assert_ok(producer_flush(p, &f->e), &f->e); /* a batch each */
    }
    producer_close(p);
    struct topic_info info;
    assert_ok(client_topic(f->c, "t", &info, &f->e), &f->e);
    long batch = (long)info.partitions[0].size / 6;
    topic_info_free(&info);
    damage(f->dir, "t-0/00000000000000000000.log", 3 * batch + 75);
    char where[64];
    snprintf(where, sizeof where, "00000000000000000000.log: byte %ld:", 3 * batch);
    for (int round = 0; round < 2; round++) {
        struct consumer *c = open_consumer(f, NULL, READ_COMMITTED, 100000);
        assert_ok(consumer_assign(c, "t", 0, CONSUMER_EARLIEST, &f->e), &f->e);
        assert_ok(consumer_poll(c, 0, &got, &f->e), &f->e);
        assert_int_equal(got.n, 3);
        for (int again = 0; again < 2; again++) {
            assert_code(consumer_poll(c, 0, &got, &f->e), ERR_CORRUPT, &f->e);
            assert_int_equal(got.n, 0);
            assert_non_null(strstr(f->e.text, "t-0, offset 3"));
            assert_non_null(strstr(f->e.text, where));
            assert_non_null(strstr(f->e.text, "CRC"));
            assert_non_null(strstr(f->e.text, "reading can go on at offset 4"));
        }
        assert_ok(consumer_seek(c, "t", 0, 4, &f->e), &f->e);
        assert_int_equal(expect_sequence(f, c, 4), 2);
        consumer_close(c);
        fixture_close(f);
        fixture_open(f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_damaged_bytes_are_not_given_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flush_and_consume, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commits_on_their_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_commit_that_fails_on_its_way, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stored_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fenced_by_successor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_record, setup, teardown),
        cmocka_unit_test_setup_teardown(test_large_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_partitioning_and_delivery, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compressed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(test_turns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records_gone, setup, teardown),
        cmocka_unit_test_setup_teardown(test_topic_made_anew, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
