/*
 * partition: opening a partition's log when it is first needed, flushing it, waking those who watch it.
 *
 * A partition that was never written to has no directory, no log and no descriptor: fifty of them cost nothing.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/open_files.h"
#include "broker/store.h"
#include "broker/waiter.h"
#include "storage/checkpoint.h"

struct log *partition_log(struct partition *p)
{
    return atomic_load_explicit(&p->log, memory_order_acquire);
}

void partition_place(struct partition *p, struct disk *d)
{
    if (p->disk && !p->topic->internal)
        p->disk->partitions--;
    p->disk = d;
    if (d && !p->topic->internal)
        d->partitions++;
}

char *partition_dir(const struct partition *p)
{
    return mem_printf("%s/%s-%d", p->disk->logs_dir, p->topic->name, p->index);
}

/* What is beyond cannot have been acknowledged; -1 where every valid batch counts. */
static int64_t durable_end(const struct partition *p, bool synced)
{
    if (!synced || p->clean || p->moved || !p->disk->points_known)
        return -1;
    return p->journaled_end > p->recovery_point ? p->journaled_end : p->recovery_point;
}

/*
 * A start is written down after the recovery point that it does not exceed. One that does was damaged: what it says would
 * delete records, and without it some that were deleted may be back.
 */
static int64_t start_offset(const struct partition *p, const char *name)
{
    if (!p->disk->points_known || p->start_offset <= p->recovery_point)
        return p->start_offset;
    diag_error(
        "broker",
        "%s: its start %lld in the checkpoint is beyond its recovery point %lld, one of them is wrong; "
        "everything that is there is kept",
        name, (long long)p->start_offset, (long long)p->recovery_point);
    return 0;
}

static int open_log(struct broker *b, struct partition *p, const char *dir, const char *name,
                    struct log **log, struct err *e)
{
    const struct topic_settings *s = topic_settings(p->topic);
    struct log_recovery report = {.cut_from_offset = -1};
    struct log_open_args args = {
        .dir = dir,
        .name = name,
        .topic_id = p->topic->id,
        .config = s->log,
        .recovery_point = p->recovery_point,
        .log_start_offset = start_offset(p, name),
        .clean = p->clean || !p->exists,
        .durable_end = durable_end(p, s->synced),
        .open_files = &b->files.count,
        .parent = &p->disk->names,
        .page_cache = &b->page_cache,
    };
    int rc = log_open(log, &args, &report, e);
    if (rc && !p->exists) {
        p->exists = io_exists(dir); /* its name is not synced, which the next opening must see to */
        p->clean = false;
    }
    if (rc)
        return err_wrap(e, "partition %s", name);
    b->recovered_bytes += (uint64_t)report.scanned_bytes;
    b->cut_bytes += (uint64_t)report.cut_bytes;
    log_set_high_watermark(*log, log_end_offset(*log));
    int32_t epoch = log_latest_epoch(*log);
    atomic_store(&p->epoch, epoch > 0 ? epoch : 0);
    p->exists = true;
    p->clean = false;
    return ERR_OK;
}

int partition_epoch(struct partition *p, int32_t *epoch, struct err *e)
{
    *epoch = atomic_load(&p->epoch);
    if (*epoch >= 0)
        return ERR_OK;
    struct epoch_entry *list = NULL;
    size_t n = 0;
    int rc = ERR_OK;
    pthread_mutex_lock(&p->lock);
    if (p->exists && !partition_log(p) && !p->disk->missing) {
        char *dir = partition_dir(p), *path = dir ? mem_printf("%s/%s", dir, EPOCH_FILE) : NULL;
        rc = path ? epoch_file_read(path, &list, &n, e) : err_nomem(e);
        mem_free(path);
        mem_free(dir);
    }
    if (rc == ERR_OK && atomic_load(&p->epoch) < 0) {
        int32_t last = n > 0 ? list[n - 1].epoch : 0;
        atomic_store(&p->epoch, last > 0 ? last : 0);
    }
    *epoch = atomic_load(&p->epoch);
    pthread_mutex_unlock(&p->lock);
    mem_free(list);
    return rc;
}

/* What an earlier opening could not sync it cannot be asked for again: it is read, and nothing is built on it before a restart. */
static void take_out_of_service(struct log *log)
{
    struct err why;
    err_set(&why, ERR_IO, "a sync failed when it was to be opened before");
    log_fail(log, &why);
}

int partition_open_locked(struct broker *b, struct partition *p, bool create, struct log **log, struct err *e)
{
    *log = partition_log(p);
    if (!*log && p->disk->missing)
        return disk_refusal(p->disk, e);
    if (*log || (!p->exists && !create))
        return ERR_OK;
    char *dir = partition_dir(p);
    if (!dir)
        return err_nomem(e);
    int rc = open_log(b, p, dir, strrchr(dir, '/') + 1, log, e);
    mem_free(dir);
    if (!rc) {
        p->failed = false;
        if (p->sync_failed)
            take_out_of_service(*log);
        atomic_store_explicit(&p->log, *log, memory_order_release);
    } else {
        disk_suspect_read(p->disk, NULL, e);
        p->sync_failed |= e->fatal;
        if (!p->failed)
            diag_error("broker", "%s", e->text);
        p->failed = true;
    }
    return rc;
}

int partition_open(struct broker *b, struct partition *p, bool create, struct log **log, struct err *e)
{
    *log = partition_log(p);
    if (*log)
        return ERR_OK;
    open_files_make_room(b);
    pthread_mutex_lock(&p->lock);
    int rc = partition_open_locked(b, p, create, log, e);
    pthread_mutex_unlock(&p->lock);
    return rc;
}

bool partition_unsynced(struct partition *p)
{
    pthread_mutex_lock(&p->lock);
    bool unsynced = p->exists && !p->clean && !partition_log(p);
    pthread_mutex_unlock(&p->lock);
    return unsynced;
}

int partition_flush(struct partition *p, struct err *e)
{
    struct log *log = partition_log(p);
    if (!log)
        return ERR_OK;
    bool dirty = atomic_exchange(&p->dirty, false); /* an append from now on sets it again */
    int rc = log_flush(log, e);
    if (rc && dirty)
        atomic_store(&p->dirty, true);
    if (rc)
        disk_suspect(p->disk, e);
    return rc;
}

int partition_flush_synced(struct partition *p, uint64_t device, struct err *e)
{
    int rc = log_flush_synced(partition_log(p), device, e);
    if (rc)
        disk_suspect(p->disk, e);
    return rc;
}

void partition_notify(struct partition *p)
{
    if (!atomic_load(&p->watches))
        return;
    pthread_mutex_lock(&p->watch_lock);
    for (struct watch *w = atomic_load(&p->watches); w; w = w->next_here)
        waiter_wake(w->waiter);
    pthread_mutex_unlock(&p->watch_lock);
}
