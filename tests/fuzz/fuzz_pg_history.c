/*
 * Fuzzes the reading of timeline histories. The first byte is the timeline that is looked for, the rest the file. What is found
 * in a file is found in what follows it, too.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/postgres/pg_history.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint64_t left = 0, again = 0;
    if (n < 1)
        return 0;
    char *text = malloc(n), *twice = malloc(2 * n);
    if (!text || !twice)
        abort();
    memcpy(text, data + 1, n - 1);
    memcpy(twice, data + 1, n - 1);
    twice[n - 1] = '\n';
    memcpy(twice + n, data + 1, n - 1);
    if (pg_history_find(text, n - 1, data[0], &left) &&
        (!pg_history_find(twice, 2 * n - 1, data[0], &again) || left != again))
        abort();
    free(text);
    free(twice);
    return 0;
}
