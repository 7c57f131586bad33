/*
 * disk: see disk.h. Opening and closing: one thread. What takes a disk out of service: any.
 */
#include "broker/disk.h"

#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/aside.h"
#include "broker/disk_internal.h"
#include "broker/store.h"

struct disk *disk_new(struct broker *b, const char *dir, struct err *e)
{
    struct disk **list = mem_realloc_array(b->disks, b->disk_count + 1, sizeof(struct disk *));
    if (list)
        b->disks = list;
    struct disk *d = list ? mem_calloc(1, sizeof *d) : NULL;
    if (!d || !(d->dir = mem_strdup(dir)) || !(d->logs_dir = mem_printf("%s/logs", dir))) {
        if (d)
            mem_free(d->dir);
        mem_free(d);
        err_nomem(e);
        return NULL;
    }
    d->b = b;
    d->lock_fd = -1;
    d->space.total = d->space.free = -1;
    pthread_mutex_init(&d->checkpoints, NULL);
    pthread_mutex_init(&d->lock, NULL);
    log_parent_init(&d->names, d->logs_dir);
    d->index = (int32_t)b->disk_count;
    b->disks[b->disk_count++] = d;
    return d;
}

void disk_free(struct disk *d)
{
    if (d->commit)
        commit_free(d->commit);
    asides_free(d);
    journal_close(d->journal);
    io_close(d->lock_fd);
    pthread_mutex_destroy(&d->checkpoints);
    pthread_mutex_destroy(&d->lock);
    log_parent_free(&d->names);
    mem_free(d->logs_dir);
    mem_free(d->dir);
    mem_free(d);
}

void disks_free(struct broker *b)
{
    while (b->disk_count > 0)
        disk_free(b->disks[--b->disk_count]);
    mem_free(b->disks);
}

void disks_run(struct broker *b)
{
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit)
            commit_run(b->disks[i]->commit);
}

struct disk *disk_by_id(struct broker *b, const struct uuid *id)
{
    for (size_t i = 0; i < b->disk_count; i++)
        if (memcmp(&b->disks[i]->id, id, sizeof *id) == 0)
            return b->disks[i];
    return NULL;
}

struct disk *disk_for_new(struct broker *b, bool internal)
{
    struct disk *best = b->disks[0];
    for (size_t i = 1; i < b->disk_count && !internal; i++)
        if (disk_takes_new(b->disks[i]) &&
            (!disk_takes_new(best) || b->disks[i]->partitions < best->partitions))
            best = b->disks[i];
    return best;
}

/* ---- out of service ---------------------------------------------------------------------------------------------- */

int disk_refusal(struct disk *d, struct err *e)
{
    pthread_mutex_lock(&d->lock);
    err_set(e, ERR_DISK_FAILED, "data directory %s is out of service until a restart: %s", d->dir,
            d->why.text);
    pthread_mutex_unlock(&d->lock);
    e->fatal = true;
    return e->code;
}

/* True for the first reason. */
static bool set_failed(struct disk *d, const struct err *why)
{
    pthread_mutex_lock(&d->lock);
    bool first = !atomic_load(&d->failed);
    if (first) {
        d->why = *why;
        atomic_store(&d->failed, true);
    }
    pthread_mutex_unlock(&d->lock);
    return first;
}

void disk_fail(struct disk *d, const struct err *why)
{
    struct broker *b = d->b;
    struct err refusal;
    if (!set_failed(d, why))
        return;
    disk_refusal(d, &refusal);
    diag_error("broker", "%s%s", refusal.text,
               b->disk_count == 1 ? ""
               : d->index == 0    ? " (the main one: nothing synced is appended to the others either)"
                                  : " (the other data directories go on)");
    if (d->commit)
        commit_fail(d->commit, &refusal);
    for (size_t i = 1; i < b->disk_count && d->index == 0; i++)
        if (b->disks[i]->commit)
            commit_fail(b->disks[i]->commit, &refusal);
}

void disk_suspect(struct disk *d, const struct err *why)
{
    bool broken = why->fatal || why->code == ERR_IO || why->code == ERR_PERMISSION;
    if (d->index > 0 && broken)
        disk_fail(d, why);
}

void disk_suspect_read(struct disk *d, struct log *log, const struct err *why)
{
    if (why->code != ERR_IO)
        return;
    disk_suspect(d, why);
    if (d->index == 0 && log)
        log_fail(log, why);
}

int disk_reserve(struct disk *d, size_t bytes, enum commit_urgency urgency, struct err *e)
{
    if (bytes == 0)
        return ERR_OK;
    if (!disk_in_service(d))
        return disk_refusal(d, e);
    int rc = commit_reserve(d->commit, bytes, urgency, e);
    if (rc == ERR_NO_SPACE)
        disk_refused(d, e);
    else if (rc)
        disk_suspect(d, e);
    return rc;
}
