/*
 * What connections may do to a server, and what not: order, pieces, lengths, budget, limits, the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "base/clock.h"
#include "tests/unit/server/client.h"

/* The C library's, on a machine that may be without IPv6. */
static atomic_bool no_ipv6;

int socket(int domain, int type, int protocol)
{
    if (atomic_load(&no_ipv6) && domain == AF_INET6) {
        errno = EAFNOSUPPORT;
        return -1;
    }
    return (int)syscall(SYS_socket, domain, type, protocol);
}

static void expect_alive(struct rig *r, int fd)
{
    struct msg_api_versions_request q;
    msg_init(&msg_schema_api_versions_request, &q);
    struct msg_api_versions_response *a = ask(r, fd, MSG_KEY_api_versions, 0, &q);
    assert_int_equal(a->error_code, 0);
    assert_true(a->api_keys.count > 5);
}

static void test_what_is_no_request_ends_its_connection_only(void **state)
{
    (void)state;
    static const struct {
        size_t n;
        uint8_t bytes[16];
    } bad[] = {
        {4, {0x7f, 0xff, 0xff, 0xff}}, /* two thousand million bytes */
        {4, {0xff, 0xff, 0xff, 0xff}}, /* less than none */
        {4, {0, 0, 0, 0}},
        {4, {0, 0, 0, 7}},                                       /* no room for a header */
        {12, {0, 0, 0, 8, 0x03, 0xe7, 0, 0, 0, 0, 0, 1}},        /* a key that nobody knows */
        {12, {0, 0, 0, 8, 0, 3, 0, 99, 0, 0, 0, 1}},             /* a version of Metadata that nobody knows */
        {14, {0, 0, 0, 10, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff}}, /* Metadata without its body */
        {12, {0, 0, 0, 8, 0, 4, 0, 0, 0, 0, 0, 1}},              /* LeaderAndIsr: among brokers, long ago */
    };
    struct rig r;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int fd = rig_connect(&r);
        send_all(fd, bad[i].bytes, bad[i].n);
        assert_closed(fd);
        expect_alive(&r, r.fd);
    }
    struct server_stats s;
    server_stats(r.server, &s);
    assert_int_equal(s.refused, sizeof bad / sizeof *bad);
    rig_stop(&r);
}

/* What is before it is answered; what comes behind it is not looked at. */
static void test_what_is_no_request_among_others(void **state)
{
    (void)state;
    static const uint8_t bad[] = {0, 0, 0, 10, 0, 0,    0,
                                  3, 0, 0, 0,  2, 0xff, 0xff}; /* Produce without its body */
    struct rig r;
    struct err e = {0};
    int64_t end, timestamp;
    rig_start(&r, (struct server_options){.network_threads = 1});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    struct msg_produce_request *q = make_produce(&r, "t", 0, -1, make_batch(&r, "value", 5));
    ask(&r, r.fd, MSG_KEY_produce, 9, q); /* so that its log is open, and those that follow overlap */
    put_request(&r, MSG_KEY_produce, 9, q);
    int32_t correlation = r.correlation;
    assert_ok(buf_append(&r.out, bad, sizeof bad, &e), &e);
    put_request(&r, MSG_KEY_produce, 9, q);
    send_requests(&r, r.fd);
    assert_int_equal(PRODUCED(get_answer(&r, r.fd, MSG_KEY_produce, 9, correlation))->base_offset, 1);
    assert_closed(r.fd);
    r.fd = -1;
    assert_ok(broker_list_offset(r.broker, "t", 0, -1, READ_UNCOMMITTED, &end, &timestamp, &e), &e);
    assert_int_equal(end, 2);
    rig_stop(&r);
}

static void test_a_version_that_is_not_ours_is_told(void **state)
{
    (void)state;
    struct rig r;
    static const uint8_t newer[] = {0, 0, 0, 13, 0, 18, 0, 99, 0, 0, 0, 1, 0, 0, 0, 0xde, 0xad};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    send_all(r.fd, newer, sizeof newer);
    struct msg_api_versions_response *a = get_answer(&r, r.fd, MSG_KEY_api_versions, 0, 1);
    assert_int_equal(a->error_code, 35);
    assert_int_equal(a->api_keys.count, 1);
    assert_int_equal(a->api_keys.items[0].api_key, MSG_KEY_api_versions);
    expect_alive(&r, r.fd);
    rig_stop(&r);
}

