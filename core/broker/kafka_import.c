/*
 * kafka_import: see kafka_dir.h. First everything is read and checked, then copied; meta.properties comes last, so that a
 * directory that is not complete is not taken for one.
 */
#include "broker/broker_config.h"
#include "broker/kafka_dir.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/data_dir.h"
#include "broker/group_config.h"
#include "broker/meta_image.h"
#include "broker/store.h"
#include "storage/checkpoint.h"
#include "storage/paths.h"

#define META_DIR META_TOPIC_NAME "-0"
#define METADATA_MAX (256u << 20)

struct import {
    const struct kafka_import_options *o;
    struct kafka_copy_report *r;
    struct meta_image image;
    struct uuid directory; /* of the new directory */
    char *cluster;
    char *logs;
    bool clean;              /* every one of the directories */
    uint64_t findings;       /* that forbid it */
    struct map *points;      /* "<topic>-<partition>" -> int64_t, owned: recovery points */
    struct map *bad_indexes; /* paths; the values mean nothing */
    struct map *gaps;        /* likewise, of those in which offsets are missing: behind the last of them */
    const char *where;       /* the directory at hand */
};

/* ---- reading the broker's metadata ---- */

static int bad_metadata(void *arg, const char *path, int64_t byte, int64_t offset, const struct err *why,
                        struct err *e)
{
    (void)arg;
    return err_set(e, ERR_CORRUPT, "%s: byte %" PRId64 ", offset %" PRId64 ": %s", path, byte, offset,
                   why->text);
}

struct snapshot {
    int64_t offset; /* everything below is in it; -1: there is none */
    char *name;
};

/* "<end offset>-<epoch>.checkpoint"; the newest counts. */
static int see_snapshot(void *arg, const char *name, struct err *e)
{
    struct snapshot *s = arg;
    int64_t offset;
    const char *suffix;
    size_t n = strlen(name);
    if (!storage_name_parse(name, &offset, &suffix) || suffix[0] != '-' || n < 12 ||
        strcmp(name + n - 11, ".checkpoint") != 0 || offset <= s->offset)
        return ERR_OK;
    mem_free(s->name);
    s->offset = offset;
    s->name = mem_strdup(name);
    return s->name ? ERR_OK : err_nomem(e);
}

static int read_snapshot(struct import *x, const char *dir, int64_t *from, struct err *e)
{
    struct snapshot s = {.offset = -1};
    int rc = io_list(dir, see_snapshot, &s, e);
    char *path = !rc && s.name ? mem_printf("%s/%s", dir, s.name) : NULL;
    if (!rc && s.name)
        rc = path ? meta_image_file(&x->image, path, 0, bad_metadata, x, e) : err_nomem(e);
    *from = s.offset < 0 ? 0 : s.offset;
    mem_free(path);
    mem_free(s.name);
    return rc;
}

static int read_metadata(struct import *x, const char *dir, struct err *e)
{
    int64_t from, *bases = NULL;
    size_t n = 0;
    int rc = read_snapshot(x, dir, &from, e);
    if (!rc)
        rc = storage_list(dir, LOG_SUFFIX, &bases, &n, e);
    if (!rc && n && bases[0] > from)
        rc = err_set(e, ERR_INVALID, "%s begins at offset %" PRId64 " and no snapshot holds what was before",
                     dir, bases[0]);
    mem_free(bases);
    return rc ? rc : meta_image_dir(&x->image, dir, from, bad_metadata, x, e);
}

