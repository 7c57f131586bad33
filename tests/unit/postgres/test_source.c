/*
 * The source over a host that commits when it is told, against a real server: it is stopped at every poll, within transactions and
 * between them, and goes on exactly there; what it confirms is what was committed; Debezium's positions are gone on from.
 */
#include "source_rig.h"

#include <inttypes.h>

#include "base/clock.h"
#include "connectors/postgres/pg_query.h"
#include "connectors/postgres/pg_setup.h"
#include "connectors/postgres/pg_task.h"

#define TABLE "CREATE TABLE a(id int PRIMARY KEY, v text); CREATE TABLE left_out(id int PRIMARY KEY)"

static struct postgres *server;

static int start_server(void **state)
{
    (void)state;
    static const char *const settings[] = {"logical_decoding_work_mem=64kB", NULL};
    server = postgres_new(settings);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

/* Ids of the records in order are first, first + 1, ... */
static void assert_ids(const struct leat_task *t, uint64_t first, size_t n)
{
    assert_int_equal(t->records.count, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(rig_number(t->records.items[i], "id"), first + i);
}

static uint64_t confirmed(const struct leat_task *t, const char *slot)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "SELECT (confirmed_flush_lsn - '0/0')::text FROM pg_replication_slots WHERE slot_name = '%s'",
             slot);
    char *text = postgres_sql(t->server, "postgres", sql);
    uint64_t lsn = strtoull(text, NULL, 10);
    free(text);
    return lsn;
}

/* Several small transactions, and one large enough that the server streams it, with a part that rolls back. */
static const char mixed[] = "INSERT INTO a VALUES (1, 'x'), (2, 'y'); INSERT INTO left_out SELECT "
                            "generate_series(1, 50); BEGIN; INSERT "
                            "INTO a VALUES (3, 'z'); INSERT INTO left_out VALUES (100); INSERT INTO a VALUES "
                            "(4, 'z'); COMMIT; BEGIN; INSERT "
                            "INTO a SELECT i, repeat('v', 100) FROM generate_series(5, 700) i; SAVEPOINT s; "
                            "INSERT INTO a SELECT i, repeat('w', "
                            "100) FROM generate_series(10000, 10500) i; ROLLBACK TO s; INSERT INTO left_out "
                            "SELECT generate_series(200, 300); "
                            "INSERT INTO a SELECT i, repeat('u', 100) FROM generate_series(701, 1200) i; "
                            "COMMIT; INSERT INTO a VALUES (1201, "
                            "'end')";
#define MIXED 1201

/* It is stopped after each n-th poll, of which every other was not committed. */
static void crash_often(const char *database, bool streamed, unsigned every)
{
    struct leat_task *t = rig_new(server, database, TABLE);
    rig_set(t, "table.include.list", "public.a");
    rig_set(t, "stream.large.transactions", streamed ? "true" : "false");
    t->poll_bytes = 1; /* so that a poll ends as soon as it looks */
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(server, database, mixed);
    for (unsigned i = 1; t->records.count < MIXED; i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll %u: %s", i, t->fail_text);
        if (i % every) {
            rig_commit(t);
            continue;
        }
        if (i / every % 2)
            rig_commit(t);
        rig_crash(t);
        rig_open(t);
        assert_true(i < 20000);
    }
    assert_ids(t, 1, MIXED);
    rig_free(t);
}

static void test_stopped_at_every_poll(void **state)
{
    (void)state;
    crash_often("every2", true, 2);
    crash_often("every3", true, 3);
}

static void test_stopped_without_streaming(void **state)
{
    (void)state;
    crash_often("plain2", false, 2);
    crash_often("plain5", false, 5);
}

/* A transaction that was streamed at first is not streamed later, and the other way about: the position means the same. */
static void test_partial_positions_mean_the_same(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "mixed_ways", TABLE);
    rig_set(t, "table.include.list", "public.a");
    t->poll_bytes = 1;
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(server, "mixed_ways", mixed);
    bool streamed = true, partial = false;
    for (unsigned i = 1; t->records.count < MIXED; i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll %u: %s", i, t->fail_text);
        rig_commit(t);
        if (i % 4)
            continue;
        partial |= strstr(t->position, "\"partial\":") != NULL;
        streamed = !streamed;
        rig_crash(t);
        rig_set(t, "stream.large.transactions", streamed ? "true" : "false");
        rig_open(t);
        assert_true(i < 20000);
    }
    assert_true(partial);
    assert_ids(t, 1, MIXED);
    rig_free(t);
}

