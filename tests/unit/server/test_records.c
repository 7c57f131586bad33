/*
 * Produce, Fetch, ListOffsets over the wire, by several versions; waiting fetches; readers that are slow; what goes wrong.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "base/clock.h"
#include "base/fault.h"
#include "tests/unit/server/client.h"

static void test_what_is_produced_is_fetched(void **state)
{
    (void)state;
    static const int16_t produce[] = {3, 7, 8, 9, 12, 13}, fetch[] = {4, 7, 11, 12, 13, 18};
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 2);
    for (size_t i = 0; i < sizeof produce / sizeof *produce; i++) {
        char value[16];
        int n = snprintf(value, sizeof value, "value %zu", i);
        void *a = ask(&r, r.fd, MSG_KEY_produce, produce[i],
                      make_produce(&r, "t", 1, -1, make_batch(&r, value, (size_t)n)));
        assert_int_equal(PRODUCED(a)->error_code, 0);
        assert_int_equal(PRODUCED(a)->index, 1);
        assert_int_equal(PRODUCED(a)->base_offset, i);
        assert_int_equal(PRODUCED(a)->log_append_time_ms, -1);
        assert_int_equal(PRODUCED(a)->log_start_offset, produce[i] >= 5 ? 0 : -1);
        a = ask(&r, r.fd, MSG_KEY_fetch, fetch[i], make_fetch(&r, "t", 1, (int64_t)i, 1000, 1 << 20));
        assert_int_equal(FETCHED(a)->error_code, 0);
        assert_int_equal(FETCHED(a)->high_watermark, i + 1);
        assert_int_equal(FETCHED(a)->last_stable_offset, i + 1);
        assert_int_equal(FETCHED(a)->aborted_transactions.count, -1);
        assert_true(FETCHED(a)->records.n > 61);
        assert_int_equal(be64(FETCHED(a)->records.p), i);
        assert_memory_equal(FETCHED(a)->records.p + FETCHED(a)->records.n - n - 1, value, n);
    }
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 1, 0, 0, 1 << 20));
    assert_int_equal(be64(FETCHED(a)->records.p), 0); /* all of them, in one answer */
    assert_true(FETCHED(a)->records.n > 6 * 61);
    a = ask(&r, r.fd, MSG_KEY_fetch, 12,
            make_fetch(&r, "t", 1, 2, 0, 1)); /* one batch at least, but not two */
    assert_int_equal(be64(FETCHED(a)->records.p), 2);
    assert_int_equal(be32(FETCHED(a)->records.p + 8) + 12, FETCHED(a)->records.n);
    rig_stop(&r);
}

static void produce_error(struct rig *r, int16_t version, const char *topic, int32_t partition,
                          struct msg_bytes batch, int16_t code)
{
    void *a = ask(r, r->fd, MSG_KEY_produce, version, make_produce(r, topic, partition, -1, batch));
    assert_int_equal(PRODUCED(a)->error_code, code);
    assert_int_equal(PRODUCED(a)->base_offset, -1);
}

static struct msg_bytes with_byte(struct rig *r, struct msg_bytes batch, size_t at, uint8_t value, bool crc)
{
    uint8_t *copy = arena_dup(&r->arena, batch.p, (size_t)batch.n);
    assert_non_null(copy);
    copy[at] = value;
    if (crc)
        put_be32(copy + 17, crc32c(0, copy + 21, (size_t)batch.n - 21));
    return (struct msg_bytes){copy, batch.n};
}

