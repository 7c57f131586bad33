/*
 * commit_direct: large appends. Copied into the journal's record they are written twice, and that is what the disk is busy with then.
 * Instead the segment in which they stand already is synced, and the record has a reference to them: an entry without bytes, which says
 * that all of its partition below an offset is durable. The record is written after those syncs, so whatever it says is true, and what
 * belongs together, what follows in the log and where recovery cuts are decided by records alone, as ever.
 *
 * Small appends gain nothing by that: a sync of a segment costs several times what it takes to write some KiB into the journal. Which
 * logs it is done for is decided anew in each round, by the bytes that come for them.
 */
#include "broker/commit_internal.h"

#include <assert.h>

#include "base/crew.h"
#include "broker/disk.h"
#include "broker/topic.h"

/*
 * With 64 KiB batches of one log, eight in flight, references made a quarter to two thirds of what copies did, with 1 MiB batches 1.2 to 1.5 times
 * as much (docs/design/0009): a round waits for two syncs then, one after the other. Where many logs are synced side by side that counts once for all of them, and a log
 * goes direct if copying its bytes, with the flushes beside it, takes longer than one more sync side by side with others. That depends on the disk.
 */
#define DIRECT_BYTES ((size_t)768 << 10)
#define MANY_LOGS 16                  /* side by side */
#define MANY_BYTES ((size_t)32 << 10) /* at least */
#define LOG_SYNC_NS 200000 /* at least; or what the smallest sync of late took, as some disks seek: */
#define SMALL_RECORD ((size_t)128 << 10)
#define SMALL_RECORDS 8                   /* of some there is one that nothing was in the way of */
#define RATED_ROUND ((size_t)512 << 10)   /* smaller ones wait more than they write */
#define RATED_LEAST ((uint64_t)256 << 20) /* the rate is known from so much on, */
#define RATED_MOST ((uint64_t)1 << 30) /* and is that of the last ones, long enough for flushes to be in it */
/*
 * What is not done may have become better. With so many bytes that go direct copies are believed to be, by that part; with so many halves of the rated bytes
 * copied, syncs are, until some small records have told: a trial.
 */
#define COPIES_AGAIN ((uint64_t)128 << 20)
#define COPIES_BETTER 256
#define SYNCS_AGAIN 8

void commit_set_direct(struct commit *c, size_t bytes)
{
    c->direct_bytes = bytes ? bytes : DIRECT_BYTES;
    c->rated =
        c->threaded && !bytes; /* without threads what is done follows from the calls, and from no clock */
    c->direct_from = c->many_from = c->direct_bytes;
}

static void forget_syncs(struct disk_rate *r)
{
    r->small = r->least_ns = 0;
}

static void note_copied(struct disk_rate *r, size_t bytes, uint64_t ns)
{
    r->bytes += bytes;
    r->ns += ns;
    if (r->bytes < RATED_MOST)
        return;
    r->bytes /= 2;
    r->ns /= 2;
    if (++r->halves % SYNCS_AGAIN == 0)
        forget_syncs(r);
}

static void note_direct(struct disk_rate *r, size_t bytes)
{
    r->direct += bytes;
    if (r->direct < COPIES_AGAIN)
        return;
    r->direct = 0;
    r->ns -= r->ns / COPIES_BETTER;
    forget_syncs(r); /* the next rounds' records tell */
}

static void note_small(struct disk_rate *r, uint64_t ns)
{
    r->small++;
    if (!r->least_ns || ns < r->least_ns)
        r->least_ns = ns;
}

static size_t many_bytes(const struct disk_rate *r)
{
    bool seeks = r->small >= SMALL_RECORDS && r->least_ns > LOG_SYNC_NS;
    uint64_t sync = seeks ? r->least_ns : LOG_SYNC_NS;
    double many = (double)r->bytes / (double)r->ns * (double)sync;
    return many < (double)MANY_BYTES ? MANY_BYTES : many < (double)DIRECT_BYTES ? (size_t)many : DIRECT_BYTES;
}

