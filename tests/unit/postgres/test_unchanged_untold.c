/* Unchanged large values: what the stream does not tell of, such as tables that are rewritten: former values are not known then. */
#include "unchanged_rig.h"

/* ---- what the stream does not tell -------------------------------------------------------------------------------------- */

/* Online; while it is away; with changes on both sides of it in what comes late, when the catalog is ahead of the stream. */
static void unseen(const char *name, const char *table, const char *what)
{
    char database_name[64], late[1024];
    for (int i = 0; i < 4; i++) {
        snprintf(database_name, sizeof database_name, "%s_%d", name, i);
        struct leat_task *t = task(database_name, table);
        begin(t);
        if (i > 0)
            rig_crash(t);
        if (i == 2)
            sql(t, "UPDATE a SET tag = 'late', big = v('late') WHERE id = 1; " TOUCH);
        if (i == 3) /* of the same session, but the catalog says already what comes: not known for certain */
            sql(t, TOUCH);
        snprintf(late, sizeof late, "%s; " TOUCH, what);
        sql(t, late);
        if (i > 0)
            rig_open(t);
        expect(t, i == 2 ? 3 : i == 3 ? 2 : 1, LEFT);
        if (i == 2)
            assert_int_equal(look(t->records.items[t->records.count - 2]), VALUE);
        not_known(t);
        rig_free(t);
    }
}

static void test_rewritten(void **state)
{
    (void)state;
    unseen("rewritten", TABLE, REWRITE);
}

static void test_rewritten_within_a_transaction(void **state)
{
    (void)state;
    struct leat_task *t = task("rewritten_within", TABLE);
    begin(t);
    run(t, "BEGIN; UPDATE a SET tag = 'w', big = v('w'); " TOUCH "; " REWRITE "; " TOUCH "; COMMIT", 3, LEFT);
    not_known(t);
    rig_free(t);
    t = task("rewritten_first", TABLE "; INSERT INTO a VALUES (1, 0, 'a', v('a'))");
    start(t);
    run(t, "BEGIN; UPDATE a SET tag = 'w', big = v('w'); " TOUCH "; " REWRITE "; " TOUCH "; COMMIT", 3, LEFT);
    restart(t);
    not_known(t);
    rig_free(t);
}

static void test_column_made_anew(void **state)
{
    (void)state;
    unseen("column_anew", TABLE,
           "ALTER TABLE a RENAME big TO old; ALTER TABLE a ADD big text; ALTER TABLE a ALTER big SET STORAGE "
           "EXTERNAL; ALTER "
           "TABLE a ALTER tag TYPE text USING 'r', ALTER big TYPE text USING v('r'); ALTER TABLE a DROP old");
}

static void test_other_columns_come_and_go(void **state)
{
    (void)state;
    struct leat_task *t = task("other_columns", TABLE);
    begin(t);
    run(t, "ALTER TABLE a ADD more int DEFAULT 5; " TOUCH, 1, VALUE);
    run(t, "ALTER TABLE a DROP more; ALTER TABLE a ADD more text; " TOUCH, 1, VALUE);
    restart(t);
    run(t, "CREATE INDEX ON a(n); GRANT SELECT ON a TO public; ANALYZE a; " TOUCH, 1, VALUE);
    rig_free(t);
}

static void test_identity_changed(void **state)
{
    (void)state;
    struct leat_task *t = task("identity_changed", TABLE);
    begin(t);
    run(t, "ALTER TABLE a REPLICA IDENTITY FULL; " TOUCH, 1, VALUE); /* from the old row */
    run(t, "UPDATE a SET tag = 'f', big = v('f'); ALTER TABLE a REPLICA IDENTITY DEFAULT; " TOUCH, 2, LEFT);
    not_known(t);
    rig_free(t);
}

static void test_publication_without_the_table(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        char name[32], text[512];
        snprintf(name, sizeof name, "published_%d", i);
        snprintf(text, sizeof text, TABLE "; CREATE PUBLICATION %s FOR TABLE a", name);
        struct leat_task *t = task(name, text);
        rig_set(t, "publication.autocreate.mode", "disabled");
        begin(t);
        if (i)
            rig_crash(t);
        snprintf(text, sizeof text,
                 "ALTER PUBLICATION %s DROP TABLE a; " OTHER_VALUE
                 "; ALTER PUBLICATION %s ADD TABLE a; " TOUCH,
                 name, name);
        sql(t, text);
        if (i)
            rig_open(t);
        expect(t, 1, LEFT);
        not_known(t);
        rig_free(t);
    }
}

