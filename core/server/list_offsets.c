/*
 * list_offsets: ListOffsets: offsets by timestamp, and the special ones. In the pool, as an index may have to be read.
 */
#include <stdlib.h>
#include <string.h>

#include "server/apis.h"

typedef struct msg_list_offsets_request_topic asked_topic;
typedef struct msg_list_offsets_response_partition_response partition_response;

/* Kafka's special timestamps and the versions that have them (KIP-79, KIP-734, KIP-405, KIP-1005, KIP-1023). */
static bool is_known(int64_t timestamp, int16_t version)
{
    static const int8_t since[] = {1, 1, 7, 8, 9, 11};
    return timestamp >= 0 || (timestamp >= -6 && version >= since[-timestamp - 1]);
}

typedef struct msg_list_offsets_request_partition asked_partition;

/* A partition of the request. */
struct named {
    const asked_topic *topic;
    const asked_partition *asked;
};

static int find(struct request *c, const char *topic, int32_t partition, int64_t timestamp,
                partition_response *out, struct err *e)
{
    const struct msg_list_offsets_request *q = c->asked;
    struct broker *b = c->server->broker;
    enum isolation isolation = q->isolation_level == 1 ? READ_COMMITTED : READ_UNCOMMITTED;
    if (!is_known(timestamp, c->header.version))
        return err_set(e, ERR_UNSUPPORTED, "timestamp %lld in version %d", (long long)timestamp,
                       c->header.version);
    int32_t epoch;
    if (timestamp == -5 || timestamp == -6) /* of tiers that there are not: none, if the partition is there */
        return broker_leader_epoch(b, topic, partition, &epoch, e);
    int64_t asked = timestamp == -4 ? -2 : timestamp; /* the earliest that is local */
    int rc = broker_list_offset(b, topic, partition, asked, isolation, &out->offset, &out->timestamp, e);
    if (rc == ERR_OK && timestamp == -1)
        rc = broker_leader_epoch(b, topic, partition, &out->leader_epoch, e);
    else if (rc == ERR_OK && out->offset >= 0)
        rc = broker_epoch_at(b, topic, partition, out->offset, &out->leader_epoch, e);
    return rc;
}

static int by_topic(const struct named *x, const struct named *y)
{
    int32_t n = x->topic->name.n < y->topic->name.n ? x->topic->name.n : y->topic->name.n;
    int order = n > 0 ? memcmp(x->topic->name.p, y->topic->name.p, (size_t)n) : 0;
    return order != 0 ? order : (x->topic->name.n > y->topic->name.n) - (x->topic->name.n < y->topic->name.n);
}

static int by_name(const void *a, const void *b)
{
    const struct named *x = a, *y = b;
    int32_t p = x->asked->partition_index, q = y->asked->partition_index;
    int order = by_topic(x, y);
    return order != 0 ? order : (p > q) - (p < q);
}

/* The request's partitions, sorted. NULL: no memory, and the request is closed. */
static struct named *sort(struct request *c, size_t *n)
{
    const struct msg_list_offsets_request *q = c->asked;
    size_t total = 0;
    *n = 0;
    for (int32_t i = 0; i < q->topics.count; i++)
        total += (size_t)q->topics.items[i].partitions.count;
    struct named *all = request_alloc(c, total, sizeof *all);
    for (int32_t i = 0; all != NULL && i < q->topics.count; i++)
        for (int32_t k = 0; k < q->topics.items[i].partitions.count; k++)
            all[(*n)++] = (struct named){&q->topics.items[i], &q->topics.items[i].partitions.items[k]};
    if (all != NULL)
        qsort(all, *n, sizeof *all, by_name);
    return all;
}

static int16_t look_up(struct request *c, const struct topic_brief *known, int16_t code,
                       const asked_partition *asked, partition_response *out)
{
    const struct msg_list_offsets_request *q = c->asked;
    struct err e;
    if (!api_is_isolation(q->isolation_level))
        return err_kafka(ERR_INTERNAL);
    if (code == 0)
        code = api_check_epoch(c, known->name, asked->partition_index, asked->current_leader_epoch);
    return code != 0 ? code
                     : err_kafka(find(c, known->name, asked->partition_index, asked->timestamp, out, &e));
}

/* The partitions of one topic, each once: what is named more than once is refused. How many of the request's they are. */
static size_t answer_topic(struct request *c, const struct named *all, size_t n, partition_response *room,
                           struct msg_list_offsets_response_topic_response *out)
{
    int16_t topic_code;
    const struct topic_brief *known = api_topic(c, all->topic->name, NULL, &topic_code);
    size_t i = 0;
    out->name = all->topic->name;
    out->partitions.items = room;
    while (i < n && by_topic(all, &all[i]) == 0) {
        size_t first = i++;
        const asked_partition *asked = all[first].asked;
        while (i < n && by_name(&all[first], &all[i]) == 0)
            i++;
        partition_response *p = &out->partitions.items[out->partitions.count++];
        *p = (partition_response){.timestamp = -1, .offset = -1, .leader_epoch = -1};
        int16_t code = i - first > 1 ? KAFKA_INVALID_REQUEST : look_up(c, known, topic_code, asked, p);
        if (code != 0)
            p->offset = p->timestamp = p->leader_epoch = -1;
        p->partition_index = asked->partition_index;
        p->error_code = code;
    }
    return i;
}

void api_list_offsets(struct request *c)
{
    const struct msg_list_offsets_request *q = c->asked;
    struct msg_list_offsets_response r;
    size_t n;
    msg_init(&msg_schema_list_offsets_response, &r);
    const struct named *all = sort(c, &n);
    partition_response *room = all != NULL ? request_alloc(c, n, sizeof *room) : NULL;
    r.topics.items = room != NULL ? request_alloc(c, (size_t)q->topics.count, sizeof *r.topics.items) : NULL;
    if (r.topics.items == NULL)
        return;
    for (size_t i = 0; i < n;)
        i += answer_topic(c, &all[i], n - i, &room[i], &r.topics.items[r.topics.count++]);
    request_reply(c, &r);
}