static void test_what_may_not_be_produced(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    struct err e = {0};
    struct group_offset offset = {.topic = "t", .leader_epoch = -1};
    assert_ok(broker_commit_offsets(r.broker, "g", &offset, 1, &e), &e); /* makes the internal topic */
    struct msg_bytes good = make_batch(&r, "value", 5), none = {(const uint8_t *)"", 0}, null = {NULL, -1};
    produce_error(&r, 9, "t", 7, good, 3);
    produce_error(&r, 9, "nowhere", 0, good, 3);
    produce_error(&r, 13, "nowhere", 0, good, 100);
    produce_error(&r, 9, "__consumer_offsets", 0, good, 17);
    produce_error(&r, 9, "t", 0, none, 87);
    produce_error(&r, 9, "t", 0, null, 87);
    produce_error(&r, 9, "t", 0, (struct msg_bytes){good.p, good.n - 1}, 87);
    produce_error(&r, 9, "t", 0, with_byte(&r, good, 16, 1, false), 87); /* magic */
    produce_error(&r, 9, "t", 0, with_byte(&r, good, 16, 3, false), 2);
    produce_error(&r, 9, "t", 0, with_byte(&r, good, 7, 1, false), 87);         /* base offset */
    produce_error(&r, 9, "t", 0, with_byte(&r, good, good.n - 1, 1, false), 2); /* CRC */
    produce_error(&r, 9, "t", 0, with_byte(&r, good, 22, 0x20, true), 87);      /* control */
    produce_error(&r, 9, "t", 0, with_byte(&r, good, 22, 0x10, true), 53); /* transactional, without an id */
    produce_error(&r, 3, "t", 0, with_byte(&r, good, 22, CODEC_ZSTD, true), 76);
    struct msg_produce_request *acks = make_produce(&r, "t", 0, 2, good);
    assert_int_equal(PRODUCED(ask(&r, r.fd, MSG_KEY_produce, 9, acks))->error_code, 21);
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, 0, 1 << 20));
    assert_int_equal(FETCHED(a)->high_watermark, 0); /* nothing of it was taken */
    rig_stop(&r);
}

static void test_no_answer_is_wanted(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    put_request(&r, MSG_KEY_produce, 9, make_produce(&r, "t", 0, 0, make_batch(&r, "value", 5)));
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, LIMIT_MS, 1 << 20));
    send_requests(&r, r.fd);
    void *a = get_answer(&r, r.fd, MSG_KEY_fetch, 12, 2); /* the first that comes */
    assert_int_equal(FETCHED(a)->high_watermark, 1);
    put_request(&r, MSG_KEY_produce, 9, make_produce(&r, "t", 1, 0, make_batch(&r, "value", 5)));
    send_requests(&r, r.fd);
    assert_closed(r.fd); /* how an error is told then */
    r.fd = -1;
    rig_stop(&r);
}

static void fetch_error(struct rig *r, struct msg_fetch_request *q, int16_t version, int16_t code)
{
    void *a = ask(r, r->fd, MSG_KEY_fetch, version, q);
    assert_int_equal(FETCHED(a)->error_code, code);
    assert_int_equal(FETCHED(a)->high_watermark, -1);
    assert_int_equal(FETCHED(a)->records.n, 0);
}

static void test_what_cannot_be_fetched(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    fetch_error(&r, make_fetch(&r, "nowhere", 0, 0, LIMIT_MS, 100), 12, 3);
    fetch_error(&r, make_fetch(&r, "nowhere", 0, 0, LIMIT_MS, 100), 13, 100);
    fetch_error(&r, make_fetch(&r, "t", 1, 0, LIMIT_MS, 100), 12, 3);
    fetch_error(&r, make_fetch(&r, "t", 0, 1, LIMIT_MS, 100), 12, 1);
    struct msg_fetch_request *q = make_fetch(&r, "t", 0, 0, LIMIT_MS, 100);
    q->topics.items[0].partitions.items[0].current_leader_epoch = 1;
    fetch_error(&r, q, 12, 75);
    q->session_id = 7;
    q->session_epoch = 3;
    struct msg_fetch_response *a = ask(&r, r.fd, MSG_KEY_fetch, 12, q);
    assert_int_equal(a->error_code, 70);
    assert_int_equal(a->responses.count, 0);
    rig_stop(&r);
}

