/*
 * Signals to a source: from callers, who learn whether they were taken, and from a topic, each once whatever fails; rows of
 * status. The source `teller` writes down what it gets.
 */
#include <pthread.h>
#include <unistd.h>

#include "connect/signals.h"
#include "connect/status_rows.h"
#include "tests/unit/connect/hub.h"

static void apply_teller(struct hub *h, const char *options)
{
    char text[512];
    snprintf(text, sizeof(text),
             "pipelines: [{name: gen, topic: t, source: {type: teller, total: 0, log: @/log%s}}]", options);
    hub_apply(h, text);
}

static int count_in_log(struct hub *h, const char *line)
{
    char *text = hub_file(h, "log");
    int n = count_of(text, line);
    mem_free(text);
    return n;
}

static bool in_log(struct hub *h, const void *line)
{
    return count_in_log(h, line) > 0;
}

static int send(struct hub *h, const char *id, const char *type, const char *data, struct err *e)
{
    char used[WORKER_SIGNAL_ID_MAX];
    int rc = worker_signal(h->worker, "gen", id, type, data, WAIT_MS, used, e);
    if (rc == ERR_OK && id != NULL)
        assert_string_equal(used, id);
    return rc;
}

/* ---- from callers ---------------------------------------------------------------------------------------------------- */

static void test_taken_while_it_waits(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, "");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_ok(send(h, "one", "start", "{\"a\":1}", &e), &e);
    assert_ok(send(h, "two", "stop", NULL, &e), &e);
    hub_await(h, in_log, "signal two stop -\n");
    assert_true(in_log(h, "signal one start {\"a\":1}\n"));
    char used[WORKER_SIGNAL_ID_MAX] = "";
    assert_ok(worker_signal(h->worker, "gen", NULL, "third", NULL, WAIT_MS, used, &e), &e);
    assert_int_equal(strlen(used), 22); /* an id was made up, and told */
    char line[300];
    snprintf(line, sizeof(line), "signal %s third -\n", used);
    hub_await(h, in_log, line);
}

static void test_who_takes_none(void **state)
{
    struct hub *h = *state;
    struct err e;
    char used[WORKER_SIGNAL_ID_MAX];
    apply_teller(h, "");
    assert_code(worker_signal(h->worker, "none", NULL, "x", NULL, 10, used, &e), ERR_NOT_FOUND, &e);
    assert_code(send(h, NULL, "", NULL, &e), ERR_INVALID, &e);
    assert_code(send(h, "", "x", NULL, &e), ERR_INVALID, &e);
    hub_apply(h, "pipelines: [{name: gen, topic: t, source: {type: counter, ends: false}}]");
    assert_code(send(h, NULL, "x", NULL, &e), ERR_UNSUPPORTED, &e);
    assert_string_equal(e.text, "the source counter of pipeline gen takes no signals");
    hub_apply(h, "pipelines: [{name: gen, topic: t, sinks: [{type: capture, path: @/out}]}]");
    assert_code(send(h, NULL, "x", NULL, &e), ERR_UNSUPPORTED, &e);
}

static void test_who_does_not_run(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, ", paused: true");
    hub_await_state(h, "gen", TASK_PAUSED);
    assert_code(send(h, NULL, "x", NULL, &e), ERR_BUSY, &e);
    assert_string_equal(e.text, "the source of pipeline gen does not run, it is PAUSED");
}

/* It is gone then: a later one is taken alone. */
static void test_not_taken_in_time(void **state)
{
    struct hub *h = *state;
    struct err e;
    char used[WORKER_SIGNAL_ID_MAX];
    apply_teller(h, ", takes: false");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_code(worker_signal(h->worker, "gen", "late", "x", NULL, 20, used, &e), ERR_TIMEOUT, &e);
    assert_string_equal(e.text, "pipeline gen: the task did not take it within 20 ms");
    apply_teller(h, "");
    assert_ok(send(h, "next", "y", NULL, &e), &e);
    hub_await(h, in_log, "signal next y -\n");
    assert_int_equal(count_in_log(h, "signal late"), 0);
}

static void *send_and_wait(void *arg)
{
    struct err e;
    return (void *)(intptr_t)send(arg, "w", "x", NULL, &e);
}

