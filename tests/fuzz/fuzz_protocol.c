/*
 * fuzz_protocol: bytes from outside as a request (first byte 0) with its header, or as a response: the next two
 * bytes choose the api and the version, the rest is the body. What decodes must encode, and what that decodes to
 * must encode to the same bytes.
 */
#include <stdlib.h>
#include <string.h>

#include "protocol/api.h"
#include "tests/fuzz/fuzz.h"

#define ARENA_MAX (8u << 20)

static void *decode(const struct msg_schema *s, int16_t version, struct slice in, struct arena *a)
{
    struct err e = {0};
    void *m = arena_alloc(a, s->size);
    require(m != NULL);
    return msg_decode(s, version, &in, a, m, &e) == ERR_OK ? m : NULL;
}

static void body(const struct msg_schema *s, int16_t version, struct slice in)
{
    struct arena a, b;
    struct buf first, second;
    struct err e = {0};
    arena_init(&a, ARENA_MAX, NULL);
    arena_init(&b, ARENA_MAX * 2, NULL);
    buf_init(&first, ARENA_MAX);
    buf_init(&second, ARENA_MAX);
    void *m = decode(s, version, in, &a);
    if (m != NULL && msg_encode(s, version, m, &first, &e) == ERR_OK) {
        void *again = decode(s, version, slice_of(first.data, first.len), &b);
        require(again != NULL);
        require(msg_encode(s, version, again, &second, &e) == ERR_OK);
        require(first.len == second.len &&
                (first.len == 0 || memcmp(first.data, second.data, first.len) == 0));
        buf_reset(&second);
        int rc = msg_json(s, version, again, &second, &e);
        require(rc == ERR_OK || rc == ERR_TOO_LARGE);
    } else {
        require(m == NULL); /* what was decoded is always allowed to be written */
    }
    buf_free(&first);
    buf_free(&second);
    arena_free(&a);
    arena_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err e = {0};
    struct msg_request_header h;
    if (n < 3)
        return 0;
    struct slice in = slice_of(data + 1, n - 1);
    if (data[0] == 0) {
        if (msg_request_header_decode(&in, &h, &e) == ERR_OK && h.api != NULL)
            body(h.api->request, h.version, in);
        return 0;
    }
    const struct msg_api *api = &msg_apis[data[1] % msg_api_count];
    int16_t version = (int16_t)(api->min + data[2] % (api->max - api->min + 1));
    int32_t correlation;
    in = slice_of(data + 3, n - 3);
    if (msg_response_header_decode(api, version, &in, &correlation, &e) == ERR_OK)
        body(api->response, version, in);
    return 0;
}
