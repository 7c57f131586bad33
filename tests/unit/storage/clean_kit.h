/*
 * clean_kit: a log with keys, producers and transactions, and beside it a naive model that says what cleaning must leave.
 * The model knows every record that was ever appended; it is told what a pass covered and says which records are left.
 */
#ifndef LEAT_TESTS_STORAGE_CLEAN_KIT_H
#define LEAT_TESTS_STORAGE_CLEAN_KIT_H

#include "kit.h"
#include "storage/clean.h"

enum { MODEL_KEYS = 40, MODEL_PRODUCERS = 6, MODEL_BATCH_RECORDS = 5 };
enum fate { FATE_PLAIN, FATE_OPEN, FATE_COMMITTED, FATE_ABORTED };

struct model_record {
    int64_t offset, timestamp;
    int key, value; /* value -1: a tombstone */
    size_t batch;
    bool gone;
};

struct model_batch {
    int64_t base, last, producer, horizon; /* horizon -1: none */
    enum fate fate;
    size_t first, count; /* of its records */
};

struct model {
    struct log *log;
    unsigned seed;
    int64_t now;
    struct model_record *records;
    struct model_batch *batches;
    size_t record_count, batch_count;
    int32_t sequence[MODEL_PRODUCERS];
    bool open[MODEL_PRODUCERS]; /* a transaction */
    int64_t checkpoint;
    int cleaned, values; /* passes; next value */
};

/* Producers: 0 none, 1 and 2 idempotent, the others transactional. Their ids begin at 100. */
static inline bool model_is_txn(int producer)
{
    return producer >= 3;
}

static inline unsigned model_random(struct model *m, unsigned n)
{
    return (unsigned)rand_r(&m->seed) % n;
}

static inline size_t model_key(int key, char out[32])
{
    return (size_t)snprintf(out, 32, "key-%d", key);
}

static inline size_t model_value(int value, char out[128])
{
    int n = snprintf(out, 128, "value-%d:", value);
    memset(out + n, 'a' + value % 26, (size_t)(value * 7 % 80));
    return (size_t)n + (size_t)(value * 7 % 80);
}

static inline void model_add(struct model *m, int64_t timestamp, int key, int value)
{
    m->records = realloc(m->records, (m->record_count + 1) * sizeof *m->records);
    m->records[m->record_count++] = (struct model_record){
        .offset = -1, .timestamp = timestamp, .key = key, .value = value, .batch = m->batch_count};
}

static inline void model_add_batch(struct model *m, const struct log_appended *at, int64_t producer,
                                   enum fate fate, size_t first)
{
    m->batches = realloc(m->batches, (m->batch_count + 1) * sizeof *m->batches);
    m->batches[m->batch_count++] = (struct model_batch){.base = at->base_offset,
                                                        .last = at->last_offset,
                                                        .producer = producer,
                                                        .horizon = -1,
                                                        .fate = fate,
                                                        .first = first,
                                                        .count = m->record_count - first};
    for (size_t i = first; i < m->record_count; i++)
        m->records[i].offset = at->base_offset + (int64_t)(i - first);
    log_set_high_watermark(m->log, at->last_offset + 1);
}

static inline void model_append(struct model *m)
{
    struct err e = {0};
    int producer = (int)model_random(m, MODEL_PRODUCERS), n = 1 + (int)model_random(m, MODEL_BATCH_RECORDS);
    struct batch_options o = {.codec = (enum codec)model_random(m, CODEC_COUNT),
                              .level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &e);
    const struct record_header header = {"h", 1, (const uint8_t *)"x", 1};
    size_t first = m->record_count, bytes;
    assert_non_null(b);
    for (int i = 0; i < n; i++) {
        char key[32], value[128];
        int k = (int)model_random(m, MODEL_KEYS), v = model_random(m, 6) ? m->values++ : -1;
        int64_t at = m->now + model_random(m, 3) * 10;
        size_t key_len = model_key(k, key), value_len = model_value(v < 0 ? 0 : v, value);
        assert_ok(batch_builder_add(b, at, key, key_len, v < 0 ? NULL : value, value_len, &header, k % 2, &e),
                  &e);
        model_add(m, at, k, v);
    }
    uint8_t *data;
    struct batch_producer p = BATCH_NO_PRODUCER;
    if (producer)
        p = (struct batch_producer){100 + producer, 0, m->sequence[producer], model_is_txn(producer)};
    assert_ok(batch_builder_finish(b, &p, &data, &bytes, &e), &e);
    struct log_append_args args = append_args();
    struct log_appended out;
    assert_ok(log_append(m->log, data, bytes, &args, &out, &e), &e);
    m->sequence[producer] += n;
    m->open[producer] |= model_is_txn(producer);
    model_add_batch(m, &out, p.id, model_is_txn(producer) ? FATE_OPEN : FATE_PLAIN, first);
    batch_builder_free(b);
}

