/*
 * pg_history: the history of a timeline is had over a replication connection (TIMELINE_HISTORY), for any role that replicates.
 */
#include "pg_history.h"

#include <stdio.h>
#include <string.h>

#define NUMBER_DIGITS_MAX 10

/* A timeline's number and the LSN behind it; false: the line has none, as comments and empty ones. */
static bool read_line(const char *p, size_t n, uint32_t *timeline, uint64_t *lsn)
{
    char at[PG_LSN_TEXT];
    uint64_t number = 0;
    size_t i = 0, digits = 0;
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '9' && digits < NUMBER_DIGITS_MAX; i++, digits++)
        number = number * 10 + (uint64_t)(p[i] - '0');
    if (digits == 0 || number > UINT32_MAX)
        return false;
    while (i < n && (p[i] == ' ' || p[i] == '\t'))
        i++;
    size_t from = i;
    while (i < n && p[i] != ' ' && p[i] != '\t' && p[i] != '\r')
        i++;
    if (i - from >= sizeof at)
        return false;
    memcpy(at, p + from, i - from);
    at[i - from] = '\0';
    *timeline = (uint32_t)number;
    return pg_lsn_parse(at, lsn);
}

bool pg_history_find(const char *text, size_t n, uint32_t timeline, uint64_t *left)
{
    const char *end = text + n;
    for (const char *p = text; p < end;) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        size_t len = (size_t)((line_end ? line_end : end) - p);
        uint32_t number;
        if (read_line(p, len, &number, left) && number == timeline)
            return true;
        p += len + 1;
    }
    return false;
}

int pg_history_branch(struct pg_task *t, PGconn *repl, enum pg_branch *out, uint64_t *left, struct err *e)
{
    uint32_t ours = t->stored.timeline, theirs = t->server.timeline;
    *out = PG_BRANCH_SAME;
    if (!t->stored.any || !ours || !theirs || ours == theirs)
        return ERR_OK;
    if (theirs < ours) {
        *out = PG_BRANCH_OTHER;
        return ERR_OK;
    }
    char sql[64];
    snprintf(sql, sizeof sql, "TIMELINE_HISTORY %u", theirs);
    PGresult *r = pg_query(repl, e, "cannot read the history of the server's timeline", sql, 0, NULL);
    if (!r)
        return e->code;
    if (PQntuples(r) != 1 || PQnfields(r) != 2 ||
        !pg_history_find(PQgetvalue(r, 0, 1), (size_t)PQgetlength(r, 0, 1), ours, left))
        *out = PG_BRANCH_OTHER;
    else if (*left < t->stored.lsn_commit)
        *out = PG_BRANCH_LOST;
    PQclear(r);
    return ERR_OK;
}
