/*
 * What a source is told of its polls (durable), the work directory of its task, and schemas.enable: the source `teller`
 * writes down what it hears.
 */
#include <unistd.h>

#include "tests/unit/connect/hub.h"

static void apply_teller(struct hub *h, const char *options)
{
    char text[512];
    snprintf(text, sizeof(text), "pipelines: [{name: gen, topic: t, source: {type: teller, log: @/log%s}}]",
             options);
    hub_apply(h, text);
}

/* By stdio, as allocations of ours are made to fail. */
static bool has_line(struct hub *h, const void *line)
{
    char path[PATH_MAX], got[PATH_MAX + 64];
    bool has = false;
    snprintf(path, sizeof(path), "%s/log", h->dir);
    FILE *f = fopen(path, "r");
    while (f != NULL && !has && fgets(got, sizeof(got), f) != NULL)
        has = strstr(got, line) != NULL;
    if (f != NULL)
        fclose(f);
    return has;
}

/* Of what it was told last, every record can be read. */
static void assert_not_too_early(struct hub *h)
{
    char *log = hub_file(h, "log");
    int64_t told = 0;
    for (char *p = log; (p = strstr(p, "durable ")) != NULL; p++)
        told = strtoll(p + 8, NULL, 10);
    char *topic = hub_read(h, "t", 0);
    assert_true(count_of(topic, "\n") >= told);
    free(topic);
    mem_free(log);
}

/* Told of everything though nothing new comes, whether the source waits in its poll or returns at once. */
static void told_of_all(struct hub *h, const char *options)
{
    apply_teller(h, options);
    while (!has_line(h, "durable 20\n")) {
        assert_not_too_early(h);
        pause_a_little();
    }
    hub_assert_counted(h, "t", 20);
    struct task_status *s = hub_status(h, "gen", 0);
    assert_int_equal(s->restarts, 0);
    assert_int_equal(s->state, TASK_RUNNING);
    task_status_free(s, 1);
}

static void test_told_while_it_waits(void **state)
{
    told_of_all(*state, ", total: 20");
    struct task_status *s = hub_status(*state, "gen", 0);
    assert_int_equal(s->gauge_count, 1); /* it was polled while a commit was on its way */
    assert_string_equal(s->gauges[0].name, "overlapped");
    task_status_free(s, 1);
}

static void test_told_though_it_never_waits(void **state)
{
    told_of_all(*state, ", total: 20, waits: false");
}

static void test_told_when_gathered(void **state)
{
    told_of_all(*state, ", total: 20, transaction.boundary: interval, transaction.boundary.interval.ms: 5ms");
}

static void test_told_when_gathered_by_bytes(void **state)
{
    told_of_all(*state, ", total: 20, per.poll: 1, waits: false, transaction.boundary: interval,"
                        " transaction.boundary.interval.ms: 50ms, transaction.boundary.bytes: 30");
}

/* A clean end sees all through and tells of it before close. */
static void test_told_at_the_end(void **state)
{
    struct hub *h = *state;
    struct err e;
    apply_teller(h, ", total: 20, transaction.boundary: interval, transaction.boundary.interval.ms: 30s");
    while (!has_line(h, "open"))
        pause_a_little();
    assert_ok(worker_pause(h->worker, "gen", true, &e), &e);
    hub_await_state(h, "gen", TASK_PAUSED);
    char *log = hub_file(h, "log");
    long long told = -1, polls = -2;
    assert_int_equal(sscanf(strstr(log, "close"), "close %lld of %lld", &told, &polls), 2);
    assert_int_equal(told, polls);
    mem_free(log);
    assert_not_too_early(h);
}

/* What failed is not told of; the next attempt counts from its own open. */
static void test_told_after_a_failure(void **state)
{
    struct hub *h = *state;
    apply_teller(h, ", total: 20, fail.at: 11, retry.backoff.ms: 1ms, retries: 3");
    /* records 0 to 8 are committed, then it fails once in each attempt, as the next one begins at 9 */
    hub_await_state(h, "gen", TASK_FAILED);
    char *log = hub_file(h, "log");
    assert_int_equal(count_of(log, "open 9 "), 3);
    assert_null(strstr(log, "durable 12"));
    mem_free(log);
    hub_assert_counted(h, "t", 9);
}

static void test_failed_allocations(void **state)
{
    struct hub *h = *state;
    for (int nth = 1; nth <= 60; nth++) {
        struct err e;
        char text[256];
        snprintf(text, sizeof(text),
                 ", total: %d, per.poll: 2, paused: true, work: true, retry.backoff.ms: 1ms", 5 * nth);
        apply_teller(h, text);
        hub_await_state(h, "gen", TASK_PAUSED);
        fault_arm(FAULT_ALLOC, (uint64_t)nth, ENOMEM, false);
        if (worker_pause(h->worker, "gen", false, &e) != ERR_OK) /* it allocates, too */
            assert_ok(worker_pause(h->worker, "gen", false, &e), &e);
        snprintf(text, sizeof(text), "durable %d\n", 5 * nth);
        hub_await(h, has_line, text);
        fault_disarm();
        hub_assert_counted(h, "t", 5 * nth);
    }
}

/* ---- the work directory ------------------------------------------------------------------------------------------ */

