/*
 * consumer_groups: the heartbeat of a consumer group's members, by which they join, are alive, learn their assignment and leave; time-outs;
 * and who may commit. See consumer.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "group/consumer_internal.h"

/* ---- time ---- */

/* As they are in force now, for members with the consumer protocol. */
static void timing_of(const struct groups *all, const struct cgroup *c, int32_t *session_ms,
                      int32_t *heartbeat_ms)
{
    *session_ms = all->o.consumer_session_ms;
    *heartbeat_ms = all->o.consumer_heartbeat_ms;
    if (all->o.consumer_timing != NULL)
        all->o.consumer_timing(all->o.consumer_timing_arg, c->group->id, session_ms, heartbeat_ms);
}

void cmember_alive(struct groups *all, struct cgroup *c, struct cmember *m)
{
    int32_t session_ms = m->session_ms, unused;
    if (!m->classic)
        timing_of(all, c, &session_ms, &unused);
    m->session_end = clock_mono_ms() + session_ms;
    groups_due(all, c->group, m->session_end);
}

static int64_t end_of(const struct cmember *m)
{
    int64_t end = m->session_end < m->revoke_end ? m->session_end : m->revoke_end;
    end = m->join_end < end ? m->join_end : end;
    return m->sync_end < end ? m->sync_end : end;
}

#define EXPIRED_AT_ONCE 64

/* The first that are over; the others move *due. */
static int find_expired(const struct cgroup *c, int64_t now, struct cmember *list[EXPIRED_AT_ONCE],
                        int64_t *due)
{
    size_t pos = 0;
    int n = 0;
    for (struct cmember *m; n < EXPIRED_AT_ONCE && (m = cgroup_next(c, &pos)) != NULL;) {
        int64_t end = end_of(m);
        if (end <= now)
            list[n++] = m;
        else if (end < *due)
            *due = end;
    }
    return n;
}

static void take_out(struct cgroup *c, struct cmember *m, bool *consumer)
{
    *consumer = *consumer || !m->classic;
    cgroup_take(c, m);
    cgroup_retire(c, m);
}

/* Members are gone. One that is left by the last that spoke the consumer protocol may become a classic group. */
static void settle(struct groups *all, struct cgroup *c, bool consumer_left, bool later)
{
    struct group *g = c->group;
    if (consumer_left && convert_is_due(all, c) && convert_to_classic(all, g) == GROUP_OK) {
        round_begin(all, g);
        return;
    }
    cgroup_look(all, c, true); /* without memory the next heartbeat looks again */
    if (g->count == 0)
        group_enter(g, GROUP_EMPTY); /* the time counts from now */
    if (later)
        cgroup_save_later(all, c);
}

void cgroup_look_at(struct groups *all, struct cgroup *c, int64_t now, int64_t *due)
{
    struct cmember *list[EXPIRED_AT_ONCE];
    bool any = false, consumer = false;
    for (int n; (n = find_expired(c, now, list, due)) > 0; any = true)
        for (int i = 0; i < n; i++)
            take_out(c, list[i], &consumer);
    if (any)
        settle(all, c, consumer, true);
}

/* ---- members come and go ---- */

void cgroup_remove(struct groups *all, struct cgroup *c, struct cmember *m)
{
    bool consumer = false;
    take_out(c, m, &consumer);
    settle(all, c, consumer, false);
}

