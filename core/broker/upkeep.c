/*
 * upkeep: see upkeep.h. Errors here stop nobody: what failed is said and tried again, except a failed sync, which has
 * put its log out of service.
 */
#include "broker/upkeep.h"

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/aside.h"
#include "broker/checkpoint.h"
#include "broker/each.h"
#include "broker/open_files.h"
#include "broker/removal.h"
#include "broker/retention_clock.h"
#include "broker/txn.h"

#define RETRY_MS 60000
#define SPACE_CHECK_MS 10000
/* From so many logs on that must be flushed, the file system is synced first. */
enum { MANY_HOLDERS = 256 };

/*
 * In files of full size. From the first number on they are given back at once, before that when they are old. While fewer than the
 * last number are full besides, appends go on meanwhile; so much is read again after a kill.
 *
 * A log costs its flush whatever there is of it: an inode, the last page once more, a request to the disk. So thousands of them wait for
 * more files, up to the second number, until there is some 64 KiB of each: a file for MANY_A_FILE times as many as are many. Appends
 * larger than that share nothing, and meet fewer logs in a file.
 */
#define JOURNAL_FILES_RELEASE 2u
#define JOURNAL_FILES_RELEASE_MOST 10u
#define JOURNAL_FILES_MORE 14u
enum { MANY_A_FILE = 4 };

struct upkeep {
    pthread_t thread;
    pthread_mutex_t lock; /* leaf */
    pthread_cond_t cond;
    bool stop, started;
    _Atomic(int64_t) wake_at; /* clock_mono_ms */
    int64_t next_retention;
    struct retention_clock clock;
    int64_t next_space;   /* room on the disks is not looked at again before */
    int64_t space_due;    /* when it has to be; INT64_MAX: once something is appended */
    uint64_t space_bytes; /* appended when it was looked at last */
};

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* ---- journal ------------------------------------------------------------------------------------------------------ */

static bool unflushed(struct log *log)
{
    return log_recovery_point(log) < log_end_offset(log);
}

/* A log that could not be opened after a crash may need what the journal has of it. */
static bool holds_journal(struct partition *p)
{
    struct log *log = partition_log(p);
    return log ? atomic_load(&p->journaled) && unflushed(log) : partition_unsynced(p);
}

/* Will another try do? */
static bool may_pass(const struct err *e)
{
    return e->code == ERR_FILES || e->code == ERR_NO_MEMORY || e->code == ERR_NO_SPACE;
}

static int flush_one(struct partition *p, struct err *e)
{
    const struct disk *d = p->disk;
    return d->fs_synced ? partition_flush_synced(p, d->device, e) : partition_flush(p, e);
}

/* What the journal has of a log that is out of service, or cannot be opened, is going to be set aside. */
static int flush_for_release(struct broker *b, struct partition *p, struct err *e)
{
    struct log *log;
    p->unflushable = false;
    int rc = partition_open(b, p, false, &log, e);
    if (rc)
        p->unflushable = !may_pass(e);
    else if (log && unflushed(log) && (rc = flush_one(p, e)))
        p->unflushable = log_failed(log);
    return p->unflushable ? ERR_OK : rc;
}

static size_t many_holders(const struct disk *d)
{
    return d->b->o.many_holders ? d->b->o.many_holders : MANY_HOLDERS;
}

static int mark(struct broker *b, struct partition *p, struct err *e)
{
    (void)b;
    struct log *log = partition_log(p);
    struct err unwritten;
    int rc = log ? log_write_ahead(log, e) : ERR_OK;
    if (log && log_mark_for_sync(log, &unwritten))
        disk_suspect(p->disk, &unwritten);
    return rc;
}

/*
 * One sync of the file system for thousands of logs, which then have only to ask whether it went well for them. Where it does not go
 * well, each is synced by itself, and once more in the next round: the error may be one of a log that came after this one began.
 */
