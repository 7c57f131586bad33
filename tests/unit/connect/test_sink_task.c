/*
 * Sink tasks over a real broker: what is delivered, committed and given again, final flushes, shares of partitions, and
 * plugins that report what cannot be.
 */
#include "tests/unit/connect/hub.h"

/* Fills topic t with "record 0" to "record n-1" and lets the source go. */
static void fill(struct hub *h, const char *topic, int n, int partitions)
{
    char text[256];
    struct err e;
    snprintf(
        text, sizeof(text),
        "pipelines: [{name: fill-%s, source: {type: generator, total: %d, per.poll: 3}, topic: {name: %s, "
        "partitions: %d}}]",
        topic, n, topic, partitions);
    hub_apply(h, text);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
}

/* Lines of capture's file say "topic partition offset key|value|headers"; each record once, in order. */
static void assert_captured(struct hub *h, const char *file, int n)
{
    char *text = hub_file(h, file), *at = text;
    int64_t last = -1;
    for (int i = 0; i < n; i++) {
        long long offset;
        int key, end = 0;
        assert_int_equal(sscanf(at, "t 0 %lld %d|record %*d|%n", &offset, &key, &end), 2);
        assert_int_equal(key, i);
        assert_true(offset > last);
        last = offset;
        char headers[32];
        int len = snprintf(headers, sizeof(headers), "number=%d\n", i);
        assert_memory_equal(at + end, headers, (size_t)len);
        at += end + len;
    }
    assert_string_equal(at, "");
    mem_free(text);
}

static bool all_committed(struct hub *h, const void *arg)
{
    int64_t end, ts;
    struct err e;
    assert_ok(client_list_offset(h->client, "t", 0, -1, READ_COMMITTED, &end, &ts, &e), &e);
    return hub_committed(h, arg, "t") == end;
}

static bool no_lag(struct hub *h, const void *arg)
{
    struct task_status *s = hub_status(h, arg, 0);
    bool none = s->lag_records == 0;
    task_status_free(s, 1);
    return none;
}

static void test_delivery_and_commit(void **state)
{
    struct hub *h = *state;
    fill(h, "t", 100, 1);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, "
                 "events: @/events}]}]");
    hub_await_lines(h, "out", 100);
    hub_await(h, all_committed, "connect-p-out");
    hub_await(h, no_lag, "p-out");
    assert_captured(h, "out", 100);
    struct task_status *s = hub_status(h, "p-out", 0);
    assert_int_equal(s->state, TASK_RUNNING);
    assert_int_equal(s->records, 100);
    assert_int_equal(s->kind, LEAT_SINK);
    task_status_free(s, 1);
    hub_stop(h);
    hub_start(h);
    char *events = hub_file(h, "events");
    assert_string_equal(events, "open 0/1 1\nassigned t-0 -1\nput 0\nfinal\nclose\n");
    mem_free(events);
    /* What was committed is not given again. */
    fill(h, "t", 100, 1);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out}]}]");
    hub_await(h, no_lag, "p-out");
    assert_captured(h, "out", 100);
}

/* Who has not begun does not know how far behind it is. */
static void test_lag_of_who_has_not_begun(void **state)
{
    struct hub *h = *state;
    struct err e;
    fill(h, "t", 10, 1);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, "
                 "paused: true}]}]");
    hub_await_state(h, "p-out", TASK_PAUSED);
    struct task_status *s = hub_status(h, "p-out", 0);
    assert_int_equal(s->lag_records, -1);
    task_status_free(s, 1);
    assert_ok(worker_pause(h->worker, "p-out", false, &e), &e);
    hub_await(h, no_lag, "p-out");
    assert_captured(h, "out", 10);
}

static void test_source_to_sink(void **state)
{
    struct hub *h = *state;
    hub_apply(h, "pipelines: [{name: p, source: {type: generator, total: 500, ends: false}, topic: t,"
                 " sinks: [{name: a, type: capture, path: @/a}, {name: b, type: capture, path: @/b}]}]");
    hub_await_lines(h, "a", 500);
    hub_await_lines(h, "b", 500);
    assert_captured(h, "a", 500);
    assert_captured(h, "b", 500);
}

