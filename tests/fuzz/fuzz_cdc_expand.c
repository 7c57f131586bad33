/*
 * Fuzzes payloads of the outbox that are expanded: what is taken must come out as one JSON value with one schema, and the value
 * must expand to itself.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kit/cdc/cdc_expand.h"
#include "kit/jtext.h"

static void again(const struct buf *value, bool keep_nulls)
{
    struct err e;
    struct buf schema, same;
    buf_init(&schema, 1 << 24);
    buf_init(&same, 1 << 24);
    if (!jtext_valid(value->data, value->len))
        abort();
    if (keep_nulls && (cdc_expand(value->data, value->len, true, &schema, &same, &e) != ERR_OK ||
                       same.len != value->len || memcmp(same.data, value->data, same.len) != 0))
        abort();
    buf_free(&schema);
    buf_free(&same);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    for (int keep = 0; keep < 2; keep++) {
        struct err e;
        struct buf schema, value;
        buf_init(&schema, 1 << 24);
        buf_init(&value, 1 << 24);
        if (cdc_expand(data, n, keep, &schema, &value, &e) == ERR_OK) {
            if (!jtext_valid(schema.data, schema.len))
                abort();
            again(&value, keep);
        }
        buf_free(&schema);
        buf_free(&value);
    }
    return 0;
}
