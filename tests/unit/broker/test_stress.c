/*
 * Many threads at once: appends, groups, transactions, readers, offsets, retention, compaction, deletion of records, changes
 * of settings, and topics that come and go beneath them. Made for the thread sanitizer; what it checks itself is that nothing fails in another way than by a topic's absence.
 */
#include "tests/unit/broker/helper.h"

#include <pthread.h>
#include <stdatomic.h>

enum { WRITERS = 3, ROUNDS = 60 };

struct shared {
    struct broker *b;
    atomic_bool stop;
    atomic_int read;
};

/* BUSY: an append met a change of durability. */
static void allow_absence(int rc, struct err *e)
{
    if (rc && rc != ERR_UNKNOWN_TOPIC && rc != ERR_BUSY)
        fail_msg("%s: %s", err_name(rc), e->text);
}

static void *write_both(void *arg)
{
    struct shared *s = arg;
    struct fixture f = {.b = s->b};
    buf_init(&f.batch, 1 << 20);
    for (int i = 0; i < ROUNDS; i++) {
        struct produce_request r[2];
        buf_reset(&f.batch);
        size_t n = add_batch(&f, "a", i, 2, BATCH_NO_PRODUCER);
        add_batch(&f, "b", i, 2, BATCH_NO_PRODUCER);
        r[0] =
            (struct produce_request){.topic = "stays", .partition = i % 2, .data = f.batch.data, .bytes = n};
        r[1] = (struct produce_request){.topic = "comes-and-goes", .data = f.batch.data + n, .bytes = n};
        allow_absence(broker_produce(s->b, r, 2, i % 3 == 0, &f.e), &f.e);
    }
    buf_free(&f.batch);
    return NULL;
}

static void *run_transactions(void *arg)
{
    struct shared *s = arg;
    struct fixture f = {.b = s->b};
    struct txn_partition parts[] = {{"stays", 0}, {"stays", 1}};
    int64_t id;
    int16_t epoch;
    buf_init(&f.batch, 1 << 20);
    assert_ok(broker_init_producer(s->b, "x", 60000, &id, &epoch, &f.e), &f.e);
    for (int i = 0; i < ROUNDS; i++) {
        struct produce_request r =
            make_request(&f, "stays", i % 2, "x", i, 1, (struct batch_producer){id, epoch, i / 2, true});
        struct group_offset o = {.topic = "stays", .offset = i, .leader_epoch = -1};
        assert_ok(broker_txn_add_partitions(s->b, "x", id, epoch, parts, 2, &f.e), &f.e);
        assert_ok(broker_produce(s->b, &r, 1, false, &f.e), &f.e);
        assert_ok(broker_txn_commit_offsets(s->b, "x", id, epoch, "g", &o, 1, &f.e), &f.e);
        assert_ok(broker_txn_end(s->b, "x", id, epoch, i % 4 != 0, &f.e), &f.e);
    }
    buf_free(&f.batch);
    return NULL;
}

static void *read_on(void *arg)
{
    struct shared *s = arg;
    struct waiter *w = waiter_new(s->b, &(struct err){0});
    struct err e;
    int64_t offset = 0;
    allow_absence(waiter_watch(w, "stays", 0, &e), &e);
    allow_absence(waiter_watch(w, "comes-and-goes", 0, &e), &e);
    while (!atomic_load(&s->stop)) {
        struct log_range range;
        struct group_info *groups;
        size_t n;
        assert_ok(broker_locate(s->b, "stays", 0, offset, 4096, READ_COMMITTED, &range, &e), &e);
        offset = range.bytes ? range.next_offset : offset;
        log_range_release(&range);
        int rc = broker_locate(s->b, "comes-and-goes", 0, 0, 4096, READ_UNCOMMITTED, &range, &e);
        allow_absence(rc, &e);
        if (!rc)
            log_range_release(&range);
        assert_ok(broker_groups(s->b, &groups, &n, &e), &e);
        group_infos_free(groups, n);
        atomic_fetch_add(&s->read, 1);
        waiter_wait(w, 1);
    }
    waiter_free(w);
    return NULL;
}

static void *come_and_go(void *arg)
{
    struct shared *s = arg;
    struct topic_config_entry weak = {"durability", "page-cache"}, strong = {"durability", "sync"};
    struct err e;
    for (int i = 0; i < ROUNDS / 4; i++) {
        assert_ok(broker_alter_topic(s->b, "comes-and-goes", i % 2 ? &weak : &strong, 1, &e), &e);
        assert_ok(broker_delete_topic(s->b, "comes-and-goes", &e), &e);
        assert_ok(broker_create_topic(s->b, "comes-and-goes", 1, i % 2 ? &weak : NULL, i % 2, NULL, &e), &e);
    }
    return NULL;
}

/* Small segments of a few keys: the cleaner and retention have something to do, and readers meet what they do. */
static void *write_keys(void *arg)
{
    struct shared *s = arg;
    struct fixture f = {.b = s->b, .key_bytes = 8};
    buf_init(&f.batch, 1 << 20);
    for (int i = 0; i < ROUNDS; i++) {
        struct produce_request r = make_request(&f, "compacted", 0, "k", i, 1, BATCH_NO_PRODUCER);
        assert_ok(broker_produce(s->b, &r, 1, false, &f.e), &f.e);
        r = make_request(&f, "short", 0, "r", i, 1, BATCH_NO_PRODUCER);
        assert_ok(broker_produce(s->b, &r, 1, false, &f.e), &f.e);
    }
    buf_free(&f.batch);
    return NULL;
}

