/*
 * s3_explain: turns an error answer into one sentence that says what to do, and into a code. Private to
 * s3_api.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "s3_call.h"

/* The region that the store says is the right one, or NULL. */
static const char *right_region(const struct s3_api *a)
{
    const char *region = a->error.region[0] ? a->error.region : a->response.region;

    return region[0] && strcmp(region, a->config.region) != 0 ? region : NULL;
}

static bool is_code(const struct s3_api *a, const char *code)
{
    return strcmp(a->error.code, code) == 0;
}

/* What is known about a refusal for good beyond the store's own words; "" if nothing. */
static void find_advice(const struct s3_api *a, char *out, size_t size)
{
    const struct s3_config *c = &a->config;
    const char *region = right_region(a);
    int status = a->response.status;

    out[0] = '\0';
    if (region && (status == 301 || status == 307 || status == 400 || status == 403))
        snprintf(out, size, "bucket %s is in region %s, not %s: set s3.region", c->bucket, region, c->region);
    else if (is_code(a, "AuthorizationHeaderMalformed"))
        snprintf(out, size, "region %s is probably wrong for bucket %s: check s3.region", c->region,
                 c->bucket);
    else if (status == 301 || status == 307)
        snprintf(out, size, "the bucket is to be reached at %s: check s3.region and store.url",
                 a->error.endpoint[0] ? a->error.endpoint : "another endpoint");
    else if (is_code(a, "InvalidAccessKeyId"))
        snprintf(out, size, "access key %s is not known here: check aws.access.key.id", c->access_key);
    else if (is_code(a, "SignatureDoesNotMatch"))
        snprintf(out, size,
                 "the secret key does not belong to access key %s, or region %s is wrong: check "
                 "aws.secret.access.key and s3.region",
                 c->access_key, c->region);
    else if (is_code(a, "ExpiredToken") || is_code(a, "InvalidToken") || is_code(a, "TokenRefreshRequired"))
        snprintf(out, size, "the session token of access key %s is no longer valid", c->access_key);
    else if (is_code(a, "NoSuchBucket"))
        snprintf(out, size, "bucket %s does not exist: check s3.bucket.name and s3.region (%s)", c->bucket,
                 c->region);
    else if (is_code(a, "RequestTimeTooSkewed") && a->response.date_s >= 0)
        snprintf(out, size, "this machine's clock is %lld s off the store's: set it right",
                 (long long)(clock_wall_ms() / 1000 - a->response.date_s));
    else if (is_code(a, "RequestTimeTooSkewed"))
        snprintf(out, size, "this machine's clock is off (the store says %s): set it right",
                 a->error.server_time);
    else if (status == 403)
        snprintf(out, size, "access key %s is not allowed to do that on bucket %s", c->access_key, c->bucket);
}

static int code_for(const struct s3_api *a)
{
    int status = a->response.status;

    switch (a->verdict) {
    case S3_EXISTS:
        return ERR_EXISTS;
    case S3_AGAIN:
    case S3_REPLAY:
        return ERR_REMOTE;
    default:
        break;
    }
    if (status == 401 || status == 403)
        return ERR_AUTHENTICATION;
    if (status == 404)
        return ERR_NOT_FOUND;
    if (status == 501)
        return ERR_UNSUPPORTED;
    return right_region(a) || status == 301 || status == 307 ? ERR_INVALID_CONFIG : ERR_REMOTE;
}

int s3_explain(const struct s3_api *a, const struct s3_call *c, struct err *e)
{
    const struct http_response *r = &a->response;
    const struct s3_error *x = &a->error;
    char advice[400];

    find_advice(a, advice, sizeof advice);
    err_set(e, code_for(a), "%s%s%s %s%s%s: HTTP %d%s%s%s%s%s%s%s", advice, advice[0] ? ": " : "", c->what,
            a->where, c->key ? "/" : "", c->key ? c->key : "", r->status, x->code[0] ? " " : "", x->code,
            x->message[0] ? ": " : "", x->message, r->request_id[0] ? " (request " : "", r->request_id,
            r->request_id[0] ? ")" : "");
    e->retriable = a->verdict == S3_AGAIN || a->verdict == S3_REPLAY;
    return e->code;
}
