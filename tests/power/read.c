/*
 * read: what a reader of the store gets. Batches are taken apart by the record layer; what a record must say is known
 * from its number alone.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "record/record.h"
#include "tests/power/cleaned.h"

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
    bool same = record_is_tombstone(number)
                    ? !r->value
                    : r->value && r->value_len == (int32_t)len && memcmp(r->value, value, len) == 0;
    if (!same)
        world_fail(w, "%s-%d: record %llu at offset %lld has other bytes than were written", topic, partition,
                   (unsigned long long)number, (long long)r->offset);
    if (key_len ? r->key_len != (int32_t)key_len || memcmp(r->key, key, key_len) != 0 : r->key != NULL)
        world_fail(w, "%s-%d: record %llu at offset %lld has another key than was written", topic, partition,
                   (unsigned long long)number, (long long)r->offset);
}

/* A value begins with it; a tombstone has it in its only header. */
static bool number_of(const struct record *r, uint64_t *number)
{
    struct record_header h;
    struct slice headers = r->headers;
    struct err e;
    if (r->value)
        return record_number(r->value, (size_t)r->value_len, number);
    return record_next_header(&headers, &h, &e) == ERR_OK && h.value &&
           record_number(h.value, (size_t)h.value_len, number);
}

/* Of a batch that compaction may have been at any of its records may be gone. */
static void take_records(struct world *w, int topic, int32_t partition, const uint8_t *data, size_t n,
                         struct found *f)
{
    const char *name = world_topic_name(topic);
    struct batch_iter it;
    struct record r;
    int64_t k, last = -1;
    int rc = batch_iter_init(&it, data, n, &w->scratch, &w->e);
    for (; rc == ERR_OK && (rc = batch_iter_next(&it, &r, &w->e)) == ERR_OK; last = k) {
        uint64_t number;
        k = r.offset - f->base;
        if (k <= last || k >= f->count || !number_of(&r, &number))
            world_fail(w, "%s-%d: offset %lld is no record of ours", name, partition, (long long)r.offset);
        int64_t first_ts = r.timestamp - (f->append_time ? 0 : k);
        if (!f->there) {
            f->first = number - (uint64_t)k;
            f->timestamp = first_ts;
        } else if (number != f->first + (uint64_t)k || first_ts != f->timestamp) {
            world_fail(w, "%s-%d: record %lld of the batch at offset %lld is another one's", name, partition,
                       (long long)k, (long long)f->base);
        }
        f->there |= UINT32_C(1) << k;
        expect_record(w, name, partition, &r, number);
    }
    bool whole = f->there == (UINT32_C(1) << f->count) - 1;
    if (rc != ERR_END || (!whole && !w->model.topics[topic].once_compact))
        world_fail(w, "%s-%d: batch at offset %lld: records %x of %d: %s", name, partition,
                   (long long)f->base, f->there, f->count, rc == ERR_END ? "some are missing" : w->e.text);
}

static void take_marker(struct world *w, int topic, int32_t partition, const struct batch_header *h,
                        const uint8_t *data, struct found *f)
{
    int16_t type = -1;
    int32_t epoch;
    bool emptied = h->record_count == 0 && w->model.topics[topic].once_compact;
    int rc = emptied ? ERR_OK : marker_decode(data, batch_size(h), &type, &epoch, &w->e);
    if (rc || (type != MARKER_COMMIT && type != MARKER_ABORT && !emptied))
        world_fail(w, "%s-%d: control batch at offset %lld: %s", world_topic_name(topic), partition,
                   (long long)f->base, rc ? w->e.text : "no marker");
    f->kind = emptied ? ENTRY_EMPTIED : type == MARKER_COMMIT ? ENTRY_COMMIT : ENTRY_ABORT;
    f->there = !emptied;
}

static bool is_aborted(const struct aborted_txn *list, size_t n, const struct batch_header *h)
{
    for (size_t i = 0; i < n; i++)
        if (list[i].producer_id == h->producer_id && list[i].first_offset <= h->base_offset &&
            list[i].last_offset >= h->base_offset)
            return true;
    return false;
}

/* One batch. False: the power is cut. */
static bool take_batch(struct world *w, int topic, int32_t partition, enum isolation isolation,
                       const struct batch_header *h, const uint8_t *data, struct found_list *out)
{
    struct aborted_txn *aborted = NULL;
    size_t aborted_count = 0;
    bool control = h->attributes & BATCH_CONTROL;
    if (isolation == READ_COMMITTED && (h->attributes & BATCH_TRANSACTIONAL) && !control) {
        int rc = broker_aborted(w->b, world_topic_name(topic), partition, h->base_offset,
                                batch_last_offset(h) + 1, &aborted, &aborted_count, &w->e);
        if (world_gone(w, rc, "looking up aborted transactions"))
            return false;
    }
    struct found f = {.kind = ENTRY_DATA,
                      .base = h->base_offset,
                      .count = h->last_offset_delta + 1,
                      .timestamp = h->max_timestamp,
                      .bytes = (int64_t)batch_size(h),
                      .producer = h->producer_id,
                      .sequence = h->base_sequence,
                      .append_time = h->attributes & BATCH_LOG_APPEND_TIME};
    if (f.count < 1 || f.count > ENTRY_RECORDS_MAX)
        world_fail(w, "%s-%d: the batch at offset %lld has %d offsets", world_topic_name(topic), partition,
                   (long long)f.base, f.count);
    if (control)
        take_marker(w, topic, partition, h, data, &f);
    else
        take_records(w, topic, partition, data, batch_size(h), &f);
    if (!is_aborted(aborted, aborted_count, h))
        push(out, &f);
    mem_free(aborted);
    return true;
}

/* The batches of one range. *next: the offset after them. */
static bool take_batches(struct world *w, int topic, int32_t partition, enum isolation isolation,
                         int64_t *next, struct found_list *out)
{
    for (size_t at = 0; at < w->in.len;) {
        struct batch_header h;
        int rc = batch_check(w->in.data + at, w->in.len - at, &h, &w->e);
        if (rc && w->faults)
            return false; /* the store sends bytes as they are; who reads them finds out by the CRC */
        if (rc)
            world_fail(w, "%s-%d: a reader got bytes that are no batch: %s", world_topic_name(topic),
                       partition, w->e.text);
        if (batch_last_offset(&h) < *next)
            world_fail(w, "%s-%d: offset %lld comes after %lld", world_topic_name(topic), partition,
                       (long long)h.base_offset, (long long)*next);
        if (!take_batch(w, topic, partition, isolation, &h, w->in.data + at, out))
            return false;
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
    cleaned_read(&w->model.topics[topic].parts[partition]);
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
        if (world_gone(w, rc, "reading records") || !take_batches(w, topic, partition, isolation, &next, out))
            return false;
        if (next == before && w->faults)
            return true; /* what is missing is the caller's to ask about */
        if (next == before)
            world_fail(w, "%s-%d: nothing to read at offset %lld, the end is %lld", name, partition,
                       (long long)next, (long long)out->end);
        if (next > out->end)
            out->end = next; /* upkeep ended a transaction meanwhile */
    }
    return true;
}
