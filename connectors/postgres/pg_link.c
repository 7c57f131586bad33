/*
 * pg_link: libpq allows one thread at a time, so a lock is held around each of its calls and never while waiting. What it has is
 * taken out many messages at a time, into a queue of two halves: one that the task's thread takes from, without a lock, and one
 * that is filled meanwhile, by the keeper if the task's thread is away.
 * Protocol: https://www.postgresql.org/docs/current/protocol-replication.html.
 */
#include "pg_link.h"

#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "pg_conn.h"
#include "pgoutput.h"

#define DATA_HEADER 25     /* 'w', start, end, time */
#define KEEPALIVE_BYTES 18 /* 'k', end, time, whether to reply */
#define STATUS_BYTES 34    /* 'r', written, flushed, applied, time, whether to reply */
#define PINGS 3            /* questions before a silent server counts as gone */
#define TLS_READS                                                                                            \
    3 /* that take all of a record (16 KiB, into 8 KiB of room or more): poll does not see its rest */
#define KEEPER_SHARE 4 /* of wal_sender_timeout that may pass without an update */
#define LENGTH_BYTES 4 /* in front of a queued message */
#define QUEUE_BYTES                                                                                          \
    ((size_t)1 << 20) /* of one half: some 20 ms of what a server sends at its fastest; more is slower */
#define QUEUED_MAX (QUEUE_BYTES / 16) /* a larger message is kept as libpq gave it, the last of its half */
#define LAZY_NS 16000000              /* at most between looks of the keeper for more that bring nothing */

/*
 * How long the server is let go on by itself. A Unix socket has room for 277 small messages (208 KiB by Linux' default, of which each
 * takes 768 bytes), which a server sends in 0.6 ms; then it has to stop. TCP has room for more, packs what waits together, and
 * makes the sender pay for each look: 8 ms were 1.4 times as fast as 1 ms.
 */
#define REST_UNIX_NS 250000
#define REST_TCP_NS 8000000

struct queue {
    uint8_t *data; /* of QUEUE_BYTES */
    size_t at, len;
    char *large; /* of libpq, behind all others; NULL: none */
    size_t large_n;
    bool given; /* the large one was */
};

struct pg_link {
    PGconn *conn;
    struct pg_link_options options;
    int64_t rest_ns;
    struct queue ready; /* the task's thread's */
    pthread_mutex_t lock;
    /* with the lock: */
    struct queue ahead;       /* what came behind that */
    int over;                 /* what PQgetCopyData returned when the stream ended, or broke; 0: it goes on */
    bool away;                /* the keeper is to read */
    int64_t look_ns, lazy_ns; /* when it does next; how long it waits between */
    uint64_t received, durable, told;
    int64_t sent_ms, heard_ms;
    int64_t asked_ms, first_asked_ms; /* since it was heard last; 0: not */
    bool broken;                      /* an update could not be sent */
    /* the keeper: */
    pthread_t keeper;
    pthread_cond_t wake;
    bool keeping, ending;
};

/* ---- sending ---------------------------------------------------------------------------------------------------- */

