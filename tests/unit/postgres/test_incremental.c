/*
 * Incremental snapshots over a host that commits when it is told, against a real server: stopped at every poll each row is
 * read once.
 */
#include "source_rig.h"

#include <limits.h>

#define ROWS 60
#define TABLES                                                                                               \
    "CREATE TABLE signals(id varchar(42) PRIMARY KEY, type varchar(32) NOT NULL, data varchar(2048)); "      \
    "CREATE TABLE a(id int PRIMARY KEY, v text); INSERT INTO a SELECT i, 'old' FROM generate_series(1, 60) " \
    "i"

static struct postgres *server;

static int start_server(void **state)
{
    (void)state;
    static const char *const settings[] = {"max_prepared_transactions=2", NULL};
    server = postgres_new(settings);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

static struct leat_task *begin(const char *database, const char *signals)
{
    struct leat_task *t = rig_new(server, database, TABLES);
    if (signals)
        rig_set(t, "signal.data.collection", signals);
    rig_set(t, "table.include.list", "public.a");
    rig_set(t, "incremental.snapshot.chunk.size", "7");
    t->poll_bytes = 1;
    rig_open(t);
    return t;
}

static void poll_once(struct leat_task *t)
{
    if (rig_poll(t) != LEAT_OK)
        fail_msg("poll: %s", t->fail_text);
}

static void ask(struct leat_task *t, const char *type, const char *data)
{
    t->signal = (struct leat_signal){"one", type, data};
    while (t->signal.type) {
        poll_once(t);
        rig_commit(t);
    }
}

#define EXECUTE "{\"data-collections\":[\"public.a\"]}"
#define SIGNAL(id) "INSERT INTO signals VALUES ('" id "', 'execute-snapshot', '" EXECUTE "')"

static bool is_read(const char *record)
{
    return strncmp(record, "t.public.a ", 11) == 0 && strstr(record, "\"op\":\"r\"") != NULL;
}

static size_t reads(const struct leat_task *t)
{
    size_t n = 0;
    for (size_t i = 0; i < t->records.count; i++)
        n += is_read(t->records.items[i]);
    return n;
}

static void crash_often(const char *database, const char *signals, const char *strategy, unsigned every)
{
    struct leat_task *t = begin(database, signals);
    rig_set(t, "incremental.snapshot.watermarking.strategy", strategy);
    rig_crash(t);
    rig_open(t);
    if (signals)
        postgres_run(server, database, SIGNAL("one"));
    else
        ask(t, "execute-snapshot", EXECUTE);
    for (unsigned i = 1; reads(t) < ROWS; i++) {
        poll_once(t);
        if (i % every || i / every % 2)
            rig_commit(t);
        if (i % every == 0) {
            rig_crash(t);
            rig_open(t);
        }
        assert_true(i < 20000);
    }
    uint64_t id = 1;
    for (size_t i = 0; i < t->records.count; i++)
        if (is_read(t->records.items[i]))
            assert_int_equal(rig_number(t->records.items[i], "id"), id++);
    assert_int_equal(id, ROWS + 1);
    rig_free(t);
}

static void test_stopped_at_every_poll(void **state)
{
    (void)state;
    crash_often("stop1", "public.signals", "insert_insert", 5);
    crash_often("stop2", "public.signals", "insert_insert", 8);
    crash_often("stop3", "public.signals", "insert_delete", 7);
    crash_often("stop4", NULL, "insert_insert", 5);
}

static void until_reads(struct leat_task *t, size_t n)
{
    for (int i = 0; reads(t) < n && i < PATIENCE; i++) {
        poll_once(t);
        rig_commit(t);
    }
    assert_int_equal(reads(t), n);
}

/* Of two signals the one that was written first was committed last: both count. */
static void test_signals_of_transactions_that_overlap(void **state)
{
    (void)state;
    struct leat_task *t = begin("overlap", "public.signals");
    postgres_run(server, "overlap", "BEGIN; " SIGNAL("first") "; PREPARE TRANSACTION 'p'");
    postgres_run(server, "overlap", SIGNAL("second"));
    until_reads(t, ROWS);
    postgres_run(server, "overlap", "COMMIT PREPARED 'p'");
    until_reads(t, 2 * ROWS);
    rig_free(t);
}

/* A chunk that is cut as its rows are large is cut between keys, not between rows of one key. */
static void test_large_rows_of_one_key(void **state)
{
    (void)state;
    struct leat_task *t = begin("ties", NULL);
    postgres_run(
        server, "ties",
        "CREATE TABLE b(s int, id int, v text); INSERT INTO b SELECT i / 8, i, repeat('x', 300000) FROM "
        "generate_series(1, 40) i");
    rig_set(t, "table.include.list", "public.b");
    rig_set(t, "snapshot.buffer.bytes", "1MiB");
    rig_crash(t);
    rig_open(t);
    ask(t, "execute-snapshot", "{\"data-collections\":[\"public.b\"],\"surrogate-key\":\"s\"}");
    bool seen[41] = {false};
    size_t n = 0, at = 0;
    for (int i = 0; n < 40 && i < PATIENCE; i++) {
        poll_once(t);
        rig_commit(t);
        for (; at < t->records.count; at++) {
            uint64_t id = rig_number(t->records.items[at], "id");
            if (!strstr(t->records.items[at], "\"op\":\"r\""))
                continue; /* it came by the stream */
            assert_in_range(id, 1, 40);
            assert_false(seen[id]);
            seen[id] = true;
            n++;
        }
    }
    assert_int_equal(n, 40);
    rig_free(t);
}

/* More tables than can be remembered are refused by the signal, which came by the stream and would come again and again. */
static void test_more_tables_than_can_be_remembered(void **state)
{
    (void)state;
    struct leat_task *t = begin("many", "public.signals");
    postgres_run(
        server, "many",
        "DO $$ BEGIN FOR i IN 1..700 LOOP EXECUTE format('CREATE TABLE m_%s_%s(id int PRIMARY KEY)', "
        "repeat('x', 50), i); END LOOP; END $$");
    rig_set(t, "table.include.list", "public.a,public.m.*");
    rig_crash(t);
    rig_open(t);
    postgres_run(server, "many",
                 "INSERT INTO signals VALUES ('all', 'execute-snapshot', "
                 "'{\"data-collections\":[\"public.m.*\"]}')");
    for (int i = 0; !strstr(t->log_text, "signal all is left out") && i < PATIENCE; i++) {
        poll_once(t);
        rig_commit(t);
    }
    assert_non_null(strstr(t->log_text, "too many tables"));
    postgres_run(server, "many", SIGNAL("less"));
    until_reads(t, ROWS);
    rig_free(t);
}

/* ---- what goes wrong in the middle ---------------------------------------------------------------------------------- */

/* The transaction that holds the table's lock is committed once the table's lock is waited for. */
static void commit_when_awaited(struct leat_task *t)
{
    char *waiting = postgres_sql(server, "dropped",
                                 "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'a'::regclass");
    if (atoi(waiting) > 0) {
        t->looked = NULL;
        postgres_run(server, "dropped", "COMMIT PREPARED 'drop'");
    }
    free(waiting);
}

/* Between the look at the table and the read of its first chunk a column goes: the table is read as it is then. */
static void test_a_column_that_is_dropped_meanwhile(void **state)
{
    (void)state;
    struct leat_task *t = begin("dropped", NULL);
    postgres_run(server, "dropped", "BEGIN; ALTER TABLE a DROP COLUMN v; PREPARE TRANSACTION 'drop'");
    t->looked = commit_when_awaited;
    ask(t, "execute-snapshot", EXECUTE);
    until_reads(t, ROWS);
    assert_null(t->looked);
    rig_free(t);
}

/* Transactions are numbered anew every 2^32: one of long ago looks as if it were to come, and was waited for without end. */
static void test_a_transaction_of_long_ago(void **state)
{
    (void)state;
    struct leat_task *t = begin("long_ago", NULL);
    while (!t->position) {
        poll_once(t);
        rig_commit(t);
    }
    rig_crash(t);
    char *found = strstr(t->position, "\"txId\":"), *rest = found ? strchr(found, ',') : NULL, *changed;
    assert_non_null(rest);
    assert_true(
        asprintf(&changed, "%.*s\"txId\":1000000000%s", (int)(found - t->position), t->position, rest) > 0);
    free(t->position);
    t->position = changed;
    rig_open(t);
    ask(t, "execute-snapshot", EXECUTE);
    until_reads(t, ROWS);
    rig_free(t);
}

/* Windows are read-only then, and the stream goes on. */
static void test_a_signal_table_that_cannot_be_written(void **state)
{
    (void)state;
    struct leat_task *t = begin("nowhere", "public.nowhere");
    ask(t, "execute-snapshot", EXECUTE);
    until_reads(t, ROWS);
    rig_free(t);
    /* Inserted into it can be, and not deleted from it. */
    t = begin("undeleted", "public.signals");
    postgres_run(
        server, "undeleted",
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE insufficient_privilege; "
        "END$$; CREATE TRIGGER refuse BEFORE DELETE ON signals FOR EACH ROW EXECUTE FUNCTION refuse()");
    rig_set(t, "incremental.snapshot.watermarking.strategy", "insert_delete");
    rig_crash(t);
    rig_open(t);
    postgres_run(server, "undeleted", SIGNAL("one"));
    until_reads(t, ROWS);
    rig_free(t);
}

static void write_file(const char *path, size_t blanks, const char *signal)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < blanks; i++)
        assert_int_equal(fputc('\n', f), '\n');
    assert_true(fputs(signal, f) > 0);
    assert_int_equal(fclose(f), 0);
}

