/*
 * Produce over the wire, what its answer says: refused records by their numbers, duplicates, append times, what is larger than a
 * segment; and that appends of one connection keep their order whoever makes them, the loop or the pool.
 */
#include "tests/unit/server/client.h"

#define NOW_MS 1700000000000

/* A batch of `n` records; `keyless` and `late` are bits: those have no key, those are of the year 2100. */
static struct msg_bytes make_records(struct rig *r, int n, uint64_t keyless, uint64_t late,
                                     const struct batch_producer *producer)
{
    struct err e = {0};
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = 4 << 20};
    struct batch_builder *b = batch_builder_new(&o, &e);
    uint8_t *data;
    size_t size;
    assert_non_null(b);
    for (int i = 0; i < n; i++)
        assert_ok(batch_builder_add(b, late >> (i % 64) & 1 ? 4102444800000 : NOW_MS + i,
                                    keyless >> (i % 64) & 1 ? NULL : "k", 1, "v", 1, NULL, 0, &e),
                  &e);
    assert_ok(batch_builder_finish(b, producer, &data, &size, &e), &e);
    uint8_t *copy = arena_dup(&r->arena, data, size);
    batch_builder_free(b);
    return (struct msg_bytes){copy, (int32_t)size};
}

static struct msg_produce_response *produce(struct rig *r, int16_t version, const char *topic,
                                            struct msg_bytes batch, int16_t code)
{
    void *a = ask(r, r->fd, MSG_KEY_produce, version, make_produce(r, topic, 0, -1, batch));
    assert_int_equal(PRODUCED(a)->error_code, code);
    assert_int_equal(PRODUCED(a)->base_offset < 0, code != 0);
    return a;
}

static void configure(struct rig *r, const char *topic, const char *name, const char *value)
{
    struct err e = {0};
    struct topic_config_entry c = {name, value};
    assert_ok(broker_alter_topic(r->broker, topic, &c, 1, &e), &e);
}

static void expect_refused(void *a, const int32_t *numbers, int n)
{
    assert_int_equal(PRODUCED(a)->record_errors.count, n);
    assert_true(PRODUCED(a)->error_message.n > 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(PRODUCED(a)->record_errors.items[i].batch_index, numbers[i]);
        assert_true(PRODUCED(a)->record_errors.items[i].batch_index_error_message.n > 0);
    }
}

static void test_which_records_are_why(void **state)
{
    (void)state;
    struct rig r;
    static const int32_t keyless[] = {1, 4}, late[] = {0, 2, 3};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    configure(&r, "t", "cleanup.policy", "compact");
    expect_refused(produce(&r, 9, "t", make_records(&r, 5, 0x12, 0, &BATCH_NO_PRODUCER), 87), keyless, 2);
    assert_int_equal(PRODUCED(produce(&r, 7, "t", make_records(&r, 5, 0x12, 0, &BATCH_NO_PRODUCER), 87))
                         ->record_errors.count,
                     0);
    expect_refused(produce(&r, 9, "t", make_records(&r, 5, 0, 0x0d, &BATCH_NO_PRODUCER), 32), late, 3);
    assert_int_equal(
        PRODUCED(produce(&r, 9, "t", make_records(&r, 2000, UINT64_MAX, 0, &BATCH_NO_PRODUCER), 87))
            ->record_errors.count,
        LOG_REFUSED_MAX < 2000 ? LOG_REFUSED_MAX : 2000);
    produce(&r, 9, "t", make_records(&r, 5, 0, 0, &BATCH_NO_PRODUCER), 0);
    rig_stop(&r);
}