/* Of all tables, of a schema's: what is published changes, or the table leaves the schema, while it gets other values. */
static void test_publication_of_more(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"of_all", "FOR ALL TABLES",
         "ALTER PUBLICATION of_all SET (publish = 'insert'); " OTHER_VALUE
         "; ALTER PUBLICATION of_all SET (publish = 'insert, update, delete')"},
        {"of_one", "FOR TABLE a",
         "ALTER PUBLICATION of_one SET (publish = 'insert'); " OTHER_VALUE
         "; ALTER PUBLICATION of_one SET (publish = 'insert, update, delete')"},
        {"of_schema", "FOR TABLES IN SCHEMA public",
         "CREATE SCHEMA away; ALTER TABLE a SET SCHEMA away; UPDATE away.a SET tag = 'z', big = v('z'); "
         "ALTER TABLE away.a SET "
         "SCHEMA public"},
        {"of_schema_2", "FOR TABLES IN SCHEMA public",
         "ALTER PUBLICATION of_schema_2 DROP TABLES IN SCHEMA public; " OTHER_VALUE
         "; ALTER PUBLICATION of_schema_2 ADD TABLES IN SCHEMA public"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];
        snprintf(text, sizeof text, TABLE "; CREATE PUBLICATION %s %s", cases[i][0], cases[i][1]);
        struct leat_task *t = task(cases[i][0], text);
        rig_set(t, "publication.autocreate.mode", "disabled");
        begin(t);
        snprintf(text, sizeof text, "%s; " TOUCH, cases[i][2]);
        run(t, text, 1, LEFT);
        not_known(t);
        rig_free(t);
    }
}

static void test_row_filter(void **state)
{
    (void)state;
    struct leat_task *t =
        task("row_filter", TABLE "; CREATE PUBLICATION row_filter FOR TABLE a WHERE (id < 100)");
    rig_set(t, "publication.autocreate.mode", "disabled");
    begin(t);
    run(t, "UPDATE a SET id = 200; " OTHER_VALUE "; UPDATE a SET id = 1", 2, LEFT); /* a delete, an insert */
    not_known(t);
    rig_free(t);
}

/* Without inserts or deletes being told another row may have taken the key. */
static void test_not_all_is_published(void **state)
{
    (void)state;
    struct leat_task *t = task("some_published", TABLE
                               "; CREATE PUBLICATION some_published FOR TABLE a WITH (publish = 'update')");
    rig_set(t, "publication.autocreate.mode", "disabled");
    start(t);
    sql(t, "INSERT INTO a VALUES (1, 0, 'a', v('a'))");
    run(t, "UPDATE a SET tag = 'b', big = v('b'); " TOUCH, 2, LEFT);
    run(t, "DELETE FROM a; INSERT INTO a VALUES (1, 0, 'c', v('c')); " TOUCH, 1, LEFT);
    rig_free(t);
}

static void test_partition_away(void **state)
{
    (void)state;
    struct leat_task *t =
        task("partition_away",
             "CREATE TABLE a(" COLUMNS ") PARTITION BY RANGE (id); CREATE TABLE a1 PARTITION OF a "
             "FOR VALUES FROM (0) TO (10); ALTER TABLE a1 ALTER big SET STORAGE EXTERNAL; CREATE "
             "PUBLICATION partition_away FOR TABLE a WITH (publish_via_partition_root)");
    rig_set(t, "publication.autocreate.mode", "disabled");
    begin(t);
    run(t,
        "ALTER TABLE a DETACH PARTITION a1; UPDATE a1 SET tag = 'z', big = v('z'); ALTER TABLE a ATTACH "
        "PARTITION a1 FOR "
        "VALUES FROM (0) TO (10); " TOUCH,
        1, LEFT);
    not_known(t);
    rig_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rewritten),
        cmocka_unit_test(test_rewritten_within_a_transaction),
        cmocka_unit_test(test_column_made_anew),
        cmocka_unit_test(test_other_columns_come_and_go),
        cmocka_unit_test(test_identity_changed),
        cmocka_unit_test(test_publication_without_the_table),
        cmocka_unit_test(test_publication_of_more),
        cmocka_unit_test(test_row_filter),
        cmocka_unit_test(test_not_all_is_published),
        cmocka_unit_test(test_partition_away),
    };
    return cmocka_run_group_tests_name("unchanged, what is not told", tests, start_server, stop_server);
}