static void test_confirmed_is_what_is_durable(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "confirmed", TABLE);
    rig_open(t);
    uint64_t before = confirmed(t, "confirmed");
    postgres_run(server, "confirmed", "INSERT INTO a VALUES (1, 'x')");
    rig_until(t, 1);
    uint64_t end = rig_number(t->position, "lsn_commit");
    assert_true(end > before);
    /* Committed, but nobody said that it is durable: polls go on, and nothing is confirmed. */
    int64_t until = clock_mono_ms() + 200;
    while (clock_mono_ms() < until) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        assert_int_equal(confirmed(t, "confirmed"), before);
    }
    rig_durable(t);
    until = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (confirmed(t, "confirmed") < end) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        assert_true(clock_mono_ms() < until);
    }
    rig_free(t);
}

static void give_up_after(const char *database, const char *time)
{
    char sql[128];
    snprintf(sql, sizeof sql, "ALTER DATABASE %s SET wal_sender_timeout = '%s'", database, time);
    postgres_run(server, "postgres", sql);
}

/* Nobody polls for more than twice wal_sender_timeout. Whether the connection is still the one that was opened. */
static bool outlives_the_time_out(const char *database)
{
    struct leat_task *t = rig_new(server, database, TABLE);
    char pid[128];
    snprintf(pid, sizeof pid, "SELECT active_pid FROM pg_replication_slots WHERE slot_name = '%s'", database);
    give_up_after(database, "4s");
    rig_set(t, "status.update.interval.ms", "1m");
    rig_open(t);
    char *one = postgres_sql(server, "postgres", pid);
    postgres_run(server, database,
                 "INSERT INTO a SELECT i, repeat('x', 500) FROM generate_series(1, 5000) i");
    int64_t until = clock_mono_ms() + 9000;
    while (clock_mono_ms() < until)
        poll(NULL, 0, 50);
    bool there = true;
    for (until = clock_mono_ms() + TESTKIT_LIMIT_MS; there && t->records.count < 5000;) {
        there = rig_poll(t) == LEAT_OK;
        rig_commit(t);
        assert_true(clock_mono_ms() < until);
    }
    char *two = postgres_sql(server, "postgres", pid);
    there = there && strcmp(one, two) == 0;
    free(one);
    free(two);
    rig_free(t);
    return there;
}

/* As when the store is slow: the connection stays. It may not where the machine lets the source wait as long, but not each time. */
static void test_the_server_is_answered_meanwhile(void **state)
{
    (void)state;
    assert_true(outlives_the_time_out("meanwhile") || outlives_the_time_out("meanwhile2") ||
                outlives_the_time_out("meanwhile3") || outlives_the_time_out("meanwhile4"));
}

/* While a spooled transaction is read back nothing is read from the server: its silence then means nothing. */
static void test_reading_back_for_long(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "long_back", TABLE);
    rig_set(t, "table.include.list", "public.a");
    rig_set(t, "stream.timeout.ms", "6s");
    t->poll_bytes = 1;
    rig_open(t);
    postgres_run(server, "long_back", mixed);
    int64_t begun = clock_mono_ms();
    while (t->records.count < MIXED) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
        rig_commit(t);
        poll(NULL, 0, 600); /* that it takes long is what is tested */
    }
    assert_true(clock_mono_ms() - begun > 9000);
    assert_ids(t, 1, MIXED);
    rig_free(t);
}

/* ---- Debezium's positions --------------------------------------------------------------------------------------- */

/* Where row `id` is, and where the transaction before it ended. */
static void where(const struct leat_task *t, size_t id, uint64_t *lsn, uint64_t *last)
{
    *lsn = rig_number(t->records.items[id - 1], "lsn");
    const char *sequence = strstr(t->records.items[id - 1], "\"sequence\":\"[\\\"");
    assert_non_null(sequence);
    *last = strtoull(sequence + strlen("\"sequence\":\"[\\\""), NULL, 10);
}

