/*
 * txn_list: what there is of transactions, copied for tools. Any thread; takes the table's lock and each transaction's, one by one.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "broker/txn.h"

static void info_free(struct txn_info *t)
{
    for (size_t i = 0; i < t->partition_count; i++)
        mem_free(t->partitions[i].topic);
    mem_free(t->partitions);
    mem_free(t->transactional_id);
}

void txn_infos_free(struct txn_info *list, size_t n)
{
    for (size_t i = 0; list && i < n; i++)
        info_free(&list[i]);
    mem_free(list);
}

static int by_id(const void *a, const void *b)
{
    const struct txn_info *x = a, *y = b;
    return strcmp(x->transactional_id, y->transactional_id);
}

static int copy_parts(const struct txn_parts *parts, struct txn_info *out, struct err *e)
{
    out->partitions = mem_calloc(parts->n + 1, sizeof *out->partitions);
    for (size_t i = 0; out->partitions && i < parts->n; i++) {
        char *topic = mem_strdup(parts->list[i].topic);
        if (!topic)
            return err_nomem(e);
        out->partitions[out->partition_count++] =
            (struct txn_info_partition){topic, parts->list[i].partition};
    }
    return out->partitions ? ERR_OK : err_nomem(e);
}

/* ERR_UNKNOWN_TRANSACTIONAL_ID: it has no producer, as it was forgotten or is not yet known. */
static int describe(struct txn *t, bool with_parts, struct txn_info *out, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&t->lock);
    if (t->producer_id < 0) {
        rc = err_set(e, ERR_UNKNOWN_TRANSACTIONAL_ID, "there is no transactional id \"%s\"", t->id);
    } else {
        *out = (struct txn_info){
            .transactional_id = mem_strdup(t->id),
            .producer_id = t->producer_id,
            .epoch = t->epoch,
            .state = txn_state_name(t->state),
            .timeout_ms = t->timeout_ms,
            .start_ms = t->state == TXN_ONGOING ? t->start_ms : -1,
            .began_ms = t->start_ms,
        };
        rc = out->transactional_id ? ERR_OK : err_nomem(e);
    }
    if (!rc && with_parts)
        rc = copy_parts(&t->parts, out, e);
    pthread_mutex_unlock(&t->lock);
    return rc;
}

int broker_txn(struct broker *b, const char *transactional_id, struct txn_info **info, struct err *e)
{
    struct txn *t = txn_find(b, transactional_id);
    *info = NULL;
    if (!t)
        return err_set(e, ERR_UNKNOWN_TRANSACTIONAL_ID, "there is no transactional id \"%s\"",
                       transactional_id);
    struct txn_info *out = mem_calloc(1, sizeof *out);
    int rc = out ? describe(t, true, out, e) : err_nomem(e);
    txn_put(t);
    if (rc)
        txn_infos_free(out, 1);
    else
        *info = out;
    return rc;
}

/* Pointers to all of them, each the caller's to put. */
static int take_all(struct txns *ts, struct txn ***all, size_t *count, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    *count = 0;
    pthread_mutex_lock(&ts->lock);
    *all = mem_calloc(map_count(ts->by_id) + 1, sizeof(struct txn *));
    while (*all && map_next(ts->by_id, &pos, &key, &len, &value))
        (*all)[(*count)++] = txn_ref(value);
    pthread_mutex_unlock(&ts->lock);
    return *all ? ERR_OK : err_nomem(e);
}

int broker_txns(struct broker *b, struct txn_info **list, size_t *n, struct err *e)
{
    struct txn **all;
    size_t count;
    *n = 0;
    *list = NULL;
    int rc = take_all(b->txns, &all, &count, e);
    struct txn_info *out = rc ? NULL : mem_calloc(count + 1, sizeof *out);
    if (!rc && !out)
        rc = err_nomem(e);
    for (size_t i = 0; !rc && i < count; i++) {
        rc = describe(all[i], false, &out[*n], e);
        *n += rc == ERR_OK;
        rc = rc == ERR_UNKNOWN_TRANSACTIONAL_ID ? ERR_OK : rc;
    }
    for (size_t i = 0; i < count; i++)
        txn_put(all[i]);
    mem_free(all);
    if (rc) {
        txn_infos_free(out, *n);
        *n = 0;
        return rc;
    }
    qsort(out, *n, sizeof *out, by_id);
    *list = out;
    return ERR_OK;
}
