/*
 * When a source's records are committed: behind the next poll, gathered by time and bytes, and what becomes of them when a
 * later poll or the hub fails. `counter` is polled while its records are written, `generator` is not.
 */
#include <errno.h>

#include "tests/unit/connect/hub.h"

#define NEVER "interval, transaction.boundary.interval.ms: 30s" /* longer than a test takes */

static int transactions(struct hub *h)
{
    char *positions = hub_read(h, "connect-offsets", 0);
    int n = count_of(positions, "\n");
    free(positions);
    return n;
}

static void apply_source(struct hub *h, const char *source)
{
    char text[512];
    snprintf(text, sizeof(text), "pipelines: [{name: gen, topic: t, source: {%s}}]", source);
    hub_apply(h, text);
}

static void test_behind_the_next_poll(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 1000, per.poll: 7");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 1000);
    assert_int_equal(transactions(h), 143);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->records, 1000);
    task_status_free(s, 1);
}

/* An attempt begins with what the one before it had on its way. */
static void test_failures_behind_a_commit(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(
        h, "type: counter, total: 200, per.poll: 4, fail.at: 50, fail.kind: retry, fail.marker: @/marker,"
           " fail.times: 10, retry.backoff.ms: 1ms");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 200);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->restarts, 10);
    assert_int_equal(s->records, 200); /* of each only what became durable is counted */
    task_status_free(s, 1);
}

static void test_failed_allocations(void **state)
{
    for (int nth = 1; nth <= 120; nth++) {
        char text[256];
        snprintf(
            text, sizeof(text),
            "pipelines: [{name: gen, topic: t, source: {type: counter, total: %d, per.poll: 2, paused: true, "
            "retry.backoff.ms: 1ms%s}}]",
            5 * nth, nth % 2 ? "" : ", transaction.boundary: interval, transaction.boundary.bytes: 40");
        hub_complete_with_fault(*state, text, (uint64_t)nth, 5 * nth);
    }
}

static void test_journal_that_fails(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 1000000, per.poll: 3, interval: 1ms, retries: 0");
    hub_await_state(h, "gen", TASK_RUNNING);
    while (transactions(h) < 5)
        pause_a_little();
    fault_arm(FAULT_SYNC, 1, EIO, true);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    fault_disarm();
    hub_await_state(h, "gen", TASK_FAILED);
    hub_assert_error(h, "gen", "cannot commit");
    char *text = hub_read(h, "t", 0);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(count_of(text, "\n"), s->records);
    hub_assert_counted(h, "t", (int)s->records);
    task_status_free(s, 1);
    free(text);
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    worker_free(h->worker);
    client_close(h->client);
    broker_close(h->broker, &e); /* says that the journal failed */
    plugins_close(h->plugins);
    hub_start(h);
}

/* While the plugin waits, what it gave is seen through and counted. */
static void test_counted_while_the_plugin_waits(void **state)
{
    struct hub *h = *state;
    apply_source(h, "type: counter, total: 10, ends: false");
    for (uint64_t records = 0; records < 10; pause_a_little()) {
        struct task_status *s = hub_status(h, "gen", 0);
        records = s->records;
        task_status_free(s, 1);
    }
    hub_assert_counted(h, "t", 10);
}

static void test_gathered_to_the_end(void **state)
{
    static const char *const types[] = {"counter", "generator"};
    struct hub *h = *state;
    struct err e;
    for (int i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof(text), "type: %s, total: %d, per.poll: 1, transaction.boundary: " NEVER,
                 types[i], 40 * (i + 1));
        apply_source(h, text);
        assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
        hub_assert_counted(h, "t", 40 * (i + 1));
        assert_int_equal(transactions(h), i + 1);
    }
    struct task_status *s = hub_status(h, "gen", 0);
    assert_true(s->gauges[1].value == 80); /* it was told */
    task_status_free(s, 1);
}

/* "0record 0" to "9record 9" have 9 bytes. */
static void test_gathered_by_bytes(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 10, per.poll: 1, transaction.boundary.bytes: 36, "
                    "transaction.boundary: " NEVER);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 10);
    assert_int_equal(transactions(h), 3);
}

/* The time passes while the plugin waits for more that never comes. */
static void test_gathered_by_time(void **state)
{
    static const char *const types[] = {"counter", "generator"};
    struct hub *h = *state;
    for (int i = 0; i < 2; i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "type: %s, total: %d, per.poll: 1, ends: false, transaction.boundary: interval,"
                 " transaction.boundary.interval.ms: 20ms",
                 types[i], 10 * (i + 1));
        apply_source(h, text);
        for (uint64_t records = 0; records < 10; pause_a_little()) {
            struct task_status *s = hub_status(h, "gen", 0);
            records = s->records;
            task_status_free(s, 1);
        }
        hub_assert_counted(h, "t", 10 * (i + 1));
    }
}

