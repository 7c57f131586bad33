/*
 * topic_admin: creating topics and their partitions; topic_alter.c changes settings, topic_delete.c deletes. One change at a time (the admin lock, outermost, held over the
 * change's own sync: nobody but other administrators waits for it). What can fail is prepared before the change is
 * made durable; what follows cannot.
 */
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "base/io.h"
#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/cleaner.h"
#include "broker/group.h"
#include "broker/meta.h"
#include "broker/offsets.h"
#include "broker/quota.h"
#include "broker/removal.h"
#include "broker/store.h"

/* ---- records --------------------------------------------------------------------------------------------------- */

static struct meta_record partition_record(const struct topic *t, const struct partition *p)
{
    return (struct meta_record){.kind = META_PARTITION,
                                .topic_id = t->id,
                                .partition = p->index,
                                .node = META_NODE,
                                .directory = p->disk->id};
}

static int append_creation(struct broker *b, const struct topic *t, struct err *e)
{
    size_t n = 0, max = 1 + (size_t)t->count + t->config_count;
    struct meta_record *records = mem_calloc(max, sizeof *records);
    if (!records)
        return err_nomem(e);
    records[n++] = (struct meta_record){.kind = META_TOPIC, .name = text_of(t->name), .topic_id = t->id};
    for (int32_t i = 0; i < t->count; i++)
        records[n++] = partition_record(t, t->partitions[i]);
    for (size_t i = 0; i < t->config_count; i++)
        records[n++] = meta_config_record(META_RESOURCE_TOPIC, t->name, &t->config[i]);
    int rc = meta_append(b, records, n, e);
    mem_free(records);
    return rc;
}

/* ---- create ---------------------------------------------------------------------------------------------------- */

/* Kafka refuses names that differ only in "." and "_", as its metrics would mix them up; so do we. */
static bool names_collide(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (*a != *b && !((*a == '.' || *a == '_') && (*b == '.' || *b == '_')))
            return false;
    return *a == *b;
}

static int check_free(struct broker *b, const char *name, struct err *e)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    if (topics_by_name(&b->topics, name))
        return err_set(e, ERR_TOPIC_EXISTS, "topic \"%s\" exists already", name);
    while (map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        const struct topic *t = value;
        if (names_collide(t->name, name))
            return err_set(e, ERR_INVALID_TOPIC,
                           "topic name \"%s\" collides with \"%s\": they differ only in \".\" and \"_\"",
                           name, t->name);
    }
    return ERR_OK;
}

static int set_config(struct broker *b, struct topic *t, const struct topic_config_entry *config, size_t n,
                      struct err *e)
{
    struct topic_settings *s;
    int rc = topic_config_merge(t, config, n, &t->config, &t->config_count, e);
    if (rc)
        return rc;
    if ((rc = topic_settings_make(&b->defaults, t->config, t->config_count, t->internal, &s, e)))
        return rc;
    s->older = atomic_load(&t->settings);
    atomic_store(&t->settings, s);
    return ERR_OK;
}

/* Checkpoints go by name: what they say of a topic that was deleted must not be taken for a new one's, or for what it gains. */
static int forget_on(struct disk *d, struct err *e)
{
    int rc = checkpoint_recovery(d, e);
    if (!rc)
        rc = checkpoint_starts(d, e);
    if (!rc)
        rc = checkpoint_cleaned(d, e);
    d->checkpoints_stale = rc != ERR_OK;
    return rc;
}

/* A disk where that cannot be done, as it is full or failing, gets no new partition; an error if no other is there. */
static int forget_old_checkpoints(struct broker *b, bool internal, struct err *e)
{
    int rc = ERR_OK;
    bool any = false;
    for (size_t i = 0; i < (internal ? 1 : b->disk_count); i++) {
        struct disk *d = b->disks[i];
        struct err why;
        if (disk_in_service(d) && d->checkpoints_stale && forget_on(d, &why)) {
            diag_warn("broker", "no new partition goes to %s: %s", d->dir, why.text);
            if (!rc)
                *e = why;
            rc = rc ? rc : why.code;
        }
        any = any || disk_takes_new(d);
    }
    return any ? ERR_OK : rc;
}

static void place(struct broker *b, const struct topic *t, struct partition **list, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        partition_place(list[i], disk_for_new(b, t->internal));
}

static void displace(struct partition **list, int32_t from, int32_t to)
{
    for (int32_t i = from; i < to; i++)
        partition_place(list[i], NULL);
}

static int create_locked(struct broker *b, const char *name, int32_t partitions,
                         const struct topic_config_entry *config, size_t n, struct uuid *id, struct err *e)
{
    struct uuid fresh = uuid_random();
    struct partition **grown;
    int rc = check_free(b, name, e);
    if (rc || (rc = forget_old_checkpoints(b, topic_is_internal(name), e)))
        return rc;
    if (b->offsets_stale && !topic_is_internal(name) && (rc = offsets_forget_topic(b, name, e)))
        return rc;
    struct topic *t = topic_new(name, &fresh, e);
    if (!t)
        return e->code;
    if ((rc = set_config(b, t, config, n, e)) || (rc = topic_grow(t, partitions, &grown, e)))
        goto made;
    topic_grow_commit(t, partitions, grown);
    place(b, t, grown, 0, partitions);
    if ((rc = removal_make_way(b, grown, 0, partitions, e)) || (rc = topics_put(&b->topics, t, e)))
        goto placed;
    if ((rc = append_creation(b, t, e)))
        goto listed;
    atomic_store(&t->visible, true);
    topics_changed(&b->topics);
    if (id)
        *id = fresh;
    return ERR_OK;
listed:
    topics_remove(&b->topics, t);
placed:
    displace(t->partitions, 0, partitions);
made:
    topic_unref(t);
    return rc;
}

