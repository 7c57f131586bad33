/*
 * meta_log: __cluster_metadata-0: replay into the tables of topics and settings at start, append and sync of every change.
 * Changes come one at a time (the admin lock).
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/defaults.h"
#include "broker/group_config.h"
#include "broker/meta.h"
#include "broker/store.h"
#include "broker/walk.h"

#define META_BATCH_MAX (8u << 20)
enum { PRODUCER_ID_BLOCK = 1000 };

static const struct uuid meta_topic_id = {{[15] = 1}}; /* Kafka's METADATA_TOPIC_ID */

/* ---- replay ---------------------------------------------------------------------------------------------------- */

static char *text_dup(struct text t)
{
    return mem_strndup(t.p, t.n);
}

static int replay_topic(struct broker *b, const struct meta_record *r, struct err *e)
{
    char *name = text_dup(r->name);
    if (!name)
        return err_nomem(e);
    struct topic *t = NULL;
    int rc = topic_name_check(name, e);
    if (!rc && !(t = topic_new(name, &r->topic_id, e)))
        rc = e->code;
    if (!rc && (rc = topics_put(&b->topics, t, e)))
        topic_unref(t);
    else if (!rc)
        atomic_store(&t->visible, true);
    mem_free(name);
    return rc;
}

static int replay_partition(struct broker *b, const struct meta_record *r, struct err *e)
{
    struct topic *t = topics_by_id(&b->topics, &r->topic_id);
    if (t && r->partition >= TOPIC_PARTITIONS_MAX)
        return err_set(e, ERR_CORRUPT, "topic %s: partition %d is out of bounds", t->name, r->partition);
    if (!t)
        return ERR_OK;
    if (r->partition >= t->announced) {
        struct uuid *placed = mem_realloc_array(t->placed, (size_t)r->partition + 1, sizeof *placed);
        if (!placed)
            return err_nomem(e);
        memset(&placed[t->announced], 0, (size_t)(r->partition + 1 - t->announced) * sizeof *placed);
        t->placed = placed;
        t->announced = r->partition + 1;
    }
    t->placed[r->partition] = r->directory;
    return ERR_OK;
}

static int replay_config(struct broker *b, const struct meta_record *r, struct err *e)
{
    char *name = text_dup(r->name), *key = text_dup(r->key), *value = r->value.p ? text_dup(r->value) : NULL;
    int rc = name && key && (value || !r->value.p) ? ERR_OK : err_nomem(e);
    if (!rc && r->resource == META_RESOURCE_BROKER)
        rc = defaults_replay(&b->defaults, name, key, value, e);
    if (!rc && r->resource == META_RESOURCE_GROUP)
        rc = group_config_replay(b->group_configs, name, key, value, e);
    struct topic *t = rc || r->resource != META_RESOURCE_TOPIC ? NULL : topics_by_name(&b->topics, name);
    if (t) {
        struct topic_config_entry change = {key, value}, *merged;
        size_t n;
        rc = topic_config_merge(t, &change, 1, &merged, &n, e);
        if (!rc) {
            topic_config_free(t->config, t->config_count);
            t->config = merged;
            t->config_count = n;
        }
    }
    mem_free(value);
    mem_free(key);
    mem_free(name);
    return rc;
}

static int replay_remove(struct broker *b, const struct meta_record *r, struct err *e)
{
    struct topic *t = topics_by_id(&b->topics, &r->topic_id);
    if (!t)
        return ERR_OK;
    int rc = map_put(b->removed, t->id.b, sizeof t->id.b, b, e); /* the value only says that it is there */
    if (!rc && !map_get(b->removed_names, t->name, strlen(t->name)))
        rc = map_put(b->removed_names, t->name, strlen(t->name), b, e);
    topics_remove(&b->topics, t);
    topic_unref(t);
    return rc;
}

