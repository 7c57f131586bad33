/*
 * fsck_logs: the topics, the checkpoints and the partitions' logs in one data directory. See fsck.h.
 */
#include "broker/fsck_internal.h"

#include <inttypes.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "broker/store.h"
#include "storage/checkpoint.h"
#include "storage/paths.h"

#define META_DIR META_TOPIC_NAME "-0"

/* ---- topics ---- */

/* Damaged batches are told when the partition is checked; here only records that make no sense. */
static int bad_metadata(void *arg, const char *path, int64_t byte, int64_t offset, const struct err *why,
                        struct err *e)
{
    struct fsck *x = arg;
    x->topics_known = false;
    if (why->code == ERR_TRUNCATED || strncmp(why->text, path, strlen(path)) == 0)
        return ERR_OK;
    struct check_finding f = {CHECK_BAD_TOPIC_METADATA, META_DIR, path, byte, offset, -1, NULL};
    return check_tell(&x->check, f, e, "%s", why->text);
}

static int load_topics(struct fsck *x, struct err *e)
{
    char *dir = mem_printf("%s/" META_DIR, x->logs);
    if (!dir)
        return err_nomem(e);
    x->topics_known = true;
    int rc = meta_image_dir(&x->image, dir, 0, bad_metadata, x, e);
    x->r->topics = map_count(x->image.by_name);
    mem_free(dir);
    return rc;
}

/* ---- checkpoints ---- */

static int put_offset(struct map *m, const struct offset_entry *en, struct err *e)
{
    char *key = mem_printf("%s-%d", en->topic, en->partition);
    int64_t *value = mem_dup(&en->offset, sizeof en->offset);
    int rc = key && value ? ERR_OK : err_nomem(e);
    if (!rc)
        mem_free(map_remove(m, key, strlen(key)));
    if (!rc)
        rc = map_put(m, key, strlen(key), value, e);
    if (rc)
        mem_free(value);
    mem_free(key);
    return rc;
}

/* *bad: missing or damaged. */
static int load_checkpoint(struct fsck *x, const char *name, bool needed, struct map *into, bool *bad,
                           struct err *e)
{
    struct offset_entry *list = NULL;
    struct err why;
    size_t n = 0;
    char *path = mem_printf("%s/%s", x->logs, name);
    if (!path)
        return err_nomem(e);
    int rc = offset_file_read(path, &list, &n, &why);
    *bad = rc != ERR_OK || (needed && !io_exists(path));
    if (rc == ERR_NO_MEMORY)
        rc = err_nomem(e);
    else if (*bad)
        rc = fsck_tell(x, CHECK_BAD_CHECKPOINT, NULL, path, rc ? why.text : "is not there", e);
    for (size_t i = 0; i < n && !rc; i++)
        rc = put_offset(into, &list[i], e);
    offset_file_free(list, n);
    mem_free(path);
    return rc;
}

static int load_checkpoints(struct fsck *x, struct err *e)
{
    bool bad;
    bool stored = map_count(x->image.by_name) > 0;
    int rc = load_checkpoint(x, CHECKPOINT_RECOVERY, stored, x->points, &x->points_bad, e);
    if (!rc)
        rc = load_checkpoint(x, CHECKPOINT_START, false, x->starts, &bad, e);
    if (rc)
        return rc;
    struct map *unused = map_new();
    if (!unused)
        return err_nomem(e);
    rc = load_checkpoint(x, CHECKPOINT_WATERMARK, false, unused, &bad, e);
    map_free(unused, mem_free);
    return rc;
}

/* ---- partitions ---- */

static int64_t known_offset(const struct map *m, const char *name, int64_t otherwise)
{
    const int64_t *v = map_get(m, name, strlen(name));
    return v ? *v : otherwise;
}

