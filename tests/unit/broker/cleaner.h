/*
 * cleaner: what the tests of the broker's cleaner share: a broker that compacts at once, topics of a few keys, reading back.
 */
#ifndef LEAT_TESTS_BROKER_CLEANER_H
#define LEAT_TESTS_BROKER_CLEANER_H

#include "tests/unit/broker/helper.h"

enum { KEYS = 7, VALUE = 60000 };

static const struct topic_config_entry compacted[] = {{"cleanup.policy", "compact"},
                                                      {"segment.bytes", "1048576"}};

static inline struct broker_options options(struct fixture *f)
{
    return (struct broker_options){.data_dir = f->dir,
                                   .journal_file_bytes = 64 << 20,
                                   .cleaner_backoff_ms = 1,
                                   .offsets_partitions = 1,
                                   .txn_partitions = 1,
                                   .offsets_segment_bytes = 1 << 20,
                                   .txn_segment_bytes = 1 << 20};
}

static inline void reopen(struct fixture *f, const struct broker_options *o)
{
    if (f->b)
        fixture_close(f);
    assert_ok(broker_open(&f->b, o, &f->e), &f->e);
}

/* A broker without threads: the cleaner works in broker_step. */
static inline void reopen_stepped(struct fixture *f)
{
    struct broker_options o = options(f);
    o.no_threads = true;
    reopen(f, &o);
}

static inline int try_put_of(struct fixture *f, const char *topic, int key, int n, bool built_here,
                             const struct batch_producer *producer)
{
    static _Thread_local char value[VALUE];
    char name[32];
    struct batch_options o = {.level = CODEC_LEVEL_DEFAULT};
    struct batch_builder *b = batch_builder_new(&o, &f->e);
    struct produce_request r = {.topic = topic, .built_here = built_here};
    uint8_t *data;
    size_t key_len = (size_t)snprintf(name, sizeof name, "k%d", key);
    snprintf(value, sizeof value, "%d", n);
    assert_ok(batch_builder_add(b, clock_wall_ms(), key < 0 ? NULL : name, key_len, n < 0 ? NULL : value,
                                VALUE, NULL, 0, &f->e),
              &f->e);
    assert_ok(batch_builder_finish(b, producer, &data, &r.bytes, &f->e), &f->e);
    r.data = data;
    int rc = broker_produce(f->b, &r, 1, false, &f->e);
    batch_builder_free(b);
    return rc;
}

static inline int try_put(struct fixture *f, const char *topic, int key, int n, bool built_here)
{
    return try_put_of(f, topic, key, n, built_here, &BATCH_NO_PRODUCER);
}

/* Records 0 .. n-1, key i modulo KEYS, value i. */
static inline void put_many(struct fixture *f, const char *topic, int n)
{
    for (int i = 0; i < n; i++)
        assert_ok(try_put(f, topic, i % KEYS, i, false), &f->e);
}

struct seen {
    int count, last[KEYS]; /* of values; -1: none, -2: a tombstone */
};

static inline struct seen read_back(struct fixture *f, const char *topic)
{
    struct seen s = {0};
    struct buf data;
    int64_t at, ts;
    buf_init(&data, 256 << 20);
    memset(s.last, 0xff, sizeof s.last);
    assert_ok(broker_list_offset(f->b, topic, 0, -2, READ_COMMITTED, &at, &ts, &f->e), &f->e);
    for (;;) {
        struct log_range r;
        assert_ok(broker_locate(f->b, topic, 0, at, 1 << 20, READ_COMMITTED, &r, &f->e), &f->e);
        buf_reset(&data);
        assert_ok(buf_reserve(&data, r.bytes + 1, &f->e), &f->e);
        assert_ok(log_range_read(&r, 0, data.data, r.bytes, &f->e), &f->e);
        for (size_t i = 0; i < r.bytes;) {
            struct batch_iter it;
            struct record rec;
            assert_ok(batch_iter_init(&it, data.data + i, r.bytes - i, NULL, &f->e), &f->e);
            while (batch_iter_next(&it, &rec, &f->e) == ERR_OK) {
                s.count++;
                s.last[rec.key[1] - '0'] = rec.value ? atoi((const char *)rec.value) : -2;
            }
            i += batch_size(&it.header);
        }
        bool end = r.bytes == 0;
        at = r.next_offset;
        log_range_release(&r);
        if (end)
            break;
    }
    buf_free(&data);
    return s;
}

static inline void expect_last(const struct seen *s, int n)
{
    for (int i = n - KEYS; i < n; i++)
        assert_int_equal(s->last[i % KEYS], i);
}

static inline struct broker_stats stats(struct fixture *f)
{
    struct broker_stats s;
    broker_stats(f->b, &s);
    return s;
}

static inline void step(struct fixture *f, int64_t ms)
{
    static int64_t passed;
    passed += ms;
    broker_step(f->b, clock_mono_ms() + passed);
}

static inline void wait_for_passes(struct fixture *f, uint64_t n)
{
    struct waiter *w = waiter_new(f->b, &f->e);
    while (stats(f).cleaner_passes < n)
        waiter_wait(w, 5);
    waiter_free(w);
}

#endif
