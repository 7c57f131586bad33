/*
 * offsets: the cache of committed offsets and how changes get into it. One leaf lock; groups and entries live while
 * an offset or a change on its way needs them.
 */
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "broker/offsets_cache.h"

enum { KEY_MAX = TOPIC_NAME_MAX + 1 + 4 };

static size_t entry_key(uint8_t key[KEY_MAX], struct text topic, int32_t partition)
{
    memcpy(key, topic.p, topic.n);
    key[topic.n] = 0;
    put_be32(key + topic.n + 1, (uint32_t)partition);
    return topic.n + 5;
}

static void entry_free(void *p)
{
    struct offset_entry *en = p;
    mem_free(en->topic);
    mem_free(en->metadata);
    mem_free(en);
}

static void group_free(void *p)
{
    struct group *g = p;
    if (g->entries)
        map_free(g->entries, entry_free);
    mem_free(g->name);
    mem_free(g);
}

int offsets_open(struct broker *b, struct err *e)
{
    struct offsets *o = mem_calloc(1, sizeof *o);
    if (!o)
        return err_nomem(e);
    mutex_init(&o->lock);
    o->groups = map_new();
    o->pending = map_new();
    b->offsets = o;
    return o->groups && o->pending ? ERR_OK : err_nomem(e);
}

void offsets_close(struct broker *b)
{
    struct offsets *o = b->offsets;
    size_t pos = 0, len;
    const void *key;
    void *value;
    if (!o)
        return;
    while (o->pending && map_next(o->pending, &pos, &key, &len, &value))
        offsets_drop(b, value);
    if (o->pending)
        map_free(o->pending, NULL);
    if (o->groups)
        map_free(o->groups, group_free);
    pthread_mutex_destroy(&o->lock);
    mem_free(o);
    b->offsets = NULL;
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

static struct group *group_get(struct offsets *o, struct text name, struct err *e)
{
    struct group *g = map_get(o->groups, name.p, name.n);
    if (g)
        return g;
    g = mem_calloc(1, sizeof *g);
    if (g && (g->name = mem_strndup(name.p, name.n)) && (g->entries = map_new()) &&
        !map_put(o->groups, name.p, name.n, g, e))
        return g;
    if (g)
        group_free(g);
    err_nomem(e);
    return NULL;
}

static struct offset_entry *entry_get(struct group *g, struct text topic, int32_t partition, struct err *e)
{
    uint8_t key[KEY_MAX];
    if (topic.n > TOPIC_NAME_MAX) {
        err_set(e, ERR_INVALID_TOPIC, "a topic's name of %zu bytes", topic.n);
        return NULL;
    }
    size_t n = entry_key(key, topic, partition);
    struct offset_entry *en = map_get(g->entries, key, n);
    if (en)
        return en;
    en = mem_calloc(1, sizeof *en);
    if (en && (en->topic = mem_strndup(topic.p, topic.n)) && !map_put(g->entries, key, n, en, e)) {
        en->partition = partition;
        en->offset = en->at = -1;
        return en;
    }
    if (en)
        entry_free(en);
    err_nomem(e);
    return NULL;
}

static void group_settle(struct offsets *o, struct group *g)
{
    if (g->live > 0 || g->pins > 0)
        return;
    map_remove(o->groups, g->name, strlen(g->name));
    group_free(g);
}

int offsets_change_new(struct offsets *o, struct text group, struct text topic, int32_t partition,
                       int64_t offset, int32_t leader_epoch, int64_t commit_ms, char *metadata,
                       struct offset_change **out, struct err *e)
{
    struct offset_change *c = mem_calloc(1, sizeof *c);
    if (!c) {
        mem_free(metadata);
        return err_nomem(e);
    }
    *c = (struct offset_change){.offset = offset,
                                .leader_epoch = leader_epoch,
                                .commit_ms = commit_ms,
                                .metadata = metadata,
                                .at = -1};
    pthread_mutex_lock(&o->lock);
    c->group = group_get(o, group, e);
    if (c->group) {
        c->entry = entry_get(c->group, topic, partition, e);
        c->group->pins++;
        if (!c->entry) {
            c->group->pins--;
            group_settle(o, c->group);
        }
    }
    pthread_mutex_unlock(&o->lock);
    if (!c->entry) {
        mem_free(metadata);
        mem_free(c);
        return e->code;
    }
    *out = c;
    return ERR_OK;
}

static void take_effect(struct offset_change *c)
{
    struct offset_entry *en = c->entry;
    char *old = en->metadata;
    if (c->at < en->at)
        return;
    en->at = c->at;
    c->group->live += (c->offset >= 0) - (size_t)(en->offset >= 0);
    en->offset = c->offset;
    en->leader_epoch = c->leader_epoch;
    en->commit_ms = c->commit_ms;
    en->metadata = c->metadata;
    c->metadata = old;
}

static void finish_changes(struct offsets *o, struct offset_change *list, bool effective)
{
    pthread_mutex_lock(&o->lock);
    for (struct offset_change *c = list, *next; c; c = next) {
        next = c->next;
        if (effective)
            take_effect(c);
        c->group->pins--;
        group_settle(o, c->group);
        mem_free(c->metadata);
        mem_free(c);
    }
    pthread_mutex_unlock(&o->lock);
}

void offsets_set_place(struct offset_change *list, int64_t base_offset)
{
    for (; list; list = list->next)
        list->at = base_offset++;
}

void offsets_apply(struct broker *b, struct offset_change *list)
{
    finish_changes(b->offsets, list, true);
}

void offsets_drop(struct broker *b, struct offset_change *list)
{
    finish_changes(b->offsets, list, false);
}

struct offset_change *offsets_take_pending(struct broker *b, int64_t producer_id)
{
    pthread_mutex_lock(&b->offsets->lock);
    struct offset_change *list = map_remove(b->offsets->pending, &producer_id, sizeof producer_id);
    pthread_mutex_unlock(&b->offsets->lock);
    return list;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

static int check_group(const char *group, struct err *e)
{
    return group && *group && strlen(group) <= INT16_MAX
               ? ERR_OK
               : err_set(e, ERR_INVALID_GROUP, "a group's name is not empty and at most %d bytes", INT16_MAX);
}

int broker_fetch_offset(struct broker *b, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e)
{
    struct offsets *o = b->offsets;
    uint8_t key[KEY_MAX];
    struct text t = text_of(topic);
    *offset = -1;
    int rc = check_group(group, e);
    if (rc || t.n > TOPIC_NAME_MAX)
        return rc;
    size_t n = entry_key(key, t, partition);
    pthread_mutex_lock(&o->lock);
    struct group *g = map_get(o->groups, group, strlen(group));
    struct offset_entry *en = g ? map_get(g->entries, key, n) : NULL;
    if (en)
        *offset = en->offset;
    pthread_mutex_unlock(&o->lock);
    return ERR_OK;
}
