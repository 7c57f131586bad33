/*
 * pg_slot: the replication slot: looked at, made, dropped.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "pg_setup.h"

#define DROP_WAIT_MS 15000
#define DROP_AGAIN_MS 50

static const char *slot_name(const struct pg_task *t)
{
    return t->host->get_str(t->config, "slot.name");
}

/* ---- looking ---------------------------------------------------------------------------------------------------- */

/* Columns of pg_replication_slots that came with a version are asked for by way of JSON, which has what there is. */
static const char look_sql[] =
    "SELECT s.slot_type, s.plugin, s.database, s.active, s.active_pid, s.confirmed_flush_lsn, "
    "j->>'wal_status', "
    "j->>'two_phase', coalesce(j->>'invalidation_reason', CASE WHEN j->>'conflicting' = 'true' AND "
    "pg_is_in_recovery() THEN 'conflict with recovery' END), current_database(), j->>'failover' FROM "
    "pg_replication_slots s, "
    "to_jsonb(s) j WHERE s.slot_name = $1";

enum { TYPE, PLUGIN, DATABASE, ACTIVE, PID, CONFIRMED, WAL_STATUS, TWO_PHASE, INVALID, OURS, FAILOVER };

static bool is(const PGresult *r, int column, const char *text)
{
    return strcmp(PQgetvalue(r, 0, column), text) == 0;
}

/*
 * 17 and later name the reason (pg_replication_slots.invalidation_reason). 16 says `conflicting` of every slot that was invalidated, but
 * only a standby's can be for a conflict; before, there is one reason.
 */
static const char *why_lost(const char *reason)
{
    static const char *const known[][2] = {
        {"", "it held more than max_slot_wal_keep_size"},
        {"wal_removed", "it held more than max_slot_wal_keep_size"},
        {"rows_removed", "rows of the catalog that it needs were removed"},
        {"wal_level_insufficient", "wal_level was not logical for a while"},
        {"idle_timeout", "nobody read it for idle_replication_slot_timeout"},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(reason, known[i][0]) == 0)
            return known[i][1];
    return reason;
}

static int judge(const struct pg_task *t, const PGresult *r, struct pg_slot *out, struct err *e)
{
    const char *name = slot_name(t);
    if (!is(r, TYPE, "logical") || !is(r, PLUGIN, "pgoutput"))
        return err_set(e, ERR_INVALID_CONFIG,
                       "the slot %s is %s%s, not one of pgoutput: use another slot.name, or SELECT "
                       "pg_drop_replication_slot('%s')",
                       name, is(r, TYPE, "logical") ? "of the plugin " : "a physical one",
                       PQgetvalue(r, 0, PLUGIN), name);
    if (strcmp(PQgetvalue(r, 0, DATABASE), PQgetvalue(r, 0, OURS)) != 0)
        return err_set(e, ERR_INVALID_CONFIG,
                       "the slot %s is of the database %s, not of %s: slots are one a database, use another "
                       "slot.name",
                       name, PQgetvalue(r, 0, DATABASE), PQgetvalue(r, 0, OURS));
    if (is(r, TWO_PHASE, "true"))
        return err_set(e, ERR_INVALID_CONFIG,
                       "the slot %s decodes prepared transactions; " PG_TWO_PHASE_REFUSED, name);
    if (is(r, WAL_STATUS, "lost") || PQgetvalue(r, 0, INVALID)[0]) {
        out->state = PG_SLOT_LOST;
        snprintf(out->why, sizeof out->why, "%.120s", why_lost(PQgetvalue(r, 0, INVALID)));
        return ERR_OK;
    }
    if (is(r, ACTIVE, "t"))
        return err_set(e, ERR_BUSY,
                       "the slot %s is being read by another connection (process %s of the server): a second "
                       "pipeline needs a slot.name of its own",
                       name, PQgetvalue(r, 0, PID));
    out->state = PG_SLOT_FINE;
    out->failover = is(r, FAILOVER, "true");
    if (!pg_lsn_parse(PQgetvalue(r, 0, CONFIRMED), &out->confirmed))
        return err_set(e, ERR_BUSY, "the slot %s is still being made", name);
    return ERR_OK;
}

int pg_slot_look(struct pg_task *t, struct pg_slot *out, struct err *e)
{
    const char *name = slot_name(t);
    *out = (struct pg_slot){.state = PG_SLOT_MISSING};
    t->server.slot_confirmed = 0;
    PGresult *r = pg_query(t->sql, e, "cannot look at the slot", look_sql, 1, &name);
    if (!r)
        return e->code;
    int rc = PQntuples(r) ? judge(t, r, out, e) : ERR_OK;
    PQclear(r);
    t->server.slot_confirmed = out->confirmed;
    return rc;
}

/* ---- making ----------------------------------------------------------------------------------------------------- */

static int create_error(const struct pg_task *t, struct err *e)
{
    if (e->code == ERR_PERMISSION)
        return err_set(e, ERR_PERMISSION, "%.500s: ALTER ROLE %s REPLICATION", e->text,
                       t->host->get_str(t->config, "database.user"));
    /* Made by somebody else since we looked: the next try finds it, and whether it is in use. */
    if (e->code == ERR_EXISTS)
        e->retriable = true;
    return e->code;
}

