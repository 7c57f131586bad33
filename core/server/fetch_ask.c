/*
 * fetch_ask: from a Fetch request to the partitions that it asks for, in its arena: each once, in the order of the request.
 */
#include <string.h>

#include "server/fetch_work.h"

static struct fetch_topic *make_topic(struct request *c, struct msg_string name, const struct uuid *id)
{
    bool by_id = c->header.version >= FETCH_IDS_SINCE;
    struct fetch_topic *t = request_alloc(c, 1, sizeof *t);
    struct err e;
    if (t == NULL)
        return NULL;
    t->name = by_id ? "" : request_string(c, name);
    if (t->name == NULL) {
        request_close(c, (err_nomem(&e), &e));
        return NULL;
    }
    if (by_id)
        t->id = *id;
    t->hash = fetch_hash_topic(fetch_sessions_secret(c->server->fetch_sessions), t->name, &t->id);
    return t;
}

static size_t count_partitions(const struct msg_fetch_request *q)
{
    size_t n = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        n += (size_t)q->topics.items[i].partitions.count;
    return n;
}

static void take(struct request *c, struct fetch_parts *asked, struct fetch_topic *t,
                 const struct msg_fetch_request_partition *p, struct fetch_part *out)
{
    *out = (struct fetch_part){
        .topic = t,
        .hash = fetch_hash_part(fetch_sessions_secret(c->server->fetch_sessions), t, p->partition),
        .partition = p->partition,
        .current_epoch = p->current_leader_epoch,
        .last_epoch = p->last_fetched_epoch,
        .max_bytes = p->partition_max_bytes,
        .offset = p->fetch_offset,
        .told_watermark = -1,
        .told_start = -1};
    struct fetch_part *twice = fetch_parts_find(asked, out);
    if (twice == NULL) {
        fetch_parts_add(asked, out);
        return;
    }
    twice->current_epoch = out->current_epoch; /* what is said last counts */
    twice->last_epoch = out->last_epoch;
    twice->max_bytes = out->max_bytes;
    twice->offset = out->offset;
}

bool fetch_ask(struct request *c, struct fetch_parts *asked)
{
    const struct msg_fetch_request *q = c->asked;
    struct err e;
    size_t n = count_partitions(q), at = 0;
    struct fetch_part *parts = request_alloc(c, n, sizeof *parts);
    if (parts == NULL)
        return false;
    if (fetch_parts_reserve(asked, n, &e) != ERR_OK) {
        request_close(c, &e);
        return false;
    }
    for (int32_t i = 0; i < q->topics.count; i++) {
        const struct msg_fetch_request_topic *t = &q->topics.items[i];
        struct fetch_topic *topic = make_topic(c, t->topic, &t->topic_id);
        if (topic == NULL)
            return false;
        for (int32_t k = 0; k < t->partitions.count; k++)
            take(c, asked, topic, &t->partitions.items[k], &parts[at++]);
    }
    return true;
}

bool fetch_forgotten(struct request *c, struct fetch_part **list, size_t *n)
{
    const struct msg_fetch_request *q = c->asked;
    size_t total = 0;
    *n = 0;
    for (int32_t i = 0; i < q->forgotten_topics_data.count; i++)
        total += (size_t)q->forgotten_topics_data.items[i].partitions.count;
    *list = request_alloc(c, total, sizeof **list);
    if (*list == NULL)
        return false;
    for (int32_t i = 0; i < q->forgotten_topics_data.count; i++) {
        const struct msg_fetch_request_forgotten_topic *t = &q->forgotten_topics_data.items[i];
        struct fetch_topic *topic = make_topic(c, t->topic, &t->topic_id);
        if (topic == NULL)
            return false;
        for (int32_t k = 0; k < t->partitions.count; k++) {
            struct fetch_part *p = &(*list)[(*n)++];
            p->topic = topic;
            p->partition = t->partitions.items[k];
            p->hash = fetch_hash_part(fetch_sessions_secret(c->server->fetch_sessions), topic, p->partition);
        }
    }
    return true;
}
