/*
 * pg_start: the decision. A stored position and a slot that is not beyond it: the stream goes on. No position: the task is new.
 * A position whose slot is gone or ahead: changes are lost, and that is said, or mended by reading the tables again
 * where the mode allows it.
 */
#include "pg_start.h"

#include <inttypes.h>
#include <string.h>

#include "pg_history.h"
#include "pg_identity.h"
#include "pg_params.h"
#include "pg_settings.h"

/* As the choices of snapshot.mode. */
enum mode { INITIAL, ALWAYS, INITIAL_ONLY, NO_DATA, NEVER, WHEN_NEEDED, EXPORTED, CONFIGURED };

#define CONFIGURED_OPTION "snapshot.mode.configuration.based."

static enum mode mode_of(const struct pg_task *t)
{
    return (enum mode)t->host->get_int(t->config, "snapshot.mode");
}

static bool configured(const struct pg_task *t, const char *option)
{
    return mode_of(t) == CONFIGURED && t->host->get_bool(t->config, option);
}

bool pg_start_reads_first(const struct pg_task *t)
{
    enum mode m = mode_of(t);
    return (m != NO_DATA && m != NEVER && m != CONFIGURED) ||
           configured(t, CONFIGURED_OPTION "snapshot.data");
}

bool pg_start_reads_after_loss(const struct pg_task *t)
{
    enum mode m = mode_of(t);
    return m == WHEN_NEEDED || m == ALWAYS || configured(t, CONFIGURED_OPTION "snapshot.on.data.error");
}

static bool streams(const struct pg_task *t)
{
    return mode_of(t) == CONFIGURED ? t->host->get_bool(t->config, CONFIGURED_OPTION "start.stream")
                                    : mode_of(t) != INITIAL_ONLY;
}

/* ---- the position and the slot ---------------------------------------------------------------------------------- */

#define READ_ANEW                                                                                            \
    "let the tables be read again by snapshot.mode: when_needed, or give the pipeline another topic.prefix"

/* The task begins anew where the slot is. */
static void begin_at(struct pg_task *t, uint64_t lsn, bool snapshot)
{
    memset(&t->stored, 0, sizeof t->stored);
    t->stored.lsn_commit = lsn;
    t->stored.snapshot = snapshot;
}

static int create_slot(struct pg_task *t, struct pg_plan *plan, struct err *e)
{
    uint64_t lsn;
    if (pg_slot_create(t, plan->repl, &lsn, plan->exported, e) != ERR_OK)
        return e->code;
    plan->snapshot = pg_start_reads_first(t) || t->stored.any;
    begin_at(t, lsn, plan->snapshot);
    return ERR_OK;
}

static bool was_promoted(const struct pg_task *t)
{
    return t->stored.timeline && t->server.timeline > t->stored.timeline;
}

/* Before PostgreSQL 17 a slot stays behind on the former primary. */
static int promoted_without_slot(const struct pg_task *t, struct err *e)
{
    const char *name = t->host->get_str(t->config, "slot.name");
    char before[ERR_TEXT_MAX];
    memcpy(before, e->text, sizeof before);
    return err_set(
        e, ERR_INVALID_CONFIG,
        "%.600s. The server was promoted (timeline %" PRIu32 "), and slots do not come along%s. If "
        "nothing was written since: SELECT pg_create_logical_replication_slot('%s', 'pgoutput'), "
        "with offset.mismatch.strategy: trust_slot",
        before, t->server.timeline,
        t->server.version >= 170000 ? " but with slot.failover: true" : " before PostgreSQL 17", name);
}

static int no_slot(struct pg_task *t, const struct pg_slot *slot, struct pg_plan *plan, struct err *e)
{
    const char *name = t->host->get_str(t->config, "slot.name");
    bool lost = slot->state == PG_SLOT_LOST;
    if (t->stored.any && !pg_start_reads_after_loss(t)) {
        char at[PG_LSN_TEXT];
        pg_lsn_text(t->stored.lsn_commit, at);
        err_set(e, ERR_INVALID_CONFIG, "the slot %s %s%s%s: changes since %s may be lost; %s" READ_ANEW, name,
                lost ? "was invalidated (" : "is gone", lost ? slot->why : "", lost ? ")" : "", at,
                lost ? "SELECT pg_drop_replication_slot(...), then " : "");
        return !lost && was_promoted(t) ? promoted_without_slot(t, e) : e->code;
    }
    if (lost) {
        t->host->log(t->task, LEAT_WARN, "the slot %s was invalidated (%s) and is made anew", name,
                     slot->why);
        if (pg_slot_drop(t, e) != ERR_OK)
            return e->code;
    }
    return create_slot(t, plan, e);
}

