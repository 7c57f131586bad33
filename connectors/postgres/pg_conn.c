/*
 * pg_conn: connecting. Each host of the list is tried by itself and with its own time-out, as libpq's waiting would neither
 * end with the task nor leave a host that does not answer. What was learnt of a connection's task stays with it as libpq's
 * instance data, so that queries (pg_query.c) end with the task too. Any thread.
 */
#include "pg_conn.h"

#include <errno.h>
#include <inttypes.h>
#include <libpq-events.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "pg_query.h"
#include "pg_settings.h"
#include "pg_types.h"

#define WAIT_SLICE_MS 50 /* how soon a stop is seen; other threads than the task's may not call host->wait */
#define PARAMETERS_MAX 24
#define IN_TRANSACTION_SINCE 90600 /* idle_in_transaction_session_timeout */
#define SESSION_SINCE 140000       /* idle_session_timeout */
#define SEVERAL_SINCE 150000       /* statements at once over a replication connection */

/* ---- what belongs to a connection ------------------------------------------------------------------------------- */

static int on_event(PGEventId id, void *info, void *arg)
{
    (void)arg;
    if (id == PGEVT_CONNDESTROY) {
        PGconn *conn = ((PGEventConnDestroy *)info)->conn;
        mem_free(PQinstanceData(conn, on_event));
    }
    return 1;
}

const struct pg_owner *pg_owner(const PGconn *c)
{
    return PQinstanceData(c, on_event);
}

void pg_limit(PGconn *c, int64_t ms)
{
    struct pg_owner *o = PQinstanceData(c, on_event);
    o->query_ms = ms;
}

void pg_go_on(PGconn *c, int64_t ms)
{
    struct pg_owner *o = PQinstanceData(c, on_event);
    o->goes_on = true;
    o->query_ms = ms;
}

static int set_owner(PGconn *c, struct leat_task *t, const struct leat_host *host, int64_t query_ms,
                     struct err *e)
{
    struct pg_owner *o = mem_alloc(sizeof *o);
    if (!o)
        return err_nomem(e);
    *o = (struct pg_owner){.task = t, .host = host, .query_ms = query_ms};
    if (!PQregisterEventProc(c, on_event, "leat", NULL)) {
        mem_free(o);
        return err_nomem(e);
    }
    if (!PQsetInstanceData(c, on_event, o)) {
        mem_free(o);
        return err_nomem(e);
    }
    return ERR_OK;
}

int pg_wait(const PGconn *c, bool to_write, int64_t deadline_ms, struct err *e)
{
    const struct pg_owner *o = pg_owner(c);
    struct pollfd p = {.fd = PQsocket(c), .events = to_write ? POLLOUT : POLLIN};
    for (;;) {
        if (!o->goes_on && o->host->stopping(o->task)) {
            err_set(e, ERR_INTERRUPTED, "stopped on request");
            e->retriable = true; /* the task did not fail */
            return e->code;
        }
        int64_t left = deadline_ms < 0 ? WAIT_SLICE_MS : deadline_ms - clock_mono_ms();
        if (left <= 0)
            return err_set(e, ERR_TIMEOUT, "no answer in time");
        int n = poll(&p, 1, left < WAIT_SLICE_MS ? (int)left : WAIT_SLICE_MS);
        /* What the TLS layer has read and libpq had no room for is not seen by poll: the caller looks again. */
        if (n > 0 || (n == 0 && !to_write && PQsslInUse((PGconn *)(uintptr_t)c)))
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return err_sys(e, errno, "poll");
    }
}

/* ---- one host --------------------------------------------------------------------------------------------------- */

struct parameters {
    const char *names[PARAMETERS_MAX], *values[PARAMETERS_MAX];
    size_t n;
};

static void give(struct parameters *p, const char *name, const char *value)
{
    if (!value || !value[0])
        return;
    p->names[p->n] = name;
    p->values[p->n++] = value;
}

