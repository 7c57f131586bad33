/*
 * postgres: a private PostgreSQL for unit tests, in a directory of its own, on a Unix socket and a free port, with logical
 * replication on; gone when it is freed or the test dies. A process of tests/lib/postgres.py does the work. Tests run in the
 * repository's root. Every function fails the test when something goes wrong.
 */
#ifndef LEAT_TESTS_POSTGRES_H
#define LEAT_TESTS_POSTGRES_H

/* Starts one; `settings` (NULL-terminated, "max_wal_senders=2") beside those of postgres.py. NULL: none. */
struct postgres *postgres_new(const char *const *settings);
void postgres_free(struct postgres *p); /* NULL: nothing */

/* For database.hostname (the socket's directory), database.port; user postgres, trusted over the socket. */
const char *postgres_host(const struct postgres *p);
const char *postgres_port(const struct postgres *p);

void postgres_start(struct postgres *p);
void postgres_stop(struct postgres *p); /* in order, connections are ended */
void postgres_kill(struct postgres *p); /* SIGKILL to every process of it */

/* Runs statements by psql. The output, one line a row, columns separated by |; caller frees with free(). */
char *postgres_sql(struct postgres *p, const char *database, const char *sql);
/* The same for its effect alone. */
void postgres_run(struct postgres *p, const char *database, const char *sql);

#endif
