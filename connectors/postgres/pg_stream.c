/*
 * pg_stream: what comes by the replication connection is a row of transactions, and among them pieces of such that are not
 * committed yet, which are spooled. A spooled one is read back when it is committed, before anything else is read from the
 * connection, so that transactions come out one after the other in commit order.
 */
#include "pg_stream.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "kit/options.h"
#include "pg_link.h"
#include "pg_setup.h"
#include "pg_spool.h"
#include "pg_start.h"
#include "pg_txn.h"
#include "pgoutput.h"

#define POLL_MS 100            /* of work in one poll, also when little of it becomes events */
#define LOOK_EVERY 64          /* messages between looks at the clock and the bytes, ... */
#define LOOK_BYTES (256 << 10) /* ... or so much that was emitted, where rows are large */
#define REST_OF_MS 5    /* how long the rest of a transaction is waited for, which the server is sending */
#define BEHIND_US 30000 /* transactions that come so long after their commit are of a backlog, and then ... */
#define GATHER_MS 20    /* ... a poll takes this long, as few large transactions of the store cost less */
#define GATHER_STEP_NS 1000000 /* ... with rests so long, or the link's where much comes: */
#define FLOWING 16             /* messages since the last rest */
#define POLLS_REMEMBERED 64    /* that are not durable yet; more are told together */
#define IDLE_BYTES                                                                                           \
    (UINT64_C(16) << 20) /* of log without anything for us, after which the position is stored at once */

struct polled {
    uint64_t poll, lsn;
};

struct pg_stream {
    struct pg_task *task;
    struct pg_link *link; /* NULL: it is gone, and the task with it */
    struct err ended;     /* why the link ended; ERR_OK: it goes on */
    int version;
    bool in_progress; /* transactions may come before their commit */
    struct pgoutput_column columns[PG_COLUMNS_MAX];
    struct cdc_cell old[PG_COLUMNS_MAX], new_[PG_COLUMNS_MAX];
    struct pgoutput_room room;
    struct pg_txn *txn;
    struct pg_spools *spools;
    struct pg_spool *writing; /* between stream start and stop */
    struct pg_spool *reading; /* committed, being read back */
    uint64_t reading_end;     /* end of its commit */
    bool begun;               /* its first change was seen */
    struct pgoutput commit;   /* of it */
    uint64_t begin_lsn;       /* of its first change, as a begin message has it */
    bool behind;              /* the last transaction was committed a while before it came */
    unsigned fetched;         /* messages since the last rest */
    int64_t tended_ms;        /* when the host, and the connection, had time for what is theirs */
    uint64_t idle_lsn;        /* nothing for us is before it */
    int64_t idle_stored_ms, idle_every_ms;
    struct pg_stored stored; /* as it was stored last */
    struct polled polled[POLLS_REMEMBERED];
    size_t polled_count;
    uint64_t polled_lsn; /* of the last that was remembered */
};

static int fail(struct pg_stream *s, const struct err *e)
{
    return kit_fail(s->task->host, s->task->task, e);
}

/* ---- the link's end --------------------------------------------------------------------------------------------- */

/* After pg_link_free, as the slot is in use until then. The next attempt makes it anew. */
static int drop_slot(struct pg_stream *s, struct err *e)
{
    struct pg_task *t = s->task;
    struct err dropping;
    pg_link_free(s->link);
    s->link = NULL;
    if (pg_sql(t, &dropping) != ERR_OK || pg_slot_drop(t, &dropping) != ERR_OK) {
        err_wrap(&dropping, "the server cannot decode what follows in the slot");
        return fail(s, &dropping);
    }
    t->host->log(t->task, LEAT_WARN, "the slot %s is dropped, and the tables are read again: %s",
                 t->host->get_str(t->config, "slot.name"), e->text);
    e->retriable = true;
    return fail(s, e);
}

/*
 * Of transactions in progress there is a way around what the server cannot decode. Of committed ones there is none: the slot is bad
 * (pg_slot_helper.c). Only where the mode says so it is made anew at once: rows that were deleted between the two stay.
 */
