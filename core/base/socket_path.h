/*
 * socket_path: a Unix socket's address for a path of any length. sun_path holds 107 bytes; a longer path goes
 * through its directory's descriptor, /proc/self/fd/N/NAME, which works for bind and connect alike.
 */
#ifndef LEAT_BASE_SOCKET_PATH_H
#define LEAT_BASE_SOCKET_PATH_H

#include <sys/un.h>

#include "base/err.h"

struct socket_path {
    struct sockaddr_un address;
    int dir; /* the directory's descriptor, or -1 */
};

/* The address stays good until socket_path_close. ERR_INVALID: too long, and there is no /proc to help. */
int socket_path_open(struct socket_path *p, const char *path, struct err *e);
void socket_path_close(struct socket_path *p);

#endif