static void give_all(struct parameters *p, const struct pg_settings *s, const struct pg_host *h,
                     enum pg_purpose purpose)
{
    give(p, "host", h->name);
    give(p, "port", h->port);
    give(p, "user", s->user);
    give(p, "password", s->password);
    give(p, "dbname", s->dbname);
    give(p, "sslmode", s->sslmode);
    give(p, "sslcert", s->sslcert);
    give(p, "sslkey", s->sslkey);
    give(p, "sslpassword", s->sslpassword);
    give(p, "sslrootcert", s->sslrootcert);
    give(p, "target_session_attrs", s->target);
    give(p, "application_name", "leat");
    give(p, "client_encoding", "UTF8");
    if (purpose != PG_AS_SET)
        give(p, "options", pg_types_session_options);
    /* A peer that is gone is noticed within a minute, also where data waits to be sent. */
    give(p, "keepalives", s->keepalive ? "1" : "0");
    give(p, "keepalives_idle", "30");
    give(p, "keepalives_interval", "10");
    give(p, "keepalives_count", "3");
    give(p, "tcp_user_timeout", "60000");
    if (purpose == PG_REPLICATION)
        give(p, "replication", "database");
}

static int connect_loop(PGconn *c, int64_t deadline_ms, struct err *e)
{
    PostgresPollingStatusType status = PGRES_POLLING_WRITING;
    while (status == PGRES_POLLING_WRITING || status == PGRES_POLLING_READING) {
        if (pg_wait(c, status == PGRES_POLLING_WRITING, deadline_ms, e) != ERR_OK)
            return e->code == ERR_TIMEOUT ? err_set(e, ERR_CONNECTION, "no answer in time") : e->code;
        status = PQconnectPoll(c);
    }
    return status == PGRES_POLLING_OK ? ERR_OK : pg_connect_error(c, e);
}

/*
 * The role or the database may have it that a session which waits is ended. Ours wait for what comes; the one that made the slot, in
 * a transaction, while tables are read.
 */
static int stay(PGconn *c, struct err *e)
{
    static const char both[] = "SELECT set_config('idle_in_transaction_session_timeout', '0', false), "
                               "set_config('idle_session_timeout', '0', false)";
    static const char first[] = "SELECT set_config('idle_in_transaction_session_timeout', '0', false)";
    int version = PQserverVersion(c);
    if (version < IN_TRANSACTION_SINCE) /* that it is too old is told by who looks at it */
        return ERR_OK;
    PGresult *r = pg_query(c, e, "preparing the session", version < SESSION_SINCE ? first : both, 0, NULL);
    PQclear(r);
    return r ? ERR_OK : e->code;
}

/* They must be over before the connection is used: rows of a COPY would come for ever in the place of answers. */
static int run_initial(PGconn *c, const char *sql, struct err *e)
{
    static const char what[] = "database.initial.statements";
    PGresult *r = pg_query(c, e, what, sql, 0, NULL);
    if (!r)
        return e->code;
    bool copies = PQresultStatus(r) == PGRES_COPY_OUT;
    PQclear(r);
    return copies ? err_set(e, ERR_INVALID_CONFIG, "%s: nobody reads the rows of COPY ... TO STDOUT", what)
                  : ERR_OK;
}

/* Of the first of some statements: the semicolon behind it, which is in no quotes, or the end of all. */
static const char *statement_end(const char *p)
{
    for (char quote = '\0'; *p && (quote || *p != ';'); p++)
        if (quote ? *p == quote : *p == '\'' || *p == '"')
            quote = quote ? '\0' : *p;
    return p;
}

/* Before version 15 a replication connection takes them one at a time. */
static int run_each(PGconn *c, const char *sql, struct err *e)
{
    int rc = ERR_OK;
    while (rc == ERR_OK && *(sql += strspn(sql, "; \t\r\n"))) {
        const char *end = statement_end(sql);
        char *one = mem_strndup(sql, (size_t)(end - sql));
        rc = one ? run_initial(c, one, e) : err_nomem(e);
        mem_free(one);
        sql = end;
    }
    return rc;
}

static int prepare_session(PGconn *c, const struct pg_settings *s, enum pg_purpose purpose, struct err *e)
{
    int rc = stay(c, e);
    if (rc != ERR_OK || !s->initial || !s->initial[0])
        return rc;
    return purpose == PG_REPLICATION && PQserverVersion(c) < SEVERAL_SINCE ? run_each(c, s->initial, e)
                                                                           : run_initial(c, s->initial, e);
}

