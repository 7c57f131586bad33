/*
 * s3_http: libcurl behind http_perform. See s3_http.h.
 *
 * Redirects are never followed: a signature holds for one host only, and S3's redirects mean a wrong region,
 * which the user should know of. Proxies are libcurl's own business unless set.
 */
#include "s3_http.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/mem.h"

struct http_client {
    CURL *curl;
    struct http_options options; /* its strings are not kept */
    char error[CURL_ERROR_SIZE];
    const uint8_t *body; /* of the request under way */
    size_t body_len, body_pos;
    struct http_response *response;
    struct err *receive_error; /* why receive() refused the answer */
    bool refused;
};

static void global_init(void)
{
    curl_global_init(CURL_GLOBAL_DEFAULT);
}

static size_t send_body(char *out, size_t size, size_t count, void *arg)
{
    struct http_client *c = arg;
    size_t n = size * count, left = c->body_len - c->body_pos;

    if (n > left)
        n = left;
    if (n)
        memcpy(out, c->body + c->body_pos, n);
    c->body_pos += n;
    return n;
}

/* libcurl rewinds when a reused connection turned out to be dead. */
static int seek_body(void *arg, curl_off_t offset, int origin)
{
    struct http_client *c = arg;

    if (origin != SEEK_SET || offset < 0 || (size_t)offset > c->body_len)
        return CURL_SEEKFUNC_FAIL;
    c->body_pos = (size_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t receive(char *data, size_t size, size_t count, void *arg)
{
    struct http_client *c = arg;

    if (buf_append(&c->response->body, data, size * count, c->receive_error)) {
        c->refused = true;
        return 0;
    }
    return size * count;
}

/* Copies the value without blanks and quotes around it. What does not fit counts as absent. */
static void keep_value(const char *value, size_t n, char *out, size_t size)
{
    while (n && strchr(" \t\"", *value)) {
        value++;
        n--;
    }
    while (n && strchr(" \t\r\n\"", value[n - 1]))
        n--;
    if (n >= size)
        n = 0;
    memcpy(out, value, n);
    out[n] = '\0';
}

static size_t receive_header(char *line, size_t size, size_t count, void *arg)
{
    struct http_client *c = arg;
    struct http_response *r = c->response;
    size_t n = size * count;
    const char *colon = memchr(line, ':', n);
    char text[64];
    size_t name, value_len;

    if (!colon) {
        if (n > 5 && memcmp(line, "HTTP/", 5) == 0) /* a new answer: forget what a 100 or a proxy said */
            r->topic_id[0] = r->etag[0] = r->region[0] = r->request_id[0] = '\0';
        return n;
    }
    name = (size_t)(colon - line);
    value_len = n - name - 1;
    if (name == 4 && strncasecmp(line, "etag", name) == 0) {
        keep_value(colon + 1, value_len, r->etag, sizeof r->etag);
    } else if (name == 19 && strncasecmp(line, "x-amz-bucket-region", name) == 0) {
        keep_value(colon + 1, value_len, r->region, sizeof r->region);
    } else if (name == 16 && strncasecmp(line, "x-amz-request-id", name) == 0) {
        keep_value(colon + 1, value_len, r->request_id, sizeof r->request_id);
    } else if (name == sizeof HTTP_TOPIC_ID - 1 && strncasecmp(line, HTTP_TOPIC_ID, name) == 0) {
        keep_value(colon + 1, value_len, r->topic_id, sizeof r->topic_id);
    } else if (name == 4 && strncasecmp(line, "date", name) == 0) {
        keep_value(colon + 1, value_len, text, sizeof text);
        r->date_s = (int64_t)curl_getdate(text, NULL);
    }
    return n;
}

static int on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    struct http_client *c = arg;

    (void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
    return c->options.cancelled(c->options.cancelled_arg) ? 1 : 0;
}

static CURLcode set_fixed_options(struct http_client *c, const struct http_options *o)
{
    CURL *h = c->curl;
    CURLcode rc = CURLE_OK;
    long stall_s = (long)((o->stall_ms + 999) / 1000);

#define SET(option, value) rc = rc ? rc : curl_easy_setopt(h, CURLOPT_##option, value)
    SET(NOSIGNAL, 1L);
    SET(PROTOCOLS_STR, "http,https");
    SET(HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(PATH_AS_IS, 1L);
    SET(ERRORBUFFER, c->error);
    SET(CONNECTTIMEOUT_MS, (long)o->connect_ms);
    SET(LOW_SPEED_LIMIT, 1L);
    SET(LOW_SPEED_TIME, stall_s > 0 ? stall_s : 1L);
    SET(UPLOAD_BUFFERSIZE, 256L << 10);
    SET(READFUNCTION, send_body);
    SET(READDATA, c);
    SET(SEEKFUNCTION, seek_body);
    SET(SEEKDATA, c);
    SET(WRITEFUNCTION, receive);
    SET(WRITEDATA, c);
    SET(HEADERFUNCTION, receive_header);
    SET(HEADERDATA, c);
    SET(TCP_KEEPALIVE, 1L);
    SET(USERAGENT, "leat/" LEAT_VERSION);
    if (o->cancelled) {
        SET(XFERINFOFUNCTION, on_progress);
        SET(XFERINFODATA, c);
        SET(NOPROGRESS, 0L);
    }
    if (o->ca_file)
        SET(CAINFO, o->ca_file);
    if (o->proxy_url)
        SET(PROXY, o->proxy_url);
    if (o->proxy_user)
        SET(PROXYUSERNAME, o->proxy_user);
    if (o->proxy_password)
        SET(PROXYPASSWORD, o->proxy_password);
#undef SET
    return rc;
}

int http_client_new(const struct http_options *o, struct http_client **out, struct err *e)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct http_client *c = mem_calloc(1, sizeof *c);
    CURLcode rc;

    *out = NULL;
    if (!c)
        return err_nomem(e);
    pthread_once(&once, global_init);
    c->options = *o;
    c->curl = curl_easy_init();
    if (!c->curl) {
        mem_free(c);
        return err_nomem(e);
    }
    rc = set_fixed_options(c, o);
    if (rc) {
        err_set(e, rc == CURLE_OUT_OF_MEMORY ? ERR_NO_MEMORY : ERR_INVALID_CONFIG,
                "libcurl refuses a setting: %s", curl_easy_strerror(rc));
        http_client_free(c);
        return e->code;
    }
    *out = c;
    return ERR_OK;
}

void http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    mem_free(c);
}

void http_response_init(struct http_response *r)
{
    memset(r, 0, sizeof *r);
    buf_init(&r->body, HTTP_RESPONSE_MAX);
}

void http_response_free(struct http_response *r)
{
    buf_free(&r->body);
}

static void clear_response(struct http_response *r)
{
    struct buf body = r->body;

    memset(r, 0, sizeof *r);
    r->body = body;
    buf_reset(&r->body);
    r->content_length = r->date_s = r->retry_after_s = -1;
}

static bool add_header(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);

    if (longer)
        *list = longer;
    return longer != NULL;
}

