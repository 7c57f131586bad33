/* Statements given up: where the server answers, and where it does not. */
#include <signal.h>
#include <stdlib.h>

#include "tests/unit/postgres/pg_connected.h"

static char logged[512];

static void keep_log(struct leat_task *t, enum leat_log_level level, const char *fmt, ...)
{
    (void)t;
    (void)level;
    va_list args;
    va_start(args, fmt);
    vsnprintf(logged, sizeof logged, fmt, args);
    va_end(args);
}

static struct leat_host logging;
static struct leat_config config;
static struct pg_settings *settings;
static PGconn *sql;

static int connect_and_sleep(void **state)
{
    (void)state;
    logging = host;
    logging.log = keep_log;
    logged[0] = '\0';
    config = (struct leat_config){.options = NULL};
    PGconn *first;
    connect_as_connector(&config, "postgres", &settings, &first);
    pg_disconnect(&first);
    assert_ok(pg_connect(NULL, &logging, settings, PG_SQL, &sql, &e), &e);
    assert_true(PQsendQuery(sql, "SELECT pg_sleep(100000)"));
    assert_int_equal(PQflush(sql), 0);
    return 0;
}

static int disconnect(void **state)
{
    (void)state;
    pg_disconnect(&sql);
    pg_settings_free(settings);
    fake_config_free(&config);
    return 0;
}

/* Until it runs: what is cancelled before is not cancelled. */
static void wait_until_it_sleeps(void)
{
    char *count;
    bool sleeps;
    do {
        count = postgres_sql(server, "postgres",
                             "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'");
        sleeps = count[0] == '1';
        free(count);
    } while (!sleeps);
}

static void assert_cancelled(void)
{
    PGresult *r = PQgetResult(sql);
    assert_string_equal(PQresultErrorField(r, PG_DIAG_SQLSTATE), "57014");
    PQclear(r);
    assert_null(PQgetResult(sql));
}

static void test_a_server_that_answers(void **state)
{
    (void)state;
    wait_until_it_sleeps();
    pg_cancel(sql);
    assert_cancelled();
    assert_string_equal(logged, "");
}

static void test_a_server_that_does_not_answer(void **state)
{
    (void)state;
    wait_until_it_sleeps();
    char *pid =
        postgres_sql(server, "postgres", "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)");
    pid_t postmaster = (pid_t)strtol(pid, NULL, 10);
    free(pid);
    assert_true(postmaster > 1);
    assert_int_equal(kill(postmaster, SIGSTOP), 0);
    pg_cancel(sql);
    assert_int_equal(kill(postmaster, SIGCONT), 0);
    assert_string_equal(logged, "a statement could not be cancelled: no answer in time");
    assert_cancelled(); /* it reads the request when it goes on */
}

static void test_several(void **state)
{
    (void)state;
    wait_until_it_sleeps();
    PGcancel *cancels[] = {PQgetCancel(sql), PQgetCancel(sql)};
    pg_cancel_statements(NULL, &logging, cancels, 2);
    assert_cancelled();
    assert_string_equal(logged, "");
    pg_cancel_statements(NULL, &logging, NULL, 0);
    PQfreeCancel(cancels[0]);
    PQfreeCancel(cancels[1]);
}

/* The server listens on a socket that is gone. */
static void test_a_server_that_is_gone(void **state)
{
    (void)state;
    wait_until_it_sleeps();
    postgres_kill(server);
    pg_cancel(sql);
    assert_memory_equal(logged, "a statement could not be cancelled: ", 36);
    assert_null(strstr(logged, "in time"));
    postgres_start(server);
}

static int start_server(void **state)
{
    (void)state;
    server = postgres_new(NULL);
    return 0;
}

static int end_server(void **state)
{
    (void)state;
    postgres_free(server);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, connect_and_sleep, disconnect)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_server_that_answers),
        TEST(test_a_server_that_does_not_answer),
        TEST(test_several),
        TEST(test_a_server_that_is_gone),
    };
    return cmocka_run_group_tests(tests, start_server, end_server);
}
