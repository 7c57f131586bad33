/*
 * sigv4: AWS Signature Version 4 for S3, by OpenSSL's HMAC and SHA-256. libcurl 7.88 signs wrongly where the
 * path or the query needs canonical form; the text built here is both what is signed and what goes over the
 * wire. Reference: "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)",
 * Amazon S3 API. Pure functions, any thread.
 */
#ifndef LEAT_S3_SIGV4_H
#define LEAT_S3_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

#define SIGV4_HASH_SIZE 65 /* SHA-256 in hex with NUL */
#define SIGV4_DATE_SIZE 17 /* 20130524T000000Z with NUL */
#define SIGV4_PAIRS_MAX 32 /* query parameters or headers of one request */

struct sigv4_pair {
    const char *name;
    const char *value; /* NULL counts as empty */
};

struct sigv4_request {
    const char *method;
    const char *path;               /* starts with '/', not yet encoded */
    const struct sigv4_pair *query; /* not encoded, any order */
    size_t query_count;
    const struct sigv4_pair *headers; /* names in lower case, any order; all are signed; must contain host */
    size_t header_count;
    const char *payload_hash; /* hex SHA-256 of the body */
};

struct sigv4_scope {
    const char *access_key;
    const char *secret_key;
    const char *region;
    const char *date; /* as sigv4_date writes it */
};

/* Hex SHA-256 of `n` bytes. */
void sigv4_hash(const void *data, size_t n, char out[SIGV4_HASH_SIZE]);

/* Seconds since 1970 as x-amz-date. */
void sigv4_date(int64_t unix_s, char out[SIGV4_DATE_SIZE]);

/* Appends `s` with everything but A-Z a-z 0-9 - . _ ~ (and '/' if `path`) percent-encoded, hex in upper case.
 */
int sigv4_encode(struct buf *out, const char *s, bool path, struct err *e);

/* Appends the query sorted and encoded, without '?': "list-type=2&prefix=a%2Fb". */
int sigv4_query(struct buf *out, const struct sigv4_pair *query, size_t n, struct err *e);

/* Appends the canonical request (for tests and for error messages of a strict server). */
int sigv4_canonical(struct buf *out, const struct sigv4_request *r, struct err *e);

/* Appends the value of the Authorization header. */
int sigv4_authorization(struct buf *out, const struct sigv4_request *r, const struct sigv4_scope *s,
                        struct err *e);

#endif
