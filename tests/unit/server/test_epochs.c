/*
 * Leader epochs over the wire: a partition that other brokers led before, as after `leat kafka import`: what OffsetForLeaderEpoch,
 * Fetch, ListOffsets and Metadata say of it, and of which epoch what is appended is.
 */
#include "tests/unit/server/client.h"

/* Three records of epochs 0, 2 and 5, as the file of epochs tells; the current epoch is 5. */
static void start_with_epochs(struct rig *r)
{
    char path[512];
    rig_start(r, (struct server_options){0});
    r->fd = rig_connect(r);
    make_topic(r, "t", 2);
    for (int i = 0; i < 3; i++)
        ask(r, r->fd, MSG_KEY_produce, 9, make_produce(r, "t", 0, -1, make_batch(r, "value", 5)));
    rig_close(r);
    snprintf(path, sizeof path, "%s/logs/t-0/leader-epoch-checkpoint", r->dir);
    FILE *f = fopen(path, "r+");
    assert_non_null(f);
    fputs("0\n3\n0 0\n2 1\n5 2\n", f);
    fclose(f);
    rig_open(r, (struct server_options){0});
    r->fd = rig_connect(r);
}

static void expect_end(struct rig *r, int16_t version, const char *topic, int32_t partition, int32_t current,
                       int32_t epoch, int16_t code, int32_t found, int64_t end)
{
    struct msg_offset_for_leader_epoch_request q;
    struct msg_offset_for_leader_epoch_request_offset_for_leader_partition p = {
        .partition = partition, .current_leader_epoch = current, .leader_epoch = epoch};
    struct msg_offset_for_leader_epoch_request_offset_for_leader_topic t = {
        .topic = msg_text(topic, strlen(topic)), .partitions = {.items = &p, .count = 1}};
    msg_init(&msg_schema_offset_for_leader_epoch_request, &q);
    q.topics.items = &t;
    q.topics.count = 1;
    struct msg_offset_for_leader_epoch_response *a =
        ask(r, r->fd, MSG_KEY_offset_for_leader_epoch, version, &q);
    assert_int_equal(a->topics.count, 1);
    assert_int_equal(a->topics.items[0].partitions.count, 1);
    struct msg_offset_for_leader_epoch_response_epoch_end_offset *out = a->topics.items[0].partitions.items;
    assert_int_equal(out->partition, partition);
    assert_int_equal(out->error_code, code);
    assert_int_equal(out->leader_epoch, found);
    assert_int_equal(out->end_offset, end);
}

static void test_where_an_epoch_ended(void **state)
{
    (void)state;
    struct rig r;
    start_with_epochs(&r);
    for (int16_t v = 2; v <= 4; v++) {
        expect_end(&r, v, "t", 0, -1, 0, 0, 0, 1);
        expect_end(&r, v, "t", 0, 5, 1, 0, 0, 1);
        expect_end(&r, v, "t", 0, 5, 2, 0, 2, 2);
        expect_end(&r, v, "t", 0, 5, 4, 0, 2, 2);
        expect_end(&r, v, "t", 0, 5, 5, 0, 5, 3); /* the current one: where the log ends */
        expect_end(&r, v, "t", 0, -1, 6, 0, -1, -1);
        expect_end(&r, v, "t", 0, -1, -1, 0, -1, -1);
        expect_end(&r, v, "t", 0, 4, 0, 74, -1, -1);
        expect_end(&r, v, "t", 0, 6, 0, 75, -1, -1);
        expect_end(&r, v, "t", 1, 0, 0, 0, 0, 0); /* never written to */
        expect_end(&r, v, "t", 2, -1, 0, 3, -1, -1);
        expect_end(&r, v, "nowhere", 0, -1, 0, 3, -1, -1);
    }
    rig_stop(&r);
}

