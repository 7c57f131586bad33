/*
 * json_bytes: see json_bytes.h.
 */
#include "http/json_bytes.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool is_ascii(const uint8_t *p, size_t n)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++)
        seen |= p[i];
    return seen < 0x80;
}

bool bytes_are_text(const void *data, size_t n)
{
    const uint8_t *p = data, *end = p + n;
    if (is_ascii(p, n))
        return true;
    while (p < end) {
        size_t len = utf8_length(p, (size_t)(end - p));
        if (len == 0)
            return false;
        p += len;
    }
    return true;
}

json_t *json_text(const char *s)
{
    struct err e;
    struct buf quoted;
    size_t n = strlen(s);
    if (bytes_are_text(s, n))
        return json_stringn(s, n);
    buf_init(&quoted, 8 * n + 2);
    json_t *text = buf_json_str(&quoted, s, n, &e) == ERR_OK
                       ? json_loadb((const char *)quoted.data, quoted.len, JSON_DECODE_ANY, NULL)
                       : NULL;
    buf_free(&quoted);
    return text;
}

bool json_put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) == 0;
}

int json_put_bytes(struct buf *out, const void *data, int64_t n, struct err *e)
{
    if (n < 0)
        return buf_str(out, "null", e);
    size_t len = (size_t)n;
    if (bytes_are_text(data, len))
        return buf_json_str(out, data, len, e);
    size_t encoded = (len + 2) / 3 * 4;
    int rc = buf_str(out, "{\"base64\":\"", e);
    if (rc == ERR_OK)
        rc = buf_reserve(out, encoded + 1, e);
    if (rc == ERR_OK) {
        EVP_EncodeBlock(out->data + out->len, data, (int)len);
        out->len += encoded;
        rc = buf_str(out, "\"}", e);
    }
    return rc;
}

/* RFC 4648 4, with its padding and nothing else: OpenSSL's decoder is laxer than that. */
static bool is_base64(const char *text, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t padding = n >= 2 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
    return n % 4 == 0 && n <= INT32_MAX && strspn(text, digits) == n - padding;
}

static int decode_base64(const char *text, size_t text_len, const char *what, uint8_t **data, size_t *n,
                         struct err *e)
{
    if (!is_base64(text, text_len))
        return err_set(e, ERR_INVALID, "%s: base64 is not well-formed", what);
    uint8_t *out = mem_alloc(text_len / 4 * 3 + 1);
    if (!out)
        return err_nomem(e);
    int len = EVP_DecodeBlock(out, (const uint8_t *)text, (int)text_len);
    if (len < 0) {
        mem_free(out);
        return err_set(e, ERR_INVALID, "%s: base64 is not well-formed", what);
    }
    /* The decoder counts padding as zero bytes. */
    for (size_t i = text_len; len && i && text[i - 1] == '='; i--)
        len--;
    *data = out;
    *n = (size_t)len;
    return ERR_OK;
}

/*
 * Compact text of a JSON document, its numbers with no more digits than they all need: 0.1 stays 0.1. What is
 * read again must be the same: jansson leaves out a member whose name it has no memory for. NULL: no memory.
 */
static char *document_text(const json_t *v)
{
    static const size_t digits[] = {15, 16, 17}; /* the last is always enough */
    for (size_t i = 0; i < sizeof digits / sizeof digits[0]; i++) {
        char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(digits[i]));
        if (!text)
            return NULL;
        json_t *again = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        bool same = json_equal(v, again);
        json_decref(again);
        if (same)
            return text;
        free(text);
    }
    return NULL;
}

int json_get_bytes(const json_t *v, const char *what, uint8_t **data, size_t *n, struct err *e)
{
    *data = NULL;
    *n = 0;
    if (!v || json_is_null(v))
        return ERR_OK;
    const json_t *base64 = json_is_object(v) ? json_object_get(v, "base64") : NULL;
    if (base64 && json_is_string(base64) && json_object_size(v) == 1)
        return decode_base64(json_string_value(base64), json_string_length(base64), what, data, n, e);
    if (json_is_string(v)) {
        *n = json_string_length(v);
        *data = mem_dup(json_string_value(v), *n);
        return *data ? ERR_OK : err_nomem(e);
    }
    char *text = document_text(v);
    if (!text)
        return err_nomem(e);
    *n = strlen(text);
    *data = mem_dup(text, *n);
    free(text);
    return *data ? ERR_OK : err_nomem(e);
}