/* The slot is beyond what is stored: what it passed over will not come. */
static int gap(struct pg_task *t, const struct pg_slot *slot, struct pg_plan *plan, struct err *e)
{
    char at[PG_LSN_TEXT], ahead[PG_LSN_TEXT];
    const char *strategy = t->host->get_str(t->config, "offset.mismatch.strategy");
    pg_lsn_text(t->stored.lsn_commit, at);
    pg_lsn_text(slot->confirmed, ahead);
    if (strcmp(strategy, "trust_slot") == 0 || strcmp(strategy, "trust_greater_lsn") == 0) {
        t->host->log(t->task, LEAT_WARN,
                     "the slot is at %s, what is stored ends at %s: what is between is not published", ahead,
                     at);
        t->stored.lsn_commit = slot->confirmed;
        t->stored.partial_lsn = t->stored.partial = t->stored.skip_lsn = 0;
        return ERR_OK;
    }
    if (!pg_start_reads_after_loss(t))
        return err_set(
            e, ERR_INVALID_CONFIG,
            "the slot %s is at %s, but what is stored ends at %s: changes between are lost (the slot was "
            "made anew or moved by somebody else); " READ_ANEW,
            t->host->get_str(t->config, "slot.name"), ahead, at);
    plan->snapshot = true;
    begin_at(t, slot->confirmed, true);
    return ERR_OK;
}

static int good_slot(struct pg_task *t, const struct pg_slot *slot, struct pg_plan *plan, struct err *e)
{
    if (!t->stored.any) {
        plan->snapshot = pg_start_reads_first(t);
        begin_at(t, slot->confirmed, plan->snapshot);
        return ERR_OK;
    }
    if (slot->confirmed > t->stored.lsn_commit && pg_setup_confirms(t))
        return gap(t, slot, plan, e);
    plan->snapshot = t->stored.snapshot || mode_of(t) == ALWAYS;
    t->stored.snapshot = plan->snapshot;
    return ERR_OK;
}

static int decide(struct pg_task *t, struct pg_plan *plan, struct err *e)
{
    struct pg_slot slot;
    if (pg_slot_look(t, &slot, e) != ERR_OK)
        return e->code;
    if (slot.state != PG_SLOT_FINE)
        return no_slot(t, &slot, plan, e);
    pg_slot_set_failover(t, plan->repl, &slot);
    return good_slot(t, &slot, plan, e);
}

/* ---- without a stream ------------------------------------------------------------------------------------------- */

