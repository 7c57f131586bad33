/*
 * Snapshots over a host that commits when it is told, against a real server: stopped at every poll they go on at the very row;
 * what is left behind, and what changed where they had been.
 */
#include "source_rig.h"

#include <errno.h>
#include <signal.h>
#include <sys/time.h>

#include "base/fault.h"

#define ROWS 700
#define TABLES                                                                                               \
    "CREATE TABLE a(id int PRIMARY KEY, v text); INSERT INTO a SELECT i, repeat('v', 30) FROM "              \
    "generate_series(1, 350) i; ANALYZE a; CREATE TABLE b(id int, PRIMARY KEY (id)); CREATE TABLE c(id "     \
    "int); "                                                                                                 \
    "INSERT INTO c SELECT generate_series(351, 700)"

static struct postgres *server;

static int start_server(void **state)
{
    (void)state;
    server = postgres_new(NULL);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

static struct leat_task *begin(const char *database, const char *sql, const char *readers)
{
    struct leat_task *t = rig_new(server, database, sql);
    rig_set(t, "snapshot.mode", "initial");
    rig_set(t, "snapshot.max.threads", readers);
    rig_set(t, "snapshot.chunk.rows", "100");
    t->poll_bytes = 1; /* so that a poll ends as soon as it looks */
    rig_open(t);
    return t;
}

static bool is_over(const struct leat_task *t)
{
    return t->position && strstr(t->position, "\"snapshot\":true") == NULL;
}

static void poll_once(struct leat_task *t)
{
    if (rig_poll(t) != LEAT_OK)
        fail_msg("poll: %s", t->fail_text);
}

/* It is stopped after each n-th poll, of which every other was not committed. */
static void crash_often(const char *database, const char *readers, unsigned every)
{
    struct leat_task *t = begin(database, TABLES, readers);
    for (unsigned i = 1; !is_over(t); i++) {
        poll_once(t);
        if (i % every || i / every % 2)
            rig_commit(t);
        if (i % every == 0) {
            rig_crash(t);
            rig_open(t);
        }
        assert_true(i < 20000);
    }
    assert_int_equal(t->records.count, ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        assert_int_equal(rig_number(t->records.items[i], "id"), i + 1);
    assert_non_null(strstr(t->records.items[0], "\"snapshot\":\"first\""));
    assert_non_null(strstr(t->records.items[349], "\"snapshot\":\"last_in_data_collection\""));
    assert_non_null(strstr(t->records.items[350], "\"snapshot\":\"first_in_data_collection\""));
    assert_non_null(strstr(t->records.items[699], "\"snapshot\":\"last\""));
    /* Nothing of it stays. */
    for (size_t i = 0; i < t->place_count; i++)
        assert_null(t->places[i].offset);
    rig_free(t);
}

static void test_stopped_at_every_poll(void **state)
{
    (void)state;
    crash_often("stop1", "1", 1);
    crash_often("stop2", "1", 2);
    crash_often("stop3", "3", 3);
}

/* How many events of that operation say that the table's row with this id has this text. */
static size_t count(const struct leat_task *t, const char *op, unsigned id, const char *v)
{
    char row[128], does[16];
    size_t n = 0;
    snprintf(row, sizeof row, "\"after\":{\"id\":%u,\"v\":\"%s\"}", id, v);
    snprintf(does, sizeof does, "\"op\":\"%s\"", op);
    for (size_t i = 0; i < t->records.count; i++)
        n += strstr(t->records.items[i], row) && strstr(t->records.items[i], does);
    return n;
}

static void read_rows(struct leat_task *t, size_t n)
{
    while (t->records.count < n) {
        poll_once(t);
        rig_commit(t);
    }
}

static void read_all(struct leat_task *t)
{
    while (!is_over(t)) {
        poll_once(t);
        rig_commit(t);
    }
}

/* Reads of the row with this id that have its large value and n = 7. */
static size_t moved_reads(const struct leat_task *t, unsigned id)
{
    char row[160], large[65];
    size_t n = 0;
    memset(large, 'x', 64);
    large[64] = '\0';
    snprintf(row, sizeof row, "\"after\":{\"id\":%u,\"v\":\"%s\",\"n\":7}", id, large);
    for (size_t i = 0; i < t->records.count; i++)
        n += strstr(t->records.items[i], row) != NULL;
    return n;
}

/*
 * Rows that were not read yet move to before where reading is: the stream has their changes without large values, which
 * nobody but the snapshot can tell.
 */
static void test_rows_that_move_back_are_read(void **state)
{
    (void)state;
    struct leat_task *t =
        begin("moves",
              "CREATE TABLE a(id int PRIMARY KEY, v text, n int) WITH (autovacuum_enabled = "
              "false); INSERT INTO a SELECT i, repeat('x', 64) FROM generate_series(1, 2000) i; "
              "DELETE FROM a WHERE id < 90; VACUUM a; ANALYZE a",
              "1");
    read_rows(t, 300);
    rig_crash(t);
    /* The free space at the front of the file is what new versions of rows are put into. */
    postgres_run(server, "moves", "UPDATE a SET n = 7 WHERE id BETWEEN 1500 AND 1539");
    char *moved =
        postgres_sql(server, "moves", "SELECT count(*) FROM a WHERE n = 7 AND (ctid::text::point)[0] < 2");
    assert_int_equal(atoi(moved), 40);
    free(moved);
    rig_open(t);
    /* Killed again while they are read. */
    size_t before = t->records.count;
    read_rows(t, before + 16);
    assert_true(t->records.count < before + 40);
    rig_crash(t);
    rig_open(t);
    read_all(t);
    for (unsigned id = 1500; id < 1540; id++)
        assert_true(moved_reads(t, id) >= 1);
    rig_free(t);
}

static struct leat_task *to_stop;

static void stop_it(int number)
{
    (void)number;
    to_stop->stopping = true;
}

/* Stopped while the row behind the last of a table is waited for: that last row was not emitted, so its table is not done. */
static void test_stopped_while_a_row_waits(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "waits", TABLES);
    rig_set(t, "snapshot.mode", "initial");
    rig_set(t, "snapshot.select.statement.overrides", "public.b,public.c");
    rig_set(t, "snapshot.select.statement.overrides.public.b", "SELECT id FROM b, pg_sleep(100000)");
    rig_set(t, "snapshot.select.statement.overrides.public.c", "SELECT id FROM c");
    t->poll_bytes = 1;
    rig_open(t);
    read_rows(t, 349);
    /* Whether the poll waits already or not yet: it ends when the task is asked to stop. */
    struct itimerval soon = {.it_value = {.tv_usec = 100000}};
    to_stop = t;
    signal(SIGALRM, stop_it);
    postgres_run(server, "waits", "INSERT INTO b VALUES (1000)"); /* not in the snapshot */
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    while (!t->stopping)
        poll_once(t);
    signal(SIGALRM, SIG_DFL);
    rig_commit(t);
    rig_crash(t);
    t->stopping = false;
    rig_set(t, "snapshot.select.statement.overrides.public.b", "SELECT id FROM b WHERE id < 0");
    rig_open(t);
    read_all(t);
    assert_int_equal(t->records.count, ROWS);
    for (uint64_t i = 0; i < ROWS; i++)
        assert_int_equal(rig_number(t->records.items[i], "id"), i + 1);
    rig_free(t);
}

static void test_a_file_that_was_rewritten_is_read_from_its_beginning(void **state)
{
    (void)state;
    struct leat_task *t =
        begin("rewritten",
              "CREATE TABLE a(id int PRIMARY KEY, v text); INSERT INTO a SELECT i, 'x' FROM "
              "generate_series(1, 2000) i; DELETE FROM a WHERE id <= 1000; ANALYZE a",
              "1");
    read_rows(t, 100);
    rig_crash(t);
    postgres_run(server, "rewritten", "VACUUM FULL a"); /* which puts rows that were not read to the front */
    rig_open(t);
    read_all(t);
    for (unsigned id = 1001; id <= 2000; id++)
        assert_true(count(t, "r", id, "x") >= 1);
    rig_free(t);
}

/* Of a new slot nothing that an earlier snapshot left counts. */
static void test_another_slot_begins_anew(void **state)
{
    (void)state;
    struct leat_task *t = begin("anew", TABLES, "2");
    rig_set(t, "snapshot.mode", "when_needed");
    read_rows(t, 400);
    rig_crash(t);
    postgres_run(
        server, "anew",
        "SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = 'anew' AND "
        "active; SELECT pg_drop_replication_slot('anew')");
    size_t before = t->records.count;
    rig_open(t);
    read_all(t);
    assert_int_equal(t->records.count - before, ROWS);
    rig_free(t);
}

/* A signal of the host's, once; its rows and where it is are one with them. */
static void test_a_blocking_snapshot_stopped_at_every_poll(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "blocks", TABLES);
    rig_set(t, "snapshot.chunk.rows", "100");
    t->poll_bytes = 1;
    rig_open(t);
    while (!t->position) {
        poll_once(t);
        rig_commit(t);
    }
    t->signal = (struct leat_signal){"one", "execute-snapshot",
                                     "{\"type\":\"BLOCKING\",\"data-collections\":[\"public.[abc]\"]}"};
    poll_once(t);
    rig_commit(t);
    for (unsigned i = 1; t->records.count < ROWS; i++) {
        poll_once(t);
        if (i % 2)
            rig_commit(t);
        if (i % 3 == 0) {
            rig_crash(t);
            rig_open(t);
        }
        assert_true(i < 20000);
    }
    for (uint64_t i = 0; i < ROWS; i++)
        assert_int_equal(rig_number(t->records.items[i], "id"), i + 1);
    rig_free(t);
}

