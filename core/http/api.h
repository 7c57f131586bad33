/*
 * api: the hub's interface as requests and answers, independent of how they travel. The server (server.h)
 * feeds it from sockets; the command line calls it directly when no hub runs, so that both ways do the very
 * same.
 *
 * Targets are raw ("/hub/topics/a%2Fb?x=1"). Bodies are JSON unless said otherwise. Errors are
 * {"error_code":<HTTP status>,"message":...,"code":<name from base/err.h>}, Connect's shape and one more
 * member; the message may have several lines. Any thread; every request stands alone.
 */
#ifndef LEAT_HTTP_API_H
#define LEAT_HTTP_API_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "broker/broker.h"
#include "client/client.h"
#include "connect/connect.h"
#include "group/group.h"

#define API_BODY_MAX ((size_t)16 << 20)     /* of a request */
#define API_RESPONSE_MAX ((size_t)64 << 20) /* of an answer */
#define API_READ_PARTITIONS_MAX 1000        /* in one read of records */
#define API_NEXT_MAX ((size_t)32 << 10)     /* positions of that many partitions as text */
#define API_WAIT_MAX_MS 30000               /* of a read of records */

/* What requests can reach. Members may be NULL where noted; then requests that need them answer 409. */
struct api_options {
    struct broker *broker;
    struct client *client;
    struct groups *groups; /* members of Kafka's clients; NULL: there are no listeners, or no hub runs */
    struct worker *worker; /* NULL: no hub runs, the command line has opened the directory */
    int64_t started_ms;    /* wall clock */
    void *arg;
    /* Re-reads the configuration and applies it; `text` gets the plan, or the problems with
     * ERR_INVALID_CONFIG. */
    int (*reload)(void *arg, struct buf *text, struct err *e);
    /* What a reload from `path` would change; likewise. */
    int (*plan)(void *arg, const char *path, struct buf *text, struct err *e);
};

struct api;
struct api *api_new(const struct api_options *o, struct err *e); /* NULL on error */
void api_free(struct api *a);
/* Lets requests that wait for records return early, for a stop. */
void api_interrupt(struct api *a);

struct api_request {
    const char *method;
    const char *target;
    const void *body;
    size_t body_bytes;
    bool read_only; /* came in over a listener that may not change anything */
};

struct api_response {
    int status;
    const char *content_type;
    struct buf body;
    struct buf next; /* of a read of records: positions to go on from, "0:15,1:44" */
    bool at_end;     /* of a read of records: everything there was has been given out */
    char allow[64];  /* of a 405: the methods that the path knows */
};

void api_handle(struct api *a, const struct api_request *request, struct api_response *response);
void api_response_free(struct api_response *r);

/* Percent-encodes one path segment or query value. */
int api_escape(struct buf *out, const char *s, struct err *e);

#endif
