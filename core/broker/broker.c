/*
 * broker: opening and closing a data directory: lock, identity, metadata, recovery, threads; and back.
 */
#include "broker/broker.h"

#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/aside.h"
#include "broker/checkpoint.h"
#include "broker/cleaner.h"
#include "broker/closing.h"
#include "broker/defaults.h"
#include "broker/group_config.h"
#include "broker/group_writes.h"
#include "broker/meta.h"
#include "broker/offsets.h"
#include "broker/open_files.h"
#include "broker/recovery.h"
#include "broker/scrub.h"
#include "broker/store.h"
#include "broker/txn.h"
#include "broker/upkeep.h"

enum { INTERNAL_PARTITIONS = 50 };
#define CLEANER_DEDUPE_BYTES ((size_t)128 << 20)
#define CLEANER_BACKOFF_MS 15000
#define INTERNAL_SEGMENT_BYTES 104857600
#define RETENTION_CHECK_MS 300000
#define JOURNAL_RELEASE_MS 10000
#define PRODUCER_EXPIRATION_MS 86400000
#define OFFSETS_CHECK_MS 600000
#define TXN_ID_CHECK_MS 3600000

const char *broker_data_dir(const struct broker *b)
{
    return b->data_dir;
}

int64_t broker_metadata_end(const struct broker *b)
{
    return log_high_watermark(b->meta);
}

const char *broker_cluster_id(const struct broker *b)
{
    return b->cluster_id;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static int open_journal(struct disk *d, struct err *e)
{
    char *dir = mem_printf("%s/journal", d->dir);
    struct journal_options o = {.dir = dir, .file_bytes = d->b->o.journal_file_bytes};
    if (!dir)
        return err_nomem(e);
    int rc = journal_open(&d->journal, &o, e);
    mem_free(dir);
    return rc;
}

/* Calls for every disk that is there, until an error. */
static int each_disk(struct broker *b, int (*fn)(struct disk *d, struct err *e), struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < b->disk_count; i++)
        if (!b->disks[i]->missing)
            rc = fn(b->disks[i], e);
    return rc;
}

/* Late, so that a start which only finds that it cannot be leaves the mark where it is. */
static int take_clean(struct disk *d, struct err *e)
{
    return checkpoint_take_clean(d, &d->clean_start, e);
}

static int open_store(struct broker *b, struct err *e)
{
    int rc;
    b->removed = map_new();
    b->removed_names = map_new();
    if (!b->removed || !b->removed_names)
        return err_nomem(e);
    if ((rc = meta_open(b, e)) || (rc = each_disk(b, recovery_scan, e)) || (rc = disks_settle(b, e)) ||
        (rc = each_disk(b, take_clean, e)) || (rc = each_disk(b, checkpoint_read, e)) ||
        (rc = each_disk(b, open_journal, e)))
        return rc;
    b->clean_start = true;
    for (size_t i = 0; i < b->disk_count; i++)
        b->clean_start = b->clean_start && (b->disks[i]->missing || b->disks[i]->clean_start);
    rc = each_disk(b, recovery_run, e);
    map_free(b->removed, NULL);
    b->removed = NULL;
    return rc ? rc : recovery_open(b, e);
}

static void stage_failed(void *arg, const struct err *why)
{
    disk_fail(arg, why);
}

static int open_stage(struct disk *d, struct err *e)
{
    int rc = commit_start(&d->commit, d->journal, &d->b->topics, !d->b->o.no_threads, e);
    if (!rc) {
        commit_on_failed(d->commit, stage_failed, d);
        commit_set_direct(d->commit, d->b->o.direct_bytes);
    }
    return rc;
}

static int open_stages(struct broker *b, struct err *e)
{
    size_t n = 0;
    int rc = each_disk(b, open_stage, e);
    if (!rc && !(b->stages = mem_calloc(b->disk_count, sizeof(struct commit *))))
        rc = err_nomem(e);
    for (size_t i = 0; !rc && i < b->disk_count; i++)
        if (b->disks[i]->commit)
            b->stages[n++] = b->disks[i]->commit;
    for (size_t i = 0; i < n; i++)
        commit_set_peers(b->stages[i], b->stages, n);
    return rc;
}

static int open_services(struct broker *b, struct err *e)
{
    int rc = open_stages(b, e);
    if (rc)
        return rc;
    if ((rc = offsets_load(b, e)) || (rc = txns_load(b, e)))
        return rc;
    if (!b->clean_start && (rc = txns_abort_unknown(b, e)))
        return rc;
    if (offsets_forget_removed(b, e)) {
        diag_warn("broker", "groups keep offsets for deleted topics: %s", e->text);
        b->offsets_stale = true;
    }
    map_free(b->removed_names, NULL);
    b->removed_names = NULL;
    if ((rc = upkeep_start(b, e)) || (rc = log_cleaner_start(b, e)))
        return rc;
    return scrub_start(b, e);
}

