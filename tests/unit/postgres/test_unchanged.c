/* Unchanged large values: changes of rows, runs that do not see all, crashes, a disk that is full or fails. */
#include "unchanged_rig.h"

#include <errno.h>
#include <sys/wait.h>

#include "base/fault.h"

/* ---- changes ---------------------------------------------------------------------------------------------------------- */

static void test_filled_in(void **state)
{
    (void)state;
    struct leat_task *t = task("filled", TABLE);
    begin(t);
    run(t, "UPDATE a SET tag = 'b', big = v('b')", 1, VALUE);
    run(t, TOUCH "; " TOUCH, 2, VALUE);
    run(t, "INSERT INTO a VALUES (2, 0, 'two', v('two')); UPDATE a SET n = 7", 3, VALUE);
    run(t,
        "BEGIN; UPDATE a SET n = 8 WHERE id = 1; UPDATE a SET tag = 'c', big = v('c') WHERE id = 1; UPDATE a "
        "SET n = 9 "
        "WHERE id = 1; COMMIT",
        3, VALUE);
    restart(t);
    run(t, "UPDATE a SET n = 10 WHERE id = 2; " TOUCH, 2, VALUE);
    rig_free(t);
}

static void test_not_seen_is_left(void **state)
{
    (void)state;
    struct leat_task *t = task("unseen", TABLE "; INSERT INTO a VALUES (1, 0, 'a', v('a'))");
    start(t);
    not_known(t);
    assert_non_null(strstr(t->unchanged, "\"placeholders\": "));
    rig_free(t);
}

static void test_off_by_default(void **state)
{
    (void)state;
    struct leat_task *t = task("off", TABLE);
    rig_set(t, "unavailable.value.fill", "none");
    start(t);
    run(t, "INSERT INTO a VALUES (1, 0, 'a', v('a')); " TOUCH, 2, LEFT);
    assert_string_equal(t->unchanged, "");
    rig_free(t);
}

static void test_values_that_come_and_go(void **state)
{
    (void)state;
    struct leat_task *t = task("come_and_go", TABLE);
    begin(t);
    run(t, "UPDATE a SET big = NULL, tag = NULL", 1, NONE);
    run(t, TOUCH, 1, NONE);
    run(t, "UPDATE a SET tag = 's', big = 'sx'", 1, VALUE); /* within the row */
    run(t, TOUCH, 1, VALUE);
    run(t, "UPDATE a SET tag = 'd', big = v('d'); DELETE FROM a", 2, NONE);
    run(t, "INSERT INTO a VALUES (1, 0, 'e', 'ex'); " TOUCH, 2, VALUE);
    run(t, "TRUNCATE a; INSERT INTO a VALUES (1, 0, 'f', v('f')); " TOUCH, 2, VALUE);
    rig_free(t);
}

static void test_keys(void **state)
{
    (void)state;
    struct leat_task *t = task("keys_move", TABLE);
    begin(t);
    run(t, "UPDATE a SET id = 2", 2, VALUE); /* a delete and a create */
    run(t, "UPDATE a SET n = 3", 1, VALUE);
    run(t, "INSERT INTO a VALUES (1, 0, 'o', v('o')); UPDATE a SET n = 4", 3, VALUE);
    run(t,
        "BEGIN; UPDATE a SET id = 3 WHERE id = 1; UPDATE a SET id = 1 WHERE id = 2; UPDATE a SET id = 2 "
        "WHERE id = 3; COMMIT",
        6, VALUE); /* they change places */
    restart(t);
    run(t, "UPDATE a SET n = 5", 2, VALUE);
    run(t, "UPDATE a SET id = 9, tag = 'w', big = v('w') WHERE id = 1; UPDATE a SET n = 6", 4, VALUE);
    rig_free(t);
}

