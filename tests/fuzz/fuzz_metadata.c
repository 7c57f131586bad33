/*
 * Records of __cluster_metadata: whatever decodes as one of the kinds we write must encode and decode to the same again.
 */
#include <assert.h>
#include <string.h>

#include "broker/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_text(struct text a, struct text b)
{
    assert(!a.p == !b.p && a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct meta_record r, again;
    struct buf out;
    struct err e;
    if (meta_decode(data, size, &r, &e))
        return 0;
    buf_init(&out, 1 << 20);
    if (meta_encode(&out, &r, &e) == ERR_OK) {
        assert(meta_decode(out.data, out.len, &again, &e) == ERR_OK);
        assert(again.kind == r.kind && again.partition == r.partition && again.resource == r.resource &&
               again.next_producer_id == r.next_producer_id);
        assert(memcmp(&again.topic_id, &r.topic_id, sizeof r.topic_id) == 0);
        same_text(again.name, r.name);
        same_text(again.key, r.key);
        same_text(again.value, r.value);
    }
    buf_free(&out);
    return 0;
}
