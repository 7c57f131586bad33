/*
 * server: the api over HTTP, by libmicrohttpd: on the Unix socket in the data directory (may change things;
 * only the owner may connect, mode 0600) and, by setting, on a TCP address (reads only).
 */
#ifndef LEAT_HTTP_SERVER_H
#define LEAT_HTTP_SERVER_H

#include "base/err.h"
#include "http/api.h"

struct http_server;

/*
 * Takes the addresses; who connects waits until http_server_serve. `socket_path` replaces a stale socket: the
 * caller holds the directory's lock, so nobody else listens there. `listen`: "HOST:PORT" or NULL; port 0 takes
 * a free one.
 */
int http_server_listen(struct http_server **out, const char *socket_path, const char *listen, struct err *e);
/* Answers from now on. Once. The api outlives the server. */
int http_server_serve(struct http_server *s, struct api *api, struct err *e);
/* The TCP port, or 0. */
int http_server_port(const struct http_server *s);
/* Stops taking connections, waits for requests under way (call api_interrupt first), removes the socket.
 * Frees. NULL is fine. */
void http_server_stop(struct http_server *s);

#endif
