/*
 * offset_fetch: OffsetFetch: what groups have committed, all of it or of what is named.
 */
#include <string.h>

#include "server/apis.h"

#define STABLE_SINCE 7 /* KIP-447 */
#define MANY_SINCE 8   /* several groups, KIP-709 */
#define IDS_SINCE 10

typedef struct msg_offset_fetch_request_topics asked_topic;
typedef struct msg_offset_fetch_response_partitions fetched;
typedef struct msg_offset_fetch_response_topics fetched_topic;
typedef struct msg_offset_fetch_response_group fetched_group;

static fetched no_offset(int32_t partition, int16_t error)
{
    return (fetched){.partition_index = partition,
                     .committed_offset = -1,
                     .committed_leader_epoch = -1,
                     .metadata = msg_text("", 0),
                     .error_code = error};
}

/* While an open transaction is to change it, who asks for what is stable has to come again. */
static fetched one_offset(struct request *c, const struct group_offset *o, bool stable)
{
    if (stable && o->pending)
        return no_offset(o->partition, GROUP_UNSTABLE);
    return o->offset == -1 ? no_offset(o->partition, 0)
                           : (fetched){.partition_index = o->partition,
                                       .committed_offset = o->offset,
                                       .committed_leader_epoch = o->leader_epoch,
                                       .metadata = api_text(c, o->metadata != NULL ? o->metadata : "")};
}

/* ---- what is named ---- */

static bool asked_one(struct request *c, const char *group, const asked_topic *q, bool stable,
                      fetched_topic *out)
{
    bool by_id = c->header.version >= IDS_SINCE;
    int16_t code = 0;
    int32_t n = q->partition_indexes.count;
    struct err e;
    const char *topic = request_string(c, q->name);
    if (by_id) {
        const struct topic_brief *t = api_topic(c, msg_text("", 0), &q->topic_id, &code);
        topic = t != NULL ? t->name : "";
        out->topic_id = q->topic_id;
    }
    out->name = q->name;
    out->partitions.items = request_alloc(c, (size_t)n, sizeof *out->partitions.items);
    struct group_offset *list =
        out->partitions.items != NULL ? request_alloc(c, (size_t)n, sizeof *list) : NULL;
    if (list == NULL)
        return false;
    for (int32_t i = 0; i < n; i++) {
        list[i].topic = topic != NULL ? topic : "";
        list[i].partition = q->partition_indexes.items[i];
    }
    if (code == 0)
        code =
            topic == NULL
                ? GROUP_NO_MEMORY
                : err_kafka(broker_fetch_offsets(c->server->broker, group, list, (size_t)n, &c->arena, &e));
    for (int32_t i = 0; i < n; i++)
        out->partitions.items[out->partitions.count++] =
            code != 0 ? no_offset(list[i].partition, code) : one_offset(c, &list[i], stable);
    return true;
}

static bool asked_topics(struct request *c, const char *group,
                         const struct msg_offset_fetch_request_group *asked, bool stable, fetched_group *out)
{
    out->topics.items = request_alloc(c, (size_t)asked->topics.count, sizeof *out->topics.items);
    for (int32_t i = 0; out->topics.items != NULL && i < asked->topics.count; i++)
        if (!asked_one(c, group, &asked->topics.items[i], stable, &out->topics.items[out->topics.count++]))
            return false;
    return out->topics.items != NULL;
}

/* ---- all that the group has committed, which comes sorted by topic ---- */

static bool begin_topic(struct request *c, fetched_group *out, const char *name, size_t most)
{
    struct topic_brief t;
    struct err e;
    fetched_topic *new = &out->topics.items[out->topics.count++];
    new->name = api_text(c, name);
    if (broker_topic_brief(c->server->broker, name, &t, &e) == ERR_OK)
        new->topic_id = t.id;
    new->partitions.items = request_alloc(c, most, sizeof *new->partitions.items);
    return new->partitions.items != NULL;
}

static size_t run_of(const struct group_info *g, size_t from)
{
    size_t n = 1;
    while (from + n < g->count && strcmp(g->offsets[from].topic, g->offsets[from + n].topic) == 0)
        n++;
    return n;
}

