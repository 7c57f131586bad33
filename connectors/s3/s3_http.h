/*
 * s3_http: one HTTP request after another over libcurl. One easy handle per client, so that connections, DNS
 * and TLS sessions are reused. Knows nothing of S3 but the few headers it keeps. One thread at a time.
 */
#ifndef LEAT_S3_HTTP_H
#define LEAT_S3_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "sigv4.h"

#define HTTP_RESPONSE_MAX (4u << 20) /* body of an answer; a page of 1000 uploads has about 0.6 MiB */

struct http_options {
    const char *ca_file;    /* NULL: the system's */
    const char *proxy_url;  /* NULL: libcurl's own rules, that is the environment's */
    const char *proxy_user; /* NULL: none */
    const char *proxy_password;
    int64_t connect_ms; /* limit for name lookup, TCP and TLS together */
    int64_t stall_ms;   /* no byte moved for so long: given up; counted in whole seconds */
    bool expect_continue;
    /* Asked about once a second and with every piece moved; true breaks the request off. May be NULL. */
    bool (*cancelled)(void *arg);
    void *cancelled_arg;
};

struct http_request {
    const char *method;
    const char *url;                  /* already encoded, sent as it is */
    const struct sigv4_pair *headers; /* "host" is skipped: libcurl sets it from the URL */
    size_t header_count;
    const void *body;
    size_t body_len;
};

/* Metadata of our objects: the id of the topic that they hold records of. */
#define HTTP_TOPIC_ID "x-amz-meta-leat-topic-id"

struct http_response {
    int status;
    struct buf body;
    char topic_id[64]; /* our own metadata, see s3_topics.h; "" for none */
    char etag[128];    /* without quotes; "" if there was none */
    char region[64];
    char request_id[128];
    int64_t content_length; /* of HEAD, too; -1 unknown */
    int64_t date_s;         /* the server's clock, seconds since 1970; -1 unknown */
    int64_t retry_after_s;  /* -1: not said */
};

struct http_client;

/* `o` and its strings are borrowed for the call. */
int http_client_new(const struct http_options *o, struct http_client **out, struct err *e);
void http_client_free(struct http_client *c);

void http_response_init(struct http_response *r);
void http_response_free(struct http_response *r);

/*
 * Sends and receives. ERR_OK: a whole answer came, whatever its status. Else the connection failed
 * (e->retriable tells whether another try may help), or ERR_INTERRUPTED after `cancelled`. `r` is emptied
 * first.
 */
int http_perform(struct http_client *c, const struct http_request *q, struct http_response *r, struct err *e);

#endif
