/*
 * s3_call: one signed call with its retries; private to s3_api.c, s3_call.c and s3_explain.c. One thread at a
 * time.
 */
#ifndef LEAT_S3_CALL_H
#define LEAT_S3_CALL_H

#include "s3_api.h"

#define CALL_QUERY_MAX 8
#define CALL_HEADERS_MAX 12

struct s3_api {
    struct s3_config config; /* its strings are in `strings` */
    char *strings[8];
    struct sigv4_pair *object_headers;
    struct http_client *http;
    struct http_response response;
    struct buf url, path, authorization;
    char *base; /* scheme://host[:port], with the bucket in the host if it is to be there */
    char *host; /* as in the Host header */
    char *root; /* path before the key: "", "/bucket", "/prefix/bucket" */
    char *where;
    _Atomic uint64_t requests, repeated, bytes_sent; /* struct s3_counts */
    struct s3_error error;                           /* of the last answer */
    enum s3_verdict verdict;                         /* of the last answer */
    int tries;                                       /* of the last call */
    bool unconditional;                              /* the store does not know If-None-Match on writes */
};

struct s3_call {
    const char *what; /* for messages: "upload part 3 of" */
    const char *method;
    const char *key; /* NULL: the bucket itself */
    struct sigv4_pair query[CALL_QUERY_MAX];
    size_t query_count;
    struct sigv4_pair headers[CALL_HEADERS_MAX]; /* names in lower case */
    size_t header_count;
    const void *body;
    size_t body_len;
    /* Reads a good answer into read_arg; ERR_CORRUPT means half an answer: the call is repeated. May be NULL.
     */
    int (*read)(void *read_arg, const struct http_response *r, struct err *e);
    void *read_arg;
};

void call_query(struct s3_call *c, const char *name, const char *value);
void call_header(struct s3_call *c, const char *name, const char *value);

/*
 * Sends until the verdict is not S3_AGAIN or the tries are used up. The answer is in a->response, what it
 * means in a->verdict. ERR_OK only for S3_DONE.
 */
int s3_call(struct s3_api *a, const struct s3_call *c, struct err *e);

/* Fills `e` from the last answer; returns its code. */
int s3_explain(const struct s3_api *a, const struct s3_call *c, struct err *e);

#endif
