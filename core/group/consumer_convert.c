/*
 * consumer_convert: a classic group becomes a consumer group when its first member of that protocol comes, and a classic one again when the last has
 * gone (Kafka's group.consumer.migration.policy). Members stay, with what they have. Under the lock of the group's shard.
 */
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"

/* ---- classic to consumer ---- */

static const struct group_protocol *protocol_of(const struct group *g, const struct member *m)
{
    const struct group_protocol *p = g->protocol != NULL ? member_protocol(m, string_of(g->protocol)) : NULL;
    return p != NULL ? p : m->protocol_count > 0 ? &m->protocols[0] : NULL;
}

/* What the leader gave it in this generation; of what it gave to two the first has it. */
static bool take_assignment(const struct cgroup *c, struct cmember *m, const struct tp_set *given,
                            int32_t generation)
{
    m->assigned.list = mem_alloc((size_t)given->n * sizeof *m->assigned.list + 1);
    for (int32_t i = 0; m->assigned.list != NULL && i < given->n; i++)
        if (!cgroup_held(c, NULL, &given->list[i]))
            m->assigned.list[m->assigned.n++] =
                (struct tp){given->list[i].topic, given->list[i].partition, generation};
    return m->assigned.list != NULL && tp_set_copy(&m->assigned, &m->target);
}

static int16_t take_member(struct groups *all, const struct group *g, struct cgroup *c,
                           const struct member *from, struct arena *a)
{
    const struct group_protocol *p = protocol_of(g, from);
    struct csubscription s;
    struct tp_set given;
    bool topics_changed, regex_changed;
    if (p == NULL || !subscription_read(all, p->metadata, a, &s) ||
        !assignment_read(all, (struct msg_bytes){from->assignment, from->assignment_len}, a, &given))
        return GROUP_NOT_FOUND;
    struct csaid said = {.rack = s.rack,
                         .client_id = string_of(from->client_id),
                         .regex = MSG_NULL_STRING,
                         .assignor = MSG_NULL_STRING,
                         .host = from->host,
                         .rebalance_ms = from->rebalance_ms,
                         .topics = s.topics,
                         .topic_count = s.topic_count,
                         .classic = true,
                         .protocols = from->protocols,
                         .protocol_count = from->protocol_count,
                         .session_ms = from->session_ms};
    struct cmember *m = cmember_new(string_of(from->id), string_of(from->instance));
    if (m == NULL || !cmember_update(m, &said, &topics_changed, &regex_changed) ||
        !take_assignment(c, m, &given, g->generation) || !cgroup_put(c, m)) {
        cmember_free(m);
        return GROUP_NO_MEMORY;
    }
    m->epoch = m->before = g->generation;
    cmember_alive(all, c, m);
    return GROUP_OK;
}

/* Who waits for the generation or its assignment comes again, to the consumer group. */
static void let_go(struct group *g)
{
    ids_clear(&g->ids);
    for (struct member *m = g->members, *after; m != NULL; m = after) {
        after = m->next;
        if (m->join_done != NULL)
            join_fail(m->join_done, m->join_arg, GROUP_REBALANCING, string_of(m->id));
        m->join_done = NULL;
        sync_fail(m, GROUP_REBALANCING);
        member_free(m);
    }
    pendings_free(g);
    mem_free(g->protocol);
    g->protocol = NULL;
    g->members = g->leader = NULL;
    group_enter(g, GROUP_EMPTY);
    g->writing = -1; /* what is on its way is of a generation that is no more */
    g->initial = false;
}

int16_t convert_to_consumer(struct groups *all, struct group *g)
{
    int32_t count = g->count;
    if ((all->o.migration != GROUP_MIGRATE_BOTH && all->o.migration != GROUP_MIGRATE_UP) || g->type == NULL ||
        strcmp(g->type, "consumer") != 0 ||
        (all->o.consumer_max_size > 0 && count > all->o.consumer_max_size))
        return GROUP_NOT_FOUND;
    struct cgroup *c = cgroup_new(g);
    struct arena a;
    int16_t error = c != NULL ? GROUP_OK : GROUP_NO_MEMORY;
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    g->count = 0; /* counted as they are put into the other one */
    for (const struct member *m = g->members; error == GROUP_OK && m != NULL; m = m->next)
        error = take_member(all, g, c, m, &a);
    g->count = count;
    arena_free(&a);
    if (error != GROUP_OK) {
        cgroup_free(c);
        return error;
    }
    if ((error = group_store_tombstone(all, g)) != GROUP_OK) {
        cgroup_free(c);
        return error;
    }
    c->epoch = c->assignment_epoch = g->generation;
    g->consumer = c;
    cgroup_mark_all(c);
    let_go(g);
    return GROUP_OK;
}

/* ---- consumer to classic ---- */

bool convert_is_due(const struct groups *all, const struct cgroup *c)
{
    size_t pos = 0;
    int32_t count = cgroup_count(c);
    if ((all->o.migration != GROUP_MIGRATE_BOTH && all->o.migration != GROUP_MIGRATE_DOWN) || count == 0 ||
        (all->o.max_size > 0 && count > all->o.max_size))
        return false;
    for (const struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        if (!m->classic)
            return false;
    return true;
}

static struct member *make_member(struct groups *all, const struct cmember *from)
{
    struct group_join j = {.instance = string_of(from->instance),
                           .client_id = string_of(from->client_id),
                           .host = from->host,
                           .protocols = from->protocols,
                           .protocol_count = from->protocol_count,
                           .session_ms = from->session_ms,
                           .rebalance_ms = from->rebalance_ms};
    struct member *m = member_new(&j, from->id);
    if (m == NULL)
        return NULL;
    m->assignment = assignment_write(all, from, &m->assignment_len);
    if (m->assignment != NULL)
        return m;
    member_free(m);
    return NULL;
}

int16_t convert_to_classic(struct groups *all, struct group *g)
{
    struct cgroup *c = g->consumer;
    struct member *list = NULL, **end = &list;
    char *type = mem_strdup("consumer");
    size_t pos = 0;
    bool made = type != NULL && cgroup_bury(all, c) == GROUP_OK;
    for (const struct cmember *m; made && (m = cgroup_next(c, &pos)) != NULL;) {
        made = (*end = make_member(all, m)) != NULL;
        end = made ? &(*end)->next : end;
    }
    if (!made) {
        for (struct member *m; (m = list) != NULL;) {
            list = m->next;
            member_free(m);
        }
        mem_free(type);
        cgroup_mark_all(c); /* as the log may have been told that it is gone */
        return GROUP_NO_MEMORY;
    }
    mem_free(g->type);
    g->type = type;
    g->generation = c->epoch;
    group_enter(g, GROUP_STABLE);
    g->round_end = INT64_MAX;
    g->members = g->leader = list;
    g->consumer = NULL;
    cgroup_free(c); /* count stays: they are the same members */
    for (struct member *m = list; m != NULL; m = m->next) {
        member_add_ids(g, m);
        member_alive(all, g, m);
    }
    struct msg_string choice = round_choice(g);
    g->protocol = choice.n >= 0 ? string_copy(choice) : NULL;
    if (g->protocol != NULL)
        group_store_classic(all, g, NULL, NULL); /* else with the next generation */
    return GROUP_OK;
}
