/*
 * listen: sockets that listen, for server.c. Any thread.
 */
#ifndef LEAT_HTTP_LISTEN_H
#define LEAT_HTTP_LISTEN_H

#include "base/err.h"

/* A Unix socket that only the owner may connect to, in place of whatever was there. */
int listen_local(const char *path, int *fd, struct err *e);
/* "127.0.0.1:8083", "[::1]:8083", ":8083" (loopback). `*port` is the one taken. */
int listen_tcp(const char *text, int *fd, int *port, struct err *e);

#endif