static int read_identity(struct import *x, const char *dir, struct err *e)
{
    size_t n;
    char *path = mem_printf("%s/meta.properties", dir), *text = NULL, *cluster = NULL;
    if (!path)
        return err_nomem(e);
    int rc = io_read_file(path, 64 << 10, &text, &n, e);
    if (rc == ERR_NOT_FOUND)
        rc = err_set(e, ERR_INVALID, "%s is no log directory of Kafka: it has no meta.properties", dir);
    if (!rc)
        rc = kafka_property(text, "cluster.id", &cluster, e);
    if (!rc && !cluster)
        rc = err_set(e, ERR_INVALID, "%s names no cluster.id", path);
    if (!rc && x->cluster && strcmp(x->cluster, cluster) != 0)
        rc = err_set(e, ERR_INVALID, "%s is of cluster %s, the one before of %s", dir, cluster, x->cluster);
    mem_free(text);
    mem_free(path);
    if (rc) {
        mem_free(cluster);
        return rc;
    }
    mem_free(x->cluster);
    x->cluster = cluster;
    return ERR_OK;
}

static int put_offset(struct map *m, const char *name, int64_t offset, struct err *e)
{
    int64_t *value = mem_dup(&offset, sizeof offset);
    int rc = value ? map_put(m, name, strlen(name), value, e) : err_nomem(e);
    if (rc)
        mem_free(value);
    return rc;
}

static int read_points(struct import *x, const char *dir, struct err *e)
{
    struct offset_entry *list;
    size_t n;
    char *path = mem_printf("%s/" CHECKPOINT_RECOVERY, dir);
    if (!path)
        return err_nomem(e);
    int rc = offset_file_read(path, &list, &n, e);
    mem_free(path);
    if (rc == ERR_CORRUPT) { /* Kafka makes it empty at first: nothing is known */
        x->clean = false;
        return ERR_OK;
    }
    for (size_t i = 0; i < n && !rc; i++) {
        char *key = mem_printf("%s-%d", list[i].topic, list[i].partition);
        rc = key ? put_offset(x->points, key, list[i].offset, e) : err_nomem(e);
        mem_free(key);
    }
    offset_file_free(list, n);
    return rc;
}

static int read_dir(struct import *x, const char *dir, bool *metadata, struct err *e)
{
    char *meta = mem_printf("%s/" META_DIR, dir), *clean = mem_printf("%s/" CLEAN_STOP_NAME, dir);
    int rc = meta && clean ? read_identity(x, dir, e) : err_nomem(e);
    if (!rc)
        rc = kafka_check_unlocked(dir, e);
    if (!rc)
        x->clean = x->clean && io_exists(clean);
    if (!rc)
        rc = read_points(x, dir, e);
    if (!rc && io_exists(meta)) {
        *metadata = true;
        rc = read_metadata(x, meta, e);
    }
    mem_free(clean);
    mem_free(meta);
    return rc;
}

/* ---- partitions ---- */

typedef int partition_fn(struct import *x, const struct meta_topic *t, const char *name, const char *dir,
                         struct err *e);

static int each_partition(struct import *x, partition_fn *fn, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (!rc && map_next(x->image.by_id, &pos, &key, &len, &value)) {
        const struct meta_topic *t = value;
        for (int32_t i = 0; i < t->partitions && !rc; i++) {
            char *name = mem_printf("%s-%d", t->name, i), *dir = NULL;
            rc = name ? kafka_find_partition(x->o->from, x->o->from_count, name, &dir, e) : err_nomem(e);
            if (!rc)
                rc = fn(x, t, name, dir, e);
            mem_free(dir);
            mem_free(name);
        }
    }
    return rc;
}

static int see_finding(void *arg, const struct check_finding *f, struct err *e)
{
    struct import *x = arg;
    /* As Kafka before it appended batch by batch wrote them: its entries mean more than one batch. They are made anew. */
    if ((f->kind == CHECK_BAD_INDEX || f->kind == CHECK_BAD_TIME_INDEX) &&
        !map_get(x->bad_indexes, f->path, strlen(f->path)))
        return map_put(x->bad_indexes, f->path, strlen(f->path), x, e);
    /* Snapshots, and the index of transactions, are checked again, and made anew, when the log is opened. */
    if (check_kind_severity(f->kind) != CHECK_ERROR || f->kind == CHECK_BAD_TXN_INDEX)
        return ERR_OK;
    x->findings++;
    return x->o->found(x->o->arg, f, e);
}

