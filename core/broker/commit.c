/*
 * commit: the group-commit stage (see commit.h). The journal's staging buffer is filled by the appending threads under
 * the queue's lock, a leaf; the commit thread swaps it for the other one, writes and syncs without the lock, and then
 * completes what was in it. A failed write or sync is final: nothing is acknowledged or accepted any more.
 */
#include "broker/commit.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/topic.h"

/* More than this is staged only if a single operation needs it: bounds memory and the time to a sync. */
#define STAGED_SOFT_MAX (8u << 20)

struct commit {
    struct journal *journal;
    struct topics *topics;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, room;
    struct commit_item *head, **tail;
    size_t staged, reserved;
    size_t soft, capacity;
    uint64_t next_ticket, serving; /* whoever waits for room is served in order */
    bool sleeping, stop;
    bool no_space; /* an append was refused for want of a journal file: try to make one */
    bool said;     /* of the thread: that none can be made */
    bool failed;
    struct err failure;
    atomic_uint_fast64_t sealed;
    atomic_uint_fast64_t syncs, sync_ns, grouped, bytes;
    void (*_Atomic on_sealed)(void *arg);
    void *on_sealed_arg; /* set before */
};

/* ---- operations ------------------------------------------------------------------------------------------------ */

void commit_op_init(struct commit_op *op, void (*done)(struct commit_op *op))
{
    atomic_init(&op->left, 1);
    op->error.code = ERR_OK;
    op->error.text[0] = '\0';
    op->done = done;
}

void commit_op_finish(struct commit_op *op, const struct err *e)
{
    if (e && op->error.code == ERR_OK)
        op->error = *e;
    if (atomic_fetch_sub(&op->left, 1) == 1)
        op->done(op);
}

static void wait_done(struct commit_op *op)
{
    struct commit_wait *w = (struct commit_wait *)op;
    if (w->before)
        w->before(w);
    pthread_mutex_lock(&w->lock);
    w->finished = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->lock);
}

void commit_wait_init(struct commit_wait *w)
{
    commit_op_init(&w->op, wait_done);
    mutex_init(&w->lock);
    cond_init(&w->cond);
    w->finished = false;
    w->before = NULL;
    w->arg = NULL;
}

int commit_wait_for(struct commit_wait *w, struct err *e)
{
    commit_op_finish(&w->op, NULL);
    pthread_mutex_lock(&w->lock);
    while (!w->finished)
        pthread_cond_wait(&w->cond, &w->lock);
    pthread_mutex_unlock(&w->lock);
    pthread_cond_destroy(&w->cond);
    pthread_mutex_destroy(&w->lock);
    if (w->op.error.code)
        *e = w->op.error;
    return w->op.error.code;
}

/* ---- room ------------------------------------------------------------------------------------------------------ */

size_t commit_capacity(const struct commit *c)
{
    return c->capacity;
}

static int failure(struct commit *c, struct err *e)
{
    *e = c->failure;
    return e->code;
}

bool commit_failed(struct commit *c, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    bool failed = c->failed;
    if (failed)
        failure(c, e);
    pthread_mutex_unlock(&c->lock);
    return failed;
}

static bool has_room(const struct commit *c, size_t bytes)
{
    size_t used = c->staged + c->reserved;
    return used == 0 || used + bytes <= c->soft;
}

int commit_reserve(struct commit *c, size_t bytes, struct err *e)
{
    int rc = ERR_OK;
    if (bytes > c->capacity)
        return err_set(e, ERR_TOO_LARGE, "%zu bytes do not fit into one journal record of %zu", bytes,
                       c->capacity);
    pthread_mutex_lock(&c->lock);
    uint64_t ticket = c->next_ticket++;
    while (!c->failed && (c->serving != ticket || !has_room(c, bytes)))
        pthread_cond_wait(&c->room, &c->lock);
    if (c->failed) {
        rc = failure(c, e);
    } else {
        c->reserved += bytes;
        c->serving++;
        if (c->serving != c->next_ticket)
            pthread_cond_broadcast(&c->room);
    }
    pthread_mutex_unlock(&c->lock);
    return rc;
}

static void give_back(struct commit *c, size_t bytes)
{
    c->reserved -= bytes;
    if (c->serving != c->next_ticket)
        pthread_cond_broadcast(&c->room);
}

void commit_unreserve(struct commit *c, size_t bytes)
{
    if (bytes == 0)
        return;
    pthread_mutex_lock(&c->lock);
    give_back(c, bytes);
    pthread_mutex_unlock(&c->lock);
}

/* ---- staging --------------------------------------------------------------------------------------------------- */

static void fail_for_good(struct commit *c, const struct err *e)
{
    if (c->failed)
        return;
    c->failed = true;
    c->failure = *e;
    c->failure.fatal = true;
    pthread_cond_broadcast(&c->room);
    diag_error("broker", "the journal is out of service, nothing is accepted until a restart: %s", e->text);
}

/* All or none. */
static int stage_entries(struct commit *c, struct commit_item **items, size_t n, struct err *e)
{
    struct journal_mark mark = journal_mark(c->journal);
    size_t bytes = 0;
    for (size_t i = 0; i < n; i++) {
        int rc = items[i]->journaled ? journal_stage(c->journal, &items[i]->entry, e) : ERR_OK;
        if (rc) {
            journal_unstage(c->journal, mark);
            c->no_space |= rc == ERR_NO_SPACE;
            return rc;
        }
        if (items[i]->journaled)
            bytes += items[i]->entry.bytes + COMMIT_ENTRY_OVERHEAD;
    }
    c->staged += bytes;
    return ERR_OK;
}

static void wake_thread(struct commit *c)
{
    if (c->sleeping) {
        c->sleeping = false;
        pthread_cond_signal(&c->work);
    }
}

