/*
 * bench_kafka_floor: the least that a synced broker can do: receive requests, CRC-32C over each, write them into one preallocated file; a
 * second thread syncs whatever has come, and answers. Its figures stand beside a broker's (tests/bench/kafka_wire.py).
 * Usage: bench_kafka_floor FILE MIB; prints its port. With 0 MiB it answers at once and writes nothing: what the sockets alone cost.
 *
 * A request is `int32 length` and so many bytes, of which 4 to 8 are the correlation; the answer is 8 bytes: length 4, correlation. Ends when
 * the first of its connections is closed.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/hash.h"

enum { FRAME_MAX = 4 << 20, WAITING_MAX = 4096, ANSWER = 8, EVENTS = 256 };

struct conn {
    int fd;
    uint8_t *in; /* FRAME_MAX and a length; memory is taken as it is used */
    size_t have;
};

struct waiting { /* written and not synced */
    int fd;
    uint8_t correlation[4];
};

static struct {
    int file, listener, epoll;
    size_t bytes, at; /* of the file; 0 bytes: there is none */
    uint32_t sum;
    pthread_mutex_t lock;
    pthread_cond_t some;
    struct waiting waiting[WAITING_MAX];
    size_t n;
} s = {.lock = PTHREAD_MUTEX_INITIALIZER, .some = PTHREAD_COND_INITIALIZER};

static void must(bool well, const char *what)
{
    if (well)
        return;
    perror(what);
    exit(1);
}

/* Those of one connection that stand together are one call. Who hung up is not told. */
static void answer(const struct waiting *list, size_t n)
{
    static _Thread_local uint8_t out[WAITING_MAX * ANSWER];
    for (size_t i = 0, k = 0; i < n; i += k) {
        for (k = 0; i + k < n && list[i + k].fd == list[i].fd; k++) {
            put_be32(out + ANSWER * k, 4);
            memcpy(out + ANSWER * k + 4, list[i + k].correlation, 4);
        }
        for (size_t sent = 0; sent < ANSWER * k;) {
            ssize_t done = send(list[i].fd, out + sent, ANSWER * k - sent, MSG_NOSIGNAL);
            if (done <= 0)
                break;
            sent += (size_t)done;
        }
    }
}

static void *sync_thread(void *arg)
{
    static struct waiting taken[WAITING_MAX];
    (void)arg;
    for (;;) {
        pthread_mutex_lock(&s.lock);
        while (s.n == 0)
            pthread_cond_wait(&s.some, &s.lock);
        size_t n = s.n;
        memcpy(taken, s.waiting, n * sizeof *taken);
        s.n = 0;
        pthread_cond_broadcast(&s.some);
        pthread_mutex_unlock(&s.lock);
        must(fdatasync(s.file) == 0, "fdatasync");
        answer(taken, n);
    }
    return NULL;
}

static void take(const struct conn *c, const uint8_t *frame, size_t n)
{
    struct waiting w = {.fd = c->fd};
    memcpy(w.correlation, frame + 4, sizeof w.correlation);
    s.sum ^= crc32c(0, frame, n);
    if (s.bytes == 0) {
        answer(&w, 1);
        return;
    }
    s.at = s.at + n <= s.bytes ? s.at : 0;
    must(pwrite(s.file, frame, n, (off_t)s.at) == (ssize_t)n, "pwrite");
    s.at += n;
    pthread_mutex_lock(&s.lock);
    while (s.n == WAITING_MAX)
        pthread_cond_wait(&s.some, &s.lock);
    s.waiting[s.n++] = w;
    pthread_cond_signal(&s.some);
    pthread_mutex_unlock(&s.lock);
}

/* False: it hung up. */
static bool receive(struct conn *c)
{
    ssize_t got = recv(c->fd, c->in + c->have, FRAME_MAX + 4 - c->have, 0);
    if (got <= 0)
        return false;
    c->have += (size_t)got;
    size_t at = 0;
    for (size_t n; c->have - at >= 4 && c->have - at >= 4 + (n = be32(c->in + at)); at += 4 + n) {
        must(n >= 8, "a frame that is too short");
        take(c, c->in + at + 4, n);
    }
    must(c->have - at < 4 || be32(c->in + at) <= FRAME_MAX, "a frame that is too long");
    if (at > 0)
        memmove(c->in, c->in + at, c->have - at);
    c->have -= at;
    return true;
}

static void arrives(void)
{
    int on = 1;
    struct conn *c = calloc(1, sizeof *c);
    must(c != NULL && (c->in = malloc(FRAME_MAX + 4)) != NULL, "memory");
    c->fd = accept(s.listener, NULL, NULL);
    must(c->fd >= 0, "accept");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event ev = {.events = EPOLLIN, .data.ptr = c};
    must(epoll_ctl(s.epoll, EPOLL_CTL_ADD, c->fd, &ev) == 0, "epoll");
}

static void begin_listening(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    struct epoll_event ev = {.events = EPOLLIN};
    s.listener = socket(AF_INET, SOCK_STREAM, 0);
    must(s.listener >= 0 && bind(s.listener, (struct sockaddr *)&a, sizeof a) == 0 &&
             listen(s.listener, 512) == 0,
         "listen");
    must(getsockname(s.listener, (struct sockaddr *)&a, &n) == 0, "getsockname");
    s.epoll = epoll_create1(0);
    must(s.epoll >= 0 && epoll_ctl(s.epoll, EPOLL_CTL_ADD, s.listener, &ev) == 0, "epoll");
    printf("%d\n", ntohs(a.sin_port));
    fflush(stdout);
}

static void fill_file(const char *path)
{
    static uint8_t zeros[FRAME_MAX];
    s.file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    must(s.file >= 0, path);
    for (size_t i = 0; i < s.bytes; i += sizeof zeros)
        must(write(s.file, zeros, sizeof zeros) == (ssize_t)sizeof zeros, "write");
    must(fsync(s.file) == 0, "fsync");
}

int main(int argc, char **argv)
{
    struct epoll_event events[EVENTS];
    pthread_t t;
    must(argc == 3, "usage: bench_kafka_floor FILE MIB");
    s.bytes = strtoul(argv[2], NULL, 10) << 20;
    fill_file(argv[1]);
    begin_listening();
    must(pthread_create(&t, NULL, sync_thread, NULL) == 0, "thread");
    for (;;) {
        int n = epoll_wait(s.epoll, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                arrives();
            } else if (!receive(events[i].data.ptr)) {
                fprintf(stderr, "%08x\n", s.sum); /* so that the CRC is computed */
                return 0;
            }
        }
    }
}
