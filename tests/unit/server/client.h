/*
 * A broker in a private directory, a server before it, and a raw client: frames out, frames in.
 */
#ifndef LEAT_TESTS_UNIT_SERVER_CLIENT_H
#define LEAT_TESTS_UNIT_SERVER_CLIENT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/hash.h"
#include "broker/broker.h"
#include "protocol/api.h"
#include "protocol/messages.h"
#include "record/record.h"
#include "server/server.h"
#include "tests/lib/testkit.h"

#define LIMIT_MS TESTKIT_LIMIT_MS

struct rig {
    char *dir;
    struct broker *broker;
    struct server *server;
    int fd;
    int32_t correlation;
    struct arena arena;
    struct buf out, in;
};

/* Broker and server of the directory; also once more after rig_close. */
static inline void rig_open(struct rig *r, struct server_options o)
{
    struct err e = {0};
    static const char *const listeners[] = {"PLAINTEXT://127.0.0.1:0"};
    struct broker_options bo = {
        .data_dir = r->dir, .offsets_partitions = 1, .txn_partitions = 1, .journal_file_bytes = 4 << 20};
    assert_ok(broker_open(&r->broker, &bo, &e), &e);
    o.broker = r->broker;
    o.node_id = 1;
    if (o.listener_count == 0) {
        o.listeners = listeners;
        o.listener_count = 1;
    }
    assert_ok(server_start(&r->server, &o, &e), &e);
}

static inline void rig_start(struct rig *r, struct server_options o)
{
    *r = (struct rig){.dir = testkit_dir(), .fd = -1};
    rig_open(r, o);
    arena_init(&r->arena, 64 << 20, NULL);
    buf_init(&r->out, 256 << 20);
    buf_init(&r->in, 256 << 20);
}

static inline int rig_connect(struct rig *r)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)server_port(r->server, 0)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

static inline void rig_close(struct rig *r)
{
    struct err e = {0};
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    server_stop(r->server, LIMIT_MS);
    assert_ok(broker_close(r->broker, &e), &e);
}

static inline void rig_stop(struct rig *r)
{
    rig_close(r);
    arena_free(&r->arena);
    buf_free(&r->out);
    buf_free(&r->in);
    testkit_remove_dir(r->dir);
}

static inline void send_all(int fd, const void *data, size_t n)
{
    for (const uint8_t *p = data; n > 0;) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        assert_true(sent > 0);
        p += sent;
        n -= (size_t)sent;
    }
}

/* False: the connection was closed before so much came. */
static inline bool receive_all(int fd, void *data, size_t n)
{
    for (uint8_t *p = data; n > 0;) {
        struct pollfd f = {.fd = fd, .events = POLLIN};
        if (poll(&f, 1, LIMIT_MS) != 1)
            fail_msg("nothing came");
        ssize_t got = recv(fd, p, n, 0);
        if (got <= 0)
            return false;
        p += got;
        n -= (size_t)got;
    }
    return true;
}

static inline void assert_closed(int fd)
{
    uint8_t byte;
    assert_false(receive_all(fd, &byte, 1));
    close(fd);
}

/* A whole request, its length first, into r->out behind what is there. */
static inline void put_request(struct rig *r, int16_t key, int16_t version, const void *body)
{
    struct err e = {0};
    struct msg_request_header h = {
        .key = key, .version = version, .correlation = ++r->correlation, .client_id = msg_text("test", 4)};
    size_t at = r->out.len;
    assert_ok(buf_i32(&r->out, 0, &e), &e);
    assert_ok(msg_request_header_encode(&h, &r->out, &e), &e);
    assert_ok(msg_encode(msg_api_find(key)->request, version, body, &r->out, &e), &e);
    put_be32(r->out.data + at, (uint32_t)(r->out.len - at - 4));
}

static inline void send_requests(struct rig *r, int fd)
{
    send_all(fd, r->out.data, r->out.len);
    buf_reset(&r->out);
}

/* The next answer, which must be the one with the correlation. Points into r->in. */
static inline void *get_answer(struct rig *r, int fd, int16_t key, int16_t version, int32_t correlation)
{
    struct err e = {0};
    const struct msg_api *api = msg_api_find(key);
    uint8_t length[4];
    int32_t got;
    assert_true(receive_all(fd, length, 4));
    size_t n = be32(length);
    buf_reset(&r->in);
    assert_ok(buf_reserve(&r->in, n, &e), &e);
    assert_true(receive_all(fd, r->in.data, n));
    struct slice in = slice_of(r->in.data, n);
    assert_ok(msg_response_header_decode(api, version, &in, &got, &e), &e);
    assert_int_equal(got, correlation);
    void *m = arena_alloc(&r->arena, api->response->size);
    assert_non_null(m);
    assert_ok(msg_decode(api->response, version, &in, &r->arena, m, &e), &e);
    assert_int_equal(slice_left(&in), 0);
    return m;
}