int16_t cgroup_replace(struct cgroup *c, struct cmember *old, struct cmember *m)
{
    struct csaid said = {.rack = string_of(old->rack),
                         .client_id = string_of(old->client_id),
                         .regex = string_of(old->regex),
                         .assignor = string_of(old->assignor),
                         .host = old->host,
                         .rebalance_ms = old->rebalance_ms,
                         .topic_count = old->topic_count};
    struct msg_string *topics = mem_calloc((size_t)old->topic_count + 1, sizeof *topics);
    bool topics_changed, regex_changed;
    for (int32_t i = 0; topics != NULL && i < old->topic_count; i++)
        topics[i] = string_of(old->topics[i]);
    said.topics = topics;
    bool made = topics != NULL && cmember_update(m, &said, &topics_changed, &regex_changed);
    mem_free(topics);
    if (!made)
        return GROUP_NO_MEMORY;
    cgroup_take(c, old);
    if (!cgroup_put(c, m)) {
        cgroup_put(c, old); /* as there is room again where it was */
        return GROUP_NO_MEMORY;
    }
    m->assigned = old->assigned;
    m->target = old->target;
    old->assigned = old->target = (struct tp_set){NULL, 0};
    m->revoking = old->revoking;
    old->revoking = (struct tp_set){NULL, 0};
    m->state = old->state;
    cgroup_retire(c, old);
    return GROUP_OK;
}

int16_t cgroup_apply(struct groups *all, struct cgroup *c, struct cmember *m, const struct csaid *said,
                     const struct tp_set *owned, bool *told)
{
    bool topics_changed, regex_changed;
    if (!cmember_update(m, said, &topics_changed, &regex_changed))
        return GROUP_NO_MEMORY;
    c->dirty = c->dirty || m->dirty != 0;
    int16_t error = cgroup_look(all, c, topics_changed || regex_changed || c->epoch == 0);
    if (error == GROUP_OK)
        error = cgroup_assign(c);
    if (error == GROUP_OK && !cmember_reconcile(all, c, m, owned, told))
        error = GROUP_NO_MEMORY;
    return error;
}

/* ---- heartbeat ---- */

/* One heartbeat in work, in the arena. */
struct beat {
    struct groups *all;
    const struct consumer_heartbeat *q;
    struct consumer_beat *out;
    struct arena *arena;
    struct shard *shard;
    struct group *group;
    struct tp_set owned; /* in the arena */
    struct err why;
    void (*done)(void *arg);
    void *done_arg;
};

static int16_t fail(struct beat *b, int16_t error, const char *why)
{
    err_set(&b->why, ERR_INVALID, "%s", why);
    return error;
}

static bool is_blank(struct msg_string s)
{
    for (int32_t i = 0; i < s.n; i++)
        if (s.p[i] != ' ' && (s.p[i] < '\t' || s.p[i] > '\r'))
            return false;
    return s.n >= 0;
}

static int16_t check_join(struct beat *b)
{
    const struct consumer_heartbeat *q = b->q;
    if (q->rebalance_ms == -1)
        return fail(b, GROUP_INVALID_REQUEST, "RebalanceTimeoutMs must be provided in first request.");
    if (q->owned_count != 0)
        return fail(b, GROUP_INVALID_REQUEST, "TopicPartitions must be empty when (re-)joining.");
    if (q->topic_count < 0 && q->regex.n < 0)
        return fail(
            b, GROUP_INVALID_REQUEST,
            "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.");
    return GROUP_OK;
}

static bool is_too_much(const struct consumer_heartbeat *q)
{
    size_t bytes = 0;
    for (int32_t i = 0; i < q->topic_count; i++)
        bytes += q->topics[i].n > 0 ? (size_t)q->topics[i].n : 0;
    return bytes > GROUP_MEMBER_BYTES_MAX;
}

