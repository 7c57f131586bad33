/*
 * s3_ops: the operations of s3_api.h, one function each.
 *
 * Two of them are not idempotent for the store: completing an upload, and a conditional write. When their
 * answer was lost, the repetition finds its own work done (NoSuchUpload, 412); whether it is ours is told by
 * size and ETag of the object that is there.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "s3_call.h"

#define MD5_LEN 16
#define UPLOAD_PAGES_MAX 1000
#define IF_ABSENT "if-none-match"

static void hex(const uint8_t *data, size_t n, char *out)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", data[i]);
}

static void add_object_headers(const struct s3_api *a, struct s3_call *c, const char *topic_id)
{
    call_header(c, "content-type", "application/octet-stream");
    if (topic_id && *topic_id)
        call_header(c, HTTP_TOPIC_ID, topic_id);
    for (size_t i = 0; i < a->config.object_header_count && c->header_count < CALL_HEADERS_MAX - 1; i++)
        c->headers[c->header_count++] = a->object_headers[i];
}

/* `arg`: the root's name. A 200 with anything else is no answer of a store, but of something on the way. */
static int read_document(void *arg, const struct http_response *r, struct err *e)
{
    return answer_whole(r->body.data, r->body.len, arg, e);
}

int s3_check_bucket(struct s3_api *a, struct err *e)
{
    char root[] = "ListBucketResult";
    struct s3_call c = {.what = "look at", .method = "GET", .read = read_document, .read_arg = root};

    call_query(&c, "list-type", "2");
    call_query(&c, "max-keys", "0");
    return s3_call(a, &c, e);
}

void s3_keys_free(struct s3_keys *k)
{
    for (size_t i = 0; i < k->n; i++)
        mem_free(k->list[i]);
    k->n = 0;
}

static int take_key(void *arg, const char *key, struct err *e)
{
    struct s3_keys *k = arg;

    if (k->n == S3_KEYS_MAX)
        return ERR_OK; /* more than was asked for */
    k->list[k->n] = mem_strdup(key);
    return k->list[k->n] ? (k->n++, ERR_OK) : err_nomem(e);
}

static int read_keys(void *arg, const struct http_response *r, struct err *e)
{
    s3_keys_free(arg); /* of a try that failed */
    return answer_keys(r->body.data, r->body.len, take_key, arg, e);
}

int s3_first_keys(struct s3_api *a, const char *prefix, struct s3_keys *out, struct err *e)
{
    struct s3_call c = {.what = "list objects of", .method = "GET", .read = read_keys, .read_arg = out};
    char max[16];

    out->n = 0;
    snprintf(max, sizeof max, "%d", S3_KEYS_MAX);
    call_query(&c, "list-type", "2");
    call_query(&c, "max-keys", max);
    call_query(&c, "encoding-type", "url");
    call_query(&c, "prefix", prefix);
    return s3_call(a, &c, e);
}

static int read_head(void *arg, const struct http_response *r, struct err *e)
{
    struct s3_object_info *info = arg;

    (void)e;
    info->size = r->content_length;
    memcpy(info->etag, r->etag, sizeof info->etag);
    memcpy(info->topic_id, r->topic_id, sizeof info->topic_id);
    return ERR_OK;
}

int s3_head_object(struct s3_api *a, const char *key, struct s3_object_info *out, struct err *e)
{
    struct s3_call c = {.what = "look for", .method = "HEAD", .key = key, .read = read_head, .read_arg = out};

    return s3_call(a, &c, e);
}

/* Is `etag` what a store makes by MD5 of the content (`parts` 0) or of its parts' MD5s? */
static bool is_md5_etag(const char *etag, size_t parts)
{
    size_t n = strspn(etag, "0123456789abcdef");
    char suffix[24] = "";

    if (parts)
        snprintf(suffix, sizeof suffix, "-%zu", parts);
    return n == 2 * MD5_LEN && strcmp(etag + n, suffix) == 0;
}

/*
 * ERR_OK if the object at `key` is what we would have written: size and, where the store builds ETags by MD5,
 * ETag. ERR_EXISTS: another one. ERR_NOT_FOUND: none.
 */
static int compare_object(struct s3_api *a, const char *key, int64_t size, const char *etag, size_t parts,
                          struct err *e)
{
    struct s3_object_info info;

    if (s3_head_object(a, key, &info, e))
        return e->code;
    if (info.size != size || (is_md5_etag(info.etag, parts) && etag[0] && strcmp(info.etag, etag) != 0))
        return err_set(e, ERR_EXISTS, "another object is at %s/%s already (%lld bytes, ours has %lld)",
                       a->where, key, (long long)info.size, (long long)size);
    return ERR_OK;
}

static bool conditional_refused(const struct s3_api *a)
{
    return a->response.status == 501 || strcmp(a->error.code, "NotImplemented") == 0;
}

/* The store cannot do conditional writes: says so once, and never asks again. */
static void give_up_conditions(struct s3_api *a)
{
    a->unconditional = true;
    a->config.notice(a->config.arg,
                     "the store does not know conditional writes (If-None-Match): objects are replaced");
}

