/*
 * The cleaner's threads: logs are cleaned at the same time and each by one of them, rate and memory hold for all together, and
 * nobody has to wait for them.
 */
#include "tests/unit/broker/cleaner.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/io.h"
#include "base/thread.h"

enum { TOPICS = 3 };
static const char *const topics[TOPICS] = {"a", "b", "c"};

/* Topics of 60 records, none of them cleaned yet, and the broker closed. */
static void fill(struct fixture *f, int n)
{
    struct broker_options o = options(f);
    o.cleaner_disabled = true;
    reopen(f, &o);
    for (int i = 0; i < n; i++) {
        assert_ok(broker_create_topic(f->b, topics[i], 1, compacted, 2, NULL, &f->e), &f->e);
        put_many(f, topics[i], 60);
    }
    fixture_close(f);
}

static struct broker_options two_threads(struct fixture *f)
{
    struct broker_options o = options(f);
    o.cleaner_threads = 2;
    return o;
}

static void wait_at_work(struct fixture *f, uint64_t n)
{
    struct waiter *w = waiter_new(f->b, &f->e);
    while (stats(f).cleaner_at_work != n)
        waiter_wait(w, 5);
    waiter_free(w);
}

/* At a rate at which no pass ends: as many logs as there are threads, and the next one when a topic is deleted. */
static void test_logs_at_once(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = two_threads(f);
    fill(f, TOPICS);
    o.cleaner_io_bytes_per_second = 1;
    reopen(f, &o);
    assert_int_equal(stats(f).cleaner_threads, 2);
    wait_at_work(f, 2);
    assert_ok(broker_delete_topic(f->b, "a", &f->e), &f->e);
    wait_at_work(f, 2);
    assert_ok(broker_delete_topic(f->b, "b", &f->e), &f->e);
    wait_at_work(f, 1);
    reopen(f, &o);
    struct seen s = read_back(f, "c");
    expect_last(&s, 60);
    assert_int_equal(s.count, 60);
}

static void damage(struct fixture *f, const char *topic)
{
    char path[600];
    int fd;
    snprintf(path, sizeof path, "%s/logs/%s-0/00000000000000000000.log", f->dir, topic);
    assert_ok(io_open(&fd, path, O_RDWR, 0, &f->e), &f->e);
    assert_ok(io_pwrite(fd, "?", 1, 5000, path, &f->e), &f->e);
    io_close(fd);
}

/* What one thread gives up keeps neither itself nor the other from the rest. */
static void test_a_damaged_one_among_others(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = two_threads(f);
    fill(f, TOPICS);
    damage(f, "a");
    reopen(f, &o);
    wait_for_passes(f, 2);
    struct waiter *w = waiter_new(f->b, &f->e);
    while (stats(f).uncleanable_partitions == 0)
        waiter_wait(w, 5);
    waiter_free(w);
    for (int i = 1; i < TOPICS; i++) {
        struct seen s = read_back(f, topics[i]);
        expect_last(&s, 60);
        assert_true(s.count < 30);
    }
    assert_int_equal(stats(f).uncleanable_partitions, 1);
    wait_at_work(f, 0);
    assert_int_equal(stats(f).cleaner_passes, 2);
}

/* Two threads are no faster together than the rate: a bound from below, so that a slow machine fails no test. */
static void test_rate_of_all(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = two_threads(f);
    fill(f, 2);
    o.cleaner_io_bytes_per_second = 16 << 20;
    int64_t start = clock_mono_ns();
    reopen(f, &o);
    wait_for_passes(f, 2);
    double seconds = (double)(clock_mono_ns() - start) / 1e9;
    struct broker_stats s = stats(f);
    double bytes = (double)(s.cleaner_bytes_read + s.cleaner_bytes_written);
    assert_true(bytes > 12e6);
    /* 300 ms of the rate may have been saved up, and of each thread a piece not been told of. */
    assert_true(seconds >= (bytes - 2 * (256 << 10)) / (16 << 20) - 0.3);
}

/* `n` records, each of a key of its own, in segments of three batches. */
static void put_keys(struct fixture *f, int n)
{
    static const struct topic_config_entry config[] = {{"cleanup.policy", "compact"},
                                                       {"index.interval.bytes", "0"},
                                                       {"segment.index.bytes", "24"},
                                                       {"min.cleanable.dirty.ratio", "0"}};
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT};
    struct batch_producer none = BATCH_NO_PRODUCER;
    assert_ok(broker_create_topic(f->b, "keys", 1, config, 4, NULL, &f->e), &f->e);
    for (int i = 0; i < n;) {
        struct batch_builder *b = batch_builder_new(&o, &f->e);
        struct produce_request r = {.topic = "keys"};
        uint8_t *data;
        for (int end = i + 100; i < end; i++)
            assert_ok(batch_builder_add(b, clock_wall_ms(), &i, sizeof i, "v", 1, NULL, 0, &f->e), &f->e);
        assert_ok(batch_builder_finish(b, &none, &data, &r.bytes, &f->e), &f->e);
        r.data = data;
        assert_ok(broker_produce(f->b, &r, 1, false, &f->e), &f->e);
        batch_builder_free(b);
    }
}

