/*
 * joins: JoinGroup: who becomes a member, who waits for the round, who is told the current generation. See group.h.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"

/* "<client id or instance>-<uuid>", as Kafka makes them. NULL: no memory. */
static char *make_id(const struct group_join *j)
{
    struct uuid u = uuid_random();
    struct msg_string name = j->instance.n >= 0 ? j->instance : j->client_id;
    char hex[33];
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", u.b[i]);
    return mem_printf("%.*s-%.8s-%.4s-%.4s-%.4s-%.12s", name.n > 0 ? name.n : 0, name.n > 0 ? name.p : "",
                      hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

void pending_drop(struct group *g, struct pending *p)
{
    *(p->before != NULL ? &p->before->next : &g->pending) = p->next;
    if (p->next != NULL)
        p->next->before = p->before;
    ids_remove(&g->ids, &p->by_id);
    mem_free(p->id);
    mem_free(p);
}

bool pending_take(struct group *g, struct msg_string id)
{
    struct id_link *l = ids_find(&g->ids, ID_PENDING, id);
    if (l == NULL)
        return false;
    pending_drop(g, (struct pending *)((char *)l - offsetof(struct pending, by_id)));
    return true;
}

/* The list has the newest first. */
static void forget_oldest(struct group *g)
{
    struct pending *p = g->pending;
    for (int n = 1; p != NULL && n < GROUP_PENDING_MAX; n++)
        p = p->next;
    if (p != NULL)
        pending_drop(g, p);
}

static int16_t give_id(struct groups *all, struct group *g, const struct group_join *j, const char *id)
{
    forget_oldest(g);
    struct pending *p = mem_calloc(1, sizeof *p);
    if (p == NULL || (p->id = mem_strdup(id)) == NULL) {
        mem_free(p);
        return GROUP_NO_MEMORY;
    }
    p->end = clock_mono_ms() + j->session_ms;
    p->next = g->pending;
    if (p->next != NULL)
        p->next->before = p;
    g->pending = p;
    ids_add(&g->ids, &p->by_id, ID_PENDING, p->id);
    groups_due(all, g, p->end);
    return GROUP_MEMBER_ID_REQUIRED;
}

/*
 * Whether somebody with these protocols fits to the members, of whom it may be one itself: so one who is alone cannot change to others
 * altogether, as in Kafka.
 */
static bool fits(const struct group *g, const struct group_join *j)
{
    if (j->protocol_count == 0 || j->type.n <= 0)
        return false;
    if (g->state == GROUP_EMPTY || g->members == NULL)
        return true;
    bool common = false;
    for (int32_t i = 0; !common && i < j->protocol_count; i++)
        common = all_have(g, j->protocols[i].name);
    return common && string_is(j->type, g->type);
}

/* No more may come: while a round gathers, those who are there already count. */
static bool is_full(const struct groups *all, const struct group *g)
{
    int32_t n = g->state == GROUP_PREPARING ? 0 : g->count;
    for (const struct member *m = g->members; g->state == GROUP_PREPARING && m != NULL; m = m->next)
        n += m->join_done != NULL;
    return all->o.max_size > 0 && n >= all->o.max_size;
}

void member_wait(struct groups *all, struct group *g, struct member *m, group_joined_fn *done, void *arg)
{
    if (m->join_done != NULL) /* the same member, asking twice: the older question is answered */
        join_fail(m->join_done, m->join_arg, GROUP_UNKNOWN_MEMBER, string_of(m->id));
    m->join_done = done;
    m->join_arg = arg;
    m->came = true;
    if (g->state == GROUP_PREPARING && g->initial) { /* others may come, too */
        int64_t longer = clock_mono_ms() + all->o.initial_delay_ms;
        g->round_end = longer < g->round_limit ? longer : g->round_limit;
        groups_due(all, g, g->round_end);
    }
    if (g->state != GROUP_PREPARING)
        round_begin(all, g);
    else
        round_try(all, g);
}

static int16_t add_member(struct groups *all, struct group *g, const struct group_join *j, const char *id,
                          group_joined_fn *done, void *arg)
{
    struct member *m;
    char *type = NULL;
    if ((m = member_new(j, id)) == NULL || (g->count == 0 && (type = string_copy(j->type)) == NULL)) {
        member_free(m);
        return GROUP_NO_MEMORY;
    }
    if (type != NULL) {
        mem_free(g->type);
        g->type = type;
    }
    member_append(g, m);
    if (g->leader == NULL)
        g->leader = m;
    member_alive(all, g, m);
    member_wait(all, g, m, done, arg);
    return GROUP_OK;
}

/* Answers at once with the current generation. */
static int16_t tell_now(struct group *g, struct member *m, bool with_peers, group_joined_fn *done, void *arg,
                        struct group_joined *r)
{
    struct group_peer *peers = mem_calloc((size_t)g->count, sizeof *peers);
    if (peers == NULL)
        return GROUP_NO_MEMORY;
    bool skip = r->skip_assignment;
    struct msg_string leader = r->leader;
    round_tell(g, m, peers, r);
    r->skip_assignment = skip;
    if (leader.n > 0)
        r->leader = leader;
    if (!with_peers)
        r->member_count = 0;
    done(arg, r);
    mem_free(peers);
    return GROUP_OK;
}

/* A static member's answer that waits for its new id to be durable. */
struct replaced {
    group_joined_fn *done;
    void *arg;
    char *old, *id;
    int32_t generation;
    bool leads, skip;
};

static void replaced_free(struct replaced *r)
{
    mem_free(r->old);
    mem_free(r->id);
    mem_free(r);
}

static void replacement_stored(struct groups *all, struct group *g, void *arg, int16_t error)
{
    struct replaced *w = arg;
    struct member *m = group_member(g, string_of(w->id));
    (void)all;
    if (error == GROUP_OK && m == NULL)
        error = GROUP_UNKNOWN_MEMBER;
    else if (error == GROUP_OK && (g->generation != w->generation || g->leader == NULL))
        error = GROUP_REBALANCING;
    /* Below version 9 the old leader's name keeps the client from assigning; from then on it is told (KIP-814). */
    struct group_joined r = {.skip_assignment = w->leads && w->skip};
    if (w->leads && !w->skip)
        r.leader = string_of(w->old);
    if (error == GROUP_OK)
        error = tell_now(g, m, w->leads && w->skip, w->done, w->arg, &r);
    if (error != GROUP_OK)
        join_fail(w->done, w->arg, error, string_of(w->id));
    replaced_free(w);
}

static int16_t answer_replaced(struct groups *all, struct group *g, const struct member *m, const char *old,
                               bool skip, group_joined_fn *done, void *arg)
{
    struct replaced *w = mem_calloc(1, sizeof *w);
    if (w == NULL)
        return GROUP_NO_MEMORY;
    *w = (struct replaced){.done = done,
                           .arg = arg,
                           .old = mem_strdup(old),
                           .id = mem_strdup(m->id),
                           .generation = g->generation,
                           .leads = g->leader == m,
                           .skip = skip};
    int16_t error = w->old != NULL && w->id != NULL ? GROUP_OK : GROUP_NO_MEMORY;
    if (error == GROUP_OK)
        error = group_store_classic(all, g, replacement_stored, w);
    if (error != GROUP_OK)
        replaced_free(w);
    return error;
}

/*
 * A static member that comes back without its id gets a new one, and what it had (KIP-345): without a rebalance, if the members
 * would choose the same protocol again.
 */
static int16_t replace_static(struct groups *all, struct group *g, struct member *m,
                              const struct group_join *j, const char *id, group_joined_fn *done, void *arg)
{
    char *old = m->id, *new = mem_strdup(id);
    if (new == NULL || !member_update(m, j)) {
        mem_free(new);
        return GROUP_NO_MEMORY;
    }
    if (m->join_done != NULL)
        join_fail(m->join_done, m->join_arg, GROUP_FENCED_INSTANCE, string_of(old));
    m->join_done = NULL;
    sync_fail(m, GROUP_FENCED_INSTANCE);
    member_remove_ids(g, m);
    m->id = new;
    member_add_ids(g, m);
    member_alive(all, g, m);
    int16_t error = GROUP_OK;
    if (g->state == GROUP_STABLE && string_is(round_choice(g), g->protocol))
        error = answer_replaced(all, g, m, old, j->skip_assignment, done, arg);
    else
        member_wait(all, g, m, done, arg);
    mem_free(old);
    return error;
}

static int16_t join_known(struct groups *all, struct group *g, struct member *m, const struct group_join *j,
                          group_joined_fn *done, void *arg)
{
    bool same = member_same_protocols(m, j);
    member_alive(all, g, m);
    bool unchanged = same && (g->state == GROUP_COMPLETING || (g->state == GROUP_STABLE && m != g->leader));
    if (unchanged) { /* it has not heard of the generation, for one */
        struct group_joined r = {0};
        return tell_now(g, m, true, done, arg, &r);
    }
    if (!member_update(m, j))
        return GROUP_NO_MEMORY;
    member_wait(all, g, m, done, arg);
    return GROUP_OK;
}

static int16_t join_locked(struct groups *all, struct shard *s, const struct group_join *j, const char *id,
                           group_joined_fn *done, void *arg)
{
    if (atomic_load(&all->interrupted))
        return GROUP_NOT_AVAILABLE;
    bool has_id = j->member.n > 0;
    struct group *g = has_id ? shard_find(s, j->group) : shard_make(all, s, j->group);
    if (g == NULL)
        return has_id ? GROUP_UNKNOWN_MEMBER : GROUP_NO_MEMORY;
    if (g->consumer != NULL && g->count > 0)
        return cclassic_join(all, g, j, id, done, arg);
    int16_t error = cgroup_drop(all, g); /* one that nobody is in */
    if (error != GROUP_OK)
        return error;
    struct member *fixed = j->instance.n >= 0 ? group_instance(g, j->instance) : NULL;
    struct member *m = has_id ? group_member(g, j->member) : fixed;
    if (m == NULL && is_full(all, g))
        return GROUP_FULL;
    if (!fits(g, j))
        return GROUP_INCONSISTENT_PROTOCOL;
    if (has_id && fixed != NULL && fixed != m)
        return GROUP_FENCED_INSTANCE;
    if (has_id && m != NULL && (j->instance.n < 0 || fixed == m))
        return join_known(all, g, m, j, done, arg);
    if (has_id)
        return m == NULL && pending_take(g, j->member) ? add_member(all, g, j, id, done, arg)
                                                       : GROUP_UNKNOWN_MEMBER;
    if (fixed != NULL)
        return replace_static(all, g, fixed, j, id, done, arg);
    return j->id_first && j->instance.n < 0 ? give_id(all, g, j, id) : add_member(all, g, j, id, done, arg);
}

static bool is_too_much(const struct group_join *j)
{
    size_t bytes = 0;
    if (j->protocol_count > GROUP_PROTOCOLS_MAX)
        return true;
    for (int32_t i = 0; i < j->protocol_count; i++)
        bytes += (size_t)j->protocols[i].name.n +
                 (j->protocols[i].metadata.n > 0 ? (size_t)j->protocols[i].metadata.n : 0);
    return bytes > GROUP_MEMBER_BYTES_MAX;
}

static int16_t check(const struct groups *all, const struct group_join *j)
{
    if (j->group.n <= 0)
        return GROUP_INVALID_ID;
    if (j->session_ms < all->o.session_min_ms || j->session_ms > all->o.session_max_ms)
        return GROUP_INVALID_SESSION_TIMEOUT;
    return is_too_much(j) ? GROUP_INVALID_REQUEST : GROUP_OK;
}

void groups_join(struct groups *all, const struct group_join *j, group_joined_fn *done, void *arg)
{
    int16_t error = check(all, j);
    char *id = error != GROUP_OK ? NULL : j->member.n > 0 ? string_copy(j->member) : make_id(j);
    if (error == GROUP_OK && id == NULL)
        error = GROUP_NO_MEMORY;
    if (error == GROUP_OK) {
        struct shard *s = shard_lock(all, j->group);
        error = join_locked(all, s, j, id, done, arg);
        shard_unlock(s);
    }
    if (error != GROUP_OK)
        join_fail(done, arg, error, error == GROUP_MEMBER_ID_REQUIRED ? string_of(id) : j->member);
    mem_free(id);
}
