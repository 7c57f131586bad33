/*
 * topic_alter: changing topics' settings, and those that all of them have from the hub. Under the admin lock, as topic_admin.c says.
 */
#include <string.h>

#include "base/mem.h"
#include "broker/checkpoint.h"
#include "broker/cleaner.h"
#include "broker/defaults.h"
#include "broker/group.h"
#include "broker/meta.h"
#include "broker/quota.h"
#include "broker/store.h"

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

static void apply_settings(struct broker *b, struct topic *t, struct topic_settings *s)
{
    publish_settings(b, t, s);
    for (int32_t i = 0; i < t->count; i++)
        configure_log(t->partitions[i], &s->log);
    log_cleaner_topic_changed(b, t);
    quota_wake(b, t);
}

static int publish(struct broker *b, struct topic *t, struct topic_settings *s,
                   struct topic_config_entry *config, size_t n, bool settle, struct err *e)
{
    pthread_rwlock_wrlock(&b->topics.lock);
    topic_config_free(t->config, t->config_count);
    t->config = config;
    t->config_count = n;
    pthread_rwlock_unlock(&b->topics.lock);
    apply_settings(b, t, s);
    return settle ? settle_durability(b, t, e) : ERR_OK;
}

static int append_change(struct broker *b, const struct topic *t, const struct topic_config_entry *config,
                         size_t n, struct err *e)
{
    struct meta_record *records = mem_calloc(n + 1, sizeof *records);
    if (!records)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        records[i] = meta_config_record(META_RESOURCE_TOPIC, t->name, &config[i]);
    int rc = meta_append(b, records, n, e);
    mem_free(records);
    return rc;
}

/* Admin lock held. */
static int alter(struct broker *b, struct topic *t, const struct topic_config_entry *config, size_t n,
                 bool try_only, struct err *e)
{
    struct topic_config_entry *merged;
    struct topic_settings *s;
    size_t merged_n;
    int rc = topic_config_merge(t, config, n, &merged, &merged_n, e);
    if (rc)
        return rc;
    if ((rc = topic_settings_make(&b->defaults, merged, merged_n, false, &s, e)))
        goto merged;
    if (try_only || n == 0)
        goto decoded;
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
    struct topic *t;
    int rc = ERR_OK;
    for (size_t i = 0; !rc && i < config_count; i++) {
        const struct topic_config_def *d = topic_config_find(config[i].name, e);
        rc = d ? topic_config_check(d->name, config[i].value ? config[i].value : d->default_value, e)
               : e->code;
    }
    if (rc || config_count == 0)
        return rc;
    pthread_mutex_lock(&b->admin);
    rc = topic_find_for_change(b, name, &t, e);
    if (!rc)
        rc = alter(b, t, config, config_count, false, e);
    pthread_mutex_unlock(&b->admin);
    return rc;
}

int broker_change_topic(struct broker *b, const char *name, const struct config_change *changes, size_t n,
                        bool replace, bool try_only, struct err *e)
{
    struct topic *t;
    struct config_list entries = {0};
    pthread_mutex_lock(&b->admin);
    int rc = topic_find_for_change(b, name, &t, e);
    if (!rc) {
        const struct config_list own = {t->config, t->config_count};
        rc = config_changes_resolve(changes, n, replace, false, &own, &b->defaults, &entries, e);
    }
    if (!rc)
        rc = alter(b, t, entries.list, entries.n, try_only, e);
    pthread_mutex_unlock(&b->admin);
    config_list_free(&entries);
    return rc;
}

/* ---- the hub's defaults ----------------------------------------------------------------------------------------- */

void topic_settings_list_discard(struct topic_settings **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(list[i]);
    mem_free(list);
}

int topic_settings_for_all(struct broker *b, const struct topic_defaults *defaults,
                           struct topic_settings ***out, size_t *out_n, struct err *e)
{
    size_t pos = 0, len, n = 0;
    const void *key;
    void *value;
    int rc = ERR_OK;
    struct topic_settings **list = mem_calloc(map_count(b->topics.by_name) + 1, sizeof *list);
    if (!list)
        return err_nomem(e);
    while (!rc && map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        const struct topic *t = value;
        if (t->internal)
            continue;
        if ((rc = topic_settings_make(defaults, t->config, t->config_count, false, &list[n], e)))
            err_wrap(e, "topic %s", t->name);
        else
            n++;
    }
    if (rc) {
        topic_settings_list_discard(list, n);
        return rc;
    }
    *out = list;
    *out_n = n;
    return ERR_OK;
}

void topic_settings_publish_all(struct broker *b, struct topic_settings **list, size_t n)
{
    size_t pos = 0, len, i = 0;
    const void *key;
    void *value;
    while (i < n && map_next(b->topics.by_name, &pos, &key, &len, &value)) {
        struct topic *t = value;
        if (!t->internal)
            apply_settings(b, t, list[i++]);
    }
    mem_free(list);
}
