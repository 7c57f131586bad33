/*
 * open_files: what files cost is bounded by the number of active partitions, and by a setting, not by the number of those
 * that exist. Every log tells how many files its segments have open; all count into one number. Logs at rest close theirs
 * after a while (upkeep). When the bound is reached whoever needs a file closes those of others first: partitions are gone
 * through in a circle, those used since the last round are passed over once (the clock algorithm). A log with unsynced bytes
 * is flushed before, as its files must stay open until a sync has gone through them.
 */
#include "broker/open_files.h"

#include <fcntl.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/files.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/upkeep.h"

enum {
    IDLE_MS = 10000,     /* a log is at rest after so long, at most twice that */
    SWEEP_MAX = 256,     /* logs closed at once, so that other upkeep is not late */
    SWEEP_PAUSE_MS = 20, /* before the next so many */
    LEAST_FILES = 16,
    MANY = 32,        /* logs to flush for which the file system is synced first */
    FOR_OTHERS = 256, /* files left to journal, sockets, connectors where the limit is low */
};

static void reserve(struct open_files *f)
{
    struct err e;
    if (f->reserve < 0 && io_open(&f->reserve, "/dev/null", O_RDONLY, 0, &e))
        f->reserve = -1; /* none to be had; the next time */
}

void open_files_init(struct open_files *f, int32_t max)
{
    int32_t limit = files_limit(), others = limit / 4 < FOR_OTHERS ? FOR_OTHERS : limit / 4;
    if (limit - others < LEAST_FILES)
        others = limit - LEAST_FILES;
    f->max = max > 0 && max < limit - LEAST_FILES ? max : limit - others;
    if (f->max < LEAST_FILES)
        f->max = LEAST_FILES;
    atomic_init(&f->count, 0);
    mutex_init(&f->evict);
    f->reserve = -1;
    reserve(f);
}

void open_files_free(struct open_files *f)
{
    io_close(f->reserve);
    pthread_mutex_destroy(&f->evict);
}

void open_files_used(struct broker *b, struct partition *p)
{
    if (atomic_load_explicit(&p->recent, memory_order_relaxed))
        return;
    atomic_store_explicit(&p->recent, true, memory_order_relaxed);
    atomic_store_explicit(&p->stuck, false, memory_order_relaxed);
    upkeep_poke(b, clock_mono_ms() + IDLE_MS);
}

/* True if the log has no file open any more. */
static bool close_files(struct partition *p, struct log *log)
{
    struct err e;
    log_close_idle(log);
    if (log_open_files(log) == 0)
        return true;
    if (partition_flush(p, &e)) {
        atomic_store(&p->stuck, true);
        diag_warn("broker", "%s: its files stay open: %s", log_name(log), e.text);
        return false;
    }
    log_close_idle(log);
    return log_open_files(log) == 0;
}

/* Many logs' own syncs find little left to do after one of the file system (closing.c does the same). */
static void sync_first(struct broker *b, size_t files)
{
    if (files < MANY)
        return;
    for (size_t i = 0; i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]))
            io_sync_fs(b->disks[i]->logs_dir);
}

/* Down to `target` open files, in at most two rounds: the first one may only find partitions that are used. */
static void evict(struct broker *b, int target)
{
    struct open_files *f = &b->files;
    struct partition **list;
    struct err e;
    size_t n;
    if (topics_all(&b->topics, &list, &n, &e))
        return; /* no memory; whoever needs a file will be told if there is none */
    int open = atomic_load(&f->count);
    sync_first(b, open > target ? (size_t)(open - target) : 0);
    for (size_t i = 0; i < 2 * n && atomic_load(&f->count) > target; i++) {
        struct partition *p = list[f->hand++ % n];
        struct log *log = partition_log(p);
        if (log && log_open_files(log) > 0 && !atomic_exchange(&p->recent, false) && !atomic_load(&p->stuck))
            close_files(p, log);
    }
    partitions_release(&b->topics, list, n);
}

bool open_files_short(struct broker *b)
{
    return atomic_load_explicit(&b->files.count, memory_order_relaxed) >= b->files.max;
}

void open_files_make_room(struct broker *b)
{
    struct open_files *f = &b->files;
    if (!open_files_short(b))
        return;
    pthread_mutex_lock(&f->evict);
    if (atomic_load(&f->count) >= f->max) /* else somebody made room meanwhile */
        evict(b, f->max - f->max / 4);
    pthread_mutex_unlock(&f->evict);
}

void open_files_relieve(struct broker *b)
{
    atomic_store(&b->files.relieve, true);
    upkeep_poke(b, 0);
}

/* A flush must open directories: the file held in reserve makes place for that. */
static void relieve(struct broker *b)
{
    struct open_files *f = &b->files;
    pthread_mutex_lock(&f->evict);
    io_close(f->reserve);
    f->reserve = -1;
    int count = atomic_load(&f->count);
    evict(b, count - count / 4 - 1);
    reserve(f);
    pthread_mutex_unlock(&f->evict);
}

static bool is_resting(struct partition *p)
{
    struct log *log = partition_log(p);
    return log && log_open_files(log) > 0 && !atomic_load(&p->recent) && !atomic_load(&p->stuck);
}

static size_t count_resting(struct partition **list, size_t n)
{
    size_t resting = 0;
    for (size_t i = 0; i < n; i++)
        resting += is_resting(list[i]);
    return resting < SWEEP_MAX ? resting : SWEEP_MAX;
}

int64_t open_files_sweep(struct broker *b, struct partition **list, size_t n, int64_t now)
{
    struct open_files *f = &b->files;
    size_t closed = 0;
    if (atomic_exchange(&f->relieve, false))
        relieve(b);
    if (now < f->next_sweep)
        return atomic_load(&f->count) ? f->next_sweep : INT64_MAX;
    sync_first(b, count_resting(list, n));
    for (size_t i = 0; i < n && closed < SWEEP_MAX; i++)
        if (is_resting(list[i]))
            closed += close_files(list[i], partition_log(list[i]));
    if (closed > 0 && closed < SWEEP_MAX)
        mem_trim(); /* once for all that came to rest */
    bool more = closed == SWEEP_MAX;
    for (size_t i = 0; i < n && !more; i++)
        atomic_store(&list[i]->recent, false);
    f->next_sweep = now + (more ? SWEEP_PAUSE_MS : IDLE_MS);
    return atomic_load(&f->count) ? f->next_sweep : INT64_MAX;
}
