/*
 * socket_path: see socket_path.h. Any thread.
 */
#include "base/socket_path.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/io.h"
#include "base/mem.h"

static int through_directory(struct socket_path *p, const char *path, const char *slash, struct err *e)
{
    char *dir = mem_strndup(path, (size_t)(slash - path));
    if (!dir)
        return err_nomem(e);
    int rc = io_open(&p->dir, dir, O_PATH | O_DIRECTORY, 0, e);
    mem_free(dir);
    if (rc)
        return rc;
    int n =
        snprintf(p->address.sun_path, sizeof p->address.sun_path, "/proc/self/fd/%d/%s", p->dir, slash + 1);
    if (n < (int)sizeof p->address.sun_path && io_exists("/proc/self/fd"))
        return ERR_OK;
    socket_path_close(p);
    return err_set(e, ERR_INVALID, "%s: too long for a Unix socket (at most %zu bytes without /proc)", path,
                   sizeof p->address.sun_path - 1);
}

int socket_path_open(struct socket_path *p, const char *path, struct err *e)
{
    const char *slash = strrchr(path, '/');
    *p = (struct socket_path){.address = {.sun_family = AF_UNIX}, .dir = -1};
    if (strlen(path) < sizeof p->address.sun_path) {
        memcpy(p->address.sun_path, path, strlen(path));
        return ERR_OK;
    }
    return slash && slash > path ? through_directory(p, path, slash, e)
                                 : err_set(e, ERR_INVALID, "%.200s: too long for a Unix socket", path);
}

void socket_path_close(struct socket_path *p)
{
    io_close(p->dir);
    p->dir = -1;
}
