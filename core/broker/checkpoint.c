/*
 * checkpoint: recovery-point-, log-start- and replication-offset-checkpoint ("0", count, "topic partition offset"
 * lines), .kafka_cleanshutdown and meta.properties. Called while starting and stopping, and by upkeep; writers of one
 * file are serialised by their callers.
 */
#include "broker/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/data_dir.h"
#include "storage/paths.h"

#define CHECKPOINT_BYTES_MAX (64u << 20)

static char *path_of(struct disk *d, const char *name)
{
    return mem_printf("%s/%s", d->logs_dir, name);
}

/* ---- offsets --------------------------------------------------------------------------------------------------- */

static int parse_line(const char *line, char topic[TOPIC_NAME_MAX + 1], int32_t *partition, int64_t *offset)
{
    return sscanf(line, "%249s %" SCNd32 " %" SCNd64, topic, partition, offset) == 3 && *offset >= 0 &&
           *offset <= STORAGE_OFFSET_MAX && *partition >= 0;
}

typedef void set_fn(struct partition *p, int64_t offset);

static void set_recovery(struct partition *p, int64_t offset)
{
    p->recovery_point = offset;
    p->moved = false;
}

static void set_cleaned(struct partition *p, int64_t offset)
{
    atomic_store(&p->cleaned_to, offset);
}

static void set_start(struct partition *p, int64_t offset)
{
    p->start_offset = offset;
}

static bool parse_offsets(struct disk *d, char *text, set_fn *set)
{
    char topic[TOPIC_NAME_MAX + 1], *save, *line = strtok_r(text, "\n", &save);
    int32_t partition;
    int64_t offset;
    if (!line || strcmp(line, "0") != 0 || !(line = strtok_r(NULL, "\n", &save)))
        return false;
    for (long left = strtol(line, NULL, 10); left > 0; left--) {
        line = strtok_r(NULL, "\n", &save);
        if (!line || !parse_line(line, topic, &partition, &offset))
            return false;
        struct topic *t = topics_by_name(&d->b->topics, topic);
        if (t && partition < t->count && t->partitions[partition]->disk == d)
            set(t->partitions[partition], offset);
        else
            d->checkpoints_stale = true;
    }
    return true;
}

/* *complete: the file is there, and every line of it could be read. */
static int read_offsets(struct disk *d, const char *name, set_fn *set, bool *complete, struct err *e)
{
    char *path = path_of(d, name), *text = NULL;
    size_t len;
    *complete = false;
    if (!path)
        return err_nomem(e);
    int rc = io_read_file(path, CHECKPOINT_BYTES_MAX, &text, &len, e);
    if (rc == ERR_NOT_FOUND)
        rc = ERR_OK;
    else if (!rc && !(*complete = parse_offsets(d, text, set)))
        diag_warn("broker", "%s is malformed; what follows the first broken line is not used", path);
    mem_free(text);
    mem_free(path);
    return rc;
}

static bool anything_stored(struct disk *d)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    while (map_next(d->b->topics.by_name, &pos, &key, &len, &value)) {
        const struct topic *t = value;
        for (int32_t i = 0; i < t->count; i++)
            if (t->partitions[i]->disk == d && t->partitions[i]->exists)
                return true;
    }
    return false;
}

/* Upkeep writes the recovery points every few minutes, so their time is that when the disk was in use last. */
static int note_written(struct disk *d, struct err *e)
{
    char *path = path_of(d, CHECKPOINT_RECOVERY);
    int rc = path ? io_modified(path, &d->written_ms, e) : err_nomem(e);
    mem_free(path);
    return rc == ERR_NOT_FOUND ? ERR_OK : rc;
}

/*
 * A partition that a whole file does not name was never flushed: the journal has all of it. Without the file nothing can
 * be said of what was acknowledged; hence a new directory gets one before anything else.
 */