static void test_requests_come_in_any_pieces(void **state)
{
    (void)state;
    struct rig r;
    struct msg_metadata_request q;
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 3);
    msg_init(&msg_schema_metadata_request, &q);
    q.topics.count = -1;
    for (int i = 0; i < 3; i++)
        put_request(&r, MSG_KEY_metadata, 9, &q);
    for (size_t at = 0; at < r.out.len; at++)
        send_all(r.fd, r.out.data + at, 1);
    for (int i = 1; i <= 3; i++) {
        struct msg_metadata_response *a = get_answer(&r, r.fd, MSG_KEY_metadata, 9, i);
        assert_int_equal(a->topics.count, 1);
        assert_int_equal(a->topics.items[0].partitions.count, 3);
    }
    rig_stop(&r);
}

/* Many at once, some of which wait for a disk and some not. */
static void test_answers_come_in_the_order_of_requests(void **state)
{
    (void)state;
    enum { ROUNDS = 200 };
    struct rig r;
    struct msg_api_versions_request versions;
    rig_start(&r, (struct server_options){.network_threads = 2});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    msg_init(&msg_schema_api_versions_request, &versions);
    struct msg_produce_request *produce = make_produce(&r, "t", 0, -1, make_batch(&r, "value", 5));
    for (int i = 0; i < ROUNDS; i++) {
        put_request(&r, MSG_KEY_produce, 7, produce);
        put_request(&r, MSG_KEY_produce, 7, produce);
        put_request(&r, MSG_KEY_api_versions, 0, &versions);
    }
    send_requests(&r, r.fd);
    for (int i = 0; i < ROUNDS; i++) {
        for (int k = 1; k <= 2; k++) {
            void *a = get_answer(&r, r.fd, MSG_KEY_produce, 7, 3 * i + k);
            assert_int_equal(PRODUCED(a)->error_code, 0);
            assert_int_equal(PRODUCED(a)->base_offset, 2 * i + k - 1);
        }
        get_answer(&r, r.fd, MSG_KEY_api_versions, 0, 3 * i + 3);
    }
    rig_stop(&r);
}

/* A request of which the beginning came takes memory for that; one may go beyond the budget, and then others wait until it is given back. */
static void test_the_budget_is_shared(void **state)
{
    (void)state;
    struct rig r;
    struct server_stats s = {0};
    rig_start(&r, (struct server_options){.queued_max_bytes = 256 << 10});
    int greedy = rig_connect(&r), patient = rig_connect(&r);
    uint8_t *large = calloc(1, 1 << 20);
    assert_non_null(large);
    enum { SENT = 400 << 10 };
    put_be32(large, 2 << 20);
    send_all(greedy, large, SENT);
    while (s.queued_bytes < 256 << 10)
        server_stats(r.server, &s);
    assert_true(s.queued_bytes <=
                2 * SENT); /* twice what came, whatever the pieces; not the two MiB that it speaks of */
    struct msg_api_versions_request q;
    msg_init(&msg_schema_api_versions_request, &q);
    put_request(&r, MSG_KEY_api_versions, 0, &q);
    int64_t asked = clock_mono_ms();
    send_requests(&r, patient);
    struct pollfd f = {.fd = patient, .events = POLLIN};
    int answered = poll(&f, 1, 100);
    assert_true(answered == 0 ||
                clock_mono_ms() - asked >= 5000); /* then the greedy one is closed, as it stands still */
    close(greedy);
    get_answer(&r, patient, MSG_KEY_api_versions, 0, r.correlation);
    close(patient);
    free(large);
    rig_stop(&r);
}

static struct msg_string text(const char *s)
{
    return msg_text(s, strlen(s));
}

/* A JoinGroup whose member says `n` bytes of itself. */
static void put_join(struct rig *r, uint8_t *bytes, size_t n)
{
    struct msg_join_group_request q;
    struct msg_join_group_request_protocol p = {text("range"), {bytes, (int32_t)n}};
    msg_init(&msg_schema_join_group_request, &q);
    q.group_id = text("g");
    q.session_timeout_ms = q.rebalance_timeout_ms = LIMIT_MS;
    q.member_id = text("");
    q.protocol_type = text("consumer");
    q.protocols.items = &p;
    q.protocols.count = 1;
    put_request(r, MSG_KEY_join_group, 3, &q);
}

