/*
 * api: the requests that exist, by key, and the headers before requests and responses. No state; any thread.
 */
#ifndef LEAT_PROTOCOL_API_H
#define LEAT_PROTOCOL_API_H

#include "protocol/message.h"

struct msg_api {
    const char *name;
    int16_t key;
    int16_t min, max; /* versions that we have codecs for */
    const struct msg_schema *request, *response;
};

extern const struct msg_api msg_apis[]; /* by rising key */
extern const size_t msg_api_count;

const struct msg_api *msg_api_find(int16_t key); /* NULL: none */

static inline bool msg_api_flexible(const struct msg_api *api, int16_t version)
{
    return version >= api->request->flexible;
}

struct msg_request_header {
    int16_t key;
    int16_t version;
    int32_t correlation;
    struct msg_string client_id; /* null where the client has none */
    const struct msg_api *api;   /* NULL: unknown key, or a version that is not ours: nothing after the
                                    correlation was decoded, but of ApiVersions, which is answered then */
};

/*
 * Decodes the header at the start of a request's bytes (without its length) and leaves the body in `in`.
 * ERR_TRUNCATED, ERR_CORRUPT. KIP-482: version 2 of the header, with tagged fields, in flexible versions.
 */
int msg_request_header_decode(struct slice *in, struct msg_request_header *h, struct err *e);

/* The header that a client sends. `h->api` is not looked at. */
int msg_request_header_encode(const struct msg_request_header *h, struct buf *out, struct err *e);

/*
 * A response's header: the correlation, and in flexible versions an empty set of tagged fields; but never in
 * ApiVersions, whose answer must be readable by a client that does not know yet what we speak (KIP-511).
 */
int msg_response_header_encode(const struct msg_api *api, int16_t version, int32_t correlation,
                               struct buf *out, struct err *e);
int msg_response_header_decode(const struct msg_api *api, int16_t version, struct slice *in,
                               int32_t *correlation, struct err *e);

#endif
