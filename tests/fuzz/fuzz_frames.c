/*
 * fuzz_frames: bytes from outside on a connection of a server before a tiny real broker, in pieces that the first byte chooses. Whatever
 * comes: the server takes no more memory than its budget, gives all of it back, and serves the next one.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/diag.h"
#include "base/io.h"
#include "broker/broker.h"
#include "protocol/messages.h"
#include "server/server.h"
#include "tests/fuzz/fuzz.h"

#define RESET_AFTER 2000
#define BUDGET (1 << 20)
#define PATIENCE_MS 10 /* for answers that nobody looks at */

static struct broker *broker;
static struct server *server;
static char dir[64];

static void close_store(void)
{
    struct err e;
    if (server == NULL)
        return;
    server_stop(server, 1000);
    require(broker_close(broker, &e) == ERR_OK);
    require(io_remove_tree(dir, &e) == ERR_OK);
    server = NULL;
}

static void open_store(void)
{
    struct err e;
    static bool registered;
    static const char *const listeners[] = {"PLAINTEXT://127.0.0.1:0"};
    if (!registered)
        atexit(close_store);
    registered = true;
    diag_setup(DIAG_OFF, DIAG_TEXT);
    snprintf(dir, sizeof dir, "/tmp/leat-fuzz-XXXXXX");
    require(mkdtemp(dir) != NULL);
    struct broker_options bo = {
        .data_dir = dir, .journal_file_bytes = 1 << 20, .offsets_partitions = 1, .txn_partitions = 1};
    require(broker_open(&broker, &bo, &e) == ERR_OK);
    require(broker_create_topic(broker, "t", 1, NULL, 0, NULL, &e) == ERR_OK);
    struct server_options so = {.broker = broker,
                                .listeners = listeners,
                                .listener_count = 1,
                                .network_threads = 1,
                                .queued_max_bytes = BUDGET};
    require(server_start(&server, &so, &e) == ERR_OK);
}

static int connected(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)server_port(server, 0)),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0);
    return fd;
}

/* Partitions are files: a request for a million of them is right, but not here. Such frames are made another key's. */
static void make_cheap(uint8_t *data, size_t n)
{
    for (size_t at = 0; at + 6 <= n;) {
        uint32_t length = be32(data + at);
        uint16_t key = (uint16_t)(data[at + 4] << 8 | data[at + 5]);
        if (key == MSG_KEY_create_topics || key == MSG_KEY_create_partitions)
            data[at + 5] = MSG_KEY_metadata;
        if (length > n - at - 4)
            break;
        at += 4 + length;
    }
}

static void send_pieces(int fd, const uint8_t *data, size_t n, size_t piece)
{
    for (size_t at = 0; at < n;) {
        size_t want = piece < n - at ? piece : n - at;
        ssize_t sent = send(fd, data + at, want, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server hung up, as it may */
        at += (size_t)sent;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static unsigned runs;
    static uint8_t copy[1 << 16], answers[1 << 16];
    struct server_stats s;
    if (n < 1 || n > sizeof copy)
        return 0;
    if (runs++ % RESET_AFTER == 0)
        close_store();
    if (server == NULL)
        open_store();
    memcpy(copy, data, n);
    make_cheap(copy + 1, n - 1);
    int fd = connected();
    send_pieces(fd, copy + 1, n - 1, copy[0] > 0 ? copy[0] * (size_t)16 : 1);
    shutdown(fd, SHUT_WR);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (poll(&p, 1, PATIENCE_MS) == 1 && recv(fd, answers, sizeof answers, 0) > 0)
        ;
    server_stats(server, &s);
    require(s.queued_bytes <= BUDGET + (100 << 20)); /* one may go beyond, up to the largest request */
    close(fd);
    do
        server_stats(server, &s);
    while (s.queued_bytes > 0 || s.connections > 0);
    return 0;
}
