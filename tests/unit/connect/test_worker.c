/*
 * The worker: what an apply starts, stops and leaves alone, what a failed one leaves, stopping, waiting and status.
 */
#include <errno.h>

#include "client/internal.h"
#include "connect/worker.h"
#include "tests/unit/connect/hub.h"

static int opens(struct hub *h, const char *file)
{
    char *events = hub_file(h, file);
    int n = count_of(events, "open ");
    mem_free(events);
    return n;
}

/* A pipeline without end, with two sinks; what is given goes into sink b. */
#define ENDLESS                                                                                              \
    "  - {name: p, source: {type: generator, total: 100000000, interval: 1ms}, topic: t, sinks: [\n"         \
    "     {name: a, type: capture, path: @/a, events: @/a.events},\n"                                        \
    "     {name: b, type: capture, path: @/b, events: @/b.events%s}]}\n"

static void endless(char *out, size_t size, const char *b, const char *more)
{
    snprintf(out, size, "pipelines:\n" ENDLESS "%s", b, more);
}

static void test_apply_changes_only_what_changed(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct buf plan;
    char text[1024];
    buf_init(&plan, 1 << 20);
    assert_null(worker_config(h->worker));
    endless(text, sizeof(text), "", "");
    struct config *c = hub_config(h, text);
    assert_ok(worker_apply(h->worker, c, &plan, &e), &e);
    assert_ptr_equal(worker_config(h->worker), c);
    assert_true(plan.len > 0);
    hub_await_lines(h, "a", 10);
    hub_await_lines(h, "b", 10);
    /* The same again. */
    buf_reset(&plan);
    assert_ok(worker_apply(h->worker, hub_config(h, text), &plan, &e), &e);
    assert_int_equal(plan.len, 0);
    /* Sink b changes, a pipeline comes. */
    endless(text, sizeof(text), ", fail.times: 7", "  - {name: q, source: {type: generator}}\n");
    assert_ok(worker_apply(h->worker, hub_config(h, text), &plan, &e), &e);
    assert_true(plan.len > 0);
    hub_await_state(h, "q", TASK_COMPLETED);
    hub_await_state(h, "p-b", TASK_RUNNING);
    hub_await_lines(h, "b.events", 6);
    assert_int_equal(opens(h, "a.events"), 1);
    assert_int_equal(opens(h, "b.events"), 2);
    struct task_status *s = hub_status(h, "p", 0);
    assert_int_equal(s->restarts, 0);
    assert_true(s->gauges[0].value == 0); /* the source began once, at nothing */
    task_status_free(s, 1);
    /* Everything goes but q. */
    hub_apply(h, "pipelines: [{name: q, source: {type: generator}}]");
    char *events = hub_file(h, "a.events");
    assert_non_null(strstr(events, "final\nclose\n"));
    mem_free(events);
    struct task_status *list;
    size_t n;
    assert_ok(worker_status(h->worker, &list, &n, &e), &e);
    assert_int_equal(n, 1);
    task_status_free(list, n);
    buf_free(&plan);
}

/* What sink b got: records of the endless source, each once and in order. */
static void assert_consecutive(struct hub *h, const char *file)
{
    char *text = hub_file(h, file), *at = text;
    for (int i = 0; *at != 0; i++) {
        int key;
        assert_int_equal(sscanf(at, "t 0 %*d %d|", &key), 1);
        if (key != i)
            fail_msg("%s: %d. line is '%.*s'", file, i, (int)strcspn(at, "\n"), at);
        at += strcspn(at, "\n") + 1;
    }
    mem_free(text);
}

/* Sink b, as the i-th change has it, was opened: it may have what it waits for from before. */
static bool b_opened(struct hub *h, const void *arg)
{
    return opens(h, "b.events") == *(const int *)arg;
}