static int check_partitions(int32_t n, struct err *e)
{
    if (n < 1 || n > TOPIC_PARTITIONS_MAX)
        return err_set(e, ERR_INVALID_PARTITIONS, "a topic has 1 to %d partitions, not %d",
                       TOPIC_PARTITIONS_MAX, n);
    return ERR_OK;
}

static int check_new(struct broker *b, const char *name, int32_t *partitions,
                     const struct topic_config_entry *config, size_t n, struct err *e)
{
    int rc = topic_name_check(name, e);
    if (!rc && topic_is_internal(name))
        rc = err_set(e, ERR_INVALID_TOPIC, "\"%s\" is an internal topic's name", name);
    if (*partitions == -1)
        *partitions = b->defaults.partitions;
    if (!rc)
        rc = check_partitions(*partitions, e);
    for (size_t i = 0; !rc && i < n; i++)
        rc = topic_config_check(config[i].name, config[i].value, e);
    return rc;
}

int broker_create_topic(struct broker *b, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct uuid *id,
                        struct err *e)
{
    int rc = check_new(b, name, &partitions, config, config_count, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = create_locked(b, name, partitions, config, config_count, id, e);
    pthread_mutex_unlock(&b->admin);
    return rc;
}

int broker_try_topic(struct broker *b, const char *name, int32_t *partitions,
                     const struct topic_config_entry *config, size_t config_count,
                     struct topic_setting **list, size_t *n, struct err *e)
{
    struct topic_settings *s = NULL;
    int rc = check_new(b, name, partitions, config, config_count, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = check_free(b, name, e);
    if (!rc)
        rc = topic_settings_make(&b->defaults, config, config_count, false, &s, e);
    if (!rc)
        rc = topic_settings_describe(config, config_count, false, &b->defaults, list, n, e);
    pthread_mutex_unlock(&b->admin);
    mem_free(s);
    return rc;
}

int internal_topic(struct broker *b, const char *name, int32_t *partitions, struct err *e)
{
    bool offsets = strcmp(name, OFFSETS_TOPIC) == 0;
    char bytes[24];
    snprintf(bytes, sizeof bytes, "%lld",
             (long long)(offsets ? b->o.offsets_segment_bytes : b->o.txn_segment_bytes));
    const struct topic_config_entry config[] = {{"cleanup.policy", "compact"}, {"segment.bytes", bytes}};
    pthread_rwlock_rdlock(&b->topics.lock);
    struct topic *t = topics_by_name(&b->topics, name);
    *partitions = t && atomic_load(&t->visible) ? t->count : 0;
    pthread_rwlock_unlock(&b->topics.lock);
    if (*partitions > 0)
        return ERR_OK;
    int32_t n = offsets ? b->o.offsets_partitions : b->o.txn_partitions;
    pthread_mutex_lock(&b->admin);
    int rc = create_locked(b, name, n, config, sizeof config / sizeof config[0], NULL, e);
    if (rc == ERR_TOPIC_EXISTS)
        rc = ERR_OK; /* somebody was faster */
    pthread_mutex_unlock(&b->admin);
    if (rc)
        return rc;
    pthread_rwlock_rdlock(&b->topics.lock);
    *partitions = topics_by_name(&b->topics, name)->count;
    pthread_rwlock_unlock(&b->topics.lock);
    return ERR_OK;
}

/* ---- change ---------------------------------------------------------------------------------------------------- */

int topic_find_for_change(struct broker *b, const char *name, struct topic **t, struct err *e)
{
    *t = topics_by_name(&b->topics, name);
    if (!*t)
        return err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
    if ((*t)->internal)
        return err_set(e, ERR_INVALID_TOPIC, "\"%s\" is an internal topic", name);
    return ERR_OK;
}

static int add_locked(struct broker *b, const char *name, int32_t total, struct err *e)
{
    struct topic *t;
    struct partition **grown;
    int rc = topic_find_for_change(b, name, &t, e);
    if (!rc)
        rc = check_partitions(total, e);
    if (!rc && total <= t->count)
        rc = err_set(e, ERR_INVALID_PARTITIONS, "topic \"%s\" has %d partitions already; it can only grow",
                     name, t->count);
    if (rc || (rc = forget_old_checkpoints(b, false, e)) || (rc = topic_grow(t, total, &grown, e)))
        return rc;
    size_t n = (size_t)(total - t->count);
    place(b, t, grown, t->count, total);
    struct meta_record *records = mem_calloc(n, sizeof *records);
    rc = records ? removal_make_way(b, grown, t->count, total, e) : err_nomem(e);
    for (size_t i = 0; !rc && i < n; i++)
        records[i] = partition_record(t, grown[(size_t)t->count + i]);
    if (!rc)
        rc = meta_append(b, records, n, e);
    mem_free(records);
    if (rc) {
        displace(grown, t->count, total);
        topic_grow_undo(t, total, grown);
        return rc;
    }
    pthread_rwlock_wrlock(&b->topics.lock);
    topic_grow_commit(t, total, grown);
    pthread_rwlock_unlock(&b->topics.lock);
    topics_changed(&b->topics);
    return ERR_OK;
}

int broker_add_partitions(struct broker *b, const char *name, int32_t total, struct err *e)
{
    pthread_mutex_lock(&b->admin);
    int rc = add_locked(b, name, total, e);
    pthread_mutex_unlock(&b->admin);
    return rc;
}
