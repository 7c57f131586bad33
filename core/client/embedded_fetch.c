/*
 * embedded_fetch: one read of up to fetch_bytes, decoded in one or more polls. Records point into what was read, or
 * into the scratch buffer of their batch if it was compressed. One thread.
 */
#include "client/embedded_consumer.h"

#include <inttypes.h>
#include <string.h>

#include "base/diag.h"
#include "base/mem.h"

/* A poll inflates at most so much more than it read; the rest comes with the next. */
enum { SCRATCH_MAX = 64 };

void consumer_forget_read(struct embedded_consumer *c)
{
    mem_free(c->aborted);
    c->aborted = NULL;
    c->aborted_count = 0;
    c->current = NULL;
}

bool consumer_topic_there(const struct embedded_consumer *c, const struct assignment *a)
{
    struct topic_brief now;
    struct err e;
    return broker_topic_brief(c->broker, a->topic, &now, &e) == ERR_OK &&
           memcmp(&now.id, &a->topic_id, sizeof now.id) == 0;
}

static int check_there(const struct embedded_consumer *c, const struct assignment *a, struct err *e)
{
    return consumer_topic_there(c, a) ? ERR_OK
                                      : err_set(e, ERR_UNKNOWN_TOPIC, "topic %s was deleted", a->topic);
}

/* Retention was faster than the reader. */
static int move_to_start(struct embedded_consumer *c, struct assignment *a, struct err *e)
{
    int64_t start, end, ts;
    int rc = check_there(c, a, e);
    if (!rc)
        rc = broker_list_offset(c->broker, a->topic, a->partition, -2, c->isolation, &start, &ts, e);
    if (!rc)
        rc = broker_list_offset(c->broker, a->topic, a->partition, -1, READ_UNCOMMITTED, &end, &ts, e);
    if (rc)
        return rc;
    int64_t to = a->position > end ? end : start;
    diag_warn("client",
              "%s-%" PRId32 ": offset %" PRId64 " is not there any more, reading goes on at %" PRId64,
              a->topic, a->partition, a->position, to);
    a->position = to;
    return ERR_OK;
}

static int read_bytes(struct embedded_consumer *c, const struct assignment *a, const struct log_range *range,
                      struct err *e)
{
    buf_reset(&c->in);
    int rc = buf_reserve(&c->in, range->bytes, e);
    if (!rc)
        rc = broker_read(c->broker, a->topic, a->partition, range, 0, c->in.data, range->bytes, e);
    if (!rc)
        c->in.len = range->bytes;
    return rc;
}

static int read_by_name(struct embedded_consumer *c, struct assignment *a, struct err *e)
{
    struct log_range range;
    int rc = broker_locate(c->broker, a->topic, a->partition, a->position, c->fetch_bytes, c->isolation,
                           &range, e);
    if (rc == ERR_OFFSET_OUT_OF_RANGE) {
        if ((rc = move_to_start(c, a, e)))
            return rc;
        rc = broker_locate(c->broker, a->topic, a->partition, a->position, c->fetch_bytes, c->isolation,
                           &range, e);
    }
    if (rc == ERR_CORRUPT)
        return err_wrap(e, "%s-%" PRId32 ", offset %" PRId64, a->topic, a->partition, a->position);
    if (rc)
        return rc;
    if (range.bytes == 0) {
        a->position = range.next_offset; /* behind what is lost for good, as far as it could be read */
        log_range_release(&range);
        return ERR_OK;
    }
    int64_t from = range.base_offset, to = range.next_offset;
    rc = read_bytes(c, a, &range, e);
    log_range_release(&range);
    if (!rc && c->isolation == READ_COMMITTED)
        rc = broker_aborted(c->broker, a->topic, a->partition, from, to, &c->aborted, &c->aborted_count, e);
    if (rc)
        return rc;
    c->current = a;
    c->at = 0;
    c->end_offset = to;
    return ERR_OK;
}

/* The store is asked by the topic's name: as it is there still, all that was read is its. */
int consumer_read(struct embedded_consumer *c, struct assignment *a, struct err *e)
{
    int64_t position = a->position;
    int rc = read_by_name(c, a, e);
    if (consumer_topic_there(c, a))
        return rc;
    a->position = position;
    consumer_forget_read(c);
    return check_there(c, a, e);
}

