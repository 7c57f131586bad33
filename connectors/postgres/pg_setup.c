/*
 * pg_setup: the server's facts, and how the stream is begun by what the server has.
 */
#include "pg_setup.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pg_params.h"

#define COMMAND_BYTES (64 << 10)

/* A server of this process's failed to decode a transaction in progress: see pg_setup_whole_transactions. */
static atomic_bool whole_transactions;

bool pg_setup_cannot_decode(const struct err *e)
{
    static const char *const texts[] = {"could not map filenode", "could not map filenumber",
                                        "catalog is missing"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (strstr(e->text, texts[i]))
            return true;
    return false;
}

bool pg_setup_whole_transactions(void)
{
    return !atomic_exchange(&whole_transactions, true);
}

int pg_setup_server(struct pg_task *t, struct err *e)
{
    /* Of wal_sender_timeout the number in ms; SHOW has units. */
    static const char sql[] = "SELECT current_setting('server_version_num'), current_setting('wal_level'), "
                              "(SELECT setting FROM pg_settings WHERE name = 'wal_sender_timeout'), "
                              "current_setting('server_version')";
    PGresult *r = pg_query(t->sql, e, "cannot look at the server", sql, 0, NULL);
    if (!r)
        return e->code;
    int rc = ERR_OK;
    t->server.version = (int)strtol(PQgetvalue(r, 0, 0), NULL, 10);
    t->server.sender_timeout_ms = strtoll(PQgetvalue(r, 0, 2), NULL, 10);
    if (t->server.version < PG_VERSION_MIN)
        rc = err_set(e, ERR_UNSUPPORTED, "PostgreSQL %s is too old: 13 is the first that can be used",
                     PQgetvalue(r, 0, 3));
    else if (strcmp(PQgetvalue(r, 0, 1), "logical") != 0)
        rc = err_set(e, ERR_INVALID_CONFIG,
                     "the server logs too little for changes to be read (wal_level is %s): ALTER SYSTEM SET "
                     "wal_level = 'logical', then restart PostgreSQL",
                     PQgetvalue(r, 0, 1));
    PQclear(r);
    return rc;
}

int pg_setup_identify(struct pg_task *t, PGconn *repl, struct err *e)
{
    PGresult *r = pg_query(repl, e, "cannot identify the server", "IDENTIFY_SYSTEM", 0, NULL);
    if (!r)
        return e->code;
    snprintf(t->server.system_id, sizeof t->server.system_id, "%.*s", (int)sizeof t->server.system_id - 1,
             PQgetvalue(r, 0, 0));
    t->server.timeline = (uint32_t)strtoul(PQgetvalue(r, 0, 1), NULL, 10);
    int rc = pg_lsn_parse(PQgetvalue(r, 0, 2), &t->server.end)
                 ? ERR_OK
                 : err_set(e, ERR_REMOTE, "the server's log ends at '%s'", PQgetvalue(r, 0, 2));
    PQclear(r);
    return rc;
}

/* ---- START_REPLICATION ------------------------------------------------------------------------------------------ */

/* The newest that the server has, or what was told. */
static int choose_protocol(const struct pg_task *t, int *version, struct err *e)
{
    int server = t->server.version;
    int newest = server >= 160000 ? 4 : server >= 150000 ? 3 : server >= 140000 ? 2 : 1;
    *version = (int)t->host->get_int(t->config, "stream.protocol.version");
    if (*version > newest)
        return err_set(e, ERR_UNSUPPORTED,
                       "stream.protocol.version: the server, PostgreSQL %d, has versions up to %d",
                       server / 10000, newest);
    if (*version == 0)
        *version = newest;
    return ERR_OK;
}

/* The publication's name is an identifier within a literal. */
static int add_publication(struct buf *b, const char *name, struct err *e)
{
    struct buf quoted;
    buf_init(&quoted, 1024);
    int rc = pg_quote_name(&quoted, name, e);
    if (rc == ERR_OK)
        rc = buf_u8(&quoted, '\0', e);
    if (rc == ERR_OK)
        rc = pg_quote_text(b, (const char *)quoted.data, e);
    buf_free(&quoted);
    return rc;
}

static bool streams_in_progress(const struct pg_task *t, int version)
{
    return version >= 2 && t->host->get_bool(t->config, "stream.large.transactions");
}

static int write_start(struct pg_task *t, uint64_t lsn, int version, bool whole,
                       const struct pg_params *params, struct buf *b, struct err *e)
{
    const struct leat_host *h = t->host;
    char at[PG_LSN_TEXT];
    pg_lsn_text(lsn, at);
    int rc = buf_str(b, "START_REPLICATION SLOT ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(b, h->get_str(t->config, "slot.name"), e);
    if (rc == ERR_OK)
        rc = buf_printf(b, e, " LOGICAL %s (proto_version '%d', publication_names ", at, version);
    if (rc == ERR_OK)
        rc = add_publication(b, h->get_str(t->config, "publication.name"), e);
    if (rc == ERR_OK && t->server.version >= 140000)
        rc = buf_str(b, ", messages 'true'", e);
    if (rc == ERR_OK && !whole && streams_in_progress(t, version))
        rc = buf_str(b, ", streaming 'on'", e);
    if (rc == ERR_OK && t->server.version >= 160000 &&
        strcmp(h->get_str(t->config, "stream.origin"), "none") == 0)
        rc = buf_str(b, ", origin 'none'", e);
    if (rc == ERR_OK)
        rc = pg_params_write(params, whole, b, e);
    return rc == ERR_OK ? buf_append(b, ")", 2, e) : rc;
}

int pg_setup_start(struct pg_task *t, PGconn *repl, uint64_t lsn, int *version, bool *in_progress,
                   struct err *e)
{
    struct buf b;
    struct pg_params params;
    bool whole = atomic_load(&whole_transactions);
    if (pg_params_read(t->host, t->config, &params, e) != ERR_OK)
        return e->code;
    buf_init(&b, COMMAND_BYTES);
    int rc = choose_protocol(t, version, e);
    if (rc == ERR_OK)
        rc = write_start(t, lsn, *version, whole, &params, &b, e);
    *in_progress = !whole && (streams_in_progress(t, *version) || pg_params_stream(&params));
    if (rc == ERR_OK) {
        char at[PG_LSN_TEXT], what[128];
        pg_lsn_text(lsn, at);
        snprintf(what, sizeof what, "cannot follow the slot %.64s from %s",
                 t->host->get_str(t->config, "slot.name"), at);
        PGresult *r = pg_query(repl, e, what, (const char *)b.data, 0, NULL);
        PQclear(r);
        if (!r)
            pg_params_explain(&params, e);
        rc = r ? ERR_OK : e->code;
    }
    buf_free(&b);
    pg_params_free(&params);
    return rc;
}

bool pg_setup_confirms(const struct pg_task *t)
{
    const char *mode = t->host->get_str(t->config, "lsn.flush.mode");
    /* flush.lsn.source is the older name. */
    if (!t->host->is_set(t->config, "lsn.flush.mode") && !t->host->get_bool(t->config, "flush.lsn.source"))
        return false;
    return strcmp(mode, "manual") != 0;
}
