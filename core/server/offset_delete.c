/*
 * offset_delete: OffsetDelete (KIP-496): offsets of topics that no member of the group reads.
 */
#include "base/hash.h"
#include "server/apis.h"

typedef struct msg_offset_delete_request_topic asked_topic;
typedef struct msg_offset_delete_response_topic told_topic;

/* What may be deleted, and where to tell of it. */
struct deleting {
    struct group_offset *offsets;
    int16_t **answers;
    size_t n;
    struct map *read; /* topics that members read; */
    bool all_read;    /* it is not known which */
};

static bool is_read(const struct deleting *d, struct msg_string topic)
{
    return d->all_read ||
           map_get(d->read, topic.n > 0 ? topic.p : "", topic.n > 0 ? (size_t)topic.n : 0) != NULL;
}

static bool take_topic(struct request *c, struct deleting *d, const asked_topic *q,
                       struct msg_offset_delete_response *r)
{
    told_topic *out = &r->topics.items[r->topics.count++];
    int16_t code = 0;
    const struct topic_brief *t = api_topic(c, q->name, NULL, &code);
    out->name = q->name;
    if (t != NULL && q->partitions.count == 0)
        r->topics.count--; /* nothing to tell of it */
    out->partitions.items = request_alloc(c, (size_t)q->partitions.count, sizeof *out->partitions.items);
    if (out->partitions.items == NULL)
        return false;
    if (code == 0 && is_read(d, q->name))
        code = GROUP_SUBSCRIBED;
    for (int32_t i = 0; i < q->partitions.count; i++) {
        struct msg_offset_delete_response_partition *p = &out->partitions.items[out->partitions.count++];
        p->partition_index = q->partitions.items[i].partition_index;
        bool there = t != NULL && p->partition_index >= 0 && p->partition_index < t->partitions;
        p->error_code = there ? code : err_kafka(ERR_UNKNOWN_TOPIC);
        if (p->error_code != 0)
            continue;
        d->answers[d->n] = &p->error_code;
        d->offsets[d->n++] = (struct group_offset){.topic = t->name, .partition = p->partition_index};
    }
    return true;
}

static bool take_all(struct request *c, struct deleting *d, struct msg_offset_delete_response *r)
{
    const struct msg_offset_delete_request *q = c->asked;
    size_t most = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        most += (size_t)q->topics.items[i].partitions.count;
    r->topics.items = request_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items);
    d->offsets = r->topics.items != NULL ? request_alloc(c, most, sizeof *d->offsets) : NULL;
    d->answers = d->offsets != NULL ? request_alloc(c, most, sizeof(int16_t *)) : NULL;
    if (d->answers == NULL)
        return false;
    for (int32_t i = 0; i < q->topics.count; i++)
        if (!take_topic(c, d, &q->topics.items[i], r))
            return false;
    return true;
}

/* The code for the whole: of a group that is not there, or whose members are no consumers. */
static int16_t look_up(struct request *c, const char *group, struct deleting *d)
{
    const struct msg_offset_delete_request *q = c->asked;
    if (q->group_id.n == 0)
        return GROUP_INVALID_ID;
    int16_t error = groups_read(c->server->groups, q->group_id, d->read, &d->all_read);
    bool stored = error == GROUP_NOT_FOUND && broker_group_has_offsets(c->server->broker, group);
    return stored ? GROUP_OK : error; /* committed by somebody who is no member */
}

static void delete_offsets(struct request *c, struct deleting *d)
{
    const struct msg_offset_delete_request *q = c->asked;
    struct msg_offset_delete_response r;
    struct err e;
    const char *group = request_string(c, q->group_id);
    msg_init(&msg_schema_offset_delete_response, &r);
    r.error_code = group != NULL ? look_up(c, group, d) : GROUP_NO_MEMORY;
    if (r.error_code == 0 && !take_all(c, d, &r))
        return; /* answered */
    if (d->n > 0) {
        int rc = broker_delete_offsets(c->server->broker, group, d->offsets, d->n, &e);
        for (size_t i = 0; i < d->n; i++)
            *d->answers[i] = err_kafka(rc);
    }
    request_reply(c, &r);
}

void api_offset_delete(struct request *c)
{
    struct err e;
    struct deleting d = {.read = map_new()};
    if (d.read == NULL) {
        request_close(c, (err_nomem(&e), &e));
        return;
    }
    delete_offsets(c, &d);
    map_free(d.read, NULL);
}
