/*
 * consumer_classic: members of a consumer group that speak the classic protocol, as in a group that is being moved from one to the other: their
 * generation is the member's epoch, a join reconciles, a sync brings what is assigned, and heartbeats tell when to join again. Nobody waits.
 * Under the lock of the group's shard.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"

/* Whether all classic members have one of these protocols. */
static bool fits(const struct cgroup *c, const struct group_join *j)
{
    if (j->protocol_count == 0 || !string_is(j->type, "consumer"))
        return false;
    for (int32_t i = 0; i < j->protocol_count; i++) {
        size_t pos = 0;
        bool common = true;
        for (const struct cmember *m; common && (m = cgroup_next(c, &pos)) != NULL;) {
            bool has = !m->classic;
            for (int32_t k = 0; !has && k < m->protocol_count; k++)
                has = m->protocols[k].name.n == j->protocols[i].name.n &&
                      memcmp(m->protocols[k].name.p, j->protocols[i].name.p,
                             (size_t)j->protocols[i].name.n) == 0;
            common = has;
        }
        if (common)
            return true;
    }
    return false;
}

static int16_t new_member(struct group *g, const struct group_join *j, const char *id,
                          struct cmember *replaced, struct cmember **out)
{
    struct cmember *m = cmember_new(string_of(id), j->instance);
    int16_t error = m == NULL                    ? GROUP_NO_MEMORY
                    : replaced != NULL           ? cgroup_replace(g->consumer, replaced, m)
                    : cgroup_put(g->consumer, m) ? GROUP_OK
                                                 : GROUP_NO_MEMORY;
    if (error != GROUP_OK)
        cmember_free(m);
    *out = error == GROUP_OK ? m : NULL;
    return error;
}

static int16_t find_joining(struct group *g, const struct group_join *j, const char *id, struct cmember **out)
{
    struct cmember *fixed = cgroup_instance(g->consumer, j->instance);
    *out = j->instance.n >= 0 ? fixed : cgroup_member(g->consumer, string_of(id));
    if (j->instance.n < 0)
        return *out != NULL ? GROUP_OK : new_member(g, j, id, NULL, out);
    if (j->member.n <= 0)
        return new_member(g, j, id, fixed, out);
    if (fixed == NULL)
        return GROUP_UNKNOWN_MEMBER;
    return strcmp(fixed->id, id) == 0 ? GROUP_OK : GROUP_FENCED_INSTANCE;
}

static void tell(const struct cmember *m, group_joined_fn *done, void *arg)
{
    struct group_joined r = {.generation = m->epoch,
                             .type = msg_text("consumer", 8),
                             .protocol = m->protocols[0].name,
                             .leader = msg_text("", 0), /* nobody: the assignments are made here */
                             .member = string_of(m->id)};
    done(arg, &r);
}

/* An answer that waits for the log. */
struct joining {
    group_joined_fn *done;
    void *arg;
    char *id;
    int32_t epoch;
};

static void stored(struct groups *all, struct group *g, void *arg, int16_t error)
{
    struct joining *w = arg;
    (void)all;
    const struct cmember *m =
        error == GROUP_OK && g->consumer != NULL ? cgroup_member(g->consumer, string_of(w->id)) : NULL;
    if (m != NULL && m->classic && m->epoch == w->epoch)
        tell(m, w->done, w->arg);
    else
        join_fail(w->done, w->arg, error != GROUP_OK ? error : GROUP_REBALANCING, string_of(w->id));
    mem_free(w->id);
    mem_free(w);
}

static int16_t answer(struct groups *all, struct group *g, struct cmember *m, group_joined_fn *done,
                      void *arg)
{
    m->join_end = NEVER;
    m->sync_end = clock_mono_ms() + m->rebalance_ms;
    groups_due(all, g, m->sync_end);
    cmember_alive(all, g->consumer, m);
    struct joining *w = mem_calloc(1, sizeof *w);
    int16_t error = GROUP_NO_MEMORY;
    if (w != NULL && (w->id = mem_strdup(m->id)) != NULL) {
        w->done = done;
        w->arg = arg;
        w->epoch = m->epoch;
        cmember_mark(g->consumer, m, CDIRTY_CURRENT);
        error = cgroup_save(all, g->consumer, stored, w);
    }
    if (error == GROUP_OK)
        return GROUP_OK;
    if (w != NULL)
        mem_free(w->id);
    mem_free(w);
    return error;
}

/* The last that spoke the consumer protocol is now one of the classic: so is the group. */
static int16_t downgrade(struct groups *all, struct group *g, const char *id, group_joined_fn *done,
                         void *arg)
{
    int16_t error = convert_to_classic(all, g);
    if (error != GROUP_OK)
        return error;
    member_wait(all, g, group_member(g, string_of(id)), done, arg);
    return GROUP_OK;
}

