/*
 * pg_query: statements, whose waiting ends with the task, and the server's errors as ours: code, whether they may pass, and a
 * text with the SQLSTATE. Any thread, one a connection.
 */
#include "pg_query.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* ---- errors ----------------------------------------------------------------------------------------------------- */

struct meaning {
    const char *state; /* SQLSTATE or its first letters; the first row that fits counts */
    int code;
    bool retriable;
};

/* https://www.postgresql.org/docs/current/errcodes-appendix.html */
static const struct meaning meanings[] = {
    {"28", ERR_AUTHENTICATION, false},    /* password, pg_hba.conf */
    {"3D000", ERR_INVALID_CONFIG, false}, /* no such database */
    {"53", ERR_REMOTE, true},             /* too many connections, disk full, out of memory */
    {"08", ERR_CONNECTION, true},         /* connection */
    {"57P", ERR_CONNECTION, true},        /* shut down, starting up */
    {"57014", ERR_REMOTE, true},          /* cancelled, statement_timeout */
    {"40", ERR_REMOTE, true},             /* deadlock, serialization */
    {"55006", ERR_BUSY, true},            /* object in use: the slot is active */
    {"55P03", ERR_BUSY, true},            /* lock not available */
    {"25006", ERR_REMOTE, true},          /* read only: it became a standby */
    {"58", ERR_REMOTE, true},             /* the server's own files */
    /* Internal errors: decoding a transaction that is rolled back at that moment may end with one (could not map filenode), and
       goes well when it is read again. Where it does not pg_stream knows. */
    {"XX", ERR_REMOTE, true},
    {"42501", ERR_PERMISSION, false},  /* insufficient privilege */
    {"42704", ERR_NOT_FOUND, false},   /* undefined object */
    {"42P01", ERR_NOT_FOUND, false},   /* undefined table */
    {"42703", ERR_INVALID, false},     /* undefined column */
    {"42710", ERR_EXISTS, false},      /* duplicate object */
    {"23505", ERR_EXISTS, false},      /* duplicate key: of a catalog, somebody else made it just now */
    {"0A000", ERR_UNSUPPORTED, false}, /* feature not supported */
    {"", ERR_REMOTE, false},
};

static const struct meaning *meaning_of(const char *state)
{
    const struct meaning *m = meanings;
    while (strncmp(state, m->state, strlen(m->state)) != 0)
        m++;
    return m;
}

static int set_error(struct err *e, const char *state, const char *text)
{
    const struct meaning *m = meaning_of(state);
    err_set(e, m->code, "%s (SQLSTATE %s)", text, state);
    e->retriable = m->retriable;
    return e->code;
}

/* libpq's texts end in a line end and may have several lines. */
static void one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;
    for (; *text && n + 1 < size; text++)
        if (*text != '\n')
            out[n++] = *text;
        else if (text[1])
            out[n++] = ' ';
    out[n] = '\0';
}

/* "FATAL:  28P01: password ..." of the verbose form: five letters or digits between two colons. */
static const char *find_state(const char *text, char state[6])
{
    for (const char *p = strstr(text, ":  "); p; p = strstr(p + 1, ":  ")) {
        size_t n = strspn(p + 3, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (n == 5 && p[8] == ':' && p[9] == ' ') {
            memcpy(state, p + 3, 5);
            state[5] = '\0';
            return p + 10;
        }
    }
    return NULL;
}

/*
 * What libpq itself, or its TLS library, says of a connection that no waiting makes: there is no code for it, only the text
 * (libpq speaks English, as nobody sets a locale here). A network that fails in the middle of a handshake is none of these.
 */
static bool is_of_settings(const char *text)
{
    static const char *const parts[] = {
        "certificate verify failed", "does not match host name", "root certificate file",
        "certificate file",          "private key file",         "could not load private key",
        "but SSL was required", /* server does not support SSL, ... */
        "alert unknown ca",          "alert certificate",        "alert bad certificate",
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(text, parts[i]))
            return true;
    return false;
}

int pg_connect_error(const PGconn *c, struct err *e)
{
    char text[ERR_TEXT_MAX / 2], state[6];
    one_line(PQerrorMessage(c), text, sizeof text);
    const char *message = find_state(text, state);
    if (!message) {
        bool ours = PQconnectionNeedsPassword(c) || is_of_settings(text);
        /* libpq 15 does not tell why. */
        bool verify = strstr(text, "certificate verify failed") != NULL;
        return err_set(e, ours ? ERR_AUTHENTICATION : ERR_CONNECTION, "%s%s", text,
                       verify ? " (the server's certificate is not signed by what database.sslrootcert has, "
                                "or has expired)"
                              : "");
    }
    char *location = strstr(text, " LOCATION: ");
    if (location)
        *location = '\0';
    return set_error(e, state, message);
}

static void add_field(const PGresult *r, int field, const char *before, char *text, size_t size)
{
    const char *value = PQresultErrorField(r, field);
    size_t n = strlen(text);
    if (value && n + 1 < size) {
        char line[ERR_TEXT_MAX / 3];
        one_line(value, line, sizeof line);
        snprintf(text + n, size - n, "%s%s", before, line);
    }
}

int pg_error(PGconn *c, PGresult *r, const char *what, struct err *e)
{
    char text[ERR_TEXT_MAX / 2] = "";
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    if (state) {
        add_field(r, PG_DIAG_MESSAGE_PRIMARY, "", text, sizeof text);
        add_field(r, PG_DIAG_MESSAGE_DETAIL, "; ", text, sizeof text);
        add_field(r, PG_DIAG_MESSAGE_HINT, "; ", text, sizeof text);
        set_error(e, state, text);
    } else {
        one_line(PQerrorMessage(c), text, sizeof text);
        err_set(e, ERR_CONNECTION, "%s", text[0] ? text : "the connection was lost");
    }
    PQclear(r);
    return err_wrap(e, "%s", what);
}

/* ---- statements ------------------------------------------------------------------------------------------------- */

/* Sends what is buffered and waits until a result can be had without waiting. */
static int await_result(PGconn *c, int64_t deadline_ms, struct err *e)
{
    int left;
    while ((left = PQflush(c)) > 0)
        if (pg_wait(c, true, deadline_ms, e) != ERR_OK)
            return e->code;
    while (left == 0 && PQisBusy(c)) {
        if (pg_wait(c, false, deadline_ms, e) != ERR_OK)
            return e->code;
        if (!PQconsumeInput(c))
            left = -1;
    }
    return ERR_OK; /* of a connection that is lost PQgetResult tells */
}

static bool is_fine(const PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
    case PGRES_TUPLES_OK:
    case PGRES_COPY_BOTH:
    case PGRES_COPY_OUT:
    case PGRES_EMPTY_QUERY:
        return true;
    default:
        return false;
    }
}

