/*
 * rounds: a rebalance: it begins when somebody comes, goes or changes; waits until all members have joined, or for as long as they may take;
 * then there is a new generation, whose leader has to tell the assignments. Under the lock of groups.
 */
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/internal.h"

static int32_t largest_rebalance_ms(const struct group *g)
{
    int32_t ms = 0;
    for (const struct member *m = g->members; m != NULL; m = m->next)
        ms = m->rebalance_ms > ms ? m->rebalance_ms : ms;
    return ms;
}

void join_answer(struct member *m, const struct group_joined *r)
{
    group_joined_fn *done = m->join_done;
    m->join_done = NULL;
    if (done != NULL)
        done(m->join_arg, r);
}

void join_fail(group_joined_fn *done, void *arg, int16_t error, struct msg_string member)
{
    struct group_joined r = {.error = error,
                             .generation = -1,
                             .type = MSG_NULL_STRING,
                             .protocol = MSG_NULL_STRING,
                             .member = member};
    done(arg, &r);
}

void sync_fail(struct member *m, int16_t error)
{
    group_synced_fn *done = m->sync_done;
    struct group_synced r = {.error = error, .type = MSG_NULL_STRING, .protocol = MSG_NULL_STRING};
    m->sync_done = NULL;
    if (done != NULL)
        done(m->sync_arg, &r);
}

void member_alive(struct groups *all, struct group *g, struct member *m)
{
    m->session_end = clock_mono_ms() + m->session_ms;
    groups_due(all, g, m->session_end);
}

void group_enter(struct group *g, enum group_state state)
{
    g->state = state;
    g->state_ms = clock_wall_ms();
}

/* ---- the choice of a protocol: each member votes for the first of its own that all have ---- */

bool all_have(const struct group *g, struct msg_string name)
{
    for (const struct member *m = g->members; m != NULL; m = m->next)
        if (member_protocol(m, name) == NULL)
            return false;
    return true;
}

/* Of the first member's protocols those that all have, in one pass over the members; how many. */
static int32_t find_common(const struct group *g, int32_t *common)
{
    int32_t n = 0;
    for (int32_t i = 0; i < g->members->protocol_count; i++)
        if (all_have(g, g->members->protocols[i].name))
            common[n++] = i;
    return n;
}

static int32_t vote_of(const struct member *m, const struct member *first, const int32_t *common, int32_t n)
{
    for (int32_t k = 0; k < m->protocol_count; k++)
        for (int32_t i = 0; i < n; i++)
            if (string_same(m->protocols[k].name, first->protocols[common[i]].name))
                return i;
    return 0;
}

struct msg_string round_choice(const struct group *g)
{
    const struct member *first = g->members;
    size_t most = first != NULL ? (size_t)first->protocol_count : 0;
    int32_t *common = mem_calloc(2 * most + 1, sizeof *common), *votes, best = 0;
    if (common == NULL || first == NULL) {
        mem_free(common);
        return MSG_NULL_STRING;
    }
    votes = common + most;
    int32_t n = find_common(g, common);
    for (const struct member *m = first; n > 0 && m != NULL; m = m->next)
        votes[vote_of(m, first, common, n)]++;
    for (int32_t i = 1; i < n; i++)
        if (votes[i] > votes[best])
            best = i;
    struct msg_string choice = n > 0 ? first->protocols[common[best]].name : MSG_NULL_STRING;
    mem_free(common);
    return choice;
}

static bool choose_protocol(struct group *g)
{
    struct msg_string choice = round_choice(g);
    char *copy = choice.n >= 0 ? string_copy(choice) : NULL;
    if (copy == NULL)
        return false;
    mem_free(g->protocol);
    g->protocol = copy;
    return true;
}

/* ---- the end of a round ---- */

void round_tell(const struct group *g, struct member *m, struct group_peer *peers, struct group_joined *r)
{
    *r = (struct group_joined){.generation = g->generation,
                               .type = string_of(g->type),
                               .protocol = string_of(g->protocol),
                               .leader = string_of(g->leader->id),
                               .member = string_of(m->id)};
    if (m != g->leader)
        return;
    r->members = peers;
    for (const struct member *p = g->members; p != NULL; p = p->next) {
        const struct group_protocol *protocol = member_protocol(p, string_of(g->protocol));
        peers[r->member_count++] =
            (struct group_peer){string_of(p->id), string_of(p->instance),
                                protocol != NULL ? protocol->metadata : (struct msg_bytes){NULL, 0}};
    }
}