static void test_many_applies_lose_nothing(void **state)
{
    struct hub *h = *state;
    char text[1024], change[64];
    for (int i = 1; i <= 10; i++) {
        snprintf(change, sizeof(change), ", fail.times: %d", i);
        endless(text, sizeof(text), change, "");
        hub_apply(h, text);
        hub_await(h, b_opened, &i);
        hub_await_lines(h, "b", 10 * i);
    }
    hub_stop(h);
    assert_consecutive(h, "a");
    assert_consecutive(h, "b");
    assert_int_equal(opens(h, "a.events"), 1);
    assert_int_equal(opens(h, "b.events"), 10);
    hub_start(h);
}

static void test_an_apply_that_fails(void **state)
{
    struct hub *h = *state;
    struct err e;
    char text[1024];
    endless(text, sizeof(text), "", "");
    struct config *first = hub_config(h, text);
    assert_ok(worker_apply(h->worker, first, NULL, &e), &e);
    hub_await_lines(h, "b", 10);
    endless(text, sizeof(text), ", fail.times: 7", "  - {name: q, source: {type: generator}}\n");
    struct config *second = hub_config(h, text);
    assert_string_equal(second->pipelines[1]->name, "q");
    second->pipelines[1]->partitions = 20000; /* more than the store makes */
    assert_code(worker_apply(h->worker, second, NULL, &e), ERR_INVALID_PARTITIONS, &e);
    assert_non_null(strstr(e.text, "pipeline q, topic q"));
    assert_ptr_equal(worker_config(h->worker), first);
    config_free(second);
    struct task_status *s = hub_status(h, "p-b", 0);
    assert_int_equal(s->state, TASK_RUNNING);
    task_status_free(s, 1);
    assert_int_equal(opens(h, "b.events"), 1);
}

/*
 * Every allocation of an apply fails once, on a worker whose tasks are paused: out of memory and nothing left behind, or
 * it did not matter. Allocations of the broker's threads may be the ones to fail; that is theirs to test.
 */
static void test_every_failed_allocation_of_an_apply(void **state)
{
    struct hub *h = *state;
    struct err e;
    static const char text[] = "pipelines: [{name: p, source: {type: generator, paused: true}, topic: t,"
                               " sinks: [{type: capture, path: @/out, paused: true, tasks.max: 2}]}]";
    hub_apply(h, "pipelines: [{name: p, source: {type: generator, paused: true}, topic: t}]");
    int failed = 0;
    uint64_t passes = 1;
    for (uint64_t nth = 1; passes + 1 >= nth; nth++) {
        struct worker *w;
        struct buf plan;
        struct config *c = hub_config(h, text);
        buf_init(&plan, 1 << 20);
        assert_ok(worker_new(h->client, h->plugins, &w, &e), &e);
        fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
        int rc = worker_apply(w, c, &plan, &e);
        passes = fault_passes(FAULT_ALLOC);
        fault_disarm();
        if (rc != ERR_OK) {
            failed++;
            assert_code(rc, ERR_NO_MEMORY, &e);
            assert_null(worker_config(w));
            config_free(c);
        }
        buf_free(&plan);
        assert_ok(worker_stop(w, WAIT_MS, &e), &e);
        worker_free(w);
    }
    assert_true(failed > 10);
}

static void test_after_a_stop(void **state)
{
    struct hub *h = *state;
    struct err e;
    char text[1024];
    endless(text, sizeof(text), "",
            "  - {name: bad, source: {type: generator, fail.at: 0, fail.kind: fail}}\n"
            "  - {name: done, source: {type: generator}}\n"
            "  - {name: held, source: {type: generator, paused: true}}\n");
    hub_apply(h, text);
    hub_await_lines(h, "b", 10);
    hub_await_state(h, "bad", TASK_FAILED);
    hub_await_state(h, "done", TASK_COMPLETED);
    hub_await_state(h, "held", TASK_PAUSED);
    assert_code(worker_wait_idle(h->worker, 0, &e), ERR_TIMEOUT, &e);
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    assert_ok(worker_wait_idle(h->worker, 0, &e), &e);
    hub_await_state(h, "p", TASK_STOPPED);
    hub_await_state(h, "p-a", TASK_STOPPED);
    hub_await_state(h, "held", TASK_STOPPED);
    hub_await_state(h, "bad", TASK_FAILED); /* stays visible */
    hub_await_state(h, "done", TASK_COMPLETED);
    struct config *c = hub_config(h, text);
    assert_code(worker_apply(h->worker, c, NULL, &e), ERR_CLOSED, &e);
    config_free(c);
}

