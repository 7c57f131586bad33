/*
 * api_groups: consumer groups' offsets and transactions over the hub's interface. Handlers; any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "http/internal.h"

/* {topic, partition, offset, end_offset, lag}; a topic that is gone has no end and no lag, a partition out of service an error instead. */
static int offset_json(struct client *client, const struct group_offset *o, json_t **out, struct err *e)
{
    int64_t end, ts;
    *out = NULL;
    int rc = client_list_offset(client, o->topic, o->partition, -1, READ_COMMITTED, &end, &ts, e);
    if (rc && rc != ERR_UNKNOWN_TOPIC && e->retriable)
        return rc;
    json_t *committed = o->commit_ms < 0 ? json_null() : json_integer(o->commit_ms);
    json_t *j = json_pack("{s:s, s:i, s:I, s:o}", "topic", o->topic, "partition", (int)o->partition, "offset",
                          (json_int_t)o->offset, "commit_ms", committed);
    bool put = j != NULL;
    if (put && rc == ERR_OK)
        put = json_put(j, "end_offset", json_integer(end)) &&
              json_put(j, "lag",
                       json_integer(end - (o->offset < 0     ? 0
                                           : o->offset < end ? o->offset
                                                             : end)));
    else if (put && rc != ERR_UNKNOWN_TOPIC)
        put = json_put(j, "error", json_text(e->text));
    if (!put) {
        json_decref(j);
        j = NULL;
    }
    *out = j;
    return j ? ERR_OK : err_nomem(e);
}

/* Who is in the groups; NULL of the built-in store, whose groups' members core/group knows. */
static int members_of(const struct call *c, const struct group_info *list, size_t n,
                      struct client_members **out, struct err *e)
{
    const char **names = mem_calloc(n + 1, sizeof *names);
    *out = NULL;
    if (!names)
        return err_nomem(e);
    for (size_t i = 0; i < n; i++)
        names[i] = list[i].group;
    int rc = client_members(c->api->o.client, names, n, out, e);
    mem_free(names);
    return rc == ERR_UNSUPPORTED ? ERR_OK : rc;
}

/* Offsets, and what is known of members. ERR_UNKNOWN_GROUP: neither is. */
static int group_json(const struct call *c, const struct group_info *g, const char *name,
                      const struct client_members *members, json_t **out, struct err *e)
{
    json_t *offsets = json_array(), *o;
    int rc = offsets ? ERR_OK : err_nomem(e);
    for (size_t i = 0; i < g->count && rc == ERR_OK; i++) {
        rc = offset_json(c->api->o.client, &g->offsets[i], &o, e);
        if (rc == ERR_OK && json_array_append_new(offsets, o) != 0)
            rc = err_nomem(e);
    }
    *out = json_object();
    if (rc == ERR_OK &&
        (!json_put(*out, "group", json_text(name)) || !json_put(*out, "offsets", json_incref(offsets))))
        rc = err_nomem(e);
    json_decref(offsets);
    if (rc == ERR_OK)
        rc = members ? cluster_members_json(members, *out, e)
                     : group_members_json(c->api->o.groups, name, *out, e);
    if (rc == ERR_UNKNOWN_GROUP && g->count > 0)
        rc = ERR_OK;
    if (rc)
        json_decref(*out);
    return rc;
}

static int add_group(const struct call *c, const struct group_info *g, const char *name,
                     const struct client_members *members, json_t *list, struct err *e)
{
    json_t *o;
    int rc = group_json(c, g, name, members, &o, e);
    if (rc == ERR_UNKNOWN_GROUP) /* gone meanwhile */
        return ERR_OK;
    return rc || json_array_append_new(list, o) == 0 ? rc : err_nomem(e);
}

/* Those that have offsets, and then those that have members, or had, only. */
static int add_groups(const struct call *c, const struct group_info *list, size_t n, json_t *out,
                      json_t *names, struct err *e)
{
    static const struct group_info nothing;
    const char *name;
    json_t *value;
    struct client_members *members;
    int rc = members_of(c, list, n, &members, e);
    if (rc == ERR_OK && !members)
        rc = group_names_json(c->api->o.groups, names, e);
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        json_object_del(names, list[i].group);
        rc = add_group(c, &list[i], list[i].group, members ? &members[i] : NULL, out, e);
    }
    client_members_free(members, n);
    json_object_foreach(names, name, value)
    {
        if (rc == ERR_OK)
            rc = add_group(c, &nothing, name, NULL, out, e);
    }
    return rc;
}

