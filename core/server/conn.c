/*
 * conn: a connection's way in: bytes become requests, requests begin. The loop's thread.
 *
 * A request is begun when it is whole and may overlap with those that are not answered yet. Until then the connection is not
 * read, but for what the loop's scratch had already, which waits in `in`.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/io.h"
#include "base/mem.h"
#include "server/internal.h"

#define SMALLEST_REQUEST 8 /* key, version, correlation */
#define KEY_BYTES 2        /* of a request's beginning, which say what it is */
#define SMALLEST_BODY 512  /* memory that a request begins with, where fewer bytes came */

/* ---- the list of a loop: the one that was active last comes first ---- */

static void unlink_conn(struct conn *c)
{
    struct loop *l = c->loop;
    *(c->before != NULL ? &c->before->next : &l->conns) = c->next;
    *(c->next != NULL ? &c->next->before : &l->conns_last) = c->before;
}

static void link_first(struct conn *c)
{
    struct loop *l = c->loop;
    c->before = NULL;
    c->next = l->conns;
    *(l->conns != NULL ? &l->conns->before : &l->conns_last) = c;
    l->conns = c;
}

void conn_touch(struct conn *c)
{
    c->active_ms = clock_mono_ms();
    if (c->loop->conns != c) {
        unlink_conn(c);
        link_first(c);
    }
}

void conn_pace(struct conn *c, int64_t now)
{
    c->paced_ms = now;
    c->paced_len = c->body_len;
}

/* ---- beginning and end ---- */

/* Memory goes at the end of the loop's round, as somebody further up may still look at it. */
void conn_bury(struct conn *c)
{
    struct loop *l = c->loop;
    if (!c->closed || c->first != NULL || c->buried)
        return;
    c->buried = true;
    c->next = l->dead;
    l->dead = c;
}

void conn_reap(struct loop *l)
{
    for (struct conn *c = l->dead, *next; c != NULL; c = next) {
        next = c->next;
        c->buried = false;
        if (pool_keeps(&l->server->pool, c))
            continue;
        l->live--;
        buf_free(&c->in);
        mem_free(c);
    }
    l->dead = NULL;
}

static void released(struct post *p)
{
    conn_bury((struct conn *)((char *)p - offsetof(struct conn, release)));
}

void conn_open(struct loop *l, int fd, const struct listener *listener)
{
    struct server *s = l->server;
    struct conn *c = mem_calloc(1, sizeof *c);
    struct err e;
    if (c == NULL) {
        io_close(fd);
        atomic_fetch_sub(&s->connections, 1);
        err_nomem(&e);
        server_complain(s, "a new connection", &e);
        return;
    }
    c->loop = l;
    c->fd = fd;
    c->listener = listener;
    c->release.run = released;
    buf_init(&c->in, SCRATCH_BYTES * 2);
    server_peer_name(fd, c->peer, sizeof c->peer);
    server_peer_host(fd, c->peer_host, sizeof c->peer_host);
    l->live++;
    link_first(c);
    conn_touch(c);
    struct epoll_event ev = {.events = c->events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &ev) != 0) {
        err_sys(&e, errno, "cannot watch a connection");
        conn_fail(c, &e);
    }
}

static void drop_body(struct conn *c)
{
    budget_within(c);
    mem_free(c->body);
    if (c->body_cap > 0)
        budget_give(c->loop->server, c->body_cap);
    c->body = NULL;
    c->body_len = c->body_cap = c->frame = c->length_len = 0;
}

static void set_stalled(struct conn *c, bool stalled)
{
    if (c->stalled != stalled)
        atomic_fetch_add(&c->loop->server->stalled, stalled ? 1 : -1);
    c->stalled = stalled;
}

void conn_close(struct conn *c)
{
    if (c->closed)
        return;
    c->closed = c->closing = true;
    set_stalled(c, false);
    unlink_conn(c);
    io_close(c->fd); /* and out of epoll */
    drop_body(c);
    atomic_fetch_sub(&c->loop->server->connections, 1);
    for (struct request *call = c->first; call != NULL; call = call->next)
        if (call->parked)
            fetch_cancel(call);
    conn_flush(c);
    conn_bury(c);
}

void conn_fail(struct conn *c, const struct err *why)
{
    if (c->closed)
        return;
    atomic_fetch_add(&c->loop->server->refused, 1);
    server_complain(c->loop->server, c->peer, why);
    conn_close(c);
}