static bool is_stuck(struct hub *h, const void *arg)
{
    struct task_status *s = hub_status(h, arg, 0);
    bool stuck = s->gauge_count == 2;
    task_status_free(s, 1);
    return stuck;
}

static void test_a_task_that_does_not_stop(void **state)
{
    struct hub *h = *state;
    struct err e;
    char path[PATH_MAX];
    hub_apply(h, "pipelines: [{name: slow, source: {type: generator, stuck: @/release}}]");
    hub_await(h, is_stuck, "slow");
    assert_code(worker_stop(h->worker, 10, &e), ERR_TIMEOUT, &e);
    assert_string_equal(e.text, "not stopped within 10 ms: slow-0");
    snprintf(path, sizeof(path), "%s/release", h->dir);
    assert_ok(io_replace_file(path, "", 0, 0600, &e), &e);
    assert_ok(worker_stop(h->worker, WAIT_MS, &e), &e);
    char *text = hub_read(h, "slow", 0); /* what the poll gave in the end is there */
    assert_int_equal(count_of(text, "\n"), 3);
    free(text);
}

static void test_topic_settings_follow(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct topic_info info;
    hub_apply(h, "pipelines: [{name: p, source: {type: generator}, topic: {name: t, config: {retention.ms: "
                 "600000}}}]");
    hub_apply(h, "pipelines: [{name: p, source: {type: generator}, topic: {name: t, partitions: 9, config: "
                 "{retention.ms: 700000}}}]");
    assert_ok(client_topic(h->client, "t", &info, &e), &e);
    assert_int_equal(info.partition_count, 1);
    assert_int_equal(info.config_count, 1);
    assert_string_equal(info.config[0].value, "700000");
    topic_info_free(&info);
}

static char *plan_of(struct hub *h, const char *text)
{
    struct buf out;
    struct err e;
    buf_init(&out, 1 << 16);
    struct config *c = hub_config(h, text);
    assert_ok(config_plan(worker_config(h->worker), c, &out, &e), &e);
    config_free(c);
    assert_ok(buf_u8(&out, 0, &e), &e);
    return (char *)out.data;
}

/* It changes at the next start, which every plan says until then. */
static void test_the_hub_section_stays(void **state)
{
    static const char *const changed = "hub: {shutdown.timeout: 10s}\npipelines: []";
    struct hub *h = *state;
    hub_apply(h, "hub: {shutdown.timeout: 30s}\npipelines: []");
    for (int i = 0; i < 3; i++) {
        char *text = plan_of(h, changed);
        assert_string_equal(text, "~ hub (from the next start on): shutdown.timeout: 30s -> 10s\n");
        mem_free(text);
        hub_apply(h, changed);
    }
    hub_apply(h, "hub: {shutdown.timeout: 30s}\npipelines: []");
    char *text = plan_of(h, "hub: {shutdown.timeout: 30s}\npipelines: []");
    assert_string_equal(text, "");
    mem_free(text);
}

static struct {
    const struct client_ops *real;
    struct worker *worker;
    pthread_t thread;
    int asked, held;
} ends;

/* Of the test's own thread: could another one have the worker's lock now? */
static int list_offset(struct client *c, const char *topic, int32_t partition, int64_t timestamp,
                       enum isolation isolation, int64_t *offset, int64_t *found_ts, struct err *e)
{
    if (pthread_equal(pthread_self(), ends.thread)) {
        bool could = pthread_mutex_trylock(&ends.worker->lock) == 0;
        if (could)
            pthread_mutex_unlock(&ends.worker->lock);
        ends.asked++;
        ends.held += !could;
    }
    return ends.real->list_offset(c, topic, partition, timestamp, isolation, offset, found_ts, e);
}