/* Whoever waits for a task that ends is told so at once. */
static void test_the_task_ends(void **state)
{
    struct hub *h = *state;
    pthread_t t;
    void *rc;
    apply_teller(h, ", takes: false");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_int_equal(pthread_create(&t, NULL, send_and_wait, h), 0);
    hub_apply(h, "pipelines: []");
    assert_int_equal(pthread_join(t, &rc), 0);
    /* the sender may have come too late to find the pipeline at all */
    assert_true((intptr_t)rc == ERR_CLOSED || (intptr_t)rc == ERR_NOT_FOUND);
}

/* And so is whoever waits, or comes, when the hub is about to stop, whether its source ends or not. */
static void test_the_hub_is_to_stop(void **state)
{
    struct hub *h = *state;
    struct err e;
    pthread_t t;
    void *rc;
    apply_teller(h, ", takes: false");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_int_equal(pthread_create(&t, NULL, send_and_wait, h), 0);
    worker_close_signals(h->worker);
    assert_int_equal(pthread_join(t, &rc), 0);
    assert_int_equal((intptr_t)rc, ERR_CLOSED);
    apply_teller(h, "");
    assert_code(send(h, NULL, "x", NULL, &e), ERR_CLOSED, &e);
    assert_string_equal(e.text, "the hub is stopping");
}

/* What a poll took that failed is there again, and the caller waits on: it is told when it is stored. */
static void test_after_a_failure(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, ", fail.signal: say, fail.opens: 2, retry.backoff.ms: 1ms");
    assert_ok(send(h, "one", "say", "it", &e), &e);
    assert_int_equal(count_in_log(h, "signal one say it\n"), 3);
    char *text = hub_read(h, "t", 0); /* it is stored when the caller is told */
    assert_string_equal(text, "it=it\n");
    free(text);
}

/* Polls whose transaction is not due for long are stored at once for whoever waits. */
static void test_gathered_polls_do_not_hold_it_up(void **state)
{
    struct hub *h = *state;
    struct err e;
    char used[WORKER_SIGNAL_ID_MAX];
    apply_teller(h, ", transaction.boundary: interval, transaction.boundary.interval.ms: 30s");
    assert_ok(worker_signal(h->worker, "gen", "one", "say", "it", 25000, used, &e), &e);
    char *text = hub_read(h, "t", 0);
    assert_string_equal(text, "it=it\n");
    free(text);
}

/* A task that takes it and fails for good has not stored it. */
static void test_taken_and_failed(void **state)
{
    struct hub *h = *state;
    struct err e;
    char used[WORKER_SIGNAL_ID_MAX];
    apply_teller(h, ", fail.signal: say, retries: 0");
    hub_await_state(h, "gen", TASK_RUNNING);
    assert_code(worker_signal(h->worker, "gen", "one", "say", "it", WAIT_MS, used, &e), ERR_BUSY, &e);
    assert_non_null(strstr(e.text, "does not run, it is FAILED: "));
    apply_teller(h, "");
    assert_ok(send(h, "two", "say", "that", &e), &e);
    char *text = hub_read(h, "t", 0);
    assert_string_equal(text, "that=that\n");
    free(text);
}

struct call {
    struct signals *s;
    int64_t ms;
    int rc;
    struct err e;
};

static void *post(void *arg)
{
    struct call *c = arg;
    c->rc = signals_post(c->s, "i", "t", "d", c->ms, &c->e);
    return NULL;
}

static void take(struct signals *s, uint64_t poll)
{
    struct signal got;
    while (!signals_take(s, poll, &got))
        pause_a_little();
    assert_string_equal(got.data, "d");
}

static void test_stored_and_given_back(void **state)
{
    (void)state;
    struct err e;
    pthread_t t;
    struct signal got;
    struct signals *s = signals_new(&e);
    assert_non_null(s);
    struct call c = {.s = s, .ms = WAIT_MS};
    assert_int_equal(pthread_create(&t, NULL, post, &c), 0);
    take(s, 7);
    assert_false(signals_take(s, 8, &got));
    signals_stored(s, 6); /* not yet */
    signals_give_back(s);
    take(s, 1); /* of the next attempt */
    signals_stored(s, 1);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_ok(c.rc, &c.e);
    signals_give_back(s);
    assert_false(signals_take(s, 2, &got));

    /* The task took it and ended: it may be done. */
    assert_int_equal(pthread_create(&t, NULL, post, &c), 0);
    take(s, 3);
    signals_close(s);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_code(c.rc, ERR_CLOSED, &c.e);
    assert_non_null(strstr(c.e.text, "it may be done"));
    signals_give_back(s);
    assert_false(signals_take(s, 4, &got));
    signals_unref(s);
}

