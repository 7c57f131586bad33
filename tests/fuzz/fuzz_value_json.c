/*
 * Fuzzes the JSON reader of typed values: what it accepts must be written as JSON that it reads again as the same, and
 * borrowing must make no difference.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connect/value_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct arena a;
    struct buf first, second;
    struct err e;

    arena_init(&a, 64 << 20, NULL);
    buf_init(&first, 64 << 20);
    buf_init(&second, 64 << 20);
    struct leat_value *v = value_from_json(&a, data, n, JSON_BORROW, &e);
    if (v != NULL) {
        if (value_to_json(v, &first, &e) != ERR_OK || value_to_text(v, &second, &e) != ERR_OK)
            abort();
        buf_reset(&second);
        struct leat_value *again = value_from_json(&a, first.data, first.len, 0, &e);
        if (again == NULL || value_to_json(again, &second, &e) != ERR_OK)
            abort();
        if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
            abort();
        value_sort_names(again);
        for (size_t i = 0; again->type == LEAT_TYPE_MAP && i < value_count(again); i++) {
            const char *name;
            size_t len;
            const struct leat_value *item = value_at(again, i, &name, &len);
            if (value_find(again, name, len) != item)
                abort();
        }
    }
    arena_free(&a);
    buf_free(&first);
    buf_free(&second);
    return 0;
}