int commit_stage(struct commit *c, struct commit_item **items, size_t n, size_t reserved, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    int rc = c->failed ? failure(c, e) : stage_entries(c, items, n, e);
    if (!rc) {
        for (size_t i = 0; i < n; i++) {
            atomic_fetch_add(&items[i]->p->pending, 1);
            atomic_fetch_add(&items[i]->op->left, 1);
            items[i]->next = NULL;
            *c->tail = items[i];
            c->tail = &items[i]->next;
        }
        give_back(c, reserved);
    }
    if (!rc || c->no_space)
        wake_thread(c);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

/* ---- the thread ------------------------------------------------------------------------------------------------ */

static void complete(struct commit *c, struct commit_item *list, const struct err *e)
{
    for (struct commit_item *i = list, *next; i; i = next) {
        next = i->next; /* finishing the operation may free the item */
        struct partition *p = i->p;
        if (e) {
            log_fail(partition_log(p), e);
            i->failed = true;
        } else {
            log_set_high_watermark(partition_log(p), i->end_offset);
        }
        atomic_fetch_sub(&p->pending, 1);
        partition_notify(p);
        commit_op_finish(i->op, e);
        partition_release(c->topics, p);
    }
}

static int write_record(struct commit *c, struct err *e)
{
    int64_t start = clock_mono_ns();
    int rc = journal_write(c->journal, e);
    atomic_fetch_add(&c->sync_ns, (uint64_t)(clock_mono_ns() - start));
    atomic_fetch_add(&c->syncs, 1);
    return rc;
}

static void count_grouped(struct commit *c, const struct commit_item *list)
{
    const struct commit_op *first = list->op;
    uint64_t n = 0;
    bool shared = false;
    for (; list; list = list->next) {
        n++;
        shared = shared || list->op != first;
    }
    if (shared)
        atomic_fetch_add(&c->grouped, n);
}

static void note_sealed(struct commit *c)
{
    uint64_t sealed = journal_sealed(c->journal);
    if (sealed == atomic_load(&c->sealed))
        return;
    atomic_store(&c->sealed, sealed);
    void (*tell)(void *) = atomic_load(&c->on_sealed);
    if (sealed && tell)
        tell(c->on_sealed_arg);
}

/* The next journal file, while nobody waits. A full disk is met here; appends are refused when no file is left. */
static void prepare_file(struct commit *c)
{
    struct err e;
    int rc = journal_prepare(c->journal, &e);
    if (rc && !c->said)
        diag_error("broker", "no further journal file, appends will be refused: %s", e.text);
    c->said = rc != ERR_OK;
}

static void round_of(struct commit *c, struct commit_item *list, bool record)
{
    struct err e = {0};
    int rc = ERR_OK;
    count_grouped(c, list);
    if (record && (rc = write_record(c, &e))) {
        pthread_mutex_lock(&c->lock);
        fail_for_good(c, &e);
        pthread_mutex_unlock(&c->lock);
    }
    complete(c, list, rc ? &e : NULL);
    note_sealed(c);
    if (record && !rc)
        prepare_file(c);
}

static void *run(void *arg)
{
    struct commit *c = arg;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (!c->head && !c->stop && !c->no_space) {
            c->sleeping = true;
            pthread_cond_wait(&c->work, &c->lock);
        }
        c->sleeping = false;
        struct commit_item *list = c->head;
        if (!list && c->no_space && !c->stop) {
            c->no_space = false;
            pthread_mutex_unlock(&c->lock);
            prepare_file(c);
            pthread_mutex_lock(&c->lock);
            continue;
        }
        if (!list)
            break;
        c->head = NULL;
        c->tail = &c->head;
        struct err e = {0};
        bool failed = c->failed, record = !failed && journal_take(c->journal);
        if (failed)
            failure(c, &e);
        atomic_fetch_add(&c->bytes, c->staged);
        c->staged = 0;
        if (c->serving != c->next_ticket)
            pthread_cond_broadcast(&c->room);
        pthread_mutex_unlock(&c->lock);
        if (failed)
            complete(c, list, &e);
        else
            round_of(c, list, record);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

int commit_start(struct commit **out, struct journal *j, struct topics *topics, struct err *e)
{
    struct commit *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    c->journal = j;
    c->topics = topics;
    c->tail = &c->head;
    c->capacity = journal_room(j);
    c->capacity -= c->capacity < 2 * COMMIT_ENTRY_OVERHEAD ? c->capacity : 2 * COMMIT_ENTRY_OVERHEAD;
    atomic_init(&c->sealed, journal_sealed(j)); /* what recovery has replayed */
    c->soft = c->capacity < STAGED_SOFT_MAX ? c->capacity : STAGED_SOFT_MAX;
    mutex_init(&c->lock);
    cond_init(&c->work);
    cond_init(&c->room);
    int rc = thread_start(&c->thread, "leat-commit", run, c, e);
    if (rc)
        commit_free(c);
    else
        *out = c;
    return rc;
}

void commit_on_sealed(struct commit *c, void (*fn)(void *arg), void *arg)
{
    c->on_sealed_arg = arg;
    atomic_store(&c->on_sealed, fn);
}

void commit_stop(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->work);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
}

void commit_free(struct commit *c)
{
    pthread_cond_destroy(&c->room);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

uint64_t commit_sealed(struct commit *c)
{
    return atomic_load(&c->sealed);
}

void commit_figures(struct commit *c, struct broker_stats *s)
{
    s->syncs = atomic_load(&c->syncs);
    s->sync_ns_total = atomic_load(&c->sync_ns);
    s->commits_grouped = atomic_load(&c->grouped);
    s->journal_bytes = atomic_load(&c->bytes);
}
