/*
 * Fuzzes the splitting of COPY's text. The first byte is the number of columns, the rest rows. Whatever comes, cells lie
 * within their row, and a row that is taken ends with its line feed.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/postgres/pg_copy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct cdc_cell cells[256];
    struct err e;
    if (n < 1)
        return 0;
    size_t columns = data[0], len = n - 1;
    char *rows = malloc(len + 1), *row = rows, *end = rows + len;
    if (!rows)
        abort();
    memcpy(rows, data + 1, len);
    while (columns > 0 && row < end) {
        char *next;
        if (pg_copy_split(row, end, cells, columns, &next, &e) != ERR_OK)
            break;
        if (next <= row || next > end || next[-1] != '\n')
            abort();
        const char *at = row;
        for (size_t i = 0; i < columns; i++) {
            const char *cell = cells[i].data;
            if (cell < at || cell + cells[i].len >= next)
                abort();
            at = cell + cells[i].len;
        }
        row = next;
    }
    free(rows);
    return 0;
}
