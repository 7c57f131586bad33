/*
 * pg_settings: the database.* options as pg_conn uses them. Any thread once made; texts are borrowed from the task's options.
 */
#ifndef LEAT_PG_SETTINGS_H
#define LEAT_PG_SETTINGS_H

#include "pg_conn.h"

#define PG_HOSTS_MAX 16
#define PG_OPTIONS_MAX 512

struct pg_host {
    const char *name, *port;
};

struct pg_settings {
    struct pg_host hosts[PG_HOSTS_MAX];
    size_t host_count;
    const char *user, *password, *dbname;
    const char *sslmode, *sslcert, *sslkey, *sslpassword, *sslrootcert;
    const char *target;  /* libpq's target_session_attrs */
    const char *initial; /* statements run on each new connection; NULL: none */
    bool keepalive;
    int64_t connect_ms, query_ms;
    size_t pinned;              /* the host that connections go to, and 1; 0: whichever will do */
    bool refused[PG_HOSTS_MAX]; /* hosts that answered, but are not the one that was read from */
};

#endif