static void test_redelivery_after_a_failure(void **state)
{
    struct hub *h = *state;
    fill(h, "t", 30, 1);
    hub_apply(
        h,
        "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, events: @/events,"
        " fail.at: 15, fail.kind: retry, fail.marker: @/marker, fail.times: 2, retry.backoff.ms: 1ms}]}]");
    hub_await(h, all_committed, "connect-p-out");
    hub_await(h, has_no_error, "p-out"); /* that is over */
    struct task_status *s = hub_status(h, "p-out", 0);
    assert_int_equal(s->restarts, 2);
    task_status_free(s, 1);
    /* Three attempts, each from the offset that was stored: nothing, as no flush came before the failure. */
    char *events = hub_file(h, "events");
    assert_int_equal(count_of(events, "assigned t-0 -1\n"), 3);
    assert_int_equal(count_of(events, "fail "), 2);
    assert_int_equal(count_of(events, "close\n"), 2);
    mem_free(events);
    char *text = hub_file(h, "out");
    for (int i = 0; i < 30; i++) {
        char key[64];
        snprintf(key, sizeof(key), " %d|record %d|", i, i);
        assert_true(count_of(text, key) >= 1);
    }
    mem_free(text);
}

static void test_failing_for_good(void **state)
{
    struct hub *h = *state;
    struct err e;
    static const struct {
        const char *option, *why;
    } cases[] = {
        {"fail.at: 0, fail.kind: fail", "put fails as asked"},
        {"fail.at: 0, fail.kind: nonsense", "the plugin's put returned -5, which is not a result"},
        {"report: beyond", "as stored up to offset 100"},
        {"report: back", "the plugin's flush reported t-0 as stored up to offset -3; it had reported -1"},
        {"typed: true, value.converter: json",
         "the value at t-0 offset 0, by the json converter: not valid JSON "
         "at byte 0"}};
    fill(h, "t", 10, 1);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(
            text, sizeof(text),
            "pipelines: [{name: p%zu, topics: [t], sinks: [{name: bad, type: capture, path: @/bad%zu, %s},"
            " {name: good, type: capture, path: @/good%zu}]}]",
            i, i, cases[i].option, i);
        hub_apply(h, text);
        char bad[32], group[32], good[32];
        snprintf(bad, sizeof(bad), "p%zu-bad", i);
        snprintf(group, sizeof(group), "connect-p%zu-bad", i);
        snprintf(good, sizeof(good), "good%zu", i);
        hub_await_state(h, bad, TASK_FAILED);
        hub_assert_error(h, bad, cases[i].why);
        assert_int_equal(hub_committed(h, group, "t"), -1);
        hub_await_lines(h, good, 10);
        assert_captured(h, good, 10);
        assert_ok(worker_restart(h->worker, bad, -1, &e), &e);
        hub_await_state(h, bad, TASK_FAILED);
    }
}

/* A stop comes between two puts of what one read gave: the rest is given by the next start, and nothing twice. */
static void test_stopping_between_puts(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(
        h, "pipelines: [{name: fill, source: {type: generator, total: 30000, per.poll: 30000}, topic: t}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    for (int round = 1; round <= 3; round++) {
        char text[256], events[32];
        snprintf(events, sizeof(events), "events%d", round);
        snprintf(
            text, sizeof(text),
            "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, delay: 1h,"
            " events: @/%s}]}]",
            events);
        hub_apply(h, text);
        hub_await_lines(h, events, 3); /* open, assigned, put */
        hub_apply(h, "pipelines: []");
        char *lines = hub_file(h, "out");
        assert_int_equal(count_of(lines, "\n"), 4096 * round);
        mem_free(lines);
        assert_captured(h, "out", 4096 * round);
    }
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out}]}]");
    hub_await_lines(h, "out", 30000);
    assert_captured(h, "out", 30000);
}

static void test_nothing_is_committed_that_is_not_reported(void **state)
{
    struct hub *h = *state;
    fill(h, "t", 10, 1);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, report: "
                 "nothing}]}]");
    hub_await_lines(h, "out", 10);
    hub_stop(h);
    hub_start(h);
    assert_int_equal(hub_committed(h, "connect-p-out", "t"), -1);
}