static void test_what_is_appended_is_of_the_current_one(void **state)
{
    (void)state;
    struct rig r;
    start_with_epochs(&r);
    struct msg_metadata_request m;
    msg_init(&msg_schema_metadata_request, &m);
    m.topics.count = -1;
    struct msg_metadata_response *known = ask(&r, r.fd, MSG_KEY_metadata, 12, &m);
    assert_int_equal(known->topics.count, 1);
    assert_int_equal(known->topics.items[0].partitions.items[0].leader_epoch,
                     5); /* and no log was opened for it */
    assert_int_equal(known->topics.items[0].partitions.items[1].leader_epoch, 0);
    ask(&r, r.fd, MSG_KEY_produce, 9, make_produce(&r, "t", 0, -1, make_batch(&r, "value", 5)));
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 3, 0, 1 << 20));
    assert_int_equal(be32(FETCHED(a)->records.p + 12), 5);
    expect_end(&r, 4, "t", 0, 5, 5, 0, 5, 4);
    rig_stop(&r);
}

static void expect_offset(struct rig *r, int64_t timestamp, int32_t current, int16_t code, int64_t offset,
                          int32_t epoch)
{
    struct msg_list_offsets_request q;
    struct msg_list_offsets_request_partition p;
    msg_init(&msg_schema_list_offsets_request, &q);
    msg_init(&msg_schema_list_offsets_request_partition, &p);
    struct msg_list_offsets_request_topic t = {.name = msg_text("t", 1),
                                               .partitions = {.items = &p, .count = 1}};
    p.timestamp = timestamp;
    p.current_leader_epoch = current;
    q.topics.items = &t;
    q.topics.count = 1;
    struct msg_list_offsets_response *a = ask(r, r->fd, MSG_KEY_list_offsets, 11, &q);
    struct msg_list_offsets_response_partition_response *out = a->topics.items[0].partitions.items;
    assert_int_equal(out->error_code, code);
    assert_int_equal(out->offset, offset);
    assert_int_equal(out->leader_epoch, epoch);
}

static void test_epochs_of_listed_offsets(void **state)
{
    (void)state;
    struct rig r;
    start_with_epochs(&r);
    expect_offset(&r, -2, 5, 0, 0, 0);
    expect_offset(&r, -1, -1, 0, 3, 5);
    expect_offset(&r, 1700000000000, 5, 0, 0, 0);
    expect_offset(&r, 1700000000001, 5, 0, -1, -1);
    expect_offset(&r, -1, 4, 74, -1, -1);
    expect_offset(&r, -1, 6, 75, -1, -1);
    rig_stop(&r);
}

/* Fetch with the epoch that the reader knows, and that of the last record which it has. */
static void *fetch_of(struct rig *r, int64_t offset, int32_t current, int32_t last)
{
    struct msg_fetch_request *q = make_fetch(r, "t", 0, offset, 0, 1 << 20);
    q->topics.items[0].partitions.items[0].current_leader_epoch = current;
    q->topics.items[0].partitions.items[0].last_fetched_epoch = last;
    return ask(r, r->fd, MSG_KEY_fetch, 12, q);
}

static void test_a_reader_of_another_past(void **state)
{
    (void)state;
    struct rig r;
    start_with_epochs(&r);
    void *a = fetch_of(&r, 2, 5, 2);
    assert_int_equal(FETCHED(a)->error_code, 0);
    assert_int_equal(FETCHED(a)->diverging_epoch.epoch, -1);
    assert_int_equal(be64(FETCHED(a)->records.p), 2);
    a = fetch_of(&r, 3, 5, 2); /* epoch 2 ended at 2: offset 2 was another record then */
    assert_int_equal(FETCHED(a)->error_code, 0);
    assert_int_equal(FETCHED(a)->records.n, 0);
    assert_int_equal(FETCHED(a)->high_watermark, 3);
    assert_int_equal(FETCHED(a)->diverging_epoch.epoch, 2);
    assert_int_equal(FETCHED(a)->diverging_epoch.end_offset, 2);
    a = fetch_of(&r, 2, 5, 3); /* there was none of epoch 3 */
    assert_int_equal(FETCHED(a)->diverging_epoch.epoch, 2);
    assert_int_equal(FETCHED(fetch_of(&r, 2, 5, 6))->error_code, 1);
    assert_int_equal(FETCHED(fetch_of(&r, 2, 4, -1))->error_code, 74);
    assert_int_equal(FETCHED(fetch_of(&r, 2, 6, -1))->error_code, 75);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where_an_epoch_ended),
        cmocka_unit_test(test_what_is_appended_is_of_the_current_one),
        cmocka_unit_test(test_epochs_of_listed_offsets),
        cmocka_unit_test(test_a_reader_of_another_past),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