static bool all_topics(struct request *c, const struct group_info *g, bool stable, fetched_group *out)
{
    out->topics.items = request_alloc(c, g->count, sizeof *out->topics.items);
    if (out->topics.items == NULL)
        return false;
    for (size_t i = 0, n; i < g->count; i += n) {
        n = run_of(g, i);
        if (!begin_topic(c, out, g->offsets[i].topic, n))
            return false;
        fetched_topic *t = &out->topics.items[out->topics.count - 1];
        for (size_t k = 0; k < n; k++)
            t->partitions.items[t->partitions.count++] = one_offset(c, &g->offsets[i + k], stable);
    }
    return true;
}

static bool all_of(struct request *c, const char *group, bool stable, fetched_group *out)
{
    struct group_info g = {0};
    struct err e;
    if (broker_group(c->server->broker, group, &g, &e) != ERR_OK && e.code != ERR_UNKNOWN_GROUP)
        out->error_code = err_kafka(e.code);
    bool made = all_topics(c, &g, stable, out);
    group_info_free(&g);
    return made;
}

static bool fetch_group(struct request *c, const struct msg_offset_fetch_request_group *asked,
                        fetched_group *out)
{
    const struct msg_offset_fetch_request *q = c->asked;
    bool stable = c->header.version >= STABLE_SINCE && q->require_stable;
    const char *name = request_string(c, asked->group_id);
    out->group_id = asked->group_id;
    out->error_code = name == NULL ? GROUP_NO_MEMORY
                                   : consumer_may_fetch(c->server->groups, asked->group_id, asked->member_id,
                                                        asked->member_epoch);
    if (out->error_code != 0)
        return true;
    return asked->topics.count < 0 ? all_of(c, name, stable, out) : asked_topics(c, name, asked, stable, out);
}

/* ---- one group, in the older form ---- */

static bool older_topic(struct request *c, const fetched_topic *from,
                        struct msg_offset_fetch_response_topic *t)
{
    t->name = from->name;
    t->partitions.items = request_alloc(c, (size_t)from->partitions.count, sizeof *t->partitions.items);
    for (int32_t k = 0; t->partitions.items != NULL && k < from->partitions.count; k++) {
        const fetched *p = &from->partitions.items[k];
        t->partitions.items[t->partitions.count++] = (struct msg_offset_fetch_response_partition){
            p->partition_index, p->committed_offset, p->committed_leader_epoch, p->metadata, p->error_code};
    }
    return t->partitions.items != NULL;
}

static bool fetch_one(struct request *c, const struct msg_offset_fetch_request *q,
                      struct msg_offset_fetch_response *r)
{
    int32_t n = q->topics.count;
    struct msg_offset_fetch_request_group asked = {
        .group_id = q->group_id, .member_id = MSG_NULL_STRING, .member_epoch = -1};
    fetched_group found = {.error_code = 0};
    asked.topics.count = n;
    asked.topics.items = request_alloc(c, n > 0 ? (size_t)n : 0, sizeof *asked.topics.items);
    if (asked.topics.items == NULL)
        return false;
    for (int32_t i = 0; i < n; i++) {
        asked.topics.items[i].name = q->topics.items[i].name;
        asked.topics.items[i].partition_indexes.items = q->topics.items[i].partition_indexes.items;
        asked.topics.items[i].partition_indexes.count = q->topics.items[i].partition_indexes.count;
    }
    if (!fetch_group(c, &asked, &found))
        return false;
    r->error_code = found.error_code;
    r->topics.items = request_alloc(c, (size_t)found.topics.count, sizeof *r->topics.items);
    for (int32_t i = 0; r->topics.items != NULL && i < found.topics.count; i++)
        if (!older_topic(c, &found.topics.items[i], &r->topics.items[r->topics.count++]))
            return false;
    return r->topics.items != NULL;
}

void api_offset_fetch(struct request *c)
{
    const struct msg_offset_fetch_request *q = c->asked;
    struct msg_offset_fetch_response r;
    msg_init(&msg_schema_offset_fetch_response, &r);
    if (c->header.version < MANY_SINCE) {
        if (fetch_one(c, q, &r))
            request_reply(c, &r);
        return;
    }
    r.groups.items = request_alloc(c, (size_t)q->groups.count, sizeof *r.groups.items);
    if (r.groups.items == NULL)
        return;
    for (int32_t i = 0; i < q->groups.count; i++)
        if (!fetch_group(c, &q->groups.items[i], &r.groups.items[r.groups.count++]))
            return; /* answered */
    request_reply(c, &r);
}
