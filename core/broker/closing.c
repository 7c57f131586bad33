/*
 * closing: see closing.h. A thousand partitions that were written to are some thousand syncs, each of which waits for the
 * disk. Hence first one sync of the file system, after which the files' own find nothing to do: those still tell of every
 * file whether it is durable. And then several threads, whose syncs of directories share the file system's own commits.
 */
#include "broker/closing.h"

#include "base/io.h"
#include "broker/each.h"

/* From so many unsynced logs on, the file system is synced first. */
enum { MANY_DIRTY = 8 };

static bool is_dirty(struct partition *p)
{
    struct log *log = partition_log(p);
    return log && log_recovery_point(log) < log_end_offset(log);
}

static int count_dirty(const struct disk *d)
{
    struct broker *b = d->b;
    size_t pos = 0, len;
    const void *key;
    void *value;
    int n = 0;
    while (b->topics.by_name && map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        struct topic *t = value;
        for (int32_t i = 0; i < t->count; i++)
            n += t->partitions[i]->disk == d && is_dirty(t->partitions[i]);
    }
    return n;
}

static int close_log(struct partition *p, bool clean, struct err *e)
{
    struct log *log = partition_log(p);
    if (!log)
        return clean && partition_unsynced(p)
                   ? err_set(e, ERR_LOG_FAILED, "%s-%d could not be opened; the next start tries again",
                             p->topic->name, p->index)
                   : ERR_OK;
    int rc = clean ? partition_flush(p, e) : ERR_OK;
    p->start_offset = log_start_offset(log);
    p->recovery_point = log_recovery_point(log);
    atomic_store(&p->log, NULL);
    struct err why;
    int closed = log_close(log, clean && !rc, &why);
    if (closed && !rc) {
        rc = closed;
        *e = why;
    }
    return rc;
}

/* Of a disk out of service nothing is to be made durable. */
static int close_clean(struct broker *b, struct partition *p, struct err *e)
{
    (void)b;
    int rc = close_log(p, disk_in_service(p->disk), e);
    if (rc)
        atomic_store(&p->disk->unclean, true);
    return rc;
}

static int drop(struct broker *b, struct partition *p, struct err *e)
{
    (void)b;
    return close_log(p, false, e);
}

int closing_logs(struct broker *b, bool clean, struct err *e)
{
    struct err why;
    for (size_t i = 0; clean && i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]) && count_dirty(b->disks[i]) >= MANY_DIRTY)
            io_sync_fs(b->disks[i]->logs_dir);
    int rc = partitions_each(b, clean ? close_clean : drop, e);
    int closed = b->meta ? log_close(b->meta, clean && disk_in_service(b->disks[0]), &why) : ERR_OK;
    if (closed)
        atomic_store(&b->disks[0]->unclean, true);
    if (closed && !rc) {
        rc = closed;
        *e = why;
    }
    return rc;
}
