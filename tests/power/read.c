/*
 * read: what a reader of the store gets. Batches are taken apart by the record layer; what a record must say is known
 * from its number alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "record/record.h"
#include "tests/power/world.h"

void found_free(struct found_list *l)
{
    free(l->list);
    *l = (struct found_list){0};
}

static void push(struct found_list *l, const struct found *f)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? l->cap * 2 : 32;
        l->list = realloc(l->list, l->cap * sizeof *l->list);
        if (!l->list)
            abort();
    }
    l->list[l->n++] = *f;
}

static void expect_record(struct world *w, const char *topic, int32_t partition, const struct record *r,
                          uint64_t number)
{
    static uint8_t value[RECORD_VALUE_MAX];
    char key[RECORD_KEY_MAX];
    size_t key_len = record_key(number, key), len = record_value(number, value);
    if (r->value_len != (int32_t)len || memcmp(r->value, value, len) != 0)
        world_fail(w, "%s-%d: record %llu at offset %lld has other bytes than were written", topic, partition,
                   (unsigned long long)number, (long long)r->offset);
    if (key_len ? r->key_len != (int32_t)key_len || memcmp(r->key, key, key_len) != 0 : r->key != NULL)
        world_fail(w, "%s-%d: record %llu at offset %lld has another key than was written", topic, partition,
                   (unsigned long long)number, (long long)r->offset);
}

static void take_records(struct world *w, const char *topic, int32_t partition, const uint8_t *data, size_t n,
                         struct found *f)
{
    struct batch_iter it;
    struct record r;
    int32_t k = 0;
    int rc = batch_iter_init(&it, data, n, &w->scratch, &w->e);
    for (; rc == ERR_OK && (rc = batch_iter_next(&it, &r, &w->e)) == ERR_OK; k++) {
        uint64_t number;
        if (r.offset != f->base + k || !r.value || !record_number(r.value, (size_t)r.value_len, &number))
            world_fail(w, "%s-%d: offset %lld is no record of ours", topic, partition, (long long)r.offset);
        if (k == 0) {
            f->first = number;
            f->timestamp = r.timestamp;
        } else if (number != f->first + (uint64_t)k ||
                   r.timestamp != f->timestamp + (f->append_time ? 0 : k)) {
            world_fail(w, "%s-%d: record %d of the batch at offset %lld is another one's", topic, partition,
                       k, (long long)f->base);
        }
        expect_record(w, topic, partition, &r, number);
    }
    if (rc != ERR_END || k != f->count)
        world_fail(w, "%s-%d: batch at offset %lld: %d records of %d: %s", topic, partition,
                   (long long)f->base, k, f->count, w->e.text);
}

static void take_marker(struct world *w, const char *topic, int32_t partition, const uint8_t *data, size_t n,
                        struct found *f)
{
    int16_t type;
    int32_t epoch;
    int rc = marker_decode(data, n, &type, &epoch, &w->e);
    if (rc || (type != MARKER_COMMIT && type != MARKER_ABORT))
        world_fail(w, "%s-%d: control batch at offset %lld: %s", topic, partition, (long long)f->base,
                   rc ? w->e.text : "no marker");
    f->kind = type == MARKER_COMMIT ? ENTRY_COMMIT : ENTRY_ABORT;
}

static bool is_aborted(const struct aborted_txn *list, size_t n, const struct batch_header *h)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].producer_id == h->producer_id && list[i].first_offset <= h->base_offset &&
            list[i].last_offset >= h->base_offset)
            return true;
    return false;
}

/* The batches of one range. *next: the offset after them. */
static bool take_batches(struct world *w, const char *topic, int32_t partition, enum isolation isolation,
                         int64_t *next, struct found_list *out)
{
    struct aborted_txn *aborted = NULL;
    size_t aborted_count = 0;
    for (size_t at = 0; at < w->in.len;) {
        struct batch_header h;
        int rc = batch_check(w->in.data + at, w->in.len - at, &h, &w->e);
        if (rc && w->faults)
            return false; /* the store sends bytes as they are; who reads them finds out by the CRC */
        if (rc)
            world_fail(w, "%s-%d: a reader got bytes that are no batch: %s", topic, partition, w->e.text);
        if (batch_last_offset(&h) < *next)
            world_fail(w, "%s-%d: offset %lld comes after %lld", topic, partition, (long long)h.base_offset,
                       (long long)*next);
        bool control = h.attributes & BATCH_CONTROL;
        if (isolation == READ_COMMITTED && (h.attributes & BATCH_TRANSACTIONAL) && !control) {
            rc = broker_aborted(w->b, topic, partition, h.base_offset, batch_last_offset(&h) + 1, &aborted,
                                &aborted_count, &w->e);
            if (world_gone(w, rc, "looking up aborted transactions"))
                return false;
        }
        struct found f = {.kind = ENTRY_DATA,
                          .base = h.base_offset,
                          .count = h.last_offset_delta + 1,
                          .timestamp = h.max_timestamp,
                          .bytes = (int64_t)batch_size(&h),
                          .producer = h.producer_id,
                          .append_time = h.attributes & BATCH_LOG_APPEND_TIME};
        if (control)
            take_marker(w, topic, partition, w->in.data + at, batch_size(&h), &f);
        else
            take_records(w, topic, partition, w->in.data + at, batch_size(&h), &f);
        if (!is_aborted(aborted, aborted_count, &h))
            push(out, &f);
        mem_free(aborted);
        aborted = NULL;
        aborted_count = 0;
        at += batch_size(&h);
        *next = batch_last_offset(&h) + 1;
    }
    return true;
}

bool start_moved(struct world *w, const char *topic, int32_t partition, int64_t start)
{
    int64_t now, ts;
    struct err e;
    return !broker_list_offset(w->b, topic, partition, -2, READ_UNCOMMITTED, &now, &ts, &e) && now > start;
}

bool read_partition(struct world *w, int topic, int32_t partition, enum isolation isolation,
                    struct found_list *out)
{
    const char *name = world_topic_name(topic);
    int64_t ts;
    out->n = 0;
    int rc = broker_list_offset(w->b, name, partition, -2, isolation, &out->start, &ts, &w->e);
    if (!rc)
        rc = broker_list_offset(w->b, name, partition, -1, isolation, &out->end, &ts, &w->e);
    if (world_gone(w, rc, "asking for offsets"))
        return false;
    size_t max = rng_once_in(&w->rng, 2) ? 4096 : 1 << 20;
    for (int64_t next = out->start; next < out->end;) {
        struct log_range range;
        int64_t before = next;
        rc = broker_locate(w->b, name, partition, next, max, isolation, &range, &w->e);
        if (rc == ERR_OFFSET_OUT_OF_RANGE && start_moved(w, name, partition, out->start))
            return read_partition(w, topic, partition, isolation, out); /* retention was faster */
        if (world_gone(w, rc, "looking for records"))
            return false;
        buf_reset(&w->in);
        rc = buf_reserve(&w->in, range.bytes + 1, &w->e);
        if (!rc && range.bytes)
            rc = log_range_read(&range, 0, w->in.data, range.bytes, &w->e);
        w->in.len = range.bytes;
        log_range_release(&range);
        if (world_gone(w, rc, "reading records") || !take_batches(w, name, partition, isolation, &next, out))
            return false;
        if (next == before && w->faults)
            return true; /* what is missing is the caller's to ask about */
        if (next == before)
            world_fail(w, "%s-%d: nothing to read at offset %lld, the end is %lld", name, partition,
                       (long long)next, (long long)out->end);
    }
    return true;
}
