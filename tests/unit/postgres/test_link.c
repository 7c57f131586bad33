/*
 * The replication connection against a real server: messages come whole and in order, however the task's thread and the keeper,
 * which reads ahead, take turns; what was read ahead comes before the end of the stream.
 */
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "connectors/postgres/pg_conn.h"
#include "connectors/postgres/pg_link.h"
#include "tests/lib/postgres.h"
#include "tests/lib/testkit.h"

#define LARGE 200000 /* bytes of a value that is not copied into the queue */

static struct postgres *server;
static struct err e;

static int start_server(void **state)
{
    (void)state;
    server = postgres_new(NULL);
    postgres_run(
        server, "postgres",
        "CREATE TABLE a(id int, v text); ALTER TABLE a ALTER v SET STORAGE EXTERNAL; CREATE PUBLICATION p "
        "FOR TABLE a");
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

/* A link to a new slot. */
static struct pg_link *open_link(const char *slot)
{
    char text[512];
    snprintf(text, sizeof text, "SELECT pg_create_logical_replication_slot('%s', 'pgoutput')", slot);
    postgres_run(server, "postgres", text);
    snprintf(text, sizeof text, "host=%s port=%s user=postgres dbname=postgres replication=database",
             postgres_host(server), postgres_port(server));
    PGconn *c = PQconnectdb(text);
    assert_int_equal(PQstatus(c), CONNECTION_OK);
    snprintf(text, sizeof text,
             "START_REPLICATION SLOT %s LOGICAL 0/0 (proto_version '1', publication_names 'p')", slot);
    PGresult *r = PQexec(c, text);
    assert_int_equal(PQresultStatus(r), PGRES_COPY_BOTH);
    PQclear(r);
    struct pg_link_options o = {.status_ms = 1000, .silence_ms = 600000};
    struct pg_link *l = NULL;
    assert_int_equal(pg_link_new(c, &o, &l, &e), ERR_OK);
    return l;
}

/* The next message of the output plugin; waits. */
static void next(struct pg_link *l, struct pg_link_message *m)
{
    for (bool got = false;;) {
        assert_int_equal(pg_link_fetch(l, &got, m, &e), ERR_OK);
        if (got && m->data)
            return;
        struct pollfd p = {.fd = pg_link_fd(l), .events = POLLIN};
        assert_true(got || poll(&p, 1, TESTKIT_LIMIT_MS) == 1);
    }
}

/* The next row; returns its id, and whether its value is `n` times the letter that goes with it. */
static int next_row(struct pg_link *l, size_t n)
{
    struct pg_link_message m;
    do
        next(l, &m);
    while (m.data[0] != 'I');
    /* 'I', relation, 'N', columns, then for each 't', length, text */
    const uint8_t *p = m.data + 8;
    char id[16] = "";
    uint32_t len = be32(p + 1);
    assert_true(*p == 't' && len < sizeof id);
    memcpy(id, p + 5, len);
    p += 5 + len;
    assert_int_equal(be32(p + 1), n);
    assert_ptr_equal(p + 5 + n, m.data + m.n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[5 + i], 'a' + atoi(id) % 26);
    return atoi(id);
}

static void insert(int first, int last, size_t n)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "INSERT INTO a SELECT i, repeat(chr(97 + i %% 26), %zu) FROM generate_series(%d, %d) i", n,
             first, last);
    postgres_run(server, "postgres", sql);
}

/* The server has sent all that there is: its last word on it is the end of its log. */
static void await_all_sent(const char *slot)
{
    char sql[256];
    snprintf(
        sql, sizeof sql,
        "SELECT 1 FROM pg_stat_replication r, pg_replication_slots s WHERE s.slot_name = '%s' AND r.pid = "
        "s.active_pid AND sent_lsn >= pg_current_wal_lsn()",
        slot);
    for (bool sent = false; !sent;) {
        char *text = postgres_sql(server, "postgres", sql);
        sent = text[0] == '1';
        free(text);
    }
}

static void test_the_keeper_reads_on(void **state)
{
    (void)state;
    struct pg_link *l = open_link("ahead");
    pg_link_read_ahead(l);
    insert(1, 3000, 200); /* 0.7 MiB: several times what the socket holds */
    await_all_sent("ahead");
    for (int i = 1; i <= 3000; i++)
        assert_int_equal(next_row(l, 200), i);
    pg_link_free(l);
}

/* The two read in turns: much more than the keeper may read, rows of all sizes. */
static void test_turns(void **state)
{
    (void)state;
    struct pg_link *l = open_link("turns");
    insert(1, 20000, 300);
    insert(20001, 20020, LARGE);
    insert(20021, 40000, 0);
    for (int i = 1; i <= 40000; i++) {
        size_t n = i <= 20000 ? 300 : i <= 20020 ? LARGE : 0;
        assert_int_equal(next_row(l, n), i);
        if (i % 97 == 0 || n == LARGE)
            pg_link_read_ahead(l);
        if (i % 1000 == 0) /* some time for it */
            free(postgres_sql(server, "postgres", "SELECT 1"));
    }
    pg_link_free(l);
}

/* What is ahead when the link is given up is given up with it. */
static void test_left_ahead(void **state)
{
    (void)state;
    struct pg_link *l = open_link("left");
    insert(1, 3, LARGE);
    insert(4, 1000, 10);
    assert_int_equal(next_row(l, LARGE), 1);
    pg_link_read_ahead(l);
    free(postgres_sql(server, "postgres", "SELECT 1"));
    pg_link_free(l);
}

static void test_the_end_comes_last(void **state)
{
    (void)state;
    struct pg_link *l = open_link("ends");
    struct pg_link_message m;
    bool got;
    insert(1, 2000, 100);
    pg_link_read_ahead(l);
    await_all_sent("ends");
    postgres_run(
        server, "postgres",
        "SELECT pg_terminate_backend(active_pid, 60000) FROM pg_replication_slots WHERE slot_name = 'ends'");
    for (int i = 1; i <= 2000; i++)
        assert_int_equal(next_row(l, 100), i);
    int rc;
    do {
        struct pollfd p = {.fd = pg_link_fd(l), .events = POLLIN};
        rc = pg_link_fetch(l, &got, &m, &e);
        if (rc == ERR_OK && !got)
            assert_int_equal(poll(&p, 1, TESTKIT_LIMIT_MS), 1);
    } while (rc == ERR_OK);
    assert_false(got);
    assert_non_null(strstr(e.text, "terminating connection"));
    pg_link_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_keeper_reads_on),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_left_ahead),
        cmocka_unit_test(test_the_end_comes_last),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
