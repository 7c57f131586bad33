/*
 * internal: what the files of core/server share: the server, its loops, connections and requests.
 *
 * A connection and its requests belong to one loop and are touched by its thread only, but for: a request whose handler runs in the
 * pool is the pool thread's until it is answered; `todo` and `pooled` of a connection are under the pool's lock.
 */
#ifndef LEAT_SERVER_INTERNAL_H
#define LEAT_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buf.h"
#include "broker/broker.h"
#include "group/consumer.h"
#include "protocol/api.h"
#include "protocol/messages.h"
#include "server/server.h"

#define SCRATCH_BYTES ((size_t)64 << 10) /* what a loop reads at once; smaller requests are cut out of it */
#define REQUESTS_MAX 64                  /* requests of a connection that are read and not answered */
#define REQUEST_ARENA_MAX ((size_t)64 << 20)
#define REPLY_MAX ((size_t)1 << 30) /* bytes of an answer, without records */

struct request;
struct conn;
struct loop;

/* Something for a loop to do, posted by any thread. Part of what it is about; not posted twice at a time. */
struct post {
    struct post *next;
    void (*run)(struct post *p); /* in the loop's thread */
};

/* Bytes of a segment that go into an answer, before byte `at` of what was encoded. */
struct reply_file {
    size_t at;
    const char *topic; /* in the request's arena */
    int32_t partition;
    struct log_range range;
    size_t bytes;
};

enum request_outcome {
    REQUEST_OPEN,
    REQUEST_ANSWERED, /* `out` and `files` are what the client gets */
    REQUEST_SILENT,   /* it gets nothing (Produce with acks=0) */
    REQUEST_CLOSE,    /* it gets nothing, and the connection is closed */
};

/* A request in work, and then its answer. */
struct request {
    struct request *next;      /* of the connection, in the order of arrival */
    struct request *next_todo; /* of those that wait for the pool */
    struct conn *conn;
    struct loop *loop;
    struct server *server;
    uint8_t *bytes; /* the request, without its length; its memory is taken from the server's budget */
    size_t size;
    struct msg_request_header header;
    const struct handler *handler;
    void *asked; /* decoded */
    struct arena arena;
    struct buf out; /* length, header and body */
    struct reply_file *files;
    size_t file_count;
    enum request_outcome outcome;
    bool ready; /* the loop knows of the outcome */
    struct post done;
    void (*answer)(
        struct request *c); /* builds the answer in the loop's thread, once others have done the work */
    void *work;             /* the handler's own */
    void (*pooled)(struct request *c); /* what the pool runs instead of the handler; NULL: that */
    /* of a handler that waits in the loop (fetch): */
    struct waiter *waiter;
    struct post bell;
    atomic_bool rung;  /* `bell` is posted */
    bool parked;       /* waits for the bell or the deadline */
    bool gone;         /* is to be freed by its bell, which is posted */
    int64_t deadline;  /* clock_mono_ms */
    size_t heap_index; /* in the loop's timers; SIZE_MAX: not there */
};

struct listener {
    int fd;
    int port; /* 0: a Unix socket */
    char *path;
    char *host; /* what clients are told */
    int told_port;
};

/* Ends by exactly one of request_reply, request_silent, request_close, sooner or later, from any thread. */
struct handler {
    int16_t key;
    int16_t min, max; /* versions that are offered */
    int16_t accept;   /* versions below this are refused, though offered: see contract, Produce */
    bool waits;       /* for a disk: runs in the pool */
    bool overlaps;    /* the next such request of the connection may begin before this one is answered */
    void (*run)(struct request *c);
    /* Of one that waits; may be NULL: does the same in the loop, if it need not wait. False: `run` has to, with what `work` has by then. */
    bool (*try)(struct request *c);
};
const struct handler *handlers(size_t *n); /* by rising key */
const struct handler *handler_find(int16_t key);