/* A Fetch of one partition that has nothing, and of many that are not there. */
static void put_long_fetch(struct rig *r, int32_t many)
{
    struct msg_fetch_request *q = make_fetch(r, "t", 0, 0, LIMIT_MS, 1 << 20);
    struct msg_fetch_request_partition *all = arena_alloc(&r->arena, (size_t)many * sizeof *all);
    assert_non_null(all);
    for (int32_t i = 0; i < many; i++) {
        all[i] = q->topics.items[0].partitions.items[0];
        all[i].partition = i;
    }
    q->topics.items[0].partitions.items = all;
    q->topics.items[0].partitions.count = many;
    q->min_bytes = 1;
    put_request(r, MSG_KEY_fetch, 12, q);
}

static uint64_t queued(const struct rig *r)
{
    struct server_stats s;
    server_stats(r->server, &s);
    return s.queued_bytes;
}

static void wait_for_requests(const struct rig *r, uint64_t n)
{
    struct server_stats s;
    do
        server_stats(r->server, &s);
    while (s.requests < n);
}

/* Requests that wait, and what comes behind them, keep nobody from being read, however large they are. */
static void test_who_waits_takes_no_room(void **state)
{
    (void)state;
    struct rig r;
    enum { LARGE = 400 << 10, ROOM = 256 << 10 };
    rig_start(&r, (struct server_options){.queued_max_bytes = ROOM});
    make_topic(&r, "t", 1);
    int fds[4], other = rig_connect(&r);
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    for (int i = 0; i < 4; i++)
        fds[i] = rig_connect(&r);
    put_join(&r, large, LARGE);
    send_requests(&r, fds[0]);
    get_answer(&r, fds[0], MSG_KEY_join_group, 3, r.correlation);
    put_join(&r, large, LARGE); /* until the first one has come again */
    send_requests(&r, fds[1]);
    wait_for_requests(&r, 2);
    expect_alive(&r, other);
    put_long_fetch(&r, 20000);
    send_requests(&r, fds[2]);
    wait_for_requests(&r, 4);
    expect_alive(&r, other);
    put_long_fetch(&r, 1);
    put_join(&r, large, LARGE);
    send_requests(&r, fds[3]);
    wait_for_requests(&r, 6);
    for (int i = 0; i < 100; i++) { /* so much of what follows as is read at once is there by then */
        expect_alive(&r, other);
        assert_true(queued(&r) < ROOM);
    }
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    close(other);
    free(large);
    rig_stop(&r);
}

/* Produces that a topic's quota holds back, each for a minute and a half, keep no thread from who asks for something else. */
static void test_produces_that_are_held_back(void **state)
{
    (void)state;
    enum { BYTES = 6 << 20 };
    struct rig r;
    struct err e = {0};
    struct server_stats s = {0};
    int fds[2];
    int32_t correlations[2];
    rig_start(&r, (struct server_options){.network_threads = 1, .io_threads = 2});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 1);
    struct topic_config_entry slow[] = {{"quota.produce.bytes.per.second", "65536"},
                                        {"max.message.bytes", "8388608"}};
    assert_ok(broker_alter_topic(r.broker, "t", slow, 2, &e), &e);
    uint8_t *value = calloc(1, BYTES);
    assert_non_null(value);
    struct msg_produce_request *q = make_produce(&r, "t", 0, -1, make_batch(&r, value, BYTES));
    ask(&r, r.fd, MSG_KEY_produce, 9, q); /* all that may come at once */
    for (int i = 0; i < 2; i++) {
        fds[i] = rig_connect(&r);
        put_request(&r, MSG_KEY_produce, 9, q);
        correlations[i] = r.correlation;
        send_requests(&r, fds[i]);
    }
    while (s.requests < 3)
        server_stats(r.server, &s);
    struct msg_metadata_request all;
    msg_init(&msg_schema_metadata_request, &all);
    all.topics.count = -1;
    struct msg_metadata_response *a = ask(&r, r.fd, MSG_KEY_metadata, 9, &all);
    assert_int_equal(a->topics.count, 1);
    broker_lift_delays(r.broker);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(PRODUCED(get_answer(&r, fds[i], MSG_KEY_produce, 9, correlations[i]))->error_code,
                         0);
        close(fds[i]);
    }
    free(value);
    rig_stop(&r);
}

