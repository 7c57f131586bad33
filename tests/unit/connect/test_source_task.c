/*
 * Source tasks over a real broker: every record once and in order over restarts and failures, positions in Kafka
 * Connect's form, and what becomes of plugins that fail for good or talk nonsense.
 */
#include <errno.h>

#include "tests/unit/connect/hub.h"

#include "base/hash.h"

static void test_records_and_position(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, "pipelines: [{name: gen, source: {type: generator, total: 10, per.poll: 3}, topic: t}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 10);
    char *positions = hub_read(h, "connect-offsets", 0);
    assert_int_equal(count_of(positions, "\n"), 4);
    assert_non_null(strstr(positions, "[\"gen\",{\"kind\":\"generator\",\"task\":0}]={\"next\":10}\n"));
    free(positions);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->state, TASK_COMPLETED);
    assert_string_equal(task_state_name(s->state), "COMPLETED");
    assert_string_equal(s->pipeline, "gen");
    assert_string_equal(s->type, "generator");
    assert_int_equal(s->records, 10);
    assert_int_equal(s->bytes, 10 * strlen("0record 0"));
    assert_int_equal(s->lag_records, -1);
    assert_int_equal(s->restarts, 0);
    assert_null(s->error);
    assert_true(s->last_activity_ms > 0);
    assert_int_equal(s->gauge_count, 2);
    assert_string_equal(s->gauges[1].name, "committed");
    assert_true(s->gauges[1].value == 10);
    task_status_free(s, 1);
    struct topic_info info;
    assert_ok(client_topic(h->client, "connect-offsets", &info, &e), &e);
    bool compacted = false; /* retention must not forget positions */
    for (size_t i = 0; i < info.config_count; i++)
        compacted = compacted || (strcmp(info.config[i].name, "cleanup.policy") == 0 &&
                                  strcmp(info.config[i].value, "compact") == 0);
    assert_true(compacted);
    topic_info_free(&info);
}