static void test_a_full_mailbox(void **state)
{
    (void)state;
    struct err e;
    struct signals *s = signals_new(&e);
    atomic_bool stop = false;
    assert_non_null(s);
    for (int i = 0; i < SIGNALS_WAITING_MAX; i++) {
        struct signal one = {.id = "i", .type = "t", .from_topic = true, .next_offset = i};
        assert_true(signals_put(s, &one, &stop, &e));
    }
    assert_code(signals_post(s, "i", "t", NULL, 1000, &e), ERR_BUSY, &e);
    struct signal got;
    for (int i = 0; i < SIGNALS_WAITING_MAX; i++) {
        assert_true(signals_take(s, 1, &got));
        assert_int_equal(got.next_offset, i);
    }
    assert_false(signals_take(s, 1, &got));
    signals_close(s);
    assert_code(signals_post(s, "i", "t", NULL, 1000, &e), ERR_CLOSED, &e);
    signals_unref(s);
}

/* ---- from a topic ---------------------------------------------------------------------------------------------------- */

static void produce(struct hub *h, const char *key, const char *value)
{
    struct err e;
    struct producer *p = producer_open(h->client, &(struct producer_options){0}, &e);
    assert_non_null(p);
    assert_ok(producer_add(p, "signals", 0, 0, key, strlen(key), value, value == NULL ? 0 : strlen(value),
                           NULL, 0, &e),
              &e);
    assert_ok(producer_flush(p, &e), &e);
    producer_close(p);
}

#define FROM_TOPIC ", signal.topic: signals, retry.backoff.ms: 1ms"

static void test_topic(void **state)
{
    struct hub *h = *state;
    apply_teller(h, FROM_TOPIC); /* makes the topic */
    hub_await_state(h, "gen", TASK_RUNNING);
    produce(h, "other", "{\"type\":\"not-for-us\"}");
    produce(h, "me", "no json");
    produce(h, "me", NULL);
    produce(h, "me", "{\"type\":7}");
    produce(h, "me", "{\"type\":\"x\",\"data\":[1]}");
    produce(h, "me", "{\"id\":\"mine\",\"type\":\"first\",\"data\":{\"b\": [1, 2]}}");
    produce(h, "me", "{\"type\":\"second\",\"data\":\"plain text\"}");
    hub_await(h, in_log, "signal 0-6 second plain text\n");
    assert_true(in_log(h, "signal mine first {\"b\":[1,2]}\n"));
    assert_int_equal(count_in_log(h, "signal "), 2);
}

/* Over restarts, pauses and failures each is done once: what was emitted with it tells. */
static void test_topic_each_once(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, FROM_TOPIC);
    hub_await_state(h, "gen", TASK_RUNNING);
    for (int i = 0; i < 30; i++) {
        char value[64];
        snprintf(value, sizeof(value), "{\"type\":\"say\",\"data\":\"d%d\"}", i);
        produce(h, "me", value);
        if (i % 7 == 3) {
            assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
            assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
        }
        if (i % 7 == 5)
            assert_ok(worker_restart(h->worker, "gen", -1, &e), &e);
        if (i % 10 == 9)
            apply_teller(h, i % 20 == 9 ? FROM_TOPIC ", per.poll: 4" : FROM_TOPIC);
    }
    char *text = NULL;
    do {
        free(text);
        text = hub_read(h, "t", 0);
    } while (count_of(text, "\n") < 30);
    char *at = text;
    for (int i = 0; i < 30; i++) {
        char line[64];
        int n = snprintf(line, sizeof(line), "d%d=d%d\n", i, i);
        if (strncmp(at, line, (size_t)n) != 0)
            fail_msg("signal %d is '%.*s'", i, (int)strcspn(at, "\n"), at);
        at += n;
    }
    assert_string_equal(at, "");
    free(text);
}

