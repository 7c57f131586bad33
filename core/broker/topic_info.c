/*
 * topic_info: describing topics. Copies for the caller; any thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "broker/transactions.h"
#include "broker/store.h"

void topic_info_free(struct topic_info *t)
{
    mem_free(t->name);
    mem_free(t->partitions);
    topic_config_free(t->config, t->config_count);
    memset(t, 0, sizeof *t);
}

void topic_infos_free(struct topic_info *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        topic_info_free(&list[i]);
    mem_free(list);
}

/* Under the table's lock. */
static int describe(const struct topic *t, struct topic_info *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    out->id = t->id;
    out->internal = t->internal;
    out->partition_count = t->count;
    out->name = mem_strdup(t->name);
    int rc = out->name ? topic_config_merge(t, NULL, 0, &out->config, &out->config_count, e) : err_nomem(e);
    if (rc)
        topic_info_free(out);
    return rc;
}

static int describe_partition(struct broker *b, const char *topic, int32_t i, struct partition_info *out,
                              struct err *e)
{
    struct partition *p;
    struct log *log;
    *out = (struct partition_info){.partition = i};
    int rc = topic_acquire(b, topic, i, &p, e);
    if (rc)
        return rc;
    struct err why;
    out->disk = p->disk->index;
    out->failed = !disk_in_service(p->disk);
    if (partition_open(b, p, false, &log, &why)) {
        out->failed = true;
    } else if (log) {
        struct segment_info *segments = NULL;
        size_t n = 0;
        rc = log_segments(log, &segments, &n, e);
        out->failed |= log_failed(log);
        out->log_start_offset = log_start_offset(log);
        out->high_watermark = log_high_watermark(log);
        out->last_stable_offset = log_last_stable_offset(log);
        out->end_offset = log_end_offset(log);
        out->size = log_size(log);
        out->segments = (int32_t)n;
        mem_free(segments);
    }
    if (partition_epoch(p, &out->leader_epoch, &why))
        out->leader_epoch = 0; /* its file is broken; the log's opening makes it anew */
    partition_release(&b->topics, p);
    return rc;
}

/* The partition, held, and its log; NULL for one that was never written to. */
static int acquire_log(struct broker *b, const char *topic, int32_t partition, struct partition **p,
                       struct log **log, struct err *e)
{
    int rc = topic_acquire(b, topic, partition, p, e);
    if (rc)
        return rc;
    rc = partition_open(b, *p, false, log, e);
    if (rc)
        partition_release(&b->topics, *p);
    return rc;
}

int broker_segments(struct broker *b, const char *topic, int32_t partition, struct segment_info **list,
                    size_t *n, struct err *e)
{
    struct partition *p;
    struct log *log;
    *list = NULL;
    *n = 0;
    int rc = acquire_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log)
        rc = log_segments(log, list, n, e);
    partition_release(&b->topics, p);
    return rc;
}

int broker_partition_disk(struct broker *b, const char *topic, int32_t partition, int32_t *disk,
                          struct err *e)
{
    struct partition *p;
    int rc = topic_acquire(b, topic, partition, &p, e);
    if (rc)
        return rc;
    *disk = p->disk->index;
    partition_release(&b->topics, p);
    return ERR_OK;
}

int broker_producers(struct broker *b, const char *topic, int32_t partition, struct producer_info **list,
                     size_t *n, struct err *e)
{
    struct partition *p;
    struct log *log;
    *list = NULL;
    *n = 0;
    int rc = acquire_log(b, topic, partition, &p, &log, e);
    if (rc)
        return rc;
    if (log)
        rc = log_producers(log, list, n, e);
    partition_release(&b->topics, p);
    return rc;
}

/* Under the table's lock. */
static bool brief_of(const struct topic *t, struct topic_brief *out)
{
    if (!t || !atomic_load(&t->visible))
        return false;
    snprintf(out->name, sizeof out->name, "%s", t->name);
    out->id = t->id;
    out->partitions = t->count;
    out->internal = t->internal;
    return true;
}

int broker_topic_brief(struct broker *b, const char *name, struct topic_brief *out, struct err *e)
{
    pthread_rwlock_rdlock(&b->topics.lock);
    bool found = brief_of(topics_by_name(&b->topics, name), out);
    pthread_rwlock_unlock(&b->topics.lock);
    return found ? ERR_OK : err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
}

int broker_topic_by_id(struct broker *b, const struct uuid *id, struct topic_brief *out, struct err *e)
{
    char text[UUID_TEXT_SIZE];
    pthread_rwlock_rdlock(&b->topics.lock);
    bool found = brief_of(topics_by_id(&b->topics, id), out);
    pthread_rwlock_unlock(&b->topics.lock);
    return found ? ERR_OK
                 : err_set(e, ERR_UNKNOWN_TOPIC_ID, "there is no topic with the id %s", uuid_text(id, text));
}

uint64_t broker_topics_version(struct broker *b)
{
    return atomic_load(&b->topics.changes) + 1;
}

void broker_each_topic(struct broker *b, void (*fn)(void *arg, const char *name), void *arg)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    pthread_rwlock_rdlock(&b->topics.lock);
    while (map_next(b->topics.by_name, &pos, &key, &len, &value))
        if (atomic_load(&((const struct topic *)value)->visible))
            fn(arg, ((const struct topic *)value)->name);
    pthread_rwlock_unlock(&b->topics.lock);
}

int broker_topic_limits(struct broker *b, const char *name, int32_t *partitions, int64_t *max_message_bytes,
                        struct err *e)
{
    pthread_rwlock_rdlock(&b->topics.lock);
    const struct topic *t = topics_by_name(&b->topics, name);
    bool found = t && atomic_load(&t->visible);
    if (found) {
        *partitions = t->count;
        *max_message_bytes = topic_settings(t)->max_message_bytes;
    }
    pthread_rwlock_unlock(&b->topics.lock);
    return found ? ERR_OK : err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
}

int broker_topic(struct broker *b, const char *name, struct topic_info *out, struct err *e)
{
    memset(out, 0, sizeof *out);
    pthread_rwlock_rdlock(&b->topics.lock);
    const struct topic *t = topics_by_name(&b->topics, name);
    int rc = t && atomic_load(&t->visible)
                 ? describe(t, out, e)
                 : err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
    pthread_rwlock_unlock(&b->topics.lock);
    if (rc)
        return rc;
    out->partitions = mem_calloc((size_t)out->partition_count + 1, sizeof *out->partitions);
    rc = out->partitions ? ERR_OK : err_nomem(e);
    for (int32_t i = 0; !rc && i < out->partition_count; i++)
        rc = describe_partition(b, name, i, &out->partitions[i], e);
    if (rc)
        topic_info_free(out);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    const struct topic_info *x = a, *y = b;
    return strcmp(x->name, y->name);
}

int broker_topics(struct broker *b, struct topic_info **list, size_t *n, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    int rc = ERR_OK;
    *n = 0;
    *list = NULL;
    pthread_rwlock_rdlock(&b->topics.lock);
    struct topic_info *all = mem_calloc(map_count(b->topics.by_name) + 1, sizeof *all);
    if (!all)
        rc = err_nomem(e);
    while (!rc && map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        const struct topic *t = value;
        if (atomic_load(&t->visible) && !(rc = describe(t, &all[*n], e)))
            (*n)++;
    }
    pthread_rwlock_unlock(&b->topics.lock);
    if (rc) {
        topic_infos_free(all, *n);
        *n = 0;
        return rc;
    }
    qsort(all, *n, sizeof *all, by_name);
    *list = all;
    return ERR_OK;
}