static void test_transient_failures(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(
        h, "pipelines: [{name: gen, topic: t, source: {type: generator, total: 20, per.poll: 4, fail.at: 10,"
           " fail.kind: retry, fail.marker: @/marker, fail.times: 3, retry.backoff.ms: 1ms}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 20);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->restarts, 3);
    assert_null(s->error);
    task_status_free(s, 1);
}

static void test_failing_to_open(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(
        h,
        "pipelines: [{name: gen, topic: t, source: {type: generator, fail.kind: open, fail.marker: @/marker,"
        " fail.times: 2, retry.backoff.ms: 1ms}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 10);
}

static bool has_error(struct hub *h, const void *connector)
{
    return !has_no_error(h, connector);
}

/* The text of a failure stays until something is committed, or nothing has failed for as long as the longest backoff. */
static void test_the_error_goes_with_recovery(void **state)
{
    static const char *const sources[] = {"total: 10", "total: 0", "total: 10, ends: false",
                                          "total: 0, ends: false"};
    struct hub *h = *state;
    for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++) {
        char text[512], name[16], marker[256];
        snprintf(name, sizeof(name), "gen%zu", i);
        snprintf(marker, sizeof(marker), "%s/marker%zu", h->dir, i);
        snprintf(text, sizeof(text),
                 "pipelines: [{name: %s, topic: t, source: {type: generator, fail.kind: open, fail.marker: "
                 "@/marker%zu, fail.times: 1000000, retry.backoff.ms: 1ms, retry.backoff.max.ms: 1ms, %s}}]",
                 name, i, sources[i]);
        hub_apply(h, text);
        hub_await(h, has_error, name);
        assert_int_equal(truncate(marker, 1000000), 0); /* as if it had failed so often */
        hub_await(h, has_no_error, name);
    }
}

static void test_giving_up(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(
        h, "pipelines: [{name: gen, topic: t, source: {type: generator, total: 20, per.poll: 4, fail.at: 10,"
           " fail.kind: retry, retry.backoff.ms: 1ms, retries: 2}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 8);
    hub_assert_error(h, "gen", "given up after 2 retries: fails at 10 as asked");
    hub_await_state(h, "gen", TASK_FAILED);
}

/* Whichever allocation fails, in the task or in the store below it: every record is there once in the end. */
static void test_failed_allocations(void **state)
{
    for (int nth = 1; nth <= 120; nth++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "pipelines: [{name: gen, topic: t, source: {type: generator, total: %d, per.poll: 3, "
                 "paused: true, retry.backoff.ms: 1ms}}]",
                 5 * nth);
        hub_complete_with_fault(*state, text, (uint64_t)nth, 5 * nth);
    }
}

static void test_over_restarts_of_the_hub(void **state)
{
    struct hub *h = *state;
    struct err e;
    for (int total = 0; total <= 50; total += 10) {
        char text[256];
        snprintf(text, sizeof(text),
                 "pipelines: [{name: gen, topic: t, source: {type: generator, total: %d, per.poll: 3}}]",
                 total);
        hub_apply(h, text);
        assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
        hub_assert_counted(h, "t", total);
        hub_stop(h);
        hub_start(h);
    }
}

static void test_stopping_in_the_middle(void **state)
{
    struct hub *h = *state;
    for (int round = 1; round <= 5; round++) {
        hub_apply(h,
                  "pipelines: [{name: gen, topic: t, source: {type: generator, total: 1000000, interval: 1ms,"
                  " per.poll: 7}}]");
        int64_t end = clock_mono_ms() + WAIT_MS;
        for (uint64_t records = 0; records < 20 && clock_mono_ms() < end; pause_a_little()) {
            struct task_status *s = hub_status(h, "gen", 0);
            records = s->records;
            task_status_free(s, 1);
        }
        hub_stop(h);
        hub_start(h);
        char *text = hub_read(h, "t", 0);
        int n = count_of(text, "\n");
        free(text);
        assert_true(n >= 20 * round);
        hub_assert_counted(h, "t", n);
    }
}

static void test_failing_for_good(void **state)
{
    struct hub *h = *state;
    struct err e;
    static const struct {
        const char *kind, *why;
    } cases[] = {{"fail", "fails at 10 as asked"},
                 {"nonsense", "the plugin's poll returned 77, which is not a result it may have"},
                 {"silent", "the plugin's poll failed without saying why"},
                 {"bad-record", "cannot take record 1 of 1: a record whose struct_size is 3"},
                 {"bad-topic", "a source must not write to the internal topic connect-offsets"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 "pipelines:\n"
                 "  - {name: bad%zu, source: {type: generator, total: 20, per.poll: 4, fail.at: 10, "
                 "fail.kind: %s,\n"
                 "     fail.marker: @/marker%zu}}\n"
                 "  - {name: good%zu, source: {type: generator, total: 30}}\n",
                 i, cases[i].kind, i, i);
        hub_apply(h, text);
        assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
        char bad[16], good[16];
        snprintf(bad, sizeof(bad), "bad%zu", i);
        snprintf(good, sizeof(good), "good%zu", i);
        hub_await_state(h, bad, TASK_FAILED);
        hub_await_state(h, good, TASK_COMPLETED);
        hub_assert_error(h, bad, cases[i].why);
        hub_assert_counted(h, bad, 8);
        hub_assert_counted(h, good, 30);
        /* The marker lets the next attempt pass: it goes on from the position that was kept. */
        assert_ok(worker_restart(h->worker, bad, 0, &e), &e);
        hub_await_state(h, bad, TASK_COMPLETED);
        hub_assert_counted(h, bad, 20);
    }
    assert_code(worker_restart(h->worker, "nobody", -1, &e), ERR_NOT_FOUND, &e);
    assert_code(worker_restart(h->worker, "good4", 1, &e), ERR_NOT_FOUND, &e);
}

/* Two underscores make no topic the store's own: Debezium's heartbeats have them. */
static void test_topics_that_look_internal(void **state)
{
    struct hub *h = *state;
    hub_apply(h, "pipelines:\n"
                 "  - {name: beats, source: {type: generator, total: 5, to.topic: __debezium-heartbeat.x}}\n"
                 "  - {name: steals, source: {type: generator, total: 5, to.topic: __consumer_offsets}}\n");
    hub_await_state(h, "beats", TASK_COMPLETED);
    hub_assert_counted(h, "__debezium-heartbeat.x", 5);
    hub_await_state(h, "steals", TASK_FAILED);
    hub_assert_error(h, "steals", "a source must not write to the internal topic __consumer_offsets");
}

static void test_pausing(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h,
              "pipelines: [{name: gen, topic: t, source: {type: generator, total: 1000000, interval: 1ms}}]");
    for (int round = 0; round < 3; round++) {
        hub_await_state(h, "gen", TASK_RUNNING);
        assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
        hub_await_state(h, "gen", TASK_PAUSED);
        struct task_status *s = hub_status(h, "gen", 0);
        hub_assert_counted(h, "t", (int)s->records);
        /* Asked to begin anew it stays paused. */
        assert_ok(worker_restart(h->worker, "gen", -1, &e), &e);
        hub_await_state(h, "gen", TASK_PAUSED);
        task_status_free(s, 1);
        assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
    }
    assert_code(worker_pause(h->worker, "nobody", true, &e), ERR_NOT_FOUND, &e);
}

static void test_paused_from_the_start(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, "pipelines: [{name: gen, topic: t, source: {type: generator, paused: true}}]");
    hub_await_state(h, "gen", TASK_PAUSED);
    hub_assert_counted(h, "t", 0);
    assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
    hub_await_state(h, "gen", TASK_COMPLETED);
    hub_assert_counted(h, "t", 10);
}