static void test_identity_index(void **state)
{
    (void)state;
    struct leat_task *t =
        task("identity_index",
             TABLE "; ALTER TABLE a ADD k text NOT NULL DEFAULT 'k1'; CREATE UNIQUE INDEX a_k ON a(k); ALTER "
                   "TABLE a REPLICA IDENTITY USING INDEX a_k");
    begin(t);
    run(t, "UPDATE a SET k = 'k2'", 1, VALUE);
    run(t, "UPDATE a SET id = 5", 1, VALUE);
    run(t, "INSERT INTO a VALUES (1, 0, 'o', v('o'), 'k1'); UPDATE a SET n = 4", 3, VALUE);
    rig_free(t);
}

/* What is kept of the last row comes out of no other. */
static void test_two_tables(void **state)
{
    (void)state;
    struct leat_task *t = task(
        "two_tables", TABLE
        "; CREATE TABLE b(LIKE a INCLUDING ALL); ALTER TABLE b ADD second text; ALTER TABLE b ALTER second "
        "SET STORAGE EXTERNAL");
    begin(t);
    run(t, "INSERT INTO b VALUES (1, 0, 'b', v('b'), v('second')); UPDATE b SET n = 1; UPDATE a SET n = 2", 3,
        VALUE);
    char *second = member(t->records.items[t->records.count - 2], "second");
    assert_memory_equal(second, "secondx", 7);
    free(second);
    run(t, "DELETE FROM b; UPDATE a SET n = 3", 2, VALUE);
    rig_free(t);
}

/* ---- what is not captured for a time -------------------------------------------------------------------------------------- */

static void test_filtered_out_for_a_run(void **state)
{
    (void)state;
    struct leat_task *t = task("filtered_out", TABLE "; CREATE TABLE b(id int PRIMARY KEY)");
    begin(t);
    rig_crash(t);
    rig_set(t, "table.include.list", "public.b");
    rig_open(t);
    run(t, OTHER_VALUE "; INSERT INTO b VALUES (1)", 1, NONE);
    rig_crash(t);
    rig_set(t, "table.include.list", "public.*");
    rig_open(t);
    not_known(t);
    rig_free(t);
}

static void test_option_off_for_a_run(void **state)
{
    (void)state;
    struct leat_task *t = task("off_for_a_run", TABLE);
    begin(t);
    rig_crash(t);
    rig_set(t, "unavailable.value.fill", "none");
    rig_open(t);
    run(t, OTHER_VALUE, 1, VALUE);
    rig_crash(t);
    rig_set(t, "unavailable.value.fill", "last_known");
    rig_open(t);
    not_known(t);
    rig_free(t);
}

/* ---- crashes -------------------------------------------------------------------------------------------------------------- */

/* Small transactions, and one that the server streams, with a part that rolls back, of 200 rows that change again and again. */
static const char mixed[] = "INSERT INTO a SELECT i, 0, 'i' || i, v('i' || i) FROM generate_series(1, 60) i; "
                            "UPDATE a SET n = 1; BEGIN; UPDATE a SET n = "
                            "2; UPDATE a SET tag = 'j' || id, big = v('j' || id) WHERE id % 2 = 0; SAVEPOINT "
                            "s; UPDATE a SET tag = 'k' || id, big = v('k' || "
                            "id); ROLLBACK TO s; UPDATE a SET n = 3; COMMIT; UPDATE a SET id = id + 1000 "
                            "WHERE id % 3 = 0; UPDATE a SET n = 4; DELETE FROM a "
                            "WHERE id % 5 = 0; INSERT INTO a SELECT i, 0, 'l' || i, v('l' || i) FROM "
                            "generate_series(1, 60) i ON CONFLICT DO NOTHING; UPDATE "
                            "a SET n = 5";