static int16_t check(struct beat *b)
{
    const struct consumer_heartbeat *q = b->q;
    if (is_blank(q->group) || q->group.n < 0)
        return fail(b, GROUP_INVALID_REQUEST, "GroupId can't be empty.");
    if (is_blank(q->instance))
        return fail(b, GROUP_INVALID_REQUEST, "InstanceId can't be empty.");
    if (is_blank(q->rack))
        return fail(b, GROUP_INVALID_REQUEST, "RackId can't be empty.");
    if (is_blank(q->member) && (q->own_id || q->epoch != 0))
        return fail(b, GROUP_INVALID_REQUEST, "MemberId can't be empty.");
    if (q->epoch == CONSUMER_LEAVE_STATIC && q->instance.n < 0)
        return fail(b, GROUP_INVALID_REQUEST, "InstanceId can't be null.");
    if (q->epoch < CONSUMER_LEAVE_STATIC)
        return fail(b, GROUP_INVALID_REQUEST, "MemberEpoch is invalid.");
    if (q->epoch == 0 && check_join(b) != GROUP_OK)
        return GROUP_INVALID_REQUEST;
    if (is_too_much(q))
        return fail(b, GROUP_INVALID_REQUEST, "SubscribedTopicNames are too many.");
    char *assignor = q->assignor.n >= 0 ? string_copy(q->assignor) : NULL;
    bool unknown = assignor != NULL && assign_by_name(assignor) == NULL;
    mem_free(assignor);
    return unknown ? fail(b, GROUP_UNSUPPORTED_ASSIGNOR,
                          "ServerAssignor is not supported. Supported assignors: " ASSIGN_NAMES ".")
                   : GROUP_OK;
}

/* The group, which is made or turned into a consumer group by who joins. */
static int16_t find_group(struct beat *b)
{
    bool join = b->q->epoch == 0;
    b->group = join ? shard_make(b->all, b->shard, b->q->group) : shard_find(b->shard, b->q->group);
    struct group *g = b->group;
    if (g == NULL)
        return join ? GROUP_NO_MEMORY : fail(b, GROUP_NOT_FOUND, "Consumer group not found.");
    if (g->consumer != NULL)
        return GROUP_OK;
    if (!join)
        return fail(b, GROUP_NOT_FOUND, "Group is not a consumer group.");
    if (g->state == GROUP_EMPTY && g->pending == NULL) {
        int16_t error = group_store_tombstone(b->all, g); /* if it was a classic one */
        g->consumer = error == GROUP_OK ? cgroup_new(g) : NULL;
        return g->consumer != NULL ? GROUP_OK : GROUP_NO_MEMORY;
    }
    int16_t error = convert_to_consumer(b->all, g);
    return error != GROUP_NOT_FOUND
               ? error
               : fail(b, error, "Group is not a consumer group, and cannot be converted to one.");
}

static int16_t check_epoch(struct beat *b, const struct cmember *m)
{
    int32_t epoch = b->q->epoch;
    if (epoch == 0 || epoch == m->epoch)
        return GROUP_OK;
    if (epoch > m->epoch)
        return fail(b, GROUP_FENCED_EPOCH,
                    "The consumer group member has a greater member epoch than the one known by the group "
                    "coordinator. The member must abandon all its partitions and rejoin.");
    /* The answer with the newer one may have been lost. */
    if (epoch == m->before && b->q->owned_count >= 0 && tp_set_within(&b->owned, &m->assigned))
        return GROUP_OK;
    return fail(b, GROUP_FENCED_EPOCH,
                "The consumer group member has a smaller member epoch than the one known by the group "
                "coordinator. The member must abandon all its partitions and rejoin.");
}

static int16_t add_member(struct beat *b, struct msg_string id, struct cmember *replaced,
                          struct cmember **out)
{
    struct cgroup *c = b->group->consumer;
    struct cmember *m = cmember_new(id, b->q->instance);
    int16_t error = m == NULL          ? GROUP_NO_MEMORY
                    : replaced != NULL ? cgroup_replace(c, replaced, m)
                    : cgroup_put(c, m) ? GROUP_OK
                                       : GROUP_NO_MEMORY;
    if (error != GROUP_OK)
        cmember_free(m);
    *out = error == GROUP_OK ? m : NULL;
    return error;
}

