/*
 * cdc_record: records on their way to the host. Their bytes lie in one buffer that grows, so that records are kept as parts of
 * it until the batch is handed over; then it is used again.
 */
#include <string.h>

#include "base/mem.h"
#include "kit/cdc/cdc_impl.h"

int cdc_batch_init(struct cdc_batch *b, struct err *e)
{
    buf_init(&b->bytes, CDC_RECORD_MAX);
    b->pending = mem_calloc(CDC_BATCH_RECORDS, sizeof(*b->pending));
    b->records = mem_calloc(CDC_BATCH_RECORDS, sizeof(*b->records));
    return b->pending && b->records ? ERR_OK : err_nomem(e);
}

void cdc_batch_free(struct cdc_batch *b)
{
    buf_free(&b->bytes);
    mem_free(b->pending);
    mem_free(b->records);
    mem_free(b->headers);
    mem_free(b->given);
}

struct cdc_mark cdc_mark(const struct cdc *c)
{
    return (struct cdc_mark){c->batch.bytes.len, c->batch.count, c->batch.header_count};
}

void cdc_take_back(struct cdc *c, struct cdc_mark m)
{
    c->batch.bytes.len = m.bytes;
    c->batch.count = m.count;
    c->batch.header_count = m.headers;
}

struct cdc_pending *cdc_record(struct cdc *c, const char *topic, struct err *e)
{
    struct cdc_batch *b = &c->batch;
    if (b->count == CDC_BATCH_RECORDS) {
        err_set(e, ERR_INTERNAL, "an event of more records than a batch has room for");
        return NULL;
    }
    struct cdc_pending *r = &b->pending[b->count++];
    *r = (struct cdc_pending){.topic = topic,
                              .key.at = CDC_NOTHING,
                              .value.at = CDC_NOTHING,
                              .timestamp = -1,
                              .partition = -1,
                              .header_at = (uint32_t)b->header_count};
    return r;
}

static int header_room(struct cdc_batch *b, struct err *e)
{
    if (b->header_count < b->header_room)
        return ERR_OK;
    size_t room = b->header_room ? b->header_room * 2 : 64;
    struct cdc_header *headers = mem_realloc_array(b->headers, room, sizeof(*headers));
    if (headers)
        b->headers = headers;
    struct leat_header *given = mem_realloc_array(b->given, room, sizeof(*given));
    if (given)
        b->given = given;
    if (!headers || !given)
        return err_nomem(e);
    b->header_room = room;
    return ERR_OK;
}

int cdc_header(struct cdc *c, struct cdc_pending *r, const char *key, size_t key_len, struct cdc_part value,
               struct err *e)
{
    struct cdc_batch *b = &c->batch;
    if (header_room(b, e) != ERR_OK)
        return e->code;
    b->headers[b->header_count++] = (struct cdc_header){key, key_len, value};
    r->header_count++;
    return ERR_OK;
}

/* A header of the capture's own, as one among others: its value is copied into the bytes. */
static int copy_context(struct cdc *c, struct cdc_pending *r, struct err *e)
{
    for (int i = 0; i < CDC_CONTEXT_HEADERS; i++) {
        const struct leat_header *h = &c->context[i];
        size_t at = c->batch.bytes.len;
        if (cdc_put(&c->batch.bytes, h->value, h->value_len, e) != ERR_OK ||
            cdc_header(c, r, h->key, h->key_len, cdc_part_from(c, at), e) != ERR_OK)
            return e->code;
    }
    return ERR_OK;
}

int cdc_context(struct cdc *c, struct cdc_pending *r, bool more, struct err *e)
{
    if (!c->config.context_headers)
        return ERR_OK;
    if (r->header_count || more)
        return copy_context(c, r, e);
    r->context = true;
    return ERR_OK;
}

/* ---- handing over ----------------------------------------------------------------------------------------------------- */

/* NULL for null only: what is empty has an address. */
static const void *bytes_at(const struct cdc_batch *b, struct cdc_part p)
{
    if (p.at == CDC_NOTHING)
        return NULL;
    return b->bytes.data ? b->bytes.data + p.at : (const uint8_t *)"";
}

static void give_headers(struct cdc_batch *b)
{
    for (size_t i = 0; i < b->header_count; i++) {
        const struct cdc_header *h = &b->headers[i];
        b->given[i] = (struct leat_header){h->key, h->key_len, bytes_at(b, h->value), h->value.n};
    }
}

static void give(struct cdc *c, size_t i)
{
    struct cdc_batch *b = &c->batch;
    const struct cdc_pending *p = &b->pending[i];
    b->records[i] = (struct leat_record){
        .struct_size = sizeof(struct leat_record),
        .partition = p->partition,
        .topic = p->topic ? p->topic : (const char *)b->bytes.data + p->topic_at,
        .timestamp = p->timestamp,
        .key = bytes_at(b, p->key),
        .key_len = p->key.at == CDC_NOTHING ? 0 : p->key.n,
        .value = bytes_at(b, p->value),
        .value_len = p->value.at == CDC_NOTHING ? 0 : p->value.n,
        .headers = p->header_count ? b->given + p->header_at
                   : p->context    ? c->context
                                   : NULL,
        .header_count = p->header_count ? p->header_count
                        : p->context    ? CDC_CONTEXT_HEADERS
                                        : 0,
    };
}

int cdc_flush(struct cdc *c)
{
    struct cdc_batch *b = &c->batch;
    if (b->count == 0)
        return LEAT_OK;
    give_headers(b);
    for (size_t i = 0; i < b->count; i++)
        give(c, i);
    int rc = c->host->emit(c->task, b->records, b->count);
    c->emitted += b->bytes.len;
    b->count = b->header_count = 0;
    buf_reset(&b->bytes);
    struct buf *bufs[] = {&b->bytes, &c->scratch, &c->scratch2, &c->aside};
    for (size_t i = 0; i < sizeof(bufs) / sizeof(*bufs); i++)
        if (bufs[i]->cap > CDC_BATCH_KEEP)
            buf_free(bufs[i]);
    return rc;
}

bool cdc_batch_full(const struct cdc_batch *b)
{
    /* Room is left for what one change becomes: three records. */
    return b->bytes.len >= CDC_BATCH_BYTES || b->count + 4 > CDC_BATCH_RECORDS;
}

int cdc_flush_full(struct cdc *c)
{
    return cdc_batch_full(&c->batch) ? cdc_flush(c) : LEAT_OK;
}

size_t cdc_take_emitted(struct cdc *c)
{
    /* `emitted` gets a batch's bytes when it is handed over: those that are taken before are owed to it (it may wrap). */
    size_t n = c->emitted + c->batch.bytes.len;
    c->emitted = 0 - c->batch.bytes.len;
    return n;
}