static int compare_checkpoint(struct fsck *x, const char *dir, const char *name, const struct map *m,
                              int64_t end, const char *what, struct err *e)
{
    int64_t offset = known_offset(m, name, -1);
    end = end < 0 ? 0 : end; /* of a directory without a segment */
    if (offset <= end)
        return ERR_OK;
    struct check_finding f = {CHECK_CHECKPOINT_BEYOND_END, name, dir, -1, end, offset, NULL};
    return check_tell(&x->check, f, e, "the log ends at offset %" PRId64 ", its %s is %" PRId64, end, what,
                      offset);
}

/* Compacted topics, as far as their settings tell; the internal ones are. */
static bool may_have_gaps(const struct fsck *x, const char *name)
{
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    if (data_dir_repaired(x->dir, name) || !partition_dir_parse(name, topic, &partition) ||
        topic_is_internal(topic))
        return true;
    const struct meta_topic *t = meta_image_topic(&x->image, topic);
    for (size_t i = 0; t && i < t->config_count; i++)
        if (strcmp(t->config[i].name, "cleanup.policy") == 0 && t->config[i].value &&
            strstr(t->config[i].value, "compact"))
            return true;
    return !t;
}

/* A log that was stopped cleanly begins in the segment that has its start offset. */
static int check_start(struct fsck *x, const char *dir, const char *name, int64_t start, struct err *e)
{
    int64_t known = known_offset(x->starts, name, 0);
    if (!x->clean || start <= known || may_have_gaps(x, name))
        return ERR_OK;
    struct check_finding f = {CHECK_MISSING_SEGMENT, name, dir, -1, known, start, NULL};
    return check_tell(&x->check, f, e, "the first segment begins at offset %" PRId64 ", the log at %" PRId64,
                      start, known);
}

/* One that was stopped cleanly ends where it was stopped; if not, it is the last batch's offset that is wrong. */
static int check_end(struct fsck *x, const char *dir, const char *name,
                     const struct check_partition_result *r, struct err *e)
{
    int64_t point = known_offset(x->points, name, INT64_MAX);
    if (!x->clean || x->points_bad || r->end <= point)
        return ERR_OK;
    char path[STORAGE_PATH_MAX];
    storage_path(path, dir, r->last_segment < 0 ? r->start : r->last_segment, LOG_SUFFIX, "");
    struct check_finding f = {CHECK_WRONG_OFFSET, name, path, r->last_byte, point, r->end, NULL};
    return check_tell(&x->check, f, e, "the log ends at offset %" PRId64 ", it was stopped at %" PRId64,
                      r->end, point);
}

/* `partition`: of the topic that has the id, which is all zeros where it is not known. */
static int check_one(struct fsck *x, const char *name, const struct uuid *id, int32_t partition,
                     struct err *e)
{
    struct check_partition_result result;
    char *dir = mem_printf("%s/%s", x->logs, name);
    if (!dir)
        return err_nomem(e);
    bool meta = strcmp(name, META_DIR) == 0;
    struct check_partition_args args = {
        .dir = dir,
        .name = name,
        .topic_id = *id,
        .clean = x->clean,
        /* The metadata log has no line there: it is synced with every change. */
        .recovery_point = meta || x->points_bad ? -1 : known_offset(x->points, name, 0),
        .gaps = may_have_gaps(x, name),
        .log_start = known_offset(x->starts, name, 0),
        .records = x->o->records,
    };
    const struct fsck_ref *ref = fsck_ref_of(x, id, partition);
    if (ref && ref->end > args.recovery_point)
        args.recovery_point = ref->end;
    x->now = name;
    int rc = check_partition(&x->check, &args, &result, e);
    if (!rc && !meta)
        rc = check_start(x, dir, name, result.start, e);
    if (!rc && !meta)
        rc = compare_checkpoint(x, dir, name, x->points, result.end, "recovery point", e);
    if (!rc && ref)
        rc = fsck_compare_ref(x, ref, dir, name, result.end, e);
    if (!rc && !meta)
        rc = check_end(x, dir, name, &result, e);
    if (!rc && !meta && x->clean)
        rc = compare_checkpoint(x, dir, name, x->starts, result.end, "log start offset", e);
    x->r->partitions++;
    x->r->segments += (uint64_t)result.segments;
    x->r->batches += result.batches;
    x->r->records += result.records;
    x->r->bytes = x->check.bytes;
    mem_free(dir);
    return rc;
}