static int cannot_decode(struct pg_stream *s, struct err *e)
{
    const struct pg_task *t = s->task;
    const char *name = t->host->get_str(t->config, "slot.name");
    if (s->in_progress) {
        if (pg_setup_whole_transactions())
            t->host->log(t->task, LEAT_WARN,
                         "the server cannot decode a transaction in progress (an error of older PostgreSQL "
                         "releases, or the slot's): from now on it sends all of them at their commit, as "
                         "with stream.large.transactions: false");
        return fail(s, e);
    }
    char said[ERR_TEXT_MAX];
    memcpy(said, e->text, sizeof said);
    err_set(
        e, ERR_REMOTE,
        "%.250s: the slot %s was made while tables were being altered, and the server cannot decode what "
        "follows (an "
        "error of PostgreSQL); SELECT pg_drop_replication_slot('%s'), and let the tables be read again by "
        "snapshot.mode: when_needed",
        said, name, name);
    e->retriable = false;
    return pg_start_reads_after_loss(t) ? drop_slot(s, e) : fail(s, e);
}

/*
 * A publication is looked up as it was when the changes were made: one that was made since, after the slot, is none for them, and
 * no waiting mends that.
 */
static int fail_ended(struct pg_stream *s)
{
    const struct pg_task *t = s->task;
    struct err e = s->ended;
    if (pg_setup_cannot_decode(&e))
        return cannot_decode(s, &e);
    if (e.code == ERR_NOT_FOUND)
        err_set(&e, ERR_NOT_FOUND,
                "%.300s: it was dropped, or made after changes that are still to come. Go on with the former "
                "publication.name until they are read; or SELECT pg_drop_replication_slot('%s'), and let the "
                "tables be read again by snapshot.mode: when_needed",
                s->ended.text, t->host->get_str(t->config, "slot.name"));
    return fail(s, &e);
}

static bool is_over(const struct pg_stream *s)
{
    return s->ended.code != ERR_OK;
}

/* What its failure says is kept: asked again the link would not know it. */
static void tend(struct pg_stream *s, bool listening)
{
    struct err e;
    if (!is_over(s) && pg_link_tend(s->link, listening, &e) != ERR_OK)
        s->ended = e;
}

/* ---- spooled transactions --------------------------------------------------------------------------------------- */

/* Of a message within a stream the (sub)transaction is its first member, but for origins. */
static int spool(struct pg_stream *s, const struct pg_link_message *m)
{
    struct err e;
    uint32_t xid = m->data[0] == 'O' ? 0 : m->n >= 5 ? be32(m->data + 1) : 0;
    return pg_spool_add(s->writing, xid, m->lsn, m->data, m->n, &e) == ERR_OK ? LEAT_OK : fail(s, &e);
}

static int stream_start(struct pg_stream *s, const struct pgoutput *m)
{
    struct err e;
    return pg_spools_get(s->spools, m->xid, m->first_segment, &s->writing, &e) == ERR_OK ? LEAT_OK
                                                                                         : fail(s, &e);
}

static int stream_stop(struct pg_stream *s)
{
    struct err e;
    int rc = pg_spool_pause(s->writing, &e);
    s->writing = NULL;
    return rc == ERR_OK ? LEAT_OK : fail(s, &e);
}

static int stream_abort(struct pg_stream *s, const struct pgoutput *m)
{
    struct err e;
    struct pg_spool *spool;
    int rc;
    if (m->xid == m->subxid) {
        rc = pg_spools_take(s->spools, m->xid, &spool, &e);
        if (rc == ERR_OK)
            pg_spool_free(spool);
    } else {
        rc = pg_spools_get(s->spools, m->xid, false, &spool, &e);
        if (rc == ERR_OK)
            rc = pg_spool_abort(spool, m->subxid, &e);
    }
    return rc == ERR_OK ? LEAT_OK : fail(s, &e);
}

/* Messages that only describe come before the first change, and have no LSN. */
static int find_begin(struct pg_stream *s, struct err *e)
{
    struct pg_spooled m = {.lsn = 0};
    int rc = pg_spool_rewind(s->reading, e);
    while (rc == ERR_OK && m.lsn == 0)
        rc = pg_spool_next(s->reading, &m, e);
    if (rc != ERR_OK && rc != ERR_END)
        return rc;
    s->begin_lsn = rc == ERR_OK ? m.lsn : s->commit.lsn;
    return pg_spool_rewind(s->reading, e);
}

static int stream_commit(struct pg_stream *s, const struct pgoutput *m)
{
    struct err e;
    s->commit = *m;
    s->begun = false;
    if (pg_spools_take(s->spools, m->xid, &s->reading, &e) != ERR_OK || find_begin(s, &e) != ERR_OK)
        return fail(s, &e);
    return LEAT_OK;
}

