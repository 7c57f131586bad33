/*
 * views: groups as tools see them. Copies, into the caller's arena.
 */
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"

static const char *const states[] = {
    [GROUP_EMPTY] = "Empty",
    [GROUP_PREPARING] = "PreparingRebalance",
    [GROUP_COMPLETING] = "CompletingRebalance",
    [GROUP_STABLE] = "Stable",
};

/* Without memory the text is empty: what is left out is seen to be. */
static struct msg_string copy(struct arena *a, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    const char *p = text != NULL ? arena_dup(a, text, n) : NULL;
    return p != NULL ? msg_text(p, n) : text != NULL ? msg_text("", 0) : MSG_NULL_STRING;
}

static struct msg_bytes copy_bytes(struct arena *a, const uint8_t *p, int32_t n)
{
    const uint8_t *to = n > 0 ? arena_dup(a, p, (size_t)n) : (const uint8_t *)"";
    return (struct msg_bytes){to, to != NULL && n > 0 ? n : 0};
}

/* Told of a stable group only, as Kafka does it, and so is what its members said; not so what they were assigned last. */
static const char *protocol_of(const struct group *g)
{
    return g->state == GROUP_STABLE ? g->protocol : "";
}

static void show(const struct group *g, struct arena *a, struct group_view *v)
{
    if (g->consumer != NULL) {
        *v = (struct group_view){.id = copy(a, g->id),
                                 .state = copy(a, cgroup_state(g->consumer)),
                                 .type = copy(a, "consumer"),
                                 .protocol = copy(a, cgroup_assignor(g->consumer)),
                                 .consumer = true,
                                 .generation = g->consumer->epoch};
        return;
    }
    *v = (struct group_view){.id = copy(a, g->id),
                             .state = copy(a, states[g->state]),
                             .type = copy(a, g->type != NULL ? g->type : ""),
                             .protocol = copy(a, protocol_of(g)),
                             .generation = g->generation};
}

static bool show_members(const struct group *g, struct arena *a, struct group_view *v)
{
    v->members = arena_alloc(a, (size_t)g->count * sizeof *v->members);
    if (v->members == NULL)
        return false;
    for (const struct member *m = g->members; m != NULL; m = m->next) {
        const struct group_protocol *p =
            g->protocol != NULL ? member_protocol(m, string_of(g->protocol)) : NULL;
        bool chosen = p != NULL && g->state == GROUP_STABLE;
        v->members[v->member_count++] = (struct group_view_member){
            .member = copy(a, m->id),
            .instance = copy(a, m->instance),
            .client_id = copy(a, m->client_id),
            .host = copy(a, m->host),
            .metadata = copy_bytes(a, chosen ? p->metadata.p : NULL, chosen ? p->metadata.n : 0),
            .assignment = copy_bytes(a, m->assignment, m->assignment != NULL ? m->assignment_len : 0)};
    }
    return true;
}

int16_t groups_view(struct groups *all, struct msg_string id, struct arena *a, struct group_view *out)
{
    int16_t error = GROUP_OK;
    struct shard *s = shard_lock(all, id);
    const struct group *g = shard_find(s, id);
    if (g == NULL) {
        error = GROUP_NOT_FOUND;
    } else {
        show(g, a, out);
        error = show_members(g, a, out) ? GROUP_OK : GROUP_NO_MEMORY;
    }
    shard_unlock(s);
    return error;
}

/* Those of one shard, behind the `*n` that there are. */
static bool list_shard(struct shard *s, struct arena *a, struct group_view **list, int32_t *n)
{
    size_t pos = 0, len;
    const void *key;
    void *value;
    pthread_mutex_lock(&s->lock);
    struct group_view *longer = arena_alloc(a, ((size_t)*n + map_count(s->by_id)) * sizeof *longer);
    if (longer != NULL && *n > 0)
        memcpy(longer, *list, (size_t)*n * sizeof *longer);
    while (longer != NULL && map_next(s->by_id, &pos, &key, &len, &value))
        show(value, a, &longer[(*n)++]);
    pthread_mutex_unlock(&s->lock);
    *list = longer;
    return longer != NULL;
}

int16_t groups_list(struct groups *all, struct arena *a, struct group_view **list, int32_t *n)
{
    *list = NULL;
    *n = 0;
    for (size_t i = 0; i < SHARDS; i++)
        if (!list_shard(&all->shards[i], a, list, n))
            return GROUP_NO_MEMORY;
    return GROUP_OK;
}

int16_t groups_forget(struct groups *all, struct msg_string id)
{
    struct shard *s = shard_lock(all, id);
    struct group *g = shard_find(s, id);
    bool used = g != NULL && (g->state != GROUP_EMPTY || g->count > 0);
    int16_t error = g == NULL ? GROUP_NOT_FOUND : used ? GROUP_NOT_EMPTY : group_store_tombstone(all, g);
    if (error == GROUP_OK)
        shard_drop(s, g);
    shard_unlock(s);
    return error;
}
