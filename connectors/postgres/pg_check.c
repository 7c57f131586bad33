/*
 * pg_check: the server, the role, slot and publication. Every check goes on when one before it found something. Task's thread.
 */
#include "pg_check.h"

#include <stdlib.h>
#include <string.h>

#include "kit/options.h"
#include "pg_dialect.h"
#include "pg_setup.h"
#include "pg_start.h"

static bool yes(const PGresult *r, int column)
{
    return PQgetvalue(r, 0, column)[0] == 't';
}

#define TELL(k, ...) (k)->t.host->problem((k)->t.task, __VA_ARGS__)

/* ---- server and role -------------------------------------------------------------------------------------------- */

static void check_server(struct pg_check *k)
{
    struct err e;
    if (pg_setup_server(&k->t, &e) != ERR_OK)
        TELL(k, "%s", e.text);
}

static int check_standby(struct pg_check *k, struct err *e)
{
    PGresult *r =
        pg_query(k->t.sql, e, "cannot ask whether it is a standby", "SELECT pg_is_in_recovery()", 0, NULL);
    if (!r)
        return e->code;
    k->standby = yes(r, 0);
    if (k->standby && k->t.server.version < PG_STANDBY_SINCE)
        TELL(k, PG_STANDBY_REFUSED, k->t.server.version / 10000);
    PQclear(r);
    return ERR_OK;
}

static int check_encoding(struct pg_check *k, struct err *e)
{
    PGresult *r = pg_query(k->t.sql, e, "cannot ask for the encoding", "SHOW server_encoding", 0, NULL);
    if (!r)
        return e->code;
    if (strcmp(PQgetvalue(r, 0, 0), "SQL_ASCII") == 0)
        TELL(k,
             "the database %s has the encoding SQL_ASCII, so that nobody knows what its texts mean: one that "
             "is not "
             "UTF-8 stops the pipeline. Dump it, CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0, and "
             "restore it",
             PQdb(k->t.sql));
    PQclear(r);
    return ERR_OK;
}

/* Services such as RDS give the right by a role of theirs. */
static int check_role(struct pg_check *k, struct err *e)
{
    static const char sql[] =
        "SELECT rolsuper, rolreplication OR rolsuper OR EXISTS (SELECT 1 FROM pg_roles g WHERE g.rolname IN "
        "('rds_replication', 'azure_pg_admin', 'cloudsqlsuperuser') AND pg_has_role(current_user, g.oid, "
        "'MEMBER')), "
        "has_database_privilege(current_database(), 'CREATE'), quote_ident(current_user) "
        "FROM pg_roles WHERE rolname = current_user";
    PGresult *r = pg_query(k->t.sql, e, "cannot look at the role", sql, 0, NULL);
    if (!r)
        return e->code;
    k->owner = yes(r, 0);
    k->may_make = yes(r, 2);
    if (!yes(r, 1))
        TELL(k, "the role %s may not replicate: ALTER ROLE %s REPLICATION", PQgetvalue(r, 0, 3),
             PQgetvalue(r, 0, 3));
    PQclear(r);
    return ERR_OK;
}

/* ---- slots and senders ------------------------------------------------------------------------------------------ */

static int check_room(struct pg_check *k, bool slot_is_there, struct err *e)
{
    static const char sql[] =
        "SELECT current_setting('max_replication_slots')::int - (SELECT count(*) FROM pg_replication_slots), "
        "current_setting('max_wal_senders')::int - (SELECT count(*) FROM pg_stat_get_wal_senders()), "
        "current_setting('max_replication_slots')::int + 4, current_setting('max_wal_senders')::int + 4";
    PGresult *r = pg_query(k->t.sql, e, "cannot count slots and senders", sql, 0, NULL);
    if (!r)
        return e->code;
    if (!slot_is_there && strtol(PQgetvalue(r, 0, 0), NULL, 10) <= 0)
        TELL(k,
             "the server has no free replication slot: ALTER SYSTEM SET max_replication_slots = %s, then "
             "restart "
             "PostgreSQL; or SELECT pg_drop_replication_slot(...) of one that is not needed "
             "(pg_replication_slots)",
             PQgetvalue(r, 0, 2));
    if (strtol(PQgetvalue(r, 0, 1), NULL, 10) <= 0)
        TELL(k,
             "the server has no free WAL sender: ALTER SYSTEM SET max_wal_senders = %s, then restart "
             "PostgreSQL; or "
             "end one that is not needed (pg_stat_replication)",
             PQgetvalue(r, 0, 3));
    PQclear(r);
    return ERR_OK;
}

static int check_slot(struct pg_check *k, struct err *e)
{
    struct pg_slot slot;
    const char *name = k->t.host->get_str(k->t.config, "slot.name");
    int rc = pg_slot_look(&k->t, &slot, e);
    bool told = rc == ERR_BUSY || rc == ERR_INVALID_CONFIG;
    if (rc != ERR_OK && !told)
        return rc;
    if (told)
        TELL(k, "%s", e->text);
    else if (slot.state == PG_SLOT_LOST)
        TELL(k,
             "the slot %s was invalidated (%s), so changes are lost: SELECT pg_drop_replication_slot('%s'), "
             "and let the "
             "tables be read again by snapshot.mode: when_needed",
             name, slot.why, name);
    if (k->t.host->get_bool(k->t.config, "slot.failover") && k->t.server.version < PG_FAILOVER_SINCE)
        TELL(k, PG_FAILOVER_REFUSED ", and this is %d: standbys do not keep the slot",
             k->t.server.version / 10000);
    return check_room(k, told || slot.state != PG_SLOT_MISSING, e);
}

