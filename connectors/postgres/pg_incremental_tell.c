/*
 * pg_incremental_tell: notifications of incremental snapshots as Debezium sends them: their id is the signal's. Task's thread.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "pg_incremental.h"

#define AGGREGATE "Incremental Snapshot"

static int no_memory(struct pg_incremental *i)
{
    return i->t->host->fail(i->t->task, LEAT_RETRY, "out of memory");
}

int inc_tell_status(struct pg_incremental *i, bool is_done)
{
    char json[128], *key = mem_printf("incremental %s", i->state.requests->tables->id);
    if (!key)
        return no_memory(i);
    snprintf(json, sizeof json, "{\"state\":\"reading\",\"rows\":%" PRIu64 "}",
             i->state.progress.rows + i->chunk.rows);
    int rc = i->t->host->status(i->t->task, key, is_done ? NULL : json);
    mem_free(key);
    return rc;
}

int inc_tell_event(struct pg_incremental *i, const char *id, const char *type, const struct inc_table *tables)
{
    char *ids = inc_table_ids(tables);
    if (!ids)
        return no_memory(i);
    const char *const data[] = {"data_collections", ids, NULL};
    int rc = cdc_notify(i->t->cdc, id, type, AGGREGATE, tables ? data : NULL);
    mem_free(ids);
    return rc;
}

int inc_tell_started(struct pg_incremental *i, const struct inc_request *r)
{
    return inc_tell_event(i, r->id, "STARTED", r->tables);
}

int inc_tell_completed(struct pg_incremental *i, const struct inc_request *r)
{
    i->t->host->log(i->t->task, LEAT_INFO, "incremental snapshot %s: done", r->id);
    return cdc_notify(i->t->cdc, r->id, "COMPLETED", AGGREGATE, NULL);
}

/* A key's values with commas. */
static char *join(char *const *values, size_t n)
{
    struct buf b;
    struct err e;
    buf_init(&b, SIZE_MAX / 2);
    int rc = buf_reserve(&b, 1, &e);
    for (size_t k = 0; k < n && rc == ERR_OK; k++)
        if ((rc = buf_str(&b, values[k], &e)) == ERR_OK && k + 1 < n)
            rc = buf_u8(&b, ',', &e);
    char *text = rc == ERR_OK ? mem_strndup((const char *)b.data, b.len) : NULL;
    buf_free(&b);
    return text;
}

int inc_tell_progress(struct pg_incremental *i, char *const *last)
{
    const struct inc_request *r = i->state.requests;
    size_t n = i->state.progress.n;
    char *ids = inc_table_ids(r->tables), *max = join(i->state.progress.max, n), *at = join(last, n);
    int rc = inc_tell_status(i, false);
    if (rc == LEAT_OK && ids && max && at) {
        const char *const data[] = {"current_collection_in_progress",
                                    r->tables->id,
                                    "maximum_key",
                                    max,
                                    "last_processed_key",
                                    at,
                                    "data_collections",
                                    ids,
                                    NULL};
        rc = cdc_notify(i->t->cdc, r->id, "IN_PROGRESS", AGGREGATE, data);
    } else if (rc == LEAT_OK) {
        rc = no_memory(i);
    }
    mem_free(at);
    mem_free(max);
    mem_free(ids);
    return rc;
}

int inc_tell_table_done(struct pg_incremental *i, const char *status)
{
    char rows[24];
    const struct inc_request *r = i->state.requests;
    char *ids = inc_table_ids(r->tables);
    if (!ids)
        return no_memory(i);
    snprintf(rows, sizeof rows, "%" PRIu64, i->state.progress.rows);
    const char *const data[] = {"scanned_collection",
                                r->tables->id,
                                "total_rows_scanned",
                                rows,
                                "status",
                                status,
                                "data_collections",
                                ids,
                                NULL};
    i->t->host->log(i->t->task, LEAT_INFO, "incremental snapshot of %s: %s, %s rows", r->tables->id, status,
                    rows);
    int rc = inc_tell_status(i, true);
    if (rc == LEAT_OK)
        rc = cdc_notify(i->t->cdc, r->id, "TABLE_SCAN_COMPLETED", AGGREGATE, data);
    mem_free(ids);
    return rc;
}
