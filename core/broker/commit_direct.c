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

#include "base/crew.h"
#include "broker/disk.h"
#include "broker/topic.h"

/*
 * With 64 KiB batches of one log, eight in flight, references made a quarter to two thirds of what copies did, with 1 MiB batches 1.2 to 1.5 times
 * as much (docs/design/0009): a round waits for two syncs then, one after the other. Where many logs are synced side by side that counts once for all of them, and what
 * counts is whether the disk takes longer to write a log's bytes a second time than for one more sync: LOG_SYNC_NS. That depends on the disk.
 */
#define DIRECT_BYTES ((size_t)768 << 10)
#define MANY_LOGS 16 /* side by side */
#define LOG_SYNC_NS 200000
#define MANY_BYTES ((size_t)32 << 10) /* at least */
/* How fast the disk is: by rounds that it is busy with, over the last ones, as it is slower while logs are flushed. Known from so much on. */
#define RATED_ROUND ((size_t)512 << 10)
#define RATED_LEAST ((uint64_t)256 << 20)
#define RATED_MOST ((uint64_t)1 << 30)

void commit_set_direct(struct commit *c, size_t bytes)
{
    c->direct_bytes = bytes ? bytes : DIRECT_BYTES;
    c->rated = !bytes;
    c->direct_from = c->many_from = c->direct_bytes;
}

void commit_rate_disk(struct commit *c, size_t bytes, int64_t ns)
{
    struct disk_rate *r = &c->rate;
    if (!c->rated || bytes < RATED_ROUND)
        return;
    r->bytes += bytes;
    r->ns += (uint64_t)ns;
    if (r->bytes < RATED_LEAST)
        return;
    double many = (double)r->bytes / (double)(r->ns ? r->ns : 1) * LOG_SYNC_NS;
    size_t most = DIRECT_BYTES;
    atomic_store(&c->many_bytes, many < MANY_BYTES ? MANY_BYTES : many < (double)most ? (size_t)many : most);
    if (r->bytes >= RATED_MOST) {
        r->bytes /= 2;
        r->ns /= 2;
    }
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
    size_t already = d->bytes;
    d->bytes += i->entry.bytes;
    c->many_logs += already < c->many_from && d->bytes >= c->many_from;
    bool large = d->bytes >= c->direct_from || d->before >= c->direct_from;
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

int commit_sync_direct(struct commit *c, struct commit_item *list, uint64_t round, size_t *bytes,
                       struct err *e)
{
    int rc = ERR_OK;
    size_t n = 0;
    *bytes = 0;
    for (struct commit_item *i = list; i; i = i->next) {
        struct direct *d = &i->p->direct;
        if (!i->direct)
            continue;
        *bytes += i->entry.bytes;
        if (d->synced != round && !d->torn)
            c->direct[n++] = i->p;
        d->synced = round;
    }
    atomic_fetch_add(&c->direct_total, *bytes);
    sync_all(c, n);
    for (struct commit_item *i = list; i && !rc; i = i->next)
        if (i->p->direct.torn)
            rc = leave_out(c, i, e);
    return rc;
}
