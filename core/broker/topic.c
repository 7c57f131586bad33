/*
 * topic: one topic in memory: name, id, partitions, settings. Reference-counted; changed by the holder of the broker's
 * admin lock only, under the table's write lock.
 */
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "broker/quota.h"
#include "broker/store.h"

int topic_name_check(const char *name, struct err *e)
{
    size_t n = strlen(name);
    if (n == 0 || n > TOPIC_NAME_MAX)
        return err_set(e, ERR_INVALID_TOPIC, "a topic's name has 1 to %d characters, not %zu", TOPIC_NAME_MAX,
                       n);
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return err_set(e, ERR_INVALID_TOPIC, "\"%s\" cannot be a topic's name", name);
    for (const char *c = name; *c; c++)
        if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '.' ||
              *c == '_' || *c == '-'))
            return err_set(e, ERR_INVALID_TOPIC,
                           "topic name \"%.*s\": only letters, digits, \".\", \"_\" and \"-\" can be used",
                           TOPIC_NAME_MAX, name);
    return ERR_OK;
}

bool topic_is_internal(const char *name)
{
    return strcmp(name, OFFSETS_TOPIC) == 0 || strcmp(name, TXN_TOPIC) == 0 ||
           strcmp(name, META_TOPIC_NAME) == 0;
}

struct topic *topic_new(const char *name, const struct uuid *id, struct err *e)
{
    struct topic *t = mem_calloc(1, sizeof *t);
    struct topic_settings *s = NULL;
    if (!t || !(t->name = mem_strdup(name))) {
        mem_free(t);
        err_nomem(e);
        return NULL;
    }
    t->internal = topic_is_internal(name);
    if (topic_settings_make(NULL, NULL, 0, t->internal, &s, e)) {
        mem_free(t->name);
        mem_free(t);
        return NULL;
    }
    quota_init(&t->quota);
    atomic_init(&t->settings, s);
    atomic_init(&t->refs, 1);
    t->id = *id;
    return t;
}

void topic_ref(struct topic *t)
{
    atomic_fetch_add(&t->refs, 1);
}

static void partition_free(struct partition *p)
{
    if (!p)
        return;
    pthread_mutex_destroy(&p->lock);
    pthread_mutex_destroy(&p->watch_lock);
    mem_free(p);
}

void topic_unref(struct topic *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (int32_t i = 0; i < t->count; i++)
        partition_free(t->partitions[i]);
    for (struct topic_settings *s = atomic_load(&t->settings), *older; s; s = older) {
        older = s->older;
        mem_free(s);
    }
    topic_config_free(t->config, t->config_count);
    quota_free(&t->quota);
    mem_free(t->placed);
    mem_free(t->partitions);
    mem_free(t->name);
    mem_free(t);
}

static struct partition *partition_new(struct topic *t, int32_t index)
{
    struct partition *p = mem_calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->topic = t;
    p->index = index;
    p->journaled_end = -1;
    atomic_init(&p->epoch, -1);
    mutex_init(&p->lock);
    mutex_init(&p->watch_lock);
    return p;
}

int topic_grow(struct topic *t, int32_t total, struct partition ***grown, struct err *e)
{
    struct partition **list = mem_calloc((size_t)total, sizeof *list);
    if (!list)
        return err_nomem(e);
    for (int32_t i = 0; i < total; i++) {
        list[i] = i < t->count ? t->partitions[i] : partition_new(t, i);
        if (!list[i]) {
            topic_grow_undo(t, total, list);
            return err_nomem(e);
        }
    }
    *grown = list;
    return ERR_OK;
}

void topic_grow_commit(struct topic *t, int32_t total, struct partition **grown)
{
    mem_free(t->partitions);
    t->partitions = grown;
    t->count = total;
}

void topic_grow_undo(struct topic *t, int32_t total, struct partition **grown)
{
    for (int32_t i = t->count; i < total; i++)
        partition_free(grown[i]);
    mem_free(grown);
}

void topic_config_free(struct topic_config_entry *config, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free((void *)(uintptr_t)config[i].name);
        mem_free((void *)(uintptr_t)config[i].value);
    }
    mem_free(config);
}

static int config_push(struct topic_config_entry *list, size_t *n, const char *name, const char *value,
                       struct err *e)
{
    list[*n].name = mem_strdup(name);
    list[*n].value = mem_strdup(value);
    (*n)++;
    return list[*n - 1].name && list[*n - 1].value ? ERR_OK : err_nomem(e);
}

int topic_config_merge_list(const struct topic_config_entry *list, size_t list_n,
                            const struct topic_config_entry *change, size_t n,
                            struct topic_config_entry **out, size_t *out_n, struct err *e)
{
    struct topic_config_entry *merged = mem_calloc(list_n + n + 1, sizeof *merged);
    size_t count = 0;
    int rc = merged ? ERR_OK : err_nomem(e);
    for (size_t i = 0; !rc && i < list_n; i++)
        if (!topic_config_entry_find(change, n, list[i].name))
            rc = config_push(merged, &count, list[i].name, list[i].value, e);
    for (size_t i = 0; !rc && i < n; i++)
        if (topic_config_entry_find(change, n, change[i].name) == &change[i] && change[i].value)
            rc = config_push(merged, &count, change[i].name, change[i].value, e);
    if (rc) {
        topic_config_free(merged, count);
        return rc;
    }
    *out = merged;
    *out_n = count;
    return ERR_OK;
}

int topic_config_merge(const struct topic *t, const struct topic_config_entry *change, size_t n,
                       struct topic_config_entry **out, size_t *out_n, struct err *e)
{
    return topic_config_merge_list(t->config, t->config_count, change, n, out, out_n, e);
}