static void test_gathered_until_asked_to_stop(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 10, per.poll: 1, ends: false, transaction.boundary: " NEVER);
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
    hub_await_state(h, "gen", TASK_PAUSED);
    struct task_status *s = hub_status(h, "gen", 0);
    hub_assert_counted(h, "t", (int)s->records);
    assert_true(transactions(h) <= 1);
    task_status_free(s, 1);
}

/* Polls of 4: one that fails at its first record leaves those before it whole, one that fails in the middle does not. */
static void test_gathered_before_a_failure(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 20, per.poll: 4, fail.at: 8, fail.kind: fail, fail.marker: @/a,"
                    " transaction.boundary: " NEVER);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_error(h, "gen", "fails at 8 as asked");
    hub_assert_counted(h, "t", 8);
    assert_int_equal(transactions(h), 1);
    apply_source(h, "type: counter, total: 20, per.poll: 4, fail.at: 14, fail.kind: fail, fail.marker: @/b,"
                    " transaction.boundary: " NEVER);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_error(h, "gen", "fails at 14 as asked");
    hub_assert_counted(h, "t", 8);
    assert_ok(worker_restart(h->worker, "gen", -1, &e), &e);
    hub_await_state(h, "gen", TASK_COMPLETED);
    hub_assert_counted(h, "t", 20);
    assert_int_equal(transactions(h), 2);
}

static bool has_records(struct hub *h, const void *arg)
{
    char *text = hub_read(h, "t", *(const int32_t *)arg);
    bool has = *text != 0;
    free(text);
    return has;
}

static void test_partitions_that_are_added(void **state)
{
    static const int32_t last = 4, one = 1;
    struct hub *h = *state;
    struct err e;
    apply_source(h, "type: counter, total: 1000000, per.poll: 1, interval: 1ms");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_ok(client_add_partitions(h->client, "t", 2, &e), &e);
    hub_await(h, has_records, &one);
    assert_ok(client_add_partitions(h->client, "t", 5, &e), &e);
    hub_await(h, has_records, &last);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->restarts, 0);
    assert_null(s->error);
    task_status_free(s, 1);
    assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
    hub_await_state(h, "gen", TASK_PAUSED);
    int total = 0;
    for (int32_t p = 0; p < 5; p++) {
        char *text = hub_read(h, "t", p);
        total += count_of(text, "\n");
        free(text);
    }
    s = hub_status(h, "gen", 0);
    assert_int_equal(total, s->records);
    task_status_free(s, 1);
}

static bool is_stuck(struct hub *h, const void *connector)
{
    struct task_status *s = hub_status(h, connector, 0);
    bool stuck = s->gauge_count == 2;
    task_status_free(s, 1);
    return stuck;
}

/* Batches that were filled for the limit as it was are filled anew: no record is lost or stored twice. */
static void test_lower_limit_of_batches(void **state)
{
    static const struct topic_config_entry lower = {"max.message.bytes", "5000"};
    struct hub *h = *state;
    struct err e;
    char path[PATH_MAX];
    hub_apply(h, "pipelines: [{name: gen, topic: t, source: {type: generator, total: 2000, per.poll: 2000,"
                 " stuck: @/go, retry.backoff.ms: 1ms}}]");
    hub_await(h, is_stuck, "gen"); /* it knows the limit */
    assert_ok(client_alter_topic(h->client, "t", &lower, 1, &e), &e);
    snprintf(path, sizeof(path), "%s/go", h->dir);
    assert_ok(io_replace_file(path, "", 0, 0600, &e), &e);
    hub_await_state(h, "gen", TASK_COMPLETED);
    hub_assert_counted(h, "t", 2000);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hub_setup, hub_teardown)
    const struct CMUnitTest tests[] = {
        T(test_behind_the_next_poll),
        T(test_failures_behind_a_commit),
        T(test_failed_allocations),
        T(test_journal_that_fails),
        T(test_counted_while_the_plugin_waits),
        T(test_gathered_to_the_end),
        T(test_gathered_by_bytes),
        T(test_gathered_by_time),
        T(test_gathered_until_asked_to_stop),
        T(test_gathered_before_a_failure),
        T(test_partitions_that_are_added),
        T(test_lower_limit_of_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