static void unlink_member(struct group *g, struct member *m)
{
    struct member **at = &g->members;
    while (*at != m)
        at = &(*at)->next;
    *at = m->next;
    g->count--;
    member_remove_ids(g, m);
    if (g->leader == m)
        g->leader = NULL;
}

/* Those that did not come are gone, but static ones: they may be back before their session ends. */
static void drop_absent(struct group *g)
{
    for (struct member *m = g->members, *next; m != NULL; m = next) {
        next = m->next;
        if (m->came || m->instance != NULL)
            continue;
        unlink_member(g, m);
        member_free(m);
    }
}

static struct member *find_leader(struct group *g)
{
    if (g->leader != NULL && g->leader->came)
        return g->leader;
    for (struct member *m = g->members; m != NULL; m = m->next)
        if (m->came)
            return m;
    return NULL;
}

/* Nobody waits for its record: if it is lost, the last generation's members are found again, and go when their sessions end. */
static void become_empty(struct groups *all, struct group *g)
{
    group_enter(g, GROUP_EMPTY);
    g->leader = NULL;
    mem_free(g->protocol);
    g->protocol = NULL;
    group_store_classic(all, g, NULL, NULL);
}

static void tell_all(struct groups *all, struct group *g, struct group_peer *peers)
{
    for (struct member *m = g->members; m != NULL; m = m->next) {
        struct group_joined r;
        m->came = m->synced =
            false; /* the assignment is the last one's until there is another, as in Kafka */
        member_alive(all, g, m);
        round_tell(g, m, peers, &r);
        join_answer(m, &r);
    }
}

/* No memory: all are to join again, and the round goes on as it was. */
static void have_them_again(struct groups *all, struct group *g)
{
    g->round_end = clock_mono_ms() + largest_rebalance_ms(g);
    groups_due(all, g, g->round_end);
    for (struct member *m = g->members; m != NULL; m = m->next) {
        m->came = false;
        if (m->join_done == NULL)
            continue;
        group_joined_fn *done = m->join_done;
        m->join_done = NULL;
        join_fail(done, m->join_arg, GROUP_NOT_AVAILABLE, string_of(m->id));
    }
}

void round_complete(struct groups *all, struct group *g)
{
    g->initial = false;
    drop_absent(g);
    struct member *leader = find_leader(g);
    if (leader == NULL && g->count > 0) { /* only static ones are left, and none has come */
        g->round_end = clock_mono_ms() + largest_rebalance_ms(g);
        groups_due(all, g, g->round_end);
        return;
    }
    if (g->count == 0) {
        g->generation++;
        become_empty(all, g);
        return;
    }
    struct group_peer *peers = mem_calloc((size_t)g->count, sizeof *peers);
    if (peers != NULL && choose_protocol(g)) {
        g->generation++;
        g->leader = leader;
        group_enter(g, GROUP_COMPLETING);
        g->round_end = clock_mono_ms() + largest_rebalance_ms(g); /* for the assignments */
        groups_due(all, g, g->round_end);
        tell_all(all, g, peers);
    } else {
        have_them_again(all, g);
    }
    mem_free(peers);
}

void round_try(struct groups *all, struct group *g)
{
    if (g->state != GROUP_PREPARING || g->initial || g->pending != NULL)
        return;
    for (const struct member *m = g->members; m != NULL; m = m->next)
        if (!m->came)
            return;
    round_complete(all, g);
}

void round_begin(struct groups *all, struct group *g)
{
    int64_t now = clock_mono_ms();
    if (g->state == GROUP_COMPLETING)
        for (struct member *m = g->members; m != NULL; m = m->next) {
            if (m->sync_done != NULL)
                member_alive(all, g, m);
            sync_fail(m, GROUP_REBALANCING);
        }
    int32_t rebalance = largest_rebalance_ms(g);
    g->initial = g->state == GROUP_EMPTY && all->o.initial_delay_ms > 0;
    g->round_limit = now + rebalance;
    g->round_end =
        g->initial && all->o.initial_delay_ms < rebalance ? now + all->o.initial_delay_ms : g->round_limit;
    group_enter(g, GROUP_PREPARING);
    groups_due(all, g, g->round_end);
    round_try(all, g);
}

void group_remove(struct groups *all, struct group *g, struct member *m)
{
    unlink_member(g, m);
    if (m->join_done != NULL)
        join_fail(m->join_done, m->join_arg, GROUP_UNKNOWN_MEMBER, string_of(m->id));
    sync_fail(m, GROUP_UNKNOWN_MEMBER);
    member_free(m);
    if (g->state == GROUP_STABLE || g->state == GROUP_COMPLETING)
        round_begin(all, g);
    else
        round_try(all, g);
}
