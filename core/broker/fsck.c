/*
 * fsck: see fsck.h. What belongs to a directory as a whole; its logs: fsck_logs.c; repairs: fsck_repair.c.
 */
#include "broker/fsck_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "broker/disk_internal.h"
#include "broker/scrub.h"
#include "broker/store.h"

#define PROPERTIES_MAX (64u << 10)

static int count_finding(void *arg, const struct check_finding *f, struct err *e)
{
    struct fsck *x = arg;
    x->r->findings[check_kind_severity(f->kind)]++;
    return x->o->found(x->o->arg, f, e);
}

static int pass_progress(void *arg, uint64_t bytes, struct err *e)
{
    const struct fsck *x = arg;
    return x->o->progress ? x->o->progress(x->o->arg, x->now, bytes, x->total, e) : ERR_OK;
}

int fsck_tell(struct fsck *x, enum check_kind kind, const char *partition, const char *path, const char *text,
              struct err *e)
{
    struct check_finding f = {kind, partition, path, -1, -1, -1, NULL};
    return check_tell(&x->check, f, e, "%s", text);
}

bool fsck_has_suffix(const char *s, const char *suffix)
{
    size_t n = strlen(s), m = strlen(suffix);
    return n >= m && strcmp(s + n - m, suffix) == 0;
}

/* ---- identity ---- */

static int check_identity(struct fsck *x, struct err *e)
{
    struct uuid cluster, directory;
    struct err why;
    char *path = mem_printf("%s/meta.properties", x->dir), *text = NULL;
    size_t n;
    if (!path)
        return err_nomem(e);
    int rc = io_read_file(path, PROPERTIES_MAX, &text, &n, &why);
    if (rc == ERR_NO_MEMORY)
        rc = err_nomem(e);
    else if (rc)
        rc = fsck_tell(x, CHECK_BAD_META_PROPERTIES, NULL, path, why.text, e);
    else if (strlen(text) != n || !identity_parse(text, &cluster, &directory))
        rc = fsck_tell(x, CHECK_BAD_META_PROPERTIES, NULL, path, "names no cluster.id and directory.id", e);
    mem_free(text);
    mem_free(path);
    return rc;
}

/* ---- the directory ---- */

static int see_data_name(void *arg, const char *name, struct err *e)
{
    static const char *const known[] = {"lock",      "meta.properties", DISK_LIST_NAME, DISK_RESERVE_NAME,
                                        "leat.sock", "journal",         "logs",         SET_ASIDE_NAME,
                                        SCRUB_FILE,  WORK_DIR_NAME,     KEEP_DIR_NAME};
    struct fsck *x = arg;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return ERR_OK;
    char *path = mem_printf("%s/%s", x->dir, name);
    if (!path)
        return err_nomem(e);
    int rc = fsck_has_suffix(name, ".tmp")
                 ? fsck_tell(x, CHECK_LEFTOVER, NULL, path, "a file that was being written", e)
                 : fsck_tell(x, CHECK_FOREIGN_FILE, NULL, path, "is nothing of ours", e);
    mem_free(path);
    return rc;
}

/* One directory, locked. */
static int check_dir(struct fsck *x, const char *dir, bool main_dir, struct err *e)
{
    x->dir = dir;
    x->logs = mem_printf("%s/logs", dir);
    x->points = map_new();
    x->starts = map_new();
    char *clean = mem_printf("%s/logs/" CLEAN_STOP_NAME, dir);
    int rc = x->logs && x->points && x->starts && clean ? io_list(dir, see_data_name, x, e) : err_nomem(e);
    x->clean = clean && io_exists(clean);
    x->r->clean = x->r->clean && x->clean;
    mem_free(clean);
    if (!rc)
        rc = check_identity(x, e);
    if (!rc)
        rc = fsck_check_journal(x, e);
    if (!rc)
        rc = fsck_check_logs(x, main_dir, e);
    fsck_refs_free(x);
    if (x->points)
        map_free(x->points, mem_free);
    if (x->starts)
        map_free(x->starts, mem_free);
    mem_free(x->logs);
    return rc;
}

static int lock_and_check(struct fsck *x, const char *dir, bool main_dir, struct err *e)
{
    int fd;
    int rc = data_dir_lock(dir, false, &fd, e);
    if (rc)
        return rc;
    rc = check_dir(x, dir, main_dir, e);
    io_close(fd);
    return rc;
}

static int check_others(struct fsck *x, struct err *e)
{
    struct disk_lines lines;
    int rc = disk_lines_read(x->o->data_dir, &lines, e);
    if (rc == ERR_CORRUPT) {
        char *path = mem_printf("%s/" DISK_LIST_NAME, x->o->data_dir);
        rc = path ? fsck_tell(x, CHECK_MISSING_DIRECTORY, NULL, path, e->text, e) : err_nomem(e);
        mem_free(path);
        return rc;
    }
    for (size_t i = 0; i < lines.n && !rc; i++)
        rc = io_exists(lines.list[i].dir) ? lock_and_check(x, lines.list[i].dir, false, e)
                                          : fsck_tell(x, CHECK_MISSING_DIRECTORY, NULL, lines.list[i].dir,
                                                      "is listed and is not there", e);
    disk_lines_free(&lines);
    return rc;
}

/* Is it a data directory at all? */
static int check_is_ours(const char *data_dir, struct err *e)
{
    static const char *const marks[] = {"meta.properties", "logs", "journal"};
    if (!io_exists(data_dir))
        return err_set(e, ERR_NOT_FOUND, "there is no directory %s", data_dir);
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char *path = mem_printf("%s/%s", data_dir, marks[i]);
        if (!path)
            return err_nomem(e);
        bool there = io_exists(path);
        mem_free(path);
        if (there)
            return ERR_OK;
    }
    return err_set(e, ERR_NOT_FOUND, "%s is no data directory: neither meta.properties nor logs is in it",
                   data_dir);
}

int broker_fsck(const struct fsck_options *o, struct fsck_report *r, struct err *e)
{
    struct fsck x = {.o = o, .r = r};
    *r = (struct fsck_report){.clean = true};
    int rc = check_is_ours(o->data_dir, e);
    if (rc)
        return rc;
    x.check = (struct check){.found = count_finding, .progress = pass_progress, .arg = &x};
    x.seen = map_new();
    rc = x.seen ? meta_image_init(&x.image, e) : err_nomem(e);
    if (!rc && o->progress)
        rc = fsck_measure(&x, e);
    if (!rc)
        rc = lock_and_check(&x, o->data_dir, true, e);
    if (!rc)
        rc = check_others(&x, e);
    meta_image_free(&x.image);
    if (x.seen)
        map_free(x.seen, NULL);
    return rc;
}
