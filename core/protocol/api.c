/*
 * api: finding an api by its key, and the headers. See api.h.
 */
#include "protocol/api.h"

#include "protocol/messages.h"
#include "protocol/wire.h"

#define HEADER_FIXED 8 /* key, version, correlation */

const struct msg_api *msg_api_find(int16_t key)
{
    size_t low = 0, high = msg_api_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (msg_apis[middle].key == key)
            return &msg_apis[middle];
        if (msg_apis[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static int skip_tagged(struct slice *in, struct err *e)
{
    uint32_t count = 0, tag = 0;
    struct slice field;
    int rc = wire_uvarint32(in, &count, e);
    for (; rc == ERR_OK && count > 0; count--)
        rc = wire_tagged(in, &tag, &field, e);
    return rc;
}

/* Its length has two bytes in all versions. */
static int read_client_id(struct slice *in, struct msg_string *id, struct err *e)
{
    int16_t n = 0;
    const uint8_t *p = NULL;
    int rc = slice_i16(in, &n, e);
    if (rc == ERR_OK && n > 0)
        rc = slice_bytes(in, (size_t)n, &p, e);
    *id = (struct msg_string){(const char *)p, n < 0 ? -1 : n};
    return rc == ERR_OK ? ERR_OK : err_wrap(e, "client id");
}

int msg_request_header_decode(struct slice *in, struct msg_request_header *h, struct err *e)
{
    *h = (struct msg_request_header){.client_id = MSG_NULL_STRING};
    int rc = slice_i16(in, &h->key, e);
    if (rc == ERR_OK)
        rc = slice_i16(in, &h->version, e);
    if (rc == ERR_OK)
        rc = slice_i32(in, &h->correlation, e);
    if (rc != ERR_OK)
        return err_wrap(e, "request header");
    const struct msg_api *api = msg_api_find(h->key);
    bool newer = api != NULL && api->key == MSG_KEY_api_versions && h->version > api->max;
    if (api == NULL || h->version < api->min || (h->version > api->max && !newer))
        return ERR_OK;
    h->api = newer ? NULL : api;
    rc = read_client_id(in, &h->client_id, e);
    if (rc == ERR_OK && msg_api_flexible(api, h->version))
        rc = skip_tagged(in, e);
    return rc == ERR_OK ? ERR_OK : err_wrap(e, "header of a request %s version %d", api->name, h->version);
}

int msg_request_header_encode(const struct msg_request_header *h, struct buf *out, struct err *e)
{
    const struct msg_api *api = msg_api_find(h->key);
    int32_t n = h->client_id.n;
    if (n > MSG_STRING_MAX)
        return err_set(e, ERR_INVALID, "a client id of %d bytes", n);
    int rc = buf_reserve(out, HEADER_FIXED + 3 + (n > 0 ? (size_t)n : 0), e);
    if (rc != ERR_OK)
        return rc;
    buf_i16(out, h->key, e); /* there is room for all of it */
    buf_i16(out, h->version, e);
    buf_i32(out, h->correlation, e);
    buf_i16(out, (int16_t)(n < 0 ? -1 : n), e);
    if (n > 0)
        buf_append(out, h->client_id.p, (size_t)n, e);
    return api != NULL && msg_api_flexible(api, h->version) ? buf_u8(out, 0, e) : ERR_OK;
}

static bool has_tags(const struct msg_api *api, int16_t version)
{
    return msg_api_flexible(api, version) && api->key != MSG_KEY_api_versions;
}

int msg_response_header_encode(const struct msg_api *api, int16_t version, int32_t correlation,
                               struct buf *out, struct err *e)
{
    int rc = buf_i32(out, correlation, e);
    return rc == ERR_OK && has_tags(api, version) ? buf_u8(out, 0, e) : rc;
}

int msg_response_header_decode(const struct msg_api *api, int16_t version, struct slice *in,
                               int32_t *correlation, struct err *e)
{
    int rc = slice_i32(in, correlation, e);
    if (rc == ERR_OK && has_tags(api, version))
        rc = skip_tagged(in, e);
    return rc == ERR_OK ? ERR_OK : err_wrap(e, "header of a response %s version %d", api->name, version);
}