void commit_rate_disk(struct commit *c, size_t copied, size_t direct, int64_t ns)
{
    struct disk_rate *r = &c->rate;
    if (!c->rated || ns <= 0)
        return;
    if (copied <= SMALL_RECORD)
        note_small(r, (uint64_t)ns);
    if (copied >= RATED_ROUND && copied > direct)
        note_copied(r, copied, (uint64_t)ns);
    else if (direct)
        note_direct(r, direct);
    if (r->bytes >= RATED_LEAST)
        atomic_store(&c->many_bytes, many_bytes(r));
}

void commit_next_direct(struct commit *c)
{
    size_t many = atomic_load(&c->many_bytes);
    bool known = many != 0;
    c->direct_from = known && c->many_logs >= MANY_LOGS ? many : c->direct_bytes;
    c->many_from = known ? many : c->direct_bytes;
    c->direct_logs = c->many_logs = 0;
}

/* Once one append of a log does, those behind it do, whatever their size: that sync is theirs, too. */
bool commit_goes_direct(struct commit *c, const struct commit_item *i)
{
    struct direct *d = &i->p->direct;
    if (d->round != c->round) {
        d->round = c->round;
        d->before = d->bytes;
        d->bytes = 0;
        d->on = false;
    }
    size_t already = d->bytes, from = i->settled ? c->direct_from : c->direct_bytes;
    d->bytes += i->entry.bytes;
    c->many_logs += i->settled && already < c->many_from && d->bytes >= c->many_from;
    bool large = d->bytes >= from || d->before >= from;
    if (large && !d->on && c->direct_logs < COMMIT_DIRECT_LOGS) {
        d->on = true;
        c->direct_logs++;
    }
    return d->on;
}

static void take_out(struct partition *p, const struct err *why)
{
    p->direct.torn = true;
    log_fail(partition_log(p), why); /* also where no sync was tried: later appends stand behind this one */
    disk_suspect(p->disk, why);
}

/* One of the round's logs; called by several threads. */
static void sync_one(void *arg, size_t i)
{
    struct partition *p = ((struct commit *)arg)->direct[i];
    struct err e;
    int rc = log_sync_appends(partition_log(p), &e);
    p->direct.full = rc == ERR_NO_SPACE && !e.fatal;
    if (rc && !p->direct.full)
        take_out(p, &e);
}

/* Full as the disk may be, what was appended has its place; but a new log's small files are made with the first sync. */
static void sync_with_reserve(struct partition *p)
{
    struct err e;
    disk_use_reserve(p->disk); /* where another log had it, there may be room now */
    if (log_sync_appends(partition_log(p), &e))
        take_out(p, &e);
}

static void sync_all(struct commit *c, size_t n)
{
    if (n > 0)
        crew_do(c->crew, sync_one, c, n);
    for (size_t i = 0; i < n; i++)
        if (c->direct[i]->direct.full)
            sync_with_reserve(c->direct[i]);
}

/* What stands behind a gap must not be committed. Of a group the other parts are in other logs, which go on. */
static int leave_out(struct commit *c, struct commit_item *i, struct err *e)
{
    if (i->grouped)
        return log_check_usable(partition_log(i->p), e);
    i->failed = true;
    if (i->journaled)
        journal_drop(c->journal, &i->p->topic->id, i->p->index);
    return ERR_OK;
}

int commit_sync_direct(struct commit *c, struct commit_item *list, uint64_t round, struct direct_done *done,
                       struct err *e)
{
    int rc = ERR_OK;
    size_t n = 0;
    *done = (struct direct_done){.whole = true};
    for (struct commit_item *i = list; i; i = i->next) {
        struct direct *d = &i->p->direct;
        if (!i->direct)
            continue;
        done->bytes += i->entry.bytes;
        if (d->synced != round && !d->torn) {
            assert(n < COMMIT_DIRECT_LOGS);
            c->direct[n++] = i->p;
        }
        d->synced = round;
    }
    atomic_fetch_add(&c->direct_total, done->bytes);
    sync_all(c, n);
    for (struct commit_item *i = list; i && !rc; i = i->next)
        if (i->p->direct.torn) {
            done->whole = false;
            rc = leave_out(c, i, e);
        }
    return rc;
}