/* Who does not read its answer is closed as one that says nothing. */
static void test_an_answer_that_nobody_reads(void **state)
{
    (void)state;
    struct rig r;
    struct err e = {0};
    struct server_stats s = {0};
    enum { LARGE = 900 << 10, MANY = 16 };
    rig_start(&r, (struct server_options){.idle_ms = 200});
    make_topic(&r, "t", 1);
    uint8_t *large = calloc(1, LARGE);
    assert_non_null(large);
    for (int i = 0; i < MANY; i++) {
        struct msg_bytes b = make_batch(&r, large, LARGE);
        struct produce_request p = {
            .topic = "t", .partition = 0, .data = (uint8_t *)(uintptr_t)b.p, .bytes = (size_t)b.n};
        assert_ok(broker_produce(r.broker, &p, 1, true, &e), &e);
    }
    struct msg_fetch_request *q = make_fetch(&r, "t", 0, 0, 0, MANY * LARGE);
    put_request(&r, MSG_KEY_fetch, 12, q);
    for (uint64_t tries = 1; s.response_bytes == 0; tries++) { /* one may be closed before it asks */
        int fd = rig_connect(&r);
        ssize_t sent = send(fd, r.out.data, r.out.len, MSG_NOSIGNAL);
        assert_true(sent == (ssize_t)r.out.len || sent < 0);
        do
            server_stats(r.server, &s);
        while (s.connections_total < tries || s.connections > 0);
        close(fd);
    }
    free(large);
    rig_stop(&r);
}

static void test_many_idle_connections_cost_nobody(void **state)
{
    (void)state;
    enum { MANY = 300 };
    struct rig r;
    int fds[MANY];
    rig_start(&r, (struct server_options){.network_threads = 2});
    for (int i = 0; i < MANY; i++)
        fds[i] = rig_connect(&r);
    for (int i = 0; i < MANY; i++)
        expect_alive(&r, fds[i]);
    struct server_stats s;
    do /* the last answer is there a little before its request is gone */
        server_stats(r.server, &s);
    while (s.queued_bytes > 0);
    assert_int_equal(s.connections, MANY);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    while (s.connections > 0)
        server_stats(r.server, &s);
    rig_stop(&r);
}

static void test_limits_of_number_and_of_time(void **state)
{
    (void)state;
    struct rig r;
    rig_start(&r, (struct server_options){.max_connections = 1});
    r.fd = rig_connect(&r);
    expect_alive(&r, r.fd);
    assert_closed(rig_connect(&r));
    expect_alive(&r, r.fd);
    rig_stop(&r);
    rig_start(&r, (struct server_options){.idle_ms = 50});
    assert_closed(rig_connect(&r)); /* who says nothing is closed at some time */
    rig_stop(&r);
}

/* Each is answered once, in the order of the first time. */
static void test_topics_that_are_named_twice(void **state)
{
    (void)state;
    struct rig r;
    struct msg_metadata_request q;
    struct msg_metadata_request_topic topics[4] = {{.name = msg_text("t", 1)},
                                                   {.name = msg_text("nowhere", 7)},
                                                   {.name = msg_text("t", 1)},
                                                   {.name = msg_text("nowhere", 7)}};
    rig_start(&r, (struct server_options){0});
    r.fd = rig_connect(&r);
    make_topic(&r, "t", 2);
    msg_init(&msg_schema_metadata_request, &q);
    q.topics.items = topics;
    q.topics.count = 4;
    struct msg_metadata_response *a = ask(&r, r.fd, MSG_KEY_metadata, 9, &q);
    assert_int_equal(a->topics.count, 2);
    assert_int_equal(a->topics.items[0].error_code, 0);
    assert_int_equal(a->topics.items[0].partitions.count, 2);
    assert_int_equal(a->topics.items[1].error_code, 3);
    rig_stop(&r);
}

/* Who sends no more gets its answers before the connection ends. */
static void test_half_closed(void **state)
{
    (void)state;
    struct rig r;
    struct msg_metadata_request q;
    rig_start(&r, (struct server_options){0});
    int fd = rig_connect(&r);
    msg_init(&msg_schema_metadata_request, &q);
    q.topics.count = -1;
    put_request(&r, MSG_KEY_metadata, 9, &q);
    send_requests(&r, fd);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    get_answer(&r, fd, MSG_KEY_metadata, 9, 1);
    assert_closed(fd);
    rig_stop(&r);
}