static int replay_record(void *arg, const struct batch_header *h, const struct record *rec, struct err *e)
{
    struct broker *b = arg;
    struct meta_record r;
    (void)h;
    int rc = meta_decode(rec->value, rec->value ? (size_t)rec->value_len : 0, &r, e);
    if (!rc && r.kind == META_TOPIC)
        rc = replay_topic(b, &r, e);
    else if (!rc && r.kind == META_PARTITION)
        rc = replay_partition(b, &r, e);
    else if (!rc && r.kind == META_CONFIG)
        rc = replay_config(b, &r, e);
    else if (!rc && r.kind == META_REMOVE_TOPIC)
        rc = replay_remove(b, &r, e);
    else if (!rc && r.kind == META_PRODUCER_IDS && r.next_producer_id > b->next_producer_id)
        b->next_producer_id = b->producer_id_limit = r.next_producer_id;
    return rc ? err_wrap(e, "metadata record at offset %lld", (long long)rec->offset) : ERR_OK;
}

struct replay {
    struct broker *b;
    struct buf scratch;
};

static int replay_batch(void *arg, const uint8_t *data, const struct batch_header *h, struct err *e)
{
    struct replay *r = arg;
    if (h->attributes & BATCH_CONTROL)
        return ERR_OK;
    return walk_records(data, h, &r->scratch, replay_record, r->b, e);
}

/* Partitions are made and settings decoded once, from what the records add up to. */
static int settle_topic(struct broker *b, struct topic *t, struct err *e)
{
    struct topic_settings *s;
    struct partition **grown;
    int rc = topic_settings_make(&b->defaults, t->config, t->config_count, t->internal, &s, e);
    if (rc)
        return err_wrap(e, "settings of topic %s", t->name);
    s->older = atomic_load(&t->settings);
    atomic_store(&t->settings, s);
    if ((rc = topic_grow(t, t->announced, &grown, e)))
        return rc;
    for (int32_t i = 0; i < t->announced;
         i++) { /* a directory that is not ours, such as Kafka's, is no place */
        struct disk *d = disk_by_id(b, &t->placed[i]);
        partition_place(grown[i], d ? d : b->disks[0]);
    }
    topic_grow_commit(t, t->announced, grown);
    mem_free(t->placed);
    t->placed = NULL;
    return ERR_OK;
}

static int settle_topics(struct broker *b, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    while (!rc && map_next(b->topics.by_name, &pos, &key, &len, &value))
        rc = settle_topic(b, value, e);
    return rc;
}

/* The first start makes the file, syncs it, and writes the recovery points after that. */
static int check_there(struct broker *b, const char *dir, struct err *e)
{
    char *log = mem_printf("%s/%020d.log", dir, 0);
    char *points = mem_printf("%s/" CHECKPOINT_RECOVERY, b->disks[0]->logs_dir);
    int rc = log && points ? ERR_OK : err_nomem(e);
    if (!rc && !io_exists(log) && io_exists(points))
        rc = err_set(e, ERR_CORRUPT, "%s, which says what topics there are, is missing", log);
    mem_free(points);
    mem_free(log);
    return rc;
}

int meta_open(struct broker *b, struct err *e)
{
    struct log_recovery report;
    char *dir = mem_printf("%s/%s-0", b->disks[0]->logs_dir, META_TOPIC_NAME);
    if (!dir)
        return err_nomem(e);
    struct log_open_args args = {
        .dir = dir,
        .name = META_TOPIC_NAME "-0",
        .topic_id = meta_topic_id,
        .config = log_config_default(),
        .clean = false, /* it is small, and damage in it must be found */
        .durable_end = -1,
    };
    args.config.retention_ms = args.config.retention_bytes = -1;
    /* Changes were synced one by one: only the last can be torn. Cutting more would lose topics without a word. */
    int rc = check_there(b, dir, e);
    rc = rc ? rc : log_check_middle(dir, e);
    rc = rc ? err_wrap(e, "topics' metadata is damaged (leat fsck tells more)")
            : log_open(&b->meta, &args, &report, e);
    mem_free(dir);
    /* A killed process may have left a change that it did not sync; from here on others build on it. */
    if (rc || (rc = log_flush(b->meta, e)))
        return rc;
    log_set_high_watermark(b->meta, log_end_offset(b->meta));
    struct replay replay = {.b = b};
    buf_init(&replay.scratch, BATCH_MAX_INFLATED);
    rc = walk_batches(b->meta, replay_batch, &replay, e);
    buf_free(&replay.scratch);
    if (!rc && b->o.defaults_known)
        rc = defaults_take(b, &b->o, e);
    b->o.defaults = NULL; /* the caller's */
    return rc ? rc : settle_topics(b, e);
}

