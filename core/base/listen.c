/*
 * listen: see listen.h.
 */
#include "base/listen.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "base/socket_path.h"

#define BACKLOG 64

/* Nobody's: who made it is gone, or does not listen any more. A full backlog is somebody's. */
static bool is_left_over(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool refused =
        fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) != 0 && errno == ECONNREFUSED;
    io_close(fd);
    return refused;
}

/* A socket that a process which was killed has left is removed, and nothing else. */
static int make_way(const char *path, const struct sockaddr_un *a, struct err *e)
{
    struct stat st;
    if (lstat(path, &st) != 0)
        return errno == ENOENT ? ERR_OK : err_sys(e, errno, "%s", path);
    if (!S_ISSOCK(st.st_mode))
        return err_set(e, ERR_EXISTS, "%s is there already, and is not a socket", path);
    if (!is_left_over(a))
        return err_set(e, ERR_EXISTS, "another process listens on %s", path);
    int rc = io_unlink(path, e);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/* Its mode is set before anybody can connect; umask would be the whole process's, tasks' files included. */
static int bind_private(int fd, const char *path, const struct sockaddr_un *a, struct err *e)
{
    struct err missing;
    int rc = make_way(path, a, e);
    if (rc)
        return rc;
    if (bind(fd, (const struct sockaddr *)a, sizeof *a) != 0)
        return err_sys(e, errno, "cannot make the socket %s", path);
    if (chmod(path, 0600) == 0 && listen(fd, BACKLOG) == 0)
        return ERR_OK;
    rc = err_sys(e, errno, "cannot listen on %s", path);
    io_unlink(path, &missing);
    return rc;
}

int listen_local(const char *path, int *fd, struct err *e)
{
    struct socket_path a;
    int rc = socket_path_open(&a, path, e);
    if (rc)
        return rc;
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    rc = *fd < 0 ? err_sys(e, errno, "cannot make a Unix socket") : bind_private(*fd, path, &a.address, e);
    socket_path_close(&a);
    if (rc) {
        io_close(*fd);
        *fd = -1;
    }
    return rc;
}

int listen_split(const char *setting, const char *text, char *host, size_t host_size, int *port,
                 struct err *e)
{
    const char *colon = strrchr(text, ':'), *start = text;
    size_t n = colon ? (size_t)(colon - text) : 0;
    char *end = NULL;
    long v = colon && isdigit((unsigned char)colon[1]) ? strtol(colon + 1, &end, 10) : -1;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        start++;
        n -= 2;
    }
    if (v < 0 || v > 65535 || *end != '\0' || n >= host_size)
        return err_set(e, ERR_INVALID_CONFIG, "%s: '%.100s' is not HOST:PORT", setting, text);
    snprintf(host, host_size, "%.*s", (int)n, start);
    *port = (int)v;
    return ERR_OK;
}

static int bind_any(const struct addrinfo *list, int *fd)
{
    int errnum = EADDRNOTAVAIL;
    for (; list; list = list->ai_next) {
        *fd = socket(list->ai_family, list->ai_socktype | SOCK_CLOEXEC, list->ai_protocol);
        if (*fd < 0) {
            errnum = errno;
            continue;
        }
        int on = 1;
        setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (bind(*fd, list->ai_addr, list->ai_addrlen) == 0 && listen(*fd, 64) == 0)
            return 0;
        errnum = errno;
        close(*fd);
    }
    return errnum;
}

static int port_of(int fd)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0)
        return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

int listen_tcp(const char *setting, const char *text, int *fd, int *port, struct err *e)
{
    char host[256], service[16];
    int rc = listen_split(setting, text, host, sizeof host, port, e);
    if (rc)
        return rc;
    snprintf(service, sizeof service, "%d", *port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int gai = getaddrinfo(host[0] ? host : "127.0.0.1", service, &hints, &list);
    if (gai)
        return err_set(e, ERR_INVALID_CONFIG, "%s: %.200s: %s", setting, text, gai_strerror(gai));
    int errnum = bind_any(list, fd);
    freeaddrinfo(list);
    if (errnum)
        return err_sys(e, errnum, "%s: cannot listen on %.200s", setting, text);
    *port = port_of(*fd);
    return ERR_OK;
}
