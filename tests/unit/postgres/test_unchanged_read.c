/* Unchanged large values: rows that were read by snapshots; values of every type, and what is masked. */
#include "unchanged_rig.h"

/* ---- snapshots ------------------------------------------------------------------------------------------------------------ */

#define ROWS "; INSERT INTO a SELECT i, 0, 's' || i, v('s' || i) FROM generate_series(1, 200) i"

static void test_snapshot(void **state)
{
    (void)state;
    struct leat_task *t = task("of_snapshot", TABLE ROWS);
    rig_set(t, "snapshot.mode", "initial");
    rig_open(t);
    expect(t, 200, VALUE);
    run(t, "UPDATE a SET n = 1", 200, VALUE);
    for (size_t i = 200; i < 400; i++)
        assert_int_equal(look(t->records.items[i]), VALUE);
    restart(t);
    run(t, TOUCH, 1, VALUE);
    run(t, REWRITE "; " TOUCH, 1, LEFT);
    rig_free(t);
}

/* Changes between the slot's snapshot and the one that goes on after a crash: rows are newer than the changes that follow. */
static void test_snapshot_that_goes_on(void **state)
{
    (void)state;
    struct leat_task *t = task("goes_on", TABLE ROWS);
    rig_set(t, "snapshot.mode", "initial");
    rig_set(t, "snapshot.max.threads", "1");
    t->poll_bytes = 1;
    rig_open(t);
    for (int i = 0; t->records.count < 20; i++) {
        poll_commit(t);
        assert_true(i < PATIENCE && t->records.count < 200);
    }
    sql(t, "UPDATE a SET n = 1; UPDATE a SET tag = 't' || id, big = v('t' || id) WHERE id % 2 = 0; UPDATE a "
           "SET n = 2");
    restart(t);
    sql(t, "UPDATE a SET n = 3");
    for (int i = 0;
         t->records.count == 0 || !strstr(t->records.items[t->records.count - 1], "\"id\":200,\"n\":3");
         i++) {
        poll_commit(t);
        assert_true(i < 20000);
    }
    size_t left = 0;
    for (size_t i = 0; i < t->records.count; i++) {
        enum seen what = look(t->records.items[i]);
        left += what == LEFT;
        if (what == LEFT && strstr(t->records.items[i], "\"n\":3"))
            fail_msg("not known: %.200s", t->records.items[i]);
    }
    /* Of n = 1 and 2, those that only the later snapshot had read. */
    assert_true(left > 0 && left < 300);
    rig_free(t);
}

/* Polls until so many records have this in them. */
static void await_events(struct leat_task *t, const char *text, size_t n)
{
    for (int i = 0; i < PATIENCE; i++) {
        size_t there = 0;
        for (size_t k = 0; k < t->records.count; k++)
            there += strstr(t->records.items[k], text) != NULL;
        assert_true(there <= n);
        if (there == n)
            return;
        poll_commit(t);
    }
    fail_msg("there are no %zu records with %s", n, text);
}

static void run_signal(struct leat_task *t, const char *data)
{
    char text[256];
    snprintf(text, sizeof text, "INSERT INTO s VALUES ('1', 'execute-snapshot', '%s')", data);
    sql(t, text);
}

static void test_incremental_snapshot(void **state)
{
    (void)state;
    struct leat_task *t =
        task("of_incremental", TABLE ROWS "; CREATE TABLE s(id text PRIMARY KEY, type text, data text)");
    rig_set(t, "signal.data.collection", "public.s");
    rig_set(t, "incremental.snapshot.chunk.size", "50");
    start(t);
    run(t, TOUCH, 1, LEFT);
    run_signal(t, "{\"data-collections\": [\"public.a\"]}");
    await_events(t, "\"op\":\"r\"", 200);
    sql(t, "UPDATE a SET n = 5");
    await_events(t, "\"n\":5,", 200);
    for (size_t k = 0; k < t->records.count; k++)
        if (strstr(t->records.items[k], "\"n\":5,"))
            assert_int_equal(look(t->records.items[k]), VALUE);
    rig_free(t);
}

/* ---- values --------------------------------------------------------------------------------------------------------------- */

/* From `"name":` on up to the next member's name. */
static char *raw(const char *record, const char *name, const char *next)
{
    char wanted[64];
    snprintf(wanted, sizeof wanted, "\"%s\":", name);
    const char *after = strstr(record, "\"after\":{");
    assert_non_null(after);
    const char *p = strstr(after, wanted);
    assert_non_null(p);
    snprintf(wanted, sizeof wanted, "\"%s\":", next);
    const char *end = strstr(p, wanted);
    assert_non_null(end);
    return strndup(p, (size_t)(end - p));
}