static void test_work_dir(void **state)
{
    struct hub *h = *state;
    struct err e;
    char dir[PATH_MAX], line[PATH_MAX + 16], left[PATH_MAX + 16];
    snprintf(dir, sizeof(dir), "%s/data/work/gen-0", h->dir);
    snprintf(left, sizeof(left), "%s/left", dir);
    assert_ok(io_mkdirs(left, 0755, &e), &e); /* of a hub that was killed */
    apply_teller(h, ", work: true, total: 20, fail.at: 11, retry.backoff.ms: 1ms, retries: 2");
    hub_await_state(h, "gen", TASK_FAILED);
    char *log = hub_file(h, "log");
    snprintf(line, sizeof(line), "work 0 %s\n",
             dir); /* empty at each of three attempts, though each left a file */
    assert_int_equal(count_of(log, line), 3);
    mem_free(log);
    assert_false(io_exists(dir));
    apply_teller(h, ", work: true, total: 20");
    while (!io_exists(dir))
        pause_a_little();
    hub_apply(h, "pipelines: []");
    assert_false(io_exists(dir));
}

static int lines_with(struct hub *h, const char *line)
{
    char *log = hub_file(h, "log");
    int n = count_of(log, line);
    mem_free(log);
    return n;
}

/* It stays from attempt to attempt and over another configuration, until it is not asked for or has no task any more. */
static void test_keep_dir(void **state)
{
    struct hub *h = *state;
    struct err e;
    char dir[PATH_MAX], empty[PATH_MAX + 16], full[PATH_MAX + 16], others[PATH_MAX], second[PATH_MAX];
    snprintf(dir, sizeof(dir), "%s/data/kept/gen-0", h->dir);
    snprintf(others, sizeof(others), "%s/data/kept/other-gen-7/x", h->dir);
    snprintf(second, sizeof(second), "%s/data/kept/gen-1", h->dir);
    snprintf(empty, sizeof(empty), "keep 0 %s\n", dir);
    snprintf(full, sizeof(full), "keep 1 %s\n", dir);
    assert_ok(io_mkdirs(others, 0755, &e), &e); /* of a connector that is no longer there */
    assert_ok(io_mkdirs(second, 0755, &e), &e); /* and of a task */
    apply_teller(h, ", keep: true, total: 20, fail.at: 11, retry.backoff.ms: 1ms, retries: 2");
    assert_false(io_exists(others) || io_exists(second));
    hub_await_state(h, "gen", TASK_FAILED);
    assert_int_equal(lines_with(h, empty), 1);
    assert_int_equal(lines_with(h, full), 2);
    apply_teller(h, ", keep: true, total: 21");
    hub_await(h, has_line, "durable 21\n");
    assert_int_equal(lines_with(h, full), 3);
    assert_true(io_exists(dir));
    apply_teller(h, ", total: 22");
    hub_await(h, has_line, "durable 22\n");
    assert_false(io_exists(dir));
    apply_teller(h, ", keep: true, total: 23");
    hub_await(h, has_line, "durable 23\n");
    assert_int_equal(lines_with(h, empty), 2);
    hub_apply(h, "pipelines: []");
    assert_false(io_exists(dir));
}

static void test_left_work_goes_at_the_first_apply(void **state)
{
    struct hub *h = *state;
    struct err e;
    char left[PATH_MAX];
    snprintf(left, sizeof(left), "%s/data/work/other-3/spool", h->dir);
    assert_ok(io_mkdirs(left, 0755, &e), &e);
    apply_teller(h, "");
    assert_false(io_exists(left));
}

/* ---- schemas.enable ---------------------------------------------------------------------------------------------- */

static void assert_schemas(struct hub *h, const char *options, const char *line)
{
    char path[PATH_MAX];
    apply_teller(h, options);
    hub_await(h, has_line, "open");
    assert_true(has_line(h, line));
    hub_apply(h, "pipelines: []");
    snprintf(path, sizeof(path), "%s/log", h->dir);
    assert_int_equal(unlink(path), 0);
}

static void test_schemas(void **state)
{
    assert_schemas(*state, "", "schemas 0 0\n");
    assert_schemas(*state, ", value.converter: json", "schemas 0 0\n");
    assert_schemas(*state, ", value.converter: org.apache.kafka.connect.json.JsonConverter", "schemas 0 1\n");
    assert_schemas(*state,
                   ", key.converter: org.apache.kafka.connect.json.JsonConverter, value.converter: json,"
                   " value.converter.schemas.enable: true",
                   "schemas 1 1\n");
    assert_schemas(*state,
                   ", key.converter: org.apache.kafka.connect.json.JsonConverter,"
                   " key.converter.schemas.enable: false",
                   "schemas 0 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_told_while_it_waits, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_told_though_it_never_waits, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_told_when_gathered, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_told_when_gathered_by_bytes, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_told_at_the_end, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_told_after_a_failure, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_failed_allocations, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_work_dir, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_keep_dir, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_left_work_goes_at_the_first_apply, hub_setup, hub_teardown),
        cmocka_unit_test_setup_teardown(test_schemas, hub_setup, hub_teardown),
    };
    return cmocka_run_group_tests_name("durable", tests, NULL, NULL);
}