void conn_stop(struct conn *c)
{
    c->closing = true;
    for (struct request *call = c->first, *next; call != NULL; call = next) {
        next = call->next;
        if (call->parked)
            fetch_wake(call, true); /* may end the connection, if it is the only request */
    }
    conn_watch(c); /* what still comes is not read, and must not wake the loop again and again */
}

/* ---- requests ---- */

static bool may_begin(const struct conn *c, const uint8_t *request)
{
    const struct handler *h = handler_find((int16_t)be16(request));
    return c->calls == 0 || (h != NULL && h->overlaps && c->alone == 0 && c->calls < REQUESTS_MAX);
}

/* In the loop, or in the pool where it waits; what comes behind one that is there goes there, too: appends keep their order. */
static void run(struct request *call)
{
    struct pool *p = &call->server->pool;
    const struct handler *h = call->handler;
    if (!h->waits)
        h->run(call);
    else if (h->try == NULL || !pool_idle(p, call->conn) || !h->try(call))
        pool_run(p, call);
}

/* The body is whole. False: the connection was closed. */
static bool begin(struct conn *c)
{
    struct server *s = c->loop->server;
    struct err e;
    struct request *call = request_new(c, c->body, c->frame);
    if (call == NULL) {
        err_nomem(&e);
        conn_fail(c, &e);
        return false;
    }
    atomic_fetch_add(&s->requests, 1);
    atomic_fetch_add(&s->request_bytes, c->frame + sizeof c->length);
    budget_within(c);
    c->body = NULL; /* the request's now, with what it has of the budget */
    c->body_len = c->body_cap = c->frame = c->length_len = 0;
    *(c->last != NULL ? &c->last->next : &c->first) = call;
    c->last = call;
    c->calls++;
    int rc = request_begin(call, &e);
    c->alone += call->handler == NULL || !call->handler->overlaps;
    if (rc != ERR_OK) {
        call->outcome = REQUEST_CLOSE;
        call->ready = true;
        c->closing = true; /* when those before are answered; nothing behind it begins */
        atomic_fetch_add(&s->refused, 1);
        server_complain(s, c->peer, &e);
    } else if (call->outcome == REQUEST_OPEN) {
        run(call);
    }
    return conn_flush(c);
}

/* Room for `more_bytes` of the body, at least: what it takes grows with what came, not with what was announced. False: not now. */
static bool grow_body(struct conn *c, size_t more_bytes)
{
    struct server *s = c->loop->server;
    size_t cap = c->body_cap > 0 ? c->body_cap * 2 : SMALLEST_BODY;
    if (cap < c->body_len + more_bytes)
        cap = c->body_len + more_bytes;
    if (cap > c->frame)
        cap = c->frame;
    bool more_of_it = c->body_len > 0;
    if (!(more_of_it ? budget_take_more(c, cap - c->body_cap) : budget_take(s, cap))) {
        set_stalled(c, true);
        return false;
    }
    set_stalled(c, false);
    uint8_t *more = mem_realloc(c->body, cap);
    if (more == NULL) {
        struct err e;
        budget_give(s, cap - c->body_cap);
        err_set(&e, ERR_NO_MEMORY, "no memory for a request of %zu bytes", c->frame);
        conn_fail(c, &e);
        return false;
    }
    if (c->body_cap == 0)
        conn_pace(c, clock_mono_ms());
    c->body = more;
    c->body_cap = cap;
    return true;
}

static bool begin_frame(struct conn *c)
{
    int32_t size = (int32_t)be32(c->length);
    struct err e;
    if (size >= SMALLEST_REQUEST && size <= c->loop->server->o.request_max_bytes) {
        c->frame = (size_t)size;
        return true;
    }
    err_set(&e, size > 0 && size >= SMALLEST_REQUEST ? ERR_TOO_LARGE : ERR_CORRUPT,
            "a request of %d bytes; between %d and %lld are taken", size, SMALLEST_REQUEST,
            (long long)c->loop->server->o.request_max_bytes);
    conn_fail(c, &e);
    return false;
}

/* What has to wait for the requests before it takes next to no room meanwhile: the rest stays with its client. */
static bool is_held(const struct conn *c)
{
    return c->body_len >= KEY_BYTES && c->body_len == c->body_cap && c->body_len < c->frame &&
           !may_begin(c, c->body);
}

static bool make_room(struct conn *c, const struct slice *from)
{
    size_t left = slice_left(from);
    bool waits = c->body_len == 0 && left >= KEY_BYTES && !may_begin(c, from->p);
    return !is_held(c) && grow_body(c, waits ? 0 : left);
}

