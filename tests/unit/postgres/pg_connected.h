/*
 * pg_connected: a connection to a test's PostgreSQL as the connector makes it, with a host that never stops.
 */
#ifndef LEAT_TESTS_PG_CONNECTED_H
#define LEAT_TESTS_PG_CONNECTED_H

#include <libpq-fe.h>
#include <poll.h>

#include "connectors/postgres/pg_conn.h"
#include "connectors/postgres/pg_options_types.h"
#include "tests/lib/fake_config.h"
#include "tests/lib/postgres.h"
#include "tests/lib/testkit.h"

static struct postgres *server;
static struct err e;

#define OPTION(n, t, ...)                                                                                    \
    {                                                                                                        \
        .name = "database." n, .type = t, __VA_ARGS__                                                        \
    }
static const struct leat_option options[] = {
    OPTION("hostname", LEAT_LIST, ),
    OPTION("port", LEAT_LIST, ),
    OPTION("user", LEAT_STRING, ),
    OPTION("password", LEAT_STRING, ),
    OPTION("dbname", LEAT_STRING, ),
    OPTION("sslmode", LEAT_STRING, .default_value = "prefer"),
    OPTION("sslcert", LEAT_STRING, ),
    OPTION("sslkey", LEAT_STRING, ),
    OPTION("sslpassword", LEAT_STRING, ),
    OPTION("sslrootcert", LEAT_STRING, ),
    OPTION("target.session.attrs", LEAT_STRING, .default_value = "auto"),
    OPTION("initial.statements", LEAT_STRING, ),
    OPTION("tcpKeepAlive", LEAT_BOOL, .default_value = "true"),
    OPTION("connect.timeout.ms", LEAT_DURATION, .default_value = "30s"),
    OPTION("query.timeout.ms", LEAT_DURATION, .default_value = "60s"),
    PG_OPTIONS_TYPES,
    {.name = "unavailable.value.placeholder",
     .type = LEAT_STRING,
     .default_value = "__debezium_unavailable_value"},
};

static bool never_stops(struct leat_task *t)
{
    (void)t;
    return false;
}

static int wait_fd(struct leat_task *t, int fd, int64_t ms)
{
    (void)t;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, ms < 0 || ms > 60000 ? 60000 : (int)ms) > 0;
}

static const struct leat_host host = {
    .abi_version = LEAT_ABI_VERSION,
    .struct_size = sizeof(struct leat_host),
    .stopping = never_stops,
    .wait = wait_fd,
    FAKE_CONFIG_GETTERS,
};

static void fake_options(struct leat_config *config)
{
    config->options = options;
    config->option_count = sizeof(options) / sizeof(options[0]);
}

/* A connection by the options; what is made is freed with pg_disconnect, pg_settings_free, fake_config_free. */
static void connect_as_connector(struct leat_config *config, const char *db, struct pg_settings **settings,
                                 PGconn **sql)
{
    fake_options(config);
    fake_config_set(config, "database.hostname", postgres_host(server));
    fake_config_set(config, "database.port", postgres_port(server));
    fake_config_set(config, "database.user", "postgres");
    fake_config_set(config, "database.dbname", db);
    *settings = pg_settings_new(&host, config, &e);
    assert_non_null(*settings);
    assert_ok(pg_connect(NULL, &host, *settings, PG_SQL, sql, &e), &e);
}

#endif
