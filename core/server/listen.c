/*
 * listen: the addresses of the listeners, and what clients are told of them. By the thread that starts the server.
 */
#include "base/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/io.h"
#include "base/mem.h"
#include "server/internal.h"

#define PLAIN "PLAINTEXT://"
#define UNIX "unix:"
#define HOST_MAX 256

/* The part after the protocol. */
static int strip_protocol(const char *setting, const char *address, const char **rest, struct err *e)
{
    if (strncmp(address, PLAIN, strlen(PLAIN)) == 0) {
        *rest = address + strlen(PLAIN);
        return ERR_OK;
    }
    if (strstr(address, "://") != NULL)
        return err_set(e, ERR_INVALID_CONFIG, "%s: '%.100s': of the security protocols there is PLAINTEXT",
                       setting, address);
    *rest = address;
    return ERR_OK;
}

static bool is_any(const char *host)
{
    return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static int tell(struct listener *l, const char *host, int port, struct err *e)
{
    char own[HOST_MAX];
    if (is_any(host) && gethostname(own, sizeof own) == 0) {
        own[sizeof own - 1] = '\0';
        host = own;
    }
    l->host = mem_strdup(host);
    l->told_port = port;
    return l->host != NULL ? ERR_OK : err_nomem(e);
}

static int open_unix(struct listener *l, const char *path, struct err *e)
{
    l->path = mem_strdup(path);
    if (l->path == NULL)
        return err_nomem(e);
    int rc = listen_local(path, &l->fd, e);
    /* A client that follows what it is told comes by the same way only if it is told that it is one. */
    return rc == ERR_OK ? tell(l, "localhost", 0, e) : err_wrap(e, "listeners");
}

/* Machines, and containers above all, may be without. */
static bool has_ipv6(void)
{
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool has = fd >= 0 || errno != EAFNOSUPPORT;
    io_close(fd);
    return has;
}

/* Kafka's listener on no host is on all of them; ours of base would be the loopback's. */
static int open_tcp(struct listener *l, const char *text, struct err *e)
{
    char host[HOST_MAX], full[HOST_MAX + 16];
    int port;
    int rc = listen_split("listeners", text, host, sizeof host, &port, e);
    if (rc != ERR_OK)
        return rc;
    const char *on = host[0] != '\0' ? host : has_ipv6() ? "::" : "0.0.0.0";
    snprintf(full, sizeof full, strchr(on, ':') != NULL ? "[%s]:%d" : "%s:%d", on, port);
    rc = listen_tcp("listeners", full, &l->fd, &l->port, e);
    return rc == ERR_OK ? tell(l, host, l->port, e) : rc;
}

static int advertise(struct listener *l, const char *text, struct err *e)
{
    char host[HOST_MAX];
    int port;
    const char *rest;
    int rc = strip_protocol("advertised.listeners", text, &rest, e);
    if (rc == ERR_OK)
        rc = listen_split("advertised.listeners", rest, host, sizeof host, &port, e);
    if (rc != ERR_OK)
        return rc;
    if (is_any(host))
        return err_set(e, ERR_INVALID_CONFIG,
                       "advertised.listeners: '%.100s': clients cannot connect to all addresses", text);
    mem_free(l->host);
    l->host = NULL;
    return tell(l, host, port != 0 ? port : l->port, e);
}

int listener_open(struct listener *l, const char *address, const char *advertised, struct err *e)
{
    const char *rest;
    l->fd = -1;
    int rc = strip_protocol("listeners", address, &rest, e);
    if (rc == ERR_OK && strncmp(rest, UNIX, strlen(UNIX)) == 0)
        rc = open_unix(l, rest + strlen(UNIX), e);
    else if (rc == ERR_OK)
        rc = open_tcp(l, rest, e);
    if (rc == ERR_OK && advertised != NULL)
        rc = advertise(l, advertised, e);
    if (rc == ERR_OK && fcntl(l->fd, F_SETFL, O_NONBLOCK) != 0)
        rc = err_set(e, ERR_IO, "listeners: the socket cannot be made non-blocking");
    return rc;
}

void listener_close(struct listener *l)
{
    struct err ignored; /* the next start removes it */
    io_close(l->fd);
    if (l->path != NULL)
        io_unlink(l->path, &ignored);
    mem_free(l->path);
    mem_free(l->host);
}
