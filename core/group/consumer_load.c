/*
 * consumer_load: consumer groups as their records in __consumer_offsets have them, at a start. The newest record of each key comes, in the
 * order of the log, so of a member any may be the first. consumer_records.c writes them.
 */
#include <string.h>

#include "base/clock.h"
#include "base/diag.h"
#include "base/mem.h"
#include "group/consumer_internal.h"
#include "protocol/messages.h"

#define ARENA_MAX ((size_t)64 << 20)

/* A record in work. */
struct loading {
    struct groups *all;
    struct shard *shard;
    struct arena *arena;
    int16_t version; /* of the key */
    struct msg_string group, member;
    struct slice value;
    struct cgroup *c;
    struct err *e;
};

static int decode(struct loading *l, const struct msg_schema *schema, void *value)
{
    int16_t version;
    int rc = slice_i16(&l->value, &version, l->e);
    if (rc == ERR_OK && version != 0)
        rc = err_set(l->e, ERR_UNSUPPORTED, "its record has version %d", version);
    if (rc == ERR_OK)
        rc = msg_decode(schema, 0, &l->value, l->arena, value, l->e);
    return rc != ERR_OK ? err_wrap(l->e, "group %.*s", l->group.n, l->group.p) : ERR_OK;
}

static int no_memory(struct loading *l)
{
    return err_nomem(l->e);
}

static struct cmember *member_of(struct loading *l)
{
    struct cmember *m = cgroup_member(l->c, l->member);
    if (m != NULL)
        return m;
    m = cmember_new(l->member, MSG_NULL_STRING); /* its instance comes with its own record */
    if (m == NULL || cgroup_put(l->c, m))
        return m;
    cmember_free(m);
    return NULL;
}

static int load_epoch(struct loading *l)
{
    struct msg_consumer_group_metadata_value v;
    int rc = decode(l, &msg_schema_consumer_group_metadata_value, &v);
    if (rc != ERR_OK)
        return rc;
    l->c->epoch = v.epoch;
    l->c->hash = v.metadata_hash;
    return ERR_OK;
}

static int load_target_epoch(struct loading *l)
{
    struct msg_consumer_group_target_assignment_metadata_value v;
    int rc = decode(l, &msg_schema_consumer_group_target_assignment_metadata_value, &v);
    if (rc == ERR_OK)
        l->c->assignment_epoch = v.assignment_epoch;
    return rc;
}

/* Its records are the log's still: they go with what is written next. */
static void drop(struct cgroup *c, struct cmember *m, const char *why)
{
    diag_warn("kafka", "group %s: member %s is dropped: %s", c->group->id, m->id, why);
    cgroup_take(c, m);
    cgroup_retire(c, m);
}

typedef struct msg_consumer_group_member_metadata_value member_value;

static int take_member(struct loading *l, struct cmember *m, const member_value *v, const char *host)
{
    bool topics_changed, regex_changed;
    size_t n = (size_t)v->classic_member_metadata.supported_protocols.count;
    struct group_protocol *protocols = arena_alloc(l->arena, n * sizeof *protocols);
    for (size_t i = 0; protocols != NULL && i < n; i++)
        protocols[i] =
            (struct group_protocol){v->classic_member_metadata.supported_protocols.items[i].name,
                                    v->classic_member_metadata.supported_protocols.items[i].metadata};
    struct csaid said = {.rack = v->rack_id,
                         .client_id = v->client_id,
                         .regex = v->subscribed_topic_regex,
                         .assignor = v->server_assignor,
                         .host = host,
                         .rebalance_ms = v->rebalance_timeout_ms,
                         .topics = v->subscribed_topic_names.items,
                         .topic_count = v->subscribed_topic_names.count,
                         .classic = v->classic_member_metadata.present && n > 0,
                         .protocols = protocols,
                         .protocol_count = (int32_t)n,
                         .session_ms = v->classic_member_metadata.session_timeout_ms};
    if (protocols == NULL || !cmember_update(m, &said, &topics_changed, &regex_changed))
        return no_memory(l);
    if (m->regex != NULL && m->regex[0] != '\0' &&
        cgroup_regex(l->c, v->subscribed_topic_regex, l->e) == GROUP_NO_MEMORY)
        return no_memory(l);
    if (v->instance_id.n < 0)
        return ERR_OK;
    struct cmember *former = cgroup_instance(l->c, v->instance_id);
    if (former != NULL)
        drop(l->c, former, "another one has its instance id");
    return cgroup_name(l->c, m, v->instance_id) ? ERR_OK : no_memory(l);
}

