/*
 * pg_conn: connections to PostgreSQL that end when the task is asked to stop, and errors with their SQLSTATE, context and
 * remedy. Task's thread, or a thread of the task's own with a struct of its own.
 */
#ifndef LEAT_PG_CONN_H
#define LEAT_PG_CONN_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "leat/plugin.h"

/* database.* options; several hosts ("a,b", ports likewise) are tried in turn, and asked for the one that can write. */
struct pg_settings;
struct pg_settings *pg_settings_new(const struct leat_host *host, const struct leat_config *config,
                                    struct err *e);
void pg_settings_free(struct pg_settings *s);

enum pg_purpose {
    PG_SQL,
    PG_AS_SET, /* with the settings of the database and the role, not with pg_types_session_options: reads no values */
    PG_REPLICATION
};

/*
 * Connects; waits with host->wait, so a stop ends it (ERR_INTERRUPTED). ERR_CONNECTION may pass; ERR_AUTHENTICATION and
 * ERR_INVALID_CONFIG will not. Text: host, port, database, user and the server's words, never the password.
 */
int pg_connect(struct leat_task *t, const struct leat_host *host, const struct pg_settings *s,
               enum pg_purpose purpose, PGconn **out, struct err *e);
/* From now on connections go to the host of this one alone: what is learnt of one server must not be used on another. */
void pg_pin(struct pg_settings *s, const PGconn *c);
/* That host will not do. False: there is no other. */
bool pg_refuse(struct pg_settings *s);
void pg_disconnect(PGconn **c);

/* Runs a statement that gives rows or none. NULL with `e`: text has the statement's purpose, the server's words, SQLSTATE. */
PGresult *pg_query(PGconn *c, struct err *e, const char *what, const char *sql, int n,
                   const char *const *params);
/* How long each statement may take from now on; 0: no limit. */
void pg_limit(PGconn *c, int64_t ms);
/* For what a stop is to do: statements go on though the task is asked to stop, each for at most `ms`. */
void pg_go_on(PGconn *c, int64_t ms);
/*
 * Asks the server to give up the statement that is under way, or several; what comes of them is not waited for. Waits 2 s at
 * most for a server that does not answer; a request that fails is logged. The handles stay the caller's.
 */
void pg_cancel(PGconn *c);
void pg_cancel_statements(struct leat_task *t, const struct leat_host *host, PGcancel *const *statements,
                          size_t n);
/* Of a failed result or connection; retriable by SQLSTATE class (08, 53, 57P, 40, 55006 ...). Clears `r`. */
int pg_error(PGconn *c, PGresult *r, const char *what, struct err *e);

/* Appends the name quoted as an identifier; the text as a literal. */
int pg_quote_name(struct buf *out, const char *name, struct err *e);
int pg_quote_text(struct buf *out, const char *text, struct err *e);

/* "16/B374D848" and back. False: no LSN. */
#define PG_LSN_TEXT 18
void pg_lsn_text(uint64_t lsn, char out[PG_LSN_TEXT]);
bool pg_lsn_parse(const char *text, uint64_t *lsn);

#endif
