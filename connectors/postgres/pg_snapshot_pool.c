/*
 * pg_snapshot_pool: the readers of a snapshot and the pieces that they read: offered in order, taken in order, consumed in
 * order. What a reader has read and is not consumed is bounded: it waits for room then. The reader of the oldest piece always
 * gets room, as all that it holds is of that piece or was consumed, so that nobody waits for ever. A failed reader ends the
 * snapshot; its error is told when its piece's turn comes.
 *
 * The task's thread offers, consumes and stops; `lock` guards what is shared. The task's thread sleeps in host->wait on an
 * event descriptor that readers write to, so that a stop wakes it.
 */
#include "pg_snapshot_pool.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "pg_snapshot_options.h"

#define SPARE_EVENTS_MAX ((size_t)1 << 20) /* memory of a block of events that is used again */

/* ---- blocks ------------------------------------------------------------------------------------------------------- */

static struct snap_block *take_spare(struct snap_pool *p, struct snap_block **spares)
{
    pthread_mutex_lock(&p->lock);
    struct snap_block *b = *spares;
    if (b)
        *spares = b->next;
    pthread_mutex_unlock(&p->lock);
    return b;
}

struct snap_block *snap_block_rows(struct snap_pool *p, size_t n)
{
    struct snap_block *b = n == SNAP_BLOCK_BYTES ? take_spare(p, &p->spare_rows) : NULL;
    if (!b && !(b = mem_alloc(sizeof *b + n)))
        return NULL;
    *b = (struct snap_block){.cap = n};
    return b;
}

struct snap_block *snap_block_events(struct snap_pool *p, struct err *e)
{
    struct snap_block *b = take_spare(p, &p->spare_events);
    struct cdc_events *events = b ? b->events : cdc_events_new(e);
    if (!events)
        return NULL;
    if (!b && !(b = mem_alloc(sizeof *b))) {
        cdc_events_free(events);
        err_nomem(e);
        return NULL;
    }
    *b = (struct snap_block){.events = events};
    return b;
}

void snap_block_free(struct snap_block *b)
{
    while (b) {
        struct snap_block *next = b->next;
        cdc_events_free(b->events);
        mem_free(b);
        b = next;
    }
}

bool snap_pool_hand_over(struct snap_reader *r, struct snap_block *b)
{
    struct snap_pool *p = r->pool;
    b->reader = r;
    b->room = b->events ? cdc_events_memory(b->events) : b->cap;
    pthread_mutex_lock(&p->lock);
    if (r->chunk->last_block)
        r->chunk->last_block->next = b;
    else
        r->chunk->first = b;
    r->chunk->last_block = b;
    r->held += b->room;
    snap_pool_tell(p);
    while (r->held >= p->room && !p->quit)
        pthread_cond_wait(&p->work, &p->lock);
    bool quit = p->quit;
    pthread_mutex_unlock(&p->lock);
    return !quit;
}

void snap_pool_tell(struct snap_pool *p)
{
    uint64_t one = 1;
    ssize_t n = write(p->event, &one, sizeof one);
    (void)n; /* of a counter that is full its reader is told already */
}

/* ---- the task's side ---------------------------------------------------------------------------------------------- */

int snap_pool_start(struct pg_task *t, PGconn **connections, size_t n, size_t budget, struct snap_pool **out,
                    struct err *e)
{
    assert(n <= SNAP_READERS_MAX);
    struct snap_pool *p = mem_calloc(1, sizeof *p + n * sizeof p->readers[0]);
    *out = p;
    if (!p)
        return err_nomem(e);
    p->t = t;
    p->count = n;
    p->room = budget / n > 2 * SNAP_BLOCK_BYTES ? budget / n - SNAP_BLOCK_BYTES : SNAP_BLOCK_BYTES;
    mutex_init(&p->lock);
    cond_init(&p->work);
    for (size_t i = 0; i < n; i++) {
        p->readers[i] = (struct snap_reader){.pool = p, .conn = connections[i]};
        connections[i] = NULL;
    }
    p->event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (p->event < 0)
        return err_sys(e, errno, "eventfd");
    for (size_t i = 0; i < n; i++) {
        struct snap_reader *r = &p->readers[i];
        if (!(r->cancel = PQgetCancel(r->conn)))
            return err_nomem(e);
        if (!(r->writer = cdc_writer_new(t->cdc, e)))
            return e->code;
        if (thread_start(&r->thread, "pg-snapshot", snap_reader_run, r, e) != ERR_OK)
            return e->code;
        r->started = true;
    }
    return ERR_OK;
}

static void chunk_free(struct snap_chunk *c)
{
    snap_block_free(c->first);
    mem_free(c->sql);
    mem_free(c);
}

static void reader_end(struct snap_reader *r)
{
    if (r->started)
        pthread_join(r->thread, NULL);
    if (r->cancel)
        PQfreeCancel(r->cancel);
    snap_block_free(r->block);
    cdc_writer_free(r->writer);
    mem_free(r->raw);
    mem_free(r->cells);
    if (r->waiting.row)
        PQfreemem(r->waiting.row);
    pg_disconnect(&r->conn);
}