static int check_one(struct import *x, const struct meta_topic *t, const char *name, const char *dir,
                     struct err *e)
{
    if (!dir)
        return err_set(e, ERR_INVALID,
                       "partition %s is in none of the directories; name all of the broker's log.dirs", name);
    struct check c = {.found = see_finding, .arg = x};
    const int64_t *point = map_get(x->points, name, strlen(name));
    struct check_partition_args args = {
        .dir = dir,
        .name = name,
        .topic_id = t->id,
        .gaps = true, /* as Kafka served it */
        .clean = x->clean,
        .recovery_point = point ? *point : 0,
        .records = true,
    };
    struct check_partition_result result;
    int rc = check_partition(&c, &args, &result, e);
    x->r->partitions++;
    x->r->records += result.records;
    if (!rc && result.gaps_end > 0)
        rc = put_offset(x->gaps, name, result.gaps_end, e);
    return rc;
}

static int copy_one(struct import *x, const struct meta_topic *t, const char *name, const char *dir,
                    struct err *e)
{
    (void)t;
    char *to = mem_printf("%s/%s", x->logs, name);
    const int64_t *gaps_end = map_get(x->gaps, name, strlen(name));
    int rc = to ? kafka_copy_partition(dir, to, x->bad_indexes, &x->r->bytes, e) : err_nomem(e);
    if (!rc && gaps_end) { /* also of what is compacted no more: later checks ask for nothing there */
        char *path = mem_printf("%s/" COMPACTED_FILE, to);
        rc = path ? compacted_file_write(path, *gaps_end, e) : err_nomem(e);
        mem_free(path);
    }
    mem_free(to);
    return rc;
}

/* ---- writing our metadata ---- */

/* Settings that we do not have, or not with this value, are left out and told. */
static int put_setting(struct import *x, struct kafka_records *w, const struct meta_topic *t,
                       const struct topic_config_entry *c, struct err *e)
{
    struct topic_settings *s;
    struct err why;
    if (!c->value)
        return ERR_OK;
    int rc = topic_settings_make(NULL, c, 1, topic_is_internal(t->name), &s, &why);
    if (rc == ERR_NO_MEMORY)
        return err_nomem(e);
    if (rc)
        return kafka_tell(x->o->note, x->o->arg, e, "topic %s: %s=%s is left out: %s", t->name, c->name,
                          c->value, why.text);
    mem_free(s);
    struct meta_record r = {.kind = META_CONFIG,
                            .resource = META_RESOURCE_TOPIC,
                            .name = text_of(t->name),
                            .key = text_of(c->name),
                            .value = text_of(c->value)};
    return kafka_records_put(w, &r, e);
}

static int put_topic(struct import *x, struct kafka_records *w, const struct meta_topic *t, struct err *e)
{
    struct meta_record r = {.kind = META_TOPIC, .topic_id = t->id, .name = text_of(t->name)};
    int rc = kafka_records_put(w, &r, e);
    for (int32_t i = 0; i < t->partitions && !rc; i++) {
        struct meta_record p = {.kind = META_PARTITION,
                                .topic_id = t->id,
                                .partition = i,
                                .node = META_NODE,
                                .directory = x->directory};
        rc = kafka_records_put(w, &p, e);
    }
    for (size_t i = 0; i < t->config_count && !rc; i++)
        rc = put_setting(x, w, t, &t->config[i], e);
    x->r->topics++;
    return rc;
}

/* Likewise. */
static int put_group(struct import *x, struct kafka_records *w, const struct meta_group *g, struct err *e)
{
    int rc = ERR_OK;
    struct err why;
    for (size_t i = 0; i < g->config_count && !rc; i++) {
        const struct topic_config_entry *c = &g->config[i];
        struct meta_record r = meta_config_record(META_RESOURCE_GROUP, g->name, c);
        if (!c->value)
            continue;
        if (group_config_check(c->name, c->value, &why))
            rc = kafka_tell(x->o->note, x->o->arg, e, "group %s: %s=%s is left out: %s", g->name, c->name,
                            c->value, why.text);
        else
            rc = kafka_records_put(w, &r, e);
    }
    return rc;
}