static int load_member(struct loading *l)
{
    member_value v;
    int rc = decode(l, &msg_schema_consumer_group_member_metadata_value, &v);
    if (rc != ERR_OK)
        return rc;
    struct cmember *m = member_of(l);
    char *host = string_copy(v.client_host);
    rc = m != NULL && host != NULL ? take_member(l, m, &v, host) : no_memory(l);
    mem_free(host);
    return rc;
}

/* `epochs` NULL: all of them since `epoch`. */
static bool add(struct loading *l, struct tp_set *to, const struct uuid *topic, const int32_t *partitions,
                const int32_t *epochs, int32_t epoch, int32_t n)
{
    struct tp_set more = {arena_alloc(l->arena, (size_t)n * sizeof(struct tp)), 0}, both;
    for (int32_t i = 0; more.list != NULL && i < n; i++)
        more.list[more.n++] = (struct tp){*topic, partitions[i], epochs != NULL ? epochs[i] : epoch};
    if (more.list == NULL)
        return false;
    tp_set_sort(&more);
    if (!tp_set_join(to, &more, &both))
        return false;
    tp_set_free(to);
    *to = both;
    return true;
}

static int load_target(struct loading *l)
{
    struct msg_consumer_group_target_assignment_member_value v;
    int rc = decode(l, &msg_schema_consumer_group_target_assignment_member_value, &v);
    if (rc != ERR_OK)
        return rc;
    struct cmember *m = member_of(l);
    for (int32_t i = 0; m != NULL && i < v.topic_partitions.count; i++)
        if (!add(l, &m->target, &v.topic_partitions.items[i].topic_id,
                 v.topic_partitions.items[i].partitions.items, NULL, 0,
                 v.topic_partitions.items[i].partitions.count))
            return no_memory(l);
    return m != NULL ? ERR_OK : no_memory(l);
}

typedef struct msg_consumer_group_current_member_assignment_value_topic_partitions current_topic;

/* Records from before there were epochs of partitions: since the member's own, as Kafka takes it. */
static bool add_all(struct loading *l, struct tp_set *to, const current_topic *topics, int32_t n,
                    int32_t epoch)
{
    for (int32_t i = 0; i < n; i++) {
        const current_topic *t = &topics[i];
        bool told = t->assignment_epochs.count == t->partitions.count;
        if (!add(l, to, &t->topic_id, t->partitions.items, told ? t->assignment_epochs.items : NULL, epoch,
                 t->partitions.count))
            return false;
    }
    return true;
}

static int load_current(struct loading *l)
{
    struct msg_consumer_group_current_member_assignment_value v;
    int rc = decode(l, &msg_schema_consumer_group_current_member_assignment_value, &v);
    if (rc != ERR_OK)
        return rc;
    struct cmember *m = member_of(l);
    if (m == NULL)
        return no_memory(l);
    m->epoch = v.member_epoch;
    m->before = v.previous_member_epoch;
    m->state = v.state == CMEMBER_UNREVOKED || v.state == CMEMBER_UNRELEASED ? (enum cmember_state)v.state
                                                                             : CMEMBER_STABLE;
    return add_all(l, &m->assigned, v.assigned_partitions.items, v.assigned_partitions.count, m->epoch) &&
                   add_all(l, &m->revoking, v.partitions_pending_revocation.items,
                           v.partitions_pending_revocation.count, m->epoch)
               ? ERR_OK
               : no_memory(l);
}

/* The group that the record is of. ERR_INVALID: it is a classic one. */
static int find_group(struct loading *l)
{
    struct group *g = shard_make(l->all, l->shard, l->group);
    if (g == NULL)
        return no_memory(l);
    if (g->consumer == NULL && g->count > 0)
        return err_set(l->e, ERR_INVALID, "group %s is a classic one and a consumer group", g->id);
    if (g->consumer == NULL && (g->consumer = cgroup_new(g)) == NULL)
        return no_memory(l);
    g->recorded = true;
    l->c = g->consumer;
    return ERR_OK;
}