static void go_on_from(struct leat_task *t, const char *position, uint64_t first, size_t n)
{
    rig_crash(t);
    for (size_t i = 0; i < t->records.count; i++)
        free(t->records.items[i]);
    t->records.count = 0;
    free(t->position);
    t->position = strdup(position);
    rig_open(t);
    rig_until(t, n);
    assert_ids(t, first, n);
}

static void test_positions_of_debezium(void **state)
{
    (void)state;
    char position[512];
    uint64_t lsn, last;
    struct leat_task *t = rig_new(server, "debezium", TABLE);
    rig_open(t);
    postgres_run(server, "debezium",
                 "INSERT INTO a VALUES (1, 'x'), (2, 'x'); INSERT INTO a VALUES (3, 'y'), (4, 'y'), (5, "
                 "'y'), (6, 'y'); "
                 "INSERT INTO a VALUES (7, 'z')");
    rig_until(t, 7);
    /* Within the second transaction: what was sent of it does not come again. */
    where(t, 4, &lsn, &last);
    snprintf(position, sizeof position,
             "{\"lsn_proc\":%ju,\"messageType\":\"INSERT\",\"lsn_commit\":%ju,\"lsn\":%ju,\"txId\":740,\"ts_"
             "usec\":1}",
             (uintmax_t)last, (uintmax_t)last, (uintmax_t)lsn);
    go_on_from(t, position, 5, 3);
    assert_non_null(strstr(t->records.items[0], "\"id\":5"));
    /* Between transactions. */
    snprintf(position, sizeof position,
             "{\"transaction_id\":null,\"lsn_proc\":%ju,\"messageType\":\"COMMIT\",\"lsn_commit\":%ju,"
             "\"lsn\":%ju}",
             (uintmax_t)last, (uintmax_t)last, (uintmax_t)last);
    go_on_from(t, position, 3, 5);
    /* After its snapshot, before the first commit: there is lsn alone. */
    snprintf(position, sizeof position, "{\"lsn\":%ju,\"txId\":740,\"ts_usec\":1}", (uintmax_t)last);
    go_on_from(t, position, 3, 5);
    rig_free(t);
}

/* Stopped while it passes over what Debezium sent: that does not come again. */
static void test_a_position_of_debezium_in_a_large_transaction(void **state)
{
    (void)state;
    char position[512];
    struct leat_task *t = rig_new(server, "debezium_large", TABLE "; CREATE TABLE mark(at pg_lsn)");
    rig_set(t, "table.include.list", "public.a");
    rig_set(t, "stream.large.transactions", "false");
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    rig_crash(t);
    uint64_t begin = rig_number(t->position, "lsn_commit");
    /* So many that one poll does not pass over them. */
    postgres_run(server, "debezium_large",
                 "BEGIN; INSERT INTO a SELECT i FROM generate_series(10, 200000) i; INSERT INTO mark SELECT "
                 "pg_current_wal_insert_lsn(); INSERT INTO a VALUES (1), (2); COMMIT");
    char *lsn = postgres_sql(server, "debezium_large", "SELECT (at - '0/0')::text FROM mark");
    snprintf(position, sizeof position, "{\"lsn_proc\":%" PRIu64 ",\"lsn_commit\":%" PRIu64 ",\"lsn\":%.20s}",
             begin, begin, strtok(lsn, "\n"));
    free(lsn);
    free(t->position);
    t->position = strdup(position);
    rig_open(t);
    for (int i = 0; strcmp(t->position, position) == 0 && i < 5000; i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll: %s", t->fail_text);
        rig_commit(t);
    }
    rig_crash(t);
    rig_open(t);
    rig_until(t, 2);
    assert_ids(t, 1, 2);
    rig_free(t);
}

static void test_what_is_no_position(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "nopos", TABLE);
    t->position = strdup("{\"file\":\"binlog.1\",\"pos\":4}");
    assert_int_equal(pg_source_ops.open(t, &rig_host, &t->config, &t->self), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "is not one of this connector"));
    t->self = NULL;
    rig_free(t);
}