static void test_typed_values(void **state)
{
    struct hub *h = *state;
    hub_apply(
        h,
        "pipelines: [{name: p, source: {type: generator, total: 3, form: typed, value.converter: json},"
        " topic: t, sinks: [{name: out, type: capture, path: @/out, typed: true, value.converter: json}]}]");
    hub_await_lines(h, "out", 3);
    char *text = hub_file(h, "out");
    assert_non_null(strstr(text, " 2|{\"number\":2}|number=2\n"));
    mem_free(text);
}

static void test_waiting_for_a_topic(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, "pipelines: [{name: p, topics: [late], sinks: [{name: out, type: capture, path: @/out}]}]");
    int64_t end = clock_mono_ms() + WAIT_MS;
    for (bool shown = false; !shown && clock_mono_ms() < end; pause_a_little()) {
        struct task_status *s = hub_status(h, "p-out", 0);
        shown = s->error != NULL;
        assert_int_equal(s->state, TASK_UNASSIGNED);
        task_status_free(s, 1);
    }
    hub_assert_error(h, "p-out", "late");
    assert_ok(client_create_topic(h->client, "late", 1, NULL, 0, &e), &e);
    struct producer *p = producer_open(h->client, &(struct producer_options){0}, &e);
    assert_ok(producer_add(p, "late", 0, 1, "k", 1, "v", 1, NULL, 0, &e), &e);
    assert_ok(producer_add(p, "late", 0, 1, NULL, 0, NULL, 0, NULL, 0, &e), &e);
    assert_ok(producer_flush(p, &e), &e);
    producer_close(p);
    hub_await_lines(h, "out", 2);
    char *text = hub_file(h, "out");
    assert_string_equal(text, "late 0 0 k|v|\nlate 0 1 |null|\n");
    mem_free(text);
    struct task_status *s = hub_status(h, "p-out", 0);
    assert_null(s->error);
    task_status_free(s, 1);
}

static void put_records(struct hub *h, const char *topic, int n)
{
    struct err e;
    struct producer *p = producer_open(h->client, &(struct producer_options){0}, &e);
    assert_non_null(p);
    for (int i = 0; i < n; i++)
        assert_ok(producer_add(p, topic, 0, 1, "k", 1, "new", 3, NULL, 0, &e), &e);
    assert_ok(producer_flush(p, &e), &e);
    producer_close(p);
}

/* While a put has records of the old topic: what is stored of them is nothing to commit for the new one, which is read whole. */
static void test_topic_made_anew_under_a_put(void **state)
{
    struct hub *h = *state;
    struct err e;
    fill(h, "t", 30, 1);
    hub_apply(h,
              "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, delay: 1h,"
              " events: @/events}]}]");
    hub_await_lines(h, "events", 3); /* open, assigned, put */
    assert_ok(client_delete_topic(h->client, "t", &e), &e);
    assert_ok(client_create_topic(h->client, "t", 1, NULL, 0, &e), &e);
    put_records(h, "t", 5);
    hub_apply(h, "pipelines: []");
    assert_captured(h, "out", 30);
    assert_int_equal(hub_committed(h, "connect-p-out", "t"), -1);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/new}]}]");
    hub_await(h, all_committed, "connect-p-out");
    char *text = hub_file(h, "new");
    assert_int_equal(count_of(text, " k|new|\n"), 5);
    mem_free(text);
}

/* Nobody stored what lies behind an offset beyond the end: all that is there is given, and goes on from there. */
static void test_stored_offset_beyond_the_end(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct group_offset far = {.topic = "t", .partition = 0, .offset = 5000, .leader_epoch = -1};
    fill(h, "t", 10, 1);
    assert_ok(client_commit_offsets(h->client, "connect-p-out", &far, 1, &e), &e);
    hub_apply(h, "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out}]}]");
    hub_await_lines(h, "out", 10);
    hub_await(h, all_committed, "connect-p-out");
    assert_captured(h, "out", 10);
    hub_await_state(h, "p-out", TASK_RUNNING);
}

