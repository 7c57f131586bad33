/*
 * s3_call: builds, signs and sends a call, and repeats it while that may help. See s3_call.h.
 */
#include "s3_call.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"

void call_query(struct s3_call *c, const char *name, const char *value)
{
    c->query[c->query_count++] = (struct sigv4_pair){name, value};
}

void call_header(struct s3_call *c, const char *name, const char *value)
{
    c->headers[c->header_count++] = (struct sigv4_pair){name, value};
}

/* Path and URL; the path as it is signed, the URL with the same text encoded. */
static int build_url(struct s3_api *a, const struct s3_call *c, struct err *e)
{
    buf_reset(&a->path);
    buf_reset(&a->url);
    if (buf_str(&a->path, a->root, e) || buf_u8(&a->path, '/', e) ||
        (c->key && buf_str(&a->path, c->key, e)) || buf_u8(&a->path, '\0', e))
        return e->code;
    /* A bucket in path style is /bucket, without the slash that a key would follow. */
    if (!c->key && a->root[0])
        a->path.data[a->path.len - 2] = '\0';
    if (buf_str(&a->url, a->base, e) || sigv4_encode(&a->url, (const char *)a->path.data, true, e))
        return e->code;
    if (c->query_count && (buf_u8(&a->url, '?', e) || sigv4_query(&a->url, c->query, c->query_count, e)))
        return e->code;
    return buf_u8(&a->url, '\0', e);
}

/* One try: fresh date, signature, request. */
static int send_once(struct s3_api *a, const struct s3_call *c, const char *payload_hash, struct err *e)
{
    struct sigv4_pair headers[CALL_HEADERS_MAX + 5];
    char date[SIGV4_DATE_SIZE];
    size_t n = c->header_count;
    struct sigv4_request r = {.method = c->method,
                              .path = (const char *)a->path.data,
                              .query = c->query,
                              .query_count = c->query_count,
                              .headers = headers,
                              .payload_hash = payload_hash};
    struct sigv4_scope scope = {a->config.access_key, a->config.secret_key, a->config.region, date};
    struct http_request q = {.method = c->method, .url = (const char *)a->url.data, .headers = headers};

    sigv4_date(clock_wall_ms() / 1000, date);
    memcpy(headers, c->headers, n * sizeof *headers);
    headers[n++] = (struct sigv4_pair){"host", a->host};
    headers[n++] = (struct sigv4_pair){"x-amz-content-sha256", payload_hash};
    headers[n++] = (struct sigv4_pair){"x-amz-date", date};
    if (a->config.session_token)
        headers[n++] = (struct sigv4_pair){"x-amz-security-token", a->config.session_token};
    r.header_count = n;
    buf_reset(&a->authorization);
    if (sigv4_authorization(&a->authorization, &r, &scope, e) || buf_u8(&a->authorization, '\0', e))
        return e->code;
    headers[n++] = (struct sigv4_pair){"authorization", (const char *)a->authorization.data};
    q.header_count = n;
    q.body = c->body;
    q.body_len = c->body_len;
    a->requests++;
    a->bytes_sent += c->body_len;
    return http_perform(a->http, &q, &a->response, e);
}

/* Says that a try failed and waits. */
static void wait_before(struct s3_api *a, int attempt, const struct err *e)
{
    int64_t ms = retry_delay_ms(&a->config.retry, attempt, a->response.retry_after_s, arc4random());
    char text[1024];

    snprintf(text, sizeof text, "%s; try %d of %d in %lld ms", e->text, attempt + 1,
             a->config.retry.retries + 1, (long long)ms);
    a->config.notice(a->config.arg, text);
    a->repeated++;
    a->config.wait(a->config.arg, ms);
}

/* The verdict on a try that gave `rc`; fills `e` unless all is well. */
static enum s3_verdict judge(struct s3_api *a, const struct s3_call *c, int rc, struct err *e)
{
    if (rc) {
        bool again = e->retriable;

        memset(&a->error, 0, sizeof a->error);
        err_wrap(e, "%s %s%s%s", c->what, a->where, c->key ? "/" : "", c->key ? c->key : "");
        return again ? S3_AGAIN : S3_PERMANENT;
    }
    answer_error(a->response.body.data, a->response.body.len, &a->error);
    a->verdict = retry_verdict(a->response.status, a->error.code);
    if (a->verdict != S3_DONE) {
        s3_explain(a, c, e);
    } else if (c->read && c->read(c->read_arg, &a->response, e)) {
        bool half = e->code == ERR_CORRUPT;

        err_wrap(e, "%s %s%s%s", c->what, a->where, c->key ? "/" : "", c->key ? c->key : "");
        e->retriable |= half;
        return half ? S3_AGAIN : S3_PERMANENT;
    }
    return a->verdict;
}

int s3_call(struct s3_api *a, const struct s3_call *c, struct err *e)
{
    char hash[SIGV4_HASH_SIZE];

    if (build_url(a, c, e))
        return e->code;
    sigv4_hash(c->body ? c->body : "", c->body_len, hash);
    for (int attempt = 1;; attempt++) {
        a->tries = attempt;
        a->verdict = judge(a, c, send_once(a, c, hash, e), e);
        if (a->verdict == S3_DONE)
            return ERR_OK;
        if (a->verdict != S3_AGAIN || attempt > a->config.retry.retries || a->config.stopping(a->config.arg))
            return e->code;
        wait_before(a, attempt, e);
    }
}