/* A restore or a new server by the old name has other LSNs. */
static void test_another_cluster(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "cluster", TABLE);
    t->position = strdup("{\"lsn_proc\":1,\"lsn\":1,\"lsn_commit\":1,\"system\":\"123\"}");
    assert_int_equal(pg_source_ops.open(t, &rig_host, &t->config, &t->self), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "of another database cluster (123"));
    t->self = NULL;
    rig_free(t);
}

/* A poll may end behind a transaction's begin, before its first change: its BEGIN record comes once all the same. */
static void test_begin_records_come_once(void **state)
{
    (void)state;
    /* Of all sizes, so that some poll looks behind a begin whether it has enough. */
    enum { TRANSACTIONS = 160 };
    struct leat_task *t = rig_new(server, "begins", TABLE);
    rig_set(t, "table.include.list", "public.a");
    rig_set(t, "provide.transaction.metadata", "true");
    t->poll_bytes = 1;
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(server, "begins",
                 "DO $$ BEGIN FOR i IN 1..160 LOOP INSERT INTO a SELECT i * 100 + k FROM generate_series(0, "
                 "i % 40) k; "
                 "COMMIT; END LOOP; END $$");
    size_t rows = TRANSACTIONS / 40 * (40 * 41 / 2);
    for (unsigned i = 0; t->records.count < rows + 2 * TRANSACTIONS && i < 20000; i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll %u: %s", i, t->fail_text);
        rig_commit(t);
        rig_crash(t);
        rig_open(t);
    }
    size_t begins = 0, ends = 0;
    for (size_t i = 0; i < t->records.count; i++) {
        begins += strstr(t->records.items[i], "\"BEGIN\"") != NULL;
        ends += strstr(t->records.items[i], "\"END\"") != NULL;
    }
    assert_int_equal(begins, TRANSACTIONS);
    assert_int_equal(ends, TRANSACTIONS);
    assert_int_equal(t->records.count, rows + 2 * TRANSACTIONS);
    rig_free(t);
}

/* A transaction that is left out as it came by replication has neither a BEGIN record nor an END record. */
static void test_an_origin_that_is_left_out(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "origins", TABLE);
    rig_set(t, "provide.transaction.metadata", "true");
    rig_set(t, "stream.origin", "none");
    rig_open(t);
    postgres_run(server, "origins", "SELECT pg_replication_origin_create('far')");
    postgres_run(server, "origins",
                 "SELECT pg_replication_origin_session_setup('far'); INSERT INTO a VALUES (1); SELECT "
                 "pg_replication_origin_session_reset(); INSERT INTO a VALUES (2)");
    rig_until(t, 3);
    assert_non_null(strstr(t->records.items[0], "\"BEGIN\""));
    assert_int_equal(rig_number(t->records.items[1], "id"), 2);
    assert_non_null(strstr(t->records.items[2], "\"END\""));
    rig_free(t);
}

/* A stop while the catalog is asked is no failure: a task that is paused goes on later. */
static void test_a_stop_is_no_failure(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "stops", TABLE);
    rig_open(t);
    assert_int_equal(rig_poll(t), LEAT_OK);
    rig_commit(t);
    postgres_run(server, "stops", "INSERT INTO a VALUES (1)");
    t->stopping = true;
    int rc = LEAT_OK;
    for (int64_t until = clock_mono_ms() + TESTKIT_LIMIT_MS; rc == LEAT_OK && clock_mono_ms() < until;)
        rc = rig_poll(t);
    assert_int_equal(rc, LEAT_RETRY);
    assert_non_null(strstr(t->fail_text, "stopped on request"));
    rig_crash(t);
    t->stopping = false;
    rig_open(t);
    rig_until(t, 1);
    rig_free(t);
}