/* How far sinks are behind is asked of a cluster, which may take long: pauses, signals and other status do not wait for that. */
static void test_status_holds_nothing_up(void **state)
{
    struct hub *h = *state;
    struct client_ops ops = *h->client->ops;
    ends.real = h->client->ops;
    ends.worker = h->worker;
    ends.thread = pthread_self();
    ops.list_offset = list_offset;
    h->client->ops = &ops;
    hub_apply(h, "pipelines: [{name: p, source: {type: generator, total: 10}, topic: t,"
                 " sinks: [{name: out, type: capture, path: @/out}]}]");
    hub_await_lines(h, "out", 10);
    struct task_status *s = hub_status(h, "p-out", 0);
    assert_true(s->lag_records >= 0);
    task_status_free(s, 1);
    assert_true(ends.asked > 0);
    hub_apply(h, "pipelines: []");
    h->client->ops = ends.real;
    assert_int_equal(ends.held, 0);
}

#define COUNTING(more)                                                                                       \
    "pipelines: [{name: gen, topic: t, source: {type: counter, total: 1000000, interval: 1ms" more "}}]"

static void assert_held(struct hub *h, const char *connector, bool held)
{
    struct task_status *s = hub_status(h, connector, 0);
    assert_int_equal(s->held, held);
    task_status_free(s, 1);
}

static void test_pause_outlives_the_hub(void **state)
{
    struct hub *h = *state;
    struct err e;
    struct topic_info info;
    hub_apply(h, COUNTING(""));
    assert_ok(worker_pause(h->worker, "gen", false, &e), &e); /* nothing to store */
    assert_code(client_topic(h->client, "connect-configs", &info, &e), ERR_UNKNOWN_TOPIC, &e);
    assert_held(h, "gen", false);
    for (int round = 0; round < 2; round++) {
        assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
        hub_await_state(h, "gen", TASK_PAUSED);
        assert_held(h, "gen", true);
        hub_stop(h);
        hub_start(h);
        hub_apply(h, COUNTING(""));
        hub_await_state(h, "gen", TASK_PAUSED);
        hub_apply(h, COUNTING(", per.poll: 2")); /* replaced, but paused all the same */
        hub_await_state(h, "gen", TASK_PAUSED);
        assert_held(h, "gen", true);
        assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
        hub_await_state(h, "gen", TASK_RUNNING);
        hub_stop(h);
        hub_start(h);
        hub_apply(h, COUNTING(""));
        hub_await_state(h, "gen", TASK_RUNNING);
        assert_held(h, "gen", false);
    }
    char *stored = hub_read(h, "connect-configs", 0);
    assert_string_equal(stored, "target-state-gen={\"state\":\"PAUSED\",\"state.v2\":\"PAUSED\"}\n"
                                "target-state-gen=null\n"
                                "target-state-gen={\"state\":\"PAUSED\",\"state.v2\":\"PAUSED\"}\n"
                                "target-state-gen=null\n");
    free(stored);
}

static void test_pause_goes_with_the_pipeline(void **state)
{
    struct hub *h = *state;
    struct err e;
    hub_apply(h, COUNTING(""));
    assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
    hub_stop(h);
    hub_start(h);
    hub_apply(h, "pipelines: [{name: other, source: {type: generator}}]");
    hub_apply(h, COUNTING(""));
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_held(h, "gen", false);
    hub_stop(h);
    hub_start(h);
    hub_apply(h, COUNTING(""));
    hub_await_state(h, "gen", TASK_RUNNING);
}

