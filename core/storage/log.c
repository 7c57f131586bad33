/*
 * log: opening, closing and deleting a partition's log, and the small questions to it. See log.h and log_internal.h.
 */
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/thread.h"
#include "storage/log_internal.h"

struct log_config log_config_default(void)
{
    return (struct log_config){
        .segment_bytes = INT64_C(1) << 30,
        .segment_ms = INT64_C(7) * 24 * 3600 * 1000,
        .segment_index_bytes = 10 << 20,
        .index_interval_bytes = 4096,
        .retention_ms = -1,
        .retention_bytes = -1,
        .file_delete_delay_ms = 60000,
        .cleanup_delete = true,
        .delete_retention_ms = INT64_C(24) * 3600 * 1000,
        .max_compaction_lag_ms = INT64_MAX,
    };
}

int log_check_usable(struct log *log, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&log->state);
    if (log->failed)
        rc = err_set(e, ERR_LOG_FAILED, "%s is out of service: %s", log->name,
                     log->why ? log->why->text : "a write or sync failed");
    pthread_mutex_unlock(&log->state);
    return rc;
}

void log_fail(struct log *log, const struct err *why)
{
    struct err *copy = mem_dup(why, sizeof *why);
    pthread_mutex_lock(&log->state);
    bool first = !log->failed;
    log->failed = true;
    if (first) {
        log->why = copy;
        copy = NULL;
    }
    pthread_mutex_unlock(&log->state);
    if (first)
        diag_error("storage", "%s: out of service: %s", log->name, why->text);
    mem_free(copy);
}

bool log_failed(struct log *log)
{
    struct err ignored;
    return log_check_usable(log, &ignored) != ERR_OK;
}

/* ---- opening ---- */

/* It is synced with the first flush only: after a crash it may be torn, and then says nothing. */
static int check_metadata(struct log *log, bool clean, struct err *e)
{
    struct uuid id;
    char *path = mem_printf("%s/" METADATA_FILE, log->dir->path);
    if (!path)
        return err_nomem(e);
    int rc = partition_metadata_read(path, &id, e);
    if (rc == ERR_CORRUPT && !clean && !uuid_is_zero(&log->topic_id)) {
        diag_warn("storage", "%s; it is written anew", e->text);
        rc = ERR_NOT_FOUND;
    }
    if (rc == ERR_OK && !uuid_is_zero(&log->topic_id) && memcmp(&id, &log->topic_id, sizeof id) != 0) {
        char has[UUID_TEXT_SIZE], wanted[UUID_TEXT_SIZE];
        rc = err_set(e, ERR_CORRUPT, "%s says topic id %s, %s is expected", path, uuid_text(&id, has),
                     uuid_text(&log->topic_id, wanted));
    } else if (rc == ERR_OK) {
        log->topic_id = id;
    } else if (rc == ERR_NOT_FOUND && uuid_is_zero(&log->topic_id)) {
        rc = ERR_OK;
    } else if (rc == ERR_NOT_FOUND) {
        rc = partition_metadata_write(path, &log->topic_id, e);
        log->metadata_dirty = true;
        log_names_changed(log);
    }
    mem_free(path);
    return rc;
}

/* A broken file is only reported: batches say their epochs themselves, as far as they are read again. */
static int load_epochs(struct log *log, struct err *e)
{
    char *path = mem_printf("%s/" EPOCH_FILE, log->dir->path);
    if (!path)
        return err_nomem(e);
    int rc = epoch_file_read(path, &log->epochs.list, &log->epochs.count, e);
    log->epochs.cap = log->epochs.count;
    if (rc == ERR_CORRUPT) {
        diag_warn("storage", "%s; leader epochs are taken from the batches that are read", e->text);
        log->epochs.dirty = true;
        rc = ERR_OK;
    }
    mem_free(path);
    return rc;
}

static void free_log(struct log *log)
{
    page_cache_leave(log->page_cache, &log->page_share);
    for (size_t i = 0; i < log->count; i++) {
        atomic_store(&log->segments[i]->warm,
                     true); /* readers that are left must not close each other's files */
        segment_unref(log->segments[i]);
    }
    segment_unref(log->warm);
    log_drop_waiting(log->deleted);
    mem_free(log->segments);
    producers_free(log->producers);
    epochs_free(&log->epochs);
    log_dir_release(log->dir);
    pthread_mutex_destroy(&log->shape);
    pthread_mutex_destroy(&log->flush);
    pthread_mutex_destroy(&log->append);
    pthread_mutex_destroy(&log->state);
    pthread_cond_destroy(&log->idle);
    mem_free(log->why);
    mem_free(log->name);
    mem_free(log);
}