/* What was taken in a poll that failed comes again. */
static void test_topic_after_a_failure(void **state)
{
    struct hub *h = *state;
    apply_teller(h, FROM_TOPIC ", fail.signal: bad, retries: 2");
    hub_await_state(h, "gen", TASK_RUNNING);
    produce(h, "me", "{\"type\":\"good\"}");
    hub_await(h, in_log, "signal 0-0 good -\n");
    produce(h, "me", "{\"type\":\"bad\"}");
    produce(h, "me", "{\"type\":\"after\"}");
    hub_await_state(h, "gen", TASK_FAILED);
    assert_int_equal(count_in_log(h, "signal 0-1 bad"), 3);
    assert_int_equal(count_in_log(h, "after"), 0);
    apply_teller(h, FROM_TOPIC);
    hub_await(h, in_log, "signal 0-2 after -\n");
    assert_int_equal(count_in_log(h, "signal 0-1 bad"), 4);
    assert_int_equal(count_in_log(h, "signal 0-0 good"), 1); /* its place was stored */
}

/* Those that were there before the source first ran are read as well. */
static void test_topic_from_its_beginning(void **state)
{
    struct hub *h = *state;
    struct err e;
    assert_ok(client_create_topic(h->client, "signals", 3, NULL, 0, &e), &e);
    produce(h, "me", "{\"type\":\"early\"}");
    apply_teller(h, FROM_TOPIC);
    hub_await(h, in_log, "signal 0-0 early -\n");
}

static bool has_signals_topic(struct hub *h, const void *unused)
{
    struct topic_brief t;
    struct err e;
    (void)unused;
    return client_topic_brief(h->client, "signals", &t, &e) == ERR_OK;
}

/* Its reader begins anew with it, from its beginning: the place that is stored is the earlier topic's. */
static void test_topic_made_anew(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, FROM_TOPIC);
    hub_await_state(h, "gen", TASK_RUNNING);
    produce(h, "me", "{\"type\":\"one\"}");
    produce(h, "me", "{\"type\":\"two\"}");
    hub_await(h, in_log, "signal 0-1 two -\n");
    assert_ok(client_delete_topic(h->client, "signals", &e), &e);
    hub_await(h, has_signals_topic, NULL); /* it makes it again */
    produce(h, "me", "{\"type\":\"new\"}");
    hub_await(h, in_log, "signal 0-0 new -\n");
}

static void test_topic_that_cannot_be(void **state)
{
    struct hub *h = *state;
    apply_teller(h, ", signal.topic: 'a b'");
    hub_await_state(h, "gen", TASK_FAILED);
    hub_assert_error(h, "gen", "the topic of signals a b");
}

/* ---- rows of status --------------------------------------------------------------------------------------------------- */

static void test_rows(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, "");
    assert_ok(send(h, NULL, "row table b", "{\"rows\":1}", &e), &e);
    assert_ok(send(h, NULL, "row table a c", "{\"rows\":2,\"done\":true}", &e), &e);
    assert_ok(send(h, NULL, "row table b", "{\"rows\":3}", &e), &e);
    assert_ok(send(h, NULL, "row slot x", "{}", &e), &e);
    assert_ok(send(h, NULL, "row slot x", NULL, &e), &e);
    assert_ok(send(h, NULL, "row slot never", NULL, &e), &e);
    hub_await(h, in_log, "row slot never");
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->row_count, 2);
    assert_string_equal(s->rows[0].key, "table a c");
    assert_string_equal(s->rows[0].json, "{\"rows\":2,\"done\":true}");
    assert_string_equal(s->rows[1].key, "table b");
    assert_string_equal(s->rows[1].json, "{\"rows\":3}");
    task_status_free(s, 1);
    assert_ok(worker_restart(h->worker, "gen", -1, &e), &e);
    while (count_in_log(h, "open") < 2)
        pause_a_little();
    s = hub_status(h, "gen", 0);
    assert_int_equal(s->row_count, 0);
    task_status_free(s, 1);
}

