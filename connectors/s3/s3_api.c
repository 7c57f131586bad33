/*
 * s3_api: a client for one bucket: where it is and how it is reached. The operations are in s3_ops.c.
 */
#include "s3_api.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "base/mem.h"
#include "s3_call.h"

/* What is left of S3's rules for bucket names across the stores that speak S3. */
static int check_bucket_name(const char *bucket, struct err *e)
{
    size_t n = strlen(bucket);

    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)bucket[i]) && !strchr(".-_", bucket[i]))
            return err_set(e, ERR_INVALID_CONFIG, "s3.bucket.name: %s is no bucket name: %c is not allowed",
                           bucket, bucket[i]);
    if (n < 3 || n > 255)
        return err_set(e, ERR_INVALID_CONFIG, "s3.bucket.name: %s is no bucket name: 3 to 63 characters",
                       bucket);
    return ERR_OK;
}

/* Keys and region go into headers as they are: a stray newline (of a file, say) would only be met as a wrong signature. */
static int check_header_text(const char *name, const char *value, struct err *e)
{
    for (const char *p = value ? value : ""; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 0x7f)
            return err_set(e, ERR_INVALID_CONFIG, "%s: has a blank or a control character at position %zu",
                           name, (size_t)(p - value) + 1);
    return ERR_OK;
}

static bool is_address(const char *host)
{
    return host[0] == '[' || strspn(host, "0123456789.") == strlen(host);
}

struct endpoint {
    char *scheme, *host, *port, *path; /* curl_free */
};

static void endpoint_free(struct endpoint *p)
{
    curl_free(p->scheme);
    curl_free(p->host);
    curl_free(p->port);
    curl_free(p->path);
}