/* Positions in an index have 32 bits. */
static struct log_config bounded(const struct log_config *config)
{
    struct log_config c = *config;
    if (c.segment_bytes > INT32_MAX)
        c.segment_bytes = INT32_MAX;
    /* As Kafka: what must be cleaned by then has to leave the active segment first. */
    if (c.cleanup_compact && c.max_compaction_lag_ms > 0 && c.max_compaction_lag_ms < c.segment_ms)
        c.segment_ms = c.max_compaction_lag_ms;
    return c;
}

static struct log *new_log(const struct log_open_args *args, struct err *e)
{
    struct log *log = mem_calloc(1, sizeof *log);
    if (!log) {
        err_nomem(e);
        return NULL;
    }
    mutex_init(&log->shape);
    mutex_init(&log->flush);
    mutex_init(&log->append);
    mutex_init(&log->state);
    cond_init(&log->idle);
    log->config = bounded(&args->config);
    log->topic_id = args->topic_id;
    log->parent = args->parent;
    log->page_cache = args->page_cache;
    log->first_unstable = -1;
    atomic_init(&log->next_removal, INT64_MAX);
    for (unsigned k = 0; k < LOG_HINTS; k++)
        log->hints[k].offset = -1;
    log->dir = log_dir_new(args->dir, args->open_files, e);
    log->name = mem_strdup(args->name);
    log->producers = producers_new();
    if (log->dir && log->name && log->producers)
        return log;
    if (log->dir)
        err_nomem(e);
    free_log(log);
    return NULL;
}

/* What was compacted had been synced and acknowledged, even if the owner's checkpoint was lost. */
static void raise_points(struct log_open_args *args, int64_t compacted_end)
{
    if (args->recovery_point < compacted_end)
        args->recovery_point = compacted_end;
    if (args->durable_end >= 0 && args->durable_end < compacted_end)
        args->durable_end = compacted_end;
}

int log_open(struct log **out, const struct log_open_args *args, struct log_recovery *report, struct err *e)
{
    struct log_recovery unused;
    *out = NULL;
    if (!report)
        report = &unused;
    *report = (struct log_recovery){.cut_from_offset = -1};
    if (args->log_start_offset < 0 || args->log_start_offset > STORAGE_OFFSET_MAX || args->recovery_point < 0)
        return err_set(e, ERR_INVALID, "%s: start offset %" PRId64 ", recovery point %" PRId64, args->name,
                       args->log_start_offset, args->recovery_point);
    struct log *log = new_log(args, e);
    if (!log)
        return e->code;
    int rc = ERR_OK;
    if (!io_exists(args->dir)) {
        rc = io_mkdirs(args->dir, 0700, e);
        log->parent_dirty = true;
        log_names_changed(log);
    }
    if (rc == ERR_OK)
        rc = check_metadata(log, args->clean, e);
    if (rc == ERR_OK)
        rc = load_epochs(log, e);
    if (rc == ERR_OK)
        rc = log_compacted_end(args->dir, &log->compacted_end, e);
    if (rc == ERR_OK) {
        struct log_open_args known = *args;
        raise_points(&known, log->compacted_end);
        rc = log_recover(log, &known, report, e);
    }
    if (log->parent_dirty && log->parent)
        log->parent_made = log_parent_made(log->parent);
    if (rc) {
        free_log(log);
        return err_wrap(e, "%s", args->name);
    }
    *out = log;
    return ERR_OK;
}

/* ---- closing ---- */

static void wait_for_readers(struct log *log)
{
    pthread_mutex_lock(&log->state);
    log->closing = true;
    while (log->busy)
        pthread_cond_wait(&log->idle, &log->state);
    pthread_mutex_unlock(&log->state);
}

int log_close(struct log *log, bool clean, struct err *e)
{
    if (!log)
        return ERR_OK;
    wait_for_readers(log);
    int rc = clean ? log_check_usable(log, e) : ERR_OK;
    if (rc == ERR_OK && clean && !(log->pristine && !log->epochs.dirty)) {
        pthread_mutex_lock(&log->flush);
        rc = log_trim_active(log, e);
        if (rc == ERR_OK)
            rc = log_flush_all(log, true, e);
        pthread_mutex_unlock(&log->flush);
    }
    if (rc)
        err_wrap(e, "%s is not closed cleanly", log->name);
    free_log(log);
    return rc;
}