static int16_t find_static(struct beat *b, struct msg_string id, struct cmember **out)
{
    struct cmember *m = cgroup_instance(b->group->consumer, b->q->instance);
    bool join = b->q->epoch == 0;
    if (m == NULL)
        return join ? add_member(b, id, NULL, out) : fail(b, GROUP_UNKNOWN_MEMBER, "Instance id is unknown.");
    *out = m;
    if (!join)
        return string_is(id, m->id)
                   ? check_epoch(b, m)
                   : fail(b, GROUP_FENCED_INSTANCE, "Static member was fenced by another member.");
    if (!m->classic && m->epoch != CONSUMER_LEAVE_STATIC)
        return fail(
            b, GROUP_UNRELEASED_INSTANCE,
            "Static member cannot join the group because the instance id is owned by another member.");
    return add_member(b, id, m, out);
}

static int16_t find_dynamic(struct beat *b, struct msg_string id, struct cmember **out)
{
    *out = cgroup_member(b->group->consumer, id);
    if (*out != NULL)
        return check_epoch(b, *out);
    return b->q->epoch == 0 ? add_member(b, id, NULL, out)
                            : fail(b, GROUP_UNKNOWN_MEMBER, "Member is not a member of the group.");
}

static int16_t check_regex(struct beat *b)
{
    struct err e = {0};
    if (b->q->regex.n <= 0)
        return GROUP_OK;
    int16_t error = cgroup_regex(b->group->consumer, b->q->regex, &e);
    if (error == GROUP_INVALID_REGEX)
        err_set(&b->why, ERR_INVALID, "SubscribedTopicRegex is not a valid regular expression: %s.", e.text);
    return error;
}

static bool is_full(const struct beat *b, struct msg_string id)
{
    const struct cgroup *c = b->group->consumer;
    return b->all->o.consumer_max_size > 0 && cgroup_count(c) >= b->all->o.consumer_max_size &&
           cgroup_member(c, id) == NULL;
}

static int16_t answer(struct beat *b, const struct cmember *m, bool told)
{
    const struct consumer_heartbeat *q = b->q;
    bool full = q->rebalance_ms != -1 && (q->topic_count >= 0 || q->regex.n >= 0) && q->owned_count >= 0;
    int32_t unused;
    b->out->member = msg_text(arena_dup(b->arena, m->id, strlen(m->id)), strlen(m->id));
    b->out->epoch = m->epoch;
    timing_of(b->all, b->group->consumer, &unused, &b->out->interval_ms);
    b->out->told = q->epoch == 0 || full || told;
    if (b->out->told) {
        size_t bytes = (size_t)m->assigned.n * sizeof *m->assigned.list;
        b->out->assigned.list = arena_alloc(b->arena, bytes);
        if (b->out->assigned.list == NULL)
            return GROUP_NO_MEMORY;
        b->out->assigned.n = m->assigned.n;
        if (bytes > 0)
            memcpy(b->out->assigned.list, m->assigned.list, bytes);
    }
    return b->out->member.p != NULL ? GROUP_OK : GROUP_NO_MEMORY;
}

static int16_t beat(struct beat *b, struct msg_string id, struct cmember **out)
{
    const struct consumer_heartbeat *q = b->q;
    struct cmember *m = NULL;
    bool told = false;
    int16_t error = find_group(b);
    if (error == GROUP_OK && is_full(b, id))
        error = fail(b, GROUP_FULL, "The consumer group has reached its maximum capacity.");
    if (error == GROUP_OK)
        error = check_regex(b);
    if (error == GROUP_OK)
        error = q->instance.n >= 0 ? find_static(b, id, &m) : find_dynamic(b, id, &m);
    if (error != GROUP_OK)
        return error;
    *out = m;
    struct csaid said = {.rack = q->rack,
                         .client_id = q->client_id,
                         .regex = q->regex,
                         .assignor = q->assignor,
                         .host = q->host,
                         .rebalance_ms = q->rebalance_ms,
                         .topics = q->topics,
                         .topic_count = q->topic_count};
    m->join_end = m->sync_end = NEVER; /* of one that used the classic protocol */
    error = cgroup_apply(b->all, b->group->consumer, m, &said, q->owned_count >= 0 ? &b->owned : NULL, &told);
    cmember_alive(b->all, b->group->consumer, m);
    return error == GROUP_OK ? answer(b, m, told) : error;
}