static void sync_together(struct disk *d, struct partition **list, size_t n)
{
    struct err e;
    if (n < many_holders(d))
        return;
    partitions_each_of(d->b, list, n, mark, &e); /* the flush does again what was not done */
    int rc = io_sync_fs_of(d->lock_fd, &d->device, d->dir, &e);
    d->fs_synced = !rc && !d->fs_doubtful;
    d->fs_doubtful = rc && rc != ERR_UNSUPPORTED;
    if (rc == ERR_UNSUPPORTED)
        io_sync_fs(d->logs_dir);
    else if (rc)
        diag_warn("broker", "%s; its logs are synced one by one", e.text);
}

/* Those of the disk that must be flushed come first in the list; how many. */
static size_t choose_holders(const struct disk *d, struct partition **list, size_t n)
{
    size_t chosen = 0;
    for (size_t i = 0; i < n; i++) {
        struct partition *p = list[i];
        if (p->disk != d || !holds_journal(p))
            continue;
        list[i] = list[chosen];
        list[chosen++] = p;
    }
    return chosen;
}

/*
 * Thousands of logs are flushed by several threads, after one sync of the file system that leaves their own little to do and
 * takes along what new logs write before it, so that this keeps up with the appends and the journal stays small. For few logs it
 * would cost more, as it waits for other programs' data, too.
 */
int upkeep_release_journal(struct disk *d, struct err *e)
{
    struct partition **list;
    size_t n;
    uint64_t seal = commit_sealed(d->commit); /* before the flushes */
    int rc = topics_all(&d->b->topics, &list, &n, e);
    if (rc)
        return rc;
    size_t chosen = d->holders = choose_holders(d, list, n);
    page_cache_share(&d->b->page_cache, chosen);
    sync_together(d, list, chosen);
    rc = partitions_each_of(d->b, list, chosen, flush_for_release, e);
    d->fs_synced = false;
    if (!rc && !disk_in_service(d)) /* since just now: nothing more is written to it */
        rc = disk_refusal(d, e);
    if (!rc)
        rc = asides_add(d, list, chosen, seal, e);
    asides_judge(d, list, n); /* before the recovery points are written, which are not below what it sees */
    partitions_release(&d->b->topics, list, n);
    if (!rc)
        rc = checkpoint_recovery(d, e);
    if (!rc)
        rc = asides_drop(d, e);
    return rc ? rc : journal_release(d->journal, seal, e);
}

/* By how many logs the last release had: that is what the next one is going to have, too. */
static uint64_t release_bytes(const struct disk *d)
{
    size_t logs = MANY_A_FILE * many_holders(d), files = (d->holders + logs - 1) / logs;
    files = files < JOURNAL_FILES_RELEASE ? JOURNAL_FILES_RELEASE : files;
    files = files > JOURNAL_FILES_RELEASE_MOST ? JOURNAL_FILES_RELEASE_MOST : files;
    return files * journal_file_bytes(d->journal);
}

/* When appends wait. */
static uint64_t limit_bytes(const struct disk *d)
{
    return release_bytes(d) + JOURNAL_FILES_MORE * journal_file_bytes(d->journal);
}

/* How long appends may outrun the flushes. Without threads nobody would give anything back while they wait. */
static void limit_journal(struct disk *d, bool on)
{
    bool threads = !d->b->o.no_threads;
    commit_limit_journal(d->commit, on && threads ? limit_bytes(d) : 0);
}

/* Each release flushes every log that was written to, so that files are given back some at a time; all there are where no further one can be made. */
static int64_t release_due(struct disk *d, int64_t now)
{
    if (!d->sealed_since)
        d->sealed_since = now;
    if (journal_sealed_bytes(d->journal) >= release_bytes(d) || journal_lacks_room(d->journal))
        return d->next_release;
    int64_t at = d->sealed_since + d->b->o.journal_release_ms;
    return at > d->next_release ? at : d->next_release;
}

static int64_t release(struct disk *d, int64_t now)
{
    struct err e;
    uint64_t seal = commit_sealed(d->commit);
    if (seal <= d->released)
        return INT64_MAX;
    int64_t due = release_due(d, now);
    if (now < due)
        return due;
    int rc = upkeep_release_journal(d, &e);
    limit_journal(d, !rc); /* what cannot be given back is not waited for */
    if (rc) {
        diag_error("broker", "the journal of %s cannot be released: %s", d->dir, e.text);
        return d->next_release = now + RETRY_MS;
    }
    d->released = seal;
    d->sealed_since = 0;
    return INT64_MAX; /* what was sealed meanwhile has rung */
}

