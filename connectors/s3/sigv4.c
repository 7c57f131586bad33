/*
 * sigv4: canonical request, string to sign, signing key and signature. See sigv4.h.
 */
#include "sigv4.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#define HASH_LEN 32

static void hex_lower(const uint8_t *data, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[data[i] >> 4];
        out[2 * i + 1] = digits[data[i] & 15];
    }
    out[2 * n] = '\0';
}

void sigv4_hash(const void *data, size_t n, char out[SIGV4_HASH_SIZE])
{
    uint8_t md[EVP_MAX_MD_SIZE] = {0};

    EVP_Digest(data, n, md, NULL, EVP_sha256(), NULL);
    hex_lower(md, HASH_LEN, out);
}

void sigv4_date(int64_t unix_s, char out[SIGV4_DATE_SIZE])
{
    time_t t = (time_t)unix_s;
    struct tm tm;

    gmtime_r(&t, &tm);
    if (strftime(out, SIGV4_DATE_SIZE, "%Y%m%dT%H%M%SZ", &tm) == 0)
        out[0] = '\0';
}

static bool unreserved(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

int sigv4_encode(struct buf *out, const char *s, bool path, struct err *e)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        int rc;

        if (unreserved(c) || (path && c == '/'))
            rc = buf_u8(out, c, e);
        else
            rc = buf_append(out, (char[]){'%', digits[c >> 4], digits[c & 15]}, 3, e);
        if (rc)
            return rc;
    }
    return ERR_OK;
}

static const char *value_of(const struct sigv4_pair *p)
{
    return p->value ? p->value : "";
}

/* By name, then value. Names of ours need no encoding, so that the encoded order is the plain one. */
static int compare_pairs(const void *a, const void *b)
{
    const struct sigv4_pair *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);

    return by_name ? by_name : strcmp(value_of(x), value_of(y));
}

static int sort_pairs(struct sigv4_pair *out, const struct sigv4_pair *in, size_t n, struct err *e)
{
    if (n > SIGV4_PAIRS_MAX)
        return err_set(e, ERR_TOO_LARGE, "a request has %zu parameters or headers, more than %d", n,
                       SIGV4_PAIRS_MAX);
    if (n) {
        memcpy(out, in, n * sizeof *out);
        qsort(out, n, sizeof *out, compare_pairs);
    }
    return ERR_OK;
}

int sigv4_query(struct buf *out, const struct sigv4_pair *query, size_t n, struct err *e)
{
    struct sigv4_pair sorted[SIGV4_PAIRS_MAX];

    if (sort_pairs(sorted, query, n, e))
        return e->code;
    for (size_t i = 0; i < n; i++) {
        if (i && buf_u8(out, '&', e))
            return e->code;
        if (sigv4_encode(out, sorted[i].name, false, e) || buf_u8(out, '=', e) ||
            sigv4_encode(out, value_of(&sorted[i]), false, e))
            return e->code;
    }
    return ERR_OK;
}

/* Without outer blanks, runs of inner blanks as one. */
static int append_header_value(struct buf *out, const char *s, struct err *e)
{
    bool blank = false, any = false;

    for (; *s; s++) {
        if (*s == ' ' || *s == '\t') {
            blank = any;
            continue;
        }
        if (blank && buf_u8(out, ' ', e))
            return e->code;
        if (buf_u8(out, (uint8_t)*s, e))
            return e->code;
        blank = false;
        any = true;
    }
    return ERR_OK;
}

static int append_signed_headers(struct buf *out, const struct sigv4_pair *sorted, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++)
        if ((i && buf_u8(out, ';', e)) || buf_str(out, sorted[i].name, e))
            return e->code;
    return ERR_OK;
}

