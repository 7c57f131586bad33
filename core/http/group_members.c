/*
 * group_members: members of groups of Kafka's clients as JSON: who they are, in what state the group is, what each is assigned. Any thread.
 */
#include <string.h>

#include "group/consumer.h"
#include "http/internal.h"
#include "protocol/messages.h"

#define VIEW_MAX ((size_t)256 << 20)
#define ASSIGNMENT_LAST 3

static json_t *text_json(struct arena *a, struct msg_string s)
{
    const char *copy = s.n >= 0 ? arena_dup(a, s.p, (size_t)s.n) : NULL;
    return s.n < 0 ? json_null() : copy != NULL ? json_text(copy) : NULL;
}

static bool put_text(json_t *o, const char *name, struct arena *a, struct msg_string s)
{
    return json_put(o, name, text_json(a, s));
}

/* Appends {topic, partition} for each. */
static bool add_partitions(json_t *list, struct arena *a, struct msg_string topic, const int32_t *partitions,
                           int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        json_t *o = json_object();
        if (!put_text(o, "topic", a, topic) || !json_put(o, "partition", json_integer(partitions[i])) ||
            json_array_append_new(list, o) != 0)
            return false;
    }
    return true;
}

/* What a consumer was assigned, by ConsumerProtocolAssignment; of other types of groups nobody knows but they. */
static bool add_assignment(json_t *list, struct arena *a, struct msg_bytes bytes)
{
    struct msg_consumer_protocol_assignment s;
    struct slice in = slice_of(bytes.p, bytes.n > 0 ? (size_t)bytes.n : 0);
    struct err e;
    int16_t version;
    if (slice_i16(&in, &version, &e) != ERR_OK || version < 0)
        return true;
    version = version < ASSIGNMENT_LAST ? version : ASSIGNMENT_LAST; /* later ones begin alike */
    if (msg_decode(&msg_schema_consumer_protocol_assignment, version, &in, a, &s, &e) != ERR_OK)
        return true;
    for (int32_t i = 0; i < s.assigned_partitions.count; i++)
        if (!add_partitions(list, a, s.assigned_partitions.items[i].topic,
                            s.assigned_partitions.items[i].partitions.items,
                            s.assigned_partitions.items[i].partitions.count))
            return false;
    return true;
}

/* A member with an empty list of partitions, appended to the list. NULL: no memory. */
static json_t *add_member(json_t *list, struct arena *a, struct msg_string id, struct msg_string instance,
                          struct msg_string client, struct msg_string host)
{
    json_t *o = json_object(), *partitions = json_array();
    bool made = put_text(o, "member", a, id) && put_text(o, "instance", a, instance) &&
                put_text(o, "client_id", a, client) && put_text(o, "host", a, host);
    if (!json_put(o, "partitions", partitions) || !made || json_array_append(list, o) != 0)
        partitions = NULL;
    json_decref(o);
    return partitions;
}

static bool put_classic(json_t *o, struct arena *a, const struct group_view *v)
{
    json_t *list = json_array();
    bool consumers = v->type.n == 8 && memcmp(v->type.p, "consumer", 8) == 0, made = list != NULL;
    for (int32_t i = 0; made && i < v->member_count; i++) {
        const struct group_view_member *m = &v->members[i];
        json_t *partitions = add_member(list, a, m->member, m->instance, m->client_id, m->host);
        made = partitions != NULL && (!consumers || add_assignment(partitions, a, m->assignment));
    }
    return json_put(o, "members", list) && made && put_text(o, "state", a, v->state) &&
           put_text(o, "protocol_type", a, v->type) && put_text(o, "assignor", a, v->protocol) &&
           json_put(o, "generation", json_integer(v->generation)) &&
           json_put(o, "type", json_string("classic"));
}

static bool put_consumer(json_t *o, struct arena *a, const struct consumer_view *v)
{
    json_t *list = json_array();
    bool made = list != NULL;
    for (int32_t i = 0; made && i < v->member_count; i++) {
        const struct consumer_view_member *m = &v->members[i];
        json_t *partitions = add_member(list, a, m->member, m->instance, m->client_id, m->host);
        made = partitions != NULL;
        for (int32_t k = 0; made && k < m->assigned.topic_count; k++)
            made = add_partitions(partitions, a, m->assigned.topics[k].name, m->assigned.topics[k].partitions,
                                  m->assigned.topics[k].partition_count);
    }
    return json_put(o, "members", list) && made && put_text(o, "state", a, v->state) &&
           json_put(o, "protocol_type", json_string("consumer")) && put_text(o, "assignor", a, v->assignor) &&
           json_put(o, "generation", json_integer(v->epoch)) && json_put(o, "type", json_string("consumer"));
}