static void test_a_fetch_waits_for_records(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.network_threads = 2});
    int reader = rig_connect(&r);
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    void *a = ask(&r, reader, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, 20, 1 << 20));
    assert_int_equal(FETCHED(a)->records.n, 0); /* nothing came in 20 ms */
    for (int i = 0; i < 100; i++) {
        put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, i, LIMIT_MS, 1 << 20));
        int32_t correlation = r.correlation;
        send_requests(&r, reader);
        ask(&r, r.fd, MSG_KEY_produce, 9, make_produce(&r, "t", 0, 1, make_batch(&r, "value", 5)));
        a = get_answer(&r, reader, MSG_KEY_fetch, 12, correlation);
        assert_int_equal(FETCHED(a)->high_watermark, i + 1);
        assert_true(FETCHED(a)->records.n > 61);
    }
    /* two hundred bytes are wanted: the second batch makes them whole */
    struct msg_fetch_request *q = make_fetch(&r, "t", 0, 100, LIMIT_MS, 1 << 20);
    q->min_bytes = 2 * make_batch(&r, "value", 5).n;
    put_request(&r, MSG_KEY_fetch, 12, q);
    int32_t correlation = r.correlation;
    send_requests(&r, reader);
    for (int i = 0; i < 2; i++)
        ask(&r, r.fd, MSG_KEY_produce, 9, make_produce(&r, "t", 0, 1, make_batch(&r, "value", 5)));
    a = get_answer(&r, reader, MSG_KEY_fetch, 12, correlation);
    assert_int_equal(FETCHED(a)->records.n, q->min_bytes);
    /* the topic goes while somebody waits for it */
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 102, LIMIT_MS, 1 << 20));
    correlation = r.correlation;
    send_requests(&r, reader);
    struct err e = {0};
    assert_ok(broker_delete_topic(r.broker, "t", &e), &e);
    a = get_answer(&r, reader, MSG_KEY_fetch, 12, correlation);
    assert_int_equal(FETCHED(a)->error_code, 3);
    close(reader);
    rig_stop(&r);
}

/* Of connections that wait one is closed by its client, and the other is answered as the server stops. */
static void test_waiting_ends_with_the_connection_and_the_server(void **state)
{
    (void)state;
    struct rig r;
    struct server_stats s = {.connections = 2};
    rig_start(&r, (struct server_options){0});
    int gone = rig_connect(&r);
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, LIMIT_MS, 1 << 20));
    send_requests(&r, gone);
    while (s.requests < 1)
        server_stats(r.server, &s);
    close(gone);
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, LIMIT_MS, 1 << 20));
    int32_t correlation = r.correlation;
    send_requests(&r, r.fd);
    while (s.requests < 2 || s.connections > 1)
        server_stats(r.server, &s);
    server_stop(r.server, LIMIT_MS);
    void *a = get_answer(&r, r.fd, MSG_KEY_fetch, 12, correlation);
    assert_int_equal(FETCHED(a)->records.n, 0);
    assert_closed(r.fd);
    r.fd = -1;
    r.server = NULL;
    rig_stop(&r);
}

/* Megabytes to a client that reads little by little: the server sends what the socket takes, and others are served meanwhile. */
static void test_a_slow_reader(void **state)
{
    (void)state;
    enum { BATCHES = 24, BYTES = 1000000 };
    struct rig r;
    rig_start(&r, (struct server_options){.network_threads = 1});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    char *value = malloc(BYTES);
    assert_non_null(value);
    memset(value, 'v', BYTES);
    for (int i = 0; i < BATCHES; i++) {
        assert_int_equal(PRODUCED(ask(&r, r.fd, MSG_KEY_produce, 9,
                                      make_produce(&r, "t", 0, -1, make_batch(&r, value, BYTES))))
                             ->error_code,
                         0);
        arena_reset(&r.arena);
    }
    int slow = rig_connect(&r);
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, 0, INT32_MAX));
    int32_t correlation = r.correlation;
    send_requests(&r, slow);
    for (int i = 0; i < 50; i++)
        ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, BATCHES, 0, 1));
    struct err e = {0};
    struct buf all;
    uint8_t length[4];
    buf_init(&all, 64 << 20);
    assert_true(receive_all(slow, length, 4));
    size_t n = be32(length);
    assert_true(n > (size_t)BATCHES * BYTES);
    assert_ok(buf_reserve(&all, n, &e), &e);
    for (size_t at = 0; at < n; at += 50000)
        assert_true(receive_all(slow, all.data + at, n - at < 50000 ? n - at : 50000));
    struct slice in = slice_of(all.data, n);
    int32_t got;
    struct msg_fetch_response a;
    const struct msg_api *api = msg_api_find(MSG_KEY_fetch);
    assert_ok(msg_response_header_decode(api, 12, &in, &got, &e), &e);
    assert_int_equal(got, correlation);
    assert_ok(msg_decode(api->response, 12, &in, &r.arena, &a, &e), &e);
    assert_int_equal(slice_left(&in), 0);
    size_t at = 0;
    for (int i = 0; i < BATCHES; i++) {
        struct batch_header h;
        assert_ok(batch_check(FETCHED(&a)->records.p + at, (size_t)FETCHED(&a)->records.n - at, &h, &e), &e);
        assert_int_equal(h.base_offset, i);
        at += batch_size(&h);
    }
    assert_int_equal(at, FETCHED(&a)->records.n);
    close(slow);
    buf_free(&all);
    free(value);
    rig_stop(&r);
}