static inline void model_end_txn(struct model *m, int producer, bool commit)
{
    struct err e = {0};
    struct log_appended out;
    if (!m->open[producer])
        return;
    assert_ok(try_marker(m->log, 100 + producer, 0, commit, &out, &e), &e);
    log_set_high_watermark(m->log, out.last_offset + 1);
    m->open[producer] = false;
    for (size_t i = 0; i < m->batch_count; i++)
        if (m->batches[i].producer == 100 + producer && m->batches[i].fate == FATE_OPEN)
            m->batches[i].fate = commit ? FATE_COMMITTED : FATE_ABORTED;
}

static inline void model_step(struct model *m)
{
    unsigned what = model_random(m, 10);
    m->now += 10;
    if (what < 7)
        model_append(m);
    else
        model_end_txn(m, 3 + (int)model_random(m, MODEL_PRODUCERS - 3), model_random(m, 3) > 0);
}

/* The same records, to be cleaned apart. */
static inline struct model model_copy(const struct model *m)
{
    struct model copy = *m;
    copy.records = malloc(m->record_count * sizeof *m->records);
    copy.batches = malloc(m->batch_count * sizeof *m->batches);
    memcpy(copy.records, m->records, m->record_count * sizeof *m->records);
    memcpy(copy.batches, m->batches, m->batch_count * sizeof *m->batches);
    return copy;
}

static inline void model_free(struct model *m)
{
    free(m->records);
    free(m->batches);
}

/* What a pass that cleaned below `end` and copied every batch below `cover` must leave. */
static inline void model_clean(struct model *m, int64_t end, int64_t cover, int64_t delete_retention_ms)
{
    int64_t last[MODEL_KEYS];
    for (int k = 0; k < MODEL_KEYS; k++)
        last[k] = -1;
    for (size_t i = 0; i < m->record_count; i++)
        if (m->records[i].offset < end && m->batches[m->records[i].batch].fate != FATE_ABORTED)
            last[m->records[i].key] = m->records[i].offset;
    for (size_t i = 0; i < m->batch_count && m->batches[i].base < cover; i++) {
        struct model_batch *b = &m->batches[i];
        bool tombstones = false;
        for (size_t k = b->first; k < b->first + b->count; k++) {
            struct model_record *r = &m->records[k];
            bool expired = r->value < 0 && b->horizon >= 0 && b->horizon <= m->now;
            r->gone |= b->fate == FATE_ABORTED || (r->offset < end && (last[r->key] != r->offset || expired));
            tombstones |= !r->gone && r->value < 0;
        }
        if (tombstones && b->horizon < 0)
            b->horizon = m->now + delete_retention_ms;
    }
}

/* ---- comparing ----------------------------------------------------------------------------------------------------- */

static inline void model_compare_record(const struct model_record *want, const struct record *got)
{
    char key[32], value[128];
    assert_int_equal(want->offset, got->offset);
    assert_int_equal(want->timestamp, got->timestamp);
    assert_int_equal(got->key_len, model_key(want->key, key));
    assert_memory_equal(got->key, key, (size_t)got->key_len);
    assert_int_equal(got->header_count, want->key % 2);
    if (want->value < 0) {
        assert_null(got->value);
        return;
    }
    assert_int_equal(got->value_len, model_value(want->value, value));
    assert_memory_equal(got->value, value, (size_t)got->value_len);
}

static inline bool model_visible(const struct aborted_txn *list, size_t n, const struct batch_header *h)
{
    for (size_t i = 0; (h->attributes & BATCH_TRANSACTIONAL) && i < n; i++)
        if (list[i].producer_id == h->producer_id && list[i].first_offset <= h->base_offset &&
            list[i].last_offset > h->base_offset)
            return false;
    return true;
}

struct model_reader {
    const struct model *may;  /* what can be there */
    const struct model *must; /* what has to be there; the same records */
    enum isolation isolation;
    struct aborted_txn *aborted;
    size_t aborted_count;
    size_t next; /* record of the models */
    int64_t end;
};

static inline bool model_expects(const struct model_reader *r, const struct model *m, size_t i)
{
    const struct model_record *want = &m->records[i];
    return !want->gone && want->offset < r->end &&
           (r->isolation == READ_UNCOMMITTED || m->batches[want->batch].fate != FATE_ABORTED);
}

static inline void model_pass_over(struct model_reader *r, int64_t offset)
{
    for (; r->next < r->may->record_count && r->may->records[r->next].offset < offset; r->next++)
        if (model_expects(r, r->must, r->next))
            fail_msg("offset %" PRId64 " is missing", r->may->records[r->next].offset);
}