/* The next message of the spooled transaction, or its end. */
static int read_back(struct pg_stream *s)
{
    struct err e;
    struct pgoutput m;
    struct pg_spooled next;
    int rc = pg_spool_next(s->reading, &next, &e);
    if (rc != ERR_OK && rc != ERR_END)
        return fail(s, &e);
    if (!s->begun) {
        s->begun = true;
        int begun = pg_txn_begin(s->txn, s->commit.xid, s->begin_lsn, s->commit.lsn, s->commit.ts_us);
        if (begun != LEAT_OK)
            return begun;
    }
    if (rc == ERR_END) {
        pg_spool_free(s->reading);
        s->reading = NULL;
        return pg_txn_end(s->txn, s->commit.end_lsn);
    }
    if (pgoutput_decode(next.message, next.n, s->version, true, &s->room, &m, &e) != ERR_OK)
        return fail(s, &e);
    return pg_txn_take(s->txn, &m, next.lsn);
}

/* ---- messages --------------------------------------------------------------------------------------------------- */

static int refuse_two_phase(struct pg_stream *s)
{
    return s->task->host->fail(s->task->task, LEAT_FAIL,
                               "the slot decodes prepared transactions; " PG_TWO_PHASE_REFUSED);
}

static int take(struct pg_stream *s, const struct pg_link_message *x)
{
    struct err e;
    struct pgoutput m;
    if (s->writing && x->n > 0 && x->data[0] != 'E')
        return spool(s, x);
    if (pgoutput_decode(x->data, x->n, s->version, false, &s->room, &m, &e) != ERR_OK) {
        char lsn[PG_LSN_TEXT];
        pg_lsn_text(x->lsn, lsn);
        err_wrap(&e, "at %s", lsn);
        return fail(s, &e);
    }
    switch (m.type) {
    case PGOUTPUT_BEGIN:
        return pg_txn_begin(s->txn, m.xid, x->lsn, m.lsn, m.ts_us);
    case PGOUTPUT_COMMIT:
        s->behind = x->sent_us - m.ts_us > BEHIND_US;
        return pg_txn_end(s->txn, m.end_lsn);
    case PGOUTPUT_STREAM_START:
        return stream_start(s, &m);
    case PGOUTPUT_STREAM_STOP:
        if (s->writing)
            return stream_stop(s);
        err_set(&e, ERR_CORRUPT, "a stream ends that did not begin");
        return fail(s, &e);
    case PGOUTPUT_STREAM_ABORT:
        return stream_abort(s, &m);
    case PGOUTPUT_STREAM_COMMIT:
        return stream_commit(s, &m);
    case PGOUTPUT_BEGIN_PREPARE:
    case PGOUTPUT_PREPARE:
    case PGOUTPUT_COMMIT_PREPARED:
    case PGOUTPUT_ROLLBACK_PREPARED:
    case PGOUTPUT_STREAM_PREPARE:
        return refuse_two_phase(s);
    default:
        return pg_txn_take(s->txn, &m, x->lsn);
    }
}

/* One step: a message of the spool or the connection. *got false: there was none; whether there will be is_over says. */
static int step(struct pg_stream *s, bool *got)
{
    struct err e;
    struct pg_link_message m;
    *got = true;
    if (s->reading)
        return read_back(s);
    if (pg_link_fetch(s->link, got, &m, &e) != ERR_OK) {
        *got = false;
        s->ended = e;
        return LEAT_OK;
    }
    if (!*got)
        return LEAT_OK;
    s->fetched++;
    if (m.data)
        return take(s, &m);
    if (!pg_txn_open(s->txn) && m.lsn > s->idle_lsn)
        s->idle_lsn = m.lsn;
    return LEAT_OK;
}

/* ---- polls ------------------------------------------------------------------------------------------------------ */

/* Takes steps until there are bytes enough, time is over, or nothing more is there (*more false). */
static int work(struct pg_stream *s, size_t *bytes, bool *more)
{
    size_t enough = s->task->host->poll_bytes(s->task->task);
    int64_t end = clock_mono_ms() + POLL_MS;
    size_t looked = *bytes;
    for (unsigned n = 1;; n++) {
        int rc = step(s, more);
        if (rc != LEAT_OK || !*more)
            return rc;
        *bytes += cdc_take_emitted(s->task->cdc);
        if (n % LOOK_EVERY && *bytes - looked < LOOK_BYTES)
            continue;
        looked = *bytes;
        if (*bytes >= enough || clock_mono_ms() >= end || s->task->host->stopping(s->task->task))
            return LEAT_OK;
    }
}

