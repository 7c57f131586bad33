/*
 * Groups' committed offsets: stored, shown, deleted, and the same after a restart; the record formats against records
 * that Apache Kafka wrote.
 */
#include "tests/unit/broker/helper.h"

#include <errno.h>

#include "base/fault.h"
#include "broker/records.h"
#include "broker/store.h"
#include "storage/log.h"

static struct group_offset offset_of(const char *topic, int32_t partition, int64_t offset,
                                     const char *metadata)
{
    return (struct group_offset){
        .topic = topic, .partition = partition, .offset = offset, .leader_epoch = -1, .metadata = metadata};
}

static int64_t fetch(struct fixture *f, const char *group, const char *topic, int32_t partition)
{
    int64_t offset = -2;
    assert_ok(broker_fetch_offset(f->b, group, topic, partition, &offset, &f->e), &f->e);
    return offset;
}

static void test_commit_fetch_restart(void **state)
{
    struct fixture *f = *state;
    struct group_offset two[] = {offset_of("t", 0, 5, "here"), offset_of("t", 1, 7, NULL)};
    create(f, "t", 2);
    assert_int_equal(fetch(f, "g", "t", 0), -1);
    assert_ok(broker_commit_offsets(f->b, "g", two, 2, &f->e), &f->e);
    two[0].offset = 6;
    assert_ok(broker_commit_offsets(f->b, "g", two, 1, &f->e), &f->e);
    assert_ok(broker_commit_offsets(f->b, "other", two, 1, &f->e), &f->e);
    for (int round = 0; round < 2; round++) {
        struct group_info g;
        assert_int_equal(fetch(f, "g", "t", 0), 6);
        assert_int_equal(fetch(f, "g", "t", 1), 7);
        assert_int_equal(fetch(f, "none", "t", 1), -1);
        assert_ok(broker_group(f->b, "g", &g, &f->e), &f->e);
        assert_int_equal(g.count, 2);
        assert_string_equal(g.offsets[0].metadata, "here");
        assert_string_equal(g.offsets[1].metadata, "");
        assert_int_equal(g.offsets[1].offset, 7);
        assert_true(g.offsets[0].commit_ms > 0);
        group_info_free(&g);
        struct group_info *list;
        size_t n;
        assert_ok(broker_groups(f->b, &list, &n, &f->e), &f->e);
        assert_int_equal(n, 2);
        assert_string_equal(list[0].group, "g");
        assert_string_equal(list[1].group, "other");
        group_infos_free(list, n);
        fixture_restart(f);
    }
}