/* The slot alone. */
static int create(struct pg_task *t, PGconn *repl, uint64_t *consistent, char snapshot[PG_SNAPSHOT_NAME_SIZE],
                  struct err *e)
{
    struct buf b;
    bool failover = t->host->get_bool(t->config, "slot.failover");
    buf_init(&b, 1024);
    int rc = buf_str(&b, "CREATE_REPLICATION_SLOT ", e);
    if (rc == ERR_OK)
        rc = pg_quote_name(&b, slot_name(t), e);
    if (rc == ERR_OK) /* the older form is understood by all, but knows no failover */
        rc = buf_str(&b,
                     failover ? " LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER)"
                              : " LOGICAL pgoutput EXPORT_SNAPSHOT",
                     e);
    if (rc == ERR_OK)
        rc = buf_u8(&b, '\0', e);
    PGresult *r =
        rc == ERR_OK ? pg_query(repl, e, "cannot make the replication slot", (char *)b.data, 0, NULL) : NULL;
    buf_free(&b);
    if (!r) {
        /* It would go on waiting after us. */
        if (e->code == ERR_INTERRUPTED || e->code == ERR_TIMEOUT)
            pg_cancel(repl);
        return create_error(t, e);
    }
    rc = ERR_OK;
    if (!pg_lsn_parse(PQgetvalue(r, 0, 1), consistent))
        rc = err_set(e, ERR_REMOTE, "the new slot begins at '%s'", PQgetvalue(r, 0, 1));
    snprintf(snapshot, PG_SNAPSHOT_NAME_SIZE, "%s", PQgetvalue(r, 0, 2));
    PQclear(r);
    t->server.slot_confirmed = *consistent;
    return rc;
}

/* It would be found, and taken for a good one. */
static void take_back(struct pg_task *t, PGconn *repl)
{
    struct buf b;
    struct err e;
    buf_init(&b, 1024);
    pg_go_on(repl, DROP_WAIT_MS);
    int rc = buf_str(&b, "DROP_REPLICATION_SLOT ", &e);
    if (rc == ERR_OK)
        rc = pg_quote_name(&b, slot_name(t), &e);
    if (rc == ERR_OK)
        rc = buf_u8(&b, '\0', &e);
    PGresult *r = rc == ERR_OK ? pg_query(repl, &e, "cannot drop the slot", (char *)b.data, 0, NULL) : NULL;
    buf_free(&b);
    if (!r)
        t->host->log(t->task, LEAT_WARN, "the slot %s was made, but not mended: %s", slot_name(t), e.text);
    PQclear(r);
}

int pg_slot_create(struct pg_task *t, PGconn *repl, uint64_t *consistent,
                   char snapshot[PG_SNAPSHOT_NAME_SIZE], struct err *e)
{
    PGconn *helper;
    if (t->host->get_bool(t->config, "slot.failover") && t->server.version < PG_FAILOVER_SINCE)
        return err_set(e, ERR_UNSUPPORTED, PG_FAILOVER_REFUSED);
    t->host->log(t->task, LEAT_INFO, "making the slot %s, which waits for %s", slot_name(t),
                 t->server.timeline ? "the transactions that run now"
                                    : "what the primary of this standby logs from time to time: SELECT "
                                      "pg_log_standby_snapshot() there, and it waits no longer");
    if (pg_slot_helper_make(t, &helper, e) != ERR_OK)
        return create_error(t, e);
    int rc = create(t, repl, consistent, snapshot, e);
    if (rc == ERR_OK && helper && (rc = pg_slot_helper_mend(t, helper, *consistent, e)) != ERR_OK)
        take_back(t, repl);
    pg_disconnect(&helper);
    return rc;
}

/* A standby's is its primary's, or stays where it is. */
void pg_slot_set_failover(struct pg_task *t, PGconn *repl, const struct pg_slot *slot)
{
    struct buf b;
    struct err e;
    if (slot->failover || !t->host->get_bool(t->config, "slot.failover") ||
        t->server.version < PG_FAILOVER_SINCE || t->server.timeline == 0)
        return;
    buf_init(&b, 1024);
    int rc = buf_str(&b, "ALTER_REPLICATION_SLOT ", &e);
    if (rc == ERR_OK)
        rc = pg_quote_name(&b, slot_name(t), &e);
    if (rc == ERR_OK)
        rc = buf_append(&b, " (FAILOVER true)", sizeof " (FAILOVER true)", &e);
    PGresult *r =
        rc == ERR_OK ? pg_query(repl, &e, "cannot alter the slot", (const char *)b.data, 0, NULL) : NULL;
    buf_free(&b);
    if (r)
        t->host->log(t->task, LEAT_INFO, "slot.failover: standbys keep the slot %s from now on",
                     slot_name(t));
    else
        t->host->log(t->task, LEAT_WARN, "slot.failover: standbys do not keep the slot %s: %s", slot_name(t),
                     e.text);
    PQclear(r);
}

/* ---- dropping --------------------------------------------------------------------------------------------------- */

int pg_slot_drop(struct pg_task *t, struct err *e)
{
    const char *name = slot_name(t);
    int64_t end = clock_mono_ms() + DROP_WAIT_MS;
    for (;;) {
        PGresult *r = pg_query(
            t->sql, e, "cannot drop the slot",
            "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1", 1,
            &name);
        if (r) {
            PQclear(r);
            return ERR_OK;
        }
        if (e->code != ERR_BUSY || clock_mono_ms() > end)
            return e->code;
        struct timespec pause = {0, DROP_AGAIN_MS * 1000000};
        nanosleep(&pause, NULL);
    }
}
