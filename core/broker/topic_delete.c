/*
 * topic_delete: deleting a topic, under the admin lock as every change of the metadata (topic_admin.c). When its record is durable
 * it is gone, whatever becomes of its files.
 */
#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/cleaner.h"
#include "broker/meta.h"
#include "broker/offsets.h"
#include "broker/quota.h"
#include "broker/removal.h"
#include "broker/store.h"
#include "broker/upkeep.h"

/* The directory gets another name. What cannot get one goes before a topic of its name is made, or at the next start. */
static int rename_partition(struct partition *p, char **renamed, struct err *e)
{
    struct log *log = partition_log(p);
    *renamed = NULL;
    if (log) {
        atomic_store(&p->log, NULL);
        return log_delete(log, renamed, e);
    }
    if (!p->exists)
        return ERR_OK;
    char *dir = partition_dir(p);
    int rc = dir ? log_delete_dir(dir, renamed, e) : err_nomem(e);
    mem_free(dir);
    return rc;
}

/* Those of the topic on one disk: renamed, and the names synced together. What goes wrong is said. */
static struct removal *rename_on(struct disk *d, struct topic *t)
{
    struct removal *list = NULL;
    struct err e;
    for (int32_t i = 0; i < t->count; i++) {
        struct partition *p = t->partitions[i];
        char *renamed = NULL;
        if (p->disk == d && rename_partition(p, &renamed, &e))
            diag_warn("broker", "deleting %s-%d: %s", t->name, i, e.text);
        if (renamed)
            removal_push(&list, renamed);
    }
    if (list && io_sync_dir(d->logs_dir, &e)) { /* file by file it could come back under the old name */
        diag_warn("broker", "deleting %s: %s; the next start removes its files", t->name, e.text);
        disk_suspect(d, &e);
        removal_forget(list);
        list = NULL;
    }
    return list;
}

/* Where room is short the files go at once: that is what the topic is deleted for. */
static bool wants_room(struct disk *d, int64_t now)
{
    if (d->missing)
        return false;
    disk_space_check(d, now);
    pthread_mutex_lock(&d->lock);
    bool wants = d->space.low || atomic_load(&d->full);
    pthread_mutex_unlock(&d->lock);
    return wants;
}

static void delete_files(struct broker *b, struct topic *t)
{
    int64_t delay = topic_settings(t)->log.file_delete_delay_ms, now = clock_mono_ms();
    for (size_t i = 0; i < b->disk_count; i++) {
        struct removal *list = rename_on(b->disks[i], t);
        if (delay == 0 || (list && wants_room(b->disks[i], now)))
            removal_run(list);
        else if (list)
            removals_add(b, list, delay > INT64_MAX - now ? INT64_MAX : now + delay);
    }
}

/* A directory that is in the way gets another name, which the caller makes durable. */
static int rename_leftover(struct partition *p, struct removal **list, struct err *e)
{
    char *dir = partition_dir(p), *renamed = NULL;
    int rc = dir ? ERR_OK : err_nomem(e);
    if (!rc && io_exists(dir))
        rc = log_delete_dir(dir, &renamed, e);
    mem_free(dir);
    if (renamed)
        removal_push(list, renamed);
    return rc;
}

int removal_make_way(struct broker *b, struct partition **list, int32_t from, int32_t to, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < b->disk_count; i++) {
        struct disk *d = b->disks[i];
        struct removal *renamed = NULL;
        for (int32_t k = from; !rc && k < to; k++)
            if (list[k]->disk == d)
                rc = rename_leftover(list[k], &renamed, e);
        if (!rc && renamed && (rc = io_sync_dir(d->logs_dir, e)))
            disk_suspect(d, e);
        if (rc)
            removal_forget(renamed); /* as above: names that are not durable */
        else if (renamed)
            removals_add(b, renamed, clock_mono_ms());
    }
    return rc ? err_wrap(e, "a deleted topic's directory is in the way") : ERR_OK;
}

static int delete_locked(struct broker *b, const char *name, struct err *e)
{
    struct topic *t;
    int rc = topic_find_for_change(b, name, &t, e);
    if (rc)
        return rc;
    struct meta_record r = {.kind = META_REMOVE_TOPIC, .topic_id = t->id};
    if ((rc = meta_append(b, &r, 1, e)))
        return rc;
    for (size_t i = 0; i < b->disk_count; i++)
        b->disks[i]->checkpoints_stale = true;
    topics_remove(&b->topics, t);
    atomic_store(&t->deleted, true);
    quota_wake(b, t);
    for (int32_t i = 0; i < t->count; i++)
        partition_notify(t->partitions[i]);
    log_cleaner_topic_changed(b, t);
    disks_run(b); /* without a thread nobody else completes what holds the topic */
    topics_wait_idle(&b->topics, t);
    delete_files(b, t);
    for (int32_t i = 0; i < t->count; i++)
        partition_place(t->partitions[i], NULL);
    topic_unref(t);
    return ERR_OK;
}

int broker_delete_topic(struct broker *b, const char *name, struct err *e)
{
    pthread_mutex_lock(&b->admin);
    int rc = delete_locked(b, name, e);
    if (!rc &&
        (rc = offsets_forget_topic(b, name, e))) { /* before anybody can make a new topic of this name */
        b->offsets_stale = true;                   /* that, or the next start, tries again */
        err_wrap(e, "topic \"%s\" is deleted, but groups keep offsets for it", name);
    }
    pthread_mutex_unlock(&b->admin);
    return rc;
}
