/*
 * consumer_groups: ConsumerGroupHeartbeat, ConsumerGroupDescribe (KIP-848): messages to core/group and back; and the broker's topics as groups
 * see them.
 */
#include <stdio.h>
#include <string.h>

#include "broker/group_config.h"
#include "server/apis.h"

/* ---- the hub's topics ---- */

static uint64_t topics_version(void *arg)
{
    struct server *s = arg;
    return broker_topics_version(s->broker);
}

static bool take(int rc, const struct topic_brief *t, struct group_topic *out)
{
    if (rc != ERR_OK)
        return false;
    snprintf(out->name, sizeof out->name, "%s", t->name);
    out->id = t->id;
    out->partitions = t->partitions;
    return true;
}

static bool topic_by_name(void *arg, const char *name, struct group_topic *out)
{
    struct server *s = arg;
    struct topic_brief t;
    struct err e;
    return take(broker_topic_brief(s->broker, name, &t, &e), &t, out);
}

static bool topic_by_id(void *arg, const struct uuid *id, struct group_topic *out)
{
    struct server *s = arg;
    struct topic_brief t;
    struct err e;
    return take(broker_topic_by_id(s->broker, id, &t, &e), &t, out);
}

static void each_topic(void *arg, void (*fn)(void *to, const char *name), void *to)
{
    struct server *s = arg;
    broker_each_topic(s->broker, fn, to);
}

struct group_topics consumer_topics(struct server *s)
{
    return (struct group_topics){topics_version, topic_by_name, topic_by_id, each_topic, s};
}

/* ---- groups' own settings ---- */

static int32_t within(int32_t value, int32_t min, int32_t max)
{
    return value < min ? min : value > max ? max : value;
}

/* Within the bounds of now: those of when they were set may have been others. */
void consumer_timing(void *arg, const char *group, int32_t *session_ms, int32_t *heartbeat_ms)
{
    struct server *s = arg;
    const struct server_options *o = &s->o;
    struct group_timing t = broker_group_timing(s->broker, group);
    if (t.session_ms >= 0)
        *session_ms =
            within(t.session_ms, o->group_consumer_session_min_ms, o->group_consumer_session_max_ms);
    if (t.heartbeat_ms >= 0)
        *heartbeat_ms =
            within(t.heartbeat_ms, o->group_consumer_heartbeat_min_ms, o->group_consumer_heartbeat_max_ms);
}

/* ---- ConsumerGroupHeartbeat ---- */

/* What the member owns, as one list; *n is -1 where it does not tell. */
static struct tp *owned_of(struct request *c, int32_t *n)
{
    const struct msg_consumer_group_heartbeat_request *q = c->asked;
    size_t total = 0;
    for (int32_t i = 0; i < q->topic_partitions.count; i++)
        total += (size_t)q->topic_partitions.items[i].partitions.count;
    struct tp *list = request_alloc(c, total, sizeof *list);
    *n = q->topic_partitions.count < 0 ? -1 : 0;
    for (int32_t i = 0; list != NULL && i < q->topic_partitions.count; i++)
        for (int32_t k = 0; k < q->topic_partitions.items[i].partitions.count; k++)
            list[(*n)++] = (struct tp){q->topic_partitions.items[i].topic_id,
                                       q->topic_partitions.items[i].partitions.items[k], 0};
    return list;
}

/* The set by topics. false: no memory, and it is answered. */
static bool fill_assignment(struct request *c, const struct tp_set *set,
                            struct msg_consumer_group_heartbeat_response *r)
{
    struct msg_consumer_group_heartbeat_response_assignment *a = request_alloc(c, 1, sizeof *a);
    int32_t *partitions = a != NULL ? request_alloc(c, (size_t)set->n, sizeof *partitions) : NULL;
    if (partitions != NULL)
        a->topic_partitions.items = request_alloc(c, (size_t)set->n, sizeof *a->topic_partitions.items);
    if (partitions == NULL || a->topic_partitions.items == NULL)
        return false;
    for (int32_t i = 0, end; i < set->n; i = end) {
        struct msg_consumer_group_heartbeat_response_topic_partitions *t =
            &a->topic_partitions.items[a->topic_partitions.count++];
        t->topic_id = set->list[i].topic;
        t->partitions.items = partitions + i;
        for (end = i; end < set->n && memcmp(&set->list[end].topic, &t->topic_id, sizeof t->topic_id) == 0;
             end++)
            partitions[end] = set->list[end].partition;
        t->partitions.count = end - i;
    }
    r->assignment = a;
    return true;
}

/* A question and its answer, in the request's arena. */
struct heartbeat {
    struct consumer_heartbeat asked;
    struct consumer_beat told;
};

static void answer_heartbeat(struct request *c)
{
    const struct heartbeat *h = c->work;
    const struct consumer_beat *b = &h->told;
    struct msg_consumer_group_heartbeat_response r;
    msg_init(&msg_schema_consumer_group_heartbeat_response, &r);
    r.error_code = b->error;
    r.error_message = b->why;
    r.member_id = b->member;
    r.member_epoch = b->epoch;
    r.heartbeat_interval_ms = b->interval_ms;
    if (!b->told || fill_assignment(c, &b->assigned, &r))
        request_reply(c, &r);
}