static int connect_host(struct leat_task *t, const struct leat_host *host, const struct pg_settings *s,
                        const struct pg_host *h, enum pg_purpose purpose, PGconn **out, struct err *e)
{
    struct parameters p = {.n = 0};
    give_all(&p, s, h, purpose);
    PGconn *c = PQconnectStartParams(p.names, p.values, 0);
    if (!c)
        return err_nomem(e);
    PQsetErrorVerbosity(c, PQERRORS_VERBOSE); /* for the SQLSTATE, which is had in no other way */
    int rc = set_owner(c, t, host, s->query_ms, e);
    if (rc == ERR_OK)
        rc = PQstatus(c) == CONNECTION_BAD ? pg_connect_error(c, e)
                                           : connect_loop(c, clock_mono_ms() + s->connect_ms, e);
    PQsetErrorVerbosity(c, PQERRORS_DEFAULT);
    if (rc == ERR_OK)
        rc = prepare_session(c, s, purpose, e);
    if (rc == ERR_OK)
        *out = c;
    else
        PQfinish(c);
    return rc;
}

/* libpq takes a file of a certificate that is not there for none: the server's answer would not tell why. */
static int has_certificate(const struct pg_settings *s, struct err *e)
{
    if (!s->sslcert || !s->sslcert[0] || access(s->sslcert, R_OK) == 0)
        return ERR_OK;
    int saved = errno;
    err_sys(e, saved, "database.sslcert: the certificate file %s", s->sslcert);
    e->code = ERR_AUTHENTICATION;
    e->retriable = false;
    return e->code;
}

int pg_connect(struct leat_task *t, const struct leat_host *host, const struct pg_settings *s,
               enum pg_purpose purpose, PGconn **out, struct err *e)
{
    struct err last;
    bool tried = false;
    *out = NULL;
    if (has_certificate(s, e) != ERR_OK)
        return e->code;
    for (size_t i = 0; i < s->host_count; i++) {
        const struct pg_host *h = &s->hosts[i];
        if (s->refused[i] || (s->pinned && s->pinned != i + 1))
            continue;
        int rc = connect_host(t, host, s, h, purpose, out, &last);
        if (rc == ERR_OK)
            return ERR_OK;
        err_wrap(&last, "cannot connect to PostgreSQL at %s port %s, database %s, as %s", h->name, h->port,
                 s->dbname, s->user);
        if (!tried || rc == ERR_INTERRUPTED) {
            *e = last;
        } else {
            /* As long as one of them may come back the task waits for it. */
            bool retriable = e->retriable || last.retriable;
            char before[ERR_TEXT_MAX];
            memcpy(before, e->text, sizeof before);
            err_set(e, last.retriable ? last.code : e->code, "%s; %s", before, last.text);
            e->retriable = retriable;
        }
        tried = true;
        if (rc == ERR_INTERRUPTED)
            break;
    }
    return e->code;
}

void pg_pin(struct pg_settings *s, const PGconn *c)
{
    for (size_t i = 0; i < s->host_count && !s->pinned; i++)
        if (strcmp(PQhost(c), s->hosts[i].name) == 0 && strcmp(PQport(c), s->hosts[i].port) == 0)
            s->pinned = i + 1;
}

bool pg_refuse(struct pg_settings *s)
{
    bool left = false;
    s->refused[s->pinned - 1] = true;
    s->pinned = 0;
    for (size_t i = 0; i < s->host_count; i++)
        left |= !s->refused[i];
    return left;
}

void pg_disconnect(PGconn **c)
{
    if (*c)
        PQfinish(*c);
    *c = NULL;
}

/* ---- LSNs ------------------------------------------------------------------------------------------------------- */

void pg_lsn_text(uint64_t lsn, char out[PG_LSN_TEXT])
{
    snprintf(out, PG_LSN_TEXT, "%" PRIX32 "/%" PRIX32, (uint32_t)(lsn >> 32), (uint32_t)lsn);
}

/* Up to eight hexadecimal digits; NULL: there are none. */
static const char *parse_half(const char *text, uint32_t *out)
{
    uint32_t v = 0;
    int n = 0;
    for (; n < 8; n++, text++) {
        int digit;
        if (*text >= '0' && *text <= '9')
            digit = *text - '0';
        else if (*text >= 'A' && *text <= 'F')
            digit = *text - 'A' + 10;
        else if (*text >= 'a' && *text <= 'f')
            digit = *text - 'a' + 10;
        else
            break;
        v = v << 4 | (uint32_t)digit;
    }
    *out = v;
    return n ? text : NULL;
}

bool pg_lsn_parse(const char *text, uint64_t *lsn)
{
    uint32_t high, low;
    const char *p = parse_half(text, &high);
    if (!p || *p != '/')
        return false;
    p = parse_half(p + 1, &low);
    if (!p || *p)
        return false;
    *lsn = (uint64_t)high << 32 | low;
    return true;
}
