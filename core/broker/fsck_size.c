/*
 * fsck_size: how much fsck is going to read: the segments of all partitions. Only for telling how far it is.
 */
#include <fcntl.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/disk_internal.h"
#include "broker/fsck_internal.h"
#include "broker/store.h"

struct measure {
    struct fsck *x;
    const char *dir; /* that is listed */
};

static int add_file(void *arg, const char *name, struct err *e)
{
    struct measure *m = arg;
    struct err ignored;
    int64_t size;
    int fd;
    if (!fsck_has_suffix(name, ".log"))
        return ERR_OK;
    char *path = mem_printf("%s/%s", m->dir, name);
    if (!path)
        return err_nomem(e);
    if (io_open(&fd, path, O_RDONLY, 0, &ignored) == ERR_OK) {
        if (io_size(fd, &size, path, &ignored) == ERR_OK)
            m->x->total += (uint64_t)size;
        io_close(fd);
    }
    mem_free(path);
    return ERR_OK;
}

/* Out of memory, or what the check will tell. */
static int only_memory(int rc, const struct err *why, struct err *e)
{
    if (rc != ERR_NO_MEMORY)
        return ERR_OK;
    *e = *why;
    return rc;
}

static int add_partition(void *arg, const char *name, struct err *e)
{
    struct measure *all = arg;
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    struct err why;
    if (fsck_has_suffix(name, "-delete") || fsck_has_suffix(name, "-stray") ||
        !partition_dir_parse(name, topic, &partition))
        return ERR_OK;
    char *dir = mem_printf("%s/%s", all->dir, name);
    if (!dir)
        return err_nomem(e);
    struct measure one = {all->x, dir};
    int rc = only_memory(io_list(dir, add_file, &one, &why), &why, e);
    mem_free(dir);
    return rc;
}

static int add_directory(struct fsck *x, const char *data_dir, struct err *e)
{
    struct err why;
    char *logs = mem_printf("%s/logs", data_dir);
    if (!logs)
        return err_nomem(e);
    struct measure all = {x, logs};
    int rc = only_memory(io_list(logs, add_partition, &all, &why), &why, e);
    mem_free(logs);
    return rc;
}

int fsck_measure(struct fsck *x, struct err *e)
{
    struct disk_lines lines;
    struct err why;
    int rc = add_directory(x, x->o->data_dir, e);
    if (rc)
        return rc;
    if ((rc = disk_lines_read(x->o->data_dir, &lines, &why)))
        return only_memory(rc, &why, e);
    for (size_t i = 0; i < lines.n && !rc; i++)
        rc = add_directory(x, lines.list[i].dir, e);
    disk_lines_free(&lines);
    return rc;
}
