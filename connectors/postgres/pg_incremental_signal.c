/*
 * pg_incremental_signal: what signals change of what is to be done. Task's thread.
 */
#include <string.h>

#include "base/mem.h"
#include "pg_incremental.h"

/* ---- execute ------------------------------------------------------------------------------------------------------ */

/* The filter that is meant for the table: named, or by an expression. NULL: none. */
static int find_condition(const struct pg_signal *s, const char *id, const char **out, struct err *e)
{
    *out = NULL;
    for (size_t i = 0; i < s->condition_count && !*out; i++) {
        struct cdc_regex *r;
        const char *name = s->conditions[i].collection;
        if (strcmp(name, id) != 0) {
            if (cdc_regex_new("additional-conditions", name, strlen(name), true, &r, e) != ERR_OK)
                return e->code;
            bool matches = cdc_regex_matches(r, id);
            cdc_regex_free(r);
            if (!matches)
                continue;
        }
        *out = s->conditions[i].filter;
    }
    return ERR_OK;
}

static bool has_table(const struct inc_request *r, const char *id)
{
    for (const struct inc_table *t = r->tables; t; t = t->next)
        if (strcmp(t->id, id) == 0)
            return true;
    return false;
}

static int add_table(struct inc_request *r, const struct pg_signal *s, const char *id, struct err *e)
{
    const char *condition;
    if (has_table(r, id))
        return ERR_OK;
    if (find_condition(s, id, &condition, e) != ERR_OK)
        return e->code;
    struct inc_table **tail = &r->tables, *t = mem_calloc(1, sizeof *t);
    if (!t)
        return err_nomem(e);
    while (*tail)
        tail = &(*tail)->next;
    *tail = t;
    t->id = mem_strdup(id);
    t->condition = condition ? mem_strdup(condition) : NULL;
    return t->id && (t->condition || !condition) ? ERR_OK : err_nomem(e);
}

/* Tables that an expression means, in the order of a snapshot; one that means none stays, to be reported. */
static int expand_one(struct inc_request *r, const struct pg_signal *s, const char *expression,
                      const struct snap_plan *all, struct err *e)
{
    struct cdc_regex *regex;
    bool any = false;
    int rc = cdc_regex_new("data-collections", expression, strlen(expression), true, &regex, e);
    if (rc != ERR_OK)
        return rc;
    for (const struct snap_table *t = all->tables; t && rc == ERR_OK; t = t->next)
        if (strcmp(t->id, expression) == 0 || cdc_regex_matches(regex, t->id)) {
            any = true;
            rc = add_table(r, s, t->id, e);
        }
    cdc_regex_free(regex);
    return rc == ERR_OK && !any ? add_table(r, s, expression, e) : rc;
}

static int expand(struct pg_incremental *i, struct inc_request *r, const struct pg_signal *s, struct err *e)
{
    /* The plan of a snapshot of all: it knows which partitions are tables of their own. */
    struct pg_snapshot all = {.t = i->t};
    static const struct snap_request every = {.space = "blocking", .blocking = true};
    int rc = pg_sql(i->t, e);
    all.sql = i->t->sql;
    if (rc == ERR_OK)
        rc = snap_plan_make(&all, &every, e);
    for (size_t c = 0; c < s->collection_count && rc == ERR_OK; c++)
        rc = expand_one(r, s, s->collections[c], &all.plan, e);
    snap_plan_free(&all.plan);
    return rc;
}

static int execute(struct pg_incremental *i, const char *id, const struct pg_signal *s, struct err *e)
{
    struct inc_request *r = mem_calloc(1, sizeof *r), **tail = &i->state.requests;
    if (!r)
        return err_nomem(e);
    r->blocking = s->blocking;
    r->id = mem_strdup(id);
    r->surrogate = s->surrogate_key ? mem_strdup(s->surrogate_key) : NULL;
    int rc = r->id && (r->surrogate || !s->surrogate_key) ? expand(i, r, s, e) : err_nomem(e);
    if (rc != ERR_OK) {
        inc_request_free(r);
        return rc;
    }
    while (*tail)
        tail = &(*tail)->next;
    *tail = r;
    /* Else it would be asked for again and again, as a signal of the stream comes again after a failure. */
    rc = inc_state_fits(&i->state, e);
    if (rc != ERR_OK) {
        *tail = NULL;
        inc_request_free(r);
    }
    return rc;
}

/* ---- stop --------------------------------------------------------------------------------------------------------- */

/* The chunk that was read, and how far the first table is, no longer count. */
static int forget_current(struct pg_incremental *i)
{
    int rc = i->state.requests->tables ? inc_tell_status(i, true) : LEAT_OK;
    inc_window_clear(&i->window);
    inc_chunk_clear(&i->chunk);
    inc_progress_clear(&i->state.progress);
    return rc;
}

static int drop_first(struct pg_incremental *i)
{
    struct inc_request *r = i->state.requests;
    int rc = forget_current(i);
    i->state.requests = r->next;
    inc_request_free(r);
    return rc;
}