static void set_defaults(struct broker *b, const struct broker_options *o)
{
    b->o = *o;
    b->o.data_dir = NULL; /* the caller's */
    b->o.data_dirs = NULL;
    b->o.journal_release_ms = o->journal_release_ms ? o->journal_release_ms : JOURNAL_RELEASE_MS;
    b->o.retention_check_ms = o->retention_check_ms ? o->retention_check_ms : RETENTION_CHECK_MS;
    b->o.producer_expiration_ms =
        o->producer_expiration_ms ? o->producer_expiration_ms : PRODUCER_EXPIRATION_MS;
    b->o.offsets_check_ms = o->offsets_check_ms ? o->offsets_check_ms : OFFSETS_CHECK_MS;
    b->o.txn_id_check_ms = o->txn_id_check_ms ? o->txn_id_check_ms : TXN_ID_CHECK_MS;
    b->o.txn_timeout_max_ms = o->txn_timeout_max_ms ? o->txn_timeout_max_ms : TXN_TIMEOUT_MAX_MS;
    b->o.offsets_partitions = o->offsets_partitions ? o->offsets_partitions : INTERNAL_PARTITIONS;
    b->o.offsets_segment_bytes = o->offsets_segment_bytes ? o->offsets_segment_bytes : INTERNAL_SEGMENT_BYTES;
    b->o.txn_segment_bytes = o->txn_segment_bytes ? o->txn_segment_bytes : INTERNAL_SEGMENT_BYTES;
    b->o.cleaner_dedupe_bytes = o->cleaner_dedupe_bytes ? o->cleaner_dedupe_bytes : CLEANER_DEDUPE_BYTES;
    b->o.cleaner_threads = o->cleaner_threads ? o->cleaner_threads : 1;
    b->o.cleaner_backoff_ms = o->cleaner_backoff_ms ? o->cleaner_backoff_ms : CLEANER_BACKOFF_MS;
    b->defaults.partitions = 1;
    b->o.txn_partitions = o->txn_partitions ? o->txn_partitions : INTERNAL_PARTITIONS;
}

static int close_all(struct broker *b, bool clean, struct err *e);

int broker_open(struct broker **out, const struct broker_options *o, struct err *e)
{
    int64_t start = clock_mono_ms();
    struct err ignored;
    struct broker *b = mem_calloc(1, sizeof *b);
    *out = NULL;
    if (!b)
        return err_nomem(e);
    set_defaults(b, o);
    mutex_init(&b->admin);
    mutex_init(&b->delays.lock);
    cond_init(&b->delays.cond);
    open_files_init(&b->files, o->open_files_max);
    page_cache_init(&b->page_cache, o->page_cache_bytes);
    removals_init(&b->removals);
    int rc = topics_init(&b->topics, e);
    if (!rc && !(b->group_configs = group_configs_new()))
        rc = err_nomem(e);
    if (!rc && !(b->data_dir = mem_strdup(o->data_dir)))
        rc = err_nomem(e);
    if (rc || (rc = offsets_open(b, e)) || (rc = group_writes_open(b, e)) || (rc = txns_open(b, e)) ||
        (rc = disks_open(b, o, e)) || (rc = open_store(b, e)) || (rc = open_services(b, e))) {
        close_all(b, false, &ignored);
        return rc;
    }
    b->start_ms = clock_mono_ms() - start;
    if (!b->clean_start && (b->recovered_bytes || b->cut_bytes))
        diag_info("broker", "recovered %s in %lld ms: %llu bytes read again or put back, %llu cut",
                  b->data_dir, (long long)b->start_ms, (unsigned long long)b->recovered_bytes,
                  (unsigned long long)b->cut_bytes);
    *out = b;
    return ERR_OK;
}

/* ---- closing ------------------------------------------------------------------------------------------------------------ */

static int write_clean_state(struct disk *d, struct err *e)
{
    int rc;
    if ((rc = checkpoint_recovery(d, e)) || (rc = checkpoint_starts(d, e)) ||
        (rc = checkpoint_watermarks(d, e)) || (rc = journal_reset(d->journal, e)) ||
        (rc = asides_drop_all(d, e)))
        return rc;
    return checkpoint_set_clean(d, e);
}