int checkpoint_read(struct disk *d, struct err *e)
{
    bool unused;
    int rc = note_written(d, e);
    if (!rc)
        rc = read_offsets(d, CHECKPOINT_RECOVERY, set_recovery, &d->points_known, e);
    if (!rc)
        rc = read_offsets(d, CHECKPOINT_START, set_start, &unused, e);
    if (!rc) /* without it everything is cleaned once more */
        rc = read_offsets(d, CHECKPOINT_CLEANED, set_cleaned, &unused, e);
    if (rc || d->points_known)
        return rc;
    d->points_known = !anything_stored(d);
    if (d->points_known)
        return checkpoint_recovery(d, e);
    diag_warn("broker", "%s/%s is missing or broken: everything is read again and every whole batch kept",
              d->logs_dir, CHECKPOINT_RECOVERY);
    return ERR_OK;
}

/* -1: no line for this partition. */
typedef int64_t get_fn(struct partition *p);

int64_t checkpoint_point(struct partition *p)
{
    struct log *log = partition_log(p);
    if (!log)
        return p->exists ? p->recovery_point : -1;
    int64_t synced = log_recovery_point(log), committed = log_high_watermark(log);
    return synced < committed ? synced : committed;
}

static int64_t get_start(struct partition *p)
{
    struct log *log = partition_log(p);
    int64_t start = log ? log_start_offset(log) : p->start_offset;
    return start > 0 ? start : -1;
}

static int64_t get_cleaned(struct partition *p)
{
    int64_t offset = atomic_load(&p->cleaned_to);
    return offset > 0 ? offset : -1;
}

static int64_t get_watermark(struct partition *p)
{
    struct log *log = partition_log(p);
    return log ? log_high_watermark(log) : p->exists ? p->recovery_point : -1;
}

static int format_offsets(const struct disk *d, struct partition **list, size_t n, get_fn *get,
                          struct buf *out, struct err *e)
{
    struct buf lines;
    size_t count = 0;
    int rc = ERR_OK;
    buf_init(&lines, CHECKPOINT_BYTES_MAX);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t offset = list[i]->disk == d ? get(list[i]) : -1;
        if (offset < 0)
            continue;
        count++;
        rc = buf_printf(&lines, e, "%s %" PRId32 " %" PRId64 "\n", list[i]->topic->name, list[i]->index,
                        offset);
    }
    if (!rc)
        rc = buf_printf(out, e, "0\n%zu\n", count);
    if (!rc)
        rc = buf_append(out, lines.data, lines.len, e);
    buf_free(&lines);
    return rc;
}

static int write_offsets(struct disk *d, const char *name, get_fn *get, struct err *e)
{
    struct partition **list = NULL;
    size_t n = 0;
    struct buf out;
    char *path = path_of(d, name);
    buf_init(&out, CHECKPOINT_BYTES_MAX);
    pthread_mutex_lock(&d->checkpoints);
    int rc = path ? topics_all(&d->b->topics, &list, &n, e) : err_nomem(e);
    if (!rc) {
        rc = format_offsets(d, list, n, get, &out, e);
        partitions_release(&d->b->topics, list, n);
    }
    if (!rc)
        rc = io_replace_file(path, out.data, out.len, 0644, e);
    if (rc == ERR_NO_SPACE && disk_use_reserve(d))
        rc = io_replace_file(path, out.data, out.len, 0644, e);
    pthread_mutex_unlock(&d->checkpoints);
    if (rc)
        disk_suspect(d, e);
    buf_free(&out);
    mem_free(path);
    return rc;
}

int checkpoint_recovery(struct disk *d, struct err *e)
{
    return write_offsets(d, CHECKPOINT_RECOVERY, checkpoint_point, e);
}

int checkpoint_all_recovery(struct broker *b, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]))
            rc = checkpoint_recovery(b->disks[i], e);
    return rc;
}

int checkpoint_cleaned(struct disk *d, struct err *e)
{
    return write_offsets(d, CHECKPOINT_CLEANED, get_cleaned, e);
}

int checkpoint_starts(struct disk *d, struct err *e)
{
    return write_offsets(d, CHECKPOINT_START, get_start, e);
}

int checkpoint_watermarks(struct disk *d, struct err *e)
{
    return write_offsets(d, CHECKPOINT_WATERMARK, get_watermark, e);
}

/* ---- clean stop ------------------------------------------------------------------------------------------------ */