/* What of the directory is in the page cache goes; it was synced by the clean stop. */
static void make_cold(const struct rig *r, const char *topic)
{
    char path[600];
    snprintf(path, sizeof path, "%s/logs/%s", r->dir, topic);
    DIR *d = opendir(path);
    assert_non_null(d);
    for (struct dirent *en; (en = readdir(d)) != NULL;) {
        int fd = openat(dirfd(d), en->d_name, O_RDONLY);
        if (fd >= 0) {
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
            close(fd);
        }
    }
    closedir(d);
}

/* Logs that are not open and not in memory: read by the pool, while the loop serves others. */
static void test_a_cold_disk(void **state)
{
    (void)state;
    enum { BATCHES = 60, BYTES = 50000 };
    struct err e = {0};
    struct rig r;
    rig_start(&r, (struct server_options){.network_threads = 1, .fetch_sessions = 4});
    make_topic(&r, "t", 1);
    make_topic(&r, "u", 1);
    struct topic_config_entry small = {"segment.bytes", "1048576"};
    assert_ok(broker_alter_topic(r.broker, "t", &small, 1, &e), &e);
    r.fd = rig_connect(&r);
    uint8_t *value = malloc(BYTES);
    assert_non_null(value);
    memset(value, 'v', BYTES);
    for (int i = 0; i < BATCHES; i++, arena_reset(&r.arena))
        ask(&r, r.fd, MSG_KEY_produce, 9, make_produce(&r, "t", 0, -1, make_batch(&r, value, BYTES)));
    rig_close(&r);
    make_cold(&r, "t-0");
    rig_open(&r, (struct server_options){.network_threads = 1, .fetch_sessions = 4});
    r.fd = rig_connect(&r);
    int other = rig_connect(&r);
    for (int64_t at = 0; at < BATCHES; arena_reset(&r.arena)) {
        put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, at, LIMIT_MS, 200000));
        int32_t correlation = r.correlation;
        send_requests(&r, r.fd);
        ask(&r, other, MSG_KEY_fetch, 12, make_fetch(&r, "u", 0, 0, 0, 1));
        void *a = get_answer(&r, r.fd, MSG_KEY_fetch, 12, correlation);
        assert_int_equal(FETCHED(a)->error_code, 0);
        assert_true(FETCHED(a)->records.n > BYTES);
        for (size_t n = 0; n < (size_t)FETCHED(a)->records.n; at++) {
            struct batch_header h;
            assert_ok(batch_check(FETCHED(a)->records.p + n, (size_t)FETCHED(a)->records.n - n, &h, &e), &e);
            assert_int_equal(h.base_offset, at);
            n += batch_size(&h);
        }
        make_cold(&r, "t-0");
    }
    /* and one that finds nothing waits, and goes while it is looked for, or after */
    put_request(&r, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, BATCHES, LIMIT_MS, 200000));
    send_requests(&r, other);
    close(other);
    free(value);
    rig_stop(&r);
}

/* ---- a Fetch that the pool looks after, whose only thread is busy until delays are lifted ---- */

struct waiting {
    struct rig r; /* its connection is for whoever asks beside */
    int reader, busy;
    int32_t fetch, produce; /* correlations of what they wait for */
};

static const struct server_options one_thread = {.network_threads = 1, .io_threads = 1};

/* What was told the one loop before, it has seen after. */
static void let_the_loop_go_round(struct rig *r)
{
    struct msg_api_versions_request q;
    msg_init(&msg_schema_api_versions_request, &q);
    for (int i = 0; i < 2; i++)
        ask(r, r->fd, MSG_KEY_api_versions, 0, &q);
}

static void append(struct rig *r, const char *topic, size_t n)
{
    struct err e = {0};
    uint8_t *value = calloc(1, n);
    assert_non_null(value);
    struct msg_bytes b = make_batch(r, value, n);
    struct produce_request p = {
        .topic = topic, .partition = 0, .data = (uint8_t *)(uintptr_t)b.p, .bytes = (size_t)b.n};
    assert_ok(broker_produce(r->broker, &p, 1, true, &e), &e);
    free(value);
}

