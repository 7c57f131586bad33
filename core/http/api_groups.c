/*
 * api_groups: consumer groups' offsets and transactions over the hub's interface. Handlers; any thread.
 */
#include <string.h>

#include "base/mem.h"
#include "http/internal.h"

/* {topic, partition, offset, end_offset, lag}; a topic that is gone has no end and no lag. */
static json_t *offset_json(struct client *client, const struct group_offset *o)
{
    struct err e;
    int64_t end, ts;
    json_t *j = json_pack("{s:s, s:i, s:I, s:I}", "topic", o->topic, "partition", o->partition, "offset",
                          (json_int_t)o->offset, "commit_ms", (json_int_t)o->commit_ms);
    if (j &&
        client_list_offset(client, o->topic, o->partition, -1, READ_COMMITTED, &end, &ts, &e) == ERR_OK) {
        json_object_set_new(j, "end_offset", json_integer(end));
        json_object_set_new(j, "lag", json_integer(end > o->offset ? end - o->offset : 0));
    }
    return j;
}

static json_t *group_json(struct client *client, const struct group_info *g)
{
    json_t *offsets = json_array();
    for (size_t i = 0; i < g->count; i++)
        if (json_array_append_new(offsets, offset_json(client, &g->offsets[i])) != 0) {
            json_decref(offsets);
            return NULL;
        }
    return json_pack("{s:s, s:o}", "group", g->group, "offsets", offsets);
}

int api_groups_list(struct call *c, struct err *e)
{
    struct group_info *list;
    size_t n;
    int rc = client_groups(c->api->o.client, &list, &n, e);
    if (rc)
        return rc;
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++)
        if (json_array_append_new(out, group_json(c->api->o.client, &list[i])) != 0) {
            json_decref(out);
            out = NULL;
        }
    group_infos_free(list, n);
    return call_reply(c, out, e);
}

int api_group_get(struct call *c, struct err *e)
{
    struct group_info g;
    int rc = client_group(c->api->o.client, c->args[0], &g, e);
    if (rc)
        return rc;
    json_t *o = group_json(c->api->o.client, &g);
    group_info_free(&g);
    return call_reply(c, o, e);
}

/* A pipeline that runs would overwrite what is reset: its sink must be paused or gone first. */
static int refuse_while_running(struct call *c, const char *group, struct err *e)
{
    static const char prefix[] = "connect-";
    if (!c->api->o.worker || strncmp(group, prefix, sizeof prefix - 1) != 0)
        return ERR_OK;
    struct task_status *list;
    size_t n;
    int rc = worker_status(c->api->o.worker, &list, &n, e);
    if (rc)
        return rc;
    for (size_t i = 0; i < n && rc == ERR_OK; i++)
        if (strcmp(list[i].connector, group + sizeof prefix - 1) == 0 &&
            (list[i].state == TASK_RUNNING || list[i].state == TASK_RESTARTING))
            rc = err_set(e, ERR_BUSY, "sink %s is running and owns the group's offsets: pause it first",
                         list[i].connector);
    task_status_free(list, n);
    return rc;
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
    for (size_t i = 0; i < n && rc == ERR_OK; i++) {
        const json_t *item = json_array_get(list, i);
        const json_t *topic = json_object_get(item, "topic"), *partition = json_object_get(item, "partition"),
                     *offset = json_object_get(item, "offset");
        if (!json_is_string(topic) || !json_is_integer(partition) || !json_is_integer(offset) ||
            json_integer_value(partition) < 0 || json_integer_value(partition) > INT32_MAX ||
            json_integer_value(offset) < -1)
            rc = err_set(e, ERR_INVALID,
                         "offsets[%zu]: topic (text), partition and offset (whole numbers) are needed", i);
        offsets[i] = (struct group_offset){.topic = json_string_value(topic),
                                           .partition = (int32_t)json_integer_value(partition),
                                           .offset = json_integer_value(offset),
                                           .leader_epoch = -1};
    }
    if (rc == ERR_OK && n == 0)
        rc = err_set(e, ERR_INVALID, "offsets: is empty or missing");
    if (rc == ERR_OK)
        rc = client_commit_offsets(c->api->o.client, c->args[0], offsets, n, e);
    mem_free(offsets);
    json_decref(body);
    return rc ? rc : call_reply_empty(c);
}

int api_group_delete(struct call *c, struct err *e)
{
    int rc = refuse_while_running(c, c->args[0], e);
    if (rc == ERR_OK)
        rc = client_delete_group(c->api->o.client, c->args[0], e);
    return rc ? rc : call_reply_empty(c);
}

int api_txns_list(struct call *c, struct err *e)
{
    struct txn_info *list;
    size_t n;
    int rc = broker_txns(c->api->o.broker, &list, &n, e);
    if (rc)
        return rc;
    json_t *out = json_array();
    for (size_t i = 0; i < n && out; i++) {
        json_t *t = json_pack("{s:s, s:I, s:i, s:s, s:i, s:I}", "transactional_id", list[i].transactional_id,
                              "producer_id", (json_int_t)list[i].producer_id, "epoch", list[i].epoch, "state",
                              list[i].state, "timeout_ms", list[i].timeout_ms, "start_ms",
                              (json_int_t)list[i].start_ms);
        if (json_array_append_new(out, t) != 0) {
            json_decref(out);
            out = NULL;
        }
    }
    txn_infos_free(list, n);
    return call_reply(c, out, e);
}