static void test_several_tasks_and_partitions(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, "pipelines: [{name: gen, source: {type: generator, total: 100, tasks.max: 3},"
                 " topic: {name: t, partitions: 4, config: {retention.ms: 5000000000}}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    int total = 0;
    for (int32_t p = 0; p < 4; p++) {
        char *text = hub_read(h, "t", p), *at = text;
        total += count_of(text, "\n");
        for (char *line; (line = strsep(&at, "\n")) != NULL && *line != 0;)
            assert_int_equal(kafka_partition_for_key(line, strcspn(line, "="), 4), p);
        free(text);
    }
    assert_int_equal(total, 300);
    char *positions = hub_read(h, "connect-offsets", 0);
    for (int i = 0; i < 3; i++) {
        char line[128];
        snprintf(line, sizeof(line), "[\"gen\",{\"kind\":\"generator\",\"task\":%d}]={\"next\":100}\n", i);
        assert_int_equal(count_of(positions, line), 1);
    }
    free(positions);
}

static void test_other_topics(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct topic_info info;
    hub_apply(h, "pipelines: [{name: gen, source: {type: generator, to.topic: other, to.partition: 2},"
                 " topic: {name: t, partitions: 3}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_counted(h, "t", 0);
    char *text = hub_read(h, "other", 2);
    assert_int_equal(count_of(text, "\n"), 10);
    free(text);
    assert_ok(client_topic(h->client, "other", &info, &e), &e);
    assert_int_equal(info.partition_count, 3);
    topic_info_free(&info);
    hub_apply(h, "pipelines: [{name: gen2, source: {type: generator, to.partition: 3}, topic: {name: t, "
                 "partitions: 3}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_error(h, "gen2", "cannot take record 1 of 1: partition 3 of t, which has 3");
    hub_apply(h, "pipelines: [{name: gen3, source: {type: generator, to.topic: no such topic}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_await_state(h, "gen3", TASK_FAILED);
    hub_assert_error(h, "gen3", "no such topic");
}

static void test_records_without_key_and_typed(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, "pipelines: [{name: gen, source: {type: generator, total: 5, keys: false, form: typed,"
                 " value.converter: json}, topic: {name: t, partitions: 2}}]");
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    char *text = hub_read(h, "t", 0);
    assert_string_equal(
        text, "={\"number\":0}\n={\"number\":1}\n={\"number\":2}\n={\"number\":3}\n={\"number\":4}\n");
    free(text);
    hub_apply(h, "pipelines: [{name: gen2, source: {type: generator, form: typed, value.converter: bytes}}]");
    hub_await_state(h, "gen2", TASK_FAILED);
    hub_assert_error(h, "gen2",
                     "the value, by the bytes converter: the bytes converter writes BYTES, not MAP");
}

static void test_validate_and_check(void **state)
{
    struct hub *h = *state;
    struct problems problems, warnings;
    struct err e;
    struct config *c =
        hub_config(h, "pipelines:\n"
                      "  - name: a\n"
                      "    source: {type: generator, forbidden: x}\n"
                      "  - name: b\n"
                      "    source: {type: generator, unreachable: y}\n"
                      "  - name: c\n"
                      "    source: {type: generator, suspects: [one, two], doubts: [six], total: 4}\n");
    problems_init(&problems);
    problems_init(&warnings);
    assert_ok(plugins_validate(h->plugins, c, false, &problems, &warnings, &e), &e);
    assert_int_equal(problems.count, 1);
    assert_int_equal(warnings.count, 0);
    assert_string_equal(problems.items[0].text, "source a (generator): forbidden is 'x'");
    assert_string_equal(problems.items[0].file, "test.yaml");
    assert_true(problems.items[0].line > 0);
    problems_free(&problems);
    problems_init(&problems);
    assert_ok(plugins_validate(h->plugins, c, true, &problems, &warnings, &e), &e);
    assert_int_equal(problems.count, 4);
    assert_string_equal(problems.items[1].text, "source b (generator): cannot reach 'y'");
    assert_string_equal(problems.items[2].text, "source c (generator): one is suspect");
    assert_string_equal(problems.items[3].text, "source c (generator): two is suspect");
    assert_int_equal(warnings.count, 1);
    assert_string_equal(warnings.items[0].text, "warning: source c (generator): six is doubtful");
    assert_string_equal(warnings.items[0].file, "test.yaml");
    problems_free(&problems);
    problems_free(&warnings);
    assert_ok(worker_apply(h->worker, c, NULL, &e), &e);
    assert_ok(worker_wait_idle(h->worker, WAIT_MS, &e), &e);
    hub_assert_error(h, "a", "forbidden is 'x'");
    hub_assert_error(h, "b", "cannot reach 'y'");
    hub_await_state(h, "c", TASK_COMPLETED); /* they were warnings */
    hub_assert_counted(h, "c", 4);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hub_setup, hub_teardown)
    const struct CMUnitTest tests[] = {
        T(test_records_and_position),
        T(test_transient_failures),
        T(test_failing_to_open),
        T(test_the_error_goes_with_recovery),
        T(test_giving_up),
        T(test_failed_allocations),
        T(test_over_restarts_of_the_hub),
        T(test_stopping_in_the_middle),
        T(test_failing_for_good),
        T(test_topics_that_look_internal),
        T(test_pausing),
        T(test_paused_from_the_start),
        T(test_several_tasks_and_partitions),
        T(test_other_topics),
        T(test_records_without_key_and_typed),
        T(test_validate_and_check),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