static int64_t release_all(struct broker *b, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]))
            next = earlier(next, release(b->disks[i], now));
    return next;
}

/* ---- room -------------------------------------------------------------------------------------------------------- */

static bool short_of_room(struct disk *d)
{
    pthread_mutex_lock(&d->lock);
    bool is_short = d->space.low || atomic_load(&d->full);
    pthread_mutex_unlock(&d->lock);
    return is_short;
}

/* What the journal has more than it needs: at once where nobody appends, or somebody else may need the room. */
static void trim_journal(struct disk *d, bool at_once)
{
    struct err e;
    if (!d->journal)
        return;
    journal_trim(d->journal);
    if (disk_in_service(d) && journal_shrink(d->journal, at_once, &e))
        diag_warn("broker", "%s", e.text);
}

/* Every ten seconds while something is appended or room is short, and once more; an idle hub is not woken for it. */
static int64_t look_at_room(struct broker *b, struct upkeep *u, int64_t now)
{
    if (now < u->next_space)
        return u->space_due;
    uint64_t bytes = atomic_load(&b->append_bytes);
    bool busy = bytes != u->space_bytes, again = busy;
    for (size_t i = 0; i < b->disk_count; i++) {
        struct disk *d = b->disks[i];
        disk_space_check(d, now);
        bool is_short = short_of_room(d);
        trim_journal(d, is_short || !busy);
        again = again || is_short;
    }
    u->space_bytes = bytes;
    u->next_space = now + SPACE_CHECK_MS;
    return u->space_due = again ? u->next_space : INT64_MAX;
}

/* ---- flush.ms ------------------------------------------------------------------------------------------------------ */

static int64_t flush_due(struct partition *p)
{
    const struct topic_settings *s = topic_settings(p->topic);
    if (s->synced || s->flush_ms == INT64_MAX || !atomic_load(&p->dirty))
        return INT64_MAX;
    int64_t since = atomic_load(&p->dirty_since);
    return s->flush_ms > INT64_MAX - since ? INT64_MAX : since + s->flush_ms;
}

static int64_t flush_pass(struct partition **list, size_t n, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        struct err e;
        int64_t due = disk_in_service(list[i]->disk) ? flush_due(list[i]) : INT64_MAX;
        if (due > now)
            next = earlier(next, due);
        else if (partition_flush(list[i], &e) && e.code != ERR_LOG_FAILED) /* which was said */
            diag_error("broker", "%s-%d: %s", list[i]->topic->name, list[i]->index, e.text);
    }
    return next;
}

/* ---- retention ----------------------------------------------------------------------------------------------------- */

static bool has_retention(const struct partition *p)
{
    if (!disk_in_service(p->disk))
        return false;
    const struct log_config *c = &topic_settings(p->topic)->log;
    return c->cleanup_delete && (c->retention_ms >= 0 || c->retention_bytes >= 0);
}

static void retain_one(struct broker *b, struct partition *p, int64_t now_wall, int64_t below)
{
    struct log *log = partition_log(p);
    struct err e;
    int deleted = 0;
    if (!log)
        return;
    log_expire_producers(log, now_wall, b->o.producer_expiration_ms);
    if (!has_retention(p))
        return;
    int rc = log_apply_retention(log, now_wall, below, &deleted, &e);
    if (rc) {
        diag_warn("broker", "retention of %s: %s", log_name(log), e.text);
        disk_suspect(p->disk, &e);
    } else if (deleted)
        diag_info("broker", "%s: retention deleted %d segments", log_name(log), deleted);
}

/* Where the disk is full its reserve is used: retention makes room again. */
static int flush_for_retention(struct partition *p, struct err *e)
{
    int rc = partition_flush(p, e);
    return rc == ERR_NO_SPACE && disk_use_reserve(p->disk) ? partition_flush(p, e) : rc;
}