int sigv4_canonical(struct buf *out, const struct sigv4_request *r, struct err *e)
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];

    if (sort_pairs(headers, r->headers, r->header_count, e))
        return e->code;
    if (buf_str(out, r->method, e) || buf_u8(out, '\n', e) || sigv4_encode(out, r->path, true, e) ||
        buf_u8(out, '\n', e) || sigv4_query(out, r->query, r->query_count, e) || buf_u8(out, '\n', e))
        return e->code;
    for (size_t i = 0; i < r->header_count; i++)
        if (buf_str(out, headers[i].name, e) || buf_u8(out, ':', e) ||
            append_header_value(out, value_of(&headers[i]), e) || buf_u8(out, '\n', e))
            return e->code;
    if (buf_u8(out, '\n', e) || append_signed_headers(out, headers, r->header_count, e) ||
        buf_u8(out, '\n', e))
        return e->code;
    return buf_str(out, r->payload_hash, e);
}

static bool hmac(const void *key, size_t key_len, const void *data, size_t n, uint8_t out[HASH_LEN])
{
    unsigned int len = HASH_LEN;

    return HMAC(EVP_sha256(), key, (int)key_len, data, n, out, &len) != NULL;
}

/* The signing key: HMAC over date, region, service and "aws4_request", each keyed by the one before. */
static int signing_key(const struct sigv4_scope *s, uint8_t key[HASH_LEN], struct err *e)
{
    struct buf secret;
    uint8_t step[HASH_LEN];
    int rc;

    buf_init(&secret, 4096);
    rc = buf_printf(&secret, e, "AWS4%s", s->secret_key);
    if (rc == ERR_OK) {
        bool ok = hmac(secret.data, secret.len, s->date, 8, step) &&
                  hmac(step, HASH_LEN, s->region, strlen(s->region), key) &&
                  hmac(key, HASH_LEN, "s3", 2, step) &&
                  hmac(step, HASH_LEN, "aws4_request", strlen("aws4_request"), key);

        if (!ok)
            rc = err_set(e, ERR_INTERNAL, "OpenSSL could not compute an HMAC-SHA256");
    }
    if (secret.data)
        OPENSSL_cleanse(secret.data, secret.len);
    OPENSSL_cleanse(step, sizeof step);
    buf_free(&secret);
    return rc;
}

/* Hex signature of the request in the scope. `text` is scratch. */
static int sign(struct buf *text, const struct sigv4_request *r, const struct sigv4_scope *s,
                char signature[SIGV4_HASH_SIZE], struct err *e)
{
    char hash[SIGV4_HASH_SIZE];
    uint8_t key[HASH_LEN], mac[HASH_LEN];
    int rc = sigv4_canonical(text, r, e);

    if (rc)
        return rc;
    sigv4_hash(text->data, text->len, hash);
    buf_reset(text);
    rc = buf_printf(text, e, "AWS4-HMAC-SHA256\n%s\n%.8s/%s/s3/aws4_request\n%s", s->date, s->date, s->region,
                    hash);
    if (rc == ERR_OK)
        rc = signing_key(s, key, e);
    if (rc == ERR_OK && !hmac(key, HASH_LEN, text->data, text->len, mac))
        rc = err_set(e, ERR_INTERNAL, "OpenSSL could not compute an HMAC-SHA256");
    if (rc == ERR_OK)
        hex_lower(mac, HASH_LEN, signature);
    OPENSSL_cleanse(key, sizeof key);
    return rc;
}

int sigv4_authorization(struct buf *out, const struct sigv4_request *r, const struct sigv4_scope *s,
                        struct err *e)
{
    struct sigv4_pair headers[SIGV4_PAIRS_MAX];
    char signature[SIGV4_HASH_SIZE];
    struct buf text;
    int rc;

    if (strlen(s->date) != SIGV4_DATE_SIZE - 1)
        return err_set(e, ERR_INVALID, "not a signing date: %s", s->date);
    buf_init(&text, 256 << 10);
    rc = sign(&text, r, s, signature, e);
    buf_free(&text);
    if (rc)
        return rc;
    if (sort_pairs(headers, r->headers, r->header_count, e))
        return e->code;
    if (buf_printf(out, e, "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,SignedHeaders=",
                   s->access_key, s->date, s->region) ||
        append_signed_headers(out, headers, r->header_count, e))
        return e->code;
    return buf_printf(out, e, ",Signature=%s", signature);
}