/* A static member that is to come back is remembered, with all that it has, for its session's time. */
static int16_t leave(struct beat *b)
{
    const struct consumer_heartbeat *q = b->q;
    struct group *g = b->group = shard_find(b->shard, q->group);
    if (g == NULL || g->consumer == NULL)
        return fail(b, GROUP_NOT_FOUND, "Consumer group not found.");
    struct cmember *m = q->instance.n >= 0 ? cgroup_instance(g->consumer, q->instance)
                                           : cgroup_member(g->consumer, q->member);
    if (m == NULL)
        return fail(b, GROUP_UNKNOWN_MEMBER, "Member is not a member of the group.");
    if (!string_is(q->member, m->id))
        return fail(b, GROUP_FENCED_INSTANCE, "Static member was fenced by another member.");
    b->out->member = q->member;
    b->out->epoch = q->epoch;
    if (q->epoch == CONSUMER_LEAVE) {
        cgroup_remove(b->all, g->consumer, m);
    } else {
        m->epoch = CONSUMER_LEAVE_STATIC;
        cmember_mark(g->consumer, m, CDIRTY_CURRENT);
        m->revoke_end = NEVER;
        tp_set_free(&m->revoking);
    }
    return GROUP_OK;
}

/* A group that was made for a member that was refused. */
static void drop_unborn(struct beat *b)
{
    struct group *g = b->group;
    if (g == NULL || g->consumer == NULL || g->consumer->epoch > 0 || g->count > 0)
        return;
    cgroup_free(g->consumer);
    g->consumer = NULL;
    if (!g->recorded)
        shard_drop(b->shard, g);
    b->group = NULL;
}

static bool copy_owned(struct beat *b)
{
    size_t bytes = b->q->owned_count > 0 ? (size_t)b->q->owned_count * sizeof *b->owned.list : 0;
    b->owned.list = arena_alloc(b->arena, bytes);
    b->owned.n = bytes > 0 ? b->q->owned_count : 0;
    if (b->owned.list == NULL)
        return false;
    if (bytes > 0)
        memcpy(b->owned.list, b->q->owned, bytes);
    tp_set_sort(&b->owned);
    return true;
}

static void reply(struct beat *b, int16_t error)
{
    struct consumer_beat *out = b->out;
    const char *why = error != GROUP_OK && b->why.code != ERR_OK
                          ? arena_dup(b->arena, b->why.text, strlen(b->why.text))
                          : NULL;
    if (error != GROUP_OK)
        *out = (struct consumer_beat){.error = error, .why = string_of(why), .member = MSG_NULL_STRING};
    b->done(b->done_arg);
}

static void stored(struct groups *all, struct group *g, void *arg, int16_t error)
{
    (void)all;
    (void)g;
    reply(arg, error);
}

/*
 * Has the answer wait until what it depends on is durable: what changed, and what others have changed and is on its way. false: that
 * is nothing, or there is an error, and it is to be answered now.
 */
static bool wait_for_log(struct beat *b, struct cmember *m, int16_t *error)
{
    struct cgroup *c = b->group != NULL ? b->group->consumer : NULL;
    if (c == NULL)
        return false;
    if (*error != GROUP_OK) {
        cgroup_save_later(b->all, c);
        return false;
    }
    if (!c->dirty && b->group->writes > 0 && m != NULL)
        cmember_mark(c, m, CDIRTY_CURRENT);
    if (!c->dirty)
        return false;
    *error = cgroup_save(b->all, c, stored, b);
    return *error == GROUP_OK;
}