/* Opens and flushes what has old data. The bound up to which segments may be removed then; an error is said and concerns this one. */
static int64_t prepare_one(struct broker *b, struct partition *p)
{
    struct err e;
    struct log *log;
    if (has_retention(p) && partition_open(b, p, false, &log, &e))
        return 0; /* said when it failed first */
    log = partition_log(p);
    if (log && log_recovery_point(log) < log_end_offset(log) && flush_for_retention(p, &e)) {
        if (e.code != ERR_LOG_FAILED) /* which was said, too */
            diag_warn("broker", "%s: retention is put off: %s", log_name(log), e.text);
        return 0;
    }
    return checkpoint_point(p);
}

/*
 * Recovery points go to disk before segments are removed: entries of those may still be in the journal, and recovery
 * passes over what is below the recovery point instead of writing it anew. below[i]: nothing beyond is to be removed; 0 where
 * the points could not be written. Disks stand alone in this: one that is full or failing does not fill the others.
 */
static void prepare_retention(struct broker *b, struct partition **list, size_t n, int64_t *below)
{
    for (size_t i = 0; i < n; i++)
        below[i] = prepare_one(b, list[i]);
    for (size_t k = 0; k < b->disk_count; k++) {
        struct err e;
        if (!disk_in_service(b->disks[k]) || checkpoint_recovery(b->disks[k], &e) == ERR_OK)
            continue;
        diag_warn("broker", "retention in %s is put off: %s", b->disks[k]->dir, e.text);
        for (size_t i = 0; i < n; i++)
            below[i] = list[i]->disk == b->disks[k] ? 0 : below[i];
    }
}

int64_t upkeep_wall(struct broker *b)
{
    int64_t jumped, now = retention_clock_now(&b->upkeep->clock, clock_wall_ms(), clock_boot_ms(), &jumped);
    if (jumped)
        diag_warn(
            "broker",
            "the wall clock has jumped %lld s ahead; retention goes by the old time for an hour before it "
            "believes it",
            (long long)(jumped / 1000));
    return now;
}

/* Jumps are told from here on. */
static void start_clock(struct broker *b, struct upkeep *u)
{
    int64_t written = 0, wall = clock_wall_ms(), jumped;
    for (size_t i = 0; i < b->disk_count; i++)
        written = b->disks[i]->written_ms > written ? b->disks[i]->written_ms : written;
    retention_clock_start(&u->clock, written, wall, clock_boot_ms());
    retention_clock_now(&u->clock, wall, clock_boot_ms(), &jumped);
    if (jumped)
        diag_info(
            "broker",
            "nothing was written for %lld s before this start, by the wall clock; in case that is wrong "
            "retention goes by the time of then for an hour",
            (long long)(jumped / 1000));
}

static void retention_pass(struct broker *b, struct partition **list, size_t n)
{
    struct err e;
    int64_t now_wall = upkeep_wall(b);
    int64_t *below = mem_calloc(n + 1, sizeof *below);
    if (!below) {
        diag_warn("broker", "retention is put off: out of memory");
        return;
    }
    prepare_retention(b, list, n, below);
    for (size_t i = 0; i < n; i++)
        retain_one(b, list[i], now_wall, below[i]);
    mem_free(below);
    for (size_t i = 0; i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]) && checkpoint_starts(b->disks[i], &e))
            diag_warn("broker", "%s", e.text);
}

/* ---- files of deleted segments ------------------------------------------------------------------------------------ */

static int64_t removal_pass(struct partition **list, size_t n, int64_t now)
{
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        struct log *log = partition_log(list[i]);
        if (log && log_next_removal(log) <= now)
            log_remove_deleted(log, now);
        if (log)
            next = earlier(next, log_next_removal(log));
    }
    return next;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------ */

int64_t upkeep_round(struct broker *b, int64_t now)
{
    struct upkeep *u = b->upkeep;
    struct partition **list;
    struct err e;
    size_t n;
    int64_t next = earlier(earlier(release_all(b, now), txns_expire(b, now)), look_at_room(b, u, now));
    next = earlier(next, earlier(offsets_expire(b, now), txns_forget_idle(b, now)));
    if (topics_all(&b->topics, &list, &n, &e))
        return earlier(next, now + RETRY_MS);
    next = earlier(next, flush_pass(list, n, now));
    if (now >= u->next_retention) {
        retention_pass(b, list, n);
        u->next_retention = now + b->o.retention_check_ms;
    }
    next = earlier(next, open_files_sweep(b, list, n, now));
    int64_t mono = clock_mono_ms(); /* what is above takes its time */
    next = earlier(next, removal_pass(list, n, mono > now ? mono : now));
    next = earlier(next, removals_round(b, mono > now ? mono : now));
    partitions_release(&b->topics, list, n);
    return earlier(next, u->next_retention);
}