/* Every store says an ETag of what it took; whoever says none did not take it. */
static int read_etag(void *arg, const struct http_response *r, struct err *e)
{
    if (!r->etag[0])
        return err_set(e, ERR_CORRUPT, "the answer has no ETag");
    memcpy(arg, r->etag, S3_ETAG_SIZE);
    return ERR_OK;
}

int s3_put_object(struct s3_api *a, const char *key, const void *data, size_t n, const char *topic_id,
                  bool if_absent, struct err *e)
{
    char etag[S3_ETAG_SIZE];
    struct s3_call c = {.what = "put",
                        .method = "PUT",
                        .key = key,
                        .body = data,
                        .body_len = n,
                        .read = read_etag,
                        .read_arg = etag};
    uint8_t md[EVP_MAX_MD_SIZE];
    int rc;

    add_object_headers(a, &c, topic_id);
    if (if_absent && !a->unconditional)
        call_header(&c, IF_ABSENT, "*");
    rc = s3_call(a, &c, e);
    if (rc == ERR_OK || !if_absent || a->unconditional)
        return rc;
    if (conditional_refused(a)) {
        give_up_conditions(a);
        return s3_put_object(a, key, data, n, topic_id, false, e);
    }
    if (rc != ERR_EXISTS)
        return rc;
    if (!EVP_Digest(data, n, md, NULL, EVP_md5(), NULL))
        return err_set(e, ERR_INTERNAL, "OpenSSL could not compute an MD5");
    hex(md, MD5_LEN, etag);
    return compare_object(a, key, (int64_t)n, etag, 0, e);
}

static int read_upload_id(void *arg, const struct http_response *r, struct err *e)
{
    return answer_upload_id(r->body.data, r->body.len, arg, e);
}

int s3_create_upload(struct s3_api *a, const char *key, const char *topic_id,
                     char upload_id[S3_UPLOAD_ID_SIZE], struct err *e)
{
    struct s3_call c = {.what = "begin a multipart upload of",
                        .method = "POST",
                        .key = key,
                        .read = read_upload_id,
                        .read_arg = upload_id};

    add_object_headers(a, &c, topic_id);
    call_query(&c, "uploads", "");
    return s3_call(a, &c, e);
}

int s3_upload_part(struct s3_api *a, const char *key, const char *upload_id, int number, const void *data,
                   size_t n, char etag[S3_ETAG_SIZE], struct err *e)
{
    char text[16], what[48];
    struct s3_call c = {.what = what,
                        .method = "PUT",
                        .key = key,
                        .body = data,
                        .body_len = n,
                        .read = read_etag,
                        .read_arg = etag};

    snprintf(text, sizeof text, "%d", number);
    snprintf(what, sizeof what, "upload part %d of", number);
    call_query(&c, "partNumber", text);
    call_query(&c, "uploadId", upload_id);
    return s3_call(a, &c, e);
}

static int append_escaped(struct buf *out, const char *s, struct err *e)
{
    for (; *s; s++) {
        const char *entity = *s == '&' ? "&amp;" : *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : NULL;

        if (entity ? buf_str(out, entity, e) : buf_u8(out, (uint8_t)*s, e))
            return e->code;
    }
    return ERR_OK;
}

static int write_parts(struct buf *out, char (*etags)[S3_ETAG_SIZE], size_t n, struct err *e)
{
    if (buf_str(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">", e))
        return e->code;
    for (size_t i = 0; i < n; i++)
        if (buf_printf(out, e, "<Part><PartNumber>%zu</PartNumber><ETag>\"", i + 1) ||
            append_escaped(out, etags[i], e) || buf_str(out, "\"</ETag></Part>", e))
            return e->code;
    return buf_str(out, "</CompleteMultipartUpload>", e);
}

static bool add_part_md5(EVP_MD_CTX *ctx, const char *etag)
{
    uint8_t md[MD5_LEN];

    if (!is_md5_etag(etag, 0))
        return false;
    for (size_t i = 0; i < MD5_LEN; i++) {
        unsigned int byte;

        if (sscanf(etag + 2 * i, "%2x", &byte) != 1)
            return false;
        md[i] = (uint8_t)byte;
    }
    return EVP_DigestUpdate(ctx, md, sizeof md) == 1;
}

/* ETag that S3 gives the whole: MD5 of the parts' MD5s, "-", number of parts. "" if the parts' ETags are no
 * MD5s. */
static void whole_etag(char (*etags)[S3_ETAG_SIZE], size_t n, char out[S3_ETAG_SIZE])
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    uint8_t md[EVP_MAX_MD_SIZE];
    bool ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL);

    out[0] = '\0';
    for (size_t i = 0; ok && i < n; i++)
        ok = add_part_md5(ctx, etags[i]);
    if (ok && EVP_DigestFinal_ex(ctx, md, NULL)) {
        hex(md, MD5_LEN, out);
        snprintf(out + 2 * MD5_LEN, S3_ETAG_SIZE - 2 * MD5_LEN, "-%zu", n);
    }
    EVP_MD_CTX_free(ctx);
}

