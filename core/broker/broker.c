/*
 * broker: opening and closing a data directory: lock, identity, metadata, recovery, threads; and back.
 */
#include "broker/broker.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "broker/checkpoint.h"
#include "broker/closing.h"
#include "broker/data_dir.h"
#include "broker/foreign.h"
#include "broker/meta.h"
#include "broker/offsets.h"
#include "broker/recovery.h"
#include "broker/store.h"
#include "broker/txn.h"
#include "broker/upkeep.h"

enum { INTERNAL_PARTITIONS = 50 };
#define RETENTION_CHECK_MS 300000
#define PRODUCER_EXPIRATION_MS 86400000

const char *broker_data_dir(const struct broker *b)
{
    return b->data_dir;
}

const char *broker_cluster_id(const struct broker *b)
{
    return b->cluster_id;
}

/* ---- opening ------------------------------------------------------------------------------------------------------------ */

static int open_paths(struct broker *b, const struct broker_options *o, struct err *e)
{
    b->data_dir = mem_strdup(o->data_dir);
    b->logs_dir = mem_printf("%s/logs", o->data_dir);
    if (!b->data_dir || !b->logs_dir)
        return err_nomem(e);
    int rc = io_mkdirs_synced(b->data_dir, 0755, e);
    if (!rc)
        rc = foreign_check(b->data_dir, e);
    if (!rc)
        rc = data_dir_lock(b->data_dir, true, &b->lock_fd, e);
    if (!rc)
        rc = io_mkdir(b->logs_dir, 0755, e);
    if (!rc) /* its name, even if a killed process made it */
        rc = io_sync_dir(b->data_dir, e);
    if (!rc)
        rc = checkpoint_identity(b, e);
    return rc ? rc : checkpoint_take_clean(b, &b->clean_start, e);
}

static int open_journal(struct broker *b, struct err *e)
{
    char *dir = mem_printf("%s/journal", b->data_dir);
    struct journal_options o = {.dir = dir, .file_bytes = b->o.journal_file_bytes};
    if (!dir)
        return err_nomem(e);
    int rc = journal_open(&b->journal, &o, e);
    mem_free(dir);
    return rc;
}

static int open_store(struct broker *b, struct err *e)
{
    int rc;
    b->removed = map_new();
    b->removed_names = map_new();
    if (!b->removed || !b->removed_names)
        return err_nomem(e);
    if ((rc = meta_open(b, e)) || (rc = recovery_scan(b, e)) || (rc = checkpoint_read(b, e)) ||
        (rc = open_journal(b, e)))
        return rc;
    map_free(b->removed, NULL);
    b->removed = NULL;
    return recovery_run(b, e);
}

static int open_services(struct broker *b, struct err *e)
{
    int rc = commit_start(&b->commit, b->journal, &b->topics, !b->o.no_threads, e);
    if (rc)
        return rc;
    if ((rc = offsets_load(b, e)) || (rc = txns_load(b, e)))
        return rc;
    if (!b->clean_start && ((rc = txns_abort_unknown(b, e)) || (rc = offsets_forget_removed(b, e))))
        return rc;
    map_free(b->removed_names, NULL);
    b->removed_names = NULL;
    return upkeep_start(b, e);
}

static void set_defaults(struct broker *b, const struct broker_options *o)
{
    b->o = *o;
    b->o.data_dir = NULL;
    b->o.retention_check_ms = o->retention_check_ms ? o->retention_check_ms : RETENTION_CHECK_MS;
    b->o.producer_expiration_ms =
        o->producer_expiration_ms ? o->producer_expiration_ms : PRODUCER_EXPIRATION_MS;
    b->o.offsets_partitions = o->offsets_partitions ? o->offsets_partitions : INTERNAL_PARTITIONS;
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
    b->lock_fd = -1;
    set_defaults(b, o);
    mutex_init(&b->admin);
    mutex_init(&b->checkpoints);
    int rc = topics_init(&b->topics, e);
    if (rc || (rc = offsets_open(b, e)) || (rc = txns_open(b, e)) || (rc = open_paths(b, o, e)) ||
        (rc = open_store(b, e)) || (rc = open_services(b, e))) {
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

static int write_clean_state(struct broker *b, struct err *e)
{
    int rc;
    if ((rc = checkpoint_recovery(b, e)) || (rc = checkpoint_starts(b, e)) ||
        (rc = checkpoint_watermarks(b, e)) || (rc = journal_reset(b->journal, e)))
        return rc;
    return checkpoint_set_clean(b, e);
}

static void free_all(struct broker *b)
{
    txns_close(b);
    offsets_close(b);
    if (b->commit)
        commit_free(b->commit);
    if (b->journal)
        journal_close(b->journal);
    if (b->removed)
        map_free(b->removed, NULL);
    if (b->removed_names)
        map_free(b->removed_names, NULL);
    mem_free(b->upkeep);
    topics_free(&b->topics);
    topic_config_free(b->defaults.list, b->defaults.n);
    io_close(b->lock_fd);
    pthread_mutex_destroy(&b->checkpoints);
    pthread_mutex_destroy(&b->admin);
    mem_free(b->logs_dir);
    mem_free(b->data_dir);
    mem_free(b);
}

static int close_all(struct broker *b, bool clean, struct err *e)
{
    int rc = ERR_OK;
    struct err why;
    upkeep_stop(b);
    if (b->commit) {
        commit_stop(b->commit);
        if (commit_failed(b->commit, &why)) {
            rc = why.code;
            *e = why;
            clean = false;
        }
    }
    int closed = closing_logs(b, clean, &why);
    if (closed && !rc) {
        rc = closed;
        *e = why;
    }
    if (clean && !rc)
        rc = write_clean_state(b, e);
    free_all(b);
    return rc;
}

int broker_close(struct broker *b, struct err *e)
{
    return b ? close_all(b, true, e) : ERR_OK;
}

int64_t broker_step(struct broker *b, int64_t now_ms)
{
    commit_run(b->commit);
    return upkeep_round(b, now_ms);
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
    commit_figures(b->commit, s);
    pthread_rwlock_rdlock(&b->topics.lock);
    s->topics = map_count(b->topics.by_name);
    while (map_next(b->topics.by_name, &pos, &key, &len, &value))
        s->partitions += (uint64_t)((struct topic *)value)->count;
    pthread_rwlock_unlock(&b->topics.lock);
}

bool broker_failed(struct broker *b, struct err *why)
{
    return commit_failed(b->commit, why);
}
