/*
 * consumer_reconcile: a member's way from what it has to its target. Under the lock of the group's shard.
 *
 * What a member is assigned or has yet to give back is nobody else's: that alone keeps two members from one partition. So first what it is
 * not to have is taken out of its assignment, and it stays in its epoch until it no longer names that among what it owns; then
 * it is in the new epoch, with what is free of its target at once and the rest as others give it back.
 */
#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"

bool cgroup_held(const struct cgroup *c, const struct cmember *but, const struct tp *p)
{
    size_t pos = 0;
    for (const struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;)
        if (m != but && (tp_set_has(&m->assigned, p) || tp_set_has(&m->revoking, p)))
            return true;
    return false;
}

/* Leaves of a set what no other member holds; whether that is all. */
static bool leave_free(const struct cgroup *c, const struct cmember *m, struct tp_set *s)
{
    int32_t kept = 0, all = s->n;
    for (int32_t i = 0; i < s->n; i++)
        if (!cgroup_held(c, m, &s->list[i]))
            s->list[kept++] = s->list[i];
    s->n = kept;
    return kept == all;
}

bool cmember_reconciled(const struct cgroup *c, const struct cmember *m)
{
    return m->state == CMEMBER_STABLE && m->epoch == c->assignment_epoch;
}

bool cmember_waits(const struct cgroup *c, const struct cmember *m)
{
    for (int32_t i = 0; m->state == CMEMBER_UNRELEASED && i < m->target.n; i++)
        if (!tp_set_has(&m->assigned, &m->target.list[i]) && cgroup_held(c, m, &m->target.list[i]))
            return true;
    return false;
}

static void set_epoch(struct cmember *m, int32_t epoch)
{
    if (m->epoch == epoch)
        return;
    m->before = m->epoch;
    m->epoch = epoch;
}

static void put_set(struct tp_set *to, struct tp_set *from)
{
    tp_set_free(to);
    *to = *from;
    *from = (struct tp_set){NULL, 0};
}

/* It keeps `keep` and is to give back `revoke`. */
static void begin_revoking(struct groups *all, struct cgroup *c, struct cmember *m, struct tp_set *keep,
                           struct tp_set *revoke)
{
    m->state = CMEMBER_UNREVOKED;
    put_set(&m->assigned, keep);
    put_set(&m->revoking, revoke);
    if (m->classic) /* its times are those of joining and syncing */
        return;
    m->revoke_end = clock_mono_ms() + m->rebalance_ms;
    groups_due(all, c->group, m->revoke_end);
}

static bool reach(struct cgroup *c, struct cmember *m, const struct tp_set *keep)
{
    struct tp_set got, has;
    if (!tp_set_pick(&m->target, keep, false, &got))
        return false;
    bool whole = leave_free(c, m, &got);
    for (int32_t i = 0; i < got.n; i++)
        got.list[i].epoch = c->assignment_epoch;
    bool made = tp_set_join(keep, &got, &has);
    tp_set_free(&got);
    if (!made)
        return false;
    put_set(&m->assigned, &has);
    tp_set_free(&m->revoking);
    m->revoke_end = NEVER;
    m->state = whole ? CMEMBER_STABLE : CMEMBER_UNRELEASED;
    set_epoch(m, c->assignment_epoch);
    return true;
}

static bool next(struct groups *all, struct cgroup *c, struct cmember *m, const struct tp_set *owned)
{
    struct tp_set keep = {NULL, 0}, revoke = {NULL, 0};
    bool made = tp_set_pick(&m->assigned, &m->target, true, &keep) &&
                tp_set_pick(&m->assigned, &m->target, false, &revoke);
    if (made && revoke.n > 0 && (owned == NULL || tp_set_meet(owned, &revoke)))
        begin_revoking(all, c, m, &keep, &revoke);
    else if (made)
        made = reach(c, m, &keep);
    tp_set_free(&keep);
    tp_set_free(&revoke);
    return made;
}

bool cmember_reconcile(struct groups *all, struct cgroup *c, struct cmember *m, const struct tp_set *owned,
                       bool *told)
{
    struct tp_set had;
    if (cmember_reconciled(c, m) ||
        (m->state == CMEMBER_UNREVOKED && (owned == NULL || tp_set_meet(owned, &m->revoking))))
        return true;
    if (!tp_set_copy(&m->assigned, &had))
        return false;
    int32_t epoch = m->epoch;
    enum cmember_state state = m->state;
    bool made = next(all, c, m, owned), other = !tp_set_equal(&had, &m->assigned);
    *told = *told || other;
    if (other || epoch != m->epoch || state != m->state)
        cmember_mark(c, m, CDIRTY_CURRENT);
    tp_set_free(&had);
    return made;
}