/*
 * Where nothing is for us the position moves too, or the slot would hold the log of a database in which only others
 * write: now and then, as each such store is a write.
 */
static void move_idle(struct pg_stream *s)
{
    struct pg_stored *stored = &s->task->stored;
    if (pg_txn_open(s->txn) || s->reading || s->idle_lsn <= stored->lsn_commit)
        return;
    int64_t now = clock_mono_ms();
    if (now - s->idle_stored_ms < s->idle_every_ms && s->idle_lsn - stored->lsn_commit < IDLE_BYTES)
        return;
    s->idle_stored_ms = now;
    stored->lsn_commit = s->idle_lsn;
}

static bool moved(const struct pg_stored *a, const struct pg_stored *b)
{
    return !b->any || a->lsn_commit != b->lsn_commit || a->partial_lsn != b->partial_lsn ||
           a->partial != b->partial || a->last_commit != b->last_commit || a->skip_lsn != b->skip_lsn;
}

/* What was emitted and where that is, for one transaction of the store. */
static int settle(struct pg_stream *s)
{
    struct pg_task *t = s->task;
    pg_txn_mark(s->txn);
    move_idle(s);
    int rc = cdc_flush(t->cdc);
    if (rc != LEAT_OK || !moved(&t->stored, &s->stored))
        return rc;
    rc = pg_store_position(t);
    s->stored = t->stored;
    return rc;
}

/* Of a backlog, or of a large transaction that is spooled, there will be more at once. */
static bool more_comes(const struct pg_stream *s, size_t bytes, bool nothing, int64_t begun_ms)
{
    struct pg_task *t = s->task;
    int64_t now = clock_mono_ms();
    if (s->writing && s->fetched >= FLOWING)
        return now - s->tended_ms < POLL_MS;
    return !nothing && s->behind && bytes < t->host->poll_bytes(t->task) && now - begun_ms < GATHER_MS;
}

/* There is nothing that settle would store. */
static bool has_nothing(const struct pg_stream *s, size_t bytes)
{
    return bytes == 0 && !moved(&s->task->stored, &s->stored);
}

/*
 * Nothing more is there: waits for more where that is right. Of a transaction that has begun the rest is on its way; a
 * backlog is taken in larger pieces; else, if this poll has nothing yet, for whatever comes. *again: it may have come.
 */
static int await(struct pg_stream *s, size_t bytes, int64_t begun_ms, int64_t wait_ms, bool *again)
{
    struct pg_task *t = s->task;
    int fd = pg_link_fd(s->link);
    int64_t ms = 0, due = pg_link_due_ms(s->link);
    bool nothing = has_nothing(s, bytes);
    *again = false;
    if (more_comes(s, bytes, nothing, begun_ms)) {
        /* Not by the host's wait, which would see a commit of the store through first. */
        nanosleep(
            &(struct timespec){.tv_nsec = s->fetched < FLOWING ? GATHER_STEP_NS : pg_link_rest_ns(s->link)},
            NULL);
        s->fetched = 0;
        *again = !t->host->stopping(t->task);
        return LEAT_OK;
    }
    if (!nothing && pg_txn_open(s->txn))
        ms = REST_OF_MS;
    else if (nothing)
        ms = wait_ms < 0 || wait_ms > due ? due : wait_ms;
    if (ms == 0)
        return LEAT_OK;
    tend(s, true);
    if (is_over(s))
        return LEAT_OK;
    *again = t->host->wait(t->task, fd, ms) == 1;
    s->tended_ms = clock_mono_ms();
    return LEAT_OK;
}

int pg_stream_poll(struct pg_stream *s, int64_t wait_ms, bool *idle)
{
    bool more, again;
    size_t bytes = 0;
    int64_t begun_ms = s->tended_ms = clock_mono_ms();
    int rc;
    if (is_over(s))
        return fail_ended(s);
    do {
        again = false;
        rc = work(s, &bytes, &more);
        bytes += cdc_take_emitted(s->task->cdc);
        if (rc == LEAT_OK && !more && !is_over(s))
            rc = await(s, bytes, begun_ms, wait_ms, &again);
    } while (rc == LEAT_OK && again);
    if (rc == LEAT_OK)
        tend(s, !more);
    /* What came before the end is stored first, or it would come anew each time where the end does. */
    if (rc == LEAT_OK && is_over(s) && has_nothing(s, bytes))
        return fail_ended(s);
    if (more || s->behind || s->writing)
        pg_link_read_ahead(s->link);
    if (rc == LEAT_OK)
        rc = settle(s);
    *idle = !more && !pg_txn_open(s->txn);
    return rc;
}