static void *read_keys(void *arg)
{
    struct shared *s = arg;
    struct err e;
    while (!atomic_load(&s->stop)) {
        struct log_range r;
        int64_t start, ts, offset;
        assert_ok(broker_list_offset(s->b, "compacted", 0, 1, READ_UNCOMMITTED, &offset, &ts, &e), &e);
        for (int64_t next = 0;;) {
            uint8_t head[BATCH_HEADER_SIZE];
            struct batch_header h;
            assert_ok(broker_locate(s->b, "compacted", 0, next, 1, READ_UNCOMMITTED, &r, &e), &e);
            if (r.bytes == 0)
                break;
            assert_ok(log_range_read(&r, 0, head, sizeof head, &e), &e);
            assert_ok(batch_header_decode(head, sizeof head, &h, &e), &e);
            assert_true(h.base_offset == r.base_offset && batch_last_offset(&h) + 1 == r.next_offset);
            assert_true(r.next_offset > next);
            next = r.next_offset;
            log_range_release(&r);
        }
        log_range_release(&r);
        assert_ok(broker_list_offset(s->b, "short", 0, -2, READ_UNCOMMITTED, &start, &ts, &e), &e);
        int rc = broker_locate(s->b, "short", 0, start, 1, READ_UNCOMMITTED, &r, &e);
        if (rc)
            assert_code(rc, ERR_OFFSET_OUT_OF_RANGE, &e); /* retention was faster */
        else
            log_range_release(&r);
    }
    return NULL;
}

static void *change_and_delete(void *arg)
{
    struct shared *s = arg;
    struct topic_config_entry few = {"segment.index.bytes", "24"}, more = {"segment.index.bytes", "64"};
    struct err e;
    for (int i = 0; i < ROUNDS; i++) {
        int64_t low;
        assert_ok(broker_alter_topic(s->b, "compacted", i % 2 ? &few : &more, 1, &e), &e);
        assert_ok(broker_delete_records(s->b, "short", 0, -1, &low, &e), &e);
    }
    return NULL;
}

static void make_small_topics(struct fixture *f)
{
    static const struct topic_config_entry compacted[] = {{"cleanup.policy", "compact"},
                                                          {"index.interval.bytes", "0"},
                                                          {"segment.index.bytes", "24"},
                                                          {"min.cleanable.dirty.ratio", "0.01"}},
                                           brief[] = {{"index.interval.bytes", "0"},
                                                      {"segment.index.bytes", "24"},
                                                      {"retention.bytes", "300"},
                                                      {"file.delete.delay.ms", "1"}};
    assert_ok(broker_create_topic(f->b, "compacted", 1, compacted, 4, NULL, &f->e), &f->e);
    assert_ok(broker_create_topic(f->b, "short", 1, brief, 4, NULL, &f->e), &f->e);
}

static void test_all_at_once(void **state)
{
    struct fixture *f = *state;
    struct shared s = {0};
    pthread_t threads[WRITERS + 4], reader, key_reader;
    create(f, "stays", 2);
    create(f, "comes-and-goes", 1);
    make_small_topics(f);
    fixture_close(f);
    struct broker_options o = {.data_dir = f->dir,
                               .journal_file_bytes = 1 << 20,
                               .retention_check_ms = 3,
                               .cleaner_threads = 2,
                               .cleaner_backoff_ms = 2,
                               .cleaner_dedupe_bytes = 1 << 20};
    assert_ok(broker_open(&f->b, &o, &f->e), &f->e);
    s.b = f->b;
    assert_int_equal(pthread_create(&reader, NULL, read_on, &s), 0);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_both, &s), 0);
    assert_int_equal(pthread_create(&threads[WRITERS], NULL, run_transactions, &s), 0);
    assert_int_equal(pthread_create(&threads[WRITERS + 1], NULL, come_and_go, &s), 0);
    assert_int_equal(pthread_create(&threads[WRITERS + 2], NULL, write_keys, &s), 0);
    assert_int_equal(pthread_create(&threads[WRITERS + 3], NULL, change_and_delete, &s), 0);
    assert_int_equal(pthread_create(&key_reader, NULL, read_keys, &s), 0);
    for (int i = 0; i < WRITERS + 4; i++)
        pthread_join(threads[i], NULL);
    atomic_store(&s.stop, true);
    pthread_join(reader, NULL);
    pthread_join(key_reader, NULL);
    int64_t end, stable, ts;
    for (int32_t i = 0; i < 2; i++) {
        assert_ok(broker_list_offset(f->b, "stays", i, -1, READ_UNCOMMITTED, &end, &ts, &f->e), &f->e);
        assert_ok(broker_list_offset(f->b, "stays", i, -1, READ_COMMITTED, &stable, &ts, &f->e), &f->e);
        assert_int_equal(end, stable);
    }
    fixture_restart(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_all_at_once, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