static int read_only(struct pg_task *t, struct pg_plan *plan, struct err *e)
{
    uint64_t now;
    plan->done = t->stored.any && !t->stored.snapshot;
    plan->snapshot = !plan->done && pg_start_reads_first(t);
    plan->done = !plan->snapshot;
    if (t->stored.any || plan->done)
        return ERR_OK;
    PGresult *r = pg_query(t->sql, e, "cannot tell where the server is",
                           "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE "
                           "pg_current_wal_insert_lsn() END",
                           0, NULL);
    if (!r)
        return e->code;
    int rc = pg_lsn_parse(PQgetvalue(r, 0, 0), &now)
                 ? ERR_OK
                 : err_set(e, ERR_REMOTE, "the server is at '%s'", PQgetvalue(r, 0, 0));
    PQclear(r);
    if (rc == ERR_OK)
        begin_at(t, now, true);
    return rc;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

/* LSNs are of one cluster and its physical copies. */
static int same_cluster(struct pg_task *t, struct err *e)
{
    if (t->stored.any && t->stored.system_id[0] && strcmp(t->stored.system_id, t->server.system_id) != 0) {
        if (!pg_start_reads_after_loss(t))
            return err_set(e, ERR_INVALID_CONFIG,
                           "the stored position is of another database cluster (%s, this is %s); " READ_ANEW,
                           t->stored.system_id, t->server.system_id);
        memset(&t->stored, 0, sizeof t->stored);
    }
    return ERR_OK;
}

static int is_standby(struct pg_task *t, bool *is, struct err *e)
{
    PGresult *r = pg_query(t->sql, e, "cannot look at the server", "SELECT pg_is_in_recovery()", 0, NULL);
    if (!r)
        return e->code;
    *is = PQgetvalue(r, 0, 0)[0] == 't';
    PQclear(r);
    return ERR_OK;
}

/*
 * A server whose log ends before what is stored has lost its end: it is an older backup, or a standby that was behind when it
 * was promoted. Asked to go on from there it would pass over all that it writes up to that LSN, without a word.
 */
static int has_our_end(struct pg_task *t, struct err *e)
{
    bool standby = false;
    if (!t->stored.any || t->server.end >= t->stored.lsn_commit)
        return ERR_OK;
    if (is_standby(t, &standby, e) != ERR_OK)
        return e->code;
    char at[PG_LSN_TEXT], end[PG_LSN_TEXT];
    pg_lsn_text(t->stored.lsn_commit, at);
    pg_lsn_text(t->server.end, end);
    if (standby) {
        err_set(e, ERR_REMOTE, "the standby is at %s, before what is stored (%s): it has to catch up", end,
                at);
        e->retriable = true;
        return e->code;
    }
    if (!pg_start_reads_after_loss(t))
        return err_set(
            e, ERR_INVALID_CONFIG,
            "the server is at %s, but what is stored ends at %s: it lost what was published (an older "
            "backup, or a standby that was behind), and its changes since would be passed over; " READ_ANEW,
            end, at);
    t->host->log(t->task, LEAT_WARN,
                 "the server is at %s, what is stored ends at %s: it lost its end, the tables are read again",
                 end, at);
    memset(&t->stored, 0, sizeof t->stored);
    return ERR_OK;
}

/*
 * A standby decodes as of PostgreSQL 16. Where changes were read before, an older one may be about to be promoted; else it is
 * the wrong server. Its timeline may change while we are connected: nothing is concluded from it.
 */
static int look_at_standby(struct pg_task *t, struct err *e)
{
    bool standby = false;
    if (is_standby(t, &standby, e) != ERR_OK)
        return e->code;
    if (!standby)
        return ERR_OK;
    t->server.timeline = 0;
    if (t->server.version >= PG_STANDBY_SINCE)
        return ERR_OK;
    err_set(e, ERR_UNSUPPORTED, PG_STANDBY_REFUSED, t->server.version / 10000);
    e->retriable = t->stored.any;
    return e->code;
}

/* *another: it is a server that what is stored was not read from; `e` tells why. */
static int same_history(struct pg_task *t, PGconn *repl, bool *another, struct err *e)
{
    enum pg_branch branch;
    uint64_t left = 0;
    char at[PG_LSN_TEXT], where[PG_LSN_TEXT];
    if (pg_history_branch(t, repl, &branch, &left, e) != ERR_OK)
        return e->code;
    if (branch == PG_BRANCH_SAME)
        return ERR_OK;
    pg_lsn_text(t->stored.lsn_commit, at);
    pg_lsn_text(left, where);
    *another = branch == PG_BRANCH_OTHER;
    if (*another)
        return err_set(e, ERR_INVALID_CONFIG,
                       "the server is on timeline %" PRIu32
                       ", but what is stored (%s) was read from timeline "
                       "%" PRIu32 ": it is a former primary that came back, or an older backup, and what it "
                       "writes is not what was followed; take it out of database.hostname, or make it a "
                       "standby of the present primary (pg_rewind). If it is the right one, " READ_ANEW,
                       t->server.timeline, at, t->stored.timeline);
    return err_set(e, ERR_INVALID_CONFIG,
                   "the server left timeline %" PRIu32 " at %s (it was promoted then), but what is stored "
                   "ends at %s: what was published in between is lost there, and as much that it wrote since "
                   "would be passed over; " READ_ANEW,
                   t->stored.timeline, where, at);
}

static int follow_history(struct pg_task *t, PGconn *repl, bool *another, struct err *e)
{
    *another = false;
    if (same_history(t, repl, another, e) == ERR_OK)
        return ERR_OK;
    bool of_history = e->code == ERR_INVALID_CONFIG;
    if (!of_history || !pg_start_reads_after_loss(t) || (*another && t->settings->host_count > 1))
        return e->code;
    t->host->log(t->task, LEAT_WARN, "the tables are read again: %s", e->text);
    memset(&t->stored, 0, sizeof t->stored);
    return ERR_OK;
}

static int ask_money(struct pg_task *t, struct err *e)
{
    PGconn *as_set = NULL;
    int rc = pg_connect(t->task, t->host, t->settings, PG_AS_SET, &as_set, e);
    if (rc == ERR_OK)
        rc = pg_types_ask_money(t->types, as_set, e);
    pg_disconnect(&as_set);
    return rc;
}

/* With one host; *another: with another it may be right. */
static int begin_at_host(struct pg_task *t, struct pg_plan *plan, bool *another, struct err *e)
{
    *another = false;
    if (pg_sql(t, e) != ERR_OK)
        return e->code;
    pg_pin(t->settings, t->sql);
    if (pg_setup_server(t, e) != ERR_OK || ask_money(t, e) != ERR_OK)
        return e->code;
    plan->stream = streams(t);
    if (!plan->stream)
        return read_only(t, plan, e);
    if (pg_connect(t->task, t->host, t->settings, PG_REPLICATION, &plan->repl, e) != ERR_OK ||
        pg_setup_identify(t, plan->repl, e) != ERR_OK || look_at_standby(t, e) != ERR_OK ||
        same_cluster(t, e) != ERR_OK || follow_history(t, plan->repl, another, e) != ERR_OK ||
        has_our_end(t, e) != ERR_OK || pg_identity_set(t, e) != ERR_OK ||
        pg_publication_ensure(t, e) != ERR_OK)
        return e->code;
    return decide(t, plan, e);
}

/* A former primary may answer before the present one, and take writes, too. */
static int begin(struct pg_task *t, struct pg_plan *plan, struct err *e)
{
    struct err first = {.code = ERR_OK};
    bool another;
    while (begin_at_host(t, plan, &another, e) != ERR_OK) {
        if (another && first.code == ERR_OK)
            first = *e;
        if (!another || t->settings->host_count == 1) {
            /* What the others say, and that one that answers is none of them. */
            if (first.code != ERR_OK && !another)
                err_wrap(e, "%.400s; and of the others", first.text);
            return e->code;
        }
        pg_disconnect(&plan->repl);
        pg_disconnect(&t->sql);
        if (!pg_refuse(t->settings)) {
            *e = first;
            return e->code;
        }
        t->host->log(t->task, LEAT_WARN, "the next host is tried: %s", e->text);
    }
    return ERR_OK;
}

int pg_start(struct pg_task *t, struct pg_plan *plan, struct err *e)
{
    *plan = (struct pg_plan){.stream = false};
    int rc = begin(t, plan, e);
    if (rc != ERR_OK) {
        pg_disconnect(&plan->repl);
        return rc;
    }
    memcpy(t->stored.system_id, t->server.system_id, sizeof t->stored.system_id);
    t->stored.timeline = t->server.timeline;
    return ERR_OK;
}

int pg_start_validate(const struct leat_host *host, const struct leat_config *config, struct err *e)
{
    const char *slot = host->get_str(config, "slot.name");
    size_t n = strspn(slot, "abcdefghijklmnopqrstuvwxyz0123456789_");
    if (slot[n] || n == 0 || n > 63)
        return err_set(
            e, ERR_INVALID_CONFIG,
            "slot.name: '%s': a slot's name is of at most 63 lower-case letters, digits and underscores",
            slot);
    struct pg_params params;
    if (pg_params_read(host, config, &params, e) != ERR_OK)
        return e->code;
    pg_params_free(&params);
    return pg_identity_validate(host, config, e);
}