/* Of "c", which has a record, and "t", which has none yet: more is wanted than there is. */
static void begin_waiting(struct waiting *w)
{
    struct rig *r = &w->r;
    struct err e = {0};
    struct server_stats s;
    rig_start(r, one_thread);
    make_topic(r, "c", 1);
    make_topic(r, "t", 1);
    make_topic(r, "slow", 1);
    struct topic_config_entry rate = {"quota.produce.bytes.per.second", "65536"};
    assert_ok(broker_alter_topic(r->broker, "slow", &rate, 1, &e), &e);
    append(r, "c", 5);
    rig_close(r); /* what is in the files is synced, and can leave the page cache */
    rig_open(r, one_thread);
    r->fd = rig_connect(r);
    w->reader = rig_connect(r);
    struct msg_fetch_request *q = make_fetch(r, "c", 0, 0, INT32_MAX, 1 << 20);
    struct msg_fetch_request_topic both[] = {q->topics.items[0],
                                             make_fetch(r, "t", 0, 0, INT32_MAX, 1 << 20)->topics.items[0]};
    q->topics.items = both;
    q->topics.count = 2;
    q->min_bytes = 100000;
    put_request(r, MSG_KEY_fetch, 12, q);
    w->fetch = r->correlation;
    send_requests(r, w->reader);
    do /* who waits gives its request's memory back */
        server_stats(r->server, &s);
    while (s.requests < 1 || s.queued_bytes > 0);
}

/* By a Produce that has to wait, as one before it took all that may come at once. */
static void keep_the_pool_busy(struct waiting *w)
{
    enum { BYTES = 900 << 10 };
    struct rig *r = &w->r;
    struct server_stats s;
    uint8_t *value = calloc(1, BYTES);
    assert_non_null(value);
    struct msg_produce_request *q = make_produce(r, "slow", 0, -1, make_batch(r, value, BYTES));
    free(value);
    ask(r, r->fd, MSG_KEY_produce, 9, q);
    server_stats(r->server, &s);
    uint64_t before = s.requests;
    w->busy = rig_connect(r);
    put_request(r, MSG_KEY_produce, 9, q);
    w->produce = r->correlation;
    send_requests(r, w->busy);
    do
        server_stats(r->server, &s);
    while (s.requests == before);
}

/* The loop finds "c" cold when the bell of "t" rings, and the pool is to look, when it gets to it. */
static void hand_over_to_the_pool(struct waiting *w)
{
    make_cold(&w->r, "c-0");
    append(&w->r, "t", 5);
    let_the_loop_go_round(&w->r);
}

static void let_the_pool_go_on(struct waiting *w)
{
    struct msg_metadata_request q;
    broker_lift_delays(w->r.broker);
    get_answer(&w->r, w->busy, MSG_KEY_produce, 9, w->produce);
    close(w->busy);
    msg_init(&msg_schema_metadata_request, &q);
    ask(&w->r, w->r.fd, MSG_KEY_metadata, 9, &q); /* its turn in the pool comes behind the Fetch */
}

static void test_a_bell_that_rings_while_the_pool_looks(void **state)
{
    (void)state;
    struct waiting w;
    begin_waiting(&w);
    keep_the_pool_busy(&w);
    hand_over_to_the_pool(&w);
    append(&w.r, "t", 5); /* nobody hears it; it is to ring once more nevertheless */
    let_the_loop_go_round(&w.r);
    let_the_pool_go_on(&w);
    append(&w.r, "t", 100000);
    struct msg_fetch_response *a = get_answer(&w.r, w.reader, MSG_KEY_fetch, 12, w.fetch);
    assert_int_equal(a->responses.count, 2);
    assert_true(a->responses.items[1].partitions.items[0].records.n > 100000);
    close(w.reader);
    rig_stop(&w.r);
}

/* Who sends no more is answered at once, also if it is seen while the pool looks. */
static void test_half_closed_while_the_pool_looks(void **state)
{
    (void)state;
    struct waiting w;
    begin_waiting(&w);
    keep_the_pool_busy(&w);
    hand_over_to_the_pool(&w);
    assert_int_equal(shutdown(w.reader, SHUT_WR), 0);
    let_the_loop_go_round(&w.r);
    let_the_pool_go_on(&w);
    struct msg_fetch_response *a = get_answer(&w.r, w.reader, MSG_KEY_fetch, 12, w.fetch);
    assert_int_equal(a->responses.count, 2);
    assert_closed(w.reader);
    rig_stop(&w.r);
}

