/*
 * consumer_views: consumer groups as tools see them. Copies, into the caller's arena.
 */
#include <string.h>

#include "group/consumer_internal.h"

const char *cgroup_state(const struct cgroup *c)
{
    size_t pos = 0;
    if (cgroup_count(c) == 0)
        return "Empty";
    if (c->epoch > c->assignment_epoch)
        return "Assigning";
    for (const struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        if (!cmember_reconciled(c, m))
            return "Reconciling";
    return "Stable";
}

/* Without memory the text is empty: what is left out is seen to be. */
static struct msg_string copy(struct arena *a, const char *text)
{
    size_t n = text != NULL ? strlen(text) : 0;
    const char *p = text != NULL ? arena_dup(a, text, n) : NULL;
    return p != NULL ? msg_text(p, n) : text != NULL ? msg_text("", 0) : MSG_NULL_STRING;
}

static bool show_set(const struct groups *all, const struct tp_set *set, struct arena *a,
                     struct consumer_view_set *out)
{
    struct consumer_view_topic *topics = arena_alloc(a, (size_t)set->n * sizeof *topics);
    int32_t *partitions = arena_alloc(a, (size_t)set->n * sizeof *partitions);
    if (topics == NULL || partitions == NULL)
        return false;
    *out = (struct consumer_view_set){topics, 0};
    for (int32_t i = 0, end; i < set->n; i = end) {
        struct group_topic t;
        for (end = i; end < set->n && memcmp(&set->list[end].topic, &set->list[i].topic, sizeof t.id) == 0;
             end++)
            partitions[end] = set->list[end].partition;
        if (all->o.topics.by_id(all->o.topics.arg, &set->list[i].topic, &t))
            topics[out->topic_count++] =
                (struct consumer_view_topic){t.id, copy(a, t.name), partitions + i, end - i};
    }
    return true;
}

static bool show_member(const struct groups *all, const struct cmember *m, struct arena *a,
                        struct consumer_view_member *out)
{
    struct msg_string *topics = arena_alloc(a, (size_t)m->topic_count * sizeof *topics);
    if (topics == NULL)
        return false;
    for (int32_t i = 0; i < m->topic_count; i++)
        topics[i] = copy(a, m->topics[i]);
    *out = (struct consumer_view_member){.member = copy(a, m->id),
                                         .instance = copy(a, m->instance),
                                         .rack = copy(a, m->rack),
                                         .client_id = copy(a, m->client_id != NULL ? m->client_id : ""),
                                         .host = copy(a, m->host != NULL ? m->host : ""),
                                         .regex = copy(a, m->regex != NULL ? m->regex : ""),
                                         .topics = topics,
                                         .topic_count = m->topic_count,
                                         .epoch = m->epoch,
                                         .classic = m->classic};
    return show_set(all, &m->assigned, a, &out->assigned) && show_set(all, &m->target, a, &out->target);
}

static int16_t show(const struct groups *all, const struct cgroup *c, struct arena *a,
                    struct consumer_view *out)
{
    size_t pos = 0;
    *out = (struct consumer_view){.state = copy(a, cgroup_state(c)),
                                  .assignor = copy(a, cgroup_assignor(c)),
                                  .epoch = c->epoch,
                                  .assignment_epoch = c->assignment_epoch};
    out->members = arena_alloc(a, (size_t)cgroup_count(c) * sizeof *out->members);
    for (const struct cmember *m; out->members != NULL && (m = cgroup_next(c, &pos)) != NULL;)
        if (!show_member(all, m, a, &out->members[out->member_count++]))
            return GROUP_NO_MEMORY;
    return out->members != NULL ? GROUP_OK : GROUP_NO_MEMORY;
}

int16_t consumer_view(struct groups *all, struct msg_string group, struct arena *a, struct consumer_view *out)
{
    struct shard *s = shard_lock(all, group);
    const struct group *g = shard_find(s, group);
    int16_t error = g != NULL && g->consumer != NULL ? show(all, g->consumer, a, out) : GROUP_NOT_FOUND;
    shard_unlock(s);
    return error;
}