/* A pause that cannot be stored is not made; one that was made is stored. */
static void test_pause_that_cannot_be_stored(void **state)
{
    struct hub *h = *state;
    struct err e;
    bool whole = false;
    hub_apply(h, "pipelines: [{name: gen, topic: t, source: {type: counter, total: 0, ends: false}}]");
    assert_ok(worker_pause(h->worker, "gen", true, &e), &e); /* so that the topic is there */
    assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
    hub_await_state(h, "gen", TASK_RUNNING);
    for (uint64_t nth = 1; !whole; nth++) {
        fault_arm(FAULT_ALLOC, nth, ENOMEM, false);
        int rc = worker_pause(h->worker, "gen", true, &e);
        whole = fault_passes(FAULT_ALLOC) < nth;
        fault_disarm();
        if (rc == ERR_OK) {
            char *stored = hub_read(h, "connect-configs", 0);
            assert_non_null(strstr(stored, "PAUSED"));
            free(stored);
            hub_await_state(h, "gen", TASK_PAUSED);
            assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
        }
        hub_await_state(h, "gen", TASK_RUNNING);
        assert_true(nth < 1000);
    }
}

static void commit_to(struct hub *h, const char *group)
{
    struct group_offset o = {.topic = "t", .offset = 7, .leader_epoch = -1};
    struct err e;
    assert_ok(client_commit_offsets(h->client, group, &o, 1, &e), &e);
}

static bool is_gone(struct hub *h, const void *group)
{
    struct group_info g;
    struct err e;
    int rc = client_group(h->client, group, &g, &e);
    if (rc == ERR_OK)
        group_info_free(&g);
    return rc == ERR_UNKNOWN_GROUP;
}

/* What is refused of a sink that is at work, such as another offset, is refused from the resume on, not only once it is open. */
static void test_resumed_is_at_work_at_once(void **state)
{
    struct hub *h = *state;
    struct err e;
    assert_ok(client_create_topic(h->client, "t", 1, NULL, 0, &e), &e);
    hub_apply(
        h,
        "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: @/out, events: @/events,"
        " open.delay: 1h, paused: true}]}]");
    for (int i = 1; i <= 2; i++) {
        hub_await_state(h, "p-out", TASK_PAUSED);
        assert_code(worker_topic_idle(h->worker, "t", &e), ERR_OK, &e);
        assert_ok(worker_pause(h->worker, "p-out", false, &e), &e);
        assert_code(worker_topic_idle(h->worker, "t", &e), ERR_BUSY, &e);
        hub_await_lines(h, "events", 4 * i - 2); /* open, assigned; before, with final and close */
        assert_code(worker_topic_idle(h->worker, "t", &e), ERR_BUSY, &e);
        assert_ok(worker_pause(h->worker, "p-out", true, &e), &e);
    }
}

/* Offsets expire at once, but not those of a sink that is there, though it is paused; of one that is gone they do. */
static void test_offsets_of_a_paused_sink_stay(void **state)
{
    static const char with[] = "pipelines: [{name: p, topics: [t], sinks: [{name: out, type: capture, path: "
                               "@/out, paused: true}]}]";
    struct hub *h = *state;
    struct err e;
    hub_stop(h);
    h->offsets_retention_ms = 1;
    hub_start(h);
    assert_ok(client_create_topic(h->client, "t", 1, NULL, 0, &e), &e);
    hub_apply(h, with);
    hub_await_state(h, "p-out", TASK_PAUSED);
    commit_to(h, "connect-p-out");
    for (int round = 0; round < 3;
         round++) { /* a whole look at all groups lies between the first and the last */
        commit_to(h, "loose");
        hub_await(h, is_gone, "loose");
        assert_false(is_gone(h, "connect-p-out"));
    }
    hub_apply(h, "pipelines: [{name: other, source: {type: generator}}]");
    hub_await(h, is_gone, "connect-p-out");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, hub_setup, hub_teardown)
    const struct CMUnitTest tests[] = {
        T(test_apply_changes_only_what_changed),
        T(test_many_applies_lose_nothing),
        T(test_an_apply_that_fails),
        T(test_every_failed_allocation_of_an_apply),
        T(test_after_a_stop),
        T(test_a_task_that_does_not_stop),
        T(test_topic_settings_follow),
        T(test_the_hub_section_stays),
        T(test_status_holds_nothing_up),
        T(test_pause_outlives_the_hub),
        T(test_pause_goes_with_the_pipeline),
        T(test_offsets_of_a_paused_sink_stay),
        T(test_pause_that_cannot_be_stored),
        T(test_resumed_is_at_work_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