static int stop_blocking(struct pg_incremental *i, struct inc_request **at)
{
    struct inc_request *r = *at;
    int rc = LEAT_OK;
    if (at == &i->state.requests && i->blocking) {
        pg_snapshot_close(i->blocking);
        i->blocking = NULL;
        rc = snap_state_forget(i->t, "blocking");
        if (rc == LEAT_OK)
            rc = cdc_notify(i->t->cdc, NULL, "ABORTED", "Initial Snapshot", NULL);
    }
    *at = r->next;
    inc_request_free(r);
    return rc;
}

/* All requests of the kind. */
static int stop_all(struct pg_incremental *i, bool blocking)
{
    int rc = LEAT_OK;
    for (struct inc_request **at = &i->state.requests; *at && rc == LEAT_OK;) {
        struct inc_request *r = *at;
        if (r->blocking != blocking) {
            at = &r->next;
        } else if (blocking) {
            rc = stop_blocking(i, at);
        } else {
            rc = inc_tell_event(i, r->id, "ABORTED", NULL);
            if (at == &i->state.requests) {
                rc = rc == LEAT_OK ? drop_first(i) : rc;
            } else {
                *at = r->next;
                inc_request_free(r);
            }
        }
    }
    return rc;
}

/* Takes the tables that match out of the request, into `out`. */
static int take_tables(struct pg_incremental *i, struct inc_request *r, const struct cdc_filter *list,
                       struct inc_table **out)
{
    int rc = LEAT_OK;
    for (struct inc_table **at = &r->tables; *at && rc == LEAT_OK;) {
        struct inc_table *t = *at;
        if (!cdc_filter_matches(list, t->id)) {
            at = &t->next;
            continue;
        }
        if (r == i->state.requests && at == &r->tables)
            rc = forget_current(i);
        *at = t->next;
        t->next = NULL;
        *out = t;
        out = &t->next;
    }
    return rc;
}

static int stop_some(struct pg_incremental *i, const struct pg_signal *s, struct err *e)
{
    struct cdc_filter list;
    if (cdc_filter_read("data-collections", (const char *const *)s->collections, s->collection_count, &list,
                        e) != ERR_OK)
        return snap_fail(i->t, e);
    int rc = LEAT_OK;
    for (struct inc_request *r = i->state.requests; r && rc == LEAT_OK; r = r->next) {
        struct inc_table *taken = NULL;
        if (r->blocking)
            continue;
        rc = take_tables(i, r, &list, &taken);
        if (rc == LEAT_OK && taken)
            rc = inc_tell_event(i, r->id, "ABORTED", taken);
        inc_table_free(taken);
    }
    cdc_filter_free(&list);
    return rc;
}

/* ---- all ---------------------------------------------------------------------------------------------------------- */

static int pause(struct pg_incremental *i, bool paused)
{
    const struct inc_request *r = i->state.requests;
    if (i->state.paused == paused)
        return LEAT_OK;
    i->state.paused = paused;
    return r && !r->blocking ? inc_tell_event(i, r->id, paused ? "PAUSED" : "RESUMED", r->tables) : LEAT_OK;
}

/* Debezium puts its offset into the place of {}. */
static void log_message(struct pg_incremental *i, const char *message)
{
    const char *at = strstr(message, "{}");
    char lsn[PG_LSN_TEXT];
    if (!at) {
        i->t->host->log(i->t->task, LEAT_INFO, "%s", message);
        return;
    }
    pg_lsn_text(i->last.lsn ? i->last.lsn : i->t->stored.lsn_commit, lsn);
    i->t->host->log(i->t->task, LEAT_INFO, "%.*s%s%s", (int)(at - message), message, lsn, at + 2);
}

int inc_take_signal(struct pg_incremental *i, const char *id, const struct pg_signal *s)
{
    struct err e;
    int rc = LEAT_OK;
    switch (s->kind) {
    case PG_SIGNAL_EXECUTE:
        rc = execute(i, id, s, &e);
        if (rc != ERR_OK && e.retriable)
            return snap_fail(i->t, &e);
        if (rc != ERR_OK)
            i->t->host->log(i->t->task, LEAT_ERROR, "signal %s is left out: %s", id, e.text);
        rc = LEAT_OK;
        break;
    case PG_SIGNAL_STOP:
        rc = s->collection_count && !s->blocking ? stop_some(i, s, &e) : stop_all(i, s->blocking);
        break;
    case PG_SIGNAL_PAUSE:
    case PG_SIGNAL_RESUME:
        rc = pause(i, s->kind == PG_SIGNAL_PAUSE);
        break;
    case PG_SIGNAL_LOG:
        log_message(i, s->message);
        return LEAT_OK;
    default:
        return LEAT_OK;
    }
    return rc == LEAT_OK ? inc_state_store(i->t, &i->state) : rc;
}
