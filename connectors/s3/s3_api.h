/*
 * s3_api: the operations of S3 that the sink needs, each with retries. One client a task, one thread at a time.
 *
 * Results of every operation: ERR_OK; ERR_EXISTS (a conditional write found an object); ERR_NOT_FOUND where
 * said; else an error that names bucket, key and endpoint, with e->retriable telling whether the task may be
 * started anew.
 */
#ifndef LEAT_S3_API_H
#define LEAT_S3_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "s3_answer.h"
#include "s3_http.h"
#include "s3_retry.h"

#define S3_PARTS_MAX 10000
#define S3_ETAG_SIZE 128

struct s3_config {
    const char *bucket;
    const char *region;
    const char *store_url; /* NULL: AWS's endpoint of the region */
    bool path_style;       /* http://host/bucket/key, else http://bucket.host/key */
    const char *access_key;
    const char *secret_key;
    const char *session_token;               /* NULL: none */
    const struct sigv4_pair *object_headers; /* for new objects: encryption, access list, storage class */
    size_t object_header_count;
    struct retry_policy retry;
    struct http_options http;
    /* How to wait between tries and what to say about them; `arg` goes to both. */
    void (*wait)(void *arg, int64_t ms);
    void (*notice)(void *arg, const char *text);
    bool (*stopping)(void *arg); /* true: no further tries */
    void *arg;
};

struct s3_api;

/* Copies the configuration with its strings. ERR_INVALID_CONFIG: store.url or bucket cannot be used. Connects
 * nowhere. */
int s3_api_new(const struct s3_config *c, struct s3_api **out, struct err *e);
void s3_api_free(struct s3_api *a);

/* "http://127.0.0.1:9000/bucket", for messages. */
const char *s3_api_where(const struct s3_api *a);

/* Figures since the start, for gauges. */
struct s3_counts {
    uint64_t requests, repeated, bytes_sent;
};
struct s3_counts s3_api_counts(const struct s3_api *a); /* any thread */

/* Did the store know the caller and deny the last request to it? Another kind of request may be allowed then.
 */
bool s3_access_denied(const struct s3_api *a);

/* Credentials, region, endpoint and bucket are right: lists nothing of the bucket. */
int s3_check_bucket(struct s3_api *a, struct err *e);

/*
 * `if_absent`: ERR_EXISTS rather than replacing another object, where the store knows conditional writes. `topic_id` goes into
 * the object's metadata; NULL: nothing does.
 */
int s3_put_object(struct s3_api *a, const char *key, const void *data, size_t n, const char *topic_id,
                  bool if_absent, struct err *e);

struct s3_object_info {
    int64_t size;
    char etag[S3_ETAG_SIZE];
    char topic_id[64]; /* "": its metadata has none */
};
/* ERR_NOT_FOUND: no such object. */
int s3_head_object(struct s3_api *a, const char *key, struct s3_object_info *out, struct err *e);

#define S3_KEYS_MAX 200
struct s3_keys {
    char *list[S3_KEYS_MAX];
    size_t n;
};
/* The first of the bucket's keys with the prefix, in the order of their bytes; s3_keys_free also after an error. */
int s3_first_keys(struct s3_api *a, const char *prefix, struct s3_keys *out, struct err *e);
void s3_keys_free(struct s3_keys *k);

/* `topic_id` as for s3_put_object. */
int s3_create_upload(struct s3_api *a, const char *key, const char *topic_id,
                     char upload_id[S3_UPLOAD_ID_SIZE], struct err *e);
/* `number` from 1. */
int s3_upload_part(struct s3_api *a, const char *key, const char *upload_id, int number, const void *data,
                   size_t n, char etag[S3_ETAG_SIZE], struct err *e);
/* `etags` of parts 1..n; `size` of the whole object. */
int s3_complete_upload(struct s3_api *a, const char *key, const char *upload_id, char (*etags)[S3_ETAG_SIZE],
                       size_t n, int64_t size, bool if_absent, struct err *e);
/* One that is gone already counts as aborted. */
int s3_abort_upload(struct s3_api *a, const char *key, const char *upload_id, struct err *e);
/* All unfinished uploads with the prefix; what `each` returns other than ERR_OK ends the walk. */
int s3_each_upload(struct s3_api *a, const char *prefix,
                   int (*each)(void *arg, const char *key, const char *upload_id, struct err *e), void *arg,
                   struct err *e);

#endif