/* Such a name nobody else has; and a file name has at most 255 bytes: a long topic's is shortened, as Kafka does. */
static int rename_dir(const char *dir, const char *suffix, char **renamed, struct err *e)
{
    struct uuid id = uuid_random();
    char hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", id.b[i]);
    const char *slash = strrchr(dir, '/');
    int parent = slash ? (int)(slash + 1 - dir) : 0;
    char *to = mem_printf("%.*s%.200s.%s-%s", parent, dir, dir + parent, hex, suffix);
    int rc = to ? io_rename(dir, to, e) : err_nomem(e);
    if (rc)
        mem_free(to);
    *renamed = rc ? NULL : to;
    return rc;
}

/* Renamed first: a directory that is removed file by file could be taken for another one's after a power loss. */
int log_delete_dir(const char *dir, char **renamed, struct err *e)
{
    return rename_dir(dir, "delete", renamed, e);
}

int log_stray_dir(const char *dir, char **renamed, struct err *e)
{
    return rename_dir(dir, "stray", renamed, e);
}

int log_delete(struct log *log, char **renamed, struct err *e)
{
    wait_for_readers(log);
    int rc = log_delete_dir(log->dir->path, renamed, e);
    free_log(log);
    return rc;
}

/* ---- questions ---- */

static int64_t get(struct log *log, const int64_t *v)
{
    pthread_mutex_lock(&log->state);
    int64_t copy = *v;
    pthread_mutex_unlock(&log->state);
    return copy;
}

int64_t log_start_offset(struct log *log)
{
    return get(log, &log->start);
}

int64_t log_end_offset(struct log *log)
{
    return get(log, &log->end);
}

int64_t log_high_watermark(struct log *log)
{
    return get(log, &log->watermark);
}

int64_t log_size(struct log *log)
{
    return get(log, &log->bytes);
}

int64_t log_recovery_point(struct log *log)
{
    return get(log, &log->recovery_point);
}

const char *log_name(struct log *log)
{
    return log->name;
}

void log_set_high_watermark(struct log *log, int64_t offset)
{
    pthread_mutex_lock(&log->state);
    if (offset > log->end)
        offset = log->end;
    if (offset > log->watermark) {
        log->watermark = offset;
        producers_settle(log->producers, offset);
        log->first_unstable = producers_first_unstable(log->producers);
    }
    pthread_mutex_unlock(&log->state);
}

void log_set_config(struct log *log, const struct log_config *config)
{
    pthread_mutex_lock(&log->append);
    pthread_mutex_lock(&log->state);
    log->config = bounded(config);
    pthread_mutex_unlock(&log->state);
    segment_set_interval(log_active(log), config->index_interval_bytes);
    pthread_mutex_unlock(&log->append);
}

int log_producers(struct log *log, struct producer_info **list, size_t *n, struct err *e)
{
    pthread_mutex_lock(&log->state);
    int rc = producers_list(log->producers, list, n, e);
    pthread_mutex_unlock(&log->state);
    return rc;
}

void log_expire_producers(struct log *log, int64_t now_ms, int64_t expiration_ms)
{
    pthread_mutex_lock(&log->append); /* an append in flight may have to undo what it applied */
    pthread_mutex_lock(&log->state);
    producers_expire(log->producers, now_ms, expiration_ms);
    pthread_mutex_unlock(&log->state);
    pthread_mutex_unlock(&log->append);
}

void log_epoch_end(struct log *log, int32_t epoch, int32_t *found_epoch, int64_t *end_offset)
{
    pthread_mutex_lock(&log->state);
    epochs_end_of(&log->epochs, epoch, log->end, found_epoch, end_offset);
    pthread_mutex_unlock(&log->state);
}

int32_t log_epoch_at(struct log *log, int64_t offset)
{
    pthread_mutex_lock(&log->state);
    int32_t epoch = epochs_at(&log->epochs, offset);
    pthread_mutex_unlock(&log->state);
    return epoch;
}

int32_t log_latest_epoch(struct log *log)
{
    pthread_mutex_lock(&log->state);
    int32_t epoch = epochs_latest(&log->epochs);
    pthread_mutex_unlock(&log->state);
    return epoch;
}

void log_close_idle(struct log *log)
{
    pthread_mutex_lock(&log->append);
    pthread_mutex_lock(&log->state);
    struct segment *warm = log->warm;
    log->warm = NULL;
    pthread_mutex_unlock(&log->state);
    if (warm) {
        atomic_store(&warm->warm, false);
        segment_release(warm);
    }
    segment_cool(log_active(log));
    pthread_mutex_unlock(&log->append);
    page_cache_leave(log->page_cache, &log->page_share);
}

int log_open_files(struct log *log)
{
    return atomic_load_explicit(&log->dir->open, memory_order_relaxed);
}