static void free_all(struct broker *b)
{
    txns_close(b);
    group_writes_close(b);
    offsets_close(b);
    if (b->removed)
        map_free(b->removed, NULL);
    if (b->removed_names)
        map_free(b->removed_names, NULL);
    scrub_free(b);
    log_cleaner_free(b);
    mem_free(b->upkeep);
    topics_free(&b->topics);
    defaults_free(&b->defaults);
    group_configs_free(b->group_configs);
    disks_free(b);
    mem_free(b->stages);
    open_files_free(&b->files);
    removals_free(&b->removals);
    pthread_cond_destroy(&b->delays.cond);
    pthread_mutex_destroy(&b->delays.lock);
    pthread_mutex_destroy(&b->admin);
    mem_free(b->data_dir);
    mem_free(b);
}

static void keep_first(int *rc, struct err *e, int code, const struct err *why)
{
    if (code && !*rc) {
        *rc = code;
        *e = *why;
    }
}

/* A disk out of service is left as it is: its next start is a recovery. */
static int close_disk(struct disk *d, struct err *e)
{
    if (d->missing || d->unclean)
        return ERR_OK; /* said */
    return disk_in_service(d) ? write_clean_state(d, e) : disk_refusal(d, e);
}

static int close_all(struct broker *b, bool clean, struct err *e)
{
    int rc = ERR_OK;
    struct err why;
    scrub_stop(b);
    log_cleaner_stop(b);
    upkeep_stop(b);
    group_writes_stop(b);
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit)
            commit_stop(b->disks[i]->commit);
    int closed = closing_logs(b, clean, &why);
    keep_first(&rc, e, closed, &why);
    for (size_t i = 0; clean && i < b->disk_count; i++) {
        closed = close_disk(b->disks[i], &why);
        keep_first(&rc, e, closed, &why);
    }
    free_all(b);
    return rc;
}

int broker_close(struct broker *b, struct err *e)
{
    return b ? close_all(b, true, e) : ERR_OK;
}

int64_t broker_step(struct broker *b, int64_t now_ms)
{
    disks_run(b);
    int64_t cleaning = log_cleaner_round(b, now_ms), upkeep = upkeep_round(b, now_ms);
    return cleaning < upkeep ? cleaning : upkeep;
}

static void count_partitions(const struct topic *t, struct broker_stats *s)
{
    s->partitions += (uint64_t)t->count;
    for (int32_t i = 0; i < t->count; i++)
        s->uncleanable_partitions += atomic_load(&t->partitions[i]->uncleanable);
}

void broker_stats(struct broker *b, struct broker_stats *s)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    memset(s, 0, sizeof *s);
    s->append_batches = atomic_load(&b->append_batches);
    s->append_records = atomic_load(&b->append_records);
    s->append_bytes = atomic_load(&b->append_bytes);
    s->fetch_bytes = atomic_load(&b->fetch_bytes);
    s->recovered_bytes = atomic_load(&b->recovered_bytes);
    s->cut_bytes = atomic_load(&b->cut_bytes);
    s->start_ms = b->start_ms;
    s->throttled_ns = atomic_load(&b->throttled_ns);
    s->open_files = (uint64_t)atomic_load(&b->files.count);
    s->open_files_max = (uint64_t)b->files.max;
    for (size_t i = 0; i < b->disk_count; i++)
        if (b->disks[i]->commit)
            commit_figures(b->disks[i]->commit, s);
    log_cleaner_figures(b, s);
    pthread_rwlock_rdlock(&b->topics.lock);
    s->topics = map_count(b->topics.by_name);
    while (map_next(b->topics.by_name, &pos, &key, &len, &value))
        count_partitions(value, s);
    pthread_rwlock_unlock(&b->topics.lock);
}

bool broker_failed(struct broker *b, struct err *why)
{
    if (disk_in_service(b->disks[0]))
        return false;
    disk_refusal(b->disks[0], why);
    return true;
}

size_t broker_disk_count(const struct broker *b)
{
    return b->disk_count;
}

const char *broker_disk_dir(const struct broker *b, size_t i)
{
    return b->disks[i]->dir;
}

void broker_disk(struct broker *b, size_t i, struct disk_info *out)
{
    struct disk *d = b->disks[i];
    *out = (struct disk_info){.dir = d->dir};
    uuid_text(&d->id, out->id);
    disk_space_check(d, clock_mono_ms());
    out->partitions =
        atomic_load(&d->partitions); /* not under `admin`: that is held over syncs, and a disk may hang */
    pthread_mutex_lock(&d->lock);
    out->failed = atomic_load(&d->failed);
    out->why = d->why;
    out->total_bytes = d->space.total;
    out->free_bytes = d->space.free;
    out->low = d->space.low;
    out->full = atomic_load(&d->full);
    pthread_mutex_unlock(&d->lock);
}
