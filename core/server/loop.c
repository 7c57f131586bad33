/*
 * loop: an event loop and its thread: sockets, what other threads post, deadlines, idle connections. The first one also
 * accepts, for all of them in turn.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "server/internal.h"

#define EVENTS 128
#define ACCEPT_PAUSE_MS 100
#define STUCK_MS 5000
#define PACE_BYTES 65536
#define STALLED_RETRY_MS 50 /* who waits for the budget looks again, also if a wake-up came too early */

/* ---- posts ---- */

static void ring(struct loop *l)
{
    uint64_t one = 1;
    if (write(l->event, &one, sizeof one) < 0)
        return; /* the counter is full: it is readable */
}

void loop_post(struct loop *l, struct post *p)
{
    pthread_mutex_lock(&l->lock);
    p->next = NULL;
    *(l->posts_last != NULL ? &l->posts_last->next : &l->posts) = p;
    l->posts_last = p;
    bool wake = !l->woken;
    l->woken = true;
    pthread_mutex_unlock(&l->lock);
    if (wake)
        ring(l);
}

void loop_wake(struct loop *l)
{
    pthread_mutex_lock(&l->lock);
    bool wake = !l->woken;
    l->woken = true;
    pthread_mutex_unlock(&l->lock);
    if (wake)
        ring(l);
}

static void run_posts(struct loop *l)
{
    uint64_t count;
    if (read(l->event, &count, sizeof count) < 0 && errno != EAGAIN)
        return;
    pthread_mutex_lock(&l->lock);
    struct post *p = l->posts;
    l->posts = l->posts_last = NULL;
    l->woken = false;
    pthread_mutex_unlock(&l->lock);
    for (struct post *next; p != NULL; p = next) {
        next = p->next;
        p->run(p);
    }
    conn_flush_answered(l); /* of one connection in one call, as many as were done together */
}

/* ---- accepting ---- */

struct arrival {
    struct post post;
    struct loop *loop;
    int fd;
    const struct listener *listener;
};

static void arrives(struct post *p)
{
    struct arrival *a = (struct arrival *)p;
    if (atomic_load(&a->loop->server->stopping)) {
        io_close(a->fd);
        atomic_fetch_sub(&a->loop->server->connections, 1);
    } else {
        conn_open(a->loop, a->fd, a->listener);
    }
    mem_free(a);
}

static void hand_over(struct loop *l, int fd, const struct listener *listener)
{
    struct server *s = l->server;
    struct loop *to = &s->loops[(unsigned)atomic_fetch_add(&s->next_loop, 1) % (unsigned)s->loop_count];
    struct arrival *a;
    if (listener->port != 0) {
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* answers are whole when they are sent */
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    }
    if (to == l) {
        conn_open(l, fd, listener);
    } else if ((a = mem_calloc(1, sizeof *a)) != NULL) {
        *a = (struct arrival){.post.run = arrives, .loop = to, .fd = fd, .listener = listener};
        loop_post(to, &a->post);
    } else {
        io_close(fd);
        atomic_fetch_sub(&s->connections, 1);
    }
}

static void watch_listeners(struct loop *l, bool on)
{
    for (size_t i = 0; i < l->server->listener_count; i++) {
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &l->server->listeners[i]};
        epoll_ctl(l->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, l->server->listeners[i].fd, &ev);
    }
    l->listening = on;
}

/* Out of descriptors or memory: those who wait in the backlog are taken a little later. */
static void pause_accepting(struct loop *l, int errnum)
{
    struct err e;
    err_sys(&e, errnum, "cannot take a new connection");
    server_complain(l->server, "listener", &e);
    watch_listeners(l, false);
    l->accept_at = clock_mono_ms() + ACCEPT_PAUSE_MS;
}

static void accept_some(struct loop *l, const struct listener *listener)
{
    struct server *s = l->server;
    for (int n = 0; n < EVENTS; n++) {
        int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (fd < 0 && (errno == ECONNABORTED || errno == EPROTO))
            continue;
        if (fd < 0) {
            pause_accepting(l, errno);
            return;
        }
        uint64_t now = atomic_fetch_add(&s->connections, 1) + 1;
        atomic_fetch_add(&s->connections_total, 1);
        if (s->o.max_connections > 0 && now > (uint64_t)s->o.max_connections) {
            struct err e;
            err_set(&e, ERR_BUSY, "there are %d connections, as many as max.connections lets be",
                    s->o.max_connections);
            server_complain(s, "a new connection", &e);
            atomic_fetch_add(&s->refused, 1);
            atomic_fetch_sub(&s->connections, 1);
            io_close(fd);
            continue;
        }
        hand_over(l, fd, listener);
    }
}

/* ---- time ---- */

static void run_timers(struct loop *l, int64_t now)
{
    for (struct request *c; (c = timers_first(l)) != NULL && c->deadline <= now;)
        fetch_wake(c, true);
}

static void close_idle(struct loop *l, int64_t now)
{
    for (struct conn *c = l->conns_last, *before; c != NULL && now - c->active_ms >= l->server->o.idle_ms;
         c = before) {
        before = c->before;
        if (c->first == NULL ||
            c->first->ready) /* who waits for an answer is not idle, who does not take it is */
            conn_close(c);
        else
            conn_touch(c);
    }
}

/*
 * While memory for requests is short, whoever has some for a part of one must go on sending: PACE_BYTES in STUCK_MS at least, as
 * others wait for it. Those that are not read, as they wait for the budget or for what came before, are not to blame.
 */