static void test_deletion(void **state)
{
    struct fixture *f = *state;
    struct group_offset two[] = {offset_of("t", 0, 5, NULL), offset_of("t", 1, 7, NULL)};
    struct group_info g;
    create(f, "t", 2);
    assert_ok(broker_commit_offsets(f->b, "g", two, 2, &f->e), &f->e);
    two[0].offset = -1;
    assert_ok(broker_commit_offsets(f->b, "g", two, 1, &f->e), &f->e);
    assert_int_equal(fetch(f, "g", "t", 0), -1);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g", "t", 0), -1);
    assert_int_equal(fetch(f, "g", "t", 1), 7);
    assert_ok(broker_delete_group(f->b, "g", &f->e), &f->e);
    assert_code(broker_group(f->b, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
    assert_code(broker_delete_group(f->b, "g", &f->e), ERR_UNKNOWN_GROUP, &f->e);
    fixture_restart(f);
    assert_code(broker_group(f->b, "g", &g, &f->e), ERR_UNKNOWN_GROUP, &f->e);
}

/* kafkajs commits -2 for "from the beginning"; Kafka keeps it. */
static void test_marks(void **state)
{
    struct fixture *f = *state;
    struct group_offset mark = offset_of("t", 0, -2, NULL);
    create(f, "t", 1);
    assert_ok(broker_commit_offsets(f->b, "g", &mark, 1, &f->e), &f->e);
    for (int round = 0; round < 2; round++) {
        struct group_info g;
        assert_int_equal(fetch(f, "g", "t", 0), -2);
        assert_ok(broker_group(f->b, "g", &g, &f->e), &f->e);
        assert_int_equal(g.count, 1);
        group_info_free(&g);
        fixture_restart(f);
    }
}

static void test_refusals(void **state)
{
    struct fixture *f = *state;
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    create(f, "t", 1);
    struct group_offset unknown = offset_of("no", 0, 1, NULL), wide = offset_of("t", 0, 1, large),
                        fine = offset_of("t", 0, 1, NULL);
    assert_code(broker_commit_offsets(f->b, "g", &unknown, 1, &f->e), ERR_UNKNOWN_TOPIC, &f->e);
    assert_code(broker_commit_offsets(f->b, "g", &wide, 1, &f->e), ERR_OFFSET_METADATA_TOO_LARGE, &f->e);
    char *endless = malloc(INT16_MAX + 2);
    assert_non_null(endless);
    memset(endless, 'g', INT16_MAX + 1);
    endless[INT16_MAX + 1] = '\0';
    assert_code(broker_commit_offsets(f->b, endless, &fine, 1, &f->e), ERR_INVALID_GROUP, &f->e);
    free(endless);
    struct group_info *list;
    size_t n;
    assert_ok(broker_groups(f->b, &list, &n, &f->e), &f->e);
    assert_int_equal(n, 0);
    group_infos_free(list, n);
}

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = 0;
    for (; hex[0] && hex[1]; hex += 2)
        out[n++] = (uint8_t)strtol((char[]){hex[0], hex[1], 0}, NULL, 16);
    return n;
}

static void expect_text(struct text t, const char *want)
{
    assert_int_equal(t.n, strlen(want));
    assert_memory_equal(t.p, want, t.n);
}

/* From ../shared/fixtures/kafka/segments: consumer-offsets-47 and transaction-state-18. */
static void test_kafka_records(void **state)
{
    uint8_t bytes[256];
    struct err e;
    struct offset_value v;
    struct group_key k;
    struct buf out;
    (void)state;
    size_t n =
        unhex("000400000000000000060000000001000001a1fa41e745010010ceb806714734402684ad07179dff136f", bytes);
    assert_ok(offset_value_decode(bytes, n, &v, &e), &e);
    assert_int_equal(v.offset, 6);
    assert_int_equal(v.leader_epoch, 0);
    assert_int_equal(v.metadata.n, 0);
    assert_int_equal(v.commit_ms, 1795199985477);
    buf_init(&out, 1000);
    assert_ok(group_key_offset(&out, text_of("g-del"), text_of("gt"), 3, &e), &e);
    assert_ok(group_key_decode(out.data, out.len, &k, &e), &e);
    assert_int_equal(k.kind, GROUP_KEY_OFFSET);
    expect_text(k.group, "g-del");
    expect_text(k.topic, "gt");
    assert_int_equal(k.partition, 3);
    for (size_t cut = 0; cut < out.len; cut++)
        assert_int_not_equal(group_key_decode(out.data, cut, &k, &e), ERR_OK);
    buf_reset(&out);
    v.metadata = text_of("m");
    assert_ok(offset_value_encode(&out, &v, &e), &e);
    struct offset_value again;
    assert_ok(offset_value_decode(out.data, out.len, &again, &e), &e);
    assert_int_equal(again.offset, v.offset);
    expect_text(again.metadata, "m");
    buf_free(&out);
}

static void test_kafka_txn_records(void **state)
{
    uint8_t bytes[256];
    struct err e;
    struct txn_value v;
    struct text t;
    int32_t p;
    (void)state;
    size_t n = unhex("0001000000000000000200000000ea60000000"
                     "0001a1fa419cc7ffffffffffffffff0100080000000000000002",
                     bytes);
    assert_ok(txn_value_decode(bytes, n, &v, &e), &e);
    assert_int_equal(v.producer_id, 2);
    assert_int_equal(v.timeout_ms, 60000);
    assert_int_equal(v.state, TXN_EMPTY);
    assert_int_equal(v.update_ms, 1795199966407);
    assert_int_equal(v.previous_id, 2);
    assert_int_equal(v.next_id, -1);
    assert_int_equal(v.start_ms, -1);
    assert_int_equal(txn_value_next(&v, &t, &p, &e), ERR_END);
    n = unhex("0001000000000000000200000000ea6001020474786e0200000000"
              "00000001a1fa419d0f000001a1fa419d0f0100080000000000000002",
              bytes);
    assert_ok(txn_value_decode(bytes, n, &v, &e), &e);
    assert_int_equal(v.state, TXN_ONGOING);
    assert_int_equal(v.start_ms, 1795199966479);
    assert_ok(txn_value_next(&v, &t, &p, &e), &e);
    expect_text(t, "txn");
    assert_int_equal(p, 0);
    assert_int_equal(txn_value_next(&v, &t, &p, &e), ERR_END);
}

static const struct {
    const char *topic;
    int32_t partition;
} parts[] = {{"a", 0}, {"a", 3}, {"b", 1}};

static void each_part(void *arg, size_t i, struct text *topic, int32_t *partition)
{
    (void)arg;
    *topic = text_of(parts[i].topic);
    *partition = parts[i].partition;
}

static void test_txn_value_round_trip(void **state)
{
    struct txn_value v = {.producer_id = 9,
                          .epoch = 4,
                          .timeout_ms = 5,
                          .state = TXN_ONGOING,
                          .update_ms = 6,
                          .start_ms = 7,
                          .previous_id = 8,
                          .next_id = 10,
                          .client_version = 2};
    struct txn_value got;
    struct buf out;
    struct err e;
    (void)state;
    buf_init(&out, 1000);
    assert_ok(txn_value_encode(&out, &v, each_part, NULL, 3, &e), &e);
    for (size_t cut = 0; cut < out.len; cut++)
        assert_int_not_equal(txn_value_decode(out.data, cut, &got, &e), ERR_OK);
    assert_ok(txn_value_decode(out.data, out.len, &got, &e), &e);
    assert_int_equal(got.epoch, 4);
    assert_int_equal(got.previous_id, 8);
    assert_int_equal(got.next_id, 10);
    assert_int_equal(got.client_version, 2);
    for (size_t i = 0; i < 3; i++) {
        struct text t;
        int32_t p;
        assert_ok(txn_value_next(&got, &t, &p, &e), &e);
        expect_text(t, parts[i].topic);
        assert_int_equal(p, parts[i].partition);
    }
    buf_free(&out);
}

/* Writes to the group's log what compaction leaves of a marker whose data is gone, where it has to keep the batch. */
static void append_emptied_marker(struct fixture *f, const char *group, int64_t producer, int16_t epoch)
{
    struct log_open_args open = {
        .name = "offsets", .config = log_config_default(), .clean = true, .durable_end = -1};
    struct log_append_args args = {.origin = LOG_FROM_LEADER};
    struct log_appended appended;
    struct batch_header h;
    struct buf marker;
    struct log *log;
    uint8_t *data;
    size_t n;
    char *dir = mem_printf("%s/logs/" OFFSETS_TOPIC "-%d", f->dir, kafka_coordinator_partition(group, 50));
    open.dir = dir;
    assert_ok(log_open(&log, &open, NULL, &f->e), &f->e);
    buf_init(&marker, 1 << 10);
    assert_ok(marker_build(&marker, producer, epoch, true, 0, clock_wall_ms(), &f->e), &f->e);
    batch_assign(marker.data, log_end_offset(log), 0);
    assert_ok(batch_header_decode(marker.data, marker.len, &h, &f->e), &f->e);
    struct batch_rewriter *w = batch_rewriter_new(&f->e);
    batch_rewriter_begin(w, &h, -1);
    assert_ok(batch_rewriter_finish(w, &data, &n, &f->e), &f->e);
    assert_ok(log_append(log, data, n, &args, &appended, &f->e), &f->e);
    assert_ok(log_close(log, true, &f->e), &f->e);
    batch_rewriter_free(w);
    buf_free(&marker);
    mem_free(dir);
}

static void test_compacted_markers(void **state)
{
    struct fixture *f = *state;
    struct group_offset o = offset_of("t", 0, 5, NULL);
    int64_t producer;
    int16_t epoch;
    create(f, "t", 1);
    assert_ok(broker_init_producer(f->b, "x", 60000, &producer, &epoch, &f->e), &f->e);
    assert_ok(broker_txn_commit_offsets(f->b, "x", producer, epoch, "g", &o, 1, &f->e), &f->e);
    assert_ok(broker_txn_end(f->b, "x", producer, epoch, true, &f->e), &f->e);
    fixture_close(f);
    append_emptied_marker(f, "g", producer, epoch);
    fixture_open(f);
    assert_int_equal(fetch(f, "g", "t", 0), 5);
    o.offset = 6;
    assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
    fixture_restart(f);
    assert_int_equal(fetch(f, "g", "t", 0), 6);
}

/* A topic is deleted, but its offsets cannot be: they count neither for a new topic of its name nor after a start. */
static void test_offsets_that_outlive_their_topic(void **state)
{
    struct fixture *f = *state;
    for (int restart = 0; restart < 2; restart++) {
        struct group_offset o = {.topic = "t", .partition = 0, .offset = 5, .leader_epoch = -1};
        create(f, "t", 1);
        assert_ok(broker_commit_offsets(f->b, "g", &o, 1, &f->e), &f->e);
        fault_arm_at(FAULT_WRITE, OFFSETS_TOPIC, 1, ENOSPC, true);
        assert_code(broker_delete_topic(f->b, "t", &f->e), ERR_NO_SPACE, &f->e);
        fault_disarm();
        assert_int_equal(fetch(f, "g", "t", 0), 5);
        if (restart)
            fixture_restart(f);
        else
            create(f, "t", 1);
        assert_int_equal(fetch(f, "g", "t", 0), -1);
        if (!restart)
            assert_ok(broker_delete_topic(f->b, "t", &f->e), &f->e);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_commit_fetch_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_compacted_markers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deletion, setup, teardown),
        cmocka_unit_test_setup_teardown(test_marks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test(test_kafka_records),
        cmocka_unit_test(test_kafka_txn_records),
        cmocka_unit_test(test_txn_value_round_trip),
        cmocka_unit_test_setup_teardown(test_offsets_that_outlive_their_topic, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
