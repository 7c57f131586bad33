/*
 * asks: what members ask of their generation: SyncGroup, Heartbeat, LeaveGroup, and whether they may commit. See group.h.
 */
#include <string.h>

#include "base/mem.h"
#include "group/consumer_internal.h"

/* The member that asks, or why not. */
static int16_t find_member(struct groups *all, const struct shard *s, struct msg_string group,
                           struct msg_string id, struct msg_string instance, struct group **g,
                           struct member **m)
{
    if (atomic_load(&all->interrupted))
        return GROUP_NOT_AVAILABLE;
    if (group.n <= 0)
        return GROUP_INVALID_ID;
    *g = shard_find(s, group);
    if (*g == NULL || (*g)->state == GROUP_EMPTY)
        return GROUP_UNKNOWN_MEMBER;
    struct member *fixed = instance.n >= 0 ? group_instance(*g, instance) : NULL;
    *m = group_member(*g, id);
    if (fixed != NULL && fixed != *m)
        return GROUP_FENCED_INSTANCE;
    return *m == NULL || (instance.n >= 0 && fixed == NULL) ? GROUP_UNKNOWN_MEMBER : GROUP_OK;
}

/* One of KIP-848; NULL: it is none, or that is not to be asked any more. */
static struct group *find_consumer(const struct groups *all, const struct shard *s, struct msg_string group)
{
    struct group *g = atomic_load(&all->interrupted) ? NULL : shard_find(s, group);
    return g != NULL && g->consumer != NULL ? g : NULL;
}

/* ---- the leader's assignments ---- */

/* Its members' by id: a leader of thousands tells thousands. NULL: no memory. */
static struct map *by_member(const struct group_sync *s)
{
    struct map *m = map_new();
    struct err e;
    for (int32_t i = 0; m != NULL && i < s->assignment_count; i++) {
        const struct group_assignment *a = &s->assignments[i];
        size_t n = a->member.n > 0 ? (size_t)a->member.n : 0;
        map_remove(m, a->member.p, n); /* the last one counts */
        if (map_put(m, n > 0 ? a->member.p : "", n, (void *)(uintptr_t)a, &e) != ERR_OK) {
            map_free(m, NULL);
            return NULL;
        }
    }
    return m;
}

static bool take_assignments(struct group *g, const struct group_sync *s)
{
    struct map *told = by_member(s);
    bool taken = told != NULL;
    for (struct member *m = g->members; taken && m != NULL; m = m->next) {
        const struct group_assignment *own = map_get(told, m->id, strlen(m->id));
        int32_t n = own != NULL && own->bytes.n > 0 ? own->bytes.n : 0;
        uint8_t *copy = mem_dup(n > 0 ? own->bytes.p : (const uint8_t *)"", (size_t)n);
        taken = copy != NULL;
        if (!taken)
            break;
        mem_free(m->assignment);
        m->assignment = copy;
        m->assignment_len = n;
    }
    if (told != NULL)
        map_free(told, NULL);
    return taken;
}

static void answer_syncs(struct groups *all, struct group *g)
{
    bool missing = false;
    for (struct member *m = g->members; m != NULL; m = m->next) {
        missing = missing || !m->synced;
        if (m->sync_done == NULL)
            continue;
        struct group_synced r = {.type = string_of(g->type),
                                 .protocol = string_of(g->protocol),
                                 .assignment = {m->assignment, m->assignment_len}};
        group_synced_fn *done = m->sync_done;
        m->sync_done = NULL;
        member_alive(all, g, m);
        done(m->sync_arg, &r);
    }
    if (!missing)
        g->round_end = INT64_MAX;
}

/* The assignments of a generation, `arg`, are durable, or will not be: then the members are to come again. */
static void assignments_stored(struct groups *all, struct group *g, void *arg, int16_t error)
{
    if (g->state != GROUP_COMPLETING || (intptr_t)arg != g->generation)
        return; /* a round has begun meanwhile, and everybody was told */
    g->writing = -1;
    if (error == GROUP_OK) {
        group_enter(g, GROUP_STABLE);
        answer_syncs(all, g);
        return;
    }
    for (struct member *m = g->members; m != NULL; m = m->next)
        sync_fail(m, error);
    round_begin(all, g);
}

static int16_t sync_locked(struct groups *all, const struct shard *sh, const struct group_sync *s,
                           group_synced_fn *done, void *arg)
{
    struct group *g = find_consumer(all, sh, s->group);
    struct member *m = NULL;
    if (g != NULL)
        return cclassic_sync(all, g, s, done, arg);
    int16_t error = find_member(all, sh, s->group, s->member, s->instance, &g, &m);
    if (error != GROUP_OK)
        return error;
    if (s->generation != g->generation)
        return GROUP_ILLEGAL_GENERATION;
    if ((s->type.n >= 0 && !string_is(s->type, g->type)) ||
        (s->protocol.n >= 0 && g->protocol != NULL && !string_is(s->protocol, g->protocol)))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (g->state == GROUP_PREPARING)
        return GROUP_REBALANCING;
    bool assigns = g->state == GROUP_COMPLETING && m == g->leader && g->writing != g->generation;
    if (assigns && !take_assignments(g, s))
        return GROUP_NO_MEMORY;
    sync_fail(m, GROUP_UNKNOWN_MEMBER); /* the same member, asking twice */
    m->sync_done = done;
    m->sync_arg = arg;
    m->synced = true;
    if (assigns) {
        g->writing = g->generation;
        void *generation = (void *)(intptr_t)g->generation;
        error = group_store_classic(all, g, assignments_stored, generation);
        if (error != GROUP_OK)
            assignments_stored(all, g, generation, error);
    } else if (g->state == GROUP_STABLE) {
        answer_syncs(all, g);
    }
    return GROUP_OK;
}

