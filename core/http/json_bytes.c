/*
 * json_bytes: see json_bytes.h.
 */
#include "http/json_bytes.h"

#include <openssl/evp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* jansson's own check, so that what we call text is what it reads as text. */
static bool is_utf8(const void *data, size_t n)
{
    json_t *probe = json_stringn(data, n);
    json_decref(probe);
    return probe != NULL;
}

static bool is_ascii(const uint8_t *p, size_t n)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++)
        seen |= p[i];
    return seen < 0x80;
}

int json_put_bytes(struct buf *out, const void *data, int64_t n, struct err *e)
{
    if (n < 0)
        return buf_str(out, "null", e);
    size_t len = (size_t)n;
    if (is_ascii(data, len) || is_utf8(data, len))
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

static int decode_base64(const char *text, size_t text_len, const char *what, uint8_t **data, size_t *n,
                         struct err *e)
{
    uint8_t *out = mem_alloc(text_len / 4 * 3 + 1);
    if (!out)
        return err_nomem(e);
    int len = text_len % 4 == 0 && text_len <= INT32_MAX
                  ? EVP_DecodeBlock(out, (const uint8_t *)text, (int)text_len)
                  : -1;
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
    /* A JSON document as value: its compact text. */
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
    if (!text)
        return err_nomem(e);
    *n = strlen(text);
    *data = mem_dup(text, *n);
    free(text);
    return *data ? ERR_OK : err_nomem(e);
}