/* ---- aborted transactions ---- */

#define ABORTED 3

/* As old as its marker, which would begin another segment else. */
static void append_aborted(struct rig *r, int64_t *producer)
{
    struct err e = {0};
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT};
    struct txn_partition c = {"c", 0};
    struct batch_producer by = {.base_sequence = 0, .transactional = true};
    uint8_t *data;
    size_t size;
    assert_ok(broker_init_producer(r->broker, "x", 60000, producer, &by.epoch, &e), &e);
    by.id = *producer;
    struct batch_builder *b = batch_builder_new(&o, &e);
    assert_ok(batch_builder_add(b, clock_wall_ms(), NULL, 0, "v", 1, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(b, &by, &data, &size, &e), &e);
    struct produce_request p = {.topic = "c", .data = data, .bytes = size};
    assert_ok(broker_txn_add_partitions(r->broker, "x", by.id, by.epoch, &c, 1, &e), &e);
    assert_ok(broker_produce(r->broker, &p, 1, true, &e), &e);
    assert_ok(broker_txn_end(r->broker, "x", by.id, by.epoch, false, &e), &e);
    batch_builder_free(b);
}

/* Of "c", whose log is open then, and which has nothing but aborted transactions. Their producer. */
static int64_t begin_aborted(struct waiting *w)
{
    struct rig *r = &w->r;
    struct err e = {0};
    int64_t producer = -1;
    rig_start(r, one_thread);
    make_topic(r, "c", 1);
    make_topic(r, "slow", 1);
    struct topic_config_entry rate = {"quota.produce.bytes.per.second", "65536"};
    assert_ok(broker_alter_topic(r->broker, "slow", &rate, 1, &e), &e);
    for (int i = 0; i < ABORTED; i++)
        append_aborted(r, &producer);
    rig_close(r);
    rig_open(r, one_thread);
    r->fd = rig_connect(r);
    w->reader = rig_connect(r);
    return producer;
}

static struct msg_fetch_request *fetch_committed(struct rig *r)
{
    struct msg_fetch_request *q = make_fetch(r, "c", 0, 0, 0, 1 << 20);
    q->isolation_level = 1;
    return q;
}

static void assert_aborted(void *answer, int64_t producer)
{
    assert_int_equal(FETCHED(answer)->error_code, 0);
    assert_true(FETCHED(answer)->records.n > 0);
    assert_int_equal(FETCHED(answer)->aborted_transactions.count, ABORTED);
    for (int i = 0; i < ABORTED; i++) { /* each has a record and a marker */
        assert_int_equal(FETCHED(answer)->aborted_transactions.items[i].producer_id, producer);
        assert_int_equal(FETCHED(answer)->aborted_transactions.items[i].first_offset, 2 * i);
    }
}

/* Of what is asked for all is in memory but the index of aborted transactions: the pool is to read it, and the loop goes on. */
static int64_t ask_with_a_cold_index(struct waiting *w)
{
    struct rig *r = &w->r;
    struct server_stats before, s;
    int64_t producer = begin_aborted(w);
    assert_aborted(ask(r, r->fd, MSG_KEY_fetch, 12, fetch_committed(r)), producer); /* opens the log */
    assert_aborted(ask(r, r->fd, MSG_KEY_fetch, 12, fetch_committed(r)), producer);
    keep_the_pool_busy(w);
    fault_arm_at(FAULT_READ, ".txnindex", 1, EAGAIN, false);
    server_stats(r->server, &before);
    put_request(r, MSG_KEY_fetch, 12, fetch_committed(r));
    w->fetch = r->correlation;
    send_requests(r, w->reader);
    do
        server_stats(r->server, &s);
    while (s.requests == before.requests);
    let_the_loop_go_round(r);
    struct pollfd f = {.fd = w->reader, .events = POLLIN};
    assert_int_equal(poll(&f, 1, 0), 0);
    return producer;
}

static void test_a_cold_index_of_aborted_transactions(void **state)
{
    (void)state;
    struct waiting w;
    int64_t producer = ask_with_a_cold_index(&w);
    let_the_pool_go_on(&w);
    assert_aborted(get_answer(&w.r, w.reader, MSG_KEY_fetch, 12, w.fetch), producer);
    fault_disarm();
    close(w.reader);
    rig_stop(&w.r);
}