static void test_addresses(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {{"SSL://127.0.0.1:0", "PLAINTEXT"},
                                           {"127.0.0.1", "not HOST:PORT"},
                                           {"PLAINTEXT://127.0.0.1:65536", "not HOST:PORT"},
                                           {"PLAINTEXT://no.such.host.invalid:0", "no.such.host"}};
    struct rig r;
    rig_start(&r, (struct server_options){0});
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct server *s;
        struct err e = {0};
        const char *const listeners[] = {wrong[i][0]};
        struct server_options o = {.broker = r.broker, .listeners = listeners, .listener_count = 1};
        assert_code(server_start(&s, &o, &e), ERR_INVALID_CONFIG, &e);
        assert_non_null(strstr(e.text, wrong[i][1]));
        assert_null(s);
    }
    char path[512], unix_address[600];
    snprintf(path, sizeof path, "%s/kafka.sock", r.dir);
    snprintf(unix_address, sizeof unix_address, "PLAINTEXT://unix:%s", path);
    const char *const two[] = {unix_address, "127.0.0.1:0"}, *const told[] = {"kafka.test:1", "kafka.test:2"};
    struct server *s;
    struct err e = {0};
    struct server_options o = {
        .broker = r.broker, .listeners = two, .listener_count = 2, .advertised = told, .advertised_count = 1};
    assert_code(server_start(&s, &o, &e), ERR_INVALID_CONFIG, &e);
    o.advertised_count = 2;
    assert_ok(server_start(&s, &o, &e), &e);
    assert_int_equal(access(path, F_OK), 0);
    assert_true(server_port(s, 1) > 0);
    server_stop(s, 0);
    assert_int_not_equal(access(path, F_OK), 0);
    rig_stop(&r);
}

/* The host of the one member of "g", as tools show it. */
static void expect_member_of(struct rig *r, int fd, const char *host)
{
    struct msg_describe_groups_request q;
    struct msg_string group = text("g");
    uint8_t metadata[8] = {0};
    put_join(r, metadata, sizeof metadata);
    send_requests(r, fd);
    get_answer(r, fd, MSG_KEY_join_group, 3, r->correlation);
    msg_init(&msg_schema_describe_groups_request, &q);
    q.groups.items = &group;
    q.groups.count = 1;
    struct msg_describe_groups_response *a = ask(r, fd, MSG_KEY_describe_groups, 5, &q);
    assert_int_equal(a->groups.items[0].members.count, 1);
    struct msg_string told = a->groups.items[0].members.items[0].client_host;
    assert_int_equal(told.n, strlen(host));
    assert_memory_equal(told.p, host, told.n);
}

/* Without a host a listener is on all addresses, of the kinds that there are; clients' own are shown as Kafka shows them. */
static void test_all_addresses(void **state)
{
    (void)state;
    static const char *const any[] = {"PLAINTEXT://:0"};
    struct rig r;
    for (int without = 0; without < 2; without++) {
        atomic_store(&no_ipv6, without != 0);
        rig_start(&r, (struct server_options){.listeners = any, .listener_count = 1});
        r.fd = rig_connect(&r);
        expect_member_of(&r, r.fd, "/127.0.0.1");
        rig_stop(&r);
    }
    atomic_store(&no_ipv6, false);
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    rig_start(&r, (struct server_options){.listeners = any, .listener_count = 1});
    a.sin6_port = htons((uint16_t)server_port(r.server, 0));
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0) /* where there is one */
        expect_member_of(&r, fd, "/0:0:0:0:0:0:0:1");
    close(fd);
    rig_stop(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_request_ends_its_connection_only),
        cmocka_unit_test(test_what_is_no_request_among_others),
        cmocka_unit_test(test_a_version_that_is_not_ours_is_told),
        cmocka_unit_test(test_requests_come_in_any_pieces),
        cmocka_unit_test(test_answers_come_in_the_order_of_requests),
        cmocka_unit_test(test_the_budget_is_shared),
        cmocka_unit_test(test_who_waits_takes_no_room),
        cmocka_unit_test(test_produces_that_are_held_back),
        cmocka_unit_test(test_an_answer_that_nobody_reads),
        cmocka_unit_test(test_many_idle_connections_cost_nobody),
        cmocka_unit_test(test_limits_of_number_and_of_time),
        cmocka_unit_test(test_topics_that_are_named_twice),
        cmocka_unit_test(test_half_closed),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_all_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
