/*
 * listen: see listen.h.
 */
#include "http/listen.h"

#include <ctype.h>
#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/io.h"
#include "http/socket_path.h"

#define BACKLOG 64

/* Its mode is set before anybody can connect; umask would be the whole process's, tasks' files included. */
static int bind_private(int fd, const char *path, const struct sockaddr_un *a, struct err *e)
{
    struct err missing;
    int rc = io_unlink(path, &missing); /* left by a process that was killed: the directory's lock is ours */
    if (rc && rc != ERR_NOT_FOUND) {
        *e = missing;
        return rc;
    }
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
    if (rc)
        io_close(*fd);
    return rc;
}

static bool is_port(const char *text)
{
    char *end;
    long v = strtol(text, &end, 10);
    return isdigit((unsigned char)text[0]) && *end == '\0' && v <= 65535;
}

static int split_address(const char *text, char *host, size_t host_size, char *port, size_t port_size,
                         struct err *e)
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;
    const char *start = text;
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
        start++;
        n -= 2;
    }
    if (!colon || !is_port(colon + 1) || strlen(colon + 1) >= port_size || n >= host_size)
        return err_set(e, ERR_INVALID_CONFIG, "http.listen: '%.100s' is not HOST:PORT", text);
    snprintf(host, host_size, "%.*s", (int)n, n ? start : "");
    if (!n)
        snprintf(host, host_size, "127.0.0.1");
    snprintf(port, port_size, "%s", colon + 1);
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

int listen_tcp(const char *text, int *fd, int *port, struct err *e)
{
    char host[256], service[16];
    int rc = split_address(text, host, sizeof host, service, sizeof service, e);
    if (rc)
        return rc;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    int gai = getaddrinfo(host, service, &hints, &list);
    if (gai)
        return err_set(e, ERR_INVALID_CONFIG, "http.listen: %.200s: %s", text, gai_strerror(gai));
    int errnum = bind_any(list, fd);
    freeaddrinfo(list);
    if (errnum)
        return err_sys(e, errnum, "http.listen: cannot listen on %.200s", text);
    *port = port_of(*fd);
    return ERR_OK;
}
