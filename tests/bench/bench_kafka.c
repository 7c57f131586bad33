/*
 * bench_kafka: load for whoever speaks Kafka's protocol, by requests that are made beforehand, so that it costs little itself: one thread,
 * epoll, any number of connections, each with so many requests in flight. The way of tests/bench/kafka_wire.py.
 *
 * Usage: bench_kafka PORT KIND [name=value...]
 *
 *   produce  Produce with acks=all, a batch each, partitions in turns
 *   floor    the same to bench_kafka_floor, whose answers say nothing
 *   fill     likewise, until the topic got so many mib; its figures are of all of it
 *   fetch    Fetch of at most `batch` bytes, from the start to the end and again
 *   commit   OffsetCommit, by each of the groups in turn
 *   hold     sends so many fetches on each connection and reads no answer; with in_flight=0 the connections are idle. Prints nothing
 *
 *   topic=t partitions=1 connections=1 in_flight=1 batch=16384 record=1024 codec=none groups=1000 seconds=4 mib=512
 *
 * Prints one JSON object: requests, bytes of records, the same from the start on, seconds, and percentiles of the time to the answer.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "tests/bench/lib/bench.h"
#include "tests/bench/lib/requests.h"

enum {
    FLIGHT_MAX = 256,
    PREFIX = 12, /* length, key, version, correlation */
    SLOWEST_US = 2000000,
    WARM_PART = 5, /* the first fifth of the time is not counted */
    CHECK_EVERY = 1024,
    FETCH_ROOM = 8 << 20,
    NS = 1000000000,
};

struct conn {
    int fd;
    uint32_t sent, answered;
    int64_t began[FLIGHT_MAX];
    uint8_t prefix[PREFIX];
    const struct made_request *now; /* being sent; NULL: none */
    size_t at;
    uint8_t *in;
    size_t have, room;
    int32_t next;   /* of load.requests */
    int64_t offset; /* fetch: where it goes on, and in which partition */
    int32_t partition;
    struct made_request own; /* fetch: its only request */
    bool asks;               /* it asks where the partition begins */
    bool writes;             /* epoll watches for room */
};

static struct {
    enum { LOAD_PRODUCE, LOAD_FLOOR, LOAD_FILL, LOAD_FETCH, LOAD_COMMIT, LOAD_HOLD } kind;
    /* the arguments: */
    const char *topic;
    enum codec codec;
    long partitions, connections, flight, batch_bytes, record_bytes, groups, seconds, mib;

    int32_t records;               /* of a batch */
    struct made_request *requests; /* taken in turns, each connection beginning at another one */
    int32_t request_count;
    struct conn *conns;
    int epoll;
    int64_t count_from, until;          /* clock_mono_ns */
    long left;                          /* fill: requests */
    uint64_t answers, bytes, all_bytes; /* the last one from the start on */
    uint32_t *slow;                     /* answers by microseconds */
    struct arena arena;
} load = {.topic = "t",
          .partitions = 1,
          .connections = 1,
          .flight = 1,
          .batch_bytes = 16 << 10,
          .record_bytes = 1024,
          .groups = 1000,
          .seconds = 4,
          .mib = 512};