static int load(struct loading *l)
{
    switch (l->version) {
    case KEY_EPOCH:
        return load_epoch(l);
    case KEY_TARGET_EPOCH:
        return load_target_epoch(l);
    case KEY_MEMBER:
        return load_member(l);
    case KEY_TARGET:
        return load_target(l);
    case KEY_CURRENT:
        return load_current(l);
    default: /* a regular expression comes with the member that has it */
        return ERR_OK;
    }
}

static int read_key(struct loading *l, const struct group_record *r)
{
    struct slice in = slice_of(r->key, r->key_len);
    struct msg_consumer_group_member_key with;
    struct msg_consumer_group_key k;
    int rc = slice_i16(&in, &l->version, l->e);
    if (rc == ERR_OK && (l->version == KEY_EPOCH || l->version == KEY_TARGET_EPOCH)) {
        rc = msg_decode(&msg_schema_consumer_group_key, 0, &in, l->arena, &k, l->e);
        l->group = rc == ERR_OK ? k.group_id : l->group;
    } else if (rc == ERR_OK) {
        rc = msg_decode(&msg_schema_consumer_group_member_key, 0, &in, l->arena, &with, l->e);
        l->group = rc == ERR_OK ? with.group_id : l->group;
        l->member = rc == ERR_OK ? with.member_id : l->member;
    }
    return rc;
}

bool group_is_consumer_key(int16_t version)
{
    return version == KEY_EPOCH || version == KEY_TARGET_EPOCH || version == KEY_MEMBER ||
           version == KEY_TARGET || version == KEY_CURRENT || version == KEY_REGEX;
}

int group_load_consumer(struct groups *all, const struct group_record *r, struct err *e)
{
    struct arena a;
    struct loading l = {.all = all, .arena = &a, .value = slice_of(r->value, r->value_len), .e = e};
    arena_init(&a, ARENA_MAX, NULL);
    int rc = read_key(&l, r);
    if (rc == ERR_OK) {
        l.shard = shard_lock(all, l.group);
        rc = find_group(&l);
        if (rc == ERR_OK)
            rc = load(&l);
        shard_unlock(l.shard);
    }
    arena_free(&a);
    return rc;
}

/* ---- when all are read ---- */

/* Of one whose own record is not there nothing is known; it comes again. */
static void drop_halves(struct groups *all, struct cgroup *c)
{
    bool again = true;
    while (again) {
        size_t pos = 0;
        again = false;
        for (struct cmember *m; !again && (m = cgroup_next(c, &pos)) != NULL;)
            if (m->client_id == NULL) {
                drop(c, m, "it has no record of its own");
                again = true;
            }
    }
    size_t pos = 0;
    for (struct cmember *m; (m = cgroup_next(c, &pos)) != NULL;) {
        cmember_alive(all, c, m); /* it has a session's time from now on */
        if (m->state != CMEMBER_UNREVOKED || m->classic)
            continue;
        m->revoke_end = clock_mono_ms() + m->rebalance_ms;
        groups_due(all, c->group, m->revoke_end);
    }
    c->group->state_ms = clock_wall_ms();
}

void groups_loaded(struct groups *all)
{
    for (size_t i = 0; i < SHARDS; i++) {
        struct shard *s = &all->shards[i];
        size_t pos = 0, n;
        const void *key;
        void *value;
        pthread_mutex_lock(&s->lock);
        while (map_next(s->by_id, &pos, &key, &n, &value)) {
            struct group *g = value;
            if (g->consumer == NULL)
                continue;
            drop_halves(all, g->consumer);
            size_t at = 0;
            for (struct cmember *m; (m = cgroup_next(g->consumer, &at)) != NULL;)
                m->dirty = 0; /* it is as it was written */
            g->consumer->dirty = g->consumer->removed.members != NULL;
        }
        pthread_mutex_unlock(&s->lock);
    }
}