static bool is_aborted(const struct embedded_consumer *c, const struct batch_header *h)
{
    if (!(h->attributes & BATCH_TRANSACTIONAL))
        return false;
    for (size_t i = 0; i < c->aborted_count; i++)
        if (c->aborted[i].producer_id == h->producer_id && c->aborted[i].first_offset <= h->base_offset &&
            batch_last_offset(h) < c->aborted[i].last_offset)
            return true;
    return false;
}

static struct buf *next_scratch(struct embedded_consumer *c, struct err *e)
{
    if (c->scratch_used == c->scratch_room) {
        struct buf *more = mem_realloc_array(c->scratch, c->scratch_room + 1, sizeof *more);
        if (!more) {
            err_nomem(e);
            return NULL;
        }
        c->scratch = more;
        buf_init(&c->scratch[c->scratch_room++], BATCH_MAX_INFLATED);
    }
    return &c->scratch[c->scratch_used++];
}

static int push_record(struct embedded_consumer *c, const struct record *r, struct err *e)
{
    if (c->record_count == c->record_room) {
        size_t room = c->record_room ? 2 * c->record_room : 256;
        struct record *more = mem_realloc_array(c->records, room, sizeof *more);
        if (!more)
            return err_nomem(e);
        c->records = more;
        c->record_room = room;
    }
    c->records[c->record_count++] = *r;
    return ERR_OK;
}

/* `unused` is given for batches that are not compressed: they need no scratch. */
static int decode_batch(struct embedded_consumer *c, const uint8_t *data, const struct batch_header *h,
                        struct err *e)
{
    struct buf unused, *scratch = &unused;
    struct batch_iter it;
    struct record r;
    buf_init(&unused, BATCH_MAX_INFLATED);
    if (batch_codec(h) != CODEC_NONE && !(scratch = next_scratch(c, e)))
        return e->code;
    int rc = batch_iter_init(&it, data, batch_size(h), scratch, e);
    while (!rc && !(rc = batch_iter_next(&it, &r, e)))
        if (r.offset >= c->current->position)
            rc = push_record(c, &r, e);
    return rc == ERR_END ? ERR_OK : rc;
}

static size_t inflated(const struct embedded_consumer *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->scratch_used; i++)
        n += c->scratch[i].len;
    return n;
}

/* Names file and byte of a batch that cannot be decoded, and where reading can go on. */
static int tell_damage(struct embedded_consumer *c, const struct batch_header *h, struct err *e)
{
    struct assignment *a = c->current;
    struct log_range range;
    struct err why = *e, unused;
    char place[512] = "";
    if (!broker_locate(c->broker, a->topic, a->partition, a->position, 1, READ_UNCOMMITTED, &range,
                       &unused) &&
        range.bytes) {
        log_range_place(&range, place, sizeof place);
        log_range_release(&range);
    }
    consumer_forget_read(c);
    if (!h)
        return err_set(e, why.code, "%s-%" PRId32 ", offset %" PRId64 "%s%s: %s", a->topic, a->partition,
                       a->position, *place ? ": " : "", place, why.text);
    return err_set(e, why.code,
                   "%s-%" PRId32 ", offset %" PRId64 "%s%s: %s; offsets up to %" PRId64
                   " cannot be read, reading can go on at offset %" PRId64,
                   a->topic, a->partition, a->position, *place ? ": " : "", place, why.text,
                   batch_last_offset(h), batch_last_offset(h) + 1);
}

int consumer_decode(struct embedded_consumer *c, struct err *e)
{
    struct assignment *a = c->current;
    c->record_count = c->scratch_used = 0;
    while (c->at < c->in.len && c->scratch_used < SCRATCH_MAX && inflated(c) < 2 * c->fetch_bytes) {
        struct batch_header h;
        const uint8_t *data = c->in.data + c->at;
        size_t before = c->record_count;
        int rc = batch_check(data, c->in.len - c->at, &h, e);
        if (!rc && !(h.attributes & BATCH_CONTROL) && !is_aborted(c, &h))
            rc = decode_batch(c, data, &h, e);
        if (rc) {
            c->record_count = before;
            if (before)
                return ERR_OK; /* what is good goes out first; the next poll meets this again */
            bool chained = batch_header_decode(data, c->in.len - c->at, &h, &(struct err){0}) == ERR_OK;
            return tell_damage(c, chained ? &h : NULL, e);
        }
        c->at += batch_size(&h);
        if (batch_last_offset(&h) >= a->position)
            a->position = batch_last_offset(&h) + 1;
    }
    if (c->at >= c->in.len) {
        a->position = c->end_offset > a->position ? c->end_offset : a->position;
        consumer_forget_read(c);
    }
    return ERR_OK;
}
