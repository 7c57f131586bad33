/*
 * pg_incremental_blocking: a blocking snapshot, asked for by a signal: an ordinary one of some tables, a poll a step, while the
 * stream rests. Task's thread.
 */
#include "base/mem.h"
#include "pg_incremental.h"

/* Names of tables as expressions that match nothing else. */
static int literal_filter(const struct inc_table *tables, struct cdc_filter *out, struct err *e)
{
    size_t n = 0, k = 0;
    for (const struct inc_table *t = tables; t; t = t->next)
        n++;
    char **items = mem_calloc(n + 1, sizeof *items);
    int rc = items ? ERR_OK : err_nomem(e);
    for (const struct inc_table *t = tables; t && rc == ERR_OK; t = t->next, k++)
        if (!(items[k] = mem_printf("\\Q%s\\E", t->id)))
            rc = err_nomem(e);
    if (rc == ERR_OK)
        rc = cdc_filter_read("data-collections", (const char *const *)items, n, out, e);
    for (size_t j = 0; items && j < k; j++)
        mem_free(items[j]);
    mem_free(items);
    return rc;
}

static int begin_blocking(struct pg_incremental *i)
{
    struct err e;
    struct cdc_filter list = {0};
    struct inc_request *r = i->state.requests;
    size_t n = 0;
    for (const struct inc_table *t = r->tables; t; t = t->next)
        n++;
    struct snap_condition *conditions = mem_calloc(n + 1, sizeof *conditions);
    if (!conditions)
        return i->t->host->fail(i->t->task, LEAT_RETRY, "out of memory");
    struct snap_request request = {.lsn = i->t->stored.lsn_commit,
                                   .last_commit = i->t->stored.last_commit,
                                   .space = "blocking",
                                   .blocking = true,
                                   .fresh = !r->started,
                                   .collections = &list,
                                   .conditions = conditions};
    for (const struct inc_table *t = r->tables; t; t = t->next)
        if (t->condition)
            conditions[request.condition_count++] = (struct snap_condition){t->id, t->condition};
    int rc = literal_filter(r->tables, &list, &e) == ERR_OK ? pg_snapshot_begin(i->t, &request, &i->blocking)
                                                            : snap_fail(i->t, &e);
    cdc_filter_free(&list);
    mem_free(conditions);
    r->started = true;
    return rc == LEAT_OK ? inc_state_store(i->t, &i->state) : rc;
}

/* What the stream brought must be visible, or the snapshot would have rows from before it, behind it: else i->busy. */
static int await_visible(struct pg_incremental *i)
{
    struct err e;
    struct inc_window look = {.strategy = INC_READ_ONLY};
    int rc = pg_sql(i->t, &e);
    if (rc == ERR_OK)
        rc = inc_window_low(i->t, i->t->sql, i->recent, INC_RECENT, &look, &e);
    inc_window_clear(&look);
    i->busy = rc == ERR_BUSY;
    return rc == ERR_OK || i->busy ? LEAT_OK : snap_fail(i->t, &e);
}

int inc_step_blocking(struct pg_incremental *i)
{
    bool done = false;
    int rc = LEAT_OK;
    if (!i->blocking) {
        rc = await_visible(i);
        if (rc != LEAT_OK || i->busy)
            return rc;
        rc = begin_blocking(i);
    }
    if (rc == LEAT_OK)
        rc = pg_snapshot_poll(i->blocking, &done);
    if (rc != LEAT_OK || !done)
        return rc;
    pg_snapshot_close(i->blocking);
    i->blocking = NULL;
    struct inc_request *r = i->state.requests;
    i->state.requests = r->next;
    inc_request_free(r);
    return inc_state_store(i->t, &i->state);
}