/* ---- append ---------------------------------------------------------------------------------------------------- */

static int build(struct batch_builder *builder, const struct meta_record *records, size_t n, struct err *e)
{
    struct buf frame;
    int64_t now = clock_wall_ms();
    int rc = ERR_OK;
    buf_init(&frame, 64 << 10);
    for (size_t i = 0; !rc && i < n; i++) {
        buf_reset(&frame);
        rc = meta_encode(&frame, &records[i], e);
        if (!rc)
            rc = batch_builder_add(builder, now, NULL, 0, frame.data, frame.len, NULL, 0, e);
    }
    buf_free(&frame);
    return rc;
}

/*
 * A change that is not synced is none, and must not become one with the sync of the next. Where memory, files or room were
 * short it is taken back, and the log goes on; where the sync itself failed, or this fails, too, it is out of service.
 */
static void take_back(struct broker *b, int64_t end, const struct err *why)
{
    struct err e;
    if (why->fatal)
        log_fail(b->meta, why);
    else if (log_truncate_to(b->meta, end, &e))
        diag_error("broker", "metadata: taking back a change that could not be synced (%s): %s", why->text,
                   e.text);
}

static int append_and_sync(struct broker *b, uint8_t *data, size_t bytes, struct err *e)
{
    struct log_append_args args = {
        .origin = LOG_FROM_COORDINATOR,
        .now_ms = clock_wall_ms(),
        .max_message_bytes = META_BATCH_MAX,
        .timestamp_before_max_ms = INT64_MAX,
        .timestamp_after_max_ms = INT64_MAX,
    };
    struct log_appended appended;
    int64_t end = log_end_offset(b->meta);
    int rc = log_append(b->meta, data, bytes, &args, &appended, e);
    if (rc)
        return rc;
    if ((rc = log_flush(b->meta, e)))
        take_back(b, end, e);
    else
        log_set_high_watermark(b->meta, appended.last_offset + 1);
    return rc;
}

int meta_append(struct broker *b, const struct meta_record *records, size_t n, struct err *e)
{
    struct batch_options o = {.codec = CODEC_NONE, .level = CODEC_LEVEL_DEFAULT, .max_bytes = META_BATCH_MAX};
    struct batch_builder *builder = batch_builder_new(&o, e);
    if (!builder)
        return e->code;
    uint8_t *data;
    size_t bytes;
    int rc = build(builder, records, n, e);
    if (!rc)
        rc = batch_builder_finish(builder, &BATCH_NO_PRODUCER, &data, &bytes, e);
    if (!rc)
        rc = append_and_sync(b, data, bytes, e);
    if (rc == ERR_NO_SPACE && disk_use_reserve(b->disks[0]))
        rc = append_and_sync(b, data, bytes, e);
    batch_builder_free(builder);
    return rc ? err_wrap(e, "metadata") : ERR_OK;
}

int meta_producer_id(struct broker *b, int64_t *id, struct err *e)
{
    int rc = ERR_OK;
    pthread_mutex_lock(&b->admin);
    if (b->next_producer_id == b->producer_id_limit) {
        struct meta_record r = {.kind = META_PRODUCER_IDS,
                                .node = META_NODE,
                                .next_producer_id = b->next_producer_id + PRODUCER_ID_BLOCK};
        rc = meta_append(b, &r, 1, e);
        if (!rc)
            b->producer_id_limit = r.next_producer_id;
    }
    if (!rc)
        *id = b->next_producer_id++;
    pthread_mutex_unlock(&b->admin);
    return rc;
}