struct conn {
    struct conn *next, *before; /* of the loop, the one that was active last first */
    struct loop *loop;
    const struct listener *listener;
    int fd;
    char peer[64];
    char peer_host[64]; /* "/127.0.0.1", "/0:0:0:0:0:0:0:1", as Kafka shows it */
    uint32_t events;    /* what epoll watches */
    bool closing;       /* no further reading; closed when its requests are answered */
    bool closed;        /* the socket is; freed when no request is left */
    bool buried;        /* among the loop's dead ones, through `next` */
    bool answered;      /* among those with answers to send, through `next_answered` */
    struct conn *next_answered;
    bool stalled; /* waits for the budget */
    int64_t active_ms;
    struct buf in;     /* bytes that came and could not be looked at yet, as something has to be waited for */
    uint8_t length[4]; /* of the next request, as far as it came */
    size_t length_len;
    size_t frame; /* length of the request that is being read into `body`; 0: none */
    uint8_t *body;
    size_t body_len, body_cap;    /* what the budget gave is body_cap */
    int64_t paced_ms;             /* since when its pace is looked at, */
    size_t paced_len;             /* and how much had come then */
    struct request *first, *last; /* requests in order */
    size_t calls;
    size_t alone;        /* of them: those that do not overlap with others */
    size_t sent;         /* bytes of the first request's `out` */
    size_t sent_files;   /* of its files: how many, */
    size_t sent_of_file; /* and of the next one so many bytes */
    /* under the pool's lock: */
    struct request *todo, *todo_last;
    struct conn *next_pooled;
    uint64_t turn;
    bool pooled; /* queued or being run there */
    bool orphan; /* the loop is done with it: the pool hands it back by `release` */
    struct post release;
};

struct loop {
    struct server *server;
    pthread_t thread;
    pthread_t self; /* the same, set by itself before it runs anything */
    int number;
    int epoll, event;
    struct conn *conns, *conns_last;
    int ready;         /* what epoll told of in this round */
    size_t live;       /* connections in memory, also closed ones that wait for their requests */
    bool listening;    /* this loop accepts, and has its listeners in epoll */
    int64_t accept_at; /* clock_mono_ms: not before, after an error; 0: now */
    bool stop_seen;
    bool staged;         /* appends that may not be written until the loop pushes them */
    int64_t short_since; /* clock_mono_ms: connections wait for memory since then; 0: none does */
    struct conn *dead;
    struct conn *answered,
        *answered_last;   /* what is ready of theirs is sent when all that was posted is looked at */
    pthread_mutex_t lock; /* leaf: `posts` */
    struct post *posts, *posts_last;
    bool woken;              /* under the lock: the event was written */
    struct request **timers; /* a heap by deadline */
    size_t timer_count, timer_room;
    struct request *spare; /* requests for reuse */
    size_t spare_count;
    uint8_t scratch[SCRATCH_BYTES];
};

struct pool_queue {
    struct conn *first, *last;
};

struct pool {
    pthread_mutex_t lock;
    pthread_cond_t some;
    /* Connections by what they have there: Produces, or one request of another kind. */
    struct pool_queue slow, others;
    uint64_t turns;                 /* given to those that are queued */
    int32_t slow_running, slow_max; /* threads that run Produces, and that may */
    pthread_t *threads;
    int32_t count;
    bool stop;
};

struct server {
    struct server_options o;
    struct broker *broker;
    struct groups *groups;
    struct fetch_sessions *fetch_sessions;
    struct listener *listeners;
    size_t listener_count;
    struct loop *loops;
    int32_t loop_count, loops_started;
    struct pool pool;
    atomic_int next_loop;
    atomic_bool stopping; /* no new connection, no further request */
    atomic_bool cut;      /* and now everything is closed */
    atomic_uint_fast64_t connections, connections_total, requests, request_bytes, response_bytes, refused;
    _Atomic(int64_t) queued;                /* bytes of requests in memory */
    _Atomic(const struct conn *) exceeding; /* the one that may go beyond the budget: see budget.c */
    atomic_int stalled;                     /* connections that wait for the budget */
    _Atomic(int64_t) complained_ms;
};

/* ---- request.c ---------------------------------------------------------------------------------------------------- */

/* Of the bytes, which it takes over; NULL: no memory, and they are still the caller's. */
struct request *request_new(struct conn *conn, uint8_t *bytes, size_t size);
void request_free(struct request *c); /* in the loop's thread */
/* Gives back the memory that the request came in, and what it took of the budget: texts and bytes that were decoded from it are gone. */
void request_let_go(struct request *c);
/* Decodes header and body and finds the handler. Anything but ERR_OK: the connection is to be closed, or, if the request has an
 * outcome by then, it is answered. */