static void assert_same(const struct leat_task *t, const char *name, const char *next, size_t least)
{
    char *first = raw(t->records.items[0], name, next), *then = raw(t->records.items[1], name, next);
    assert_true(strlen(first) >= least);
    assert_string_equal(first, then);
    free(first);
    free(then);
}

static void test_types(void **state)
{
    (void)state;
    struct leat_task *t = task("of_types", "CREATE DOMAIN long AS text; CREATE TABLE a(id int PRIMARY KEY, b "
                                           "bytea, j jsonb, l bigint[], t text[], d long, "
                                           "u numeric, z int); ALTER TABLE a ALTER b SET STORAGE EXTERNAL, "
                                           "ALTER j SET STORAGE EXTERNAL, ALTER l SET "
                                           "STORAGE EXTERNAL, ALTER t SET STORAGE EXTERNAL, ALTER d SET "
                                           "STORAGE EXTERNAL, ALTER u SET STORAGE EXTERNAL");
    start(t);
    sql(t, "INSERT INTO a SELECT 1, decode(repeat('00ff', 3000), 'hex'), jsonb_build_object('k', "
           "repeat('j\"\\', 3000)), "
           "array_agg(i), array_agg(CASE i % 3 WHEN 0 THEN NULL ELSE 'e,\"' || i END), repeat(E'd\n', 3000), "
           "repeat('7', "
           "9000)::numeric, 0 FROM generate_series(1, 1000) i; UPDATE a SET z = 1");
    for (int i = 0; t->records.count < 2; i++) {
        poll_commit(t);
        assert_true(i < PATIENCE);
    }
    assert_same(t, "b", "j", 5000);
    assert_same(t, "j", "l", 5000);
    assert_same(t, "l", "t", 3000);
    assert_same(t, "t", "d", 3000);
    assert_same(t, "d", "u", 5000);
    assert_same(t, "u", "z", 3000);
    rig_free(t);
}

/* What an enum's value is called may change without a change of the row: not kept. */
static void test_types_by_the_catalog(void **state)
{
    (void)state;
    struct leat_task *t =
        task("of_catalog",
             "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE a(id int PRIMARY KEY, m mood[], z int); "
             "ALTER TABLE a ALTER m SET STORAGE EXTERNAL");
    start(t);
    sql(t, "INSERT INTO a SELECT 1, array_agg('sad'::mood), 0 FROM generate_series(1, 1000); ALTER TYPE mood "
           "RENAME VALUE 'sad' TO "
           "'blue'; UPDATE a SET z = 1");
    for (int i = 0; t->records.count < 2; i++) {
        poll_commit(t);
        assert_true(i < PATIENCE);
    }
    char *then = raw(t->records.items[1], "m", "z");
    assert_null(strstr(then, "sad"));
    free(then);
    rig_free(t);
}

static void test_masks(void **state)
{
    (void)state;
    struct leat_task *t = task(
        "of_masks", "CREATE TABLE a(id int PRIMARY KEY, hidden text, hashed text, cut text, z int); ALTER "
                    "TABLE a ALTER hidden SET "
                    "STORAGE EXTERNAL, ALTER hashed SET STORAGE EXTERNAL, ALTER cut SET STORAGE EXTERNAL");
    rig_set(t, "column.mask.with.5.chars", "public.a.hidden");
    rig_set(t, "column.mask.hash.v2.SHA-256.with.salt.salt", "public.a.hashed");
    rig_set(t, "column.truncate.to.7.chars", "public.a.cut");
    start(t);
    sql(t, "INSERT INTO a VALUES (1, repeat('secret', 1000), repeat('hash', 1000), repeat('cut', 1000), 0); "
           "UPDATE a SET z = 1");
    for (int i = 0; t->records.count < 2; i++) {
        poll_commit(t);
        assert_true(i < PATIENCE);
    }
    assert_same(t, "hidden", "hashed", 5);
    assert_same(t, "hashed", "cut", 64);
    assert_same(t, "cut", "z", 7);
    assert_null(strstr(t->records.items[1], PLACEHOLDER));
    char path[4096];
    snprintf(path, sizeof path, "grep -q secret %s/log-*", t->kept);
    assert_int_not_equal(WEXITSTATUS(pclose(popen(path, "r"))), 0); /* a fixed mask needs no value */
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot),
        cmocka_unit_test(test_snapshot_that_goes_on),
        cmocka_unit_test(test_incremental_snapshot),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_types_by_the_catalog),
        cmocka_unit_test(test_masks),
    };
    return cmocka_run_group_tests_name("unchanged, what is read", tests, start_server, stop_server);
}