/* Takes store.url apart; what an endpoint cannot have is refused. */
static int parse_endpoint(const char *url, struct endpoint *p, struct err *e)
{
    char *extra = NULL;
    CURLU *u = curl_url();
    CURLUcode rc;
    int code = ERR_OK;

    memset(p, 0, sizeof *p);
    if (!u)
        return err_nomem(e);
    rc = curl_url_set(u, CURLUPART_URL, url, CURLU_DEFAULT_SCHEME);
    if (rc == CURLUE_OK)
        rc = curl_url_get(u, CURLUPART_SCHEME, &p->scheme, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(u, CURLUPART_HOST, &p->host, 0);
    if (rc == CURLUE_OK)
        rc = curl_url_get(u, CURLUPART_PATH, &p->path, 0);
    if (rc == CURLUE_OK &&
        curl_url_get(u, CURLUPART_PORT, &p->port, CURLU_NO_DEFAULT_PORT) == CURLUE_OUT_OF_MEMORY)
        rc = CURLUE_OUT_OF_MEMORY;
    if (rc == CURLUE_OUT_OF_MEMORY)
        code = err_nomem(e);
    else if (rc)
        code = err_set(e, ERR_INVALID_CONFIG, "store.url: %s", curl_url_strerror(rc));
    else if (strcmp(p->scheme, "http") != 0 && strcmp(p->scheme, "https") != 0)
        code = err_set(e, ERR_INVALID_CONFIG, "store.url: http or https, not %s", p->scheme);
    else if (curl_url_get(u, CURLUPART_QUERY, &extra, 0) == CURLUE_OK ||
             curl_url_get(u, CURLUPART_USER, &extra, 0) == CURLUE_OK)
        code = err_set(e, ERR_INVALID_CONFIG, "store.url: only scheme, host, port and path can be given");
    curl_free(extra);
    curl_url_cleanup(u);
    if (code)
        endpoint_free(p);
    return code;
}

/* Base, host, root and the name for messages from the endpoint. */
static int place_bucket(struct s3_api *a, const struct endpoint *p, struct err *e)
{
    const struct s3_config *c = &a->config;
    const char *colon = p->port ? ":" : "", *port = p->port ? p->port : "";
    size_t path_len = strlen(p->path);

    while (path_len && p->path[path_len - 1] == '/')
        path_len--;
    if (!c->path_style && is_address(p->host))
        return err_set(
            e, ERR_INVALID_CONFIG,
            "s3.path.style.access.enabled: must be true where store.url has an address (%s): the bucket "
            "cannot go in front of it",
            p->host);
    if (c->path_style) {
        a->host = mem_printf("%s%s%s", p->host, colon, port);
        a->root = mem_printf("%.*s/%s", (int)path_len, p->path, c->bucket);
    } else {
        a->host = mem_printf("%s.%s%s%s", c->bucket, p->host, colon, port);
        a->root = mem_printf("%.*s", (int)path_len, p->path);
    }
    if (a->host)
        a->base = mem_printf("%s://%s", p->scheme, a->host);
    if (a->base && a->root)
        a->where = mem_printf("%s%s", a->base, a->root);
    return a->where ? ERR_OK : err_nomem(e);
}

static int find_endpoint(struct s3_api *a, struct err *e)
{
    struct endpoint p;
    char *url;
    int rc;

    if (a->config.store_url && *a->config.store_url)
        url = mem_strdup(a->config.store_url);
    else
        url = mem_printf("https://s3.%s.amazonaws.com%s", a->config.region,
                         strncmp(a->config.region, "cn-", 3) == 0 ? ".cn" : "");
    if (!url)
        return err_nomem(e);
    rc = parse_endpoint(url, &p, e);
    if (rc == ERR_OK) {
        rc = place_bucket(a, &p, e);
        endpoint_free(&p);
    }
    mem_free(url);
    return rc;
}

/* Replaces the borrowed strings by own ones. */
static int copy_config(struct s3_api *a, const struct s3_config *c, struct err *e)
{
    const char **strings[] = {&a->config.bucket,     &a->config.region,     &a->config.store_url,
                              &a->config.access_key, &a->config.secret_key, &a->config.session_token};

    a->config = *c;
    for (size_t i = 0; i < sizeof strings / sizeof *strings; i++) {
        if (!*strings[i])
            continue;
        a->strings[i] = mem_strdup(*strings[i]);
        *strings[i] = a->strings[i];
        if (!a->strings[i])
            return err_nomem(e);
    }
    a->object_headers = mem_calloc(c->object_header_count + 1, sizeof *a->object_headers);
    if (!a->object_headers)
        return err_nomem(e);
    for (size_t i = 0; i < c->object_header_count; i++) {
        char *value = mem_strdup(c->object_headers[i].value);

        if (!value)
            return err_nomem(e);
        a->object_headers[i] = (struct sigv4_pair){c->object_headers[i].name, value};
    }
    return ERR_OK;
}

int s3_api_new(const struct s3_config *c, struct s3_api **out, struct err *e)
{
    struct s3_api *a = mem_calloc(1, sizeof *a);

    *out = NULL;
    if (!a)
        return err_nomem(e);
    http_response_init(&a->response);
    buf_init(&a->url, 64 << 10);
    buf_init(&a->path, 16 << 10);
    buf_init(&a->authorization, 16 << 10);
    if (check_bucket_name(c->bucket, e) || check_header_text("s3.region", c->region, e) ||
        check_header_text("access key", c->access_key, e) ||
        check_header_text("secret key", c->secret_key, e) ||
        check_header_text("session token", c->session_token, e) || copy_config(a, c, e) ||
        find_endpoint(a, e) || http_client_new(&c->http, &a->http, e)) {
        s3_api_free(a);
        return e->code;
    }
    *out = a;
    return ERR_OK;
}

void s3_api_free(struct s3_api *a)
{
    if (!a)
        return;
    http_client_free(a->http);
    http_response_free(&a->response);
    buf_free(&a->url);
    buf_free(&a->path);
    buf_free(&a->authorization);
    for (size_t i = 0; i < sizeof a->strings / sizeof *a->strings; i++) {
        if (a->strings[i])
            OPENSSL_cleanse(a->strings[i], strlen(a->strings[i]));
        mem_free(a->strings[i]);
    }
    for (size_t i = 0; a->object_headers && i < a->config.object_header_count; i++)
        mem_free((void *)(uintptr_t)a->object_headers[i].value);
    mem_free(a->object_headers);
    mem_free(a->base);
    mem_free(a->host);
    mem_free(a->root);
    mem_free(a->where);
    mem_free(a);
}

const char *s3_api_where(const struct s3_api *a)
{
    return a->where;
}

struct s3_counts s3_api_counts(const struct s3_api *a)
{
    return (struct s3_counts){a->requests, a->repeated, a->bytes_sent};
}

bool s3_access_denied(const struct s3_api *a)
{
    return a->response.status == 403 && strcmp(a->error.code, "AccessDenied") == 0;
}