static void work(struct beat *b)
{
    char made[UUID_TEXT_SIZE];
    struct msg_string id = b->q->member;
    struct cmember *m = NULL;
    int16_t error = check(b);
    if (error == GROUP_OK && !copy_owned(b))
        error = GROUP_NO_MEMORY;
    if (error != GROUP_OK) {
        reply(b, error);
        return;
    }
    if (id.n <= 0) {
        struct uuid u = uuid_random();
        id = string_of(uuid_text(&u, made));
    }
    struct shard *s = b->shard = shard_lock(b->all, b->q->group);
    error = atomic_load(&b->all->interrupted) ? GROUP_NOT_AVAILABLE
            : b->q->epoch < 0                 ? leave(b)
                                              : beat(b, id, &m);
    drop_unborn(b);
    bool waits = wait_for_log(b, m, &error);
    shard_unlock(s);
    if (!waits) /* else it may be answered by now */
        reply(b, error);
}

void consumer_heartbeat(struct groups *all, const struct consumer_heartbeat *q, struct arena *a,
                        struct consumer_beat *out, void (*done)(void *arg), void *arg)
{
    struct beat *b = arena_alloc(a, sizeof *b);
    *out =
        (struct consumer_beat){.error = GROUP_NO_MEMORY, .why = MSG_NULL_STRING, .member = MSG_NULL_STRING};
    if (b == NULL) {
        done(arg);
        return;
    }
    *b = (struct beat){.all = all, .q = q, .out = out, .arena = a, .done = done, .done_arg = arg};
    out->error = GROUP_OK;
    work(b);
}

/* ---- offsets ---- */

int16_t cgroup_may_commit(const struct cgroup *c, struct msg_string member, int32_t epoch, int16_t version,
                          const struct tp_set *of)
{
    const struct cmember *m = cgroup_member(c, member);
    if (epoch < 0 && cgroup_count(c) == 0)
        return GROUP_OK;
    if (m == NULL)
        return GROUP_UNKNOWN_MEMBER;
    if (!m->classic && version < 9)
        return GROUP_UNSUPPORTED_VERSION;
    bool may = epoch == m->epoch || (epoch < m->epoch && of != NULL);
    for (int32_t i = 0; may && epoch != m->epoch && i < of->n; i++) {
        const struct tp *has = tp_set_find(&m->assigned, &of->list[i]);
        if (has == NULL)
            has = tp_set_find(&m->revoking, &of->list[i]);
        may = has != NULL && has->epoch <= epoch;
    }
    return may ? GROUP_OK : m->classic ? GROUP_ILLEGAL_GENERATION : GROUP_STALE_EPOCH;
}

int16_t consumer_may_commit(struct groups *all, struct msg_string group, struct msg_string member,
                            struct msg_string instance, int32_t epoch, int16_t version,
                            const struct tp_set *of)
{
    int16_t error = GROUP_OK;
    struct shard *s = shard_lock(all, group);
    const struct group *g = shard_find(s, group);
    bool consumer = g != NULL && g->consumer != NULL && !atomic_load(&all->interrupted);
    if (consumer)
        error = cgroup_may_commit(g->consumer, member, epoch, version, of);
    shard_unlock(s);
    if (consumer)
        return error;
    return groups_may_commit(all, group, member, instance, epoch, of);
}

int16_t consumer_may_fetch(struct groups *all, struct msg_string group, struct msg_string member,
                           int32_t epoch)
{
    int16_t error = GROUP_OK;
    if (member.n < 0 && epoch < 0)
        return GROUP_OK;
    struct shard *s = shard_lock(all, group);
    const struct group *g = shard_find(s, group);
    const struct cmember *m = g != NULL && g->consumer != NULL ? cgroup_member(g->consumer, member) : NULL;
    if (g != NULL && g->consumer != NULL)
        error = m == NULL           ? GROUP_UNKNOWN_MEMBER
                : m->epoch == epoch ? GROUP_OK
                : m->classic        ? GROUP_ILLEGAL_GENERATION
                                    : GROUP_STALE_EPOCH;
    shard_unlock(s);
    return error;
}
