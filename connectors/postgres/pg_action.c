/*
 * pg_action: see pg_action.h.
 */
#include "pg_action.h"

#include "base/clock.h"
#include "pg_settings.h"

static const char what[] = "heartbeat.action.query";

void pg_action_close(struct pg_action *a)
{
    pg_disconnect(&a->sql);
    a->asked = false;
}

static void tell(struct pg_task *t, PGconn *c, PGresult *r)
{
    struct err e;
    pg_error(c, r, what, &e);
    t->host->log(t->task, LEAT_WARN, "%s", e.text);
}

static bool is_fine(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COMMAND_OK || s == PGRES_TUPLES_OK || s == PGRES_EMPTY_QUERY;
}

/* Its result comes again and again until its rows are read or sent, for which nobody is there. */
static bool is_copy(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COPY_IN || s == PGRES_COPY_OUT;
}

static void give_copy_up(struct pg_task *t, struct pg_action *a, PGresult *r)
{
    PQclear(r);
    t->host->log(t->task, LEAT_WARN, "%s: a COPY to or from the client cannot be run here", what);
    pg_action_close(a);
}

void pg_action_look(struct pg_task *t, struct pg_action *a)
{
    if (!a->asked)
        return;
    if (!PQconsumeInput(a->sql)) {
        tell(t, a->sql, NULL);
        pg_action_close(a);
        return;
    }
    while (a->asked && !PQisBusy(a->sql)) {
        PGresult *r = PQgetResult(a->sql);
        a->asked = r != NULL;
        if (r && is_copy(r)) {
            give_copy_up(t, a, r);
            return;
        }
        if (r && !is_fine(r))
            tell(t, a->sql, r);
        else
            PQclear(r);
    }
    if (PQstatus(a->sql) != CONNECTION_OK)
        pg_action_close(a);
}

void pg_action_send(struct pg_task *t, struct pg_action *a, const char *sql)
{
    struct err e;
    int64_t now = clock_mono_ms(), limit = t->settings->query_ms;
    pg_action_look(t, a);
    if (a->asked && limit > 0 && now - a->since_ms > limit) {
        t->host->log(t->task, LEAT_WARN, "%s: no answer within %lld ms, it is given up", what,
                     (long long)limit);
        pg_action_close(a);
    }
    if (a->asked)
        return;
    if (!a->sql && pg_connect(t->task, t->host, t->settings, PG_SQL, &a->sql, &e) != ERR_OK) {
        t->host->log(t->task, LEAT_WARN, "%s: %s", what, e.text);
    } else if (!PQsendQuery(a->sql, sql)) {
        tell(t, a->sql, NULL);
        pg_action_close(a);
    } else {
        a->asked = true;
        a->since_ms = now;
    }
}