static int16_t join(struct groups *all, struct group *g, const struct group_join *j, const char *id,
                    struct csubscription *s, group_joined_fn *done, void *arg)
{
    struct cmember *m = NULL;
    bool told = false;
    size_t before = (size_t)cgroup_count(g->consumer);
    int16_t error = find_joining(g, j, id, &m);
    if (error != GROUP_OK)
        return error;
    bool replaced = j->instance.n >= 0 && j->member.n <= 0 && before == (size_t)cgroup_count(g->consumer);
    struct csaid said = {.rack = s->rack,
                         .client_id = j->client_id,
                         .regex = msg_text("", 0), /* it has none */
                         .assignor = MSG_NULL_STRING,
                         .host = j->host,
                         .rebalance_ms = j->rebalance_ms,
                         .topics = s->topics,
                         .topic_count = s->topic_count,
                         .classic = true,
                         .protocols = j->protocols,
                         .protocol_count = j->protocol_count,
                         .session_ms = j->session_ms};
    error = cgroup_apply(all, g->consumer, m, &said, &s->owned, &told);
    if (error != GROUP_OK) {
        cmember_alive(all, g->consumer, m);
        cgroup_save_later(all, g->consumer);
        return error;
    }
    if (replaced && convert_is_due(all, g->consumer))
        return downgrade(all, g, id, done, arg);
    return answer(all, g, m, done, arg);
}

int16_t cclassic_join(struct groups *all, struct group *g, const struct group_join *j, const char *id,
                      group_joined_fn *done, void *arg)
{
    const struct cgroup *c = g->consumer;
    if (all->o.consumer_max_size > 0 && cgroup_count(c) >= all->o.consumer_max_size &&
        cgroup_member(c, string_of(id)) == NULL)
        return GROUP_FULL;
    if (!fits(c, j))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (j->member.n <= 0 && j->id_first && j->instance.n < 0)
        return GROUP_MEMBER_ID_REQUIRED;
    struct csubscription s;
    struct arena a;
    arena_init(&a, ARENA_MAX_BYTES, NULL);
    int16_t error = subscription_read(all, j->protocols[0].metadata, &a, &s)
                        ? join(all, g, j, id, &s, done, arg)
                        : GROUP_INCONSISTENT_PROTOCOL;
    arena_free(&a);
    return error;
}

/* A member of the classic protocol, or why not. */
static int16_t find_member(const struct cgroup *c, struct msg_string id, struct msg_string instance,
                           struct cmember **out)
{
    struct cmember *m = instance.n >= 0 ? cgroup_instance(c, instance) : cgroup_member(c, id);
    *out = m;
    if (m == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (!string_is(id, m->id))
        return GROUP_FENCED_INSTANCE;
    return m->classic ? GROUP_OK : GROUP_UNKNOWN_MEMBER;
}

/* It has to join again within its rebalance time-out, counted from when it is told first. */
static void call_back(struct groups *all, struct group *g, struct cmember *m)
{
    if (m->join_end != NEVER)
        return;
    m->join_end = clock_mono_ms() + m->rebalance_ms;
    groups_due(all, g, m->join_end);
}

int16_t cclassic_sync(struct groups *all, struct group *g, const struct group_sync *s, group_synced_fn *done,
                      void *arg)
{
    struct cgroup *c = g->consumer;
    struct cmember *m;
    int16_t error = find_member(c, s->member, s->instance, &m);
    if (error != GROUP_OK)
        return error;
    if (s->generation != m->epoch)
        return GROUP_ILLEGAL_GENERATION;
    struct msg_string own = m->protocols[0].name;
    if ((s->type.n >= 0 && !string_is(s->type, "consumer")) ||
        (s->protocol.n >= 0 && (s->protocol.n != own.n || memcmp(s->protocol.p, own.p, (size_t)own.n) != 0)))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (c->epoch > m->epoch && m->state != CMEMBER_UNREVOKED) {
        call_back(all, g, m);
        return GROUP_REBALANCING;
    }
    int32_t n = 0;
    uint8_t *bytes = assignment_write(all, m, &n);
    if (bytes == NULL)
        return GROUP_NO_MEMORY;
    struct group_synced r = {.type = s->type, .protocol = s->protocol, .assignment = {bytes, n}};
    m->sync_end = NEVER;
    cmember_alive(all, g->consumer, m);
    done(arg, &r);
    mem_free(bytes);
    return GROUP_OK;
}

int16_t cclassic_heartbeat(struct groups *all, struct group *g, struct msg_string member,
                           struct msg_string instance, int32_t generation)
{
    struct cgroup *c = g->consumer;
    struct cmember *m;
    int16_t error = find_member(c, member, instance, &m);
    if (error != GROUP_OK)
        return error;
    if (generation != m->epoch)
        return GROUP_ILLEGAL_GENERATION;
    cmember_alive(all, g->consumer, m);
    cgroup_look(all, c, false); /* topics may have changed; without memory the next one sees it */
    cgroup_save_later(all, c);
    if (m->epoch >= c->epoch && m->state != CMEMBER_UNREVOKED &&
        (m->state != CMEMBER_UNRELEASED || cmember_waits(c, m)))
        return GROUP_OK;
    call_back(all, g, m);
    return GROUP_REBALANCING;
}

int16_t cclassic_leave(struct groups *all, struct group *g, struct msg_string member,
                       struct msg_string instance)
{
    struct cmember *m;
    int16_t error = GROUP_OK;
    if (instance.n >= 0 && member.n <= 0) { /* an administrator names the instance only */
        m = cgroup_instance(g->consumer, instance);
        error = m == NULL || !m->classic ? GROUP_UNKNOWN_MEMBER : GROUP_OK;
    } else {
        error = find_member(g->consumer, member, instance, &m);
    }
    if (error != GROUP_OK)
        return error;
    cgroup_remove(all, g->consumer, m);
    if (g->consumer != NULL)
        cgroup_save_later(all, g->consumer);
    return GROUP_OK;
}