/* Nor can the pool read it: the connection ends, and another one is served. */
static void test_an_index_that_cannot_be_read(void **state)
{
    (void)state;
    struct waiting w;
    struct rig *r = &w.r;
    int64_t producer = ask_with_a_cold_index(&w);
    fault_arm_at(FAULT_READ, ".txnindex", 1, EMFILE, false);
    let_the_pool_go_on(&w);
    assert_closed(w.reader);
    assert_true(fault_passes(FAULT_READ) > 0);
    fault_disarm();
    assert_aborted(ask(r, r->fd, MSG_KEY_fetch, 12, fetch_committed(r)), producer);
    rig_stop(r);
}

/* More is wanted than batches that fit make up: what there is is sent at once, as there is more behind it. */
static void test_more_is_there_than_fits(void **state)
{
    (void)state;
    enum { BYTES = 600 << 10, WANTED = 1 << 20 };
    struct rig r;
    struct err e = {0};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    make_topic(&r, "u", 1);
    make_topic(&r, "v", 1);
    append(&r, "t", BYTES);
    append(&r, "t", BYTES);
    append(&r, "u", BYTES);
    struct msg_fetch_request *q = make_fetch(&r, "t", 0, 0, INT32_MAX, WANTED);
    q->min_bytes = WANTED;
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, q); /* of one partition */
    assert_true(FETCHED(a)->records.n > BYTES);
    assert_true(FETCHED(a)->records.n < WANTED);
    struct msg_fetch_request_topic both[] = {make_fetch(&r, "u", 0, 0, 0, WANTED)->topics.items[0],
                                             make_fetch(&r, "t", 0, 1, 0, WANTED)->topics.items[0]};
    q->topics.items = both;
    q->topics.count = 2;
    a = ask(&r, r.fd, MSG_KEY_fetch, 12, q); /* of another one */
    assert_true(FETCHED(a)->records.n > BYTES);
    q->topics.count = 1;
    q->max_bytes = BYTES;
    a = ask(&r, r.fd, MSG_KEY_fetch, 12, q); /* of nothing, but no more would be sent */
    assert_true(FETCHED(a)->records.n > BYTES);
    struct topic_config_entry small = {"segment.bytes", "1048576"};
    assert_ok(broker_alter_topic(r.broker, "v", &small, 1, &e), &e);
    append(&r, "v", BYTES);
    append(&r, "v", BYTES);
    q = make_fetch(&r, "v", 0, 0, INT32_MAX, 4 * WANTED);
    q->min_bytes = WANTED;
    a = ask(&r, r.fd, MSG_KEY_fetch, 12, q); /* of the next segment */
    assert_true(FETCHED(a)->records.n > BYTES);
    rig_stop(&r);
}

/* However much a client asks for: lengths of answers have 31 bits, and others are to have their turn. */
static void test_an_answer_has_a_limit(void **state)
{
    (void)state;
    enum { BYTES = 20 << 20 };
    struct rig r;
    struct err e = {0};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    struct topic_config_entry large = {"max.message.bytes", "33554432"};
    assert_ok(broker_alter_topic(r.broker, "t", &large, 1, &e), &e);
    for (int i = 0; i < 3; i++, arena_reset(&r.arena))
        append(&r, "t", BYTES);
    void *a = ask(&r, r.fd, MSG_KEY_fetch, 12, make_fetch(&r, "t", 0, 0, 0, INT32_MAX));
    assert_int_equal(FETCHED(a)->high_watermark, 3);
    assert_true(FETCHED(a)->records.n > 2 * BYTES);
    assert_true(FETCHED(a)->records.n < 3 * BYTES);
    rig_stop(&r);
}

static void list_of(struct rig *r, int32_t partition, int16_t version, int64_t timestamp, int16_t code,
                    int64_t offset, int64_t found)
{
    struct msg_list_offsets_request q;
    struct msg_list_offsets_request_partition p;
    msg_init(&msg_schema_list_offsets_request, &q);
    msg_init(&msg_schema_list_offsets_request_partition, &p);
    struct msg_list_offsets_request_topic t = {.name = msg_text("t", 1),
                                               .partitions = {.items = &p, .count = 1}};
    p.partition_index = partition;
    p.timestamp = timestamp;
    q.topics.items = &t;
    q.topics.count = 1;
    struct msg_list_offsets_response *a = ask(r, r->fd, MSG_KEY_list_offsets, version, &q);
    struct msg_list_offsets_response_partition_response *out = &a->topics.items[0].partitions.items[0];
    assert_int_equal(out->error_code, code);
    assert_int_equal(out->offset, offset);
    assert_int_equal(out->timestamp, found);
}