static void crash_often(const char *name, unsigned every, size_t *count)
{
    struct leat_task *t = task(name, TABLE);
    warm_up(t);
    t->poll_bytes = 1; /* so that a poll ends as soon as it looks */
    sql(t, mixed);
    sql(t, "INSERT INTO a VALUES (0, 0, 'end', v('end'))");
    for (unsigned i = 1; !strstr(t->records.items[t->records.count - 1], "\"end\""); i++) {
        if (rig_poll(t) != LEAT_OK)
            fail_msg("poll %u: %s", i, t->fail_text);
        if (!every || i % every) {
            rig_commit(t);
            rig_durable(t);
            continue;
        }
        if (i / every % 2)
            rig_commit(t);
        restart(t);
        assert_true(i < 20000);
    }
    for (size_t i = 0; i < t->records.count; i++)
        if (look(t->records.items[i]) == LEFT)
            fail_msg("record %zu of %zu: not known: %.300s", i, t->records.count, t->records.items[i]);
    *count = t->records.count;
    rig_free(t);
}

static void test_stopped_at_every_poll(void **state)
{
    (void)state;
    size_t whole, n;
    crash_often("never", 0, &whole);
    assert_true(whole > 60 * 6);
    crash_often("second", 2, &n);
    assert_int_equal(n, whole);
    crash_often("third", 3, &n);
    assert_int_equal(n, whole);
}

/* ---- room and disks --------------------------------------------------------------------------------------------------------- */

static void test_no_room(void **state)
{
    (void)state;
    struct leat_task *t = task("no_room", TABLE);
    rig_set(t, "unavailable.value.fill.disk.bytes", "16MiB");
    warm_up(t);
    run(t,
        "INSERT INTO a SELECT i, 0, 'i' || i, 'i' || i || repeat('x', 100000) FROM generate_series(1, 250) i",
        250, VALUE);
    run(t, "INSERT INTO a VALUES (1000, 0, 'i', 'i' || repeat('x', 300000))", 1,
        VALUE); /* more than a 128th */
    run(t, "UPDATE a SET n = 1", 251, LEFT);
    size_t left = 0;
    for (size_t i = t->records.count - 251; i < t->records.count; i++)
        left += look(t->records.items[i]) == LEFT;
    assert_true(left > 50 && left < 200);
    /* Figures are told once a second at most. */
    for (int i = 0; !strstr(t->unchanged, "\"too_large\": 1") || strstr(t->unchanged, "\"dropped\": 0");
         i++) {
        poll_commit(t);
        assert_true(i < PATIENCE);
    }
    rig_free(t);
}

static void test_disk_fails(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        char name[32];
        snprintf(name, sizeof name, "disk_fails_%d", nth);
        struct leat_task *t = task(name, TABLE);
        begin(t);
        fault_arm_at(nth < 3 ? FAULT_WRITE : FAULT_READ, t->kept, nth < 3 ? (uint64_t)nth : 1,
                     nth < 3 ? ENOSPC : EIO, true);
        run(t, "UPDATE a SET tag = 'b', big = v('b')", 1, VALUE);
        run(t, TOUCH, 1, LEFT);
        fault_disarm();
        assert_non_null(strstr(t->log_text, "placeholders"));
        restart(t);
        not_known(t);
        rig_free(t);
    }
}

static void test_validate(void **state)
{
    (void)state;
    struct leat_task *t = task("validated", TABLE);
    assert_int_equal(pg_source_validate(t, &rig_host, &t->config), LEAT_OK);
    rig_set(t, "stream.origin", "none");
    assert_int_equal(pg_source_validate(t, &rig_host, &t->config), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "stream.origin: none"));
    rig_set(t, "stream.origin", "any");
    rig_set(t, "slot.stream.params", "origin=none");
    assert_int_equal(pg_source_validate(t, &rig_host, &t->config), LEAT_FAIL);
    assert_non_null(strstr(t->fail_text, "slot.stream.params"));
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filled_in),
        cmocka_unit_test(test_not_seen_is_left),
        cmocka_unit_test(test_off_by_default),
        cmocka_unit_test(test_values_that_come_and_go),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_identity_index),
        cmocka_unit_test(test_two_tables),
        cmocka_unit_test(test_filtered_out_for_a_run),
        cmocka_unit_test(test_option_off_for_a_run),
        cmocka_unit_test(test_stopped_at_every_poll),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_disk_fails),
        cmocka_unit_test(test_validate),
    };
    return cmocka_run_group_tests_name("unchanged", tests, start_server, stop_server);
}