/* Whatever it waits for when it is asked to stop, it ends, and goes on later. */
static void test_a_stop_at_every_wait(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "waits", TABLE);
    rig_open(t);
    assert_int_equal(rig_poll(t), LEAT_OK);
    rig_commit(t);
    rig_crash(t);
    int rc = LEAT_RETRY;
    for (unsigned n = 1; rc != LEAT_OK; n++) {
        assert_true(n < 1000);
        t->stopping = false;
        t->stop_in = n;
        t->self = NULL;
        rc = pg_source_ops.open(t, &rig_host, &t->config, &t->self);
        if (rc == LEAT_OK)
            rc = rig_poll(t);
        if (rc != LEAT_OK)
            assert_int_equal(rc, LEAT_RETRY);
        /* Asked no more than this often, or while it waited for the slot to be free. */
        if (t->stop_in == 0 && rc == LEAT_OK)
            assert_true(t->stopping);
        rig_crash(t);
    }
    t->stopping = false;
    t->stop_in = 0;
    rig_open(t);
    postgres_run(server, "waits", "INSERT INTO a VALUES (1)");
    rig_until(t, 1);
    rig_free(t);
}

/* Nor does a stop while the slot is made leave one that was not mended, which would be taken for a good one. */
static void test_a_stop_while_the_slot_is_made(void **state)
{
    (void)state;
    static const char slots[] = "SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'making'";
    struct leat_task *t = rig_new(server, "making", TABLE);
    bool mending = false;
    int rc = LEAT_RETRY;
    for (unsigned n = 1; rc != LEAT_OK; n++) {
        assert_true(n < 1000);
        t->stopping = false;
        t->stop_in = n;
        t->self = NULL;
        rc = pg_source_ops.open(t, &rig_host, &t->config, &t->self);
        if (rc != LEAT_OK && strstr(t->fail_text, "cannot read what was logged while the slot was made")) {
            char *left = postgres_sql(server, "postgres", slots);
            assert_string_equal(left, "0\n");
            free(left);
            mending = true;
        }
        rig_crash(t);
        postgres_run(server, "postgres",
                     "DO $$ BEGIN WHILE EXISTS (SELECT FROM pg_replication_slots WHERE active) LOOP PERFORM "
                     "pg_sleep(0.01); END LOOP; END $$; SELECT pg_drop_replication_slot(slot_name) FROM "
                     "pg_replication_slots WHERE slot_name = 'making'");
    }
    assert_true(mending);
    t->stopping = false;
    t->stop_in = 0;
    rig_open(t);
    postgres_run(server, "making", "INSERT INTO a VALUES (1)");
    rig_until(t, 1);
    rig_free(t);
}

static int sleepers(void)
{
    char *running =
        postgres_sql(server, "postgres",
                     "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(6000)' AND "
                     "state = 'active'");
    int n = atoi(running);
    free(running);
    return n;
}

/* A statement that was given up leaves no connection behind that answers nothing else. */
static void test_a_statement_that_takes_too_long(void **state)
{
    (void)state;
    struct err e;
    struct leat_task *t = rig_new(server, "slowly", TABLE);
    rig_open(t);
    struct pg_task *source = t->self; /* its first member */
    assert_int_equal(pg_sql(source, &e), ERR_OK);
    pg_go_on(source->sql, 50);
    assert_null(pg_query(source->sql, &e, "sleeping", "SELECT pg_sleep(6000)", 0, NULL));
    assert_int_equal(e.code, ERR_TIMEOUT);
    assert_int_equal(pg_sql(source, &e), ERR_OK);
    PGresult *r = pg_query(source->sql, &e, "asking again", "SELECT 1", 0, NULL);
    if (!r)
        fail_msg("%s", e.text);
    PQclear(r);
    int64_t until = clock_mono_ms() + TESTKIT_LIMIT_MS;
    while (sleepers() > 0)
        assert_true(clock_mono_ms() < until);
    rig_free(t);
}

/* The bytes of a poll are bounded by its rows' sizes, not by their number. */
static void test_large_rows_make_small_polls(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "large", TABLE);
    rig_open(t);
    assert_int_equal(rig_poll(t), LEAT_OK);
    rig_commit(t);
    postgres_run(server, "large",
                 "INSERT INTO a SELECT i, repeat('x', 2000000) FROM generate_series(1, 20) i");
    size_t most = 0;
    for (int i = 0; t->records.count < 20 && i < PATIENCE; i++) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        most = t->pending.count > most ? t->pending.count : most;
        rig_commit(t);
    }
    assert_ids(t, 1, 20);
    assert_in_range(most, 1, 2);
    rig_free(t);
}