/* Of a file all signals are taken, however long it is, and none is lost before what became of it is durable. */
static void test_signals_of_a_file(void **state)
{
    (void)state;
    char path[PATH_MAX];
    static const char signal[] = "{\"id\":\"one\",\"type\":\"execute-snapshot\",\"data\":" EXECUTE "}\n";
    struct leat_task *t = begin("in_file", NULL);
    snprintf(path, sizeof path, "%s/signals.txt", t->kept);
    rig_set(t, "signal.enabled.channels", "file");
    rig_set(t, "signal.file", path);
    rig_set(t, "signal.poll.interval.ms", "10ms");
    rig_crash(t);
    rig_open(t);
    write_file(path, 3u << 19, signal);
    for (int i = 0; reads(t) < ROWS && i < 5000; i++) {
        poll_once(t);
        rig_commit(t);
        rig_durable(t);
    }
    assert_int_equal(reads(t), ROWS);
    write_file(path, 0, signal);
    for (int i = 0; t->pending.count == 0 && i < 5000; i++)
        poll_once(t);
    assert_true(t->pending.count > 0);
    rig_crash(t);
    rig_open(t);
    until_reads(t, 2 * ROWS);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stopped_at_every_poll),
        cmocka_unit_test(test_signals_of_transactions_that_overlap),
        cmocka_unit_test(test_large_rows_of_one_key),
        cmocka_unit_test(test_more_tables_than_can_be_remembered),
        cmocka_unit_test(test_a_column_that_is_dropped_meanwhile),
        cmocka_unit_test(test_a_transaction_of_long_ago),
        cmocka_unit_test(test_a_signal_table_that_cannot_be_written),
        cmocka_unit_test(test_signals_of_a_file),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