static void test_a_duplicate(void **state)
{
    (void)state;
    struct err e = {0};
    struct rig r;
    struct batch_producer p = {.base_sequence = 0};
    int64_t low;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    assert_ok(broker_init_producer(r.broker, NULL, 0, &p.id, &p.epoch, &e), &e);
    void *a = produce(&r, 9, "t", make_records(&r, 3, 0, 0, &p), 0);
    assert_int_equal(PRODUCED(a)->log_append_time_ms, -1);
    assert_ok(broker_delete_records(r.broker, "t", 0, 1, &low, &e), &e);
    a = produce(&r, 9, "t", make_records(&r, 3, 0, 0, &p), 0);
    assert_int_equal(PRODUCED(a)->base_offset, 0);
    assert_int_equal(PRODUCED(a)->log_append_time_ms, NOW_MS + 2);
    assert_int_equal(PRODUCED(a)->log_start_offset, 1);
    configure(&r, "t", "message.timestamp.type", "LogAppendTime");
    p.base_sequence = 3;
    int64_t first = PRODUCED(produce(&r, 9, "t", make_records(&r, 1, 0, 0, &p), 0))->log_append_time_ms;
    assert_true(first > NOW_MS);
    a = produce(&r, 9, "t", make_records(&r, 1, 0, 0, &p), 0);
    assert_int_equal(PRODUCED(a)->log_append_time_ms, first);
    assert_int_equal(PRODUCED(a)->base_offset, 3);
    rig_stop(&r);
}

static void test_the_header_is_not_believed(void **state)
{
    (void)state;
    struct err e = {0};
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    struct msg_bytes batch = make_records(&r, 3, 0, 0, &BATCH_NO_PRODUCER);
    uint8_t *p = arena_dup(&r.arena, batch.p, (size_t)batch.n);
    put_be64(p + 35, NOW_MS + 1000000);
    put_be32(p + 12, 77); /* leader epoch */
    put_be32(p + 17, crc32c(0, p + 21, (size_t)batch.n - 21));
    produce(&r, 9, "t", (struct msg_bytes){p, batch.n}, 0);
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, 0, 1 << 20));
    struct batch_header h;
    assert_ok(batch_check(FETCHED(a)->records.p, (size_t)FETCHED(a)->records.n, &h, &e), &e);
    assert_int_equal(h.max_timestamp, NOW_MS + 2);
    assert_int_equal(h.leader_epoch, 0);
    rig_stop(&r);
}

static void test_larger_than_a_segment(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    configure(&r, "t", "segment.bytes", "1048576");
    configure(&r, "t", "max.message.bytes", "4000000");
    uint8_t *value = arena_alloc(&r.arena, 1100000);
    memset(value, 'v', 1100000);
    produce(&r, 9, "t", make_batch(&r, value, 1100000), 18);
    configure(&r, "t", "max.message.bytes", "1000000");
    produce(&r, 9, "t", make_batch(&r, value, 1100000), 10);
    configure(&r, "t", "min.insync.replicas", "2"); /* there is one replica, and no more are asked for */
    produce(&r, 9, "t", make_batch(&r, value, 5), 0);
    rig_stop(&r);
}

/* What the pool has to do (its topic's codec is another) and what the loop does, mixed: sequences follow each other. */
static void test_appends_keep_their_order(void **state)
{
    (void)state;
    enum { ROUNDS = 20, EACH = 30 };
    struct err e = {0};
    struct rig r;
    struct batch_producer p[2] = {{.base_sequence = 0}, {.base_sequence = 0}};
    static const char *const topics[] = {"plain", "packed"};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    for (int i = 0; i < 2; i++) {
        make_topic(&r, topics[i], 1);
        assert_ok(broker_init_producer(r.broker, NULL, 0, &p[i].id, &p[i].epoch, &e), &e);
    }
    configure(&r, "packed", "compression.type", "zstd");
    for (int round = 0; round < ROUNDS; round++) {
        int32_t first = r.correlation + 1;
        for (int i = 0; i < EACH; i++) {
            int t = (i * 7 + round) % 3 == 0;
            put_request(&r, MSG_KEY_produce, 9,
                        make_produce(&r, topics[t], 0, -1, make_records(&r, 1, 0, 0, &p[t])));
            p[t].base_sequence++;
        }
        send_requests(&r, r.fd);
        for (int i = 0; i < EACH; i++) {
            void *a = get_answer(&r, r.fd, MSG_KEY_produce, 9, first + i);
            assert_int_equal(PRODUCED(a)->error_code, 0);
        }
        arena_reset(&r.arena);
    }
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_records_are_why),      cmocka_unit_test(test_a_duplicate),
        cmocka_unit_test(test_the_header_is_not_believed), cmocka_unit_test(test_larger_than_a_segment),
        cmocka_unit_test(test_appends_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