/* Messages of no transaction come once, wherever it is stopped. */
static void test_messages_outside_of_transactions(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "messages", TABLE);
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(
        server, "messages",
        "DO $$ BEGIN FOR i IN 1..30 LOOP INSERT INTO a VALUES (i * 2 + 100); PERFORM "
        "pg_logical_emit_message(false, 'p' || i * 2 + 101, 'x'); IF i % 3 = 0 THEN COMMIT; END IF; END "
        "LOOP; END $$");
    t->poll_bytes = 1;
    for (unsigned i = 0; t->records.count < 60 && i < PATIENCE; i++) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
        if (t->records.count % 2 == 0 || i % 5 == 0) {
            rig_crash(t);
            rig_open(t);
        }
    }
    assert_int_equal(t->records.count, 60);
    bool seen[200] = {false};
    for (size_t i = 0; i < t->records.count; i++) {
        const char *prefix = strstr(t->records.items[i], "\"prefix\":\"p");
        uint64_t id = prefix ? strtoull(prefix + 11, NULL, 10) : rig_number(t->records.items[i], "id");
        assert_in_range(id, 102, 161);
        assert_false(seen[id]);
        seen[id] = true;
    }
    rig_free(t);
}

/* What the server sent before it ended the connection is stored first: else it would come anew each time where the end does. */
static void test_what_came_before_the_end(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "before_end", TABLE);
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(server, "before_end",
                 "INSERT INTO a VALUES (1, 'x'), (2, 'y'); DO $$ DECLARE at pg_lsn := "
                 "pg_current_wal_insert_lsn(); BEGIN WHILE NOT EXISTS (SELECT FROM pg_stat_replication "
                 "WHERE sent_lsn >= at AND state = 'streaming') LOOP PERFORM pg_sleep(0.01), "
                 "pg_stat_clear_snapshot(); END LOOP; PERFORM pg_terminate_backend(active_pid) FROM "
                 "pg_replication_slots WHERE slot_name = 'before_end'; WHILE EXISTS (SELECT FROM "
                 "pg_replication_slots WHERE slot_name = 'before_end' AND active) LOOP PERFORM "
                 "pg_sleep(0.01); END LOOP; END $$");
    if (rig_poll(t) != LEAT_OK)
        fail_msg("poll: %s", t->fail_text);
    rig_commit(t);
    assert_ids(t, 1, 2);
    assert_int_equal(rig_poll(t), LEAT_RETRY);
    assert_non_null(strstr(t->fail_text, "57P01"));
    rig_crash(t);
    postgres_run(server, "before_end", "INSERT INTO a VALUES (3, 'z')");
    rig_open(t);
    rig_until(t, 3);
    assert_ids(t, 1, 3);
    rig_free(t);
}

/* A column that was added and taken back within a streamed transaction. */
static void test_a_column_that_was_rolled_back(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "columns", TABLE);
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    postgres_run(
        server, "columns",
        "BEGIN; INSERT INTO a SELECT i, repeat('v', 100) FROM generate_series(1, 600) i; SAVEPOINT s; ALTER "
        "TABLE a ADD w int; INSERT INTO a SELECT i, repeat('w', 100), 7 FROM generate_series(10000, 10600) "
        "i; ROLLBACK TO s; INSERT INTO a SELECT i, repeat('u', 100) FROM generate_series(601, 1200) i; "
        "ALTER TABLE a ADD z int; INSERT INTO a SELECT i, 'z', 9 FROM generate_series(1201, 1800) i; COMMIT");
    /* PostgreSQL 15 at times fails to find a table's file while it decodes what is rolled back; then it is asked again. */
    for (int i = 0; t->records.count < 1800 && i < PATIENCE; i++) {
        int rc = rig_poll(t);
        if (rc == LEAT_RETRY) {
            assert_non_null(strstr(t->fail_text, "could not map filenode"));
            rig_crash(t);
            rig_open(t);
            continue;
        }
        assert_int_equal(rc, LEAT_OK);
        rig_commit(t);
    }
    assert_ids(t, 1, 1800);
    assert_null(strstr(t->records.items[700], "\"w\":"));
    assert_non_null(strstr(t->records.items[1500], "\"z\":9"));
    rig_free(t);
}

