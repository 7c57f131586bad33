/*
 * offsets: OffsetCommit: a group's committed offsets, which are the broker's.
 */
#include "server/apis.h"

#define IDS_SINCE 10
#define RETENTION_UNTIL 4 /* KIP-211: before, a client may say how long it is kept */

typedef struct msg_offset_commit_response_partition committed;

static size_t count_commits(const struct msg_offset_commit_request *q)
{
    size_t n = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        n += (size_t)q->topics.items[i].partitions.count;
    return n;
}

/* In milliseconds; 0: as the hub keeps them. */
static int64_t retention_of(const struct request *c)
{
    const struct msg_offset_commit_request *q = c->asked;
    bool says = c->header.version <= RETENTION_UNTIL && q->retention_time_ms >= 0;
    return !says ? 0 : q->retention_time_ms > 0 ? q->retention_time_ms : 1;
}

/* Negative offsets are kept, as Kafka does; but that -1, which a fetch tells where there is none, is none. */
static void take_partition(struct request *c, struct commits *w, const struct topic_brief *t, int16_t code,
                           const struct msg_offset_commit_request_partition *p, committed *out)
{
    struct group_offset o = {.partition = p->partition_index,
                             .offset = p->committed_offset,
                             .leader_epoch = p->committed_leader_epoch,
                             .retention_ms = retention_of(c)};
    out->partition_index = p->partition_index;
    commits_take(c, w, t, &o, p->committed_metadata, code, &out->error_code);
}

static bool take_commits(struct request *c, struct commits *w, struct msg_offset_commit_response *r)
{
    const struct msg_offset_commit_request *q = c->asked;
    r->topics.items = commits_begin(c, w, count_commits(q))
                          ? request_alloc(c, (size_t)q->topics.count, sizeof *r->topics.items)
                          : NULL;
    if (r->topics.items == NULL)
        return false;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_offset_commit_request_topic *t = &q->topics.items[i];
        struct msg_offset_commit_response_topic *out = &r->topics.items[r->topics.count++];
        bool by_id = c->header.version >= IDS_SINCE;
        int16_t code = 0;
        const struct topic_brief *there =
            api_topic(c, by_id ? msg_text("", 0) : t->name, by_id ? &t->topic_id : NULL, &code);
        out->name = t->name;
        out->topic_id = t->topic_id;
        if (there != NULL && t->partitions.count == 0)
            r->topics.count--; /* nothing to tell of it */
        out->partitions.items = request_alloc(c, (size_t)t->partitions.count, sizeof *out->partitions.items);
        if (out->partitions.items == NULL)
            return false;
        for (int32_t k = 0; k < t->partitions.count; k++)
            take_partition(c, w, there, code, &t->partitions.items[k],
                           &out->partitions.items[out->partitions.count++]);
    }
    return true;
}

/* Which partitions the offsets are of, as the group knows them. NULL: no memory. */
static struct tp_set *partitions_of(struct request *c, const struct msg_offset_commit_request *q)
{
    struct tp_set *of = request_try_alloc(c, 1, sizeof *of);
    int16_t code;
    if (of == NULL || (of->list = request_try_alloc(c, count_commits(q), sizeof *of->list)) == NULL)
        return NULL;
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_offset_commit_request_topic *t = &q->topics.items[i];
        bool by_id = c->header.version >= IDS_SINCE;
        const struct topic_brief *there =
            api_topic(c, by_id ? msg_text("", 0) : t->name, by_id ? &t->topic_id : NULL, &code);
        for (int32_t k = 0; there != NULL && k < t->partitions.count; k++)
            of->list[of->n++] = (struct tp){there->id, t->partitions.items[k].partition_index, 0};
    }
    return of;
}

static int16_t may_commit(struct request *c, const struct msg_offset_commit_request *q)
{
    const struct tp_set *of = NULL;
    int16_t error;
    do {
        error = consumer_may_commit(c->server->groups, q->group_id, q->member_id, q->group_instance_id,
                                    q->generation_id_or_member_epoch, c->header.version, of);
    } while ((error == GROUP_STALE_EPOCH || error == GROUP_ILLEGAL_GENERATION) && of == NULL &&
             (of = partitions_of(c, q)) != NULL);
    return error;
}

void api_offset_commit(struct request *c)
{
    const struct msg_offset_commit_request *q = c->asked;
    struct msg_offset_commit_response r;
    struct commits w = {.refused = 0};
    struct err e;
    const char *group = request_string(c, q->group_id);
    msg_init(&msg_schema_offset_commit_response, &r);
    w.refused = commits_of_absent(c, q->group_id, may_commit(c, q),
                                  c->header.version < 9 ? GROUP_ILLEGAL_GENERATION : GROUP_NOT_FOUND);
    if (!take_commits(c, &w, &r))
        return;
    if (w.n > 0) {
        int rc = group != NULL ? broker_commit_offsets(c->server->broker, group, w.offsets, w.n, &e)
                               : err_nomem(&e);
        commits_answer(&w, err_kafka(rc));
    }
    request_reply(c, &r);
}