static int check_directory(struct fsck *x, const char *name, const char *path, struct err *e)
{
    static const struct uuid any = {{0}};
    char topic[TOPIC_NAME_MAX + 1];
    int32_t partition;
    if (fsck_has_suffix(name, "-delete"))
        return fsck_tell(x, CHECK_LEFTOVER, NULL, path, "a deleted partition", e);
    if (fsck_has_suffix(name, "-stray"))
        return fsck_tell(x, CHECK_FOREIGN_FILE, NULL, path,
                         "was set aside by a start, as it belonged to no topic", e);
    if (!partition_dir_parse(name, topic, &partition))
        return fsck_tell(x, CHECK_FOREIGN_FILE, NULL, path, "is nothing of ours", e);
    int rc = map_put(x->seen, name, strlen(name), x, e);
    if (rc)
        return rc;
    if (strcmp(name, META_DIR) == 0)
        return check_one(x, name, &any, 0, e);
    const struct meta_topic *t = meta_image_topic(&x->image, topic);
    if (!t || partition >= t->partitions)
        return x->topics_known ? fsck_tell(x, CHECK_STRAY_DIRECTORY, name, path, "its topic is unknown", e)
                               : check_one(x, name, &any, 0, e);
    return check_one(x, name, &t->id, partition, e);
}

static int see_log_name(void *arg, const char *name, struct err *e)
{
    static const char *const known[] = {
        CHECKPOINT_RECOVERY, CHECKPOINT_START, CHECKPOINT_WATERMARK, CLEAN_STOP_NAME, CHECKPOINT_CLEANED,
        "meta.properties",   ".lock"};
    struct fsck *x = arg;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strcmp(name, known[i]) == 0)
            return ERR_OK;
    char *path = mem_printf("%s/%s", x->logs, name);
    if (!path)
        return err_nomem(e);
    int rc = fsck_has_suffix(name, ".tmp")
                 ? fsck_tell(x, CHECK_LEFTOVER, NULL, path, "a file that was being written", e)
                 : check_directory(x, name, path, e);
    mem_free(path);
    return rc;
}

/* A recovery point above zero and no directory: there was something. */
static int check_missing(struct fsck *x, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (!rc && map_next(x->points, &pos, &key, &len, &value)) {
        char name[TOPIC_NAME_MAX + 16], topic[TOPIC_NAME_MAX + 1];
        int32_t partition;
        int64_t point = *(const int64_t *)value;
        if (len >= sizeof name || point == 0 || map_get(x->seen, key, len))
            continue;
        memcpy(name, key, len);
        name[len] = '\0';
        const struct meta_topic *t =
            partition_dir_parse(name, topic, &partition) ? meta_image_topic(&x->image, topic) : NULL;
        if (!t || partition >= t->partitions)
            continue; /* of a deleted topic */
        char *path = mem_printf("%s/%s", x->logs, name);
        if (!path)
            return err_nomem(e);
        struct check_finding f = {CHECK_MISSING_PARTITION, name, path, -1, 0, point, NULL};
        rc = check_tell(&x->check, f, e, "is not there; offsets up to %" PRId64 " were synced", point - 1);
        mem_free(path);
    }
    return rc;
}

/* ---- all of it ---- */

int fsck_check_logs(struct fsck *x, bool main_dir, struct err *e)
{
    int rc = io_exists(x->logs) ? ERR_OK : ERR_END;
    if (!rc && main_dir)
        rc = load_topics(x, e);
    if (!rc)
        rc = load_checkpoints(x, e);
    if (!rc)
        rc = io_list(x->logs, see_log_name, x, e);
    if (!rc)
        rc = check_missing(x, e);
    if (!rc)
        rc = fsck_check_refs(x, e);
    return rc == ERR_END ? ERR_OK : rc; /* never started */
}