void groups_sync(struct groups *all, const struct group_sync *s, group_synced_fn *done, void *arg)
{
    struct shard *sh = shard_lock(all, s->group);
    int16_t error = sync_locked(all, sh, s, done, arg);
    shard_unlock(sh);
    struct group_synced r = {.error = error, .type = MSG_NULL_STRING, .protocol = MSG_NULL_STRING};
    if (error != GROUP_OK)
        done(arg, &r);
}

/* ---- the others ---- */

static int16_t heartbeat_locked(struct groups *all, const struct shard *s, struct msg_string group,
                                struct msg_string member, struct msg_string instance, int32_t generation)
{
    struct group *g = find_consumer(all, s, group);
    struct member *m = NULL;
    if (g != NULL)
        return cclassic_heartbeat(all, g, member, instance, generation);
    int16_t error = find_member(all, s, group, member, instance, &g, &m);
    if (error == GROUP_OK && generation != g->generation)
        error = GROUP_ILLEGAL_GENERATION;
    if (error == GROUP_OK) {
        member_alive(all, g, m);
        error = g->state == GROUP_PREPARING ? GROUP_REBALANCING : GROUP_OK;
    }
    return error;
}

int16_t groups_heartbeat(struct groups *all, struct msg_string group, struct msg_string member,
                         struct msg_string instance, int32_t generation)
{
    struct shard *s = shard_lock(all, group);
    int16_t error = heartbeat_locked(all, s, group, member, instance, generation);
    shard_unlock(s);
    return error;
}

static int16_t leave_locked(struct groups *all, struct group *g, struct msg_string member,
                            struct msg_string instance)
{
    int16_t error = GROUP_OK;
    struct member *m = NULL;
    if (g != NULL && g->consumer != NULL)
        return cclassic_leave(all, g, member, instance);
    if (g != NULL)
        m = instance.n >= 0 ? group_instance(g, instance) : group_member(g, member);
    if (m != NULL && instance.n >= 0 && member.n > 0 && !string_is(member, m->id))
        error = GROUP_FENCED_INSTANCE;
    else if (m != NULL)
        group_remove(all, g, m);
    else if (g == NULL || !pending_take(g, member))
        error = GROUP_UNKNOWN_MEMBER;
    else
        round_try(all, g);
    return error;
}

void groups_leave_all(struct groups *all, struct msg_string group, struct group_leaving *list, int32_t n)
{
    struct shard *s = shard_lock(all, group);
    struct group *g = shard_find(s, group); /* who leaves does not end it */
    for (int32_t i = 0; i < n; i++)
        list[i].error = leave_locked(all, g, list[i].member, list[i].instance);
    shard_unlock(s);
}

int16_t groups_leave(struct groups *all, struct msg_string group, struct msg_string member,
                     struct msg_string instance)
{
    struct group_leaving one = {.member = member, .instance = instance};
    groups_leave_all(all, group, &one, 1);
    return one.error;
}

static int16_t may_commit_locked(struct groups *all, const struct shard *s, struct msg_string group,
                                 struct msg_string member, struct msg_string instance, int32_t generation,
                                 const struct tp_set *of)
{
    struct group *g = find_consumer(all, s, group);
    struct member *m = NULL;
    if (g != NULL)
        return cgroup_may_commit(g->consumer, member, generation, INT16_MAX, of);
    int16_t error = find_member(all, s, group, member, instance, &g, &m);
    bool empty = g == NULL || g->state == GROUP_EMPTY;
    if (error == GROUP_INVALID_ID) /* one that has no name has no members, but may have offsets */
        error = GROUP_UNKNOWN_MEMBER;
    if (error == GROUP_UNKNOWN_MEMBER && empty)
        error = generation < 0 ? GROUP_OK : g == NULL ? GROUP_NOT_FOUND : GROUP_UNKNOWN_MEMBER;
    else if (error == GROUP_OK && generation != g->generation)
        error = GROUP_ILLEGAL_GENERATION;
    else if (error == GROUP_OK && g->state == GROUP_COMPLETING)
        error = GROUP_REBALANCING;
    if (error == GROUP_OK && m != NULL)
        member_alive(all, g, m);
    return error;
}

int16_t groups_may_commit(struct groups *all, struct msg_string group, struct msg_string member,
                          struct msg_string instance, int32_t generation, const struct tp_set *of)
{
    struct shard *s = shard_lock(all, group);
    int16_t error = may_commit_locked(all, s, group, member, instance, generation, of);
    shard_unlock(s);
    return error;
}