/* ---- publication ------------------------------------------------------------------------------------------------ */

enum autocreate { ALL_TABLES, DISABLED, FILTERED, NO_TABLES }; /* as the choices of the option */

static void tell_missing_publication(struct pg_check *k, const char *quoted, const char *database)
{
    enum autocreate mode = (enum autocreate)k->t.host->get_int(k->t.config, "publication.autocreate.mode");
    if (k->standby && mode != DISABLED) {
        TELL(k,
             "there is no publication %s, and none can be made on a standby: run on its primary CREATE "
             "PUBLICATION %s%s",
             quoted, quoted,
             mode == ALL_TABLES ? " FOR ALL TABLES"
             : mode == FILTERED ? " FOR TABLE ..."
                                : "");
        return;
    }
    switch (mode) {
    case DISABLED:
        TELL(k,
             "there is no publication %s, and publication.autocreate.mode is disabled: CREATE PUBLICATION %s "
             "FOR TABLE ...",
             quoted, quoted);
        break;
    case ALL_TABLES:
        if (!k->owner)
            TELL(k,
                 "there is no publication %s, and only a superuser may make one of all tables: CREATE "
                 "PUBLICATION %s FOR "
                 "ALL TABLES; or set publication.autocreate.mode: filtered",
                 quoted, quoted);
        break;
    case FILTERED:
    case NO_TABLES:
        if (!k->may_make)
            TELL(k,
                 "there is no publication %s, and the role may not make one: GRANT CREATE ON DATABASE %s TO "
                 "%s",
                 quoted, database, PQuser(k->t.sql));
        break;
    }
}

static int check_publication(struct pg_check *k, struct err *e)
{
    const char *name = k->t.host->get_str(k->t.config, "publication.name");
    PGresult *r = pg_query(
        k->t.sql, e, "cannot look at the publication",
        "SELECT quote_ident($1), quote_ident(current_database()), p.oid IS NOT NULL, p.puballtables, "
        "pubinsert AND pubupdate AND pubdelete AND pubtruncate, pubviaroot FROM (SELECT) one LEFT JOIN "
        "pg_publication p ON pubname = $1",
        1, &name);
    if (!r)
        return e->code;
    k->published = yes(r, 2);
    k->all = k->published && yes(r, 3);
    /* Of one that is there the option does not count. */
    k->by_root = k->published ? yes(r, 5) : k->t.host->get_bool(k->t.config, "publish.via.partition.root");
    if (!k->published)
        tell_missing_publication(k, PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 1));
    else if (!yes(r, 4))
        TELL(k,
             "the publication %s leaves out some kinds of changes: ALTER PUBLICATION %s SET (publish = "
             "'insert, update, "
             "delete, truncate')",
             PQgetvalue(r, 0, 0), PQgetvalue(r, 0, 0));
    PQclear(r);
    return ERR_OK;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

/* A role that may not replicate, and senders that are all taken, were found by asking; what pg_hba.conf says is found so. */
static void check_replication(struct pg_check *k)
{
    PGconn *repl = NULL;
    struct err e;
    if (pg_connect(k->t.task, k->t.host, k->t.settings, PG_REPLICATION, &repl, &e) != ERR_OK &&
        strstr(e.text, "pg_hba.conf"))
        TELL(k,
             "%s: add a line \"host %s %s <address> scram-sha-256\" to pg_hba.conf, then SELECT "
             "pg_reload_conf()",
             e.text, k->t.host->get_str(k->t.config, "database.dbname"),
             k->t.host->get_str(k->t.config, "database.user"));
    pg_disconnect(&repl);
}

static int look_at_all(struct pg_check *k, struct err *e)
{
    check_server(k);
    if (k->t.server.version < PG_VERSION_MIN)
        return ERR_OK; /* the rest is asked in ways that it may not know */
    int rc = check_standby(k, e);
    rc = rc ? rc : check_encoding(k, e);
    rc = rc ? rc : check_role(k, e);
    rc = rc ? rc : check_slot(k, e);
    rc = rc ? rc : check_publication(k, e);
    rc = rc ? rc : pg_check_tables(k, e);
    rc = rc ? rc : pg_check_partial(k, e);
    if (rc == ERR_OK)
        check_replication(k);
    return rc;
}

static int prepare(struct pg_check *k, struct err *e)
{
    struct pg_task *t = &k->t;
    if (!(t->settings = pg_settings_new(t->host, t->config, e)) ||
        !(t->types = pg_types_new(t->host, t->config, e)))
        return e->code;
    return pg_connect(t->task, t->host, t->settings, PG_SQL, &t->sql, e);
}

int pg_check(struct leat_task *task, const struct leat_host *h, const struct leat_config *c)
{
    struct pg_check k = {.t = {.task = task, .host = h, .config = c}};
    struct err e;
    int result = LEAT_OK;
    k.t.cdc = cdc_new(task, h, c, &pg_dialect, h->get_str(c, "database.dbname"));
    if (!k.t.cdc)
        result = LEAT_FAIL;
    else if (prepare(&k, &e) != ERR_OK || look_at_all(&k, &e) != ERR_OK)
        result = kit_fail(h, task, &e);
    pg_disconnect(&k.t.sql);
    if (k.t.cdc)
        cdc_free(k.t.cdc);
    if (k.t.types)
        pg_types_free(k.t.types);
    pg_settings_free(k.t.settings);
    return result;
}