static inline void model_read_batch(struct model_reader *r, const uint8_t *data, const struct batch_header *h)
{
    struct err e = {0};
    struct batch_iter it;
    struct record got;
    struct buf scratch;
    int rc;
    if (h->attributes & BATCH_CONTROL)
        return;
    if (r->isolation == READ_COMMITTED && !model_visible(r->aborted, r->aborted_count, h))
        return;
    buf_init(&scratch, BATCH_MAX_INFLATED);
    assert_ok(batch_iter_init(&it, data, batch_size(h), &scratch, &e), &e);
    while ((rc = batch_iter_next(&it, &got, &e)) == ERR_OK) {
        model_pass_over(r, got.offset);
        assert_true(r->next < r->may->record_count);
        if (!model_expects(r, r->may, r->next))
            fail_msg("offset %" PRId64 " should be gone", got.offset);
        model_compare_record(&r->may->records[r->next++], &got);
    }
    assert_int_equal(rc, ERR_END);
    buf_free(&scratch);
}

/* Walks the whole log, each range through `batch`. */
static inline void model_walk(struct log *log, enum isolation isolation,
                              void (*batch)(struct model_reader *, const uint8_t *,
                                            const struct batch_header *),
                              struct model_reader *r)
{
    struct err e = {0};
    for (int64_t at = log_start_offset(log);;) {
        struct log_range range;
        assert_ok(log_locate(log, at, 3000, isolation, &range, &e), &e);
        if (range.bytes == 0) {
            log_range_release(&range);
            return;
        }
        uint8_t *data = malloc(range.bytes);
        assert_ok(log_range_read(&range, 0, data, range.bytes, &e), &e);
        for (size_t i = 0; i < range.bytes;) {
            struct batch_header h;
            assert_ok(batch_check(data + i, range.bytes - i, &h, &e), &e);
            batch(r, data + i, &h);
            i += batch_size(&h);
        }
        assert_true(range.next_offset > at);
        at = range.next_offset;
        log_range_release(&range);
        free(data);
    }
}

/* Readers of both kinds get whole records: at most those of `may`, and all of `must`. */
static inline void model_verify_between(const struct model *may, const struct model *must, struct log *log)
{
    for (int i = 0; i < 2; i++) {
        struct err e = {0};
        struct model_reader r = {
            .may = may, .must = must, .isolation = i ? READ_COMMITTED : READ_UNCOMMITTED};
        r.end = i ? log_last_stable_offset(log) : log_high_watermark(log);
        assert_ok(log_aborted(log, log_start_offset(log), r.end, &r.aborted, &r.aborted_count, &e), &e);
        model_walk(log, r.isolation, model_read_batch, &r);
        model_pass_over(&r, INT64_MAX);
        mem_free(r.aborted);
    }
}

static inline void model_verify(const struct model *m, struct log *log)
{
    model_verify_between(m, m, log);
}

/* ---- a log of it --------------------------------------------------------------------------------------------------- */

static inline struct log_open_args model_args(const char *dir)
{
    struct log_open_args a = open_args(dir);
    a.config.segment_bytes = 2048;
    a.config.index_interval_bytes = 256;
    a.config.cleanup_compact = true;
    a.config.cleanup_delete = false;
    a.config.delete_retention_ms = 2000;
    return a;
}

/* One pass over what there is; false: nothing to clean. The model follows. */
static inline bool model_pass(struct model *m, struct cleaner *c, const struct log_config *config)
{
    struct err e = {0};
    struct clean_look look;
    struct clean_result out;
    struct segment_info *list;
    size_t n;
    assert_ok(log_flush(m->log, &e), &e);
    assert_ok(log_clean_look(m->log, m->checkpoint, m->now, INT64_MAX, &look, &e), &e);
    if (look.first_uncleanable <= look.first_dirty)
        return false;
    assert_ok(log_segments(m->log, &list, &n, &e), &e);
    struct clean_args args = {look.first_dirty, look.first_uncleanable, m->now};
    assert_ok(log_clean(m->log, c, &args, &out, &e), &e);
    assert_true(out.end > look.first_dirty);
    assert_true(out.end == look.first_uncleanable || out.full);
    int64_t cover = look.first_uncleanable;
    for (size_t i = n; i-- > 0;) /* the first segment behind all that was cleaned was not copied */
        if (list[i].base_offset >= out.end && list[i].base_offset < cover)
            cover = list[i].base_offset;
    mem_free(list);
    model_clean(m, out.end, cover, config->delete_retention_ms);
    m->checkpoint = out.end;
    m->cleaned++;
    return true;
}

#endif