int request_begin(struct request *c, struct err *e);
/* Encodes the answer of the request's own schema and version. */
void request_reply(struct request *c, const void *response);
/* Likewise with records that stay in their segments: the ranges, one for each records field without bytes but with a length. */
void request_reply_files(struct request *c, const void *response, struct reply_file *files, size_t n);
void request_silent(struct request *c);
/* Has `answer` called in the loop's thread, as soon as it gets to it. From any thread; the last that the caller does with the request. */
void request_answer_later(struct request *c, void (*answer)(struct request *c));
void request_close(struct request *c, const struct err *why);
/* Text of a request as a C string in the request's arena, NULL without memory. There is no NUL inside. */
char *request_string(struct request *c, struct msg_string s);
void *request_alloc(struct request *c, size_t count,
                    size_t size); /* zeros; NULL: no memory, and the request was closed */
void *request_try_alloc(struct request *c, size_t count, size_t size); /* the same; NULL: no memory, only */

/* ---- conn.c, conn_send.c --------------------------------------------------------------------------------------- */

void conn_open(struct loop *l, int fd, const struct listener *listener);
void conn_ready(struct conn *c, uint32_t events);
/* Both: false when the connection is closed. A connection's memory stays until the loop's round is over (conn_reap). */
bool conn_go_on(struct conn *c);          /* begins what was read and may begin now; has more read */
bool conn_flush(struct conn *c);          /* writes what is answered */
void conn_flush_later(struct conn *c);    /* once the loop has looked at all that was posted, */
void conn_flush_answered(struct loop *l); /* by this */
void conn_close(struct conn *c);
void conn_fail(struct conn *c, const struct err *why); /* closes, and says why */
bool conn_wants_bytes(const struct conn *c);           /* more could be used now */
bool conn_watch(struct conn *c); /* has epoll watch what is wanted; false: the connection was closed */
void conn_touch(struct conn *c);
void conn_pace(struct conn *c, int64_t now); /* from now on it has a while to go on with its request */
void conn_bury(struct conn *c); /* one that is closed and has no request left goes by the next conn_reap */
void conn_reap(struct loop *l);
void conn_stop(struct conn *c); /* no further request; closed when all is answered */

/* ---- loop.c, timers.c ------------------------------------------------------------------------------------------ */

int loop_start(struct loop *l, struct server *s, int number, struct err *e);
void loop_stop(struct loop *l); /* waits for the thread; frees */
void loop_post(struct loop *l, struct post *p);
void loop_wake(struct loop *l);
int timers_add(struct loop *l, struct request *c, struct err *e);
void timers_remove(struct loop *l, struct request *c);
struct request *timers_first(const struct loop *l);

/* ---- server.c -------------------------------------------------------------------------------------------------- */

/* Says why a connection is closed, at most once a second: clients that do it again and again are not to fill the log. */
void server_complain(struct server *s, const char *peer, const struct err *why);
void server_peer_name(int fd, char *out, size_t size);
void server_peer_host(int fd, char *out, size_t size);

/* ---- budget.c -------------------------------------------------------------------------------------------------- */

bool budget_take(struct server *s, size_t bytes); /* false: there is none now */
void budget_give(struct server *s, size_t bytes);
/* More for a request of which a part came already: the connection may be the one that goes beyond. */
bool budget_take_more(struct conn *c, size_t bytes);
void budget_within(struct conn *c); /* its request is whole, or gone */

/* ---- pool.c ---------------------------------------------------------------------------------------------------- */

int pool_start(struct pool *p, int32_t threads, struct err *e);
void pool_stop(struct pool *p);
void pool_run(struct pool *p, struct request *c);
bool pool_idle(struct pool *p, const struct conn *c); /* nothing of the connection is queued or run there */
/* Whether the pool still looks at the connection: it posts `release` when it does no longer. */
bool pool_keeps(struct pool *p, struct conn *c);

/* ---- fetch.c: a fetch that waits in the loop -------------------------------------------------------------------- */

void fetch_wake(struct request *c, bool last); /* looks again; `last`: it is answered whatever there is */
void fetch_cancel(struct request *c);          /* its connection is gone */
void fetch_failed(struct request *c,
                  const struct reply_file *f); /* the bytes could not be read: the broker is told */

/* ---- consumer_groups.c ----------------------------------------------------------------------------------------- */

struct group_topics consumer_topics(struct server *s); /* the broker's, as groups ask for them */
/* What groups have of their own settings, likewise. `arg` is the server. */
void consumer_timing(void *arg, const char *group, int32_t *session_ms, int32_t *heartbeat_ms);

/* ---- listen.c -------------------------------------------------------------------------------------------------- */

int listener_open(struct listener *l, const char *address, const char *advertised, struct err *e);
void listener_close(struct listener *l);

#endif
