/*
 * listen: sockets that listen. Any thread.
 */
#ifndef LEAT_BASE_LISTEN_H
#define LEAT_BASE_LISTEN_H

#include <stddef.h>

#include "base/err.h"

/*
 * A Unix socket that only the owner may connect to, in place of one that nobody listens on any more. ERR_EXISTS: somebody does, or what is
 * there is something else, which stays.
 */
int listen_local(const char *path, int *fd, struct err *e);
/* "127.0.0.1:8083", "[::1]:8083", ":8083" (loopback). `*port` is the one taken. Errors begin with `setting`, whose value it is. */
int listen_tcp(const char *setting, const char *text, int *fd, int *port, struct err *e);

/* HOST and PORT of such a text, without the brackets; an absent host is "". ERR_INVALID_CONFIG. */
int listen_split(const char *setting, const char *text, char *host, size_t host_size, int *port,
                 struct err *e);

#endif