uint64_t pg_stream_seen(const struct pg_stream *s)
{
    uint64_t stored = s->task->stored.lsn_commit;
    return s->idle_lsn > stored ? s->idle_lsn : stored;
}

bool pg_stream_between(const struct pg_stream *s)
{
    return !pg_txn_open(s->txn) && !s->reading && !is_over(s);
}

int pg_stream_rest(struct pg_stream *s)
{
    tend(s, false);
    return is_over(s) ? fail_ended(s) : LEAT_OK;
}

void pg_stream_polled(struct pg_stream *s, uint64_t poll)
{
    uint64_t lsn = s->task->stored.lsn_commit;
    size_t n = s->polled_count;
    if (lsn == s->polled_lsn)
        return;
    s->polled_lsn = lsn;
    /* One too many: what was to be told with the last is told with this. */
    if (n == POLLS_REMEMBERED)
        n--;
    s->polled[n] = (struct polled){poll, lsn};
    s->polled_count = n + 1;
}

void pg_stream_durable(struct pg_stream *s, uint64_t polls)
{
    size_t n = 0;
    while (n < s->polled_count && s->polled[n].poll <= polls)
        n++;
    if (n == 0)
        return;
    pg_link_durable(s->link, s->polled[n - 1].lsn);
    s->polled_count -= n;
    memmove(s->polled, s->polled + n, s->polled_count * sizeof *s->polled);
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

/*
 * A server that decodes much of which it sends nothing looks for questions only every half of its own time-out, and under load
 * later; if it were left for that, it would begin the same work again, without end.
 */
static int64_t silence_ms(const struct pg_task *t)
{
    int64_t told = t->host->get_int(t->config, "stream.timeout.ms"), least = 2 * t->server.sender_timeout_ms;
    return told > least ? told : least;
}

static int begin(struct pg_stream *s, PGconn *repl)
{
    struct pg_task *t = s->task;
    struct err e;
    pg_limit(repl, silence_ms(t));
    int rc = pg_setup_start(t, repl, t->stored.lsn_commit, &s->version, &s->in_progress, &e);
    if (rc != ERR_OK) {
        PQfinish(repl);
        return fail(s, &e);
    }
    struct pg_link_options o = {.status_ms = t->host->get_int(t->config, "status.update.interval.ms"),
                                .sender_ms = t->server.sender_timeout_ms,
                                .silence_ms = silence_ms(t),
                                .confirm = pg_setup_confirms(t),
                                .durable = t->stored.lsn_commit};
    s->idle_every_ms = o.status_ms;
    if (pg_link_new(repl, &o, &s->link, &e) != ERR_OK)
        return fail(s, &e);
    return LEAT_OK;
}

int pg_stream_open(struct pg_task *t, PGconn *repl, struct pg_stream **out)
{
    struct pg_stream *s = mem_calloc(1, sizeof *s);
    if (!s) {
        PQfinish(repl);
        return t->host->fail(t->task, LEAT_RETRY, "out of memory");
    }
    s->task = t;
    s->room = (struct pgoutput_room){s->columns, s->old, s->new_};
    s->idle_stored_ms = clock_mono_ms();
    int rc = begin(s, repl);
    const char *dir = rc == LEAT_OK ? t->host->work_dir(t->task) : NULL;
    if (rc == LEAT_OK && !dir)
        rc = LEAT_RETRY;
    if (rc == LEAT_OK) {
        s->spools = pg_spools_new(dir);
        s->txn = pg_txn_new(t, &s->room);
        if (!s->spools || !s->txn)
            rc = t->host->fail(t->task, LEAT_RETRY, "out of memory");
    }
    if (rc != LEAT_OK) {
        pg_stream_close(s);
        return rc;
    }
    s->stored = t->stored;
    s->polled_lsn = t->stored.any ? t->stored.lsn_commit : 0;
    *out = s;
    return LEAT_OK;
}

void pg_stream_close(struct pg_stream *s)
{
    if (!s)
        return;
    pg_link_free(s->link);
    pg_spool_free(s->reading);
    pg_spools_free(s->spools);
    pg_txn_free(s->txn);
    mem_free(s);
}
