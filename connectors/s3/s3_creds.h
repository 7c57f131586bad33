/*
 * s3_creds: where the keys come from: the options, else the environment, else the credentials file that AWS's
 * tools keep. Read once at open, task thread only.
 */
#ifndef LEAT_S3_CREDS_H
#define LEAT_S3_CREDS_H

#include <stddef.h>

#include "base/err.h"

struct s3_creds {
    char *access_key;
    char *secret_key;
    char *session_token; /* NULL: none */
};

/* The options' values; NULL where not set. */
struct s3_creds_options {
    const char *access_key, *secret_key, *session_token;
    const char *profile; /* of the credentials file; NULL: AWS_PROFILE or "default" */
};

/* ERR_INVALID_CONFIG: nothing found, or half of it. */
int creds_find(const struct s3_creds_options *o, struct s3_creds *out, struct err *e);
/* Wipes and frees. */
void creds_free(struct s3_creds *c);

/* Reads the profile out of the text of a credentials file (for creds_find and tests). ERR_NOT_FOUND. */
int creds_parse(const char *text, const char *profile, struct s3_creds *out, struct err *e);

#endif
