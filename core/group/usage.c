/*
 * usage: which topics a classic group's members read, as their subscriptions say (ConsumerProtocolSubscription): for the expiry of
 * committed offsets, and for those that are to be deleted.
 */
#include <string.h>

#include "group/consumer_internal.h"
#include "protocol/messages.h"

#define SUBSCRIPTION_LAST 3
#define ARENA_MAX ((size_t)64 << 20)

/* Adds a member's topics to the set. false: they cannot be read. */
static bool add_topics(const struct group *g, const struct member *m, struct arena *a, struct map *topics)
{
    const struct group_protocol *p = g->protocol != NULL ? member_protocol(m, string_of(g->protocol)) : NULL;
    struct slice in = slice_of(p != NULL && p->metadata.n > 0 ? p->metadata.p : NULL,
                               p != NULL && p->metadata.n > 0 ? (size_t)p->metadata.n : 0);
    struct msg_consumer_protocol_subscription s;
    struct err e;
    int16_t version;
    if (slice_i16(&in, &version, &e) != ERR_OK || version < 0)
        return false;
    version = version < SUBSCRIPTION_LAST ? version : SUBSCRIPTION_LAST; /* later ones begin alike */
    if (msg_decode(&msg_schema_consumer_protocol_subscription, version, &in, a, &s, &e) != ERR_OK)
        return false;
    for (int32_t i = 0; i < s.topics.count; i++) {
        int rc = map_put(topics, s.topics.items[i].p, (size_t)s.topics.items[i].n, topics, &e);
        if (rc != ERR_OK && rc != ERR_EXISTS)
            return false;
    }
    return true;
}

static bool is_empty(const struct group *g)
{
    return g->state == GROUP_EMPTY && g->count == 0;
}

static bool has_consumers(const struct group *g)
{
    return g->consumer != NULL || (g->type != NULL && strcmp(g->type, "consumer") == 0);
}

bool group_topics(const struct group *g, struct map *topics)
{
    struct arena a;
    if (g->consumer != NULL)
        return cgroup_topics(g->consumer, topics);
    bool known = has_consumers(g);
    arena_init(&a, ARENA_MAX, NULL);
    for (const struct member *m = g->members; known && m != NULL; m = m->next) {
        known = add_topics(g, m, &a, topics);
        arena_reset(&a);
    }
    arena_free(&a);
    return known;
}

void groups_usage(void *arg, const char *group, struct group_usage *out)
{
    struct groups *all = arg;
    struct shard *s = shard_lock(all, string_of(group));
    const struct group *g = shard_find(s, string_of(group));
    out->use = GROUP_USE_UNKNOWN;
    if (g != NULL && is_empty(g)) {
        out->use = GROUP_USE_EMPTY;
        out->since_ms = g->state_ms;
    } else if (g != NULL) {
        out->use = (g->consumer != NULL || g->state == GROUP_STABLE) && group_topics(g, out->topics)
                       ? GROUP_USE_TOPICS
                       : GROUP_USE_ALL;
    }
    shard_unlock(s);
}

int16_t groups_read(struct groups *all, struct msg_string id, struct map *topics, bool *unknown)
{
    struct shard *s = shard_lock(all, id);
    const struct group *g = shard_find(s, id);
    int16_t error = GROUP_OK;
    if (g == NULL)
        error = GROUP_NOT_FOUND;
    else if (!is_empty(g) && !has_consumers(g))
        error = GROUP_NOT_EMPTY;
    else
        *unknown = !is_empty(g) && !group_topics(g, topics);
    shard_unlock(s);
    return error;
}
