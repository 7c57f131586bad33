/*
 * offsets: the cache of committed offsets and how changes get into it. One leaf lock; groups and entries live while
 * an offset or a change on its way needs them.
 */
#include <string.h>

#include "base/clock.h"
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
    mem_free(g->type);
    mem_free(g->name);
    mem_free(g);
}

int offsets_open(struct broker *b, struct err *e)
{
    struct offsets *o = mem_calloc(1, sizeof *o);
    if (!o)
        return err_nomem(e);
    mutex_init(&o->lock);
    mutex_init(&o->asking);
    cond_init(&o->settled);
    o->next_check = clock_mono_ms() + b->o.offsets_check_ms;
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
    pthread_cond_destroy(&o->settled);
    pthread_mutex_destroy(&o->lock);
    pthread_mutex_destroy(&o->asking);
    mem_free(o);
    b->offsets = NULL;
}

/* ---- changes --------------------------------------------------------------------------------------------------- */

static struct group *group_make(struct offsets *o, struct text name, struct err *e)
{
    struct group *g = mem_calloc(1, sizeof *g);
    if (g && (g->name = mem_strndup(name.p, name.n)) && (g->entries = map_new()) &&
        !map_put(o->groups, name.p, name.n, g, e)) {
        g->left_ms = g->record_at = -1;
        return g;
    }
    if (g)
        group_free(g);
    err_nomem(e);
    return NULL;
}

struct group *offsets_group_find(struct offsets *o, const char *name)
{
    return map_get(o->groups, name, strlen(name));
}

