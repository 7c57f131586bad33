/*
 * s3_answer: what S3's XML answers say. Every text is bounded; too long or malformed is ERR_CORRUPT. Any
 * thread.
 */
#ifndef LEAT_S3_ANSWER_H
#define LEAT_S3_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

#define S3_KEY_SIZE 1025 /* S3's limit of 1024 bytes, and the NUL */
#define S3_UPLOAD_ID_SIZE 1025

struct s3_error {
    char code[64]; /* "" if the body is no <Error> document */
    char message[256];
    char region[64];
    char endpoint[256];
    char server_time[40];
};

/* Never fails: a body that is no error document, or malformed, leaves everything empty but what was read of
 * it. */
void answer_error(const void *body, size_t n, struct s3_error *out);

/* InitiateMultipartUploadResult. */
int answer_upload_id(const void *body, size_t n, char out[S3_UPLOAD_ID_SIZE], struct err *e);

/* A whole document with that root, such as CompleteMultipartUploadResult. ERR_CORRUPT for anything else. */
int answer_whole(const void *body, size_t n, const char *root, struct err *e);

struct s3_uploads_page {
    bool truncated;
    char next_key[S3_KEY_SIZE];
    char next_upload_id[S3_UPLOAD_ID_SIZE];
};

/* The keys of a list of objects, decoded, in its order; stops at the first error of `each`. */
int answer_keys(const void *body, size_t n, int (*each)(void *arg, const char *key, struct err *e), void *arg,
                struct err *e);

/* ListMultipartUploadsResult: calls `each` with key and upload id of every upload; stops at its first error. */
int answer_uploads(const void *body, size_t n, struct s3_uploads_page *page,
                   int (*each)(void *arg, const char *key, const char *upload_id, struct err *e), void *arg,
                   struct err *e);

#endif