int api_groups_list(struct call *c, struct err *e)
{
    struct group_info *list;
    size_t n;
    int rc = client_groups(c->api->o.client, &list, &n, e);
    if (rc)
        return rc;
    json_t *out = json_array(), *names = json_object();
    rc = out && names ? add_groups(c, list, n, out, names, e) : err_nomem(e);
    json_decref(names);
    group_infos_free(list, n);
    if (rc == ERR_OK)
        return call_reply(c, out, e);
    json_decref(out);
    return rc;
}

int api_group_get(struct call *c, struct err *e)
{
    struct group_info g = {0};
    struct client_members *members;
    json_t *o;
    int rc = client_group(c->api->o.client, c->args[0], &g, e);
    if (rc && rc != ERR_UNKNOWN_GROUP)
        return rc;
    rc = members_of(c, &(struct group_info){.group = c->args[0]}, 1, &members, e);
    if (rc == ERR_OK)
        rc = group_json(c, &g, c->args[0], members, &o, e);
    client_members_free(members, 1);
    group_info_free(&g);
    return rc ? rc : call_reply(c, o, e);
}

/* A pipeline that runs would overwrite what is reset: its sink must be paused or gone first. */
static int refuse_while_running(struct call *c, const char *group, struct err *e)
{
    static const char prefix[] = "connect-";
    if (group_refuse_members(c->api->o.groups, group, e))
        return e->code;
    if (!c->api->o.worker || strncmp(group, prefix, sizeof prefix - 1) != 0)
        return ERR_OK;
    return worker_sink_idle(c->api->o.worker, group + sizeof prefix - 1, e);
}

static int parse_offset(const json_t *item, struct group_offset *out, struct err *e)
{
    const json_t *topic = json_object_get(item, "topic"), *partition = json_object_get(item, "partition"),
                 *offset = json_object_get(item, "offset");
    if (!json_is_string(topic) || !json_is_integer(partition) || !json_is_integer(offset) ||
        json_integer_value(partition) < 0 || json_integer_value(partition) > INT32_MAX ||
        json_integer_value(offset) < -1)
        return err_set(e, ERR_INVALID, "topic (text), partition and offset (whole numbers) are needed");
    *out = (struct group_offset){.topic = json_string_value(topic),
                                 .partition = (int32_t)json_integer_value(partition),
                                 .offset = json_integer_value(offset),
                                 .leader_epoch = -1};
    return ERR_OK;
}

/* The body: {"offsets":[{"topic","partition","offset"},...]}; offset -1 forgets. */
int api_group_reset(struct call *c, struct err *e)
{
    json_t *body;
    int rc = refuse_while_running(c, c->args[0], e);
    if (rc == ERR_OK)
        rc = call_body(c, &body, e);
    if (rc)
        return rc;
    const json_t *list = json_object_get(body, "offsets");
    size_t n = json_array_size(list);
    struct group_offset *offsets = mem_calloc(n + 1, sizeof *offsets);
    if (!offsets)
        rc = err_nomem(e);
    else if (n == 0)
        rc = err_set(e, ERR_INVALID, "offsets: is empty, missing or not a list");
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if ((rc = parse_offset(json_array_get(list, i), &offsets[i], e)) != ERR_OK)
            err_wrap(e, "offsets[%zu]", i);
    if (rc == ERR_OK)
        rc = client_commit_offsets(c->api->o.client, c->args[0], offsets, n, e);
    mem_free(offsets);
    json_decref(body);
    return rc ? rc : call_reply_empty(c);
}

int api_group_delete(struct call *c, struct err *e)
{
    struct groups *groups = c->api->o.groups;
    int rc = refuse_while_running(c, c->args[0], e);
    bool known =
        rc == ERR_OK && groups && groups_forget(groups, msg_text(c->args[0], strlen(c->args[0]))) == GROUP_OK;
    if (rc == ERR_OK && (rc = client_delete_group(c->api->o.client, c->args[0], e)) == ERR_UNKNOWN_GROUP &&
        known)
        rc = ERR_OK; /* it had no offsets */
    return rc ? rc : call_reply_empty(c);
}

int api_txns_list(struct call *c, struct err *e)
{
    struct txn_info *list;
    size_t n;
    if (!c->api->o.broker)
        return err_set(e, ERR_UNSUPPORTED, "a cluster's transactions are not listed here");
    int rc = broker_txns(c->api->o.broker, &list, &n, e);
    if (rc)
        return rc;
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++) {
        json_t *t = json_pack("{s:o, s:I, s:i, s:s, s:i, s:I}", "transactional_id",
                              json_text(list[i].transactional_id), "producer_id",
                              (json_int_t)list[i].producer_id, "epoch", list[i].epoch, "state", list[i].state,
                              "timeout_ms", list[i].timeout_ms, "start_ms", (json_int_t)list[i].start_ms);
        if (json_array_append_new(out, t) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    txn_infos_free(list, n);
    return call_reply(c, out, e);
}
