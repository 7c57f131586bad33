/*
 * Fuzzes JSON text of records: what is taken must come out as one line that compacts to itself; search, walk and unescaping
 * must stay inside whatever comes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "kit/jtext.h"

static void compact_twice(const uint8_t *data, size_t n)
{
    struct err e;
    struct buf once, twice;
    buf_init(&once, 1 << 24);
    buf_init(&twice, 1 << 24);
    if (jtext_compact(&once, data, n, &e) == ERR_OK) {
        if (once.len > n || memchr(once.data, '\n', once.len))
            abort();
        if (jtext_compact(&twice, once.data, once.len, &e) != ERR_OK || twice.len != once.len ||
            memcmp(twice.data, once.data, once.len) != 0)
            abort();
    }
    buf_free(&once);
    buf_free(&twice);
}

/* Any bytes as a JSON string are valid JSON. */
static void quote(const uint8_t *data, size_t n)
{
    struct err e;
    struct buf quoted, checked;
    buf_init(&quoted, 1 << 24);
    buf_init(&checked, 1 << 24);
    if (jtext_string(&quoted, data, n, &e) != ERR_OK ||
        jtext_compact(&checked, quoted.data, quoted.len, &e) != ERR_OK || checked.len != quoted.len)
        abort();
    buf_free(&quoted);
    buf_free(&checked);
}

static void walk(const uint8_t *data, size_t n)
{
    struct err e;
    struct jtext_token name, value;
    struct buf text;
    size_t pos = 0;
    buf_init(&text, 1 << 24);
    while (jtext_next(data, n, &pos, &name, &value)) {
        buf_reset(&text);
        if (jtext_unescape(&text, name.p, name.n, &e) != ERR_OK || text.len > name.n || pos > n)
            abort();
    }
    if (jtext_find(data, n, "a.b", &value) && (const uint8_t *)value.p + value.n > data + n)
        abort();
    buf_reset(&text);
    if (jtext_unescape(&text, (const char *)data, n, &e) != ERR_OK || text.len > n)
        abort();
    buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    compact_twice(data, n);
    quote(data, n);
    walk(data, n);
    return 0;
}
