/*
 * conn_send: a connection's way out: answers in the order of the requests. The loop's thread.
 *
 * Records go from their segment's file to the socket by sendfile, so an answer takes no more memory than what was encoded of it.
 */
#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/mem.h"
#include "server/internal.h"

#define GATHER 32 /* small answers in one call of the system */
/* Of one connection, until others have their turn; less where some wait for it: ten that fetch 1 MiB at a time would hold up everybody for ms. */
#define ROUND_BYTES ((size_t)4 << 20)
#define SHARED_ROUND_BYTES ((size_t)256 << 10)

enum progress { MORE, DONE, FULL, BROKEN };

static void pop(struct conn *c)
{
    struct request *call = c->first;
    c->first = call->next;
    if (c->first == NULL)
        c->last = NULL;
    c->calls--;
    c->alone -= call->handler == NULL || !call->handler->overlaps;
    c->sent = c->sent_files = c->sent_of_file = 0;
    request_free(call);
}

static bool is_small(const struct request *call)
{
    return call != NULL && call->ready && call->outcome == REQUEST_ANSWERED && call->file_count == 0;
}

/* Answers without files, many at once. */
static enum progress send_small(struct conn *c, size_t *left)
{
    struct iovec v[GATHER];
    struct msghdr m = {.msg_iov = v};
    size_t from = c->sent;
    for (struct request *call = c->first; is_small(call) && m.msg_iovlen < GATHER;
         call = call->next, from = 0)
        v[m.msg_iovlen++] = (struct iovec){call->out.data + from, call->out.len - from};
    ssize_t n = sendmsg(c->fd, &m, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? FULL : BROKEN;
    atomic_fetch_add(&c->loop->server->response_bytes, (uint64_t)n);
    *left -= (size_t)n < *left ? (size_t)n : *left;
    c->sent += (size_t)n;
    while (is_small(c->first) && c->sent >= c->first->out.len) {
        size_t rest = c->sent - c->first->out.len;
        pop(c);
        c->sent = rest;
    }
    return c->sent > 0 ? FULL : DONE;
}

static enum progress send_memory(struct conn *c, size_t to)
{
    struct request *call = c->first;
    bool more = c->sent_files < call->file_count;
    ssize_t n = send(c->fd, call->out.data + c->sent, to - c->sent, MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? FULL : BROKEN;
    c->sent += (size_t)n;
    atomic_fetch_add(&c->loop->server->response_bytes, (uint64_t)n);
    return c->sent == to ? MORE : FULL;
}

static enum progress send_file(struct conn *c, size_t *left)
{
    struct reply_file *f = &c->first->files[c->sent_files];
    off_t at = (off_t)(f->range.position + (int64_t)c->sent_of_file);
    size_t want = f->bytes - c->sent_of_file;
    ssize_t n = sendfile(c->fd, f->range.fd, &at, want < *left ? want : *left);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return FULL;
    if (n <= 0) { /* the length was promised already: there is no way to say it but to hang up */
        struct err e;
        if (n < 0)
            err_sys(&e, errno, "records of a segment cannot be sent");
        else
            err_set(&e, ERR_IO, "a segment ends before its records");
        fetch_failed(c->first, f);
        server_complain(c->loop->server, c->peer, &e);
        return BROKEN;
    }
    atomic_fetch_add(&c->loop->server->response_bytes, (uint64_t)n);
    *left -= (size_t)n;
    c->sent_of_file += (size_t)n;
    if (c->sent_of_file < f->bytes)
        return *left == 0 ? FULL : MORE;
    c->sent_of_file = 0;
    c->sent_files++;
    return MORE;
}

/* An answer with files, as far as it goes. */
static enum progress send_mixed(struct conn *c, size_t *left)
{
    enum progress p = MORE;
    while (p == MORE && *left > 0) {
        struct request *call = c->first;
        bool more = c->sent_files < call->file_count;
        size_t to = more ? call->files[c->sent_files].at : call->out.len;
        if (c->sent < to)
            p = send_memory(c, to);
        else if (more)
            p = send_file(c, left);
        else
            p = DONE;
    }
    if (p == DONE)
        pop(c);
    return p == MORE ? FULL : p;
}

static enum progress send_first(struct conn *c, size_t *left)
{
    if (c->first->outcome == REQUEST_CLOSE)
        return BROKEN;
    if (c->first->outcome == REQUEST_SILENT) {
        pop(c);
        return DONE;
    }
    return c->first->file_count == 0 ? send_small(c, left) : send_mixed(c, left);
}

void conn_flush_later(struct conn *c)
{
    struct loop *l = c->loop;
    if (c->answered)
        return;
    c->answered = true;
    c->next_answered = NULL;
    *(l->answered != NULL ? &l->answered_last->next_answered : &l->answered) = c;
    l->answered_last = c;
}

void conn_flush_answered(struct loop *l)
{
    for (struct conn *c; (c = l->answered) != NULL;) {
        l->answered = c->next_answered;
        c->answered = false;
        if (conn_flush(c))
            conn_go_on(c);
    }
}

bool conn_flush(struct conn *c)
{
    size_t left = c->loop->ready > 1 ? SHARED_ROUND_BYTES : ROUND_BYTES;
    enum progress p = DONE;
    while (c->closed && c->first != NULL && c->first->ready)
        pop(c); /* there is nobody to tell */
    if (c->closed) {
        conn_bury(c);
        return false;
    }
    while (p == DONE && left > 0 && c->first != NULL && c->first->ready) {
        p = send_first(c, &left);
        if (p != BROKEN)
            conn_touch(c);
    }
    if (p == BROKEN || (c->closing && c->first == NULL)) {
        conn_close(c);
        return false;
    }
    for (struct request *call = c->first; call != NULL && call->ready; call = call->next)
        request_let_go(call); /* the client may take its time */
    return conn_watch(c);
}