static void count(void *arg, const struct batch_header *h, const struct record *r)
{
    (void)h, (void)r;
    ++*(int *)arg;
}

/* Memory for 2,184 keys: one thread has 2,000 in one pass, two have it by halves and need two. */
static void test_memory_of_all(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    o.cleaner_disabled = true;
    reopen(f, &o);
    put_keys(f, 2000);
    for (int threads = 1; threads <= 2; threads++) {
        char path[600];
        int records = 0;
        o = options(f);
        o.cleaner_threads = threads;
        o.cleaner_dedupe_bytes = 64 << 10;
        reopen(f, &o);
        wait_for_passes(f, (uint64_t)threads);
        wait_at_work(f, 0);
        assert_int_equal(stats(f).cleaner_passes, threads);
        each_record(f, "keys", 0, 0, READ_UNCOMMITTED, count, &records);
        assert_int_equal(records, 2000);
        fixture_close(f);
        snprintf(path, sizeof path, "%s/logs/cleaner-offset-checkpoint", f->dir);
        assert_ok(io_unlink(path, &f->e), &f->e); /* so that everything is dirty again */
    }
}

/* A pass that would take days at its rate holds up neither the deletion of its topic nor the stop. */
static void test_nobody_waits(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = options(f);
    o.cleaner_io_bytes_per_second = 1;
    reopen(f, &o);
    for (int round = 0; round < 2; round++) {
        assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
        put_many(f, "t", 60);
        struct waiter *w = waiter_new(f->b, &f->e);
        while (stats(f).cleaner_memory == 0) /* it is at work */
            waiter_wait(w, 5);
        waiter_free(w);
        if (round == 0)
            assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    }
    reopen(f, &o);
    struct seen s = read_back(f, "t");
    expect_last(&s, 60);
    assert_int_equal(s.count, 60);
}

/* ---- beside everything else ----------------------------------------------------------------------------------------- */

struct worker {
    struct broker *b;
    const char *topic;
    atomic_bool *done;
    const char *failure; /* cmocka's assertions belong to the main thread */
};

static void *append_some(void *arg)
{
    struct worker *w = arg;
    struct fixture f = {.b = w->b};
    for (int i = 0; i < 150 && !w->failure; i++) {
        int rc = try_put(&f, w->topic, i % KEYS, i, i % 2);
        if (rc && rc != ERR_UNKNOWN_TOPIC) /* deleted meanwhile */
            w->failure = err_name(rc);
    }
    return NULL;
}

static void *make_and_delete(void *arg)
{
    struct worker *w = arg;
    struct err e;
    while (!atomic_load(w->done) && !w->failure) {
        if (broker_create_topic(w->b, w->topic, 1, compacted, 2, NULL, &e)) {
            w->failure = "create";
            break;
        }
        struct worker appends = {.b = w->b, .topic = w->topic, .done = w->done};
        append_some(&appends);
        w->failure = appends.failure;
        if (broker_delete_topic(w->b, w->topic, &e))
            w->failure = "delete";
    }
    return NULL;
}

static void *read_some(void *arg)
{
    struct worker *w = arg;
    struct err e;
    int64_t at = 0, next = 0;
    while (!atomic_load(w->done) && !w->failure) {
        struct log_range r;
        int rc = broker_locate(w->b, w->topic, 0, at, 100000, READ_COMMITTED, &r, &e);
        if (rc) {
            w->failure = err_name(rc);
            break;
        }
        next = r.next_offset;
        if (r.bytes && next <= at)
            w->failure = "backwards";
        at = r.bytes ? next : 0;
        log_range_release(&r);
    }
    return NULL;
}

static void test_beside_everything(void **state)
{
    struct fixture *f = *state;
    struct broker_options o = two_threads(f);
    atomic_bool done = false;
    o.retention_check_ms = 2;
    reopen(f, &o);
    assert_ok(broker_create_topic(f->b, "t", 1, compacted, 2, NULL, &f->e), &f->e);
    struct worker workers[] = {
        {f->b, "t", &done, NULL}, {f->b, "gone", &done, NULL}, {f->b, "t", &done, NULL}};
    pthread_t threads[3];
    assert_ok(thread_start(&threads[0], "append", append_some, &workers[0], &f->e), &f->e);
    assert_ok(thread_start(&threads[1], "admin", make_and_delete, &workers[1], &f->e), &f->e);
    assert_ok(thread_start(&threads[2], "read", read_some, &workers[2], &f->e), &f->e);
    pthread_join(threads[0], NULL);
    wait_for_passes(f, 2);
    atomic_store(&done, true);
    for (int i = 1; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        if (workers[i].failure)
            fail_msg("thread %d: %s", i, workers[i].failure);
    struct seen s = read_back(f, "t");
    expect_last(&s, 150);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_logs_at_once), T(test_a_damaged_one_among_others), T(test_rate_of_all), T(test_memory_of_all),
        T(test_nobody_waits), T(test_beside_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