/* Takes bytes into the request that is being read; true: go on with what is left. */
static bool take_some(struct conn *c, struct slice *from)
{
    size_t left = slice_left(from);
    if (c->frame == 0) {
        size_t n = sizeof c->length - c->length_len;
        n = n < left ? n : left;
        memcpy(c->length + c->length_len, from->p, n);
        c->length_len += n;
        from->p += n;
        return c->length_len < sizeof c->length || begin_frame(c);
    }
    if (c->body_len == c->body_cap && c->body_len < c->frame && !make_room(c, from))
        return false;
    size_t n = c->body_cap - c->body_len;
    n = n < left ? n : left;
    if (n > 0)
        mem_copy(c->body + c->body_len, from->p, n);
    c->body_len += n;
    from->p += n;
    if (c->body_len < c->frame)
        return true;
    return may_begin(c, c->body) && begin(c);
}

/* Cuts requests out of the bytes until they end or something has to be waited for. False: the connection is closed. */
static bool consume(struct conn *c, struct slice *from)
{
    bool whole = c->frame > 0 && c->body_len == c->frame;
    bool go = !c->closing;
    if (go && whole)
        go = may_begin(c, c->body) && begin(c);
    while (go && !c->closing && slice_left(from) > 0)
        go = take_some(c, from);
    return !c->closed;
}

bool conn_wants_bytes(const struct conn *c)
{
    return !c->closing && !c->stalled && c->in.len == 0 &&
           (c->frame == 0 || (c->body_len < c->frame && !is_held(c)));
}

bool conn_go_on(struct conn *c)
{
    if (c->closed)
        return false;
    struct slice from = slice_of(c->in.data, c->in.len);
    if (!consume(c, &from))
        return false;
    size_t left = slice_left(&from);
    if (left > 0 && left < c->in.len)
        memmove(c->in.data, from.p, left);
    c->in.len = left;
    if (left == 0)
        buf_free(&c->in);
    return conn_watch(c);
}

/* Bytes that the scratch has and that cannot be looked at now. */
static bool keep(struct conn *c, const struct slice *from)
{
    struct err e;
    if (slice_left(from) == 0 || buf_append(&c->in, from->p, slice_left(from), &e) == ERR_OK)
        return true;
    conn_fail(c, &e);
    return false;
}

/* The peer sends no more: what it sent is answered, then the connection ends. */
static bool ended(struct conn *c)
{
    conn_stop(c);
    if (!c->closed && c->first == NULL)
        conn_close(c);
    return false;
}

/* Reads once: into the request itself where much of it is missing, else into the loop's scratch. */
static bool read_once(struct conn *c)
{
    struct loop *l = c->loop;
    bool direct = c->frame > 0 && c->body_cap - c->body_len >= SCRATCH_BYTES / 2;
    void *to = direct ? c->body + c->body_len : l->scratch;
    ssize_t n = recv(c->fd, to, direct ? c->body_cap - c->body_len : SCRATCH_BYTES, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return !c->closed;
    if (n <= 0) /* a reset is the peer's way of going, too */
        return n == 0 ? ended(c) : (conn_close(c), false);
    conn_touch(c);
    struct slice from = slice_of(l->scratch, direct ? 0 : (size_t)n);
    c->body_len += direct ? (size_t)n : 0;
    return consume(c, &from) && keep(c, &from) && conn_watch(c);
}

void conn_ready(struct conn *c, uint32_t events)
{
    if (c->closed)
        return;
    if (events & (EPOLLERR | EPOLLHUP)) {
        conn_close(c);
        return;
    }
    if ((events & EPOLLOUT) && !(conn_flush(c) && conn_go_on(c)))
        return;
    if ((events & EPOLLIN) && conn_wants_bytes(c))
        read_once(c);
}

bool conn_watch(struct conn *c)
{
    if (c->closed)
        return false;
    uint32_t want = (conn_wants_bytes(c) ? (uint32_t)EPOLLIN : 0) |
                    (c->first != NULL && c->first->ready ? (uint32_t)EPOLLOUT : 0);
    if (want == c->events)
        return true;
    struct epoll_event ev = {.events = want, .data.ptr = c};
    if (epoll_ctl(c->loop->epoll, EPOLL_CTL_MOD, c->fd, &ev) == 0) {
        c->events = want;
        return true;
    }
    struct err e;
    err_sys(&e, errno, "cannot watch a connection");
    conn_fail(c, &e);
    return false;
}