/* ---- memory runs out ---------------------------------------------------------------------------------------------- */

static void begin_anew(struct leat_task *t)
{
    for (size_t i = 0; i < t->records.count; i++)
        free(t->records.items[i]);
    t->records.count = 0;
    free(t->position);
    t->position = NULL;
    for (size_t i = 0; i < t->place_count; i++) {
        free(t->places[i].offset);
        t->places[i].offset = NULL;
    }
}

/* Opens and polls as the host does, until the source has ended. */
static void run_to_its_end(struct leat_task *t)
{
    int rc = LEAT_RETRY;
    for (unsigned i = 0; rc != LEAT_END; i++) {
        assert_true(i < PATIENCE);
        if (!t->self)
            rc = pg_source_ops.open(t, &rig_host, &t->config, &t->self);
        else if ((rc = rig_poll(t)) == LEAT_OK)
            rig_commit(t);
        else if (rc != LEAT_END)
            rig_crash(t);
        if (rc == LEAT_FAIL)
            fail_msg("%s gave up: %s", t->self ? "poll" : "open", t->fail_text);
    }
    rig_crash(t);
}

static void test_memory_that_runs_out(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "memory", TABLES);
    rig_set(t, "snapshot.mode", "initial_only");
    rig_set(t, "snapshot.max.threads", "2");
    rig_set(t, "snapshot.chunk.rows", "100");
    uint64_t n = 1;
    for (bool failed = true; failed; n += 1 + n / 32) {
        begin_anew(t);
        fault_arm(FAULT_ALLOC, n, ENOMEM, false);
        run_to_its_end(t);
        failed = fault_passes(FAULT_ALLOC) >= n;
        fault_disarm();
        assert_int_equal(t->records.count, ROWS);
        for (uint64_t i = 0; i < ROWS; i++)
            assert_int_equal(rig_number(t->records.items[i], "id"), i + 1);
    }
    assert_true(n > 100);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_at_every_poll),
        cmocka_unit_test(test_rows_that_move_back_are_read),
        cmocka_unit_test(test_stopped_while_a_row_waits),
        cmocka_unit_test(test_a_file_that_was_rewritten_is_read_from_its_beginning),
        cmocka_unit_test(test_another_slot_begins_anew),
        cmocka_unit_test(test_a_blocking_snapshot_stopped_at_every_poll),
        cmocka_unit_test(test_memory_that_runs_out),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
