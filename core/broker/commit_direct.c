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

#include "broker/disk.h"
#include "broker/topic.h"

/*
 * With 64 KiB batches, eight in flight, references made a quarter to two thirds of what copies did, with 1 MiB batches 1.2 to 1.5 times
 * as much (docs/design/0009). Each log is a sync of its own; the disk begins with what all of them have before the first one is waited for, so that
 * many large ones take less than copying them does.
 */
enum { DIRECT_BYTES = 768 << 10, DIRECT_LOGS = 32 };

void commit_set_direct(struct commit *c, size_t bytes)
{
    c->direct_bytes = bytes ? bytes : DIRECT_BYTES;
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
    d->bytes += i->entry.bytes;
    bool large = d->bytes >= c->direct_bytes || d->before >= c->direct_bytes;
    if (large && !d->on && c->direct_logs < DIRECT_LOGS) {
        d->on = true;
        c->direct_logs++;
    }
    return d->on;
}

/* Full as the disk may be, what was appended has its place; but a new log's small files are made with the first sync. */
static int sync_appends(struct partition *p, struct err *e)
{
    int rc = log_sync_appends(partition_log(p), e);
    bool again = rc == ERR_NO_SPACE && !e->fatal && disk_use_reserve(p->disk);
    return again ? log_sync_appends(partition_log(p), e) : rc;
}

static void take_out(struct partition *p, const struct err *why)
{
    p->direct.torn = true;
    log_fail(partition_log(p), why); /* also where no sync was tried: later appends stand behind this one */
    disk_suspect(p->disk, why);
}

static void sync_one(struct partition *p, struct err *e)
{
    if (sync_appends(p, e))
        take_out(p, e);
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

/* Where there are several: one alone is waited for at once. */
static void begin_all(const struct commit_item *list, uint64_t round, struct err *e)
{
    const struct partition *first = NULL;
    bool several = false;
    for (const struct commit_item *i = list; i && !several; i = i->next) {
        several = i->direct && first && i->p != first;
        first = i->direct ? i->p : first;
    }
    for (const struct commit_item *i = list; i && several; i = i->next) {
        struct direct *d = &i->p->direct;
        if (!i->direct || d->begun == round || d->torn)
            continue;
        d->begun = round;
        if (log_begin_sync_appends(partition_log(i->p), e))
            take_out(i->p, e);
    }
}

int commit_sync_direct(struct commit *c, struct commit_item *list, uint64_t round, struct err *e)
{
    int rc = ERR_OK;
    begin_all(list, round, e);
    for (struct commit_item *i = list; i; i = i->next) {
        struct direct *d = &i->p->direct;
        if (!i->direct)
            continue;
        atomic_fetch_add(&c->direct, i->entry.bytes);
        if (d->synced != round && !d->torn)
            sync_one(i->p, e);
        d->synced = round;
    }
    for (struct commit_item *i = list; i && !rc; i = i->next)
        if (i->p->direct.torn)
            rc = leave_out(c, i, e);
    return rc;
}
