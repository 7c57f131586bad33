/*
 * pg_slot_helper: a second, temporary slot beside the one that is made, so that the latter's beginning is decoded right.
 *
 * To make a slot PostgreSQL reads its log in phases, and waits in each for the transactions that run then. What is committed in the
 * first it passes over, and may take for still running afterwards: of a table that was created, truncated or altered by it the
 * server then decodes with the former catalog what comes behind the slot's beginning: it ends with an error ("could not map
 * filenode"), each time anew, or, worse, leaves an added column out without a word. The phases are gone through again whenever the
 * slot is read, unless there is a snapshot of the catalog on the server's disk where it begins. A slot that was there before, and reads
 * that part of the log, writes right ones. (pgsql-hackers: Historic snapshot doesn't track txns committed in BUILDING_SNAPSHOT state.)
 * Task's thread.
 */
#include <stdio.h>
#include <string.h>

#include "pg_setup.h"

#define NAME_SIZE 64

/* Of the server's only connection with that pid. */
static void name_it(const struct pg_task *t, const PGconn *helper, char name[NAME_SIZE])
{
    snprintf(name, NAME_SIZE, "%.50s_%d", t->host->get_str(t->config, "slot.name"), PQbackendPID(helper));
}

/* No slot, no WAL sender or no connection is free. */
static bool no_room(const struct err *e)
{
    return strstr(e->text, "(SQLSTATE 53300)") || strstr(e->text, "(SQLSTATE 53400)");
}

/* Where one slot is free it must not be the helper that has it. */
static int look_for_room(const struct pg_task *t, bool *room, struct err *e)
{
    PGresult *r = pg_query(t->sql, e, "cannot count slots",
                           "SELECT current_setting('max_replication_slots')::int - count(*) > 1 FROM "
                           "pg_replication_slots",
                           0, NULL);
    if (!r)
        return e->code;
    *room = PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    return ERR_OK;
}

static void warn(const struct pg_task *t, const char *why)
{
    t->host->log(
        t->task, LEAT_WARN,
        "the slot %s is made without a second one, which is needed for that moment (%s): what is written "
        "into tables that are created, truncated or altered just now may be decoded wrong. ALTER SYSTEM SET "
        "max_replication_slots and max_wal_senders to one more, restart PostgreSQL and make the slot anew "
        "where that matters",
        t->host->get_str(t->config, "slot.name"), why);
}

/* A statement that is given up would go on waiting after us. */
static int run(PGconn *helper, const char *doing, const char *sql, struct err *e)
{
    PGresult *r = pg_query(helper, e, doing, sql, 0, NULL);
    PQclear(r);
    if (r)
        return ERR_OK;
    if (e->code == ERR_INTERRUPTED || e->code == ERR_TIMEOUT)
        pg_cancel(helper);
    return e->code;
}

static int make(const struct pg_task *t, PGconn *helper, struct err *e)
{
    char name[NAME_SIZE], sql[2 * NAME_SIZE + 64];
    name_it(t, helper, name);
    snprintf(sql, sizeof sql, "CREATE_REPLICATION_SLOT \"%s\" TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT",
             name);
    return run(helper, "cannot make a slot beside the replication slot", sql, e);
}

int pg_slot_helper_make(struct pg_task *t, PGconn **helper, struct err *e)
{
    bool room;
    *helper = NULL;
    /* A standby would wait for its primary's log in each phase, for minutes in all. */
    if (t->server.timeline == 0)
        return ERR_OK;
    if (look_for_room(t, &room, e) != ERR_OK)
        return e->code;
    if (!room) {
        warn(t, "max_replication_slots: no two are free");
        return ERR_OK;
    }
    int rc = pg_connect(t->task, t->host, t->settings, PG_REPLICATION, helper, e);
    if (rc == ERR_OK)
        rc = make(t, *helper, e);
    if (rc == ERR_OK)
        return ERR_OK;
    pg_disconnect(helper);
    if (!no_room(e))
        return rc;
    warn(t, e->text);
    return ERR_OK;
}

int pg_slot_helper_mend(const struct pg_task *t, PGconn *helper, uint64_t consistent, struct err *e)
{
    char name[NAME_SIZE], at[PG_LSN_TEXT], sql[NAME_SIZE + PG_LSN_TEXT + 64];
    name_it(t, helper, name);
    pg_lsn_text(consistent, at);
    snprintf(sql, sizeof sql, "SELECT pg_replication_slot_advance('%s', '%s')", name, at);
    return run(helper, "cannot read what was logged while the slot was made", sql, e);
}