int checkpoint_take_clean(struct disk *d, bool *clean, struct err *e)
{
    char *path = path_of(d, CLEAN_STOP_NAME);
    if (!path)
        return err_nomem(e);
    int rc = ERR_OK;
    *clean = io_exists(path);
    if (*clean && !(rc = io_unlink(path, e)))
        rc = io_sync_dir(d->logs_dir, e);
    mem_free(path);
    return rc;
}

int checkpoint_set_clean(struct disk *d, struct err *e)
{
    static const char text[] = "{\"version\":0,\"brokerEpoch\":0}";
    char *path = path_of(d, CLEAN_STOP_NAME);
    if (!path)
        return err_nomem(e);
    int rc = io_replace_file(path, text, sizeof text - 1, 0644, e);
    mem_free(path);
    return rc;
}

/* ---- identity -------------------------------------------------------------------------------------------------- */

/*
 * Whoever made a new directory may have been killed before its name was synced, or that of one above it. Those that we may
 * not even look into were not made by us.
 */
static int sync_names(const char *dir, struct err *e)
{
    char *path = mem_strdup(dir);
    int rc = path ? ERR_OK : err_nomem(e);
    for (char *slash = path; rc == ERR_OK && slash && *path;) {
        rc = io_sync_parent(path, e);
        rc = rc == ERR_PERMISSION ? ERR_OK : rc;
        if ((slash = strrchr(path, '/')))
            *slash = '\0';
    }
    mem_free(path);
    return rc;
}

static int make_identity(struct disk *d, const char *path, struct err *e)
{
    struct uuid cluster = uuid_random();
    char directory[UUID_TEXT_SIZE], text[256];
    if (d->index == 0)
        uuid_text(&cluster, d->b->cluster_id);
    d->id = uuid_random();
    int n = snprintf(text, sizeof text, "version=1\ncluster.id=%s\nnode.id=1\ndirectory.id=%s\n",
                     d->b->cluster_id, uuid_text(&d->id, directory));
    int rc = sync_names(d->dir, e);
    return rc ? rc : io_replace_file(path, text, (size_t)n, 0644, e);
}

static int read_identity(const char *path, struct uuid *cluster, struct uuid *directory, struct err *e)
{
    char *text = NULL;
    size_t len;
    int rc = io_read_file(path, 64 << 10, &text, &len, e);
    if (!rc && !identity_parse(text, cluster, directory))
        rc = err_set(e, ERR_CORRUPT, "%s names no cluster.id and directory.id", path);
    mem_free(text);
    return rc;
}

int checkpoint_identity(struct disk *d, struct err *e)
{
    char *path = mem_printf("%s/meta.properties", d->dir), text[UUID_TEXT_SIZE];
    struct uuid cluster;
    if (!path)
        return err_nomem(e);
    int rc = read_identity(path, &cluster, &d->id, e);
    if (rc == ERR_NOT_FOUND)
        rc = make_identity(d, path, e);
    else if (!rc && d->index == 0)
        uuid_text(&cluster, d->b->cluster_id);
    else if (!rc && strcmp(uuid_text(&cluster, text), d->b->cluster_id) != 0)
        rc = err_set(e, ERR_INVALID, "%s belongs to another hub: its cluster.id is %s, that of %s is %s",
                     d->dir, text, d->b->data_dir, d->b->cluster_id);
    mem_free(path);
    return rc;
}

int checkpoint_directory_id(const char *dir, struct uuid *id, struct err *e)
{
    char *path = mem_printf("%s/meta.properties", dir);
    struct uuid cluster;
    int rc = path ? read_identity(path, &cluster, id, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

bool partition_dir_parse(const char *name, char *topic, int32_t *partition)
{
    const char *dash = strrchr(name, '-');
    char *end;
    if (!dash || dash == name || (size_t)(dash - name) > TOPIC_NAME_MAX || dash[1] < '0' || dash[1] > '9')
        return false;
    long n = strtol(dash + 1, &end, 10);
    if (*end || n < 0 || n > INT32_MAX)
        return false;
    memcpy(topic, name, (size_t)(dash - name));
    topic[dash - name] = '\0';
    *partition = (int32_t)n;
    return true;
}