static void close_stuck(struct loop *l, int64_t now)
{
    struct err e;
    if (atomic_load(&l->server->stalled) == 0) {
        l->short_since = 0;
        return;
    }
    if (l->short_since == 0)
        l->short_since = now;
    for (struct conn *c = l->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->body_cap == 0 || !conn_wants_bytes(c))
            continue;
        int64_t since = c->paced_ms > l->short_since ? c->paced_ms : l->short_since;
        if (now - since < STUCK_MS)
            continue;
        if (c->body_len - c->paced_len >= PACE_BYTES) {
            conn_pace(c, now);
            continue;
        }
        err_set(&e, ERR_TIMEOUT,
                "memory for requests is short, and %zu of %zu bytes of one came, less than %d of them in the "
                "last %d s",
                c->body_len, c->frame, PACE_BYTES, STUCK_MS / 1000);
        conn_fail(c, &e);
    }
}

static void retry_stalled(struct loop *l)
{
    if (atomic_load(&l->server->stalled) == 0)
        return;
    for (struct conn *c = l->conns, *next; c != NULL; c = next) {
        next = c->next;
        if (c->stalled) {
            c->stalled = false;
            atomic_fetch_sub(&l->server->stalled, 1);
            conn_go_on(c);
        }
    }
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Milliseconds that nothing is due for; -1: for ever. */
static int quiet_time(struct loop *l, int64_t now)
{
    int64_t until = INT64_MAX;
    struct request *first = timers_first(l);
    if (first != NULL)
        until = first->deadline;
    if (l->conns_last != NULL)
        until = sooner(until, l->conns_last->active_ms + l->server->o.idle_ms);
    if (l->accept_at != 0)
        until = sooner(until, l->accept_at);
    if (atomic_load(&l->server->stalled) > 0) /* also close_stuck is looked after then */
        until = sooner(until, now + STALLED_RETRY_MS);
    if (until == INT64_MAX)
        return -1;
    int64_t left = until - now;
    return left < 0 ? 0 : left > 3600000 ? 3600000 : (int)left;
}

/* ---- the thread ---- */

/* No request begins any more; those that wait for records are answered. */
static void see_stop(struct loop *l)
{
    l->stop_seen = true;
    if (l->listening)
        watch_listeners(l, false);
    l->accept_at = 0;
    for (struct conn *c = l->conns, *next; c != NULL; c = next) {
        next = c->next;
        conn_stop(c);
        if (!c->closed && c->first == NULL)
            conn_close(c);
    }
}

static void cut_all(struct loop *l)
{
    while (l->conns != NULL)
        conn_close(l->conns);
}

static void handle(struct loop *l, const struct epoll_event *ev)
{
    struct server *s = l->server;
    const struct listener *listener = ev->data.ptr;
    if (listener >= s->listeners && listener < s->listeners + s->listener_count)
        accept_some(l, listener);
    else
        conn_ready(ev->data.ptr, ev->events);
}

/* Once for all requests that came together, so that they share a sync. */
static void push(struct loop *l)
{
    if (l->staged)
        broker_produce_push(l->server->broker);
    l->staged = false;
}

/* Requests before answers: those that came are written while these are sent. */
static void handle_all(struct loop *l, const struct epoll_event *events, int n)
{
    bool posted = false;
    l->ready = n;
    for (int i = 0; i < n; i++) {
        if (events[i].data.ptr != NULL)
            handle(l, &events[i]);
        else
            posted = true;
    }
    push(l);
    if (posted)
        run_posts(l);
}

static bool round_of(struct loop *l)
{
    struct epoll_event events[EVENTS];
    struct server *s = l->server;
    int n = epoll_wait(l->epoll, events, EVENTS, quiet_time(l, clock_mono_ms()));
    handle_all(l, events, n);
    int64_t now = clock_mono_ms();
    run_timers(l, now);
    retry_stalled(l);
    if (l->accept_at != 0 && now >= l->accept_at) {
        l->accept_at = 0;
        watch_listeners(l, true);
    }
    if (atomic_load(&s->stopping) && !l->stop_seen)
        see_stop(l);
    if (atomic_load(&s->cut))
        cut_all(l);
    close_idle(l, now);
    close_stuck(l, now);
    push(l);
    conn_reap(l);
    return !(l->stop_seen && l->live == 0);
}

static void *run(void *arg)
{
    struct loop *l = arg;
    l->self = pthread_self();
    while (round_of(l)) {
    }
    run_posts(l); /* arrivals that nobody takes */
    return NULL;
}

int loop_start(struct loop *l, struct server *s, int number, struct err *e)
{
    char name[16];
    l->server = s;
    l->number = number;
    mutex_init(&l->lock);
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->epoll < 0 || l->event < 0)
        return err_sys(e, errno, "cannot make an event loop");
    struct epoll_event ev = {.events = EPOLLIN};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->event, &ev) != 0)
        return err_sys(e, errno, "cannot watch an event");
    if (number == 0)
        watch_listeners(l, true);
    snprintf(name, sizeof name, "kafka-net-%d", number % 1000);
    return thread_start(&l->thread, name, run, l, e);
}

void loop_stop(struct loop *l)
{
    if (l->server == NULL)
        return;   /* it was never begun */
    run_posts(l); /* a connection that another loop handed over after this one had ended */
    for (struct request *c = l->spare, *next; c != NULL; c = next) {
        next = c->next;
        arena_free(&c->arena);
        buf_free(&c->out);
        mem_free(c);
    }
    mem_free(l->timers);
    io_close(l->event);
    io_close(l->epoll);
    pthread_mutex_destroy(&l->lock);
}