struct group *offsets_group_get(struct offsets *o, struct text name, struct err *e)
{
    struct group *g;
    while ((g = map_get(o->groups, name.p, name.n)) && g->expiring)
        pthread_cond_wait(&o->settled, &o->lock);
    return g ? g : group_make(o, name, e);
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

void offsets_group_settle(struct offsets *o, struct group *g)
{
    if (g->live > 0 || g->pins > 0 || g->holders > 0 || g->recorded || g->expiring)
        return;
    map_remove(o->groups, g->name, strlen(g->name));
    group_free(g);
}

struct offset_change *offsets_change_of(struct group *g, struct offset_entry *en, struct err *e)
{
    struct offset_change *c = mem_calloc(1, sizeof *c);
    if (!c) {
        err_nomem(e);
        return NULL;
    }
    *c = (struct offset_change){
        .group = g, .entry = en, .offset = OFFSET_DELETED, .leader_epoch = -1, .expire_ms = -1, .at = -1};
    g->pins++;
    if (en)
        en->pins++;
    return c;
}

int offsets_change_new(struct offsets *o, struct text group, struct text topic, int32_t partition,
                       const struct offset_value *v, char *metadata, struct offset_change **out,
                       struct err *e)
{
    struct offset_entry *en = NULL;
    struct offset_change *c = NULL;
    pthread_mutex_lock(&o->lock);
    struct group *g = offsets_group_get(o, group, e);
    if (g && (en = entry_get(g, topic, partition, e)))
        c = offsets_change_of(g, en, e);
    if (g && !c)
        offsets_group_settle(o, g);
    pthread_mutex_unlock(&o->lock);
    if (!c) {
        mem_free(metadata);
        return e->code;
    }
    c->offset = v->offset;
    c->leader_epoch = v->leader_epoch;
    c->commit_ms = v->commit_ms;
    c->expire_ms = v->expire_ms;
    c->metadata = metadata;
    *out = c;
    return ERR_OK;
}

static void group_takes_effect(struct offset_change *c)
{
    struct group *g = c->group;
    if (c->at < g->record_at)
        return;
    g->record_at = c->at;
    g->recorded = c->offset != OFFSET_DELETED;
    g->recorded_use = g->recorded && c->commit_ms < 0;
    g->generation = c->generation;
    mem_free(g->type);
    g->type = c->metadata;
    c->metadata = NULL;
    if (!g->recorded || !g->recorded_use)
        g->left_ms = g->recorded ? c->commit_ms : -1;
}

static void take_effect(struct offset_change *c)
{
    struct offset_entry *en = c->entry;
    char *old = en->metadata;
    if (c->at < en->at)
        return;
    en->at = c->at;
    c->group->live += (c->offset != OFFSET_DELETED) - (size_t)(en->offset != OFFSET_DELETED);
    en->offset = c->offset;
    en->leader_epoch = c->leader_epoch;
    en->commit_ms = c->commit_ms;
    en->expire_ms = c->expire_ms;
    en->metadata = c->metadata;
    c->metadata = old;
}

static void finish_changes(struct offsets *o, struct offset_change *list, bool effective)
{
    pthread_mutex_lock(&o->lock);
    for (struct offset_change *c = list, *next; c; c = next) {
        next = c->next;
        if (effective && c->entry)
            take_effect(c);
        else if (effective)
            group_takes_effect(c);
        if (c->entry) {
            c->entry->pins--;
            c->entry->pending -= c->pending;
        }
        c->group->pins--;
        offsets_group_settle(o, c->group);
        mem_free(c->metadata);
        mem_free(c);
    }
    pthread_mutex_unlock(&o->lock);
}

void offsets_pend(struct broker *b, struct offset_change *list)
{
    pthread_mutex_lock(&b->offsets->lock);
    for (struct offset_change *c = list; c; c = c->next)
        if (c->entry && !c->pending) {
            c->pending = true;
            c->entry->pending++;
        }
    pthread_mutex_unlock(&b->offsets->lock);
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

const char *offsets_group_name(const struct offset_change *c)
{
    return c->group->name;
}

struct offset_change *offsets_take_pending(struct broker *b, int64_t producer_id)
{
    pthread_mutex_lock(&b->offsets->lock);
    struct offset_change *list = map_remove(b->offsets->pending, &producer_id, sizeof producer_id);
    pthread_mutex_unlock(&b->offsets->lock);
    return list;
}

/* ---- reading --------------------------------------------------------------------------------------------------- */

int offsets_check_group(const char *group, struct err *e)
{
    return group && strlen(group) <= INT16_MAX
               ? ERR_OK
               : err_set(e, ERR_INVALID_GROUP, "a group's name has at most %d bytes", INT16_MAX);
}

/* With the lock. NULL: there never was one. */
static const struct offset_entry *find_entry(struct offsets *o, const char *group, const char *topic,
                                             int32_t partition)
{
    uint8_t key[KEY_MAX];
    struct text t = text_of(topic);
    const struct group *g = t.n <= TOPIC_NAME_MAX ? offsets_group_find(o, group) : NULL;
    return g ? map_get(g->entries, key, entry_key(key, t, partition)) : NULL;
}

int broker_fetch_offset(struct broker *b, const char *group, const char *topic, int32_t partition,
                        int64_t *offset, struct err *e)
{
    struct offsets *o = b->offsets;
    *offset = -1;
    int rc = offsets_check_group(group, e);
    if (rc)
        return rc;
    pthread_mutex_lock(&o->lock);
    const struct offset_entry *en = find_entry(o, group, topic, partition);
    if (en)
        *offset = en->offset;
    pthread_mutex_unlock(&o->lock);
    return ERR_OK;
}

static bool show_entry(const struct offset_entry *en, struct group_offset *out, struct arena *a)
{
    out->offset = en->offset;
    out->leader_epoch = en->leader_epoch;
    out->commit_ms = en->commit_ms;
    out->pending = en->pending > 0;
    if (en->metadata && !(out->metadata = arena_dup(a, en->metadata, strlen(en->metadata))))
        return false;
    return true;
}

int broker_fetch_offsets(struct broker *b, const char *group, struct group_offset *offsets, size_t n,
                         struct arena *a, struct err *e)
{
    struct offsets *o = b->offsets;
    bool memory = true;
    int rc = offsets_check_group(group, e);
    for (size_t i = 0; !rc && memory && i < n; i++) { /* the lock is let go in between: others commit */
        struct group_offset *out = &offsets[i];
        *out = (struct group_offset){
            .topic = out->topic, .partition = out->partition, .offset = -1, .leader_epoch = -1};
        pthread_mutex_lock(&o->lock);
        const struct offset_entry *en = find_entry(o, group, out->topic, out->partition);
        memory = !en || show_entry(en, out, a);
        pthread_mutex_unlock(&o->lock);
    }
    return rc || memory ? rc : err_nomem(e);
}

static bool has_offsets(struct broker *b, const char *group, bool or_changes)
{
    pthread_mutex_lock(&b->offsets->lock);
    const struct group *g = offsets_group_find(b->offsets, group);
    bool has = g && (g->live > 0 || (or_changes && g->pins > 0));
    pthread_mutex_unlock(&b->offsets->lock);
    return has;
}

bool broker_group_shows_offsets(struct broker *b, const char *group)
{
    return has_offsets(b, group, false);
}

bool broker_group_has_offsets(struct broker *b, const char *group)
{
    return has_offsets(b, group, true);
}
