/*
 * pg_settings: reads the database.* options. Task's thread.
 */
#include "pg_settings.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int read_port(const char *text, struct err *e)
{
    char *end;
    long port = strtol(text, &end, 10);
    if (*end || end == text || port < 1 || port > 65535)
        return err_set(e, ERR_INVALID_CONFIG, "database.port: '%s' is no port", text);
    return ERR_OK;
}

/* One port for all hosts, or one each. */
static int read_hosts(struct pg_settings *s, const struct leat_host *host, const struct leat_config *config,
                      struct err *e)
{
    const char *const *names, *const *ports;
    size_t n = host->get_list(config, "database.hostname", &names);
    if (n == 0 || n > PG_HOSTS_MAX)
        return err_set(e, ERR_INVALID_CONFIG, "database.hostname: between 1 and %d hosts", PG_HOSTS_MAX);
    for (size_t i = 0; i < n; i++)
        s->hosts[i].name = names[i];
    s->host_count = n;
    size_t port_count = host->get_list(config, "database.port", &ports);
    if (port_count != 1 && port_count != n)
        return err_set(e, ERR_INVALID_CONFIG,
                       "database.port: %zu ports for %zu hosts; one for all, or one each", port_count, n);
    for (size_t i = 0; i < n; i++) {
        s->hosts[i].port = ports[port_count == 1 ? 0 : i];
        if (read_port(s->hosts[i].port, e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

struct pg_settings *pg_settings_new(const struct leat_host *host, const struct leat_config *config,
                                    struct err *e)
{
    struct pg_settings *s = mem_calloc(1, sizeof *s);
    if (!s) {
        err_nomem(e);
        return NULL;
    }
    if (read_hosts(s, host, config, e) != ERR_OK) {
        mem_free(s);
        return NULL;
    }
    s->user = host->get_str(config, "database.user");
    s->password = host->get_str(config, "database.password");
    s->dbname = host->get_str(config, "database.dbname");
    s->sslmode = host->get_str(config, "database.sslmode");
    s->sslcert = host->get_str(config, "database.sslcert");
    s->sslkey = host->get_str(config, "database.sslkey");
    s->sslpassword = host->get_str(config, "database.sslpassword");
    s->sslrootcert = host->get_str(config, "database.sslrootcert");
    s->target = host->get_str(config, "database.target.session.attrs");
    /* A single host is what was asked for, whatever it is: from version 16 on a standby can be read from too. */
    if (strcmp(s->target, "auto") == 0)
        s->target = s->host_count > 1 ? "read-write" : "any";
    s->initial = host->get_str(config, "database.initial.statements");
    s->keepalive = host->get_bool(config, "database.tcpKeepAlive");
    s->connect_ms = host->get_int(config, "database.connect.timeout.ms");
    s->query_ms = host->get_int(config, "database.query.timeout.ms");
    return s;
}

void pg_settings_free(struct pg_settings *s)
{
    mem_free(s);
}