int group_members_json(struct groups *groups, const char *group, json_t *into, struct err *e)
{
    struct arena a;
    struct group_view v;
    struct consumer_view c;
    struct msg_string name = msg_text(group, strlen(group));
    int rc = ERR_UNKNOWN_GROUP;
    if (groups == NULL)
        return err_set(e, rc, "there is no group \"%s\"", group);
    arena_init(&a, VIEW_MAX, NULL);
    int16_t error = groups_view(groups, name, &a, &v);
    if (error == GROUP_OK && v.consumer && consumer_view(groups, name, &a, &c) == GROUP_OK)
        rc = put_consumer(into, &a, &c) ? ERR_OK : err_nomem(e);
    else if (error == GROUP_OK)
        rc = put_classic(into, &a, &v) ? ERR_OK : err_nomem(e);
    else if (error == GROUP_NOT_FOUND)
        err_set(e, rc, "there is no group \"%s\"", group);
    else
        rc = err_nomem(e);
    arena_free(&a);
    return rc;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_text(text) : json_null();
}

static bool add_cluster_member(json_t *list, const struct client_member *m)
{
    json_t *o = json_object(), *partitions = json_array();
    bool made = json_put(o, "member", json_text(m->member)) &&
                json_put(o, "instance", text_or_null(m->instance)) &&
                json_put(o, "client_id", json_text(m->client_id)) && json_put(o, "host", json_text(m->host));
    for (size_t i = 0; i < m->partition_count; i++)
        made = made && json_array_append_new(
                           partitions, json_pack("{s:o, s:i}", "topic", json_text(m->partitions[i].topic),
                                                 "partition", (int)m->partitions[i].partition)) == 0;
    made = json_put(o, "partitions", partitions) && made;
    return json_array_append_new(list, o) == 0 && made;
}

int cluster_members_json(const struct client_members *m, json_t *into, struct err *e)
{
    if (!m->there)
        return err_set(e, ERR_UNKNOWN_GROUP, "there is no group \"%s\"", m->group);
    json_t *list = m->untold ? json_null() : json_array();
    bool made = list != NULL;
    for (size_t i = 0; i < m->count; i++)
        made = made && add_cluster_member(list, &m->members[i]);
    made = json_put(into, "members", list) && made && json_put(into, "state", text_or_null(m->state)) &&
           json_put(into, "assignor", text_or_null(m->assignor)) &&
           json_put(into, "protocol_type", m->untold ? json_null() : json_string("consumer")) &&
           json_put(into, "generation", json_null()) && json_put(into, "type", text_or_null(m->type));
    if (m->untold)
        made = made && json_put(into, "members_untold", json_text(m->untold));
    return made ? ERR_OK : err_nomem(e);
}

int group_names_json(struct groups *groups, json_t *names, struct err *e)
{
    struct arena a;
    struct group_view *list;
    int32_t n = 0;
    bool made = true;
    if (groups == NULL)
        return ERR_OK;
    arena_init(&a, VIEW_MAX, NULL);
    made = groups_list(groups, &a, &list, &n) == GROUP_OK;
    for (int32_t i = 0; made && i < n; i++) {
        const char *name = arena_dup(&a, list[i].id.p, (size_t)list[i].id.n);
        made = name != NULL && json_object_set_new_nocheck(names, name, json_true()) == 0; /* any bytes */
    }
    arena_free(&a);
    return made ? ERR_OK : err_nomem(e);
}

int group_refuse_members(struct groups *groups, const char *group, struct err *e)
{
    struct arena a;
    struct group_view v;
    int rc = ERR_OK;
    if (groups == NULL)
        return ERR_OK;
    arena_init(&a, VIEW_MAX, NULL);
    if (groups_view(groups, msg_text(group, strlen(group)), &a, &v) == GROUP_OK &&
        !(v.state.n == 5 && memcmp(v.state.p, "Empty", 5) == 0))
        rc = err_set(e, ERR_BUSY, "group %s has members: stop them first", group);
    arena_free(&a);
    return rc;
}