/* Would a default of ours delete its records by age? */
static bool keeps_by_default(const struct meta_topic *t)
{
    for (size_t i = 0; i < t->config_count; i++) {
        const struct topic_config_entry *c = &t->config[i];
        if (c->value && (strcmp(c->name, "retention.ms") == 0 ||
                         (strcmp(c->name, "cleanup.policy") == 0 && !strstr(c->value, "delete"))))
            return false;
    }
    return !topic_is_internal(t->name);
}

/* Kafka has passwords there as they are; a name that nobody knows may be that of somebody's secret. */
static bool may_be_shown(const char *name)
{
    const struct broker_config_def *d = broker_config_find(name);
    return d ? d->type != CONFIG_PASSWORD : topic_config_of_hub(name) != NULL;
}

/* What Kafka's topics had from their brokers: it does not come over, and some of it deletes records, and offsets. */
static int tell_defaults(struct import *x, struct err *e)
{
    size_t pos = 0, len, topics = 0;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (map_next(x->image.by_id, &pos, &key, &len, &value))
        topics += keeps_by_default(value);
    for (size_t i = 0; i < x->image.broker_count && !rc; i++) {
        const struct topic_config_entry *c = &x->image.brokers[i];
        if (c->value)
            rc = kafka_tell(x->o->note, x->o->arg, e,
                            "%s=%s of Kafka's brokers is left out: what of it is to hold here goes under hub",
                            c->name, may_be_shown(c->name) ? c->value : "[hidden]");
    }
    if (!rc && topics > 0)
        rc = kafka_tell(
            x->o->note, x->o->arg, e,
            "%zu topics have no retention.ms of their own: the hub's default, a week, will delete what is "
            "older; set log.retention.ms, and offsets.retention.minutes, under hub before the first start "
            "if Kafka's were longer",
            topics);
    return rc;
}

static int put_topics(struct import *x, struct buf *out, struct err *e)
{
    struct kafka_records w = {.out = out};
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = kafka_records_begin(&w, e);
    while (!rc && map_next(x->image.by_id, &pos, &key, &len, &value))
        rc = put_topic(x, &w, value, e);
    pos = 0;
    while (!rc && map_next(x->image.groups, &pos, &key, &len, &value))
        rc = put_group(x, &w, value, e);
    struct meta_record ids = {
        .kind = META_PRODUCER_IDS, .node = META_NODE, .next_producer_id = x->image.next_producer_id};
    if (!rc && x->image.next_producer_id > 0)
        rc = kafka_records_put(&w, &ids, e);
    return kafka_records_end(&w, rc, e);
}

static int write_metadata(struct import *x, struct err *e)
{
    struct buf out;
    char *dir = mem_printf("%s/" META_DIR, x->logs),
         *path = mem_printf("%s/" META_DIR "/%020d.log", x->logs, 0);
    buf_init(&out, METADATA_MAX);
    int rc = dir && path ? io_mkdir(dir, 0755, e) : err_nomem(e);
    if (!rc)
        rc = put_topics(x, &out, e);
    if (!rc)
        rc = io_replace_file(path, out.data, out.len, 0600, e);
    buf_free(&out);
    mem_free(path);
    mem_free(dir);
    return rc;
}

/* ---- the small files ---- */

static int write_text(const char *dir, const char *name, const char *text, struct err *e)
{
    char *path = mem_printf("%s/%s", dir, name);
    int rc = path ? io_replace_file(path, text, strlen(text), 0644, e) : err_nomem(e);
    mem_free(path);
    return rc;
}

/*
 * Of a broker that was killed, Kafka's recovery points say nothing of what was acknowledged: without the file, every whole
 * batch is kept and everything is read again at the first start.
 */