/* With the lock. */
static bool send_status(struct pg_link *l, bool ask)
{
    uint8_t m[STATUS_BYTES];
    uint64_t confirmed = l->options.confirm ? l->durable : 0;
    m[0] = 'r';
    /* What came is told as written: else a server that is ahead sends keepalives without end. */
    put_be64(m + 1, l->received);
    put_be64(m + 9, confirmed);
    put_be64(m + 17, confirmed);
    put_be64(m + 25, (uint64_t)(clock_wall_ms() * 1000 - PG_EPOCH_US));
    m[33] = ask;
    if (PQputCopyData(l->conn, (const char *)m, STATUS_BYTES) < 0 || PQflush(l->conn) < 0)
        l->broken = true;
    l->told = l->durable;
    l->sent_ms = clock_mono_ms();
    if (ask) {
        l->asked_ms = l->sent_ms;
        if (!l->first_asked_ms)
            l->first_asked_ms = l->sent_ms;
    }
    return !l->broken;
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

static bool has_room(const struct queue *q)
{
    return q->len + LENGTH_BYTES + QUEUED_MAX <= QUEUE_BYTES && !q->large;
}

static bool is_empty(const struct queue *q)
{
    return q->at == q->len && (!q->large || q->given);
}

/* With the lock. A sign of life, and perhaps a question. What is no message is told of when it is taken. */
static void hear(struct pg_link *l, const uint8_t *p, size_t n)
{
    bool keepalive = n == KEEPALIVE_BYTES && p[0] == 'k';
    l->asked_ms = l->first_asked_ms = 0;
    if (!keepalive && !(n >= DATA_HEADER && p[0] == 'w'))
        return;
    if (be64(p + 1) > l->received)
        l->received = be64(p + 1);
    if (keepalive && p[17])
        send_status(l, false);
}

/* Takes a message of libpq's over. */
static void push(struct queue *q, char *message, size_t n)
{
    if (n > QUEUED_MAX) {
        q->large = message;
        q->large_n = n;
        return;
    }
    put_be32(q->data + q->len, (uint32_t)n);
    memcpy(q->data + q->len + LENGTH_BYTES, message, n);
    q->len += LENGTH_BYTES + n;
    PQfreemem(message);
}

/* With the lock. What is there, or else what one read brings, to the messages ahead. False: nothing, or no room. */
static bool fill(struct pg_link *l)
{
    struct queue *q = &l->ahead;
    bool any = false;
    int reads = PQsslInUse(l->conn) ? TLS_READS : 1;
    while (l->over == 0 && has_room(q)) {
        char *message = NULL;
        int n = PQgetCopyData(l->conn, &message, 1);
        if (n > 0) {
            hear(l, (const uint8_t *)message, (size_t)n);
            push(q, message, (size_t)n);
            any = true;
        } else if (n < 0) {
            l->over = n;
        } else if (any || reads-- == 0) {
            break;
        } else if (!PQconsumeInput(l->conn)) {
            l->over = -2;
        }
    }
    if (any)
        l->heard_ms = clock_mono_ms();
    return any;
}

/* ---- the keeper ------------------------------------------------------------------------------------------------- */

static int64_t keeper_ms(const struct pg_link *l)
{
    int64_t share = l->options.sender_ms / KEEPER_SHARE;
    return share > 0 && share < l->options.status_ms ? share : l->options.status_ms;
}

/* With the lock. */
static void read_ahead(struct pg_link *l)
{
    bool any = false;
    while (fill(l))
        any = true;
    l->away = l->over == 0 && has_room(&l->ahead);
    l->lazy_ns = any ? l->rest_ns : 2 * l->lazy_ns;
    if (l->lazy_ns > LAZY_NS)
        l->lazy_ns = LAZY_NS;
    l->look_ns = clock_mono_ns() + l->lazy_ns;
}

static void wait_ns(struct pg_link *l, int64_t ns)
{
    int64_t until = clock_mono_ns() + ns;
    struct timespec deadline = {until / 1000000000, until % 1000000000};
    cond_wait_until(&l->wake, &l->lock, &deadline);
}

/* With the lock. In how many ns the keeper has something to do; 0: now. */
static int64_t keeper_due_ns(const struct pg_link *l, bool *look)
{
    int64_t now = clock_mono_ns();
    int64_t status = (l->sent_ms + keeper_ms(l)) * 1000000 - now, left = l->away ? l->look_ns - now : status;
    *look = l->away && left <= 0;
    left = left < status ? left : status;
    return left < 0 ? 0 : left;
}

static void *keep(void *arg)
{
    struct pg_link *l = arg;
    bool look;
    pthread_mutex_lock(&l->lock);
    while (!l->ending && !l->broken) {
        int64_t left = keeper_due_ns(l, &look);
        if (look)
            read_ahead(l);
        else if (left == 0)
            send_status(l, false);
        else
            wait_ns(l, left);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static bool is_unix(int fd)
{
    int domain = 0;
    return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &(socklen_t){sizeof domain}) == 0 &&
           domain == AF_UNIX;
}

int pg_link_new(PGconn *c, const struct pg_link_options *o, struct pg_link **out, struct err *e)
{
    struct pg_link *l = mem_calloc(1, sizeof *l);
    if (!l) {
        PQfinish(c);
        return err_nomem(e);
    }
    l->conn = c;
    l->options = *o;
    l->rest_ns = is_unix(PQsocket(c)) ? REST_UNIX_NS : REST_TCP_NS;
    l->durable = l->received = o->durable;
    l->sent_ms = l->heard_ms = clock_mono_ms();
    mutex_init(&l->lock);
    cond_init(&l->wake);
    l->ready.data = mem_alloc(QUEUE_BYTES);
    l->ahead.data = mem_alloc(QUEUE_BYTES);
    int rc = !l->ready.data || !l->ahead.data ? err_nomem(e)
             : PQsetnonblocking(c, 1) == 0    ? thread_start(&l->keeper, "pg-keeper", keep, l, e)
                                              : pg_error(c, NULL, "replication", e);
    if (rc != ERR_OK) {
        pg_link_free(l);
        return rc;
    }
    l->keeping = true;
    *out = l;
    return ERR_OK;
}

static void queue_free(struct queue *q)
{
    PQfreemem(q->large);
    mem_free(q->data);
}

void pg_link_free(struct pg_link *l)
{
    if (!l)
        return;
    pthread_mutex_lock(&l->lock);
    l->ending = true;
    pthread_cond_signal(&l->wake);
    if (l->keeping && !l->broken && l->told != l->durable)
        send_status(l, false);
    pthread_mutex_unlock(&l->lock);
    if (l->keeping)
        pthread_join(l->keeper, NULL);
    queue_free(&l->ready);
    queue_free(&l->ahead);
    PQfinish(l->conn);
    pthread_cond_destroy(&l->wake);
    pthread_mutex_destroy(&l->lock);
    mem_free(l);
}

/* ---- taking ----------------------------------------------------------------------------------------------------- */

int64_t pg_link_rest_ns(const struct pg_link *l)
{
    return l->rest_ns;
}

void pg_link_read_ahead(struct pg_link *l)
{
    pthread_mutex_lock(&l->lock);
    l->away = l->over == 0 && !l->ready.large; /* so that there are never two large ones */
    l->lazy_ns = l->rest_ns;
    l->look_ns = clock_mono_ns() + l->rest_ns;
    pthread_cond_signal(&l->wake);
    pthread_mutex_unlock(&l->lock);
}

/* With the lock. The server ends COPY when it stops, and tells why in a result. */
static int ended(struct pg_link *l, struct err *e)
{
    PGresult *r = l->over == -1 ? PQgetResult(l->conn) : NULL;
    if (r && PQresultStatus(r) == PGRES_FATAL_ERROR)
        return pg_error(l->conn, r, "the replication stream ended", e);
    PQclear(r);
    if (l->over == -1)
        return err_set(e, ERR_CONNECTION, "the server ended the replication stream");
    pg_error(l->conn, NULL, "the replication stream ended", e);
    return e->code;
}

/* The task's thread has taken all that it had. */
static int turn(struct pg_link *l, struct err *e)
{
    struct queue done = l->ready;
    done.at = done.len = 0;
    pthread_mutex_lock(&l->lock);
    l->away = false;
    if (is_empty(&l->ahead))
        fill(l);
    l->ready = l->ahead;
    l->ahead = done;
    int rc = is_empty(&l->ready) && l->over != 0 ? ended(l, e) : ERR_OK;
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static int parse(const uint8_t *p, size_t n, struct pg_link_message *out, struct err *e)
{
    if (n >= DATA_HEADER && p[0] == 'w') {
        out->data = p + DATA_HEADER;
        out->n = n - DATA_HEADER;
        out->lsn = be64(p + 1);
        out->sent_us = (int64_t)(be64(p + 17) + (uint64_t)PG_EPOCH_US);
        return ERR_OK;
    }
    if (n == KEEPALIVE_BYTES && p[0] == 'k') {
        out->data = NULL;
        out->n = 0;
        out->lsn = be64(p + 1);
        out->sent_us = (int64_t)(be64(p + 9) + (uint64_t)PG_EPOCH_US);
        return ERR_OK;
    }
    return err_set(e, ERR_CORRUPT, "a message 0x%02x of %zu bytes in the replication stream", n ? p[0] : 0,
                   n);
}

int pg_link_fetch(struct pg_link *l, bool *got, struct pg_link_message *out, struct err *e)
{
    struct queue *q = &l->ready;
    *got = false;
    if (q->given) {
        PQfreemem(q->large);
        q->large = NULL;
        q->given = false;
    }
    if (is_empty(q) && turn(l, e) != ERR_OK)
        return e->code;
    if (is_empty(q))
        return ERR_OK;
    *got = true;
    if (q->at == q->len) {
        q->given = true;
        return parse((const uint8_t *)q->large, q->large_n, out, e);
    }
    const uint8_t *p = q->data + q->at;
    q->at += LENGTH_BYTES + be32(p);
    return parse(p + LENGTH_BYTES, be32(p), out, e);
}

void pg_link_durable(struct pg_link *l, uint64_t lsn)
{
    pthread_mutex_lock(&l->lock);
    if (lsn > l->durable)
        l->durable = lsn;
    pthread_mutex_unlock(&l->lock);
}

static int64_t ping_ms(const struct pg_link *l)
{
    return l->options.silence_ms / (PINGS + 1);
}

/* Only a question that had time to be answered counts: nobody may have listened before. */
static bool is_lost(const struct pg_link *l, int64_t now)
{
    return l->first_asked_ms && now - l->first_asked_ms > ping_ms(l) * PINGS;
}

int pg_link_tend(struct pg_link *l, bool listening, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&l->lock);
    int64_t now = clock_mono_ms();
    if (!listening) {
        l->heard_ms = now;
        l->asked_ms = l->first_asked_ms = 0;
    }
    if (l->broken || PQflush(l->conn) < 0)
        rc = pg_error(l->conn, NULL, "the replication stream broke", e);
    else if (is_lost(l, now))
        rc =
            err_set(e, ERR_CONNECTION, "the server did not answer for %lld ms: the connection counts as lost",
                    (long long)(now - l->first_asked_ms));
    else if (now - l->heard_ms > ping_ms(l) && now - l->asked_ms > ping_ms(l))
        send_status(l, true);
    else if (now - l->sent_ms >= l->options.status_ms)
        send_status(l, false);
    pthread_mutex_unlock(&l->lock);
    return rc;
}

int64_t pg_link_due_ms(const struct pg_link *l)
{
    return l->options.status_ms < ping_ms(l) ? l->options.status_ms : ping_ms(l);
}

int pg_link_fd(const struct pg_link *l)
{
    return PQsocket(l->conn);
}
