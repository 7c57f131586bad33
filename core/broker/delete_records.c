/*
 * delete_records: removing the oldest records of partitions, of many with as few writes of the checkpoints as of one. Runs in the
 * caller's thread, which holds the partitions (and nothing else) over the syncs.
 *
 * The recovery points go to disk first: entries of the removed segments may still be in the journal, and recovery passes over
 * those below them. Then segments go, and last the new starts are written: what is answered holds after a loss of power.
 */
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/fetch.h"
#include "broker/store.h"
#include "broker/upkeep.h"

struct target {
    struct record_deletion *x;
    struct partition *p; /* held; NULL: not */
    struct log *log;     /* NULL: nothing was ever written */
    int64_t before;
    bool moves; /* its start is to be raised */
};

static int64_t watermark_of(const struct target *t)
{
    return t->log ? log_high_watermark(t->log) : 0;
}

static int prepare(struct broker *b, struct target *t, struct err *e)
{
    const struct record_deletion *x = t->x;
    if (topic_is_internal(x->topic))
        return err_set(e, ERR_INVALID_TOPIC, "records of \"%s\" cannot be deleted", x->topic);
    int rc = hold_log(b, x->topic, x->partition, &t->p, &t->log, e);
    if (rc) {
        t->p = NULL;
        return rc;
    }
    if (!topic_settings(t->p->topic)->log.cleanup_delete)
        return err_set(e, ERR_INVALID_CONFIG, "records of \"%s\" cannot be deleted: it is only compacted",
                       x->topic);
    int64_t watermark = watermark_of(t);
    t->before = x->before == -1 ? watermark : x->before;
    if (t->before < 0 || t->before > watermark)
        return err_set(e, ERR_OFFSET_OUT_OF_RANGE,
                       "%s-%d ends at %lld, records before %lld cannot be deleted", x->topic, x->partition,
                       (long long)watermark, (long long)t->before);
    /* Also where retention was there before: its deletions are not durable yet, these are to be. */
    t->moves = t->log && t->before > 0;
    return t->moves ? partition_flush(t->p, e) : ERR_OK;
}

/* `e` means something only where `rc` is an error. */
static void note(struct target *t, int rc, const struct err *e)
{
    if (rc)
        t->x->error = *e;
}

static bool goes_on(const struct target *t)
{
    return t->moves && t->x->error.code == ERR_OK;
}

/* One write for each disk that has any; its error is that of all of them. */
static void write_points(struct broker *b, struct target *list, size_t n,
                         int (*write)(struct disk *d, struct err *e))
{
    for (size_t k = 0; k < b->disk_count; k++) {
        struct disk *d = b->disks[k];
        struct err e;
        int rc = ERR_OK;
        bool written = false;
        for (size_t i = 0; i < n; i++) {
            if (!goes_on(&list[i]) || list[i].p->disk != d)
                continue;
            if (!written)
                rc = write(d, &e);
            written = true;
            note(&list[i], rc, &e);
        }
    }
}

static void delete_from(struct broker *b, struct target *list, size_t n)
{
    struct err e;
    for (size_t i = 0; i < n; i++)
        note(&list[i], prepare(b, &list[i], &e), &e);
    write_points(b, list, n, checkpoint_recovery);
    for (size_t i = 0; i < n; i++) {
        if (!goes_on(&list[i]))
            continue;
        note(&list[i], log_set_start_offset(list[i].log, list[i].before, &e), &e);
        upkeep_poke(b, log_next_removal(list[i].log));
    }
    write_points(b, list, n, checkpoint_starts);
}

int broker_delete_records_of(struct broker *b, struct record_deletion *deletions, size_t n, struct err *e)
{
    struct target *list = mem_calloc(n + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++) {
        deletions[i].error = (struct err){0};
        list[i].x = &deletions[i];
    }
    delete_from(b, list, n);
    for (size_t i = 0; i < n; i++) {
        bool known = list[i].log && deletions[i].error.code == ERR_OK;
        deletions[i].low = known ? log_start_offset(list[i].log) : 0;
        if (list[i].p)
            partition_release(&b->topics, list[i].p);
    }
    mem_free(list);
    return ERR_OK;
}

int broker_delete_records(struct broker *b, const char *topic, int32_t partition, int64_t offset,
                          int64_t *low, struct err *e)
{
    struct record_deletion one = {.topic = topic, .partition = partition, .before = offset};
    int rc = broker_delete_records_of(b, &one, 1, e);
    if (!rc && one.error.code) {
        *e = one.error;
        rc = e->code;
    }
    *low = rc ? 0 : one.low;
    return rc;
}