static void must(bool well, const char *what)
{
    if (well)
        return;
    fprintf(stderr, "bench_kafka: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- answers --------------------------------------------------------------------------------------------------------- */

/* Goes on behind what came, or at the start again, which retention may have moved. Returns the records' bytes. */
static size_t take_fetched(struct conn *c, const uint8_t *frame, size_t n)
{
    size_t bytes = 0;
    if (c->asks)
        c->offset = answer_earliest(&load.arena, frame, n);
    else
        bytes = answer_fetched(&load.arena, frame, n, &c->offset);
    c->asks = !c->asks && bytes == 0;
    mem_free(c->own.bytes);
    c->own = c->asks ? request_earliest(load.topic, c->partition)
                     : request_fetch(load.topic, c->partition, c->offset, (size_t)load.batch_bytes);
    return bytes;
}

static void answered(struct conn *c, const uint8_t *frame, size_t n)
{
    int64_t now = clock_mono_ns(), us = (now - c->began[c->answered % FLIGHT_MAX]) / 1000;
    bool counts = now >= load.count_from;
    size_t bytes = (size_t)load.records * (size_t)load.record_bytes;
    must(be32(frame) == c->answered, "answers are not in order");
    if ((load.kind == LOAD_PRODUCE || load.kind == LOAD_FILL) && c->answered % CHECK_EVERY == 0)
        answer_check_produce(&load.arena, frame, n);
    if (load.kind == LOAD_COMMIT && c->answered % CHECK_EVERY == 0)
        answer_check_commit(&load.arena, frame, n);
    if (load.kind == LOAD_FETCH)
        bytes = take_fetched(c, frame, n);
    c->answered++;
    load.all_bytes += bytes;
    if (!counts)
        return;
    load.answers++;
    load.bytes += bytes;
    load.slow[us < SLOWEST_US ? us : SLOWEST_US]++;
}

static void receive(struct conn *c)
{
    ssize_t n = recv(c->fd, c->in + c->have, c->room - c->have, 0);
    if (n < 0 && errno == EAGAIN)
        return;
    must(n > 0, "the connection was closed");
    c->have += (size_t)n;
    size_t at = 0;
    for (size_t size; c->have - at >= 4 && c->have - at >= (size = be32(c->in + at)) + 4; at += size + 4)
        answered(c, c->in + at + 4, size);
    must(c->have - at < 4 || be32(c->in + at) + 4 <= c->room, "an answer is too large");
    if (at > 0)
        memmove(c->in, c->in + at, c->have - at);
    c->have -= at;
}

/* ---- sending --------------------------------------------------------------------------------------------------------- */

static bool next_request(struct conn *c)
{
    if (c->sent - c->answered >= (uint32_t)load.flight || (load.kind == LOAD_FILL && load.left == 0))
        return false;
    load.left -= load.kind == LOAD_FILL;
    if (load.kind == LOAD_FETCH) {
        c->now = &c->own;
    } else {
        c->now = &load.requests[c->next];
        c->next = (c->next + 1) % load.request_count;
    }
    memcpy(c->prefix, c->now->bytes, PREFIX);
    put_be32(c->prefix + 8, c->sent);
    c->began[c->sent % FLIGHT_MAX] = clock_mono_ns();
    c->sent++;
    c->at = 0;
    return true;
}

static void watch(struct conn *c, bool writes)
{
    struct epoll_event ev = {.events = EPOLLIN | (writes ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    if (c->writes != writes)
        epoll_ctl(load.epoll, EPOLL_CTL_MOD, c->fd, &ev);
    c->writes = writes;
}

static void send_some(struct conn *c)
{
    while (c->now != NULL || next_request(c)) {
        size_t from = c->at > PREFIX ? c->at : PREFIX, before = c->at < PREFIX ? PREFIX - c->at : 0;
        struct iovec v[2] = {{c->prefix + c->at, before}, {c->now->bytes + from, c->now->n - from}};
        struct msghdr m = {.msg_iov = v + (before == 0), .msg_iovlen = 2 - (before == 0)};
        ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) {
            watch(c, true);
            return;
        }
        must(n > 0, "send");
        c->at += (size_t)n;
        if (c->at == c->now->n)
            c->now = NULL;
    }
    watch(c, false);
}

/* ---- the run --------------------------------------------------------------------------------------------------------- */

static void connect_to(struct conn *c, int port)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    must(c->fd >= 0 && connect(c->fd, (struct sockaddr *)&a, sizeof a) == 0, "connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    must(fcntl(c->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
}

static void open_all(int port)
{
    load.epoll = epoll_create1(0);
    load.conns = mem_calloc((size_t)load.connections, sizeof *load.conns);
    for (int i = 0; i < load.connections; i++)
        connect_to(&load.conns[i], port);
}

static void begin_all(void)
{
    for (int i = 0; i < load.connections; i++) {
        struct conn *c = &load.conns[i];
        c->room = load.kind == LOAD_FETCH ? FETCH_ROOM : 64 << 10;
        c->in = mem_alloc(c->room);
        c->partition = i % (int32_t)load.partitions;
        c->next = load.request_count > 0 ? i % load.request_count : 0;
        if (load.kind == LOAD_FETCH)
            c->own = request_fetch(load.topic, c->partition, 0, (size_t)load.batch_bytes);
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
        must(epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0, "epoll");
        send_some(c);
    }
}

static void hold(void)
{
    struct made_request fetch = request_fetch(load.topic, 0, 0, (size_t)load.batch_bytes);
    for (int i = 0; i < load.connections; i++)
        for (int k = 0; k < load.flight && send(load.conns[i].fd, fetch.bytes, fetch.n, MSG_NOSIGNAL) > 0;
             k++) {
        }
    printf("holds\n");
    fflush(stdout);
    sleep((unsigned)load.seconds);
}

static bool goes_on(void)
{
    if (load.kind != LOAD_FILL)
        return clock_mono_ns() < load.until;
    return load.left > 0 || load.conns[0].answered < load.conns[0].sent;
}

static void run(void)
{
    struct epoll_event events[256];
    while (goes_on()) {
        int n = epoll_wait(load.epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            struct conn *c = events[i].data.ptr;
            if (events[i].events & ~(uint32_t)EPOLLOUT)
                receive(c);
            send_some(c);
        }
    }
}

static int percentile(double part)
{
    uint64_t at = 0, wanted = (uint64_t)((double)load.answers * part);
    int us = 0;
    while (us < SLOWEST_US && (at += load.slow[us]) <= wanted)
        us++;
    return us;
}

/* ---- the arguments --------------------------------------------------------------------------------------------------- */

static enum codec codec_of(const char *name)
{
    for (enum codec c = CODEC_NONE; c < CODEC_COUNT; c++)
        if (strcmp(codec_name(c), name) == 0)
            return c;
    must(false, "there is no such codec");
    return CODEC_NONE;
}

static void take_argument(const char *argument)
{
    const struct {
        const char *name;
        long *value;
    } numbers[] = {
        {"partitions=", &load.partitions}, {"groups=", &load.groups},     {"connections=", &load.connections},
        {"in_flight=", &load.flight},      {"batch=", &load.batch_bytes}, {"record=", &load.record_bytes},
        {"seconds=", &load.seconds},       {"mib=", &load.mib},
    };
    const char *equal = strchr(argument, '=');
    must(equal != NULL, "arguments are name=value");
    size_t n = (size_t)(equal - argument) + 1, i = 0, count = sizeof numbers / sizeof *numbers;
    if (strncmp(argument, "topic=", n) == 0) {
        load.topic = equal + 1;
    } else if (strncmp(argument, "codec=", n) == 0) {
        load.codec = codec_of(equal + 1);
    } else {
        while (i < count && strncmp(argument, numbers[i].name, n) != 0)
            i++;
        must(i < count, argument);
        *numbers[i].value = strtol(equal + 1, NULL, 10);
    }
}

static void take_kind(const char *kind)
{
    static const char *const kinds[] = {"produce", "floor", "fill", "fetch", "commit", "hold"};
    size_t i = 0, n = sizeof kinds / sizeof *kinds;
    while (i < n && strcmp(kind, kinds[i]) != 0)
        i++;
    must(i < n, "produce, floor, fill, fetch, commit or hold");
    load.kind = (int)i;
}

static void make_requests(void)
{
    struct batch_shape shape = {load.codec, (size_t)load.batch_bytes, (size_t)load.record_bytes};
    load.request_count = (int32_t)(load.kind == LOAD_COMMIT ? load.groups : load.partitions);
    load.requests = load.kind == LOAD_COMMIT
                        ? requests_commit(load.topic, load.request_count)
                        : requests_produce(load.topic, load.request_count, &shape, &load.records);
}

int main(int argc, char **argv)
{
    must(argc >= 3, "see the head of bench_kafka.c for the arguments");
    take_kind(argv[2]);
    for (int i = 3; i < argc; i++)
        take_argument(argv[i]);
    must(load.kind == LOAD_HOLD ||
             (load.flight >= 1 && load.flight <= (load.kind == LOAD_FETCH ? 1 : FLIGHT_MAX)),
         "requests in flight");
    load.slow = mem_calloc(SLOWEST_US + 1, sizeof *load.slow);
    arena_init(&load.arena, 64 << 20, NULL);
    open_all((int)strtol(argv[1], NULL, 10));
    if (load.kind == LOAD_HOLD) {
        hold();
        return 0;
    }
    if (load.kind != LOAD_FETCH)
        make_requests();
    if (load.kind == LOAD_FILL)
        load.left = load.mib * (long)MIB / load.batch_bytes;
    int64_t start = clock_mono_ns();
    load.until = start + load.seconds * NS;
    load.count_from = load.kind == LOAD_FILL ? start : start + load.seconds * NS / WARM_PART;
    begin_all();
    run();
    printf("{\"requests\": %llu, \"bytes\": %llu, \"all_bytes\": %llu, \"seconds\": %.3f, \"p50\": %d, "
           "\"p99\": %d, \"p999\": %d}\n",
           (unsigned long long)load.answers, (unsigned long long)load.bytes,
           (unsigned long long)load.all_bytes, (double)(clock_mono_ns() - load.count_from) / 1e9,
           percentile(0.5), percentile(0.99), percentile(0.999));
    return 0;
}