/* The server lost what was published already (a standby that was behind, an old backup): its log goes on where ours was. */
static void test_a_server_that_lost_its_end(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "behind", TABLE);
    rig_open(t);
    while (!t->position) {
        assert_int_equal(rig_poll(t), LEAT_OK);
        rig_commit(t);
    }
    rig_crash(t);
    char *found = strstr(t->position, ",\"system\":");
    assert_non_null(found);
    char *system = strdup(found);
    free(t->position);
    assert_true(asprintf(&t->position, "{\"lsn_proc\":%d,\"lsn\":%d,\"lsn_commit\":%" PRId64 "%s", 1, 1,
                         INT64_C(1) << 50, system) > 0);
    free(system);
    assert_int_equal(pg_source_ops.open(t, &rig_host, &t->config, &t->self), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "the server is at"));
    t->self = NULL;
    /* Where it may, it reads the tables again. */
    rig_set(t, "snapshot.mode", "when_needed");
    postgres_run(server, "behind", "INSERT INTO a VALUES (1)");
    rig_open(t);
    rig_until(t, 1);
    assert_non_null(strstr(t->records.items[0], "\"op\":\"r\""));
    rig_free(t);
}

/* Whoever opens it without asking first is told, too: the stream does not begin. */
static void test_a_stream_that_cannot_be_read(void **state)
{
    (void)state;
    struct leat_task *t = rig_new(server, "unreadable", TABLE);
    assert_int_equal(pg_source_validate(t, &rig_host, &t->config), LEAT_OK);
    rig_set(t, "slot.stream.params", "binary=true");
    assert_int_equal(pg_source_validate(t, &rig_host, &t->config), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "slot.stream.params: 'binary=true'"));
    t->fail_text[0] = '\0';
    assert_int_equal(pg_source_ops.open(t, &rig_host, &t->config, &t->self), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "slot.stream.params: 'binary=true'"));
    t->self = NULL;
    rig_free(t);
}

/* As the releases say it. */
static void test_what_the_server_cannot_decode(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is;
    } cases[] = {
        {"could not map filenode \"base/16384/16574\" to relation OID (SQLSTATE XX000)", true},
        {"could not map filenumber \"base/16384/16574\" to relation OID (SQLSTATE XX000)", true},
        {"catalog is missing 1 attribute(s) for relation OID 16480 (SQLSTATE XX000)", true},
        {"cache lookup failed for type 1 (SQLSTATE XX000)", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e;
        err_set(&e, ERR_REMOTE, "the replication stream ended: %s", cases[i].text);
        assert_int_equal(pg_setup_cannot_decode(&e), cases[i].is);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_at_every_poll),
        cmocka_unit_test(test_stopped_without_streaming),
        cmocka_unit_test(test_partial_positions_mean_the_same),
        cmocka_unit_test(test_confirmed_is_what_is_durable),
        cmocka_unit_test(test_the_server_is_answered_meanwhile),
        cmocka_unit_test(test_reading_back_for_long),
        cmocka_unit_test(test_positions_of_debezium),
        cmocka_unit_test(test_a_position_of_debezium_in_a_large_transaction),
        cmocka_unit_test(test_what_is_no_position),
        cmocka_unit_test(test_another_cluster),
        cmocka_unit_test(test_begin_records_come_once),
        cmocka_unit_test(test_an_origin_that_is_left_out),
        cmocka_unit_test(test_a_stop_is_no_failure),
        cmocka_unit_test(test_a_stop_at_every_wait),
        cmocka_unit_test(test_a_stop_while_the_slot_is_made),
        cmocka_unit_test(test_a_statement_that_takes_too_long),
        cmocka_unit_test(test_large_rows_make_small_polls),
        cmocka_unit_test(test_messages_outside_of_transactions),
        cmocka_unit_test(test_what_came_before_the_end),
        cmocka_unit_test(test_a_column_that_was_rolled_back),
        cmocka_unit_test(test_a_server_that_lost_its_end),
        cmocka_unit_test(test_a_stream_that_cannot_be_read),
        cmocka_unit_test(test_what_the_server_cannot_decode),
    };
    return cmocka_run_group_tests_name("pg_source", tests, start_server, stop_server);
}
