/*
 * Fuzzes the decoder of logical replication. The first byte is version * 2 + in_stream, the rest one message. Whatever comes,
 * texts end and cells lie within the message.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "connectors/postgres/pgoutput.h"

static const uint8_t *start, *end;

static void within(const void *p, size_t n)
{
    const uint8_t *at = p;
    if (n > 0 && (at < start || at > end || n > (size_t)(end - at)))
        abort();
}

static void text_within(const char *text)
{
    /* What is not in the message is a constant of ours. */
    if (text && (const uint8_t *)text >= start && (const uint8_t *)text < end)
        within(text, strlen(text) + 1);
}

static void cells_within(const struct cdc_cell *cells, size_t n)
{
    for (size_t i = 0; cells && i < n; i++) {
        if (cells[i].state != CDC_VALUE && cells[i].len != 0)
            abort();
        within(cells[i].data, cells[i].len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct pgoutput_column columns[PG_COLUMNS_MAX];
    static struct cdc_cell old[PG_COLUMNS_MAX], new_[PG_COLUMNS_MAX];
    const struct pgoutput_room room = {.columns = columns, .old = old, .new_ = new_};
    struct pgoutput m;
    struct err e;
    if (n == 0)
        return 0;
    start = data + 1;
    end = data + n;
    if (pgoutput_decode(start, n - 1, data[0] >> 1, data[0] & 1, &room, &m, &e) != ERR_OK) {
        if (!e.text[0])
            abort();
        return 0;
    }
    text_within(m.schema);
    text_within(m.name);
    text_within(m.prefix);
    within(m.content, m.content_len);
    within(m.relations, (size_t)m.relation_count * 4);
    for (size_t i = 0; m.columns && i < m.column_count; i++)
        text_within(m.columns[i].name);
    cells_within(m.old, m.column_count);
    cells_within(m.new_, m.column_count);
    return 0;
}
