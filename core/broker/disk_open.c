/*
 * disk_open: which directories there are: those that the options name, compared with what was there before. One thread,
 * while starting.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "broker/disk_internal.h"
#include "broker/foreign.h"
#include "broker/store.h"

/* ---- one directory ------------------------------------------------------------------------------------------------- */

static int open_disk(struct disk *d, struct err *e)
{
    int rc = io_mkdirs(d->dir, 0755, e); /* its name is synced with its identity */
    if (!rc)
        rc = foreign_check(d->dir, e);
    if (!rc)
        rc = data_dir_lock(d->dir, true, &d->lock_fd, e);
    if (!rc)
        rc = io_mkdir(d->logs_dir, 0755, e); /* its name is synced with that of the journal */
    if (!rc)
        rc = checkpoint_identity(d, e);
    return rc;
}

static int add_missing(struct broker *b, const char *dir, const struct uuid *id, const struct err *why,
                       bool listed, struct err *e)
{
    struct disk *d = disk_new(b, dir, e);
    if (!d)
        return e->code;
    d->id = *id;
    d->missing = true;
    d->listed = listed;
    d->why = *why;
    atomic_store(&d->failed, true);
    return ERR_OK;
}

/* ---- the others ---------------------------------------------------------------------------------------------------- */

/* The absolute path without links, of a directory that exists; else the path as it is. mem_free. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL), *copy = mem_strdup(real ? real : path);
    free(real);
    return copy;
}

/* A directory that was there before: ERR_OK, or why it cannot be the same. */
static int check_known(const char *dir, const struct disk_line *known, struct err *e)
{
    struct uuid id;
    char was[UUID_TEXT_SIZE], is[UUID_TEXT_SIZE];
    int rc = checkpoint_directory_id(dir, &id, e);
    uuid_text(&known->id, was);
    if (rc == ERR_NOT_FOUND)
        return err_set(e, ERR_DISK_FAILED,
                       "%s is not there or empty, but directory id %s was in it; is its disk mounted?", dir,
                       was);
    if (!rc && memcmp(&id, &known->id, sizeof id) != 0)
        return err_set(e, ERR_DISK_FAILED, "%s has directory id %s, but %s was in it; is it another disk?",
                       dir, uuid_text(&id, is), was);
    return rc;
}

static int add_dir(struct broker *b, const char *dir, const struct disk_line *known, struct err *e)
{
    struct err why;
    if (known && check_known(dir, known, &why))
        return add_missing(b, dir, &known->id, &why, true, e);
    struct disk *d = disk_new(b, dir, e);
    if (!d)
        return e->code;
    d->listed = true;
    int rc = open_disk(d, e);
    if (!rc) /* its identity, even if a killed process made it, before the main one lists it */
        rc = io_sync_dir(dir, e);
    if (!rc && dir[0] != '/') { /* it did not exist before */
        char *real = real_path(dir);
        if (!real)
            return err_nomem(e);
        mem_free(d->dir);
        d->dir = real;
    }
    return rc;
}

static int open_listed(struct broker *b, const char *path, const struct disk_lines *known, struct err *e)
{
    char *dir = real_path(path);
    int rc = dir ? ERR_OK : err_nomem(e);
    if (!rc && strchr(dir, '\n'))
        rc = err_set(e, ERR_INVALID_CONFIG, "a data directory's path has no line break");
    for (size_t i = 0; !rc && i < b->disk_count; i++) {
        char *other = real_path(b->disks[i]->dir);
        if (!other)
            rc = err_nomem(e);
        else if (strcmp(other, dir) == 0)
            rc = err_set(e, ERR_INVALID_CONFIG, "data directory %s is named twice", dir);
        mem_free(other);
    }
    if (!rc)
        rc = add_dir(b, dir, disk_lines_find(known, dir), e);
    mem_free(dir);
    return rc;
}

/* Those that were there and that nobody named now. */
static int add_dropped(struct broker *b, const struct disk_lines *known, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < known->n; i++) {
        char id[UUID_TEXT_SIZE];
        struct err why;
        if (disk_by_id(b, &known->list[i].id))
            continue;
        err_set(&why, ERR_DISK_FAILED,
                "%s, with directory id %s, is not among the data directories that are named",
                known->list[i].dir, uuid_text(&known->list[i].id, id));
        rc = add_missing(b, known->list[i].dir, &known->list[i].id, &why, false, e);
    }
    return rc;
}

static int check_ids(struct broker *b, struct err *e)
{
    for (size_t i = 0; i < b->disk_count; i++) {
        const struct disk *other = disk_by_id(b, &b->disks[i]->id);
        if (other != b->disks[i])
            return err_set(e, ERR_INVALID, "%s and %s have the same directory.id; one is a copy of the other",
                           other->dir, b->disks[i]->dir);
    }
    return ERR_OK;
}

int disks_open(struct broker *b, const struct broker_options *o, struct err *e)
{
    struct disk_lines known;
    struct disk *d = disk_new(b, o->data_dir, e);
    if (!d)
        return e->code;
    d->listed = true;
    int rc = open_disk(d, e);
    if (!rc)
        rc = disk_lines_read(b->data_dir, &known, e);
    if (rc)
        return rc;
    size_t n = o->data_dir_count ? o->data_dir_count : known.n;
    if (n > 0) /* likewise, before the others are marked as this hub's */
        rc = io_sync_dir(b->data_dir, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = open_listed(b, o->data_dir_count ? o->data_dirs[i] : known.list[i].dir, &known, e);
    if (!rc)
        rc = add_dropped(b, &known, e);
    disk_lines_free(&known);
    return rc ? rc : check_ids(b, e);
}

/* ---- with the metadata --------------------------------------------------------------------------------------------- */

/* How many partitions need the disk, and the name of one. */
static size_t partitions_of(struct broker *b, const struct disk *d, char *name, size_t size)
{
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    while (map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        const struct topic *t = value;
        for (int32_t i = 0; i < t->count; i++)
            if (t->partitions[i]->disk == d && n++ == 0)
                snprintf(name, size, "%s-%d", t->name, i);
    }
    return n;
}

static void forget_disk(struct broker *b, size_t at)
{
    disk_free(b->disks[at]);
    b->disk_count--;
    for (size_t i = at; i < b->disk_count; i++) {
        b->disks[i] = b->disks[i + 1];
        b->disks[i]->index = (int32_t)i;
    }
}

int disks_settle(struct broker *b, struct err *e)
{
    for (size_t i = b->disk_count; i-- > 1;) {
        struct disk *d = b->disks[i];
        char first[300] = "";
        if (!d->missing)
            continue;
        size_t n = partitions_of(b, d, first, sizeof first);
        if (n == 0 && !d->listed) {
            diag_info("broker", "data directory %s is no longer used", d->dir);
            forget_disk(b, i);
            continue;
        }
        if (!b->o.allow_missing_dirs)
            return n ? err_set(e, ERR_DISK_FAILED, "%s (%zu partitions need it, %s among them)", d->why.text,
                               n, first)
                     : err_set(e, ERR_DISK_FAILED, "%s", d->why.text);
        diag_error("broker", "%s; started without it, %zu partitions are out of service", d->why.text, n);
    }
    return disk_lines_write(b, e);
}
