/*
 * data_dir: see data_dir.h.
 */
#include "broker/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"

static int locked_by_other(const char *data_dir, int fd, const char *path, struct err *e)
{
    char text[32] = {0};
    size_t got;
    struct err ignored;
    if (io_pread_some(fd, text, sizeof text - 1, 0, &got, path, &ignored))
        got = 0;
    text[got] = '\0';
    long pid = strtol(text, NULL, 10);
    return pid > 0 ? err_set(e, ERR_LOCKED, "%s is in use by process %ld", data_dir, pid)
                   : err_set(e, ERR_LOCKED, "%s is in use by another process", data_dir);
}

static int take(const char *data_dir, int fd, const char *path, struct err *e)
{
    char text[32];
    int rc = ERR_OK;
    if (flock(fd, LOCK_EX | LOCK_NB))
        rc = errno == EWOULDBLOCK ? locked_by_other(data_dir, fd, path, e) : err_sys(e, errno, "%s", path);
    if (!rc)
        rc = io_truncate(fd, 0, path, e);
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (!rc)
        rc = io_pwrite(fd, text, (size_t)n, 0, path, e);
    return rc == ERR_NO_SPACE ? ERR_OK : rc; /* locked all the same; a full disk is opened to make room */
}

int data_dir_lock(const char *data_dir, bool make, int *fd, struct err *e)
{
    char *path = mem_printf("%s/lock", data_dir);
    *fd = -1;
    if (!path)
        return err_nomem(e);
    int rc = io_open(fd, path, O_RDWR | (make ? O_CREAT : 0), 0644, e);
    bool nobodys = rc == ERR_NOT_FOUND && !make;
    if (!rc)
        rc = take(data_dir, *fd, path, e);
    mem_free(path);
    if (!rc || nobodys)
        return ERR_OK;
    io_close(*fd);
    *fd = -1;
    return rc;
}

struct aside {
    const char *dir, *partition;
    bool found;
};

static int see_repair(void *arg, const char *name, struct err *e)
{
    struct aside *a = arg;
    char *path = mem_printf("%s/%s/%s", a->dir, name, a->partition);
    if (!path)
        return err_nomem(e);
    a->found = a->found || io_exists(path);
    mem_free(path);
    return ERR_OK;
}

bool data_dir_repaired(const char *data_dir, const char *partition)
{
    struct err ignored; /* most directories have none */
    char *dir = mem_printf("%s/" SET_ASIDE_NAME, data_dir);
    struct aside a = {.dir = dir, .partition = partition};
    if (dir)
        (void)io_list(dir, see_repair, &a, &ignored);
    mem_free(dir);
    return a.found;
}

static bool property(const char *text, const char *key, struct uuid *u)
{
    size_t n = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, n) == 0 && line[n] == '=') {
            char value[UUID_TEXT_SIZE] = {0};
            memcpy(value, line + n + 1, strnlen(line + n + 1, UUID_TEXT_SIZE - 1));
            return uuid_parse(value, u);
        }
    }
    return false;
}

bool identity_parse(const char *text, struct uuid *cluster, struct uuid *directory)
{
    return property(text, "cluster.id", cluster) && property(text, "directory.id", directory);
}
