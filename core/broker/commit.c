/*
 * commit: the group-commit stage (see commit.h). The journal's staging buffer is filled by the appending threads under
 * the stage's lock, a leaf; a round swaps it for the other one, writes and syncs without the lock, and then completes what
 * was in it. The next round may be written while this one completes: it waits for its turn before it completes. A failed
 * write or sync is final: nothing is acknowledged or accepted any more.
 */
#include "broker/commit_internal.h"

#include "base/clock.h"
#include "base/crew.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/topic.h"

/* More than this is staged only if a single operation needs it: bounds memory and the time to a sync. */
#define STAGED_SOFT_MAX (40u << 20)
/* So much is written by the thread at once, while the caller that will wait for it still appends. */
#define STAGED_WAKE (2u << 20)
/* And so much although its owner will push: writing it takes so long that it should begin. */
#define PUSHED_WAKE (256u << 10)
#define GATHER_LEAST_NS 20000
#define SYNC_THREADS 15 /* beside the one that runs the round */

int commit_failure(const struct commit *c, struct err *e)
{
    *e = c->failure;
    return e->code;
}

bool commit_failed(struct commit *c, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    bool failed = c->failed;
    if (failed)
        commit_failure(c, e);
    pthread_mutex_unlock(&c->lock);
    return failed;
}

/* ---- staging --------------------------------------------------------------------------------------------------- */

static bool fail_for_good(struct commit *c, const struct err *e)
{
    if (c->failed)
        return false;
    c->failed = true;
    c->failure = *e;
    c->failure.fatal = true;
    commit_refuse(c);
    return true;
}

void commit_on_failed(struct commit *c, void (*fn)(void *arg, const struct err *why), void *arg)
{
    c->on_failed = fn;
    c->on_failed_arg = arg;
}

void commit_set_peers(struct commit *c, struct commit *const *peers, size_t n)
{
    c->peers = peers;
    c->peer_count = n;
}

void commit_fail(struct commit *c, const struct err *why)
{
    pthread_mutex_lock(&c->lock);
    if (fail_for_good(c, why))
        commit_wake_thread(c);
    pthread_mutex_unlock(&c->lock);
}

static int stage_entry(struct commit *c, const struct commit_item *i, struct err *e)
{
    struct journal_entry entry = i->entry;
    if (i->direct)
        entry.bytes = 0;
    return i->journaled ? journal_stage(c->journal, &entry, e) : ERR_OK;
}

/* All or none. */
static int stage_entries(struct commit *c, struct commit_item **items, size_t n, struct err *e)
{
    struct journal_mark mark = journal_mark(c->journal);
    size_t bytes = 0, direct = 0;
    for (size_t i = 0; i < n; i++) {
        struct commit_item *item = items[i];
        item->failed = false;
        item->grouped = n > 1;
        item->direct = n == 1 && item->journaled && commit_goes_direct(c, item);
        if (item->journaled)
            bytes += (item->direct ? 0 : item->entry.bytes) + COMMIT_ENTRY_OVERHEAD;
        if (item->direct)
            direct += item->entry.bytes;
    }
    journal_group(c->journal, bytes);
    for (size_t i = 0; i < n; i++) {
        int rc = stage_entry(c, items[i], e);
        if (rc) {
            journal_unstage(c->journal, mark);
            return rc;
        }
    }
    c->copied += bytes;
    c->staged += bytes + direct;
    return ERR_OK;
}

void commit_wake_thread(struct commit *c)
{
    if (c->sleeping) {
        c->sleeping = false;
        pthread_cond_signal(&c->work);
    }
}

static void wake_maker(struct commit *c)
{
    if (c->make_file)
        pthread_cond_signal(&c->files);
}