static int write_checkpoints(struct import *x, struct err *e)
{
    int rc = kafka_merge_checkpoint(x->o->from, x->o->from_count, CHECKPOINT_START, x->logs, e);
    if (rc || !x->clean)
        return rc;
    if ((rc = kafka_merge_checkpoint(x->o->from, x->o->from_count, CHECKPOINT_RECOVERY, x->logs, e)) ||
        (rc = kafka_merge_checkpoint(x->o->from, x->o->from_count, CHECKPOINT_WATERMARK, x->logs, e)))
        return rc;
    return write_text(x->logs, CLEAN_STOP_NAME, "{\"version\":0,\"brokerEpoch\":0}", e);
}

static int write_identity(struct import *x, struct err *e)
{
    char id[UUID_TEXT_SIZE], text[256];
    int rc = io_sync_dir(x->logs, e);
    if (rc)
        return rc;
    snprintf(text, sizeof text, "version=1\ncluster.id=%.64s\nnode.id=1\ndirectory.id=%s\n", x->cluster,
             uuid_text(&x->directory, id));
    return write_text(x->o->data_dir, "meta.properties", text, e);
}

/* ---- all of it ---- */

static int any_name(void *arg, const char *name, struct err *e)
{
    const struct import *x = arg;
    return err_set(e, ERR_EXISTS, "%s is not empty (it has %.100s); import into a new directory",
                   x->o->data_dir, name);
}

static int read_source(struct import *x, struct err *e)
{
    bool metadata = false;
    int rc = ERR_OK;
    for (size_t i = 0; i < x->o->from_count && !rc; i++)
        rc = read_dir(x, x->o->from[i], &metadata, e);
    if (!rc && !metadata)
        rc = err_set(e, ERR_INVALID,
                     "there is no " META_DIR
                     " in any of the directories: it is in metadata.log.dir, or the broker was "
                     "none of KRaft's");
    x->r->clean = x->clean;
    if (!rc)
        rc = each_partition(x, check_one, e);
    if (!rc && x->findings)
        rc = err_set(e, ERR_CORRUPT, "%" PRIu64 " places in the source are damaged; nothing was imported",
                     x->findings);
    return rc;
}

static int write_all(struct import *x, struct err *e)
{
    int rc = io_exists(x->o->data_dir) ? io_list(x->o->data_dir, any_name, x, e) : ERR_OK;
    if (!rc)
        rc = io_mkdirs_synced(x->o->data_dir, 0755, e);
    if (!rc)
        rc = io_mkdir(x->logs, 0755, e);
    if (!rc)
        rc = io_sync_dir(x->o->data_dir, e);
    if (!rc)
        rc = each_partition(x, copy_one, e);
    if (!rc)
        rc = write_metadata(x, e);
    if (!rc)
        rc = write_checkpoints(x, e);
    if (!rc)
        rc = tell_defaults(x, e);
    return rc ? rc : write_identity(x, e);
}

int kafka_import(const struct kafka_import_options *o, struct kafka_copy_report *r, struct err *e)
{
    struct import x = {.o = o, .r = r, .clean = true, .directory = uuid_random()};
    *r = (struct kafka_copy_report){0};
    x.logs = mem_printf("%s/logs", o->data_dir);
    x.points = map_new();
    x.gaps = map_new();
    x.bad_indexes = map_new();
    int rc = x.logs && x.points && x.gaps && x.bad_indexes ? meta_image_init(&x.image, e) : err_nomem(e);
    if (!rc)
        rc = read_source(&x, e);
    if (!rc)
        rc = write_all(&x, e);
    meta_image_free(&x.image);
    if (x.points)
        map_free(x.points, mem_free);
    if (x.gaps)
        map_free(x.gaps, mem_free);
    if (x.bad_indexes)
        map_free(x.bad_indexes, NULL);
    mem_free(x.cluster);
    mem_free(x.logs);
    return rc;
}