static void sleep_until(struct upkeep *u, int64_t at)
{
    pthread_mutex_lock(&u->lock);
    if (atomic_load(&u->wake_at) > at)
        atomic_store(&u->wake_at, at);
    while (!u->stop) {
        int64_t left = atomic_load(&u->wake_at) - clock_mono_ms();
        if (left <= 0)
            break;
        struct timespec deadline = clock_deadline_ms(left);
        cond_wait_until(&u->cond, &u->lock, &deadline);
    }
    atomic_store(&u->wake_at, INT64_MAX); /* pokes from now on count for the round after the next */
    pthread_mutex_unlock(&u->lock);
}

static void *run(void *arg)
{
    struct broker *b = arg;
    struct upkeep *u = b->upkeep;
    for (;;) {
        int64_t next = upkeep_round(b, clock_mono_ms());
        sleep_until(u, next);
        pthread_mutex_lock(&u->lock);
        bool stop = u->stop;
        pthread_mutex_unlock(&u->lock);
        if (stop)
            return NULL;
    }
}

void upkeep_poke(struct broker *b, int64_t at_ms)
{
    struct upkeep *u = b->upkeep;
    if (!u || atomic_load(&u->wake_at) <= at_ms)
        return;
    pthread_mutex_lock(&u->lock);
    if (at_ms < atomic_load(&u->wake_at)) {
        atomic_store(&u->wake_at, at_ms);
        pthread_cond_signal(&u->cond);
    }
    pthread_mutex_unlock(&u->lock);
}

void upkeep_wake_for_room(struct broker *b, int64_t now)
{
    upkeep_poke(b, now + SPACE_CHECK_MS);
}

static void on_sealed(void *arg)
{
    upkeep_poke(arg, 0);
}

static void set_limits(struct broker *b, bool on)
{
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit)
            limit_journal(b->disks[i], on);
}

/* Of what recovery left in the journal. Where that cannot be told it is as in a new store. */
static void count_holders(struct broker *b)
{
    struct partition **list;
    size_t n;
    struct err ignored;
    for (size_t i = 0; i < b->disk_count; i++) {
        struct disk *d = b->disks[i];
        if (!d->journal || !journal_sealed_bytes(d->journal) || topics_all(&b->topics, &list, &n, &ignored))
            continue;
        d->holders = choose_holders(d, list, n);
        partitions_release(&b->topics, list, n);
    }
}

int upkeep_start(struct broker *b, struct err *e)
{
    struct upkeep *u = mem_calloc(1, sizeof *u);
    if (!u)
        return err_nomem(e);
    mutex_init(&u->lock);
    cond_init(&u->cond);
    atomic_init(&u->wake_at, INT64_MAX);
    u->next_retention = clock_mono_ms() + b->o.retention_check_ms;
    start_clock(b, u);
    u->next_space = u->space_due = clock_mono_ms() + SPACE_CHECK_MS;
    /* The first round looks at what recovery left in the journal, and at what was sealed before it is told of. */
    b->upkeep = u;
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit)
            commit_on_sealed(b->disks[i]->commit, on_sealed, b);
    count_holders(b);
    set_limits(b, true);
    int rc = b->o.no_threads ? ERR_OK : thread_start(&u->thread, "leat-upkeep", run, b, e);
    u->started = !rc && !b->o.no_threads;
    return rc; /* freed with the broker: the commit stage may be ringing */
}

void upkeep_stop(struct broker *b)
{
    struct upkeep *u = b->upkeep;
    if (!u || !u->started)
        return;
    pthread_mutex_lock(&u->lock);
    u->stop = true;
    pthread_cond_signal(&u->cond);
    pthread_mutex_unlock(&u->lock);
    pthread_join(u->thread, NULL);
    set_limits(b, false);
}
