/*
 * topic_admin: creating, deleting and changing topics. One change at a time (the admin lock, outermost, held over the
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
#include "broker/store.h"

/* ---- records --------------------------------------------------------------------------------------------------- */

static struct meta_record partition_record(const struct topic *t, const struct partition *p)
{
    return (struct meta_record){
        .kind = META_PARTITION, .topic_id = t->id, .partition = p->index, .directory = p->disk->id};
}

static struct meta_record config_record(const struct topic *t, const struct topic_config_entry *c)
{
    return (struct meta_record){.kind = META_CONFIG,
                                .resource = META_RESOURCE_TOPIC,
                                .name = text_of(t->name),
                                .key = text_of(c->name),
                                .value = text_of(c->value)};
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
        records[n++] = config_record(t, &t->config[i]);
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
static int forget_old_checkpoints(struct broker *b, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && b->checkpoints_stale && i < b->disk_count; i++)
        if (disk_in_service(b->disks[i]) && !(rc = checkpoint_recovery(b->disks[i], e)) &&
            !(rc = checkpoint_starts(b->disks[i], e)))
            rc = checkpoint_cleaned(b->disks[i], e);
    if (!rc)
        b->checkpoints_stale = false;
    return rc;
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
    if (rc || (rc = forget_old_checkpoints(b, e)))
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
    if ((rc = topics_put(&b->topics, t, e)))
        goto placed;
    if ((rc = append_creation(b, t, e)))
        goto listed;
    atomic_store(&t->visible, true);
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

int broker_create_topic(struct broker *b, const char *name, int32_t partitions,
                        const struct topic_config_entry *config, size_t config_count, struct uuid *id,
                        struct err *e)
{
    int rc = topic_name_check(name, e);
    if (!rc && topic_is_internal(name))
        rc = err_set(e, ERR_INVALID_TOPIC, "\"%s\" is an internal topic's name", name);
    partitions = partitions == -1 ? b->defaults.partitions : partitions;
    if (!rc)
        rc = check_partitions(partitions, e);
    for (size_t i = 0; !rc && i < config_count; i++)
        rc = topic_config_check(config[i].name, config[i].value, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = create_locked(b, name, partitions, config, config_count, id, e);
    pthread_mutex_unlock(&b->admin);
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

/* ---- delete ---------------------------------------------------------------------------------------------------- */

static int find_for_change(struct broker *b, const char *name, struct topic **t, struct err *e)
{
    *t = topics_by_name(&b->topics, name);
    if (!*t)
        return err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, name);
    if ((*t)->internal)
        return err_set(e, ERR_INVALID_TOPIC, "\"%s\" is an internal topic", name);
    return ERR_OK;
}

/* What cannot be removed now is swept away at the next start, as its topic is no longer known. */
static int delete_partition(struct partition *p, struct err *e)
{
    struct log *log = partition_log(p);
    if (log) {
        atomic_store(&p->log, NULL);
        return log_delete(log, e);
    }
    if (!p->exists)
        return ERR_OK;
    char *dir = partition_dir(p);
    int rc = dir ? log_delete_dir(dir, e) : err_nomem(e);
    mem_free(dir);
    return rc;
}

static int delete_locked(struct broker *b, const char *name, struct err *e)
{
    struct topic *t;
    int rc = find_for_change(b, name, &t, e);
    if (rc)
        return rc;
    struct meta_record r = {.kind = META_REMOVE_TOPIC, .topic_id = t->id};
    if ((rc = meta_append(b, &r, 1, e)))
        return rc;
    b->checkpoints_stale = true;
    topics_remove(&b->topics, t);
    atomic_store(&t->deleted, true);
    quota_wake(b, t);
    for (int32_t i = 0; i < t->count; i++)
        partition_notify(t->partitions[i]);
    log_cleaner_topic_changed(b, t);
    disks_run(b); /* without a thread nobody else completes what holds the topic */
    topics_wait_idle(&b->topics, t);
    for (int32_t i = 0; i < t->count; i++) {
        struct err why;
        if (delete_partition(t->partitions[i], &why))
            diag_warn("broker", "deleting %s-%d: %s", name, i, why.text);
    }
    displace(t->partitions, 0, t->count);
    topic_unref(t);
    return ERR_OK;
}

int broker_delete_topic(struct broker *b, const char *name, struct err *e)
{
    pthread_mutex_lock(&b->admin);
    int rc = delete_locked(b, name, e);
    if (!rc &&
        (rc = offsets_forget_topic(b, name, e))) { /* before anybody can make a new topic of this name */
        b->offsets_stale = true;                   /* that, or the next start, tries again */
        err_wrap(e, "topic \"%s\" is deleted, but groups keep offsets for it", name);
    }
    pthread_mutex_unlock(&b->admin);
    return rc;
}

/* ---- change ---------------------------------------------------------------------------------------------------- */

static int add_locked(struct broker *b, const char *name, int32_t total, struct err *e)
{
    struct topic *t;
    struct partition **grown;
    int rc = find_for_change(b, name, &t, e);
    if (!rc)
        rc = check_partitions(total, e);
    if (!rc && total <= t->count)
        rc = err_set(e, ERR_INVALID_PARTITIONS, "topic \"%s\" has %d partitions already; it can only grow",
                     name, t->count);
    if (rc || (rc = forget_old_checkpoints(b, e)) || (rc = topic_grow(t, total, &grown, e)))
        return rc;
    size_t n = (size_t)(total - t->count);
    place(b, t, grown, t->count, total);
    struct meta_record *records = mem_calloc(n, sizeof *records);
    rc = records ? ERR_OK : err_nomem(e);
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
    return ERR_OK;
}

int broker_add_partitions(struct broker *b, const char *name, int32_t total, struct err *e)
{
    pthread_mutex_lock(&b->admin);
    int rc = add_locked(b, name, total, e);
    pthread_mutex_unlock(&b->admin);
    return rc;
}

/*
 * Waits until all that is in the log is acknowledged and below the watermark, and syncs it. Whoever appended by older
 * settings is through then: a place in the commit stage's order, behind all of them, is waited for.
 */
static int settle_partition(struct partition *p, struct err *e)
{
    struct commit_wait wait;
    struct commit_item item;
    struct err why;
    commit_wait_init(&wait);
    int rc = disk_in_service(p->disk) ? group_barrier(p, &item, &wait.op, e) : disk_refusal(p->disk, e);
    int waited = commit_wait_for(&wait, &why);
    if (!rc && waited)
        *e = why;
    rc = rc ? rc : waited;
    return rc ? rc : partition_flush(p, e);
}

/*
 * For a change of durability. What was appended without the journal must be synced before the topic counts as
 * journaled, since recovery then cuts what is neither synced nor in the journal; and the other way round what was
 * acknowledged as synced must not depend on the journal, which is no longer released by flushing this topic.
 */
static int settle_durability(struct broker *b, struct topic *t, struct err *e)
{
    int rc = ERR_OK;
    for (int32_t i = 0; !rc && i < t->count; i++)
        rc = settle_partition(t->partitions[i], e);
    return rc ? rc : checkpoint_all_recovery(b, e);
}

static void publish_settings(struct broker *b, struct topic *t, struct topic_settings *s)
{
    pthread_rwlock_wrlock(&b->topics.lock);
    s->older = atomic_load(&t->settings);
    atomic_store(&t->settings, s);
    pthread_rwlock_unlock(&b->topics.lock);
}

/* Appends go through the journal, or no longer do, whatever the metadata say. */
static int set_journaling(struct broker *b, struct topic *t, bool synced, struct err *e)
{
    struct topic_settings *s = mem_alloc(sizeof *s);
    if (!s)
        return err_nomem(e);
    *s = *topic_settings(t);
    s->synced = synced;
    publish_settings(b, t, s);
    return ERR_OK;
}

/*
 * What must hold on disk before the metadata say the new durability. From page-cache to sync: new appends are journaled
 * and all others synced, as a recovery that reads "sync" cuts everything else.
 */
static int prepare_durability(struct broker *b, struct topic *t, bool synced, struct err *e)
{
    struct err
        ignored; /* without memory appends are journaled until the next change or start: more than asked */
    int rc = synced ? set_journaling(b, t, true, e) : ERR_OK;
    if (!rc && (rc = settle_durability(b, t, e)) && synced)
        set_journaling(b, t, false, &ignored);
    return rc;
}

/* A log that is being opened just now, perhaps by the older settings, is waited for. */
static void configure_log(struct partition *p, const struct log_config *config)
{
    pthread_mutex_lock(&p->lock);
    struct log *log = partition_log(p);
    if (log)
        log_set_config(log, config);
    pthread_mutex_unlock(&p->lock);
}

static int publish(struct broker *b, struct topic *t, struct topic_settings *s,
                   struct topic_config_entry *config, size_t n, bool settle, struct err *e)
{
    pthread_rwlock_wrlock(&b->topics.lock);
    topic_config_free(t->config, t->config_count);
    t->config = config;
    t->config_count = n;
    pthread_rwlock_unlock(&b->topics.lock);
    publish_settings(b, t, s);
    for (int32_t i = 0; i < t->count; i++)
        configure_log(t->partitions[i], &s->log);
    log_cleaner_topic_changed(b, t);
    quota_wake(b, t);
    return settle ? settle_durability(b, t, e) : ERR_OK;
}

static int append_change(struct broker *b, const struct topic *t, const struct topic_config_entry *config,
                         size_t n, struct err *e)
{
    struct meta_record *records = mem_calloc(n + 1, sizeof *records);
    if (!records)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        records[i] = config_record(t, &config[i]);
    int rc = meta_append(b, records, n, e);
    mem_free(records);
    return rc;
}

static int alter_locked(struct broker *b, const char *name, const struct topic_config_entry *config, size_t n,
                        struct err *e)
{
    struct topic *t;
    struct topic_config_entry *merged;
    struct topic_settings *s;
    size_t merged_n;
    int rc = find_for_change(b, name, &t, e);
    if (rc || (rc = topic_config_merge(t, config, n, &merged, &merged_n, e)))
        return rc;
    if ((rc = topic_settings_make(&b->defaults, merged, merged_n, false, &s, e)))
        goto merged;
    bool change = s->synced != topic_settings(t)->synced;
    if (change && (rc = prepare_durability(b, t, s->synced, e)))
        goto decoded;
    if ((rc = append_change(b, t, config, n, e)))
        goto prepared;
    return publish(b, t, s, merged, merged_n, change && !s->synced, e);
prepared:
    if (change && s->synced) {
        struct err ignored; /* as in prepare_durability */
        set_journaling(b, t, false, &ignored);
    }
decoded:
    mem_free(s);
merged:
    topic_config_free(merged, merged_n);
    return rc;
}

int broker_alter_topic(struct broker *b, const char *name, const struct topic_config_entry *config,
                       size_t config_count, struct err *e)
{
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < config_count; i++) {
        const struct topic_config_def *defs;
        size_t n;
        defs = topic_config_defs(&n);
        const char *value = config[i].value;
        for (size_t d = 0; !value && d < n; d++) /* a removal: the name must be known */
            if (strcmp(defs[d].name, config[i].name) == 0)
                value = defs[d].default_value;
        rc = topic_config_check(config[i].name, value ? value : "", e);
    }
    if (rc || config_count == 0)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = alter_locked(b, name, config, config_count, e);
    pthread_mutex_unlock(&b->admin);
    return rc;
}
