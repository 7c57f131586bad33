/*
 * topics: the table of topics. Readers take its lock shared for a look-up; it is written by the holder of the admin
 * lock. Any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "broker/store.h"

int topics_init(struct topics *t, struct err *e)
{
    int rc = pthread_rwlock_init(&t->lock, NULL);
    if (rc)
        return err_sys(e, rc, "topic table");
    mutex_init(&t->idle_lock);
    cond_init(&t->idle);
    t->by_name = map_new();
    t->by_id = map_new();
    return t->by_name && t->by_id ? ERR_OK : err_nomem(e); /* topics_free in any case */
}

static void unref_value(void *topic)
{
    topic_unref(topic);
}

void topics_free(struct topics *t)
{
    if (t->by_id)
        map_free(t->by_id, NULL);
    if (t->by_name)
        map_free(t->by_name, unref_value);
    t->by_id = t->by_name = NULL;
    pthread_mutex_destroy(&t->idle_lock);
    pthread_cond_destroy(&t->idle);
    pthread_rwlock_destroy(&t->lock);
}

int topics_put(struct topics *t, struct topic *topic, struct err *e)
{
    pthread_rwlock_wrlock(&t->lock);
    int rc = map_put(t->by_name, topic->name, strlen(topic->name), topic, e);
    if (!rc && (rc = map_put(t->by_id, topic->id.b, sizeof topic->id.b, topic, e)))
        map_remove(t->by_name, topic->name, strlen(topic->name));
    pthread_rwlock_unlock(&t->lock);
    return rc;
}

void topics_remove(struct topics *t, struct topic *topic)
{
    pthread_rwlock_wrlock(&t->lock);
    map_remove(t->by_name, topic->name, strlen(topic->name));
    map_remove(t->by_id, topic->id.b, sizeof topic->id.b);
    pthread_rwlock_unlock(&t->lock);
    topics_changed(t);
}

void topics_changed(struct topics *t)
{
    atomic_fetch_add(&t->changes, 1);
}

struct topic *topics_by_id(struct topics *t, const struct uuid *id)
{
    return map_get(t->by_id, id->b, sizeof id->b);
}

struct topic *topics_by_name(struct topics *t, const char *name)
{
    return map_get(t->by_name, name, strlen(name));
}

int topic_acquire(struct broker *b, const char *topic, int32_t partition, struct partition **out,
                  struct err *e)
{
    struct topics *t = &b->topics;
    *out = NULL;
    pthread_rwlock_rdlock(&t->lock);
    struct topic *found = map_get(t->by_name, topic, strlen(topic));
    if (found && atomic_load(&found->visible) && partition >= 0 && partition < found->count) {
        *out = found->partitions[partition];
        atomic_fetch_add(&found->busy, 1);
    }
    pthread_rwlock_unlock(&t->lock);
    if (*out)
        return ERR_OK;
    if (found)
        return err_set(e, ERR_UNKNOWN_TOPIC, "topic \"%s\" has no partition %d", topic, partition);
    return err_set(e, ERR_UNKNOWN_TOPIC, "there is no topic \"%.*s\"", TOPIC_NAME_MAX, topic);
}

void partition_hold(struct partition *p)
{
    atomic_fetch_add(&p->topic->busy, 1);
}

/* Deletion sets the mark and then waits until nobody holds anything: it sees us, or we see the mark. */
bool partition_try_hold(struct topics *t, struct partition *p)
{
    atomic_fetch_add(&p->topic->busy, 1);
    if (!atomic_load(&p->topic->deleted))
        return true;
    partition_release(t, p);
    return false;
}

void partition_release(struct topics *t, struct partition *p)
{
    struct topic *topic = p->topic;
    topic_ref(topic); /* the deleter may let go of it the moment it is no longer busy */
    if (atomic_fetch_sub(&topic->busy, 1) == 1 && atomic_load(&topic->deleted)) {
        pthread_mutex_lock(&t->idle_lock);
        pthread_cond_broadcast(&t->idle);
        pthread_mutex_unlock(&t->idle_lock);
    }
    topic_unref(topic);
}

void topics_wait_idle(struct topics *t, struct topic *topic)
{
    pthread_mutex_lock(&t->idle_lock);
    while (atomic_load(&topic->busy) > 0)
        pthread_cond_wait(&t->idle, &t->idle_lock);
    pthread_mutex_unlock(&t->idle_lock);
}

int topics_all(struct topics *t, struct partition ***list, size_t *n, struct err *e)
{
    size_t total = 0, pos = 0;
    void *value;
    const void *key;
    size_t key_len;
    *n = 0;
    pthread_rwlock_rdlock(&t->lock);
    while (map_next(t->by_name, &pos, &key, &key_len, &value))
        total += (size_t)((struct topic *)value)->count;
    struct partition **all = mem_calloc(total + 1, sizeof *all);
    pos = 0;
    while (all && map_next(t->by_name, &pos, &key, &key_len, &value)) {
        struct topic *topic = value;
        for (int32_t i = 0; atomic_load(&topic->visible) && i < topic->count; i++) {
            partition_hold(topic->partitions[i]);
            all[(*n)++] = topic->partitions[i];
        }
    }
    pthread_rwlock_unlock(&t->lock);
    *list = all;
    return all ? ERR_OK : err_nomem(e);
}

void partitions_release(struct topics *t, struct partition **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        partition_release(t, list[i]);
    mem_free(list);
}