int commit_stage(struct commit *c, struct commit_item **items, size_t n, size_t reserved, struct err *e)
{
    pthread_mutex_lock(&c->lock);
    int rc = reserved ? commit_need_file(c, reserved, e) : c->failed ? commit_failure(c, e) : ERR_OK;
    if (!rc)
        rc = stage_entries(c, items, n, e);
    if (!rc) {
        for (size_t i = 0; i < n; i++) {
            atomic_fetch_add(&items[i]->p->pending, 1);
            atomic_fetch_add(&items[i]->op->left, 1);
            if (!items[i]->op->stage)
                items[i]->op->stage = c;
            items[i]->next = NULL;
            *c->tail = items[i];
            c->tail = &items[i]->next;
        }
        c->items += n;
        c->reserved -= reserved;
        commit_grant(c);
    }
    bool waits = n && items[0]->op->waits && items[0]->op->stage == c;
    bool lingers = waits && items[0]->op->lingers;
    if (!rc && reserved)
        commit_came(c, waits && !lingers);
    if (lingers && c->staged >= STAGED_WAKE)
        waits = false;
    bool later = waits || (n && items[0]->op->pushed && c->staged < PUSHED_WAKE);
    wake_maker(c);
    if (!rc && !c->busy && !later)
        commit_wake_thread(c);
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void commit_push(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    if (commit_can_round(c))
        commit_wake_thread(c);
    pthread_mutex_unlock(&c->lock);
}

/* ---- rounds ------------------------------------------------------------------------------------------------------ */

static void complete(struct commit *c, struct commit_item *list, const struct err *e)
{
    for (struct commit_item *i = list, *next; i; i = next) {
        next = i->next; /* finishing the operation may free the item */
        struct partition *p = i->p;
        struct log *log = partition_log(p);
        struct err why;
        const struct err *failed = e;
        if (e)
            log_fail(log, e);
        else if (i->failed)
            failed = log_check_usable(log, &why) ? &why : NULL; /* it is not: see commit_direct.c */
        else
            log_set_high_watermark(log, i->end_offset);
        i->failed = failed != NULL;
        atomic_fetch_sub(&p->pending, 1);
        partition_notify(p);
        commit_op_finish(i->op, failed);
        partition_release(c->topics, p);
    }
}

/* A reference in the record says that what it refers to is durable, and what is whole in the record may follow it in the log. */
static int write_round(struct commit *c, struct commit_item *list, uint64_t round, size_t copied, bool record,
                       struct err *e)
{
    int64_t start = clock_mono_ns();
    struct direct_done done;
    int rc = commit_sync_direct(c, list, round, &done, e);
    int64_t synced = clock_mono_ns();
    if (!rc && record)
        rc = journal_write(c->journal, e);
    if (!record)
        return rc;
    int64_t end = clock_mono_ns();
    atomic_store_explicit(&c->last_ns, end - start, memory_order_relaxed);
    atomic_fetch_add(&c->sync_ns, (uint64_t)(end - start));
    if (!rc && done.whole)
        commit_rate_disk(c, copied, done.bytes, end - synced);
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

/* Those who give the journal back look what they can. */
static void ring(struct commit *c)
{
    void (*tell)(void *) = atomic_load(&c->on_sealed);
    if (tell)
        tell(c->on_sealed_arg);
}

/* `sealed` as of when the round was written: the next one, which may be written by now, seals files of which not all is completed. */
static void note_sealed(struct commit *c, uint64_t sealed)
{
    if (sealed == atomic_load(&c->sealed))
        return;
    atomic_store(&c->sealed, sealed);
    if (sealed)
        ring(c);
}

/* Gives the lock back meanwhile. `more`: bytes that must find their place. */
static int make_file(struct commit *c, size_t more, struct err *e)
{
    pthread_mutex_unlock(&c->lock);
    int rc = journal_prepare(c->journal, more, e);
    if (rc && !atomic_exchange(&c->said, true)) {
        diag_error("broker", "no further journal file, appends will be refused: %s", e->text);
        ring(c);
    } else if (!rc) {
        atomic_store(&c->said, false);
    }
    pthread_mutex_lock(&c->lock);
    return rc;
}

void commit_try_file(struct commit *c)
{
    struct err e; /* said; whoever needs the file will be told */
    c->make_file = false;
    make_file(c, 0, &e);
}

int commit_need_file(struct commit *c, size_t bytes, struct err *e)
{
    while (!c->failed && !journal_fits(c->journal, bytes)) {
        int rc = make_file(c, bytes, e);
        if (rc && !c->failed && !journal_fits(c->journal, bytes)) {
            e->fatal = false; /* the journal is as it was */
            return rc;
        }
    }
    return c->failed ? commit_failure(c, e) : ERR_OK;
}

/* A round was written. Whoever comes from now on can run the next one; who sleeps for it must be called. */
static void hand_over(struct commit *c)
{
    c->busy = false;
    c->make_file |= journal_wants_file(c->journal);
    wake_maker(c);
    bool called = !c->head || commit_wake_waiter(c);
    if (!called || c->stop)
        commit_wake_thread(c);
    if (!c->threaded && c->head && c->room_first)
        pthread_cond_signal(&c->room_first->cond);
}

void commit_round(struct commit *c)
{
    struct commit_item *list = c->head;
    struct err e = {0};
    bool record = !c->failed && journal_take(c->journal);
    int rc = c->failed ? commit_failure(c, &e) : ERR_OK;
    uint64_t round = c->round++;
    size_t copied = c->copied;
    c->head = NULL;
    c->tail = &c->head;
    c->busy = true;
    atomic_fetch_add(&c->bytes, copied);
    c->last_items = c->items;
    c->staged = c->copied = c->items = 0;
    commit_next_direct(c);
    c->gather_until = 0;
    c->guard = NULL;
    commit_grant(c);
    pthread_mutex_unlock(&c->lock);
    count_grouped(c, list);
    if (!rc)
        rc = write_round(c, list, round, copied, record, &e);
    uint64_t sealed = journal_sealed(c->journal);
    pthread_mutex_lock(
        &c->completing); /* before the next round may be written: rounds complete in their order */
    pthread_mutex_lock(&c->lock);
    bool first = rc && fail_for_good(c, &e);
    hand_over(c);
    pthread_mutex_unlock(&c->lock);
    if (first && c->on_failed)
        c->on_failed(c->on_failed_arg, &e);
    complete(c, list, rc ? &e : NULL);
    note_sealed(c, sealed);
    pthread_mutex_unlock(&c->completing);
    pthread_mutex_lock(&c->lock);
}

/* ---- the threads ----------------------------------------------------------------------------------------------- */

static void *run(void *arg)
{
    struct commit *c = arg;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        if (commit_can_round(c)) {
            commit_round(c);
        } else if (c->stop && !c->busy) {
            break;
        } else {
            c->sleeping = true;
            pthread_cond_wait(&c->work, &c->lock);
            c->sleeping = false;
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

/* Journal files, of up to 64 MiB of zeros: by a thread of their own, as rounds must go on meanwhile. */
static void *make_files(void *arg)
{
    struct commit *c = arg;
    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        if (c->make_file)
            commit_try_file(c);
        else
            pthread_cond_wait(&c->files, &c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void stop_thread(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->work);
    pthread_cond_signal(&c->files);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
}

static int start_threads(struct commit *c, struct err *e)
{
    int rc = thread_start(&c->thread, "leat-commit", run, c, e);
    if (rc)
        return rc;
    rc = thread_start(&c->maker, "leat-files", make_files, c, e);
    if (rc)
        stop_thread(c);
    return rc;
}

void commit_run(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    while (!c->threaded && commit_can_round(c))
        commit_round(c);
    if (!c->threaded && c->make_file)
        commit_try_file(c);
    pthread_mutex_unlock(&c->lock);
}

int commit_start(struct commit **out, struct journal *j, struct topics *topics, bool threaded, struct err *e)
{
    struct commit *c = mem_calloc(1, sizeof *c);
    if (!c)
        return err_nomem(e);
    c->journal = j;
    c->topics = topics;
    c->tail = &c->head;
    c->threaded = threaded;
    c->round = 1;
    c->capacity = journal_room(j);
    c->capacity -= c->capacity < 2 * COMMIT_ENTRY_OVERHEAD ? c->capacity : 2 * COMMIT_ENTRY_OVERHEAD;
    atomic_init(&c->sealed, journal_sealed(j)); /* what recovery has replayed */
    c->soft = c->capacity < STAGED_SOFT_MAX ? c->capacity : STAGED_SOFT_MAX;
    c->gather_least_ns = GATHER_LEAST_NS;
    mutex_init(&c->lock);
    mutex_init(&c->completing);
    cond_init(&c->work);
    cond_init(&c->files);
    int rc = crew_new(&c->crew, "leat-sync", threaded ? SYNC_THREADS : 0, e);
    if (!rc && threaded)
        rc = start_threads(c, e);
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
    commit_run(c);
    if (!c->threaded)
        return;
    stop_thread(c);
    pthread_join(c->maker, NULL);
}

void commit_free(struct commit *c)
{
    pthread_cond_destroy(&c->files);
    pthread_cond_destroy(&c->work);
    pthread_mutex_destroy(&c->completing);
    pthread_mutex_destroy(&c->lock);
    crew_free(c->crew);
    mem_free(c);
}

uint64_t commit_sealed(struct commit *c)
{
    return atomic_load(&c->sealed);
}

void commit_figures(struct commit *c, struct broker_stats *s)
{
    struct journal_stats j;
    journal_stats(c->journal, &j);
    s->syncs += j.commits;
    s->sync_ns_total += atomic_load(&c->sync_ns);
    s->commits_grouped += atomic_load(&c->grouped);
    s->journal_bytes += atomic_load(&c->bytes);
    s->direct_bytes += atomic_load(&c->direct_total);
}