static void list(struct rig *r, int16_t version, int64_t timestamp, int16_t code, int64_t offset,
                 int64_t found)
{
    list_of(r, 0, version, timestamp, code, offset, found);
}

/* What is named twice is refused, also where its topic is. */
static void test_offsets_of_what_is_named_twice(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 3);
    struct msg_list_offsets_request q;
    struct msg_list_offsets_request_partition p[3];
    msg_init(&msg_schema_list_offsets_request, &q);
    for (int i = 0; i < 3; i++) {
        msg_init(&msg_schema_list_offsets_request_partition, &p[i]);
        p[i].partition_index = i % 2;
        p[i].timestamp = -1;
    }
    struct msg_list_offsets_request_topic t[2] = {
        {.name = msg_text("t", 1), .partitions = {.items = p, .count = 2}},
        {.name = msg_text("t", 1), .partitions = {.items = p + 2, .count = 1}}};
    q.topics.items = t;
    q.topics.count = 2;
    struct msg_list_offsets_response *a = ask(&r, r.fd, MSG_KEY_list_offsets, 11, &q);
    assert_int_equal(a->topics.count, 1);
    assert_int_equal(a->topics.items[0].partitions.count, 2);
    assert_int_equal(a->topics.items[0].partitions.items[0].partition_index, 0);
    assert_int_equal(a->topics.items[0].partitions.items[0].error_code, 42);
    assert_int_equal(a->topics.items[0].partitions.items[1].error_code, 0);
    assert_int_equal(a->topics.items[0].partitions.items[1].offset, 0);
    t[0].partitions.count = 0;
    t[1].partitions.count = 0;
    a = ask(&r, r.fd, MSG_KEY_list_offsets, 11, &q);
    assert_int_equal(a->topics.count, 0);
    rig_stop(&r);
}

static void test_offsets(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    list(&r, 1, -1, 0, 0, -1);
    list(&r, 7, -3, 0, -1, -1);
    for (int i = 0; i < 3; i++)
        ask(&r, r.fd, MSG_KEY_produce, 9, make_produce(&r, "t", 0, -1, make_batch(&r, "value", 5)));
    list(&r, 1, -1, 0, 3, -1);
    list(&r, 11, -1, 0, 3, -1);
    list(&r, 1, -2, 0, 0, -1);
    list(&r, 1, 1700000000000, 0, 0, 1700000000000);
    list(&r, 1, 1700000000001, 0, -1, -1);
    list(&r, 7, -3, 0, 0, 1700000000000);
    list(&r, 6, -3, 35, -1, -1); /* not yet */
    list(&r, 8, -4, 0, 0, -1);
    list(&r, 9, -5, 0, -1, -1);
    list(&r, 11, -6, 0, -1, -1);
    list(&r, 11, -7, 35, -1, -1);
    for (int64_t special = -6; special < 0; special++) /* of a partition that is not there */
        list_of(&r, 1, 11, special, 3, -1, -1);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_produced_is_fetched),
        cmocka_unit_test(test_what_may_not_be_produced),
        cmocka_unit_test(test_no_answer_is_wanted),
        cmocka_unit_test(test_what_cannot_be_fetched),
        cmocka_unit_test(test_a_fetch_waits_for_records),
        cmocka_unit_test(test_waiting_ends_with_the_connection_and_the_server),
        cmocka_unit_test(test_a_slow_reader),
        cmocka_unit_test(test_a_cold_disk),
        cmocka_unit_test(test_a_bell_that_rings_while_the_pool_looks),
        cmocka_unit_test(test_half_closed_while_the_pool_looks),
        cmocka_unit_test(test_a_cold_index_of_aborted_transactions),
        cmocka_unit_test(test_an_index_that_cannot_be_read),
        cmocka_unit_test(test_more_is_there_than_fits),
        cmocka_unit_test(test_an_answer_has_a_limit),
        cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_offsets_of_what_is_named_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