static void test_rows_that_are_none(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, ", retries: 0");
    assert_code(send(h, NULL, "row table a", "[1]", &e), ERR_BUSY, &e);
    hub_await_state(h, "gen", TASK_FAILED);
    hub_assert_error(h, "gen", "a row of status: its text is no JSON object of scalars");
    static const char *const wrong[][2] = {
        {"noblank", "{}"},
        {" x", "{}"},
        {"a \xff", "{}"},
        {"a b", "{\"x\":{}}"},
        {"a b", "{\"x\":[]}"},
        {"a b", "{"},
        {"a b", "{\"x\":1,\"x\":2}"},
        {"a b", ""},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_non_null(status_row_problem(wrong[i][0], wrong[i][1]));
    assert_null(status_row_problem("a b", "{\"x\":null,\"y\":\"z\",\"n\":1.5}"));
    assert_null(status_row_problem("a b", NULL));
}

static void rows_once(void *arg)
{
    struct status_rows r = {0};
    struct err e;
    struct status_row *copy;
    size_t n;
    char key[32];
    (void)arg;
    size_t set = 0;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof(key), "k %d", i * 7 % 40);
        set += status_rows_set(&r, key, "{}", &e) == ERR_OK;
    }
    assert_int_equal(r.count, set);
    for (size_t i = 1; i < r.count; i++)
        assert_true(strcmp(r.items[i - 1].key, r.items[i].key) < 0);
    if (status_rows_copy(&r, &copy, &n, &e) == ERR_OK) {
        assert_int_equal(n, set);
        status_copies_free(copy, n);
    }
    status_rows_free(&r);
}

static void test_rows_without_memory(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, rows_once, NULL) > 100);
}

static void test_too_many_rows(void **state)
{
    (void)state;
    struct status_rows r = {0};
    struct err e;
    char key[32];
    for (int i = 0; i < STATUS_ROWS_MAX; i++) {
        snprintf(key, sizeof(key), "k %d", i);
        assert_ok(status_rows_set(&r, key, "{}", &e), &e);
    }
    assert_code(status_rows_set(&r, "k more", "{}", &e), ERR_TOO_LARGE, &e);
    assert_ok(status_rows_set(&r, "k 7", "{\"a\":1}", &e), &e); /* one that is there */
    status_rows_free(&r);
}

static void once_with_fault(void *arg)
{
    struct err e;
    atomic_bool stop = false;
    (void)arg;
    struct signals *s = signals_new(&e);
    if (s == NULL)
        return;
    struct signal one = {.id = "i", .type = "t", .data = "d"}, got;
    bool put = signals_put(s, &one, &stop, &e);
    assert_true(put || e.code == ERR_NO_MEMORY);
    assert_int_equal(signals_take(s, 1, &got), put);
    int rc = signals_post(s, "i", "t", NULL, 1, &e);
    assert_true(rc == ERR_TIMEOUT || rc == ERR_NO_MEMORY);
    signals_unref(s);
}

static void test_failed_allocations(void **state)
{
    (void)state;
    assert_true(testkit_each_fault(FAULT_ALLOC, ENOMEM, once_with_fault, NULL) > 5);
}

#define WITH_HUB(test) cmocka_unit_test_setup_teardown(test, hub_setup, hub_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_HUB(test_taken_while_it_waits),
        WITH_HUB(test_who_takes_none),
        WITH_HUB(test_who_does_not_run),
        WITH_HUB(test_not_taken_in_time),
        WITH_HUB(test_the_task_ends),
        WITH_HUB(test_the_hub_is_to_stop),
        WITH_HUB(test_after_a_failure),
        WITH_HUB(test_gathered_polls_do_not_hold_it_up),
        WITH_HUB(test_taken_and_failed),
        cmocka_unit_test(test_stored_and_given_back),
        cmocka_unit_test(test_a_full_mailbox),
        WITH_HUB(test_topic),
        WITH_HUB(test_topic_each_once),
        WITH_HUB(test_topic_after_a_failure),
        WITH_HUB(test_topic_from_its_beginning),
        WITH_HUB(test_topic_made_anew),
        WITH_HUB(test_topic_that_cannot_be),
        WITH_HUB(test_rows),
        WITH_HUB(test_rows_that_are_none),
        cmocka_unit_test(test_rows_without_memory),
        cmocka_unit_test(test_too_many_rows),
        cmocka_unit_test(test_failed_allocations),
    };
    return cmocka_run_group_tests_name("signals", tests, NULL, NULL);
}