static inline void *ask(struct rig *r, int fd, int16_t key, int16_t version, const void *body)
{
    put_request(r, key, version, body);
    send_requests(r, fd);
    return get_answer(r, fd, key, version, r->correlation);
}

static inline void make_topic(struct rig *r, const char *name, int32_t partitions)
{
    struct err e = {0};
    struct uuid id;
    assert_ok(broker_create_topic(r->broker, name, partitions, NULL, 0, &id, &e), &e);
}

/* A batch of one record. In the arena. */
static inline struct msg_bytes make_batch(struct rig *r, const void *value, size_t n)
{
    struct err e = {0};
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = n + 1000};
    struct batch_builder *b = batch_builder_new(&o, &e);
    uint8_t *data;
    size_t size;
    assert_non_null(b);
    assert_ok(batch_builder_add(b, 1700000000000, NULL, 0, value, n, NULL, 0, &e), &e);
    assert_ok(batch_builder_finish(b, &BATCH_NO_PRODUCER, &data, &size, &e), &e);
    uint8_t *copy = arena_dup(&r->arena, data, size);
    batch_builder_free(b);
    return (struct msg_bytes){copy, (int32_t)size};
}

/* A Produce of the one batch, by version with the topic's id or its name. */
static inline struct msg_produce_request *make_produce(struct rig *r, const char *topic, int32_t partition,
                                                       int16_t acks, struct msg_bytes batch)
{
    struct err e = {0};
    struct topic_brief t = {.partitions = 0};
    struct {
        struct msg_produce_request q;
        struct msg_produce_request_topic_produce_data topic;
        struct msg_produce_request_partition_produce_data partition;
    } *m = arena_alloc(&r->arena, sizeof *m);
    assert_non_null(m);
    msg_init(&msg_schema_produce_request, &m->q);
    m->q.acks = acks;
    m->q.timeout_ms = 1000;
    m->q.topic_data.items = &m->topic;
    m->q.topic_data.count = 1;
    broker_topic_brief(r->broker, topic, &t, &e); /* without one the id is zeros */
    m->topic = (struct msg_produce_request_topic_produce_data){.name = msg_text(topic, strlen(topic)),
                                                               .topic_id = t.id};
    m->topic.partition_data.items = &m->partition;
    m->topic.partition_data.count = 1;
    m->partition = (struct msg_produce_request_partition_produce_data){.index = partition, .records = batch};
    return &m->q;
}

/* A Fetch of one partition, likewise. */
static inline struct msg_fetch_request *make_fetch(struct rig *r, const char *topic, int32_t partition,
                                                   int64_t offset, int32_t max_wait_ms, int32_t max_bytes)
{
    struct err e = {0};
    struct topic_brief t = {.partitions = 0};
    struct {
        struct msg_fetch_request q;
        struct msg_fetch_request_topic topic;
        struct msg_fetch_request_partition partition;
    } *m = arena_alloc(&r->arena, sizeof *m);
    assert_non_null(m);
    msg_init(&msg_schema_fetch_request, &m->q);
    msg_init(&msg_schema_fetch_request_topic, &m->topic);
    msg_init(&msg_schema_fetch_request_partition, &m->partition);
    broker_topic_brief(r->broker, topic, &t, &e);
    m->q.max_wait_ms = max_wait_ms;
    m->q.min_bytes = 1;
    m->q.max_bytes = max_bytes;
    m->q.topics.items = &m->topic;
    m->q.topics.count = 1;
    m->topic.topic = msg_text(topic, strlen(topic));
    m->topic.topic_id = t.id;
    m->topic.partitions.items = &m->partition;
    m->topic.partitions.count = 1;
    m->partition.partition = partition;
    m->partition.fetch_offset = offset;
    m->partition.partition_max_bytes = max_bytes;
    return &m->q;
}

#define PRODUCED(response)                                                                                   \
    (&((struct msg_produce_response *)(response))->responses.items[0].partition_responses.items[0])
#define FETCHED(response) (&((struct msg_fetch_response *)(response))->responses.items[0].partitions.items[0])

/* A server with two threads for requests and a connection to it: for cmocka_unit_test_setup_teardown. */
static inline int rig_setup(void **state)
{
    struct rig *r = calloc(1, sizeof *r);
    rig_start(r, (struct server_options){.io_threads = 2});
    r->fd = rig_connect(r);
    *state = r;
    return 0;
}

static inline int rig_teardown(void **state)
{
    rig_stop(*state);
    free(*state);
    return 0;
}

#endif