/* The store says that the upload is gone or the name taken: it may be our own earlier try that did it. */
static int resolve_complete(struct s3_api *a, const char *key, char (*etags)[S3_ETAG_SIZE], size_t n,
                            int64_t size, struct err *e)
{
    char etag[S3_ETAG_SIZE];
    struct err first = *e, other;

    whole_etag(etags, n, etag);
    if (compare_object(a, key, size, etag, n, &other) == ERR_OK)
        return ERR_OK;
    *e = other.code == ERR_EXISTS && first.code == ERR_EXISTS ? other : first;
    return e->code;
}

int s3_complete_upload(struct s3_api *a, const char *key, const char *upload_id, char (*etags)[S3_ETAG_SIZE],
                       size_t n, int64_t size, bool if_absent, struct err *e)
{
    char root[] = "CompleteMultipartUploadResult";
    struct s3_call c = {.what = "complete the upload of",
                        .method = "POST",
                        .key = key,
                        .read = read_document,
                        .read_arg = root};
    struct buf body;
    int rc;

    buf_init(&body, 4 << 20);
    call_query(&c, "uploadId", upload_id);
    call_header(&c, "content-type", "application/xml");
    if (if_absent && !a->unconditional)
        call_header(&c, IF_ABSENT, "*");
    rc = write_parts(&body, etags, n, e);
    c.body = body.data;
    c.body_len = body.len;
    if (rc == ERR_OK)
        rc = s3_call(a, &c, e);
    if (rc && if_absent && !a->unconditional && conditional_refused(a)) {
        give_up_conditions(a);
        c.header_count--;
        rc = s3_call(a, &c, e);
    }
    if (rc && (a->verdict == S3_EXISTS || strcmp(a->error.code, "NoSuchUpload") == 0))
        rc = resolve_complete(a, key, etags, n, size, e);
    buf_free(&body);
    return rc;
}

int s3_abort_upload(struct s3_api *a, const char *key, const char *upload_id, struct err *e)
{
    struct s3_call c = {.what = "abort the upload of", .method = "DELETE", .key = key};
    int rc;

    call_query(&c, "uploadId", upload_id);
    rc = s3_call(a, &c, e);
    return rc && a->response.status == 404 ? ERR_OK : rc;
}

/* One page of unfinished uploads, kept until it is known to be whole. */
struct upload_list {
    struct s3_uploads_page page;
    struct buf items; /* key NUL upload id NUL ... */
};

static int keep_upload(void *arg, const char *key, const char *upload_id, struct err *e)
{
    struct upload_list *l = arg;

    return buf_append(&l->items, key, strlen(key) + 1, e)
               ? e->code
               : buf_append(&l->items, upload_id, strlen(upload_id) + 1, e);
}

static int read_uploads(void *arg, const struct http_response *r, struct err *e)
{
    struct upload_list *l = arg;

    buf_reset(&l->items);
    return answer_uploads(r->body.data, r->body.len, &l->page, keep_upload, l, e);
}

/* Calls `each` with what the page holds. */
static int walk_page(const struct upload_list *l,
                     int (*each)(void *, const char *, const char *, struct err *), void *arg, struct err *e)
{
    const char *p = (const char *)l->items.data, *end = p + l->items.len;
    int rc = ERR_OK;

    while (p < end && rc == ERR_OK) {
        const char *upload_id = p + strlen(p) + 1;

        rc = each(arg, p, upload_id, e);
        p = upload_id + strlen(upload_id) + 1;
    }
    return rc;
}

int s3_each_upload(struct s3_api *a, const char *prefix,
                   int (*each)(void *arg, const char *key, const char *upload_id, struct err *e), void *arg,
                   struct err *e)
{
    char key[S3_KEY_SIZE] = "", upload_id[S3_UPLOAD_ID_SIZE] = "";
    struct upload_list list;
    int rc = ERR_OK;

    buf_init(&list.items, HTTP_RESPONSE_MAX);
    for (int page = 0; page < UPLOAD_PAGES_MAX && rc == ERR_OK; page++) {
        struct s3_call c = {
            .what = "list unfinished uploads of", .method = "GET", .read = read_uploads, .read_arg = &list};

        call_query(&c, "uploads", "");
        call_query(&c, "encoding-type", "url");
        call_query(&c, "prefix", prefix);
        if (key[0]) {
            call_query(&c, "key-marker", key);
            call_query(&c, "upload-id-marker", upload_id);
        }
        rc = s3_call(a, &c, e);
        if (rc == ERR_OK)
            rc = walk_page(&list, each, arg, e);
        if (rc || !list.page.truncated || !list.page.next_key[0])
            break;
        memcpy(key, list.page.next_key, sizeof key);
        memcpy(upload_id, list.page.next_upload_id, sizeof upload_id);
    }
    buf_free(&list.items);
    return rc;
}