static bool is_copy(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);
    return s == PGRES_COPY_BOTH || s == PGRES_COPY_OUT || s == PGRES_COPY_IN;
}

/* A user's statement may be a COPY FROM STDIN. Its result comes again and again until rows are sent, of which there are none. */
static PGresult *refuse_rows(PGresult *r, const char *what, struct err *e)
{
    PQclear(r);
    err_set(e, ERR_INVALID_CONFIG, "%s: COPY ... FROM STDIN wants rows, and there are none", what);
    return NULL;
}

/* The last result counts, or the first error. */
static PGresult *take_results(PGconn *c, const char *what, int64_t deadline_ms, struct err *e)
{
    PGresult *kept = NULL, *r;
    for (;;) {
        if (await_result(c, deadline_ms, e) != ERR_OK) {
            PQclear(kept);
            err_wrap(e, "%s", what);
            return NULL;
        }
        r = PQgetResult(c);
        if (!r)
            break;
        if (kept && !is_fine(kept)) {
            PQclear(r);
            continue;
        }
        PQclear(kept);
        kept = r;
        if (is_copy(r)) /* goes on until the caller has read it */
            break;
    }
    if (kept && PQresultStatus(kept) == PGRES_COPY_IN)
        return refuse_rows(kept, what, e);
    if (!kept || !is_fine(kept)) {
        pg_error(c, kept, what, e);
        return NULL;
    }
    return kept;
}

PGresult *pg_query(PGconn *c, struct err *e, const char *what, const char *sql, int n,
                   const char *const *params)
{
    const struct pg_owner *o = pg_owner(c);
    /* Without parameters the simple protocol: several statements, and the commands of replication, have no other. */
    int sent = n == 0 ? PQsendQuery(c, sql) : PQsendQueryParams(c, sql, n, NULL, params, NULL, NULL, 0);
    if (!sent) {
        pg_error(c, NULL, what, e);
        return NULL;
    }
    return take_results(c, what, o->query_ms > 0 ? clock_mono_ms() + o->query_ms : -1, e);
}

/* ---- quoting ---------------------------------------------------------------------------------------------------- */

static int quote(struct buf *out, const char *text, char mark, struct err *e)
{
    int rc = buf_u8(out, (uint8_t)mark, e);
    for (; rc == ERR_OK && *text; text++) {
        if (*text == mark)
            rc = buf_u8(out, (uint8_t)mark, e);
        if (rc == ERR_OK)
            rc = buf_u8(out, (uint8_t)*text, e);
    }
    return rc == ERR_OK ? buf_u8(out, (uint8_t)mark, e) : rc;
}

int pg_quote_name(struct buf *out, const char *name, struct err *e)
{
    return quote(out, name, '"', e);
}

/* With a backslash the form that is the same whatever standard_conforming_strings says. */
int pg_quote_text(struct buf *out, const char *text, struct err *e)
{
    if (!strchr(text, '\\'))
        return quote(out, text, '\'', e);
    int rc = buf_str(out, " E'", e);
    for (; rc == ERR_OK && *text; text++) {
        if (*text == '\'' || *text == '\\')
            rc = buf_u8(out, (uint8_t)*text, e);
        if (rc == ERR_OK)
            rc = buf_u8(out, (uint8_t)*text, e);
    }
    return rc == ERR_OK ? buf_u8(out, '\'', e) : rc;
}