static void heartbeat_done(void *arg)
{
    request_answer_later(arg, answer_heartbeat);
}

void api_consumer_group_heartbeat(struct request *c)
{
    const struct msg_consumer_group_heartbeat_request *q = c->asked;
    struct heartbeat *h = request_alloc(c, 1, sizeof *h);
    if (h == NULL)
        return;
    c->work = h;
    h->asked = (struct consumer_heartbeat){.group = q->group_id,
                                           .member = q->member_id,
                                           .instance = q->instance_id,
                                           .rack = q->rack_id,
                                           .client_id = c->header.client_id,
                                           .host = c->conn->peer_host,
                                           .epoch = q->member_epoch,
                                           .rebalance_ms = q->rebalance_timeout_ms,
                                           .topics = q->subscribed_topic_names.items,
                                           .topic_count = q->subscribed_topic_names.count,
                                           .regex = q->subscribed_topic_regex,
                                           .assignor = q->server_assignor,
                                           .own_id = c->header.version >= 1};
    h->asked.owned = owned_of(c, &h->asked.owned_count);
    if (h->asked.owned != NULL)
        consumer_heartbeat(c->server->groups, &h->asked, &c->arena, &h->told, heartbeat_done, c);
}

/* ---- ConsumerGroupDescribe ---- */

typedef struct msg_consumer_group_describe_response_described_group described;
typedef struct msg_consumer_group_describe_response_member described_member;
typedef struct msg_consumer_group_describe_response_assignment described_set;

static bool describe_set(struct request *c, const struct consumer_view_set *set, described_set *out)
{
    out->topic_partitions.items =
        request_alloc(c, (size_t)set->topic_count, sizeof *out->topic_partitions.items);
    if (out->topic_partitions.items == NULL)
        return false;
    for (int32_t i = 0; i < set->topic_count; i++) {
        const struct consumer_view_topic *t = &set->topics[i];
        struct msg_consumer_group_describe_response_topic_partitions *to =
            &out->topic_partitions.items[out->topic_partitions.count++];
        to->topic_id = t->id;
        to->topic_name = t->name;
        to->partitions.items = (int32_t *)(uintptr_t)t->partitions;
        to->partitions.count = t->partition_count;
    }
    return true;
}

static bool describe_member(struct request *c, const struct consumer_view_member *m, described_member *out)
{
    *out = (described_member){.member_id = m->member,
                              .instance_id = m->instance,
                              .rack_id = m->rack,
                              .member_epoch = m->epoch,
                              .client_id = m->client_id,
                              .client_host = m->host,
                              .subscribed_topic_regex = m->regex,
                              .member_type = m->classic ? 0 : 1};
    out->subscribed_topic_names.items = (struct msg_string *)(uintptr_t)m->topics;
    out->subscribed_topic_names.count = m->topic_count;
    return describe_set(c, &m->assigned, &out->assignment) &&
           describe_set(c, &m->target, &out->target_assignment);
}

/* false: no memory, and it is answered. */
static bool describe(struct request *c, struct msg_string id, described *out)
{
    struct consumer_view v = {.state = MSG_NULL_STRING};
    int16_t error = id.n > 0 ? consumer_view(c->server->groups, id, &c->arena, &v) : GROUP_INVALID_ID;
    msg_init(&msg_schema_consumer_group_describe_response_described_group, out);
    out->group_id = id;
    out->error_code = error;
    if (error != GROUP_OK) {
        char why[64];
        snprintf(why, sizeof why, "Group %.*s not found.", id.n < 40 ? id.n : 40, id.n > 0 ? id.p : "");
        out->error_message = error == GROUP_NOT_FOUND ? api_text(c, why) : MSG_NULL_STRING;
        return true;
    }
    out->group_state = v.state;
    out->group_epoch = v.epoch;
    out->assignment_epoch = v.assignment_epoch;
    out->assignor_name = v.assignor;
    out->members.items = request_alloc(c, (size_t)v.member_count, sizeof *out->members.items);
    if (out->members.items == NULL)
        return false;
    for (int32_t i = 0; i < v.member_count; i++)
        if (!describe_member(c, &v.members[i], &out->members.items[out->members.count++]))
            return false;
    return true;
}

void api_consumer_group_describe(struct request *c)
{
    const struct msg_consumer_group_describe_request *q = c->asked;
    struct msg_consumer_group_describe_response r;
    msg_init(&msg_schema_consumer_group_describe_response, &r);
    r.groups.items = request_alloc(c, (size_t)q->group_ids.count, sizeof *r.groups.items);
    if (r.groups.items == NULL)
        return;
    for (int32_t i = 0; i < q->group_ids.count; i++)
        if (!describe(c, q->group_ids.items[i], &r.groups.items[r.groups.count++]))
            return;
    request_reply(c, &r);
}
