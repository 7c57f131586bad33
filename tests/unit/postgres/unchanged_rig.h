/*
 * unchanged_rig: large values that did not change, filled in from the last known ones, against a real server. Each row's `big`
 * begins with what its `tag` says whenever it is written, so that each event shows whether its value is the right one: the
 * placeholder may stand there, a value of another moment or row never.
 */
#ifndef LEAT_TESTS_UNCHANGED_RIG_H
#define LEAT_TESTS_UNCHANGED_RIG_H

#include "source_rig.h"

#define PLACEHOLDER "__debezium_unavailable_value"
#define COLUMNS "id int PRIMARY KEY, n int NOT NULL DEFAULT 0, tag text, big text"
#define TABLE "CREATE TABLE a(" COLUMNS "); ALTER TABLE a ALTER big SET STORAGE EXTERNAL"
/* A function that gives a value of 3200 characters that begins with its tag and does not compress, for column `big`. */
#define FUNCTION                                                                                             \
    "CREATE FUNCTION v(t text) RETURNS text LANGUAGE sql AS $$ SELECT t || 'x' || string_agg(md5(i::text), " \
    "'') FROM generate_series(1, 100) i $$; "

static struct postgres *server;

RIG int start_server(void **state)
{
    (void)state;
    static const char *const settings[] = {"logical_decoding_work_mem=64kB", "wal_sender_timeout=10s", NULL};
    server = postgres_new(settings);
    return 0;
}

RIG int stop_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

/* ---- what events say ------------------------------------------------------------------------------------------------ */

/* Text of a member of `after`, to be freed; NULL: null, or not there. */
RIG char *member(const char *record, const char *name)
{
    char wanted[64];
    const char *after = strstr(record, "\"after\":{");
    snprintf(wanted, sizeof wanted, "\"%s\":\"", name);
    const char *p = after ? strstr(after, wanted) : NULL;
    if (!p)
        return NULL;
    p += strlen(wanted);
    const char *end = strchr(p, '"');
    assert_non_null(end);
    return strndup(p, (size_t)(end - p));
}

enum seen { NONE, LEFT, VALUE };

/* Fails if the value is there and is another one than the tag's. */
RIG enum seen look(const char *record)
{
    char *tag = member(record, "tag"), *big = member(record, "big");
    enum seen what = !big ? NONE : strcmp(big, PLACEHOLDER) == 0 ? LEFT : VALUE;
    if (what == VALUE && (!tag || strncmp(big, tag, strlen(tag)) != 0 || big[strlen(tag)] != 'x'))
        fail_msg("big is %.20s, tag %s in %.300s", big, tag ? tag : "null", record);
    free(tag);
    free(big);
    return what;
}

RIG enum seen last(const struct leat_task *t)
{
    assert_true(t->records.count > 0);
    return look(t->records.items[t->records.count - 1]);
}

/* ---- running --------------------------------------------------------------------------------------------------------- */

RIG struct leat_task *task(const char *database, const char *sql)
{
    char all[2048];
    snprintf(all, sizeof all, FUNCTION "%s", sql);
    struct leat_task *t = rig_new(server, database, all);
    rig_set(t, "unavailable.value.fill", "last_known");
    rig_set(t, "tombstones.on.delete", "false");
    return t;
}

RIG void poll_commit(struct leat_task *t)
{
    if (rig_poll(t) != LEAT_OK)
        fail_msg("poll: %s", t->fail_text);
    rig_commit(t);
    rig_durable(t);
}

RIG void start(struct leat_task *t)
{
    rig_open(t);
    while (!t->position)
        poll_commit(t);
}

RIG void restart(struct leat_task *t)
{
    rig_crash(t);
    rig_open(t);
}

RIG const char *database(const struct leat_task *t)
{
    return fake_get_str(&t->config, "database.dbname");
}

RIG void sql(struct leat_task *t, const char *text)
{
    postgres_run(server, database(t), text);
}

/* The events there are, `n` more than before; each is looked at, and the last one has this. */
RIG void expect(struct leat_task *t, size_t n, enum seen what)
{
    size_t before = t->records.count;
    for (int i = 0; t->records.count < before + n && i < PATIENCE; i++)
        poll_commit(t);
    assert_int_equal(t->records.count, before + n);
    for (size_t i = before; i < t->records.count; i++)
        look(t->records.items[i]);
    assert_int_equal(last(t), what);
}

RIG void run(struct leat_task *t, const char *text, size_t n, enum seen what)
{
    sql(t, text);
    expect(t, n, what);
}

/* The table was described before what the test is about: of its first transaction the catalog may be ahead. */
RIG void warm_up(struct leat_task *t)
{
    start(t);
    run(t, "INSERT INTO a VALUES (-1, 0, 'w', v('w')); UPDATE a SET n = -1; DELETE FROM a WHERE id = -1", 3,
        NONE);
}

/* A row with a value that is known. */
RIG void begin(struct leat_task *t)
{
    start(t);
    run(t, "INSERT INTO a VALUES (1, 0, 'a', v('a'))", 1, VALUE);
    run(t, "UPDATE a SET n = 1", 1, VALUE);
}

#define TOUCH "UPDATE a SET n = n + 1 WHERE id = 1"
#define OTHER_VALUE "UPDATE a SET tag = 'z', big = v('z')"
#define REWRITE "ALTER TABLE a ALTER tag TYPE text USING 'r', ALTER big TYPE text USING v('r')"

/* After something that the stream does not tell: not known, until the value is written again. */
RIG void not_known(struct leat_task *t)
{
    run(t, TOUCH, 1, LEFT);
    run(t, "UPDATE a SET tag = 'new', big = v('new') WHERE id = 1", 1, VALUE);
    run(t, TOUCH, 1, VALUE);
    restart(t);
    run(t, TOUCH, 1, VALUE);
}

#endif
