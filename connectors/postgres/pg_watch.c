/*
 * pg_watch: see pg_watch.h. A slot holds the log from its restart_lsn on; safe_wal_size is what may still be written until it is
 * lost (null without a limit).
 */
#include "pg_watch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"

#define LOOK_MS 10000
#define ANSWER_MS 50 /* when an answer is looked for */
#define SMOOTH_MS 60000.0
#define LEFT_MAX_MS (365.0 * 86400e3) /* beyond, it is never */

int64_t pg_watch_due_ms(const struct pg_watch *w)
{
    int64_t left = w->next_ms - clock_mono_ms();
    return left < 0 ? 0 : w->asked && left > ANSWER_MS ? ANSWER_MS : left;
}

/* What is held grows and shrinks in steps, as restart_lsn moves in steps. */
static void smooth(struct pg_watch *w, double held, int64_t now)
{
    double ms = (double)(now - w->last_ms);
    if (w->last_ms > 0 && ms > 0) {
        double part = 1 - exp(-ms / SMOOTH_MS);
        w->growth += part * ((held - w->held) * 1000 / ms - w->growth);
    }
    w->held = held;
    w->last_ms = now;
}

/* In how many ms nothing may be written any more; -1: never, as far as one can tell. */
static double left_ms(const struct pg_watch *w, double safe)
{
    double left = w->growth > 0 && safe >= 0 ? safe * 1000 / w->growth : -1;
    return left > LEFT_MAX_MS ? -1 : left;
}

enum { HELD, BEHIND, SAFE, LIMIT, STATUS };

static int show(struct pg_task *t, const struct pg_watch *w, const PGresult *r)
{
    char key[128], json[512], limit[128] = "";
    bool limited = !PQgetisnull(r, 0, SAFE);
    double safe = limited ? strtod(PQgetvalue(r, 0, SAFE), NULL) : -1, left = left_ms(w, safe);
    if (limited)
        snprintf(limit, sizeof limit, ", \"limit_bytes\": %s, \"safe_bytes\": %.0f", PQgetvalue(r, 0, LIMIT),
                 safe);
    snprintf(key, sizeof key, "slot %.64s", t->host->get_str(t->config, "slot.name"));
    int n = snprintf(json, sizeof json, "{\"held_bytes\": %.0f, \"behind_bytes\": %s, \"state\": \"%.20s\"%s",
                     w->held, PQgetisnull(r, 0, BEHIND) ? "null" : PQgetvalue(r, 0, BEHIND),
                     PQgetvalue(r, 0, STATUS), limit);
    if (left >= 0)
        n += snprintf(json + n, sizeof json - (size_t)n, ", \"left_ms\": %.0f", left);
    snprintf(json + n, sizeof json - (size_t)n, "}");
    t->host->gauge(t->task, "slot_held_bytes", w->held);
    t->host->gauge(t->task, "slot_left_ms", left);
    return t->host->status(t->task, key, json);
}

/* A standby has no current position to write at; what it has replayed is the end for its slots. */
static const char sql[] =
    "SELECT pg_wal_lsn_diff(w.at, s.restart_lsn)::bigint, pg_wal_lsn_diff(w.at, "
    "s.confirmed_flush_lsn)::bigint, "
    "s.safe_wal_size, (SELECT setting::bigint * 1048576 FROM pg_settings WHERE name = "
    "'max_slot_wal_keep_size'), "
    "coalesce(s.wal_status, 'unknown') FROM pg_replication_slots s, (SELECT CASE WHEN pg_is_in_recovery() "
    "THEN "
    "pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END AS at) w WHERE s.slot_name = $1";

void pg_watch_close(struct pg_watch *w)
{
    pg_disconnect(&w->sql);
    w->asked = false;
}

static void give_up(struct pg_task *t, struct pg_watch *w, const char *why)
{
    t->host->log(t->task, LEAT_DEBUG, "cannot look at what the slot holds: %s", why);
    pg_watch_close(w);
}

static void ask(struct pg_task *t, struct pg_watch *w)
{
    struct err e;
    const char *name = t->host->get_str(t->config, "slot.name");
    if (!w->sql && pg_connect(t->task, t->host, t->settings, PG_SQL, &w->sql, &e) != ERR_OK)
        give_up(t, w, e.text);
    else if (!PQsendQueryParams(w->sql, sql, 1, NULL, &name, NULL, NULL, 0))
        give_up(t, w, PQerrorMessage(w->sql));
    else
        w->asked = true;
}

static int take(struct pg_task *t, struct pg_watch *w)
{
    int rc = LEAT_OK;
    if (!PQconsumeInput(w->sql)) {
        give_up(t, w, PQerrorMessage(w->sql));
        return LEAT_OK;
    }
    while (rc == LEAT_OK && w->asked && !PQisBusy(w->sql)) {
        PGresult *r = PQgetResult(w->sql);
        w->asked = r != NULL;
        if (r && PQresultStatus(r) == PGRES_TUPLES_OK && PQntuples(r) > 0 && !PQgetisnull(r, 0, HELD)) {
            smooth(w, strtod(PQgetvalue(r, 0, HELD), NULL), clock_mono_ms());
            rc = show(t, w, r);
        }
        PQclear(r);
    }
    return rc;
}

int pg_watch_look(struct pg_task *t, struct pg_watch *w)
{
    int64_t now = clock_mono_ms();
    int rc = w->asked ? take(t, w) : LEAT_OK;
    if (rc != LEAT_OK || now < w->next_ms)
        return rc;
    w->next_ms = now + LOOK_MS;
    if (w->asked)
        give_up(t, w, "no answer");
    else
        ask(t, w);
    return LEAT_OK;
}