/* Every partition of `events` was opened by one task, and all tasks together have `partitions`. */
static void assert_shared(struct hub *h, int tasks, int partitions)
{
    char *events = hub_file(h, "events");
    assert_int_equal(count_of(events, "open "), tasks);
    for (int i = 0; i < partitions; i++) {
        char line[32];
        snprintf(line, sizeof(line), "assigned t-%d ", i);
        assert_int_equal(count_of(events, line), 1);
    }
    mem_free(events);
}

/* The last two opens of `events` share six partitions. How many there were before depends on who noticed first. */
static bool shared_anew(struct hub *h, const void *arg)
{
    const char *events_name = arg;
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/%s", h->dir, events_name);
    if (!io_exists(path))
        return false;
    char *events = hub_file(h, events_name), *last = NULL, *before = NULL;
    for (char *at = strstr(events, "open "); at; at = strstr(at + 1, "open ")) {
        before = last;
        last = at;
    }
    bool whole = before != NULL;
    for (int i = 0; whole && i < 6; i++) {
        char line[32];
        snprintf(line, sizeof(line), "assigned t-%d ", i);
        whole = count_of(before, line) == 1;
    }
    mem_free(events);
    return whole;
}

static void test_shares_of_partitions(void **state)
{
    struct hub *h = *state;
    struct err e;
    fill(h, "t", 300, 5);
    hub_apply(
        h,
        "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, events: @/events,"
        " tasks.max: 2}]}]");
    hub_await_lines(h, "out", 300);
    assert_shared(h, 2, 5);
    /* A new partition: all tasks leave before anyone begins with the new division. */
    char path[PATH_MAX];
    snprintf(path, sizeof(path), "%s/events", h->dir);
    hub_await(h, no_lag, "p-out");
    assert_ok(client_add_partitions(h->client, "t", 6, &e), &e);
    assert_ok(io_unlink(path, &e), &e);
    assert_ok(worker_restart(h->worker, "p-out", 0, &e), &e);
    hub_await(h, shared_anew, "events");
    char *text = hub_file(h, "out");
    assert_int_equal(count_of(text, "\n"), 300);
    mem_free(text);
}

static void test_more_tasks_than_partitions(void **state)
{
    struct hub *h = *state;
    fill(h, "t", 20, 1);
    hub_apply(
        h,
        "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, events: @/events,"
        " tasks.max: 3}]}]");
    hub_await_lines(h, "out", 20);
    assert_captured(h, "out", 20);
    char *events = hub_file(h, "events");
    assert_int_equal(count_of(events, "open "), 1);
    assert_non_null(strstr(events, "open 0/3 1\nassigned t-0 -1\nput "));
    mem_free(events);
}

/* By the connector, and by its options; a source of an older plugin is what it says. */
static void test_exactness(void **state)
{
    struct hub *h = *state;
    hub_apply(h,
              "pipelines: [{name: p, source: {type: generator}, topic: t, sinks: [\n"
              "  {name: a, type: capture, path: @/a}, {name: b, type: capture, path: @/b, typed: true}]}]");
    struct task_status *a = hub_status(h, "p-a", 0), *b = hub_status(h, "p-b", 0), *p = hub_status(h, "p", 0);
    assert_true(p->exact && a->exact && !b->exact);
    assert_null(p->not_exact);
    assert_null(a->not_exact);
    assert_string_equal(b->not_exact, "typed: for the test");
    task_status_free(a, 1);
    task_status_free(b, 1);
    task_status_free(p, 1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hub_setup, hub_teardown)
    const struct CMUnitTest tests[] = {
        T(test_delivery_and_commit),
        T(test_lag_of_who_has_not_begun),
        T(test_source_to_sink),
        T(test_redelivery_after_a_failure),
        T(test_failing_for_good),
        T(test_stopping_between_puts),
        T(test_nothing_is_committed_that_is_not_reported),
        T(test_typed_values),
        T(test_waiting_for_a_topic),
        T(test_topic_made_anew_under_a_put),
        T(test_stored_offset_beyond_the_end),
        T(test_shares_of_partitions),
        T(test_more_tasks_than_partitions),
        T(test_exactness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