/* The server is told to give up what is being read, so that nobody waits for a statement that runs long. */
static void interrupt(struct snap_pool *p)
{
    PGcancel *reading[SNAP_READERS_MAX];
    size_t n = 0;
    pthread_mutex_lock(&p->lock);
    p->quit = true;
    pthread_cond_broadcast(&p->work);
    for (size_t i = 0; i < p->count; i++)
        if (p->readers[i].started && p->readers[i].chunk)
            reading[n++] = p->readers[i].cancel;
    pthread_mutex_unlock(&p->lock);
    pg_cancel_statements(p->t->task, p->t->host, reading,
                         n); /* of one that it misses the connection's end tells */
}

void snap_pool_stop(struct snap_pool *p)
{
    if (!p)
        return;
    interrupt(p);
    for (size_t i = 0; i < p->count; i++)
        reader_end(&p->readers[i]);
    while (p->oldest) {
        struct snap_chunk *c = p->oldest;
        p->oldest = c->next;
        chunk_free(c);
    }
    snap_block_free(p->spare_rows);
    snap_block_free(p->spare_events);
    if (p->event >= 0)
        close(p->event);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    mem_free(p);
}

void snap_pool_offer(struct snap_pool *p, struct snap_chunk *c)
{
    pthread_mutex_lock(&p->lock);
    if (p->newest && p->oldest)
        p->newest->next = c;
    else
        p->oldest = c;
    p->newest = c;
    if (!p->untaken)
        p->untaken = c;
    p->offered++;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
}

size_t snap_pool_offered(const struct snap_pool *p)
{
    return p->offered;
}

size_t snap_pool_readers(const struct snap_pool *p)
{
    return p->count;
}

static enum snap_next next_locked(struct snap_pool *p, struct snap_block **out)
{
    struct snap_chunk *c = p->oldest;
    if (c->first) {
        *out = c->first;
        c->first = c->first->next;
        if (!c->first)
            c->last_block = NULL;
        (*out)->next = NULL;
        return SNAP_BLOCK;
    }
    return c->finished ? SNAP_FINISHED : SNAP_NOTHING;
}

int snap_pool_next(struct snap_pool *p, int64_t ms, struct snap_block **out, struct err *e)
{
    for (;;) {
        pthread_mutex_lock(&p->lock);
        enum snap_next next = next_locked(p, out);
        bool failed = p->failed && next == SNAP_NOTHING;
        if (failed)
            *e = p->error;
        pthread_mutex_unlock(&p->lock);
        if (failed)
            return -e->code;
        if (next != SNAP_NOTHING)
            return next;
        if (p->t->host->stopping(p->t->task))
            return SNAP_STOPPED;
        if (p->t->host->wait(p->t->task, p->event, ms) != 1) {
            if (p->t->host->stopping(p->t->task))
                return SNAP_STOPPED;
            if (ms >= 0)
                return SNAP_NOTHING;
        }
        uint64_t count;
        ssize_t n = read(p->event, &count, sizeof count);
        (void)n; /* nobody wrote: looked at again all the same */
    }
}

struct snap_chunk *snap_pool_oldest(struct snap_pool *p)
{
    return p->oldest;
}

void snap_pool_pop(struct snap_pool *p)
{
    pthread_mutex_lock(&p->lock);
    struct snap_chunk *c = p->oldest;
    p->oldest = c->next;
    if (!p->oldest)
        p->newest = NULL;
    p->offered--;
    pthread_mutex_unlock(&p->lock);
    chunk_free(c);
}

/* With the lock held. */
static void make_room(struct snap_pool *p, struct snap_block *b)
{
    if (!b->reader)
        return;
    b->reader->held -= b->room;
    b->reader = NULL;
    pthread_cond_broadcast(&p->work);
}

void snap_pool_keep(struct snap_pool *p, struct snap_block *b)
{
    pthread_mutex_lock(&p->lock);
    make_room(p, b);
    pthread_mutex_unlock(&p->lock);
}

/* Where blocks of the usual size are kept for others; NULL: it is not one. */
static struct snap_block **spares_for(struct snap_pool *p, const struct snap_block *b)
{
    if (b->events)
        return cdc_events_memory(b->events) <= SPARE_EVENTS_MAX ? &p->spare_events : NULL;
    return b->cap == SNAP_BLOCK_BYTES ? &p->spare_rows : NULL;
}

void snap_pool_give_back(struct snap_pool *p, struct snap_block *b)
{
    if (!b)
        return;
    pthread_mutex_lock(&p->lock);
    make_room(p, b);
    struct snap_block **spares = spares_for(p, b);
    if (spares) {
        b->next = *spares;
        *spares = b;
    }
    pthread_mutex_unlock(&p->lock);
    if (!spares)
        snap_block_free(b);
}