static int make_headers(const struct http_client *c, const struct http_request *q, struct curl_slist **list,
                        struct err *e)
{
    struct buf line;
    int rc = ERR_OK;

    buf_init(&line, 64 << 10);
    for (size_t i = 0; i < q->header_count && rc == ERR_OK; i++) {
        if (strcmp(q->headers[i].name, "host") == 0)
            continue;
        buf_reset(&line);
        rc = buf_printf(&line, e, "%s: %s", q->headers[i].name,
                        q->headers[i].value ? q->headers[i].value : "");
        if (rc == ERR_OK)
            rc = buf_u8(&line, '\0', e);
        if (rc == ERR_OK && !add_header(list, (const char *)line.data))
            rc = err_nomem(e);
    }
    if (rc == ERR_OK && !c->options.expect_continue && !add_header(list, "Expect:"))
        rc = err_nomem(e);
    buf_free(&line);
    return rc;
}

/* Method and body. Without a body neither Content-Type nor Transfer-Encoding must appear. */
static CURLcode set_method(struct http_client *c, const struct http_request *q)
{
    bool put = strcmp(q->method, "PUT") == 0, post = strcmp(q->method, "POST") == 0;
    CURLcode rc = curl_easy_setopt(c->curl, CURLOPT_HTTPGET, 1L);

    if (rc == CURLE_OK)
        rc = curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, NULL);
    if (rc == CURLE_OK && strcmp(q->method, "HEAD") == 0)
        return curl_easy_setopt(c->curl, CURLOPT_NOBODY, 1L);
    if (rc == CURLE_OK && (put || post)) {
        rc = curl_easy_setopt(c->curl, CURLOPT_UPLOAD, 1L);
        if (rc == CURLE_OK)
            rc = curl_easy_setopt(c->curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)q->body_len);
    }
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(c->curl, CURLOPT_CUSTOMREQUEST, q->method);
    return rc;
}

/* What a failed transfer means. */
static int transfer_error(struct http_client *c, CURLcode rc, struct err *e)
{
    const char *why = c->error[0] ? c->error : curl_easy_strerror(rc);
    int code = ERR_CONNECTION;

    switch (rc) {
    case CURLE_ABORTED_BY_CALLBACK:
        return err_set(e, ERR_INTERRUPTED, "broken off because the task stops");
    case CURLE_OPERATION_TIMEDOUT:
        return err_set(e, ERR_TIMEOUT, "%s", why);
    case CURLE_OUT_OF_MEMORY:
        return err_nomem(e);
    case CURLE_WRITE_ERROR:
        if (c->refused)
            return err_wrap(e, "the answer is refused");
        break;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        code = ERR_AUTHENTICATION;
        break;
    case CURLE_SSL_CONNECT_ERROR:
        if (strstr(why, "wrong version number"))
            return err_set(e, code,
                           "%s (does the endpoint speak TLS? if not, it is http:// and not https://)", why);
        break;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        code = ERR_INVALID_CONFIG;
        break;
    default:
        break;
    }
    return err_set(e, code, "%s", why);
}

static void read_answer_info(struct http_client *c, struct http_response *r)
{
    curl_off_t n = -1;
    long status = 0;

    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    r->status = (int)status;
    if (curl_easy_getinfo(c->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &n) == CURLE_OK)
        r->content_length = n;
    if (curl_easy_getinfo(c->curl, CURLINFO_RETRY_AFTER, &n) == CURLE_OK && n > 0)
        r->retry_after_s = n;
}

int http_perform(struct http_client *c, const struct http_request *q, struct http_response *r, struct err *e)
{
    struct curl_slist *headers = NULL;
    CURLcode rc;

    clear_response(r);
    if (make_headers(c, q, &headers, e)) {
        curl_slist_free_all(headers);
        return e->code;
    }
    c->error[0] = '\0';
    c->body = q->body;
    c->body_len = q->body_len;
    c->body_pos = 0;
    c->response = r;
    c->receive_error = e;
    c->refused = false;
    rc = set_method(c, q);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(c->curl, CURLOPT_URL, q->url);
    if (rc == CURLE_OK)
        rc = curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, headers);
    if (rc == CURLE_OK)
        rc = curl_easy_perform(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    if (rc)
        return transfer_error(c, rc, e);
    read_answer_info(c, r);
    return ERR_OK;
}
